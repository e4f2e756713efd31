//! CONFIG GET, SET, RESETSTAT, REWRITE.

use ringfort_core::args::OwnedArgs;
use ringfort_core::command::NodeCommand;
use ringfort_core::error::Error;

use crate::client::Client;
use crate::config::{Change, SetError, SetRights};
use crate::startup;
use crate::tasks::on_all_cores;

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::ConfigGet => Ok(get(&client, args)),
        NodeCommand::ConfigSet => set(&client, args).await,
        NodeCommand::ConfigResetstat => {
            on_all_cores(&client.core, |core| core.reset_statistics()).await;
            Ok(client.reply(|reply| reply.ok()))
        }
        NodeCommand::ConfigRewrite => {
            client.core.borrow().config.rewrite().map_err(|error| Error::text(error.reply()))?;
            crate::notice!("CONFIG REWRITE executed with success.");
            Ok(client.reply(|reply| reply.ok()))
        }
        _ => unreachable!("not a CONFIG command"),
    }
}

fn get(client: &Client, args: &OwnedArgs) -> Vec<u8> {
    let patterns: Vec<&[u8]> = args.args().from(2).iter().collect();
    let found = client.core.borrow().config.get(&patterns);
    client.reply(|reply| {
        reply.map(found.len());
        for (name, value) in &found {
            reply.bulk(name);
            reply.bulk(value);
        }
    })
}

/// Either all pairs are set, on every core, before the answer; or none is.
async fn set(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let words: Vec<&[u8]> = args.args().from(2).iter().collect();
    if words.len() % 2 != 0 {
        return Err(Error::SYNTAX);
    }
    let pairs: Vec<(&[u8], &[u8])> = words.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    let rights = SetRights {
        local_client: client
            .with_connection(|_, connection| connection.is_local())
            .unwrap_or(false),
        loading: false,
    };
    let change = client.core.borrow().config.prepare(&pairs, rights).map_err(refused)?;
    apply(&change).map_err(refused)?;
    let lowered = change.touches("maxmemory");
    let config = change.config;
    on_all_cores(&client.core, move |core| core.configure(config.clone())).await;
    client.core.borrow().update_restrictions();
    if lowered {
        note_low_memory(client);
    }
    Ok(client.reply(|reply| reply.ok()))
}

/// The cores begin to evict by themselves; whoever made the limit so low should know.
fn note_low_memory(client: &Client) {
    let core = client.core.borrow();
    let (limit, used) = (core.settings.maxmemory, core.memory_bytes());
    if limit > 0 && used > limit {
        crate::warning!(
            "The new maxmemory ({limit}) is less than what is in use ({used}): keys will be evicted, or writes \
             refused, as maxmemory-policy says."
        );
    }
}

fn refused(error: SetError) -> Error {
    Error::text(String::from_utf8_lossy(&error.reply()).into_owned())
}

/// What has to be done outside the cores; an error leaves everything as it was.
fn apply(change: &Change) -> Result<(), SetError> {
    let failed = |name: &str, reason: String| {
        let directive = change
            .changed
            .iter()
            .find(|directive| directive.name == name)
            .expect("asked about a directive that changes");
        SetError::could_not_apply(directive, reason)
    };
    for name in ["port", "bind"] {
        if change.touches(name) {
            return Err(failed(
                name,
                "Unable to listen on this port. Check server logs.".to_owned(),
            ));
        }
    }
    if change.touches("maxclients") {
        let wanted = change.config.clients.maxclients;
        let possible = startup::maxclients_possible(wanted, crate::start::FILES_RESERVED);
        if !possible.is_ok_and(|possible| possible >= wanted) {
            return Err(failed(
                "maxclients",
                format!(
                    "The operating system is not able to handle the specified number of clients, try with {}",
                    possible_clients(wanted)
                ),
            ));
        }
    }
    if change.touches("dir") {
        startup::enter_directory(&change.config)
            .map_err(|error| failed("dir", crate::config::os_error_text(&error)))?;
    }
    if change.touches("loglevel") || change.touches("logfile") {
        startup::configure_log(&change.config);
    }
    Ok(())
}

fn possible_clients(wanted: u32) -> u32 {
    startup::maxclients_possible(wanted, crate::start::FILES_RESERVED).unwrap_or(0)
}
