//! HSCAN: the fields of a hash, some at a time.

use super::seen_from;
use crate::args::Args;
use crate::collections::listpack::Element;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::glob::{self, Case};
use crate::number::integer;
use crate::scan::{COUNT_DEFAULT, parse_cursor};
use crate::store::Type;
use crate::values::hash::HashView;

/// HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]. A packed hash comes whole. A field that is there from the
/// first call to the last is shown at least once.
pub fn hscan(cx: &mut Cx, args: &Args) -> CommandResult {
    let cursor = parse_cursor(args.at(2))?;
    let key = cx.keys.key(args.at(1));
    let seen_from = seen_from(&cx.keys);
    // An absent key comes before wrong options.
    let Some(value) = cx.keys.read_collection(&key, Type::Hash)? else {
        cx.reply.array(2);
        cx.reply.text("0");
        cx.reply.array(0);
        return Ok(());
    };
    let options = Options::parse(args)?;
    let hash = HashView::new(value, seen_from).expect("its type was looked at");
    let reply = &mut cx.reply;
    let mut found = Vec::new();
    let mut elements = 0;
    let mut page = crate::resp::Reply::new(&mut found, reply.protocol());
    let next = hash.scan(cursor, options.count, |name, value| {
        if options.shows(name) {
            page.element(name);
            elements += 1;
            if options.values {
                page.element(value);
                elements += 1;
            }
        }
    });
    reply.array(2);
    reply.text(itoa::Buffer::new().format(next));
    reply.array(elements);
    reply.raw(&found);
    Ok(())
}

struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    values: bool,
}

impl<'a> Options<'a> {
    fn parse(args: &Args<'a>) -> Result<Options<'a>, Error> {
        let mut options = Options { pattern: None, count: COUNT_DEFAULT, values: true };
        let mut at = 3;
        while at < args.len() {
            if args.is(at, "novalues") {
                options.values = false;
                at += 1;
                continue;
            }
            let Some(value) = args.get(at + 1) else { return Err(Error::SYNTAX) };
            if args.is(at, "count") {
                options.count = match integer(value)? {
                    count @ 1.. => count as usize,
                    _ => return Err(Error::SYNTAX),
                };
            } else if args.is(at, "match") {
                options.pattern = (value != b"*").then_some(value);
            } else {
                return Err(Error::SYNTAX);
            }
            at += 2;
        }
        Ok(options)
    }

    fn shows(&self, name: Element) -> bool {
        self.pattern.is_none_or(|pattern| {
            name.with_bytes(|name| glob::matches(pattern, name, Case::Sensitive))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use std::collections::HashSet;

    #[test]
    fn a_small_hash_comes_at_once() {
        TestShard::default().check(&[
            ("HSET h a 1 b 2 33 3", "3"),
            ("HSCAN h 0 COUNT 1", r#"["0" ["a" "1" "b" "2" "33" "3"]]"#),
            ("HSCAN h 0 MATCH 3*", r#"["0" ["33" "3"]]"#),
            ("HSCAN h 0 NOVALUES MATCH [ab]", r#"["0" ["a" "b"]]"#),
            ("HSCAN h 0 MATCH", "-ERR syntax error"),
            ("HSCAN h 0 COUNT 0", "-ERR syntax error"),
            ("HSCAN h 0 COUNT x", "-ERR value is not an integer or out of range"),
            ("HSCAN h x", "-ERR invalid cursor"),
            ("HSCAN none 0 MATCH", r#"["0" []]"#),
            ("SET s v", "OK"),
            ("HSCAN s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ]);
    }

    #[test]
    fn a_large_hash_comes_piece_by_piece_without_what_is_due() {
        let mut test = TestShard::default();
        for field in 0..1000 {
            test.run(&format!("HSET h f{field} {field}"));
        }
        test.run("HPEXPIRE h 5 FIELDS 2 f1 f2");
        test.now += 6;
        let (mut cursor, mut seen, mut calls) = ("0".to_owned(), HashSet::new(), 0);
        loop {
            let reply = test.run(&format!("HSCAN h {cursor} COUNT 50 NOVALUES"));
            let (next, page) = reply[2..].split_once("\" [").expect("a cursor and a page");
            seen.extend(page.trim_matches(']').split(' ').map(str::to_owned));
            cursor = next.to_owned();
            calls += 1;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 998);
        assert!(!seen.contains("\"f1\""));
        assert!((10..=20).contains(&calls), "{calls} calls");
        test.run("HSCAN h 281474976710656 COUNT 10");
        test.run("HSCAN h 18446744073709551615 COUNT 10");
    }
}
