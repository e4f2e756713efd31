//! A database: the tables of all slots that one shard owns, and their counts.
//!
//! Tables lie in blocks of neighbouring slots, allocated when the first key comes, so an empty database costs next to
//! nothing. The shard's core owns it. Bytes are counted as they are allocated, so `maxmemory` needs no walk.

use super::capture::Capture;
use super::detached::Detached;
use super::entry::{EntryRef, OwnedEntry};
use super::field_expiries::FieldExpiries;
use super::key::{Hasher, Key};
use super::table::{Counts, SlotTable, TablePlace};
use crate::slot::{BLOCK_SLOTS, BLOCKS, Slot};

/// What a write does to the expiry that the key had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    Keep,
    Clear,
    /// Milliseconds since the Unix epoch.
    At(i64),
}

impl Expiry {
    #[inline]
    fn after(self, before: Option<i64>) -> Option<i64> {
        match self {
            Expiry::Keep => before,
            Expiry::Clear => None,
            Expiry::At(at) => Some(at),
        }
    }
}

pub struct Database {
    hasher: Hasher,
    blocks: Box<[Option<Box<Block>>; BLOCKS]>,
    len: usize,
    expiring: usize,
    entry_bytes: usize,
    table_bytes: usize,
    field_expiries: FieldExpiries,
    /// That of all entries which a capture under way has taken or passes by.
    pub(super) phase: bool,
    pub(super) capture: Option<Box<Capture>>,
}

/// The tables of neighbouring slots, with their sums.
pub(super) struct Block {
    pub(super) tables: [SlotTable; BLOCK_SLOTS],
    len: usize,
    expiring: usize,
    /// No entry expires earlier.
    next_expiry: i64,
}

impl Database {
    pub fn new(hasher: Hasher) -> Database {
        let blocks = Box::new([const { None }; BLOCKS]);
        Database {
            hasher,
            blocks,
            len: 0,
            expiring: 0,
            entry_bytes: 0,
            table_bytes: 0,
            field_expiries: FieldExpiries::default(),
            phase: false,
            capture: None,
        }
    }

    /// What hashes this database's keys.
    #[inline]
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of entries that expire.
    #[inline]
    pub fn expiring_len(&self) -> usize {
        self.expiring
    }

    /// Number of entries of a slot.
    pub fn slot_len(&self, slot: Slot) -> usize {
        self.table(slot).map_or(0, SlotTable::len)
    }

    /// Bytes of all entries with their values.
    #[inline]
    pub fn entry_bytes(&self) -> usize {
        self.entry_bytes
    }

    /// Bytes of the tables.
    #[inline]
    pub fn table_bytes(&self) -> usize {
        self.table_bytes
    }

    /// Bytes of entries and tables.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.entry_bytes + self.table_bytes + self.field_expiries.memory_bytes()
    }

    /// The hashes that have fields which expire.
    #[inline]
    pub fn field_expiries(&self) -> &FieldExpiries {
        &self.field_expiries
    }

    /// The entry of a key. It stays where it is until it or its table is changed.
    #[inline]
    pub fn get(&self, key: &Key<'_>) -> Option<EntryRef<'_>> {
        let table = self.table(key.slot)?;
        let place = table.find(key.position(), key.bytes)?;
        Some(table.entry(place))
    }

    /// Sets a string, whatever was there; it is stored as an integer if it is the canonical form of one.
    #[inline]
    pub fn set_string(&mut self, key: &Key<'_>, value: &[u8], expiry: Expiry, access: u32) {
        let Some(place) = self.find(key) else {
            self.insert_new(key, OwnedEntry::string(key.bytes, value, expiry.after(None), access));
            return;
        };
        self.hand_over(key.slot, place);
        let sets_expiry = matches!(expiry, Expiry::At(_));
        let table = self.table_mut(key.slot).expect("an entry was found there");
        if sets_expiry || !table.overwrite_same_shape(place, value, access) {
            self.update(key.slot, place, |entry| {
                entry.set_string(value, expiry.after(entry.get().expire_at()), access);
            });
        }
    }

    /// As [`Self::set_string`], but the string stays as it is even if it looks like an integer.
    #[inline]
    pub fn set_plain_string(&mut self, key: &Key<'_>, value: &[u8], expiry: Expiry, access: u32) {
        self.upsert(
            key,
            |entry| entry.set_plain_string(value, expiry.after(entry.get().expire_at()), access),
            || OwnedEntry::plain_string(key.bytes, value, expiry.after(None), access),
        );
    }

    /// Sets an integer, whatever was there.
    #[inline]
    pub fn set_integer(&mut self, key: &Key<'_>, number: i64, expiry: Expiry, access: u32) {
        self.upsert(
            key,
            |entry| entry.set_integer(number, expiry.after(entry.get().expire_at()), access),
            || OwnedEntry::integer(key.bytes, number, expiry.after(None), access),
        );
    }

    /// Makes the value a string of `bytes` bytes, filled up with zeros, and gives it for writing. An integer becomes
    /// the string it stands for, a key that is not there an empty string that does not expire. Repeated growth costs
    /// amortised constant time per byte.
    pub fn resize_string(&mut self, key: &Key<'_>, bytes: usize, access: u32) -> &mut [u8] {
        let place = self.upsert(
            key,
            |entry| {
                entry.resize_string(bytes);
                entry.get().set_access(access);
            },
            || {
                let mut entry = OwnedEntry::plain_string(key.bytes, b"", None, access);
                entry.resize_string(bytes);
                entry
            },
        );
        self.block_mut(key.slot).tables[key.slot.place_in_block()].string_mut(place)
    }

    /// Lets `f` change the entry of a key, its key excepted; `None`: there is none. A snapshot under way first gets its
    /// present state.
    #[inline]
    pub fn edit<R>(
        &mut self,
        key: &Key<'_>,
        f: impl FnOnce(&mut OwnedEntry, &Hasher) -> R,
    ) -> Option<R> {
        let place = self.find(key)?;
        Some(self.update_hashed(key.slot, place, f))
    }

    /// Replaces or removes the expiry. Returns whether the key is there.
    pub fn set_expiry(&mut self, key: &Key<'_>, expire_at: Option<i64>) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.update(key.slot, place, |entry| entry.set_expiry(expire_at));
        true
    }

    /// Puts in an entry, in place of the key's old one if there is one, which is returned.
    ///
    /// # Panics
    /// If the entry has another key.
    pub fn insert(&mut self, key: &Key<'_>, entry: OwnedEntry) -> Option<OwnedEntry> {
        assert_eq!(
            entry.get().key(),
            key.bytes,
            "an entry is inserted under another key than its own"
        );
        match self.find(key) {
            Some(place) => Some(self.update(key.slot, place, |old| std::mem::replace(old, entry))),
            None => {
                self.insert_new(key, entry);
                None
            }
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, key: &Key<'_>) -> Option<OwnedEntry> {
        let place = self.find(key)?;
        self.hand_over(key.slot, place);
        let entry = self.change(key.slot, |table, hasher| table.remove(place, hasher));
        self.entry_bytes -= entry.get().memory_bytes();
        if !self.field_expiries.is_empty() {
            self.field_expiries.set(key.bytes, None);
        }
        Some(entry)
    }

    /// An entry by chance, all with about the same chance. `random` is uniform over all numbers.
    pub fn random(&self, random: u64) -> Option<EntryRef<'_>> {
        let mut index = below(random, self.len)?;
        for block in self.blocks.iter().flatten() {
            if index >= block.len {
                index -= block.len;
                continue;
            }
            for table in &block.tables {
                if index < table.len() {
                    return table.nth(index);
                }
                index -= table.len();
            }
        }
        None
    }

    /// Visits up to `limit` entries (of those that expire, if so wanted) that lie together around a place chosen by
    /// chance: cheap, but only the place is random. For eviction. Returns how many.
    pub fn sample<'a>(
        &'a self,
        random: u64,
        limit: usize,
        expiring_only: bool,
        mut f: impl FnMut(EntryRef<'a>),
    ) -> usize {
        let all = if expiring_only { self.expiring } else { self.len };
        let Some(mut index) = below(random, all) else { return 0 };
        let count = |counts: Counts| if expiring_only { counts.expiring } else { counts.len };
        let blocks = self.blocks.iter().flatten().filter_map(|block| {
            let len = if expiring_only { block.expiring } else { block.len };
            (len > 0).then_some((&**block, len))
        });
        let mut visited = 0;
        let mut found = false;
        // From the table that holds the chosen one on, round the end if there is not enough behind it.
        for (block, len) in blocks.clone().chain(blocks) {
            if !found && index >= len {
                index -= len;
                continue;
            }
            for table in &block.tables {
                let len = count(table.counts());
                if !found && index >= len {
                    index -= len;
                    continue;
                }
                found = true;
                if len > 0 {
                    // The low bits, other than those that chose the table.
                    let random = random.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    visited += table.sample(random, limit - visited, expiring_only, &mut f);
                }
                if visited >= limit.min(all) {
                    return visited;
                }
            }
        }
        visited
    }

    /// Visits all entries.
    pub fn for_each<'a>(&'a self, mut f: impl FnMut(EntryRef<'a>)) {
        for block in self.blocks.iter().flatten() {
            block.tables.iter().for_each(|table| table.for_each(&mut f));
        }
    }

    /// Empties the database at once; what was in it can be freed later. Returns how many entries that were.
    pub fn clear(&mut self) -> (usize, Detached) {
        let (len, memory_bytes) = (self.len, self.memory_bytes());
        let blocks = self.blocks.iter_mut().enumerate();
        let blocks = blocks.filter_map(|(number, block)| Some((number, block.take()?))).collect();
        let blocks = self.keep_for_capture(blocks);
        (self.len, self.expiring, self.entry_bytes, self.table_bytes) = (0, 0, 0, 0);
        let (left, memory_bytes) = if blocks.is_empty() { (0, 0) } else { (len, memory_bytes) };
        let field_expiries = std::mem::take(&mut self.field_expiries);
        (len, Detached { len: left, memory_bytes, blocks, field_expiries })
    }

    /// First of three stages that fetch, for a batch of keys, what [`Self::get`] will look at: all keys go through
    /// one stage before the next, so that each finds in the cache what the one before asked for.
    #[inline]
    pub fn prefetch_table(&self, key: &Key<'_>) {
        if let Some(table) = self.table(key.slot) {
            table.prefetch();
        }
    }

    /// Second stage.
    #[inline]
    pub fn prefetch_bucket(&self, key: &Key<'_>) {
        if let Some(table) = self.table(key.slot) {
            table.prefetch_bucket(key.position());
        }
    }

    /// How much of an entry is worth fetching: up to the last byte of an average one, at most four lines.
    pub fn prefetch_bytes(&self) -> usize {
        (self.entry_bytes / self.len.max(1)).clamp(1, 256) - 1
    }

    /// Third stage; `bytes` is what [`Self::prefetch_bytes`] said, asked once per batch.
    #[inline]
    pub fn prefetch_entry(&self, key: &Key<'_>, bytes: usize) {
        if let Some(table) = self.table(key.slot) {
            table.prefetch_entry(key.position(), bytes);
        }
    }

    #[inline]
    fn table(&self, slot: Slot) -> Option<&SlotTable> {
        self.blocks[slot.block()].as_ref().map(|block| &block.tables[slot.place_in_block()])
    }

    #[inline]
    fn block_mut(&mut self, slot: Slot) -> &mut Block {
        self.blocks[slot.block()].get_or_insert_with(|| {
            self.table_bytes += size_of::<Block>();
            Box::new(Block::new())
        })
    }

    #[inline]
    fn table_mut(&mut self, slot: Slot) -> Option<&mut SlotTable> {
        self.blocks[slot.block()].as_mut().map(|block| &mut block.tables[slot.place_in_block()])
    }

    #[inline]
    fn find(&self, key: &Key<'_>) -> Option<TablePlace> {
        self.table(key.slot)?.find(key.position(), key.bytes)
    }

    #[inline]
    fn upsert(
        &mut self,
        key: &Key<'_>,
        update: impl FnOnce(&mut OwnedEntry),
        create: impl FnOnce() -> OwnedEntry,
    ) -> TablePlace {
        match self.find(key) {
            Some(place) => {
                self.update(key.slot, place, update);
                place
            }
            None => self.insert_new(key, create()),
        }
    }

    /// Before an entry is changed or goes: its present state is handed over if a capture still wants it.
    #[inline]
    fn hand_over(&mut self, slot: Slot, place: TablePlace) {
        if self.capture.is_some() {
            self.hand_over_to_capture(slot, place);
        }
    }

    #[cold]
    fn hand_over_to_capture(&mut self, slot: Slot, place: TablePlace) {
        let Database { blocks, capture: Some(capture), phase, .. } = self else { return };
        let block = blocks[slot.block()].as_ref().expect("an entry was found there");
        let entry = block.tables[slot.place_in_block()].entry(place);
        if entry.phase() != *phase {
            capture.take(entry, *phase);
        }
    }

    /// Changes an entry, and keeps the counts.
    #[inline]
    fn update<R>(
        &mut self,
        slot: Slot,
        place: TablePlace,
        f: impl FnOnce(&mut OwnedEntry) -> R,
    ) -> R {
        self.update_hashed(slot, place, |entry, _| f(entry))
    }

    /// As [`Self::update`], with what hashes the members of collections.
    #[inline]
    fn update_hashed<R>(
        &mut self,
        slot: Slot,
        place: TablePlace,
        f: impl FnOnce(&mut OwnedEntry, &Hasher) -> R,
    ) -> R {
        self.hand_over(slot, place);
        let phase = self.phase;
        let hasher = &self.hasher;
        let field_expiries = &mut self.field_expiries;
        let block = self.blocks[slot.block()].as_mut().expect("an entry was found there");
        let table = &mut block.tables[slot.place_in_block()];
        let (result, before, after, expire_at) = table.update(place, |entry| {
            let before = entry.get().footprint();
            let next_field = entry.get().next_field_expiry();
            let result = f(entry, hasher);
            let next_field_now = entry.get().next_field_expiry();
            if next_field != next_field_now {
                field_expiries.set(entry.get().key(), next_field_now);
            }
            // It may be another entry, from a database of another phase.
            entry.get().set_phase(phase);
            (result, before, entry.get().footprint(), entry.get().expire_at())
        });
        if let Some(at) = expire_at {
            block.next_expiry = block.next_expiry.min(at);
        }
        if before != after {
            self.entry_bytes = self.entry_bytes + after.bytes() - before.bytes();
            let (expired, expires) = (usize::from(before.expires()), usize::from(after.expires()));
            block.expiring = block.expiring + expires - expired;
            self.expiring = self.expiring + expires - expired;
        }
        result
    }

    #[inline]
    fn insert_new(&mut self, key: &Key<'_>, entry: OwnedEntry) -> TablePlace {
        self.entry_bytes += entry.get().memory_bytes();
        entry.get().set_phase(self.phase);
        if let Some(next) = entry.get().next_field_expiry() {
            self.field_expiries.set(key.bytes, Some(next));
        }
        let position = key.position();
        self.change(key.slot, |table, hasher| table.insert(position, entry, hasher))
    }

    /// Changes a table, and keeps the counts except for the entries' bytes.
    #[inline]
    fn change<R>(&mut self, slot: Slot, f: impl FnOnce(&mut SlotTable, &Hasher) -> R) -> R {
        self.block_mut(slot);
        let block = self.blocks[slot.block()].as_mut().expect("allocated just now");
        let table = &mut block.tables[slot.place_in_block()];
        let before = table.counts();
        let result = f(table, &self.hasher);
        let after = table.counts();
        block.next_expiry = block.next_expiry.min(table.next_expiry());
        block.len = block.len + after.len - before.len;
        block.expiring = block.expiring + after.expiring - before.expiring;
        self.len = self.len + after.len - before.len;
        self.expiring = self.expiring + after.expiring - before.expiring;
        self.table_bytes = self.table_bytes + after.table_bytes - before.table_bytes;
        result
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let mut sums = Counts { len: 0, expiring: 0, table_bytes: 0 };
        for block in self.blocks.iter().flatten() {
            let counts = || block.tables.iter().map(SlotTable::counts);
            assert_eq!(block.len, counts().map(|counts| counts.len).sum());
            assert_eq!(block.expiring, counts().map(|counts| counts.expiring).sum());
            sums.len += block.len;
            sums.expiring += block.expiring;
            sums.table_bytes +=
                size_of::<Block>() + counts().map(|counts| counts.table_bytes).sum::<usize>();
            for table in &block.tables {
                assert!(block.next_expiry <= table.next_expiry());
                table.check_invariants(&self.hasher);
            }
        }
        assert_eq!(
            sums,
            Counts { len: self.len, expiring: self.expiring, table_bytes: self.table_bytes }
        );
        let mut entry_bytes = 0;
        self.for_each(|entry| entry_bytes += entry.memory_bytes());
        assert_eq!(entry_bytes, self.entry_bytes);
        let mut first = None;
        let mut with_times = 0;
        self.for_each(|entry| {
            if let Some(next) = entry.next_field_expiry() {
                with_times += 1;
                first = Some(first.unwrap_or((next, entry.key())).min((next, entry.key())));
            }
        });
        assert_eq!(self.field_expiries.len(), with_times);
        assert_eq!(self.field_expiries.first(), first);
    }

    /// A block that holds entries.
    pub(super) fn filled_block(&self, block: usize) -> Option<&Block> {
        self.blocks[block].as_deref().filter(|block| block.len > 0)
    }

    /// No entry of the block expires earlier.
    pub(super) fn block_next_expiry(&self, block: usize) -> i64 {
        self.blocks[block].as_ref().map_or(i64::MAX, |block| block.next_expiry)
    }

    /// After a look through a block, or a part of it: makes the bound as sharp as its tables' are.
    pub(super) fn refresh_block_next_expiry(&mut self, block: usize) {
        if let Some(block) = &mut self.blocks[block] {
            let all = block.tables.iter().map(SlotTable::next_expiry);
            block.next_expiry = all.min().unwrap_or(i64::MAX);
        }
    }

    /// One slot's part of [`Database::expire_step`]. Returns where to go on in it, or `None` at its end.
    pub(super) fn expire_in_slot(
        &mut self,
        slot: Slot,
        from: u32,
        now: i64,
        limit: usize,
        looked_at: &mut usize,
        f: &mut impl FnMut(OwnedEntry),
    ) -> Option<u32> {
        if self.table(slot)?.next_expiry() >= now {
            return None;
        }
        let mut bytes = 0;
        let phase = self.phase;
        let mut capture = self.capture.take();
        let mut field_expiries = std::mem::take(&mut self.field_expiries);
        let rest = self.change(slot, |table, hasher| {
            table.expire(from, now, limit, looked_at, hasher, &mut |entry| {
                bytes += entry.get().memory_bytes();
                if !field_expiries.is_empty() {
                    field_expiries.set(entry.get().key(), None);
                }
                if let Some(capture) = &mut capture
                    && entry.get().phase() != phase
                {
                    capture.take(entry.get(), phase);
                }
                f(entry);
            })
        });
        self.capture = capture;
        self.field_expiries = field_expiries;
        self.entry_bytes -= bytes;
        rest
    }
}

impl Block {
    fn new() -> Block {
        Block {
            tables: std::array::from_fn(|_| SlotTable::new()),
            len: 0,
            expiring: 0,
            next_expiry: i64::MAX,
        }
    }
}

/// A number below `bound`, or `None` if there is none.
#[inline]
fn below(random: u64, bound: usize) -> Option<usize> {
    (bound > 0).then(|| ((u128::from(random) * bound as u128) >> u64::BITS) as usize)
}
