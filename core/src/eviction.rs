//! Access clocks (LRU seconds, LFU counters) and eviction under `maxmemory`.
//!
//! An entry has 21 bits of access clock. LRU: seconds, wrapping after 24 days. LFU: 13 bits of minutes and an
//! 8-bit logarithmic counter that decays with time. Source of the LFU rules: redis.io, "Key eviction", "The
//! new LFU mode".
//!
//! The node decides how much is to go, and that a replica evicts nothing; here is which entries go.

use crate::keys::{Caller, Keys};
use crate::notify::Classes;
use crate::rdb::AccessHint;
use crate::shard::{Policy, Shard, ShardSettings, next_random};
use crate::store::{Database, EntryRef};

const CLOCK_BITS: u32 = 21;
const CLOCK_MASK: u32 = (1 << CLOCK_BITS) - 1;
const MINUTES_MASK: u32 = (1 << (CLOCK_BITS - 8)) - 1;

/// The counter of a new key: not the first to go.
const LFU_FIRST: u32 = 5;

fn lru_clock(now: i64) -> u32 {
    (now / 1000) as u32 & CLOCK_MASK
}

fn minutes_clock(now: i64) -> u32 {
    (now / 60_000) as u32 & MINUTES_MASK
}

/// The access clock of an entry that is born now.
#[inline]
pub fn first_access(settings: &ShardSettings, now: i64) -> u32 {
    if settings.maxmemory_policy.is_lfu() {
        minutes_clock(now) << 8 | LFU_FIRST
    } else {
        lru_clock(now)
    }
}

/// The access clock of an entry that comes from elsewhere. A hint of the kind that this node's policy does not use
/// is as good as none.
pub fn restored_access(hint: AccessHint, settings: &ShardSettings, now: i64) -> u32 {
    let first = first_access(settings, now);
    match hint {
        AccessHint::Frequency(frequency) if settings.maxmemory_policy.is_lfu() => {
            first & !0xff | u32::from(frequency)
        }
        // What is idle for longer than the clock goes round is as idle as can be.
        AccessHint::IdleSeconds(seconds) if !settings.maxmemory_policy.is_lfu() => {
            let seconds = seconds.min(CLOCK_MASK.into()) as u32;
            first.wrapping_sub(seconds) & CLOCK_MASK
        }
        _ => first,
    }
}

/// What a file or a replica is told of an entry's access clock: what this node's policy uses.
#[inline]
pub fn access_hint(access: u32, settings: &ShardSettings, now: i64) -> AccessHint {
    match settings.maxmemory_policy {
        Policy::AllKeysLru | Policy::VolatileLru => {
            AccessHint::IdleSeconds(idle_seconds(access, now))
        }
        Policy::AllKeysLfu | Policy::VolatileLfu => {
            AccessHint::Frequency(frequency(access, settings, now) as u8)
        }
        _ => AccessHint::None,
    }
}

/// Renews the access clock of an entry that is used now. `random` is the state of the shard's generator.
#[inline]
pub fn renew(entry: &EntryRef, settings: &ShardSettings, random: &mut u64, now: i64) {
    let access = entry.access();
    let renewed = if settings.maxmemory_policy.is_lfu() {
        let counter = frequency(access, settings, now);
        minutes_clock(now) << 8 | increment(counter, settings.lfu_log_factor, next_random(random))
    } else {
        lru_clock(now)
    };
    // Most reads come within the second of the last one: their cache line stays clean.
    if renewed != access {
        entry.set_access(renewed);
    }
}

/// One more use: the higher the counter, the less likely it grows.
fn increment(counter: u32, log_factor: u32, random: u64) -> u32 {
    if counter >= 255 {
        return 255;
    }
    let base = f64::from(counter.saturating_sub(LFU_FIRST));
    let chance = 1.0 / (base * f64::from(log_factor) + 1.0);
    let drawn = (random >> 11) as f64 / (1u64 << 53) as f64;
    counter + u32::from(drawn < chance)
}

/// The LFU counter after its decay until now (OBJECT FREQ).
pub fn frequency(access: u32, settings: &ShardSettings, now: i64) -> u32 {
    let counter = access & 0xff;
    if settings.lfu_decay_minutes == 0 {
        return counter;
    }
    let elapsed = minutes_clock(now).wrapping_sub(access >> 8) & MINUTES_MASK;
    counter.saturating_sub(elapsed / settings.lfu_decay_minutes)
}

/// Seconds since the last use (OBJECT IDLETIME).
pub fn idle_seconds(access: u32, now: i64) -> u64 {
    u64::from(lru_clock(now).wrapping_sub(access) & CLOCK_MASK)
}

/// How much an entry deserves to go: the largest goes first.
pub fn score(access: u32, expire_at: Option<i64>, settings: &ShardSettings, now: i64) -> u64 {
    match settings.maxmemory_policy {
        Policy::AllKeysLfu | Policy::VolatileLfu => {
            u64::from(255 - frequency(access, settings, now))
        }
        Policy::VolatileTtl => u64::MAX - expire_at.unwrap_or(i64::MAX).max(0) as u64,
        _ => idle_seconds(access, now),
    }
}

/// Entries that sampling found worth evicting, kept from one eviction to the next so that a few samples each
/// time come near to the best of all. With Redis's size, 16.
#[derive(Debug)]
pub struct Pool {
    policy: Policy,
    /// By rising score.
    candidates: Vec<Candidate>,
}

const POOL_ENTRIES: usize = 16;

#[derive(Debug)]
struct Candidate {
    score: u64,
    database: usize,
    key: Box<[u8]>,
}

impl Default for Pool {
    fn default() -> Self {
        Pool { policy: Policy::NoEviction, candidates: Vec::new() }
    }
}

impl Pool {
    fn offer(&mut self, score: u64, database: usize, key: &[u8]) {
        let full = self.candidates.len() == POOL_ENTRIES;
        if full && score <= self.candidates[0].score {
            return;
        }
        // A later look replaces an earlier one.
        let known =
            |candidate: &Candidate| candidate.database == database && *candidate.key == *key;
        if let Some(index) = self.candidates.iter().position(known) {
            self.candidates.remove(index);
        } else if full {
            self.candidates.remove(0);
        }
        let at = self.candidates.partition_point(|candidate| candidate.score < score);
        self.candidates.insert(at, Candidate { score, database, key: key.into() });
    }
}

/// What an eviction freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    pub keys: usize,
    /// Bytes of the entries; their tables may give back some later.
    pub bytes: usize,
}

/// Whether the policy finds anything to evict.
pub fn has_victims(shard: &Shard) -> bool {
    let policy = shard.settings.maxmemory_policy;
    policy != Policy::NoEviction
        && shard.databases.iter().any(|database| eligible(database, policy) > 0)
}

/// How many entries of a database may be evicted.
fn eligible(database: &Database, policy: Policy) -> usize {
    if policy.is_volatile() { database.expiring_len() } else { database.len() }
}

/// Evicts entries, the worst first, until `bytes_wanted` are freed or `entries_max` are gone. `None`: there is
/// nothing to evict.
pub fn evict_some(
    shard: &mut Shard,
    now: i64,
    entries_max: usize,
    bytes_wanted: usize,
) -> Option<Evicted> {
    let mut evicted = Evicted::default();
    while evicted.keys < entries_max && evicted.bytes < bytes_wanted {
        let Some((database, key)) = victim(shard, now) else { break };
        let mut keys = Keys { shard, database, now, caller: Caller::default(), first: None };
        let key = keys.key(&key);
        let Some(entry) = keys.shard.databases[database].remove(&key) else { break };
        keys.shard.stats.evicted_keys += 1;
        keys.touch(&key);
        keys.notify(&key, Classes::EVICTED, "evicted");
        keys.effect_removed(&key, keys.shard.settings.lazyfree_lazy_eviction);
        evicted.keys += 1;
        evicted.bytes += entry.get().memory_bytes();
    }
    (evicted.keys > 0).then_some(evicted)
}

/// Database and key of the next entry to go.
fn victim(shard: &mut Shard, now: i64) -> Option<(usize, Box<[u8]>)> {
    let policy = shard.settings.maxmemory_policy;
    if !has_victims(shard) {
        return None;
    }
    if matches!(policy, Policy::AllKeysRandom | Policy::VolatileRandom) {
        return random_victim(shard);
    }
    if shard.eviction_pool.policy != policy {
        shard.eviction_pool = Pool { policy, candidates: Vec::new() };
    }
    loop {
        sample(shard, now);
        let Shard { eviction_pool, databases, settings, hasher, .. } = &mut *shard;
        while let Some(candidate) = eviction_pool.candidates.pop() {
            // It may have gone, or have been used, since it was seen.
            let entry = databases[candidate.database].get(&hasher.key(&candidate.key));
            let still = entry.is_some_and(|entry| {
                (!policy.is_volatile() || entry.expires())
                    && entry_score(&entry, settings, now) >= candidate.score
            });
            if still {
                return Some((candidate.database, candidate.key));
            }
        }
        // What the next samples find is fresh and will be taken.
    }
}

/// Looks at a few entries of a database chosen by chance, and offers them to the pool.
fn sample(shard: &mut Shard, now: i64) {
    let policy = shard.settings.maxmemory_policy;
    let Some(database) = database_by_chance(shard) else { return };
    let random = shard.next_random();
    let Shard { eviction_pool, databases, settings, .. } = shard;
    let count = settings.maxmemory_samples.max(1);
    databases[database].sample(random, count, policy.is_volatile(), |entry| {
        eviction_pool.offer(entry_score(&entry, settings, now), database, entry.key());
    });
}

/// A victim by chance: neighbours in a table lie together by hash, so one of a few is as good as any.
fn random_victim(shard: &mut Shard) -> Option<(usize, Box<[u8]>)> {
    let volatile = shard.settings.maxmemory_policy.is_volatile();
    let number = database_by_chance(shard)?;
    let random = shard.next_random();
    let database = &shard.databases[number];
    let mut key = None;
    if volatile {
        database.sample(random, 1, true, |entry| key = Some(entry.key().into()));
    } else {
        key = database.random(random).map(|entry| entry.key().into());
    }
    Some((number, key?))
}

/// A database that holds victims, the more likely the more it holds.
fn database_by_chance(shard: &mut Shard) -> Option<usize> {
    let policy = shard.settings.maxmemory_policy;
    let all: usize = shard.databases.iter().map(|database| eligible(database, policy)).sum();
    let random = shard.next_random();
    let mut index = ((u128::from(random) * all as u128) >> 64) as usize;
    shard.databases.iter().position(|database| {
        let here = eligible(database, policy);
        let found = index < here;
        index = index.saturating_sub(here);
        found
    })
}

fn entry_score(entry: &EntryRef, settings: &ShardSettings, now: i64) -> u64 {
    score(entry.access(), entry.expire_at(), settings, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expiry, Hasher, OwnedEntry};
    use proptest::prelude::*;

    #[test]
    fn idle_time_counts_seconds_and_wraps() {
        let settings = ShardSettings::default();
        let access = first_access(&settings, 10_000_000);
        assert_eq!(idle_seconds(access, 10_000_000), 0);
        assert_eq!(idle_seconds(access, 10_042_999), 42);
    }

    #[test]
    fn counters_grow_logarithmically_and_decay() {
        let settings =
            ShardSettings { maxmemory_policy: Policy::AllKeysLfu, ..ShardSettings::default() };
        let mut random = 7;
        let entry = OwnedEntry::string(b"k", b"v", None, first_access(&settings, 0));
        let mut used = |times: u32| {
            (0..times).for_each(|_| renew(&entry.get(), &settings, &mut random, 0));
            frequency(entry.get().access(), &settings, 0)
        };
        let hundred = used(100);
        let many = used(10_000);
        assert!((6..30).contains(&hundred), "{hundred}");
        assert!(many > hundred && many < 255, "{many}");
        assert_eq!(frequency(entry.get().access(), &settings, 60_000 * 5), many - 5);
    }

    fn shard(policy: Policy, samples: usize) -> Shard {
        let mut shard = Shard::new(Hasher::new([1, 2, 3, 4]), 4, 7);
        shard.settings.maxmemory_policy = policy;
        shard.settings.maxmemory_samples = samples;
        shard.settings.notify = Classes::ALL;
        shard.effects.enabled = true;
        shard
    }

    fn set(shard: &mut Shard, database: usize, key: &str, expiry: Expiry, access: u32) {
        let key = shard.hasher.key(key.as_bytes());
        shard.databases[database].set_string(&key, b"v", expiry, access);
    }

    fn evicted_keys(shard: &Shard) -> Vec<String> {
        let name = |event: &crate::notify::KeyEvent| {
            assert_eq!(event.name, "evicted");
            String::from_utf8(event.key.to_vec()).unwrap()
        };
        shard.events.list.iter().map(name).collect()
    }

    #[test]
    fn an_eviction_has_effect_event_and_count() {
        let mut shard = shard(Policy::AllKeysLru, 5);
        set(&mut shard, 2, "k", Expiry::Clear, 0);
        let bytes = shard.databases[2].entry_bytes();
        assert!(has_victims(&shard));
        assert_eq!(evict_some(&mut shard, 0, 10, usize::MAX), Some(Evicted { keys: 1, bytes }));
        assert_eq!(evict_some(&mut shard, 0, 10, usize::MAX), None);
        assert_eq!(shard.stats.evicted_keys, 1);
        assert_eq!(evicted_keys(&shard), ["k"]);
        let effects: Vec<_> = shard.effects.iter().collect();
        assert_eq!(effects, [(2, &b"*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n"[..])]);
    }

    #[test]
    fn an_eviction_stops_when_enough_bytes_are_free() {
        let mut shard = shard(Policy::AllKeysRandom, 5);
        for number in 0..100 {
            set(&mut shard, 0, &format!("{number:3}"), Expiry::Clear, 0);
        }
        let bytes = shard.databases[0].entry_bytes() / 100;
        let evicted = evict_some(&mut shard, 0, 50, bytes * 2 + 1);
        assert_eq!(evicted, Some(Evicted { keys: 3, bytes: bytes * 3 }));
    }

    #[test]
    fn an_access_hint_comes_back_as_the_same_hint() {
        let now = 1_700_000_000_000;
        for (policy, hint) in [
            (Policy::AllKeysLru, AccessHint::IdleSeconds(77)),
            (Policy::VolatileLfu, AccessHint::Frequency(200)),
            (Policy::VolatileTtl, AccessHint::None),
        ] {
            let settings = ShardSettings { maxmemory_policy: policy, ..ShardSettings::default() };
            let access = restored_access(hint, &settings, now);
            assert_eq!(access_hint(access, &settings, now), hint);
        }
    }

    #[test]
    fn a_volatile_policy_evicts_only_what_expires() {
        for policy in
            [Policy::VolatileLru, Policy::VolatileLfu, Policy::VolatileRandom, Policy::VolatileTtl]
        {
            let mut shard = shard(policy, 5);
            for number in 0..100 {
                let expiry = if number % 10 == 0 { Expiry::At(5000) } else { Expiry::Clear };
                set(&mut shard, number % 4, &format!("{number}"), expiry, 0);
            }
            let mut evicted = 0;
            while let Some(some) = evict_some(&mut shard, 0, 3, usize::MAX) {
                assert!(some.keys <= 3);
                evicted += some.keys;
            }
            assert_eq!((evicted, shard.len()), (10, 90), "{policy:?}");
            assert!(!has_victims(&shard));
        }
    }

    #[test]
    fn a_policy_over_all_keys_evicts_to_the_last() {
        for policy in [Policy::AllKeysLru, Policy::AllKeysLfu, Policy::AllKeysRandom] {
            let mut shard = shard(policy, 5);
            for number in 0..100 {
                let expiry = if number % 10 == 0 { Expiry::At(5000) } else { Expiry::Clear };
                set(&mut shard, number % 4, &format!("{number}"), expiry, 0);
            }
            while evict_some(&mut shard, 0, 7, usize::MAX).is_some() {}
            assert!(shard.is_empty(), "{policy:?}");
        }
    }

    #[test]
    fn no_eviction_has_no_victims() {
        let mut shard = shard(Policy::NoEviction, 5);
        set(&mut shard, 0, "k", Expiry::At(1), 0);
        assert!(!has_victims(&shard));
        assert_eq!(evict_some(&mut shard, 0, 1, usize::MAX), None);
    }

    #[test]
    fn a_few_samples_find_mostly_the_older_half() {
        let mut shard = shard(Policy::AllKeysLru, 5);
        for number in 0..2000u32 {
            set(&mut shard, 0, &format!("{number}"), Expiry::Clear, number);
        }
        assert_eq!(
            evict_some(&mut shard, 2_000_000, 500, usize::MAX).map(|evicted| evicted.keys),
            Some(500)
        );
        let keys = evicted_keys(&shard);
        let older = keys.iter().filter(|key| key.parse::<u32>().unwrap() < 1000).count();
        assert!(older > 480, "{older}");
    }

    #[test]
    fn an_entry_that_was_used_since_it_was_pooled_is_spared() {
        let mut shard = shard(Policy::AllKeysLru, 100);
        for number in 0..50u32 {
            set(&mut shard, 0, &format!("{number}"), Expiry::Clear, number);
        }
        assert_eq!(evict_some(&mut shard, 1_000_000, 1, usize::MAX).unwrap().keys, 1);
        let key = shard.hasher.key(b"1");
        shard.databases[0].get(&key).unwrap().set_access(999);
        assert_eq!(evict_some(&mut shard, 1_000_000, 48, usize::MAX).unwrap().keys, 48);
        assert_eq!(evicted_keys(&shard).last().unwrap(), "49");
        assert!(shard.databases[0].get(&key).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn with_enough_samples_the_worst_go_first(
            entries in prop::collection::hash_set(0..1000u32, 1..80),
            policy in prop::sample::select(vec![
                Policy::AllKeysLru, Policy::VolatileLru, Policy::VolatileTtl, Policy::AllKeysLfu,
            ]),
        ) {
            let mut shard = shard(policy, 1000);
            let mut expected: Vec<u32> = entries.iter().copied().collect();
            for &rank in &expected {
                // The lower the rank, the sooner it is to go.
                let (access, at) = match policy {
                    Policy::AllKeysLfu => (rank.min(255), 5000),
                    Policy::VolatileTtl => (1000 - rank, 5000 + i64::from(rank)),
                    _ => (rank, 9000 - i64::from(rank)),
                };
                set(&mut shard, 0, &format!("{rank}"), Expiry::At(at), access);
            }
            expected.sort_unstable();
            let now = if policy.is_lfu() { 0 } else { 2_000_000 };
            while evict_some(&mut shard, now, 1, usize::MAX).is_some() {}
            let order: Vec<u32> =
                evicted_keys(&shard).iter().map(|key| key.parse().unwrap()).collect();
            let rank = |rank: &u32| if policy.is_lfu() { (*rank).min(255) } else { *rank };
            let ranks = |list: &[u32]| list.iter().map(rank).collect::<Vec<_>>();
            prop_assert_eq!(ranks(&order), ranks(&expected));
        }
    }
}
