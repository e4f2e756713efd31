//! The list commands, and what they share.
//!
//! Source: redis.io, "Commands", group list; `src/t_list.c` of Redis 7.2 for the order of checks, the events, the
//! effects and what counts as a change.

mod blocking;
mod elements;
mod ends;
mod moves;
mod positions;

pub use blocking::{blmove, blmpop, blpop, brpop, brpoplpush, is_ready};
pub use elements::{lindex, linsert, llen, lrange, lrem, lset, ltrim};
pub use ends::{lmpop, lpop, lpush, lpushx, rpop, rpush, rpushx};
pub use moves::{lmove, rpoplpush};
pub use positions::lpos;

use crate::args::Args;
use crate::error::Error;
use crate::keys::Keys;
use crate::notify::Classes;
use crate::store::Key;
use crate::values::list::{End, Limit};

#[inline]
fn limit(keys: &Keys) -> Limit {
    Limit::of_setting(keys.shard.settings.limits.list_max_listpack_size.into())
}

/// LEFT or RIGHT.
fn end(args: &Args, index: usize) -> Result<End, Error> {
    if args.is(index, "left") {
        Ok(End::Left)
    } else if args.is(index, "right") {
        Ok(End::Right)
    } else {
        Err(Error::SYNTAX)
    }
}

/// The event of a push, and the command that does it.
fn push_event(end: End) -> &'static str {
    match end {
        End::Left => "lpush",
        End::Right => "rpush",
    }
}

fn pop_event(end: End) -> &'static str {
    match end {
        End::Left => "lpop",
        End::Right => "rpop",
    }
}

/// The command that pops.
fn pop_name(end: End) -> &'static [u8] {
    match end {
        End::Left => b"LPOP",
        End::Right => b"RPOP",
    }
}

/// Says that some elements were popped, and that the key went with the last.
#[inline]
fn popped(keys: &mut Keys, key: &Key, end: End, count: usize, removed: bool) {
    keys.changed_many(key, Classes::LIST, pop_event(end), count as u64);
    if removed {
        keys.notify(key, Classes::GENERIC, "del");
    }
}

#[cfg(test)]
mod tests;
