//! What several sets have in common: intersections, unions and differences, answered, counted or stored.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15.

use super::sets::write_member;
use crate::args::Args;
use crate::collections::Set;
use crate::collections::listpack::Element;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::eviction;
use crate::keys::Keys;
use crate::notify::Classes;
use crate::number;
use crate::store::{Collection, Hasher, Key, OwnedEntry, Type};
use crate::values::set::{SetBuilder, SetView, Sought};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

/// SINTER key [key ...]
pub fn sinter(cx: &mut Cx, args: &Args) -> CommandResult {
    answer(cx, &args.from(1), Operation::Intersection)
}

/// SUNION key [key ...]
pub fn sunion(cx: &mut Cx, args: &Args) -> CommandResult {
    answer(cx, &args.from(1), Operation::Union)
}

/// SDIFF key [key ...]
pub fn sdiff(cx: &mut Cx, args: &Args) -> CommandResult {
    answer(cx, &args.from(1), Operation::Difference)
}

/// SINTERSTORE destination key [key ...]
pub fn sinterstore(cx: &mut Cx, args: &Args) -> CommandResult {
    store(cx, args, Operation::Intersection, "sinterstore")
}

/// SUNIONSTORE destination key [key ...]
pub fn sunionstore(cx: &mut Cx, args: &Args) -> CommandResult {
    store(cx, args, Operation::Union, "sunionstore")
}

/// SDIFFSTORE destination key [key ...]
pub fn sdiffstore(cx: &mut Cx, args: &Args) -> CommandResult {
    store(cx, args, Operation::Difference, "sdiffstore")
}

/// SINTERCARD numkeys key [key ...] [LIMIT limit]
pub fn sintercard(cx: &mut Cx, args: &Args) -> CommandResult {
    const COUNT: Error = Error::new("ERR numkeys should be greater than 0");
    const TOO_MANY: Error = Error::new("ERR Number of keys can't be greater than number of args");
    const LIMIT: Error = Error::new("ERR LIMIT can't be negative");
    let count = match number::integer(args.at(1)) {
        Ok(count @ 1..) => count as u64,
        _ => return Err(COUNT),
    };
    if count > args.len() as u64 - 2 {
        return Err(TOO_MANY);
    }
    let count = count as usize;
    let mut limit = usize::MAX;
    let mut at = 2 + count;
    while at < args.len() {
        let Some(value) = args.get(at + 1).filter(|_| args.is(at, "limit")) else {
            return Err(Error::SYNTAX);
        };
        limit = match number::integer(value) {
            Ok(0) => usize::MAX,
            Ok(limit @ 1..) => limit as usize,
            _ => return Err(LIMIT),
        };
        at += 2;
    }
    let hasher = cx.keys.shard.hasher.clone();
    let sets = read_all(&mut cx.keys, args.iter().skip(2).take(count))?;
    let mut found = 0;
    each_in_all(&sets, &hasher, |_| {
        found += 1;
        found < limit
    });
    cx.reply.int(found as i64);
    Ok(())
}

fn answer(cx: &mut Cx, names: &Args, operation: Operation) -> CommandResult {
    let hasher = cx.keys.shard.hasher.clone();
    let limits = cx.keys.shard.settings.limits;
    let sets = read_all(&mut cx.keys, names.iter())?;
    let (reply, mut count) = (&mut cx.reply, 0);
    if operation == Operation::Intersection {
        let place = reply.deferred();
        each_in_all(&sets, &hasher, |member| {
            write_member(reply, member);
            count += 1;
            true
        });
        reply.finish_set(place, count);
        return Ok(());
    }
    let mut found = SetBuilder::new(&hasher, limits);
    collect(&sets, operation, &hasher, &mut found);
    reply.set(found.view().len());
    found.view().for_each(|member| write_member(reply, member));
    Ok(())
}

fn store(cx: &mut Cx, args: &Args, operation: Operation, event: &'static str) -> CommandResult {
    let destination = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let limits = cx.keys.shard.settings.limits;
    let mut found = SetBuilder::new(&hasher, limits);
    {
        let names = args.from(2);
        let sets = read_all(&mut cx.keys, names.iter())?;
        collect(&sets, operation, &hasher, &mut found);
    }
    let count = found.view().len();
    put(&mut cx.keys, &destination, found.finish(), args, event);
    cx.reply.int(count as i64);
    Ok(())
}

/// Puts a set in the place of whatever is at a key; one without members only removes that.
fn put(keys: &mut Keys, key: &Key, set: Collection, args: &Args, event: &'static str) {
    let is_empty = SetView::of(set.get()).is_empty();
    let was_there = keys.remove(key);
    if !is_empty {
        let access = eviction::first_access(&keys.shard.settings, keys.now);
        if !was_there {
            keys.notify(key, Classes::NEW, "new");
        }
        keys.put(key, OwnedEntry::collection(key.bytes, set, None, access));
        keys.changed(key, Classes::SET, event);
        keys.effect_verbatim(args);
    } else if was_there {
        keys.changed(key, Classes::GENERIC, "del");
        keys.effect_verbatim(args);
    }
}

/// The sets at some keys, `None` where there is none. Error: one is of another type.
fn read_all<'k, 'n>(
    keys: &'k mut Keys,
    names: impl Iterator<Item = &'n [u8]> + Clone,
) -> Result<Vec<Option<SetView<'k>>>, Error> {
    // First they are looked up as reading demands it, one by one, then all at once.
    let mut there = Vec::new();
    for name in names.clone() {
        let key = keys.key(name);
        there.push(keys.read_collection(&key, Type::Set)?.is_some());
    }
    let database = &keys.shard.databases[keys.database];
    let views = names.zip(there).map(|(name, is_there)| {
        let entry = is_there.then(|| database.get(&database.hasher().key(name)))??;
        Some(SetView::of(entry.value()))
    });
    Ok(views.collect())
}

/// Puts what comes out into `found`.
fn collect(
    sets: &[Option<SetView>],
    operation: Operation,
    hasher: &Hasher,
    found: &mut SetBuilder,
) {
    match operation {
        Operation::Intersection => each_in_all(sets, hasher, |member| {
            found.add(member);
            true
        }),
        Operation::Union => sets.iter().flatten().for_each(|set| {
            set.for_each(|member| {
                found.add(member);
            });
        }),
        Operation::Difference => each_in_first_only(sets, hasher, |member| {
            found.add(member);
        }),
    }
}

/// Calls `f` with each member that all sets have, as long as it returns true. Goes through the smallest.
fn each_in_all<'a>(
    sets: &[Option<SetView<'a>>],
    hasher: &Hasher,
    mut f: impl FnMut(Element<'a>) -> bool,
) {
    let Some(mut sets) = sets.iter().copied().collect::<Option<Vec<SetView>>>() else { return };
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    smallest.each_while(|member| {
        let mut sought = Sought::new(member, hasher);
        !others.iter().all(|set| set.contains_sought(&mut sought)) || f(member)
    });
}

/// Calls `f` with each member that only the first set has.
fn each_in_first_only<'a>(
    sets: &[Option<SetView<'a>>],
    hasher: &Hasher,
    mut f: impl FnMut(Element<'a>),
) {
    let Some((Some(first), others)) = sets.split_first() else { return };
    let mut others: Vec<SetView> = others.iter().copied().flatten().collect();
    let members: usize = others.iter().map(|set| set.len()).sum();
    if first.len() * others.len() > first.len() + members {
        return each_not_in_any(*first, &others, hasher, f);
    }
    // What the first has is most likely found in the largest.
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    first.for_each(|member| {
        let mut sought = Sought::new(member, hasher);
        if !others.iter().any(|set| set.contains_sought(&mut sought)) {
            f(member);
        }
    });
}

/// As [`each_in_first_only`], at the cost of one look-up for each member of each set.
fn each_not_in_any<'a>(
    first: SetView<'a>,
    others: &[SetView],
    hasher: &Hasher,
    mut f: impl FnMut(Element<'a>),
) {
    let mut elsewhere = Set::new();
    for set in others {
        set.for_each(|member| {
            if first.contains_sought(&mut Sought::new(member, hasher)) {
                member.with_bytes(|member| {
                    elsewhere.insert(hasher, hasher.hash(member), member);
                });
            }
        });
    }
    first.for_each(|member| {
        if !member.with_bytes(|member| elsewhere.contains(hasher.hash(member), member)) {
            f(member);
        }
    });
}
