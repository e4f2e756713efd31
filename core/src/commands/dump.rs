//! DUMP and RESTORE: a value as a payload that any node can take.
//!
//! Source: redis.io, "Commands", group generic; the order of checks and the effects as in Redis 7.2's
//! `restoreCommand`. The payload itself is `crate::rdb::dump`.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::eviction;
use crate::keys::Keys;
use crate::notify::Classes;
use crate::number;
use crate::rdb::dump::{self, LoadError, Loaded};
use crate::rdb::{AccessHint, DecodeError, StoredValue};
use crate::store::{Key, OwnedEntry};

/// DUMP key
pub fn dump(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let format = cx.keys.shard.settings.dump_format();
    match cx.keys.read(&key) {
        None => cx.reply.null(),
        Some(entry) => cx.reply.bulk(&dump::dump(&entry, format)),
    }
    Ok(())
}

/// RESTORE key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]
pub fn restore(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = Options::parse(args)?;
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    if !options.replace && keys.write(&key).is_some() {
        return Err(Error::BUSY_KEY);
    }
    let expire_at = match number::integer(args.at(2))? {
        ..0 => return Err(Error::new("ERR Invalid TTL value, must be >= 0")),
        0 => None,
        at if options.absolute => Some(at),
        // A time that no clock shows stands for one that no clock will show.
        ttl => Some(keys.now.saturating_add(ttl)),
    };
    let payload = args.at(3);
    let Loaded { value, version } = dump::load(payload, &keys.shard.builder()).map_err(refusal)?;

    let replaced = options.replace && keys.remove(&key);
    // A replica waits for its primary's DEL, as with any key whose time has come.
    if expire_at.is_some_and(|at| at <= keys.now) && !keys.shard.settings.is_replica {
        if replaced {
            keys.changed(&key, Classes::GENERIC, "del");
            keys.effect_removed(&key, false);
        }
        cx.reply.ok();
        return Ok(());
    }
    let access = eviction::restored_access(options.access, &keys.shard.settings, keys.now);
    let entry = match value {
        StoredValue::String(bytes) => OwnedEntry::string(key.bytes, &bytes, expire_at, access),
        StoredValue::Integer(number) => OwnedEntry::integer(key.bytes, number, expire_at, access),
        StoredValue::Collection(collection) => {
            OwnedEntry::collection(key.bytes, collection, expire_at, access)
        }
    };
    // A replica may know no newer version than ours.
    let own = keys.shard.settings.dump_format();
    let rewritten = version > own.version && keys.shard.effects.enabled;
    let rewritten = rewritten.then(|| dump::dump(&entry.get(), own));
    keys.put(&key, entry);
    keys.notify(&key, Classes::NEW, "new");
    keys.changed(&key, Classes::GENERIC, "restore");
    effect(keys, &key, expire_at, rewritten.as_deref().unwrap_or(payload), args);
    cx.reply.ok();
    Ok(())
}

/// The effect: the command with an absolute time.
fn effect(keys: &mut Keys, key: &Key, expire_at: Option<i64>, payload: &[u8], args: &Args) {
    if !keys.shard.effects.enabled {
        return;
    }
    let mut digits = itoa::Buffer::new();
    let at = digits.format(expire_at.unwrap_or(0));
    let mut parts = vec![&b"RESTORE"[..], key.bytes, at.as_bytes(), payload];
    let options = args.from(4);
    parts.extend(options.iter());
    if expire_at.is_some() && !(0..options.len()).any(|index| options.is(index, "absttl")) {
        parts.push(b"ABSTTL");
    }
    keys.effect(&parts);
}

struct Options {
    replace: bool,
    /// The time to live is a Unix time in milliseconds.
    absolute: bool,
    access: AccessHint,
}

impl Options {
    /// IDLETIME and FREQ exclude each other.
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut options = Options { replace: false, absolute: false, access: AccessHint::None };
        let mut at = 4;
        while at < args.len() {
            let value = args.get(at + 1);
            if args.is(at, "replace") {
                options.replace = true;
            } else if args.is(at, "absttl") {
                options.absolute = true;
            } else if let (true, Some(value), AccessHint::None | AccessHint::IdleSeconds(_)) =
                (args.is(at, "idletime"), value, options.access)
            {
                let seconds = u64::try_from(number::integer(value)?)
                    .map_err(|_| Error::new("ERR Invalid IDLETIME value, must be >= 0"))?;
                options.access = AccessHint::IdleSeconds(seconds);
                at += 1;
            } else if let (true, Some(value), AccessHint::None | AccessHint::Frequency(_)) =
                (args.is(at, "freq"), value, options.access)
            {
                let frequency = u8::try_from(number::integer(value)?)
                    .map_err(|_| Error::new("ERR Invalid FREQ value, must be >= 0 and <= 255"))?;
                options.access = AccessHint::Frequency(frequency);
                at += 1;
            } else {
                return Err(Error::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn refusal(error: LoadError) -> Error {
    match error {
        LoadError::VersionOrChecksum => {
            Error::new("ERR DUMP payload version or checksum are wrong")
        }
        // The reason goes behind what clients look for.
        LoadError::Value(error @ DecodeError::NotSupported { .. }) => {
            Error::text(format!("ERR Bad data format: {error}"))
        }
        LoadError::Value(_) => Error::new("ERR Bad data format"),
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::{NOW, TestShard};
    use crate::rdb::dump::sealed;
    use crate::shard::Policy;

    fn payload(version: u16) -> Vec<u8> {
        sealed(b"\x00\x05hello".to_vec(), version)
    }

    /// RESTORE with `payload` in the place of `$`.
    fn restore(test: &mut TestShard, line: &str, payload: &[u8]) -> String {
        let words: Vec<&[u8]> = line
            .split(' ')
            .map(|word| if word == "$" { payload } else { word.as_bytes() })
            .collect();
        test.run_words(&words)
    }

    #[track_caller]
    fn check(test: &mut TestShard, line: &str, reply: &str) {
        assert_eq!(restore(test, line, &payload(10)), reply, "{line}");
    }

    /// The words of the one effect since they were last taken, but for the payload.
    fn effect(test: &mut TestShard) -> (String, Vec<u8>) {
        let mut effects = test.take_effects();
        assert_eq!(effects.len(), 1, "{effects:?}");
        let mut words = effects.remove(0).1;
        let payload = if words.len() > 3 { words.remove(3) } else { Vec::new() };
        let line = words.join(&b' ');
        (String::from_utf8(line).expect("plain words"), payload)
    }

    #[test]
    fn a_dump_is_null_where_there_is_no_key_and_restores_where_there_is() {
        let mut test = TestShard::default();
        test.check(&[("DUMP a", "nil"), ("SET a 12", "OK")]);
        assert_eq!((test.shard.stats.keyspace_hits, test.shard.stats.keyspace_misses), (0, 1));
        let dumped = test.run("DUMP a");
        assert_eq!(test.shard.stats.keyspace_hits, 1);
        assert_eq!(test.run(&format!("RESTORE b 0 {dumped}").replace("\\n", "\\x0a")), "OK");
        test.check(&[("GET b", "\"12\""), ("OBJECT ENCODING b", "\"int\""), ("TTL b", "-1")]);
        test.shard.settings.dump_version = 9;
        assert!(test.run("DUMP a").starts_with("\"\\x00\\xc0\\x0c\\t\\x00"));
        test.run(&format!("SET a {}", "a".repeat(30)));
        assert!(test.run("DUMP a").starts_with("\"\\x00\\xc3"));
        test.shard.settings.dump_compress = false;
        assert!(test.run("DUMP a").starts_with("\"\\x00\\x1eaaa"));
    }

    #[test]
    fn options_and_time_are_checked_before_the_payload() {
        let mut test = TestShard::default();
        test.run("SET a 1");
        for (line, reply) in [
            ("RESTORE a 0", "-ERR wrong number of arguments for 'restore' command"),
            ("RESTORE a x bad WHAT", "-ERR syntax error"),
            ("RESTORE a x bad IDLETIME", "-ERR syntax error"),
            ("RESTORE a x bad IDLETIME 1 FREQ 1", "-ERR syntax error"),
            ("RESTORE a x bad FREQ 1 IDLETIME 1", "-ERR syntax error"),
            ("RESTORE a x bad IDLETIME y", "-ERR value is not an integer or out of range"),
            ("RESTORE a x bad IDLETIME -1", "-ERR Invalid IDLETIME value, must be >= 0"),
            ("RESTORE a x bad FREQ -1", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE a x bad FREQ 256", "-ERR Invalid FREQ value, must be >= 0 and <= 255"),
            ("RESTORE a x bad", "-BUSYKEY Target key name already exists."),
            ("RESTORE b x bad", "-ERR value is not an integer or out of range"),
            ("RESTORE b -1 bad", "-ERR Invalid TTL value, must be >= 0"),
            ("RESTORE a -1 bad REPLACE", "-ERR Invalid TTL value, must be >= 0"),
            ("RESTORE b 0 bad", "-ERR DUMP payload version or checksum are wrong"),
            ("RESTORE a 0 bad REPLACE", "-ERR DUMP payload version or checksum are wrong"),
        ] {
            check(&mut test, line, reply);
        }
        let module = sealed(b"\x07\x00".to_vec(), 10);
        assert_eq!(
            restore(&mut test, "RESTORE a 0 $ REPLACE", &module),
            "-ERR Bad data format: module value (RDB type 7) is not supported yet"
        );
        let empty = sealed(b"\x01\x00".to_vec(), 10);
        assert_eq!(restore(&mut test, "RESTORE a 0 $ REPLACE", &empty), "-ERR Bad data format");
        let cut = sealed(b"\x00\x05hell".to_vec(), 10);
        assert_eq!(restore(&mut test, "RESTORE b 0 $", &cut), "-ERR Bad data format");
        test.check(&[("GET a", "\"1\"")]);
    }

    #[test]
    fn a_restored_key_replaces_and_expires_as_asked() {
        let mut test = TestShard::with_events("KEAn");
        check(&mut test, "RESTORE a 0 $", "OK");
        test.check(&[("GET a", "\"hello\""), ("PTTL a", "-1")]);
        check(&mut test, "RESTORE a 5000 $ REPLACE", "OK");
        test.check(&[("PTTL a", "5000")]);
        test.shard.events.list.clear();
        check(&mut test, &format!("RESTORE a {} $ replace ABSTTL", NOW + 7), "OK");
        let events: Vec<_> = test.shard.events.list.iter().map(|event| event.name).collect();
        assert_eq!(events, ["new", "restore"]);
        test.check(&[("PTTL a", "7")]);
        check(&mut test, &format!("RESTORE b {} $", i64::MAX), "OK");
        test.check(&[("PEXPIRETIME b", &i64::MAX.to_string())]);
    }

    #[test]
    fn a_time_that_has_passed_makes_no_key_and_removes_the_one_to_replace() {
        let mut test = TestShard::with_events("KEA");
        check(&mut test, "RESTORE a 1 $ ABSTTL", "OK");
        test.check(&[("EXISTS a", "0")]);
        assert!(test.take_effects().is_empty());
        test.run("SET a 1");
        test.take_effects();
        test.shard.events.list.clear();
        let dirty = test.shard.stats.dirty;
        check(&mut test, "RESTORE a 1 $ ABSTTL REPLACE", "OK");
        test.check(&[("EXISTS a", "0")]);
        assert_eq!(test.shard.stats.dirty, dirty + 1);
        assert_eq!(test.shard.events.list[0].name, "del");
        assert_eq!(effect(&mut test).0, "DEL a");
        test.shard.settings.is_replica = true;
        test.caller.is_primary = true;
        check(&mut test, "RESTORE a 1 $ ABSTTL", "OK");
        test.check(&[("EXISTS a", "1")]);
    }

    #[test]
    fn the_effect_has_an_absolute_time_and_a_version_that_replicas_read() {
        let mut test = TestShard::default();
        let at = NOW + 5000;
        for (line, expected) in [
            ("RESTORE a 0 $", "RESTORE a 0".to_owned()),
            ("RESTORE b 5000 $ IDLETIME 3", format!("RESTORE b {at} IDLETIME 3 ABSTTL")),
            (&format!("RESTORE b {at} $ REPLACE absttl"), format!("RESTORE b {at} REPLACE absttl")),
        ] {
            for version in [9, 10, 11, 80] {
                test.run("DEL a b");
                test.take_effects();
                assert_eq!(restore(&mut test, line, &payload(version)), "OK");
                let expected = (expected.clone(), payload(version.min(10)));
                assert_eq!(effect(&mut test), expected);
            }
        }
    }

    #[test]
    fn idle_time_and_frequency_are_taken_where_the_policy_uses_them() {
        let mut test = TestShard::default();
        check(&mut test, "RESTORE a 0 $ IDLETIME 1000", "OK");
        test.check(&[("OBJECT IDLETIME a", "1000")]);
        check(&mut test, "RESTORE a 0 $ REPLACE FREQ 77", "OK");
        test.check(&[("OBJECT IDLETIME a", "0")]);
        let longest = (1 << 21) - 1;
        check(&mut test, &format!("RESTORE a 0 $ REPLACE IDLETIME {}", i64::MAX), "OK");
        test.check(&[("OBJECT IDLETIME a", &longest.to_string())]);
        test.shard.settings.maxmemory_policy = Policy::AllKeysLfu;
        check(&mut test, "RESTORE a 0 $ REPLACE FREQ 77", "OK");
        test.check(&[("OBJECT FREQ a", "77")]);
        check(&mut test, "RESTORE a 0 $ REPLACE IDLETIME 1000", "OK");
        test.check(&[("OBJECT FREQ a", "5")]);
    }
}
