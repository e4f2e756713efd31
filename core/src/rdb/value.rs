//! The types of values in RDB, each with its byte, and which file of this folder reads and writes them.
//!
//! Source: `src/rdb.h` of Redis 8.0 and Valkey 9.1.

use super::input::{DecodeError, Input};
use super::{hash, list, set, sorted_set, stream, string};
use crate::collections::Limits;
use crate::store::{Collection, Hasher, Packing, StringValue, Value};
use std::borrow::Cow;

/// The bytes that say what type and encoding a value has.
pub mod type_byte {
    pub const STRING: u8 = 0;
    pub const LIST: u8 = 1;
    pub const SET: u8 = 2;
    /// Scores in decimal.
    pub const ZSET: u8 = 3;
    pub const HASH: u8 = 4;
    /// Scores as eight bytes.
    pub const ZSET_2: u8 = 5;
    pub const HASH_ZIPMAP: u8 = 9;
    pub const LIST_ZIPLIST: u8 = 10;
    pub const SET_INTSET: u8 = 11;
    pub const ZSET_ZIPLIST: u8 = 12;
    pub const HASH_ZIPLIST: u8 = 13;
    /// Of ziplists.
    pub const LIST_QUICKLIST: u8 = 14;
    pub const STREAM: u8 = 15;
    /// From here on since RDB 10 (Redis 7.0).
    pub const HASH_LISTPACK: u8 = 16;
    pub const ZSET_LISTPACK: u8 = 17;
    /// Of listpacks and plain nodes.
    pub const LIST_QUICKLIST_2: u8 = 18;
    pub const STREAM_2: u8 = 19;
    /// From here on since RDB 11 (Redis 7.2).
    pub const SET_LISTPACK: u8 = 20;
    pub const STREAM_3: u8 = 21;
    /// Valkey 9 (RDB 80): with an expiry for each field.
    pub const HASH_2: u8 = 22;
    /// Redis 7.4 (RDB 12): fields with expiries.
    pub const HASH_METADATA: u8 = 24;
    pub const HASH_LISTPACK_EX: u8 = 25;
}

pub use type_byte::STRING;

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The RDB version of the readers: no type is written that is newer.
    pub version: u16,
    /// Whether long strings and packed collections are compressed.
    pub compress: bool,
}

impl Format {
    /// Whether listpacks may be written; before, it was ziplists, which are not written any more.
    pub fn has_listpacks(self) -> bool {
        self.version >= 10
    }
}

/// What values are built with.
#[derive(Clone, Debug)]
pub struct Builder {
    /// The process's.
    pub hasher: Hasher,
    pub limits: Limits,
}

/// A value as it was read, a string borrowed where it lay there as it is.
#[derive(Clone, Debug)]
pub enum StoredValue<'a> {
    String(Cow<'a, [u8]>),
    /// A string that is the decimal form of this number.
    Integer(i64),
    Collection(Collection),
}

/// Collections are equal if they are written as the same bytes.
impl PartialEq for StoredValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        let format = Format { version: u16::MAX, compress: false };
        let written = |collection: &Collection| {
            let value = collection.get();
            let mut out = vec![type_byte_of(&value, format)];
            write(&mut out, &value, format);
            out
        };
        match (self, other) {
            (StoredValue::String(one), StoredValue::String(other)) => one == other,
            (StoredValue::Integer(one), StoredValue::Integer(other)) => one == other,
            (StoredValue::Collection(one), StoredValue::Collection(other)) => {
                written(one) == written(other)
            }
            _ => false,
        }
    }
}

impl Eq for StoredValue<'_> {}

impl StoredValue<'_> {
    /// The string it stands for; `None` for a collection.
    pub fn to_vec(&self) -> Option<Vec<u8>> {
        match self {
            StoredValue::String(bytes) => Some(bytes.to_vec()),
            StoredValue::Integer(number) => Some(itoa::Buffer::new().format(*number).into()),
            StoredValue::Collection(_) => None,
        }
    }
}

/// What a type byte stands for; `None` where it is no type.
pub fn type_name(type_byte: u8) -> Option<&'static str> {
    Some(match type_byte {
        STRING => "string",
        1 => "list",
        2 => "set",
        3 => "sorted set with scores in decimal",
        4 => "hash",
        5 => "sorted set",
        6 => "module value of a release candidate",
        7 => "module value",
        9 => "hash as a zipmap",
        10 => "list as a ziplist",
        11 => "set as an intset",
        12 => "sorted set as a ziplist",
        13 => "hash as a ziplist",
        14 => "list as a quicklist of ziplists",
        15 => "stream",
        16 => "hash as a listpack",
        17 => "sorted set as a listpack",
        18 => "list as a quicklist of listpacks",
        19 => "stream of version 2",
        20 => "set as a listpack",
        21 => "stream of version 3",
        // Valkey 9's own type; a release candidate of Redis 7.4 had another of this number.
        22 => "hash with field TTLs",
        // As above, and "path hash" in Valkey 9.2.
        23 => "hash with field TTLs as a listpack, or path hash",
        24 => "hash with field TTLs",
        25 => "hash with field TTLs as a listpack",
        _ => return None,
    })
}

/// The type byte under which [`write`] writes a value.
#[inline]
pub fn type_byte_of(value: &Value, format: Format) -> u8 {
    match value {
        Value::String(_) => STRING,
        Value::Packed(Packing::List, _) | Value::List(_) => list::type_byte(value, format),
        Value::Packed(Packing::Intset | Packing::Set, _) | Value::Set(_) => {
            set::type_byte(value, format)
        }
        Value::Packed(Packing::Hash, _) | Value::Hash(_) => hash::type_byte(value, format),
        Value::Packed(Packing::SortedSet, _) | Value::SortedSet(_) => {
            sorted_set::type_byte(value, format)
        }
        Value::Stream(_) => stream::type_byte(format),
    }
}

/// Appends a value without its type byte.
#[inline]
pub fn write(out: &mut Vec<u8>, value: &Value, format: Format) {
    match value {
        Value::String(StringValue::Bytes(bytes)) => string::write(out, bytes, format.compress),
        Value::String(StringValue::Integer(number)) => string::write_integer(out, *number),
        Value::Packed(Packing::List, _) | Value::List(_) => list::write(out, value, format),
        Value::Packed(Packing::Intset | Packing::Set, _) | Value::Set(_) => {
            set::write(out, value, format)
        }
        Value::Packed(Packing::Hash, _) | Value::Hash(_) => hash::write(out, value, format),
        Value::Packed(Packing::SortedSet, _) | Value::SortedSet(_) => {
            sorted_set::write(out, value, format)
        }
        Value::Stream(stream) => stream::write(out, stream, format),
    }
}

/// The value of type `type_byte` that comes next. The type's byte was the last that was read.
#[inline]
pub fn parse<'a>(
    type_byte: u8,
    input: &mut Input<'a>,
    builder: &Builder,
) -> Result<StoredValue<'a>, DecodeError> {
    if type_byte == STRING {
        return string::parse(input);
    }
    parse_collection(type_byte, input, builder).map(StoredValue::Collection)
}

fn parse_collection(
    type_byte: u8,
    input: &mut Input,
    builder: &Builder,
) -> Result<Collection, DecodeError> {
    let at = input.position().saturating_sub(1);
    match type_byte {
        1 | 10 | 14 | 18 => list::parse(type_byte, input, builder),
        2 | 11 | 20 => set::parse(type_byte, input, builder),
        3 | 5 | 12 | 17 => sorted_set::parse(type_byte, input, builder),
        4 | 9 | 13 | 16 | 22 | 24 | 25 => hash::parse(type_byte, input, builder),
        15 | 19 | 21 => stream::parse(type_byte, input, builder),
        _ if type_name(type_byte).is_some() => Err(DecodeError::NotSupported { at, type_byte }),
        _ => Err(Input::malformed(at, "no type of value has this byte")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_not_there_is_refused_by_name() {
        let builder = Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() };
        let refusal =
            |type_byte| parse(type_byte, &mut Input::new(b""), &builder).unwrap_err().to_string();
        assert_eq!(refusal(7), "module value (RDB type 7) is not supported yet");
        assert_eq!(refusal(8), "no type of value has this byte");
        assert_eq!(refusal(26), "no type of value has this byte");
    }
}
