//! Stream commands: random sequences get the same replies, and leave the same data, as with Redis; payloads of DUMP
//! pass between the two, and both replicate from each other.

mod common;

use common::differential::compare;
use common::replication::{Server, assert_same_data, replica_of};
use common::stream_commands::streams;
use common::words::words;
use common::{Node, Random, Reply};

#[test]
fn stream_commands_answer_as_redis_on_one_shard() {
    compare("streams", 1, 6, 4000, streams);
}

#[test]
fn stream_commands_answer_as_redis_on_four_shards() {
    compare("streams", 4, 6, 4000, streams);
}

#[test]
fn payloads_of_streams_pass_between_redis_and_one_shard() {
    pass_payloads(1);
}

#[test]
fn payloads_of_streams_pass_between_redis_and_four_shards() {
    pass_payloads(4);
}

const KEYS: [&str; 3] = ["stream", "{stream}2", "other"];

/// Runs random commands on one node.
fn fill(node: &Node, seed: u64, steps: usize) {
    let mut client = node.connect();
    for step in streams(&mut Random::new(seed), steps) {
        client.call(&step.words);
    }
}

/// All that a stream shows of itself, but times.
fn shown(node: &Node, key: &str) -> Reply {
    let reply = node.connect().call(&["XINFO", "STREAM", key, "FULL", "COUNT", "0"]);
    common::stream_commands::without_times(&reply)
}

fn pass_payloads(shards: usize) {
    let redis = Server::Redis.node();
    let ours = Server::Ours(shards).node();
    let mut passed = 0;
    for seed in 0..20 {
        for (from, to) in [(&redis, &ours), (&ours, &redis)] {
            from.connect().run("FLUSHALL");
            to.connect().run("FLUSHALL");
            fill(from, seed, 600);
            for key in KEYS {
                let Reply::Bulk(payload) = from.connect().call(&["DUMP", key]) else { continue };
                let restore = words![b"RESTORE".to_vec(), key, "0", payload];
                assert_eq!(to.connect().call(&restore), Reply::ok(), "{key}, seed {seed}");
                let digest = |node: &Node| node.connect().call(&["DEBUG", "DIGEST-VALUE", key]);
                assert_eq!(digest(from), digest(to), "{key}, seed {seed}");
                assert_eq!(shown(from, key), shown(to, key), "{key}, seed {seed}");
                passed += 1;
            }
        }
    }
    assert!(passed > 60, "{passed} payloads");
}

/// Full sync with streams there, then what is propagated, groups and pending entries among it.
fn replicate(primary: Server, replica: Server) {
    let primary = primary.node();
    fill(&primary, 1, 1500);
    let replica = replica_of(&primary, replica);
    assert_same_data(&[&primary, &replica]);
    KEYS.iter().for_each(|key| assert_eq!(shown(&primary, key), shown(&replica, key), "{key}"));
    for seed in 2..6 {
        fill_with_propagated(&primary, seed);
        assert_same_data(&[&primary, &replica]);
        KEYS.iter().for_each(|key| assert_eq!(shown(&primary, key), shown(&replica, key), "{key}"));
    }
}

/// Without reading what is pending, which counts as a delivery and is kept from replicas, and without deliveries as
/// redis-server 7.0 propagates them, which leave out how many entries were read.
fn fill_with_propagated(node: &Node, seed: u64) {
    let mut client = node.connect();
    let is_redis = node.is_redis();
    for step in streams(&mut Random::new(seed), 1500) {
        let name = step.words[0].to_ascii_uppercase();
        let is_new = step.words.last().is_some_and(|id| id == b">");
        let whole = name != b"XREADGROUP" || is_new && !is_redis && step.words.len() < 10;
        if whole {
            client.call(&step.words);
        }
    }
}

#[test]
fn a_redis_replica_follows_streams_of_one_shard() {
    replicate(Server::Ours(1), Server::Redis);
}

#[test]
fn a_replica_of_four_shards_follows_streams_of_redis() {
    replicate(Server::Redis, Server::Ours(4));
}

#[test]
fn a_replica_of_one_shard_follows_streams_of_four() {
    replicate(Server::Ours(4), Server::Ours(1));
}

#[test]
fn clients_wait_for_entries() {
    for shards in [1, 4] {
        let node = Server::Ours(shards).node();
        let (mut reader, mut consumer, mut writer) =
            (node.connect(), node.connect(), node.connect());
        writer.run("XADD stream 1-0 f old");
        assert_eq!(writer.run("XGROUP CREATE stream g $"), Reply::ok());
        let command: Vec<Vec<u8>> =
            words!["XREAD", "BLOCK", "0", "STREAMS", "stream", "absent", "$", "$"];
        reader.send_command(&command);
        let command: Vec<Vec<u8>> =
            words!["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "stream", ">"];
        consumer.send_command(&command);
        common::eventually("two clients wait", || {
            (node.info("blocked_clients") == "2").then_some(())
        });
        writer.run("XADD stream 2-0 f new");
        let expected = "[[\"stream\", [[\"2-0\", [\"f\", \"new\"]]]]]";
        assert_eq!(reader.read().to_string(), expected, "{shards} shards");
        assert_eq!(consumer.read().to_string(), expected, "{shards} shards");
        assert_eq!(writer.run("XREAD BLOCK 1 STREAMS stream $").to_string(), "*-1");
        let command: Vec<Vec<u8>> =
            words!["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "stream", ">"];
        consumer.send_command(&command);
        common::eventually("a client waits", || {
            (node.info("blocked_clients") == "1").then_some(())
        });
        writer.run("XGROUP DESTROY stream g");
        let gone = consumer.read();
        assert!(gone.error().starts_with("NOGROUP "), "{gone}");
    }
}
