//! XREAD, XREADGROUP.
//!
//! A command with BLOCK that finds nothing waits, and has changed nothing. Without it, XREADGROUP creates its consumer
//! even then.

use super::effects::{self, Claim};
use super::read_options::{self, Options, Wanted};
use super::{edit, group_changed, reply, stream_of};
use crate::args::{Args, OwnedArgs};
use crate::collections::Stream;
use crate::collections::stream::{ConsumerId, EntryLog, Group, Pending, StreamId};
use crate::cx::{Cx, TimeoutReply};
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::resp::Reply;
use crate::store::{Key, Type};

/// XREAD [COUNT n] [BLOCK ms] STREAMS key … id …
pub fn xread(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = Options::parse(args, false, cx.keys.now)?;
    let mut wanted = Vec::new();
    for (name, text) in options.streams() {
        let key = cx.keys.key(name);
        let stream = super::read(&mut cx.keys, &key)?;
        let after = read_options::of_xread(text, stream.map(|stream| &stream.log))?;
        if stream.is_some_and(|stream| has_after(&stream.log, after)) {
            wanted.push((key, after));
        }
    }
    if wanted.is_empty() {
        return nothing(cx, &options);
    }
    begin_streams(&mut cx.reply, wanted.len());
    for (key, after) in wanted {
        begin_stream(&mut cx.reply, &key);
        match cx.keys.peek(&key).and_then(|entry| stream_of(entry.value())) {
            Some(stream) => {
                let start = after.next().unwrap_or(StreamId::MAX);
                let entries = stream.log.range(start..=StreamId::MAX);
                reply::entries(&mut cx.reply, entries, options.count);
            }
            None => cx.reply.array(0),
        }
    }
    Ok(())
}

/// XREADGROUP GROUP group consumer [COUNT n] [BLOCK ms] [NOACK] STREAMS key … id …
pub fn xreadgroup(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = Options::parse(args, true, cx.keys.now)?;
    let (group, consumer) = options.group.expect("its absence is an error");
    let mut streams = Vec::new();
    for (name, text) in options.streams() {
        let key = cx.keys.key(name);
        let stream = super::read(&mut cx.keys, &key)?;
        let found = stream.and_then(|stream| Some((&stream.log, stream.groups.get(group)?)));
        let (log, found) = found.ok_or_else(|| no_group(name, group))?;
        let wanted = read_options::of_xreadgroup(text)?;
        let is_served = is_served(log, found, wanted);
        streams.push((key, wanted, is_served));
    }
    let served = streams.iter().filter(|(.., is_served)| *is_served).count();
    if served == 0 && options.block.is_some() {
        return nothing(cx, &options);
    }
    if served > 0 {
        begin_streams(&mut cx.reply, served);
    }
    let reader = Reader { group, consumer, count: options.count, no_ack: options.no_ack };
    for (key, wanted, is_served) in streams {
        if is_served {
            begin_stream(&mut cx.reply, &key);
        }
        reader.read(cx, &key, is_served.then_some(wanted))?;
    }
    if served == 0 {
        cx.reply.null_array();
    }
    Ok(())
}

/// No stream has anything: wait, or say so.
fn nothing(cx: &mut Cx, options: &Options) -> CommandResult {
    match options.block {
        Some(deadline) => cx.wait(deadline, TimeoutReply::NullArray),
        None => cx.reply.null_array(),
    }
    Ok(())
}

/// RESP3 has a map of streams, RESP2 a list of pairs.
fn begin_streams(reply: &mut Reply, count: usize) {
    if reply.is_resp3() { reply.map(count) } else { reply.array(count) }
}

fn begin_stream(reply: &mut Reply, key: &Key) {
    if !reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(key.bytes);
}

fn has_after(log: &EntryLog, id: StreamId) -> bool {
    // The last id bounds the last live one; mostly they are the same.
    log.last_id > id
        && id.next().is_some_and(|start| log.range(start..=StreamId::MAX).next().is_some())
}

fn is_served(log: &EntryLog, group: &Group, wanted: Wanted) -> bool {
    match wanted {
        Wanted::After(_) => true,
        Wanted::New => has_after(log, group.last_delivered_id),
    }
}

fn no_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    Error::text(format!(
        "NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option"
    ))
}

/// Who reads, and how.
struct Reader<'a> {
    group: &'a [u8],
    consumer: &'a [u8],
    count: usize,
    no_ack: bool,
}

/// What reading a stream changed.
#[derive(Default)]
struct Changes {
    /// The consumer was new.
    created: bool,
    /// Entries were delivered, up to this id; and how many entries of the whole history that makes.
    progress: Option<(StreamId, Option<u64>)>,
    claims: Vec<Claim>,
}

impl Reader<'_> {
    /// Serves the consumer what is wanted of a stream, if anything, and notes that it asked.
    fn read(&self, cx: &mut Cx, key: &Key, wanted: Option<Wanted>) -> CommandResult {
        let (now, has_effects) = (cx.keys.now, cx.keys.shard.effects.enabled);
        let reply = &mut cx.reply;
        let changes = edit(&mut cx.keys, key, |stream| {
            let Stream { log, groups } = stream;
            let mut changes = Changes::default();
            let Some(mut group) = groups.get_mut(self.group) else { return changes };
            let consumer = match group.find_consumer(self.consumer) {
                Some(consumer) => consumer,
                None => {
                    changes.created = true;
                    group.create_consumer(self.consumer, now).expect("it is not there yet")
                }
            };
            group.consumer_seen(consumer, now);
            match wanted {
                None => {}
                Some(Wanted::After(id)) => self.history(reply, log, &mut group, consumer, id, now),
                Some(Wanted::New) => {
                    let claims = has_effects.then_some(&mut changes.claims);
                    self.deliver(reply, log, &mut group, consumer, now, claims);
                    changes.progress = Some((group.last_delivered_id, group.entries_read));
                }
            }
            changes
        })?;
        if let Some(changes) = changes {
            self.publish(&mut cx.keys, key, &changes);
        }
        Ok(())
    }

    /// Delivers what the group has not seen.
    fn deliver(
        &self,
        reply: &mut Reply,
        log: &EntryLog,
        group: &mut Group,
        consumer: ConsumerId,
        now: i64,
        mut claims: Option<&mut Vec<Claim>>,
    ) {
        let deferred = reply.deferred();
        let mut written = 0;
        let start = group.last_delivered_id.next().unwrap_or(StreamId::MAX);
        for entry in log.range(start..=StreamId::MAX).take(reply::limit(self.count)) {
            group.advance(entry.id, log);
            reply::entry(reply, &entry);
            written += 1;
            if self.no_ack {
                continue;
            }
            let pending = Pending { delivered_at: now, deliveries: 1, consumer };
            group.set_pending(entry.id, pending);
            group.consumer_active(consumer, now);
            if let Some(claims) = &mut claims {
                claims.push(Claim::of(group, entry.id, pending));
            }
        }
        reply.finish_array(deferred, written);
    }

    /// Returns what is pending with the consumer. As in Redis, that counts as a delivery here, but replicas do not hear
    /// of it.
    fn history(
        &self,
        reply: &mut Reply,
        log: &EntryLog,
        group: &mut Group,
        consumer: ConsumerId,
        after: StreamId,
        now: i64,
    ) {
        let start = after.next().unwrap_or(StreamId::MAX);
        let pending: Vec<(StreamId, u64)> = group
            .pending_of(consumer, start..=StreamId::MAX)
            .map(|(id, pending)| (id, pending.deliveries))
            .take(reply::limit(self.count))
            .collect();
        reply.array(pending.len());
        for (id, deliveries) in pending {
            match log.get(id) {
                Some(entry) => {
                    reply::entry(reply, &entry);
                    group.set_delivery(id, now, deliveries.saturating_add(1));
                }
                None => {
                    reply.array(2);
                    reply::id(reply, id);
                    reply.null_array();
                }
            }
        }
    }

    fn publish(&self, keys: &mut Keys, key: &Key, changes: &Changes) {
        if changes.created {
            group_changed(keys, key, "xgroup-createconsumer");
            // A claim creates the consumer too.
            if changes.progress.is_none() || self.no_ack {
                effects::consumer_created(keys, key, self.group, self.consumer);
            }
        }
        if let Some((last_delivered_id, entries_read)) = changes.progress {
            keys.shard.stats.dirty += 1;
            effects::claims(keys, key, self.group, &changes.claims);
            effects::progress(keys, key, self.group, last_delivered_id, entries_read);
        }
    }
}

/// Whether a waiting XREAD or XREADGROUP would get something out of `key`, if only an error. One that reads a group
/// gets an error when key or group are gone; one that does not goes on waiting for a stream.
pub fn is_ready(keys: &mut Keys, args: &Args, key: &Key) -> bool {
    let is_group = args.is(0, "xreadgroup");
    let Ok(options) = Options::parse(args, is_group, keys.now) else { return true };
    let Some((_, text)) = options.streams().find(|(name, _)| *name == key.bytes) else {
        return false;
    };
    let entry = keys.peek(key);
    let has_other_type = entry.is_some_and(|entry| entry.value_type() != Type::Stream);
    let stream = entry.and_then(|entry| stream_of(entry.value()));
    match options.group {
        None => {
            !has_other_type
                && stream.is_some_and(|stream| {
                    let after = read_options::of_xread(text, Some(&stream.log));
                    after.is_ok_and(|after| has_after(&stream.log, after))
                })
        }
        Some((group, _)) => {
            let found = stream.and_then(|stream| Some((&stream.log, stream.groups.get(group)?)));
            found.is_none_or(|(log, group)| {
                let wanted = read_options::of_xreadgroup(text);
                wanted.map_or(true, |wanted| is_served(log, group, wanted))
            })
        }
    }
}

/// The command with the ids put in that `$` stands for now: what was there when a client began to wait is not what it
/// waits for.
pub fn resolve_last_ids(keys: &mut Keys, args: &Args) -> OwnedArgs {
    let Ok(options) = Options::parse(args, args.is(0, "xreadgroup"), keys.now) else {
        return OwnedArgs::from(*args);
    };
    let first_id = args.len() - options.streams().count();
    let mut settled = OwnedArgs::new(args.iter().take(first_id));
    for (name, text) in options.streams() {
        if text != b"$" {
            settled.push(text);
            continue;
        }
        let key = keys.key(name);
        let stream = keys.peek(&key).and_then(|entry| stream_of(entry.value()));
        let last_id = stream.map_or(StreamId::MIN, |stream| stream.log.last_id);
        last_id.with_text(|text| settled.push(text));
    }
    settled
}

/// The command for one of its keys alone: a shard that serves it does not have the others.
pub fn of_one_key(args: &Args, key: &[u8], now: i64) -> OwnedArgs {
    let Ok(options) = Options::parse(args, args.is(0, "xreadgroup"), now) else {
        return OwnedArgs::from(*args);
    };
    let first_key = args.len() - 2 * options.streams().count();
    let mut own = OwnedArgs::new(args.iter().take(first_key));
    if let Some((name, id)) = options.streams().find(|(name, _)| *name == key) {
        own.push(name);
        own.push(id);
    }
    own
}
