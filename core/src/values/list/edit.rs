//! Changing a list. An entry that is passed in holds a list; one that is left empty is its key's to remove.

use super::view::resolve;
use super::{End, Limit, ListRef};
use crate::collections::listpack::{self, Element, Listpack, ListpackMut, Needle};
use crate::collections::{Buffer, List};
use crate::store::{Collection, LargeValue, OwnedEntry, Packing, Value, ValueMut, garbage};
use std::ops::Range;

/// A new list of some elements, each pushed at an end.
pub fn created<'t>(
    end: End,
    texts: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
    limit: Limit,
) -> Collection {
    let bytes: usize = texts.clone().map(<[u8]>::len).sum();
    if limit.admits(listpack::EMPTY_BYTES + bytes, texts.len()) {
        let mut packed = Vec::with_capacity(listpack::EMPTY_BYTES + bytes + 4 * texts.len());
        packed.extend_from_slice(&listpack::new_empty());
        push_packed(&mut packed, end, texts);
        Collection::Packed(Packing::List, packed)
    } else {
        let mut list = List::new();
        push_large(&mut list, end, texts, limit);
        large(list)
    }
}

/// A list that was loaded from elsewhere, in the form that its size calls for.
pub fn loaded(list: List, limit: Limit) -> Collection {
    match list.only_listpack() {
        Some(packed) if limit.admits_loaded(packed.bytes().len(), packed.len()) => {
            Collection::Packed(Packing::List, packed.bytes().to_vec())
        }
        _ => large(list),
    }
}

fn large(list: List) -> Collection {
    Collection::Large(LargeValue::List(Box::new(list)))
}

/// Pushes elements one by one. Gives how many there are then.
pub fn push<'t>(
    entry: &mut OwnedEntry,
    end: End,
    texts: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
    limit: Limit,
) -> usize {
    grow(entry, texts.clone().map(<[u8]>::len).sum(), texts.len(), limit);
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => push_packed(&mut packed, end, texts),
        ValueMut::List(list) => push_large(list, end, texts, limit),
        _ => no_list(),
    }
}

/// The same for one element.
#[inline]
pub fn push_one(entry: &mut OwnedEntry, end: End, text: &[u8], limit: Limit) -> usize {
    push(entry, end, std::iter::once(text), limit)
}

fn push_packed<'t>(
    packed: &mut impl Buffer,
    end: End,
    mut texts: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
) -> usize {
    let mut listpack = ListpackMut::new(packed);
    let at = match end {
        End::Left => listpack.view().first(),
        End::Right => listpack.view().end(),
    };
    if texts.len() == 1 {
        if let Some(text) = texts.next() {
            listpack.insert(at, Element::of(text));
        }
    } else {
        let mut elements: Vec<_> = texts.map(Element::of).collect();
        if end == End::Left {
            elements.reverse();
        }
        listpack.exchange(at..at, 0, &elements);
    }
    listpack.view().len()
}

fn push_large<'t>(
    list: &mut List,
    end: End,
    texts: impl Iterator<Item = &'t [u8]>,
    limit: Limit,
) -> usize {
    for text in texts {
        match end {
            End::Left => list.push_front(Element::of(text), limit),
            End::Right => list.push_back(Element::of(text), limit),
        }
    }
    list.len()
}

/// Removes the element at an end, once `f` has had it. The list is not empty.
#[inline]
pub fn pop<T>(
    entry: &mut OwnedEntry,
    end: End,
    limit: Limit,
    f: impl FnOnce(Element) -> T,
) -> Option<T> {
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => {
            let view = Listpack::new(packed.bytes());
            if view.is_empty() {
                return None;
            }
            let position = match end {
                End::Left => view.first(),
                End::Right => view.previous(view.end()),
            };
            let result = f(view.at(position));
            ListpackMut::new(&mut packed).remove(position);
            Some(result)
        }
        ValueMut::List(list) => {
            let result = match end {
                End::Left => list.pop_front(f),
                End::Right => list.pop_back(f),
            };
            shrink(entry, limit);
            result
        }
        _ => no_list(),
    }
}

/// Removes up to `count` elements at an end, each once `f` has had it.
pub fn pop_many(
    entry: &mut OwnedEntry,
    end: End,
    count: usize,
    limit: Limit,
    mut f: impl FnMut(Element),
) {
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => {
            let mut elements = Listpack::new(packed.bytes()).iter();
            match end {
                End::Left => elements.by_ref().take(count).for_each(f),
                End::Right => elements.by_ref().rev().take(count).for_each(f),
            }
            let position = match end {
                End::Left => Listpack::new(packed.bytes()).first(),
                End::Right => elements.position_back(),
            };
            ListpackMut::new(&mut packed).remove_many(position, count);
        }
        ValueMut::List(list) => {
            for _ in 0..count {
                let popped = match end {
                    End::Left => list.pop_front(&mut f),
                    End::Right => list.pop_back(&mut f),
                };
                if popped.is_none() {
                    break;
                }
            }
            shrink(entry, limit);
        }
        _ => no_list(),
    }
}

/// Inserts beside the first element that is `pivot`. Gives how many there are then; `None` if none is.
pub fn insert(
    entry: &mut OwnedEntry,
    pivot: &[u8],
    is_before: bool,
    text: &[u8],
    limit: Limit,
) -> Option<usize> {
    grow(entry, text.len(), 1, limit);
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => {
            let mut listpack = ListpackMut::new(&mut packed);
            let view = listpack.view();
            let found = view.find(view.first(), pivot, 0)?;
            let position = if is_before { found } else { view.next(found) };
            listpack.insert(position, Element::of(text));
            Some(listpack.view().len())
        }
        ValueMut::List(list) => {
            let needle = Needle::new(pivot);
            let found = list.iter().position(|element| needle.is(element))?;
            list.insert(if is_before { found } else { found + 1 }, Element::of(text), limit);
            Some(list.len())
        }
        _ => no_list(),
    }
}

/// Replaces the element with an index, negative from the end. `false`: there is none.
pub fn set(entry: &mut OwnedEntry, index: i64, text: &[u8], limit: Limit) -> bool {
    grow(entry, text.len(), 1, limit);
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => {
            let mut listpack = ListpackMut::new(&mut packed);
            let Some(position) = listpack.view().seek(index) else { return false };
            listpack.replace(position, Element::of(text));
        }
        ValueMut::List(list) => {
            let Some(index) = resolve(index, list.len()) else { return false };
            list.set(index, Element::of(text), limit);
            shrink(entry, limit);
        }
        _ => no_list(),
    }
    true
}

/// Removes all elements but those with an index in the range. Gives how many.
pub fn trim(entry: &mut OwnedEntry, kept: Range<usize>, limit: Limit) -> usize {
    let before = ListRef::of(entry.get().value()).len();
    let left = kept.len();
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => {
            let mut listpack = ListpackMut::new(&mut packed);
            let view = listpack.view();
            let end = view.seek(kept.end as i64).unwrap_or(view.end());
            listpack.remove_many(end, usize::MAX);
            let first = listpack.view().first();
            listpack.remove_many(first, kept.start);
        }
        ValueMut::List(list) => {
            for removed in [list.remove_range(kept.end, before), list.remove_range(0, kept.start)] {
                garbage::discard(LargeValue::List(Box::new(removed)));
            }
            shrink(entry, limit);
        }
        _ => no_list(),
    }
    before - left
}

/// Removes elements that are `text`: up to `count` from the left, up to `-count` from the right, or with 0 all. Gives
/// how many.
pub fn remove(entry: &mut OwnedEntry, count: i64, text: &[u8], limit: Limit) -> usize {
    let count_max = match count {
        0 => usize::MAX,
        _ => count.unsigned_abs() as usize,
    };
    match entry.value_mut() {
        ValueMut::Packed(_, mut packed) => {
            let needle = Needle::new(text);
            let kept = match count {
                ..0 => {
                    let elements = Listpack::new(packed.bytes()).iter();
                    elements.filter(|&element| needle.is(element)).count().saturating_sub(count_max)
                }
                _ => 0,
            };
            ListpackMut::new(&mut packed).remove_matching(&needle, kept, count_max)
        }
        ValueMut::List(list) => {
            let removed = match count {
                ..0 => list.remove_last(text, count_max),
                _ => list.remove_first(text, count_max),
            };
            if removed > 0 {
                shrink(entry, limit);
            }
            removed
        }
        _ => no_list(),
    }
}

/// Makes a listpack that would no longer be within the limit a large list. `bytes` is the length of the texts that are
/// to come.
#[inline]
fn grow(entry: &mut OwnedEntry, bytes: usize, count: usize, limit: Limit) {
    if let Value::Packed(_, packed) = entry.get().value() {
        let listpack = Listpack::new(packed);
        if !limit.admits(packed.len() + bytes, listpack.len() + count) {
            let mut list = List::new();
            list.push_listpack(listpack, limit);
            entry.set_collection(large(list));
        }
    }
}

/// Makes a large list that has shrunk to half of the limit a listpack.
#[inline]
fn shrink(entry: &mut OwnedEntry, limit: Limit) {
    if let Value::List(list) = entry.get().value()
        && let Some(listpack) = list.only_listpack()
        && limit.admits_shrunk(listpack.bytes().len(), list.len())
    {
        let packed = listpack.bytes().to_vec();
        entry.set_packed(Packing::List, &packed);
    }
}

#[cold]
fn no_list() -> ! {
    unreachable!("callers have looked at the type")
}
