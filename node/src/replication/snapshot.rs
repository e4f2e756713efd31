//! The snapshot streamer: one for full syncs, SAVE and BGSAVE.
//!
//! One core, the streamer, coordinates. It makes the cut: a transaction over all shards in which each begins its part
//! ([`ringfort_core::snapshot`]) and the log's end is read. Then every shard, as a producer, brings its part in chunks of
//! one database each; the streamer puts the frame around them ([`gather`]) and hands them to the takers: replicas,
//! whose cores send them from their own rings, and at most one file. Chunks travel as references, so only the kernel
//! copies them.
//!
//! A shard may have so many bytes on the way (`credit`) and gets them back as the slowest taker has sent them. A taker
//! that fails is left out; when none is left the producers only sweep on, so that the next cut finds all entries on
//! one side.

mod gather;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::rdb::Format;
use ringfort_core::snapshot::{self, DatabaseSize};
use ringfort_core::store::Detached;
use ringfort_replication::identity::Replid;
use ringfort_replication::log::Reader;
use ringfort_replication::rdb::writer;

use self::gather::{Chunk, Gather, TakerKind};
use crate::core::Core;
use crate::file_sink::{Done, FileSink};
use crate::tasks::{CoreHandle, on_all_cores, on_core, sleep_ms};
use crate::transaction::{Stopped, stop_all};

use super::serve::{Waiting, full_resync_line};
use super::{link, lock};

/// A chunk's size, in bytes, and the entries looked at for one: what a producer does in a round, so some 10 µs. Clients wait
/// for so long, and for the send of it; a replica that has to load it is slower in any case.
const CHUNK_BYTES: usize = 8 << 10;
const CHUNK_ENTRIES: usize = 1024;

/// What all shards together may have on the way, in bytes: some chunks of each, so that there is always one to send.
const CREDIT_BYTES: i64 = 1 << 20;

/// Values from this length on are sent by reference, in bytes: below, a copy costs less than a piece of its own
/// (measured with `gather`, in the net crate's examples).
const REFERENCE_BYTES_MIN: usize = 2 << 10;

/// Large collections that occupy so many bytes are held by reference and come in slices: a smaller one is written in less than
/// a tenth of a millisecond.
const HELD_BYTES_MIN: usize = 64 << 10;

/// What INFO and LASTSAVE say of snapshots.
#[derive(Debug, Default)]
pub struct SnapshotReport {
    /// A snapshot is under way, its sweep included.
    pub busy: bool,
    /// That is a BGSAVE or a SAVE, and since when, in milliseconds of the monotonic clock.
    pub saving_since_ms: Option<u64>,
    /// BGSAVE SCHEDULE waits for the snapshot under way.
    pub scheduled: bool,
    pub last_save_s: i64,
    pub last_save_failed: bool,
    pub last_save_took_s: Option<u64>,
    pub saves: u64,
    /// How long the last cut took, in microseconds: no shard was kept from running commands for longer.
    pub cut_us: u64,
    pub cuts: u64,
    /// Changes when the file that was saved last was begun.
    pub dirty_saved: u64,
    pub last_try_s: i64,
    pub keys_done: u64,
    pub keys_total: u64,
}

/// A core's part: as producer, and as streamer.
#[derive(Default)]
pub struct SnapshotCore {
    producer: Option<Producer>,
    gather: Option<Gather>,
}

struct Producer {
    streamer: usize,
    credit: i64,
}

/// Where and when a snapshot was taken.
struct Cut {
    offset: u64,
    replid: Replid,
    /// The database that the stream stands in at the cut.
    database: Option<u32>,
    /// There is a log that the offset belongs to.
    logged: bool,
    sizes: Vec<DatabaseSize>,
    /// The RDB version that is written.
    version: u16,
    dirty: u64,
    /// Positions in the log at the cut, as many as were asked for.
    readers: Vec<Option<Reader>>,
}

impl SnapshotCore {
    /// Whether a round would bring something.
    pub fn has_work(&self) -> bool {
        self.producer.as_ref().is_some_and(|producer| producer.credit > 0)
    }
}

/// The node holds still until [`Still::end`]: its link begins nothing, and all shards are stopped.
pub struct Still {
    stopped: Stopped,
    /// When it began to stop the shards, by the monotonic clock.
    since_us: u64,
}

impl Still {
    pub async fn begin(core: &CoreHandle) -> Still {
        link::hold(core).await;
        let since_us = ringfort_net::clock::monotonic_us();
        let stopped = stop_all(core).await;
        Still { stopped, since_us }
    }

    pub async fn end(self, core: &CoreHandle) {
        self.stopped.release(core);
        link::release(core).await;
    }
}

/// How a snapshot is taken.
struct Taking {
    options: snapshot::Options,
    /// Its readers can be told when fields of hashes expire, so they are, where there are such fields.
    field_times: bool,
    /// From the cut on there must be a log.
    log_it: bool,
    /// Positions in the log to keep.
    readers: usize,
}

/// Stops all shards, begins the snapshot on each, and reads the log's end.
async fn cut(core: &CoreHandle, taking: Taking) -> Cut {
    let still = Still::begin(core).await;
    let cut = cut_still(core, &still, taking).await;
    still.end(core).await;
    cut
}

/// [`cut`] for who holds the node still already.
async fn cut_still(core: &CoreHandle, still: &Still, taking: Taking) -> Cut {
    let Taking { mut options, field_times, log_it, readers } = taking;
    if field_times {
        let has_times = |core: &mut Core| {
            core.shard.databases.iter().any(|database| !database.field_expiries().is_empty())
        };
        if on_all_cores(core, has_times).await.contains(&true) {
            options.format.version = writer::FIELD_TIMES_VERSION;
        }
    }
    let version = options.format.version;
    let replication = Arc::clone(&core.borrow().shared.replication);
    // Not whether it is about to follow somebody: whose effects the log holds changes with all shards stopped.
    let primary = !core.borrow().shard.settings.is_replica;
    if log_it && !replication.log.is_active() {
        // Writes were not counted so far: this is a new history.
        replication.identity().replace(crate::start::random_replid());
        replication.log.start(replication.log.end());
    }
    let logged = replication.log.is_active();
    let parts = on_all_cores(core, move |core| {
        // Switching off is for who changes the role.
        core.shard.effects.enabled |= primary && logged;
        (snapshot::begin(&mut core.shard, options), core.shard.stats.dirty)
    })
    .await;
    // A primary says SELECT behind the cut; a replica's stream goes on in the database where it stands.
    let stream_database = on_core(core, 0, |core| core.stream_database as u32).await;
    let database = (!primary).then_some(stream_database);
    if primary {
        replication.log.forget_database();
    }
    let offset = replication.log.end();
    let replid = replication.identity().replid();
    // Taken now, while the log cannot be trimmed past it.
    let readers = (0..readers).map(|_| replication.log.reader_at(offset)).collect();
    let cut_us = ringfort_net::clock::monotonic_us() - still.since_us;
    let mut sizes = vec![DatabaseSize::default(); parts[0].0.len()];
    let mut dirty = 0;
    for (part, changes) in parts {
        dirty += changes;
        for (sum, size) in sizes.iter_mut().zip(part) {
            sum.keys += size.keys;
            sum.expiring += size.expiring;
        }
    }
    let mut report = lock(&replication.snapshot);
    report.cut_us = cut_us;
    report.cuts += 1;
    report.keys_done = 0;
    report.keys_total = sizes.iter().map(|size| size.keys).sum();
    Cut { offset, replid, database, logged, sizes, version, dirty, readers }
}

/// Claims the streamer; `false`: a snapshot is under way.
fn claim(core: &Core) -> bool {
    let mut report = lock(&core.shared.replication.snapshot);
    !std::mem::replace(&mut report.busy, true)
}

/// Ends the snapshot under way, if there is one, and claims the streamer: the databases are about to be replaced. Who
/// was being sent it is disconnected, a file is not kept. To be given back by [`release`].
pub async fn interrupt(core: &CoreHandle) {
    while !claim(&core.borrow()) {
        on_all_cores(core, |core| {
            if let Some(mut gather) = core.snapshot.gather.take() {
                gather.abandon(core);
                core.snapshot.gather = Some(gather);
            }
        })
        .await;
        sleep_ms(core, 1).await;
    }
}

/// The snapshot is over, its sweep on all shards too.
pub fn release(core: &CoreHandle) {
    let mut core = core.borrow_mut();
    lock(&core.shared.replication.snapshot).busy = false;
    core.post(0, |core| {
        core.start_sync_if_due();
        core.start_scheduled_save();
    });
}

impl Cut {
    fn header(&self, core: &Core) -> Vec<u8> {
        let mut out = Vec::new();
        writer::write_header(&mut out, self.version);
        let replication = self.logged.then(|| writer::ReplicationFacts {
            stream_database: self.database.unwrap_or(0),
            replid: self.replid.as_str(),
            repl_offset: self.offset,
        });
        let facts = writer::Facts {
            redis_version: crate::config::REDIS_VERSION,
            created_at_seconds: core.now.wall_ms / 1000,
            used_memory_bytes: core.memory_bytes(),
            replication,
        };
        writer::write_facts(&mut out, &facts);
        out
    }
}

/// Streams a snapshot to `takers` and returns when every shard has brought its part.
async fn stream(core: &CoreHandle, cut: Cut, takers: Vec<TakerKind>, mark: [u8; 40]) {
    let answer = {
        let mut core = core.borrow_mut();
        let header = cut.header(&core);
        let checksum = core.config.persistence.rdbchecksum.then_some(0);
        let (done, answer) = core.calls.expect();
        let cores = core.cores;
        let mut gather = Gather::new(takers, cores, cut.sizes, checksum, mark, done);
        gather.write(&mut core, header);
        core.snapshot.gather = Some(gather);
        let (streamer, credit) = (core.id, CREDIT_BYTES / cores as i64);
        core.post_all(move |core| {
            core.snapshot.producer = Some(Producer { streamer, credit });
        });
        answer
    };
    answer.await;
    core.borrow_mut().snapshot.gather = None;
}

impl Core {
    /// A round's part of the snapshot, which [`SnapshotCore::has_work`] says there is.
    #[cold]
    pub fn produce_chunk(&mut self) {
        let mut freed: Vec<Detached> = Vec::new();
        let captured = snapshot::step(&mut self.shard, CHUNK_ENTRIES, &mut freed);
        self.cron.detached.extend(freed);
        let producer = self.snapshot.producer.as_mut().expect("asked by the caller");
        let (streamer, shard) = (producer.streamer, self.id);
        match captured {
            Some(captured) if captured.bytes.is_empty() && captured.entries == 0 => {}
            Some(captured) => {
                producer.credit -= captured.bytes.len() as i64;
                let wants_crc = self.config.persistence.rdbchecksum;
                let crc = if wants_crc { captured.bytes.checksum(0) } else { 0 };
                self.post(streamer, move |core| core.take_chunk(Chunk { shard, captured, crc }));
            }
            None => {
                self.snapshot.producer = None;
                self.post(streamer, |core| core.take_end());
            }
        }
    }

    fn take_chunk(&mut self, chunk: Chunk) {
        lock(&self.shared.replication.snapshot).keys_done += chunk.captured.entries;
        let Some(mut gather) = self.snapshot.gather.take() else { return };
        gather.chunk(self, chunk);
        self.snapshot.gather = Some(gather);
    }

    /// A shard has brought all of its part.
    fn take_end(&mut self) {
        let Some(mut gather) = self.snapshot.gather.take() else { return };
        gather.shard_ended(self);
        self.snapshot.gather = Some(gather);
    }

    /// A replica's core has sent part of the payload; `usize::MAX`: it is lost.
    pub fn payload_sent(&mut self, core: usize, index: u32, generation: u32, bytes: usize) {
        self.taker_sent(bytes, |kind| {
            matches!(kind, TakerKind::Replica(waiting)
                if (waiting.core, waiting.index, waiting.generation) == (core, index, generation))
        });
    }

    fn taker_sent(&mut self, bytes: usize, is_it: impl Fn(&TakerKind) -> bool) {
        let Some(mut gather) = self.snapshot.gather.take() else { return };
        gather.taker_sent(self, bytes, is_it);
        self.snapshot.gather = Some(gather);
    }

    // --- Full syncs ---------------------------------------------------------------------------------------

    /// Begins a full sync if replicas wait for one, long enough or many enough. On core 0.
    pub fn start_sync_if_due(&mut self) {
        let config = &self.config.replication;
        let delay_ms = u64::from(config.repl_diskless_sync_delay_seconds) * 1000;
        let enough = config.repl_diskless_sync_max_replicas as usize;
        let diskless = config.repl_diskless_sync;
        let waiters = {
            let mut waiting = lock(&self.shared.replication.waiting);
            let Some(first) = waiting.first() else { return };
            let waited = self.now.mono_ms().saturating_sub(first.since_ms);
            if self.is_data_partial() {
                return;
            }
            let is_due = !diskless || waited >= delay_ms || enough > 0 && waiting.len() >= enough;
            if !is_due || !claim(self) {
                return;
            }
            std::mem::take(&mut *waiting)
        };
        // The core of the first one streams: one hop less.
        let streamer = waiters[0].core;
        self.post(streamer, move |core| {
            let handle = core.handle.upgrade().expect("the loop holds the core");
            core.new_tasks.push(Box::pin(sync(handle, waiters, diskless)));
        });
    }

    /// The RDB version to write, but where fields of hashes expire. Nothing else needs one that is newer, whatever the
    /// reader announces.
    pub fn rdb_version(&self) -> u16 {
        self.settings.shard.dump_version
    }

    fn is_rdb_compat_9(&self) -> bool {
        self.config.persistence.rdb_compat == crate::config::RdbCompat::Nine
    }
}

/// One full sync: a cut, and its snapshot to all that waited.
async fn sync(core: CoreHandle, waiters: Vec<Waiting>, diskless: bool) {
    let (streamed, filed): (Vec<_>, Vec<_>) =
        waiters.into_iter().partition(|waiting| diskless && waiting.eof);
    let version = core.borrow().rdb_version();
    let count = streamed.len() + filed.len();
    let field_times = !core.borrow().is_rdb_compat_9()
        && streamed.iter().chain(&filed).all(|waiting| waiting.field_times);
    let options = {
        let core = core.borrow();
        let target = if streamed.is_empty() { "disk" } else { "replicas sockets" };
        crate::notice!("Starting snapshot for SYNC with target: {target} ({count} replicas)");
        snapshot::Options {
            format: Format { version, compress: false },
            reference_bytes_min: REFERENCE_BYTES_MIN,
            held_bytes_min: HELD_BYTES_MIN,
            part_bytes: CHUNK_BYTES,
            now: core.now.wall_ms,
        }
    };
    let mut cut = cut(&core, Taking { options, field_times, log_it: true, readers: count }).await;
    let mut readers = std::mem::take(&mut cut.readers).into_iter();
    let replication = Arc::clone(&core.borrow().shared.replication);
    let mark = crate::start::random_hex();
    let mark: [u8; 40] = mark.as_bytes().try_into().expect("forty digits");
    let line = full_resync_line(&cut.replid, cut.offset);
    let mut takers = Vec::new();
    let streamer = core.borrow().id;
    for waiting in streamed.iter().chain(&filed) {
        replication.counters.sync_full.fetch_add(1, Relaxed);
        let mut first = if waiting.by_sync { Vec::new() } else { line.clone().into_bytes() };
        let by_file = !(diskless && waiting.eof);
        if !by_file {
            first.extend_from_slice(b"$EOF:");
            first.extend_from_slice(&mark);
            first.extend_from_slice(b"\r\n");
            takers.push(TakerKind::Replica(waiting.clone()));
        }
        let reader = readers.next().flatten();
        let waiting = waiting.clone();
        core.borrow_mut().post(waiting.core, move |core| {
            core.begin_payload(&waiting, reader, first, streamer, by_file);
        });
    }
    // The file for those that want a length before the payload.
    let mut file = None;
    if !filed.is_empty() {
        let (sink, answer, path) = {
            let mut core = core.borrow_mut();
            let path = PathBuf::from(format!("temp-sync-{}.rdb", crate::start::random_hex()));
            let (sink, answer) = file_taker(&mut core, path.clone());
            (sink, answer, path)
        };
        takers.push(TakerKind::File(Some(sink)));
        file = Some((answer, path));
    }
    stream(&core, cut, takers, mark).await;
    if let Some((answer, path)) = file {
        let done: Done = *answer.await.downcast().expect("a file's outcome");
        let opened =
            done.and_then(|_| std::fs::File::open(&path).map_err(|error| error.to_string()));
        for waiting in filed {
            let file = opened.as_ref().map_err(Clone::clone).and_then(|file| {
                // Each reads from its beginning: a descriptor of its own.
                let _ = file;
                std::fs::File::open(&path).map_err(|error| error.to_string())
            });
            if let Err(error) = &file {
                crate::warning!("SYNC failed: the snapshot could not be written: {error}");
            }
            core.borrow_mut().post(waiting.core, move |core| match file {
                Ok(file) => core.send_file(&waiting, file),
                Err(_) => core.fail_payload(&waiting),
            });
        }
        let _ = std::fs::remove_file(&path);
    }
    release(&core);
}

/// A file as a taker, and the call that ends with its outcome.
fn file_taker(core: &mut Core, path: PathBuf) -> (FileSink, crate::tasks::Answer) {
    let (number, answer) = core.calls.expect();
    let sink = FileSink::create(
        core,
        path,
        |core, bytes| core.taker_sent(bytes, |kind| matches!(kind, TakerKind::File(_))),
        move |core, done| {
            if done.is_err() {
                core.taker_sent(usize::MAX, |kind| matches!(kind, TakerKind::File(_)));
            }
            core.calls.finish(number, Box::new(done));
        },
    );
    (sink, answer)
}

// --- Files ------------------------------------------------------------------------------------------------

/// Saves the data set to the configured file. Error: why not.
pub async fn save(core: &CoreHandle) -> Result<(), String> {
    if core.borrow().is_data_partial() {
        return Err("the data is being loaded".to_owned());
    }
    if !claim(&core.borrow()) {
        return Err("a snapshot is under way".to_owned());
    }
    let result = save_claimed(core, None).await;
    release(core);
    result
}

/// Saves at once: whoever is being sent a snapshot has to come again.
pub async fn save_before_all(core: &CoreHandle) -> Result<(), String> {
    interrupt(core).await;
    let result = save_claimed(core, None).await;
    release(core);
    result
}

/// Saves for who has the streamer. `still`: the node is held still already.
pub async fn save_claimed(core: &CoreHandle, still: Option<&Still>) -> Result<(), String> {
    let (taking, path, started_ms) = {
        let core = core.borrow();
        let persistence = &core.config.persistence;
        let options = snapshot::Options {
            format: Format { version: core.rdb_version(), compress: persistence.rdbcompression },
            reference_bytes_min: REFERENCE_BYTES_MIN,
            held_bytes_min: HELD_BYTES_MIN,
            part_bytes: CHUNK_BYTES,
            now: core.now.wall_ms,
        };
        let path = PathBuf::from(std::ffi::OsStr::new(&*persistence.dbfilename.to_string()));
        let mut report = lock(&core.shared.replication.snapshot);
        report.saving_since_ms = Some(core.now.mono_ms());
        report.last_try_s = core.now.wall_ms / 1000;
        let field_times = !core.is_rdb_compat_9();
        let taking = Taking { options, field_times, log_it: false, readers: 0 };
        (taking, path, core.now.mono_ms())
    };
    let cut = match still {
        Some(still) => cut_still(core, still, taking).await,
        None => cut(core, taking).await,
    };
    let dirty = cut.dirty;
    let (sink, answer) = file_taker(&mut core.borrow_mut(), path);
    stream(core, cut, vec![TakerKind::File(Some(sink))], [0; 40]).await;
    let done: Done = *answer.await.downcast().expect("a file's outcome");
    let core = core.borrow();
    let replication = Arc::clone(&core.shared.replication);
    let mut report = lock(&replication.snapshot);
    report.saving_since_ms = None;
    report.last_save_took_s = Some((core.now.mono_ms() - started_ms) / 1000);
    report.last_save_failed = done.is_err();
    let result = match done {
        Ok(_) => {
            report.last_save_s = core.now.wall_ms / 1000;
            report.saves += 1;
            report.dirty_saved = dirty;
            crate::notice!("DB saved on disk");
            Ok(())
        }
        Err(error) => {
            crate::warning!("Error saving DB on disk: {error}");
            Err(error)
        }
    };
    drop(report);
    core.update_restrictions();
    result
}

impl Core {
    /// BGSAVE, once it is its turn. `false`: another snapshot is under way.
    pub fn start_save(&mut self) -> bool {
        if self.is_data_partial() || !claim(self) {
            return false;
        }
        let handle = self.handle.upgrade().expect("the loop holds the core");
        crate::notice!("Background saving started");
        lock(&self.shared.replication.snapshot).saving_since_ms = Some(self.now.mono_ms());
        self.new_tasks.push(Box::pin(async move {
            let _ = save_claimed(&handle, None).await;
            release(&handle);
        }));
        true
    }

    /// A BGSAVE that could not begin at once, inside of EXEC or because of a full sync.
    pub fn start_scheduled_save(&mut self) {
        let scheduled = std::mem::take(&mut lock(&self.shared.replication.snapshot).scheduled);
        if scheduled && !self.start_save() {
            lock(&self.shared.replication.snapshot).scheduled = true;
        }
    }
}
