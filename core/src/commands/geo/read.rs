//! Commands about places that are named: GEOPOS, GEOHASH, GEODIST.

use super::{parse_unit, reply_distance, reply_position};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::geo::{Position, distance};
use crate::resp::Reply;
use crate::store::Type;
use crate::values::sorted_set::View;

/// Calls `f` with where each member of a sorted set is.
fn each_position(
    cx: &mut Cx,
    args: &Args,
    f: impl Fn(&mut Reply, Option<Position>),
) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let view = cx.keys.read_collection(&key, Type::SortedSet)?.map(View::of);
    cx.reply.array(args.len() - 2);
    for member in args.from(2).iter() {
        let score = view.and_then(|view| view.score(&hasher, member));
        f(&mut cx.reply, score.map(Position::of_score));
    }
    Ok(())
}

/// GEOPOS key [member …]
pub fn geopos(cx: &mut Cx, args: &Args) -> CommandResult {
    each_position(cx, args, |reply, position| match position {
        Some(position) => reply_position(reply, position),
        None => reply.null_array(),
    })
}

/// GEOHASH key [member …]
pub fn geohash(cx: &mut Cx, args: &Args) -> CommandResult {
    each_position(cx, args, |reply, position| match position {
        Some(position) => reply.bulk(&position.to_text()),
        None => reply.null(),
    })
}

/// GEODIST key member member [M | KM | FT | MI]
pub fn geodist(cx: &mut Cx, args: &Args) -> CommandResult {
    let unit = match args.len() {
        4 => 1.0,
        5 => parse_unit(args.at(4))?,
        _ => return Err(Error::SYNTAX),
    };
    let key = cx.keys.key(args.at(1));
    let hasher = cx.keys.shard.hasher.clone();
    let view = cx.keys.read_collection(&key, Type::SortedSet)?.map(View::of);
    let position = |at: usize| {
        let score = view.and_then(|view| view.score(&hasher, args.at(at)));
        score.map(Position::of_score)
    };
    match position(2).zip(position(3)) {
        Some((one, other)) => reply_distance(&mut cx.reply, distance(one, other) / unit),
        None => cx.reply.null(),
    }
    Ok(())
}
