//! Commands that look behind a key: OBJECT ENCODING, FREQ, IDLETIME, REFCOUNT, and MEMORY USAGE.
//!
//! Source: redis.io, "Commands", groups generic and server.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::eviction;
use crate::number;
use crate::store::{EntryRef, StringValue};

/// What Redis answers for values of which it keeps one copy for all keys.
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// Integers from 0 to below this are such values.
const SHARED_INTEGERS: i64 = 10_000;

/// OBJECT ENCODING key
pub fn encoding(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    match cx.keys.inspect_quietly(&key).map(|entry| entry.encoding().name()) {
        None => cx.reply.null(),
        Some(name) => cx.reply.text(name),
    }
    Ok(())
}

/// OBJECT REFCOUNT key
pub fn refcount(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    match cx.keys.inspect_quietly(&key).map(|entry| reference_count(&entry)) {
        None => cx.reply.null(),
        Some(count) => cx.reply.int(count),
    }
    Ok(())
}

/// How many users a value would have in Redis. Here each has one.
pub fn reference_count(entry: &EntryRef) -> i64 {
    match entry.string() {
        Some(StringValue::Integer(number)) if (0..SHARED_INTEGERS).contains(&number) => {
            SHARED_REFCOUNT
        }
        _ => 1,
    }
}

/// OBJECT IDLETIME key
pub fn idletime(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let now = cx.keys.now;
    let Some(access) = cx.keys.inspect_quietly(&key).map(|entry| entry.access()) else {
        cx.reply.null();
        return Ok(());
    };
    if cx.keys.shard.settings.maxmemory_policy.is_lfu() {
        return Err(Error::IDLE_TIME_NOT_TRACKED);
    }
    cx.reply.int(eviction::idle_seconds(access, now) as i64);
    Ok(())
}

/// OBJECT FREQ key
pub fn freq(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let Some(access) = cx.keys.inspect_quietly(&key).map(|entry| entry.access()) else {
        cx.reply.null();
        return Ok(());
    };
    let settings = &cx.keys.shard.settings;
    if !settings.maxmemory_policy.is_lfu() {
        return Err(Error::FREQUENCY_NOT_TRACKED);
    }
    cx.reply.int(eviction::frequency(access, settings, cx.keys.now).into());
    Ok(())
}

/// MEMORY USAGE key [SAMPLES count]. A string is measured whole, so the number of samples changes nothing.
pub fn memory_usage(cx: &mut Cx, args: &Args) -> CommandResult {
    let mut at = 3;
    while at < args.len() {
        if !args.is(at, "samples") || at + 1 == args.len() {
            return Err(Error::SYNTAX);
        }
        if number::integer(args.at(at + 1))? < 0 {
            return Err(Error::SYNTAX);
        }
        at += 2;
    }
    let key = cx.keys.key(args.at(2));
    // Looks behind expiry too: what is still there uses memory.
    match cx.keys.shard.databases[cx.keys.database].get(&key) {
        None => cx.reply.null(),
        Some(entry) => cx.reply.int((entry.memory_bytes() + size_of::<usize>()) as i64),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use crate::shard::Policy;

    #[test]
    fn encodings_and_reference_counts_are_those_of_redis() {
        let mut test = TestShard::with_events("KEAm");
        test.run("SET int 9999");
        test.run("SET large 10000");
        test.run("SET short hello");
        test.run(&format!("SET long {}", "x".repeat(45)));
        test.check(&[
            ("OBJECT ENCODING int", "\"int\""),
            ("OBJECT ENCODING short", "\"embstr\""),
            ("OBJECT ENCODING long", "\"raw\""),
            ("OBJECT REFCOUNT int", "2147483647"),
            ("OBJECT REFCOUNT large", "1"),
            ("OBJECT REFCOUNT short", "1"),
            ("OBJECT ENCODING x", "nil"),
            ("OBJECT REFCOUNT x", "nil"),
            ("OBJECT IDLETIME x", "nil"),
            ("OBJECT FREQ x", "nil"),
        ]);
        assert_eq!((test.shard.stats.keyspace_hits, test.shard.stats.keyspace_misses), (6, 4));
        test.check_events("OBJECT ENCODING x", &[]);
    }

    #[test]
    fn idle_time_and_frequency_exclude_each_other() {
        let mut test = TestShard::default();
        test.run("SET a 1");
        test.now += 7_000;
        test.check(&[("OBJECT IDLETIME a", "7")]);
        let refused = test.run("OBJECT FREQ a");
        assert!(refused.starts_with("-ERR An LFU maxmemory policy is not selected, access"));
        test.shard.settings.maxmemory_policy = Policy::AllKeysLfu;
        test.run("SET a 1");
        test.check(&[("OBJECT FREQ a", "5")]);
        let refused = test.run("OBJECT IDLETIME a");
        assert!(refused.starts_with("-ERR An LFU maxmemory policy is selected, idle time not"));
    }

    #[test]
    fn memory_usage_grows_with_the_value() {
        let mut test = TestShard::default();
        test.run("SET small x");
        test.run(&format!("SET large {}", "x".repeat(100_000)));
        let small: usize = test.run("MEMORY USAGE small").parse().unwrap();
        let large: usize = test.run("MEMORY USAGE large SAMPLES 5").parse().unwrap();
        assert!((8..100).contains(&small), "{small}");
        assert!((100_000..110_000).contains(&large), "{large}");
        test.check(&[
            ("MEMORY USAGE x", "nil"),
            ("MEMORY USAGE small SAMPLES", "-ERR syntax error"),
            ("MEMORY USAGE small SAMPLES -1", "-ERR syntax error"),
            ("MEMORY USAGE small SAMPLES abc", "-ERR value is not an integer or out of range"),
            ("MEMORY USAGE small WHAT 1", "-ERR syntax error"),
        ]);
    }
}
