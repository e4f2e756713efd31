//! What DUMP answers and RESTORE takes: a value's type and encoding, the RDB version in two bytes, and the checksum
//! of all that in eight, both little-endian.

use super::crc64;
use super::input::{DecodeError, Input};
use super::value::{self, Builder, Format, StoredValue};
use crate::store::{EntryRef, Value};

/// The newest version that Redis 7.0 reads.
pub const VERSION: u16 = 10;

/// The newest version of Redis whose values are read, and those of Valkey, which has numbers of its own.
const REDIS_VERSION_MAX: u16 = 12;
const VALKEY_VERSIONS: std::ops::RangeInclusive<u16> = 80..=81;

/// The version under which times of fields are told, whatever else is asked for: one that nobody takes who does not
/// know them.
const VERSION_WITH_FIELD_TIMES: u16 = 80;

/// The payload of an entry's value.
pub fn dump(entry: &EntryRef, format: Format) -> Vec<u8> {
    let value = entry.value();
    let format = match value {
        Value::Hash(hash) if hash.next_expiry().is_some() => {
            Format { version: VERSION_WITH_FIELD_TIMES.max(format.version), ..format }
        }
        _ => format,
    };
    let mut body = vec![value::type_byte_of(&value, format)];
    value::write(&mut body, &value, format);
    sealed(body, format.version)
}

/// The payload whose type and encoding of a value are `body`.
pub fn sealed(mut body: Vec<u8>, version: u16) -> Vec<u8> {
    body.extend_from_slice(&version.to_le_bytes());
    let checksum = crc64::checksum(0, &body);
    body.extend_from_slice(&checksum.to_le_bytes());
    body
}

/// A payload that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded<'a> {
    pub value: StoredValue<'a>,
    /// The RDB version that it claims.
    pub version: u16,
}

/// Why a payload was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not a payload, damaged, or of a version that is not read.
    VersionOrChecksum,
    Value(DecodeError),
}

/// The value of a payload. Bytes behind the value do not matter, as they do not in Redis.
pub fn load<'a>(payload: &'a [u8], builder: &Builder) -> Result<Loaded<'a>, LoadError> {
    let (summed, checksum) = payload.split_last_chunk::<8>().ok_or(LoadError::VersionOrChecksum)?;
    let (body, version) = summed.split_last_chunk::<2>().ok_or(LoadError::VersionOrChecksum)?;
    let version = u16::from_le_bytes(*version);
    let is_known = version <= REDIS_VERSION_MAX || VALKEY_VERSIONS.contains(&version);
    if !is_known || crc64::checksum(0, summed).to_le_bytes() != *checksum {
        return Err(LoadError::VersionOrChecksum);
    }
    let mut input = Input::new(body);
    let value = input.byte().and_then(|type_byte| value::parse(type_byte, &mut input, builder));
    Ok(Loaded { value: value.map_err(LoadError::Value)?, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::Limits;
    use crate::store::{Hasher, OwnedEntry};
    use proptest::prelude::*;

    const FORMAT: Format = Format { version: 10, compress: true };

    fn loaded(payload: &[u8]) -> Result<Loaded<'_>, LoadError> {
        let builder = Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() };
        load(payload, &builder)
    }

    fn payload(body: &[u8], version: u16) -> Vec<u8> {
        sealed(body.to_vec(), version)
    }

    #[test]
    fn a_payload_is_that_of_redis() {
        // What redis-server 7.0 answers to DUMP after SET k 7 and SET k hello.
        let seven = OwnedEntry::integer(b"k", 7, None, 0);
        assert_eq!(dump(&seven.get(), FORMAT), b"\x00\xc0\x07\x0a\x00t\xcdH\xa2\x83\xab\xce\x92");
        let hello = OwnedEntry::string(b"k", b"hello", None, 0);
        assert_eq!(dump(&hello.get(), FORMAT), b"\x00\x05hello\x0a\x00cr\xdfve4 \n");
    }

    #[test]
    fn versions_of_both_families_are_taken() {
        for version in [0, 1, 9, 10, 11, 12, 80, 81] {
            let payload = payload(b"\x00\x01a", version);
            let loaded = loaded(&payload).expect("a known version");
            assert_eq!(loaded.version, version);
            assert_eq!(loaded.value.to_vec().unwrap(), b"a");
        }
        for version in [13, 79, 82, u16::MAX] {
            assert_eq!(loaded(&payload(b"\x00\x01a", version)), Err(LoadError::VersionOrChecksum));
        }
    }

    #[test]
    fn a_damaged_payload_is_refused() {
        let good = payload(b"\x00\x01a", 10);
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 1;
            assert_eq!(loaded(&bad), Err(LoadError::VersionOrChecksum));
            assert_eq!(loaded(&good[..index]), Err(LoadError::VersionOrChecksum));
        }
        for body in [&b""[..], b"\x00", b"\x00\x02a", b"\x08\x00", b"\x01\x00"] {
            assert!(matches!(loaded(&payload(body, 10)), Err(LoadError::Value(_))), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_dumped_is_loaded(
            value in prop::collection::vec(0u8..5, 0..500),
            compress: bool,
        ) {
            let entry = OwnedEntry::string(b"k", &value, None, 0);
            let format = Format { version: 10, compress };
            let payload = dump(&entry.get(), format);
            prop_assert_eq!(loaded(&payload).unwrap().value.to_vec(), Some(value));
        }

        #[test]
        fn no_body_makes_loading_panic(
            body in prop::collection::vec(any::<u8>(), 0..60),
            bare in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = loaded(&payload(&body, 10));
            let _ = loaded(&bare);
        }
    }
}
