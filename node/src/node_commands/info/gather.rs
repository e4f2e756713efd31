//! What INFO gathers from the cores: one summary of each, added up.

use ringfort_core::shard::ShardStats;

use crate::command_stats::CommandStats;
use crate::connection::Wait;
use crate::core::{Core, CoreStats};
use crate::pubsub::PubSubFigures;
use crate::tasks::{CoreHandle, on_all_cores};

/// One database of one shard, or of the node.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseSummary {
    pub keys: usize,
    pub expires: usize,
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
    pub rates: [f64; 3],
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
                .map(|database| DatabaseSummary {
                    keys: database.len(),
                    expires: database.expiring_len(),
                })
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
            let input_bytes = connection.input.capacity();
            summary.input_bytes_max = summary.input_bytes_max.max(input_bytes);
            summary.output_bytes_max = summary.output_bytes_max.max(output_bytes);
            summary.clients_bytes += size_of_val(connection) + input_bytes + output_bytes;
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
        self.commands.merge(&other.commands);
    }

    /// The sum over all cores of one of their counters.
    pub fn total(&self, counter: impl Fn(&CoreStats) -> u64) -> u64 {
        self.cores.iter().map(|core| counter(&core.stats)).sum()
    }
}
