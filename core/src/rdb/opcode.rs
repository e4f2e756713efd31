//! The bytes that stand where an entry's type stands but are none.
//!
//! Source: `src/rdb.h` of Redis 8.0 and Valkey 9.1.

/// Valkey 9: a slot migration under way. A string of 40 bytes (the migration's name), a count, and so many pairs of
/// first and last slot, as lengths.
pub const SLOT_IMPORT: u8 = 243;
/// Redis 7.4 and later: what a slot holds. Slot, keys, keys that expire, as lengths.
pub const SLOT_INFO: u8 = 244;
/// A function library: its source as a string.
pub const FUNCTION: u8 = 245;
/// A function library as the release candidates of Redis 7.0 wrote it.
pub const FUNCTION_OF_CANDIDATES: u8 = 246;
/// Data of a module beside the keys: its identity as a length, then annotated parts.
pub const MODULE_AUX: u8 = 247;
/// The next key's seconds since its last use, as a length.
pub const IDLE: u8 = 248;
/// The next key's access frequency, one byte.
pub const FREQUENCY: u8 = 249;
/// A fact about the file: name and value as strings.
pub const AUX: u8 = 250;
/// How many keys of the database follow, and how many of them expire, as lengths.
pub const RESIZE_DATABASE: u8 = 251;
/// The next key's expiry: milliseconds since the Unix epoch, 8 bytes, little-endian.
pub const EXPIRE_AT_MS: u8 = 252;
/// The next key's expiry: seconds since the Unix epoch, 4 bytes, little-endian.
pub const EXPIRE_AT_SECONDS: u8 = 253;
/// The database of the keys that follow, as a length.
pub const SELECT_DATABASE: u8 = 254;
/// The end; from version 5 on followed by the checksum of all before it.
pub const END: u8 = 255;
