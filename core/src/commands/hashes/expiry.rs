//! Commands about when fields expire: HEXPIRE, HPEXPIRE, HEXPIREAT, HPEXPIREAT, HPERSIST, HTTL, HPTTL, HEXPIRETIME,
//! HPEXPIRETIME.
//!
//! Their effects carry the fields that changed and absolute times. A Redis older than 7.4 knows none of these commands,
//! so it cannot follow as a replica where they are used.

use super::{drop_due, effect_on_fields, view};
use crate::args::Args;
use crate::commands::expire::{Conditions, remaining, seconds};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::{Edited, Keys};
use crate::notify::Classes;
use crate::number::integer;
use crate::store::{Key, Type};
use crate::values::hash;

/// What a command says of a field.
const NO_FIELD: i64 = -2;
const NO_EXPIRY: i64 = -1;
const REFUSED: i64 = 0;
const DONE: i64 = 1;
const REMOVED: i64 = 2;

pub(super) const WRONG_NUMBER_OF_FIELDS: Error =
    Error::new("ERR numfields should be greater than 0 and match the provided number of fields");

/// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field …]
pub fn hexpire(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    set_expiry(cx, args, "hexpire", now, 1000)
}

/// HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field …]
pub fn hpexpire(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    set_expiry(cx, args, "hpexpire", now, 1)
}

/// HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field …]
pub fn hexpireat(cx: &mut Cx, args: &Args) -> CommandResult {
    set_expiry(cx, args, "hexpireat", 0, 1000)
}

/// HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field …]
pub fn hpexpireat(cx: &mut Cx, args: &Args) -> CommandResult {
    set_expiry(cx, args, "hpexpireat", 0, 1)
}

/// Where FIELDS stands, from an argument on.
pub(super) fn position_of_fields(args: &Args, from: usize) -> Option<usize> {
    (from..args.len()).find(|index| args.is(*index, "fields"))
}

/// The fields behind `FIELDS numfields`, each of so many arguments, which are all that is left.
pub(super) fn fields_at<'a>(
    args: &Args<'a>,
    position: usize,
    arguments_each: usize,
    wrong_number: Error,
) -> Result<Args<'a>, Error> {
    let count = integer(args.get(position + 1).ok_or(Error::SYNTAX)?)?;
    let fields = args.from(position + 2);
    let is_right = usize::try_from(count)
        .is_ok_and(|count| count > 0 && count.checked_mul(arguments_each) == Some(fields.len()));
    if is_right { Ok(fields) } else { Err(wrong_number) }
}

/// Whether a time has come already, at which a field is removed at once. A replica waits for its primary's HDEL.
pub(super) fn is_past(keys: &Keys, at: i64) -> bool {
    at <= keys.now && !keys.shard.settings.is_replica && !keys.caller.is_primary
}

/// `base`: the time that the argument counts from; `unit_ms`: what one of it stands for.
fn set_expiry(cx: &mut Cx, args: &Args, name: &str, base: i64, unit_ms: i64) -> CommandResult {
    let at = integer(args.at(2))?;
    let position = position_of_fields(args, 3).unwrap_or(args.len());
    let conditions = Conditions::parse((3..position).map(|index| args.at(index)))?;
    let fields = fields_at(args, position, 1, WRONG_NUMBER_OF_FIELDS)?;
    let at = at
        .checked_mul(unit_ms)
        .filter(|time| *time >= 0)
        .and_then(|time| time.checked_add(base))
        .ok_or_else(|| Error::invalid_expire(name))?;

    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    drop_due(keys, &key, fields.iter());
    let is_past = is_past(keys, at);
    let mut done: Vec<&[u8]> = Vec::new();
    let edited = keys.edit(&key, Type::Hash, |entry, hasher| {
        let answer = |name| {
            let Some(found) = hash::get(entry, hasher, name) else { return NO_FIELD };
            if !conditions.allow(found.expire_at, at) {
                return REFUSED;
            }
            done.push(name);
            if is_past {
                hash::remove(entry, hasher, name);
                return REMOVED;
            }
            hash::set_expiry(entry, hasher, name, Some(at));
            DONE
        };
        fields.iter().map(answer).collect::<Vec<i64>>()
    })?;
    let (answers, removed) = match edited {
        Some(Edited { result, removed }) => (result, removed),
        None => (vec![NO_FIELD; fields.len()], false),
    };
    if !done.is_empty() {
        if is_past {
            fields_removed_by_time(keys, &key, &done, removed);
        } else {
            fields_expire_at(keys, &key, &done, at);
        }
    }
    cx.reply.array(answers.len());
    answers.into_iter().for_each(|answer| cx.reply.int(answer));
    Ok(())
}

/// Says that fields were removed because they were given a time which is past.
pub(super) fn fields_removed_by_time(
    keys: &mut Keys,
    key: &Key,
    names: &[&[u8]],
    hash_removed: bool,
) {
    keys.changed_many(key, Classes::HASH, "hexpired", names.len() as u64);
    if hash_removed {
        keys.notify(key, Classes::GENERIC, "del");
    }
    effect_on_fields(keys, &[b"HDEL", key.bytes], names);
}

/// Says that fields were given a time.
pub(super) fn fields_expire_at(keys: &mut Keys, key: &Key, names: &[&[u8]], at: i64) {
    keys.changed_many(key, Classes::HASH, "hexpire", names.len() as u64);
    let (mut at_digits, mut count_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
    let at = at_digits.format(at).as_bytes();
    let count = count_digits.format(names.len()).as_bytes();
    effect_on_fields(keys, &[b"HPEXPIREAT", key.bytes, at, b"FIELDS", count], names);
}

/// Says that fields do not expire any more.
pub(super) fn fields_persist(keys: &mut Keys, key: &Key, names: &[&[u8]]) {
    keys.changed_many(key, Classes::HASH, "hpersist", names.len() as u64);
    let mut count_digits = itoa::Buffer::new();
    let count = count_digits.format(names.len()).as_bytes();
    effect_on_fields(keys, &[b"HPERSIST", key.bytes, b"FIELDS", count], names);
}

/// HPERSIST key FIELDS numfields field [field …]
pub fn hpersist(cx: &mut Cx, args: &Args) -> CommandResult {
    if !args.is(2, "fields") {
        return Err(Error::SYNTAX);
    }
    let fields = fields_at(args, 2, 1, WRONG_NUMBER_OF_FIELDS)?;
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    drop_due(keys, &key, fields.iter());
    let mut done: Vec<&[u8]> = Vec::new();
    let edited = keys.edit(&key, Type::Hash, |entry, hasher| {
        let answer = |name| match hash::get(entry, hasher, name) {
            None => NO_FIELD,
            Some(found) if found.expire_at.is_none() => NO_EXPIRY,
            Some(_) => {
                hash::set_expiry(entry, hasher, name, None);
                done.push(name);
                DONE
            }
        };
        fields.iter().map(answer).collect::<Vec<i64>>()
    })?;
    let answers = edited.map_or_else(|| vec![NO_FIELD; fields.len()], |edited| edited.result);
    if !done.is_empty() {
        fields_persist(keys, &key, &done);
    }
    cx.reply.array(answers.len());
    answers.into_iter().for_each(|answer| cx.reply.int(answer));
    Ok(())
}

/// HTTL key FIELDS numfields field [field …]
pub fn httl(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    reply_expiries(cx, args, |at| seconds(remaining(at, now)))
}

/// HPTTL key FIELDS numfields field [field …]
pub fn hpttl(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    reply_expiries(cx, args, |at| remaining(at, now))
}

/// HEXPIRETIME key FIELDS numfields field [field …]
pub fn hexpiretime(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_expiries(cx, args, |at| seconds(at.max(0)))
}

/// HPEXPIRETIME key FIELDS numfields field [field …]
pub fn hpexpiretime(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_expiries(cx, args, |at| at.max(0))
}

fn reply_expiries(cx: &mut Cx, args: &Args, shown: impl Fn(i64) -> i64) -> CommandResult {
    if !args.is(2, "fields") {
        return Err(Error::SYNTAX);
    }
    let fields = fields_at(args, 2, 1, Error::SYNTAX)?;
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let hash = view(&mut cx.keys, &key)?;
    cx.reply.array(fields.len());
    for name in fields.iter() {
        let answer = match hash.and_then(|hash| hash.get(&hasher, name)) {
            None => NO_FIELD,
            Some(found) => found.expire_at.map_or(NO_EXPIRY, &shown),
        };
        cx.reply.int(answer);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::active_expiry;
    use crate::commands::testing::{NOW, TestShard};

    const WRONG_NUMBER: &str =
        "-ERR numfields should be greater than 0 and match the provided number of fields";
    const SYNTAX: &str = "-ERR syntax error";

    #[test]
    fn times_are_set_shown_and_taken_back_as_in_valkey() {
        TestShard::default().check(&[
            ("HSET h a 1 b 2 c 3", "3"),
            ("HEXPIRE h 100 FIELDS 2 a x", "[1 -2]"),
            ("OBJECT ENCODING h", "\"hashtable\""),
            ("HTTL h FIELDS 3 a b x", "[100 -1 -2]"),
            ("HPTTL h FIELDS 1 a", "[100000]"),
            ("HEXPIRE h 100 NX FIELDS 2 a b", "[0 1]"),
            ("HEXPIRE h 50 GT FIELDS 2 a c", "[0 0]"),
            ("HEXPIRE h 50 lt fields 2 a c", "[1 1]"),
            ("HEXPIRE h 60 XX GT FIELDS 2 a x", "[1 -2]"),
            ("HPERSIST h FIELDS 3 a a x", "[1 -1 -2]"),
            ("HEXPIRE h 100 FIELDS 2 b b", "[1 1]"),
            ("HEXPIRE none 50 FIELDS 2 a c", "[-2 -2]"),
            ("HTTL none FIELDS 2 a c", "[-2 -2]"),
            ("HPERSIST none FIELDS 2 a c", "[-2 -2]"),
            ("HPEXPIREAT h 281474976710655 FIELDS 1 a", "[1]"),
            ("HPEXPIRETIME h FIELDS 1 a", "[281474976710655]"),
            ("HEXPIRETIME h FIELDS 1 a", "[281474976711]"),
            ("HEXPIREAT h 281474976710 FIELDS 1 a", "[1]"),
            ("HPEXPIRETIME h FIELDS 1 a", "[281474976710000]"),
            ("HMGET h a b c", r#"["1" "2" "3"]"#),
            ("HEXPIRE h 0 FIELDS 2 a a", "[2 -2]"),
            ("HPEXPIREAT h 1 FIELDS 2 b c", "[2 2]"),
            ("EXISTS h", "0"),
        ]);
    }

    #[test]
    fn errors_are_those_of_valkey() {
        let mut test = TestShard::default();
        test.run("HSET h a 1 b 2");
        test.run("SET s v");
        let invalid = "-ERR invalid expire time in 'hexpire' command";
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        test.check(&[
            ("HEXPIRE h -1 FIELDS 1 b", invalid),
            ("HEXPIRE h 9223372036854775807 FIELDS 1 a", invalid),
            ("HEXPIRE h 9223372036854775 FIELDS 1 a", invalid),
            ("HEXPIRE h 100 FIELDS 3 a b", WRONG_NUMBER),
            ("HEXPIRE h 100 FIELDS 1 a b", WRONG_NUMBER),
            ("HEXPIRE h 100 FIELDS 1 a NX", WRONG_NUMBER),
            ("HEXPIRE h 100 FIELDS -1 a NX", WRONG_NUMBER),
            ("HEXPIRE h 100 FIELDS x a", "-ERR value is not an integer or out of range"),
            ("HEXPIRE h x FIELDS 1 a", "-ERR value is not an integer or out of range"),
            ("HEXPIRE h 100 FOO FIELDS 1 a", "-ERR Unsupported option FOO"),
            (
                "HEXPIRE h 100 NX XX FIELDS 1 a",
                "-ERR NX and XX, GT or LT options at the same time are not compatible",
            ),
            (
                "HEXPIRE h 100 GT LT FIELDS 1 a",
                "-ERR GT and LT options at the same time are not compatible",
            ),
            ("HEXPIRE s 100 FIELDS 1 a", wrong_type),
            ("HTTL s FIELDS 1 a", wrong_type),
            ("HPERSIST s FIELDS 1 a", wrong_type),
            ("HTTL h FIELDS 2 a", SYNTAX),
            ("HTTL h FIELDS -1 a", SYNTAX),
            ("HTTL h FOO 1 a", SYNTAX),
            ("HTTL h FIELDS x a", "-ERR value is not an integer or out of range"),
            ("HPERSIST h FIELDS 1 a b", WRONG_NUMBER),
            ("HPERSIST h FOO 1 a", SYNTAX),
            ("HGETALL h", r#"["a" "1" "b" "2"]"#),
        ]);
    }

    #[test]
    fn a_field_is_hidden_once_its_time_has_passed() {
        let mut test = TestShard::default();
        test.run("HSET h a 1 b 2 c 3");
        test.run("HPEXPIRE h 10 FIELDS 2 a b");
        test.now += 10;
        test.check(&[("HGET h a", "\"1\""), ("HLEN h", "3")]);
        test.now += 1;
        test.check(&[
            ("HGET h a", "nil"),
            ("HMGET h a b c", r#"[nil nil "3"]"#),
            ("HGETALL h", r#"["c" "3"]"#),
            ("HKEYS h", r#"["c"]"#),
            ("HVALS h", r#"["3"]"#),
            ("HLEN h", "1"),
            ("HEXISTS h a", "0"),
            ("HSTRLEN h a", "0"),
            ("HTTL h FIELDS 2 a c", "[-2 -1]"),
            ("HSCAN h 0", r#"["0" ["c" "3"]]"#),
        ]);
        // Removed by those who would change them.
        test.check_effects("HDEL h a", &["HDEL h a"]);
        test.check(&[("HSETNX h b 5", "1"), ("HTTL h FIELDS 1 b", "[-1]")]);
        test.run("HPEXPIRE h 10 FIELDS 2 b c");
        test.now += 11;
        test.check(&[("HDEL h b c", "0"), ("EXISTS h", "0")]);
        assert_eq!(test.shard.stats.expired_fields, 4);
    }

    #[test]
    fn setting_a_value_ends_the_time_and_counting_does_not() {
        TestShard::default().check(&[
            ("HSET h a 1 b 2", "2"),
            ("HEXPIRE h 100 FIELDS 2 a b", "[1 1]"),
            ("HSET h a 5", "0"),
            ("HINCRBY h b 1", "3"),
            ("HINCRBYFLOAT h b 1", "\"4\""),
            ("HSETNX h b 1", "0"),
            ("HTTL h FIELDS 2 a b", "[-1 100]"),
        ]);
    }

    #[test]
    fn effects_are_absolute_and_events_those_of_valkey() {
        let mut test = TestShard::with_events("KEA");
        test.run("HSET h a 1 b 2 c 3");
        let at = |ms: i64, rest: &str| format!("HPEXPIREAT h {} FIELDS {rest}", NOW + ms);
        test.check_effects("HEXPIRE h 100 FIELDS 2 a x", &[&at(100_000, "1 a")]);
        test.check_effects("HEXPIRE h 50 NX FIELDS 2 a b", &[&at(50_000, "1 b")]);
        test.check_effects("HPEXPIRE h 50 GT FIELDS 2 a b", &[]);
        test.check_effects("HPERSIST h FIELDS 3 a b c", &["HPERSIST h FIELDS 2 a b"]);
        test.check_effects("HPERSIST h FIELDS 3 a b c", &[]);
        test.check_effects("HEXPIREAT h 1 FIELDS 2 a x", &["HDEL h a"]);
        test.check_events("HEXPIRE h 9 FIELDS 2 b x", &["hexpire h"]);
        test.check_events("HEXPIRE h 9 FIELDS 1 x", &[]);
        test.check_events("HPERSIST h FIELDS 2 b c", &["hpersist h"]);
        test.check_events("HEXPIRE h 0 FIELDS 1 b", &["hexpired h"]);
        test.check_events("HEXPIRE h 0 FIELDS 1 c", &["hexpired h", "del h"]);
    }

    #[test]
    fn a_replica_hides_what_is_due_and_removes_nothing() {
        let mut test = TestShard::default();
        test.run("HSET h a 1 b 2");
        test.shard.settings.is_replica = true;
        test.caller.is_primary = true;
        // A time that was in the future when the primary set it.
        test.check(&[
            (&format!("HPEXPIREAT h {} FIELDS 1 a", NOW - 5), "[1]"),
            ("HLEN h", "2"),
            ("HGET h a", "\"1\""),
        ]);
        test.caller.is_primary = false;
        test.check(&[("HLEN h", "1"), ("HGET h a", "nil")]);
        assert!(active_expiry::step(&mut test.shard, test.now, 100).finished_round);
        test.caller.is_primary = true;
        test.check(&[("HLEN h", "2"), ("HDEL h a", "1"), ("HLEN h", "1")]);
    }
}
