//! Messages between cores: a mesh of bounded single-producer single-consumer lanes, one for each ordered pair.
//!
//! A message that finds its lane full waits in an overflow queue of the sender, in order, so that no core ever
//! waits for another and full lanes in both directions cannot deadlock. The sender bounds that queue itself:
//! [`Mailbox::overflow_len`] tells when to stop taking requests that lead there.
//!
//! Per round: receive, work, [`Mailbox::flush`]. A core is woken only if it is parked, at flush: the receivers of
//! new messages, and senders whose overflow now finds room. One thread owns a mailbox.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use rtrb::{Consumer, Producer, RingBuffer};

use crate::park::Waker;

struct Outgoing<T> {
    lane: Producer<T>,
    overflow: VecDeque<T>,
    /// Set while `overflow` holds something, for the receiver to see when it makes room.
    stalled: Arc<AtomicBool>,
    waker: Waker,
    /// Something was pushed since the last flush.
    unannounced: bool,
}

struct Incoming<T> {
    lane: Consumer<T>,
    stalled: Arc<AtomicBool>,
    waker: Waker,
    /// Something was popped since the last flush.
    drained: bool,
}

/// One core's end of the mesh.
pub struct Mailbox<T> {
    core: usize,
    waker: Waker,
    outgoing: Vec<Option<Outgoing<T>>>,
    incoming: Vec<Option<Incoming<T>>>,
    /// Where the next receive starts looking, so that a busy core does not hide the others.
    turn: usize,
}

/// Makes the mailboxes of `cores` threads, with lanes of `capacity` messages each. Errors: out of descriptors
/// (one eventfd per core).
pub fn mesh<T: Send>(cores: usize, capacity: usize) -> io::Result<Vec<Mailbox<T>>> {
    assert!(capacity > 0, "a lane holds at least one message");
    let mut mailboxes = (0..cores)
        .map(|core| {
            Ok(Mailbox {
                core,
                waker: Waker::new()?,
                outgoing: (0..cores).map(|_| None).collect(),
                incoming: (0..cores).map(|_| None).collect(),
                turn: 0,
            })
        })
        .collect::<io::Result<Vec<_>>>()?;
    for from in 0..cores {
        for to in (0..cores).filter(|to| *to != from) {
            let (producer, consumer) = RingBuffer::new(capacity);
            let stalled = Arc::new(AtomicBool::new(false));
            mailboxes[from].outgoing[to] = Some(Outgoing {
                lane: producer,
                overflow: VecDeque::new(),
                stalled: Arc::clone(&stalled),
                waker: mailboxes[to].waker.clone(),
                unannounced: false,
            });
            mailboxes[to].incoming[from] = Some(Incoming {
                lane: consumer,
                stalled,
                waker: mailboxes[from].waker.clone(),
                drained: false,
            });
        }
    }
    Ok(mailboxes)
}

impl<T: Send> Mailbox<T> {
    /// The number of this core in the mesh.
    pub fn core(&self) -> usize {
        self.core
    }

    /// Cores in the mesh.
    pub fn cores(&self) -> usize {
        self.outgoing.len()
    }

    /// What wakes this core; for its [`crate::Parker`] and ring, and for threads outside the mesh.
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// What wakes core `core`.
    pub fn waker_of(&self, core: usize) -> &Waker {
        match &self.outgoing[core] {
            Some(outgoing) => &outgoing.waker,
            None => &self.waker,
        }
    }

    /// Sends without waiting. The receiver may see the message at once; it is woken at [`Mailbox::flush`].
    ///
    /// Panics if `to` is this core or none of the mesh.
    pub fn send(&mut self, to: usize, message: T) {
        let outgoing = self.outgoing[to].as_mut().expect("another core");
        let rejected = if outgoing.overflow.is_empty() {
            outgoing.lane.push(message).err().map(|full| match full {
                rtrb::PushError::Full(message) => message,
            })
        } else {
            Some(message)
        };
        match rejected {
            None => outgoing.unannounced = true,
            Some(message) => {
                outgoing.overflow.push_back(message);
                outgoing.stalled.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Messages for `to` that found no room so far.
    pub fn overflow_len(&self, to: usize) -> usize {
        self.outgoing[to].as_ref().map_or(0, |o| o.overflow.len())
    }

    /// The next message and who sent it, the senders in turns.
    pub fn receive_one(&mut self) -> Option<(usize, T)> {
        let cores = self.incoming.len();
        for _ in 0..cores {
            let from = self.turn;
            self.turn = if from + 1 == cores { 0 } else { from + 1 };
            if let Some(incoming) = &mut self.incoming[from] {
                if let Ok(message) = incoming.lane.pop() {
                    incoming.drained = true;
                    return Some((from, message));
                }
            }
        }
        None
    }

    /// Hands up to `budget` messages to `handle`; returns how many. Where handling needs the mailbox itself, use
    /// [`Mailbox::receive_one`].
    pub fn receive(&mut self, budget: usize, mut handle: impl FnMut(usize, T)) -> usize {
        for count in 0..budget {
            match self.receive_one() {
                Some((from, message)) => handle(from, message),
                None => return count,
            }
        }
        budget
    }

    /// Ends a round: moves overflow into the lanes as far as there is room, and wakes the parked cores that have
    /// something to do because of this round.
    pub fn flush(&mut self) {
        for outgoing in self.outgoing.iter_mut().flatten() {
            if !outgoing.overflow.is_empty() {
                outgoing.move_overflow();
            }
            if std::mem::take(&mut outgoing.unannounced) {
                outgoing.waker.wake();
            }
        }
        for incoming in self.incoming.iter_mut().flatten() {
            if std::mem::take(&mut incoming.drained) {
                // The pops before this fence, the flag after it; the sender sets the flag, fences as it parks, and
                // then looks for room. So one of the two sees the other.
                fence(Ordering::SeqCst);
                if incoming.stalled.load(Ordering::Relaxed) {
                    incoming.waker.wake();
                }
            }
        }
    }

    /// True if there is something to receive, or overflow that now finds room. Ask before parking.
    pub fn has_work(&self) -> bool {
        self.incoming.iter().flatten().any(|i| !i.lane.is_empty())
            || self.outgoing.iter().flatten().any(|o| !o.overflow.is_empty() && !o.lane.is_full())
    }
}

impl<T> Outgoing<T> {
    fn move_overflow(&mut self) {
        while let Some(message) = self.overflow.pop_front() {
            if let Err(rtrb::PushError::Full(message)) = self.lane.push(message) {
                self.overflow.push_front(message);
                return;
            }
            self.unannounced = true;
        }
        self.stalled.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::park::PlainParker;
    use glommio::{LocalExecutorBuilder, Placement};

    #[test]
    fn messages_keep_their_order_through_the_overflow() {
        let mut mailboxes = mesh::<u32>(2, 4).unwrap();
        let mut other = mailboxes.pop().unwrap();
        let mut one = mailboxes.pop().unwrap();
        for message in 0..10 {
            one.send(1, message);
        }
        assert_eq!(one.overflow_len(1), 6);
        let mut seen = Vec::new();
        while seen.len() < 10 {
            one.flush();
            let count = other.receive(3, |from, message| {
                assert_eq!(from, 0);
                seen.push(message);
            });
            assert!(count > 0);
            other.flush();
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        assert_eq!(one.overflow_len(1), 0);
        assert!(!other.has_work() && !one.has_work());
    }

    #[test]
    fn senders_are_served_in_turns() {
        let mut mailboxes = mesh::<u32>(3, 4).unwrap();
        for sender in &mut mailboxes[1..] {
            for message in 0..2 {
                sender.send(0, message);
            }
        }
        let order: Vec<usize> =
            std::iter::from_fn(|| mailboxes[0].receive_one()).map(|(from, _)| from).collect();
        assert_eq!(order, [1, 2, 1, 2]);
    }

    /// Both cores send far more than the lanes hold, parking whenever they see nothing to do: a deadlock or a
    /// lost wake-up hangs here.
    #[test]
    fn full_lanes_both_ways_do_not_deadlock_parked_cores() {
        const MESSAGES: u32 = 50_000;
        let threads: Vec<_> = mesh::<u32>(2, 8)
            .unwrap()
            .into_iter()
            .map(|mut mailbox| {
                LocalExecutorBuilder::new(Placement::Unbound)
                    .io_memory(64 * 1024)
                    .spawn(move || async move {
                        let parker = PlainParker::new(mailbox.waker());
                        let to = 1 - mailbox.core();
                        let (mut sent, mut received) = (0, 0);
                        while sent < MESSAGES || received < MESSAGES || mailbox.overflow_len(to) > 0
                        {
                            while sent < MESSAGES && mailbox.overflow_len(to) < 4 {
                                mailbox.send(to, sent);
                                sent += 1;
                            }
                            mailbox.receive(5, |_, message| {
                                assert_eq!(message, received);
                                received += 1;
                            });
                            mailbox.flush();
                            let done = received == MESSAGES && mailbox.overflow_len(to) == 0;
                            if !done && (sent == MESSAGES || mailbox.overflow_len(to) >= 4) {
                                parker.park(|| mailbox.has_work()).await.unwrap();
                            }
                        }
                    })
                    .unwrap()
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}
