//! Entries on their way between shards, and what a command that ran away from home brings back.
//!
//! A command whose keys lie on several shards runs on one, a scratch [`Shard`] that holds nothing else: their
//! owners [`extract`] the entries, the scratch shard [`install`]s them, the command runs, and the entries go
//! home the same way. Only the command itself is seen: moving entries counts nothing, has no effect or event,
//! spoils no watch, and keeps expiry and access clock. What the command did see and do is in an [`Outcome`].
//!
//! The shards concerned are stopped meanwhile (the sequencer's part), so an absent entry cannot be missed.
//! Deliberately absent: which shards take part, and how messages travel.

use crate::effect::Effects;
use crate::notify::KeyEvent;
use crate::shard::{Shard, ShardStats};
use crate::store::OwnedEntry;
use crate::watch::{Touched, Watches};

/// The entry of one key, or that there is none.
#[derive(Debug)]
pub struct Carried {
    pub database: usize,
    pub key: Box<[u8]>,
    pub entry: Option<OwnedEntry>,
}

/// Takes the entry of `key` out of a shard, also one whose time has passed.
pub fn extract(shard: &mut Shard, database: usize, key: &[u8]) -> Carried {
    let entry = shard.databases[database].remove(&shard.hasher.key(key));
    Carried { database, key: key.into(), entry }
}

/// Puts what was extracted into a shard where the key is absent (it was extracted there, or never was there).
pub fn install(shard: &mut Shard, carried: Carried) {
    if let Some(entry) = carried.entry {
        let key = shard.hasher.key(&carried.key);
        shard.databases[carried.database].insert(&key, entry);
    }
}

/// An empty shard that behaves like `home`, and keeps for [`Outcome`] what it cannot do itself.
pub fn scratch(home: &mut Shard) -> Shard {
    let seed = home.next_random() | 1;
    let mut scratch = Shard::new(home.hasher.clone(), home.databases.len(), seed);
    scratch.settings = home.settings.clone();
    scratch.effects.enabled = home.effects.enabled;
    scratch.watches = Watches::recording();
    scratch
}

/// What commands left behind on a scratch shard beside its entries.
#[derive(Debug, Default)]
pub struct Outcome {
    pub effects: Effects,
    pub events: Vec<KeyEvent>,
    pub stats: ShardStats,
    /// For the watches of whichever shard owns them: see [`spoil_watches`].
    pub touched: Vec<Touched>,
}

impl Outcome {
    /// Takes everything out of a scratch shard, but its entries.
    pub fn take(scratch: &mut Shard) -> Outcome {
        Outcome {
            effects: scratch.effects.take(),
            events: std::mem::take(&mut scratch.events.list),
            stats: std::mem::take(&mut scratch.stats),
            touched: scratch.watches.take_touched(),
        }
    }
}

/// Makes an outcome the shard's own, behind what happened there before. The other shards that own keys among
/// those touched spoil their watches themselves.
pub fn absorb(shard: &mut Shard, outcome: Outcome) {
    shard.effects.append_all(outcome.effects);
    shard.events.list.extend(outcome.events);
    shard.stats.add(&outcome.stats);
    spoil_watches(shard, &outcome.touched);
}

/// Spoils the watches of the keys that were touched elsewhere, and tells those who wait for them; keys that nobody
/// watches here do no harm.
pub fn spoil_watches(shard: &mut Shard, touched: &[Touched]) {
    for Touched { database, key, now } in touched {
        shard.watches.touch(*database, key, *now);
        shard.waiters.touch(*database, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::{NOW, TestShard, words};
    use crate::notify::Classes;
    use crate::slot::slot_of;
    use crate::watch::Watcher;
    use proptest::prelude::*;

    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    const DATABASES: usize = 2;
    const WATCHER: Watcher = Watcher(1);

    fn listening() -> TestShard {
        let mut test = TestShard::default();
        test.shard.settings.notify = Classes(u32::MAX);
        test
    }

    /// Several shards on which commands run by way of a scratch shard.
    struct Several {
        owners: Vec<TestShard>,
    }

    impl Several {
        fn owner(&mut self, key: &str) -> &mut TestShard {
            let index = slot_of(key.as_bytes()).shard(self.owners.len());
            &mut self.owners[index]
        }

        fn run(
            &mut self,
            line: &str,
            now: i64,
            database: usize,
            keys: &[&str],
        ) -> (String, Outcome) {
            let mut away = TestShard { now, database, ..TestShard::default() };
            away.shard = scratch(&mut self.owners[0].shard);
            for key in keys {
                for database in 0..DATABASES {
                    let carried = extract(&mut self.owner(key).shard, database, key.as_bytes());
                    install(&mut away.shard, carried);
                }
            }
            let reply = away.run(line);
            for key in keys {
                for database in 0..DATABASES {
                    let carried = extract(&mut away.shard, database, key.as_bytes());
                    install(&mut self.owner(key).shard, carried);
                }
            }
            assert!(away.shard.is_empty());
            (reply, Outcome::take(&mut away.shard))
        }

        fn finish(&mut self, outcome: Outcome) {
            for other in &mut self.owners[1..] {
                spoil_watches(&mut other.shard, &outcome.touched);
            }
            absorb(&mut self.owners[0].shard, outcome);
        }
    }

    /// Every entry with its access clock.
    fn entries<'s>(shards: impl IntoIterator<Item = &'s TestShard>) -> Vec<String> {
        let mut all = Vec::new();
        for test in shards {
            for (number, database) in test.shard.databases.iter().enumerate() {
                database
                    .for_each(|entry| all.push(format!("{number} {} {entry:?}", entry.access())));
            }
        }
        all.sort();
        all
    }

    fn command() -> impl Strategy<Value = (String, Vec<&'static str>)> {
        let key = || prop::sample::select(&KEYS[..]);
        let of_one = prop::sample::select(vec![
            "SET # 1",
            "SET # x PX 30",
            "SET # y KEEPTTL",
            "GET #",
            "APPEND # tail",
            "HSET # a 1 b 2",
            "HSET # a x",
            "HINCRBY # b 5",
            "HPEXPIRE # 20 FIELDS 1 a",
            "HPERSIST # FIELDS 1 a",
            "HDEL # a b",
            "HGETALL #",
            "INCR #",
            "PEXPIRE # 20",
            "PEXPIRE # -1",
            "PERSIST #",
            "MOVE # 1",
            "MOVE # 0",
            "DEL #",
            "TTL #",
            "EXISTS #",
            "TOUCH #",
            "RPUSH # a b",
            "LPOP #",
            "LTRIM # 1 -1",
            "ZADD # 1 a 2 b",
            "ZADD # 3 c",
            "ZREM # a",
            "SADD # a b 1",
            "SREM # a",
            "PFADD # a b",
            "XADD # 1-* f v",
            "HSET # a 1 b 2",
        ]);
        let of_two = prop::sample::select(vec![
            "RENAME # @",
            "RENAMENX # @",
            "COPY # @",
            "COPY # @ REPLACE",
            "COPY # @ DB 1",
            "UNLINK # @",
            "MSET # 1 @ 2",
            "MSETNX # 1 @ 2",
            "MGET # @",
            "BITOP OR # @ #",
            "COPY # @ DB 0 REPLACE",
            "LMOVE # @ LEFT RIGHT",
            "RPOPLPUSH # @",
            "LMPOP 2 # @ LEFT COUNT 2",
            "ZUNIONSTORE # 2 # @",
            "SMOVE # @ a",
            "SUNIONSTORE # # @",
            "SDIFF # @",
            "SINTERSTORE @ # @",
            "PFMERGE # @",
            "PFCOUNT # @",
            "XREAD STREAMS # @ 0 0",
            "ZINTERSTORE # 2 @ #",
            "ZDIFF 2 # @",
            "ZRANGESTORE # @ 0 0",
            "ZMPOP 2 # @ MIN",
        ]);
        prop_oneof![
            (of_one, key()).prop_map(|(line, key)| (line.replace('#', key), vec![key])),
            (of_two, key(), key()).prop_map(|(line, one, two)| {
                (line.replace('#', one).replace('@', two), vec![one, two])
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

        #[test]
        fn a_command_on_a_scratch_shard_does_what_it_does_at_home(
            shards in 1..4usize,
            steps in prop::collection::vec((command(), 0..DATABASES, 0..20i64), 1..60),
            watched in prop::sample::select(&KEYS[..]),
        ) {
            let mut one = listening();
            let mut several = Several { owners: (0..shards).map(|_| listening()).collect() };
            let mut now = NOW;
            for ((line, keys), database, pause) in steps {
                now += pause;
                for (test, database) in [(&mut one, 0), (several.owner(watched), 0)] {
                    test.shard.watches.unwatch(WATCHER);
                    let key = test.shard.hasher.key(watched.as_bytes());
                    let expired = crate::keys::presence(&test.shard.databases[database], &key, now)
                        == crate::watch::Presence::Expired;
                    test.shard.watches.watch(WATCHER, database, watched.as_bytes(), expired);
                }
                (one.now, one.database) = (now, database);
                let reply = one.run(&line);
                let (elsewhere, outcome) = several.run(&line, now, database, &keys);
                prop_assert_eq!(&elsewhere, &reply, "{}", line);
                several.finish(outcome);
                prop_assert_eq!(entries(&several.owners), entries([&one]), "{}", line);
                let clean = one.shard.watches.is_clean(WATCHER, |_, _| false);
                let watches = &several.owner(watched).shard.watches;
                prop_assert_eq!(watches.is_clean(WATCHER, |_, _| false), clean, "{}", line);
            }
            let home = &several.owners[0].shard;
            prop_assert_eq!(&home.events.list, &one.shard.events.list);
            prop_assert_eq!(format!("{:?}", home.effects), format!("{:?}", one.shard.effects));
            prop_assert_eq!(format!("{:?}", home.stats), format!("{:?}", one.shard.stats));
            for other in &several.owners[1..] {
                prop_assert!(other.shard.effects.is_empty() && other.shard.events.list.is_empty());
            }
        }
    }

    #[test]
    fn carried_entries_can_change_threads() {
        fn is_send<T: Send>() {}
        is_send::<Carried>();
        is_send::<Outcome>();
    }

    #[test]
    fn an_outcome_is_taken_once() {
        let mut home = listening();
        let mut away = TestShard { shard: scratch(&mut home.shard), ..TestShard::default() };
        away.run_words(&words("SET a 1"));
        let outcome = Outcome::take(&mut away.shard);
        assert_eq!((outcome.effects.iter().count(), outcome.stats.dirty), (1, 1));
        let empty = Outcome::take(&mut away.shard);
        assert!(empty.effects.is_empty() && empty.touched.is_empty() && empty.stats.dirty == 0);
        away.run_words(&words("SET a 2"));
        assert_eq!(Outcome::take(&mut away.shard).effects.iter().count(), 1);
    }
}
