//! RESP2 and RESP3: the request parser and the reply writer.
//!
//! Source: the RESP specification (redis.io, "Redis serialization protocol specification"); limits and error
//! texts as a running Redis 7 gives them.

pub mod reply;
pub mod request;

pub use reply::{Protocol, Reply};
pub use request::{Batch, Limits, Parser, ProtocolError};
