//! One random sequence of commands to two servers, a ringfort node and Debian's redis-server: every
//! reply must be the same, and at the end the digest of the data.
//!
//! What may rightly differ is normalised and nothing else: the order of KEYS, which key RANDOMKEY
//! gives, times to live that run, and when entries of streams were delivered. A failure prints its seed, the failing prefix's length, and the
//! shortest sequence that still fails, found by leaving commands out.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use super::client::{Client, show};
use super::node::{Node, Start};
use super::random::Random;
use super::reply::Reply;
use super::stream_commands::without_times;
use super::words::{Word, words};

/// A command on one of the connections.
#[derive(Clone)]
pub struct Step {
    pub connection: usize,
    pub words: Vec<Word>,
}

pub type Generator = fn(&mut Random, usize) -> Vec<Step>;

/// Connections that a sequence may use.
pub const CONNECTIONS: usize = 2;

/// A pseudo command of this module: SCAN with these options, followed to its end.
pub const SCAN_ALL: &str = "SCAN-ALL";

/// How many commands pass between two comparisons of the digests.
const DIGEST_EVERY: usize = 500;

/// Runs `seeds` sequences of `steps` commands against one node of `shards` shards and Redis.
///
/// `RINGFORT_SEED=n` runs that one seed alone; `RINGFORT_SEEDS=n` runs so many.
pub fn compare(name: &str, shards: usize, seeds: u64, steps: usize, generator: Generator) {
    let ours = Start::ringfort(shards).node();
    let theirs = Start::redis().node();
    let number =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let range = match (number("RINGFORT_SEED"), number("RINGFORT_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 1..1 + count.unwrap_or(seeds),
    };
    for seed in range {
        let sequence = generator(&mut Random::new(seed), steps);
        if let Err(difference) = play(&ours, &theirs, &sequence) {
            panic!("{}", describe(name, shards, seed, &ours, &theirs, &sequence, difference));
        }
    }
}

struct Difference {
    /// Index of the failing step; the sequence's length where the digests differ at its end.
    step: usize,
    what: String,
    lost: bool,
}

fn play(ours: &Node, theirs: &Node, sequence: &[Step]) -> Result<(), Difference> {
    let mut their_side = Side::reset(theirs).expect("redis-server answers");
    let mut our_side = Side::reset(ours).map_err(|error| {
        let what = format!("the node is lost before the first command: {error}");
        Difference { step: 0, what, lost: true }
    })?;
    for (step, Step { connection, words }) in sequence.iter().enumerate() {
        let expected = their_side.execute(*connection, words).expect("redis-server answers");
        let got = match our_side.execute(*connection, words) {
            Ok(reply) => reply,
            Err(error) => {
                return Err(Difference { step, what: format!("no reply: {error}"), lost: true });
            }
        };
        if !same(words, &expected, &got) {
            let what = format!("expected {expected}\n       got {got}");
            return Err(Difference { step, what, lost: false });
        }
        if step + 1 == sequence.len() || (step + 1) % DIGEST_EVERY == 0 {
            let expected = their_side.digest();
            let got = our_side.digest();
            if expected != got {
                let what =
                    format!("DEBUG DIGEST differs after this: expected {expected}, got {got}");
                return Err(Difference { step, what, lost: false });
            }
        }
    }
    Ok(())
}

struct Side {
    connections: Vec<Client>,
    /// Not part of the sequence: never in a transaction, always in database 0.
    observer: Client,
}

impl Side {
    fn reset(node: &Node) -> io::Result<Side> {
        let mut observer = Client::try_connect(node.address())?;
        observer.try_call(&["FLUSHALL"])?;
        let connections = (0..CONNECTIONS).map(|_| Client::try_connect(node.address()));
        Ok(Side { connections: connections.collect::<io::Result<_>>()?, observer })
    }

    fn execute(&mut self, connection: usize, words: &[Word]) -> io::Result<Reply> {
        let client = &mut self.connections[connection];
        if words[0] != SCAN_ALL.as_bytes() {
            return client.try_call(words);
        }
        let mut found = Vec::new();
        let mut cursor = b"0".to_vec();
        loop {
            let mut call = words![b"SCAN".as_slice(), cursor.as_slice()];
            call.extend_from_slice(&words[1..]);
            let reply = client.try_call(&call)?;
            let Reply::Array(parts) = &reply else {
                return Ok(reply);
            };
            found.extend_from_slice(parts[1].members());
            cursor = parts[0].text().into_bytes();
            if cursor == b"0" {
                found.sort();
                found.dedup();
                return Ok(Reply::Array(found));
            }
        }
    }

    fn digest(&mut self) -> Reply {
        self.observer.run("DEBUG DIGEST")
    }
}

fn same(words: &[Word], expected: &Reply, got: &Reply) -> bool {
    let name = words[0].to_ascii_uppercase();
    match (name.as_slice(), expected, got) {
        (b"KEYS", Reply::Array(expected), Reply::Array(got)) => sorted(expected) == sorted(got),
        (b"RANDOMKEY", Reply::Bulk(_), Reply::Bulk(_)) => true,
        // Large hashes are in each server's own order.
        (b"HKEYS" | b"HVALS", Reply::Array(expected), Reply::Array(got)) => {
            sorted(expected) == sorted(got)
        }
        (b"HGETALL", Reply::Array(expected), Reply::Array(got)) => {
            sorted_pairs(expected) == sorted_pairs(got)
        }
        (b"HSCAN", Reply::Array(expected), Reply::Array(got)) => {
            expected[0] == got[0]
                && sorted_pairs(expected[1].members()) == sorted_pairs(got[1].members())
        }
        // So are sets.
        (
            b"SMEMBERS" | b"SINTER" | b"SUNION" | b"SDIFF" | b"SPOP" | b"SRANDMEMBER",
            Reply::Array(expected),
            Reply::Array(got),
        ) => sorted(expected) == sorted(got),
        (b"SSCAN", Reply::Array(expected), Reply::Array(got)) => {
            expected[0] == got[0] && sorted(expected[1].members()) == sorted(got[1].members())
        }
        (b"HRANDFIELD", Reply::Bulk(_), Reply::Bulk(_)) => true,
        (b"HRANDFIELD", Reply::Array(expected), Reply::Array(got)) => expected.len() == got.len(),
        (b"TTL" | b"PTTL", Reply::Integer(expected), Reply::Integer(got)) => near(*expected, *got),
        // Absolute times of the far future are compared exactly; those that a relative time to live
        // made lie within a year of now.
        (b"EXPIRETIME" | b"PEXPIRETIME", Reply::Integer(expected), Reply::Integer(got)) => {
            let unit = if name[0] == b'P' { 1 } else { 1000 };
            let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
            let soon = expected.saturating_mul(unit) < now_ms + 366 * 86_400_000;
            if soon { near(*expected, *got) } else { expected == got }
        }
        (b"XINFO" | b"XPENDING", ..) => without_times(expected) == without_times(got),
        _ => expected == got,
    }
}

fn sorted(members: &[Reply]) -> Vec<Reply> {
    let mut members = members.to_vec();
    members.sort();
    members
}

/// Fields with their values.
fn sorted_pairs(members: &[Reply]) -> Vec<&[Reply]> {
    let mut pairs: Vec<&[Reply]> = members.chunks(2).collect();
    pairs.sort();
    pairs
}

/// Equal up to what passes between two servers' clocks, in seconds or milliseconds; -1 and -2 exactly.
fn near(expected: i64, got: i64) -> bool {
    if expected < 0 || got < 0 {
        expected == got
    } else {
        (expected - got).abs() <= 5000.min(expected / 100)
    }
}

fn describe(
    name: &str,
    shards: usize,
    seed: u64,
    ours: &Node,
    theirs: &Node,
    sequence: &[Step],
    difference: Difference,
) -> String {
    let mut text = format!(
        "{name}, {shards} shards, RINGFORT_SEED={seed}: step {} differs\n{}\n       {}\n",
        difference.step,
        show(&sequence[difference.step].words),
        difference.what
    );
    let failing = &sequence[..=difference.step];
    // A node that no longer answers cannot be asked again: show what led there.
    let short = if difference.lost {
        failing[failing.len().saturating_sub(20)..].to_vec()
    } else {
        shrink(ours, theirs, failing)
    };
    text.push_str(&format!("shortest sequence found ({} commands):\n", short.len()));
    for step in &short {
        let line: String = show(&step.words).chars().take(400).collect();
        text.push_str(&format!("  {}> {line}\n", step.connection));
    }
    if let Err(again) = play(ours, theirs, &short) {
        text.push_str(&format!("       {}\n", again.what));
    }
    text
}

/// Leaves out ever smaller runs of commands as long as the rest still differs (Zeller's delta
/// debugging, without its second half), within a bounded number of tries.
fn shrink(ours: &Node, theirs: &Node, failing: &[Step]) -> Vec<Step> {
    let mut sequence = failing.to_vec();
    let mut run = sequence.len() / 2;
    let mut tries = 0;
    while run > 0 && tries < 600 {
        let mut start = 0;
        let mut shorter = false;
        while start + run < sequence.len() && tries < 600 {
            tries += 1;
            let mut candidate = sequence.clone();
            candidate.drain(start..start + run);
            match play(ours, theirs, &candidate) {
                Err(difference) if !difference.lost => {
                    candidate.truncate(difference.step + 1);
                    sequence = candidate;
                    shorter = true;
                }
                _ => start += run,
            }
        }
        if !shorter || run > 1 {
            run /= 2;
        }
    }
    sequence
}

/// Collects steps, with the common noise: which connection, database changes, transactions.
pub struct Script {
    steps: Vec<Step>,
    in_transaction: [bool; CONNECTIONS],
}

impl Script {
    pub fn new() -> Script {
        Script { steps: Vec::new(), in_transaction: [false; CONNECTIONS] }
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn push(&mut self, connection: usize, words: Vec<Word>) {
        match words[0].to_ascii_uppercase().as_slice() {
            b"MULTI" => self.in_transaction[connection] = true,
            b"EXEC" | b"DISCARD" | b"RESET" => self.in_transaction[connection] = false,
            _ => {}
        }
        self.steps.push(Step { connection, words });
    }

    /// Whether a command on this connection may only be queued.
    pub fn queues(&self, connection: usize) -> bool {
        self.in_transaction[connection]
    }

    /// Ends with every transaction closed.
    pub fn finish(mut self) -> Vec<Step> {
        for connection in 0..CONNECTIONS {
            if self.queues(connection) {
                self.push(connection, words!["EXEC"]);
            }
        }
        self.steps
    }
}
