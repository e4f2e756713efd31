//! SORT and SORT_RO: the elements of a list, set or sorted set in an order, or what lies at keys that they name.
//!
//! A pattern of BY or GET is a key in which `*` stands for the element; behind `->` it names a field of a hash. Those keys
//! are no arguments, so a node of several shards asks [`pattern_keys`] for them, with the elements at hand, and brings
//! them together with the others before it runs the command.
//!
//! Source: redis.io, "SORT"; checked against redis-server 7.0.15, which sorts with a method that leaves equal elements in
//! no certain order. The effect of STORE is its outcome: elements of a set have an order of their own on each node.

use crate::args::Args;
use crate::collections::listpack::Element;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::notify::Classes;
use crate::number::{integer, parse_double};
use crate::store::{Key, Type, Value};
use crate::values::hash::HashView;
use crate::values::list::{self, End, ListRef};
use crate::values::set::SetView;
use crate::values::sorted_set;
use std::ops::Range;

/// Elements that one effect of STORE pushes at most.
const ELEMENTS_PER_EFFECT: usize = 4096;

/// SORT key [BY pattern] [LIMIT offset count] [GET pattern …] [ASC | DESC] [ALPHA] [STORE destination]
pub fn sort(cx: &mut Cx, args: &Args) -> CommandResult {
    run(cx, args, true)
}

/// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern …] [ASC | DESC] [ALPHA]
pub fn sort_ro(cx: &mut Cx, args: &Args) -> CommandResult {
    run(cx, args, false)
}

fn run(cx: &mut Cx, args: &Args, may_store: bool) -> CommandResult {
    let options = Options::parse(args, may_store)?;
    let keys = &mut cx.keys;
    let key = keys.key(args.at(1));
    let sorted = sorted(keys, &key, &options)?;
    if let Some(destination) = options.store {
        let stored = store(keys, destination, sorted, &options.gets);
        cx.reply.int(stored as i64);
        return Ok(());
    }
    if options.gets.is_empty() {
        cx.reply.array(sorted.len());
        sorted.iter().for_each(|element| cx.reply.bulk(element));
        return Ok(());
    }
    cx.reply.array(sorted.len() * options.gets.len());
    for element in &sorted {
        for pattern in &options.gets {
            match pattern.look_up(keys, element) {
                Some(found) => cx.reply.bulk(&found),
                None => cx.reply.null(),
            }
        }
    }
    Ok(())
}

/// Whether the command may read keys that are not among its arguments.
pub fn has_patterns(args: &Args) -> bool {
    Options::parse(args, true).is_ok_and(|options| options.patterns().next().is_some())
}

/// The keys that the command will read beside its arguments, with its elements as they are now.
pub fn pattern_keys(keys: &mut Keys, args: &Args) -> Vec<Box<[u8]>> {
    let Ok(options) = Options::parse(args, true) else { return Vec::new() };
    let key = keys.key(args.at(1));
    let Some(value) = keys.peek(&key).map(|entry| entry.value()) else { return Vec::new() };
    let Some(elements) = elements_of(value) else { return Vec::new() };
    let mut named: Vec<Box<[u8]>> = Vec::new();
    for pattern in options.patterns() {
        named.extend(elements.iter().filter_map(|element| pattern.key(element)).map(Vec::into));
    }
    named.sort();
    named.dedup();
    named
}

/// Where an element leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pattern<'a> {
    /// `#`
    Element,
    /// No `*`: nowhere.
    Nothing,
    Key {
        before: &'a [u8],
        behind: &'a [u8],
        field: Option<&'a [u8]>,
    },
}

impl<'a> Pattern<'a> {
    fn parse(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Element;
        }
        let Some(star) = memchr::memchr(b'*', text) else { return Pattern::Nothing };
        let (before, rest) = (&text[..star], &text[star + 1..]);
        // An arrow with nothing behind it belongs to the key.
        match memchr::memmem::find(rest, b"->").filter(|arrow| arrow + 2 < rest.len()) {
            Some(arrow) => {
                let (behind, field) = (&rest[..arrow], Some(&rest[arrow + 2..]));
                Pattern::Key { before, behind, field }
            }
            None => Pattern::Key { before, behind: rest, field: None },
        }
    }

    fn key(&self, element: &[u8]) -> Option<Vec<u8>> {
        match self {
            Pattern::Key { before, behind, .. } => Some([before, element, behind].concat()),
            Pattern::Element | Pattern::Nothing => None,
        }
    }

    /// What is there for an element. A value of another type is as good as none.
    fn look_up(&self, keys: &mut Keys, element: &[u8]) -> Option<Vec<u8>> {
        let (name, field) = match self {
            Pattern::Element => return Some(element.to_vec()),
            Pattern::Nothing => return None,
            Pattern::Key { field, .. } => (self.key(element)?, *field),
        };
        let key = keys.key(&name);
        let seen_from = super::hashes::seen_from(keys);
        let hasher = keys.shard.hasher.clone();
        match (keys.read(&key)?.value(), field) {
            (Value::String(string), None) => Some(string.to_vec()),
            (value, Some(field)) => {
                let found = HashView::new(value, seen_from)?.get(&hasher, field)?;
                Some(found.value.to_vec())
            }
            _ => None,
        }
    }
}

struct Options<'a> {
    by: Option<Pattern<'a>>,
    /// BY something without `*`: the order stays as it is.
    is_unsorted: bool,
    gets: Vec<Pattern<'a>>,
    offset: i64,
    /// Negative: all.
    count: i64,
    descending: bool,
    alpha: bool,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>, may_store: bool) -> Result<Options<'a>, Error> {
        let mut options = Options {
            by: None,
            is_unsorted: false,
            gets: Vec::new(),
            offset: 0,
            count: -1,
            descending: false,
            alpha: false,
            store: None,
        };
        let mut at = 2;
        while at < args.len() {
            let value = args.get(at + 1);
            match (value, args.get(at + 2)) {
                _ if args.is(at, "asc") => options.descending = false,
                _ if args.is(at, "desc") => options.descending = true,
                _ if args.is(at, "alpha") => options.alpha = true,
                (Some(offset), Some(count)) if args.is(at, "limit") => {
                    (options.offset, options.count) = (integer(offset)?, integer(count)?);
                    at += 2;
                }
                (Some(destination), _) if may_store && args.is(at, "store") => {
                    options.store = Some(destination);
                    at += 1;
                }
                (Some(pattern), _) if args.is(at, "by") => {
                    // Once said, it stays said.
                    options.is_unsorted |= !pattern.contains(&b'*');
                    options.by = Some(Pattern::parse(pattern));
                    at += 1;
                }
                (Some(pattern), _) if args.is(at, "get") => {
                    options.gets.push(Pattern::parse(pattern));
                    at += 1;
                }
                _ => return Err(Error::SYNTAX),
            }
            at += 1;
        }
        Ok(options)
    }

    /// Those that lead to keys.
    fn patterns(&self) -> impl Iterator<Item = &Pattern<'a>> {
        let by = self.by.iter().filter(|_| !self.is_unsorted);
        by.chain(&self.gets).filter(|pattern| matches!(pattern, Pattern::Key { .. }))
    }

    /// The part of `len` elements that is wanted.
    fn range(&self, len: usize) -> Range<usize> {
        let start = usize::try_from(self.offset).unwrap_or(0).min(len);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        start..start.saturating_add(count).min(len)
    }
}

/// The elements that are wanted, in their order. Error: the key holds something that has none.
fn sorted(keys: &mut Keys, key: &Key, options: &Options) -> Result<Vec<Vec<u8>>, Error> {
    let Some(entry) = keys.read(key) else { return Ok(Vec::new()) };
    let value = entry.value();
    let value_type = value.value_type();
    if options.is_unsorted && matches!(value_type, Type::List | Type::SortedSet) {
        return Ok(unsorted(value, options));
    }
    let mut elements = elements_of(value).ok_or(Error::WRONG_TYPE)?;
    // A set has no order worth storing.
    let is_ordered_for_store = options.is_unsorted && options.store.is_some();
    if !options.is_unsorted || is_ordered_for_store {
        let by = options.by.filter(|_| !is_ordered_for_store);
        let mut weighed: Vec<(Weight, Vec<u8>)> = Vec::with_capacity(elements.len());
        let alpha = options.alpha || is_ordered_for_store;
        for element in elements {
            let weight = match by {
                None if alpha => Weight::Itself,
                None => Weight::Number(number(&element)?),
                Some(pattern) => match (pattern.look_up(keys, &element), alpha) {
                    (text, true) => Weight::Text(text),
                    (Some(text), false) => Weight::Number(number(&text)?),
                    (None, false) => Weight::Number(0.0),
                },
            };
            weighed.push((weight, element));
        }
        weighed.sort_by(|one, other| {
            let order = Weight::compare(one, other);
            if options.descending { order.reverse() } else { order }
        });
        elements = weighed.into_iter().map(|(_, element)| element).collect();
    }
    let range = options.range(elements.len());
    elements.truncate(range.end);
    Ok(elements.split_off(range.start))
}

/// A part of a list or sorted set as it lies, or from its end.
fn unsorted(value: Value, options: &Options) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    match value.value_type() {
        Type::List => {
            let list = ListRef::of(value);
            let range = options.range(list.len());
            let (start, count) = (range.start, range.len());
            if options.descending && count > 0 {
                let from_end = list.iter_back_from(list.len() - 1 - start).take(count);
                elements.extend(from_end.map(Element::to_vec));
            } else if count > 0 {
                elements.extend(list.iter_from(start).take(count).map(Element::to_vec));
            }
        }
        _ => {
            let set = sorted_set::View::of(value);
            let range = options.range(set.len());
            let ranks = if options.descending {
                set.len() - range.end..set.len() - range.start
            } else {
                range
            };
            set.walk(ranks, options.descending, |member, _| elements.push(member.to_vec()));
        }
    }
    elements
}

/// All elements of a list, set or sorted set.
fn elements_of(value: Value) -> Option<Vec<Vec<u8>>> {
    Some(match value.value_type() {
        Type::List => ListRef::of(value).iter().map(Element::to_vec).collect(),
        Type::Set => {
            let set = SetView::of(value);
            let mut elements = Vec::with_capacity(set.len());
            set.for_each(|member| elements.push(member.to_vec()));
            elements
        }
        Type::SortedSet => {
            let set = sorted_set::View::of(value);
            let mut elements = Vec::with_capacity(set.len());
            set.walk(0..set.len(), false, |member, _| elements.push(member.to_vec()));
            elements
        }
        Type::String | Type::Hash | Type::Stream => return None,
    })
}

/// What an element is sorted by; one kind in one command.
enum Weight {
    Itself,
    Number(f64),
    /// None comes before all.
    Text(Option<Vec<u8>>),
}

impl Weight {
    fn compare(
        (one, element): &(Weight, Vec<u8>),
        (other, other_element): &(Weight, Vec<u8>),
    ) -> std::cmp::Ordering {
        match (one, other) {
            (Weight::Number(one), Weight::Number(other)) => {
                // Zeros of both signs are equal.
                let order = one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal);
                order.then_with(|| element.cmp(other_element))
            }
            (Weight::Text(one), Weight::Text(other)) => one.cmp(other),
            _ => element.cmp(other_element),
        }
    }
}

/// As `strtod` reads it: spaces may stand before it, and nothing is 0.
fn number(text: &[u8]) -> Result<f64, Error> {
    if text.is_empty() {
        return Ok(0.0);
    }
    let digits = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'..=b'\r'));
    digits
        .and_then(|at| parse_double(&text[at..]))
        .ok_or(Error::new("ERR One or more scores can't be converted into double"))
}

/// Puts the result in the place of what the destination holds. Returns how many elements it has.
fn store(keys: &mut Keys, destination: &[u8], sorted: Vec<Vec<u8>>, gets: &[Pattern]) -> usize {
    let elements = if gets.is_empty() {
        sorted
    } else {
        let mut found = Vec::with_capacity(sorted.len() * gets.len());
        for element in &sorted {
            // What is not there is stored as nothing.
            found.extend(gets.iter().map(|get| get.look_up(keys, element).unwrap_or_default()));
        }
        found
    };
    let key = keys.key(destination);
    let replaced = keys.remove(&key);
    if replaced {
        keys.effect_removed(&key, false);
    }
    if elements.is_empty() {
        if replaced {
            keys.changed(&key, Classes::GENERIC, "del");
        }
        return 0;
    }
    let limit = list::Limit::of_setting(keys.shard.settings.limits.list_max_listpack_size.into());
    let texts = elements.iter().map(Vec::as_slice);
    keys.create(&key, list::created(End::Right, texts, limit));
    keys.changed_many(&key, Classes::LIST, "sortstore", elements.len() as u64);
    if keys.shard.effects.enabled {
        for part in elements.chunks(ELEMENTS_PER_EFFECT) {
            let front = [&b"RPUSH"[..], key.bytes];
            let parts: Vec<&[u8]> =
                front.into_iter().chain(part.iter().map(Vec::as_slice)).collect();
            keys.effect(&parts);
        }
    }
    elements.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::OwnedArgs;
    use crate::commands::testing::{TestShard, words};

    const SYNTAX: &str = "-ERR syntax error";
    const NO_NUMBER: &str = "-ERR One or more scores can't be converted into double";

    /// Lines with replies of redis-server 7.0.15.
    #[test]
    fn elements_are_sorted_as_in_redis() {
        TestShard::default().check(&[
            ("RPUSH l 3 1 2 10 x", "5"),
            ("SORT l", NO_NUMBER),
            ("SORT l ALPHA", r#"["1" "10" "2" "3" "x"]"#),
            ("SORT l alpha desc limit 1 2", r#"["3" "2"]"#),
            ("LREM l 0 x", "1"),
            ("SORT l", r#"["1" "2" "3" "10"]"#),
            ("SORT l desc limit 0 2", r#"["10" "3"]"#),
            ("SORT l limit -1 2", r#"["1" "2"]"#),
            ("SORT l limit 1 -1", r#"["2" "3" "10"]"#),
            ("SORT l limit 10 5", "[]"),
            ("SORT l limit 1", SYNTAX),
            ("SORT l limit a b", "-ERR value is not an integer or out of range"),
            ("SORT l by", SYNTAX),
            ("SORT l foo", SYNTAX),
            ("SORT l asc desc asc", r#"["1" "2" "3" "10"]"#),
            ("SORT l by nosort limit 1 2", r#"["1" "2"]"#),
            ("SORT l by nosort desc", r#"["10" "2" "1" "3"]"#),
            ("SORT l by nosort desc limit 1 2", r#"["2" "1"]"#),
            ("SORT none", "[]"),
            ("SET s v", "OK"),
            ("SORT s", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
            ("RPUSH f 1.5 1e3 0x10 inf -inf", "5"),
            ("SORT f", r#"["-inf" "1.5" "0x10" "1e3" "inf"]"#),
            ("RPUSH f nan", "6"),
            ("SORT f", NO_NUMBER),
            (r#"RPUSH g " 1" 2 "" "#, "3"),
            ("SORT g", r#"["" " 1" "2"]"#),
            (r#"RPUSH h " " 2"#, "2"),
            ("SORT h", NO_NUMBER),
        ]);
    }

    #[test]
    fn sets_of_both_kinds_have_elements() {
        TestShard::default().check(&[
            ("ZADD z 3 a 1 b 2 c", "3"),
            ("SORT z ALPHA", r#"["a" "b" "c"]"#),
            ("SORT z BY nosort", r#"["b" "c" "a"]"#),
            ("SORT z BY nosort DESC LIMIT 0 2", r#"["a" "c"]"#),
            ("SORT z BY nosort LIMIT 1 1", "[\"c\"]"),
            ("SADD st 5 3 1", "3"),
            ("SORT st", r#"["1" "3" "5"]"#),
            ("SORT_RO st DESC", r#"["5" "3" "1"]"#),
            ("SORT_RO st STORE d", SYNTAX),
            ("SADD many x c a b", "4"),
            ("SORT many BY nosort STORE d", "4"),
            ("LRANGE d 0 -1", r#"["a" "b" "c" "x"]"#),
        ]);
    }

    #[test]
    fn patterns_lead_to_other_keys() {
        TestShard::default().check(&[
            ("RPUSH l 3 1 2 10", "4"),
            ("MSET w_1 5 w_2 4 w_3 3 w_10 x", "OK"),
            ("SORT l BY w_*", NO_NUMBER),
            ("SET w_10 1", "OK"),
            ("SORT l BY w_*", r#"["10" "3" "2" "1"]"#),
            ("SORT l BY w_* GET # GET w_*", r#"["10" "1" "3" "3" "2" "4" "1" "5"]"#),
            ("SORT l BY w_* BY nosort", r#"["3" "1" "2" "10"]"#),
            ("HSET h_1 f 9 g a", "2"),
            ("HSET h_2 f 8", "1"),
            (
                "SORT l BY h_*->f GET h_*->g GET h_*->none GET h_*",
                "[nil nil nil nil nil nil nil nil nil \"a\" nil nil]",
            ),
            ("SORT l GET h_*->", "[nil nil nil nil]"),
            ("SORT l GET nostar GET * LIMIT 0 1", "[nil nil]"),
            ("SORT l BY w_* GET none_* GET # STORE dst", "8"),
            ("LRANGE dst 0 -1", r#"["" "10" "" "3" "" "2" "" "1"]"#),
            ("SORT none STORE dst", "0"),
            ("EXISTS dst", "0"),
            ("SORT l STORE l", "4"),
            ("LRANGE l 0 -1", r#"["1" "2" "3" "10"]"#),
        ]);
    }

    #[test]
    fn what_is_stored_is_replicated_as_its_outcome() {
        let mut test = TestShard::with_events("KEA");
        test.run("RPUSH l 3 1 2");
        test.check_effects("SORT l", &[]);
        test.check_effects("SORT l STORE d", &["RPUSH d 1 2 3"]);
        test.check_effects("SORT l DESC STORE d", &["DEL d", "RPUSH d 3 2 1"]);
        test.check_effects("SORT none STORE d", &["DEL d"]);
        test.check_effects("SORT none STORE d", &[]);
        test.check_events("SORT l STORE d", &["sortstore d"]);
        test.check_events("SORT none STORE d", &["del d"]);
    }

    #[test]
    fn keys_of_patterns_are_known_beforehand() {
        let mut test = TestShard::default();
        test.run("RPUSH l 3 1 3");
        let mut named = |line: &str| {
            let args = OwnedArgs::new(words(line).iter().map(Vec::as_slice));
            let mut keys = Keys {
                shard: &mut test.shard,
                database: 0,
                now: test.now,
                caller: test.caller,
                first: None,
            };
            let named = pattern_keys(&mut keys, &args.args());
            assert!(named.is_empty() || has_patterns(&args.args()), "{line}");
            named.iter().map(|key| key.escape_ascii().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(named("SORT l BY w_*"), ["w_1", "w_3"]);
        assert_eq!(named("SORT l BY nosort GET a*b->f GET # GET none"), ["a1b", "a3b"]);
        assert!(named("SORT l BY nosort BY w_*").is_empty());
        assert!(named("SORT none BY w_*").is_empty());
        assert!(named("SORT l BY").is_empty());
    }
}
