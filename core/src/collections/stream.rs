//! Stream: an append-only log of entries, and the consumer groups that read it.
//!
//! Entries lie in packed nodes ([`node`](self), the format of Redis), nodes in an ordered map; so appending and removing
//! at the front touch one node, and no operation moves more than one. Groups know entries by id only.
//!
//! A clone takes little time, however large the stream: it shares nodes and pending entries, which lie in trees of
//! chunks (`sorted_chunks`), and copies only what there is one of for each group and consumer, and the last node where
//! that is small. From then on, the first write of either side to a part that is shared copies that part: for an entry
//! its node, for a pending entry the chunk of up to 64 that it lies in, once in the group and once with its consumer;
//! and for each the pointers above it, a few hundred at most.
//!
//! Deliberately absent: keys, commands, clocks, waiting.

mod counter;
mod group;
mod groups;
mod id;
mod log;
mod memory;
mod node;
mod nodes;
mod range;
#[cfg(test)]
mod tests;
mod trim;

pub use group::{Consumer, ConsumerId, Group, Pending};
pub use groups::{GroupMut, Groups};
pub use id::StreamId;
pub use log::{AppendError, EntryLog, NewId, NodeLimits};
pub use node::{Entry, Fields};
pub use range::{Range, RangeBack};
pub use trim::{Keep, Trim};

/// The entries and the groups. They are apart so that a group can be changed while entries are read. Cloning costs by
/// the number of consumers, not of entries.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub log: EntryLog,
    pub groups: Groups,
}

impl Stream {
    /// How many live entries there are.
    pub fn len(&self) -> usize {
        self.log.len() as usize
    }

    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// About what is allocated, in bytes, without the structure itself, as if nothing were shared with a clone. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.log.memory_bytes() + self.groups.memory_bytes()
    }

    /// Frees about `budget` allocations. The stream must be used for nothing else any more. `true`: something is left.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.log.drop_some(budget) || self.groups.drop_some(budget)
    }
}
