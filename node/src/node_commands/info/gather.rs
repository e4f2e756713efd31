//! What INFO gathers from the cores: one summary of each, added up.

use ringfort_core::shard::ShardStats;
use ringfort_core::store::Database;

use crate::command_stats::CommandStats;
use crate::connection::Wait;
use crate::core::{Core, CoreStats};
use crate::cron::METERS;
use crate::pubsub::PubSubFigures;
use crate::tasks::{CoreHandle, on_all_cores};

/// One database of one shard, or of the node.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseSummary {
    pub keys: usize,
    pub expires: usize,
    /// The time to live of all that expire, in milliseconds, guessed from a sample.
    pub ttl_sum_ms: f64,
}

impl DatabaseSummary {
    fn of(database: &Database, now: i64) -> Self {
        DatabaseSummary {
            keys: database.len(),
            expires: database.expiring_len(),
            ttl_sum_ms: average_ttl_ms(database, now) * database.expiring_len() as f64,
        }
    }

    pub fn average_ttl_ms(&self) -> u64 {
        (self.ttl_sum_ms / self.expires.max(1) as f64).round() as u64
    }
}

/// The average time to live of some keys around a few places.
fn average_ttl_ms(database: &Database, now: i64) -> f64 {
    const PLACES: u64 = 4;
    const KEYS_PER_PLACE: usize = 16;
    let (mut sum, mut count) = (0.0, 0u32);
    for place in 0..PLACES {
        let random = u64::MAX / PLACES * place + now as u64 % (u64::MAX / PLACES);
        database.sample(random, KEYS_PER_PLACE, true, |entry| {
            if let Some(left_ms @ 1..) = entry.expire_at().map(|at| at.saturating_sub(now)) {
                sum += left_ms as f64;
                count += 1;
            }
        });
    }
    sum / f64::from(count.max(1))
}

/// One core, for the `ringfort` section.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreSummary {
    pub stats: CoreStats,
    pub enters: u64,
    pub memory_bytes: i64,
    pub keys: usize,
    pub clients: usize,
}

/// The node, or one core of it.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub cores: Vec<CoreSummary>,
    pub shard: ShardStats,
    pub databases: Vec<DatabaseSummary>,
    pub rates: [f64; METERS],
    /// Bytes of keys, values and tables.
    pub dataset_bytes: usize,
    pub clients: usize,
    pub clients_bytes: usize,
    pub pubsub: PubSubFigures,
    pub blocked_clients: usize,
    pub watching_clients: usize,
    pub watched_keys: usize,
    pub input_bytes_max: usize,
    pub output_bytes_max: usize,
    pub detached_tables: usize,
    /// See [`ringfort_core::snapshot::handed_over_bytes`].
    pub handed_over_bytes: usize,
    pub commands: CommandStats,
}

impl Summary {
    pub async fn of_node(core: &CoreHandle) -> Summary {
        let parts = on_all_cores(core, Summary::of_core).await;
        let mut whole = Summary::default();
        parts.iter().for_each(|part| whole.add(part));
        whole
    }

    fn of_core(core: &mut Core) -> Summary {
        let mut summary = Summary {
            cores: vec![CoreSummary {
                stats: core.stats,
                enters: core.ring.enters(),
                memory_bytes: crate::alloc::thread_bytes() as i64,
                keys: core.shard.len(),
                clients: core.clients.len(),
            }],
            shard: core.shard.stats,
            databases: core
                .shard
                .databases
                .iter()
                .map(|database| DatabaseSummary::of(database, core.now.wall_ms))
                .collect(),
            rates: core.cron.ops.rates(),
            dataset_bytes: core
                .shard
                .databases
                .iter()
                .map(|database| database.memory_bytes())
                .sum(),
            clients: core.clients.len(),
            detached_tables: core.cron.detached.len(),
            handed_over_bytes: ringfort_core::snapshot::handed_over_bytes(&core.shard),
            pubsub: core.pubsub.figures(),
            commands: core.command_stats.clone(),
            ..Summary::default()
        };
        for (_, connection) in core.connections() {
            let session = &connection.session;
            summary.blocked_clients += usize::from(connection.wait == Wait::Paused);
            summary.watching_clients += usize::from(!session.watched.is_empty());
            summary.watched_keys += session.watched.len();
            let output_bytes = connection.output_memory_bytes();
            summary.input_bytes_max = summary.input_bytes_max.max(connection.input.capacity());
            summary.output_bytes_max = summary.output_bytes_max.max(output_bytes);
            summary.clients_bytes += connection.memory_bytes();
        }
        summary
    }

    fn add(&mut self, other: &Summary) {
        self.cores.extend(&other.cores);
        self.shard.add(&other.shard);
        self.databases.resize(self.databases.len().max(other.databases.len()), Default::default());
        for (own, other) in self.databases.iter_mut().zip(&other.databases) {
            own.keys += other.keys;
            own.expires += other.expires;
            own.ttl_sum_ms += other.ttl_sum_ms;
        }
        for (own, other) in self.rates.iter_mut().zip(other.rates) {
            *own += other;
        }
        self.dataset_bytes += other.dataset_bytes;
        self.clients += other.clients;
        self.clients_bytes += other.clients_bytes;
        self.pubsub.add(&other.pubsub);
        self.blocked_clients += other.blocked_clients;
        self.watching_clients += other.watching_clients;
        self.watched_keys += other.watched_keys;
        self.input_bytes_max = self.input_bytes_max.max(other.input_bytes_max);
        self.output_bytes_max = self.output_bytes_max.max(other.output_bytes_max);
        self.detached_tables += other.detached_tables;
        self.handed_over_bytes += other.handed_over_bytes;
        self.commands.merge(&other.commands);
    }

    /// The sum over all cores of one of their counters.
    pub fn total(&self, counter: impl Fn(&CoreStats) -> u64) -> u64 {
        self.cores.iter().map(|core| counter(&core.stats)).sum()
    }
}
