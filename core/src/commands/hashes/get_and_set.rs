//! HGETEX, HSETEX and HGETDEL: fields are read or set, and in the same go given a time, or removed.

use super::expiry::{
    WRONG_NUMBER_OF_FIELDS, fields_at, fields_expire_at, fields_persist, fields_removed_by_time,
    is_past, position_of_fields,
};
use super::{NEW, drop_due, effect_on_fields, view};
use crate::args::Args;
use crate::collections::hash::FieldExpiry;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::{Edited, Keys};
use crate::notify::Classes;
use crate::number::integer;
use crate::store::{Hasher, Key, Type};
use crate::values::hash;

/// What an option says about the time.
#[derive(Clone, Copy, Debug)]
enum Time {
    Persist,
    Keep,
    /// EX, PX, EXAT, PXAT: the number, what one of it stands for, and whether it counts from now.
    At {
        text_at: usize,
        unit_ms: i64,
        is_relative: bool,
    },
}

/// The options before FIELDS.
#[derive(Debug, Default)]
struct Options {
    time: Option<Time>,
    /// NX and XX (for the key), FNX and FXX (for the fields): whether it must be there.
    key_is_there: Option<bool>,
    fields_are_there: Option<bool>,
}

impl Options {
    fn parse(args: &Args, end: usize, is_set: bool) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut at = 2;
        while at < end {
            let relative = |unit_ms| Time::At { text_at: at + 1, unit_ms, is_relative: true };
            let absolute = |unit_ms| Time::At { text_at: at + 1, unit_ms, is_relative: false };
            let time = match () {
                () if args.is(at, "ex") => Some(relative(1000)),
                () if args.is(at, "px") => Some(relative(1)),
                () if args.is(at, "exat") => Some(absolute(1000)),
                () if args.is(at, "pxat") => Some(absolute(1)),
                () if args.is(at, "persist") && !is_set => Some(Time::Persist),
                () if args.is(at, "keepttl") && is_set => Some(Time::Keep),
                () => None,
            };
            if let Some(time) = time {
                let has_number = matches!(time, Time::At { .. });
                if options.time.replace(time).is_some() || has_number && at + 1 >= end {
                    return Err(Error::SYNTAX);
                }
                at += if has_number { 2 } else { 1 };
                continue;
            }
            let (condition, wanted) = match () {
                () if args.is(at, "nx") => (&mut options.key_is_there, false),
                () if args.is(at, "xx") => (&mut options.key_is_there, true),
                () if args.is(at, "fnx") => (&mut options.fields_are_there, false),
                () if args.is(at, "fxx") => (&mut options.fields_are_there, true),
                () => return Err(Error::SYNTAX),
            };
            if !is_set || condition.is_some_and(|already| already != wanted) {
                return Err(Error::SYNTAX);
            }
            *condition = Some(wanted);
            at += 1;
        }
        Ok(options)
    }

    /// The time in milliseconds since the Unix epoch, if the options give one.
    fn deadline(&self, args: &Args, now: i64, command: &str) -> Result<Option<i64>, Error> {
        let Some(Time::At { text_at, unit_ms, is_relative }) = self.time else { return Ok(None) };
        integer(args.at(text_at))?
            .checked_mul(unit_ms)
            .filter(|time| *time >= 0)
            .and_then(|time| time.checked_add(if is_relative { now } else { 0 }))
            .map(Some)
            .ok_or_else(|| Error::invalid_expire(command))
    }
}

/// Replies with the values of fields.
fn reply_values(cx: &mut Cx, key: &Key, hasher: &Hasher, fields: &Args) -> Result<(), Error> {
    let hash = view(&mut cx.keys, key)?;
    cx.reply.array(fields.len());
    for name in fields.iter() {
        match hash.and_then(|hash| hash.get(hasher, name)) {
            Some(found) => cx.reply.element(found.value),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

/// HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS numfields field [field …]
pub fn hgetex(cx: &mut Cx, args: &Args) -> CommandResult {
    let position = position_of_fields(args, 2).ok_or(WRONG_NUMBER_OF_FIELDS)?;
    let options = Options::parse(args, position, false)?;
    let fields = fields_at(args, position, 1, WRONG_NUMBER_OF_FIELDS)?;
    let at = options.deadline(args, cx.keys.now, "hgetex")?;
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    reply_values(cx, &key, &hasher, &fields)?;
    if options.time.is_none() {
        return Ok(());
    }
    let keys = &mut cx.keys;
    drop_due(keys, &key, fields.iter());
    let is_past = at.is_some_and(|at| is_past(keys, at));
    let mut done: Vec<&[u8]> = Vec::new();
    let edited = keys.edit(&key, Type::Hash, |entry, hasher| {
        for name in fields.iter() {
            let Some(found) = hash::get(entry, hasher, name) else { continue };
            if is_past {
                hash::remove(entry, hasher, name);
            } else if at.is_some() || found.expire_at.is_some() {
                hash::set_expiry(entry, hasher, name, at);
            } else {
                continue;
            }
            done.push(name);
        }
    })?;
    let Some(Edited { removed, .. }) = edited.filter(|_| !done.is_empty()) else { return Ok(()) };
    match at {
        Some(_) if is_past => fields_removed_by_time(keys, &key, &done, removed),
        Some(at) => fields_expire_at(keys, &key, &done, at),
        None => fields_persist(keys, &key, &done),
    }
    Ok(())
}

/// HGETDEL key FIELDS numfields field [field …]
pub fn hgetdel(cx: &mut Cx, args: &Args) -> CommandResult {
    if !args.is(2, "fields") {
        return Err(Error::SYNTAX);
    }
    let fields = fields_at(args, 2, 1, WRONG_NUMBER_OF_FIELDS)?;
    let key = cx.keys.key(args.at(1));
    drop_due(&mut cx.keys, &key, fields.iter());
    // The look-up is counted as one that reads.
    cx.keys.read_collection(&key, Type::Hash)?;
    let (keys, reply) = (&mut cx.keys, &mut cx.reply);
    let mut done: Vec<&[u8]> = Vec::new();
    reply.array(fields.len());
    let edited = keys.edit(&key, Type::Hash, |entry, hasher| {
        for name in fields.iter() {
            match hash::get(entry, hasher, name) {
                Some(found) => reply.element(found.value),
                None => {
                    reply.null();
                    continue;
                }
            }
            hash::remove(entry, hasher, name);
            done.push(name);
        }
    })?;
    let Some(Edited { removed, .. }) = edited else {
        fields.iter().for_each(|_| reply.null());
        return Ok(());
    };
    if !done.is_empty() {
        keys.changed_many(&key, Classes::HASH, "hdel", done.len() as u64);
        if removed {
            keys.notify(&key, Classes::GENERIC, "del");
        }
        effect_on_fields(keys, &[b"HDEL", key.bytes], &done);
    }
    Ok(())
}

/// HSETEX key [NX | XX] [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS numfields field value
/// [field value …]: all fields are set, or none where a condition is not met.
pub fn hsetex(cx: &mut Cx, args: &Args) -> CommandResult {
    let position = position_of_fields(args, 2).ok_or(WRONG_NUMBER_OF_FIELDS)?;
    let options = Options::parse(args, position, true)?;
    let pairs = fields_at(args, position, 2, WRONG_NUMBER_OF_FIELDS)?;
    let at = options.deadline(args, cx.keys.now, "hsetex")?;
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let names = || pairs.iter().step_by(2);
    drop_due(keys, &key, names());
    let is_there = keys.write_collection(&key, Type::Hash)?.is_some();
    let is_met = options.key_is_there.is_none_or(|wanted| wanted == is_there)
        && match options.fields_are_there {
            Some(wanted) => are_all(keys, &key, names(), wanted)?,
            None => true,
        };
    if !is_met {
        cx.reply.int(0);
        return Ok(());
    }
    if at.is_some_and(|at| is_past(keys, at)) {
        set_in_the_past(keys, &key, names())?;
        cx.reply.int(1);
        return Ok(());
    }
    let expiry = match (options.time, at) {
        (_, Some(at)) => FieldExpiry::At(at),
        (Some(Time::Keep), None) => FieldExpiry::Keep,
        _ => FieldExpiry::Clear,
    };
    let limits = keys.shard.settings.limits;
    keys.edit_or_create(&key, NEW, |entry, hasher| {
        for index in (0..pairs.len()).step_by(2) {
            let (name, value) = (pairs.at(index), pairs.at(index + 1));
            hash::set(entry, hasher, &limits, name, value, expiry);
        }
    })?;
    keys.changed_many(&key, Classes::HASH, "hset", pairs.len() as u64 / 2);
    if at.is_some() {
        keys.notify(&key, Classes::HASH, "hexpire");
    }
    effect(keys, &key, expiry, &pairs);
    cx.reply.int(1);
    Ok(())
}

/// Whether all fields are there, or none is.
fn are_all<'f>(
    keys: &mut Keys,
    key: &Key,
    mut names: impl Iterator<Item = &'f [u8]>,
    wanted: bool,
) -> Result<bool, Error> {
    let hasher = keys.shard.hasher.clone();
    let value = keys.write_collection(key, Type::Hash)?;
    let hash = value.and_then(hash::HashView::whole);
    let is_there = |name| hash.is_some_and(|hash| hash.get(&hasher, name).is_some());
    Ok(names.all(|name| is_there(name) == wanted))
}

/// Fields are set to values that are gone at once.
fn set_in_the_past<'f>(
    keys: &mut Keys,
    key: &Key,
    names: impl Iterator<Item = &'f [u8]>,
) -> Result<(), Error> {
    let mut done: Vec<&[u8]> = Vec::new();
    let edited = keys.edit(key, Type::Hash, |entry, hasher| {
        done.extend(names.filter(|name| hash::remove(entry, hasher, name)));
    })?;
    if let Some(Edited { removed, .. }) = edited.filter(|_| !done.is_empty()) {
        keys.notify(key, Classes::HASH, "hset");
        keys.notify(key, Classes::HASH, "hexpire");
        fields_removed_by_time(keys, key, &done, removed);
    }
    Ok(())
}

/// HSET where no time is set, which older nodes know.
fn effect(keys: &mut Keys, key: &Key, expiry: FieldExpiry, pairs: &Args) {
    if !keys.shard.effects.enabled {
        return;
    }
    let (mut at_digits, mut count_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
    let count = count_digits.format(pairs.len() / 2).as_bytes();
    let mut parts: Vec<&[u8]> = match expiry {
        FieldExpiry::Clear => vec![b"HSET", key.bytes],
        FieldExpiry::Keep => vec![b"HSETEX", key.bytes, b"KEEPTTL", b"FIELDS", count],
        FieldExpiry::At(at) => {
            let at = at_digits.format(at).as_bytes();
            vec![b"HSETEX", key.bytes, b"PXAT", at, b"FIELDS", count]
        }
    };
    parts.extend(pairs.iter());
    keys.effect(&parts);
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::{NOW, TestShard};

    const WRONG_NUMBER: &str =
        "-ERR numfields should be greater than 0 and match the provided number of fields";
    const SYNTAX: &str = "-ERR syntax error";
    const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";

    #[test]
    fn fields_are_set_with_times_as_in_valkey() {
        TestShard::default().check(&[
            ("HSETEX h EX 100 FIELDS 2 a 1 b 2", "1"),
            ("HSETEX h FIELDS 1 c 3", "1"),
            ("HTTL h FIELDS 3 a b c", "[100 100 -1]"),
            ("HSETEX h FNX EX 10 FIELDS 2 a 9 z 1", "0"),
            ("HSETEX h FXX EX 10 FIELDS 2 a 9 z 1", "0"),
            ("HSETEX h FXX EX 10 FIELDS 2 a 9 c 1", "1"),
            ("HTTL h FIELDS 3 a b c", "[10 100 10]"),
            ("HSETEX h KEEPTTL FIELDS 2 a 10 d 5", "1"),
            ("HTTL h FIELDS 4 a b c d", "[10 100 10 -1]"),
            ("HSETEX h FIELDS 1 a 11", "1"),
            ("HTTL h FIELDS 1 a", "[-1]"),
            ("HSETEX h NX FIELDS 1 a 1", "0"),
            ("HSETEX none XX FIELDS 1 a 1", "0"),
            ("HSETEX none FXX FIELDS 1 a 1", "0"),
            ("HSETEX none PXAT 1 FIELDS 1 a 1", "1"),
            ("EXISTS none", "0"),
            ("HSETEX h EX 0 FIELDS 2 a 1 q 1", "1"),
            ("HMGET h a b c d q", r#"[nil "2" "1" "5" nil]"#),
            ("HSETEX new NX FNX EX 100 FIELDS 2 a 1 a 2", "1"),
            ("HGETALL new", r#"["a" "2"]"#),
        ]);
    }

    #[test]
    fn wrong_options_are_refused_as_in_valkey() {
        let mut test = TestShard::default();
        test.run("HSET h a 1");
        test.check(&[
            ("HSETEX h FNX FXX FIELDS 1 a 1", SYNTAX),
            ("HSETEX h EX 1 PX 1 FIELDS 1 a 1", SYNTAX),
            ("HSETEX h EX 1 KEEPTTL FIELDS 1 a 1", SYNTAX),
            ("HSETEX h EX -1 FIELDS 1 a 1", "-ERR invalid expire time in 'hsetex' command"),
            ("HSETEX h EX x FIELDS 1 a 1", NOT_INTEGER),
            ("HSETEX h FIELDS 2 a 1", WRONG_NUMBER),
            ("HSETEX h FIELDS 1 a 1 b 2", WRONG_NUMBER),
            ("HSETEX h FIELDS 0 a 1", WRONG_NUMBER),
            ("HSETEX h FIELDS x a 1", NOT_INTEGER),
            ("HSETEX h FIELDS 1 a 1 EX 10", WRONG_NUMBER),
            ("HSETEX h FOO FIELDS 1 a 1", SYNTAX),
            ("HSETEX h EX FIELDS 1 a 1", SYNTAX),
            ("HSETEX h PERSIST FIELDS 1 a 1", SYNTAX),
            ("HGETEX h KEEPTTL FIELDS 1 a", SYNTAX),
            ("HGETEX h NX FIELDS 1 a", SYNTAX),
            ("HGETEX h EX 1 PERSIST FIELDS 1 a", SYNTAX),
            ("HGETEX h EX -1 FIELDS 1 a", "-ERR invalid expire time in 'hgetex' command"),
            ("HGETEX h FIELDS 2 a", WRONG_NUMBER),
            ("HGETEX h a b c", WRONG_NUMBER),
            ("HGETEX h FIELDS x a", NOT_INTEGER),
            ("HGETDEL h FIELDS 0 a", WRONG_NUMBER),
            ("HGETDEL h FIELDS 1 a b", WRONG_NUMBER),
            ("HGETDEL h FOO 1 a", SYNTAX),
            ("HGETALL h", r#"["a" "1"]"#),
            ("SET s v", "OK"),
        ]);
        let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        test.check(&[
            ("HGETDEL s FIELDS 1 a", wrong_type),
            ("HGETEX s FIELDS 1 a", wrong_type),
            ("HSETEX s FIELDS 1 a v", wrong_type),
        ]);
    }

    #[test]
    fn fields_are_read_and_given_times_or_removed() {
        TestShard::default().check(&[
            ("HSET h a 1 b 2 c 3 d 4", "4"),
            ("HGETEX h FIELDS 2 a zz", r#"["1" nil]"#),
            ("HGETEX h EX 100 FIELDS 2 b zz", r#"["2" nil]"#),
            ("HTTL h FIELDS 3 a b zz", "[-1 100 -2]"),
            ("HGETEX h PERSIST FIELDS 2 b c", r#"["2" "3"]"#),
            ("HTTL h FIELDS 2 b c", "[-1 -1]"),
            ("HGETEX h PXAT 1 FIELDS 1 b", "[\"2\"]"),
            ("HGETEX h EX 0 FIELDS 1 c", "[\"3\"]"),
            ("HGETEX none EX 100 FIELDS 2 c d", "[nil nil]"),
            ("HKEYS h", r#"["a" "d"]"#),
            ("HGETDEL h FIELDS 2 c zz", "[nil nil]"),
            ("HGETDEL h FIELDS 2 d d", r#"["4" nil]"#),
            ("HGETDEL none FIELDS 2 a b", "[nil nil]"),
            ("HGETDEL h FIELDS 1 a", "[\"1\"]"),
            ("EXISTS h", "0"),
        ]);
    }

    #[test]
    fn effects_and_events_name_what_was_done() {
        let mut test = TestShard::with_events("KEA");
        let at = NOW + 5;
        test.check_effects("HSETEX h FIELDS 2 a 1 b 2", &["HSET h a 1 b 2"]);
        let set = format!("HSETEX h PXAT {at} FIELDS 1 c 3");
        test.check_effects("HSETEX h FNX PX 5 FIELDS 1 c 3", &[&set]);
        let kept = "HSETEX h KEEPTTL FIELDS 1 c 4";
        test.check_effects("HSETEX h KEEPTTL FIELDS 1 c 4", &[kept]);
        test.check_effects("HSETEX h FXX FIELDS 1 z 4", &[]);
        test.check_effects("HSETEX h PXAT 1 FIELDS 2 c 4 z 1", &["HDEL h c"]);
        test.check_effects("HSETEX h PXAT 1 FIELDS 1 z 1", &[]);
        let expire = format!("HPEXPIREAT h {at} FIELDS 1 a");
        test.check_effects("HGETEX h PX 5 FIELDS 2 a zz", &[&expire]);
        test.check_effects("HGETEX h FIELDS 1 a", &[]);
        test.check_effects("HGETEX h PERSIST FIELDS 2 a b", &["HPERSIST h FIELDS 1 a"]);
        test.check_effects("HGETEX h PXAT 1 FIELDS 1 a", &["HDEL h a"]);
        test.check_effects("HGETDEL h FIELDS 2 b zz", &["HDEL h b"]);
        test.check_events("HSETEX h EX 1 FIELDS 1 a 1", &["hset h", "hexpire h"]);
        test.check_events("HSETEX h FIELDS 2 a 1 b 1", &["hset h"]);
        test.check_events("HSETEX h EX 0 FIELDS 1 b 1", &["hset h", "hexpire h", "hexpired h"]);
        test.check_events("HGETEX h EX 5 FIELDS 1 a", &["hexpire h"]);
        test.check_events("HGETEX h PERSIST FIELDS 1 a", &["hpersist h"]);
        test.check_events("HGETDEL h FIELDS 1 a", &["hdel h", "del h"]);
    }
}
