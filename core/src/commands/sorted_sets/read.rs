//! Commands that read members by name or count them: ZCARD, ZSCORE, ZMSCORE, ZRANK, ZREVRANK, ZCOUNT, ZLEXCOUNT,
//! ZRANDMEMBER, ZSCAN.

use super::read;
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::glob::{self, Case};
use crate::number;
use crate::resp::Reply;
use crate::scan::ScanOptions;
use crate::score;
use crate::values::sorted_set::{MemberRange, ScoreRange, View};
use std::collections::HashSet;
use std::ops::Range;

/// ZCARD key
pub fn zcard(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let len = read(&mut cx.keys, &key)?.map_or(0, View::len);
    cx.reply.int(len as i64);
    Ok(())
}

/// ZSCORE key member
pub fn zscore(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let view = read(&mut cx.keys, &key)?;
    reply_score(&mut cx.reply, view.and_then(|view| view.score(&hasher, args.at(2))));
    Ok(())
}

/// ZMSCORE key member [member …]
pub fn zmscore(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let view = read(&mut cx.keys, &key)?;
    cx.reply.array(args.len() - 2);
    for member in args.from(2).iter() {
        reply_score(&mut cx.reply, view.and_then(|view| view.score(&hasher, member)));
    }
    Ok(())
}

fn reply_score(reply: &mut Reply, score: Option<f64>) {
    match score {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
}

/// ZRANK key member [WITHSCORE]
pub fn zrank(cx: &mut Cx, args: &Args) -> CommandResult {
    rank(cx, args, "zrank", |rank, _| rank)
}

/// ZREVRANK key member [WITHSCORE]
pub fn zrevrank(cx: &mut Cx, args: &Args) -> CommandResult {
    rank(cx, args, "zrevrank", |rank, len| len - 1 - rank)
}

fn rank(
    cx: &mut Cx,
    args: &Args,
    name: &str,
    from_end: impl Fn(usize, usize) -> usize,
) -> CommandResult {
    if args.len() > 4 {
        return Err(Error::arity(name));
    }
    let with_score = args.len() == 4;
    if with_score && !args.is(3, "withscore") {
        return Err(Error::SYNTAX);
    }
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let found = read(&mut cx.keys, &key)?.and_then(|view| {
        let (rank, score) = view.rank(&hasher, args.at(2))?;
        Some((from_end(rank, view.len()), score))
    });
    match found {
        Some((rank, score)) if with_score => {
            cx.reply.array(2);
            cx.reply.int(rank as i64);
            cx.reply.double(score);
        }
        Some((rank, _)) => cx.reply.int(rank as i64),
        None if with_score => cx.reply.null_array(),
        None => cx.reply.null(),
    }
    Ok(())
}

/// ZCOUNT key min max
pub fn zcount(cx: &mut Cx, args: &Args) -> CommandResult {
    let range = ScoreRange::parse(args.at(2), args.at(3))?;
    count(cx, args, |view| view.ranks_of_scores(&range))
}

/// ZLEXCOUNT key min max
pub fn zlexcount(cx: &mut Cx, args: &Args) -> CommandResult {
    let range = MemberRange::parse(args.at(2), args.at(3))?;
    count(cx, args, |view| view.ranks_of_members(&range))
}

fn count(cx: &mut Cx, args: &Args, ranks: impl FnOnce(View) -> Range<usize>) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let count = read(&mut cx.keys, &key)?.map_or(0, |view| ranks(view).len());
    cx.reply.int(count as i64);
    Ok(())
}

/// ZRANDMEMBER key [count [WITHSCORES]]
pub fn zrandmember(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let Some(count) = args.get(2) else { return random_member(cx, args) };
    let count = number::integer(count)?;
    let with_scores = args.len() == 4 && args.is(3, "withscores");
    if args.len() > 3 && !with_scores {
        return Err(Error::SYNTAX);
    }
    const MAX: i64 = i64::MAX / 2;
    if count < -MAX || with_scores && !(-MAX / 2..=MAX / 2).contains(&count) {
        return Err(Error::new("ERR value is out of range"));
    }
    // Chosen before the set is looked at, whose loan would be in the way of the shard's generator.
    let len = read(&mut cx.keys, &key)?.map_or(0, View::len);
    let wanted = count.unsigned_abs() as usize;
    let ranks = match len {
        0 => Vec::new(),
        _ if count >= 0 && wanted >= len => (0..len).collect(),
        _ if count >= 0 => different(len, wanted, || cx.keys.shard.next_random()),
        _ => (0..wanted).map(|_| below(len, cx.keys.shard.next_random())).collect(),
    };
    let value = cx.keys.shard.databases[cx.keys.database].get(&key).map(|entry| entry.value());
    let nested = with_scores && cx.reply.is_resp3();
    cx.reply.array(if with_scores && !nested { ranks.len() * 2 } else { ranks.len() });
    for rank in ranks {
        let Some((member, score)) = value.and_then(|value| View::of(value).nth(rank)) else {
            break;
        };
        if nested {
            cx.reply.array(2);
        }
        cx.reply.element(member);
        if with_scores {
            cx.reply.double(score);
        }
    }
    Ok(())
}

fn random_member(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let random = cx.keys.shard.next_random();
    match read(&mut cx.keys, &key)? {
        Some(view) => {
            if let Some((member, _)) = view.nth(below(view.len(), random)) {
                cx.reply.element(member);
            }
        }
        None => cx.reply.null(),
    }
    Ok(())
}

/// A number below `end`, each as likely as any other.
fn below(end: usize, random: u64) -> usize {
    ((u128::from(random) * end as u128) >> 64) as usize
}

/// `count` different numbers below `end`, in no order.
fn different(end: usize, count: usize, mut random: impl FnMut() -> u64) -> Vec<usize> {
    if count * 3 > end {
        let mut all: Vec<usize> = (0..end).collect();
        for at in 0..count {
            all.swap(at, at + below(end - at, random()));
        }
        all.truncate(count);
        return all;
    }
    let mut seen = HashSet::with_capacity(count);
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count {
        let number = below(end, random());
        if seen.insert(number) {
            chosen.push(number);
        }
    }
    chosen
}

/// ZSCAN key cursor [MATCH pattern] [COUNT count]
pub fn zscan(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = ScanOptions::parse(&args.from(1))?;
    if options.filter.type_name.is_some() {
        return Err(Error::SYNTAX);
    }
    let key = cx.keys.key(args.at(1));
    let mut found: Vec<(Vec<u8>, f64)> = Vec::new();
    let cursor = match read(&mut cx.keys, &key)? {
        None => 0,
        Some(view) => view.scan(options.cursor, options.count, |member, score| {
            let pattern = options.filter.pattern.as_ref();
            if pattern.is_none_or(|pattern| glob::matches(pattern, member, Case::Sensitive)) {
                found.push((member.to_vec(), score));
            }
        }),
    };
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(cursor).as_bytes());
    cx.reply.array(found.len() * 2);
    for (member, score) in found {
        cx.reply.bulk(&member);
        cx.reply.bulk(&score::format(score));
    }
    Ok(())
}
