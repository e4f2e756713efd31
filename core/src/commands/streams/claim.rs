//! XCLAIM, XAUTOCLAIM.
//!
//! A pending entry whose entry is deleted cannot be claimed; it is pending no more, which replicas hear of as a claim
//! that finds the same there.

use super::effects::{self, Claim};
use super::{edit, group_changed, ids, no_group, read, reply};
use crate::args::Args;
use crate::collections::Stream;
use crate::collections::stream::{ConsumerId, Group, GroupMut, Pending, StreamId};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::number;
use crate::resp::Reply;
use crate::store::Key;

const XCLAIM_MIN_IDLE: Error = Error::new("ERR Invalid min-idle-time argument for XCLAIM");
const XAUTOCLAIM_MIN_IDLE: Error = Error::new("ERR Invalid min-idle-time argument for XAUTOCLAIM");
const COUNT: Error = Error::new("ERR COUNT must be > 0");

/// How many entries XAUTOCLAIM claims unless COUNT says otherwise, and how many it looks at for each of them.
const COUNT_DEFAULT: i64 = 100;
const COUNT_MAX: i64 = i64::MAX / 16;
const ATTEMPTS_PER_CLAIM: usize = 10;

/// What XCLAIM is to set.
struct Options {
    ids: Vec<StreamId>,
    /// Milliseconds since the last delivery.
    min_idle: i64,
    delivered_at: i64,
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
    last_id: StreamId,
}

impl Options {
    /// Of what stands behind the consumer.
    fn parse(args: &Args, now: i64) -> Result<Options, Error> {
        let min_idle = number::parse_integer(args.at(4)).ok_or(XCLAIM_MIN_IDLE)?.max(0);
        let ids: Vec<_> = args.from(5).iter().map_while(|text| ids::strict(text).ok()).collect();
        let mut at = 5 + ids.len();
        let mut options = Options {
            ids,
            min_idle,
            delivered_at: now,
            deliveries: None,
            force: false,
            just_id: false,
            last_id: StreamId::MIN,
        };
        while at < args.len() {
            let value = args.get(at + 1);
            let valued = match (args.is(at, "force"), args.is(at, "justid"), value) {
                (true, ..) => {
                    options.force = true;
                    false
                }
                (_, true, _) => {
                    options.just_id = true;
                    false
                }
                (.., Some(value)) if options.valued(args, at, value, now)? => true,
                _ => {
                    let option = String::from_utf8_lossy(args.at(at));
                    return Err(Error::text(format!("ERR Unrecognized XCLAIM option '{option}'")));
                }
            };
            at += 1 + usize::from(valued);
        }
        Ok(options)
    }

    /// Takes an option with its value. `false`: it is none.
    fn valued(&mut self, args: &Args, at: usize, value: &[u8], now: i64) -> Result<bool, Error> {
        let integer = |name: &str| {
            number::parse_integer(value).ok_or_else(|| {
                Error::text(format!("ERR Invalid {name} option argument for XCLAIM"))
            })
        };
        // A time that cannot be is now: a client's clock may be ahead.
        let possible = |time: i64| if (0..=now).contains(&time) { time } else { now };
        if args.is(at, "idle") {
            self.delivered_at = possible(now.wrapping_sub(integer("IDLE")?));
        } else if args.is(at, "time") {
            self.delivered_at = possible(integer("TIME")?);
        } else if args.is(at, "retrycount") {
            self.deliveries = u64::try_from(integer("RETRYCOUNT")?).ok();
        } else if args.is(at, "lastid") {
            self.last_id = ids::strict(value)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// What claiming changed.
#[derive(Default)]
struct Changes {
    /// The consumer was new.
    created: bool,
    claims: Vec<Claim>,
    /// The group was told of a later last id, which no claim tells replicas.
    progress: Option<(StreamId, Option<u64>)>,
}

/// XCLAIM key group consumer min-idle-time id [id …] [IDLE ms | TIME ms] [RETRYCOUNT n] [FORCE] [JUSTID] [LASTID id]
pub fn xclaim(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let (name, now) = (args.at(2), cx.keys.now);
    check_group(cx, &key, name)?;
    let options = Options::parse(args, now)?;
    let reply = &mut cx.reply;
    let changes = edit(&mut cx.keys, &key, |stream| {
        let Stream { log, groups } = stream;
        let mut changes = Changes::default();
        let Some(mut group) = groups.get_mut(name) else {
            reply.array(0);
            return changes;
        };
        if options.last_id > group.last_delivered_id {
            group.last_delivered_id = options.last_id;
            changes.progress = Some((options.last_id, group.entries_read));
        }
        let consumer = claimer(&mut group, args.at(3), now, &mut changes);
        let deferred = reply.deferred();
        let mut written = 0;
        for &id in &options.ids {
            let old = group.pending(id).copied();
            let Some(entry) = log.get(id) else {
                if let Some(old) = old {
                    drop_deleted(&mut group, id, old, &mut changes);
                    changes.progress = None;
                }
                continue;
            };
            let is_idle = old.is_none_or(|old| is_idle(&old, options.min_idle, now));
            if !is_idle || old.is_none() && !options.force {
                continue;
            }
            let delivered = old.map_or(1, |old| old.deliveries);
            let deliveries = match options.deliveries {
                Some(count) => count,
                None if options.just_id => delivered,
                None => delivered.saturating_add(1),
            };
            let pending = Pending { delivered_at: options.delivered_at, deliveries, consumer };
            claim(&mut group, id, pending, now, &mut changes);
            changes.progress = None;
            if options.just_id {
                reply::id(reply, id)
            } else {
                reply::entry(reply, &entry)
            }
            written += 1;
        }
        reply.finish_array(deferred, written);
        changes
    })?;
    publish(&mut cx.keys, &key, args, changes.unwrap_or_default());
    Ok(())
}

/// XAUTOCLAIM key group consumer min-idle-time start [COUNT n] [JUSTID]
pub fn xautoclaim(cx: &mut Cx, args: &Args) -> CommandResult {
    let min_idle = number::parse_integer(args.at(4)).ok_or(XAUTOCLAIM_MIN_IDLE)?.max(0);
    let start = ids::start(args.at(5))?;
    let (mut count, mut just_id) = (COUNT_DEFAULT, false);
    let mut at = 6;
    while at < args.len() {
        if args.is(at, "count") && at + 1 < args.len() {
            let given = number::parse_integer(args.at(at + 1));
            count = given.filter(|count| (1..=COUNT_MAX).contains(count)).ok_or(COUNT)?;
            at += 2;
        } else if args.is(at, "justid") {
            just_id = true;
            at += 1;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    let key = cx.keys.key(args.at(1));
    let (name, now) = (args.at(2), cx.keys.now);
    check_group(cx, &key, name)?;
    let reply = &mut cx.reply;
    let changes = edit(&mut cx.keys, &key, |stream| {
        let mut changes = Changes::default();
        let Some(mut group) = stream.groups.get_mut(name) else {
            write_scan(reply, StreamId::MIN, &[], &[], just_id, stream);
            return changes;
        };
        let consumer = claimer(&mut group, args.at(3), now, &mut changes);
        let (mut claimed, mut deleted) = (Vec::new(), Vec::new());
        let mut next = Some(start);
        let mut attempts = (count as usize).saturating_mul(ATTEMPTS_PER_CLAIM);
        while let Some(from) = next
            && attempts > 0
            && claimed.len() + deleted.len() < count as usize
        {
            let first = group.pending_in(from..=StreamId::MAX).next();
            let Some((id, old)) = first.map(|(id, pending)| (id, *pending)) else {
                next = None;
                break;
            };
            attempts -= 1;
            next = id.next();
            if !stream.log.contains(id) {
                drop_deleted(&mut group, id, old, &mut changes);
                deleted.push(id);
            } else if is_idle(&old, min_idle, now) {
                let deliveries = old.deliveries.saturating_add(u64::from(!just_id));
                let pending = Pending { delivered_at: now, deliveries, consumer };
                claim(&mut group, id, pending, now, &mut changes);
                claimed.push(id);
            }
        }
        let cursor = next.and_then(|from| group.pending_in(from..=StreamId::MAX).next());
        let cursor = cursor.map_or(StreamId::MIN, |(id, _)| id);
        drop(group);
        write_scan(reply, cursor, &claimed, &deleted, just_id, stream);
        changes
    })?;
    publish(&mut cx.keys, &key, args, changes.unwrap_or_default());
    Ok(())
}

/// The reply of XAUTOCLAIM: where to go on, what was claimed, what turned out to be deleted.
fn write_scan(
    reply: &mut Reply,
    cursor: StreamId,
    claimed: &[StreamId],
    deleted: &[StreamId],
    just_id: bool,
    stream: &Stream,
) {
    reply.array(3);
    reply::id(reply, cursor);
    reply.array(claimed.len());
    for &id in claimed {
        match stream.log.get(id) {
            Some(entry) if !just_id => reply::entry(reply, &entry),
            _ => reply::id(reply, id),
        }
    }
    reply.array(deleted.len());
    deleted.iter().for_each(|id| reply::id(reply, *id));
}

fn check_group(cx: &mut Cx, key: &Key, name: &[u8]) -> Result<(), Error> {
    let group = read(&mut cx.keys, key)?.and_then(|stream| stream.groups.get(name));
    group.map(|_| ()).ok_or_else(|| no_group(key.bytes, name))
}

/// The consumer that claims, which is created if it is new.
fn claimer(group: &mut GroupMut, name: &[u8], now: i64, changes: &mut Changes) -> ConsumerId {
    let consumer = match group.find_consumer(name) {
        Some(consumer) => consumer,
        None => {
            changes.created = true;
            group.create_consumer(name, now).expect("it is not there yet")
        }
    };
    group.consumer_seen(consumer, now);
    consumer
}

fn is_idle(pending: &Pending, min_idle: i64, now: i64) -> bool {
    min_idle == 0 || now.saturating_sub(pending.delivered_at) >= min_idle
}

fn claim(group: &mut Group, id: StreamId, pending: Pending, now: i64, changes: &mut Changes) {
    group.set_pending(id, pending);
    group.consumer_active(pending.consumer, now);
    changes.claims.push(Claim::of(group, id, pending));
}

fn drop_deleted(group: &mut Group, id: StreamId, old: Pending, changes: &mut Changes) {
    changes.claims.push(Claim::of(group, id, old));
    group.acknowledge(id);
}

fn publish(keys: &mut Keys, key: &Key, args: &Args, changes: Changes) {
    let (group, consumer) = (args.at(2), args.at(3));
    if changes.created {
        group_changed(keys, key, "xgroup-createconsumer");
        // The claims of others do not create it, nor those of deleted entries.
        if !changes.claims.iter().any(|claim| claim.creates(consumer)) {
            effects::consumer_created(keys, key, group, consumer);
        }
    }
    keys.shard.stats.dirty += changes.claims.len() as u64;
    effects::claims(keys, key, group, &changes.claims);
    if let Some((last_delivered_id, entries_read)) = changes.progress {
        keys.shard.stats.dirty += 1;
        effects::progress(keys, key, group, last_delivered_id, entries_read);
    }
}
