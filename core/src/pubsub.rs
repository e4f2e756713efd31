//! Who listens to what: the registries of publish and subscribe.
//!
//! Every channel has a home core; all that is published to it goes through there, so that its subscribers see
//! one order. Every core may be the home of a channel that a pattern matches, so patterns are at home
//! everywhere. A core has two registries, each its own: as a home the [`Directory`] (how many clients of which
//! core listen), and for its own clients [`Subscribers`] (who listens).
//!
//! What must hold: a client receives from a home exactly what the home published while it counted that client.
//! Channels between cores keep their order; therefore the client hears a home from the moment that the home's
//! acknowledgement arrives, and is deaf to it again from the moment that the one for leaving does.
//!
//! Owned by one thread. No IO, and no messages: the node carries them.

use std::rc::Rc;

use ahash::{HashMap, HashSet};

use crate::glob::{self, Case};
use crate::sequencer::ShardSet;

/// What kind of name is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
    ShardChannel,
}

const KINDS: usize = 3;

/// A client of this core, by a number that no other client of the core ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subscriber(pub u64);

/// Listeners as their homes know them.
#[derive(Debug, Default)]
pub struct Directory {
    names: [HashMap<Box<[u8]>, Counts>; KINDS],
}

/// Listeners per core; cores without any are not listed.
#[derive(Debug, Default)]
struct Counts(Vec<(u16, u32)>);

/// Whom a message goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Deliveries: a client counts once for the channel and once for each pattern of its own that matches.
    pub receivers: usize,
    /// The cores that have receivers.
    pub cores: ShardSet,
}

impl Directory {
    /// One more client of `core` listens.
    pub fn add(&mut self, kind: Kind, name: &[u8], core: usize) {
        let names = &mut self.names[kind as usize];
        let counts = match names.get_mut(name) {
            Some(counts) => counts,
            None => names.entry(name.into()).or_default(),
        };
        match counts.0.iter_mut().find(|(at, _)| usize::from(*at) == core) {
            Some((_, count)) => *count += 1,
            None => counts.0.push((core as u16, 1)),
        }
    }

    /// One client of `core` fewer.
    pub fn remove(&mut self, kind: Kind, name: &[u8], core: usize) {
        let names = &mut self.names[kind as usize];
        let Some(counts) = names.get_mut(name) else {
            debug_assert!(false, "removed without having been added");
            return;
        };
        if let Some(place) = counts.0.iter().position(|(at, _)| usize::from(*at) == core) {
            counts.0[place].1 -= 1;
            if counts.0[place].1 == 0 {
                counts.0.swap_remove(place);
            }
        }
        if counts.0.is_empty() {
            names.remove(name);
        }
    }

    /// Who receives a message published to `channel`. Cost: every pattern is matched.
    pub fn audience(&self, kind: Kind, channel: &[u8]) -> Audience {
        let mut audience = Audience::default();
        let mut invite = |counts: &Counts| {
            for &(core, count) in &counts.0 {
                audience.receivers += count as usize;
                audience.cores.insert(core.into());
            }
        };
        if let Some(counts) = self.names[kind as usize].get(channel) {
            invite(counts);
        }
        if kind == Kind::Channel {
            for (pattern, counts) in &self.names[Kind::Pattern as usize] {
                if glob::matches(pattern, channel, Case::Sensitive) {
                    invite(counts);
                }
            }
        }
        audience
    }

    /// Clients that listen to exactly this name.
    pub fn listeners(&self, kind: Kind, name: &[u8]) -> usize {
        let counts = self.names[kind as usize].get(name);
        counts.map_or(0, |counts| counts.0.iter().map(|(_, count)| *count as usize).sum())
    }

    /// The names that somebody listens to.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &[u8]> {
        self.names[kind as usize].keys().map(|name| &**name)
    }

    /// How many of them there are.
    pub fn len(&self, kind: Kind) -> usize {
        self.names[kind as usize].len()
    }

    pub fn is_empty(&self) -> bool {
        self.names.iter().all(HashMap::is_empty)
    }
}

/// A name, shared by all its listeners.
type Name = Rc<[u8]>;

/// The homes that a listener is deaf to: those that do not count it yet, or any more. `None`: it hears all.
type Deaf = Option<Box<ShardSet>>;

/// The listening clients of a core.
#[derive(Debug, Default)]
pub struct Subscribers {
    names: [HashMap<Name, HashMap<Subscriber, Deaf>>; KINDS],
    clients: HashMap<Subscriber, Client>,
}

/// What a client listens to.
#[derive(Debug, Default)]
struct Client {
    names: [HashSet<Name>; KINDS],
}

/// A kind and its names.
pub type Names = (Kind, Vec<Name>);

impl Subscribers {
    /// `client` wants to listen; it is deaf until [`Subscribers::hear`]. `false`: it does so already.
    pub fn join(&mut self, client: Subscriber, kind: Kind, name: &[u8], homes: ShardSet) -> bool {
        let own = &mut self.clients.entry(client).or_default().names[kind as usize];
        if own.contains(name) {
            return false;
        }
        let names = &mut self.names[kind as usize];
        let name = match names.get_key_value(name) {
            Some((name, _)) => Rc::clone(name),
            None => name.into(),
        };
        own.insert(Rc::clone(&name));
        names.entry(name).or_default().insert(client, Some(Box::new(homes)));
        true
    }

    /// `home` counts the client from now on. Nothing happens if the client has gone.
    pub fn hear(&mut self, client: Subscriber, kind: Kind, name: &[u8], home: usize) {
        let Some(deaf) = self.deaf(client, kind, name) else {
            return;
        };
        if let Some(homes) = deaf {
            homes.remove(home);
            if homes.is_empty() {
                *deaf = None;
            }
        }
    }

    /// `client` no longer wants to listen; it hears what still comes until [`Subscribers::unhear`]. `false`: it
    /// does not listen.
    pub fn leave(&mut self, client: Subscriber, kind: Kind, name: &[u8]) -> bool {
        let Some(own) = self.clients.get_mut(&client) else {
            return false;
        };
        let left = own.names[kind as usize].remove(name);
        if own.names.iter().all(HashSet::is_empty) {
            self.clients.remove(&client);
        }
        left
    }

    /// `home`, one of `homes`, does not count the client any more.
    pub fn unhear(
        &mut self,
        client: Subscriber,
        kind: Kind,
        name: &[u8],
        home: usize,
        homes: ShardSet,
    ) {
        let Some(deaf) = self.deaf(client, kind, name) else {
            return;
        };
        let deaf_to = deaf.get_or_insert_default();
        deaf_to.insert(home);
        if **deaf_to == homes {
            self.remove_listener(client, kind, name);
        }
    }

    /// The client is gone, or begins anew: returns the names of which the homes must be told.
    pub fn forget(&mut self, client: Subscriber) -> Vec<Names> {
        let Some(own) = self.clients.remove(&client) else {
            return Vec::new();
        };
        let kinds = [Kind::Channel, Kind::Pattern, Kind::ShardChannel];
        let names = kinds.into_iter().zip(own.names);
        let names = names.map(|(kind, names)| (kind, names.into_iter().collect::<Vec<_>>()));
        let names: Vec<Names> = names.filter(|(_, names)| !names.is_empty()).collect();
        for (kind, names) in &names {
            names.iter().for_each(|name| self.remove_listener(client, *kind, name));
        }
        names
    }

    /// How many names of this kind the client listens to.
    pub fn count(&self, client: Subscriber, kind: Kind) -> usize {
        self.clients.get(&client).map_or(0, |own| own.names[kind as usize].len())
    }

    /// The names of this kind that the client listens to.
    pub fn names_of(&self, client: Subscriber, kind: Kind) -> Vec<Name> {
        let own = self.clients.get(&client);
        own.map_or_else(Vec::new, |own| own.names[kind as usize].iter().cloned().collect())
    }

    /// Clients that listen to anything.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Who of this core receives what `home` published to `channel`, by the name itself.
    pub fn receivers(
        &self,
        kind: Kind,
        channel: &[u8],
        home: usize,
    ) -> impl Iterator<Item = Subscriber> {
        self.names[kind as usize]
            .get(channel)
            .into_iter()
            .flat_map(move |listeners| hearing(listeners, home))
    }

    /// The patterns that match `channel`, with those who receive by them.
    pub fn matching<'a>(
        &'a self,
        channel: &'a [u8],
        home: usize,
    ) -> impl Iterator<Item = (&'a [u8], impl Iterator<Item = Subscriber>)> {
        self.names[Kind::Pattern as usize]
            .iter()
            .filter(|(pattern, _)| glob::matches(pattern, channel, Case::Sensitive))
            .map(move |(pattern, listeners)| (&**pattern, hearing(listeners, home)))
    }

    fn deaf(&mut self, client: Subscriber, kind: Kind, name: &[u8]) -> Option<&mut Deaf> {
        self.names[kind as usize].get_mut(name)?.get_mut(&client)
    }

    fn remove_listener(&mut self, client: Subscriber, kind: Kind, name: &[u8]) {
        let names = &mut self.names[kind as usize];
        if let Some(listeners) = names.get_mut(name) {
            listeners.remove(&client);
            if listeners.is_empty() {
                names.remove(name);
            }
        }
    }
}

/// Those of `listeners` that hear `home`.
fn hearing(listeners: &HashMap<Subscriber, Deaf>, home: usize) -> impl Iterator<Item = Subscriber> {
    listeners
        .iter()
        .filter(move |(_, deaf)| deaf.as_ref().is_none_or(|homes| !homes.contains(home)))
        .map(|(client, _)| *client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::*;

    const ANNA: Subscriber = Subscriber(1);
    const BERT: Subscriber = Subscriber(2);

    fn cores(cores: &[usize]) -> ShardSet {
        cores.iter().copied().collect()
    }

    /// Joins and is acknowledged by all homes.
    fn subscribe(subscribers: &mut Subscribers, client: Subscriber, kind: Kind, name: &str) {
        let homes = if kind == Pattern { cores(&[0, 1]) } else { cores(&[0]) };
        assert!(subscribers.join(client, kind, name.as_bytes(), homes));
        homes.iter().for_each(|home| subscribers.hear(client, kind, name.as_bytes(), home));
    }

    /// Who receives a message from `home`, `p` before those who do by pattern.
    fn heard(subscribers: &Subscribers, channel: &str, home: usize) -> Vec<String> {
        let channel = channel.as_bytes();
        let mut all: Vec<String> =
            subscribers.receivers(Channel, channel, home).map(|who| who.0.to_string()).collect();
        for (_, listeners) in subscribers.matching(channel, home) {
            all.extend(listeners.map(|who| format!("p{}", who.0)));
        }
        all.sort();
        all
    }

    #[track_caller]
    fn check_audience(directory: &Directory, channel: &str, receivers: usize, on: &[usize]) {
        let expected = Audience { receivers, cores: cores(on) };
        assert_eq!(directory.audience(Channel, channel.as_bytes()), expected, "{channel}");
    }

    #[test]
    fn a_home_counts_listeners_by_channel_and_pattern() {
        let mut directory = Directory::default();
        check_audience(&directory, "news", 0, &[]);
        directory.add(Channel, b"news", 0);
        directory.add(Channel, b"news", 2);
        directory.add(Channel, b"news", 2);
        directory.add(Pattern, b"n*", 1);
        directory.add(Pattern, b"*s", 2);
        directory.add(ShardChannel, b"news", 3);
        check_audience(&directory, "news", 5, &[0, 1, 2]);
        check_audience(&directory, "nothing", 1, &[1]);
        let sharded = directory.audience(ShardChannel, b"news");
        assert_eq!(sharded, Audience { receivers: 1, cores: cores(&[3]) });
        assert_eq!((directory.listeners(Channel, b"news"), directory.len(Pattern)), (3, 2));
    }

    #[test]
    fn a_name_without_listeners_is_forgotten() {
        let mut directory = Directory::default();
        for core in [0, 1, 1] {
            directory.add(Channel, b"a", core);
        }
        directory.remove(Channel, b"a", 1);
        check_audience(&directory, "a", 2, &[0, 1]);
        directory.remove(Channel, b"a", 1);
        check_audience(&directory, "a", 1, &[0]);
        directory.remove(Channel, b"a", 0);
        assert!(directory.is_empty());
    }

    #[test]
    fn a_client_hears_a_home_only_while_that_counts_it() {
        let mut subscribers = Subscribers::default();
        let homes = cores(&[0, 1]);
        assert!(subscribers.join(ANNA, Pattern, b"a*", homes));
        assert!(heard(&subscribers, "abc", 0).is_empty());
        subscribers.hear(ANNA, Pattern, b"a*", 1);
        assert!(heard(&subscribers, "abc", 0).is_empty());
        assert_eq!(heard(&subscribers, "abc", 1), ["p1"]);
        subscribers.hear(ANNA, Pattern, b"a*", 0);
        assert_eq!(heard(&subscribers, "abc", 0), ["p1"]);

        assert!(subscribers.leave(ANNA, Pattern, b"a*"));
        assert_eq!(heard(&subscribers, "abc", 0), ["p1"], "what was counted still arrives");
        subscribers.unhear(ANNA, Pattern, b"a*", 0, homes);
        assert!(heard(&subscribers, "abc", 0).is_empty());
        assert_eq!(heard(&subscribers, "abc", 1), ["p1"]);
        subscribers.unhear(ANNA, Pattern, b"a*", 1, homes);
        assert!(subscribers.names.iter().all(HashMap::is_empty));
    }

    #[test]
    fn joining_twice_and_leaving_what_was_not_joined_change_nothing() {
        let mut subscribers = Subscribers::default();
        subscribe(&mut subscribers, ANNA, Channel, "a");
        assert!(!subscribers.join(ANNA, Channel, b"a", cores(&[0])));
        assert_eq!(heard(&subscribers, "a", 0), ["1"]);
        assert!(!subscribers.leave(ANNA, Channel, b"b"));
        assert!(!subscribers.leave(BERT, Channel, b"a"));
        assert_eq!(subscribers.count(ANNA, Channel), 1);
        assert!(subscribers.leave(ANNA, Channel, b"a"));
        assert!(!subscribers.leave(ANNA, Channel, b"a"));
        assert_eq!((subscribers.count(ANNA, Channel), subscribers.clients()), (0, 0));
    }

    #[test]
    fn kinds_are_worlds_of_their_own() {
        let mut subscribers = Subscribers::default();
        subscribe(&mut subscribers, ANNA, Channel, "news");
        subscribe(&mut subscribers, BERT, Pattern, "n*");
        subscribe(&mut subscribers, ANNA, Pattern, "*");
        subscribe(&mut subscribers, BERT, ShardChannel, "news");
        assert_eq!(heard(&subscribers, "news", 0), ["1", "p1", "p2"]);
        let sharded: Vec<_> = subscribers.receivers(ShardChannel, b"news", 0).collect();
        assert_eq!(sharded, [BERT]);
        assert_eq!(subscribers.names_of(BERT, Pattern), [Name::from(&b"n*"[..])]);
    }

    #[test]
    fn a_client_that_goes_leaves_nothing_behind() {
        let mut subscribers = Subscribers::default();
        subscribe(&mut subscribers, ANNA, Channel, "a");
        subscribe(&mut subscribers, ANNA, Pattern, "*");
        subscribe(&mut subscribers, BERT, Channel, "a");
        // Joining when it goes: the home was asked to count it, and must be told.
        assert!(subscribers.join(ANNA, Channel, b"b", cores(&[0])));
        let mut told = subscribers.forget(ANNA);
        told.iter_mut().for_each(|(_, names)| names.sort());
        let name = |name: &str| Name::from(name.as_bytes());
        assert_eq!(told, [(Channel, vec![name("a"), name("b")]), (Pattern, vec![name("*")])]);
        subscribers.hear(ANNA, Channel, b"b", 0);
        assert_eq!(heard(&subscribers, "a", 0), ["2"]);
        assert!(heard(&subscribers, "b", 0).is_empty());
        assert!(subscribers.forget(ANNA).is_empty());
        subscribers.forget(BERT);
        assert!(subscribers.names.iter().all(HashMap::is_empty) && subscribers.clients() == 0);
    }
}
