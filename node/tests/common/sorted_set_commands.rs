//! Random sorted set commands.
//!
//! Redis 7.0 writes scores with 17 digits, later versions with as few as are needed; so scores here are such that both
//! are the same.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{Word, cased, index, integer, key, spoil, value, words};

/// Sequences in which sorted sets become large soon.
pub fn sorted_sets(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    let entries = *random.pick(&["3", "10", "128"]);
    script.push(0, words!["CONFIG", "SET", "zset-max-listpack-entries", entries]);
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = sorted_set_command(random);
        // ZRANK takes one argument more since 7.2.
        let is_rank = words[0].to_ascii_uppercase().ends_with(b"RANK");
        script.push(connection, if is_rank { words } else { spoil(random, words) });
        if random.one_in(4) {
            let key = key(random);
            script.push(connection, words![b"OBJECT".as_slice(), b"encoding", &key]);
        }
    }
    script.finish()
}

/// A key of a sorted set whose scores are all equal, as ranges of members want it.
fn level_key(random: &mut Random) -> Word {
    random.pick(&["level", "level:2", "{tag}level"]).as_bytes().to_vec()
}

fn member(random: &mut Random) -> Word {
    match random.below(8) {
        0 => integer(random),
        1 if random.one_in(4) => value(random),
        2 => random.between(-20, 20).to_string().into_bytes(),
        _ => (0..1 + random.below(2)).map(|_| *random.pick(b"abcdefghij")).collect(),
    }
}

fn score(random: &mut Random) -> Word {
    let text = match random.below(12) {
        0 => random.pick(&["inf", "-inf", "+inf", "-0", "1e3", "0x10", "5."]).to_string(),
        1 if random.one_in(4) => random.pick(&["nan", "x", "", " 1", "1 "]).to_string(),
        2..=4 => (random.between(-80, 80) as f64 / 8.0).to_string(),
        _ => random.between(-9, 9).to_string(),
    };
    text.into_bytes()
}

fn score_bound(random: &mut Random) -> Word {
    let mut bound = score(random);
    if random.one_in(3) {
        bound.insert(0, b'(');
    }
    bound
}

fn member_bound(random: &mut Random) -> Word {
    match random.below(8) {
        0 => b"-".to_vec(),
        1 => b"+".to_vec(),
        2 if random.one_in(8) => member(random),
        which => {
            let mut bound = member(random);
            bound.insert(0, if which % 2 == 0 { b'[' } else { b'(' });
            bound
        }
    }
}

fn small(random: &mut Random) -> Word {
    match random.below(12) {
        0 => integer(random),
        _ => random.between(-2, 12).to_string().into_bytes(),
    }
}

fn numbered_keys(random: &mut Random, words: &mut Vec<Word>) -> usize {
    let count = 1 + random.below(3);
    match random.below(30) {
        0 => words.push(small(random)),
        _ => words.push(count.to_string().into_bytes()),
    }
    words.extend((0..count).map(|_| key(random)));
    count
}

fn sorted_set_command(random: &mut Random) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let name = *random.pick(&[
        "ZADD",
        "ZADD",
        "ZADD",
        "ZADD",
        "ZADD",
        "ZADD",
        "ZINCRBY",
        "ZREM",
        "ZREMRANGEBYRANK",
        "ZREMRANGEBYSCORE",
        "ZREMRANGEBYLEX",
        "ZCARD",
        "ZSCORE",
        "ZMSCORE",
        "ZRANK",
        "ZREVRANK",
        "ZCOUNT",
        "ZLEXCOUNT",
        "ZRANGE",
        "ZRANGE",
        "ZRANGE",
        "ZREVRANGE",
        "ZRANGEBYSCORE",
        "ZREVRANGEBYSCORE",
        "ZRANGEBYLEX",
        "ZREVRANGEBYLEX",
        "ZRANGESTORE",
        "ZUNION",
        "ZINTER",
        "ZDIFF",
        "ZUNIONSTORE",
        "ZINTERSTORE",
        "ZDIFFSTORE",
        "ZINTERCARD",
        "ZPOPMIN",
        "ZPOPMAX",
        "ZMPOP",
        "BZPOPMIN",
        "BZPOPMAX",
        "BZMPOP",
        "DEL",
        "SET",
        "COPY",
        "RENAME",
        "EXPIREAT",
    ]);
    words.push(cased(random, name));
    match name {
        "ZADD" if random.one_in(4) => {
            words.push(level_key(random));
            for _ in 0..1 + random.below(6) {
                words.extend(words!["0", member(random)]);
            }
        }
        "ZADD" => {
            words.push(key(random));
            add_options(random, &mut words);
            let count = if random.one_in(12) { random.below(40) } else { 1 + random.below(4) };
            for _ in 0..count {
                words.extend([score(random), member(random)]);
            }
        }
        "ZINCRBY" => words.extend([key(random), score(random), member(random)]),
        "ZREM" | "ZMSCORE" => {
            words.push(if random.one_in(3) { level_key(random) } else { key(random) });
            words.extend((0..1 + random.below(4)).map(|_| member(random)));
        }
        "ZREMRANGEBYRANK" => words.extend([key(random), small(random), small(random)]),
        "ZREMRANGEBYSCORE" | "ZCOUNT" => {
            words.extend([key(random), score_bound(random), score_bound(random)]);
        }
        "ZREMRANGEBYLEX" | "ZLEXCOUNT" => {
            words.extend([level_key(random), member_bound(random), member_bound(random)]);
        }
        "ZCARD" | "DEL" => words.push(key(random)),
        "ZSCORE" | "ZRANK" | "ZREVRANK" => words.extend([key(random), member(random)]),
        "ZRANGE" | "ZRANGESTORE" => {
            if name == "ZRANGESTORE" {
                words.push(key(random));
            }
            range(random, &mut words);
        }
        "ZREVRANGE" => {
            words.extend([key(random), index(random), index(random)]);
            range_options(random, &mut words);
        }
        "ZRANGEBYSCORE" | "ZREVRANGEBYSCORE" => {
            words.extend([key(random), score_bound(random), score_bound(random)]);
            range_options(random, &mut words);
        }
        "ZRANGEBYLEX" | "ZREVRANGEBYLEX" => {
            words.extend([level_key(random), member_bound(random), member_bound(random)]);
            range_options(random, &mut words);
        }
        "ZUNION" | "ZINTER" | "ZDIFF" | "ZUNIONSTORE" | "ZINTERSTORE" | "ZDIFFSTORE"
        | "ZINTERCARD" => {
            if name.ends_with("STORE") {
                words.push(key(random));
            }
            let count = numbered_keys(random, &mut words);
            combine_options(random, &mut words, count);
        }
        "ZPOPMIN" | "ZPOPMAX" => {
            words.push(key(random));
            if random.one_in(2) {
                words.push(small(random));
            }
        }
        "BZPOPMIN" | "BZPOPMAX" => {
            words.extend((0..1 + random.below(3)).map(|_| key(random)));
            words.push(timeout(random));
        }
        "ZMPOP" | "BZMPOP" => {
            if name == "BZMPOP" {
                words.push(timeout(random));
            }
            numbered_keys(random, &mut words);
            let end = random.pick(&["MIN", "MAX", "MIN", "MAX", "MIDDLE"]).to_string();
            words.push(cased(random, &end));
            if random.one_in(2) {
                words.extend([cased(random, "COUNT"), small(random)]);
            }
        }
        "SET" => words.extend([key(random), value(random)]),
        "COPY" | "RENAME" => words.extend([key(random), key(random)]),
        "EXPIREAT" => words.extend([key(random), b"32503680000".to_vec()]),
        other => unreachable!("{other}"),
    }
    words
}

fn timeout(random: &mut Random) -> Word {
    let text = match random.below(12) {
        0 => random.pick(&["-1", "x", ""]).to_string(),
        _ => "0.002".to_owned(),
    };
    text.into_bytes()
}

fn add_options(random: &mut Random, words: &mut Vec<Word>) {
    while random.one_in(3) {
        let option = *random.pick(&["NX", "XX", "GT", "LT", "CH", "INCR"]);
        words.push(cased(random, option));
    }
}

/// A range of ZRANGE: bounds and options that mostly agree.
fn range(random: &mut Random, words: &mut Vec<Word>) {
    match random.below(3) {
        0 => words.extend([key(random), index(random), index(random)]),
        1 => {
            words.extend([key(random), score_bound(random), score_bound(random)]);
            words.push(cased(random, "BYSCORE"));
        }
        _ => {
            words.extend([level_key(random), member_bound(random), member_bound(random)]);
            words.push(cased(random, "BYLEX"));
        }
    }
    if random.one_in(3) {
        words.push(cased(random, "REV"));
    }
    range_options(random, words);
}

fn range_options(random: &mut Random, words: &mut Vec<Word>) {
    if random.one_in(3) {
        words.push(cased(random, "WITHSCORES"));
    }
    if random.one_in(3) {
        words.extend([cased(random, "LIMIT"), small(random), small(random)]);
    }
}

fn combine_options(random: &mut Random, words: &mut Vec<Word>, count: usize) {
    if random.one_in(3) {
        words.push(cased(random, "WEIGHTS"));
        words.extend(
            (0..count).map(|_| random.pick(&["1", "2", "-1", "0", "inf", "x"]).as_bytes().to_vec()),
        );
    }
    if random.one_in(3) {
        words.push(cased(random, "AGGREGATE"));
        let how = *random.pick(&["SUM", "MIN", "MAX", "MIN", "MAX", "AVG"]);
        words.push(cased(random, how));
    }
    if random.one_in(3) {
        words.push(cased(random, "WITHSCORES"));
    }
    if random.one_in(4) {
        words.extend([cased(random, "LIMIT"), small(random)]);
    }
}

/// Commands to be written while nodes synchronise: without settings, which are not replicated, and without minus zero,
/// whose sign is lost where a sorted set becomes packed, as in Redis.
pub fn sorted_set_writes(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut steps = sorted_sets(random, steps);
    steps.retain(|step| {
        let is = |word: &Word, other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        !is(&step.words[0], "CONFIG")
            && !step.words.iter().any(|word| is(word, "-0") || is(word, "WEIGHTS"))
    });
    steps
}
