//! One core: its shard, its ring, its connections, and what they owe each other.
//!
//! Owned by one thread. The loop ([`crate::reactor`]) borrows it for a round, tasks ([`crate::tasks`]) between
//! their awaits; nobody holds it across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::resp::Batch;
use ringfort_core::sequencer::{Gate, Sequencer, TransactionId, Turn};
use ringfort_core::shard::Shard;
use ringfort_core::store::Hasher;
use ringfort_net::{Mailbox, Ring, Token};

use crate::alloc;
use crate::command_stats::CommandStats;
use crate::config::Config;
use crate::connection::Connection;
use crate::dispatch::Prepared;
use crate::message::{CommandBatch, Job, Message};
use crate::monitor::Monitors;
use crate::pubsub::PubSub;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::slow::SlowLog;
use crate::tasks::Calls;

/// What waits for a stopped shard to go on.
pub enum Deferred {
    Batch { from: usize, batch: Box<CommandBatch> },
    Job { from: usize, number: u64, job: Job },
}

/// Counters of one core for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreStats {
    pub commands: u64,
    pub connections_received: u64,
    pub connections_rejected: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub rounds: u64,
    pub parks: u64,
    /// Spins before parking, those that brought work, and the time they took.
    pub spins: u64,
    pub spins_fruitful: u64,
    pub spin_us: u64,
    /// Commands sent to other cores, and batches that carried them.
    pub hops: u64,
    pub batches: u64,
    pub transactions: u64,
    pub protocol_errors: u64,
    pub output_limit_disconnections: u64,
    pub query_limit_disconnections: u64,
    pub evicted_clients: u64,
    /// Processor time of the core's thread but for its spins, in microseconds; brought up to date by the cron.
    pub busy_us: u64,
    pub pubsub_messages: u64,
}

/// The time of a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// Microseconds of the monotonic clock.
    pub mono_us: u64,
}

impl Now {
    pub fn mono_ms(&self) -> u64 {
        self.mono_us / 1000
    }
}

/// How many connections sent something lately, in windows of half a millisecond.
///
/// With a few, each waits for its reply before it sends more, and a core that sleeps in between makes it wait
/// longer: then spinning pays. With many, their requests gather while the core sleeps, which costs less than
/// spinning and hurts nobody.
#[derive(Debug, Default)]
pub struct Activity {
    /// The current window; a connection that was counted in it knows its number.
    window: u32,
    started_us: u64,
    counted: u32,
    last: u32,
}

impl Activity {
    const WINDOW_US: u64 = 500;
    const FEW: u32 = 4;

    fn tick(&mut self, now_us: u64) {
        if now_us - self.started_us >= Self::WINDOW_US {
            self.started_us = now_us;
            self.window = self.window.wrapping_add(1);
            self.last = std::mem::take(&mut self.counted);
        }
    }

    /// A connection that was last counted in `window` sent something.
    #[inline]
    pub fn note(&mut self, window: &mut u32) {
        if *window != self.window {
            *window = self.window;
            self.counted += 1;
        }
    }

    /// Whether only a few connections are active.
    pub fn is_low(&self) -> bool {
        self.last.max(self.counted) <= Self::FEW
    }
}

pub struct Core {
    pub id: usize,
    pub cores: usize,
    pub shared: Arc<Shared>,
    pub config: Config,
    /// What the hot paths need of the configuration, unpacked.
    pub settings: Settings,
    pub now: Now,

    pub shard: Shard,
    pub gate: Gate,
    pub deferred: VecDeque<Deferred>,
    /// Connections whose next command waits for the gate.
    pub gate_waiters: Vec<u32>,
    /// Used on core 0 only.
    pub sequencer: Sequencer,
    /// Transactions of this core that wait for their shards.
    pub turns: HashMap<TransactionId, Turn>,

    pub ring: Ring,
    pub mailbox: Mailbox<Message>,
    /// This round's commands for each other core.
    pub outgoing: Vec<Option<Box<CommandBatch>>>,
    /// Batches sent and not back yet, per core.
    pub batches_away: Vec<u32>,
    #[expect(clippy::vec_box, reason = "a batch travels in its box")]
    spare_batches: Vec<Box<CommandBatch>>,
    spare_buffers: Vec<Vec<u8>>,
    /// Their capacities' sum.
    spare_bytes: usize,

    connections: Vec<Slot>,
    free: Vec<u32>,
    /// CLIENT ID → connection.
    pub clients: HashMap<u64, u32>,
    /// Connections with something to send.
    pub dirty: Vec<u32>,
    /// Connections whose input can go on.
    pub resume: Vec<u32>,

    pub calls: Calls,
    /// Tasks to be polled for the first time.
    pub new_tasks: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>>,
    /// The handle that tasks get; set once the core is in its cell.
    pub handle: std::rc::Weak<std::cell::RefCell<Core>>,

    pub pubsub: PubSub,
    pub key_waits: crate::key_wait::KeyWaits,
    pub monitors: Monitors,
    pub command_stats: CommandStats,
    pub slow: SlowLog,
    pub stats: CoreStats,
    /// The end of the last command timed.
    pub timed_until: ringfort_net::Ticks,
    /// Connections that found the way to another core full; `None`: to any, for a publisher.
    pub backlogged: Vec<(u32, Option<usize>)>,
    /// The core that gets the next connection on a tie.
    pub next_deal: usize,
    pub activity: Activity,
    /// The spin that the loop has set.
    pub spin_us: u64,
    /// The node is shut down: the loop ends.
    pub stopped: bool,
    pub pause: crate::pause::Pause,
    pub latency: crate::slow::LatencyMonitor,
    /// Set by DEBUG SET-ACTIVE-EXPIRE and the like: see [`crate::cron`].
    pub cron: crate::cron::CronState,

    pub snapshot: crate::replication::SnapshotCore,
    /// Connections of replicas that are sent the log, and its end when that was last looked at.
    pub readers: Vec<u32>,
    pub log_end_seen: u64,
    /// Its end when this core last trimmed it.
    pub log_trimmed_at: u64,
    /// Databases that are being loaded.
    pub load: Option<crate::replication::LoadTarget>,
    pub file_loader: Option<crate::replication::Loader>,
    /// On core 0: the primary that this node follows, how often that changed, and the connection to it.
    pub following: Option<crate::replication::Following>,
    pub next_attempt: u64,
    pub link_index: Option<u32>,
    /// How many want the link to begin nothing for now, and whether a snapshot is being put into place.
    pub link_holds: u32,
    pub finishing_sync: bool,
    /// The database that the primary's stream stands in.
    pub stream_database: usize,
    /// Files that glommio tasks of this core are writing: it then parks at once, for them to go on.
    pub file_tasks: usize,

    // Scratch space of the hot path, kept between rounds.
    pub batch: Batch,
    pub prepared: Vec<Prepared>,
    pub reply_ends: Vec<usize>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

/// Token generations are 24 bits wide.
const GENERATION_MASK: u32 = 0x00ff_ffff;

/// A new buffer for output has room for so many bytes: the replies of a usual pipeline.
const SPARE_BYTES: usize = 1 << 12;

/// Buffers over this size are not kept for reuse, in bytes.
const SPARE_BYTES_MAX: usize = 1 << 16;

/// All spare buffers of a core together, in bytes: more would be memory that keys could use.
const SPARES_BYTES_MAX: usize = 1 << 20;

impl Core {
    pub fn new(
        id: usize,
        shared: Arc<Shared>,
        config: Config,
        ring: Ring,
        mailbox: Mailbox<Message>,
    ) -> Self {
        let cores = mailbox.cores();
        let hasher = Hasher::new(shared.hash_seeds);
        let seed = shared.hash_seeds[0] ^ (id as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let settings = Settings::from_config(&config);
        let mut shard = Shard::new(hasher, settings.databases, seed);
        shard.settings = settings.shard.clone();
        shard.settings.is_replica = shared.replication.is_replica();
        let settings_spin_us = settings.spin_us;
        Core {
            id,
            cores,
            shared,
            settings,
            now: Now::default(),
            shard,
            gate: Gate::default(),
            deferred: VecDeque::new(),
            gate_waiters: Vec::new(),
            sequencer: Sequencer,
            turns: HashMap::new(),
            ring,
            mailbox,
            outgoing: (0..cores).map(|_| None).collect(),
            batches_away: vec![0; cores],
            spare_batches: Vec::new(),
            spare_buffers: Vec::new(),
            spare_bytes: 0,
            connections: Vec::new(),
            free: Vec::new(),
            clients: HashMap::new(),
            dirty: Vec::new(),
            resume: Vec::new(),
            calls: Calls::default(),
            new_tasks: Vec::new(),
            handle: std::rc::Weak::new(),
            pubsub: PubSub::default(),
            key_waits: crate::key_wait::KeyWaits::default(),
            monitors: Monitors::new(cores),
            command_stats: CommandStats::new(),
            slow: SlowLog::default(),
            stats: CoreStats::default(),
            timed_until: ringfort_net::Ticks::now(),
            backlogged: Vec::new(),
            next_deal: 0,
            activity: Activity::default(),
            spin_us: settings_spin_us,
            stopped: false,
            pause: crate::pause::Pause::default(),
            latency: crate::slow::LatencyMonitor::default(),
            cron: crate::cron::CronState::default(),
            snapshot: crate::replication::SnapshotCore::default(),
            readers: Vec::new(),
            log_end_seen: 0,
            log_trimmed_at: 0,
            load: None,
            file_loader: None,
            following: None,
            next_attempt: 0,
            link_index: None,
            link_holds: 0,
            finishing_sync: false,
            stream_database: 0,
            file_tasks: 0,
            batch: Batch::default(),
            prepared: Vec::new(),
            reply_ends: Vec::new(),
            config,
        }
    }

    /// Takes a changed configuration over.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
        self.settings = Settings::from_config(&self.config);
        self.command_stats.track_latency = self.settings.latency_tracking;
        let old = std::mem::replace(&mut self.shard.settings, self.settings.shard.clone());
        // Not of the configuration, but of DEBUG, of the role and of CLIENT PAUSE.
        self.shard.settings.active_expire = old.active_expire;
        self.shard.settings.is_replica = old.is_replica;
        self.shard.settings.writes_held = old.writes_held;
    }

    /// CONFIG RESETSTAT on this core.
    pub fn reset_statistics(&mut self) {
        self.stats = CoreStats::default();
        self.command_stats = CommandStats::new();
        self.command_stats.track_latency = self.settings.latency_tracking;
        self.shard.stats = ringfort_core::shard::ShardStats {
            dirty: self.shard.stats.dirty,
            ..Default::default()
        };
    }

    /// The shard that owns `slot`.
    #[inline]
    pub fn shard_of(&self, slot: ringfort_core::slot::Slot) -> usize {
        ringfort_core::slot::shard_of(slot, self.cores)
    }

    /// Reads the clocks. Once per round: all commands of a round see one time.
    pub fn tick(&mut self) {
        self.now = Now {
            wall_ms: ringfort_net::clock::wall_clock_ms(),
            mono_us: ringfort_net::clock::monotonic_us(),
        };
        self.activity.tick(self.now.mono_us);
    }

    /// Sends a message to another core. What this core did so far is in the log before the other can know of it.
    pub fn send(&mut self, to: usize, message: Message) {
        self.publish_effects();
        self.mailbox.send(to, message);
    }

    /// Runs `job` on core `to`; on this core at once.
    pub fn post(&mut self, to: usize, job: impl FnOnce(&mut Core) + Send + 'static) {
        if to == self.id {
            job(self);
        } else {
            self.send(to, Message::Post(Box::new(job)));
        }
    }

    /// Runs `job` on every core, this one included.
    pub fn post_all(&mut self, job: impl Fn(&mut Core) + Send + Clone + 'static) {
        for to in 0..self.cores {
            let job = job.clone();
            self.post(to, move |core| job(core));
        }
    }

    // --- Connections ------------------------------------------------------------------------------------

    /// A free place for a connection and the token that names it.
    pub fn reserve_connection(&mut self) -> (u32, Token) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.connections.push(Slot::default());
            self.connections.len() as u32 - 1
        });
        (index, Self::token(index, self.connections[index as usize].generation))
    }

    pub fn insert_connection(&mut self, index: u32, connection: Box<Connection>) {
        self.clients.insert(connection.id, index);
        self.connections[index as usize].connection = Some(connection);
    }

    fn token(index: u32, generation: u32) -> Token {
        Token(u64::from(generation) << 32 | u64::from(index))
    }

    /// The place of the connection that `token` names, if it is still there.
    #[inline]
    pub fn index_of(&self, token: Token) -> Option<u32> {
        let (index, generation) = (token.0 as u32, (token.0 >> 32) as u32);
        (self.connections.get(index as usize)?.generation == generation).then_some(index)
    }

    pub fn generation(&self, index: u32) -> u32 {
        self.connections[index as usize].generation
    }

    #[inline]
    pub fn connection(&mut self, index: u32) -> Option<&mut Connection> {
        self.connections.get_mut(index as usize)?.connection.as_deref_mut()
    }

    /// The connection at `index` if it is the same one as when `generation` was read.
    #[inline]
    pub fn connection_of(&mut self, index: u32, generation: u32) -> Option<&mut Connection> {
        let slot = self.connections.get_mut(index as usize)?;
        if slot.generation != generation {
            return None;
        }
        slot.connection.as_deref_mut()
    }

    /// The connection of client `id`.
    pub fn client(&mut self, id: u64) -> Option<&mut Connection> {
        let index = *self.clients.get(&id)?;
        self.connection(index)
    }

    /// Takes the connection out, to work on it and the core at the same time; put back with
    /// [`Core::put_connection`].
    #[inline]
    pub fn take_connection(&mut self, index: u32) -> Option<Box<Connection>> {
        self.connections.get_mut(index as usize)?.connection.take()
    }

    #[inline]
    pub fn put_connection(&mut self, index: u32, mut connection: Box<Connection>) {
        if self.pubsub.has_late() {
            self.take_late(index, &mut connection);
        }
        self.connections[index as usize].connection = Some(connection);
    }

    /// Places for connections, used or free.
    pub fn connection_places(&self) -> u32 {
        self.connections.len() as u32
    }

    pub fn connections(&self) -> impl Iterator<Item = (u32, &Connection)> {
        self.connections
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((index as u32, slot.connection.as_deref()?)))
    }

    pub fn connections_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.connections.iter_mut().filter_map(|slot| slot.connection.as_deref_mut())
    }

    /// Closes the connection at once, undoing what its session holds elsewhere.
    pub fn close_connection(&mut self, index: u32) {
        self.name_slow_entries();
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
        if connection.link.is_some() {
            if !self.may_close_link(index, &mut connection) {
                self.put_connection(index, connection);
                return;
            }
            self.forget_link(&mut connection);
        }
        if let Some(call) = connection.blocked_on {
            self.calls.finish(call, Box::new(()));
        }
        self.forget_replica(index, &mut connection);
        self.ring.close(connection.slot);
        self.clients.remove(&connection.id);
        self.forget_session(&mut connection);
        let slot = &mut self.connections[index as usize];
        slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
        self.free.push(index);
        self.shared.clients.fetch_sub(1, Relaxed);
        self.shared.cores[self.id].connections.fetch_sub(1, Relaxed);
    }

    /// Lists the connection for this round's flush.
    #[inline]
    pub fn mark_dirty(&mut self, index: u32, connection: &mut Connection) {
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }

    /// Appends an out-of-band message (a push, a published message) to what client `index` will be sent.
    pub fn deliver(&mut self, index: u32, bytes: &[u8]) {
        let Some(connection) = self.connections[index as usize].connection.as_deref_mut() else {
            return;
        };
        connection.reply_buffer().extend_from_slice(bytes);
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }

    // --- Buffers ----------------------------------------------------------------------------------------

    pub fn spare_buffer(&mut self) -> Vec<u8> {
        let Some(buffer) = self.spare_buffers.pop() else {
            return Vec::with_capacity(SPARE_BYTES);
        };
        self.spare_bytes -= buffer.capacity();
        buffer
    }

    pub fn reuse_buffer(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() >= SPARE_BYTES
            && buffer.capacity() <= SPARE_BYTES_MAX
            && self.spare_bytes + buffer.capacity() <= SPARES_BYTES_MAX
        {
            buffer.clear();
            self.spare_bytes += buffer.capacity();
            self.spare_buffers.push(buffer);
        }
    }

    pub fn spare_batch(&mut self) -> Box<CommandBatch> {
        self.spare_batches.pop().unwrap_or_default()
    }

    pub fn reuse_batch(&mut self, mut batch: Box<CommandBatch>) {
        if self.spare_batches.len() < 64 {
            batch.clear();
            self.spare_batches.push(batch);
        }
    }

    // --- Memory -----------------------------------------------------------------------------------------

    /// Publishes this core's counters for the others.
    pub fn publish_counters(&mut self) {
        let counters = &self.shared.cores[self.id];
        counters.memory_bytes.store(alloc::thread_bytes() as i64, Relaxed);
        if self.settings.maxmemory > 0 {
            let policy = self.shard.settings.maxmemory_policy;
            let evictable = if policy.is_volatile() {
                self.shard.databases.iter().map(|database| database.expiring_len()).sum()
            } else {
                self.shard.len()
            };
            counters.evictable_keys.store(evictable as u64, Relaxed);
        }
    }

    /// Bytes allocated in the node, this core's part as of now.
    pub fn memory_bytes(&self) -> u64 {
        self.shared.cores[self.id].memory_bytes.store(alloc::thread_bytes() as i64, Relaxed);
        self.shared.memory_bytes()
    }
}
