//! The structures that values other than strings are made of.
//!
//! They know nothing of keys, commands, RESP or clocks, and each is owned by one value of one shard. Small
//! collections are packed into one run of bytes; large ones are a struct per type.

pub mod ordered;
