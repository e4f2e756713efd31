//! XTRIM.

use super::trim_options::Options;
use super::{edit, look};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::CommandResult;
use crate::notify::Classes;

/// XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT n]
pub fn xtrim(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = Options::of_xtrim(args)?;
    let node_entries = cx.keys.shard.settings.limits.stream_node_max_entries;
    let trim = options.trim(cx.keys.caller.is_primary, node_entries)?;
    let key = cx.keys.key(args.at(1));
    let (Some(_), Some(trim)) = (look(&mut cx.keys, &key)?, trim) else {
        cx.reply.int(0);
        return Ok(());
    };
    let trimmed =
        edit(&mut cx.keys, &key, |stream| (stream.log.trim(&trim), options.settle(&stream.log)))?;
    let (removed, settled) = trimmed.unwrap_or_default();
    if removed > 0 {
        cx.keys.changed_many(&key, Classes::STREAM, "xtrim", removed);
        match settled {
            None => cx.keys.effect_verbatim(args),
            Some(settled) => {
                let parts: Vec<&[u8]> = args
                    .iter()
                    .enumerate()
                    .map(|(at, arg)| settled.part(at).unwrap_or(arg))
                    .collect();
                cx.keys.effect(&parts);
            }
        }
    }
    cx.reply.int(removed as i64);
    Ok(())
}
