//! Reading a list.

use crate::collections::listpack::{self, Element, Listpack};
use crate::collections::{List, list};
use crate::store::Value;
use std::iter::Rev;

/// A list, whatever its form.
#[derive(Clone, Copy, Debug)]
pub enum ListRef<'a> {
    Small(Listpack<'a>),
    Large(&'a List),
}

impl<'a> ListRef<'a> {
    /// Panics if the value is no list: callers have looked at the type.
    #[inline]
    pub fn of(value: Value<'a>) -> ListRef<'a> {
        match value {
            Value::Packed(_, bytes) => ListRef::Small(Listpack::new(bytes)),
            Value::List(list) => ListRef::Large(list),
            _ => unreachable!("callers have looked at the type"),
        }
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            ListRef::Small(listpack) => listpack.len(),
            ListRef::Large(list) => list.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element with an index; a negative one counts from the end, where the last is -1.
    pub fn get(self, index: i64) -> Option<Element<'a>> {
        match self {
            ListRef::Small(listpack) => listpack.get(index),
            ListRef::Large(list) => list.get(resolve(index, list.len())?),
        }
    }

    /// The element with an index, then those behind it.
    #[inline]
    pub fn iter_from(self, index: usize) -> Iter<'a> {
        match self {
            ListRef::Small(listpack) => {
                let position = listpack.seek(index as i64).unwrap_or(listpack.end());
                Iter::Small(listpack.iter_from(position))
            }
            ListRef::Large(list) => Iter::Large(list.iter_from(index)),
        }
    }

    /// The element with an index, then those before it. (None where there is no such index.)
    pub fn iter_back_from(self, index: usize) -> Iter<'a> {
        match self {
            ListRef::Small(listpack) => {
                let end = match listpack.seek(index as i64) {
                    Some(position) => listpack.next(position),
                    None => listpack.first(),
                };
                Iter::SmallBack(listpack.iter_between(listpack.first(), end).rev())
            }
            ListRef::Large(list) => Iter::Large(list.iter_back_from(index)),
        }
    }

    pub fn iter(self) -> Iter<'a> {
        self.iter_from(0)
    }
}

/// The index that a negative one stands for; `None` where there is no such element.
pub(super) fn resolve(index: i64, len: usize) -> Option<usize> {
    let index = if index < 0 { index + len as i64 } else { index };
    usize::try_from(index).ok().filter(|index| *index < len)
}

/// Elements of a list.
#[derive(Clone, Debug)]
pub enum Iter<'a> {
    Small(listpack::Iter<'a>),
    SmallBack(Rev<listpack::Iter<'a>>),
    Large(list::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Iter::Small(elements) => elements.next(),
            Iter::SmallBack(elements) => elements.next(),
            Iter::Large(elements) => elements.next(),
        }
    }
}
