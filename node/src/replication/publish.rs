//! From what a command did to the replication log.
//!
//! A core publishes the effects of its round as one piece, before any reply or message of that round leaves. While a
//! transaction has the shard stopped, its effects are the coordinator's to publish, all shards' together.

use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::Args;
use ringfort_core::effect::Effects;

use crate::core::Core;

impl Core {
    /// Publishes what this core's commands did since the last time.
    #[inline]
    pub fn publish_effects(&mut self) {
        if !self.shard.effects.is_empty() && !self.gate.is_stopped() {
            self.publish_pending();
        }
    }

    #[cold]
    fn publish_pending(&mut self) {
        let effects = &mut self.shard.effects;
        self.shared.replication.log.append_effects(effects.runs());
        effects.clear();
        self.wake_readers();
    }

    /// Publishes what a transaction did on all its shards; more than one command goes between MULTI and EXEC.
    pub fn publish_transaction(&mut self, effects: &mut Effects) {
        if effects.is_empty() {
            return;
        }
        self.shared.replication.log.append_transaction(effects.len(), effects.runs());
        effects.clear();
        self.wake_readers();
    }

    /// Replicates a command that touches no shard.
    pub fn replicate_keyless(&mut self, args: &Args) {
        if !self.shard.effects.enabled {
            return;
        }
        let mut command = Effects::default();
        command.enabled = true;
        command.verbatim(0, args);
        self.publish_effects();
        for (_, bytes) in command.iter() {
            self.shared.replication.log.append_keyless(bytes);
        }
        self.wake_readers();
    }

    /// Cores that send the log to replicas have something to send.
    pub fn wake_readers(&self) {
        for (core, readers) in self.shared.replication.readers.iter().enumerate() {
            if core != self.id && readers.load(Relaxed) > 0 {
                self.mailbox.waker_of(core).wake();
            }
        }
    }
}
