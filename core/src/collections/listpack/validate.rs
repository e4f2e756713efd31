//! Whether bytes from outside are a listpack.

use super::element::{back_length_bytes, content_bytes, write_back_length};
use super::{COUNT_UNKNOWN, EMPTY_BYTES, END, HEADER_BYTES};

/// The bytes are no listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// Checks bytes from outside, after which views and edits may trust them. Gives the number of elements.
pub fn validate(bytes: &[u8]) -> Result<usize, Invalid> {
    if bytes.len() < EMPTY_BYTES || u32::try_from(bytes.len()).is_err() {
        return Err(Invalid);
    }
    let (header, rest) = bytes.split_at(HEADER_BYTES);
    let (total, stated) = header.split_at(4);
    if total != (bytes.len() as u32).to_le_bytes() || rest[rest.len() - 1] != END {
        return Err(Invalid);
    }
    let mut elements = &rest[..rest.len() - 1];
    let mut count = 0;
    while !elements.is_empty() {
        elements = &elements[element_bytes(elements)?..];
        count += 1;
    }
    let stated = u16::from_le_bytes([stated[0], stated[1]]);
    if stated != COUNT_UNKNOWN && usize::from(stated) != count {
        return Err(Invalid);
    }
    Ok(count)
}

/// The bytes of the first of some elements, of which there are some bytes at least.
fn element_bytes(elements: &[u8]) -> Result<usize, Invalid> {
    let header = match elements[0] {
        0xf0 => 5,
        0xe0..0xf0 => 2,
        0xf5.. => return Err(Invalid),
        _ => 1,
    };
    if elements.len() < header {
        return Err(Invalid);
    }
    let content = content_bytes(elements);
    let total = content + back_length_bytes(content);
    if elements.len() < total {
        return Err(Invalid);
    }
    let mut back = [0; 5];
    let width = write_back_length(content, &mut back);
    (elements[content..total] == back[..width]).then_some(total).ok_or(Invalid)
}

#[cfg(test)]
mod tests {
    use super::super::{Element, Listpack, ListpackMut, from_texts, new_empty};
    use super::*;
    use proptest::prelude::*;

    /// Everything that reads, and some edits: none may panic.
    fn exercise(bytes: &[u8]) {
        let Ok(count) = validate(bytes) else { return };
        let listpack = Listpack::new(bytes);
        assert_eq!(listpack.len(), count);
        let texts: Vec<_> = listpack.iter().map(Element::to_vec).collect();
        let mut reversed: Vec<_> = listpack.iter().rev().map(Element::to_vec).collect();
        reversed.reverse();
        assert_eq!((texts.len(), &reversed), (count, &texts));
        for (index, text) in texts.iter().enumerate() {
            assert!(listpack.get(index as i64).expect("an element").is(text));
            assert!(listpack.find(listpack.first(), text, 0).is_some());
        }
        let mut edited = bytes.to_vec();
        let mut listpack = ListpackMut::new(&mut edited);
        listpack.push_front(Element::Integer(1));
        listpack.push_back(Element::Bytes(b"x"));
        listpack.remove(HEADER_BYTES);
        assert_eq!(validate(&edited), Ok(count + 1));
    }

    #[test]
    fn what_is_no_listpack_is_refused() {
        assert_eq!(validate(&new_empty()), Ok(0));
        let good = from_texts([&b"abc"[..], b"5", b"-70000", &[b'x'; 5000]]);
        assert_eq!(validate(&good), Ok(4));
        for cut in 0..good.len() {
            assert_eq!(validate(&good[..cut]), Err(Invalid));
        }
        let wrong: [&[u8]; 8] = [
            b"\x08\x00\x00\x00\x00\x00\xff",
            b"\x07\x00\x00\x00\x01\x00\xff",
            b"\x07\x00\x00\x00\x00\x00\xfe",
            b"\x08\x00\x00\x00\x01\x00\x01\xff",
            b"\x09\x00\x00\x00\x01\x00\x01\x02\xff",
            b"\x09\x00\x00\x00\x01\x00\xf5\x01\xff",
            b"\x09\x00\x00\x00\x01\x00\xff\x01\xff",
            b"\x0d\x00\x00\x00\x01\x00\xf0\xff\xff\xff\xff\x05\xff",
        ];
        for bytes in wrong {
            assert_eq!(validate(bytes), Err(Invalid), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn bytes_that_pass_can_be_trusted(
            elements in prop::collection::vec(any::<u8>(), 0..20), count in 0u8..5,
        ) {
            let total = (elements.len() + EMPTY_BYTES) as u8;
            exercise(&[&[total, 0, 0, 0, count, 0], &elements[..], &[END]].concat());
            exercise(&elements);
        }

        #[test]
        fn a_listpack_with_a_changed_byte_can_be_trusted_if_it_passes(
            texts in prop::collection::vec(prop::collection::vec(b'0'..b'4', 0..80), 0..6),
            at: prop::sample::Index, byte: u8,
        ) {
            let mut bytes = from_texts(texts.iter().map(Vec::as_slice));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            exercise(&bytes);
        }
    }
}
