//! Sorted sets in RDB: packed ones as their listpack, others as members and scores, the highest first.
//!
//! What is read comes from anywhere: members that come twice, scores that are no numbers and sorted sets without members
//! are refused; what is not in order is put in order.
//!
//! Source: `src/rdb.c` of Redis 7.2.

use super::input::{DecodeError, Input};
use super::length::{self, Length};
use super::slices::Slices;
use super::string;
use super::value::{Builder, Format, type_byte};
use crate::collections::SortedSet;
use crate::collections::listpack::Element;
use crate::collections::sorted_set::StillSortedSet;
use crate::collections::sorted_set::packed::{self, Packed};
use crate::collections::ziplist::Ziplist;
use crate::number;
use crate::store::{Collection, DropSome, LargeValue, Packing, Value};
use crate::values::sorted_set::{View, collect, to_large};
use std::borrow::Cow;
use std::collections::HashSet;

/// What a slice has at most: members lie anywhere in memory, so each is waited for.
const SLICE_PAIRS: usize = 512;

/// The type byte under which [`write`] writes it.
pub fn type_byte(value: &Value, format: Format) -> u8 {
    match value {
        Value::Packed(..) if format.has_listpacks() => type_byte::ZSET_LISTPACK,
        _ => type_byte::ZSET_2,
    }
}

/// Appends it without its type byte.
pub fn write(out: &mut Vec<u8>, value: &Value, format: Format) {
    if let Value::Packed(_, packed) = value
        && format.has_listpacks()
    {
        return string::write(out, packed, format.compress);
    }
    let view = View::of(*value);
    length::write(out, view.len() as u64);
    view.walk(0..view.len(), true, |member, score| write_pair(out, member, score, format));
}

fn write_pair(out: &mut Vec<u8>, member: Element, score: f64, format: Format) {
    string::write_element(out, member, format.compress);
    out.extend_from_slice(&score.to_le_bytes());
}

/// A large sorted set that is written bit by bit.
pub struct SortedSetSlices {
    set: StillSortedSet,
    format: Format,
    /// How many were written; `None`: not even their number.
    written: Option<usize>,
}

impl SortedSetSlices {
    pub fn new(set: StillSortedSet, format: Format) -> SortedSetSlices {
        SortedSetSlices { set, format, written: None }
    }
}

impl DropSome for SortedSetSlices {
    fn drop_some(&mut self, budget: usize) -> bool {
        self.set.drop_some(budget)
    }
}

impl Slices for SortedSetSlices {
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let end = out.len() + bytes_max;
        let len = self.set.count();
        let mut written = self.written.unwrap_or_else(|| {
            length::write(out, len as u64);
            0
        });
        let rest = self.set.down_from(len - 1 - written).take(len - written);
        for (member, score) in rest.take(SLICE_PAIRS) {
            if out.len() >= end {
                break;
            }
            write_pair(out, Element::Bytes(member), score, self.format);
            written += 1;
        }
        self.written = Some(written);
        written == len
    }
}

/// The value of type `type_byte` that comes next.
pub fn parse(
    type_byte: u8,
    input: &mut Input,
    builder: &Builder,
) -> Result<Collection, DecodeError> {
    let at = input.position();
    match type_byte {
        type_byte::ZSET => parse_members(input, builder, parse_score_text),
        type_byte::ZSET_2 => parse_members(input, builder, |input| {
            let score = f64::from_le_bytes(input.array()?);
            if score.is_nan() {
                Err(Input::malformed(at, "a score is no number"))
            } else {
                Ok(score)
            }
        }),
        type_byte::ZSET_LISTPACK => {
            let bytes = string::parse_bytes(input)?;
            let packed = packed::load(&bytes)
                .map_err(|_| Input::malformed(at, "the listpack is no sorted set"))?;
            if Packed::new(&packed).is_empty() {
                return Err(Input::malformed(at, EMPTY));
            }
            Ok(within_limits(packed, builder))
        }
        type_byte::ZSET_ZIPLIST => {
            let bytes = string::parse_bytes(input)?;
            let refused = || Input::malformed(at, "the ziplist is no sorted set");
            parse_ziplist(&bytes, builder).ok_or_else(refused)
        }
        _ => Err(DecodeError::NotSupported { at: at.saturating_sub(1), type_byte }),
    }
}

const EMPTY: &str = "a sorted set has no members";

fn within_limits(packed: Vec<u8>, builder: &Builder) -> Collection {
    let view = Packed::new(&packed);
    if view.len() <= builder.limits.zset_max_listpack_entries {
        return Collection::Packed(Packing::SortedSet, packed);
    }
    Collection::Large(LargeValue::SortedSet(Box::new(to_large(view, &builder.hasher))))
}

fn parse_ziplist(bytes: &[u8], builder: &Builder) -> Option<Collection> {
    let ziplist = Ziplist::parse(bytes).ok()?;
    if ziplist.is_empty() || ziplist.len() % 2 != 0 {
        return None;
    }
    let mut members: Vec<(Vec<u8>, f64)> = Vec::with_capacity(ziplist.len() / 2);
    let mut elements = ziplist.iter();
    while let (Some(member), Some(score)) = (elements.next(), elements.next()) {
        members.push((member.to_vec(), score.with_bytes(number::parse_double)?));
    }
    is_unique(&members).then(|| collect(members, &builder.hasher, &builder.limits))
}

fn is_unique<M: AsRef<[u8]>>(members: &[(M, f64)]) -> bool {
    let unique: HashSet<&[u8]> = members.iter().map(|(member, _)| member.as_ref()).collect();
    unique.len() == members.len()
}

fn parse_members(
    input: &mut Input,
    builder: &Builder,
    mut parse_score: impl FnMut(&mut Input) -> Result<f64, DecodeError>,
) -> Result<Collection, DecodeError> {
    let at = input.position();
    let count = match length::parse(input)? {
        Length::Plain(0) => return Err(Input::malformed(at, EMPTY)),
        Length::Plain(count) => count,
        Length::Special(_) => return Err(Input::malformed(at, "no number of members")),
    };
    let twice = || Input::malformed(at, "a sorted set has a member twice");
    if count <= builder.limits.zset_max_listpack_entries as u64 {
        let mut members: Vec<(Cow<[u8]>, f64)> = Vec::new();
        for _ in 0..count {
            let member = string::parse_bytes(input)?;
            members.push((member, parse_score(input)?));
        }
        if !is_unique(&members) {
            return Err(twice());
        }
        return Ok(collect(members, &builder.hasher, &builder.limits));
    }
    let mut set = SortedSet::new();
    for _ in 0..count {
        let member = string::parse_bytes(input)?;
        let score = parse_score(input)?;
        if !set.has_room() {
            return Err(Input::malformed(at, "a sorted set is too large"));
        }
        if set.set(&builder.hasher, &member, score).is_some() {
            return Err(twice());
        }
    }
    Ok(Collection::Large(LargeValue::SortedSet(Box::new(set))))
}

/// A score as RDBs of old have it: a length, then digits; or one of three words.
fn parse_score_text(input: &mut Input) -> Result<f64, DecodeError> {
    let at = input.position();
    match input.byte()? {
        0xff => Ok(f64::NEG_INFINITY),
        0xfe => Ok(f64::INFINITY),
        0xfd => Err(Input::malformed(at, "a score is no number")),
        len => {
            let text = input.take(len.into())?;
            number::parse_double(text).ok_or(Input::malformed(at, "a score is no number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Limits;
    use crate::store::Hasher;
    use proptest::prelude::*;

    fn builder() -> Builder {
        Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() }
    }

    fn pairs(collection: &Collection) -> Vec<(Vec<u8>, f64)> {
        let view = View::of(collection.get());
        let mut pairs = Vec::new();
        view.walk(0..view.len(), false, |member, score| pairs.push((member.to_vec(), score)));
        pairs
    }

    fn read(type_byte: u8, bytes: &[u8]) -> Result<Vec<(Vec<u8>, f64)>, DecodeError> {
        parse(type_byte, &mut Input::new(bytes), &builder()).map(|collection| pairs(&collection))
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            (-4i32..5).prop_map(f64::from),
            any::<f64>().prop_filter("a number", |score| !score.is_nan())
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            members in prop::collection::btree_map(prop::collection::vec(any::<u8>(), 0..80), score(), 1..200),
            version in 9u16..13, compress: bool,
        ) {
            let builder = builder();
            let mut members: Vec<_> = members.into_iter().collect();
            let collection = collect(members.clone(), &builder.hasher, &builder.limits);
            let format = Format { version, compress };
            let mut out = Vec::new();
            write(&mut out, &collection.get(), format);
            let read = parse(type_byte(&collection.get(), format), &mut Input::new(&out), &builder).unwrap();
            crate::values::sorted_set::sort(&mut members);
            prop_assert_eq!(pairs(&read), members);
            prop_assert_eq!(
                matches!(read, Collection::Packed(..)), matches!(collection, Collection::Packed(..)),
            );
        }

        #[test]
        fn any_bytes_are_read_or_refused(
            type_byte in prop::sample::select(vec![3u8, 5, 12, 17]), bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            if let Ok(pairs) = read(type_byte, &bytes) {
                prop_assert!(!pairs.is_empty() && pairs.iter().all(|pair| !pair.1.is_nan()));
            }
        }
    }

    #[test]
    fn what_is_no_sorted_set_is_refused() {
        let one = 1f64.to_le_bytes();
        let twice = [&b"\x02\x01a"[..], &one, b"\x01a", &one].concat();
        let nan = [&b"\x01\x01a"[..], &f64::NAN.to_le_bytes()].concat();
        for (type_byte, bytes) in [
            (5, &twice[..]),
            (5, &nan),
            (5, b"\x00"),
            (5, b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a"),
            (3, b"\x01\x01a\xfd"),
            (3, b"\x01\x01a\x01x"),
            (17, b"\x07\x07\0\0\0\0\0\xff"),
            (12, b"\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff"),
        ] {
            assert!(read(type_byte, bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn scores_in_digits_are_read() {
        let read = read(3, b"\x04\x01a\x031.5\x01b\xff\x01c\xfe\x01d\x02-3").unwrap();
        let expected =
            [(b"b", f64::NEG_INFINITY), (b"d", -3.0), (b"a", 1.5), (b"c", f64::INFINITY)];
        assert!(
            read.iter()
                .map(|(member, score)| (&member[..], *score))
                .eq(expected.map(|(member, score)| (&member[..], score)))
        );
    }
}
