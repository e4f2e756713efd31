//! XACK, XPENDING.

use super::{edit, ids, no_group, read, reply};
use crate::args::Args;
use crate::collections::stream::{Group, Pending, StreamId};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number;
use crate::resp::Reply;
use std::ops::RangeInclusive;

/// XACK key group id [id …]
pub fn xack(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let name = args.at(2);
    let group = read(&mut cx.keys, &key)?.and_then(|stream| stream.groups.get(name));
    let Some(group) = group else {
        cx.reply.int(0);
        return Ok(());
    };
    let mut ids = args.from(3).iter().map(ids::strict).collect::<Result<Vec<StreamId>, Error>>()?;
    ids.retain(|id| group.pending(*id).is_some());
    let mut acknowledged = 0;
    if !ids.is_empty() {
        let count = edit(&mut cx.keys, &key, |stream| {
            let Some(mut group) = stream.groups.get_mut(name) else { return 0 };
            ids.into_iter().filter(|id| group.acknowledge(*id)).count()
        })?;
        acknowledged = count.unwrap_or(0);
        cx.keys.shard.stats.dirty += acknowledged as u64;
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(acknowledged as i64);
    Ok(())
}

/// Which pending entries XPENDING is to list.
struct Filters<'a> {
    range: RangeInclusive<StreamId>,
    count: usize,
    /// Milliseconds since the last delivery.
    min_idle: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filters<'a> {
    /// Of `[IDLE ms] start end count [consumer]`, `None` where only the summary is wanted.
    fn parse(args: &Args<'a>) -> Result<Option<Filters<'a>>, Error> {
        match args.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Error::SYNTAX),
        }
        let (mut min_idle, mut at) = (0, 3);
        if args.is(3, "idle") {
            min_idle = number::integer(args.at(4))?;
            if args.len() < 8 {
                return Err(Error::SYNTAX);
            }
            at = 5;
        }
        let count = usize::try_from(number::integer(args.at(at + 2))?).unwrap_or(0);
        let range = ids::start(args.at(at))?..=ids::end(args.at(at + 1))?;
        Ok(Some(Filters { range, count, min_idle, consumer: args.get(at + 3) }))
    }
}

/// XPENDING key group [[IDLE ms] start end count [consumer]]
pub fn xpending(cx: &mut Cx, args: &Args) -> CommandResult {
    let filters = Filters::parse(args)?;
    let key = cx.keys.key(args.at(1));
    let (now, name) = (cx.keys.now, args.at(2));
    let group = read(&mut cx.keys, &key)?.and_then(|stream| stream.groups.get(name));
    let group = group.ok_or_else(|| no_group(key.bytes, name))?;
    match filters {
        None => summary(&mut cx.reply, group),
        Some(filters) => list(&mut cx.reply, group, filters, now),
    }
    Ok(())
}

fn summary(reply: &mut Reply, group: &Group) {
    reply.array(4);
    reply.int(group.pending_len() as i64);
    let mut all = group.pending_in(StreamId::MIN..=StreamId::MAX);
    let Some((first, _)) = all.next() else {
        reply.null();
        reply.null();
        reply.null_array();
        return;
    };
    let last = all.next_back().map_or(first, |(id, _)| id);
    reply::id(reply, first);
    reply::id(reply, last);
    let deferred = reply.deferred();
    let mut count = 0;
    for (_, consumer) in group.consumers().filter(|(_, consumer)| consumer.pending_len() > 0) {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending_len() as i64);
        count += 1;
    }
    reply.finish_array(deferred, count);
}

fn list(reply: &mut Reply, group: &Group, filters: Filters, now: i64) {
    let Filters { range, count, min_idle, consumer } = filters;
    let is_idle =
        |pending: &Pending| min_idle == 0 || now.saturating_sub(pending.delivered_at) >= min_idle;
    let deferred = reply.deferred();
    let mut written = 0;
    let mut write = |(id, pending): (StreamId, &Pending)| {
        reply.array(4);
        reply::id(reply, id);
        reply.bulk(group.consumer(pending.consumer).name());
        reply.int(now.saturating_sub(pending.delivered_at).max(0));
        reply.int(pending.deliveries as i64);
        written += 1;
    };
    match consumer {
        None => group
            .pending_in(range)
            .filter(|(_, pending)| is_idle(pending))
            .take(count)
            .for_each(&mut write),
        Some(name) => {
            if let Some(consumer) = group.find_consumer(name) {
                group
                    .pending_of(consumer, range)
                    .filter(|(_, pending)| is_idle(pending))
                    .take(count)
                    .for_each(&mut write);
            }
        }
    }
    reply.finish_array(deferred, written);
}
