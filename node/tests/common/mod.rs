//! What the integration tests share: starting nodes and Debian's redis-server, a small RESP client,
//! seeded randomness and the comparison of two servers command by command.
//!
//! The tests drive a built binary over real sockets and know nothing of its crates. The binary is
//! this package's `ringfort`, or the one that the environment variable `RINGFORT_BIN` names; with
//! `RINGFORT_BIN=/usr/bin/redis-server` the same tests state what Redis itself does, which is how an
//! expectation is checked. Nothing here sleeps to wait for an event: it waits for a line of the log,
//! a reply, or the end of a process, each with a deadline.

// Every test file compiles this module for itself and uses its own part of it.
#![allow(dead_code, unused_imports)]

pub mod bit_commands;
pub mod client;
pub mod differential;
pub mod geo_commands;
pub mod hash_commands;
pub mod key_commands;
pub mod list_commands;
pub mod meeting;
pub mod node;
pub mod random;
pub mod replication;
pub mod reply;
pub mod set_commands;
pub mod sorted_set_commands;
pub mod stream_commands;
pub mod string_commands;
pub mod words;

pub use client::{Client, transcript};
pub use meeting::Meeting;
pub use node::{Node, Start, eventually};
pub use random::Random;
pub use reply::Reply;
