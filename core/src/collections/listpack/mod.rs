//! Listpack: a sequence of strings and integers in one blob, which is how Redis packs all small collections.
//!
//! The layout is Redis's, byte for byte, so that a blob goes into an RDB and out of it as it is:
//!
//! ```text
//! total bytes (u32) | number of elements (u16; 65535: must be counted) | element ... | 0xff
//! element: encoding and length (1 to 5 bytes) | content | length of the two before, 1 to 5 bytes, readable backwards
//! ```
//!
//! An element that canonically spells an `i64` is stored as an integer of 1 to 9 bytes. All numbers are
//! little-endian.
//!
//! A *position* is the offset of an element in the blob; the place behind the last element is the position of the
//! end byte ([`Listpack::end`]). An edit makes positions behind it stale.
//!
//! Views and edits trust the blob: what comes from outside goes through [`validate`] first. (A blob that lies makes
//! them panic or read nonsense within it, and nothing worse.)
//!
//! Source: "Listpack specification" by Salvatore Sanfilippo (github.com/antirez/listpack); `src/listpack.c` of Redis
//! 7.2 for the choice between encodings.

mod edit;
mod element;
mod validate;
mod view;

pub use edit::ListpackMut;
pub use element::{Element, Needle};
pub use validate::{Invalid, validate};
pub use view::{Iter, Listpack};

/// Total bytes and number of elements.
const HEADER_BYTES: usize = 6;

const END: u8 = 0xff;

/// Said in the place of a number of elements that does not fit there.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The largest blob that Redis makes, in bytes.
pub const BYTES_MAX: usize = 1 << 30;

/// The bytes of a listpack without elements.
pub const EMPTY_BYTES: usize = HEADER_BYTES + 1;

/// A listpack without elements.
pub const fn new_empty() -> [u8; EMPTY_BYTES] {
    [EMPTY_BYTES as u8, 0, 0, 0, 0, 0, END]
}

/// The listpack of these texts.
pub fn from_texts<'t>(texts: impl IntoIterator<Item = &'t [u8]>) -> Vec<u8> {
    let mut bytes = new_empty().to_vec();
    for text in texts {
        ListpackMut::new(&mut bytes).push_back(Element::of(text));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listpack_has_the_bytes_that_redis_gives_it() {
        // The blob in what redis-server 7.0 answers to DUMP after RPUSH with the same texts.
        let texts: [&[u8]; 6] = [b"a", b"5", b"-70000", b"200", b"hello", b"123456789012"];
        assert_eq!(
            from_texts(texts),
            b"%\0\0\0\x06\0\x81a\x02\x05\x01\xf2\x90\xee\xfe\x04\xc0\xc8\x02\x85hello\x06\xf4\x14\x1a\x99\xbe\x1c\0\0\0\t\xff"
        );
        assert_eq!(from_texts([]), new_empty());
    }
}
