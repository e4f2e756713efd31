//! The options that XADD and XTRIM share: `MAXLEN | MINID [= | ~] threshold [LIMIT n]`.

use super::ids;
use crate::args::Args;
use crate::collections::stream::{EntryLog, Keep, NewId, StreamId, Trim};
use crate::error::Error;
use crate::number;

const TWICE: Error =
    Error::new("ERR syntax error, MAXLEN and MINID options at the same time are not compatible");
const MAXLEN_NEGATIVE: Error = Error::new("ERR The MAXLEN argument must be >= 0.");
const LIMIT_NEGATIVE: Error = Error::new("ERR The LIMIT argument must be >= 0.");
const LIMIT_ALONE: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy");
const LIMIT_EXACT: Error =
    Error::new("ERR syntax error, LIMIT cannot be used without the special ~ option");
const NO_STRATEGY: Error =
    Error::new("ERR syntax error, XTRIM must be called with a trimming strategy");

/// How many nodes an approximate trimming goes through unless LIMIT says otherwise, and entries where nodes are not
/// limited.
const NODES_DEFAULT: u64 = 100;
const LIMIT_DEFAULT: u64 = 10_000;
const LIMIT_MAX: u64 = 1_000_000;

/// What a command line says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    keep: Option<Keep>,
    approximate: bool,
    limit: Option<u64>,
    /// Where the threshold of MAXLEN or MINID stands.
    threshold_at: usize,
    pub no_create: bool,
    /// Where the id of XADD stands; behind the last argument if there is none.
    pub id_at: usize,
}

impl Options {
    /// Of XADD, up to the id.
    #[inline]
    pub fn of_xadd(args: &Args, now_ms: i64) -> Result<(Options, NewId), Error> {
        let mut options = Options::default();
        let mut at = 2;
        let mut id = NewId::Auto { now_ms: now_ms.max(0) as u64 };
        while at < args.len() {
            if args.at(at) == b"*" {
                break;
            }
            if let Some(next) = options.option(args, at)? {
                at = next;
            } else if args.is(at, "nomkstream") {
                options.no_create = true;
                at += 1;
            } else {
                id = ids::of_new_entry(args.at(at))?;
                break;
            }
        }
        options.id_at = at;
        options.check_limit_has_strategy()?;
        Ok((options, id))
    }

    pub fn of_xtrim(args: &Args) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut at = 2;
        while at < args.len() {
            at = options.option(args, at)?.ok_or(Error::SYNTAX)?;
        }
        options.check_limit_has_strategy()?;
        if options.keep.is_none() {
            return Err(NO_STRATEGY);
        }
        Ok(options)
    }

    /// Takes one option. Where the next argument is; `None`: it is none of these.
    fn option(&mut self, args: &Args, at: usize) -> Result<Option<usize>, Error> {
        let follow = args.len() - 1 - at;
        if follow == 0 {
            return Ok(None);
        }
        if args.is(at, "limit") {
            let limit = number::integer(args.at(at + 1))?;
            self.limit = Some(u64::try_from(limit).map_err(|_| LIMIT_NEGATIVE)?);
            return Ok(Some(at + 2));
        }
        let by_length = args.is(at, "maxlen");
        if !by_length && !args.is(at, "minid") {
            return Ok(None);
        }
        if self.keep.is_some() {
            return Err(TWICE);
        }
        let operator = if follow >= 2 { args.at(at + 1) } else { b"" };
        self.approximate = operator == b"~";
        self.threshold_at = at + 1 + usize::from(matches!(operator, b"~" | b"="));
        let threshold = args.at(self.threshold_at);
        self.keep = Some(if by_length {
            let count = number::integer(threshold)?;
            Keep::Newest(u64::try_from(count).map_err(|_| MAXLEN_NEGATIVE)?)
        } else {
            Keep::From(ids::strict(threshold)?)
        });
        Ok(Some(self.threshold_at + 1))
    }

    fn check_limit_has_strategy(&self) -> Result<(), Error> {
        match (self.limit, self.keep) {
            (Some(1..), None) => Err(LIMIT_ALONE),
            _ => Ok(()),
        }
    }

    /// The trimming that is asked for, `None` for none. What a primary sends is exact already.
    pub fn trim(&self, is_primary: bool, node_entries: usize) -> Result<Option<Trim>, Error> {
        let limit = match self.limit {
            _ if is_primary => 0,
            Some(_) if !self.approximate => return Err(LIMIT_EXACT),
            Some(limit) => limit,
            None if self.approximate => match (node_entries as u64).saturating_mul(NODES_DEFAULT) {
                0 => LIMIT_DEFAULT,
                limit => limit.min(LIMIT_MAX),
            },
            None => 0,
        };
        Ok(self.keep.map(|keep| Trim { keep, approximate: self.approximate, limit }))
    }

    /// Puts into a command that is to have the same outcome elsewhere what its trimming came to.
    pub fn settle(&self, log: &EntryLog) -> Option<Settled> {
        if !self.approximate {
            return None;
        }
        let threshold = match self.keep? {
            Keep::Newest(_) => log.len().to_string(),
            Keep::From(_) if log.is_empty() => StreamId::MAX.to_string(),
            Keep::From(_) => log.first_id().to_string(),
        };
        Some(Settled { threshold_at: self.threshold_at, threshold })
    }
}

/// An approximate trimming as the exact one that does the same.
#[derive(Debug)]
pub(super) struct Settled {
    threshold_at: usize,
    threshold: String,
}

impl Settled {
    /// What stands at an argument's place instead.
    pub fn part(&self, at: usize) -> Option<&[u8]> {
        if at == self.threshold_at {
            Some(self.threshold.as_bytes())
        } else if at + 1 == self.threshold_at {
            Some(b"=")
        } else {
            None
        }
    }
}
