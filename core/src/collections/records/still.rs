//! The records of a collection as they were at one moment, for who writes them down while the collection goes on changing.
//!
//! There is no index: they are gone through in the order of memory, or found by their numbers.

use super::{Layout, RecordId};
use crate::collections::arena::Arena;
use std::marker::PhantomData;

pub struct StillRecords<L> {
    arena: Arena,
    len: usize,
    layout: PhantomData<L>,
}

impl<L: Layout> StillRecords<L> {
    pub(super) fn new(arena: Arena, len: usize) -> StillRecords<L> {
        StillRecords { arena, len, layout: PhantomData }
    }

    pub fn count(&self) -> usize {
        self.len
    }

    /// As [`Records::drop_some`](super::Records::drop_some).
    pub fn drop_some(&mut self, budget: usize) -> bool {
        self.arena.drop_some(budget)
    }

    /// The record with a number.
    pub fn record(&self, id: RecordId) -> &[u8] {
        self.arena.get(id)
    }

    /// The records from one on, in the order of memory; `None`: from the first.
    pub fn iter_from(&self, first: Option<RecordId>) -> impl Iterator<Item = (RecordId, &[u8])> {
        self.arena.iter_from(first.unwrap_or(RecordId::from_bits(0)))
    }
}
