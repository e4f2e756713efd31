//! Going through a list, from any index in either direction.

use super::List;
use super::node::Node;
use crate::collections::listpack::{self, Element};

/// Elements of a list, one after the other or one before the other.
#[derive(Clone, Debug)]
pub struct Iter<'l> {
    list: &'l List,
    chunk: usize,
    node: usize,
    /// What is left of the node.
    elements: Elements<'l>,
    is_backwards: bool,
    /// Elements that are left.
    left: usize,
}

#[derive(Clone, Debug)]
enum Elements<'l> {
    Packed(listpack::Iter<'l>),
    Plain(Option<&'l [u8]>),
}

impl<'l> Iter<'l> {
    pub(super) fn forwards(list: &'l List, index: usize) -> Iter<'l> {
        Iter::at(list, index, list.len().saturating_sub(index), false)
    }

    pub(super) fn backwards(list: &'l List, index: usize) -> Iter<'l> {
        Iter::at(list, index, if index < list.len() { index + 1 } else { 0 }, true)
    }

    fn at(list: &'l List, index: usize, left: usize, is_backwards: bool) -> Iter<'l> {
        let (mut chunk, mut node, mut elements) = (0, 0, Elements::Plain(None));
        if let Some(place) = list.seek(index) {
            (chunk, node) = (place.chunk, place.node);
            elements = match &list.chunks[chunk].nodes[node] {
                Node::Packed(packed) => {
                    let (view, at) = (packed.view(), packed.seek(place.index));
                    Elements::Packed(match is_backwards {
                        false => view.iter_from(at),
                        true => view.iter_between(view.first(), view.next(at)),
                    })
                }
                Node::Plain(text) => Elements::Plain(Some(text)),
            };
        }
        Iter { list, chunk, node, elements, is_backwards, left }
    }

    /// Steps to the next node, which must be there.
    #[inline(never)]
    fn step(&mut self) {
        if self.is_backwards {
            if self.node == 0 {
                self.chunk -= 1;
                self.node = self.list.chunks[self.chunk].nodes.len();
            }
            self.node -= 1;
        } else {
            self.node += 1;
            if self.node == self.list.chunks[self.chunk].nodes.len() {
                (self.chunk, self.node) = (self.chunk + 1, 0);
            }
        }
        self.elements = match &self.list.chunks[self.chunk].nodes[self.node] {
            Node::Packed(packed) => Elements::Packed(packed.view().iter()),
            Node::Plain(text) => Elements::Plain(Some(text)),
        };
    }
}

impl<'l> Iterator for Iter<'l> {
    type Item = Element<'l>;

    #[inline]
    fn next(&mut self) -> Option<Element<'l>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        loop {
            let element = match &mut self.elements {
                Elements::Packed(elements) if self.is_backwards => elements.next_back(),
                Elements::Packed(elements) => elements.next(),
                Elements::Plain(text) => text.take().map(Element::Bytes),
            };
            if element.is_some() {
                return element;
            }
            self.step();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}
