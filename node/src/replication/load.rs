//! RDB into the shards: while it arrives from a primary, or from a file at the start.
//!
//! The core that reads parses and deals the entries to their shards in batches; each shard builds new databases beside
//! those it serves ([`LoadTarget`]). Only when all of it was read and found whole do the new databases take the place of
//! the old ones ([`commit`]), on all shards in one transaction. A load that fails leaves
//! everything as it was, but for one from a file that was found good and could not be read again.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::command::Spec;
use ringfort_core::error::Error;
use ringfort_core::flush;
use ringfort_core::rdb::value::StoredValue;
use ringfort_core::store::{Collection, Database, OwnedEntry};
use ringfort_core::{eviction, slot};
use ringfort_replication::identity::Replid;
use ringfort_replication::rdb::{Entry, Item, Reader};

use crate::core::Core;
use crate::tasks::{Answer, CoreHandle, next_round, on_all_cores};
use crate::transaction::stop_all;

use super::snapshot::{self, Still};
use super::{Loading, Replication};

/// The right to load, until this value goes: the shards have one [`LoadTarget`] each. What belongs to an earlier load and
/// is still on its way between cores is known by its number.
pub struct Claim {
    replication: Arc<Replication>,
    pub(super) number: u64,
}

impl Core {
    /// `None`: a load is under way, be it of a file or of what a primary sends.
    pub fn claim_load(&self) -> Option<Claim> {
        let replication = Arc::clone(&self.shared.replication);
        if replication.loading.claimed.swap(true, Relaxed) {
            return None;
        }
        let number = replication.loading.loads.fetch_add(1, Relaxed) + 1;
        Some(Claim { replication, number })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.replication.loading.claimed.store(false, Relaxed);
    }
}

/// Databases of one shard that are being filled and not served yet.
pub struct LoadTarget {
    /// Of the load that fills them.
    number: u64,
    databases: Vec<Database>,
    /// Keys that were there twice: the file is not what a server wrote.
    duplicates: u64,
}

/// Entries on their way to a shard.
#[derive(Default)]
struct LoadBatch {
    bytes: Vec<u8>,
    entries: Vec<BatchEntry>,
    /// Bytes of the collections among them.
    collection_bytes: usize,
}

struct BatchEntry {
    database: u32,
    key_bytes: u32,
    value: BatchValue,
    expire_at: Option<i64>,
    access: u32,
}

enum BatchValue {
    /// A string of so many bytes, which lies behind the key.
    String(u32),
    Integer(i64),
    Collection(Collection),
}

/// A batch goes to its shard when it is so long, in bytes.
const BATCH_BYTES: usize = 64 << 10;

/// Bytes on their way to other shards before the reader waits.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;

/// What a snapshot says of the stream that it belongs to.
#[derive(Clone, Debug, Default)]
pub struct StreamPosition {
    pub replid: Option<Replid>,
    pub offset: Option<u64>,
    pub database: Option<u32>,
}

/// Reads an RDB stream and deals its entries.
pub struct Loader {
    number: u64,
    /// Apart only while its items, which borrow from it, are dealt.
    reader: Option<Reader>,
    database: usize,
    batches: Vec<LoadBatch>,
    in_flight_bytes: usize,
    /// The call to finish when that is little enough to go on.
    waited_for: Option<u64>,
    /// Keys past their time are left out, unless the data goes on with a history: replicas that resume it have them too
    /// and need their DEL, which expiry writes. A replica keeps them in any case, its primary removes them.
    drops_expired: bool,
    /// Only looks whether all is well.
    verifies_only: bool,
    pub position: StreamPosition,
    /// Bytes up to the end, once, when it was found.
    ended: Option<u64>,
}

impl StreamPosition {
    /// Whether the data goes on with a history, which others may be in step with.
    fn is_known(&self) -> bool {
        self.replid.is_some() && self.offset.is_some()
    }
}

impl Loader {
    pub fn new(core: &mut Core, claim: &Claim, drops_expired: bool, verifies_only: bool) -> Loader {
        let number = claim.number;
        if !verifies_only {
            core.post_all(move |core| {
                let databases = core.shard.databases.len();
                let hasher = core.shard.hasher.clone();
                core.load = Some(LoadTarget {
                    number,
                    databases: (0..databases).map(|_| Database::new(hasher.clone())).collect(),
                    duplicates: 0,
                });
            });
        }
        Loader {
            number,
            reader: Some(Reader::new(core.shard.builder())),
            database: 0,
            batches: (0..core.cores).map(|_| LoadBatch::default()).collect(),
            in_flight_bytes: 0,
            waited_for: None,
            drops_expired,
            verifies_only,
            position: StreamPosition::default(),
            ended: None,
        }
    }

    /// Whether so much is on its way to other shards that the reader should wait.
    pub fn is_ahead(&self) -> bool {
        self.in_flight_bytes > IN_FLIGHT_BYTES_MAX
    }

    /// The call to finish now that the reader need not wait any more, if it waits.
    pub fn take_waited_for(&mut self) -> Option<u64> {
        if self.is_ahead() { None } else { self.waited_for.take() }
    }

    /// Where the stream ended, if that was found since the last call.
    pub fn take_end(&mut self) -> Option<u64> {
        self.ended.take()
    }

    /// Bytes that a batch of load `number` carried have been put in.
    pub fn settled(&mut self, number: u64, bytes: usize) {
        if self.number == number {
            self.in_flight_bytes -= bytes;
        }
    }

    /// The next bytes of the stream. Error: what is wrong with it, and where.
    pub fn feed(&mut self, core: &mut Core, bytes: &[u8]) -> Result<(), String> {
        let mut reader = self.reader.take().expect("it is put back below");
        reader.push(bytes);
        core.shared.replication.loading.loaded_bytes.fetch_add(bytes.len() as u64, Relaxed);
        let result = self.take_items(core, &mut reader);
        self.reader = Some(reader);
        result
    }

    fn take_items(&mut self, core: &mut Core, reader: &mut Reader) -> Result<(), String> {
        let mut ended = false;
        while let Some(item) = reader.next().map_err(|error| error.to_string())? {
            match item {
                Item::Select { database } => {
                    self.database = database as usize;
                    if self.database >= core.settings.databases {
                        return Err(format!(
                            "the data is for database {database}, but this node has {} only",
                            core.settings.databases
                        ));
                    }
                }
                Item::Aux { name, value } => self.note_aux(&name, &value),
                Item::Entry(entry) => self.deal(core, entry),
                Item::End => ended = true,
                Item::Header { .. } | Item::Resize { .. } => {}
            }
        }
        if ended {
            self.ended = Some(reader.offset());
        }
        Ok(())
    }

    /// The stream is over: it must be whole.
    pub fn finish(&mut self, core: &mut Core) -> Result<(), String> {
        let reader = self.reader.as_ref().expect("it is put back after each feed");
        reader.finish().map_err(|error| error.to_string())?;
        for shard in 0..self.batches.len() {
            self.send(core, shard);
        }
        Ok(())
    }

    fn note_aux(&mut self, name: &[u8], value: &[u8]) {
        let number = || ringfort_core::number::parse_integer(value);
        match name {
            b"repl-id" => self.position.replid = Replid::parse(value),
            b"repl-offset" => self.position.offset = number().and_then(|n| u64::try_from(n).ok()),
            b"repl-stream-db" => {
                self.position.database = number().and_then(|n| u32::try_from(n).ok())
            }
            _ => {}
        }
    }

    fn deal(&mut self, core: &mut Core, entry: Entry) {
        let loading = &core.shared.replication.loading;
        if self.drops_expired
            && !self.position.is_known()
            && entry.expire_at.is_some_and(|at| core.now.wall_ms > at)
        {
            loading.keys_expired.fetch_add(1, Relaxed);
            return;
        }
        if self.verifies_only {
            return;
        }
        loading.keys_loaded.fetch_add(1, Relaxed);
        let access =
            eviction::restored_access(entry.access, &core.shard.settings, core.now.wall_ms);
        let shard = if core.cores == 1 { 0 } else { core.shard_of(slot::slot_of(&entry.key)) };
        if shard == core.id {
            let target = core.load.as_mut().expect("a load is under way");
            target.insert(self.database, &entry.key, entry.value, entry.expire_at, access);
            return;
        }
        let batch = &mut self.batches[shard];
        batch.bytes.extend_from_slice(&entry.key);
        let value = match entry.value {
            StoredValue::String(bytes) => {
                batch.bytes.extend_from_slice(&bytes);
                BatchValue::String(bytes.len() as u32)
            }
            StoredValue::Integer(number) => BatchValue::Integer(number),
            StoredValue::Collection(collection) => {
                batch.collection_bytes += collection.memory_bytes();
                BatchValue::Collection(collection)
            }
        };
        batch.entries.push(BatchEntry {
            database: self.database as u32,
            key_bytes: entry.key.len() as u32,
            value,
            expire_at: entry.expire_at,
            access,
        });
        if batch.bytes.len() + batch.collection_bytes >= BATCH_BYTES {
            self.send(core, shard);
        }
    }

    fn send(&mut self, core: &mut Core, shard: usize) {
        let batch = std::mem::take(&mut self.batches[shard]);
        if batch.entries.is_empty() {
            return;
        }
        let bytes = batch.bytes.len() + batch.collection_bytes;
        self.in_flight_bytes += bytes;
        let (reader, number) = (core.id, self.number);
        core.post(shard, move |core| {
            if let Some(target) = core.load.as_mut().filter(|target| target.number == number) {
                target.insert_all(batch);
            }
            core.post(reader, move |core| core.load_settled(number, bytes));
        });
    }
}

impl LoadTarget {
    fn insert(
        &mut self,
        database: usize,
        key: &[u8],
        value: StoredValue,
        expire_at: Option<i64>,
        access: u32,
    ) {
        let database = &mut self.databases[database];
        let entry = match value {
            StoredValue::String(bytes) => OwnedEntry::string(key, &bytes, expire_at, access),
            StoredValue::Integer(number) => OwnedEntry::integer(key, number, expire_at, access),
            StoredValue::Collection(collection) => {
                OwnedEntry::collection(key, collection, expire_at, access)
            }
        };
        let key = database.hasher().key(key);
        if database.insert(&key, entry).is_some() {
            self.duplicates += 1;
        }
    }

    fn insert_all(&mut self, batch: LoadBatch) {
        let mut at = 0;
        let mut next = |bytes: u32| {
            let taken = &batch.bytes[at..at + bytes as usize];
            at += bytes as usize;
            taken
        };
        for entry in batch.entries {
            let key = next(entry.key_bytes);
            let value = match entry.value {
                BatchValue::String(bytes) => StoredValue::String(next(bytes).into()),
                BatchValue::Integer(number) => StoredValue::Integer(number),
                BatchValue::Collection(collection) => StoredValue::Collection(collection),
            };
            self.insert(entry.database as usize, key, value, entry.expire_at, entry.access);
        }
    }
}

/// What to do with a stream that has a key twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    Refuse,
    /// The old data is gone already: the later value counts.
    KeepLast,
}

/// Puts what was loaded in the place of the data on all shards, with those stopped, and runs `inside` before they go
/// on. The caller has the streamer ([`snapshot::interrupt`]): a snapshot of the data that is about to go would not be
/// whole. Error: the data was not what a server wrote; nothing has changed.
pub async fn commit(
    core: &CoreHandle,
    claim: &Claim,
    duplicates: Duplicates,
    inside: impl FnOnce(&mut Core),
) -> Result<(), String> {
    let stopped = stop_all(core).await;
    let result = commit_stopped(core, claim, duplicates, inside).await;
    stopped.release(core);
    result
}

/// [`commit`] for who has all shards stopped already.
async fn commit_stopped(
    core: &CoreHandle,
    claim: &Claim,
    duplicates: Duplicates,
    inside: impl FnOnce(&mut Core),
) -> Result<(), String> {
    let twice =
        on_all_cores(core, |core| core.load.as_ref().map_or(0, |target| target.duplicates)).await;
    let twice = twice.iter().sum::<u64>();
    if twice > 0 {
        crate::warning!("The loaded data has {twice} keys twice");
    }
    if duplicates == Duplicates::Refuse && twice > 0 {
        core.borrow_mut().drop_load(claim.number);
        return Err("a key is there twice".to_owned());
    }
    on_all_cores(core, |core| {
        let target = core.load.take().expect("the target of who has the claim");
        let now = core.now.wall_ms;
        let old = flush::replace_all(&mut core.shard, target.databases, now);
        core.cron.detached.extend(old);
    })
    .await;
    inside(&mut core.borrow_mut());
    Ok(())
}

impl Core {
    /// Forgets what load `number` has loaded so far, on all shards.
    pub fn drop_load(&mut self, number: u64) {
        self.post_all(move |core| {
            if let Some(mut target) = core.load.take_if(|target| target.number == number) {
                let databases = target.databases.iter_mut().map(|database| database.clear().1);
                core.cron.detached.extend(databases);
            }
        });
    }

    /// Whether the databases lack what is being loaded: nobody must take them for the data.
    pub fn is_data_partial(&self) -> bool {
        self.shared.replication.loading.mode.load(Relaxed) == Loading::REFUSING
    }

    /// Why a command cannot run while data is loaded.
    pub fn check_loading(&self, spec: &Spec) -> Result<(), Error> {
        use ringfort_core::command::Flags;
        let refused = match self.shared.replication.loading.mode.load(Relaxed) {
            Loading::REFUSING => !spec.flags.has(Flags::LOADING),
            Loading::SERVING => spec.flags.has(Flags::NO_ASYNC_LOADING),
            _ => false,
        };
        if refused { Err(Error::LOADING) } else { Ok(()) }
    }
}

pub fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|error| error.to_string())
}

/// Reads a file from its beginning into the shards' load targets, or only looks at it. Error: why not, with the place in
/// the file.
pub async fn read_file(
    core: &CoreHandle,
    mut file: &File,
    claim: &Claim,
    drops_expired: bool,
    verifies_only: bool,
) -> Result<StreamPosition, String> {
    const READ_BYTES: usize = 256 << 10;
    file.rewind().map_err(|error| error.to_string())?;
    let loader = Loader::new(&mut core.borrow_mut(), claim, drops_expired, verifies_only);
    core.borrow_mut().file_loader = Some(loader);
    let mut buffer = vec![0; READ_BYTES];
    let result = loop {
        let read = match file.read(&mut buffer) {
            Ok(read) => read,
            Err(error) => break Err(error.to_string()),
        };
        let fed = {
            let mut core = core.borrow_mut();
            core.tick();
            let mut loader = core.file_loader.take().expect("put there above");
            let fed = match read {
                0 => loader.finish(&mut core).map(|()| true),
                read => loader.feed(&mut core, &buffer[..read]).map(|()| false),
            };
            core.file_loader = Some(loader);
            fed
        };
        match fed {
            Ok(true) => break Ok(()),
            Ok(false) => {}
            Err(error) => break Err(error),
        }
        next_round().await;
        while let Some(settled) = wait_if_ahead(core) {
            settled.await;
        }
    };
    let loader = core.borrow_mut().file_loader.take().expect("put there above");
    result.map(|()| loader.position)
}

/// If too much of a file is on its way to other shards: what to wait for.
fn wait_if_ahead(core: &CoreHandle) -> Option<Answer> {
    let mut core = core.borrow_mut();
    let core = &mut *core;
    let loader = core.file_loader.as_mut().filter(|loader| loader.is_ahead())?;
    let (number, answer) = core.calls.expect();
    loader.waited_for = Some(number);
    Some(answer)
}

/// DEBUG RELOAD: saves, if asked to, and puts the configured file in the place of the data. Nothing is written meanwhile, or
/// what came between the cut and the commit would be lost.
pub async fn reload(core: &CoreHandle, saves: bool) -> Result<(), Error> {
    let claim = core.borrow().claim_load();
    let claim = claim.ok_or(Error::new("ERR Data is being loaded already"))?;
    snapshot::interrupt(core).await;
    let still = Still::begin(core).await;
    let result = reload_still(core, &claim, &still, saves).await;
    still.end(core).await;
    snapshot::release(core);
    result
}

async fn reload_still(
    core: &CoreHandle,
    claim: &Claim,
    still: &Still,
    saves: bool,
) -> Result<(), Error> {
    if saves {
        let saved = snapshot::save_claimed(core, Some(still)).await;
        saved.map_err(|error| Error::text(format!("ERR {error}")))?;
    }
    let replication = Arc::clone(&core.borrow().shared.replication);
    let path = PathBuf::from(core.borrow().config.persistence.dbfilename.to_string());
    let loaded = async {
        let file = open(&path)?;
        // For what it counts. Clients wait, so they need not be refused.
        replication.loading.begin(Loading::NO, 0, 0);
        read_file(core, &file, claim, false, false).await?;
        commit_stopped(core, claim, Duplicates::Refuse, |_| ()).await
    };
    let loaded: Result<(), String> = loaded.await;
    loaded.map_err(|error| {
        crate::warning!("DEBUG RELOAD: {error}");
        core.borrow_mut().drop_load(claim.number);
        Error::new("ERR Error trying to load the RDB dump, check server logs.")
    })
}

/// At the start: the configured file, if there is one. Error: what is wrong with it; the node must not go on.
pub async fn load_at_start(core: &CoreHandle) -> Result<(), String> {
    let path = PathBuf::from(core.borrow().config.persistence.dbfilename.to_string());
    let replication = Arc::clone(&core.borrow().shared.replication);
    let follows = replication.is_replica();
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(()) };
    let at_fault = |error: String| format!("{}: {error}", path.display());
    let file = open(&path).map_err(at_fault)?;
    let started = std::time::Instant::now();
    crate::notice!("Loading RDB file {}, {} bytes", path.display(), metadata.len());
    let now_s = core.borrow().now.wall_ms / 1000;
    replication.loading.begin(Loading::REFUSING, metadata.len(), now_s);
    replication.update_loading();
    let claim = core.borrow().claim_load().ok_or("Data is being loaded already")?;
    let position = read_file(core, &file, &claim, !follows, false).await.map_err(at_fault)?;
    // No snapshot is under way: none begins while clients are refused.
    commit(core, &claim, Duplicates::Refuse, |core| {
        // Who was in step with this data may go on from here: a replica with its primary, or replicas with us.
        if let (Some(replid), Some(offset)) = (position.replid, position.offset) {
            let replication = Arc::clone(&core.shared.replication);
            let mut identity = replication.identity();
            replication.log.start(offset);
            if follows {
                identity.replace(replid);
                core.stream_database = position.database.unwrap_or(0) as usize;
            } else {
                let own = identity.replid();
                identity.replace(replid);
                identity.shift(own, offset);
            }
            drop(identity);
            if !follows {
                core.post_all(|core| core.shard.effects.enabled = true);
            }
        }
    })
    .await
    .map_err(at_fault)?;
    let keys = replication.loading.keys_loaded.load(Relaxed);
    let expired = replication.loading.keys_expired.load(Relaxed);
    crate::notice!("Done loading RDB, keys loaded: {keys}, keys expired: {expired}.");
    crate::notice!("DB loaded from disk: {:.3} seconds", started.elapsed().as_secs_f64());
    replication.loading.end();
    replication.update_loading();
    Ok(())
}
