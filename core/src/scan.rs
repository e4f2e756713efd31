//! One shard's part of the commands over the whole key space: SCAN, KEYS, RANDOMKEY, DBSIZE, and the keys of a
//! slot.
//!
//! SCAN's cursor stands in the order of slots over all shards, so the node asks the owner of each range of
//! slots for its part ([`scan_part`]) until the budget is used up. Keys that are there from the first call to
//! the last are seen at least once, whatever happens to the others and to the tables.
//!
//! Expired keys are never shown; SCAN and RANDOMKEY remove those they meet, except on a replica.

use crate::args::Args;
use crate::error::Error;
use crate::glob::{self, Case};
use crate::keys::{Caller, Keys, presence};
use crate::number;
use crate::shard::Shard;
use crate::slot::Slot;
use crate::store::{Cursor, EntryRef};
use crate::watch::Presence;
use std::ops::Range;

/// Keys looked at where COUNT does not say.
pub(crate) const COUNT_DEFAULT: usize = 10;

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    pub cursor: u64,
    /// Keys to look at, about; at least 1.
    pub count: usize,
    pub filter: Filter,
}

/// Which keys SCAN shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `None`: all.
    pub pattern: Option<Vec<u8>>,
    /// Lower case. A type that nobody knows matches nothing.
    pub type_name: Option<String>,
}

impl ScanOptions {
    /// `args` of the whole command.
    pub fn parse(args: &Args) -> Result<ScanOptions, Error> {
        let cursor = parse_cursor(args.at(1))?;
        let mut options = ScanOptions { cursor, count: COUNT_DEFAULT, filter: Filter::default() };
        let mut at = 2;
        while at < args.len() {
            let Some(value) = args.get(at + 1) else { return Err(Error::SYNTAX) };
            if args.is(at, "count") {
                options.count = match number::integer(value)? {
                    count @ 1.. => count as usize,
                    _ => return Err(Error::SYNTAX),
                };
            } else if args.is(at, "match") {
                options.filter.pattern = (value != b"*").then(|| value.to_vec());
            } else if args.is(at, "type") {
                let name = String::from_utf8_lossy(value).to_ascii_lowercase();
                options.filter.type_name = Some(name);
            } else {
                return Err(Error::SYNTAX);
            }
            at += 2;
        }
        Ok(options)
    }
}

/// A cursor as `strtoul` reads it: a sign is allowed, nothing is 0; spaces and what does not fit 64 bits are not.
pub(crate) fn parse_cursor(text: &[u8]) -> Result<u64, Error> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        [] => return Ok(0),
        digits => (false, digits),
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Error::INVALID_CURSOR);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    let number = number.ok_or(Error::INVALID_CURSOR)?;
    Ok(if negative { number.wrapping_neg() } else { number })
}

impl Filter {
    fn shows(&self, entry: &EntryRef) -> bool {
        self.type_name.as_ref().is_none_or(|name| name == entry.type_name())
            && self
                .pattern
                .as_ref()
                .is_none_or(|pattern| glob::matches(pattern, entry.key(), Case::Sensitive))
    }
}

/// A SCAN on its way over the shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where it goes on.
    pub cursor: Cursor,
    /// Keys it may still look at, about.
    pub budget: usize,
    pub found: Vec<Box<[u8]>>,
}

/// SCAN over a range of slots that this shard owns, from the cursor on, until the budget is used up or all were
/// seen: then the cursor stands at the end of `slots`.
pub fn scan_part(
    shard: &mut Shard,
    database: usize,
    now: i64,
    slots: Range<usize>,
    filter: &Filter,
    progress: &mut Progress,
) {
    let Progress { cursor, budget, found } = progress;
    let first = found.len();
    let mut looked_at = 0;
    *cursor = shard.databases[database].scan_slots(slots, *cursor, *budget, |entry| {
        looked_at += 1;
        if filter.shows(&entry) {
            found.push(entry.key().into());
        }
    });
    *budget = budget.saturating_sub(looked_at);
    // Keys are expired after the walk, which must not see its tables change.
    if shard.databases[database].expiring_len() > 0 {
        let mut keys = Keys { shard, database, now, caller: Caller::default(), first: None };
        let mut index = first;
        while index < found.len() {
            let key = keys.key(&found[index]);
            if keys.peek(&key).is_some() {
                index += 1;
            } else {
                found.swap_remove(index);
            }
        }
    }
}

/// KEYS pattern. Costs a match per key, and does not pause.
pub fn keys_part(
    shard: &Shard,
    database: usize,
    now: i64,
    pattern: &[u8],
    mut found: impl FnMut(&[u8]),
) {
    let all = pattern == b"*";
    shard.databases[database].for_each(|entry| {
        let shown = all || glob::matches(pattern, entry.key(), Case::Sensitive);
        if shown && entry.expire_at().is_none_or(|at| now <= at) {
            found(entry.key());
        }
    });
}

/// RANDOMKEY: each of the shard's keys has the same chance. The node chooses the shard by [`size_part`] first,
/// and asks again where expired keys were all there was.
pub fn random_key_part(shard: &mut Shard, database: usize, now: i64) -> Option<Vec<u8>> {
    /// Where expired keys stay (on a replica), a database that may hold nothing else gives up after this many.
    const TRIES_MAX: usize = 100;
    let mut tries = 0;
    loop {
        let random = shard.next_random();
        let keys = &shard.databases[database];
        let key = keys.random(random)?.key().to_vec();
        let hashed = shard.hasher.key(&key);
        if presence(keys, &hashed, now) != Presence::Expired {
            return Some(key);
        }
        if shard.settings.keeps_expired() {
            tries += 1;
            if keys.expiring_len() == keys.len() && tries == TRIES_MAX {
                return Some(key);
            }
        } else {
            Keys { shard, database, now, caller: Caller::default(), first: None }.expire(&hashed);
        }
    }
}

/// DBSIZE: counts expired keys that are still there, as Redis does.
pub fn size_part(shard: &Shard, database: usize) -> usize {
    shard.databases[database].len()
}

/// Up to `count` keys of a slot, expired ones that are still there among them.
pub fn keys_in_slot(shard: &Shard, database: usize, slot: Slot, count: usize) -> Vec<Box<[u8]>> {
    let number = usize::from(slot.number());
    let mut found = Vec::with_capacity(count.min(shard.databases[database].slot_len(slot)));
    // A scan visits whole buckets, so it may pass the limit.
    shard.databases[database].scan_slots(
        number..number + 1,
        Cursor::at_slot(number),
        count,
        |entry| {
            if found.len() < count {
                found.push(entry.key().into());
            }
        },
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::OwnedArgs;
    use crate::slot::SLOTS;
    use crate::store::{Expiry, Hasher};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn parse(line: &str) -> Result<ScanOptions, Error> {
        ScanOptions::parse(&OwnedArgs::new(line.split(' ').map(str::as_bytes)).args())
    }

    fn shard_with(keys: usize, expiry: impl Fn(usize) -> Expiry) -> Shard {
        let mut shard = Shard::new(Hasher::new([1, 2, 3, 4]), 1, 7);
        shard.effects.enabled = true;
        for number in 0..keys {
            let name = format!("key:{number}");
            let key = shard.hasher.key(name.as_bytes());
            shard.databases[0].set_string(&key, b"v", expiry(number), 0);
        }
        shard
    }

    fn from_start() -> Progress {
        Progress { cursor: Cursor::START, budget: 0, found: Vec::new() }
    }

    fn scan_all(shard: &mut Shard, now: i64, count: usize, filter: &Filter) -> Vec<Box<[u8]>> {
        let mut progress = from_start();
        while progress.cursor != Cursor::END {
            progress.budget = count;
            scan_part(shard, 0, now, 0..SLOTS, filter, &mut progress);
        }
        progress.found
    }

    #[test]
    fn options_are_read_as_redis_reads_them() {
        let options = parse("SCAN 17 COUNT 5 match a* TYPE String").unwrap();
        assert_eq!((options.cursor, options.count), (17, 5));
        assert_eq!(options.filter.pattern.as_deref(), Some(&b"a*"[..]));
        assert_eq!(options.filter.type_name.as_deref(), Some("string"));
        assert_eq!(parse("SCAN 0 MATCH *").unwrap().filter, Filter::default());
        for line in
            ["SCAN 1 2", "SCAN 0 COUNT 0", "SCAN 0 COUNT -3", "SCAN 0 COUNT", "SCAN 0 nonsense 3"]
        {
            assert_eq!(parse(line), Err(Error::SYNTAX), "{line}");
        }
        assert_eq!(parse("SCAN 0 COUNT abc"), Err(Error::NOT_AN_INTEGER));
    }

    #[test]
    fn cursors_are_read_as_strtoul_reads_them() {
        for (text, number) in [
            ("0", Some(0)),
            ("01", Some(1)),
            ("+1", Some(1)),
            ("", Some(0)),
            ("-1", Some(u64::MAX)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("abc", None),
            ("1a", None),
            ("-", None),
            (" 1", None),
        ] {
            assert_eq!(parse_cursor(text.as_bytes()).ok(), number, "{text:?}");
        }
    }

    #[test]
    fn a_scan_filters_by_pattern_and_type() {
        let mut shard = shard_with(100, |_| Expiry::Clear);
        let filter = |pattern: Option<&str>, type_name: Option<&str>| Filter {
            pattern: pattern.map(|pattern| pattern.as_bytes().to_vec()),
            type_name: type_name.map(str::to_owned),
        };
        assert_eq!(scan_all(&mut shard, 0, 7, &filter(None, Some("string"))).len(), 100);
        assert_eq!(scan_all(&mut shard, 0, 7, &filter(None, Some("unheard-of"))).len(), 0);
        assert_eq!(scan_all(&mut shard, 0, 7, &filter(Some("key:1?"), None)).len(), 10);
    }

    #[test]
    fn a_scan_hides_expired_keys_and_removes_them_on_a_primary() {
        let expiry = |number| if number % 2 == 0 { Expiry::At(5) } else { Expiry::At(5000) };
        let mut replica = shard_with(100, expiry);
        replica.settings.is_replica = true;
        assert_eq!(scan_all(&mut replica, 1000, 10, &Filter::default()).len(), 50);
        assert_eq!(replica.len(), 100);
        let mut primary = shard_with(100, expiry);
        assert_eq!(scan_all(&mut primary, 1000, 10, &Filter::default()).len(), 50);
        assert_eq!(primary.len(), 50);
        assert_eq!(primary.effects.iter().count(), 50);
    }

    #[test]
    fn a_scan_stays_within_its_slots_and_budget() {
        let mut shard = shard_with(1000, |_| Expiry::Clear);
        let slots = 1000..5000;
        let mut progress = from_start();
        while progress.cursor != Cursor::at_slot(slots.end) {
            let before = progress.found.len();
            progress.budget = 20;
            scan_part(&mut shard, 0, 0, slots.clone(), &Filter::default(), &mut progress);
            assert!(progress.found.len() - before < 40);
            assert!(progress.budget == 0 || progress.cursor == Cursor::at_slot(slots.end));
        }
        let found = progress.found;
        let inside = |key: &[u8]| slots.contains(&usize::from(crate::slot::slot_of(key).number()));
        assert!(found.iter().all(|key| inside(key)));
        let expected =
            (0..1000).filter(|number| inside(format!("key:{number}").as_bytes())).count();
        assert_eq!(found.len(), expected);
    }

    #[test]
    fn keys_shows_what_matches_and_lives() {
        let shard = shard_with(20, |number| if number < 5 { Expiry::At(1) } else { Expiry::Clear });
        let count = |pattern: &[u8]| {
            let mut count = 0;
            keys_part(&shard, 0, 10, pattern, |_| count += 1);
            count
        };
        assert_eq!(count(b"*"), 15);
        assert_eq!(count(b"key:1?"), 10);
        assert_eq!(count(b"key:2"), 0);
    }

    #[test]
    fn a_random_key_lives() {
        let mut shard =
            shard_with(50, |number| if number == 7 { Expiry::Clear } else { Expiry::At(1) });
        assert_eq!(random_key_part(&mut shard, 0, 10).as_deref(), Some(&b"key:7"[..]));
        let mut all_expired = shard_with(50, |_| Expiry::At(1));
        assert_eq!(random_key_part(&mut all_expired, 0, 10), None);
        assert!(all_expired.is_empty());
        let mut replica = shard_with(50, |_| Expiry::At(1));
        replica.settings.is_replica = true;
        assert!(random_key_part(&mut replica, 0, 10).is_some());
    }

    #[test]
    fn the_keys_of_a_slot_are_found() {
        let mut shard = shard_with(0, |_| Expiry::Clear);
        for number in 0..30 {
            let name = format!("{{tag}}{number}");
            let key = shard.hasher.key(name.as_bytes());
            shard.databases[0].set_string(&key, b"v", Expiry::Clear, 0);
        }
        let slot = crate::slot::slot_of(b"tag");
        assert_eq!(keys_in_slot(&shard, 0, slot, 100).len(), 30);
        assert_eq!(keys_in_slot(&shard, 0, slot, 7).len(), 7);
        assert!(keys_in_slot(&shard, 0, crate::slot::slot_of(b"other"), 7).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn keys_that_stay_are_seen_while_others_come_and_go(
            stay in 1..300usize,
            count in 1..40usize,
            churn in prop::collection::vec((any::<bool>(), 0..2000usize), 0..300),
            one_slot: bool,
        ) {
            let name = |kind: &str, number: usize| {
                if one_slot { format!("{{t}}{kind}{number}") } else { format!("{kind}{number}") }
            };
            let mut shard = shard_with(0, |_| Expiry::Clear);
            for number in 0..stay {
                let name = name("stay", number);
                let key = shard.hasher.key(name.as_bytes());
                shard.databases[0].set_string(&key, b"v", Expiry::Clear, 0);
            }
            let mut progress = from_start();
            let mut churn = churn.into_iter();
            while progress.cursor != Cursor::END {
                progress.budget = count;
                scan_part(&mut shard, 0, 0, 0..SLOTS, &Filter::default(), &mut progress);
                for (add, number) in churn.by_ref().take(20) {
                    let name = name("churn", number);
                    let key = shard.hasher.key(name.as_bytes());
                    if add {
                        shard.databases[0].set_string(&key, b"v", Expiry::Clear, 0);
                    } else {
                        shard.databases[0].remove(&key);
                    }
                }
            }
            let seen: HashSet<Box<[u8]>> = progress.found.into_iter().collect();
            for number in 0..stay {
                prop_assert!(seen.contains(name("stay", number).as_bytes()));
            }
        }
    }
}
