//! What the log says while the node starts. Supervisors and public test suites wait for these words, so they
//! are Redis's where those look: ` PID: <pid>`, `Server initialized`, `Ready to accept connections tcp`.

use crate::config::{Config, Loaded, REDIS_VERSION, RINGFORT_VERSION};
use crate::log;
use std::fmt::Write;
use std::io::IsTerminal;

/// Where clients may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    pub tcp: bool,
    pub unix: bool,
}

/// What `--version` prints.
pub fn version_line() -> String {
    format!(
        "Ringfort server v={RINGFORT_VERSION} redis_version={REDIS_VERSION} bits={}\n",
        usize::BITS
    )
}

pub fn announce_start(loaded: &Loaded) {
    crate::notice!("oO0OoO0OoO0Oo Ringfort is starting oO0OoO0OoO0Oo");
    crate::notice!(
        "Ringfort version={RINGFORT_VERSION}, Redis version={REDIS_VERSION}, bits={}, pid={}, just started",
        usize::BITS,
        std::process::id()
    );
    if loaded.all_defaults {
        crate::warning!(
            "Warning: no config file specified, using the default config. In order to specify a \
             config file use ringfort /path/to/redis.conf"
        );
    } else {
        crate::notice!("Configuration loaded");
    }
    if let Some(warning) = loaded.unused_warning() {
        crate::warning!("{warning}");
    }
    let maxmemory = loaded.config.memory.maxmemory_bytes;
    if (1..1 << 20).contains(&maxmemory) {
        crate::warning!(
            "WARNING: You specified a maxmemory value that is less than 1MB (current value is \
             {maxmemory} bytes). Are you sure this is what you really want?"
        );
    }
    warn_of_small_backlog(&loaded.config);
}

/// Says how the node runs. `cpus` are those the process may use: one per core in their order, if there are
/// enough, else shared by all.
pub fn announce_running(config: &Config, shards: usize, cpus: &[usize]) {
    let pid = std::process::id();
    let port = config.network.port;
    let used = if shards <= cpus.len() { &cpus[..shards] } else { cpus };
    let cpus = used.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let on_terminal = config.process.logfile.is_empty() && std::io::stdout().is_terminal();
    if config.process.always_show_logo || on_terminal {
        log::raw(&logo(port, shards, &cpus, pid));
    }
    crate::notice!(
        "Running mode=standalone, port={port}, shards={shards}, cores={cpus}, PID: {pid}"
    );
}

fn logo(port: u16, shards: usize, cpus: &str, pid: u32) -> String {
    let mut logo = String::new();
    let rows = [
        r"      .-'''''-.      ",
        r"    .'  .---.  '.    ",
        r"   /  .'     '.  \   ",
        r"  |  /    o    \  |  ",
        r"   \  '.     .'  /   ",
        r"    '.  '- -'  .'    ",
        r"      '-.   .-'      ",
    ];
    let texts = [
        String::new(),
        format!("Ringfort {RINGFORT_VERSION} (Redis {REDIS_VERSION}) {} bit", usize::BITS),
        String::new(),
        "Running in standalone mode".into(),
        format!("Port: {port}"),
        format!("Shards: {shards}, on CPUs {cpus}"),
        format!("PID: {pid}"),
    ];
    logo.push('\n');
    for (row, text) in rows.iter().zip(texts) {
        let _ = writeln!(logo, "{}", format!("{row} {text}").trim_end());
    }
    logo.push('\n');
    logo
}

/// Before any loading, once the listeners are open.
pub fn announce_initialized() {
    crate::notice!("Server initialized");
}

pub(super) fn announce_ready(listening: Listening) {
    if listening.tcp {
        crate::notice!("Ready to accept connections tcp");
    }
    if listening.unix {
        crate::notice!("Ready to accept connections unix");
    }
}

/// For a listener that cannot be opened; the process should end with status 1. `kind` is `tcp` or `unix`.
pub fn failed_listening(port: u16, kind: &str) {
    crate::warning!("Failed listening on port {port} ({kind}), aborting.");
}

fn warn_of_small_backlog(config: &Config) {
    let backlog = config.network.tcp_backlog;
    let path = "/proc/sys/net/core/somaxconn";
    let limit = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok());
    if let Some(limit @ 1..) = limit {
        if limit < backlog {
            crate::warning!(
                "WARNING: The TCP backlog setting of {backlog} cannot be enforced because {path} \
                 is set to the lower value of {limit}."
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logo_names_the_process_as_test_suites_expect() {
        let logo = logo(6379, 2, "0,1", 4242);
        assert!(logo.contains(" PID: 4242\n"));
        assert!(logo.contains(" Port: 6379\n"));
    }
}
