//! One element: what it is, and how it is laid out.

use crate::number;

/// What stands in one place of a listpack: a string, or an integer in place of its decimal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    Bytes(&'a [u8]),
    Integer(i64),
}

impl<'a> Element<'a> {
    /// How `text` is stored: as an integer if it canonically spells one.
    #[inline]
    pub fn of(text: &'a [u8]) -> Element<'a> {
        match text {
            [b'0'..=b'9' | b'-', ..] if text.len() <= 20 => match number::parse_integer(text) {
                Some(integer) => Element::Integer(integer),
                None => Element::Bytes(text),
            },
            _ => Element::Bytes(text),
        }
    }

    /// The text, for an integer written into `digits`.
    #[inline]
    pub fn text<'t>(self, digits: &'t mut itoa::Buffer) -> &'t [u8]
    where
        'a: 't,
    {
        match self {
            Element::Bytes(bytes) => bytes,
            Element::Integer(integer) => digits.format(integer).as_bytes(),
        }
    }

    /// Calls `f` with the text.
    #[inline]
    pub fn with_bytes<T>(self, f: impl FnOnce(&[u8]) -> T) -> T {
        f(self.text(&mut itoa::Buffer::new()))
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }

    /// The integer that the text canonically spells.
    #[inline]
    pub fn integer(self) -> Option<i64> {
        match self {
            Element::Bytes(bytes) => number::parse_integer(bytes),
            Element::Integer(integer) => Some(integer),
        }
    }

    #[inline]
    fn integer_stored(self) -> Option<i64> {
        match self {
            Element::Bytes(_) => None,
            Element::Integer(integer) => Some(integer),
        }
    }

    /// Whether this is the element whose text is `text`.
    #[inline]
    pub fn is(self, text: &[u8]) -> bool {
        match self {
            Element::Bytes(bytes) => bytes == text,
            Element::Integer(integer) => number::parse_integer(text) == Some(integer),
        }
    }

    /// The length of the text, in bytes.
    pub fn text_len(self) -> usize {
        match self {
            Element::Bytes(bytes) => bytes.len(),
            Element::Integer(integer) => {
                let digits = integer.unsigned_abs().checked_ilog10().unwrap_or(0) as usize + 1;
                digits + usize::from(integer < 0)
            }
        }
    }

    /// The bytes that it takes in a listpack, all told.
    #[inline]
    pub fn stored_bytes(self) -> usize {
        let bytes = match self {
            Element::Bytes(bytes) => string_header_bytes(bytes.len()) + bytes.len(),
            Element::Integer(integer) => integer_bytes(integer),
        };
        bytes + back_length_bytes(bytes)
    }

    /// Lays the element out at the beginning of `out`. Gives the bytes that it took.
    #[inline]
    pub(super) fn write(self, out: &mut [u8]) -> usize {
        let bytes = match self {
            Element::Bytes(bytes) => {
                let header = write_string_header(bytes.len(), out);
                out[header..header + bytes.len()].copy_from_slice(bytes);
                header + bytes.len()
            }
            Element::Integer(integer) => write_integer(integer, out),
        };
        bytes + write_back_length(bytes, &mut out[bytes..])
    }

    /// The element at the beginning of `bytes`.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Element<'a> {
        Element::read_stored(bytes).0
    }

    /// The element at the beginning of `bytes`, and the bytes that it takes all told.
    #[inline]
    pub(super) fn read_stored(bytes: &'a [u8]) -> (Element<'a>, usize) {
        let first = bytes[0];
        match first {
            0..0x80 => (Element::Integer(first.into()), 2),
            0x80..0xc0 => {
                let len = usize::from(first & 0x3f);
                (Element::Bytes(&bytes[1..][..len]), len + 2)
            }
            0xe0..=0xf0 => {
                let header = if first == 0xf0 { 5 } else { 2 };
                let content = content_bytes(bytes);
                (Element::Bytes(&bytes[header..content]), content + back_length_bytes(content))
            }
            _ => (Element::Integer(read_integer(bytes)), STORED_BYTES[usize::from(first)].into()),
        }
    }
}

/// A text that many elements are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Needle<'n> {
    text: &'n [u8],
    /// What it canonically spells. No element that is an integer has to be turned into text.
    integer: Option<i64>,
}

impl<'n> Needle<'n> {
    #[inline]
    pub fn new(text: &'n [u8]) -> Needle<'n> {
        Needle { text, integer: Element::of(text).integer_stored() }
    }

    #[inline]
    pub fn is(&self, element: Element) -> bool {
        match element {
            Element::Bytes(bytes) => self.is_text(bytes),
            Element::Integer(integer) => self.integer == Some(integer),
        }
    }

    /// Whether it is the element at the beginning of `bytes`.
    #[inline]
    pub(super) fn is_at(&self, bytes: &[u8]) -> bool {
        match bytes[0] {
            first @ 0x80..0xc0 => {
                let len = usize::from(first & 0x3f);
                len == self.text.len() && self.is_text(&bytes[1..][..len])
            }
            0..0x80 | 0xc0..0xe0 | 0xf1.. if self.integer.is_none() => false,
            _ => self.is(Element::read(bytes)),
        }
    }

    /// Texts in one collection often begin alike and seldom end alike.
    #[inline]
    fn is_text(&self, bytes: &[u8]) -> bool {
        bytes.len() == self.text.len() && bytes.last() == self.text.last() && bytes == self.text
    }
}

/// The bytes that an element takes all told, by its first byte; 0 where that does not say it.
const STORED_BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut first = 0;
    while first < 256 {
        bytes[first] = match first {
            0..0x80 => 2,
            0x80..0xc0 => (first - 0x80) as u8 + 2,
            0xc0..0xe0 => 3,
            0xe0..=0xf0 => 0,
            0xf1 => 4,
            0xf2 => 5,
            0xf3 => 6,
            0xf4 => 10,
            _ => 2,
        };
        first += 1;
    }
    bytes
};

/// The bytes that the element at the beginning of `bytes` takes all told.
#[inline]
pub(super) fn stored_bytes(bytes: &[u8]) -> usize {
    match STORED_BYTES[usize::from(bytes[0])] {
        0 => {
            let content = content_bytes(bytes);
            content + back_length_bytes(content)
        }
        stored => stored.into(),
    }
}

/// The bytes of the encoding and the content of the element at the beginning of `bytes`.
#[inline]
pub(super) fn content_bytes(bytes: &[u8]) -> usize {
    let first = bytes[0];
    match first {
        0..0x80 => 1,
        0x80..0xc0 => 1 + usize::from(first & 0x3f),
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 2 + (usize::from(first & 0xf) << 8 | usize::from(bytes[1])),
        0xf0 => 5 + u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize,
        0xf1 => 3,
        0xf2 => 4,
        0xf3 => 5,
        0xf4 => 9,
        // No encoding; validation refuses it.
        _ => 1,
    }
}

#[inline]
fn string_header_bytes(len: usize) -> usize {
    match len {
        0..64 => 1,
        64..4096 => 2,
        _ => 5,
    }
}

#[inline]
fn write_string_header(len: usize, out: &mut [u8]) -> usize {
    match len {
        0..64 => {
            out[0] = 0x80 | len as u8;
            1
        }
        64..4096 => {
            out[..2].copy_from_slice(&[0xe0 | (len >> 8) as u8, len as u8]);
            2
        }
        _ => {
            out[0] = 0xf0;
            out[1..5].copy_from_slice(&(len as u32).to_le_bytes());
            5
        }
    }
}

#[inline]
fn integer_bytes(integer: i64) -> usize {
    match integer {
        0..=127 => 1,
        -4096..4096 => 2,
        -0x8000..0x8000 => 3,
        -0x80_0000..0x80_0000 => 4,
        -0x8000_0000..0x8000_0000 => 5,
        _ => 9,
    }
}

#[inline]
fn write_integer(integer: i64, out: &mut [u8]) -> usize {
    let bytes = integer_bytes(integer);
    match bytes {
        1 => out[0] = integer as u8,
        2 => out[..2].copy_from_slice(&[0xc0 | (integer >> 8 & 0x1f) as u8, integer as u8]),
        _ => {
            out[0] = if bytes == 9 { 0xf4 } else { 0xf1 + (bytes as u8 - 3) };
            out[1..bytes].copy_from_slice(&integer.to_le_bytes()[..bytes - 1]);
        }
    }
    bytes
}

#[inline]
fn read_integer(bytes: &[u8]) -> i64 {
    // Widths that vary would be guessed wrong, so all of them are read as eight bytes wherever there are so many.
    if let [first @ 0xf1..=0xf4, rest @ ..] = bytes
        && let Some(eight) = rest.first_chunk()
    {
        let shift = [48, 40, 32, 0][usize::from(first - 0xf1)];
        return i64::from_le_bytes(*eight) << shift >> shift;
    }
    match bytes[0] {
        // Thirteen bits: their sign is moved to the top and back again.
        first @ 0xc0..0xe0 => (i64::from(first & 0x1f) << 8 | i64::from(bytes[1])) << 51 >> 51,
        0xf1 => i16::from_le_bytes([bytes[1], bytes[2]]).into(),
        0xf2 => (i32::from_le_bytes([0, bytes[1], bytes[2], bytes[3]]) >> 8).into(),
        0xf3 => i32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]).into(),
        0xf4 => i64::from_le_bytes(bytes[1..9].try_into().expect("eight bytes")),
        _ => 0,
    }
}

/// The bytes in which the length of an element stands behind it. (For a length of all ones, Redis takes one byte more
/// than is needed.)
#[inline]
pub(super) fn back_length_bytes(bytes: usize) -> usize {
    match bytes {
        0..128 => 1,
        128..0x3fff => 2,
        0x3fff..0x1f_ffff => 3,
        0x1f_ffff..0x0fff_ffff => 4,
        _ => 5,
    }
}

/// Seven bits a byte, the highest first, all but the first with the top bit set.
#[inline]
pub(super) fn write_back_length(bytes: usize, out: &mut [u8]) -> usize {
    if bytes < 128 {
        out[0] = bytes as u8;
        return 1;
    }
    let width = back_length_bytes(bytes);
    let mut rest = bytes;
    for byte in out[1..width].iter_mut().rev() {
        *byte = 0x80 | (rest & 0x7f) as u8;
        rest >>= 7;
    }
    out[0] = rest as u8;
    width
}

/// The length that stands at the end of `bytes`, and the bytes in which it stands.
#[inline]
pub(super) fn read_back_length(bytes: &[u8]) -> (usize, usize) {
    let mut at = bytes.len() - 1;
    if bytes[at] < 128 {
        return (bytes[at].into(), 1);
    }
    let (mut length, mut width, mut shift) = (0, 1, 0);
    loop {
        length |= usize::from(bytes[at] & 0x7f) << shift;
        if bytes[at] < 128 || width == 5 {
            return (length, width);
        }
        (at, width, shift) = (at - 1, width + 1, shift + 7);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stored(element: Element) -> Vec<u8> {
        let mut bytes = vec![0; element.stored_bytes()];
        assert_eq!(element.write(&mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn elements_are_laid_out_as_in_redis() {
        let integers: [(i64, &[u8]); 14] = [
            (0, b"\x00\x01"),
            (127, b"\x7f\x01"),
            (128, b"\xc0\x80\x02"),
            (-1, b"\xdf\xff\x02"),
            (4095, b"\xcf\xff\x02"),
            (-4096, b"\xd0\x00\x02"),
            (4096, b"\xf1\x00\x10\x03"),
            (-4097, b"\xf1\xff\xef\x03"),
            (32768, b"\xf2\x00\x80\x00\x04"),
            (-32769, b"\xf2\xff\x7f\xff\x04"),
            (1 << 23, b"\xf3\x00\x00\x80\x00\x05"),
            (i32::MIN.into(), b"\xf3\x00\x00\x00\x80\x05"),
            (1 << 31, b"\xf4\x00\x00\x00\x80\x00\x00\x00\x00\x09"),
            (i64::MIN, b"\xf4\x00\x00\x00\x00\x00\x00\x00\x80\x09"),
        ];
        for (integer, bytes) in integers {
            assert_eq!(stored(Element::Integer(integer)), bytes, "{integer}");
        }
        let strings: [(usize, &[u8], &[u8]); 7] = [
            (0, b"\x80", b"\x01"),
            (63, b"\xbf", b"\x40"),
            (64, b"\xe0\x40", b"\x42"),
            (126, b"\xe0\x7e", b"\x01\x80"),
            (4095, b"\xef\xff", b"\x20\x81"),
            (4096, b"\xf0\x00\x10\x00\x00", b"\x20\x85"),
            (0x3fff - 5, b"\xf0\xfa\x3f\x00\x00", b"\x00\xff\xff"),
        ];
        for (len, head, back) in strings {
            let text = vec![b'x'; len];
            assert_eq!(stored(Element::Bytes(&text)), [head, &text, back].concat(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            integer in any::<i64>(), shift in 0u32..64, len in 0usize..20_000, around in 0i64..3,
        ) {
            let text = vec![b'x'; len];
            let integer = (integer >> shift).saturating_add(around);
            for element in [Element::Integer(integer), Element::Bytes(&text)] {
                let bytes = stored(element);
                let content = content_bytes(&bytes);
                prop_assert_eq!(Element::read(&bytes), element);
                prop_assert_eq!(read_back_length(&bytes), (content, bytes.len() - content));
                prop_assert_eq!(element.text_len(), element.to_vec().len());
                let text = element.to_vec();
                prop_assert!(element.is(&text));
                prop_assert_eq!(Element::of(&text), element);
            }
        }
    }
}
