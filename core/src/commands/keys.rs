//! Commands that work on keys of any type: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, MOVE.
//!
//! Source: redis.io, "Commands", group generic; replies and events as a running Redis 7 gives them.
//! Deliberately absent: expiry (`expire`), introspection (`object`), and commands over the whole key space
//! (KEYS, SCAN, FLUSHALL …), of which a shard answers its part (`crate::scan`, `crate::flush`).

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::eviction;
use crate::keys::Keys;
use crate::notify::Classes;
use crate::number;
use crate::store::{Key, OwnedEntry};

/// DEL key [key …]
pub fn del(cx: &mut Cx, args: &Args) -> CommandResult {
    remove_all(cx, args)
}

/// UNLINK key [key …]
pub fn unlink(cx: &mut Cx, args: &Args) -> CommandResult {
    remove_all(cx, args)
}

/// A shard frees the memory of a value in either case at once; the two names differ for replicas only.
fn remove_all(cx: &mut Cx, args: &Args) -> CommandResult {
    let mut removed = 0;
    for name in args.from(1).iter() {
        let key = cx.keys.key(name);
        if cx.keys.remove(&key) {
            cx.keys.changed(&key, Classes::GENERIC, "del");
            removed += 1;
        }
    }
    if removed > 0 {
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(removed);
    Ok(())
}

/// EXISTS key [key …]: a key that is named twice counts twice.
pub fn exists(cx: &mut Cx, args: &Args) -> CommandResult {
    let mut found = 0;
    for name in args.from(1).iter() {
        let key = cx.keys.key(name);
        found += i64::from(cx.keys.inspect(&key).is_some());
    }
    cx.reply.int(found);
    Ok(())
}

/// TOUCH key [key …]: renews access times even for a client that said CLIENT NO-TOUCH.
pub fn touch(cx: &mut Cx, args: &Args) -> CommandResult {
    cx.keys.caller.no_touch = false;
    let mut found = 0;
    for name in args.from(1).iter() {
        let key = cx.keys.key(name);
        found += i64::from(cx.keys.read(&key).is_some());
    }
    cx.reply.int(found);
    Ok(())
}

/// TYPE key
pub fn key_type(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let name = cx.keys.inspect(&key).map_or("none", |entry| entry.type_name());
    cx.reply.simple(name);
    Ok(())
}

/// RENAME key newkey
pub fn rename(cx: &mut Cx, args: &Args) -> CommandResult {
    rename_key(cx, args, true)?;
    cx.reply.ok();
    Ok(())
}

/// RENAMENX key newkey
pub fn renamenx(cx: &mut Cx, args: &Args) -> CommandResult {
    let renamed = rename_key(cx, args, false)?;
    cx.reply.int(renamed.into());
    Ok(())
}

/// `false`: nothing was done, since the new name is the old one, or is taken and not to be overwritten.
fn rename_key(cx: &mut Cx, args: &Args, overwrite: bool) -> Result<bool, Error> {
    let keys = &mut cx.keys;
    let (source, target) = (keys.key(args.at(1)), keys.key(args.at(2)));
    if keys.write(&source).is_none() {
        return Err(Error::NO_SUCH_KEY);
    }
    if source.bytes == target.bytes {
        return Ok(false);
    }
    if keys.write(&target).is_some() && !overwrite {
        return Ok(false);
    }
    let Some(entry) = keys.take(&source) else { return Err(Error::NO_SUCH_KEY) };
    put_new(keys, &target, entry.with_key(target.bytes));
    keys.touch(&source);
    keys.touch(&target);
    keys.notify(&source, Classes::GENERIC, "rename_from");
    keys.notify(&target, Classes::GENERIC, "rename_to");
    keys.shard.stats.dirty += 1;
    keys.effect_verbatim(args);
    Ok(true)
}

/// COPY source destination [DB destination-db] [REPLACE]
pub fn copy(cx: &mut Cx, args: &Args) -> CommandResult {
    let mut target_database = cx.keys.database;
    let mut replace = false;
    let mut at = 3;
    while at < args.len() {
        if args.is(at, "replace") {
            replace = true;
            at += 1;
        } else if args.is(at, "db") && at + 1 < args.len() {
            target_database = database_argument(&cx.keys, args.at(at + 1))?;
            at += 2;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let keys = &mut cx.keys;
    let (source, target) = (keys.key(args.at(1)), keys.key(args.at(2)));
    if target_database == keys.database && source.bytes == target.bytes {
        return Err(Error::SAME_OBJECT);
    }
    let copied = keys.read(&source).is_some()
        && (keys.in_database(target_database).write(&target).is_none() || replace)
        && duplicate(keys, &source, target_database, &target);
    if copied {
        keys.effect_verbatim(args);
    }
    cx.reply.int(copied.into());
    Ok(())
}

/// Puts a copy of the entry at `source` where `target` is. `false`: there is no such entry.
fn duplicate(keys: &mut Keys, source: &Key, database: usize, target: &Key) -> bool {
    let access = eviction::first_access(&keys.shard.settings, keys.now);
    let Some(entry) = keys.peek(source).map(|entry| entry.copy_as(target.bytes)) else {
        return false;
    };
    entry.get().set_access(access);
    let mut there = keys.in_database(database);
    put_new(&mut there, target, entry);
    there.changed(target, Classes::GENERIC, "copy_to");
    true
}

/// MOVE key db
pub fn move_key(cx: &mut Cx, args: &Args) -> CommandResult {
    let keys = &mut cx.keys;
    let target_database = database_argument(keys, args.at(2))?;
    if target_database == keys.database {
        return Err(Error::SAME_OBJECT);
    }
    let key = keys.key(args.at(1));
    let free =
        keys.write(&key).is_some() && keys.in_database(target_database).write(&key).is_none();
    let moved = if free { keys.take(&key) } else { None };
    let Some(entry) = moved else {
        cx.reply.int(0);
        return Ok(());
    };
    put_new(&mut keys.in_database(target_database), &key, entry);
    keys.touch(&key);
    keys.in_database(target_database).touch(&key);
    keys.notify(&key, Classes::GENERIC, "move_from");
    keys.in_database(target_database).notify(&key, Classes::GENERIC, "move_to");
    keys.shard.stats.dirty += 1;
    keys.effect_verbatim(args);
    cx.reply.int(1);
    Ok(())
}

/// Puts an entry where `key` is, which counts as a new key even where it replaces one.
fn put_new(keys: &mut Keys, key: &Key, entry: OwnedEntry) {
    keys.put(key, entry);
    keys.notify(key, Classes::NEW, "new");
}

/// A database number that SELECT could reach.
fn database_argument(keys: &Keys, text: &[u8]) -> Result<usize, Error> {
    let number = number::int32(text)?;
    usize::try_from(number)
        .ok()
        .filter(|&number| number < keys.shard.databases.len())
        .ok_or(Error::DB_OUT_OF_RANGE)
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::{NOW, TestShard};
    use crate::watch::Watcher;

    fn shard_with(lines: &[&str]) -> TestShard {
        let mut test = TestShard::with_events("KEAnm");
        for line in lines {
            assert!(!test.run(line).starts_with('-'), "{line}");
        }
        test.shard.stats = Default::default();
        test
    }

    #[test]
    fn removals_count_what_was_there() {
        for command in ["DEL", "UNLINK"] {
            let mut test = shard_with(&["SET a 1", "SET b 2"]);
            test.check(&[
                (&format!("{command} a b c a"), "2"),
                (&format!("{command} a"), "0"),
                ("EXISTS a b", "0"),
            ]);
            assert_eq!(test.shard.stats.dirty, 2);
        }
    }

    #[test]
    fn a_removal_is_replicated_as_sent_if_anything_was_removed() {
        let mut test = shard_with(&["SET a 1"]);
        test.check_effects("DEL x a y", &["DEL x a y"]);
        test.check_effects("DEL x a y", &[]);
        test.run("SET a 1");
        test.check_events("UNLINK x a", &["del a"]);
    }

    #[test]
    fn lookups_count_hits_and_misses_and_announce_misses() {
        let mut test = shard_with(&["SET a 1"]);
        for (line, events, hits, misses) in [
            ("EXISTS a x a", &["keymiss x"][..], 2, 1),
            ("TYPE a", &[], 3, 1),
            ("TYPE x", &["keymiss x"], 3, 2),
            ("TOUCH a x", &["keymiss x"], 4, 3),
            ("COPY x y", &["keymiss x"], 4, 4),
            ("RENAME x y", &[], 4, 4),
            ("MOVE x 1", &[], 4, 4),
        ] {
            test.check_events(line, events);
            let stats = &test.shard.stats;
            assert_eq!((stats.keyspace_hits, stats.keyspace_misses), (hits, misses), "{line}");
        }
    }

    #[test]
    fn types_have_names() {
        let mut test = shard_with(&["SET a 1"]);
        test.check(&[("TYPE a", "string"), ("TYPE x", "none"), ("EXISTS a a x", "2")]);
    }

    #[test]
    fn touch_renews_access_times_and_other_lookups_by_name_do_not() {
        let mut test = shard_with(&["SET a 1"]);
        test.now += 100_000;
        test.check(&[("EXISTS a", "1"), ("TYPE a", "string"), ("TTL a", "-1")]);
        test.check(&[("OBJECT IDLETIME a", "100")]);
        test.caller.no_touch = true;
        test.check(&[("GET a", "\"1\""), ("OBJECT IDLETIME a", "100")]);
        test.check(&[("TOUCH a", "1"), ("OBJECT IDLETIME a", "0")]);
    }

    #[test]
    fn a_renamed_key_keeps_value_and_expiry() {
        let mut test = shard_with(&["SET a 1 PX 5000", "SET b 2"]);
        test.check_effects("RENAME a b", &["RENAME a b"]);
        test.check(&[
            ("GET b", "\"1\""),
            ("PTTL b", "5000"),
            ("EXISTS a", "0"),
            ("RENAME a b", "-ERR no such key"),
            ("RENAME b b", "OK"),
            ("RENAME x x", "-ERR no such key"),
        ]);
        test.run("SET c 3");
        test.check_events("RENAME b c", &["new c", "rename_from b", "rename_to c"]);
        test.check_effects("RENAME c c", &[]);
    }

    #[test]
    fn renamenx_leaves_a_taken_name_alone() {
        let mut test = shard_with(&["SET a 1", "SET b 2"]);
        test.check(&[
            ("RENAMENX a b", "0"),
            ("GET b", "\"2\""),
            ("RENAMENX a a", "0"),
            ("RENAMENX x x", "-ERR no such key"),
            ("RENAMENX a c", "1"),
            ("GET c", "\"1\""),
        ]);
        assert_eq!(test.shard.stats.dirty, 1);
        test.check_effects("RENAMENX c b", &[]);
        test.check_effects("RENAMENX c d", &["RENAMENX c d"]);
    }

    #[test]
    fn an_expired_target_is_removed_first() {
        let mut test = shard_with(&["SET a 1", "SET b 2 PX 10"]);
        test.now = NOW + 11;
        test.check_effects("RENAMENX a b", &["DEL b", "RENAMENX a b"]);
    }

    #[test]
    fn a_copy_has_value_and_expiry_and_its_own_access_time() {
        let mut test = shard_with(&["SET a 1 PX 500000", "SET taken 2"]);
        test.now += 60_000;
        test.check_effects("COPY a b", &["COPY a b"]);
        test.check(&[
            ("GET b", "\"1\""),
            ("PTTL b", "440000"),
            ("COPY a taken", "0"),
            ("GET taken", "\"2\""),
            ("COPY a taken REPLACE", "1"),
            ("GET taken", "\"1\""),
            ("COPY x y", "0"),
            ("OBJECT IDLETIME b", "0"),
        ]);
        test.check_events("COPY a c", &["new c", "copy_to c"]);
        test.check_events("COPY a c REPLACE", &["new c", "copy_to c"]);
        test.check_effects("COPY a c", &[]);
    }

    #[test]
    fn a_copy_can_go_to_another_database() {
        let mut test = shard_with(&["SET a 1"]);
        test.check(&[
            ("COPY a a DB 2", "1"),
            ("COPY a a db 2", "0"),
            ("COPY a b REPLACE DB 2", "1"),
        ]);
        test.database = 2;
        test.check(&[("GET a", "\"1\""), ("GET b", "\"1\"")]);
        test.check(&[
            ("COPY a a", "-ERR source and destination objects are the same"),
            ("COPY a a DB 2", "-ERR source and destination objects are the same"),
            ("COPY a b DB 99", "-ERR DB index is out of range"),
            ("COPY a b DB -1", "-ERR DB index is out of range"),
            ("COPY a b DB x", "-ERR value is not an integer or out of range"),
            (
                "COPY a b DB 99999999999",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("COPY a b DB", "-ERR syntax error"),
            ("COPY a b WHAT", "-ERR syntax error"),
        ]);
    }

    #[test]
    fn a_moved_key_keeps_value_and_expiry() {
        let mut test = shard_with(&["SET a 1 PX 5000", "SET b 2"]);
        test.check_effects("MOVE a 2", &["MOVE a 2"]);
        test.check(&[
            ("EXISTS a", "0"),
            ("MOVE a 2", "0"),
            ("MOVE b 0", "-ERR source and destination objects are the same"),
            ("MOVE b 4", "-ERR DB index is out of range"),
            ("MOVE b x", "-ERR value is not an integer or out of range"),
            ("SET a 3", "OK"),
            ("MOVE a 2", "0"),
        ]);
        test.check_events("MOVE b 2", &["new b", "move_from b", "move_to b"]);
        test.database = 2;
        test.check(&[("GET a", "\"1\""), ("PTTL a", "5000"), ("GET b", "\"2\"")]);
    }

    #[test]
    fn watches_of_both_names_are_spoiled() {
        let watcher = |test: &mut TestShard, database: usize, key: &str| {
            let watcher = Watcher(7);
            test.shard.watches.unwatch(watcher);
            test.shard.watches.watch(watcher, database, key.as_bytes(), false);
        };
        for (line, watched, spoiled) in [
            ("RENAME a b", (0, "a"), true),
            ("RENAME a b", (0, "b"), true),
            ("RENAME a b", (1, "b"), false),
            ("COPY a b", (0, "a"), false),
            ("COPY a b", (0, "b"), true),
            ("COPY a b DB 1", (0, "b"), false),
            ("COPY a b DB 1", (1, "b"), true),
            ("MOVE a 1", (0, "a"), true),
            ("MOVE a 1", (1, "a"), true),
            ("DEL a", (0, "a"), true),
            ("DEL x", (0, "x"), false),
            ("TOUCH a", (0, "a"), false),
        ] {
            let mut test = shard_with(&["SET a 1"]);
            watcher(&mut test, watched.0, watched.1);
            test.run(line);
            let clean = test.shard.watches.is_clean(Watcher(7), |_, _| false);
            assert_eq!(!clean, spoiled, "{line} {watched:?}");
        }
    }
}
