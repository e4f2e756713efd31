//! A large set: the members of [`Records`], nothing beside them.
//!
//! The members are bytes and in no order. A small set is a packed blob instead, which is not the business of this file;
//! nor is when a set becomes large.

use super::records::{Member, Records, StillRecords};
use crate::store::Hasher;
use std::fmt;

#[derive(Clone, Default)]
pub struct Set {
    members: Records<Member>,
}

impl Set {
    pub fn new() -> Set {
        Set::default()
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What is allocated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.members.memory_bytes()
    }

    /// As [`Records::has_room`].
    pub fn has_room(&self) -> bool {
        self.members.has_room()
    }

    /// `hash` is [`Hasher::hash`] of the member.
    #[inline]
    pub fn contains(&self, hash: u64, member: &[u8]) -> bool {
        self.members.contains(hash, member)
    }

    /// Puts a member in; false if it was there.
    ///
    /// # Panics
    /// When there is no room: see [`Self::has_room`].
    #[inline]
    pub fn insert(&mut self, hasher: &Hasher, hash: u64, member: &[u8]) -> bool {
        let is_new = !self.members.contains(hash, member);
        if is_new {
            self.members.insert(hasher, hash, &[member], |_, _, _| {});
        }
        is_new
    }

    /// Takes a member out; false if it was not there.
    #[inline]
    pub fn remove(&mut self, hasher: &Hasher, hash: u64, member: &[u8]) -> bool {
        let found = self.members.find(hash, member);
        if let Some(id) = found {
            self.members.remove(hasher, hash, id, |_, _, _| {});
        }
        found.is_some()
    }

    /// A member chosen by random bits, each about as likely as any other.
    pub fn random(&self, random: u64) -> Option<&[u8]> {
        self.members.random(random).map(|id| self.members.key(id))
    }

    /// All members. The order changes only with the set.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.members.iter().map(|(_, member)| member)
    }

    /// As [`Records::scan`].
    pub fn scan(&self, cursor: u64, limit: usize, mut f: impl FnMut(&[u8])) -> u64 {
        self.members.scan(cursor, limit, |_, member| f(member))
    }

    /// As [`Records::hold`].
    pub fn hold(&self) -> StillRecords<Member> {
        self.members.hold()
    }

    /// As [`Records::drop_some`].
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.members.drop_some(budget)
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn is_send<T: Send>(_: &T) {}

    #[test]
    fn a_set_holds_each_member_once() {
        let hasher = Hasher::new([1, 2, 3, 4]);
        let mut set = Set::new();
        is_send(&set);
        let member = |number: u32| format!("{number}").into_bytes();
        let hash = |number| hasher.hash(&member(number));
        for number in 0..5_000 {
            assert!(set.insert(&hasher, hash(number), &member(number)));
            assert!(!set.insert(&hasher, hash(number), &member(number)));
        }
        for number in (0..5_000).filter(|number| number % 3 != 0) {
            assert!(set.remove(&hasher, hash(number), &member(number)));
            assert!(!set.remove(&hasher, hash(number), &member(number)));
        }
        let wanted: BTreeSet<Vec<u8>> = (0..5_000).step_by(3).map(member).collect();
        assert_eq!(set.len(), wanted.len());
        assert!(
            (0..5_000)
                .all(|number| set.contains(hash(number), &member(number)) == (number % 3 == 0))
        );
        assert_eq!(set.iter().map(<[u8]>::to_vec).collect::<BTreeSet<_>>(), wanted);
        assert!((0..100).all(|random| wanted.contains(set.random(random).unwrap())));
        let mut scanned = BTreeSet::new();
        assert_eq!(
            set.scan(0, 5_000, |member| {
                scanned.insert(member.to_vec());
            }),
            0
        );
        assert_eq!(scanned, wanted);
    }
}
