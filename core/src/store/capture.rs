//! A database as it stood at a cut, taken while it goes on changing.
//!
//! Every entry has one bit, its phase, and so has the database. At the cut ([`Database::begin_capture`]) the
//! database's flips, so all entries that are there are now of the other phase: still to be taken. The sweep
//! ([`Database::capture_some`]) goes through the tables in the order of the hash, takes every such entry and moves it
//! to the database's phase. A write to an entry that the sweep has not reached first hands over the entry's old state
//! ([`Capture::take`]); an entry born later has the new phase from the beginning and is passed by. So each entry is
//! taken once, as it was, and what it costs in memory is what was overwritten and has not been sent yet. All of it comes
//! in parts of one size, whoever took it: so a step is bounded however much was overwritten.
//!
//! A large collection is not written when it is taken but held by reference ([`slices`]), and written in slices while it
//! goes on changing. Its bytes must not be torn apart: until its last slice was fetched, what is handed over meanwhile
//! waits, and [`Captured::is_open`] says so to whoever puts the parts of several databases together.
//!
//! Tables that are emptied meanwhile (FLUSHALL) are kept until the sweep has been through them. SWAPDB moves the
//! database with its capture, which knows the number that the database had at the cut.
//!
//! Source: the versioned snapshots that Dragonfly describes (its docs/rdbsave.md), with a bit per entry in place of a
//! version per bucket: one snapshot at a time needs no more.

use super::database::{Block, Database};
use super::detached::Detached;
use super::entry::EntryRef;
use super::garbage;
use super::scan::Cursor;
use crate::eviction::access_hint;
use crate::rdb::Format;
use crate::rdb::entry::{write_entry, write_entry_front, write_key};
use crate::rdb::pieces::Pieces;
use crate::rdb::slices::{self, Slices};
use crate::rdb::value::type_byte_of;
use crate::shard::ShardSettings;
use crate::slot::BLOCK_SLOTS;
use std::collections::VecDeque;

/// How entries are written.
#[derive(Clone, Copy, Debug)]
pub struct CaptureOptions {
    /// How values are written: long strings compressed (files), or sent by reference (sockets), never both.
    pub format: Format,
    /// Strings outside of their entry are sent by reference from this length on, in bytes.
    pub reference_bytes_min: usize,
    /// Large collections that occupy so many bytes are held and written in slices.
    pub held_bytes_min: usize,
    /// What is taken comes in parts of about so many bytes; a single string may be longer.
    pub part_bytes: usize,
    /// The time of the cut, in milliseconds since the Unix epoch.
    pub now: i64,
}

/// What is still to be taken of a database, and what was handed over and not fetched yet.
pub(super) struct Capture {
    number: usize,
    options: CaptureOptions,
    /// The shard's at the cut: they say what an entry's access clock means.
    settings: ShardSettings,
    /// Where the sweep goes on in the database's own tables, and whether it is through.
    cursor: Cursor,
    /// Blocks that were emptied, by the number they had, with the slot and position where the sweep goes on.
    emptied: Vec<EmptiedBlock>,
    /// Whole entries. Never empty: the last is being filled, those before it are full.
    parts: VecDeque<Part>,
    full_bytes: usize,
    /// Entries that are written in slices, to be fetched before `parts` once the first has begun.
    held: VecDeque<Held>,
    /// Nobody wants the rest: entries are only moved to the new phase.
    given_up: bool,
}

struct EmptiedBlock {
    block: Box<Block>,
    table: usize,
    position: u32,
}

/// Entries in RDB form.
struct Part {
    bytes: Pieces,
    /// Those that end in it.
    entries: u64,
}

impl Part {
    /// Empty. Has its memory from the beginning: growing would take some of every size in between, and what all parts
    /// have in common the allocator gives to the next.
    fn new(part_bytes: usize) -> Part {
        const ROOM_MAX: usize = 64 << 10;
        let room = part_bytes.min(ROOM_MAX);
        Part { bytes: Pieces::with_capacity(room + room / 4), entries: 0 }
    }
}

/// An entry that is written in slices.
struct Held {
    /// The entry up to its value; empty once that was fetched.
    front: Vec<u8>,
    slices: Box<dyn Slices>,
}

impl Held {
    fn has_begun(&self) -> bool {
        self.front.is_empty()
    }

    /// Appends the next slice; `true`: it was the last.
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        out.append(&mut self.front);
        self.slices.write_some(out, bytes_max)
    }
}

/// Part of a database's state at the cut, in RDB form.
#[derive(Debug, Default)]
pub struct Captured {
    /// The number that the database had at the cut.
    pub database: usize,
    /// Entries that end in this part.
    pub entries: u64,
    pub bytes: Pieces,
    /// The last entry goes on in the database's next part, right behind this.
    pub is_open: bool,
}

impl Capture {
    /// Writes an entry as it is now, and moves it to the phase given.
    #[inline]
    pub(super) fn take(&mut self, entry: EntryRef<'_>, phase: bool) {
        entry.set_phase(phase);
        if self.given_up {
            return;
        }
        let CaptureOptions { format, reference_bytes_min, held_bytes_min, now, .. } = self.options;
        let hint = access_hint(entry.access(), &self.settings, now);
        let (key, value, expire_at) = (entry.key(), entry.value(), entry.expire_at());
        if let Some(slices) = slices::hold(&value, format, held_bytes_min) {
            let mut front = Vec::new();
            write_key(&mut front, key, type_byte_of(&value, format), expire_at, hint);
            self.held.push_back(Held { front, slices });
            return;
        }
        let part = self.part_to_fill();
        part.entries += 1;
        if !format.compress
            && let Some(value) = entry.share_large_from(reference_bytes_min)
        {
            write_entry_front(part.bytes.tail(), key, value.len(), expire_at, hint);
            part.bytes.refer(value);
        } else {
            write_entry(part.bytes.tail(), key, &value, expire_at, hint, format);
        }
    }

    fn part_to_fill(&mut self) -> &mut Part {
        if self.last_part_bytes() >= self.options.part_bytes {
            self.full_bytes += self.last_part_bytes();
            self.parts.push_back(Part::new(self.options.part_bytes));
        }
        self.parts.back_mut().expect("one is being filled")
    }

    fn last_part_bytes(&self) -> usize {
        self.parts.back().map_or(0, |part| part.bytes.len())
    }

    fn has_full_part(&self) -> bool {
        self.parts.len() > 1 || self.last_part_bytes() >= self.options.part_bytes
    }

    /// The oldest part.
    fn pop_part(&mut self) -> Part {
        if self.parts.len() == 1 {
            self.parts.push_back(Part::new(self.options.part_bytes));
            return self.parts.pop_front().expect("there is one");
        }
        let part = self.parts.pop_front().expect("there are several");
        self.full_bytes -= part.bytes.len();
        part
    }

    fn put_part_first(&mut self, part: Part) {
        self.full_bytes += part.bytes.len();
        self.parts.push_front(part);
    }

    /// Whether the last part that was fetched ends in the middle of an entry.
    fn is_open(&self) -> bool {
        self.held.front().is_some_and(Held::has_begun)
    }

    /// Whole entries, unless one is open, and the next slices of those that are held.
    fn write_held(&mut self) -> Part {
        let part_bytes = self.options.part_bytes;
        let mut part = if self.is_open() { Part::new(part_bytes) } else { self.pop_part() };
        while part.bytes.len() < part_bytes
            && let Some(held) = self.held.front_mut()
        {
            let left = part_bytes - part.bytes.len();
            if held.write_some(part.bytes.tail(), left) {
                part.entries += 1;
                self.drop_first_held();
            }
        }
        part
    }

    fn drop_first_held(&mut self) {
        if let Some(held) = self.held.pop_front() {
            garbage::discard(held.slices);
        }
    }

    fn captured(&self, part: Part) -> Captured {
        let Part { bytes, entries } = part;
        Captured { database: self.number, entries, bytes, is_open: self.is_open() }
    }

    fn keep(&mut self, blocks: impl Iterator<Item = (usize, Box<Block>)>) {
        for (number, block) in blocks {
            let first = number * BLOCK_SLOTS;
            // What the sweep has been through has nothing left to take.
            let (table, position) = match self.cursor.slot() {
                Some(slot) if usize::from(slot.number()) >= first => {
                    (usize::from(slot.number()) - first, self.cursor.position())
                }
                Some(_) => (0, 0),
                None => (BLOCK_SLOTS, 0),
            };
            self.emptied.push(EmptiedBlock { block, table, position });
        }
    }
}

impl Database {
    /// The cut: from now on the database's present state is taken. `number` is the database's.
    ///
    /// # Panics
    /// If a capture is under way.
    pub fn begin_capture(
        &mut self,
        number: usize,
        options: CaptureOptions,
        settings: &ShardSettings,
    ) {
        assert!(self.capture.is_none(), "one snapshot at a time");
        if self.is_empty() {
            return;
        }
        self.phase = !self.phase;
        self.capture = Some(Box::new(Capture {
            number,
            options,
            settings: settings.clone(),
            cursor: Cursor::START,
            emptied: Vec::new(),
            parts: [Part::new(options.part_bytes)].into(),
            full_bytes: 0,
            held: VecDeque::new(),
            given_up: false,
        }));
    }

    pub fn is_captured(&self) -> bool {
        self.capture.is_some()
    }

    /// Bytes that writes have handed over and nobody has fetched.
    pub fn handed_over_bytes(&self) -> usize {
        self.capture.as_ref().map_or(0, |capture| capture.full_bytes + capture.last_part_bytes())
    }

    /// The rest is not wanted any more; the sweep must still go through, without bringing anything.
    pub fn give_up_capture(&mut self) {
        if let Some(capture) = &mut self.capture {
            capture.given_up = true;
            capture.parts = [Part::new(0)].into();
            capture.full_bytes = 0;
            while !capture.held.is_empty() {
                capture.drop_first_held();
            }
        }
    }

    /// Whether the last part ended in the middle of an entry.
    pub fn is_capture_open(&self) -> bool {
        self.capture.as_ref().is_some_and(|capture| capture.is_open())
    }

    /// The next part: of what was handed over, or else of the sweep's next entries, of which `entries_max` are looked at;
    /// `None` once all was taken, or while nothing is captured. Tables that were emptied come back in `freed` when the
    /// sweep has been through them.
    pub fn capture_some(
        &mut self,
        entries_max: usize,
        freed: &mut Vec<Detached>,
    ) -> Option<Captured> {
        let mut capture = self.capture.take()?;
        let phase = self.phase;
        if !capture.held.is_empty() {
            let part = capture.write_held();
            if !capture.held.is_empty() {
                let captured = capture.captured(part);
                self.capture = Some(capture);
                return Some(captured);
            }
            capture.put_part_first(part);
        }
        let mut looked_at = 0;
        // Small steps, so that many large values do not come at once.
        const STEP_ENTRIES: usize = 16;
        let mut through = false;
        while capture.held.is_empty() && !capture.has_full_part() && looked_at < entries_max {
            looked_at += STEP_ENTRIES;
            let take = |entry: EntryRef<'_>, capture: &mut Capture| {
                if entry.phase() != phase {
                    capture.take(entry, phase);
                }
            };
            if let Some(mut emptied) = capture.emptied.pop() {
                if emptied.sweep(STEP_ENTRIES, |entry| take(entry, &mut capture)) {
                    freed.push(Detached::of_block(emptied.block));
                } else {
                    capture.emptied.push(emptied);
                }
            } else if capture.cursor != Cursor::END {
                let from = capture.cursor;
                capture.cursor = self.scan(from, STEP_ENTRIES, |entry| take(entry, &mut capture));
            } else {
                through = true;
                break;
            }
        }
        let part = capture.pop_part();
        let captured = capture.captured(part);
        if !through {
            self.capture = Some(capture);
        } else if captured.entries == 0 {
            return None;
        }
        Some(captured)
    }

    /// Emptied blocks go to the capture, if one is under way; otherwise the caller frees them.
    #[expect(clippy::vec_box, reason = "blocks come as boxes, and are not worth copying")]
    pub(super) fn keep_for_capture(&mut self, blocks: Vec<(usize, Box<Block>)>) -> Vec<Box<Block>> {
        match &mut self.capture {
            Some(capture) => {
                capture.keep(blocks.into_iter());
                Vec::new()
            }
            None => blocks.into_iter().map(|(_, block)| block).collect(),
        }
    }
}

impl EmptiedBlock {
    /// Goes on through the block; `true` at its end.
    fn sweep(&mut self, limit: usize, mut f: impl FnMut(EntryRef<'_>)) -> bool {
        let mut visited = 0;
        while let Some(table) = self.block.tables.get(self.table) {
            match table.scan(self.position, limit, &mut visited, &mut |entry| f(entry)) {
                Some(position) => {
                    self.position = position;
                    return false;
                }
                None => (self.table, self.position) = (self.table + 1, 0),
            }
        }
        true
    }
}
