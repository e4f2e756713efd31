//! What commands do to keys, a family of commands a file.
//!
//! A handler takes its arguments, changes keys through `crate::keys::Keys`, writes one reply, and hands over
//! its effect. Which handler a command has is in `crate::command::table`.

pub mod expire;
pub mod keys;
pub mod object;
