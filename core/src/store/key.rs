//! A key on its way to a table, with everything that is computed from its bytes only once.

use crate::slot::{Slot, slot_of};
use std::hash::{BuildHasher, Hasher as _};

/// A key's bytes, its slot, and its hash under this process's seed.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub bytes: &'a [u8],
    pub slot: Slot,
    /// Tables use the upper 32 bits: see [`Key::position`].
    pub hash: u64,
}

impl Key<'_> {
    /// Where in its slot's table the key belongs, as a fraction of 2³². Tables keep entries in this order, whatever
    /// their size, which is what keeps a scan's cursor valid.
    #[inline]
    pub(super) fn position(&self) -> u32 {
        (self.hash >> 32) as u32
    }
}

/// Hashes keys. All cores of a process share the seed, so that a key hashed on one is found on another.
#[derive(Clone, Debug)]
pub struct Hasher {
    state: ahash::RandomState,
}

impl Hasher {
    /// The seed must be random per process: whoever knows it can choose keys that collide.
    pub fn new(seed: [u64; 4]) -> Hasher {
        Hasher { state: ahash::RandomState::with_seeds(seed[0], seed[1], seed[2], seed[3]) }
    }

    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key { bytes, slot: slot_of(bytes), hash: self.hash(bytes) }
    }

    /// The hash of any bytes. What is kept by it can be moved between all cores of the process.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }

    #[inline]
    pub(super) fn position(&self, bytes: &[u8]) -> u32 {
        (self.hash(bytes) >> 32) as u32
    }
}

/// Whether the bytes are the same. Most keys are short: two loads cost less than the call of a general comparison.
#[inline]
pub(crate) fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() || left.len() > 16 {
        return left == right;
    }
    if let (Some(left_first), Some(left_last)) = (left.first_chunk::<8>(), left.last_chunk::<8>()) {
        return right.first_chunk() == Some(left_first) && right.last_chunk() == Some(left_last);
    }
    if let (Some(left_first), Some(left_last)) = (left.first_chunk::<4>(), left.last_chunk::<4>()) {
        return right.first_chunk() == Some(left_first) && right.last_chunk() == Some(left_last);
    }
    left.iter().eq(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_same_only_if_all_are() {
        for length in 0..40 {
            let bytes: Vec<u8> = (0..length).collect();
            assert!(same_bytes(&bytes, &bytes.clone()));
            assert!(!same_bytes(&bytes, &[&bytes[..], b"x"].concat()));
            for index in 0..bytes.len() {
                let mut other = bytes.clone();
                other[index] ^= 0x80;
                assert!(!same_bytes(&bytes, &other), "{index} of {length}");
            }
        }
    }
}
