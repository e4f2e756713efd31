//! Sending: one operation per connection at a time, whose memory belongs to the ring until it completes.
//!
//! A buffer goes out by send, a list of pieces by sendmsg from where they lie (`pieces.rs`). Long pieces are sent
//! without the kernel copying them either, until it says that it copies all the same (loopback, a network card that
//! cannot gather) or refuses: from then on the connection sends like any other.

use std::io;
use std::os::fd::AsRawFd;

use bytes::Bytes;
use io_uring::types::Fd;
use io_uring::{cqueue, opcode};
use socket2::SockRef;

use super::pieces::{PieceOutcome, PieceSend};
use super::{Connection, ConnectionSlot, Event, Operation, Ring};

/// Bytes given to one send operation; the rest of a longer buffer follows in further ones.
pub(super) const SEND_BYTES_MAX: usize = 1 << 30;

/// Piece sends kept for the next one: as many as are in flight on a busy core, a few replicas.
const SPARE_MAX: usize = 8;

/// Asks for a notification that tells whether the kernel copied (IORING_SEND_ZC_REPORT_USAGE, Linux 6.2).
const REPORT_USAGE: u16 = 1 << 3;

/// What a connection is sending.
pub(super) enum Send {
    Buffer(BufferSend),
    Pieces(Box<PieceSend>),
}

pub(super) struct BufferSend {
    buffer: Vec<u8>,
    sent_bytes: usize,
}

/// The ring's part of sending pieces.
pub(super) struct PieceSending {
    /// Shortest average piece sent without a copy.
    zero_copy_bytes_min: usize,
    zero_copied_bytes: u64,
    copied_bytes: u64,
    /// Boxed as they will be in flight, so that taking one allocates nothing.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<PieceSend>>,
}

impl PieceSending {
    pub(super) fn new(zero_copy_bytes_min: usize) -> PieceSending {
        PieceSending {
            zero_copy_bytes_min: match zero_copy_bytes_min {
                0 => usize::MAX,
                bytes => bytes,
            },
            zero_copied_bytes: 0,
            copied_bytes: 0,
            spare: Vec::new(),
        }
    }

    fn start(&mut self, pieces: Vec<Bytes>) -> Box<PieceSend> {
        let mut send = self.spare.pop().unwrap_or_else(|| Box::new(PieceSend::new()));
        send.start(pieces);
        send
    }

    /// Drops the pieces. Nothing of the send may be in flight.
    fn finish(&mut self, mut send: Box<PieceSend>) {
        send.clear();
        if self.spare.len() < SPARE_MAX {
            self.spare.push(send);
        }
    }

    fn count(&mut self, outcome: PieceOutcome) {
        let bytes = outcome.result.max(0) as u64;
        if outcome.zero_copy && !outcome.copied {
            self.zero_copied_bytes += bytes;
        } else {
            self.copied_bytes += bytes;
        }
    }
}

impl Ring {
    /// Sends the whole buffer; [`Event::Sent`] gives it back. An empty buffer completes like any other.
    ///
    /// Panics if a send of this connection is in flight, of either kind.
    pub fn send(&mut self, slot: ConnectionSlot, buffer: Vec<u8>) {
        self.start_send(slot, |_| Send::Buffer(BufferSend { buffer, sent_bytes: 0 }));
    }

    /// Sends the bytes of all pieces in their order, without copying them together; [`Event::PiecesSent`] follows when
    /// the kernel has let go of them and they are dropped. An empty list completes like any other.
    ///
    /// Without zero copy that is when the socket has taken the last byte; with it ([`RingOptions`]), when the peer
    /// acknowledged it, which a peer may put off for 40 ms: hand over long lists, a megabyte or more. Up to 1024
    /// pieces cost one operation.
    ///
    /// Panics if a send of this connection is in flight, of either kind.
    ///
    /// [`RingOptions`]: super::RingOptions
    pub fn send_pieces(&mut self, slot: ConnectionSlot, pieces: Vec<Bytes>) {
        self.start_send(slot, |ring| Send::Pieces(ring.start(pieces)));
    }

    fn start_send(&mut self, slot: ConnectionSlot, send: impl FnOnce(&mut PieceSending) -> Send) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        assert!(connection.send.is_none(), "one send per connection");
        self.connections[slot.index as usize].send = Some(send(&mut self.piece_sending));
        self.in_flight += 1;
        self.arm_send(slot.index);
    }

    /// True while a send of the connection is in flight, of either kind.
    pub fn is_sending(&self, slot: ConnectionSlot) -> bool {
        self.connections
            .get(slot.index as usize)
            .is_some_and(|c| c.generation == slot.generation && c.send.is_some())
    }

    /// Bytes that [`Ring::send_pieces`] sent without a copy, since the start.
    pub fn zero_copied_bytes(&self) -> u64 {
        self.piece_sending.zero_copied_bytes
    }

    /// Bytes that [`Ring::send_pieces`] sent and the kernel copied, since the start.
    pub fn copied_bytes(&self) -> u64 {
        self.piece_sending.copied_bytes
    }

    fn arm_send(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        let user_data = Operation::Send.user_data(index, connection.generation);
        let (Some(socket), Some(send)) = (&connection.socket, &mut connection.send) else {
            return;
        };
        let socket = Fd(socket.as_raw_fd());
        let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
        let entry = match send {
            Send::Buffer(send) => {
                let rest = &send.buffer[send.sent_bytes..];
                let bytes = rest.len().min(SEND_BYTES_MAX) as u32;
                opcode::Send::new(socket, rest.as_ptr(), bytes).flags(flags).build()
            }
            Send::Pieces(send) => {
                let zero_copy_bytes_min = match connection.copies {
                    true => usize::MAX,
                    false => self.piece_sending.zero_copy_bytes_min,
                };
                match send.prepare(zero_copy_bytes_min) {
                    (message, false) => {
                        opcode::SendMsg::new(socket, message).flags(flags as u32).build()
                    }
                    (message, true) => opcode::SendMsgZc::new(socket, message)
                        .ioprio(REPORT_USAGE)
                        .flags(flags as u32)
                        .build(),
                }
            }
        };
        // SAFETY: the buffer, or the boxed message with its vectors and pieces, stays in `connection.send`, untouched,
        // until the operation's last completion was reaped (heap memory does not move when the table grows), and the
        // socket is closed only after its result was.
        unsafe { self.push(entry.user_data(user_data)) };
    }

    pub(super) fn complete_send(
        &mut self,
        completion: &cqueue::Entry,
        index: u32,
        generation: u32,
    ) -> Option<Event> {
        let connection = &mut self.connections[index as usize];
        debug_assert_eq!(connection.generation & 0x00ff_ffff, generation);
        match connection.send.take()? {
            Send::Buffer(send) => self.complete_buffer_send(completion.result(), index, send),
            Send::Pieces(mut send) => {
                match send.complete(completion.result(), completion.flags()) {
                    Some(outcome) => self.complete_piece_send(outcome, index, send),
                    None => {
                        connection.send = Some(Send::Pieces(send));
                        self.release_if_done(index);
                        None
                    }
                }
            }
        }
    }

    fn complete_buffer_send(
        &mut self,
        result: i32,
        index: u32,
        mut send: BufferSend,
    ) -> Option<Event> {
        let connection = &mut self.connections[index as usize];
        let token = connection.token;
        if connection.closing {
            self.in_flight -= 1;
            drop(send);
            self.release_if_done(index);
            return None;
        }
        let (again, sent) = match -result {
            ..=0 => {
                send.sent_bytes += result as usize;
                (send.sent_bytes < send.buffer.len(), Ok(()))
            }
            libc::EINTR | libc::EAGAIN => (true, Ok(())),
            errno => (false, Err(io::Error::from_raw_os_error(errno))),
        };
        if again {
            connection.send = Some(Send::Buffer(send));
            self.arm_send(index);
            return None;
        }
        self.in_flight -= 1;
        Some(Event::Sent { token, buffer: send.buffer, result: sent })
    }

    fn complete_piece_send(
        &mut self,
        outcome: PieceOutcome,
        index: u32,
        mut send: Box<PieceSend>,
    ) -> Option<Event> {
        self.piece_sending.count(outcome);
        let connection = &mut self.connections[index as usize];
        let token = connection.token;
        if connection.closing {
            self.in_flight -= 1;
            self.piece_sending.finish(send);
            self.release_if_done(index);
            return None;
        }
        connection.copies |= outcome.copied;
        let (again, sent) = match -outcome.result {
            ..=0 => (!send.advance(outcome.result as usize), Ok(())),
            libc::EINTR | libc::EAGAIN => (true, Ok(())),
            // Linux 6.1 knows the operation but cannot report whether it copied.
            libc::EINVAL if outcome.zero_copy => {
                self.piece_sending.zero_copy_bytes_min = usize::MAX;
                (true, Ok(()))
            }
            // Not on this kind of socket, or the limit on locked memory is reached.
            libc::EOPNOTSUPP | libc::ENOMEM | libc::ENOBUFS if outcome.zero_copy => {
                connection.copies = true;
                (true, Ok(()))
            }
            errno => (false, Err(io::Error::from_raw_os_error(errno))),
        };
        if again {
            connection.send = Some(Send::Pieces(send));
            self.arm_send(index);
            return None;
        }
        self.in_flight -= 1;
        self.piece_sending.finish(send);
        Some(Event::PiecesSent { token, result: sent })
    }
}

impl Connection {
    /// Before a connection that is sending is closed: what the peer has not acknowledged is thrown away with the
    /// socket. Else a peer that never reads would keep zero-copy pieces pinned for as long as it likes.
    pub(super) fn abandon_unacknowledged(&self) {
        if let (Some(socket), Some(Send::Pieces(send))) = (&self.socket, &self.send) {
            if send.is_zero_copy() {
                let _ = SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
            }
        }
    }

    /// True if only the kernel's notification about pieces is missing, for which the socket is not needed.
    pub(super) fn awaits_only_notification(&self) -> bool {
        matches!(&self.send, Some(Send::Pieces(send)) if send.awaits_only_notification())
    }
}
