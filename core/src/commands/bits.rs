//! Strings as arrays of bits: SETBIT, GETBIT, BITCOUNT, BITPOS. Bit 0 is the highest of the first byte.

use super::string_ranges::{included, included_if_crossed};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::number::{integer, parse_integer};
use std::ops::Range;

const BIT_OFFSET: Error = Error::new("ERR bit offset is not an integer or out of range");
const BIT_VALUE: Error = Error::new("ERR bit is not an integer or out of range");

/// SETBIT key offset value
pub fn setbit(cx: &mut Cx, args: &Args) -> CommandResult {
    let offset = parse_integer(args.at(2)).ok_or(BIT_OFFSET)?;
    let offset = bit_offset(offset, cx.keys.string_bytes_max())?;
    let on = match args.at(3) {
        b"0" => false,
        b"1" => true,
        _ => return Err(BIT_VALUE),
    };
    let key = cx.keys.key(args.at(1));
    let (byte, mask) = ((offset >> 3) as usize, 0x80u8 >> (offset & 7));
    let old_len = cx.keys.write_string(&key)?.map(|old| old.len());
    let len = old_len.unwrap_or(0).max(byte + 1);
    let target = &mut cx.keys.string_mut(&key, len)[byte];
    let was_on = *target & mask != 0;
    if on {
        *target |= mask;
    } else {
        *target &= !mask;
    }
    if was_on != on || old_len != Some(len) {
        cx.keys.changed(&key, Classes::STRING, "setbit");
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(was_on.into());
    Ok(())
}

/// GETBIT key offset
pub fn getbit(cx: &mut Cx, args: &Args) -> CommandResult {
    let offset = parse_integer(args.at(2)).ok_or(BIT_OFFSET)?;
    let offset = bit_offset(offset, cx.keys.string_bytes_max())?;
    let key = cx.keys.key(args.at(1));
    let byte = cx
        .keys
        .read_string(&key)?
        .and_then(|value| value.with_bytes(|bytes| bytes.get((offset >> 3) as usize).copied()));
    cx.reply.int((byte.unwrap_or(0) >> (7 - (offset & 7)) & 1).into());
    Ok(())
}

/// A bit's place, which must lie in a string of the longest size.
pub(super) fn bit_offset(offset: i64, string_bytes_max: usize) -> Result<u64, Error> {
    match u64::try_from(offset) {
        Ok(offset) if offset >> 3 < string_bytes_max as u64 => Ok(offset),
        _ => Err(BIT_OFFSET),
    }
}

/// Whether a range counts bits (`BIT`) or, also when nothing is said, bytes (`BYTE`).
fn counts_bits(word: Option<&[u8]>) -> Result<bool, Error> {
    match word {
        None => Ok(false),
        Some(word) if word.eq_ignore_ascii_case(b"BYTE") => Ok(false),
        Some(word) if word.eq_ignore_ascii_case(b"BIT") => Ok(true),
        Some(_) => Err(Error::SYNTAX),
    }
}

/// BITCOUNT key [start end [BYTE | BIT]]
pub fn bitcount(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    // As in Redis, an absent key hides wrong arguments.
    let Some(value) = cx.keys.read_string(&key)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let count = value.with_bytes(|bytes| match args.len() {
        2 => Ok(count_ones(bytes)),
        4 | 5 => {
            let (start, end) = (integer(args.at(2))?, integer(args.at(3))?);
            if start < 0 && end < 0 && start > end {
                return Ok(0);
            }
            Ok(if counts_bits(args.get(4))? {
                count_ones_between(bytes, included(start, end, bytes.len() * 8))
            } else {
                count_ones(&bytes[included(start, end, bytes.len())])
            })
        }
        _ => Err(Error::SYNTAX),
    })?;
    cx.reply.int(count as i64);
    Ok(())
}

/// BITPOS key bit [start [end [BYTE | BIT]]]
pub fn bitpos(cx: &mut Cx, args: &Args) -> CommandResult {
    let wanted = match integer(args.at(2))? {
        0 => false,
        1 => true,
        _ => return Err(Error::new("ERR The bit argument must be 1 or 0.")),
    };
    let key = cx.keys.key(args.at(1));
    // As in Redis, an absent key hides wrong arguments. It is zeros without end.
    let Some(value) = cx.keys.read_string(&key)? else {
        cx.reply.int(if wanted { -1 } else { 0 });
        return Ok(());
    };
    let position = value.with_bytes(|bytes| {
        let bits = bytes.len() * 8;
        let range = if args.len() > 6 {
            return Err(Error::SYNTAX);
        } else if args.len() > 3 {
            let start = integer(args.at(3))?;
            let by_bits = counts_bits(args.get(5))?;
            let end = args.get(4).map_or(Ok(i64::MAX), integer)?;
            if by_bits {
                included_if_crossed(start, end, bits)
            } else {
                let range = included_if_crossed(start, end, bytes.len());
                range.start * 8..range.end * 8
            }
        } else {
            0..bits
        };
        if range.is_empty() {
            return Ok(None);
        }
        let found = find_bit(bytes, range, wanted);
        // Without an end the string goes on with zeros.
        let endless = !wanted && args.len() < 5;
        Ok(found.or(endless.then_some(bits)))
    })?;
    cx.reply.int(position.map_or(-1, |position| position as i64));
    Ok(())
}

/// How many bits are one.
fn count_ones(bytes: &[u8]) -> usize {
    let words = bytes.chunks_exact(8);
    let rest = words.remainder();
    let in_words: usize = words
        .map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")).count_ones() as usize)
        .sum();
    in_words + rest.iter().map(|byte| byte.count_ones() as usize).sum::<usize>()
}

/// How many bits of a range of bits are one.
fn count_ones_between(bytes: &[u8], bits: Range<usize>) -> usize {
    if bits.is_empty() {
        return 0;
    }
    let (first, last) = (bits.start / 8, (bits.end - 1) / 8);
    let before = bytes[first] & !(0xff >> (bits.start % 8));
    let behind = bytes[last] & (0x7f >> ((bits.end - 1) % 8));
    count_ones(&bytes[first..=last]) - (before.count_ones() + behind.count_ones()) as usize
}

/// The first bit in a range of bits, not empty, that is as wanted.
fn find_bit(bytes: &[u8], bits: Range<usize>, wanted: bool) -> Option<usize> {
    // What is looked for becomes ones.
    let flip = if wanted { 0 } else { 0xff };
    let (first, last) = (bits.start / 8, (bits.end - 1) / 8);
    let place = |byte: usize, ones: u8| byte * 8 + ones.leading_zeros() as usize;
    let beginning = (bytes[first] ^ flip) & (0xff >> (bits.start % 8));
    let found = if beginning != 0 {
        place(first, beginning)
    } else {
        let from = first + 1;
        let rest = bytes.get(from..=last)?;
        let skipped = rest.chunks_exact(8).take_while(|word| *word == [flip; 8]).count() * 8;
        let ahead = rest[skipped..].iter().position(|&byte| byte != flip)?;
        let byte = from + skipped + ahead;
        place(byte, bytes[byte] ^ flip)
    };
    (found < bits.end).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::TestShard;
    use proptest::prelude::*;

    const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range";
    const BAD_BIT: &str = "-ERR bit is not an integer or out of range";

    #[test]
    fn bits_are_set_and_got() {
        TestShard::default().check(&[
            ("GETBIT k 7", "0"),
            ("SETBIT k 7 1", "0"),
            ("SETBIT k 7 1", "1"),
            ("GETBIT k 7", "1"),
            ("GETBIT k 4294967295", "0"),
            ("GET k", r#""\x01""#),
            ("SETBIT k 7 0", "1"),
            ("SETBIT k 16 0", "0"),
            ("GET k", r#""\x00\x00\x00""#),
            ("SET n 1", "OK"),
            ("GETBIT n 3", "1"),
            ("SETBIT n 6 1", "0"),
            ("GET n", "\"3\""),
        ]);
    }

    #[test]
    fn bits_and_their_places_are_checked() {
        TestShard::default().check(&[
            ("SETBIT k -1 1", BAD_OFFSET),
            ("SETBIT k x 1", BAD_OFFSET),
            ("SETBIT k 4294967296 1", BAD_OFFSET),
            ("GETBIT k 4294967296", BAD_OFFSET),
            ("SETBIT k 0 2", BAD_BIT),
            ("SETBIT k 0 x", BAD_BIT),
            ("BITPOS k 2", "-ERR The bit argument must be 1 or 0."),
            ("BITPOS k x", "-ERR value is not an integer or out of range"),
        ]);
    }

    #[test]
    fn bits_are_counted_in_ranges() {
        TestShard::default().check(&[
            ("SET k foobar", "OK"),
            ("BITCOUNT k", "26"),
            ("BITCOUNT k 0 0", "4"),
            ("BITCOUNT k 1 1", "6"),
            ("BITCOUNT k 1 1 BYTE", "6"),
            ("BITCOUNT k 5 30 BIT", "17"),
            ("BITCOUNT k -1 -3", "0"),
            ("BITCOUNT k -1 -3 FOO", "0"),
            ("BITCOUNT k 0 -1 FOO", "-ERR syntax error"),
            ("BITCOUNT k 0", "-ERR syntax error"),
            ("BITCOUNT k 0 x", "-ERR value is not an integer or out of range"),
            ("BITCOUNT none 0 x", "0"),
        ]);
    }

    #[test]
    fn bits_are_found_in_ranges() {
        TestShard::default().check(&[
            (r#"SET k "\xff\xf0\x00""#, "OK"),
            ("BITPOS k 0", "12"),
            ("BITPOS k 1", "0"),
            ("BITPOS k 1 2", "-1"),
            ("BITPOS k 0 0 0", "-1"),
            ("BITPOS k 0 7 15 BIT", "12"),
            ("BITPOS k 0 7 11 BIT", "-1"),
            ("BITPOS k 1 12 -1 BIT", "-1"),
            ("BITPOS k 0 5", "-1"),
            (r#"SET k "\xff\xff""#, "OK"),
            ("BITPOS k 0", "16"),
            ("BITPOS k 0 1", "16"),
            ("BITPOS k 0 0 -1", "-1"),
            ("BITPOS k 0 0 -1 FOO", "-ERR syntax error"),
            ("BITPOS k 0 0 -1 BIT x", "-ERR syntax error"),
            ("BITPOS none 0", "0"),
            ("BITPOS none 1", "-1"),
            ("SET e \"\"", "OK"),
            ("BITPOS e 0", "-1"),
        ]);
    }

    #[test]
    fn a_bit_that_was_so_before_is_no_change() {
        let mut test = TestShard::default();
        test.check_effects("SETBIT k 9 0", &["SETBIT k 9 0"]);
        test.check_effects("SETBIT k 9 0", &[]);
        test.check_effects("SETBIT k 9 1", &["SETBIT k 9 1"]);
        let mut test = TestShard::with_events("KEAn");
        test.check_events("SETBIT k 9 0", &["new k", "setbit k"]);
        test.check_events("SETBIT k 9 0", &[]);
        test.check_events("SETBIT k 9 1", &["setbit k"]);
    }

    proptest! {
        #[test]
        fn counting_and_finding_agree_with_looking_at_each_bit(
            pattern in prop::collection::vec(prop::sample::select(vec![0u8, 0xff, 0x10, 0xef]), 1..60),
            repeat in 1usize..4,
            start in 0usize..2000,
            len in 1usize..2000,
            wanted: bool,
        ) {
            let bytes: Vec<u8> = pattern.iter().flat_map(|byte| vec![*byte; repeat]).collect();
            let start = start % (bytes.len() * 8);
            let end = (start + len).min(bytes.len() * 8);
            let bit = |at: usize| bytes[at / 8] >> (7 - at % 8) & 1 == 1;
            let count = (start..end).filter(|at| bit(*at)).count();
            prop_assert_eq!(count_ones_between(&bytes, start..end), count);
            let found = (start..end).find(|at| bit(*at) == wanted);
            prop_assert_eq!(find_bit(&bytes, start..end, wanted), found);
        }
    }
}
