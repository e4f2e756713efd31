//! What replication does by the clock, ten times a second: each core for its replicas, core 0 for the node.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::core::Core;

use super::lock;

impl Core {
    pub fn run_replication_cron(&mut self) {
        self.watch_replicas();
        if self.id == 0 {
            self.watch_link();
            self.start_sync_if_due();
            self.update_restrictions();
            self.ping_replicas();
            self.trim_log();
            self.start_scheduled_save();
            self.save_if_due();
        }
    }

    /// `repl-ping-replica-period`: a primary that writes nothing still shows that it lives.
    fn ping_replicas(&mut self) {
        let period_ms = u64::from(self.config.replication.repl_ping_replica_period_seconds) * 1000;
        let replication = Arc::clone(&self.shared.replication);
        let now_ms = self.now.mono_ms();
        if replication.is_replica()
            || self.pause.holds_writes()
            || now_ms.saturating_sub(replication.pinged_ms.load(Relaxed)) < period_ms
            || replication.replicas().is_empty()
        {
            return;
        }
        replication.pinged_ms.store(now_ms, Relaxed);
        replication.log.append_keyless(b"*1\r\n$4\r\nPING\r\n");
        self.log_grew();
    }

    /// Keeps the backlog at its size, and gives it up when no replica has come for `repl-backlog-ttl`. From then on
    /// nothing is counted, so the history ends here.
    fn trim_log(&mut self) {
        let replication = Arc::clone(&self.shared.replication);
        let config = &self.config.replication;
        replication.log.trim(config.repl_backlog_size_bytes as u64);
        let ttl_ms = (config.repl_backlog_ttl_seconds as u64).saturating_mul(1000);
        let now_ms = self.now.mono_ms().max(1);
        let needed = replication.is_replica()
            || !replication.log.is_active()
            || ttl_ms == 0
            || !replication.replicas().is_empty();
        if needed {
            replication.idle_since_ms.store(0, Relaxed);
            return;
        }
        let _ = replication.idle_since_ms.compare_exchange(0, now_ms, Relaxed, Relaxed);
        if now_ms - replication.idle_since_ms.load(Relaxed) < ttl_ms {
            return;
        }
        crate::notice!(
            "Replication backlog freed after {} seconds without connected replicas.",
            config.repl_backlog_ttl_seconds
        );
        replication.identity().replace(crate::start::random_replid());
        replication.log.stop();
        self.post_all(|core| {
            core.shard.effects.enabled = false;
            core.shard.effects.clear();
            // One that came in this very moment would wait for a log that has ended.
            core.close_replicas();
        });
    }

    /// `save` points.
    fn save_if_due(&mut self) {
        const RETRY_S: i64 = 5;
        let points = &self.config.persistence.save.0;
        if points.is_empty() || self.is_data_partial() {
            return;
        }
        let changes: u64 = self.shared.cores.iter().map(|core| core.changes.load(Relaxed)).sum();
        let now_s = self.now.wall_ms / 1000;
        let due = {
            let report = lock(&self.shared.replication.snapshot);
            let changes = changes.saturating_sub(report.dirty_saved);
            let last_s = report.last_save_s.max(self.shared.started_ms / 1000);
            let rests = report.last_save_failed && now_s - report.last_try_s <= RETRY_S;
            points
                .iter()
                .find(|point| changes >= point.changes as u64 && now_s - last_s > point.seconds)
                .filter(|_| !report.busy && !rests)
                .cloned()
        };
        if let Some(point) = due {
            crate::notice!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
            self.start_save();
        }
    }
}
