//! Connecting to other nodes, and options of the connection made.
//!
//! Blocks, because resolving a name does: to be called on a thread for it ([`crate::blocking`]). The socket then goes
//! to a core's ring. Absent: retries, which are the caller's rules.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::listen::with_socket;

/// Connects to the first of the host's addresses that answers, each within `timeout`; from `source` if given, and
/// then only to addresses of its family.
///
/// Errors: the resolver's; else that of the last address tried, `TimedOut` among them; `AddrNotAvailable` if there was
/// none to try.
///
/// Cost: the name's resolution, for which there is no limit but the resolver's own, and `timeout` per address.
pub fn connect(
    host: &str,
    port: u16,
    source: Option<IpAddr>,
    timeout: Duration,
) -> io::Result<OwnedFd> {
    let mut failure = io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        format!("{host} has no address of the wanted family"),
    );
    for address in (host, port).to_socket_addrs()? {
        if source.is_some_and(|source| source.is_ipv6() != address.is_ipv6()) {
            continue;
        }
        match connect_to(address, source, timeout) {
            Ok(socket) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn connect_to(
    address: SocketAddr,
    source: Option<IpAddr>,
    timeout: Duration,
) -> io::Result<OwnedFd> {
    // Closed on exec by default.
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&address.into(), timeout)?;
    Ok(socket.into())
}

/// Switches Nagle's delay off (`on`) or back on. Errors: not a TCP socket.
pub fn set_nodelay(fd: RawFd, on: bool) -> io::Result<()> {
    with_socket(fd, |socket| socket.set_nodelay(on))
}

/// Ends both directions: who waits on the socket, in a ring or blocked, is woken. Errors: not connected (any more).
pub fn shut_down(fd: RawFd) -> io::Result<()> {
    with_socket(fd, |socket| socket.shutdown(Shutdown::Both))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::{listen_tcp, peer_ip};
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn connects_by_name_and_by_number_from_a_source() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let source = IpAddr::from([127, 0, 0, 9]);
        for (host, source) in
            [("127.0.0.1", None), ("localhost", None), ("127.0.0.1", Some(source))]
        {
            let socket = connect(host, port, source, TIMEOUT).unwrap();
            let (mut accepted, from) = listener.accept().unwrap();
            assert_eq!(from.ip(), source.unwrap_or(IpAddr::from([127, 0, 0, 1])));
            assert_eq!(peer_ip(socket.as_raw_fd()), Some(IpAddr::from([127, 0, 0, 1])));
            // SAFETY: no pointers are passed.
            let flags = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFD) };
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);

            set_nodelay(socket.as_raw_fd(), true).unwrap();
            let stream = TcpStream::from(socket);
            assert!(stream.nodelay().unwrap());
            shut_down(stream.as_raw_fd()).unwrap();
            assert_eq!(accepted.read(&mut [0]).unwrap(), 0);
        }
    }

    #[test]
    fn failure_tells_its_cause() {
        let refusing = listen_tcp("127.0.0.1", 0, 1).unwrap();
        let port = TcpListener::from(refusing).local_addr().unwrap().port();
        let kind = |host, source| connect(host, port, source, TIMEOUT).unwrap_err().kind();
        assert_eq!(kind("127.0.0.1", None), io::ErrorKind::ConnectionRefused);
        let other_family = Some(IpAddr::from([0u16; 8]));
        assert_eq!(kind("127.0.0.1", other_family), io::ErrorKind::AddrNotAvailable);
        // TEST-NET-1 is on no machine.
        let foreign = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(kind("127.0.0.1", foreign), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn silence_ends_with_the_timeout() {
        // With one connection waiting and a queue of none, further ones get no answer.
        let listener = listen_tcp("127.0.0.1", 0, 0).unwrap();
        let listener = TcpListener::from(listener);
        let port = listener.local_addr().unwrap().port();
        let mut made = Vec::new();
        let error = loop {
            match connect("127.0.0.1", port, None, Duration::from_millis(50)) {
                Ok(socket) => made.push(socket),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
