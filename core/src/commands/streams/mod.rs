//! The stream commands.
//!
//! What a stream is and does is in `crate::collections::stream`; here are arguments, replies, events and effects.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15 and, for what
//! 7.2 changed (consumers are there from their first attempt on, `inactive`, `active-time`), Valkey 9.1.

pub mod add;
pub mod claim;
pub mod consumers;
pub mod delete;
mod effects;
pub mod group;
mod ids;
pub mod info;
pub mod pending;
pub mod range;
pub mod read;
mod read_options;
mod reply;
pub mod set_id;
#[cfg(test)]
mod tests;
pub mod trim;
mod trim_options;

use crate::collections::Stream;
use crate::error::Error;
use crate::keys::{Edited, Keys};
use crate::notify::Classes;
use crate::store::{Key, OwnedEntry, Type, Value, ValueMut};

const NO_SUCH_KEY_FOR_GROUP: Error = Error::new(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
     option to create an empty stream automatically.",
);

/// The stream at a key, looked up to be read.
fn read<'k>(keys: &'k mut Keys, key: &Key) -> Result<Option<&'k Stream>, Error> {
    Ok(keys.read_collection(key, Type::Stream)?.and_then(stream_of))
}

/// The stream at a key, looked up before it is changed.
fn look<'k>(keys: &'k mut Keys, key: &Key) -> Result<Option<&'k Stream>, Error> {
    Ok(keys.write_collection(key, Type::Stream)?.and_then(stream_of))
}

/// Lets `f` change the stream at a key, `None` where there is none.
fn edit<R>(
    keys: &mut Keys,
    key: &Key,
    f: impl FnOnce(&mut Stream) -> R,
) -> Result<Option<R>, Error> {
    let edited = keys.edit(key, Type::Stream, |entry, _| with_stream(entry, f))?;
    Ok(edited.map(|Edited { result, .. }| result))
}

/// Lets `f` change the stream of an entry that holds one.
#[inline]
fn with_stream<R>(entry: &mut OwnedEntry, f: impl FnOnce(&mut Stream) -> R) -> R {
    match entry.value_mut() {
        ValueMut::Stream(stream) => f(stream),
        _ => unreachable!("the entry's type was checked"),
    }
}

fn stream_of(value: Value<'_>) -> Option<&Stream> {
    match value {
        Value::Stream(stream) => Some(stream),
        _ => None,
    }
}

/// Says that something about a stream's groups changed: it counts, but does not spoil watches, as in Redis.
fn group_changed(keys: &mut Keys, key: &Key, event: &'static str) {
    keys.shard.stats.dirty += 1;
    keys.notify(key, Classes::STREAM, event);
}

fn no_group(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    Error::text(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
}

fn no_group_of_key(key: &[u8], group: &[u8]) -> Error {
    let (key, group) = (String::from_utf8_lossy(key), String::from_utf8_lossy(group));
    Error::text(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// What a container says of a subcommand whose arguments do not fit.
fn subcommand_syntax(container: &str, subcommand: &[u8]) -> Error {
    let subcommand = String::from_utf8_lossy(subcommand);
    Error::text(format!(
        "ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try {container} HELP."
    ))
}
