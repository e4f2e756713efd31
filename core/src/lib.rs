//! Keys, values, expiry, the command table, sessions and RESP.
//!
//! Deliberately absent: sockets, clocks and threads. Time and randomness come in as arguments.

#![forbid(unsafe_op_in_unsafe_fn)]

pub mod active_expiry;
pub mod args;
pub mod collections;
pub mod command;
pub mod commands;
pub mod cx;
pub mod debug;
pub mod digest;
pub mod effect;
pub mod error;
pub mod eviction;
pub mod flush;
pub mod geo;
pub mod glob;
pub mod keys;
pub mod long_double;
pub mod notify;
pub mod number;
pub mod pubsub;
pub mod rdb;
pub mod resp;
pub mod scan;
pub mod score;
pub mod sequencer;
pub mod session;
pub mod shard;
pub mod slot;
pub mod snapshot;
pub mod store;
pub mod transfer;
pub mod values;
pub mod waiters;
pub mod watch;
