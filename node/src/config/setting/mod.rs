//! The types that values of directives have, each with how it is written and shown.

mod bind;
mod choice;
mod client_memory;
mod directory;
mod keyspace_events;
mod number;
mod oom_score_adj;
mod output_limits;
mod percentiles;
mod replica_of;
mod save_points;
mod shutdown_on;
mod text;

pub use bind::Bind;
pub use choice::*;
pub use client_memory::ClientMemory;
pub use directory::Directory;
pub use keyspace_events::KeyspaceEvents;
pub use oom_score_adj::OomScoreAdjValues;
pub use output_limits::{OutputLimit, OutputLimits};
pub use percentiles::Percentiles;
pub use replica_of::ReplicaOf;
pub use save_points::SavePoints;
pub use shutdown_on::ShutdownOn;
pub use text::{Secret, Text};

pub(super) use text::check;

/// `text` as a number the way C's `strtoll` reads a whole word: a sign and leading zeros are fine.
fn loose_integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
