//! RDB files and streams.

pub mod reader;
pub mod writer;
