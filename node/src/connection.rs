//! One connection: its session, what it sent and was not run yet, what it is owed.
//!
//! A state machine in its core's loop, not a task. Replies leave in the order of the commands: while a command
//! runs elsewhere, the replies behind it wait in `owed`.

use std::collections::VecDeque;

use ringfort_core::resp::Parser;
use ringfort_core::session::{ReplyMode, Session, Transaction};
use ringfort_net::{ConnectionSlot, Token};

use crate::replication::{PrimaryLink, ReplicaSession};

/// Why a connection's input is not being run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is.
    None,
    /// Its commands on other shards must answer first, all of them or those that write.
    Remote,
    RemoteWrites,
    /// The shard of its next command is stopped by a transaction.
    Gate,
    /// A task answers its last command.
    Task,
    /// CLIENT PAUSE.
    Paused,
    /// The client does not read what it is owed.
    Output,
    /// The way to another core is full.
    Backlog,
}

/// How a wait is ended before its time, by CLIENT UNBLOCK or the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblock {
    /// As if its time were up.
    Timeout,
    Error,
    /// The node became a replica.
    RoleChanged,
}

/// A reply that is due, in order.
#[derive(Debug)]
pub enum Owed {
    /// A command runs on another shard. `silent`: the client does not want the reply (CLIENT REPLY).
    Waiting {
        silent: bool,
    },
    Ready(Vec<u8>),
}

pub struct Connection {
    /// CLIENT ID.
    pub id: u64,
    /// Names it on its core, and nobody after it.
    pub token: Token,
    pub slot: ConnectionSlot,
    pub session: Session,
    pub parser: Parser,
    /// Received and not yet run.
    pub input: Vec<u8>,
    /// To be sent next.
    pub output: Vec<u8>,
    /// Replies behind a command that runs elsewhere.
    pub owed: VecDeque<Owed>,
    /// Pushes that wait for a reply to come first: a subscription is confirmed before its first message.
    pub held_pushes: Option<Vec<u8>>,
    /// Bytes of replies in `owed`, but for the last of it.
    pub owed_bytes: usize,
    /// How long the last reply of another shard was.
    pub last_remote_reply_bytes: usize,
    /// The sequence number of the first of `owed`.
    pub owed_first: u64,
    /// Commands running elsewhere, and of those the writes; all writes are on `write_shard`.
    pub remote: u32,
    pub remote_writes: u32,
    pub write_shard: usize,
    pub wait: Wait,
    /// Bytes of the send in flight.
    pub sending_bytes: usize,
    pub is_sending: bool,
    /// Listed for the flush at the end of the round.
    pub is_dirty: bool,
    /// Close once everything was sent.
    pub close_after_reply: bool,
    /// The peer sends nothing more: close when all it asked for was answered.
    pub ended: bool,
    pub receiving_paused: bool,
    pub peer: String,
    pub local: String,
    pub file: i32,
    /// Milliseconds of the monotonic clock.
    pub created_ms: u64,
    pub active_ms: u64,
    /// See [`crate::core::Activity`].
    pub active_window: u32,
    /// Since when the output is over its soft limit.
    pub over_soft_limit_since_ms: Option<u64>,
    pub last_command: &'static str,
    /// It is a replica of this node, or on the way to be one.
    pub replica: Option<Box<ReplicaSession>>,
    /// It is this node's link to its primary.
    pub link: Option<Box<PrimaryLink>>,
    /// A command of it waits for something that CLIENT UNBLOCK can end: the call to finish, and how it was ended.
    pub blocked_on: Option<u64>,
    pub unblocked: Option<Unblock>,
    /// It wrote something that WAIT can wait for.
    pub wrote: bool,
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
}

impl Connection {
    #[expect(clippy::too_many_arguments, reason = "one caller, which names each")]
    pub fn new(
        id: u64,
        token: Token,
        slot: ConnectionSlot,
        session: Session,
        file: i32,
        peer: String,
        local: String,
        now_ms: u64,
    ) -> Self {
        Connection {
            id,
            token,
            slot,
            session,
            parser: Parser::default(),
            input: Vec::new(),
            output: Vec::new(),
            owed: VecDeque::new(),
            held_pushes: None,
            owed_bytes: 0,
            last_remote_reply_bytes: 0,
            owed_first: 0,
            remote: 0,
            remote_writes: 0,
            write_shard: 0,
            wait: Wait::None,
            sending_bytes: 0,
            is_sending: false,
            is_dirty: false,
            close_after_reply: false,
            ended: false,
            receiving_paused: false,
            peer,
            local,
            file,
            created_ms: now_ms,
            active_ms: now_ms,
            active_window: 0,
            over_soft_limit_since_ms: None,
            last_command: "NULL",
            replica: None,
            link: None,
            blocked_on: None,
            unblocked: None,
            wrote: false,
            commands: 0,
            input_bytes: 0,
            output_bytes: 0,
        }
    }

    #[cfg(test)]
    pub fn for_test() -> Self {
        Connection::new(
            1,
            Token(0),
            ConnectionSlot::NONE,
            Session::default(),
            -1,
            String::new(),
            String::new(),
            0,
        )
    }

    pub fn is_unix(&self) -> bool {
        self.peer.starts_with('/')
    }

    /// Connected from this machine: over loopback or a Unix socket.
    pub fn is_local(&self) -> bool {
        self.peer.starts_with("127.")
            || self.peer.starts_with("[::1]")
            || self.peer.starts_with('/')
    }

    /// If it waited for replies of other shards and has them now, ends the wait.
    pub fn may_resume(&mut self) -> bool {
        let over = match self.wait {
            Wait::Remote => self.remote == 0,
            Wait::RemoteWrites => self.remote_writes == 0,
            // Otherwise the end of the send goes on with it.
            Wait::Output => !self.is_sending && self.waiting_output_bytes() == 0,
            _ => false,
        };
        if over {
            self.wait = Wait::None;
        }
        over
    }

    /// Whether the client wants the reply of the command that is done now; ends CLIENT REPLY SKIP.
    pub fn take_reply_wish(&mut self) -> bool {
        match self.session.reply_mode {
            ReplyMode::On | ReplyMode::Skip => true,
            ReplyMode::Off => false,
            ReplyMode::Skipping => {
                self.session.reply_mode = ReplyMode::On;
                false
            }
        }
    }

    /// Bytes that wait to be taken by the client.
    pub fn output_memory_bytes(&self) -> usize {
        let owed = self.owed.iter().map(|owed| match owed {
            Owed::Waiting { .. } => 0,
            Owed::Ready(bytes) => bytes.capacity(),
        });
        let held = self.held_pushes.as_ref().map_or(0, Vec::capacity);
        self.output.capacity() + self.sending_bytes + held + owed.sum::<usize>()
    }

    /// Bytes that the connection holds in all.
    pub fn memory_bytes(&self) -> usize {
        let queued = self.session.transaction.as_ref().map_or(0, Transaction::memory_bytes);
        size_of_val(self) + self.input.capacity() + self.output_memory_bytes() + queued
    }

    /// Where the reply of a command that runs here and now goes.
    #[inline]
    pub fn reply_buffer(&mut self) -> &mut Vec<u8> {
        if self.owed.is_empty() {
            return &mut self.output;
        }
        if !matches!(self.owed.back(), Some(Owed::Ready(_))) {
            self.owed.push_back(Owed::Ready(Vec::new()));
        }
        match self.owed.back_mut() {
            Some(Owed::Ready(bytes)) => bytes,
            _ => unreachable!("just pushed"),
        }
    }

    /// Where a push goes.
    pub fn push_buffer(&mut self) -> &mut Vec<u8> {
        if self.held_pushes.is_none() {
            return self.reply_buffer();
        }
        self.held_pushes.as_mut().expect("checked above")
    }

    /// The reply that pushes waited for has been written.
    pub fn release_pushes(&mut self) {
        if let Some(held) = self.held_pushes.take() {
            self.reply_buffer().extend_from_slice(&held);
        }
    }

    /// Keeps a place for the reply of a command that runs elsewhere; returns its sequence number.
    pub fn owe(&mut self, silent: bool) -> u64 {
        if let Some(Owed::Ready(last)) = self.owed.back() {
            self.owed_bytes += last.len();
        }
        self.owed.push_back(Owed::Waiting { silent });
        self.owed_first + self.owed.len() as u64 - 1
    }

    /// The reply for place `sequence` has come; moves what is due to the output.
    pub fn settle(&mut self, sequence: u64, reply: &[u8]) {
        self.last_remote_reply_bytes = reply.len();
        let index = (sequence - self.owed_first) as usize;
        let silent = matches!(self.owed[index], Owed::Waiting { silent: true });
        let reply = if silent { &[] } else { reply };
        if index > 0 {
            if index + 1 < self.owed.len() {
                self.owed_bytes += reply.len();
            }
            self.owed[index] = Owed::Ready(reply.to_vec());
            return;
        }
        self.owed.pop_front();
        self.owed_first += 1;
        self.output.extend_from_slice(reply);
        while let Some(Owed::Ready(bytes)) = self.owed.front() {
            self.output.extend_from_slice(bytes);
            if self.owed.len() > 1 {
                self.owed_bytes -= bytes.len();
            }
            self.owed.pop_front();
            self.owed_first += 1;
        }
    }

    /// Bytes that wait to be sent after the send under way.
    #[inline]
    pub fn waiting_output_bytes(&self) -> usize {
        let last = match self.owed.back() {
            Some(Owed::Ready(last)) => last.len(),
            _ => 0,
        };
        self.output.len() + self.owed_bytes + last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies in the order of commands, however they come in.
    #[test]
    fn replies_leave_in_order_and_are_counted() {
        let mut connection = Connection::for_test();
        connection.reply_buffer().extend_from_slice(b"a");
        let first = connection.owe(false);
        connection.reply_buffer().extend_from_slice(b"c");
        connection.reply_buffer().extend_from_slice(b"d");
        let second = connection.owe(false);
        let silent = connection.owe(true);
        connection.reply_buffer().extend_from_slice(b"g");
        assert_eq!((&connection.output[..], connection.waiting_output_bytes()), (&b"a"[..], 4));
        connection.settle(silent, b"never");
        connection.settle(second, b"ef");
        assert_eq!((&connection.output[..], connection.waiting_output_bytes()), (&b"a"[..], 6));
        connection.settle(first, b"b");
        assert_eq!(connection.output, b"abcdefg");
        assert_eq!((connection.owed.len(), connection.owed_bytes), (0, 0));
        connection.reply_buffer().extend_from_slice(b"h");
        assert_eq!(connection.output, b"abcdefgh");
    }
}
