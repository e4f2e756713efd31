//! Walks along the leaves.

use super::{Element, NIL, Ordered, Place};

/// Elements in ascending order.
#[derive(Clone)]
pub struct Forward<'a> {
    tree: &'a Ordered,
    leaf: u32,
    at: usize,
}

/// Elements in descending order.
#[derive(Clone)]
pub struct Backward<'a> {
    tree: &'a Ordered,
    leaf: u32,
    /// One behind the next element.
    end: usize,
}

impl<'a> Forward<'a> {
    pub(super) fn new(tree: &'a Ordered, place: Option<Place>) -> Self {
        let place = place.unwrap_or(Place { leaf: NIL, at: 0 });
        Forward { tree, leaf: place.leaf, at: place.at }
    }
}

impl<'a> Backward<'a> {
    pub(super) fn new(tree: &'a Ordered, place: Option<Place>) -> Self {
        let place = place.unwrap_or(Place { leaf: NIL, at: 0 });
        Backward { tree, leaf: place.leaf, end: place.at + 1 }
    }
}

impl Iterator for Forward<'_> {
    type Item = Element;

    #[inline]
    fn next(&mut self) -> Option<Element> {
        if self.leaf == NIL {
            return None;
        }
        let leaf = &self.tree.leaves[self.leaf];
        let element = Element { score: leaf.scores()[self.at], id: leaf.ids()[self.at] };
        self.at += 1;
        if self.at == leaf.len() {
            (self.leaf, self.at) = (leaf.next, 0);
        }
        Some(element)
    }
}

impl Iterator for Backward<'_> {
    type Item = Element;

    #[inline]
    fn next(&mut self) -> Option<Element> {
        if self.leaf == NIL {
            return None;
        }
        let leaf = &self.tree.leaves[self.leaf];
        let at = self.end - 1;
        let element = Element { score: leaf.scores()[at], id: leaf.ids()[at] };
        self.end = at;
        if at == 0 {
            self.leaf = leaf.previous;
            if self.leaf != NIL {
                self.end = self.tree.leaves[self.leaf].len();
            }
        }
        Some(element)
    }
}
