//! Random hash commands, as far as Redis 7.0 has them.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{Word, cased, float, integer, key, spoil, value, words};

/// Few fields, so that commands meet; more than the limit set below, so that hashes become large.
const FIELDS: usize = 24;

pub fn hashes(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    let entries = *random.pick(&["0", "4", "12", "512"]);
    script.push(0, words!["CONFIG", "SET", "hash-max-listpack-entries", entries]);
    let longest = *random.pick(&["0", "20", "64"]);
    script.push(0, words!["CONFIG", "SET", "hash-max-listpack-value", longest]);
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = hash_command(random);
        script.push(connection, spoil(random, words));
        // The encoding shows what a reply does not.
        if random.one_in(4) {
            let key = hash_key(random);
            script.push(connection, words![b"OBJECT".as_slice(), b"encoding", &key]);
        }
    }
    script.finish()
}

/// Mostly one of few keys.
fn hash_key(random: &mut Random) -> Word {
    match random.below(5) {
        0 => key(random),
        1 | 2 => b"h".to_vec(),
        _ => b"{tag}h".to_vec(),
    }
}

fn field(random: &mut Random) -> Word {
    match random.below(30) {
        0 => value(random),
        _ => {
            let number = random.below(FIELDS);
            // Half of them are stored as integers.
            if number % 2 == 0 {
                number.to_string().into_bytes()
            } else {
                format!("field:{number}").into_bytes()
            }
        }
    }
}

fn hash_command(random: &mut Random) -> Vec<Word> {
    let name = *random.pick(&[
        "HSET",
        "HSET",
        "HSET",
        "HSET",
        "HMSET",
        "HSETNX",
        "HGET",
        "HGET",
        "HMGET",
        "HGETALL",
        "HKEYS",
        "HVALS",
        "HLEN",
        "HSTRLEN",
        "HEXISTS",
        "HDEL",
        "HDEL",
        "HDEL",
        "HINCRBY",
        "HINCRBY",
        "HINCRBYFLOAT",
        "HRANDFIELD",
        "HSCAN",
        "DEL",
        "SET",
        "COPY",
        "RENAME",
        "TYPE",
        "EXISTS",
    ]);
    let mut words = words![cased(random, name), hash_key(random)];
    match name {
        "HSET" | "HMSET" => {
            for _ in 0..=random.below(4) {
                words.extend([field(random), value(random)]);
            }
        }
        "HSETNX" => words.extend([field(random), value(random)]),
        "HGET" | "HSTRLEN" | "HEXISTS" => words.push(field(random)),
        "HMGET" | "HDEL" => words.extend((0..=random.below(5)).map(|_| field(random))),
        "HGETALL" | "HKEYS" | "HVALS" | "HLEN" | "TYPE" | "EXISTS" => {}
        "HINCRBY" => words.extend([counter(random), integer(random)]),
        "HINCRBYFLOAT" => words.extend([counter(random), float(random)]),
        "HRANDFIELD" => match random.below(4) {
            0 => {}
            1 => words.push(integer(random)),
            _ => {
                words.push(random.between(-30, 30).to_string().into_bytes());
                if random.one_in(2) {
                    words.push(cased(random, "WITHVALUES"));
                }
            }
        },
        "HSCAN" => {
            let cursor = if random.one_in(20) { "1x" } else { "0" }.as_bytes().to_vec();
            // All at once, since cursors are each server's own.
            words.extend([cursor, b"COUNT".to_vec(), b"100000".to_vec()]);
            if random.one_in(2) {
                let pattern: &[&str] = &["*", "field:*", "?", "1*", "[0-9]", "none"];
                words.extend([cased(random, "MATCH"), random.pick(pattern).as_bytes().to_vec()]);
            }
        }
        "DEL" if random.one_in(2) => {}
        "DEL" => words.push(hash_key(random)),
        "SET" => {
            words[1] = key(random);
            words.push(value(random));
        }
        "COPY" => {
            words.push(hash_key(random));
            words.push(cased(random, "REPLACE"));
        }
        "RENAME" => words.push(hash_key(random)),
        other => unreachable!("{other}"),
    }
    if words.len() > 2 && name == "HRANDFIELD" {
        // A huge count would be a huge reply.
        let count = String::from_utf8_lossy(&words[2]).parse::<i64>();
        if count.is_ok_and(|count| count.unsigned_abs() > 1000) {
            words.truncate(2);
        }
    }
    words
}

/// A field that mostly holds a number.
fn counter(random: &mut Random) -> Word {
    if random.one_in(3) { field(random) } else { b"counter".to_vec() }
}
