//! Replies of RESP2 and RESP3 as a type, and their decoder.
//!
//! Lossless as far as a client can see: the three spellings of "nothing" (`$-1`, `*-1`, `_`) are
//! told apart and numbers with a fraction keep their text, so two equal replies had equal bytes.

use std::fmt;
use std::io;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// RESP3's `_`
    Null,
    Array(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    Double(String),
    Boolean(bool),
    BigNumber(String),
    Verbatim(Vec<u8>),
}

impl Reply {
    pub fn ok() -> Reply {
        Reply::Simple("OK".to_owned())
    }

    pub fn bulk(bytes: impl AsRef<[u8]>) -> Reply {
        Reply::Bulk(bytes.as_ref().to_vec())
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }

    pub fn is_nothing(&self) -> bool {
        matches!(self, Reply::NullBulk | Reply::NullArray | Reply::Null)
    }

    /// The error's text; panics on anything else.
    pub fn error(&self) -> &str {
        match self {
            Reply::Error(text) => text,
            other => panic!("expected an error, got {other}"),
        }
    }

    pub fn integer(&self) -> i64 {
        match self {
            Reply::Integer(number) => *number,
            other => panic!("expected an integer, got {other}"),
        }
    }

    /// A bulk, simple or verbatim string as text.
    pub fn text(&self) -> String {
        match self {
            Reply::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Reply::Verbatim(bytes) => String::from_utf8_lossy(&bytes[4..]).into_owned(),
            Reply::Simple(text) => text.clone(),
            other => panic!("expected a string, got {other}"),
        }
    }

    /// The number that a bulk or integer reply carries.
    pub fn number(&self) -> i64 {
        match self {
            Reply::Integer(number) => *number,
            other => {
                other.text().parse().unwrap_or_else(|_| panic!("expected a number, got {other}"))
            }
        }
    }

    /// The members of an array, set or push.
    pub fn members(&self) -> &[Reply] {
        match self {
            Reply::Array(members) | Reply::Set(members) | Reply::Push(members) => members,
            other => panic!("expected an aggregate, got {other}"),
        }
    }

    pub fn texts(&self) -> Vec<String> {
        self.members().iter().map(Reply::text).collect()
    }

    /// Pairs of a map, or of RESP2's flat array in its place.
    pub fn pairs(&self) -> Vec<(Reply, Reply)> {
        match self {
            Reply::Map(pairs) => pairs.clone(),
            Reply::Array(members) => {
                members.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
            }
            other => panic!("expected a map, got {other}"),
        }
    }

    /// The value under `name` in a map or flat array.
    pub fn field(&self, name: &str) -> Reply {
        self.pairs()
            .into_iter()
            .find(|(key, _)| key.text() == name)
            .map(|(_, value)| value)
            .unwrap_or_else(|| panic!("no field {name} in {self}"))
    }
}

/// One line per reply, unambiguous, as transcripts use it.
impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |out: &mut fmt::Formatter<'_>, open: &str, members: &[Reply]| {
            out.write_str(open)?;
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    out.write_str(", ")?;
                }
                write!(out, "{member}")?;
            }
            out.write_str("]")
        };
        match self {
            Reply::Simple(text) => write!(out, "+{text}"),
            Reply::Error(text) => write!(out, "-{text}"),
            Reply::Integer(number) => write!(out, ":{number}"),
            Reply::Bulk(bytes) => write!(out, "\"{}\"", bytes.escape_ascii()),
            Reply::NullBulk => out.write_str("$-1"),
            Reply::NullArray => out.write_str("*-1"),
            Reply::Null => out.write_str("_"),
            Reply::Array(members) => list(out, "[", members),
            Reply::Set(members) => list(out, "~[", members),
            Reply::Push(members) => list(out, ">[", members),
            Reply::Map(pairs) => {
                out.write_str("{")?;
                for (index, (key, value)) in pairs.iter().enumerate() {
                    if index > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{key}: {value}")?;
                }
                out.write_str("}")
            }
            Reply::Double(text) => write!(out, ",{text}"),
            Reply::Boolean(value) => write!(out, "#{}", if *value { "t" } else { "f" }),
            Reply::BigNumber(text) => write!(out, "({text}"),
            Reply::Verbatim(bytes) => write!(out, "=\"{}\"", bytes.escape_ascii()),
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Bytes that keep arriving. A place in them stays valid while more arrive.
pub trait Source {
    fn bytes(&self) -> &[u8];

    /// Waits for more bytes; an error where none can come any more, or in time.
    fn receive(&mut self) -> io::Result<()>;
}

/// Decodes the reply that starts at `at`, waiting for its bytes, and moves `at` behind it.
pub fn decode(source: &mut impl Source, at: &mut usize) -> io::Result<Reply> {
    let start = *at;
    let line = line(source, at)?;
    let malformed = |what: &str| {
        let message = format!("{what} in \"{}\", byte {start}", line.as_bytes().escape_ascii());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let Some(kind) = line.bytes().next() else { return Err(malformed("empty line")) };
    let rest = line.get(1..).unwrap_or_default();
    let number = || rest.parse::<i64>().map_err(|_| malformed("bad number"));
    let count = || rest.parse::<usize>().map_err(|_| malformed("bad count"));
    Ok(match kind {
        b'+' => Reply::Simple(rest.to_owned()),
        b'-' => Reply::Error(rest.to_owned()),
        b':' => Reply::Integer(number()?),
        b'_' if rest.is_empty() => Reply::Null,
        b'#' if rest == "t" => Reply::Boolean(true),
        b'#' if rest == "f" => Reply::Boolean(false),
        b',' => Reply::Double(rest.to_owned()),
        b'(' => Reply::BigNumber(rest.to_owned()),
        b'$' if rest == "-1" => Reply::NullBulk,
        b'*' if rest == "-1" => Reply::NullArray,
        b'*' => Reply::Array(members(source, at, count()?)?),
        b'~' => Reply::Set(members(source, at, count()?)?),
        b'>' => Reply::Push(members(source, at, count()?)?),
        b'%' => {
            let pairs = (0..count()?).map(|_| Ok((decode(source, at)?, decode(source, at)?)));
            Reply::Map(pairs.collect::<io::Result<_>>()?)
        }
        b'$' | b'=' => {
            let end = *at + count()?;
            while source.bytes().len() < end + 2 {
                source.receive()?;
            }
            let body = source.bytes()[*at..end].to_vec();
            if &source.bytes()[end..end + 2] != b"\r\n" {
                return Err(malformed("string not ended by CR LF"));
            }
            *at = end + 2;
            if kind == b'$' { Reply::Bulk(body) } else { Reply::Verbatim(body) }
        }
        _ => return Err(malformed("unknown type")),
    })
}

fn members(source: &mut impl Source, at: &mut usize, count: usize) -> io::Result<Vec<Reply>> {
    (0..count).map(|_| decode(source, at)).collect()
}

/// The line at `at` without its CR LF.
fn line(source: &mut impl Source, at: &mut usize) -> io::Result<String> {
    let mut searched = *at;
    loop {
        let bytes = source.bytes();
        if let Some(place) = bytes[searched..].iter().position(|byte| *byte == b'\n') {
            let end = searched + place;
            let line = String::from_utf8_lossy(&bytes[*at..end]).into_owned();
            *at = end + 1;
            return match line.strip_suffix('\r') {
                Some(line) => Ok(line.to_owned()),
                None => Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("line without CR: {line}"),
                )),
            };
        }
        searched = bytes.len();
        source.receive()?;
    }
}
