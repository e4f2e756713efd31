//! The few facts that all cores of the node share, as atomics. Everything else goes by message.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use crate::node_commands::Shutdown;
use crate::replication::Replication;
use crate::startup::Signals;

/// What a core publishes each round. On cache lines of its own: written by one core, read by all.
#[repr(align(128))]
#[derive(Debug, Default)]
pub struct CoreCounters {
    /// Bytes allocated less bytes freed by the core's thread.
    pub memory_bytes: AtomicI64,
    /// Keys that the eviction policy lets go.
    pub evictable_keys: AtomicU64,
    /// Keys in all databases.
    pub keys: AtomicU64,
    /// Changes since the start.
    pub changes: AtomicU64,
    /// `memory_bytes` when the core had just started.
    pub startup_bytes: AtomicI64,
    /// Connections dealt to the core and not closed yet.
    pub connections: AtomicUsize,
    /// Of its clients those in MONITOR.
    pub monitors: AtomicUsize,
    /// Bytes that its clients hold, and the largest of them, while `maxmemory-clients` is set.
    pub clients_bytes: AtomicU64,
    pub largest_client_bytes: AtomicU64,
}

pub struct Shared {
    pub cores: Vec<CoreCounters>,
    /// Bytes of threads that are no core: the main thread, before the cores start.
    pub base_memory_bytes: AtomicI64,
    pub next_client: AtomicU64,
    /// Numbers the entries of SLOWLOG: who collects them asks for those above the last it saw.
    pub next_slow_entry: AtomicU64,
    /// Clients in the node, for `maxclients`.
    pub clients: AtomicUsize,
    /// The peak of the sum of `memory_bytes`.
    pub peak_memory_bytes: AtomicI64,
    /// Channels and patterns that clients listen to, each counted per client: while there are none, keyspace
    /// events need not be published.
    pub subscriptions: AtomicUsize,
    /// The number of the next keyspace event.
    pub event_stamps: AtomicU64,
    /// Clients in MONITOR, on all cores.
    pub monitors: AtomicUsize,
    /// How far a shutdown is, from when it is asked for.
    pub shutdown: Mutex<Shutdown>,
    /// No new connections; the cores are going down.
    pub shutting_down: AtomicBool,
    /// Tells of a signal that asks for a shutdown.
    pub signals: Signals,
    /// Forty hex digits, new at every start.
    pub run_id: String,
    /// Shared on its own, for what outlives a borrow of the core.
    pub replication: Arc<Replication>,
    /// Seeds of the key hash, the same on every core.
    pub hash_seeds: [u64; 4],
    /// Wall clock milliseconds at start.
    pub started_ms: i64,
}

impl Shared {
    pub fn new(
        cores: usize,
        seeds: [u64; 4],
        [run_id, replid]: [String; 2],
        started_ms: i64,
        signals: Signals,
    ) -> Self {
        Shared {
            cores: (0..cores).map(|_| CoreCounters::default()).collect(),
            replication: Arc::new(Replication::new(&replid, cores)),
            base_memory_bytes: AtomicI64::new(0),
            next_client: AtomicU64::new(1),
            next_slow_entry: AtomicU64::new(0),
            clients: AtomicUsize::new(0),
            peak_memory_bytes: AtomicI64::new(0),
            subscriptions: AtomicUsize::new(0),
            event_stamps: AtomicU64::new(0),
            monitors: AtomicUsize::new(0),
            shutdown: Mutex::default(),
            shutting_down: AtomicBool::new(false),
            signals,
            run_id,
            hash_seeds: seeds,
            started_ms,
        }
    }

    /// Bytes allocated in the node, as of each core's last round, and those of the log.
    pub fn memory_bytes(&self) -> u64 {
        let sum = self.cores.iter().map(|core| core.memory_bytes.load(Relaxed)).sum::<i64>()
            + self.base_memory_bytes.load(Relaxed);
        sum.max(0) as u64 + self.replication.log.memory_bytes()
    }

    /// Bytes allocated when the cores had just started.
    pub fn startup_bytes(&self) -> u64 {
        let sum = self.cores.iter().map(|core| core.startup_bytes.load(Relaxed)).sum::<i64>()
            + self.base_memory_bytes.load(Relaxed);
        sum.max(0) as u64
    }
}
