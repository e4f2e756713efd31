//! What commands do to keys, a family of commands a file.
//!
//! A handler takes its arguments, changes keys through `crate::keys::Keys`, writes one reply, and hands over
//! its effect. Which handler a command has is in `crate::command::table`.

pub mod bitfield;
pub mod bitop;
pub mod bits;
pub mod blocking;
pub mod counters;
pub mod dump;
pub mod expire;
pub mod geo;
pub mod hashes;
pub mod hyperloglogs;
pub mod keys;
pub mod lcs;
pub mod lists;
pub mod object;
pub mod set_algebra;
pub mod sets;
pub mod sorted_sets;
pub mod streams;
mod string_options;
pub mod string_ranges;
pub mod strings;

use crate::args::{Args, OwnedArgs};
use crate::command::Spec;
use crate::keys::Keys;
use crate::store::Key;

/// Whether a command that may wait for its keys would now reply, looking at `key` alone. Changes nothing.
pub fn is_ready(spec: &Spec, keys: &mut Keys, args: &Args, key: &Key) -> bool {
    match spec.docs.group {
        "list" => lists::is_ready(keys, args, key),
        "sorted-set" => sorted_sets::pop::is_ready(keys, args, key),
        "stream" => streams::read::is_ready(keys, args, key),
        _ => false,
    }
}

/// A command that is about to wait, with what it said of the present put in (`$` of XREAD).
pub fn settled_args(spec: &Spec, keys: &mut Keys, args: &Args) -> OwnedArgs {
    match spec.name {
        "xread" => streams::read::resolve_last_ids(keys, args),
        _ => OwnedArgs::from(*args),
    }
}

#[cfg(test)]
mod replay;
#[cfg(test)]
pub mod testing;
