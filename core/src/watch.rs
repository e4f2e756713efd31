//! WATCH on the side of a shard: who watches which of its keys, and whose watch a write has spoiled.
//!
//! The session keeps the list of what it watches; the shard keeps, per key, the watchers to mark. EXEC asks
//! every shard concerned whether the watcher is still clean, with all of them stopped.

use std::collections::{HashMap, HashSet};

/// A watching connection, unique in the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Watcher(pub u64);

/// What can be found at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Absent,
    /// There, but its time has passed.
    Expired,
    Live,
}

/// A key that a write changed, and what is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    pub database: usize,
    pub key: Box<[u8]>,
    pub now: Presence,
}

#[derive(Debug)]
struct Watch {
    watcher: Watcher,
    /// The key was there but expired when it was watched: its removal then spoils nothing.
    was_expired: bool,
}

impl Watch {
    /// Whether the change from one presence to another spoils this watch. What changes between nothing and an
    /// expired key is no change to see.
    fn is_spoiled(&mut self, before: Presence, after: Presence) -> bool {
        use Presence::*;
        match (before, after) {
            (Absent, Absent) => false,
            (_, Absent) if self.was_expired => {
                self.was_expired = false;
                false
            }
            (_, Expired) if self.was_expired => false,
            (Absent, Expired) => {
                self.was_expired = true;
                false
            }
            _ => true,
        }
    }
}

type WatchedKey = (usize, Box<[u8]>);

#[derive(Debug, Default)]
pub struct Watches {
    by_key: HashMap<WatchedKey, Vec<Watch>>,
    by_watcher: HashMap<Watcher, Vec<WatchedKey>>,
    dirty: HashSet<Watcher>,
    /// Of a scratch shard, where the watches are elsewhere: all that was touched.
    recorded: Option<Vec<Touched>>,
}

impl Watches {
    /// Keeps what is touched, for the shards that know the watchers.
    pub fn recording() -> Watches {
        Watches { recorded: Some(Vec::new()), ..Watches::default() }
    }

    /// What was touched since the last call, in order; empty where nothing is recorded.
    pub fn take_touched(&mut self) -> Vec<Touched> {
        self.recorded.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether nobody needs to be told of writes.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.recorded.is_none()
    }

    /// `expired`: the key is there, but its time has passed.
    pub fn watch(&mut self, watcher: Watcher, database: usize, key: &[u8], expired: bool) {
        let watched: WatchedKey = (database, key.into());
        let watches = self.by_key.entry(watched.clone()).or_default();
        if watches.iter().any(|watch| watch.watcher == watcher) {
            return;
        }
        watches.push(Watch { watcher, was_expired: expired });
        self.by_watcher.entry(watcher).or_default().push(watched);
    }

    /// Forgets all that `watcher` watches.
    pub fn unwatch(&mut self, watcher: Watcher) {
        self.dirty.remove(&watcher);
        for watched in self.by_watcher.remove(&watcher).unwrap_or_default() {
            if let Some(watches) = self.by_key.get_mut(&watched) {
                watches.retain(|watch| watch.watcher != watcher);
                if watches.is_empty() {
                    self.by_key.remove(&watched);
                }
            }
        }
    }

    /// A write changed `key`; `now` is what is there now.
    #[cold]
    pub fn touch(&mut self, database: usize, key: &[u8], now: Presence) {
        let watched: WatchedKey = (database, key.into());
        if let Some(watches) = self.by_key.get_mut(&watched) {
            // What was written or removed was there.
            let spoiled = watches
                .iter_mut()
                .filter_map(|watch| watch.is_spoiled(Presence::Live, now).then_some(watch.watcher));
            self.dirty.extend(spoiled);
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.push(Touched { database, key: watched.1, now });
        }
    }

    /// A whole database changed (FLUSHDB, SWAPDB); `change` tells what was and what is at a key.
    pub fn touch_all(&mut self, database: usize, change: impl Fn(&[u8]) -> (Presence, Presence)) {
        for ((watched, key), watches) in &mut self.by_key {
            if *watched == database {
                let (before, after) = change(key);
                for watch in watches {
                    if watch.is_spoiled(before, after) {
                        self.dirty.insert(watch.watcher);
                    }
                }
            }
        }
    }

    /// Whether nothing that `watcher` watches here has changed; `is_expired` tells of keys that are there but
    /// past their time, which counts as a change unless they were so when they were watched.
    pub fn is_clean(
        &self,
        watcher: Watcher,
        mut is_expired: impl FnMut(usize, &[u8]) -> bool,
    ) -> bool {
        if self.dirty.contains(&watcher) {
            return false;
        }
        self.by_watcher.get(&watcher).is_none_or(|keys| {
            keys.iter().all(|watched| {
                let was_expired = self.by_key[watched]
                    .iter()
                    .any(|watch| watch.watcher == watcher && watch.was_expired);
                was_expired || !is_expired(watched.0, &watched.1)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Watcher = Watcher(1);
    const B: Watcher = Watcher(2);

    #[test]
    fn a_write_spoils_only_the_watches_of_its_key() {
        let mut watches = Watches::default();
        watches.watch(A, 0, b"x", false);
        watches.watch(B, 1, b"x", false);
        watches.touch(0, b"x", Presence::Live);
        assert!(!watches.is_clean(A, |_, _| false));
        assert!(watches.is_clean(B, |_, _| false));
        watches.unwatch(A);
        assert!(watches.is_clean(A, |_, _| false));
        watches.unwatch(B);
        assert!(watches.is_empty());
    }

    #[test]
    fn a_key_that_expires_under_the_watch_spoils_it() {
        let mut watches = Watches::default();
        watches.watch(A, 0, b"x", false);
        watches.watch(B, 0, b"x", true);
        assert!(!watches.is_clean(A, |_, _| true));
        assert!(watches.is_clean(B, |_, _| true));
    }

    #[test]
    fn the_removal_of_a_key_that_had_expired_before_spoils_nothing() {
        let mut watches = Watches::default();
        watches.watch(A, 0, b"x", false);
        watches.watch(B, 0, b"x", true);
        watches.touch(0, b"x", Presence::Absent);
        assert!(!watches.is_clean(A, |_, _| false));
        assert!(watches.is_clean(B, |_, _| false));
        watches.touch(0, b"x", Presence::Live);
        assert!(!watches.is_clean(B, |_, _| false));
    }

    #[test]
    fn a_changed_database_spoils_the_watches_of_keys_that_changed() {
        use Presence::*;
        for (before, after, spoiled, spoiled_if_was_expired) in [
            (Live, Absent, true, false),
            (Absent, Absent, false, false),
            (Absent, Live, true, true),
            (Absent, Expired, false, false),
            (Live, Expired, true, false),
            (Expired, Live, true, true),
        ] {
            let mut watches = Watches::default();
            watches.watch(A, 0, b"x", false);
            watches.watch(B, 0, b"x", true);
            watches.touch_all(0, |_| (before, after));
            assert_eq!(!watches.is_clean(A, |_, _| false), spoiled, "{before:?} {after:?}");
            assert_eq!(!watches.is_clean(B, |_, _| false), spoiled_if_was_expired);
        }
    }

    #[test]
    fn a_recorder_keeps_what_was_touched_in_order() {
        let mut watches = Watches::recording();
        assert!(!watches.is_empty());
        watches.touch(3, b"x", Presence::Absent);
        watches.touch(0, b"y", Presence::Live);
        let keys: Vec<_> =
            watches.take_touched().into_iter().map(|t| (t.database, t.key)).collect();
        assert_eq!(keys, [(3, Box::from(&b"x"[..])), (0, Box::from(&b"y"[..]))]);
        assert!(watches.take_touched().is_empty());
    }
}
