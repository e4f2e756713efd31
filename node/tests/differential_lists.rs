//! List commands: random sequences get the same replies, and leave the same data, as with Redis; and lists pass between
//! the two as payloads of DUMP.

mod common;

use common::differential::compare;
use common::list_commands::{lists, long_lists};
use common::random::Random;
use common::{Client, Node, Reply, Start};

#[test]
fn list_commands_answer_as_redis_on_one_shard() {
    compare("lists", 1, 6, 4000, lists);
}

#[test]
fn list_commands_answer_as_redis_on_four_shards() {
    compare("lists", 4, 6, 4000, lists);
}

#[test]
fn long_lists_answer_as_redis() {
    compare("long lists", 1, 8, 3000, long_lists);
}

#[test]
fn long_lists_answer_as_redis_on_four_shards() {
    compare("long lists", 4, 4, 2000, long_lists);
}

#[test]
fn payloads_of_lists_pass_between_redis_and_a_node() {
    let (ours, theirs) = (Node::ringfort(1), Start::redis().node());
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    let mut random = Random::new(1);
    for size in ["-1", "-2", "3"] {
        for client in [&mut ours, &mut theirs] {
            assert_eq!(
                client.call(&["CONFIG", "SET", "list-max-listpack-size", size]),
                Reply::ok()
            );
        }
        for steps in [1, 3, 20, 200] {
            ours.run("FLUSHALL");
            theirs.run("FLUSHALL");
            for step in long_lists(&mut random, steps).into_iter().skip(1) {
                ours.call(&step.words);
            }
            ours.call(&["RPUSH", "list:1", "7", &"large ".repeat(2000), "-70000"]);
            pass(&mut ours, &mut theirs, "list:1", "passed");
            pass(&mut theirs, &mut ours, "passed", "passed");
        }
    }
}

/// DUMPs a key on the one side and RESTOREs it on the other, where it must be the same.
#[track_caller]
fn pass(from: &mut Client, to: &mut Client, key: &str, other: &str) {
    let Reply::Bulk(payload) = from.call(&["DUMP", key]) else { panic!("no payload of {key}") };
    let restore = [&b"RESTORE"[..], other.as_bytes(), b"0", &payload, b"REPLACE"];
    assert_eq!(to.call(&restore), Reply::ok());
    let expected = from.call(&["DEBUG", "DIGEST-VALUE", key]);
    assert_eq!(to.call(&["DEBUG", "DIGEST-VALUE", other]), expected);
    assert_eq!(to.call(&["LRANGE", other, "0", "-1"]), from.call(&["LRANGE", key, "0", "-1"]));
}
