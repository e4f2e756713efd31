//! Commands that other cores or the node's configuration take part in: each a task that ends in a reply.

mod client;
mod config;
mod debug;
mod info;
mod keyspace;
mod latency;
mod memory;
mod monitor;
mod pubsub;
mod replication;
mod shutdown;
mod slowlog;

use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::{NodeCommand, Spec};
use ringfort_core::error::Error;

pub use info::process;
pub use shutdown::Shutdown;

use crate::client::Client;
use crate::connection::Connection;
use crate::core::Core;
use crate::dispatch::Flow;

/// Starts the command of a connection.
pub fn start(
    core: &mut Core,
    index: u32,
    connection: &mut Connection,
    command: NodeCommand,
    spec: &'static Spec,
    args: &Args,
) -> Flow {
    let args = OwnedArgs::from(*args);
    core.start_task(index, connection, move |client| run(client, command, spec, args))
}

/// Runs the command, counts it, and gives its reply.
pub async fn run(
    client: Client,
    command: NodeCommand,
    spec: &'static Spec,
    args: OwnedArgs,
) -> Vec<u8> {
    let started = ringfort_net::Ticks::now();
    let id = client.id;
    let core = client.core.clone();
    let result = answer(client.clone(), command, spec, &args).await;
    let (reply, failed) = match result {
        Ok(reply) => (reply, false),
        Err(error) => {
            if client.caller.is_primary {
                let counters = &core.borrow().shared.replication.counters;
                counters.note_primary_error(spec, error.0.as_bytes());
            }
            (client.error(error), true)
        }
    };
    let mut core = core.borrow_mut();
    core.timed_until = started;
    core.count_command(spec, &args.args(), id, failed);
    reply
}

/// Who answers which command.
async fn answer(
    client: Client,
    command: NodeCommand,
    spec: &'static Spec,
    args: &OwnedArgs,
) -> Result<Vec<u8>, Error> {
    use NodeCommand::*;
    let _ = spec;
    match command {
        Dbsize | Keys | Scan | Randomkey | Flushdb | Flushall | Swapdb => {
            keyspace::run(client, command, args).await
        }
        ConfigGet | ConfigSet | ConfigResetstat | ConfigRewrite => {
            config::run(client, command, args).await
        }
        Info => info::run(client, args).await,
        MemoryStats | MemoryDoctor | MemoryMallocStats | MemoryPurge => {
            memory::run(client, command).await
        }
        SlowlogGet | SlowlogLen | SlowlogReset => slowlog::run(client, command, args).await,
        LatencyLatest | LatencyHistory | LatencyReset | LatencyGraph | LatencyDoctor
        | LatencyHistogram => latency::run(client, command, args).await,
        Shutdown => shutdown::shutdown(&client, args).await,
        Replicaof | Failover | Wait | Role | Save | Bgsave | Lastsave => {
            replication::run(client, command, args).await
        }
        ClientList | ClientKill | ClientPause | ClientUnpause | ClientUnblock => {
            client::run(client, command, args).await
        }
        Monitor => monitor::run(&client),
        Debug => debug::run(client, args).await,
        Subscribe | Unsubscribe | Psubscribe | Punsubscribe | Ssubscribe | Sunsubscribe
        | Publish | Spublish | PubsubChannels | PubsubNumsub | PubsubNumpat
        | PubsubShardchannels | PubsubShardnumsub => pubsub::run(client, command, args).await,
    }
}
