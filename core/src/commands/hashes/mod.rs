//! The hash commands, a family a file, and what they share.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15, and of field
//! expiry against valkey-server 9.1 (Redis 8 has other error texts there, hides fields one millisecond earlier, and
//! says `hdel` where Valkey says `hexpired`).
//!
//! **Fields that are due** (whose time has passed) are hidden from reads, and are there until they are removed: by a
//! command that is about to change them ([`drop_due`]) or by `crate::active_expiry`. The primary's commands see them, as
//! they see keys that are due.

pub mod counters;
pub mod expiry;
pub mod get_and_set;
pub mod random;
pub mod read;
pub mod scan;
pub mod write;

use crate::error::Error;
use crate::keys::{Edited, Keys, New};
use crate::notify::Classes;
use crate::store::{Key, Packing, Type, Value};
use crate::values::hash::{self, HashView};

/// The hash at `key` as the caller sees it. Error: the key holds another type.
#[inline]
fn view<'k>(keys: &'k mut Keys<'_>, key: &Key) -> Result<Option<HashView<'k>>, Error> {
    let seen_from = seen_from(keys);
    let value = keys.read_collection(key, Type::Hash)?;
    Ok(value.and_then(|value| HashView::new(value, seen_from)))
}

/// Fields whose time is earlier are hidden from the caller.
#[inline]
pub(super) fn seen_from(keys: &Keys) -> i64 {
    if keys.caller.is_primary { i64::MIN } else { keys.now }
}

/// How a hash begins.
const NEW: New = New::Packed(Packing::Hash);

/// Before a command changes fields: removes those of them that are due, so that it finds what its client sees.
#[inline]
fn drop_due<'f>(keys: &mut Keys, key: &Key, names: impl Iterator<Item = &'f [u8]>) {
    let is_none_due = keys.shard.databases[keys.database].field_expiries().is_empty();
    if !is_none_due && !keys.caller.is_primary {
        drop_due_fields(keys, key, names);
    }
}

#[cold]
fn drop_due_fields<'f>(keys: &mut Keys, key: &Key, names: impl Iterator<Item = &'f [u8]>) {
    let (now, hasher) = (keys.now, keys.shard.hasher.clone());
    let Some(Value::Hash(hash)) = keys.peek(key).map(|entry| entry.value()) else { return };
    if hash.next_expiry().is_none_or(|at| at >= now) {
        return;
    }
    let is_due = |name: &&[u8]| {
        let field = hash.get(hasher.hash(name), name);
        field.and_then(|field| field.expire_at).is_some_and(|at| at < now)
    };
    let mut due: Vec<&[u8]> = names.filter(is_due).collect();
    if due.is_empty() {
        return;
    }
    let edited = keys.edit(key, Type::Hash, |entry, hasher| {
        // A name may be there twice.
        due.retain(|name| hash::remove(entry, hasher, name));
    });
    if let Ok(Some(Edited { removed, .. })) = edited {
        fields_expired(keys, key, &due, removed);
    }
}

/// Says that fields which were due were removed, and perhaps the hash with them.
pub fn fields_expired(keys: &mut Keys, key: &Key, names: &[&[u8]], hash_removed: bool) {
    keys.shard.stats.expired_fields += names.len() as u64;
    keys.touch(key);
    keys.notify(key, Classes::HASH, "hexpired");
    effect_on_fields(keys, &[b"HDEL", key.bytes], names);
    if hash_removed {
        keys.notify(key, Classes::GENERIC, "del");
    }
}

/// The effect made of `front` and the names of fields.
fn effect_on_fields(keys: &mut Keys, front: &[&[u8]], names: &[&[u8]]) {
    if keys.shard.effects.enabled {
        keys.effect(&[front, names].concat());
    }
}
