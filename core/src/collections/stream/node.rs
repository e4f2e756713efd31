//! One node of a stream: up to some hundred entries in one listpack, as Redis lays them out.
//!
//! ```text
//! live | deleted | field count | field ... | 0                                        the master entry
//! flags | ms | seq | [field count | field value ...] or [value ...] | element count   an entry, and the next ...
//! ```
//!
//! The node is stored under the id of its first entry, and `ms` and `seq` are differences to that. An entry whose
//! fields are those of the master entry is flagged so and has only its values. A deleted entry is flagged and stays. The
//! count at the end of an entry leads back to its beginning; the master entry's is 0, where going back ends.
//!
//! Deliberately absent: which node an entry belongs to, and everything that is known of the stream as a whole.
//!
//! Source: the payloads that redis-server 7.0 gives out; the comments of `src/t_stream.c` in Valkey 8.0.

use super::id::StreamId;
use crate::collections::listpack::{self, Element, Invalid, Listpack, ListpackMut};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Flags, two differences, and the element count.
const FRAME_ELEMENTS: usize = 4;

/// A node that is trusted: made here, or passed by [`validate`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    key: StreamId,
    listpack: Listpack<'a>,
}

/// Where the fields that entries share lie, and where entries begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Master {
    field_count: usize,
    fields_at: usize,
    pub entries_at: usize,
}

/// An entry of a node up to where its fields or values begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawEntry {
    /// The position of its flags.
    at: usize,
    flags: i64,
    pub id: StreamId,
    field_count: usize,
    data_at: usize,
}

impl RawEntry {
    #[inline]
    pub fn is_deleted(&self) -> bool {
        self.flags & DELETED != 0
    }

    #[inline]
    pub fn at(&self) -> usize {
        self.at
    }

    fn has_same_fields(&self) -> bool {
        self.flags & SAME_FIELDS != 0
    }
}

impl<'a> Node<'a> {
    #[inline]
    pub fn new(key: StreamId, bytes: &'a [u8]) -> Self {
        Node { key, listpack: Listpack::new(bytes) }
    }

    #[inline]
    pub fn key(&self) -> StreamId {
        self.key
    }

    #[inline]
    pub fn end(&self) -> usize {
        self.listpack.end()
    }

    /// Its size.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.listpack.bytes().len()
    }

    /// How many entries are live, and how many deleted.
    #[inline]
    pub fn counts(&self) -> (u64, u64) {
        let first = self.listpack.first();
        (self.integer(first) as u64, self.integer(self.listpack.next(first)) as u64)
    }

    pub fn master(&self) -> Master {
        let count_at = self.skip(self.listpack.first(), 2);
        let field_count = self.integer(count_at) as usize;
        let fields_at = self.listpack.next(count_at);
        Master { field_count, fields_at, entries_at: self.skip(fields_at, field_count + 1) }
    }

    /// The entry whose flags are at a position; `None` at the end.
    #[inline]
    pub fn entry_at(&self, master: &Master, at: usize) -> Option<RawEntry> {
        if at >= self.end() {
            return None;
        }
        let flags = self.integer(at);
        let ms_at = self.listpack.next(at);
        let seq_at = self.listpack.next(ms_at);
        let id = StreamId {
            ms: self.key.ms.wrapping_add(self.integer(ms_at) as u64),
            seq: self.key.seq.wrapping_add(self.integer(seq_at) as u64),
        };
        let behind = self.listpack.next(seq_at);
        let (field_count, data_at) = if flags & SAME_FIELDS != 0 {
            (master.field_count, behind)
        } else {
            (self.integer(behind) as usize, self.listpack.next(behind))
        };
        Some(RawEntry { at, flags, id, field_count, data_at })
    }

    /// The position behind an entry.
    #[inline]
    pub fn behind(&self, entry: &RawEntry) -> usize {
        let elements = entry.field_count * if entry.has_same_fields() { 1 } else { 2 };
        self.skip(entry.data_at, elements + 1)
    }

    /// The entry that ends at a position; `None` where entries begin.
    pub fn entry_before(&self, master: &Master, behind: usize) -> Option<RawEntry> {
        if behind <= master.entries_at {
            return None;
        }
        let mut at = self.listpack.previous(behind);
        for _ in 0..self.integer(at) {
            at = self.listpack.previous(at);
        }
        self.entry_at(master, at)
    }

    /// The entry with its fields and values.
    #[inline]
    pub fn open(&self, master: &Master, raw: &RawEntry) -> Entry<'a> {
        let fields_at = raw.has_same_fields().then_some(master.fields_at);
        Entry {
            id: raw.id,
            listpack: self.listpack,
            field_count: raw.field_count,
            fields_at,
            data_at: raw.data_at,
        }
    }

    /// The id of the last entry, live or deleted. A node has at least one.
    pub fn last_id(&self) -> StreamId {
        let master = self.master();
        self.entry_before(&master, self.end()).map_or(self.key, |entry| entry.id)
    }

    /// The live entry with that id.
    pub fn find(&self, id: StreamId) -> Option<RawEntry> {
        let master = self.master();
        let mut at = master.entries_at;
        while let Some(entry) = self.entry_at(&master, at) {
            if !entry.is_deleted() && entry.id >= id {
                return (entry.id == id).then_some(entry);
            }
            at = self.behind(&entry);
        }
        None
    }

    #[inline]
    fn integer(&self, at: usize) -> i64 {
        self.listpack.at(at).integer().unwrap_or(0)
    }

    #[inline]
    fn skip(&self, mut at: usize, elements: usize) -> usize {
        for _ in 0..elements {
            at = self.listpack.next(at);
        }
        at
    }
}

/// An entry: its id, and pairs of fields and values.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub id: StreamId,
    listpack: Listpack<'a>,
    field_count: usize,
    /// Where the fields are, if they are the master entry's.
    fields_at: Option<usize>,
    data_at: usize,
}

impl<'a> Entry<'a> {
    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.field_count
    }

    pub fn is_empty(&self) -> bool {
        self.field_count == 0
    }

    /// Each field with its value.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            listpack: self.listpack,
            left: self.field_count,
            field_at: self.fields_at,
            at: self.data_at,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Fields<'a> {
    listpack: Listpack<'a>,
    left: usize,
    field_at: Option<usize>,
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let field = match &mut self.field_at {
            Some(at) => take(self.listpack, at),
            None => take(self.listpack, &mut self.at),
        };
        Some((field, take(self.listpack, &mut self.at)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Fields<'_> {}

#[inline]
fn take<'a>(listpack: Listpack<'a>, at: &mut usize) -> Element<'a> {
    let element = listpack.at(*at);
    *at = listpack.next(*at);
    element
}

/// Elements that are put in at once, without an allocation while they are few.
struct Elements<'a> {
    few: [Element<'a>; Elements::FEW],
    len: usize,
    many: Vec<Element<'a>>,
}

impl<'a> Elements<'a> {
    const FEW: usize = 32;

    fn new() -> Self {
        Elements { few: [Element::Integer(0); Elements::FEW], len: 0, many: Vec::new() }
    }

    #[inline]
    fn push(&mut self, element: Element<'a>) {
        if self.len < Self::FEW {
            self.few[self.len] = element;
            self.len += 1;
        } else {
            if self.many.is_empty() {
                self.many.extend_from_slice(&self.few);
            }
            self.many.push(element);
        }
    }

    fn as_slice(&self) -> &[Element<'a>] {
        if self.many.is_empty() { &self.few[..self.len] } else { &self.many }
    }
}

/// A node of one entry, whose fields are the master's. `pairs`: field, value, field, value ….
pub(super) fn with_entry<'p>(pairs: impl Iterator<Item = &'p [u8]> + Clone) -> Vec<u8> {
    let mut elements = Elements::new();
    elements.push(Element::Integer(1));
    elements.push(Element::Integer(0));
    let fields = pairs.clone().step_by(2);
    let count = fields.clone().count();
    elements.push(Element::Integer(count as i64));
    fields.for_each(|field| elements.push(Element::of(field)));
    for number in [0, SAME_FIELDS, 0, 0] {
        elements.push(Element::Integer(number));
    }
    pairs.skip(1).step_by(2).for_each(|value| elements.push(Element::of(value)));
    elements.push(Element::Integer((count + FRAME_ELEMENTS - 1) as i64));
    let elements = elements.as_slice();
    let content: usize = elements.iter().map(|element| element.stored_bytes()).sum();
    let mut bytes = Vec::with_capacity(listpack::EMPTY_BYTES + content);
    bytes.extend_from_slice(&listpack::new_empty());
    let mut edit = ListpackMut::new(&mut bytes);
    let end = edit.view().end();
    edit.exchange(end..end, 0, elements);
    bytes
}

/// Appends a live entry to the node stored under `key`.
pub(super) fn append<'p>(
    bytes: &mut Vec<u8>,
    key: StreamId,
    id: StreamId,
    pairs: impl Iterator<Item = &'p [u8]> + Clone,
) {
    let node = Node::new(key, bytes);
    let master = node.master();
    let fields = pairs.clone().step_by(2);
    let count = fields.clone().count();
    let same = count == master.field_count
        && fields
            .zip(node.listpack.iter_from(master.fields_at))
            .all(|(field, of_master)| of_master.is(field));
    let mut elements = Elements::new();
    elements.push(Element::Integer(if same { SAME_FIELDS } else { 0 }));
    elements.push(Element::Integer(id.ms.wrapping_sub(key.ms) as i64));
    elements.push(Element::Integer(id.seq.wrapping_sub(key.seq) as i64));
    let length = if same {
        pairs.skip(1).step_by(2).for_each(|value| elements.push(Element::of(value)));
        count + FRAME_ELEMENTS - 1
    } else {
        elements.push(Element::Integer(count as i64));
        pairs.for_each(|part| elements.push(Element::of(part)));
        2 * count + FRAME_ELEMENTS
    };
    elements.push(Element::Integer(length as i64));
    let (live, _) = node.counts();
    let mut edit = ListpackMut::new(bytes);
    let end = edit.view().end();
    edit.exchange(end..end, 0, elements.as_slice());
    edit.replace(edit.view().first(), Element::Integer(live as i64 + 1));
}

/// Flags the live entry whose flags are at a position as deleted, without counting it. Nothing moves.
pub(super) fn flag_deleted(bytes: &mut Vec<u8>, entry: &RawEntry) {
    let flags = Element::Integer(entry.flags | DELETED);
    ListpackMut::new(bytes).replace(entry.at, flags);
}

/// Counts `count` live entries as deleted.
pub(super) fn count_deleted(bytes: &mut Vec<u8>, count: u64) {
    let (live, deleted) = Node::new(StreamId::MIN, bytes).counts();
    let mut edit = ListpackMut::new(bytes);
    let counts = [live.saturating_sub(count), deleted + count];
    let first = edit.view().first();
    let behind = edit.view().next(edit.view().next(first));
    edit.exchange(first..behind, 2, &counts.map(|number| Element::Integer(number as i64)));
}

/// What is known of a node that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub live: u64,
    /// The ids of the first and the last live entry.
    pub edges: Option<(StreamId, StreamId)>,
}

/// Whether the bytes of somebody else are the node stored under `key`: a listpack of whole entries, as many as the
/// master entry says, the live ones in ascending order. (Of deleted ones nobody asks the id. Redis leaves a node
/// without live entries behind where trimming by id ends at a deleted one.)
pub(super) fn validate(key: StreamId, bytes: &[u8]) -> Result<Checked, Invalid> {
    listpack::validate(bytes)?;
    let mut walk = Walk { listpack: Listpack::new(bytes), at: Listpack::new(bytes).first() };
    let (live, deleted) = (walk.count()?, walk.count()?);
    let master_fields = walk.count()?;
    walk.skip(master_fields)?;
    if walk.integer()? != 0 {
        return Err(Invalid);
    }
    let (mut live_seen, mut deleted_seen) = (0, 0);
    let mut edges: Option<(StreamId, StreamId)> = None;
    while walk.at < walk.listpack.end() {
        let flags = walk.integer()?;
        let id = StreamId {
            ms: key.ms.wrapping_add(walk.integer()? as u64),
            seq: key.seq.wrapping_add(walk.integer()? as u64),
        };
        let elements = if flags & SAME_FIELDS != 0 {
            walk.skip(master_fields)?;
            master_fields.checked_add(FRAME_ELEMENTS as u64 - 1)
        } else {
            let parts = walk.count()?.checked_mul(2).ok_or(Invalid)?;
            walk.skip(parts)?;
            parts.checked_add(FRAME_ELEMENTS as u64)
        };
        if Some(walk.count()?) != elements {
            return Err(Invalid);
        }
        if flags & DELETED != 0 {
            deleted_seen += 1;
            continue;
        }
        live_seen += 1;
        edges = match edges {
            None if id >= key => Some((id, id)),
            Some((first, last)) if id > last => Some((first, id)),
            _ => return Err(Invalid),
        };
    }
    if (live_seen, deleted_seen) != (live, deleted) {
        return Err(Invalid);
    }
    Ok(Checked { live, edges })
}

/// Goes through a listpack whose elements may be anything.
struct Walk<'a> {
    listpack: Listpack<'a>,
    at: usize,
}

impl Walk<'_> {
    fn integer(&mut self) -> Result<i64, Invalid> {
        if self.at >= self.listpack.end() {
            return Err(Invalid);
        }
        take(self.listpack, &mut self.at).integer().ok_or(Invalid)
    }

    fn count(&mut self) -> Result<u64, Invalid> {
        u64::try_from(self.integer()?).map_err(|_| Invalid)
    }

    fn skip(&mut self, elements: u64) -> Result<(), Invalid> {
        for _ in 0..elements {
            if self.at >= self.listpack.end() {
                return Err(Invalid);
            }
            self.at = self.listpack.next(self.at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: StreamId = StreamId { ms: 5, seq: 9 };

    fn pairs(text: &'static str) -> impl Iterator<Item = &'static [u8]> + Clone {
        text.split_ascii_whitespace().map(str::as_bytes)
    }

    fn node() -> Vec<u8> {
        let mut bytes = with_entry(pairs("a 1 b 2"));
        append(&mut bytes, KEY, StreamId::new(6, 0), pairs("a 3 b x"));
        append(&mut bytes, KEY, StreamId::new(6, 1), pairs("a 3"));
        append(&mut bytes, KEY, StreamId::new(7, 300), pairs("a 3 c x"));
        bytes
    }

    fn texts(node: Node, forward: bool) -> Vec<String> {
        let master = node.master();
        let mut list = Vec::new();
        let mut show = |raw: &RawEntry| {
            let mut text = raw.id.to_string();
            for (field, value) in node.open(&master, raw).fields() {
                for part in [field, value] {
                    text.push(' ');
                    part.with_bytes(|bytes| text.push_str(std::str::from_utf8(bytes).unwrap()));
                }
            }
            if raw.is_deleted() {
                text.push_str(" deleted");
            }
            list.push(text);
        };
        if forward {
            let mut at = master.entries_at;
            while let Some(raw) = node.entry_at(&master, at) {
                show(&raw);
                at = node.behind(&raw);
            }
        } else {
            let mut behind = node.end();
            while let Some(raw) = node.entry_before(&master, behind) {
                show(&raw);
                behind = raw.at();
            }
            list.reverse();
        }
        list
    }

    #[test]
    fn a_node_gives_its_entries_from_both_ends() {
        let mut bytes = node();
        let entry = Node::new(KEY, &bytes).find(StreamId::new(6, 1)).unwrap();
        flag_deleted(&mut bytes, &entry);
        count_deleted(&mut bytes, 1);
        let node = Node::new(KEY, &bytes);
        let expected = ["5-9 a 1 b 2", "6-0 a 3 b x", "6-1 a 3 deleted", "7-300 a 3 c x"];
        assert_eq!(texts(node, true), expected);
        assert_eq!(texts(node, false), expected);
        assert_eq!(node.counts(), (3, 1));
        assert_eq!(node.last_id(), StreamId::new(7, 300));
        assert!(node.find(StreamId::new(6, 1)).is_none());
        assert_eq!(
            validate(KEY, &bytes),
            Ok(Checked { live: 3, edges: Some((KEY, StreamId::new(7, 300))) })
        );
    }

    #[test]
    fn an_entry_of_many_fields_is_whole() {
        let words: Vec<String> = (0..200).map(|number| format!("w{number}")).collect();
        let parts = || words.iter().map(|word| word.as_bytes());
        let mut bytes = with_entry(parts());
        append(&mut bytes, KEY, StreamId::new(6, 0), parts().skip(2));
        let shown = texts(Node::new(KEY, &bytes), true);
        assert_eq!(shown[0], format!("5-9 {}", words.join(" ")));
        assert_eq!(shown[1], format!("6-0 {}", words[2..].join(" ")));
        assert!(validate(KEY, &bytes).is_ok());
    }

    #[test]
    fn nodes_that_contradict_themselves_are_refused() {
        let good: [&[u8]; 9] = [b"1", b"0", b"1", b"f", b"0", b"2", b"0", b"0", b"v"];
        let of = |change: &dyn Fn(&mut Vec<&[u8]>)| {
            let mut parts = good.to_vec();
            parts.push(b"4");
            change(&mut parts);
            validate(KEY, &listpack::from_texts(parts)).is_ok()
        };
        assert!(of(&|_| {}));
        assert!(!of(&|parts| parts.truncate(9)), "without its end");
        assert!(!of(&|parts| parts.truncate(5)), "without entries");
        assert!(!of(&|parts| parts[9] = b"5"), "wrong element count");
        assert!(!of(&|parts| parts[0] = b"2"), "wrong count of live entries");
        assert!(!of(&|parts| parts[1] = b"1"), "wrong count of deleted entries");
        assert!(!of(&|parts| parts[2] = b"2"), "wrong count of fields");
        assert!(!of(&|parts| parts[2] = b"9223372036854775807"), "a count past all bounds");
        assert!(!of(&|parts| parts[2] = b"x"), "no count");
        assert!(!of(&|parts| parts[5] = b"3"), "a deleted entry counted as live");
        assert!(of(&|parts| (parts[0], parts[1], parts[5]) = (b"0", b"1", b"3")));
        assert!(!of(&|parts| parts[6] = b"-1"), "an id before the node's");
        assert!(!of(&|parts| parts.push(b"1")), "something behind the last entry");
        assert!(!of(&|parts| {
            parts[0] = b"2";
            parts.extend_from_slice(&[b"2", b"0", b"0", b"v", b"4"]);
        }));
        assert!(of(&|parts| {
            parts[0] = b"2";
            parts.extend_from_slice(&[b"2", b"0", b"1", b"v", b"4"]);
        }));
    }

    proptest! {
        #[test]
        fn a_node_that_passes_can_be_read_and_edited(
            parts in prop::collection::vec(
                prop_oneof![
                    6 => (0i64..6).prop_map(|number| number.to_string().into_bytes()),
                    1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
                    1 => Just(b"x".to_vec()),
                ],
                0..12,
            ),
            at in 0usize..60,
            replacement in -1i64..6,
        ) {
            let built = listpack::from_texts(parts.iter().map(Vec::as_slice));
            let mut changed = node();
            let mut edit = ListpackMut::new(&mut changed);
            if let Some(position) = edit.view().seek(at as i64) {
                edit.replace(position, Element::Integer(replacement));
            }
            for bytes in [built, changed] {
                let Ok(checked) = validate(KEY, &bytes) else { continue };
                let all = Node::new(KEY, &bytes);
                let shown = texts(all, true);
                prop_assert_eq!(&texts(all, false), &shown);
                prop_assert_eq!(all.counts().0, checked.live);
                if let Some((first, last)) = checked.edges {
                    prop_assert!(all.find(first).is_some() && all.find(last).is_some());
                }
                let mut edited = bytes.clone();
                let next = StreamId::new(u64::MAX, 0);
                append(&mut edited, KEY, next, pairs("a 1"));
                prop_assert_eq!(validate(KEY, &edited).map(|checked| checked.live), Ok(checked.live + 1));
                let entry = Node::new(KEY, &edited).find(next).unwrap();
                flag_deleted(&mut edited, &entry);
                count_deleted(&mut edited, 1);
                prop_assert_eq!(validate(KEY, &edited).map(|checked| checked.live), Ok(checked.live));
            }
        }

        #[test]
        fn no_bytes_make_validation_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = validate(KEY, &bytes);
        }
    }
}
