//! Entries on their way between shards, and what a command that ran away from home brings back.
//!
//! A command whose keys lie on several shards runs on one, a scratch [`Shard`] that holds nothing else: their
//! owners [`extract`] the entries, the scratch shard [`install`]s them, the command runs, and the entries go
//! home the same way. Only the command itself is seen: moving entries counts nothing, has no effect or event,
//! spoils no watch, and keeps expiry and access clock. What the command did see and do is in an [`Outcome`].
//!
//! The shards concerned are stopped meanwhile (the sequencer's part), so an absent entry cannot be missed.
//! Deliberately absent: which shards take part, and how messages travel.

use crate::effect::Effects;
use crate::notify::KeyEvent;
use crate::shard::{Shard, ShardStats};
use crate::store::OwnedEntry;
use crate::watch::{Touched, Watches};

/// The entry of one key, or that there is none.
#[derive(Debug)]
pub struct Carried {
    pub database: usize,
    pub key: Box<[u8]>,
    pub entry: Option<OwnedEntry>,
}

/// Takes the entry of `key` out of a shard, also one whose time has passed.
pub fn extract(shard: &mut Shard, database: usize, key: &[u8]) -> Carried {
    let entry = shard.databases[database].remove(&shard.hasher.key(key));
    Carried { database, key: key.into(), entry }
}

/// Puts what was extracted into a shard where the key is absent (it was extracted there, or never was there).
pub fn install(shard: &mut Shard, carried: Carried) {
    if let Some(entry) = carried.entry {
        let key = shard.hasher.key(&carried.key);
        shard.databases[carried.database].insert(&key, entry);
    }
}

/// An empty shard that behaves like `home`, and keeps for [`Outcome`] what it cannot do itself.
pub fn scratch(home: &mut Shard) -> Shard {
    let seed = home.next_random() | 1;
    let mut scratch = Shard::new(home.hasher.clone(), home.databases.len(), seed);
    scratch.settings = home.settings.clone();
    scratch.effects.enabled = home.effects.enabled;
    scratch.watches = Watches::recording();
    scratch
}

/// What commands left behind on a scratch shard beside its entries.
#[derive(Debug, Default)]
pub struct Outcome {
    pub effects: Effects,
    pub events: Vec<KeyEvent>,
    pub stats: ShardStats,
    /// For the watches of whichever shard owns them: see [`spoil_watches`].
    pub touched: Vec<Touched>,
}

impl Outcome {
    /// Takes everything out of a scratch shard, but its entries.
    pub fn take(scratch: &mut Shard) -> Outcome {
        Outcome {
            effects: scratch.effects.take(),
            events: std::mem::take(&mut scratch.events.list),
            stats: std::mem::take(&mut scratch.stats),
            touched: scratch.watches.take_touched(),
        }
    }
}

/// Makes an outcome the shard's own, behind what happened there before. The other shards that own keys among
/// those touched spoil their watches themselves.
pub fn absorb(shard: &mut Shard, outcome: Outcome) {
    shard.effects.append_all(outcome.effects);
    shard.events.list.extend(outcome.events);
    shard.stats.add(&outcome.stats);
    spoil_watches(shard, &outcome.touched);
}

/// Spoils the watches of the keys that were touched elsewhere; keys that nobody watches here do no harm.
pub fn spoil_watches(shard: &mut Shard, touched: &[Touched]) {
    for Touched { database, key, now } in touched {
        shard.watches.touch(*database, key, *now);
    }
}
