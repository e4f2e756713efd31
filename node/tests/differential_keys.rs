//! Commands on keys of any type, databases and transactions: random sequences get the same replies,
//! and leave the same data, as with Redis.

mod common;

use common::differential::compare;
use common::key_commands::{keys, transactions};

#[test]
fn key_commands_answer_as_redis_on_one_shard() {
    compare("keys", 1, 6, 4000, keys);
}

#[test]
fn key_commands_answer_as_redis_on_four_shards() {
    compare("keys", 4, 6, 4000, keys);
}

#[test]
fn transactions_answer_as_redis_on_one_shard() {
    compare("transactions", 1, 6, 4000, transactions);
}

#[test]
fn transactions_answer_as_redis_on_four_shards() {
    compare("transactions", 4, 6, 4000, transactions);
}
