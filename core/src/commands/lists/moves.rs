//! From one list to another: LMOVE, RPOPLPUSH.

use super::ends::push_texts;
use super::{limit, pop_event, push_event};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::{Edited, Keys};
use crate::notify::Classes;
use crate::store::Type;
use crate::values::list::{self, End};

/// LMOVE source destination LEFT | RIGHT LEFT | RIGHT
pub fn lmove(cx: &mut Cx, args: &Args) -> CommandResult {
    let (from, to) = (super::end(args, 3)?, super::end(args, 4)?);
    if moved(cx, args, from, to)? {
        cx.keys.effect_verbatim(args);
    } else {
        cx.reply.null();
    }
    Ok(())
}

/// RPOPLPUSH source destination
pub fn rpoplpush(cx: &mut Cx, args: &Args) -> CommandResult {
    if moved(cx, args, End::Right, End::Left)? {
        cx.keys.effect_verbatim(args);
    } else {
        cx.reply.null();
    }
    Ok(())
}

/// Moves an element from an end of the list at the first argument to an end of that at the second, and answers it.
/// `false`: there is no source, and nothing was done.
pub(super) fn moved(cx: &mut Cx, args: &Args, from: End, to: End) -> Result<bool, Error> {
    let Cx { keys, reply, .. } = cx;
    let (source, target) = (keys.key(args.at(1)), keys.key(args.at(2)));
    let limit = limit(keys);
    if source.bytes == target.bytes {
        let edited = keys.edit(&source, Type::List, |entry, _| {
            let element = list::pop(entry, from, limit, |element| element.to_vec());
            let element = element.expect("no list is empty");
            list::push_one(entry, to, &element, limit);
            reply.bulk(&element);
        })?;
        if edited.is_some() {
            keys.changed_many(&target, Classes::LIST, push_event(to), 0);
            keys.changed(&source, Classes::LIST, pop_event(from));
        }
        return Ok(edited.is_some());
    }
    if keys.write_collection(&source, Type::List)?.is_none() {
        return Ok(false);
    }
    keys.write_collection(&target, Type::List)?;
    let Some(Edited { result: element, removed }) =
        keys.edit(&source, Type::List, |entry, _| {
            list::pop(entry, from, limit, |element| element.to_vec()).expect("no list is empty")
        })?
    else {
        return Ok(false);
    };
    push_moved(keys, &target, to, &element)?;
    reply.bulk(&element);
    super::popped(keys, &source, from, 1, removed);
    Ok(true)
}

/// The event of the push comes before that of the pop; the move counts as one change.
fn push_moved(
    keys: &mut Keys,
    target: &crate::store::Key,
    to: End,
    element: &[u8],
) -> Result<(), Error> {
    push_texts(keys, target, to, std::iter::once(element), true)?;
    keys.changed_many(target, Classes::LIST, push_event(to), 0);
    Ok(())
}
