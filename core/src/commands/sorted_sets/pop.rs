//! Commands that take out the lowest members or the highest: ZPOPMIN, ZPOPMAX, ZMPOP, and those that wait for some.

use super::{members_went, read};
use crate::args::Args;
use crate::commands::blocking::deadline_in_seconds;
use crate::commands::multi_pop::MultiPop;
use crate::cx::{Cx, TimeoutReply};
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::number;
use crate::resp::Reply;
use crate::store::{Key, Type};
use crate::values::sorted_set::{self, View};

/// Which end of the order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lowest,
    Highest,
}

impl End {
    fn event(self) -> &'static str {
        match self {
            End::Lowest => "zpopmin",
            End::Highest => "zpopmax",
        }
    }

    fn command(self) -> &'static [u8] {
        match self {
            End::Lowest => b"ZPOPMIN",
            End::Highest => b"ZPOPMAX",
        }
    }

    fn parse(word: &[u8]) -> Option<End> {
        match word {
            _ if word.eq_ignore_ascii_case(b"min") => Some(End::Lowest),
            _ if word.eq_ignore_ascii_case(b"max") => Some(End::Highest),
            _ => None,
        }
    }
}

/// Takes out up to `count` members of one end and writes them, each as `nested` says, behind what `head` writes for
/// their number. Where there is no such key nothing is written. How many there were.
fn pop(
    cx: &mut Cx,
    key: &Key,
    end: End,
    count: usize,
    nested: bool,
    head: impl FnOnce(&mut Reply, usize),
) -> Result<usize, Error> {
    let Cx { keys, reply, .. } = cx;
    let edited = keys.edit(key, Type::SortedSet, |entry, hasher| {
        let view = View::of(entry.get().value());
        let len = view.len();
        let count = count.min(len);
        head(reply, count);
        let ranks = match end {
            End::Lowest => 0..count,
            End::Highest => len - count..len,
        };
        view.walk(ranks.clone(), end == End::Highest, |member, score| {
            if nested {
                reply.array(2);
            }
            reply.element(member);
            reply.double(score);
        });
        sorted_set::remove_ranks(entry, hasher, ranks);
        count
    })?;
    let Some(edited) = edited else { return Ok(0) };
    if edited.result > 0 {
        members_went(keys, key, end.event(), edited.result, edited.removed);
    }
    Ok(edited.result)
}

/// ZPOPMIN key [count]
pub fn zpopmin(cx: &mut Cx, args: &Args) -> CommandResult {
    pop_of_one(cx, args, End::Lowest)
}

/// ZPOPMAX key [count]
pub fn zpopmax(cx: &mut Cx, args: &Args) -> CommandResult {
    pop_of_one(cx, args, End::Highest)
}

fn pop_of_one(cx: &mut Cx, args: &Args, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(Error::SYNTAX);
    }
    const NOT_POSITIVE: Error = Error::new("ERR value is out of range, must be positive");
    let count = match args.get(2) {
        None => 1,
        Some(count) => {
            let count = number::parse_integer(count).ok_or(NOT_POSITIVE)?;
            usize::try_from(count).map_err(|_| NOT_POSITIVE)?
        }
    };
    let key = cx.keys.key(args.at(1));
    // With a count, RESP3 gets pairs.
    let nested = args.len() == 3 && cx.reply.is_resp3();
    if count == 0 {
        read(&mut cx.keys, &key)?;
        cx.reply.array(0);
        return Ok(());
    }
    let popped = pop(cx, &key, end, count, nested, |reply, count| {
        reply.array(if nested { count } else { count * 2 });
    })?;
    if popped > 0 {
        cx.keys.effect_verbatim(args);
    } else {
        cx.reply.array(0);
    }
    Ok(())
}

/// BZPOPMIN key [key …] timeout
pub fn bzpopmin(cx: &mut Cx, args: &Args) -> CommandResult {
    pop_or_wait(cx, args, End::Lowest)
}

/// BZPOPMAX key [key …] timeout
pub fn bzpopmax(cx: &mut Cx, args: &Args) -> CommandResult {
    pop_or_wait(cx, args, End::Highest)
}

fn pop_or_wait(cx: &mut Cx, args: &Args, end: End) -> CommandResult {
    let last = args.len() - 1;
    let deadline = deadline_in_seconds(args.at(last), cx.keys.now)?;
    for at in 1..last {
        let key = cx.keys.key(args.at(at));
        let popped = pop(cx, &key, end, 1, false, |reply, _| {
            reply.array(3);
            reply.bulk(key.bytes);
        })?;
        if popped > 0 {
            cx.keys.effect(&[end.command(), key.bytes]);
            return Ok(());
        }
    }
    cx.wait(deadline, TimeoutReply::NullArray);
    Ok(())
}

/// The options of ZMPOP and BZMPOP. `at`: where the number of keys stands.
fn multi_pop(args: &Args, at: usize) -> Result<MultiPop<End>, Error> {
    MultiPop::parse(args, at, |index| End::parse(args.at(index)).ok_or(Error::SYNTAX))
}

/// Takes members out of the first key that has some; whether there was one.
fn pop_first(cx: &mut Cx, args: &Args, options: &MultiPop<End>) -> Result<bool, Error> {
    for index in options.keys.clone() {
        let key = cx.keys.key(args.at(index));
        let popped = pop(cx, &key, options.end, options.count, true, |reply, count| {
            reply.array(2);
            reply.bulk(key.bytes);
            reply.array(count);
        })?;
        if popped > 0 {
            let mut digits = itoa::Buffer::new();
            let digits = digits.format(popped).as_bytes();
            cx.keys.effect(&[options.end.command(), key.bytes, digits]);
            return Ok(true);
        }
    }
    Ok(false)
}

/// ZMPOP numkeys key [key …] MIN | MAX [COUNT count]
pub fn zmpop(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = multi_pop(args, 1)?;
    if !pop_first(cx, args, &options)? {
        cx.reply.null_array();
    }
    Ok(())
}

/// BZMPOP timeout numkeys key [key …] MIN | MAX [COUNT count]
pub fn bzmpop(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = multi_pop(args, 2)?;
    let deadline = deadline_in_seconds(args.at(1), cx.keys.now)?;
    if !pop_first(cx, args, &options)? {
        cx.wait(deadline, TimeoutReply::NullArray);
    }
    Ok(())
}

/// Whether a command of this file that waits would reply now if it looked at `key` only.
pub fn is_ready(keys: &mut Keys, _args: &Args, key: &Key) -> bool {
    keys.peek(key).is_some_and(|entry| entry.value_type() == Type::SortedSet)
}
