//! Writes and their replicas: WAIT, min-replicas-to-write, and pauses.

mod common;

use std::time::{Duration, Instant};

use common::node::free_port;
use common::replication::{
    PAIRS, Server, Stopped, assert_same_data, config_set, follow, follow_port, number_over, offset,
    replica_of, syncs, wait_for_link, write_bytes,
};
use common::{Node, Reply, eventually};

#[test]
fn wait_counts_the_replicas_that_have_the_writes_of_this_connection() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let mut client = primary.connect();
        client.run("SET a b");
        assert_eq!(client.run("WAIT 0 0"), Reply::Integer(0));
        let start = Instant::now();
        assert_eq!(client.run("WAIT 1 150"), Reply::Integer(0));
        assert!(start.elapsed() >= Duration::from_millis(140), "{:?}", start.elapsed());

        let _one = replica_of(&primary, replica);
        client.run("SET a c");
        assert_eq!(client.run("WAIT 1 0"), Reply::Integer(1));
        assert_eq!(client.run("WAIT 2 100"), Reply::Integer(1));
        let _two = replica_of(&primary, replica);
        client.run("SET a d");
        assert_eq!(client.run("WAIT 2 0"), Reply::Integer(2));
        // A connection that has written nothing has nothing to wait for.
        assert!(primary.connect().run("WAIT 1 0").integer() >= 1);
    }
}

#[test]
fn wait_is_quick_when_the_replicas_are() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let _replica = replica_of(&primary, replica);
        let mut client = primary.connect();
        let start = Instant::now();
        for number in 0..50 {
            client.call(&["SET", "a", &number.to_string()]);
            assert_eq!(client.run("WAIT 1 5000"), Reply::Integer(1));
        }
        // A replica that acknowledges once a second only would take fifty.
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[test]
fn wait_does_not_count_a_replica_that_is_behind() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        let mut client = primary.connect();
        let stopped = Stopped::stop(&replica);
        client.run("SET a b");
        assert_eq!(client.run("WAIT 1 100"), Reply::Integer(0));
        client.send_command(&["WAIT", "1", "0"]);
        eventually("it waits", || (primary.info("blocked_clients") == "1").then_some(()));
        drop(stopped);
        assert_eq!(client.read(), Reply::Integer(1));
    }
}

#[test]
fn waiting_clients_can_be_freed() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        let _stopped = Stopped::stop(&replica);
        let mut client = primary.connect();
        let id = client.run("CLIENT ID").integer().to_string();
        client.run("SET a b");
        let mut other = primary.connect();
        for (how, expected) in [("TIMEOUT", ":0"), ("ERROR", "-UNBLOCKED")] {
            client.send_command(&["WAIT", "1", "0"]);
            eventually("it waits", || (primary.info("blocked_clients") == "1").then_some(()));
            assert_eq!(other.call(&["CLIENT", "UNBLOCK", &id, how]), Reply::Integer(1));
            let reply = client.read().to_string();
            assert!(reply.starts_with(expected), "{reply}");
        }
        // In a transaction nothing waits.
        let replies = client.pipeline(&[
            vec!["MULTI"],
            vec!["SET", "a", "c"],
            vec!["WAIT", "1", "0"],
            vec!["EXEC"],
        ]);
        assert_eq!(replies[3], Reply::Array(vec![Reply::ok(), Reply::Integer(0)]));
    }
}

/// Nobody woke a client in WAIT when its node became a replica, which has no replicas to wait for.
#[test]
fn a_client_in_wait_is_turned_away_when_its_node_becomes_a_replica() {
    for server in [Server::Redis, Server::Ours(2)] {
        let node = server.node();
        let mut client = node.connect();
        client.run("SET a b");
        client.send_command(&["WAIT", "1", "0"]);
        eventually("it waits", || (node.info("blocked_clients") == "1").then_some(()));
        follow_port(&node, free_port());
        assert_eq!(
            client.read().error(),
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
        );
        assert_eq!(client.read_to_close(), b"");
    }
}

/// A client that left during WAIT stayed in it until some replica acknowledged something. Now its going ends it.
#[test]
fn a_client_that_leaves_during_wait_is_forgotten() {
    for server in [Server::Redis, Server::Ours(2)] {
        let node = server.node();
        let mut other = node.connect();
        let clients = number_over(&mut other, "connected_clients");
        let waiting: Vec<_> = (0..4)
            .map(|_| {
                let mut client = node.connect();
                client.run("SET a b");
                client.send_command(&["WAIT", "1", "0"]);
                client
            })
            .collect();
        eventually("they wait", || (number_over(&mut other, "blocked_clients") == 4).then_some(()));
        drop(waiting);
        eventually("they are gone", || {
            let left = number_over(&mut other, "connected_clients");
            (left == clients && number_over(&mut other, "blocked_clients") == 0).then_some(())
        });
    }
}

#[test]
fn wait_is_refused_as_by_redis() {
    let (ours, theirs) = (Server::Ours(2).node(), Server::Redis.node());
    let check = |line: &str| {
        let (got, expected) = (ours.connect().run(line), theirs.connect().run(line));
        assert_eq!(got, expected, "{line}");
        assert!(expected.is_error(), "{line}: {expected}");
    };
    for line in ["WAIT", "WAIT 1", "WAIT x 0", "WAIT 1 x", "WAIT 1 -1", "WAIT 1 2 3", "WAIT 1.5 0"]
    {
        check(line);
    }
    let primary = Server::Redis.node();
    follow(&ours, &primary);
    follow(&theirs, &primary);
    wait_for_link(&ours);
    wait_for_link(&theirs);
    check("WAIT 0 0");
    check("WAIT 1 10");
}

fn refuses_writes(node: &Node) -> bool {
    let reply = node.connect().run("SET a b");
    if reply == Reply::ok() {
        return false;
    }
    assert_eq!(reply.error(), "NOREPLICAS Not enough good replicas to write.");
    true
}

#[test]
fn a_primary_with_too_few_replicas_refuses_writes() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let mut client = primary.connect();
        client.run("SET a b");
        config_set(&primary, "min-replicas-max-lag", "2");
        config_set(&primary, "min-replicas-to-write", "1");
        assert!(refuses_writes(&primary));
        assert_eq!(client.run("GET a"), Reply::bulk("b"));
        assert_eq!(primary.info("min_slaves_good_slaves"), "0");
        assert_eq!(client.run("MULTI"), Reply::ok());
        assert!(client.run("INCR n").error().starts_with("NOREPLICAS"));
        assert!(client.run("EXEC").error().starts_with("EXECABORT"));

        let replica = replica_of(&primary, replica);
        eventually("writes are accepted", || (!refuses_writes(&primary)).then_some(()));
        assert_eq!(primary.info("min_slaves_good_slaves"), "1");
        let stopped = Stopped::stop(&replica);
        eventually("writes are refused", || refuses_writes(&primary).then_some(()));
        drop(stopped);
        eventually("writes are accepted", || (!refuses_writes(&primary)).then_some(()));
        config_set(&primary, "min-replicas-to-write", "2");
        assert!(refuses_writes(&primary));
        config_set(&primary, "min-replicas-to-write", "0");
        assert!(!refuses_writes(&primary));
        assert_same_data(&[&primary, &replica]);
    }
}

#[test]
fn a_pause_of_writes_stops_the_stream_and_nothing_else() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        let mut client = primary.connect();
        client.run("SET a b");
        client.run("SET soon gone PX 100");
        assert_same_data(&[&primary, &replica]);
        assert_eq!(client.run("CLIENT PAUSE 60000 WRITE"), Reply::ok());
        let at = offset(&primary);
        let mut writing = primary.connect();
        writing.send_command(&["SET", "a", "c"]);
        eventually("the write is held back", || {
            (primary.info("blocked_clients") == "1").then_some(())
        });
        assert_eq!(client.run("GET a"), Reply::bulk("b"));
        // A key that expires meanwhile is hidden, and its deletion is not written before the end.
        eventually("a key expires", || (client.run("GET soon") == Reply::NullBulk).then_some(()));
        assert_eq!(offset(&primary), at);
        // Replicas still come and go.
        let another = replica_of(&primary, Server::Redis);
        assert_eq!(client.run("CLIENT UNPAUSE"), Reply::ok());
        assert_eq!(writing.read(), Reply::ok());
        assert_same_data(&[&primary, &replica, &another]);
        assert!(offset(&primary) > at);
        assert_eq!(replica.connect().run("GET a"), Reply::bulk("c"));
    }
}

/// A pause of a replica's clients may hold its stream back too (Redis does); it ends with everything
/// applied over the same link.
#[test]
fn a_replica_whose_clients_are_paused_catches_up_afterwards() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        assert_eq!(replica.connect().run("CLIENT PAUSE 300 ALL"), Reply::ok());
        write_bytes(&primary, 1_000_000);
        assert_same_data(&[&primary, &replica]);
        assert_eq!((syncs(&primary).full, syncs(&primary).partial), (1, 0));
    }
}
