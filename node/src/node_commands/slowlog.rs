//! SLOWLOG GET, LEN, RESET: the cores' logs as one.

use ringfort_core::args::OwnedArgs;
use ringfort_core::command::NodeCommand;
use ringfort_core::error::Error;
use ringfort_core::number;

use crate::client::Client;
use crate::core::Core;
use crate::slow::SlowEntry;
use crate::tasks::on_all_cores;

/// Entries given where the client does not say how many.
const COUNT_DEFAULT: usize = 10;

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::SlowlogGet => get(&client, args).await,
        NodeCommand::SlowlogLen => {
            let entries = entries(&client).await;
            Ok(client.reply(|reply| reply.int(entries.len() as i64)))
        }
        NodeCommand::SlowlogReset => {
            on_all_cores(&client.core, |core: &mut Core| core.slow.entries.clear()).await;
            Ok(client.reply(|reply| reply.ok()))
        }
        _ => unreachable!("not a SLOWLOG command"),
    }
}

async fn get(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    if args.args().len() > 3 {
        let word = String::from_utf8_lossy(args.args().at(1));
        return Err(Error::text(format!(
            "ERR unknown subcommand or wrong number of arguments for '{word}'. Try SLOWLOG HELP."
        )));
    }
    let count = match args.args().get(2) {
        None => COUNT_DEFAULT,
        Some(count) => match number::parse_integer(count) {
            Some(-1) => usize::MAX,
            Some(count @ 0..) => count as usize,
            _ => return Err(Error::new("ERR count should be greater than or equal to -1")),
        },
    };
    let mut entries = entries(client).await;
    entries.truncate(count);
    Ok(client.reply(|reply| {
        reply.array(entries.len());
        for entry in &entries {
            reply.array(6);
            reply.int(entry.id as i64);
            reply.int(entry.at_us / 1_000_000);
            reply.int(entry.took_us as i64);
            reply.array(entry.args.len());
            entry.args.iter().for_each(|arg| reply.bulk(arg));
            reply.text(&entry.peer);
            reply.text(&entry.name);
        }
    }))
}

/// The newest entries of all cores, newest first, with what is known of their clients.
async fn entries(client: &Client) -> Vec<SlowEntry> {
    let max = client.core.borrow().settings.slowlog_max;
    let logs = on_all_cores(&client.core, |core: &mut Core| core.slow.entries.clone()).await;
    let mut entries: Vec<SlowEntry> = logs.into_iter().flatten().collect();
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.id));
    entries.truncate(max);
    // The address of another core's client follows its entry by some microseconds: here it did not yet.
    let unknown: Vec<u64> =
        entries.iter().filter(|entry| entry.peer.is_empty()).map(|entry| entry.client).collect();
    if !unknown.is_empty() {
        let known = on_all_cores(&client.core, move |core: &mut Core| {
            let addresses = unknown.iter().filter_map(|id| {
                let connection = core.client(*id)?;
                Some((*id, connection.peer.clone(), connection.session.name.clone()))
            });
            addresses.collect::<Vec<_>>()
        })
        .await;
        for (id, peer, name) in known.into_iter().flatten() {
            for entry in entries.iter_mut().filter(|entry| entry.client == id) {
                if entry.peer.is_empty() {
                    (entry.peer, entry.name) = (peer.clone(), name.clone());
                }
            }
        }
    }
    entries
}
