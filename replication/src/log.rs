//! The replication log: one per node, written by all cores, read by whoever sends it on.
//!
//! A log is a chain of reference-counted blocks and a committed end. A core appends the effects of its round as
//! one piece under a short lock; only when all of it is written does the end move, so no reader ever sees half a
//! piece. The backlog and every replica's send queue are positions in this chain: what ten slow replicas hold is
//! held once. Offsets count the bytes of the stream, so that [`Log::end`] is `master_repl_offset`: the byte
//! number `end` (from one) is the last one written, and a replica that has it asks for `end + 1`.
//!
//! Shared by all threads; the state is under a mutex that is taken once per append, reading takes none. This is
//! the one place of the crate that knows threads, and the only one with `unsafe`: `chain` and `page`, whose
//! publishing of bytes `model` checks with loom.
//!
//! Deliberately absent: waking anyone (who appends knows whom to tell), and any knowledge of commands beyond the
//! SELECT, MULTI and EXEC that Redis 7.0 puts around effects (seen in its stream: the SELECT of a transaction's
//! first command stands before MULTI, those of later ones inside).

#[allow(unsafe_code)]
mod chain;
#[allow(unsafe_code)]
mod page;
mod sync {
    pub(super) use super::page::{PAGE_BYTES, Page};
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chain::Chain;
use ringfort_core::store::garbage::DropSome;

/// Bytes of a block: what the log grows and shrinks by.
pub const BLOCK_BYTES: u64 = page::PAGE_BYTES as u64;

const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";

/// The log of a node. Not active at first: appending to a log that is not active does nothing.
pub struct Log {
    state: Mutex<State>,
    /// Copies of what the state says, for those who only look.
    end: AtomicU64,
    first: AtomicU64,
    active: AtomicBool,
    /// Bytes of all blocks alive.
    memory: Arc<AtomicU64>,
}

struct State {
    chain: Option<Chain>,
    /// Where the stream stands; `None` if its reader may stand anywhere.
    database: Option<u32>,
}

impl Log {
    pub fn new() -> Log {
        Log {
            state: Mutex::new(State { chain: None, database: None }),
            end: AtomicU64::new(0),
            first: AtomicU64::new(0),
            active: AtomicBool::new(false),
            memory: Arc::default(),
        }
    }

    /// Begins at `offset`, or begins there again and drops what was there. The next effect is preceded by SELECT.
    /// Readers of what was there before can still read it to its end, and never see anything of the new log.
    pub fn start(&self, offset: u64) {
        let mut state = self.lock();
        state.chain = Some(Chain::new(offset, self.memory.clone()));
        state.database = None;
        self.first.store(offset, Ordering::Release);
        self.end.store(offset, Ordering::Release);
        self.active.store(true, Ordering::Release);
    }

    /// Drops everything. The end stays readable, as what the node has reached.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.chain = None;
        state.database = None;
        self.first.store(self.end(), Ordering::Release);
        self.active.store(false, Ordering::Release);
    }

    /// Whether effects are kept.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// The committed end: the offset of the last byte, and the number of bytes of the stream so far.
    pub fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// The oldest offset from which the log can still be read.
    pub fn first(&self) -> u64 {
        self.first.load(Ordering::Acquire)
    }

    /// Bytes that can still be read. Whole blocks, so up to a block more than was asked of [`Log::trim`].
    pub fn backlog_bytes(&self) -> u64 {
        let first = self.first();
        self.end().saturating_sub(first)
    }

    /// Bytes of all blocks alive, those included that only a slow reader still holds.
    pub fn memory_bytes(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Appends effects, each with the database it belongs to, as one piece; SELECT wherever the database changes.
    /// Returns the new end. `runs` is consumed under the lock, so it had better be ready bytes.
    pub fn append_effects<'b>(&self, runs: impl Iterator<Item = (usize, &'b [u8])>) -> u64 {
        self.append(|piece| runs.for_each(|(database, bytes)| piece.effect(database, bytes)))
    }

    /// The effects of a transaction of `commands` commands: as [`Log::append_effects`], and inside MULTI and EXEC
    /// if there is more than one.
    pub fn append_transaction<'b>(
        &self,
        commands: usize,
        runs: impl Iterator<Item = (usize, &'b [u8])>,
    ) -> u64 {
        if commands <= 1 {
            return self.append_effects(runs);
        }
        self.append(|piece| {
            let mut runs = runs.peekable();
            let Some(&(database, _)) = runs.peek() else { return };
            piece.select(database);
            piece.chain.write(MULTI);
            runs.for_each(|(database, bytes)| piece.effect(database, bytes));
            piece.chain.write(EXEC);
        })
    }

    /// Appends a primary's bytes as they are. The database is the caller's to tell ([`Log::set_database`]), at
    /// the latest before the node appends effects of its own.
    pub fn append_raw(&self, bytes: &[u8]) -> u64 {
        self.append(|piece| piece.chain.write(bytes))
    }

    /// Appends a command that belongs to no database (PING, REPLCONF GETACK): no SELECT before it.
    pub fn append_keyless(&self, command: &[u8]) -> u64 {
        self.append_raw(command)
    }

    /// A reader joins who may stand in any database: the next effect is preceded by SELECT.
    pub fn forget_database(&self) {
        self.lock().database = None;
    }

    /// Every reader of the stream stands in `database` now.
    pub fn set_database(&self, database: u32) {
        self.lock().database = Some(database);
    }

    /// Where every reader of the stream stands; `None` if unknown, which forces a SELECT.
    pub fn database(&self) -> Option<u32> {
        self.lock().database
    }

    /// Lets go of whole blocks, but keeps at least `backlog_bytes` before the end (or all there is). Readers keep
    /// for themselves what they have not read. Some blocks at a time: to be called again as the log grows.
    pub fn trim(&self, backlog_bytes: u64) {
        let mut state = self.lock();
        if let Some(chain) = &mut state.chain {
            let dropped = chain.trim(backlog_bytes);
            self.first.store(chain.first(), Ordering::Release);
            // Freeing them needs no lock, and the cores should not wait for it.
            drop(state);
            drop(dropped);
        }
    }

    /// A reader whose next byte is the one behind `offset`. `None` if that is not within first..=end, or if the log
    /// is not active.
    pub fn reader_at(&self, offset: u64) -> Option<Reader> {
        Some(Reader { inner: self.lock().chain.as_ref()?.reader_at(offset)? })
    }

    fn append(&self, write: impl FnOnce(&mut Piece<'_>)) -> u64 {
        // Before the lock: a node without replicas pays one load.
        if !self.is_active() {
            return self.end();
        }
        let mut state = self.lock();
        let State { chain, database } = &mut *state;
        let Some(chain) = chain else { return self.end() };
        // What an append left behind that panicked halfway.
        chain.abandon();
        let mut piece = Piece { chain, database: *database };
        write(&mut piece);
        *database = piece.database;
        let end = chain.commit();
        self.end.store(end, Ordering::Release);
        end
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic inside leaves nothing that counts: a piece exists only once it is committed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Log {
    fn default() -> Log {
        Log::new()
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("active", &self.is_active())
            .field("first", &self.first())
            .field("end", &self.end())
            .field("memory_bytes", &self.memory_bytes())
            .finish()
    }
}

/// What one append writes: nobody sees it before it is whole.
struct Piece<'c> {
    chain: &'c mut Chain,
    database: Option<u32>,
}

impl Piece<'_> {
    fn effect(&mut self, database: usize, bytes: &[u8]) {
        self.select(database);
        self.chain.write(bytes);
    }

    fn select(&mut self, database: usize) {
        let number = u32::try_from(database).expect("databases are few");
        if self.database == Some(number) {
            return;
        }
        self.database = Some(number);
        let (mut digits, mut length) = (itoa::Buffer::new(), itoa::Buffer::new());
        let digits = digits.format(number);
        self.chain.write(b"*2\r\n$6\r\nSELECT\r\n$");
        self.chain.write(length.format(digits.len()).as_bytes());
        self.chain.write(b"\r\n");
        self.chain.write(digits.as_bytes());
        self.chain.write(b"\r\n");
    }
}

/// A position in the log. Keeps the blocks from there on alive, nothing before them.
///
/// Owned by one thread at a time; takes no lock. It belongs to the log as it was when the reader was made: after
/// [`Log::start`] or [`Log::stop`] it ends where that log ended.
#[derive(Clone)]
pub struct Reader {
    inner: chain::Reader,
}

impl Reader {
    /// Bytes of the stream read so far: the offset of the last byte that was read.
    pub fn offset(&self) -> u64 {
        self.inner.offset()
    }

    /// Bytes between here and `end`, which is [`Log::end`] of the log that this reader belongs to.
    pub fn available(&self, end: u64) -> u64 {
        end.saturating_sub(self.offset())
    }

    /// The next committed bytes, at most `max` and at most to the end of the block, and goes on behind them.
    /// `None` if there are none (or `max` is 0). Nothing is copied: the bytes keep their block alive, so they may
    /// outlive reader and log.
    pub fn read(&mut self, max: usize) -> Option<Bytes> {
        self.inner.read(max).map(Bytes::from_owner)
    }
}

/// What a reader alone has kept of the log goes block by block.
impl DropSome for Reader {
    fn drop_some(&mut self, budget: usize) -> bool {
        /// Giving a block back to the system costs as much as so many allocations.
        const BLOCK_COST: usize = 50;
        (0..(budget / BLOCK_COST).max(1)).all(|_| self.read(usize::MAX).is_some())
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("offset", &self.offset()).finish()
    }
}

// Takes `chain.rs` a second time, to build it with loom's atomics.
#[cfg(test)]
#[allow(clippy::duplicate_mod, unsafe_code)]
mod model;

#[cfg(test)]
mod tests;
