//! `ringfort-perf`: whole-node load runs beside the peers, and their recorded results.
//!
//! Nothing depends on this crate, and it depends on no other of ours: it sees servers as their users do, as
//! processes that listen on a port. `compare.rs` is the place to start reading.

#![forbid(unsafe_code)]

mod chart;
mod client;
mod compare;
mod error;
mod flamegraph;
mod generator;
mod goals;
mod inlined;
mod keys;
mod latency;
mod machine;
mod memory;
mod probe;
mod process;
mod replies;
mod report;
mod results;
mod server;
mod spread;
mod sync;
mod sync_report;
mod tools;
mod types;
mod types_report;
mod worker;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare::Part;
use crate::error::Failure;
use crate::server::{Program, find_peers};
use crate::tools::{Load, Verb};

/// Whole-node load runs, comparisons and profiles.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: What,
}

#[derive(Subcommand)]
enum What {
    /// Measure ringfort and its peers in turns; write a page, a chart and the samples.
    Compare(CompareArguments),
    /// Measure full syncs and live replicas of ringfort and its peers in turns; write a page and the samples.
    CompareSync(CompareSyncArguments),
    /// Measure commands on collections, and what these weigh, of ringfort and its peers in turns.
    CompareTypes(CompareTypesArguments),
    /// Put a closed loop of pipelined requests on a running server.
    Load(LoadArguments),
    /// Profile a node under load and draw a flame graph.
    Flamegraph(FlamegraphArguments),
}

#[derive(Args)]
struct Subject {
    /// The server under test.
    #[arg(long, value_name = "PATH", default_value = "target/release/ringfort")]
    ringfort: PathBuf,
    /// Appended to its command line, split at blanks.
    #[arg(long, value_name = "OPTIONS", default_value = "", allow_hyphen_values = true)]
    ringfort_args: String,
    /// CPU of the server; the first one allowed if not given.
    #[arg(long)]
    server_cpu: Option<usize>,
    /// CPU of the load; the second one allowed if not given.
    #[arg(long)]
    load_cpu: Option<usize>,
}

#[derive(Args)]
struct CompareArguments {
    #[command(flatten)]
    subject: Subject,
    /// A peer, as NAME='command line prefix'; --port and more are appended. May be repeated. The variable
    /// PEERS takes several, separated by semicolons. redis-server and valkey-server on PATH are peers anyway.
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = Program::parse_peer)]
    peers: Vec<Program>,
    /// Measure only against the peers named, not those on PATH.
    #[arg(long)]
    only_named_peers: bool,
    /// Two minutes instead of ten: fewer rounds, shorter runs. The result goes to perf/out, as it is too
    /// rough to be kept.
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    rounds: Option<usize>,
    /// About how long one measurement takes.
    #[arg(long)]
    seconds: Option<f64>,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Load, Part::Latency, Part::Memory, Part::Idle, Part::Shards])]
    only: Vec<Part>,
    /// Pipelines of the load.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 100])]
    pipelines: Vec<usize>,
    #[arg(long, default_value_t = 50)]
    connections: usize,
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
    #[arg(long)]
    idle_connections: Option<usize>,
    /// Leave out our own load generator.
    #[arg(long)]
    no_own_load: bool,
    /// Folder for the results.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct CompareSyncArguments {
    #[command(flatten)]
    subject: Subject,
    /// A peer, as for `compare`.
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = Program::parse_peer)]
    peers: Vec<Program>,
    /// Measure only against the peers named, not those on PATH.
    #[arg(long)]
    only_named_peers: bool,
    /// Leave ringfort out.
    #[arg(long)]
    only_peers: bool,
    /// A few minutes: 200 MB and fewer, shorter runs. The result goes to perf/out, as it is too rough to be
    /// kept.
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    rounds: Option<usize>,
    /// MiB of values in the primary of a full sync.
    #[arg(long)]
    mebibytes: Option<u64>,
    #[arg(long, default_value_t = 1024)]
    value_bytes: usize,
    /// How long the load without a replica is measured, and one measurement of the stream.
    #[arg(long)]
    seconds: Option<f64>,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [sync::Part::FullSync, sync::Part::Stream, sync::Part::Log])]
    only: Vec<sync::Part>,
    /// Folder for the results.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct CompareTypesArguments {
    #[command(flatten)]
    subject: Subject,
    /// A peer, as for `compare`.
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = Program::parse_peer)]
    peers: Vec<Program>,
    /// Measure only against the peers named, not those on PATH.
    #[arg(long)]
    only_named_peers: bool,
    /// A few minutes; the result goes to perf/out, as it is too rough to be kept.
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    rounds: Option<usize>,
    /// How long one measurement takes.
    #[arg(long)]
    seconds: Option<f64>,
    /// Measure only what has this in its name.
    #[arg(long)]
    only: Option<String>,
    #[arg(long, default_value_t = 16)]
    pipeline: usize,
    #[arg(long, default_value_t = 50)]
    connections: usize,
    /// Folder for the results.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum VerbName {
    Get,
    Set,
}

#[derive(Args)]
struct LoadShape {
    #[arg(long, value_enum, default_value = "get")]
    verb: VerbName,
    #[arg(long, default_value_t = 16)]
    pipeline: usize,
    #[arg(long, default_value_t = 50)]
    connections: usize,
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

#[derive(Args)]
struct LoadArguments {
    #[command(flatten)]
    shape: LoadShape,
    #[arg(long, default_value_t = 6379)]
    port: u16,
    /// Set all keys first.
    #[arg(long)]
    fill: bool,
    /// Process of the server, to report its CPU time per request.
    #[arg(long)]
    pid: Option<u32>,
    /// Run on this CPU.
    #[arg(long)]
    cpu: Option<usize>,
}

#[derive(Args)]
struct FlamegraphArguments {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    shape: LoadShape,
    /// The picture; perf/flamegraph-VERB-pPIPELINE.svg if not given.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Keys present during the load runs. memtier's key names depend on there being six digits of them.
const KEYS: u64 = 1_000_000;
/// Results that are not for keeping, and intermediate files.
const SCRATCH_FOLDER: &str = "perf/out";
const RESULTS_FOLDER: &str = "perf/results";

fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        What::Compare(arguments) => compare(arguments),
        What::CompareSync(arguments) => compare_sync(arguments),
        What::CompareTypes(arguments) => compare_types(arguments),
        What::Load(arguments) => load(&arguments),
        What::Flamegraph(arguments) => flamegraph(arguments),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("ringfort-perf: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn compare(arguments: CompareArguments) -> Result<ExitCode, Failure> {
    let (server_cpu, load_cpu) = two_cpus(&arguments.subject)?;
    let subject = Program::ringfort(&arguments.subject.ringfort)?;
    let peers = peers(arguments.peers, arguments.only_named_peers)?;
    let quick = arguments.quick;
    let plan = compare::Plan {
        parts: arguments.only,
        rounds: arguments.rounds.unwrap_or(if quick { 2 } else { 5 }).max(1),
        seconds: arguments.seconds.unwrap_or(if quick { 0.3 } else { 1.5 }),
        keys: KEYS,
        connections: arguments.connections.max(1),
        value_bytes: arguments.value_bytes,
        pipelines: arguments.pipelines,
        idle_connections: arguments.idle_connections.unwrap_or(if quick { 2_000 } else { 10_000 }),
        server_cpu,
        load_cpu,
        ringfort_arguments: words(&arguments.subject.ringfort_args),
        own_load: !arguments.no_own_load,
    };
    let comparison = compare::run(&plan, &subject, &peers)?;

    let folder = arguments
        .out
        .unwrap_or_else(|| PathBuf::from(if quick { SCRATCH_FOLDER } else { RESULTS_FOLDER }));
    fs::create_dir_all(&folder).map_err(Failure::path("creating", &folder))?;
    let base = format!("compare-{}", comparison.date);
    let chart = chart::svg(&comparison);
    let chart_name = chart.is_some().then(|| format!("{base}.svg"));
    let page = report::markdown(&comparison, chart_name.as_deref());
    write(&folder.join(format!("{base}.md")), &page)?;
    write(&folder.join(format!("{base}.csv")), &report::csv(&comparison))?;
    if let (Some(chart), Some(name)) = (chart, chart_name) {
        write(&folder.join(name), &chart)?;
    }
    println!("{page}");
    eprintln!("written: {}", folder.join(format!("{base}.md")).display());
    Ok(if comparison.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare_sync(arguments: CompareSyncArguments) -> Result<ExitCode, Failure> {
    let (server_cpu, load_cpu) = two_cpus(&arguments.subject)?;
    let subject = (!arguments.only_peers)
        .then(|| Program::ringfort(&arguments.subject.ringfort))
        .transpose()?;
    let peers = peers(arguments.peers, arguments.only_named_peers)?;
    let quick = arguments.quick;
    let mebibytes = arguments.mebibytes.unwrap_or(if quick { 191 } else { 1_638 });
    let plan = sync::Plan {
        parts: arguments.only,
        rounds: arguments.rounds.unwrap_or(if quick { 2 } else { 5 }).max(1),
        data_bytes: mebibytes << 20,
        value_bytes: arguments.value_bytes.max(1),
        seconds: arguments.seconds.unwrap_or(if quick { 1.0 } else { 3.0 }),
        server_cpu,
        load_cpu,
        ringfort_arguments: words(&arguments.subject.ringfort_args),
    };
    let results = sync::run(&plan, subject.as_ref(), &peers)?;

    let page = sync_report::markdown(&results);
    let csv = sync_report::csv(&results);
    write_results(arguments.out, quick, &format!("sync-{}", results.date), &page, &csv)?;
    Ok(if results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn compare_types(arguments: CompareTypesArguments) -> Result<ExitCode, Failure> {
    let (server_cpu, load_cpu) = two_cpus(&arguments.subject)?;
    let subject = Program::ringfort(&arguments.subject.ringfort)?;
    let peers = peers(arguments.peers, arguments.only_named_peers)?;
    let quick = arguments.quick;
    let plan = types::Plan {
        rounds: arguments.rounds.unwrap_or(if quick { 1 } else { 5 }).max(1),
        seconds: arguments.seconds.unwrap_or(if quick { 0.3 } else { 1.0 }),
        pipeline: arguments.pipeline.max(1),
        connections: arguments.connections.max(1),
        only: arguments.only,
        server_cpu,
        load_cpu,
        ringfort_arguments: words(&arguments.subject.ringfort_args),
    };
    let results = types::run(&plan, &subject, &peers)?;

    let page = types_report::markdown(&results);
    let csv = types_report::csv(&results);
    write_results(arguments.out, quick, &format!("types-{}", results.date), &page, &csv)?;
    Ok(if results.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes a page and its samples, and shows the page.
fn write_results(
    folder: Option<PathBuf>,
    quick: bool,
    base: &str,
    page: &str,
    csv: &str,
) -> Result<(), Failure> {
    let folder = folder
        .unwrap_or_else(|| PathBuf::from(if quick { SCRATCH_FOLDER } else { RESULTS_FOLDER }));
    fs::create_dir_all(&folder).map_err(Failure::path("creating", &folder))?;
    write(&folder.join(format!("{base}.md")), page)?;
    write(&folder.join(format!("{base}.csv")), csv)?;
    println!("{page}");
    eprintln!("written: {}", folder.join(format!("{base}.md")).display());
    Ok(())
}

/// The peers named on the command line and in PEERS, and those on PATH.
fn peers(mut named: Vec<Program>, only_named: bool) -> Result<Vec<Program>, Failure> {
    if let Ok(text) = env::var("PEERS") {
        for peer in text.split(';').filter(|peer| !peer.trim().is_empty()) {
            named.push(Program::parse_peer(peer).map_err(Failure::Setup)?);
        }
    }
    Ok(if only_named { named } else { find_peers(&named) })
}

fn load(arguments: &LoadArguments) -> Result<ExitCode, Failure> {
    if let Some(cpu) = arguments.cpu {
        machine::pin_to(&[cpu])?;
    }
    let load = arguments.shape.load();
    if arguments.fill {
        let mut client = client::Client::connect(arguments.port)
            .map_err(Failure::io(format!("connecting to port {}", arguments.port)))?;
        keys::fill(&mut client, keys::KeyShape::Benchmark, load.keys, load.value_bytes)?;
    }
    let window = Duration::from_secs_f64(arguments.shape.seconds);
    let measured = generator::run(&load, arguments.port, arguments.pid, window / 8, window)?;
    println!(
        "{} requests, {:.0} a second{}",
        measured.requests,
        measured.requests_per_second,
        measured
            .cpu_us_per_request
            .map_or(String::new(), |cpu| format!(", {cpu:.3} µs CPU of the server each")),
    );
    Ok(ExitCode::SUCCESS)
}

fn flamegraph(arguments: FlamegraphArguments) -> Result<ExitCode, Failure> {
    let (server_cpu, load_cpu) = two_cpus(&arguments.subject)?;
    let program = Program::ringfort(&arguments.subject.ringfort)?;
    let load = arguments.shape.load();
    let out = arguments.out.unwrap_or_else(|| {
        let verb = load.verb.name().to_lowercase();
        PathBuf::from(format!("perf/flamegraph-{verb}-p{}.svg", load.pipeline))
    });
    let plan = flamegraph::Plan {
        load,
        seconds: arguments.shape.seconds,
        server_cpu,
        load_cpu,
        ringfort_arguments: words(&arguments.subject.ringfort_args),
        work_folder: PathBuf::from(SCRATCH_FOLDER),
        out,
    };
    let samples = flamegraph::run(&plan, &program)?;
    println!("{samples} samples, drawn in {}", plan.out.display());
    Ok(ExitCode::SUCCESS)
}

impl LoadShape {
    fn load(&self) -> Load {
        Load {
            verb: match self.verb {
                VerbName::Get => Verb::Get,
                VerbName::Set => Verb::Set,
            },
            pipeline: self.pipeline.max(1),
            connections: self.connections.max(1),
            value_bytes: self.value_bytes,
            keys: self.keys.max(1),
        }
    }
}

/// A CPU for the server and another one for the load.
fn two_cpus(subject: &Subject) -> Result<(usize, usize), Failure> {
    let allowed = machine::allowed_cpus()?;
    let server_cpu = subject.server_cpu.or(allowed.first().copied());
    let load_cpu =
        subject.load_cpu.or_else(|| allowed.iter().copied().find(|cpu| Some(*cpu) != server_cpu));
    match (server_cpu, load_cpu) {
        (Some(server_cpu), Some(load_cpu)) if server_cpu != load_cpu => Ok((server_cpu, load_cpu)),
        _ => Err(Failure::Setup(
            "two CPUs are needed: one for the server, one for the load".to_owned(),
        )),
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(Failure::path("writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_of_the_server_may_begin_with_hyphens() {
        let parsed = Arguments::try_parse_from([
            "ringfort-perf",
            "compare",
            "--quick",
            "--ringfort-args",
            "--io-spin-us 0",
            "--peer",
            "v=taskset valkey-server",
            "--only",
            "load,memory",
        ]);
        let Ok(Arguments { verb: What::Compare(arguments) }) = parsed else {
            panic!("not understood");
        };
        assert_eq!(words(&arguments.subject.ringfort_args), ["--io-spin-us", "0"]);
        assert_eq!(arguments.peers[0].command, ["taskset", "valkey-server"]);
        assert_eq!(arguments.only, [Part::Load, Part::Memory]);
    }
}
