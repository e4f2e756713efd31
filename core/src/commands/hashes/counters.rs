//! Fields that count: HINCRBY and HINCRBYFLOAT. A field keeps the time at which it expires.

use super::{NEW, drop_due};
use crate::args::Args;
use crate::collections::hash::FieldExpiry;
use crate::collections::listpack::Element;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::long_double::LongDouble;
use crate::notify::Classes;
use crate::number::integer;
use crate::values::hash::{self, Found};

const NOT_AN_INTEGER: Error = Error::new("ERR hash value is not an integer");
const NOT_A_FLOAT: Error = Error::new("ERR hash value is not a float");

/// HINCRBY key field increment
pub fn hincrby(cx: &mut Cx, args: &Args) -> CommandResult {
    let increment = integer(args.at(3))?;
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let name = args.at(2);
    drop_due(keys, &key, [name].into_iter());
    let limits = keys.shard.settings.limits;
    let new = keys
        .edit_or_create(&key, NEW, |entry, hasher| {
            let old = match hash::get(entry, hasher, name) {
                Some(found) => found.value.integer().ok_or(NOT_AN_INTEGER)?,
                None => 0,
            };
            let new = old.checked_add(increment).ok_or(Error::OVERFLOW)?;
            let mut digits = itoa::Buffer::new();
            let text = digits.format(new).as_bytes();
            hash::set(entry, hasher, &limits, name, text, FieldExpiry::Keep);
            Ok(new)
        })?
        .result?;
    keys.changed(&key, Classes::HASH, "hincrby");
    keys.effect_verbatim(args);
    cx.reply.int(new);
    Ok(())
}

/// HINCRBYFLOAT key field increment. The effect carries the sum, since another machine might round otherwise.
pub fn hincrbyfloat(cx: &mut Cx, args: &Args) -> CommandResult {
    let increment = LongDouble::parse(args.at(3)).ok_or(Error::NOT_A_FLOAT)?;
    if LongDouble::from(0).checked_add(increment).is_none() {
        return Err(Error::new("ERR value is NaN or Infinity"));
    }
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let name = args.at(2);
    drop_due(keys, &key, [name].into_iter());
    let limits = keys.shard.settings.limits;
    let (new, expire_at) = keys
        .edit_or_create(&key, NEW, |entry, hasher| {
            let (old, expire_at) = match hash::get(entry, hasher, name) {
                Some(Found { value: Element::Integer(number), expire_at }) => {
                    (LongDouble::from(number), expire_at)
                }
                Some(Found { value: Element::Bytes(text), expire_at }) => {
                    (LongDouble::parse(text).ok_or(NOT_A_FLOAT)?, expire_at)
                }
                None => (LongDouble::from(0), None),
            };
            let sum = old.checked_add(increment);
            let sum = sum.ok_or(Error::new("ERR increment would produce NaN or Infinity"))?;
            let text = sum.to_decimal();
            hash::set(entry, hasher, &limits, name, text.as_bytes(), FieldExpiry::Keep);
            Ok((text, expire_at))
        })?
        .result?;
    keys.changed(&key, Classes::HASH, "hincrbyfloat");
    match expire_at {
        None => keys.effect(&[b"HSET", key.bytes, name, new.as_bytes()]),
        Some(at) => {
            let mut digits = itoa::Buffer::new();
            let at = digits.format(at).as_bytes();
            let front = [b"HSETEX", key.bytes, b"PXAT", at];
            keys.effect(&[&front[..], &[b"FIELDS", b"1", name, new.as_bytes()]].concat());
        }
    }
    cx.reply.text(&new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::{NOW, TestShard};

    #[test]
    fn fields_count() {
        TestShard::default().check(&[
            ("HINCRBY h a 5", "5"),
            ("HINCRBY h a -7", "-2"),
            ("HSET h big 9223372036854775807 text x space \" 1\"", "3"),
            ("HINCRBY h big 1", "-ERR increment or decrement would overflow"),
            ("HINCRBY h text 1", "-ERR hash value is not an integer"),
            ("HINCRBY h space 1", "-ERR hash value is not an integer"),
            ("HINCRBY h a 1.5", "-ERR value is not an integer or out of range"),
            ("HINCRBYFLOAT h a 0.5", "\"-1.5\""),
            ("HINCRBYFLOAT h b 3.0e2", "\"300\""),
            ("HINCRBY h b 1", "301"),
            ("HINCRBYFLOAT h text 1", "-ERR hash value is not a float"),
            ("HINCRBYFLOAT h a x", "-ERR value is not a valid float"),
            ("HINCRBYFLOAT none a inf", "-ERR value is NaN or Infinity"),
            ("EXISTS none", "0"),
            ("HSET h i inf", "1"),
            ("HINCRBYFLOAT h i 1", "-ERR increment would produce NaN or Infinity"),
            ("SET s v", "OK"),
            ("HINCRBY s a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ]);
    }

    #[test]
    fn sums_of_floats_are_replicated_as_values() {
        let mut test = TestShard::with_events("KEA");
        test.check_effects("HINCRBY h a 5", &["HINCRBY h a 5"]);
        test.check_effects("HINCRBYFLOAT h a 0.5", &["HSET h a 5.5"]);
        test.check_effects("HINCRBY h a 5", &[]);
        test.run("HPEXPIRE h 7 FIELDS 1 a");
        let kept = format!("HSETEX h PXAT {} FIELDS 1 a 6.5", NOW + 7);
        test.check_effects("HINCRBYFLOAT h a 1", &[&kept]);
        test.check(&[("HPTTL h FIELDS 1 a", "[7]"), ("HSET h n 1", "1")]);
        test.check_events("HINCRBY h n 1", &["hincrby h"]);
        test.check_events("HINCRBYFLOAT h n 1", &["hincrbyfloat h"]);
    }

    #[test]
    fn a_field_that_is_due_counts_from_nothing() {
        let mut test = TestShard::with_events("KEA");
        test.run("HSET h a 5 b 5");
        test.run("HPEXPIRE h 7 FIELDS 1 a");
        test.now += 8;
        test.check_effects("HINCRBY h a 1", &["HDEL h a", "HINCRBY h a 1"]);
        test.check(&[("HGET h a", "\"1\""), ("HTTL h FIELDS 1 a", "[-1]")]);
    }
}
