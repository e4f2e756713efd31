//! Fields of hashes that expire: they go by themselves, and their times survive a file, a full sync and the stream.

mod common;

use common::replication::{assert_same_data, follow, wait_for_link, wait_until_caught_up};
use common::{Node, Reply, Start, eventually};

/// A time in the years around 3000.
const FAR: i64 = 32_503_680_000_123;

fn set_times(node: &Node) {
    let mut client = node.connect();
    for key in ["one", "{x}two", "three"] {
        client.run(&format!("HSET {key} stays 1 far 2 farther 3"));
        client.run(&format!("HPEXPIREAT {key} {FAR} FIELDS 1 far"));
        client.run(&format!("HPEXPIREAT {key} {} FIELDS 1 farther", FAR + 1000));
    }
}

fn assert_times(node: &Node) {
    let mut client = node.connect();
    for key in ["one", "{x}two", "three"] {
        let times = client.run(&format!("HPEXPIRETIME {key} FIELDS 4 stays far farther none"));
        let expected = [-1, FAR, FAR + 1000, -2].map(Reply::Integer);
        assert_eq!(times, Reply::Array(expected.to_vec()), "{key}");
        assert_eq!(client.run(&format!("HGET {key} far")), Reply::bulk("2"));
    }
}

#[test]
fn fields_go_by_themselves_and_the_hash_with_the_last() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut client = node.connect();
        for number in 0..500 {
            client.run(&format!("HSET hash:{number} a 1 b 2"));
            client.run(&format!("HPEXPIRE hash:{number} 30 FIELDS 2 a b"));
        }
        client.run("HSET large stays 1");
        for number in 0..2000 {
            client.run(&format!("HSETEX large PX 30 FIELDS 1 field:{number} v"));
        }
        eventually("all of them are gone", || {
            (client.run("DBSIZE") == Reply::Integer(1)).then_some(())
        });
        eventually("the large hash is small", || {
            (node.info("expired_fields") == "3000").then_some(())
        });
        assert_eq!(client.run("HGETALL large").members().len(), 2);
    }
}

#[test]
fn a_file_keeps_the_times() {
    for (writer, reader) in [(1, 4), (4, 1)] {
        let mut node = Node::ringfort(writer);
        set_times(&node);
        assert_eq!(node.connect().run("SAVE"), Reply::ok());
        let mut client = node.connect();
        client.send_command(&["SHUTDOWN", "NOSAVE"]);
        assert_eq!(client.read_to_close(), b"");
        assert!(node.wait().success());
        assert_times(&Start::ringfort(reader).in_directory_of(&node).node());
    }
}

#[test]
fn a_replica_has_the_times_from_the_full_sync_and_from_the_stream() {
    for (shards, replica_shards) in [(1, 4), (4, 1)] {
        let delay = |shards| Start::ringfort(shards).option("--repl-diskless-sync-delay", "0");
        let (primary, replica) = (delay(shards).node(), delay(replica_shards).node());
        set_times(&primary);
        follow(&replica, &primary);
        wait_for_link(&replica);
        wait_until_caught_up(&primary, &replica);
        assert_times(&replica);
        let mut client = primary.connect();
        client.run("FLUSHALL");
        set_times(&primary);
        client.run("HSETEX short PX 40 FIELDS 2 a 1 b 2");
        client.run("HSET short c 3");
        client.run("HPEXPIRE one 40 FIELDS 1 stays");
        client.run("HGETEX {x}two PX 40 FIELDS 1 stays");
        client.run("HINCRBYFLOAT three far 1.5");
        eventually("they expire", || (primary.info("expired_fields") == "4").then_some(()));
        assert_same_data(&[&primary, &replica]);
        let mut client = replica.connect();
        assert_eq!(client.run("HGET three far"), Reply::bulk("3.5"));
        let time = client.run("HPEXPIRETIME three FIELDS 1 far");
        assert_eq!(time, Reply::Array(vec![Reply::Integer(FAR)]));
        assert_eq!(client.run("HGETALL short").members().len(), 2);
        assert_eq!(client.run("HLEN one"), Reply::Integer(2));
    }
}
