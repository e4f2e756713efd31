//! What the tests of commands share: a shard that runs lines of text as commands, and replies as text.
//!
//! A line is words between spaces; a word in double quotes may hold spaces and the escapes `\xHH`, `\"`, `\\`.
//! A reply is `OK`, `-ERR …`, `7`, `"bulk"`, `nil`, `[1 2]`, `{"key" 1}`.

use crate::args::OwnedArgs;
use crate::command::{Handler, resolve};
use crate::cx::Cx;
use crate::digest;
use crate::error::Error;
use crate::keys::{Caller, Keys};
use crate::notify::Classes;
use crate::resp::{Protocol, Reply};
use crate::shard::Shard;
use crate::store::{EntryRef, Hasher};
use crate::values::hash::HashView;
use std::fmt::Write;

pub const NOW: i64 = 1_700_000_000_000;

/// A shard with four databases, and who talks to it.
pub struct TestShard {
    pub shard: Shard,
    pub database: usize,
    pub now: i64,
    pub protocol: Protocol,
    pub caller: Caller,
}

impl Default for TestShard {
    fn default() -> Self {
        let mut shard = Shard::new(Hasher::new([1, 2, 3, 4]), 4, 1);
        shard.effects.enabled = true;
        TestShard {
            shard,
            database: 0,
            now: NOW,
            protocol: Protocol::Resp2,
            caller: Caller::default(),
        }
    }
}

impl TestShard {
    /// A shard that publishes these classes of keyspace events.
    pub fn with_events(letters: &str) -> Self {
        let mut test = TestShard::default();
        test.shard.settings.notify = Classes::parse(letters).expect("classes");
        test
    }

    pub fn run(&mut self, line: &str) -> String {
        let words = words(line);
        self.run_words(&words)
    }

    pub fn run_words<W: AsRef<[u8]>>(&mut self, words: &[W]) -> String {
        let args = OwnedArgs::new(words.iter().map(AsRef::as_ref));
        let mut out = Vec::new();
        let keys = Keys {
            shard: &mut self.shard,
            database: self.database,
            now: self.now,
            caller: self.caller,
            first: None,
        };
        let mut cx = Cx::new(keys, Reply::new(&mut out, self.protocol));
        let outcome = resolve(&args.args()).and_then(|spec| match spec.handler {
            Handler::Keys(function) => function(&mut cx, &args.args()),
            other => Err(Error::text(format!("ERR {other:?} does not run on a shard"))),
        });
        // As in a transaction.
        if let Some(wait) = cx.wait {
            wait.timeout_reply.write(&mut cx.reply);
        }
        if let Err(error) = outcome {
            assert!(out.is_empty(), "{:?} was answered before the error", words_as_text(words));
            Reply::new(&mut out, self.protocol).error(&error);
        }
        reply_as_text(&out)
    }

    /// Runs each line and compares its reply.
    #[track_caller]
    pub fn check(&mut self, lines: &[(&str, &str)]) {
        for (line, reply) in lines {
            assert_eq!(self.run(line), *reply, "{line}");
        }
    }

    /// Runs a line and compares its effects, each as a line.
    #[track_caller]
    pub fn check_effects(&mut self, line: &str, effects: &[&str]) {
        self.shard.effects.clear();
        self.run(line);
        let found: Vec<String> =
            self.take_effects().iter().map(|(_, words)| words_as_text(words)).collect();
        assert_eq!(found, effects, "{line}");
    }

    /// Runs a line and compares its events, each as `event key`.
    #[track_caller]
    pub fn check_events(&mut self, line: &str, events: &[&str]) {
        self.shard.events.list.clear();
        self.run(line);
        let found: Vec<String> = std::mem::take(&mut self.shard.events.list)
            .iter()
            .map(|event| format!("{} {}", event.name, event.key.escape_ascii()))
            .collect();
        assert_eq!(found, events, "{line}");
    }

    /// The effects since they were last taken: database and words.
    pub fn take_effects(&mut self) -> Vec<(usize, Vec<Vec<u8>>)> {
        let taken = self.shard.effects.iter().map(|(db, command)| (db, effect_words(command)));
        let taken = taken.collect();
        self.shard.effects.clear();
        taken
    }

    /// Every entry of every database in order, those past their time too.
    pub fn contents(&self) -> Vec<Content> {
        let mut contents = Vec::new();
        for (number, database) in self.shard.databases.iter().enumerate() {
            database.for_each(|entry| {
                contents.push(Content {
                    database: number,
                    key: entry.key().to_vec(),
                    value: value_as_bytes(&entry),
                    expire_at: entry.expire_at(),
                });
            });
        }
        contents.sort();
        contents
    }
}

/// A string as it is, a collection as its digest, with the times of a hash's fields.
fn value_as_bytes(entry: &EntryRef) -> Vec<u8> {
    if let Some(hash) = HashView::whole(entry.value()) {
        let mut fields = Vec::new();
        hash.for_each(|name, found| {
            fields.push(format!("{:?} {:?}", name.to_vec(), found.expire_at));
        });
        fields.sort();
        let digest = digest::hex(&digest::of_value(Some(*entry)));
        return format!("{digest} {fields:?}").into_bytes();
    }
    match entry.string() {
        Some(string) => string.to_vec(),
        None => digest::of_value(Some(*entry)).to_vec(),
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    pub database: usize,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub expire_at: Option<i64>,
}

/// The words of a line.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    while let Some(first) = bytes.next() {
        let mut word = Vec::new();
        match first {
            b' ' => continue,
            b'"' => loop {
                match bytes.next().expect("closing quote") {
                    b'"' => break,
                    b'\\' => match bytes.next().expect("escaped byte") {
                        b'x' => {
                            let digits =
                                [bytes.next(), bytes.next()].map(|digit| digit.expect("digit"));
                            let digits = std::str::from_utf8(&digits).expect("digits");
                            word.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
                        }
                        escaped => word.push(escaped),
                    },
                    byte => word.push(byte),
                }
            },
            _ => {
                word.push(first);
                while let Some(byte) = bytes.next_if(|byte| *byte != b' ') {
                    word.push(byte);
                }
            }
        }
        words.push(word);
    }
    words
}

fn words_as_text<W: AsRef<[u8]>>(words: &[W]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| word.as_ref().escape_ascii().to_string()).collect();
    words.join(" ")
}

/// The words of an effect, which is an array of bulk strings.
fn effect_words(command: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = command;
    let (_, count) = head(&mut rest);
    let words = (0..count.parse().expect("count")).map(|_: usize| {
        let (_, length) = head(&mut rest);
        bulk(&mut rest, length)
    });
    words.collect()
}

fn reply_as_text(reply: &[u8]) -> String {
    let mut rest = reply;
    let mut text = String::new();
    element(&mut rest, &mut text);
    assert!(rest.is_empty(), "more than one reply: {}", reply.escape_ascii());
    text
}

fn element(rest: &mut &[u8], text: &mut String) {
    let (kind, line) = head(rest);
    match kind {
        b'+' | b':' | b',' | b'(' => text.push_str(&line),
        b'-' => text.push_str(&format!("-{line}")),
        b'_' => text.push_str("nil"),
        b'#' => text.push_str(if line == "t" { "true" } else { "false" }),
        b'$' | b'*' if line == "-1" => text.push_str("nil"),
        b'$' | b'=' => {
            let bytes = bulk(rest, line);
            write!(text, "\"{}\"", bytes.escape_ascii()).expect("a String takes all");
        }
        b'*' | b'~' | b'>' | b'%' => {
            let count: usize = line.parse().expect("count");
            let (open, close) = if kind == b'%' { ('{', '}') } else { ('[', ']') };
            text.push(open);
            for index in 0..if kind == b'%' { count * 2 } else { count } {
                if index > 0 {
                    text.push(' ');
                }
                element(rest, text);
            }
            text.push(close);
        }
        other => panic!("no type of reply: {}", other.escape_ascii()),
    }
}

/// A line's first byte and the text behind it.
fn head(rest: &mut &[u8]) -> (u8, String) {
    let end = memchr::memchr(b'\r', rest).expect("end of line");
    let line = &rest[..end];
    *rest = rest.get(end + 2..).expect("line feed");
    (line[0], String::from_utf8_lossy(&line[1..]).into_owned())
}

fn bulk(rest: &mut &[u8], length: String) -> Vec<u8> {
    let (bytes, behind) = rest.split_at(length.parse().expect("length"));
    *rest = behind.strip_prefix(b"\r\n").expect("end of bulk string");
    bytes.to_vec()
}
