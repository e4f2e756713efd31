//! Zipmap: how Redis before 2.6 packed small hashes. RDBs of that age hold it.
//!
//! ```text
//! number of fields (1 byte; 254 and more: must be counted) | field ... | 0xff
//! field: length | name | length of the value | unused bytes (1 byte) | value | so many unused bytes
//! length: 1 byte below 254, or 254 and a u32, little-endian
//! ```
//!
//! Read only, and only from outside: a [`Zipmap`] is one that was checked. Names may still repeat.
//!
//! Source: the comment at the head of `src/zipmap.c` of Redis 7.2.

const COUNT_UNKNOWN: u8 = 254;
const END: u8 = 0xff;

/// The bytes are no zipmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid;

/// A zipmap that was checked.
#[derive(Clone, Copy, Debug)]
pub struct Zipmap<'a> {
    fields: &'a [u8],
    len: usize,
}

impl<'a> Zipmap<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Zipmap<'a>, Invalid> {
        let [count, fields @ .., END] = bytes else { return Err(Invalid) };
        let (mut left, mut len) = (fields, 0);
        while !left.is_empty() {
            (_, left) = field(left).ok_or(Invalid)?;
            len += 1;
        }
        let is_counted = *count >= COUNT_UNKNOWN || usize::from(*count) == len;
        is_counted.then_some(Zipmap { fields, len }).ok_or(Invalid)
    }

    /// The number of fields.
    pub fn len(self) -> usize {
        self.len
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// (name, value) of each field.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let mut left = self.fields;
        std::iter::from_fn(move || {
            let (found, rest) = field(left)?;
            left = rest;
            Some(found)
        })
    }
}

type Field<'a> = (&'a [u8], &'a [u8]);

/// The field at the beginning of `bytes`, if there is one, and what stands behind it.
fn field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (length, bytes) = length(bytes)?;
    let (name, bytes) = bytes.split_at_checked(length)?;
    let (length, bytes) = self::length(bytes)?;
    let (&unused, bytes) = bytes.split_first()?;
    let (value, bytes) = bytes.split_at_checked(length)?;
    let (_, rest) = bytes.split_at_checked(unused.into())?;
    Some(((name, value), rest))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes.split_first()? {
        (254, bytes) => {
            let (length, bytes) = bytes.split_first_chunk()?;
            Some((u32::from_le_bytes(*length) as usize, bytes))
        }
        (255, _) => None,
        (&length, bytes) => Some((length.into(), bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zipmap(fields: &[(Vec<u8>, Vec<u8>, u8)]) -> Vec<u8> {
        let length = |bytes: &mut Vec<u8>, length: usize| match length {
            0..254 => bytes.push(length as u8),
            _ => {
                bytes.push(254);
                bytes.extend_from_slice(&(length as u32).to_le_bytes());
            }
        };
        let mut bytes = vec![fields.len().min(254) as u8];
        for (name, value, unused) in fields {
            length(&mut bytes, name.len());
            bytes.extend_from_slice(name);
            length(&mut bytes, value.len());
            bytes.push(*unused);
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len() + usize::from(*unused), 0xaa);
        }
        bytes.push(END);
        bytes
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..5),
            (250usize..258).prop_map(|len| vec![b'x'; len]),
        ]
    }

    proptest! {
        #[test]
        fn a_zipmap_is_read(fields in prop::collection::vec((text(), text(), 0u8..5), 0..9)) {
            let bytes = zipmap(&fields);
            let zipmap = Zipmap::parse(&bytes).expect("a zipmap");
            prop_assert_eq!(zipmap.len(), fields.len());
            prop_assert_eq!(zipmap.is_empty(), fields.is_empty());
            let expected = fields.iter().map(|(name, value, _)| (&name[..], &value[..]));
            prop_assert!(zipmap.iter().eq(expected));
        }

        #[test]
        fn no_bytes_make_it_panic(
            fields in prop::collection::vec((text(), text(), 0u8..5), 0..4),
            at: prop::sample::Index, byte: u8, bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut changed = zipmap(&fields);
            let at = at.index(changed.len());
            changed[at] = byte;
            for bytes in [changed, bytes] {
                if let Ok(zipmap) = Zipmap::parse(&bytes) {
                    prop_assert_eq!(zipmap.iter().count(), zipmap.len());
                }
            }
        }
    }

    #[test]
    fn the_layout_is_that_of_redis() {
        // The example in the description.
        let bytes = b"\x02\x03foo\x03\0bar\x05hello\x05\0world\xff";
        let read: Vec<_> = Zipmap::parse(bytes).expect("a zipmap").iter().collect();
        assert_eq!(read, [(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]);
    }

    #[test]
    fn what_is_no_zipmap_is_refused() {
        assert!(Zipmap::parse(b"\0\xff").is_ok());
        assert!(Zipmap::parse(b"\xfe\x01a\0\0\xff").is_ok());
        let wrong: [&[u8]; 8] = [
            b"",
            b"\xff",
            b"\0\0",
            b"\x01\xff",
            b"\0\x01a\0\0\xff",
            b"\x01\x01a\0\x01\xff",
            b"\x01\xff\xff",
            b"\x01\xfe\xff\xff\xff\xff\0\0\xff",
        ];
        for bytes in wrong {
            assert_eq!(Zipmap::parse(bytes).err(), Some(Invalid), "{bytes:?}");
        }
    }
}
