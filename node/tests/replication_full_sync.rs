//! A replica that knows nothing gets all data as a snapshot and then the stream of commands, whatever
//! pair of servers they are and however the two ends are configured: in the end both have the digest
//! of the same data.

mod common;

use common::node::testing_redis;
use common::replication::{
    EMPTY_DIGEST, Server, Writer, assert_same_data, digest, fill, follow, link_is_up, syncs,
    wait_for_link,
};
use common::{Reply, Start, eventually};

#[test]
fn redis_fills_our_replica() {
    for shards in [1, 2, 4] {
        check(Server::Redis, Server::Ours(shards), &[], &[]);
    }
}

#[test]
fn our_primary_fills_redis() {
    for shards in [1, 2, 4] {
        check(Server::Ours(shards), Server::Redis, &[], &[]);
    }
}

#[test]
fn our_primary_fills_our_replica_of_any_number_of_shards() {
    for (primary, replica) in [(1, 4), (2, 2), (4, 1), (2, 4)] {
        check(Server::Ours(primary), Server::Ours(replica), &[], &[]);
    }
}

#[test]
fn our_replica_takes_a_snapshot_as_a_file_and_as_a_stream() {
    for load in ["disabled", "on-empty-db", "swapdb"] {
        for sync in ["yes", "no"] {
            let replica = [("--repl-diskless-load", load)];
            check(Server::Redis, Server::Ours(2), &[("--repl-diskless-sync", sync)], &replica);
        }
    }
}

#[test]
fn our_primary_gives_a_snapshot_as_a_file_and_as_a_stream() {
    for sync in ["yes", "no"] {
        for load in ["disabled", "on-empty-db", "swapdb"] {
            let replica = [("--repl-diskless-load", load)];
            check(Server::Ours(2), Server::Redis, &[("--repl-diskless-sync", sync)], &replica);
        }
    }
}

#[test]
fn our_nodes_agree_on_every_way_of_sending_and_loading() {
    for (sync, load) in [("yes", "swapdb"), ("no", "on-empty-db"), ("no", "swapdb")] {
        let primary = [("--repl-diskless-sync", sync)];
        let replica = [("--repl-diskless-load", load)];
        check(Server::Ours(2), Server::Ours(2), &primary, &replica);
    }
}

#[test]
fn snapshots_without_checksum_or_compression_are_taken() {
    for options in [[("--rdbchecksum", "no")], [("--rdbcompression", "no")]] {
        check(Server::Redis, Server::Ours(2), &options, &[]);
        check(Server::Ours(2), Server::Redis, &options, &[]);
    }
}

/// Full sync of a replica that holds other data, while random commands run; then the live stream.
fn check(
    primary: Server,
    replica: Server,
    primary_options: &[(&str, &str)],
    replica_options: &[(&str, &str)],
) {
    let start = |server: Server, options: &[(&str, &str)]| {
        let with = |start: Start, (name, value): &(&str, &str)| start.option(name, value);
        options.iter().fold(server.start(), with).node()
    };
    let primary = start(primary, primary_options);
    let replica = start(replica, replica_options);
    fill(&primary);
    let mut client = replica.connect();
    client.run("SET old data");
    client.run("SELECT 7");
    client.run("SET older data");

    let writer = Writer::start(&primary, 11);
    writer.wait_for_more(500);
    follow(&replica, &primary);
    wait_for_link(&replica);
    writer.wait_for_more(2000);
    writer.stop();
    assert_same_data(&[&primary, &replica]);
    assert_eq!(client.run("EXISTS older"), Reply::Integer(0));
    assert_eq!(syncs(&primary).full, 1);
}

#[test]
fn two_replicas_that_arrive_together_are_both_filled() {
    for kind in [Server::Ours(2), Server::Redis] {
        let primary = kind.node();
        fill(&primary);
        let writer = Writer::start(&primary, 12);
        let replicas = [Server::Ours(1).node(), Server::Ours(2).node(), Server::Redis.node()];
        for replica in &replicas {
            follow(replica, &primary);
        }
        for replica in &replicas {
            wait_for_link(replica);
        }
        writer.wait_for_more(1000);
        writer.stop();
        let [one, two, three] = &replicas;
        assert_same_data(&[&primary, one, two, three]);
        assert_eq!(syncs(&primary).full, 3);
        assert_eq!(primary.info("connected_slaves"), "3");
    }
}

#[test]
fn an_empty_primary_empties_its_replica() {
    for (primary, replica) in [
        (Server::Redis, Server::Ours(2)),
        (Server::Ours(2), Server::Redis),
        (Server::Ours(2), Server::Ours(4)),
    ] {
        let (primary, replica) = (primary.node(), replica.node());
        fill(&replica);
        follow(&replica, &primary);
        assert_same_data(&[&primary, &replica]);
        assert_eq!(digest(&replica), EMPTY_DIGEST);
        // The stream that follows an empty snapshot is applied as any other.
        let mut client = primary.connect();
        client.run("SELECT 3");
        client.run("SET a b");
        assert_same_data(&[&primary, &replica]);
        assert_ne!(digest(&replica), EMPTY_DIGEST);
    }
}

/// A replica received a full sync under the name that BGSAVE writes to, and read the file twice by that name: old data
/// that a save put there in between was loaded as the primary's. Now the file has a name of its own until its data is
/// in place, both readings have one descriptor, and no save is under way while the data is replaced.
#[test]
fn saves_in_the_middle_of_a_full_sync_leave_its_data_alone() {
    let primary = Server::Ours(2).node();
    primary.connect().run("DEBUG POPULATE 300000 new 50");
    let mut replica = Server::Ours(2).start().option("--repl-diskless-load", "disabled").node();
    let mut client = replica.connect();
    client.run("SET old data");
    follow(&replica, &primary);
    let mut saves = 0;
    eventually("the full sync ends", || {
        let reply = client.run("BGSAVE");
        saves += usize::from(!reply.is_error());
        link_is_up(&replica).then_some(())
    });
    assert!(saves > 0, "no save began in the middle of the full sync");
    assert_same_data(&[&primary, &replica]);
    // Neither is there another's data in the file.
    eventually("the last save ends", || {
        (replica.info("rdb_bgsave_in_progress") == "0").then_some(())
    });
    replica.signal(9);
    replica.wait();
    let reader = Server::Ours(2).start().in_directory_of(&replica).node();
    assert_eq!(digest(&reader), digest(&primary));
}

/// A full sync spoiled only the watches of keys that the old data had: an EXEC behind the WATCH of an absent key ran
/// although the sync had brought that key. Now what is put in place spoils the watches of its keys too.
#[test]
fn a_full_sync_that_brings_a_watched_key_fails_the_transaction() {
    if testing_redis() {
        return; // It looks at the keys of the old data alone where it loads a file.
    }
    for load in ["disabled", "swapdb"] {
        let primary = Server::Ours(2).node();
        let replica = Server::Ours(2).start().option("--repl-diskless-load", load).node();
        for number in 0..20 {
            primary.connect().run(&format!("SET brought:{number} v"));
        }
        replica.connect().run("SET old data");
        let (mut watching, mut unconcerned) = (replica.connect(), replica.connect());
        watching.run("WATCH brought:7");
        unconcerned.run("WATCH nobody has this");
        follow(&replica, &primary);
        assert_same_data(&[&primary, &replica]);
        for client in [&mut watching, &mut unconcerned] {
            client.run("MULTI");
            client.run("GET brought:7");
        }
        assert_eq!(watching.run("EXEC"), Reply::NullArray, "{load}");
        assert_eq!(unconcerned.run("EXEC").to_string(), "[\"v\"]", "{load}");
    }
}

#[test]
fn times_to_live_arrive_as_points_in_time() {
    for (primary, replica) in [(Server::Redis, Server::Ours(2)), (Server::Ours(2), Server::Redis)] {
        let (primary, replica) = (primary.node(), replica.node());
        let mut client = primary.connect();
        let commands = [
            "SET set v EX 1000",
            "SET expire v",
            "EXPIRE expire 1000",
            "SETEX setex 1000 v",
            "PSETEX psetex 1000000 v",
            "SET getex v",
            "GETEX getex EX 1000",
            "SET keep v PX 1000000",
            "SET keep w KEEPTTL",
            "SET copied v PX 1000000",
            "COPY copied copy",
            "COPY copied elsewhere DB 4",
            "SET renamed v PX 1000000",
            "RENAME renamed name",
        ];
        let run = |client: &mut common::Client| {
            for command in commands {
                assert!(!client.run(command).is_error(), "{command}");
            }
        };
        // Once by the snapshot, once by the stream.
        run(&mut client);
        follow(&replica, &primary);
        assert_same_data(&[&primary, &replica]);
        run(&mut client);
        assert_same_data(&[&primary, &replica]);
        let mut there = replica.connect();
        for key in ["set", "expire", "setex", "psetex", "getex", "keep", "copy", "name"] {
            let ask = |client: &mut common::Client| client.call(&["PEXPIRETIME", key]);
            assert_eq!(ask(&mut there), ask(&mut client), "{key}");
            assert!(ask(&mut there).integer() > 0, "{key}");
        }
    }
}

#[test]
fn a_replica_that_was_a_primary_of_others_hands_them_its_new_data() {
    for kind in [Server::Ours(2), Server::Redis] {
        let (primary, middle, last) = (Server::Redis.node(), Server::Ours(2).node(), kind.node());
        fill(&primary);
        middle.connect().run("SET old data");
        follow(&last, &middle);
        assert_same_data(&[&middle, &last]);
        follow(&middle, &primary);
        wait_for_link(&middle);
        // The last one is cut off when the data behind its link is replaced, and comes back by itself.
        eventually("the last in the chain has the first one's data", || {
            (digest(&last) == digest(&primary)).then_some(())
        });
        primary.connect().run("SET more data");
        assert_same_data(&[&primary, &middle, &last]);
    }
}
