//! Clients that wait for a key of this shard to get something for them (BLPOP and its kin).
//!
//! Each key has its waiters in the order in which they came. A command that changes such a key says so
//! ([`Waiters::touch`]); when it is through, the node takes the keys that were touched and serves who can be served.
//!
//! One thread; reached through `&mut`. Deliberately absent: who the waiters are, what they wait for, and time.

use std::collections::{BTreeMap, HashMap, VecDeque};

/// A number by which the node knows a waiting client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Waiter(pub u64);

/// A key with its database.
pub type WaitedKey = (usize, Box<[u8]>);

/// The waiters of one shard.
#[derive(Debug, Default)]
pub struct Waiters {
    /// By database and key; none is empty. In two levels, so that a write looks its key up as it is, without a copy.
    queues: BTreeMap<usize, HashMap<Box<[u8]>, VecDeque<Waiter>>>,
    /// Keys with waiters that were changed, in order, each once.
    touched: Vec<WaitedKey>,
}

impl Waiters {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Puts a waiter at the end of a key's queue. One that is in it already stays where it is.
    pub fn add(&mut self, database: usize, key: &[u8], waiter: Waiter) {
        let queue = self.queues.entry(database).or_default().entry(key.into()).or_default();
        if !queue.contains(&waiter) {
            queue.push_back(waiter);
        }
    }

    pub fn remove(&mut self, database: usize, key: &[u8], waiter: Waiter) {
        let Some(keys) = self.queues.get_mut(&database) else { return };
        let Some(queue) = keys.get_mut(key) else { return };
        queue.retain(|other| *other != waiter);
        if queue.is_empty() {
            keys.remove(key);
        }
        if keys.is_empty() {
            self.queues.remove(&database);
        }
    }

    fn queue(&self, database: usize, key: &[u8]) -> Option<&VecDeque<Waiter>> {
        self.queues.get(&database)?.get(key)
    }

    /// Who waits for a key, the first come first.
    pub fn of_key(&self, database: usize, key: &[u8]) -> Vec<Waiter> {
        self.queue(database, key).map(|queue| queue.iter().copied().collect()).unwrap_or_default()
    }

    /// Says that a key was changed.
    pub fn touch(&mut self, database: usize, key: &[u8]) {
        let is_known = |(of, touched): &WaitedKey| *of == database && **touched == *key;
        if self.queue(database, key).is_some() && !self.touched.iter().any(is_known) {
            self.touched.push((database, key.into()));
        }
    }

    /// Says that any key of a database may have been changed.
    pub fn touch_all(&mut self, database: usize) {
        let keys = self.queues.get(&database).into_iter().flat_map(HashMap::keys);
        let keys: Vec<Box<[u8]>> = keys.cloned().collect();
        for key in keys {
            self.touch(database, &key);
        }
    }

    #[inline]
    pub fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Takes the keys that were changed, the first first.
    pub fn take_touched(&mut self) -> Vec<WaitedKey> {
        std::mem::take(&mut self.touched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiters_of_a_key_keep_their_order() {
        let mut waiters = Waiters::default();
        for waiter in [3, 1, 2, 1] {
            waiters.add(0, b"k", Waiter(waiter));
        }
        assert_eq!(waiters.of_key(0, b"k"), [3, 1, 2].map(Waiter));
        assert!(waiters.of_key(1, b"k").is_empty());
        waiters.remove(0, b"k", Waiter(1));
        assert_eq!(waiters.of_key(0, b"k"), [3, 2].map(Waiter));
        waiters.remove(0, b"k", Waiter(3));
        waiters.remove(0, b"k", Waiter(2));
        waiters.remove(0, b"k", Waiter(2));
        assert!(waiters.is_empty());
    }

    #[test]
    fn only_keys_that_somebody_waits_for_are_touched() {
        let mut waiters = Waiters::default();
        waiters.touch(0, b"a");
        assert!(!waiters.has_touched());
        waiters.add(0, b"a", Waiter(1));
        waiters.add(2, b"b", Waiter(1));
        for (database, key) in [(2, b"b"), (0, b"a"), (2, b"b"), (0, b"b")] {
            waiters.touch(database, key);
        }
        let key = |database: usize, key: &[u8]| (database, Box::from(key));
        assert_eq!(waiters.take_touched(), [key(2, b"b"), key(0, b"a")]);
        waiters.touch_all(2);
        assert_eq!(waiters.take_touched(), [key(2, b"b")]);
        assert!(!waiters.has_touched());
    }
}
