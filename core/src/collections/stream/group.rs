//! A consumer group: how far it has read, its consumers, and what was delivered and not acknowledged yet.
//!
//! Every pending entry stands twice: in the group with all that is known of it, and as a bare id with the consumer that
//! it was last delivered to. Both are kept in step here and nowhere else. Both lie in maps that a clone shares
//! ([`SortedChunks`]), so that cloning a group costs by its consumers, not by what is pending.
//!
//! Deliberately absent: the entries themselves (a pending entry may be long deleted), clocks, and how commands claim.

use super::id::StreamId;
use super::memory::tree_bytes;
use crate::collections::cow::COUNTS_BYTES;
use crate::collections::sorted_chunks::SortedChunks;
use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// Pending entries that lie together, and ids of such: as many as are copied when one of them is changed that a clone
/// shares.
const PENDING_PER_CHUNK: usize = 64;

type Ids = SortedChunks<StreamId, (), PENDING_PER_CHUNK>;

/// A consumer within its group, for as long as the group lives; not used again when the consumer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsumerId(u64);

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// When it was last delivered, in milliseconds since the Unix epoch.
    pub delivered_at: i64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// To whom it was last delivered.
    pub consumer: ConsumerId,
}

#[derive(Clone, Debug)]
pub struct Consumer {
    name: Arc<[u8]>,
    /// When it last tried to read or claim, in milliseconds since the Unix epoch.
    pub seen_at: i64,
    /// When it last got something; `None`: never.
    pub active_at: Option<i64>,
    pending: Ids,
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name, counted.
    pub fn shared_name(&self) -> Arc<[u8]> {
        Arc::clone(&self.name)
    }

    /// How many entries are pending with it.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids of the entries that are pending with it, in order.
    pub fn pending_ids(&self) -> impl DoubleEndedIterator<Item = StreamId> {
        self.pending_ids_in(..)
    }

    /// The ids in a range of entries that are pending with it, in order.
    pub fn pending_ids_in(
        &self,
        range: impl RangeBounds<StreamId>,
    ) -> impl DoubleEndedIterator<Item = StreamId> {
        self.pending.range(range).map(|(id, ())| id)
    }

    fn memory_bytes(&self) -> usize {
        let name = COUNTS_BYTES + self.name.len();
        size_of::<Consumer>() + name + self.pending.memory_bytes()
    }
}

#[derive(Clone, Debug)]
pub struct Group {
    /// Entries after it were never delivered.
    pub last_delivered_id: StreamId,
    /// How many entries of the stream's whole history lie up to there. `None`: nobody can tell.
    pub entries_read: Option<u64>,
    pending: SortedChunks<StreamId, Pending, PENDING_PER_CHUNK>,
    names: BTreeMap<Arc<[u8]>, ConsumerId>,
    consumers: BTreeMap<ConsumerId, Box<Consumer>>,
    next_consumer: u64,
    /// [`Consumer::memory_bytes`] of all.
    consumer_bytes: usize,
}

impl Group {
    pub fn new(last_delivered_id: StreamId, entries_read: Option<u64>) -> Self {
        Group {
            last_delivered_id,
            entries_read,
            pending: SortedChunks::default(),
            names: BTreeMap::new(),
            consumers: BTreeMap::new(),
            next_consumer: 0,
            consumer_bytes: 0,
        }
    }

    // Consumers.

    pub fn consumers_len(&self) -> usize {
        self.consumers.len()
    }

    /// All consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        self.consumers_from(Bound::Unbounded)
    }

    /// The consumers whose names are not before `start`, in the order of these.
    pub fn consumers_from(
        &self,
        start: Bound<&[u8]>,
    ) -> impl Iterator<Item = (ConsumerId, &Consumer)> {
        let names = self.names.range::<[u8], _>((start, Bound::Unbounded));
        names.map(|(_, &id)| (id, self.consumer(id)))
    }

    /// The consumer of that name.
    pub fn find_consumer(&self, name: &[u8]) -> Option<ConsumerId> {
        self.names.get(name).copied()
    }

    /// Panics when the consumer was removed.
    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        &self.consumers[&id]
    }

    /// Notes that a consumer tried to read or claim. Panics when it was removed.
    pub fn consumer_seen(&mut self, id: ConsumerId, now: i64) {
        self.consumer_mut(id).seen_at = now;
    }

    /// Notes that a consumer got something. Panics when it was removed.
    pub fn consumer_active(&mut self, id: ConsumerId, now: i64) {
        self.consumer_mut(id).active_at = Some(now);
    }

    /// A new consumer, seen now, not active yet. `None`: there is one of that name.
    pub fn create_consumer(&mut self, name: &[u8], now: i64) -> Option<ConsumerId> {
        if self.names.contains_key(name) {
            return None;
        }
        let id = ConsumerId(self.next_consumer);
        self.next_consumer += 1;
        let name: Arc<[u8]> = name.into();
        let consumer = Consumer {
            name: Arc::clone(&name),
            seen_at: now,
            active_at: None,
            pending: Ids::default(),
        };
        self.consumer_bytes += consumer.memory_bytes();
        self.names.insert(name, id);
        self.consumers.insert(id, Box::new(consumer));
        Some(id)
    }

    /// Removes a consumer and all that is pending with it. How many entries that were; `None`: there is no such
    /// consumer. Cost: a removal from the group's map for each of them.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers.remove(&id).expect("its name led here");
        self.consumer_bytes -= consumer.memory_bytes();
        for entry in consumer.pending_ids() {
            self.pending.remove(entry);
        }
        Some(consumer.pending.len())
    }

    fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers.get_mut(&id).expect("the consumer is there")
    }

    // Pending entries.

    /// How many entries are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// What is known of a pending entry.
    pub fn pending(&self, id: StreamId) -> Option<&Pending> {
        self.pending.get(id)
    }

    /// The pending entries in a range, in order.
    pub fn pending_in(
        &self,
        range: impl RangeBounds<StreamId>,
    ) -> impl DoubleEndedIterator<Item = (StreamId, &Pending)> {
        self.pending.range(range)
    }

    /// The entries in a range that are pending with one consumer, in order. Panics when it was removed.
    pub fn pending_of(
        &self,
        consumer: ConsumerId,
        range: impl RangeBounds<StreamId>,
    ) -> impl Iterator<Item = (StreamId, &Pending)> {
        self.consumer(consumer).pending_ids_in(range).map(|id| {
            (id, self.pending.get(id).expect("what is pending with a consumer is with the group"))
        })
    }

    /// Makes an entry pending, or changes what is known of it; it moves to the consumer named there. Panics when that
    /// was removed.
    pub fn set_pending(&mut self, id: StreamId, pending: Pending) {
        let old = self.pending.insert(id, pending);
        match old {
            Some(old) if old.consumer == pending.consumer => return,
            Some(old) => self.detach(old.consumer, id),
            None => {}
        }
        self.change_pending_of(pending.consumer, |ids| ids.insert(id, ()));
    }

    /// Changes when and how often a pending entry was delivered. `false`: it is not pending.
    pub fn set_delivery(&mut self, id: StreamId, delivered_at: i64, deliveries: u64) -> bool {
        let Some(pending) = self.pending.get_mut(id) else { return false };
        (pending.delivered_at, pending.deliveries) = (delivered_at, deliveries);
        true
    }

    /// The entry is pending no more. `false`: it was not.
    pub fn acknowledge(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(id) else { return false };
        self.detach(pending.consumer, id);
        true
    }

    fn detach(&mut self, consumer: ConsumerId, id: StreamId) {
        self.change_pending_of(consumer, |ids| ids.remove(id));
    }

    fn change_pending_of<R>(
        &mut self,
        consumer: ConsumerId,
        change: impl FnOnce(&mut Ids) -> R,
    ) -> R {
        let ids = &mut self.consumers.get_mut(&consumer).expect("the consumer is there").pending;
        let before = ids.memory_bytes();
        let result = change(ids);
        self.consumer_bytes = self.consumer_bytes + ids.memory_bytes() - before;
        result
    }

    // The whole.

    /// About what the group has allocated, in bytes, as if nothing were shared with a clone. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.consumer_bytes
            + self.pending.memory_bytes()
            + tree_bytes::<Arc<[u8]>, ConsumerId>(self.names.len())
            + tree_bytes::<ConsumerId, Box<Consumer>>(self.consumers.len())
    }

    /// Frees about `budget` parts. The group must be used for nothing else any more. `true`: something is left.
    pub fn drop_some(&mut self, mut budget: usize) -> bool {
        self.drop_parts(&mut budget)
    }

    /// As [`Group::drop_some`], and says how much of the budget is left.
    pub(super) fn drop_parts(&mut self, budget: &mut usize) -> bool {
        if self.pending.drop_some(budget) {
            return true;
        }
        while *budget > 0 {
            let Some(mut last) = self.consumers.last_entry() else {
                if self.names.pop_first().is_none() {
                    return false;
                }
                *budget -= 1;
                continue;
            };
            if last.get_mut().pending.drop_some(budget) {
                return true;
            }
            last.remove();
            *budget = budget.saturating_sub(1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn id(seq: u64) -> StreamId {
        StreamId::new(1, seq)
    }

    /// What the group would be if it were kept in the plainest way.
    #[derive(Default)]
    struct Model {
        pending: BTreeMap<StreamId, (Vec<u8>, i64, u64)>,
        consumers: BTreeSet<Vec<u8>>,
    }

    impl Model {
        fn of(&self, name: &[u8]) -> Vec<StreamId> {
            self.pending
                .iter()
                .filter(|(_, (owner, ..))| owner == name)
                .map(|(&id, _)| id)
                .collect()
        }
    }

    fn check(group: &Group, model: &Model) {
        let consumers: Vec<_> = group.consumers().map(|(_, c)| c.name().to_vec()).collect();
        assert_eq!(consumers, model.consumers.iter().cloned().collect::<Vec<_>>());
        assert_eq!(group.consumers_len(), consumers.len());
        assert_eq!(group.pending_len(), model.pending.len());
        let all: Vec<_> = group
            .pending_in(StreamId::MIN..=StreamId::MAX)
            .map(|(id, p)| {
                let owner = group.consumer(p.consumer).name().to_vec();
                (id, (owner, p.delivered_at, p.deliveries))
            })
            .collect();
        assert_eq!(all, model.pending.clone().into_iter().collect::<Vec<_>>());
        let mut consumer_bytes = 0;
        for (number, consumer) in group.consumers() {
            assert_eq!(consumer.pending_len(), model.of(consumer.name()).len());
            assert_eq!(consumer.pending_ids().collect::<Vec<_>>(), model.of(consumer.name()));
            let range = id(5)..=id(20);
            let part: Vec<_> = group.pending_of(number, range.clone()).map(|(id, _)| id).collect();
            let mut expected = model.of(consumer.name());
            expected.retain(|id| range.contains(id));
            assert_eq!(part, expected);
            consumer_bytes += consumer.memory_bytes();
        }
        assert_eq!(group.consumer_bytes, consumer_bytes);
    }

    proptest! {
        #[test]
        fn pending_entries_and_consumers_are_what_a_plain_model_says(
            steps in prop::collection::vec((0u8..8, 0u64..30, 0u8..4, any::<u16>()), 1..200),
        ) {
            let mut group = Group::new(StreamId::MIN, Some(0));
            let mut model = Model::default();
            for (step, seq, name, value) in steps {
                let name = vec![b'a' + name];
                let (at, deliveries) = (i64::from(value), u64::from(value) + 1);
                match step {
                    0 => {
                        let created = group.create_consumer(&name, at).is_some();
                        prop_assert_eq!(created, model.consumers.insert(name));
                    }
                    1 => {
                        let removed = group.remove_consumer(&name);
                        let expected =
                            model.consumers.remove(&name).then(|| model.of(&name).len());
                        prop_assert_eq!(removed, expected);
                        model.pending.retain(|_, (owner, ..)| *owner != name);
                    }
                    2 => {
                        let acknowledged = group.acknowledge(id(seq));
                        prop_assert_eq!(acknowledged, model.pending.remove(&id(seq)).is_some());
                    }
                    3 => {
                        let changed = group.set_delivery(id(seq), at, deliveries);
                        let expected = model.pending.get_mut(&id(seq));
                        prop_assert_eq!(changed, expected.is_some());
                        if let Some(pending) = expected {
                            (pending.1, pending.2) = (at, deliveries);
                        }
                    }
                    _ => {
                        let Some(consumer) = group.find_consumer(&name) else { continue };
                        group.set_pending(
                            id(seq),
                            Pending { delivered_at: at, deliveries, consumer },
                        );
                        model.pending.insert(id(seq), (name, at, deliveries));
                    }
                }
                check(&group, &model);
            }
            let clone = group.clone();
            let mut rounds = 0;
            while group.drop_some(3) {
                rounds += 1;
                prop_assert!(rounds <= 100);
            }
            prop_assert_eq!(group.memory_bytes() - group.consumer_bytes, 0);
            check(&clone, &model);
        }
    }

    #[test]
    fn seen_and_active_times_are_kept_per_consumer() {
        let mut group = Group::new(id(1), None);
        let one = group.create_consumer(b"one", 5).unwrap();
        let two = group.create_consumer(b"two", 6).unwrap();
        group.consumer_seen(one, 8);
        group.consumer_active(two, 9);
        assert_eq!((group.consumer(one).seen_at, group.consumer(one).active_at), (8, None));
        assert_eq!((group.consumer(two).seen_at, group.consumer(two).active_at), (6, Some(9)));
        group.remove_consumer(b"one");
        assert_ne!(group.create_consumer(b"one", 5), Some(one));
    }

    #[test]
    fn a_range_the_wrong_way_round_is_empty() {
        let mut group = Group::new(id(1), None);
        let consumer = group.create_consumer(b"c", 0).unwrap();
        group.set_pending(id(3), Pending { delivered_at: 0, deliveries: 1, consumer });
        assert_eq!(group.pending_in(id(9)..=id(1)).count(), 0);
        assert_eq!(group.pending_of(consumer, id(9)..=id(1)).count(), 0);
        assert_eq!(group.pending_of(consumer, id(1)..=id(9)).count(), 1);
    }

    #[test]
    fn memory_grows_and_shrinks_with_what_is_pending() {
        let mut group = Group::new(id(1), None);
        assert_eq!(group.memory_bytes(), 0);
        let consumer = group.create_consumer(b"c", 0).unwrap();
        let pending = Pending { delivered_at: 0, deliveries: 1, consumer };
        group.set_pending(id(0), pending);
        let one = group.memory_bytes();
        for seq in 0..1000 {
            group.set_pending(id(seq), pending);
        }
        let full = group.memory_bytes();
        assert!(full > one + 900 * (size_of::<Pending>() + 2 * size_of::<StreamId>()));
        (0..1000).for_each(|seq| assert!(group.acknowledge(id(seq))));
        // What a single one needs is kept for the next.
        assert_eq!(group.memory_bytes(), one);
    }

    #[test]
    fn a_clone_stays_as_it_was_whatever_becomes_of_the_group() {
        let mut group = Group::new(id(1), None);
        let consumer = group.create_consumer(b"c", 0).unwrap();
        let other = group.create_consumer(b"d", 0).unwrap();
        let pending = Pending { delivered_at: 0, deliveries: 1, consumer };
        (0..1000).for_each(|seq| group.set_pending(id(seq), pending));
        let clone = group.clone();
        (0..500).for_each(|seq| assert!(group.acknowledge(id(seq))));
        (500..700)
            .for_each(|seq| group.set_pending(id(seq), Pending { consumer: other, ..pending }));
        (700..800).for_each(|seq| assert!(group.set_delivery(id(seq), 5, 2)));
        group.remove_consumer(b"c");
        assert_eq!(group.pending_len(), 200);
        assert!(clone.pending_in(..).eq((0..1000).map(|seq| (id(seq), &pending))));
        assert!(clone.pending_of(consumer, ..).eq(clone.pending_in(..)));
        assert_eq!(clone.consumer(other).pending_len(), 0);
    }
}
