//! How far a collection reaches that arrives bit by bit.
//!
//! A large collection is built only once all of it is there; until then this looks for its end, and goes on from where
//! it stood when more has arrived, so that the whole is looked at once however many pieces it comes in.
//!
//! Each type's layout is a short program of [`Part`]s, run with a stack of the repetitions that it is in.

use super::input::{DecodeError, Input};
use super::value::type_byte;
use super::{length, string};

/// A part of a value.
#[derive(Clone, Copy, Debug)]
enum Part {
    Length,
    /// So many of them.
    Lengths(u8),
    String,
    Bytes(usize),
    /// A score in decimal, with its length in a byte.
    Decimal,
    /// A count, and so many times the parts.
    Repeat(&'static [Part]),
}

use Part::{Bytes, Decimal, Length, Lengths, Repeat, String};

const STRINGS: &[Part] = &[Repeat(&[String])];

const NODES: Part = Repeat(&[String, String]);
const PENDING: Part = Repeat(&[Bytes(16), Bytes(8), Length]);
const IDS: Part = Repeat(&[Bytes(16)]);
/// Consumers with one time each, and with two.
const CONSUMERS: Part = Repeat(&[String, Bytes(8), IDS]);
const CONSUMERS_3: Part = Repeat(&[String, Bytes(16), IDS]);
const STREAM: &[Part] = &[NODES, Lengths(3), Repeat(&[String, Lengths(2), PENDING, CONSUMERS])];
const STREAM_2: &[Part] = &[NODES, Lengths(8), Repeat(&[String, Lengths(3), PENDING, CONSUMERS])];
const STREAM_3: &[Part] = &[NODES, Lengths(8), Repeat(&[String, Lengths(3), PENDING, CONSUMERS_3])];

fn parts_of(type_byte: u8) -> Option<&'static [Part]> {
    Some(match type_byte {
        type_byte::LIST | type_byte::SET | type_byte::LIST_QUICKLIST => STRINGS,
        type_byte::ZSET => &[Repeat(&[String, Decimal])],
        type_byte::ZSET_2 => &[Repeat(&[String, Bytes(8)])],
        type_byte::HASH => &[Repeat(&[String, String])],
        type_byte::LIST_QUICKLIST_2 => &[Repeat(&[Length, String])],
        type_byte::HASH_2 => &[Repeat(&[String, String, Bytes(8)])],
        type_byte::HASH_METADATA => &[Bytes(8), Repeat(&[Length, String, String])],
        type_byte::HASH_LISTPACK_EX => &[Bytes(8), String],
        type_byte::STREAM => STREAM,
        type_byte::STREAM_2 => STREAM_2,
        type_byte::STREAM_3 => STREAM_3,
        type_byte::STRING
        | type_byte::HASH_ZIPMAP
        | type_byte::LIST_ZIPLIST
        | type_byte::SET_INTSET
        | type_byte::ZSET_ZIPLIST
        | type_byte::HASH_ZIPLIST
        | type_byte::HASH_LISTPACK
        | type_byte::ZSET_LISTPACK
        | type_byte::SET_LISTPACK => &[String],
        _ => return None,
    })
}

/// A look for the end of one value, under way.
#[derive(Debug)]
pub struct Extent {
    stack: Vec<Level>,
    /// Bytes of the value that were passed.
    passed: usize,
}

#[derive(Debug)]
struct Level {
    parts: &'static [Part],
    /// The next of them.
    next: usize,
    /// How often they come again, this time included.
    times: u64,
}

impl Extent {
    /// `None` for a type whose layout is not known.
    pub fn of(type_byte: u8) -> Option<Extent> {
        let parts = parts_of(type_byte)?;
        Some(Extent { stack: vec![Level { parts, next: 0, times: 1 }], passed: 0 })
    }

    /// Goes on looking, in the bytes that have arrived from the value's first on. The value's length once the end is
    /// found. Error: it is not there yet; `needs` counts from the value's first byte.
    pub fn find(&mut self, bytes: &[u8]) -> Result<usize, DecodeError> {
        let mut input = Input::new(bytes);
        input.take(self.passed)?;
        while let Some(level) = self.stack.last_mut() {
            let Some(&part) = level.parts.get(level.next) else {
                level.times -= 1;
                level.next = 0;
                if level.times == 0 {
                    self.stack.pop();
                }
                continue;
            };
            let mut repeated = None;
            match part {
                Length => drop(length::parse_plain(&mut input)?),
                Lengths(count) => {
                    for _ in 0..count {
                        length::parse_plain(&mut input)?;
                    }
                }
                String => string::skip(&mut input)?,
                Bytes(count) => drop(input.take(count)?),
                Decimal => match input.byte()? {
                    // Not a number, and both infinities.
                    253..=255 => {}
                    count => drop(input.take(count.into())?),
                },
                Repeat(parts) => repeated = Some((parts, length::parse_plain(&mut input)?)),
            }
            level.next += 1;
            self.passed = input.position();
            if let Some((parts, times @ 1..)) = repeated {
                self.stack.push(Level { parts, next: 0, times });
            }
        }
        Ok(self.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GROUPS: &[u8] = b"\x01\x01g\x01\x02\x01\
        \0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\x09\0\0\0\0\0\0\0\x01\
        \x01\x01c\x09\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02";

    fn values() -> Vec<(u8, Vec<u8>)> {
        vec![
            (type_byte::SET, b"\x03\x01a\xc0\x05\x00".to_vec()),
            (type_byte::SET, b"\x00".to_vec()),
            (type_byte::HASH, b"\x02\x01a\x01b\x01c\x01d".to_vec()),
            (type_byte::ZSET, b"\x03\x01a\x031.5\x01b\xfe\x01c\x010".to_vec()),
            (type_byte::ZSET_2, b"\x01\x01a\0\0\0\0\0\0\xf0\x3f".to_vec()),
            (type_byte::LIST_QUICKLIST_2, b"\x02\x01\x01a\x02\x03abc".to_vec()),
            (type_byte::HASH_LISTPACK, b"\x05abcde".to_vec()),
            (type_byte::STREAM, [&b"\x01\x01i\x02lp\x01\x01\x02"[..], GROUPS].concat()),
        ]
    }

    #[test]
    fn the_end_is_found_whatever_pieces_a_value_comes_in() {
        for (type_byte, value) in values() {
            let followed = [&value[..], b"more"].concat();
            let mut extent = Extent::of(type_byte).unwrap();
            for arrived in 0..value.len() {
                match extent.find(&followed[..arrived]) {
                    Err(DecodeError::CutShort { needs }) => assert!(needs > arrived),
                    other => panic!("{type_byte} {arrived}: {other:?}"),
                }
            }
            assert_eq!(extent.find(&followed), Ok(value.len()), "{type_byte}");
            assert_eq!(Extent::of(type_byte).unwrap().find(&value), Ok(value.len()));
        }
        assert!(Extent::of(7).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(type_byte in 0u8..30, bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(mut extent) = Extent::of(type_byte)
                && let Ok(length) = extent.find(&bytes)
            {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
