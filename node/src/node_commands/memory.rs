//! MEMORY STATS, DOCTOR, MALLOC-STATS, PURGE.

use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::command::NodeCommand;
use ringfort_core::debug::{self, DatabaseMemory};
use ringfort_core::error::Error;
use ringfort_core::resp::Reply;

use super::info::process;
use crate::client::Client;
use crate::core::Core;
use crate::tasks::on_all_cores;

pub async fn run(client: Client, command: NodeCommand) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::MemoryStats => Ok(stats(&client).await),
        NodeCommand::MemoryDoctor => Ok(doctor(&client)),
        NodeCommand::MemoryMallocStats => {
            let core = client.core.borrow();
            let mut text = String::from("mimalloc; bytes allocated less bytes freed, per core:\n");
            for (at, counters) in core.shared.cores.iter().enumerate() {
                text.push_str(&format!("core {at}: {}\n", counters.memory_bytes.load(Relaxed)));
            }
            text.push_str(&format!("resident: {}\n", process::resident_bytes()));
            Ok(client.reply(|reply| reply.verbatim("txt", &text)))
        }
        NodeCommand::MemoryPurge => {
            on_all_cores(&client.core, |_: &mut Core| crate::alloc::give_back()).await;
            Ok(client.reply(|reply| reply.ok()))
        }
        _ => unreachable!("not a MEMORY command"),
    }
}

async fn stats(client: &Client) -> Vec<u8> {
    let parts = on_all_cores(&client.core, |core: &mut Core| {
        let clients_bytes: usize =
            core.connections().map(|(_, connection)| connection.memory_bytes()).sum();
        (debug::memory_part(&core.shard), clients_bytes)
    })
    .await;
    let mut databases: Vec<DatabaseMemory> = Vec::new();
    let mut clients_bytes = 0;
    for (part, bytes) in &parts {
        clients_bytes += bytes;
        databases.resize(databases.len().max(part.len()), DatabaseMemory::default());
        databases.iter_mut().zip(part).for_each(|(whole, part)| whole.add(part));
    }
    let core = client.core.borrow();
    let used = core.memory_bytes();
    let peak = core.shared.peak_memory_bytes.load(Relaxed).max(used as i64) as u64;
    let startup = core.shared.startup_bytes();
    let resident = process::resident_bytes();
    let keys: u64 = databases.iter().map(|database| database.keys as u64).sum();
    let dataset: u64 = databases.iter().map(|database| database.entry_bytes as u64).sum();
    let overhead = used.saturating_sub(dataset);
    let filled: Vec<(usize, &DatabaseMemory)> =
        databases.iter().enumerate().filter(|(_, database)| database.keys > 0).collect();
    let percent = |part: u64, whole: u64| part as f64 / whole.max(1) as f64 * 100.0;
    let ratio = resident as f64 / used.max(1) as f64;
    client.reply(|reply| {
        let int = |reply: &mut Reply, name: &str, value: u64| {
            reply.text(name);
            reply.int(value as i64);
        };
        reply.map(27 + filled.len());
        int(reply, "peak.allocated", peak);
        int(reply, "total.allocated", used);
        int(reply, "startup.allocated", startup);
        int(reply, "replication.backlog", 0);
        int(reply, "clients.slaves", 0);
        int(reply, "clients.normal", clients_bytes as u64);
        int(reply, "cluster.links", 0);
        int(reply, "aof.buffer", 0);
        int(reply, "lua.caches", 0);
        int(reply, "functions.caches", 0);
        for (at, database) in &filled {
            reply.text(&format!("db.{at}"));
            reply.map(3);
            int(reply, "overhead.hashtable.main", database.table_bytes as u64);
            int(reply, "overhead.hashtable.expires", 0);
            int(reply, "overhead.hashtable.slot-to-keys", 0);
        }
        int(reply, "overhead.total", overhead);
        int(reply, "keys.count", keys);
        int(reply, "keys.bytes-per-key", used.saturating_sub(startup) / keys.max(1));
        int(reply, "dataset.bytes", dataset);
        reply.text("dataset.percentage");
        reply.double(percent(dataset, used.saturating_sub(startup)));
        reply.text("peak.percentage");
        reply.double(percent(used, peak));
        int(reply, "allocator.allocated", used);
        int(reply, "allocator.active", resident);
        int(reply, "allocator.resident", resident);
        reply.text("allocator-fragmentation.ratio");
        reply.double(ratio);
        int(reply, "allocator-fragmentation.bytes", resident.saturating_sub(used));
        reply.text("allocator-rss.ratio");
        reply.double(1.0);
        int(reply, "allocator-rss.bytes", 0);
        reply.text("rss-overhead.ratio");
        reply.double(1.0);
        int(reply, "rss-overhead.bytes", 0);
        reply.text("fragmentation");
        reply.double(ratio);
        reply.text("fragmentation.bytes");
        reply.int(resident as i64 - used as i64);
    })
}

fn doctor(client: &Client) -> Vec<u8> {
    let core = client.core.borrow();
    let used = core.memory_bytes();
    let resident = process::resident_bytes();
    let text = if used < 5 << 20 {
        "There is too little data here to say anything about its memory."
    } else if resident > used + used / 2 {
        "Resident memory is over one and a half times what is allocated: MEMORY PURGE gives free pages back."
    } else {
        "Nothing unusual was found."
    };
    client.reply(|reply| reply.verbatim("txt", text))
}
