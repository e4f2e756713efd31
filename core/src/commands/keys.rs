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
    keys.touch_watchers(&source);
    keys.touch_watchers(&target);
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
    keys.touch_watchers(&key);
    keys.in_database(target_database).touch_watchers(&key);
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
