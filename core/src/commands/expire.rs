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
struct Conditions {
    none_yet: bool,
    some_already: bool,
    greater: bool,
    less: bool,
}

impl Conditions {
    fn parse(options: Args) -> Result<Conditions, Error> {
        let mut conditions = Conditions::default();
        for index in 0..options.len() {
            let condition = match () {
                () if options.is(index, "nx") => &mut conditions.none_yet,
                () if options.is(index, "xx") => &mut conditions.some_already,
                () if options.is(index, "gt") => &mut conditions.greater,
                () if options.is(index, "lt") => &mut conditions.less,
                () => {
                    let option = String::from_utf8_lossy(options.at(index));
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
    fn allow(&self, current: Option<i64>, new: i64) -> bool {
        !(self.none_yet && current.is_some()
            || self.some_already && current.is_none()
            || self.greater && current.is_none_or(|current| new <= current)
            || self.less && current.is_some_and(|current| new >= current))
    }
}

/// `base`: the time that the argument counts from; `unit_ms`: what one of it stands for.
fn set_expiry(cx: &mut Cx, args: &Args, name: &str, base: i64, unit_ms: i64) -> CommandResult {
    let conditions = Conditions::parse(args.from(3))?;
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

fn remaining(at: i64, now: i64) -> i64 {
    at.saturating_sub(now).max(0)
}

/// Rounded to the nearest.
fn seconds(milliseconds: i64) -> i64 {
    milliseconds.saturating_add(500) / 1000
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
