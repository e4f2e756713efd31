//! Ranges of members: ZRANGE and its older forms, ZRANGESTORE.

use super::{read, store};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number;
use crate::resp::Reply;
use crate::values::sorted_set::{MemberRange, ScoreRange, View, collect};
use std::ops::Range;

/// What a range is measured in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Member,
}

/// What a command's name says already.
#[derive(Clone, Copy)]
struct Fixed {
    by: Option<By>,
    reverse: Option<bool>,
    stores: bool,
}

/// A range as it was asked for.
struct Request<'a> {
    range: Bounds<'a>,
    reverse: bool,
    with_scores: bool,
    offset: i64,
    /// Negative: all.
    limit: i64,
}

enum Bounds<'a> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(MemberRange<'a>),
}

impl<'a> Request<'a> {
    /// `args` from the key on.
    fn parse(args: Args<'a>, fixed: Fixed) -> Result<Request<'a>, Error> {
        let (mut by, mut reverse) = (fixed.by, fixed.reverse);
        let (mut with_scores, mut limited, mut offset, mut limit) = (false, false, 0, -1);
        let mut at = 3;
        while at < args.len() {
            if !fixed.stores && args.is(at, "withscores") {
                with_scores = true;
            } else if args.is(at, "limit") && at + 2 < args.len() {
                offset = number::integer(args.at(at + 1))?;
                limit = number::integer(args.at(at + 2))?;
                limited = limit != -1;
                at += 2;
            } else if reverse.is_none() && args.is(at, "rev") {
                reverse = Some(true);
            } else if by.is_none() && args.is(at, "bylex") {
                by = Some(By::Member);
            } else if by.is_none() && args.is(at, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(Error::SYNTAX);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limited && by == By::Rank {
            return Err(Error::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Member {
            return Err(Error::new(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (first, second) = (args.at(1), args.at(2));
        let (min, max) = if reverse { (second, first) } else { (first, second) };
        let range = match by {
            By::Rank => Bounds::Ranks(number::integer(first)?, number::integer(second)?),
            By::Score => Bounds::Scores(ScoreRange::parse(min, max)?),
            By::Member => Bounds::Members(MemberRange::parse(min, max)?),
        };
        Ok(Request { range, reverse, with_scores, offset, limit })
    }

    /// The ranks, counted from the lowest.
    fn ranks(&self, view: View) -> Range<usize> {
        let ranks = match &self.range {
            Bounds::Ranks(start, stop) => {
                let len = view.len();
                let ranks = ranks(*start, *stop, len);
                return if self.reverse { len - ranks.end..len - ranks.start } else { ranks };
            }
            Bounds::Scores(range) => view.ranks_of_scores(range),
            Bounds::Members(range) => view.ranks_of_members(range),
        };
        // A negative offset passes over everything.
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let rest = ranks.len() - skipped;
        let count = usize::try_from(self.limit).map_or(rest, |limit| limit.min(rest));
        if self.reverse {
            let end = ranks.end - skipped;
            end - count..end
        } else {
            let start = ranks.start + skipped;
            start..start + count
        }
    }
}

/// The ranks from `start` to `stop`, both counted from the end where they are negative.
pub(super) fn ranks(start: i64, stop: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { index + len } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop || start >= len {
        return 0..0;
    }
    start as usize..stop as usize + 1
}

const BY_NAME: Fixed = Fixed { by: None, reverse: None, stores: false };

/// ZRANGE key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]
pub fn zrange(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_range(cx, args, BY_NAME)
}

/// ZREVRANGE key start stop [WITHSCORES]
pub fn zrevrange(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_range(cx, args, Fixed { by: Some(By::Rank), reverse: Some(true), stores: false })
}

/// ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]
pub fn zrangebyscore(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_range(cx, args, Fixed { by: Some(By::Score), reverse: Some(false), stores: false })
}

/// ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]
pub fn zrevrangebyscore(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_range(cx, args, Fixed { by: Some(By::Score), reverse: Some(true), stores: false })
}

/// ZRANGEBYLEX key min max [LIMIT offset count]
pub fn zrangebylex(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_range(cx, args, Fixed { by: Some(By::Member), reverse: Some(false), stores: false })
}

/// ZREVRANGEBYLEX key max min [LIMIT offset count]
pub fn zrevrangebylex(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_range(cx, args, Fixed { by: Some(By::Member), reverse: Some(true), stores: false })
}

fn reply_range(cx: &mut Cx, args: &Args, fixed: Fixed) -> CommandResult {
    let request = Request::parse(args.from(1), fixed)?;
    let key = cx.keys.key(args.at(1));
    match read(&mut cx.keys, &key)? {
        Some(view) => {
            let ranks = request.ranks(view);
            reply_ranks(&mut cx.reply, view, ranks, request.reverse, request.with_scores);
        }
        None => cx.reply.array(0),
    }
    Ok(())
}

/// Members at some ranks. Their scores follow them, in RESP3 each in a pair with its member.
fn reply_ranks(reply: &mut Reply, view: View, ranks: Range<usize>, reverse: bool, scores: bool) {
    let nested = scores && reply.is_resp3();
    reply.array(if scores && !nested { ranks.len() * 2 } else { ranks.len() });
    view.walk(ranks, reverse, |member, score| {
        if nested {
            reply.array(2);
        }
        reply.element(member);
        if scores {
            reply.double(score);
        }
    });
}

/// ZRANGESTORE dst src start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count]
pub fn zrangestore(cx: &mut Cx, args: &Args) -> CommandResult {
    let request = Request::parse(args.from(2), Fixed { stores: true, ..BY_NAME })?;
    let (to, from) = (cx.keys.key(args.at(1)), cx.keys.key(args.at(2)));
    let mut members = Vec::new();
    if let Some(view) = read(&mut cx.keys, &from)? {
        let ranks = request.ranks(view);
        members.reserve(ranks.len());
        view.walk(ranks, false, |member, score| members.push((member.to_vec(), score)));
    }
    let count = members.len();
    let settings = &cx.keys.shard.settings;
    let made = (count > 0).then(|| collect(members, &cx.keys.shard.hasher, &settings.limits));
    if store(cx, &to, made, "zrangestore") {
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(count as i64);
    Ok(())
}
