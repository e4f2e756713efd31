//! Hash commands: random sequences get the same replies, and leave the same data, as with Redis; and payloads pass
//! between the two. Fields that expire are not compared: Redis 7.0 has none.

mod common;

use common::differential::compare;
use common::hash_commands::hashes;
use common::{Client, Node, Reply, Start};

#[test]
fn hash_commands_answer_as_redis_on_one_shard() {
    compare("hashes", 1, 6, 4000, hashes);
}

#[test]
fn hash_commands_answer_as_redis_on_four_shards() {
    compare("hashes", 4, 6, 4000, hashes);
}

#[test]
fn hashes_pass_between_redis_and_ringfort() {
    for shards in [1, 4] {
        let (ours, theirs) = (Node::ringfort(shards), Start::redis().node());
        let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
        for (key, fields) in [("one", 1), ("small", 20), ("large", 2000)] {
            for field in 0..fields {
                let (name, value) = (format!("field:{field}"), (field * 7_919).to_string());
                ours.run(&format!("HSET {key} {name} {value}"));
                ours.run(&format!("HSET {key} {field} text:{value}"));
            }
            let digest = value_digest(&mut ours, key);
            pass(&mut ours, &mut theirs, key);
            assert_eq!(value_digest(&mut theirs, key), digest, "{key} to Redis");
            ours.run(&format!("DEL {key}"));
            pass(&mut theirs, &mut ours, key);
            assert_eq!(value_digest(&mut ours, key), digest, "{key} from Redis");
            let length = Reply::Integer(2 * fields);
            assert_eq!(ours.run(&format!("HLEN {key}")), length);
        }
    }
}

fn pass(from: &mut Client, to: &mut Client, key: &str) {
    let Reply::Bulk(payload) = from.run(&format!("DUMP {key}")) else { panic!("{key} is there") };
    let restore = [b"RESTORE", key.as_bytes(), b"0", &payload];
    assert_eq!(to.call(&restore), Reply::ok(), "{key}");
}

fn value_digest(client: &mut Client, key: &str) -> Reply {
    client.run(&format!("DEBUG DIGEST-VALUE {key}"))
}
