//! Replicas of replicas: one stream with one set of offsets runs through the whole chain, and a chain
//! that loses its head or a link goes on without a full sync (PSYNC2).

mod common;

use common::replication::{
    Server, Writer, assert_same_data, fill, follow, link_is_up, offset, promote, syncs,
    wait_for_link,
};
use common::{Node, Random, Reply, eventually};

const CHAINS: [[Server; 3]; 4] = [
    [Server::Ours(2), Server::Redis, Server::Ours(4)],
    [Server::Redis, Server::Ours(2), Server::Redis],
    [Server::Ours(1), Server::Ours(4), Server::Redis],
    [Server::Ours(4), Server::Ours(1), Server::Ours(2)],
];

/// A chain with all links up, and data in it.
fn chain(kinds: [Server; 3]) -> [Node; 3] {
    // Long enough for whatever is written while a link is away, on a slow machine too.
    let start = |kind: Server| kind.start().option("--repl-backlog-size", "64mb").node();
    let [first, middle, last] = kinds.map(start);
    fill(&first);
    follow(&middle, &first);
    wait_for_link(&middle);
    follow(&last, &middle);
    assert_same_data(&[&first, &middle, &last]);
    [first, middle, last]
}

#[test]
fn a_chain_has_one_stream_and_one_history() {
    for kinds in CHAINS {
        let [first, middle, last] = chain(kinds);
        let writer = Writer::start(&first, 31);
        writer.wait_for_more(2000);
        writer.stop();
        assert_same_data(&[&first, &middle, &last]);
        assert_eq!(offset(&first), offset(&last));
        let replid = first.info("master_replid");
        assert_eq!(middle.info("master_replid"), replid);
        assert_eq!(last.info("master_replid"), replid);
        assert_eq!((syncs(&first).full, syncs(&middle).full, syncs(&last).full), (1, 1, 0));
        assert_eq!(middle.info("connected_slaves"), "1");
    }
}

#[test]
fn links_cut_at_random_are_resumed_and_nothing_is_lost() {
    for kinds in CHAINS {
        let [first, middle, last] = chain(kinds);
        let mut random = Random::new(32);
        let writer = Writer::start(&first, 33);
        for _ in 0..6 {
            writer.wait_for_more(200);
            let (node, kill) = match random.below(4) {
                0 => (&first, "CLIENT KILL TYPE replica"),
                1 => (&middle, "CLIENT KILL TYPE master"),
                2 => (&middle, "CLIENT KILL TYPE replica"),
                _ => (&last, "CLIENT KILL TYPE master"),
            };
            node.connect().run(kill);
            for node in [&middle, &last] {
                wait_for_link(node);
            }
        }
        writer.stop();
        assert_same_data(&[&first, &middle, &last]);
        assert_eq!((syncs(&first).full, syncs(&middle).full), (1, 1));
    }
}

#[test]
fn a_cut_above_the_middle_leaves_the_link_below_it_alone() {
    for kinds in CHAINS {
        let [first, middle, last] = chain(kinds);
        for _ in 0..2 {
            let before = syncs(&first).partial;
            first.connect().run("CLIENT KILL TYPE replica");
            eventually("the link is resumed", || (syncs(&first).partial > before).then_some(()));
            assert!(link_is_up(&last));
        }
        first.connect().run("SET a b");
        assert_same_data(&[&first, &middle, &last]);
        let syncs = syncs(&middle);
        assert_eq!((syncs.full, syncs.partial), (1, 0));
    }
}

#[test]
fn a_middle_one_that_is_promoted_keeps_its_replica_without_a_full_sync() {
    for kinds in CHAINS {
        let [first, middle, last] = chain(kinds);
        let old = first.info("master_replid");
        let at = offset(&middle);
        promote(&middle);
        assert_eq!(middle.info("role"), "master");
        assert_eq!(middle.info("master_replid2"), old);
        assert_ne!(middle.info("master_replid"), old);
        assert!(middle.info("second_repl_offset").parse::<i64>().unwrap() > at);
        let writer = Writer::start(&middle, 34);
        writer.wait_for_more(500);
        writer.stop();
        assert_same_data(&[&middle, &last]);
        assert_eq!(last.info("master_replid"), middle.info("master_replid"));
        assert_eq!(syncs(&middle).full, 1);
        // The old head, which has written nothing since, joins at the other end.
        follow(&first, &last);
        assert_same_data(&[&middle, &last, &first]);
        assert_eq!(syncs(&last).full, 0);
        assert_eq!(syncs(&last).partial, 1);
    }
}

#[test]
fn the_last_one_can_follow_the_first_when_the_middle_dies() {
    for kinds in CHAINS {
        let [first, mut middle, last] = chain(kinds);
        middle.signal(9);
        middle.wait();
        first.connect().run("SET while away");
        follow(&last, &first);
        assert_same_data(&[&first, &last]);
        let syncs = syncs(&first);
        assert_eq!((syncs.full, syncs.partial), (1, 1));
        assert_eq!(last.connect().run("GET while"), Reply::bulk("away"));
    }
}

#[test]
fn a_chain_can_be_turned_into_a_star_and_back() {
    for kinds in CHAINS {
        let [first, middle, last] = chain(kinds);
        let writer = Writer::start(&first, 35);
        follow(&last, &first);
        wait_for_link(&last);
        writer.wait_for_more(200);
        writer.stop();
        // While somebody writes, the last one may be ahead of the middle one, which could not serve it then.
        assert_same_data(&[&first, &middle, &last]);
        follow(&last, &middle);
        wait_for_link(&last);
        let writer = Writer::start(&first, 36);
        writer.wait_for_more(200);
        writer.stop();
        assert_same_data(&[&first, &middle, &last]);
        assert_eq!((syncs(&first).full, syncs(&middle).full), (1, 1));
    }
}
