//! The ids of stream entries: a time in milliseconds and a sequence number within it.
//!
//! Deliberately absent: the forms in which commands take ids (`*`, `5-*`, `(5-1`), which are the commands' own.

use std::cmp::Ordering;
use std::fmt;

/// An entry's id. Ids are ordered by time, then by sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamId {
    /// Milliseconds since the Unix epoch, if the id was made from a clock.
    pub ms: u64,
    pub seq: u64,
}

impl StreamId {
    /// The id before all others. No entry has it.
    pub const MIN: StreamId = StreamId { ms: 0, seq: 0 };
    pub const MAX: StreamId = StreamId { ms: u64::MAX, seq: u64::MAX };

    /// The longest decimal form, in bytes.
    pub const TEXT_BYTES_MAX: usize = 41;

    pub fn new(ms: u64, seq: u64) -> Self {
        StreamId { ms, seq }
    }

    /// The id that follows. `None` after [`StreamId::MAX`].
    pub fn next(self) -> Option<StreamId> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id that comes before. `None` before [`StreamId::MIN`].
    pub fn previous(self) -> Option<StreamId> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(StreamId { ms: self.ms, seq }),
            None => Some(StreamId { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// Both numbers with the most significant byte first, as RDB has them.
    pub fn to_bytes(self) -> [u8; 16] {
        self.number().to_be_bytes()
    }

    /// Of [`StreamId::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        let number = u128::from_be_bytes(bytes);
        StreamId { ms: (number >> 64) as u64, seq: number as u64 }
    }

    /// Calls `f` with the decimal form, `ms-seq`.
    pub fn with_text<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        let mut text = [0; Self::TEXT_BYTES_MAX];
        let mut end = 0;
        let mut append = |bytes: &[u8]| {
            text[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
        };
        append(itoa::Buffer::new().format(self.ms).as_bytes());
        append(b"-");
        append(itoa::Buffer::new().format(self.seq).as_bytes());
        f(&text[..end])
    }

    #[inline]
    fn number(self) -> u128 {
        u128::from(self.ms) << 64 | u128::from(self.seq)
    }
}

/// As one number, which is compared without a branch; a branch would go wrong at every other step of a binary search.
impl Ord for StreamId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl PartialOrd for StreamId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_carry_over_and_end_at_the_edges() {
        let check = |id: StreamId, next: StreamId| {
            assert_eq!(id.next(), Some(next));
            assert_eq!(next.previous(), Some(id));
        };
        check(StreamId::new(5, 7), StreamId::new(5, 8));
        check(StreamId::new(5, u64::MAX), StreamId::new(6, 0));
        assert_eq!(StreamId::MAX.next(), None);
        assert_eq!(StreamId::MIN.previous(), None);
    }

    #[test]
    fn bytes_and_text_tell_the_whole_id() {
        let id = StreamId::new(0x0102, 3);
        assert_eq!(id.to_bytes(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
        for id in [id, StreamId::MIN, StreamId::MAX] {
            assert_eq!(StreamId::from_bytes(id.to_bytes()), id);
            id.with_text(|text| assert_eq!(text, id.to_string().as_bytes()));
        }
        assert_eq!(StreamId::MAX.to_string().len(), StreamId::TEXT_BYTES_MAX);
    }
}
