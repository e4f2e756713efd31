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
mod multi_pop;
pub mod object;
pub mod set_algebra;
pub mod sets;
pub mod sort;
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

/// Whether a command may read keys that are not among its arguments: see [`keys_beside_args`].
pub fn has_keys_beside_args(spec: &Spec, args: &Args) -> bool {
    matches!(spec.name, "sort" | "sort_ro") && sort::has_patterns(args)
}

/// The keys beside its arguments that a command will read, where those that are its arguments lie.
pub fn keys_beside_args(spec: &Spec, keys: &mut Keys, args: &Args) -> Vec<Box<[u8]>> {
    match spec.name {
        "sort" | "sort_ro" => sort::pattern_keys(keys, args),
        _ => Vec::new(),
    }
}

/// A command that is about to wait, with what it said of the present put in (`$` of XREAD).
pub fn settled_args(spec: &Spec, keys: &mut Keys, args: &Args) -> OwnedArgs {
    match spec.name {
        "xread" => streams::read::resolve_last_ids(keys, args),
        _ => OwnedArgs::from(*args),
    }
}

/// A command that waited for keys on several shards, as the shard of `key` runs it, which serves it.
pub fn args_of_shard(spec: &Spec, args: &Args, key: &Key, now: i64) -> OwnedArgs {
    match spec.name {
        "xread" | "xreadgroup" => streams::read::of_one_key(args, key.bytes, now),
        // Keys that are not there are passed over.
        _ => OwnedArgs::from(*args),
    }
}

#[cfg(test)]
mod replay;
#[cfg(test)]
pub mod testing;
