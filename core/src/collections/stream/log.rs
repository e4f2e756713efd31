//! The entries of a stream, and what is remembered of those that are gone.
//!
//! Deliberately absent: consumer groups, and where ids come from but for the rules between them.
//!
//! Source of the rules: redis.io on streams; checked against redis-server 7.0.15.

use super::id::StreamId;
use super::node::{self, Entry};
use super::nodes::Nodes;
use super::range::{Range, RangeBack};
use crate::collections::listpack::Invalid;
use std::ops::{Bound, RangeInclusive};

/// When a node is full. What is not limited is 0.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimits {
    /// Size in bytes.
    pub bytes: usize,
    /// Entries, deleted ones among them.
    pub entries: u64,
}

/// No node gets larger, whatever the limits, and no entry.
const NODE_BYTES_MAX: usize = 1 << 30;

/// The id that a new entry is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// The time, or what follows the last id where that is later.
    Auto {
        now_ms: u64,
    },
    /// A given time, and the first sequence number that is free in it.
    AutoSequence {
        ms: u64,
    },
    Exact(StreamId),
}

/// Why an entry was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// Its id is not after the last one.
    NotAfterLast,
    /// Its fields and values are too long for a node.
    TooLarge,
}

/// The entries, oldest first.
#[derive(Clone, Debug, Default)]
pub struct EntryLog {
    pub(super) nodes: Nodes,
    pub(super) len: u64,
    pub(super) first_id: StreamId,
    /// The last id that was given out, or that was declared to be.
    pub last_id: StreamId,
    /// The greatest id of an entry that was deleted by its id. Trimming does not count.
    pub max_deleted_id: StreamId,
    /// How many entries were ever added.
    pub entries_added: u64,
}

impl EntryLog {
    /// How many live entries there are.
    #[inline]
    pub fn len(&self) -> u64 {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The id of the first live entry; [`StreamId::MIN`] where there is none.
    #[inline]
    pub fn first_id(&self) -> StreamId {
        self.first_id
    }

    /// The id of the last live entry, which may be before [`EntryLog::last_id`]. Cost: the deleted ones behind it.
    pub fn last_live_id(&self) -> Option<StreamId> {
        self.range_back(StreamId::MIN..=StreamId::MAX).next().map(|entry| entry.id)
    }

    /// The live entries in a range, in ascending order.
    pub fn range(&self, range: RangeInclusive<StreamId>) -> Range<'_> {
        Range::new(&self.nodes, range)
    }

    /// The live entries in a range, in descending order.
    pub fn range_back(&self, range: RangeInclusive<StreamId>) -> RangeBack<'_> {
        RangeBack::new(&self.nodes, range)
    }

    /// The live entry with that id.
    pub fn get(&self, id: StreamId) -> Option<Entry<'_>> {
        let node = self.nodes.at_or_before(id)?;
        Some(node.open(&node.master(), &node.find(id)?))
    }

    pub fn contains(&self, id: StreamId) -> bool {
        self.nodes.at_or_before(id).is_some_and(|node| node.find(id).is_some())
    }

    /// The id that an entry would get, if it is one that the log can take.
    pub fn resolve(&self, id: NewId) -> Result<StreamId, AppendError> {
        let last = self.last_id;
        let id = match id {
            NewId::Auto { now_ms } if now_ms > last.ms => StreamId::new(now_ms, 0),
            NewId::Auto { .. } => last.next().ok_or(AppendError::NotAfterLast)?,
            NewId::AutoSequence { ms } if ms == last.ms => {
                let seq = last.seq.checked_add(1).ok_or(AppendError::NotAfterLast)?;
                StreamId { ms, seq }
            }
            NewId::AutoSequence { ms } => StreamId::new(ms, 0),
            NewId::Exact(id) => id,
        };
        if id > last { Ok(id) } else { Err(AppendError::NotAfterLast) }
    }

    /// Appends an entry. `pairs`: field, value, field, value …, an even number.
    pub fn append<'p>(
        &mut self,
        id: NewId,
        pairs: impl Iterator<Item = &'p [u8]> + Clone,
        limits: &NodeLimits,
    ) -> Result<StreamId, AppendError> {
        let id = self.resolve(id)?;
        let bytes = pairs.clone().map(<[u8]>::len).sum::<usize>();
        if bytes > NODE_BYTES_MAX {
            return Err(AppendError::TooLarge);
        }
        if self.fits_last_node(bytes, limits) {
            self.nodes.edit_last(|key, node| node::append(node, key, id, pairs));
        } else {
            self.nodes.push(id, node::with_entry(pairs));
        }
        self.len += 1;
        self.entries_added += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
        Ok(id)
    }

    /// Whether an entry whose fields and values are so long goes into the last node.
    fn fits_last_node(&self, bytes: usize, limits: &NodeLimits) -> bool {
        let Some(last) = self.nodes.last() else { return false };
        let bytes_max = match limits.bytes {
            0 => NODE_BYTES_MAX,
            limit => limit.min(NODE_BYTES_MAX),
        };
        let (live, deleted) = last.counts();
        last.bytes() + bytes < bytes_max && (limits.entries == 0 || live + deleted < limits.entries)
    }

    /// Deletes an entry. `false`: there is none of that id.
    pub fn delete(&mut self, id: StreamId) -> bool {
        let Some(node) = self.nodes.at_or_before(id) else { return false };
        let Some(raw) = node.find(id) else { return false };
        let key = node.key();
        if node.counts().0 <= 1 {
            self.nodes.remove(key);
        } else {
            self.nodes.edit(key, |bytes| {
                node::flag_deleted(bytes, &raw);
                node::count_deleted(bytes, 1);
            });
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    /// Looks for the first live entry, after others were removed.
    pub(super) fn find_first(&mut self) {
        let first = self.range(StreamId::MIN..=StreamId::MAX).next_raw();
        self.first_id = first.map_or(StreamId::MIN, |(_, _, raw)| raw.id);
    }

    // Nodes as they are stored elsewhere.

    /// How many nodes there are.
    pub fn nodes_len(&self) -> usize {
        self.nodes.len()
    }

    /// The nodes as RDB has them: the id that each is stored under, and its listpack.
    pub fn nodes(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        self.nodes_from(Bound::Unbounded)
    }

    /// As [`EntryLog::nodes`], without those stored under ids before `start`.
    pub fn nodes_from(&self, start: Bound<StreamId>) -> impl Iterator<Item = (StreamId, &[u8])> {
        self.nodes.iter_from(start)
    }

    /// Appends a node that came from elsewhere, if it has live entries; `last_id`, `max_deleted_id` and `entries_added` are
    /// the caller's to set. Error: the bytes are no node, or its entries are not all behind those that are there.
    pub fn push_node(&mut self, key: StreamId, bytes: Vec<u8>) -> Result<(), Invalid> {
        let checked = node::validate(key, &bytes)?;
        let Some((first_id, _)) = checked.edges else { return Ok(()) };
        let follows = match self.nodes.last() {
            None => true,
            Some(last) => last.key() < key && self.last_live_id().is_none_or(|id| id < key),
        };
        if !follows {
            return Err(Invalid);
        }
        if self.len == 0 {
            self.first_id = first_id;
        }
        self.len += checked.live;
        self.nodes.push(key, bytes);
        Ok(())
    }

    // The whole.

    /// About what is allocated, in bytes, as if nothing were shared with a clone. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes()
    }

    /// Frees about `budget` nodes. The log must be used for nothing else any more. `true`: something is left.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.nodes.drop_some(budget)
    }
}
