//! Which core is the home of a channel.
//!
//! A pure function of the channel's name and the number of cores: the shard of the name's slot. A channel of
//! keyspace events is at home where the key is, so that a shard publishes the events of its keys itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringfort_core::pubsub::Kind;
use ringfort_core::sequencer::ShardSet;
use ringfort_core::slot::{shard_of, slot_of};

/// The home of a channel or a shard channel.
pub fn home_of(channel: &[u8], cores: usize) -> usize {
    if cores == 1 {
        return 0;
    }
    shard_of(slot_of(watched_key(channel).unwrap_or(channel)), cores)
}

/// The homes of a name: all cores for a pattern.
pub fn homes_of(kind: Kind, name: &[u8], cores: usize) -> ShardSet {
    match kind {
        Kind::Pattern => ShardSet::all(cores),
        Kind::Channel | Kind::ShardChannel => [home_of(name, cores)].into_iter().collect(),
    }
}

/// The names that each home has to be told of.
pub fn by_home(
    kind: Kind,
    names: Vec<Box<[u8]>>,
    cores: usize,
) -> BTreeMap<usize, Arc<Vec<Box<[u8]>>>> {
    if names.is_empty() {
        return BTreeMap::new();
    }
    if kind == Kind::Pattern {
        let names = Arc::new(names);
        return (0..cores).map(|home| (home, Arc::clone(&names))).collect();
    }
    let mut homes: BTreeMap<usize, Vec<Box<[u8]>>> = BTreeMap::new();
    for name in names {
        homes.entry(home_of(&name, cores)).or_default().push(name);
    }
    homes.into_iter().map(|(home, names)| (home, Arc::new(names))).collect()
}

/// The key in `__keyspace@<db>__:<key>`.
fn watched_key(channel: &[u8]) -> Option<&[u8]> {
    let rest = channel.strip_prefix(b"__keyspace@")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    rest[digits..].strip_prefix(b"__:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keys_events_are_at_home_where_the_key_is() {
        for cores in [1, 2, 3, 8] {
            for number in 0..100 {
                let key = format!("key:{number}");
                let channel = format!("__keyspace@{}__:{key}", number % 16);
                let shard = shard_of(slot_of(key.as_bytes()), cores);
                assert_eq!(home_of(channel.as_bytes(), cores), shard);
                assert_eq!(home_of(key.as_bytes(), cores), shard);
            }
        }
        assert_eq!(watched_key(b"__keyevent@0__:del"), None);
        assert_eq!(watched_key(b"__keyspace@0__"), None);
        assert_eq!(watched_key(b"__keyspace@0__:"), Some(&b""[..]));
    }

    #[test]
    fn each_home_is_told_of_its_own_channels_and_of_every_pattern() {
        let names: Vec<Box<[u8]>> =
            (0..20).map(|number| format!("c{number}").into_bytes().into()).collect();
        let homes = by_home(Kind::Channel, names.clone(), 4);
        assert_eq!(homes.values().map(|names| names.len()).sum::<usize>(), 20);
        for (home, names) in &homes {
            assert!(names.iter().all(|name| home_of(name, 4) == *home));
        }
        let homes = by_home(Kind::Pattern, names, 4);
        assert!(homes.len() == 4 && homes.values().all(|names| names.len() == 20));
        assert!(by_home(Kind::Pattern, Vec::new(), 4).is_empty());
    }
}
