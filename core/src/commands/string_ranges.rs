//! Commands on parts of strings: GETRANGE, SETRANGE, APPEND.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::number::integer;
use crate::store::Expiry;
use std::ops::Range;

/// GETRANGE key start end, and SUBSTR, its old name. Both ends are included; negative ones count from the end.
pub fn getrange(cx: &mut Cx, args: &Args) -> CommandResult {
    let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
    let key = cx.keys.key(args.at(1));
    match cx.keys.read_string(&key)? {
        None => cx.reply.bulk(b""),
        Some(value) => value.with_bytes(|bytes| {
            cx.reply.bulk(&bytes[included(start, end, bytes.len())]);
        }),
    }
    Ok(())
}

/// What `start` to `end`, included, is of something `len` long; negative numbers count from its end. An empty
/// range comes out as 0..0.
pub(super) fn included(start: i64, end: i64, len: usize) -> Range<usize> {
    // Cut to the beginning of the string, such ends would meet there.
    if start < 0 && end < 0 && start > end { 0..0 } else { included_if_crossed(start, end, len) }
}

/// As [`included`], but of ends that cross and both lie before the beginning the first element is left.
pub(super) fn included_if_crossed(start: i64, end: i64, len: usize) -> Range<usize> {
    let from_end = |index: i64| {
        let index = if index < 0 { index.saturating_add(len as i64) } else { index };
        index.max(0) as usize
    };
    let (start, end) = (from_end(start), from_end(end).saturating_add(1).min(len));
    if start >= end { 0..0 } else { start..end }
}

/// SETRANGE key offset value
pub fn setrange(cx: &mut Cx, args: &Args) -> CommandResult {
    let offset = integer(args.at(2))?;
    let offset = usize::try_from(offset).map_err(|_| Error::new("ERR offset is out of range"))?;
    let value = args.at(3);
    let key = cx.keys.key(args.at(1));
    let old_len = cx.keys.write_string(&key)?.map_or(0, |old| old.len());
    if value.is_empty() {
        cx.reply.int(old_len as i64);
        return Ok(());
    }
    check_length(cx, offset, value.len())?;
    let end = offset + value.len();
    let len = old_len.max(end);
    cx.keys.string_mut(&key, len)[offset..end].copy_from_slice(value);
    cx.keys.changed(&key, Classes::STRING, "setrange");
    cx.keys.effect_verbatim(args);
    cx.reply.int(len as i64);
    Ok(())
}

/// APPEND key value
pub fn append(cx: &mut Cx, args: &Args) -> CommandResult {
    let value = args.at(2);
    let key = cx.keys.key(args.at(1));
    let len = match cx.keys.write_string(&key)?.map(|old| old.len()) {
        None => {
            cx.keys.set(&key, value, Expiry::Clear);
            value.len()
        }
        Some(old_len) => {
            check_length(cx, old_len, value.len())?;
            let len = old_len + value.len();
            cx.keys.string_mut(&key, len)[old_len..].copy_from_slice(value);
            len
        }
    };
    cx.keys.changed(&key, Classes::STRING, "append");
    cx.keys.effect_verbatim(args);
    cx.reply.int(len as i64);
    Ok(())
}

/// Whether a string may grow to `len` and `more` bytes.
fn check_length(cx: &Cx, len: usize, more: usize) -> CommandResult {
    match len.checked_add(more) {
        Some(sum) if sum <= cx.keys.string_bytes_max() => Ok(()),
        _ => Err(Error::STRING_TOO_LONG),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use crate::keys::Caller;

    const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";

    #[test]
    fn ranges_count_from_both_ends() {
        let mut test = TestShard::default();
        test.check(&[("SET k abcdef", "OK"), ("SET n 12345", "OK")]);
        for (range, part) in [
            ("0 2", "abc"),
            ("-3 -1", "def"),
            ("0 -1", "abcdef"),
            ("4 100", "ef"),
            ("6 7", ""),
            ("3 2", ""),
            ("-1 -3", ""),
            ("0 -100", "a"),
            ("-100 1", "ab"),
            ("-9223372036854775808 9223372036854775807", "abcdef"),
        ] {
            test.check(&[(&format!("GETRANGE k {range}"), &format!("\"{part}\""))]);
        }
        test.check(&[
            ("SUBSTR n 1 2", "\"23\""),
            ("GETRANGE none 0 -1", "\"\""),
            ("GETRANGE none 0 x", "-ERR value is not an integer or out of range"),
        ]);
    }

    #[test]
    fn setrange_pads_with_zeros() {
        TestShard::default().check(&[
            ("SETRANGE k 3 ab", "5"),
            ("GET k", r#""\x00\x00\x00ab""#),
            ("SETRANGE k 0 xyz", "5"),
            ("SETRANGE k 1 _", "5"),
            ("GET k", "\"x_zab\""),
            ("SETRANGE k 9 \"\"", "5"),
            ("SETRANGE none 9 \"\"", "0"),
            ("GET none", "nil"),
            ("SETRANGE k -1 x", "-ERR offset is out of range"),
            ("SETRANGE k x x", "-ERR value is not an integer or out of range"),
            ("SET n 1234", "OK"),
            ("SETRANGE n 1 9", "4"),
            ("GET n", "\"1934\""),
        ]);
    }

    #[test]
    fn append_creates_and_grows() {
        TestShard::default().check(&[
            ("APPEND k 12", "2"),
            ("APPEND k 34", "4"),
            ("GET k", "\"1234\""),
            ("APPEND k \"\"", "4"),
            ("APPEND none \"\"", "0"),
            ("GET none", "\"\""),
        ]);
    }

    #[test]
    fn strings_stay_within_their_limit() {
        let mut test = TestShard::default();
        test.shard.settings.string_bytes_max = 5;
        test.check(&[
            ("SETRANGE k 3 ab", "5"),
            ("SETRANGE k 4 ab", TOO_LONG),
            ("SETRANGE k 9223372036854775807 ab", TOO_LONG),
            ("APPEND k x", TOO_LONG),
            ("SETBIT k 39 1", "0"),
            ("SETBIT k 40 1", "-ERR bit offset is not an integer or out of range"),
        ]);
        // What a primary allowed stands.
        test.caller = Caller { is_primary: true, ..Caller::default() };
        test.check(&[("APPEND k x", "6")]);
    }

    #[test]
    fn a_changed_part_is_replicated_as_it_came() {
        let mut test = TestShard::default();
        test.check_effects("APPEND k ab", &["APPEND k ab"]);
        test.check_effects("SETRANGE k 1 x", &["SETRANGE k 1 x"]);
        test.check_effects("SETRANGE k 1 \"\"", &[]);
        test.check_effects("GETRANGE k 0 1", &[]);
    }

    #[test]
    fn events_name_the_command() {
        let mut test = TestShard::with_events("KEAn");
        test.check_events("APPEND k ab", &["new k", "append k"]);
        test.check_events("APPEND k ab", &["append k"]);
        test.check_events("SETRANGE k 1 x", &["setrange k"]);
        test.check_events("SETRANGE n 1 x", &["new n", "setrange n"]);
        test.check_events("SETRANGE k 1 \"\"", &[]);
    }
}
