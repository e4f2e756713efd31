//! What one core says to another.
//!
//! Commands for another shard travel in batches, one per round and destination, and come back in the same box
//! with their replies. Everything rarer is a [`Job`]: a function that runs on the other core. Channels between
//! two cores keep their order; the transaction sequencer relies on that.

use std::any::Any;
use std::os::fd::OwnedFd;

use ringfort_core::args::{ArgRange, Args};
use ringfort_core::command::Spec;
use ringfort_core::keys::Caller;
use ringfort_core::resp::Protocol;
use ringfort_core::slot::Slot;

use crate::core::Core;

pub enum Message {
    /// Commands to run on the receiver's shard.
    Commands(Box<CommandBatch>),
    /// The same batch on its way back, with replies.
    Replies(Box<CommandBatch>),
    /// Runs on the receiver; nothing comes back.
    Post(Box<dyn FnOnce(&mut Core) + Send>),
    /// Runs on the receiver; what it returns goes back as [`Message::Result`].
    Job(u64, Job),
    Result(u64, Box<dyn Any + Send>),
    /// A new connection, dealt to the receiver.
    Connection(OwnedFd),
}

pub type Job = Box<dyn FnOnce(&mut Core) -> Box<dyn Any + Send> + Send>;

/// Commands of one round for one shard.
#[derive(Default)]
pub struct CommandBatch {
    pub buffer: Vec<u8>,
    pub ranges: Vec<ArgRange>,
    pub commands: Vec<RemoteCommand>,
    /// For MONITOR, while there are monitors: a command's place in `commands`, and its client.
    pub labels: Vec<(usize, Box<str>)>,
    pub replies: Vec<u8>,
}

/// One command of a batch.
pub struct RemoteCommand {
    /// The connection on the sending core, and its place in that connection's order of replies.
    pub connection: u32,
    pub generation: u32,
    pub sequence: u64,
    pub spec: &'static Spec,
    pub client: u64,
    pub database: u16,
    pub protocol: Protocol,
    pub caller: Caller,
    /// Position, slot and hash of the first key; position 0 if there is none.
    pub first_key: u8,
    pub slot: Slot,
    pub hash: u64,
    /// Its arguments in `ranges`.
    pub first: u32,
    pub count: u32,
    /// Its reply in `replies` ends here.
    pub reply_end: usize,
}

impl CommandBatch {
    /// Copies a command in; the caller fills in the rest of `command`.
    pub fn push(&mut self, args: &Args, mut command: RemoteCommand) {
        command.first = self.ranges.len() as u32;
        command.count = args.len() as u32;
        for arg in args.iter() {
            self.ranges.push(ArgRange { start: self.buffer.len() as u32, len: arg.len() as u32 });
            self.buffer.extend_from_slice(arg);
        }
        self.commands.push(command);
    }

    pub fn args(&self, command: &RemoteCommand) -> Args<'_> {
        Args::new(&self.buffer, &self.ranges[command.first as usize..][..command.count as usize])
    }

    /// Whether there is no room for more: offsets are 32 bits wide.
    pub fn is_full(&self) -> bool {
        self.buffer.len() > 1 << 26 || self.commands.len() >= 1 << 14
    }

    /// Empties it for reuse; large buffers are given back.
    pub fn clear(&mut self) {
        const KEPT_BYTES_MAX: usize = 1 << 18;
        self.commands.clear();
        self.labels.clear();
        self.ranges.clear();
        self.buffer.clear();
        self.replies.clear();
        let kept_bytes = self.buffer.capacity()
            + self.replies.capacity()
            + self.ranges.capacity() * size_of::<ArgRange>()
            + self.commands.capacity() * size_of::<RemoteCommand>();
        if kept_bytes > KEPT_BYTES_MAX {
            *self = CommandBatch::default();
        }
    }
}
