//! Random string commands.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{
    Word, cased, far_future, float, index, integer, key, spoil, time_to_live, value, words,
};

pub fn strings(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = string_command(random);
        script.push(connection, spoil(random, words));
        // The encoding shows what a reply does not.
        if random.one_in(4) {
            let key = key(random);
            script.push(connection, words![b"OBJECT".as_slice(), b"encoding", &key]);
        }
    }
    script.finish()
}

fn string_command(random: &mut Random) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let name = *random.pick(&[
        "SET",
        "SET",
        "SET",
        "SET",
        "GET",
        "GET",
        "GETEX",
        "GETDEL",
        "GETSET",
        "GETRANGE",
        "SUBSTR",
        "SETRANGE",
        "APPEND",
        "STRLEN",
        "INCR",
        "DECR",
        "INCRBY",
        "DECRBY",
        "INCRBYFLOAT",
        "INCRBYFLOAT",
        "MSET",
        "MSETNX",
        "MGET",
        "SETNX",
        "SETEX",
        "PSETEX",
        "LCS",
        "LCS",
        "DEL",
    ]);
    words.push(cased(random, name));
    words.push(key(random));
    if name.starts_with("INCR") || name.starts_with("DECR") {
        // One key that mostly holds a number.
        if !random.one_in(3) {
            words[1] = b"counter".to_vec();
        }
    }
    match name {
        "GET" | "GETDEL" | "STRLEN" | "INCR" | "DECR" => {}
        "SET" => {
            let counts = words[1] == b"counter" && !random.one_in(4);
            words.push(if counts { integer(random) } else { value(random) });
            set_options(random, &mut words);
        }
        "GETEX" => getex_options(random, &mut words),
        "GETSET" | "APPEND" | "SETNX" => words.push(value(random)),
        "GETRANGE" | "SUBSTR" => words.extend([index(random), index(random)]),
        "SETRANGE" => {
            let far: &[&str] = &["536870912", "536870911999", "9223372036854775807", "-1", "x"];
            let offset = match random.below(20) {
                0 => random.pick(far).as_bytes().to_vec(),
                _ => random.below(90).to_string().into_bytes(),
            };
            words.push(offset);
            words.push(value(random));
        }
        "INCRBY" | "DECRBY" => words.push(integer(random)),
        "INCRBYFLOAT" => words.push(float(random)),
        "MSET" | "MSETNX" => {
            words.push(value(random));
            for _ in 0..random.below(5) {
                words.extend([key(random), value(random)]);
            }
        }
        "MGET" | "DEL" => words.extend((0..random.below(5)).map(|_| key(random))),
        "SETEX" => words.extend([time_to_live(random, true), value(random)]),
        "PSETEX" => words.extend([time_to_live(random, false), value(random)]),
        "LCS" => {
            words.push(key(random));
            lcs_options(random, &mut words);
        }
        other => unreachable!("{other}"),
    }
    words
}

fn set_options(random: &mut Random, words: &mut Vec<Word>) {
    if random.one_in(3) {
        return;
    }
    for _ in 0..=random.below(3) {
        match random.below(10) {
            0 | 1 => words.push(cased(random, "NX")),
            2 | 3 => words.push(cased(random, "XX")),
            4 | 5 => words.push(cased(random, "GET")),
            6 => words.push(cased(random, "KEEPTTL")),
            7 if random.one_in(4) => {
                let odd: &[&str] = &["FOO", "EX", "PXAT", "", "PERSIST", "NXX"];
                words.push(random.pick(odd).as_bytes().to_vec());
            }
            _ => expiry_option(random, words, false),
        }
    }
}

fn getex_options(random: &mut Random, words: &mut Vec<Word>) {
    for _ in 0..random.below(3) {
        match random.below(5) {
            0 => words.push(cased(random, "PERSIST")),
            1 if random.one_in(4) => {
                words.push(random.pick(&["KEEPTTL", "EX", "GET", "NX"]).as_bytes().to_vec())
            }
            _ => expiry_option(random, words, true),
        }
    }
}

/// EX, PX, EXAT or PXAT with a time. A point in the past only where the command deletes at once
/// (`past`): SET leaves such a key to expiry, whose moment is each server's own.
fn expiry_option(random: &mut Random, words: &mut Vec<Word>, past: bool) {
    let option = *random.pick(&["EX", "PX", "EXAT", "PXAT"]);
    words.push(cased(random, option));
    let seconds = option.starts_with("EX");
    let time = match option {
        "EX" | "PX" => time_to_live(random, seconds),
        _ if past && random.one_in(6) => b"1000".to_vec(),
        _ if random.one_in(12) => {
            random.pick(&["0", "-5", "x", "9223372036854775807"]).as_bytes().to_vec()
        }
        _ => far_future(random, seconds),
    };
    // PXAT's largest is a valid time; as a point in time both servers keep it alike.
    words.push(time);
}

fn lcs_options(random: &mut Random, words: &mut Vec<Word>) {
    for _ in 0..random.below(4) {
        match random.below(6) {
            0 => words.push(cased(random, "LEN")),
            1 | 2 => words.push(cased(random, "IDX")),
            3 => words.push(cased(random, "WITHMATCHLEN")),
            4 => {
                words.push(cased(random, "MINMATCHLEN"));
                words.push(if random.one_in(6) {
                    integer(random)
                } else {
                    random.below(5).to_string().into()
                });
            }
            _ if random.one_in(4) => words.push(b"NOPE".to_vec()),
            _ => {}
        }
    }
}
