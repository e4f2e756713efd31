//! One connection, one request at a time: the round trip that an application without a pipeline sees.

use std::time::{Duration, Instant};

use crate::client::{Client, Reply};
use crate::error::Failure;
use crate::generator::Random;
use crate::keys::KeyShape;

/// Median and 99th percentile of the round trips of one run, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct RoundTrips {
    pub median_us: f64,
    pub p99_us: f64,
}

/// GETs of random keys out of `keys`, all of them present, for `warm_up` and then `window`.
pub fn probe(
    client: &mut Client,
    keys: u64,
    warm_up: Duration,
    window: Duration,
) -> Result<RoundTrips, Failure> {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut key = Vec::new();
    let mut nanoseconds: Vec<u64> = Vec::with_capacity(1 << 16);
    let begin = Instant::now();
    let measure_from = begin + warm_up;
    let end = measure_from + window;
    loop {
        key.clear();
        KeyShape::Benchmark.write(random.below(keys), &mut key);
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        match client.command(&[b"GET", &key]).map_err(Failure::io("probing the latency"))? {
            Reply::Bulk(Some(_)) => {}
            other => return Err(Failure::Setup(format!("GET answered {other:?}"))),
        }
        if sent >= measure_from {
            nanoseconds.push(sent.elapsed().as_nanos() as u64);
        }
    }
    summarise(&mut nanoseconds).ok_or_else(|| Failure::Setup("no round trip measured".to_owned()))
}

fn summarise(nanoseconds: &mut [u64]) -> Option<RoundTrips> {
    if nanoseconds.is_empty() {
        return None;
    }
    nanoseconds.sort_unstable();
    let at = |percent: usize| {
        let index = (nanoseconds.len() - 1) * percent / 100;
        nanoseconds[index] as f64 / 1_000.0
    };
    Some(RoundTrips { median_us: at(50), p99_us: at(99) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_round_trips() {
        let mut times: Vec<u64> = (1..=101).rev().map(|value| value * 1_000).collect();
        let trips = summarise(&mut times).unwrap();
        assert_eq!((trips.median_us, trips.p99_us), (51.0, 100.0));
        assert!(summarise(&mut []).is_none());
    }
}
