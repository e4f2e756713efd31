//! What a transaction did reaches the log in one piece and in its order, whatever shards took part and whatever else
//! they do meanwhile.

mod common;

use common::replication::{Server, replica_of, wait_until_caught_up};
use common::words::words;
use common::{Client, Reply, eventually};

const PRIMARY: Server = Server::Ours(2);

/// Sets a key that expires at once and is not asked for again, and returns when its time has passed.
fn set_expired(client: &mut Client, key: &str) {
    assert_eq!(client.call(&["SET", key, "old", "PX", "1"]), Reply::ok());
    assert_eq!(client.run("SET probe x PX 1"), Reply::ok());
    eventually("a key expires", || (client.run("EXISTS probe") == Reply::Integer(0)).then_some(()));
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
