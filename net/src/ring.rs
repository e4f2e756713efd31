//! One core's socket ring: accepts, receives and sends through an io_uring of its own.
//!
//! A round is: the node queues sends and the like, [`Ring::round`] submits them all and reaps every completion
//! in one system call, then [`Ring::next_event`] hands them out one by one, and the node may call any method in
//! between. Receives are multishot into the core's provided buffers ([`crate::buffers`]); a connection has at most
//! one send in flight, whose buffer or pieces the ring owns until it completes.
//!
//! Everything belongs to the thread that made the ring (single issuer): reached through `&mut`, no locks. A
//! completion finds its connection by index and generation, and an index is used again only after the last
//! operation of the old connection completed, so nothing reaches the wrong connection.
//!
//! Absent: parsing, timeouts, limits, address lookup, and any clock.

mod accept;
mod event;
mod file;
mod pieces;
mod send;
mod wait;

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::rc::Rc;

use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use socket2::SockRef;

use crate::buffers::{BufferRing, GROUP};
use accept::Listener;
use file::{RingFile, Wait};
use send::{PieceSending, Send};
use wait::{Limit, Wake};

pub use event::{EndReason, Event, RingError, RingOptions, Token};

/// The ring's name for a connection. A slot kept beyond [`Ring::close`] names nothing: using it has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConnectionSlot {
    index: u32,
    generation: u32,
}

impl ConnectionSlot {
    /// Names no connection: using it has no effect.
    pub const NONE: ConnectionSlot = ConnectionSlot { index: u32::MAX, generation: u32::MAX };
}

/// What a completion is about; the top byte of its user data.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Operation {
    /// Its completion says nothing that another one does not say.
    Cancel = 0,
    Receive = 1,
    Send = 2,
    Accept = 3,
    AcceptRetry = 4,
    /// Reads the waker's eventfd.
    Wake = 5,
    /// The time limit of a wait.
    Limit = 6,
}

impl Operation {
    fn user_data(self, index: u32, generation: u32) -> u64 {
        (self as u64) << 56 | u64::from(generation & 0x00ff_ffff) << 32 | u64::from(index)
    }

    fn split(user_data: u64) -> (Option<Operation>, u32, u32) {
        let operation = match (user_data >> 56) as u8 {
            0 => Some(Operation::Cancel),
            1 => Some(Operation::Receive),
            2 => Some(Operation::Send),
            3 => Some(Operation::Accept),
            4 => Some(Operation::AcceptRetry),
            5 => Some(Operation::Wake),
            6 => Some(Operation::Limit),
            _ => None,
        };
        (operation, user_data as u32, (user_data >> 32) as u32 & 0x00ff_ffff)
    }
}

struct Connection {
    token: Token,
    /// `None`: the slot is free.
    socket: Option<OwnedFd>,
    generation: u32,
    /// The node wants to receive.
    wanted: bool,
    /// A multishot receive is in flight.
    receiving: bool,
    /// Waits in `rearm`.
    rearming: bool,
    /// `Ended` was handed out.
    ended: bool,
    /// Closed by the node; goes when nothing is in flight.
    closing: bool,
    /// The send in flight.
    send: Option<Send>,
    /// Zero copy is of no use on this socket.
    copies: bool,
}

/// See the file head.
pub struct Ring {
    /// `None` only while dropping.
    uring: Option<IoUring>,
    file: RingFile,
    buffers: Option<Rc<BufferRing>>,
    connections: Vec<Connection>,
    free: Vec<u32>,
    listeners: Vec<Option<Listener>>,
    /// Operations for which the submission queue had no room, in order.
    backlog: VecDeque<squeue::Entry>,
    /// Connections whose receive must be armed before the next submission.
    rearm: Vec<u32>,
    completions: VecDeque<cqueue::Entry>,
    attached: usize,
    /// Operations in flight that hold memory or a file of ours.
    in_flight: usize,
    enters: u64,
    wake: Option<Wake>,
    limit: Limit,
    piece_sending: PieceSending,
}

impl Ring {
    /// Makes the ring of this thread. It must stay in the thread (and is not `Send`).
    ///
    /// Errors: see [`RingError`].
    pub fn new(options: RingOptions) -> Result<Ring, RingError> {
        let uring: IoUring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize((options.entries * 4).max(4096))
            .build(options.entries)
            .map_err(RingError::from_setup)?;
        let buffers =
            BufferRing::register(&uring.submitter(), options.buffers, options.buffer_bytes)
                .map_err(RingError::from_setup)?;
        let file = RingFile::new(&uring);
        Ok(Ring {
            uring: Some(uring),
            file,
            buffers: Some(buffers),
            connections: Vec::new(),
            free: Vec::new(),
            listeners: Vec::new(),
            backlog: VecDeque::new(),
            rearm: Vec::new(),
            completions: VecDeque::with_capacity(1024),
            attached: 0,
            in_flight: 0,
            enters: 0,
            wake: None,
            limit: Limit { time: Box::new(Timespec::new()), armed: false },
            piece_sending: PieceSending::new(options.zero_copy_bytes_min),
        })
    }

    /// Takes over a connected socket and starts receiving. Events name it by `token`.
    pub fn attach(&mut self, token: Token, socket: OwnedFd) -> ConnectionSlot {
        // A non-blocking file would complete with EAGAIN instead of waiting in the ring.
        make_blocking(&socket);
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.connections.push(Connection {
                    token,
                    socket: None,
                    generation: 0,
                    wanted: false,
                    receiving: false,
                    rearming: false,
                    ended: false,
                    closing: false,
                    send: None,
                    copies: false,
                });
                self.connections.len() as u32 - 1
            }
        };
        let connection = &mut self.connections[index as usize];
        connection.token = token;
        connection.socket = Some(socket);
        connection.wanted = true;
        connection.ended = false;
        connection.closing = false;
        connection.copies = false;
        let slot = ConnectionSlot { index, generation: connection.generation };
        self.attached += 1;
        self.arm_receive(index);
        slot
    }

    /// Stops receiving. What was on its way still arrives. While paused, the peer's closing goes unnoticed.
    pub fn pause(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        if std::mem::replace(&mut connection.wanted, false) && connection.receiving {
            self.cancel(Operation::Receive.user_data(slot.index, slot.generation));
        }
    }

    /// Receives again after [`Ring::pause`].
    pub fn resume(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.wanted = true;
        // If the pause's cancellation is still under way, its completion arms again.
        if !connection.receiving {
            self.rearm_later(slot.index);
        }
    }

    /// Closes the connection: no further event for its token, the slot names nothing any more. A send in flight is
    /// cut off (to let a last reply through, close after its `Sent`), and its buffer or pieces freed when the kernel let
    /// go.
    pub fn close(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        connection.closing = true;
        connection.wanted = false;
        let receiving = connection.receiving;
        let sending = connection.send.is_some();
        if sending {
            connection.abandon_unacknowledged();
            // Fails the send at once, wherever it waits.
            if let Some(socket) = &connection.socket {
                let _ = SockRef::from(socket).shutdown(Shutdown::Both);
            }
            self.cancel(Operation::Send.user_data(slot.index, slot.generation));
        }
        if receiving {
            self.cancel(Operation::Receive.user_data(slot.index, slot.generation));
        }
        self.release_if_done(slot.index);
    }

    /// The connection's socket, for getpeername and socket options; `None` once closed.
    pub fn fd_of(&self, slot: ConnectionSlot) -> Option<RawFd> {
        let connection = self.connections.get(slot.index as usize)?;
        if connection.generation != slot.generation || connection.closing {
            return None;
        }
        connection.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Submits everything queued and reaps every completion there is, without waiting. Returns how many events'
    /// worth of completions are to be taken with [`Ring::next_event`].
    ///
    /// Errors: only what says that the ring itself is broken.
    pub fn round(&mut self) -> io::Result<usize> {
        self.rearm_receives();
        self.buffers().publish();
        // After a wait the completions are in hand already; a second enter would bring nothing.
        if self.completions.is_empty() || self.kernel_has_work() {
            self.enter(Wait::No)?;
        }
        Ok(self.completions.len())
    }

    /// Like [`Ring::round`], but blocks the thread until there is at least one completion. For threads without an
    /// executor (tests, tools); a core parks instead.
    pub fn round_waiting(&mut self) -> io::Result<usize> {
        self.rearm_receives();
        self.buffers().publish();
        let wait = if self.completions.is_empty() { Wait::One } else { Wait::No };
        self.enter(wait)?;
        Ok(self.completions.len())
    }

    /// True if [`Ring::round`] would do something; costs no system call.
    pub fn has_work(&mut self) -> bool {
        if !self.completions.is_empty() || !self.backlog.is_empty() || !self.rearm.is_empty() {
            return true;
        }
        self.kernel_has_work()
    }

    /// True if an enter would submit or bring something.
    fn kernel_has_work(&mut self) -> bool {
        let uring = self.uring_mut();
        let submission = uring.submission();
        let pending = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        pending || !uring.completion().is_empty()
    }

    /// Connections attached and not yet gone, those being closed included.
    pub fn attached(&self) -> usize {
        self.attached
    }

    /// System calls made to submit and reap, since the start.
    pub fn enters(&self) -> u64 {
        self.enters
    }

    /// The next event of the round, or `None` when all were handed out.
    pub fn next_event(&mut self) -> Option<Event> {
        while let Some(completion) = self.completions.pop_front() {
            let event = self.complete(&completion);
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn uring_mut(&mut self) -> &mut IoUring {
        self.uring.as_mut().expect("present until drop")
    }

    fn buffers(&self) -> &Rc<BufferRing> {
        self.buffers.as_ref().expect("present until drop")
    }

    fn connection(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.connections
            .get_mut(slot.index as usize)
            .filter(|c| c.generation == slot.generation && c.socket.is_some() && !c.closing)
    }

    // --- Queueing -------------------------------------------------------------------------------------------

    /// Queues an operation.
    ///
    /// # Safety
    ///
    /// Memory and files that the entry names must stay valid until its last completion was reaped.
    unsafe fn push(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() {
            // SAFETY: the caller's promise.
            if unsafe { self.uring_mut().submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    fn cancel(&mut self, user_data: u64) {
        // Failure (the operation was just over) posts a completion, which is ignored.
        let entry = opcode::AsyncCancel::new(user_data)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(Operation::Cancel.user_data(0, 0));
        // SAFETY: the entry names no memory and no file.
        unsafe { self.push(entry) };
    }

    fn arm_receive(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        let Some(socket) = &connection.socket else {
            return;
        };
        let entry = opcode::RecvMulti::new(Fd(socket.as_raw_fd()), GROUP)
            .build()
            .user_data(Operation::Receive.user_data(index, connection.generation));
        connection.receiving = true;
        self.in_flight += 1;
        // SAFETY: the socket is closed only when `receiving` is false again (release_if_done); the buffers belong
        // to the buffer ring, which outlives every operation (Ring::drop).
        unsafe { self.push(entry) };
    }

    fn rearm_later(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.rearming {
            connection.rearming = true;
            self.rearm.push(index);
        }
    }

    fn rearm_receives(&mut self) {
        // Without a free buffer a receive would only fail again; the node holds them all, so wait for it.
        if self.rearm.is_empty() || !self.buffers().has_free() {
            return;
        }
        let mut rearm = std::mem::take(&mut self.rearm);
        for index in rearm.drain(..) {
            let connection = &mut self.connections[index as usize];
            connection.rearming = false;
            if connection.wanted && !connection.receiving && !connection.ended {
                self.arm_receive(index);
            }
        }
        self.rearm = rearm;
    }

    // --- Submitting and reaping -----------------------------------------------------------------------------

    /// Submits, waits, and moves all completions to `self.completions`.
    fn enter(&mut self, mut wait: Wait) -> io::Result<()> {
        loop {
            let uring = self.uring.as_mut().expect("present until drop");
            let mut submission = uring.submission();
            while let Some(entry) = self.backlog.front() {
                // SAFETY: promised when the entry was handed to `push`; only the queueing was put off.
                if unsafe { submission.push(entry) }.is_err() {
                    break;
                }
                self.backlog.pop_front();
            }
            let count = submission.len() as u32;
            drop(submission);
            let last = self.backlog.is_empty();
            // The kernel counts only completions that we have not taken yet.
            if !last || !self.completions.is_empty() {
                wait = Wait::No;
            }
            self.enters += 1;
            let entered = self.file.enter(count, wait);
            // A completion queue that overflowed is refilled by the kernel on the next enter with room in it.
            let overflowed = uring.submission().cq_overflow();
            self.completions.extend(uring.completion());
            match entered {
                Ok(()) if last && !overflowed => return Ok(()),
                Ok(()) => {}
                Err(error) => match error.raw_os_error() {
                    // A signal: who waits will wait again if nothing else changed.
                    Some(libc::EINTR) if last => return Ok(()),
                    Some(libc::EINTR) => {}
                    // Short of memory, or completions must be handled first: the queue stays for the next round.
                    Some(libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => return Ok(()),
                    _ => return Err(error),
                },
            }
        }
    }

    fn complete(&mut self, completion: &cqueue::Entry) -> Option<Event> {
        let (operation, index, generation) = Operation::split(completion.user_data());
        let more = cqueue::more(completion.flags());
        match operation? {
            Operation::Cancel => None,
            Operation::Receive => self.complete_receive(completion, index, generation, more),
            Operation::Send => self.complete_send(completion, index, generation),
            Operation::Accept => self.complete_accept(completion.result(), index as usize, more),
            Operation::Wake => {
                self.in_flight -= 1;
                if let Some(wake) = &mut self.wake {
                    wake.armed = false;
                }
                if completion.result() != -libc::ECANCELED {
                    self.arm_wake();
                }
                None
            }
            Operation::Limit => {
                self.in_flight -= 1;
                self.limit.armed = false;
                None
            }
            Operation::AcceptRetry => {
                self.in_flight -= 1;
                self.accept_stopped(index as usize);
                None
            }
        }
    }

    fn complete_receive(
        &mut self,
        completion: &cqueue::Entry,
        index: u32,
        generation: u32,
        more: bool,
    ) -> Option<Event> {
        let result = completion.result();
        // Taken before anything else, so that it goes back to the kernel on every path.
        let buffer = cqueue::buffer_select(completion.flags())
            .map(|id| self.buffers().take(id, result.max(0) as usize));
        let connection = &mut self.connections[index as usize];
        debug_assert_eq!(connection.generation & 0x00ff_ffff, generation);
        if !more {
            self.in_flight -= 1;
            connection.receiving = false;
        }
        if connection.closing {
            if !more {
                self.release_if_done(index);
            }
            return None;
        }
        let token = connection.token;
        if result > 0 {
            if !more && connection.wanted {
                self.rearm_later(index);
            }
            return buffer.map(|buffer| Event::Received { token, buffer });
        }
        let reason = match -result {
            0 => EndReason::Eof,
            // Out of buffers, or cancelled by a pause, or interrupted: receive again as soon as it is wanted.
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => {
                if !more && connection.wanted {
                    self.rearm_later(index);
                }
                return None;
            }
            errno => EndReason::Errno(errno),
        };
        if std::mem::replace(&mut connection.ended, true) {
            return None;
        }
        Some(Event::Ended { token, reason })
    }

    /// Frees the slot of a closed connection once the kernel has nothing of it any more.
    fn release_if_done(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if !connection.closing || connection.receiving {
            return;
        }
        if connection.awaits_only_notification() {
            // Comes at once when the socket's last file is gone.
            connection.socket = None;
        } else if connection.send.is_none() {
            connection.socket = None;
            connection.generation = connection.generation.wrapping_add(1);
            connection.closing = false;
            self.free.push(index);
            self.attached -= 1;
        }
    }
}

impl Drop for Ring {
    /// Waits until the kernel has let go of every buffer and socket: closing the ring's file alone would cancel in
    /// the background, while the memory is already someone else's.
    fn drop(&mut self) {
        self.unlisten_all();
        for index in 0..self.connections.len() as u32 {
            let generation = self.connections[index as usize].generation;
            self.close(ConnectionSlot { index, generation });
        }
        while self.in_flight > 0 {
            if self.wake.as_ref().is_some_and(|wake| wake.armed) {
                self.cancel(Operation::Wake.user_data(0, 0));
            }
            if self.limit.armed {
                self.cancel(Operation::Limit.user_data(0, 0));
            }
            self.buffers().publish();
            let wait = if self.completions.is_empty() { Wait::One } else { Wait::No };
            if self.enter(wait).is_err() {
                // The kernel may still write: leak what it could write to rather than free it.
                std::mem::forget(self.buffers.take());
                std::mem::forget(std::mem::take(&mut self.connections));
                std::mem::forget(self.wake.take());
                break;
            }
            while self.next_event().is_some() {}
        }
        // The ring's file first, then (with the fields) the buffers that it knows.
        self.uring = None;
    }
}

fn make_blocking(socket: &OwnedFd) {
    let _ = SockRef::from(socket).set_nonblocking(false);
}
