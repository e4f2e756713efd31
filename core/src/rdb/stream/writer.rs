//! Writing a stream, at once or slice by slice.
//!
//! Both go through a [`Cursor`], which knows how far it came by keys: the last node or pending entry that was written,
//! the group and the consumer. So going on costs one walk down a tree, wherever it was that a slice ended.
//!
//! Deliberately absent: the type byte, and who takes the slices.

use super::{ENTRIES_READ_UNKNOWN, NEVER};
use crate::collections::Stream;
use crate::collections::stream::{Consumer, ConsumerId, Group, Pending, StreamId};
use crate::rdb::slices::Slices;
use crate::rdb::value::{Format, type_byte};
use crate::rdb::{length, string};
use crate::store::DropSome;
use std::ops::Bound;

/// Appends it without its type byte.
pub fn write(out: &mut Vec<u8>, stream: &Stream, format: Format) {
    let is_done = Cursor::default().write_some(out, stream, format, usize::MAX);
    debug_assert!(is_done);
}

/// A stream that is written slice by slice, as it is now, while the one that it was cloned from is changed.
#[derive(Debug)]
pub struct StreamSlices {
    stream: Stream,
    format: Format,
    cursor: Cursor,
}

impl StreamSlices {
    pub fn new(stream: Stream, format: Format) -> Self {
        StreamSlices { stream, format, cursor: Cursor::default() }
    }
}

impl Slices for StreamSlices {
    /// A slice ends with a node, a pending entry, or what is said of a group or a consumer.
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        self.cursor.write_some(out, &self.stream, self.format, bytes_max)
    }
}

impl DropSome for StreamSlices {
    fn drop_some(&mut self, budget: usize) -> bool {
        self.stream.drop_some(budget)
    }
}

/// How far a stream was written. It must be the same stream each time.
#[derive(Debug)]
struct Cursor {
    place: Place,
    /// The group that is written or was written last: what follows is behind its name.
    group: Bound<Box<[u8]>>,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Place {
    Start,
    /// Nodes from a key on, and what is said of all entries.
    Nodes(Bound<StreamId>),
    /// The group behind [`Cursor::group`].
    Group,
    /// Entries that are pending with the group from an id on, and the number of consumers.
    Pending(Bound<StreamId>),
    /// The consumer behind that one, or the first.
    Consumer(Option<ConsumerId>),
    /// The ids that are pending with a consumer, from one on.
    Ids(ConsumerId, Bound<StreamId>),
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor { place: Place::Start, group: Bound::Unbounded }
    }
}

impl Cursor {
    /// As [`Slices::write_some`].
    fn write_some(
        &mut self,
        out: &mut Vec<u8>,
        stream: &Stream,
        format: Format,
        bytes_max: usize,
    ) -> bool {
        let type_byte = super::type_byte(format);
        let full = out.len().saturating_add(bytes_max.max(1));
        loop {
            self.place = match self.place {
                Place::Start => {
                    length::write(out, stream.log.nodes_len() as u64);
                    Place::Nodes(Bound::Unbounded)
                }
                Place::Nodes(start) => {
                    for (key, node) in stream.log.nodes_from(start) {
                        if out.len() >= full {
                            return false;
                        }
                        string::write_plain(out, &key.to_bytes());
                        string::write(out, node, format.compress);
                        self.place = Place::Nodes(Bound::Excluded(key));
                    }
                    if out.len() >= full {
                        return false;
                    }
                    write_counters(out, stream, type_byte);
                    Place::Group
                }
                Place::Group => {
                    let start = self.group.as_ref().map(|name| &name[..]);
                    let Some((name, group)) = stream.groups.iter_from(start).next() else {
                        return true;
                    };
                    if out.len() >= full {
                        return false;
                    }
                    string::write(out, name, format.compress);
                    write_group_head(out, group, type_byte);
                    self.group = Bound::Excluded(name.into());
                    Place::Pending(Bound::Unbounded)
                }
                Place::Pending(start) => {
                    let group = self.group(stream);
                    for (id, pending) in group.pending_in((start, Bound::Unbounded)) {
                        if out.len() >= full {
                            return false;
                        }
                        write_pending(out, id, pending);
                        self.place = Place::Pending(Bound::Excluded(id));
                    }
                    if out.len() >= full {
                        return false;
                    }
                    length::write(out, group.consumers_len() as u64);
                    Place::Consumer(None)
                }
                Place::Consumer(last) => {
                    let group = self.group(stream);
                    let start = last.map_or(Bound::Unbounded, |last| {
                        Bound::Excluded(group.consumer(last).name())
                    });
                    match group.consumers_from(start).next() {
                        None => Place::Group,
                        Some(_) if out.len() >= full => return false,
                        Some((id, consumer)) => {
                            string::write(out, consumer.name(), format.compress);
                            write_consumer_head(out, consumer, type_byte);
                            Place::Ids(id, Bound::Unbounded)
                        }
                    }
                }
                Place::Ids(consumer, start) => {
                    let ids = self.group(stream).consumer(consumer);
                    for id in ids.pending_ids_in((start, Bound::Unbounded)) {
                        if out.len() >= full {
                            return false;
                        }
                        out.extend_from_slice(&id.to_bytes());
                        self.place = Place::Ids(consumer, Bound::Excluded(id));
                    }
                    Place::Consumer(Some(consumer))
                }
            };
        }
    }

    /// The group that is written.
    fn group<'s>(&self, stream: &'s Stream) -> &'s Group {
        match &self.group {
            Bound::Excluded(name) => stream.groups.get(name).expect("its name was written"),
            _ => unreachable!("a group's name is written before what it has"),
        }
    }
}

/// What is said of all entries behind the nodes, and the number of groups.
fn write_counters(out: &mut Vec<u8>, stream: &Stream, type_byte: u8) {
    let log = &stream.log;
    length::write(out, log.len());
    write_id(out, log.last_id);
    if type_byte >= type_byte::STREAM_2 {
        write_id(out, log.first_id());
        write_id(out, log.max_deleted_id);
        length::write(out, log.entries_added);
    }
    length::write(out, stream.groups.len() as u64);
}

/// What is said of a group behind its name, and the number of entries that are pending.
fn write_group_head(out: &mut Vec<u8>, group: &Group, type_byte: u8) {
    write_id(out, group.last_delivered_id);
    if type_byte >= type_byte::STREAM_2 {
        length::write(out, group.entries_read.unwrap_or(ENTRIES_READ_UNKNOWN));
    }
    length::write(out, group.pending_len() as u64);
}

fn write_pending(out: &mut Vec<u8>, id: StreamId, pending: &Pending) {
    out.extend_from_slice(&id.to_bytes());
    out.extend_from_slice(&pending.delivered_at.to_le_bytes());
    length::write(out, pending.deliveries);
}

/// What is said of a consumer behind its name, and the number of ids that are pending.
fn write_consumer_head(out: &mut Vec<u8>, consumer: &Consumer, type_byte: u8) {
    out.extend_from_slice(&consumer.seen_at.to_le_bytes());
    if type_byte >= type_byte::STREAM_3 {
        out.extend_from_slice(&consumer.active_at.unwrap_or(NEVER).to_le_bytes());
    }
    length::write(out, consumer.pending_len() as u64);
}

fn write_id(out: &mut Vec<u8>, id: StreamId) {
    length::write(out, id.ms);
    length::write(out, id.seq);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::stream::{Keep, NewId, NodeLimits, Trim};
    use proptest::prelude::*;

    const LIMITS: NodeLimits = NodeLimits { bytes: 200, entries: 7 };
    /// More than a node, a pending entry, or what is said of a group or a consumer.
    const PIECE_BYTES_MAX: usize = 400;

    #[derive(Clone, Debug)]
    enum Step {
        Append(usize),
        Delete(u64),
        Trim(u64),
        Deliver(&'static [u8], &'static [u8], u64, u64),
        Acknowledge(&'static [u8], u64, u64),
        RemoveConsumer(&'static [u8], &'static [u8]),
        RemoveGroup(&'static [u8]),
    }

    /// Names of groups and of consumers; the first of all names among them.
    fn name() -> impl Strategy<Value = &'static [u8]> {
        prop::sample::select(vec![&b""[..], b"11", b"a", b"name"])
    }

    fn step() -> impl Strategy<Value = Step> {
        let id = || 0u64..300;
        prop_oneof![
            9 => (0usize..150).prop_map(Step::Append),
            3 => id().prop_map(Step::Delete),
            1 => id().prop_map(Step::Trim),
            6 => (name(), name(), id(), 0u64..150)
                .prop_map(|(group, consumer, id, count)| Step::Deliver(group, consumer, id, count)),
            3 => (name(), id(), 0u64..150)
                .prop_map(|(group, id, count)| Step::Acknowledge(group, id, count)),
            1 => (name(), name()).prop_map(|(group, name)| Step::RemoveConsumer(group, name)),
            1 => name().prop_map(Step::RemoveGroup),
        ]
    }

    fn apply(stream: &mut Stream, step: &Step) {
        let id = |ms| StreamId::new(ms, 0);
        match *step {
            Step::Append(len) => {
                let new = NewId::Exact(id(stream.log.last_id.ms + 1));
                let value = vec![b'x'; len];
                let pair = [&b"field"[..], &value].into_iter();
                stream.log.append(new, pair, &LIMITS).unwrap();
            }
            Step::Delete(ms) => {
                stream.log.delete(id(ms));
            }
            Step::Trim(count) => {
                let trim = Trim { keep: Keep::Newest(count), approximate: false, limit: 0 };
                stream.log.trim(&trim);
            }
            Step::Deliver(name, consumer, from, count) => {
                stream.groups.insert(name, Group::new(id(from), Some(count)));
                let mut group = stream.groups.get_mut(name).unwrap();
                let found = group.find_consumer(consumer);
                let consumer = found.unwrap_or_else(|| group.create_consumer(consumer, 9).unwrap());
                for ms in from..from + count {
                    let pending = Pending { delivered_at: 5, deliveries: count, consumer };
                    group.set_pending(id(ms), pending);
                    group.consumer_active(consumer, ms as i64);
                }
            }
            Step::Acknowledge(name, from, count) => {
                let Some(mut group) = stream.groups.get_mut(name) else { return };
                (from..from + count).for_each(|ms| {
                    group.acknowledge(id(ms));
                });
            }
            Step::RemoveConsumer(name, consumer) => {
                let Some(mut group) = stream.groups.get_mut(name) else { return };
                group.remove_consumer(consumer);
            }
            Step::RemoveGroup(name) => {
                stream.groups.remove(name);
            }
        }
    }

    proptest! {
        #[test]
        fn slices_are_what_is_written_at_once_whatever_becomes_of_the_original(
            steps in prop::collection::vec(step(), 0..120),
            slices_bytes_max in prop::collection::vec(
                prop_oneof![0usize..60, 0usize..2000, Just(usize::MAX)], 1..9),
            version in 9u16..12,
            compress: bool,
        ) {
            let format = Format { version, compress };
            let (before, later) = steps.split_at(steps.len() / 2);
            let mut later = later.iter().cycle();
            let mut stream = Stream::default();
            before.iter().for_each(|step| apply(&mut stream, step));
            let mut expected = Vec::new();
            write(&mut expected, &stream, format);
            let mut slices = StreamSlices::new(stream.clone(), format);
            let mut out = vec![1, 2, 3];
            for bytes_max in slices_bytes_max.into_iter().cycle() {
                let start = out.len();
                let is_done = slices.write_some(&mut out, bytes_max);
                let bytes = out.len() - start;
                prop_assert!(bytes > 0 && bytes < bytes_max.saturating_add(PIECE_BYTES_MAX));
                prop_assert!(is_done || bytes >= bytes_max);
                if is_done {
                    break;
                }
                if let Some(step) = later.next() {
                    apply(&mut stream, step);
                }
            }
            prop_assert_eq!(&out[3..], &expected[..]);
            prop_assert!(slices.write_some(&mut out, 1));
            prop_assert_eq!(out.len(), expected.len() + 3);
            while slices.drop_some(10) {}
        }
    }
}
