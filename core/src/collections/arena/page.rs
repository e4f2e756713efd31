//! One page of an arena, and how records lie in it.

use std::ops::Range;

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
const CAPACITY_MIN: usize = 64;

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

/// The size to allocate for a page with room for so many bytes, or for as many as a page can hold: a size that
/// allocators serve without loss, a quarter of a power of two apart from the next.
pub(super) fn capacity_for(bytes: usize) -> usize {
    if bytes >= PAGE_BYTES {
        return PAGE_BYTES;
    }
    let bytes = bytes.max(CAPACITY_MIN);
    bytes.next_multiple_of(1 << (bytes.ilog2() - 2))
}

/// A page. Its allocation is never outgrown unasked.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    bytes: Vec<u8>,
    /// Bytes of records that are alive.
    live: u32,
}

impl Page {
    /// The bytes of all records.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    #[inline]
    pub(super) fn live(&self) -> usize {
        self.live as usize
    }

    #[inline]
    pub(super) fn dead(&self) -> usize {
        self.bytes.len() - self.live()
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes that can still be pushed.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Makes the allocation this large, and returns by how much it has grown.
    pub(super) fn grow(&mut self, capacity: usize) -> usize {
        let before = self.bytes.capacity();
        self.bytes.reserve_exact(capacity.saturating_sub(self.bytes.len()));
        self.bytes.capacity() - before
    }

    /// Appends a record, for which there is room, and returns where it begins.
    #[inline]
    pub(super) fn push(&mut self, header: Header, parts: &[&[u8]]) -> usize {
        let at = self.bytes.len();
        debug_assert!(self.room() >= header.size());
        self.bytes.extend_from_slice(&header.bytes()[..header.header_bytes()]);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.end_record(at, header.size())
    }

    pub(super) fn push_away(&mut self, number: u32) -> usize {
        let at = self.bytes.len();
        let header = Header { length: LENGTH_AWAY, is_dead: false };
        self.bytes.extend_from_slice(&header.bytes());
        self.bytes.resize(at + AWAY_NUMBER.start, 0);
        self.bytes.extend_from_slice(&number.to_le_bytes());
        self.end_record(at, AWAY_BYTES)
    }

    /// Appends a record as it lies in another page.
    #[inline]
    pub(super) fn push_record(&mut self, record: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(record);
        self.end_record(at, record.len())
    }

    #[inline]
    fn end_record(&mut self, at: usize, size: usize) -> usize {
        self.bytes.resize(at + size, 0);
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
        self.bytes.clear();
    }

    /// Frees the memory, all records being dead, and returns how much it was.
    pub(super) fn give_back(&mut self) -> usize {
        debug_assert_eq!(self.live, 0);
        std::mem::take(&mut self.bytes).capacity()
    }

    /// Lends the bytes out, to be brought back by [`Self::bring_back`].
    pub(super) fn lend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    pub(super) fn bring_back(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// All records, dead ones too: where each begins, its header, and its bytes and all that follow.
    pub(super) fn records(&self) -> impl Iterator<Item = (usize, Header, &[u8])> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let record = &self.bytes[at..];
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
