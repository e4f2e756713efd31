//! Sorted sets as commands see them: [`View`] to read one, functions to change one in its entry.
//!
//! A sorted set begins packed and becomes large with more members, or longer ones, than the limits allow; it never goes
//! back. Ranges by score or by member are turned into ranges of ranks first.

use crate::collections::listpack::{self, Element};
use crate::collections::sorted_set::packed::{Packed, PackedMut};
use crate::collections::{Limits, SortedSet};
use crate::error::Error;
use crate::number;
use crate::store::{Collection, Hasher, LargeValue, OwnedEntry, Packing, Value, ValueMut};
use std::cmp::Ordering;
use std::ops::Range;

/// A sorted set to be read.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    Packed(Packed<'a>),
    Large(&'a SortedSet),
}

/// Scores between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    pub min: f64,
    pub min_excluded: bool,
    pub max: f64,
    pub max_excluded: bool,
}

/// Where a range of members begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberBound<'a> {
    /// Before all members.
    First,
    /// Behind all members.
    Last,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
}

/// Members between two bounds, of a sorted set whose scores are all equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberRange<'a> {
    pub min: MemberBound<'a>,
    pub max: MemberBound<'a>,
}

impl ScoreRange {
    /// Bounds as commands have them: a number, with `(` before it if it does not belong to the range.
    pub fn parse(min: &[u8], max: &[u8]) -> Result<ScoreRange, Error> {
        let bound = |text: &[u8]| {
            let (excluded, text) = match text {
                [b'(', rest @ ..] => (true, rest),
                _ => (false, text),
            };
            Some((parse_bound(text)?, excluded))
        };
        let ((min, min_excluded), (max, max_excluded)) =
            bound(min).zip(bound(max)).ok_or(Error::new("ERR min or max is not a float"))?;
        Ok(ScoreRange { min, min_excluded, max, max_excluded })
    }

    fn comes_after(&self, score: f64) -> bool {
        if self.min_excluded { score <= self.min } else { score < self.min }
    }

    fn comes_before(&self, score: f64) -> bool {
        if self.max_excluded { score >= self.max } else { score > self.max }
    }
}

/// A bound as `strtod` reads it: with spaces before it, of any size, and nothing at all for zero.
fn parse_bound(text: &[u8]) -> Option<f64> {
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Some(0.0);
    }
    let too_large =
        || std::str::from_utf8(text).ok()?.parse().ok().filter(|bound: &f64| !bound.is_nan());
    number::parse_double(text).or_else(too_large)
}

impl<'a> MemberRange<'a> {
    /// Bounds as commands have them: `-`, `+`, or a member behind `[` or `(`.
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Result<MemberRange<'a>, Error> {
        let bound = |text: &'a [u8]| match text {
            b"-" => Some(MemberBound::First),
            b"+" => Some(MemberBound::Last),
            [b'[', member @ ..] => Some(MemberBound::Included(member)),
            [b'(', member @ ..] => Some(MemberBound::Excluded(member)),
            _ => None,
        };
        let (min, max) = bound(min)
            .zip(bound(max))
            .ok_or(Error::new("ERR min or max not valid string range item"))?;
        Ok(MemberRange { min, max })
    }
}

impl<'a> View<'a> {
    /// The view of a value that is a sorted set.
    ///
    /// # Panics
    /// If it is something else.
    #[inline]
    pub fn of(value: Value<'a>) -> View<'a> {
        match value {
            Value::Packed(Packing::SortedSet, packed) => View::Packed(Packed::new(packed)),
            Value::SortedSet(set) => View::Large(set),
            _ => panic!("the value is a sorted set"),
        }
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            View::Packed(packed) => packed.len(),
            View::Large(set) => set.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn score(self, hasher: &Hasher, member: &[u8]) -> Option<f64> {
        match self {
            View::Packed(packed) => packed.score(member),
            View::Large(set) => set.score(hasher, member),
        }
    }

    /// How many come before a member, and its score.
    #[inline]
    pub fn rank(self, hasher: &Hasher, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            View::Packed(packed) => packed.rank(member),
            View::Large(set) => set.rank(hasher, member),
        }
    }

    /// The member and the score at a rank.
    pub fn nth(self, rank: usize) -> Option<(Element<'a>, f64)> {
        match self {
            View::Packed(packed) => packed.nth(rank).map(|pair| (pair.member, pair.score)),
            View::Large(set) => {
                set.nth(rank).map(|(member, score)| (Element::Bytes(member), score))
            }
        }
    }

    /// The ranks of the scores in a range.
    pub fn ranks_of_scores(self, range: &ScoreRange) -> Range<usize> {
        let (start, end) = match self {
            View::Packed(packed) => (
                packed.count_while(|pair| range.comes_after(pair.score)),
                packed.count_while(|pair| !range.comes_before(pair.score)),
            ),
            View::Large(set) => (
                if range.min_excluded {
                    set.count_through(range.min)
                } else {
                    set.count_below(range.min)
                },
                if range.max_excluded {
                    set.count_below(range.max)
                } else {
                    set.count_through(range.max)
                },
            ),
        };
        start..end.max(start)
    }

    /// The ranks of the members in a range.
    pub fn ranks_of_members(self, range: &MemberRange) -> Range<usize> {
        let start = match range.min {
            MemberBound::First => 0,
            MemberBound::Last => self.len(),
            MemberBound::Included(member) => self.members_before(member, false),
            MemberBound::Excluded(member) => self.members_before(member, true),
        };
        let end = match range.max {
            MemberBound::First => 0,
            MemberBound::Last => self.len(),
            MemberBound::Included(member) => self.members_before(member, true),
            MemberBound::Excluded(member) => self.members_before(member, false),
        };
        start..end.max(start)
    }

    /// How many members are less, or equal if `through`.
    fn members_before(self, member: &[u8], through: bool) -> usize {
        match self {
            View::Packed(packed) => packed.count_while(|pair| {
                let order = pair.member.with_bytes(|other| other.cmp(member));
                order == Ordering::Less || through && order == Ordering::Equal
            }),
            View::Large(set) if through => set.count_members_through(member),
            View::Large(set) => set.count_members_below(member),
        }
    }

    /// Calls `f` with members and scores at some ranks, the highest first if `reverse`.
    #[inline]
    pub fn walk(self, ranks: Range<usize>, reverse: bool, mut f: impl FnMut(Element<'a>, f64)) {
        if ranks.is_empty() {
            return;
        }
        let (count, last) = (ranks.len(), ranks.end - 1);
        match (self, reverse) {
            (View::Packed(packed), false) => {
                packed.from(ranks.start).take(count).for_each(|pair| f(pair.member, pair.score));
            }
            (View::Packed(packed), true) => {
                packed.down_from(last).take(count).for_each(|pair| f(pair.member, pair.score));
            }
            (View::Large(set), false) => {
                let pairs = set.from(ranks.start).take(count);
                pairs.for_each(|(member, score)| f(Element::Bytes(member), score));
            }
            (View::Large(set), true) => {
                let pairs = set.down_from(last).take(count);
                pairs.for_each(|(member, score)| f(Element::Bytes(member), score));
            }
        }
    }

    /// As [`SortedSet::scan`]; a packed one is shown all at once.
    pub fn scan(self, cursor: u64, limit: usize, mut f: impl FnMut(&[u8], f64)) -> u64 {
        match self {
            View::Packed(packed) => {
                for pair in packed.iter() {
                    pair.member.with_bytes(|member| f(member, pair.score));
                }
                0
            }
            View::Large(set) => set.scan(cursor, limit, f),
        }
    }
}

/// Whether a member fits into a packed sorted set of `len` members, one of which it becomes.
fn fits(limits: &Limits, len: usize, bytes: usize, member: &[u8]) -> bool {
    len < limits.zset_max_listpack_entries
        && member.len() <= limits.zset_max_listpack_value
        && bytes + member.len() < listpack::BYTES_MAX
}

/// Whether another member can be put in: see [`SortedSet::has_room`].
#[inline]
pub fn has_room(entry: &OwnedEntry) -> bool {
    match entry.get().value() {
        Value::SortedSet(set) => set.has_room(),
        _ => true,
    }
}

/// Gives a member the score that `f` makes of the one it has, or leaves it alone where `f` gives none. Returns the score
/// it had.
///
/// # Panics
/// When there is no room: see [`has_room`].
#[inline]
pub fn update(
    entry: &mut OwnedEntry,
    hasher: &Hasher,
    limits: &Limits,
    member: &[u8],
    f: impl FnOnce(Option<f64>) -> Option<f64>,
) -> Option<f64> {
    match entry.value_mut() {
        ValueMut::SortedSet(set) => set.update(hasher, member, f),
        ValueMut::Packed(Packing::SortedSet, mut buffer) => {
            let mut packed = PackedMut::new(&mut buffer);
            let view = packed.view();
            let (len, bytes) = (view.len(), view.listpack().bytes().len());
            let old = view.score(member);
            let Some(score) = f(old) else { return old };
            if old.is_some() {
                packed.set(member, score);
            } else if fits(limits, len, bytes, member) {
                packed.insert(member, score);
            } else {
                enlarge(entry, hasher);
                if let ValueMut::SortedSet(set) = entry.value_mut() {
                    set.set(hasher, member, score);
                }
            }
            old
        }
        _ => panic!("the value is a sorted set"),
    }
}

fn enlarge(entry: &mut OwnedEntry, hasher: &Hasher) {
    let large = match entry.get().value() {
        Value::Packed(Packing::SortedSet, packed) => to_large(Packed::new(packed), hasher),
        _ => return,
    };
    entry.set_collection(Collection::Large(LargeValue::SortedSet(Box::new(large))));
}

/// A packed sorted set as a large one.
pub fn to_large(packed: Packed, hasher: &Hasher) -> SortedSet {
    let mut large = SortedSet::new();
    for pair in packed.iter() {
        let is_behind =
            pair.member.with_bytes(|member| large.push_back(hasher, member, pair.score));
        debug_assert!(is_behind, "a packed sorted set is in order");
    }
    large
}

/// Takes a member out; its score if it was there.
#[inline]
pub fn remove(entry: &mut OwnedEntry, hasher: &Hasher, member: &[u8]) -> Option<f64> {
    match entry.value_mut() {
        ValueMut::SortedSet(set) => set.remove(hasher, member),
        ValueMut::Packed(Packing::SortedSet, mut buffer) => {
            PackedMut::new(&mut buffer).remove(member)
        }
        _ => panic!("the value is a sorted set"),
    }
}

/// Takes out the members at some ranks.
pub fn remove_ranks(entry: &mut OwnedEntry, hasher: &Hasher, ranks: Range<usize>) {
    match entry.value_mut() {
        ValueMut::SortedSet(set) => {
            set.remove_range(hasher, ranks.start, ranks.len(), |_, _| {});
        }
        ValueMut::Packed(Packing::SortedSet, mut buffer) => {
            PackedMut::new(&mut buffer).remove_range(ranks.start, ranks.len());
        }
        _ => panic!("the value is a sorted set"),
    }
}

/// The sorted set of some members, each there once, in any order; packed if the limits allow.
pub fn collect<M: AsRef<[u8]>>(
    mut members: Vec<(M, f64)>,
    hasher: &Hasher,
    limits: &Limits,
) -> Collection {
    let is_small = members.len() <= limits.zset_max_listpack_entries
        && members
            .iter()
            .all(|(member, _)| member.as_ref().len() <= limits.zset_max_listpack_value);
    if is_small {
        let mut packed = listpack::new_empty().to_vec();
        for (member, score) in &members {
            PackedMut::new(&mut packed).insert(member.as_ref(), *score);
        }
        return Collection::Packed(Packing::SortedSet, packed);
    }
    sort(&mut members);
    let mut set = SortedSet::new();
    for (member, score) in &members {
        set.push_back(hasher, member.as_ref(), *score);
    }
    Collection::Large(LargeValue::SortedSet(Box::new(set)))
}

/// Puts members in the order of a sorted set.
pub fn sort<M: AsRef<[u8]>>(members: &mut [(M, f64)]) {
    members.sort_unstable_by(|(one, score), (other, other_score)| {
        let by_score = score.partial_cmp(other_score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| one.as_ref().cmp(other.as_ref()))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_as_redis_reads_them() {
        let range = |min: &str, max: &str| {
            let range = ScoreRange::parse(min.as_bytes(), max.as_bytes()).ok()?;
            Some((range.min, range.min_excluded, range.max, range.max_excluded))
        };
        assert_eq!(range("1", "(2.5"), Some((1.0, false, 2.5, true)));
        assert_eq!(range("(-inf", "+inf"), Some((f64::NEG_INFINITY, true, f64::INFINITY, false)));
        assert_eq!(range("", "("), Some((0.0, false, 0.0, true)));
        assert_eq!(range(" 3", "1e400"), Some((3.0, false, f64::INFINITY, false)));
        for text in ["x", "1 ", "nan", "((1", "[1"] {
            assert_eq!(range(text, "1"), None, "{text:?}");
        }
        let range = |min: &'static str, max: &'static str| {
            let range = MemberRange::parse(min.as_bytes(), max.as_bytes()).ok()?;
            Some((range.min, range.max))
        };
        assert_eq!(range("-", "+"), Some((MemberBound::First, MemberBound::Last)));
        assert_eq!(
            range("[a", "("),
            Some((MemberBound::Included(b"a"), MemberBound::Excluded(b"")))
        );
        for text in ["", "a", "-a", "++"] {
            assert_eq!(range(text, "+"), None, "{text:?}");
        }
    }
}
