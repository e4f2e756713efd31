//! `maxmemory-clients`: when the clients of the node together hold more memory, those that hold most are closed.
//!
//! Each core weighs its own clients with its periodic work and publishes their sum and the largest; the core
//! that has the node's largest client closes it, until the rest fits.

use std::cmp::Reverse;
use std::sync::atomic::Ordering::Relaxed;

use crate::core::Core;

impl Core {
    /// Weighs this core's clients, and closes what is too much for the node.
    pub fn evict_clients(&mut self) {
        let limit = self.settings.client_bytes_max;
        if limit == 0 {
            return;
        }
        let mut clients: Vec<(usize, u32)> = self
            .connections()
            .filter(|(_, connection)| {
                let replica = connection.replica.as_ref();
                !connection.session.no_evict
                    && connection.link.is_none()
                    && !replica.is_some_and(|replica| replica.is_linked())
            })
            .map(|(index, connection)| (connection.memory_bytes(), index))
            .collect();
        clients.sort_unstable_by_key(|client| Reverse(*client));
        let mut own_bytes: usize = clients.iter().map(|(bytes, _)| bytes).sum();
        let mut candidates = clients.into_iter().peekable();
        let others = || (0..self.cores).filter(|core| *core != self.id);
        let counters = |core: usize| &self.shared.cores[core];
        let elsewhere: u64 = others().map(|core| counters(core).clients_bytes.load(Relaxed)).sum();
        let largest_elsewhere =
            others().map(|core| counters(core).largest_client_bytes.load(Relaxed)).max();
        while elsewhere + own_bytes as u64 > limit
            && let Some((bytes, index)) = candidates
                .next_if(|(bytes, _)| *bytes as u64 >= largest_elsewhere.unwrap_or_default())
        {
            own_bytes -= bytes;
            self.evict_client(index);
        }
        let largest = candidates.peek().map_or(0, |(bytes, _)| *bytes);
        let counters = &self.shared.cores[self.id];
        counters.clients_bytes.store(own_bytes as u64, Relaxed);
        counters.largest_client_bytes.store(largest as u64, Relaxed);
    }

    fn evict_client(&mut self, index: u32) {
        if let Some(connection) = self.connection(index) {
            crate::notice!("Evicting client id={} addr={}", connection.id, connection.peer);
            self.stats.evicted_clients += 1;
        }
        self.close_connection(index);
    }
}
