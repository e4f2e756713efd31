//! The frame of a full sync, as the replica sees it: where the RDB payload begins and where it ends.
//!
//! Two forms: `$<length>\r\n` and so many bytes, or (a primary that does not know the length yet)
//! `$EOF:<40 bytes>\r\n`, then the payload, then the same 40 bytes. Newlines before either are keep-alives; a line
//! that begins with `-` says that there will be no payload. Neither form has a line end behind the payload: what
//! follows is the stream.
//!
//! The reader cuts and never looks inside. Whoever reads the RDB knows where that ends and says so
//! ([`BulkReader::payload_ended`]); that is how a length that lies and a mark that never comes are found. Whole
//! pushes are passed on in one or two pieces, searched for the mark by memchr's substring search.
//!
//! Source: captures of Redis 7.0 and Valkey 9.1 primaries, with and without `capa eof`.

use std::fmt;

use memchr::memmem::{Finder, find};

const MARK_BYTES: usize = 40;

/// Longest first line: an error text fits.
const HEADER_BYTES_MAX: usize = 1024;

/// How far a payload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything that was pushed belongs to it, more is to come.
    More,
    /// It ended in this push, which went up to here; the rest is the stream.
    Done { consumed: usize },
}

/// What is wrong with a full sync: the primary's doing in every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkError {
    /// It sent this error instead.
    Refused(String),
    /// The payload was announced by this, which is neither a length nor a mark.
    WrongHeader(String),
    /// The announcement has no end.
    HeaderTooLong,
    /// The RDB ended after so many bytes, although so many were announced.
    WrongLength { announced: u64, ended: u64 },
    /// The RDB ended, but what follows is not the mark announced.
    WrongMark,
    /// The link was lost after so many bytes of the payload.
    Cut { received: u64 },
}

impl fmt::Display for BulkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BulkError::Refused(text) => write!(f, "the primary refused the full sync: {text}"),
            BulkError::WrongHeader(line) => {
                write!(f, "the payload of the full sync begins with '{line}' instead of its length")
            }
            BulkError::HeaderTooLong => {
                write!(f, "the first line of the full sync is longer than {HEADER_BYTES_MAX} bytes")
            }
            BulkError::WrongLength { announced, ended } => write!(
                f,
                "the RDB ended after {ended} bytes, but the full sync is of {announced} bytes"
            ),
            BulkError::WrongMark => f.write_str("the RDB is not followed by its end mark"),
            BulkError::Cut { received } => {
                write!(f, "the link was lost after {received} bytes of the full sync")
            }
        }
    }
}

impl std::error::Error for BulkError {}

enum State {
    /// What there is of the first line, without its end.
    Header(Vec<u8>),
    Length {
        announced: u64,
        missing: u64,
    },
    Mark(Box<Mark>),
    Done,
}

/// Reads one payload.
pub struct BulkReader {
    state: State,
    /// Bytes of the payload that were passed on.
    passed: u64,
    /// Where the RDB in it ended.
    ended: Option<u64>,
}

impl BulkReader {
    pub fn new() -> BulkReader {
        BulkReader { state: State::Header(Vec::new()), passed: 0, ended: None }
    }

    /// The length announced, in bytes; `None` while unknown and where a mark tells the end.
    pub fn announced_bytes(&self) -> Option<u64> {
        match self.state {
            State::Length { announced, .. } => Some(announced),
            _ => None,
        }
    }

    /// Bytes of the payload passed on so far.
    pub fn passed_bytes(&self) -> u64 {
        self.passed
    }

    /// Takes the next bytes from the primary and gives those of the payload to `out`, in order, in few pieces. Up
    /// to 39 bytes are held back until the next push, as they may be the beginning of the mark. After `Done`
    /// nothing more is consumed. After an error the link is of no use.
    pub fn push(
        &mut self,
        bytes: &[u8],
        out: &mut impl FnMut(&[u8]),
    ) -> Result<Progress, BulkError> {
        let mut rest = bytes;
        if let State::Header(line) = &mut self.state {
            match take_line(line, &mut rest)? {
                None => return Ok(Progress::More),
                Some(line) => self.state = parse_header(&line)?,
            }
        }
        let passed = &mut self.passed;
        let mut out = |piece: &[u8]| {
            if !piece.is_empty() {
                *passed += piece.len() as u64;
                out(piece);
            }
        };
        let consumed = match &mut self.state {
            State::Header(_) => unreachable!("just parsed"),
            State::Done => Some(0),
            State::Length { missing, .. } => {
                let now = rest.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                out(&rest[..now]);
                *missing -= now as u64;
                (*missing == 0).then_some(now)
            }
            State::Mark(mark) => mark.push(rest, &mut out),
        };
        if let (State::Mark(mark), Some(ended)) = (&self.state, self.ended) {
            let wrong = match consumed {
                Some(_) => self.passed > ended,
                // Were the mark to come, it would be whole by now.
                None => self.passed + mark.held.len() as u64 >= ended + MARK_BYTES as u64,
            };
            if wrong {
                return Err(BulkError::WrongMark);
            }
        }
        match consumed {
            None => Ok(Progress::More),
            Some(consumed) => {
                self.state = State::Done;
                Ok(Progress::Done { consumed: bytes.len() - rest.len() + consumed })
            }
        }
    }

    /// Says that the RDB inside ended with the payload's byte `ended` (the number of bytes up to and with its
    /// checksum), which may be told before the frame is done. Errors: not where the frame says.
    pub fn payload_ended(&mut self, ended: u64) -> Result<(), BulkError> {
        match &self.state {
            State::Length { announced, .. } if *announced != ended => {
                return Err(BulkError::WrongLength { announced: *announced, ended });
            }
            // All of it has been passed on.
            State::Done if ended < self.passed => {
                return Err(BulkError::WrongLength { announced: self.passed, ended });
            }
            State::Mark(_) if ended < self.passed => return Err(BulkError::WrongMark),
            _ => {}
        }
        self.ended = Some(ended);
        Ok(())
    }

    /// The link was lost. Errors: before the payload was whole.
    pub fn link_lost(&self) -> Result<(), BulkError> {
        match self.state {
            State::Done => Ok(()),
            _ => Err(BulkError::Cut { received: self.passed }),
        }
    }
}

impl Default for BulkReader {
    fn default() -> BulkReader {
        BulkReader::new()
    }
}

/// The first line that is not empty, without its end, once it is whole.
fn take_line(line: &mut Vec<u8>, rest: &mut &[u8]) -> Result<Option<Vec<u8>>, BulkError> {
    loop {
        let end = memchr::memchr(b'\n', rest);
        let (now, later) = rest.split_at(end.unwrap_or(rest.len()));
        if line.len() + now.len() > HEADER_BYTES_MAX {
            return Err(BulkError::HeaderTooLong);
        }
        line.extend_from_slice(now);
        let Some(later) = later.get(1..) else {
            *rest = later;
            return Ok(None);
        };
        *rest = later;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.is_empty() {
            return Ok(Some(std::mem::take(line)));
        }
    }
}

fn parse_header(line: &[u8]) -> Result<State, BulkError> {
    let text = || String::from_utf8_lossy(line).escape_debug().to_string();
    match line {
        [b'-', ..] => Err(BulkError::Refused(text())),
        [b'$', b'E', b'O', b'F', b':', mark @ ..] => match mark.try_into() {
            Ok(mark) => Ok(State::Mark(Box::new(Mark::new(mark)))),
            Err(_) => Err(BulkError::WrongHeader(text())),
        },
        [b'$', digits @ ..] => match ringfort_core::number::parse_integer(digits) {
            Some(announced @ 0..) => {
                let announced = announced as u64;
                Ok(State::Length { announced, missing: announced })
            }
            _ => Err(BulkError::WrongHeader(text())),
        },
        _ => Err(BulkError::WrongHeader(text())),
    }
}

/// Looks for the mark, over the cuts between pushes.
struct Mark {
    bytes: [u8; MARK_BYTES],
    finder: Finder<'static>,
    /// The last bytes pushed, fewer than the mark has: it may begin in them.
    held: Vec<u8>,
}

impl Mark {
    fn new(bytes: [u8; MARK_BYTES]) -> Mark {
        let finder = Finder::new(&bytes).into_owned();
        Mark { bytes, finder, held: Vec::with_capacity(2 * MARK_BYTES) }
    }

    /// Gives `out` what is certainly payload. Where in `bytes` the mark ends, if it does.
    fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Option<usize> {
        const HELD_MAX: usize = MARK_BYTES - 1;
        let held = self.held.len();
        // A mark that begins in what was held ends among the first bytes of these.
        self.held.extend_from_slice(&bytes[..bytes.len().min(HELD_MAX)]);
        if let Some(at) = find(&self.held, &self.bytes) {
            out(&self.held[..at]);
            return Some(at + MARK_BYTES - held);
        }
        if bytes.len() <= HELD_MAX {
            let certain = self.held.len().saturating_sub(HELD_MAX);
            out(&self.held[..certain]);
            self.held.drain(..certain);
            return None;
        }
        out(&self.held[..held]);
        self.held.clear();
        if let Some(at) = self.finder.find(bytes) {
            out(&bytes[..at]);
            return Some(at + MARK_BYTES);
        }
        let (certain, maybe) = bytes.split_at(bytes.len() - HELD_MAX);
        out(certain);
        self.held.extend_from_slice(maybe);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: &[u8; MARK_BYTES] = b"0123456789abcdef0123456789abcdef01234567";

    /// Pushes `wire` cut at `cuts`: the payload, and what follows it if it ended.
    fn read(wire: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, Option<Vec<u8>>), BulkError> {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (wire.len() + 1)).collect();
        cuts.extend([0, wire.len()]);
        cuts.sort_unstable();
        let (mut reader, mut payload) = (BulkReader::new(), Vec::new());
        for cut in cuts.windows(2) {
            let progress = reader
                .push(&wire[cut[0]..cut[1]], &mut |piece| payload.extend_from_slice(piece))?;
            if let Progress::Done { consumed } = progress {
                assert_eq!(reader.passed_bytes(), payload.len() as u64);
                assert_eq!(reader.link_lost(), Ok(()));
                return Ok((payload, Some(wire[cut[0] + consumed..].to_vec())));
            }
        }
        assert_eq!(reader.link_lost(), Err(BulkError::Cut { received: payload.len() as u64 }));
        Ok((payload, None))
    }

    fn check(wire: &[u8], expected: Result<(&[u8], Option<&[u8]>), BulkError>) {
        let expected = expected.map(|(payload, rest)| (payload.to_vec(), rest.map(<[u8]>::to_vec)));
        assert_eq!(read(wire, &[]), expected);
        let every: Vec<_> = (0..wire.len()).collect();
        match (read(wire, &every), expected) {
            // What is held back when the wire ends depends on the cuts.
            (Ok((_, None)), Ok((_, None))) => {}
            (read, expected) => assert_eq!(read, expected),
        }
    }

    #[test]
    fn payload_of_a_length_ends_after_it() {
        check(b"$5\r\nREDIS*1\r\n", Ok((b"REDIS", Some(b"*1\r\n"))));
        check(b"\n\n\n$5\r\nREDIS", Ok((b"REDIS", Some(b""))));
        check(b"$0\r\nx", Ok((b"", Some(b"x"))));
        check(b"$6\r\nREDIS", Ok((b"REDIS", None)));
        check(b"$5", Ok((b"", None)));
    }

    #[test]
    fn payload_with_a_mark_ends_before_it() {
        let wire = [b"$EOF:", &MARK[..], b"\r\nREDIS", MARK, b"*1\r\n"].concat();
        check(&wire, Ok((b"REDIS", Some(b"*1\r\n"))));
        let wire = [b"$EOF:", &MARK[..], b"\r\n", &MARK[..39], MARK].concat();
        check(&wire, Ok((&MARK[..39], Some(b""))));
        let wire = [b"$EOF:", &MARK[..], b"\r\n", MARK].concat();
        check(&wire, Ok((b"", Some(b""))));
    }

    #[test]
    fn error_instead_of_a_payload_is_told() {
        let text = "-ERR BGSAVE failed, replication can't continue";
        let escaped = text.escape_debug().to_string();
        check(format!("\n{text}\r\n").as_bytes(), Err(BulkError::Refused(escaped)));
    }

    #[test]
    fn announcement_that_is_neither_is_refused() {
        for line in ["$", "$-1", "$x", "$EOF:abc", "+OK", "$99999999999999999999", "$01"] {
            let wire = format!("{line}\r\n");
            check(wire.as_bytes(), Err(BulkError::WrongHeader(line.into())));
        }
        check(&[b'$'; HEADER_BYTES_MAX + 1], Err(BulkError::HeaderTooLong));
    }

    #[test]
    fn rdb_that_ends_elsewhere_than_announced_is_refused() {
        let wrong = |ended| Err(BulkError::WrongLength { announced: 5, ended });
        let mut reader = BulkReader::new();
        reader.push(b"$5\r\nRED", &mut |_| {}).unwrap();
        assert_eq!(reader.payload_ended(3), wrong(3));
        assert_eq!(reader.payload_ended(5), Ok(()));
        let mut reader = BulkReader::new();
        reader.push(b"$5\r\nREDIS", &mut |_| {}).unwrap();
        assert_eq!(reader.payload_ended(4), wrong(4));
        assert_eq!(reader.payload_ended(5), Ok(()));
    }

    #[test]
    fn rdb_that_is_not_followed_by_its_mark_is_refused() {
        let mut reader = BulkReader::new();
        let wire = [b"$EOF:", &MARK[..], b"\r\nREDIS", &MARK[..39]].concat();
        assert_eq!(reader.push(&wire, &mut |_| {}), Ok(Progress::More));
        assert_eq!(reader.passed_bytes(), 5);
        assert_eq!(reader.payload_ended(4), Err(BulkError::WrongMark));
        assert_eq!(reader.payload_ended(5), Ok(()));
        assert_eq!(reader.push(b"x", &mut |_| {}), Err(BulkError::WrongMark));
    }

    /// Payloads that are full of beginnings of the mark, and some that hold bytes of any kind.
    fn payloads() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            (0..MARK_BYTES).prop_map(|length| MARK[..length].to_vec()),
            prop::collection::vec(any::<u8>(), 0..200),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn frames_are_found_wherever_they_are_cut(
            payload in payloads(),
            keep_alives in 0usize..3,
            by_length in any::<bool>(),
            stream in prop::collection::vec(any::<u8>(), 0..60),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            prop_assume!(find(&payload, MARK).is_none());
            let mut wire = vec![b'\n'; keep_alives];
            if by_length {
                wire.extend_from_slice(format!("${}\r\n", payload.len()).as_bytes());
                wire.extend_from_slice(&payload);
            } else {
                wire.extend_from_slice(&[b"$EOF:", &MARK[..], b"\r\n", &payload, MARK].concat());
            }
            wire.extend_from_slice(&stream);
            // The payload may end with what the mark begins with, and then the first of two ends counts.
            let plain = find(&[&payload[..], MARK].concat(), MARK).unwrap();
            let expected = if by_length { payload.len() } else { plain };
            let (read, rest) = read(&wire, &cuts).unwrap();
            prop_assert_eq!(&read[..], &payload[..expected]);
            prop_assert_eq!(rest.unwrap().len(), stream.len() + payload.len() - expected);
        }

        #[test]
        fn no_bytes_cause_a_panic(
            head in prop_oneof![Just("$"), Just("$EOF:"), Just("-"), Just("")],
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            cuts in prop::collection::vec(any::<usize>(), 0..12),
        ) {
            let wire = [head.as_bytes(), &bytes].concat();
            let _ = read(&wire, &cuts);
        }
    }
}
