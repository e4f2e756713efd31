//! What a node tells about itself: INFO and its counters, MONITOR, SLOWLOG, LATENCY, MEMORY, DEBUG.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::node::info_field;
use common::{Client, Node, Reply, Start, eventually};

/// The names of INFO's fields and the sections in front of them.
fn fields_of(info: &str) -> BTreeSet<String> {
    let names =
        info.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name.to_owned()));
    let sections = info.lines().filter(|line| line.starts_with("# ")).map(str::to_owned);
    names.chain(sections).collect()
}

#[test]
fn info_has_every_field_of_redis() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    // What belongs to one compiler, allocator or event loop.
    let particular =
        ["gcc_version", "io_threads_active", "monotonic_clock", "mem_not_counted_for_evict"];
    for section in
        ["", "default", "all", "everything", "server", "clients", "memory", "stats", "keyspace"]
    {
        let fields = |node: &Node| {
            let mut client = node.connect();
            client.run("SET a 1 EX 1000");
            fields_of(&client.run(&format!("INFO {section}")).text())
        };
        let (got, expected) = (fields(&ours), fields(&theirs));
        let missing: Vec<_> = expected
            .difference(&got)
            .filter(|name| !particular.contains(&name.as_str()))
            .filter(|name| {
                !name.starts_with("cmdstat_") && !name.starts_with("latency_percentiles_")
            })
            .collect();
        assert!(missing.is_empty(), "INFO {section} lacks {missing:?}");
    }
    let mut client = ours.connect();
    let several = fields_of(&client.run("INFO server CLIENTS nosuch").text());
    assert!(
        several.contains("redis_version") && several.contains("connected_clients"),
        "{several:?}"
    );
    assert!(!several.contains("used_memory"), "{several:?}");
    assert_eq!(client.run("INFO nosuch").text(), "");

    assert_eq!(info_field(&mut client, "process_id"), ours.pid().to_string());
    assert_eq!(info_field(&mut client, "tcp_port"), ours.port().to_string());
    assert_eq!(info_field(&mut client, "redis_mode"), "standalone");
    assert_eq!(info_field(&mut client, "role"), "master");
    assert_eq!(info_field(&mut client, "run_id").len(), 40);
    assert!(info_field(&mut client, "db0").starts_with("keys=1,expires=1,avg_ttl="));
    if !ours.is_redis() {
        assert!(info_field(&mut client, "redis_version").starts_with("7.2."));
        assert!(!info_field(&mut client, "ringfort_version").is_empty());
    }
}

/// Runs `line` once on each of eight connections, which lie on all cores.
fn on_all_cores(node: &Node, line: &str) {
    for _ in 0..8 {
        node.connect().run(line);
    }
}

#[test]
fn counters_add_up_over_the_cores() {
    let node = Node::ringfort(4);
    let mut client = node.connect();
    client.run("SET there x");
    client.run("CONFIG RESETSTAT");
    on_all_cores(&node, "GET there");
    on_all_cores(&node, "GET missing");
    on_all_cores(&node, "MGET there missing a b c");
    on_all_cores(&node, "INCR there");
    on_all_cores(&node, "GET");
    on_all_cores(&node, "NOSUCH");
    let field = |client: &mut Client, name: &str| info_field(client, name);
    assert_eq!(field(&mut client, "keyspace_hits"), "16");
    assert_eq!(field(&mut client, "keyspace_misses"), "40");
    assert_eq!(field(&mut client, "total_connections_received"), "48");
    assert_eq!(field(&mut client, "total_error_replies"), "24");
    assert_eq!(field(&mut client, "errorstat_ERR"), "count=24");
    let get = field(&mut client, "cmdstat_get");
    assert!(
        get.starts_with("calls=16,usec=") && get.ends_with(",rejected_calls=8,failed_calls=0"),
        "{get}"
    );
    let incr = field(&mut client, "cmdstat_incr");
    assert!(
        incr.starts_with("calls=8,usec=") && incr.ends_with(",rejected_calls=0,failed_calls=8"),
        "{incr}"
    );
    let latency = field(&mut client, "latency_percentiles_usec_get");
    assert!(
        latency.starts_with("p50=") && latency.contains(",p99=") && latency.contains(",p99.9="),
        "{latency}"
    );
    let histogram = client.run("LATENCY HISTOGRAM get");
    assert_eq!(histogram.field("get").field("calls"), Reply::Integer(16));
    let commands: i64 = field(&mut client, "total_commands_processed").parse().unwrap();
    assert!((32..60).contains(&commands), "{commands}");
    for name in ["total_net_input_bytes", "total_net_output_bytes"] {
        assert!(field(&mut client, name).parse::<u64>().unwrap() > 400, "{name}");
    }
    assert_eq!(client.run("CONFIG RESETSTAT"), Reply::ok());
    assert_eq!(field(&mut client, "keyspace_hits"), "0");
    assert!(!client.run("INFO commandstats").text().contains("cmdstat_get:"));
    assert!(!client.run("INFO errorstats").text().contains("errorstat_ERR"));
}

#[test]
fn monitor_shows_the_commands_of_all_cores() {
    let node = Node::ringfort(4);
    let mut monitor = node.connect();
    assert_eq!(monitor.run("MONITOR"), Reply::ok());
    let mut clients: Vec<Client> = (0..8).map(|_| node.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.call(&[
            b"SET".as_slice(),
            format!("seen:{number}").as_bytes(),
            b"\"quo\\ted\"\n\x01\xff",
        ]);
    }
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        let line = monitor.read().text();
        let (time, rest) = line.split_once(' ').unwrap();
        let (seconds, micros) = time.split_once('.').unwrap();
        assert!(seconds.parse::<u64>().unwrap() > 1_600_000_000 && micros.len() == 6, "{line}");
        seen.insert(rest.to_owned());
    }
    for (number, client) in clients.iter().enumerate() {
        let address = client.local_address();
        let expected = format!(r#"[0 {address}] "SET" "seen:{number}" "\"quo\\ted\"\n\x01\xff""#);
        assert!(seen.contains(&expected), "no {expected} in {seen:#?}");
    }
    // One connection's commands on one key come in their order, and a transaction's are shown.
    let client = &mut clients[0];
    for line in ["SELECT 2", "MULTI", "INCR n", "GET n", "EXEC", "DEL n", "GET n"] {
        client.run(line);
    }
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| line.ends_with(r#""DEL" "n""#)) {
        lines.push(monitor.read().text());
    }
    let keyed: Vec<&str> = lines
        .iter()
        .filter(|line| line.contains("\"n\""))
        .map(|line| line.split_once("] ").unwrap().1)
        .collect();
    assert_eq!(keyed, [r#""INCR" "n""#, r#""GET" "n""#, r#""DEL" "n""#]);
    assert!(
        lines.iter().filter(|line| line.contains("\"n\"")).all(|line| line.contains(" [2 ")),
        "{lines:?}"
    );
    // Passwords are not.
    client.run("AUTH secret-word");
    client.run("HELLO 2 AUTH default secret-word");
    client.run("ECHO end-of-secrets");
    loop {
        let line = monitor.read().text();
        assert!(!line.contains("secret-word"), "{line}");
        if line.contains("end-of-secrets") {
            break;
        }
    }
    assert_eq!(monitor.run("RESET"), Reply::Simple("RESET".into()));
    assert_eq!(monitor.run("PING"), Reply::Simple("PONG".into()));
}

#[test]
fn slow_commands_are_logged() {
    let node = Node::ringfort(4);
    let mut client = node.connect();
    assert_eq!(client.run("SLOWLOG GET"), Reply::Array(vec![]));
    client.run("CLIENT SETNAME slow");
    client.run("CONFIG SET slowlog-log-slower-than 20000");
    // On a busy machine one of the commands so far may have been slow.
    client.run("SLOWLOG RESET");
    client.run("DEBUG SLEEP 0.03");
    client.run("PING");
    let log = client.run("SLOWLOG GET");
    let entry = log.members()[0].members();
    assert_eq!(log.members().len(), 1, "{log}");
    assert_eq!(entry.len(), 6);
    assert!(entry[1].integer() > 1_600_000_000 && entry[2].integer() >= 30_000, "{log}");
    assert_eq!(entry[3].texts(), ["DEBUG", "SLEEP", "0.03"]);
    assert_eq!(entry[4].text(), client.local_address().to_string());
    assert_eq!(entry[5].text(), "slow");

    assert_eq!(client.run("CONFIG SET slowlog-log-slower-than 0 slowlog-max-len 10"), Reply::ok());
    let long = "x".repeat(200);
    let words: Vec<String> =
        ["MGET".to_owned()].into_iter().chain((0..40).map(|number| format!("k{number}"))).collect();
    client.call(&["SET", "a", &long]);
    client.call(&words);
    let log = client.run("SLOWLOG GET 2");
    let newest = log.members()[0].members()[3].texts();
    assert_eq!((newest.len(), newest[31].as_str()), (32, "... (10 more arguments)"));
    let before = log.members()[1].members()[3].texts();
    assert_eq!(before[2], format!("{}... (72 more bytes)", "x".repeat(128)));
    on_all_cores(&node, "GET a");
    on_all_cores(&node, "GET a");
    assert_eq!(client.run("SLOWLOG LEN"), Reply::Integer(10));
    let ids: Vec<i64> = client
        .run("SLOWLOG GET -1")
        .members()
        .iter()
        .map(|entry| entry.members()[0].integer())
        .collect();
    assert!(ids.len() == 10 && ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
    client.run("CONFIG SET slowlog-log-slower-than -1");
    assert_eq!(client.run("SLOWLOG RESET"), Reply::ok());
    client.run("GET a");
    assert_eq!(client.run("SLOWLOG LEN"), Reply::Integer(0));
}

#[test]
fn latency_events_are_remembered() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("DEBUG SLEEP 0.02");
    assert_eq!(client.run("LATENCY LATEST"), Reply::Array(vec![]));
    assert_eq!(client.run("CONFIG SET latency-monitor-threshold 10"), Reply::ok());
    client.run("DEBUG SLEEP 0.02");
    client.run("DEBUG SLEEP 0.04");
    let latest = client.run("LATENCY LATEST");
    let event =
        latest.members().iter().map(Reply::members).find(|event| event[0].text() == "command");
    let event = event.unwrap_or_else(|| panic!("no command event: {latest}"));
    assert!(
        event[1].integer() > 1_600_000_000 && event[2].integer() >= 40 && event[3].integer() >= 40,
        "{latest}"
    );
    let history = client.run("LATENCY HISTORY command");
    assert!(!history.members().is_empty() && history.members().len() <= 2, "{history}");
    assert!(client.run("LATENCY DOCTOR").text().contains("command"));
    assert!(client.run("LATENCY GRAPH command").text().contains("command - high"));
    assert!(client.run("LATENCY RESET command nosuch").integer() == 1);
    assert_eq!(client.run("LATENCY HISTORY command"), Reply::Array(vec![]));
}

#[test]
fn a_sleep_stops_every_core() {
    let node = Node::ringfort(2);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (node, done) = (&node, &done);
        let others: Vec<_> = (0..4)
            .map(|_| {
                let mut client = node.connect();
                client.run("PING");
                scope.spawn(move || {
                    let mut longest = Duration::ZERO;
                    while !done.load(Ordering::Relaxed) {
                        let start = Instant::now();
                        client.run("PING");
                        longest = longest.max(start.elapsed());
                    }
                    longest
                })
            })
            .collect();
        let mut client = node.connect();
        let start = Instant::now();
        assert_eq!(client.run("DEBUG SLEEP 0.5"), Reply::ok());
        assert!(start.elapsed() >= Duration::from_millis(500));
        done.store(true, Ordering::Relaxed);
        for other in others {
            let longest = other.join().unwrap();
            assert!(longest >= Duration::from_millis(300), "one waited only {longest:?}");
        }
    });
}

#[test]
fn memory_is_accounted_for() {
    let node = Node::ringfort(4);
    let mut client = node.connect();
    let used = |client: &mut Client| info_field(client, "used_memory").parse::<i64>().unwrap();
    assert_eq!(client.run("MEMORY USAGE none"), Reply::NullBulk);
    client.call(&["SET", "small", "x"]);
    client.call(&["SET", "large", &"x".repeat(100_000)]);
    let (small, large) = (
        client.run("MEMORY USAGE small").integer(),
        client.run("MEMORY USAGE large SAMPLES 5").integer(),
    );
    assert!((8..200).contains(&small), "{small}");
    assert!((100_000..140_000).contains(&large), "{large}");
    let before = used(&mut client);
    for number in 0..50 {
        client.call(&["SET", &format!("memory:{number}"), &"x".repeat(100_000)]);
    }
    let grown = used(&mut client) - before;
    assert!((5_000_000..7_000_000).contains(&grown), "{grown} for five megabytes");
    let stats = client.run("MEMORY STATS");
    assert_eq!(stats.field("keys.count"), Reply::Integer(52));
    assert!(stats.field("total.allocated").integer() > 5_000_000);
    assert!(stats.field("peak.allocated").integer() >= stats.field("total.allocated").integer());
    assert!(stats.field("dataset.bytes").integer() > 5_000_000);
    assert!(!client.run("MEMORY DOCTOR").text().is_empty());
    assert_eq!(client.run("MEMORY PURGE"), Reply::ok());
    assert_eq!(client.run("FLUSHALL"), Reply::ok());
    eventually("flushed memory is free", || (used(&mut client) < before + 500_000).then_some(()));
    assert!(
        info_field(&mut client, "used_memory_peak").parse::<i64>().unwrap() > before + 5_000_000
    );
}

#[test]
fn debug_helps_tests() {
    let (ours, theirs) = (Node::ringfort(4), Start::redis().node());
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    for client in [&mut ours, &mut theirs] {
        assert_eq!(client.run("DEBUG DIGEST").to_string(), format!("+{}", "0".repeat(40)));
        assert_eq!(client.run("DEBUG POPULATE 1000"), Reply::ok());
        assert_eq!(client.run("DEBUG POPULATE 200 other 30"), Reply::ok());
        assert_eq!(client.run("DBSIZE"), Reply::Integer(1200));
        assert_eq!(client.run("GET key:7"), Reply::bulk("value:7"));
        assert_eq!(client.run("STRLEN other:199"), Reply::Integer(30));
        client.run("SELECT 4");
        client.run("SET a \"some \\x00 value\"");
        client.run("SET t x EX 1000");
        client.run("SET n 12345");
        let described = client.run("DEBUG OBJECT n").text();
        assert!(
            described.starts_with("Value at:0x") && described.contains(" encoding:int "),
            "{described}"
        );
        assert_eq!(client.run("DEBUG LOG \"a line of a test\""), Reply::ok());
    }
    for line in ["DEBUG DIGEST", "DEBUG DIGEST-VALUE a t n none"] {
        assert_eq!(ours.run(line), theirs.run(line), "{line}");
    }
    assert!(ours.run("LOLWUT").text().contains("ver"));
    let time = ours.run("TIME").texts();
    assert!(
        time[0].parse::<u64>().unwrap() > 1_600_000_000
            && time[1].parse::<u64>().unwrap() < 1_000_000
    );
}

#[test]
fn debug_needs_to_be_allowed() {
    let node = Start::ringfort(2).option("--enable-debug-command", "no").node();
    let mut client = node.connect();
    let refused = client.run("DEBUG SLEEP 0");
    assert!(refused.error().starts_with("ERR DEBUG command not allowed."), "{refused}");
    assert!(client.run("CONFIG SET enable-debug-command yes").is_error());
    let node = Start::ringfort(2).option("--enable-debug-command", "local").node();
    assert_eq!(node.connect().run("DEBUG SLEEP 0"), Reply::ok());
}

#[test]
fn a_transaction_and_its_commands_are_counted() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut client = node.connect();
        for command in [
            "MULTI",
            "SET a 1",
            "MSET b 1 c 1 d 1",
            "MSET b 1 c",
            "EXEC",
            "MULTI",
            "SET a 2",
            "EXEC",
            "MSET b 2 c 2 d 2",
        ] {
            client.run(command);
        }
        let stats = client.run("INFO commandstats").text();
        for (name, calls, failed) in [("exec", 2, 0), ("set", 2, 0), ("mset", 3, 1)] {
            let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:")));
            let line = line.unwrap_or_else(|| panic!("{name} is not counted in {stats}"));
            assert!(line.contains(&format!(":calls={calls},")), "{line}");
            assert!(line.ends_with(&format!(",failed_calls={failed}")), "{line}");
        }
        assert!(client.run("INFO errorstats").text().contains("errorstat_ERR:count=1"));
    }
}
