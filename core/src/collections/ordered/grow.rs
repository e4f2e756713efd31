//! Insertion: room is made by moving elements to a neighbour, else by a split.

use super::node::{Child, INNER, Inner, LEAF, Leaf, before_member};
use super::{Element, Members, NIL, Ordered};

/// A neighbour with fewer elements takes some before a leaf is split. So many are moved at once, on average,
/// that it does not happen at every insertion.
const TAKES_MORE: usize = LEAF - LEAF / 8;

impl Ordered {
    /// Inserts an element that is not in the tree; its member must already be shown.
    pub fn insert<M: Members + ?Sized>(&mut self, score: f64, id: u32, members: &M) {
        debug_assert!(!score.is_nan());
        if self.len == 0 {
            return self.begin(score, id);
        }
        // Fetched for ties only, at most once.
        let mut member = None;
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &mut self.inners[node];
            let ties = inner.ties(score);
            let begun = if ties.is_empty() {
                ties.start
            } else {
                let member = *member.get_or_insert_with(|| members.member(id));
                ties.start + before_member(&inner.ids()[ties], member, true, members)
            };
            let at = match begun {
                0 => {
                    inner.set_first(0, score, id);
                    0
                }
                begun => begun - 1,
            };
            inner.add(at, 1);
            node = inner.children()[at];
        }
        let leaf = &self.leaves[node];
        let ties = leaf.ties(score);
        let at = if ties.is_empty() {
            ties.start
        } else {
            let member = *member.get_or_insert_with(|| members.member(id));
            ties.start + before_member(&leaf.ids()[ties], member, true, members)
        };
        self.len += 1;
        self.insert_into(node, at, score, id);
    }

    /// Appends an element that comes behind all others.
    pub fn push_back(&mut self, score: f64, id: u32) {
        debug_assert!(!score.is_nan());
        if self.len == 0 {
            return self.begin(score, id);
        }
        debug_assert!(self.last().is_some_and(|last| last.score <= score));
        let mut node = self.root;
        for _ in 0..self.height {
            let inner = &mut self.inners[node];
            let at = inner.len() - 1;
            inner.add(at, 1);
            node = inner.children()[at];
        }
        self.len += 1;
        let at = self.leaves[node].len();
        self.insert_into(node, at, score, id);
    }

    /// Gives an element another score. It stays where it is if its neighbours allow.
    pub fn update<M: Members + ?Sized>(&mut self, old: f64, new: f64, id: u32, members: &M) {
        debug_assert!(!new.is_nan());
        let located = self.locate(old, id, members);
        debug_assert!(located.is_some(), "the element is in the tree");
        let Some((place, _)) = located else { return };
        let leaf = &self.leaves[place.leaf];
        let behind = if place.at + 1 < leaf.len() {
            Some(leaf.scores()[place.at + 1])
        } else {
            (leaf.next != NIL).then(|| self.leaves[leaf.next].scores()[0])
        };
        let before = if place.at > 0 {
            Some(leaf.scores()[place.at - 1])
        } else {
            let before = leaf.previous;
            (before != NIL).then(|| *self.leaves[before].scores().last().expect("an element"))
        };
        // A tie with a neighbour is left to the members' order.
        if before.is_none_or(|before| before < new) && behind.is_none_or(|behind| new < behind) {
            self.leaves[place.leaf].set_score(place.at, new);
            if place.at == 0 {
                self.first_changed(place.leaf);
            }
            return;
        }
        self.remove_at(place, 1);
        self.insert(new, id, members);
    }

    fn begin(&mut self, score: f64, id: u32) {
        let mut leaf = Leaf::default();
        leaf.insert(0, score, id);
        let index = self.leaves.push(leaf);
        (self.root, self.height, self.first, self.last, self.len) = (index, 0, index, index, 1);
    }

    /// Inserts into a leaf. The nodes above have counted the element and know it if it is their first.
    fn insert_into(&mut self, leaf: u32, at: usize, score: f64, id: u32) {
        if self.leaves[leaf].len() < LEAF {
            return self.leaves[leaf].insert(at, score, id);
        }
        let element = Element { score, id };
        if at == LEAF && leaf == self.last {
            return self.extend(leaf, true, element);
        }
        if at == 0 && leaf == self.first {
            return self.extend(leaf, false, element);
        }
        let [before, behind] = self.siblings(leaf);
        if before != NIL && self.leaves[before].len() < TAKES_MORE {
            return self.share_and_insert(before, leaf, true, at, element);
        }
        if behind != NIL && self.leaves[behind].len() < TAKES_MORE {
            return self.share_and_insert(leaf, behind, false, at, element);
        }
        let behind = self.link_behind(leaf, Leaf::default());
        let (one, other) = self.leaves.pair(leaf, behind);
        one.share(other, LEAF / 2);
        if at <= LEAF / 2 {
            one.insert(at, score, id);
        } else {
            other.insert(at - LEAF / 2, score, id);
        }
        self.add_leaf(leaf, behind);
    }

    /// A new leaf at an end for an element of which no others are beyond, so that leaves stay full where elements come
    /// in their order.
    fn extend(&mut self, leaf: u32, back: bool, element: Element) {
        let mut new = Leaf::default();
        new.insert(0, element.score, element.id);
        if back {
            let new = self.link_behind(leaf, new);
            self.add_leaf(leaf, new);
            return;
        }
        // In front of the first: the new leaf takes its place, and it comes behind.
        std::mem::swap(&mut self.leaves[leaf], &mut new);
        let first = &mut self.leaves[leaf];
        (first.parent, first.previous, first.next) = (new.parent, NIL, new.next);
        let behind = self.link_behind(leaf, new);
        self.add_leaf(leaf, behind);
    }

    /// Two neighbours share their elements equally, one of them being full, and take one more. `at` is counted in
    /// `other` if `in_other`.
    fn share_and_insert(&mut self, one: u32, other: u32, in_other: bool, at: usize, new: Element) {
        let (left, right) = self.leaves.pair(one, other);
        let at = if in_other { left.len() + at } else { at };
        let len = (left.len() + right.len()) / 2;
        left.share(right, len);
        if at <= len {
            left.insert(at, new.score, new.id);
        } else {
            right.insert(at - len, new.score, new.id);
        }
        self.refresh_leaf(one);
        self.refresh_leaf(other);
    }

    /// The leaves beside one that have the same parent, or [`NIL`].
    fn siblings(&self, leaf: u32) -> [u32; 2] {
        let leaf = &self.leaves[leaf];
        [leaf.previous, leaf.next].map(|beside| match beside {
            NIL => NIL,
            _ if self.leaves[beside].parent == leaf.parent => beside,
            _ => NIL,
        })
    }

    /// Puts a new leaf behind another one, not yet below any parent.
    fn link_behind(&mut self, leaf: u32, mut new: Leaf) -> u32 {
        let next = self.leaves[leaf].next;
        (new.previous, new.next) = (leaf, next);
        let index = self.leaves.push(new);
        self.leaves[leaf].next = index;
        match next {
            NIL => self.last = index,
            next => self.leaves[next].previous = index,
        }
        index
    }

    /// Lets the parent of `leaf` know of `new`, linked behind it, to which elements of `leaf` may have gone.
    fn add_leaf(&mut self, leaf: u32, new: u32) {
        let child = self.leaves[new].as_child(new);
        if self.leaves[leaf].parent == NIL {
            let first = self.leaves[leaf].as_child(leaf);
            return self.new_root(first, child);
        }
        let (parent, at) = self.refresh_leaf(leaf);
        self.add_child(parent, at + 1, child);
    }

    /// Lets the parent of a leaf know what is in it; returns the parent and the leaf's place there.
    pub(super) fn refresh_leaf(&mut self, leaf: u32) -> (u32, usize) {
        let child = self.leaves[leaf].as_child(leaf);
        let parent = self.leaves[leaf].parent;
        let inner = &mut self.inners[parent];
        let at = inner.place_of(leaf);
        inner.set(at, child);
        (parent, at)
    }

    /// Inserts a child, whose elements the nodes above `parent` have counted.
    fn add_child(&mut self, parent: u32, at: usize, child: Child) {
        let level = self.inners[parent].level;
        if self.inners[parent].len() < INNER {
            self.inners[parent].insert(at, child);
            self.set_parent(level - 1, child.node, parent);
            return;
        }
        let new = self.inners.push(Inner::new(level));
        // All stay where they are if nodes are only ever added at this end.
        let keep = if at == INNER && self.is_at_end(parent, true) {
            INNER
        } else if at <= 1 && self.is_at_end(parent, false) {
            1
        } else {
            INNER / 2
        };
        let (one, other) = self.inners.pair(parent, new);
        one.share(other, keep);
        let holder = if at <= keep && keep < INNER {
            one.insert(at, child);
            parent
        } else {
            other.insert(at - keep, child);
            new
        };
        self.adopt(new, 0..self.inners[new].len());
        self.set_parent(level - 1, child.node, holder);
        let above = self.inners[parent].parent;
        let (one, other) = (self.inners[parent].as_child(parent), self.inners[new].as_child(new));
        if above == NIL {
            return self.new_root(one, other);
        }
        let at = self.inners[above].place_of(parent);
        self.inners[above].set(at, one);
        self.add_child(above, at + 1, other);
    }

    /// Whether an inner node is the last of its level, or the first.
    fn is_at_end(&self, mut node: u32, last: bool) -> bool {
        loop {
            let parent = self.inners[node].parent;
            if parent == NIL {
                return true;
            }
            let children = self.inners[parent].children();
            let end = if last { children.last() } else { children.first() };
            if end != Some(&node) {
                return false;
            }
            node = parent;
        }
    }

    fn new_root(&mut self, one: Child, other: Child) {
        let mut root = Inner::new(self.height + 1);
        root.insert(0, one);
        root.insert(1, other);
        self.root = self.inners.push(root);
        self.height += 1;
        self.adopt(self.root, 0..2);
    }
}
