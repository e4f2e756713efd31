//! Stock tools and client libraries work, over TCP (IPv4, IPv6, several addresses) and Unix sockets.

mod common;

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use common::client::frame;
use common::{Client, Node, Reply, Start};

fn printed(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    text
}

#[test]
fn redis_cli_talks_to_every_core() {
    let node = Node::ringfort(4);
    let cli = |arguments: &[&str]| printed(&node.redis_cli(arguments));
    assert_eq!(cli(&["PING"]), "PONG\n");
    for number in 0..20 {
        assert_eq!(cli(&["SET", &format!("cli:{number}"), "some value"]), "OK\n");
        assert_eq!(cli(&["GET", &format!("cli:{number}")]), "some value\n");
    }
    assert_eq!(cli(&["--no-raw", "MGET", "cli:1", "none"]), "1) \"some value\"\n2) (nil)\n");
    assert_eq!(cli(&["-3", "--no-raw", "GET", "none"]), "(nil)\n");
    assert_eq!(cli(&["-3", "CONFIG", "GET", "databases"]), "databases 16\n");
    assert_eq!(cli(&["-r", "3", "INCR", "n"]), "1\n2\n3\n");
    assert_eq!(cli(&["-n", "4", "SET", "four", "x"]), "OK\n");
    assert_eq!(cli(&["-n", "4", "--scan", "--pattern", "f*"]), "four\n");
    assert_eq!(cli(&["--scan", "--pattern", "cli:*"]).lines().count(), 20);
    assert_eq!(cli(&["NOSUCH"]), "ERR unknown command 'NOSUCH', with args beginning with: \n\n");
    assert!(cli(&["INFO", "server"]).contains("redis_version:7."));
    let bigkeys = cli(&["--bigkeys"]);
    assert!(bigkeys.contains("Sampled 21 keys in the keyspace!"), "{bigkeys}");
    assert!(bigkeys.contains("21 strings with 201 bytes"), "{bigkeys}");
    let memkeys = cli(&["--memkeys"]);
    assert!(memkeys.contains("Sampled 21 keys in the keyspace!"), "{memkeys}");
}

#[test]
fn redis_cli_inserts_a_mass_through_a_pipe() {
    let node = Node::ringfort(4);
    let mut cli = Command::new("redis-cli");
    cli.arg("-p").arg(node.port().to_string()).arg("--pipe");
    let mut child =
        cli.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut bytes = Vec::new();
    for number in 0..50_000 {
        bytes.extend(frame(&["SET", &format!("mass:{number}"), "value"]));
    }
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let text = printed(&child.wait_with_output().unwrap());
    writer.join().unwrap();
    assert!(text.contains("errors: 0, replies: 50000"), "{text}");
    assert_eq!(node.connect().run("DBSIZE"), Reply::Integer(50_000));
}

#[test]
fn redis_benchmark_runs_its_string_tests() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        for pipeline in ["1", "16"] {
            let mut benchmark = Command::new("redis-benchmark");
            benchmark.args(["-p", &node.port().to_string(), "-t", "ping,set,get,incr,mset"]);
            benchmark.args(["-n", "4000", "-c", "20", "-r", "1000", "-P", pipeline, "--csv"]);
            let text = printed(&benchmark.output().expect("run redis-benchmark"));
            for name in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
                assert!(text.contains(&format!("\"{name}\",")), "no result for {name}:\n{text}");
            }
        }
        let mut client = node.connect();
        let sum: i64 = {
            let keys: Vec<String> = client.run("KEYS counter:*").texts();
            keys.iter().map(|key| client.call(&["GET", key]).number()).sum()
        };
        assert_eq!(sum, 8000);
    }
}

#[test]
fn redis_benchmark_runs_all_its_tests() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut benchmark = Command::new("redis-benchmark");
        benchmark.args(["-p", &node.port().to_string(), "-n", "2000", "-c", "10"]);
        benchmark.args(["-P", "4", "--csv"]);
        let text = printed(&benchmark.output().expect("run redis-benchmark"));
        for name in [
            "LPUSH",
            "RPUSH",
            "LPOP",
            "RPOP",
            "SADD",
            "HSET",
            "SPOP",
            "ZADD",
            "ZPOPMIN",
            "LRANGE_100 (first 100 elements)",
            "LRANGE_600 (first 600 elements)",
            "MSET (10 keys)",
        ] {
            assert!(text.contains(&format!("\"{name}\",")), "no result for {name}:\n{text}");
        }
        // What it pushed and did not pop.
        let mut client = node.connect();
        assert_eq!(client.run("LLEN mylist"), Reply::Integer(2000));
        assert_eq!(client.run("TYPE myset").to_string(), "+none");
        assert_eq!(client.run("HLEN myhash"), Reply::Integer(1));
    }
}

#[test]
fn redis_py_works() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/redis_py.py");
        let mut python = Command::new("/usr/bin/python3");
        let output = python.arg(script).arg(node.port().to_string()).output().expect("run python3");
        assert_eq!(printed(&output), "all held\n");
    }
}

#[test]
fn perls_redis_module_works() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/perl/redis_pm.pl");
        let mut perl = Command::new("/usr/bin/perl");
        let output = perl.arg(script).arg(node.port().to_string()).output().expect("run perl");
        assert_eq!(printed(&output), "all held\n");
    }
}

#[test]
fn a_unix_socket_serves_as_tcp_does() {
    let directory = common::node::TemporaryDirectory::new();
    let path = directory.path().join("node.sock");
    let name = path.to_str().unwrap();
    let node =
        Start::ringfort(2).option("--unixsocket", name).option("--unixsocketperm", "700").node();
    let mut clients: Vec<Client> = (0..6).map(|_| Client::connect_unix(&path)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let key = format!("unix:{number}");
        assert_eq!(client.call(&["SET", &key, "value"]), Reply::ok());
        assert_eq!(node.connect().call(&["GET", &key]), Reply::bulk("value"));
    }
    let info = clients[0].run("CLIENT INFO").text();
    assert!(info.contains(&format!(" addr={name}:0 laddr={name}:0 ")), "{info}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(clients[0].run("CONFIG GET unixsocket").field("unixsocket").text(), name);
    let cli = Command::new("redis-cli").args(["-s", name, "PING"]).output().unwrap();
    assert_eq!(printed(&cli), "PONG\n");
}

#[test]
fn every_bound_address_is_served() {
    let node = Start::ringfort(2).words(&["--bind", "127.0.0.1", "127.0.0.2", "127.1.2.3"]).node();
    let at = |last: [u8; 4]| SocketAddr::from((Ipv4Addr::from(last), node.port()));
    for address in [[127, 0, 0, 1], [127, 0, 0, 2], [127, 1, 2, 3]] {
        let mut client = Client::connect(at(address));
        let info = client.run("CLIENT INFO").text();
        assert!(info.contains(&format!(" laddr={} ", at(address))), "{info}");
    }
    assert!(Client::try_connect(at([127, 0, 0, 4])).is_err());
    assert_eq!(
        node.connect().run("CONFIG GET bind").field("bind").text(),
        "127.0.0.1 127.0.0.2 127.1.2.3"
    );
}

#[test]
fn ipv6_is_served() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        eprintln!("this machine has no IPv6 loopback");
        return;
    }
    let node = Start::ringfort(2).words(&["--bind", "127.0.0.1", "-::1"]).node();
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, node.port()));
    let mut clients: Vec<Client> = (0..6).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.run("INCR six").to_string().chars().next(), Some(':'));
    }
    let info = clients[0].run("CLIENT INFO").text();
    assert!(info.contains(&format!(" laddr=[::1]:{} ", node.port())), "{info}");
    assert_eq!(node.connect().run("GET six"), Reply::bulk("6"));
}

#[test]
fn an_optional_address_may_be_missing() {
    // 192.0.2.0/24 is documentation's own; no machine has it.
    let node = Start::ringfort(2).words(&["--bind", "127.0.0.1", "-192.0.2.7"]).node();
    assert_eq!(node.connect().run("PING"), Reply::Simple("PONG".into()));
}

/// An address of this machine that is not the loopback's, if there is one. Nothing is sent.
fn outer_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 7), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        std::net::IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

#[test]
fn protected_mode_turns_strangers_away() {
    let Some(outer) = outer_address() else {
        eprintln!("this machine has no address besides the loopback");
        return;
    };
    let bind = ["--bind".to_owned(), "127.0.0.1".to_owned(), outer.to_string()];
    let bind: Vec<&str> = bind.iter().map(String::as_str).collect();
    let node = Start::ringfort(2).words(&bind).node();
    let outside = SocketAddr::from((outer, node.port()));
    for _ in 0..4 {
        let mut stranger = Client::connect(outside);
        let answer = String::from_utf8_lossy(&stranger.read_to_close()).into_owned();
        assert!(answer.starts_with("-DENIED ") && answer.contains("protected mode"), "{answer}");
        assert!(answer.ends_with("\r\n"), "{answer}");
    }
    let mut client = node.connect();
    assert_eq!(client.run("CONFIG SET requirepass secret"), Reply::ok());
    let mut stranger = Client::connect(outside);
    assert_eq!(stranger.run("PING").error(), "NOAUTH Authentication required.");
    assert_eq!(stranger.run("AUTH secret"), Reply::ok());
    assert_eq!(client.run("CONFIG SET requirepass \"\" protected-mode no"), Reply::ok());
    assert_eq!(Client::connect(outside).run("PING"), Reply::Simple("PONG".into()));
}

#[test]
fn connections_are_dealt_to_all_cores() {
    let node = Node::ringfort(2);
    let mut clients: Vec<Client> = (0..6).map(|_| node.connect()).collect();
    let ids: std::collections::BTreeSet<i64> =
        clients.iter_mut().map(|client| client.run("CLIENT ID").integer()).collect();
    assert_eq!(ids.len(), 6, "an id was given twice");
    let list = clients[0].run("CLIENT LIST").text();
    assert_eq!(list.lines().count(), 6, "{list}");
    assert_eq!(node.info("connected_clients"), "7");
}
