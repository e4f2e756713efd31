//! What a transaction did reaches the log in one piece and in its order, whatever shards took part and whatever else
//! they do meanwhile.

mod common;

use common::replication::{Server, replica_of, wait_until_caught_up};
use common::words::words;
use common::{Client, Node, Reply, eventually};

const PRIMARY: Server = Server::Ours(2);

/// Sets a key that expires at once and is not asked for again, and returns when its time has passed.
fn set_expired(client: &mut Client, key: &str) {
    assert_eq!(client.call(&["SET", key, "old", "PX", "1"]), Reply::ok());
    assert_eq!(client.run("SET probe x PX 1"), Reply::ok());
    eventually("a key expires", || (client.run("EXISTS probe") == Reply::Integer(0)).then_some(()));
}

/// Begins to watch what a replica is told to do.
fn monitor(replica: &Node) -> Client {
    let mut monitor = replica.connect();
    assert_eq!(monitor.run("MONITOR"), Reply::ok());
    monitor
}

/// Each command that it has been told since then, and whether it came between MULTI and EXEC.
fn for_each_line(replica: &Node, mut monitor: Client, mut check: impl FnMut(&str, bool)) {
    replica.connect().run("ECHO end");
    let mut inside = false;
    loop {
        let line = monitor.read().text().to_lowercase();
        let name = line.split('"').nth(1).expect("a command");
        match name {
            "echo" => return,
            "multi" => inside = true,
            "exec" => inside = false,
            _ => {}
        }
        check(name, inside);
    }
}

fn numbered(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{name}:{number}")).collect()
}

/// The DEL of a key that SCAN or RANDOMKEY found expired inside EXEC stayed with its shard and was logged when the
/// shard went on, behind a RENAME of the same transaction that wrote the key: the replica lost what it renamed to.
/// Now the transaction takes it over as it does the effects of other commands.
#[test]
fn a_key_that_expires_inside_a_transaction_is_deleted_there() {
    for look in ["SCAN 0 COUNT 1000", "RANDOMKEY"] {
        let primary = PRIMARY.node();
        let mut client = primary.connect();
        assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 0"), Reply::ok());
        let replica = replica_of(&primary, Server::Redis);
        // Enough for pairs on one shard and on two.
        for number in 0..16 {
            let (source, target) = (format!("source:{number}"), format!("target:{number}"));
            client.run("FLUSHALL");
            assert_eq!(client.call(&["SET", &source, "new"]), Reply::ok());
            set_expired(&mut client, &target);
            let look = look.split(' ').map(|word| word.into()).collect();
            let rename = words!["RENAME", source, target];
            // RANDOMKEY meets the key that has expired sooner or later.
            let mut transaction = vec![words!["MULTI"]];
            transaction.extend(vec![look; 16]);
            transaction.extend([rename, words!["EXEC"]]);
            let replies = client.pipeline(&transaction).pop().unwrap();
            assert_eq!(replies.members().last(), Some(&Reply::ok()));
            wait_until_caught_up(&primary, &replica);
            let copy = replica.connect().call(&["GET", &target]);
            assert_eq!(copy, Reply::bulk("new"), "before RENAME to {target}");
        }
    }
}

/// A transaction on one shard published a keyspace event after each command, and with each message to the channel's
/// core what had been done so far: a replica could see, and be cut off at, half of it. Now the events wait until the
/// transaction is in the log.
#[test]
fn a_transaction_with_keyspace_events_is_logged_in_one_piece() {
    let primary = PRIMARY.node();
    let mut client = primary.connect();
    client.run("CONFIG SET notify-keyspace-events KEA");
    let mut listener = primary.connect();
    listener.run("PSUBSCRIBE __key*");
    let replica = replica_of(&primary, Server::Redis);
    let monitor = monitor(&replica);
    // Connections on both cores, keys on both shards.
    let mut clients: Vec<Client> = (0..4).map(|_| primary.connect()).collect();
    for tag in numbered("tag", 8) {
        for client in &mut clients {
            let mut transaction = vec![words!["MULTI"]];
            for number in 0..5 {
                transaction.push(words!["SET", format!("{{{tag}}}{number}"), "x"]);
            }
            transaction.push(words!["EXEC"]);
            client.pipeline(&transaction);
        }
    }
    wait_until_caught_up(&primary, &replica);
    let mut transactions = 0;
    for_each_line(&replica, monitor, |name, inside| {
        transactions += usize::from(name == "exec");
        assert!(inside || name != "set", "SET outside of its transaction");
    });
    assert_eq!(transactions, 8 * 4);
}
