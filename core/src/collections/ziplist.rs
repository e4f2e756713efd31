//! Ziplist: how Redis before 7.0 packed small collections. RDBs of that age hold it.
//!
//! ```text
//! total bytes (u32) | offset of the last element (u32) | number of elements (u16; 65535: must be counted)
//! element ... | 0xff
//! element: bytes of the element before it (1 byte, or 0xfe and a u32) | encoding and length | content
//! ```
//!
//! Numbers are little-endian but for the lengths of strings of 64 bytes and more.
//!
//! Read only, and only from outside: a [`Ziplist`] is one that was checked.
//!
//! Source: the comment at the head of `src/ziplist.c` of Redis 6.2.

use super::listpack::Element;

const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;

/// Said in the place of a number of elements that does not fit there.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The bytes are no ziplist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A ziplist that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Ziplist<'a> {
    elements: &'a [u8],
    len: usize,
}

impl<'a> Ziplist<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Ziplist<'a>, Invalid> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(Invalid)?;
        let (&end, elements) = rest.split_last().ok_or(Invalid)?;
        let word =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        if end != END || word(0) as usize != bytes.len() {
            return Err(Invalid);
        }
        let mut left = elements;
        let (mut len, mut last) = (0, 0);
        while !left.is_empty() {
            let entry = Entry::parse(left).ok_or(Invalid)?;
            if entry.previous != last {
                return Err(Invalid);
            }
            (len, last) = (len + 1, left.len() - entry.rest.len());
            left = entry.rest;
        }
        let count = u16::from_le_bytes([header[8], header[9]]);
        let is_counted = count == COUNT_UNKNOWN || usize::from(count) == len;
        let is_last = word(4) as usize == HEADER_BYTES + elements.len() - last;
        (is_counted && is_last).then_some(Ziplist { elements, len }).ok_or(Invalid)
    }

    /// The number of elements.
    pub fn len(self) -> usize {
        self.len
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Element<'a>> + Clone + use<'a> {
        let mut left = self.elements;
        std::iter::from_fn(move || {
            let entry = Entry::parse(left)?;
            left = entry.rest;
            Some(entry.element)
        })
    }
}

struct Entry<'a> {
    /// The bytes that the element before is said to take.
    previous: usize,
    element: Element<'a>,
    /// What stands behind the element.
    rest: &'a [u8],
}

impl<'a> Entry<'a> {
    /// The element at the beginning of `bytes`, if there is one.
    fn parse(bytes: &'a [u8]) -> Option<Entry<'a>> {
        let (previous, bytes) = match bytes.split_first()? {
            (254, bytes) => {
                let (length, bytes) = bytes.split_first_chunk()?;
                (u32::from_le_bytes(*length) as usize, bytes)
            }
            (255, _) => return None,
            (&length, bytes) => (length.into(), bytes),
        };
        let (&encoding, bytes) = bytes.split_first()?;
        let (element, rest) = match encoding {
            0..0x40 => string(encoding.into(), bytes)?,
            0x40..0x80 => {
                let (&low, bytes) = bytes.split_first()?;
                string(usize::from(encoding & 0x3f) << 8 | usize::from(low), bytes)?
            }
            0x80 => {
                let (length, bytes) = bytes.split_first_chunk()?;
                string(u32::from_be_bytes(*length) as usize, bytes)?
            }
            0xc0 => integer(bytes, |number| i16::from_le_bytes(number).into())?,
            0xd0 => integer(bytes, |number| i32::from_le_bytes(number).into())?,
            0xe0 => integer(bytes, i64::from_le_bytes)?,
            0xf0 => integer(bytes, |[low, middle, high]| {
                (i32::from_le_bytes([0, low, middle, high]) >> 8).into()
            })?,
            0xfe => integer(bytes, |number| i8::from_le_bytes(number).into())?,
            0xf1..=0xfd => (Element::Integer(i64::from(encoding) - 0xf1), bytes),
            _ => return None,
        };
        Some(Entry { previous, element, rest })
    }
}

fn string(length: usize, bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((Element::Bytes(text), rest))
}

fn integer<const WIDTH: usize>(
    bytes: &[u8],
    read: impl FnOnce([u8; WIDTH]) -> i64,
) -> Option<(Element<'_>, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((Element::Integer(read(*number)), rest))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ziplist with these texts, laid out as Redis 6.2 lays it out.
    pub(crate) fn ziplist(texts: &[&[u8]]) -> Vec<u8> {
        let (mut elements, mut last) = (Vec::new(), 0);
        for text in texts {
            let start = elements.len();
            match u8::try_from(last) {
                Ok(length) if length < 254 => elements.push(length),
                _ => {
                    elements.push(254);
                    elements.extend_from_slice(&(last as u32).to_le_bytes());
                }
            }
            match Element::of(text) {
                Element::Integer(integer @ 0..=12) => elements.push(0xf1 + integer as u8),
                Element::Integer(integer) => {
                    let bytes = integer.to_le_bytes();
                    let (encoding, width) = match integer {
                        -0x80..0x80 => (0xfe, 1),
                        -0x8000..0x8000 => (0xc0, 2),
                        -0x80_0000..0x80_0000 => (0xf0, 3),
                        -0x8000_0000..0x8000_0000 => (0xd0, 4),
                        _ => (0xe0, 8),
                    };
                    elements.push(encoding);
                    elements.extend_from_slice(&bytes[..width]);
                }
                Element::Bytes(text) => {
                    match text.len() {
                        length @ 0..0x40 => elements.push(length as u8),
                        length @ 0x40..0x4000 => {
                            elements.extend_from_slice(&(length as u16 | 0x4000).to_be_bytes());
                        }
                        length => {
                            elements.push(0x80);
                            elements.extend_from_slice(&(length as u32).to_be_bytes());
                        }
                    }
                    elements.extend_from_slice(text);
                }
            }
            last = elements.len() - start;
        }
        let total = (HEADER_BYTES + elements.len() + 1) as u32;
        let tail = (HEADER_BYTES + elements.len() - last) as u32;
        let count = u16::try_from(texts.len()).unwrap_or(COUNT_UNKNOWN);
        [&total.to_le_bytes()[..], &tail.to_le_bytes(), &count.to_le_bytes(), &elements, &[END]]
            .concat()
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            (0u32..64, any::<i64>())
                .prop_map(|(shift, value)| (value >> shift).to_string().into_bytes()),
            prop::collection::vec(any::<u8>(), 0..4),
            prop_oneof![62usize..66, 245usize..260, 16_380usize..16_390]
                .prop_map(|len| vec![b'x'; len]),
        ]
    }

    proptest! {
        #[test]
        fn a_ziplist_is_read(texts in prop::collection::vec(text(), 0..20)) {
            let texts: Vec<_> = texts.iter().map(Vec::as_slice).collect();
            let bytes = ziplist(&texts);
            let ziplist = Ziplist::parse(&bytes).expect("a ziplist");
            prop_assert_eq!(ziplist.len(), texts.len());
            prop_assert_eq!(ziplist.is_empty(), texts.is_empty());
            let read: Vec<_> = ziplist.iter().map(Element::to_vec).collect();
            prop_assert_eq!(read, texts);
            for cut in 0..bytes.len().min(40) {
                prop_assert!(Ziplist::parse(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(
            texts in prop::collection::vec(prop::collection::vec(b'0'..b'4', 0..80), 0..5),
            at: prop::sample::Index, byte: u8, bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let texts: Vec<_> = texts.iter().map(Vec::as_slice).collect();
            let mut changed = ziplist(&texts);
            let at = at.index(changed.len());
            changed[at] = byte;
            for bytes in [changed, bytes] {
                if let Ok(ziplist) = Ziplist::parse(&bytes) {
                    prop_assert_eq!(ziplist.iter().count(), ziplist.len());
                }
            }
        }
    }

    #[test]
    fn the_layout_is_that_of_redis() {
        // The example in the description: two integers, then one with a string.
        let bytes = b"\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf3\x02\xf6\xff";
        assert_eq!(ziplist(&[b"2", b"5"]), bytes);
        let read: Vec<_> = Ziplist::parse(bytes).expect("a ziplist").iter().collect();
        assert_eq!(read, [Element::Integer(2), Element::Integer(5)]);
        let bytes = b"\x1c\0\0\0\x0e\0\0\0\x03\0\0\xf3\x02\xf6\x02\x0bHello World\xff";
        let read: Vec<_> = Ziplist::parse(bytes).expect("a ziplist").iter().collect();
        assert_eq!(read[2], Element::Bytes(b"Hello World"));
    }

    #[test]
    fn what_is_no_ziplist_is_refused() {
        assert!(Ziplist::parse(b"\x0b\0\0\0\x0a\0\0\0\0\0\xff").is_ok());
        let wrong: [&[u8]; 9] = [
            b"\x0c\0\0\0\x0a\0\0\0\0\0\xff",
            b"\x0b\0\0\0\x0b\0\0\0\0\0\xff",
            b"\x0b\0\0\0\x0a\0\0\0\x01\0\xff",
            b"\x0b\0\0\0\x0a\0\0\0\0\0\xfe",
            // The length of the element before is wrong, then the offset of the last one.
            b"\x0f\0\0\0\x0c\0\0\0\x02\0\0\xf3\x03\xf6\xff",
            b"\x0f\0\0\0\x0d\0\0\0\x02\0\0\xf3\x02\xf6\xff",
            // No encoding; an integer and a string that are cut.
            b"\x0d\0\0\0\x0a\0\0\0\x01\0\0\x81\xff",
            b"\x0d\0\0\0\x0a\0\0\0\x01\0\0\xc0\xff",
            b"\x0e\0\0\0\x0a\0\0\0\x01\0\0\x02x\xff",
        ];
        for bytes in wrong {
            assert_eq!(Ziplist::parse(bytes).err(), Some(Invalid), "{bytes:?}");
        }
    }
}
