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
pub mod hashes;
pub mod keys;
pub mod lcs;
pub mod object;
mod string_options;
pub mod string_ranges;
pub mod strings;

#[cfg(test)]
mod replay;
#[cfg(test)]
pub mod testing;
