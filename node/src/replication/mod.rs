//! The node's part in replication: what all cores know of it, and the shells of its machines.
//!
//! [`publish`]: effects into the log. [`serve`]: replicas, from PSYNC to the live stream. [`snapshot`]: the streamer of
//! full syncs and files. [`link`]: this node as a replica. [`load`]: RDB into the shards. The rules themselves are in
//! the crate `replication`.

mod ack;
mod cron;
mod failover;
mod link;
mod load;
mod publish;
mod role;
mod serve;
mod snapshot;

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
};
use std::sync::{Arc, Mutex, MutexGuard};

use ringfort_core::command::Spec;
use ringfort_replication::failover::Failover;
use ringfort_replication::identity::{Identity, Replid};
use ringfort_replication::log::Log;

pub use ack::{AckWaiters, NextAck, next_ack};
pub use failover::{command as failover, failover_word, writes_settled};
pub use link::{Following, LinkReport, LinkState, PrimaryLink, take_output as take_link_output};
pub use load::{LoadTarget, Loader, load_at_start, reload};
pub use role::{become_primary, follow};
pub use serve::{ReplicaSession, Stage, is_for_replicas};
pub use snapshot::{SnapshotCore, SnapshotReport, save, save_before_all};

/// What all cores share: the log, and facts that change seldom, behind locks that nobody holds for long.
pub struct Replication {
    pub log: Arc<Log>,
    identity: Mutex<Identity>,
    /// This node follows a primary.
    pub is_replica: AtomicBool,
    /// That is being changed.
    role_changes: AtomicBool,
    /// The steps of a failover are being taken.
    failover_steps: AtomicBool,
    /// Replicas that this node serves, whatever their stage.
    replicas: Mutex<Vec<Arc<Replica>>>,
    /// Per core, how many of its connections are sent the log.
    pub readers: Vec<AtomicUsize>,
    /// Replicas whose last acknowledgement is younger than `min-replicas-max-lag`.
    pub good_replicas: AtomicUsize,
    pub acks: AckWaiters,
    pub link: Mutex<LinkReport>,
    /// When the primary last sent something, in milliseconds of the monotonic clock.
    pub link_io_ms: AtomicU64,
    /// See [`role::restriction`].
    pub restrictions: AtomicU32,
    /// `replica-serve-stale-data`.
    serves_stale: AtomicBool,
    pub snapshot: Mutex<SnapshotReport>,
    /// Replicas that wait for a full sync, in the order in which they asked.
    pub waiting: Mutex<Vec<serve::Waiting>>,
    pub loading: Loading,
    pub counters: Counters,
    /// Monotonic milliseconds since when nobody needs the backlog; 0: somebody does.
    pub idle_since_ms: AtomicU64,
    /// When replicas were last sent a PING.
    pub pinged_ms: AtomicU64,
    pub failover: Mutex<Failover>,
}

/// INFO's counters.
#[derive(Debug, Default)]
pub struct Counters {
    pub sync_full: AtomicU64,
    pub sync_partial_ok: AtomicU64,
    pub sync_partial_err: AtomicU64,
    pub input_bytes: AtomicU64,
    pub output_bytes: AtomicU64,
    /// Commands of the primary that failed here.
    pub unexpected_errors: AtomicU64,
    /// Links that were broken because the primary sent what we do not know.
    pub unknown_commands: AtomicU64,
}

impl Counters {
    /// A command of the primary failed here, which it did not do there: the data differ.
    #[cold]
    pub fn note_primary_error(&self, spec: &Spec, text: &[u8]) {
        self.unexpected_errors.fetch_add(1, Relaxed);
        crate::warning!(
            "== CRITICAL == This replica is sending an error to its master: '{}' after processing the command '{}'",
            String::from_utf8_lossy(text),
            spec.name
        );
    }
}

/// Whether data is being loaded, and how far that is.
#[derive(Debug, Default)]
pub struct Loading {
    /// Somebody loads; see [`load::Claim`].
    claimed: AtomicBool,
    /// Loads so far: the number of the last one.
    loads: AtomicU64,
    /// 0: no; 1: clients are refused; 2: the old data is still served.
    pub mode: AtomicU8,
    pub started_s: AtomicI64,
    pub total_bytes: AtomicU64,
    pub loaded_bytes: AtomicU64,
    /// Of the last load.
    pub keys_loaded: AtomicU64,
    pub keys_expired: AtomicU64,
}

impl Loading {
    pub const NO: u8 = 0;
    pub const REFUSING: u8 = 1;
    pub const SERVING: u8 = 2;

    pub fn begin(&self, mode: u8, total_bytes: u64, now_s: i64) {
        self.started_s.store(now_s, Relaxed);
        self.total_bytes.store(total_bytes, Relaxed);
        self.loaded_bytes.store(0, Relaxed);
        self.keys_loaded.store(0, Relaxed);
        self.keys_expired.store(0, Relaxed);
        self.mode.store(mode, Relaxed);
    }

    pub fn end(&self) {
        self.mode.store(Self::NO, Relaxed);
    }
}

/// A replica of this node, as every core sees it; its connection's core keeps it up to date.
#[derive(Debug)]
pub struct Replica {
    /// CLIENT ID.
    pub id: u64,
    pub address: Mutex<String>,
    pub port: AtomicU16,
    pub stage: AtomicU8,
    /// The largest offset it acknowledged.
    pub ack: AtomicU64,
    /// When it did, in milliseconds of the monotonic clock.
    pub ack_ms: AtomicU64,
    /// Bytes that it is behind in the log or the snapshot, which this node keeps for it.
    pub pending_bytes: AtomicU64,
}

impl Replication {
    pub fn new(replid: &str, cores: usize) -> Replication {
        let replid = Replid::parse(replid.as_bytes()).expect("forty hexadecimal digits");
        Replication {
            log: Arc::new(Log::new()),
            identity: Mutex::new(Identity::new(replid)),
            is_replica: AtomicBool::new(false),
            role_changes: AtomicBool::new(false),
            failover_steps: AtomicBool::new(false),
            replicas: Mutex::default(),
            readers: (0..cores).map(|_| AtomicUsize::new(0)).collect(),
            good_replicas: AtomicUsize::new(0),
            acks: AckWaiters::default(),
            link: Mutex::default(),
            link_io_ms: AtomicU64::new(0),
            restrictions: AtomicU32::new(0),
            serves_stale: AtomicBool::new(true),
            snapshot: Mutex::default(),
            waiting: Mutex::default(),
            loading: Loading::default(),
            counters: Counters::default(),
            idle_since_ms: AtomicU64::new(0),
            pinged_ms: AtomicU64::new(0),
            failover: Mutex::new(Failover::new()),
        }
    }

    pub fn identity(&self) -> MutexGuard<'_, Identity> {
        lock(&self.identity)
    }

    pub fn replicas(&self) -> MutexGuard<'_, Vec<Arc<Replica>>> {
        lock(&self.replicas)
    }

    pub fn link(&self) -> MutexGuard<'_, LinkReport> {
        lock(&self.link)
    }

    pub fn is_replica(&self) -> bool {
        self.is_replica.load(Relaxed)
    }

    /// Replicas that are sent the live stream.
    pub fn online(&self) -> Vec<Arc<Replica>> {
        let online = |replica: &&Arc<Replica>| replica.stage() == Stage::Online;
        self.replicas().iter().filter(online).cloned().collect()
    }
}

impl Replica {
    pub fn stage(&self) -> Stage {
        Stage::from_number(self.stage.load(Relaxed))
    }
}

/// Locks; the process ends when a thread panics, so none is ever poisoned.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("a panic ends the process")
}
