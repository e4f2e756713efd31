//! The commands of publish and subscribe that need other cores.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::command::NodeCommand;
use ringfort_core::error::Error;
use ringfort_core::glob::{self, Case};
use ringfort_core::pubsub::{Kind, Subscriber};
use ringfort_core::resp::Reply;

use crate::client::Client;
use crate::connection::Connection;
use crate::core::Core;
use crate::pubsub::{by_home, home_of, homes_of, published_kind, subscriber};
use crate::tasks::{CoreHandle, on_all_cores, on_core};

/// How long a publisher waits before it looks again whether messages still pile up at the channel's home.
const BACKLOG_WAIT_MS: u64 = 1;

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    use NodeCommand::*;
    Ok(match command {
        Subscribe => change(client, Kind::Channel, Change::Join, args).await,
        Psubscribe => change(client, Kind::Pattern, Change::Join, args).await,
        Ssubscribe => change(client, Kind::ShardChannel, Change::Join, args).await,
        Unsubscribe => change(client, Kind::Channel, Change::Leave, args).await,
        Punsubscribe => change(client, Kind::Pattern, Change::Leave, args).await,
        Sunsubscribe => change(client, Kind::ShardChannel, Change::Leave, args).await,
        Publish | Spublish => publish(client, command, args).await,
        PubsubChannels => channels(client, Kind::Channel, args).await?,
        PubsubShardchannels => channels(client, Kind::ShardChannel, args).await?,
        PubsubNumsub => listeners(client, Kind::Channel, args).await,
        PubsubShardnumsub => listeners(client, Kind::ShardChannel, args).await,
        PubsubNumpat => {
            let patterns = client.core.borrow().pubsub.figures().patterns;
            client.reply(|reply| reply.int(patterns as i64))
        }
        _ => unreachable!("not a command of publish and subscribe"),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Join,
    Leave,
}

/// SUBSCRIBE, UNSUBSCRIBE and their siblings. Confirmed when every home has taken the change; what is published
/// meanwhile waits behind the confirmation.
async fn change(client: Client, kind: Kind, change: Change, args: &OwnedArgs) -> Vec<u8> {
    let started = client.with_connection(|core, connection| {
        connection.held_pushes.get_or_insert_default();
        let subscriber = subscriber(connection);
        let (confirmation, changed) = register(
            core,
            connection,
            subscriber,
            kind,
            change,
            &names(core, subscriber, kind, args),
        );
        (subscriber, confirmation, by_home(kind, changed, core.cores))
    });
    // The client may be gone already.
    let Some((subscriber, confirmation, homes)) = started else {
        return Vec::new();
    };
    let told = homes
        .into_iter()
        .map(|(home, names)| tell_home(&client.core, home, subscriber, kind, change, names));
    futures_util::future::join_all(told).await;
    if client.inside {
        return confirmation;
    }
    // Confirmations are pushes in all but form: CLIENT REPLY OFF does not stop them.
    client.with_connection(|_, connection| {
        connection.reply_buffer().extend_from_slice(&confirmation);
        connection.release_pushes();
    });
    Vec::new()
}

/// The names given, or without any all that the client listens to.
fn names(core: &Core, subscriber: Subscriber, kind: Kind, args: &OwnedArgs) -> Vec<Box<[u8]>> {
    let args = args.args();
    if args.len() > 1 {
        return args.from(1).iter().map(Into::into).collect();
    }
    let own = core.pubsub.subscribers.names_of(subscriber, kind);
    own.iter().map(|name| (**name).into()).collect()
}

/// Notes the changes on this core; returns the confirmations and the names that changed anything.
fn register(
    core: &mut Core,
    connection: &mut Connection,
    subscriber: Subscriber,
    kind: Kind,
    change: Change,
    names: &[Box<[u8]>],
) -> (Vec<u8>, Vec<Box<[u8]>>) {
    let mut confirmation = Vec::new();
    let mut reply = Reply::new(&mut confirmation, connection.session.protocol);
    let mut changed = Vec::new();
    let mut confirm = |connection: &Connection, name: Option<&[u8]>| {
        let session = &connection.session;
        reply.push(3);
        reply.text(word(kind, change));
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.int(match kind {
            Kind::ShardChannel => session.shard_subscriptions,
            Kind::Channel | Kind::Pattern => session.subscriptions,
        } as i64);
    };
    if names.is_empty() {
        confirm(connection, None);
    }
    for name in names {
        let subscribers = &mut core.pubsub.subscribers;
        let changes = match change {
            Change::Join => {
                subscribers.join(subscriber, kind, name, homes_of(kind, name, core.cores))
            }
            Change::Leave => subscribers.leave(subscriber, kind, name),
        };
        if changes {
            changed.push(name.clone());
            count(core, connection, kind, change);
        }
        confirm(connection, Some(name));
    }
    (confirmation, changed)
}

fn word(kind: Kind, change: Change) -> &'static str {
    match (kind, change) {
        (Kind::Channel, Change::Join) => "subscribe",
        (Kind::Channel, Change::Leave) => "unsubscribe",
        (Kind::Pattern, Change::Join) => "psubscribe",
        (Kind::Pattern, Change::Leave) => "punsubscribe",
        (Kind::ShardChannel, Change::Join) => "ssubscribe",
        (Kind::ShardChannel, Change::Leave) => "sunsubscribe",
    }
}

fn count(core: &Core, connection: &mut Connection, kind: Kind, change: Change) {
    let session = &mut connection.session;
    let apply = |count: &mut usize| match change {
        Change::Join => *count += 1,
        Change::Leave => *count -= 1,
    };
    if kind == Kind::ShardChannel {
        apply(&mut session.shard_subscriptions);
        return;
    }
    apply(&mut session.subscriptions);
    if kind == Kind::Pattern {
        apply(&mut session.patterns);
    }
    match change {
        Change::Join => core.shared.subscriptions.fetch_add(1, Relaxed),
        Change::Leave => core.shared.subscriptions.fetch_sub(1, Relaxed),
    };
}

/// Tells one home of the change; done when its acknowledgement has been noted.
async fn tell_home(
    core: &CoreHandle,
    home: usize,
    subscriber: Subscriber,
    kind: Kind,
    change: Change,
    names: Arc<Vec<Box<[u8]>>>,
) {
    let answer = {
        let mut core = core.borrow_mut();
        let (number, answer) = core.calls.expect();
        let from = core.id;
        core.post(home, move |core| {
            for name in names.iter() {
                match change {
                    Change::Join => core.pubsub.directory.add(kind, name, from),
                    Change::Leave => core.pubsub.directory.remove(kind, name, from),
                }
            }
            // Noted while the message is served and not when the task goes on: what the home publishes next
            // comes right behind it.
            core.post(from, move |core| {
                let (cores, subscribers) = (core.cores, &mut core.pubsub.subscribers);
                for name in names.iter() {
                    match change {
                        Change::Join => subscribers.hear(subscriber, kind, name, home),
                        Change::Leave => {
                            let homes = homes_of(kind, name, cores);
                            subscribers.unhear(subscriber, kind, name, home, homes);
                        }
                    }
                }
                core.calls.finish(number, Box::new(()));
            });
        });
        answer
    };
    answer.await;
}

/// PUBLISH where the channel's home is another core, or in a transaction.
async fn publish(client: Client, command: NodeCommand, args: &OwnedArgs) -> Vec<u8> {
    let kind = published_kind(command);
    let home = home_of(args.args().at(1), client.core.borrow().cores);
    let args = Arc::new(args.clone());
    loop {
        let (shared, inside) = (Arc::clone(&args), client.inside);
        let receivers = on_core(&client.core, home, move |core| {
            let args = shared.args();
            (!core.is_publishing_backlogged()).then(|| match inside {
                false => core.publish_command(kind, &args),
                true => core.publish(kind, &args[1], &args[2]),
            })
        })
        .await;
        match receivers {
            Some(receivers) => {
                if inside {
                    client.add_effect(&args.args());
                }
                return client.reply(|reply| reply.int(receivers as i64));
            }
            None => {
                glommio::timer::sleep(std::time::Duration::from_millis(BACKLOG_WAIT_MS)).await;
            }
        }
    }
}

/// PUBSUB CHANNELS and SHARDCHANNELS: each home lists its own.
async fn channels(client: Client, kind: Kind, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    if args.args().len() > 3 {
        return Err(wrong_subcommand(args));
    }
    let pattern: Option<Box<[u8]>> = args.args().get(2).map(Into::into);
    let parts = on_all_cores(&client.core, move |core| {
        let names = core.pubsub.directory.names(kind);
        let wanted = names.filter(|name| {
            let matches = |pattern: &[u8]| glob::matches(pattern, name, Case::Sensitive);
            pattern.as_deref().is_none_or(matches)
        });
        wanted.map(Into::into).collect::<Vec<Box<[u8]>>>()
    })
    .await;
    Ok(client.reply(|reply| {
        reply.array(parts.iter().map(Vec::len).sum());
        parts.iter().flatten().for_each(|name| reply.bulk(name));
    }))
}

fn wrong_subcommand(args: &OwnedArgs) -> Error {
    let word = String::from_utf8_lossy(args.args().at(1)).into_owned();
    Error::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try PUBSUB HELP."
    ))
}

/// PUBSUB NUMSUB and SHARDNUMSUB: each home knows its own.
async fn listeners(client: Client, kind: Kind, args: &OwnedArgs) -> Vec<u8> {
    let names = Arc::new(args.clone());
    let counts = on_all_cores(&client.core, move |core| {
        let names = names.args().from(2);
        names.iter().map(|name| core.pubsub.directory.listeners(kind, name)).collect::<Vec<_>>()
    })
    .await;
    client.reply(|reply| {
        let names = args.args().from(2);
        reply.array(names.len() * 2);
        for (at, name) in names.iter().enumerate() {
            reply.bulk(name);
            reply.int(counts.iter().map(|counts| counts[at]).sum::<usize>() as i64);
        }
    })
}
