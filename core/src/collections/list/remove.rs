//! What takes elements out of a list.

use super::node::Node;
use super::{List, Place};
use crate::collections::listpack::{Element, Needle};

impl List {
    /// Removes the first element, once `f` has had it.
    #[inline]
    pub fn pop_front<T>(&mut self, f: impl FnOnce(Element) -> T) -> Option<T> {
        let node = self.chunks.front()?.nodes.front()?;
        let result = f(node.first());
        if node.len() == 1 {
            self.remove_node(0, 0);
        } else {
            self.edit(0, 0, |node| node.packed_mut().pop_front());
        }
        Some(result)
    }

    /// Removes the last element, once `f` has had it.
    #[inline]
    pub fn pop_back<T>(&mut self, f: impl FnOnce(Element) -> T) -> Option<T> {
        let chunk = self.chunks.len().checked_sub(1)?;
        let at = self.chunks[chunk].nodes.len() - 1;
        let node = &self.chunks[chunk].nodes[at];
        let result = f(node.last());
        if node.len() == 1 {
            self.remove_node(chunk, at);
        } else {
            self.edit(chunk, at, |node| node.packed_mut().pop_back());
        }
        Some(result)
    }

    /// Removes the element with an index, if there is one.
    pub fn remove(&mut self, index: usize) {
        if let Some(place) = self.seek(index) {
            self.remove_at(place);
        }
    }

    pub(super) fn remove_at(&mut self, place: Place) {
        self.remove_some(place, 1);
    }

    /// Removes up to `count` elements from an index on. Gives a list with the nodes that went as a whole, which its
    /// owner may want to free bit by bit.
    pub fn remove_range(&mut self, from: usize, count: usize) -> List {
        let mut removed = List::new();
        let mut left = count.min(self.len().saturating_sub(from));
        while let (Some(place), 1..) = (self.seek(from), left) {
            let chunk = &self.chunks[place.chunk];
            let is_first = (place.node, place.index) == (0, 0);
            if is_first && left >= chunk.len {
                let chunk = self.remove_chunk(place.chunk);
                left -= chunk.len;
                removed.push_chunk(chunk);
            } else if place.index == 0 && left >= chunk.nodes[place.node].len() {
                let node = self.remove_node(place.chunk, place.node);
                left -= node.len();
                removed.push_node_back(node);
            } else {
                left -= self.remove_some(place, left);
            }
        }
        removed
    }

    /// Removes up to `count` elements of one node from a place on. Gives how many.
    fn remove_some(&mut self, place: Place, count: usize) -> usize {
        let len = self.chunks[place.chunk].nodes[place.node].len();
        let count = count.min(len - place.index);
        if count == len {
            self.remove_node(place.chunk, place.node);
        } else {
            self.edit(place.chunk, place.node, |node| {
                node.packed_mut().remove_many(place.index, count);
            });
        }
        count
    }

    /// Removes up to `count` elements that are `text`, the first ones. Gives how many. Costs a look at each element, up
    /// to the last that is removed.
    pub fn remove_first(&mut self, text: &[u8], count: usize) -> usize {
        let needle = Needle::new(text);
        let mut left = count;
        for chunk in 0..self.chunks.len() {
            let mut at = 0;
            while at < self.chunks[chunk].nodes.len() && left > 0 {
                // Not touched without need: a clone may share it.
                if self.chunks[chunk].nodes[at].count(&needle) == 0 {
                    at += 1;
                    continue;
                }
                left -= self.edit(chunk, at, |node| remove_matching(node, &needle, 0, left));
                match self.chunks[chunk].nodes[at].len() {
                    0 => drop(self.take_node(chunk, at)),
                    _ => at += 1,
                }
            }
        }
        self.settle_all();
        count - left
    }

    /// The same for the last ones.
    pub fn remove_last(&mut self, text: &[u8], count: usize) -> usize {
        let needle = Needle::new(text);
        let mut left = count;
        for chunk in (0..self.chunks.len()).rev() {
            for at in (0..self.chunks[chunk].nodes.len()).rev() {
                if left == 0 {
                    break;
                }
                let matching = self.chunks[chunk].nodes[at].count(&needle);
                if matching == 0 {
                    continue;
                }
                let kept = matching.saturating_sub(left);
                left -= self.edit(chunk, at, |node| remove_matching(node, &needle, kept, left));
                if self.chunks[chunk].nodes[at].len() == 0 {
                    self.take_node(chunk, at);
                }
            }
        }
        self.settle_all();
        count - left
    }

    /// After nodes were taken anywhere.
    fn settle_all(&mut self) {
        for chunk in (0..self.chunks.len()).rev() {
            self.settle(chunk);
        }
    }
}

/// Removes up to `count` elements of a node behind `kept` ones. Gives how many; maybe all.
fn remove_matching(node: &mut Node, needle: &Needle, kept: usize, count: usize) -> usize {
    match node {
        Node::Packed(packed) => {
            packed.edit(|listpack| listpack.remove_matching(needle, kept, count))
        }
        Node::Plain(text) if kept == 0 && count > 0 && needle.is(Element::Bytes(text)) => {
            *node = Node::empty();
            1
        }
        Node::Plain(_) => 0,
    }
}
