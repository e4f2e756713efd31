//! What a record holds, and where.
//!
//! | layout | bytes of a record |
//! | --- | --- |
//! | [`Member`] | the key |
//! | [`Scored`] | the score (an `f64`, little-endian), the key |
//! | [`Field`] | twice the key's length, plus 1 if the field expires (LEB128); if so, when (an `i64`, little-endian); the key; the value |

/// Where the key lies in a record.
pub trait Layout {
    /// The key of a record that has this layout.
    fn key(record: &[u8]) -> &[u8];
}

/// A member of a set: nothing but its key.
pub enum Member {}

/// A member of a sorted set: a score and a key.
pub enum Scored {}

/// A field of a hash: a key, a value, and perhaps an expiry time.
pub enum Field {}

impl Layout for Member {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        record
    }
}

const SCORE_BYTES: usize = 8;

impl Scored {
    /// The parts of a record, of a score's bytes (`score.to_le_bytes()`) and a key.
    #[inline]
    pub fn parts<'a>(score: &'a [u8; SCORE_BYTES], key: &'a [u8]) -> [&'a [u8]; 2] {
        [score, key]
    }

    /// # Panics
    /// If the record has another layout and is too short.
    #[inline]
    pub fn score(record: &[u8]) -> f64 {
        f64::from_le_bytes(*record.first_chunk().expect("a scored record has a score"))
    }

    #[inline]
    pub(super) fn set_score(record: &mut [u8], score: f64) {
        record[..SCORE_BYTES].copy_from_slice(&score.to_le_bytes());
    }
}

impl Layout for Scored {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        &record[SCORE_BYTES..]
    }
}

/// The parts of a field's record.
pub struct FieldParts<'a> {
    head: [u8; HEAD_MAX],
    head_len: usize,
    key: &'a [u8],
    value: &'a [u8],
}

const VARINT_MAX: usize = 10;
const EXPIRY_BYTES: usize = 8;
const HEAD_MAX: usize = VARINT_MAX + EXPIRY_BYTES;

impl FieldParts<'_> {
    #[inline]
    pub fn slices(&self) -> [&[u8]; 3] {
        [&self.head[..self.head_len], self.key, self.value]
    }
}

/// The beginning of a field's record.
#[derive(Clone, Copy)]
struct Head {
    expires: bool,
    /// Where the time lies, if the field expires; otherwise where the key begins.
    at: usize,
    key_len: usize,
}

impl Head {
    #[inline]
    fn read(record: &[u8]) -> Head {
        let first = record[0];
        if first < 0x80 {
            return Head { expires: first & 1 == 1, at: 1, key_len: first as usize >> 1 };
        }
        let mut number = 0;
        let mut at = 0;
        loop {
            let byte = record[at];
            number |= (byte as usize & 0x7f) << (7 * at);
            at += 1;
            if byte < 0x80 {
                return Head { expires: number & 1 == 1, at, key_len: number >> 1 };
            }
        }
    }

    #[inline]
    fn key_at(self) -> usize {
        self.at + if self.expires { EXPIRY_BYTES } else { 0 }
    }

    #[inline]
    fn value_at(self) -> usize {
        self.key_at() + self.key_len
    }
}

impl Field {
    /// The parts of a record. `expire_at` is not looked at here, so its unit is the caller's.
    #[inline]
    pub fn parts<'a>(key: &'a [u8], value: &'a [u8], expire_at: Option<i64>) -> FieldParts<'a> {
        let mut head = [0; HEAD_MAX];
        let mut head_len = 0;
        let mut number = key.len() << 1 | usize::from(expire_at.is_some());
        while number >= 0x80 {
            head[head_len] = number as u8 | 0x80;
            head_len += 1;
            number >>= 7;
        }
        head[head_len] = number as u8;
        head_len += 1;
        if let Some(at) = expire_at {
            head[head_len..head_len + EXPIRY_BYTES].copy_from_slice(&at.to_le_bytes());
            head_len += EXPIRY_BYTES;
        }
        FieldParts { head, head_len, key, value }
    }

    #[inline]
    pub fn value(record: &[u8]) -> &[u8] {
        &record[Head::read(record).value_at()..]
    }

    #[inline]
    pub(super) fn value_mut(record: &mut [u8]) -> &mut [u8] {
        let at = Head::read(record).value_at();
        &mut record[at..]
    }

    #[inline]
    pub fn expire_at(record: &[u8]) -> Option<i64> {
        let head = Head::read(record);
        if !head.expires {
            return None;
        }
        record[head.at..].first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
    }

    /// Key and value.
    #[inline]
    pub fn key_and_value(record: &[u8]) -> (&[u8], &[u8]) {
        let head = Head::read(record);
        record[head.key_at()..].split_at(head.key_len)
    }
}

impl Layout for Field {
    #[inline]
    fn key(record: &[u8]) -> &[u8] {
        Field::key_and_value(record).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_it_was_written() {
        for key_len in [0, 1, 31, 63, 64, 65, 8_191, 8_192, 3_000_000] {
            for expire_at in [None, Some(0), Some(i64::MIN), Some(i64::MAX)] {
                for value in [&b""[..], b"value"] {
                    let key = vec![b'k'; key_len];
                    let record = Field::parts(&key, value, expire_at).slices().concat();
                    assert_eq!(Field::key(&record), key);
                    assert_eq!(Field::value(&record), value);
                    assert_eq!(Field::key_and_value(&record), (&key[..], value));
                    assert_eq!(Field::expire_at(&record), expire_at);
                }
            }
        }
    }

    #[test]
    fn a_short_field_costs_one_byte() {
        assert_eq!(Field::parts(b"key", b"value", None).slices().concat().len(), 9);
    }
}
