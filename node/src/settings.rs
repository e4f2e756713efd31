//! What the hot paths need of the configuration, unpacked once per change.

use ringfort_core::resp::Limits;
use ringfort_core::shard::ShardSettings;

use crate::config::Config;

/// One class of `client-output-buffer-limit`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputLimit {
    pub hard_bytes: usize,
    pub soft_bytes: usize,
    pub soft_ms: u64,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub databases: usize,
    pub maxclients: usize,
    /// 0: no limit.
    pub maxmemory: u64,
    pub limits: Limits,
    pub query_buffer_bytes_max: usize,
    pub output_normal: OutputLimit,
    pub output_pubsub: OutputLimit,
    /// `None`: no password is asked for.
    pub password: Option<Box<[u8]>>,
    /// Idle clients are closed after so many milliseconds; 0: never.
    pub timeout_ms: u64,
    pub tcp_keepalive_s: u32,
    pub protected_mode: bool,
    /// Commands slower than so many microseconds are logged; negative: none.
    pub slowlog_us: i64,
    pub slowlog_max: usize,
    /// Events slower than so many milliseconds are kept; 0: none.
    pub latency_ms: u64,
    pub latency_tracking: bool,
    pub spin_us: u64,
    pub strict_order: bool,
    pub hz: u64,
    pub shard: ShardSettings,
}
