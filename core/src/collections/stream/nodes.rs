//! The nodes of a stream in the order of their keys.
//!
//! The last node lies apart from the others: nearly all changes are made there, and a short stream is that node alone,
//! without a map.
//!
//! Deliberately absent: what is in a node.

use super::id::StreamId;
use super::memory::tree_bytes;
use super::node::Node;
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// All but the last.
    full: BTreeMap<StreamId, Vec<u8>>,
    /// The last; absent only where there is none at all.
    tail: Option<(StreamId, Vec<u8>)>,
    /// Capacity of all.
    bytes: usize,
}

impl Nodes {
    pub fn len(&self) -> usize {
        self.full.len() + usize::from(self.tail.is_some())
    }

    pub fn first(&self) -> Option<Node<'_>> {
        self.full.first_key_value().map(node).or_else(|| self.last())
    }

    #[inline]
    pub fn last(&self) -> Option<Node<'_>> {
        self.tail.as_ref().map(|(key, bytes)| Node::new(*key, bytes))
    }

    /// The last node whose key is not after `id`.
    #[inline]
    pub fn at_or_before(&self, id: StreamId) -> Option<Node<'_>> {
        match &self.tail {
            Some((key, bytes)) if *key <= id => Some(Node::new(*key, bytes)),
            _ => self.full.range(..=id).next_back().map(node),
        }
    }

    /// The node behind the one with that key.
    pub fn after(&self, key: StreamId) -> Option<Node<'_>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let behind = (Excluded(key), Unbounded);
        self.full.range(behind).next().map(node).or_else(|| self.last().filter(|n| n.key() > key))
    }

    /// The node in front of the one with that key.
    pub fn before(&self, key: StreamId) -> Option<Node<'_>> {
        key.previous().and_then(|id| self.at_or_before(id))
    }

    /// Key and bytes of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (StreamId, &[u8])> {
        let full = self.full.iter().map(|(&key, bytes)| (key, &bytes[..]));
        full.chain(self.tail.as_ref().map(|(key, bytes)| (*key, &bytes[..])))
    }

    /// Appends a node. Its key must be after all others.
    pub fn push(&mut self, key: StreamId, bytes: Vec<u8>) {
        self.bytes += bytes.capacity();
        if let Some((old_key, mut old)) = self.tail.replace((key, bytes)) {
            debug_assert!(old_key < key);
            // It will hardly grow any more.
            self.bytes -= old.capacity();
            old.shrink_to_fit();
            self.bytes += old.capacity();
            self.full.insert(old_key, old);
        }
    }

    /// Lets `edit` change the last node.
    #[inline]
    pub fn edit_last<R>(&mut self, edit: impl FnOnce(StreamId, &mut Vec<u8>) -> R) -> Option<R> {
        let (key, bytes) = self.tail.as_mut()?;
        let before = bytes.capacity();
        let result = edit(*key, bytes);
        self.bytes = self.bytes + bytes.capacity() - before;
        Some(result)
    }

    /// Lets `edit` change the node with that key, if there is one.
    pub fn edit<R>(&mut self, key: StreamId, edit: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        match &self.tail {
            Some((tail, _)) if *tail == key => self.edit_last(|_, bytes| edit(bytes)),
            _ => {
                let bytes = self.full.get_mut(&key)?;
                let before = bytes.capacity();
                let result = edit(bytes);
                self.bytes = self.bytes + bytes.capacity() - before;
                Some(result)
            }
        }
    }

    /// Removes the node with that key, if there is one.
    pub fn remove(&mut self, key: StreamId) {
        let removed = match &self.tail {
            Some((tail, _)) if *tail == key => {
                let before = self.full.pop_last();
                std::mem::replace(&mut self.tail, before).map(|(_, bytes)| bytes)
            }
            _ => self.full.remove(&key),
        };
        if let Some(bytes) = removed {
            self.bytes -= bytes.capacity();
        }
    }

    /// Removes the first node. `false`: there is none.
    pub fn pop_first(&mut self) -> bool {
        let removed = match self.full.pop_first() {
            Some((_, bytes)) => Some(bytes),
            None => self.tail.take().map(|(_, bytes)| bytes),
        };
        if let Some(bytes) = &removed {
            self.bytes -= bytes.capacity();
        }
        removed.is_some()
    }

    /// Allocated bytes.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.bytes + tree_bytes::<StreamId, Vec<u8>>(self.full.len())
    }
}

impl Clone for Nodes {
    fn clone(&self) -> Self {
        let (full, tail) = (self.full.clone(), self.tail.clone());
        let bytes =
            full.values().chain(tail.iter().map(|(_, bytes)| bytes)).map(Vec::capacity).sum();
        Nodes { full, tail, bytes }
    }
}

fn node<'a>((key, bytes): (&StreamId, &'a Vec<u8>)) -> Node<'a> {
    Node::new(*key, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(ms: u64) -> StreamId {
        StreamId::new(ms, 0)
    }

    fn key(node: Option<Node>) -> Option<u64> {
        node.map(|node| node.key().ms)
    }

    proptest! {
        #[test]
        fn nodes_are_an_ordered_map(
            steps in prop::collection::vec((0u8..4, 0u64..40, 0usize..50), 1..80),
        ) {
            let mut nodes = Nodes::default();
            let mut model: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
            for (step, number, len) in steps {
                match step {
                    0 => {
                        let last = model.last_key_value().map_or(0, |(&key, _)| key);
                        let (new, bytes) = (last + 1 + number % 3, vec![number as u8; len]);
                        nodes.push(id(new), bytes.clone());
                        model.insert(new, bytes);
                    }
                    1 => {
                        nodes.remove(id(number));
                        model.remove(&number);
                    }
                    2 => {
                        let edited = nodes.edit(id(number), |bytes| bytes.extend(vec![1; len]));
                        let expected = model.get_mut(&number).map(|bytes| bytes.extend(vec![1; len]));
                        prop_assert_eq!(edited, expected);
                    }
                    _ if len == 0 => prop_assert_eq!(nodes.pop_first(), model.pop_first().is_some()),
                    _ => {
                        let edited = nodes.edit_last(|key, bytes| {
                            bytes.push(7);
                            key.ms
                        });
                        let expected = model.last_entry().map(|mut last| {
                            last.get_mut().push(7);
                            *last.key()
                        });
                        prop_assert_eq!(edited, expected);
                    }
                }
                prop_assert_eq!(nodes.len(), model.len());
                let all: Vec<_> = nodes.iter().map(|(id, bytes)| (id.ms, bytes.to_vec())).collect();
                prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(key(nodes.first()), model.keys().next().copied());
                prop_assert_eq!(key(nodes.last()), model.keys().next_back().copied());
                prop_assert_eq!(
                    key(nodes.at_or_before(id(number))),
                    model.range(..=number).next_back().map(|(&key, _)| key)
                );
                prop_assert_eq!(
                    key(nodes.after(id(number))),
                    model.range(number + 1..).next().map(|(&key, _)| key)
                );
                prop_assert_eq!(
                    key(nodes.before(id(number))),
                    model.range(..number).next_back().map(|(&key, _)| key)
                );
                let full = nodes.full.values().map(Vec::capacity).sum::<usize>();
                let tail = nodes.tail.as_ref().map_or(0, |(_, bytes)| bytes.capacity());
                prop_assert_eq!(nodes.bytes, full + tail);
            }
            let copy = nodes.clone();
            prop_assert!(copy.iter().eq(nodes.iter()));
            prop_assert_eq!(copy.bytes, copy.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
        }
    }
}
