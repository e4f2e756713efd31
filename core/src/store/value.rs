//! What values are, and what Redis calls them.

use super::garbage::DropSome;
use crate::collections::{Hash, List, Set, SortedSet, Stream};

/// Strings up to this length that were set as a whole report the encoding `embstr`, as in Redis.
pub(super) const EMBSTR_BYTES_MAX: usize = 44;

/// What a value is: a string; a small collection, packed in one piece of bytes; or a large one.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    String(StringValue<'a>),
    /// Packed collections are never empty, but while they are edited.
    Packed(Packing, &'a [u8]),
    List(&'a List),
    Set(&'a Set),
    Hash(&'a Hash),
    SortedSet(&'a SortedSet),
    Stream(&'a Stream),
}

/// What a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringValue<'a> {
    Bytes(&'a [u8]),
    /// A string that is the canonical decimal form of this number.
    Integer(i64),
}

/// The types of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
}

/// The forms of packed collections, byte for byte those of RDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// A listpack of elements.
    List,
    /// An intset.
    Intset,
    /// A listpack of members.
    Set,
    /// A listpack of fields, each followed by its value.
    Hash,
    /// A listpack of members, each followed by its score, in the order of the scores.
    SortedSet,
}

impl Packing {
    pub fn value_type(self) -> Type {
        match self {
            Packing::List => Type::List,
            Packing::Intset | Packing::Set => Type::Set,
            Packing::Hash => Type::Hash,
            Packing::SortedSet => Type::SortedSet,
        }
    }

    /// The packed form without elements.
    pub fn empty(self) -> &'static [u8] {
        match self {
            // An encoding of 2 bytes a number, no numbers.
            Packing::Intset => &[2, 0, 0, 0, 0, 0, 0, 0],
            // Seven bytes in all, no elements, the end.
            _ => &[7, 0, 0, 0, 0, 0, 0xff],
        }
    }

    /// Whether this is [`Self::empty`], or has no elements in another width.
    pub fn is_empty(self, packed: &[u8]) -> bool {
        packed.len() <= self.empty().len()
    }
}

/// A collection that is not packed.
#[derive(Clone, Debug)]
pub enum LargeValue {
    List(Box<List>),
    Set(Box<Set>),
    Hash(Box<Hash>),
    SortedSet(Box<SortedSet>),
    Stream(Box<Stream>),
}

impl DropSome for LargeValue {
    fn drop_some(&mut self, budget: usize) -> bool {
        match self {
            LargeValue::List(list) => list.drop_some(budget),
            LargeValue::Set(set) => set.drop_some(budget),
            LargeValue::Hash(hash) => hash.drop_some(budget),
            LargeValue::SortedSet(sorted_set) => sorted_set.drop_some(budget),
            LargeValue::Stream(stream) => stream.drop_some(budget),
        }
    }
}

impl LargeValue {
    /// The value as others see it.
    pub fn get(&self) -> Value<'_> {
        match self {
            LargeValue::List(list) => Value::List(list),
            LargeValue::Set(set) => Value::Set(set),
            LargeValue::Hash(hash) => Value::Hash(hash),
            LargeValue::SortedSet(sorted_set) => Value::SortedSet(sorted_set),
            LargeValue::Stream(stream) => Value::Stream(stream),
        }
    }
}

/// A collection that is in no entry yet, as loading makes it.
#[derive(Clone, Debug)]
pub enum Collection {
    Packed(Packing, Vec<u8>),
    Large(LargeValue),
}

impl Collection {
    /// The value as others see it.
    pub fn get(&self) -> Value<'_> {
        match self {
            Collection::Packed(packing, packed) => Value::Packed(*packing, packed),
            Collection::Large(large) => large.get(),
        }
    }

    /// Bytes it occupies.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Collection::Packed(_, packed) => packed.capacity(),
            Collection::Large(large) => large.get().outside_bytes(),
        }
    }
}

impl Value<'_> {
    pub fn value_type(&self) -> Type {
        match self {
            Value::String(_) => Type::String,
            Value::Packed(packing, _) => packing.value_type(),
            Value::List(_) => Type::List,
            Value::Set(_) => Type::Set,
            Value::Hash(_) => Type::Hash,
            Value::SortedSet(_) => Type::SortedSet,
            Value::Stream(_) => Type::Stream,
        }
    }

    /// Whether it is a collection without elements, which is not kept. Streams are kept.
    pub fn is_to_be_removed(&self) -> bool {
        match self {
            Value::String(_) | Value::Stream(_) => false,
            Value::Packed(packing, packed) => packing.is_empty(packed),
            Value::List(list) => list.is_empty(),
            Value::Set(set) => set.is_empty(),
            Value::Hash(hash) => hash.is_empty(),
            Value::SortedSet(sorted_set) => sorted_set.is_empty(),
        }
    }

    /// Bytes of a large collection outside of its entry.
    pub fn outside_bytes(&self) -> usize {
        match self {
            Value::String(_) | Value::Packed(..) => 0,
            Value::List(list) => size_of_val(*list) + list.memory_bytes(),
            Value::Set(set) => size_of_val(*set) + set.memory_bytes(),
            Value::Hash(hash) => size_of_val(*hash) + hash.memory_bytes(),
            Value::SortedSet(sorted_set) => size_of_val(*sorted_set) + sorted_set.memory_bytes(),
            Value::Stream(stream) => size_of_val(*stream) + stream.memory_bytes(),
        }
    }

    /// What OBJECT ENCODING says of a collection. Strings: see [`super::EntryRef::encoding`].
    pub(super) fn collection_encoding(&self) -> Encoding {
        match self {
            Value::String(_) => Encoding::Raw,
            Value::Packed(Packing::Intset, _) => Encoding::Intset,
            Value::Packed(..) => Encoding::Listpack,
            Value::List(_) => Encoding::Quicklist,
            Value::Set(_) => Encoding::Hashtable,
            Value::Hash(_) => Encoding::Hashtable,
            Value::SortedSet(_) => Encoding::Skiplist,
            Value::Stream(_) => Encoding::Stream,
        }
    }
}

impl StringValue<'_> {
    /// Length in bytes of the string it stands for.
    #[inline]
    pub fn len(&self) -> usize {
        match *self {
            StringValue::Bytes(bytes) => bytes.len(),
            StringValue::Integer(number) => itoa::Buffer::new().format(number).len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the string it stands for.
    #[inline]
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match *self {
            StringValue::Bytes(bytes) => f(bytes),
            StringValue::Integer(number) => f(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// The string it stands for.
    pub fn to_vec(&self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }
}

impl Type {
    /// What TYPE says.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::SortedSet => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }
}

/// What OBJECT ENCODING calls the way a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Int,
    Embstr,
    Raw,
    Listpack,
    Quicklist,
    Intset,
    Hashtable,
    Skiplist,
    Stream,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
            Encoding::Listpack => "listpack",
            Encoding::Quicklist => "quicklist",
            Encoding::Intset => "intset",
            Encoding::Hashtable => "hashtable",
            Encoding::Skiplist => "skiplist",
            Encoding::Stream => "stream",
        }
    }
}
