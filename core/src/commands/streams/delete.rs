//! XDEL.

use super::{edit, ids, look};
use crate::args::Args;
use crate::collections::stream::StreamId;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;

/// XDEL key id [id …]
pub fn xdel(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    if look(&mut cx.keys, &key)?.is_none() {
        cx.reply.int(0);
        return Ok(());
    }
    let ids = args.from(2).iter().map(ids::strict).collect::<Result<Vec<StreamId>, Error>>()?;
    let deleted = edit(&mut cx.keys, &key, |stream| {
        ids.into_iter().filter(|id| stream.log.delete(*id)).count()
    })?;
    let deleted = deleted.unwrap_or(0);
    if deleted > 0 {
        cx.keys.changed_many(&key, Classes::STREAM, "xdel", deleted as u64);
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(deleted as i64);
    Ok(())
}
