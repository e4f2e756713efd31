//! A small sorted set: a listpack of members, each followed by its score, in their order.
//!
//! The order is that of the scores, and of the members' bytes where scores are equal. A score is an integer of the
//! listpack where it is a whole number, else text ([`score`]). Everything is found by walking: the commands keep
//! such a set short (`zset-max-listpack-entries`).
//!
//! Whoever owns the blob edits it through [`PackedMut`]. Blobs from outside go through [`load`].
//!
//! Source: `src/t_zset.c` of Redis 7.2.

use crate::collections::buffer::Buffer;
use crate::collections::listpack::{self, Element, Listpack, ListpackMut};
use crate::{number, score};
use std::cmp::Ordering;
use std::collections::HashSet;

/// A trusted blob.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    listpack: Listpack<'a>,
}

/// A member and its score where they lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<'a> {
    pub member: Element<'a>,
    pub score: f64,
    /// The position of the member in the listpack.
    position: usize,
}

/// The blob is no sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// The score that an element stands for; 0 for one that is none, which a trusted blob does not have.
#[inline]
fn score_of(element: Element) -> f64 {
    match element {
        Element::Integer(integer) => integer as f64,
        Element::Bytes(text) => number::parse_double(text).unwrap_or(0.0),
    }
}

/// Whether a pair comes before (score, member), is it, or comes behind.
fn compare(pair: &Pair, score: f64, member: &[u8]) -> Ordering {
    let by_score = pair.score.partial_cmp(&score).unwrap_or(Ordering::Equal);
    by_score.then_with(|| pair.member.with_bytes(|bytes| bytes.cmp(member)))
}

impl<'a> Packed<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Packed<'a> {
        Packed { listpack: Listpack::new(bytes) }
    }

    #[inline]
    pub fn listpack(self) -> Listpack<'a> {
        self.listpack
    }

    #[inline]
    pub fn len(self) -> usize {
        self.listpack.len() / 2
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self.listpack.is_empty()
    }

    #[inline]
    fn pair(self, position: usize) -> Pair<'a> {
        let score = self.listpack.at(self.listpack.next(position));
        Pair { member: self.listpack.at(position), score: score_of(score), position }
    }

    pub fn find(self, member: &[u8]) -> Option<Pair<'a>> {
        let position = self.listpack.find(self.listpack.first(), member, 1)?;
        Some(self.pair(position))
    }

    pub fn score(self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|pair| pair.score)
    }

    /// How many come before a member, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        let found = self.find(member)?;
        let before = self.listpack.iter_between(self.listpack.first(), found.position);
        Some((before.count() / 2, found.score))
    }

    /// The pair at a rank.
    pub fn nth(self, rank: usize) -> Option<Pair<'a>> {
        let position = self.listpack.seek(rank as i64 * 2)?;
        Some(self.pair(position))
    }

    /// How many pairs come before the first of which `before` is false, it being true for none behind.
    pub fn count_while(self, mut before: impl FnMut(&Pair<'a>) -> bool) -> usize {
        self.iter().take_while(|pair| before(pair)).count()
    }

    #[inline]
    pub fn iter(self) -> Pairs<'a> {
        Pairs { packed: self, front: self.listpack.first(), back: self.listpack.end() }
    }

    /// The pairs from a rank on.
    pub fn from(self, rank: usize) -> Pairs<'a> {
        let end = self.listpack.end();
        let front = self.listpack.seek(rank as i64 * 2).unwrap_or(end);
        Pairs { packed: self, front, back: end }
    }

    /// The pairs from a rank down to the first, the highest first.
    pub fn down_from(self, rank: usize) -> std::iter::Rev<Pairs<'a>> {
        let front = self.listpack.first();
        let back = self.listpack.seek(rank as i64 * 2 + 2).unwrap_or(self.listpack.end());
        Pairs { packed: self, front, back }.rev()
    }
}

/// Pairs in their order, from either end.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    packed: Packed<'a>,
    front: usize,
    back: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        if self.front >= self.back {
            return None;
        }
        let listpack = self.packed.listpack;
        let (position, at) = (self.front, listpack.next(self.front));
        self.front = listpack.next(at);
        Some(Pair { member: listpack.at(position), score: score_of(listpack.at(at)), position })
    }
}

impl DoubleEndedIterator for Pairs<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.front >= self.back {
            return None;
        }
        let listpack = self.packed.listpack;
        let at = listpack.previous(self.back);
        let position = listpack.previous(at);
        self.back = position;
        Some(Pair { member: listpack.at(position), score: score_of(listpack.at(at)), position })
    }
}

/// Edits a trusted blob.
#[derive(Debug)]
pub struct PackedMut<'b, B> {
    buffer: &'b mut B,
}

impl<'b, B: Buffer> PackedMut<'b, B> {
    #[inline]
    pub fn new(buffer: &'b mut B) -> PackedMut<'b, B> {
        PackedMut { buffer }
    }

    #[inline]
    pub fn view(&self) -> Packed<'_> {
        Packed::new(self.buffer.bytes())
    }

    /// Puts in a member that is not there.
    pub fn insert(&mut self, member: &[u8], score: f64) {
        debug_assert!(!score.is_nan());
        let view = self.view();
        let end = view.listpack.end();
        let last_is_before = view
            .iter()
            .next_back()
            .is_none_or(|last| compare(&last, score, member) == Ordering::Less);
        let position = if last_is_before {
            end
        } else {
            let behind = view.iter().find(|pair| compare(pair, score, member) != Ordering::Less);
            behind.map_or(end, |pair| pair.position)
        };
        self.insert_at(position, member, score);
    }

    fn insert_at(&mut self, position: usize, member: &[u8], score: f64) {
        let text = score::format(score);
        let score = match score::whole(score) {
            Some(integer) => Element::Integer(integer),
            None => Element::Bytes(&text),
        };
        let mut listpack = ListpackMut::new(self.buffer);
        listpack.exchange(position..position, 0, &[Element::of(member), score]);
    }

    /// Takes a member out; its score if it was there.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let pair = self.view().find(member)?;
        let (position, score) = (pair.position, pair.score);
        ListpackMut::new(self.buffer).remove_many(position, 2);
        Some(score)
    }

    /// Gives a member another score, or puts it in with this one. Returns the score it had.
    pub fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let old = match self.view().find(member) {
            Some(pair) if pair.score == score => return Some(score),
            Some(_) => self.remove(member),
            None => None,
        };
        self.insert(member, score);
        old
    }

    /// Takes out up to `count` pairs from a rank on; how many there were.
    pub fn remove_range(&mut self, rank: usize, count: usize) -> usize {
        let listpack = self.view().listpack;
        let Some(position) = listpack.seek(rank as i64 * 2) else { return 0 };
        ListpackMut::new(self.buffer).remove_many(position, count.saturating_mul(2)) / 2
    }
}

/// An untrusted blob as a sorted set's, put in order if it is not.
pub fn load(bytes: &[u8]) -> Result<Vec<u8>, Invalid> {
    let count = listpack::validate(bytes).map_err(|_| Invalid)?;
    if count % 2 != 0 {
        return Err(Invalid);
    }
    let listpack = Listpack::new(bytes);
    let mut pairs: Vec<(Vec<u8>, f64)> = Vec::with_capacity(count / 2);
    let mut elements = listpack.iter();
    while let (Some(member), Some(score)) = (elements.next(), elements.next()) {
        let score = match score {
            Element::Integer(integer) => integer as f64,
            Element::Bytes(text) => number::parse_double(text).ok_or(Invalid)?,
        };
        pairs.push((member.to_vec(), score));
    }
    let members: HashSet<&[u8]> = pairs.iter().map(|(member, _)| &member[..]).collect();
    if members.len() != pairs.len() {
        return Err(Invalid);
    }
    let order = |one: &(Vec<u8>, f64), other: &(Vec<u8>, f64)| {
        one.1.partial_cmp(&other.1).expect("no score is NaN").then_with(|| one.0.cmp(&other.0))
    };
    if pairs.is_sorted_by(|one, other| order(one, other) == Ordering::Less) {
        return Ok(bytes.to_vec());
    }
    pairs.sort_by(order);
    let mut ordered = listpack::new_empty().to_vec();
    let mut packed = PackedMut::new(&mut ordered);
    for (member, score) in &pairs {
        packed.insert_at(packed.view().listpack.end(), member, *score);
    }
    Ok(ordered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => (0u8..20).prop_map(|number| number.to_string().into_bytes()),
            4 => prop::collection::vec(b'a'..b'd', 0..3),
            1 => Just(vec![b'x'; 70]),
            1 => Just(b"-7".to_vec()),
        ]
    }

    fn score() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => (-3i32..4).prop_map(f64::from),
            2 => any::<f64>().prop_filter("a number", |score| !score.is_nan()),
            1 => prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, 0.5, 1e300, 1e17]),
        ]
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>, f64),
        Remove(Vec<u8>),
        RemoveRange(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (member(), score()).prop_map(|(member, score)| Step::Set(member, score)),
            2 => member().prop_map(Step::Remove),
            1 => (0usize..30, 0usize..4).prop_map(|(rank, count)| Step::RemoveRange(rank, count)),
        ]
    }

    fn order(one: &(Vec<u8>, f64), other: &(Vec<u8>, f64)) -> Ordering {
        one.1.partial_cmp(&other.1).unwrap().then_with(|| one.0.cmp(&other.0))
    }

    fn plain(pair: Pair) -> (Vec<u8>, f64) {
        (pair.member.to_vec(), pair.score)
    }

    proptest! {
        #[test]
        fn any_steps_give_what_a_sorted_vector_gives(
            steps in prop::collection::vec(step(), 0..60), other in member(),
        ) {
            let mut bytes = listpack::new_empty().to_vec();
            let mut packed = PackedMut::new(&mut bytes);
            let mut model: Vec<(Vec<u8>, f64)> = Vec::new();
            for step in steps {
                match step {
                    Step::Set(member, score) => {
                        let at = model.iter().position(|pair| pair.0 == member);
                        let old = at.map(|at| model.remove(at).1);
                        prop_assert_eq!(packed.set(&member, score), old);
                        model.push((member, score));
                        model.sort_by(order);
                    }
                    Step::Remove(member) => {
                        let at = model.iter().position(|pair| pair.0 == member);
                        prop_assert_eq!(packed.remove(&member), at.map(|at| model.remove(at).1));
                    }
                    Step::RemoveRange(rank, count) => {
                        let start = rank.min(model.len());
                        let end = (start + count).min(model.len());
                        model.drain(start..end);
                        prop_assert_eq!(packed.remove_range(rank, count), end - start);
                    }
                }
            }
            let view = packed.view();
            prop_assert_eq!((view.len(), view.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(&view.iter().map(plain).collect::<Vec<_>>(), &model);
            for (rank, (member, score)) in model.iter().enumerate() {
                prop_assert_eq!(view.rank(member), Some((rank, *score)));
                prop_assert_eq!(view.nth(rank).map(plain), Some((member.clone(), *score)));
                prop_assert_eq!(&view.from(rank).map(plain).collect::<Vec<_>>()[..], &model[rank..]);
                let mut down: Vec<_> = view.down_from(rank).map(plain).collect();
                down.reverse();
                prop_assert_eq!(&down[..], &model[..=rank]);
            }
            let known = model.iter().find(|pair| pair.0 == other).map(|pair| pair.1);
            prop_assert_eq!(view.score(&other), known);
            prop_assert!(view.nth(model.len()).is_none());
            prop_assert_eq!(load(&bytes), Ok(bytes.clone()));
        }

        #[test]
        fn what_comes_in_no_order_is_put_in_order(
            pairs in prop::collection::btree_map(member(), score(), 0..20),
        ) {
            let texts: Vec<Vec<u8>> =
                pairs.iter().flat_map(|(member, score)| [member.clone(), score::format(*score).to_vec()]).collect();
            let bytes = load(&listpack::from_texts(texts.iter().map(Vec::as_slice))).unwrap();
            let mut model: Vec<_> = pairs.into_iter().collect();
            model.sort_by(order);
            prop_assert_eq!(Packed::new(&bytes).iter().map(plain).collect::<Vec<_>>(), model);
        }

        #[test]
        fn any_bytes_are_loaded_or_refused(
            texts in prop::collection::vec(member(), 0..8),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = listpack::from_texts(texts.iter().map(Vec::as_slice));
            for (index, byte) in changes {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(loaded) = load(&bytes) {
                let pairs: Vec<_> = Packed::new(&loaded).iter().map(plain).collect();
                prop_assert!(pairs.is_sorted_by(|one, other| order(one, other) == Ordering::Less));
            }
        }
    }

    #[test]
    fn what_is_no_sorted_set_is_refused() {
        for texts in [&[&b"a"[..]][..], &[b"a", b"x"], &[b"a", b"nan"], &[b"a", b"1", b"a", b"2"]] {
            assert_eq!(load(&listpack::from_texts(texts.iter().copied())), Err(Invalid));
        }
        assert_eq!(load(b""), Err(Invalid));
    }

    /// The blob in what Valkey 9 answers to DUMP.
    #[test]
    fn the_bytes_are_those_of_redis() {
        let mut bytes = listpack::new_empty().to_vec();
        let mut packed = PackedMut::new(&mut bytes);
        for (member, score) in
            [(&b"b"[..], 1.5), (b"a", 1.5), (b"7", -3.0), (b"m", 1e17), (b"i", f64::INFINITY)]
        {
            assert_eq!(packed.set(member, score), None);
        }
        let expected = b"1\0\0\0\x0a\0\x07\x01\xdf\xfd\x02\x81a\x02\x831.5\x04\x81b\x02\x831.5\x04\x81m\x02\xf4\0\0\x8a]xEc\x01\x09\x81i\x02\x83inf\x04\xff";
        assert_eq!(bytes, expected);
    }
}
