//! Accepting: one multishot operation per listening socket, or a timer while it rests after a failure.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use io_uring::opcode;
use io_uring::types::{Fd, Timespec};

use super::{Event, Operation, Ring, make_blocking};

/// How long a listener rests after accepting failed.
static ACCEPT_RETRY: Timespec = Timespec::new().nsec(100_000_000);

pub(super) struct Listener {
    pub(super) number: usize,
    pub(super) socket: OwnedFd,
    /// A multishot accept or a retry timer is in flight.
    pub(super) armed: bool,
    pub(super) closing: bool,
}

impl Ring {
    /// Accepts on `socket`, naming its connections by `listener`, until [`Ring::unlisten_all`].
    pub fn listen(&mut self, listener: usize, socket: OwnedFd) {
        make_blocking(&socket);
        self.listeners.push(Some(Listener {
            number: listener,
            socket,
            armed: false,
            closing: false,
        }));
        self.arm_accept(self.listeners.len() - 1);
    }

    /// Stops accepting and closes the listening sockets, at the latest when the next rounds are done.
    pub fn unlisten_all(&mut self) {
        for at in 0..self.listeners.len() {
            let Some(listener) = &mut self.listeners[at] else {
                continue;
            };
            listener.closing = true;
            if listener.armed {
                for operation in [Operation::Accept, Operation::AcceptRetry] {
                    self.cancel(operation.user_data(at as u32, 0));
                }
            } else {
                self.listeners[at] = None;
            }
        }
    }

    pub(super) fn arm_accept(&mut self, at: usize) {
        let Some(listener) = &mut self.listeners[at] else {
            return;
        };
        let entry = opcode::AcceptMulti::new(Fd(listener.socket.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build()
            .user_data(Operation::Accept.user_data(at as u32, 0));
        listener.armed = true;
        self.in_flight += 1;
        // SAFETY: the listener's socket is closed only when it is no longer armed.
        unsafe { self.push(entry) };
    }

    fn arm_accept_retry(&mut self, at: usize) {
        let entry = opcode::Timeout::new(&raw const ACCEPT_RETRY)
            .build()
            .user_data(Operation::AcceptRetry.user_data(at as u32, 0));
        self.in_flight += 1;
        // SAFETY: the timespec is a static.
        unsafe { self.push(entry) };
    }

    pub(super) fn complete_accept(&mut self, result: i32, at: usize, more: bool) -> Option<Event> {
        // SAFETY: a successful accept made this descriptor for us; nobody else knows it.
        let socket = (result >= 0).then(|| unsafe { OwnedFd::from_raw_fd(result) });
        if !more {
            self.in_flight -= 1;
        }
        let listener = self.listeners[at].as_ref()?;
        let (number, closing) = (listener.number, listener.closing);
        match -result {
            _ if socket.is_some() || closing => {
                if !more {
                    self.accept_stopped(at);
                }
            }
            // The connection was gone before it was accepted, or a passing trouble of its network.
            libc::ECONNABORTED | libc::EINTR | libc::EAGAIN | libc::ECANCELED | libc::EPROTO => {
                if !more {
                    self.accept_stopped(at);
                }
                return None;
            }
            errno => {
                // Most likely out of descriptors. At once it would fail again, and again.
                if !more {
                    self.arm_accept_retry(at);
                }
                return Some(Event::AcceptFailed { listener: number, errno });
            }
        }
        socket.map(|socket| Event::Accepted { listener: number, socket })
    }

    pub(super) fn accept_stopped(&mut self, at: usize) {
        match &mut self.listeners[at] {
            Some(listener) if listener.closing => self.listeners[at] = None,
            Some(_) => self.arm_accept(at),
            None => {}
        }
    }
}
