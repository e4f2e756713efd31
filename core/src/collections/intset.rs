//! Intset: the integers of a small set, sorted, in one blob.
//!
//! The layout is Redis's, byte for byte, so that a blob goes into an RDB and out of it as it is:
//!
//! ```text
//! bytes per integer: 2, 4 or 8 (u32) | number of integers (u32) | integers, ascending
//! ```
//!
//! All numbers are little-endian. All integers take as many bytes as the widest that was ever inserted.
//!
//! Views and edits trust the blob: what comes from outside goes through [`validate`] first. (A blob that lies makes
//! them panic or read nonsense within it, and nothing worse.)
//!
//! Deliberately absent: when a set stops being an intset.
//!
//! Source: `src/intset.c` of Redis 7.2.

use super::buffer::Buffer;

const HEADER_BYTES: usize = 8;

/// An intset without integers.
pub const fn new_empty() -> [u8; HEADER_BYTES] {
    [2, 0, 0, 0, 0, 0, 0, 0]
}

/// An intset that is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Intset<'a> {
    bytes: &'a [u8],
}

impl<'a> Intset<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Intset<'a> {
        Intset { bytes }
    }

    #[inline]
    pub fn len(self) -> usize {
        u32::from_le_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]]) as usize
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn contains(self, integer: i64) -> bool {
        self.search(integer).is_ok()
    }

    /// The integer with an index in ascending order.
    ///
    /// Panics if there are not so many.
    #[inline]
    pub fn nth(self, index: usize) -> i64 {
        match self.width() {
            2 => i16::from_le_bytes(self.read(index)).into(),
            4 => i32::from_le_bytes(self.read(index)).into(),
            _ => i64::from_le_bytes(self.read(index)),
        }
    }

    /// In ascending order.
    #[inline]
    pub fn iter(
        self,
    ) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + Clone + use<'a> {
        (0..self.len()).map(move |index| self.nth(index))
    }

    #[inline]
    fn width(self) -> usize {
        self.bytes[0].into()
    }

    #[inline]
    fn read<const WIDTH: usize>(self, index: usize) -> [u8; WIDTH] {
        *self.bytes[HEADER_BYTES + index * WIDTH..].first_chunk().expect("an integer")
    }

    /// The index of an integer, or that of the next greater one.
    #[inline]
    fn search(self, integer: i64) -> Result<usize, usize> {
        match self.width() {
            2 => self.search_by(integer, |index| i16::from_le_bytes(self.read(index)).into()),
            4 => self.search_by(integer, |index| i32::from_le_bytes(self.read(index)).into()),
            _ => self.search_by(integer, |index| i64::from_le_bytes(self.read(index))),
        }
    }

    #[inline]
    fn search_by(self, integer: i64, nth: impl Fn(usize) -> i64) -> Result<usize, usize> {
        let len = self.len();
        // Sets filled in ascending order are common.
        if len == 0 || nth(len - 1) < integer {
            return Err(len);
        }
        let (mut from, mut to) = (0, len);
        while from < to {
            let middle = from + (to - from) / 2;
            if nth(middle) < integer {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        if nth(from) == integer { Ok(from) } else { Err(from) }
    }
}

/// An intset that can be changed, wherever it lies.
#[derive(Debug)]
pub struct IntsetMut<'b, B> {
    buffer: &'b mut B,
}

impl<'b, B: Buffer> IntsetMut<'b, B> {
    #[inline]
    pub fn new(buffer: &'b mut B) -> IntsetMut<'b, B> {
        IntsetMut { buffer }
    }

    #[inline]
    pub fn view(&self) -> Intset<'_> {
        Intset::new(self.buffer.bytes())
    }

    /// Gives whether the integer is new. Moves what is greater; rewrites all if the integer needs more bytes than any
    /// before.
    pub fn insert(&mut self, integer: i64) -> bool {
        let width = width_of(integer);
        if width > self.view().width() {
            self.widen(width);
        }
        let Err(index) = self.view().search(integer) else { return false };
        let (len, width) = (self.view().len(), self.view().width());
        let at = HEADER_BYTES + index * width;
        self.buffer.splice(at, 0, width);
        let bytes = self.buffer.bytes_mut();
        bytes[at..at + width].copy_from_slice(&integer.to_le_bytes()[..width]);
        set_len(bytes, len + 1);
        true
    }

    /// Gives whether the integer was there. Moves what is greater; the width stays.
    pub fn remove(&mut self, integer: i64) -> bool {
        let Ok(index) = self.view().search(integer) else { return false };
        let (len, width) = (self.view().len(), self.view().width());
        self.buffer.splice(HEADER_BYTES + index * width, width, 0);
        set_len(self.buffer.bytes_mut(), len - 1);
        true
    }

    /// Gives each integer `width` bytes, which are more than it has.
    fn widen(&mut self, width: usize) {
        let (len, narrow) = (self.view().len(), self.view().width());
        let end = self.buffer.bytes().len();
        self.buffer.splice(end, 0, len * (width - narrow));
        // From the last to the first, each moves to where only those that have moved were.
        for index in (0..len).rev() {
            let integer = self.view().nth(index).to_le_bytes();
            let at = HEADER_BYTES + index * width;
            self.buffer.bytes_mut()[at..at + width].copy_from_slice(&integer[..width]);
        }
        self.buffer.bytes_mut()[0] = width as u8;
    }
}

#[inline]
fn set_len(bytes: &mut [u8], len: usize) {
    bytes[4..8].copy_from_slice(&(len as u32).to_le_bytes());
}

#[inline]
fn width_of(integer: i64) -> usize {
    match integer {
        -0x8000..0x8000 => 2,
        -0x8000_0000..0x8000_0000 => 4,
        _ => 8,
    }
}

/// The bytes are no intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Checks bytes from outside, after which views and edits may trust them. Gives the number of integers.
pub fn validate(bytes: &[u8]) -> Result<usize, Invalid> {
    if bytes.len() < HEADER_BYTES || !matches!(bytes[..4], [2 | 4 | 8, 0, 0, 0]) {
        return Err(Invalid);
    }
    let intset = Intset::new(bytes);
    let len = intset.len();
    // Both are less than 2^32, so the product fits.
    if bytes.len() - HEADER_BYTES != len * intset.width() {
        return Err(Invalid);
    }
    let mut integers = intset.iter();
    let mut last = integers.next();
    for integer in integers {
        if last >= Some(integer) {
            return Err(Invalid);
        }
        last = Some(integer);
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn integer() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20i64..20,
            (0i64..4).prop_map(|around| 0x7ffe + around),
            (0i64..4).prop_map(|around| -0x8002 + around),
            (0i64..4).prop_map(|around| 0x7fff_fffe + around),
            (0i64..4).prop_map(|around| -0x8000_0002 + around),
            Just(i64::MIN),
            Just(i64::MAX),
        ]
    }

    fn check(bytes: &[u8], model: &BTreeSet<i64>) {
        assert_eq!(validate(bytes), Ok(model.len()));
        let intset = Intset::new(bytes);
        assert_eq!((intset.len(), intset.is_empty()), (model.len(), model.is_empty()));
        assert!(intset.iter().eq(model.iter().copied()));
        assert!(intset.iter().rev().eq(model.iter().rev().copied()));
    }

    proptest! {
        #[test]
        fn an_intset_is_a_set(
            narrow in prop::collection::vec((any::<bool>(), -5i64..5), 0..20),
            wide in prop::collection::vec((any::<bool>(), integer()), 0..40),
        ) {
            let (mut bytes, mut model) = (new_empty().to_vec(), BTreeSet::new());
            for (inserts, integer) in narrow.into_iter().chain(wide) {
                prop_assert_eq!(Intset::new(&bytes).contains(integer), model.contains(&integer));
                let mut intset = IntsetMut::new(&mut bytes);
                if inserts {
                    prop_assert_eq!(intset.insert(integer), model.insert(integer));
                } else {
                    prop_assert_eq!(intset.remove(integer), model.remove(&integer));
                }
                check(&bytes, &model);
            }
        }

        #[test]
        fn bytes_that_pass_can_be_trusted(
            width in prop_oneof![Just(2u8), Just(4), Just(8), any::<u8>()], len in 0u8..5,
            integers in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            for bytes in [[&[width, 0, 0, 0, len, 0, 0, 0], &integers[..]].concat(), integers] {
                if validate(&bytes).is_ok() {
                    check(&bytes, &Intset::new(&bytes).iter().collect());
                    let mut edited = bytes.clone();
                    IntsetMut::new(&mut edited).insert(0);
                    IntsetMut::new(&mut edited).insert(i64::MAX);
                    IntsetMut::new(&mut edited).remove(i64::MIN);
                    prop_assert!(validate(&edited).is_ok());
                }
            }
        }
    }

    #[test]
    fn integers_are_laid_out_as_in_redis() {
        let mut bytes = new_empty().to_vec();
        for integer in [5, -1, 300] {
            assert!(IntsetMut::new(&mut bytes).insert(integer));
        }
        // The blob in what redis-server 7.0 answers to DUMP after SADD s 5 -1 300.
        assert_eq!(bytes, b"\x02\0\0\0\x03\0\0\0\xff\xff\x05\0\x2c\x01");
        assert!(IntsetMut::new(&mut bytes).insert(-70000));
        assert_eq!(
            bytes,
            b"\x04\0\0\0\x04\0\0\0\x90\xee\xfe\xff\xff\xff\xff\xff\x05\0\0\0\x2c\x01\0\0"
        );
        // Bytes once needed stay.
        assert!(IntsetMut::new(&mut bytes).remove(-70000));
        assert_eq!(bytes[0], 4);
    }

    #[test]
    fn what_is_no_intset_is_refused() {
        assert_eq!(validate(b"\x02\0\0\0\x02\0\0\0\x01\0\x02\0"), Ok(2));
        let wrong: [&[u8]; 8] = [
            b"",
            b"\x02\0\0\0\0\0\0",
            b"\x03\0\0\0\0\0\0\0",
            b"\x02\x01\0\0\0\0\0\0",
            b"\x02\0\0\0\x01\0\0\0",
            b"\x02\0\0\0\x01\0\0\0\x01\0\x02\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
        ];
        for bytes in wrong {
            assert_eq!(validate(bytes), Err(Invalid), "{bytes:?}");
        }
        // A length that lies costs nothing.
        assert_eq!(validate(b"\x08\0\0\0\xff\xff\xff\xff"), Err(Invalid));
    }
}
