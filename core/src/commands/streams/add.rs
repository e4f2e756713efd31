//! XADD.

use super::reply;
use super::trim_options::{Options, Settled};
use super::{look, with_stream};
use crate::args::Args;
use crate::collections::stream::{AppendError, NewId, NodeLimits, StreamId};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::{Keys, New};
use crate::notify::Classes;

const ZERO: Error = Error::new("ERR The ID specified in XADD must be greater than 0-0");
const EXHAUSTED: Error =
    Error::new("ERR The stream has exhausted the last possible ID, unable to add more items");
const NOT_AFTER_LAST: Error =
    Error::new("ERR The ID specified in XADD is equal or smaller than the target stream top item");
const TOO_LARGE: Error = Error::new("ERR Elements are too large to be stored");

/// XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT n]] * | id field value [field value …]
pub fn xadd(cx: &mut Cx, args: &Args) -> CommandResult {
    let (options, new_id) = Options::of_xadd(args, cx.keys.now)?;
    let limits = cx.keys.shard.settings.limits;
    let trim = options.trim(cx.keys.caller.is_primary, limits.stream_node_max_entries)?;
    let pairs = args.from(options.id_at + 1);
    if pairs.is_empty() || pairs.len() % 2 == 1 {
        return Err(Error::arity("xadd"));
    }
    if new_id == NewId::Exact(StreamId::MIN) {
        return Err(ZERO);
    }
    let key = cx.keys.key(args.at(1));
    if options.no_create && look(&mut cx.keys, &key)?.is_none() {
        cx.reply.null();
        return Ok(());
    }
    let limits = NodeLimits {
        bytes: limits.stream_node_max_bytes,
        entries: limits.stream_node_max_entries as u64,
    };
    let has_effects = cx.keys.shard.effects.enabled;
    let edited = cx.keys.edit_or_create(&key, New::Stream, |entry, _| {
        with_stream(entry, |stream| {
            let log = &mut stream.log;
            if log.last_id == StreamId::MAX {
                return Err(EXHAUSTED);
            }
            let id = log.append(new_id, pairs.iter(), &limits).map_err(|error| match error {
                AppendError::NotAfterLast => NOT_AFTER_LAST,
                AppendError::TooLarge => TOO_LARGE,
            })?;
            let trimmed = trim.map_or(0, |trim| log.trim(&trim));
            let settled = if has_effects { options.settle(log) } else { None };
            Ok((id, trimmed, settled))
        })
    });
    let (id, trimmed, settled) = edited?.result?;
    reply::id(&mut cx.reply, id);
    cx.keys.changed(&key, Classes::STREAM, "xadd");
    if trimmed > 0 {
        cx.keys.notify(&key, Classes::STREAM, "xtrim");
    }
    if has_effects {
        let id = (!matches!(new_id, NewId::Exact(_))).then_some((options.id_at, id));
        effect(&mut cx.keys, args, id, settled);
    }
    Ok(())
}

/// The command with the id that the entry got, and the trimming as it was done.
fn effect(keys: &mut Keys, args: &Args, id: Option<(usize, StreamId)>, settled: Option<Settled>) {
    if id.is_none() && settled.is_none() {
        return keys.effect_verbatim(args);
    }
    let id = id.map(|(at, id)| (at, id.to_string()));
    let parts: Vec<&[u8]> = args
        .iter()
        .enumerate()
        .map(|(at, arg)| match &id {
            Some((id_at, id)) if at == *id_at => id.as_bytes(),
            _ => settled.as_ref().and_then(|settled| settled.part(at)).unwrap_or(arg),
        })
        .collect();
    keys.effect(&parts);
}
