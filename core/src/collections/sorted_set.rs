//! A large sorted set: a record of score and member for each ([`Records`]), and the order of all ([`Ordered`]).
//!
//! The records answer what a member's score is; the tree, whose elements are scores and numbers of records, answers
//! ranks, and what is at them. Ranges by score or by member are ranges of ranks here. A record that moves gets a new
//! number, which the tree is told at once.
//!
//! A small sorted set is [`packed`].

pub mod packed;

use super::ordered::{Element, Members, Moved, Ordered};
use super::records::{Layout, RecordId, Records, Scored, StillRecords};
use crate::store::Hasher;
use std::collections::HashMap;

#[derive(Clone, Default)]
pub struct SortedSet {
    records: Records<Scored>,
    order: Ordered,
}

/// A sorted set as it was at one moment, for who writes it down while it goes on changing.
pub struct StillSortedSet {
    records: StillRecords<Scored>,
    order: Ordered,
}

impl StillSortedSet {
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// As [`SortedSet::drop_some`].
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.order.drop_some(budget) || self.records.drop_some(budget)
    }

    /// As [`SortedSet::down_from`].
    pub fn down_from(&self, rank: usize) -> impl Iterator<Item = (&[u8], f64)> {
        self.order.down_from(rank).map(|Element { score, id }| {
            (Scored::key(self.records.record(RecordId::from_bits(id))), score)
        })
    }
}

impl Members for Records<Scored> {
    #[inline]
    fn member(&self, id: u32) -> &[u8] {
        self.key(RecordId::from_bits(id))
    }
}

/// Shows the members of numbers that are no longer valid.
struct Stale<'a> {
    records: &'a Records<Scored>,
    new: HashMap<u32, u32>,
}

impl Members for Stale<'_> {
    fn member(&self, id: u32) -> &[u8] {
        self.records.member(*self.new.get(&id).unwrap_or(&id))
    }
}

/// Records that moved while records were put in or taken out. Seldom any.
#[derive(Default)]
struct Moves(Vec<Moved>);

impl Moves {
    fn push(&mut self, record: &[u8], old: RecordId, new: RecordId) {
        let moved = Moved { score: Scored::score(record), old: old.to_bits(), new: new.to_bits() };
        self.0.push(moved);
    }

    /// One move each for records that moved several times.
    fn join(&mut self) {
        let mut index: HashMap<u32, usize> = HashMap::with_capacity(self.0.len());
        let mut joined: Vec<Moved> = Vec::with_capacity(self.0.len());
        for moved in self.0.drain(..) {
            let at = match index.remove(&moved.old) {
                Some(at) => {
                    joined[at].new = moved.new;
                    at
                }
                None => {
                    joined.push(moved);
                    joined.len() - 1
                }
            };
            index.insert(moved.new, at);
        }
        self.0 = joined;
    }
}

impl std::fmt::Debug for SortedSet {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("SortedSet").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl SortedSet {
    pub fn new() -> SortedSet {
        SortedSet::default()
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What is allocated, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.records.memory_bytes() + self.order.memory_bytes()
    }

    /// As [`Records::has_room`].
    pub fn has_room(&self) -> bool {
        self.records.has_room()
    }

    /// Frees about so many allocations, and returns whether something is left. After the first call nothing else may
    /// be called but this.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.order.drop_some(budget) || self.records.drop_some(budget)
    }

    pub fn score(&self, hasher: &Hasher, member: &[u8]) -> Option<f64> {
        let id = self.records.find(hasher.hash(member), member)?;
        Some(self.records.score(id))
    }

    /// How many come before a member, and its score.
    pub fn rank(&self, hasher: &Hasher, member: &[u8]) -> Option<(usize, f64)> {
        let id = self.records.find(hasher.hash(member), member)?;
        let score = self.records.score(id);
        let rank = self.order.rank(score, id.to_bits(), &self.records);
        debug_assert!(rank.is_some());
        Some((rank?, score))
    }

    /// Gives a member the score that `f` makes of the one it has, or leaves it alone where `f` gives none. Returns
    /// the score it had. No score is NaN.
    ///
    /// # Panics
    /// When there is no room: see [`Self::has_room`].
    pub fn update(
        &mut self,
        hasher: &Hasher,
        member: &[u8],
        f: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Option<f64> {
        let hash = hasher.hash(member);
        let Some(id) = self.records.find(hash, member) else {
            if let Some(score) = f(None) {
                self.insert_new(hasher, hash, member, score);
            }
            return None;
        };
        let old = self.records.score(id);
        if let Some(score) = f(Some(old)).filter(|&score| score != old) {
            self.order.update(old, score, id.to_bits(), &self.records);
            self.records.set_score(id, score);
        }
        Some(old)
    }

    /// Gives a member a score. Returns the score it had.
    pub fn set(&mut self, hasher: &Hasher, member: &[u8], score: f64) -> Option<f64> {
        self.update(hasher, member, |_| Some(score))
    }

    fn insert_new(&mut self, hasher: &Hasher, hash: u64, member: &[u8], score: f64) {
        let id = self.insert_record(hasher, hash, member, score);
        self.order.insert(score, id.to_bits(), &self.records);
    }

    /// Puts a member that is not there into the records, not yet into the order.
    fn insert_record(&mut self, hasher: &Hasher, hash: u64, member: &[u8], score: f64) -> RecordId {
        let mut moves = Moves::default();
        let bytes = score.to_le_bytes();
        let parts = Scored::parts(&bytes, member);
        let id = self
            .records
            .insert(hasher, hash, &parts, |record, old, new| moves.push(record, old, new));
        self.follow(moves);
        id
    }

    /// Takes a member out; its score if it was there.
    pub fn remove(&mut self, hasher: &Hasher, member: &[u8]) -> Option<f64> {
        let hash = hasher.hash(member);
        let id = self.records.find(hash, member)?;
        let score = self.records.score(id);
        let removed = self.order.remove(score, id.to_bits(), &self.records);
        debug_assert!(removed);
        let mut moves = Moves::default();
        self.records.remove(hasher, hash, id, |record, old, new| moves.push(record, old, new));
        self.follow(moves);
        Some(score)
    }

    /// Takes out up to `count` members from a rank on, the lowest first, and shows each.
    pub fn remove_range(
        &mut self,
        hasher: &Hasher,
        rank: usize,
        count: usize,
        mut removed: impl FnMut(&[u8], f64),
    ) {
        /// So many are out of the tree and still in the records at once.
        const BATCH: usize = 64;
        let mut rest = count.min(self.len().saturating_sub(rank));
        if rest == 1 {
            return self.remove_nth(hasher, rank, removed);
        }
        let mut batch: Vec<Element> = Vec::with_capacity(rest.min(BATCH));
        while rest > 0 {
            batch.clear();
            self.order.remove_range(rank, rest.min(BATCH), |element| batch.push(element));
            rest -= batch.len();
            for index in 0..batch.len() {
                let Element { score, id } = batch[index];
                let id = RecordId::from_bits(id);
                let member = self.records.key(id);
                removed(member, score);
                let hash = hasher.hash(member);
                let mut moves = Moves::default();
                self.records.remove(hasher, hash, id, |record, old, new| {
                    let waiting = batch[index + 1..].iter_mut();
                    match waiting.into_iter().find(|element| element.id == old.to_bits()) {
                        Some(element) => element.id = new.to_bits(),
                        None => moves.push(record, old, new),
                    }
                });
                self.follow(moves);
            }
        }
    }

    fn remove_nth(&mut self, hasher: &Hasher, rank: usize, removed: impl FnOnce(&[u8], f64)) {
        let Some(Element { score, id }) = self.order.nth(rank) else { return };
        let id = RecordId::from_bits(id);
        let member = self.records.key(id);
        removed(member, score);
        let hash = hasher.hash(member);
        self.order.remove_range(rank, 1, |_| {});
        let mut moves = Moves::default();
        self.records.remove(hasher, hash, id, |record, old, new| moves.push(record, old, new));
        self.follow(moves);
    }

    /// Tells the tree of the new numbers of records.
    #[inline]
    fn follow(&mut self, moves: Moves) {
        if !moves.0.is_empty() {
            self.follow_all(moves);
        }
    }

    #[cold]
    fn follow_all(&mut self, mut moves: Moves) {
        moves.join();
        let new = moves.0.iter().map(|moved| (moved.old, moved.new)).collect();
        self.order.replace_ids(&moves.0, &Stale { records: &self.records, new });
    }

    /// The member and the score at a rank.
    pub fn nth(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.order.nth(rank).map(|element| self.resolve(element))
    }

    /// Members and scores from a rank on, the lowest first.
    pub fn from(&self, rank: usize) -> impl Iterator<Item = (&[u8], f64)> + Clone {
        self.order.from(rank).map(|element| self.resolve(element))
    }

    /// Members and scores from a rank down, the highest first.
    pub fn down_from(&self, rank: usize) -> impl Iterator<Item = (&[u8], f64)> + Clone {
        self.order.down_from(rank).map(|element| self.resolve(element))
    }

    #[inline]
    fn resolve(&self, element: Element) -> (&[u8], f64) {
        (self.records.member(element.id), element.score)
    }

    /// How many scores are lower.
    pub fn count_below(&self, score: f64) -> usize {
        self.order.count_below(score)
    }

    /// How many scores are lower or equal.
    pub fn count_through(&self, score: f64) -> usize {
        self.order.count_through(score)
    }

    /// How many members are less; of a set whose scores are all equal, else it is some number.
    pub fn count_members_below(&self, member: &[u8]) -> usize {
        self.order.count_members_below(member, &self.records)
    }

    /// How many members are less or equal; of a set whose scores are all equal, else it is some number.
    pub fn count_members_through(&self, member: &[u8]) -> usize {
        self.order.count_members_through(member, &self.records)
    }

    /// A member chosen by random bits, each about as likely as any other.
    pub fn random(&self, random: u64) -> Option<(&[u8], f64)> {
        let id = self.records.random(random)?;
        Some((self.records.key(id), self.records.score(id)))
    }

    /// As [`Records::scan`].
    pub fn scan(&self, cursor: u64, limit: usize, mut f: impl FnMut(&[u8], f64)) -> u64 {
        self.records.scan(cursor, limit, |id, _| f(self.records.key(id), self.records.score(id)))
    }

    /// All members and scores, in the order of memory, which is the fastest.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.records.iter().map(|(id, record)| (self.records.key(id), Scored::score(record)))
    }

    /// The sorted set as it is now, which it stays whatever happens to this one. Costs a step for each 64 KiB.
    pub fn hold(&self) -> StillSortedSet {
        StillSortedSet { records: self.records.hold(), order: self.order.clone() }
    }

    /// Puts in a member that is not there and comes behind all that are; false if that is not so.
    pub fn push_back(&mut self, hasher: &Hasher, member: &[u8], score: f64) -> bool {
        let hash = hasher.hash(member);
        let is_behind = self.order.last().is_none_or(|last| {
            last.score < score || last.score == score && self.records.member(last.id) < member
        });
        if !is_behind || self.records.contains(hash, member) {
            return false;
        }
        let id = self.insert_record(hasher, hash, member, score);
        self.order.push_back(score, id.to_bits());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn hasher() -> Hasher {
        Hasher::new([1, 2, 3, 4])
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Members from a number on, so many, get a score from a few or from many.
        Set(u32, u32, f64, bool),
        Remove(u32, u32),
        RemoveRange(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let numbers = (0..4_000u32, 0..1_500u32);
        prop_oneof![
            4 => (numbers.clone(), 0..3i32, any::<bool>())
                .prop_map(|((from, count), score, few)| Step::Set(from, count, score.into(), few)),
            3 => numbers.prop_map(|(from, count)| Step::Remove(from, count)),
            1 => (0..4_000usize, prop_oneof![1 => Just(1usize), 2 => 0..2_000usize]).prop_map(|(rank, count)| Step::RemoveRange(rank, count)),
        ]
    }

    fn member(number: u32) -> Vec<u8> {
        format!("member:{}", number.wrapping_mul(2_654_435_761)).into_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn any_steps_give_what_a_map_gives(steps in prop::collection::vec(step(), 0..24)) {
            let hasher = hasher();
            let mut set = SortedSet::new();
            let mut model: BTreeMap<Vec<u8>, f64> = BTreeMap::new();
            let sorted = |model: &BTreeMap<Vec<u8>, f64>| {
                let mut all: Vec<_> = model.iter().map(|(member, score)| (member.clone(), *score)).collect();
                all.sort_by(|one, other| one.1.partial_cmp(&other.1).unwrap().then_with(|| one.0.cmp(&other.0)));
                all
            };
            for step in steps {
                match step {
                    Step::Set(from, count, score, few) => {
                        for number in from..from + count {
                            let score = if few { score } else { f64::from(number % 701) - score };
                            let old = set.set(&hasher, &member(number), score);
                            prop_assert_eq!(old, model.insert(member(number), score));
                        }
                    }
                    Step::Remove(from, count) => {
                        for number in from..from + count {
                            let old = set.remove(&hasher, &member(number));
                            prop_assert_eq!(old, model.remove(&member(number)));
                        }
                    }
                    Step::RemoveRange(rank, count) => {
                        let all = sorted(&model);
                        let start = rank.min(all.len());
                        let end = (start + count).min(all.len());
                        let mut removed = Vec::new();
                        set.remove_range(&hasher, rank, count, |member, score| {
                            removed.push((member.to_vec(), score));
                        });
                        prop_assert_eq!(&removed[..], &all[start..end]);
                        removed.iter().for_each(|(member, _)| {
                            model.remove(member);
                        });
                    }
                }
                set.records.check_invariants(&hasher);
                let all = sorted(&model);
                prop_assert_eq!(set.len(), all.len());
                prop_assert!(set.from(0).eq(all.iter().map(|(member, score)| (&member[..], *score))));
            }
            let all = sorted(&model);
            for (rank, (member, score)) in all.iter().enumerate() {
                prop_assert_eq!(set.rank(&hasher, member), Some((rank, *score)));
            }
            let mut copy = SortedSet::new();
            all.iter().for_each(|(member, score)| assert!(copy.push_back(&hasher, member, *score)));
            prop_assert!(copy.from(0).eq(set.clone().from(0)));
            if let Some((member, score)) = all.last() {
                prop_assert!(!copy.push_back(&hasher, member, *score));
            }
        }
    }

    #[test]
    fn records_that_move_within_one_score_are_followed() {
        let hasher = hasher();
        let mut set = SortedSet::new();
        for number in 0..60_000 {
            set.set(&hasher, &member(number), 1.0);
        }
        for number in (0..60_000).filter(|number| number % 8 != 0) {
            assert_eq!(set.remove(&hasher, &member(number)), Some(1.0));
        }
        let mut left: Vec<_> = (0..60_000).step_by(8).map(member).collect();
        left.sort();
        assert!(set.from(0).map(|pair| pair.0).eq(left.iter().map(Vec::as_slice)));
        for (rank, member) in left.iter().enumerate() {
            assert_eq!(set.rank(&hasher, member), Some((rank, 1.0)));
            assert_eq!(set.count_members_below(member), rank);
        }
    }

    #[test]
    fn a_member_of_twelve_bytes_takes_less_than_fifty() {
        let hasher = hasher();
        for count in [100_000u64, 300_000] {
            let mut set = SortedSet::new();
            for number in 0..count {
                let number = number * 7_919 % count;
                set.set(&hasher, format!("member{number:06}").as_bytes(), number as f64 * 0.5);
            }
            let each = set.memory_bytes() as f64 / count as f64;
            assert!(each < 50.0, "{each} bytes with {count}");
        }
    }

    #[test]
    fn dropped_bit_by_bit_nothing_is_left() {
        fn is_send<T: Send>(_: &T) {}
        let hasher = hasher();
        let mut set = SortedSet::new();
        is_send(&set);
        for number in 0..50_000 {
            set.set(&hasher, &member(number), f64::from(number));
        }
        let mut steps = 1;
        while set.drop_some(4) {
            steps += 1;
        }
        assert!((4..60).contains(&steps), "{steps}");
        assert!(set.memory_bytes() < 200);
    }
}
