//! XSETID.

use super::{edit, ids, look};
use crate::args::Args;
use crate::collections::stream::StreamId;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::number;

const NEGATIVE: Error = Error::new("ERR entries_added must be positive");
const BELOW_GIVEN_DELETED: Error =
    Error::new("ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id");
const BELOW_DELETED: Error =
    Error::new("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id");
const BELOW_TOP: Error =
    Error::new("ERR The ID specified in XSETID is smaller than the target stream top item");
const BELOW_LENGTH: Error = Error::new(
    "ERR The entries_added specified in XSETID is smaller than the target stream length",
);

/// XSETID key last-id [ENTRIESADDED n] [MAXDELETEDID id]
pub fn xsetid(cx: &mut Cx, args: &Args) -> CommandResult {
    let last_id = ids::strict(args.at(2))?;
    let (mut entries_added, mut max_deleted_id) = (None, StreamId::MIN);
    let mut at = 3;
    while at < args.len() {
        let value = args.get(at + 1).ok_or(Error::SYNTAX)?;
        if args.is(at, "entriesadded") {
            let count = number::integer(value)?;
            entries_added = Some(u64::try_from(count).map_err(|_| NEGATIVE)?);
        } else if args.is(at, "maxdeletedid") {
            max_deleted_id = ids::strict(value)?;
            if last_id < max_deleted_id {
                return Err(BELOW_GIVEN_DELETED);
            }
        } else {
            return Err(Error::SYNTAX);
        }
        at += 2;
    }
    let key = cx.keys.key(args.at(1));
    let log = &look(&mut cx.keys, &key)?.ok_or(Error::NO_SUCH_KEY)?.log;
    if last_id < log.max_deleted_id {
        return Err(BELOW_DELETED);
    }
    if log.last_live_id().is_some_and(|top| last_id < top) {
        return Err(BELOW_TOP);
    }
    if !log.is_empty() && entries_added.is_some_and(|count| count < log.len()) {
        return Err(BELOW_LENGTH);
    }
    edit(&mut cx.keys, &key, |stream| {
        let log = &mut stream.log;
        log.last_id = last_id;
        log.entries_added = entries_added.unwrap_or(log.entries_added);
        if max_deleted_id != StreamId::MIN {
            log.max_deleted_id = max_deleted_id;
        }
    })?;
    cx.keys.changed(&key, Classes::STREAM, "xsetid");
    cx.keys.effect_verbatim(args);
    cx.reply.ok();
    Ok(())
}
