//! Reading a listpack: by position, by index, from either end, and finding a text.

use super::element::{read_back_length, stored_bytes};
use super::{COUNT_UNKNOWN, Element, HEADER_BYTES, Needle};

/// A listpack that is trusted.
#[derive(Clone, Copy, Debug)]
pub struct Listpack<'a> {
    bytes: &'a [u8],
}

impl<'a> Listpack<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Listpack<'a> {
        Listpack { bytes }
    }

    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The number of elements. Costs a walk if there are more than 65534.
    #[inline]
    pub fn len(self) -> usize {
        match self.known_len() {
            Some(count) => count,
            None => self.iter().count(),
        }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.first() == self.end()
    }

    #[inline]
    fn known_len(self) -> Option<usize> {
        let count = u16::from_le_bytes([self.bytes[4], self.bytes[5]]);
        (count != COUNT_UNKNOWN).then_some(count.into())
    }

    /// The position of the first element; [`Listpack::end`] where there is none.
    #[inline]
    pub fn first(self) -> usize {
        HEADER_BYTES
    }

    /// The position behind the last element.
    #[inline]
    pub fn end(self) -> usize {
        self.bytes.len() - 1
    }

    /// The element at a position, which must not be the end.
    #[inline]
    pub fn at(self, position: usize) -> Element<'a> {
        Element::read(&self.bytes[position..])
    }

    /// The position behind the element at `position`, which must not be the end.
    #[inline]
    pub fn next(self, position: usize) -> usize {
        position + stored_bytes(&self.bytes[position..])
    }

    /// The position before `position`, which must not be the first.
    #[inline]
    pub fn previous(self, position: usize) -> usize {
        let (content, width) = read_back_length(&self.bytes[..position]);
        position - content - width
    }

    /// The position of the element with an index; a negative one counts from the end, where the last is -1. Walks from
    /// the nearer end.
    pub fn seek(self, index: i64) -> Option<usize> {
        let (from_end, mut steps) = match index {
            0.. => (false, index as u64),
            _ => (true, (index + 1).unsigned_abs()),
        };
        let mut backwards = from_end;
        if let Some(count) = self.known_len() {
            let count = count as u64;
            if steps >= count {
                return None;
            }
            if steps > count / 2 {
                backwards = !backwards;
                steps = count - 1 - steps;
            }
        }
        if backwards {
            let mut position = self.end();
            for _ in 0..=steps {
                if position == self.first() {
                    return None;
                }
                position = self.previous(position);
            }
            Some(position)
        } else {
            let mut position = self.first();
            for _ in 0..steps {
                if position == self.end() {
                    return None;
                }
                position = self.next(position);
            }
            (position != self.end()).then_some(position)
        }
    }

    /// The element with an index, as in [`Listpack::seek`].
    pub fn get(self, index: i64) -> Option<Element<'a>> {
        self.seek(index).map(|position| self.at(position))
    }

    /// The position of the first element that is `text`, of those at `from` and then each behind `skipped` others.
    /// So `find(first, field, 1)` looks at the fields of field and value pairs.
    #[inline]
    pub fn find(self, from: usize, text: &[u8], skipped: usize) -> Option<usize> {
        self.find_needle(from, &Needle::new(text), skipped)
    }

    /// The same for a text that is looked for in several listpacks.
    pub fn find_needle(self, from: usize, needle: &Needle, skipped: usize) -> Option<usize> {
        let end = self.end();
        let mut position = from;
        while position < end {
            if needle.is_at(&self.bytes[position..]) {
                return Some(position);
            }
            position = self.next(position);
            for _ in 0..skipped {
                if position >= end {
                    return None;
                }
                position = self.next(position);
            }
        }
        None
    }

    #[inline]
    pub fn iter(self) -> Iter<'a> {
        self.iter_from(self.first())
    }

    /// From the element at a position to the last.
    #[inline]
    pub fn iter_from(self, position: usize) -> Iter<'a> {
        Iter { listpack: self, front: position, back: self.end() }
    }

    /// The elements between two positions.
    #[inline]
    pub fn iter_between(self, from: usize, to: usize) -> Iter<'a> {
        Iter { listpack: self, front: from, back: to }
    }
}

impl<'a> IntoIterator for Listpack<'a> {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The elements from one position to another, from either end.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    listpack: Listpack<'a>,
    front: usize,
    back: usize,
}

impl Iter<'_> {
    /// The position of what `next` gives.
    #[inline]
    pub fn position(&self) -> usize {
        self.front
    }

    /// The position behind what `next_back` gives.
    #[inline]
    pub fn position_back(&self) -> usize {
        self.back
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (element, bytes) = Element::read_stored(&self.listpack.bytes[self.front..]);
        self.front += bytes;
        Some(element)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        self.back = self.listpack.previous(self.back);
        Some(self.listpack.at(self.back))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{from_texts, validate};
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (-300i64..300).prop_map(|integer| integer.to_string().into_bytes()),
            any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
            prop::collection::vec(b'0'..b'3', 0..4),
            (60usize..70).prop_map(|len| vec![b'x'; len]),
            (4090usize..4100).prop_map(|len| vec![b'x'; len]),
        ]
    }

    proptest! {
        #[test]
        fn a_listpack_is_a_sequence(texts in prop::collection::vec(text(), 0..30), other in text()) {
            let bytes = from_texts(texts.iter().map(Vec::as_slice));
            let listpack = Listpack::new(&bytes);
            let len = texts.len() as i64;
            prop_assert_eq!(listpack.len(), texts.len());
            prop_assert_eq!(listpack.is_empty(), texts.is_empty());
            let all: Vec<_> = listpack.iter().map(Element::to_vec).collect();
            prop_assert_eq!(&all, &texts);
            let mut reversed: Vec<_> = listpack.iter().rev().map(Element::to_vec).collect();
            reversed.reverse();
            prop_assert_eq!(&reversed, &texts);
            for index in -len - 2..len + 2 {
                let expected = if index < 0 { index + len } else { index };
                let expected = usize::try_from(expected).ok().and_then(|index| texts.get(index));
                let element = listpack.get(index).map(Element::to_vec);
                prop_assert_eq!(element.as_ref(), expected);
            }
            for (index, text) in texts.iter().chain([&other]).enumerate() {
                for skipped in 0..3 {
                    for from in [0, index.min(texts.len())] {
                        let start = listpack.seek(from as i64).unwrap_or(listpack.end());
                        let expected = (from..texts.len()).step_by(skipped + 1).find(|&at| texts[at] == *text);
                        let expected = expected.and_then(|index| listpack.seek(index as i64));
                        prop_assert_eq!(listpack.find(start, text, skipped), expected);
                    }
                }
            }
        }

        #[test]
        fn both_ends_of_an_iteration_meet(texts in prop::collection::vec(text(), 0..9), turns: u16) {
            let bytes = from_texts(texts.iter().map(Vec::as_slice));
            let (mut iter, mut model) = (Listpack::new(&bytes).iter(), texts.iter());
            for turn in 0..10 {
                let (element, text) = match turns >> turn & 1 {
                    0 => (iter.next(), model.next()),
                    _ => (iter.next_back(), model.next_back()),
                };
                let element = element.map(Element::to_vec);
                prop_assert_eq!(element.as_ref(), text);
            }
        }
    }

    #[test]
    fn elements_that_the_header_cannot_count_are_counted() {
        let texts: Vec<_> = (0..65_540).map(|number| number.to_string().into_bytes()).collect();
        let bytes = from_texts(texts.iter().map(Vec::as_slice));
        let listpack = Listpack::new(&bytes);
        assert_eq!(bytes[4..6], [0xff, 0xff]);
        assert_eq!(listpack.len(), 65_540);
        assert_eq!(listpack.get(65_539), Some(Element::Integer(65_539)));
        assert_eq!(listpack.get(-1), Some(Element::Integer(65_539)));
        assert_eq!(listpack.get(-65_540), Some(Element::Integer(0)));
        assert_eq!((listpack.get(65_540), listpack.get(-65_541)), (None, None));
        let bytes = from_texts(texts[..65_534].iter().map(Vec::as_slice));
        assert_eq!((Listpack::new(&bytes).len(), &bytes[4..6]), (65_534, &[0xfe, 0xff][..]));
    }

    /// A listpack of another hand may hold a number as a string, or wider than it need be.
    #[test]
    fn an_encoding_that_is_not_the_shortest_is_found() {
        let bytes = b"\x11\0\0\0\x02\0\x8278\x03\xf3\x07\0\0\0\x05\xff";
        assert_eq!(validate(bytes), Ok(2));
        let listpack = Listpack::new(bytes);
        assert_eq!(listpack.find(listpack.first(), b"78", 0), Some(6));
        assert_eq!(listpack.find(listpack.first(), b"7", 0), Some(10));
        assert_eq!(listpack.find(listpack.first(), b"8", 0), None);
    }
}
