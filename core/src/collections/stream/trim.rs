//! Trimming a stream: removing its oldest entries until few enough are left, or all are new enough.
//!
//! Whole nodes go first; only exact trimming then flags entries within the next one. What an approximate or limited
//! trimming leaves behind is what Redis leaves behind.

use super::id::StreamId;
use super::log::EntryLog;
use super::node::{self, Node};

/// What is to be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// So many of the newest entries (MAXLEN).
    Newest(u64),
    /// The entries from this id on (MINID).
    From(StreamId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    pub keep: Keep,
    /// Only whole nodes are removed.
    pub approximate: bool,
    /// So many entries are removed at most; 0: any number. A node that goes beyond it is left.
    pub limit: u64,
}

impl EntryLog {
    /// Removes what `trim` asks for. How many entries that were.
    pub fn trim(&mut self, trim: &Trim) -> u64 {
        let mut removed = 0;
        while let Some(first) = self.nodes.first() {
            if matches!(trim.keep, Keep::Newest(count) if self.len <= count) {
                break;
            }
            let (key, live) = (first.key(), first.counts().0);
            if trim.limit > 0 && removed + live > trim.limit {
                break;
            }
            let whole = match trim.keep {
                Keep::Newest(count) => self.len - live >= count,
                Keep::From(id) => first.last_id() < id,
            };
            if whole {
                self.nodes.remove(key);
                self.len -= live;
                removed += live;
                continue;
            }
            if !trim.approximate {
                removed += self.trim_node(key, trim.keep);
            }
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    /// Flags the oldest entries of a node. How many. (The node goes if none is left, which is so where a deleted entry
    /// was what kept it.)
    fn trim_node(&mut self, key: StreamId, keep: Keep) -> u64 {
        let len = self.len;
        let trimmed = self.nodes.edit(key, |bytes| {
            let node = Node::new(key, bytes);
            let master = node.master();
            let (mut at, mut flagged) = (master.entries_at, 0);
            while let Some(raw) = Node::new(key, bytes).entry_at(&master, at) {
                let enough = match keep {
                    Keep::Newest(count) => len - flagged <= count,
                    Keep::From(id) => raw.id >= id,
                };
                if enough {
                    break;
                }
                at = Node::new(key, bytes).behind(&raw);
                if !raw.is_deleted() {
                    node::flag_deleted(bytes, &raw);
                    flagged += 1;
                }
            }
            if flagged > 0 {
                node::count_deleted(bytes, flagged);
            }
            (flagged, Node::new(key, bytes).counts().0)
        });
        let Some((flagged, live)) = trimmed else { return 0 };
        if live == 0 {
            self.nodes.remove(key);
        }
        self.len -= flagged;
        flagged
    }
}
