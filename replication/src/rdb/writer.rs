//! Writes the frame of an RDB; the entries in it are written by `core::rdb::entry`.
//!
//! Everything is appended to a buffer of the caller's, who counts the checksum over what leaves, in the order in which
//! it leaves.

use ringfort_core::rdb::{crc64, length, opcode, string};

/// What every Redis from 7.0 on reads, and every Valkey. It carries all that strings need.
pub const VERSION: u16 = 10;

/// What Redis 5 and 6 read.
pub const COMPATIBLE_VERSION: u16 = 9;

/// What Valkey 9 reads, which has a type for hashes whose fields expire: written only where there are some.
pub const FIELD_TIMES_VERSION: u16 = 80;

/// The version to write, to a file or to a peer of which nothing is known. `rdb_compat_9`: the setting `rdb-compat 9`.
pub fn version(rdb_compat_9: bool) -> u16 {
    if rdb_compat_9 { COMPATIBLE_VERSION } else { VERSION }
}

/// What an RDB says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The version of Redis that the writer passes for, `7.0.15`.
    pub redis_version: &'a str,
    /// Seconds since the Unix epoch.
    pub created_at_seconds: i64,
    pub used_memory_bytes: u64,
    pub replication: Option<ReplicationFacts<'a>>,
}

/// Where in which replication stream the data stands.
#[derive(Clone, Copy, Debug)]
pub struct ReplicationFacts<'a> {
    /// The database that the stream has selected there.
    pub stream_database: u32,
    pub replid: &'a str,
    pub repl_offset: u64,
}

/// Appends magic and version, with which an RDB begins.
pub fn write_header(out: &mut Vec<u8>, version: u16) {
    let header = match version {
        FIELD_TIMES_VERSION.. => format!("VALKEY{version:03}"),
        _ => format!("REDIS{version:04}"),
    };
    out.extend_from_slice(header.as_bytes());
}

/// Appends one fact.
pub fn write_aux(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.push(opcode::AUX);
    string::write_plain(out, name.as_bytes());
    string::write(out, value, false);
}

/// Appends the facts that Redis writes, in its order.
pub fn write_facts(out: &mut Vec<u8>, facts: &Facts) {
    let mut number = itoa::Buffer::new();
    write_aux(out, "redis-ver", facts.redis_version.as_bytes());
    write_aux(out, "redis-bits", b"64");
    write_aux(out, "ctime", number.format(facts.created_at_seconds).as_bytes());
    write_aux(out, "used-mem", number.format(facts.used_memory_bytes).as_bytes());
    if let Some(replication) = &facts.replication {
        let database = number.format(replication.stream_database).as_bytes();
        write_aux(out, "repl-stream-db", database);
        write_aux(out, "repl-id", replication.replid.as_bytes());
        write_aux(out, "repl-offset", number.format(replication.repl_offset).as_bytes());
    }
    write_aux(out, "aof-base", b"0");
}

/// Appends the number of the database that the entries behind it belong to.
pub fn write_select(out: &mut Vec<u8>, database: u32) {
    out.push(opcode::SELECT_DATABASE);
    length::write(out, u64::from(database));
}

/// Appends how many entries of the database follow, and how many of them expire. Readers make room for so many.
pub fn write_resize(out: &mut Vec<u8>, keys: u64, expiring: u64) {
    out.push(opcode::RESIZE_DATABASE);
    length::write(out, keys);
    length::write(out, expiring);
}

/// Appends the end. `checksum` is that of everything before it; with `None` readers check nothing.
pub fn write_end(out: &mut Vec<u8>, checksum: Option<u64>) {
    let end = [opcode::END];
    let checksum = checksum.map_or(0, |before| crc64::checksum(before, &end));
    out.extend_from_slice(&end);
    out.extend_from_slice(&checksum.to_le_bytes());
}
