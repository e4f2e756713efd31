//! A stream in the digest: its entries in order. Groups do not count, as they do not in Redis.

use super::{Digest, mix};
use crate::collections::Stream;
use crate::collections::stream::StreamId;

/// Adds the value.
pub(super) fn mix_entries(digest: &mut Digest, stream: &Stream) {
    for entry in stream.log.range(StreamId::MIN..=StreamId::MAX) {
        let StreamId { ms, seq } = entry.id;
        mix(digest, format!("{ms}.{seq}").as_bytes());
        for (field, value) in entry.fields() {
            field.with_bytes(|bytes| mix(digest, bytes));
            value.with_bytes(|bytes| mix(digest, bytes));
        }
    }
}
