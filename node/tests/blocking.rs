//! Clients that wait for their keys: who is served, in which order, once and only once, and how waits end; whatever
//! shards the keys and the clients are on, and as a Redis does it.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::replication::{Server, assert_same_data, replica_of, wait_until_caught_up};
use common::{Client, Node, Reply, Start, eventually};

/// Each test on a Redis, and on nodes of one, two and four shards.
macro_rules! everywhere {
    ($($name:ident;)*) => {
        $(mod $name {
            #[test]
            fn on_redis() {
                super::check::$name(&super::Start::redis().node());
            }
            #[test]
            fn on_one_shard() {
                super::check::$name(&super::Node::ringfort(1));
            }
            #[test]
            fn on_two_shards() {
                super::check::$name(&super::Node::ringfort(2));
            }
            #[test]
            fn on_four_shards() {
                super::check::$name(&super::Node::ringfort(4));
            }
        })*
    };
}

everywhere! {
    a_waiter_is_served_before_the_next_command;
    waiters_of_a_key_are_served_in_their_order;
    a_waiter_for_many_keys_takes_one_element;
    every_element_goes_to_exactly_one_waiter;
    time_runs_out;
    elements_move_between_any_two_keys;
    a_destination_of_another_type_is_the_waiters_error;
    a_client_can_be_unblocked;
    a_client_that_leaves_takes_nothing;
    nobody_waits_in_a_transaction;
    a_transaction_is_over_before_anybody_is_served;
    every_type_has_its_waits;
    readers_of_streams_get_what_comes;
    keys_that_come_another_way_serve_too;
    keys_of_another_type_serve_nobody;
}

/// Keys that four shards hold several each of.
const KEYS: [&str; 8] = ["k:0", "k:1", "k:2", "k:3", "k:4", "k:5", "k:6", "k:7"];

/// Clients, so that every core has some.
fn clients(node: &Node, count: usize) -> Vec<Client> {
    (0..count).map(|_| node.connect()).collect()
}

fn send(client: &mut Client, line: &str) {
    client.send_command(&line.split(' ').collect::<Vec<_>>());
}

/// Sends a command that has its client wait, and waits until it does.
fn block(node: &Node, client: &mut Client, line: &str) {
    let before: usize = node.info("blocked_clients").parse().unwrap();
    send(client, line);
    wait_for_blocked(node, before + 1);
}

fn wait_for_blocked(node: &Node, count: usize) {
    eventually("the clients that wait", || {
        (node.info("blocked_clients") == count.to_string()).then_some(())
    });
}

fn texts(texts: &[&str]) -> Reply {
    Reply::Array(texts.iter().map(Reply::bulk).collect())
}

mod check {
    use super::*;

    pub fn a_waiter_is_served_before_the_next_command(node: &Node) {
        for mut waiter in clients(node, 4) {
            for mut pusher in clients(node, 3) {
                block(node, &mut waiter, "BLPOP list 0");
                let replies = pusher.pipeline(&[
                    vec!["RPUSH", "list", "a", "b"],
                    vec!["LRANGE", "list", "0", "-1"],
                ]);
                assert_eq!(replies, [Reply::Integer(2), texts(&["b"])]);
                assert_eq!(waiter.read(), texts(&["list", "a"]));
                assert_eq!(pusher.run("DEL list"), Reply::Integer(1));
            }
        }
    }

    pub fn waiters_of_a_key_are_served_in_their_order(node: &Node) {
        let mut waiters = clients(node, 6);
        for (at, waiter) in waiters.iter_mut().enumerate() {
            let line = if at % 2 == 0 { "BLPOP other list 0" } else { "BRPOP list 0" };
            block(node, waiter, line);
        }
        let mut pusher = node.connect();
        assert_eq!(pusher.run("RPUSH list 0 1 2 3 4 5 6"), Reply::Integer(7));
        // From the left and from the right in turns.
        for (waiter, element) in waiters.iter_mut().zip(["0", "6", "1", "5", "2", "4"]) {
            assert_eq!(waiter.read(), texts(&["list", element]));
        }
        assert_eq!(pusher.run("LRANGE list 0 -1"), texts(&["3"]));
    }

    pub fn a_waiter_for_many_keys_takes_one_element(node: &Node) {
        let mut waiter = node.connect();
        let line = format!("BLPOP {} 0", KEYS.join(" "));
        for key in KEYS {
            block(node, &mut waiter, &line);
            let mut pusher = node.connect();
            assert_eq!(pusher.run(&format!("RPUSH {key} x")), Reply::Integer(1));
            assert_eq!(waiter.read(), texts(&[key, "x"]));
        }
        // Two at once, on whatever shards.
        for (one, other) in KEYS.iter().zip(KEYS.iter().cycle().skip(1)).take(7) {
            block(node, &mut waiter, &line);
            let pushed = thread::scope(|scope| {
                let push = |key: &'static str| {
                    scope.spawn(move || node.connect().run(&format!("RPUSH {key} x")))
                };
                [push(one), push(other)].map(|push| push.join().unwrap())
            });
            assert_eq!(pushed, [Reply::Integer(1), Reply::Integer(1)]);
            let taken = waiter.read();
            assert!(taken == texts(&[one, "x"]) || taken == texts(&[other, "x"]), "{taken}");
            let left = node.connect().run(&format!("DEL {one} {other}"));
            assert_eq!(left, Reply::Integer(1));
        }
    }

    pub fn every_element_goes_to_exactly_one_waiter(node: &Node) {
        const PRODUCERS: usize = 4;
        const EACH: usize = 150;
        const MOVED: &str = "moved";
        let taken = AtomicUsize::new(0);
        let all: Vec<Vec<String>> = thread::scope(|scope| {
            for producer in 0..PRODUCERS {
                scope.spawn(move || {
                    let mut client = node.connect();
                    for number in 0..EACH {
                        let key = KEYS[(producer + number) % KEYS.len()];
                        client.run(&format!("RPUSH {key} {producer}:{number}"));
                    }
                });
            }
            // One moves from two keys to another, which only one consumer looks at.
            let mover = scope.spawn(|| {
                let mut client = node.connect();
                let mut moved = 0;
                while taken.load(Ordering::Relaxed) < PRODUCERS * EACH {
                    for source in &KEYS[..2] {
                        let line = format!("BLMOVE {source} {MOVED} LEFT RIGHT 0.01");
                        moved += usize::from(matches!(client.run(&line), Reply::Bulk(_)));
                    }
                }
                moved
            });
            let consumers: Vec<_> = (0..6)
                .map(|consumer| {
                    let taken = &taken;
                    scope.spawn(move || {
                        let mut client = node.connect();
                        let mut keys = KEYS.to_vec();
                        keys.rotate_left(consumer);
                        keys.push(MOVED);
                        let line = format!("BLPOP {} 0.05", keys.join(" "));
                        let mut got = Vec::new();
                        while taken.load(Ordering::Relaxed) < PRODUCERS * EACH {
                            match client.run(&line) {
                                Reply::Array(mut pair) => {
                                    got.push(pair.pop().unwrap().text());
                                    taken.fetch_add(1, Ordering::Relaxed);
                                }
                                other => assert!(other.is_nothing(), "{other}"),
                            }
                        }
                        got
                    })
                })
                .collect();
            let all = consumers.into_iter().map(|consumer| consumer.join().unwrap()).collect();
            mover.join().unwrap();
            all
        });
        let elements: Vec<String> = all.into_iter().flatten().collect();
        assert_eq!(elements.len(), PRODUCERS * EACH);
        let distinct: BTreeSet<_> = elements.iter().collect();
        assert_eq!(distinct.len(), elements.len());
        assert_eq!(node.connect().run("DBSIZE"), Reply::Integer(0));
        wait_for_blocked(node, 0);
    }

    pub fn time_runs_out(node: &Node) {
        let mut client = node.connect();
        let all = format!("BLPOP {} 0.01", KEYS.join(" "));
        for line in [
            "BLPOP k 0.01",
            "BRPOP k 0.001",
            &all,
            "BLMPOP 0.01 2 a b LEFT",
            "BZPOPMIN a b 0.01",
            "BZPOPMAX a 0.01",
            "BZMPOP 0.01 1 a MIN COUNT 2",
            "XREAD BLOCK 10 STREAMS a b 0 $",
            "BLMOVE a b LEFT LEFT 0.01",
            "BRPOPLPUSH a b 0.01",
        ] {
            assert_eq!(client.run(line), Reply::NullArray, "{line}");
        }
        for (line, error) in [
            ("BLPOP k -1", "ERR timeout is negative"),
            ("BLPOP k x", "ERR timeout is not a float or out of range"),
            ("XREAD BLOCK -1 STREAMS a 0", "ERR timeout is negative"),
            ("XREAD BLOCK 1.5 STREAMS a 0", "ERR timeout is not an integer or out of range"),
        ] {
            assert_eq!(client.run(line).error(), error, "{line}");
        }
        // Nobody waits for them any more.
        for key in KEYS {
            assert_eq!(client.run(&format!("RPUSH {key} x")), Reply::Integer(1));
            assert_eq!(client.run(&format!("LLEN {key}")), Reply::Integer(1));
        }
    }

    pub fn elements_move_between_any_two_keys(node: &Node) {
        let mut mover = node.connect();
        let mut last = node.connect();
        for source in KEYS {
            for destination in KEYS.into_iter().filter(|destination| *destination != source) {
                block(node, &mut last, &format!("BLPOP {destination} 0"));
                block(node, &mut mover, &format!("BLMOVE {source} {destination} RIGHT LEFT 0"));
                assert_eq!(node.connect().run(&format!("RPUSH {source} a b")), Reply::Integer(2));
                assert_eq!(mover.read(), Reply::bulk("b"));
                // What was moved is for the next one.
                assert_eq!(last.read(), texts(&[destination, "b"]));
                assert_eq!(last.run(&format!("RPOP {source}")), Reply::bulk("a"));
            }
        }
        assert_eq!(mover.run("DBSIZE"), Reply::Integer(0));
        // In a circle of one.
        block(node, &mut mover, "BRPOPLPUSH k:0 k:0 0");
        assert_eq!(last.run("RPUSH k:0 a b"), Reply::Integer(2));
        assert_eq!(mover.read(), Reply::bulk("b"));
        assert_eq!(last.run("LRANGE k:0 0 -1"), texts(&["b", "a"]));
    }

    pub fn a_destination_of_another_type_is_the_waiters_error(node: &Node) {
        let mut client = node.connect();
        for (source, destination) in KEYS.iter().zip(KEYS.iter().skip(1)) {
            let mut waiter = node.connect();
            client.run(&format!("SET {destination} text"));
            block(node, &mut waiter, &format!("BLMOVE {source} {destination} LEFT LEFT 0"));
            assert_eq!(client.run(&format!("RPUSH {source} a")), Reply::Integer(1));
            assert!(waiter.read().error().starts_with("WRONGTYPE"));
            assert_eq!(client.run(&format!("LRANGE {source} 0 -1")), texts(&["a"]));
            client.run("FLUSHALL");
        }
    }

    pub fn a_client_can_be_unblocked(node: &Node) {
        let mut client = node.connect();
        for mut waiter in clients(node, 4) {
            let id = waiter.run("CLIENT ID").integer();
            let line = format!("BLPOP {} 0", KEYS.join(" "));
            block(node, &mut waiter, &line);
            let listed = client.run(&format!("CLIENT LIST ID {id}")).text();
            assert!(listed.contains("flags=b"), "{listed}");
            assert_eq!(client.run(&format!("CLIENT UNBLOCK {id}")), Reply::Integer(1));
            assert_eq!(waiter.read(), Reply::NullArray);
            block(node, &mut waiter, &line);
            assert_eq!(client.run(&format!("CLIENT UNBLOCK {id} ERROR")), Reply::Integer(1));
            assert_eq!(waiter.read().error(), "UNBLOCKED client unblocked via CLIENT UNBLOCK");
            assert_eq!(client.run(&format!("CLIENT UNBLOCK {id}")), Reply::Integer(0));
            assert_eq!(client.run("RPUSH k:3 x"), Reply::Integer(1));
            assert_eq!(waiter.run("LPOP k:3"), Reply::bulk("x"));
        }
    }

    pub fn a_client_that_leaves_takes_nothing(node: &Node) {
        let mut client = node.connect();
        for mut waiter in clients(node, 4) {
            block(node, &mut waiter, &format!("BLPOP {} 0", KEYS.join(" ")));
            drop(waiter);
            wait_for_blocked(node, 0);
            for key in KEYS {
                assert_eq!(client.run(&format!("RPUSH {key} x")), Reply::Integer(1));
                assert_eq!(client.run(&format!("LPOP {key}")), Reply::bulk("x"));
            }
        }
        // What it sent behind the command that waits is run once it is served.
        let mut waiter = node.connect();
        block(node, &mut waiter, "BLPOP k:0 0");
        send(&mut waiter, "SET after yes");
        assert_eq!(client.run("GET after"), Reply::NullBulk);
        client.run("RPUSH k:0 x");
        assert_eq!(waiter.read(), texts(&["k:0", "x"]));
        assert_eq!(waiter.read(), Reply::ok());
    }

    pub fn nobody_waits_in_a_transaction(node: &Node) {
        let mut client = node.connect();
        client.run("MULTI");
        let lines = [
            "BLPOP k:0 0",
            "BLPOP k:0 k:1 k:2 k:3 0",
            "BLMOVE k:0 k:1 LEFT LEFT 0",
            "BZPOPMIN k:0 0",
            "BLMPOP 0 1 k:0 LEFT",
            "XREAD BLOCK 0 STREAMS k:0 k:1 $ $",
        ];
        for line in lines {
            assert_eq!(client.run(line), Reply::Simple("QUEUED".to_owned()));
        }
        let Reply::Array(replies) = client.run("EXEC") else { panic!("an array") };
        assert_eq!(replies.len(), lines.len());
        assert!(replies.iter().all(Reply::is_nothing), "{replies:?}");
        // With something there they pop it.
        client.run("MULTI");
        client.run("RPUSH k:0 x");
        client.run("BLPOP k:1 k:0 0");
        let Reply::Array(replies) = client.run("EXEC") else { panic!("an array") };
        assert_eq!(replies, [Reply::Integer(1), texts(&["k:0", "x"])]);
    }

    pub fn a_transaction_is_over_before_anybody_is_served(node: &Node) {
        for keys in [["k:0", "k:0"], ["k:0", "k:1"], ["k:2", "k:5"]] {
            let [one, other] = keys;
            let mut waiter = node.connect();
            block(node, &mut waiter, &format!("BLPOP {one} {other} 0"));
            let mut client = node.connect();
            client.run("MULTI");
            client.run(&format!("RPUSH {one} gone"));
            client.run(&format!("DEL {one}"));
            client.run(&format!("RPUSH {other} first"));
            client.run(&format!("LPUSH {other} second"));
            client.run(&format!("LLEN {other}"));
            let Reply::Array(replies) = client.run("EXEC") else { panic!("an array") };
            assert_eq!(replies.last(), Some(&Reply::Integer(2)));
            assert_eq!(waiter.read(), texts(&[other, "second"]));
            assert_eq!(client.run(&format!("LPOP {other}")), Reply::bulk("first"));
        }
    }

    pub fn every_type_has_its_waits(node: &Node) {
        let mut client = node.connect();
        let mut waiter = node.connect();
        let pair = |key: &str, members: Vec<Reply>| {
            Reply::Array(vec![Reply::bulk(key), Reply::Array(members)])
        };
        for key in ["k:0", "k:1", "k:2"] {
            block(node, &mut waiter, "BZPOPMIN k:0 k:1 k:2 0");
            client.run(&format!("ZADD {key} 2 b 1 a"));
            assert_eq!(waiter.read(), texts(&[key, "a", "1"]));
            client.run("FLUSHALL");
            block(node, &mut waiter, "BZPOPMAX k:0 k:1 k:2 0");
            client.run(&format!("ZADD {key} 2 b 1 a"));
            assert_eq!(waiter.read(), texts(&[key, "b", "2"]));
            client.run("FLUSHALL");
            block(node, &mut waiter, "BZMPOP 0 3 k:0 k:1 k:2 MIN COUNT 2");
            client.run(&format!("ZADD {key} 2 b 1 a 3 c"));
            let expected = pair(key, vec![texts(&["a", "1"]), texts(&["b", "2"])]);
            assert_eq!(waiter.read(), expected);
            client.run("FLUSHALL");
            block(node, &mut waiter, "BLMPOP 0 3 k:0 k:1 k:2 RIGHT COUNT 2");
            client.run(&format!("RPUSH {key} 1 2 3"));
            assert_eq!(waiter.read(), pair(key, vec![Reply::bulk("3"), Reply::bulk("2")]));
            assert_eq!(client.run(&format!("LRANGE {key} 0 -1")), texts(&["1"]));
            client.run("FLUSHALL");
        }
    }

    pub fn readers_of_streams_get_what_comes(node: &Node) {
        let mut client = node.connect();
        let mut readers = clients(node, 3);
        client.run("XADD k:1 1-1 f old");
        for reader in &mut readers {
            block(node, reader, "XREAD BLOCK 0 STREAMS k:0 k:1 k:2 $ $ $");
        }
        client.run("XADD k:1 2-1 f new");
        let entry =
            |id: &str, value: &str| Reply::Array(vec![Reply::bulk(id), texts(&["f", value])]);
        let stream = |key: &str, entries: Vec<Reply>| {
            Reply::Array(vec![Reply::Array(vec![Reply::bulk(key), Reply::Array(entries)])])
        };
        // All readers get it.
        for reader in &mut readers {
            assert_eq!(reader.read(), stream("k:1", vec![entry("2-1", "new")]));
        }
        client.run("XGROUP CREATE k:0 g $ MKSTREAM");
        client.run("XGROUP CREATE k:2 g $ MKSTREAM");
        for (at, reader) in readers.iter_mut().enumerate() {
            block(node, reader, &format!("XREADGROUP GROUP g c{at} BLOCK 0 STREAMS k:0 k:2 > >"));
        }
        // Of a group one consumer.
        for (at, reader) in readers.iter_mut().enumerate() {
            let key = if at == 1 { "k:2" } else { "k:0" };
            client.run(&format!("XADD {key} {}-1 f v{at}", at + 5));
            let value = format!("v{at}");
            assert_eq!(reader.read(), stream(key, vec![entry(&format!("{}-1", at + 5), &value)]));
        }
        assert_eq!(client.run("XLEN k:0"), Reply::Integer(2));
        block(node, &mut readers[0], "XREADGROUP GROUP g c BLOCK 0 STREAMS k:0 >");
        assert_eq!(client.run("XGROUP DESTROY k:0 g"), Reply::Integer(1));
        assert!(readers[0].read().error().starts_with("NOGROUP"));
    }

    pub fn keys_that_come_another_way_serve_too(node: &Node) {
        let mut client = node.connect();
        let mut waiter = node.connect();
        let dump = {
            client.run("RPUSH full x y");
            match client.run("DUMP full") {
                Reply::Bulk(payload) => payload,
                other => panic!("a payload, not {other}"),
            }
        };
        for key in KEYS {
            for line in ["RENAME full", "COPY full", "LMOVE full", "SORT full"] {
                client.run("RPUSH full x y");
                block(node, &mut waiter, &format!("BLPOP {key} 0"));
                match line {
                    "LMOVE full" => client.run(&format!("LMOVE full {key} LEFT LEFT")),
                    "SORT full" => client.run(&format!("SORT full ALPHA STORE {key}")),
                    _ => client.run(&format!("{line} {key}")),
                };
                assert_eq!(waiter.read(), texts(&[key, "x"]), "{line}");
                client.run("FLUSHALL");
            }
            block(node, &mut waiter, &format!("BLPOP {key} 0"));
            client.call(&[b"RESTORE", key.as_bytes(), b"0", &dump]);
            assert_eq!(waiter.read(), texts(&[key, "x"]));
            client.run("FLUSHALL");
        }
        // Another database.
        waiter.run("SELECT 1");
        client.run("RPUSH k:0 x");
        block(node, &mut waiter, "BLPOP k:0 k:1 0");
        client.run("MOVE k:0 1");
        assert_eq!(waiter.read(), texts(&["k:0", "x"]));
        client.run("RPUSH k:1 x");
        block(node, &mut waiter, "BLPOP k:0 k:1 0");
        client.run("SWAPDB 0 1");
        assert_eq!(waiter.read(), texts(&["k:1", "x"]));
    }

    pub fn keys_of_another_type_serve_nobody(node: &Node) {
        let mut client = node.connect();
        let mut waiter = node.connect();
        block(node, &mut waiter, "BLPOP k:0 k:1 0");
        for line in ["SADD k:0 x", "DEL k:0", "ZADD k:1 1 x", "DEL k:1", "SET k:0 x", "DEL k:0"] {
            assert!(!client.run(line).is_error());
        }
        client.run("FLUSHALL");
        client.run("RPUSH k:1 x");
        assert_eq!(waiter.read(), texts(&["k:1", "x"]));
        client.run("SET k:0 text");
        assert!(waiter.run("BLPOP k:0 0").error().starts_with("WRONGTYPE"));
        // The first of its keys that has something counts, in their order.
        client.run("FLUSHALL");
        client.run("RPUSH k:5 five");
        client.run("RPUSH k:2 two");
        assert_eq!(waiter.run("BLPOP k:1 k:2 k:5 0"), texts(&["k:2", "two"]));
    }
}

/// Redis's own replica must be able to follow what serving does.
#[test]
fn a_replica_follows_what_waiters_took() {
    for shards in [1, 3] {
        for kind in [Server::Redis, Server::Ours(2)] {
            let primary = Node::ringfort(shards);
            let replica = replica_of(&primary, kind);
            check::every_element_goes_to_exactly_one_waiter(&primary);
            let mut client = primary.connect();
            let mut waiter = primary.connect();
            block(&primary, &mut waiter, "BLMOVE k:0 k:1 LEFT LEFT 0");
            client.run("RPUSH k:0 a b c");
            assert_eq!(waiter.read(), Reply::bulk("a"));
            block(&primary, &mut waiter, "BZPOPMIN z:0 z:1 0");
            client.run("ZADD z:1 1 a 2 b");
            assert_eq!(waiter.read(), texts(&["z:1", "a", "1"]));
            client.run("XGROUP CREATE s g $ MKSTREAM");
            block(&primary, &mut waiter, "XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
            client.run("XADD s 1-1 f v");
            assert!(!waiter.read().is_nothing());
            wait_until_caught_up(&primary, &replica);
            assert_same_data(&[&primary, &replica]);
        }
    }
}

#[test]
fn a_new_role_ends_all_waits() {
    for node in [Start::redis().node(), Node::ringfort(1), Node::ringfort(3)] {
        let mut waiters = clients(&node, 3);
        block(&node, &mut waiters[0], "BLPOP k:0 k:1 k:2 k:3 0");
        block(&node, &mut waiters[1], "BZPOPMIN k:0 0");
        block(&node, &mut waiters[2], "XREAD BLOCK 0 STREAMS k:1 0");
        assert_eq!(node.connect().run("REPLICAOF 127.0.0.1 1"), Reply::ok());
        for waiter in &mut waiters {
            assert_eq!(
                waiter.read().error(),
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
            );
            assert!(waiter.try_call(&["PING"]).is_err());
        }
        wait_for_blocked(&node, 0);
    }
}
