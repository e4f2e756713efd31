//! EXEC: runs a transaction on the one shard that its keys live on, or stops all that it needs.

use std::collections::BTreeMap;

use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::{Flags, Handler, SessionCommand, Spec};
use ringfort_core::effect::Effects;
use ringfort_core::error::Error;
use ringfort_core::notify::KeyEvent;
use ringfort_core::number;
use ringfort_core::resp::Reply;
use ringfort_core::sequencer::ShardSet;
use ringfort_core::session::Transaction;
use ringfort_core::slot::slot_of;
use ringfort_core::watch::Watcher;
use ringfort_net::Ticks;

use crate::client::Client;
use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::Flow;
use crate::tasks::{on_core, on_cores};
use crate::transaction::stop;
use crate::{monitor, multi_shard, node_commands};

type Queue = Vec<(&'static Spec, OwnedArgs)>;

/// Runs the transaction of a connection.
pub fn exec(
    core: &mut Core,
    index: u32,
    connection: &mut Connection,
    spec: &'static Spec,
    args: &Args,
) -> Flow {
    if connection.session.transaction.is_none() {
        core.feed_monitors(connection, args, spec);
        return core.reject(connection, spec, Error::EXEC_WITHOUT_MULTI);
    }
    if connection.remote > 0 {
        return Flow::Wait(Wait::Remote);
    }
    let transaction = connection.session.transaction.take().expect("checked above");
    if transaction.failed {
        core.unwatch(connection);
        core.feed_monitors(connection, args, spec);
        return core.reject(connection, spec, Error::EXEC_ABORT);
    }
    // All of it runs or none: memory is asked for once, before.
    let wants_memory = transaction.queued.iter().any(|(spec, _)| spec.flags.has(Flags::DENYOOM));
    if wants_memory
        && !connection.session.caller.is_primary
        && core.settings.maxmemory > 0
        && let Err(error) = core.make_room()
    {
        core.unwatch(connection);
        core.feed_monitors(connection, args, spec);
        let text = format!("EXECABORT Transaction discarded because of: {}", error.0);
        return core.reject(connection, spec, Error::text(text));
    }
    let shards = shards_of(core, connection, &transaction);
    let is_local = shards.single() == Some(core.id)
        && transaction.queued.iter().all(|(spec, _)| !matches!(spec.handler, Handler::Node(_)));
    if is_local && core.gate.is_stopped() {
        connection.session.transaction = Some(transaction);
        core.gate_waiters.push(index);
        return Flow::Wait(Wait::Gate);
    }
    if is_local {
        let started = Ticks::now();
        connection.wrote = true;
        core.publish_effects();
        // Events go to other cores, before which a core publishes what it has: they wait for the whole transaction.
        let events =
            core.collect_key_events(|core| run_here(core, index, connection, transaction.queued));
        let mut effects = core.shard.effects.take();
        core.publish_transaction(&mut effects);
        if !events.is_empty() {
            core.shard.events.list = events;
            core.publish_key_events();
        }
        core.serve_waiters();
        core.timed_until = started;
        core.count_command(spec, args, connection.id, false);
        core.feed_monitors(connection, args, spec);
        return Flow::Next;
    }
    let watched_shards = watched_shards(core, connection);
    connection.wrote = true;
    connection.session.watched.clear();
    let script = Script::new(core.monitor_label(connection), spec, args);
    let args = OwnedArgs::from(*args);
    core.start_task(index, connection, move |client| async move {
        let (core, id, started) = (client.core.clone(), client.id, Ticks::now());
        let reply = run(client, transaction.queued, shards, watched_shards, script).await;
        let mut core = core.borrow_mut();
        core.timed_until = started;
        core.count_command(spec, &args.args(), id, false);
        reply
    })
}

/// All shards that take part: those of keys, those of watched keys; all of them for a command of the node.
fn shards_of(core: &Core, connection: &Connection, transaction: &Transaction) -> ShardSet {
    let mut shards = watched_shards(core, connection);
    for (spec, args) in &transaction.queued {
        shards = shards.union(match spec.handler {
            Handler::Keys(_) => keys_shards(core, spec, &args.args()),
            Handler::Node(_) => ShardSet::all(core.cores),
            _ => ShardSet::default(),
        });
    }
    if shards.is_empty() {
        shards.insert(core.id);
    }
    shards
}

/// Where a command on keys runs. One that names no key runs here, and must have this shard stopped like any other:
/// the effects that are found behind it are then sure to be its own.
fn keys_shards(core: &Core, spec: &'static Spec, args: &Args) -> ShardSet {
    let mut shards = core.shards_of(spec, args);
    if shards.is_empty() {
        shards.insert(core.id);
    }
    shards
}

fn watched_shards(core: &Core, connection: &Connection) -> ShardSet {
    connection.session.watched.iter().map(|(_, key)| core.shard_of(slot_of(key))).collect()
}

/// Everything is on this core's shard: runs at once.
fn run_here(core: &mut Core, index: u32, connection: &mut Connection, queue: Queue) {
    let watching = !connection.session.watched.is_empty();
    connection.session.watched.clear();
    let protocol = connection.session.protocol;
    if watching && !core.end_watch(Watcher(connection.id), core.now.wall_ms) {
        Reply::new(connection.reply_buffer(), protocol).null_array();
        return;
    }
    Reply::new(connection.reply_buffer(), protocol).array(queue.len());
    for (spec, args) in &queue {
        let args = args.args();
        match spec.handler {
            Handler::Keys(handler) => {
                let context = core.context_of(connection);
                core.execute_admitted(
                    spec,
                    handler,
                    &args,
                    context,
                    None,
                    connection.reply_buffer(),
                );
            }
            Handler::Session(command) => {
                core.session_command_timed(index, connection, command, spec, &args);
            }
            Handler::Node(_) | Handler::Container => unreachable!("checked by the caller"),
        }
        core.feed_monitors(connection, &args, spec);
    }
}

/// Commands for one shard, by their place in the queue.
type Phase = BTreeMap<usize, Vec<(usize, &'static Spec, OwnedArgs, usize)>>;

/// What monitors are told of a transaction, in the order of its commands.
struct Script {
    /// `None`: there were no monitors when it began.
    label: Option<Box<str>>,
    lines: Vec<u8>,
    exec: &'static Spec,
    exec_args: OwnedArgs,
}

impl Script {
    fn new(label: Option<Box<str>>, exec: &'static Spec, args: &Args) -> Self {
        Script { label, lines: Vec::new(), exec, exec_args: OwnedArgs::from(*args) }
    }

    fn add(&mut self, database: usize, spec: &Spec, args: &OwnedArgs) {
        if let Some(label) = &self.label {
            monitor::write_line(&mut self.lines, database, label, &args.args(), spec);
        }
    }

    /// EXEC itself comes last. To be told while `shards` are still stopped.
    async fn tell(mut self, client: &Client, shards: ShardSet) {
        if let Some(label) = &self.label {
            let args = self.exec_args.args();
            monitor::write_line(&mut self.lines, client.database, label, &args, self.exec);
            monitor::feed_stopped(&client.core, shards, &self.lines).await;
        }
    }
}

async fn run(
    mut client: Client,
    queue: Queue,
    shards: ShardSet,
    watched_shards: ShardSet,
    mut script: Script,
) -> Vec<u8> {
    let core = client.core.clone();
    let stopped = stop(&core, shards).await;
    client.inside = true;
    client.effects = Default::default();
    // Others ran while it waited: its time must not be before theirs.
    client.now = core.borrow().now.wall_ms;
    let (watcher, now) = (Watcher(client.id), client.now);
    let clean =
        on_cores(&core, watched_shards.iter(), move |core| core.end_watch(watcher, now)).await;
    if !clean.iter().all(|clean| *clean) {
        script.tell(&client, shards).await;
        stopped.release(&core);
        return client.reply(|reply| reply.null_array());
    }
    let writes = queue.iter().any(|(spec, _)| spec.flags.has(Flags::WRITE));
    if let Err(error) = client.check_role(writes) {
        stopped.release(&core);
        return client.error(error);
    }
    let mut replies = vec![Vec::new(); queue.len()];
    let mut phase = Phase::new();
    for (at, (spec, args)) in queue.into_iter().enumerate() {
        if !matches!(spec.handler, Handler::Session(_)) {
            script.add(client.database, spec, &args);
        }
        match spec.handler {
            Handler::Keys(_) => {
                let on = keys_shards(&core.borrow(), spec, &args.args());
                match on.single() {
                    Some(shard) => {
                        phase.entry(shard).or_default().push((at, spec, args, client.database));
                    }
                    None => {
                        run_phase(&client, &mut phase, &mut replies).await;
                        replies[at] = multi_shard::run_stopped(&client, spec, &args, on).await;
                    }
                }
            }
            Handler::Session(command) => {
                replies[at] = run_session_command(&client, command, spec, &args);
                match client.with_connection(|_, connection| connection.session.database) {
                    Some(database) => client.database = database,
                    // The client is gone; the commands still belong to the database that it chose.
                    None if command == SessionCommand::Select => {
                        let databases = core.borrow().settings.databases;
                        let chosen = number::int32(&args.args()[1]).ok();
                        let chosen = chosen.and_then(|database| usize::try_from(database).ok());
                        if let Some(database) = chosen.filter(|database| *database < databases) {
                            client.database = database;
                        }
                    }
                    None => {}
                }
                script.add(client.database, spec, &args);
            }
            Handler::Node(command) => {
                run_phase(&client, &mut phase, &mut replies).await;
                replies[at] = node_commands::run(client.clone(), command, spec, args).await;
            }
            Handler::Container => unreachable!("a container is never queued"),
        }
    }
    run_phase(&client, &mut phase, &mut replies).await;
    script.tell(&client, shards).await;
    stopped.release_with(&core, &mut client.effects.borrow_mut());
    let mut all = client.reply(|reply| reply.array(replies.len()));
    replies.iter().for_each(|reply| all.extend_from_slice(reply));
    all
}

/// Runs the commands collected so far, on all their shards at the same time; their keyspace events are published
/// in the order of the commands.
async fn run_phase(client: &Client, phase: &mut Phase, replies: &mut [Vec<u8>]) {
    let context = client.context();
    let parts = std::mem::take(phase).into_iter().map(|(shard, commands)| {
        on_core(&client.core, shard, move |core| {
            core.start_timing();
            let mut results = Vec::with_capacity(commands.len());
            for (at, spec, args, database) in commands {
                let Handler::Keys(handler) = spec.handler else {
                    unreachable!("only commands on keys are collected");
                };
                let mut reply = Vec::new();
                let context = crate::execute::Context { database, ..context };
                let events = core.collect_key_events(|core| {
                    core.execute_admitted(spec, handler, &args.args(), context, None, &mut reply);
                });
                results.push((at, reply, events, core.shard.effects.take()));
            }
            results
        })
    });
    let mut all_events: Vec<(usize, Vec<KeyEvent>)> = Vec::new();
    let mut all_effects: Vec<(usize, Effects)> = Vec::new();
    for results in futures_util::future::join_all(parts).await {
        for (at, reply, events, effects) in results {
            replies[at] = reply;
            if !effects.is_empty() {
                all_effects.push((at, effects));
            }
            if !events.is_empty() {
                all_events.push((at, events));
            }
        }
    }
    all_effects.sort_by_key(|(at, _)| *at);
    all_effects.into_iter().for_each(|(_, effects)| client.add_effects(effects));
    if !all_events.is_empty() {
        all_events.sort_by_key(|(at, _)| *at);
        let mut core = client.core.borrow_mut();
        core.shard.events.list.extend(all_events.into_iter().flat_map(|(_, events)| events));
        core.publish_key_events();
    }
}

/// A command of the session, its reply cut out of the connection's output.
fn run_session_command(
    client: &Client,
    command: SessionCommand,
    spec: &'static Spec,
    args: &OwnedArgs,
) -> Vec<u8> {
    client
        .with_connection(|core, connection| {
            let output = std::mem::take(&mut connection.output);
            core.start_timing();
            core.session_command_timed(client.index, connection, command, spec, &args.args());
            std::mem::replace(&mut connection.output, output)
        })
        .unwrap_or_default()
}

impl Core {
    /// Ends the watch of `watcher` on this shard; whether nothing it watched had changed.
    pub fn end_watch(&mut self, watcher: Watcher, now: i64) -> bool {
        let (databases, hasher) = (&self.shard.databases, &self.shard.hasher);
        let clean = self.shard.watches.is_clean(watcher, |database, key| {
            databases[database]
                .get(&hasher.key(key))
                .and_then(|entry| entry.expire_at())
                .is_some_and(|at| now > at)
        });
        self.shard.watches.unwatch(watcher);
        clean
    }

    /// Forgets all that the connection watches, on whatever shard.
    pub fn unwatch(&mut self, connection: &mut Connection) {
        let shards = watched_shards(self, connection);
        connection.session.watched.clear();
        let watcher = Watcher(connection.id);
        for shard in shards.iter() {
            self.post(shard, move |core| core.shard.watches.unwatch(watcher));
        }
    }
}
