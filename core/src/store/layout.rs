//! The layout of an entry: which byte of its allocation is what. Only lengths and offsets; the memory is
//! [`super::entry`]'s.
//!
//! All little endian and packed:
//!
//! | bytes | what |
//! | --- | --- |
//! | 5 | header: access clock 21 bits, kind 4, expires 1, snapshot phase 1, key length 6, value length 7 |
//! | 0 or 4 | key length, if the header's field says 63 |
//! | 0 or 4 | value length, if the header's field says 127 |
//! | 0 or 8 | expiry, milliseconds since the Unix epoch |
//! | … | key |
//! | … | value, or for a large string or collection the pointer to it |
//!
//! So an 11-byte key with a 32-byte value is 48 bytes. The size of the allocation is not stored: it always is the
//! size class ([`size_class`]) of what the header describes, and a value is overwritten in place when the class
//! stays the same.

use super::value::{Packing, Type};
use std::alloc::Layout;

/// Bits of the access clock: seconds for LRU, or 13 bits of minutes and an 8-bit counter for LFU. The store keeps
/// it as it is given.
const ACCESS_BITS: u32 = 21;

/// The largest access clock an entry can hold; larger ones are cut to their low bits.
pub const ACCESS_MAX: u32 = (1 << ACCESS_BITS) - 1;

pub(super) const KIND_SHIFT: u32 = 21;
const KIND_MASK: u64 = 15;
pub(super) const EXPIRES_BIT: u64 = 1 << 25;
/// The side of the last cut that the entry is on; see [`super::capture`].
pub(super) const PHASE_BIT: u64 = 1 << 26;
pub(super) const KEY_LENGTH_SHIFT: u32 = 27;
pub(super) const KEY_LENGTH_FOLLOWS: usize = 63;
pub(super) const VALUE_LENGTH_SHIFT: u32 = 33;
pub(super) const VALUE_LENGTH_FOLLOWS: usize = 127;
pub(super) const HEADER_BYTES: usize = 5;
pub(super) const HEADER_MASK: u64 = (1 << 40) - 1;

/// Entries larger than this, key included, keep their value in an allocation of its own, unless it is so short
/// that nothing would be gained.
const INLINE_BYTES_MAX: usize = 1024;
const SHORT_VALUE_BYTES: usize = 64;

/// Alignment of every entry, so that three bits of a pointer to it are free.
const ENTRY_ALIGN: usize = 8;

/// What the value's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A string of bytes in the entry.
    Inline = 0,
    /// An integer in the entry, in 1, 2, 4 or 8 bytes.
    Integer = 1,
    /// A string in an allocation of its own, counted so that it can be sent while it is overwritten.
    Large = 2,
    /// As `Inline`, but built by APPEND or its like: reports the encoding `raw` whatever its length.
    InlineRaw = 4,
    // Packed collections, which always lie in the entry.
    PackedList = 5,
    PackedIntset = 6,
    PackedSet = 7,
    PackedHash = 8,
    PackedSortedSet = 9,
    // Large collections: the value is the pointer to a box.
    List = 10,
    Set = 11,
    Hash = 12,
    SortedSet = 13,
    Stream = 14,
}

impl Kind {
    #[inline]
    pub(super) fn from_bits(bits: u64) -> Kind {
        match bits & KIND_MASK {
            0 => Kind::Inline,
            1 => Kind::Integer,
            2 => Kind::Large,
            4 => Kind::InlineRaw,
            5 => Kind::PackedList,
            6 => Kind::PackedIntset,
            7 => Kind::PackedSet,
            8 => Kind::PackedHash,
            9 => Kind::PackedSortedSet,
            10 => Kind::List,
            11 => Kind::Set,
            12 => Kind::Hash,
            13 => Kind::SortedSet,
            14 => Kind::Stream,
            _ => unreachable!("entries are written by the store only"),
        }
    }

    #[inline]
    pub(super) fn packed(packing: Packing) -> Kind {
        match packing {
            Packing::List => Kind::PackedList,
            Packing::Intset => Kind::PackedIntset,
            Packing::Set => Kind::PackedSet,
            Packing::Hash => Kind::PackedHash,
            Packing::SortedSet => Kind::PackedSortedSet,
        }
    }

    /// Whether the value is the pointer to a large collection.
    #[inline]
    pub(super) fn is_boxed(self) -> bool {
        self as u8 >= Kind::List as u8
    }

    /// Whether the value is a pointer, whatever to.
    #[inline]
    pub(super) fn is_outside(self) -> bool {
        self == Kind::Large || self.is_boxed()
    }

    #[inline]
    pub(super) fn value_type(self) -> Type {
        match self {
            Kind::Inline | Kind::Integer | Kind::Large | Kind::InlineRaw => Type::String,
            Kind::PackedList | Kind::List => Type::List,
            Kind::PackedIntset | Kind::PackedSet | Kind::Set => Type::Set,
            Kind::PackedHash | Kind::Hash => Type::Hash,
            Kind::PackedSortedSet | Kind::SortedSet => Type::SortedSet,
            Kind::Stream => Type::Stream,
        }
    }
}

/// The size that an allocator with four classes per doubling (mimalloc, jemalloc) really uses for `bytes`.
#[inline]
pub(super) const fn size_class(bytes: usize) -> usize {
    if bytes <= 8 {
        8
    } else if bytes <= 128 {
        (bytes + 15) & !15
    } else {
        let step = 1usize << (usize::BITS - 1 - (bytes - 1).leading_zeros() - 2);
        (bytes + step - 1) & !(step - 1)
    }
}

/// The lengths that decide an entry's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) expires: bool,
    pub(super) phase: bool,
    pub(super) key_bytes: usize,
    /// Bytes of the value in the entry: for a large one, of its pointer.
    pub(super) value_bytes: usize,
}

impl Shape {
    #[inline]
    pub(super) fn expiry_offset(&self) -> usize {
        HEADER_BYTES
            + if self.key_bytes >= KEY_LENGTH_FOLLOWS { 4 } else { 0 }
            + if self.value_bytes >= VALUE_LENGTH_FOLLOWS { 4 } else { 0 }
    }

    #[inline]
    pub(super) fn key_offset(&self) -> usize {
        self.expiry_offset() + if self.expires { 8 } else { 0 }
    }

    #[inline]
    pub(super) fn value_offset(&self) -> usize {
        self.key_offset() + self.key_bytes
    }

    #[inline]
    pub(super) fn allocated_bytes(&self) -> usize {
        size_class(self.value_offset() + self.value_bytes)
    }

    #[inline]
    pub(super) fn layout(&self) -> Layout {
        Layout::from_size_align(self.allocated_bytes(), ENTRY_ALIGN)
            .expect("keys have a bounded length")
    }

    #[inline]
    pub(super) fn header(&self, access: u32) -> u64 {
        u64::from(access & ACCESS_MAX)
            | (self.kind as u64) << KIND_SHIFT
            | if self.expires { EXPIRES_BIT } else { 0 }
            | if self.phase { PHASE_BIT } else { 0 }
            | (self.key_bytes.min(KEY_LENGTH_FOLLOWS) as u64) << KEY_LENGTH_SHIFT
            | (self.value_bytes.min(VALUE_LENGTH_FOLLOWS) as u64) << VALUE_LENGTH_SHIFT
    }
}

/// What an entry occupies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) shape: Shape,
    /// Bytes of a value outside of the entry.
    pub(super) outside_bytes: usize,
}

impl Footprint {
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.shape.allocated_bytes() + self.outside_bytes
    }

    #[inline]
    pub(super) fn expires(&self) -> bool {
        self.shape.expires
    }
}

#[inline]
pub(super) fn fits_inline(key_bytes: usize, value_bytes: usize) -> bool {
    key_bytes + value_bytes <= INLINE_BYTES_MAX || value_bytes <= SHORT_VALUE_BYTES
}

/// The least of 1, 2, 4 and 8 bytes that hold the number.
#[inline]
pub(super) fn integer_bytes(number: i64) -> usize {
    if i64::from(number as i8) == number {
        1
    } else if i64::from(number as i16) == number {
        2
    } else if i64::from(number as i32) == number {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_four_per_doubling() {
        let classes: Vec<usize> = (1..=2049).map(size_class).collect();
        let mut distinct = classes.clone();
        distinct.dedup();
        assert!(classes.iter().zip(1..).all(|(&class, bytes)| class >= bytes));
        assert_eq!(
            distinct,
            [
                8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640,
                768, 896, 1024, 1280, 1536, 1792, 2048, 2560
            ]
        );
    }
}
