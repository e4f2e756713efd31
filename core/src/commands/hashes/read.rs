//! Commands that read fields: HGET, HMGET, HGETALL, HKEYS, HVALS, HLEN, HSTRLEN, HEXISTS.

use super::view;
use crate::args::Args;
use crate::cx::Cx;
use crate::error::CommandResult;
use crate::values::hash::Found;

/// HGET key field
pub fn hget(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let hash = view(&mut cx.keys, &key)?;
    match hash.and_then(|hash| hash.get(&hasher, args.at(2))) {
        Some(found) => cx.reply.element(found.value),
        None => cx.reply.null(),
    }
    Ok(())
}

/// HMGET key field [field …]
pub fn hmget(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let hash = view(&mut cx.keys, &key)?;
    cx.reply.array(args.len() - 2);
    for name in args.from(2).iter() {
        match hash.and_then(|hash| hash.get(&hasher, name)) {
            Some(found) => cx.reply.element(found.value),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

/// HGETALL key
pub fn hgetall(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hash = view(&mut cx.keys, &key)?;
    cx.reply.map(hash.map_or(0, |hash| hash.len()));
    if let Some(hash) = hash {
        hash.for_each(|name, Found { value, .. }| {
            cx.reply.element(name);
            cx.reply.element(value);
        });
    }
    Ok(())
}

/// HKEYS key
pub fn hkeys(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hash = view(&mut cx.keys, &key)?;
    cx.reply.array(hash.map_or(0, |hash| hash.len()));
    if let Some(hash) = hash {
        hash.for_each(|name, _| cx.reply.element(name));
    }
    Ok(())
}

/// HVALS key
pub fn hvals(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hash = view(&mut cx.keys, &key)?;
    cx.reply.array(hash.map_or(0, |hash| hash.len()));
    if let Some(hash) = hash {
        hash.for_each(|_, Found { value, .. }| cx.reply.element(value));
    }
    Ok(())
}

/// HLEN key
pub fn hlen(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let fields = view(&mut cx.keys, &key)?.map_or(0, |hash| hash.len());
    cx.reply.int(fields as i64);
    Ok(())
}

/// HSTRLEN key field
pub fn hstrlen(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let hash = view(&mut cx.keys, &key)?;
    let found = hash.and_then(|hash| hash.get(&hasher, args.at(2)));
    cx.reply.int(found.map_or(0, |found| found.value.text_len() as i64));
    Ok(())
}

/// HEXISTS key field
pub fn hexists(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let hash = view(&mut cx.keys, &key)?;
    let found = hash.and_then(|hash| hash.get(&hasher, args.at(2)));
    cx.reply.int(found.is_some().into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use crate::resp::Protocol;

    #[test]
    fn fields_are_read_in_both_forms() {
        for entries in [512, 0] {
            let mut test = TestShard::default();
            test.shard.settings.limits.hash_max_listpack_entries = entries;
            test.check(&[
                ("HSET h num -12345", "1"),
                ("HGET h num", "\"-12345\""),
                ("HGETALL h", r#"["num" "-12345"]"#),
                ("HKEYS h", r#"["num"]"#),
                ("HVALS h", r#"["-12345"]"#),
                ("HSTRLEN h num", "6"),
                ("HSTRLEN h none", "0"),
                ("HEXISTS h num", "1"),
                ("HEXISTS h none", "0"),
                ("HGET h none", "nil"),
                (r#"HSET h "" "" "#, "1"),
                ("HMGET h num none \"\"", r#"["-12345" nil ""]"#),
                ("HLEN h", "2"),
            ]);
        }
    }

    #[test]
    fn what_is_absent_is_empty_and_what_is_no_hash_is_refused() {
        let mut test = TestShard::default();
        test.run("SET s v");
        let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
        for (line, reply) in [
            ("HGET ? a", "nil"),
            ("HMGET ? a b", "[nil nil]"),
            ("HGETALL ?", "[]"),
            ("HKEYS ?", "[]"),
            ("HVALS ?", "[]"),
            ("HLEN ?", "0"),
            ("HSTRLEN ? a", "0"),
            ("HEXISTS ? a", "0"),
        ] {
            test.check(&[(&line.replace('?', "none"), reply), (&line.replace('?', "s"), wrong)]);
        }
    }

    #[test]
    fn pairs_are_a_map_where_the_protocol_has_one() {
        let mut test = TestShard { protocol: Protocol::Resp3, ..TestShard::default() };
        test.check(&[
            ("HSET h a 1", "1"),
            ("HGETALL h", r#"{"a" "1"}"#),
            ("HGETALL none", "{}"),
            ("HKEYS h", r#"["a"]"#),
            ("HGET h b", "nil"),
        ]);
    }
}
