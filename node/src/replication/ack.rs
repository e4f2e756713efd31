//! Who waits for acknowledgements: WAIT, SHUTDOWN and FAILOVER.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, atomic::AtomicUsize};

use crate::core::Core;
use crate::tasks::{Answer, CoreHandle};

use super::{Stage, lock};

/// Calls to be finished when some replica acknowledges.
#[derive(Debug, Default)]
pub struct AckWaiters {
    /// (core, number of the call there).
    calls: Mutex<Vec<(usize, u64)>>,
    count: AtomicUsize,
}

impl AckWaiters {
    pub fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }
}

impl Core {
    /// Replicas that acknowledged `offset` and are online.
    pub fn replicas_at(&self, offset: u64) -> usize {
        let replicas = self.shared.replication.replicas();
        let there = |replica: &&std::sync::Arc<super::Replica>| {
            replica.stage() == Stage::Online && replica.ack.load(Relaxed) >= offset
        };
        replicas.iter().filter(there).count()
    }

    /// Something changed that somebody may wait for.
    pub fn wake_ack_waiters(&mut self) {
        if self.shared.replication.acks.is_empty() {
            return;
        }
        let acks = &self.shared.replication.acks;
        let calls = std::mem::take(&mut *lock(&acks.calls));
        acks.count.fetch_sub(calls.len(), Relaxed);
        for (to, number) in calls {
            self.post(to, move |core| core.calls.finish(number, Box::new(())));
        }
    }

    /// Asks all replicas how far they are.
    pub fn request_acks(&mut self) {
        self.publish_effects();
        self.shared
            .replication
            .log
            .append_keyless(b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n");
        self.wake_readers();
    }
}

/// Ready when a replica acknowledges something, comes or goes after this call, or when `deadline_ms` of the monotonic
/// clock is reached. Ask for what is waited for between this call and the await. `None`: the time is up.
pub fn next_ack(core: &CoreHandle, deadline_ms: Option<u64>) -> Option<Answer> {
    let mut core = core.borrow_mut();
    let now_ms = ringfort_net::clock::monotonic_us() / 1000;
    if deadline_ms.is_some_and(|deadline| now_ms >= deadline) {
        return None;
    }
    let (number, answer) = core.calls.expect();
    let acks = &core.shared.replication.acks;
    lock(&acks.calls).push((core.id, number));
    acks.count.fetch_add(1, Relaxed);
    if let Some(deadline) = deadline_ms {
        core.finish_later(number, deadline - now_ms);
    }
    Some(answer)
}
