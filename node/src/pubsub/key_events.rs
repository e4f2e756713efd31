//! Keyspace events, published as messages.
//!
//! Source: redis.io, "Redis keyspace notifications".

use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::notify::{Classes, KeyEvent};
use ringfort_core::pubsub::Kind;

use super::home::home_of;
use crate::core::Core;

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
        let home = home_of(&channel, self.cores);
        if home == self.id {
            self.publish(Kind::Channel, &channel, message);
        } else {
            let message: Box<[u8]> = message.into();
            self.post(home, move |core| {
                core.publish(Kind::Channel, &channel, &message);
            });
        }
    }
}
