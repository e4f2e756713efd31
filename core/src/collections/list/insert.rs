//! What adds elements to a list, or changes them.

use super::node::Node;
use super::{Limit, List, Place};
use crate::collections::listpack::Element;

/// A new node at an end may take this part of what the list has allocated, ahead of what will come.
const AHEAD_DIVISOR: usize = 8;

impl List {
    #[inline]
    pub fn push_back(&mut self, element: Element, limit: Limit) {
        let last = self.chunks.back().and_then(|chunk| chunk.nodes.back());
        if last.is_some_and(|node| node.admits(element, limit)) {
            let chunk = self.chunks.len() - 1;
            let at = self.chunks[chunk].nodes.len() - 1;
            self.edit(chunk, at, |node| node.packed_mut().push_back(element, limit));
        } else {
            let node = Node::new(element, limit, self.bytes_ahead(last));
            if let Some(chunk) = self.chunks.len().checked_sub(1) {
                self.edit(chunk, self.chunks[chunk].nodes.len() - 1, Node::trim_room);
            }
            self.push_node_back(node);
        }
    }

    #[inline]
    pub fn push_front(&mut self, element: Element, limit: Limit) {
        let first = self.chunks.front().and_then(|chunk| chunk.nodes.front());
        if first.is_some_and(|node| node.admits(element, limit)) {
            self.edit(0, 0, |node| node.packed_mut().push_front(element, limit));
        } else {
            let node = Node::new(element, limit, self.bytes_ahead(first));
            if !self.is_empty() {
                self.edit(0, 0, Node::trim_room);
            }
            self.push_node_front(node);
        }
    }

    /// What the node behind a full one will probably take, within bounds.
    fn bytes_ahead(&self, full: Option<&Node>) -> usize {
        full.map_or(0, Node::bytes).min(self.allocated / AHEAD_DIVISOR)
    }

    /// Puts an element in the place of another.
    ///
    /// Panics if there is no such index.
    pub fn set(&mut self, index: usize, element: Element, limit: Limit) {
        let place = self.seek(index).expect("an index of the list");
        let fits = match &self.chunks[place.chunk].nodes[place.node] {
            Node::Packed(node) => {
                let old = node.view().at(node.seek(place.index)).stored_bytes();
                limit.admits(node.view().bytes().len() - old + element.stored_bytes(), 1)
            }
            Node::Plain(_) => false,
        };
        if fits {
            self.edit(place.chunk, place.node, |node| {
                node.packed_mut().set(place.index, element, limit);
            });
        } else {
            self.remove_at(place);
            self.insert(index, element, limit);
        }
    }

    /// Inserts before the element with an index, or at the end.
    ///
    /// Panics if the index is beyond the end.
    pub fn insert(&mut self, index: usize, element: Element, limit: Limit) {
        if index == 0 {
            return self.push_front(element, limit);
        }
        if index == self.len() {
            return self.push_back(element, limit);
        }
        let place = self.seek(index).expect("an index of the list, or its end");
        let Place { chunk, node, index } = place;
        if self.chunks[chunk].nodes[node].admits(element, limit) {
            self.edit(chunk, node, |node| node.packed_mut().insert(index, element, limit));
        } else if index > 0 {
            self.insert_between_halves(place, element, limit);
        } else {
            let before = self.node_before(chunk, node).expect("not the first node");
            if self.chunks[before.0].nodes[before.1].admits(element, limit) {
                self.edit(before.0, before.1, |node| node.packed_mut().push_back(element, limit));
            } else {
                self.insert_node(chunk, node, Node::new(element, limit, 0));
            }
        }
    }

    /// Splits a node before the element at a place, and inserts there. The halves are joined with the nodes beside them
    /// if they fit: else insertions in the wrong places would leave many nodes with next to nothing in them.
    fn insert_between_halves(&mut self, place: Place, element: Element, limit: Limit) {
        let half =
            self.edit(place.chunk, place.node, |node| node.packed_mut().split_off(place.index));
        let second = self.insert_node(place.chunk, place.node + 1, Node::Packed(half));
        let first = self.node_before(second.0, second.1).expect("the first half");
        if self.chunks[first.0].nodes[first.1].admits(element, limit) {
            self.edit(first.0, first.1, |node| node.packed_mut().push_back(element, limit));
        } else if self.chunks[second.0].nodes[second.1].admits(element, limit) {
            self.edit(second.0, second.1, |node| node.packed_mut().push_front(element, limit));
        } else {
            self.insert_node(second.0, second.1, Node::new(element, limit, 0));
            return;
        }
        self.join_nodes(second.0, second.1, limit);
        if let Some(before) = first.1.checked_sub(1) {
            self.join_nodes(first.0, before, limit);
        }
    }

    /// The place of the node before another.
    fn node_before(&self, chunk: usize, node: usize) -> Option<(usize, usize)> {
        match node.checked_sub(1) {
            Some(before) => Some((chunk, before)),
            None => Some((chunk.checked_sub(1)?, self.chunks[chunk - 1].nodes.len() - 1)),
        }
    }

    /// Joins a node with the one behind it, if there is one in the chunk and the limit admits it.
    fn join_nodes(&mut self, chunk: usize, at: usize, limit: Limit) {
        let nodes = &self.chunks[chunk].nodes;
        let joins = |next: &Node| nodes[at].admits_node(next, limit);
        if nodes.get(at + 1).is_some_and(joins) {
            let mut next = self.take_node(chunk, at + 1);
            self.edit(chunk, at, |node| node.packed_mut().append(next.packed_mut(), limit));
        }
    }
}
