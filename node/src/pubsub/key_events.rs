//! Keyspace events, published as messages.
//!
//! Commands do not wait for the homes of their events. That a client's commands on different shards still show
//! in their order is the stamps' doing: an event gets the next number of the node when it happens, and a home
//! publishes events only after a look into all its lanes found them empty, sorted. What happened because of an
//! earlier event, such as the next command of a client that was answered, has a higher number and finds the
//! earlier one in its lane.
//!
//! Source: redis.io, "Redis keyspace notifications".

use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::notify::{Classes, KeyEvent};
use ringfort_core::pubsub::Kind;

use super::home::home_of;
use crate::core::Core;

/// An event at its channel's home.
#[derive(Debug)]
pub struct StampedEvent {
    stamp: u64,
    channel: Vec<u8>,
    message: Box<[u8]>,
}

/// A home that always finds messages in its lanes publishes when it has so many events.
const EVENTS_MAX: usize = 10_000;

impl Core {
    /// Publishes the keyspace events that commands left behind, oldest first.
    pub fn publish_key_events(&mut self) {
        if self.pubsub.collects_events {
            return;
        }
        // Most nodes that have them switched on by habit have nobody who listens.
        if self.shared.subscriptions.load(Relaxed) == 0 {
            self.shard.events.list.clear();
            return;
        }
        let classes = self.shard.settings.notify;
        for event in std::mem::take(&mut self.shard.events.list) {
            let KeyEvent { database, name, key } = event;
            if classes.has(Classes::KEYSPACE) {
                let mut channel = format!("__keyspace@{database}__:").into_bytes();
                channel.extend_from_slice(&key);
                self.publish_at_home(channel, name.as_bytes());
            }
            if classes.has(Classes::KEYEVENT) {
                let channel = format!("__keyevent@{database}__:{name}").into_bytes();
                self.publish_at_home(channel, &key);
            }
        }
    }

    /// Runs a part of what several shards take part in, and returns its events, for the coordinator to publish
    /// them all in their order.
    pub fn collect_key_events(&mut self, work: impl FnOnce(&mut Core)) -> Vec<KeyEvent> {
        self.pubsub.collects_events = true;
        work(self);
        self.pubsub.collects_events = false;
        std::mem::take(&mut self.shard.events.list)
    }

    fn publish_at_home(&mut self, channel: Vec<u8>, message: &[u8]) {
        if self.cores == 1 {
            self.publish(Kind::Channel, &channel, message);
            return;
        }
        let stamp = self.shared.event_stamps.fetch_add(1, Relaxed);
        let home = home_of(&channel, self.cores);
        let event = StampedEvent { stamp, channel, message: message.into() };
        self.post(home, move |core| core.pubsub.events.push(event));
    }

    /// Publishes the events that have come to this home. `drained`: a look into all lanes has found them empty.
    #[cold]
    pub fn publish_stamped_events(&mut self, drained: bool) {
        if !drained && self.pubsub.events.len() < EVENTS_MAX {
            return;
        }
        let mut events = std::mem::take(&mut self.pubsub.events);
        events.sort_unstable_by_key(|event| event.stamp);
        for event in &events {
            self.publish(Kind::Channel, &event.channel, &event.message);
        }
        events.clear();
        self.pubsub.events = events;
    }
}
