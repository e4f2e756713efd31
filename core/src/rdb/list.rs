//! Lists in RDB: as listpacks and plain nodes (since RDB 10), or as strings one by one for readers before that. What is
//! read may also be one ziplist or several.
//!
//! Source: `rdbSaveObject` and `rdbLoadObject` in `src/rdb.c` of Redis 7.2.

use super::input::{DecodeError, Input};
use super::slices::{Slices, write_items};
use super::value::{Builder, Format, type_byte};
use super::{length, string};
use crate::collections::List;
use crate::collections::list::{NodePlace, NodeRef};
use crate::collections::listpack::{self, Element, Listpack};
use crate::collections::ziplist::Ziplist;
use crate::store::{Collection, DropSome, Packing, Value};
use crate::values::list::{self, Limit, ListRef};

/// What a node of a list is.
const PLAIN: u64 = 1;
const PACKED: u64 = 2;

/// The type byte under which [`write`] writes it.
pub fn type_byte(_value: &Value, format: Format) -> u8 {
    if format.has_listpacks() { type_byte::LIST_QUICKLIST_2 } else { type_byte::LIST }
}

/// Appends it without its type byte.
pub fn write(out: &mut Vec<u8>, value: &Value, format: Format) {
    match ListRef::of(*value) {
        ListRef::Small(listpack) => {
            length::write(out, if format.has_listpacks() { 1 } else { listpack.len() as u64 });
            write_node(out, NodeRef::Packed(listpack), format);
        }
        ListRef::Large(list) => {
            length::write(out, large_len(list, format));
            list.nodes().for_each(|node| write_node(out, node, format));
        }
    }
}

/// What a list is said to consist of: so many nodes, or elements.
fn large_len(list: &List, format: Format) -> u64 {
    let len = if format.has_listpacks() { list.node_count() } else { list.len() };
    len as u64
}

fn write_node(out: &mut Vec<u8>, node: NodeRef, format: Format) {
    let (container, bytes) = match node {
        NodeRef::Packed(listpack) if !format.has_listpacks() => {
            for element in listpack.iter() {
                string::write_element(out, element, format.compress);
            }
            return;
        }
        NodeRef::Packed(listpack) => (PACKED, listpack.bytes()),
        NodeRef::Plain(text) => (PLAIN, text),
    };
    if format.has_listpacks() {
        length::write(out, container);
    }
    string::write(out, bytes, format.compress);
}

/// A large list that is written bit by bit.
pub struct ListSlices {
    list: List,
    format: Format,
    /// The node to go on with; `None`: nothing was written.
    next: Option<NodePlace>,
}

impl ListSlices {
    pub fn new(list: List, format: Format) -> ListSlices {
        ListSlices { list, format, next: None }
    }
}

impl DropSome for ListSlices {
    fn drop_some(&mut self, budget: usize) -> bool {
        self.list.drop_some(budget)
    }
}

impl Slices for ListSlices {
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let ListSlices { list, format, next } = self;
        let end = out.len() + bytes_max;
        if next.is_none() {
            length::write(out, large_len(list, *format));
        }
        let rest = list.nodes_from(next.unwrap_or_default());
        write_items(out, end, next, rest, |out, node| write_node(out, node, *format))
    }
}

/// The value of type `type_byte` that comes next.
pub fn parse(
    type_byte: u8,
    input: &mut Input,
    builder: &Builder,
) -> Result<Collection, DecodeError> {
    let limit = Limit::of_setting(builder.limits.list_max_listpack_size.into());
    let start = input.position();
    let mut list = List::new();
    match type_byte {
        type_byte::LIST => {
            for _ in 0..length::parse_plain(input)? {
                let text = string::parse_bytes(input)?;
                list.push_back(Element::of(&text), limit);
            }
        }
        type_byte::LIST_ZIPLIST => push_ziplist(&mut list, input, limit)?,
        type_byte::LIST_QUICKLIST => {
            for _ in 0..length::parse_plain(input)? {
                push_ziplist(&mut list, input, limit)?;
            }
        }
        _ => {
            let nodes = length::parse_plain(input)?;
            for _ in 0..nodes {
                let packed = push_node(&mut list, input, limit, nodes == 1)?;
                if let Some(packed) = packed {
                    return Ok(packed);
                }
            }
        }
    }
    if list.is_empty() {
        return Err(Input::malformed(start, "a list has no elements"));
    }
    Ok(list::loaded(list, limit))
}

/// Appends what a node holds. If that is the whole list, and is to stay packed, it is given back instead.
fn push_node(
    list: &mut List,
    input: &mut Input,
    limit: Limit,
    is_only: bool,
) -> Result<Option<Collection>, DecodeError> {
    let at = input.position();
    let container = length::parse_plain(input)?;
    let bytes = string::parse_bytes(input)?;
    match container {
        PLAIN => list.push_plain(&bytes, limit),
        PACKED => {
            let len = listpack::validate(&bytes)
                .map_err(|_| Input::malformed(at, "a node of a list is no listpack"))?;
            if is_only && len > 0 && limit.admits_loaded(bytes.len(), len) {
                return Ok(Some(Collection::Packed(Packing::List, bytes.into_owned())));
            }
            list.push_listpack(Listpack::new(&bytes), limit);
        }
        _ => return Err(Input::malformed(at, "a node of a list is of an unknown kind")),
    }
    Ok(None)
}

fn push_ziplist(list: &mut List, input: &mut Input, limit: Limit) -> Result<(), DecodeError> {
    let at = input.position();
    let bytes = string::parse_bytes(input)?;
    let ziplist =
        Ziplist::parse(&bytes).map_err(|_| Input::malformed(at, "a list is no ziplist"))?;
    for element in ziplist.iter() {
        // A string that spells an integer is kept as one.
        match element {
            Element::Bytes(text) => list.push_back(Element::of(text), limit),
            Element::Integer(_) => list.push_back(element, limit),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Limits;
    use crate::collections::ziplist::tests::ziplist;
    use crate::store::Hasher;
    use crate::values::list::End;
    use proptest::prelude::*;

    fn builder(list_max_listpack_size: i32) -> Builder {
        let limits = Limits { list_max_listpack_size, ..Limits::default() };
        Builder { hasher: Hasher::new([1, 2, 3, 4]), limits }
    }

    fn texts(collection: &Collection) -> Vec<Vec<u8>> {
        ListRef::of(collection.get()).iter().map(|element| element.to_vec()).collect()
    }

    fn is_packed(collection: &Collection) -> bool {
        matches!(collection, Collection::Packed(Packing::List, _))
    }

    fn read(type_byte: u8, bytes: &[u8], setting: i32) -> Result<Collection, DecodeError> {
        let mut input = Input::new(bytes);
        let collection = parse(type_byte, &mut input, &builder(setting))?;
        assert_eq!(input.position(), bytes.len());
        Ok(collection)
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
            (0usize..60).prop_map(|len| vec![b'x'; len]),
            (4000usize..4300).prop_map(|len| vec![b'y'; len]),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            elements in prop::collection::vec(text(), 1..40),
            version in prop::sample::select(vec![9u16, 10, 11, 80]),
            compress: bool,
            setting in prop::sample::select(vec![-1, -2, 3, 128]),
        ) {
            let limit = Limit::of_setting(setting.into());
            let written = list::created(End::Right, elements.iter().map(Vec::as_slice), limit);
            let format = Format { version, compress };
            let mut out = Vec::new();
            write(&mut out, &written.get(), format);
            let type_byte = type_byte(&written.get(), format);
            prop_assert_eq!(type_byte, if version == 9 { 1 } else { 18 });
            let loaded = read(type_byte, &out, setting).expect("a list");
            prop_assert_eq!(&texts(&loaded), &elements);
            // A list of more than the limit is large, and one of half of it is not.
            let stored = listpack::from_texts(elements.iter().map(Vec::as_slice)).len();
            if !limit.admits_loaded(stored, elements.len()) {
                prop_assert!(!is_packed(&loaded));
            }
            if limit.admits_shrunk(stored, elements.len()) && stored < 8000 {
                prop_assert!(is_packed(&loaded));
            }
            for end in 0..out.len().min(40) {
                let cut = parse(type_byte, &mut Input::new(&out[..end]), &builder(setting));
                prop_assert!(matches!(cut, Err(DecodeError::CutShort { .. })), "{:?}", cut);
            }
        }

        #[test]
        fn no_input_makes_parsing_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            type_byte in prop::sample::select(vec![1u8, 10, 14, 18]),
            head in prop::sample::select(vec![&b""[..], b"\x01\x02", b"\x02\x02\x07\x07\0\0\0\0\0\xff"]),
        ) {
            let bytes = [head, &bytes[..]].concat();
            let _ = parse(type_byte, &mut Input::new(&bytes), &builder(-2));
        }
    }

    #[test]
    fn older_lists_are_read() {
        let old = ziplist(&[b"a", b"5", b"-70000"]);
        let as_string = |bytes: &[u8]| [&[bytes.len() as u8], bytes].concat();
        let expected = [&b"a"[..], b"5", b"-70000"];
        let one = read(type_byte::LIST_ZIPLIST, &as_string(&old), -2).expect("a list");
        assert_eq!(texts(&one), expected);
        assert!(is_packed(&one));
        let two =
            [&[3][..], &as_string(&old), &as_string(&ziplist(&[])), &as_string(&old)].concat();
        let two = read(type_byte::LIST_QUICKLIST, &two, 3).expect("a list");
        assert_eq!(texts(&two), [expected, expected].concat());
        assert!(!is_packed(&two));
        let plain = read(type_byte::LIST, b"\x02\x01a\xc0\x05", -2).expect("a list");
        assert_eq!(texts(&plain), [b"a", b"5"]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (type_byte, bytes, reason) in [
            (1, &b"\0"[..], "a list has no elements"),
            (18, b"\0", "a list has no elements"),
            (18, b"\x01\x02\x07\x07\0\0\0\0\0\xff", "a list has no elements"),
            (18, b"\x01\x03\x01a", "a node of a list is of an unknown kind"),
            (18, b"\x01\x02\x01a", "a node of a list is no listpack"),
            (10, b"\x01a", "a list is no ziplist"),
            (14, b"\x01\x0b\x0b\0\0\0\x0a\0\0\0\0\0\xff", "a list has no elements"),
        ] {
            let refusal = read(type_byte, bytes, -2).unwrap_err();
            assert_eq!(refusal.to_string(), reason);
        }
        // A count that lies costs nothing.
        let lie = parse(1, &mut Input::new(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff"), &builder(-2));
        assert!(matches!(lie, Err(DecodeError::CutShort { .. })));
    }
}
