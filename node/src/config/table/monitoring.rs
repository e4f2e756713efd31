//! What the node remembers and tells about its own work.

use crate::config::directive::*;
use crate::config::setting::{KeyspaceEvents, Percentiles};

directives! {
    /// Slow log, latency, keyspace events.
    pub struct Monitoring in monitoring {
        /// -1 logs nothing, 0 everything.
        slowlog_log_slower_than_us: i64 = "slowlog-log-slower-than", number(-1, LONG_MAX), 0, "10000";
        slowlog_max_len: i64 = "slowlog-max-len", number(0, LONG_MAX), 0, "128";
        /// Zero switches the latency monitor off.
        latency_monitor_threshold_ms: i64 = "latency-monitor-threshold", number(0, LONG_MAX), 0, "0";
        latency_tracking: bool = "latency-tracking", Kind::Own, 0, "yes";
        latency_tracking_info_percentiles: Percentiles = "latency-tracking-info-percentiles", Kind::Own, MULTI,
            "50 99 99.9";
        notify_keyspace_events: KeyspaceEvents = "notify-keyspace-events", Kind::Own, 0, "";
    }
}
