//! SHUTDOWN: waits for replicas, saves, ends the process.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::error::Error;

use crate::client::Client;
use crate::config::ShutdownOn;
use crate::core::Core;
use crate::pause::PauseMode;
use crate::replication::{self, next_ack};
use crate::startup::ShutdownSignal;
use crate::tasks::{CoreHandle, on_all_cores};

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
        let replication = Arc::clone(&client.core.borrow().shared.replication);
        return match replication.shutdown.compare_exchange(WAITING, ABORTED, Relaxed, Relaxed) {
            Ok(_) => {
                client.core.borrow_mut().wake_ack_waiters();
                Ok(client.reply(|reply| reply.ok()))
            }
            Err(_) => Err(Error::new("ERR No shutdown in progress.")),
        };
    }
    if !shut_down(&client.core, how).await {
        return Err(Error::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    Ok(Vec::new())
}

/// How far a shutdown is.
const NONE: u8 = 0;
const WAITING: u8 = 1;
const ABORTED: u8 = 2;

impl Core {
    /// A signal asked for a shutdown; the configuration says how to take it. One that is refused may be sent again; a
    /// second one does not wait for replicas.
    pub fn signalled(&mut self, signal: ShutdownSignal) {
        let mut how = match signal {
            ShutdownSignal::Term => self.config.process.shutdown_on_sigterm,
            ShutdownSignal::Int => self.config.process.shutdown_on_sigint,
        };
        self.shared.signals.clear();
        how.now |= self.shared.replication.shutdown.load(Relaxed) == WAITING;
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

/// Waits for replicas, saves, and ends the loops of all cores, and with them the process. `false`: data would be lost
/// that was to be saved, or the shutdown was called off.
async fn shut_down(core: &CoreHandle, how: ShutdownOn) -> bool {
    crate::notice!("User requested shutdown...");
    let (replication, timeout_ms) = {
        let core = core.borrow();
        let timeout_s = core.config.process.shutdown_timeout_seconds;
        (Arc::clone(&core.shared.replication), u64::from(timeout_s) * 1000)
    };
    if replication.shutdown.swap(WAITING, Relaxed) == WAITING && !how.now {
        return true;
    }
    if !how.now && timeout_ms > 0 && !replication.is_replica() && !replication.replicas().is_empty()
    {
        wait_for_replicas(core, timeout_ms).await;
    }
    replication.shutdown_deadline_ms.store(0, Relaxed);
    if replication.shutdown.swap(NONE, Relaxed) == ABORTED {
        on_all_cores(core, Core::end_pause).await;
        crate::notice!("Shutdown manually aborted.");
        return false;
    }
    let save_points = !core.borrow().config.persistence.save.0.is_empty();
    // What is in the databases while they are being loaded must not take the file's place.
    let partial = core.borrow().is_data_partial();
    if (how.save || save_points) && !how.nosave && !partial {
        crate::notice!("Saving the final RDB snapshot before exiting.");
        // What is written from here on would be in no file.
        on_all_cores(core, |core| core.start_pause(u64::MAX, PauseMode::Write)).await;
        replication::writes_settled(core).await;
        if let Err(error) = replication::save_before_all(core).await {
            if !how.force {
                crate::warning!("Error trying to save the DB, can't exit: {error}");
                on_all_cores(core, Core::end_pause).await;
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

/// Holds writes back until every replica has what there is, for at most so long.
async fn wait_for_replicas(core: &CoreHandle, timeout_ms: u64) {
    let now_ms = ringfort_net::clock::monotonic_us() / 1000;
    let deadline_ms = now_ms + timeout_ms;
    core.borrow().shared.replication.shutdown_deadline_ms.store(deadline_ms, Relaxed);
    on_all_cores(core, move |core| core.start_pause(deadline_ms + 1000, PauseMode::Write)).await;
    let (replication, end) = {
        let mut core = core.borrow_mut();
        let replication = Arc::clone(&core.shared.replication);
        let end = replication.log.end();
        if !replication.is_replica() {
            core.request_acks();
        }
        (replication, end)
    };
    let behind =
        || replication.online().iter().filter(|replica| replica.ack.load(Relaxed) < end).count();
    if behind() > 0 {
        crate::notice!("Waiting for replicas before shutting down.");
    }
    while behind() > 0 && replication.shutdown.load(Relaxed) == WAITING {
        let Some(acked) = next_ack(core, Some(deadline_ms)) else {
            crate::warning!("{} of the replicas are behind: shutting down all the same.", behind());
            return;
        };
        if behind() > 0 {
            acked.arrives().await;
        }
    }
}
