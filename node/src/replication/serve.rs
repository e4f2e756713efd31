//! Replicas of this node, on the cores of their connections: REPLCONF and PSYNC, a full sync's payload, the live stream.
//!
//! A replica is a connection whose output is not replies but positions in the log: at the end of a round whatever the
//! log has beyond its position goes to its socket, straight from the log's blocks. While it receives a full sync its
//! position already stands at the cut, so the log keeps what comes after it.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU64};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::{Handler, SessionCommand, Spec};
use ringfort_core::error::Error;
use ringfort_core::session::ReplyMode;
use ringfort_core::store::garbage;
use ringfort_replication::failover::{PSYNC_REFUSED, may_take_over};
use ringfort_replication::handshake::{ReplconfOption, ReplicaCapabilities, parse_replconf};
use ringfort_replication::identity::{Decision, PsyncRequest, Replid};
use ringfort_replication::log::Reader;

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::Flow;
use crate::session_commands::reply_to;

use super::{Replica, lock};

/// How far a replica's link is; the words are INFO's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// It told of itself (REPLCONF) and asked for nothing yet.
    Announced = 0,
    /// Waits for a snapshot to begin.
    Waiting = 1,
    /// Is sent a snapshot.
    Receiving = 2,
    /// Has it, and is sent the live stream; after a full sync, once it acknowledged.
    Online = 3,
}

impl Stage {
    pub fn from_number(number: u8) -> Stage {
        match number {
            0 => Stage::Announced,
            1 => Stage::Waiting,
            2 => Stage::Receiving,
            _ => Stage::Online,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Stage::Announced | Stage::Waiting => "wait_bgsave",
            Stage::Receiving => "send_bulk",
            Stage::Online => "online",
        }
    }
}

/// A replica that waits for a full sync.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub core: usize,
    pub index: u32,
    pub generation: u32,
    pub replica: Arc<Replica>,
    /// It takes a payload that ends with a mark instead of having a length.
    pub eof: bool,
    /// It can be told when fields of hashes expire.
    pub field_times: bool,
    /// It asked by SYNC: it knows of no line before the payload.
    pub by_sync: bool,
    pub since_ms: u64,
}

/// From this version on, of those that replicas announce, they read the RDB of Valkey 9.
pub const READS_FIELD_TIMES: [u8; 3] = [9, 0, 0];

/// The replica's half of a connection.
#[derive(Default)]
pub struct ReplicaSession {
    pub port: u16,
    pub announced_ip: Option<String>,
    pub capabilities: ReplicaCapabilities,
    /// What it announced; zeros where it did not.
    pub version: [u8; 3],
    /// It wants a snapshot and nothing behind it.
    pub rdb_only: bool,
    /// Shared with the other cores from PSYNC on.
    pub shared: Option<Arc<Replica>>,
    /// Its position in the log.
    reader: Option<Reader>,
    /// The live stream begins when it acknowledged the snapshot.
    starts_on_ack: bool,
    /// What of a snapshot waits to be sent.
    payload: VecDeque<Bytes>,
    payload_bytes: usize,
    /// All of the snapshot is in `payload` or was sent.
    payload_ended: bool,
    /// All of it was sent.
    payload_sent: bool,
    /// What is left of a snapshot that is sent from a file.
    file: Option<std::io::Take<std::fs::File>>,
    /// Bytes of pieces in flight.
    sending_bytes: usize,
    /// Of these, bytes of a snapshot.
    sending_payload_bytes: usize,
    /// The core that is told of payload that was sent.
    streamer: usize,
    sent_newline_ms: u64,
}

/// Bytes given to one send. The kernel copies them, and over loopback receives them too, inside of the system call: with
/// a megabyte that kept other clients waiting for more than two milliseconds.
const SEND_BYTES_MAX: usize = 1 << 16;

/// The same of a snapshot, which has less hurry than clients.
const PAYLOAD_BYTES_MAX: usize = 1 << 14;

/// Pieces given to one send.
const SEND_PIECES_MAX: usize = 1024;

/// Bytes read at once of a snapshot that lies in a file.
const FILE_BYTES: usize = 1 << 16;

impl ReplicaSession {
    pub fn stage(&self) -> Stage {
        self.shared.as_ref().map_or(Stage::Announced, |shared| shared.stage())
    }

    fn set_stage(&self, stage: Stage) {
        if let Some(shared) = &self.shared {
            shared.stage.store(stage as u8, Relaxed);
        }
    }

    /// Whether it is a replica, not a client that only told of itself.
    pub fn is_linked(&self) -> bool {
        self.shared.is_some()
    }

    /// Bytes that the node keeps for it: of the snapshot, and of the log behind its position.
    pub fn pending_bytes(&self, log_end: u64) -> u64 {
        let log = self.reader.as_ref().map_or(0, |reader| log_end.saturating_sub(reader.offset()));
        log + (self.payload_bytes + self.sending_bytes) as u64
    }

    fn wants_log(&self) -> bool {
        self.stage() == Stage::Online && !self.starts_on_ack && !self.rdb_only
    }

    /// All of the snapshot was given to sends.
    fn has_whole_payload(&self) -> bool {
        self.payload_ended && self.payload.is_empty()
    }

    /// The next pieces to send; empty: nothing for now. Error: the snapshot's file is not what was announced.
    fn next_pieces(&mut self) -> std::io::Result<Vec<Bytes>> {
        let mut pieces = Vec::new();
        let mut bytes = 0;
        if let Some(file) = &mut self.file
            && self.payload.is_empty()
        {
            let mut buffer = vec![0; FILE_BYTES];
            match file.read(&mut buffer)? {
                0 if file.limit() > 0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                0 => {
                    self.file = None;
                    self.payload_ended = true;
                }
                read => {
                    buffer.truncate(read);
                    self.payload_bytes += read;
                    self.payload.push_back(buffer.into());
                }
            }
        }
        while bytes < PAYLOAD_BYTES_MAX
            && pieces.len() < SEND_PIECES_MAX
            && let Some(piece) = self.payload.pop_front()
        {
            bytes += piece.len();
            pieces.push(piece);
        }
        self.payload_bytes -= bytes;
        self.sending_payload_bytes = bytes;
        if pieces.is_empty()
            && self.wants_log()
            && let Some(reader) = &mut self.reader
        {
            while bytes < SEND_BYTES_MAX
                && let Some(piece) = reader.read(SEND_BYTES_MAX - bytes)
            {
                bytes += piece.len();
                pieces.push(piece);
            }
        }
        self.sending_bytes = bytes;
        Ok(pieces)
    }
}

impl Core {
    /// REPLCONF option value ...
    pub fn replconf(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
    ) -> Result<(), Error> {
        if connection.link.is_some() {
            // The primary asks how far this node is.
            if args.is(1, "getack") {
                self.acknowledge(connection);
            }
            return Ok(());
        }
        let request = parse_replconf(args)?;
        let is_linked = connection.replica.as_ref().is_some_and(|replica| replica.is_linked());
        for option in request.options {
            if let ReplconfOption::Ack { offset, .. } = option {
                self.acknowledged(index, connection, offset);
            } else if !is_linked {
                let replica = connection.replica.get_or_insert_default();
                match option {
                    ReplconfOption::ListeningPort(port) => replica.port = port,
                    ReplconfOption::IpAddress(ip) => replica.announced_ip = Some(ip),
                    ReplconfOption::Capabilities(more) => {
                        replica.capabilities = replica.capabilities.with(more);
                    }
                    ReplconfOption::Version(version) => replica.version = version,
                    ReplconfOption::RdbOnly(only) => replica.rdb_only = only,
                    _ => {}
                }
            }
        }
        if !request.answered {
            return Ok(());
        }
        reply_to(connection).ok();
        Ok(())
    }

    /// PSYNC replid offset [FAILOVER], SYNC.
    pub fn psync(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
    ) -> Result<Flow, Error> {
        if connection.replica.as_ref().is_some_and(|replica| replica.is_linked()) {
            return Ok(Flow::Next);
        }
        if connection.link.is_some() {
            return Ok(Flow::Next);
        }
        // What it asked for before comes before the stream, and nothing may come into it.
        if connection.remote > 0 {
            return Ok(Flow::Wait(Wait::Remote));
        }
        let session = &connection.session;
        if session.subscriptions + session.shard_subscriptions > 0 || session.monitor {
            return Err(Error::new(
                "ERR A client with subscriptions, or in MONITOR, can't be a replica",
            ));
        }
        if self.shared.shutting_down.load(Relaxed) {
            return Err(Error::new("ERR Can't SYNC while the server is shutting down"));
        }
        let replication = Arc::clone(&self.shared.replication);
        if self.is_failing_over() {
            return Err(PSYNC_REFUSED);
        }
        let takes_over = args.len() == 4 && args.is(3, "failover");
        if takes_over {
            let request = PsyncRequest::parse(args)?;
            may_take_over(&request, replication.is_replica(), &replication.identity().replid())?;
            return Ok(self.take_over(index, connection, args));
        }
        if replication.is_replica() && !replication.link().is_up() {
            return Err(Error::new("NOMASTERLINK Can't SYNC while not connected with my master"));
        }
        if !connection.output.is_empty() && connection.waiting_output_bytes() > OUTPUT_MAX {
            return Err(Error::new("ERR SYNC and PSYNC are invalid with pending output"));
        }
        self.publish_effects();
        let is_psync = args.len() == 3;
        let replica = connection.replica.get_or_insert_default();
        let host = connection.peer.rsplit_once(':').map_or(connection.peer.as_str(), |(ip, _)| ip);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = format!("{}:{}", replica.announced_ip.as_ref().unwrap_or(&host), replica.port);
        crate::notice!("Replica {name} asks for synchronization");
        let shared = Arc::new(Replica {
            id: connection.id,
            address: Mutex::new(replica.announced_ip.clone().unwrap_or(host)),
            port: AtomicU16::new(replica.port),
            stage: AtomicU8::new(Stage::Waiting as u8),
            ack: AtomicU64::new(0),
            ack_ms: AtomicU64::new(self.now.mono_ms()),
            pending_bytes: AtomicU64::new(0),
        });
        let mut continued = None;
        if is_psync {
            let asked = PsyncRequest::parse(args)?;
            let log = &replication.log;
            let log = log.is_active().then(|| log.first()..=log.end());
            let identity = replication.identity();
            match identity.decide(&asked, log) {
                Decision::Continue { from } => {
                    continued = replication
                        .log
                        .reader_at(from)
                        .map(|reader| (from, reader, identity.replid()));
                }
                Decision::Full(reason) => {
                    crate::notice!("Full resync for {name}: {reason}");
                    if !asked.is_fresh() {
                        replication.counters.sync_partial_err.fetch_add(1, Relaxed);
                    }
                }
            }
        }
        replica.shared = Some(Arc::clone(&shared));
        if self.config.replication.repl_disable_tcp_nodelay
            && let Err(error) = ringfort_net::connect::set_nodelay(connection.file, false)
        {
            crate::verbose!("Could not set socket options of a replica: {error}");
        }
        // What it is sent from here on is no replies.
        connection.session.reply_mode = ReplyMode::Off;
        if let Some((from, reader, replid)) = continued {
            replication.counters.sync_partial_ok.fetch_add(1, Relaxed);
            crate::notice!(
                "Partial resynchronization request from {name} accepted. Sending {} bytes of backlog starting from \
                 offset {}.",
                replication.log.end() - from,
                from + 1
            );
            let announces = replica.capabilities.psync2;
            shared.ack.store(from, Relaxed);
            replica.reader = Some(reader);
            replica.set_stage(Stage::Online);
            let line = if announces {
                format!("+CONTINUE {replid}\r\n")
            } else {
                "+CONTINUE\r\n".to_owned()
            };
            connection.output.extend_from_slice(line.as_bytes());
            replication.replicas().push(shared);
            self.add_reader(index);
            self.mark_dirty(index, connection);
            self.wake_ack_waiters();
            return Ok(Flow::Next);
        }
        let eof = replica.capabilities.eof;
        let waiting = Waiting {
            core: self.id,
            index,
            generation: self.generation(index),
            replica: Arc::clone(&shared),
            eof,
            field_times: replica.version >= READS_FIELD_TIMES,
            by_sync: !is_psync,
            since_ms: self.now.mono_ms(),
        };
        replication.replicas().push(shared);
        lock(&replication.waiting).push(waiting);
        self.post(0, |core| core.start_sync_if_due());
        Ok(Flow::Next)
    }

    /// PSYNC ... FAILOVER of this node's primary: takes its place, then answers it as any replica.
    fn take_over(&mut self, index: u32, connection: &mut Connection, args: &Args) -> Flow {
        crate::warning!("Failover request received from the primary: this node takes its place.");
        let own = OwnedArgs::new(args.iter().take(3));
        self.start_task(index, connection, move |client| async move {
            super::become_primary(&client.core).await;
            let answered = client.with_connection(|core, connection| {
                core.psync(client.index, connection, &own.args())
            });
            match answered {
                Some(Err(error)) => client.error(error),
                _ => Vec::new(),
            }
        })
    }

    /// Connection `index` is sent the log from now on.
    fn add_reader(&mut self, index: u32) {
        self.readers.push(index);
        self.shared.replication.readers[self.id].store(self.readers.len(), Relaxed);
    }

    /// A replica said how far it is.
    fn acknowledged(&mut self, index: u32, connection: &mut Connection, offset: u64) {
        let Some(replica) = &mut connection.replica else { return };
        let Some(shared) = &replica.shared else { return };
        let end = self.shared.replication.log.end();
        if offset > end {
            // It is not of this history: what it acknowledges must not count for WAIT.
            crate::warning!(
                "Replica acknowledges offset {offset}, but this node is at {end} only: closing the link."
            );
            connection.close_after_reply = true;
            self.mark_dirty(index, connection);
            return;
        }
        shared.ack.fetch_max(offset, Relaxed);
        shared.ack_ms.store(self.now.mono_ms(), Relaxed);
        // It may have the last piece before we know that it was sent.
        let has_it =
            replica.stage() == Stage::Receiving && replica.has_whole_payload() && !replica.rdb_only;
        if has_it && std::mem::take(&mut replica.starts_on_ack) {
            replica.set_stage(Stage::Online);
            crate::notice!(
                "Streamed replica with {} has the snapshot; sending what came after it",
                connection.peer
            );
            self.mark_dirty(index, connection);
        }
        self.wake_ack_waiters();
    }

    // --- A full sync ------------------------------------------------------------------------------------

    /// The snapshot for a waiting replica begins at the log's `reader`; `first` goes before it. One that gets it from a
    /// file waits until that is written.
    pub fn begin_payload(
        &mut self,
        waiting: &Waiting,
        reader: Option<Reader>,
        first: Vec<u8>,
        streamer: usize,
        by_file: bool,
    ) {
        let now_ms = self.now.mono_ms();
        let Some(connection) = self.connection_of(waiting.index, waiting.generation) else {
            return;
        };
        let Some(replica) = connection.replica.as_mut() else { return };
        if let Some(shared) = &replica.shared {
            // It may have waited for long.
            shared.ack_ms.store(now_ms, Relaxed);
        }
        replica.reader = reader;
        replica.streamer = streamer;
        replica.starts_on_ack = true;
        replica.sent_newline_ms = now_ms;
        if !by_file {
            replica.set_stage(Stage::Receiving);
        }
        connection.output.extend_from_slice(&first);
        let index = waiting.index;
        self.add_reader(index);
        self.list_dirty(index);
    }

    /// Part of the snapshot, its last one if `ended`. The streamer is told if the replica is gone.
    pub fn add_payload(
        &mut self,
        waiting: &Waiting,
        pieces: Vec<Bytes>,
        ended: bool,
        streamer: usize,
    ) {
        let (core, index, generation) = (self.id, waiting.index, waiting.generation);
        let connection = self.connection_of(index, generation);
        let Some(replica) = connection.and_then(|connection| connection.replica.as_mut()) else {
            self.post(streamer, move |streamer| {
                streamer.payload_sent(core, index, generation, usize::MAX);
            });
            return;
        };
        replica.payload_bytes += pieces.iter().map(Bytes::len).sum::<usize>();
        replica.payload.extend(pieces);
        replica.payload_ended |= ended;
        self.list_dirty(waiting.index);
    }

    /// The snapshot lies in a file.
    pub fn send_file(&mut self, waiting: &Waiting, file: std::fs::File) {
        let now_ms = self.now.mono_ms();
        let Some(connection) = self.connection_of(waiting.index, waiting.generation) else {
            return;
        };
        let Some(replica) = connection.replica.as_mut() else { return };
        let bytes = match file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) => {
                crate::warning!("SYNC failed: {}", crate::config::os_error_text(&error));
                return self.close_connection(waiting.index);
            }
        };
        replica.file = Some(file.take(bytes));
        if let Some(shared) = &replica.shared {
            shared.ack_ms.store(now_ms, Relaxed);
        }
        // The replica knows where the payload ends, and says nothing then.
        replica.starts_on_ack = false;
        replica.set_stage(Stage::Receiving);
        connection.output.extend_from_slice(format!("${bytes}\r\n").as_bytes());
        self.list_dirty(waiting.index);
    }

    /// The snapshot for this replica failed: the link ends, the replica tries again.
    pub fn fail_payload(&mut self, waiting: &Waiting) {
        if self.connection_of(waiting.index, waiting.generation).is_some() {
            self.close_connection(waiting.index);
        }
    }

    pub fn list_dirty(&mut self, index: u32) {
        if let Some(connection) = self.connection(index)
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }

    // --- Sending ------------------------------------------------------------------------------------------

    /// Whether the log has something for a replica of this core.
    pub fn has_log_to_send(&self) -> bool {
        !self.readers.is_empty() && self.shared.replication.log.end() != self.log_end_seen
    }

    /// At the end of a round: replicas that are behind the log's end are sent more.
    pub fn list_readers(&mut self) {
        if !self.has_log_to_send() {
            return;
        }
        self.log_end_seen = self.shared.replication.log.end();
        for at in 0..self.readers.len() {
            self.list_dirty(self.readers[at]);
        }
    }

    /// Sends a replica's next bytes, if nothing of its is on the way.
    pub fn send_to_replica(&mut self, connection: &mut Connection) {
        let log_end = self.shared.replication.log.end();
        let now_ms = self.now.mono_ms();
        let Some(replica) = connection.replica.as_mut() else { return };
        // One that is being closed is sent nothing more: there might be no end to it.
        if connection.is_sending || connection.close_after_reply || !connection.output.is_empty() {
            return;
        }
        let pieces = match replica.next_pieces() {
            Ok(pieces) => pieces,
            Err(error) => {
                crate::warning!(
                    "Failed sending the snapshot to replica {}: {}",
                    connection.peer,
                    crate::config::os_error_text(&error)
                );
                connection.close_after_reply = true;
                return;
            }
        };
        if let Some(shared) = &replica.shared {
            shared.pending_bytes.store(replica.pending_bytes(log_end), Relaxed);
            if replica.sending_payload_bytes > 0 {
                shared.ack_ms.store(now_ms, Relaxed);
            }
        }
        if pieces.is_empty() {
            self.end_payload_if_sent(connection);
            return;
        }
        connection.is_sending = true;
        connection.output_bytes += replica.sending_bytes as u64;
        self.shared
            .replication
            .counters
            .output_bytes
            .fetch_add(replica.sending_bytes as u64, Relaxed);
        self.ring.send_pieces(connection.slot, pieces);
    }

    fn end_payload_if_sent(&mut self, connection: &mut Connection) {
        let Some(replica) = connection.replica.as_mut() else { return };
        if replica.stage() != Stage::Receiving || !replica.payload_ended {
            return;
        }
        if replica.rdb_only {
            connection.close_after_reply = true;
            return;
        }
        if std::mem::replace(&mut replica.payload_sent, true) {
            return;
        }
        if !replica.starts_on_ack {
            replica.set_stage(Stage::Online);
        }
        if let Some(shared) = &replica.shared {
            shared.ack_ms.store(self.now.mono_ms(), Relaxed);
        }
        crate::notice!("Synchronization with replica {} succeeded", connection.peer);
    }

    /// Pieces were sent.
    pub fn pieces_sent(&mut self, token: ringfort_net::Token, result: std::io::Result<()>) {
        let Some(index) = self.index_of(token) else { return };
        let now_ms = self.now.mono_ms();
        let Some(connection) = self.connection(index) else { return };
        connection.is_sending = false;
        let Some(replica) = connection.replica.as_mut() else { return };
        replica.sending_bytes = 0;
        let receives = replica.stage() == Stage::Receiving;
        if let Some(shared) = replica.shared.as_ref().filter(|_| receives && result.is_ok()) {
            // It takes the snapshot, so it lives.
            shared.ack_ms.store(now_ms, Relaxed);
        }
        let payload_bytes = std::mem::take(&mut replica.sending_payload_bytes);
        let (streamer, generation) = (replica.streamer, self.generation(index));
        if payload_bytes > 0 {
            let (core, ok) = (self.id, result.is_ok());
            self.post(streamer, move |streamer| {
                streamer.payload_sent(
                    core,
                    index,
                    generation,
                    if ok { payload_bytes } else { usize::MAX },
                );
            });
        }
        if result.is_err() {
            self.close_connection(index);
        } else {
            self.list_dirty(index);
        }
    }

    /// Called by the clock: newlines to those who wait, links that are dead, what is pending.
    pub fn watch_replicas(&mut self) {
        const NEWLINE_MS: u64 = 1000;
        let now_ms = self.now.mono_ms();
        let timeout_ms = u64::from(self.config.replication.repl_timeout_seconds) * 1000;
        let log_end = self.shared.replication.log.end();
        let replicas: Vec<u32> = self
            .connections()
            .filter(|(_, connection)| connection.replica.as_ref().is_some_and(|r| r.is_linked()))
            .map(|(index, _)| index)
            .collect();
        for index in replicas {
            let Some(connection) = self.connection(index) else { continue };
            let (heard_ms, is_sending) = (connection.active_ms, connection.is_sending);
            let Some(replica) = connection.replica.as_mut() else { continue };
            let Some(shared) = replica.shared.clone() else { continue };
            shared.pending_bytes.store(replica.pending_bytes(log_end), Relaxed);
            let ack_ms = shared.ack_ms.load(Relaxed);
            let last_ms = match replica.stage() {
                // Only that it takes the snapshot counts: one that says newlines and reads nothing would hold it up.
                Stage::Receiving if is_sending => ack_ms,
                // The snapshot has nothing for it right now.
                Stage::Receiving if !replica.payload_sent => now_ms,
                // A newline while it loads is a sign of life.
                _ => heard_ms.max(ack_ms),
            };
            match replica.stage() {
                Stage::Waiting if now_ms - replica.sent_newline_ms >= NEWLINE_MS => {
                    replica.sent_newline_ms = now_ms;
                    connection.output.push(b'\n');
                    self.list_dirty(index);
                }
                Stage::Receiving | Stage::Online if now_ms.saturating_sub(last_ms) > timeout_ms => {
                    crate::warning!("Disconnecting timedout replica: {}", connection.peer);
                    self.close_connection(index);
                }
                // Its output limit is looked at.
                _ => self.list_dirty(index),
            }
        }
    }

    /// A connection goes: it is no replica any more.
    pub fn forget_replica(&mut self, index: u32, connection: &mut Connection) {
        let Some(replica) = connection.replica.take() else { return };
        let Some(shared) = replica.shared else { return };
        // It may be all that keeps much of the log.
        replica.reader.into_iter().for_each(garbage::discard);
        crate::notice!("Connection with replica client id #{} lost.", connection.id);
        self.readers.retain(|reader| *reader != index);
        let replication = &self.shared.replication;
        replication.readers[self.id].store(self.readers.len(), Relaxed);
        replication.replicas().retain(|other| other.id != shared.id);
        lock(&replication.waiting).retain(|waiting| waiting.replica.id != shared.id);
        let (core, generation, streamer) = (self.id, self.generation(index), replica.streamer);
        if shared.stage() == Stage::Receiving {
            self.post(streamer, move |streamer| {
                streamer.payload_sent(core, index, generation, usize::MAX);
            });
        }
        self.wake_ack_waiters();
    }

    /// Ends the links of all replicas of this core.
    pub fn close_replicas(&mut self) {
        let linked: Vec<u32> = self
            .connections()
            .filter(|(_, connection)| connection.replica.as_ref().is_some_and(|r| r.is_linked()))
            .map(|(index, _)| index)
            .collect();
        linked.into_iter().for_each(|index| self.close_connection(index));
    }
}

/// Replies that may be unsent when a connection becomes a replica: what it asked before in one go.
const OUTPUT_MAX: usize = 1 << 16;

/// What a linked replica may send: how far it is, and a farewell. Replies to anything else would come into the stream,
/// so it is disconnected over it, as by Redis.
pub fn is_for_replicas(spec: &Spec) -> bool {
    use SessionCommand::{Ping, Psync, Quit, Replconf, Sync};
    matches!(spec.handler, Handler::Session(Ping | Psync | Quit | Replconf | Sync))
}

/// The line that begins a full sync.
pub fn full_resync_line(replid: &Replid, offset: u64) -> String {
    format!("+FULLRESYNC {replid} {offset}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A replica that acknowledged before the end of the last send was known was not listened to, and the stream
    /// began with its next acknowledgement, a second later.
    #[test]
    fn a_replica_may_have_its_snapshot_while_the_last_piece_is_in_flight() {
        let last = Bytes::from_static(b"last");
        let mut replica = ReplicaSession {
            payload: [last.clone()].into(),
            payload_bytes: last.len(),
            ..ReplicaSession::default()
        };
        replica.payload_ended = true;
        assert!(!replica.has_whole_payload());
        assert_eq!(replica.next_pieces().unwrap(), [last]);
        assert!(replica.has_whole_payload() && !replica.payload_sent);
    }
}
