//! Commands whose keys lie on several shards: atomic, with all of those stopped.
//!
//! Where a command is the sum of its parts (MSET, MGET, DEL) each shard runs its own. Any other runs on a scratch
//! shard, to which the entries of its keys are moved by message and from which they go back: no core touches
//! another's memory.

use std::collections::{BTreeMap, HashMap};

use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::{self, Flags, Handler, Spec, Split};
use ringfort_core::commands;
use ringfort_core::cx::{Cx, Wait};
use ringfort_core::effect::Effects;
use ringfort_core::notify::KeyEvent;
use ringfort_core::resp::Reply;
use ringfort_core::sequencer::ShardSet;
use ringfort_core::shard::Shard;
use ringfort_core::slot::slot_of;
use ringfort_core::transfer::{self, Carried, Outcome};

use crate::client::Client;
use crate::connection::Connection;
use crate::core::Core;
use crate::dispatch::Flow;
use crate::execute::Context;
use crate::monitor;
use crate::tasks::{CoreHandle, on_core};

/// Runs a command of a connection whose keys are on `shards`, two or more.
pub fn start(
    core: &mut Core,
    index: u32,
    connection: &mut Connection,
    spec: &'static Spec,
    args: &Args,
    shards: ShardSet,
) -> Flow {
    let args = OwnedArgs::from(*args);
    core.stats.transactions += 1;
    let label = core.monitor_label(connection);
    core.start_task(index, connection, move |mut client| async move {
        let stopped = client.enter(shards).await;
        if let Err(error) = client.check_role(spec.flags.has(Flags::WRITE)) {
            client.leave(stopped);
            return client.error(error);
        }
        // Others ran while it waited: its time must not be before theirs.
        client.now = client.core.borrow().now.wall_ms;
        if let Some(label) = label {
            let mut line = Vec::new();
            monitor::write_line(&mut line, client.database, &label, &args.args(), spec);
            monitor::feed_stopped(&client.core, shards, &line).await;
        }
        let reply = run_stopped(&client, spec, &args, shards).await;
        client.leave(stopped);
        reply
    })
}

/// Runs the command with all its shards stopped, and counts it.
pub async fn run_stopped(
    client: &Client,
    spec: &'static Spec,
    args: &OwnedArgs,
    shards: ShardSet,
) -> Vec<u8> {
    let started = ringfort_net::Ticks::now();
    let reply = run_split(client, spec, args, shards).await;
    let mut core = client.core.borrow_mut();
    core.timed_until = started;
    let error = reply.strip_prefix(b"-").and_then(|text| text.strip_suffix(b"\r\n"));
    if let Some(text) = error {
        core.command_stats.error(text);
        if client.caller.is_primary {
            core.shared.replication.counters.note_primary_error(spec, text);
        }
    }
    core.count_command(spec, &args.args(), client.id, error.is_some());
    reply
}

async fn run_split(
    client: &Client,
    spec: &'static Spec,
    args: &OwnedArgs,
    shards: ShardSet,
) -> Vec<u8> {
    match spec.split {
        Split::Sum => run_sum(client, spec, args).await,
        Split::Elements => run_elements(client, spec, args).await,
        Split::Ok => run_pairs(client, spec, args).await,
        Split::Gather => {
            let mut gathered = run_gathered(client, spec, args, shards).await;
            if let Some((wait, _)) = gathered.wait {
                // Nobody waits here: those that may, come another way.
                wait.timeout_reply.write(&mut Reply::new(&mut gathered.reply, client.protocol));
            }
            gathered.reply
        }
    }
}

/// The positions of a command's keys, by the shard that owns them.
fn keys_by_shard(core: &CoreHandle, spec: &Spec, args: &OwnedArgs) -> BTreeMap<usize, Vec<usize>> {
    let core = core.borrow();
    let mut by_shard: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for position in command::keys::keys_of(spec, &args.args()) {
        let shard = core.shard_of(slot_of(args.args().at(position)));
        by_shard.entry(shard).or_default().push(position);
    }
    by_shard
}

/// What a shard's part of a command brought about beside its reply.
type Done = (Vec<KeyEvent>, Effects);

/// Each shard counts its own keys.
async fn run_sum(client: &Client, spec: &'static Spec, args: &OwnedArgs) -> Vec<u8> {
    let context = client.context();
    let parts = keys_by_shard(&client.core, spec, args).into_iter().map(|(shard, positions)| {
        let mut own = OwnedArgs::new([args.args().at(0)]);
        positions.iter().for_each(|at| own.push(args.args().at(*at)));
        on_core(&client.core, shard, move |core| {
            let mut reply = Vec::new();
            let events = core.execute_part(spec, &own.args(), context, &mut reply);
            (reply, (events, core.shard.effects.take()))
        })
    });
    let (replies, done): (Vec<Vec<u8>>, Vec<Done>) =
        futures_util::future::join_all(parts).await.into_iter().unzip();
    note_done(client, spec, args, done);
    let mut sum = 0;
    for reply in replies {
        match integer_reply(&reply) {
            Some(count) => sum += count,
            None => return reply,
        }
    }
    client.reply(|reply| reply.int(sum))
}

/// Takes over the effects of all shards' parts, and publishes their keyspace events as if the command had gone from
/// key to key.
fn note_done(client: &Client, spec: &Spec, args: &OwnedArgs, parts: Vec<Done>) {
    let mut events: Vec<KeyEvent> = Vec::new();
    for (more, effects) in parts {
        events.extend(more);
        client.add_effects(effects);
    }
    if events.is_empty() {
        return;
    }
    let mut positions: HashMap<&[u8], usize> = HashMap::new();
    for at in command::keys::keys_of(spec, &args.args()) {
        positions.entry(args.args().at(at)).or_insert(at);
    }
    // A key's events stay in their order: the sort is stable.
    events.sort_by_key(|event| positions.get(&*event.key).copied());
    let mut core = client.core.borrow_mut();
    core.shard.events.list.append(&mut events);
    core.publish_key_events();
}

fn integer_reply(reply: &[u8]) -> Option<i64> {
    ringfort_core::number::parse_integer(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?)
}

/// Each shard gives the elements of its own keys.
async fn run_elements(client: &Client, spec: &'static Spec, args: &OwnedArgs) -> Vec<u8> {
    let context = client.context();
    let keys = args.args().len() - 1;
    let parts = keys_by_shard(&client.core, spec, args).into_iter().map(|(shard, positions)| {
        let keys: Vec<_> = positions
            .into_iter()
            .map(|at| (at, OwnedArgs::new([args.args().at(0), args.args().at(at)])))
            .collect();
        on_core(&client.core, shard, move |core| {
            let mut elements = Vec::with_capacity(keys.len());
            let mut events = Vec::new();
            for (at, own) in keys {
                let mut reply = Vec::new();
                events.extend(core.execute_part(spec, &own.args(), context, &mut reply));
                // The reply is an array of one: its head goes.
                elements.push((at, reply.split_off(b"*1\r\n".len())));
            }
            (elements, (events, core.shard.effects.take()))
        })
    });
    let (parts, done): (Vec<_>, Vec<Done>) =
        futures_util::future::join_all(parts).await.into_iter().unzip();
    note_done(client, spec, args, done);
    let mut elements = vec![Vec::new(); keys];
    for part in parts {
        for (at, element) in part {
            elements[at - 1] = element;
        }
    }
    let mut reply = client.reply(|reply| reply.array(keys));
    elements.iter().for_each(|element| reply.extend_from_slice(element));
    reply
}

/// Each shard sets its own pairs of key and value.
async fn run_pairs(client: &Client, spec: &'static Spec, args: &OwnedArgs) -> Vec<u8> {
    let context = client.context();
    if args.args().len() % 2 == 0 {
        let error = ringfort_core::error::Error::arity(spec.name);
        return client.reply(|reply| reply.error(&error));
    }
    let parts = keys_by_shard(&client.core, spec, args).into_iter().map(|(shard, positions)| {
        let mut own = OwnedArgs::new([args.args().at(0)]);
        for at in positions {
            own.push(args.args().at(at));
            own.push(args.args().at(at + 1));
        }
        on_core(&client.core, shard, move |core| {
            let events = core.execute_part(spec, &own.args(), context, &mut Vec::new());
            (events, core.shard.effects.take())
        })
    });
    let done = futures_util::future::join_all(parts).await;
    note_done(client, spec, args, done);
    client.reply(|reply| reply.ok())
}

/// What a command came to whose keys were gathered.
pub struct Gathered {
    pub reply: Vec<u8>,
    /// There was nothing for it: how it waits, and the command as it waits. It has not replied then.
    pub wait: Option<(Wait, OwnedArgs)>,
}

/// The entries of all keys come here, the command runs, they go back.
pub async fn run_gathered(
    client: &Client,
    spec: &'static Spec,
    args: &OwnedArgs,
    shards: ShardSet,
) -> Gathered {
    let core = &client.core;
    let databases = databases_of(client, spec, args);
    let mut scratch = transfer::scratch(&mut core.borrow_mut().shard);
    let keys = command::keys::keys_of(spec, &args.args()).map(|at| args.args().at(at).into());
    let mut places = gather(client, keys.collect(), &databases, &mut scratch).await;
    if commands::has_keys_beside_args(spec, &args.args()) {
        // All shards are stopped for such a command.
        let named = commands::keys_beside_args(
            spec,
            &mut client.context().keys(&mut scratch, None),
            &args.args(),
        );
        places.extend(gather(client, named, &databases, &mut scratch).await);
    }

    let (reply, wait, parts, outcome) = {
        let mut reply = Vec::new();
        let Handler::Keys(handler) = spec.handler else {
            unreachable!("only commands on keys have shards");
        };
        let wait = run_on(&mut scratch, handler, &args.args(), client.context(), &mut reply);
        let wait = wait.map(|wait| {
            let mut keys = client.context().keys(&mut scratch, None);
            (wait, commands::settled_args(spec, &mut keys, &args.args()))
        });
        let parts: Vec<(usize, Vec<Carried>)> = places
            .into_iter()
            .map(|(shard, places)| {
                let carried = places
                    .into_iter()
                    .map(|(database, key)| transfer::extract(&mut scratch, database, &key))
                    .collect();
                (shard, carried)
            })
            .collect();
        (reply, wait, parts, Outcome::take(&mut scratch))
    };
    let touched = outcome.touched.clone();
    let back = parts.into_iter().map(|(shard, carried)| {
        let touched = touched.clone();
        on_core(core, shard, move |core| {
            carried.into_iter().for_each(|one| transfer::install(&mut core.shard, one));
            transfer::spoil_watches(&mut core.shard, &touched);
        })
    });
    futures_util::future::join_all(back).await;
    debug_assert!(!shards.is_empty());
    let mut core = core.borrow_mut();
    let mut outcome = outcome;
    client.add_effects(std::mem::take(&mut outcome.effects));
    transfer::absorb(&mut core.shard, outcome);
    core.publish_key_events();
    Gathered { reply, wait }
}

/// The database and name of each key that was asked of a shard, to send the entries home by.
type Places = Vec<(usize, Vec<(usize, Box<[u8]>)>)>;

/// Moves the entries of keys to a scratch shard.
async fn gather(
    client: &Client,
    mut keys: Vec<Box<[u8]>>,
    databases: &[usize],
    scratch: &mut Shard,
) -> Places {
    let core = &client.core;
    keys.sort();
    keys.dedup();
    let mut by_shard: BTreeMap<usize, Vec<Box<[u8]>>> = BTreeMap::new();
    for key in keys {
        let shard = core.borrow().shard_of(slot_of(&key));
        by_shard.entry(shard).or_default().push(key);
    }
    let parts = by_shard.into_iter().map(|(shard, keys)| {
        let databases = databases.to_vec();
        on_core(core, shard, move |core| {
            let mut carried: Vec<Carried> = Vec::new();
            for &database in &databases {
                for key in &keys {
                    carried.push(transfer::extract(&mut core.shard, database, key));
                }
            }
            (shard, carried)
        })
    });
    let parts: Vec<(usize, Vec<Carried>)> = futures_util::future::join_all(parts).await;
    let install = |(shard, carried): (usize, Vec<Carried>)| {
        let places = carried.iter().map(|one| (one.database, one.key.clone())).collect();
        carried.into_iter().for_each(|one| transfer::install(scratch, one));
        (shard, places)
    };
    parts.into_iter().map(install).collect()
}

/// The databases in which a command's keys may change: COPY … DB names a second one, the last one
/// named.
fn databases_of(client: &Client, spec: &Spec, args: &OwnedArgs) -> Vec<usize> {
    let mut databases = vec![client.database];
    let args = args.args();
    if spec.name == "copy"
        && let Some(at) = (3..args.len()).rfind(|at| args.is(*at, "db"))
        && let Some(database) = args.get(at + 1).and_then(ringfort_core::number::parse_integer)
        && let Ok(database) = usize::try_from(database)
        && database < client.core.borrow().settings.databases
        && database != client.database
    {
        databases.push(database);
    }
    databases
}

/// Runs a command on a shard. `Some`: it would wait for its keys, and has not replied.
fn run_on(
    shard: &mut Shard,
    handler: ringfort_core::command::spec::KeysHandler,
    args: &Args,
    context: Context,
    out: &mut Vec<u8>,
) -> Option<Wait> {
    let keys = context.keys(shard, None);
    let mut cx = Cx::new(keys, Reply::new(out, context.protocol));
    if let Err(error) = handler(&mut cx, args) {
        cx.reply.error(&error);
    }
    cx.wait
}

impl Core {
    /// One shard's part of a command: runs uncounted, the whole is counted once. Returns its keyspace events.
    fn execute_part(
        &mut self,
        spec: &'static Spec,
        args: &Args,
        context: Context,
        out: &mut Vec<u8>,
    ) -> Vec<KeyEvent> {
        let Handler::Keys(handler) = spec.handler else {
            unreachable!("only commands on keys have parts");
        };
        run_on(&mut self.shard, handler, args, context, out);
        std::mem::take(&mut self.shard.events.list)
    }
}
