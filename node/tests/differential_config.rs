//! CONFIG SET with good and bad values, and CONFIG GET after it, against Debian's redis-server: the same
//! replies, the same values.
//!
//! Left out is what must differ: directives that reach the machine (ports, directories), those that Ringfort
//! refuses until they work, and those that Redis 7.0 and 7.2 treat differently.

mod common;

use common::{Client, Start};

const VALUES: [&str; 40] = [
    "0",
    "1",
    "2",
    "-1",
    "-2",
    "-100",
    "10",
    "100",
    "500",
    "1000",
    "65536",
    "1.5",
    "+1",
    "01",
    "1k",
    "1kb",
    "3MB",
    "1gb",
    "10zz",
    "20%",
    "120%",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "yes",
    "NO",
    "maybe",
    "",
    " ",
    "local",
    "debug",
    "allkeys-lru",
    "everysec",
    "swapdb",
    "clients",
    "AKE",
    "Kg$x",
    "Q",
    "a b",
    "relative",
];

/// Values for directives of several words.
const PHRASES: [&str; 22] = [
    "900 1",
    "900 1 60 100",
    "900",
    "900 -1",
    "0 1",
    "x 1",
    "900  1",
    "normal 0 0 0",
    "replica 1mb 2kb 3",
    "slave 1 2 3 pubsub 4 5 6",
    "master 1 2 3",
    "normal 1 2",
    "normal 1 2 x",
    "nosuch 1 2 3",
    "0 200 800",
    "0 200",
    "0 200 9999",
    "50 99.99",
    "50 101",
    "save nosave",
    "now save force",
    "default",
];

const SKIPPED: [&str; 24] = [
    // They reach the machine.
    "port",
    "bind",
    "dir",
    "dbfilename",
    "maxclients",
    "tls-port",
    "oom-score-adj",
    "oom-score-adj-values",
    "requirepass",
    "proc-title-template",
    "appendonly",
    "bind-source-addr",
    "activedefrag",
    // They change what the connection of this test may do.
    "client-output-buffer-limit",
    "timeout",
    "maxmemory",
    "maxmemory-clients",
    "min-replicas-to-write",
    "min-slaves-to-write",
    // Ringfort refuses them until they work.
    "tls-replication",
    "tls-cluster",
    // 7.2 knows more words.
    "loglevel",
    "locale-collate",
    "set-max-listpack-value",
];

fn names(redis: &mut Client) -> Vec<String> {
    let all = redis.call(&["CONFIG", "GET", "*"]).pairs();
    let mut names: Vec<String> = all.iter().map(|(name, _)| name.text()).collect();
    names.sort();
    names.retain(|name| !SKIPPED.contains(&&**name) && !name.starts_with("tls-"));
    names
}

#[test]
fn config_set_and_get_answer_as_redis() {
    let (ours, theirs) = (Start::ringfort(2).node(), Start::redis().node());
    let (mut our, mut their) = (ours.connect(), theirs.connect());
    let names = names(&mut their);
    assert!(names.len() > 150, "{names:?}");
    let mut differences = Vec::new();
    for name in &names {
        for value in VALUES.iter().chain(&PHRASES) {
            let mut compare = |command: &[&str]| {
                let (got, expected) = (our.call(command), their.call(command));
                if got != expected {
                    differences.push(format!("{command:?} ({value:?}): {got}, not {expected}"));
                }
            };
            compare(&["CONFIG", "SET", name, value]);
            compare(&["CONFIG", "GET", name]);
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn config_errors_over_several_pairs_are_those_of_redis() {
    let (ours, theirs) = (Start::ringfort(2).node(), Start::redis().node());
    let (mut our, mut their) = (ours.connect(), theirs.connect());
    let commands = [
        "CONFIG SET",
        "CONFIG SET hz",
        "CONFIG SET hz 5 timeout",
        "CONFIG SET nosuch 1",
        "CONFIG SET hz 11 nosuch 1 databases 3",
        "CONFIG SET databases 3 nosuch 1",
        "CONFIG SET hz 11 HZ 12",
        "CONFIG SET hz 11 replica-priority 1 slave-priority 2",
        "CONFIG SET hz 12 lfu-log-factor x",
        "CONFIG SET HZ x",
        "CONFIG SET dir /tmp",
        "CONFIG SET dbfilename x hz 3",
        "CONFIG GET",
        "CONFIG GET nosuch",
        "CONFIG GET hz HZ Hz",
        "CONFIG GET Hz",
        "CONFIG GET slave-priority",
        "CONFIG REWRITE",
        "CONFIG REWRITE x",
        "CONFIG NOSUCH",
        "CONFIG",
    ];
    for command in commands {
        assert_eq!(our.run(command), their.run(command), "{command}");
        let state = "CONFIG GET hz";
        assert_eq!(our.run(state), their.run(state), "{state} after {command}");
    }
}
