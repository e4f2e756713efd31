//! Replication ids: which history this node's data belongs to, and who may go on where (PSYNC2).
//!
//! A history is named by a replid, and a place in it by an offset: the number of bytes of the stream up to there.
//! A node that was promoted goes on with a new replid; the old one stays as replid2, good for replicas that have
//! not read past the place where the histories part.
//!
//! Two ways of counting meet here. Our offsets (the log's, INFO's `master_repl_offset`) count bytes *had*: at
//! offset 10 ten bytes have been read. PSYNC names the *next byte wanted*, from one: that replica sends 11. The
//! second offset is of the latter kind, as in INFO. [`Identity::decide`] takes the one and gives the other.
//!
//! Owned by the node, one thread at a time. Absent: randomness (new replids are passed in) and the log itself.
//!
//! Source: replies and INFO of Redis 7.0.15; Valkey `src/replication.c`.

use std::fmt;
use std::ops::RangeInclusive;

use ringfort_core::args::Args;
use ringfort_core::error::Error;
use ringfort_core::number;

/// The name of a history: 40 characters, hexadecimal as everybody makes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replid([u8; Replid::LEN]);

impl Replid {
    pub const LEN: usize = 40;

    /// What INFO shows for a replid that there is not.
    pub const NONE: Replid = Replid([b'0'; Replid::LEN]);

    /// A new one, of random bytes.
    pub fn from_random(random: [u8; Replid::LEN / 2]) -> Replid {
        let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
        let mut text = [0; Replid::LEN];
        for (pair, byte) in text.chunks_exact_mut(2).zip(random) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Replid(text)
    }

    /// `None` if it is not 40 letters and digits.
    pub fn parse(text: &[u8]) -> Option<Replid> {
        let text: [u8; Replid::LEN] = text.try_into().ok()?;
        text.iter().all(u8::is_ascii_alphanumeric).then_some(Replid(text))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("letters and digits")
    }
}

impl fmt::Display for Replid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Replid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `PSYNC <replid> <next byte wanted> [FAILOVER]` as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PsyncRequest {
    /// As sent: `?` for none, and nothing says that it is a replid.
    pub replid: String,
    /// The first byte that the replica lacks, counted from one; -1 with `?`.
    pub next: i64,
    /// The sender was our primary and asks us to take its place first.
    pub failover: bool,
}

impl PsyncRequest {
    /// `args` begins with PSYNC. Errors: an offset that is none; fewer arguments than the command table lets
    /// through.
    pub fn parse(args: &Args<'_>) -> Result<PsyncRequest, Error> {
        let (Some(replid), Some(next)) = (args.get(1), args.get(2)) else {
            return Err(Error::arity("psync"));
        };
        Ok(PsyncRequest {
            next: number::integer(next)?,
            replid: String::from_utf8_lossy(replid).into_owned(),
            failover: args.is(3, "failover"),
        })
    }

    /// Whether the sender knows that it has nothing to go on from.
    pub fn is_fresh(&self) -> bool {
        self.replid.starts_with('?')
    }

    fn names(&self, replid: &Replid) -> bool {
        self.replid.eq_ignore_ascii_case(replid.as_str())
    }
}

/// What a PSYNC is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// `+CONTINUE`: read the log from this offset on, which is the number of bytes that the replica has.
    Continue { from: u64 },
    /// `+FULLRESYNC`.
    Full(Reason),
}

/// Why a replica cannot go on from where it stands; its `Display` is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It asked for it.
    Requested,
    /// It follows a history that is not ours.
    OtherHistory { asked: String, replid: Replid, replid2: Option<Replid> },
    /// It follows our previous history past the place where ours left it.
    PastSecondOffset { asked: i64, second_offset: u64 },
    /// We keep no backlog.
    NoBacklog,
    /// What it needs next is gone.
    TooOld { asked: i64, first: u64 },
    /// It wants what we do not have yet.
    Ahead { asked: i64, end: u64 },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Requested => f.write_str("the replica asked for a full resynchronization"),
            Reason::OtherHistory { asked, replid, replid2 } => {
                let asked = asked.escape_debug();
                write!(f, "replication ID mismatch: the replica follows '{asked}', we '{replid}'")?;
                replid2.map_or(Ok(()), |replid2| write!(f, " and before that '{replid2}'"))
            }
            Reason::PastSecondOffset { asked, second_offset } => write!(
                f,
                "the replica wants offset {asked} of our previous history, which we share up to {second_offset}"
            ),
            Reason::NoBacklog => f.write_str("there is no backlog"),
            Reason::TooOld { asked, first } => {
                write!(f, "the replica wants offset {asked}, the backlog begins at {}", first + 1)
            }
            Reason::Ahead { asked, end } => write!(
                f,
                "the replica wants offset {asked}, which is greater than our replication offset {end}"
            ),
        }
    }
}

/// The histories that this node's data belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    replid: Replid,
    /// The history before, and the first byte (from one) that we do not share with it.
    replid2: Option<(Replid, u64)>,
}

impl Identity {
    pub fn new(replid: Replid) -> Identity {
        Identity { replid, replid2: None }
    }

    /// As saved in an RDB file or on another node.
    pub fn with_second(replid: Replid, replid2: Option<(Replid, u64)>) -> Identity {
        Identity { replid, replid2 }
    }

    pub fn replid(&self) -> Replid {
        self.replid
    }

    /// The previous history and its second offset, as INFO counts it: a replica of it may ask for at most this
    /// byte.
    pub fn replid2(&self) -> Option<(Replid, u64)> {
        self.replid2
    }

    /// Whether the replica that sends `asked` may go on from the log, which can be read from any offset in `log`
    /// (its first..=end; `None` if it is not active).
    pub fn decide(&self, asked: &PsyncRequest, log: Option<RangeInclusive<u64>>) -> Decision {
        match self.place(asked, log) {
            Ok(from) => Decision::Continue { from },
            Err(reason) => Decision::Full(reason),
        }
    }

    fn place(&self, asked: &PsyncRequest, log: Option<RangeInclusive<u64>>) -> Result<u64, Reason> {
        let next = asked.next;
        if asked.is_fresh() {
            return Err(Reason::Requested);
        }
        if !asked.names(&self.replid) {
            match self.replid2 {
                Some((replid2, second_offset)) if asked.names(&replid2) => {
                    if u64::try_from(next).is_ok_and(|next| next > second_offset) {
                        return Err(Reason::PastSecondOffset { asked: next, second_offset });
                    }
                }
                replid2 => {
                    return Err(Reason::OtherHistory {
                        asked: asked.replid.clone(),
                        replid: self.replid,
                        replid2: replid2.map(|(replid2, _)| replid2),
                    });
                }
            }
        }
        let log = log.ok_or(Reason::NoBacklog)?;
        let (first, end) = log.into_inner();
        // The bytes it has are those before the one it wants.
        match u64::try_from(next).ok().and_then(|next| next.checked_sub(1)) {
            Some(from) if from > end => Err(Reason::Ahead { asked: next, end }),
            Some(from) if from >= first => Ok(from),
            _ => Err(Reason::TooOld { asked: next, first }),
        }
    }

    /// Promotion: this node goes on by itself after `end` bytes, under the name `new`. Replicas of the primary that
    /// it followed can go on here if they have no more than that.
    pub fn shift(&mut self, new: Replid, end: u64) {
        self.replid2 = Some((self.replid, end + 1));
        self.replid = new;
    }

    /// Our primary answered `+CONTINUE <new>` when we had `offset` bytes. `true`: its history has another name now
    /// (it was promoted), and our own replicas must be disconnected to learn it.
    pub fn adopt(&mut self, new: Replid, offset: u64) -> bool {
        let changed = new != self.replid;
        if changed {
            self.shift(new, offset);
        }
        changed
    }

    /// From now on nobody can go on by the previous name: its bytes are gone, or were of data that we dropped.
    pub fn forget_second(&mut self) {
        self.replid2 = None;
    }

    /// A full sync replaced our data, or our data parts from everybody's: one history, of this name.
    pub fn replace(&mut self, new: Replid) {
        *self = Identity::new(new);
    }
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    fn replid(letter: u8) -> Replid {
        Replid([letter; Replid::LEN])
    }

    fn request(letter: u8, next: i64) -> PsyncRequest {
        let replid = replid(letter).to_string();
        PsyncRequest { replid, next, failover: false }
    }

    /// History `b` that left `a` after 100 bytes, its log readable from 50 to 200.
    fn check(request: PsyncRequest, expected: Result<u64, &str>) {
        let mut identity = Identity::new(replid(b'a'));
        identity.shift(replid(b'b'), 100);
        let decided = match identity.decide(&request, Some(50..=200)) {
            Decision::Continue { from } => Ok(from),
            Decision::Full(reason) => Err(reason.to_string()),
        };
        assert_eq!(
            decided.as_ref().map_err(String::as_str),
            expected.as_ref().map_err(|text| *text)
        );
    }

    #[test]
    fn replica_goes_on_behind_the_bytes_it_has() {
        check(request(b'b', 51), Ok(50));
        check(request(b'b', 52), Ok(51));
        check(request(b'b', 200), Ok(199));
        check(request(b'b', 201), Ok(200));
    }

    #[test]
    fn replica_outside_the_backlog_needs_a_full_sync() {
        let too_old = "the replica wants offset 50, the backlog begins at 51";
        check(request(b'b', 50), Err(too_old));
        let ahead =
            "the replica wants offset 202, which is greater than our replication offset 200";
        check(request(b'b', 202), Err(ahead));
        for next in [0, -1, i64::MIN] {
            let text = format!("the replica wants offset {next}, the backlog begins at 51");
            check(request(b'b', next), Err(&text));
        }
        let text = format!(
            "the replica wants offset {}, which is greater than our replication offset 200",
            i64::MAX
        );
        check(request(b'b', i64::MAX), Err(&text));
    }

    #[test]
    fn replica_of_the_previous_history_goes_on_if_it_is_not_past_the_parting() {
        check(request(b'a', 51), Ok(50));
        check(request(b'a', 101), Ok(100));
        let past = "the replica wants offset 102 of our previous history, which we share up to 101";
        check(request(b'a', 102), Err(past));
    }

    #[test]
    fn replica_of_another_history_needs_a_full_sync() {
        let (a, b, c) = (replid(b'a'), replid(b'b'), replid(b'c'));
        let text = format!(
            "replication ID mismatch: the replica follows '{c}', we '{b}' and before that '{a}'"
        );
        check(request(b'c', 101), Err(&text));
        check(request(b'B', 101), Ok(100));
    }

    #[test]
    fn replica_may_ask_for_a_full_sync() {
        let fresh = PsyncRequest { replid: "?".into(), next: -1, failover: false };
        check(fresh, Err("the replica asked for a full resynchronization"));
    }

    #[test]
    fn without_a_log_nobody_goes_on() {
        let identity = Identity::new(replid(b'a'));
        let decided = identity.decide(&request(b'a', 1), None);
        assert_eq!(decided, Decision::Full(Reason::NoBacklog));
        let decided = identity.decide(&request(b'a', 1), Some(0..=0));
        assert_eq!(decided, Decision::Continue { from: 0 });
    }

    #[test]
    fn adopting_a_new_name_keeps_the_old_one_up_to_here() {
        let mut identity = Identity::new(replid(b'a'));
        assert!(!identity.adopt(replid(b'a'), 10));
        assert_eq!(identity.replid2(), None);
        assert!(identity.adopt(replid(b'b'), 10));
        assert_eq!(
            (identity.replid(), identity.replid2()),
            (replid(b'b'), Some((replid(b'a'), 11)))
        );
        identity.forget_second();
        assert_eq!(identity, Identity::new(replid(b'b')));
    }

    #[test]
    fn full_sync_leaves_one_history() {
        let mut identity = Identity::new(replid(b'a'));
        identity.shift(replid(b'b'), 10);
        identity.replace(replid(b'c'));
        assert_eq!(identity, Identity::new(replid(b'c')));
    }

    #[test]
    fn replids_are_forty_letters_and_digits() {
        let random = Replid::from_random(std::array::from_fn(|at| at as u8 * 13));
        assert_eq!(random.as_str(), "000d1a2734414e5b6875828f9ca9b6c3d0ddeaf7");
        assert_eq!(Replid::parse(random.as_str().as_bytes()), Some(random));
        for wrong in [&b""[..], &[b'a'; 39], &[b'a'; 41], &[b' '; 40], &[0xff; 40]] {
            assert_eq!(Replid::parse(wrong), None);
        }
    }

    #[test]
    fn psync_is_parsed_as_it_comes() {
        use ringfort_core::args::OwnedArgs;
        let parse = |parts: &[&str]| {
            let args = OwnedArgs::new(parts.iter().map(|part| part.as_bytes()));
            PsyncRequest::parse(&args.args())
        };
        let fresh = PsyncRequest { replid: "?".into(), next: -1, failover: false };
        assert_eq!(parse(&["PSYNC", "?", "-1"]), Ok(fresh.clone()));
        let failover = PsyncRequest { replid: "abc".into(), next: 7, failover: true };
        assert_eq!(parse(&["psync", "abc", "7", "failover"]), Ok(failover));
        assert_eq!(parse(&["psync", "abc", "x"]), Err(Error::NOT_AN_INTEGER));
        assert_eq!(parse(&["psync", "abc"]), Err(Error::arity("psync")));
    }
}
