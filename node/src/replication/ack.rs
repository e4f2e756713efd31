//! Who waits for acknowledgements: WAIT, SHUTDOWN and FAILOVER.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::select;

use crate::core::Core;
use crate::tasks::{Answer, CoreHandle};

use super::{Replication, Stage, lock};

/// Calls to be finished when some replica acknowledges: the core of each, and its number there.
#[derive(Debug, Default)]
pub struct AckWaiters(Mutex<BTreeSet<(usize, u64)>>);

impl Core {
    /// Replicas that acknowledged `offset` and are online.
    pub fn replicas_at(&self, offset: u64) -> usize {
        let replicas = self.shared.replication.replicas();
        let there = |replica: &&Arc<super::Replica>| {
            replica.stage() == Stage::Online && replica.ack.load(Relaxed) >= offset
        };
        replicas.iter().filter(there).count()
    }

    /// Something changed that somebody may wait for.
    pub fn wake_ack_waiters(&mut self) {
        let calls = std::mem::take(&mut *lock(&self.shared.replication.acks.0));
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
        self.log_grew();
    }
}

/// A wait for the next acknowledgement; see [`next_ack`].
pub struct NextAck {
    core: CoreHandle,
    replication: Arc<Replication>,
    /// (core, number of the call there).
    call: (usize, u64),
    answer: Answer,
    left_ms: Option<u64>,
}

/// A wait that ends when a replica acknowledges something, comes or goes after this call, when this node becomes a
/// replica, or when `deadline_ms` of the monotonic clock is reached. Ask for what is waited for between this call and
/// [`NextAck::arrives`]. `None`: the time is up.
pub fn next_ack(core: &CoreHandle, deadline_ms: Option<u64>) -> Option<NextAck> {
    let now_ms = ringfort_net::clock::monotonic_us() / 1000;
    let left_ms = deadline_ms.map(|deadline| deadline.saturating_sub(now_ms));
    if left_ms == Some(0) {
        return None;
    }
    let mut borrowed = core.borrow_mut();
    let (number, answer) = borrowed.calls.expect();
    let replication = Arc::clone(&borrowed.shared.replication);
    let call = (borrowed.id, number);
    lock(&replication.acks.0).insert(call);
    Some(NextAck { core: core.clone(), replication, call, answer, left_ms })
}

impl NextAck {
    /// The call on this core that ends the wait when it is finished.
    pub fn call(&self) -> u64 {
        self.call.1
    }

    pub async fn arrives(mut self) {
        match self.left_ms {
            None => drop((&mut self.answer).await),
            Some(left_ms) => {
                let time_is_up = pin!(glommio::timer::sleep(Duration::from_millis(left_ms)));
                select(&mut self.answer, time_is_up).await;
            }
        }
    }
}

/// However the wait ended, nothing of it stays: most end because their time is up, and on a primary without replicas
/// nobody else would ever take them off the list.
impl Drop for NextAck {
    fn drop(&mut self) {
        lock(&self.replication.acks.0).remove(&self.call);
        self.core.borrow_mut().calls.forget(self.call.1);
    }
}
