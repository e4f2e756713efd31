//! The loop of one core.
//!
//! A round: one enter submits what the last round queued and reaps what completed; bytes become commands,
//! messages of other cores are served, tasks go on; then everything to say leaves at once. With nothing to do
//! the core spins for a bounded time, sleeps in its ring for another, then parks in glommio until it is woken.

use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::store::garbage;
use ringfort_net::{EndReason, Event, Parker, Spin};

use crate::connection::Wait;
use crate::core::Core;
use crate::message::Message;
use crate::tasks::{CoreHandle, Tasks};

/// Rounds between turns of glommio's other task queues on a busy core.
const ROUNDS_PER_YIELD: u64 = 64;

/// How long an idle core sleeps in its ring before it parks. Leaving the ring is much cheaper than unparking, but
/// glommio's timers and tasks are late by as much.
const RING_WAIT_US: u32 = 1000;

/// Messages served in one round before the sockets have their turn again.
const MESSAGES_PER_ROUND: usize = 256;

/// Runs the core until the node shuts down.
pub async fn run(handle: CoreHandle) -> std::io::Result<()> {
    let (waker, parker, spin_us) = {
        let mut core = handle.borrow_mut();
        core.handle = Rc::downgrade(&handle);
        let waker = core.mailbox.waker().clone();
        let parker = Parker::new(&mut core.ring, &waker)?;
        (waker, parker, core.settings.spin_us)
    };
    let mut tasks = Tasks::new(waker);
    let mut spin = Spin::new(spin_us);
    let mut rounds: u64 = 0;
    loop {
        {
            let mut core = handle.borrow_mut();
            core.tick();
            core.stats.rounds += 1;
            core.ring.round()?;
            core.serve_ring();
            core.serve_mailbox();
            core.run_cron_if_due();
            core.serve_waiters();
            core.free_garbage();
        }
        run_tasks(&handle, &mut tasks);
        let stop = {
            let mut core = handle.borrow_mut();
            core.flush();
            core.publish_counters();
            if core.snapshot.has_work() {
                // Replies do not wait for the snapshot's next chunk.
                core.ring.round()?;
                core.produce_chunk();
            }
            // The flag too: the message may be stuck behind a full lane, in a queue that went with its core.
            core.stopped || core.shared.shutting_down.load(Relaxed)
        };
        if stop {
            return Ok(());
        }
        rounds += 1;
        if rounds % ROUNDS_PER_YIELD == 0 {
            glommio::executor().yield_if_needed().await;
        }
        if !spin_and_prepare(&mut handle.borrow_mut(), &tasks, &mut spin, &parker)? {
            continue;
        }
        let slept = parker.sleep().await;
        parker.finish(&mut handle.borrow_mut().ring);
        slept?;
        spin.woke();
    }
}

/// With nothing to do: looks around for a bounded time, waits in the ring for another, then makes ready to park.
/// `false`: there is work.
fn spin_and_prepare(
    core: &mut Core,
    tasks: &Tasks,
    spin: &mut Spin,
    parker: &Parker,
) -> std::io::Result<bool> {
    if core.spin_us != core.settings.spin_us {
        core.spin_us = core.settings.spin_us;
        *spin = Spin::new(core.spin_us);
    }
    if core.has_work() || tasks.are_woken() {
        return Ok(false);
    }
    if core.activity.is_low() {
        let from = ringfort_net::clock::monotonic_us();
        core.stats.spins += 1;
        let fruitful = spin.spin(|| core.has_work());
        core.stats.spin_us += ringfort_net::clock::monotonic_us() - from;
        core.stats.spins_fruitful += u64::from(fruitful);
        if fruitful {
            return Ok(false);
        }
    }
    let (mailbox, log) = (&core.mailbox, &core.shared.replication.log);
    let (reads, seen) = (!core.readers.is_empty(), core.log_end_seen);
    // Asked after others know that this core is about to sleep: what they do from then on wakes it.
    let has_work = || mailbox.has_work() || reads && log.end() != seen || tasks.are_woken();
    if core.file_tasks == 0 && core.ring.wait(RING_WAIT_US, has_work)? {
        spin.woke();
        return Ok(false);
    }
    let parked = parker.prepare(&mut core.ring, |_| has_work());
    core.stats.parks += u64::from(parked);
    Ok(parked)
}

/// Polls tasks, runs the input of connections whose wait is over, and again, until neither has more.
fn run_tasks(handle: &CoreHandle, tasks: &mut Tasks) {
    loop {
        let new = std::mem::take(&mut handle.borrow_mut().new_tasks);
        new.into_iter().for_each(|task| tasks.push(task));
        if !tasks.is_empty() {
            tasks.poll();
        }
        let mut core = handle.borrow_mut();
        core.run_resumed();
        if core.new_tasks.is_empty() {
            return;
        }
    }
}

impl Core {
    /// Whether a round would do something.
    fn has_work(&mut self) -> bool {
        !self.dirty.is_empty()
            || !self.resume.is_empty()
            || self.cron.eviction_unfinished
            || garbage::pending() > 0
            || self.ring.has_work()
            || self.mailbox.has_work()
            || self.pubsub.has_events()
            || self.snapshot.has_work()
            || self.has_log_to_send()
    }

    /// Frees some of the large values that went.
    fn free_garbage(&mut self) {
        /// Allocations: well under a millisecond.
        const FREED_PER_ROUND: usize = 2000;
        garbage::free_some(FREED_PER_ROUND);
    }

    fn serve_ring(&mut self) {
        while let Some(event) = self.ring.next_event() {
            match event {
                Event::Received { token, buffer } => {
                    if let Some(index) = self.index_of(token) {
                        self.received(index, &buffer);
                    }
                }
                Event::Sent { token, buffer, result } => self.sent(token, buffer, result),
                Event::PiecesSent { token, result } => self.pieces_sent(token, result),
                Event::Ended { token, reason } => {
                    if let Some(index) = self.index_of(token) {
                        self.peer_ended(index, reason);
                    }
                }
                Event::Accepted { socket, .. } => self.deal(socket),
                Event::AcceptFailed { errno, .. } => self.note_accept_failed(errno),
            }
        }
    }

    fn serve_mailbox(&mut self) {
        let mut drained = false;
        for _ in 0..MESSAGES_PER_ROUND {
            let Some((from, message)) = self.mailbox.receive_one() else {
                drained = true;
                break;
            };
            match message {
                Message::Commands(batch) => self.run_batch(from, batch),
                Message::Replies(batch) => self.take_replies(from, batch),
                Message::Post(job) => job(self),
                Message::Job(number, job) => {
                    let result = job(self);
                    self.send(from, Message::Result(number, result));
                }
                Message::Result(number, result) => self.calls.finish(number, result),
                Message::Connection(socket) => self.admit_connection(socket),
            }
        }
        if self.pubsub.has_events() {
            self.publish_stamped_events(drained);
        }
    }

    /// Connections whose wait is over go on with their input.
    fn run_resumed(&mut self) {
        // A connection may be listed again while this runs: it then waits for the next round's turn.
        let mut resumed = std::mem::take(&mut self.resume);
        for index in resumed.drain(..) {
            self.resumed(index);
        }
        if self.resume.is_empty() {
            self.resume = resumed;
        }
    }

    /// The peer sends nothing more. What it asked for is still answered, unless it cannot take it.
    fn peer_ended(&mut self, index: u32, reason: EndReason) {
        if reason != EndReason::Eof {
            self.close_connection(index);
            return;
        }
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
        connection.ended = true;
        if let Some(call) = connection.blocked_on {
            // What it waits for may never come.
            self.calls.finish(call, Box::new(()));
        }
        if connection.wait == Wait::None {
            connection.close_after_reply = true;
            self.mark_dirty(index, &mut connection);
        }
        self.put_connection(index, connection);
    }

    /// Ends the wait of connection `index` if it is still this one.
    pub fn end_wait(&mut self, index: u32, wait: Wait) {
        if let Some(connection) = self.connection(index)
            && connection.wait == wait
        {
            connection.wait = Wait::None;
            self.resume.push(index);
        }
    }
}

/// Counts a client in; `false` if the node is full.
pub fn count_client(shared: &crate::shared::Shared, maxclients: usize) -> bool {
    let before = shared.clients.fetch_add(1, Relaxed);
    if before >= maxclients {
        shared.clients.fetch_sub(1, Relaxed);
        return false;
    }
    true
}
