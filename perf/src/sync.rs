//! What a full sync costs the primary, and what a live replica costs after it.
//!
//! In every round each server kind is started afresh: the primary on the server CPU, filled with values that
//! do not compress, and an empty replica of the same kind on the other CPU, which it shares with a writer (one
//! connection that overwrites random keys as fast as it is answered) and a probe (a GET every millisecond).
//! First both run for a while without a replica, then while the snapshot is taken, sent and loaded; the writer
//! stops when the link is up, and the replica catches up. The kinds take turns, the order turns with the rounds.
//!
//! See `probe.rs` for what the probe measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Reply, encode_command, info_field};
use crate::error::Failure;
use crate::generator::{self, Random};
use crate::keys::{KeyShape, fill};
use crate::machine::{self, Machine};
use crate::probe::{Latencies, Probe};
use crate::process::{settled_pss_bytes, tree_cpu_ns, tree_pss_bytes};
use crate::server::{Program, Server};
use crate::tools::{Load, Verb};
use crate::worker::Worker;

/// What is measured; each can be asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Time, memory, latency and throughput of a full sync.
    FullSync,
    /// CPU of a primary per write, without and with a replica.
    Stream,
    /// Memory of a primary's log with one replica and with ten.
    Log,
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub parts: Vec<Part>,
    pub rounds: usize,
    /// Bytes of values in the primary of a full sync.
    pub data_bytes: u64,
    pub value_bytes: usize,
    /// How long the load without a replica is measured, and one measurement of the stream.
    pub seconds: f64,
    pub server_cpu: usize,
    pub load_cpu: usize,
    /// Appended to ringfort's command line.
    pub ringfort_arguments: Vec<String>,
}

/// Keys, connections, pipeline and value of the load whose CPU per write is measured.
pub const STREAM_LOAD: Load =
    Load { verb: Verb::Set, pipeline: 16, connections: 50, value_bytes: 64, keys: 1_000_000 };
/// Backlog of the primaries whose log is measured, and how much is written through it.
pub const LOG_BACKLOG_BYTES: u64 = 64 << 20;
const LOG_WRITTEN_BYTES: u64 = 4 * LOG_BACKLOG_BYTES;
pub const WRITER_PIPELINE: usize = 16;

const SYNC_MAX: Duration = Duration::from_secs(600);
/// A look at a process's memory holds up its page faults, so it is not taken more often.
const MEMORY_EVERY: Duration = Duration::from_millis(250);

/// A figure of the report: what it is called, and which end of it is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    pub part: Part,
    pub name: &'static str,
    pub digits: usize,
    pub better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

macro_rules! figures {
    ($($constant:ident = $part:ident, $name:literal, $digits:literal, $better:ident;)*) => {
        $(const $constant: Figure =
            Figure { part: Part::$part, name: $name, digits: $digits, better: Better::$better };)*
        /// All figures, in the order of the report.
        pub const FIGURES: &[Figure] = &[$($constant),*];
    };
}

figures! {
    LINK_UP = FullSync, "link up after, s", 2, Less;
    CAUGHT_UP = FullSync, "caught up after, s", 2, Less;
    PEAK = FullSync, "peak memory of primary over before, of data", 3, Less;
    PEAK_WITHOUT_LOG = FullSync, "the same without its log", 3, Less;
    LOG_PEAK = FullSync, "log at its peak, MiB", 0, Less;
    CPU = FullSync, "CPU of primary, s", 2, Less;
    PROBE_P50_BEFORE = FullSync, "GET p50 before, µs", 0, Less;
    PROBE_P50 = FullSync, "GET p50 during, µs", 0, Less;
    PROBE_P99_BEFORE = FullSync, "GET p99 before, µs", 0, Less;
    PROBE_P99 = FullSync, "GET p99 during, µs", 0, Less;
    PROBE_MAX_BEFORE = FullSync, "GET longest before, ms", 1, Less;
    PROBE_MAX = FullSync, "GET longest during, ms", 1, Less;
    IN_HAND_P99_BEFORE = FullSync, "GET p99 in the client's hand before, µs", 0, Less;
    IN_HAND_P99 = FullSync, "GET p99 in the client's hand during, µs", 0, Less;
    WRITES_BEFORE = FullSync, "SETs/s before, thousands", 1, More;
    WRITES = FullSync, "SETs/s during, thousands", 1, More;
    STREAM_ALONE = Stream, "CPU per SET alone, µs", 3, Less;
    STREAM_REPLICA = Stream, "CPU per SET with a replica, µs", 3, Less;
    STREAM_RATIO = Stream, "with a replica to alone, ×", 3, Less;
    LOG_ONE = Log, "replication buffers with 1 replica, MiB", 1, Less;
    LOG_TEN = Log, "replication buffers with 10 replicas, MiB", 1, Less;
    BACKLOG_ONE = Log, "backlog with 1 replica, MiB", 1, Less;
    BACKLOG_TEN = Log, "backlog with 10 replicas, MiB", 1, Less;
    PSS_ONE = Log, "memory of primary with 1 replica, MiB", 1, Less;
    PSS_TEN = Log, "memory of primary with 10 replicas, MiB", 1, Less;
}

#[derive(Clone, Debug)]
pub struct Sample {
    /// Index in [`Results::servers`].
    pub server: usize,
    pub round: usize,
    pub figure: Figure,
    pub value: f64,
}

#[derive(Clone, Debug)]
pub struct ServerFacts {
    pub name: String,
    pub version: String,
    pub command_lines: Vec<String>,
    pub is_subject: bool,
}

/// Everything that the report says.
#[derive(Clone, Debug)]
pub struct Results {
    pub date: String,
    pub machine: Machine,
    pub plan: Plan,
    pub servers: Vec<ServerFacts>,
    pub samples: Vec<Sample>,
    pub failures: Vec<String>,
}

/// `subject` first, if it takes part.
pub fn run(plan: &Plan, subject: Option<&Program>, peers: &[Program]) -> Result<Results, Failure> {
    let machine = Machine::describe();
    machine::pin_to(&[plan.load_cpu])?;
    let programs: Vec<&Program> = subject.into_iter().chain(peers).collect();
    let mut results = Results {
        date: machine::today(),
        machine,
        plan: plan.clone(),
        servers: Vec::new(),
        samples: Vec::new(),
        failures: Vec::new(),
    };
    for (index, program) in programs.iter().enumerate() {
        let server = Server::start(program, &[plan.server_cpu], &[])?;
        results.servers.push(ServerFacts {
            name: server.name.clone(),
            version: server.version.clone(),
            command_lines: Vec::new(),
            is_subject: index == 0 && subject.is_some(),
        });
    }
    for part in &plan.parts {
        for round in 0..plan.rounds {
            for turn in 0..programs.len() {
                let server = (turn + round) % programs.len();
                let what = format!("round {}, {part:?}, {}", round + 1, programs[server].name);
                let mut one = Measurement {
                    plan,
                    program: programs[server],
                    command_lines: Vec::new(),
                    values: Vec::new(),
                };
                let done = match part {
                    Part::FullSync => one.full_sync(),
                    Part::Stream => one.stream(),
                    Part::Log => one.log(),
                };
                let facts = &mut results.servers[server];
                for line in one.command_lines {
                    if !facts.command_lines.contains(&line) {
                        facts.command_lines.push(line);
                    }
                }
                match done {
                    Ok(()) => {
                        for (figure, value) in one.values {
                            eprintln!("  {what}: {} {value:.3}", figure.name);
                            results.samples.push(Sample { server, round, figure, value });
                        }
                    }
                    Err(failure) => {
                        eprintln!("  FAILED {what}: {failure}");
                        results.failures.push(format!("{what}: {failure}"));
                    }
                }
            }
        }
    }
    Ok(results)
}

/// One part with one server kind in one round.
struct Measurement<'a> {
    plan: &'a Plan,
    program: &'a Program,
    command_lines: Vec<String>,
    values: Vec<(Figure, f64)>,
}

impl Measurement<'_> {
    /// Without a limit on a replica's share of the log: at full rate a replica that still loads would be cut
    /// off again and again, and nothing could be compared.
    fn start(&mut self, cpu: usize, options: &[&str]) -> Result<Server, Failure> {
        let mut arguments = vec![
            "--repl-diskless-sync",
            "yes",
            "--repl-diskless-sync-delay",
            "0",
            "--repl-diskless-load",
            "swapdb",
            "--client-output-buffer-limit",
            "replica 0 0 0",
        ];
        if self.program.is_ringfort {
            arguments.extend(["--shards", "1"]);
            arguments.extend(self.plan.ringfort_arguments.iter().map(String::as_str));
        }
        arguments.extend(options);
        let server = Server::start(self.program, &[cpu], &arguments)?;
        self.command_lines.push(server.command_line.clone());
        Ok(server)
    }

    fn give(&mut self, figure: Figure, value: f64) {
        self.values.push((figure, value));
    }

    fn full_sync(&mut self) -> Result<(), Failure> {
        let primary = self.start(self.plan.server_cpu, &[])?;
        let values = Values::new(self.plan.value_bytes);
        let keys = self.plan.data_bytes / self.plan.value_bytes as u64;
        fill_randomly(&primary, keys, &values)?;
        let replica = self.start(self.plan.load_cpu, &[])?;
        let data_bytes = (keys * (self.plan.value_bytes as u64 + 16)) as f64;

        let writer = Writer::start(&primary, keys, values)?;
        let probe = Probe::start(&primary, keys)?;
        let window = Duration::from_secs_f64(self.plan.seconds);
        thread::sleep(window / 4);
        probe.take();
        let from = writer.written();
        let began = Instant::now();
        thread::sleep(window);
        let before = probe.take();
        self.give(WRITES_BEFORE, rate(writer.written() - from, began) / 1_000.0);

        let pss_before = tree_pss_bytes(primary.pid)?;
        let memory = MemoryWatch::start(&primary)?;
        probe.take();
        let cpu_before = tree_cpu_ns(primary.pid)?;
        let from = writer.written();
        let began = Instant::now();
        replicate(&replica, &primary)?;
        wait_for_link(&replica, began)?;
        self.give(LINK_UP, began.elapsed().as_secs_f64());
        self.give(WRITES, rate(writer.written() - from, began) / 1_000.0);
        let during = probe.take();
        writer.stop()?;
        probe.stop()?;
        wait_until_caught_up(&primary, &replica, began)?;
        self.give(CAUGHT_UP, began.elapsed().as_secs_f64());
        let cpu_ns = tree_cpu_ns(primary.pid)?.saturating_sub(cpu_before);
        self.give(CPU, cpu_ns as f64 / 1e9);
        let peak = memory.stop()?;
        let over = |bytes: u64| bytes.saturating_sub(pss_before) as f64 / data_bytes;
        self.give(PEAK, over(peak.pss_bytes));
        self.give(PEAK_WITHOUT_LOG, over(peak.pss_without_log_bytes));
        self.give(LOG_PEAK, mebibytes(peak.log_bytes));
        for (times, p50, p99, max, p99_in_hand) in [
            (before, PROBE_P50_BEFORE, PROBE_P99_BEFORE, PROBE_MAX_BEFORE, IN_HAND_P99_BEFORE),
            (during, PROBE_P50, PROBE_P99, PROBE_MAX, IN_HAND_P99),
        ] {
            let never = || Failure::Setup("the probe was never answered".to_owned());
            let latencies = Latencies::of(times.in_socket).ok_or_else(never)?;
            self.give(p50, latencies.p50_us);
            self.give(p99, latencies.p99_us);
            self.give(max, latencies.max_us / 1_000.0);
            self.give(p99_in_hand, Latencies::of(times.in_hand).ok_or_else(never)?.p99_us);
        }
        // The replica first: a primary waits for it when it is to stop.
        drop(replica);
        Ok(())
    }

    fn stream(&mut self) -> Result<(), Failure> {
        let primary = self.start(self.plan.server_cpu, &[])?;
        fill(
            &mut primary.client()?,
            KeyShape::Benchmark,
            STREAM_LOAD.keys,
            STREAM_LOAD.value_bytes,
        )?;
        let window = Duration::from_secs_f64(self.plan.seconds);
        let per_write = || -> Result<f64, Failure> {
            let measured =
                generator::run(&STREAM_LOAD, primary.port, Some(primary.pid), window / 4, window)?;
            Ok(measured.cpu_us_per_request.unwrap_or(f64::NAN))
        };
        let alone = per_write()?;
        let replica = self.start(self.plan.load_cpu, &[])?;
        let began = Instant::now();
        replicate(&replica, &primary)?;
        wait_for_link(&replica, began)?;
        wait_until_caught_up(&primary, &replica, began)?;
        let with_replica = per_write()?;
        wait_until_caught_up(&primary, &replica, Instant::now())?;
        self.give(STREAM_ALONE, alone);
        self.give(STREAM_REPLICA, with_replica);
        self.give(STREAM_RATIO, with_replica / alone);
        drop(replica);
        Ok(())
    }

    fn log(&mut self) -> Result<(), Failure> {
        let backlog = LOG_BACKLOG_BYTES.to_string();
        for (count, buffers, backlog_memory, pss) in
            [(1, LOG_ONE, BACKLOG_ONE, PSS_ONE), (10, LOG_TEN, BACKLOG_TEN, PSS_TEN)]
        {
            let primary = self.start(self.plan.server_cpu, &["--repl-backlog-size", &backlog])?;
            let mut replicas = Vec::new();
            for _ in 0..count {
                let replica = self.start(self.plan.load_cpu, &[])?;
                let began = Instant::now();
                replicate(&replica, &primary)?;
                wait_for_link(&replica, began)?;
                replicas.push(replica);
            }
            let values = Values::new(self.plan.value_bytes);
            let mut client = primary.client()?;
            let mut random = Random::new(3);
            let batch = 500;
            for _ in 0..LOG_WRITTEN_BYTES / (batch * self.plan.value_bytes as u64) {
                set_batch(&mut client, &values, &mut random, batch, |random| random.below(1000))?;
            }
            for replica in &replicas {
                wait_until_caught_up(&primary, replica, Instant::now())?;
            }
            let info = client.info("memory")?;
            let field = |name: &str| info_field(&info, name).and_then(|text| text.parse().ok());
            self.give(buffers, field("mem_total_replication_buffers").map_or(f64::NAN, mebibytes));
            self.give(backlog_memory, field("mem_replication_backlog").map_or(f64::NAN, mebibytes));
            let quiet = Duration::from_millis(500);
            let settled = settled_pss_bytes(primary.pid, quiet, Duration::from_secs(5))?;
            self.give(pss, mebibytes(settled));
            drop(replicas);
        }
        Ok(())
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn rate(count: u64, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

fn replicate(replica: &Server, primary: &Server) -> Result<(), Failure> {
    let port = primary.port.to_string();
    let reply = replica
        .client()?
        .command(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()])
        .map_err(Failure::io("sending REPLICAOF"))?;
    match reply {
        Reply::Simple(_) => Ok(()),
        other => Err(Failure::server(&replica.name, format!("REPLICAOF answered {other:?}"))),
    }
}

fn wait_for_link(replica: &Server, began: Instant) -> Result<(), Failure> {
    let mut client = replica.client()?;
    while info_field(&client.info("replication")?, "master_link_status") != Some("up") {
        if began.elapsed() > SYNC_MAX {
            return Err(Failure::server(&replica.name, "the link did not come up"));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn wait_until_caught_up(primary: &Server, replica: &Server, began: Instant) -> Result<(), Failure> {
    let (mut there, mut here) = (primary.client()?, replica.client()?);
    loop {
        let written = there.info("replication")?;
        let applied = here.info("replication")?;
        let offset = |info: &str| info_field(info, "master_repl_offset").map(str::to_owned);
        if offset(&written).is_some() && offset(&written) == offset(&applied) {
            return Ok(());
        }
        if began.elapsed() > SYNC_MAX {
            return Err(Failure::server(&replica.name, "the replica did not catch up"));
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Values that no server can compress: windows of random bytes.
struct Values {
    bytes: Vec<u8>,
    length: usize,
}

impl Values {
    fn new(length: usize) -> Values {
        let mut random = Random::new(5);
        let bytes = (0..(4 << 20) + length).map(|_| random.below(256) as u8).collect();
        Values { bytes, length }
    }

    fn pick(&self, random: &mut Random) -> &[u8] {
        let at = random.below((self.bytes.len() - self.length) as u64) as usize;
        &self.bytes[at..at + self.length]
    }
}

/// Sets as many keys as `count`, whose numbers `number` gives, and waits for the answers.
fn set_batch(
    client: &mut Client,
    values: &Values,
    random: &mut Random,
    count: u64,
    mut number: impl FnMut(&mut Random) -> u64,
) -> Result<(), Failure> {
    let mut request = Vec::with_capacity(count as usize * (values.length + 64));
    let mut key = Vec::new();
    for _ in 0..count {
        key.clear();
        KeyShape::Benchmark.write(number(random), &mut key);
        encode_command(&mut request, &[b"SET", &key, values.pick(random)]);
    }
    client.send(&request).map_err(Failure::io("writing keys"))?;
    for _ in 0..count {
        match client.reply().map_err(Failure::io("writing keys"))? {
            Reply::Simple(text) if text == "OK" => {}
            other => return Err(Failure::Setup(format!("SET answered {other:?}"))),
        }
    }
    Ok(())
}

fn fill_randomly(server: &Server, keys: u64, values: &Values) -> Result<(), Failure> {
    let mut client = server.client()?;
    let mut random = Random::new(11);
    let mut next = 0;
    while next < keys {
        let count = 200.min(keys - next);
        set_batch(&mut client, values, &mut random, count, |_| {
            next += 1;
            next - 1
        })?;
    }
    Ok(())
}

/// One connection that overwrites random keys as fast as it is answered.
struct Writer {
    worker: Worker<()>,
    written: Arc<AtomicU64>,
}

impl Writer {
    fn start(server: &Server, keys: u64, values: Values) -> Result<Writer, Failure> {
        let mut client = server.client()?;
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let worker = Worker::start(move |stop| {
            let mut random = Random::new(17);
            let count = WRITER_PIPELINE as u64;
            while !stop.load(Ordering::Relaxed) {
                set_batch(&mut client, &values, &mut random, count, |random| random.below(keys))?;
                counter.fetch_add(count, Ordering::Relaxed);
            }
            Ok(())
        });
        Ok(Writer { worker, written })
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn stop(self) -> Result<(), Failure> {
        self.worker.finish()
    }
}

/// The most that a primary and its child processes held at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Peak {
    pss_bytes: u64,
    pss_without_log_bytes: u64,
    log_bytes: u64,
}

struct MemoryWatch {
    worker: Worker<Peak>,
}

impl MemoryWatch {
    fn start(server: &Server) -> Result<MemoryWatch, Failure> {
        let mut client = server.client()?;
        let pid = server.pid;
        let worker = Worker::start(move |stop| {
            let mut peak = Peak::default();
            loop {
                let last = stop.load(Ordering::Relaxed);
                let log_bytes =
                    info_field(&client.info("memory")?, "mem_total_replication_buffers")
                        .and_then(|text| text.parse().ok())
                        .unwrap_or(0);
                let pss_bytes = tree_pss_bytes(pid)?;
                let without = pss_bytes.saturating_sub(log_bytes);
                peak = Peak {
                    pss_bytes: peak.pss_bytes.max(pss_bytes),
                    pss_without_log_bytes: peak.pss_without_log_bytes.max(without),
                    log_bytes: peak.log_bytes.max(log_bytes),
                };
                if last {
                    return Ok(peak);
                }
                thread::sleep(MEMORY_EVERY);
            }
        });
        Ok(MemoryWatch { worker })
    }

    fn stop(self) -> Result<Peak, Failure> {
        self.worker.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_differ_and_have_their_length() {
        let values = Values::new(100);
        let mut random = Random::new(1);
        let one = values.pick(&mut random).to_vec();
        assert_eq!(one.len(), 100);
        assert_ne!(one, values.pick(&mut random));
    }
}
