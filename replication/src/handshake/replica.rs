//! The replica's end of the handshake.
//!
//! PING, and when that is answered AUTH and everything that REPLCONF has to say in one go, and when all of it is
//! answered PSYNC. [`Handshake::poll_send`] gives what to send, [`Handshake::receive`] takes what comes and stops
//! right behind the answer to PSYNC: what follows is the payload (`bulk`) or the stream.
//!
//! A primary that does not know PSYNC is sent SYNC, as Redis does it, and one that cannot answer now is to be
//! asked again later ([`HandshakeError::TryLater`]).
//!
//! Absent: the socket and its timeouts, and what to do with the outcome.
//!
//! Source: handshakes of Redis 7.0, 8.0 and Valkey 9.1 replicas as captured; their `src/replication.c` for which
//! answers are errors.

use std::collections::VecDeque;
use std::fmt;

use ringfort_core::number::parse_integer;

use crate::identity::Replid;

/// Longest line that an answer may be.
const LINE_BYTES_MAX: usize = 1024;

/// What the replica has to say about itself. (No `Debug`: it holds a password.)
#[derive(Clone)]
pub struct Config {
    pub user: Option<String>,
    /// AUTH is sent if there is one.
    pub password: Option<String>,
    pub listening_port: u16,
    /// Told instead of the address that the connection comes from.
    pub announce_ip: Option<String>,
    /// Decides which dialect of RDB a Valkey primary sends.
    pub version: &'static str,
    pub ask: Ask,
    /// The other end is a replica that is to take our place as primary.
    pub failover: bool,
}

/// Where the replica wants to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Nowhere: it has nothing.
    Fresh,
    /// Behind the `offset` bytes that it has of the history `replid`.
    Continue { replid: Replid, offset: u64 },
}

/// What the handshake led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A payload follows: the data of the history `replid` at `offset` bytes.
    FullResync { replid: Replid, offset: u64 },
    /// The stream goes on behind what we have, under this name of its history if one is told.
    Continue { replid: Option<Replid> },
    /// A payload follows to SYNC, of a primary that tells neither replid nor offset: nothing to go on from later.
    Sync,
}

/// Why there is no outcome. The link is of no use any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// The other end does not take commands: its answer to PING.
    Ping(String),
    /// Ours to repair: user and password.
    Auth(String),
    /// It has no data to give now, but will have: its answer to PSYNC.
    TryLater(String),
    /// It will not have us: its answer to PSYNC, for lack of permission.
    Refused(String),
    /// It will not take our place: its answer to PSYNC FAILOVER.
    FailoverRefused(String),
    /// No answer that we know, to the command named.
    Unexpected { to: &'static str, answer: String },
    /// No end of a line for too long: the answer to the command named.
    LineTooLong { to: &'static str },
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Ping(answer) => write!(f, "error reply to PING from primary: {answer}"),
            HandshakeError::Auth(answer) => write!(f, "unable to AUTH to primary: {answer}"),
            HandshakeError::TryLater(answer) => write!(
                f,
                "primary is currently unable to PSYNC but should be in the future: {answer}"
            ),
            HandshakeError::Refused(answer) => write!(f, "primary refuses PSYNC: {answer}"),
            HandshakeError::FailoverRefused(answer) => {
                write!(f, "failover target rejected PSYNC request: {answer}")
            }
            HandshakeError::Unexpected { to, answer } => {
                write!(f, "unexpected reply to {to} from primary: {answer}")
            }
            HandshakeError::LineTooLong { to } => {
                write!(f, "reply to {to} from primary is longer than {LINE_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for HandshakeError {}

/// An error that a primary may answer without harm, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoredAnswer {
    /// The command, with the option it could not make sense of.
    pub to: &'static str,
    pub answer: String,
}

/// A command whose answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Ping,
    Auth,
    /// With the option.
    Replconf(&'static str),
    Psync,
}

impl Command {
    fn name(self) -> &'static str {
        match self {
            Command::Ping => "PING",
            Command::Auth => "AUTH",
            Command::Replconf(name) => name,
            Command::Psync => "PSYNC",
        }
    }
}

/// One attempt, on one connection.
pub struct Handshake {
    config: Config,
    /// Sent or about to be, oldest first. Empty once there is an outcome.
    awaited: VecDeque<Command>,
    send: Vec<u8>,
    ignored: VecDeque<IgnoredAnswer>,
    outcome: Option<Outcome>,
}

impl Handshake {
    /// The connection has been made.
    pub fn new(config: Config) -> Handshake {
        let mut handshake = Handshake {
            config,
            awaited: VecDeque::new(),
            send: Vec::new(),
            ignored: VecDeque::new(),
            outcome: None,
        };
        handshake.command(Command::Ping, &["PING"]);
        handshake
    }

    /// What to send next, if anything. To be asked after `new` and after every `receive`, before the outcome.
    pub fn poll_send(&mut self) -> Option<Vec<u8>> {
        (!self.send.is_empty()).then(|| std::mem::take(&mut self.send))
    }

    /// An answer that was ignored, for the log.
    pub fn poll_ignored(&mut self) -> Option<IgnoredAnswer> {
        self.ignored.pop_front()
    }

    /// The outcome, once.
    pub fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// The command whose answer is awaited, if there is no outcome yet.
    pub fn awaits(&self) -> Option<&'static str> {
        self.awaited.front().map(|command| command.name())
    }

    /// Takes whole lines from `bytes` and says how many bytes they were; the rest is to be brought again with more
    /// behind it. Takes nothing behind the answer to PSYNC.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<usize, HandshakeError> {
        let mut taken = 0;
        while let Some(&awaited) = self.awaited.front() {
            let rest = &bytes[taken..];
            let end = memchr::memchr(b'\n', &rest[..rest.len().min(LINE_BYTES_MAX)]);
            let Some(end) = end else {
                if rest.len() >= LINE_BYTES_MAX {
                    return Err(HandshakeError::LineTooLong { to: awaited.name() });
                }
                break;
            };
            taken += end + 1;
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            // While the primary prepares what it will answer it keeps the link alive by newlines.
            if line.is_empty() && awaited == Command::Psync {
                continue;
            }
            self.awaited.pop_front();
            self.handle_answer(awaited, line)?;
        }
        Ok(taken)
    }

    fn handle_answer(&mut self, to: Command, line: &[u8]) -> Result<(), HandshakeError> {
        let text = || String::from_utf8_lossy(line).escape_debug().to_string();
        let unexpected = || HandshakeError::Unexpected { to: to.name(), answer: text() };
        let is_error = match line.first() {
            Some(b'+') => false,
            Some(b'-') => true,
            _ => return Err(unexpected()),
        };
        match to {
            Command::Ping => {
                // It wants AUTH first, which comes next, or does not let this user ping.
                let passes = [&b"-NOAUTH"[..], b"-NOPERM", b"-ERR operation not permitted"];
                if is_error && !passes.iter().any(|pass| line.starts_with(pass)) {
                    return Err(HandshakeError::Ping(text()));
                }
                self.introduce();
            }
            Command::Auth if is_error => return Err(HandshakeError::Auth(text())),
            Command::Auth => {}
            Command::Replconf(name) => {
                if is_error {
                    self.ignored.push_back(IgnoredAnswer { to: name, answer: text() });
                }
                if self.awaited.is_empty() {
                    self.ask();
                }
            }
            Command::Psync if is_error => self.handle_refusal(line, text())?,
            Command::Psync => {
                let outcome = parse_outcome(line).ok_or_else(unexpected)?;
                // There is nothing that a replica without data could go on from.
                if self.config.ask == Ask::Fresh && matches!(outcome, Outcome::Continue { .. }) {
                    return Err(unexpected());
                }
                self.outcome = Some(outcome);
            }
        }
        Ok(())
    }

    /// All that can be said before anything of it is answered.
    fn introduce(&mut self) {
        let Config { user, password, listening_port, announce_ip, version, .. } =
            self.config.clone();
        match (&user, &password) {
            (Some(user), Some(password)) => self.command(Command::Auth, &["AUTH", user, password]),
            (None, Some(password)) => self.command(Command::Auth, &["AUTH", password]),
            (_, None) => {}
        }
        let port = listening_port.to_string();
        self.replconf("REPLCONF listening-port", &["listening-port", &port]);
        if let Some(ip) = &announce_ip {
            self.replconf("REPLCONF ip-address", &["ip-address", ip]);
        }
        self.replconf("REPLCONF capa", &["capa", "eof", "capa", "psync2"]);
        self.replconf("REPLCONF version", &["version", version]);
    }

    fn ask(&mut self) {
        let (replid, next) = match self.config.ask {
            Ask::Fresh => ("?".to_string(), "-1".to_string()),
            // PSYNC counts the byte wanted, we those that we have.
            Ask::Continue { replid, offset } => (replid.to_string(), (offset + 1).to_string()),
        };
        let words = ["PSYNC", &replid, &next, "FAILOVER"];
        let count = if self.config.failover { 4 } else { 3 };
        self.command(Command::Psync, &words[..count]);
    }

    fn handle_refusal(&mut self, line: &[u8], text: String) -> Result<(), HandshakeError> {
        let says = |codes: &[&str]| {
            let code = line[1..].split(|byte| *byte == b' ').next().unwrap_or_default();
            codes.iter().any(|expected| code == expected.as_bytes())
        };
        if self.config.failover {
            return Err(HandshakeError::FailoverRefused(text));
        }
        if says(&["NOMASTERLINK", "LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN"]) {
            return Err(HandshakeError::TryLater(text));
        }
        // SYNC would be answered no better.
        if says(&["NOAUTH", "NOPERM"]) {
            return Err(HandshakeError::Refused(text));
        }
        self.ignored.push_back(IgnoredAnswer { to: Command::Psync.name(), answer: text });
        self.send.extend_from_slice(b"SYNC\r\n");
        self.outcome = Some(Outcome::Sync);
        Ok(())
    }

    fn replconf(&mut self, name: &'static str, words: &[&str]) {
        let words: Vec<_> = std::iter::once("REPLCONF").chain(words.iter().copied()).collect();
        self.command(Command::Replconf(name), &words);
    }

    fn command(&mut self, command: Command, words: &[&str]) {
        self.awaited.push_back(command);
        self.send.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in words {
            self.send.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }
}

/// `+FULLRESYNC <replid> <offset>` or `+CONTINUE[ <replid>]`.
fn parse_outcome(line: &[u8]) -> Option<Outcome> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let outcome = match words.next()? {
        b"+FULLRESYNC" => {
            let replid = Replid::parse(words.next()?)?;
            let offset = u64::try_from(parse_integer(words.next()?)?).ok()?;
            Outcome::FullResync { replid, offset }
        }
        b"+CONTINUE" => {
            let replid = words.next().map(Replid::parse);
            Outcome::Continue {
                replid: match replid {
                    Some(replid) => Some(replid?),
                    None => None,
                },
            }
        }
        _ => return None,
    };
    words.next().is_none().then_some(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn config() -> Config {
        Config {
            user: None,
            password: None,
            listening_port: 6380,
            announce_ip: None,
            version: "9.1.2",
            ask: Ask::Fresh,
            failover: false,
        }
    }

    fn replid() -> Replid {
        Replid::parse(ID.as_bytes()).unwrap()
    }

    /// What was sent, one command a line.
    fn sent(handshake: &mut Handshake) -> String {
        let bytes = handshake.poll_send().unwrap_or_default();
        let mut text = String::new();
        for line in String::from_utf8(bytes).unwrap().split_terminator("\r\n") {
            match line.as_bytes()[0] {
                b'*' if text.is_empty() => {}
                b'*' => text.push('\n'),
                b'$' if text.is_empty() || text.ends_with('\n') => {}
                b'$' => text.push(' '),
                _ => text.push_str(line),
            }
        }
        text
    }

    /// Answers PING and so many REPLCONFs, and tells what PSYNC was asked.
    fn introduced(config: Config, answers: &str) -> (Handshake, String) {
        let mut handshake = Handshake::new(config);
        assert_eq!(sent(&mut handshake), "PING");
        assert_eq!(handshake.receive(b"+PONG\r\n"), Ok(7));
        sent(&mut handshake);
        assert_eq!(handshake.receive(answers.as_bytes()), Ok(answers.len()));
        let psync = sent(&mut handshake);
        (handshake, psync)
    }

    /// The outcome of `answer` to PSYNC, and what is left of it.
    fn check(answer: &str, expected: Result<(Outcome, &str), HandshakeError>) {
        let ask = Ask::Continue { replid: replid(), offset: 1 };
        let (mut handshake, _) = introduced(Config { ask, ..config() }, "+OK\r\n+OK\r\n+OK\r\n");
        let result = handshake.receive(answer.as_bytes());
        let result =
            result.map(|taken| (handshake.poll_outcome().expect("an outcome"), &answer[taken..]));
        assert_eq!(result, expected);
        assert_eq!(handshake.poll_outcome(), None);
    }

    #[test]
    fn handshake_goes_in_the_order_of_redis() {
        let mut handshake = Handshake::new(Config {
            user: Some("u".into()),
            password: Some("p".into()),
            announce_ip: Some("1.2.3.4".into()),
            ask: Ask::Continue { replid: replid(), offset: 0 },
            ..config()
        });
        assert_eq!(sent(&mut handshake), "PING");
        assert_eq!(sent(&mut handshake), "");
        assert_eq!(handshake.receive(b"-NOAUTH Authentication required.\r\n"), Ok(34));
        assert_eq!(
            sent(&mut handshake),
            "AUTH u p\nREPLCONF listening-port 6380\nREPLCONF ip-address 1.2.3.4\n\
             REPLCONF capa eof capa psync2\nREPLCONF version 9.1.2"
        );
        assert_eq!(handshake.awaits(), Some("AUTH"));
        assert_eq!(handshake.receive(b"+OK\r\n+OK\r\n+OK\r\n+OK\r\n"), Ok(20));
        assert_eq!(sent(&mut handshake), "");
        assert_eq!(handshake.receive(b"-ERR Unrecognized REPLCONF option: version\r\n"), Ok(44));
        let ignored = handshake.poll_ignored().unwrap();
        assert_eq!(ignored.to, "REPLCONF version");
        assert_eq!(sent(&mut handshake), format!("PSYNC {ID} 1"));
        assert_eq!(handshake.receive(b"\n\n+CONT"), Ok(2));
        assert_eq!(handshake.receive(b"+CONTINUE\r\n*1\r\n"), Ok(11));
        assert_eq!(handshake.poll_outcome(), Some(Outcome::Continue { replid: None }));
        assert_eq!(handshake.receive(b"*1\r\n"), Ok(0));
    }

    #[test]
    fn replica_asks_for_the_byte_behind_those_it_has() {
        let answers = "+OK\r\n-ERR no\r\n+OK\r\n";
        let ask = Ask::Continue { replid: replid(), offset: 41 };
        let failover = Config { ask, failover: true, ..config() };
        assert_eq!(introduced(failover, answers).1, format!("PSYNC {ID} 42 FAILOVER"));
        assert_eq!(introduced(Config { ask, ..config() }, answers).1, format!("PSYNC {ID} 42"));
        assert_eq!(introduced(config(), answers).1, "PSYNC ? -1");
    }

    #[test]
    fn answer_to_psync_ends_the_handshake_right_behind_it() {
        let full = Outcome::FullResync { replid: replid(), offset: 12 };
        check(&format!("+FULLRESYNC {ID} 12\r\n$5\r\n"), Ok((full, "$5\r\n")));
        check(&format!("\n\r\n+FULLRESYNC {ID} 12\n\n"), Ok((full, "\n")));
        let named = Outcome::Continue { replid: Some(replid()) };
        check(&format!("+CONTINUE {ID}\r\n*1\r\n"), Ok((named, "*1\r\n")));
        check("+CONTINUE\r\n", Ok((Outcome::Continue { replid: None }, "")));
        check("+CONTINUE \r\n", Ok((Outcome::Continue { replid: None }, "")));
    }

    #[test]
    fn primary_without_psync_is_sent_sync() {
        let (mut handshake, _) = introduced(config(), "+OK\r\n+OK\r\n+OK\r\n");
        assert_eq!(handshake.receive(b"-ERR unknown command 'PSYNC'\r\n$5"), Ok(30));
        assert_eq!(handshake.poll_send().as_deref(), Some(&b"SYNC\r\n"[..]));
        assert_eq!(handshake.poll_outcome(), Some(Outcome::Sync));
        assert_eq!(handshake.poll_ignored().unwrap().to, "PSYNC");
    }

    #[test]
    fn primary_that_cannot_serve_now_is_asked_later() {
        for answer in [
            "-NOMASTERLINK Can't SYNC while not connected with my master",
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down",
        ] {
            let error = HandshakeError::TryLater(answer.escape_debug().to_string());
            check(&format!("{answer}\r\n"), Err(error));
        }
    }

    #[test]
    fn answers_that_make_no_sense_are_errors() {
        let unexpected = |answer: &str| HandshakeError::Unexpected {
            to: "PSYNC",
            answer: answer.escape_debug().to_string(),
        };
        for answer in [
            "garbage".to_string(),
            "+OK".into(),
            "+DUALCHANNELSYNC".into(),
            "+FULLRESYNC".into(),
            "+FULLRESYNC abc 1".into(),
            format!("+FULLRESYNC {ID}"),
            format!("+FULLRESYNC {ID} -1"),
            format!("+FULLRESYNC {ID} x"),
            format!("+FULLRESYNC {ID} 1 2"),
            "+CONTINUE abc".into(),
        ] {
            check(&format!("{answer}\r\n"), Err(unexpected(&answer)));
        }
        let long = "+".repeat(LINE_BYTES_MAX);
        check(&long, Err(HandshakeError::LineTooLong { to: "PSYNC" }));
        check(&format!("{long}\n"), Err(HandshakeError::LineTooLong { to: "PSYNC" }));
        check("-NOAUTH no\r\n", Err(HandshakeError::Refused("-NOAUTH no".into())));
    }

    #[test]
    fn replica_without_data_cannot_be_told_to_go_on() {
        let (mut handshake, _) = introduced(config(), "+OK\r\n+OK\r\n+OK\r\n");
        let unexpected = HandshakeError::Unexpected { to: "PSYNC", answer: "+CONTINUE".into() };
        assert_eq!(handshake.receive(b"+CONTINUE\r\n"), Err(unexpected));
    }

    #[test]
    fn errors_to_ping_and_auth_end_the_attempt() {
        let mut handshake = Handshake::new(config());
        let answer = handshake.receive(b"-ERR max number of clients reached\r\n");
        let text = "-ERR max number of clients reached";
        assert_eq!(answer, Err(HandshakeError::Ping(text.into())));
        let mut handshake = Handshake::new(Config { password: Some("p".into()), ..config() });
        handshake.receive(b"+PONG\r\n").unwrap();
        handshake.poll_send();
        let answer = handshake.receive(b"-WRONGPASS no\r\n");
        assert_eq!(answer, Err(HandshakeError::Auth("-WRONGPASS no".into())));
        let answer = Handshake::new(config()).receive(b"\r\n");
        let empty = HandshakeError::Unexpected { to: "PING", answer: String::new() };
        assert_eq!(answer, Err(empty));
    }

    #[test]
    fn replica_that_will_not_take_over_refuses_the_failover() {
        let (mut handshake, _) =
            introduced(Config { failover: true, ..config() }, "+OK\r\n+OK\r\n+OK\r\n");
        let answer = "-ERR PSYNC FAILOVER replid must match my replid.";
        let result = handshake.receive(format!("{answer}\r\n").as_bytes());
        assert_eq!(result, Err(HandshakeError::FailoverRefused(answer.into())));
        assert_eq!((handshake.poll_send(), handshake.poll_outcome()), (None, None));
    }

    /// Brings `wire` in pieces cut at `cuts`, as a socket would.
    fn drive(
        wire: &[u8],
        cuts: &[usize],
    ) -> (Result<usize, HandshakeError>, Option<Outcome>, Vec<u8>) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
        cuts.push(wire.len());
        cuts.sort_unstable();
        let (mut handshake, mut taken, mut sent) = (Handshake::new(config()), 0, Vec::new());
        for cut in cuts {
            match handshake.receive(&wire[taken..cut]) {
                Ok(more) => taken += more,
                Err(error) => return (Err(error), None, sent),
            }
            sent.extend(handshake.poll_send().unwrap_or_default());
        }
        (Ok(taken), handshake.poll_outcome(), sent)
    }

    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            6 => Just("+OK\r\n".as_bytes().to_vec()),
            2 => Just("-ERR no\r\n".as_bytes().to_vec()),
            1 => Just("\n".as_bytes().to_vec()),
            1 => Just(format!("+FULLRESYNC {ID} 7\r\n").into_bytes()),
            1 => Just(format!("+CONTINUE {ID}\r\n").into_bytes()),
            1 => prop::collection::vec(any::<u8>(), 0..2000),
        ];
        prop::collection::vec(line, 0..9).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            wire in lines(),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let (mut whole, mut cut) = (drive(&wire, &[]), drive(&wire, &cuts));
            if whole.0.is_err() {
                // What had been sent before the error depends on the cuts.
                whole.2.clear();
                cut.2.clear();
            }
            prop_assert_eq!(whole, cut);
        }
    }
}
