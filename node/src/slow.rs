//! The slow log and the latency monitor: what took too long, and when.
//!
//! Kept per core; SLOWLOG and LATENCY gather from all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::Args;
use ringfort_core::command::{Flags, Spec};

use crate::core::Core;

/// One slow command.
#[derive(Clone, Debug)]
pub struct SlowEntry {
    /// Unique in the node, and growing.
    pub id: u64,
    /// Microseconds since the Unix epoch.
    pub at_us: i64,
    pub took_us: u64,
    pub args: Vec<Vec<u8>>,
    /// CLIENT ID. Address and name follow the entry: when the round ends, or from the client's core.
    pub client: u64,
    pub peer: String,
    pub name: String,
}

/// Newest first.
#[derive(Debug, Default)]
pub struct SlowLog {
    pub entries: VecDeque<SlowEntry>,
    /// The core whose batch is being run.
    pub serving: Option<usize>,
    /// Entries of this core's clients without address: a client whose commands run is out of its place.
    unnamed: Vec<(u64, u64)>,
}

/// Redis keeps at most so many arguments of an entry, and so many bytes of each.
const ARGUMENTS_MAX: usize = 32;
const ARGUMENT_BYTES_MAX: usize = 128;

/// Samples kept per event.
const SAMPLES_MAX: usize = 160;

/// Latency events: per name the last samples (second, milliseconds) and the worst ever.
#[derive(Clone, Debug, Default)]
pub struct LatencyMonitor {
    pub events: BTreeMap<&'static str, LatencyEvent>,
}

#[derive(Clone, Debug, Default)]
pub struct LatencyEvent {
    pub samples: VecDeque<(i64, u64)>,
    pub worst_ms: u64,
}

impl LatencyMonitor {
    /// Adds the events of another core.
    pub fn merge(&mut self, other: &LatencyMonitor) {
        for (name, event) in &other.events {
            for (at_s, ms) in &event.samples {
                self.note(name, *at_s, *ms);
            }
            let own = self.events.entry(name).or_default();
            own.worst_ms = own.worst_ms.max(event.worst_ms);
            own.samples.make_contiguous().sort_unstable();
        }
    }

    /// Notes that `event` took `ms` milliseconds at second `at_s`; of one second the worst is kept.
    pub fn note(&mut self, event: &'static str, at_s: i64, ms: u64) {
        let event = self.events.entry(event).or_default();
        event.worst_ms = event.worst_ms.max(ms);
        match event.samples.back_mut() {
            Some((second, worst)) if *second == at_s => *worst = (*worst).max(ms),
            _ => {
                if event.samples.len() == SAMPLES_MAX {
                    event.samples.pop_front();
                }
                event.samples.push_back((at_s, ms));
            }
        }
    }
}

impl SlowLog {
    fn name_entry(&mut self, id: u64, known: (String, String)) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            (entry.peer, entry.name) = known;
        }
    }
}

/// The arguments as the slow log keeps them: long ones cut, many ones left out, with a word about it.
fn trimmed(args: &Args) -> Vec<Vec<u8>> {
    let kept = if args.len() > ARGUMENTS_MAX { ARGUMENTS_MAX - 1 } else { args.len() };
    let mut trimmed: Vec<Vec<u8>> = args
        .iter()
        .take(kept)
        .map(|arg| {
            if arg.len() <= ARGUMENT_BYTES_MAX {
                return arg.to_vec();
            }
            let mut cut = arg[..ARGUMENT_BYTES_MAX].to_vec();
            let more = arg.len() - ARGUMENT_BYTES_MAX;
            cut.extend_from_slice(format!("... ({more} more bytes)").as_bytes());
            cut
        })
        .collect();
    if kept < args.len() {
        trimmed.push(format!("... ({} more arguments)", args.len() - kept).into_bytes());
    }
    trimmed
}

impl Core {
    /// A command took at least as long as `slowlog-log-slower-than`, or may have as `latency-monitor-threshold`.
    #[cold]
    pub fn note_slow(&mut self, spec: &Spec, args: &Args, client: u64, ns: u64) {
        let us = ringfort_net::clock::wall_clock_us();
        if self.settings.latency_ms > 0 && ns / 1_000_000 >= self.settings.latency_ms {
            let event = if spec.flags.has(Flags::FAST) { "fast-command" } else { "command" };
            self.latency.note(event, us / 1_000_000, ns / 1_000_000);
        }
        if ns < self.settings.slow_ns
            || spec.flags.has(Flags::SKIP_SLOWLOG)
            || self.settings.slowlog_max == 0
        {
            return;
        }
        let id = self.shared.next_slow_entry.fetch_add(1, Relaxed);
        let took_us = ns / 1000;
        let (peer, name) = Default::default();
        let entry = SlowEntry { id, at_us: us, took_us, args: trimmed(args), client, peer, name };
        self.slow.entries.push_front(entry);
        self.slow.entries.truncate(self.settings.slowlog_max);
        if self.clients.contains_key(&client) {
            self.slow.unnamed.push((id, client));
            return;
        }
        match self.slow.serving {
            Some(home) => self.ask_name(home, client, id),
            None => {
                let own = self.id;
                for home in (0..self.cores).filter(|home| *home != own) {
                    self.ask_name(home, client, id);
                }
            }
        }
    }

    /// Completes the entries of this core's own clients. Before a connection goes, and when a round ends.
    #[inline]
    pub fn name_slow_entries(&mut self) {
        if self.slow.unnamed.is_empty() {
            return;
        }
        for (id, client) in std::mem::take(&mut self.slow.unnamed) {
            if let Some(known) = self.name_of(client) {
                self.slow.name_entry(id, known);
            }
        }
    }

    fn name_of(&mut self, client: u64) -> Option<(String, String)> {
        let connection = self.client(client)?;
        Some((connection.peer.clone(), connection.session.name.clone()))
    }

    /// Asks core `home` who the client of slow log entry `id` is. The question leaves before the command's
    /// reply, so the client is still there to be asked about.
    fn ask_name(&mut self, home: usize, client: u64, id: u64) {
        let asker = self.id;
        self.post(home, move |home| {
            let Some(known) = home.name_of(client) else {
                return;
            };
            home.post(asker, move |core| {
                core.slow.name_entry(id, known);
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfort_core::args::OwnedArgs;

    #[test]
    fn long_commands_are_cut() {
        let long = vec![b'x'; 200];
        let mut args = OwnedArgs::new([&b"mset"[..], &long]);
        assert_eq!(trimmed(&args.args())[1].len(), 128 + "... (72 more bytes)".len());
        for _ in 0..40 {
            args.push(b"k");
        }
        let kept = trimmed(&args.args());
        assert_eq!(kept.len(), 32);
        assert_eq!(kept[31], b"... (11 more arguments)");
    }

    #[test]
    fn of_one_second_the_worst_sample_is_kept() {
        let mut monitor = LatencyMonitor::default();
        monitor.note("command", 5, 10);
        monitor.note("command", 5, 30);
        monitor.note("command", 5, 20);
        monitor.note("command", 6, 1);
        let event = &monitor.events["command"];
        assert_eq!(event.samples, [(5, 30), (6, 1)]);
        assert_eq!(event.worst_ms, 30);
    }
}
