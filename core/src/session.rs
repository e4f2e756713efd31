//! A client's session: what the commands of one connection have agreed on so far.
//!
//! Owned by the core of the connection; the socket half is the node's. No IO, no clock.

use crate::args::OwnedArgs;
use crate::command::Spec;
use crate::keys::Caller;
use crate::resp::Protocol;

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplyMode {
    #[default]
    On,
    Off,
    /// The next command is not answered.
    Skip,
    /// This command is not answered (SKIP was the one before it).
    Skipping,
}

/// Commands between MULTI and EXEC.
#[derive(Debug, Default)]
pub struct Transaction {
    pub queued: Vec<(&'static Spec, OwnedArgs)>,
    /// A command could not be queued: EXEC refuses.
    pub failed: bool,
}

impl Transaction {
    /// Heap bytes of the queued commands (CLIENT LIST multi-mem).
    pub fn memory_bytes(&self) -> usize {
        self.queued.iter().map(|(_, args)| args.memory_bytes() + size_of::<OwnedArgs>()).sum()
    }
}

#[derive(Debug, Default)]
pub struct Session {
    pub database: usize,
    pub protocol: Protocol,
    pub authenticated: bool,
    pub transaction: Option<Transaction>,
    /// Database and key of each watched key.
    pub watched: Vec<(usize, Box<[u8]>)>,
    pub reply_mode: ReplyMode,
    pub caller: Caller,
    pub no_evict: bool,
    pub name: String,
    pub library_name: String,
    pub library_version: String,
    /// Channels and patterns subscribed to, and shard channels.
    pub subscriptions: usize,
    /// How many of `subscriptions` are patterns.
    pub patterns: usize,
    pub shard_subscriptions: usize,
    pub monitor: bool,
}

impl Session {
    /// Nothing stands between a command and its execution: the one check of the hot path.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.authenticated
            && self.transaction.is_none()
            && self.reply_mode == ReplyMode::On
            && self.subscriptions + self.shard_subscriptions == 0
            && !self.monitor
    }

    /// A RESP2 client with subscriptions may send little else, since pushes and replies look alike there.
    pub fn is_subscriber_only(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions + self.shard_subscriptions > 0
    }

    pub fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Marks the transaction under way, if any, as failed.
    pub fn fail_transaction(&mut self) {
        if let Some(transaction) = &mut self.transaction {
            transaction.failed = true;
        }
    }
}
