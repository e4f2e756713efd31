//! A hash index of record numbers that grows by bounded steps (extendible hashing: Fagin, Nievergelt, Pippenger and
//! Strong, 1979).
//!
//! Numbers lie in segments of at most 256 buckets, each for those hashes that have some leading bits in common; a
//! directory leads from the leading bits to the segment. A full segment is split in two, and two nearly empty
//! neighbours are merged, so no step moves more than a few thousand numbers (doubling the directory copies four bytes
//! per segment). As in the store's tables, the order is that of the hashes whatever the size, so a scan's cursor, which
//! is a hash's leading bits, stays valid.
//!
//! The index knows neither records nor keys: who calls it says whether a number is the one wanted, and what the hash
//! of a number's key is.

use super::buckets::{BUCKETS_MAX, Buckets, SLOTS, bucket_counts, capacity};

/// Segments have at most this many leading bits in common.
const DEPTH_MAX: u32 = 28;

/// Two neighbours are merged when they hold no more than this together, well below what makes a segment split.
const MERGE_LEN_MAX: usize = 600;

/// Bits of a cursor: more than the depth and what counts in a segment. Few, so that any client can carry them.
const CURSOR_BITS: u32 = 48;

#[derive(Clone, Default)]
pub(super) struct HashIndex {
    segments: Vec<Segment>,
    /// 2^depth numbers of segments, by the leading bits of the hash; empty when the depth is 0.
    directory: Vec<u32>,
    depth: u32,
    len: usize,
    bucket_bytes: usize,
}

/// The numbers whose hashes' leading `depth` bits are `prefix`.
#[derive(Clone)]
struct Segment {
    buckets: Buckets,
    len: u32,
    prefix: u32,
    depth: u32,
}

impl HashIndex {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bucket_bytes
            + self.segments.capacity() * size_of::<Segment>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// The number of the segment of a hash, if there are any.
    #[inline]
    fn segment_of(&self, hash: u64) -> usize {
        if self.depth == 0 {
            0
        } else {
            self.directory[(hash >> (u64::BITS - self.depth)) as usize] as usize
        }
    }

    /// The first number of this hash that `is_it` accepts. It is asked for others as well, though seldom.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let segment = self.segments.get(self.segment_of(hash))?;
        segment.buckets.find(segment.local(hash), is_it)
    }

    /// Puts in a number. `hash_of` tells the hash of any number that is there.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        loop {
            let index = self.segment_of(hash);
            if let Some(segment) = self.segments.get_mut(index) {
                if segment.insert(hash, number) {
                    self.len += 1;
                    return;
                }
            }
            self.make_room(index, &hash_of);
        }
    }

    /// Puts another number in the place of one, which has this hash too.
    ///
    /// # Panics
    /// If the old number is not there.
    #[inline]
    pub(super) fn replace(&mut self, hash: u64, old: u32, new: u32) {
        let index = self.segment_of(hash);
        let segment = &mut self.segments[index];
        assert!(segment.buckets.replace(segment.local(hash), old, new), "the number is not there");
    }

    /// Takes a number out.
    ///
    /// # Panics
    /// If it is not there.
    pub(super) fn remove(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        let index = self.segment_of(hash);
        let segment = &mut self.segments[index];
        assert!(segment.buckets.remove(segment.local(hash), number), "the number is not there");
        segment.len -= 1;
        self.len -= 1;
        if segment.is_sparse() || segment.len() <= MERGE_LEN_MAX / 2 && segment.depth > 0 {
            self.tidy(index, &hash_of);
        }
    }

    /// Visits numbers in the order of their hashes, whole buckets of them, until `limit` were visited or
    /// more. Begins at a cursor, at first 0, and
    /// returns the one to go on from, which is 0 at the end.
    ///
    /// A number that is there from the first call to the last is visited at least once, whatever happens to others
    /// between the calls.
    pub(super) fn scan(&self, cursor: u64, limit: usize, mut f: impl FnMut(u32)) -> u64 {
        if self.len == 0 {
            return 0;
        }
        let mut from = cursor << (u64::BITS - CURSOR_BITS);
        let mut visited = 0;
        loop {
            let segment = &self.segments[self.segment_of(from)];
            let buckets = &segment.buckets;
            for home in buckets.home(segment.local(from))..buckets.count() {
                if visited >= limit.max(1) {
                    return segment.global(buckets.first_position(home))
                        >> (u64::BITS - CURSOR_BITS);
                }
                for number in buckets.of_home(home) {
                    visited += 1;
                    f(number);
                }
            }
            match segment.end() {
                Some(end) => from = end,
                None => return 0,
            }
            if visited >= limit.max(1) {
                return from >> (u64::BITS - CURSOR_BITS);
            }
        }
    }

    /// A number chosen by `random`, each about as likely as any other.
    pub(super) fn random(&self, mut random: u64) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        loop {
            // Each segment by its share of the hashes, which is about its share of the numbers; there each place alike.
            // The numbers are found in the first few attempts, as segments are well filled.
            random = mixed(random);
            let buckets = &self.segments[self.segment_of(random)].buckets;
            let place = mixed(random) as u32;
            let bucket = (u64::from(place) * buckets.count() as u64) >> 32;
            let within = place.wrapping_mul(buckets.count() as u32);
            let slot = (u64::from(within) * SLOTS as u64) >> 32;
            if let Some(number) = buckets.at(bucket as usize, slot as usize) {
                return Some(number);
            }
        }
    }

    /// Frees about so many allocations, and returns whether something is left.
    pub(super) fn drop_some(&mut self, budget: usize) -> bool {
        self.segments.truncate(self.segments.len().saturating_sub(budget));
        let is_left = !self.segments.is_empty();
        if !is_left {
            *self = HashIndex::default();
        }
        is_left
    }

    /// Lets a segment grow, or splits it, or makes the first.
    #[cold]
    fn make_room(&mut self, index: usize, hash_of: &impl Fn(u32) -> u64) {
        let Some(segment) = self.segments.get(index) else {
            let first = Segment { buckets: Buckets::new(1), len: 0, prefix: 0, depth: 0 };
            self.bucket_bytes += first.buckets.memory_bytes();
            self.segments = Vec::with_capacity(1);
            self.segments.push(first);
            return;
        };
        let count = segment.buckets.count();
        if count == BUCKETS_MAX || !self.resize(index, count + 1, hash_of) {
            self.split(index, hash_of);
        }
    }

    /// Gives a segment the least bucket count of `count_min` or more that works.
    fn resize(&mut self, index: usize, count_min: usize, hash_of: &impl Fn(u32) -> u64) -> bool {
        let segment = &self.segments[index];
        let resized = Segment::of(
            &segment.entries(),
            segment.depth + segment.buckets.bits(),
            segment.prefix,
            segment.depth,
            count_min,
            hash_of,
        );
        resized.map(|resized| self.put(index, resized)).is_some()
    }

    /// Replaces a segment.
    fn put(&mut self, index: usize, segment: Segment) {
        self.bucket_bytes += segment.buckets.memory_bytes();
        let old = std::mem::replace(&mut self.segments[index], segment);
        self.bucket_bytes -= old.buckets.memory_bytes();
    }

    /// Splits a segment into the two halves of its hashes.
    fn split(&mut self, index: usize, hash_of: &impl Fn(u32) -> u64) {
        let Segment { prefix, depth, .. } = self.segments[index];
        assert!(depth < DEPTH_MAX, "too many keys share a hash with a secret seed");
        if depth == self.depth {
            self.directory = match self.depth {
                0 => vec![0, 0],
                _ => self.directory.iter().flat_map(|&index| [index, index]).collect(),
            };
            self.depth += 1;
        }
        let entries = self.segments[index].buckets.iter();
        let entries = entries.map(|(_, number)| (hash_of(number), number));
        let (upper, lower): (Vec<_>, Vec<_>) =
            entries.partition(|(hash, _)| hash << depth >> (u64::BITS - 1) == 1);
        let half = |entries: Vec<(u64, u32)>, prefix| {
            Segment::of(
                &entries,
                u64::BITS,
                prefix,
                depth + 1,
                with_some_room(entries.len()),
                hash_of,
            )
            .expect("too many keys share a hash with a secret seed")
        };
        self.put(index, half(lower, prefix << 1));
        let upper = half(upper, prefix << 1 | 1);
        self.bucket_bytes += upper.buckets.memory_bytes();
        self.segments.push(upper);
        self.point_to(self.segments.len() - 1);
    }

    /// Enters a segment into the directory, for all of its hashes.
    fn point_to(&mut self, index: usize) {
        let Segment { prefix, depth, .. } = self.segments[index];
        let width = 1 << (self.depth - depth);
        let first = prefix as usize * width;
        if self.depth > 0 {
            self.directory[first..first + width].fill(index as u32);
        }
    }

    /// Merges a segment with its neighbour, or gives back some of its buckets.
    fn tidy(&mut self, index: usize, hash_of: &impl Fn(u32) -> u64) {
        let mut index = index;
        while let Some(merged) = self.merge(index, hash_of) {
            index = merged;
        }
        let segment = &self.segments[index];
        if segment.is_sparse() {
            self.resize(index, with_some_room(segment.len()), hash_of);
        }
    }

    /// Merges a segment with the other half of the one that both came from, if they are small enough. Returns the
    /// number of the merged one.
    fn merge(&mut self, index: usize, hash_of: &impl Fn(u32) -> u64) -> Option<usize> {
        let segment = &self.segments[index];
        let Segment { prefix, depth, .. } = *segment;
        if depth == 0 {
            return None;
        }
        let other_index = self.directory[((prefix ^ 1) as usize) << (self.depth - depth)] as usize;
        let other = &self.segments[other_index];
        let len = segment.len() + other.len();
        if other.depth != depth || len > MERGE_LEN_MAX {
            return None;
        }
        let mut entries = segment.entries();
        entries.extend(other.entries());
        let known = depth + segment.buckets.bits().min(other.buckets.bits());
        let merged =
            Segment::of(&entries, known, prefix >> 1, depth - 1, with_some_room(len), hash_of)?;
        self.put(index, merged);
        self.point_to(index);
        // The last segment takes the free number.
        let removed = self.segments.swap_remove(other_index);
        self.bucket_bytes -= removed.buckets.memory_bytes();
        let moved = self.segments.len();
        if other_index != moved {
            self.point_to(other_index);
        }
        self.narrow();
        self.give_back_segments();
        Some(if index == moved { other_index } else { index })
    }

    /// Halves the directory as long as no segment needs its depth.
    fn narrow(&mut self) {
        while self.depth > 0 && self.directory.chunks_exact(2).all(|pair| pair[0] == pair[1]) {
            self.directory = self.directory.chunks_exact(2).map(|pair| pair[0]).collect();
            self.depth -= 1;
            if self.depth == 0 {
                self.directory = Vec::new();
            }
        }
    }

    fn give_back_segments(&mut self) {
        if self.segments.len() * 4 <= self.segments.capacity() {
            self.segments.shrink_to(self.segments.len() * 2);
        }
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self, hash_of: impl Fn(u32) -> u64) {
        let mut bucket_bytes = 0;
        let mut len = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            segment.buckets.check_invariants();
            assert_eq!(segment.len(), segment.buckets.iter().count());
            for (local, number) in segment.buckets.iter() {
                let known = u64::BITS - segment.depth - segment.buckets.bits();
                assert_eq!(segment.global(local) >> known, hash_of(number) >> known);
            }
            let places = self.directory.iter().filter(|&&other| other == index as u32).count();
            assert_eq!(places, if self.depth == 0 { 0 } else { 1 << (self.depth - segment.depth) });
            assert_eq!(self.segment_of(segment.global(0)), index);
            bucket_bytes += segment.buckets.memory_bytes();
            len += segment.len();
        }
        assert_eq!((len, bucket_bytes), (self.len, self.bucket_bytes));
        assert_eq!(self.directory.len(), if self.depth == 0 { 0 } else { 1 << self.depth });
    }
}

impl Segment {
    #[inline]
    fn len(&self) -> usize {
        self.len as usize
    }

    /// A hash of this segment as a position there.
    #[inline]
    fn local(&self, hash: u64) -> u64 {
        hash << self.depth
    }

    /// The inverse of [`Self::local`].
    fn global(&self, position: u64) -> u64 {
        // In two steps, because the depth may be 0.
        u64::from(self.prefix) << (u64::BITS - 1 - self.depth) << 1 | position >> self.depth
    }

    /// The hash after the segment's last, or `None` if there is none.
    fn end(&self) -> Option<u64> {
        let end = (u128::from(self.prefix) + 1) << (u64::BITS - self.depth);
        u64::try_from(end).ok()
    }

    #[inline]
    fn insert(&mut self, hash: u64, number: u32) -> bool {
        let fits = self.len() < capacity(self.buckets.count())
            && self.buckets.insert(self.local(hash), number);
        self.len += u32::from(fits);
        fits
    }

    /// Whether so few numbers are left that it is worth giving back buckets.
    #[inline]
    fn is_sparse(&self) -> bool {
        let count = self.buckets.count();
        count > 1 && self.len() * 5 <= capacity(count) * 2
    }

    /// All numbers, each with as many leading bits of its hash as are known.
    fn entries(&self) -> Vec<(u64, u32)> {
        let positions = self.buckets.iter();
        positions.map(|(position, number)| (self.global(position), number)).collect()
    }

    /// A segment of these numbers and the leading bits of their hashes, of which so many are known; with `count_min`
    /// buckets or more. `None` if even the largest has no room.
    fn of(
        entries: &[(u64, u32)],
        known: u32,
        prefix: u32,
        depth: u32,
        count_min: usize,
        hash_of: &impl Fn(u32) -> u64,
    ) -> Option<Segment> {
        bucket_counts().filter(|&count| count >= count_min).find_map(|count| {
            let buckets = Buckets::new(count);
            let must_ask = depth + buckets.bits() > known;
            let mut segment = Segment { buckets, len: 0, prefix, depth };
            let all_fit = entries.iter().all(|&(hash, number)| {
                segment.insert(if must_ask { hash_of(number) } else { hash }, number)
            });
            all_fit.then_some(segment)
        })
    }
}

/// The bucket count for so many numbers and some more.
fn with_some_room(len: usize) -> usize {
    let wanted = len + len / 8;
    bucket_counts().find(|&count| capacity(count) >= wanted).unwrap_or(BUCKETS_MAX)
}

/// Other bits for each input, all depending on all (the finaliser of SplitMix64).
fn mixed(bits: u64) -> u64 {
    let mut bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn insert(index: &mut HashIndex, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            index.insert(hash(number), number, hash);
        }
    }

    fn hash(number: u32) -> u64 {
        mixed(u64::from(number))
    }

    fn scan_all(index: &HashIndex, limit: usize) -> Vec<u32> {
        let mut all = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = index.scan(cursor, limit, |number| all.push(number));
            if cursor == 0 {
                return all;
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn an_index_holds_what_a_set_holds(
            steps in prop::collection::vec((any::<bool>(), 0..20_000u32, 0..4_000u32), 0..12),
        ) {
            let mut index = HashIndex::default();
            let mut model = BTreeSet::new();
            for (inserts, from, count) in steps {
                for number in from..from + count {
                    if inserts && model.insert(number) {
                        index.insert(hash(number), number, hash);
                    } else if !inserts && model.remove(&number) {
                        index.remove(hash(number), number, hash);
                    }
                }
                index.check_invariants(hash);
            }
            prop_assert_eq!(index.len(), model.len());
            for number in 0..24_000 {
                let found = index.find(hash(number), |other| other == number);
                prop_assert_eq!(found.is_some(), model.contains(&number));
            }
            let scanned = scan_all(&index, 7);
            prop_assert_eq!(scanned.len(), model.len());
            prop_assert_eq!(scanned.into_iter().collect::<BTreeSet<_>>(), model);
        }

        #[test]
        fn a_scan_sees_what_stays_whatever_comes_and_goes(
            stay in 0..3_000u32,
            steps in prop::collection::vec((any::<bool>(), 0..6u32), 1..12),
            limit in 1..2_000usize,
        ) {
            let mut index = HashIndex::default();
            insert(&mut index, 0..stay);
            let mut others = BTreeSet::new();
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            let mut steps = steps.into_iter().cycle();
            loop {
                cursor = index.scan(cursor, limit, |number| { seen.insert(number); });
                if cursor == 0 {
                    break;
                }
                prop_assert!(cursor < 1 << CURSOR_BITS);
                let (inserts, which) = steps.next().expect("it is a cycle");
                for number in stay + which * 2_000..stay + (which + 1) * 2_000 {
                    if inserts && others.insert(number) {
                        index.insert(hash(number), number, hash);
                    } else if !inserts && others.remove(&number) {
                        index.remove(hash(number), number, hash);
                    }
                }
            }
            prop_assert!((0..stay).all(|number| seen.contains(&number)));
        }
    }

    #[test]
    fn the_order_of_a_scan_does_not_depend_on_the_size() {
        let mut index = HashIndex::default();
        insert(&mut index, 0..20_000);
        let scanned = scan_all(&index, 1);
        let mut sorted = scanned.clone();
        sorted.sort_by_key(|&number| hash(number) >> 40);
        assert_eq!(scanned.len(), 20_000);
        // In buckets that stand for about this much of the range.
        assert!(scanned.iter().zip(&sorted).all(|(&number, &other)| {
            (hash(number) >> 50).abs_diff(hash(other) >> 50) < 1 << 5
        }));
    }

    #[test]
    fn random_numbers_are_spread_evenly() {
        let mut index = HashIndex::default();
        insert(&mut index, 0..20_000);
        let mut counts = vec![0; 20_000];
        for random in 0..400_000 {
            counts[index.random(random).unwrap() as usize] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        // 20 each; a fair choice leaves hardly any outside.
        assert!(*least > 0 && *most < 60, "{least}…{most}");
        assert_eq!(HashIndex::default().random(1), None);
    }

    #[test]
    fn an_index_takes_about_seven_bytes_a_number() {
        let mut index = HashIndex::default();
        for (from, to, most) in [
            (0, 200, 8.5),
            (200, 1_000, 8.0),
            (1_000, 10_000, 7.5),
            (10_000, 100_000, 7.5),
            (100_000, 300_000, 7.5),
        ] {
            insert(&mut index, from..to);
            let each = index.memory_bytes() as f64 / f64::from(to);
            assert!(each < most, "{each} bytes with {to}");
        }
    }

    #[test]
    fn an_emptied_index_has_given_memory_back() {
        let mut index = HashIndex::default();
        insert(&mut index, 0..50_000);
        for number in 0..50_000 - 20 {
            index.remove(hash(number), number, hash);
        }
        index.check_invariants(hash);
        assert!(index.memory_bytes() < 1_000, "{}", index.memory_bytes());
        for number in 50_000 - 20..50_000 {
            index.remove(hash(number), number, hash);
        }
        assert_eq!(index.scan(0, 10, |_| unreachable!()), 0);
        insert(&mut index, [1]);
        assert_eq!(scan_all(&index, 1), [1]);
        let mut index = index.clone();
        insert(&mut index, 2..50_000);
        let mut steps = 1;
        while index.drop_some(3) {
            steps += 1;
        }
        assert!(steps > 3);
        assert_eq!(index.memory_bytes(), 0);
    }
}
