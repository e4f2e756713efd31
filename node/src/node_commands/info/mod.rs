//! INFO: the sections of Redis 7.2 with its field names, and one of our own.
//!
//! Gathers from all cores without stopping any: the figures of two cores may be some microseconds apart.

mod gather;
pub mod process;

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::command::table;
use ringfort_core::error::Error;

use crate::client::Client;
use crate::config::{Config, Percentiles, REDIS_VERSION, RINGFORT_VERSION};
use crate::core::Core;
use crate::replication::lock;
use gather::Summary;

/// Sections in the order of a whole INFO; those of `default` first.
const DEFAULT: [&str; 11] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "errorstats",
    "cluster",
    "keyspace",
];
const ALL: [&str; 14] = [
    "server",
    "clients",
    "memory",
    "persistence",
    "stats",
    "replication",
    "cpu",
    "modules",
    "commandstats",
    "errorstats",
    "latencystats",
    "cluster",
    "keyspace",
    "ringfort",
];

pub async fn run(client: Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let mut wanted: Vec<&str> = Vec::new();
    let asked: Vec<String> = args
        .args()
        .from(1)
        .iter()
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
        .collect();
    if asked.is_empty() {
        wanted.extend(DEFAULT);
    }
    for name in &asked {
        match name.as_str() {
            "default" => wanted.extend(DEFAULT),
            "all" | "everything" => wanted.extend(ALL),
            name => wanted.extend(ALL.iter().filter(|known| **known == name)),
        }
    }
    let summary = Summary::of_node(&client.core).await;
    let core = client.core.borrow();
    let info = Info { core: &core, config: &core.config, summary: &summary };
    let mut text = String::new();
    for section in ALL.iter().filter(|section| wanted.contains(section)) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        info.section(section, &mut text);
    }
    Ok(client.reply(|reply| reply.verbatim("txt", &text)))
}

struct Info<'a> {
    core: &'a Core,
    config: &'a Config,
    summary: &'a Summary,
}

/// Writes `name:value` lines.
macro_rules! fields {
    ($text:expr, $($name:literal: $value:expr),* $(,)?) => {
        {$(let _ = write!($text, concat!($name, ":{}\r\n"), $value);)*}
    };
}

mod replication;

/// Bytes as people read them: 1.50M.
fn human(bytes: u64) -> String {
    let value = bytes as f64;
    let units = [(1u64 << 40, 'T'), (1 << 30, 'G'), (1 << 20, 'M'), (1 << 10, 'K')];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, letter)) => format!("{:.2}{letter}", value / *unit as f64),
        None => format!("{bytes}B"),
    }
}

impl Info<'_> {
    fn section(&self, name: &str, text: &mut String) {
        let title = match name {
            "cpu" => "CPU".to_owned(),
            name => name[..1].to_uppercase() + &name[1..],
        };
        let _ = write!(text, "# {title}\r\n");
        match name {
            "server" => self.server(text),
            "clients" => self.clients(text),
            "memory" => self.memory(text),
            "persistence" => self.persistence(text),
            "stats" => self.stats(text),
            "replication" => self.replication(text),
            "cpu" => self.cpu(text),
            "commandstats" => self.command_stats(text),
            "errorstats" => self.error_stats(text),
            "latencystats" => self.latency_stats(text),
            "cluster" => fields!(text, "cluster_enabled": 0),
            "keyspace" => self.keyspace(text),
            "ringfort" => self.ringfort(text),
            _ => {}
        }
    }

    fn server(&self, text: &mut String) {
        let uptime = (self.core.now.wall_ms - self.core.shared.started_ms) / 1000;
        let file = self.config.file.as_ref().map(|path| path.display().to_string());
        let executable = std::env::current_exe().map(|path| path.display().to_string());
        let supervised = match self.config.process.supervised {
            crate::config::Supervised::Systemd => "systemd",
            crate::config::Supervised::Upstart => "upstart",
            _ => "no",
        };
        fields!(text,
            "redis_version": REDIS_VERSION,
            "redis_git_sha1": "00000000",
            "redis_git_dirty": 0,
            "redis_build_id": "0",
            "redis_mode": "standalone",
            "os": process::system_name(),
            "arch_bits": usize::BITS,
            "monotonic_clock": "POSIX clock_gettime",
            "multiplexing_api": "io_uring",
            "atomicvar_api": "c11-builtin",
            "gcc_version": "0.0.0",
            "process_id": std::process::id(),
            "process_supervised": supervised,
            "run_id": self.core.shared.run_id,
            "tcp_port": self.config.network.port,
            "server_time_usec": ringfort_net::clock::wall_clock_us(),
            "uptime_in_seconds": uptime,
            "uptime_in_days": uptime / 86_400,
            "hz": self.config.process.hz,
            "configured_hz": self.config.process.hz,
            "lru_clock": (self.core.now.wall_ms / 1000) & 0xff_ffff,
            "executable": executable.unwrap_or_default(),
            "config_file": file.unwrap_or_default(),
            "io_threads_active": u8::from(self.core.cores > 1),
        );
        if let Some(deadline_ms) = lock(&self.core.shared.shutdown).deadline_ms {
            let left_ms = deadline_ms.saturating_sub(self.core.now.mono_ms());
            fields!(text, "shutdown_in_milliseconds": left_ms);
        }
        self.listeners(text);
        fields!(text, "ringfort_version": RINGFORT_VERSION);
    }

    fn listeners(&self, text: &mut String) {
        let network = &self.config.network;
        let mut listeners = Vec::new();
        if network.port != 0 {
            let binds = network.bind.addresses();
            let binds: String = binds.map(|address| format!(",bind={}", address.host)).collect();
            listeners.push(format!("name=tcp{binds},port={}", network.port));
        }
        if !network.unixsocket.is_empty() {
            listeners.push(format!("name=unix,bind={}", network.unixsocket.as_path().display()));
        }
        for (at, listener) in listeners.iter().enumerate() {
            let _ = write!(text, "listener{at}:{listener}\r\n");
        }
    }

    fn clients(&self, text: &mut String) {
        fields!(text,
            "connected_clients": self.summary.clients,
            "cluster_connections": 0,
            "maxclients": self.config.clients.maxclients,
            "client_recent_max_input_buffer": self.summary.input_bytes_max,
            "client_recent_max_output_buffer": self.summary.output_bytes_max,
            "blocked_clients": self.summary.blocked_clients,
            "tracking_clients": 0,
            "pubsub_clients": self.summary.pubsub.clients,
            "watching_clients": self.summary.watching_clients,
            "clients_in_timeout_table": 0,
            "total_watched_keys": self.summary.watched_keys,
            "total_blocking_keys": 0,
            "total_blocking_keys_on_nokey": 0,
        );
    }

    fn memory(&self, text: &mut String) {
        let shared = &self.core.shared;
        let used = self.core.memory_bytes();
        let peak = shared.peak_memory_bytes.fetch_max(used as i64, Relaxed).max(used as i64) as u64;
        let resident = process::resident_bytes();
        let startup = shared.startup_bytes();
        let dataset = self.summary.dataset_bytes as u64;
        let overhead = used.saturating_sub(dataset);
        let system = process::system_memory_bytes();
        let limit = self.config.memory.maxmemory_bytes;
        // Replicas and backlog share the log's blocks: what is more than the backlog is kept for those that lag.
        let log = &shared.replication.log;
        let log_bytes = log.memory_bytes();
        let backlog = log.backlog_bytes().min(log_bytes);
        let ratio = if used > 0 { resident as f64 / used as f64 } else { 0.0 };
        let excess = resident as i64 - used as i64;
        fields!(text,
            "used_memory": used,
            "used_memory_human": human(used),
            "used_memory_rss": resident,
            "used_memory_rss_human": human(resident),
            "used_memory_peak": peak,
            "used_memory_peak_human": human(peak),
            "used_memory_peak_perc": format!("{:.2}%", used as f64 / peak.max(1) as f64 * 100.0),
            "used_memory_overhead": overhead,
            "used_memory_startup": startup,
            "used_memory_dataset": dataset,
            "used_memory_dataset_perc":
                format!("{:.2}%", dataset as f64 / used.saturating_sub(startup).max(1) as f64 * 100.0),
            "allocator_allocated": used,
            "allocator_active": resident,
            "allocator_resident": resident,
            "total_system_memory": system,
            "total_system_memory_human": human(system),
            "used_memory_lua": 0,
            "used_memory_vm_eval": 0,
            "used_memory_lua_human": "0B",
            "used_memory_scripts_eval": 0,
            "number_of_cached_scripts": 0,
            "number_of_functions": 0,
            "number_of_libraries": 0,
            "used_memory_vm_functions": 0,
            "used_memory_vm_total": 0,
            "used_memory_vm_total_human": "0B",
            "used_memory_functions": 0,
            "used_memory_scripts": 0,
            "used_memory_scripts_human": "0B",
            "maxmemory": limit,
            "maxmemory_human": human(limit),
            "maxmemory_policy": self.config.memory.maxmemory_policy.word(),
            "allocator_frag_ratio": format!("{ratio:.2}"),
            "allocator_frag_bytes": excess.max(0),
            "allocator_rss_ratio": "1.00",
            "allocator_rss_bytes": 0,
            "rss_overhead_ratio": "1.00",
            "rss_overhead_bytes": 0,
            "mem_fragmentation_ratio": format!("{ratio:.2}"),
            "mem_fragmentation_bytes": excess,
            "mem_not_counted_for_evict": 0,
            "mem_replication_backlog": backlog,
            "mem_total_replication_buffers": log_bytes,
            "mem_clients_slaves": log_bytes.saturating_sub(backlog),
            "mem_clients_normal": self.summary.clients_bytes,
            "mem_cluster_links": 0,
            "mem_aof_buffer": 0,
            "mem_allocator": "mimalloc",
            "active_defrag_running": 0,
            "lazyfree_pending_objects": self.summary.detached_tables,
            "lazyfreed_objects": 0,
        );
    }

    fn stats(&self, text: &mut String) {
        let summary = self.summary;
        let shard = &summary.shard;
        let [commands, input, output, rounds, busy_us] = summary.rates;
        let counters = &self.core.shared.replication.counters;
        fields!(text,
            "total_connections_received": summary.total(|core| core.connections_received),
            "total_commands_processed": summary.total(|core| core.commands),
            "instantaneous_ops_per_sec": commands.round() as u64,
            "total_net_input_bytes": summary.total(|core| core.input_bytes),
            "total_net_output_bytes": summary.total(|core| core.output_bytes),
            "total_net_repl_input_bytes": counters.input_bytes.load(Relaxed),
            "total_net_repl_output_bytes": counters.output_bytes.load(Relaxed),
            "instantaneous_input_kbps": format!("{:.2}", input / 1024.0),
            "instantaneous_output_kbps": format!("{:.2}", output / 1024.0),
            "instantaneous_input_repl_kbps": "0.00",
            "instantaneous_output_repl_kbps": "0.00",
            "rejected_connections": summary.total(|core| core.connections_rejected),
            "sync_full": counters.sync_full.load(Relaxed),
            "sync_partial_ok": counters.sync_partial_ok.load(Relaxed),
            "sync_partial_err": counters.sync_partial_err.load(Relaxed),
            "expired_keys": shard.expired_keys,
            "expired_fields": shard.expired_fields,
            "expired_stale_perc": "0.00",
            "expired_time_cap_reached_count": shard.expired_time_cap_reached,
            "expire_cycle_cpu_milliseconds": shard.expire_cycle_cpu_us / 1000,
            "evicted_keys": shard.evicted_keys,
            "evicted_clients": summary.total(|core| core.evicted_clients),
            "total_eviction_exceeded_time": 0,
            "current_eviction_exceeded_time": 0,
            "keyspace_hits": shard.keyspace_hits,
            "keyspace_misses": shard.keyspace_misses,
            "pubsub_channels": summary.pubsub.channels,
            "pubsub_patterns": summary.pubsub.patterns,
            "pubsubshard_channels": summary.pubsub.shard_channels,
            "latest_fork_usec": 0,
            "total_forks": 0,
            "migrate_cached_sockets": 0,
            "slave_expires_tracked_keys": 0,
            "active_defrag_hits": 0,
            "active_defrag_misses": 0,
            "active_defrag_key_hits": 0,
            "active_defrag_key_misses": 0,
            "total_active_defrag_time": 0,
            "current_active_defrag_time": 0,
            "tracking_total_keys": 0,
            "tracking_total_items": 0,
            "tracking_total_prefixes": 0,
            "unexpected_error_replies": counters.unexpected_errors.load(Relaxed),
            "total_error_replies": summary.commands.error_replies,
            "dump_payload_sanitizations": 0,
            "total_reads_processed": summary.cores.iter().map(|core| core.enters).sum::<u64>(),
            "total_writes_processed": summary.total(|core| core.rounds),
            "io_threaded_reads_processed": 0,
            "io_threaded_writes_processed": 0,
            "reply_buffer_shrinks": 0,
            "reply_buffer_expands": 0,
            "eventloop_cycles": summary.total(|core| core.rounds),
            "eventloop_duration_sum": summary.total(|core| core.busy_us),
            "eventloop_duration_cmd_sum":
                summary.commands.commands.iter().map(|command| command.ns).sum::<u64>() / 1000,
            "instantaneous_eventloop_cycles_per_sec": rounds.round() as u64,
            "instantaneous_eventloop_duration_usec":
                (if rounds > 0.0 { busy_us / rounds } else { 0.0 }).round() as u64,
            "client_query_buffer_limit_disconnections":
                summary.total(|core| core.query_limit_disconnections),
            "client_output_buffer_limit_disconnections":
                summary.total(|core| core.output_limit_disconnections),
            "acl_access_denied_auth": 0,
            "acl_access_denied_cmd": 0,
            "acl_access_denied_key": 0,
            "acl_access_denied_channel": 0,
        );
    }

    fn cpu(&self, text: &mut String) {
        let own = process::cpu_times(libc::RUSAGE_SELF);
        let children = process::cpu_times(libc::RUSAGE_CHILDREN);
        let thread = process::cpu_times(libc::RUSAGE_THREAD);
        fields!(text,
            "used_cpu_sys": format!("{:.6}", own.system),
            "used_cpu_user": format!("{:.6}", own.user),
            "used_cpu_sys_children": format!("{:.6}", children.system),
            "used_cpu_user_children": format!("{:.6}", children.user),
            "used_cpu_sys_main_thread": format!("{:.6}", thread.system),
            "used_cpu_user_main_thread": format!("{:.6}", thread.user),
        );
    }

    fn command_stats(&self, text: &mut String) {
        for (spec, counter) in table::ALL.iter().zip(&self.summary.commands.commands) {
            if counter.calls + counter.rejected + counter.failed == 0 {
                continue;
            }
            let us = counter.ns / 1000;
            let each = if counter.calls > 0 {
                counter.ns as f64 / 1000.0 / counter.calls as f64
            } else {
                0.0
            };
            let _ = write!(
                text,
                "cmdstat_{}:calls={},usec={us},usec_per_call={each:.2},rejected_calls={},failed_calls={}\r\n",
                spec.name, counter.calls, counter.rejected, counter.failed
            );
        }
    }

    fn error_stats(&self, text: &mut String) {
        for (code, count) in &self.summary.commands.errors {
            let _ = write!(text, "errorstat_{code}:count={count}\r\n");
        }
    }

    fn latency_stats(&self, text: &mut String) {
        let percentiles = &self.config.monitoring.latency_tracking_info_percentiles.0;
        for (spec, counter) in table::ALL.iter().zip(&self.summary.commands.commands) {
            if counter.histogram.is_empty() {
                continue;
            }
            let _ = write!(text, "latency_percentiles_usec_{}:", spec.name);
            for (at, percent) in percentiles.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                let us = counter.percentile_ns(*percent) as f64 / 1000.0;
                let _ = write!(text, "{comma}p{}={us:.3}", Percentiles::text(*percent));
            }
            text.push_str("\r\n");
        }
    }

    fn keyspace(&self, text: &mut String) {
        for (at, database) in self.summary.databases.iter().enumerate() {
            if database.keys > 0 {
                let _ = write!(
                    text,
                    "db{at}:keys={},expires={},avg_ttl={}\r\n",
                    database.keys,
                    database.expires,
                    database.average_ttl_ms()
                );
            }
        }
    }

    /// What Redis has no field for: how the cores share the work.
    fn ringfort(&self, text: &mut String) {
        let summary = self.summary;
        fields!(text,
            "ringfort_version": RINGFORT_VERSION,
            "shards": self.core.cores,
            "hops": summary.total(|core| core.hops),
            "hop_batches": summary.total(|core| core.batches),
            "multi_shard_commands": summary.total(|core| core.transactions),
            "ring_rounds": summary.total(|core| core.rounds),
            "ring_enters": summary.cores.iter().map(|core| core.enters).sum::<u64>(),
            "parks": summary.total(|core| core.parks),
            "spins": summary.total(|core| core.spins),
            "spins_fruitful": summary.total(|core| core.spins_fruitful),
        );
        self.replication_of_our_own(text);
        let uptime_us =
            (ringfort_net::clock::wall_clock_ms() - self.core.shared.started_ms).max(1) * 1000;
        for (at, core) in summary.cores.iter().enumerate() {
            let _ = write!(
                text,
                "core{at}:commands={},hops={},rounds={},enters={},parks={},spin_share={:.4},keys={},clients={},\
                 memory={}\r\n",
                core.stats.commands,
                core.stats.hops,
                core.stats.rounds,
                core.enters,
                core.stats.parks,
                core.stats.spin_us as f64 / uptime_us as f64,
                core.keys,
                core.clients,
                core.memory_bytes
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::human;

    #[test]
    fn bytes_are_shown_as_people_read_them() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (1536, "1.50K"), (5 << 20, "5.00M"), (3 << 30, "3.00G")]
        {
            assert_eq!(human(bytes), text);
        }
    }
}
