//! One shard: the slots and keys that one pinned core owns.
//!
//! One thread; reached through `&mut`; no locks. Commands reach it through [`crate::keys::Keys`], which adds
//! expiry, access times, statistics, WATCH and keyspace events to the bare databases.

use crate::collections::Limits;
use crate::effect::Effects;
use crate::eviction::Pool;
use crate::notify::{self, KeyEvents};
use crate::rdb::{Builder, Format, dump};
use crate::store::{Cursor, Database, Hasher};
use crate::waiters::Waiters;
use crate::watch::Watches;

/// What a shard needs to know of the node's configuration and role.
#[derive(Clone, Debug)]
pub struct ShardSettings {
    pub maxmemory_policy: Policy,
    /// Entries looked at per eviction.
    pub maxmemory_samples: usize,
    pub lfu_log_factor: u32,
    /// Minutes until an idle counter loses one.
    pub lfu_decay_minutes: u32,
    /// Which keyspace events are published; see [`notify`].
    pub notify: notify::Classes,
    /// The longest string value, in bytes.
    pub string_bytes_max: usize,
    /// How large packed collections may get.
    pub limits: Limits,
    /// The RDB version that DUMP writes (`rdb-compat`).
    pub dump_version: u16,
    /// Whether DUMP compresses what gets smaller by it (`rdbcompression`).
    pub dump_compress: bool,
    /// On a replica expired keys are hidden, not deleted: the primary deletes them.
    pub is_replica: bool,
    /// While writes are paused (CLIENT PAUSE) they are not deleted either.
    pub writes_held: bool,
    pub active_expire: bool,
    pub lazyfree_lazy_expire: bool,
    pub lazyfree_lazy_eviction: bool,
    pub lazyfree_lazy_user_del: bool,
}

impl ShardSettings {
    /// How DUMP writes.
    pub fn dump_format(&self) -> Format {
        Format { version: self.dump_version, compress: self.dump_compress }
    }

    /// Expired keys are hidden, not deleted.
    #[inline]
    pub fn keeps_expired(&self) -> bool {
        self.is_replica || self.writes_held
    }
}

impl Default for ShardSettings {
    fn default() -> Self {
        ShardSettings {
            maxmemory_policy: Policy::NoEviction,
            maxmemory_samples: 5,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            notify: notify::Classes::NONE,
            string_bytes_max: 512 << 20,
            limits: Limits::default(),
            dump_version: dump::VERSION,
            dump_compress: true,
            is_replica: false,
            writes_held: false,
            active_expire: true,
            lazyfree_lazy_expire: false,
            lazyfree_lazy_eviction: false,
            lazyfree_lazy_user_del: false,
        }
    }
}

/// `maxmemory-policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    NoEviction,
    AllKeysLru,
    AllKeysLfu,
    AllKeysRandom,
    VolatileLru,
    VolatileLfu,
    VolatileRandom,
    VolatileTtl,
}

impl Policy {
    pub fn is_lfu(self) -> bool {
        matches!(self, Policy::AllKeysLfu | Policy::VolatileLfu)
    }

    /// Whether only entries with an expiry may go.
    pub fn is_volatile(self) -> bool {
        matches!(
            self,
            Policy::VolatileLru
                | Policy::VolatileLfu
                | Policy::VolatileRandom
                | Policy::VolatileTtl
        )
    }
}

/// Counters of one shard, as INFO names them.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardStats {
    pub expired_keys: u64,
    /// Fields of hashes.
    pub expired_fields: u64,
    pub evicted_keys: u64,
    pub keyspace_hits: u64,
    pub keyspace_misses: u64,
    /// Changes since the node started (rdb_changes_since_last_save counts from a save).
    pub dirty: u64,
    pub active_expired_keys: u64,
    pub expire_cycle_cpu_us: u64,
    pub expired_time_cap_reached: u64,
}

impl ShardStats {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &ShardStats) {
        // Taken apart, so that a new counter cannot be forgotten here.
        let ShardStats {
            expired_keys,
            expired_fields,
            evicted_keys,
            keyspace_hits,
            keyspace_misses,
            dirty,
            active_expired_keys,
            expire_cycle_cpu_us,
            expired_time_cap_reached,
        } = other;
        self.expired_keys += expired_keys;
        self.expired_fields += expired_fields;
        self.evicted_keys += evicted_keys;
        self.keyspace_hits += keyspace_hits;
        self.keyspace_misses += keyspace_misses;
        self.dirty += dirty;
        self.active_expired_keys += active_expired_keys;
        self.expire_cycle_cpu_us += expire_cycle_cpu_us;
        self.expired_time_cap_reached += expired_time_cap_reached;
    }
}

/// The next number of a generator with this state, which must not be zero (xorshift64*, Vigna 2016).
pub fn next_random(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// The slots and keys of one core.
pub struct Shard {
    pub hasher: Hasher,
    pub databases: Vec<Database>,
    pub settings: ShardSettings,
    pub effects: Effects,
    pub events: KeyEvents,
    pub stats: ShardStats,
    pub watches: Watches,
    pub waiters: Waiters,
    /// State of a xorshift generator: sampling, random keys, LFU.
    pub random: u64,
    /// Where active expiry goes on.
    pub expire_cursor: (usize, Cursor),
    pub eviction_pool: Pool,
}

impl Shard {
    /// `databases`: how many SELECT can reach. `seed` must not be zero.
    pub fn new(hasher: Hasher, databases: usize, seed: u64) -> Self {
        assert!(seed != 0, "a xorshift generator at zero stays there");
        Shard {
            databases: (0..databases).map(|_| Database::new(hasher.clone())).collect(),
            hasher,
            settings: ShardSettings::default(),
            effects: Effects::default(),
            events: KeyEvents::default(),
            stats: ShardStats::default(),
            watches: Watches::default(),
            waiters: Waiters::default(),
            random: seed,
            expire_cursor: (0, Cursor::START),
            eviction_pool: Pool::default(),
        }
    }

    /// The next number of the shard's generator.
    pub fn next_random(&mut self) -> u64 {
        next_random(&mut self.random)
    }

    /// What values from outside are built with.
    pub fn builder(&self) -> Builder {
        Builder { hasher: self.hasher.clone(), limits: self.settings.limits }
    }

    /// Keys in all databases.
    pub fn len(&self) -> usize {
        self.databases.iter().map(Database::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
