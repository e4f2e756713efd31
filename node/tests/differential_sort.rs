//! SORT: random sequences get the same replies as with Redis, with keys of patterns on any shard.

mod common;

use common::differential::{CONNECTIONS, Script, Step, compare};
use common::random::Random;
use common::words::{Word, cased, spoil, words};

#[test]
fn sort_answers_as_redis_on_one_shard() {
    compare("sort", 1, 6, 3000, sorts);
}

#[test]
fn sort_answers_as_redis_on_four_shards() {
    compare("sort", 4, 6, 3000, sorts);
}

/// Elements, each of which is there once in a collection and has a weight of its own: Redis leaves those that are equal
/// in no certain order.
const ELEMENTS: u64 = 12;

const COLLECTIONS: [&str; 5] = ["list", "set", "zset", "hash", "none"];

fn sorts(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    for element in 0..ELEMENTS as i64 {
        // Weights in another order, no two alike.
        let weight = (element * 7 % 13).to_string();
        script.push(0, words![b"SET".as_slice(), format!("weight:{element}"), weight]);
        let name = format!("hash:{element}");
        script.push(0, words!["HSET", name, "weight", weight, "name", "x"]);
    }
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let element = element(random);
        let words = match random.below(12) {
            // The list is a stack of different elements.
            0 | 1 => {
                script.push(connection, words!["LREM", "list", "0", element]);
                words!["LPUSH", "list", element]
            }
            2 => words!["SADD", "set", element],
            3 => words!["ZADD", "zset", random.below(1000).to_string(), element],
            4 => words!["SREM", "set", element],
            5 => words!["HSET", "hash", element, element],
            _ => {
                let words = sort(random);
                spoil(random, words)
            }
        };
        script.push(connection, words);
    }
    script.finish()
}

fn element(random: &mut Random) -> Word {
    random.below(ELEMENTS as usize).to_string().into_bytes()
}

fn sort(random: &mut Random) -> Vec<Word> {
    let stores = random.one_in(4);
    let name = if stores || random.one_in(2) { "SORT" } else { "SORT_RO" };
    let mut words = words![cased(random, name), *random.pick(&COLLECTIONS)];
    let patterns: &[&str] = &["weight:*", "hash:*->weight", "nosort"];
    let mut sorts = true;
    if random.one_in(2) {
        let pattern = *random.pick(patterns);
        sorts = pattern != "nosort";
        words.extend(words![cased(random, "BY"), pattern]);
    }
    if !sorts {
        // The order of an unsorted set is each server's own.
        words[1] = random.pick(&["list", "zset"]).as_bytes().to_vec();
    }
    for _ in 0..random.below(3) {
        let gets: &[&str] = &["#", "weight:*", "hash:*->name", "hash:*->none", "none", "h*", "*->"];
        words.extend(words![cased(random, "GET"), *random.pick(gets)]);
    }
    if random.one_in(3) {
        let (offset, count) = (random.between(-2, 8), random.between(-2, 8));
        words.extend(words![cased(random, "LIMIT"), offset.to_string(), count.to_string()]);
    }
    match random.below(4) {
        0 => words.push(cased(random, "DESC")),
        1 => words.push(cased(random, "ASC")),
        _ => {}
    }
    if random.one_in(3) {
        words.push(cased(random, "ALPHA"));
    }
    if stores {
        words.extend(words![cased(random, "STORE"), *random.pick(&["stored", "stored:2"])]);
    }
    words
}
