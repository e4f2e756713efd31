//! The shell of the transaction sequencer ([`ringfort_core::sequencer`]): stopping shards, running on them,
//! letting them go.

use ringfort_core::effect::Effects;
use ringfort_core::sequencer::{ShardSet, TransactionId, Turn};

use crate::connection::Wait;
use crate::core::{Core, Deferred};
use crate::message::Message;
use crate::tasks::CoreHandle;

/// Shards that have stopped for a transaction. Must be released.
#[must_use]
pub struct Stopped {
    id: TransactionId,
    pub shards: ShardSet,
}

/// Stops `shards`, in the order that the node's sequencer (on core 0) gives all transactions.
pub async fn stop(core: &CoreHandle, shards: ShardSet) -> Stopped {
    let (id, answer) = {
        let mut core = core.borrow_mut();
        let (number, answer) = core.calls.expect();
        let id = TransactionId { core: core.id as u16, number };
        core.turns.insert(id, Turn::new(shards));
        core.post(0, move |sequencer| {
            let stops: Vec<_> = sequencer.sequencer.request(id, shards).collect();
            for (shard, id) in stops {
                sequencer.post(shard, move |core| {
                    core.publish_effects();
                    let admitted = core.gate.arrive(id);
                    core.admit(admitted);
                });
            }
        });
        (id, answer)
    };
    answer.await;
    Stopped { id, shards }
}

/// Stops all shards.
pub async fn stop_all(core: &CoreHandle) -> Stopped {
    let all = ShardSet::all(core.borrow().cores);
    stop(core, all).await
}

impl Stopped {
    /// Publishes what was done as one piece, then lets every shard go on: what they do next comes behind it.
    pub fn release_with(self, core: &CoreHandle, effects: &mut Effects) {
        core.borrow_mut().publish_transaction(effects);
        self.release(core);
    }

    /// Lets every shard go on.
    pub fn release(self, core: &CoreHandle) {
        let mut core = core.borrow_mut();
        for shard in self.shards.iter() {
            let id = self.id;
            core.post(shard, move |core| core.release(id));
        }
    }
}

impl Core {
    /// Tells the coordinator of `admitted` that this shard has stopped for it.
    fn admit(&mut self, admitted: Option<TransactionId>) {
        if let Some(id) = admitted {
            let shard = self.id;
            self.post(id.core.into(), move |core| core.stopped(id, shard));
        }
    }

    fn stopped(&mut self, id: TransactionId, shard: usize) {
        let turn = self.turns.get_mut(&id).expect("a transaction of this core");
        if turn.stopped(shard) {
            self.turns.remove(&id);
            self.calls.finish(id.number, Box::new(()));
        }
    }

    /// Everything that waited has its turn before the next transaction is let in.
    fn release(&mut self, id: TransactionId) {
        self.gate.release(id);
        self.serve_waiters();
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred {
                Deferred::Batch { from, batch } => self.run_batch(from, batch),
                Deferred::Job { from, number, job } => {
                    let result = job(self);
                    self.answer(from, number, result);
                }
            }
        }
        for index in std::mem::take(&mut self.gate_waiters) {
            if let Some(connection) = self.connection(index)
                && connection.wait == Wait::Gate
            {
                connection.wait = Wait::None;
                self.resumed(index);
            }
        }
        self.publish_effects();
        let admitted = self.gate.admit();
        self.admit(admitted);
    }

    /// A job's result goes to the core that asked.
    pub fn answer(&mut self, to: usize, number: u64, result: Box<dyn std::any::Any + Send>) {
        if to == self.id {
            self.calls.finish(number, result);
        } else {
            self.send(to, Message::Result(number, result));
        }
    }
}

/// Runs `job` on shard `shard` as one command: not while a transaction has it stopped.
pub async fn on_shard<R: Send + 'static>(
    core: &CoreHandle,
    shard: usize,
    job: impl FnOnce(&mut Core) -> R + Send + 'static,
) -> R {
    let (here, number, answer) = {
        let mut core = core.borrow_mut();
        let (number, answer) = core.calls.expect();
        (core.id, number, answer)
    };
    let boxed: crate::message::Job =
        Box::new(move |core: &mut Core| Box::new(job(core)) as Box<dyn std::any::Any + Send>);
    core.borrow_mut().post(shard, move |core| {
        if core.gate.is_stopped() {
            core.deferred.push_back(Deferred::Job { from: here, number, job: boxed });
        } else {
            let result = boxed(core);
            core.answer(here, number, result);
        }
    });
    *answer.await.downcast().expect("a call's result has the type of its job")
}
