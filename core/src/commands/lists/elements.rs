//! Elements by index, and all that are alike: LLEN, LINDEX, LRANGE, LSET, LINSERT, LTRIM, LREM.

use super::limit;
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::number;
use crate::store::Type;
use crate::values::list::{self, ListRef};
use std::ops::Range;

/// LLEN key
pub fn llen(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let len = match cx.keys.read_collection(&key, Type::List)? {
        Some(value) => ListRef::of(value).len(),
        None => 0,
    };
    cx.reply.int(len as i64);
    Ok(())
}

/// LINDEX key index. A missing key and a wrong type come before a wrong index.
pub fn lindex(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let Some(value) = cx.keys.read_collection(&key, Type::List)? else {
        cx.reply.null();
        return Ok(());
    };
    match ListRef::of(value).get(number::integer(args.at(2))?) {
        Some(element) => cx.reply.element(element),
        None => cx.reply.null(),
    }
    Ok(())
}

/// LRANGE key start stop
pub fn lrange(cx: &mut Cx, args: &Args) -> CommandResult {
    let (start, stop) = (number::integer(args.at(2))?, number::integer(args.at(3))?);
    let key = cx.keys.key(args.at(1));
    let Some(value) = cx.keys.read_collection(&key, Type::List)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let list = ListRef::of(value);
    let range = range(start, stop, list.len());
    cx.reply.array(range.len());
    for element in list.iter_from(range.start).take(range.len()) {
        cx.reply.element(element);
    }
    Ok(())
}

/// The indices from `start` to `stop`, both of which count from the end if negative.
fn range(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_front = |index: i64| if index < 0 { index + len } else { index };
    let start = from_front(start).max(0);
    let stop = from_front(stop).min(len - 1);
    if start > stop { 0..0 } else { start as usize..stop as usize + 1 }
}

/// LSET key index element. A missing key and a wrong type come before a wrong index.
pub fn lset(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let limit = limit(&cx.keys);
    let edited = cx.keys.edit(&key, Type::List, |entry, _| {
        let index = number::integer(args.at(2))?;
        if list::set(entry, index, args.at(3), limit) { Ok(()) } else { Err(Error::OUT_OF_RANGE) }
    })?;
    edited.ok_or(Error::NO_SUCH_KEY)?.result?;
    cx.keys.changed(&key, Classes::LIST, "lset");
    cx.keys.effect_verbatim(args);
    cx.reply.ok();
    Ok(())
}

/// LINSERT key BEFORE | AFTER pivot element
pub fn linsert(cx: &mut Cx, args: &Args) -> CommandResult {
    let is_before = args.is(2, "before");
    if !is_before && !args.is(2, "after") {
        return Err(Error::SYNTAX);
    }
    let key = cx.keys.key(args.at(1));
    let limit = limit(&cx.keys);
    let edited = cx.keys.edit(&key, Type::List, |entry, _| {
        list::insert(entry, args.at(3), is_before, args.at(4), limit)
    })?;
    match edited.map(|edited| edited.result) {
        None => cx.reply.int(0),
        Some(None) => cx.reply.int(-1),
        Some(Some(len)) => {
            cx.keys.changed(&key, Classes::LIST, "linsert");
            cx.keys.effect_verbatim(args);
            cx.reply.int(len as i64);
        }
    }
    Ok(())
}

/// LTRIM key start stop
pub fn ltrim(cx: &mut Cx, args: &Args) -> CommandResult {
    let (start, stop) = (number::integer(args.at(2))?, number::integer(args.at(3))?);
    let key = cx.keys.key(args.at(1));
    let limit = limit(&cx.keys);
    let edited = cx.keys.edit(&key, Type::List, |entry, _| {
        let kept = range(start, stop, ListRef::of(entry.get().value()).len());
        list::trim(entry, kept, limit)
    })?;
    if let Some(edited) = edited {
        // An event even if everything stayed, but no change.
        cx.keys.changed_many(&key, Classes::LIST, "ltrim", edited.result as u64);
        if edited.removed {
            cx.keys.notify(&key, Classes::GENERIC, "del");
        }
        if edited.result > 0 {
            cx.keys.effect_verbatim(args);
        }
    }
    cx.reply.ok();
    Ok(())
}

/// LREM key count element
pub fn lrem(cx: &mut Cx, args: &Args) -> CommandResult {
    let count = number::integer(args.at(2))?;
    let key = cx.keys.key(args.at(1));
    let limit = limit(&cx.keys);
    let edited =
        cx.keys.edit(&key, Type::List, |entry, _| list::remove(entry, count, args.at(3), limit))?;
    let count = edited.as_ref().map_or(0, |edited| edited.result);
    if count > 0 {
        cx.keys.changed_many(&key, Classes::LIST, "lrem", count as u64);
        if edited.is_some_and(|edited| edited.removed) {
            cx.keys.notify(&key, Classes::GENERIC, "del");
        }
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(count as i64);
    Ok(())
}
