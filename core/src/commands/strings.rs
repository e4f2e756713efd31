//! Commands that read and write whole strings: GET and SET with their kin, MGET and MSET.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15.

use super::string_options::{GetexOptions, SetOptions, Time, deadline};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::resp::Reply;
use crate::store::{Expiry, Key, StringValue};

/// GET key
pub fn get(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    reply_current(cx, &key)?;
    Ok(())
}

/// SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
pub fn set(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    if args.len() == 3 {
        cx.keys.set(&key, args.at(2), Expiry::Clear);
        cx.keys.changed(&key, Classes::STRING, "set");
        cx.keys.effect_verbatim(args);
        cx.reply.ok();
        return Ok(());
    }
    set_with_options(cx, &key, args)
}

fn set_with_options(cx: &mut Cx, key: &Key, args: &Args) -> CommandResult {
    let options = SetOptions::parse(args)?;
    let expire_at = match options.time {
        Some(time) => Some(time.deadline(cx.keys.now, "set")?),
        None => None,
    };
    if options.get {
        reply_current(cx, key)?;
    }
    let exists = cx.keys.write(key).is_some();
    if options.only_absent && exists || options.only_present && !exists {
        if !options.get {
            cx.reply.null();
        }
        return Ok(());
    }
    let value = args.at(2);
    match expire_at {
        Some(at) => set_expiring(cx, key, value, at),
        None if options.keep_ttl => {
            cx.keys.set(key, value, Expiry::Keep);
            cx.keys.changed(key, Classes::STRING, "set");
            cx.keys.effect(&[b"SET", key.bytes, value, b"KEEPTTL"]);
        }
        None => set_plain(cx, key, value),
    }
    if !options.get {
        cx.reply.ok();
    }
    Ok(())
}

/// Sets a value that does not expire; the effect is a bare SET.
fn set_plain(cx: &mut Cx, key: &Key, value: &[u8]) {
    cx.keys.set(key, value, Expiry::Clear);
    cx.keys.changed(key, Classes::STRING, "set");
    cx.keys.effect(&[b"SET", key.bytes, value]);
}

/// Sets a value that expires. A time in the past is no exception: the key is there, and expires when it is next
/// looked at.
fn set_expiring(cx: &mut Cx, key: &Key, value: &[u8], expire_at: i64) {
    cx.keys.set(key, value, Expiry::At(expire_at));
    cx.keys.changed(key, Classes::STRING, "set");
    cx.keys.notify(key, Classes::GENERIC, "expire");
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(expire_at).as_bytes();
    cx.keys.effect(&[b"SET", key.bytes, value, b"PXAT", digits]);
}

/// SETNX key value
pub fn setnx(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let absent = cx.keys.write(&key).is_none();
    if absent {
        set_plain(cx, &key, args.at(2));
    }
    cx.reply.int(absent.into());
    Ok(())
}

/// SETEX key seconds value
pub fn setex(cx: &mut Cx, args: &Args) -> CommandResult {
    let expire_at = deadline(args.at(2), Time::InSeconds, cx.keys.now, "setex")?;
    set_for_a_time(cx, args, expire_at)
}

/// PSETEX key milliseconds value
pub fn psetex(cx: &mut Cx, args: &Args) -> CommandResult {
    let expire_at = deadline(args.at(2), Time::InMilliseconds, cx.keys.now, "psetex")?;
    set_for_a_time(cx, args, expire_at)
}

fn set_for_a_time(cx: &mut Cx, args: &Args, expire_at: i64) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    set_expiring(cx, &key, args.at(3), expire_at);
    cx.reply.ok();
    Ok(())
}

/// GETSET key value
pub fn getset(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    reply_current(cx, &key)?;
    set_plain(cx, &key, args.at(2));
    Ok(())
}

/// GETDEL key
pub fn getdel(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    if reply_current(cx, &key)? {
        cx.keys.remove(&key);
        cx.keys.changed(&key, Classes::GENERIC, "del");
        cx.keys.effect_removed(&key, false);
    }
    Ok(())
}

/// GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]
pub fn getex(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = GetexOptions::parse(args)?;
    let key = cx.keys.key(args.at(1));
    let now = cx.keys.now;
    // A missing key and a wrong type come before a wrong time.
    let Some(value) = cx.keys.read_string(&key)? else {
        cx.reply.null();
        return Ok(());
    };
    let expire_at = match options.time {
        Some(time) => Some(time.deadline(now, "getex")?),
        None => None,
    };
    reply_value(&mut cx.reply, value);
    match expire_at {
        // Only an absolute time can be past.
        Some(at) if at <= now && !cx.keys.shard.settings.is_replica => {
            let lazy = cx.keys.shard.settings.lazyfree_lazy_expire;
            cx.keys.remove(&key);
            cx.keys.changed(&key, Classes::GENERIC, "del");
            cx.keys.effect_removed(&key, lazy);
        }
        Some(at) => {
            cx.keys.set_expiry(&key, Some(at));
            cx.keys.changed(&key, Classes::GENERIC, "expire");
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(at).as_bytes();
            cx.keys.effect(&[b"PEXPIREAT", key.bytes, digits]);
        }
        None if options.persist => {
            let expires = cx.keys.peek(&key).is_some_and(|entry| entry.expire_at().is_some());
            if expires {
                cx.keys.set_expiry(&key, None);
                cx.keys.changed(&key, Classes::GENERIC, "persist");
                cx.keys.effect(&[b"PERSIST", key.bytes]);
            }
        }
        None => {}
    }
    Ok(())
}

/// STRLEN key
pub fn strlen(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let bytes = cx.keys.read_string(&key)?.map_or(0, |value| value.len());
    cx.reply.int(bytes as i64);
    Ok(())
}

/// MGET key [key …]. A key of another type is as good as absent.
pub fn mget(cx: &mut Cx, args: &Args) -> CommandResult {
    cx.reply.array(args.len() - 1);
    for name in args.from(1).iter() {
        let key = cx.keys.key(name);
        match cx.keys.read_string(&key) {
            Ok(Some(value)) => reply_value(&mut cx.reply, value),
            Ok(None) | Err(_) => cx.reply.null(),
        }
    }
    Ok(())
}

/// MSET key value [key value …]
pub fn mset(cx: &mut Cx, args: &Args) -> CommandResult {
    if args.len() % 2 == 0 {
        return Err(Error::arity("mset"));
    }
    set_pairs(cx, args);
    cx.reply.ok();
    Ok(())
}

/// MSETNX key value [key value …]: all of them or, if one of the keys is there, none.
pub fn msetnx(cx: &mut Cx, args: &Args) -> CommandResult {
    if args.len() % 2 == 0 {
        return Err(Error::arity("msetnx"));
    }
    for name in args.from(1).iter().step_by(2) {
        let key = cx.keys.key(name);
        if cx.keys.write(&key).is_some() {
            cx.reply.int(0);
            return Ok(());
        }
    }
    set_pairs(cx, args);
    cx.reply.int(1);
    Ok(())
}

fn set_pairs(cx: &mut Cx, args: &Args) {
    for at in (1..args.len()).step_by(2) {
        let key = cx.keys.key(args.at(at));
        cx.keys.set(&key, args.at(at + 1), Expiry::Clear);
        cx.keys.changed(&key, Classes::STRING, "set");
    }
    cx.keys.effect_verbatim(args);
}

/// Replies with the string at `key`, or with null; says whether it was there.
#[inline]
fn reply_current(cx: &mut Cx, key: &Key) -> Result<bool, Error> {
    match cx.keys.read_string(key)? {
        Some(value) => {
            reply_value(&mut cx.reply, value);
            Ok(true)
        }
        None => {
            cx.reply.null();
            Ok(false)
        }
    }
}

#[inline]
fn reply_value(reply: &mut Reply, value: StringValue) {
    match value {
        StringValue::Bytes(bytes) => reply.bulk(bytes),
        StringValue::Integer(number) => reply.bulk_int(number),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::{NOW, TestShard};
    use crate::resp::Protocol;

    #[track_caller]
    fn check(lines: &[(&str, &str)]) {
        TestShard::default().check(lines);
    }

    const SYNTAX: &str = "-ERR syntax error";
    const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
    const BAD_TIME: &str = "-ERR invalid expire time in 'set' command";

    #[test]
    fn what_is_set_is_got() {
        check(&[
            ("GET k", "nil"),
            ("SET k v", "OK"),
            ("GET k", "\"v\""),
            ("SET k 123", "OK"),
            ("GET k", "\"123\""),
            ("STRLEN k", "3"),
            ("STRLEN none", "0"),
            (r#"SET "" "\x00\xff" "#, "OK"),
            (r#"GET """#, r#""\x00\xff""#),
        ]);
    }

    #[test]
    fn set_obeys_its_conditions() {
        check(&[
            ("SET k v XX", "nil"),
            ("SET k v NX", "OK"),
            ("SET k w NX", "nil"),
            ("SET k w XX", "OK"),
            ("SET k x GET", "\"w\""),
            ("SET k y nx get", "\"x\""),
            ("GET k", "\"x\""),
            ("SET new y NX GET", "nil"),
            ("GET new", "\"y\""),
            ("SET none y XX GET", "nil"),
            ("GET none", "nil"),
        ]);
    }

    #[test]
    fn set_refuses_options_that_contradict_each_other() {
        for options in [
            "NX XX",
            "XX NX",
            "EX 1 PX 1",
            "EX",
            "KEEPTTL EX 1",
            "PXAT 5 KEEPTTL",
            "FOO",
            "PERSIST",
            "EX 1 EXAT 1",
            "GET EX",
        ] {
            check(&[(&format!("SET k v {options}"), SYNTAX), ("GET k", "nil")]);
        }
        check(&[("SET k v EX 1 EX 2 GET GET", "nil"), ("SET k v KEEPTTL KEEPTTL", "OK")]);
    }

    #[test]
    fn times_must_be_positive_and_fit() {
        for (options, error) in [
            ("EX 0", BAD_TIME),
            ("EX -1", BAD_TIME),
            ("EX 9223372036854775", BAD_TIME),
            ("EX 9223372036854776", BAD_TIME),
            ("PX 9223372036854775807", BAD_TIME),
            ("EXAT 9223372036854776", BAD_TIME),
            ("PXAT 0", BAD_TIME),
            ("EX 1.5", NOT_INTEGER),
            ("PX x", NOT_INTEGER),
        ] {
            check(&[(&format!("SET k v {options}"), error), ("GET k", "nil")]);
        }
        check(&[
            ("SET k v EXAT 9223372036854775", "OK"),
            ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
            ("PSETEX k -5 v", "-ERR invalid expire time in 'psetex' command"),
            ("SETEX k x v", NOT_INTEGER),
            ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command"),
            ("GETEX k EX x", NOT_INTEGER),
            ("GETEX none EX 0", "nil"),
        ]);
    }

    #[test]
    fn values_are_gone_after_their_time() {
        let mut test = TestShard::default();
        for line in ["SET a v EX 1", "SET b v PX 1000", "SETEX c 1 v", "PSETEX d 1000 v"] {
            test.run(line);
        }
        test.run(&format!("SET e v PXAT {}", NOW + 1000));
        test.run("SET f v PX 10");
        test.run("SET f w KEEPTTL");
        test.run("SET g v PX 10");
        test.run("SET g v");
        test.now += 1000;
        test.check(&[("MGET a b c d e f g", r#"["v" "v" "v" "v" "v" nil "v"]"#)]);
        test.now += 1;
        test.check(&[("MGET a b c d e f g", r#"[nil nil nil nil nil nil "v"]"#)]);
        test.check(&[("SET h v EXAT 1", "OK"), ("GET h", "nil")]);
    }

    #[test]
    fn getex_changes_the_time() {
        let mut test = TestShard::default();
        test.check(&[
            ("GETEX k EX 5", "nil"),
            ("SET k v", "OK"),
            ("GETEX k", "\"v\""),
            ("GETEX k PX 10", "\"v\""),
            ("GETEX k PERSIST", "\"v\""),
            ("GETEX k PERSIST EX 5", SYNTAX),
            ("GETEX k EX 5 PERSIST", SYNTAX),
            ("GETEX k KEEPTTL", SYNTAX),
            ("GETEX k NX", SYNTAX),
        ]);
        test.now += 11;
        test.check(&[("GET k", "\"v\""), ("GETEX k EXAT 1", "\"v\""), ("GET k", "nil")]);
    }

    #[test]
    fn getset_and_getdel_answer_what_was_there() {
        check(&[
            ("GETSET k v", "nil"),
            ("GETSET k w", "\"v\""),
            ("GETDEL k", "\"w\""),
            ("GETDEL k", "nil"),
            ("SETNX k v", "1"),
            ("SETNX k w", "0"),
            ("GET k", "\"v\""),
        ]);
    }

    #[test]
    fn many_keys_at_once() {
        check(&[
            ("MSET a 1 b two", "OK"),
            ("MGET a b c", r#"["1" "two" nil]"#),
            ("MSETNX c 3 a 4", "0"),
            ("MGET a c", r#"["1" nil]"#),
            ("MSETNX c 3 d 4 c 5", "1"),
            ("MGET c d", r#"["5" "4"]"#),
            ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
            ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command"),
        ]);
    }

    #[test]
    fn null_is_of_the_protocol() {
        let mut test = TestShard { protocol: Protocol::Resp3, ..TestShard::default() };
        test.check(&[("GET k", "nil"), ("MGET k", "[nil]"), ("SET k v XX", "nil")]);
    }

    #[test]
    fn effects_set_plain_values_with_absolute_times() {
        let mut test = TestShard::default();
        let at = |ms: i64| format!("SET k v PXAT {}", NOW + ms);
        test.check_effects("SET k v", &["SET k v"]);
        test.check_effects("SET k v NX", &[]);
        test.check_effects("SET k v XX GET", &["SET k v"]);
        test.check_effects("SET k v EX 5", &[&at(5000)]);
        test.check_effects("SET k v GET PX 7 XX", &[&at(7)]);
        test.check_effects("SET k v EXAT 1", &["SET k v PXAT 1000"]);
        test.check_effects("SET k v KEEPTTL", &["DEL k", "SET k v KEEPTTL"]);
        test.check_effects("SETEX k 5 v", &[&at(5000)]);
        test.check_effects("PSETEX k 5 v", &[&at(5)]);
        test.check_effects("SETNX k v", &[]);
        test.check_effects("SETNX n v", &["SET n v"]);
        test.check_effects("GETSET k w", &["SET k w"]);
        test.check_effects("GETDEL k", &["DEL k"]);
        test.check_effects("GETDEL k", &[]);
        test.check_effects("MSET a 1 b 2", &["MSET a 1 b 2"]);
        test.check_effects("MSETNX a 1 c 2", &[]);
        test.check_effects("MSETNX c 1 d 2", &["MSETNX c 1 d 2"]);
        test.check_effects("GETEX a EX 5", &[&format!("PEXPIREAT a {}", NOW + 5000)]);
        test.check_effects("GETEX a PERSIST", &["PERSIST a"]);
        test.check_effects("GETEX a PERSIST", &[]);
        test.check_effects("GETEX a", &[]);
        test.check_effects("GETEX a PXAT 1", &["DEL a"]);
        test.shard.settings.lazyfree_lazy_expire = true;
        test.check_effects("GETEX b PXAT 1", &["UNLINK b"]);
    }

    #[test]
    fn events_come_in_the_order_of_redis() {
        let mut test = TestShard::with_events("KEAnm");
        test.check_events("GET k", &["keymiss k"]);
        test.check_events("SET k v", &["new k", "set k"]);
        test.check_events("SET k v EX 5", &["set k", "expire k"]);
        test.check_events("GETEX k PX 5", &["expire k"]);
        test.check_events("GETEX k PERSIST", &["persist k"]);
        test.check_events("GETEX k EXAT 1", &["del k"]);
        test.check_events("SETNX k v", &["new k", "set k"]);
        test.check_events("GETSET k v", &["set k"]);
        test.check_events("GETDEL k", &["del k"]);
        test.check_events("MSET a 1 b 2 a 3", &["new a", "set a", "new b", "set b", "set a"]);
        test.check_events("PSETEX a 1 v", &["set a", "expire a"]);
        test.now += 2;
        test.check_events("SET a v", &["expired a", "new a", "set a"]);
        assert_eq!(test.shard.stats.expired_keys, 1);
    }
}
