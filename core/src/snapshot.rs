//! One shard's part of a snapshot: all of its databases as they stood at a cut.
//!
//! The node makes the cut, with all shards stopped: every shard calls [`begin`] in one transaction. Then each shard
//! brings its part bit by bit ([`step`]) while commands go on changing it. What writes handed over comes before the
//! sweep goes on, so that what waits in memory stays little.
//!
//! A large collection comes in several parts ([`Captured::is_open`]), between which nothing else may be put.
//!
//! Deliberately absent: where the bytes go, the frame around them, and how often a step is taken.

use crate::shard::Shard;
use crate::store::{Captured, Detached};

pub use crate::store::CaptureOptions as Options;

/// What a database held at the cut, on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSize {
    pub keys: u64,
    pub expiring: u64,
}

/// The cut. Returns the sizes of all databases.
///
/// # Panics
/// If the last snapshot is still under way ([`is_under_way`]).
pub fn begin(shard: &mut Shard, options: Options) -> Vec<DatabaseSize> {
    let Shard { databases, settings, .. } = shard;
    let databases = databases.iter_mut().enumerate();
    databases
        .map(|(number, database)| {
            database.begin_capture(number, options, settings);
            DatabaseSize { keys: database.len() as u64, expiring: database.expiring_len() as u64 }
        })
        .collect()
}

/// Whether there is something left to bring, or to sweep after a snapshot was given up.
pub fn is_under_way(shard: &Shard) -> bool {
    shard.databases.iter().any(|database| database.is_captured())
}

/// Bytes that writes have handed over and no step has brought.
pub fn handed_over_bytes(shard: &Shard) -> usize {
    shard.databases.iter().map(|database| database.handed_over_bytes()).sum()
}

/// The next part, of one database, after a look at about `entries_max` entries at most. `None`: all was brought. A part
/// may be empty.
pub fn step(shard: &mut Shard, entries_max: usize, freed: &mut Vec<Detached>) -> Option<Captured> {
    while let Some(next) = next_database(shard) {
        let captured = shard.databases[next].capture_some(entries_max, freed);
        if captured.is_some() {
            return captured;
        }
    }
    None
}

/// The database whose last part ended in the middle of an entry, or else the one with most to fetch: what was handed over
/// waits in memory, the rest lies where it lies.
fn next_database(shard: &Shard) -> Option<usize> {
    let databases = shard.databases.iter().enumerate().filter(|(_, each)| each.is_captured());
    let next = databases.max_by_key(|(_, each)| (each.is_capture_open(), each.handed_over_bytes()));
    next.map(|(number, _)| number)
}

/// Nobody wants the rest. [`step`] must still be called to its end before the next [`begin`], and brings nothing.
pub fn give_up(shard: &mut Shard) {
    shard.databases.iter_mut().for_each(|database| database.give_up_capture());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::{NOW, TestShard};
    use crate::rdb::Format;
    use crate::rdb::opcode;
    use crate::shard::Policy;

    /// The counter was written as it stood when the key was last used: a key that nobody had asked for since came back
    /// as one in use. It is now the counter of the cut, as OBJECT FREQ shows it.
    #[test]
    fn a_snapshot_holds_the_counters_of_its_cut() {
        let mut test = TestShard::default();
        test.shard.settings.maxmemory_policy = Policy::AllKeysLfu;
        test.run("SET a b");
        let later = NOW + 3 * 60_000;
        let options = Options {
            format: Format { version: 10, compress: false },
            reference_bytes_min: 1024,
            held_bytes_min: 1024,
            part_bytes: 1024,
            now: later,
        };
        begin(&mut test.shard, options);
        let captured = step(&mut test.shard, 100, &mut Vec::new()).expect("one key");
        let bytes = captured.bytes.into_list().concat();
        test.now = later;
        let counter = test.run("OBJECT FREQ a");
        assert_eq!(counter, "2");
        assert_eq!(bytes[..2], [opcode::FREQUENCY, 2], "{bytes:?}");
    }

    /// What was overwritten between two steps came in one part, however much that was.
    #[test]
    fn what_was_overwritten_comes_in_parts_of_the_size_asked_for() {
        let mut test = TestShard::default();
        for number in 0..100 {
            test.run(&format!("SET key:{number} {}", "x".repeat(100)));
        }
        let options = Options {
            format: Format { version: 10, compress: false },
            reference_bytes_min: 1 << 20,
            held_bytes_min: 1 << 20,
            part_bytes: 1000,
            now: NOW,
        };
        begin(&mut test.shard, options);
        for number in 0..100 {
            test.run(&format!("SET key:{number} new"));
        }
        assert!(handed_over_bytes(&test.shard) > 100 * 100);
        let (mut entries, mut parts) = (0, 0);
        while let Some(captured) = step(&mut test.shard, 100, &mut Vec::new()) {
            assert!(captured.bytes.len() < 1000 + 150, "{}", captured.bytes.len());
            entries += captured.entries;
            parts += 1;
        }
        assert_eq!((entries, handed_over_bytes(&test.shard)), (100, 0));
        assert!(parts >= 10, "{parts}");
    }
}
