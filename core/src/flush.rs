//! One shard's part of FLUSHDB, FLUSHALL and SWAPDB, and of a load.
//!
//! The node runs them on all shards at one point in time (the sequencer's part) and hands over one effect for
//! all; here nothing is replicated. Neither has keyspace events.

use crate::keys::presence;
use crate::shard::Shard;
use crate::store::{Cursor, Database, Detached};
use crate::watch::Presence;

/// Empties a database. Dropping what it returns frees all at once; [`Detached::drop_some`] does so in steps.
/// Every removed key counts as a change and spoils its watches.
pub fn flush_database(shard: &mut Shard, database: usize, now: i64) -> Detached {
    let (databases, hasher) = (&shard.databases, &shard.hasher);
    shard.watches.touch_all(database, |key| {
        (presence(&databases[database], &hasher.key(key), now), Presence::Absent)
    });
    let (removed, detached) = shard.databases[database].clear();
    shard.waiters.touch_all(database);
    shard.stats.dirty += removed as u64;
    detached
}

/// Empties all databases.
pub fn flush_all(shard: &mut Shard, now: i64) -> Vec<Detached> {
    let filled =
        (0..shard.databases.len()).filter(|&database| !shard.databases[database].is_empty());
    let filled: Vec<usize> = filled.collect();
    filled.into_iter().map(|database| flush_database(shard, database, now)).collect()
}

/// Puts databases that were loaded in the place of all that there is, as [`flush_all`] removes it. Spoils the watches of
/// keys that are in either.
pub fn replace_all(shard: &mut Shard, databases: Vec<Database>, now: i64) -> Vec<Detached> {
    let old = flush_all(shard, now);
    let hasher = &shard.hasher;
    for (index, database) in databases.iter().enumerate() {
        shard
            .watches
            .touch_all(index, |key| (Presence::Absent, presence(database, &hasher.key(key), now)));
    }
    shard.databases = databases;
    shard.expire_cursor = (0, Cursor::START);
    old
}

/// Exchanges two databases. Spoils the watches of keys that are in either. The node counts the change, once
/// for all shards.
pub fn swap_databases(shard: &mut Shard, one: usize, other: usize, now: i64) {
    if one == other {
        return;
    }
    let (databases, hasher) = (&shard.databases, &shard.hasher);
    for (before, after) in [(one, other), (other, one)] {
        shard.watches.touch_all(before, |key| {
            let key = hasher.key(key);
            (presence(&databases[before], &key, now), presence(&databases[after], &key, now))
        });
    }
    shard.databases.swap(one, other);
    shard.waiters.touch_all(one);
    shard.waiters.touch_all(other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expiry, Hasher};
    use crate::watch::Watcher;

    const WATCHER: Watcher = Watcher(1);

    fn shard_with(entries: &[(usize, &str)]) -> Shard {
        let mut shard = Shard::new(Hasher::new([1, 2, 3, 4]), 16, 7);
        for &(database, key) in entries {
            let key = shard.hasher.key(key.as_bytes());
            shard.databases[database].set_string(&key, b"v", Expiry::Clear, 0);
        }
        shard
    }

    #[track_caller]
    fn check_spoiled(
        shard: &mut Shard,
        watched: (usize, &str),
        change: impl Fn(&mut Shard),
        spoiled: bool,
    ) {
        shard.watches.unwatch(WATCHER);
        shard.watches.watch(WATCHER, watched.0, watched.1.as_bytes(), false);
        change(shard);
        assert_eq!(!shard.watches.is_clean(WATCHER, |_, _| false), spoiled, "{watched:?}");
    }

    #[test]
    fn a_flush_counts_what_it_removed_and_leaves_other_databases_alone() {
        let mut shard = shard_with(&[(0, "a"), (0, "b"), (1, "a")]);
        assert_eq!(flush_database(&mut shard, 0, 0).len(), 2);
        assert_eq!((shard.databases[0].len(), shard.databases[1].len()), (0, 1));
        assert_eq!(shard.stats.dirty, 2);
        assert_eq!(flush_all(&mut shard, 0).len(), 1);
        assert!(shard.is_empty());
    }

    #[test]
    fn a_flush_spoils_the_watches_of_keys_that_were_there() {
        let flush = |shard: &mut Shard| drop(flush_database(shard, 0, 0));
        check_spoiled(&mut shard_with(&[(0, "a")]), (0, "a"), flush, true);
        check_spoiled(&mut shard_with(&[(0, "a")]), (0, "absent"), flush, false);
        check_spoiled(&mut shard_with(&[(0, "a"), (1, "a")]), (1, "a"), flush, false);
    }

    #[test]
    fn loaded_databases_spoil_the_watches_of_keys_that_are_in_either() {
        let load = |shard: &mut Shard| {
            let loaded = shard_with(&[(0, "new"), (1, "b")]).databases;
            assert_eq!(replace_all(shard, loaded, 0).len(), 2);
            assert_eq!((shard.databases[0].len(), shard.databases[1].len()), (1, 1));
        };
        let shard = || shard_with(&[(0, "old"), (1, "b")]);
        check_spoiled(&mut shard(), (0, "old"), load, true);
        check_spoiled(&mut shard(), (1, "b"), load, true);
        check_spoiled(&mut shard(), (0, "new"), load, true);
        check_spoiled(&mut shard(), (1, "new"), load, false);
        check_spoiled(&mut shard(), (0, "absent"), load, false);
    }

    #[test]
    fn a_swap_spoils_the_watches_of_keys_that_are_in_either_database() {
        let swap = |shard: &mut Shard| swap_databases(shard, 0, 1, 0);
        let shard = || shard_with(&[(0, "a"), (1, "b"), (2, "c")]);
        check_spoiled(&mut shard(), (0, "a"), swap, true);
        check_spoiled(&mut shard(), (0, "b"), swap, true);
        check_spoiled(&mut shard(), (1, "a"), swap, true);
        check_spoiled(&mut shard(), (0, "c"), swap, false);
        check_spoiled(&mut shard(), (2, "c"), swap, false);
        check_spoiled(&mut shard(), (0, "a"), |shard| swap_databases(shard, 0, 0, 0), false);
        let mut swapped = shard();
        swap_databases(&mut swapped, 0, 1, 0);
        assert!(swapped.databases[1].get(&swapped.hasher.key(b"a")).is_some());
    }
}
