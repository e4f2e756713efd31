//! Bit commands: random sequences get the same replies, and leave the same data, as with Redis.

mod common;

use common::bit_commands::bits;
use common::differential::compare;

#[test]
fn bit_commands_answer_as_redis_on_one_shard() {
    compare("bits", 1, 6, 4000, bits);
}

#[test]
fn bit_commands_answer_as_redis_on_four_shards() {
    compare("bits", 4, 6, 4000, bits);
}
