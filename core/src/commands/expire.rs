//! Commands about when keys expire: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, TTL, PTTL, EXPIRETIME, PEXPIRETIME,
//! PERSIST.
//!
//! Source: redis.io, "Commands", group generic. Expired keys are removed by `crate::keys` when somebody meets
//! one and by `crate::active_expiry` otherwise.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::number;

/// EXPIRE key seconds [NX | XX | GT | LT]
pub fn expire(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    set_expiry(cx, args, "expire", now, 1000)
}

/// PEXPIRE key milliseconds [NX | XX | GT | LT]
pub fn pexpire(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    set_expiry(cx, args, "pexpire", now, 1)
}

/// EXPIREAT key unix-time-seconds [NX | XX | GT | LT]
pub fn expireat(cx: &mut Cx, args: &Args) -> CommandResult {
    set_expiry(cx, args, "expireat", 0, 1000)
}

/// PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]
pub fn pexpireat(cx: &mut Cx, args: &Args) -> CommandResult {
    set_expiry(cx, args, "pexpireat", 0, 1)
}

/// Under which expiry, if any, the new one is set.
#[derive(Default)]
pub(super) struct Conditions {
    none_yet: bool,
    some_already: bool,
    greater: bool,
    less: bool,
}

impl Conditions {
    pub(super) fn parse<'a>(options: impl Iterator<Item = &'a [u8]>) -> Result<Conditions, Error> {
        let mut conditions = Conditions::default();
        for option in options {
            let is = |word: &[u8]| option.eq_ignore_ascii_case(word);
            let condition = match () {
                () if is(b"NX") => &mut conditions.none_yet,
                () if is(b"XX") => &mut conditions.some_already,
                () if is(b"GT") => &mut conditions.greater,
                () if is(b"LT") => &mut conditions.less,
                () => {
                    let option = String::from_utf8_lossy(option);
                    return Err(Error::text(format!("ERR Unsupported option {option}")));
                }
            };
            *condition = true;
        }
        let Conditions { none_yet, some_already, greater, less } = conditions;
        if none_yet && (some_already || greater || less) {
            return Err(Error::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if greater && less {
            return Err(Error::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// No expiry counts as one in an infinite future.
    pub(super) fn allow(&self, current: Option<i64>, new: i64) -> bool {
        !(self.none_yet && current.is_some()
            || self.some_already && current.is_none()
            || self.greater && current.is_none_or(|current| new <= current)
            || self.less && current.is_some_and(|current| new >= current))
    }
}

/// `base`: the time that the argument counts from; `unit_ms`: what one of it stands for.
fn set_expiry(cx: &mut Cx, args: &Args, name: &str, base: i64, unit_ms: i64) -> CommandResult {
    let conditions = Conditions::parse(args.from(3).iter())?;
    let at = number::integer(args.at(2))?
        .checked_mul(unit_ms)
        .and_then(|time| time.checked_add(base))
        .ok_or_else(|| Error::invalid_expire(name))?;

    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let allowed = keys.write(&key).is_some_and(|entry| conditions.allow(entry.expire_at(), at));
    if !allowed {
        cx.reply.int(0);
        return Ok(());
    }
    // A replica waits for its primary's DEL, as with any key whose time has come.
    if at <= keys.now && !keys.shard.settings.is_replica {
        keys.remove(&key);
        keys.changed(&key, Classes::GENERIC, "del");
        let lazy = keys.shard.settings.lazyfree_lazy_expire;
        keys.effect_removed(&key, lazy);
    } else {
        keys.set_expiry(&key, Some(at));
        keys.changed(&key, Classes::GENERIC, "expire");
        keys.effect(&[b"PEXPIREAT", key.bytes, itoa::Buffer::new().format(at).as_bytes()]);
    }
    cx.reply.int(1);
    Ok(())
}

/// TTL key
pub fn ttl(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    reply_expiry(cx, args, |at| seconds(remaining(at, now)))
}

/// PTTL key
pub fn pttl(cx: &mut Cx, args: &Args) -> CommandResult {
    let now = cx.keys.now;
    reply_expiry(cx, args, |at| remaining(at, now))
}

/// EXPIRETIME key
pub fn expiretime(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_expiry(cx, args, |at| seconds(at.max(0)))
}

/// PEXPIRETIME key
pub fn pexpiretime(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_expiry(cx, args, |at| at.max(0))
}

pub(super) fn remaining(at: i64, now: i64) -> i64 {
    at.saturating_sub(now).max(0)
}

/// Rounded to the nearest; `milliseconds` is not negative.
pub(super) fn seconds(milliseconds: i64) -> i64 {
    ((milliseconds as u64 + 500) / 1000) as i64
}

/// -2: no such key; -1: it does not expire.
fn reply_expiry(cx: &mut Cx, args: &Args, shown: impl Fn(i64) -> i64) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let answer = match cx.keys.inspect(&key) {
        None => -2,
        Some(entry) => entry.expire_at().map_or(-1, shown),
    };
    cx.reply.int(answer);
    Ok(())
}

/// PERSIST key
pub fn persist(cx: &mut Cx, args: &Args) -> CommandResult {
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let expires = keys.write(&key).is_some_and(|entry| entry.expire_at().is_some());
    if expires {
        keys.set_expiry(&key, None);
        keys.changed(&key, Classes::GENERIC, "persist");
        keys.effect_verbatim(args);
    }
    cx.reply.int(expires.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::{NOW, TestShard};

    fn shard_with(lines: &[&str]) -> TestShard {
        let mut test = TestShard::with_events("KEAnm");
        for line in lines {
            assert!(!test.run(line).starts_with('-'), "{line}");
        }
        test
    }

    #[test]
    fn an_expiry_is_replicated_as_an_absolute_time_without_options() {
        let mut test = shard_with(&["SET a 1"]);
        test.check_effects("EXPIRE a 100", &[&format!("PEXPIREAT a {}", NOW + 100_000)]);
        test.check_effects("PEXPIRE a 1 lt", &[&format!("PEXPIREAT a {}", NOW + 1)]);
        test.check_effects("EXPIREAT a 1800000000", &["PEXPIREAT a 1800000000000"]);
        test.check_effects("PEXPIREAT a 1800000000001 GT XX", &["PEXPIREAT a 1800000000001"]);
        test.check_effects("PEXPIREAT x 1800000000001", &[]);
        test.check_events("EXPIRE a 7", &["expire a"]);
    }

    #[test]
    fn a_time_that_has_passed_deletes() {
        for line in ["EXPIRE a 0", "PEXPIRE a -1", "EXPIREAT a 1", "PEXPIREAT a 1700000000000"] {
            let mut test = shard_with(&["SET a 1"]);
            test.check_effects(line, &["DEL a"]);
            test.check(&[("EXISTS a", "0"), (line, "0")]);
            test.run("SET a 1");
            test.check_events(line, &["del a"]);
            assert_eq!(test.shard.stats.expired_keys, 0);
            test.run("SET a 1");
            test.shard.settings.lazyfree_lazy_expire = true;
            test.check_effects(line, &["UNLINK a"]);
        }
    }

    #[test]
    fn a_replica_sets_a_time_that_has_passed() {
        let mut test = shard_with(&["SET a 1"]);
        test.shard.settings.is_replica = true;
        test.check(&[("PEXPIREAT a 1000", "1"), ("EXISTS a", "0")]);
        assert_eq!(test.contents()[0].expire_at, Some(1000));
    }

    #[test]
    fn conditions_compare_with_the_expiry_there_is() {
        for (before, option, seconds, set) in [
            (None, "NX", 100, true),
            (Some(50), "NX", 100, false),
            (None, "XX", 100, false),
            (Some(50), "XX", 100, true),
            (None, "GT", 100, false),
            (Some(50), "GT", 100, true),
            (Some(100), "GT", 100, false),
            (Some(200), "GT", 100, false),
            (None, "LT", 100, true),
            (Some(50), "LT", 100, false),
            (Some(100), "LT", 100, false),
            (Some(200), "LT", 100, true),
            (None, "XX LT", 100, false),
            (Some(200), "XX LT", 100, true),
            (Some(50), "xx gt", 100, true),
            (Some(50), "GT", -100, false),
            (Some(50), "LT", -100, true),
        ] {
            let mut test = shard_with(&["SET a 1"]);
            if let Some(before) = before {
                test.run(&format!("EXPIRE a {before}"));
            }
            let line = format!("EXPIRE a {seconds} {option}");
            test.check(&[(&line, if set { "1" } else { "0" })]);
            let ttl = match (set, before) {
                (true, _) if seconds < 0 => -2,
                (true, _) => seconds,
                (false, before) => before.unwrap_or(-1),
            };
            test.check(&[("TTL a", &ttl.to_string())]);
        }
    }

    #[test]
    fn bad_options_and_times_are_refused() {
        let mut test = shard_with(&["SET a 1"]);
        let incompatible = "-ERR NX and XX, GT or LT options at the same time are not compatible";
        test.check(&[
            ("EXPIRE a 10 zz", "-ERR Unsupported option zz"),
            ("EXPIRE a abc zz", "-ERR Unsupported option zz"),
            ("EXPIRE a abc NX XX", incompatible),
            ("EXPIRE a 10 NX GT", incompatible),
            ("EXPIRE a 10 lt nx", incompatible),
            ("EXPIRE a 10 GT LT", "-ERR GT and LT options at the same time are not compatible"),
            ("EXPIRE a abc", "-ERR value is not an integer or out of range"),
            ("EXPIRE x abc", "-ERR value is not an integer or out of range"),
            ("EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
            ("EXPIRE a -9223372036854775807", "-ERR invalid expire time in 'expire' command"),
            ("EXPIRE a 9223372036854775", "-ERR invalid expire time in 'expire' command"),
            ("PEXPIRE a 9223372036854775807", "-ERR invalid expire time in 'pexpire' command"),
            ("EXPIREAT a 9223372036854776", "-ERR invalid expire time in 'expireat' command"),
            ("EXPIRE x 10", "0"),
            ("PEXPIREAT a 9223372036854775807", "1"),
            ("PEXPIRETIME a", "9223372036854775807"),
            ("EXPIRETIME a", "9223372036854776"),
            ("PEXPIREAT a -9223372036854775808", "1"),
            ("EXISTS a", "0"),
        ]);
    }

    #[test]
    fn times_to_live_are_shown_in_both_units() {
        let mut test = shard_with(&["SET a 1 PX 1499", "SET b 1 PX 1500", "SET c 1"]);
        test.check(&[
            ("TTL a", "1"),
            ("TTL b", "2"),
            ("PTTL a", "1499"),
            ("EXPIRETIME a", "1700000001"),
            ("EXPIRETIME b", "1700000002"),
            ("PEXPIRETIME b", "1700000001500"),
        ]);
        for command in ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"] {
            test.check(&[(&format!("{command} c"), "-1"), (&format!("{command} x"), "-2")]);
        }
        test.check_events("TTL x", &["keymiss x"]);
        test.now = NOW + 1499;
        test.check(&[("PTTL a", "0"), ("GET a", "\"1\"")]);
        test.now = NOW + 1500;
        test.check_effects("PTTL a", &["DEL a"]);
        assert_eq!(test.shard.stats.expired_keys, 1);
    }

    #[test]
    fn persist_removes_an_expiry() {
        let mut test = shard_with(&["SET a 1 PX 1499", "SET b 1"]);
        test.check_effects("PERSIST a", &["PERSIST a"]);
        test.check(&[("TTL a", "-1"), ("PERSIST a", "0"), ("PERSIST b", "0"), ("PERSIST x", "0")]);
        test.check_effects("PERSIST a", &[]);
        test.run("EXPIRE a 5");
        test.check_events("PERSIST a", &["persist a"]);
    }
}
