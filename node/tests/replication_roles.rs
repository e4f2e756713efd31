//! What a node says and allows as a primary and as a replica: ROLE, INFO, CLIENT LIST, refusals of
//! reads and writes, passwords between the two, keys that expire, and bad calls.

mod common;

use common::node::free_port;
use common::replication::{
    PAIRS, Server, Stopped, assert_same_data, config_set, follow, follow_port, link_is_up, offset,
    replica_of, replication_field, syncs, wait_for_link, wait_for_link_down, wait_until_caught_up,
};
use common::{Client, Node, Reply, eventually};

/// Names of the fields of `INFO replication`, in order; with those inside of a replica's line.
fn field_names(node: &Node) -> Vec<String> {
    let info = node.connect().run("INFO replication").text();
    let name = |line: &str| match line.split_once(':') {
        Some((name, value)) if name.starts_with("slave") && value.contains('=') => {
            let inner: Vec<&str> =
                value.split(',').filter_map(|part| Some(part.split_once('=')?.0)).collect();
            format!("{name}:{}", inner.join(","))
        }
        Some((name, _)) => name.to_owned(),
        None => line.to_owned(),
    };
    info.lines().map(name).collect()
}

fn assert_same_fields(ours: &Node, theirs: &Node) {
    assert_eq!(field_names(ours), field_names(theirs));
}

#[test]
fn info_has_redis_fields_in_redis_order_in_every_role() {
    let (ours, theirs) = (Server::Ours(2).node(), Server::Redis.node());
    assert_same_fields(&ours, &theirs);
    // As primaries of one replica each.
    let behind_ours = replica_of(&ours, Server::Redis);
    let behind_theirs = replica_of(&theirs, Server::Ours(2));
    wait_until_caught_up(&ours, &behind_ours);
    wait_until_caught_up(&theirs, &behind_theirs);
    eventually("both replicas are online", || {
        let online = |node: &Node| node.info("slave0").contains("state=online");
        (online(&ours) && online(&theirs)).then_some(())
    });
    assert_same_fields(&ours, &theirs);
    config_set(&ours, "min-replicas-to-write", "1");
    config_set(&theirs, "min-replicas-to-write", "1");
    assert_same_fields(&ours, &theirs);
    // As replicas.
    assert_same_fields(&behind_theirs, &behind_ours);
    // As replicas without a link.
    let nobody = free_port();
    follow_port(&behind_ours, nobody);
    follow_port(&behind_theirs, nobody);
    eventually("both know for how long", || {
        let down = |node: &Node| link_is_down_with_time(node);
        (down(&behind_ours) && down(&behind_theirs)).then_some(())
    });
    assert_same_fields(&behind_theirs, &behind_ours);
}

fn link_is_down_with_time(node: &Node) -> bool {
    !replication_field(&mut node.connect(), "master_link_down_since_seconds").is_empty()
}

#[test]
fn info_describes_the_link_from_both_sides() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        primary.connect().run("SET a b");
        wait_until_caught_up(&primary, &replica);
        assert_eq!(primary.info("role"), "master");
        assert_eq!(primary.info("connected_slaves"), "1");
        assert_eq!(replica.info("role"), "slave");
        assert_eq!(replica.info("master_host"), "127.0.0.1");
        assert_eq!(replica.info("master_port"), primary.port().to_string());
        assert_eq!(replica.info("master_sync_in_progress"), "0");
        assert_eq!(replica.info("slave_read_only"), "1");
        assert_eq!(replica.info("slave_repl_offset"), replica.info("master_repl_offset"));
        assert_eq!(replica.info("master_replid"), primary.info("master_replid"));
        assert_eq!(replica.info("repl_backlog_active"), "1");
        assert_eq!(primary.info("second_repl_offset"), "-1");
        assert_eq!(primary.info("master_replid2"), "0".repeat(40));
        let expected = format!("ip=127.0.0.1,port={},state=online,", replica.port());
        eventually("the replica's offset is known", || {
            let line = primary.info("slave0");
            assert!(line.starts_with(&expected), "{line}");
            line.contains(&format!(",offset={},", offset(&primary))).then_some(())
        });
    }
}

#[test]
fn role_tells_who_follows_whom() {
    for (primary, replica) in PAIRS {
        let (primary, replica) = (primary.node(), replica.node());
        let role = |node: &Node| node.connect().run("ROLE").to_string();
        assert_eq!(role(&primary), "[\"master\", :0, []]");
        follow(&replica, &primary);
        wait_for_link(&replica);
        primary.connect().run("SET a b");
        wait_until_caught_up(&primary, &replica);
        let at = offset(&primary);
        eventually("the acknowledgement arrives", || {
            let expected =
                format!("[\"master\", :{at}, [[\"127.0.0.1\", \"{}\", \"{at}\"]]]", replica.port());
            (role(&primary) == expected).then_some(())
        });
        let expected =
            format!("[\"slave\", \"127.0.0.1\", :{}, \"connected\", :{at}]", primary.port());
        assert_eq!(role(&replica), expected);
        follow_port(&replica, free_port());
        let answer = replica.connect().run("ROLE");
        let members = answer.members();
        assert_eq!(members[0].text(), "slave");
        assert!(["connect", "connecting"].contains(&members[3].text().as_str()), "{answer}");
    }
}

#[test]
fn a_replica_announces_what_it_is_told_to() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        config_set(&replica, "replica-announce-ip", "10.1.2.3");
        config_set(&replica, "replica-announce-port", "4321");
        config_set(&replica, "replica-priority", "50");
        assert_eq!(replica.info("slave_priority"), "50");
        assert_eq!(replica.info("replica_announced"), "1");
        config_set(&replica, "replica-announced", "no");
        assert_eq!(replica.info("replica_announced"), "0");
        replica.connect().run("CLIENT KILL TYPE master");
        eventually("the replica is known under its announced address", || {
            let line = replication_field(&mut primary.connect(), "slave0");
            line.starts_with("ip=10.1.2.3,port=4321,state=online").then_some(())
        });
        let role = primary.connect().run("ROLE");
        let replica_line = role.members()[2].members()[0].texts();
        assert_eq!(replica_line[..2], ["10.1.2.3", "4321"]);
    }
}

#[test]
fn links_are_clients_of_their_own_type() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        wait_until_caught_up(&primary, &replica);
        let list = |node: &Node, kind: &str| {
            let text = node.connect().call(&["CLIENT", "LIST", "TYPE", kind]).text();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let replicas = list(&primary, "replica");
        assert_eq!(replicas.len(), 1, "{replicas:?}");
        assert!(replicas[0].contains(" flags=S "), "{replicas:?}");
        assert_eq!(list(&primary, "slave").len(), 1);
        assert_eq!(list(&primary, "master").len(), 0);
        let masters = list(&replica, "master");
        assert_eq!(masters.len(), 1, "{masters:?}");
        assert!(masters[0].contains(" flags=M "), "{masters:?}");
        assert!(
            masters[0].contains(&format!(" addr=127.0.0.1:{} ", primary.port())),
            "{masters:?}"
        );
        assert_eq!(list(&replica, "replica").len(), 0);
        // The connections of clients are not counted as either.
        assert_eq!(primary.info("connected_clients"), "1");

        assert_eq!(primary.connect().run("CLIENT KILL TYPE master"), Reply::Integer(0));
        assert_eq!(replica.connect().run("CLIENT KILL TYPE replica"), Reply::Integer(0));
        assert!(link_is_up(&replica));
        let number = replicas[0].split(' ').next().unwrap().strip_prefix("id=").unwrap();
        assert_eq!(primary.connect().call(&["CLIENT", "KILL", "ID", number]), Reply::Integer(1));
        eventually("the link is resumed", || (syncs(&primary).partial == 1).then_some(()));
        wait_for_link(&replica);
        assert_eq!(primary.connect().run("CLIENT KILL TYPE slave"), Reply::Integer(1));
    }
}

#[test]
fn a_replica_refuses_writes_until_it_is_told_to_take_them() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        primary.connect().run("SET a 1");
        wait_until_caught_up(&primary, &replica);
        let mut client = replica.connect();
        let text = "READONLY You can't write against a read only replica.";
        for line in
            ["SET a b", "INCR a", "DEL a", "FLUSHALL", "MSET a 1 b 2", "EXPIRE a 1", "GETDEL a"]
        {
            assert_eq!(client.run(line), Reply::Error(text.to_owned()), "{line}");
        }
        assert_eq!(client.run("GET a"), Reply::bulk("1"));
        assert_eq!(client.run("MULTI"), Reply::ok());
        assert_eq!(client.run("GET a").to_string(), "+QUEUED");
        assert_eq!(client.run("SET a b"), Reply::Error(text.to_owned()));
        assert!(client.run("EXEC").error().starts_with("EXECABORT"));
        // Reads in a transaction are allowed.
        let replies = client.pipeline(&[vec!["MULTI"], vec!["GET", "a"], vec!["EXEC"]]);
        assert_eq!(replies[2], Reply::Array(vec![Reply::bulk("1")]));

        config_set(&replica, "replica-read-only", "no");
        assert_eq!(replica.info("slave_read_only"), "0");
        let at = offset(&replica);
        assert_eq!(client.run("SET own data"), Reply::ok());
        assert_eq!(client.run("GET own"), Reply::bulk("data"));
        // What is written here is this node's own affair.
        assert_eq!(offset(&replica), at);
        assert_eq!(primary.connect().run("EXISTS own"), Reply::Integer(0));
        config_set(&replica, "replica-read-only", "yes");
        assert!(client.run("SET own data").is_error());
        // Promoted, it takes writes without being told.
        client.run("REPLICAOF NO ONE");
        assert_eq!(client.run("SET a b"), Reply::ok());
    }
}

#[test]
fn a_replica_without_a_link_can_refuse_to_answer_with_old_data() {
    let (ours, theirs) = (Server::Ours(2).node(), Server::Redis.node());
    let nobody = free_port();
    for node in [&ours, &theirs] {
        node.connect().run("SET a b");
        follow_port(node, nobody);
        assert_eq!(node.connect().run("GET a"), Reply::bulk("b"));
        config_set(node, "replica-serve-stale-data", "no");
        let expected =
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
        assert_eq!(node.connect().run("GET a"), Reply::Error(expected.to_owned()));
    }
    for line in [
        "SET a b",
        "EXISTS a",
        "DBSIZE",
        "KEYS *",
        "SCAN 0",
        "FLUSHALL",
        "MULTI",
        "PING",
        "ECHO x",
        "SELECT 1",
        "CONFIG GET maxmemory",
        "REPLCONF listening-port 1",
        "PUBLISH a b",
        "CLIENT NO-EVICT on",
        "COMMAND COUNT",
        "OBJECT ENCODING a",
        "SAVE",
        "WAIT 0 0",
        "WATCH a",
        "UNWATCH",
        "DEBUG JMAP",
    ] {
        let (got, expected) = (ours.connect().run(line), theirs.connect().run(line));
        let down =
            |reply: &Reply| matches!(reply, Reply::Error(text) if text.starts_with("MASTERDOWN"));
        assert_eq!(down(&got), down(&expected), "{line}: {got}, Redis: {expected}");
    }
    for node in [&ours, &theirs] {
        assert!(!node.connect().run("INFO").is_error());
        assert_eq!(node.connect().run("REPLICAOF NO ONE"), Reply::ok());
        assert_eq!(node.connect().run("GET a"), Reply::bulk("b"));
    }
}

/// EXEC was let through while stale data was not to be served, whatever the transaction held: only EXEC itself may run
/// then. Now each of its commands must be allowed to.
#[test]
fn a_transaction_begun_before_data_became_stale_is_refused() {
    let nodes = [Server::Ours(2).node(), Server::Redis.node()];
    let nobody = free_port();
    let replies = nodes.each_ref().map(|node| {
        node.connect().run("SET a b");
        follow_port(node, nobody);
        let (mut reading, mut asking) = (node.connect(), node.connect());
        for (client, command) in [(&mut reading, "GET a"), (&mut asking, "INFO")] {
            assert_eq!(client.run("MULTI"), Reply::ok());
            client.run(command);
        }
        config_set(node, "replica-serve-stale-data", "no");
        assert!(!asking.run("EXEC").is_error());
        [reading.run("EXEC"), reading.run("EXEC")]
    });
    assert!(replies[0][0].error().starts_with("EXECABORT "), "{}", replies[0][0]);
    assert_eq!(replies[0], replies[1]);
}

#[test]
fn a_replica_logs_in_with_the_password_it_is_given() {
    for (primary, replica) in PAIRS {
        let primary = primary.start().option("--requirepass", "the password").node();
        let mut replica = replica.node();
        replica.connect().run("SET old data");
        follow(&replica, &primary);
        assert!(replica.wait_for_log("NOAUTH"));
        assert!(!link_is_up(&replica));
        config_set(&replica, "masterauth", "a wrong one");
        assert!(replica.wait_for_log("WRONGPASS"));
        assert!(!link_is_up(&replica));
        assert_eq!(replica.connect().run("GET old"), Reply::bulk("data"));
        config_set(&replica, "masterauth", "the password");
        wait_for_link(&replica);
        assert_eq!(replica.connect().run("EXISTS old"), Reply::Integer(0));
        // A user's name with it.
        config_set(&replica, "masteruser", "nobody");
        replica.connect().run("CLIENT KILL TYPE master");
        wait_for_link_down(&replica);
        config_set(&replica, "masteruser", "default");
        wait_for_link(&replica);
        let mut client = primary.connect();
        assert_eq!(client.run("AUTH \"the password\""), Reply::ok());
        client.run("SET a b");
        eventually("the write arrives", || {
            (replica.connect().run("GET a") == Reply::bulk("b")).then_some(())
        });
    }
}

/// Redis hides a key that has expired from a replica's readers, and leaves its deletion to the primary.
#[test]
fn a_replica_hides_expired_keys_and_waits_for_their_deletion() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        let mut writing = primary.connect();
        writing.run("DEBUG SET-ACTIVE-EXPIRE 0");
        writing.run("SET gone v PX 50");
        writing.run("SET here v");
        wait_until_caught_up(&primary, &replica);
        let at = offset(&primary);
        let mut reading = replica.connect();
        eventually("the key expires", || {
            (reading.run("GET gone") == Reply::NullBulk).then_some(())
        });
        for (line, expected) in [
            ("EXISTS gone", ":0"),
            ("TTL gone", ":-2"),
            ("PEXPIRETIME gone", ":-2"),
            ("TYPE gone", "+none"),
            ("STRLEN gone", ":0"),
            ("GETRANGE gone 0 -1", "\"\""),
            ("MGET gone here", "[$-1, \"v\"]"),
            ("KEYS *", "[\"here\"]"),
            ("RANDOMKEY", "\"here\""),
            ("DBSIZE", ":2"),
        ] {
            assert_eq!(reading.run(line).to_string(), expected, "{line}");
        }
        assert_eq!(offset(&primary), at);
        // Somebody asks the primary: it deletes, and says so to its replicas.
        assert_eq!(writing.run("GET gone"), Reply::NullBulk);
        assert!(offset(&primary) > at);
        eventually("the deletion arrives", || {
            (reading.run("DBSIZE") == Reply::Integer(1)).then_some(())
        });
        assert_eq!(replica.info("expired_keys"), "0");
        // By itself, too.
        writing.run("SET gone v PX 1");
        writing.run("DEBUG SET-ACTIVE-EXPIRE 1");
        eventually("the key expires by itself", || {
            (primary.connect().run("DBSIZE") == Reply::Integer(1)).then_some(())
        });
        assert_same_data(&[&primary, &replica]);
        // A promoted replica deletes for itself.
        writing.run("SET gone v PX 300");
        wait_until_caught_up(&primary, &replica);
        reading.run("REPLICAOF NO ONE");
        eventually("the promoted one deletes", || {
            (reading.run("DBSIZE") == Reply::Integer(1)).then_some(())
        });
    }
}

/// Evictions of the primary reach the replica, whose own limit is not its own affair.
#[test]
fn a_replica_evicts_only_what_its_primary_does() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        config_set(&replica, "maxmemory", "1mb");
        config_set(&replica, "maxmemory-policy", "allkeys-random");
        let mut client = primary.connect();
        for number in 0..300 {
            client.call(&["SET", &format!("key:{number}"), &"v".repeat(10_000)]);
        }
        assert_same_data(&[&primary, &replica]);
        assert_eq!(replica.connect().run("DBSIZE"), Reply::Integer(300));
        config_set(&primary, "maxmemory-policy", "allkeys-random");
        config_set(&primary, "maxmemory", "1mb");
        eventually("the primary evicts", || {
            client.run("SET again v");
            (primary.info("evicted_keys") != "0").then_some(())
        });
        assert_same_data(&[&primary, &replica]);
        assert_eq!(replica.info("evicted_keys"), "0");
    }
}

#[test]
fn a_replica_publishes_and_notifies_what_its_primary_does() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        config_set(&replica, "notify-keyspace-events", "KEA");
        let mut listening = replica.connect();
        listening.run("SUBSCRIBE news __keyevent@2__:set");
        listening.read();
        let mut client = primary.connect();
        assert_eq!(client.run("PUBLISH news hello").integer(), 0);
        let message = listening.read().to_string();
        assert_eq!(message, "[\"message\", \"news\", \"hello\"]");
        client.run("SELECT 2");
        client.run("SET a b");
        let message = listening.read().to_string();
        assert_eq!(message, "[\"message\", \"__keyevent@2__:set\", \"a\"]");
    }
}

#[test]
fn bad_calls_are_answered_as_by_redis() {
    let (ours, theirs) = (Server::Ours(2).node(), Server::Redis.node());
    let check = |lines: &[&str]| {
        let (mut our_client, mut their_client) = (ours.connect(), theirs.connect());
        for line in lines {
            let (got, expected) = (our_client.run(line), their_client.run(line));
            assert_eq!(got, expected, "{line}");
        }
    };
    check(&[
        "REPLICAOF",
        "REPLICAOF 127.0.0.1",
        "REPLICAOF 127.0.0.1 x",
        "REPLICAOF 127.0.0.1 -1",
        "REPLICAOF 127.0.0.1 65536",
        "REPLICAOF 127.0.0.1 1 1",
        "SLAVEOF 127.0.0.1 x",
        "SLAVEOF no",
        "SLAVEOF no one",
        "replicaof No oNe",
        "ROLE x",
        "PSYNC",
        "PSYNC ?",
        "PSYNC ? x",
        "SYNC x",
        "REPLCONF listening-port",
        "REPLCONF listening-port x",
        "REPLCONF nosuch x",
        "REPLCONF",
        "REPLCONF capa",
        "REPLCONF listening-port 1 capa",
        "REPLCONF capa eof capa psync2 capa nosuch",
        "REPLCONF ip-address 10.0.0.1",
        "REPLCONF rdb-only 0",
        "REPLCONF rdb-only x",
    ]);
    check(&["MULTI", "PSYNC ? -1", "SYNC", "DISCARD"]);
    let nobody = free_port();
    let line = format!("REPLICAOF 127.0.0.1 {nobody}");
    check(&[&line, &line, "PSYNC ? -1", "SYNC", "REPLICAOF NO ONE", "ROLE"]);
    // Neither is answered: the next reply is another command's.
    for node in [&ours, &theirs] {
        let mut client = node.connect();
        client.send_command(&["REPLCONF", "ACK", "5"]);
        client.send_command(&["REPLCONF", "GETACK", "*"]);
        assert_eq!(client.run("PING").to_string(), "+PONG");
    }
}

#[test]
fn a_configured_primary_can_be_absent_at_start() {
    for (primary, replica) in PAIRS {
        let port = free_port().to_string();
        let replica = replica.start().words(&["--replicaof", "127.0.0.1", &port]).node();
        assert_eq!(replica.info("role"), "slave");
        assert!(!link_is_up(&replica));
        assert!(replica.connect().run("SET a b").error().starts_with("READONLY"));
        let config = replica.connect().run("CONFIG GET replicaof").texts();
        assert_eq!(config, ["replicaof".to_owned(), format!("127.0.0.1 {port}")]);
        let primary = primary.start().node_on(port.parse().unwrap());
        wait_for_link(&replica);
        primary.connect().run("SET a b");
        wait_until_caught_up(&primary, &replica);
        assert_eq!(replica.connect().run("GET a"), Reply::bulk("b"));
    }
}

/// A node with `replicaof` in its configuration took the role only when it had loaded its file, and was a primary until
/// then: for some milliseconds it removed expired keys by itself. Now it is a replica before its cores start.
#[test]
fn a_node_that_is_configured_to_follow_is_a_replica_while_it_loads() {
    let mut saver = Server::Ours(2).node();
    let mut client = saver.connect();
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.run("DEBUG POPULATE 300000 key 10");
    for number in 0..100 {
        client.run(&format!("SET short:{number} v PX 1"));
    }
    client.send_command(&["SHUTDOWN", "SAVE"]);
    assert!(saver.wait().success());
    let port = free_port().to_string();
    let start = Server::Ours(2).start().words(&["--replicaof", "127.0.0.1", &port]);
    let node = start.in_directory_of(&saver).node_that_says("Server initialized");
    let mut client =
        eventually("it accepts connections", || Client::try_connect(node.address()).ok());
    let mut answers = 0;
    eventually("it has loaded", || {
        let info = client.run("INFO").text();
        assert!(info.contains("role:slave\r\n"), "{info}");
        assert!(info.contains(&format!("master_port:{port}\r\n")), "{info}");
        assert!(client.run("SET a b").error().starts_with("READONLY"));
        answers += 1;
        info.contains("\r\nloading:0\r\n").then_some(())
    });
    assert!(answers > 1, "loading took no time at all");
    // Nobody but its primary may remove them.
    assert_eq!(client.run("DBSIZE"), Reply::Integer(300_100));
}

#[test]
fn a_primary_that_follows_its_own_replica_does_no_harm() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica_of(&primary, replica);
        primary.connect().run("SET a b");
        wait_until_caught_up(&primary, &replica);
        // A ring: both wait for the other.
        follow(&primary, &replica);
        wait_for_link_down_or_up(&mut primary.connect());
        assert_eq!(primary.connect().run("REPLICAOF NO ONE"), Reply::ok());
        assert_eq!(primary.connect().run("GET a"), Reply::bulk("b"));
        assert_eq!(primary.connect().run("SET a c"), Reply::ok());
        assert_same_data(&[&primary, &replica]);
    }
}

fn wait_for_link_down_or_up(client: &mut Client) {
    eventually("a role that has a link", || {
        (!replication_field(client, "master_link_status").is_empty()).then_some(())
    });
}

#[test]
fn a_dead_replica_is_dropped_after_the_timeout() {
    for (primary, replica) in PAIRS {
        let primary = primary
            .start()
            .option("--repl-timeout", "2")
            .option("--repl-ping-replica-period", "1")
            .node();
        let replica = replica_of(&primary, replica);
        wait_until_caught_up(&primary, &replica);
        let stopped = Stopped::stop(&replica);
        eventually("the silent replica is dropped", || {
            (primary.info("connected_slaves") == "0").then_some(())
        });
        drop(stopped);
        eventually("it comes back", || (syncs(&primary).partial == 1).then_some(()));
        assert_same_data(&[&primary, &replica]);
    }
}

#[test]
fn a_silent_primary_is_given_up_after_the_timeout() {
    for (primary, replica) in PAIRS {
        let primary = primary.node();
        let replica = replica.start().option("--repl-timeout", "2").node();
        follow(&replica, &primary);
        wait_for_link(&replica);
        let stopped = Stopped::stop(&primary);
        wait_for_link_down(&replica);
        drop(stopped);
        wait_for_link(&replica);
        primary.connect().run("SET a b");
        assert_same_data(&[&primary, &replica]);
        assert_eq!(syncs(&primary).full, 1);
    }
}

#[test]
fn a_primary_greets_its_idle_replicas() {
    for (primary, replica) in PAIRS {
        let primary = primary.start().option("--repl-ping-replica-period", "1").node();
        let replica = replica_of(&primary, replica);
        wait_until_caught_up(&primary, &replica);
        let at = offset(&primary);
        eventually("the stream goes on without writes", || (offset(&primary) > at).then_some(()));
        wait_until_caught_up(&primary, &replica);
        assert_eq!(syncs(&primary).full, 1);
    }
}
