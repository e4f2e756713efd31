//! Segments: bounded hash tables that own their entries. Where the words lie is [`Buckets`]' business.

use super::buckets::{Buckets, EXPIRES, POINTER, Place, bucket_counts, capacity, prefetch};
use super::entry::{EntryRef, OwnedEntry};
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// A cache line of the processors we know.
const LINE_BYTES: usize = 64;

pub(super) struct Segment {
    buckets: Buckets,
    /// No entry expires earlier; `i64::MAX` when none expires.
    next_expiry: i64,
    len: u16,
    expiring: u16,
}

// SAFETY: a segment owns its entries, and `OwnedEntry` is `Send`.
unsafe impl Send for Segment {}

impl Segment {
    pub(super) fn new() -> Segment {
        Segment { buckets: Buckets::default(), next_expiry: i64::MAX, len: 0, expiring: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Entries that expire.
    #[inline]
    pub(super) fn expiring(&self) -> usize {
        self.expiring as usize
    }

    #[inline]
    pub(super) fn next_expiry(&self) -> i64 {
        self.next_expiry
    }

    /// Bytes of the buckets.
    #[inline]
    pub(super) fn memory_bytes(&self) -> usize {
        self.buckets.memory_bytes()
    }

    #[inline]
    pub(super) fn find(&self, position: u32, key: &[u8]) -> Option<Place> {
        if self.len == 0 {
            return None;
        }
        self.buckets.find(position, |word| entry(word).has_key(key))
    }

    /// The entry at a place that [`Self::find`] or [`Self::insert`] gave, nothing having moved since.
    #[inline]
    pub(super) fn entry(&self, place: Place) -> EntryRef<'_> {
        entry(self.buckets.word(place))
    }

    /// Lets `f` change the entry, its key excepted.
    #[inline]
    pub(super) fn update<R>(&mut self, place: Place, f: impl FnOnce(&mut OwnedEntry) -> R) -> R {
        /// Puts the entry back into its word, also when `f` panics.
        struct Taken<'a> {
            segment: &'a mut Segment,
            place: Place,
            expired: bool,
            entry: ManuallyDrop<OwnedEntry>,
        }
        impl Drop for Taken<'_> {
            #[inline]
            fn drop(&mut self) {
                let expire_at = self.entry.get().expire_at();
                // SAFETY: the entry is not used again.
                let entry = unsafe { ManuallyDrop::take(&mut self.entry) };
                let segment = &mut *self.segment;
                segment.buckets.set_payload(self.place, into_payload(entry));
                segment.expiring =
                    segment.expiring + u16::from(expire_at.is_some()) - u16::from(self.expired);
                segment.next_expiry = match expire_at {
                    Some(at) => segment.next_expiry.min(at),
                    None if segment.expiring == 0 => i64::MAX,
                    None => segment.next_expiry,
                };
            }
        }
        let word = *self.buckets.word(place);
        // SAFETY: the word owns the entry, and nobody looks at the word before it is written again.
        let entry = ManuallyDrop::new(unsafe { OwnedEntry::from_raw(pointer(word)) });
        let mut taken = Taken { segment: self, place, expired: word & EXPIRES != 0, entry };
        f(&mut taken.entry)
    }

    /// As [`OwnedEntry::overwrite_same_shape`].
    #[inline]
    pub(super) fn overwrite_same_shape(&mut self, place: Place, value: &[u8], access: u32) -> bool {
        let word = *self.buckets.word(place);
        // SAFETY: the word stays the owner; the entry stays where it is, whatever the answer.
        let mut entry = ManuallyDrop::new(unsafe { OwnedEntry::from_raw(pointer(word)) });
        entry.overwrite_same_shape(value, access)
    }

    /// The bytes of the string at a place; see [`OwnedEntry::string_mut`].
    pub(super) fn string_mut(&mut self, place: Place) -> &mut [u8] {
        let mut bytes: *mut [u8] = &mut [];
        self.update(place, |entry| bytes = entry.string_mut());
        // SAFETY: the bytes belong to the entry, which stays as it is while the segment is borrowed mutably.
        unsafe { &mut *bytes }
    }

    /// Puts in an entry whose key is not there yet, or gives it back when there is no room: then the segment must
    /// grow.
    #[inline]
    pub(super) fn insert(&mut self, position: u32, entry: OwnedEntry) -> Result<Place, OwnedEntry> {
        if self.len() >= capacity(self.buckets.count()) {
            return Err(entry);
        }
        let expire_at = entry.get().expire_at();
        let Some(place) = self.buckets.place(position, payload(&entry)) else { return Err(entry) };
        // The word owns it now.
        let _ = entry.into_raw();
        self.count(expire_at);
        Ok(place)
    }

    #[inline]
    fn count(&mut self, expire_at: Option<i64>) {
        self.len += 1;
        if let Some(at) = expire_at {
            self.expiring += 1;
            self.next_expiry = self.next_expiry.min(at);
        }
    }

    /// Takes an entry out. Places are no longer valid.
    pub(super) fn remove(&mut self, place: Place) -> OwnedEntry {
        let word = *self.buckets.word(place);
        self.buckets.remove(place);
        self.len -= 1;
        if word & EXPIRES != 0 {
            self.expiring -= 1;
            if self.expiring == 0 {
                self.next_expiry = i64::MAX;
            }
        }
        // SAFETY: the word owned the entry, and is gone.
        unsafe { OwnedEntry::from_raw(pointer(word)) }
    }

    /// Whether so few entries are left that [`Self::shrink`] is worth it.
    #[inline]
    pub(super) fn is_sparse(&self) -> bool {
        let count = self.buckets.count();
        if self.len == 0 { count > 0 } else { count > 1 && self.len() * 4 <= capacity(count) }
    }

    /// Takes the next larger bucket count that works, or returns false when even the largest does not: then the
    /// segment must be split. `position_of` tells an entry's position in this segment.
    pub(super) fn grow(&mut self, position_of: impl Fn(EntryRef<'_>) -> u32) -> bool {
        let now = self.buckets.count();
        bucket_counts().filter(|&count| count > now).any(|count| self.resize(count, &position_of))
    }

    /// Gives back buckets, keeping some room for new entries.
    pub(super) fn shrink(&mut self, position_of: impl Fn(EntryRef<'_>) -> u32) {
        let now = self.buckets.count();
        let wanted = self.len() + self.len() / 2;
        let enough = bucket_counts().filter(|&count| capacity(count) >= wanted);
        enough.take_while(|&count| count < now).any(|count| self.resize(count, &position_of));
    }

    fn resize(&mut self, count: usize, position_of: impl Fn(EntryRef<'_>) -> u32) -> bool {
        let resized = self.buckets.resized(count, |word| position_of(entry(word)));
        resized.map(|buckets| self.buckets = buckets).is_some()
    }

    /// Takes all entries out, in no order.
    pub(super) fn take_all(&mut self) -> Vec<OwnedEntry> {
        let segment = std::mem::replace(self, Segment::new());
        // Not dropped, so that the entries have one owner; the buckets are freed below.
        let segment = ManuallyDrop::new(segment);
        // SAFETY: the field is read out of a segment that is not used again.
        let buckets = unsafe { ptr::read(&raw const segment.buckets) };
        // SAFETY: the words owned the entries, and nobody looks at the words again.
        buckets.words().map(|&word| unsafe { OwnedEntry::from_raw(pointer(word)) }).collect()
    }

    /// A segment of these entries with their positions, with some room for more; or the entries back, if even the
    /// largest cannot hold them.
    pub(super) fn from_entries(
        entries: Vec<(u32, OwnedEntry)>,
    ) -> Result<Segment, Vec<(u32, OwnedEntry)>> {
        let wanted = entries.len() + entries.len() / 8;
        for count in bucket_counts().filter(|&count| capacity(count) >= wanted) {
            let mut buckets = Buckets::new(count);
            if entries
                .iter()
                .all(|(position, entry)| buckets.place(*position, payload(entry)).is_some())
            {
                let mut segment = Segment::new();
                segment.buckets = buckets;
                for (_, entry) in entries {
                    segment.count(entry.get().expire_at());
                    // The word owns it now.
                    let _ = entry.into_raw();
                }
                return Ok(segment);
            }
        }
        Err(entries)
    }

    /// Visits the entries of whole home buckets, beginning with that of a position, until `visited` reaches `limit`.
    /// Returns the least position not visited, or `None` at the end.
    pub(super) fn scan<'a>(
        &'a self,
        from: u32,
        limit: usize,
        visited: &mut usize,
        f: &mut impl FnMut(EntryRef<'a>),
    ) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        for home in self.buckets.home(from)..self.buckets.count() {
            if *visited >= limit {
                return Some(self.buckets.first_position(home));
            }
            for word in self.buckets.words_of_home(home) {
                *visited += 1;
                f(entry(word));
            }
        }
        None
    }

    /// Visits all entries.
    pub(super) fn for_each<'a>(&'a self, f: &mut impl FnMut(EntryRef<'a>)) {
        self.buckets.words().for_each(|word| f(entry(word)));
    }

    /// Visits up to `limit` entries (of those that expire, if so wanted) that lie together, from a place that
    /// `random` chooses. Returns how many.
    pub(super) fn sample<'a>(
        &'a self,
        random: u32,
        limit: usize,
        expiring_only: bool,
        f: &mut impl FnMut(EntryRef<'a>),
    ) -> usize {
        let count = self.buckets.count();
        let first = (random as usize * count) >> u32::BITS;
        let words = (first..count).chain(0..first).flat_map(|bucket| self.buckets.words_in(bucket));
        let wanted = words.filter(|&word| !expiring_only || word & EXPIRES != 0).take(limit);
        wanted.map(|word| f(entry(word))).count()
    }

    /// The entry number `index`, in an order that only changes with the segment.
    pub(super) fn nth(&self, index: usize) -> Option<EntryRef<'_>> {
        self.buckets.words().nth(index).map(entry)
    }

    /// Takes out what expires before `now` and hands it to `f`. Returns how many entries it looked at.
    pub(super) fn expire(&mut self, now: i64, f: &mut impl FnMut(OwnedEntry)) -> usize {
        let mut looked_at = 0;
        let mut next_expiry = i64::MAX;
        // A removal fills its hole with words of later buckets, or, round the end, with words looked at before: none
        // slips through.
        for bucket in 0..self.buckets.count() {
            let mut index = 0;
            while let Some(place) = self.buckets.place_at(bucket, index) {
                index += 1;
                if self.buckets.word(place) & EXPIRES == 0 {
                    continue;
                }
                looked_at += 1;
                match self.entry(place).expire_at() {
                    Some(at) if at < now => {
                        f(self.remove(place));
                        index -= 1;
                    }
                    Some(at) => next_expiry = next_expiry.min(at),
                    None => {}
                }
            }
        }
        self.next_expiry = next_expiry;
        looked_at
    }

    /// `check` checks an entry and tells its position.
    #[cfg(test)]
    pub(super) fn check_invariants(&self, check: impl Fn(EntryRef<'_>) -> u32) {
        self.buckets.check_invariants();
        assert_eq!(self.len(), self.buckets.words().count());
        let expiring = self.buckets.words().filter(|&word| word & EXPIRES != 0).count();
        assert_eq!(self.expiring(), expiring);
        if expiring == 0 {
            assert_eq!(self.next_expiry, i64::MAX);
        }
        for word in self.buckets.words() {
            let entry = entry(word);
            assert_eq!(word & EXPIRES != 0, entry.expires());
            assert!(entry.expire_at().is_none_or(|at| at >= self.next_expiry));
            let place =
                self.find(check(entry), entry.key()).expect("every entry is found by its key");
            assert!(std::ptr::eq(self.buckets.word(place), word), "a key is there twice");
        }
    }

    /// Fetches the line of a position's home bucket.
    #[inline]
    pub(super) fn prefetch_bucket(&self, position: u32) {
        self.buckets.prefetch(position);
    }

    /// Fetches the lines of an entry of `bytes` bytes that a position's home bucket seems to hold.
    #[inline]
    pub(super) fn prefetch_entry(&self, position: u32, bytes: usize) {
        if let Some(&word) = self.buckets.likely_word(position) {
            let start = pointer(word).as_ptr();
            for line in (0..bytes).step_by(LINE_BYTES) {
                prefetch(start.wrapping_add(line));
            }
            // An entry of 48 bytes more often than not lies across two lines.
            prefetch(start.wrapping_add(bytes));
        }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for &word in self.buckets.words() {
            // SAFETY: the word owned the entry, and is not looked at again.
            drop(unsafe { OwnedEntry::from_raw(pointer(word)) });
        }
    }
}

#[inline]
fn pointer(word: u64) -> NonNull<u8> {
    let pointer = ptr::with_exposed_provenance_mut((word & POINTER) as usize);
    NonNull::new(pointer).expect("only words that hold an entry are asked for it")
}

/// The entry of a word that is not 0.
#[inline]
fn entry(word: &u64) -> EntryRef<'_> {
    // SAFETY: such a word owns an entry, which is neither changed nor freed but through `&mut` of the segment; the
    // words are borrowed from it.
    unsafe { EntryRef::from_raw(pointer(*word)) }
}

/// Pointer and expiry flag for an entry. Who puts them into a word must give up the entry.
#[inline]
fn payload(entry: &OwnedEntry) -> u64 {
    let address = entry.as_raw().as_ptr().expose_provenance() as u64;
    assert_eq!(address & !POINTER, 0, "an address in user space has 48 bits");
    address | if entry.get().expires() { EXPIRES } else { 0 }
}

#[inline]
fn into_payload(entry: OwnedEntry) -> u64 {
    let payload = payload(&entry);
    let _ = entry.into_raw();
    payload
}
