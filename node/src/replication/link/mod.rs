//! This node as a replica: the link to its primary, from connecting to applying the stream.
//!
//! Core 0 keeps the link. It is a connection like any other whose commands go the ordinary way, to whatever shard owns
//! their keys, but for three things: writes for different shards may overlap (those for one shard keep their order,
//! and whatever touches several waits for all before it), its replies are dropped, and the bytes of its commands are
//! appended to this node's log, as they are, once the whole command or transaction has been applied. So the log's end
//! is the offset up to which this node's data are the primary's, which is what it acknowledges, and what it asks for
//! after the link was cut.
//!
//! A link is given up only when everything it began has been applied: until then the connection stays, without its
//! socket. What was received and not begun goes with it.

mod receive;
mod stream;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ringfort_core::session::Session;
use ringfort_net::{connect, listen};
use ringfort_replication::handshake::{
    Ask, Config as HandshakeConfig, Handshake, HandshakeError, Outcome,
};

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::tasks::{Answer, CoreHandle, on_core, sleep_ms};

use super::load::Loader;
use super::{Loading, Replication};
use receive::{Receive, Sink};

/// What a primary may be told of our version: the highest dialect that we read (Valkey looks at it, and so do we: see
/// [`super::serve::READS_FIELD_TIMES`]).
const ANNOUNCED_VERSION: &str = "9.0.0";

/// Between two attempts to link, in milliseconds; doubled after each that failed for what the primary sent.
pub const RETRY_MS: u64 = 1000;
const RETRY_MS_MAX: u64 = 30_000;

/// The primary that core 0 follows.
#[derive(Clone, Debug)]
pub struct Following {
    pub host: String,
    pub port: u16,
    /// Counts the changes of primary: what belongs to an older one gives up.
    pub attempt: u64,
    /// The first PSYNC asks the primary to be promoted: this node was it.
    pub failover: bool,
    /// How long to wait before the next attempt, unless the last link had come up and was not at fault.
    pub retry_ms: u64,
    pub linked: bool,
    /// What the primary sent last was not what it should be.
    pub at_fault: bool,
}

/// What INFO and ROLE say of the link.
#[derive(Clone, Debug, Default)]
pub struct LinkReport {
    pub host: String,
    pub port: u16,
    pub state: LinkState,
    /// Milliseconds of the monotonic clock.
    pub down_since_ms: u64,
    pub sync_total_bytes: u64,
    pub sync_read_bytes: u64,
    /// Why the last link ended, if that was the primary's fault.
    pub last_fault: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkState {
    #[default]
    Connect,
    Connecting,
    Handshake,
    Sync,
    Connected,
}

impl LinkState {
    /// ROLE's word.
    pub fn word(self) -> &'static str {
        match self {
            LinkState::Connect => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Handshake => "handshake",
            LinkState::Sync => "sync",
            LinkState::Connected => "connected",
        }
    }
}

impl LinkReport {
    /// There is a primary to link to.
    pub fn begin(&mut self, host: String, port: u16) {
        self.host = host;
        self.port = port;
        self.down_since_ms = ringfort_net::clock::monotonic_us() / 1000;
    }

    pub fn is_up(&self) -> bool {
        self.state == LinkState::Connected
    }
}

/// The primary's half of a connection.
pub struct PrimaryLink {
    phase: Phase,
    /// The call to finish when the connection is gone.
    ended: u64,
    /// Bytes of commands that have been begun and are not in the log.
    unapplied: Vec<u8>,
    /// Bytes of the stream that have been begun, and of these, those in the log.
    begun_bytes: u64,
    /// Of these, bytes up to the last place outside of MULTI … EXEC.
    whole_bytes: u64,
    logged_bytes: u64,
    /// (reply awaited, `begun_bytes` there): when all replies before it have come, so much is applied.
    marks: VecDeque<(u64, u64)>,
    /// The primary asked how far we are, in the input that is being run, or when so many bytes had been begun.
    ack_asked: bool,
    ack_asked_at: Option<u64>,
    /// Where in the input that is being run the last command outside of a transaction ended.
    pub whole_in_run: Option<usize>,
    /// Nothing more is begun for now.
    held: bool,
    /// The socket is gone; the connection goes when all is applied.
    closing: bool,
    sent_ms: u64,
    last_io_ms: u64,
    /// To be sent.
    output: Vec<u8>,
}

enum Phase {
    Handshake(Box<Handshake>),
    Receive(Box<Receive>),
    /// The snapshot is being put into place; what comes waits.
    Finishing,
    Stream,
}

impl PrimaryLink {
    fn new(phase: Phase, ended: u64, now_ms: u64) -> PrimaryLink {
        PrimaryLink {
            phase,
            ended,
            unapplied: Vec::new(),
            begun_bytes: 0,
            whole_bytes: 0,
            logged_bytes: 0,
            marks: VecDeque::new(),
            ack_asked: false,
            ack_asked_at: None,
            whole_in_run: None,
            held: false,
            closing: false,
            sent_ms: now_ms,
            last_io_ms: now_ms,
            output: Vec::new(),
        }
    }

    pub fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Stream)
    }

    pub fn is_held(&self) -> bool {
        self.held || !self.is_streaming()
    }

    /// The snapshot comes faster than the shards take it.
    pub fn is_ahead(&mut self) -> bool {
        match &self.phase {
            Phase::Receive(receive) => receive.is_ahead(),
            _ => false,
        }
    }

    fn loader(&mut self) -> Option<&mut Loader> {
        match &mut self.phase {
            Phase::Receive(receive) => match &mut receive.sink {
                Sink::Shards(loader) => Some(loader),
                Sink::File { .. } => None,
            },
            _ => None,
        }
    }
}

/// What the primary is told goes out with the next send, in the place of replies, which go nowhere. Until then it stays
/// with the link.
pub fn take_output(connection: &mut Connection) {
    let Some(link) = connection.link.as_mut() else { return };
    connection.output.clear();
    if !link.closing && !connection.is_sending {
        connection.output.append(&mut link.output);
    }
}

/// Whether all that the link's connection began has been applied.
fn is_drained(connection: &Connection) -> bool {
    connection.remote == 0 && connection.wait != Wait::Task
}

/// Lets the link finish what it began, and begin nothing more until [`release`]: the data then are those of the log's
/// end. Also where there is no link: one may come.
pub async fn hold(core: &CoreHandle) {
    on_core(core, 0, |core| core.link_holds += 1).await;
    while !on_core(core, 0, |core| core.link_is_drained()).await {
        sleep_ms(core, 1).await;
    }
}

pub async fn release(core: &CoreHandle) {
    on_core(core, 0, Core::end_hold).await;
}

/// Follows the primary that core 0 was told to follow, until it is told otherwise. Runs on core 0.
pub async fn follow(core: CoreHandle, attempt: u64) {
    loop {
        // What the last link brought has to be in place before another one may bring anything.
        while core.borrow().finishing_sync {
            sleep_ms(&core, 10).await;
        }
        let Some(following) = current(&core, attempt) else { return };
        let ended = connect_once(&core, &following).await;
        if let Some(ended) = ended {
            ended.await;
        }
        let Some(following) = current(&core, attempt) else { return };
        set_state(&core.borrow().shared.replication, LinkState::Connect);
        // A link that was cut is made again at once: the backlog does not last for ever.
        if !following.linked || following.at_fault {
            sleep_ms(&core, following.retry_ms).await;
        }
        let following = &mut core.borrow_mut().following;
        // Another primary may be followed by now.
        if let Some(following) = following.as_mut().filter(|now| now.attempt == attempt) {
            following.linked = false;
            if std::mem::take(&mut following.at_fault) {
                following.retry_ms = (following.retry_ms * 2).min(RETRY_MS_MAX);
            }
        }
    }
}

fn current(core: &CoreHandle, attempt: u64) -> Option<Following> {
    core.borrow().following.clone().filter(|following| following.attempt == attempt)
}

fn set_state(replication: &Replication, state: LinkState) {
    let mut link = replication.link();
    let was_up = link.is_up();
    link.state = state;
    if was_up && state != LinkState::Connected {
        link.down_since_ms = ringfort_net::clock::monotonic_us() / 1000;
    }
    drop(link);
    replication.update_stale(state == LinkState::Connected);
}

/// Connects and begins the handshake. `None`: that failed. Otherwise the end of the link.
async fn connect_once(core: &CoreHandle, following: &Following) -> Option<Answer> {
    let (pending, config) = {
        let core = core.borrow();
        let config = core.config.clone();
        set_state(&core.shared.replication, LinkState::Connecting);
        crate::notice!("Connecting to MASTER {}:{}", following.host, following.port);
        let (host, port) = (following.host.clone(), following.port);
        let timeout = Duration::from_secs(config.replication.repl_timeout_seconds.into());
        let waker = core.mailbox.waker().clone();
        let pending = ringfort_net::blocking::run(&waker, "ringfort-connect", move || {
            connect::connect(&host, port, None, timeout)
        });
        (pending, config)
    };
    let connected = match pending {
        Ok(pending) => pending.await,
        Err(error) => Err(error),
    };
    let socket = match connected {
        Ok(socket) => socket,
        Err(error) => {
            crate::warning!(
                "Error condition on socket for SYNC: {}",
                crate::config::os_error_text(&error)
            );
            return None;
        }
    };
    current(core, following.attempt)?;
    crate::notice!("MASTER <-> REPLICA sync started");
    let mut core = core.borrow_mut();
    let replication = Arc::clone(&core.shared.replication);
    set_state(&replication, LinkState::Handshake);
    let settings = &config.replication;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let announced_port = match settings.replica_announce_port {
        0 => config.network.port,
        port => port,
    };
    let handshake = Handshake::new(HandshakeConfig {
        user: text(&settings.masteruser.to_string()),
        password: settings
            .masterauth
            .as_option()
            .map(|password| String::from_utf8_lossy(password).into_owned()),
        listening_port: announced_port,
        announce_ip: text(&settings.replica_announce_ip.to_string()),
        version: ANNOUNCED_VERSION,
        ask: Ask::Continue {
            replid: replication.identity().replid(),
            offset: replication.log.end(),
        },
        failover: following.failover,
    });
    let (ended, answer) = core.calls.expect();
    core.attach_link(socket, handshake, ended);
    Some(answer)
}

impl Core {
    fn attach_link(&mut self, socket: std::os::fd::OwnedFd, handshake: Handshake, ended: u64) {
        use std::os::fd::AsRawFd;
        let file = socket.as_raw_fd();
        if let Err(error) = listen::configure_connection(file, self.settings.tcp_keepalive_s) {
            crate::verbose!("Could not set socket options of the link: {error}");
        }
        let (peer, local) = (listen::peer_address(file), listen::local_address(file));
        let id = self.shared.next_client.fetch_add(1, Relaxed);
        self.shared.clients.fetch_add(1, Relaxed);
        self.shared.cores[self.id].connections.fetch_add(1, Relaxed);
        let (index, token) = self.reserve_connection();
        let slot = self.ring.attach(token, socket);
        let now = self.now.mono_ms();
        let mut session = Session { authenticated: true, ..Session::default() };
        session.caller.is_primary = true;
        let mut connection = Connection::new(id, token, slot, session, file, peer, local, now);
        let phase = Phase::Handshake(Box::new(handshake));
        connection.link = Some(Box::new(PrimaryLink::new(phase, ended, now)));
        self.link_index = Some(index);
        self.advance_handshake(index, &mut connection, &[]);
        self.insert_connection(index, Box::new(connection));
        self.list_dirty(index);
    }

    pub fn note_link_input(&mut self, connection: &mut Connection, bytes: usize) {
        let now_ms = self.now.mono_ms();
        let replication = &self.shared.replication;
        replication.counters.input_bytes.fetch_add(bytes as u64, Relaxed);
        replication.link_io_ms.store(now_ms, Relaxed);
        if let Some(link) = connection.link.as_mut() {
            link.last_io_ms = now_ms;
        }
    }

    /// Bytes of the primary; returns how many are the stream's, at the end of `data`.
    pub fn link_received(&mut self, index: u32, connection: &mut Connection, data: &[u8]) -> usize {
        let mut rest = data;
        loop {
            let Some(link) = connection.link.as_mut() else { return 0 };
            if link.closing {
                return 0;
            }
            let used = match &mut link.phase {
                Phase::Stream | Phase::Finishing => return rest.len(),
                Phase::Handshake(_) => self.advance_handshake(index, connection, rest),
                Phase::Receive(_) => self.receive_snapshot(index, connection, rest),
            };
            match used {
                Some(used) => rest = &rest[used..],
                None => {
                    connection.close_after_reply = true;
                    self.mark_dirty(index, connection);
                    return 0;
                }
            }
            self.mark_dirty(index, connection);
            if rest.is_empty() {
                return 0;
            }
        }
    }

    /// `None`: the handshake failed.
    fn advance_handshake(
        &mut self,
        index: u32,
        connection: &mut Connection,
        data: &[u8],
    ) -> Option<usize> {
        let link = connection.link.as_mut()?;
        let Phase::Handshake(handshake) = &mut link.phase else { return Some(0) };
        let used = match handshake.receive(data) {
            Ok(used) => used,
            Err(error) => {
                if matches!(error, HandshakeError::FailoverRefused(_)) {
                    super::failover::answered(self, false);
                }
                crate::warning!("{error}");
                self.shared.replication.link().last_fault = error.to_string();
                return None;
            }
        };
        while let Some(bytes) = handshake.poll_send() {
            link.output.extend_from_slice(&bytes);
        }
        let outcome = handshake.poll_outcome();
        if outcome.is_some()
            && let Some(following) = &mut self.following
            && std::mem::take(&mut following.failover)
        {
            super::failover::answered(self, true);
        }
        let replication = Arc::clone(&self.shared.replication);
        match outcome {
            None => {}
            Some(Outcome::Continue { replid }) => {
                crate::notice!("Successful partial resynchronization with master.");
                if !replication.log.is_active() {
                    replication.log.start(replication.log.end());
                }
                let end = replication.log.end();
                if let Some(replid) = replid
                    && replication.identity().adopt(replid, end)
                {
                    crate::warning!("Master replication ID changed to {replid}");
                    self.post_all(Core::close_replicas);
                }
                self.become_streaming(index, connection);
            }
            // A primary that knows no PSYNC has no name for its history either.
            Some(Outcome::Sync) => {
                crate::notice!("Full resync from a master that does not support PSYNC");
                self.begin_receive(connection, crate::start::random_replid(), 0)?;
            }
            Some(Outcome::FullResync { replid, offset }) => {
                crate::notice!("Full resync from master: {replid}:{offset}");
                self.begin_receive(connection, replid, offset)?;
            }
        }
        Some(used)
    }

    fn become_streaming(&mut self, index: u32, connection: &mut Connection) {
        let now_ms = self.now.mono_ms();
        let Some(link) = connection.link.as_mut() else { return };
        link.phase = Phase::Stream;
        (link.begun_bytes, link.whole_bytes, link.logged_bytes) = (0, 0, 0);
        link.ack_asked_at = Some(0);
        link.last_io_ms = now_ms;
        connection.parser.restart();
        if let Some(following) = &mut self.following {
            following.linked = true;
        }
        set_state(&self.shared.replication, LinkState::Connected);
        let (database, databases) = (self.stream_database, self.settings.databases);
        if database < databases {
            connection.session.database = database;
        } else {
            let fault = format!(
                "its stream stands in database {database}, and there are {databases} databases here"
            );
            self.break_link(index, connection, &fault);
        }
    }

    // --- The stream -----------------------------------------------------------------------------------------

    /// Bytes of commands that have been begun.
    pub fn note_begun(&mut self, connection: &mut Connection, bytes: &[u8]) {
        let Some(link) = connection.link.as_mut() else { return };
        link.unapplied.extend_from_slice(bytes);
        if let Some(whole) = link.whole_in_run.take() {
            link.whole_bytes = link.begun_bytes + whole as u64;
        }
        if std::mem::take(&mut link.ack_asked) {
            link.ack_asked_at = Some(link.whole_bytes);
        }
        link.begun_bytes += bytes.len() as u64;
    }

    /// At the end of a round: what has been applied goes into the log, and the primary is told if it asked.
    /// `false`: the connection is done with.
    pub fn settle_link(&mut self, connection: &mut Connection) -> bool {
        let (next_reply, first_owed) =
            (connection.owed_first + connection.owed.len() as u64, connection.owed_first);
        let is_settled = connection.wait != Wait::Task;
        let database = connection.session.database;
        let drained = is_drained(connection);
        let Some(link) = connection.link.as_mut() else { return true };
        let marked = link.marks.back().map_or(link.logged_bytes, |mark| mark.1);
        if is_settled && marked < link.whole_bytes {
            link.marks.push_back((next_reply, link.whole_bytes));
        }
        let mut applied = link.logged_bytes;
        while let Some((reply, begun)) = link.marks.front().copied()
            && reply <= first_owed
        {
            applied = begun;
            link.marks.pop_front();
        }
        if applied > link.logged_bytes {
            let bytes = (applied - link.logged_bytes) as usize;
            self.shared.replication.log.append_raw(&link.unapplied[..bytes]);
            link.unapplied.drain(..bytes);
            link.logged_bytes = applied;
            self.stream_database = database;
            if let Some(following) = &mut self.following {
                following.retry_ms = RETRY_MS;
            }
            self.log_grew();
        }
        if link.ack_asked_at.is_some_and(|at| applied >= at) {
            link.ack_asked_at = None;
            link.sent_ms = self.now.mono_ms();
            push_ack(&mut link.output, self.shared.replication.log.end());
        }
        !(link.closing && drained)
    }

    /// REPLCONF GETACK, somewhere in the stream.
    pub fn acknowledge(&mut self, connection: &mut Connection) {
        if let Some(link) = connection.link.as_mut() {
            link.ack_asked = true;
        }
    }

    /// The stream cannot be followed: the link ends, data and offset stay as they are.
    pub fn break_link(&mut self, index: u32, connection: &mut Connection, reason: &str) {
        crate::warning!(
            "== CRITICAL == This replica cannot follow its master any further: {reason}"
        );
        let replication = Arc::clone(&self.shared.replication);
        replication.counters.unknown_commands.fetch_add(1, Relaxed);
        replication.link().last_fault = reason.to_owned();
        if let Some(following) = &mut self.following {
            following.at_fault = true;
        }
        if let Some(link) = connection.link.as_mut() {
            link.held = true;
        }
        connection.close_after_reply = true;
        self.mark_dirty(index, connection);
    }

    /// The connection of a link is to be closed. `false`: not yet, it still has something under way.
    pub fn may_close_link(&mut self, index: u32, connection: &mut Connection) -> bool {
        let drained = is_drained(connection);
        let Some(link) = connection.link.as_mut() else { return true };
        if drained {
            return true;
        }
        if !link.closing {
            link.closing = true;
            self.ring.close(connection.slot);
            connection.input.clear();
            connection.parser.restart();
        }
        self.mark_dirty(index, connection);
        false
    }

    /// The connection of a link is gone.
    pub fn forget_link(&mut self, connection: &mut Connection) {
        self.settle_link(connection);
        let Some(link) = connection.link.take() else { return };
        connection.session.transaction = None;
        self.link_index = None;
        if let Phase::Receive(receive) = &link.phase
            && self.shared.replication.loading.mode.load(Relaxed) != Loading::NO
        {
            let fault = "the link to the primary was lost in the middle of the snapshot";
            self.fail_sync(receive.claim.number, fault);
        }
        crate::warning!("Connection with master lost.");
        set_state(&self.shared.replication, LinkState::Connect);
        self.calls.finish(link.ended, Box::new(()));
    }

    /// Whether the connection is a link that shall begin nothing for now.
    pub fn is_link_held(&self, connection: &Connection) -> bool {
        connection.link.as_ref().is_some_and(|link| self.link_holds > 0 || link.is_held())
    }

    fn end_hold(&mut self) {
        self.link_holds -= 1;
        if let Some(index) = self.link_index.filter(|_| self.link_holds == 0) {
            self.resume.push(index);
        }
    }

    fn link_is_drained(&mut self) -> bool {
        let Some(index) = self.link_index else { return true };
        let Some(mut connection) = self.take_connection(index) else { return true };
        let drained = is_drained(&connection);
        if drained {
            self.settle_link(&mut connection);
        }
        self.put_connection(index, connection);
        drained
    }

    /// Ends the link, if there is one; it is gone when [`Core::has_link`] says so.
    pub fn close_link(&mut self) {
        if let Some(index) = self.link_index {
            self.close_connection(index);
        }
    }

    pub fn has_link(&self) -> bool {
        self.link_index.is_some()
    }

    /// By the clock: acknowledgements, signs of life, and the end of a link that is silent.
    pub fn watch_link(&mut self) {
        const ACK_MS: u64 = 1000;
        let log_end = self.shared.replication.log.end();
        let now_ms = self.now.mono_ms();
        let timeout_ms = u64::from(self.config.replication.repl_timeout_seconds) * 1000;
        let Some(index) = self.link_index else { return };
        let Some(connection) = self.connection(index) else { return };
        let Some(link) = connection.link.as_mut() else { return };
        if link.closing {
            return;
        }
        let is_finishing = matches!(link.phase, Phase::Finishing);
        if !is_finishing && now_ms.saturating_sub(link.last_io_ms) > timeout_ms {
            crate::warning!("MASTER timeout: no data nor PING received...");
            self.close_connection(index);
            return;
        }
        if now_ms.saturating_sub(link.sent_ms) >= ACK_MS {
            link.sent_ms = now_ms;
            match link.phase {
                Phase::Handshake(_) => {}
                Phase::Receive(_) | Phase::Finishing => link.output.push(b'\n'),
                Phase::Stream => push_ack(&mut link.output, log_end),
            }
            self.list_dirty(index);
        }
    }
}

fn push_ack(output: &mut Vec<u8>, offset: u64) {
    let digits = offset.to_string();
    let text = format!("*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n${}\r\n{digits}\r\n", digits.len());
    output.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An acknowledgement went to the connection's output at once. With a send under way it stayed there, and was
    /// cleared away with the replies of the next round.
    #[test]
    fn an_acknowledgement_behind_a_send_goes_out_with_the_next() {
        let mut connection = Connection::for_test();
        let mut link = PrimaryLink::new(Phase::Stream, 0, 0);
        link.output = b"an ack".to_vec();
        connection.link = Some(Box::new(link));
        connection.is_sending = true;
        for _ in 0..2 {
            connection.output.extend_from_slice(b"+OK\r\n");
            take_output(&mut connection);
            assert_eq!(connection.output, b"");
        }
        connection.is_sending = false;
        take_output(&mut connection);
        assert_eq!(connection.output, b"an ack");
    }
}
