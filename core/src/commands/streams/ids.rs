//! How commands write stream ids: `ms-seq`, `ms`, `-`, `+`, `(id`, `ms-*`.

use crate::collections::stream::{NewId, StreamId};
use crate::error::Error;

const INVALID: Error = Error::new("ERR Invalid stream ID specified as stream command argument");
const INVALID_START: Error = Error::new("ERR invalid start ID for the interval");
const INVALID_END: Error = Error::new("ERR invalid end ID for the interval");

/// No longer text is looked at.
const TEXT_BYTES_MAX: usize = 127;

/// An id without the words for the first and the last one; without its sequence number, that is 0.
pub(super) fn strict(text: &[u8]) -> Result<StreamId, Error> {
    match text {
        b"-" | b"+" => Err(INVALID),
        _ => plain(text, 0).ok_or(INVALID),
    }
}

/// An id, or `-` or `+` for the first or the last there can be.
pub(super) fn any(text: &[u8], missing_seq: u64) -> Result<StreamId, Error> {
    match text {
        b"-" => Ok(StreamId::MIN),
        b"+" => Ok(StreamId::MAX),
        _ => plain(text, missing_seq).ok_or(INVALID),
    }
}

/// Where an interval begins; behind a `(`, with the id that follows.
pub(super) fn start(text: &[u8]) -> Result<StreamId, Error> {
    match text {
        [b'(', excluded @ ..] if !excluded.is_empty() => {
            strict(excluded)?.next().ok_or(INVALID_START)
        }
        _ => any(text, 0),
    }
}

/// Where an interval ends; behind a `(`, with the id before. Without its sequence number, it is the last of its time.
pub(super) fn end(text: &[u8]) -> Result<StreamId, Error> {
    match text {
        [b'(', excluded @ ..] if !excluded.is_empty() => match excluded {
            b"-" | b"+" => Err(INVALID),
            _ => plain(excluded, u64::MAX).ok_or(INVALID)?.previous().ok_or(INVALID_END),
        },
        _ => any(text, u64::MAX),
    }
}

/// The id of a new entry, but `*`.
pub(super) fn of_new_entry(text: &[u8]) -> Result<NewId, Error> {
    match text.strip_suffix(b"-*") {
        Some(ms) if text.len() <= TEXT_BYTES_MAX && !ms.contains(&b'-') => {
            number(ms).map(|ms| NewId::AutoSequence { ms }).ok_or(INVALID)
        }
        _ => strict(text).map(NewId::Exact),
    }
}

fn plain(text: &[u8], missing_seq: u64) -> Option<StreamId> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    match memchr::memchr(b'-', text) {
        Some(at) => Some(StreamId::new(number(&text[..at])?, number(&text[at + 1..])?)),
        None => Some(StreamId::new(number(text)?, missing_seq)),
    }
}

/// A number as `strtoull` reads it, all of the text: spaces may stand before it, a sign, zeros. But a canonical negative
/// one is none.
fn number(text: &[u8]) -> Option<u64> {
    if let Some(number) = digits(text) {
        return Some(number);
    }
    if crate::number::parse_integer(text).is_some_and(|number| number < 0) {
        return None;
    }
    let blanks = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    match &text[blanks..] {
        [b'+', rest @ ..] => digits(rest),
        [b'-', rest @ ..] => digits(rest).map(u64::wrapping_neg),
        rest => digits(rest),
    }
}

#[inline]
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64, seq: u64) -> Option<StreamId> {
        Some(StreamId::new(ms, seq))
    }

    /// The outcomes are those of XADD and XRANGE on redis-server 7.0.15.
    #[test]
    fn ids_are_read_as_redis_reads_them() {
        for (text, expected) in [
            ("5-3", id(5, 3)),
            ("5", id(5, 0)),
            ("007-003", id(7, 3)),
            (" 8-3", id(8, 3)),
            ("+8- 4", id(8, 4)),
            ("9--03", id(9, u64::MAX - 2)),
            ("18446744073709551615-18446744073709551615", id(u64::MAX, u64::MAX)),
            ("8--3", None),
            ("8-18446744073709551616", None),
            ("8-", None),
            ("-8", None),
            ("", None),
            ("-", None),
            ("+", None),
            ("8-*", None),
            ("8 ", None),
            ("x", None),
            ("1-1-1", None),
        ] {
            assert_eq!(strict(text.as_bytes()).ok(), expected, "{text}");
        }
        assert!(strict(&[b'0'; TEXT_BYTES_MAX]).is_ok());
        assert!(strict(&[b'0'; TEXT_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn intervals_may_leave_their_ends_out() {
        assert_eq!(start(b"-"), Ok(StreamId::MIN));
        assert_eq!(end(b"+"), Ok(StreamId::MAX));
        assert_eq!(start(b"5").ok(), id(5, 0));
        assert_eq!(end(b"5").ok(), id(5, u64::MAX));
        assert_eq!(start(b"(5-1").ok(), id(5, 2));
        assert_eq!(end(b"(5-1").ok(), id(5, 0));
        assert_eq!(end(b"(5").ok(), id(5, u64::MAX - 1));
        assert_eq!(start(b"(18446744073709551615-18446744073709551615"), Err(INVALID_START));
        assert_eq!(end(b"(0-0"), Err(INVALID_END));
        for text in [&b"("[..], b"(-", b"(+"] {
            assert_eq!((start(text), end(text)), (Err(INVALID), Err(INVALID)));
        }
    }

    #[test]
    fn a_new_id_may_leave_its_sequence_number_open() {
        assert_eq!(of_new_entry(b"5-*"), Ok(NewId::AutoSequence { ms: 5 }));
        assert_eq!(of_new_entry(b"5-2"), Ok(NewId::Exact(StreamId::new(5, 2))));
        assert_eq!(of_new_entry(b"5"), Ok(NewId::Exact(StreamId::new(5, 0))));
        for text in [&b"-*"[..], b"5-1-*", b"x-*", b"-", b"5-**"] {
            assert_eq!(of_new_entry(text), Err(INVALID), "{text:?}");
        }
    }
}
