//! The nodes of a stream in the order of their keys.
//!
//! The last node lies apart from the others: nearly all changes are made there, and a short stream is that node alone,
//! without a map. A clone copies it, and shares all others; the first change to one that is shared copies that node,
//! and of the map the part that it lies in. So that a clone is always cheap, a last node that becomes large is put to
//! the others at once.
//!
//! Deliberately absent: what is in a node.

use super::id::StreamId;
use super::node::Node;
use crate::collections::cow::{COUNTS_BYTES, CopyOnWrite};
use crate::collections::sorted_chunks::SortedChunks;
use std::ops::{Bound, RangeBounds};

/// How large a node that lies apart may be, in bytes: four times what the default limit allows.
const TAIL_BYTES_MAX: usize = 16 << 10;

const NODES_PER_CHUNK: usize = 64;

/// What a node that can be shared has allocated besides its bytes: two counts, and where the bytes are.
const SHARED_HEAD_BYTES: usize = COUNTS_BYTES + size_of::<Vec<u8>>();

#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// All but the tail.
    full: SortedChunks<StreamId, CopyOnWrite<Vec<u8>>, NODES_PER_CHUNK>,
    /// The last, if it is not too large, and was not left by the removal of one behind it.
    tail: Option<(StreamId, Vec<u8>)>,
    /// Capacity of all.
    bytes: usize,
}

impl Nodes {
    pub fn len(&self) -> usize {
        self.full.len() + usize::from(self.tail.is_some())
    }

    pub fn first(&self) -> Option<Node<'_>> {
        self.full.range(..).next().map(node).or_else(|| self.tail())
    }

    #[inline]
    pub fn last(&self) -> Option<Node<'_>> {
        self.tail().or_else(|| self.full.range(..).next_back().map(node))
    }

    #[inline]
    fn tail(&self) -> Option<Node<'_>> {
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
        let behind = (Bound::Excluded(key), Bound::Unbounded);
        self.full.range(behind).next().map(node).or_else(|| self.tail().filter(|n| n.key() > key))
    }

    /// The node in front of the one with that key.
    pub fn before(&self, key: StreamId) -> Option<Node<'_>> {
        key.previous().and_then(|id| self.at_or_before(id))
    }

    /// Key and bytes of each whose key is not before `start`, in order.
    pub fn iter_from(&self, start: Bound<StreamId>) -> impl Iterator<Item = (StreamId, &[u8])> {
        let range = (start, Bound::Unbounded);
        let tail = self.tail.as_ref().filter(|(key, _)| range.contains(key));
        let full = self.full.range(range).map(|(key, bytes)| (key, &bytes[..]));
        full.chain(tail.map(|(key, bytes)| (*key, &bytes[..])))
    }

    /// Appends a node. Its key must be after all others.
    pub fn push(&mut self, key: StreamId, bytes: Vec<u8>) {
        debug_assert!(self.last().is_none_or(|last| last.key() < key));
        self.settle_last();
        self.bytes += bytes.capacity();
        let is_large = bytes.len() > TAIL_BYTES_MAX;
        self.tail = Some((key, bytes));
        if is_large {
            self.settle_last();
        }
    }

    /// Puts the last node to the others, if it lies apart, and gives the room back that it has for more: it will hardly
    /// grow any more.
    fn settle_last(&mut self) {
        if let Some((key, mut bytes)) = self.tail.take() {
            self.bytes -= bytes.capacity();
            bytes.shrink_to_fit();
            self.bytes += bytes.capacity();
            self.full.insert(key, CopyOnWrite::new(bytes));
        } else if let Some((key, bytes)) = self.full.range(..).next_back()
            && bytes.capacity() > bytes.len()
        {
            self.edit(key, Vec::shrink_to_fit);
        }
    }

    /// Lets `edit` change the last node.
    #[inline]
    pub fn edit_last<R>(&mut self, edit: impl FnOnce(StreamId, &mut Vec<u8>) -> R) -> Option<R> {
        if let Some((key, _)) = self.tail {
            return self.edit_tail(|bytes| edit(key, bytes));
        }
        let (key, _) = self.full.range(..).next_back()?;
        self.edit_full(key, |bytes| edit(key, bytes))
    }

    /// Lets `edit` change the node with that key, if there is one.
    pub fn edit<R>(&mut self, key: StreamId, edit: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        match &self.tail {
            Some((tail, _)) if *tail == key => self.edit_tail(edit),
            _ => self.edit_full(key, edit),
        }
    }

    #[inline]
    fn edit_tail<R>(&mut self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let (_, bytes) = self.tail.as_mut()?;
        let before = bytes.capacity();
        let result = edit(bytes);
        self.bytes = self.bytes + bytes.capacity() - before;
        if bytes.len() > TAIL_BYTES_MAX {
            self.settle_last();
        }
        Some(result)
    }

    fn edit_full<R>(&mut self, key: StreamId, edit: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        let bytes = self.full.get_mut(key)?;
        // A copy has another capacity.
        let before = bytes.capacity();
        let bytes = bytes.to_mut();
        let result = edit(bytes);
        self.bytes = self.bytes + bytes.capacity() - before;
        Some(result)
    }

    /// Removes the node with that key, if there is one.
    pub fn remove(&mut self, key: StreamId) {
        if let Some((_, bytes)) = self.tail.take_if(|(tail, _)| *tail == key) {
            self.bytes -= bytes.capacity();
        } else if let Some(bytes) = self.full.remove(key) {
            self.bytes -= bytes.capacity();
        }
    }

    /// Frees about `budget` nodes. There must be nothing else to do with them any more. `true`: something is left.
    pub fn drop_some(&mut self, mut budget: usize) -> bool {
        (self.tail, self.bytes) = (None, 0);
        self.full.drop_some(&mut budget)
    }

    /// Allocated bytes, as if nothing were shared.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.full.memory_bytes() + self.full.len() * SHARED_HEAD_BYTES
    }
}

impl Clone for Nodes {
    fn clone(&self) -> Self {
        let tail = self.tail.clone();
        let capacity = |tail: &Option<(StreamId, Vec<u8>)>| {
            tail.as_ref().map_or(0, |(_, bytes)| bytes.capacity())
        };
        let bytes = self.bytes - capacity(&self.tail) + capacity(&tail);
        Nodes { full: self.full.clone(), tail, bytes }
    }
}

fn node((key, bytes): (StreamId, &CopyOnWrite<Vec<u8>>)) -> Node<'_> {
    Node::new(key, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn id(ms: u64) -> StreamId {
        StreamId::new(ms, 0)
    }

    fn key(node: Option<Node>) -> Option<u64> {
        node.map(|node| node.key().ms)
    }

    type Model = BTreeMap<u64, Vec<u8>>;

    fn check(nodes: &Nodes, model: &Model) {
        assert_eq!(nodes.len(), model.len());
        for start in [Bound::Unbounded, Bound::Included(5), Bound::Excluded(9)] {
            let own = nodes.iter_from(start.map(id)).map(|(id, bytes)| (id.ms, bytes));
            let expected = model.range((start, Bound::Unbounded));
            assert!(own.eq(expected.map(|(&key, bytes)| (key, &bytes[..]))));
        }
        let full = nodes.full.range(..).map(|(_, bytes)| bytes.capacity()).sum::<usize>();
        let tail = nodes.tail.as_ref().map_or(0, |(_, bytes)| bytes.capacity());
        assert_eq!(nodes.bytes, full + tail);
        assert!(nodes.tail.as_ref().is_none_or(|(_, bytes)| bytes.len() <= TAIL_BYTES_MAX));
    }

    fn len() -> impl Strategy<Value = usize> {
        prop_oneof![20 => 0usize..50, 1 => TAIL_BYTES_MAX - 20..TAIL_BYTES_MAX + 20]
    }

    proptest! {
        #[test]
        fn nodes_are_an_ordered_map_and_clones_stay_as_they_were(
            steps in prop::collection::vec((0u8..5, 0u64..40, len()), 1..80),
        ) {
            let mut nodes = Nodes::default();
            let mut model = Model::new();
            let mut clones = Vec::new();
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
                    3 => clones.push((nodes.clone(), model.clone())),
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
                check(&nodes, &model);
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
            }
            for (clone, model) in &clones {
                check(clone, model);
            }
            while nodes.drop_some(3) {}
            prop_assert_eq!(nodes.memory_bytes(), 0);
            for (clone, model) in &clones {
                check(clone, model);
            }
        }
    }

    /// Where the bytes of each node are.
    fn places(nodes: &Nodes) -> Vec<*const u8> {
        nodes.iter_from(Bound::Unbounded).map(|(_, bytes)| bytes.as_ptr()).collect()
    }

    #[test]
    fn a_clone_shares_all_nodes_but_a_small_last_one_and_a_write_copies_one() {
        let mut nodes = Nodes::default();
        (1..=100).for_each(|ms| nodes.push(id(ms), vec![7; 100]));
        let shared = |one: &Nodes, two: &Nodes| {
            places(one).iter().zip(places(two)).filter(|(one, two)| *one == two).count()
        };
        let clone = nodes.clone();
        assert_eq!(shared(&nodes, &clone), 99);
        nodes.edit(id(50), |bytes| bytes[0] = 1);
        nodes.edit(id(50), |bytes| bytes[1] = 1);
        nodes.edit_last(|_, bytes| bytes[0] = 1);
        assert_eq!(shared(&nodes, &clone), 98);
        nodes.push(id(101), vec![7; TAIL_BYTES_MAX + 1]);
        assert_eq!(shared(&nodes, &nodes.clone()), 101);
        // It may grow there, and gives back what it did not use when the next one comes.
        nodes.edit_last(|_, bytes| bytes.reserve(1000));
        let before = nodes.bytes;
        nodes.push(id(102), vec![7]);
        assert!(nodes.bytes < before - 900);
    }
}
