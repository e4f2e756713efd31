//! The end of a round: what is owed is sent, limits on it are kept, good-byes are said.

use ringfort_net::Token;

use crate::connection::Wait;
use crate::core::Core;
use crate::input::OUTPUT_PAUSE_BYTES;

/// Output that no limit counts, as in Redis, where every client owns such a buffer: limits are for readers that
/// fall behind, not for one reply.
const OUTPUT_UNLIMITED_BYTES: usize = 16 << 10;

impl Core {
    /// Sends the output of every connection that has some and no send under way, and the batches of commands.
    pub fn flush(&mut self) {
        self.name_slow_entries();
        self.publish_effects();
        for to in 0..self.cores {
            self.send_batch(to);
        }
        if self.monitors.has_lines() {
            self.send_monitor_lines();
        }
        self.list_readers();
        let mut dirty = std::mem::take(&mut self.dirty);
        // Replicas last: their sends are long, and the kernel carries out one after the other.
        let readers = &self.readers;
        if !readers.is_empty() {
            dirty.sort_by_key(|index| readers.contains(index));
        }
        for index in dirty.drain(..) {
            self.flush_connection(index);
        }
        // Closing a connection may list others; they come in the next round.
        std::mem::swap(&mut self.dirty, &mut dirty);
        self.dirty.append(&mut dirty);
        self.mailbox.flush();
        if !self.backlogged.is_empty() {
            self.end_backlog_waits();
        }
    }

    fn flush_connection(&mut self, index: u32) {
        let Some(mut connection) = self.take_connection(index) else {
            return;
        };
        connection.is_dirty = false;
        if connection.link.is_some() {
            if !self.settle_link(&mut connection) {
                self.put_connection(index, connection);
                self.close_connection(index);
                return;
            }
            crate::replication::take_link_output(&mut connection);
        }
        if connection.replica.is_some() {
            self.send_to_replica(&mut connection);
        }
        if !connection.is_sending && !connection.output.is_empty() {
            let output = std::mem::take(&mut connection.output);
            connection.is_sending = true;
            connection.sending_bytes = output.len();
            connection.output_bytes += output.len() as u64;
            self.stats.output_bytes += output.len() as u64;
            self.ring.send(connection.slot, output);
        }
        let done = connection.close_after_reply
            && !connection.is_sending
            && connection.owed.is_empty()
            && connection.wait != Wait::Task;
        let over = self.is_over_output_limit(&mut connection);
        self.put_connection(index, connection);
        if over {
            self.stats.output_limit_disconnections += 1;
            self.note_output_limit(index);
        }
        if done || over {
            self.close_connection(index);
        }
    }

    /// A send is over.
    pub fn sent(&mut self, token: Token, buffer: Vec<u8>, result: std::io::Result<()>) {
        self.reuse_buffer(buffer);
        let Some(index) = self.index_of(token) else {
            return;
        };
        let Some(connection) = self.connection(index) else {
            return;
        };
        if result.is_err() {
            self.close_connection(index);
            return;
        }
        connection.is_sending = false;
        connection.sending_bytes = 0;
        if connection.wait == Wait::Output
            && connection.waiting_output_bytes() <= OUTPUT_PAUSE_BYTES
        {
            connection.wait = Wait::None;
            self.resume.push(index);
        }
        let connection = self.connection(index).expect("it was there above");
        let has_more = !connection.output.is_empty()
            || connection.close_after_reply
            || connection.replica.is_some()
            || connection.link.is_some();
        if !has_more {
            // An idle connection holds no output buffer.
            let idle = std::mem::take(&mut connection.output);
            self.reuse_buffer(idle);
        } else if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }

    /// Says why a client is about to be closed.
    fn note_output_limit(&mut self, index: u32) {
        if let Some(connection) = self.connection(index) {
            crate::warning!(
                "Client id={} addr={} closed for overcoming of output buffer limits.",
                connection.id,
                connection.peer
            );
        }
    }

    /// `client-output-buffer-limit`: over the hard limit, or over the soft one for too long.
    fn is_over_output_limit(&self, connection: &mut crate::connection::Connection) -> bool {
        let session = &connection.session;
        if let Some(replica) = connection.replica.as_ref().filter(|replica| replica.is_linked()) {
            return self.is_over_replica_limit(
                replica.pending_bytes(self.shared.replication.log.end()) as usize,
                &mut connection.over_soft_limit_since_ms,
            );
        }
        let limit = if session.subscriptions + session.shard_subscriptions > 0 {
            self.settings.output_pubsub
        } else {
            self.settings.output_normal
        };
        if limit.hard_bytes == 0 && limit.soft_bytes == 0 {
            return false;
        }
        let bytes = connection.output_memory_bytes().saturating_sub(OUTPUT_UNLIMITED_BYTES);
        if limit.hard_bytes > 0 && bytes > limit.hard_bytes {
            return true;
        }
        self.is_over_soft_limit(limit, bytes, &mut connection.over_soft_limit_since_ms)
    }

    fn is_over_soft_limit(
        &self,
        limit: crate::settings::OutputLimit,
        bytes: usize,
        since_ms: &mut Option<u64>,
    ) -> bool {
        if limit.soft_bytes == 0 || bytes <= limit.soft_bytes {
            *since_ms = None;
            return false;
        }
        let now = self.now.mono_ms();
        now - *since_ms.get_or_insert(now) > limit.soft_ms
    }

    /// No hard limit is lower than the backlog is long: the replica would come back to just that.
    fn is_over_replica_limit(&self, bytes: usize, since_ms: &mut Option<u64>) -> bool {
        let limit = self.settings.output_replica;
        let backlog = self.config.replication.repl_backlog_size_bytes as usize;
        let hard = if limit.hard_bytes == 0 { 0 } else { limit.hard_bytes.max(backlog) };
        if hard > 0 && bytes > hard {
            return true;
        }
        self.is_over_soft_limit(limit, bytes, since_ms)
    }
}
