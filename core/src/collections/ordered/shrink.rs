//! Removal: a node that is left with little goes together with a neighbour, or takes from it.

use super::node::{INNER, LEAF};
use super::{Element, Members, NIL, Ordered, Place};

/// With fewer elements or children, a node turns to a neighbour.
const LEAF_MIN: usize = LEAF / 3;
const INNER_MIN: usize = INNER / 3;
/// Two nodes become one if it does not hold more; there is room for some insertions before it is split again.
const LEAF_JOINED: usize = LEAF / 4 * 3;
const INNER_JOINED: usize = INNER / 4 * 3;

impl Ordered {
    /// Removes an element; false if there is none.
    pub fn remove<M: Members + ?Sized>(&mut self, score: f64, id: u32, members: &M) -> bool {
        let Some((place, _)) = self.locate(score, id, members) else { return false };
        self.remove_at(place, 1);
        true
    }

    /// Removes up to `count` elements from a rank on, the lowest first, and shows each.
    pub fn remove_range(&mut self, rank: usize, count: usize, mut removed: impl FnMut(Element)) {
        let mut rest = count.min(self.len.saturating_sub(rank));
        while rest > 0 {
            let Some(place) = self.place_at(rank) else { break };
            let leaf = &self.leaves[place.leaf];
            let here = (leaf.len() - place.at).min(rest);
            for at in place.at..place.at + here {
                removed(Element { score: leaf.scores()[at], id: leaf.ids()[at] });
            }
            self.remove_at(place, here);
            rest -= here;
        }
    }

    /// Removes `count` elements of one leaf.
    pub(super) fn remove_at(&mut self, place: Place, count: usize) {
        let leaf = &mut self.leaves[place.leaf];
        leaf.remove(place.at..place.at + count);
        self.len -= count;
        let len = leaf.len();
        let (mut node, mut parent) = (place.leaf, leaf.parent);
        while parent != NIL {
            let inner = &mut self.inners[parent];
            inner.subtract(inner.place_of(node), count as u32);
            (node, parent) = (parent, inner.parent);
        }
        if len == 0 {
            return self.remove_leaf(place.leaf);
        }
        if place.at == 0 {
            self.first_changed(place.leaf);
        }
        if len < LEAF_MIN {
            self.fill_leaf(place.leaf);
        }
    }

    /// Joins a leaf with a neighbour, or takes elements from it.
    fn fill_leaf(&mut self, leaf: u32) {
        let parent = self.leaves[leaf].parent;
        if parent == NIL || self.inners[parent].len() == 1 {
            return;
        }
        let children = self.inners[parent].children();
        let at = self.inners[parent].place_of(leaf).saturating_sub(1);
        let (one, other) = (children[at], children[at + 1]);
        let (left, right) = self.leaves.pair(one, other);
        let sum = left.len() + right.len();
        if sum <= LEAF_JOINED {
            left.share(right, sum);
            self.refresh_leaf(one);
            self.remove_leaf(other);
        } else {
            left.share(right, sum / 2);
            self.refresh_leaf(one);
            self.refresh_leaf(other);
        }
    }

    /// Removes a leaf without elements.
    fn remove_leaf(&mut self, leaf: u32) {
        debug_assert_eq!(self.leaves[leaf].len(), 0);
        let (parent, previous, next) = {
            let leaf = &self.leaves[leaf];
            (leaf.parent, leaf.previous, leaf.next)
        };
        match previous {
            NIL => self.first = next,
            previous => self.leaves[previous].next = next,
        }
        match next {
            NIL => self.last = previous,
            next => self.leaves[next].previous = previous,
        }
        if parent == NIL {
            self.root = NIL;
            self.free_leaf(leaf);
        } else {
            self.take_child(parent, leaf);
            self.free_leaf(leaf);
            self.settle(parent);
        }
    }

    /// Makes a parent forget a child.
    fn take_child(&mut self, parent: u32, child: u32) {
        let inner = &mut self.inners[parent];
        let at = inner.place_of(child);
        inner.remove(at..at + 1);
        if at == 0 && inner.len() > 0 {
            self.inner_first_changed(parent);
        }
    }

    /// Looks whether an inner node that has lost a child has enough of them.
    fn settle(&mut self, node: u32) {
        if self.inners[node].len() > 0 {
            return self.fill_inner(node);
        }
        match self.inners[node].parent {
            NIL => {
                (self.root, self.height) = (NIL, 0);
                self.free_inner(node);
            }
            parent => self.remove_inner(node, parent),
        }
    }

    /// Removes an inner node without children.
    fn remove_inner(&mut self, node: u32, parent: u32) {
        self.take_child(parent, node);
        let moved = self.free_inner(node);
        self.settle(if parent == moved { node } else { parent });
    }

    /// Joins an inner node with a neighbour, or takes children from it; a root with one child goes.
    fn fill_inner(&mut self, node: u32) {
        let parent = self.inners[node].parent;
        if parent == NIL {
            return self.lower_root();
        }
        if self.inners[node].len() >= INNER_MIN || self.inners[parent].len() == 1 {
            return;
        }
        let children = self.inners[parent].children();
        let at = self.inners[parent].place_of(node).saturating_sub(1);
        let (one, other) = (children[at], children[at + 1]);
        let (left, right) = self.inners.pair(one, other);
        let (before, sum) = (left.len(), left.len() + right.len());
        if sum <= INNER_JOINED {
            left.share(right, sum);
            let child = left.as_child(one);
            self.adopt(one, before..sum);
            self.inners[parent].set(at, child);
            self.remove_inner(other, parent);
        } else {
            left.share(right, sum / 2);
            let (of_one, of_other) = (left.as_child(one), right.as_child(other));
            self.adopt(one, 0..self.inners[one].len());
            self.adopt(other, 0..self.inners[other].len());
            self.inners[parent].set(at, of_one);
            self.inners[parent].set(at + 1, of_other);
        }
    }

    fn lower_root(&mut self) {
        while self.height > 0 && self.inners[self.root].len() == 1 {
            let child = self.inners[self.root].children()[0];
            self.set_parent(self.height - 1, child, NIL);
            let freed = std::mem::replace(&mut self.root, child);
            self.height -= 1;
            self.free_inner(freed);
        }
    }

    /// Lets the nodes above an inner node know that it begins with another element.
    fn inner_first_changed(&mut self, node: u32) {
        let (score, id) = (self.inners[node].scores()[0], self.inners[node].ids()[0]);
        let (mut node, mut parent) = (node, self.inners[node].parent);
        while parent != NIL {
            let inner = &mut self.inners[parent];
            let at = inner.place_of(node);
            inner.set_first(at, score, id);
            if at > 0 {
                break;
            }
            (node, parent) = (parent, inner.parent);
        }
    }

    /// Frees a leaf that nothing refers to but its parent; the last one takes its index.
    fn free_leaf(&mut self, leaf: u32) {
        let moved = self.leaves.len() - 1;
        let last = self.leaves.pop().expect("a leaf");
        if moved == leaf {
            return;
        }
        match last.previous {
            NIL => self.first = leaf,
            previous => self.leaves[previous].next = leaf,
        }
        match last.next {
            NIL => self.last = leaf,
            next => self.leaves[next].previous = leaf,
        }
        match last.parent {
            NIL => self.root = leaf,
            parent => {
                let at = self.inners[parent].place_of(moved);
                self.inners[parent].set_child(at, leaf);
            }
        }
        self.leaves[leaf] = last;
    }

    /// Frees an inner node that nothing refers to but its parent; the last one takes its index. Returns the index
    /// which the last one had.
    fn free_inner(&mut self, node: u32) -> u32 {
        let moved = self.inners.len() - 1;
        let last = self.inners.pop().expect("an inner node");
        if moved == node {
            return moved;
        }
        match last.parent {
            NIL => self.root = node,
            parent => {
                let at = self.inners[parent].place_of(moved);
                self.inners[parent].set_child(at, node);
            }
        }
        self.inners[node] = last;
        self.adopt(node, 0..self.inners[node].len());
        moved
    }
}
