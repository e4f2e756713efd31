//! The arguments of XREAD and XREADGROUP.

use super::ids;
use crate::args::Args;
use crate::collections::stream::{EntryLog, StreamId};
use crate::commands::blocking;
use crate::error::Error;
use crate::number;

const GROUP_IN_XREAD: Error =
    Error::new("ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.");
const NOACK_IN_XREAD: Error =
    Error::new("ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.");
const GROUP_MISSING: Error = Error::new("ERR Missing GROUP option for XREADGROUP");
const NEW_IN_XREAD: Error = Error::new(
    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
);

#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    /// Entries of each stream; 0: all.
    pub count: usize,
    /// Whether to wait, and until when, in milliseconds since the Unix epoch.
    pub block: Option<Option<i64>>,
    /// The group and its consumer; there for XREADGROUP.
    pub group: Option<(&'a [u8], &'a [u8])>,
    pub no_ack: bool,
    streams: Args<'a>,
}

impl<'a> Options<'a> {
    pub fn parse(args: &Args<'a>, is_group: bool, now: i64) -> Result<Options<'a>, Error> {
        let (mut count, mut block, mut group, mut no_ack) = (0, None, None, false);
        let mut at = 1;
        loop {
            let follow = args.len().saturating_sub(at + 1);
            if follow > 0 && args.is(at, "block") {
                block = Some(blocking::deadline_in_ms(args.at(at + 1), now)?);
                at += 2;
            } else if follow > 0 && args.is(at, "count") {
                count = usize::try_from(number::integer(args.at(at + 1))?).unwrap_or(0);
                at += 2;
            } else if follow > 0 && args.is(at, "streams") {
                break;
            } else if follow > 1 && args.is(at, "group") {
                if !is_group {
                    return Err(GROUP_IN_XREAD);
                }
                group = Some((args.at(at + 1), args.at(at + 2)));
                at += 3;
            } else if args.is(at, "noack") {
                if !is_group {
                    return Err(NOACK_IN_XREAD);
                }
                no_ack = true;
                at += 1;
            } else {
                return Err(Error::SYNTAX);
            }
        }
        let streams = args.from(at + 1);
        if streams.len() % 2 == 1 {
            let (name, id) = if is_group { ("xreadgroup", '>') } else { ("xread", '$') };
            return Err(Error::text(format!(
                "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{id}' must be specified."
            )));
        }
        if is_group && group.is_none() {
            return Err(GROUP_MISSING);
        }
        Ok(Options { count, block, group, no_ack, streams })
    }

    /// Each key with the text of its id.
    pub fn streams(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let streams = self.streams;
        let half = streams.len() / 2;
        (0..half).map(move |index| (streams.at(index), streams.at(half + index)))
    }
}

/// Which entries of a stream are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those after an id; for a group, those that are pending with the consumer.
    After(StreamId),
    /// Those that the group has not seen.
    New,
}

/// What XREAD wants of a stream, `None` where there is none.
pub(super) fn of_xread(text: &[u8], log: Option<&EntryLog>) -> Result<StreamId, Error> {
    let last = log.map_or(StreamId::MIN, |log| log.last_id);
    match text {
        b"$" => Ok(last),
        // What comes after is the last entry.
        b"+" => Ok(last.previous().unwrap_or(StreamId::MIN)),
        b">" => Err(NEW_IN_XREAD),
        _ => ids::strict(text),
    }
}

/// What XREADGROUP wants of a stream.
pub(super) fn of_xreadgroup(text: &[u8]) -> Result<Wanted, Error> {
    match text {
        b">" => Ok(Wanted::New),
        b"$" | b"+" => Err(meaningless(text[0] as char)),
        _ => Ok(match ids::strict(text)? {
            StreamId::MAX => Wanted::New,
            id => Wanted::After(id),
        }),
    }
}

fn meaningless(word: char) -> Error {
    Error::text(format!(
        "ERR The {word} ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer \
         by specifying a proper ID, or use the > ID to get new messages. The {word} ID would just return an empty \
         result set."
    ))
}
