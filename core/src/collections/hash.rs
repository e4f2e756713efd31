//! A large hash: fields with values, some of which expire.
//!
//! A field is one record of [`Records`] (name, value, and eight bytes more if it expires), found by the hash of its
//! name. Fields that expire are in an index by time besides, so that those whose time has come are found without a walk;
//! a hash of which none expires pays nothing for it. A time is a number to be compared with others: what is due is said
//! by the caller, and a field that is due stays until somebody removes it.
//!
//! A small hash without times is a packed blob instead, which is not the business of this file; nor is when a hash
//! becomes large.

use super::records::{Field, RecordId, Records, StillRecords};
use crate::store::Hasher;
use std::collections::BTreeSet;

/// What an entry of the index by time takes, about: its 16 bytes in nodes that are two thirds full.
const EXPIRY_BYTES: usize = 32;

#[derive(Clone, Default)]
pub struct Hash {
    fields: Records<Field>,
    /// When, and which record: all fields that expire.
    expiries: BTreeSet<(i64, RecordId)>,
}

/// A field as it is in a [`Hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRef<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub expire_at: Option<i64>,
}

impl<'a> FieldRef<'a> {
    /// What a record of a hash holds.
    #[inline]
    pub fn of(record: &'a [u8]) -> FieldRef<'a> {
        let (name, value) = Field::key_and_value(record);
        FieldRef { name, value, expire_at: Field::expire_at(record) }
    }
}

/// What setting a value does to the time at which the field expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldExpiry {
    Keep,
    Clear,
    At(i64),
}

impl Hash {
    pub fn new() -> Hash {
        Hash::default()
    }

    /// All fields, those that are due among them.
    #[inline]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What is allocated, in bytes; of the index by time an estimate.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.fields.memory_bytes() + self.expiries.len() * EXPIRY_BYTES
    }

    /// As [`Records::has_room`].
    pub fn has_room(&self) -> bool {
        self.fields.has_room()
    }

    /// `hash` is [`Hasher::hash`] of the name, here and below.
    #[inline]
    pub fn get(&self, hash: u64, name: &[u8]) -> Option<FieldRef<'_>> {
        let id = self.fields.find(hash, name)?;
        Some(FieldRef::of(self.fields.record(id)))
    }

    /// Sets a field to a value; true if it was not there.
    ///
    /// # Panics
    /// When there is no room: see [`Self::has_room`].
    #[inline]
    pub fn set(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        name: &[u8],
        value: &[u8],
        expiry: FieldExpiry,
    ) -> bool {
        let Some(id) = self.fields.find(hash, name) else {
            let expire_at = match expiry {
                FieldExpiry::At(at) => Some(at),
                FieldExpiry::Keep | FieldExpiry::Clear => None,
            };
            self.insert(hasher, hash, name, value, expire_at);
            return true;
        };
        let before = self.fields.expire_at(id);
        let after = match expiry {
            FieldExpiry::Keep => before,
            FieldExpiry::Clear => None,
            FieldExpiry::At(at) => Some(at),
        };
        if before == after && self.fields.value(id).len() == value.len() {
            self.fields.value_mut(id).copy_from_slice(value);
        } else {
            self.replace(hasher, hash, id, (name, value), before, after);
        }
        false
    }

    /// Gives a field another time, or none; false if it is not there.
    pub fn set_expiry(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        name: &[u8],
        expire_at: Option<i64>,
    ) -> bool {
        let Some(id) = self.fields.find(hash, name) else { return false };
        let before = self.fields.expire_at(id);
        if before != expire_at {
            let value = self.fields.value(id).to_vec();
            self.replace(hasher, hash, id, (name, &value), before, expire_at);
        }
        true
    }

    /// Takes a field out; false if it is not there.
    #[inline]
    pub fn remove(&mut self, hasher: &Hasher, hash: u64, name: &[u8]) -> bool {
        let Some(id) = self.fields.find(hash, name) else { return false };
        self.take_out(hasher, hash, id);
        true
    }

    /// When the first field expires, if any does.
    #[inline]
    pub fn next_expiry(&self) -> Option<i64> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// How many fields expire sooner or later.
    pub fn expiring_len(&self) -> usize {
        self.expiries.len()
    }

    /// How many fields expire before `time`. Costs a step for each of them.
    #[inline]
    pub fn due_len(&self, time: i64) -> usize {
        self.expiries.iter().take_while(|(at, _)| *at < time).count()
    }

    /// Takes out the field that expires first, if that is before `time`, and gives its name.
    pub fn take_due(&mut self, hasher: &Hasher, time: i64) -> Option<Vec<u8>> {
        let &(at, id) = self.expiries.first()?;
        if at >= time {
            return None;
        }
        let name = self.fields.key(id).to_vec();
        self.take_out(hasher, hasher.hash(&name), id);
        Some(name)
    }

    /// A field chosen by random bits, each about as likely as any other.
    #[inline]
    pub fn random(&self, random: u64) -> Option<FieldRef<'_>> {
        self.fields.random(random).map(|id| FieldRef::of(self.fields.record(id)))
    }

    /// All fields. The order changes only with the hash.
    pub fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> {
        self.fields.iter().map(|(_, record)| FieldRef::of(record))
    }

    /// As [`Records::scan`].
    pub fn scan(&self, cursor: u64, limit: usize, mut f: impl FnMut(FieldRef<'_>)) -> u64 {
        self.fields.scan(cursor, limit, |_, record| f(FieldRef::of(record)))
    }

    /// As [`Records::hold`]. [`FieldRef::of`] tells what is in them.
    pub fn hold(&self) -> StillRecords<Field> {
        self.fields.hold()
    }

    /// As [`Records::drop_some`].
    pub fn drop_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if self.expiries.pop_first().is_none() {
                break;
            }
        }
        self.fields.drop_some(budget) | !self.expiries.is_empty()
    }

    fn insert(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        name: &[u8],
        value: &[u8],
        expire_at: Option<i64>,
    ) {
        let Hash { fields, expiries } = self;
        let parts = Field::parts(name, value, expire_at);
        let id = fields.insert(hasher, hash, &parts.slices(), |record, old, new| {
            follow(expiries, record, old, new);
        });
        if let Some(at) = expire_at {
            expiries.insert((at, id));
        }
    }

    /// Gives a record another value or time.
    fn replace(
        &mut self,
        hasher: &Hasher,
        hash: u64,
        id: RecordId,
        (name, value): (&[u8], &[u8]),
        before: Option<i64>,
        after: Option<i64>,
    ) {
        let Hash { fields, expiries } = self;
        // Out of the index first: others may get this record's number.
        if let Some(at) = before {
            expiries.remove(&(at, id));
        }
        let parts = Field::parts(name, value, after);
        let id = fields.replace(hasher, hash, id, &parts.slices(), |record, old, new| {
            follow(expiries, record, old, new);
        });
        if let Some(at) = after {
            expiries.insert((at, id));
        }
    }

    fn take_out(&mut self, hasher: &Hasher, hash: u64, id: RecordId) {
        let Hash { fields, expiries } = self;
        if let Some(at) = fields.expire_at(id) {
            expiries.remove(&(at, id));
        }
        fields.remove(hasher, hash, id, |record, old, new| follow(expiries, record, old, new));
    }

    #[cfg(test)]
    fn check_invariants(&self, hasher: &Hasher) {
        self.fields.check_invariants(hasher);
        let expiring = |(id, record)| Some((Field::expire_at(record)?, id));
        let wanted: BTreeSet<_> = self.fields.iter().filter_map(expiring).collect();
        assert_eq!(self.expiries, wanted);
    }
}

/// A record has got another number.
#[inline]
fn follow(expiries: &mut BTreeSet<(i64, RecordId)>, record: &[u8], old: RecordId, new: RecordId) {
    if let Some(at) = Field::expire_at(record) {
        expiries.remove(&(at, old));
        expiries.insert((at, new));
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields: Vec<FieldRef> = self.iter().collect();
        fields.sort_by_key(|field| field.name);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let shown = |field: FieldRef| (text(field.name), (text(field.value), field.expire_at));
        f.debug_map().entries(fields.into_iter().map(shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashSet};

    fn hasher() -> Hasher {
        Hasher::new([1, 2, 3, 4])
    }

    /// A field's value and time.
    type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

    #[derive(Clone, Debug)]
    enum Step {
        /// From a field on, so many, to values of a length.
        Set(u32, u32, usize, FieldExpiry),
        SetExpiry(u32, u32, Option<i64>),
        Remove(u32, u32),
        /// All that are due at a time, up to a number of them.
        TakeDue(i64, usize),
        Clone,
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = prop_oneof![8 => 0..60usize, 1 => 3_000..6_000usize];
        let expiry = prop_oneof![
            Just(FieldExpiry::Keep),
            Just(FieldExpiry::Clear),
            (0..1000i64).prop_map(FieldExpiry::At),
        ];
        let (from, count) = (0..2_000u32, 0..500u32);
        prop_oneof![
            4 => (from.clone(), count.clone(), length, expiry)
                .prop_map(|(from, count, length, expiry)| Step::Set(from, count, length, expiry)),
            1 => (from.clone(), count.clone(), prop::option::of(0..1000i64))
                .prop_map(|(from, count, at)| Step::SetExpiry(from, count, at)),
            2 => (from, count).prop_map(|(from, count)| Step::Remove(from, count)),
            1 => (0..1000i64, 0..300usize).prop_map(|(time, max)| Step::TakeDue(time, max)),
            1 => Just(Step::Clone),
        ]
    }

    fn name(number: u32) -> Vec<u8> {
        format!("field:{number}").into_bytes()
    }

    fn apply(step: &Step, hash: &mut Hash, model: &mut Model) {
        let hasher = hasher();
        match *step {
            Step::Set(from, count, length, expiry) => {
                for number in from..from + count {
                    let (name, value) = (name(number), vec![b'a' + (number % 26) as u8; length]);
                    let is_new = hash.set(&hasher, hasher.hash(&name), &name, &value, expiry);
                    let before = model.get(&name);
                    assert_eq!(is_new, before.is_none());
                    let expire_at = match expiry {
                        FieldExpiry::Keep => before.and_then(|(_, at)| *at),
                        FieldExpiry::Clear => None,
                        FieldExpiry::At(at) => Some(at),
                    };
                    model.insert(name, (value, expire_at));
                }
            }
            Step::SetExpiry(from, count, at) => {
                for name in (from..from + count).map(name) {
                    let found = hash.set_expiry(&hasher, hasher.hash(&name), &name, at);
                    let field = model.get_mut(&name);
                    assert_eq!(found, field.is_some());
                    if let Some((_, expire_at)) = field {
                        *expire_at = at;
                    }
                }
            }
            Step::Remove(from, count) => {
                for name in (from..from + count).map(name) {
                    let removed = hash.remove(&hasher, hasher.hash(&name), &name);
                    assert_eq!(removed, model.remove(&name).is_some());
                }
            }
            Step::TakeDue(time, max) => {
                let due = model.values().filter(|(_, at)| at.is_some_and(|at| at < time)).count();
                assert_eq!(hash.due_len(time), due);
                let mut last = i64::MIN;
                for left in (0..due).rev().take(max) {
                    let name = hash.take_due(&hasher, time).expect("one that is due");
                    let at = model.remove(&name).and_then(|(_, at)| at).expect("it expires");
                    assert!(at >= last && at < time);
                    last = at;
                    assert_eq!(hash.due_len(time), left);
                }
                if due <= max {
                    assert_eq!(hash.take_due(&hasher, time), None);
                }
            }
            Step::Clone => *hash = hash.clone(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn a_hash_is_a_map_that_knows_what_is_due(steps in prop::collection::vec(step(), 1..30)) {
            let (mut hash, mut model) = (Hash::new(), Model::new());
            for step in steps {
                apply(&step, &mut hash, &mut model);
                hash.check_invariants(&hasher());
                prop_assert_eq!(hash.len(), model.len());
                prop_assert_eq!(hash.next_expiry(), model.values().filter_map(|(_, at)| *at).min());
                prop_assert_eq!(
                    hash.expiring_len(),
                    model.values().filter(|(_, at)| at.is_some()).count()
                );
                let found: Model = hash
                    .iter()
                    .map(|field| (field.name.to_vec(), (field.value.to_vec(), field.expire_at)))
                    .collect();
                prop_assert_eq!(&found, &model);
            }
            for (name, (value, expire_at)) in &model {
                let wanted = FieldRef { name, value, expire_at: *expire_at };
                prop_assert_eq!(hash.get(hasher().hash(name), name), Some(wanted));
            }
        }
    }

    #[test]
    fn a_hash_can_change_threads_and_be_dropped_bit_by_bit() {
        fn is_send<T: Send>(_: &T) {}
        let (hasher, mut hash) = (hasher(), Hash::new());
        is_send(&hash);
        assert_eq!(hash.memory_bytes(), 0);
        for number in 0..20_000 {
            let name = name(number);
            let expiry = FieldExpiry::At(number.into());
            hash.set(&hasher, hasher.hash(&name), &name, b"value", expiry);
        }
        assert!(hash.memory_bytes() > 20_000 * (11 + 5 + 8 + EXPIRY_BYTES));
        let mut seen = HashSet::new();
        for random in 0..500 {
            seen.insert(hash.random(random).expect("there are fields").name);
        }
        assert!(seen.len() > 400);
        let mut rounds = 0;
        while hash.drop_some(100) {
            rounds += 1;
        }
        assert!(rounds > 10 && rounds <= 200, "{rounds} rounds");
        assert_eq!(hash.memory_bytes(), 0);
    }
}
