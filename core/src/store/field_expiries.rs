//! Which hashes of a database have fields that expire, and when the next of each does.
//!
//! The database keeps it exact through every change of an entry, so active expiry finds what is due without a walk, and
//! where no field expires it costs a look at an empty map. Not a word about single fields: those the hash knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Bytes of an entry beside its key: its places in the two trees, and the two counts.
const OVERHEAD_BYTES: usize = 96;

#[derive(Clone, Debug, Default)]
pub struct FieldExpiries {
    by_key: BTreeMap<Arc<[u8]>, i64>,
    by_time: BTreeSet<(i64, Arc<[u8]>)>,
    key_bytes: usize,
}

impl FieldExpiries {
    /// Hashes that have fields which expire.
    #[inline]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// What it takes, in bytes; an estimate.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.len() * OVERHEAD_BYTES + self.key_bytes
    }

    /// The hash whose field expires first, and when.
    #[inline]
    pub fn first(&self) -> Option<(i64, &[u8])> {
        self.by_time.first().map(|(at, key)| (*at, &**key))
    }

    /// The next time at which a field of the hash at `key` expires; `None`: none does, or there is no hash.
    pub(super) fn set(&mut self, key: &[u8], next: Option<i64>) {
        match (self.by_key.get_key_value(key), next) {
            (None, None) => {}
            (None, Some(next)) => {
                let key: Arc<[u8]> = key.into();
                self.key_bytes += key.len();
                self.by_time.insert((next, key.clone()));
                self.by_key.insert(key, next);
            }
            (Some((key, at)), next) => {
                let (key, at) = (key.clone(), *at);
                let mut place = (at, key);
                self.by_time.remove(&place);
                match next {
                    Some(next) => {
                        *self.by_key.get_mut(&place.1).expect("it was found") = next;
                        place.0 = next;
                        self.by_time.insert(place);
                    }
                    None => {
                        self.by_key.remove(&place.1);
                        self.key_bytes -= place.1.len();
                    }
                }
            }
        }
    }

    /// Frees about so many entries, and returns whether something is left.
    pub(super) fn drop_some(&mut self, entries: usize) -> bool {
        for _ in 0..entries {
            if let (None, None) = (self.by_key.pop_first(), self.by_time.pop_first()) {
                return false;
            }
        }
        !self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_that_of_a_map(
            steps in prop::collection::vec((0..20u8, prop::option::of(0..50i64)), 0..200),
        ) {
            let (mut expiries, mut model) = (FieldExpiries::default(), BTreeMap::new());
            for (key, next) in steps {
                expiries.set(&vec![b'k'; key.into()], next);
                match next {
                    Some(next) => model.insert(key, next),
                    None => model.remove(&key),
                };
                let first = model.iter().map(|(key, at)| (*at, *key)).min();
                let found = expiries.first().map(|(at, key)| (at, key.len() as u8));
                prop_assert_eq!(found, first);
                prop_assert_eq!(expiries.len(), model.len());
                let key_bytes: usize = model.keys().map(|key| usize::from(*key)).sum();
                prop_assert_eq!(expiries.memory_bytes(), model.len() * OVERHEAD_BYTES + key_bytes);
            }
        }
    }
}
