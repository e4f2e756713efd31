//! Random commands on keys of any type, databases and transactions.

use super::differential::{CONNECTIONS, SCAN_ALL, Script, Step};
use super::random::Random;
use super::words::{Word, cased, command, far_future, integer, key, spoil, value, words};

pub fn keys(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        // Each relative time to live of a sequence is another one, whole seconds apart, so that GT and
        // LT never depend on the millisecond in which a server saw the command.
        let serial = script.len();
        let words = match random.below(20) {
            0..=3 => fill(random),
            4 => unordered(random),
            _ => key_command(random, serial),
        };
        let words = if words[0].starts_with(b"SCAN") { words } else { spoil(random, words) };
        script.push(connection, words);
    }
    script.finish()
}

pub fn transactions(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let serial = script.len();
        let queues = script.queues(connection);
        let words = match random.below(if queues { 16 } else { 12 }) {
            0 => words!["MULTI"],
            1 if queues => words!["EXEC"],
            1 | 2 => words![b"WATCH".to_vec(), key(random), key(random)],
            3 if random.one_in(4) => {
                words![*random.pick(&["UNWATCH", "RESET", "EXEC", "DISCARD"])]
            }
            3 if random.one_in(4) => words!["NOSUCHCOMMAND", "with", "words"],
            4 => fill(random),
            5 | 6 => words![b"GET".to_vec(), key(random)],
            7 => words![b"INCR".to_vec(), key(random)],
            8 => {
                words![b"MSET".to_vec(), key(random), value(random), key(random), value(random)]
            }
            9 => words![b"MGET".to_vec(), key(random), key(random), key(random)],
            14 | 15 => words!["EXEC"],
            _ => {
                let words = key_command(random, serial);
                // Times to live that run are compared with some tolerance, which a transaction's
                // reply would hide.
                if words[0].to_ascii_uppercase().ends_with(b"TTL")
                    || words[0].to_ascii_uppercase().ends_with(b"TIME")
                {
                    words!["DBSIZE"]
                } else {
                    words
                }
            }
        };
        script.push(connection, spoil(random, words));
    }
    script.finish()
}

fn fill(random: &mut Random) -> Vec<Word> {
    let mut words = words![b"SET".to_vec(), key(random), value(random)];
    match random.below(6) {
        0 => words.extend([b"PXAT".to_vec(), far_future(random, false)]),
        1 => words.extend([b"EXAT".to_vec(), far_future(random, true)]),
        2 => words.push(b"KEEPTTL".to_vec()),
        _ => {}
    }
    words
}

fn key_command(random: &mut Random, serial: usize) -> Vec<Word> {
    let name = *random.pick(&[
        "DEL",
        "UNLINK",
        "EXISTS",
        "TOUCH",
        "TYPE",
        "EXPIRE",
        "PEXPIRE",
        "EXPIREAT",
        "PEXPIREAT",
        "EXPIREAT",
        "PEXPIREAT",
        "TTL",
        "PTTL",
        "EXPIRETIME",
        "PEXPIRETIME",
        "PEXPIRETIME",
        "PERSIST",
        "RENAME",
        "RENAMENX",
        "RENAME",
        "RENAMENX",
        "COPY",
        "COPY",
        "MOVE",
        "DBSIZE",
        "SELECT",
        "SWAPDB",
        "OBJECT",
        "GET",
        "FLUSH",
        "ECHO",
    ]);
    let mut words = vec![cased(random, name)];
    match name {
        "DEL" | "UNLINK" if !random.one_in(4) => words.push(key(random)),
        "DEL" | "UNLINK" | "EXISTS" | "TOUCH" => {
            words.extend((0..=random.below(5)).map(|_| key(random)))
        }
        "TYPE" | "TTL" | "PTTL" | "EXPIRETIME" | "PEXPIRETIME" | "PERSIST" | "GET" | "ECHO" => {
            words.push(key(random))
        }
        "EXPIRE" | "PEXPIRE" | "EXPIREAT" | "PEXPIREAT" => {
            words.push(key(random));
            words.push(expiry(random, name, serial));
            for _ in 0..random.below(3) {
                let option = *random.pick(&["NX", "XX", "GT", "LT", "GT", "LT", "FOO"]);
                if option != "FOO" || random.one_in(4) {
                    words.push(cased(random, option));
                }
            }
        }
        "RENAME" | "RENAMENX" => words.extend([key(random), key(random)]),
        "COPY" => {
            words.extend([key(random), key(random)]);
            for _ in 0..random.below(3) {
                match random.below(5) {
                    0 | 1 => words.push(cased(random, "REPLACE")),
                    2 if random.one_in(4) => words.push(b"NX".to_vec()),
                    _ => words.extend([cased(random, "DB"), database(random)]),
                }
            }
        }
        "MOVE" => words.extend([key(random), database(random)]),
        "SELECT" => words.push(database(random)),
        "SWAPDB" => words.extend([database(random), database(random)]),
        "DBSIZE" => {}
        "OBJECT" => {
            // Without an LFU policy FREQ is an error.
            let subcommand = *random.pick(&["ENCODING", "ENCODING", "ENCODING", "FREQ", "NOSUCH"]);
            words.push(cased(random, subcommand));
            words.push(key(random));
        }
        "FLUSH" => {
            // Rarely, or nothing would be there for the others.
            if !random.one_in(12) {
                return words!["DBSIZE"];
            }
            let name = *random.pick(&["FLUSHDB", "FLUSHDB", "FLUSHALL"]);
            words = vec![cased(random, name)];
            if random.one_in(2) {
                words.push(random.pick(&["ASYNC", "SYNC", "async", "NOW"]).as_bytes().to_vec());
            }
        }
        other => unreachable!("{other}"),
    }
    words
}

fn expiry(random: &mut Random, name: &str, serial: usize) -> Word {
    let odd: &[&str] = &[
        "0",
        "-1",
        "1",
        "x",
        "",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775",
        "1.5",
        "-9223372036854775",
    ];
    let relative = !name.ends_with("AT");
    let in_seconds = !name.starts_with('P');
    if random.one_in(7) {
        let word = *random.pick(odd);
        // A single second may pass in the middle of a run.
        return (if relative && word == "1" { "-7" } else { word }).as_bytes().to_vec();
    }
    if !relative {
        return far_future(random, in_seconds);
    }
    let span = random.between(1, 20) * 1_000_000 + serial as i64 * 20;
    (if in_seconds { span } else { span * 1000 }).to_string().into_bytes()
}

fn database(random: &mut Random) -> Word {
    match random.below(14) {
        0 => integer(random),
        1 => random.pick(&["15", "16", "-1", "x", ""]).as_bytes().to_vec(),
        _ => random.below(3).to_string().into_bytes(),
    }
}

/// Commands whose replies have no order of their own.
fn unordered(random: &mut Random) -> Vec<Word> {
    match random.below(4) {
        0 => words!["RANDOMKEY"],
        1 => words!["KEYS", glob(random)],
        2 if random.one_in(4) => {
            let bad: &[&[&str]] = &[
                &["SCAN", "x"],
                &["SCAN", "-1x"],
                &["SCAN", "0", "COUNT", "0"],
                &["SCAN", "0", "COUNT", "-5"],
                &["SCAN", "0", "COUNT", "x"],
                &["SCAN", "0", "COUNT"],
                &["SCAN", "0", "MATCH"],
                &["SCAN", "0", "FOO", "1"],
                &["SCAN"],
                &["SCAN", "99999999999999999999999"],
                &["SCAN", "0", "TYPE"],
            ];
            command::<&str>(random.pick::<&[&str]>(bad))
        }
        _ => {
            let mut words = words![SCAN_ALL];
            if random.one_in(2) {
                words.extend(words!["MATCH", glob(random)]);
            }
            if random.one_in(2) {
                words.extend(words!["count", random.pick(&["1", "2", "7", "1000", "1000000"])]);
            }
            if random.one_in(3) {
                words.extend(words![
                    "TYPE",
                    random.pick(&["string", "STRING", "list", "hash", "zset"]),
                ]);
            }
            words
        }
    }
}

fn glob(random: &mut Random) -> &'static str {
    random.pick::<&str>(&[
        "*",
        "**",
        "?",
        "??",
        "a*",
        "*:*",
        "key:?",
        "key:[0-1]",
        "[a-c]",
        "[^a]",
        "[^a-c]*",
        "[c-a]",
        "\\a",
        "\\*",
        "",
        "[",
        "[a",
        "{tag}*",
        "*y",
        "*\0*",
        "nul?key*",
        "*[",
        "key:[",
        "key:[\\1]",
        "a?*?*",
        "COUNTER",
        "*-*-*9",
        "[]",
        "k[e-]y:1",
        "counte[rR]",
        "*************************a",
    ])
}
