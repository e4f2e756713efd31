//! Entries: a key with its value, expiry and access clock, in one allocation.
//!
//! This file is the only one that reads and writes through entry pointers. What lies where is [`super::layout`]'s;
//! nobody changes an entry but through `&mut`, except for its access clock and snapshot phase.

use super::key::same_bytes;
use super::layout::{
    ACCESS_MAX, EXPIRES_BIT, Footprint, HEADER_BYTES, HEADER_MASK, KEY_LENGTH_FOLLOWS,
    KEY_LENGTH_SHIFT, KIND_SHIFT, Kind, PHASE_BIT, Shape, VALUE_LENGTH_FOLLOWS, VALUE_LENGTH_SHIFT,
    fits_inline, integer_bytes,
};
use super::value::{EMBSTR_BYTES_MAX, Encoding, Value};
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

/// A value about to be put into an entry.
enum Content<'a> {
    Inline(&'a [u8]),
    Integer(i64),
    Large(Arc<Large>),
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
            Content::Large(_) => (Kind::Large, size_of::<*const Large>()),
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
            Kind::Inline | Kind::InlineRaw => Value::Bytes(self.inline_value(shape)),
            Kind::Integer => Value::Integer(read_integer(self.inline_value(shape))),
            // SAFETY: a large value lives as long as the entry that counts it.
            Kind::Large => Value::Bytes(unsafe { (*self.large(shape)).as_slice() }),
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

    /// What OBJECT ENCODING says.
    pub fn encoding(&self) -> Encoding {
        let shape = self.shape();
        match shape.kind {
            Kind::Integer => Encoding::Int,
            Kind::Inline if shape.value_bytes <= EMBSTR_BYTES_MAX => Encoding::Embstr,
            Kind::Inline | Kind::InlineRaw | Kind::Large => Encoding::Raw,
        }
    }

    /// What TYPE says.
    pub fn type_name(&self) -> &'static str {
        "string"
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
            _ => 0,
        };
        Footprint { shape, outside_bytes }
    }

    /// A copy under another key, with the same expiry and access clock. A large value is copied, not shared, so
    /// that the copy may go to another core.
    pub fn copy_as(&self, key: &[u8]) -> OwnedEntry {
        let shape = self.shape();
        let content = match self.value() {
            Value::Integer(number) => Content::Integer(number),
            Value::Bytes(bytes) => Content::string(key.len(), bytes),
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
        // SAFETY: the value of an entry of this kind is a pointer from `Arc::into_raw` (`write_content`).
        unsafe { self.start.add(shape.value_offset()).cast::<*const Large>().read_unaligned() }
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

// SAFETY: it is the only owner of its allocation; a large value is an `Arc` of bytes, which may be shared between
// threads. It is not `Sync`, because the access clock is written through `&`.
unsafe impl Send for OwnedEntry {}

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
        if shape.kind != Kind::Large {
            return self.get().copy_as(key);
        }
        let (expire_at, access) = (self.get().expire_at(), self.get().access());
        // The value moves over as it is; what stays behind is an integer, which owns nothing.
        let large = self.take_large();
        OwnedEntry::new(key, Content::Large(large), expire_at, access)
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
                let Value::Integer(number) = entry.value() else {
                    unreachable!("its kind says so")
                };
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
        }
    }

    /// The bytes of a value that [`Self::resize_string`] made; empty for an integer.
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
        if old.kind == Kind::Large {
            drop(self.take_large());
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
        if shape.kind == Kind::Large {
            drop(self.take_large());
        }
        // SAFETY: it is ours, and was allocated with this layout (its kind has no part in it).
        unsafe { dealloc(self.start.as_ptr(), shape.layout()) }
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: &OwnedEntry, key: &[u8], value: Value<'_>, expire_at: Option<i64>) {
        let entry = entry.get();
        assert_eq!(entry.key(), key);
        assert_eq!(entry.value(), value);
        assert_eq!(entry.expire_at(), expire_at);
    }

    #[test]
    fn short_key_with_short_value_is_48_bytes() {
        let entry = OwnedEntry::string(b"key:0000001", &[b'x'; 32], None, 0);
        assert_eq!(entry.get().memory_bytes(), 48);
    }

    #[test]
    fn integers_of_any_size_come_back() {
        for number in [0, 1, -1, 9, 10, 127, 128, -129, 40_000, i64::MAX, i64::MIN, i64::MIN + 1] {
            let entry = OwnedEntry::string(b"k", number.to_string().as_bytes(), None, 0);
            check(&entry, b"k", Value::Integer(number), None);
        }
    }

    #[test]
    fn every_change_keeps_key_value_and_expiry() {
        let lengths = [0, 1, 3, 20, 62, 63, 64, 126, 127, 128, 500, 1000, 1024, 1025, 5000];
        for key_bytes in lengths {
            let key = vec![b'k'; key_bytes];
            for from in lengths {
                for to in lengths {
                    let (old, new) = (vec![b'a'; from], vec![b'b'; to]);
                    let mut entry = OwnedEntry::string(&key, &old, None, 7);
                    check(&entry, &key, Value::Bytes(&old), None);
                    entry.set_expiry(Some(5));
                    check(&entry, &key, Value::Bytes(&old), Some(5));
                    entry.set_string(&new, Some(6), 8);
                    check(&entry, &key, Value::Bytes(&new), Some(6));
                    entry.set_integer(-70_000, Some(6), 8);
                    check(&entry, &key, Value::Integer(-70_000), Some(6));
                    entry.set_string(&old, None, 9);
                    check(&entry, &key, Value::Bytes(&old), None);
                    let copy = entry.get().copy_as(b"other");
                    check(&copy, b"other", Value::Bytes(&old), None);
                    entry.resize_string(to);
                    let mut resized = old.clone();
                    resized.resize(to, 0);
                    check(&entry, &key, Value::Bytes(&resized), None);
                    entry.string_mut().fill(b'c');
                    let renamed = entry.with_key(b"renamed");
                    check(&renamed, b"renamed", Value::Bytes(&vec![b'c'; to]), None);
                    assert_eq!(renamed.get().access(), 9);
                }
            }
        }
    }

    #[test]
    fn encodings_are_those_of_redis() {
        let encoding =
            |value: &[u8]| OwnedEntry::string(b"k", value, None, 0).get().encoding().name();
        assert_eq!(encoding(b"12345"), "int");
        assert_eq!(encoding(&[b'x'; 44]), "embstr");
        assert_eq!(encoding(&[b'x'; 45]), "raw");
        assert_eq!(encoding(&[b'x'; 5000]), "raw");
        let mut entry = OwnedEntry::string(b"k", b"12345", None, 0);
        entry.resize_string(6);
        assert_eq!(entry.get().encoding(), Encoding::Raw);
        assert_eq!(entry.get().copy_as(b"copy").get().encoding(), Encoding::Raw);
        assert_eq!(
            OwnedEntry::plain_string(b"k", b"3", None, 0).get().encoding(),
            Encoding::Embstr
        );
    }

    #[test]
    fn shared_large_value_stays_as_it_was() {
        let mut entry = OwnedEntry::string(b"k", &[b'x'; 5000], None, 0);
        let shared = entry.get().share_large_from(0).unwrap();
        entry.resize_string(5001);
        entry.string_mut().fill(b'y');
        assert_eq!(*shared, [b'x'; 5000]);
        check(&entry, b"k", Value::Bytes(&[b'y'; 5001]), None);
        drop(entry);
        assert!(OwnedEntry::string(b"k", b"small", None, 0).get().share_large_from(0).is_none());
    }

    #[test]
    fn access_clock_is_cut_to_its_bits() {
        let entry = OwnedEntry::string(b"k", b"v", Some(1), u32::MAX);
        assert_eq!(entry.get().access(), ACCESS_MAX);
        entry.get().set_access(12);
        assert_eq!(entry.get().access(), 12);
        check(&entry, b"k", Value::Bytes(b"v"), Some(1));
    }
}
