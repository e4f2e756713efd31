//! Publish and subscribe: publishing at a channel's home core, and delivery to this core's clients.
//!
//! The registries and their rules are [`ringfort_core::pubsub`]'s; here are the messages between cores. A message
//! goes from the publisher's core to the channel's home, from there once to every core that has receivers, and
//! is encoded there once per protocol. Subscribing is in [`crate::node_commands`].

mod home;
mod key_events;
mod push;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::Args;
use ringfort_core::command::{NodeCommand, Spec};
use ringfort_core::pubsub::{Directory, Kind, Subscriber, Subscribers};
use ringfort_core::resp::Protocol;
use ringfort_core::session::ReplyMode;
use ringfort_net::Token;

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::{BACKLOG_MESSAGES_MAX, Flow};
use crate::session_commands::reply_to;

pub use home::{by_home, home_of, homes_of};
use key_events::StampedEvent;
use push::Push;

/// One core's part in publish and subscribe.
#[derive(Debug, Default)]
pub struct PubSub {
    pub directory: Directory,
    pub subscribers: Subscribers,
    /// Messages for the connection whose commands are being run: it is not in its place, so they wait until it
    /// can take them, between two commands.
    late: Vec<Late>,
    /// Keyspace events whose channels are at home here, to be published in the order of their stamps.
    events: Vec<StampedEvent>,
    /// Keyspace events are being collected, not published: see [`Core::collect_key_events`].
    collects_events: bool,
}

#[derive(Debug)]
struct Late {
    connection: u32,
    resp2: Vec<u8>,
    resp3: Vec<u8>,
}

/// Figures of one core for INFO. Channels add up over the cores, patterns are the same on all.
#[derive(Clone, Copy, Debug, Default)]
pub struct PubSubFigures {
    pub channels: usize,
    pub patterns: usize,
    pub shard_channels: usize,
    pub clients: usize,
}

impl PubSubFigures {
    /// Adds those of another core.
    pub fn add(&mut self, other: &PubSubFigures) {
        self.channels += other.channels;
        self.patterns = other.patterns;
        self.shard_channels += other.shard_channels;
        self.clients += other.clients;
    }
}

/// A message on its way from its home to another core.
struct Published {
    kind: Kind,
    channel: Box<[u8]>,
    message: Box<[u8]>,
}

impl PubSub {
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }

    #[inline]
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    pub fn figures(&self) -> PubSubFigures {
        PubSubFigures {
            channels: self.directory.len(Kind::Channel),
            patterns: self.directory.len(Kind::Pattern),
            shard_channels: self.directory.len(Kind::ShardChannel),
            clients: self.subscribers.clients(),
        }
    }
}

/// The client of a connection, in the registries.
pub fn subscriber(connection: &Connection) -> Subscriber {
    Subscriber(connection.token.0)
}

/// What PUBLISH or SPUBLISH publishes to.
pub fn published_kind(command: NodeCommand) -> Kind {
    if command == NodeCommand::Spublish { Kind::ShardChannel } else { Kind::Channel }
}

impl Core {
    /// PUBLISH without a task, where the channel's home is this core; `None`: it is not.
    pub fn publish_here(
        &mut self,
        index: u32,
        connection: &mut Connection,
        command: NodeCommand,
        args: &Args,
        spec: &'static Spec,
    ) -> Option<Flow> {
        let kind = published_kind(command);
        if home_of(&args[1], self.cores) != self.id {
            return None;
        }
        if self.is_publishing_backlogged() {
            self.backlogged.push((index, None));
            return Some(Flow::Wait(Wait::Backlog));
        }
        self.feed_monitors(connection, args, spec);
        let receivers = self.publish_command(kind, args);
        reply_to(connection).int(receivers as i64);
        self.count_command(spec, args, connection.id, false);
        // A publisher that listens too has its message behind the reply. One that wants no replies has it
        // later, when the place of the reply has been cut off.
        if self.pubsub.has_late() && connection.session.reply_mode == ReplyMode::On {
            self.take_late(index, connection);
        }
        Some(Flow::Next)
    }

    /// Whether messages to some core pile up, so that publishers have to wait.
    pub fn is_publishing_backlogged(&self) -> bool {
        (0..self.cores)
            .any(|to| to != self.id && self.mailbox.overflow_len(to) > BACKLOG_MESSAGES_MAX)
    }

    /// PUBLISH at the channel's home, replicated at once: it touches no shard, so it waits for none.
    pub fn publish_command(&mut self, kind: Kind, args: &Args) -> usize {
        self.replicate_keyless(args);
        self.publish(kind, &args[1], &args[2])
    }

    /// Publishes on the channel's home core; returns the number of receivers.
    pub fn publish(&mut self, kind: Kind, channel: &[u8], message: &[u8]) -> usize {
        let audience = self.pubsub.directory.audience(kind, channel);
        self.stats.pubsub_messages += 1;
        if audience.receivers == 0 {
            return 0;
        }
        let (home, here) = (self.id, audience.cores.contains(self.id));
        if audience.cores.len() > usize::from(here) {
            let published =
                Arc::new(Published { kind, channel: channel.into(), message: message.into() });
            for to in audience.cores.iter().filter(|to| *to != home) {
                let published = Arc::clone(&published);
                self.post(to, move |core| {
                    core.deliver_published(
                        home,
                        published.kind,
                        &published.channel,
                        &published.message,
                    );
                });
            }
        }
        if here {
            self.deliver_published(home, kind, channel, message);
        }
        audience.receivers
    }

    /// Hands what `home` published to the clients of this core that listen.
    fn deliver_published(&mut self, home: usize, kind: Kind, channel: &[u8], message: &[u8]) {
        // Taken out: handing over works on the rest of the core.
        let subscribers = std::mem::take(&mut self.pubsub.subscribers);
        let mut push = Push::by_name(kind, channel, message);
        for subscriber in subscribers.receivers(kind, channel, home) {
            self.hand_over(subscriber, &mut push);
        }
        if kind == Kind::Channel {
            for (pattern, listeners) in subscribers.matching(channel, home) {
                let mut push = Push::by_pattern(pattern, channel, message);
                listeners.for_each(|subscriber| self.hand_over(subscriber, &mut push));
            }
        }
        self.pubsub.subscribers = subscribers;
    }

    fn hand_over(&mut self, subscriber: Subscriber, push: &mut Push) {
        let Some(index) = self.index_of(Token(subscriber.0)) else {
            return;
        };
        let Some(connection) = self.connection(index) else {
            self.pubsub.late.push(Late {
                connection: index,
                resp2: push.encoded(Protocol::Resp2).to_vec(),
                resp3: push.encoded(Protocol::Resp3).to_vec(),
            });
            return;
        };
        if connection.close_after_reply {
            return;
        }
        let bytes = push.encoded(connection.session.protocol);
        connection.push_buffer().extend_from_slice(bytes);
        if !connection.is_dirty {
            connection.is_dirty = true;
            self.dirty.push(index);
        }
    }

    /// Gives a connection that was being worked on the messages that came meanwhile.
    #[cold]
    pub fn take_late(&mut self, index: u32, connection: &mut Connection) {
        let protocol = connection.session.protocol;
        let mut taken = false;
        self.pubsub.late.retain(|late| {
            if late.connection != index {
                return true;
            }
            let bytes = if protocol == Protocol::Resp3 { &late.resp3 } else { &late.resp2 };
            connection.push_buffer().extend_from_slice(bytes);
            taken = true;
            false
        });
        if taken {
            self.mark_dirty(index, connection);
        }
    }

    /// Ends all subscriptions of a connection that is closed or reset.
    pub fn forget_subscriptions(&mut self, connection: &mut Connection) {
        if self.pubsub.has_late() {
            let index = connection.token.0 as u32;
            self.take_late(index, connection);
        }
        let session = &mut connection.session;
        if session.subscriptions + session.shard_subscriptions == 0 {
            return;
        }
        self.shared.subscriptions.fetch_sub(session.subscriptions, Relaxed);
        (session.subscriptions, session.shard_subscriptions, session.patterns) = (0, 0, 0);
        for (kind, names) in self.pubsub.subscribers.forget(subscriber(connection)) {
            let names: Vec<Box<[u8]>> = names.iter().map(|name| (**name).into()).collect();
            let from = self.id;
            for (home, names) in home::by_home(kind, names, self.cores) {
                self.post(home, move |core| {
                    for name in names.iter() {
                        core.pubsub.directory.remove(kind, name, from);
                    }
                });
            }
        }
    }
}
