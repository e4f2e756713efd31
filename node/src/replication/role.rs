//! Which role this node has: REPLICAOF, promotion, and what clients may do meanwhile.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::command::{Flags, Handler, SessionCommand, Spec};
use ringfort_core::error::Error;
use ringfort_core::flush;

use crate::connection::Connection;
use crate::core::Core;
use crate::tasks::{CoreHandle, on_all_cores, on_core, sleep_ms};
use crate::transaction::stop_all;

use super::link::{self, Following};
use super::{Loading, Replication};

/// Why some commands may not run now: one bit each, so that the usual case is one comparison with zero.
pub mod restriction {
    /// Data is being loaded.
    pub const LOADING: u32 = 1;
    /// A replica takes writes from its primary only.
    pub const READ_ONLY: u32 = 2;
    /// A replica without a link, which shall not serve what may be old.
    pub const STALE: u32 = 4;
    /// Too few replicas are in step (`min-replicas-to-write`).
    pub const FEW_REPLICAS: u32 = 8;
    /// The last snapshot could not be saved (`stop-writes-on-bgsave-error`).
    pub const UNSAVED: u32 = 16;
}

impl Replication {
    fn restrict(&self, bit: u32, on: bool) {
        if on {
            self.restrictions.fetch_or(bit, Relaxed);
        } else {
            self.restrictions.fetch_and(!bit, Relaxed);
        }
    }

    pub fn update_loading(&self) {
        self.restrict(restriction::LOADING, self.loading.mode.load(Relaxed) != Loading::NO);
    }

    /// Before the cores start: a node that is told to follow is a replica while it loads, too. It takes no writes, and
    /// removes nothing by itself.
    pub fn begin_as_replica(&self, host: String, port: u16) {
        self.is_replica.store(true, Relaxed);
        self.link().begin(host, port);
    }

    /// The link came up or went down.
    pub fn update_stale(&self, is_up: bool) {
        let serves = self.serves_stale.load(Relaxed);
        self.restrict(restriction::STALE, self.is_replica() && !is_up && !serves);
    }
}

impl Core {
    /// Brings up to date what a changed configuration or a changed role restricts.
    pub fn update_restrictions(&self) {
        let replication = &self.shared.replication;
        let config = &self.config.replication;
        replication.serves_stale.store(config.replica_serve_stale_data, Relaxed);
        let is_up = replication.link().is_up();
        replication.update_stale(is_up);
        let is_replica = replication.is_replica();
        replication.restrict(restriction::READ_ONLY, is_replica && config.replica_read_only);
        self.count_good_replicas();
        let report = super::lock(&replication.snapshot);
        let persistence = &self.config.persistence;
        let unsaved = persistence.stop_writes_on_bgsave_error
            && !persistence.save.0.is_empty()
            && report.last_save_failed;
        replication.restrict(restriction::UNSAVED, unsaved);
    }

    /// Replicas in step, for `min-replicas-to-write`.
    pub fn count_good_replicas(&self) {
        let replication = &self.shared.replication;
        let config = &self.config.replication;
        let lag_ms = u64::from(config.min_replicas_max_lag_seconds) * 1000;
        let wanted = config.min_replicas_to_write as usize;
        let now_ms = self.now.mono_ms();
        let good = replication
            .online()
            .iter()
            .filter(|replica| now_ms.saturating_sub(replica.ack_ms.load(Relaxed)) <= lag_ms)
            .count();
        replication.good_replicas.store(good, Relaxed);
        let few = !replication.is_replica() && wanted > 0 && lag_ms > 0 && good < wanted;
        replication.restrict(restriction::FEW_REPLICAS, few);
    }

    /// Why a command may not run now, in the order in which Redis asks.
    pub fn check_restrictions(&self, connection: &Connection, spec: &Spec) -> Result<(), Error> {
        let restrictions = self.shared.replication.restrictions.load(Relaxed);
        if restrictions == 0 || connection.session.caller.is_primary {
            return Ok(());
        }
        let has = |bit| restrictions & bit != 0;
        let is_exec = matches!(spec.handler, Handler::Session(SessionCommand::Exec));
        let queued = connection.session.transaction.as_ref().filter(|_| is_exec);
        let queued = || queued.iter().flat_map(|all| all.queued.iter().map(|(spec, _)| *spec));
        let all = || std::iter::once(spec).chain(queued());
        let writes = all().any(|spec| spec.flags.has(Flags::WRITE));
        let is_ping = matches!(spec.handler, Handler::Session(SessionCommand::Ping));
        let follows = self.shared.replication.is_replica();
        if has(restriction::UNSAVED) && !follows && (writes || is_ping) {
            return Err(Error::UNSAVED);
        }
        if has(restriction::FEW_REPLICAS) && writes {
            return Err(Error::NO_REPLICAS);
        }
        if has(restriction::READ_ONLY) && writes {
            return Err(Error::READ_ONLY);
        }
        if has(restriction::STALE) && !all().all(|spec| spec.flags.has(Flags::STALE)) {
            return Err(Error::PRIMARY_DOWN);
        }
        if has(restriction::LOADING) {
            all().try_for_each(|spec| self.check_loading(spec))?;
        }
        Ok(())
    }
}

/// Empties all databases, with all shards stopped.
pub async fn empty_data(core: &CoreHandle) {
    let stopped = stop_all(core).await;
    on_all_cores(core, |core| {
        let now = core.now.wall_ms;
        let detached = flush::flush_all(&mut core.shard, now);
        core.cron.detached.extend(detached);
    })
    .await;
    stopped.release(core);
}

/// Whoever else asks for the same flag waits until this value goes.
pub(super) struct Alone {
    replication: Arc<Replication>,
    flag: fn(&Replication) -> &AtomicBool,
}

/// Waits until nobody else has `flag`, on whatever core.
pub(super) async fn alone(core: &CoreHandle, flag: fn(&Replication) -> &AtomicBool) -> Alone {
    let replication = Arc::clone(&core.borrow().shared.replication);
    while flag(&replication).swap(true, Relaxed) {
        sleep_ms(core, 1).await;
    }
    Alone { replication, flag }
}

impl Drop for Alone {
    fn drop(&mut self) {
        (self.flag)(&self.replication).store(false, Relaxed);
    }
}

/// Ends whatever this node follows, when all that the link began has been applied.
async fn stop_following(core: &CoreHandle) {
    on_core(core, 0, |core| {
        core.following = None;
        core.next_attempt += 1;
        core.close_link();
    })
    .await;
    // A snapshot that is being put into place gets there first.
    while on_core(core, 0, |core| core.has_link() || core.finishing_sync).await {
        sleep_ms(core, 1).await;
    }
}

async fn remember_primary(core: &CoreHandle, primary: Option<(String, u16)>) {
    on_all_cores(core, move |core| {
        core.config.replication.replicaof.0 = primary
            .as_ref()
            .map(|(host, port)| (crate::config::Text::from(host.as_bytes()), *port));
    })
    .await;
}

/// REPLICAOF NO ONE, and the end of a failover: this node goes on by itself, under a new name.
pub async fn become_primary(core: &CoreHandle) {
    let _alone = alone(core, |replication| &replication.role_changes).await;
    let replication = Arc::clone(&core.borrow().shared.replication);
    if !replication.is_replica() {
        return;
    }
    stop_following(core).await;
    let stopped = stop_all(core).await;
    // The histories part here. Once the role is known, PINGs and messages are appended, which are this node's own.
    let replid = crate::start::random_replid();
    let end = replication.log.end();
    replication.identity().shift(replid, end);
    replication.log.forget_database();
    replication.is_replica.store(false, Relaxed);
    let logged = replication.log.is_active();
    on_all_cores(core, move |core| {
        core.shard.settings.is_replica = false;
        core.shard.effects.enabled = logged;
    })
    .await;
    crate::warning!(
        "Setting secondary replication ID, valid up to offset: {}. New replication ID is {replid}",
        end + 1
    );
    stopped.release(core);
    remember_primary(core, None).await;
    core.borrow().update_restrictions();
    // They learn the new name when they come back, without a full sync.
    on_all_cores(core, Core::close_replicas).await;
}

/// REPLICAOF host port. `failover`: that node is asked to take this one's place.
pub async fn follow(core: &CoreHandle, host: String, port: u16, failover: bool) {
    let _alone = alone(core, |replication| &replication.role_changes).await;
    let replication = Arc::clone(&core.borrow().shared.replication);
    if replication.is_replica() {
        stop_following(core).await;
    } else {
        // From here on clients write nothing more; what they had begun is still this primary's, and goes into its log.
        replication.is_replica.store(true, Relaxed);
        core.borrow().update_restrictions();
        // Clients in WAIT would wait for ever.
        core.borrow_mut().wake_ack_waiters();
        super::failover::writes_settled(core).await;
        let stopped = stop_all(core).await;
        on_all_cores(core, |core| {
            core.shard.settings.is_replica = true;
            core.unblock_key_waits();
            core.shard.effects.enabled = false;
        })
        .await;
        stopped.release(core);
    }
    replication.link().begin(host.clone(), port);
    remember_primary(core, Some((host.clone(), port))).await;
    core.borrow().update_restrictions();
    on_all_cores(core, Core::close_replicas).await;
    on_core(core, 0, move |core| {
        core.next_attempt += 1;
        let attempt = core.next_attempt;
        core.following = Some(Following {
            host,
            port,
            attempt,
            failover,
            retry_ms: link::RETRY_MS,
            linked: false,
            at_fault: false,
        });
        let handle = core.handle.upgrade().expect("the loop holds the core");
        core.new_tasks.push(Box::pin(link::follow(handle, attempt)));
    })
    .await;
}
