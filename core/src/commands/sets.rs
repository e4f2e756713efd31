//! The commands on one set (and SMOVE, on two). What several sets have in common is in `set_algebra`.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15.

use crate::args::Args;
use crate::collections::listpack::Element;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::glob::{self, Case};
use crate::keys::{Keys, New};
use crate::notify::Classes;
use crate::number;
use crate::resp::Reply;
use crate::scan::ScanOptions;
use crate::shard::next_random;
use crate::store::{Key, Type};
use crate::values::set::{self, SetView};

const MUST_BE_POSITIVE: Error = Error::new("ERR value is out of range, must be positive");

/// SADD key member [member ...]
pub fn sadd(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let added = add_all(&mut cx.keys, &key, &args.from(2))?;
    if added > 0 {
        cx.keys.changed_many(&key, Classes::SET, "sadd", added);
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(added as i64);
    Ok(())
}

/// Puts members into a set that may not be there yet, and returns how many are new.
#[inline]
fn add_all(keys: &mut Keys, key: &Key, members: &Args) -> Result<u64, Error> {
    let limits = keys.shard.settings.limits;
    let new = New::Packed(set::packing_for(members.at(0)));
    let edited = keys.edit_or_create(key, new, |entry, hasher| {
        if members.len() > 1 {
            set::expect_more(entry, hasher, &limits, members.len());
        }
        members.iter().filter(|member| set::add(entry, hasher, &limits, member)).count()
    })?;
    Ok(edited.result as u64)
}

/// SREM key member [member ...]
pub fn srem(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let members = args.from(2);
    let edited = cx.keys.edit(&key, Type::Set, |entry, hasher| {
        members.iter().filter(|member| set::remove(entry, hasher, member)).count()
    })?;
    let removed = edited.map_or(0, |edited| edited.result);
    if let Some(edited) = edited
        && removed > 0
    {
        cx.keys.changed_many(&key, Classes::SET, "srem", removed as u64);
        if edited.removed {
            cx.keys.notify(&key, Classes::GENERIC, "del");
        }
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

/// SMOVE source destination member
pub fn smove(cx: &mut Cx, args: &Args) -> CommandResult {
    let (source, destination) = (cx.keys.key(args.at(1)), cx.keys.key(args.at(2)));
    let member = args.at(3);
    let hasher = cx.keys.shard.hasher.clone();
    let Some(there) = cx.keys.write_collection(&source, Type::Set)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let is_there = SetView::of(there).contains(&hasher, member);
    cx.keys.write_collection(&destination, Type::Set)?;
    if !is_there || source.bytes == destination.bytes {
        cx.reply.int(is_there.into());
        return Ok(());
    }
    let edited = cx.keys.edit(&source, Type::Set, |entry, hasher| {
        set::remove(entry, hasher, member);
    })?;
    cx.keys.changed(&source, Classes::SET, "srem");
    if edited.is_some_and(|edited| edited.removed) {
        cx.keys.notify(&source, Classes::GENERIC, "del");
    }
    if add_all(&mut cx.keys, &destination, &args.from(3))? > 0 {
        cx.keys.changed(&destination, Classes::SET, "sadd");
    }
    cx.keys.effect_verbatim(args);
    cx.reply.int(1);
    Ok(())
}

/// SCARD key
pub fn scard(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let found = cx.keys.read_collection(&key, Type::Set)?;
    cx.reply.int(found.map_or(0, |value| SetView::of(value).len()) as i64);
    Ok(())
}

/// SISMEMBER key member
pub fn sismember(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let found = cx.keys.read_collection(&key, Type::Set)?;
    let is_there = found.is_some_and(|value| SetView::of(value).contains(&hasher, args.at(2)));
    cx.reply.int(is_there.into());
    Ok(())
}

/// SMISMEMBER key member [member ...]
pub fn smismember(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let found = cx.keys.read_collection(&key, Type::Set)?.map(SetView::of);
    let members = args.from(2);
    cx.reply.array(members.len());
    for member in members.iter() {
        let is_there = found.is_some_and(|set| set.contains(&hasher, member));
        cx.reply.int(is_there.into());
    }
    Ok(())
}

/// SMEMBERS key
pub fn smembers(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let found = cx.keys.read_collection(&key, Type::Set)?.map(SetView::of);
    cx.reply.set(found.map_or(0, SetView::len));
    if let Some(set) = found {
        set.for_each(|member| write_member(&mut cx.reply, member));
    }
    Ok(())
}

/// SPOP key [count]
pub fn spop(cx: &mut Cx, args: &Args) -> CommandResult {
    match args.len() {
        2 => spop_one(cx, args),
        3 => spop_many(cx, args),
        _ => Err(Error::SYNTAX),
    }
}

fn spop_one(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let random = cx.keys.shard.next_random();
    let mut digits = itoa::Buffer::new();
    let mut member = Vec::new();
    let edited = cx.keys.edit(&key, Type::Set, |entry, hasher| {
        let Some(chosen) = SetView::of(entry.get().value()).random(random) else { return };
        member.extend_from_slice(chosen.text(&mut digits));
        set::remove(entry, hasher, &member);
    })?;
    let Some(edited) = edited else {
        cx.reply.null();
        return Ok(());
    };
    cx.keys.changed(&key, Classes::SET, "spop");
    if edited.removed {
        cx.keys.notify(&key, Classes::GENERIC, "del");
    }
    cx.keys.effect(&[b"SREM", key.bytes, &member]);
    cx.reply.bulk(&member);
    Ok(())
}

fn spop_many(cx: &mut Cx, args: &Args) -> CommandResult {
    let count = match number::integer(args.at(2)) {
        Ok(count @ 0..) => count as usize,
        _ => return Err(MUST_BE_POSITIVE),
    };
    let key = cx.keys.key(args.at(1));
    let Some(value) = cx.keys.write_collection(&key, Type::Set)? else {
        cx.reply.set(0);
        return Ok(());
    };
    let len = SetView::of(value).len();
    if count == 0 {
        cx.reply.set(0);
        return Ok(());
    }
    if count >= len {
        cx.reply.set(len);
        SetView::of(value).for_each(|member| write_member(&mut cx.reply, member));
        cx.keys.remove(&key);
        cx.keys.changed_many(&key, Classes::SET, "spop", len as u64);
        cx.keys.notify(&key, Classes::GENERIC, "del");
        cx.keys.effect_removed(&key, false);
        return Ok(());
    }
    let mut state = cx.keys.shard.next_random() | 1;
    let mut chosen: Vec<Vec<u8>> = Vec::new();
    cx.keys.edit(&key, Type::Set, |entry, hasher| {
        let view = SetView::of(entry.get().value());
        set::choose(
            view,
            count,
            hasher,
            || next_random(&mut state),
            |member| {
                chosen.push(member.to_vec());
            },
        );
        for member in &chosen {
            set::remove(entry, hasher, member);
        }
    })?;
    cx.keys.changed_many(&key, Classes::SET, "spop", count as u64);
    if cx.keys.shard.effects.enabled {
        let parts = [&b"SREM"[..], key.bytes].into_iter();
        let parts: Vec<&[u8]> = parts.chain(chosen.iter().map(|member| &member[..])).collect();
        cx.keys.effect(&parts);
    }
    cx.reply.set(count);
    for member in &chosen {
        cx.reply.bulk(member);
    }
    Ok(())
}

/// SRANDMEMBER key [count]
pub fn srandmember(cx: &mut Cx, args: &Args) -> CommandResult {
    match args.len() {
        2 => {}
        3 => return srandmember_many(cx, args),
        _ => return Err(Error::SYNTAX),
    }
    let key = cx.keys.key(args.at(1));
    let random = cx.keys.shard.next_random();
    let found = cx.keys.read_collection(&key, Type::Set)?;
    match found.and_then(|value| SetView::of(value).random(random)) {
        Some(member) => write_member(&mut cx.reply, member),
        None => cx.reply.null(),
    }
    Ok(())
}

/// A positive count: so many different members, or all. A negative one: so many, perhaps the same several times.
fn srandmember_many(cx: &mut Cx, args: &Args) -> CommandResult {
    let count = number::integer(args.at(2))?;
    if count == i64::MIN {
        let (min, max) = (-i64::MAX, i64::MAX);
        return Err(Error::text(format!(
            "ERR value is out of range, value must between {min} and {max}"
        )));
    }
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let mut state = cx.keys.shard.next_random() | 1;
    let Some(value) = cx.keys.read_collection(&key, Type::Set)? else {
        cx.reply.array(0);
        return Ok(());
    };
    let view = SetView::of(value);
    if count < 0 {
        cx.reply.array(count.unsigned_abs() as usize);
        for _ in 0..count.unsigned_abs() {
            if let Some(member) = view.random(next_random(&mut state)) {
                write_member(&mut cx.reply, member);
            }
        }
        return Ok(());
    }
    let count = view.len().min(count as usize);
    cx.reply.array(count);
    let reply = &mut cx.reply;
    let random = || next_random(&mut state);
    set::choose(view, count, &hasher, random, |member| write_member(reply, member));
    Ok(())
}

/// SSCAN key cursor [MATCH pattern] [COUNT count]
pub fn sscan(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = ScanOptions::parse(&args.from(1));
    if options.as_ref().is_err_and(|error| *error == Error::INVALID_CURSOR) {
        return Err(Error::INVALID_CURSOR);
    }
    let key = cx.keys.key(args.at(1));
    let Some(value) = cx.keys.read_collection(&key, Type::Set)? else {
        // Options of a scan over nothing are not looked at.
        cx.reply.array(2);
        cx.reply.bulk_int(0);
        cx.reply.array(0);
        return Ok(());
    };
    let options = options?;
    if options.filter.type_name.is_some() {
        return Err(Error::SYNTAX);
    }
    let pattern = options.filter.pattern.as_deref();
    let mut found = Vec::new();
    let mut count = 0;
    let mut reply = Reply::new(&mut found, cx.reply.protocol());
    let mut visit = |member: Element| {
        member.with_bytes(|member| {
            if pattern.is_none_or(|pattern| glob::matches(pattern, member, Case::Sensitive)) {
                reply.bulk(member);
                count += 1;
            }
        });
    };
    let cursor = match SetView::of(value) {
        SetView::Large(set) => {
            set.scan(options.cursor, options.count, |member| visit(Element::Bytes(member)))
        }
        // What is packed is shown at once.
        packed => {
            packed.for_each(visit);
            0
        }
    };
    cx.reply.array(2);
    cx.reply.bulk_int(cursor as i64);
    cx.reply.array(count);
    cx.reply.raw(&found);
    Ok(())
}

#[inline]
pub(super) fn write_member(reply: &mut Reply, member: Element) {
    reply.bulk(member.text(&mut itoa::Buffer::new()));
}
