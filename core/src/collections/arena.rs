//! A log-structured arena: the memory of all records of one collection.
//!
//! A record is some bytes that got a number ([`RecordId`]) when they were pushed. Records lie one after the other in
//! pages of 64 KiB, so a collection of a million members is a few hundred allocations, is walked in the order of
//! memory, and is freed in no time. To free a record only marks it as dead; when dead bytes are more than about a
//! quarter of all, [`Arena::tidy`] moves what is alive out of the emptiest pages, a few records per call, and tells the
//! owner which numbers have changed. The idea is that of log-structured memory (Rumble, Kejriwal and Ousterhout,
//! FAST '14), with one thread.
//!
//! A page number and a place in the page, in units of four bytes, make up the 32 bits of a record's number; so an arena
//! ends at 16 GiB of records. Payloads of more than 4 KiB do not count there: each is an allocation of its own, and the
//! page holds a reference to it.
//!
//! A clone shares all pages and payloads with the original, which costs a step for each page and for every 64 payloads
//! outside of them. Either copies what it changes while the other is there: a page, or one payload.
//!
//! The arena is owned by one collection. It knows nothing of what the bytes mean; finding records by what they hold is
//! the business of `records`.
//!
//! A record in a page: a header of one or two bytes, the payload, zeros up to a multiple of four.
//!
//! | bits of the first byte | what |
//! | --- | --- |
//! | 7 | the record is dead |
//! | 6 | a second byte holds bits 6…13 of the length |
//! | 0…5 | the low bits of the payload's length |
//!
//! A length of 16,383 means a payload that lies elsewhere: its number follows in bytes 4…7.

mod page;
mod tidy;

use super::cow::{COUNTS_BYTES, CopyOnWrite};
use super::pool::Pool;
use page::{
    AWAY_BYTES, Header, PAGE_BYTES, PAGE_RECORDS_BYTES, PAYLOAD_MAX, Page, UNIT_BYTES, capacity_for,
};
use tidy::Tidying;

/// The page number is in the bits above.
const UNITS_BITS: u32 = (PAGE_BYTES / UNIT_BYTES).trailing_zeros();

/// Pages an arena can have.
const PAGES_MAX: usize = 1 << (u32::BITS - UNITS_BITS);

/// The number of a record, valid until the record is freed or [`Arena::tidy`] says that it has a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u32);

impl RecordId {
    /// The number as it is, for whoever stores many.
    #[inline]
    pub fn to_bits(self) -> u32 {
        self.0
    }

    /// A number that [`Self::to_bits`] gave. With any other the arena panics, or answers with bytes that are no
    /// record's.
    #[inline]
    pub fn from_bits(bits: u32) -> RecordId {
        RecordId(bits)
    }

    #[inline]
    fn new(page: usize, at: usize) -> RecordId {
        RecordId((page as u32) << UNITS_BITS | (at / UNIT_BYTES) as u32)
    }

    #[inline]
    fn page(self) -> usize {
        (self.0 >> UNITS_BITS) as usize
    }

    /// The record's first byte in its page.
    #[inline]
    fn at(self) -> usize {
        (self.0 & ((1 << UNITS_BITS) - 1)) as usize * UNIT_BYTES
    }
}

#[derive(Clone, Debug, Default)]
pub struct Arena {
    pages: Vec<Page>,
    /// Numbers of pages that were given back.
    free_pages: Vec<u32>,
    /// The page that new records go to; of no meaning while there are no pages.
    head: usize,
    /// Payloads that lie outside of pages. One that was freed is empty.
    away: Pool<CopyOnWrite<[u8]>>,
    free_away: Vec<u32>,
    /// Bytes of records that are alive.
    live: usize,
    /// Bytes of records in all pages.
    used: usize,
    /// Bytes of pages and of payloads outside of them.
    allocated: usize,
    tidying: Tidying,
}

impl Arena {
    pub fn new() -> Arena {
        Arena::default()
    }

    /// Whether a record fits whatever its length. If not, [`Self::push`] panics.
    pub fn has_room(&self) -> bool {
        self.pages.len() < PAGES_MAX - 1 || !self.free_pages.is_empty()
    }

    /// What is allocated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.allocated
            + self.pages.capacity() * size_of::<Page>()
            + self.away.memory_bytes()
            + (self.free_pages.capacity() + self.free_away.capacity()) * size_of::<u32>()
    }

    /// The payload of a record.
    ///
    /// # Panics
    /// May do so when the number is not that of a record.
    #[inline]
    pub fn get(&self, id: RecordId) -> &[u8] {
        let record = self.pages[id.page()].record(id.at());
        match Header::short(record[0]) {
            Some(payload) => &record[payload],
            None => self.get_long(record),
        }
    }

    fn get_long<'a>(&'a self, record: &'a [u8]) -> &'a [u8] {
        let header = Header::read(record);
        match header.away(record) {
            Some(number) => &self.away[number],
            None => &record[header.payload()],
        }
    }

    /// The payload of a record, to be overwritten.
    #[inline]
    pub fn get_mut(&mut self, id: RecordId) -> &mut [u8] {
        let record = self.pages[id.page()].record_mut(id.at());
        let header = Header::read(record);
        match header.away(record) {
            Some(number) => self.away[number].to_mut(),
            None => &mut record[header.payload()],
        }
    }

    /// A new record of these bytes, put together.
    ///
    /// # Panics
    /// If there is no room: see [`Self::has_room`].
    #[inline]
    pub fn push(&mut self, parts: &[&[u8]]) -> RecordId {
        let length = parts.iter().map(|part| part.len()).sum();
        if length > PAYLOAD_MAX {
            return self.push_away(parts);
        }
        let header = Header::new(length);
        let page = self.page_for(header.size());
        let at = page.push(header, parts);
        self.live += header.size();
        self.used += header.size();
        RecordId::new(self.head, at)
    }

    fn push_away(&mut self, parts: &[&[u8]]) -> RecordId {
        let payload = CopyOnWrite::from_parts(parts);
        self.allocated += away_bytes(&payload);
        let number = match self.free_away.pop() {
            Some(number) => {
                self.away[number] = payload;
                number
            }
            None => self.away.push(payload),
        };
        let at = self.page_for(AWAY_BYTES).push_away(number);
        self.live += AWAY_BYTES;
        self.used += AWAY_BYTES;
        RecordId::new(self.head, at)
    }

    /// Gives a record other bytes if that can be done where it lies.
    #[inline]
    pub fn overwrite(&mut self, id: RecordId, parts: &[&[u8]]) -> bool {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let record = self.pages[id.page()].record_mut(id.at());
        let header = Header::read(record);
        if let Some(number) = header.away(record) {
            if length <= PAYLOAD_MAX {
                return false;
            }
            let payload = &mut self.away[number];
            self.allocated = self.allocated - payload.len() + length;
            *payload = CopyOnWrite::from_parts(parts);
            return true;
        }
        if length > PAYLOAD_MAX || Header::new(length).size() != header.size() {
            return false;
        }
        page::write(&mut record[..header.size()], Header::new(length), parts);
        true
    }

    /// Frees a record.
    pub fn free(&mut self, id: RecordId) {
        let record = self.pages[id.page()].record_mut(id.at());
        let header = Header::read(record);
        debug_assert!(!header.is_dead(), "a record is freed once");
        Header::mark_dead(record);
        if let Some(number) = header.away(record) {
            self.allocated -= away_bytes(&std::mem::take(&mut self.away[number]));
            self.free_away.push(number);
        }
        self.count_dead(id.page(), header.size());
        self.owe(header.size());
    }

    /// So many bytes of a page are no longer alive. The page goes if they were the last.
    fn count_dead(&mut self, number: usize, size: usize) {
        let page = &mut self.pages[number];
        page.count_dead(size);
        self.live -= size;
        if page.live() > 0 {
            return;
        }
        self.used -= page.len();
        if number == self.head {
            page.clear();
        } else {
            self.allocated -= std::mem::take(page).allocated_bytes();
            self.free_pages.push(number as u32);
            self.page_is_gone(number);
        }
    }

    /// The page for a new record, with room for so many bytes.
    #[inline]
    fn page_for(&mut self, size: usize) -> &mut Page {
        if self.pages.get(self.head).is_none_or(|page| page.room() < size) {
            self.make_room(size);
        }
        &mut self.pages[self.head]
    }

    #[cold]
    fn make_room(&mut self, size: usize) {
        // What is there says how much may come: a page begins with an eighth of it, and grows by that.
        let ahead = self.live / 8;
        match self.pages.get_mut(self.head) {
            Some(page) if page.len() + size <= PAGE_RECORDS_BYTES => {
                self.allocated -= page.allocated_bytes();
                page.grow(capacity_for(page.len() + size.max(ahead)));
                self.allocated += page.allocated_bytes();
            }
            _ => self.open_page(size.max(ahead)),
        }
    }

    /// Begins a page with room for so many bytes, or for as many as a page can hold.
    fn open_page(&mut self, bytes: usize) {
        let mut page = Page::default();
        page.grow(capacity_for(bytes));
        self.allocated += page.allocated_bytes();
        match self.free_pages.pop() {
            Some(number) => {
                self.head = number as usize;
                self.pages[self.head] = page;
            }
            None => {
                assert!(
                    self.pages.len() < PAGES_MAX,
                    "a collection has more than 16 GiB of records"
                );
                self.head = self.pages.len();
                self.pages.push(page);
            }
        }
    }

    /// All records that are alive, in the order of memory.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, &[u8])> {
        self.iter_from(RecordId(0))
    }

    /// As [`Self::iter`], from one of them on.
    pub fn iter_from(&self, first: RecordId) -> impl Iterator<Item = (RecordId, &[u8])> {
        (first.page()..self.pages.len()).flat_map(move |number| {
            let at = if number == first.page() { first.at() } else { 0 };
            let alive =
                self.pages[number].records_from(at).filter(|(_, header, _)| !header.is_dead());
            alive.map(move |(at, header, record)| {
                let payload = match header.away(record) {
                    Some(number) => &self.away[number],
                    None => &record[header.payload()],
                };
                (RecordId::new(number, at), payload)
            })
        })
    }

    /// Frees about so many allocations, whatever is in them, and returns whether something is left. All records are
    /// gone with the first call.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.pages.truncate(self.pages.len().saturating_sub(budget));
        for _ in 0..budget {
            if self.away.pop().is_none() {
                break;
            }
        }
        let is_left = !self.pages.is_empty() || self.away.len() > 0;
        if !is_left {
            *self = Arena::new();
        }
        is_left
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let (mut live, mut used, mut allocated) = (0, 0, 0);
        for (number, page) in self.pages.iter().enumerate() {
            let records = page.records_from(0).collect::<Vec<_>>();
            let size = |dead| {
                let wanted = records.iter().filter(|(_, header, _)| header.is_dead() == dead);
                wanted.map(|(_, header, _)| header.size()).sum::<usize>()
            };
            assert_eq!(page.live(), size(false));
            assert_eq!(page.len(), size(false) + size(true));
            assert!(page.live() > 0 || page.len() == 0);
            let is_free = self.free_pages.contains(&(number as u32));
            assert_eq!(page.capacity() == 0 && number != self.head, is_free, "page {number}");
            live += page.live();
            used += page.len();
            allocated += page.allocated_bytes();
        }
        allocated +=
            (0..self.away.len()).map(|number| away_bytes(&self.away[number])).sum::<usize>();
        assert_eq!((live, used, allocated), (self.live, self.used, self.allocated));
    }
}

/// What a payload outside of pages has allocated.
fn away_bytes(payload: &CopyOnWrite<[u8]>) -> usize {
    if payload.is_empty() { 0 } else { payload.len() + COUNTS_BYTES }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize, u8),
        Overwrite(usize, usize, u8),
        Free(usize),
    }

    fn length() -> impl Strategy<Value = usize> {
        prop_oneof![20 => 0..70usize, 4 => 0..600usize, 1 => 4_000..5_000usize]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (length(), any::<u8>()).prop_map(|(length, byte)| Step::Push(length, byte)),
            1 => (any::<usize>(), length(), any::<u8>())
                .prop_map(|(which, length, byte)| Step::Overwrite(which, length, byte)),
            3 => any::<usize>().prop_map(Step::Free),
        ]
    }

    /// Runs the steps on an arena and on a plain map from number to bytes.
    fn check(steps: &[Step]) {
        let mut arena = Arena::new();
        let mut model: BTreeMap<RecordId, Vec<u8>> = BTreeMap::new();
        for step in steps {
            match *step {
                Step::Push(length, byte) => {
                    let (front, back) = (vec![byte; length / 2], vec![!byte; length - length / 2]);
                    let id = arena.push(&[&front, &back]);
                    assert_eq!(model.insert(id, [front, back].concat()), None);
                }
                Step::Overwrite(which, length, byte) => {
                    let Some((&id, bytes)) = nth(&mut model, which) else { continue };
                    let new = vec![byte; length];
                    if arena.overwrite(id, &[&new]) {
                        *bytes = new;
                    } else {
                        assert_ne!(bytes.len(), length, "the same length always fits");
                    }
                }
                Step::Free(which) => {
                    let Some((&id, _)) = nth(&mut model, which) else { continue };
                    model.remove(&id);
                    arena.free(id);
                }
            }
            arena.tidy(|payload, old, new| {
                let bytes = model.remove(&old).expect("only what is alive is moved");
                assert_eq!(payload, bytes);
                assert_eq!(model.insert(new, bytes), None);
            });
            arena.check_invariants();
        }
        for (&id, bytes) in &model {
            assert_eq!(arena.get(id), bytes);
            assert_eq!(arena.get_mut(id), bytes);
        }
        let all: BTreeMap<RecordId, Vec<u8>> =
            arena.iter().map(|(id, payload)| (id, payload.to_vec())).collect();
        assert_eq!(all, model);
        assert!(
            model
                .keys()
                .all(|&id| arena.iter_from(id).eq(arena.iter().filter(|each| each.0 >= id)))
        );
        // A clone stays as it was.
        let clone = arena.clone();
        for (number, &id) in model.keys().enumerate() {
            match number % 3 {
                0 => arena.free(id),
                1 => arena.get_mut(id).fill(7),
                _ => drop(arena.overwrite(id, &[&[8; 20]])),
            }
        }
        arena.push(&[&[9; 5000]]);
        arena.tidy(|_, _, _| {});
        arena.check_invariants();
        clone.check_invariants();
        drop(arena);
        assert!(clone.iter().eq(model.iter().map(|(&id, payload)| (id, &payload[..]))));
    }

    fn nth(
        model: &mut BTreeMap<RecordId, Vec<u8>>,
        which: usize,
    ) -> Option<(&RecordId, &mut Vec<u8>)> {
        let index = which.checked_rem(model.len())?;
        model.iter_mut().nth(index)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn an_arena_holds_what_a_map_holds(steps in prop::collection::vec(step(), 0..400)) {
            check(&steps);
        }
    }

    #[test]
    fn lengths_about_the_limits_of_headers_and_pages_are_kept() {
        let mut arena = Arena::new();
        let lengths = (0..200).chain(4_000..4_200).chain([65_535, 65_536, 70_000]);
        let payloads: Vec<Vec<u8>> =
            lengths.map(|length| (0..length).map(|index| index as u8 | 1).collect()).collect();
        let ids: Vec<RecordId> = payloads.iter().map(|payload| arena.push(&[payload])).collect();
        arena.check_invariants();
        for (id, payload) in ids.into_iter().zip(&payloads) {
            assert_eq!(arena.get(id), payload);
        }
    }

    #[test]
    fn a_small_arena_takes_little_memory() {
        let mut arena = Arena::new();
        for number in 0..200u32 {
            arena.push(&[b"member:", &number.to_le_bytes()]);
        }
        assert!(arena.memory_bytes() < 200 * 12 * 5 / 4 + 256, "{}", arena.memory_bytes());
    }

    #[test]
    fn what_is_freed_and_pushed_again_for_ever_does_not_add_up() {
        for count in [10, 200, 20_000] {
            let mut arena = Arena::new();
            let mut ids: Vec<RecordId> =
                (0..count).map(|number: u32| arena.push(&[&number.to_le_bytes()[..]; 3])).collect();
            let mut random = 1u64;
            let mut memory_bytes_max = 0;
            for number in 0..count * 5 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let which = (random >> 33) as usize % ids.len();
                arena.free(ids[which]);
                ids[which] =
                    arena.push(&[&number.to_le_bytes(), &(which as u32).to_le_bytes(), b"...."]);
                arena.tidy(|payload, _, new| {
                    let which = u32::from_le_bytes(payload[4..8].try_into().unwrap());
                    // Those from the beginning hold their own number there as well.
                    ids[which as usize] = new;
                });
                memory_bytes_max = memory_bytes_max.max(arena.memory_bytes());
            }
            arena.check_invariants();
            assert_eq!(arena.iter().count(), count as usize);
            let wanted = count as usize * 16;
            let most = wanted * 4 / 3 + wanted.min(2 << 16) + 4_096;
            assert!(memory_bytes_max < most, "{memory_bytes_max} for {wanted}");
        }
    }

    #[test]
    fn an_arena_that_loses_nearly_all_gives_memory_back() {
        let mut arena = Arena::new();
        let mut ids: BTreeMap<u32, RecordId> = (0..50_000)
            .map(|number: u32| (number, arena.push(&[&number.to_le_bytes()[..]; 4])))
            .collect();
        let full = arena.memory_bytes();
        for number in 0..49_900 {
            arena.free(ids.remove(&(number * 7 % 50_000)).unwrap());
            arena.tidy(|payload, old, new| {
                let number = u32::from_le_bytes(payload[..4].try_into().unwrap());
                assert_eq!(ids.insert(number, new), Some(old));
            });
        }
        arena.check_invariants();
        assert!(arena.memory_bytes() < full / 50, "{} of {full}", arena.memory_bytes());
    }

    #[test]
    fn dropped_bit_by_bit_it_ends_empty() {
        let mut arena = Arena::new();
        for number in 0..30_000u32 {
            arena.push(&[&number.to_le_bytes()[..]; 4]);
        }
        arena.push(&[&[1; 100_000]]);
        let mut steps = 1;
        while arena.drop_some(2) {
            steps += 1;
        }
        assert!((3..20).contains(&steps), "{steps}");
        assert_eq!(arena.memory_bytes(), 0);
        arena.check_invariants();
    }
}
