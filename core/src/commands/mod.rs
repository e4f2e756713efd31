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
pub mod keys;
pub mod lcs;
pub mod object;
pub mod sorted_sets;
mod string_options;
pub mod string_ranges;
pub mod strings;

use crate::args::{Args, OwnedArgs};
use crate::command::Spec;
use crate::keys::Keys;
use crate::store::Key;

/// Whether a command that may wait for its keys would now reply, looking at `key` alone. Changes nothing.
pub fn is_ready(spec: &Spec, keys: &mut Keys, args: &Args, key: &Key) -> bool {
    match spec.name {
        "bzpopmin" | "bzpopmax" | "bzmpop" => sorted_sets::pop::is_ready(keys, args, key),
        _ => false,
    }
}

/// A command that is about to wait, with what it said of the present put in (`$` of XREAD).
pub fn settled_args(_spec: &Spec, _keys: &mut Keys, args: &Args) -> OwnedArgs {
    OwnedArgs::from(*args)
}

#[cfg(test)]
mod replay;
#[cfg(test)]
pub mod testing;
