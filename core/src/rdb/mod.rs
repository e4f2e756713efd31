//! Value encodings of RDB, DUMP and RESTORE.

pub mod crc64;
pub mod entry;
pub mod pieces;
