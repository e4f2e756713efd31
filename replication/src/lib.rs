//! Redis replication without IO: the log that all cores write and replicas read, the handshakes of both ends,
//! the frames of full syncs, and RDB files.
//!
//! Deliberately absent: sockets and clocks. Time and randomness come in as arguments. [`log`] is the one module
//! that knows threads.

#![deny(unsafe_code)]

pub mod bulk;
pub mod failover;
pub mod handshake;
pub mod identity;
pub mod log;
pub mod rdb;
