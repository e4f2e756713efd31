//! The snapshot file: who writes it when, who reads it, and what happens to a file that is not whole.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use common::node::{TemporaryDirectory, testing_redis};
use common::replication::{EMPTY_DIGEST, Server, Writer, digest, fill, number};
use common::{Client, Node, Reply, Start, eventually};

/// Who writes a file and who reads it.
const PAIRS: [(Server, Server); 5] = [
    (Server::Ours(2), Server::Redis),
    (Server::Redis, Server::Ours(2)),
    (Server::Ours(1), Server::Ours(4)),
    (Server::Ours(4), Server::Ours(1)),
    (Server::Ours(2), Server::Ours(2)),
];

fn shut_down(node: &mut Node, how: &[&str]) {
    let mut words = vec!["SHUTDOWN"];
    words.extend(how);
    let mut client = node.connect();
    client.send_command(&words);
    assert_eq!(client.read_to_close(), b"");
    assert!(node.wait().success());
}

fn file(node: &Node) -> PathBuf {
    node.directory().join("dump.rdb")
}

fn wait_for_background_save(client: &mut Client) {
    eventually("the background save ends", || {
        let info = client.run("INFO persistence").text();
        info.contains("rdb_bgsave_in_progress:0\r\n").then_some(())
    });
}

#[test]
fn what_one_server_saves_another_loads() {
    for (writer, reader) in PAIRS {
        let mut node = writer.node();
        fill(&node);
        let random = Writer::start(&node, 51);
        random.wait_for_more(1000);
        random.stop();
        let expected = digest(&node);
        assert_eq!(node.connect().run("SAVE"), Reply::ok());
        shut_down(&mut node, &["NOSAVE"]);
        let other = reader.start().in_directory_of(&node).node();
        assert_eq!(digest(&other), expected, "{writer:?} to {reader:?}");
        assert!(number(&other, "rdb_last_load_keys_loaded") > 2000);
        assert_eq!(number(&other, "rdb_last_load_keys_expired"), 0);
    }
}

/// Keys, and those of them that expire.
fn keys_of_all_databases(node: &Node) -> (u64, u64) {
    let text = node.connect().run("INFO keyspace").text();
    let lines = text.lines().filter_map(|line| line.split_once(":keys="));
    let counts = lines.map(|(_, counts)| {
        let (keys, rest) = counts.split_once(",expires=").expect("a count of those that expire");
        let expiring = rest.split_once(',').expect("more behind it").0;
        (keys.parse::<u64>().expect("a number"), expiring.parse::<u64>().expect("a number"))
    });
    let sums = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert!(sums.0 > 2000 && sums.1 >= 2, "{text}");
    sums
}

#[test]
fn redis_check_rdb_finds_nothing_wrong_with_our_file() {
    for (compression, checksum) in [("yes", "yes"), ("no", "yes"), ("yes", "no")] {
        for shards in [1, 4] {
            let start = Server::Ours(shards).start().option("--rdbcompression", compression);
            let node = start.option("--rdbchecksum", checksum).node();
            fill(&node);
            assert_eq!(node.connect().run("SAVE"), Reply::ok());
            let output = Command::new("redis-check-rdb")
                .arg(file(&node))
                .output()
                .expect("run redis-check-rdb");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{said}");
            assert!(said.contains("RDB looks OK!"), "{said}");
            let (keys, expiring) = keys_of_all_databases(&node);
            assert!(said.contains(&format!("{keys} keys read")), "{keys}: {said}");
            assert!(said.contains(&format!("{expiring} expires")), "{expiring}: {said}");
            assert!(said.contains("0 already expired"), "{said}");
        }
    }
}

#[test]
fn a_background_save_lets_clients_write_and_holds_one_moment() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        fill(&node);
        let mut client = node.connect();
        // Two counters in different slots that only ever move together.
        client.run("MSET left 0 right 0");
        client.run("DEBUG POPULATE 50000 many 200");
        let before = client.run("LASTSAVE").integer();
        let reply = client.run("BGSAVE");
        assert_eq!(reply, Reply::Simple("Background saving started".to_owned()));
        let mut rounds = 0;
        loop {
            client.pipeline(&[
                vec!["MULTI"],
                vec!["INCR", "left"],
                vec!["INCR", "right"],
                vec!["EXEC"],
            ]);
            rounds += 1;
            if rounds % 20 == 0 && node.info("rdb_bgsave_in_progress") == "0" {
                break;
            }
        }
        assert_eq!(node.info("rdb_last_bgsave_status"), "ok");
        assert!(client.run("LASTSAVE").integer() >= before);
        let reader = Server::Redis.start().in_directory_of(&node).node();
        let values = reader.connect().run("MGET left right").texts();
        assert_eq!(values[0], values[1], "a transaction was cut in two");
        assert_eq!(reader.connect().run("EXISTS many:1 many:49999"), Reply::Integer(2));
    }
}

#[test]
fn saves_do_not_run_into_each_other() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("DEBUG POPULATE 300000 key 100");
    let started = client.pipeline(&[
        vec!["BGSAVE"],
        vec!["BGSAVE"],
        vec!["SAVE"],
        vec!["BGSAVE", "SCHEDULE"],
        vec!["BGSAVE", "NOW"],
    ]);
    assert_eq!(started[0].text(), "Background saving started");
    // A machine may be quick enough to have finished the first one.
    if started[1].is_error() {
        assert_eq!(started[1].error(), "ERR Background save already in progress");
    }
    if started[2].is_error() {
        assert_eq!(started[2].error(), "ERR Background save already in progress");
    }
    assert_eq!(started[4].error(), "ERR syntax error");
    wait_for_background_save(&mut client);
    assert_eq!(client.run("SAVE"), Reply::ok());
    assert!(client.run("SAVE now").error().contains("wrong number of arguments"));
    let reply = client.run("BGSAVE SCHEDULE").text();
    assert!(reply.starts_with("Background saving"), "{reply}");
    wait_for_background_save(&mut client);
}

/// BGSAVE inside EXEC noted that a save was to follow, and only the end of another snapshot looked at the note. Now the
/// cron does as well.
#[test]
fn a_background_save_inside_a_transaction_follows_it() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("SET a b");
    client.run("MULTI");
    client.run("BGSAVE");
    assert_eq!(client.run("EXEC").members()[0].text(), "Background saving scheduled");
    eventually("the file is written", || file(&node).exists().then_some(()));
}

#[test]
fn lastsave_and_info_tell_of_saves() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    let started = client.run("LASTSAVE").integer();
    assert_eq!(node.info("rdb_last_save_time"), started.to_string());
    assert_eq!(node.info("rdb_changes_since_last_save"), "0");
    assert_eq!(node.info("rdb_saves"), "0");
    assert_eq!(node.info("loading"), "0");
    client.run("SET a b");
    client.run("MSET a 1 b 2");
    client.run("DEL nothing");
    client.run("GET a");
    assert_eq!(node.info("rdb_changes_since_last_save"), "3");
    assert_eq!(client.run("SAVE"), Reply::ok());
    assert_eq!(node.info("rdb_changes_since_last_save"), "0");
    assert_eq!(node.info("rdb_saves"), "1");
    eventually("a later second", || {
        client.run("SAVE");
        (client.run("LASTSAVE").integer() > started).then_some(())
    });
    assert_eq!(node.info("rdb_last_save_time"), client.run("LASTSAVE").to_string()[1..]);
}

#[test]
fn info_persistence_has_redis_fields_in_redis_order() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let names = |node: &Node| -> Vec<String> {
        let info = node.connect().run("INFO persistence").text();
        info.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&ours), names(&theirs));
    for node in [&ours, &theirs] {
        node.connect().run("SAVE");
    }
    assert_eq!(names(&ours), names(&theirs));
}

#[test]
fn save_points_save_by_themselves() {
    let node = Start::ringfort(2).configuration("save 3600 100000 1 3\n").node();
    let mut client = node.connect();
    client.run("SET a 1");
    client.run("SET b 2");
    assert!(!file(&node).exists());
    client.run("SET c 3");
    eventually("the file is written", || file(&node).exists().then_some(()));
    wait_for_background_save(&mut client);
    assert_eq!(node.info("rdb_changes_since_last_save"), "0");
    let reader = Server::Redis.start().in_directory_of(&node).node();
    assert_eq!(digest(&reader), digest(&node));
    // Switched on and off at run time.
    assert_eq!(client.run("CONFIG SET save \"\""), Reply::ok());
    fs::remove_file(file(&node)).unwrap();
    client.run("MSET a 1 b 1 c 1 d 1");
    assert_eq!(node.info("rdb_changes_since_last_save"), "4");
    assert_eq!(client.run("CONFIG SET save \"1 1\""), Reply::ok());
    eventually("the file is written", || file(&node).exists().then_some(()));
}

#[test]
fn a_stop_saves_when_it_is_told_to_or_has_save_points() {
    for (configuration, how, saves) in [
        ("save 3600 100000\n", &[][..], true),
        ("save 3600 100000\n", &["NOSAVE"], false),
        ("save \"\"\n", &[], false),
        ("save \"\"\n", &["SAVE"], true),
    ] {
        let mut node = Start::ringfort(2).configuration(configuration).node();
        node.connect().run("SET a b");
        let expected = digest(&node);
        shut_down(&mut node, how);
        assert_eq!(file(&node).exists(), saves, "{configuration} {how:?}");
        node.start_again();
        assert_eq!(digest(&node) == expected, saves, "{configuration} {how:?}");
    }
}

#[test]
fn a_signal_stops_and_saves_as_the_command_does() {
    let mut node = Start::ringfort(2).configuration("save 3600 100000\n").node();
    fill(&node);
    let expected = digest(&node);
    node.signal(15);
    assert!(node.wait().success());
    node.start_again();
    assert_eq!(digest(&node), expected);
}

/// A second signal during the last save began a shutdown of its own, whose save interrupted the first: that one failed,
/// and let clients write on what was in no file. Now whoever asks again waits for the save that is under way.
#[test]
fn a_second_signal_lets_the_last_save_finish() {
    let mut node = Start::ringfort(2).configuration("save 3600 100000\n").node();
    node.connect().run("DEBUG POPULATE 1000000 key 100");
    node.signal(15);
    assert!(node.wait_for_log("Saving the final RDB snapshot before exiting"));
    node.signal(15);
    assert!(node.wait().success());
    assert!(!node.log().contains("Error"), "{}", node.log());
    node.start_again();
    assert_eq!(node.connect().run("DBSIZE"), Reply::Integer(1_000_000));
}

#[test]
fn a_killed_node_starts_with_its_last_file() {
    let mut node = Node::ringfort(2);
    fill(&node);
    let expected = digest(&node);
    assert_eq!(node.connect().run("SAVE"), Reply::ok());
    node.connect().run("SET not saved");
    node.signal(9);
    assert_eq!(node.wait().signal(), Some(9));
    node.start_again();
    assert_eq!(digest(&node), expected);
}

/// A node killed while it saves must leave the old file whole, and the new one is never half there.
#[test]
fn a_node_killed_while_it_saves_leaves_the_old_file() {
    let mut node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("SET old data");
    assert_eq!(client.run("SAVE"), Reply::ok());
    let expected = digest(&node);
    client.run("DEBUG POPULATE 300000 key 100");
    client.run("BGSAVE");
    let finished = node.info("rdb_bgsave_in_progress") == "0";
    node.signal(9);
    node.wait();
    if !finished {
        // Redis's child goes on without its parent; it has its own temporary file until it is done.
        node.start_again();
        let keys = node.connect().run("DBSIZE").integer();
        assert!(digest(&node) == expected || keys == 300_001, "{keys} keys");
    }
}

#[test]
fn the_file_is_where_the_configuration_says() {
    let mut node = Start::ringfort(2).option("--dbfilename", "other.rdb").node();
    node.connect().run("SET a b");
    let expected = digest(&node);
    assert_eq!(node.connect().run("SAVE"), Reply::ok());
    assert!(node.directory().join("other.rdb").exists() && !file(&node).exists());
    shut_down(&mut node, &["NOSAVE"]);
    node.start_again();
    assert_eq!(digest(&node), expected);
    // No other file is left behind.
    let names = fs::read_dir(node.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["other.rdb"]);
}

#[test]
fn a_save_that_fails_is_told_and_writes_are_refused_until_one_succeeds() {
    let node = Start::ringfort(2).configuration("save 3600 100000\n").node();
    let mut client = node.connect();
    client.run("SET a b");
    let directory = node.directory().join("dump.rdb");
    // Nothing can be renamed over a directory that is not empty.
    fs::create_dir_all(directory.join("in the way")).unwrap();
    assert!(client.run("SAVE").is_error());
    client.run("BGSAVE");
    wait_for_background_save(&mut client);
    assert_eq!(node.info("rdb_last_bgsave_status"), "err");
    let refused = client.run("SET a c");
    assert!(refused.error().starts_with("MISCONF "), "{refused}");
    assert_eq!(client.run("GET a"), Reply::bulk("b"));
    assert_eq!(client.run("CONFIG SET stop-writes-on-bgsave-error no"), Reply::ok());
    assert_eq!(client.run("SET a c"), Reply::ok());
    assert_eq!(client.run("CONFIG SET stop-writes-on-bgsave-error yes"), Reply::ok());
    fs::remove_dir_all(&directory).unwrap();
    client.run("BGSAVE");
    wait_for_background_save(&mut client);
    assert_eq!(node.info("rdb_last_bgsave_status"), "ok");
    assert_eq!(client.run("SET a d"), Reply::ok());
}

/// A file that could not even be created ended the node: its task reported back while it was being started, when the core
/// was still borrowed. Now the task begins a round later.
#[test]
fn a_node_whose_directory_is_gone_cannot_save_and_lives_on() {
    let node = Start::ringfort(2).option("--enable-protected-configs", "yes").node();
    let mut client = node.connect();
    client.run("SET a b");
    fs::remove_dir_all(node.directory()).unwrap();
    assert!(client.run("SAVE").is_error());
    client.run("BGSAVE");
    wait_for_background_save(&mut client);
    assert_eq!(node.info("rdb_last_bgsave_status"), "err");
    let other = TemporaryDirectory::new();
    assert_eq!(client.call(&["CONFIG", "SET", "dir", other.path().to_str().unwrap()]), Reply::ok());
    assert_eq!(client.run("SAVE"), Reply::ok());
    assert!(other.path().join("dump.rdb").exists());
    assert_eq!(client.run("GET a"), Reply::bulk("b"));
}

/// A good file, and the directory that it is in.
fn good_file() -> (Node, Vec<u8>) {
    let mut node = Node::ringfort(2);
    let mut client = node.connect();
    for number in 0..300 {
        client.call(&["SET", &format!("key:{number}"), &format!("value {number}").repeat(5)]);
    }
    assert_eq!(client.run("SAVE"), Reply::ok());
    shut_down(&mut node, &["NOSAVE"]);
    let bytes = fs::read(file(&node)).unwrap();
    (node, bytes)
}

/// A start with this file is refused; the log of it.
#[track_caller]
fn refused(node: &Node, bytes: &[u8]) -> String {
    fs::write(file(node), bytes).unwrap();
    let (status, log) = Start::ringfort(2).in_directory_of(node).refused();
    assert!(status.code().is_some_and(|code| code != 0), "{status}: {log}");
    assert_eq!(fs::read(file(node)).unwrap(), bytes, "the file was touched");
    log
}

#[test]
fn a_file_that_is_not_whole_is_refused_with_the_place() {
    let (node, good) = good_file();
    for length in [good.len() - 1, good.len() - 9, good.len() / 2, 20, 9] {
        let log = refused(&node, &good[..length]);
        assert!(log.contains("offset") || length < 10, "cut at {length}: {log}");
        if !node.is_redis() {
            // Names a place near the end of what is there.
            let places = log.split(|char: char| !char.is_ascii_digit());
            let mut places = places.filter_map(|text| text.parse::<usize>().ok());
            assert!(
                places.any(|place| place <= length && place + 4096 > length),
                "{length}: {log}"
            );
        }
    }
    // And the good one is still good.
    fs::write(file(&node), &good).unwrap();
    let again = Start::ringfort(2).in_directory_of(&node).node();
    assert_eq!(again.connect().run("DBSIZE"), Reply::Integer(300));
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let (node, good) = good_file();
    for place in [good.len() - 1, good.len() - 12, good.len() / 2, good.len() / 3] {
        let mut bytes = good.clone();
        bytes[place] ^= 0x10;
        refused(&node, &bytes);
    }
    for magic in ["VALKEY999", "NONSENSE9", "REDIS9999"] {
        let mut bytes = good.clone();
        bytes[..9].copy_from_slice(magic.as_bytes());
        refused(&node, &bytes);
    }
}

#[test]
fn a_node_that_loads_says_so() {
    for shards in [1, 4] {
        let mut node = Node::ringfort(shards);
        node.connect().run("DEBUG POPULATE 500000 key 10");
        assert_eq!(node.connect().run("SAVE"), Reply::ok());
        shut_down(&mut node, &["NOSAVE"]);
        let loading =
            Start::ringfort(shards).in_directory_of(&node).node_that_says("Server initialized");
        let mut client =
            eventually("it accepts connections", || Client::try_connect(loading.address()).ok());
        let mut refusals = 0;
        loop {
            let reply = client.run("GET key:1");
            if !reply.is_error() {
                break;
            }
            assert_eq!(reply.error(), "LOADING Redis is loading the dataset in memory");
            refusals += 1;
            // What describes the node is answered.
            let info = client.run("INFO persistence").text();
            assert!(info.contains("loading:1\r\n") || info.contains("loading:0\r\n"), "{info}");
            if info.contains("loading:1\r\n") {
                for field in [
                    "loading_start_time:",
                    "loading_total_bytes:",
                    "loading_loaded_bytes:",
                    "loading_eta_seconds:",
                ] {
                    assert!(info.contains(field), "{info}");
                }
            }
            assert!(!client.run("CONFIG GET port").is_error());
        }
        assert!(refusals > 0, "loading took no time at all");
        assert_eq!(client.run("DBSIZE"), Reply::Integer(500_000));
    }
}

#[test]
fn keys_that_expired_meanwhile_are_not_loaded() {
    let mut node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.run("SET gone v PX 1");
    client.run("SET here v");
    client.run("SET later v EX 10000");
    assert_eq!(client.run("SAVE"), Reply::ok());
    shut_down(&mut node, &["NOSAVE"]);
    eventually("the key has expired", || {
        let again = Start::ringfort(2).in_directory_of(&node).node();
        (again.connect().run("DBSIZE") == Reply::Integer(2)).then_some(())
    });
}

#[test]
fn an_empty_node_saves_and_loads_nothing() {
    for (writer, reader) in PAIRS {
        let mut node = writer.node();
        assert_eq!(node.connect().run("SAVE"), Reply::ok());
        shut_down(&mut node, &["NOSAVE"]);
        let other = reader.start().in_directory_of(&node).node();
        assert_eq!(digest(&other), EMPTY_DIGEST);
    }
}

#[test]
fn debug_reload_gives_the_same_data() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        fill(&node);
        let expected = digest(&node);
        assert_eq!(node.connect().run("DEBUG RELOAD"), Reply::ok());
        assert_eq!(digest(&node), expected);
    }
}

/// What was written between the cut of a DEBUG RELOAD and the moment when the loaded data took the place of the old was
/// answered and then lost. Now the shards stand still in between.
#[test]
fn a_debug_reload_loses_no_write() {
    if testing_redis() {
        return; // It refuses writes while it loads.
    }
    let node = Node::ringfort(2);
    node.connect().run("DEBUG POPULATE 50000 key 10");
    let writing = AtomicBool::new(true);
    let reloads = thread::scope(|scope| {
        for number in 0..4 {
            let (node, writing) = (&node, &writing);
            scope.spawn(move || {
                let mut client = node.connect();
                let incr = format!("INCR counter:{number}");
                let mut count = 0;
                while writing.load(Relaxed) {
                    count += 1;
                    assert_eq!(client.run(&incr), Reply::Integer(count));
                }
                assert!(count > 1);
            });
        }
        let mut client = node.connect();
        let reloads = [(); 3].map(|()| client.run("DEBUG RELOAD"));
        writing.store(false, Relaxed);
        reloads
    });
    assert_eq!(reloads, [(); 3].map(|()| Reply::ok()));
    assert_eq!(node.connect().run("DBSIZE"), Reply::Integer(50_004));
}

const LOADING_ALREADY: &str = "ERR Data is being loaded already";

/// Two loads at a time shared the databases that were being filled, and the reader of the file: a panic, or data of both.
/// Now there is one claim for whoever loads, and a DEBUG RELOAD that does not get it is refused.
#[test]
fn one_load_at_a_time() {
    if testing_redis() {
        return; // It has one thread.
    }
    let mut node = Node::ringfort(2);
    node.connect().run("DEBUG POPULATE 300000 key 10");
    let expected = digest(&node);
    let mut clients = [(); 4].map(|()| node.connect());
    clients.iter_mut().for_each(|client| client.send_command(&["DEBUG", "RELOAD"]));
    let replies = clients.each_mut().map(Client::read);
    let done = replies.iter().filter(|reply| **reply == Reply::ok()).count();
    let refused = replies.iter().filter(|reply| reply.is_error()).count();
    assert!(done > 0 && refused > 0 && done + refused == 4, "{replies:?}");
    for reply in replies.iter().filter(|reply| reply.is_error()) {
        assert_eq!(reply.error(), LOADING_ALREADY);
    }
    assert_eq!(digest(&node), expected);

    // The load at the start is one, too.
    shut_down(&mut node, &["NOSAVE"]);
    let again = Start::ringfort(2).in_directory_of(&node).node_that_says("Server initialized");
    let mut client =
        eventually("it accepts connections", || Client::try_connect(again.address()).ok());
    let mut refusals = 0;
    eventually("it has loaded", || {
        let reply = client.run("DEBUG RELOAD NOSAVE");
        if reply.is_error() {
            assert_eq!(reply.error(), LOADING_ALREADY);
            refusals += 1;
        }
        (reply == Reply::ok()).then_some(())
    });
    assert!(refusals > 0, "loading took no time at all");
    assert_eq!(digest(&again), expected);
}
