//! XLEN, XRANGE, XREVRANGE.

use super::{ids, read, reply};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number;

/// XLEN key
pub fn xlen(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let len = read(&mut cx.keys, &key)?.map_or(0, |stream| stream.len());
    cx.reply.int(len as i64);
    Ok(())
}

/// XRANGE key start end [COUNT n]
pub fn xrange(cx: &mut Cx, args: &Args) -> CommandResult {
    range(cx, args, false)
}

/// XREVRANGE key end start [COUNT n]
pub fn xrevrange(cx: &mut Cx, args: &Args) -> CommandResult {
    range(cx, args, true)
}

fn range(cx: &mut Cx, args: &Args, backwards: bool) -> CommandResult {
    let (start_at, end_at) = if backwards { (3, 2) } else { (2, 3) };
    let range = ids::start(args.at(start_at))?..=ids::end(args.at(end_at))?;
    let mut count = None;
    let mut at = 4;
    while at < args.len() {
        let value = args.get(at + 1).filter(|_| args.is(at, "count")).ok_or(Error::SYNTAX)?;
        count = Some(usize::try_from(number::integer(value)?).unwrap_or(0));
        at += 2;
    }
    let key = cx.keys.key(args.at(1));
    let Some(stream) = read(&mut cx.keys, &key)? else {
        cx.reply.array(0);
        return Ok(());
    };
    match count {
        Some(0) => cx.reply.null_array(),
        _ if backwards => {
            let entries = stream.log.range_back(range);
            reply::entries(&mut cx.reply, entries, count.unwrap_or(0));
        }
        _ => reply::entries(&mut cx.reply, stream.log.range(range), count.unwrap_or(0)),
    }
    Ok(())
}
