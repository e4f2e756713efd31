//! Listening sockets and the options and names of connections.
//!
//! Error texts and address formats are Redis's, because people and test suites look for them.
//! Absent: which addresses to listen on, and accepting (that is the ring's).

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

/// Why a listening socket could not be made; displays as the line for the log.
#[derive(Debug)]
pub struct ListenError {
    text: String,
    source: io::Error,
}

impl ListenError {
    /// True if the machine lacks this address or protocol: what an optional address (`-::*`) tolerates.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self.source.raw_os_error(),
            Some(
                libc::ENOPROTOOPT
                    | libc::EPROTONOSUPPORT
                    | libc::ESOCKTNOSUPPORT
                    | libc::EPFNOSUPPORT
                    | libc::EAFNOSUPPORT
                    | libc::EADDRNOTAVAIL
            )
        )
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Listens on one address: an IPv4 or IPv6 literal, `*` (all IPv4), `::*` (all IPv6), or a host name. Port 0 lets
/// the system choose; see [`local_address`]. IPv6 sockets take no IPv4 connections.
pub fn listen_tcp(host: &str, port: u16, backlog: i32) -> Result<OwnedFd, ListenError> {
    let step = |step: &'static str| {
        move |source: io::Error| ListenError {
            text: format!(
                "Could not create server TCP listening socket {host}:{port}: {step}{}",
                plain(&source)
            ),
            source,
        }
    };
    let address = resolve(host, port).map_err(step(""))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(step(""))?;
    if address.is_ipv6() {
        socket.set_only_v6(true).map_err(step("setsockopt: "))?;
    }
    socket.set_reuse_address(true).map_err(step("setsockopt SO_REUSEADDR: "))?;
    socket.bind(&address.into()).map_err(step("bind: "))?;
    socket.listen(backlog).map_err(step("listen: "))?;
    Ok(socket.into())
}

/// Listens on a Unix socket, replacing what is at `path`. `permissions` of 0 leaves them to the umask.
pub fn listen_unix(path: &Path, permissions: u32, backlog: i32) -> Result<OwnedFd, ListenError> {
    let step = |step: &'static str| {
        move |source: io::Error| ListenError {
            text: format!("Failed opening Unix socket: {step}{}", plain(&source)),
            source,
        }
    };
    let _ = std::fs::remove_file(path);
    let address = SockAddr::unix(path).map_err(step("bind: "))?;
    let socket =
        Socket::new(Domain::UNIX, Type::STREAM, None).map_err(step("creating socket: "))?;
    socket.bind(&address).map_err(step("bind: "))?;
    socket.listen(backlog).map_err(step("listen: "))?;
    if permissions != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(permissions))
            .map_err(step("chmod: "))?;
    }
    Ok(socket.into())
}

/// Prepares an accepted connection: no Nagle delay, and probes after `keepalive_secs` of silence (0: none), then
/// every third of that, giving up after three. On a Unix socket nothing is to be done.
pub fn configure_connection(fd: RawFd, keepalive_secs: u32) -> io::Result<()> {
    with_socket(fd, |socket| {
        if socket.local_addr()?.is_unix() {
            return Ok(());
        }
        socket.set_nodelay(true)?;
        if keepalive_secs > 0 {
            socket.set_tcp_keepalive(
                &TcpKeepalive::new()
                    .with_time(Duration::from_secs(keepalive_secs.into()))
                    .with_interval(Duration::from_secs((keepalive_secs / 3).max(1).into()))
                    .with_retries(3),
            )?;
        }
        Ok(())
    })
}

/// The other side's address: `127.0.0.1:5000`, `[::1]:5000`; for a Unix socket its path with `:0`; `?:0` when
/// the connection is gone.
pub fn peer_address(fd: RawFd) -> String {
    with_socket(fd, |socket| {
        let local = socket.local_addr()?;
        // A client's end of a Unix socket has no name; the path that it connected to stands for it.
        if local.is_unix() {
            Ok(format_address(&local))
        } else {
            Ok(format_address(&socket.peer_addr()?))
        }
    })
    .unwrap_or_else(|_| "?:0".to_owned())
}

/// Our side's address, in the format of [`peer_address`].
pub fn local_address(fd: RawFd) -> String {
    with_socket(fd, |socket| Ok(format_address(&socket.local_addr()?)))
        .unwrap_or_else(|_| "?:0".to_owned())
}

/// The other side's IP address; `None` for a Unix socket or when the connection is gone.
pub fn peer_ip(fd: RawFd) -> Option<IpAddr> {
    with_socket(fd, |socket| Ok(socket.peer_addr()?.as_socket().map(|a| a.ip()))).ok()?
}

/// True for a Unix socket.
pub fn is_unix(fd: RawFd) -> bool {
    with_socket(fd, |socket| Ok(socket.local_addr()?.is_unix())).unwrap_or(false)
}

pub(crate) fn with_socket<T>(
    fd: RawFd,
    act: impl FnOnce(&Socket) -> io::Result<T>,
) -> io::Result<T> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: not the reserved value (checked); borrowed for this call only. The worst a wrong number does is that
    // the kernel answers for another file or refuses.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    act(&SockRef::from(&borrowed))
}

fn format_address(address: &SockAddr) -> String {
    if let Some(address) = address.as_socket() {
        return address.to_string();
    }
    match address.as_pathname() {
        Some(path) => format!("{}:0", path.display()),
        None => "?:0".to_owned(),
    }
}

fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    match host {
        "*" => return Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        "::*" => return Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        _ => {}
    }
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("Name or service not known"))
}

/// The system's text without Rust's number behind it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    #[test]
    fn taken_port_is_reported_in_redis_words() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = listen_tcp("127.0.0.1", port, 16).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Could not create server TCP listening socket 127.0.0.1:{port}: bind: Address already in use"
            )
        );
        assert!(!error.is_unavailable());
    }

    #[test]
    fn foreign_address_is_unavailable() {
        // TEST-NET-1 is on no machine.
        let error = listen_tcp("192.0.2.1", 0, 16).unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }

    #[test]
    fn addresses_read_as_in_redis() {
        for host in ["127.0.0.1", "::1"] {
            let listener = match listen_tcp(host, 0, 16) {
                Ok(listener) => listener,
                Err(error) if error.is_unavailable() => continue,
                Err(error) => panic!("{error}"),
            };
            let here = local_address(listener.as_raw_fd());
            let client = TcpStream::connect(&here).unwrap();
            assert_eq!(peer_address(client.as_raw_fd()), here);
            assert_eq!(here.starts_with('['), host == "::1");
            configure_connection(client.as_raw_fd(), 300).unwrap();
            assert!(SockRef::from(&client).keepalive().unwrap());
            assert_eq!(SockRef::from(&client).keepalive_time().unwrap(), Duration::from_secs(300));
            assert!(client.nodelay().unwrap());
            assert!(!is_unix(client.as_raw_fd()));
        }
    }

    #[test]
    fn unix_socket_has_its_permissions_and_its_path_as_name() {
        let path = std::env::temp_dir().join(format!("ringfort-listen-{}", std::process::id()));
        for _ in 0..2 {
            // The second time replaces the first one's file.
            let listener = listen_unix(&path, 0o700, 16).unwrap();
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            let client = UnixStream::connect(&path).unwrap();
            assert!(is_unix(client.as_raw_fd()));
            configure_connection(client.as_raw_fd(), 300).unwrap();
            assert_eq!(local_address(listener.as_raw_fd()), format!("{}:0", path.display()));
        }
        std::fs::remove_file(&path).unwrap();
        let error = listen_unix(Path::new("/nonexistent/socket"), 0, 16).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Failed opening Unix socket: bind: No such file or directory"
        );
    }
}
