//! The sorted set commands.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15, and Valkey 9
//! for what 7.2 added and for how scores are written.

pub mod combine;
pub mod pop;
pub mod range;
pub mod read;
pub mod write;

#[cfg(test)]
mod tests;

use crate::cx::Cx;
use crate::error::Error;
use crate::eviction;
use crate::keys::Keys;
use crate::notify::Classes;
use crate::store::{Collection, Key, OwnedEntry, Type};
use crate::values::sorted_set::View;

/// The sorted set at a key to be read. Error: the key holds another type.
#[inline]
fn read<'a>(keys: &'a mut Keys, key: &Key) -> Result<Option<View<'a>>, Error> {
    Ok(keys.read_collection(key, Type::SortedSet)?.map(View::of))
}

/// Says that members of a sorted set went, and that the set is gone with the last of them.
fn members_went(keys: &mut Keys, key: &Key, event: &'static str, count: usize, removed: bool) {
    keys.changed_many(key, Classes::ZSET, event, count as u64);
    if removed {
        keys.notify(key, Classes::GENERIC, "del");
    }
}

/// What a command makes takes the place of whatever the key holds; where there are no members the key goes. Whether
/// anything has changed.
pub(super) fn store(cx: &mut Cx, key: &Key, made: Option<Collection>, event: &'static str) -> bool {
    let keys = &mut cx.keys;
    let was_there = keys.remove(key);
    let Some(collection) = made else {
        if was_there {
            keys.changed(key, Classes::GENERIC, "del");
        }
        return was_there;
    };
    let access = eviction::first_access(&keys.shard.settings, keys.now);
    keys.put(key, OwnedEntry::collection(key.bytes, collection, None, access));
    if !was_there {
        keys.notify(key, Classes::NEW, "new");
    }
    keys.changed(key, Classes::ZSET, event);
    true
}
