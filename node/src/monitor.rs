//! MONITOR: every command as a line, to the clients that asked for it.
//!
//! The core that runs a command on its shard writes the line, so that a monitor sees each shard's commands in
//! their order; lines of one round leave together. What ran with several shards stopped is told by the core
//! that coordinated it, between what those shards told before and what they tell afterwards ([`feed_stopped`]).

use std::io::Write;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::Args;
use ringfort_core::command::{Flags, Spec};
use ringfort_core::sequencer::ShardSet;

use crate::connection::Connection;
use crate::core::Core;
use crate::dispatch::BACKLOG_MESSAGES_MAX;
use crate::tasks::CoreHandle;

/// Lines kept for a core that does not take them, in bytes; its monitors are closed when there are more.
const LINES_BYTES_MAX: usize = 64 << 20;

/// A core's monitors, and the lines for those of all cores.
#[derive(Debug, Default)]
pub struct Monitors {
    /// Places of this core's connections in MONITOR.
    connections: Vec<u32>,
    /// Lines to be sent, per core.
    lines: Vec<Vec<u8>>,
    has_lines: bool,
}

impl Monitors {
    pub fn new(cores: usize) -> Self {
        Monitors { lines: vec![Vec::new(); cores], ..Monitors::default() }
    }

    #[inline]
    pub fn has_lines(&self) -> bool {
        self.has_lines
    }
}

impl Core {
    /// Tells the monitors of a command of a connection of this core.
    #[cold]
    pub fn monitor_command(&mut self, connection: &Connection, args: &Args, spec: &Spec) {
        let label = label(connection);
        let mut line = Vec::new();
        write_line(&mut line, connection.session.database, &label, args, spec);
        self.tell_monitors(&line);
    }

    /// How lines name the client, if there are monitors.
    #[inline]
    pub fn monitor_label(&self, connection: &Connection) -> Option<Box<str>> {
        (self.shared.monitors.load(Relaxed) > 0).then(|| label(connection))
    }

    /// Keeps lines for the monitors of all cores.
    pub fn tell_monitors(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        for to in 0..self.cores {
            if self.shared.cores[to].monitors.load(Relaxed) > 0 {
                self.monitors.lines[to].extend_from_slice(lines);
                self.monitors.has_lines = true;
            }
        }
    }

    /// At the end of a round: sends the lines to where monitors are.
    #[cold]
    pub fn send_monitor_lines(&mut self) {
        self.monitors.has_lines = false;
        for to in 0..self.cores {
            if to == self.id || self.mailbox.overflow_len(to) <= BACKLOG_MESSAGES_MAX {
                self.send_lines_to(to);
            } else if self.monitors.lines[to].len() > LINES_BYTES_MAX {
                self.monitors.lines[to] = Vec::new();
                self.post(to, Core::close_monitors);
            } else {
                self.monitors.has_lines |= !self.monitors.lines[to].is_empty();
            }
        }
    }

    fn send_lines_to(&mut self, to: usize) {
        let lines = std::mem::take(&mut self.monitors.lines[to]);
        if !lines.is_empty() {
            self.post(to, move |core| {
                for index in core.monitors.connections.clone() {
                    core.deliver(index, &lines);
                }
            });
        }
    }

    fn close_monitors(&mut self) {
        crate::warning!("Closing the clients in MONITOR of core {}: it cannot keep up.", self.id);
        for index in self.monitors.connections.clone() {
            self.close_connection(index);
        }
    }

    /// The connection is a monitor from now on.
    pub fn begin_monitor(&mut self, connection: &mut Connection) {
        // Lines of this round are of commands before this one.
        if self.monitors.has_lines() {
            self.send_monitor_lines();
        }
        connection.session.monitor = true;
        self.monitors.connections.push(connection.token.0 as u32);
        self.shared.cores[self.id].monitors.fetch_add(1, Relaxed);
        self.shared.monitors.fetch_add(1, Relaxed);
    }

    /// The connection is closed or reset.
    pub fn end_monitor(&mut self, connection: &mut Connection) {
        connection.session.monitor = false;
        let place = connection.token.0 as u32;
        self.monitors.connections.retain(|index| *index != place);
        self.shared.cores[self.id].monitors.fetch_sub(1, Relaxed);
        self.shared.monitors.fetch_sub(1, Relaxed);
    }
}

/// Tells the monitors of what ran, or is about to run, with `shards` stopped: behind all that these shards have
/// told, and before anything they will tell.
pub async fn feed_stopped(core: &CoreHandle, shards: ShardSet, lines: &[u8]) {
    settle(core, shards).await;
    let here = {
        let mut core = core.borrow_mut();
        core.tell_monitors(lines);
        core.id
    };
    settle(core, [here].into_iter().collect()).await;
}

/// Waits until the lines that `cores` have written so far have reached all monitors.
async fn settle(core: &CoreHandle, cores: ShardSet) {
    let arrivals: Vec<_> = {
        let mut core = core.borrow_mut();
        let here = core.id;
        let monitoring: Vec<usize> = (0..core.cores)
            .filter(|to| core.shared.cores[*to].monitors.load(Relaxed) > 0)
            .collect();
        let pairs = cores.iter().flat_map(|from| monitoring.iter().map(move |to| (from, *to)));
        pairs
            .map(|(from, to)| {
                let (number, answer) = core.calls.expect();
                core.post(from, move |core| {
                    core.send_lines_to(to);
                    core.post(to, move |core| {
                        core.post(here, move |core| core.calls.finish(number, Box::new(())));
                    });
                });
                answer
            })
            .collect()
    };
    futures_util::future::join_all(arrivals).await;
}

fn label(connection: &Connection) -> Box<str> {
    if connection.is_unix() {
        let path = connection.peer.strip_suffix(":0").unwrap_or(&connection.peer);
        return format!("unix:{path}").into();
    }
    connection.peer.as_str().into()
}

/// Appends the line of a command, if monitors may see it: `+<seconds>.<microseconds> [<db> <client>] "<arg>" …`.
pub fn write_line(lines: &mut Vec<u8>, database: usize, label: &str, args: &Args, spec: &Spec) {
    if spec.flags.has(Flags::ADMIN) || spec.flags.has(Flags::SKIP_MONITOR) {
        return;
    }
    let us = ringfort_net::clock::wall_clock_us();
    let (seconds, rest) = (us / 1_000_000, us % 1_000_000);
    write!(lines, "+{seconds}.{rest:06} [{database} {label}]").expect("a Vec takes all");
    let secrets = secrets(spec, args);
    for (at, arg) in args.iter().enumerate() {
        lines.push(b' ');
        write_quoted(lines, if secrets.contains(&at) { b"(redacted)" } else { arg });
    }
    lines.extend_from_slice(b"\r\n");
}

/// The positions of names and passwords.
fn secrets(spec: &Spec, args: &Args) -> std::ops::Range<usize> {
    match spec.name {
        "auth" => 1..args.len(),
        "hello" => match (2..args.len()).find(|at| args.is(*at, "auth")) {
            Some(at) => at + 1..at + 3,
            None => 0..0,
        },
        _ => 0..0,
    }
}

/// In quotes, with what is not printable as an escape.
fn write_quoted(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => write!(out, "\\x{byte:02x}").expect("a Vec takes all"),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfort_core::args::OwnedArgs;
    use ringfort_core::command;

    #[track_caller]
    fn check(words: &[&[u8]], expected: &str) {
        let owned = OwnedArgs::new(words.iter().copied());
        let spec = command::resolve(&owned.args()).expect("a command");
        let mut line = Vec::new();
        write_line(&mut line, 3, "127.0.0.1:5000", &owned.args(), spec);
        let line = String::from_utf8(line).unwrap();
        let rest = line.split_once(" [3 127.0.0.1:5000] ").map_or("", |(_, rest)| rest);
        assert_eq!(rest, expected);
    }

    #[test]
    fn lines_quote_arguments_as_redis_does() {
        check(&[b"set", b"k", b"v"], "\"set\" \"k\" \"v\"\r\n");
        check(
            &[b"ECHO", b"a\"\\\n\r\t\x07\x08\x00\x7f\xff b~"],
            "\"ECHO\" \"a\\\"\\\\\\n\\r\\t\\a\\b\\x00\\x7f\\xff b~\"\r\n",
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        check(&[b"AUTH", b"secret"], "\"AUTH\" \"(redacted)\"\r\n");
        check(&[b"auth", b"user", b"secret"], "\"auth\" \"(redacted)\" \"(redacted)\"\r\n");
        check(
            &[b"hello", b"3", b"setname", b"n", b"auth", b"user", b"secret"],
            "\"hello\" \"3\" \"setname\" \"n\" \"auth\" \"(redacted)\" \"(redacted)\"\r\n",
        );
    }

    #[test]
    fn administration_is_not_shown() {
        check(&[b"config", b"get", b"requirepass"], "");
        check(&[b"client", b"list"], "");
    }
}
