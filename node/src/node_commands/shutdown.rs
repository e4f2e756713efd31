//! SHUTDOWN: waits for replicas, saves, ends the process.
//!
//! One task carries a shutdown out. Whoever asks again meanwhile can only hurry it, and waits for its outcome: a second
//! save would interrupt the first, and a first that fails let writes go on that the second has not saved.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::error::Error;

use crate::client::Client;
use crate::config::ShutdownOn;
use crate::core::Core;
use crate::pause::{PauseBy, PauseMode};
use crate::replication::{self, lock, next_ack};
use crate::startup::ShutdownSignal;
use crate::tasks::{Answer, CoreHandle, on_all_cores};

/// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]. No reply: the connection closes with the node.
pub async fn shutdown(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let (mut how, mut abort) = (ShutdownOn::default(), false);
    for at in 1..args.len() {
        if args.is(at, "save") {
            how.save = true;
        } else if args.is(at, "nosave") {
            how.nosave = true;
        } else if args.is(at, "now") {
            how.now = true;
        } else if args.is(at, "force") {
            how.force = true;
        } else if args.is(at, "abort") {
            abort = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if how.save && how.nosave || abort && how != ShutdownOn::default() {
        return Err(Error::SYNTAX);
    }
    if abort {
        let mut core = client.core.borrow_mut();
        {
            let mut shutdown = lock(&core.shared.shutdown);
            if shutdown.stage != Stage::Waiting {
                return Err(Error::new("ERR No shutdown in progress."));
            }
            shutdown.stage = Stage::Aborted;
        }
        core.wake_ack_waiters();
        return Ok(client.reply(|reply| reply.ok()));
    }
    if !shut_down(&client.core, how).await {
        return Err(Error::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    Ok(Vec::new())
}

/// The shutdown that is under way, if one is.
#[derive(Debug, Default)]
pub struct Shutdown {
    stage: Stage,
    /// It waits for replicas no longer.
    now: bool,
    /// While it waits for replicas: until when, in milliseconds of the monotonic clock.
    pub deadline_ms: Option<u64>,
    /// Calls to be finished should it come to nothing: (core, number of the call there).
    joined: Vec<(usize, u64)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    None,
    /// For replicas. It can still be called off.
    Waiting,
    Aborted,
    /// It saves, if it is to, and ends the cores.
    Finishing,
}

impl Core {
    /// A signal asked for a shutdown; the configuration says how to take it. A second one does not wait for replicas.
    pub fn signalled(&mut self, signal: ShutdownSignal) {
        let mut how = match signal {
            ShutdownSignal::Term => self.config.process.shutdown_on_sigterm,
            ShutdownSignal::Int => self.config.process.shutdown_on_sigint,
        };
        how.now |= lock(&self.shared.shutdown).stage == Stage::Waiting;
        let handle = self.handle.upgrade().expect("the loop holds the core");
        self.new_tasks.push(Box::pin(async move {
            if !shut_down(&handle, how).await {
                crate::warning!(
                    "Errors trying to shut down the server. Check the logs for more information."
                );
            }
        }));
    }
}

/// Shuts the node down, or waits for what becomes of a shutdown that is under way. `false`: data would be lost that was
/// to be saved, or the shutdown was called off.
async fn shut_down(core: &CoreHandle, how: ShutdownOn) -> bool {
    while let Some((was_aborted, ended)) = join(core, how.now) {
        ended.await;
        // What was called off before is no answer to this.
        if !was_aborted {
            return false;
        }
    }
    if carry_out(core, how).await {
        return true;
    }
    on_all_cores(core, |core| core.end_pause(PauseBy::Shutdown)).await;
    let mut core = core.borrow_mut();
    core.shared.signals.clear();
    let ended = std::mem::take(&mut *lock(&core.shared.shutdown));
    for (to, number) in ended.joined {
        core.post(to, move |core| core.calls.finish(number, Box::new(())));
    }
    false
}

/// Begins a shutdown: `None`. If one is under way, hurries it if asked to: whether it had been called off already, and
/// what ends when it comes to nothing.
fn join(core: &CoreHandle, now: bool) -> Option<(bool, Answer)> {
    let mut core = core.borrow_mut();
    let shared = Arc::clone(&core.shared);
    let mut shutdown = lock(&shared.shutdown);
    if shutdown.stage == Stage::None {
        shutdown.stage = Stage::Waiting;
        shutdown.now = now;
        return None;
    }
    shutdown.now |= now;
    let (number, answer) = core.calls.expect();
    shutdown.joined.push((core.id, number));
    let was_aborted = shutdown.stage == Stage::Aborted;
    drop(shutdown);
    core.wake_ack_waiters();
    Some((was_aborted, answer))
}

/// Waits for replicas, saves, and ends the loops of all cores, and with them the process. `false`: it does not.
async fn carry_out(core: &CoreHandle, how: ShutdownOn) -> bool {
    crate::notice!("User requested shutdown...");
    let shared = Arc::clone(&core.borrow().shared);
    wait_for_replicas(core).await;
    {
        let mut shutdown = lock(&shared.shutdown);
        shutdown.deadline_ms = None;
        if shutdown.stage == Stage::Aborted {
            crate::notice!("Shutdown manually aborted.");
            return false;
        }
        shutdown.stage = Stage::Finishing;
    }
    let save_points = !core.borrow().config.persistence.save.0.is_empty();
    // What is in the databases while they are being loaded must not take the file's place.
    let partial = core.borrow().is_data_partial();
    if (how.save || save_points) && !how.nosave && !partial {
        crate::notice!("Saving the final RDB snapshot before exiting.");
        // What is written from here on would be in no file.
        hold_writes(core).await;
        if let Err(error) = replication::save_before_all(core).await {
            if !how.force {
                crate::warning!("Error trying to save the DB, can't exit: {error}");
                return false;
            }
            crate::warning!("Error trying to save the DB. Exit anyway.");
        }
    }
    let mut core = core.borrow_mut();
    core.shared.shutting_down.store(true, Relaxed);
    core.post_all(|core| {
        core.ring.unlisten_all();
        core.stopped = true;
    });
    true
}

/// From here on clients write nothing; what they had begun is done and in the log.
async fn hold_writes(core: &CoreHandle) {
    let pause = |core: &mut Core| core.start_pause(PauseBy::Shutdown, u64::MAX, PauseMode::Write);
    on_all_cores(core, pause).await;
    replication::writes_settled(core).await;
}

/// Holds writes back until every replica has what there is, or `shutdown-timeout` is over, or nobody wants to wait.
async fn wait_for_replicas(core: &CoreHandle) {
    let shared = Arc::clone(&core.borrow().shared);
    let replication = &shared.replication;
    let timeout_s = core.borrow().config.process.shutdown_timeout_seconds;
    let deadline_ms = ringfort_net::clock::monotonic_us() / 1000 + u64::from(timeout_s) * 1000;
    {
        let mut shutdown = lock(&shared.shutdown);
        if shutdown.now
            || timeout_s == 0
            || replication.is_replica()
            || replication.replicas().is_empty()
        {
            return;
        }
        shutdown.deadline_ms = Some(deadline_ms);
    }
    hold_writes(core).await;
    let end = replication.log.end();
    // It may have become a replica meanwhile, which appends nothing of its own.
    if !replication.is_replica() {
        core.borrow_mut().request_acks();
    }
    let behind =
        || replication.online().iter().filter(|replica| replica.ack.load(Relaxed) < end).count();
    let waits = || {
        let shutdown = lock(&shared.shutdown);
        shutdown.stage == Stage::Waiting && !shutdown.now
    };
    if behind() > 0 {
        crate::notice!("Waiting for replicas before shutting down.");
    }
    loop {
        // The call first: what happens between the look and the await ends it.
        let acked = next_ack(core, Some(deadline_ms));
        if !waits() || behind() == 0 {
            return;
        }
        let Some(acked) = acked else {
            crate::warning!("{} of the replicas are behind: shutting down all the same.", behind());
            return;
        };
        acked.arrives().await;
    }
}
