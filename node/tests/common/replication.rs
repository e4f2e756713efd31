//! Primaries and replicas: starting them, waiting for a link, comparing what both ends hold, and a
//! writer of random commands in a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::bit_commands::bits;
use super::client::{Client, frame, show};
use super::hash_commands::hashes;
use super::key_commands::{keys, transactions};
use super::list_commands::lists;
use super::node::{Node, Start, eventually, info_field};
use super::random::Random;
use super::reply::Reply;
use super::set_commands::set_writes;
use super::sorted_set_commands::sorted_set_writes;
use super::stream_commands::streams;
use super::string_commands::strings;
use super::words::{Word, value, words};

/// Which server plays a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The binary under test with so many shards.
    Ours(usize),
    /// Debian's redis-server.
    Redis,
}

impl Server {
    /// Without the delay in which a primary waits for more replicas before it sends a snapshot.
    pub fn start(self) -> Start {
        let start = match self {
            Server::Ours(shards) => Start::ringfort(shards),
            Server::Redis => Start::redis(),
        };
        start.option("--repl-diskless-sync-delay", "0")
    }

    pub fn node(self) -> Node {
        self.start().node()
    }
}

pub fn follow(replica: &Node, primary: &Node) {
    follow_port(replica, primary.port());
}

pub fn follow_port(replica: &Node, port: u16) {
    let reply = replica.connect().call(&["REPLICAOF", "127.0.0.1", &port.to_string()]);
    assert_eq!(reply, Reply::ok(), "REPLICAOF");
}

/// A replica of `primary` whose link is up.
pub fn replica_of(primary: &Node, kind: Server) -> Node {
    let replica = kind.node();
    follow(&replica, primary);
    wait_for_link(&replica);
    replica
}

pub fn promote(node: &Node) {
    assert_eq!(node.connect().run("REPLICAOF NO ONE"), Reply::ok());
}

pub fn config_set(node: &Node, name: &str, value: &str) {
    assert_eq!(node.connect().call(&["CONFIG", "SET", name, value]), Reply::ok(), "{name}");
}

/// A numeric field of INFO.
pub fn number(node: &Node, field: &str) -> i64 {
    let text = node.info(field);
    text.parse().unwrap_or_else(|_| panic!("{field}:{text}"))
}

/// A field of `INFO replication`, empty where it is not given.
pub fn replication_field(client: &mut Client, field: &str) -> String {
    let info = client.run("INFO replication").text();
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_default().to_owned()
}

/// Full syncs, partial ones, and refused partial ones that a primary has served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syncs {
    pub full: i64,
    pub partial: i64,
    pub refused: i64,
}

pub fn syncs(node: &Node) -> Syncs {
    Syncs {
        full: number(node, "sync_full"),
        partial: number(node, "sync_partial_ok"),
        refused: number(node, "sync_partial_err"),
    }
}

pub fn link_is_up(replica: &Node) -> bool {
    replication_field(&mut replica.connect(), "master_link_status") == "up"
}

pub fn wait_for_link(replica: &Node) {
    eventually("the link to the primary comes up", || link_is_up(replica).then_some(()));
}

pub fn wait_for_link_down(replica: &Node) {
    eventually("the link to the primary goes down", || {
        let status = replication_field(&mut replica.connect(), "master_link_status");
        (status == "down").then_some(())
    });
}

/// How much of the stream a node has written, or as a replica has applied.
pub fn offset(node: &Node) -> i64 {
    number(node, "master_repl_offset")
}

/// Returns when the link is up and the replica has applied all that its primary has written. Nobody
/// may write meanwhile.
pub fn wait_until_caught_up(primary: &Node, replica: &Node) {
    let (mut primary, mut replica) = (primary.connect(), replica.connect());
    eventually("the replica catches up", || {
        let up = replication_field(&mut replica, "master_link_status") == "up";
        let applied = replication_field(&mut replica, "master_repl_offset");
        let written = replication_field(&mut primary, "master_repl_offset");
        (up && applied == written).then_some(())
    });
}

/// Waits until every replica (or replica of a replica) has caught up, then compares the data of all.
pub fn assert_same_data(nodes: &[&Node]) {
    let (primary, replicas) = nodes.split_first().expect("a primary and its replicas");
    for replica in replicas {
        wait_until_caught_up(primary, replica);
        // A key that expires between two questions is a difference that passes.
        let start = Instant::now();
        loop {
            let (ours, theirs) = (digest(primary), digest(replica));
            if ours == theirs {
                break;
            }
            if start.elapsed() > Duration::from_secs(5) {
                panic!(
                    "DEBUG DIGEST {ours} on the primary, {theirs} on the replica:\n{}",
                    differences(primary, replica)
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

pub fn digest(node: &Node) -> String {
    node.connect().run("DEBUG DIGEST").text()
}

/// Digest of a server without data.
pub const EMPTY_DIGEST: &str = "0000000000000000000000000000000000000000";

/// What differs between two nodes, for a failure's message: some keys with value and expiry.
fn differences(primary: &Node, replica: &Node) -> String {
    let mut clients = [primary.connect(), replica.connect()];
    let mut text = String::new();
    for database in 0..16 {
        let mut keys = Vec::new();
        for client in &mut clients {
            client.call(&["SELECT", &database.to_string()]);
            keys.extend(client.run("KEYS *").members().to_vec());
        }
        keys.sort();
        keys.dedup();
        for key in keys {
            let Reply::Bulk(key) = key else { continue };
            let [ours, theirs] = clients.each_mut().map(|client| {
                let value = client.call(&[b"GET", key.as_slice()]).to_string();
                let expiry = client.call(&[b"PEXPIRETIME", key.as_slice()]);
                let start: String = value.chars().take(100).collect();
                (value.len(), format!("{start} expires {expiry}"), value)
            });
            if ours != theirs && text.lines().count() < 30 {
                let key = show(&[key]);
                text.push_str(&format!(
                    "  database {database}, key {key}\n    primary {} {}\n    replica {} {}\n",
                    ours.0, ours.1, theirs.0, theirs.1
                ));
            }
        }
    }
    text
}

/// Writes random commands to a node until it is stopped: strings, bits, keys, lists, several databases,
/// transactions, keys that expire soon, and keys enough that a snapshot takes a moment.
pub struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Keys that expire within the test.
const SHORT_LIVED: usize = 50;

impl Writer {
    pub fn start(node: &Node, seed: u64) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let thread = {
            let (stop, written) = (Arc::clone(&stop), Arc::clone(&written));
            let clients = [node.connect(), node.connect(), node.connect()];
            let authority = node.address();
            thread::spawn(move || {
                write(clients, seed, &stop, &written);
                forget_short_lived(&mut Client::connect(authority));
            })
        };
        Writer { stop, written, thread: Some(thread) }
    }

    /// Waits until `count` more commands have been answered.
    pub fn wait_for_more(&self, count: u64) {
        let from = self.written.load(Ordering::Relaxed);
        eventually("random commands are answered", || {
            let thread = self.thread.as_ref().expect("it runs until it is stopped");
            assert!(!thread.is_finished(), "the writer has failed");
            (self.written.load(Ordering::Relaxed) >= from + count).then_some(())
        });
    }

    /// Ends when the last commands have been answered and no short-lived key is left.
    pub fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it runs until it is stopped");
        thread.join().expect("the writer's commands are answered");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn write(mut clients: [Client; 3], seed: u64, stop: &AtomicBool, written: &AtomicU64) {
    let mut random = Random::new(seed);
    clients[2].run("SELECT 9");
    while !stop.load(Ordering::Relaxed) {
        let generator = *random.pick(&[
            strings,
            bits,
            keys,
            lists,
            hashes,
            set_writes,
            sorted_set_writes,
            streams,
            transactions,
        ]);
        let mut sent: [Vec<Vec<Word>>; 3] = Default::default();
        for step in generator(&mut random, 60) {
            let name = step.words[0].to_ascii_uppercase();
            // Of a BITFIELD whose writes all fail Redis tells its replicas nothing, though the string may have grown.
            let fails = |word: &Word| word.eq_ignore_ascii_case(b"FAIL");
            let differs = name == b"BITFIELD" && step.words.iter().any(fails);
            // SCAN-ALL is no command; FLUSHALL often would leave nothing to compare.
            if name != b"SCAN-ALL" && (name != b"FLUSHALL" || random.one_in(20)) && !differs {
                sent[step.connection].push(step.words);
            }
        }
        for _ in 0..20 {
            sent[2].push(match random.below(10) {
                0 => {
                    let key = format!("short:{}", random.below(SHORT_LIVED));
                    words![b"SET".to_vec(), key, value(&mut random), "PX", "40"]
                }
                1 => words!["INCR", format!("count:{}", random.below(100))],
                _ => {
                    let key = format!("bulk:{}", random.below(5000));
                    words![b"SET".to_vec(), key, value(&mut random)]
                }
            });
        }
        for (client, commands) in clients.iter_mut().zip(&sent) {
            let bytes: Vec<u8> = commands.iter().flat_map(|words| frame(words)).collect();
            client.send(&bytes);
        }
        for (client, commands) in clients.iter_mut().zip(&sent) {
            for words in commands {
                let reply = client.try_read();
                let reply = reply.unwrap_or_else(|error| panic!("{}: {error}", show(words)));
                if let Reply::Error(text) = &reply {
                    let refused = ["READONLY", "MISCONF", "LOADING", "NOREPLICAS"];
                    let refused = refused.iter().any(|start| text.starts_with(start));
                    assert!(!refused, "{}: {text}", show(words));
                }
            }
            written.fetch_add(commands.len() as u64, Ordering::Relaxed);
        }
    }
}

/// Asks for the short-lived keys until all have expired, which deletes them: a server may leave an
/// expired key that nobody asks for where it is, and the two ends may count it differently.
fn forget_short_lived(client: &mut Client) {
    let keys: Vec<String> = (0..SHORT_LIVED).map(|number| format!("short:{number}")).collect();
    let mut exists = vec!["EXISTS"];
    exists.extend(keys.iter().map(String::as_str));
    eventually("short-lived keys expire", || {
        let left = (0..16).map(|database| {
            client.call(&["SELECT", &database.to_string()]);
            client.call(&exists).integer()
        });
        (left.sum::<i64>() == 0).then_some(())
    });
}

/// Data with something of everything: several databases, integers, binary keys, expiries far away,
/// and a value of 5 MB.
pub fn fill(node: &Node) {
    let mut client = node.connect();
    let mut random = Random::new(7);
    let mut large = vec![b'z'; 5 << 20];
    for byte in large.iter_mut().step_by(3) {
        *byte = random.next() as u8;
    }
    let mut commands = vec![
        words![b"SET".as_slice(), b"large", &large],
        words![b"SET".as_slice(), b"\0\r\n\xff\"binary", b"\0\x01\x02\r\n"],
        words!["SET", "", "the empty key"],
        words!["SET", "empty value", ""],
        words!["SET", "compressible", "ab".repeat(3000)],
        words!["SET", "far expiry", "x", "PXAT", "32503680000123"],
        words!["SET", "expiry in seconds", "x", "EXAT", "32503680000"],
        words!["SET", "expired long ago soon", "x", "PX", "1"],
    ];
    let integers = ["0", "-1", "127", "-128", "128", "32767", "-32769", "2147483647"];
    let larger = ["2147483648", "-2147483649", "9223372036854775807", "-9223372036854775808"];
    for (number, integer) in integers.iter().chain(&larger).enumerate() {
        commands.push(words![b"SET".to_vec(), format!("integer:{number}"), integer]);
    }
    for (key, members) in [("few places", 20), ("many places", 1000)] {
        for number in 0..members {
            let score = (number * 7919 % 1000).to_string();
            commands.push(words!["ZADD", key, score, format!("place:{number}")]);
        }
    }
    for database in ["1", "2", "9", "15"] {
        commands.push(words!["SELECT", database]);
        for number in 0..500 {
            let key = format!("{database}:{number}");
            commands.push(words![b"SET".to_vec(), key, value(&mut random)]);
        }
    }
    for reply in client.pipeline(&commands) {
        assert!(!reply.is_error(), "{reply}");
    }
    client.run("SELECT 0");
    eventually("a key expires", || {
        let left = client.run("EXISTS \"expired long ago soon\"").integer();
        (left == 0).then_some(())
    });
}

/// A field of INFO over the connection given, as a number.
pub fn number_over(client: &mut Client, field: &str) -> i64 {
    let text = info_field(client, field);
    text.parse().unwrap_or_else(|_| panic!("{field}:{text}"))
}

/// The pairs of primary and replica that every behaviour must hold for.
pub const PAIRS: [(Server, Server); 3] = [
    (Server::Redis, Server::Ours(2)),
    (Server::Ours(2), Server::Redis),
    (Server::Ours(4), Server::Ours(1)),
];

/// Stops a process without ending it, until this value goes: its sockets stay open and silent.
pub struct Stopped {
    pid: u32,
}

impl Stopped {
    pub fn stop(node: &Node) -> Stopped {
        signal(node.pid(), "STOP");
        // One thread takes the signal and stops the others, which on a busy machine go on for some milliseconds.
        eventually("all threads stop", || has_stopped(node.pid()).then_some(()));
        Stopped { pid: node.pid() }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal(self.pid, "CONT");
    }
}

fn has_stopped(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("list a process's threads");
    threads.flatten().all(|thread| {
        // A thread that has ended meanwhile does nothing either.
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with('T'))
    })
}

fn signal(pid: u32, name: &str) {
    let kill = format!("kill -{name} {pid}");
    let status = std::process::Command::new("sh").args(["-c", &kill]).status().expect("run sh");
    assert!(status.success(), "{kill}");
}

/// Writes about so many bytes to a node that nobody else writes to.
pub fn write_bytes(node: &Node, bytes: usize) {
    let mut client = node.connect();
    let value = vec![b'v'; 50_000];
    for number in 0..bytes / value.len() {
        let key = format!("many bytes:{}", number % 20);
        let reply = client.call(&[b"SET", key.as_bytes(), value.as_slice()]);
        assert_eq!(reply, Reply::ok());
    }
}
