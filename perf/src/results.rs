//! The figures of one comparison, and the questions the report and the chart ask of them. Plain data: filled
//! in by `compare.rs`, read by `report.rs` and `chart.rs`.

use crate::latency::RoundTrips;
use crate::machine::Machine;
use crate::spread::Spread;
use crate::tools::Verb;

/// Index of the server under test in `Comparison::servers`; the peers follow.
pub const SUBJECT: usize = 0;

#[derive(Clone, Debug)]
pub struct Measured {
    pub server: usize,
    pub round: usize,
    pub requests_per_second: f64,
    pub cpu_us_per_request: f64,
}

/// One kind of load and what it measured of every server in every round.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The tool that made the load.
    pub source: String,
    pub verb: Verb,
    pub pipeline: usize,
    /// Its command line, with `PORT` for the port; the tool's own name if it is ours.
    pub command_line: String,
    pub samples: Vec<Measured>,
}

/// A server, or a variant of one, by rounds.
#[derive(Clone, Debug)]
pub struct LatencyRow {
    pub server: usize,
    /// `Some(true)` with ringfort's spin on, `Some(false)` with it off, `None` for a peer.
    pub spinning: Option<bool>,
    pub command_line: String,
    pub rounds: Vec<(usize, RoundTrips)>,
}

#[derive(Clone, Debug)]
pub struct MemoryRow {
    pub server: usize,
    pub bytes_per_key: Vec<f64>,
    pub bytes_per_idle_connection: Vec<f64>,
}

#[derive(Clone, Debug)]
pub struct ShardsRow {
    pub label: String,
    pub verb: Verb,
    pub command_line: String,
    pub samples: Vec<Measured>,
}

#[derive(Clone, Debug)]
pub struct ServerFacts {
    pub name: String,
    pub version: String,
    pub command_line: String,
}

#[derive(Clone, Debug)]
pub struct Comparison {
    pub date: String,
    pub machine: Machine,
    pub tool_versions: Vec<String>,
    pub rounds: usize,
    pub keys: u64,
    pub connections: usize,
    pub value_bytes: usize,
    pub idle_connections: usize,
    pub server_cpu: usize,
    pub load_cpu: usize,
    pub servers: Vec<ServerFacts>,
    pub scenarios: Vec<Scenario>,
    pub latency: Vec<LatencyRow>,
    pub memory: Vec<MemoryRow>,
    pub shards: Vec<ShardsRow>,
    /// What could not be measured, and why.
    pub failures: Vec<String>,
}

impl Comparison {
    /// The peer that goals are measured against: the first one whose name says Valkey, else the first peer.
    pub fn reference(&self) -> Option<usize> {
        let peers = SUBJECT + 1..self.servers.len();
        peers
            .clone()
            .find(|index| self.servers[*index].name.to_lowercase().contains("valkey"))
            .or(peers.into_iter().next())
    }

    /// Name and version, for a table's cell.
    pub fn label(&self, server: usize) -> String {
        let facts = &self.servers[server];
        format!("{} {}", facts.name, facts.version)
    }
}

/// A figure of a load sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    RequestsPerSecond,
    CpuPerRequest,
}

impl Figure {
    pub fn of(self, sample: &Measured) -> f64 {
        match self {
            Figure::RequestsPerSecond => sample.requests_per_second,
            Figure::CpuPerRequest => sample.cpu_us_per_request,
        }
    }
}

pub fn spread(samples: &[Measured], server: usize, figure: Figure) -> Option<Spread> {
    let values: Vec<f64> = samples
        .iter()
        .filter(|sample| sample.server == server)
        .map(|sample| figure.of(sample))
        .collect();
    Spread::of(&values)
}

/// Ours divided by theirs, over the rounds that both finished.
pub fn ratio(
    ours: &[Measured],
    our_server: usize,
    theirs: &[Measured],
    their_server: usize,
    figure: Figure,
) -> Option<Spread> {
    let (mut our_values, mut their_values) = (Vec::new(), Vec::new());
    for sample in ours.iter().filter(|sample| sample.server == our_server) {
        let other =
            theirs.iter().find(|other| other.server == their_server && other.round == sample.round);
        if let Some(other) = other {
            our_values.push(figure.of(sample));
            their_values.push(figure.of(other));
        }
    }
    Spread::of_ratios(&our_values, &their_values)
}

impl LatencyRow {
    pub fn medians_us(&self) -> Vec<f64> {
        self.rounds.iter().map(|(_, trips)| trips.median_us).collect()
    }

    pub fn p99s_us(&self) -> Vec<f64> {
        self.rounds.iter().map(|(_, trips)| trips.p99_us).collect()
    }

    /// Our median divided by theirs, over the rounds that both finished.
    pub fn ratio_to(&self, other: &LatencyRow) -> Option<Spread> {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for (round, trips) in &self.rounds {
            if let Some((_, other)) = other.rounds.iter().find(|(other, _)| other == round) {
                ours.push(trips.median_us);
                theirs.push(other.median_us);
            }
        }
        Spread::of_ratios(&ours, &theirs)
    }
}

#[cfg(test)]
pub mod example {
    //! A small made-up comparison for the tests of the writers.

    use super::*;

    fn sample(server: usize, round: usize, requests_per_second: f64, cpu: f64) -> Measured {
        Measured { server, round, requests_per_second, cpu_us_per_request: cpu }
    }

    pub fn comparison() -> Comparison {
        let facts = |name: &str, version: &str| ServerFacts {
            name: name.to_owned(),
            version: version.to_owned(),
            command_line: format!("taskset -c 0 {name} --port PORT --save ''"),
        };
        let trips = |median_us: f64| RoundTrips { median_us, p99_us: median_us * 2.0 };
        Comparison {
            date: "2026-01-02".to_owned(),
            machine: Machine {
                cpu: "CPU <X> & Y".to_owned(),
                cpus_allowed: 2,
                memory_gib: 23.5,
                kernel: "6.1".to_owned(),
                system: "Debian 12".to_owned(),
                revision: "abc1234".to_owned(),
            },
            tool_versions: vec!["redis-benchmark 7.0.15".to_owned()],
            rounds: 2,
            keys: 1_000_000,
            connections: 50,
            value_bytes: 64,
            idle_connections: 10_000,
            server_cpu: 0,
            load_cpu: 1,
            servers: vec![
                facts("ringfort", "0.1.0"),
                facts("redis-server", "7.0.15"),
                facts("valkey-server", "9.1.2"),
            ],
            scenarios: vec![Scenario {
                source: "redis-benchmark".to_owned(),
                verb: Verb::Get,
                pipeline: 16,
                command_line: "redis-benchmark -P 16".to_owned(),
                samples: vec![
                    sample(0, 0, 200.0, 1.0),
                    sample(0, 1, 300.0, 2.0),
                    sample(1, 0, 100.0, 2.0),
                    sample(2, 1, 400.0, 1.0),
                ],
            }],
            latency: vec![
                LatencyRow {
                    server: 0,
                    spinning: Some(true),
                    command_line: "x --io-spin-us 50".to_owned(),
                    rounds: vec![(0, trips(30.0)), (1, trips(40.0))],
                },
                LatencyRow {
                    server: 2,
                    spinning: None,
                    command_line: "y".to_owned(),
                    rounds: vec![(1, trips(80.0))],
                },
            ],
            memory: vec![
                MemoryRow {
                    server: 0,
                    bytes_per_key: vec![60.0],
                    bytes_per_idle_connection: vec![300.0],
                },
                MemoryRow {
                    server: 2,
                    bytes_per_key: vec![81.0],
                    bytes_per_idle_connection: vec![],
                },
            ],
            shards: vec![
                ShardsRow {
                    label: "1 shard".to_owned(),
                    verb: Verb::Get,
                    command_line: "x --shards 1".to_owned(),
                    samples: vec![sample(0, 0, 100.0, 1.0)],
                },
                ShardsRow {
                    label: "2 shards, strict".to_owned(),
                    verb: Verb::Get,
                    command_line: "x --shards 2".to_owned(),
                    samples: vec![sample(0, 0, 100.0, 1.6)],
                },
            ],
            failures: vec!["round 2: redis-server | died".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_is_the_valkey_among_the_peers() {
        let mut comparison = example::comparison();
        assert_eq!(comparison.reference(), Some(2));
        comparison.servers.truncate(2);
        assert_eq!(comparison.reference(), Some(1));
        comparison.servers.truncate(1);
        assert_eq!(comparison.reference(), None);
    }

    #[test]
    fn ratios_use_only_rounds_that_both_finished() {
        let samples = &example::comparison().scenarios[0].samples;
        let to_valkey = ratio(samples, 0, samples, 2, Figure::RequestsPerSecond).unwrap();
        assert_eq!((to_valkey.median, to_valkey.min), (0.75, 0.75));
        let to_redis = ratio(samples, 0, samples, 1, Figure::CpuPerRequest).unwrap();
        assert_eq!(to_redis.median, 0.5);
    }

    #[test]
    fn latency_ratio_uses_only_rounds_that_both_finished() {
        let comparison = example::comparison();
        let ratio = comparison.latency[0].ratio_to(&comparison.latency[1]).unwrap();
        assert_eq!((ratio.median, ratio.max), (0.5, 0.5));
    }
}
