//! Large collections, written slice by slice.
//!
//! To write one at once would stop its shard for tens of milliseconds per million elements. Instead it is held as it is
//! now, by reference, which costs some microseconds per megabyte, and what is held is written in as many calls as it
//! takes while the collection goes on changing. What [`value::write`](super::value::write) would have written comes out.

use super::value::Format;
use super::{hash, list, set, sorted_set, stream};
use crate::store::{DropSome, Value};

/// A value that is written bit by bit, and freed so: it may be the last to hold what it was cloned from.
pub trait Slices: DropSome + Send {
    /// Appends the next slice, of about `bytes_max` bytes: a single element may be longer. `true`: it was the last.
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool;
}

/// Holds a value that is to be written in slices, without its type byte; `None` if it is to be written at once, being no
/// large collection or occupying less than `bytes_min` bytes.
pub fn hold(value: &Value, format: Format, bytes_min: usize) -> Option<Box<dyn Slices>> {
    if value.outside_bytes() < bytes_min {
        return None;
    }
    Some(match value {
        Value::String(_) | Value::Packed(..) => return None,
        Value::List(list) => Box::new(list::ListSlices::new((*list).clone(), format)),
        Value::Set(set) => Box::new(set::SetSlices::new(set.hold(), format)),
        Value::Hash(hash) => Box::new(hash::HashSlices::new(hash, format)),
        Value::SortedSet(set) => Box::new(sorted_set::SortedSetSlices::new(set.hold(), format)),
        Value::Stream(stream) => Box::new(stream::StreamSlices::new((*stream).clone(), format)),
    })
}

/// The walk of a slice: writes items, each with its place, until `out` is `end` bytes long. `true`: that were all; else
/// `next` is the place of the item to go on from.
pub(super) fn write_items<P, T>(
    out: &mut Vec<u8>,
    end: usize,
    next: &mut Option<P>,
    items: impl Iterator<Item = (P, T)>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) -> bool {
    for (place, item) in items {
        if out.len() >= end {
            *next = Some(place);
            return false;
        }
        write(out, item);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::value;
    use super::*;
    use crate::collections::hash::FieldExpiry;
    use crate::collections::list::Limit;
    use crate::collections::listpack::Element;
    use crate::collections::{Hash, List, Set, SortedSet};
    use crate::store::Hasher;
    use proptest::prelude::*;

    fn hasher() -> Hasher {
        Hasher::new([1, 2, 3, 4])
    }

    /// One of each kind that changes with the elements it is told of.
    #[derive(Default)]
    struct All {
        list: List,
        set: Set,
        hash: Hash,
        sorted_set: SortedSet,
    }

    impl All {
        /// Puts an element in, or takes it out again.
        fn change(&mut self, number: u32, length: usize) {
            let (hasher, limit) = (hasher(), Limit::Count(5));
            let mut text = number.to_string().into_bytes();
            text.resize(text.len().max(length), b'x');
            let hash = hasher.hash(&text);
            if number % 3 == 0 {
                self.list.pop_front(|_| ());
                self.list.push_front(Element::of(&text), limit);
            }
            if self.set.remove(&hasher, hash, &text) {
                self.list.remove_first(&text, 1);
                self.hash.remove(&hasher, hash, &text);
                self.sorted_set.remove(&hasher, &text);
                return;
            }
            self.list.push_back(Element::of(&text), limit);
            self.set.insert(&hasher, hash, &text);
            let expiry =
                if number % 7 == 0 { FieldExpiry::At(number.into()) } else { FieldExpiry::Clear };
            self.hash.set(&hasher, hash, &text, b"a value", expiry);
            self.sorted_set.set(&hasher, &text, f64::from(number % 50));
        }

        fn values(&self) -> [Value<'_>; 4] {
            let All { list, set, hash, sorted_set } = self;
            [Value::List(list), Value::Set(set), Value::Hash(hash), Value::SortedSet(sorted_set)]
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn slices_are_what_is_written_at_once_whatever_happens_meanwhile(
            before in prop::collection::vec((0u32..600, prop_oneof![9 => 0usize..30, 1 => 4_000usize..9_000]), 1..400),
            during in prop::collection::vec((0u32..600, 0usize..30, 1usize..500), 1..60),
            version in prop_oneof![Just(9u16), Just(10), Just(12), Just(80)],
            compress: bool,
        ) {
            let format = Format { version, compress };
            let mut all = All::default();
            before.into_iter().for_each(|(number, length)| all.change(number, length));
            let at_once = all.values().map(|value| {
                let mut out = Vec::new();
                value::write(&mut out, &value, format);
                out
            });
            let mut held = all.values().map(|value| (hold(&value, format, 0), Vec::new()));
            let mut during = during.into_iter().cycle();
            while held.iter().any(|(slices, _)| slices.is_some()) {
                for (slices, out) in &mut held {
                    let (number, length, bytes_max) = during.next().expect("there is always more");
                    all.change(number, length);
                    let before = out.len();
                    if let Some(rest) = slices && rest.write_some(out, bytes_max) {
                        *slices = None;
                        prop_assert!(out.len() > before);
                    }
                    // One element, or node, may be longer.
                    prop_assert!(out.len() < before + bytes_max + 50_000);
                }
            }
            for ((_, out), wanted) in held.iter().zip(&at_once) {
                prop_assert_eq!(out, wanted);
            }
        }
    }
}
