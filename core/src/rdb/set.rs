//! Sets in RDB: a count and the members, or an intset or a listpack in a string.
//!
//! A count of members that are said to come reserves nothing, and a set of one member twice, or of none, is refused, as
//! Redis does.

use super::input::{DecodeError, Input};
use super::slices::{Slices, write_items};
use super::value::{Builder, Format, type_byte as byte};
use super::{length, string};
use crate::collections::listpack::{Element, Listpack};
use crate::collections::records::{Member, RecordId, StillRecords};
use crate::collections::{Set, intset, listpack};
use crate::store::{Collection, DropSome, Packing, Value};
use crate::values::set::{SetBuilder, SetView};

/// Since this version a listpack may be written.
const LISTPACK_SINCE: u16 = 11;

/// The type byte under which [`write`] writes it.
pub fn type_byte(value: &Value, format: Format) -> u8 {
    match value {
        Value::Packed(Packing::Intset, _) => byte::SET_INTSET,
        Value::Packed(..) if format.version >= LISTPACK_SINCE => byte::SET_LISTPACK,
        _ => byte::SET,
    }
}

/// Appends it without its type byte.
pub fn write(out: &mut Vec<u8>, value: &Value, format: Format) {
    match value {
        Value::Packed(_, bytes) if type_byte(value, format) != byte::SET => {
            string::write(out, bytes, format.compress);
        }
        _ => {
            let set = SetView::of(*value);
            length::write(out, set.len() as u64);
            set.for_each(|member| string::write_element(out, member, format.compress));
        }
    }
}

/// A large set that is written bit by bit.
pub struct SetSlices {
    members: StillRecords<Member>,
    format: Format,
    /// The member to go on from; `None`: nothing was written.
    next: Option<RecordId>,
}

impl SetSlices {
    pub fn new(members: StillRecords<Member>, format: Format) -> SetSlices {
        SetSlices { members, format, next: None }
    }
}

impl DropSome for SetSlices {
    fn drop_some(&mut self, budget: usize) -> bool {
        self.members.drop_some(budget)
    }
}

impl Slices for SetSlices {
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let SetSlices { members, format, next } = self;
        let end = out.len() + bytes_max;
        if next.is_none() {
            length::write(out, members.count() as u64);
        }
        let rest = members.iter_from(*next);
        write_items(out, end, next, rest, |out, member| string::write(out, member, format.compress))
    }
}

/// The value of type `type_byte` that comes next.
pub fn parse(
    type_byte: u8,
    input: &mut Input,
    builder: &Builder,
) -> Result<Collection, DecodeError> {
    let at = input.position();
    let set = match type_byte {
        byte::SET => parse_members(input, builder, at)?,
        byte::SET_INTSET => {
            let bytes = string::parse_bytes(input)?;
            let len = intset::validate(&bytes)
                .map_err(|_| Input::malformed(at, "the integers of a set are not in order"))?;
            if len <= builder.limits.set_max_intset_entries {
                Collection::Packed(Packing::Intset, bytes.into_owned())
            } else {
                unpacked(SetView::of(Value::Packed(Packing::Intset, &bytes)), builder, at)?
            }
        }
        _ => {
            let bytes = string::parse_bytes(input)?;
            let len = listpack::validate(&bytes)
                .map_err(|_| Input::malformed(at, "the listpack of a set is corrupt"))?;
            let view = SetView::Listpack(Listpack::new(&bytes));
            if len <= builder.limits.set_max_listpack_entries && fits(view, builder) {
                refuse_duplicates(view, builder, at)?;
                Collection::Packed(Packing::Set, bytes.into_owned())
            } else {
                unpacked(view, builder, at)?
            }
        }
    };
    if SetView::of(set.get()).is_empty() {
        return Err(Input::malformed(at, "a set has no members"));
    }
    Ok(set)
}

fn parse_members(
    input: &mut Input,
    builder: &Builder,
    at: usize,
) -> Result<Collection, DecodeError> {
    let mut set = SetBuilder::new(&builder.hasher, builder.limits);
    for _ in 0..length::parse_plain(input)? {
        let member = string::parse_bytes(input)?;
        if !set.add(Element::of(&member)) {
            return Err(twice(at));
        }
    }
    Ok(set.finish())
}

/// The set of these members, in another form if they are too many or too long.
fn unpacked(view: SetView, builder: &Builder, at: usize) -> Result<Collection, DecodeError> {
    let mut set = SetBuilder::new(&builder.hasher, builder.limits);
    let mut different = true;
    view.each_while(|member| {
        different = set.add(member);
        different
    });
    if different { Ok(set.finish()) } else { Err(twice(at)) }
}

fn refuse_duplicates(view: SetView, builder: &Builder, at: usize) -> Result<(), DecodeError> {
    let mut seen = Set::new();
    view.for_each(|member| {
        member.with_bytes(|member| {
            seen.insert(&builder.hasher, builder.hasher.hash(member), member);
        });
    });
    if seen.len() == view.len() { Ok(()) } else { Err(twice(at)) }
}

/// Whether no member is too long for a listpack.
fn fits(view: SetView, builder: &Builder) -> bool {
    let mut fits = true;
    view.each_while(|member| {
        fits = member.text_len() <= builder.limits.set_max_listpack_value;
        fits
    });
    fits
}

fn twice(at: usize) -> DecodeError {
    Input::malformed(at, "a set has a member twice")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Limits;
    use crate::store::Hasher;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn builder() -> Builder {
        let limits = Limits {
            set_max_intset_entries: 20,
            set_max_listpack_entries: 10,
            set_max_listpack_value: 20,
            ..Limits::default()
        };
        Builder { hasher: Hasher::new([1, 2, 3, 4]), limits }
    }

    fn set_of<'m>(members: impl IntoIterator<Item = &'m [u8]>) -> Collection {
        let builder = builder();
        let mut set = SetBuilder::new(&builder.hasher, builder.limits);
        members.into_iter().for_each(|member| {
            set.add(Element::of(member));
        });
        set.finish()
    }

    fn members(set: &Collection) -> BTreeSet<Vec<u8>> {
        let mut members = BTreeSet::new();
        SetView::of(set.get()).for_each(|member| assert!(members.insert(member.to_vec())));
        members
    }

    fn written(set: &Collection, format: Format) -> (u8, Vec<u8>) {
        let mut out = Vec::new();
        write(&mut out, &set.get(), format);
        (type_byte(&set.get(), format), out)
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            2 => (-40..40i64).prop_map(|integer| integer.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..30),
        ]
    }

    proptest! {
        #[test]
        fn a_set_is_read_as_it_was_written(
            all in prop::collection::vec(member(), 1..60),
            version in prop::sample::select(&[9, 10, 11, 80][..]),
            compress in any::<bool>(),
        ) {
            let set = set_of(all.iter().map(|member| &member[..]));
            let (type_byte, bytes) = written(&set, Format { version, compress });
            prop_assert!(type_byte != byte::SET_LISTPACK || version >= 11);
            let mut input = Input::new(&bytes);
            let read = parse(type_byte, &mut input, &builder()).expect("a set");
            prop_assert_eq!(input.position(), bytes.len());
            prop_assert_eq!(members(&read), all.iter().cloned().collect());
            for end in 0..bytes.len() {
                prop_assert!(parse(type_byte, &mut Input::new(&bytes[..end]), &builder()).is_err());
            }
        }

        #[test]
        fn whatever_the_bytes_nothing_panics(
            type_byte in prop::sample::select(&[byte::SET, byte::SET_INTSET, byte::SET_LISTPACK][..]),
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            if let Ok(set) = parse(type_byte, &mut Input::new(&bytes), &builder()) {
                prop_assert!(!members(&set).is_empty());
            }
        }

        #[test]
        fn whatever_is_wrong_with_a_blob_nothing_panics(
            all in prop::collection::vec(member(), 1..30),
            at in any::<prop::sample::Index>(),
            wrong in any::<u8>(),
        ) {
            let set = set_of(all.iter().map(|member| &member[..]));
            let (type_byte, mut bytes) = written(&set, Format { version: 11, compress: false });
            let at = at.index(bytes.len());
            bytes[at] = wrong;
            if let Ok(set) = parse(type_byte, &mut Input::new(&bytes), &builder()) {
                prop_assert!(!members(&set).is_empty());
            }
        }
    }

    #[track_caller]
    fn check_refused(type_byte: u8, bytes: &[u8], reason: &str) {
        let refusal = parse(type_byte, &mut Input::new(bytes), &builder()).unwrap_err();
        assert_eq!(refusal.to_string(), reason);
    }

    #[test]
    fn a_set_of_nothing_or_of_one_member_twice_is_refused() {
        check_refused(byte::SET, &[0], "a set has no members");
        check_refused(byte::SET, &[2, 1, b'a', 1, b'a'], "a set has a member twice");
        check_refused(byte::SET, &[2, 1, b'7', 0xc0, 7], "a set has a member twice");
        check_refused(byte::SET_INTSET, &[8, 2, 0, 0, 0, 0, 0, 0, 0], "a set has no members");
        check_refused(
            byte::SET_INTSET,
            &[12, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 0],
            "the integers of a set are not in order",
        );
        let twice = listpack::from_texts([&b"a"[..], b"a"]);
        let bytes = [&[twice.len() as u8], &twice[..]].concat();
        check_refused(byte::SET_LISTPACK, &bytes, "a set has a member twice");
        let empty = [&[7][..], &listpack::new_empty()].concat();
        check_refused(byte::SET_LISTPACK, &empty, "a set has no members");
    }

    #[test]
    fn a_packed_set_beyond_the_limits_becomes_a_large_one() {
        let texts: Vec<String> = (0..11).map(|number| format!("member{number}")).collect();
        let packed = listpack::from_texts(texts.iter().map(|text| text.as_bytes()));
        for (take, large) in [(10, false), (11, true)] {
            let some = listpack::from_texts(texts.iter().take(take).map(|text| text.as_bytes()));
            let mut bytes = Vec::new();
            string::write_plain(&mut bytes, &some);
            let set = parse(byte::SET_LISTPACK, &mut Input::new(&bytes), &builder()).unwrap();
            assert_eq!(matches!(set, Collection::Large(_)), large);
            assert_eq!(some == packed, large);
        }
    }
}
