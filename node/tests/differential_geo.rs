//! Geo commands: random sequences get the same replies, and leave the same data, as with Redis.

mod common;

use common::differential::compare;
use common::geo_commands::places;

#[test]
fn geo_commands_answer_as_redis_on_one_shard() {
    compare("places", 1, 4, 2000, places);
}

#[test]
fn geo_commands_answer_as_redis_on_four_shards() {
    compare("places", 4, 4, 2000, places);
}
