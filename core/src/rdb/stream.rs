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

/// The type byte under which [`write`] writes it.
pub fn type_byte(format: Format) -> u8 {
    match format.version {
        ..10 => type_byte::STREAM,
        10 => type_byte::STREAM_2,
        _ => type_byte::STREAM_3,
    }
}

/// Appends it without its type byte.
pub fn write(out: &mut Vec<u8>, stream: &Stream, format: Format) {
    let type_byte = type_byte(format);
    let log = &stream.log;
    length::write(out, log.nodes_len() as u64);
    for (key, node) in log.nodes() {
        string::write_plain(out, &key.to_bytes());
        string::write(out, node, format.compress);
    }
    length::write(out, log.len());
    write_id(out, log.last_id);
    if type_byte >= type_byte::STREAM_2 {
        write_id(out, log.first_id());
        write_id(out, log.max_deleted_id);
        length::write(out, log.entries_added);
    }
    length::write(out, stream.groups.len() as u64);
    for (name, group) in stream.groups.iter() {
        string::write(out, name, format.compress);
        write_group(out, group, type_byte, format);
    }
}

fn write_group(out: &mut Vec<u8>, group: &Group, type_byte: u8, format: Format) {
    write_id(out, group.last_delivered_id);
    if type_byte >= type_byte::STREAM_2 {
        length::write(out, group.entries_read.unwrap_or(ENTRIES_READ_UNKNOWN));
    }
    length::write(out, group.pending_len() as u64);
    for (id, pending) in group.pending_in(StreamId::MIN..=StreamId::MAX) {
        out.extend_from_slice(&id.to_bytes());
        out.extend_from_slice(&pending.delivered_at.to_le_bytes());
        length::write(out, pending.deliveries);
    }
    length::write(out, group.consumers_len() as u64);
    for (_, consumer) in group.consumers() {
        string::write(out, consumer.name(), format.compress);
        out.extend_from_slice(&consumer.seen_at.to_le_bytes());
        if type_byte >= type_byte::STREAM_3 {
            out.extend_from_slice(&consumer.active_at.unwrap_or(NEVER).to_le_bytes());
        }
        length::write(out, consumer.pending_len() as u64);
        for id in consumer.pending_ids() {
            out.extend_from_slice(&id.to_bytes());
        }
    }
}

fn write_id(out: &mut Vec<u8>, id: StreamId) {
    length::write(out, id.ms);
    length::write(out, id.seq);
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
