//! The handshake between a replica and its primary, from "connected" to the answer to PSYNC.
//!
//! [`Handshake`] is the replica's end, a machine; the primary's end is ordinary commands of a client, so all there
//! is here is what REPLCONF says ([`parse_replconf`]).

mod replconf;
mod replica;

pub use replconf::{ReplconfOption, ReplconfRequest, ReplicaCapabilities, parse_replconf};
pub use replica::{Ask, Config, Handshake, HandshakeError, IgnoredAnswer, Outcome};
