//! MONITOR tells what the node ran, each shard's commands in the order in which it ran them.

mod common;

use std::collections::BTreeMap;
use std::thread;

use common::client::words;
use common::node::TemporaryDirectory;
use common::{Client, Node, Random, Reply, Start};

fn monitor(node: &Node) -> Client {
    let mut client = node.connect();
    assert_eq!(client.run("MONITOR"), Reply::ok());
    client
}

/// The next line: what stands in brackets, and the words of the command.
fn line(monitor: &mut Client) -> (String, Vec<String>) {
    let line = monitor.read().text();
    let (time, rest) = line.split_once(" [").unwrap_or_else(|| panic!("not a line: {line}"));
    assert!(time.parse::<f64>().is_ok_and(|seconds| seconds > 1.6e9), "{line}");
    let (from, command) = rest.split_once("] ").unwrap();
    let words = words(command).into_iter().map(|word| String::from_utf8(word).unwrap());
    (from.to_owned(), words.collect())
}

const KEYS: usize = 12;

/// Many clients overwrite the same keys in every way there is. Who replays what a monitor saw has the same
/// values in the end.
fn check_replay(shards: usize) {
    let node = Node::ringfort(shards);
    let mut monitors = [monitor(&node), monitor(&node)];
    thread::scope(|scope| {
        for writer in 0..4 {
            let node = &node;
            scope.spawn(move || {
                let mut client = node.connect();
                let mut random = Random::new(writer);
                for step in 0..60 {
                    let value = format!("{writer}.{step}");
                    let mut key = || format!("key:{}", random.below(KEYS));
                    let (one, other) = (key(), key());
                    let commands: Vec<Vec<&str>> = match random.below(4) {
                        0 => vec![vec!["MSET", &one, &value, &other, &value]],
                        1 => vec![
                            vec!["MULTI"],
                            vec!["SET", &one, &value],
                            vec!["SET", &other, &value],
                            vec!["EXEC"],
                        ],
                        2 => vec![vec!["DEL", &one, &other]],
                        _ => vec![vec!["SET", &one, &value], vec!["SET", &other, &value]],
                    };
                    client.pipeline(&commands);
                }
            });
        }
    });
    let mut client = node.connect();
    // The end is a command on the keys of all shards: it is shown behind everything that each of them ran before.
    // A keyless one is in order with its own core's lines only.
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key:{number}")).collect();
    client.run(&format!("EXISTS {}", keys.join(" ")));
    // All monitors are read to the end before anything more is sent.
    let replays = monitors.each_mut().map(|monitor| {
        let mut replayed: BTreeMap<String, String> = BTreeMap::new();
        loop {
            let (_, words) = line(monitor);
            match words[0].as_str() {
                "SET" | "MSET" => {
                    for pair in words[1..].chunks(2) {
                        replayed.insert(pair[0].clone(), pair[1].clone());
                    }
                }
                "DEL" => words[1..].iter().for_each(|key| drop(replayed.remove(key))),
                "EXISTS" => break replayed,
                "MULTI" | "EXEC" => {}
                other => panic!("nobody sent {other}"),
            }
        }
    });
    for key in &keys {
        let value = client.call(&["GET", key]);
        for replayed in &replays {
            let expected = replayed.get(key).map_or(Reply::NullBulk, Reply::bulk);
            assert_eq!(value, expected, "{key}");
        }
    }
}

#[test]
fn what_a_monitor_saw_can_be_replayed_on_one_shard() {
    check_replay(1);
}

#[test]
fn what_a_monitor_saw_can_be_replayed_on_two_shards() {
    check_replay(2);
}

#[test]
fn what_a_monitor_saw_can_be_replayed_on_four_shards() {
    check_replay(4);
}

#[test]
fn a_transaction_is_shown_when_it_runs() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut monitor = monitor(&node);
        let mut client = node.connect();
        let commands = [
            "MULTI",
            "SET a 1",
            "SELECT 3",
            "MSET b 2 c 3 d 4",
            "PUBLISH news x",
            "GET a",
            "EXEC",
            "MULTI",
            "GET a",
            "DISCARD",
            "MULTI",
            "NOSUCH",
            "EXEC",
            "SELECT 0",
            "WATCH w",
        ];
        for command in commands {
            client.run(command);
        }
        node.connect().run("SET w 1");
        for command in ["MULTI", "GET w", "EXEC", "EXEC"] {
            client.run(command);
        }
        let expected = [
            "0 MULTI",
            "0 SET a 1",
            "3 SELECT 3",
            "3 MSET b 2 c 3 d 4",
            "3 PUBLISH news x",
            "3 GET a",
            "3 EXEC",
            "3 MULTI",
            "3 DISCARD",
            "3 MULTI",
            "3 EXEC",
            "0 SELECT 0",
            "0 WATCH w",
            "0 SET w 1",
            "0 MULTI",
            "0 EXEC",
            "0 EXEC",
        ];
        for expected in expected {
            let (from, words) = line(&mut monitor);
            let database = from.split(' ').next().unwrap();
            assert_eq!(format!("{database} {}", words.join(" ")), expected, "{shards} shards");
        }
    }
}

#[test]
fn administration_and_refused_commands_are_not_shown() {
    let node = Node::ringfort(2);
    let mut monitor = monitor(&node);
    let mut client = node.connect();
    for command in [
        "CONFIG GET save",
        "CLIENT LIST",
        "CLIENT PAUSE 0",
        "GET",
        "NOSUCH a",
        "GET a b",
        "MULTI",
        "MONITOR",
        "EXEC",
    ] {
        client.run(command);
    }
    assert_eq!(line(&mut monitor).1, ["MULTI"]);
    assert_eq!(line(&mut monitor).1, ["EXEC"]);
    // A monitor sees itself too, behind its reply, and cannot touch keys.
    assert_eq!(monitor.run("PING"), Reply::Simple("PONG".into()));
    assert_eq!(line(&mut monitor).1, ["PING"]);
    assert_eq!(monitor.run("GET a").error(), "ERR Replica can't interact with the keyspace");
    assert_eq!(monitor.run("RESET"), Reply::Simple("RESET".into()));
    client.run("GET a");
    assert_eq!(monitor.run("GET a"), Reply::NullBulk);
}

#[test]
fn clients_of_a_unix_socket_are_shown_by_its_path() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("node.sock");
    let node = Start::ringfort(2).option("--unixsocket", path.to_str().unwrap()).node();
    let mut monitor = monitor(&node);
    let mut client = Client::connect_unix(&path);
    for number in 0..8 {
        client.call(&["SET", &format!("unix:{number}"), "x"]);
        let (from, _) = line(&mut monitor);
        assert_eq!(from, format!("0 unix:{}", path.display()));
    }
}

#[test]
fn a_monitor_that_leaves_is_forgotten() {
    let node = Node::ringfort(4);
    let mut client = node.connect();
    for _ in 0..3 {
        let mut some: Vec<Client> = (0..8).map(|_| monitor(&node)).collect();
        client.run("ECHO hello");
        for monitor in &mut some {
            assert_eq!(line(monitor).1, ["ECHO", "hello"]);
        }
        drop(some);
        common::eventually("only one client is left", || {
            (client.run("CLIENT LIST").text().lines().count() == 1).then_some(())
        });
    }
    let mut other = monitor(&node);
    let killed = client.call(&["CLIENT", "KILL", &other.local_address().to_string()]);
    assert_eq!(killed, Reply::ok());
    other.read_to_close();
    assert_eq!(client.run("SET a 1"), Reply::ok());
}
