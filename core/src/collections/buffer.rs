//! Where a packed blob lies: in a vector of its own, or in the entry of its key.
//!
//! Deliberately absent: what the bytes mean.

/// Bytes that can be edited in place.
pub trait Buffer {
    fn bytes(&self) -> &[u8];

    fn bytes_mut(&mut self) -> &mut [u8];

    /// Replaces `removed` bytes at `at` by `inserted` bytes of unspecified content, which the caller overwrites.
    ///
    /// Panics if there are not `removed` bytes at `at`.
    fn splice(&mut self, at: usize, removed: usize, inserted: usize);
}

impl Buffer for Vec<u8> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    #[inline]
    fn splice(&mut self, at: usize, removed: usize, inserted: usize) {
        let len = self.len();
        let tail = at + removed;
        assert!(tail <= len, "a splice of {removed} bytes at {at} of {len}");
        if inserted > removed {
            self.resize(len + (inserted - removed), 0);
            self.copy_within(tail..len, at + inserted);
        } else if inserted < removed {
            self.copy_within(tail..len, at + inserted);
            self.truncate(len - (removed - inserted));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_splice_keeps_what_stands_around_it(
            bytes in prop::collection::vec(1u8.., 0..40),
            cut in (0usize..50, 0usize..50),
            inserted in 0usize..50,
        ) {
            let at = cut.0.min(bytes.len());
            let removed = cut.1.min(bytes.len() - at);
            let mut edited = bytes.clone();
            Buffer::splice(&mut edited, at, removed, inserted);
            edited.bytes_mut()[at..at + inserted].fill(0);
            let expected = [&bytes[..at], &vec![0; inserted], &bytes[at + removed..]].concat();
            prop_assert_eq!(edited.bytes(), &expected[..]);
        }
    }

    #[test]
    #[should_panic(expected = "a splice of 2 bytes at 2 of 3")]
    fn a_splice_behind_the_end_is_refused() {
        Buffer::splice(&mut vec![1u8, 2, 3], 2, 2, 0);
    }
}
