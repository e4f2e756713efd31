//! Another primary: a replica is promoted by hand or by FAILOVER, and the others, the old primary among
//! them, follow it without a full sync as long as they share its history.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::replication::{
    PAIRS, Server, Stopped, Writer, assert_same_data, fill, follow, offset, promote, syncs,
    wait_for_link, wait_until_caught_up, write_bytes,
};
use common::{Client, Node, Reply, eventually};

/// A primary of the first kind with two replicas of the second, all with the same data.
fn trio(primary: Server, replica: Server) -> [Node; 3] {
    let nodes = [primary.node(), replica.node(), replica.node()];
    fill(&nodes[0]);
    for replica in &nodes[1..] {
        follow(replica, &nodes[0]);
    }
    assert_same_data(&[&nodes[0], &nodes[1], &nodes[2]]);
    nodes
}

fn wait_for_role(node: &Node, role: &str) {
    eventually("the role changes", || (node.info("role") == role).then_some(()));
}

#[test]
fn the_sibling_and_the_old_primary_follow_a_promoted_replica_without_a_full_sync() {
    for (primary, replica) in PAIRS {
        let [old, new, sibling] = trio(primary, replica);
        let history = old.info("master_replid");
        promote(&new);
        assert_eq!(new.info("master_replid2"), history);
        assert_eq!(new.info("second_repl_offset"), (offset(&old) + 1).to_string());
        let writer = Writer::start(&new, 41);
        follow(&sibling, &new);
        follow(&old, &new);
        wait_for_link(&sibling);
        wait_for_link(&old);
        writer.wait_for_more(500);
        writer.stop();
        assert_same_data(&[&new, &sibling, &old]);
        let syncs = syncs(&new);
        assert_eq!((syncs.full, syncs.partial), (0, 2));
        assert_eq!(old.info("role"), "slave");
    }
}

/// The place where the histories part was read after effects had been switched on: a message published, or a PING
/// sent, just then counted as shared with the old primary, and a sibling with other bytes there could go on behind
/// them. It is read before.
#[test]
fn what_is_published_during_a_promotion_belongs_to_the_new_history() {
    let quiet = |server: Server| server.start().option("--repl-ping-replica-period", "3600").node();
    let (old, new) = (quiet(Server::Ours(1)), quiet(Server::Ours(4)));
    old.connect().run("SET a b");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whatever fails, the publishers end.
        let stop = StopOnDrop(&stop);
        for number in 0..4 {
            let (mut client, stop) = (new.connect(), stop.0);
            scope.spawn(move || {
                let channel = format!("channel:{number}");
                let messages = vec![vec!["PUBLISH", &channel, "message"]; 20];
                while !stop.load(Ordering::Relaxed) {
                    client.pipeline(&messages);
                }
            });
        }
        for _ in 0..8 {
            follow(&new, &old);
            wait_for_link(&new);
            wait_until_caught_up(&old, &new);
            promote(&new);
            assert_eq!(new.info("second_repl_offset"), (offset(&old) + 1).to_string());
        }
    });
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The core that FAILOVER ABORT came to ended the pause of writes while the core of the FAILOVER was still beginning
/// it: where the end came first, writes were held back for ever. The steps of a failover are taken one by one.
#[test]
fn a_failover_that_is_aborted_at_once_leaves_no_core_paused() {
    let primary = Server::Ours(4).node();
    let replica = Server::Redis.node();
    follow(&replica, &primary);
    wait_for_link(&replica);
    let _stopped = Stopped::stop(&replica);
    // One client per core at least; behind their writes the replica is never in step.
    let mut clients: Vec<Client> = (0..8).map(|_| primary.connect()).collect();
    for round in 0..100 {
        for client in &mut clients {
            assert_eq!(client.run("SET a b"), Reply::ok());
        }
        let (one, others) = clients.split_first_mut().expect("eight of them");
        one.send_command(&["FAILOVER"]);
        let other = &mut others[round % 7];
        eventually("the failover is aborted", || {
            (other.run("FAILOVER ABORT") == Reply::ok()).then_some(())
        });
        assert_eq!(one.read(), Reply::ok());
    }
}

#[test]
fn an_old_primary_that_wrote_on_gets_everything_anew() {
    for (primary, replica) in PAIRS {
        let [old, new, _sibling] = trio(primary, replica);
        promote(&new);
        old.connect().run("SET lost write");
        new.connect().run("SET kept write");
        follow(&old, &new);
        assert_same_data(&[&new, &old]);
        assert_eq!(syncs(&new).full, 1);
        assert_eq!(old.connect().run("EXISTS lost"), Reply::Integer(0));
    }
}

#[test]
fn promoting_twice_keeps_only_the_last_history() {
    for (primary, replica) in PAIRS {
        let [first, second, third] = trio(primary, replica);
        promote(&second);
        second.connect().run("SET a 1");
        follow(&third, &second);
        assert_same_data(&[&second, &third]);
        promote(&third);
        third.connect().run("SET a 2");
        follow(&second, &third);
        assert_same_data(&[&third, &second]);
        assert_eq!(syncs(&third).full, 0);
        // The first one knows a history that the third has left behind.
        follow(&first, &third);
        assert_same_data(&[&third, &first]);
        assert_eq!(syncs(&third).full, 1);
        // Promoting a primary changes nothing.
        let replid = third.info("master_replid");
        promote(&third);
        assert_eq!(third.info("master_replid"), replid);
    }
}

#[test]
fn failover_hands_over_to_the_replica_named() {
    for (primary, replica) in PAIRS {
        let [old, new, sibling] = trio(primary, replica);
        let port = new.port().to_string();
        assert_eq!(old.connect().call(&["FAILOVER", "TO", "127.0.0.1", &port]), Reply::ok());
        after_failover(&old, &new, &sibling);
    }
}

#[test]
fn failover_picks_a_replica_that_has_everything() {
    for (primary, replica) in PAIRS {
        let (old, new) = (primary.node(), replica.node());
        follow(&new, &old);
        fill(&old);
        wait_until_caught_up(&old, &new);
        assert_eq!(old.connect().run("FAILOVER TIMEOUT 30000"), Reply::ok());
        wait_for_role(&new, "master");
        wait_for_link(&old);
        assert_same_data(&[&new, &old]);
        assert_eq!(syncs(&new).full, 0);
        // And back again, without any option.
        assert_eq!(new.connect().run("FAILOVER"), Reply::ok());
        wait_for_role(&old, "master");
        wait_for_link(&new);
        assert_same_data(&[&old, &new]);
        assert_eq!(syncs(&old).full, 1);
    }
}

/// What must hold once `old` has handed over to `new`, with `sibling` still behind `old`.
fn after_failover(old: &Node, new: &Node, sibling: &Node) {
    wait_for_role(new, "master");
    wait_for_role(old, "slave");
    wait_for_link(old);
    eventually("the failover is over", || {
        (old.info("master_failover_state") == "no-failover").then_some(())
    });
    assert_eq!(old.info("master_port"), new.port().to_string());
    let writer = Writer::start(new, 42);
    writer.wait_for_more(500);
    writer.stop();
    assert_same_data(&[new, old, sibling]);
    assert_eq!(syncs(new).full, 0);
    assert_eq!(syncs(old).full, 2);
}

/// Makes a client's SET wait, and returns when it does.
fn blocked_write(primary: &Node) -> Client {
    let mut client = primary.connect();
    client.send_command(&["SET", "while", "failing over"]);
    eventually("the write is held back", || (primary.info("blocked_clients") != "0").then_some(()));
    client
}

#[test]
fn a_failover_that_waits_can_be_aborted() {
    for (primary, replica) in PAIRS {
        let [old, new, _sibling] = trio(primary, replica);
        let stopped = Stopped::stop(&new);
        write_bytes(&old, 10_000_000);
        let mut client = old.connect();
        let port = new.port().to_string();
        let failover = ["FAILOVER", "TO", "127.0.0.1", &port, "TIMEOUT", "60000"];
        assert_eq!(client.call(&failover), Reply::ok());
        assert_eq!(old.info("master_failover_state"), "waiting-for-sync");
        let mut writing = blocked_write(&old);
        assert_eq!(client.run("EXISTS while"), Reply::Integer(0));
        assert!(client.run("FAILOVER").error().contains("already in progress"));
        let refused = client.run("REPLICAOF 127.0.0.1 1");
        assert!(refused.error().contains("not allowed while failing over"), "{refused}");
        assert_eq!(client.run("FAILOVER ABORT"), Reply::ok());
        assert_eq!(writing.read(), Reply::ok());
        assert_eq!(old.info("master_failover_state"), "no-failover");
        assert_eq!(old.info("role"), "master");
        drop(stopped);
        assert_same_data(&[&old, &new]);
    }
}

#[test]
fn a_failover_gives_up_after_its_timeout() {
    for (primary, replica) in PAIRS {
        let [old, new, sibling] = trio(primary, replica);
        let stopped = [Stopped::stop(&new), Stopped::stop(&sibling)];
        write_bytes(&old, 10_000_000);
        assert_eq!(old.connect().run("FAILOVER TIMEOUT 300"), Reply::ok());
        // Held back until the failover has given up.
        assert_eq!(old.connect().run("SET while failing"), Reply::ok());
        assert_eq!(old.info("master_failover_state"), "no-failover");
        assert_eq!(old.info("role"), "master");
        drop(stopped);
        assert_same_data(&[&old, &new, &sibling]);
    }
}

#[test]
fn a_forced_failover_does_not_wait_for_the_last_bytes() {
    for (primary, replica) in PAIRS {
        let [old, new, _sibling] = trio(primary, replica);
        let stopped = Stopped::stop(&new);
        write_bytes(&old, 10_000_000);
        let port = new.port().to_string();
        let failover = ["FAILOVER", "TO", "127.0.0.1", &port, "FORCE", "TIMEOUT", "300"];
        assert_eq!(old.connect().call(&failover), Reply::ok());
        eventually("the primary steps down", || {
            (old.info("master_failover_state") == "failover-in-progress").then_some(())
        });
        drop(stopped);
        wait_for_role(&new, "master");
        wait_for_role(&old, "slave");
        assert_same_data(&[&new, &old]);
    }
}

#[test]
fn failover_with_bad_arguments_is_refused_as_by_redis() {
    let (ours, theirs) = (Server::Ours(2).node(), Server::Redis.node());
    let check = |line: &str| {
        let (got, expected) = (ours.connect().run(line), theirs.connect().run(line));
        assert_eq!(got, expected, "{line}");
        assert!(expected.is_error(), "{line}: {expected}");
    };
    check("FAILOVER");
    check("FAILOVER ABORT");
    let replicas = [Server::Redis.node(), Server::Redis.node()];
    follow(&replicas[0], &ours);
    follow(&replicas[1], &theirs);
    for replica in &replicas {
        wait_for_link(replica);
    }
    for line in [
        "FAILOVER ABORT",
        "FAILOVER NOW",
        "FAILOVER ABORT NOW",
        "FAILOVER TO",
        "FAILOVER TO 127.0.0.1",
        "FAILOVER TO 127.0.0.1 x",
        "FAILOVER TO 127.0.0.1 1",
        "FAILOVER TO 127.0.0.1 1 FORCE",
        "FAILOVER TO 127.0.0.1 1 TO 127.0.0.1 1",
        "FAILOVER TIMEOUT",
        "FAILOVER TIMEOUT 0",
        "FAILOVER TIMEOUT -1",
        "FAILOVER TIMEOUT x",
        "FAILOVER FORCE",
        "FAILOVER FORCE TIMEOUT 100",
    ] {
        check(line);
    }
    for node in [&ours, &theirs] {
        follow(node, &replicas[0]);
    }
    check("FAILOVER");
    check("FAILOVER ABORT");
}
