//! A key with its value, expiry and access, as a file or stream of entries carries it.
//!
//! `[252 expiry] [248 idle | 249 frequency] type key value`. Writing them is most of what a full sync costs the
//! primary's core, so nothing here allocates but the output.

use super::length;
use super::opcode;
use super::string;
use super::value::{self, Format, STRING};
use crate::store::{StringValue, Value};

/// When an entry was used, as far as the eviction policy of the writer cares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessHint {
    #[default]
    None,
    /// Seconds since the last use.
    IdleSeconds(u64),
    /// The logarithmic counter of uses.
    Frequency(u8),
}

/// The longest front of an entry without its key: expiry, idle time, type, two lengths.
const FRONT_BYTES_MAX: usize = 9 + 1 + length::BYTES_MAX + 1 + 2 * length::BYTES_MAX;

/// Appends an entry. `expire_at` is in milliseconds since the Unix epoch. A key is written as it is, which all readers
/// take and costs the least.
#[inline]
pub fn write_entry(
    out: &mut Vec<u8>,
    key: &[u8],
    value: &Value<'_>,
    expire_at: Option<i64>,
    access: AccessHint,
    format: Format,
) {
    let value_bytes = match value {
        Value::String(StringValue::Bytes(bytes)) | Value::Packed(_, bytes) => bytes.len(),
        Value::String(StringValue::Integer(_)) => 20,
        _ => 0,
    };
    // One look at the capacity's end, instead of growing several times.
    out.reserve(FRONT_BYTES_MAX + key.len() + value_bytes);
    write_key(out, key, value::type_byte_of(value, format), expire_at, access);
    value::write(out, value, format);
}

/// Appends an entry up to the first byte of its value, a string of `value_bytes` bytes, which the caller lets follow.
#[inline]
pub fn write_entry_front(
    out: &mut Vec<u8>,
    key: &[u8],
    value_bytes: usize,
    expire_at: Option<i64>,
    access: AccessHint,
) {
    out.reserve(FRONT_BYTES_MAX + key.len());
    write_key(out, key, STRING, expire_at, access);
    length::write(out, value_bytes as u64);
}

/// Appends an entry up to its value, of which only the type is said.
#[inline]
pub fn write_key(
    out: &mut Vec<u8>,
    key: &[u8],
    type_byte: u8,
    expire_at: Option<i64>,
    access: AccessHint,
) {
    if let Some(at) = expire_at {
        out.push(opcode::EXPIRE_AT_MS);
        out.extend_from_slice(&at.to_le_bytes());
    }
    match access {
        AccessHint::None => {}
        AccessHint::IdleSeconds(seconds) => {
            out.push(opcode::IDLE);
            length::write(out, seconds);
        }
        AccessHint::Frequency(frequency) => {
            out.extend_from_slice(&[opcode::FREQUENCY, frequency]);
        }
    }
    out.push(type_byte);
    string::write_plain(out, key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(value: StringValue, expire_at: Option<i64>, access: AccessHint) -> Vec<u8> {
        let mut out = Vec::new();
        let format = Format { version: 10, compress: true };
        write_entry(&mut out, b"key", &Value::String(value), expire_at, access, format);
        out
    }

    #[test]
    fn an_entry_is_what_precedes_it_then_type_key_and_value() {
        assert_eq!(entry(StringValue::Bytes(b"v"), None, AccessHint::None), b"\x00\x03key\x01v");
        assert_eq!(
            entry(StringValue::Integer(300), Some(0x0102), AccessHint::IdleSeconds(64)),
            b"\xfc\x02\x01\0\0\0\0\0\0\xf8\x40\x40\x00\x03key\xc1\x2c\x01"
        );
        assert_eq!(
            entry(StringValue::Integer(1 << 40), None, AccessHint::Frequency(9)),
            b"\xf9\x09\x00\x03key\x0d1099511627776"
        );
        assert_eq!(
            entry(StringValue::Bytes(b"12"), None, AccessHint::None),
            b"\x00\x03key\xc0\x0c"
        );
    }

    #[test]
    fn a_front_and_its_value_make_the_entry() {
        let value = vec![b'x'; 70_000];
        let access = AccessHint::Frequency(1);
        let mut whole = Vec::new();
        let format = Format { version: 10, compress: false };
        let bytes = Value::String(StringValue::Bytes(&value));
        write_entry(&mut whole, b"key", &bytes, Some(5), access, format);
        let mut front = Vec::new();
        write_entry_front(&mut front, b"key", value.len(), Some(5), access);
        assert!([front, value].concat() == whole);
    }
}
