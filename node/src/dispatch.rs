//! From a command to where it runs: checks, the shard of its keys, the order of one connection's commands.
//!
//! Order ("strict"): the writes of one connection become visible in the order it sent them. A command for
//! another shard waits while writes are under way elsewhere; reads overlap reads; keyless, multi-shard and node
//! commands wait for everything before them.

use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::Args;
use ringfort_core::command::{self, Flags, Handler, NodeCommand, SessionCommand, Spec};
use ringfort_core::commands;
use ringfort_core::error::Error;
use ringfort_core::resp::Reply;
use ringfort_core::sequencer::ShardSet;
use ringfort_core::session::ReplyMode;
use ringfort_core::slot::Slot;
use ringfort_core::store::Key;

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::input::OUTPUT_PAUSE_BYTES;
use crate::message::RemoteCommand;
use crate::{exec, key_wait, multi_shard, node_commands};

/// What was found out about a command before its turn.
#[derive(Clone, Copy, Default)]
pub struct Prepared {
    /// `None`: there is no such command, or the number of arguments is wrong.
    pub spec: Option<&'static Spec>,
    /// Position of the first key, 0 if there is none, and what is known of that key.
    pub first_key: u8,
    pub shard: u16,
    pub slot: Slot,
    pub hash: u64,
}

impl Prepared {
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, slot: self.slot, hash: self.hash }
    }
}

/// How a connection's input goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next command.
    Next,
    /// With this command again, after a wait.
    Wait(Wait),
    /// With the next command, after a wait.
    Taken(Wait),
    /// Not at all: close once the replies were sent.
    Close,
}

/// Messages that may wait for room on the way to another core before connections that need it are held up.
pub const BACKLOG_MESSAGES_MAX: usize = 64;

/// Commands that one connection has under way on other shards: bounds the replies that come back unasked.
const REMOTE_MAX: u32 = 256;

/// The same of the link to the primary, whose replies are short.
const REMOTE_PRIMARY_MAX: u32 = 4096;

/// Batches under way to one core before connections that need it are held up.
const BATCHES_AWAY_MAX: u32 = 256;

/// Whether a RESP2 client may send it while it has subscriptions.
fn is_for_subscribers(spec: &Spec) -> bool {
    use NodeCommand::*;
    match spec.handler {
        Handler::Session(command) => {
            matches!(command, SessionCommand::Ping | SessionCommand::Quit | SessionCommand::Reset)
        }
        Handler::Node(command) => matches!(
            command,
            Subscribe | Psubscribe | Ssubscribe | Unsubscribe | Punsubscribe | Sunsubscribe
        ),
        Handler::Keys(_) | Handler::Container => false,
    }
}

impl Core {
    /// Runs one command, or says what it waits for.
    #[inline]
    pub fn dispatch(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
        prepared: &Prepared,
    ) -> Flow {
        let Some(spec) = prepared.spec else {
            return self.unknown(index, connection, args);
        };
        connection.commands += 1;
        connection.last_command = spec.name;
        connection.wrote |= spec.flags.has(Flags::WRITE);
        if !connection.session.is_plain()
            || self.pause.is_active()
            || self.shared.replication.restrictions.load(Relaxed) != 0
        {
            return self.dispatch_checked(index, connection, args, prepared, spec);
        }
        self.route(index, connection, args, prepared, spec)
    }

    #[inline]
    fn route(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
        prepared: &Prepared,
        spec: &'static Spec,
    ) -> Flow {
        match spec.handler {
            Handler::Keys(handler) => {
                self.route_keys(index, connection, args, prepared, spec, handler)
            }
            Handler::Session(SessionCommand::Exec) => {
                exec::exec(self, index, connection, spec, args)
            }
            Handler::Session(command) => {
                let flow = self.session_command_timed(index, connection, command, spec, args);
                if !matches!(flow, Flow::Wait(_)) {
                    self.feed_monitors(connection, args, spec);
                }
                flow
            }
            Handler::Node(command) => {
                if connection.remote > 0 {
                    return Flow::Wait(Wait::Remote);
                }
                if spec.flags.has(Flags::PROTECTED)
                    && let Err(error) = self.check_protected(connection, spec)
                {
                    return self.reject(connection, spec, error);
                }
                if matches!(command, NodeCommand::Publish | NodeCommand::Spublish)
                    && let Some(flow) = self.publish_here(index, connection, command, args, spec)
                {
                    return flow;
                }
                self.feed_monitors(connection, args, spec);
                node_commands::start(self, index, connection, command, spec, args)
            }
            Handler::Container => self.reject(connection, spec, Error::arity(spec.name)),
        }
    }

    /// A command on keys: here, on another core, or on several.
    #[inline]
    fn route_keys(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
        prepared: &Prepared,
        spec: &'static Spec,
        handler: ringfort_core::command::spec::KeysHandler,
    ) -> Flow {
        if spec.flags.has(Flags::BLOCKING)
            && !connection.session.caller.is_primary
            && key_wait::may_wait(spec, args)
        {
            let mut shards = self.shards_of(spec, args);
            if shards.is_empty() {
                // It is wrong, and says so.
                shards.insert(self.id);
            }
            return key_wait::start(self, index, connection, spec, handler, args, shards);
        }
        let shard = if self.cores == 1 {
            0
        } else if spec.only_key().is_some() {
            prepared.shard as usize
        } else {
            let shards = self.shards_of(spec, args);
            if shards.is_empty() {
                self.id
            } else {
                match shards.single() {
                    Some(shard) => shard,
                    None => {
                        if connection.remote > 0 {
                            return Flow::Wait(Wait::Remote);
                        }
                        if !connection.session.caller.is_primary
                            && let Err(error) = self.check_memory(spec)
                        {
                            return self.reject(connection, spec, error);
                        }
                        return multi_shard::start(self, index, connection, spec, args, shards);
                    }
                }
            }
        };
        // What comes from a primary has its order there; here it only matters for each shard.
        if connection.remote_writes > 0
            && self.settings.strict_order
            && !connection.session.caller.is_primary
            && (shard == self.id || connection.write_shard != shard)
        {
            return Flow::Wait(Wait::RemoteWrites);
        }
        if shard == self.id {
            if self.gate.is_stopped() {
                self.gate_waiters.push(index);
                return Flow::Wait(Wait::Gate);
            }
            let context = self.context_of(connection);
            let first =
                (prepared.first_key > 0).then(|| prepared.key(args.at(prepared.first_key.into())));
            self.feed_monitors(connection, args, spec);
            self.execute(spec, handler, args, context, first, connection.reply_buffer());
            self.serve_waiters();
            return Flow::Next;
        }
        self.send_to_shard(connection, index, args, prepared, spec, shard)
    }

    /// Puts a command into this round's batch for another core.
    fn send_to_shard(
        &mut self,
        connection: &mut Connection,
        index: u32,
        args: &Args,
        prepared: &Prepared,
        spec: &'static Spec,
        shard: usize,
    ) -> Flow {
        let remote_max =
            if connection.session.caller.is_primary { REMOTE_PRIMARY_MAX } else { REMOTE_MAX };
        if connection.remote >= remote_max
            || connection.remote as usize * connection.last_remote_reply_bytes > OUTPUT_PAUSE_BYTES
        {
            return Flow::Wait(Wait::Remote);
        }
        if self.is_backlogged(shard) {
            self.backlogged.push((index, Some(shard)));
            return Flow::Wait(Wait::Backlog);
        }
        let label = self.monitor_label(connection);
        let generation = self.generation(index);
        let silent = connection.session.reply_mode != ReplyMode::On;
        let sequence = connection.owe(silent);
        connection.remote += 1;
        let is_write = spec.flags.has(Flags::WRITE);
        if is_write {
            connection.remote_writes += 1;
            connection.write_shard = shard;
        }
        if self.outgoing[shard].is_none() {
            self.outgoing[shard] = Some(self.spare_batch());
        }
        let batch = self.outgoing[shard].as_mut().expect("just made");
        if let Some(label) = label {
            batch.labels.push((batch.commands.len(), label));
        }
        batch.push(
            args,
            RemoteCommand {
                connection: index,
                generation,
                sequence,
                spec,
                client: connection.id,
                database: connection.session.database as u16,
                protocol: connection.session.protocol,
                caller: connection.session.caller,
                first_key: prepared.first_key,
                slot: prepared.slot,
                hash: prepared.hash,
                first: 0,
                count: 0,
                reply_end: 0,
            },
        );
        self.stats.hops += 1;
        if batch.is_full() {
            self.send_batch(shard);
        }
        Flow::Next
    }

    /// Whether so much is on its way to a core that connections have to wait.
    fn is_backlogged(&self, shard: usize) -> bool {
        self.mailbox.overflow_len(shard) > BACKLOG_MESSAGES_MAX
            || self.batches_away[shard] > BATCHES_AWAY_MAX
    }

    /// Connections whose way to another core has room again go on. The others are not even listed: trying again
    /// every round would keep this core busy for as long as the other one is.
    #[cold]
    pub fn end_backlog_waits(&mut self) {
        for (index, shard) in std::mem::take(&mut self.backlogged) {
            let is_full = match shard {
                Some(shard) => self.is_backlogged(shard),
                None => self.is_publishing_backlogged(),
            };
            if is_full {
                self.backlogged.push((index, shard));
            } else {
                self.end_wait(index, Wait::Backlog);
            }
        }
    }

    /// The shards that hold the keys of a command.
    pub fn shards_of(&self, spec: &'static Spec, args: &Args) -> ShardSet {
        if commands::has_keys_beside_args(spec, args) {
            return ShardSet::all(self.cores);
        }
        let mut shards = ShardSet::default();
        for position in command::keys::keys_of(spec, args) {
            shards.insert(self.shard_of(ringfort_core::slot::slot_of(args.at(position))));
        }
        shards
    }

    /// The way of every command that something may stand in front of: a missing password, MULTI, subscriptions,
    /// CLIENT REPLY, CLIENT PAUSE.
    #[cold]
    fn dispatch_checked(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
        prepared: &Prepared,
        spec: &'static Spec,
    ) -> Flow {
        use SessionCommand::*;
        if self.pubsub.has_late() {
            // Messages that the last command brought about come between the two replies.
            self.take_late(index, connection);
        }
        if connection.replica.as_ref().is_some_and(|replica| replica.is_linked())
            && !crate::replication::is_for_replicas(spec)
        {
            crate::warning!("Replica {} sent '{}': closing the link.", connection.peer, spec.name);
            return Flow::Close;
        }
        let session = &mut connection.session;
        if !session.authenticated && !spec.flags.has(Flags::NO_AUTH) {
            return self.reject(connection, spec, Error::NO_AUTH);
        }
        if session.monitor && !matches!(spec.handler, Handler::Session(Quit | Reset)) {
            let error = "ERR Replica can't interact with the keyspace";
            if matches!(spec.handler, Handler::Keys(_)) {
                return self.reject(connection, spec, Error::new(error));
            }
        }
        if session.is_subscriber_only() && !is_for_subscribers(spec) {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
                 allowed in this context",
                spec.name
            );
            return self.reject(connection, spec, Error::text(text));
        }
        let controls_transaction =
            matches!(spec.handler, Handler::Session(Exec | Discard | Multi | Watch | Quit | Reset));
        if let Err(error) = self.check_restrictions(connection, spec) {
            if matches!(spec.handler, Handler::Session(Exec)) {
                return self.abort_exec(connection, &error);
            }
            return self.reject(connection, spec, error);
        }
        if connection.session.in_transaction() && !controls_transaction {
            return self.queue(connection, args, spec);
        }
        if self.pause.holds(spec, connection, self.now.mono_ms()) {
            self.pause.waiters.push(index);
            return Flow::Wait(Wait::Paused);
        }
        if connection.session.reply_mode == ReplyMode::On {
            return self.route(index, connection, args, prepared, spec);
        }
        // The client does not want this reply: it is written, then cut off again. A reply that comes later
        // (from another core, from a task) finds its place marked silent.
        // (The buffer first: getting it may add a place to what is owed.)
        let written = connection.reply_buffer().len();
        let owed = connection.owed.len();
        if connection.session.reply_mode == ReplyMode::Skip {
            connection.session.reply_mode = ReplyMode::Skipping;
        }
        let flow = self.route(index, connection, args, prepared, spec);
        if connection.owed.len() == owed && connection.session.reply_mode != ReplyMode::On {
            connection.reply_buffer().truncate(written);
        }
        if flow == Flow::Next && connection.session.reply_mode == ReplyMode::Skipping {
            connection.session.reply_mode = ReplyMode::On;
        }
        flow
    }

    /// Keeps a command for EXEC.
    fn queue(&mut self, connection: &mut Connection, args: &Args, spec: &'static Spec) -> Flow {
        if spec.flags.has(Flags::NO_MULTI) {
            let error = Error::new("ERR Command not allowed inside a transaction");
            return self.reject(connection, spec, error);
        }
        // A queue takes memory whatever is in it.
        if self.settings.maxmemory > 0
            && !connection.session.caller.is_primary
            && let Err(error) = self.make_room()
        {
            return self.reject(connection, spec, error);
        }
        if spec.flags.has(Flags::PROTECTED)
            && let Err(error) = self.check_protected(connection, spec)
        {
            return self.reject(connection, spec, error);
        }
        let transaction = connection.session.transaction.as_mut().expect("checked by the caller");
        transaction.queued.push((spec, (*args).into()));
        let silent = connection.session.reply_mode != ReplyMode::On;
        if !silent {
            connection.reply_buffer().extend_from_slice(b"+QUEUED\r\n");
        }
        Flow::Next
    }

    #[cold]
    fn unknown(&mut self, index: u32, connection: &mut Connection, args: &Args) -> Flow {
        let error = match command::resolve(args) {
            Err(error) => error,
            Ok(_) => unreachable!("it was not found a moment ago"),
        };
        if connection.link.is_some() {
            let line = String::from_utf8_lossy(args.at(0)).into_owned();
            self.break_link(index, connection, &format!("it sent '{line}': {}", error.0));
            return Flow::Wait(Wait::None);
        }
        if args.is(0, "post") || args.is(0, "host:") {
            return cross_protocol_request();
        }
        // Also for those who have not logged in: that there is no such command is no secret.
        connection.session.fail_transaction();
        let Some(spec) = command::lookup::find(args) else {
            return self.answer_error(connection, error);
        };
        self.command_stats.rejected(spec);
        if spec.name == "exec" {
            return self.abort_exec(connection, &error);
        }
        self.answer_error(connection, error)
    }

    /// An EXEC that cannot run ends its transaction all the same, and says so.
    fn abort_exec(&mut self, connection: &mut Connection, error: &Error) -> Flow {
        connection.session.transaction = None;
        self.unwatch(connection);
        let reason = error.0.strip_prefix("ERR ").unwrap_or(&error.0);
        let text = format!("EXECABORT Transaction discarded because of: {reason}");
        self.answer_error(connection, Error::text(text))
    }

    /// Answers with an error in place of running the command.
    #[cold]
    pub fn reject(
        &mut self,
        connection: &mut Connection,
        spec: &'static Spec,
        error: Error,
    ) -> Flow {
        connection.session.fail_transaction();
        self.command_stats.rejected(spec);
        if connection.session.caller.is_primary {
            self.shared.replication.counters.note_primary_error(spec, error.0.as_bytes());
        }
        self.answer_error(connection, error)
    }

    fn answer_error(&mut self, connection: &mut Connection, error: Error) -> Flow {
        self.command_stats.error(error.0.as_bytes());
        match connection.session.reply_mode {
            ReplyMode::On => {
                let protocol = connection.session.protocol;
                Reply::new(connection.reply_buffer(), protocol).error(&error);
            }
            ReplyMode::Off => {}
            // This was the one command that SKIP is for.
            ReplyMode::Skip | ReplyMode::Skipping => connection.session.reply_mode = ReplyMode::On,
        }
        Flow::Next
    }

    /// DEBUG and the like run only where `enable-debug-command` lets them.
    fn check_protected(&self, connection: &Connection, spec: &Spec) -> Result<(), Error> {
        if spec.name != "debug"
            || self.config.access.enable_debug_command.allows(connection.is_local())
        {
            return Ok(());
        }
        let option = format!("enable-{}-command", spec.name);
        Err(Error::text(format!(
            "ERR {} command not allowed. If the {option} option is set to \"local\", you can run it from a local \
             connection, otherwise you need to set this option in the configuration file, and then restart the \
             server.",
            spec.name.to_uppercase()
        )))
    }

    /// Whether the node has memory for a command that may need some.
    #[inline]
    pub fn check_memory(&mut self, spec: &Spec) -> Result<(), Error> {
        if self.settings.maxmemory == 0 || !spec.flags.has(Flags::DENYOOM) {
            return Ok(());
        }
        self.make_room()
    }

    /// Tells MONITOR clients of a command that is about to run.
    #[inline]
    pub fn feed_monitors(&mut self, connection: &Connection, args: &Args, spec: &Spec) {
        if self.shared.monitors.load(Relaxed) > 0 {
            self.monitor_command(connection, args, spec);
        }
    }
}

/// A browser that was talked into sending HTTP here: it is not answered, and none of what follows the
/// request's first line is run. Logged once a minute at most, or it would fill the disk.
#[cold]
fn cross_protocol_request() -> Flow {
    static LOGGED_AT_S: AtomicI64 = AtomicI64::new(0);
    let now_s = ringfort_net::clock::wall_clock_us() / 1_000_000;
    if now_s - LOGGED_AT_S.load(Relaxed) >= 60 {
        LOGGED_AT_S.store(now_s, Relaxed);
        crate::warning!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands. \
             This is likely due to an attacker attempting to use Cross Protocol Scripting. Connection aborted."
        );
    }
    Flow::Close
}
