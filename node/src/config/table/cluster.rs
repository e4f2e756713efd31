//! The cluster.

use crate::config::directive::*;
use crate::config::setting::{EndpointType, Text, check};

directives! {
    /// Membership, failover, what is announced.
    pub struct Cluster in cluster {
        cluster_enabled: bool = "cluster-enabled", Kind::Own, IMMUTABLE | GUARD, "no";
        cluster_config_file: Text = "cluster-config-file", TEXT, IMMUTABLE | INERT, "nodes.conf";
        cluster_port: u16 = "cluster-port", number(0, 65535), IMMUTABLE | INERT, "0";
        cluster_node_timeout_ms: i64 = "cluster-node-timeout", number(0, LONG_MAX), INERT, "15000";
        cluster_ping_interval_ms: i64 = "cluster-ping-interval", number(0, LONG_MAX), HIDDEN | INERT, "0";
        cluster_replica_validity_factor: u32 = "cluster-replica-validity-factor" / "cluster-slave-validity-factor",
            number(0, INT_MAX), INERT, "10";
        cluster_migration_barrier: u32 = "cluster-migration-barrier", number(0, INT_MAX), INERT, "1";
        cluster_replica_no_failover: bool = "cluster-replica-no-failover" / "cluster-slave-no-failover", Kind::Own,
            INERT, "no";
        cluster_allow_replica_migration: bool = "cluster-allow-replica-migration", Kind::Own, INERT, "yes";
        cluster_require_full_coverage: bool = "cluster-require-full-coverage", Kind::Own, INERT, "yes";
        cluster_allow_reads_when_down: bool = "cluster-allow-reads-when-down", Kind::Own, INERT, "no";
        cluster_allow_pubsubshard_when_down: bool = "cluster-allow-pubsubshard-when-down", Kind::Own, INERT, "yes";
        cluster_link_sendbuf_limit_bytes: u64 = "cluster-link-sendbuf-limit", memory(0, ULONG_MAX), INERT, "0";
        cluster_announce_ip: Text = "cluster-announce-ip", OPTIONAL_TEXT, INERT, "";
        cluster_announce_port: u16 = "cluster-announce-port", number(0, 65535), INERT, "0";
        cluster_announce_bus_port: u16 = "cluster-announce-bus-port", number(0, 65535), INERT, "0";
        cluster_announce_tls_port: u16 = "cluster-announce-tls-port", number(0, 65535), INERT, "0";
        cluster_announce_hostname: Text = "cluster-announce-hostname", checked_optional_text(check::hostname),
            INERT, "";
        cluster_announce_human_nodename: Text = "cluster-announce-human-nodename",
            checked_optional_text(check::node_name), INERT, "";
        cluster_preferred_endpoint_type: EndpointType = "cluster-preferred-endpoint-type", Kind::Own, INERT, "ip";
    }
}
