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

impl ArgRange {
    /// Where it begins, and the first byte behind it.
    #[inline]
    fn bounds(self) -> (usize, usize) {
        (self.start as usize, self.start as usize + self.len as usize)
    }
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
        let (start, end) = self.ranges[index].bounds();
        &self.buffer[start..end]
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

    /// The first `count` arguments, or all.
    pub fn first(&self, count: usize) -> Args<'a> {
        Args { buffer: self.buffer, ranges: &self.ranges[..count.min(self.len())] }
    }

    /// The command as the array of bulk strings that its arguments make, if it stands so in the buffer (as nearly all
    /// clients send it): to be copied in one go. `None`: it was written in another way, or has been taken apart.
    #[inline]
    pub fn frame(&self) -> Option<&'a [u8]> {
        let (first, others) = self.ranges.split_first()?;
        let (start, mut end) = first.bounds();
        let before = strip_line(self.buffer.get(..start)?, b'$', end - start)?;
        let frame_start = strip_line(before, b'*', self.ranges.len())?.len();
        for range in others {
            let (start, next_end) = range.bounds();
            if !is_between_parts(self.buffer.get(end..start)?, next_end - start) {
                return None;
            }
            end = next_end;
        }
        let frame = self.buffer.get(frame_start..end + LINE_END.len())?;
        frame.ends_with(LINE_END).then_some(frame)
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

const LINE_END: &[u8] = b"\r\n";

/// What stands before the line of a type byte and a number, if that is what `bytes` end with.
#[inline]
fn strip_line(bytes: &[u8], kind: u8, number: usize) -> Option<&[u8]> {
    match number {
        0..10 => {
            let (before, line) = bytes.split_last_chunk()?;
            (*line == [kind, b'0' + number as u8, b'\r', b'\n']).then_some(before)
        }
        _ => strip_long_line(bytes, kind, number),
    }
}

#[inline(never)]
fn strip_long_line(bytes: &[u8], kind: u8, number: usize) -> Option<&[u8]> {
    let rest = bytes.strip_suffix(LINE_END)?;
    let rest = rest.strip_suffix(itoa::Buffer::new().format(number).as_bytes())?;
    rest.strip_suffix(&[kind])
}

/// Whether `bytes` are what stands between a part and the next, which has `length` bytes. Compared in one go where that is
/// short: a node with replicas asks for every part of every write.
#[inline]
fn is_between_parts(bytes: &[u8], length: usize) -> bool {
    match length {
        0..10 => *bytes == [b'\r', b'\n', b'$', b'0' + length as u8, b'\r', b'\n'],
        10..100 => {
            let (tens, ones) = (b'0' + (length / 10) as u8, b'0' + (length % 10) as u8);
            *bytes == [b'\r', b'\n', b'$', tens, ones, b'\r', b'\n']
        }
        _ => strip_long_line(bytes, b'$', length) == Some(LINE_END),
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
    use crate::effect::Effects;
    use crate::resp::{Batch, Limits, Parser};
    use proptest::prelude::*;

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
        assert_eq!(args.frame(), None);
    }

    /// What a parser makes of `bytes`, and the frame found in it.
    fn frame_in(bytes: &[u8]) -> Option<Vec<u8>> {
        let limits = Limits { bulk_bytes_max: 1 << 20, authenticated: true };
        let mut batch = Batch::default();
        let (_, parsed) = Parser::default().parse(bytes, &limits, 9, &mut batch);
        assert!(parsed.is_ok() && !batch.is_empty(), "{}", bytes.escape_ascii());
        batch.args(batch.len() - 1, bytes).frame().map(<[u8]>::to_vec)
    }

    #[test]
    fn a_frame_is_found_only_where_it_stands_as_it_would_be_written() {
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello, world\r\n";
        assert_eq!(frame_in(set).unwrap(), set);
        // Behind another command, and before the beginning of the next.
        let between = [&b"*1\r\n$4\r\nPING\r\n"[..], set, b"*2\r\n$3"].concat();
        assert_eq!(frame_in(&between).unwrap(), set);
        assert_eq!(frame_in(b"SET k v\r\n"), None);
    }

    #[test]
    fn part_of_a_command_is_no_frame() {
        let set = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello, world\r\n";
        let mut batch = Batch::default();
        Parser::default().parse(set, &Limits::default(), 9, &mut batch).1.unwrap();
        let args = batch.args(0, set);
        assert_eq!((args.from(1).frame(), args.first(2).frame()), (None, None));
        assert_eq!(args.from(3).frame(), None);
    }

    proptest! {
        #[test]
        fn a_frame_is_what_would_be_written_for_its_arguments(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 1..12),
        ) {
            let mut written = Effects::default();
            written.enabled = true;
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            written.command(0, &parts);
            let bytes = written.iter().next().expect("one command").1.to_vec();
            prop_assert_eq!(frame_in(&bytes), Some(bytes));
        }
    }
}
