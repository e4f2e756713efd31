//! Commands that set and remove fields: HSET, HMSET, HSETNX, HDEL.

use super::{NEW, drop_due};
use crate::args::Args;
use crate::collections::hash::FieldExpiry;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::store::Type;
use crate::values::hash;

/// HSET key field value [field value …]
pub fn hset(cx: &mut Cx, args: &Args) -> CommandResult {
    let added = set_all(cx, args, "hset")?;
    cx.reply.int(added);
    Ok(())
}

/// HMSET key field value [field value …]
pub fn hmset(cx: &mut Cx, args: &Args) -> CommandResult {
    set_all(cx, args, "hmset")?;
    cx.reply.ok();
    Ok(())
}

/// Returns how many fields are new.
#[inline]
fn set_all(cx: &mut Cx, args: &Args, command: &str) -> Result<i64, Error> {
    if args.len() % 2 == 1 {
        return Err(Error::arity(command));
    }
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    drop_due(keys, &key, args.from(2).iter().step_by(2));
    let limits = keys.shard.settings.limits;
    let edited = keys.edit_or_create(&key, NEW, |entry, hasher| {
        let set = |at| {
            let (name, value) = (args.at(at), args.at(at + 1));
            hash::set(entry, hasher, &limits, name, value, FieldExpiry::Clear)
        };
        (2..args.len()).step_by(2).map(set).filter(|is_new| *is_new).count() as i64
    })?;
    keys.changed_many(&key, Classes::HASH, "hset", args.len() as u64 / 2 - 1);
    keys.effect_verbatim(args);
    Ok(edited.result)
}

/// HSETNX key field value
pub fn hsetnx(cx: &mut Cx, args: &Args) -> CommandResult {
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let (name, value) = (args.at(2), args.at(3));
    drop_due(keys, &key, [name].into_iter());
    let limits = keys.shard.settings.limits;
    let is_new = keys
        .edit_or_create(&key, NEW, |entry, hasher| {
            hash::get(entry, hasher, name).is_none()
                && hash::set(entry, hasher, &limits, name, value, FieldExpiry::Clear)
        })?
        .result;
    if is_new {
        keys.changed(&key, Classes::HASH, "hset");
        keys.effect_verbatim(args);
    }
    cx.reply.int(is_new.into());
    Ok(())
}

/// HDEL key field [field …]
pub fn hdel(cx: &mut Cx, args: &Args) -> CommandResult {
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let names = args.from(2).iter();
    drop_due(keys, &key, names.clone());
    let edited = keys.edit(&key, Type::Hash, |entry, hasher| {
        names.filter(|name| hash::remove(entry, hasher, name)).count()
    })?;
    let removed = edited.map_or(0, |edited| edited.result);
    if removed > 0 {
        keys.changed_many(&key, Classes::HASH, "hdel", removed as u64);
        if edited.is_some_and(|edited| edited.removed) {
            keys.notify(&key, Classes::GENERIC, "del");
        }
        keys.effect_verbatim(args);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn fields_are_set_and_removed() {
        TestShard::default().check(&[
            ("HSET h a 1 b two", "2"),
            ("HSET h a 3 c 4 c 5", "1"),
            ("HGETALL h", r#"["a" "3" "b" "two" "c" "5"]"#),
            ("HSETNX h a 9", "0"),
            ("HSETNX h d 9", "1"),
            ("HMSET h d 10", "OK"),
            ("HDEL h a a none d", "2"),
            ("HLEN h", "2"),
            ("HDEL h b c b", "2"),
            ("EXISTS h", "0"),
            ("HDEL h b", "0"),
            ("HSET h a", "-ERR wrong number of arguments for 'hset' command"),
            ("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command"),
            ("HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command"),
            ("SET s v", "OK"),
            ("HSET s a 1", WRONG_TYPE),
            ("HMSET s a 1", WRONG_TYPE),
            ("HSETNX s a 1", WRONG_TYPE),
            ("HDEL s a", WRONG_TYPE),
        ]);
    }

    #[test]
    fn a_hash_becomes_large_as_in_redis() {
        let mut test = TestShard::default();
        test.shard.settings.limits.hash_max_listpack_entries = 2;
        let long = "x".repeat(65);
        test.check(&[
            ("HSET h a 1 b 2", "2"),
            ("OBJECT ENCODING h", "\"listpack\""),
            ("HSET h c 3", "1"),
            ("OBJECT ENCODING h", "\"hashtable\""),
            ("HDEL h c b", "2"),
            ("OBJECT ENCODING h", "\"hashtable\""),
            ("HGETALL h", r#"["a" "1"]"#),
            (&format!("HSET l a {long}"), "1"),
            ("OBJECT ENCODING l", "\"hashtable\""),
            (&format!("HSETNX m {long} b"), "1"),
            ("OBJECT ENCODING m", "\"hashtable\""),
        ]);
    }

    #[test]
    fn effects_and_events_are_those_of_redis() {
        let mut test = TestShard::with_events("KEAn");
        test.check_events("HSET h a 1", &["new h", "hset h"]);
        test.check_events("HMSET h b 1 c 2 d 3", &["hset h"]);
        test.check_events("HSETNX h b 1", &[]);
        test.check_events("HDEL h b c none", &["hdel h"]);
        test.check_events("HDEL h a d", &["hdel h", "del h"]);
        test.check_effects("HSET h a 1", &["HSET h a 1"]);
        test.check_effects("HMSET h a 1", &["HMSET h a 1"]);
        test.check_effects("HSETNX h a 1", &[]);
        test.check_effects("HSETNX h b 1", &["HSETNX h b 1"]);
        test.check_effects("HDEL h x", &[]);
        test.check_effects("HDEL h x a b", &["HDEL h x a b"]);
    }
}
