//! An ordered map that is cloned at once, however large it is.
//!
//! Pairs lie in sorted chunks of up to `N`, the chunks in the order of their keys under inner nodes: a B+tree whose
//! nodes are each shared through a [`CopyOnWrite`]. A clone holds the same root. The first write to a chunk that a
//! clone shares copies that chunk and the inner nodes above it: pairs and child pointers in the hundreds, whatever the
//! size of the map. (A plain row of chunks would have to be copied whole: some ten thousand counts for a million
//! pairs, each far away in memory.)
//!
//! Keys that come in ascending order, the usual case, leave all chunks full. A chunk in the middle that is full is
//! split; one of which a quarter or less is left is joined with a neighbour where both together are half full at most.
//!
//! Whoever owns the map changes it through `&mut`; clones may be on other threads. Deliberately absent: parents and
//! neighbours of nodes, which a node that several trees share cannot have, so going on to the next chunk is one walk
//! down; and what values have allocated, which is the owner's to count.

use super::cow::{COUNTS_BYTES, CopyOnWrite};
use std::ops::{Bound, RangeBounds};

/// Children of an inner node.
const CHILDREN_MAX: usize = 128;

/// Pairs or children that a node has room for at least.
const ROOM_MIN: usize = 4;

#[derive(Clone, Debug)]
pub struct SortedChunks<K, V, const N: usize> {
    /// Absent until something is inserted. A chunk that has become empty stays when it is the only one, so that a map
    /// that holds one pair now and then does not allocate each time.
    root: Option<CopyOnWrite<Node<K, V, N>>>,
    len: usize,
    /// What the nodes have allocated.
    bytes: usize,
}

/// All chunks are at the same depth. No node but the root is empty.
#[derive(Debug)]
enum Node<K, V, const N: usize> {
    Chunk(Vec<(K, V)>),
    /// Each child with a key that is not after any of its own, and after all of the child before.
    Inner(Vec<Child<K, V, N>>),
}

type Child<K, V, const N: usize> = (K, CopyOnWrite<Node<K, V, N>>);

/// What an insertion into a node gives: the value that was there, and the node that is to follow if there was no room.
type Inserted<K, V, const N: usize> = (Option<V>, Option<Child<K, V, N>>);

impl<K, V, const N: usize> Default for SortedChunks<K, V, N> {
    fn default() -> Self {
        SortedChunks { root: None, len: 0, bytes: 0 }
    }
}

impl<K: Copy + Ord, V: Clone, const N: usize> SortedChunks<K, V, N> {
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, key: K) -> Option<&V> {
        let mut node = &**self.root.as_ref()?;
        loop {
            match node {
                Node::Chunk(pairs) => return Some(&pairs[find(pairs, key).ok()?].1),
                Node::Inner(children) => node = &children[child_of(children, key)].1,
            }
        }
    }

    /// The value of a key, to be changed. What lies on the way there is copied where it is shared.
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let mut node = self.root.as_mut()?.to_mut();
        loop {
            match node {
                Node::Chunk(pairs) => {
                    let at = find(pairs, key).ok()?;
                    return Some(&mut pairs[at].1);
                }
                Node::Inner(children) => {
                    let at = child_of(children, key);
                    node = children[at].1.to_mut();
                }
            }
        }
    }

    /// Sets the value of a key. The one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let root = self.root.get_or_insert_with(|| {
            let empty = Node::Chunk(Vec::new());
            self.bytes += empty.bytes();
            CopyOnWrite::new(empty)
        });
        let (old, next) = root.to_mut().insert(key, value, &mut self.bytes);
        if let Some(next) = next {
            let first = (root.first_key(), root.clone());
            let mut children = Vec::with_capacity(ROOM_MIN);
            children.extend([first, next]);
            let above = Node::Inner(children);
            self.bytes += above.bytes();
            *root = CopyOnWrite::new(above);
        }
        self.len += usize::from(old.is_none());
        old
    }

    pub fn remove(&mut self, key: K) -> Option<V> {
        let root = self.root.as_mut()?;
        let removed = root.to_mut().remove(key, &mut self.bytes)?;
        self.len -= 1;
        while let Node::Inner(children) = &**root
            && let [(_, only)] = &children[..]
        {
            self.bytes -= root.bytes();
            *root = only.clone();
        }
        Some(removed)
    }

    /// The pairs whose keys are in a range, in order. A range whose ends are the wrong way round is empty.
    pub fn range(&self, range: impl RangeBounds<K>) -> Range<'_, K, V, N> {
        Range {
            root: self.root.as_deref(),
            start: range.start_bound().cloned(),
            end: range.end_bound().cloned(),
            front: &[],
            back: &[],
        }
    }

    /// What is allocated, in bytes, as if nothing were shared. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    /// Frees chunks until they had about as many pairs as `budget` says, which is lessened by those. The map must be
    /// used for nothing else any more. `true`: something is left.
    pub fn drop_some(&mut self, budget: &mut usize) -> bool {
        (self.len, self.bytes) = (0, 0);
        while *budget > 0
            && let Some(root) = &mut self.root
        {
            let dropped = match &**root {
                Node::Chunk(_) => self.root.take(),
                Node::Inner(_) => root.to_mut().pop_chunk(),
            };
            match dropped {
                Some(chunk) => *budget = budget.saturating_sub(chunk.len().max(1)),
                None => self.root = None,
            }
        }
        self.root.is_some()
    }
}

impl<K: Copy + Ord, V: Clone, const N: usize> Node<K, V, N> {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Node::Chunk(pairs) => pairs.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// How many pairs or children it can have.
    fn len_max(&self) -> usize {
        match self {
            Node::Chunk(_) => N,
            Node::Inner(_) => CHILDREN_MAX,
        }
    }

    #[inline]
    fn bytes(&self) -> usize {
        let items = match self {
            Node::Chunk(pairs) => pairs.capacity() * size_of::<(K, V)>(),
            Node::Inner(children) => children.capacity() * size_of::<Child<K, V, N>>(),
        };
        COUNTS_BYTES + size_of::<Self>() + items
    }

    /// A key that is not after any of its own. It must not be empty.
    fn first_key(&self) -> K {
        match self {
            Node::Chunk(pairs) => pairs[0].0,
            Node::Inner(children) => children[0].0,
        }
    }

    fn insert(&mut self, key: K, value: V, bytes: &mut usize) -> Inserted<K, V, N> {
        let before = self.bytes();
        let (old, next) = match self {
            Node::Chunk(pairs) => match find_from_end(pairs, key) {
                Ok(at) => return (Some(std::mem::replace(&mut pairs[at].1, value)), None),
                Err(at) => (None, place(pairs, at, (key, value), N).map(Node::Chunk)),
            },
            Node::Inner(children) => {
                let at = child_of(children, key);
                let (first, child) = &mut children[at];
                *first = key.min(*first);
                match child.to_mut().insert(key, value, bytes) {
                    (old, None) => return (old, None),
                    (old, Some(next)) => {
                        (old, place(children, at + 1, next, CHILDREN_MAX).map(Node::Inner))
                    }
                }
            }
        };
        *bytes = *bytes + self.bytes() - before;
        let next = next.map(|node| {
            *bytes += node.bytes();
            (node.first_key(), CopyOnWrite::new(node))
        });
        (old, next)
    }

    fn remove(&mut self, key: K, bytes: &mut usize) -> Option<V> {
        let before = self.bytes();
        let removed = match self {
            Node::Chunk(pairs) => {
                let (_, value) = pairs.remove(find_from_start(pairs, key).ok()?);
                give_back(pairs);
                value
            }
            Node::Inner(children) => {
                let at = child_of(children, key);
                let child = children[at].1.to_mut();
                let value = child.remove(key, bytes)?;
                let len = child.len();
                // Neighbours are looked at each time that half of what was left is gone, not each time: they are far
                // away in memory. Two of which a quarter is left meet when the second comes to that.
                if len > child.len_max() / 4 || !(len == 0 || len.is_power_of_two()) {
                    return Some(value);
                }
                tidy(children, at, bytes);
                give_back(children);
                value
            }
        };
        *bytes = *bytes + self.bytes() - before;
        Some(removed)
    }

    /// Moves all of the node behind it, which is of the same kind, to its own end.
    fn append(&mut self, next: &mut Self) {
        match (self, next) {
            (Node::Chunk(pairs), Node::Chunk(more)) => pairs.append(more),
            (Node::Inner(children), Node::Inner(more)) => children.append(more),
            _ => unreachable!("all chunks are at the same depth"),
        }
    }

    /// Takes the last chunk out of an inner node. `None`: none is left.
    fn pop_chunk(&mut self) -> Option<CopyOnWrite<Self>> {
        let Node::Inner(children) = self else { unreachable!("a chunk has none below it") };
        while let Some((_, last)) = children.last_mut() {
            if let Node::Inner(_) = **last
                && let Some(chunk) = last.to_mut().pop_chunk()
            {
                return Some(chunk);
            }
            let (_, last) = children.pop()?;
            if let Node::Chunk(_) = *last {
                return Some(last);
            }
        }
        None
    }

    /// The pairs of the first chunk that has any from `start` on, from there on.
    fn part_from(&self, start: Bound<K>) -> &[(K, V)] {
        match self {
            Node::Chunk(pairs) => &pairs[pairs.partition_point(|&(key, _)| !after(start, key))..],
            Node::Inner(children) => {
                let at = match start {
                    Bound::Unbounded => 0,
                    Bound::Included(key) | Bound::Excluded(key) => child_of(children, key),
                };
                let part = children[at].1.part_from(start);
                match children.get(at + 1) {
                    Some((_, next)) if part.is_empty() => next.part_from(start),
                    _ => part,
                }
            }
        }
    }

    /// The pairs of the last chunk that has any up to `end`, up to there.
    fn part_to(&self, end: Bound<K>) -> &[(K, V)] {
        match self {
            Node::Chunk(pairs) => &pairs[..pairs.partition_point(|&(key, _)| before(key, end))],
            Node::Inner(children) => {
                let at = match end {
                    Bound::Unbounded => children.len() - 1,
                    Bound::Included(key) | Bound::Excluded(key) => child_of(children, key),
                };
                let part = children[at].1.part_to(end);
                match at.checked_sub(1) {
                    Some(at) if part.is_empty() => children[at].1.part_to(end),
                    _ => part,
                }
            }
        }
    }
}

/// The copy has as much room as the original, so that what is counted as allocated stays right when a shared node is
/// copied, and so that rooms stay powers of two.
impl<K: Copy, V: Clone, const N: usize> Clone for Node<K, V, N> {
    fn clone(&self) -> Self {
        fn copy<T: Clone>(items: &Vec<T>) -> Vec<T> {
            let mut copy = Vec::with_capacity(items.capacity());
            copy.extend_from_slice(items);
            copy
        }
        match self {
            Node::Chunk(pairs) => Node::Chunk(copy(pairs)),
            Node::Inner(children) => Node::Inner(copy(children)),
        }
    }
}

/// Where a key is, or where it would be.
#[inline]
fn find<K: Ord, V>(pairs: &[(K, V)], key: K) -> Result<usize, usize> {
    pairs.binary_search_by(|(other, _)| other.cmp(&key))
}

/// As [`find`], for one that is mostly the first.
#[inline]
fn find_from_start<K: Ord, V>(pairs: &[(K, V)], key: K) -> Result<usize, usize> {
    match pairs.first() {
        Some((first, _)) if *first == key => Ok(0),
        _ => find(pairs, key),
    }
}

/// As [`find`], for one that is mostly to be appended.
#[inline]
fn find_from_end<K: Ord, V>(pairs: &[(K, V)], key: K) -> Result<usize, usize> {
    match pairs.last() {
        Some((last, _)) if *last >= key => find(pairs, key),
        _ => Err(pairs.len()),
    }
}

/// The child in which a key is, if any. Mostly it is in the last, where keys are added, or in the first, where they are
/// removed.
#[inline]
fn child_of<K: Ord, C>(children: &[(K, C)], key: K) -> usize {
    match children {
        [.., (last, _)] if *last <= key => children.len() - 1,
        [_, (second, _), ..] if key < *second => 0,
        _ => children.partition_point(|(first, _)| *first <= key).saturating_sub(1),
    }
}

/// Whether a key is within a range that starts so.
#[inline]
fn after<K: Ord>(start: Bound<K>, key: K) -> bool {
    match start {
        Bound::Included(start) => start <= key,
        Bound::Excluded(start) => start < key,
        Bound::Unbounded => true,
    }
}

/// Whether a key is within a range that ends so.
#[inline]
fn before<K: Ord>(key: K, end: Bound<K>) -> bool {
    match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    }
}

/// Inserts an item among those of a node. Where there is no room, the items that are to follow in a node of their own:
/// half of them, or only the new one where it is the last.
fn place<T>(items: &mut Vec<T>, at: usize, item: T, len_max: usize) -> Option<Vec<T>> {
    if items.len() < len_max {
        take_room(items, len_max);
        items.insert(at, item);
        return None;
    }
    let half = len_max / 2;
    let mut next = if at == len_max { Vec::new() } else { items.split_off(half) };
    if at <= half {
        items.insert(at, item);
    } else {
        take_room(&mut next, len_max);
        next.insert(at - (len_max - next.len()), item);
    }
    Some(next)
}

/// Makes room for one item more: twice as much, but no more than a node can ever use.
#[inline]
fn take_room<T>(items: &mut Vec<T>, len_max: usize) {
    let room = items.capacity();
    if items.len() == room {
        items.reserve_exact((2 * room).clamp(ROOM_MIN, len_max) - room);
    }
}

/// Gives half of the room back where a quarter is enough.
#[inline]
fn give_back<T>(items: &mut Vec<T>) {
    let room = items.capacity();
    if items.len() <= room / 4 && room > ROOM_MIN {
        items.shrink_to((room / 2).max(ROOM_MIN));
    }
}

/// Removes a child that has become empty, or joins one of which little is left with a neighbour of which little is left
/// too.
fn tidy<K: Copy + Ord, V: Clone, const N: usize>(
    children: &mut Vec<Child<K, V, N>>,
    at: usize,
    bytes: &mut usize,
) {
    let child = &children[at].1;
    if child.len() == 0 {
        *bytes -= child.bytes();
        children.remove(at);
        return;
    }
    for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
        let Some([(_, one), (_, two)]) = children.get(left..left + 2) else { continue };
        if one.len() + two.len() > one.len_max() / 2 {
            continue;
        }
        *bytes -= one.bytes() + two.bytes();
        let (_, mut next) = children.remove(left + 1);
        let joined = children[left].1.to_mut();
        joined.append(next.to_mut());
        *bytes += joined.bytes();
        return;
    }
}

/// The pairs of a range, in ascending or descending order.
#[derive(Debug)]
pub struct Range<'a, K, V, const N: usize> {
    root: Option<&'a Node<K, V, N>>,
    /// The range without what was looked up already, which is the next two.
    start: Bound<K>,
    end: Bound<K>,
    front: &'a [(K, V)],
    back: &'a [(K, V)],
}

impl<'a, K: Copy + Ord, V: Clone, const N: usize> Iterator for Range<'a, K, V, N> {
    type Item = (K, &'a V);

    #[inline]
    fn next(&mut self) -> Option<(K, &'a V)> {
        if self.front.is_empty() {
            self.find_front();
        }
        let part = if self.front.is_empty() { &mut self.back } else { &mut self.front };
        let ((key, value), rest) = part.split_first()?;
        *part = rest;
        Some((*key, value))
    }
}

impl<'a, K: Copy + Ord, V: Clone, const N: usize> DoubleEndedIterator for Range<'a, K, V, N> {
    #[inline]
    fn next_back(&mut self) -> Option<(K, &'a V)> {
        if self.back.is_empty() {
            self.find_back();
        }
        let part = if self.back.is_empty() { &mut self.front } else { &mut self.back };
        let ((key, value), rest) = part.split_last()?;
        *part = rest;
        Some((*key, value))
    }
}

impl<K: Copy + Ord, V: Clone, const N: usize> Range<'_, K, V, N> {
    fn find_front(&mut self) {
        let Some(root) = self.root else { return };
        let part = root.part_from(self.start);
        match part.last() {
            Some(&(last, _)) if before(last, self.end) => {
                self.front = part;
                self.start = Bound::Excluded(last);
            }
            _ => {
                let end = self.end;
                self.front = &part[..part.partition_point(|&(key, _)| before(key, end))];
                self.root = None;
            }
        }
    }

    fn find_back(&mut self) {
        let Some(root) = self.root else { return };
        let part = root.part_to(self.end);
        match part.first() {
            Some(&(first, _)) if after(self.start, first) => {
                self.back = part;
                self.end = Bound::Excluded(first);
            }
            _ => {
                let start = self.start;
                self.back = &part[part.partition_point(|&(key, _)| !after(start, key))..];
                self.root = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
