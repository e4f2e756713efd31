//! The types of values in RDB, each with its byte.
//!
//! Source: `src/rdb.h` of Redis 8.0 and Valkey 9.1.

use super::input::{DecodeError, Input};
use super::string;
use std::borrow::Cow;

/// The type byte of strings.
pub const STRING: u8 = 0;

/// A value as it was read, borrowed where it lay there as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredValue<'a> {
    String(Cow<'a, [u8]>),
    /// A string that is the decimal form of this number.
    Integer(i64),
}

impl StoredValue<'_> {
    /// The string it stands for.
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            StoredValue::String(bytes) => bytes.to_vec(),
            StoredValue::Integer(number) => itoa::Buffer::new().format(*number).into(),
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

/// The value of type `type_byte` that comes next. The type's byte was the last that was read.
#[inline]
pub fn parse<'a>(type_byte: u8, input: &mut Input<'a>) -> Result<StoredValue<'a>, DecodeError> {
    if type_byte == STRING {
        return string::parse(input);
    }
    let at = input.position().saturating_sub(1);
    match type_name(type_byte) {
        Some(_) => Err(DecodeError::NotSupported { at, type_byte }),
        None => Err(Input::malformed(at, "no type of value has this byte")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_not_there_yet_is_refused_by_name() {
        let refusal = |type_byte| parse(type_byte, &mut Input::new(b"")).unwrap_err().to_string();
        assert_eq!(refusal(1), "list (RDB type 1) is not supported yet");
        assert_eq!(refusal(22), "hash with field TTLs (RDB type 22) is not supported yet");
        assert_eq!(refusal(8), "no type of value has this byte");
        assert_eq!(refusal(26), "no type of value has this byte");
    }
}
