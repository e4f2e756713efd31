//! A node of a list: some elements in one listpack, or one that is too large for that.

use super::Limit;
use crate::collections::buffer::Buffer;
use crate::collections::cow::COUNTS_BYTES;
use crate::collections::listpack::{self, Element, Listpack, ListpackMut, Needle};
use std::sync::Arc;

/// What new room is a multiple of.
const ROOM_BYTES: usize = 64;

/// Room that a node may keep however little is in it.
const ROOM_BYTES_KEPT: usize = 256;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Packed(Packed),
    /// Shared by clones: it can be of any size.
    Plain(Arc<[u8]>),
}

const _: () = assert!(size_of::<Node>() == 32);

impl Node {
    /// A node with one element. `bytes_hint` is what it may grow to soon.
    pub fn new(element: Element, limit: Limit, bytes_hint: usize) -> Node {
        let bytes = listpack::EMPTY_BYTES + element.stored_bytes();
        match element {
            Element::Bytes(text) if bytes > limit.bytes_max() => Node::Plain(text.into()),
            _ => {
                let mut packed = Packed::with_room(bytes.max(bytes_hint));
                packed.buffer.extend_from_slice(&listpack::new_empty());
                packed.edit(|listpack| listpack.push_back(element));
                Node::Packed(packed)
            }
        }
    }

    pub fn from_listpack(bytes: &[u8]) -> Node {
        let mut packed = Packed::with_room(bytes.len());
        packed.buffer.extend_from_slice(bytes);
        packed.edit(|_| ());
        Node::Packed(packed)
    }

    /// A node of which only the removal is left.
    pub fn empty() -> Node {
        let mut packed = Packed::with_room(listpack::EMPTY_BYTES);
        packed.buffer.extend_from_slice(&listpack::new_empty());
        Node::Packed(packed)
    }

    /// What a caller knows not to be a plain node, since that admits nothing.
    #[inline]
    pub fn packed_mut(&mut self) -> &mut Packed {
        match self {
            Node::Packed(packed) => packed,
            Node::Plain(_) => unreachable!("a plain node has one element and keeps it"),
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Node::Packed(packed) => packed.count as usize,
            Node::Plain(_) => 1,
        }
    }

    /// What it has allocated, in bytes.
    #[inline]
    pub fn room(&self) -> usize {
        match self {
            Node::Packed(packed) => packed.buffer.capacity(),
            Node::Plain(text) => COUNTS_BYTES + text.len(),
        }
    }

    /// The bytes of its elements.
    pub fn bytes(&self) -> usize {
        match self {
            Node::Packed(packed) => packed.bytes().len(),
            Node::Plain(text) => text.len(),
        }
    }

    /// How many of its elements are `needle`.
    pub fn count(&self, needle: &Needle) -> usize {
        match self {
            Node::Packed(packed) => {
                packed.view().iter().filter(|&element| needle.is(element)).count()
            }
            Node::Plain(text) => usize::from(needle.is(Element::Bytes(text))),
        }
    }

    /// Gives back room that was for more elements, if it is much.
    pub fn trim_room(&mut self) {
        if let Node::Packed(packed) = self {
            let len = packed.bytes().len();
            if packed.buffer.capacity() - len > ROOM_BYTES + len / 8 {
                packed.move_to(len);
            }
        }
    }

    /// Whether one more element would leave it within the limit.
    #[inline]
    pub fn admits(&self, element: Element, limit: Limit) -> bool {
        match self {
            Node::Packed(packed) => {
                limit.admits(packed.bytes().len() + element.stored_bytes(), self.len() + 1)
            }
            Node::Plain(_) => false,
        }
    }

    /// Whether another's elements would leave it within the limit.
    pub fn admits_node(&self, other: &Node, limit: Limit) -> bool {
        match (self, other) {
            (Node::Packed(one), Node::Packed(other)) => {
                let bytes = one.bytes().len() + other.bytes().len() - listpack::EMPTY_BYTES;
                limit.admits(bytes, (one.count + other.count) as usize)
            }
            _ => false,
        }
    }

    /// The element with an index, which must be there.
    pub fn get(&self, index: usize) -> Element<'_> {
        match self {
            Node::Packed(packed) => packed.view().at(packed.seek(index)),
            Node::Plain(text) => Element::Bytes(text),
        }
    }

    #[inline]
    pub fn first(&self) -> Element<'_> {
        match self {
            Node::Packed(packed) => packed.view().at(packed.view().first()),
            Node::Plain(text) => Element::Bytes(text),
        }
    }

    #[inline]
    pub fn last(&self) -> Element<'_> {
        match self {
            Node::Packed(packed) => {
                let view = packed.view();
                view.at(view.previous(view.end()))
            }
            Node::Plain(text) => Element::Bytes(text),
        }
    }
}

/// Elements in one listpack, of at most some 64 KiB.
///
/// It lies anywhere in its buffer, with room before it and behind: an element that comes or goes near the front moves
/// what stands before it, which is the header of the listpack, and not all that follows.
#[derive(Debug)]
pub(super) struct Packed {
    /// The listpack is what stands from `start` on.
    buffer: Vec<u8>,
    start: u32,
    /// The elements, known without a look at the buffer, which is far away.
    count: u32,
}

impl Packed {
    fn with_room(bytes: usize) -> Packed {
        let room = bytes.next_multiple_of(ROOM_BYTES);
        Packed { buffer: Vec::with_capacity(room), start: 0, count: 0 }
    }

    #[inline]
    pub fn view(&self) -> Listpack<'_> {
        Listpack::new(self.bytes())
    }

    /// The position of the element with an index; the end behind the last.
    pub fn seek(&self, index: usize) -> usize {
        self.view().seek(index as i64).unwrap_or(self.view().end())
    }

    /// All edits go through here, for the count.
    #[inline]
    pub fn edit<T>(&mut self, f: impl FnOnce(&mut ListpackMut<Packed>) -> T) -> T {
        let result = f(&mut ListpackMut::new(self));
        self.count = self.view().len() as u32;
        result
    }

    #[inline]
    pub fn push_back(&mut self, element: Element, limit: Limit) {
        self.make_room(element.stored_bytes(), limit);
        self.edit(|listpack| listpack.push_back(element));
    }

    #[inline]
    pub fn push_front(&mut self, element: Element, limit: Limit) {
        self.make_room(element.stored_bytes(), limit);
        self.edit(|listpack| listpack.push_front(element));
    }

    pub fn insert(&mut self, index: usize, element: Element, limit: Limit) {
        self.make_room(element.stored_bytes(), limit);
        let position = self.seek(index);
        self.edit(|listpack| listpack.insert(position, element));
    }

    pub fn set(&mut self, index: usize, element: Element, limit: Limit) {
        let position = self.seek(index);
        let old = self.view().at(position).stored_bytes();
        self.make_room(element.stored_bytes().saturating_sub(old), limit);
        self.edit(|listpack| listpack.replace(position, element));
    }

    /// The node must not be empty, here and below.
    #[inline]
    pub fn pop_front(&mut self) {
        self.edit(|listpack| listpack.remove(listpack.view().first()));
    }

    #[inline]
    pub fn pop_back(&mut self) {
        self.edit(|listpack| {
            let view = listpack.view();
            listpack.remove(view.previous(view.end()));
        });
    }

    pub fn remove_many(&mut self, index: usize, count: usize) {
        let position = self.seek(index);
        self.edit(|listpack| listpack.remove_many(position, count));
    }

    /// Makes room for some more bytes, and some beyond those but not beyond the limit.
    #[inline]
    fn make_room(&mut self, bytes: usize, limit: Limit) {
        let needed = self.bytes().len() + bytes;
        if needed > self.buffer.capacity() {
            self.move_to(needed.max((needed + needed / 2).min(limit.bytes_max())));
        }
    }

    #[cold]
    fn move_to(&mut self, room: usize) {
        let mut moved = Packed::with_room(room);
        moved.buffer.extend_from_slice(self.bytes());
        moved.count = self.count;
        *self = moved;
    }

    /// Moves the listpack within its buffer, so that at least `before` or `behind` bytes of room are there and the rest
    /// is on either side alike.
    #[cold]
    fn spread_room(&mut self, before: usize, behind: usize) {
        let len = self.bytes().len();
        self.buffer.reserve_exact((len + before + behind).saturating_sub(self.buffer.len()));
        let rest = self.buffer.capacity() - len - before - behind;
        let (from, to) = (self.start as usize, before + rest / 2);
        if self.buffer.len() < to + len {
            self.buffer.resize(to + len, 0);
        }
        self.buffer.copy_within(from..from + len, to);
        self.buffer.truncate(to + len);
        self.start = to as u32;
    }

    /// Removes all elements from the one with an index on. Gives a node with those.
    pub fn split_off(&mut self, index: usize) -> Packed {
        let position = self.seek(index);
        let count = self.count as usize - index;
        let bytes = self.bytes();
        let moved = &bytes[position..];
        let mut other = Packed::with_room(listpack::EMPTY_BYTES + moved.len());
        other.buffer.extend_from_slice(&listpack::new_empty());
        other.append_raw(&moved[..moved.len() - 1], count);
        self.edit(|listpack| listpack.remove_many(position, count));
        other
    }

    pub fn append(&mut self, other: &Packed, limit: Limit) {
        let view = other.view();
        let elements = &view.bytes()[view.first()..view.end()];
        self.make_room(elements.len(), limit);
        self.append_raw(elements, other.count as usize);
    }

    fn append_raw(&mut self, elements: &[u8], count: usize) {
        self.edit(|listpack| listpack.append_raw(elements, count));
    }
}

impl Clone for Packed {
    /// With the same room.
    fn clone(&self) -> Packed {
        let mut buffer = Vec::with_capacity(self.buffer.capacity());
        buffer.extend_from_slice(&self.buffer);
        Packed { buffer, ..*self }
    }
}

impl Buffer for Packed {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start as usize..]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start as usize..]
    }

    #[inline]
    fn splice(&mut self, at: usize, removed: usize, inserted: usize) {
        let before = at;
        let behind = self.bytes().len() - at - removed;
        let is_at_front = before < behind;
        if inserted > removed {
            let more = inserted - removed;
            if is_at_front {
                if (self.start as usize) < more {
                    self.spread_room(more, 0);
                }
                let start = self.start as usize;
                self.buffer.copy_within(start..start + before, start - more);
                self.start -= more as u32;
            } else {
                if self.buffer.capacity() - self.buffer.len() < more {
                    self.spread_room(0, more);
                }
                let start = self.start as usize;
                Buffer::splice(&mut self.buffer, start + at, removed, inserted);
            }
        } else {
            let less = removed - inserted;
            let start = self.start as usize;
            if is_at_front {
                self.buffer.copy_within(start..start + before, start + less);
                self.start += less as u32;
            } else {
                Buffer::splice(&mut self.buffer, start + at, removed, inserted);
            }
            let (len, room) = (self.bytes().len(), self.buffer.capacity());
            if len < room / 4 && room > ROOM_BYTES_KEPT {
                self.move_to(len * 2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_node_is_edited_like_a_vector(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8, 0usize..9, 0usize..9), 0..200),
        ) {
            let mut vector = vec![0; 7];
            let mut packed = Packed::with_room(0);
            packed.buffer.extend_from_slice(&vector);
            for (number, (at, end, removed, inserted)) in edits.into_iter().enumerate() {
                let at = match end {
                    0..3 => 0,
                    3..6 => vector.len(),
                    _ => at.index(vector.len() + 1),
                };
                let removed = removed.min(vector.len() - at);
                // More comes than goes, and then the other way round.
                let (removed, inserted) =
                    if number < 100 { (removed / 2, inserted) } else { (removed, inserted / 2) };
                Buffer::splice(&mut vector, at, removed, inserted);
                packed.splice(at, removed, inserted);
                for bytes in [vector.bytes_mut(), packed.bytes_mut()] {
                    bytes[at..at + inserted].fill(number as u8);
                }
                prop_assert_eq!(packed.bytes(), &vector[..]);
            }
        }
    }

    /// The cost of a push at the front is not that of moving the node.
    #[test]
    fn a_push_at_either_end_moves_a_node_rarely() {
        for is_front in [false, true] {
            let limit = Limit::Bytes(8192);
            let Node::Packed(mut node) = Node::new(Element::Bytes(b"first"), limit, 0) else {
                panic!("a small element is packed");
            };
            let mut moves = 0;
            while limit.admits(node.bytes().len() + 12, 1) {
                node.make_room(12, limit);
                // The end that nothing is pushed to.
                let far = |node: &Packed| node.bytes().as_ptr_range();
                let before = far(&node);
                let element = Element::Bytes(b"0123456789");
                node.edit(|listpack| match is_front {
                    false => listpack.push_back(element),
                    true => listpack.push_front(element),
                });
                let after = far(&node);
                moves += usize::from(match is_front {
                    false => before.start != after.start,
                    true => before.end != after.end,
                });
            }
            assert!(moves < 80, "{moves} moves for some 600 pushes");
        }
    }
}
