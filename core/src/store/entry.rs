//! Entries: a key with its value, expiry and access clock, in one allocation.
//!
//! This file is the only one that reads and writes through entry pointers. What lies where is [`super::layout`]'s;
//! nobody changes an entry but through `&mut`, except for its access clock and snapshot phase.

use super::garbage;
use super::key::same_bytes;
use super::layout::{
    ACCESS_MAX, EXPIRES_BIT, Footprint, HEADER_BYTES, HEADER_MASK, KEY_LENGTH_FOLLOWS,
    KEY_LENGTH_SHIFT, KIND_SHIFT, Kind, PHASE_BIT, Shape, VALUE_LENGTH_FOLLOWS, VALUE_LENGTH_SHIFT,
    fits_inline, integer_bytes,
};
use super::value::{
    Collection, EMBSTR_BYTES_MAX, Encoding, LargeValue, Packing, StringValue, Type, Value,
};
use crate::collections::{Buffer, Hash, List, Set, SortedSet, Stream};
use crate::number::parse_integer;
use bytes::Bytes;
use std::alloc::{alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

type Large = Vec<u8>;

/// Bytes of a large value beside its contents: two counts, pointer, length, capacity.
const LARGE_OVERHEAD_BYTES: usize = 40;

/// Bytes of the value of an entry whose value lies outside.
const POINTER_BYTES: usize = size_of::<*const ()>();

#[inline]
fn boxed_kind(large: &LargeValue) -> Kind {
    match large {
        LargeValue::List(_) => Kind::List,
        LargeValue::Set(_) => Kind::Set,
        LargeValue::Hash(_) => Kind::Hash,
        LargeValue::SortedSet(_) => Kind::SortedSet,
        LargeValue::Stream(_) => Kind::Stream,
    }
}

/// A value about to be put into an entry.
enum Content<'a> {
    Inline(&'a [u8]),
    Integer(i64),
    Large(Arc<Large>),
    Packed(Packing, &'a [u8]),
    Boxed(LargeValue),
}

impl Content<'_> {
    /// A string of bytes for a key of `key_bytes`, in the entry or outside.
    #[inline]
    fn string(key_bytes: usize, bytes: &[u8]) -> Content<'_> {
        if fits_inline(key_bytes, bytes.len()) {
            Content::Inline(bytes)
        } else {
            Content::Large(Arc::new(bytes.to_vec()))
        }
    }

    #[inline]
    fn shape(&self, key_bytes: usize, expires: bool, phase: bool) -> Shape {
        let (kind, value_bytes) = match self {
            Content::Inline(bytes) => (Kind::Inline, bytes.len()),
            Content::Integer(number) => (Kind::Integer, integer_bytes(*number)),
            Content::Large(_) => (Kind::Large, POINTER_BYTES),
            Content::Packed(packing, packed) => (Kind::packed(*packing), packed.len()),
            Content::Boxed(large) => (boxed_kind(large), POINTER_BYTES),
        };
        Shape { kind, expires, phase, key_bytes, value_bytes }
    }
}

/// An entry in a table, for as long as the table is not changed.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    start: NonNull<u8>,
    owner: PhantomData<&'a OwnedEntry>,
}

impl<'a> EntryRef<'a> {
    /// # Safety
    /// `start` came from [`OwnedEntry::into_raw`] and nobody changes or frees the entry during `'a`, except for its
    /// access clock and phase.
    #[inline]
    pub(super) unsafe fn from_raw(start: NonNull<u8>) -> EntryRef<'a> {
        EntryRef { start, owner: PhantomData }
    }

    #[inline]
    fn header(&self) -> u64 {
        // SAFETY: every entry is aligned to 8 and at least 8 bytes long, all of them initialised by `allocate`.
        unsafe { self.start.cast::<u64>().read() }
    }

    #[inline]
    fn shape(&self) -> Shape {
        let header = self.header();
        let mut key_bytes = (header >> KEY_LENGTH_SHIFT) as usize & KEY_LENGTH_FOLLOWS;
        let mut value_bytes = (header >> VALUE_LENGTH_SHIFT) as usize & VALUE_LENGTH_FOLLOWS;
        let mut offset = HEADER_BYTES;
        if key_bytes == KEY_LENGTH_FOLLOWS {
            // SAFETY: a header with this field is followed by the length (`write_front`).
            key_bytes = unsafe { self.start.add(offset).cast::<u32>().read_unaligned() } as usize;
            offset += 4;
        }
        if value_bytes == VALUE_LENGTH_FOLLOWS {
            // SAFETY: as above.
            value_bytes = unsafe { self.start.add(offset).cast::<u32>().read_unaligned() } as usize;
        }
        Shape {
            kind: Kind::from_bits(header >> KIND_SHIFT),
            expires: header & EXPIRES_BIT != 0,
            phase: header & PHASE_BIT != 0,
            key_bytes,
            value_bytes,
        }
    }

    #[inline]
    pub(super) fn has_key(&self, key: &[u8]) -> bool {
        same_bytes(self.key(), key)
    }

    #[inline]
    pub fn key(&self) -> &'a [u8] {
        let shape = self.shape();
        // SAFETY: the shape is that of the allocation, and the caller of `from_raw` promised that the entry stays
        // as it is during `'a`; a changing access clock lies before the key.
        unsafe {
            std::slice::from_raw_parts(self.start.add(shape.key_offset()).as_ptr(), shape.key_bytes)
        }
    }

    #[inline]
    pub fn value(&self) -> Value<'a> {
        let shape = self.shape();
        match shape.kind {
            Kind::Inline | Kind::InlineRaw | Kind::Integer | Kind::Large => {
                Value::String(self.string_of(shape))
            }
            Kind::PackedList => Value::Packed(Packing::List, self.inline_value(shape)),
            Kind::PackedIntset => Value::Packed(Packing::Intset, self.inline_value(shape)),
            Kind::PackedSet => Value::Packed(Packing::Set, self.inline_value(shape)),
            Kind::PackedHash => Value::Packed(Packing::Hash, self.inline_value(shape)),
            Kind::PackedSortedSet => Value::Packed(Packing::SortedSet, self.inline_value(shape)),
            // SAFETY: the kind says what the pointer leads to; a large collection lives as long as its entry, which
            // owns it, and is changed through `&mut` of the entry only.
            Kind::List => Value::List(unsafe { &*self.pointer::<List>(shape) }),
            // SAFETY: as above.
            Kind::Set => Value::Set(unsafe { &*self.pointer::<Set>(shape) }),
            // SAFETY: as above.
            Kind::Hash => Value::Hash(unsafe { &*self.pointer::<Hash>(shape) }),
            // SAFETY: as above.
            Kind::SortedSet => Value::SortedSet(unsafe { &*self.pointer::<SortedSet>(shape) }),
            // SAFETY: as above.
            Kind::Stream => Value::Stream(unsafe { &*self.pointer::<Stream>(shape) }),
        }
    }

    /// The value if it is a string.
    #[inline]
    pub fn string(&self) -> Option<StringValue<'a>> {
        let shape = self.shape();
        (shape.kind.value_type() == Type::String).then(|| self.string_of(shape))
    }

    #[inline]
    fn string_of(&self, shape: Shape) -> StringValue<'a> {
        match shape.kind {
            Kind::Integer => StringValue::Integer(read_integer(self.inline_value(shape))),
            // SAFETY: a large value lives as long as the entry that counts it.
            Kind::Large => StringValue::Bytes(unsafe { (*self.large(shape)).as_slice() }),
            _ => StringValue::Bytes(self.inline_value(shape)),
        }
    }

    /// Another hold on a value that lies outside of its entry and is `bytes_min` bytes long or longer. Whoever holds
    /// it sees the value as it is now, whatever happens to the entry.
    pub fn share_large_from(&self, bytes_min: usize) -> Option<Bytes> {
        /// What `Bytes` keeps for its owner.
        struct Shared(Arc<Large>);
        impl AsRef<[u8]> for Shared {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let shape = self.shape();
        if shape.kind != Kind::Large {
            return None;
        }
        let large = self.large(shape);
        // SAFETY: the entry holds one count of it, which came from `Arc::into_raw`; it lives as long as the entry.
        unsafe {
            if (*large).len() < bytes_min {
                return None;
            }
            Arc::increment_strong_count(large);
            Some(Bytes::from_owner(Shared(Arc::from_raw(large))))
        }
    }

    /// When it expires, in milliseconds since the Unix epoch.
    #[inline]
    pub fn expire_at(&self) -> Option<i64> {
        if self.header() & EXPIRES_BIT == 0 {
            return None;
        }
        let offset = self.shape().expiry_offset();
        // SAFETY: a header with this bit is followed by the expiry (`write_front`).
        Some(unsafe { self.start.add(offset).cast::<i64>().read_unaligned() })
    }

    #[inline]
    pub fn expires(&self) -> bool {
        self.header() & EXPIRES_BIT != 0
    }

    /// The access clock, as it was last set.
    #[inline]
    pub fn access(&self) -> u32 {
        self.header() as u32 & ACCESS_MAX
    }

    /// Sets the access clock. Writes nothing when it stands there already, so that reads in the same second leave
    /// the cache line clean.
    #[inline]
    pub fn set_access(&self, access: u32) {
        let low = self.header() as u32;
        let changed = low & !ACCESS_MAX | access & ACCESS_MAX;
        if changed != low {
            // SAFETY: the first four bytes of every entry are header. No reference covers them, so this is like
            // writing a `Cell`; neither this type nor `OwnedEntry` is `Sync`.
            unsafe { self.start.cast::<u32>().write(changed) }
        }
    }

    /// The side of the last cut that the entry is on; see [`super::capture`].
    #[inline]
    pub(super) fn phase(&self) -> bool {
        self.header() & PHASE_BIT != 0
    }

    /// Moves the entry to a side of the last cut.
    #[inline]
    pub(super) fn set_phase(&self, phase: bool) {
        let low = self.header() as u32;
        let bit = PHASE_BIT as u32;
        let changed = if phase { low | bit } else { low & !bit };
        if changed != low {
            // SAFETY: as in `set_access`; the bit is one of the first four bytes'.
            unsafe { self.start.cast::<u32>().write(changed) }
        }
    }

    /// When the first field of a large hash expires, if one does.
    #[inline]
    pub(super) fn next_field_expiry(&self) -> Option<i64> {
        if Kind::from_bits(self.header() >> KIND_SHIFT) != Kind::Hash {
            return None;
        }
        let Value::Hash(hash) = self.value() else { return None };
        hash.next_expiry()
    }

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        let shape = self.shape();
        match shape.kind {
            Kind::Integer => Encoding::Int,
            Kind::Inline if shape.value_bytes <= EMBSTR_BYTES_MAX => Encoding::Embstr,
            Kind::Inline | Kind::InlineRaw | Kind::Large => Encoding::Raw,
            _ => self.value().collection_encoding(),
        }
    }

    #[inline]
    pub fn value_type(&self) -> Type {
        Kind::from_bits(self.header() >> KIND_SHIFT).value_type()
    }

    /// What TYPE says.
    pub fn type_name(&self) -> &'static str {
        self.value_type().name()
    }

    /// Bytes that the entry and its value occupy, without its place in the table.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.footprint().bytes()
    }

    /// What decides [`Self::memory_bytes`], to be compared before and after a change.
    #[inline]
    pub(super) fn footprint(&self) -> Footprint {
        let shape = self.shape();
        let outside_bytes = match shape.kind {
            // SAFETY: a large value lives as long as the entry that counts it.
            Kind::Large => LARGE_OVERHEAD_BYTES + unsafe { (*self.large(shape)).capacity() },
            kind if kind.is_boxed() => self.value().outside_bytes(),
            _ => 0,
        };
        Footprint { shape, outside_bytes }
    }

    /// A copy under another key, with the same expiry and access clock. A large string is copied, not shared; a large
    /// collection shares its parts, of which either copies what it changes, on whatever core.
    pub fn copy_as(&self, key: &[u8]) -> OwnedEntry {
        let shape = self.shape();
        let content = match self.value() {
            Value::String(StringValue::Integer(number)) => Content::Integer(number),
            Value::String(StringValue::Bytes(bytes)) => Content::string(key.len(), bytes),
            Value::Packed(packing, packed) => Content::Packed(packing, packed),
            Value::List(list) => Content::Boxed(LargeValue::List(Box::new(list.clone()))),
            Value::Set(set) => Content::Boxed(LargeValue::Set(Box::new(set.clone()))),
            Value::Hash(hash) => Content::Boxed(LargeValue::Hash(Box::new(hash.clone()))),
            Value::SortedSet(sorted_set) => {
                Content::Boxed(LargeValue::SortedSet(Box::new(sorted_set.clone())))
            }
            Value::Stream(stream) => Content::Boxed(LargeValue::Stream(Box::new(stream.clone()))),
        };
        let mut copy = OwnedEntry::new(key, content, self.expire_at(), self.access());
        if shape.kind == Kind::InlineRaw {
            copy.mark_raw();
        }
        copy
    }

    #[inline]
    fn inline_value(&self, shape: Shape) -> &'a [u8] {
        // SAFETY: as for `key`.
        unsafe {
            std::slice::from_raw_parts(
                self.start.add(shape.value_offset()).as_ptr(),
                shape.value_bytes,
            )
        }
    }

    #[inline]
    fn large(&self, shape: Shape) -> *const Large {
        debug_assert_eq!(shape.kind, Kind::Large);
        self.pointer(shape)
    }

    /// The pointer that the value of an entry with a value outside is. For the right type the caller answers.
    #[inline]
    fn pointer<T>(&self, shape: Shape) -> *mut T {
        debug_assert!(shape.kind.is_outside());
        // SAFETY: the value of an entry of these kinds is a pointer (`write_content`).
        unsafe { self.start.add(shape.value_offset()).cast::<*mut T>().read_unaligned() }
    }
}

impl std::fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key().escape_ascii().to_string())
            .field("value", &self.value())
            .field("expire_at", &self.expire_at())
            .field("access", &self.access())
            .finish()
    }
}

#[inline]
fn read_integer(bytes: &[u8]) -> i64 {
    match *bytes {
        [a] => i64::from(a as i8),
        [a, b] => i64::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
        _ => i64::from_le_bytes(bytes.try_into().expect("integers have 1, 2, 4 or 8 bytes")),
    }
}

/// An entry that is in no table. Dropping it frees it.
pub struct OwnedEntry {
    start: NonNull<u8>,
}

// SAFETY: it is the only owner of its allocation; a large string is an `Arc` of bytes, which may be shared between
// threads, a large collection a box that is `Send` (checked below). It is not `Sync`, because the access clock is
// written through `&`.
unsafe impl Send for OwnedEntry {}

const _: fn() = || {
    fn is_send<T: Send>() {}
    is_send::<LargeValue>();
};

impl OwnedEntry {
    /// An entry for a string, stored as an integer if it is the canonical form of one.
    #[inline]
    pub fn string(key: &[u8], value: &[u8], expire_at: Option<i64>, access: u32) -> OwnedEntry {
        match parse_integer(value) {
            Some(number) => OwnedEntry::integer(key, number, expire_at, access),
            None => OwnedEntry::plain_string(key, value, expire_at, access),
        }
    }

    /// An entry for a string, stored as bytes even if it looks like an integer.
    #[inline]
    pub fn plain_string(
        key: &[u8],
        value: &[u8],
        expire_at: Option<i64>,
        access: u32,
    ) -> OwnedEntry {
        OwnedEntry::new(key, Content::string(key.len(), value), expire_at, access)
    }

    #[inline]
    pub fn integer(key: &[u8], number: i64, expire_at: Option<i64>, access: u32) -> OwnedEntry {
        OwnedEntry::new(key, Content::Integer(number), expire_at, access)
    }

    /// An entry for a collection.
    pub fn collection(
        key: &[u8],
        collection: Collection,
        expire_at: Option<i64>,
        access: u32,
    ) -> OwnedEntry {
        match collection {
            Collection::Packed(packing, packed) => {
                OwnedEntry::packed(key, packing, &packed, expire_at, access)
            }
            Collection::Large(large) => {
                OwnedEntry::new(key, Content::Boxed(large), expire_at, access)
            }
        }
    }

    /// An entry for a packed collection.
    #[inline]
    pub fn packed(
        key: &[u8],
        packing: Packing,
        packed: &[u8],
        expire_at: Option<i64>,
        access: u32,
    ) -> OwnedEntry {
        OwnedEntry::new(key, Content::Packed(packing, packed), expire_at, access)
    }

    #[inline]
    fn new(key: &[u8], content: Content<'_>, expire_at: Option<i64>, access: u32) -> OwnedEntry {
        let shape = content.shape(key.len(), expire_at.is_some(), false);
        let start = allocate(shape);
        // SAFETY: the allocation is as long as the shape says, and nobody else knows it.
        unsafe {
            write_front(start, shape, expire_at, access);
            ptr::copy_nonoverlapping(
                key.as_ptr(),
                start.add(shape.key_offset()).as_ptr(),
                key.len(),
            );
            write_content(start, shape, content);
        }
        OwnedEntry { start }
    }

    /// The entry as others see it.
    #[inline]
    pub fn get(&self) -> EntryRef<'_> {
        // SAFETY: the entry is ours, and borrowed for as long as the reference lives.
        unsafe { EntryRef::from_raw(self.start) }
    }

    /// The same entry under another key, with its value, expiry and access clock.
    pub fn with_key(mut self, key: &[u8]) -> OwnedEntry {
        let shape = self.get().shape();
        let (expire_at, access) = (self.get().expire_at(), self.get().access());
        // A value outside moves over as it is; what stays behind is an integer, which owns nothing.
        let content = match shape.kind {
            Kind::Large => Content::Large(self.take_large()),
            kind if kind.is_boxed() => Content::Boxed(self.take_boxed()),
            _ => return self.get().copy_as(key),
        };
        OwnedEntry::new(key, content, expire_at, access)
    }

    /// Replaces the value by a string, stored as an integer if it is the canonical form of one, and the expiry.
    #[inline]
    pub fn set_string(&mut self, value: &[u8], expire_at: Option<i64>, access: u32) {
        match parse_integer(value) {
            Some(number) => self.set_content(Content::Integer(number), expire_at, access),
            None => self.set_plain_string(value, expire_at, access),
        }
    }

    /// Overwrites a short string by another of the same length, if that is all there is to do: no expiry, before or
    /// after, and no integer. The most frequent write by far.
    #[inline]
    pub(super) fn overwrite_same_shape(&mut self, value: &[u8], access: u32) -> bool {
        let entry = self.get();
        let header = entry.header() & HEADER_MASK;
        let key_bytes = (header >> KEY_LENGTH_SHIFT) as usize & KEY_LENGTH_FOLLOWS;
        let phase = header & PHASE_BIT != 0;
        let wanted = Shape {
            kind: Kind::Inline,
            expires: false,
            phase,
            key_bytes,
            value_bytes: value.len(),
        };
        let is_short = key_bytes < KEY_LENGTH_FOLLOWS && value.len() < VALUE_LENGTH_FOLLOWS;
        if !is_short
            || header & !u64::from(ACCESS_MAX) != wanted.header(0)
            || parse_integer(value).is_some()
        {
            return false;
        }
        entry.set_access(access);
        // SAFETY: the header says that a value of this length lies there, right after the key.
        unsafe {
            ptr::copy_nonoverlapping(
                value.as_ptr(),
                self.start.add(HEADER_BYTES + key_bytes).as_ptr(),
                value.len(),
            )
        };
        true
    }

    /// Replaces the value by a string, stored as bytes even if it looks like an integer, and the expiry.
    #[inline]
    pub fn set_plain_string(&mut self, value: &[u8], expire_at: Option<i64>, access: u32) {
        let key_bytes = self.get().shape().key_bytes;
        self.set_content(Content::string(key_bytes, value), expire_at, access);
    }

    /// Replaces the value by an integer, and the expiry.
    #[inline]
    pub fn set_integer(&mut self, number: i64, expire_at: Option<i64>, access: u32) {
        self.set_content(Content::Integer(number), expire_at, access);
    }

    /// Replaces or removes the expiry.
    pub fn set_expiry(&mut self, expire_at: Option<i64>) {
        let old = self.get().shape();
        let new = Shape { expires: expire_at.is_some(), ..old };
        let access = self.get().access();
        self.relayout(old, new, old.value_bytes);
        // SAFETY: `relayout` left room for the new shape's front.
        unsafe { write_front(self.start, new, expire_at, access) };
    }

    /// Puts another collection in the place of the value; expiry and access clock stay.
    pub fn set_collection(&mut self, collection: Collection) {
        match collection {
            Collection::Packed(packing, packed) => self.set_packed(packing, &packed),
            Collection::Large(large) => {
                let (expire_at, access) = (self.get().expire_at(), self.get().access());
                self.set_content(Content::Boxed(large), expire_at, access);
            }
        }
    }

    /// Puts a packed collection in the place of the value; expiry and access clock stay.
    pub fn set_packed(&mut self, packing: Packing, packed: &[u8]) {
        let (expire_at, access) = (self.get().expire_at(), self.get().access());
        self.set_content(Content::Packed(packing, packed), expire_at, access);
    }

    /// The value for changing. A change of packed bytes may move the entry.
    #[inline]
    pub fn value_mut(&mut self) -> ValueMut<'_> {
        let entry = self.get();
        let shape = entry.shape();
        let packing = match shape.kind {
            Kind::Inline | Kind::InlineRaw | Kind::Integer | Kind::Large => {
                return ValueMut::String;
            }
            // SAFETY: the kind says what the pointer leads to: a box that the entry owns, borrowed mutably with it.
            Kind::List => return ValueMut::List(unsafe { &mut *entry.pointer::<List>(shape) }),
            // SAFETY: as above.
            Kind::Set => return ValueMut::Set(unsafe { &mut *entry.pointer::<Set>(shape) }),
            // SAFETY: as above.
            Kind::Hash => return ValueMut::Hash(unsafe { &mut *entry.pointer::<Hash>(shape) }),
            Kind::SortedSet => {
                // SAFETY: as above.
                return ValueMut::SortedSet(unsafe { &mut *entry.pointer::<SortedSet>(shape) });
            }
            Kind::Stream => {
                // SAFETY: as above.
                return ValueMut::Stream(unsafe { &mut *entry.pointer::<Stream>(shape) });
            }
            Kind::PackedList => Packing::List,
            Kind::PackedIntset => Packing::Intset,
            Kind::PackedSet => Packing::Set,
            Kind::PackedHash => Packing::Hash,
            Kind::PackedSortedSet => Packing::SortedSet,
        };
        ValueMut::Packed(packing, PackedMut { entry: self })
    }

    /// Makes the value a string of `bytes` bytes: cut at the end, or filled up with zeros. An integer becomes the
    /// string that it stands for. The encoding is `raw` from now on.
    pub fn resize_string(&mut self, bytes: usize) {
        let entry = self.get();
        let (old, access, expire_at) = (entry.shape(), entry.access(), entry.expire_at());
        match old.kind {
            Kind::Large => {
                let mut large = self.take_large();
                Arc::make_mut(&mut large).resize(bytes, 0);
                self.set_content(Content::Large(large), expire_at, access);
            }
            Kind::Integer => {
                let number = read_integer(entry.inline_value(old));
                let mut buffer = itoa::Buffer::new();
                let digits = buffer.format(number).as_bytes();
                self.set_content(Content::Inline(digits), expire_at, access);
                self.resize_string(bytes);
            }
            Kind::Inline | Kind::InlineRaw if !fits_inline(old.key_bytes, bytes) => {
                let mut large = Vec::with_capacity(bytes);
                large.extend_from_slice(entry.inline_value(old));
                large.resize(bytes, 0);
                self.set_content(Content::Large(Arc::new(large)), expire_at, access);
            }
            Kind::Inline | Kind::InlineRaw => {
                let new = Shape { kind: Kind::InlineRaw, value_bytes: bytes, ..old };
                let kept = old.value_bytes.min(bytes);
                self.relayout(old, new, kept);
                // SAFETY: `relayout` left room for the new shape: its front, and the value's new bytes at the end.
                unsafe {
                    write_front(self.start, new, expire_at, access);
                    self.start.add(new.value_offset() + kept).write_bytes(0, bytes - kept);
                }
            }
            _ => unreachable!("callers have looked at the type"),
        }
    }

    /// The bytes of a value that [`Self::resize_string`] made; empty for anything else.
    pub fn string_mut(&mut self) -> &mut [u8] {
        let shape = self.get().shape();
        match shape.kind {
            Kind::Integer => &mut [],
            Kind::Inline | Kind::InlineRaw => {
                // SAFETY: the value lies there, and the entry is borrowed mutably for as long as the slice lives.
                unsafe {
                    std::slice::from_raw_parts_mut(
                        self.start.add(shape.value_offset()).as_ptr(),
                        shape.value_bytes,
                    )
                }
            }
            Kind::Large => {
                let mut large = self.take_large();
                let bytes = Arc::make_mut(&mut large);
                let (start, length) = (bytes.as_mut_ptr(), bytes.len());
                let (expire_at, access) = (self.get().expire_at(), self.get().access());
                self.set_content(Content::Large(large), expire_at, access);
                // SAFETY: the entry holds the only count of the value (`make_mut`), so nobody else reads these
                // bytes while the entry is borrowed mutably.
                unsafe { std::slice::from_raw_parts_mut(start, length) }
            }
            _ => &mut [],
        }
    }

    fn mark_raw(&mut self) {
        let shape = self.get().shape();
        if shape.kind == Kind::Inline {
            let (expire_at, access) = (self.get().expire_at(), self.get().access());
            // SAFETY: the kind changes no offset.
            unsafe {
                write_front(self.start, Shape { kind: Kind::InlineRaw, ..shape }, expire_at, access)
            };
        }
    }

    #[inline]
    fn set_content(&mut self, content: Content<'_>, expire_at: Option<i64>, access: u32) {
        let old = self.get().shape();
        if old.kind.is_outside() {
            self.drop_outside();
        }
        let new = content.shape(old.key_bytes, expire_at.is_some(), old.phase);
        if old != new {
            self.relayout(old, new, 0);
        }
        // SAFETY: `relayout` left room for the new shape, and the old value owned nothing any more.
        unsafe {
            write_front(self.start, new, expire_at, access);
            write_content(self.start, new, content);
        }
    }

    /// Takes the large value out. The entry holds the integer of its pointer's bytes instead until it gets new
    /// content: same layout, but nothing to free.
    fn take_large(&mut self) -> Arc<Large> {
        let entry = self.get();
        let shape = entry.shape();
        let (large, expire_at, access) = (entry.large(shape), entry.expire_at(), entry.access());
        // SAFETY: the kind changes no offset; the pointer came from `Arc::into_raw`, and its count now is ours.
        unsafe {
            write_front(self.start, Shape { kind: Kind::Integer, ..shape }, expire_at, access);
            Arc::from_raw(large)
        }
    }

    /// As [`Self::take_large`], of a large collection.
    fn take_boxed(&mut self) -> LargeValue {
        let entry = self.get();
        let shape = entry.shape();
        let (expire_at, access) = (entry.expire_at(), entry.access());
        // SAFETY: the kind changes no offset; it says what box the pointer came from (`write_content`), and that box
        // now is ours.
        unsafe {
            let large = match shape.kind {
                Kind::List => LargeValue::List(Box::from_raw(entry.pointer(shape))),
                Kind::Set => LargeValue::Set(Box::from_raw(entry.pointer(shape))),
                Kind::Hash => LargeValue::Hash(Box::from_raw(entry.pointer(shape))),
                Kind::SortedSet => LargeValue::SortedSet(Box::from_raw(entry.pointer(shape))),
                Kind::Stream => LargeValue::Stream(Box::from_raw(entry.pointer(shape))),
                _ => unreachable!("only of entries with a large collection"),
            };
            write_front(self.start, Shape { kind: Kind::Integer, ..shape }, expire_at, access);
            large
        }
    }

    /// Lets go of a value outside.
    #[cold]
    fn drop_outside(&mut self) {
        if self.get().shape().kind == Kind::Large {
            drop(self.take_large());
        } else {
            garbage::discard(self.take_boxed());
        }
    }

    /// Changes the allocation from one shape to another with the same key, and moves the key and the first `kept`
    /// bytes of the value to where they then belong. The front is for the caller to write.
    #[inline]
    fn relayout(&mut self, old: Shape, new: Shape, kept: usize) {
        let moved = old.key_bytes + kept;
        if old.allocated_bytes() == new.allocated_bytes() {
            if old.key_offset() != new.key_offset() {
                // SAFETY: both places lie within the allocation, whose size stays the same.
                unsafe {
                    self.start
                        .add(old.key_offset())
                        .copy_to(self.start.add(new.key_offset()), moved)
                };
            }
            return;
        }
        let start = allocate(new);
        // SAFETY: source and target lie within the old and the new allocation; the old one is ours to free, with
        // the layout it was made with (an allocation's size always follows from its entry's shape).
        unsafe {
            self.start
                .add(old.key_offset())
                .copy_to_nonoverlapping(start.add(new.key_offset()), moved);
            dealloc(self.start.as_ptr(), old.layout());
        }
        self.start = start;
    }

    /// Gives up the entry for a pointer to it.
    #[inline]
    pub(super) fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).start
    }

    /// Where the entry lies.
    #[inline]
    pub(super) fn as_raw(&self) -> NonNull<u8> {
        self.start
    }

    /// # Safety
    /// `start` came from [`Self::into_raw`] and is used only once.
    #[inline]
    pub(super) unsafe fn from_raw(start: NonNull<u8>) -> OwnedEntry {
        OwnedEntry { start }
    }
}

impl Drop for OwnedEntry {
    #[inline]
    fn drop(&mut self) {
        let shape = self.get().shape();
        if shape.kind.is_outside() {
            self.drop_outside();
        }
        // SAFETY: it is ours, and was allocated with this layout (its kind has no part in it).
        unsafe { dealloc(self.start.as_ptr(), shape.layout()) }
    }
}

/// A value for changing. Strings have methods of their own.
pub enum ValueMut<'a> {
    String,
    Packed(Packing, PackedMut<'a>),
    List(&'a mut List),
    Set(&'a mut Set),
    Hash(&'a mut Hash),
    SortedSet(&'a mut SortedSet),
    Stream(&'a mut Stream),
}

/// The bytes of a packed collection, where they lie in their entry.
pub struct PackedMut<'a> {
    entry: &'a mut OwnedEntry,
}

impl Buffer for PackedMut<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        let entry = self.entry.get();
        entry.inline_value(entry.shape())
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let shape = self.entry.get().shape();
        // SAFETY: the value lies there (a packed collection always lies in its entry), and the entry is borrowed
        // mutably for as long as the slice lives.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.entry.start.add(shape.value_offset()).as_ptr(),
                shape.value_bytes,
            )
        }
    }

    fn splice(&mut self, at: usize, removed: usize, inserted: usize) {
        let entry = &mut *self.entry;
        let old = entry.get().shape();
        let (expire_at, access) = (entry.get().expire_at(), entry.get().access());
        let behind = old.value_bytes - (at + removed);
        let new = Shape { value_bytes: old.value_bytes - removed + inserted, ..old };
        let (old_offset, new_offset) = (old.value_offset(), new.value_offset());
        if old.allocated_bytes() == new.allocated_bytes() {
            // SAFETY: all places lie within the allocation, which has room for both shapes. What moves first is
            // what lies in the direction of the move, so nothing is overwritten before it has moved; `copy_to` lets
            // source and target overlap. The gap may never have been written to, so it is filled.
            unsafe {
                let tail_from = entry.start.add(old_offset + at + removed);
                let tail_to = entry.start.add(new_offset + at + inserted);
                if tail_to >= tail_from {
                    tail_from.copy_to(tail_to, behind);
                }
                if new.key_offset() != old.key_offset() {
                    let front = entry.start.add(old.key_offset());
                    front.copy_to(entry.start.add(new.key_offset()), old.key_bytes + at);
                }
                if tail_to < tail_from {
                    tail_from.copy_to(tail_to, behind);
                }
                entry.start.add(new_offset + at).write_bytes(0, inserted);
                write_front(entry.start, new, expire_at, access);
            }
            return;
        }
        let start = allocate(new);
        // SAFETY: source and target lie within the old and the new allocation; the old one is ours to free, with the
        // layout it was made with.
        unsafe {
            let front = entry.start.add(old.key_offset());
            front.copy_to_nonoverlapping(start.add(new.key_offset()), old.key_bytes + at);
            start.add(new_offset + at).write_bytes(0, inserted);
            let tail = entry.start.add(old_offset + at + removed);
            tail.copy_to_nonoverlapping(start.add(new_offset + at + inserted), behind);
            write_front(start, new, expire_at, access);
            dealloc(entry.start.as_ptr(), old.layout());
        }
        entry.start = start;
    }
}

impl std::fmt::Debug for OwnedEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.get().fmt(f)
    }
}

/// Memory for an entry, its first 8 bytes initialised.
#[inline]
fn allocate(shape: Shape) -> NonNull<u8> {
    let layout = shape.layout();
    // SAFETY: no layout of an entry is empty, and all have room for 8 bytes.
    unsafe {
        let Some(start) = NonNull::new(alloc(layout)) else { handle_alloc_error(layout) };
        start.cast::<u64>().write(0);
        start
    }
}

/// Writes everything before the key.
///
/// # Safety
/// `start` has room for the shape.
#[inline]
unsafe fn write_front(start: NonNull<u8>, shape: Shape, expire_at: Option<i64>, access: u32) {
    debug_assert_eq!(shape.expires, expire_at.is_some());
    let header = shape.header(access) & HEADER_MASK;
    let mut offset = HEADER_BYTES;
    // SAFETY: the caller promised room for all that the shape calls for.
    unsafe {
        start.cast::<u32>().write(header as u32);
        start.add(4).write((header >> 32) as u8);
        if shape.key_bytes >= KEY_LENGTH_FOLLOWS {
            start.add(offset).cast::<u32>().write_unaligned(shape.key_bytes as u32);
            offset += 4;
        }
        if shape.value_bytes >= VALUE_LENGTH_FOLLOWS {
            start.add(offset).cast::<u32>().write_unaligned(shape.value_bytes as u32);
            offset += 4;
        }
        if let Some(at) = expire_at {
            start.add(offset).cast::<i64>().write_unaligned(at);
        }
    }
}

/// Writes the value.
///
/// # Safety
/// `start` has room for the shape, which is that of the content, and the value there owns nothing.
#[inline]
unsafe fn write_content(start: NonNull<u8>, shape: Shape, content: Content<'_>) {
    // SAFETY: the caller promised room.
    unsafe {
        let target = start.add(shape.value_offset());
        match content {
            Content::Inline(bytes) => {
                ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len());
            }
            Content::Integer(number) => {
                let bytes = number.to_le_bytes();
                ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), shape.value_bytes);
            }
            Content::Large(large) => {
                target.cast::<*const Large>().write_unaligned(Arc::into_raw(large))
            }
            Content::Packed(_, packed) => {
                ptr::copy_nonoverlapping(packed.as_ptr(), target.as_ptr(), packed.len());
            }
            Content::Boxed(large) => {
                let pointer = match large {
                    LargeValue::List(list) => Box::into_raw(list).cast::<()>(),
                    LargeValue::Set(set) => Box::into_raw(set).cast(),
                    LargeValue::Hash(hash) => Box::into_raw(hash).cast(),
                    LargeValue::SortedSet(sorted_set) => Box::into_raw(sorted_set).cast(),
                    LargeValue::Stream(stream) => Box::into_raw(stream).cast(),
                };
                target.cast::<*mut ()>().write_unaligned(pointer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
