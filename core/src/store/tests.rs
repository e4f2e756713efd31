//! The database against a plain model, and its guarantees about scans, expiry and memory.

use super::*;
use crate::slot::{SLOTS, Slot};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap, HashSet};

const SEED: [u64; 4] = [1, 2, 3, 4];

fn database() -> Database {
    Database::new(Hasher::new(SEED))
}

/// A database, and what should be in it.
struct Checked {
    database: Database,
    hasher: Hasher,
    model: BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>,
}

impl Checked {
    fn new() -> Checked {
        Checked { database: database(), hasher: Hasher::new(SEED), model: BTreeMap::new() }
    }

    fn set(&mut self, key: &[u8], value: &[u8], expiry: Expiry) {
        self.database.set_string(&self.hasher.key(key), value, expiry, 0);
        let slot = self.model.entry(key.to_vec()).or_default();
        slot.0 = value.to_vec();
        match expiry {
            Expiry::Keep => {}
            Expiry::Clear => slot.1 = None,
            Expiry::At(at) => slot.1 = Some(at),
        }
    }

    fn set_expiry(&mut self, key: &[u8], expire_at: Option<i64>) {
        let there = self.database.set_expiry(&self.hasher.key(key), expire_at);
        assert_eq!(there, self.model.contains_key(key));
        if let Some(slot) = self.model.get_mut(key) {
            slot.1 = expire_at;
        }
    }

    fn resize(&mut self, key: &[u8], bytes: usize) {
        let string = self.database.resize_string(&self.hasher.key(key), bytes, 0);
        let slot = self.model.entry(key.to_vec()).or_default();
        slot.0.resize(bytes, 0);
        assert_eq!(*string, slot.0);
        string.iter_mut().for_each(|byte| *byte ^= 1);
        slot.0.iter_mut().for_each(|byte| *byte ^= 1);
    }

    fn remove(&mut self, key: &[u8]) {
        let removed = self.database.remove(&self.hasher.key(key));
        let removed =
            removed.map(|entry| (entry.get().string().unwrap().to_vec(), entry.get().expire_at()));
        assert_eq!(removed, self.model.remove(key));
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) {
        if let Some(entry) = self.database.remove(&self.hasher.key(from)) {
            self.database.insert(&self.hasher.key(to), entry.with_key(to));
        }
        if let Some(value) = self.model.remove(from) {
            self.model.insert(to.to_vec(), value);
        }
    }

    fn expire(&mut self, now: i64, limit: usize) {
        let mut cursor = Cursor::START;
        let mut expired = HashSet::new();
        while cursor != Cursor::END {
            self.database.expire_step(&mut cursor, now, limit, |entry| {
                assert!(expired.insert(entry.get().key().to_vec()));
            });
        }
        for key in &expired {
            assert!(self.model.remove(key).unwrap().1.unwrap() < now);
        }
        assert!(self.model.values().all(|(_, expire_at)| expire_at.is_none_or(|at| at >= now)));
    }

    fn check(&self) {
        self.database.check_invariants();
        assert_eq!(self.database.len(), self.model.len());
        assert_eq!(
            self.database.expiring_len(),
            self.model.values().filter(|value| value.1.is_some()).count()
        );
        for (key, (value, expire_at)) in &self.model {
            let entry =
                self.database.get(&self.hasher.key(key)).expect("every key of the model is there");
            assert_eq!(entry.key(), key);
            assert_eq!(entry.string().unwrap().to_vec(), *value);
            assert_eq!(entry.expire_at(), *expire_at);
        }
        assert_eq!(scan_all(&self.database, 10).len(), self.model.len());
    }
}

fn scan_all(database: &Database, limit: usize) -> HashSet<Vec<u8>> {
    let mut seen = HashSet::new();
    let mut cursor = Cursor::START;
    while cursor != Cursor::END {
        let next = database.scan(cursor, limit, |entry| {
            assert!(seen.insert(entry.key().to_vec()), "visited twice without any change");
        });
        assert!(next > cursor);
        cursor = next;
    }
    seen
}

#[derive(Clone, Debug)]
enum Step {
    Set(u16, Vec<u8>, Expiry),
    SetExpiry(u16, Option<i64>),
    Resize(u16, usize),
    Remove(u16),
    Rename(u16, u16),
    Expire(i64, usize),
    RemoveMany(u16),
}

fn step(keys: u16) -> impl Strategy<Value = Step> {
    let key = move || 0..keys;
    let value = || {
        prop_oneof![
            4 => proptest::collection::vec(any::<u8>(), 0..80),
            2 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            1 => (0usize..3000).prop_map(|length| vec![b'v'; length]),
        ]
    };
    let expiry = || {
        prop_oneof![
            2 => Just(Expiry::Keep),
            2 => Just(Expiry::Clear),
            3 => (0i64..1000).prop_map(Expiry::At),
        ]
    };
    prop_oneof![
        20 => (key(), value(), expiry()).prop_map(|(key, value, expiry)| Step::Set(key, value, expiry)),
        3 => (key(), proptest::option::of(0i64..1000)).prop_map(|(key, at)| Step::SetExpiry(key, at)),
        2 => (key(), 0usize..3000).prop_map(|(key, bytes)| Step::Resize(key, bytes)),
        4 => key().prop_map(Step::Remove),
        2 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        1 => (0i64..1000, 1usize..100).prop_map(|(now, limit)| Step::Expire(now, limit)),
        1 => key().prop_map(Step::RemoveMany),
    ]
}

fn run(steps: &[Step], name: impl Fn(u16) -> Vec<u8>) {
    let mut checked = Checked::new();
    for step in steps {
        match step {
            Step::Set(key, value, expiry) => checked.set(&name(*key), value, *expiry),
            Step::SetExpiry(key, at) => checked.set_expiry(&name(*key), *at),
            Step::Resize(key, bytes) => checked.resize(&name(*key), *bytes),
            Step::Remove(key) => checked.remove(&name(*key)),
            Step::Rename(from, to) if from != to => checked.rename(&name(*from), &name(*to)),
            Step::Rename(..) => {}
            Step::Expire(now, limit) => checked.expire(*now, *limit),
            Step::RemoveMany(from) => {
                (*from..*from + 50).for_each(|key| checked.remove(&name(key)))
            }
        }
    }
    checked.check();
    let (_, mut detached) = checked.database.clear();
    checked.model.clear();
    checked.check();
    while detached.drop_some(7) {}
    assert_eq!(detached.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn database_behaves_like_a_map(steps in proptest::collection::vec(step(300), 1..600)) {
        run(&steps, |key| format!("key:{key}").into_bytes());
    }

    #[test]
    fn slot_behaves_like_a_map(steps in proptest::collection::vec(step(300), 1..600)) {
        run(&steps, |key| format!("{{tag}}{key}").into_bytes());
    }
}

fn tagged(number: usize) -> Vec<u8> {
    format!("{{tag}}:{number}").into_bytes()
}

#[test]
fn one_slot_grows_to_many_segments_and_back() {
    const KEYS: usize = 40_000;
    let mut checked = Checked::new();
    for number in 0..KEYS {
        let expiry = if number % 3 == 0 { Expiry::At(number as i64) } else { Expiry::Clear };
        checked.set(&tagged(number), &[b'v'; 5], expiry);
    }
    checked.check();
    let slot = checked.hasher.key(&tagged(0)).slot;
    assert_eq!(checked.database.slot_len(slot), KEYS);
    checked.expire(KEYS as i64 / 2, 500);
    checked.check();
    for number in 0..KEYS {
        checked.remove(&tagged(number));
        if number % 5_000 == 0 {
            checked.database.check_invariants();
        }
    }
    checked.check();
    let bytes_left = checked.database.memory_bytes();
    assert!(bytes_left < 4096, "{bytes_left} bytes are left in an empty database");
}

#[test]
fn scan_visits_all_that_stays_while_others_come_and_go() {
    for grow in [true, false] {
        let hasher = Hasher::new(SEED);
        let mut database = database();
        let stays: Vec<Vec<u8>> =
            (0..3_000).map(|number| format!("{{tag}}stays{number}").into_bytes()).collect();
        let others: Vec<Vec<u8>> = (0..30_000).map(tagged).collect();
        for key in stays.iter().chain(others.iter().filter(|_| !grow)) {
            database.set_string(&hasher.key(key), b"v", Expiry::Clear, 0);
        }
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        let mut others = others.iter();
        let mut cursor = Cursor::START;
        while cursor != Cursor::END {
            cursor = database.scan(cursor, 10, |entry| {
                seen.insert(entry.key().to_vec());
            });
            for key in others.by_ref().take(120) {
                if grow {
                    database.set_string(&hasher.key(key), b"v", Expiry::Clear, 0);
                } else {
                    database.remove(&hasher.key(key)).unwrap();
                }
            }
        }
        assert_eq!(others.len(), 0, "the scan ended before the changes");
        assert!(stays.iter().all(|key| seen.contains(key)));
    }
}

#[test]
fn scan_of_slots_stays_within_them() {
    let hasher = Hasher::new(SEED);
    let mut database = database();
    for number in 0..20_000 {
        let key = format!("key:{number}").into_bytes();
        database.set_string(&hasher.key(&key), b"v", Expiry::Clear, 0);
    }
    let mut total = 0;
    let mut start = 0;
    while start < SLOTS {
        let slots = start..start + 1000;
        let mut cursor = Cursor::START;
        while cursor < Cursor::at_slot(slots.end) {
            cursor = database.scan_slots(slots.clone(), cursor, 13, |entry| {
                total += 1;
                assert!(slots.contains(&hasher.key(entry.key()).slot.number().into()));
            });
        }
        assert_eq!(cursor, Cursor::at_slot(slots.end));
        start += 1000;
    }
    assert_eq!(total, 20_000);
    let largest = (0..SLOTS as u16)
        .filter_map(Slot::new)
        .max_by_key(|&slot| database.slot_len(slot))
        .unwrap();
    let number = usize::from(largest.number());
    let mut keys = 0;
    let cursor = database.scan_slots(number..number + 1, Cursor::START, usize::MAX, |_| keys += 1);
    assert_eq!((keys, cursor), (database.slot_len(largest), Cursor::at_slot(number + 1)));
}

#[test]
fn cursors_from_clients_are_taken_as_they_come() {
    let mut database = database();
    let hasher = Hasher::new(SEED);
    database.set_string(&hasher.key(b"k"), b"v", Expiry::Clear, 0);
    for number in
        [0, 1, u64::MAX, 1 << 46, (1 << 46) + 1, (1 << 46) - 1, 1 << 32, 12345 << 32 | 0xffff_ffff]
    {
        let cursor = database.scan(Cursor::from_number(number), 100, |_| {});
        assert_eq!(cursor, Cursor::END);
        assert_eq!(cursor.number(), 0);
    }
}

#[test]
fn random_entries_are_drawn_evenly() {
    let hasher = Hasher::new(SEED);
    let mut database = database();
    assert!(database.random(u64::MAX).is_none());
    let keys: Vec<Vec<u8>> = (0..50)
        .map(|number| format!("key:{number}").into_bytes())
        .chain((0..50).map(tagged))
        .collect();
    for key in &keys {
        database.set_string(&hasher.key(key), b"v", Expiry::Clear, 0);
    }
    let mut drawn: HashMap<Vec<u8>, usize> = HashMap::new();
    const DRAWS: u64 = 10_000;
    for draw in 0..DRAWS {
        let entry = database.random(draw * (u64::MAX / DRAWS)).unwrap();
        *drawn.entry(entry.key().to_vec()).or_default() += 1;
    }
    assert!(keys.iter().all(|key| drawn[key].abs_diff(100) <= 1));
}

#[test]
fn samples_are_as_many_as_wanted_and_there() {
    let hasher = Hasher::new(SEED);
    let mut database = database();
    for number in 0..5_000 {
        let expiry = if number % 10 == 0 { Expiry::At(1) } else { Expiry::Clear };
        let key =
            if number % 2 == 0 { tagged(number) } else { format!("key:{number}").into_bytes() };
        database.set_string(&hasher.key(&key), b"v", expiry, 0);
    }
    let mut random = 1u64;
    for _ in 0..1000 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let mut keys = HashSet::new();
        assert_eq!(database.sample(random, 5, false, |entry| assert!(keys.insert(entry.key()))), 5);
        let mut keys = HashSet::new();
        let expiring = database.sample(random, 7, true, |entry| {
            assert!(entry.expires() && keys.insert(entry.key()));
        });
        assert_eq!(expiring, 7);
    }
}

#[test]
fn sample_of_a_small_database_is_all_of_it() {
    let hasher = Hasher::new(SEED);
    let mut database = database();
    assert_eq!(database.sample(5, 5, false, |_| {}), 0);
    for number in 0..3 {
        database.set_string(&hasher.key(&[b'k', number]), b"v", Expiry::Clear, 0);
    }
    for random in 0..64u64 {
        assert_eq!(database.sample(random << 58, 5, true, |_| {}), 0);
        let mut keys = HashSet::new();
        assert!(database.sample(random << 58, 5, false, |entry| _ = keys.insert(entry.key())) >= 3);
        assert_eq!(keys.len(), 3);
    }
}

#[test]
fn expiry_passes_over_what_is_not_due() {
    let hasher = Hasher::new(SEED);
    let mut database = database();
    for number in 0..10_000 {
        let at = if number == 77 { 50 } else { 1000 + number as i64 };
        database.set_string(&hasher.key(&tagged(number)), b"v", Expiry::At(at), 0);
    }
    let mut step = |now| {
        let mut cursor = Cursor::START;
        let mut expired = 0;
        let looked_at = database.expire_step(&mut cursor, now, usize::MAX, |_| expired += 1);
        (looked_at, expired)
    };
    assert_eq!(step(50), (0, 0));
    let (looked_at, expired) = step(51);
    assert_eq!(expired, 1);
    assert!(looked_at < 5_000, "looked at {looked_at} entries for one");
    assert_eq!(step(1000), (0, 0));
    assert_eq!(step(20_000).1, 9_999);
}

#[test]
fn scratch_database_is_cheap() {
    let mut database = database();
    let hasher = Hasher::new(SEED);
    for key in ["a", "b", "c"] {
        database.set_string(&hasher.key(key.as_bytes()), b"v", Expiry::Clear, 0);
    }
    assert!(database.memory_bytes() < 10_000);
}

#[test]
fn table_of_a_million_small_entries_costs_under_12_bytes_each() {
    // A sixteenth of the slots of a database with a million keys.
    let hasher = Hasher::new(SEED);
    let mut database = database();
    let mut number = 0u64;
    while database.len() < 62_500 {
        let key = format!("key:{number:07}").into_bytes();
        let key = hasher.key(&key);
        if key.slot.block() < 16 {
            database.set_string(&key, &[b'v'; 32], Expiry::Clear, 0);
        }
        number += 1;
    }
    assert_eq!(database.entry_bytes(), 48 * database.len());
    let table_bytes = database.table_bytes() as f64 / database.len() as f64;
    assert!(table_bytes < 12.0, "{table_bytes} bytes of table per entry");
}
