//! REPLCONF: what a replica tells its primary about itself, and the acknowledgements.
//!
//! Absent: whether the sender is a replica at all, whether a client id names anybody, and whether we take part in
//! what a capability offers. The shell knows, and applies the options in order.
//!
//! Source: replies of Redis 7.0.15; Valkey `src/replication.c` for `version`, `rdb-channel` and
//! `set-rdb-client-id`.

use ringfort_core::args::Args;
use ringfort_core::error::Error;
use ringfort_core::number;

/// Longest ip-address, one more than Redis takes.
const ADDRESS_BYTES_LIMIT: usize = 256;

/// What a replica can take. Sent as `capa <name>` in any number; names that we do not know are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaCapabilities {
    /// A payload that ends with a mark instead of beginning with its length.
    pub eof: bool,
    /// A new replid in the answer `+CONTINUE`.
    pub psync2: bool,
    /// A full sync over a second connection as Valkey does it.
    pub dual_channel: bool,
    /// The same as Redis 8 does it; also says that it reads what Redis 8 writes.
    pub rdb_channel_repl: bool,
}

impl ReplicaCapabilities {
    /// Both together.
    pub fn with(self, other: ReplicaCapabilities) -> ReplicaCapabilities {
        ReplicaCapabilities {
            eof: self.eof || other.eof,
            psync2: self.psync2 || other.psync2,
            dual_channel: self.dual_channel || other.dual_channel,
            rdb_channel_repl: self.rdb_channel_repl || other.rdb_channel_repl,
        }
    }

    fn named(name: &[u8]) -> ReplicaCapabilities {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        ReplicaCapabilities {
            eof: is("eof"),
            psync2: is("psync2"),
            dual_channel: is("dual-channel"),
            rdb_channel_repl: is("rdb-channel-repl"),
        }
    }
}

/// One option of a REPLCONF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplconfOption {
    /// 0 if what was sent is no port: Redis takes any number, and so do we.
    ListeningPort(u16),
    /// To be shown and told to others instead of the address that the connection comes from.
    IpAddress(String),
    /// To be added to those that it named before.
    Capabilities(ReplicaCapabilities),
    /// Of the replica's software: major, minor, patch.
    Version([u8; 3]),
    /// The replica has applied `offset` bytes of the stream, and has `fsynced` of them on disk.
    Ack { offset: u64, fsynced: Option<u64> },
    /// Our primary wants an ACK now.
    GetAck,
    /// Wants the snapshot and not the stream after it.
    RdbOnly(bool),
    /// Wants a snapshot without data, and without functions unless `functions`.
    RdbFilter { functions: bool },
    /// This connection is the second one, for a snapshot only.
    RdbChannel(bool),
    /// Main connection of a Valkey replica: that client is its snapshot connection.
    SetRdbClientId(i64),
    /// Snapshot connection of a Redis 8 replica: that client is its main connection.
    MainChannelClientId(i64),
}

/// A REPLCONF as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplconfRequest {
    pub options: Vec<ReplconfOption>,
    /// Whether it is answered: `+OK`, or nothing at all.
    pub answered: bool,
}

/// Reads a REPLCONF; `args` begins with the command's name. Errors are the replies of Redis; ACK and GETACK are
/// never answered, not even when they make no sense (`options` then lacks them).
pub fn parse_replconf(args: &Args<'_>) -> Result<ReplconfRequest, Error> {
    if args.len() % 2 == 0 {
        return Err(Error::SYNTAX);
    }
    let mut options = Vec::new();
    for at in (1..args.len()).step_by(2) {
        let value = args.at(at + 1);
        let option = if args.is(at, "listening-port") {
            ReplconfOption::ListeningPort(u16::try_from(number::integer(value)?).unwrap_or(0))
        } else if args.is(at, "ip-address") {
            ReplconfOption::IpAddress(address(value)?)
        } else if args.is(at, "capa") {
            ReplconfOption::Capabilities(ReplicaCapabilities::named(value))
        } else if args.is(at, "version") {
            ReplconfOption::Version(version(value)?)
        } else if args.is(at, "ack") {
            options.extend(ack(args, at));
            return Ok(ReplconfRequest { options, answered: false });
        } else if args.is(at, "getack") {
            options.push(ReplconfOption::GetAck);
            return Ok(ReplconfRequest { options, answered: false });
        } else if args.is(at, "rdb-only") {
            ReplconfOption::RdbOnly(flag(value)?)
        } else if args.is(at, "rdb-filter-only") {
            ReplconfOption::RdbFilter { functions: filter(value)? }
        } else if args.is(at, "rdb-channel") {
            ReplconfOption::RdbChannel(flag(value)?)
        } else if args.is(at, "set-rdb-client-id") {
            ReplconfOption::SetRdbClientId(number::integer(value)?)
        } else if args.is(at, "main-ch-client-id") {
            ReplconfOption::MainChannelClientId(number::integer(value)?)
        } else {
            let option = shown(args.at(at));
            return Err(Error::text(format!("ERR Unrecognized REPLCONF option: {option}")));
        };
        options.push(option);
    }
    Ok(ReplconfRequest { options, answered: true })
}

fn ack(args: &Args<'_>, at: usize) -> Option<ReplconfOption> {
    let offset = |at: usize| {
        let offset = number::parse_integer(args.get(at)?)?;
        u64::try_from(offset).ok()
    };
    let fsynced = if args.is(at + 2, "fack") { offset(at + 3) } else { None };
    Some(ReplconfOption::Ack { offset: offset(at + 1)?, fsynced })
}

fn address(value: &[u8]) -> Result<String, Error> {
    if value.len() >= ADDRESS_BYTES_LIMIT {
        let bytes = value.len();
        return Err(Error::text(format!(
            "ERR REPLCONF ip-address provided by replica instance is too long: {bytes} bytes"
        )));
    }
    Ok(String::from_utf8_lossy(value).into_owned())
}

fn flag(value: &[u8]) -> Result<bool, Error> {
    match number::integer(value)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Error::new("ERR value is out of range, value must between 0 and 1")),
    }
}

fn version(value: &[u8]) -> Result<[u8; 3], Error> {
    let parse = || {
        let mut numbers = std::str::from_utf8(value).ok()?.split('.').map(str::parse::<u8>);
        let version = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
        numbers.next().is_none().then_some(version)
    };
    parse().ok_or_else(|| Error::text(format!("ERR Unrecognized version format: {}", shown(value))))
}

/// Words with spaces between them, in quotes or not, of which there is only one so far.
fn filter(value: &[u8]) -> Result<bool, Error> {
    let mut functions = false;
    for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let quoted = |quote: u8| match word {
            [first, inner @ .., last] => (*first == quote && *last == quote).then_some(inner),
            _ => None,
        };
        let word = quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(word);
        if word.iter().any(|byte| matches!(byte, b'"' | b'\'')) {
            return Err(Error::new("ERR Missing rdb-filter-only values"));
        }
        if !word.eq_ignore_ascii_case(b"functions") {
            let word = shown(word);
            return Err(Error::text(format!("ERR Unsupported rdb-filter-only option: {word}")));
        }
        functions = true;
    }
    Ok(functions)
}

/// As part of an error reply, which is one line.
fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReplconfOption::*;
    use ringfort_core::args::OwnedArgs;

    fn check(command: &[&str], expected: Result<&[ReplconfOption], &str>) {
        let args = OwnedArgs::new(command.iter().map(|part| part.as_bytes()));
        let parsed = parse_replconf(&args.args());
        let unanswered = command.iter().any(|word| ["ack", "getack"].contains(word));
        if let Ok(request) = &parsed {
            assert_eq!(request.answered, !unanswered, "{command:?}");
        }
        let parsed = parsed.map(|request| request.options).map_err(|error| error.0.into_owned());
        assert_eq!(parsed, expected.map(<[_]>::to_vec).map_err(String::from), "{command:?}");
    }

    #[test]
    fn replica_tells_about_itself() {
        check(&["replconf"], Ok(&[]));
        check(&["replconf", "LISTENING-port", "6380"], Ok(&[ListeningPort(6380)]));
        check(&["replconf", "listening-port", "70000"], Ok(&[ListeningPort(0)]));
        check(&["replconf", "listening-port", "-1"], Ok(&[ListeningPort(0)]));
        check(&["replconf", "ip-address", "1.2.3.4"], Ok(&[IpAddress("1.2.3.4".into())]));
        check(&["replconf", "version", "9.1.2"], Ok(&[Version([9, 1, 2])]));
        check(&["replconf", "rdb-only", "1"], Ok(&[RdbOnly(true)]));
        check(&["replconf", "rdb-channel", "0"], Ok(&[RdbChannel(false)]));
        check(&["replconf", "set-rdb-client-id", "12"], Ok(&[SetRdbClientId(12)]));
        check(&["replconf", "main-ch-client-id", "12"], Ok(&[MainChannelClientId(12)]));
    }

    #[test]
    fn capabilities_that_we_do_not_know_are_ignored() {
        let none = ReplicaCapabilities::default();
        let (eof, psync2) = (
            ReplicaCapabilities { eof: true, ..none },
            ReplicaCapabilities { psync2: true, ..none },
        );
        check(
            &["replconf", "capa", "eof", "capa", "PSYNC2", "capa", "lz4"],
            Ok(&[Capabilities(eof), Capabilities(psync2), Capabilities(none)]),
        );
        let both = ReplicaCapabilities { eof: true, psync2: true, ..none };
        assert_eq!(eof.with(psync2).with(none), both);
    }

    #[test]
    fn acknowledgements_are_never_answered() {
        check(&["replconf", "ack", "5"], Ok(&[Ack { offset: 5, fsynced: None }]));
        let fsynced = Ack { offset: 5, fsynced: Some(3) };
        check(&["replconf", "ack", "5", "fack", "3"], Ok(&[fsynced]));
        check(&["replconf", "ack", "x"], Ok(&[]));
        check(&["replconf", "ack", "-1"], Ok(&[]));
        check(&["replconf", "getack", "*"], Ok(&[GetAck]));
    }

    #[test]
    fn filters_are_words() {
        check(&["replconf", "rdb-filter-only", ""], Ok(&[RdbFilter { functions: false }]));
        check(&["replconf", "rdb-filter-only", "functions"], Ok(&[RdbFilter { functions: true }]));
        check(
            &["replconf", "rdb-filter-only", " \"Functions\" "],
            Ok(&[RdbFilter { functions: true }]),
        );
        check(
            &["replconf", "rdb-filter-only", "functions foo"],
            Err("ERR Unsupported rdb-filter-only option: foo"),
        );
        check(
            &["replconf", "rdb-filter-only", "\"functions"],
            Err("ERR Missing rdb-filter-only values"),
        );
    }

    #[test]
    fn errors_are_those_of_redis() {
        let integer = Err("ERR value is not an integer or out of range");
        check(&["replconf", "listening-port"], Err("ERR syntax error"));
        check(&["replconf", "listening-port", "abc"], integer);
        check(&["replconf", "rdb-only", "abc"], integer);
        check(
            &["replconf", "rdb-only", "5"],
            Err("ERR value is out of range, value must between 0 and 1"),
        );
        check(&["replconf", "FoO\r\nX", "1"], Err("ERR Unrecognized REPLCONF option: FoO  X"));
        check(&["replconf", "version", "9.1"], Err("ERR Unrecognized version format: 9.1"));
        check(
            &["replconf", "ip-address", &"x".repeat(300)],
            Err("ERR REPLCONF ip-address provided by replica instance is too long: 300 bytes"),
        );
        check(
            &["replconf", "ip-address", &"x".repeat(256)],
            Err("ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes"),
        );
    }
}
