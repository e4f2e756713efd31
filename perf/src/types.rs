//! Collections: what commands on them cost, and what their elements weigh.
//!
//! In every round all servers are started afresh on the server CPU, and each load is put on one after the other, its
//! data made anew before; the kinds take turns, the order turns with the rounds. The load is our own
//! ([`crate::generator`]), on the load CPU.

use std::time::Duration;

use crate::client::{Client, Reply, encode_command};
use crate::error::Failure;
use crate::generator::{self, Requests};
use crate::machine::{self, Machine};
use crate::process::settled_pss_bytes;
use crate::server::{Program, Server};

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rounds: usize,
    pub seconds: f64,
    pub pipeline: usize,
    pub connections: usize,
    /// Only loads and weights whose name contains this.
    pub only: Option<String>,
    pub server_cpu: usize,
    pub load_cpu: usize,
    /// Appended to ringfort's command line.
    pub ringfort_arguments: Vec<String>,
}

/// Members, fields and scores are drawn from so many.
const NUMBERS: u64 = 1_000_000;

/// Elements that pops start with: more than are popped in a measurement.
const STOCK: u64 = 8_000_000;

/// How long a warm-up is, of a measurement.
const WARM_UP: f64 = 0.2;

/// What is there before a load.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stock {
    Nothing,
    /// So many elements in one key, put in by a command with many: its first words, then for each element these.
    Elements {
        count: u64,
        head: &'static [&'static str],
        element: &'static [&'static str],
    },
}

/// One load.
#[derive(Clone, Copy, Debug)]
pub struct TypeLoad {
    pub name: &'static str,
    /// `#` stands for a random number.
    words: &'static [&'static str],
    stock: Stock,
    /// The least throughput that it is to have, in times the best peer's.
    pub goal: Option<f64>,
}

const LIST_STOCK: Stock =
    Stock::Elements { count: STOCK, head: &["RPUSH", "list"], element: &["value:#"] };
const ZSET_STOCK: Stock =
    Stock::Elements { count: NUMBERS, head: &["ZADD", "zset"], element: &["#", "member:#"] };

/// All loads, in the order of the report.
pub const LOADS: &[TypeLoad] = &[
    load("LPUSH", &["LPUSH", "list", "value:#"], Stock::Nothing, Some(1.4)),
    load("RPOP", &["RPOP", "list"], LIST_STOCK, Some(1.4)),
    load(
        "LRANGE_100",
        &["LRANGE", "list", "0", "99"],
        Stock::Elements { count: 10_000, head: &["RPUSH", "list"], element: &["value:#"] },
        Some(1.4),
    ),
    load("SADD", &["SADD", "set", "member:#"], Stock::Nothing, Some(1.4)),
    load(
        "SPOP",
        &["SPOP", "set"],
        Stock::Elements { count: STOCK, head: &["SADD", "set"], element: &["member:#"] },
        Some(1.4),
    ),
    load("HSET", &["HSET", "hash", "field:#", "value"], Stock::Nothing, Some(1.4)),
    load("ZADD", &["ZADD", "zset", "#", "member:#"], Stock::Nothing, Some(1.4)),
    load(
        "ZPOPMIN",
        &["ZPOPMIN", "zset"],
        Stock::Elements { count: STOCK, head: &["ZADD", "zset"], element: &["#", "member:#"] },
        Some(1.4),
    ),
    load("ZADD, 1M members", &["ZADD", "zset", "#", "member:#"], ZSET_STOCK, Some(1.2)),
    load("ZRANK, 1M members", &["ZRANK", "zset", "member:#"], ZSET_STOCK, Some(1.2)),
    load("XADD", &["XADD", "stream", "*", "field", "value:#"], Stock::Nothing, Some(1.4)),
    load("HSET, small hashes", &["HSET", "hash:#", "field", "value"], Stock::Nothing, None),
];

const fn load(
    name: &'static str,
    words: &'static [&'static str],
    stock: Stock,
    goal: Option<f64>,
) -> TypeLoad {
    TypeLoad { name, words, stock, goal }
}

/// What is weighed.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    pub name: &'static str,
    /// What makes number `#`, which is counted up here.
    words: &'static [&'static str],
    /// The most that it is to weigh, in times the best peer.
    pub goal: f64,
}

/// All weights, in the order of the report.
pub const WEIGHTS: &[Weight] = &[
    Weight {
        name: "hash of 5 fields, of a million",
        words: &[
            "HSET", "hash:#", "field:1", "value:1", "field:2", "value:2", "field:3", "value:3",
            "field:4", "value:4", "field:5", "value:5",
        ],
        goal: 0.9,
    },
    Weight { name: "member of a set of a million", words: &["SADD", "set", "m#"], goal: 0.9 },
    Weight {
        name: "member of a sorted set of a million",
        words: &["ZADD", "zset", "#", "m#"],
        goal: 0.9,
    },
];

#[derive(Clone, Debug)]
pub struct Sample {
    /// Index in [`Results::servers`].
    pub server: usize,
    pub round: usize,
    /// Of a load or a weight.
    pub name: &'static str,
    pub value: Value,
}

#[derive(Clone, Copy, Debug)]
pub enum Value {
    Load { requests_per_second: f64, cpu_us_per_request: f64 },
    Bytes(f64),
}

/// Everything that the report says.
#[derive(Clone, Debug)]
pub struct Results {
    pub date: String,
    pub machine: Machine,
    pub plan: Plan,
    /// Name and version; the server under test first.
    pub servers: Vec<(String, String)>,
    pub command_lines: Vec<String>,
    pub samples: Vec<Sample>,
    pub failures: Vec<String>,
}

pub fn run(plan: &Plan, subject: &Program, peers: &[Program]) -> Result<Results, Failure> {
    let machine = Machine::describe();
    machine::pin_to(&[plan.load_cpu])?;
    let programs: Vec<&Program> = std::iter::once(subject).chain(peers).collect();
    let mut results = Results {
        date: machine::today(),
        machine,
        plan: plan.clone(),
        servers: Vec::new(),
        command_lines: Vec::new(),
        samples: Vec::new(),
        failures: Vec::new(),
    };
    for program in &programs {
        let server = Server::start(program, &[plan.server_cpu], &[])?;
        results.servers.push((server.name.clone(), server.version.clone()));
    }
    let wanted = |name: &str| plan.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    for round in 0..plan.rounds {
        for load in LOADS.iter().filter(|load| wanted(load.name)) {
            for turn in 0..programs.len() {
                let server = (turn + round) % programs.len();
                let value = start(plan, programs[server], &mut results)
                    .and_then(|running| measure(plan, load, &running));
                note(&mut results, server, round, load.name, value);
            }
        }
        for weight in WEIGHTS.iter().filter(|weight| wanted(weight.name)) {
            for turn in 0..programs.len() {
                let server = (turn + round) % programs.len();
                let value = start(plan, programs[server], &mut results)
                    .and_then(|running| weigh(weight, &running).map(Value::Bytes));
                note(&mut results, server, round, weight.name, value);
            }
        }
    }
    Ok(results)
}

fn start(plan: &Plan, program: &Program, results: &mut Results) -> Result<Server, Failure> {
    let mut arguments: Vec<&str> = Vec::new();
    if program.is_ringfort {
        arguments.extend(["--shards", "1"]);
        arguments.extend(plan.ringfort_arguments.iter().map(String::as_str));
    }
    let server = Server::start(program, &[plan.server_cpu], &arguments)?;
    if !results.command_lines.contains(&server.command_line) {
        results.command_lines.push(server.command_line.clone());
    }
    Ok(server)
}

fn note(
    results: &mut Results,
    server: usize,
    round: usize,
    name: &'static str,
    value: Result<Value, Failure>,
) {
    let what = format!("round {}, {name}, {}", round + 1, results.servers[server].0);
    match value {
        Ok(value) => {
            eprintln!("  {what}: {value:.3?}");
            results.samples.push(Sample { server, round, name, value });
        }
        Err(failure) => {
            eprintln!("  FAILED {what}: {failure}");
            results.failures.push(format!("{what}: {failure}"));
        }
    }
}

fn measure(plan: &Plan, load: &TypeLoad, server: &Server) -> Result<Value, Failure> {
    if let Stock::Elements { count, head, element } = load.stock {
        put_in(&mut server.client()?, count, head, element)?;
    }
    let words: Vec<&[u8]> = load.words.iter().map(|word| word.as_bytes()).collect();
    let requests = Requests::of_words(&words, plan.pipeline, NUMBERS);
    let measured = generator::run_requests(
        &requests,
        plan.connections,
        server.port,
        Some(server.pid),
        Duration::from_secs_f64(plan.seconds * WARM_UP),
        Duration::from_secs_f64(plan.seconds),
    )?;
    let cpu_us_per_request = measured
        .cpu_us_per_request
        .ok_or_else(|| Failure::server(&server.name, "answered nothing".to_owned()))?;
    Ok(Value::Load { requests_per_second: measured.requests_per_second, cpu_us_per_request })
}

/// Puts elements 0 to `count` into a key, in an order that is not theirs.
fn put_in(client: &mut Client, count: u64, head: &[&str], element: &[&str]) -> Result<(), Failure> {
    const TOGETHER: u64 = 500;
    let failed = || Failure::io("filling a collection");
    // Steps of a number without common factors with the count visit every number once.
    let step = 7_368_787 % count.max(1);
    let mut number = 0;
    let mut next = 0;
    while next < count {
        let end = (next + TOGETHER).min(count);
        let mut words: Vec<Vec<u8>> = head.iter().map(|word| word.as_bytes().to_vec()).collect();
        for _ in next..end {
            number = (number + step.max(1)) % count;
            let digits = format!("{number:012}");
            words.extend(element.iter().map(|word| word.replace('#', &digits).into_bytes()));
        }
        let mut request = Vec::new();
        encode_command(&mut request, &words.iter().map(Vec::as_slice).collect::<Vec<_>>());
        client.send(&request).map_err(failed())?;
        match client.reply().map_err(failed())? {
            Reply::Integer(_) => {}
            other => return Err(Failure::Setup(format!("{} answered {other:?}", head[0]))),
        }
        next = end;
    }
    Ok(())
}

/// Bytes of growth per element of a million.
fn weigh(weight: &Weight, server: &Server) -> Result<f64, Failure> {
    const BATCH: u64 = 500;
    const QUIET: Duration = Duration::from_millis(800);
    const PATIENCE: Duration = Duration::from_secs(12);
    let failed = || Failure::io("filling a server with collections");
    let mut client = server.client()?;
    let before = settled_pss_bytes(server.pid, QUIET, PATIENCE)?;
    let mut request = Vec::new();
    for first in (0..NUMBERS).step_by(BATCH as usize) {
        request.clear();
        for number in first..first + BATCH {
            // Eleven digits, so that a member is twelve bytes; scattered, as an odd factor maps a range of 2^n
            // onto itself.
            let digits = format!("{:011}", number.wrapping_mul(2_654_435_761) % (1 << 32));
            let words: Vec<String> =
                weight.words.iter().map(|word| word.replace('#', &digits)).collect();
            encode_command(&mut request, &words.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
        client.send(&request).map_err(failed())?;
        for _ in 0..BATCH {
            match client.reply().map_err(failed())? {
                Reply::Integer(_) => {}
                other => {
                    return Err(Failure::Setup(format!("{} answered {other:?}", weight.words[0])));
                }
            }
        }
    }
    let after = settled_pss_bytes(server.pid, QUIET, PATIENCE)?;
    Ok(after.saturating_sub(before) as f64 / NUMBERS as f64)
}
