//! A blocking RESP client over TCP or a Unix socket, with a deadline on every read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::reply::{Reply, Source, decode};

/// A server that says nothing for this long fails the test.
pub const TIMEOUT: Duration = Duration::from_secs(20);

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

pub struct Client {
    stream: Stream,
    received: Vec<u8>,
    consumed: usize,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap_or_else(|error| panic!("connect {address}: {error}"))
    }

    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Client { stream: Stream::Tcp(stream), received: Vec::new(), consumed: 0 })
    }

    pub fn connect_unix(path: &Path) -> Client {
        let stream = UnixStream::connect(path)
            .unwrap_or_else(|error| panic!("connect {}: {error}", path.display()));
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        Client { stream: Stream::Unix(stream), received: Vec::new(), consumed: 0 }
    }

    /// Raw bytes to the server.
    pub fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("send")
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Sends a command without waiting for its reply.
    pub fn send_command<T: AsRef<[u8]>>(&mut self, arguments: &[T]) {
        self.send(&frame(arguments))
    }

    pub fn try_call<T: AsRef<[u8]>>(&mut self, arguments: &[T]) -> io::Result<Reply> {
        self.try_send(&frame(arguments))?;
        self.try_read()
    }

    pub fn call<T: AsRef<[u8]>>(&mut self, arguments: &[T]) -> Reply {
        self.try_call(arguments).unwrap_or_else(|error| panic!("{}: {error}", show(arguments)))
    }

    /// A command written as in redis-cli: words, quotes where needed.
    pub fn run(&mut self, line: &str) -> Reply {
        self.call(&words(line))
    }

    /// Sends all commands at once, then reads one reply for each.
    pub fn pipeline<T: AsRef<[u8]>>(&mut self, commands: &[Vec<T>]) -> Vec<Reply> {
        let mut bytes = Vec::new();
        for command in commands {
            bytes.extend_from_slice(&frame(command));
        }
        self.send(&bytes);
        commands.iter().map(|_| self.read()).collect()
    }

    pub fn read(&mut self) -> Reply {
        self.try_read().expect("read a reply")
    }

    pub fn try_read(&mut self) -> io::Result<Reply> {
        if self.consumed == self.received.len() || self.consumed > 1 << 20 {
            self.received.drain(..self.consumed);
            self.consumed = 0;
        }
        let mut at = self.consumed;
        let reply = decode(self, &mut at)?;
        self.consumed = at;
        Ok(reply)
    }

    /// A reply if one comes within `wait`.
    pub fn read_within(&mut self, wait: Duration) -> Option<Reply> {
        self.set_read_timeout(wait);
        let answer = self.try_read();
        self.set_read_timeout(TIMEOUT);
        match answer {
            Ok(reply) => Some(reply),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                None
            }
            Err(error) => panic!("read a reply: {error}"),
        }
    }

    /// Everything up to the server's close (or reset).
    pub fn read_to_close(&mut self) -> Vec<u8> {
        loop {
            match self.receive_some() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!(
                    "the server was to close the connection: {error}; so far \"{}\"",
                    self.received[self.consumed..].escape_ascii()
                ),
            }
        }
        let rest = self.received[self.consumed..].to_vec();
        self.consumed = self.received.len();
        rest
    }

    /// Reads raw bytes until `count` of them are there.
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        while self.received.len() - self.consumed < count {
            assert_ne!(self.receive_some().expect("read"), 0, "closed early");
        }
        let bytes = self.received[self.consumed..self.consumed + count].to_vec();
        self.consumed += count;
        bytes
    }

    pub fn shutdown_write(&mut self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
    }

    pub fn local_address(&self) -> SocketAddr {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().unwrap(),
            Stream::Unix(_) => panic!("a Unix socket has no such address"),
        }
    }

    /// The TCP socket itself, for what this client does not offer.
    pub fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("a Unix socket"),
        }
    }

    pub fn set_read_timeout(&self, timeout: Duration) {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(timeout)).unwrap(),
            Stream::Unix(stream) => stream.set_read_timeout(Some(timeout)).unwrap(),
        }
    }

    fn receive_some(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        let count = loop {
            let answer = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut chunk),
                Stream::Unix(stream) => stream.read(&mut chunk),
            };
            match answer {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => break answer?,
            }
        };
        self.received.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

impl Source for Client {
    fn bytes(&self) -> &[u8] {
        &self.received
    }

    fn receive(&mut self) -> io::Result<()> {
        if self.receive_some()? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

/// A command as an array of bulk strings.
pub fn frame<T: AsRef<[u8]>>(arguments: &[T]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// A command in a form that can be pasted into redis-cli.
pub fn show<T: AsRef<[u8]>>(arguments: &[T]) -> String {
    let mut line = String::new();
    for argument in arguments {
        let argument = argument.as_ref();
        if !line.is_empty() {
            line.push(' ');
        }
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
        if !argument.is_empty() && argument.iter().all(plain) {
            line.push_str(&String::from_utf8_lossy(argument));
        } else {
            line.push('"');
            for byte in argument {
                match byte {
                    b'"' | b'\\' => line.extend(['\\', *byte as char]),
                    b' '..=b'~' => line.push(*byte as char),
                    _ => line.push_str(&format!("\\x{byte:02x}")),
                }
            }
            line.push('"');
        }
    }
    line
}

/// Splits a line into words: blanks part them, "…" with \xHH, \n, \r, \t, \\ and \" keeps them
/// together.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut rest = line.trim().bytes().peekable();
    while let Some(first) = rest.next() {
        if first == b' ' {
            continue;
        }
        let mut word = Vec::new();
        if first != b'"' {
            word.push(first);
            word.extend(std::iter::from_fn(|| rest.next_if(|byte| *byte != b' ')));
            found.push(word);
            continue;
        }
        loop {
            match rest.next().expect("a closing quote") {
                b'"' => break,
                b'\\' => match rest.next().expect("an escaped byte") {
                    b'n' => word.push(b'\n'),
                    b'r' => word.push(b'\r'),
                    b't' => word.push(b'\t'),
                    b'x' => {
                        let hex = [rest.next().unwrap(), rest.next().unwrap()];
                        let hex = std::str::from_utf8(&hex).unwrap();
                        word.push(u8::from_str_radix(hex, 16).unwrap());
                    }
                    other => word.push(other),
                },
                other => word.push(other),
            }
        }
        found.push(word);
    }
    found
}

/// Plays a transcript: a line starting with `> ` is a command, the line below it its reply as
/// [`Reply`] prints it; `...` at the end of an expected reply stands for any rest. Blank lines part.
pub fn transcript(client: &mut Client, script: &str) {
    let mut command = None;
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("> ") {
            assert!(command.is_none(), "no reply given for {command:?}");
            client.send_command(&words(text));
            command = Some(text);
            continue;
        }
        let reply = client.read().to_string();
        let asked = command.take().unwrap_or("(one more reply)");
        match line.strip_suffix("...") {
            Some(start) => {
                assert!(reply.starts_with(start), "{asked}\n  expected {line}\n       got {reply}")
            }
            None => assert_eq!(reply, line, "{asked}\n  expected {line}\n       got {reply}"),
        }
    }
    assert!(command.is_none(), "no reply given for {command:?}");
}
