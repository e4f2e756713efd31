//! What replicas are told of consumer groups: deliveries and claims as XCLAIM with all that is known of the pending
//! entry, a group's progress as XGROUP SETID.

use crate::collections::stream::{Group, Pending, StreamId};
use crate::keys::Keys;
use crate::store::Key;
use std::sync::Arc;

/// A pending entry as it was set, or as it was when it turned out that its entry is gone.
#[derive(Debug)]
pub(super) struct Claim {
    id: StreamId,
    pending: Pending,
    consumer: Arc<[u8]>,
    last_delivered_id: StreamId,
}

impl Claim {
    pub fn of(group: &Group, id: StreamId, pending: Pending) -> Claim {
        Claim {
            id,
            pending,
            consumer: group.consumer(pending.consumer).shared_name(),
            last_delivered_id: group.last_delivered_id,
        }
    }

    /// Whether a replica that runs it has the consumer then.
    pub fn creates(&self, consumer: &[u8]) -> bool {
        *self.consumer == *consumer
    }
}

/// XCLAIM as it comes to the same for whoever runs it, whenever.
pub(super) fn claims(keys: &mut Keys, key: &Key, group: &[u8], claims: &[Claim]) {
    for claim in claims {
        let mut time = itoa::Buffer::new();
        let mut deliveries = itoa::Buffer::new();
        let (id, last_id) = (claim.id.to_string(), claim.last_delivered_id.to_string());
        keys.effect(&[
            b"XCLAIM",
            key.bytes,
            group,
            &claim.consumer,
            b"0",
            id.as_bytes(),
            b"TIME",
            time.format(claim.pending.delivered_at).as_bytes(),
            b"RETRYCOUNT",
            deliveries.format(claim.pending.deliveries).as_bytes(),
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            last_id.as_bytes(),
        ]);
    }
}

/// How far a group has read.
pub(super) fn progress(
    keys: &mut Keys,
    key: &Key,
    group: &[u8],
    last_delivered_id: StreamId,
    entries_read: Option<u64>,
) {
    let id = last_delivered_id.to_string();
    let count = entries_read.map_or("-1".to_owned(), |count| count.to_string());
    keys.effect(&[
        b"XGROUP",
        b"SETID",
        key.bytes,
        group,
        id.as_bytes(),
        b"ENTRIESREAD",
        count.as_bytes(),
    ]);
}

pub(super) fn consumer_created(keys: &mut Keys, key: &Key, group: &[u8], consumer: &[u8]) {
    keys.effect(&[b"XGROUP", b"CREATECONSUMER", key.bytes, group, consumer]);
}
