//! Random stream commands, and what of their replies two servers may rightly differ in.
//!
//! Written for redis-server 7.0, which creates a consumer only when it has something for it; since 7.2 it is there from
//! its first attempt on. So whoever creates a group creates its consumers too, and none is removed again. What 7.0 does
//! not have (`inactive`, `active-time`, XREAD's `+`) and checks otherwise (XSETID) is left out.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::reply::Reply;
use super::words::{Word, cased, command, spoil, words};

/// Two in one slot, and one that holds a string.
const KEYS: &[&str] = &["stream", "stream", "stream", "{stream}2", "other", "other", "string"];
const GROUPS: &[&str] = &["group", "group", "second", "third"];
const CONSUMERS: &[&str] = &["alice", "bob", "carol"];
const FIELDS: &[&str] = &["temperature", "f", "1", "-4097", ""];
const VALUES: &[&str] = &["x", "7", "-70000", "", "007", "9223372036854775807"];

pub fn streams(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    let mut last_ms = 10;
    script.push(0, words!["SET", "string", "x"]);
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = stream_command(random, &mut last_ms);
        let creates = words[0] == b"XGROUP" && words[1] == b"CREATE";
        let (key, group) = (words.get(2).cloned(), words.get(3).cloned());
        script.push(connection, if creates { words } else { spoil_most(random, words) });
        if let (true, Some(key), Some(group)) = (creates, key, group) {
            for consumer in CONSUMERS {
                let words = words![b"XGROUP".as_slice(), b"CREATECONSUMER", &key, &group, consumer];
                script.push(connection, words);
            }
        }
    }
    script.finish()
}

/// A spoilt name of a consumer is another consumer, and 7.0 spells one error of XREAD in its own way.
fn spoil_most(random: &mut Random, words: Vec<Word>) -> Vec<Word> {
    let name = words[0].to_ascii_uppercase();
    let keeps = [&b"XREAD"[..], b"XREADGROUP", b"XCLAIM", b"XAUTOCLAIM", b"XGROUP", b"XSETID"];
    if keeps.contains(&&name[..]) { words } else { spoil(random, words) }
}

fn stream_command(random: &mut Random, last_ms: &mut i64) -> Vec<Word> {
    let key = random.pick(KEYS).to_string();
    let group = random.pick(GROUPS).to_string();
    let consumer = random.pick(CONSUMERS).to_string();
    match random.below(30) {
        0..9 => add(random, key, last_ms),
        9 | 10 => {
            let mut words = words![cased(random, "XDEL"), key];
            words.extend((0..=random.below(3)).map(|_| id(random, *last_ms)));
            words
        }
        11 => {
            let mut words = words![cased(random, "XTRIM"), key];
            trim(random, &mut words, *last_ms);
            words
        }
        12 | 13 => {
            let name = *random.pick(&["XRANGE", "XREVRANGE"]);
            let mut words = words![cased(random, name), key];
            words.extend([bound(random, *last_ms), bound(random, *last_ms)]);
            count(random, &mut words);
            words
        }
        14 => {
            let mut words = words![cased(random, "XREAD")];
            count(random, &mut words);
            let second = random.pick(KEYS).to_string();
            let ids = [0, 1].map(|_| match random.below(3) {
                0 => b"$".to_vec(),
                1 => b"0".to_vec(),
                _ => id(random, *last_ms),
            });
            words.extend(command(&["STREAMS", &key, &second]));
            words.extend(ids);
            words
        }
        15..=18 => read_group(random, group, consumer, *last_ms),
        19 => {
            let mut words = words![cased(random, "XACK"), key, group];
            words.extend((0..=random.below(3)).map(|_| id(random, *last_ms)));
            words
        }
        20 => {
            let mut words = words![cased(random, "XPENDING"), key, group];
            if !random.one_in(3) {
                if random.one_in(4) {
                    let idle = *random.pick(&["0", "99999999"]);
                    words.extend(command(&["IDLE", idle]));
                }
                words.extend([bound(random, *last_ms), bound(random, *last_ms)]);
                words.push(random.between(-1, 9).to_string().into_bytes());
                if random.one_in(2) {
                    words.push(consumer.into_bytes());
                }
            }
            words
        }
        21 | 22 => claim(random, key, group, consumer, *last_ms),
        23 => {
            let start = random.pick(&["-", "0", "12", "(14-1"]).to_string();
            let idle = random.pick(&["0", "0", "99999999"]).to_string();
            let mut words = words![b"XAUTOCLAIM".to_vec(), key, group, consumer, idle, start];
            if random.one_in(2) {
                words.extend(command(&["COUNT", &random.below(5).to_string()]));
            }
            if random.one_in(3) {
                words.push(cased(random, "JUSTID"));
            }
            words
        }
        24 => create_group(random, key, group, *last_ms),
        25 => {
            let mut words = words![b"XGROUP".to_vec(), b"SETID", key, group];
            words.push(if random.one_in(3) { b"$".to_vec() } else { id(random, *last_ms) });
            entries_read(random, &mut words);
            words
        }
        26 if random.one_in(4) => words![b"XGROUP".to_vec(), b"DESTROY", key, group],
        26 => words![b"XINFO".to_vec(), b"GROUPS", key],
        27 => {
            let mut words = words![b"XINFO".to_vec(), b"STREAM", key];
            if random.one_in(2) {
                words.push(cased(random, "FULL"));
                count(random, &mut words);
            }
            words
        }
        28 if random.one_in(6) => words![b"DEL".to_vec(), key],
        28 => {
            let id = format!("{}-9", *last_ms);
            let mut words = words![b"XSETID".to_vec(), key, id];
            if random.one_in(2) {
                words.extend(command(&["ENTRIESADDED", &random.below(60).to_string()]));
            }
            words
        }
        _ => words![cased(random, "XLEN"), key],
    }
}

fn add(random: &mut Random, key: String, last_ms: &mut i64) -> Vec<Word> {
    let mut words = words![cased(random, "XADD"), key];
    if random.one_in(8) {
        words.push(cased(random, "NOMKSTREAM"));
    }
    if random.one_in(5) {
        trim(random, &mut words, *last_ms);
    }
    if random.one_in(4) {
        *last_ms += 1;
    }
    words.push(match random.below(12) {
        0 => id(random, *last_ms),
        _ => format!("{}-*", *last_ms).into_bytes(),
    });
    for _ in 0..=random.below(3) {
        words.push(random.pick(FIELDS).as_bytes().to_vec());
        words.push(match random.below(8) {
            0 => vec![b'x'; random.below(100)],
            _ => random.pick(VALUES).as_bytes().to_vec(),
        });
    }
    words
}

fn trim(random: &mut Random, words: &mut Vec<Word>, last_ms: i64) {
    let by_length = random.one_in(2);
    words.push(cased(random, if by_length { "MAXLEN" } else { "MINID" }));
    match random.below(3) {
        0 => words.push(b"~".to_vec()),
        1 => words.push(b"=".to_vec()),
        _ => {}
    }
    words.push(match by_length {
        true => random.between(-1, 200).to_string().into_bytes(),
        false => id(random, last_ms),
    });
    if random.one_in(4) {
        words.extend(command(&["LIMIT", &random.between(-1, 150).to_string()]));
    }
}

fn read_group(random: &mut Random, group: String, consumer: String, last_ms: i64) -> Vec<Word> {
    let mut words = words![cased(random, "XREADGROUP"), b"GROUP".as_slice(), group, consumer];
    count(random, &mut words);
    if random.one_in(5) {
        words.push(cased(random, "NOACK"));
    }
    let keys: &[&str] = match random.below(4) {
        0 => &["stream", "{stream}2"],
        1 => &["stream", "stream"],
        2 => &["other"],
        _ => &["stream"],
    };
    words.push(cased(random, "STREAMS"));
    words.extend(command(keys));
    for _ in keys {
        words.push(match random.below(6) {
            0 => b"0".to_vec(),
            1 => id(random, last_ms),
            _ => b">".to_vec(),
        });
    }
    words
}

fn claim(
    random: &mut Random,
    key: String,
    group: String,
    consumer: String,
    last_ms: i64,
) -> Vec<Word> {
    let idle = random.pick(&["0", "0", "99999999", "x"]).to_string();
    let mut words = words![cased(random, "XCLAIM"), key, group, consumer, idle];
    words.extend((0..=random.below(3)).map(|_| id(random, last_ms)));
    for _ in 0..random.below(3) {
        let option: &[&str] = match random.below(7) {
            0 => &["FORCE"],
            1 => &["JUSTID"],
            2 => &["RETRYCOUNT", "7"],
            3 => &["TIME", "5000"],
            4 => &["IDLE", "100000000"],
            5 => &["LASTID", "12-3"],
            _ => &["FOO"],
        };
        words.extend(command(option));
    }
    words
}

fn create_group(random: &mut Random, key: String, group: String, last_ms: i64) -> Vec<Word> {
    let mut words = words![b"XGROUP".to_vec(), b"CREATE", key, group];
    words.push(match random.below(3) {
        0 => b"$".to_vec(),
        1 => b"0".to_vec(),
        _ => id(random, last_ms),
    });
    if random.one_in(3) {
        words.push(cased(random, "MKSTREAM"));
    }
    entries_read(random, &mut words);
    words
}

fn entries_read(random: &mut Random, words: &mut Vec<Word>) {
    if random.one_in(3) {
        words.extend(command(&["ENTRIESREAD", &random.between(-2, 40).to_string()]));
    }
}

fn count(random: &mut Random, words: &mut Vec<Word>) {
    if random.one_in(2) {
        words.extend(command(&["COUNT", &random.between(-1, 6).to_string()]));
    }
}

/// An id that an entry may have, or now and then none at all.
fn id(random: &mut Random, last_ms: i64) -> Word {
    match random.below(30) {
        0 => random
            .pick(&["x", "-", "0-0", "5-", "18446744073709551616", "007-01"])
            .as_bytes()
            .to_vec(),
        1 => random.between(10, last_ms).to_string().into_bytes(),
        _ => {
            let ms = random.between((last_ms - 30).max(10), last_ms);
            format!("{ms}-{}", random.below(5)).into_bytes()
        }
    }
}

/// An end of a range.
fn bound(random: &mut Random, last_ms: i64) -> Word {
    match random.below(5) {
        0 => b"-".to_vec(),
        1 => b"+".to_vec(),
        2 => [b"(", &id(random, last_ms)[..]].concat(),
        _ => id(random, last_ms),
    }
}

/// A reply of XINFO or XPENDING without what depends on the clock, on the number of nodes of a radix tree, or on the
/// version.
pub fn without_times(reply: &Reply) -> Reply {
    /// Earlier than any reading of a clock, but later than times and idle times that commands name.
    const CLOCK: i64 = 1_000_000_000_000;
    match reply {
        Reply::Array(members) => {
            let mut kept = Vec::new();
            let mut members = members.iter().peekable();
            while let Some(member) = members.next() {
                let name = if let Reply::Bulk(name) = member { &name[..] } else { b"" };
                match name {
                    b"inactive" | b"active-time" => drop(members.next()),
                    b"idle" | b"seen-time" | b"radix-tree-nodes" => drop(members.next()),
                    _ => kept.push(without_times(member)),
                }
            }
            // A pending entry: its id, its consumer, how long ago, how often.
            if let [Reply::Bulk(_), Reply::Bulk(_), Reply::Integer(ms), Reply::Integer(_)] =
                &mut kept[..]
            {
                *ms = if *ms >= CLOCK { -1 } else { *ms / 10_000_000 };
            }
            // The same of a consumer.
            if let [Reply::Bulk(_), Reply::Integer(ms), Reply::Integer(_)] = &mut kept[..] {
                *ms = if *ms >= CLOCK { -1 } else { *ms };
            }
            Reply::Array(kept)
        }
        other => other.clone(),
    }
}
