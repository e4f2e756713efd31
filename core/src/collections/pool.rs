//! Nodes of one kind, one behind the other, addressed by `u32`.
//!
//! The pool has no gaps: who removes a node moves the last one into its place, so that memory follows what is
//! in use. It grows and shrinks by chunks, and growing never moves more than one chunk. Deliberately absent: what
//! is in the nodes, and who refers to whom.

use std::mem::size_of;
use std::ops::{Index, IndexMut};

const CHUNK_BITS: u32 = 6;
/// Nodes in a chunk.
pub(super) const CHUNK: usize = 1 << CHUNK_BITS;
/// What the second and later chunks begin with; the first begins with one node.
const CHUNK_FIRST: usize = CHUNK / 4;

pub(super) struct Pool<T> {
    chunks: Vec<Vec<T>>,
    len: u32,
    /// Allocated for chunks, without the list of them.
    bytes: usize,
}

impl<T> Pool<T> {
    pub(super) fn new() -> Pool<T> {
        Pool { chunks: Vec::new(), len: 0, bytes: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes + self.chunks.capacity() * size_of::<Vec<T>>()
    }

    /// The index of the new node, which is the last.
    pub(super) fn push(&mut self, node: T) -> u32 {
        let index = self.len;
        if index as usize % CHUNK == 0 {
            self.chunks.push(Vec::new());
        }
        let first = if index < CHUNK as u32 { 1 } else { CHUNK_FIRST };
        let chunk = self.chunks.last_mut().expect("a chunk with room");
        if chunk.len() == chunk.capacity() {
            let before = chunk.capacity();
            chunk.reserve_exact(chunk.len().max(first).min(CHUNK - chunk.len()));
            self.bytes += (chunk.capacity() - before) * size_of::<T>();
        }
        chunk.push(node);
        self.len += 1;
        index
    }

    /// The last node.
    pub(super) fn pop(&mut self) -> Option<T> {
        let chunk = self.chunks.last_mut()?;
        let node = chunk.pop();
        self.len -= u32::from(node.is_some());
        if chunk.is_empty() {
            self.drop_chunk();
        } else if chunk.len() <= chunk.capacity() / 4 {
            let before = chunk.capacity();
            chunk.shrink_to(before / 2);
            self.bytes -= (before - chunk.capacity()) * size_of::<T>();
        }
        node
    }

    /// Frees the last chunk with all that is in it; false if there is none.
    pub(super) fn drop_chunk(&mut self) -> bool {
        let Some(chunk) = self.chunks.pop() else { return false };
        self.len -= chunk.len() as u32;
        self.bytes -= chunk.capacity() * size_of::<T>();
        if self.chunks.len() <= self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.capacity() / 2);
        }
        true
    }

    /// Two nodes at once.
    ///
    /// # Panics
    ///
    /// If they are one.
    pub(super) fn pair(&mut self, one: u32, other: u32) -> (&mut T, &mut T) {
        let chunk = |index: u32| (index >> CHUNK_BITS) as usize;
        let place = |index: u32| index as usize % CHUNK;
        assert_ne!(one, other, "a node is not two");
        let (low, high) = (one.min(other), one.max(other));
        let (low, high) = if chunk(low) == chunk(high) {
            let (before, from) = self.chunks[chunk(low)].split_at_mut(place(high));
            (&mut before[place(low)], &mut from[0])
        } else {
            let (before, from) = self.chunks.split_at_mut(chunk(high));
            (&mut before[chunk(low)][place(low)], &mut from[0][place(high)])
        };
        if one < other { (low, high) } else { (high, low) }
    }
}

impl<T: Clone> Clone for Pool<T> {
    fn clone(&self) -> Self {
        let mut pool =
            Pool { chunks: Vec::with_capacity(self.chunks.len()), len: self.len, bytes: 0 };
        for chunk in &self.chunks {
            let mut copy = Vec::new();
            copy.reserve_exact(chunk.capacity());
            copy.extend_from_slice(chunk);
            pool.bytes += copy.capacity() * size_of::<T>();
            pool.chunks.push(copy);
        }
        pool
    }
}

impl<T> Index<u32> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.chunks[(index >> CHUNK_BITS) as usize][index as usize % CHUNK]
    }
}

impl<T> IndexMut<u32> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[(index >> CHUNK_BITS) as usize][index as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocated<T>(pool: &Pool<T>) -> usize {
        let chunks: usize = pool.chunks.iter().map(|chunk| chunk.capacity() * size_of::<T>()).sum();
        chunks + pool.chunks.capacity() * size_of::<Vec<T>>()
    }

    #[test]
    fn memory_follows_what_is_in_use() {
        let mut pool = Pool::new();
        for number in 0..10 * CHUNK as u64 {
            assert_eq!(u64::from(pool.push([number; 16])), number);
            assert_eq!(pool.memory_bytes(), allocated(&pool));
        }
        assert!(pool.memory_bytes() < 10 * CHUNK * 128 * 11 / 10);
        assert_eq!(pool.clone().memory_bytes(), allocated(&pool.clone()));
        for number in (1..10 * CHUNK as u64).rev() {
            assert_eq!(pool.pop(), Some([number; 16]));
            assert_eq!(pool.memory_bytes(), allocated(&pool));
            assert_eq!(pool[number as u32 - 1], [number - 1; 16]);
        }
        assert!(pool.memory_bytes() < 1024);
        assert_eq!((pool.pop(), pool.pop(), pool.len()), (Some([0; 16]), None, 0));
    }

    #[test]
    fn a_pair_is_two_nodes_of_any_chunks() {
        let mut pool = Pool::new();
        (0..200).for_each(|number| {
            pool.push(number);
        });
        for (one, other) in [(0, 1), (1, 0), (3, 190), (190, 3), (70, 120)] {
            assert_eq!(pool.pair(one, other), (&mut { one }, &mut { other }));
        }
    }
}
