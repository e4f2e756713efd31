//! What the project set itself against the reference peer (the newest Valkey), and the comparison with what
//! was measured. A figure that is missed is printed like one that is reached.

use crate::tools::Verb;

/// A limit on a ratio, or on a plain figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub fn is_reached(self, measured: f64) -> bool {
        match self {
            Goal::AtMost(limit) => measured <= limit,
            Goal::AtLeast(limit) => measured >= limit,
        }
    }

    pub fn text(self) -> String {
        match self {
            Goal::AtMost(limit) => format!("≤ {limit}"),
            Goal::AtLeast(limit) => format!("≥ {limit}"),
        }
    }
}

/// Server CPU per request, as a ratio to the reference peer.
pub fn cpu(verb: Verb, pipeline: usize) -> Option<Goal> {
    match (verb, pipeline) {
        (_, 1) => Some(Goal::AtMost(0.9)),
        (Verb::Get, 16) => Some(Goal::AtMost(0.5)),
        (Verb::Set, 16) => Some(Goal::AtMost(0.55)),
        (Verb::Get, 100) => Some(Goal::AtMost(0.4)),
        (Verb::Set, 100) => Some(Goal::AtMost(0.5)),
        _ => None,
    }
}

/// Requests per second, as a ratio to the reference peer.
pub fn throughput(pipeline: usize) -> Option<Goal> {
    match pipeline {
        1 => Some(Goal::AtLeast(1.05)),
        16 => Some(Goal::AtLeast(1.7)),
        100 => Some(Goal::AtLeast(1.8)),
        _ => None,
    }
}

/// Median round trip of one connection, as a ratio to the reference peer.
pub fn latency(spinning: bool) -> Goal {
    Goal::AtMost(if spinning { 0.6 } else { 1.0 })
}

/// CPU per request of two shards, as a ratio to one shard. Writes under strict order have no limit: as near
/// as it gets.
pub fn two_shards(verb: Verb) -> Option<Goal> {
    (verb == Verb::Get).then_some(Goal::AtMost(1.5))
}

/// Growth of the process in bytes per key, 11-byte keys with 32-byte values.
pub const BYTES_PER_KEY: Goal = Goal::AtMost(62.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_include_their_own_value() {
        assert!(Goal::AtMost(0.5).is_reached(0.5));
        assert!(!Goal::AtMost(0.5).is_reached(0.51));
        assert!(Goal::AtLeast(1.7).is_reached(1.7));
        assert!(!Goal::AtLeast(1.7).is_reached(1.69));
    }
}
