//! The order of a large sorted set: a B+tree of scores and ids that knows ranks.
//!
//! An element is a score and the id of a record that holds the member. Elements are ordered by score, those with
//! equal scores by the bytes of their members, which whoever owns the records shows through [`Members`]. Inner
//! nodes know how many elements each child has, so that a rank is found, or found by, in one walk down.
//!
//! A leaf is a kilobyte; it is left or entered by a split only when its neighbours are full too, so that random
//! insertion leaves about four fifths of it in use, and ascending or descending insertion all of it. Nodes
//! lie in pools without gaps ([`pool`](super::pool)), know their parents, and leaves know their neighbours; a clone
//! of the tree is a clone of the pools, which share what neither has changed.
//!
//! Deliberately absent: members, and whether one is in the set. An element must not be inserted twice, nor be removed
//! where there is none; both are bugs of the owner.

mod grow;
mod iter;
mod node;
mod shrink;
#[cfg(test)]
mod tests;

pub use iter::{Backward, Forward};

use super::pool::Pool;
use node::{Inner, Leaf, before_member};

/// No node.
const NIL: u32 = u32::MAX;

/// Who knows the member that an id stands for.
pub trait Members {
    fn member(&self, id: u32) -> &[u8];
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Element {
    pub score: f64,
    pub id: u32,
}

/// An element whose record has got another id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    pub score: f64,
    pub old: u32,
    pub new: u32,
}

#[derive(Clone)]
pub struct Ordered {
    leaves: Pool<Leaf>,
    inners: Pool<Inner>,
    /// A leaf if `height` is 0, else an inner node; [`NIL`] without elements.
    root: u32,
    /// Levels of inner nodes.
    height: u32,
    first: u32,
    last: u32,
    len: usize,
}

/// Where an element lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Place {
    leaf: u32,
    at: usize,
}

impl Default for Ordered {
    fn default() -> Self {
        Ordered::new()
    }
}

impl Ordered {
    pub fn new() -> Ordered {
        Ordered {
            leaves: Pool::new(),
            inners: Pool::new(),
            root: NIL,
            height: 0,
            first: NIL,
            last: NIL,
            len: 0,
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is allocated.
    pub fn memory_bytes(&self) -> usize {
        self.leaves.memory_bytes() + self.inners.memory_bytes()
    }

    /// Frees about `budget` allocations; true while something is left. There is nothing else to do with the tree
    /// afterwards.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        for _ in 0..budget {
            if !self.leaves.drop_chunk() && !self.inners.drop_chunk() {
                break;
            }
        }
        (self.root, self.height, self.first, self.last, self.len) = (NIL, 0, NIL, NIL, 0);
        self.leaves.len() + self.inners.len() > 0
    }

    /// The rank of an element that is in the tree, counted from the lowest.
    pub fn rank<M: Members + ?Sized>(&self, score: f64, id: u32, members: &M) -> Option<usize> {
        let (place, before) = self.locate(score, id, members)?;
        Some(before + place.at)
    }

    /// How many elements come before (score, member).
    pub fn rank_of<M: Members + ?Sized>(&self, score: f64, member: &[u8], members: &M) -> usize {
        self.count(
            |leaf| leaf.lower((score, member), members),
            |inner| inner.lower((score, member), members),
        )
    }

    /// How many elements have a lower score.
    pub fn count_below(&self, score: f64) -> usize {
        let smaller = |scores: &[f64]| scores.iter().map(|&each| usize::from(each < score)).sum();
        self.count(|leaf| smaller(leaf.scores()), |inner| smaller(inner.scores()))
    }

    /// How many elements have this score or a lower one.
    pub fn count_through(&self, score: f64) -> usize {
        let smaller = |scores: &[f64]| scores.iter().map(|&each| usize::from(each <= score)).sum();
        self.count(|leaf| smaller(leaf.scores()), |inner| smaller(inner.scores()))
    }

    /// How many members are less than `member`. All scores must be equal, else it is some number.
    pub fn count_members_below<M: Members + ?Sized>(&self, member: &[u8], members: &M) -> usize {
        self.count(
            |leaf| before_member(leaf.ids(), member, false, members),
            |inner| before_member(inner.ids(), member, false, members),
        )
    }

    /// How many members are less than `member` or equal. All scores must be equal, else it is some number.
    pub fn count_members_through<M: Members + ?Sized>(&self, member: &[u8], members: &M) -> usize {
        self.count(
            |leaf| before_member(leaf.ids(), member, true, members),
            |inner| before_member(inner.ids(), member, true, members),
        )
    }

    /// The element at a rank.
    pub fn nth(&self, rank: usize) -> Option<Element> {
        self.place_at(rank).map(|place| self.element(place))
    }

    pub fn first(&self) -> Option<Element> {
        (self.len > 0).then(|| self.element(Place { leaf: self.first, at: 0 }))
    }

    pub fn last(&self) -> Option<Element> {
        let leaf = self.last;
        (self.len > 0).then(|| self.element(Place { leaf, at: self.leaves[leaf].len() - 1 }))
    }

    /// The elements from a rank on, the lowest first.
    pub fn from(&self, rank: usize) -> Forward<'_> {
        Forward::new(self, self.place_at(rank))
    }

    /// The elements from a rank down, the highest first.
    pub fn down_from(&self, rank: usize) -> Backward<'_> {
        Backward::new(self, self.place_at(rank))
    }

    /// Gives elements other ids: their records have moved. `members` must show the members of the old ids.
    pub fn replace_ids<M: Members + ?Sized>(&mut self, moves: &[Moved], members: &M) {
        // All are found before any is replaced, for an old id may be another record's new one.
        let places = moves.iter().map(|moved| self.locate(moved.score, moved.old, members));
        let places: Vec<_> = places.collect();
        for (located, moved) in places.into_iter().zip(moves) {
            debug_assert!(located.is_some(), "the element is in the tree");
            let Some((place, _)) = located else { continue };
            self.leaves[place.leaf].set_id(place.at, moved.new);
            if place.at == 0 {
                self.first_changed(place.leaf);
            }
        }
    }

    fn element(&self, place: Place) -> Element {
        let leaf = &self.leaves[place.leaf];
        Element { score: leaf.scores()[place.at], id: leaf.ids()[place.at] }
    }

    /// How many elements come before a bound, which the closures find in a node.
    #[inline]
    fn count(&self, in_leaf: impl Fn(&Leaf) -> usize, in_inner: impl Fn(&Inner) -> usize) -> usize {
        if self.len == 0 {
            return 0;
        }
        let (mut node, mut before) = (self.root, 0);
        for _ in 0..self.height {
            let inner = &self.inners[node];
            let Some(at) = in_inner(inner).checked_sub(1) else { return before };
            before += inner.count_before(at);
            node = inner.children()[at];
        }
        before + in_leaf(&self.leaves[node])
    }

    fn place_at(&self, rank: usize) -> Option<Place> {
        if rank >= self.len {
            return None;
        }
        let (mut node, mut rest) = (self.root, rank);
        for _ in 0..self.height {
            let inner = &self.inners[node];
            let mut at = 0;
            for &count in inner.counts() {
                if rest < count as usize {
                    break;
                }
                rest -= count as usize;
                at += 1;
            }
            node = inner.children()[at];
        }
        Some(Place { leaf: node, at: rest })
    }

    /// Where an element lies, and how many are in leaves before its. Members are compared only where a score
    /// spreads over several leaves.
    fn locate<M: Members + ?Sized>(
        &self,
        score: f64,
        id: u32,
        members: &M,
    ) -> Option<(Place, usize)> {
        if self.len == 0 {
            return None;
        }
        let (mut node, mut before) = (self.root, 0);
        for _ in 0..self.height {
            let inner = &self.inners[node];
            let ties = inner.ties(score);
            let behind = match inner.ids()[ties.clone()].iter().position(|&each| each == id) {
                Some(at) => ties.start + at + 1,
                None if ties.is_empty() => ties.start,
                None => {
                    let member = members.member(id);
                    ties.start + before_member(&inner.ids()[ties], member, true, members)
                }
            };
            let at = behind.checked_sub(1)?;
            before += inner.count_before(at);
            node = inner.children()[at];
        }
        let leaf = &self.leaves[node];
        let ties = leaf.ties(score);
        let at = leaf.ids()[ties.clone()].iter().position(|&each| each == id)?;
        Some((Place { leaf: node, at: ties.start + at }, before))
    }

    /// Lets the nodes above a leaf know that it begins with another element.
    fn first_changed(&mut self, leaf: u32) {
        let child = self.leaves[leaf].as_child(leaf);
        let (mut node, mut parent) = (leaf, self.leaves[leaf].parent);
        while parent != NIL {
            let inner = &mut self.inners[parent];
            let at = inner.place_of(node);
            inner.set_first(at, child.score, child.id);
            if at > 0 {
                break;
            }
            (node, parent) = (parent, inner.parent);
        }
    }

    fn set_parent(&mut self, level: u32, node: u32, parent: u32) {
        if level == 0 {
            self.leaves[node].parent = parent;
        } else {
            self.inners[node].parent = parent;
        }
    }

    /// Lets children of `parent` know whose they are.
    fn adopt(&mut self, parent: u32, places: std::ops::Range<usize>) {
        let level = self.inners[parent].level - 1;
        for at in places {
            let child = self.inners[parent].children()[at];
            self.set_parent(level, child, parent);
        }
    }
}
