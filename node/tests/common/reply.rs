//! Replies of RESP2 and RESP3 as a type, and their decoder.
//!
//! Lossless as far as a client can see: the three spellings of "nothing" (`$-1`, `*-1`, `_`) are
//! told apart and numbers with a fraction keep their text, so two equal replies had equal bytes.

use std::fmt;

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

/// Why bytes are not (yet) a reply.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfinished {
    NeedMore,
    Malformed(String),
}

/// Decodes one reply from the start of `bytes`; gives it and how many bytes it took.
pub fn decode(bytes: &[u8]) -> Result<(Reply, usize), Unfinished> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").ok_or(Unfinished::NeedMore)?;
    let malformed = |what: &str| {
        let head = &bytes[..bytes.len().min(80)];
        Unfinished::Malformed(format!("{what} in \"{}\"", head.escape_ascii()))
    };
    if end == 0 {
        return Err(malformed("empty line"));
    }
    let line = String::from_utf8_lossy(&bytes[1..end]).into_owned();
    let mut used = end + 2;
    let number = || line.parse::<i64>().map_err(|_| malformed("bad number"));
    let mut members = |count: i64| -> Result<Vec<Reply>, Unfinished> {
        let count = usize::try_from(count).map_err(|_| malformed("negative count"))?;
        let mut members = Vec::new();
        for _ in 0..count {
            let (member, more) = decode(&bytes[used..])?;
            used += more;
            members.push(member);
        }
        Ok(members)
    };
    let reply = match bytes[0] {
        b'+' => Reply::Simple(line),
        b'-' => Reply::Error(line),
        b':' => Reply::Integer(number()?),
        b'_' if line.is_empty() => Reply::Null,
        b'#' if line == "t" => Reply::Boolean(true),
        b'#' if line == "f" => Reply::Boolean(false),
        b',' => Reply::Double(line),
        b'(' => Reply::BigNumber(line),
        b'$' if line == "-1" => Reply::NullBulk,
        b'*' if line == "-1" => Reply::NullArray,
        b'*' => Reply::Array(members(number()?)?),
        b'~' => Reply::Set(members(number()?)?),
        b'>' => Reply::Push(members(number()?)?),
        b'%' => {
            let flat = members(number()?.checked_mul(2).ok_or(malformed("bad number"))?)?;
            let mut flat = flat.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
                pairs.push((key, value));
            }
            Reply::Map(pairs)
        }
        kind @ (b'$' | b'=') => {
            let length = usize::try_from(number()?).map_err(|_| malformed("negative length"))?;
            let body = bytes.get(used..used + length).ok_or(Unfinished::NeedMore)?;
            let after = bytes.get(used + length..used + length + 2).ok_or(Unfinished::NeedMore)?;
            if after != b"\r\n" {
                return Err(malformed("string not ended by CR LF"));
            }
            used += length + 2;
            if kind == b'$' { Reply::Bulk(body.to_vec()) } else { Reply::Verbatim(body.to_vec()) }
        }
        _ => return Err(malformed("unknown type")),
    };
    Ok((reply, used))
}
