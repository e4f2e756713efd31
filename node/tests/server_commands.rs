//! Commands of the server itself: SHUTDOWN and signals, what they refuse; memory limits set while the node
//! runs; DEBUG's and LOLWUT's odds and ends against Redis.

mod common;

use common::node::{TemporaryDirectory, info_field};
use common::{Client, Node, Reply, Start, eventually};

#[test]
fn a_shutdown_that_must_save_is_refused_and_the_node_lives_on() {
    let mut node = Node::ringfort(2);
    if node.is_redis() {
        return;
    }
    // Nothing can be renamed over a directory that is not empty.
    std::fs::create_dir_all(node.directory().join("dump.rdb/in the way")).unwrap();
    let mut client = node.connect();
    client.run("SET kept 1");
    let refused = "ERR Errors trying to SHUTDOWN. Check logs.";
    assert_eq!(client.run("SHUTDOWN SAVE").error(), refused);
    assert_eq!(client.run("SHUTDOWN SAVE NOW").error(), refused);
    assert!(node.wait_for_log("Error trying to save the DB, can't exit"));
    assert_eq!(client.run("GET kept"), Reply::bulk("1"));
    assert_eq!(node.connect().run("PING"), Reply::Simple("PONG".into()));
    client.send_command(&["SHUTDOWN", "SAVE", "FORCE"]);
    assert_eq!(client.read_to_close(), b"");
    assert_eq!(node.wait().code(), Some(0));
    assert!(node.log().contains("Error trying to save the DB. Exit anyway."), "{}", node.log());
}

#[test]
fn a_signal_is_taken_as_configured() {
    let mut node = Start::ringfort(2)
        .words(&["--shutdown-on-sigterm", "save", "--shutdown-on-sigint", "nosave now"])
        .node();
    if node.is_redis() {
        return;
    }
    std::fs::create_dir_all(node.directory().join("dump.rdb/in the way")).unwrap();
    let mut client = node.connect();
    // Refused twice: the first refusal does not make the second signal a sign of impatience.
    for _ in 0..2 {
        let refusals = || node.log().matches("Errors trying to shut down the server").count();
        let before = refusals();
        let kill = format!("kill -TERM {}", node.pid());
        assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        eventually("the signal is refused", || (refusals() > before).then_some(()));
        assert_eq!(client.run("PING"), Reply::Simple("PONG".into()));
    }
    assert_eq!(client.run("CONFIG SET shutdown-on-sigterm \"save force\""), Reply::ok());
    node.signal(15);
    assert_eq!(node.wait().code(), Some(0), "{}", node.log());

    let mut node = Start::ringfort(2)
        .words(&["--shutdown-on-sigterm", "save", "--shutdown-on-sigint", "nosave now"])
        .node();
    node.signal(2);
    assert_eq!(node.wait().code(), Some(0), "{}", node.log());
}

/// Nobody writes after the limit was lowered: the cores evict by themselves, all of them.
#[test]
fn a_lowered_maxmemory_evicts_on_every_core() {
    let mut node = Node::ringfort(4);
    let mut client = node.connect();
    client.run("CONFIG SET maxmemory-policy allkeys-random");
    let value = "x".repeat(10_000);
    let commands: Vec<Vec<String>> =
        (0..2000).map(|number| vec!["SET".into(), format!("k{number}"), value.clone()]).collect();
    assert!(client.pipeline(&commands).iter().all(|reply| *reply == Reply::ok()));
    let used = |client: &mut Client| info_field(client, "used_memory").parse::<i64>().unwrap();
    let limit = used(&mut client) - 10_000_000;
    assert_eq!(client.call(&["CONFIG", "SET", "maxmemory", &limit.to_string()]), Reply::ok());
    eventually("memory is below its limit", || (used(&mut client) <= limit).then_some(()));
    let left = client.run("DBSIZE").integer();
    assert!((600..1100).contains(&left), "{left} keys left");
    let evicted: i64 = info_field(&mut client, "evicted_keys").parse().unwrap();
    assert_eq!(evicted, 2000 - left);
    assert!(node.wait_for_log("new maxmemory"));
}

#[test]
fn debug_and_lolwut_answer_as_redis() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let lines = [
        "DEBUG",
        "DEBUG NOSUCH",
        "DEBUG JMAP",
        "DEBUG SLEEP",
        "DEBUG SLEEP x",
        "DEBUG DIGEST x",
        "DEBUG DIGEST-VALUE",
        "DEBUG OBJECT none",
        "DEBUG OBJECT none fast",
        "DEBUG ERROR \"CODE with text\"",
        "DEBUG SET-ACTIVE-EXPIRE",
        "LOLWUT VERSION x",
        "LOLWUT VERSION 5 x",
        "LOLWUT VERSION 6 20 x",
        "SHUTDOWN x",
        "SHUTDOWN SAVE NOSAVE",
        "SHUTDOWN ABORT",
        "SHUTDOWN ABORT NOW",
        "MULTI",
        "SHUTDOWN NOSAVE NOW",
        "EXEC",
        "INFO errorstats",
    ];
    for resp3 in [false, true] {
        let connect = |node: &Node| if resp3 { node.connect_resp3() } else { node.connect() };
        let (mut our, mut their) = (connect(&ours), connect(&theirs));
        for line in lines {
            assert_eq!(our.run(line), their.run(line), "{line}");
        }
        // Not "attrib" in RESP3, which the tests' client cannot read.
        let attrib = if resp3 { "true" } else { "attrib" };
        for kind in [
            "string", "integer", "double", "bignum", "null", "array", "set", "map", attrib,
            "verbatim", "true", "false", "nosuch", "push",
        ] {
            let line = format!("DEBUG PROTOCOL {kind}");
            assert_eq!(our.run(&line), their.run(&line), "{line}");
        }
        if resp3 {
            // What stands behind the push.
            assert_eq!(our.read(), their.read());
        }
    }
    assert!(ours.connect().run("LOLWUT VERSION 5 100 3 2").text().contains("Redis ver. "));
}

#[test]
fn info_tells_identity_listeners_and_times_to_live() {
    let directory = TemporaryDirectory::new();
    let socket = directory.path().join("node.sock").display().to_string();
    let node = Start::ringfort(4).option("--unixsocket", &socket).node();
    if node.is_redis() {
        return;
    }
    let mut client = node.connect();
    let (run_id, replid) = (node.info("run_id"), node.info("master_replid"));
    assert!(run_id != replid && replid.len() == 40, "{run_id} {replid}");
    assert!(replid.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let tcp = node.info("listener0");
    assert!(
        tcp.starts_with("name=tcp,bind=") && tcp.ends_with(&format!(",port={}", node.port())),
        "{tcp}"
    );
    assert_eq!(node.info("listener1"), format!("name=unix,bind={socket}"));
    for number in 0..100 {
        client.run(&format!("SET k{number} x EX 1000"));
        client.run(&format!("SET forever{number} x"));
    }
    let keys = node.info("db0");
    let average =
        keys.strip_prefix("keys=200,expires=100,avg_ttl=").unwrap_or_else(|| panic!("{keys}"));
    let average: i64 = average.parse().unwrap();
    assert!((900_000..=1_000_000).contains(&average), "{average}");
    let cycles = |name: &str| node.info(name).parse::<u64>().unwrap();
    assert!(cycles("eventloop_cycles") > 0 && cycles("eventloop_duration_cmd_sum") > 0);
}

/// The client ran commands on all cores and has left when somebody looks.
#[test]
fn the_slow_log_knows_clients_that_are_gone() {
    let node = Node::ringfort(4);
    let mut observer = node.connect();
    observer.run("CONFIG SET slowlog-log-slower-than 0");
    observer.run("SLOWLOG RESET");
    let mut client = node.connect();
    let address = client.local_address().to_string();
    for number in 0..16 {
        client.run(&format!("SET k{number} x"));
    }
    assert_eq!(client.run("QUIT"), Reply::ok());
    assert_eq!(client.read_to_close(), b"");
    // The address may follow its entry by a message between two cores.
    eventually("all entries have their address", || {
        let log = observer.run("SLOWLOG GET -1");
        let sets: Vec<&Reply> =
            log.members().iter().filter(|entry| entry.members()[3].texts()[0] == "SET").collect();
        assert_eq!(sets.len(), 16, "{log}");
        sets.iter().all(|entry| entry.members()[4].text() == address).then_some(())
    });
}
