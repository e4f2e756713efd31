//! What the hot paths need of the configuration, unpacked once per change.

use ringfort_core::collections;
use ringfort_core::resp::Limits;
use ringfort_core::shard::ShardSettings;

use ringfort_core::notify::Classes;
use ringfort_core::shard::Policy;
use ringfort_replication::rdb::writer;

use crate::config::{self, Config, EvictionPolicy, PipelineOrder, RdbCompat};

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
    /// How long a command or a round may evict; the rest is the next round's.
    pub eviction_slice_us: u64,
    pub limits: Limits,
    pub query_buffer_bytes_max: usize,
    /// What all clients together may hold; 0: no limit.
    pub client_bytes_max: u64,
    pub output_normal: OutputLimit,
    pub output_pubsub: OutputLimit,
    pub output_replica: OutputLimit,
    /// `None`: no password is asked for.
    pub password: Option<Box<[u8]>>,
    /// Idle clients are closed after so many milliseconds; 0: never.
    pub timeout_ms: u64,
    pub tcp_keepalive_s: u32,
    pub protected_mode: bool,
    /// Commands that take at least so many nanoseconds are logged; `u64::MAX`: none.
    pub slow_ns: u64,
    pub slowlog_max: usize,
    /// Events slower than so many milliseconds are kept; 0: none.
    pub latency_ms: u64,
    pub latency_tracking: bool,
    pub spin_us: u64,
    pub strict_order: bool,
    pub hz: u64,
    pub shard: ShardSettings,
}

impl Settings {
    pub fn from_config(config: &Config) -> Self {
        let limits = config.clients.client_output_buffer_limit;
        Settings {
            databases: config.process.databases as usize,
            maxclients: config.clients.maxclients as usize,
            maxmemory: config.memory.maxmemory_bytes,
            eviction_slice_us: eviction_slice_us(config.memory.maxmemory_eviction_tenacity),
            client_bytes_max: config
                .clients
                .maxmemory_clients
                .limit_bytes(config.memory.maxmemory_bytes),
            limits: Limits {
                bulk_bytes_max: config.clients.proto_max_bulk_len_bytes as usize,
                authenticated: true,
            },
            query_buffer_bytes_max: config.clients.client_query_buffer_limit_bytes as usize,
            output_normal: OutputLimit::from(limits.normal),
            output_pubsub: OutputLimit::from(limits.pubsub),
            output_replica: OutputLimit::from(limits.replica),
            password: config.access.requirepass.as_option().map(Into::into),
            timeout_ms: u64::from(config.clients.timeout_seconds) * 1000,
            tcp_keepalive_s: config.network.tcp_keepalive_seconds,
            protected_mode: config.access.protected_mode,
            slow_ns: u64::try_from(config.monitoring.slowlog_log_slower_than_us)
                .map_or(u64::MAX, |us| us.saturating_mul(1000)),
            slowlog_max: config.monitoring.slowlog_max_len as usize,
            latency_ms: config.monitoring.latency_monitor_threshold_ms as u64,
            latency_tracking: config.monitoring.latency_tracking,
            spin_us: config.sharding.io_spin_us.into(),
            strict_order: config.sharding.pipeline_order == PipelineOrder::Strict,
            hz: config.process.hz as u64,
            shard: shard_settings(config),
        }
    }
}

impl From<config::OutputLimit> for OutputLimit {
    fn from(limit: config::OutputLimit) -> Self {
        OutputLimit {
            hard_bytes: limit.hard_bytes as usize,
            soft_bytes: limit.soft_bytes as usize,
            soft_ms: u64::from(limit.soft_seconds) * 1000,
        }
    }
}

/// `maxmemory-eviction-tenacity`: up to 10 half a millisecond at most, then 15 percent more with every step, and
/// without end at 100. As Redis.
fn eviction_slice_us(tenacity: u32) -> u64 {
    match tenacity {
        ..=10 => 50 * u64::from(tenacity),
        11..100 => (500.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}

fn shard_settings(config: &Config) -> ShardSettings {
    let (memory, persistence) = (&config.memory, &config.persistence);
    ShardSettings {
        maxmemory_policy: match memory.maxmemory_policy {
            EvictionPolicy::NoEviction => Policy::NoEviction,
            EvictionPolicy::AllkeysLru => Policy::AllKeysLru,
            EvictionPolicy::AllkeysLfu => Policy::AllKeysLfu,
            EvictionPolicy::AllkeysRandom => Policy::AllKeysRandom,
            EvictionPolicy::VolatileLru => Policy::VolatileLru,
            EvictionPolicy::VolatileLfu => Policy::VolatileLfu,
            EvictionPolicy::VolatileRandom => Policy::VolatileRandom,
            EvictionPolicy::VolatileTtl => Policy::VolatileTtl,
        },
        maxmemory_samples: memory.maxmemory_samples as usize,
        lfu_log_factor: memory.lfu_log_factor,
        lfu_decay_minutes: memory.lfu_decay_time_minutes,
        notify: Classes(config.monitoring.notify_keyspace_events.0.into()),
        string_bytes_max: config.clients.proto_max_bulk_len_bytes as usize,
        limits: collection_limits(config),
        dump_version: writer::version(persistence.rdb_compat == RdbCompat::Nine),
        dump_compress: persistence.rdbcompression,
        lazyfree_lazy_expire: memory.lazyfree_lazy_expire,
        lazyfree_lazy_eviction: memory.lazyfree_lazy_eviction,
        lazyfree_lazy_user_del: memory.lazyfree_lazy_user_del,
        ..ShardSettings::default()
    }
}

fn collection_limits(config: &Config) -> collections::Limits {
    let encoding = &config.encoding;
    collections::Limits {
        list_max_listpack_size: encoding.list_max_listpack_size,
        hash_max_listpack_entries: encoding.hash_max_listpack_entries as usize,
        hash_max_listpack_value: encoding.hash_max_listpack_value_bytes as usize,
        set_max_intset_entries: encoding.set_max_intset_entries as usize,
        set_max_listpack_entries: encoding.set_max_listpack_entries as usize,
        set_max_listpack_value: encoding.set_max_listpack_value_bytes as usize,
        zset_max_listpack_entries: encoding.zset_max_listpack_entries as usize,
        zset_max_listpack_value: encoding.zset_max_listpack_value_bytes as usize,
        hll_sparse_max_bytes: encoding.hll_sparse_max_bytes as usize,
        stream_node_max_bytes: encoding.stream_node_max_bytes as usize,
        stream_node_max_entries: encoding.stream_node_max_entries as usize,
    }
}
