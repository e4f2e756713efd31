//! The key space as commands see it: the databases of a shard with expiry, access times, statistics, WATCH,
//! keyspace events and effects.
//!
//! A command looks keys up with [`Keys::read`] or [`Keys::write`], changes them, then says so once per key with
//! [`Keys::changed`], and hands over its effect with [`Keys::effect_verbatim`] or [`Keys::effect`].

use crate::args::Args;
use crate::error::Error;
use crate::eviction;
use crate::notify::{Classes, KeyEvent};
use crate::shard::Shard;
use crate::store::{
    Collection, Database, EntryRef, Expiry, Hasher, Key, LargeValue, OwnedEntry, Packing,
    StringValue, Type, Value,
};
use crate::watch::Presence;

/// Whose command it is, as far as keys care.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// CLIENT NO-TOUCH: reads leave access times alone.
    pub no_touch: bool,
    /// The link to the primary: its commands see keys past their time until the primary removes them, and are
    /// not held to limits that the primary has checked.
    pub is_primary: bool,
}

/// What [`Keys::edit`] came to.
#[derive(Clone, Copy, Debug)]
pub struct Edited<R> {
    pub result: R,
    /// The collection was left empty, and is gone.
    pub removed: bool,
}

/// How a collection begins.
#[derive(Clone, Copy, Debug)]
pub enum New {
    Packed(Packing),
    Stream,
}

/// A shard, one of its databases, and the time a command runs at.
pub struct Keys<'a> {
    pub shard: &'a mut Shard,
    pub database: usize,
    /// Milliseconds since the Unix epoch; one value for a whole command or transaction.
    pub now: i64,
    pub caller: Caller,
    /// The command's first key, hashed when its batch was prefetched.
    pub first: Option<Key<'a>>,
}

impl<'a> Keys<'a> {
    /// `bytes` with slot and hash.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        if let Some(first) = &self.first
            && std::ptr::eq(first.bytes, bytes)
        {
            return Key { bytes, slot: first.slot, hash: first.hash };
        }
        self.shard.hasher.key(bytes)
    }

    /// The same shard seen from another database.
    pub fn in_database(&mut self, database: usize) -> Keys<'_> {
        Keys { shard: self.shard, database, now: self.now, caller: self.caller, first: None }
    }

    /// Looks a key up to read it: hides (and on a primary removes) an expired one, counts hit or miss,
    /// renews the access time.
    #[inline]
    pub fn read(&mut self, key: &Key) -> Option<EntryRef<'_>> {
        self.drop_to_read(key);
        let (now, caller) = (self.now, self.caller);
        // One look-up: the parts of the shard are borrowed one by one.
        let Shard { databases, settings, random, stats, events, .. } = &mut *self.shard;
        let found =
            databases[self.database].get(key).filter(|entry| !is_hidden(entry, now, caller));
        match found {
            Some(entry) => {
                stats.keyspace_hits += 1;
                if !caller.no_touch {
                    eviction::renew(&entry, settings, random, now);
                }
            }
            None => {
                stats.keyspace_misses += 1;
                if settings.notify.has(Classes::KEY_MISS) {
                    let (database, key) = (self.database, key.bytes.into());
                    events.list.push(KeyEvent { database, name: "keymiss", key });
                }
            }
        }
        found
    }

    /// Looks a key up as [`Keys::read`] does, but leaves its access time alone (EXISTS, TTL, TYPE).
    #[inline]
    pub fn inspect(&mut self, key: &Key) -> Option<EntryRef<'_>> {
        self.drop_to_read(key);
        if self.visible(key).is_none() {
            self.notify(key, Classes::KEY_MISS, "keymiss");
        }
        self.inspect_quietly(key)
    }

    /// Looks a key up as [`Keys::inspect`] does, but a miss is no event (OBJECT).
    #[inline]
    pub fn inspect_quietly(&mut self, key: &Key) -> Option<EntryRef<'_>> {
        self.drop_to_read(key);
        if self.visible(key).is_some() {
            self.shard.stats.keyspace_hits += 1;
        } else {
            self.shard.stats.keyspace_misses += 1;
        }
        self.visible(key)
    }

    /// Looks a key up without counting it or renewing its access time (RANDOMKEY, SCAN).
    #[inline]
    pub fn peek(&mut self, key: &Key) -> Option<EntryRef<'_>> {
        self.drop_to_read(key);
        self.visible(key)
    }

    /// Looks a key up to change it: as [`Keys::peek`], and renews the access time.
    #[inline]
    pub fn write(&mut self, key: &Key) -> Option<EntryRef<'_>> {
        self.drop_if_expired(key);
        let (now, caller) = (self.now, self.caller);
        let Shard { databases, settings, random, .. } = &mut *self.shard;
        let found =
            databases[self.database].get(key).filter(|entry| !is_hidden(entry, now, caller));
        if let Some(entry) = found {
            eviction::renew(&entry, settings, random, now);
        }
        found
    }

    /// [`Keys::read`] of a string. Error: the key holds another type.
    #[inline]
    pub fn read_string(&mut self, key: &Key) -> Result<Option<StringValue<'_>>, Error> {
        string_of(self.read(key))
    }

    /// [`Keys::write`] of a string. Error: the key holds another type.
    #[inline]
    pub fn write_string(&mut self, key: &Key) -> Result<Option<StringValue<'_>>, Error> {
        string_of(self.write(key))
    }

    /// [`Keys::read`] of a collection. Error: the key holds another type.
    #[inline]
    pub fn read_collection(
        &mut self,
        key: &Key,
        value_type: Type,
    ) -> Result<Option<Value<'_>>, Error> {
        collection_of(self.read(key), value_type)
    }

    /// [`Keys::write`] of a collection, to look at it before it is changed. Error: the key holds another type.
    #[inline]
    pub fn write_collection(
        &mut self,
        key: &Key,
        value_type: Type,
    ) -> Result<Option<Value<'_>>, Error> {
        collection_of(self.write(key), value_type)
    }

    /// Lets `f` change the collection at `key`, `None` where there is none, and removes one that is empty then (but a
    /// stream). Nothing is said to anybody: see [`Keys::changed`]. Error: the key holds another type.
    #[inline]
    pub fn edit<R>(
        &mut self,
        key: &Key,
        value_type: Type,
        f: impl FnOnce(&mut OwnedEntry, &Hasher) -> R,
    ) -> Result<Option<Edited<R>>, Error> {
        self.drop_if_expired(key);
        let (now, caller) = (self.now, self.caller);
        let Shard { databases, settings, random, .. } = &mut *self.shard;
        let edited = databases[self.database].edit(key, |entry, hasher| {
            let seen = entry.get();
            if is_hidden(&seen, now, caller) {
                return Ok(None);
            }
            if seen.value_type() != value_type {
                return Err(Error::WRONG_TYPE);
            }
            eviction::renew(&seen, settings, random, now);
            let result = f(entry, hasher);
            Ok(Some(Edited { result, removed: entry.get().value().is_to_be_removed() }))
        });
        let edited = edited.unwrap_or(Ok(None))?;
        if edited.as_ref().is_some_and(|edited| edited.removed) {
            self.shard.databases[self.database].remove(key);
        }
        Ok(edited)
    }

    /// Lets `f` change the collection at `key`, whatever its type and time, without renewing its access time; removes
    /// one that is empty then, and says whether it did.
    pub fn edit_untouched(&mut self, key: &Key, f: impl FnOnce(&mut OwnedEntry, &Hasher)) -> bool {
        let database = &mut self.shard.databases[self.database];
        let removed = database.edit(key, |entry, hasher| {
            f(entry, hasher);
            entry.get().value().is_to_be_removed()
        });
        removed == Some(true) && database.remove(key).is_some()
    }

    /// As [`Keys::edit`], but an absent collection is created first: empty, and packed, or a stream. Error: also a
    /// collection that cannot hold any more.
    #[inline]
    pub fn edit_or_create<R>(
        &mut self,
        key: &Key,
        new: New,
        f: impl FnOnce(&mut OwnedEntry, &Hasher) -> R,
    ) -> Result<Edited<R>, Error> {
        let value_type = match new {
            New::Packed(packing) => packing.value_type(),
            New::Stream => Type::Stream,
        };
        // One look-up where the collection is there, as it mostly is.
        let mut f = Some(f);
        let mut run = |entry: &mut OwnedEntry, hasher: &Hasher| {
            let has_room = match entry.get().value() {
                Value::Set(set) => set.has_room(),
                Value::Hash(hash) => hash.has_room(),
                Value::SortedSet(sorted_set) => sorted_set.has_room(),
                _ => true,
            };
            has_room.then(|| f.take().expect("it runs once")(entry, hasher))
        };
        if let Some(Edited { result, removed }) = self.edit(key, value_type, &mut run)? {
            return Ok(Edited { result: result.ok_or(Error::COLLECTION_FULL)?, removed });
        }
        self.create(
            key,
            match new {
                New::Packed(packing) => Collection::Packed(packing, packing.empty().to_vec()),
                New::Stream => Collection::Large(LargeValue::Stream(Box::default())),
            },
        );
        let created = self.edit(key, value_type, &mut run)?.expect("it is there by now");
        let result = created.result.expect("an empty one has room");
        Ok(Edited { result, removed: created.removed })
    }

    /// Puts a new collection where there is none, as [`Keys::edit`] has just found.
    pub fn create(&mut self, key: &Key, collection: Collection) {
        let access = eviction::first_access(&self.shard.settings, self.now);
        let entry = OwnedEntry::collection(key.bytes, collection, None, access);
        // Over one that is hidden, because a replica does not remove it, if there is one.
        self.shard.databases[self.database].insert(key, entry);
        self.notify(key, Classes::NEW, "new");
    }

    /// Writes a string over whatever the key holds.
    #[inline]
    pub fn set(&mut self, key: &Key, value: &[u8], expiry: Expiry) {
        self.drop_if_expired(key);
        let access = eviction::first_access(&self.shard.settings, self.now);
        self.notify_if_new(key);
        self.shard.databases[self.database].set_string(key, value, expiry, access);
    }

    /// As [`Keys::set`], but a text that looks like an integer stays a text.
    pub fn set_text(&mut self, key: &Key, value: &[u8], expiry: Expiry) {
        self.drop_if_expired(key);
        let access = eviction::first_access(&self.shard.settings, self.now);
        self.notify_if_new(key);
        self.shard.databases[self.database].set_plain_string(key, value, expiry, access);
    }

    /// Writes an integer as [`Keys::set`] writes a string; keeps the expiry.
    #[inline]
    pub fn set_integer(&mut self, key: &Key, value: i64) {
        let access = eviction::first_access(&self.shard.settings, self.now);
        self.notify_if_new(key);
        self.shard.databases[self.database].set_integer(key, value, Expiry::Keep, access);
    }

    fn notify_if_new(&mut self, key: &Key) {
        if self.shard.settings.notify.has(Classes::NEW)
            && self.shard.databases[self.database].get(key).is_none()
        {
            self.notify(key, Classes::NEW, "new");
        }
    }

    /// The bytes of the string at `key` to be changed in place, made `len` bytes long (longer: filled with
    /// zeros; an absent key is created). Keeps the expiry. The key must not hold another type.
    pub fn string_mut(&mut self, key: &Key, len: usize) -> &mut [u8] {
        let access = eviction::first_access(&self.shard.settings, self.now);
        if self.visible(key).is_none() {
            self.notify(key, Classes::NEW, "new");
        }
        self.shard.databases[self.database].resize_string(key, len, access)
    }

    /// The longest string that this caller may make, in bytes.
    pub fn string_bytes_max(&self) -> usize {
        if self.caller.is_primary { usize::MAX } else { self.shard.settings.string_bytes_max }
    }

    /// Sets or clears the time at which the key expires. `false`: there is no such key.
    pub fn set_expiry(&mut self, key: &Key, expire_at: Option<i64>) -> bool {
        self.shard.databases[self.database].set_expiry(key, expire_at)
    }

    /// Removes a key. `false`: it was not there, or expired.
    pub fn remove(&mut self, key: &Key) -> bool {
        self.take(key).is_some()
    }

    /// Removes a key and hands its entry over.
    pub fn take(&mut self, key: &Key) -> Option<OwnedEntry> {
        self.drop_if_expired(key);
        self.visible(key)?;
        self.shard.databases[self.database].remove(key)
    }

    /// Puts an entry where `key` is, over what is there.
    pub fn put(&mut self, key: &Key, entry: OwnedEntry) {
        self.shard.databases[self.database].insert(key, entry);
    }

    /// Says that `key` was changed: counts the change, spoils watches, publishes the event.
    #[inline]
    pub fn changed(&mut self, key: &Key, class: Classes, event: &'static str) {
        self.changed_many(key, class, event, 1);
    }

    /// As [`Keys::changed`], of a key to which `changes` things happened at once.
    #[inline]
    pub fn changed_many(&mut self, key: &Key, class: Classes, event: &'static str, changes: u64) {
        self.shard.stats.dirty += changes;
        self.touch(key);
        self.notify(key, class, event);
    }

    /// Spoils the watches of `key`, and has those who wait for it look at it once the command is through.
    #[inline]
    pub fn touch(&mut self, key: &Key) {
        if !self.shard.watches.is_empty() {
            let presence = self.presence(key);
            self.shard.watches.touch(self.database, key.bytes, presence);
        }
        if !self.shard.waiters.is_empty() {
            self.shard.waiters.touch(self.database, key.bytes);
        }
    }

    /// Publishes a keyspace event if its class is wanted.
    #[inline]
    pub fn notify(&mut self, key: &Key, class: Classes, event: &'static str) {
        if self.shard.settings.notify.has(class) {
            self.shard.events.list.push(KeyEvent {
                database: self.database,
                name: event,
                key: key.bytes.into(),
            });
        }
    }

    /// The command's effect is the command itself.
    #[inline]
    pub fn effect_verbatim(&mut self, args: &Args) {
        self.shard.effects.verbatim(self.database, args);
    }

    /// The command's effect is the command made of `parts`.
    #[inline]
    pub fn effect(&mut self, parts: &[&[u8]]) {
        self.shard.effects.command(self.database, parts);
    }

    /// The effect that removes `key`: UNLINK where the removal is a lazy one.
    pub fn effect_removed(&mut self, key: &Key, lazy: bool) {
        self.effect(&[if lazy { b"UNLINK" } else { b"DEL" }, key.bytes]);
    }

    /// What is there at `key`.
    pub fn presence(&self, key: &Key) -> Presence {
        presence(&self.shard.databases[self.database], key, self.now)
    }

    /// Whether the key is there but past its time.
    pub fn is_expired(&self, key: &Key) -> bool {
        self.shard.databases[self.database]
            .get(key)
            .and_then(|entry| entry.expire_at())
            .is_some_and(|at| self.now > at)
    }

    #[inline]
    fn visible(&self, key: &Key) -> Option<EntryRef<'_>> {
        let found = self.shard.databases[self.database].get(key);
        found.filter(|entry| !is_hidden(entry, self.now, self.caller))
    }

    /// Before a look at the key: while writes are held back, that does not remove it either.
    #[inline]
    fn drop_to_read(&mut self, key: &Key) {
        if !self.shard.settings.writes_held {
            self.drop_if_expired(key);
        }
    }

    #[inline]
    fn drop_if_expired(&mut self, key: &Key) {
        if self.shard.databases[self.database].expiring_len() > 0
            && !self.shard.settings.is_replica
            && self.is_expired(key)
        {
            self.expire(key);
        }
    }

    /// Removes a key whose time has passed, with effect and event.
    #[cold]
    pub fn expire(&mut self, key: &Key) {
        self.shard.databases[self.database].remove(key);
        self.expired(key);
    }

    /// Says that a key whose time had passed was removed.
    pub fn expired(&mut self, key: &Key) {
        self.shard.stats.expired_keys += 1;
        self.touch(key);
        self.notify(key, Classes::EXPIRED, "expired");
        self.effect_removed(key, self.shard.settings.lazyfree_lazy_expire);
    }
}

/// Whether the entry's time has passed (it lives up to the end of its last millisecond), except for the primary's
/// commands.
#[inline]
fn is_hidden(entry: &EntryRef, now: i64, caller: Caller) -> bool {
    entry.expire_at().is_some_and(|at| now > at && !caller.is_primary)
}

/// What is there at `key` of a database.
pub fn presence(database: &Database, key: &Key, now: i64) -> Presence {
    match database.get(key) {
        None => Presence::Absent,
        Some(entry) if entry.expire_at().is_some_and(|at| now > at) => Presence::Expired,
        Some(_) => Presence::Live,
    }
}

#[inline]
fn string_of(entry: Option<EntryRef<'_>>) -> Result<Option<StringValue<'_>>, Error> {
    match entry {
        None => Ok(None),
        Some(entry) => entry.string().map(Some).ok_or(Error::WRONG_TYPE),
    }
}

#[inline]
fn collection_of(
    entry: Option<EntryRef<'_>>,
    value_type: Type,
) -> Result<Option<Value<'_>>, Error> {
    match entry {
        Some(entry) if entry.value_type() != value_type => Err(Error::WRONG_TYPE),
        entry => Ok(entry.map(|entry| entry.value())),
    }
}
