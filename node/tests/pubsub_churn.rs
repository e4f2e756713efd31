//! Subscribers come and go while others publish: who was counted as a receiver receives, and nobody else.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use common::client::words;
use common::{Client, Node, Random, Reply};

const SUBSCRIBERS: u64 = 6;
const PUBLISHERS: u64 = 3;
const CHANNELS: usize = 4;

/// Reads all confirmations of a command; returns how many messages came between.
fn confirmed(client: &mut Client, confirmations: usize) -> usize {
    let (mut left, mut messages) = (confirmations, 0);
    while left > 0 {
        let reply = client.read();
        if reply.members()[0].text().ends_with("subscribe") {
            left -= 1;
        } else {
            messages += 1;
        }
    }
    messages
}

fn churn(client: &mut Client, seed: u64, publishing: &AtomicBool) -> usize {
    let mut random = Random::new(seed);
    let mut received = 0;
    while publishing.load(Relaxed) {
        let channel = format!("c{}", random.below(CHANNELS));
        let command: Vec<&str> = match random.below(8) {
            0 => vec!["SUBSCRIBE", &channel],
            1 => vec!["SUBSCRIBE", "c0", &channel, "c3"],
            2 => vec!["PSUBSCRIBE", "c*"],
            3 => vec!["SSUBSCRIBE", &channel, "c1"],
            4 => vec!["UNSUBSCRIBE", &channel],
            5 => vec!["PUNSUBSCRIBE", "c*", "none"],
            6 => vec!["SUNSUBSCRIBE", &channel],
            _ => vec!["PSUBSCRIBE", "*1", "c?"],
        };
        client.send_command(&command);
        received += confirmed(client, command.len() - 1);
    }
    // What was counted before the end arrives before its confirmation; without subscriptions PING answers plainly.
    for command in ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "PING done"] {
        client.send_command(&words(command));
    }
    loop {
        let reply = client.read();
        if reply == Reply::bulk("done") {
            return received;
        }
        received += usize::from(!reply.members()[0].text().ends_with("subscribe"));
    }
}

fn check(shards: usize) {
    let node = Node::ringfort(shards);
    let publishing = AtomicBool::new(true);
    let (counted, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let (node, publishing, received) = (&node, &publishing, &received);
        for seed in 0..SUBSCRIBERS {
            scope.spawn(move || {
                let messages = churn(&mut node.connect(), seed, publishing);
                received.fetch_add(messages, Relaxed);
            });
        }
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|seed| {
                scope.spawn(move || {
                    let mut random = Random::new(100 + seed);
                    let mut client = node.connect();
                    let mut counted = 0;
                    for _ in 0..100 {
                        let commands: Vec<Vec<String>> = (0..5)
                            .map(|_| {
                                let command = *random.pick(&["PUBLISH", "PUBLISH", "SPUBLISH"]);
                                let channel = format!("c{}", random.below(CHANNELS));
                                vec![command.to_owned(), channel, "message".to_owned()]
                            })
                            .collect();
                        counted +=
                            client.pipeline(&commands).iter().map(Reply::integer).sum::<i64>();
                    }
                    counted as usize
                })
            })
            .collect();
        for publisher in publishers {
            counted.fetch_add(publisher.join().unwrap(), Relaxed);
        }
        publishing.store(false, Relaxed);
    });
    let (counted, received) = (counted.into_inner(), received.into_inner());
    assert!(counted > 0);
    assert_eq!(received, counted, "{shards} shards");
    let mut client = node.connect();
    for command in ["PUBSUB CHANNELS", "PUBSUB SHARDCHANNELS"] {
        assert_eq!(client.run(command), Reply::Array(vec![]));
    }
    assert_eq!(client.run("PUBSUB NUMPAT"), Reply::Integer(0));
}

#[test]
fn those_counted_receive_on_one_shard() {
    check(1);
}

#[test]
fn those_counted_receive_on_two_shards() {
    check(2);
}

#[test]
fn those_counted_receive_on_four_shards() {
    check(4);
}
