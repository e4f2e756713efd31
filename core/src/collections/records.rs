//! The members of one large collection, found by their keys: records in an [`Arena`](super::arena), and a hash index
//! over them.
//!
//! What a record holds beside its key, and where, is said by a [`Layout`]: nothing for the members of a set
//! ([`Member`]), a score for those of a sorted set ([`Scored`]), a value and perhaps an expiry time for the fields of a
//! hash ([`Field`]).
//!
//! A [`RecordId`] stays valid until a method that takes `moved` says otherwise: such a method may give other records new
//! numbers, to keep waste small, and tells the old and the new one with the record itself. Whoever stores numbers
//! elsewhere (in a tree, by expiry) must then put the new one in the place of the old.
//!
//! Hashes come from the process's [`Hasher`], whose seed all shards share, so that a collection can be moved between
//! them. Whoever looks for one key in several collections hashes it once.
//!
//! A million members of twelve bytes take about 23 bytes each, all in.

mod layout;
mod still;

pub use super::arena::RecordId;
pub use layout::{Field, FieldParts, Layout, Member, Scored};
pub use still::StillRecords;

use super::arena::Arena;
use super::hash_index::HashIndex;
use crate::store::{Hasher, same_bytes};
use std::marker::PhantomData;

pub struct Records<L> {
    arena: Arena,
    index: HashIndex,
    layout: PhantomData<L>,
}

impl<L: Layout> Records<L> {
    pub fn new() -> Records<L> {
        Records { arena: Arena::new(), index: HashIndex::default(), layout: PhantomData }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is allocated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.arena.memory_bytes() + self.index.memory_bytes()
    }

    /// Whether another record fits, whatever its length. A collection ends at about 16 GiB of records, where those of
    /// more than four kilobytes do not count; beyond, insertions panic.
    pub fn has_room(&self) -> bool {
        self.arena.has_room()
    }

    /// The record with a key. `hash` is [`Hasher::hash`] of it.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<RecordId> {
        let is_it = |number| same_bytes(L::key(self.arena.get(RecordId::from_bits(number))), key);
        self.index.find(hash, is_it).map(RecordId::from_bits)
    }

    #[inline]
    pub fn contains(&self, hash: u64, key: &[u8]) -> bool {
        self.find(hash, key).is_some()
    }

    /// The bytes of a record, as [`Layout`] says.
    #[inline]
    pub fn record(&self, id: RecordId) -> &[u8] {
        self.arena.get(id)
    }

    #[inline]
    pub fn key(&self, id: RecordId) -> &[u8] {
        L::key(self.arena.get(id))
    }

    /// Puts in a record whose key is not there yet, put together from `parts` (see the layout's own `parts`). `hash`
    /// is that of the key. The number returned takes account of what `moved` was told.
    ///
    /// # Panics
    /// When there is no room: see [`Self::has_room`].
    #[inline]
    pub fn insert(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        parts: &[&[u8]],
        moved: impl FnMut(&[u8], RecordId, RecordId),
    ) -> RecordId {
        let id = self.arena.push(parts);
        debug_assert_eq!(hash, hasher.hash(self.key(id)));
        let Records { arena, index, .. } = self;
        index.insert(hash, id.to_bits(), hash_of::<L>(arena, hasher));
        self.tidy(hasher, Some(id), moved).unwrap_or(id)
    }

    /// Gives a record other bytes, its key staying the same, in its place if they fit there. Returns its number from
    /// now on; `moved` hears of others only.
    #[inline]
    pub fn replace(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        id: RecordId,
        parts: &[&[u8]],
        moved: impl FnMut(&[u8], RecordId, RecordId),
    ) -> RecordId {
        if self.arena.overwrite(id, parts) {
            return id;
        }
        let new = self.arena.push(parts);
        debug_assert_eq!(hash, hasher.hash(self.key(new)));
        self.index.replace(hash, id.to_bits(), new.to_bits());
        self.arena.free(id);
        self.tidy(hasher, Some(new), moved).unwrap_or(new)
    }

    /// Takes a record out. `hash` is that of its key.
    #[inline]
    pub fn remove(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        id: RecordId,
        moved: impl FnMut(&[u8], RecordId, RecordId),
    ) {
        let Records { arena, index, .. } = self;
        debug_assert_eq!(hash, hasher.hash(L::key(arena.get(id))));
        index.remove(hash, id.to_bits(), hash_of::<L>(arena, hasher));
        arena.free(id);
        self.tidy(hasher, None, moved);
    }

    /// Lets the arena give back memory. Returns the new number of `watched` if it has got one, of which `moved` does
    /// not hear.
    #[inline]
    fn tidy(
        &mut self,
        hasher: &Hasher,
        watched: Option<RecordId>,
        mut moved: impl FnMut(&[u8], RecordId, RecordId),
    ) -> Option<RecordId> {
        let Records { arena, index, .. } = self;
        let mut renamed = None;
        arena.tidy(|record, old, new| {
            index.replace(hasher.hash(L::key(record)), old.to_bits(), new.to_bits());
            if renamed.or(watched) == Some(old) {
                renamed = Some(new);
            } else {
                moved(record, old, new);
            }
        });
        renamed
    }

    /// Visits records in the order of their keys' hashes, until `limit` were visited or a few more. Begins at a
    /// cursor, at first 0, and returns the one to go on from: 0 at the end, otherwise less than 2⁴⁸.
    ///
    /// A record that is there from the first call to the last is visited at least once, whatever happens to others
    /// between the calls.
    pub fn scan(&self, cursor: u64, limit: usize, mut f: impl FnMut(RecordId, &[u8])) -> u64 {
        self.index.scan(cursor, limit, |number| {
            let id = RecordId::from_bits(number);
            f(id, self.arena.get(id));
        })
    }

    /// A record chosen by random bits, each about as likely as any other: to within a few percent.
    #[inline]
    pub fn random(&self, random: u64) -> Option<RecordId> {
        self.index.random(random).map(RecordId::from_bits)
    }

    /// All records, in the order of memory: the fastest way to see all of them, in an order that means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (RecordId, &[u8])> {
        self.arena.iter()
    }

    /// The records as they are now, which they stay whatever happens to these. Costs a step for each 64 KiB.
    pub fn hold(&self) -> StillRecords<L> {
        StillRecords::new(self.arena.clone(), self.len())
    }

    /// Frees about so many allocations, and returns whether something is left. After the first call nothing else may
    /// be called but this.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.index.drop_some(budget) | self.arena.drop_some(budget)
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self, hasher: &Hasher) {
        self.arena.check_invariants();
        self.index.check_invariants(hash_of::<L>(&self.arena, hasher));
        assert_eq!(self.arena.iter().count(), self.len());
    }
}

impl Records<Scored> {
    #[inline]
    pub fn score(&self, id: RecordId) -> f64 {
        Scored::score(self.arena.get(id))
    }

    /// Gives a record another score, where it is.
    #[inline]
    pub fn set_score(&mut self, id: RecordId, score: f64) {
        Scored::set_score(self.arena.get_mut(id), score);
    }
}

impl Records<Field> {
    #[inline]
    pub fn value(&self, id: RecordId) -> &[u8] {
        Field::value(self.arena.get(id))
    }

    /// The value, to be overwritten by one of the same length.
    #[inline]
    pub fn value_mut(&mut self, id: RecordId) -> &mut [u8] {
        Field::value_mut(self.arena.get_mut(id))
    }

    /// When the field expires, if it does.
    #[inline]
    pub fn expire_at(&self, id: RecordId) -> Option<i64> {
        Field::expire_at(self.arena.get(id))
    }
}

impl<L: Layout> Default for Records<L> {
    fn default() -> Records<L> {
        Records::new()
    }
}

impl<L> Clone for Records<L> {
    /// Records keep their numbers.
    fn clone(&self) -> Records<L> {
        Records { arena: self.arena.clone(), index: self.index.clone(), layout: PhantomData }
    }
}

/// What the index asks for when it must hash again.
#[inline]
fn hash_of<L: Layout>(arena: &Arena, hasher: &Hasher) -> impl Fn(u32) -> u64 {
    |number| hasher.hash(L::key(arena.get(RecordId::from_bits(number))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn hasher() -> Hasher {
        Hasher::new([1, 2, 3, 4])
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Sets fields from a number on, so many, to values of a length, with an expiry or not.
        Set(u32, u32, usize, Option<i64>),
        Remove(u32, u32),
        Scan,
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = prop_oneof![8 => 0..80usize, 1 => 3_000..6_000usize];
        let expiry = prop::option::of(any::<i64>());
        prop_oneof![
            3 => (0..3_000u32, 0..800u32, length, expiry)
                .prop_map(|(from, count, length, at)| Step::Set(from, count, length, at)),
            2 => (0..3_000u32, 0..800u32).prop_map(|(from, count)| Step::Remove(from, count)),
            1 => Just(Step::Scan),
        ]
    }

    fn key(number: u32) -> Vec<u8> {
        let mut key = format!("field:{number}").into_bytes();
        key.resize(key.len() + if number % 50 == 0 { 100 } else { 0 }, b'.');
        key
    }

    /// Keeps the numbers that the records have, as a sorted set's tree does.
    #[derive(Default)]
    struct Owner {
        records: Records<Field>,
        ids: BTreeMap<Vec<u8>, RecordId>,
        model: BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>,
    }

    impl Owner {
        fn set(&mut self, hasher: &Hasher, key: Vec<u8>, value: Vec<u8>, at: Option<i64>) {
            let Owner { records, ids, model } = self;
            let hash = hasher.hash(&key);
            let parts = Field::parts(&key, &value, at);
            let moved = |record: &[u8], old, new| {
                assert_eq!(ids.insert(Field::key(record).to_vec(), new), Some(old));
            };
            let id = match records.find(hash, &key) {
                Some(id) => records.replace(hasher, hash, id, &parts.slices(), moved),
                None => records.insert(hasher, hash, &parts.slices(), moved),
            };
            ids.insert(key.clone(), id);
            model.insert(key, (value, at));
        }

        fn remove(&mut self, hasher: &Hasher, key: &[u8]) {
            let Owner { records, ids, model } = self;
            let hash = hasher.hash(key);
            let id = records.find(hash, key);
            assert_eq!(id, ids.remove(key));
            assert_eq!(id.is_some(), model.remove(key).is_some());
            let Some(id) = id else { return };
            records.remove(hasher, hash, id, |record, old, new| {
                assert_eq!(ids.insert(Field::key(record).to_vec(), new), Some(old));
            });
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn records_hold_what_a_map_holds(steps in prop::collection::vec(step(), 0..24)) {
            let hasher = hasher();
            let mut owner = Owner::default();
            for step in steps {
                match step {
                    Step::Set(from, count, length, at) => {
                        for number in from..from + count {
                            let value = vec![number as u8; length];
                            owner.set(&hasher, key(number), value, at);
                        }
                    }
                    Step::Remove(from, count) => {
                        for number in from..from + count {
                            owner.remove(&hasher, &key(number));
                        }
                    }
                    Step::Scan => {
                        let mut seen = BTreeSet::new();
                        let mut cursor = 0;
                        loop {
                            cursor = owner.records.scan(cursor, 10, |_, record| {
                                seen.insert(Field::key(record).to_vec());
                            });
                            if cursor == 0 {
                                break;
                            }
                        }
                        prop_assert!(seen.iter().eq(owner.model.keys()));
                    }
                }
                owner.records.check_invariants(&hasher);
                prop_assert_eq!(owner.records.len(), owner.model.len());
            }
            let Owner { records, ids, model } = &owner;
            for (key, (value, at)) in model {
                let id = records.find(hasher.hash(key), key);
                prop_assert_eq!(id, Some(ids[key]));
                prop_assert_eq!(records.key(ids[key]), &key[..]);
                prop_assert_eq!(records.value(ids[key]), &value[..]);
                prop_assert_eq!(records.expire_at(ids[key]), *at);
            }
            let seen: BTreeMap<_, _> = records.iter().map(|(id, record)| (Field::key(record).to_vec(), id)).collect();
            prop_assert_eq!(&seen, ids);
            let clone = records.clone();
            clone.check_invariants(&hasher);
            if let Some(id) = clone.random(7) {
                prop_assert_eq!(clone.key(id), records.key(id));
            }
        }
    }

    #[test]
    fn a_member_of_twelve_bytes_takes_less_than_24() {
        let hasher = hasher();
        for count in [100_000, 300_000, 500_000] {
            let mut records: Records<Member> = Records::new();
            for number in 0..count {
                let key = format!("member{number:06}");
                records.insert(
                    &hasher,
                    hasher.hash(key.as_bytes()),
                    &[key.as_bytes()],
                    |_, _, _| {},
                );
            }
            let each = records.memory_bytes() as f64 / f64::from(count);
            assert!(each < 24.0, "{each} bytes with {count}");
        }
    }

    #[test]
    fn a_score_is_overwritten_in_its_place() {
        let hasher = hasher();
        let mut records: Records<Scored> = Records::new();
        let long = vec![b'x'; 10_000];
        for key in [&b"a"[..], b"", &long] {
            let hash = hasher.hash(key);
            let id = records.insert(
                &hasher,
                hash,
                &Scored::parts(&1.5f64.to_le_bytes(), key),
                |_, _, _| {},
            );
            assert_eq!(records.score(id), 1.5);
            records.set_score(id, -2.0);
            assert_eq!(records.find(hash, key), Some(id));
            assert_eq!(records.score(id), -2.0);
        }
    }

    #[test]
    fn a_value_is_overwritten_in_its_place() {
        let hasher = hasher();
        let mut records: Records<Field> = Records::new();
        let hash = hasher.hash(b"key");
        let id = records.insert(
            &hasher,
            hash,
            &Field::parts(b"key", b"old", Some(5)).slices(),
            |_, _, _| {},
        );
        records.value_mut(id).copy_from_slice(b"new");
        assert_eq!(
            (records.key(id), records.value(id), records.expire_at(id)),
            (&b"key"[..], &b"new"[..], Some(5))
        );
    }

    #[test]
    fn dropped_bit_by_bit_nothing_is_left() {
        let hasher = hasher();
        let mut records: Records<Member> = Records::new();
        for number in 0..100_000u32 {
            let key = number.to_le_bytes();
            records.insert(&hasher, hasher.hash(&key), &[&key], |_, _, _| {});
        }
        let mut steps = 1;
        while records.drop_some(4) {
            steps += 1;
        }
        assert!((4..40).contains(&steps), "{steps}");
        assert_eq!(records.memory_bytes(), 0);
    }
}
