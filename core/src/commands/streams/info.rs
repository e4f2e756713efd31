//! XINFO STREAM, GROUPS, CONSUMERS.

use super::{no_group_of_key, read, reply, subcommand_syntax};
use crate::args::Args;
use crate::collections::Stream;
use crate::collections::stream::{Consumer, EntryLog, Group, StreamId};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number;
use crate::resp::Reply;

/// How many entries FULL shows unless COUNT says otherwise.
const COUNT_DEFAULT: usize = 10;

/// XINFO STREAM key [FULL [COUNT n]]
pub fn stream(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let stream = read(&mut cx.keys, &key)?.ok_or(Error::NO_SUCH_KEY)?;
    let count = match args.len() {
        3 => None,
        4 if args.is(3, "full") => Some(COUNT_DEFAULT),
        6 if args.is(3, "full") && args.is(4, "count") => {
            Some(usize::try_from(number::integer(args.at(5))?).unwrap_or(COUNT_DEFAULT))
        }
        _ => return Err(subcommand_syntax("XINFO", args.at(1))),
    };
    match count {
        None => short(&mut cx.reply, stream),
        Some(count) => full(&mut cx.reply, stream, count),
    }
    Ok(())
}

/// XINFO GROUPS key
pub fn groups(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let stream = read(&mut cx.keys, &key)?.ok_or(Error::NO_SUCH_KEY)?;
    let reply = &mut cx.reply;
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(6);
        reply.text("name");
        reply.bulk(name);
        reply.text("consumers");
        reply.int(group.consumers_len() as i64);
        reply.text("pending");
        reply.int(group.pending_len() as i64);
        progress(reply, group, &stream.log);
    }
    Ok(())
}

/// XINFO CONSUMERS key group
pub fn consumers(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let now = cx.keys.now;
    let stream = read(&mut cx.keys, &key)?.ok_or(Error::NO_SUCH_KEY)?;
    let group = stream.groups.get(args.at(3));
    let group = group.ok_or_else(|| no_group_of_key(key.bytes, args.at(3)))?;
    let reply = &mut cx.reply;
    reply.array(group.consumers_len());
    for (_, consumer) in group.consumers() {
        reply.map(4);
        reply.text("name");
        reply.bulk(consumer.name());
        reply.text("pending");
        reply.int(consumer.pending_len() as i64);
        reply.text("idle");
        reply.int(now.saturating_sub(consumer.seen_at).max(0));
        reply.text("inactive");
        reply.int(consumer.active_at.map_or(-1, |at| now.saturating_sub(at)));
    }
    Ok(())
}

fn short(reply: &mut Reply, stream: &Stream) {
    reply.map(10);
    counters(reply, &stream.log);
    reply.text("groups");
    reply.int(stream.groups.len() as i64);
    let all = StreamId::MIN..=StreamId::MAX;
    let edges = [
        ("first-entry", stream.log.range(all.clone()).next()),
        ("last-entry", stream.log.range_back(all).next()),
    ];
    for (name, entry) in edges {
        reply.text(name);
        match entry {
            Some(entry) => reply::entry(reply, &entry),
            None => reply.null(),
        }
    }
}

fn full(reply: &mut Reply, stream: &Stream, count: usize) {
    reply.map(9);
    counters(reply, &stream.log);
    reply.text("entries");
    reply::entries(reply, stream.log.range(StreamId::MIN..=StreamId::MAX), count);
    reply.text("groups");
    reply.array(stream.groups.len());
    for (name, group) in stream.groups.iter() {
        reply.map(7);
        reply.text("name");
        reply.bulk(name);
        progress(reply, group, &stream.log);
        reply.text("pel-count");
        reply.int(group.pending_len() as i64);
        reply.text("pending");
        reply.array(group.pending_len().min(reply::limit(count)));
        let pending = group.pending_in(StreamId::MIN..=StreamId::MAX);
        for (id, pending) in pending.take(reply::limit(count)) {
            reply.array(4);
            reply::id(reply, id);
            reply.bulk(group.consumer(pending.consumer).name());
            reply.int(pending.delivered_at);
            reply.int(pending.deliveries as i64);
        }
        reply.text("consumers");
        reply.array(group.consumers_len());
        group.consumers().for_each(|(_, each)| consumer(reply, group, each, count));
    }
}

fn consumer(reply: &mut Reply, group: &Group, consumer: &Consumer, count: usize) {
    reply.map(5);
    reply.text("name");
    reply.bulk(consumer.name());
    reply.text("seen-time");
    reply.int(consumer.seen_at);
    reply.text("active-time");
    reply.int(consumer.active_at.unwrap_or(-1));
    reply.text("pel-count");
    reply.int(consumer.pending_len() as i64);
    reply.text("pending");
    reply.array(consumer.pending_len().min(reply::limit(count)));
    for id in consumer.pending_ids().take(reply::limit(count)) {
        let pending = group.pending(id);
        reply.array(3);
        reply::id(reply, id);
        reply.int(pending.map_or(0, |pending| pending.delivered_at));
        reply.int(pending.map_or(0, |pending| pending.deliveries as i64));
    }
}

/// Seven fields. Nodes lie in no radix tree here: there is one node of it said for each, and a root.
fn counters(reply: &mut Reply, log: &EntryLog) {
    reply.text("length");
    reply.int(log.len() as i64);
    reply.text("radix-tree-keys");
    reply.int(log.nodes_len() as i64);
    reply.text("radix-tree-nodes");
    reply.int(log.nodes_len() as i64 + 1);
    reply.text("last-generated-id");
    reply::id(reply, log.last_id);
    reply.text("max-deleted-entry-id");
    reply::id(reply, log.max_deleted_id);
    reply.text("entries-added");
    reply.int(log.entries_added as i64);
    reply.text("recorded-first-entry-id");
    reply::id(reply, log.first_id());
}

/// Three fields.
fn progress(reply: &mut Reply, group: &Group, log: &EntryLog) {
    reply.text("last-delivered-id");
    reply::id(reply, group.last_delivered_id);
    reply.text("entries-read");
    match group.entries_read {
        Some(count) => reply.int(count as i64),
        None => reply.null(),
    }
    reply.text("lag");
    match group.lag(log) {
        Some(lag) => reply.int(lag),
        None => reply.null(),
    }
}
