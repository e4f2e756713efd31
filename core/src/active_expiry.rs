//! Active expiry: removes keys, and fields of hashes, whose time has passed and that nobody asks for.
//!
//! The tables know when their next entry is due, and the databases in which hash the next field is, so a step costs what
//! it removes, not what there is. The node
//! calls [`step`] in time slices and decides how many there are; no clock here.

use crate::commands::hashes::fields_expired;
use crate::keys::{Caller, Keys};
use crate::shard::Shard;
use crate::store::{Cursor, OwnedEntry, ValueMut};

/// Fields that one effect removes at most.
const FIELDS_PER_EFFECT: usize = 128;

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub expired: usize,
    pub expired_fields: usize,
    /// Entries that expire sooner or later and were looked at, and fields that were removed.
    pub looked_at: usize,
    /// The last database was looked through to its end; the next step begins a new round.
    pub finished_round: bool,
}

/// Removes what expired before `now`, from where the last step stopped, until about `entries_max` entries were
/// looked at or a round over all databases is finished. On a replica, and with `active_expire` off, a round is
/// finished at once.
pub fn step(shard: &mut Shard, now: i64, entries_max: usize) -> Step {
    let mut step = Step::default();
    if shard.settings.keeps_expired() || !shard.settings.active_expire {
        step.finished_round = true;
        return step;
    }
    let mut due: Vec<OwnedEntry> = Vec::new();
    while step.looked_at < entries_max {
        let (database, mut cursor) = shard.expire_cursor;
        if database >= shard.databases.len() {
            shard.expire_cursor = (0, Cursor::START);
            step.finished_round = true;
            break;
        }
        step.looked_at += shard.databases[database].expire_step(
            &mut cursor,
            now,
            entries_max - step.looked_at,
            |entry| due.push(entry),
        );
        shard.expire_cursor =
            if cursor == Cursor::END { (database + 1, Cursor::START) } else { (database, cursor) };
        step.expired += due.len();
        for entry in due.drain(..) {
            let mut keys =
                Keys { shard: &mut *shard, database, now, caller: Caller::default(), first: None };
            keys.expired(&keys.key(entry.get().key()));
        }
        if cursor == Cursor::END {
            expire_fields(shard, database, now, entries_max, &mut step);
        }
    }
    step
}

/// Removes the fields of a database that expired before `now`, until the step has looked at enough. What is left is
/// the next round's, which comes at once: the step does not say that it finished this one.
fn expire_fields(
    shard: &mut Shard,
    database: usize,
    now: i64,
    entries_max: usize,
    step: &mut Step,
) {
    while let Some((_, key)) =
        shard.databases[database].field_expiries().first().filter(|(at, _)| *at < now)
    {
        if step.looked_at >= entries_max {
            shard.expire_cursor = (database, Cursor::END);
            return;
        }
        let key = key.to_vec();
        let count = (entries_max - step.looked_at).min(FIELDS_PER_EFFECT);
        let mut keys =
            Keys { shard: &mut *shard, database, now, caller: Caller::default(), first: None };
        let key = keys.key(&key);
        let mut names = Vec::new();
        let removed = keys.edit_untouched(&key, |entry, hasher| {
            if let ValueMut::Hash(hash) = entry.value_mut() {
                names.extend(std::iter::from_fn(|| hash.take_due(hasher, now)).take(count));
            }
        });
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        fields_expired(&mut keys, &key, &names, removed);
        step.expired_fields += names.len();
        step.looked_at += names.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Classes;
    use crate::store::{Expiry, Hasher};
    use proptest::prelude::*;

    fn shard(databases: usize) -> Shard {
        let mut shard = Shard::new(Hasher::new([1, 2, 3, 4]), databases, 7);
        shard.effects.enabled = true;
        shard.settings.notify = Classes::ALL;
        shard
    }

    fn set(shard: &mut Shard, database: usize, key: &str, expiry: Expiry) {
        let key = shard.hasher.key(key.as_bytes());
        shard.databases[database].set_string(&key, b"v", expiry, 0);
    }

    #[test]
    fn a_removal_has_effect_event_and_count() {
        let mut shard = shard(16);
        set(&mut shard, 3, "gone", Expiry::At(999));
        set(&mut shard, 3, "last-millisecond", Expiry::At(1000));
        set(&mut shard, 3, "stays", Expiry::Clear);
        let done = step(&mut shard, 1000, 100);
        assert_eq!((done.expired, done.finished_round), (1, true));
        assert_eq!(shard.databases[3].len(), 2);
        assert_eq!(shard.stats.expired_keys, 1);
        let effects: Vec<_> = shard.effects.iter().collect();
        assert_eq!(effects, [(3, &b"*2\r\n$3\r\nDEL\r\n$4\r\ngone\r\n"[..])]);
        let [event] = &shard.events.list[..] else { panic!("{:?}", shard.events) };
        assert_eq!((event.database, event.name, &*event.key), (3, "expired", &b"gone"[..]));
    }

    #[test]
    fn a_replica_leaves_expiry_to_its_primary() {
        let mut shard = shard(1);
        set(&mut shard, 0, "due", Expiry::At(1));
        shard.settings.is_replica = true;
        assert_eq!(step(&mut shard, 1000, 100), Step { finished_round: true, ..Step::default() });
        assert_eq!(shard.databases[0].len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn removes_all_that_is_due_and_nothing_else(
            entries in prop::collection::vec((0..3usize, prop::option::of(900..1100i64)), 0..400),
            one_slot: bool,
            entries_max in 1..50usize,
        ) {
            let mut shard = shard(3);
            let mut alive = Vec::new();
            for (number, (database, at)) in entries.into_iter().enumerate() {
                let key = if one_slot { format!("{{t}}{number}") } else { format!("{number}") };
                set(&mut shard, database, &key, at.map_or(Expiry::Clear, Expiry::At));
                if at.is_none_or(|at| at >= 1000) {
                    alive.push((database, key));
                }
            }
            let due = shard.len() - alive.len();
            let mut expired = 0;
            for _ in 0..2 {
                loop {
                    let done = step(&mut shard, 1000, entries_max);
                    expired += done.expired;
                    if done.finished_round {
                        break;
                    }
                }
            }
            prop_assert_eq!(expired, due);
            prop_assert_eq!(shard.len(), alive.len());
            prop_assert_eq!(shard.effects.iter().count(), due);
            for (database, key) in alive {
                let key = shard.hasher.key(key.as_bytes());
                prop_assert!(shard.databases[database].get(&key).is_some());
            }
        }
    }
}
