//! Parses requests in place, many at a time.
//!
//! [`Parser::parse`] reads complete commands off the front of a buffer into a [`Batch`] of ranges; nothing is
//! copied but inline commands, whose words are unquoted. A frame that is cut is remembered, so that a command
//! of a million arguments arriving in pieces is parsed once, not once per piece.
//!
//! Source: the RESP specification; limits and error texts as Redis 7.2 answers them.

use crate::args::{ArgRange, Args, OwnedArgs};

/// Bounds on what a client may send, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `proto-max-bulk-len`.
    pub bulk_bytes_max: usize,
    /// Before AUTH at most 10 arguments of 16 KiB.
    pub authenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bulk_bytes_max: 512 << 20, authenticated: true }
    }
}

/// The longest inline command, and the longest line with a count, in bytes.
const INLINE_BYTES_MAX: usize = 64 * 1024;
const ARGUMENTS_MAX: i64 = i32::MAX as i64;

/// What the client did wrong. The connection is closed after the error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    MultibulkLength,
    UnauthenticatedMultibulkLength,
    ExpectedDollar(u8),
    BulkLength,
    UnauthenticatedBulkLength,
    UnbalancedQuotes,
    BigInline,
    BigMultibulkCount,
    BigBulkCount,
}

impl ProtocolError {
    /// The error reply without its leading `-`.
    pub fn text(&self) -> String {
        let what = match self {
            ProtocolError::MultibulkLength => "invalid multibulk length".into(),
            ProtocolError::UnauthenticatedMultibulkLength => {
                "unauthenticated multibulk length".into()
            }
            ProtocolError::ExpectedDollar(got) => {
                // A control character would break the error line.
                let got = if got.is_ascii_control() { ' ' } else { char::from(*got) };
                format!("expected '$', got '{got}'")
            }
            ProtocolError::BulkLength => "invalid bulk length".into(),
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length".into(),
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request".into(),
            ProtocolError::BigInline => "too big inline request".into(),
            ProtocolError::BigMultibulkCount => "too big mbulk count string".into(),
            ProtocolError::BigBulkCount => "too big bulk count string".into(),
        };
        format!("ERR Protocol error: {what}")
    }
}

/// Where the arguments of one parsed command are in its batch.
#[derive(Clone, Copy, Debug)]
struct Parsed {
    first: u32,
    count: u32,
    /// The end of the command in the buffer.
    end: u32,
    inline: bool,
}

/// Commands parsed from one buffer. Reused from round to round.
#[derive(Debug, Default)]
pub struct Batch {
    ranges: Vec<ArgRange>,
    commands: Vec<Parsed>,
    /// Inline commands: their words are not slices of the buffer.
    inline: Vec<OwnedArgs>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    pub fn clear(&mut self) {
        self.ranges.clear();
        self.commands.clear();
        self.inline.clear();
    }

    /// The arguments of command `index`; `buffer` is the one they were parsed from.
    #[inline]
    pub fn args<'a>(&'a self, index: usize, buffer: &'a [u8]) -> Args<'a> {
        let command = self.commands[index];
        if command.inline {
            return self.inline[command.first as usize].args();
        }
        Args::new(buffer, &self.ranges[command.first as usize..][..command.count as usize])
    }

    /// Where command `index` ends in the buffer.
    pub fn end(&self, index: usize) -> usize {
        self.commands[index].end as usize
    }
}

/// The state of one connection's request stream.
#[derive(Debug, Default)]
pub struct Parser {
    /// A command whose beginning is there; its ranges are relative to the buffer's front.
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    ranges: Vec<ArgRange>,
    /// Arguments still to come.
    missing: u32,
    /// Where parsing goes on.
    at: usize,
    /// Bytes the buffer must hold before it is worth going on.
    wanted: usize,
}

enum Step {
    Done(usize),
    /// More bytes are needed.
    Cut,
}

impl Parser {
    /// Appends the complete commands at the front of `buffer` to `batch`, at most `max` of them. Afterwards
    /// the caller drops what lies before the end of the last command it took, and presents the rest again,
    /// with more bytes behind it.
    ///
    /// Returns the number of bytes that the parsed commands and empty lines span. An error counts from the
    /// end of the commands parsed before it, which are in the batch and to be run first.
    pub fn parse(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        max: usize,
        batch: &mut Batch,
    ) -> (usize, Result<(), ProtocolError>) {
        let mut at = 0;
        while at < buffer.len() && batch.len() < max {
            let parsed = if self.partial.is_some() {
                self.resume(buffer, limits, batch)
            } else if buffer[at] == b'*' {
                self.multibulk(buffer, at, limits, batch)
            } else {
                inline(buffer, at, batch)
            };
            match parsed {
                Ok(Step::Done(end)) => at = end,
                Ok(Step::Cut) => break,
                Err(error) => return (at, Err(error)),
            }
        }
        (at, Ok(()))
    }

    /// Bytes that the buffer must hold before the cut command at its front can be whole; 0 if not known.
    pub fn wanted(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.wanted)
    }

    /// Forgets the cut command, when its beginning is to be presented again as a new one.
    pub fn restart(&mut self) {
        self.partial = None;
    }

    #[inline]
    fn multibulk(
        &mut self,
        buffer: &[u8],
        start: usize,
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Step, ProtocolError> {
        let Some((count, mut at)) = line_number(buffer, start + 1) else {
            if buffer.len() - start > INLINE_BYTES_MAX {
                return Err(ProtocolError::BigMultibulkCount);
            }
            return Ok(Step::Cut);
        };
        let count =
            count.filter(|count| *count <= ARGUMENTS_MAX).ok_or(ProtocolError::MultibulkLength)?;
        if count > 10 && !limits.authenticated {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        if count <= 0 {
            return Ok(Step::Done(at));
        }
        let first = batch.ranges.len();
        let mut missing = count as u32;
        while missing > 0 {
            match bulk(buffer, at, limits) {
                Ok(Bulk::Whole(range, end)) => {
                    batch.ranges.push(range);
                    at = end;
                    missing -= 1;
                }
                Ok(Bulk::Cut(wanted)) => {
                    // Remember the parsed part, relative to where this command begins.
                    let ranges = batch
                        .ranges
                        .drain(first..)
                        .map(|range| ArgRange { start: range.start - start as u32, len: range.len })
                        .collect();
                    let wanted = wanted.saturating_sub(start);
                    self.partial =
                        Some(Box::new(Partial { ranges, missing, at: at - start, wanted }));
                    return Ok(Step::Cut);
                }
                Err(error) => {
                    batch.ranges.truncate(first);
                    return Err(error);
                }
            }
        }
        batch.commands.push(Parsed {
            first: first as u32,
            count: count as u32,
            end: at as u32,
            inline: false,
        });
        Ok(Step::Done(at))
    }

    #[cold]
    fn resume(
        &mut self,
        buffer: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<Step, ProtocolError> {
        let partial = self.partial.as_mut().expect("checked by the caller");
        if buffer.len() < partial.wanted {
            return Ok(Step::Cut);
        }
        while partial.missing > 0 {
            match bulk(buffer, partial.at, limits)? {
                Bulk::Whole(range, end) => {
                    partial.ranges.push(range);
                    partial.at = end;
                    partial.missing -= 1;
                }
                Bulk::Cut(wanted) => {
                    partial.wanted = wanted;
                    return Ok(Step::Cut);
                }
            }
        }
        let whole = self.partial.take().expect("held above");
        batch.commands.push(Parsed {
            first: batch.ranges.len() as u32,
            count: whole.ranges.len() as u32,
            end: whole.at as u32,
            inline: false,
        });
        batch.ranges.extend_from_slice(&whole.ranges);
        Ok(Step::Done(whole.at))
    }
}

enum Bulk {
    Whole(ArgRange, usize),
    /// Bytes wanted in the buffer, 0 if not known.
    Cut(usize),
}

#[inline]
fn bulk(buffer: &[u8], start: usize, limits: &Limits) -> Result<Bulk, ProtocolError> {
    // The common case first: a length of one or two digits.
    let (len, at) = match buffer[start..] {
        [] => return Ok(Bulk::Cut(0)),
        [b'$', digit @ b'0'..=b'9', b'\r', b'\n', ..] => (usize::from(digit - b'0'), start + 4),
        [b'$', tens @ b'1'..=b'9', ones @ b'0'..=b'9', b'\r', b'\n', ..] => {
            (usize::from(tens - b'0') * 10 + usize::from(ones - b'0'), start + 5)
        }
        [b'$', ..] => match line_number(buffer, start + 1) {
            None if buffer.len() - start > INLINE_BYTES_MAX => {
                return Err(ProtocolError::BigBulkCount);
            }
            None => return Ok(Bulk::Cut(0)),
            Some((len, at)) => {
                let len = len
                    .and_then(|len| usize::try_from(len).ok())
                    .filter(|len| *len <= limits.bulk_bytes_max)
                    .ok_or(ProtocolError::BulkLength)?;
                if len > 16 * 1024 && !limits.authenticated {
                    return Err(ProtocolError::UnauthenticatedBulkLength);
                }
                (len, at)
            }
        },
        [other, ..] => {
            // The line is judged once it is whole, as Redis does.
            return match memchr::memchr(b'\r', &buffer[start..]) {
                Some(_) => Err(ProtocolError::ExpectedDollar(other)),
                None if buffer.len() - start > INLINE_BYTES_MAX => Err(ProtocolError::BigBulkCount),
                None => Ok(Bulk::Cut(0)),
            };
        }
    };
    let end = at + len + 2;
    if buffer.len() < end {
        return Ok(Bulk::Cut(end));
    }
    Ok(Bulk::Whole(ArgRange { start: at as u32, len: len as u32 }, end))
}

/// The number on the line at `start` (`None` inside if it is none) and where the next line begins; `None` if
/// the line is cut.
#[inline]
fn line_number(buffer: &[u8], start: usize) -> Option<(Option<i64>, usize)> {
    // One digit, the usual count of arguments.
    if let [digit @ b'0'..=b'9', b'\r', b'\n', ..] = buffer[start..] {
        return Some((Some(i64::from(digit - b'0')), start + 3));
    }
    let end = start + memchr::memchr(b'\r', &buffer[start..])?;
    if end + 1 >= buffer.len() {
        return None;
    }
    Some((crate::number::parse_integer(&buffer[start..end]), end + 2))
}

#[cold]
fn inline(buffer: &[u8], start: usize, batch: &mut Batch) -> Result<Step, ProtocolError> {
    let Some(len) = memchr::memchr(b'\n', &buffer[start..]) else {
        if buffer.len() - start > INLINE_BYTES_MAX {
            return Err(ProtocolError::BigInline);
        }
        return Ok(Step::Cut);
    };
    let end = start + len + 1;
    let line = &buffer[start..start + len];
    let words = split_words(line.strip_suffix(b"\r").unwrap_or(line))
        .ok_or(ProtocolError::UnbalancedQuotes)?;
    if !words.is_empty() {
        batch.commands.push(Parsed {
            first: batch.inline.len() as u32,
            count: words.len() as u32,
            end: end as u32,
            inline: true,
        });
        batch.inline.push(OwnedArgs::new(words.iter().map(Vec::as_slice)));
    }
    Ok(Step::Done(end))
}

/// Splits a line into words as a shell would: `"…"` with `\n \r \t \b \a \xHH` escapes, `'…'` with `\'`.
/// `None`: a quote is open, or something follows a closing one.
///
/// Configuration files have the same syntax.
pub fn split_words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let [space, tail @ ..] = rest
            && (space.is_ascii_whitespace() || *space == 0x0b)
        {
            rest = tail;
        }
        if rest.is_empty() || rest[0] == 0 {
            return Some(words);
        }
        let mut word = Vec::new();
        loop {
            match rest {
                [] | [0, ..] => break,
                [b' ' | b'\t' | b'\n' | b'\r', ..] => break,
                [b'"', tail @ ..] => {
                    rest = double_quoted(tail, &mut word)?;
                    break;
                }
                [b'\'', tail @ ..] => {
                    rest = single_quoted(tail, &mut word)?;
                    break;
                }
                [byte, tail @ ..] => {
                    word.push(*byte);
                    rest = tail;
                }
            }
        }
        words.push(word);
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'"', tail @ ..] => return after_quote(tail),
            [b'\\', b'x', high, low, tail @ ..]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |hex: u8| char::from(hex).to_digit(16).expect("a hex digit") as u8;
                word.push(digit(*high) << 4 | digit(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match rest {
            [] => return None,
            [b'\'', tail @ ..] => return after_quote(tail),
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                tail
            }
            [byte, tail @ ..] => {
                word.push(*byte);
                tail
            }
        };
    }
}

fn after_quote(rest: &[u8]) -> Option<&[u8]> {
    rest.first()
        .is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b))
        .then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `input` in pieces of `piece` bytes, as a connection would, and returns all commands.
    fn feed(
        input: &[u8],
        piece: usize,
        limits: &Limits,
    ) -> (Vec<Vec<Vec<u8>>>, Option<ProtocolError>) {
        let (mut parser, mut batch, mut buffer) = (Parser::default(), Batch::default(), Vec::new());
        let mut commands = Vec::new();
        for chunk in input.chunks(piece.max(1)) {
            buffer.extend_from_slice(chunk);
            loop {
                batch.clear();
                let (used, result) = parser.parse(&buffer, limits, 3, &mut batch);
                for index in 0..batch.len() {
                    commands.push(batch.args(index, &buffer).iter().map(<[u8]>::to_vec).collect());
                }
                buffer.drain(..used);
                if let Err(error) = result {
                    return (commands, Some(error));
                }
                if used == 0 {
                    break;
                }
            }
        }
        (commands, None)
    }

    fn words(commands: &[&[&str]]) -> Vec<Vec<Vec<u8>>> {
        commands.iter().map(|c| c.iter().map(|w| w.as_bytes().to_vec()).collect()).collect()
    }

    #[track_caller]
    fn check(input: &[u8], expected: &[&[&str]], error: Option<ProtocolError>) {
        for piece in 1..=input.len() {
            let (commands, got) = feed(input, piece, &Limits::default());
            assert_eq!(commands, words(expected), "in pieces of {piece}");
            assert_eq!(got, error, "in pieces of {piece}");
        }
    }

    #[test]
    fn commands_cut_anywhere_arrive_whole() {
        check(
            b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*0\r\n*-1\r\nping\r\n\r\n*1\r\n$12\r\nabcdefghijkl\r\nset 'a b' \"c\\x41\\n\"\n",
            &[&["GET", "k"], &["ping"], &["abcdefghijkl"], &["set", "a b", "cA\n"]],
            None,
        );
    }

    #[test]
    fn bad_frames_give_their_error_after_the_good_ones() {
        use ProtocolError::*;
        check(b"PING\r\n*a\r\n", &[&["PING"]], Some(MultibulkLength));
        check(b"*9999999999\r\n", &[], Some(MultibulkLength));
        check(b"*1\r\n$-1\r\n", &[], Some(BulkLength));
        check(b"*1\r\n$x\r\n", &[], Some(BulkLength));
        check(b"*1\r\n$536870913\r\n", &[], Some(BulkLength));
        check(b"*1\r\n!4\r\n", &[], Some(ExpectedDollar(b'!')));
        check(b"set 'a\r\n", &[], Some(UnbalancedQuotes));
        check(b"set \"a\"b\r\n", &[], Some(UnbalancedQuotes));
    }

    #[test]
    fn lines_without_end_are_refused() {
        let long = vec![b'a'; 70_000];
        assert_eq!(feed(&long, 1000, &Limits::default()).1, Some(ProtocolError::BigInline));
        let mut count = b"*".to_vec();
        count.extend(vec![b'1'; 70_000]);
        assert_eq!(
            feed(&count, 1000, &Limits::default()).1,
            Some(ProtocolError::BigMultibulkCount)
        );
        let mut bulk = b"*1\r\n$".to_vec();
        bulk.extend(vec![b'1'; 70_000]);
        assert_eq!(feed(&bulk, 1000, &Limits::default()).1, Some(ProtocolError::BigBulkCount));
    }

    #[test]
    fn strangers_may_send_little() {
        let limits = Limits { authenticated: false, ..Limits::default() };
        assert_eq!(
            feed(b"*11\r\n", 9, &limits).1,
            Some(ProtocolError::UnauthenticatedMultibulkLength)
        );
        assert_eq!(
            feed(b"*1\r\n$16385\r\n", 99, &limits).1,
            Some(ProtocolError::UnauthenticatedBulkLength)
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(input in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..40) {
            feed(&input, piece, &Limits::default());
        }

        #[test]
        fn almost_resp_never_panics(input in "(\\*[0-9]{1,2}\r\n|\\$[0-9]{1,2}\r\n|[a-z]{0,9}\r\n|'|\")*", piece in 1usize..40) {
            feed(input.as_bytes(), piece, &Limits::default());
        }

        #[test]
        fn encoded_commands_come_back(
            commands in proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8), 0..8),
            piece in 1usize..100,
        ) {
            let mut input = Vec::new();
            for command in &commands {
                input.extend(format!("*{}\r\n", command.len()).bytes());
                for arg in command {
                    input.extend(format!("${}\r\n", arg.len()).bytes());
                    input.extend(arg);
                    input.extend(b"\r\n");
                }
            }
            let (parsed, error) = feed(&input, piece, &Limits::default());
            prop_assert_eq!(parsed, commands);
            prop_assert_eq!(error, None);
        }
    }
}
