//! Pushing and popping at the ends: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP, LMPOP.

use super::{limit, pop_name, popped, push_event};
use crate::args::Args;
use crate::commands::multi_pop::MultiPop;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::notify::Classes;
use crate::number;
use crate::resp::Reply;
use crate::store::{Key, OwnedEntry, Type};
use crate::values::list::{self, End};

/// LPUSH key element [element …]
pub fn lpush(cx: &mut Cx, args: &Args) -> CommandResult {
    push(cx, args, End::Left, true)
}

/// RPUSH key element [element …]
pub fn rpush(cx: &mut Cx, args: &Args) -> CommandResult {
    push(cx, args, End::Right, true)
}

/// LPUSHX key element [element …]
pub fn lpushx(cx: &mut Cx, args: &Args) -> CommandResult {
    push(cx, args, End::Left, false)
}

/// RPUSHX key element [element …]
pub fn rpushx(cx: &mut Cx, args: &Args) -> CommandResult {
    push(cx, args, End::Right, false)
}

#[inline]
fn push(cx: &mut Cx, args: &Args, end: End, creates: bool) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let texts = args.from(2);
    let Some(len) = push_texts(&mut cx.keys, &key, end, texts.iter(), creates)? else {
        cx.reply.int(0);
        return Ok(());
    };
    cx.keys.changed_many(&key, Classes::LIST, push_event(end), texts.len() as u64);
    cx.keys.effect_verbatim(args);
    cx.reply.int(len as i64);
    Ok(())
}

/// Pushes onto the list at `key`, without telling anybody. Gives how many elements there are then; `None` where there is
/// no list and none is to be created.
#[inline]
pub(super) fn push_texts<'t>(
    keys: &mut Keys,
    key: &Key,
    end: End,
    texts: impl ExactSizeIterator<Item = &'t [u8]> + Clone,
    creates: bool,
) -> Result<Option<usize>, Error> {
    let limit = limit(keys);
    let pushed =
        keys.edit(key, Type::List, |entry, _| list::push(entry, end, texts.clone(), limit));
    if let Some(edited) = pushed? {
        return Ok(Some(edited.result));
    }
    if !creates {
        return Ok(None);
    }
    let count = texts.len();
    keys.create(key, list::created(end, texts, limit));
    Ok(Some(count))
}

/// LPOP key [count]
pub fn lpop(cx: &mut Cx, args: &Args) -> CommandResult {
    pop(cx, args, End::Left)
}

/// RPOP key [count]
pub fn rpop(cx: &mut Cx, args: &Args) -> CommandResult {
    pop(cx, args, End::Right)
}

#[inline]
fn pop(cx: &mut Cx, args: &Args, end: End) -> CommandResult {
    match args.len() {
        2 => {}
        3 => return pop_count(cx, args, end),
        _ => return Err(Error::arity(super::pop_event(end))),
    }
    let key = cx.keys.key(args.at(1));
    let limit = limit(&cx.keys);
    let reply = &mut cx.reply;
    let edited = cx.keys.edit(&key, Type::List, |entry, _| {
        list::pop(entry, end, limit, |element| reply.element(element));
    })?;
    match edited {
        None => cx.reply.null(),
        Some(edited) => {
            popped(&mut cx.keys, &key, end, 1, edited.removed);
            cx.keys.effect_verbatim(args);
        }
    }
    Ok(())
}

fn pop_count(cx: &mut Cx, args: &Args, end: End) -> CommandResult {
    let count = number::parse_integer(args.at(2)).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or(Error::new("ERR value is out of range, must be positive"))?;
    let key = cx.keys.key(args.at(1));
    if count == 0 {
        match cx.keys.write_collection(&key, Type::List)? {
            None => cx.reply.null_array(),
            Some(_) => cx.reply.array(0),
        }
        return Ok(());
    }
    match pop_into(&mut cx.keys, &mut cx.reply, &key, end, count, |_| {})? {
        None => cx.reply.null_array(),
        Some(_) => cx.keys.effect_verbatim(args),
    }
    Ok(())
}

/// Pops up to `count` elements into an array, behind what `head` writes, and says so. Gives how many; `None` where there
/// is no list.
fn pop_into(
    keys: &mut Keys,
    reply: &mut Reply,
    key: &Key,
    end: End,
    count: usize,
    head: impl FnOnce(&mut Reply),
) -> Result<Option<usize>, Error> {
    let limit = limit(keys);
    let edited = keys.edit(key, Type::List, |entry, _| {
        let count = count.min(len(entry));
        head(reply);
        reply.array(count);
        list::pop_many(entry, end, count, limit, |element| reply.element(element));
        count
    })?;
    let Some(edited) = edited else { return Ok(None) };
    popped(keys, key, end, edited.result, edited.removed);
    Ok(Some(edited.result))
}

fn len(entry: &OwnedEntry) -> usize {
    list::ListRef::of(entry.get().value()).len()
}

/// LMPOP numkeys key [key …] LEFT | RIGHT [COUNT count]
pub fn lmpop(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = multi_pop(args, 1)?;
    if !pop_first(cx, args, &options)? {
        cx.reply.null_array();
    }
    Ok(())
}

/// The options of LMPOP and BLMPOP. `at`: where the number of keys stands.
pub(super) fn multi_pop(args: &Args, at: usize) -> Result<MultiPop<End>, Error> {
    MultiPop::parse(args, at, |index| super::end(args, index))
}

/// Pops from the first of the keys that holds a list. `false`: none does, and nothing was written.
pub(super) fn pop_first(cx: &mut Cx, args: &Args, options: &MultiPop<End>) -> Result<bool, Error> {
    for index in options.keys.clone() {
        let key = cx.keys.key(args.at(index));
        let head = |reply: &mut Reply| {
            reply.array(2);
            reply.bulk(key.bytes);
        };
        let Cx { keys, reply, .. } = cx;
        if let Some(count) = pop_into(keys, reply, &key, options.end, options.count, head)? {
            let mut digits = itoa::Buffer::new();
            let count = digits.format(count).as_bytes();
            cx.keys.effect(&[pop_name(options.end), key.bytes, count]);
            return Ok(true);
        }
    }
    Ok(false)
}
