//! Strings that count: INCR and its kin.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::long_double::LongDouble;
use crate::notify::Classes;
use crate::number::{integer, parse_integer};
use crate::store::{Expiry, StringValue};

/// INCR key
pub fn incr(cx: &mut Cx, args: &Args) -> CommandResult {
    add(cx, args, 1)
}

/// DECR key
pub fn decr(cx: &mut Cx, args: &Args) -> CommandResult {
    add(cx, args, -1)
}

/// INCRBY key increment
pub fn incrby(cx: &mut Cx, args: &Args) -> CommandResult {
    let increment = integer(args.at(2))?;
    add(cx, args, increment)
}

/// DECRBY key decrement
pub fn decrby(cx: &mut Cx, args: &Args) -> CommandResult {
    let decrement = integer(args.at(2))?;
    let increment = decrement.checked_neg().ok_or(Error::new("ERR decrement would overflow"))?;
    add(cx, args, increment)
}

fn add(cx: &mut Cx, args: &Args, increment: i64) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let old = match cx.keys.write_string(&key)? {
        None => 0,
        Some(StringValue::Integer(number)) => number,
        Some(StringValue::Bytes(text)) => parse_integer(text).ok_or(Error::NOT_AN_INTEGER)?,
    };
    let new = old.checked_add(increment).ok_or(Error::OVERFLOW)?;
    cx.keys.set_integer(&key, new);
    cx.keys.changed(&key, Classes::STRING, "incrby");
    cx.keys.effect_verbatim(args);
    cx.reply.int(new);
    Ok(())
}

/// INCRBYFLOAT key increment. The effect carries the sum, since another machine might round otherwise.
pub fn incrbyfloat(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let old = match cx.keys.write_string(&key)? {
        None => LongDouble::from(0),
        Some(StringValue::Integer(number)) => LongDouble::from(number),
        Some(StringValue::Bytes(text)) => LongDouble::parse(text).ok_or(Error::NOT_A_FLOAT)?,
    };
    let increment = LongDouble::parse(args.at(2)).ok_or(Error::NOT_A_FLOAT)?;
    let new = old
        .checked_add(increment)
        .ok_or(Error::new("ERR increment would produce NaN or Infinity"))?
        .to_decimal();
    cx.keys.set_text(&key, new.as_bytes(), Expiry::Keep);
    cx.keys.changed(&key, Classes::STRING, "incrbyfloat");
    cx.keys.effect(&[b"SET", key.bytes, new.as_bytes(), b"KEEPTTL"]);
    cx.reply.text(&new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;

    const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
    const NOT_FLOAT: &str = "-ERR value is not a valid float";
    const OVERFLOW: &str = "-ERR increment or decrement would overflow";

    #[test]
    fn counters_count_both_ways() {
        TestShard::default().check(&[
            ("INCR k", "1"),
            ("INCRBY k 41", "42"),
            ("DECR k", "41"),
            ("DECRBY k 50", "-9"),
            ("DECRBY k -9", "0"),
            ("GET k", "\"0\""),
        ]);
    }

    #[test]
    fn only_integers_count_and_never_beyond_their_range() {
        TestShard::default().check(&[
            ("SET k abc", "OK"),
            ("INCR k", NOT_INTEGER),
            ("SET k 1.5", "OK"),
            ("INCR k", NOT_INTEGER),
            ("SET k \" 1\"", "OK"),
            ("INCR k", NOT_INTEGER),
            ("SET k 9223372036854775807", "OK"),
            ("INCR k", OVERFLOW),
            ("DECR k", "9223372036854775806"),
            ("SET k -9223372036854775808", "OK"),
            ("DECRBY k 1", OVERFLOW),
            ("INCRBY k x", NOT_INTEGER),
            ("DECRBY k -9223372036854775808", "-ERR decrement would overflow"),
            ("SET k 12", "OK"),
            ("APPEND k 3", "3"),
            ("INCR k", "124"),
        ]);
    }

    #[test]
    fn floats_are_written_without_exponents_or_trailing_zeros() {
        TestShard::default().check(&[
            ("SET k 10.50", "OK"),
            ("INCRBYFLOAT k 0.1", "\"10.6\""),
            ("INCRBYFLOAT k -5", "\"5.6\""),
            ("SET k 5.0e3", "OK"),
            ("INCRBYFLOAT k 2.0e2", "\"5200\""),
            ("INCR k", "5201"),
            ("INCRBYFLOAT none 3.0", "\"3\""),
            ("INCRBYFLOAT k x", NOT_FLOAT),
            ("INCRBYFLOAT k inf", "-ERR increment would produce NaN or Infinity"),
            ("SET k \"1 \"", "OK"),
            ("INCRBYFLOAT k 1", NOT_FLOAT),
        ]);
    }

    #[test]
    fn a_counter_keeps_its_expiry() {
        let mut test = TestShard::default();
        test.check(&[
            ("SET a 1 PX 10", "OK"),
            ("INCR a", "2"),
            ("SET b 1 PX 10", "OK"),
            ("INCRBYFLOAT b 1", "\"2\""),
        ]);
        test.now += 11;
        test.check(&[("INCR a", "1"), ("INCRBYFLOAT b 1", "\"1\"")]);
    }

    #[test]
    fn sums_of_floats_are_replicated_as_values() {
        let mut test = TestShard::default();
        test.check_effects("INCR k", &["INCR k"]);
        test.check_effects("decrby k 5", &["decrby k 5"]);
        test.check_effects("INCRBYFLOAT k 0.5", &["SET k -3.5 KEEPTTL"]);
        test.check_effects("INCR k", &[]);
    }

    #[test]
    fn events_name_the_kind_of_counting() {
        let mut test = TestShard::with_events("KEAn");
        test.check_events("INCR k", &["new k", "incrby k"]);
        test.check_events("DECRBY k 2", &["incrby k"]);
        test.check_events("INCRBYFLOAT k 2", &["incrbyfloat k"]);
        test.check_events("INCRBYFLOAT n 2", &["new n", "incrbyfloat n"]);
    }
}
