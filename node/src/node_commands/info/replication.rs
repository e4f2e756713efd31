//! INFO's sections on replication and persistence.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_replication::identity::Replid;

use super::Info;
use crate::replication::{LinkState, Loading, Stage, lock};

impl Info<'_> {
    pub(super) fn replication(&self, text: &mut String) {
        let replication = &self.core.shared.replication;
        let config = &self.config.replication;
        let now_ms = self.core.now.mono_ms();
        let log = &replication.log;
        let follows = replication.is_replica();
        fields!(text, "role": if follows { "slave" } else { "master" });
        if follows {
            let link = replication.link().clone();
            let is_up = link.is_up();
            let syncs = link.state == LinkState::Sync;
            let seconds_since = |ms: u64| (now_ms.saturating_sub(ms) / 1000) as i64;
            let silent = seconds_since(replication.link_io_ms.load(Relaxed));
            fields!(text,
                "master_host": link.host,
                "master_port": link.port,
                "master_link_status": if is_up { "up" } else { "down" },
                "master_last_io_seconds_ago": if is_up { silent } else { -1 },
                "master_sync_in_progress": u8::from(syncs),
                "slave_read_repl_offset": log.end(),
                "slave_repl_offset": log.end(),
            );
            if syncs {
                let (total, read) = (link.sync_total_bytes as i64, link.sync_read_bytes as i64);
                let percent = if total > 0 { read as f64 * 100.0 / total as f64 } else { 0.0 };
                fields!(text,
                    "master_sync_total_bytes": if total > 0 { total } else { -1 },
                    "master_sync_read_bytes": read,
                    "master_sync_left_bytes": if total > 0 { total - read } else { -1 },
                    "master_sync_perc": format!("{percent:.2}"),
                    "master_sync_last_io_seconds_ago": silent,
                );
            }
            if !is_up {
                fields!(text, "master_link_down_since_seconds": seconds_since(link.down_since_ms));
            }
            fields!(text,
                "slave_priority": config.replica_priority,
                "slave_read_only": u8::from(config.replica_read_only),
                "replica_announced": u8::from(config.replica_announced),
            );
        }
        let replicas: Vec<_> = replication
            .replicas()
            .iter()
            .filter(|replica| replica.stage() != Stage::Announced)
            .cloned()
            .collect();
        fields!(text, "connected_slaves": replicas.len());
        if config.min_replicas_to_write > 0 && config.min_replicas_max_lag_seconds > 0 {
            fields!(text, "min_slaves_good_slaves": replication.good_replicas.load(Relaxed));
        }
        for (number, replica) in replicas.iter().enumerate() {
            let stage = replica.stage();
            let lag = match stage {
                Stage::Online => now_ms.saturating_sub(replica.ack_ms.load(Relaxed)) / 1000,
                _ => 0,
            };
            let _ = write!(
                text,
                "slave{number}:ip={},port={},state={},offset={},lag={lag}\r\n",
                lock(&replica.address),
                replica.port.load(Relaxed),
                stage.word(),
                replica.ack.load(Relaxed),
            );
        }
        let identity = replication.identity().clone();
        let (replid2, second_offset) = match identity.replid2() {
            Some((replid2, offset)) => (replid2, offset as i64),
            None => (Replid::NONE, -1),
        };
        let active = log.is_active();
        fields!(text,
            "master_failover_state": crate::replication::failover_word(self.core),
            "master_replid": identity.replid(),
            "master_replid2": replid2,
            "master_repl_offset": log.end(),
            "second_repl_offset": second_offset,
            "repl_backlog_active": u8::from(active),
            "repl_backlog_size": config.repl_backlog_size_bytes,
            "repl_backlog_first_byte_offset": if active { log.first() + 1 } else { 0 },
            "repl_backlog_histlen": if active { log.backlog_bytes() } else { 0 },
        );
    }

    pub(super) fn persistence(&self, text: &mut String) {
        let replication = &self.core.shared.replication;
        let loading = &replication.loading;
        let mode = loading.mode.load(Relaxed);
        let report = lock(&replication.snapshot);
        let now_ms = self.core.now.mono_ms();
        let started_s = self.core.shared.started_ms / 1000;
        let seconds = |seconds: Option<u64>| seconds.map_or(-1, |seconds| seconds as i64);
        let saving_s = report.saving_since_ms.map(|since| now_ms.saturating_sub(since) / 1000);
        fields!(text,
            "loading": u8::from(mode == Loading::REFUSING),
            "async_loading": u8::from(mode == Loading::SERVING),
            "current_cow_peak": 0,
            "current_cow_size": 0,
            "current_cow_size_age": 0,
            "current_fork_perc": "0.00",
            "current_save_keys_processed": if report.busy { report.keys_done } else { 0 },
            "current_save_keys_total": if report.busy { report.keys_total } else { 0 },
            "rdb_changes_since_last_save": self.summary.shard.dirty.saturating_sub(report.dirty_saved),
            "rdb_bgsave_in_progress": u8::from(report.saving_since_ms.is_some()),
            "rdb_last_save_time": if report.last_save_s > 0 { report.last_save_s } else { started_s },
            "rdb_last_bgsave_status": if report.last_save_failed { "err" } else { "ok" },
            "rdb_last_bgsave_time_sec": seconds(report.last_save_took_s),
            "rdb_current_bgsave_time_sec": seconds(saving_s),
            "rdb_saves": report.saves,
            "rdb_last_cow_size": 0,
            "rdb_last_load_keys_expired": loading.keys_expired.load(Relaxed),
            "rdb_last_load_keys_loaded": loading.keys_loaded.load(Relaxed),
            "aof_enabled": 0,
            "aof_rewrite_in_progress": 0,
            "aof_rewrite_scheduled": 0,
            "aof_last_rewrite_time_sec": -1,
            "aof_current_rewrite_time_sec": -1,
            "aof_last_bgrewrite_status": "ok",
            "aof_rewrites": 0,
            "aof_rewrites_consecutive_failures": 0,
            "aof_last_write_status": "ok",
            "aof_last_cow_size": 0,
            "module_fork_in_progress": 0,
            "module_fork_last_cow_size": 0,
        );
        if mode != Loading::NO {
            let (total, read) =
                (loading.total_bytes.load(Relaxed), loading.loaded_bytes.load(Relaxed));
            let started_s = loading.started_s.load(Relaxed);
            let elapsed_s = (self.core.now.wall_ms / 1000 - started_s).max(0) as u64;
            let left_s = (total.saturating_sub(read) * elapsed_s).checked_div(read).unwrap_or(1);
            fields!(text,
                "loading_start_time": started_s,
                "loading_total_bytes": total,
                "loading_rdb_used_mem": 0,
                "loading_loaded_bytes": read,
                "loading_loaded_perc":
                    format!("{:.2}", read as f64 * 100.0 / total.max(1) as f64),
                "loading_eta_seconds": left_s,
            );
        }
    }

    /// What we add: the streamer, and why the link to the primary last broke.
    pub(super) fn replication_of_our_own(&self, text: &mut String) {
        let replication = &self.core.shared.replication;
        let report = lock(&replication.snapshot);
        fields!(text,
            "snapshot_cuts": report.cuts,
            "snapshot_last_cut_usec": report.cut_us,
            "snapshot_handed_over_bytes": self.summary.handed_over_bytes,
            "replication_log_bytes": replication.log.memory_bytes(),
            "primary_link_broken_by_unknown_command":
                replication.counters.unknown_commands.load(Relaxed),
            "primary_link_last_fault": replication.link().last_fault.replace(['\r', '\n'], " "),
        );
    }
}
