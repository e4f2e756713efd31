//! RDB files and streams: the frame around the entries that `core::rdb` encodes.
//!
//! The magic and version, facts about the file, then for each database its number, its size and its entries, the end
//! and a checksum. Deliberately absent: IO, and what a snapshot walks over.
//!
//! Source: files that redis-server 7.0 and Valkey 9.1 write, and their `src/rdb.c`.

pub mod error;
mod frame;
pub mod item;
pub mod reader;
#[cfg(test)]
mod tests;
pub mod writer;

pub use error::RdbError;
pub use item::{Entry, Item, Magic};
pub use reader::Reader;
