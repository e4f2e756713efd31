//! XGROUP CREATECONSUMER, DELCONSUMER.

use super::{NO_SUCH_KEY_FOR_GROUP, edit, group_changed, look, no_group_of_key};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::store::Key;

/// XGROUP CREATECONSUMER key group consumer
pub fn create(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let exists = find(cx, &key, args)?;
    if !exists {
        let now = cx.keys.now;
        edit(&mut cx.keys, &key, |stream| {
            let group = stream.groups.get_mut(args.at(3));
            group.and_then(|mut group| group.create_consumer(args.at(4), now))
        })?;
        group_changed(&mut cx.keys, &key, "xgroup-createconsumer");
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int((!exists).into());
    Ok(())
}

/// XGROUP DELCONSUMER key group consumer
pub fn remove(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let mut pending = 0;
    if find(cx, &key, args)? {
        let removed = edit(&mut cx.keys, &key, |stream| {
            let group = stream.groups.get_mut(args.at(3));
            group.and_then(|mut group| group.remove_consumer(args.at(4)))
        })?;
        pending = removed.flatten().unwrap_or(0);
        group_changed(&mut cx.keys, &key, "xgroup-delconsumer");
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(pending as i64);
    Ok(())
}

/// Whether the consumer is there. Error: its group is not.
fn find(cx: &mut Cx, key: &Key, args: &Args) -> Result<bool, Error> {
    let stream = look(&mut cx.keys, key)?.ok_or(NO_SUCH_KEY_FOR_GROUP)?;
    let group = stream.groups.get(args.at(3));
    let group = group.ok_or_else(|| no_group_of_key(key.bytes, args.at(3)))?;
    Ok(group.find_consumer(args.at(4)).is_some())
}
