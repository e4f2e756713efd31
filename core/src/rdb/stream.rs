//! Streams: nodes as they lie in memory, counters, and groups with what is pending.
//!
//! ```text
//! nodes: count | key (16 bytes, as a string) node (a string) ...
//! length | last id | [first id | greatest deleted id | entries added]              since type 19
//! groups: count | name | last delivered id | [entries read] ...                    since type 19
//!     pending: count | id (16 bytes) delivery time (8 bytes) deliveries ...
//!     consumers: count | name | seen time | [active time] | pending: count | id ...  since type 21
//! ```
//!
//! Ids stand as two lengths where it does not say 16 bytes; times are milliseconds, little-endian.

mod writer;

pub use writer::{StreamSlices, write};

use super::input::{DecodeError, Input};
use super::value::{Builder, Format, type_byte};
use super::{length, string};
use crate::collections::Stream;
use crate::collections::stream::{Group, Pending, StreamId};
use crate::store::{Collection, LargeValue};
use std::collections::BTreeMap;

/// Said for a group of which nobody knows how many entries it has read.
const ENTRIES_READ_UNKNOWN: u64 = u64::MAX;

/// The active time of a consumer that never got anything.
const NEVER: i64 = -1;

/// The type byte under which [`write()`] writes it.
pub fn type_byte(format: Format) -> u8 {
    match format.version {
        ..10 => type_byte::STREAM,
        10 => type_byte::STREAM_2,
        _ => type_byte::STREAM_3,
    }
}

/// The value of type `type_byte` that comes next.
pub fn parse(
    type_byte: u8,
    input: &mut Input,
    _builder: &Builder,
) -> Result<Collection, DecodeError> {
    let mut stream = Box::<Stream>::default();
    parse_entries(type_byte, input, &mut stream)?;
    for _ in 0..length::parse_plain(input)? {
        let at = input.position();
        let name = string::parse_bytes(input)?;
        let group = parse_group(type_byte, input, &stream)?;
        if !stream.groups.insert(&name, group) {
            return Err(Input::malformed(at, "a stream has two groups of one name"));
        }
    }
    Ok(Collection::Large(LargeValue::Stream(stream)))
}

fn parse_entries(type_byte: u8, input: &mut Input, stream: &mut Stream) -> Result<(), DecodeError> {
    let log = &mut stream.log;
    for _ in 0..length::parse_plain(input)? {
        let at = input.position();
        let key = string::parse_bytes(input)?;
        let key: [u8; 16] = (*key)
            .try_into()
            .map_err(|_| Input::malformed(at, "the key of a stream's node is no id"))?;
        let node = string::parse_bytes(input)?.into_owned();
        log.push_node(StreamId::from_bytes(key), node)
            .map_err(|_| Input::malformed(at, "a stream's node is corrupt"))?;
    }
    let at = input.position();
    let len = length::parse_plain(input)?;
    if len > 0 && log.is_empty() {
        return Err(Input::malformed(at, "a stream has a length but no entries"));
    }
    let at = input.position();
    log.last_id = parse_id(input)?;
    if log.last_live_id().is_some_and(|id| id > log.last_id) {
        return Err(Input::malformed(at, "a stream has entries behind its last id"));
    }
    if type_byte >= type_byte::STREAM_2 {
        // The first id follows from the entries.
        parse_id(input)?;
        log.max_deleted_id = parse_id(input)?;
        log.entries_added = length::parse_plain(input)?;
    } else {
        log.entries_added = log.len();
    }
    Ok(())
}

fn parse_group(type_byte: u8, input: &mut Input, stream: &Stream) -> Result<Group, DecodeError> {
    let last_delivered_id = parse_id(input)?;
    let entries_read = if type_byte >= type_byte::STREAM_2 {
        let count = length::parse_plain(input)?;
        // No count is so high; Redis takes it for a negative number.
        (count <= i64::MAX as u64).then_some(count)
    } else {
        stream.log.entries_up_to(last_delivered_id)
    };
    let mut group = Group::new(last_delivered_id, entries_read);
    let pending_at = input.position();
    let mut pending = BTreeMap::new();
    for _ in 0..length::parse_plain(input)? {
        let at = input.position();
        let id = StreamId::from_bytes(input.array()?);
        let delivered_at = i64::from_le_bytes(input.array()?);
        let deliveries = length::parse_plain(input)?;
        if pending.insert(id, (delivered_at, deliveries)).is_some() {
            return Err(Input::malformed(at, "a stream's entry is pending twice"));
        }
    }
    for _ in 0..length::parse_plain(input)? {
        parse_consumer(type_byte, input, &mut group, &mut pending)?;
    }
    if !pending.is_empty() {
        return Err(Input::malformed(pending_at, "a stream's pending entry has no consumer"));
    }
    Ok(group)
}

fn parse_consumer(
    type_byte: u8,
    input: &mut Input,
    group: &mut Group,
    pending: &mut BTreeMap<StreamId, (i64, u64)>,
) -> Result<(), DecodeError> {
    let at = input.position();
    let name = string::parse_bytes(input)?;
    let seen_at = i64::from_le_bytes(input.array()?);
    let active_at = match type_byte {
        type_byte::STREAM_3 => i64::from_le_bytes(input.array()?),
        _ => seen_at,
    };
    let consumer = group
        .create_consumer(&name, seen_at)
        .ok_or_else(|| Input::malformed(at, "a stream's group has two consumers of one name"))?;
    if active_at != NEVER {
        group.consumer_active(consumer, active_at);
    }
    for _ in 0..length::parse_plain(input)? {
        let at = input.position();
        let id = StreamId::from_bytes(input.array()?);
        let (delivered_at, deliveries) = pending.remove(&id).ok_or_else(|| {
            Input::malformed(at, "a consumer's entry is not pending with its group")
        })?;
        group.set_pending(id, Pending { delivered_at, deliveries, consumer });
    }
    Ok(())
}

fn parse_id(input: &mut Input) -> Result<StreamId, DecodeError> {
    Ok(StreamId { ms: length::parse_plain(input)?, seq: length::parse_plain(input)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Limits;
    use crate::collections::stream::{Consumer, NewId, NodeLimits};
    use crate::store::Hasher;
    use proptest::prelude::*;

    const TYPE_19: &str = "\
        011000000000000000010000000000000001404d4d0000001f00030101010201816102816202000102010001000101018178\
        02050103010101dfff020201817902050100010201dfff0201018163020701060102010301dfff02010102010501ff030400\
        010102000402c00c030081ffffffffffffffff0000016704000402000000000000000100000000000000010068e5cf8b0100\
        00412c000000000000000300000000000000000168e5cf8b0100000202036f6e65700dfb0da2010000020000000000000001\
        0000000000000001000000000000000300000000000000000374776f700dfb0da201000000";
    const TYPE_21: &str = "\
        011000000000000000010000000000000001404d4d0000001f00030101010201816102816202000102010001000101018178\
        02050103010101dfff020201817902050100010201dfff0201018163020701060102010301dfff02010102010501ff030400\
        010102000402c00c030081ffffffffffffffff0000016704000402000000000000000100000000000000010068e5cf8b0100\
        00412c000000000000000300000000000000000168e5cf8b0100000202036f6e656d0efb0da20100006d0efb0da201000002\
        00000000000000010000000000000001000000000000000300000000000000000374776f6d0efb0da2010000ffffffffffff\
        ffff00";

    const PLAIN: Format = Format { version: 11, compress: false };

    fn bytes_of(hex: &str) -> Vec<u8> {
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("digits");
        (0..hex.len()).step_by(2).map(digits).collect()
    }

    fn loaded(type_byte: u8, bytes: &[u8]) -> Result<Box<Stream>, DecodeError> {
        let builder = Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() };
        match parse(type_byte, &mut Input::new(bytes), &builder)? {
            Collection::Large(LargeValue::Stream(stream)) => Ok(stream),
            other => panic!("no stream: {other:?}"),
        }
    }

    fn written(stream: &Stream, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, stream, format);
        out
    }

    /// What is pending, by group and consumer.
    fn pending_of_all(stream: &Stream) -> Vec<String> {
        let of_group = |(name, group): (&[u8], &Group)| {
            let of_consumer = |(id, consumer): (_, &Consumer)| {
                group
                    .pending_of(id, ..)
                    .map(|(id, pending)| {
                        let Pending { delivered_at, deliveries, .. } = pending;
                        let (name, consumer) =
                            (name.escape_ascii(), consumer.name().escape_ascii());
                        format!("{name} {consumer}: {id} {delivered_at} {deliveries}")
                    })
                    .collect::<Vec<_>>()
            };
            group.consumers().flat_map(of_consumer).collect::<Vec<_>>()
        };
        stream.groups.iter().flat_map(of_group).collect()
    }

    /// What redis-server 7.0.15 and Valkey 9.1 answered to DUMP without rdbcompression, after the same commands.
    #[test]
    fn streams_are_written_as_they_were_read() {
        for (type_byte, version, hex) in [(19, 10, TYPE_19), (21, 11, TYPE_21)] {
            let bytes = bytes_of(hex);
            let stream = loaded(type_byte, &bytes).unwrap();
            assert_eq!(type_byte, super::type_byte(Format { version, ..PLAIN }));
            assert_eq!(written(&stream, Format { version, ..PLAIN }), bytes);
            let log = &stream.log;
            assert_eq!((log.len(), log.last_id), (3, StreamId::new(4, 0)));
            assert_eq!((log.entries_added, log.max_deleted_id), (4, StreamId::new(2, 0)));
            let group = stream.groups.get(b"g").unwrap();
            assert_eq!(group.pending(StreamId::new(1, 1)).unwrap().deliveries, 300);
            assert_eq!(group.pending_len(), 2);
            let two = group.consumer(group.find_consumer(b"two").unwrap());
            // An older type does not say; the time of the last attempt stands in.
            assert_eq!(two.active_at.is_none(), type_byte == 21);
            assert_eq!(stream.groups.get(b"12").unwrap().entries_read, None);
        }
    }

    #[test]
    fn what_an_old_type_does_not_say_is_worked_out() {
        let stream = loaded(21, &bytes_of(TYPE_21)).unwrap();
        let old = Format { version: 9, ..PLAIN };
        assert_eq!(super::type_byte(old), 15);
        let again = loaded(15, &written(&stream, old)).unwrap();
        assert_eq!((again.log.len(), again.log.entries_added), (3, 3));
        assert_eq!(again.log.first_id(), StreamId::new(1, 1));
        assert_eq!(again.groups.get(b"g").unwrap().entries_read, Some(3));
        assert_eq!(again.groups.get(b"12").unwrap().entries_read, None);
    }

    #[test]
    fn streams_that_contradict_themselves_are_refused() {
        let good = bytes_of(TYPE_21);
        for end in 0..good.len() {
            let cut = loaded(21, &good[..end]);
            assert!(matches!(cut, Err(DecodeError::CutShort { needs }) if needs > end));
        }
        // A length without nodes; counts that lie; an empty stream is a stream.
        let refusal = |bytes: &[u8]| loaded(21, bytes).unwrap_err().to_string();
        assert_eq!(refusal(&[0, 1, 0, 0]), "a stream has a length but no entries");
        assert_eq!(refusal(&[1, 1, 0]), "the key of a stream's node is no id");
        let empty = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(loaded(21, &empty).unwrap().len(), 0);
        let lying = [[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff].as_slice(), &[0xff]].concat();
        assert!(matches!(loaded(21, &lying), Err(DecodeError::CutShort { .. })));
        let groups = [&empty[..9], &lying[..]].concat();
        assert!(matches!(loaded(21, &groups), Err(DecodeError::CutShort { .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            entries in prop::collection::vec((1u64..9, prop::collection::vec(any::<u8>(), 0..40)), 0..60),
            deleted in prop::collection::vec(0usize..60, 0..9),
            delivered in prop::collection::vec((0usize..60, 0u8..3, any::<i64>(), any::<u64>()), 0..30),
            version in 9u16..12,
            compress: bool,
        ) {
            let mut stream = Stream::default();
            let limits = NodeLimits { bytes: 500, entries: 7 };
            let mut ids = vec![StreamId::new(5, 5)];
            for (step, value) in &entries {
                let id = StreamId::new(stream.log.last_id.ms + step, *step);
                stream.log.append(NewId::Exact(id), [&b"f"[..], value].into_iter(), &limits).unwrap();
                ids.push(id);
            }
            for at in deleted {
                stream.log.delete(ids[at % ids.len()]);
            }
            stream.groups.insert(b"first", Group::new(ids[0], None));
            stream.groups.insert(b"77", Group::new(ids[ids.len() / 2], Some(5)));
            if let Some(mut group) = stream.groups.get_mut(b"77") {
                for (at, name, delivered_at, deliveries) in delivered {
                    let name = [b'a' + name];
                    let found = group.find_consumer(&name);
                    let consumer = found.unwrap_or_else(|| group.create_consumer(&name, 9).unwrap());
                    let pending = Pending { delivered_at, deliveries, consumer };
                    group.set_pending(ids[at % ids.len()], pending);
                }
            }
            let format = Format { version, compress };
            let out = written(&stream, format);
            let again = loaded(super::type_byte(format), &out).unwrap();
            prop_assert!(again.log.nodes().eq(stream.log.nodes()));
            // All but what the old type does not say.
            if version > 9 {
                prop_assert_eq!(written(&again, format), out);
            } else {
                prop_assert_eq!(again.len(), stream.len());
                prop_assert_eq!(pending_of_all(&again), pending_of_all(&stream));
            }
        }

        #[test]
        fn no_bytes_make_parsing_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            at: prop::sample::Index,
            changed in prop::collection::vec(any::<u8>(), 1..3),
            type_byte in prop::sample::select(vec![15u8, 19, 21]),
        ) {
            let _ = loaded(type_byte, &bytes);
            for hex in [TYPE_19, TYPE_21] {
                let mut bytes = bytes_of(hex);
                let at = at.index(bytes.len() - changed.len());
                bytes[at..at + changed.len()].copy_from_slice(&changed);
                if let Ok(mut stream) = loaded(type_byte, &bytes) {
                    // Whatever was let in can be used.
                    let all = || StreamId::MIN..=StreamId::MAX;
                    let len = stream.log.range(all()).count();
                    prop_assert_eq!(len, stream.len());
                    prop_assert_eq!(stream.log.range_back(all()).count(), len);
                    let limits = NodeLimits { bytes: 4096, entries: 100 };
                    let id = stream.log.last_id.next().map(NewId::Exact);
                    let pair = [&b"f"[..], b"v"].into_iter();
                    let added = id.is_some_and(|id| stream.log.append(id, pair, &limits).is_ok());
                    prop_assert_eq!(stream.log.range(all()).count(), len + usize::from(added));
                    prop_assert!(loaded(21, &written(&stream, PLAIN)).is_ok());
                }
            }
        }
    }
}
