//! XGROUP CREATE, SETID, DESTROY.

use super::{NO_SUCH_KEY_FOR_GROUP, edit, group_changed, ids, look, no_group_of_key};
use super::{subcommand_syntax, with_stream};
use crate::args::Args;
use crate::collections::Stream;
use crate::collections::stream::{Group, StreamId};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::New;
use crate::number;

const BUSY: Error = Error::new("BUSYGROUP Consumer Group name already exists");
const ENTRIES_READ: Error = Error::new("ERR value for ENTRIESREAD must be positive or -1");

/// XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD n]
pub fn create(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = options(args)?;
    let key = cx.keys.key(args.at(2));
    let (id, name) = (args.at(4), args.at(3));
    let is_there = look(&mut cx.keys, &key)?.is_some();
    if !is_there && !options.create_stream {
        return Err(NO_SUCH_KEY_FOR_GROUP);
    }
    if args.len() > 8 {
        return Err(subcommand_syntax("XGROUP", args.at(1)));
    }
    if id != b"$" {
        ids::strict(id)?;
    }
    let edited = cx.keys.edit_or_create(&key, New::Stream, |entry, _| {
        with_stream(entry, |stream| {
            let id = if id == b"$" { stream.log.last_id } else { ids::strict(id)? };
            let group = Group::new(id, options.entries_read);
            if stream.groups.insert(name, group) { Ok(()) } else { Err(BUSY) }
        })
    });
    edited?.result?;
    if !is_there {
        cx.keys.touch(&key);
    }
    group_changed(&mut cx.keys, &key, "xgroup-create");
    cx.keys.effect_verbatim(args);
    cx.reply.ok();
    Ok(())
}

/// XGROUP SETID key group id | $ [ENTRIESREAD n]
pub fn set_id(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = options(args)?;
    let key = cx.keys.key(args.at(2));
    let stream = look(&mut cx.keys, &key)?.ok_or(NO_SUCH_KEY_FOR_GROUP)?;
    if stream.groups.get(args.at(3)).is_none() {
        return Err(no_group_of_key(key.bytes, args.at(3)));
    }
    if !matches!(args.len(), 5 | 7) {
        return Err(subcommand_syntax("XGROUP", args.at(1)));
    }
    let id = match args.at(4) {
        b"$" => stream.log.last_id,
        text => ids::any(text, 0)?,
    };
    edit(&mut cx.keys, &key, |stream| set(stream, args.at(3), id, options.entries_read))?;
    group_changed(&mut cx.keys, &key, "xgroup-setid");
    cx.keys.touch(&key);
    cx.keys.effect_verbatim(args);
    cx.reply.ok();
    Ok(())
}

fn set(stream: &mut Stream, name: &[u8], id: StreamId, entries_read: Option<u64>) {
    if let Some(mut group) = stream.groups.get_mut(name) {
        group.last_delivered_id = id;
        group.entries_read = entries_read;
    }
}

/// XGROUP DESTROY key group
pub fn destroy(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let stream = look(&mut cx.keys, &key)?.ok_or(NO_SUCH_KEY_FOR_GROUP)?;
    if stream.groups.get(args.at(3)).is_none() {
        cx.reply.int(0);
        return Ok(());
    }
    edit(&mut cx.keys, &key, |stream| stream.groups.remove(args.at(3)).is_some())?;
    group_changed(&mut cx.keys, &key, "xgroup-destroy");
    // Those who wait for the group get an error.
    cx.keys.touch(&key);
    cx.keys.effect_verbatim(args);
    cx.reply.int(1);
    Ok(())
}

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    create_stream: bool,
    entries_read: Option<u64>,
}

/// What stands behind the id.
fn options(args: &Args) -> Result<Options, Error> {
    let mut options = Options::default();
    let can_create = args.is(1, "create");
    let mut at = 5;
    while at < args.len() {
        if can_create && args.is(at, "mkstream") {
            options.create_stream = true;
            at += 1;
        } else if args.is(at, "entriesread") && at + 1 < args.len() {
            options.entries_read = match number::integer(args.at(at + 1))? {
                -1 => None,
                count => Some(u64::try_from(count).map_err(|_| ENTRIES_READ)?),
            };
            at += 2;
        } else {
            return Err(subcommand_syntax("XGROUP", args.at(1)));
        }
    }
    Ok(options)
}
