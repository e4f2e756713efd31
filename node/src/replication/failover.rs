//! The shell of FAILOVER: does what its machine ([`ringfort_replication::failover`]) says, and tells it what happened.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::error::Error;
use ringfort_replication::failover::{Action, Command, Replica, Stage};

use crate::client::Client;
use crate::core::Core;
use crate::pause::{PauseBy, PauseMode};
use crate::tasks::{CoreHandle, on_all_cores};
use crate::transaction::stop_all;

use super::role::alone;
use super::{Replication, lock, next_ack};

/// INFO's master_failover_state.
pub fn failover_word(core: &Core) -> &'static str {
    lock(&core.shared.replication.failover).stage().name()
}

/// Replicas as the machine wants to know them.
fn replicas(replication: &Replication) -> Vec<Replica> {
    let all = replication.replicas();
    all.iter()
        .map(|replica| Replica {
            host: lock(&replica.address).clone(),
            port: replica.port.load(Relaxed),
            online: replica.stage() == super::Stage::Online,
            acked: replica.ack.load(Relaxed),
        })
        .collect()
}

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds].
pub async fn command(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    // EXEC has the shards stopped that this would wait for.
    if client.inside {
        return Err(Error::new("ERR FAILOVER inside MULTI is not supported by this node"));
    }
    let core = &client.core;
    let command = Command::parse(&args.args())?;
    let replication = Arc::clone(&core.borrow().shared.replication);
    let now_ms = ringfort_net::clock::monotonic_us() / 1000;
    let known = replicas(&replication);
    let follows = replication.is_replica();
    lock(&replication.failover).handle_command(command, follows, &known, now_ms)?;
    run_actions(core).await;
    if lock(&replication.failover).stage() == Stage::WaitingForSync {
        let handle = Arc::clone(&replication);
        let mut borrowed = core.borrow_mut();
        let watched = borrowed.handle.upgrade().expect("the loop holds the core");
        borrowed.new_tasks.push(Box::pin(watch(watched, handle)));
    }
    Ok(client.reply(|reply| reply.ok()))
}

/// Tells the machine of acknowledgements and of its timeout until it knows where to go.
async fn watch(core: CoreHandle, replication: Arc<Replication>) {
    core.borrow_mut().request_acks();
    loop {
        let deadline_ms = lock(&replication.failover).next_timeout_ms();
        let acked = next_ack(&core, deadline_ms);
        let known = replicas(&replication);
        let now_ms = ringfort_net::clock::monotonic_us() / 1000;
        {
            let mut failover = lock(&replication.failover);
            failover.handle_acks(&known, replication.log.end());
            failover.tick(now_ms);
        }
        run_actions(&core).await;
        if lock(&replication.failover).stage() != Stage::WaitingForSync {
            return;
        }
        if let Some(acked) = acked {
            acked.arrives().await;
        }
    }
}

/// The primary that this node asked to take over answered.
pub fn answered(core: &mut Core, granted: bool) {
    let replication = Arc::clone(&core.shared.replication);
    {
        let mut failover = lock(&replication.failover);
        if granted {
            failover.handle_granted();
        } else {
            failover.handle_refused();
        }
    }
    let handle = core.handle.upgrade().expect("the loop holds the core");
    core.new_tasks.push(Box::pin(async move { run_actions(&handle).await }));
}

/// Takes the steps that are due, one after the other, whichever cores they were asked for on: the end of a pause must
/// not overtake its beginning on any of them. Returns when none is left.
async fn run_actions(core: &CoreHandle) {
    let _alone = alone(core, |replication| &replication.failover_steps).await;
    let replication = Arc::clone(&core.borrow().shared.replication);
    loop {
        let action = lock(&replication.failover).poll_action();
        match action {
            None => return,
            Some(Action::Log(text)) => crate::notice!("{text}"),
            Some(Action::PauseWrites) => {
                let pause = |core: &mut Core| {
                    core.start_pause(PauseBy::Failover, u64::MAX, PauseMode::Write)
                };
                on_all_cores(core, pause).await;
                writes_settled(core).await;
                let known = replicas(&replication);
                lock(&replication.failover).handle_writes_paused(&known, replication.log.end());
            }
            Some(Action::ResumeWrites) => {
                on_all_cores(core, |core| core.end_pause(PauseBy::Failover)).await;
            }
            Some(Action::BecomeReplica { host, port }) => {
                super::follow(core, host, port, true).await;
            }
            Some(Action::BecomePrimary) => super::become_primary(core).await,
        }
    }
}

/// Waits until writes that were on their way between cores when the pause began have been done: every core passes a
/// message to every other behind them, then all shards stop once, for those that waited at a gate.
pub async fn writes_settled(core: &CoreHandle) {
    let answer = {
        let mut core = core.borrow_mut();
        let (number, answer) = core.calls.expect();
        let (cores, home) = (core.cores, core.id);
        let missing = Arc::new(AtomicUsize::new(cores * cores));
        core.post_all(move |from| {
            let missing = Arc::clone(&missing);
            // Behind the tasks that this round has started, and behind the commands that it has gathered.
            let handle = from.handle.clone();
            from.new_tasks.push(Box::pin(async move {
                let Some(handle) = handle.upgrade() else { return };
                let mut from = handle.borrow_mut();
                for to in 0..from.cores {
                    from.send_batch(to);
                }
                from.post_all(move |to| {
                    if missing.fetch_sub(1, Relaxed) == 1 {
                        to.post(home, move |core| core.calls.finish(number, Box::new(())));
                    }
                });
            }));
        });
        answer
    };
    answer.await;
    stop_all(core).await.release(core);
}

impl Core {
    pub fn is_failing_over(&self) -> bool {
        lock(&self.shared.replication.failover).stage() != Stage::NoFailover
    }
}
