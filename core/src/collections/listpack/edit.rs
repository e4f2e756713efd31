//! Changing a listpack in place.

use super::{COUNT_UNKNOWN, Element, HEADER_BYTES, Listpack, Needle};
use crate::collections::buffer::Buffer;

/// A listpack that can be changed, wherever it lies.
///
/// Each edit moves what stands behind it, once. Whoever lets a listpack grow keeps it below
/// [`BYTES_MAX`](super::BYTES_MAX).
#[derive(Debug)]
pub struct ListpackMut<'b, B> {
    buffer: &'b mut B,
}

impl<'b, B: Buffer> ListpackMut<'b, B> {
    #[inline]
    pub fn new(buffer: &'b mut B) -> ListpackMut<'b, B> {
        ListpackMut { buffer }
    }

    #[inline]
    pub fn view(&self) -> Listpack<'_> {
        Listpack::new(self.buffer.bytes())
    }

    /// Inserts before the element at a position, or at the end. Gives the position behind the new element.
    #[inline]
    pub fn insert(&mut self, position: usize, element: Element) -> usize {
        self.exchange(position..position, 0, &[element])
    }

    #[inline]
    pub fn push_back(&mut self, element: Element) {
        self.insert(self.view().end(), element);
    }

    #[inline]
    pub fn push_front(&mut self, element: Element) {
        self.insert(HEADER_BYTES, element);
    }

    /// Puts an element in the place of the one at a position, which must not be the end. Gives the position behind it.
    #[inline]
    pub fn replace(&mut self, position: usize, element: Element) -> usize {
        let next = self.view().next(position);
        self.exchange(position..next, 1, &[element])
    }

    /// Removes the element at a position, which must not be the end. The next one moves to that position.
    #[inline]
    pub fn remove(&mut self, position: usize) {
        let next = self.view().next(position);
        self.exchange(position..next, 1, &[]);
    }

    /// Removes up to `count` elements from a position on. Gives how many there were.
    pub fn remove_many(&mut self, position: usize, count: usize) -> usize {
        let view = self.view();
        let (mut to, mut removed) = (position, 0);
        while removed < count && to < view.end() {
            to = view.next(to);
            removed += 1;
        }
        self.exchange(position..to, removed, &[]);
        removed
    }

    /// Removes what is `needle`: of the elements that are, `kept` stay at the front, then up to `count` go. Gives how
    /// many went. Each other element moves once at most.
    pub fn remove_matching(&mut self, needle: &Needle, kept: usize, count: usize) -> usize {
        let view = self.view();
        let mut found = view.find_needle(view.first(), needle, 0);
        for _ in 0..kept {
            found = found.and_then(|position| view.find_needle(view.next(position), needle, 0));
        }
        let (Some(first), 1..) = (found, count) else { return 0 };
        // What stays and was looked at ends at `to`; what was not looked at begins at `from`.
        let (mut to, mut from, mut removed) = (first, view.next(first), 1);
        while removed < count {
            let view = self.view();
            let Some(next) = view.find_needle(from, needle, 0) else { break };
            let behind = view.next(next);
            self.buffer.bytes_mut().copy_within(from..next, to);
            (to, from, removed) = (to + (next - from), behind, removed + 1);
        }
        self.exchange(to..from, removed, &[]);
        removed
    }

    /// Appends `count` elements that are laid out as in another listpack.
    pub fn append_raw(&mut self, elements: &[u8], count: usize) {
        let end = self.view().end();
        self.buffer.splice(end, 0, elements.len());
        let bytes = self.buffer.bytes_mut();
        bytes[end..end + elements.len()].copy_from_slice(elements);
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        self.change_count(0, count);
    }

    /// Replaces the `removed` elements between two positions by others, in one move. Gives the position behind those.
    #[inline]
    pub fn exchange(
        &mut self,
        positions: std::ops::Range<usize>,
        removed: usize,
        elements: &[Element],
    ) -> usize {
        let inserted: usize = elements.iter().map(|element| element.stored_bytes()).sum();
        self.buffer.splice(positions.start, positions.len(), inserted);
        let bytes = self.buffer.bytes_mut();
        let mut position = positions.start;
        for element in elements {
            position += element.write(&mut bytes[position..]);
        }
        let total = bytes.len() as u32;
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        if removed != elements.len() {
            self.change_count(removed, elements.len());
        }
        position
    }

    /// A number that the header cannot say stays unknown, as in Redis, until elements are counted anew: which is never,
    /// since that would cost a walk for each of a few removals.
    #[inline]
    fn change_count(&mut self, removed: usize, inserted: usize) {
        let bytes = self.buffer.bytes_mut();
        let count = u16::from_le_bytes([bytes[4], bytes[5]]);
        if count != COUNT_UNKNOWN {
            let count = usize::from(count) + inserted - removed;
            let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
            bytes[4..6].copy_from_slice(&count.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{from_texts, new_empty, validate};
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Edit {
        Insert(usize, Vec<u8>),
        PushFront(Vec<u8>),
        PushBack(Vec<u8>),
        Replace(usize, Vec<u8>),
        Remove(usize),
        RemoveMany(usize, usize),
        Exchange(usize, usize, Vec<Vec<u8>>),
        RemoveMatching(Vec<u8>, usize, usize),
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (0u8..3).prop_map(|digit| vec![b'0' + digit]),
            (0u32..64, any::<i64>())
                .prop_map(|(shift, value)| (value >> shift).to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..4),
            prop_oneof![62usize..66, 120usize..130, 4094usize..4098, 16_375usize..16_390]
                .prop_map(|len| vec![b'x'; len]),
        ]
    }

    fn edit() -> impl Strategy<Value = Edit> {
        let at = 0usize..12;
        prop_oneof![
            (at.clone(), text()).prop_map(|(at, text)| Edit::Insert(at, text)),
            text().prop_map(Edit::PushFront),
            text().prop_map(Edit::PushBack),
            (at.clone(), text()).prop_map(|(at, text)| Edit::Replace(at, text)),
            at.clone().prop_map(Edit::Remove),
            (at.clone(), 0usize..4).prop_map(|(at, count)| Edit::RemoveMany(at, count)),
            (at, 0usize..3, prop::collection::vec(text(), 0..3))
                .prop_map(|(at, removed, texts)| Edit::Exchange(at, removed, texts)),
            (text(), 0usize..3, 0usize..4)
                .prop_map(|(text, kept, count)| Edit::RemoveMatching(text, kept, count)),
        ]
    }

    fn apply(edit: Edit, bytes: &mut Vec<u8>, model: &mut Vec<Vec<u8>>) {
        let mut listpack = ListpackMut::new(bytes);
        let seek = |view: Listpack, at: usize| view.seek(at as i64).unwrap_or(view.end());
        match edit {
            Edit::Insert(at, text) => {
                let at = at.min(model.len());
                let behind = listpack.insert(seek(listpack.view(), at), Element::of(&text));
                model.insert(at, text);
                assert_eq!(behind, seek(listpack.view(), at + 1));
            }
            Edit::PushFront(text) => {
                listpack.push_front(Element::of(&text));
                model.insert(0, text);
            }
            Edit::PushBack(text) => {
                listpack.push_back(Element::of(&text));
                model.push(text);
            }
            Edit::Replace(at, text) if at < model.len() => {
                let behind = listpack.replace(seek(listpack.view(), at), Element::of(&text));
                model[at] = text;
                assert_eq!(behind, seek(listpack.view(), at + 1));
            }
            Edit::Remove(at) if at < model.len() => {
                listpack.remove(seek(listpack.view(), at));
                model.remove(at);
            }
            Edit::RemoveMany(at, count) => {
                let at = at.min(model.len());
                let removed = listpack.remove_many(seek(listpack.view(), at), count);
                assert_eq!(removed, model.drain(at..(at + count).min(model.len())).count());
            }
            Edit::Exchange(at, removed, texts) => {
                let at = at.min(model.len());
                let removed = removed.min(model.len() - at);
                let from = seek(listpack.view(), at);
                let to = seek(listpack.view(), at + removed);
                let elements: Vec<_> = texts.iter().map(|text| Element::of(text)).collect();
                let behind = listpack.exchange(from..to, removed, &elements);
                let inserted = texts.len();
                model.splice(at..at + removed, texts);
                assert_eq!(behind, seek(listpack.view(), at + inserted));
            }
            Edit::RemoveMatching(text, kept, count) => {
                let removed = listpack.remove_matching(&Needle::new(&text), kept, count);
                let (mut seen, before) = (0, model.len());
                model.retain(|other| {
                    seen += usize::from(*other == text);
                    *other != text || seen <= kept || seen > kept + count
                });
                assert_eq!(removed, before - model.len());
            }
            Edit::Replace(..) | Edit::Remove(_) => {}
        }
    }

    proptest! {
        #[test]
        fn edits_are_those_of_a_sequence(edits in prop::collection::vec(edit(), 0..40)) {
            let (mut bytes, mut model) = (new_empty().to_vec(), Vec::new());
            for edit in edits {
                apply(edit, &mut bytes, &mut model);
                prop_assert_eq!(validate(&bytes), Ok(model.len()));
                // The same bytes, whatever the way to them.
                prop_assert_eq!(&bytes, &from_texts(model.iter().map(Vec::as_slice)));
            }
        }
    }

    #[test]
    fn a_count_that_does_not_fit_stays_unknown() {
        let mut bytes = from_texts(std::iter::repeat_n(&b"1"[..], 65_534));
        let mut listpack = ListpackMut::new(&mut bytes);
        assert_eq!(listpack.view().len(), 65_534);
        listpack.push_back(Element::Integer(2));
        assert_eq!(listpack.view().len(), 65_535);
        assert_eq!(listpack.remove_many(HEADER_BYTES, 65_000), 65_000);
        assert_eq!(listpack.view().len(), 535);
        assert_eq!(validate(&bytes), Ok(535));
    }
}
