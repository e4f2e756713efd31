//! The comparison: which servers are started how, which loads they get in which order.
//!
//! In every round all servers are started afresh, pinned to the server CPU, and filled; then each load is put
//! on one after the other, the load tool pinned to its own CPU, while the rest stand idle. So the servers
//! that are compared met the same minute of the machine, and a slow drift of it falls on all alike. The order
//! turns by one with each round. Each measurement follows a warm-up of the same load.
//!
//! What fails is written down and left out; the rest goes on.

use std::time::Duration;

use crate::error::Failure;
use crate::generator;
use crate::keys::{KeyShape, fill};
use crate::latency;
use crate::machine::{self, Machine};
use crate::memory;
use crate::process::cpu_ns;
use crate::results::{
    Comparison, LatencyRow, Measured, MemoryRow, SUBJECT, Scenario, ServerFacts, ShardsRow,
};
use crate::server::{Program, Server, display_command};
use crate::tools::{Load, Tool, Verb};

pub const OWN_LOAD: &str = "ringfort-perf load";

/// What is measured; each can be asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Throughput and server CPU per request.
    Load,
    /// Round trip of one connection.
    Latency,
    /// Bytes per key.
    Memory,
    /// Bytes per idle connection.
    Idle,
    /// Two shards against one.
    Shards,
}

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub parts: Vec<Part>,
    pub rounds: usize,
    /// About how long one measurement takes.
    pub seconds: f64,
    pub keys: u64,
    pub connections: usize,
    pub value_bytes: usize,
    pub pipelines: Vec<usize>,
    pub idle_connections: usize,
    pub server_cpu: usize,
    pub load_cpu: usize,
    /// Appended to ringfort's command line.
    pub ringfort_arguments: Vec<String>,
    pub own_load: bool,
}

/// Requests per second to expect, so that a tool that counts requests takes about the time planned.
fn expected_rate(pipeline: usize) -> f64 {
    match pipeline {
        0..=1 => 100_000.0,
        2..=31 => 1_000_000.0,
        _ => 1_500_000.0,
    }
}

pub fn run(plan: &Plan, subject: &Program, peers: &[Program]) -> Result<Comparison, Failure> {
    let tools = Tool::find()?;
    let open_files = machine::raise_open_files(plan.idle_connections as u64 * 2 + 1_000);
    if (open_files as usize) < plan.idle_connections + 100 {
        return Err(Failure::Setup(format!(
            "{} idle connections need more than the {open_files} open files allowed (ulimit -n)",
            plan.idle_connections
        )));
    }
    let machine = Machine::describe();
    machine::pin_to(&[plan.load_cpu])?;

    let programs: Vec<&Program> = std::iter::once(subject).chain(peers).collect();
    let mut run = Run {
        plan,
        programs,
        comparison: Comparison {
            date: machine::today(),
            machine,
            tool_versions: tools
                .iter()
                .map(|tool| machine::tool_version(tool.name(), "--version"))
                .collect(),
            rounds: plan.rounds,
            keys: plan.keys,
            connections: plan.connections,
            value_bytes: plan.value_bytes,
            idle_connections: plan.idle_connections,
            server_cpu: plan.server_cpu,
            load_cpu: plan.load_cpu,
            servers: Vec::new(),
            scenarios: Vec::new(),
            latency: Vec::new(),
            memory: Vec::new(),
            shards: Vec::new(),
            failures: Vec::new(),
        },
    };
    run.introduce_servers()?;
    for part in &plan.parts {
        match part {
            Part::Load => run.measure_loads(&tools),
            Part::Latency => run.measure_latency(),
            Part::Memory => run.measure_bytes_per_key(),
            Part::Idle => run.measure_idle_connections(),
            Part::Shards => run.measure_shards(),
        }
    }
    Ok(run.comparison)
}

/// One way to run the server under test in the comparison of shards.
struct ShardsVariant<'a> {
    label: &'static str,
    server_cpus: &'a [usize],
    load_cpus: &'a [usize],
    options: &'a [&'a str],
}

struct Run<'a> {
    plan: &'a Plan,
    programs: Vec<&'a Program>,
    comparison: Comparison,
}

impl Run<'_> {
    /// Starts each server once: a peer that does not start at all ends the comparison before it costs time.
    fn introduce_servers(&mut self) -> Result<(), Failure> {
        for index in 0..self.programs.len() {
            let server = self.start(index, &["--shards", "1"], &[])?;
            self.comparison.servers.push(ServerFacts {
                name: server.name.clone(),
                version: server.version.clone(),
                command_line: server.command_line.clone(),
            });
        }
        Ok(())
    }

    /// A server pinned to the server CPU. Options that only ringfort knows go to ringfort alone.
    fn start(
        &self,
        index: usize,
        ringfort_only: &[&str],
        for_all: &[&str],
    ) -> Result<Server, Failure> {
        self.start_on(&[self.plan.server_cpu], index, ringfort_only, for_all)
    }

    fn start_on(
        &self,
        cpus: &[usize],
        index: usize,
        ringfort_only: &[&str],
        for_all: &[&str],
    ) -> Result<Server, Failure> {
        let program = self.programs[index];
        let mut arguments = for_all.to_vec();
        if program.is_ringfort {
            arguments.extend(ringfort_only);
        }
        if index == SUBJECT {
            arguments.extend(self.plan.ringfort_arguments.iter().map(String::as_str));
        }
        Server::start(program, cpus, &arguments)
    }

    fn start_filled(
        &self,
        cpus: &[usize],
        index: usize,
        ringfort_only: &[&str],
    ) -> Result<Server, Failure> {
        let server = self.start_on(cpus, index, ringfort_only, &[])?;
        let mut client = server.client()?;
        fill(&mut client, KeyShape::Benchmark, self.plan.keys, self.plan.value_bytes)?;
        Ok(server)
    }

    /// Server indices in this round's order.
    fn order(&self, round: usize) -> Vec<usize> {
        let count = self.programs.len();
        (0..count).map(|turn| (turn + round) % count).collect()
    }

    fn fail(&mut self, what: &str, failure: &Failure) {
        let text = format!("{what}: {failure}");
        eprintln!("  FAILED {text}");
        self.comparison.failures.push(text);
    }

    fn load(&self, verb: Verb, pipeline: usize) -> Load {
        Load {
            verb,
            pipeline,
            connections: self.plan.connections,
            value_bytes: self.plan.value_bytes,
            keys: self.plan.keys,
        }
    }

    fn measure_loads(&mut self, tools: &[Tool]) {
        let sources: Vec<Option<Tool>> = tools
            .iter()
            .map(|tool| Some(*tool))
            .chain(self.plan.own_load.then_some(None))
            .collect();
        let mut scenarios = Vec::new();
        for source in &sources {
            for pipeline in &self.plan.pipelines {
                for verb in [Verb::Get, Verb::Set] {
                    let load = self.load(verb, *pipeline);
                    scenarios.push((*source, load));
                    self.comparison.scenarios.push(Scenario {
                        source: source.map_or(OWN_LOAD, Tool::name).to_owned(),
                        verb,
                        pipeline: *pipeline,
                        command_line: self.load_command_line(*source, &load),
                        samples: Vec::new(),
                    });
                }
            }
        }
        for round in 0..self.plan.rounds {
            let order = self.order(round);
            let mut servers: Vec<Option<Server>> = Vec::new();
            for index in 0..self.programs.len() {
                let started = self.start_filled(&[self.plan.server_cpu], index, &["--shards", "1"]);
                if let Err(failure) = &started {
                    self.fail(&format!("round {}", round + 1), failure);
                }
                servers.push(started.ok());
            }
            for (at, (source, load)) in scenarios.iter().enumerate() {
                for index in &order {
                    let Some(server) = &servers[*index] else {
                        continue;
                    };
                    let what = format!(
                        "round {}, {} pipeline {}, {}, {}",
                        round + 1,
                        load.verb.name(),
                        load.pipeline,
                        source.map_or(OWN_LOAD, Tool::name),
                        server.name,
                    );
                    match self.measure(*source, load, server, &[self.plan.load_cpu]) {
                        Ok((requests_per_second, cpu_us_per_request)) => {
                            eprintln!(
                                "  {what}: {requests_per_second:.0}/s, {cpu_us_per_request:.3} µs CPU"
                            );
                            self.comparison.scenarios[at].samples.push(Measured {
                                server: *index,
                                round,
                                requests_per_second,
                                cpu_us_per_request,
                            });
                        }
                        Err(failure) => self.fail(&what, &failure),
                    }
                }
            }
        }
    }

    fn requests(&self, pipeline: usize) -> u64 {
        (self.plan.seconds * expected_rate(pipeline)) as u64
    }

    fn load_command_line(&self, source: Option<Tool>, load: &Load) -> String {
        let words = match source {
            Some(tool) => tool.command_line(load, self.requests(load.pipeline), "PORT"),
            None => format!(
                "ringfort-perf load --port PORT --verb {} --pipeline {} --connections {} --keys {} \
                 --value-bytes {} --seconds {}",
                load.verb.name().to_lowercase(),
                load.pipeline,
                load.connections,
                load.keys,
                load.value_bytes,
                self.plan.seconds,
            )
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        };
        display_command(&words)
    }

    /// Requests per second, and CPU of the server per request in microseconds.
    fn measure(
        &self,
        source: Option<Tool>,
        load: &Load,
        server: &Server,
        cpus: &[usize],
    ) -> Result<(f64, f64), Failure> {
        let Some(tool) = source else {
            let window = Duration::from_secs_f64(self.plan.seconds);
            let measured = generator::run(load, server.port, Some(server.pid), window / 8, window)?;
            return Ok((
                measured.requests_per_second,
                measured.cpu_us_per_request.unwrap_or(f64::NAN),
            ));
        };
        let requests = self.requests(load.pipeline);
        tool.run(load, requests / 8, server.port, cpus)?;
        let before = cpu_ns(server.pid)?;
        let requests_per_second = tool.run(load, requests, server.port, cpus)?;
        let used_ns = cpu_ns(server.pid)?.saturating_sub(before);
        let whole = tool.whole_requests(load, requests);
        Ok((requests_per_second, used_ns as f64 / 1_000.0 / whole as f64))
    }

    fn measure_latency(&mut self) {
        let mut variants: Vec<(usize, Option<bool>)> = Vec::new();
        for (index, program) in self.programs.iter().enumerate() {
            if program.is_ringfort {
                variants.extend([(index, Some(true)), (index, Some(false))]);
            } else {
                variants.push((index, None));
            }
        }
        let mut rows: Vec<LatencyRow> = variants
            .iter()
            .map(|(server, spinning)| LatencyRow {
                server: *server,
                spinning: *spinning,
                command_line: String::new(),
                rounds: Vec::new(),
            })
            .collect();
        for round in 0..self.plan.rounds {
            for turn in 0..rows.len() {
                let row = &mut rows[(turn + round) % variants.len()];
                let spin_us = if row.spinning == Some(true) { "50" } else { "0" };
                let options = ["--shards", "1", "--io-spin-us", spin_us];
                let what =
                    format!("round {}, latency, {}", round + 1, self.programs[row.server].name);
                let window = Duration::from_secs_f64(self.plan.seconds.min(1.0));
                let probed = self.start(row.server, &options, &[]).and_then(|server| {
                    row.command_line.clone_from(&server.command_line);
                    let mut client = server.client()?;
                    let keys = self.plan.keys.min(10_000);
                    fill(&mut client, KeyShape::Benchmark, keys, self.plan.value_bytes)?;
                    latency::probe(&mut client, keys, window / 4, window)
                });
                match probed {
                    Ok(trips) => {
                        eprintln!("  {what}: median {:.1} µs", trips.median_us);
                        row.rounds.push((round, trips));
                    }
                    Err(failure) => self.fail(&what, &failure),
                }
            }
        }
        self.comparison.latency = rows;
    }

    fn measure_bytes_per_key(&mut self) {
        // Growth of a process is repeatable; two rounds show that it is.
        for _ in 0..self.plan.rounds.min(2) {
            for index in 0..self.programs.len() {
                let what = format!("bytes per key, {}", self.programs[index].name);
                let measured = self
                    .start(index, &["--shards", "1"], &[])
                    .and_then(|server| memory::bytes_per_key(&server, self.plan.keys));
                match measured {
                    Ok(bytes) => {
                        eprintln!("  {what}: {bytes:.1}");
                        self.memory_row(index).bytes_per_key.push(bytes);
                    }
                    Err(failure) => self.fail(&what, &failure),
                }
            }
        }
    }

    fn measure_idle_connections(&mut self) {
        let clients_max = (self.plan.idle_connections + 100).to_string();
        for index in 0..self.programs.len() {
            let what = format!("bytes per idle connection, {}", self.programs[index].name);
            let measured =
                self.start(index, &["--shards", "1"], &["--maxclients", &clients_max]).and_then(
                    |server| memory::bytes_per_idle_connection(&server, self.plan.idle_connections),
                );
            match measured {
                Ok(bytes) => {
                    eprintln!("  {what}: {bytes:.0}");
                    self.memory_row(index).bytes_per_idle_connection.push(bytes);
                }
                Err(failure) => self.fail(&what, &failure),
            }
        }
    }

    fn memory_row(&mut self, server: usize) -> &mut MemoryRow {
        let rows = &mut self.comparison.memory;
        let at = rows.iter().position(|row| row.server == server).unwrap_or_else(|| {
            rows.push(MemoryRow {
                server,
                bytes_per_key: Vec::new(),
                bytes_per_idle_connection: Vec::new(),
            });
            rows.len() - 1
        });
        &mut rows[at]
    }

    /// One shard with a CPU to itself, and two shards that share both CPUs with the load. CPU time per
    /// request is what can be compared between them; the throughput of the latter cannot.
    fn measure_shards(&mut self) {
        if !self.programs[SUBJECT].is_ringfort {
            eprintln!("  two shards: left out, the server under test is not ringfort");
            return;
        }
        let (server_cpu, load_cpu) = (self.plan.server_cpu, self.plan.load_cpu);
        let both = [server_cpu, load_cpu];
        let variants = [
            ShardsVariant {
                label: "1 shard",
                server_cpus: &both[..1],
                load_cpus: &both[1..],
                options: &["--shards", "1"],
            },
            ShardsVariant {
                label: "2 shards, strict",
                server_cpus: &both,
                load_cpus: &both,
                options: &["--shards", "2", "--pipeline-order", "strict"],
            },
            ShardsVariant {
                label: "2 shards, relaxed",
                server_cpus: &both,
                load_cpus: &both,
                options: &["--shards", "2", "--pipeline-order", "relaxed"],
            },
        ];
        let mut rows: Vec<ShardsRow> = Vec::new();
        for verb in [Verb::Get, Verb::Set] {
            rows.extend(variants.iter().map(|variant| ShardsRow {
                label: variant.label.to_owned(),
                verb,
                command_line: String::new(),
                samples: Vec::new(),
            }));
        }
        for round in 0..self.plan.rounds {
            for variant in &variants {
                let label = variant.label;
                let what = format!("round {}, {label}", round + 1);
                let server = match self.start_filled(variant.server_cpus, SUBJECT, variant.options)
                {
                    Ok(server) => server,
                    Err(failure) => {
                        self.fail(&what, &failure);
                        continue;
                    }
                };
                for row in rows.iter_mut().filter(|row| row.label == label) {
                    row.command_line.clone_from(&server.command_line);
                    let load = self.load(row.verb, 16);
                    match self.measure(
                        Some(Tool::RedisBenchmark),
                        &load,
                        &server,
                        variant.load_cpus,
                    ) {
                        Ok((requests_per_second, cpu_us_per_request)) => {
                            eprintln!(
                                "  {what}, {}: {cpu_us_per_request:.3} µs CPU",
                                row.verb.name()
                            );
                            row.samples.push(Measured {
                                server: SUBJECT,
                                round,
                                requests_per_second,
                                cpu_us_per_request,
                            });
                        }
                        Err(failure) => self.fail(&what, &failure),
                    }
                }
            }
        }
        self.comparison.shards = rows;
    }
}
