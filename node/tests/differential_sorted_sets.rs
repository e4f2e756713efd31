//! Sorted set commands: random sequences get the same replies, and leave the same data, as with Redis.

mod common;

use common::differential::compare;
use common::sorted_set_commands::sorted_sets;

#[test]
fn sorted_set_commands_answer_as_redis_on_one_shard() {
    compare("sorted sets", 1, 6, 3000, sorted_sets);
}

#[test]
fn sorted_set_commands_answer_as_redis_on_four_shards() {
    compare("sorted sets", 4, 6, 3000, sorted_sets);
}
