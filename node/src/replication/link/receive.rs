//! A full sync as the replica has it: the payload is parsed while it arrives, or goes to a file first; when it is
//! whole, its data takes the place of the old.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_replication::bulk::{BulkReader, Progress};
use ringfort_replication::identity::Replid;

use crate::config::DisklessLoad;
use crate::connection::Connection;
use crate::core::Core;
use crate::file_sink::{self, Done, FileSink};
use crate::tasks::{Answer, CoreHandle};

use super::super::load::{self, Duplicates, Loader, StreamPosition};
use super::super::{Loading, role, snapshot};
use super::{LinkState, Phase, RETRY_MS, set_state};

pub(super) struct Receive {
    pub(super) claim: load::Claim,
    bulk: BulkReader,
    pub(super) sink: Sink,
    replid: Replid,
    offset: u64,
}

pub(super) enum Sink {
    Shards(Box<Loader>),
    /// Under a name of its own until its data is in place: a save may take the configured one at any time.
    File {
        sink: FileSink,
        /// The call that is finished with what became of the file.
        call: u64,
        done: Answer,
        path: PathBuf,
    },
}

/// Bytes that may wait to be written to the file of a full sync before its primary has to.
const FILE_QUEUE_BYTES_MAX: usize = 8 << 20;

impl Receive {
    /// The payload comes faster than it is taken.
    pub(super) fn is_ahead(&self) -> bool {
        match &self.sink {
            Sink::Shards(loader) => loader.is_ahead(),
            Sink::File { sink, .. } => sink.queued_bytes() > FILE_QUEUE_BYTES_MAX,
        }
    }
}

impl Core {
    /// `None`: not now.
    pub(super) fn begin_receive(
        &mut self,
        connection: &mut Connection,
        replid: Replid,
        offset: u64,
    ) -> Option<()> {
        let replication = Arc::clone(&self.shared.replication);
        let Some(claim) = self.claim_load() else {
            let fault = "data is being loaded already";
            crate::warning!("Can't take the MASTER synchronization DB: {fault}");
            replication.link().last_fault = fault.to_owned();
            return None;
        };
        set_state(&replication, LinkState::Sync);
        let is_empty = self.shared.cores.iter().all(|core| core.keys.load(Relaxed) == 0)
            && self.shard.is_empty();
        let by_file = match self.config.replication.repl_diskless_load {
            DisklessLoad::Disabled => true,
            DisklessLoad::OnEmptyDb => !is_empty,
            _ => false,
        };
        let now_s = self.now.wall_ms / 1000;
        let sink = if by_file {
            let path = PathBuf::from(format!("temp-sync-{}.rdb", crate::start::random_hex()));
            let (call, done) = self.calls.expect();
            let sink = FileSink::create(
                self,
                path.clone(),
                |core, _| core.resume_link_if_taken(),
                move |core, done| core.file_ended(call, done),
            );
            Sink::File { sink, call, done, path }
        } else {
            crate::notice!("MASTER <-> REPLICA sync: Loading DB in memory");
            let mode = if is_empty { Loading::REFUSING } else { Loading::SERVING };
            replication.loading.begin(mode, 0, now_s);
            replication.update_loading();
            Sink::Shards(Box::new(Loader::new(self, &claim, false, false)))
        };
        let link = connection.link.as_mut()?;
        let bulk = BulkReader::new();
        link.phase = Phase::Receive(Box::new(Receive { claim, bulk, sink, replid, offset }));
        Some(())
    }

    /// `None`: the snapshot is not what it should be.
    pub(super) fn receive_snapshot(
        &mut self,
        index: u32,
        connection: &mut Connection,
        data: &[u8],
    ) -> Option<usize> {
        let link = connection.link.as_mut()?;
        let Phase::Receive(receive) = &mut link.phase else { return Some(0) };
        let Receive { claim, bulk, sink, .. } = &mut **receive;
        let mut fault = None;
        let mut pushed = bulk.push(data, &mut |payload| match sink {
            Sink::Shards(loader) => {
                if fault.is_none() {
                    fault = loader.feed(self, payload).err();
                }
            }
            Sink::File { sink, .. } => sink.write([bytes::Bytes::copy_from_slice(payload)]),
        });
        if let Sink::Shards(loader) = sink
            && let Some(ended) = loader.take_end()
            && pushed.is_ok()
            && let Err(error) = bulk.payload_ended(ended)
        {
            pushed = Err(error);
        }
        let mut report = self.shared.replication.link();
        report.sync_total_bytes = bulk.announced_bytes().unwrap_or(0);
        report.sync_read_bytes = bulk.passed_bytes();
        drop(report);
        let progress = match (fault, pushed) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(error.to_string()),
            (None, Ok(progress)) => Ok(progress),
        };
        match progress {
            Err(fault) => {
                self.fail_sync(claim.number, &fault);
                None
            }
            Ok(Progress::More) => Some(data.len()),
            Ok(Progress::Done { consumed }) => {
                let phase = std::mem::replace(&mut link.phase, Phase::Finishing);
                // From here on, for who looks before the task below runs.
                self.finishing_sync = true;
                let Phase::Receive(receive) = phase else { unreachable!("matched above") };
                let handle = self.handle.upgrade().expect("the loop holds the core");
                let generation = self.generation(index);
                self.new_tasks.push(Box::pin(finish_sync(handle, index, generation, *receive)));
                Some(consumed)
            }
        }
    }

    pub(super) fn fail_sync(&mut self, load: u64, fault: &str) {
        crate::warning!("Failed trying to load the MASTER synchronization DB: {fault}");
        let replication = Arc::clone(&self.shared.replication);
        replication.link().last_fault = fault.to_owned();
        replication.loading.end();
        replication.update_loading();
        self.drop_load(load);
        if let Some(following) = &mut self.following {
            following.at_fault = true;
        }
    }

    /// A batch that the load sent to another shard is in.
    pub fn load_settled(&mut self, number: u64, bytes: usize) {
        if let Some(loader) = &mut self.file_loader {
            loader.settled(number, bytes);
            if let Some(call) = loader.take_waited_for() {
                self.calls.finish(call, Box::new(()));
            }
            return;
        }
        let Some(index) = self.link_index else { return };
        let Some(connection) = self.connection(index) else { return };
        let Some(loader) = connection.link.as_mut().and_then(|link| link.loader()) else { return };
        loader.settled(number, bytes);
        self.resume_link_if_taken();
    }

    /// What became of the file of a full sync. One that cannot be written ends its link at once, however much the primary
    /// has left to send.
    fn file_ended(&mut self, call: u64, done: Done) {
        if let Err(error) = &done
            && let Some(index) = self.link_index
            && let Some(link) =
                self.connection(index).and_then(|connection| connection.link.as_ref())
            && let Phase::Receive(receive) = &link.phase
            && matches!(receive.sink, Sink::File { call: its_call, .. } if its_call == call)
        {
            let load = receive.claim.number;
            self.fail_sync(load, error);
            self.close_connection(index);
        }
        self.calls.finish(call, Box::new(done));
    }

    /// Goes on receiving from the primary when enough of what it sent has been taken.
    fn resume_link_if_taken(&mut self) {
        let Some(index) = self.link_index else { return };
        let Some(connection) = self.connection(index) else { return };
        let Some(link) = connection.link.as_mut() else { return };
        if !link.is_ahead() && connection.receiving_paused {
            connection.receiving_paused = false;
            let slot = connection.slot;
            self.ring.resume(slot);
        }
    }
}

/// The snapshot has arrived: puts it in the place of the data, and goes on with the stream.
async fn finish_sync(core: CoreHandle, index: u32, generation: u32, receive: Receive) {
    let Receive { claim, sink, replid, offset, .. } = receive;
    let replication = Arc::clone(&core.borrow().shared.replication);
    let result = put_in_place(&core, &claim, sink, replid, offset).await;
    let mut core = core.borrow_mut();
    core.finishing_sync = false;
    replication.loading.end();
    replication.update_loading();
    if core.connection_of(index, generation).is_none() {
        // The link is gone; another one asks from wherever the data stand now.
        if let Err(fault) = result {
            core.fail_sync(claim.number, &fault);
        }
        return;
    }
    match result {
        Err(fault) => {
            core.fail_sync(claim.number, &fault);
            core.close_connection(index);
        }
        Ok(()) => {
            crate::notice!("MASTER <-> REPLICA sync: Finished with success");
            let Some(mut connection) = core.take_connection(index) else { return };
            core.become_streaming(index, &mut connection);
            if let Some(following) = &mut core.following {
                following.retry_ms = RETRY_MS;
            }
            core.put_connection(index, connection);
            core.list_dirty(index);
            core.resume.push(index);
        }
    }
}

async fn put_in_place(
    core: &CoreHandle,
    claim: &load::Claim,
    sink: Sink,
    replid: Replid,
    offset: u64,
) -> Result<(), String> {
    match sink {
        Sink::Shards(mut loader) => {
            loader.finish(&mut core.borrow_mut())?;
            snapshot::interrupt(core).await;
            let position = loader.position;
            let result = take_over(core, claim, Duplicates::Refuse, position, replid, offset).await;
            snapshot::release(core);
            result
        }
        Sink::File { sink, done, path, .. } => {
            sink.finish();
            let done: Done = *done.await.downcast().expect("a file's outcome");
            done?;
            let result = load_received(core, claim, &path, replid, offset).await;
            if result.is_err() {
                let _ = std::fs::remove_file(&path);
            }
            result
        }
    }
}

/// Loads the file that was received, and gives it the configured name when its data is in place.
async fn load_received(
    core: &CoreHandle,
    claim: &load::Claim,
    path: &Path,
    replid: Replid,
    offset: u64,
) -> Result<(), String> {
    let file = load::open(path)?;
    // The old data goes only for data that is whole.
    load::read_file(core, &file, claim, false, true).await?;
    // Until the new data is in place a snapshot would be one of nothing, in the name of the old data.
    snapshot::interrupt(core).await;
    let result = replace_data(core, claim, &file, replid, offset).await;
    if result.is_ok() {
        let name = PathBuf::from(core.borrow().config.persistence.dbfilename.to_string());
        if let Err(error) = file_sink::rename(path, &name) {
            let error = crate::config::os_error_text(&error);
            crate::warning!("The snapshot of the MASTER could not be kept as a file: {error}");
            let _ = std::fs::remove_file(path);
        }
    }
    snapshot::release(core);
    result
}

/// Empties the databases and loads the file, which is whole.
async fn replace_data(
    core: &CoreHandle,
    claim: &load::Claim,
    file: &std::fs::File,
    replid: Replid,
    offset: u64,
) -> Result<(), String> {
    crate::notice!("MASTER <-> REPLICA sync: Flushing old data, loading DB in memory");
    let replication = Arc::clone(&core.borrow().shared.replication);
    let now_s = core.borrow().now.wall_ms / 1000;
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    replication.loading.begin(Loading::REFUSING, bytes, now_s);
    replication.update_loading();
    role::empty_data(core).await;
    match load::read_file(core, file, claim, false, false).await {
        Ok(position) => {
            take_over(core, claim, Duplicates::KeepLast, position, replid, offset).await
        }
        Err(error) => {
            // Nothing is left that a history could go on from.
            replication.identity().replace(crate::start::random_replid());
            Err(error)
        }
    }
}

/// The loaded data, its history and its place in that become this node's.
async fn take_over(
    core: &CoreHandle,
    claim: &load::Claim,
    duplicates: Duplicates,
    position: StreamPosition,
    replid: Replid,
    offset: u64,
) -> Result<(), String> {
    load::commit(core, claim, duplicates, |core| {
        let replication = Arc::clone(&core.shared.replication);
        replication.identity().replace(replid);
        replication.log.start(offset);
        core.stream_database = position.database.unwrap_or(0) as usize;
        core.post_all(Core::close_replicas);
    })
    .await
}
