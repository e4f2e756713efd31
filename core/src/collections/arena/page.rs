//! One page of an arena, and how records lie in it.

use crate::collections::cow::{COUNTS_BYTES, CopyOnWrite};
use std::ops::Range;

/// What a page takes at most, and what a place in one is less than.
pub(super) const PAGE_BYTES: usize = 1 << 16;

/// Records begin at multiples of this.
pub(super) const UNIT_BYTES: usize = 4;

/// A longer payload lies outside of pages.
pub(super) const PAYLOAD_MAX: usize = 4 << 10;

/// Size of a record whose payload lies elsewhere.
pub(super) const AWAY_BYTES: usize = 8;

/// The number of such a payload, in its record.
const AWAY_NUMBER: Range<usize> = 4..8;

const DEAD: u8 = 1 << 7;
const LONG: u8 = 1 << 6;
const LOW_BITS: u32 = 6;
const SHORT_MAX: usize = (1 << LOW_BITS) - 1;
const LENGTH_AWAY: u16 = (1 << 14) - 1;

const _: () = assert!(PAYLOAD_MAX < LENGTH_AWAY as usize);

/// The least that is allocated for a page.
const ALLOCATED_MIN: usize = 64;

/// The beginning of a record.
#[derive(Clone, Copy)]
pub(super) struct Header {
    length: u16,
    is_dead: bool,
}

impl Header {
    /// For a payload in the page.
    #[inline]
    pub(super) fn new(length: usize) -> Header {
        debug_assert!(length <= PAYLOAD_MAX);
        Header { length: length as u16, is_dead: false }
    }

    /// Where the payload lies in a record with this first byte, if that alone says it.
    #[inline]
    pub(super) fn short(first: u8) -> Option<Range<usize>> {
        (first & LONG == 0).then(|| 1..1 + (first as usize & SHORT_MAX))
    }

    #[inline]
    pub(super) fn read(record: &[u8]) -> Header {
        let first = record[0];
        let mut length = u16::from(first) & SHORT_MAX as u16;
        if first & LONG != 0 {
            length |= u16::from(record[1]) << LOW_BITS;
        }
        Header { length, is_dead: first & DEAD != 0 }
    }

    #[inline]
    pub(super) fn mark_dead(record: &mut [u8]) {
        record[0] |= DEAD;
    }

    #[inline]
    pub(super) fn is_dead(self) -> bool {
        self.is_dead
    }

    #[inline]
    fn header_bytes(self) -> usize {
        if self.length as usize > SHORT_MAX { 2 } else { 1 }
    }

    /// Where the payload lies in the record, if it lies there.
    #[inline]
    pub(super) fn payload(self) -> Range<usize> {
        self.header_bytes()..self.header_bytes() + self.length as usize
    }

    /// The number of the payload if it lies elsewhere.
    #[inline]
    pub(super) fn away(self, record: &[u8]) -> Option<u32> {
        if self.length != LENGTH_AWAY {
            return None;
        }
        record[AWAY_NUMBER].first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Bytes of the whole record in its page.
    #[inline]
    pub(super) fn size(self) -> usize {
        if self.length == LENGTH_AWAY {
            return AWAY_BYTES;
        }
        self.payload().end.next_multiple_of(UNIT_BYTES)
    }

    #[inline]
    fn bytes(self) -> [u8; 2] {
        let low = self.length as u8 & SHORT_MAX as u8;
        let long = if self.length as usize > SHORT_MAX { LONG } else { 0 };
        [low | long, (self.length >> LOW_BITS) as u8]
    }
}

/// Writes a record over `record`, which has its size.
pub(super) fn write(record: &mut [u8], header: Header, parts: &[&[u8]]) {
    let Range { start, end } = header.payload();
    record[..start].copy_from_slice(&header.bytes()[..start]);
    let mut at = start;
    for part in parts {
        record[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    record[end..].fill(0);
}

/// Bytes of records that a page can hold.
pub(super) const PAGE_RECORDS_BYTES: usize = PAGE_BYTES - COUNTS_BYTES;

/// What capacity a page is to have for so many bytes, or for as many as a page can hold: one with which allocators lose
/// nothing, a quarter of a power of two apart from the next.
pub(super) fn capacity_for(bytes: usize) -> usize {
    let allocated = (bytes + COUNTS_BYTES).clamp(ALLOCATED_MIN, PAGE_BYTES);
    allocated.next_multiple_of(1 << (allocated.ilog2() - 2)) - COUNTS_BYTES
}

/// A page. Its allocation is never outgrown unasked.
///
/// A clone is another hold of the same bytes; whoever writes first while both are there copies them.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    /// All that is allocated.
    memory: CopyOnWrite<[u8]>,
    /// How much of it is records.
    len: u32,
    /// Bytes of records that are alive.
    live: u32,
}

impl Page {
    /// The bytes of all records.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.len()]
    }

    /// Bytes of all records.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// A record, and what follows it.
    #[inline]
    pub(super) fn record(&self, at: usize) -> &[u8] {
        &self.memory[at..]
    }

    #[inline]
    pub(super) fn record_mut(&mut self, at: usize) -> &mut [u8] {
        &mut self.memory.to_mut()[at..]
    }

    #[inline]
    pub(super) fn live(&self) -> usize {
        self.live as usize
    }

    #[inline]
    pub(super) fn dead(&self) -> usize {
        self.len() - self.live()
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// What is allocated for it, in bytes.
    pub(super) fn allocated_bytes(&self) -> usize {
        if self.memory.is_empty() { 0 } else { self.memory.len() + COUNTS_BYTES }
    }

    /// Bytes that can still be pushed.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.capacity() - self.len()
    }

    /// Makes the capacity this large.
    pub(super) fn grow(&mut self, capacity: usize) {
        let mut memory = CopyOnWrite::filled(0, capacity);
        memory.to_mut()[..self.len()].copy_from_slice(self.bytes());
        self.memory = memory;
    }

    /// Appends a record, for which there is room, and returns where it begins.
    #[inline]
    pub(super) fn push(&mut self, header: Header, parts: &[&[u8]]) -> usize {
        self.push_with(header.size(), |record| write(record, header, parts))
    }

    pub(super) fn push_away(&mut self, number: u32) -> usize {
        let header = Header { length: LENGTH_AWAY, is_dead: false };
        self.push_with(AWAY_BYTES, |record| {
            record[..AWAY_NUMBER.start].fill(0);
            record[..2].copy_from_slice(&header.bytes());
            record[AWAY_NUMBER].copy_from_slice(&number.to_le_bytes());
        })
    }

    /// Appends a record as it lies in another page.
    #[inline]
    pub(super) fn push_record(&mut self, bytes: &[u8]) -> usize {
        self.push_with(bytes.len(), |record| record.copy_from_slice(bytes))
    }

    #[inline]
    fn push_with(&mut self, size: usize, write: impl FnOnce(&mut [u8])) -> usize {
        let at = self.len();
        write(&mut self.memory.to_mut()[at..at + size]);
        self.len += size as u32;
        self.live += size as u32;
        at
    }

    /// So many bytes of records have been marked as dead.
    #[inline]
    pub(super) fn count_dead(&mut self, size: usize) {
        self.live -= size as u32;
    }

    /// Forgets all records, which are dead, and keeps the memory.
    pub(super) fn clear(&mut self) {
        debug_assert_eq!(self.live, 0);
        self.len = 0;
    }

    /// The records from a place on, dead ones too: where each begins, its header, and its bytes and all that follow.
    pub(super) fn records_from(&self, at: usize) -> impl Iterator<Item = (usize, Header, &[u8])> {
        let mut at = at;
        std::iter::from_fn(move || {
            let record = &self.bytes()[at..];
            if record.is_empty() {
                return None;
            }
            let begin = at;
            let header = Header::read(record);
            at += header.size();
            Some((begin, header, record))
        })
    }
}
