//! Sending: one operation per connection at a time, whose memory belongs to the ring until it completes.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::opcode;
use io_uring::types::Fd;

use super::{ConnectionSlot, Event, Operation, Ring};

/// Bytes given to one send operation; the rest of a longer buffer follows in further ones.
const SEND_BYTES_MAX: usize = 1 << 30;

pub(super) struct Send {
    pub(super) buffer: Vec<u8>,
    pub(super) sent_bytes: usize,
}

impl Ring {
    /// Sends the whole buffer; [`Event::Sent`] gives it back. An empty buffer completes like any other.
    ///
    /// Panics if a send of this connection is in flight.
    pub fn send(&mut self, slot: ConnectionSlot, buffer: Vec<u8>) {
        let Some(connection) = self.connection(slot) else {
            return;
        };
        assert!(connection.send.is_none(), "one send per connection");
        connection.send = Some(Send { buffer, sent_bytes: 0 });
        self.arm_send(slot.index);
        self.in_flight += 1;
    }

    /// True while a send of the connection is in flight.
    pub fn is_sending(&self, slot: ConnectionSlot) -> bool {
        self.connections
            .get(slot.index as usize)
            .is_some_and(|c| c.generation == slot.generation && c.send.is_some())
    }

    fn arm_send(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        let (Some(socket), Some(send)) = (&connection.socket, &connection.send) else {
            return;
        };
        let rest = &send.buffer[send.sent_bytes..];
        let entry = opcode::Send::new(
            Fd(socket.as_raw_fd()),
            rest.as_ptr(),
            rest.len().min(SEND_BYTES_MAX) as u32,
        )
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
        .user_data(Operation::Send.user_data(index, connection.generation));
        // SAFETY: the buffer stays in `connection.send`, untouched, until the completion was reaped (its heap bytes
        // do not move when the table grows), and the socket is closed only after that.
        unsafe { self.push(entry) };
    }

    pub(super) fn complete_send(
        &mut self,
        result: i32,
        index: u32,
        generation: u32,
    ) -> Option<Event> {
        let connection = &mut self.connections[index as usize];
        debug_assert_eq!(connection.generation & 0x00ff_ffff, generation);
        let mut send = connection.send.take()?;
        if connection.closing {
            self.in_flight -= 1;
            drop(send);
            self.release_if_done(index);
            return None;
        }
        let token = connection.token;
        let sent = if result >= 0 {
            send.sent_bytes += result as usize;
            if send.sent_bytes < send.buffer.len() {
                connection.send = Some(send);
                self.arm_send(index);
                return None;
            }
            Ok(())
        } else if matches!(-result, libc::EINTR | libc::EAGAIN) {
            connection.send = Some(send);
            self.arm_send(index);
            return None;
        } else {
            Err(io::Error::from_raw_os_error(-result))
        };
        self.in_flight -= 1;
        Some(Event::Sent { token, buffer: send.buffer, result: sent })
    }
}
