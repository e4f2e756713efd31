//! The two kinds of nodes, each a few arrays of which the first `len` places are in use.
//!
//! A search counts smaller scores instead of halving: the loop has no branch to guess, is done with vectors, and
//! asks for all cache lines of a node at once where halving would wait for one after the other.

use super::{Members, NIL};
use std::ops::Range;

/// Elements in a leaf, which makes it a kilobyte.
pub(super) const LEAF: usize = 84;
/// Children of an inner node.
pub(super) const INNER: usize = 64;

const _: () = assert!(size_of::<Leaf>() == 1024);

/// Elements in their order, between the leaves before and behind it.
#[derive(Clone)]
pub(super) struct Leaf {
    scores: [f64; LEAF],
    ids: [u32; LEAF],
    len: u32,
    pub(super) parent: u32,
    pub(super) previous: u32,
    pub(super) next: u32,
}

/// Children in their order, each with its first element and how many it has.
#[derive(Clone)]
pub(super) struct Inner {
    scores: [f64; INNER],
    ids: [u32; INNER],
    children: [u32; INNER],
    counts: [u32; INNER],
    len: u32,
    pub(super) parent: u32,
    /// 1 above leaves.
    pub(super) level: u32,
}

/// What an inner node knows of a child.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Child {
    pub(super) node: u32,
    pub(super) score: f64,
    pub(super) id: u32,
    pub(super) count: u32,
}

/// Places whose scores equal `score`; those before are smaller.
#[inline]
fn ties(scores: &[f64], score: f64) -> Range<usize> {
    let smaller: usize = scores.iter().map(|&each| usize::from(each < score)).sum();
    let mut end = smaller;
    while end < scores.len() && scores[end] == score {
        end += 1;
        if end == smaller + 8 {
            // Many of them: not one by one.
            let rest: usize = scores[end..].iter().map(|&each| usize::from(each == score)).sum();
            end += rest;
            break;
        }
    }
    smaller..end
}

/// How many come before (score, member).
#[inline]
fn lower<M: Members + ?Sized>(
    scores: &[f64],
    ids: &[u32],
    (score, member): (f64, &[u8]),
    members: &M,
) -> usize {
    let ties = ties(scores, score);
    ties.start + before_member(&ids[ties], member, false, members)
}

/// How many of `ids`, ordered by member, come before `member`, or stand for it if `through`.
pub(super) fn before_member<M: Members + ?Sized>(
    ids: &[u32],
    member: &[u8],
    through: bool,
    members: &M,
) -> usize {
    ids.partition_point(|&id| {
        let other = members.member(id);
        if through { other <= member } else { other < member }
    })
}

fn insert<T: Copy>(array: &mut [T], len: usize, at: usize, value: T) {
    array.copy_within(at..len, at + 1);
    array[at] = value;
}

impl Default for Leaf {
    fn default() -> Leaf {
        Leaf { scores: [0.0; LEAF], ids: [0; LEAF], len: 0, parent: NIL, previous: NIL, next: NIL }
    }
}

impl Default for Inner {
    /// One above leaves.
    fn default() -> Inner {
        Inner::new(1)
    }
}

impl Leaf {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len as usize]
    }

    #[inline]
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids[..self.len as usize]
    }

    #[inline]
    pub(super) fn ties(&self, score: f64) -> Range<usize> {
        ties(self.scores(), score)
    }

    #[inline]
    pub(super) fn lower<M: Members + ?Sized>(&self, key: (f64, &[u8]), members: &M) -> usize {
        lower(self.scores(), self.ids(), key, members)
    }

    #[inline]
    pub(super) fn insert(&mut self, at: usize, score: f64, id: u32) {
        let len = self.len();
        insert(&mut self.scores, len, at, score);
        insert(&mut self.ids, len, at, id);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        let len = self.len();
        self.scores.copy_within(range.end..len, range.start);
        self.ids.copy_within(range.end..len, range.start);
        self.len -= range.len() as u32;
    }

    #[inline]
    pub(super) fn set_score(&mut self, at: usize, score: f64) {
        self.scores[at] = score;
    }

    #[inline]
    pub(super) fn set_id(&mut self, at: usize, id: u32) {
        self.ids[at] = id;
    }

    /// Moves elements between this leaf and the next so that this one has `len`.
    pub(super) fn share(&mut self, next: &mut Leaf, len: usize) {
        let before = self.len();
        if len < before {
            let moved = before - len;
            let behind = next.len();
            next.scores.copy_within(..behind, moved);
            next.ids.copy_within(..behind, moved);
            next.scores[..moved].copy_from_slice(&self.scores[len..before]);
            next.ids[..moved].copy_from_slice(&self.ids[len..before]);
            next.len += moved as u32;
        } else {
            let moved = len - before;
            self.scores[before..len].copy_from_slice(&next.scores[..moved]);
            self.ids[before..len].copy_from_slice(&next.ids[..moved]);
            next.remove(0..moved);
        }
        self.len = len as u32;
    }

    /// What its parent is to know of it.
    #[inline]
    pub(super) fn as_child(&self, node: u32) -> Child {
        Child { node, score: self.scores[0], id: self.ids[0], count: self.len }
    }
}

impl Inner {
    pub(super) fn new(level: u32) -> Inner {
        Inner {
            scores: [0.0; INNER],
            ids: [0; INNER],
            children: [NIL; INNER],
            counts: [0; INNER],
            len: 0,
            parent: NIL,
            level,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(super) fn scores(&self) -> &[f64] {
        &self.scores[..self.len as usize]
    }

    #[inline]
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids[..self.len as usize]
    }

    #[inline]
    pub(super) fn children(&self) -> &[u32] {
        &self.children[..self.len as usize]
    }

    #[inline]
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts[..self.len as usize]
    }

    /// How many children begin before (score, member).
    #[inline]
    pub(super) fn lower<M: Members + ?Sized>(&self, key: (f64, &[u8]), members: &M) -> usize {
        lower(self.scores(), self.ids(), key, members)
    }

    #[inline]
    pub(super) fn ties(&self, score: f64) -> Range<usize> {
        ties(self.scores(), score)
    }

    /// The place of a child.
    ///
    /// # Panics
    ///
    /// If it is none.
    #[inline]
    pub(super) fn place_of(&self, child: u32) -> usize {
        self.children().iter().position(|&each| each == child).expect("a child of its parent")
    }

    /// Elements under the first `end` children.
    #[inline]
    pub(super) fn count_before(&self, end: usize) -> usize {
        self.counts[..end].iter().map(|&count| count as usize).sum()
    }

    #[inline]
    pub(super) fn add(&mut self, at: usize, count: u32) {
        self.counts[at] += count;
    }

    #[inline]
    pub(super) fn subtract(&mut self, at: usize, count: u32) {
        self.counts[at] -= count;
    }

    /// Which element a child begins with.
    #[inline]
    pub(super) fn set_first(&mut self, at: usize, score: f64, id: u32) {
        self.scores[at] = score;
        self.ids[at] = id;
    }

    pub(super) fn set_child(&mut self, at: usize, node: u32) {
        self.children[at] = node;
    }

    pub(super) fn set(&mut self, at: usize, child: Child) {
        self.set_first(at, child.score, child.id);
        self.children[at] = child.node;
        self.counts[at] = child.count;
    }

    pub(super) fn insert(&mut self, at: usize, child: Child) {
        let len = self.len();
        insert(&mut self.scores, len, at, child.score);
        insert(&mut self.ids, len, at, child.id);
        insert(&mut self.children, len, at, child.node);
        insert(&mut self.counts, len, at, child.count);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, range: Range<usize>) {
        let len = self.len();
        self.scores.copy_within(range.end..len, range.start);
        self.ids.copy_within(range.end..len, range.start);
        self.children.copy_within(range.end..len, range.start);
        self.counts.copy_within(range.end..len, range.start);
        self.len -= range.len() as u32;
    }

    /// Moves children between this node and the next so that this one has `len`. Who moved still has to learn of
    /// its new parent.
    pub(super) fn share(&mut self, next: &mut Inner, len: usize) {
        let before = self.len();
        if len < before {
            let moved = before - len;
            let behind = next.len();
            next.scores.copy_within(..behind, moved);
            next.ids.copy_within(..behind, moved);
            next.children.copy_within(..behind, moved);
            next.counts.copy_within(..behind, moved);
            next.scores[..moved].copy_from_slice(&self.scores[len..before]);
            next.ids[..moved].copy_from_slice(&self.ids[len..before]);
            next.children[..moved].copy_from_slice(&self.children[len..before]);
            next.counts[..moved].copy_from_slice(&self.counts[len..before]);
            next.len += moved as u32;
        } else {
            let moved = len - before;
            self.scores[before..len].copy_from_slice(&next.scores[..moved]);
            self.ids[before..len].copy_from_slice(&next.ids[..moved]);
            self.children[before..len].copy_from_slice(&next.children[..moved]);
            self.counts[before..len].copy_from_slice(&next.counts[..moved]);
            next.remove(0..moved);
        }
        self.len = len as u32;
    }

    /// What its parent is to know of it.
    pub(super) fn as_child(&self, node: u32) -> Child {
        let count = self.counts().iter().sum();
        Child { node, score: self.scores[0], id: self.ids[0], count }
    }
}
