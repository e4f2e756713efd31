//! Commands that put members in, change scores, and take members out: ZADD, ZINCRBY, ZREM, ZREMRANGEBY*.

use super::members_went;
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::New;
use crate::notify::Classes;
use crate::number;
use crate::store::{Hasher, Key, OwnedEntry, Packing, Type};
use crate::values::sorted_set::{self, MemberRange, ScoreRange, View};
use std::ops::Range;

const NOT_A_NUMBER: Error = Error::new("ERR resulting score is not a number (NaN)");

/// What stands between ZADD's key and its members.
#[derive(Clone, Copy, Default)]
struct AddOptions {
    pub only_absent: bool,
    pub only_present: bool,
    greater: bool,
    less: bool,
    pub count_changed: bool,
    increment: bool,
}

impl AddOptions {
    /// The options, and where the first score stands.
    fn parse(args: &Args) -> Result<(AddOptions, usize), Error> {
        let mut options = AddOptions::default();
        let mut at = 2;
        // Only letters begin an option, and few scores do.
        while args.get(at).is_some_and(|arg| arg.first().is_some_and(u8::is_ascii_alphabetic)) {
            let word = args.at(at);
            let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
            if is("nx") {
                options.only_absent = true;
            } else if is("xx") {
                options.only_present = true;
            } else if is("gt") {
                options.greater = true;
            } else if is("lt") {
                options.less = true;
            } else if is("ch") {
                options.count_changed = true;
            } else if is("incr") {
                options.increment = true;
            } else {
                break;
            }
            at += 1;
        }
        let rest = args.len() - at;
        if rest == 0 || rest % 2 != 0 {
            return Err(Error::SYNTAX);
        }
        options.check()?;
        if options.increment && rest > 2 {
            return Err(Error::new("ERR INCR option supports a single increment-element pair"));
        }
        Ok((options, at))
    }

    fn check(&self) -> Result<(), Error> {
        if self.only_absent && self.only_present {
            return Err(Error::new("ERR XX and NX options at the same time are not compatible"));
        }
        if [self.only_absent, self.greater, self.less].iter().filter(|&&set| set).count() > 1 {
            return Err(Error::new(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        Ok(())
    }
}

/// What became of members.
#[derive(Default)]
struct Outcome {
    pub added: usize,
    pub changed: usize,
    /// The score of the last one that the options did not pass over.
    score: Option<f64>,
    not_a_number: bool,
    /// There was no room for all.
    is_full: bool,
}

/// Puts members in, as many as have a score.
fn add_members<'m>(
    cx: &mut Cx,
    key: &Key,
    options: AddOptions,
    members: impl Iterator<Item = (f64, &'m [u8])> + Clone,
) -> Result<Outcome, Error> {
    let limits = cx.keys.shard.settings.limits;
    let apply = |entry: &mut OwnedEntry, hasher: &Hasher| {
        let mut outcome = Outcome::default();
        for (given, member) in members.clone() {
            if !sorted_set::has_room(entry) {
                outcome.is_full = true;
                break;
            }
            sorted_set::update(entry, hasher, &limits, member, |old| {
                let Some(old) = old else {
                    if options.only_present {
                        return None;
                    }
                    outcome.added += 1;
                    outcome.score = Some(given);
                    return Some(given);
                };
                if options.only_absent {
                    return None;
                }
                let new = if options.increment { old + given } else { given };
                if new.is_nan() {
                    outcome.not_a_number = true;
                    return None;
                }
                if options.greater && new <= old || options.less && new >= old {
                    return None;
                }
                outcome.score = Some(new);
                outcome.changed += usize::from(new != old);
                Some(new)
            });
        }
        outcome
    };
    if options.only_present {
        let edited = cx.keys.edit(key, Type::SortedSet, apply)?;
        return Ok(edited.map_or_else(Outcome::default, |edited| edited.result));
    }
    Ok(cx.keys.edit_or_create(key, New::Packed(Packing::SortedSet), apply)?.result)
}

/// ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member …]
pub fn zadd(cx: &mut Cx, args: &Args) -> CommandResult {
    let (options, at) = AddOptions::parse(args)?;
    let key = cx.keys.key(args.at(1));
    let pairs = args.from(at);
    let score = |index: usize| number::parse_double(pairs.at(index * 2)).ok_or(Error::NOT_A_FLOAT);
    let outcome = if pairs.len() == 2 {
        let score = score(0)?;
        add_members(cx, &key, options, [(score, pairs.at(1))].into_iter())?
    } else {
        let scores = (0..pairs.len() / 2).map(score).collect::<Result<Vec<f64>, Error>>()?;
        let members = scores.iter().enumerate();
        let members = members.map(|(index, &score)| (score, pairs.at(index * 2 + 1)));
        add_members(cx, &key, options, members)?
    };
    finish_add(cx, args, &key, options, outcome)
}

/// ZINCRBY key increment member
pub fn zincrby(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = AddOptions { increment: true, ..AddOptions::default() };
    let score = number::parse_double(args.at(2)).ok_or(Error::NOT_A_FLOAT)?;
    let key = cx.keys.key(args.at(1));
    let outcome = add_members(cx, &key, options, [(score, args.at(3))].into_iter())?;
    finish_add(cx, args, &key, options, outcome)
}

fn finish_add(
    cx: &mut Cx,
    args: &Args,
    key: &Key,
    options: AddOptions,
    outcome: Outcome,
) -> CommandResult {
    if outcome.not_a_number {
        return Err(NOT_A_NUMBER);
    }
    let changes = outcome.added + outcome.changed;
    if outcome.is_full && changes == 0 {
        return Err(Error::COLLECTION_FULL);
    }
    if changes > 0 {
        let event = if options.increment { "zincr" } else { "zadd" };
        cx.keys.changed_many(key, Classes::ZSET, event, changes as u64);
        cx.keys.effect_verbatim(args);
    }
    match outcome.score {
        _ if !options.increment => {
            let counted = if options.count_changed { changes } else { outcome.added };
            cx.reply.int(counted as i64);
        }
        Some(score) => cx.reply.double(score),
        None => cx.reply.null(),
    }
    Ok(())
}

/// ZREM key member [member …]
pub fn zrem(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let edited = cx.keys.edit(&key, Type::SortedSet, |entry, hasher| {
        let mut count = 0;
        for member in args.from(2).iter() {
            count += usize::from(sorted_set::remove(entry, hasher, member).is_some());
            if count > 0 && entry.get().value().is_to_be_removed() {
                break;
            }
        }
        count
    })?;
    let count = edited.map_or(0, |edited| edited.result);
    if count > 0 {
        let removed = edited.is_some_and(|edited| edited.removed);
        members_went(&mut cx.keys, &key, "zrem", count, removed);
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(count as i64);
    Ok(())
}

/// ZREMRANGEBYRANK key start stop
pub fn zremrangebyrank(cx: &mut Cx, args: &Args) -> CommandResult {
    let (start, stop) = (number::integer(args.at(2))?, number::integer(args.at(3))?);
    remove_range(cx, args, "zremrangebyrank", |view| super::range::ranks(start, stop, view.len()))
}

/// ZREMRANGEBYSCORE key min max
pub fn zremrangebyscore(cx: &mut Cx, args: &Args) -> CommandResult {
    let range = ScoreRange::parse(args.at(2), args.at(3))?;
    remove_range(cx, args, "zremrangebyscore", |view| view.ranks_of_scores(&range))
}

/// ZREMRANGEBYLEX key min max
pub fn zremrangebylex(cx: &mut Cx, args: &Args) -> CommandResult {
    let range = MemberRange::parse(args.at(2), args.at(3))?;
    remove_range(cx, args, "zremrangebylex", |view| view.ranks_of_members(&range))
}

fn remove_range(
    cx: &mut Cx,
    args: &Args,
    event: &'static str,
    ranks: impl FnOnce(View) -> Range<usize>,
) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let edited = cx.keys.edit(&key, Type::SortedSet, |entry, hasher| {
        let ranks = ranks(View::of(entry.get().value()));
        let count = ranks.len();
        if count > 0 {
            sorted_set::remove_ranks(entry, hasher, ranks);
        }
        count
    })?;
    let count = edited.map_or(0, |edited| edited.result);
    if count > 0 {
        let removed = edited.is_some_and(|edited| edited.removed);
        members_went(&mut cx.keys, &key, event, count, removed);
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(count as i64);
    Ok(())
}
