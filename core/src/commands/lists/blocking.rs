//! Those that wait for an element: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.
//!
//! Each does what its kin does where there is an element; its effect is that of the kin.

use super::ends::{multi_pop, pop_first};
use super::{limit, moves, pop_name, popped};
use crate::args::Args;
use crate::commands::blocking::deadline_in_seconds;
use crate::cx::{Cx, TimeoutReply};
use crate::error::CommandResult;
use crate::keys::Keys;
use crate::store::{Key, Type};
use crate::values::list::{self, End};

/// BLPOP key [key …] timeout
pub fn blpop(cx: &mut Cx, args: &Args) -> CommandResult {
    pop(cx, args, End::Left)
}

/// BRPOP key [key …] timeout
pub fn brpop(cx: &mut Cx, args: &Args) -> CommandResult {
    pop(cx, args, End::Right)
}

fn pop(cx: &mut Cx, args: &Args, end: End) -> CommandResult {
    let last = args.len() - 1;
    let deadline = deadline_in_seconds(args.at(last), cx.keys.now)?;
    let limit = limit(&cx.keys);
    for index in 1..last {
        let key = cx.keys.key(args.at(index));
        let reply = &mut cx.reply;
        let edited = cx.keys.edit(&key, Type::List, |entry, _| {
            reply.array(2);
            reply.bulk(key.bytes);
            list::pop(entry, end, limit, |element| reply.element(element));
        })?;
        if let Some(edited) = edited {
            popped(&mut cx.keys, &key, end, 1, edited.removed);
            cx.keys.effect(&[pop_name(end), key.bytes]);
            return Ok(());
        }
    }
    cx.wait(deadline, TimeoutReply::NullArray);
    Ok(())
}

/// BLMPOP timeout numkeys key [key …] LEFT | RIGHT [COUNT count]
pub fn blmpop(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = multi_pop(args, 2)?;
    let deadline = deadline_in_seconds(args.at(1), cx.keys.now)?;
    if !pop_first(cx, args, &options)? {
        cx.wait(deadline, TimeoutReply::NullArray);
    }
    Ok(())
}

/// BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout
pub fn blmove(cx: &mut Cx, args: &Args) -> CommandResult {
    let (from, to) = (super::end(args, 3)?, super::end(args, 4)?);
    let deadline = deadline_in_seconds(args.at(5), cx.keys.now)?;
    if moves::moved(cx, args, from, to)? {
        let parts = [&b"LMOVE"[..], args.at(1), args.at(2), args.at(3), args.at(4)];
        cx.keys.effect(&parts);
    } else {
        cx.wait(deadline, TimeoutReply::Null);
    }
    Ok(())
}

/// BRPOPLPUSH source destination timeout
pub fn brpoplpush(cx: &mut Cx, args: &Args) -> CommandResult {
    let deadline = deadline_in_seconds(args.at(3), cx.keys.now)?;
    if moves::moved(cx, args, End::Right, End::Left)? {
        cx.keys.effect(&[b"RPOPLPUSH", args.at(1), args.at(2)]);
    } else {
        cx.wait(deadline, TimeoutReply::Null);
    }
    Ok(())
}

/// Whether one of these commands, run now with a look at `key` alone, would answer rather than wait: there is a list to
/// take from. Another type at the key does not end the wait. Changes nothing.
pub fn is_ready(keys: &mut Keys, args: &Args, key: &Key) -> bool {
    let moves = args.is(0, "blmove") || args.is(0, "brpoplpush");
    if moves && args.at(1) != key.bytes {
        return false;
    }
    keys.peek(key).is_some_and(|entry| entry.value_type() == Type::List)
}
