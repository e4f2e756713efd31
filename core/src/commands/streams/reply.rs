//! Ids and entries in replies.

use crate::collections::stream::{Entry, StreamId};
use crate::resp::Reply;

pub(super) fn id(reply: &mut Reply, id: StreamId) {
    id.with_text(|text| reply.bulk(text));
}

/// The id, and a list of fields and values.
pub(super) fn entry(reply: &mut Reply, entry: &Entry) {
    reply.array(2);
    id(reply, entry.id);
    reply.array(entry.len() * 2);
    for (field, value) in entry.fields() {
        reply.element(field);
        reply.element(value);
    }
}

/// As many of the entries as `count` says; 0: all.
pub(super) fn entries<'e>(
    reply: &mut Reply,
    entries: impl Iterator<Item = Entry<'e>>,
    count: usize,
) {
    let deferred = reply.deferred();
    let mut written = 0;
    for each in entries.take(limit(count)) {
        entry(reply, &each);
        written += 1;
    }
    reply.finish_array(deferred, written);
}

/// A count as a number of elements to take: 0 stands for all.
pub(super) fn limit(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}
