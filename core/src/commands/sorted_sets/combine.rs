//! Commands on several sorted sets or sets: ZUNION, ZINTER, ZDIFF, their STORE forms, ZINTERCARD.
//!
//! A member of a set has the score 1.

use super::store;
use crate::args::Args;
use crate::collections::intset::Intset;
use crate::collections::listpack::{Element, Listpack};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::number;
use crate::store::{Hasher, Packing, Type, Value};
use crate::values::sorted_set::{View, collect, sort};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// What a command makes of its sources.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, one: f64, other: f64) -> f64 {
        match self {
            // Infinity and its opposite come to nothing.
            Aggregate::Sum => zero_if_nan(one + other),
            Aggregate::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Aggregate::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }
}

fn zero_if_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What is read: a sorted set, a set, or nothing.
#[derive(Clone, Copy)]
struct Source<'a> {
    value: Option<Value<'a>>,
    weight: f64,
    /// Which of the command's keys it is.
    key: &'a [u8],
}

impl<'a> Source<'a> {
    fn len(&self) -> usize {
        match self.value {
            None => 0,
            Some(Value::Packed(Packing::Intset, packed)) => Intset::new(packed).len(),
            Some(Value::Packed(Packing::Set, packed)) => Listpack::new(packed).len(),
            Some(Value::Set(set)) => set.len(),
            Some(value) => View::of(value).len(),
        }
    }

    /// Calls `f` with members and scores until it breaks.
    fn walk(&self, mut f: impl FnMut(Element<'a>, f64) -> ControlFlow<()>) {
        let _ = match self.value {
            None => ControlFlow::Continue(()),
            Some(Value::Packed(Packing::Intset, packed)) => {
                let mut integers = Intset::new(packed).iter();
                integers.try_for_each(|integer| f(Element::Integer(integer), 1.0))
            }
            Some(Value::Packed(Packing::Set, packed)) => {
                Listpack::new(packed).iter().try_for_each(|member| f(member, 1.0))
            }
            Some(Value::Set(set)) => {
                set.iter().try_for_each(|member| f(Element::Bytes(member), 1.0))
            }
            Some(value) => {
                let view = View::of(value);
                let mut flow = ControlFlow::Continue(());
                view.walk(0..view.len(), false, |member, score| {
                    if flow.is_continue() {
                        flow = f(member, score);
                    }
                });
                flow
            }
        };
    }

    fn score(&self, hasher: &Hasher, member: &[u8]) -> Option<f64> {
        match self.value? {
            Value::Packed(Packing::Intset, packed) => {
                let integer = number::parse_integer(member)?;
                Intset::new(packed).contains(integer).then_some(1.0)
            }
            Value::Packed(Packing::Set, packed) => {
                let listpack = Listpack::new(packed);
                listpack.find(listpack.first(), member, 0).map(|_| 1.0)
            }
            Value::Set(set) => set.contains(hasher.hash(member), member).then_some(1.0),
            value => View::of(value).score(hasher, member),
        }
    }
}

/// What stands behind a command's keys.
struct Request<'a> {
    keys: Args<'a>,
    /// One for each key, if given.
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    /// Of ZINTERCARD; 0: none.
    limit: usize,
}

/// Which options a command takes.
#[derive(Clone, Copy)]
struct Takes {
    weights: bool,
    scores: bool,
    limit: bool,
}

/// The number of keys, and the keys behind it. `at` is where the number stands.
fn parse_keys<'a>(args: &Args<'a>, at: usize) -> Result<Args<'a>, Error> {
    let count = number::integer(args.at(at))?;
    if count < 1 {
        let name = String::from_utf8_lossy(args.at(0)).to_ascii_lowercase();
        return Err(Error::text(format!(
            "ERR at least 1 input key is needed for '{name}' command"
        )));
    }
    let rest = args.from(at + 1);
    match usize::try_from(count) {
        Ok(count) if count <= rest.len() => Ok(rest.first(count)),
        _ => Err(Error::SYNTAX),
    }
}

impl<'a> Request<'a> {
    /// `options` is what stands behind the keys.
    fn parse(keys: Args<'a>, options: Args, takes: Takes) -> Result<Request<'a>, Error> {
        let mut request = Request {
            keys,
            weights: Vec::new(),
            aggregate: Aggregate::default(),
            with_scores: false,
            limit: 0,
        };
        let mut at = 0;
        while at < options.len() {
            let left = options.len() - at;
            if takes.weights && left > keys.len() && options.is(at, "weights") {
                let weight = |text| {
                    number::parse_double(text).ok_or(Error::new("ERR weight value is not a float"))
                };
                let texts = options.from(at + 1).first(keys.len());
                request.weights = texts.iter().map(weight).collect::<Result<_, Error>>()?;
                at += keys.len() + 1;
            } else if takes.weights && left >= 2 && options.is(at, "aggregate") {
                request.aggregate = match () {
                    () if options.is(at + 1, "sum") => Aggregate::Sum,
                    () if options.is(at + 1, "min") => Aggregate::Min,
                    () if options.is(at + 1, "max") => Aggregate::Max,
                    () => return Err(Error::SYNTAX),
                };
                at += 2;
            } else if takes.scores && options.is(at, "withscores") {
                request.with_scores = true;
                at += 1;
            } else if takes.limit && left >= 2 && options.is(at, "limit") {
                request.limit = number::parse_integer(options.at(at + 1))
                    .and_then(|limit| usize::try_from(limit).ok())
                    .ok_or(Error::new("ERR LIMIT can't be negative"))?;
                at += 2;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(request)
    }
}

/// Looks at all keys: expired ones go, hits and misses are counted. Which of them are there. Error: a key holds neither
/// a sorted set nor a set.
fn look_at(keys: &mut Keys, names: Args) -> Result<Vec<bool>, Error> {
    let look = |name| {
        let key = keys.key(name);
        match keys.read(&key).map(|entry| entry.value_type()) {
            None => Ok(false),
            Some(Type::SortedSet | Type::Set) => Ok(true),
            Some(_) => Err(Error::WRONG_TYPE),
        }
    };
    names.iter().map(look).collect()
}

/// The values of keys that were looked at.
fn sources<'a>(keys: &'a Keys, request: &Request<'a>, are_there: &[bool]) -> Vec<Source<'a>> {
    let database = &keys.shard.databases[keys.database];
    let source = |(index, name): (usize, &'a [u8])| {
        let entry = are_there[index].then(|| database.get(&keys.shard.hasher.key(name))).flatten();
        let weight = request.weights.get(index).copied().unwrap_or(1.0);
        Source { value: entry.map(|entry| entry.value()), weight, key: name }
    };
    request.keys.iter().enumerate().map(source).collect()
}

/// Calls `f` with each member of an intersection and its score, until it breaks. The smallest source comes first.
fn intersect(
    sources: &[Source],
    aggregate: Aggregate,
    hasher: &Hasher,
    mut f: impl FnMut(Element, f64) -> ControlFlow<()>,
) {
    let Some((first, others)) = sources.split_first() else { return };
    let mut digits = itoa::Buffer::new();
    first.walk(|member, score| {
        let text = member.text(&mut digits);
        let mut sum = zero_if_nan(score * first.weight);
        for other in others {
            let found =
                if other.key == first.key { Some(score) } else { other.score(hasher, text) };
            let Some(found) = found else { return ControlFlow::Continue(()) };
            sum = aggregate.of(sum, found * other.weight);
        }
        f(Element::Bytes(text), sum)
    });
}

/// The members of the result, in no order.
fn combine(
    operation: Operation,
    mut sources: Vec<Source>,
    aggregate: Aggregate,
    hasher: &Hasher,
) -> Vec<(Vec<u8>, f64)> {
    if operation != Operation::Difference {
        // Scores are summed up in this order, which can be seen in their last digits.
        sources.sort_by_key(Source::len);
    }
    match operation {
        Operation::Union => {
            let mut sums: HashMap<Vec<u8>, f64> = HashMap::new();
            for source in &sources {
                source.walk(|member, score| {
                    let score = zero_if_nan(score * source.weight);
                    let entry = sums.entry(member.to_vec());
                    entry.and_modify(|sum| *sum = aggregate.of(*sum, score)).or_insert(score);
                    ControlFlow::Continue(())
                });
            }
            sums.into_iter().collect()
        }
        Operation::Intersection => {
            let mut members = Vec::new();
            intersect(&sources, aggregate, hasher, |member, score| {
                members.push((member.to_vec(), score));
                ControlFlow::Continue(())
            });
            members
        }
        Operation::Difference => {
            let mut members = Vec::new();
            let Some((first, others)) = sources.split_first() else { return members };
            if others.iter().any(|other| other.key == first.key) {
                return members;
            }
            let mut digits = itoa::Buffer::new();
            first.walk(|member, score| {
                let text = member.text(&mut digits);
                if others.iter().all(|other| other.score(hasher, text).is_none()) {
                    members.push((text.to_vec(), score));
                }
                ControlFlow::Continue(())
            });
            members
        }
    }
}

fn reply_combined(cx: &mut Cx, args: &Args, operation: Operation) -> CommandResult {
    let names = parse_keys(args, 1)?;
    let are_there = look_at(&mut cx.keys, names)?;
    let takes = Takes { weights: operation != Operation::Difference, scores: true, limit: false };
    let request = Request::parse(names, args.from(2 + names.len()), takes)?;
    let sources = sources(&cx.keys, &request, &are_there);
    let mut members = combine(operation, sources, request.aggregate, &cx.keys.shard.hasher);
    sort(&mut members);
    let (scores, nested) = (request.with_scores, request.with_scores && cx.reply.is_resp3());
    cx.reply.array(if scores && !nested { members.len() * 2 } else { members.len() });
    for (member, score) in &members {
        if nested {
            cx.reply.array(2);
        }
        cx.reply.bulk(member);
        if scores {
            cx.reply.double(*score);
        }
    }
    Ok(())
}

fn store_combined(
    cx: &mut Cx,
    args: &Args,
    operation: Operation,
    event: &'static str,
) -> CommandResult {
    let names = parse_keys(args, 2)?;
    let are_there = look_at(&mut cx.keys, names)?;
    let takes = Takes { weights: operation != Operation::Difference, scores: false, limit: false };
    let request = Request::parse(names, args.from(3 + names.len()), takes)?;
    let sources = sources(&cx.keys, &request, &are_there);
    let hasher = &cx.keys.shard.hasher;
    let members = combine(operation, sources, request.aggregate, hasher);
    let count = members.len();
    let limits = cx.keys.shard.settings.limits;
    let made = (count > 0).then(|| collect(members, hasher, &limits));
    let to = cx.keys.key(args.at(1));
    if store(cx, &to, made, event) {
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(count as i64);
    Ok(())
}

/// ZUNION numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]
pub fn zunion(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_combined(cx, args, Operation::Union)
}

/// ZINTER numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]
pub fn zinter(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_combined(cx, args, Operation::Intersection)
}

/// ZDIFF numkeys key [key …] [WITHSCORES]
pub fn zdiff(cx: &mut Cx, args: &Args) -> CommandResult {
    reply_combined(cx, args, Operation::Difference)
}

/// ZUNIONSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]
pub fn zunionstore(cx: &mut Cx, args: &Args) -> CommandResult {
    store_combined(cx, args, Operation::Union, "zunionstore")
}

/// ZINTERSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]
pub fn zinterstore(cx: &mut Cx, args: &Args) -> CommandResult {
    store_combined(cx, args, Operation::Intersection, "zinterstore")
}

/// ZDIFFSTORE destination numkeys key [key …]
pub fn zdiffstore(cx: &mut Cx, args: &Args) -> CommandResult {
    store_combined(cx, args, Operation::Difference, "zdiffstore")
}

/// ZINTERCARD numkeys key [key …] [LIMIT limit]
pub fn zintercard(cx: &mut Cx, args: &Args) -> CommandResult {
    let names = parse_keys(args, 1)?;
    let are_there = look_at(&mut cx.keys, names)?;
    let takes = Takes { weights: false, scores: false, limit: true };
    let request = Request::parse(names, args.from(2 + names.len()), takes)?;
    let mut sources = sources(&cx.keys, &request, &are_there);
    sources.sort_by_key(Source::len);
    let mut count = 0;
    intersect(&sources, Aggregate::Sum, &cx.keys.shard.hasher, |_, _| {
        count += 1;
        if count == request.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    cx.reply.int(count as i64);
    Ok(())
}
