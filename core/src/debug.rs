//! One shard's part of DEBUG OBJECT, DEBUG POPULATE and MEMORY STATS.

use crate::commands::object::reference_count;
use crate::eviction;
use crate::keys::{Caller, Keys};
use crate::rdb::{Format, dump, value};
use crate::shard::Shard;
use crate::slot::Slot;
use crate::store::{EntryRef, Expiry};
use std::ops::Range;

/// The line that DEBUG OBJECT answers, or `None` where there is no such key. Looks behind expiry, and leaves
/// the access time alone.
pub fn object_line(shard: &Shard, database: usize, now: i64, key: &[u8]) -> Option<String> {
    let entry = shard.databases[database].get(&shard.hasher.key(key))?;
    Some(format!(
        "Value at:{:p} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        entry.key().as_ptr(),
        reference_count(&entry),
        entry.encoding().name(),
        serialized_bytes(&entry),
        entry.access(),
        eviction::idle_seconds(entry.access(), now),
    ))
}

/// Bytes of the value in RDB form, without compression.
fn serialized_bytes(entry: &EntryRef) -> usize {
    let mut written = Vec::new();
    let format = Format { version: dump::VERSION, compress: false };
    value::write(&mut written, &entry.value(), format);
    written.len()
}

/// DEBUG POPULATE: of the keys `prefix:n`, n in `numbers`, creates those that are absent and whose slot the
/// shard `owns`. `value_bytes` 0: as long as `value:n` is; otherwise cut, or filled with zeros. No effects.
pub fn populate(
    shard: &mut Shard,
    database: usize,
    now: i64,
    numbers: Range<u64>,
    prefix: &[u8],
    value_bytes: usize,
    owns: impl Fn(Slot) -> bool,
) {
    let mut keys = Keys { shard, database, now, caller: Caller::default(), first: None };
    let mut name = Vec::new();
    for number in numbers {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        name.clear();
        name.extend_from_slice(prefix);
        name.push(b':');
        name.extend_from_slice(digits);
        let key = keys.key(&name);
        if !owns(key.slot) || keys.write(&key).is_some() {
            continue;
        }
        let mut value = [b"value:", digits].concat();
        if value_bytes > 0 {
            value.resize(value_bytes, 0);
        }
        keys.set(&key, &value, Expiry::Clear);
        keys.touch(&key);
    }
}

/// What a database of one shard holds, for MEMORY STATS; the node adds up the shards'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseMemory {
    pub keys: usize,
    /// Keys that expire.
    pub expiring_keys: usize,
    /// Bytes of entries: keys, values, and what is kept with them.
    pub entry_bytes: usize,
    /// Bytes of the tables that lead to them.
    pub table_bytes: usize,
}

impl DatabaseMemory {
    pub fn add(&mut self, other: &DatabaseMemory) {
        self.keys += other.keys;
        self.expiring_keys += other.expiring_keys;
        self.entry_bytes += other.entry_bytes;
        self.table_bytes += other.table_bytes;
    }
}

/// One element per database.
pub fn memory_part(shard: &Shard) -> Vec<DatabaseMemory> {
    let of_database = |database: &crate::store::Database| DatabaseMemory {
        keys: database.len(),
        expiring_keys: database.expiring_len(),
        entry_bytes: database.entry_bytes(),
        table_bytes: database.table_bytes(),
    };
    shard.databases.iter().map(of_database).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Hasher;

    fn shard() -> Shard {
        Shard::new(Hasher::new([1, 2, 3, 4]), 2, 7)
    }

    fn value(shard: &Shard, key: &str) -> Option<Vec<u8>> {
        let entry = shard.databases[1].get(&shard.hasher.key(key.as_bytes()))?;
        Some(entry.string().unwrap().to_vec())
    }

    #[test]
    fn populate_creates_what_is_absent_and_owned() {
        let mut shard = shard();
        populate(&mut shard, 1, 0, 0..3, b"p", 0, |_| true);
        assert_eq!(value(&shard, "p:2").unwrap(), b"value:2");
        populate(&mut shard, 1, 0, 0..5, b"p", 3, |_| true);
        assert_eq!(value(&shard, "p:2").unwrap(), b"value:2");
        assert_eq!(value(&shard, "p:4").unwrap(), b"val");
        populate(&mut shard, 1, 0, 5..6, b"p", 9, |_| true);
        assert_eq!(value(&shard, "p:5").unwrap(), b"value:5\0\0");
        let before = shard.databases[1].len();
        populate(&mut shard, 1, 0, 0..100, b"q", 0, |slot| slot.number() % 2 == 0);
        let created = shard.databases[1].len() - before;
        assert!((1..100).contains(&created), "{created}");
        assert_eq!(memory_part(&shard)[1].keys, before + created);
    }

    #[test]
    fn an_object_line_has_the_fields_of_redis() {
        let mut shard = shard();
        for (key, text) in [
            ("7", "refcount:2147483647 encoding:int serializedlength:2 lru:0 lru_seconds_idle:10"),
            ("-40000", "refcount:1 encoding:int serializedlength:5 lru:0 lru_seconds_idle:10"),
            ("hello", "refcount:1 encoding:embstr serializedlength:6 lru:0 lru_seconds_idle:10"),
        ] {
            let hashed = shard.hasher.key(key.as_bytes());
            shard.databases[0].set_string(&hashed, key.as_bytes(), Expiry::Clear, 0);
            let line = object_line(&shard, 0, 10_000, key.as_bytes()).unwrap();
            assert!(line.starts_with("Value at:0x") && line.ends_with(text), "{line}");
        }
        assert_eq!(object_line(&shard, 0, 0, b"absent"), None);
    }
}
