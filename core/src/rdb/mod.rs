//! Value encodings of RDB, DUMP and RESTORE.
//!
//! [`string`] and [`length`] are the building blocks, [`value`] knows the types of values, [`entry`] writes a key with
//! its value, [`slices`] writes a large value bit by bit, [`dump`] is what DUMP answers and RESTORE takes. Parsing works on a slice ([`input`]) and says when it
//! ends too early, so that whoever receives a stream can come back with more of it.
//!
//! Deliberately absent: IO, and the frame around the entries of a whole file, which is the replication crate's.
//!
//! Source of the formats: the files and payloads that Redis 7.0 and Valkey write, and their `src/rdb.h`.

pub mod crc64;
pub mod dump;
pub mod entry;
pub mod extent;
pub mod hash;
pub mod input;
pub mod length;
pub mod list;
pub mod lzf;
pub mod opcode;
pub mod pieces;
pub mod set;
pub mod slices;
pub mod sorted_set;
pub mod stream;
pub mod string;
pub mod value;

pub use entry::AccessHint;
pub use input::{DecodeError, Input};
pub use value::{Builder, Format, StoredValue};
