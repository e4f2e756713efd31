//! Random list commands.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{Word, cased, integer, key, spoil, value, words};

/// Many small lists.
pub fn lists(random: &mut Random, steps: usize) -> Vec<Step> {
    script(random, steps, |random| element(random, 30), 12)
}

/// Few lists of many elements, some of them large, in nodes of several sizes.
pub fn long_lists(random: &mut Random, steps: usize) -> Vec<Step> {
    let size = *random.pick(&["-1", "-2", "3", "40"]);
    let mut all = vec![Step {
        connection: 0,
        words: words!["CONFIG", "SET", "list-max-listpack-size", size],
    }];
    all.extend(script(random, steps, |random| element(random, 5000), 2));
    all
}

fn script(
    random: &mut Random,
    steps: usize,
    element: fn(&mut Random) -> Word,
    keys: usize,
) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        // Those that wait do so only where there may be nothing, and not in a transaction.
        if random.one_in(12) {
            script.push(connection, words!["MULTI"]);
            for _ in 0..random.below(4) {
                let words = waiting_command(random, keys);
                script.push(connection, words);
            }
            script.push(connection, words!["EXEC"]);
        }
        let words = list_command(random, element, keys);
        let words = if keys > 2 { spoil(random, words) } else { words };
        let is_waiting = words[0].first().is_some_and(|first| first.eq_ignore_ascii_case(&b'B'));
        if !is_waiting {
            script.push(connection, words);
        }
    }
    script.finish()
}

fn list(random: &mut Random, keys: usize) -> Word {
    if keys > 2 { key(random) } else { format!("list:{}", random.below(keys)).into_bytes() }
}

/// Few different texts, so that there are matches; integers of all widths; rarely a long one.
fn element(random: &mut Random, long_bytes_max: usize) -> Word {
    match random.below(12) {
        0 => value(random),
        1 => vec![b'x'; random.below(long_bytes_max)],
        2 => (random.next() as i64 >> random.below(64)).to_string().into_bytes(),
        3 => vec![b'y'; random.below(70)],
        _ => random.pick(&["a", "b", "c", "1", "-1", "200", "70000", ""]).as_bytes().to_vec(),
    }
}

fn position(random: &mut Random, keys: usize) -> Word {
    match random.below(20) {
        0 => integer(random),
        _ if keys > 2 => random.between(-9, 9).to_string().into_bytes(),
        _ => random.between(-400, 400).to_string().into_bytes(),
    }
}

fn end(random: &mut Random) -> Word {
    match random.below(40) {
        0 => b"UP".to_vec(),
        _ => {
            let end = *random.pick(&["LEFT", "RIGHT"]);
            cased(random, end)
        }
    }
}

fn count(random: &mut Random, max: usize) -> Word {
    match random.below(20) {
        0 => integer(random),
        _ => random.below(max).to_string().into_bytes(),
    }
}

fn list_command(random: &mut Random, element: fn(&mut Random) -> Word, keys: usize) -> Vec<Word> {
    let name = *random.pick(&[
        "LPUSH",
        "RPUSH",
        "LPUSH",
        "RPUSH",
        "LPUSH",
        "RPUSH",
        "LPUSHX",
        "RPUSHX",
        "LPOP",
        "RPOP",
        "LLEN",
        "LINDEX",
        "LRANGE",
        "LSET",
        "LSET",
        "LINSERT",
        "LINSERT",
        "LREM",
        "LPOS",
        "LPOS",
        "LMOVE",
        "RPOPLPUSH",
        "LMPOP",
        "LTRIM",
        "DEL",
        "SET",
        "COPY",
        "RENAME",
        "TYPE",
    ]);
    let is_long = keys <= 2;
    let mut words = vec![cased(random, name), list(random, keys)];
    match name {
        "LPUSH" | "RPUSH" | "LPUSHX" | "RPUSHX" => {
            let most = if is_long { 40 } else { 4 };
            words.extend((0..=random.below(most)).map(|_| element(random)));
        }
        "LPOP" | "RPOP" if random.one_in(3) => {
            words.push(count(random, if is_long { 60 } else { 5 }));
        }
        "LINDEX" => words.push(position(random, keys)),
        "LRANGE" => words.extend([position(random, keys), position(random, keys)]),
        "LTRIM" if is_long && !random.one_in(6) => {
            words.extend(words![random.below(9).to_string(), format!("-{}", 1 + random.below(9))]);
        }
        "LTRIM" => words.extend([position(random, keys), position(random, keys)]),
        "LSET" => words.extend([position(random, keys), element(random)]),
        "LINSERT" => {
            let place = *random.pick(&["BEFORE", "AFTER", "BEFORE", "AFTER", "BESIDE"]);
            words.extend([cased(random, place), element(random), element(random)]);
        }
        "LREM" => {
            words.push(match random.below(12) {
                0 => integer(random),
                _ => random.between(-3, 3).to_string().into_bytes(),
            });
            words.push(element(random));
        }
        "LPOS" => {
            words.push(element(random));
            position_options(random, &mut words);
        }
        "LMOVE" => words.extend([list(random, keys), end(random), end(random)]),
        "RPOPLPUSH" => words.push(list(random, keys)),
        "LMPOP" => {
            let most = random.below(3) + 1;
            words.truncate(1);
            words.push(if random.one_in(15) { integer(random) } else { most.to_string().into() });
            words.extend((0..most).map(|_| list(random, keys)));
            words.push(end(random));
            pop_options(random, &mut words);
        }
        "SET" if random.one_in(2) => words.push(value(random)),
        "SET" => return words!["LLEN", list(random, keys)],
        "DEL" if is_long && !random.one_in(10) => return words!["LLEN", list(random, keys)],
        "COPY" => words.extend([list(random, keys), b"REPLACE".to_vec()]),
        "RENAME" => words.push(list(random, keys)),
        _ => {}
    }
    words
}

fn pop_options(random: &mut Random, words: &mut Vec<Word>) {
    while random.one_in(3) {
        words.push(cased(random, "COUNT"));
        if !random.one_in(20) {
            words.push(count(random, 6));
        }
    }
}

fn position_options(random: &mut Random, words: &mut Vec<Word>) {
    for _ in 0..random.below(4) {
        let option = *random.pick(&["RANK", "COUNT", "MAXLEN"]);
        words.push(cased(random, option));
        if random.one_in(30) {
            continue;
        }
        let number = match option {
            "RANK" => random.between(-4, 4).to_string().into_bytes(),
            // Redis 7.0 takes the lowest number for a rank that it is not, so ranks are not that.
            _ if random.one_in(20) => integer(random),
            _ => random.below(9).to_string().into_bytes(),
        };
        words.push(number);
    }
}

/// One that would wait, for a transaction.
fn waiting_command(random: &mut Random, keys: usize) -> Vec<Word> {
    let timeout = *random.pick(&["0", "1", "0.5", "0", "-1", "x"]);
    match random.below(5) {
        0 => words!["BLPOP", list(random, keys), list(random, keys), timeout],
        1 => words!["BRPOP", list(random, keys), timeout],
        2 => {
            let mut words =
                words!["BLMPOP", timeout, "2", list(random, keys), list(random, keys), end(random)];
            pop_options(random, &mut words);
            words
        }
        3 => words![
            "BLMOVE",
            list(random, keys),
            list(random, keys),
            end(random),
            end(random),
            timeout
        ],
        _ => words!["BRPOPLPUSH", list(random, keys), list(random, keys), timeout],
    }
}
