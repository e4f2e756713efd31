//! Buckets of a hash index: where the numbers of records lie. This file moves numbers about and knows nothing of
//! records.
//!
//! A bucket is a cache line with room for twelve numbers, filled from the front. For each there are a tag of eight bits
//! of its position, and two bits for its displacement: how many buckets after its home it lies. A position is a
//! fraction of 2⁶⁴, and the home bucket is that fraction of the bucket count, so homes are in the order of positions
//! whatever the count; scans rely on it. A full home overflows into the next three buckets, round the end to the first;
//! if they are full too, others in them move on to make room. Each bucket counts how many have passed it by, so a search knows where to end, and a removal need not fill its hole.
//!
//! Only the leading bits of a position count, eight more than it takes to number the buckets, so that home and tag
//! together give all of them: between two powers of two the bucket count can change without a look at the records.

/// Numbers that a bucket has room for.
pub(super) const SLOTS: usize = 12;

/// Bucket counts in use: those whose bytes are an allocator's size class, so that nothing is lost there.
const BUCKET_COUNTS: [u16; 28] = [
    1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160,
    192, 224, 256,
];

/// The largest of them. Nothing that touches all of a segment's buckets moves more than a few thousand numbers.
pub(super) const BUCKETS_MAX: usize = BUCKET_COUNTS[BUCKET_COUNTS.len() - 1] as usize;

const TAG_BITS: u32 = 8;

/// Buckets in which a number may lie: its home and three more.
const REACH: usize = 4;

/// Buckets that are looked at for a free slot.
const SEARCH: usize = 48;

/// Where the tags end and the displacements begin.
const INFO: usize = SLOTS;
const DISPLACEMENT_BITS: usize = 2;
const COUNT_SHIFT: usize = SLOTS * DISPLACEMENT_BITS;
const PASSED_SHIFT: usize = COUNT_SHIFT + 4;

/// From here on nobody knows how many have passed by: the count stays.
const PASSED_MAX: u32 = 15;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bucket {
    numbers: [u32; SLOTS],
    /// Twelve tags. Then 32 bits: the displacements (0…23), how many slots are full (24…27), and how many numbers have
    /// passed by (28…31).
    tags_and_info: [u8; 16],
}

const _: () = assert!(size_of::<Bucket>() == 64);

/// Where a number lies, until numbers move.
#[derive(Clone, Copy)]
struct Place {
    bucket: usize,
    slot: usize,
}

#[derive(Clone, Default)]
pub(super) struct Buckets {
    buckets: Box<[Bucket]>,
    /// How many leading bits of a position count.
    bits: u32,
}

impl Bucket {
    const EMPTY: Bucket = Bucket { numbers: [0; SLOTS], tags_and_info: [0; 16] };

    #[inline]
    fn info(&self) -> u32 {
        (u128::from_le_bytes(self.tags_and_info) >> (INFO * 8)) as u32
    }

    #[inline]
    fn set_info(&mut self, info: u32) {
        self.tags_and_info[INFO..].copy_from_slice(&info.to_le_bytes());
    }

    #[inline]
    fn count(&self) -> usize {
        (self.info() >> COUNT_SHIFT) as usize & 15
    }

    #[inline]
    fn passed(&self) -> u32 {
        self.info() >> PASSED_SHIFT
    }

    #[inline]
    fn displacement(&self, slot: usize) -> usize {
        (self.info() >> (slot * DISPLACEMENT_BITS)) as usize & (REACH - 1)
    }

    /// The slots that have a tag and a displacement.
    #[inline]
    fn matching(&self, tag: u8, displacement: usize) -> impl Iterator<Item = usize> {
        const LOW_BITS: u128 = u128::from_ne_bytes([0x7f; 16]);
        let full = (1u128 << (self.count() * 8)) - 1;
        // A byte of `other` is 0 where the tag is the same; its upper bit in `same` says so.
        let other = u128::from_le_bytes(self.tags_and_info) ^ u128::from_ne_bytes([tag; 16]);
        let mut same = !(((other & LOW_BITS) + LOW_BITS) | other | LOW_BITS) & full;
        std::iter::from_fn(move || {
            if same == 0 {
                return None;
            }
            let slot = same.trailing_zeros() as usize / 8;
            same &= same - 1;
            Some(slot)
        })
        .filter(move |&slot| self.displacement(slot) == displacement)
    }

    /// Puts a number into the first free slot, which there is.
    #[inline]
    fn push(&mut self, number: u32, tag: u8, displacement: usize) {
        let slot = self.count();
        self.numbers[slot] = number;
        self.tags_and_info[slot] = tag;
        let info = self.info() | (displacement as u32) << (slot * DISPLACEMENT_BITS);
        self.set_info(info + (1 << COUNT_SHIFT));
    }

    /// Takes the number of a slot out; the last one takes its place.
    #[inline]
    fn take(&mut self, slot: usize) {
        let last = self.count() - 1;
        self.numbers[slot] = self.numbers[last];
        self.tags_and_info[slot] = self.tags_and_info[last];
        let moved = self.displacement(last) as u32;
        let info = self.info() & !(3 << (slot * DISPLACEMENT_BITS));
        let info =
            (info | moved << (slot * DISPLACEMENT_BITS)) & !(3 << (last * DISPLACEMENT_BITS));
        self.set_info(info - (1 << COUNT_SHIFT));
    }

    /// One more has passed by.
    #[inline]
    fn count_passed(&mut self) {
        if self.passed() < PASSED_MAX {
            self.set_info(self.info() + (1 << PASSED_SHIFT));
        }
    }

    /// One that has passed by is gone.
    #[inline]
    fn uncount_passed(&mut self) {
        if self.passed() < PASSED_MAX {
            self.set_info(self.info() - (1 << PASSED_SHIFT));
        }
    }
}

impl Buckets {
    /// # Panics
    /// If `count` is 0.
    pub(super) fn new(count: usize) -> Buckets {
        let bits = TAG_BITS + if count > 1 { (count - 1).ilog2() } else { 0 };
        Buckets { buckets: vec![Bucket::EMPTY; count].into_boxed_slice(), bits }
    }

    /// Number of buckets.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.buckets.len()
    }

    /// How many leading bits of a position are known of each number.
    #[inline]
    pub(super) fn bits(&self) -> u32 {
        self.bits
    }

    #[inline]
    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    #[inline]
    fn home_and_tag(&self, position: u64) -> (usize, u8) {
        let leading = (position >> (u64::BITS - self.bits)) as usize;
        ((leading * self.count()) >> self.bits, leading as u8)
    }

    /// The home bucket of a position.
    #[inline]
    pub(super) fn home(&self, position: u64) -> usize {
        self.home_and_tag(position).0
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

    #[inline]
    fn find_place(&self, position: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<Place> {
        let (home, tag) = self.home_and_tag(position);
        for steps in 0..self.reach() {
            let number = self.ahead(home, steps);
            let bucket = &self.buckets[number];
            for slot in bucket.matching(tag, steps) {
                if is_it(bucket.numbers[slot]) {
                    return Some(Place { bucket: number, slot });
                }
            }
            if bucket.passed() == 0 {
                return None;
            }
        }
        None
    }

    /// The first number of this position that `is_it` accepts.
    #[inline]
    pub(super) fn find(&self, position: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.find_place(position, is_it).map(|place| self.buckets[place.bucket].numbers[place.slot])
    }

    /// Puts a number where a position belongs, or returns false when there is no room in reach.
    #[inline]
    pub(super) fn insert(&mut self, position: u64, number: u32) -> bool {
        let (home, tag) = self.home_and_tag(position);
        if self.buckets[home].count() < SLOTS {
            self.buckets[home].push(number, tag, 0);
            return true;
        }
        self.insert_behind(home, tag, number)
    }

    /// As [`Self::insert`] when the home is full.
    fn insert_behind(&mut self, home: usize, tag: u8, number: u32) -> bool {
        let looked_at = 1..self.count().min(SEARCH);
        let free = |&steps: &usize| self.buckets[self.ahead(home, steps)].count() < SLOTS;
        let Some(mut steps) = looked_at.into_iter().find(free) else { return false };
        // What is out of reach comes nearer by moving others there (hopscotch hashing: Herlihy, Shavit and Tzafrir,
        // 2008).
        while steps >= REACH {
            let Some(nearer) = (1..REACH).rev().find(|&back| self.make_hole(home, steps, back))
            else {
                return false;
            };
            steps -= nearer;
        }
        let bucket = self.ahead(home, steps);
        self.buckets[bucket].push(number, tag, steps);
        self.count_passed(home, steps);
        true
    }

    /// Moves a number to the free slot that is `steps` ahead of `home`, from `back` before it.
    fn make_hole(&mut self, home: usize, steps: usize, back: usize) -> bool {
        let (to, from) = (self.ahead(home, steps), self.ahead(home, steps - back));
        let bucket = &mut self.buckets[from];
        let movable = (0..bucket.count()).find(|&slot| bucket.displacement(slot) + back < REACH);
        let Some(slot) = movable else { return false };
        let (number, tag) = (bucket.numbers[slot], bucket.tags_and_info[slot]);
        let displacement = bucket.displacement(slot) + back;
        bucket.take(slot);
        self.buckets[to].push(number, tag, displacement);
        self.count_passed(from, back);
        true
    }

    /// One more has passed by a bucket and some after it, `steps` in all.
    fn count_passed(&mut self, bucket: usize, steps: usize) {
        for passed in 0..steps {
            let passed = self.ahead(bucket, passed);
            self.buckets[passed].count_passed();
        }
    }

    /// Puts another number in the place of one that lies at this position; false if it does not.
    #[inline]
    pub(super) fn replace(&mut self, position: u64, old: u32, new: u32) -> bool {
        let Some(place) = self.find_place(position, |number| number == old) else { return false };
        self.buckets[place.bucket].numbers[place.slot] = new;
        true
    }

    /// Takes out a number that lies at this position; false if it does not.
    pub(super) fn remove(&mut self, position: u64, number: u32) -> bool {
        let Some(place) = self.find_place(position, |other| other == number) else { return false };
        let home = self.home(position);
        for steps in 0..self.buckets[place.bucket].displacement(place.slot) {
            let passed = self.ahead(home, steps);
            self.buckets[passed].uncount_passed();
        }
        self.buckets[place.bucket].take(place.slot);
        true
    }

    /// All numbers, each with the leading [`bits`](Self::bits) of its position.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u32)> {
        self.buckets.iter().enumerate().flat_map(move |(index, bucket)| {
            (0..bucket.count()).map(move |slot| {
                let displacement = bucket.displacement(slot);
                let home = if displacement <= index {
                    index - displacement
                } else {
                    index + self.count() - displacement
                };
                // Not more than one full round of tags lies in a bucket, so the tag says which of its positions it is.
                let first = self.first_leading(home);
                let tag = u64::from(bucket.tags_and_info[slot]);
                let leading = first + (tag.wrapping_sub(first) & ((1 << TAG_BITS) - 1));
                (leading << (u64::BITS - self.bits), bucket.numbers[slot])
            })
        })
    }

    /// The least leading bits of a position whose home is this bucket.
    #[inline]
    fn first_leading(&self, home: usize) -> u64 {
        (home << self.bits).div_ceil(self.count()) as u64
    }

    /// The least position whose home is this bucket.
    pub(super) fn first_position(&self, home: usize) -> u64 {
        self.first_leading(home) << (u64::BITS - self.bits)
    }

    /// The numbers whose home is this bucket.
    pub(super) fn of_home(&self, home: usize) -> impl Iterator<Item = u32> {
        let mut passed = 1;
        (0..self.reach())
            .map(move |steps| (steps, &self.buckets[self.ahead(home, steps)]))
            .take_while(move |(_, bucket)| std::mem::replace(&mut passed, bucket.passed()) > 0)
            .flat_map(|(steps, bucket)| {
                (0..bucket.count())
                    .filter(move |&slot| bucket.displacement(slot) == steps)
                    .map(|slot| bucket.numbers[slot])
            })
    }

    /// The number in a slot of a bucket, if one is there.
    #[inline]
    pub(super) fn at(&self, bucket: usize, slot: usize) -> Option<u32> {
        let bucket = &self.buckets[bucket];
        (slot < bucket.count()).then(|| bucket.numbers[slot])
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self) {
        let mut passed = vec![0; self.count()];
        for (index, bucket) in self.buckets.iter().enumerate() {
            for slot in 0..bucket.count() {
                for steps in 1..=bucket.displacement(slot) {
                    passed[(index + self.count() - steps) % self.count()] += 1;
                }
            }
        }
        for (bucket, passed) in self.buckets.iter().zip(passed) {
            assert!(bucket.passed() == passed || bucket.passed() == PASSED_MAX);
        }
    }
}

/// The bucket counts in use, ascending.
pub(super) fn bucket_counts() -> impl Iterator<Item = usize> {
    BUCKET_COUNTS.iter().map(|&count| count as usize)
}

/// Numbers that so many buckets may hold.
#[inline]
pub(super) const fn capacity(buckets: usize) -> usize {
    // A single bucket cannot overflow, so it can as well be full.
    if buckets == 1 { SLOTS } else { buckets * SLOTS * 7 / 8 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Positions that crowd in few places.
    fn position() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), (0..6u64).prop_map(|place| place << 61), Just(u64::MAX)]
    }

    proptest! {
        #[test]
        fn buckets_hold_what_a_map_holds(
            count in prop::sample::select(bucket_counts().take(20).collect::<Vec<_>>()),
            steps in prop::collection::vec((position(), any::<usize>(), 0..3u8), 0..600),
        ) {
            let mut buckets = Buckets::new(count);
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (number, (position, which, what)) in steps.into_iter().enumerate() {
                let number = number as u32;
                let chosen = which.checked_rem(model.len());
                let chosen = chosen.and_then(|index| model.iter().nth(index)).map(|(&n, &p)| (n, p));
                match (what, chosen) {
                    (0, Some((old, position))) => {
                        prop_assert!(buckets.remove(position, old));
                        prop_assert!(!buckets.remove(position, old));
                        model.remove(&old);
                    }
                    (1, Some((old, position))) => {
                        prop_assert!(buckets.replace(position, old, number));
                        model.remove(&old);
                        model.insert(number, position);
                    }
                    _ => {
                        if buckets.insert(position, number) {
                            model.insert(number, position);
                        }
                    }
                }
                buckets.check_invariants();
            }
            let shift = u64::BITS - buckets.bits();
            let found: BTreeMap<u32, u64> =
                buckets.iter().map(|(position, number)| (number, position >> shift)).collect();
            let leading = model.iter().map(|(&number, &position)| (number, position >> shift));
            prop_assert_eq!(&found, &leading.collect());
            for (&number, &position) in &model {
                prop_assert_eq!(buckets.find(position, |other| other == number), Some(number));
                let home = buckets.home(position);
                prop_assert_eq!(buckets.of_home(home).filter(|&other| other == number).count(), 1);
                prop_assert!(buckets.first_position(home) <= position);
            }
            let homes = (0..count).map(|home| buckets.of_home(home).count()).sum::<usize>();
            prop_assert_eq!(homes, model.len());
            let slots = (0..count).flat_map(|bucket| (0..SLOTS).map(move |slot| (bucket, slot)));
            let at = slots.filter_map(|(bucket, slot)| buckets.at(bucket, slot));
            prop_assert_eq!(at.count(), model.len());
        }
    }

    #[test]
    fn spread_positions_fit_up_to_the_capacity() {
        for count in bucket_counts() {
            let mut buckets = Buckets::new(count);
            let mut random = 7u64;
            let placed = (0..capacity(count) as u32).take_while(|&number| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                buckets.insert((random ^ random >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9), number)
            });
            assert_eq!(placed.count(), capacity(count), "in {count} buckets");
            buckets.check_invariants();
        }
    }
}
