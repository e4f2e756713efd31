//! A small blocking RESP2 client: enough to ask a server who it is, fill it with keys, and time round trips.
//! Not for load: `generator.rs` is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::Failure;

/// Nothing a measurement waits for takes longer; a server that is silent for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// A reply without nesting; nothing here needs an array.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<Vec<u8>>),
}

pub struct Client {
    reader: BufReader<TcpStream>,
    request: Vec<u8>,
}

impl Client {
    pub fn connect(port: u16) -> std::io::Result<Client> {
        let stream = Client::open(port)?;
        Ok(Client { reader: BufReader::with_capacity(16 * 1024, stream), request: Vec::new() })
    }

    /// A connection to the server of that port on this machine.
    pub fn open(port: u16) -> std::io::Result<TcpStream> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect_timeout(&address, SILENCE_MAX)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE_MAX))?;
        stream.set_write_timeout(Some(SILENCE_MAX))?;
        Ok(stream)
    }

    pub fn command(&mut self, arguments: &[&[u8]]) -> std::io::Result<Reply> {
        self.request.clear();
        encode_command(&mut self.request, arguments);
        let request = std::mem::take(&mut self.request);
        let sent = self.send(&request);
        self.request = request;
        sent?;
        self.reply()
    }

    pub fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    pub fn reply(&mut self) -> std::io::Result<Reply> {
        read_reply(&mut self.reader)
    }

    /// The text of `INFO section`.
    pub fn info(&mut self, section: &str) -> Result<String, Failure> {
        let reply =
            self.command(&[b"INFO", section.as_bytes()]).map_err(Failure::io("asking for INFO"))?;
        match reply {
            Reply::Bulk(Some(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
            other => Err(Failure::Setup(format!("INFO answered {other:?}"))),
        }
    }
}

/// Appends a command as an array of bulk strings.
pub fn encode_command(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "*{}\r\n", arguments.len());
    for argument in arguments {
        let _ = write!(out, "${}\r\n", argument.len());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

/// The value of `field:value` in the text of INFO.
pub fn info_field<'a>(info: &'a str, field: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).map(str::trim)
}

fn read_reply(reader: &mut impl BufRead) -> std::io::Result<Reply> {
    let invalid =
        |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, what.to_owned());
    let mut line = Vec::new();
    reader.by_ref().take(64 * 1024).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let body = line.strip_suffix(b"\r\n").ok_or_else(|| invalid("reply line without an end"))?;
    let (kind, text) = body.split_first().ok_or_else(|| invalid("empty reply line"))?;
    let text = String::from_utf8_lossy(text);
    let number = || text.parse::<i64>().map_err(|_| invalid("number expected in a reply"));
    Ok(match kind {
        b'+' => Reply::Simple(text.into_owned()),
        b'-' => Reply::Error(text.into_owned()),
        b':' => Reply::Integer(number()?),
        b'$' => match usize::try_from(number()?) {
            Err(_) => Reply::Bulk(None),
            Ok(length) => {
                let mut value = vec![0; length + 2];
                reader.read_exact(&mut value)?;
                value.truncate(length);
                Reply::Bulk(Some(value))
            }
        },
        _ => return Err(invalid("reply of an unexpected type")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Reply) {
        assert_eq!(read_reply(&mut &bytes[..]).unwrap(), expected);
    }

    #[test]
    fn replies_are_read() {
        check(b"+PONG\r\n", Reply::Simple("PONG".into()));
        check(b"-ERR no\r\n", Reply::Error("ERR no".into()));
        check(b":-7\r\n", Reply::Integer(-7));
        check(b"$3\r\na\r\n\r\n", Reply::Bulk(Some(b"a\r\n".to_vec())));
        check(b"$-1\r\n", Reply::Bulk(None));
    }

    #[test]
    fn cut_or_wrong_replies_are_errors() {
        for bytes in [&b""[..], b"+PO", b"$5\r\nab", b"!x\r\n", b":x\r\n", b"\r\n"] {
            assert!(read_reply(&mut &bytes[..]).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        encode_command(&mut out, &[b"GET", b"a\0b"]);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\na\0b\r\n");
    }

    #[test]
    fn info_fields_are_found_by_their_whole_name() {
        let info = "# Server\r\nredis_version:7.2.4\r\nprocess_id:42\r\n";
        assert_eq!(info_field(info, "process_id"), Some("42"));
        assert_eq!(info_field(info, "process"), None);
    }
}
