//! Commands on whole databases: DBSIZE, KEYS, SCAN, RANDOMKEY, FLUSHDB, FLUSHALL, SWAPDB.

use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::NodeCommand;
use ringfort_core::error::Error;
use ringfort_core::flush;
use ringfort_core::number;
use ringfort_core::scan::{self, Progress};
use ringfort_core::sequencer::ShardSet;
use ringfort_core::slot::{BLOCK_SLOTS, SLOTS};
use ringfort_core::store::{Cursor, Detached};

use crate::client::Client;
use crate::core::Core;
use crate::tasks::{on_all_cores, on_core};
use crate::transaction::on_shard;

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::Dbsize => dbsize(&client).await,
        NodeCommand::Keys => keys(&client, args).await,
        NodeCommand::Scan => scan(&client, args).await,
        NodeCommand::Randomkey => random_key(&client).await,
        NodeCommand::Flushdb => flush(&client, args, Some(client.database)).await,
        NodeCommand::Flushall => flush(&client, args, None).await,
        NodeCommand::Swapdb => swap_databases(&client, args).await,
        _ => unreachable!("not a command on databases"),
    }
}

fn all(client: &Client) -> ShardSet {
    ShardSet::all(client.core.borrow().cores)
}

async fn dbsize(client: &Client) -> Result<Vec<u8>, Error> {
    let database = client.database;
    let stopped = client.enter(all(client)).await;
    let sizes =
        on_all_cores(&client.core, move |core| scan::size_part(&core.shard, database)).await;
    client.leave(stopped);
    Ok(client.reply(|reply| reply.int(sizes.iter().sum::<usize>() as i64)))
}

async fn keys(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let (database, now) = (client.database, client.now);
    let pattern: Box<[u8]> = args.args().at(1).into();
    let stopped = client.enter(all(client)).await;
    let parts = on_all_cores(&client.core, move |core| {
        let mut found: Vec<Box<[u8]>> = Vec::new();
        scan::keys_part(&core.shard, database, now, &pattern, |key| found.push(key.into()));
        found
    })
    .await;
    client.leave(stopped);
    Ok(client.reply(|reply| {
        reply.array(parts.iter().map(Vec::len).sum());
        parts.iter().flatten().for_each(|key| reply.bulk(key));
    }))
}

/// SCAN goes from slot to slot, and so from shard to shard, until enough was looked at.
async fn scan(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let options = scan::ScanOptions::parse(&args.args())?;
    let (database, now) = (client.database, client.now);
    let mut progress = Progress {
        cursor: Cursor::from_number(options.cursor),
        budget: options.count,
        found: Vec::new(),
    };
    while progress.budget > 0
        && let Some(slot) = progress.cursor.slot()
    {
        let (shard, cores) = {
            let core = client.core.borrow();
            (core.shard_of(slot), core.cores)
        };
        // One shard owns everything; of several, each a block of slots at a time.
        let slots = if cores == 1 {
            0..SLOTS
        } else {
            slot.block() * BLOCK_SLOTS..(slot.block() + 1) * BLOCK_SLOTS
        };
        let filter = options.filter.clone();
        let part = move |core: &mut Core| {
            scan::scan_part(&mut core.shard, database, now, slots, &filter, &mut progress);
            progress
        };
        progress = if client.inside {
            let part = |core: &mut Core| (part(core), core.shard.effects.take());
            let (progress, effects) = on_core(&client.core, shard, part).await;
            client.add_effects(effects);
            progress
        } else {
            on_shard(&client.core, shard, part).await
        };
    }
    let (cursor, found) = (progress.cursor, progress.found);
    let number = if cursor == Cursor::END { 0 } else { cursor.number() };
    Ok(client.reply(|reply| {
        reply.array(2);
        reply.text(&number.to_string());
        reply.array(found.len());
        found.iter().for_each(|key| reply.bulk(key));
    }))
}

/// A shard is drawn by how many keys it has, then a key of it.
async fn random_key(client: &Client) -> Result<Vec<u8>, Error> {
    let (database, now) = (client.database, client.now);
    let stopped = client.enter(all(client)).await;
    let sizes =
        on_all_cores(&client.core, move |core| scan::size_part(&core.shard, database)).await;
    let total: usize = sizes.iter().sum();
    let mut found = None;
    if total > 0 {
        let drawn = client.core.borrow_mut().shard.next_random() as usize % total;
        let mut behind = drawn;
        let first = sizes
            .iter()
            .position(|size| match behind.checked_sub(*size) {
                Some(rest) => {
                    behind = rest;
                    false
                }
                None => true,
            })
            .unwrap_or(0);
        // All keys of the drawn shard may be expired: then the next one is asked.
        for step in 0..sizes.len() {
            let shard = (first + step) % sizes.len();
            let (key, effects) = on_core(&client.core, shard, move |core| {
                let key = scan::random_key_part(&mut core.shard, database, now);
                (key, core.shard.effects.take())
            })
            .await;
            client.add_effects(effects);
            found = key;
            if found.is_some() {
                break;
            }
        }
    }
    client.leave(stopped);
    Ok(client.reply(|reply| match &found {
        Some(key) => reply.bulk(key),
        None => reply.null(),
    }))
}

/// FLUSHDB and FLUSHALL. The tables are detached at once; SYNC frees them before the reply, ASYNC afterwards, a
/// little per round.
async fn flush(
    client: &Client,
    args: &OwnedArgs,
    database: Option<usize>,
) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let lazy = match args.len() {
        1 => client.core.borrow().config.memory.lazyfree_lazy_user_flush,
        2 if args.is(1, "async") => true,
        2 if args.is(1, "sync") => false,
        _ => return Err(Error::SYNTAX),
    };
    let now = client.now;
    let stopped = client.enter(all(client)).await;
    if let Err(error) = client.check_role(true) {
        client.leave(stopped);
        return Err(error);
    }
    on_all_cores(&client.core, move |core| {
        let detached: Vec<Detached> = match database {
            Some(database) => vec![flush::flush_database(&mut core.shard, database, now)],
            None => flush::flush_all(&mut core.shard, now),
        };
        if lazy {
            core.cron.detached.extend(detached);
        }
    })
    .await;
    note_change(client, &args);
    client.leave(stopped);
    Ok(client.reply(|reply| reply.ok()))
}

/// All shards changed: one effect and one change for the node, not one per shard.
fn note_change(client: &Client, args: &Args) {
    client.add_effect(args);
    client.core.borrow_mut().shard.stats.dirty += 1;
}

async fn swap_databases(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let index =
        |at: usize, text: &'static str| number::int32(args.at(at)).map_err(|_| Error::new(text));
    let one = index(1, "ERR invalid first DB index")?;
    let other = index(2, "ERR invalid second DB index")?;
    let databases = client.core.borrow().settings.databases as i32;
    if !(0..databases).contains(&one) || !(0..databases).contains(&other) {
        return Err(Error::DB_OUT_OF_RANGE);
    }
    let (one, other, now) = (one as usize, other as usize, client.now);
    let stopped = client.enter(all(client)).await;
    if let Err(error) = client.check_role(true) {
        client.leave(stopped);
        return Err(error);
    }
    on_all_cores(&client.core, move |core| {
        flush::swap_databases(&mut core.shard, one, other, now);
    })
    .await;
    note_change(client, &args);
    client.leave(stopped);
    Ok(client.reply(|reply| reply.ok()))
}
