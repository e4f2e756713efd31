//! Primaries and replicas.

use crate::config::directive::*;
use crate::config::setting::{DisklessLoad, PropagationError, ReplicaOf, Secret, Text};

directives! {
    /// The primary to follow, the backlog, what replicas may do.
    pub struct Replication in replication {
        replicaof: ReplicaOf = "replicaof" / "slaveof", Kind::Own, IMMUTABLE | MULTI, "";
        masterauth: Secret = "masterauth", OPTIONAL_TEXT, SENSITIVE, "";
        masteruser: Text = "masteruser", OPTIONAL_TEXT, SENSITIVE, "";
        replica_serve_stale_data: bool = "replica-serve-stale-data" / "slave-serve-stale-data", Kind::Own, 0,
            "yes";
        replica_read_only: bool = "replica-read-only" / "slave-read-only", Kind::Own, 0, "yes";
        replica_ignore_maxmemory: bool = "replica-ignore-maxmemory" / "slave-ignore-maxmemory", Kind::Own, 0,
            "yes";
        replica_lazy_flush: bool = "replica-lazy-flush" / "slave-lazy-flush", Kind::Own, INERT, "no";
        replica_ignore_disk_write_errors: bool = "replica-ignore-disk-write-errors", Kind::Own, INERT, "no";
        replica_priority: u32 = "replica-priority" / "slave-priority", number(0, INT_MAX), 0, "100";
        replica_announced: bool = "replica-announced", Kind::Own, 0, "yes";
        replica_announce_ip: Text = "replica-announce-ip" / "slave-announce-ip", OPTIONAL_TEXT, 0, "";
        replica_announce_port: u16 = "replica-announce-port" / "slave-announce-port", number(0, 65535), 0, "0";
        min_replicas_to_write: u32 = "min-replicas-to-write" / "min-slaves-to-write", number(0, INT_MAX), 0,
            "0";
        min_replicas_max_lag_seconds: u32 = "min-replicas-max-lag" / "min-slaves-max-lag", number(0, INT_MAX),
            0, "10";
        repl_backlog_size_bytes: i64 = "repl-backlog-size", memory(1, LONG_MAX), 0, "1mb";
        /// Zero never gives the backlog back.
        repl_backlog_ttl_seconds: i64 = "repl-backlog-ttl", number(0, LONG_MAX), 0, "3600";
        repl_timeout_seconds: u32 = "repl-timeout", number(1, INT_MAX), 0, "60";
        repl_ping_replica_period_seconds: u32 = "repl-ping-replica-period" / "repl-ping-slave-period",
            number(1, INT_MAX), 0, "10";
        repl_disable_tcp_nodelay: bool = "repl-disable-tcp-nodelay", Kind::Own, 0, "no";
        repl_diskless_sync: bool = "repl-diskless-sync", Kind::Own, 0, "yes";
        repl_diskless_sync_delay_seconds: u32 = "repl-diskless-sync-delay", number(0, INT_MAX), 0, "5";
        repl_diskless_sync_max_replicas: u32 = "repl-diskless-sync-max-replicas", number(0, INT_MAX), 0, "0";
        repl_diskless_load: DisklessLoad = "repl-diskless-load", Kind::Own, DENY_LOADING, "disabled";
        propagation_error_behavior: PropagationError = "propagation-error-behavior", Kind::Own, INERT, "ignore";
    }
}
