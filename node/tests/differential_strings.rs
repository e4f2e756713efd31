//! String commands: random sequences get the same replies, and leave the same data, as with Redis.

mod common;

use common::differential::{Script, compare};
use common::string_commands::strings;
use common::words::{KEYS, float, words};

#[test]
fn string_commands_answer_as_redis_on_one_shard() {
    compare("strings", 1, 6, 4000, strings);
}

#[test]
fn string_commands_answer_as_redis_on_four_shards() {
    compare("strings", 4, 6, 4000, strings);
}

/// INCRBYFLOAT again and again on one value: the digits must not drift apart.
#[test]
fn long_chains_of_float_increments_keep_redis_digits() {
    compare("float chains", 1, 4, 3000, |random, steps| {
        let mut script = Script::new();
        while script.len() < steps {
            let key = KEYS[random.below(3)].to_vec();
            if random.one_in(60) {
                script.push(0, words![b"SET".as_slice(), &key, &float(random)]);
            }
            script.push(0, words![b"INCRBYFLOAT".as_slice(), &key, &float(random)]);
        }
        script.finish()
    });
}
