//! Random commands on sets and HyperLogLogs.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{Word, cased, integer, key, spoil, value, words};

/// Sequences in which sets become large soon.
pub fn sets(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    let integers = *random.pick(&["3", "20", "512"]);
    script.push(0, words!["CONFIG", "SET", "set-max-intset-entries", integers]);
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = set_command(random);
        // Without its count it would choose.
        let chooses =
            words[0].eq_ignore_ascii_case(b"SPOP") || words[0].eq_ignore_ascii_case(b"SRANDMEMBER");
        script.push(connection, if chooses { words } else { spoil(random, words) });
    }
    script.finish()
}

/// The same with members taken out by chance, whose effects a replica must follow.
pub fn set_writes(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = match random.below(6) {
            0 => words![b"SPOP".as_slice(), &set(random)],
            1 => words![b"SPOP".as_slice(), &set(random), small(random).as_slice()],
            _ => set_command(random),
        };
        script.push(connection, words);
    }
    script.finish()
}

/// Few keys, of which some hold other types now and then.
fn set(random: &mut Random) -> Word {
    match random.below(12) {
        0 => key(random),
        _ => random.pick(&["set", "set:2", "{tag}set", "set:{tag}"]).as_bytes().to_vec(),
    }
}

fn hyperloglog(random: &mut Random) -> Word {
    match random.below(20) {
        0 => set(random),
        _ => random.pick(&["hll", "hll:2", "{tag}hll"]).as_bytes().to_vec(),
    }
}

fn member(random: &mut Random) -> Word {
    match random.below(8) {
        0 => integer(random),
        1 if random.one_in(3) => value(random),
        2..=4 => random.between(-30, 30).to_string().into_bytes(),
        5 => format!("member:{}", random.below(300)).into_bytes(),
        _ => (0..1 + random.below(2)).map(|_| *random.pick(b"abcdefghij")).collect(),
    }
}

fn small(random: &mut Random) -> Word {
    random.below(6).to_string().into_bytes()
}

fn several(random: &mut Random, words: &mut Vec<Word>, one: fn(&mut Random) -> Word) {
    for _ in 0..1 + random.below(4) {
        words.push(one(random));
    }
}

fn set_command(random: &mut Random) -> Vec<Word> {
    let name = *random.pick(&[
        "SADD",
        "SADD",
        "SADD",
        "SADD",
        "SADD",
        "SREM",
        "SREM",
        "SISMEMBER",
        "SMISMEMBER",
        "SCARD",
        "SMEMBERS",
        "SMOVE",
        "SMOVE",
        "SINTER",
        "SUNION",
        "SDIFF",
        "SINTERSTORE",
        "SUNIONSTORE",
        "SDIFFSTORE",
        "SINTERCARD",
        "SPOP",
        "SRANDMEMBER",
        "SSCAN",
        "PFADD",
        "PFADD",
        "PFADD",
        "PFCOUNT",
        "PFMERGE",
        "DEL",
        "COPY",
        "RENAME",
        "TYPE",
        "SET",
    ]);
    let mut words = vec![cased(random, name)];
    match name {
        "SADD" => {
            words.push(set(random));
            let many = if random.one_in(40) { 200 } else { 3 };
            words.extend((0..1 + random.below(many)).map(|_| member(random)));
        }
        "SREM" | "SMISMEMBER" => {
            words.push(set(random));
            several(random, &mut words, member);
        }
        "SISMEMBER" => words.extend([set(random), member(random)]),
        "SMOVE" => words.extend([set(random), set(random), member(random)]),
        "SINTER" | "SUNION" | "SDIFF" | "SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE" => {
            several(random, &mut words, set);
            if name.ends_with("STORE") {
                words.push(set(random));
            }
        }
        "SINTERCARD" => {
            let count = 1 + random.below(3);
            words.push(count.to_string().into_bytes());
            words.extend((0..count).map(|_| set(random)));
            if random.one_in(3) {
                words.extend([cased(random, "LIMIT"), small(random)]);
            }
        }
        // All of it: what is taken by chance cannot be compared.
        "SPOP" if random.one_in(4) => words.extend([set(random), b"100000".to_vec()]),
        "SPOP" => words.extend([set(random), b"0".to_vec()]),
        "SRANDMEMBER" => words.extend([set(random), b"100000".to_vec()]),
        "SSCAN" => {
            words.extend([set(random), b"0".to_vec(), cased(random, "COUNT"), b"100000".to_vec()]);
            if random.one_in(3) {
                words.extend([cased(random, "MATCH"), b"*1*".to_vec()]);
            }
        }
        "PFADD" => {
            words.push(hyperloglog(random));
            let many = if random.one_in(10) { 400 } else { 4 };
            words.extend(
                (0..random.below(many))
                    .map(|_| format!("element:{}", random.below(100_000)).into_bytes()),
            );
        }
        "PFCOUNT" | "PFMERGE" => several(random, &mut words, hyperloglog),
        "COPY" => {
            words.extend([set(random), set(random)]);
            words.push(cased(random, "REPLACE"));
        }
        "RENAME" => words.extend([set(random), set(random)]),
        "DEL" if random.one_in(3) => words.push(hyperloglog(random)),
        "SET" if random.one_in(2) => words.extend([hyperloglog(random), value(random)]),
        "SET" => words.extend([set(random), value(random)]),
        _ => words.push(set(random)),
    }
    words
}
