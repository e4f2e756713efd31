//! Running commands on this core's shard, for its own connections and for other cores.

use ringfort_core::args::Args;
use ringfort_core::command::spec::KeysHandler;
use ringfort_core::command::{Flags, Handler, Spec};
use ringfort_core::cx::{Cx, Wait};
use ringfort_core::keys::{Caller, Keys};
use ringfort_core::resp::{Protocol, Reply};
use ringfort_core::shard::Shard;
use ringfort_core::store::Key;
use ringfort_net::Ticks;

use crate::connection::Connection;
use crate::core::{Core, Deferred};
use crate::message::{CommandBatch, Message};
use crate::monitor;

/// Whose command it is.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    pub database: usize,
    pub protocol: Protocol,
    pub caller: Caller,
    /// CLIENT ID, for the slow log.
    pub client: u64,
    /// Milliseconds since the Unix epoch.
    pub now: i64,
}

impl Context {
    /// The keys of `shard` as a command in this context sees them.
    #[inline]
    pub fn keys<'a>(&self, shard: &'a mut Shard, first: Option<Key<'a>>) -> Keys<'a> {
        Keys { shard, database: self.database, now: self.now, caller: self.caller, first }
    }
}

impl Core {
    /// The context of a command of `connection` that runs now.
    #[inline]
    pub fn context_of(&self, connection: &Connection) -> Context {
        Context {
            database: connection.session.database,
            protocol: connection.session.protocol,
            caller: connection.session.caller,
            client: connection.id,
            now: self.now.wall_ms,
        }
    }

    /// Commands are timed back to back: the end of one is the beginning of the next, one reading each.
    #[inline]
    pub fn start_timing(&mut self) {
        self.timed_until = Ticks::now();
    }

    /// Counts a command that has just run; `error` is the text of its error reply.
    #[inline]
    pub fn count_command(&mut self, spec: &'static Spec, args: &Args, client: u64, failed: bool) {
        let now = Ticks::now();
        let ns = now.since_ns(self.timed_until);
        self.timed_until = now;
        self.stats.commands += 1;
        self.command_stats.ran(spec, ns, failed);
        if ns >= self.settings.slow_ns {
            self.note_slow(spec, args, client, ns);
        }
    }

    /// Runs a command on the shard of this core and appends its reply to `out`.
    #[inline]
    pub fn execute(
        &mut self,
        spec: &'static Spec,
        handler: KeysHandler,
        args: &Args,
        context: Context,
        first: Option<Key>,
        out: &mut Vec<u8>,
    ) {
        if self.settings.maxmemory > 0
            && !context.caller.is_primary
            && let Err(error) = self.check_memory(spec)
        {
            self.command_stats.rejected(spec);
            self.command_stats.error(error.0.as_bytes());
            Reply::new(out, context.protocol).error(&error);
            return;
        }
        self.execute_admitted(spec, handler, args, context, first, out);
    }

    /// [`Core::execute`] of a command for which there is memory, or whose transaction as a whole was let in. One that
    /// would wait for its keys answers as if its time were up.
    #[inline]
    pub fn execute_admitted(
        &mut self,
        spec: &'static Spec,
        handler: KeysHandler,
        args: &Args,
        context: Context,
        first: Option<Key>,
        out: &mut Vec<u8>,
    ) {
        if let Some(wait) = self.attempt(spec, handler, args, context, first, out) {
            wait.timeout_reply.write(&mut Reply::new(out, context.protocol));
            self.count_command(spec, args, context.client, false);
        }
    }

    /// Runs a command on the shard of this core and appends its reply to `out`, unless it would wait for its keys: then it
    /// has done nothing, and is not counted.
    #[inline]
    pub fn attempt(
        &mut self,
        spec: &'static Spec,
        handler: KeysHandler,
        args: &Args,
        context: Context,
        first: Option<Key>,
        out: &mut Vec<u8>,
    ) -> Option<Wait> {
        let keys = context.keys(&mut self.shard, first);
        let mut cx = Cx::new(keys, Reply::new(out, context.protocol));
        if let Err(error) = handler(&mut cx, args) {
            cx.reply.error(&error);
        }
        if cx.wait.is_some() {
            return cx.wait;
        }
        let failed = match cx.reply.last_error() {
            None => false,
            Some(text) => {
                self.command_stats.error(text);
                if context.caller.is_primary {
                    self.shared.replication.counters.note_primary_error(spec, text);
                }
                true
            }
        };
        self.count_command(spec, args, context.client, failed);
        if !self.shard.events.list.is_empty() {
            self.publish_key_events();
        }
        None
    }

    /// A batch of commands from core `from`: runs it and sends it back with the replies.
    pub fn run_batch(&mut self, from: usize, mut batch: Box<CommandBatch>) {
        if self.gate.is_stopped() {
            self.deferred.push_back(Deferred::Batch { from, batch });
            return;
        }
        let mut replies = std::mem::take(&mut batch.replies);
        self.prefetch_batch(&batch);
        self.slow.serving = Some(from);
        self.start_timing();
        let mut ends = std::mem::take(&mut self.reply_ends);
        ends.clear();
        let mut labels = batch.labels.iter().peekable();
        for (at, command) in batch.commands.iter().enumerate() {
            let args = batch.args(command);
            let context = Context {
                database: command.database.into(),
                protocol: command.protocol,
                caller: command.caller,
                client: command.client,
                now: self.now.wall_ms,
            };
            let Handler::Keys(handler) = command.spec.handler else {
                unreachable!("only commands on keys travel");
            };
            let first = (command.first_key > 0).then(|| Key {
                bytes: args.at(command.first_key.into()),
                slot: command.slot,
                hash: command.hash,
            });
            self.execute(command.spec, handler, &args, context, first, &mut replies);
            ends.push(replies.len());
            self.serve_waiters();
            if let Some((_, label)) = labels.next_if(|(labelled, _)| *labelled == at) {
                let mut line = Vec::new();
                monitor::write_line(&mut line, context.database, label, &args, command.spec);
                self.tell_monitors(&line);
            }
        }
        for (command, end) in batch.commands.iter_mut().zip(&ends) {
            command.reply_end = *end;
        }
        self.slow.serving = None;
        self.reply_ends = ends;
        batch.replies = replies;
        self.send(from, Message::Replies(batch));
    }

    fn prefetch_batch(&self, batch: &CommandBatch) {
        const TOGETHER: usize = 64;
        // Of a long batch only the front: lines fetched too early are gone again.
        let keys = || {
            batch.commands.iter().take(TOGETHER).filter(|command| command.first_key > 0).map(
                |command| {
                    let bytes = batch.args(command).at(command.first_key.into());
                    let key = Key { bytes, slot: command.slot, hash: command.hash };
                    (&self.shard.databases[usize::from(command.database)], key)
                },
            )
        };
        keys().for_each(|(database, key)| database.prefetch_table(&key));
        keys().for_each(|(database, key)| database.prefetch_bucket(&key));
        // A hint for all: a batch seldom spans databases.
        let bytes = keys().next().map_or(0, |(database, _)| database.prefetch_bytes());
        keys().for_each(|(database, key)| database.prefetch_entry(&key, bytes));
    }

    /// Sends this round's batch for core `to`.
    pub fn send_batch(&mut self, to: usize) {
        if let Some(batch) = self.outgoing[to].take() {
            self.stats.batches += 1;
            self.batches_away[to] += 1;
            self.send(to, Message::Commands(batch));
        }
    }

    /// A batch is back from core `from`: hands the replies to their connections.
    pub fn take_replies(&mut self, from: usize, batch: Box<CommandBatch>) {
        self.batches_away[from] -= 1;
        let mut start = 0;
        for command in &batch.commands {
            let end = command.reply_end;
            let reply = &batch.replies[start..end];
            start = end;
            let Some(connection) = self.connection_of(command.connection, command.generation)
            else {
                continue;
            };
            connection.settle(command.sequence, reply);
            connection.remote -= 1;
            if command.spec.flags.has(Flags::WRITE) {
                connection.remote_writes -= 1;
            }
            let index = command.connection;
            let goes_on = connection.may_resume();
            let newly_dirty = !std::mem::replace(&mut connection.is_dirty, true);
            if newly_dirty {
                self.dirty.push(index);
            }
            if goes_on {
                self.resume.push(index);
            }
        }
        self.reuse_batch(batch);
    }
}
