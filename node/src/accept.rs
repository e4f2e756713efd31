//! New connections: accepted on core 0, dealt to the core that has the fewest, greeted or refused there.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::session::Session;
use ringfort_net::listen;

use crate::connection::Connection;
use crate::core::Core;
use crate::message::Message;
use crate::reactor::count_client;

impl Core {
    /// A connection came in: the core with the fewest gets it.
    pub fn deal(&mut self, socket: OwnedFd) {
        let load = |core: &usize| self.shared.cores[*core].connections.load(Relaxed);
        // On a tie the next core after the last one served, so that short connections spread too.
        let next = self.next_deal;
        let cores = self.cores;
        let to = (0..cores).map(|step| (next + step) % cores).min_by_key(load).expect("a core");
        self.next_deal = (to + 1) % cores;
        self.shared.cores[to].connections.fetch_add(1, Relaxed);
        if to == self.id {
            self.admit_connection(socket);
        } else {
            self.send(to, Message::Connection(socket));
        }
    }

    /// A connection was dealt to this core.
    pub fn admit_connection(&mut self, socket: OwnedFd) {
        let fd = socket.as_raw_fd();
        let refusal = if !count_client(&self.shared, self.settings.maxclients) {
            self.stats.connections_rejected += 1;
            Some(&b"-ERR max number of clients reached\r\n"[..])
        } else if self.is_refused_by_protected_mode(fd) {
            self.shared.clients.fetch_sub(1, Relaxed);
            self.stats.connections_rejected += 1;
            Some(PROTECTED_MODE_REFUSAL)
        } else {
            None
        };
        if let Some(text) = refusal {
            self.shared.cores[self.id].connections.fetch_sub(1, Relaxed);
            // A fresh socket's buffer takes a line; one that does not is closed without it.
            let _ = std::io::Write::write(&mut std::fs::File::from(socket), text);
            return;
        }
        if let Err(error) = listen::configure_connection(fd, self.settings.tcp_keepalive_s) {
            crate::verbose!("Could not set socket options of a client: {error}");
        }
        let (peer, local) = (listen::peer_address(fd), listen::local_address(fd));
        let id = self.shared.next_client.fetch_add(1, Relaxed);
        let (index, token) = self.reserve_connection();
        let slot = self.ring.attach(token, socket);
        let now = self.now.mono_ms();
        let session =
            Session { authenticated: self.settings.password.is_none(), ..Session::default() };
        self.stats.connections_received += 1;
        let connection = Connection::new(id, token, slot, session, fd, peer, local, now);
        self.insert_connection(index, Box::new(connection));
    }

    /// Protected mode: without a password and a `bind` of the operator's own, only this machine may connect.
    fn is_refused_by_protected_mode(&self, fd: i32) -> bool {
        self.settings.protected_mode
            && self.settings.password.is_none()
            && !listen::is_unix(fd)
            && listen::peer_ip(fd).is_some_and(|ip| !ip.to_canonical().is_loopback())
    }

    pub fn note_accept_failed(&mut self, errno: i32) {
        let error = std::io::Error::from_raw_os_error(errno);
        crate::warning!("Accepting client connection: {error}");
    }
}

const PROTECTED_MODE_REFUSAL: &[u8] = b"-DENIED This node runs in protected mode: no password is set for the \
default user, so it takes connections from the loopback interface only. To connect from elsewhere: set a password \
with requirepass, or give the addresses to listen on with bind and switch protected mode off with 'CONFIG SET \
protected-mode no' from this machine, or start it with '--protected-mode no'.\r\n";
