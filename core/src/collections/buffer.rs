//! Bytes that are edited in place: a vector, or the value that lies in an entry.

/// A sequence of bytes that can grow and shrink in the middle.
pub trait Buffer {
    fn bytes(&self) -> &[u8];

    fn bytes_mut(&mut self) -> &mut [u8];

    /// Replaces the `removed` bytes at `at` by `inserted` bytes of unspecified content, for the caller to overwrite.
    fn splice(&mut self, at: usize, removed: usize, inserted: usize);
}

impl Buffer for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn splice(&mut self, at: usize, removed: usize, inserted: usize) {
        let old_len = self.len();
        let tail = at + removed;
        if inserted > removed {
            self.resize(old_len + inserted - removed, 0);
        }
        self.copy_within(tail..old_len, at + inserted);
        self.truncate(old_len + inserted - removed);
    }
}
