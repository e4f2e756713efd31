//! REPLICAOF, FAILOVER, WAIT, ROLE, and what saves: SAVE, BGSAVE, LASTSAVE.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::command::NodeCommand;
use ringfort_core::error::Error;
use ringfort_core::number;

use ringfort_replication::failover::REPLICAOF_REFUSED;

use crate::client::Client;
use crate::connection::Unblock;
use crate::replication::{self, NextAck, lock, next_ack};

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::Replicaof => replica_of(&client, args).await,
        NodeCommand::Failover => replication::failover(&client, args).await,
        NodeCommand::Wait => wait(&client, args).await,
        NodeCommand::Role => Ok(role(&client)),
        NodeCommand::Save => save(&client).await,
        NodeCommand::Bgsave => background_save(&client, args),
        NodeCommand::Lastsave => Ok(last_save(&client)),
        _ => unreachable!("not a command of replication"),
    }
}

/// REPLICAOF host port, REPLICAOF NO ONE.
async fn replica_of(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    if client.inside {
        return Err(Error::new("ERR REPLICAOF inside MULTI is not supported by this node"));
    }
    let args = args.args();
    let replication = Arc::clone(&client.core.borrow().shared.replication);
    if client.core.borrow().is_failing_over() {
        return Err(REPLICAOF_REFUSED);
    }
    if args.is(1, "no") && args.is(2, "one") {
        replication::become_primary(&client.core).await;
        crate::notice!("MASTER MODE enabled (user request)");
        return Ok(client.reply(|reply| reply.ok()));
    }
    if client.with_connection(|_, connection| connection.replica.is_some()) == Some(true) {
        return Err(Error::new("ERR Command is not valid when client is a replica."));
    }
    let port = number::int32(args.at(2)).ok().and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(Error::new("ERR Invalid master port"))?;
    let host = String::from_utf8_lossy(args.at(1)).into_owned();
    {
        let link = replication.link();
        if replication.is_replica() && link.host.eq_ignore_ascii_case(&host) && link.port == port {
            crate::notice!(
                "REPLICAOF would result into synchronization with the master we are already connected with. No operation performed."
            );
            return Ok(
                client.reply(|reply| reply.simple("OK Already connected to specified master"))
            );
        }
    }
    crate::notice!("REPLICAOF {host}:{port} enabled (user request)");
    replication::follow(&client.core, host, port, false).await;
    Ok(client.reply(|reply| reply.ok()))
}

/// WAIT numreplicas timeout.
async fn wait(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let core = &client.core;
    if core.borrow().shared.replication.is_replica() {
        return Err(Error::new(
            "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is \
             configured to be writable (which is not the default) writes to replicas are just local and are not \
             propagated.",
        ));
    }
    let wanted = number::integer(args.at(1))?;
    let timeout_ms = number::parse_integer(args.at(2))
        .ok_or(Error::new("ERR timeout is not an integer or out of range"))?;
    if timeout_ms < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    let wrote = client.with_connection(|_, connection| connection.wrote).unwrap_or(false);
    let (target, mut count) = {
        let mut core = core.borrow_mut();
        core.publish_effects();
        // All that this connection wrote was answered, so it is in the log.
        let target = if wrote { core.shared.replication.log.end() } else { 0 };
        (target, core.replicas_at(target))
    };
    if (count as i64) < wanted && !client.inside {
        let now_ms = ringfort_net::clock::monotonic_us() / 1000;
        let deadline_ms = (timeout_ms > 0).then(|| now_ms.saturating_add(timeout_ms as u64));
        core.borrow_mut().request_acks();
        loop {
            let acked = next_ack(core, deadline_ms);
            count = core.borrow().replicas_at(target);
            let call = acked.as_ref().map(NextAck::call);
            let ended = client.with_connection(|core, connection| {
                connection.blocked_on = call;
                let is_replica = core.shared.replication.is_replica();
                connection.close_after_reply |= is_replica;
                match connection.unblocked.take() {
                    Some(Unblock::Error) => Some(Err(Error::UNBLOCKED)),
                    Some(Unblock::Timeout) => Some(Ok(())),
                    Some(Unblock::RoleChanged) => Some(Err(Error::ROLE_CHANGED)),
                    None if is_replica => Some(Err(Error::ROLE_CHANGED)),
                    None => ((count as i64) >= wanted || connection.ended).then_some(Ok(())),
                }
            });
            // The client may be gone.
            match (ended.unwrap_or(Some(Ok(()))), acked) {
                (None, Some(acked)) => acked.arrives().await,
                (ended, _) => {
                    client.with_connection(|_, connection| connection.blocked_on = None);
                    ended.unwrap_or(Ok(()))?;
                    break;
                }
            }
        }
    }
    Ok(client.reply(|reply| reply.int(count as i64)))
}

fn role(client: &Client) -> Vec<u8> {
    let core = client.core.borrow();
    let replication = &core.shared.replication;
    let offset = replication.log.end() as i64;
    if replication.is_replica() {
        let link = replication.link();
        return client.reply(|reply| {
            reply.array(5);
            reply.text("slave");
            reply.text(&link.host);
            reply.int(i64::from(link.port));
            reply.text(link.state.word());
            reply.int(if link.is_up() { offset } else { -1 });
        });
    }
    let replicas = replication.online();
    client.reply(|reply| {
        reply.array(3);
        reply.text("master");
        reply.int(offset);
        reply.array(replicas.len());
        for replica in &replicas {
            reply.array(3);
            reply.text(&lock(&replica.address));
            reply.text(&replica.port.load(Relaxed).to_string());
            reply.text(&replica.ack.load(Relaxed).to_string());
        }
    })
}

const SAVE_UNDER_WAY: Error = Error::new("ERR Background save already in progress");

async fn save(client: &Client) -> Result<Vec<u8>, Error> {
    let saving = lock(&client.core.borrow().shared.replication.snapshot).saving_since_ms.is_some();
    if saving {
        return Err(SAVE_UNDER_WAY);
    }
    match replication::save(&client.core).await {
        Ok(()) => Ok(client.reply(|reply| reply.ok())),
        Err(error) => Err(Error::text(format!("ERR {error}"))),
    }
}

fn background_save(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let schedule = match args.len() {
        1 => false,
        2 if args.is(1, "schedule") => true,
        _ => return Err(Error::SYNTAX),
    };
    let mut core = client.core.borrow_mut();
    if lock(&core.shared.replication.snapshot).saving_since_ms.is_some() {
        return Err(SAVE_UNDER_WAY);
    }
    if client.inside || !core.start_save() {
        // A full sync uses the streamer: the save is next.
        if !schedule && !client.inside {
            return Err(Error::new(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to \
                 schedule a BGSAVE whenever possible.",
            ));
        }
        lock(&core.shared.replication.snapshot).scheduled = true;
        return Ok(client.reply(|reply| reply.simple("Background saving scheduled")));
    }
    Ok(client.reply(|reply| reply.simple("Background saving started")))
}

/// The time of the last save; before the first one as Redis the time of the start.
fn last_save(client: &Client) -> Vec<u8> {
    let core = client.core.borrow();
    let saved_s = lock(&core.shared.replication.snapshot).last_save_s;
    let started_s = core.shared.started_ms / 1000;
    client.reply(|reply| reply.int(if saved_s > 0 { saved_s } else { started_s }))
}
