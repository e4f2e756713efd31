//! Statistics per command and per error code: INFO commandstats, errorstats, latencystats, LATENCY HISTOGRAM.
//!
//! One set per core, merged when somebody asks.

use std::collections::BTreeMap;

use ringfort_core::command::{Spec, table};

/// Powers of two of nanoseconds, four steps each: a percentile is at most a quarter off.
const STEPS: usize = 4;
const BUCKETS: usize = 40 * STEPS;

#[derive(Clone, Debug)]
pub struct CommandCounter {
    pub calls: u64,
    pub ns: u64,
    pub rejected: u64,
    pub failed: u64,
    /// Calls by duration; allocated at the first call.
    pub histogram: Vec<u32>,
}

/// Different error codes counted; more are an attack on memory.
const ERROR_CODES_MAX: usize = 128;

#[derive(Clone, Debug)]
pub struct CommandStats {
    pub commands: Vec<CommandCounter>,
    pub errors: BTreeMap<Box<str>, u64>,
    pub error_replies: u64,
    pub track_latency: bool,
}

impl CommandStats {
    pub fn new() -> Self {
        let counter =
            CommandCounter { calls: 0, ns: 0, rejected: 0, failed: 0, histogram: Vec::new() };
        CommandStats {
            commands: vec![counter; table::COUNT],
            errors: BTreeMap::new(),
            error_replies: 0,
            track_latency: true,
        }
    }

    /// A command ran for `ns` nanoseconds.
    #[inline]
    pub fn ran(&mut self, spec: &Spec, ns: u64, failed: bool) {
        let counter = &mut self.commands[spec.id()];
        counter.calls += 1;
        counter.ns += ns;
        counter.failed += u64::from(failed);
        if self.track_latency {
            if counter.histogram.is_empty() {
                counter.histogram = vec![0; BUCKETS];
            }
            let bucket = &mut counter.histogram[bucket_of(ns)];
            *bucket = bucket.saturating_add(1);
        }
    }

    /// A command was refused before it ran.
    pub fn rejected(&mut self, spec: &Spec) {
        self.commands[spec.id()].rejected += 1;
    }

    /// An error reply was given, beginning with its code.
    #[cold]
    pub fn error(&mut self, text: &[u8]) {
        self.error_replies += 1;
        let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let code = String::from_utf8_lossy(code);
        if let Some(count) = self.errors.get_mut(&*code) {
            *count += 1;
        } else if self.errors.len() < ERROR_CODES_MAX {
            self.errors.insert(code.into(), 1);
        }
    }

    /// Adds the counts of another core.
    pub fn merge(&mut self, other: &CommandStats) {
        for (own, other) in self.commands.iter_mut().zip(&other.commands) {
            own.calls += other.calls;
            own.ns += other.ns;
            own.rejected += other.rejected;
            own.failed += other.failed;
            if own.histogram.is_empty() {
                own.histogram = other.histogram.clone();
            } else {
                for (own, other) in own.histogram.iter_mut().zip(&other.histogram) {
                    *own = own.saturating_add(*other);
                }
            }
        }
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        self.error_replies += other.error_replies;
    }
}

impl Default for CommandStats {
    fn default() -> Self {
        Self::new()
    }
}

impl CommandCounter {
    /// The duration in nanoseconds that `percent` of the calls did not exceed.
    pub fn percentile_ns(&self, percent: f64) -> u64 {
        let calls: u64 = self.histogram.iter().map(|count| u64::from(*count)).sum();
        let wanted = (calls as f64 * percent / 100.0).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.histogram.iter().enumerate() {
            seen += u64::from(*count);
            if *count > 0 && seen >= wanted {
                return bucket_end_ns(bucket);
            }
        }
        0
    }

    /// Calls that took at most `2^n` microseconds, for each n with calls: cumulative, as LATENCY HISTOGRAM
    /// gives them.
    pub fn histogram_us(&self) -> Vec<(u64, u64)> {
        let mut result: Vec<(u64, u64)> = Vec::new();
        let mut seen = 0;
        for (bucket, count) in self.histogram.iter().enumerate() {
            if *count == 0 {
                continue;
            }
            seen += u64::from(*count);
            let us = (bucket_end_ns(bucket).div_ceil(1000)).max(1).next_power_of_two();
            match result.last_mut() {
                Some(last) if last.0 == us => last.1 = seen,
                _ => result.push((us, seen)),
            }
        }
        result
    }
}

#[inline]
fn bucket_of(ns: u64) -> usize {
    let ns = ns.max(STEPS as u64);
    let power = ns.ilog2() as usize;
    let step = (ns >> (power - 2)) as usize & (STEPS - 1);
    ((power - 2) * STEPS + step).min(BUCKETS - 1)
}

/// The longest duration that falls into `bucket`.
fn bucket_end_ns(bucket: usize) -> u64 {
    let (power, step) = (bucket / STEPS + 2, bucket % STEPS);
    ((STEPS + step + 1) as u64) << (power - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_that_ends_at_most_a_quarter_above() {
        for ns in (4..100_000).step_by(7) {
            let end = bucket_end_ns(bucket_of(ns));
            assert!(ns <= end && end <= ns + ns / 4 + 2, "{ns} ends at {end}");
        }
    }

    #[test]
    fn percentiles_come_from_the_merged_counts() {
        let spec = ringfort_core::command::lookup(b"get").unwrap();
        let (mut a, mut b) = (CommandStats::new(), CommandStats::new());
        for _ in 0..99 {
            a.ran(spec, 1000, false);
        }
        b.ran(spec, 1_000_000, true);
        a.merge(&b);
        let counter = &a.commands[spec.id()];
        assert_eq!((counter.calls, counter.failed), (100, 1));
        assert!((1000..1300).contains(&counter.percentile_ns(50.0)));
        assert!((1_000_000..1_300_000).contains(&counter.percentile_ns(100.0)));
        assert_eq!(counter.histogram_us().last().unwrap().1, 100);
    }

    #[test]
    fn errors_are_counted_by_code_and_bounded() {
        let mut stats = CommandStats::new();
        stats.error(b"WRONGTYPE Operation");
        for code in 0..1000 {
            stats.error(format!("E{code} x").as_bytes());
        }
        assert_eq!(stats.errors["WRONGTYPE"], 1);
        assert_eq!(stats.errors.len(), ERROR_CODES_MAX);
        assert_eq!(stats.error_replies, 1001);
    }
}
