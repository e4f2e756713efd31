//! Buckets: where words lie in a segment. A bucket is a cache line of eight words; this file moves words about and
//! does not know that they own entries.
//!
//! A bucket is filled from the front; 0 is an empty word. A word holds
//!
//! | bits | what |
//! | --- | --- |
//! | 49…63 | tag: 15 bits of the entry's position |
//! | 48 | the entry expires |
//! | 3…47 | pointer to the entry, which is aligned to 8 |
//! | 0…2 | displacement: how many buckets after its home the word lies |
//!
//! A position is the entry's place in hash order, a fraction of 2³². The home bucket is that fraction of the bucket
//! count, so homes are in position order whatever the count; scans rely on it. A full home bucket overflows into the
//! next ones, round the end to the first, at most seven further. Between a word and its home all buckets are full, so
//! a search ends at the first that is not; a removal from a full bucket pulls a later word back to keep that true.
//!
//! Only the leading bits of the position count ([`position_bits`], more of them the more buckets there are), and they
//! are arranged so that home and tag together give all of them: growing and shrinking need not touch the entries,
//! except where more bits begin to count (past 16 and past 256 buckets) and the keys are hashed again.

/// Words of a bucket.
pub(super) const WORDS: usize = 8;

/// Bucket counts in use: those whose bytes are an allocator's size class, so that nothing is lost there.
const BUCKET_COUNTS: [u16; 33] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128,
    160, 192, 224, 256, 320, 384, 448, 512,
];

/// The word's payload: what buckets carry without looking at it.
pub(super) const PAYLOAD: u64 = POINTER | EXPIRES;
pub(super) const POINTER: u64 = (1 << 48) - 8;
pub(super) const EXPIRES: u64 = 1 << 48;

const TAG_BITS: u32 = 15;
const TAG_MASK: u32 = (1 << TAG_BITS) - 1;
const TAG_SHIFT: u32 = 49;
const DISPLACEMENT: u64 = 7;
const MATCH: u64 = (TAG_MASK as u64) << TAG_SHIFT | DISPLACEMENT;

/// Buckets in which an entry may lie: its home and seven more.
const REACH: usize = DISPLACEMENT as usize + 1;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket([u64; WORDS]);

/// Where a word lies, until words move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    bucket: u16,
    word: u16,
}

#[derive(Default)]
pub(super) struct Buckets {
    buckets: Box<[Bucket]>,
}

impl Buckets {
    pub(super) fn new(count: usize) -> Buckets {
        Buckets { buckets: vec![Bucket([0; WORDS]); count].into_boxed_slice() }
    }

    /// Number of buckets.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.buckets.len()
    }

    #[inline]
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Home bucket of a position, and what a word there must match.
    #[inline]
    fn home_and_match(&self, position: u32) -> (usize, u64) {
        let bits = position_bits(self.count());
        let leading = position >> (u32::BITS - bits);
        ((leading as usize * self.count()) >> bits, u64::from(leading & TAG_MASK) << TAG_SHIFT)
    }

    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.count() { 0 } else { bucket + 1 }
    }

    /// The bucket `steps` after another, `steps` being at most the count.
    #[inline]
    fn ahead(&self, bucket: usize, steps: usize) -> usize {
        let ahead = bucket + steps;
        if ahead >= self.count() { ahead - self.count() } else { ahead }
    }

    #[inline]
    fn reach(&self) -> usize {
        self.count().min(REACH)
    }

    /// The first word for this position's tag that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, position: u32, mut is_it: impl FnMut(&u64) -> bool) -> Option<Place> {
        let (mut bucket, mut wanted) = self.home_and_match(position);
        for _ in 0..self.reach() {
            let words = &self.buckets[bucket].0;
            for (index, word) in words.iter().enumerate() {
                if word & MATCH == wanted && *word != 0 && is_it(word) {
                    return Some(Place { bucket: bucket as u16, word: index as u16 });
                }
            }
            if words[WORDS - 1] == 0 {
                return None;
            }
            bucket = self.after(bucket);
            wanted += 1;
        }
        None
    }

    /// The word at a place that holds one.
    ///
    /// # Panics
    /// If it does not.
    #[inline]
    pub(super) fn word(&self, place: Place) -> &u64 {
        let word = &self.buckets[place.bucket as usize].0[place.word as usize];
        assert_ne!(*word, 0, "a place is used after its entry was removed");
        word
    }

    /// Replaces pointer and expiry flag of the word at a place.
    #[inline]
    pub(super) fn set_payload(&mut self, place: Place, payload: u64) {
        let word = &mut self.buckets[place.bucket as usize].0[place.word as usize];
        *word = *word & MATCH | payload;
    }

    /// Puts a word where a position belongs, or returns `None` when there is no room in reach.
    #[inline]
    pub(super) fn place(&mut self, position: u32, payload: u64) -> Option<Place> {
        let (mut bucket, mut word) = self.home_and_match(position);
        word |= payload;
        for _ in 0..self.reach() {
            let words = &mut self.buckets[bucket].0;
            if words[WORDS - 1] == 0 {
                let index = words.iter().position(|&word| word == 0)?;
                words[index] = word;
                return Some(Place { bucket: bucket as u16, word: index as u16 });
            }
            bucket = self.after(bucket);
            word += 1;
        }
        None
    }

    /// Removes a word and fills the hole: with the last of its bucket, or, when that was full, with one that had to
    /// pass it by. Other places are no longer valid.
    pub(super) fn remove(&mut self, place: Place) {
        let mut hole = place;
        'pull: loop {
            let bucket = hole.bucket as usize;
            let words = &mut self.buckets[bucket].0;
            let was_full = words[WORDS - 1] != 0;
            let last = words.iter().rposition(|&word| word != 0).expect("the word is still there");
            words[hole.word as usize] = words[last];
            words[last] = 0;
            if !was_full {
                return;
            }
            for steps in 1..self.reach() {
                let later = self.ahead(bucket, steps);
                let words = &self.buckets[later].0;
                if let Some(index) =
                    words.iter().position(|&word| word != 0 && displacement(word) >= steps)
                {
                    self.buckets[bucket].0[last] = words[index] - steps as u64;
                    hole = Place { bucket: later as u16, word: index as u16 };
                    continue 'pull;
                }
                if words[WORDS - 1] == 0 {
                    // Nothing passed this one by, so nothing beyond passed the hole by.
                    return;
                }
            }
            return;
        }
    }

    /// Moves all words to `count` new buckets; `None` if they do not fit there. `position_of` tells the position of a
    /// word's entry.
    pub(super) fn resized(
        &self,
        count: usize,
        position_of: impl Fn(&u64) -> u32,
    ) -> Option<Buckets> {
        let mut resized = Buckets::new(count);
        let known = position_bits(self.count()) >= position_bits(count);
        for (bucket, words) in self.buckets.iter().enumerate() {
            for word in words.0.iter().take_while(|&&word| word != 0) {
                let position =
                    if known { self.position_of_word(bucket, *word) } else { position_of(word) };
                resized.place(position, word & PAYLOAD)?;
            }
        }
        Some(resized)
    }

    /// The leading bits of the position of a word in this bucket.
    #[inline]
    fn position_of_word(&self, bucket: usize, word: u64) -> u32 {
        let displacement = displacement(word);
        let home = if displacement <= bucket {
            bucket - displacement
        } else {
            bucket + self.count() - displacement
        };
        // Less than one full round of tags lies in a bucket, so the tag says which of its positions it is.
        let first = self.first_leading(home);
        let tag = (word >> TAG_SHIFT) as u32;
        let leading = first + (tag.wrapping_sub(first) & TAG_MASK);
        leading << (u32::BITS - position_bits(self.count()))
    }

    /// The least leading bits of a position whose home is this bucket.
    #[inline]
    fn first_leading(&self, home: usize) -> u32 {
        (home << position_bits(self.count())).div_ceil(self.count()) as u32
    }

    /// The home bucket of a position.
    pub(super) fn home(&self, position: u32) -> usize {
        self.home_and_match(position).0
    }

    /// The least position whose home is this bucket.
    pub(super) fn first_position(&self, home: usize) -> u32 {
        self.first_leading(home) << (u32::BITS - position_bits(self.count()))
    }

    /// The words whose home is this bucket.
    pub(super) fn words_of_home(&self, home: usize) -> impl Iterator<Item = &u64> {
        let mut passed_by = true;
        (0..self.reach())
            .map(move |steps| (steps, &self.buckets[self.ahead(home, steps)].0))
            .take_while(move |(_, words)| std::mem::replace(&mut passed_by, words[WORDS - 1] != 0))
            .flat_map(|(steps, words)| {
                words.iter().filter(move |&&word| word != 0 && displacement(word) == steps)
            })
    }

    /// The words of one bucket, whatever their home.
    #[inline]
    pub(super) fn words_in(&self, bucket: usize) -> impl Iterator<Item = &u64> {
        self.buckets[bucket].0.iter().take_while(|&&word| word != 0)
    }

    /// A place by its numbers, if a word lies there.
    #[inline]
    pub(super) fn place_at(&self, bucket: usize, word: usize) -> Option<Place> {
        let lies_there = word < WORDS && self.buckets[bucket].0[word] != 0;
        lies_there.then_some(Place { bucket: bucket as u16, word: word as u16 })
    }

    /// All words, in the order of their buckets.
    pub(super) fn words(&self) -> impl Iterator<Item = &u64> {
        self.buckets.iter().flat_map(|bucket| bucket.0.iter().take_while(|&&word| word != 0))
    }

    /// Fetches the line of a position's home bucket.
    #[inline]
    pub(super) fn prefetch(&self, position: u32) {
        if let Some(bucket) = self.buckets.get(self.home(position)) {
            prefetch(bucket);
        }
    }

    /// The word that seems to be the position's entry, by home bucket and tag alone.
    #[inline]
    pub(super) fn likely_word(&self, position: u32) -> Option<&u64> {
        let (home, wanted) = self.home_and_match(position);
        self.buckets.get(home)?.0.iter().find(|&&word| word & MATCH == wanted && word != 0)
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        for (number, bucket) in self.buckets.iter().enumerate() {
            let filled = bucket.0.iter().take_while(|&&word| word != 0).count();
            assert!(bucket.0[filled..].iter().all(|&word| word == 0), "hole in bucket {number}");
            for &word in &bucket.0[..filled] {
                for steps in 1..=displacement(word) {
                    let before = (number + self.count() - steps) % self.count();
                    assert_ne!(
                        self.buckets[before].0[WORDS - 1],
                        0,
                        "bucket {before} was passed by, but is not full"
                    );
                }
            }
        }
    }
}

/// The bucket counts in use, ascending.
pub(super) fn bucket_counts() -> impl Iterator<Item = usize> {
    BUCKET_COUNTS.iter().map(|&count| count as usize)
}

/// Entries that so many buckets may hold.
#[inline]
pub(super) const fn capacity(buckets: usize) -> usize {
    // A single bucket cannot overflow, so it can as well be full.
    if buckets == 1 { WORDS } else { buckets * (WORDS - 1) }
}

/// How many leading bits of a position count with so many buckets. A tag has 15 bits; the bucket gives the rest, for
/// which a bucket's share of the positions must be less than one round of tags.
#[inline]
const fn position_bits(buckets: usize) -> u32 {
    TAG_BITS + if buckets > 16 { 4 } else { 0 } + if buckets > 256 { 4 } else { 0 }
}

#[inline]
fn displacement(word: u64) -> usize {
    (word & DISPLACEMENT) as usize
}

/// Asks the processor to fetch the line a reference points to.
#[inline]
pub(super) fn prefetch<T>(target: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that could be seen, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(target.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = target;
}
