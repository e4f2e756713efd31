//! From received bytes to commands: parses what a connection sent as a batch, prefetches, dispatches.

use ringfort_core::args::Args;
use ringfort_core::command::{self, Handler};
use ringfort_core::error::Error;
use ringfort_core::resp::{Batch, Limits, Reply};

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::{Flow, Prepared};

/// Commands parsed and prefetched together: as many cache misses as a core can well have under way.
const BATCH_COMMANDS: usize = 64;

/// A connection that is owed more than this many bytes runs nothing until some were sent.
pub const OUTPUT_PAUSE_BYTES: usize = 1 << 20;

/// A connection that waits with more than this many bytes of input is not received from.
const INPUT_PAUSE_BYTES: usize = 1 << 16;

/// Room made at once for a long argument whose length was announced, in bytes.
const RESERVE_BYTES_MAX: usize = 1 << 16;

impl Core {
    /// Bytes arrived for connection `index`.
    pub fn received(&mut self, index: u32, data: &[u8]) {
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
        connection.input_bytes += data.len() as u64;
        connection.active_ms = self.now.mono_ms();
        self.activity.note(&mut connection.active_window);
        self.stats.input_bytes += data.len() as u64;
        if connection.link.is_some() {
            self.note_link_input(&mut connection, data.len());
        }
        if connection.wait == Wait::None
            && connection.input.is_empty()
            && !connection.close_after_reply
        {
            let data = if connection.link.is_some() {
                let behind = self.link_received(index, &mut connection, data);
                &data[data.len() - behind..]
            } else {
                data
            };
            let used = self.run_input(index, &mut connection, data);
            if connection.link.is_some() {
                self.note_begun(&mut connection, &data[..used]);
            }
            if used < data.len() {
                // What a client announces is believed only so far.
                let wanted = connection.parser.wanted().min(RESERVE_BYTES_MAX);
                // It goes to the spare buffers when its commands have run, so it comes from there.
                if connection.input.capacity() == 0 {
                    connection.input = self.spare_buffer();
                }
                connection.input.reserve_exact(wanted.max(data.len() - used));
                connection.input.extend_from_slice(&data[used..]);
            }
        } else {
            connection.input.extend_from_slice(data);
            self.run_kept_input(index, &mut connection);
        }
        self.settle_input(index, connection);
    }

    /// Runs the connection's commands again after a wait.
    pub fn resumed(&mut self, index: u32) {
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
        self.run_kept_input(index, &mut connection);
        self.settle_input(index, connection);
    }

    fn run_kept_input(&mut self, index: u32, connection: &mut Connection) {
        if connection.close_after_reply {
            // It said good-bye, or nonsense; what follows is not read.
            connection.input.clear();
        }
        if connection.wait != Wait::None || connection.input.is_empty() {
            return;
        }
        let mut input = std::mem::take(&mut connection.input);
        let used = self.run_input(index, connection, &input);
        if connection.link.is_some() {
            self.note_begun(connection, &input[..used]);
        }
        if used == input.len() {
            self.reuse_buffer(input);
        } else {
            input.drain(..used);
            connection.input = input;
        }
    }

    /// After a run: limits, pausing, and back into its place.
    fn settle_input(&mut self, index: u32, mut connection: Box<Connection>) {
        let waiting_bytes = connection.input.len();
        if waiting_bytes > self.settings.query_buffer_bytes_max {
            self.stats.query_limit_disconnections += 1;
            self.put_connection(index, connection);
            self.close_connection(index);
            return;
        }
        let waits = connection.wait != Wait::None || self.is_link_held(&connection);
        let pause = waits && waiting_bytes > INPUT_PAUSE_BYTES
            || connection.link.as_mut().is_some_and(|link| link.is_ahead());
        if pause != connection.receiving_paused {
            connection.receiving_paused = pause;
            if pause {
                self.ring.pause(connection.slot);
            } else {
                self.ring.resume(connection.slot);
            }
        }
        if connection.ended && connection.wait == Wait::None {
            connection.close_after_reply = true;
        }
        let has_output = !connection.output.is_empty()
            || connection.close_after_reply
            || connection.link.is_some();
        if has_output {
            self.mark_dirty(index, &mut connection);
        }
        self.put_connection(index, connection);
    }

    /// Runs the commands at the front of `buffer`; returns how many bytes are done with.
    fn run_input(&mut self, index: u32, connection: &mut Connection, buffer: &[u8]) -> usize {
        if buffer.is_empty() || self.is_link_held(connection) {
            return 0;
        }
        if connection.output.capacity() == 0 {
            connection.output = self.spare_buffer();
        }
        let mut batch = std::mem::take(&mut self.batch);
        let mut prepared = std::mem::take(&mut self.prepared);
        let mut used = 0;
        'batches: loop {
            let authenticated = connection.session.authenticated;
            let limits = Limits { authenticated, ..self.settings.limits };
            batch.clear();
            let rest = &buffer[used..];
            // A stranger's AUTH changes what the next command may be.
            let max = if authenticated { BATCH_COMMANDS } else { 1 };
            let (span, parsed) = connection.parser.parse(rest, &limits, max, &mut batch);
            self.prepare_batch(connection.session.database, &batch, rest, &mut prepared);
            self.start_timing();
            for (at, prepared) in prepared.iter().enumerate() {
                let args = batch.args(at, rest);
                let flow = if connection.link.is_some() {
                    self.dispatch_streamed(index, connection, &args, prepared)
                } else if connection.waiting_output_bytes() > OUTPUT_PAUSE_BYTES {
                    Flow::Wait(Wait::Output)
                } else {
                    self.dispatch(index, connection, &args, prepared)
                };
                if let Some(link) = &mut connection.link
                    && matches!(flow, Flow::Next | Flow::Taken(_))
                    && !connection.session.in_transaction()
                {
                    link.whole_in_run = Some(used + batch.end(at));
                }
                let (wait, done) = match flow {
                    Flow::Next => continue,
                    Flow::Wait(wait) => (wait, if at == 0 { 0 } else { batch.end(at - 1) }),
                    Flow::Taken(wait) => (wait, batch.end(at)),
                    Flow::Close => {
                        connection.close_after_reply = true;
                        (Wait::None, rest.len())
                    }
                };
                connection.wait = wait;
                connection.parser.restart();
                used += done;
                break 'batches;
            }
            used += span;
            if let Err(error) = parsed {
                self.stats.protocol_errors += 1;
                if connection.link.is_some() {
                    self.break_link(index, connection, &error.text());
                    connection.parser.restart();
                    break;
                }
                let protocol = connection.session.protocol;
                Reply::new(connection.reply_buffer(), protocol).error(&Error::text(error.text()));
                connection.close_after_reply = true;
                used = buffer.len();
                break;
            }
            if batch.is_empty() {
                break;
            }
        }
        self.batch = batch;
        self.prepared = prepared;
        used
    }

    /// Looks a command up and finds the shard of its first key.
    #[inline]
    pub fn prepare(&self, args: &Args) -> Prepared {
        let Ok(spec) = command::resolve(args) else {
            return Prepared::default();
        };
        let mut prepared = Prepared { spec: Some(spec), ..Prepared::default() };
        if let Handler::Keys(_) = spec.handler
            && let Some(at) = command::keys::keys_of(spec, args).next()
        {
            let key = self.shard.hasher.key(args.at(at));
            prepared.first_key = at as u8;
            prepared.slot = key.slot;
            prepared.hash = key.hash;
            prepared.shard = self.shard_of(key.slot) as u16;
        }
        prepared
    }

    /// Prepares a batch, and brings table lines and entries into the cache: one level of pointers behind the
    /// other, some commands apart, so that each level has arrived when the next one is asked for, and the misses
    /// of all commands overlap with the work on the others.
    fn prepare_batch(
        &self,
        database: usize,
        batch: &Batch,
        rest: &[u8],
        prepared: &mut Vec<Prepared>,
    ) {
        /// Commands between two levels: their look-up and hashing take about as long as a miss.
        const APART: usize = 8;
        prepared.clear();
        let count = batch.len();
        if count == 1 {
            prepared.push(self.prepare(&batch.args(0, rest)));
            return;
        }
        let database = &self.shard.databases[database];
        let bytes = database.prefetch_bytes();
        // The key does not matter to a prefetch, only what was computed from it.
        let key = |at: usize, prepared: &[Prepared]| {
            let one = prepared.get(at)?;
            (one.first_key > 0 && usize::from(one.shard) == self.id).then(|| one.key(b""))
        };
        for at in 0..count + 2 * APART {
            if at < count {
                prepared.push(self.prepare(&batch.args(at, rest)));
                if let Some(key) = key(at, prepared) {
                    database.prefetch_table(&key);
                }
            }
            if let Some(key) = at.checked_sub(APART).and_then(|at| key(at, prepared)) {
                database.prefetch_bucket(&key);
            }
            if let Some(key) = at.checked_sub(2 * APART).and_then(|at| key(at, prepared)) {
                database.prefetch_entry(&key, bytes);
            }
        }
    }
}
