//! What a core does by the clock: expiry in small slices, idle clients, the end of a pause, memory.

use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::{active_expiry, eviction};

use crate::connection::Wait;
use crate::core::Core;
use crate::node_commands::process;

/// When the core's periodic work is due, in microseconds of the monotonic clock.
#[derive(Default)]
pub struct CronState {
    due_us: u64,
    /// Active expiry stopped at its budget with keys still due.
    pub expiry_unfinished: bool,
    /// Detached tables that are freed a little at a time.
    pub detached: Vec<ringfort_core::store::Detached>,
    /// Where the walk over idle clients goes on.
    next_client: u32,
    pub ops: OpsMeter,
    /// Other cores were asked to evict and have not answered.
    pub evicting: bool,
    /// The node was still over its memory when this core's last turn of evicting ended.
    pub eviction_unfinished: bool,
    /// Processor time and spins of this core's thread when [`CoreStats::busy_us`] was brought up to date.
    ///
    /// [`CoreStats::busy_us`]: crate::core::CoreStats::busy_us
    cpu_us: u64,
    spin_us: u64,
}

/// What happens per second, sampled every 100 ms over 16 samples, as Redis does.
#[derive(Debug, Default)]
pub struct OpsMeter {
    samples: [[f64; METERS]; 16],
    at: usize,
    last: [u64; METERS],
    last_us: u64,
}

/// Commands, bytes in, bytes out, rounds, microseconds busy.
pub const METERS: usize = 5;

impl OpsMeter {
    fn sample(&mut self, now_us: u64, totals: [u64; METERS]) {
        if self.last_us > 0 && now_us > self.last_us {
            let seconds = (now_us - self.last_us) as f64 / 1e6;
            for (meter, (total, last)) in totals.iter().zip(self.last).enumerate() {
                self.samples[self.at][meter] = (total.saturating_sub(last)) as f64 / seconds;
            }
            self.at = (self.at + 1) % self.samples.len();
        }
        self.last = totals;
        self.last_us = now_us;
    }

    /// Each meter's rate per second.
    pub fn rates(&self) -> [f64; METERS] {
        let mut rates = [0.0; METERS];
        for (meter, rate) in rates.iter_mut().enumerate() {
            *rate = self.samples.iter().map(|sample| sample[meter]).sum::<f64>()
                / self.samples.len() as f64;
        }
        rates
    }
}

/// Entries looked at between two looks at the clock.
const EXPIRY_STEP_ENTRIES: usize = 400;

/// The share of a busy core that expiry may take: microseconds per turn, with turns this far apart at least.
const EXPIRY_SLICE_US: u64 = 1_000;
const CRON_PERIOD_US: u64 = 100_000;

/// Entries freed per round of a table that was flushed.
const FREED_PER_ROUND: usize = 2_000;

/// Keys evicted by one command before it goes on to be refused, and per round in the background.
const EVICTIONS_PER_STEP: usize = 64;

impl Core {
    /// Microseconds between two turns of the periodic work.
    pub fn cron_period(&self) -> u64 {
        (1_000_000 / self.settings.hz.max(1)).min(CRON_PERIOD_US)
    }

    /// Called every round; does little unless something is due.
    #[inline]
    pub fn run_cron_if_due(&mut self) {
        if self.id == 0
            && let Some(signal) = self.shared.signals.take()
        {
            self.signalled(signal);
        }
        if !self.cron.detached.is_empty() {
            self.free_detached();
        }
        if self.now.mono_us >= self.cron.due_us
            || self.cron.expiry_unfinished
            || self.cron.eviction_unfinished
        {
            self.run_cron();
        }
    }

    fn run_cron(&mut self) {
        let is_due = self.now.mono_us >= self.cron.due_us;
        if is_due || self.cron.expiry_unfinished {
            self.run_active_expiry();
        }
        self.cron.eviction_unfinished = false;
        if self.settings.maxmemory > 0 && self.is_over_memory() {
            self.evict_in_background();
        }
        if !is_due {
            return;
        }
        self.cron.due_us = self.now.mono_us + self.cron_period();
        let startup_bytes = &self.shared.cores[self.id].startup_bytes;
        if startup_bytes.load(Relaxed) == 0 {
            startup_bytes.store(crate::alloc::thread_bytes() as i64, Relaxed);
        }
        self.measure_time();
        let totals = [
            self.stats.commands,
            self.stats.input_bytes,
            self.stats.output_bytes,
            self.stats.rounds,
            self.stats.busy_us,
        ];
        self.cron.ops.sample(self.now.mono_us, totals);
        self.end_pause_if_due();
        self.run_replication_cron();
        self.close_idle_clients();
        self.evict_clients();
        self.shared.peak_memory_bytes.fetch_max(self.memory_bytes() as i64, Relaxed);
        self.shared.cores[self.id].keys.store(self.shard.len() as u64, Relaxed);
        self.shared.cores[self.id].changes.store(self.shard.stats.dirty, Relaxed);
    }

    /// Brings the time that the core was busy up to date.
    fn measure_time(&mut self) {
        let cpu_us = process::cpu_times(libc::RUSAGE_THREAD).total_us();
        let spin_us = self.stats.spin_us;
        let spun_us = spin_us.saturating_sub(self.cron.spin_us);
        self.stats.busy_us += cpu_us.saturating_sub(self.cron.cpu_us).saturating_sub(spun_us);
        (self.cron.cpu_us, self.cron.spin_us) = (cpu_us, spin_us);
    }

    /// Removes keys whose time has passed, for a bounded time.
    fn run_active_expiry(&mut self) {
        self.cron.expiry_unfinished = false;
        if !self.shard.settings.active_expire
            || self.shard.settings.is_replica
            || self.gate.is_stopped()
            || self.pause.holds_writes()
        {
            return;
        }
        let from = ringfort_net::clock::monotonic_us();
        loop {
            let step = active_expiry::step(&mut self.shard, self.now.wall_ms, EXPIRY_STEP_ENTRIES);
            self.shard.stats.active_expired_keys += step.expired as u64;
            if step.finished_round {
                break;
            }
            if ringfort_net::clock::monotonic_us() - from > EXPIRY_SLICE_US {
                self.shard.stats.expired_time_cap_reached += 1;
                self.cron.expiry_unfinished = true;
                break;
            }
        }
        let took_us = ringfort_net::clock::monotonic_us() - from;
        self.shard.stats.expire_cycle_cpu_us += took_us;
        self.note_latency("expire-cycle", took_us);
        if !self.shard.events.list.is_empty() {
            self.publish_key_events();
        }
    }

    /// Keeps an event of the latency monitor if it took long enough.
    pub fn note_latency(&mut self, event: &'static str, took_us: u64) {
        let ms = took_us / 1000;
        if self.settings.latency_ms > 0 && ms >= self.settings.latency_ms {
            self.latency.note(event, self.now.wall_ms / 1000, ms);
        }
    }

    fn free_detached(&mut self) {
        if let Some(detached) = self.cron.detached.last_mut()
            && !detached.drop_some(FREED_PER_ROUND)
        {
            self.cron.detached.pop();
        }
    }

    /// `timeout`: closes clients that have been idle too long, some at a time.
    fn close_idle_clients(&mut self) {
        const LOOKED_AT: u32 = 1000;
        let places = self.connection_places();
        if self.settings.timeout_ms == 0 || places == 0 {
            return;
        }
        let now = self.now.mono_ms();
        for _ in 0..LOOKED_AT.min(places) {
            let index = self.cron.next_client % places;
            self.cron.next_client = index + 1;
            let timeout_ms = self.settings.timeout_ms;
            let Some(connection) = self.connection(index) else {
                continue;
            };
            let session = &connection.session;
            let listens = session.subscriptions + session.shard_subscriptions > 0
                || session.monitor
                || connection.replica.as_ref().is_some_and(|replica| replica.is_linked())
                || connection.link.is_some();
            if !listens
                && connection.wait == Wait::None
                && now.saturating_sub(connection.active_ms) > timeout_ms
            {
                self.close_connection(index);
            }
        }
    }

    // --- Memory ------------------------------------------------------------------------------------------

    /// A replica holds what its primary holds.
    fn leaves_memory_to_primary(&self) -> bool {
        self.shard.settings.is_replica && self.config.replication.replica_ignore_maxmemory
    }

    pub fn is_over_memory(&self) -> bool {
        self.memory_bytes() > self.settings.maxmemory
    }

    /// Evicts until the node is under its limit. Error: it is over it and nothing can go, on no shard.
    pub fn make_room(&mut self) -> Result<(), ringfort_core::error::Error> {
        use ringfort_core::error::Error;
        use ringfort_core::shard::Policy;
        if !self.is_over_memory() || self.leaves_memory_to_primary() {
            return Ok(());
        }
        if self.shard.settings.maxmemory_policy == Policy::NoEviction {
            return Err(Error::OUT_OF_MEMORY);
        }
        if self.evict_here() {
            return Ok(());
        }
        // Nothing more to give here; the others were told and go on, if they have something.
        let others = (0..self.cores)
            .filter(|core| *core != self.id)
            .any(|core| self.shared.cores[core].evictable_keys.load(Relaxed) > 0);
        if others {
            self.evict_elsewhere();
            return Ok(());
        }
        Err(Error::OUT_OF_MEMORY)
    }

    /// Evicts on this shard, for a bounded time. `true`: the node is under its limit, or at least some keys went.
    fn evict_here(&mut self) -> bool {
        if self.gate.is_stopped() || self.pause.holds_writes() || self.shard.settings.is_replica {
            return false;
        }
        let from = ringfort_net::clock::monotonic_us();
        let mut evicted = false;
        while self.is_over_memory() {
            let excess = self.memory_bytes().saturating_sub(self.settings.maxmemory) as usize;
            let now = self.now.wall_ms;
            if eviction::evict_some(&mut self.shard, now, EVICTIONS_PER_STEP, excess).is_none() {
                break;
            }
            evicted = true;
            if ringfort_net::clock::monotonic_us() - from > self.settings.eviction_slice_us {
                self.cron.eviction_unfinished = self.is_over_memory();
                break;
            }
        }
        self.note_latency("eviction-cycle", ringfort_net::clock::monotonic_us() - from);
        if !self.shard.events.list.is_empty() {
            self.publish_key_events();
        }
        evicted || !self.is_over_memory()
    }

    fn evict_in_background(&mut self) {
        use ringfort_core::shard::Policy;
        if self.shard.settings.maxmemory_policy != Policy::NoEviction {
            self.evict_here();
        }
    }

    fn evict_elsewhere(&mut self) {
        if std::mem::replace(&mut self.cron.evicting, true) {
            return;
        }
        let id = self.id;
        for to in (0..self.cores).filter(|to| *to != id) {
            self.post(to, move |core| {
                core.evict_in_background();
                core.post(id, |core| core.cron.evicting = false);
            });
        }
    }
}
