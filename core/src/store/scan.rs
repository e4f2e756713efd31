//! Scans: where one stands, and how it goes on.
//!
//! Slots are visited in ascending order, the entries of a slot in the order of their home buckets, which is hash order
//! whatever the size of the table. A cursor is a slot and a position in that order, so it means the same for any number
//! of shards and stays valid while tables grow and shrink: what lies before it has been visited, what lies behind will
//! be. An entry that is there from the first call to the last is visited at least once; when a table has shrunk in
//! between, some are visited twice.

use super::database::Database;
use super::entry::EntryRef;
use crate::slot::{BLOCK_SLOTS, SLOTS, Slot};
use std::ops::Range;

/// A place in a scan: slot × 2³² + position. As a number it is what SCAN shows to clients; it means something only to
/// the process that made it, because positions depend on its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(u64);

impl Cursor {
    pub const START: Cursor = Cursor(0);

    /// After the last slot. SCAN's reply shows it as 0, like [`Cursor::START`].
    pub const END: Cursor = Cursor((SLOTS as u64) << 32);

    /// The cursor a client sent. One that we never gave counts as the end.
    pub fn from_number(number: u64) -> Cursor {
        Cursor(number).min(Cursor::END)
    }

    /// The number to show to a client; 0 at the end.
    pub fn number(self) -> u64 {
        if self == Cursor::END { 0 } else { self.0 }
    }

    /// The beginning of a slot, or the end for [`SLOTS`] and above.
    pub fn at_slot(slot: usize) -> Cursor {
        Cursor((slot as u64) << 32).min(Cursor::END)
    }

    /// The slot it stands in, or `None` at the end.
    pub fn slot(self) -> Option<Slot> {
        Slot::new((self.0 >> 32) as u16)
    }

    fn slot_number(self) -> usize {
        (self.0 >> 32) as usize
    }

    pub(super) fn position(self) -> u32 {
        self.0 as u32
    }

    fn at(slot: usize, position: u32) -> Cursor {
        Cursor((slot as u64) << 32 | u64::from(position))
    }
}

impl Database {
    /// Visits entries from a cursor on, until `limit` or a few more were visited. Returns where to go on, or
    /// [`Cursor::END`].
    pub fn scan<'a>(&'a self, from: Cursor, limit: usize, f: impl FnMut(EntryRef<'a>)) -> Cursor {
        self.scan_slots(0..SLOTS, from, limit, f)
    }

    /// As [`Self::scan`], within a range of slots. At the range's end the cursor returned stands at its end.
    pub fn scan_slots<'a>(
        &'a self,
        slots: Range<usize>,
        from: Cursor,
        limit: usize,
        mut f: impl FnMut(EntryRef<'a>),
    ) -> Cursor {
        let slots = slots.start..slots.end.min(SLOTS);
        let mut visited = 0;
        let mut at = from.max(Cursor::at_slot(slots.start));
        while at.slot_number() < slots.end {
            let slot = at.slot_number();
            let Some(block) = self.filled_block(slot / BLOCK_SLOTS) else {
                at = Cursor::at_slot((slot / BLOCK_SLOTS + 1) * BLOCK_SLOTS);
                continue;
            };
            let table = &block.tables[slot % BLOCK_SLOTS];
            at = match table.scan(at.position(), limit, &mut visited, &mut f) {
                Some(position) => return Cursor::at(slot, position),
                None => Cursor::at_slot(slot + 1),
            };
            if visited >= limit {
                return at.min(Cursor::at_slot(slots.end));
            }
        }
        Cursor::at_slot(slots.end).max(from)
    }

    /// Active expiry: takes out entries that expire before `now` and hands them to `f`, from the cursor on, until about `limit` entries were
    /// looked at or the end is reached; the cursor then is [`Cursor::END`]. Tables in which nothing is due cost
    /// nothing, those in which something is due are looked through whole. Returns how many entries were looked at.
    pub fn expire_step(
        &mut self,
        cursor: &mut Cursor,
        now: i64,
        limit: usize,
        mut f: impl FnMut(super::entry::OwnedEntry),
    ) -> usize {
        let mut looked_at = 0;
        let mut at = *cursor;
        while let (Some(slot), true) = (at.slot(), looked_at < limit) {
            if self.block_next_expiry(slot.block()) >= now {
                at = Cursor::at_slot((slot.block() + 1) * BLOCK_SLOTS);
                continue;
            }
            let rest = self.expire_in_slot(slot, at.position(), now, limit, &mut looked_at, &mut f);
            at = match rest {
                Some(position) => Cursor::at(slot.number().into(), position),
                None => Cursor::at_slot(usize::from(slot.number()) + 1),
            };
            if at.slot_number() % BLOCK_SLOTS == 0 && at.position() == 0 {
                self.refresh_block_next_expiry(slot.block());
            }
        }
        *cursor = at;
        looked_at
    }
}
