//! `supervised`: telling systemd or upstart that the node is loading, ready, stopping.
//!
//! systemd names a datagram socket in `NOTIFY_SOCKET` and takes lines of `KEY=value` there (sd_notify(3));
//! upstart (`UPSTART_JOB`) waits for the process to stop itself once.

use crate::config::{Supervised, os_error_text};
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who is to be told.
pub enum Supervisor {
    Nobody,
    Upstart,
    Systemd { socket: OsString },
}

impl Supervisor {
    /// The supervisor that `supervised` asks for, if it is there. A missing one is logged. Under upstart the
    /// process stops here until it is let go on.
    pub fn find(supervised: Supervised) -> Supervisor {
        let upstart = std::env::var_os("UPSTART_JOB");
        let socket = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty());
        let supervised = match supervised {
            Supervised::Auto if upstart.is_some() => Supervised::Upstart,
            Supervised::Auto if socket.is_some() => Supervised::Systemd,
            other => other,
        };
        match (supervised, socket) {
            (Supervised::Upstart, _) if upstart.is_none() => {
                crate::warning!("upstart supervision requested, but UPSTART_JOB not found!");
                Supervisor::Nobody
            }
            (Supervised::Upstart, _) => {
                crate::notice!("supervised by upstart, will stop to signal readiness.");
                // SAFETY: raise takes no pointers; a stopped process goes on where it was.
                unsafe { libc::raise(libc::SIGSTOP) };
                Supervisor::Upstart
            }
            (Supervised::Systemd, Some(socket)) => {
                crate::notice!(
                    "supervised by systemd. Please make sure you set appropriate values for TimeoutStartSec and TimeoutStopSec in your service unit."
                );
                Supervisor::Systemd { socket }
            }
            (Supervised::Systemd, None) => {
                crate::warning!("systemd supervision error: NOTIFY_SOCKET not found!");
                Supervisor::Nobody
            }
            (Supervised::Auto | Supervised::No, _) => Supervisor::Nobody,
        }
    }

    pub fn is_supervised(&self) -> bool {
        !matches!(self, Supervisor::Nobody)
    }

    pub fn loading(&self) {
        self.tell("STATUS=Ringfort is loading...\n");
    }

    pub fn ready(&self) {
        self.tell("STATUS=Ready to accept connections\nREADY=1\n");
    }

    pub fn stopping(&self) {
        self.tell("STATUS=Shutting down\nSTOPPING=1\n");
    }

    fn tell(&self, lines: &str) {
        let Supervisor::Systemd { socket } = self else {
            return;
        };
        if let Err(error) = send(socket, lines) {
            crate::warning!("systemd supervision error: sd_notify: {}", os_error_text(&error));
        }
    }
}

fn send(socket: &OsString, lines: &str) -> io::Result<()> {
    // A leading @ stands for the NUL byte of an abstract socket.
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(lines.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_hears_that_the_node_is_ready() {
        let name = format!("ringfort-supervision-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = UnixDatagram::bind_addr(&address).unwrap();
        Supervisor::Systemd { socket: format!("@{name}").into() }.ready();
        let mut buffer = [0; 128];
        let length = systemd.recv(&mut buffer).unwrap();
        let told = std::str::from_utf8(&buffer[..length]).unwrap();
        assert!(told.lines().any(|line| line == "READY=1"), "{told}");
    }
}
