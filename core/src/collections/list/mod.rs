//! List: a sequence of any length, pushed to and popped from at both ends.
//!
//! Elements stand in *nodes*, listpacks of some kilobytes ([`Limit`]); one that is too large for that stands in a plain
//! node of its own. Nodes stand in *chunks* of up to 64, and chunks in a row; nodes and chunks know how many
//! elements they hold. So an index is found by a look at each chunk from the nearer end, then at the nodes of one chunk,
//! then at the elements of one node: with nodes of 8 KiB, a list of a gigabyte has some 2,000 chunks. (A tree would
//! be flatter still, but its pushes and pops would be slower, and those are what lists are for.) Only the pointers of
//! one chunk move when a node comes or goes, only those of the chunks when a chunk does; a node is moved in its buffer
//! as little as possible ([`node`]).
//!
//! A clone shares all chunks with the original, which costs a step for each. Either copies the chunk that it changes
//! while the other is there: half a megabyte with nodes of 8 KiB.
//!
//! Nodes are filled as those of Redis are, so one that is written to an RDB as it is is one that Redis would have.
//! Memory is what has been allocated: nodes have room to grow in only where elements were pushed last.
//!
//! Deliberately absent: keys, replies, and when a list is a single listpack instead ([`Limit`] says it).
//!
//! Source: `src/quicklist.c` of Redis 7.2 for what a node may hold.

mod insert;
mod iter;
mod limit;
mod node;
mod remove;
#[cfg(test)]
mod tests;

pub use iter::Iter;
pub use limit::Limit;

use super::cow::{COUNTS_BYTES, CopyOnWrite};
use super::listpack::{Element, Listpack};
use node::Node;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};

/// What a chunk may hold.
const CHUNK_NODES_MAX: usize = 64;

/// Two neighbours with so few nodes between them become one chunk.
const CHUNK_NODES_JOINED: usize = 32;

/// The largest listpack that becomes a node as it is, in bytes: the largest limit there is.
const NODE_BYTES_MAX: usize = 64 << 10;

#[derive(Clone, Debug, Default)]
pub struct List {
    chunks: VecDeque<Chunk>,
    /// Elements.
    len: usize,
    /// Bytes allocated for nodes, and for the nodes' places in chunks.
    allocated: usize,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    /// At least one.
    nodes: CopyOnWrite<Nodes>,
    /// Elements.
    len: usize,
}

/// Nodes whose clone has the same room, for the count of what is allocated.
#[derive(Debug, Default)]
struct Nodes(VecDeque<Node>);

/// Where an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    chunk: usize,
    node: usize,
    /// The element's index in its node.
    index: usize,
}

/// Where a node is, until the list is changed; by default the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodePlace {
    chunk: usize,
    node: usize,
}

/// What a list consists of, for who writes it down.
#[derive(Clone, Copy, Debug)]
pub enum NodeRef<'l> {
    Packed(Listpack<'l>),
    Plain(&'l [u8]),
}

impl List {
    pub fn new() -> List {
        List::default()
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is allocated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let nodes_bytes = COUNTS_BYTES + size_of::<Nodes>();
        self.allocated
            + self.chunks.capacity() * size_of::<Chunk>()
            + self.chunks.len() * nodes_bytes
    }

    /// Appends all elements of a trusted listpack.
    pub fn push_listpack(&mut self, listpack: Listpack, limit: Limit) {
        if listpack.bytes().len() > NODE_BYTES_MAX {
            listpack.iter().for_each(|element| self.push_back(element, limit));
        } else if !listpack.is_empty() {
            self.push_node_back(Node::from_listpack(listpack.bytes()));
        }
    }

    /// Appends a text as it is written in a plain node. One that fits into a listpack goes where others do.
    pub fn push_plain(&mut self, text: &[u8], limit: Limit) {
        self.push_back(Element::of(text), limit);
    }

    /// Its only node, if that is a listpack.
    pub fn only_listpack(&self) -> Option<Listpack<'_>> {
        let is_one = self.chunks.len() == 1 && self.chunks[0].nodes.len() == 1;
        match self.chunks.front()?.nodes.front()? {
            Node::Packed(packed) if is_one => Some(packed.view()),
            _ => None,
        }
    }

    /// The nodes, from the first to the last.
    pub fn nodes(&self) -> impl Iterator<Item = NodeRef<'_>> {
        self.nodes_from(NodePlace::default()).map(|(_, node)| node)
    }

    /// The nodes from a place on, each with its own.
    pub fn nodes_from(&self, first: NodePlace) -> impl Iterator<Item = (NodePlace, NodeRef<'_>)> {
        (first.chunk..self.chunks.len()).flat_map(move |chunk| {
            let from = if chunk == first.chunk { first.node } else { 0 };
            let nodes = self.chunks[chunk].nodes.iter().enumerate().skip(from);
            nodes.map(move |(node, content)| {
                let content = match content {
                    Node::Packed(packed) => NodeRef::Packed(packed.view()),
                    Node::Plain(text) => NodeRef::Plain(text),
                };
                (NodePlace { chunk, node }, content)
            })
        })
    }

    /// How many nodes there are. Costs a step for each 64 of them.
    pub fn node_count(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.nodes.len()).sum()
    }

    #[inline]
    pub fn front(&self) -> Option<Element<'_>> {
        Some(self.chunks.front()?.nodes.front()?.first())
    }

    #[inline]
    pub fn back(&self) -> Option<Element<'_>> {
        Some(self.chunks.back()?.nodes.back()?.last())
    }

    /// The element with an index.
    pub fn get(&self, index: usize) -> Option<Element<'_>> {
        let place = self.seek(index)?;
        Some(self.chunks[place.chunk].nodes[place.node].get(place.index))
    }

    /// All elements, from the first to the last.
    pub fn iter(&self) -> Iter<'_> {
        self.iter_from(0)
    }

    /// The element with an index, then those behind it. (None where there is no such index.)
    pub fn iter_from(&self, index: usize) -> Iter<'_> {
        Iter::forwards(self, index)
    }

    /// The element with an index, then those before it. (None where there is no such index.)
    pub fn iter_back_from(&self, index: usize) -> Iter<'_> {
        Iter::backwards(self, index)
    }

    /// Frees some `budget` nodes, in whole chunks. Gives whether there is more; nothing else may be asked of a list that
    /// was begun.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget.div_ceil(CHUNK_NODES_MAX) {
            self.chunks.pop_back();
        }
        let is_left = !self.chunks.is_empty();
        if !is_left {
            *self = List::new();
        }
        is_left
    }

    /// Where the element with an index is. Looks from the nearer end.
    fn seek(&self, index: usize) -> Option<Place> {
        if index >= self.len {
            return None;
        }
        let (chunk, index) = locate(self.len, index, self.chunks.iter().map(|chunk| chunk.len));
        let nodes = &self.chunks[chunk].nodes;
        let (node, index) = locate(self.chunks[chunk].len, index, nodes.iter().map(Node::len));
        Some(Place { chunk, node, index })
    }

    /// Changes a node, and counts what that changes. Whoever leaves it empty removes it.
    #[inline]
    fn edit<T>(&mut self, chunk: usize, node: usize, f: impl FnOnce(&mut Node) -> T) -> T {
        let chunk = &mut self.chunks[chunk];
        let node = &mut chunk.nodes.to_mut()[node];
        let (len, room) = (node.len(), node.room());
        let result = f(node);
        chunk.len = chunk.len + node.len() - len;
        self.len = self.len + node.len() - len;
        self.allocated = self.allocated + node.room() - room;
        result
    }

    /// Puts a node before the one at a place, or behind the last of the chunk. Gives its place.
    fn insert_node(&mut self, mut chunk: usize, mut at: usize, node: Node) -> (usize, usize) {
        if self.chunks[chunk].nodes.len() == CHUNK_NODES_MAX {
            self.split_chunk(chunk);
            let first = self.chunks[chunk].nodes.len();
            if at > first {
                (chunk, at) = (chunk + 1, at - first);
            }
        }
        self.len += node.len();
        self.allocated += node.room();
        let Chunk { nodes, len } = &mut self.chunks[chunk];
        *len += node.len();
        let nodes = nodes.to_mut();
        let places = nodes.capacity();
        nodes.insert(at, node);
        self.allocated += (nodes.capacity() - places) * size_of::<Node>();
        (chunk, at)
    }

    fn push_node_back(&mut self, node: Node) {
        if self.chunks.back().is_none_or(|chunk| chunk.nodes.len() == CHUNK_NODES_MAX) {
            self.chunks.push_back(Chunk::default());
        }
        let chunk = self.chunks.len() - 1;
        self.insert_node(chunk, self.chunks[chunk].nodes.len(), node);
    }

    fn push_node_front(&mut self, node: Node) {
        if self.chunks.front().is_none_or(|chunk| chunk.nodes.len() == CHUNK_NODES_MAX) {
            self.chunks.push_front(Chunk::default());
        }
        self.insert_node(0, 0, node);
    }

    fn remove_node(&mut self, chunk: usize, at: usize) -> Node {
        let node = self.take_node(chunk, at);
        self.settle(chunk);
        node
    }

    /// Removes a node, and leaves the chunk to be settled.
    fn take_node(&mut self, chunk: usize, at: usize) -> Node {
        let chunk = &mut self.chunks[chunk];
        let node = chunk.nodes.to_mut().remove(at).expect("a node");
        chunk.len -= node.len();
        self.len -= node.len();
        self.allocated -= node.room();
        node
    }

    /// Removes a chunk without nodes; joins one that has become small with a neighbour.
    fn settle(&mut self, at: usize) {
        if self.chunks[at].nodes.is_empty() {
            self.remove_chunk(at);
        } else {
            self.join_chunks(at);
        }
    }

    fn push_chunk(&mut self, chunk: Chunk) {
        self.len += chunk.len;
        self.allocated += chunk.allocated();
        self.chunks.push_back(chunk);
    }

    /// Removes a chunk, with what is in it.
    fn remove_chunk(&mut self, at: usize) -> Chunk {
        let chunk = self.chunks.remove(at).expect("a chunk");
        self.len -= chunk.len;
        self.allocated -= chunk.allocated();
        chunk
    }

    fn split_chunk(&mut self, at: usize) {
        let chunk = &mut self.chunks[at];
        self.allocated -= chunk.nodes.capacity() * size_of::<Node>();
        let half = chunk.nodes.len() / 2;
        let nodes = chunk.nodes.to_mut().split_off(half);
        let len = nodes.iter().map(Node::len).sum();
        chunk.len -= len;
        self.allocated += (chunk.nodes.capacity() + nodes.capacity()) * size_of::<Node>();
        self.chunks.insert(at + 1, Chunk { nodes: CopyOnWrite::new(Nodes(nodes)), len });
    }

    /// Joins a chunk that has become small with a neighbour.
    fn join_chunks(&mut self, at: usize) {
        let joins = |at: usize| match (self.chunks.get(at), self.chunks.get(at + 1)) {
            (Some(one), Some(next)) => one.nodes.len() + next.nodes.len() <= CHUNK_NODES_JOINED,
            _ => false,
        };
        let at = match at {
            at if joins(at) => at,
            1.. if joins(at - 1) => at - 1,
            _ => return,
        };
        let mut next = self.chunks.remove(at + 1).expect("a neighbour");
        let chunk = &mut self.chunks[at];
        self.allocated -= (chunk.nodes.capacity() + next.nodes.capacity()) * size_of::<Node>();
        chunk.nodes.to_mut().append(next.nodes.to_mut());
        chunk.len += next.len;
        self.allocated += chunk.nodes.capacity() * size_of::<Node>();
    }
}

impl Deref for Nodes {
    type Target = VecDeque<Node>;

    #[inline]
    fn deref(&self) -> &VecDeque<Node> {
        &self.0
    }
}

impl DerefMut for Nodes {
    #[inline]
    fn deref_mut(&mut self) -> &mut VecDeque<Node> {
        &mut self.0
    }
}

impl Clone for Nodes {
    fn clone(&self) -> Nodes {
        let mut nodes = VecDeque::with_capacity(self.capacity());
        nodes.extend(self.iter().cloned());
        Nodes(nodes)
    }
}

impl Chunk {
    /// Costs a step for each node.
    fn allocated(&self) -> usize {
        self.nodes.iter().map(Node::room).sum::<usize>() + self.nodes.capacity() * size_of::<Node>()
    }
}

/// In which of some parts, of `total` elements together, the element with an index is, and its index there.
fn locate(
    total: usize,
    index: usize,
    lens: impl DoubleEndedIterator<Item = usize> + ExactSizeIterator,
) -> (usize, usize) {
    if index < total / 2 {
        let mut index = index;
        for (part, len) in lens.enumerate() {
            if index < len {
                return (part, index);
            }
            index -= len;
        }
    } else {
        let mut start = total;
        for (part, len) in lens.enumerate().rev() {
            start -= len;
            if start <= index {
                return (part, index - start);
            }
        }
    }
    unreachable!("the parts hold {total} elements and an index of {index}");
}
