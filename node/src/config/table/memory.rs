//! Memory: how much, what goes when it is full, how it is given back.

use crate::config::directive::*;
use crate::config::setting::EvictionPolicy;

directives! {
    /// Eviction, expiry, lazy freeing, defragmentation.
    pub struct Memory in memory {
        /// The whole node's; zero is no limit.
        maxmemory_bytes: u64 = "maxmemory", memory(0, ULONG_MAX), 0, "0";
        maxmemory_policy: EvictionPolicy = "maxmemory-policy", Kind::Own, 0, "noeviction";
        maxmemory_samples: u32 = "maxmemory-samples", number(1, INT_MAX), 0, "5";
        maxmemory_eviction_tenacity: u32 = "maxmemory-eviction-tenacity", number(0, 100), 0, "10";
        lfu_log_factor: u32 = "lfu-log-factor", number(0, INT_MAX), 0, "10";
        /// Minutes after which a counter falls by one; zero at every look.
        lfu_decay_time_minutes: u32 = "lfu-decay-time", number(0, INT_MAX), 0, "1";
        /// From 1 to 10.
        active_expire_effort: u32 = "active-expire-effort", number(1, 10), INERT, "1";
        lazyfree_lazy_eviction: bool = "lazyfree-lazy-eviction", Kind::Own, 0, "no";
        lazyfree_lazy_expire: bool = "lazyfree-lazy-expire", Kind::Own, 0, "no";
        lazyfree_lazy_server_del: bool = "lazyfree-lazy-server-del", Kind::Own, INERT, "no";
        lazyfree_lazy_user_del: bool = "lazyfree-lazy-user-del", Kind::Own, 0, "no";
        lazyfree_lazy_user_flush: bool = "lazyfree-lazy-user-flush", Kind::Own, 0, "no";
        activerehashing: bool = "activerehashing", Kind::Own, INERT, "yes";
        activedefrag: bool = "activedefrag", Kind::Own, INERT, "no";
        active_defrag_ignore_bytes: i64 = "active-defrag-ignore-bytes", memory(1, LONG_MAX), INERT, "100mb";
        active_defrag_cycle_min: u32 = "active-defrag-cycle-min", number(1, 99), INERT, "1";
        active_defrag_cycle_max: u32 = "active-defrag-cycle-max", number(1, 99), INERT, "25";
        active_defrag_threshold_lower: u32 = "active-defrag-threshold-lower", number(0, 1000), INERT, "10";
        active_defrag_threshold_upper: u32 = "active-defrag-threshold-upper", number(0, 1000), INERT, "100";
        active_defrag_max_scan_fields: i64 = "active-defrag-max-scan-fields", number(1, LONG_MAX), INERT, "1000";
        jemalloc_bg_thread: bool = "jemalloc-bg-thread", Kind::Own, INERT, "yes";
    }
}
