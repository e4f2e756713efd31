//! The load tools of the field: redis-benchmark, always, and memtier_benchmark where it is on PATH. Here are
//! their command lines, and the reading of what they print.
//!
//! Both use the keys that `keys.rs` filled in, so that every GET finds its value. memtier does not pad the
//! numbers of its keys; the prefix `key:000000` with six-digit numbers gives nine tenths of the same keys.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::server::{display_command, find_on_path};

/// No single run takes longer; a tool that does is stopped and the run has failed.
const RUN_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verb {
    Get,
    Set,
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Set => "SET",
        }
    }
}

/// One load, whatever tool makes it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub verb: Verb,
    pub pipeline: usize,
    pub connections: usize,
    pub value_bytes: usize,
    /// Size of the key space, all of it present.
    pub keys: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tool {
    RedisBenchmark,
    Memtier,
}

impl Tool {
    pub fn name(self) -> &'static str {
        match self {
            Tool::RedisBenchmark => "redis-benchmark",
            Tool::Memtier => "memtier_benchmark",
        }
    }

    /// The tools found on PATH. Without redis-benchmark there is no comparison.
    pub fn find() -> Result<Vec<Tool>, Failure> {
        if find_on_path(Tool::RedisBenchmark.name()).is_none() {
            return Err(Failure::Setup(
                "redis-benchmark is not on PATH (Debian: redis-tools)".to_owned(),
            ));
        }
        let memtier = find_on_path(Tool::Memtier.name()).map(|_| Tool::Memtier);
        Ok([Some(Tool::RedisBenchmark), memtier].into_iter().flatten().collect())
    }

    /// How many requests this tool really makes when asked for `requests`: memtier counts by connection.
    pub fn whole_requests(self, load: &Load, requests: u64) -> u64 {
        match self {
            Tool::RedisBenchmark => requests,
            Tool::Memtier => {
                let connections = load.connections as u64;
                (requests / connections).max(1) * connections
            }
        }
    }

    pub fn command_line(self, load: &Load, requests: u64, port: &str) -> Vec<String> {
        let text = match self {
            Tool::RedisBenchmark => format!(
                "redis-benchmark -p {port} -t {} -d {} -r {} -c {} -P {} -n {requests} --csv",
                load.verb.name().to_lowercase(),
                load.value_bytes,
                load.keys,
                load.connections,
                load.pipeline,
            ),
            Tool::Memtier => format!(
                "memtier_benchmark -s 127.0.0.1 -p {port} -t 1 -c {} --pipeline={} -n {} -d {} \
                 --ratio={} --key-prefix=key:000000 --key-minimum={} --key-maximum={} \
                 --key-pattern=R:R --hide-histogram",
                load.connections,
                load.pipeline,
                self.whole_requests(load, requests) / load.connections as u64,
                load.value_bytes,
                match load.verb {
                    Verb::Get => "0:1",
                    Verb::Set => "1:0",
                },
                load.keys / 10,
                load.keys - 1,
            ),
        };
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Runs the load against the server on `port` from `cpus`, and returns requests per second as the tool
    /// counted them.
    pub fn run(
        self,
        load: &Load,
        requests: u64,
        port: u16,
        cpus: &[usize],
    ) -> Result<f64, Failure> {
        let words = self.command_line(load, requests, &port.to_string());
        let output = run_bounded(&words, cpus, RUN_MAX)?;
        let parsed = match self {
            Tool::RedisBenchmark => parse_redis_benchmark_csv(&output, load.verb.name()),
            Tool::Memtier => parse_memtier_totals(&output),
        };
        parsed.ok_or_else(|| {
            let shown: String = output.chars().take(300).collect();
            Failure::tool(self.name(), format!("'{}' printed: {shown}", display_command(&words)))
        })
    }
}

/// Runs a command pinned to `cpus` and returns what it printed; stops it when it takes longer than `limit`.
fn run_bounded(words: &[String], cpus: &[usize], limit: Duration) -> Result<String, Failure> {
    let cpu_list: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let shown = display_command(words);
    let mut child = Command::new("taskset")
        .args(["-c", &cpu_list.join(",")])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Failure::io(format!("starting {shown}")))?;
    let mut stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(stdout) = stdout.as_mut() {
            let _ = stdout.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(Failure::io("waiting for a load tool"))? {
            break status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::tool(
                &words[0],
                format!("'{shown}' took longer than {} s", limit.as_secs()),
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = reader.join().unwrap_or_default();
    if status.success() {
        Ok(text)
    } else {
        Err(Failure::tool(&words[0], format!("'{shown}' ended with {status}: {text}")))
    }
}

/// Requests per second of one test in the output of `redis-benchmark --csv`, whose first line names the
/// columns. Test names may carry more than the command ("MSET (10 keys)").
pub fn parse_redis_benchmark_csv(text: &str, test: &str) -> Option<f64> {
    let mut lines = text.lines().filter(|line| line.starts_with('"'));
    let column = csv_fields(lines.next()?).position(|name| name == "rps")?;
    lines.find_map(|line| {
        let mut fields = csv_fields(line);
        if fields.next()? != test {
            return None;
        }
        // `next` above has eaten the first column.
        let value: f64 = fields.nth(column.checked_sub(1)?)?.parse().ok()?;
        (value > 0.0).then_some(value)
    })
}

/// Fields of a line in which every field is quoted and none holds a quote.
fn csv_fields(line: &str) -> impl Iterator<Item = &str> {
    line.trim().trim_matches('"').split("\",\"")
}

/// Operations per second from the `Totals` line of memtier's summary.
pub fn parse_memtier_totals(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.trim_start().starts_with("Totals"))?;
    let value: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    (value > 0.0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Load =
        Load { verb: Verb::Get, pipeline: 16, connections: 50, value_bytes: 64, keys: 1_000_000 };

    #[test]
    fn redis_benchmark_csv_is_read_by_column_name() {
        let text = "\"test\",\"rps\",\"avg_latency_ms\"\n\"SET\",\"1111111.12\",\"0.577\"\n\"GET\",\"1428571.38\",\"0.380\"\n";
        assert_eq!(parse_redis_benchmark_csv(text, "GET"), Some(1_428_571.38));
        assert_eq!(parse_redis_benchmark_csv(text, "SET"), Some(1_111_111.12));
        assert_eq!(parse_redis_benchmark_csv(text, "MSET"), None);
        let moved = "\"test\",\"new\",\"rps\"\n\"GET\",\"7\",\"42.0\"\n";
        assert_eq!(parse_redis_benchmark_csv(moved, "GET"), Some(42.0));
    }

    #[test]
    fn redis_benchmark_output_that_is_no_result_is_refused() {
        for text in [
            "",
            "Error from server: ERR unknown command",
            "\"test\",\"rps\"\n\"GET\",\"inf\"x",
            "\"test\",\"rps\"\n\"GET\",\"0.00\"\n",
            "\"test\",\"avg\"\n\"GET\",\"1.0\"\n",
        ] {
            assert_eq!(parse_redis_benchmark_csv(text, "GET"), None, "{text}");
        }
    }

    #[test]
    fn memtier_totals_are_read() {
        let text = "ALL STATS\n\
            ====\n\
            Type         Ops/sec     Hits/sec   Misses/sec    Avg. Latency     p50 Latency   KB/sec\n\
            ----\n\
            Sets            0.00          ---          ---             ---             ---     0.00\n\
            Gets       152371.12    152371.12         0.00         0.32767         0.31900  5790.14\n\
            Waits           0.00          ---          ---             ---             ---      ---\n\
            Totals     152371.13    152371.12         0.00         0.32767         0.31900  5790.14\n";
        assert_eq!(parse_memtier_totals(text), Some(152_371.13));
        assert_eq!(parse_memtier_totals("Totals nan"), None);
        assert_eq!(parse_memtier_totals(""), None);
    }

    #[test]
    fn command_lines_say_the_load() {
        assert_eq!(
            Tool::RedisBenchmark.command_line(&LOAD, 1000, "PORT").join(" "),
            "redis-benchmark -p PORT -t get -d 64 -r 1000000 -c 50 -P 16 -n 1000 --csv"
        );
        let memtier = Tool::Memtier.command_line(&LOAD, 1030, "PORT").join(" ");
        assert!(memtier.contains(
            "--ratio=0:1 --key-prefix=key:000000 --key-minimum=100000 --key-maximum=999999"
        ));
        assert!(memtier.contains("-n 20 "));
        assert_eq!(Tool::Memtier.whole_requests(&LOAD, 1030), 1000);
        assert_eq!(Tool::RedisBenchmark.whole_requests(&LOAD, 1030), 1030);
    }

    #[test]
    fn a_tool_that_hangs_is_stopped() {
        let words = ["sleep", "100"].map(str::to_owned);
        let cpus = crate::machine::allowed_cpus().unwrap();
        let result = run_bounded(&words, &cpus, Duration::from_millis(50));
        assert!(matches!(result, Err(Failure::Tool { .. })));
    }

    #[test]
    fn a_tool_that_fails_says_so() {
        let words = ["false"].map(str::to_owned);
        let cpus = crate::machine::allowed_cpus().unwrap();
        assert!(run_bounded(&words, &cpus, Duration::from_secs(20)).is_err());
    }
}
