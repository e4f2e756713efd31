//! The arguments of one command as slices of the buffer they arrived in.
//!
//! Nothing is copied to parse a command: [`Args`] borrows the receive buffer (or a message between cores,
//! or a queued transaction) and a list of ranges into it.

use std::ops::Index;

/// Where one argument lies in its buffer, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgRange {
    pub start: u32,
    pub len: u32,
}

/// The arguments of one command, the command's name first.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    buffer: &'a [u8],
    ranges: &'a [ArgRange],
}

impl<'a> Args<'a> {
    /// `ranges` must lie inside `buffer`; an argument outside it panics when it is read.
    pub fn new(buffer: &'a [u8], ranges: &'a [ArgRange]) -> Self {
        Args { buffer, ranges }
    }

    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Argument `index`, alive as long as the buffer. Panics when there is none.
    #[inline]
    pub fn at(&self, index: usize) -> &'a [u8] {
        let ArgRange { start, len } = self.ranges[index];
        &self.buffer[start as usize..start as usize + len as usize]
    }

    pub fn get(&self, index: usize) -> Option<&'a [u8]> {
        (index < self.len()).then(|| self.at(index))
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let this = *self;
        (0..this.len()).map(move |index| this.at(index))
    }

    /// The arguments from `first` on.
    pub fn from(&self, first: usize) -> Args<'a> {
        Args { buffer: self.buffer, ranges: &self.ranges[first.min(self.len())..] }
    }

    /// Whether argument `index` is `word`, whatever its case.
    #[inline]
    pub fn is(&self, index: usize, word: &str) -> bool {
        self.get(index).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Sum of the lengths of all arguments, in bytes.
    pub fn bytes(&self) -> usize {
        self.ranges.iter().map(|range| range.len as usize).sum()
    }
}

impl Index<usize> for Args<'_> {
    type Output = [u8];
    #[inline]
    fn index(&self, index: usize) -> &[u8] {
        self.at(index)
    }
}

/// Arguments with a buffer of their own: a queued command of a transaction, a message to another core.
#[derive(Clone, Debug, Default)]
pub struct OwnedArgs {
    buffer: Vec<u8>,
    ranges: Vec<ArgRange>,
}

impl OwnedArgs {
    pub fn new<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut owned = OwnedArgs::default();
        for part in parts {
            owned.push(part);
        }
        owned
    }

    pub fn push(&mut self, part: &[u8]) {
        self.ranges.push(ArgRange { start: self.buffer.len() as u32, len: part.len() as u32 });
        self.buffer.extend_from_slice(part);
    }

    pub fn args(&self) -> Args<'_> {
        Args::new(&self.buffer, &self.ranges)
    }

    /// Heap bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity() + self.ranges.capacity() * size_of::<ArgRange>()
    }
}

impl From<Args<'_>> for OwnedArgs {
    fn from(args: Args<'_>) -> Self {
        OwnedArgs::new(args.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_slices_in_order() {
        let owned = OwnedArgs::new([&b"SET"[..], b"key", b""]);
        let args = owned.args();
        assert_eq!(args.len(), 3);
        assert_eq!(&args[1], b"key");
        assert_eq!(args.at(2), b"");
        assert!(args.is(0, "set") && !args.is(1, "set") && !args.is(9, "set"));
        assert_eq!(args.from(1).iter().collect::<Vec<_>>(), [&b"key"[..], b""]);
        assert_eq!(args.bytes(), 6);
    }
}
