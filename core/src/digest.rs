//! DEBUG DIGEST and DEBUG DIGEST-VALUE: digests of data that are equal on two servers if the data are.
//!
//! Computed exactly as Redis computes them (its src/debug.c, version 7.2), so that a node can be compared with
//! a Redis. The digest of an entry is a chain of [`mix`]es: key, type, value; those of a database's entries are
//! XORed, so their order, and which shard holds them, does not matter. The numbers of databases, however, are
//! mixed into what all databases before gave, so a shard hands over one XOR per database ([`Partial`]) and the
//! node makes the chain of their sum ([`Partial::finish`]).
//!
//! Entries whose time has passed but that are still there count, as in Redis.

mod hash;
mod list;
mod set;
mod sorted_set;
mod stream;

use crate::shard::Shard;
use crate::store::{EntryRef, Packing, Type, Value};
use sha1::{Digest as _, Sha1};

/// A SHA-1 value, or several XORed.
pub type Digest = [u8; 20];

/// The XOR of the digests of a shard's entries, for each database that holds any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partial {
    databases: Vec<Option<Digest>>,
}

impl Partial {
    /// Adds what another shard holds.
    pub fn combine(&mut self, other: &Partial) {
        if self.databases.len() < other.databases.len() {
            self.databases.resize(other.databases.len(), None);
        }
        for (sum, part) in self.databases.iter_mut().zip(&other.databases) {
            if let Some(part) = part {
                xor(sum.get_or_insert_default(), part);
            }
        }
    }

    /// The digest of the whole data set, once all shards are combined.
    pub fn finish(&self) -> Digest {
        let mut whole = Digest::default();
        for (number, entries) in self.databases.iter().enumerate() {
            if let Some(entries) = entries {
                mix(&mut whole, &(number as u32).to_be_bytes());
                xor(&mut whole, entries);
            }
        }
        whole
    }
}

/// One shard's part of DEBUG DIGEST. Costs a few SHA-1 per entry, and does not pause.
pub fn partial(shard: &Shard) -> Partial {
    let of_database = |database: &crate::store::Database| {
        let mut sum = None;
        database.for_each(|entry| {
            let mut digest = Digest::default();
            mix(&mut digest, entry.key());
            mix_value(&mut digest, &entry);
            xor(sum.get_or_insert_default(), &sha1(&digest));
        });
        sum
    };
    Partial { databases: shard.databases.iter().map(of_database).collect() }
}

/// DEBUG DIGEST-VALUE of one key: its type, value and whether it expires, without its name. All zeros where
/// there is no entry.
pub fn of_value(entry: Option<EntryRef>) -> Digest {
    let mut digest = Digest::default();
    if let Some(entry) = entry {
        mix_value(&mut digest, &entry);
    }
    digest
}

/// Forty lower-case hexadecimal digits.
pub fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The number Redis has for the type.
fn type_number(value_type: Type) -> u32 {
    match value_type {
        Type::String => 0,
        Type::List => 1,
        Type::Set => 2,
        Type::SortedSet => 3,
        Type::Hash => 4,
        Type::Stream => 6,
    }
}

fn mix_value(digest: &mut Digest, entry: &EntryRef) {
    let value = entry.value();
    mix(digest, &type_number(value.value_type()).to_be_bytes());
    match value {
        Value::String(string) => string.with_bytes(|bytes| mix(digest, bytes)),
        Value::Packed(Packing::List, _) | Value::List(_) => list::mix_elements(digest, value),
        Value::Packed(Packing::Intset | Packing::Set, _) | Value::Set(_) => {
            set::mix_members(digest, value)
        }
        Value::Packed(Packing::Hash, _) | Value::Hash(_) => hash::mix_fields(digest, value),
        Value::Packed(Packing::SortedSet, _) | Value::SortedSet(_) => {
            sorted_set::mix_members(digest, value)
        }
        Value::Stream(stream) => stream::mix_entries(digest, stream),
    }
    if entry.expire_at().is_some() {
        xor(digest, &sha1(b"!!expire!!"));
    }
}

/// Adds `data` so that its place in the chain matters.
fn mix(digest: &mut Digest, data: &[u8]) {
    xor(digest, &sha1(data));
    *digest = sha1(digest);
}

fn xor(digest: &mut Digest, other: &Digest) {
    for (byte, other) in digest.iter_mut().zip(other) {
        *byte ^= other;
    }
}

fn sha1(data: &[u8]) -> Digest {
    Sha1::digest(data).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Expiry, Hasher};

    fn shards(count: usize) -> Vec<Shard> {
        (0..count).map(|_| Shard::new(Hasher::new([1, 2, 3, 4]), 16, 7)).collect()
    }

    fn set(shards: &mut [Shard], database: usize, key: &str, value: &str, expiry: Expiry) {
        let count = shards.len();
        let key = shards[0].hasher.key(key.as_bytes());
        let owner = &mut shards[key.slot.shard(count)];
        owner.databases[database].set_string(&key, value.as_bytes(), expiry, 0);
    }

    fn whole(shards: &[Shard]) -> String {
        let mut sum = Partial::default();
        shards.iter().for_each(|shard| sum.combine(&partial(shard)));
        hex(&sum.finish())
    }

    fn value_digest(shards: &[Shard], key: &str) -> String {
        let key = shards[0].hasher.key(key.as_bytes());
        hex(&of_value(shards[key.slot.shard(shards.len())].databases[0].get(&key)))
    }

    /// The digests are what redis-server 7.0.15 answers for the same data.
    #[test]
    fn digests_are_those_of_redis_for_any_number_of_shards() {
        for count in 1..5 {
            let mut shards = shards(count);
            assert_eq!(whole(&shards), "0".repeat(40));
            set(&mut shards, 0, "a", "1", Expiry::Clear);
            assert_eq!(whole(&shards), "943d800368fb9c0e951138f1bc0e313ac769d91f");
            set(&mut shards, 0, "b", "hello", Expiry::Clear);
            set(&mut shards, 0, "t", "x", Expiry::At(99_999_999_999_999));
            assert_eq!(whole(&shards), "059cac8999d84fbc1fc1cdb8de246fc8d9a4c770");
            assert_eq!(value_digest(&shards, "a"), "b4fc66738120fba0b5aa500ab5c2bf89cea1c5da");
            assert_eq!(value_digest(&shards, "b"), "36b23a1456b2dce2c3ed252c456761301dba8060");
            assert_eq!(value_digest(&shards, "t"), "0745672cb1bf060476eedeb8a28f5ffe1ff5a2be");
            assert_eq!(value_digest(&shards, "absent"), "0".repeat(40));
            set(&mut shards, 3, "c", "", Expiry::Clear);
            set(&mut shards, 3, "c2", "12345678901234567890", Expiry::Clear);
            assert_eq!(whole(&shards), "d724af294acb5d55dda324bd8ee5c39cc1756bc3");
            set(&mut shards, 15, "z", "1", Expiry::Clear);
            assert_eq!(whole(&shards), "587d8f057ed250ead917f8db694f194807117104");
        }
    }

    #[test]
    fn many_keys_give_the_digest_of_redis() {
        let mut shards = shards(3);
        for (number, shard) in shards.iter_mut().enumerate() {
            let owns = |slot: crate::slot::Slot| slot.shard(3) == number;
            crate::debug::populate(shard, 15, 0, 0..5000, b"key", 0, owns);
        }
        assert_eq!(whole(&shards), "d8da89842a4361f0340037f215cf1c6ba29e3f6e");
    }
}
