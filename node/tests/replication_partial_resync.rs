//! A link that breaks is resumed where it broke, as long as the primary's log reaches back so far and
//! the history is the same one: after cuts, and after restarts from a file that knows its history.

mod common;

use common::replication::{
    PAIRS, Server, Stopped, Writer, assert_same_data, config_set, fill, follow, syncs,
    wait_for_link, wait_for_link_down, wait_until_caught_up, write_bytes,
};
use common::{Client, Node, Reply, Start, eventually};

fn linked(primary: Start, replica: Start) -> (Node, Node) {
    let (primary, replica) = (primary.node(), replica.node());
    follow(&replica, &primary);
    wait_for_link(&replica);
    (primary, replica)
}

fn wait_for_partial(primary: &Node, count: i64) {
    eventually("the link is resumed", || (syncs(primary).partial >= count).then_some(()));
}

#[test]
fn a_link_cut_at_either_end_is_resumed() {
    for (primary, replica) in PAIRS {
        let (primary, replica) =
            linked(primary.start().option("--repl-backlog-size", "64mb"), replica.start());
        fill(&primary);
        let writer = Writer::start(&primary, 21);
        for cut in 1..=3 {
            writer.wait_for_more(300);
            assert_eq!(primary.connect().run("CLIENT KILL TYPE replica"), Reply::Integer(1));
            wait_for_partial(&primary, 2 * cut - 1);
            wait_for_link(&replica);
            writer.wait_for_more(300);
            assert_eq!(replica.connect().run("CLIENT KILL TYPE master"), Reply::Integer(1));
            wait_for_partial(&primary, 2 * cut);
            wait_for_link(&replica);
        }
        writer.stop();
        assert_same_data(&[&primary, &replica]);
        let syncs = syncs(&primary);
        assert_eq!((syncs.full, syncs.partial), (1, 6));
    }
}

#[test]
fn a_replica_that_was_away_while_little_was_written_resumes() {
    for (primary, replica) in PAIRS {
        let backlog = ("--repl-backlog-size", "10mb");
        let (primary, replica) =
            linked(primary.start().option(backlog.0, backlog.1), replica.start());
        let stopped = Stopped::stop(&replica);
        primary.connect().run("CLIENT KILL TYPE slave");
        write_bytes(&primary, 4_000_000);
        drop(stopped);
        wait_for_partial(&primary, 1);
        assert_same_data(&[&primary, &replica]);
        assert_eq!(syncs(&primary).full, 1);
    }
}

#[test]
fn a_replica_that_missed_more_than_the_log_holds_gets_everything_anew() {
    for (primary, replica) in PAIRS {
        let backlog = ("--repl-backlog-size", "100kb");
        let (primary, replica) =
            linked(primary.start().option(backlog.0, backlog.1), replica.start());
        let refused = syncs(&primary).refused;
        let stopped = Stopped::stop(&replica);
        primary.connect().run("CLIENT KILL TYPE replica");
        write_bytes(&primary, 12_000_000);
        drop(stopped);
        eventually("a second full sync", || (syncs(&primary).full == 2).then_some(()));
        assert_same_data(&[&primary, &replica]);
        assert_eq!(syncs(&primary).partial, 0);
        assert_eq!(syncs(&primary).refused, refused + 1);
    }
}

#[test]
fn a_replica_cut_off_for_its_slowness_resumes() {
    for (primary, replica) in PAIRS {
        let primary = primary.start().option("--repl-backlog-size", "64mb").words(&[
            "--client-output-buffer-limit",
            "replica",
            "0",
            "1mb",
            "1",
        ]);
        let (mut primary, replica) = linked(primary, replica.start());
        let stopped = Stopped::stop(&replica);
        write_bytes(&primary, 30_000_000);
        eventually("the slow replica is cut off", || {
            // The limit is looked at when something is written to it.
            primary.connect().run("SET again please");
            (primary.info("connected_slaves") == "0").then_some(())
        });
        drop(stopped);
        wait_for_partial(&primary, 1);
        assert_same_data(&[&primary, &replica]);
        assert_eq!(syncs(&primary).full, 1);
        assert!(primary.is_running());
    }
}

#[test]
fn a_replica_that_switches_to_another_history_gets_everything_anew() {
    for (primary, replica) in PAIRS {
        let (primary, other) = (primary.node(), primary.node());
        let replica = replica.node();
        fill(&other);
        primary.connect().run("SET a b");
        follow(&replica, &primary);
        assert_same_data(&[&primary, &replica]);
        follow(&replica, &other);
        assert_same_data(&[&other, &replica]);
        let syncs = syncs(&other);
        assert_eq!((syncs.full, syncs.partial, syncs.refused), (1, 0, 1));
    }
}

/// A replica with `--replicaof` on its command line, so that it follows again when it starts again.
fn configured_pair(primary: Server, replica: Server) -> (Node, Node) {
    let primary = primary.node();
    let port = primary.port().to_string();
    let replica = replica.start().words(&["--replicaof", "127.0.0.1", &port]).node();
    wait_for_link(&replica);
    (primary, replica)
}

fn shut_down(node: &mut Node, how: &str) {
    node.connect().send_command(&["SHUTDOWN", how]);
    assert!(node.wait().success());
}

#[test]
fn a_killed_replica_comes_back_and_gets_everything_anew() {
    for (primary, replica) in PAIRS {
        let (primary, mut replica) = configured_pair(primary, replica);
        fill(&primary);
        let writer = Writer::start(&primary, 22);
        replica.signal(9);
        replica.wait();
        writer.wait_for_more(500);
        replica.start_again();
        wait_for_link(&replica);
        writer.wait_for_more(500);
        writer.stop();
        assert_same_data(&[&primary, &replica]);
        assert_eq!(syncs(&primary).full, 2);
    }
}

#[test]
fn a_replica_restarted_from_its_file_resumes() {
    for (primary, replica) in PAIRS {
        let (primary, mut replica) = configured_pair(primary, replica);
        config_set(&primary, "repl-backlog-size", "32mb");
        fill(&primary);
        let writer = Writer::start(&primary, 23);
        writer.wait_for_more(500);
        shut_down(&mut replica, "SAVE");
        writer.wait_for_more(500);
        replica.start_again();
        wait_for_partial(&primary, 1);
        writer.wait_for_more(500);
        writer.stop();
        assert_same_data(&[&primary, &replica]);
        assert_eq!(syncs(&primary).full, 1);
    }
}

#[test]
fn a_primary_restarted_from_its_file_keeps_its_replicas() {
    for (primary, replica) in PAIRS {
        let (mut primary, replica) = linked(primary.start(), replica.start());
        fill(&primary);
        let writer = Writer::start(&primary, 24);
        writer.wait_for_more(500);
        writer.stop();
        let replid = primary.info("master_replid");
        shut_down(&mut primary, "SAVE");
        wait_for_link_down(&replica);
        primary.start_again();
        assert_eq!(primary.info("master_replid2"), replid);
        wait_for_link(&replica);
        let writer = Writer::start(&primary, 25);
        writer.wait_for_more(500);
        writer.stop();
        assert_same_data(&[&primary, &replica]);
        let syncs = syncs(&primary);
        assert_eq!((syncs.full, syncs.partial), (0, 1));
    }
}

/// A primary that was started again left expired keys of its file out without a word in the stream, and its replicas, which
/// resumed, kept them for ever. Now it loads them where it goes on with the file's history, and expiry writes their DEL.
#[test]
fn keys_that_expired_while_a_primary_was_away_leave_its_replicas() {
    for (primary, replica) in PAIRS {
        let (mut primary, replica) = linked(primary.start(), replica.start());
        let mut client = primary.connect();
        client.run("DEBUG SET-ACTIVE-EXPIRE 0");
        client.run("SET stays v");
        for number in 0..100 {
            client.run(&format!("SET goes:{number} v PX 1"));
        }
        wait_until_caught_up(&primary, &replica);
        shut_down(&mut primary, "SAVE");
        let mut there = replica.connect();
        assert_eq!(there.run("DBSIZE"), Reply::Integer(101));
        primary.start_again();
        wait_for_link(&replica);
        eventually("the replica has what its primary has", || {
            (there.run("DBSIZE") == Reply::Integer(1)).then_some(())
        });
        assert_same_data(&[&primary, &replica]);
        let syncs = syncs(&primary);
        assert_eq!((syncs.full, syncs.partial), (0, 1));
    }
}

#[test]
fn a_primary_restarted_without_a_file_fills_its_replicas_anew() {
    for (primary, replica) in PAIRS {
        let (mut primary, replica) = linked(primary.start(), replica.start());
        primary.connect().run("SET a b");
        shut_down(&mut primary, "NOSAVE");
        wait_for_link_down(&replica);
        // What the replica holds stays readable meanwhile.
        assert_eq!(replica.connect().run("GET a"), Reply::bulk("b"));
        primary.start_again();
        assert_same_data(&[&primary, &replica]);
        assert_eq!(replica.connect().run("DBSIZE"), Reply::Integer(0));
        assert_eq!(syncs(&primary).full, 1);
    }
}

/// A SHUTDOWN waits for replicas that have not caught up, so that nothing that was acknowledged to a
/// client is lost with the primary.
#[test]
fn a_primary_that_stops_waits_for_its_replicas() {
    for (primary, replica) in PAIRS {
        let (mut primary, replica) = linked(primary.start(), replica.start());
        let stopped = Stopped::stop(&replica);
        write_bytes(&primary, 8_000_000);
        primary.connect().run("SET the last");
        primary.connect().send_command(&["SHUTDOWN", "NOSAVE"]);
        eventually("the stop is under way", || {
            let info = primary.connect().run("INFO server").text();
            info.contains("shutdown_in_milliseconds:").then_some(())
        });
        assert!(primary.is_running());
        drop(stopped);
        assert!(primary.wait().success());
        eventually("the last write arrives", || {
            (replica.connect().run("GET the") == Reply::bulk("last")).then_some(())
        });
    }
}

/// The node forgot a signal as soon as it had begun to shut down, so that a second SIGINT was taken for a first one
/// that asks anew. It now remembers it until the shutdown has come to nothing.
#[test]
fn a_second_interrupt_ends_a_stop_that_waits_at_once() {
    for (primary, replica) in PAIRS {
        let (mut primary, replica) = linked(primary.start(), replica.start());
        let stopped = Stopped::stop(&replica);
        write_bytes(&primary, 8_000_000);
        primary.signal(2);
        assert!(primary.wait_for_log("Waiting for replicas before shutting down"));
        primary.signal(2);
        assert_eq!(primary.wait().code(), Some(1), "{}", primary.log());
        drop(stopped);
    }
}

/// The names of the commands that clients have sent last.
fn last_commands(client: &mut Client) -> Vec<String> {
    let list = client.run("CLIENT LIST").text();
    let names = list.split(' ').filter_map(|field| field.strip_prefix("cmd="));
    names.map(str::to_owned).collect()
}

/// A second SHUTDOWN got no answer, one behind SHUTDOWN ABORT undid the abort, and CLIENT UNPAUSE let writes go that the
/// shutdown held back. Now there is one shutdown at a time, whose end all who asked wait for, and whose pause is its own.
#[test]
fn all_who_ask_for_a_stop_are_told_that_it_was_taken_back() {
    for (primary, replica) in PAIRS {
        let (primary, replica) = linked(primary.start(), replica.start());
        let stopped = Stopped::stop(&replica);
        write_bytes(&primary, 8_000_000);
        let mut asking = [primary.connect(), primary.connect()];
        asking.iter_mut().for_each(|client| client.send_command(&["SHUTDOWN", "NOSAVE"]));
        let mut other = primary.connect();
        let stops =
            |commands: Vec<String>| commands.iter().filter(|name| *name == "shutdown").count();
        eventually("both have asked", || (stops(last_commands(&mut other)) == 2).then_some(()));
        let mut again = primary.connect();
        again.send_command(&["SHUTDOWN", "ABORT"]);
        again.send_command(&["SHUTDOWN", "NOSAVE"]);
        assert_eq!(again.read(), Reply::ok());
        for client in &mut asking {
            assert_eq!(client.read().error(), "ERR Errors trying to SHUTDOWN. Check logs.");
        }
        eventually("the next stop is under way", || {
            other.run("INFO server").text().contains("shutdown_in_milliseconds:").then_some(())
        });
        assert_eq!(other.run("CLIENT UNPAUSE"), Reply::ok());
        let mut writing = primary.connect();
        writing.send_command(&["SET", "held", "back"]);
        eventually("a client writes", || {
            last_commands(&mut other).contains(&"set".to_owned()).then_some(())
        });
        assert_eq!(other.run("EXISTS held"), Reply::Integer(0));
        assert_eq!(other.run("SHUTDOWN ABORT"), Reply::ok());
        assert!(again.read().is_error());
        assert_eq!(writing.read(), Reply::ok());
        assert!(other.run("SHUTDOWN ABORT").error().contains("No shutdown in progress"));
        drop(stopped);
    }
}

#[test]
fn a_stop_can_be_taken_back_or_be_made_at_once() {
    for (primary, replica) in PAIRS {
        let (mut primary, replica) = linked(primary.start(), replica.start());
        let stopped = Stopped::stop(&replica);
        write_bytes(&primary, 8_000_000);
        let mut asking = primary.connect();
        asking.send_command(&["SHUTDOWN", "NOSAVE"]);
        let mut other = primary.connect();
        eventually("the stop is under way", || {
            (other.run("SHUTDOWN ABORT") == Reply::ok()).then_some(())
        });
        assert!(asking.read().is_error());
        assert_eq!(other.run("SET still here"), Reply::ok());
        assert!(primary.is_running());
        other.send_command(&["SHUTDOWN", "NOSAVE", "NOW"]);
        assert!(primary.wait().success());
        drop(stopped);
    }
}
