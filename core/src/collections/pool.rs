//! Items of one kind, one behind the other, addressed by `u32`.
//!
//! The pool has no gaps: who removes an item moves the last one into its place, so that memory follows what is
//! in use. It grows and shrinks by chunks, and growing never moves more than one chunk. A clone shares all chunks, and
//! either copies the one that it changes. Deliberately absent: what is in the items, and who refers to whom.

use super::cow::{COUNTS_BYTES, CopyOnWrite};
use std::ops::{Index, IndexMut};

const CHUNK_BITS: u32 = 6;
/// Items in a chunk.
const CHUNK: usize = 1 << CHUNK_BITS;
/// What the second and later chunks begin with; the first begins with one item.
const CHUNK_FIRST: usize = CHUNK / 4;

pub struct Pool<T> {
    /// Each as long as its capacity; behind the last item lie others that mean nothing.
    chunks: Vec<CopyOnWrite<[T]>>,
    len: u32,
    /// Allocated for chunks, without the list of them.
    bytes: usize,
}

fn allocated_bytes<T>(chunk: &CopyOnWrite<[T]>) -> usize {
    COUNTS_BYTES + size_of_val(&**chunk)
}

impl<T: Clone + Default> Pool<T> {
    pub fn new() -> Pool<T> {
        Pool { chunks: Vec::new(), len: 0, bytes: 0 }
    }

    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn memory_bytes(&self) -> usize {
        self.bytes + self.chunks.capacity() * size_of::<CopyOnWrite<[T]>>()
    }

    /// Items in the last chunk, which is there.
    fn last_len(&self) -> usize {
        (self.len as usize - 1) % CHUNK + 1
    }

    /// The index of the new item, which is the last.
    pub fn push(&mut self, item: T) -> u32 {
        let index = self.len;
        let place = index as usize % CHUNK;
        if place == 0 {
            let first = if index < CHUNK as u32 { 1 } else { CHUNK_FIRST };
            let chunk = CopyOnWrite::filled(T::default(), first);
            self.bytes += allocated_bytes(&chunk);
            self.chunks.push(chunk);
        } else if place == self.chunks.last().expect("it holds an item").len() {
            self.resize_last((2 * place).min(CHUNK));
        }
        self.len += 1;
        self[index] = item;
        index
    }

    /// The last item.
    pub fn pop(&mut self) -> Option<T> {
        let index = self.len.checked_sub(1)?;
        let item = std::mem::take(&mut self[index]);
        let len = self.last_len() - 1;
        let capacity = self.chunks.last().expect("it holds an item").len();
        if len == 0 {
            self.drop_chunk();
        } else {
            self.len = index;
            if len <= capacity / 4 {
                self.resize_last(capacity / 2);
            }
        }
        Some(item)
    }

    /// Gives the last chunk another capacity.
    fn resize_last(&mut self, capacity: usize) {
        let len = self.last_len();
        let chunk = self.chunks.last_mut().expect("it holds an item");
        let mut resized = CopyOnWrite::filled(T::default(), capacity);
        resized.to_mut()[..len].clone_from_slice(&chunk[..len]);
        self.bytes = self.bytes + allocated_bytes(&resized) - allocated_bytes(chunk);
        *chunk = resized;
    }

    /// Frees the last chunk with all that is in it; false if there is none.
    pub fn drop_chunk(&mut self) -> bool {
        let Some(chunk) = self.chunks.pop() else { return false };
        self.len = (self.chunks.len() * CHUNK) as u32;
        self.bytes -= allocated_bytes(&chunk);
        if self.chunks.len() <= self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.capacity() / 2);
        }
        true
    }

    /// Two items at once.
    ///
    /// # Panics
    ///
    /// If they are one.
    pub fn pair(&mut self, one: u32, other: u32) -> (&mut T, &mut T) {
        let chunk = |index: u32| (index >> CHUNK_BITS) as usize;
        let place = |index: u32| index as usize % CHUNK;
        assert_ne!(one, other, "an item is not two");
        let (low, high) = (one.min(other), one.max(other));
        let (low, high) = if chunk(low) == chunk(high) {
            let (before, from) = self.chunks[chunk(low)].to_mut().split_at_mut(place(high));
            (&mut before[place(low)], &mut from[0])
        } else {
            let (before, from) = self.chunks.split_at_mut(chunk(high));
            let (low_chunk, high_chunk) = (before[chunk(low)].to_mut(), from[0].to_mut());
            (&mut low_chunk[place(low)], &mut high_chunk[place(high)])
        };
        if one < other { (low, high) } else { (high, low) }
    }
}

impl<T> Clone for Pool<T> {
    fn clone(&self) -> Pool<T> {
        Pool { chunks: self.chunks.clone(), len: self.len, bytes: self.bytes }
    }
}

impl<T: Clone + Default> Default for Pool<T> {
    fn default() -> Pool<T> {
        Pool::new()
    }
}

impl<T> std::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Pool").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<T> Index<u32> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.chunks[(index >> CHUNK_BITS) as usize][index as usize % CHUNK]
    }
}

impl<T: Clone> IndexMut<u32> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[(index >> CHUNK_BITS) as usize].to_mut()[index as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allocated<T>(pool: &Pool<T>) -> usize {
        let chunks: usize = pool.chunks.iter().map(allocated_bytes).sum();
        chunks + pool.chunks.capacity() * size_of::<&[T]>()
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
    fn a_pair_is_two_items_of_any_chunks() {
        let mut pool = Pool::new();
        (0..200).for_each(|number| {
            pool.push(number);
        });
        for (one, other) in [(0, 1), (1, 0), (3, 190), (190, 3), (70, 120)] {
            assert_eq!(pool.pair(one, other), (&mut { one }, &mut { other }));
        }
    }

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut pool = Pool::new();
        (0..300).for_each(|number| assert_eq!(pool.push(number), number));
        let clone = pool.clone();
        pool[70] = 0;
        *pool.pair(10, 200).1 = 0;
        while pool.len() > 100 {
            pool.pop();
            assert_eq!(pool.memory_bytes(), allocated(&pool));
        }
        pool.push(7);
        assert!((0..300).all(|number| clone[number] == number));
        assert_eq!(clone.memory_bytes(), allocated(&clone));
    }
}
