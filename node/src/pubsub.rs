//! Publish and subscribe.

use ringfort_core::args::Args;
use ringfort_core::command::{NodeCommand, Spec};

use crate::connection::Connection;
use crate::core::Core;
use crate::dispatch::Flow;

#[derive(Debug, Default)]
pub struct PubSub {}

impl PubSub {
    pub fn new(_cores: usize) -> Self {
        PubSub {}
    }
}

impl Core {
    /// Publishes the keyspace events that commands left behind.
    pub fn publish_key_events(&mut self) {
        self.shard.events.list.clear();
    }

    /// PUBLISH without a task, where the channel's home is this core; `None`: it is not.
    pub fn publish_here(
        &mut self,
        _connection: &mut Connection,
        _command: NodeCommand,
        _args: &Args,
        _spec: &'static Spec,
    ) -> Option<Flow> {
        None
    }

    pub fn forget_subscriptions(&mut self, _connection: &mut Connection) {}
}
