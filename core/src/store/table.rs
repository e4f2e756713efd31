//! The table of one slot: nothing, one segment, or many.
//!
//! A slot usually holds a few thousand entries at most, which fit one segment. One hash tag can put millions into it:
//! then a directory leads from the leading bits of a position to a segment for that range of positions. A full segment
//! is split in two and two nearly empty neighbours are merged, so no step moves more than a few thousand entries
//! (doubling the directory copies four bytes per segment).

use super::buckets::{Place, prefetch};
use super::entry::{EntryRef, OwnedEntry};
use super::key::Hasher;
use super::segment::Segment;

/// Ranges of positions are halved at most this often: further, only entries with nearly the same hash would be split,
/// which a hash with a secret seed does not bring.
const DEPTH_MAX: u32 = 24;

/// Two neighbours are merged when they hold no more than this together, well below what makes a segment split.
const MERGE_LEN_MAX: usize = 1_024;

/// Each in a cache line half, so that a look at one costs one line.
#[repr(align(32))]
pub(super) struct SlotTable(Form);

const _: () = assert!(size_of::<SlotTable>() == 32);

enum Form {
    /// At most one segment; also the empty table.
    Single(Segment),
    Split(Box<Directory>),
}

/// An entry's place in a table, until the table changes.
#[derive(Clone, Copy)]
pub(super) struct TablePlace {
    segment: u32,
    place: Place,
}

struct Directory {
    /// 2^depth numbers of segments, by the leading bits of the position.
    index: Vec<u32>,
    depth: u32,
    parts: Vec<Part>,
    len: usize,
    expiring: usize,
    next_expiry: i64,
    bucket_bytes: usize,
}

/// A segment with the range of positions that it holds: those whose leading `depth` bits are `prefix`.
struct Part {
    segment: Segment,
    prefix: u32,
    depth: u32,
}

/// The counts of a table that its database adds up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counts {
    pub(super) len: usize,
    pub(super) expiring: usize,
    pub(super) table_bytes: usize,
}

impl SlotTable {
    pub(super) fn new() -> SlotTable {
        SlotTable(Form::Single(Segment::new()))
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Form::Single(segment) => segment.len(),
            Form::Split(directory) => directory.len,
        }
    }

    #[inline]
    pub(super) fn counts(&self) -> Counts {
        match &self.0 {
            Form::Single(segment) => Counts {
                len: segment.len(),
                expiring: segment.expiring(),
                table_bytes: segment.memory_bytes(),
            },
            Form::Split(directory) => Counts {
                len: directory.len,
                expiring: directory.expiring,
                table_bytes: directory.memory_bytes(),
            },
        }
    }

    /// No entry expires earlier; `i64::MAX` when none expires.
    #[inline]
    pub(super) fn next_expiry(&self) -> i64 {
        match &self.0 {
            Form::Single(segment) => segment.next_expiry(),
            Form::Split(directory) => directory.next_expiry,
        }
    }

    #[inline]
    pub(super) fn find(&self, position: u32, key: &[u8]) -> Option<TablePlace> {
        match &self.0 {
            Form::Single(segment) => {
                segment.find(position, key).map(|place| TablePlace { segment: 0, place })
            }
            Form::Split(directory) => {
                let (number, part) = directory.part(position);
                let place = part.segment.find(part.local(position), key)?;
                Some(TablePlace { segment: number, place })
            }
        }
    }

    #[inline]
    pub(super) fn entry(&self, place: TablePlace) -> EntryRef<'_> {
        match &self.0 {
            Form::Single(segment) => segment.entry(place.place),
            Form::Split(directory) => {
                directory.parts[place.segment as usize].segment.entry(place.place)
            }
        }
    }

    /// Lets `f` change the entry, its key excepted.
    #[inline]
    pub(super) fn update<R>(
        &mut self,
        place: TablePlace,
        f: impl FnOnce(&mut OwnedEntry) -> R,
    ) -> R {
        match &mut self.0 {
            Form::Single(segment) => segment.update(place.place, f),
            Form::Split(directory) => {
                directory.change(place.segment, |part| part.segment.update(place.place, f))
            }
        }
    }

    /// As [`OwnedEntry::overwrite_same_shape`].
    #[inline]
    pub(super) fn overwrite_same_shape(
        &mut self,
        place: TablePlace,
        value: &[u8],
        access: u32,
    ) -> bool {
        self.segment_mut(place).overwrite_same_shape(place.place, value, access)
    }

    pub(super) fn string_mut(&mut self, place: TablePlace) -> &mut [u8] {
        self.segment_mut(place).string_mut(place.place)
    }

    #[inline]
    fn segment_mut(&mut self, place: TablePlace) -> &mut Segment {
        match &mut self.0 {
            Form::Single(segment) => segment,
            Form::Split(directory) => &mut directory.parts[place.segment as usize].segment,
        }
    }

    /// Puts in an entry whose key is not there yet.
    #[inline]
    pub(super) fn insert(
        &mut self,
        position: u32,
        mut entry: OwnedEntry,
        hasher: &Hasher,
    ) -> TablePlace {
        loop {
            match &mut self.0 {
                Form::Single(segment) => match segment.insert(position, entry) {
                    Ok(place) => return TablePlace { segment: 0, place },
                    Err(back) => {
                        entry = back;
                        if !segment.grow(|entry| hasher.position(entry.key())) {
                            let whole = std::mem::replace(segment, Segment::new());
                            let mut directory = Box::new(Directory::new(whole));
                            directory.split(0, hasher);
                            self.0 = Form::Split(directory);
                        }
                    }
                },
                Form::Split(directory) => {
                    let (number, _) = directory.part(position);
                    let inserted = directory.change(number, |part| {
                        let local = part.local(position);
                        part.segment.insert(local, entry)
                    });
                    match inserted {
                        Ok(place) => return TablePlace { segment: number, place },
                        Err(back) => {
                            entry = back;
                            if !directory.change(number, |part| part.grow(hasher)) {
                                directory.split(number, hasher);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Takes an entry out. Places are no longer valid.
    pub(super) fn remove(&mut self, place: TablePlace, hasher: &Hasher) -> OwnedEntry {
        let entry = match &mut self.0 {
            Form::Single(segment) => segment.remove(place.place),
            Form::Split(directory) => {
                directory.change(place.segment, |part| part.segment.remove(place.place))
            }
        };
        self.tidy(place.segment, hasher);
        entry
    }

    /// After removals: gives back buckets of a segment, or the segment, or the directory.
    fn tidy(&mut self, number: u32, hasher: &Hasher) {
        match &mut self.0 {
            Form::Single(segment) => {
                if segment.is_sparse() {
                    segment.shrink(|entry| hasher.position(entry.key()));
                }
            }
            Form::Split(directory) => {
                directory.tidy(number, hasher);
                if let [part] = &mut directory.parts[..] {
                    self.0 = Form::Single(std::mem::replace(&mut part.segment, Segment::new()));
                }
            }
        }
    }

    /// Visits entries in the order of their home buckets, from a position on, until `visited` reaches `limit`.
    /// Returns the least position not visited, or `None` at the end.
    pub(super) fn scan<'a>(
        &'a self,
        from: u32,
        limit: usize,
        visited: &mut usize,
        f: &mut impl FnMut(EntryRef<'a>),
    ) -> Option<u32> {
        match &self.0 {
            Form::Single(segment) => segment.scan(from, limit, visited, f),
            Form::Split(directory) => {
                let mut from = from;
                loop {
                    let (_, part) = directory.part(from);
                    if let Some(local) = part.segment.scan(part.local(from), limit, visited, f) {
                        return Some(part.global(local));
                    }
                    from = part.end()?;
                    if *visited >= limit {
                        return Some(from);
                    }
                }
            }
        }
    }

    /// Visits all entries.
    pub(super) fn for_each<'a>(&'a self, f: &mut impl FnMut(EntryRef<'a>)) {
        self.segments().for_each(|segment| segment.for_each(f));
    }

    /// As [`Segment::sample`].
    pub(super) fn sample<'a>(
        &'a self,
        random: u64,
        limit: usize,
        expiring_only: bool,
        f: &mut impl FnMut(EntryRef<'a>),
    ) -> usize {
        let directory = match &self.0 {
            Form::Single(segment) => return segment.sample(random as u32, limit, expiring_only, f),
            Form::Split(directory) => directory,
        };
        let first = directory.part((random >> 32) as u32).0 as usize;
        let (before, behind) = directory.parts.split_at(first);
        let mut visited = 0;
        for part in behind.iter().chain(before) {
            if visited == limit {
                break;
            }
            if !expiring_only || part.segment.expiring() > 0 {
                visited += part.segment.sample(random as u32, limit - visited, expiring_only, f);
            }
        }
        visited
    }

    /// The entry number `index`, in an order that only changes with the table.
    pub(super) fn nth(&self, mut index: usize) -> Option<EntryRef<'_>> {
        for segment in self.segments() {
            if index < segment.len() {
                return segment.nth(index);
            }
            index -= segment.len();
        }
        None
    }

    fn segments(&self) -> impl Iterator<Item = &Segment> {
        let (single, parts): (Option<&Segment>, &[Part]) = match &self.0 {
            Form::Single(segment) => (Some(segment), &[]),
            Form::Split(directory) => (None, &directory.parts),
        };
        single.into_iter().chain(parts.iter().map(|part| &part.segment))
    }

    /// Takes out what expires before `now`, from the segment of a position on, until `looked_at` reaches `limit`.
    /// Returns the position to go on from, or `None` at the end.
    pub(super) fn expire(
        &mut self,
        from: u32,
        now: i64,
        limit: usize,
        looked_at: &mut usize,
        hasher: &Hasher,
        f: &mut impl FnMut(OwnedEntry),
    ) -> Option<u32> {
        let mut from = from;
        loop {
            let (number, next) = match &mut self.0 {
                Form::Single(segment) => {
                    if segment.next_expiry() < now {
                        *looked_at += segment.expire(now, f);
                    }
                    (0, None)
                }
                Form::Split(directory) => {
                    let (number, part) = directory.part(from);
                    let next = part.end();
                    if part.segment.next_expiry() < now {
                        *looked_at += directory.change(number, |part| part.segment.expire(now, f));
                    }
                    if next.is_none() {
                        directory.refresh_next_expiry();
                    }
                    (number, next)
                }
            };
            // May merge this segment with one before or after it; the positions stay where they are.
            self.tidy(number, hasher);
            from = next?;
            if *looked_at >= limit {
                return Some(from);
            }
        }
    }

    /// Frees some entries, at least `limit` or all, and returns how many.
    pub(super) fn drop_some(&mut self, limit: usize) -> usize {
        let mut dropped = 0;
        if let Form::Split(directory) = &mut self.0 {
            while dropped < limit {
                let Some(part) = directory.parts.pop() else { break };
                dropped += part.segment.len();
            }
            directory.len -= dropped;
            if directory.len > 0 {
                return dropped;
            }
        }
        dropped += if let Form::Single(segment) = &self.0 { segment.len() } else { 0 };
        *self = SlotTable::new();
        dropped
    }

    #[inline]
    pub(super) fn prefetch_bucket(&self, position: u32) {
        match &self.0 {
            Form::Single(segment) => segment.prefetch_bucket(position),
            Form::Split(directory) => {
                let (_, part) = directory.part(position);
                part.segment.prefetch_bucket(part.local(position));
            }
        }
    }

    #[inline]
    pub(super) fn prefetch_entry(&self, position: u32, bytes: usize) {
        match &self.0 {
            Form::Single(segment) => segment.prefetch_entry(position, bytes),
            Form::Split(directory) => {
                let (_, part) = directory.part(position);
                part.segment.prefetch_entry(part.local(position), bytes);
            }
        }
    }

    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch(self);
    }

    #[cfg(test)]
    pub(super) fn check_invariants(&self, hasher: &Hasher) {
        let check = |segment: &Segment, prefix: u32, depth: u32| {
            segment.check_invariants(|entry| {
                let position = hasher.position(entry.key());
                assert_eq!(u64::from(position) >> (32 - depth), u64::from(prefix));
                ((u64::from(position)) << depth) as u32
            });
        };
        match &self.0 {
            Form::Single(segment) => check(segment, 0, 0),
            Form::Split(directory) => {
                assert!(directory.parts.len() > 1);
                for (number, part) in directory.parts.iter().enumerate() {
                    check(&part.segment, part.prefix, part.depth);
                    let places =
                        directory.index.iter().filter(|&&other| other == number as u32).count();
                    assert_eq!(places, 1 << (directory.depth - part.depth));
                    assert_eq!(directory.part(part.global(0)).0, number as u32);
                    assert!(directory.next_expiry <= part.segment.next_expiry());
                }
                assert_eq!(directory.index.len(), 1 << directory.depth);
                assert_eq!(directory.len, self.segments().map(Segment::len).sum());
                assert_eq!(directory.expiring, self.segments().map(Segment::expiring).sum());
                assert_eq!(
                    directory.bucket_bytes,
                    self.segments().map(Segment::memory_bytes).sum()
                );
            }
        }
    }
}

impl Part {
    /// A position of this range, as a fraction of it.
    #[inline]
    fn local(&self, position: u32) -> u32 {
        position << self.depth
    }

    /// The least position of this range that [`Self::local`] maps to `local` or more.
    fn global(&self, local: u32) -> u32 {
        (u64::from(self.prefix) << (u32::BITS - self.depth)) as u32
            + local.div_ceil(1 << self.depth)
    }

    /// The position after the range's last, or `None` if there is none.
    fn end(&self) -> Option<u32> {
        u32::try_from((u64::from(self.prefix) + 1) << (u32::BITS - self.depth)).ok()
    }

    fn grow(&mut self, hasher: &Hasher) -> bool {
        let depth = self.depth;
        self.segment.grow(|entry| hasher.position(entry.key()) << depth)
    }

    /// A part of these entries.
    fn of(entries: Vec<OwnedEntry>, prefix: u32, depth: u32, hasher: &Hasher) -> Part {
        let positioned =
            entries.into_iter().map(|entry| (hasher.position(entry.get().key()) << depth, entry));
        let Ok(segment) = Segment::from_entries(positioned.collect()) else {
            panic!("more than 64 keys share 23 bits of a hash with a secret seed");
        };
        Part { segment, prefix, depth }
    }
}

impl Directory {
    fn new(segment: Segment) -> Directory {
        Directory {
            index: vec![0],
            depth: 0,
            len: segment.len(),
            expiring: segment.expiring(),
            next_expiry: segment.next_expiry(),
            bucket_bytes: segment.memory_bytes(),
            parts: vec![Part { segment, prefix: 0, depth: 0 }],
        }
    }

    fn memory_bytes(&self) -> usize {
        size_of::<Directory>()
            + self.index.capacity() * size_of::<u32>()
            + self.parts.capacity() * size_of::<Part>()
            + self.bucket_bytes
    }

    #[inline]
    fn part(&self, position: u32) -> (u32, &Part) {
        let number = self.index[(u64::from(position) >> (u32::BITS - self.depth)) as usize];
        (number, &self.parts[number as usize])
    }

    /// Lets `f` change a part, and keeps the counts.
    #[inline]
    fn change<R>(&mut self, number: u32, f: impl FnOnce(&mut Part) -> R) -> R {
        let part = &mut self.parts[number as usize];
        self.len -= part.segment.len();
        self.expiring -= part.segment.expiring();
        self.bucket_bytes -= part.segment.memory_bytes();
        let result = f(part);
        self.count(number);
        result
    }

    #[inline]
    fn count(&mut self, number: u32) {
        let segment = &self.parts[number as usize].segment;
        self.len += segment.len();
        self.expiring += segment.expiring();
        self.bucket_bytes += segment.memory_bytes();
        self.next_expiry = self.next_expiry.min(segment.next_expiry());
    }

    fn refresh_next_expiry(&mut self) {
        let all = self.parts.iter().map(|part| part.segment.next_expiry());
        self.next_expiry = all.min().unwrap_or(i64::MAX);
    }

    /// Splits a part into the two halves of its range.
    fn split(&mut self, number: u32, hasher: &Hasher) {
        let Part { prefix, depth, .. } = self.parts[number as usize];
        assert!(depth < DEPTH_MAX, "more than 64 keys share 32 bits of a hash with a secret seed");
        if depth == self.depth {
            self.index = self.index.iter().flat_map(|&number| [number, number]).collect();
            self.depth += 1;
        }
        let entries = self.change(number, |part| part.segment.take_all());
        let is_upper = |entry: &OwnedEntry| {
            let position = hasher.position(entry.get().key());
            position >> (u32::BITS - 1 - depth) & 1 == 1
        };
        let (upper, lower): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_upper);
        self.parts[number as usize] = Part::of(lower, prefix << 1, depth + 1, hasher);
        self.count(number);
        let new = self.parts.len() as u32;
        self.parts.push(Part::of(upper, prefix << 1 | 1, depth + 1, hasher));
        self.count(new);
        self.point_to(new);
    }

    /// Enters a part into the index, for the whole of its range.
    fn point_to(&mut self, number: u32) {
        let Part { prefix, depth, .. } = self.parts[number as usize];
        let width = 1 << (self.depth - depth);
        let first = prefix as usize * width;
        self.index[first..first + width].fill(number);
    }

    /// Shrinks a part's segment, or merges it with its other half.
    fn tidy(&mut self, number: u32, hasher: &Hasher) {
        let mut number = number;
        while self.parts[number as usize].segment.len() <= MERGE_LEN_MAX / 2 {
            let Some(merged) = self.merge(number, hasher) else { break };
            number = merged;
        }
        if self.parts[number as usize].segment.is_sparse() {
            self.change(number, |part| {
                let depth = part.depth;
                part.segment.shrink(|entry| hasher.position(entry.key()) << depth);
            });
        }
    }

    /// Merges a part with the other half of the range that both came from, if both are small enough. Returns the
    /// number of the merged part.
    fn merge(&mut self, number: u32, hasher: &Hasher) -> Option<u32> {
        let Part { prefix, depth, ref segment } = self.parts[number as usize];
        if depth == 0 {
            return None;
        }
        let other = self.index[((prefix ^ 1) as usize) << (self.depth - depth)];
        let buddy = &self.parts[other as usize];
        if buddy.depth != depth || segment.len() + buddy.segment.len() > MERGE_LEN_MAX {
            return None;
        }
        let mut entries = self.change(number, |part| part.segment.take_all());
        entries.extend(self.change(other, |part| part.segment.take_all()));
        self.parts[number as usize] = Part::of(entries, prefix >> 1, depth - 1, hasher);
        self.count(number);
        self.point_to(number);
        // The last part takes the free number.
        self.parts.swap_remove(other as usize);
        let moved = self.parts.len() as u32;
        let merged = if number == moved { other } else { number };
        if other != moved {
            self.point_to(other);
        }
        self.narrow();
        Some(merged)
    }

    /// Halves the index as long as no part needs its depth.
    fn narrow(&mut self) {
        while self.depth > 0 && self.index.chunks_exact(2).all(|pair| pair[0] == pair[1]) {
            self.index = self.index.chunks_exact(2).map(|pair| pair[0]).collect();
            self.depth -= 1;
        }
    }
}
