//! CLIENT PAUSE: until when commands wait, and which.

use ringfort_core::command::{Flags, Handler, NodeCommand, SessionCommand, Spec};

use crate::connection::{Connection, Wait};
use crate::core::Core;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseMode {
    /// Commands that write, and those that may replicate.
    Write,
    All,
}

#[derive(Debug, Default)]
pub struct Pause {
    /// Until this time of the monotonic clock, in milliseconds.
    until: Option<(u64, PauseMode)>,
    /// Connections that wait for its end.
    pub waiters: Vec<u32>,
}

impl Pause {
    #[inline]
    pub fn is_active(&self) -> bool {
        self.until.is_some()
    }

    /// Begins or prolongs a pause; of two the longer and stricter holds.
    fn start(&mut self, until_ms: u64, mode: PauseMode) {
        self.until = Some(match self.until {
            Some((until, PauseMode::All)) => (until.max(until_ms), PauseMode::All),
            Some((until, PauseMode::Write)) => (until.max(until_ms), mode),
            None => (until_ms, mode),
        });
    }

    /// Whether writes are held back: then nothing else may write either, expiry and eviction included.
    pub fn holds_writes(&self) -> bool {
        self.until.is_some()
    }

    /// Whether this command has to wait.
    pub fn holds(&self, spec: &Spec, connection: &Connection, now_ms: u64) -> bool {
        let Some((until, mode)) = self.until else {
            return false;
        };
        if now_ms >= until
            || connection.session.caller.is_primary
            || connection.replica.as_ref().is_some_and(|replica| replica.is_linked())
        {
            return false;
        }
        let writes =
            |spec: &Spec| spec.flags.has(Flags::WRITE) || spec.flags.has(Flags::MAY_REPLICATE);
        match mode {
            PauseMode::Write => match spec.handler {
                Handler::Session(SessionCommand::Exec) => {
                    connection.session.transaction.as_ref().is_some_and(|transaction| {
                        transaction.queued.iter().any(|(spec, _)| writes(spec))
                    })
                }
                _ => writes(spec),
            },
            // CLIENT itself stays usable, or nobody could end the pause.
            PauseMode::All => !matches!(
                spec.handler,
                Handler::Node(NodeCommand::ClientUnpause | NodeCommand::ClientPause)
            ),
        }
    }
}

impl Core {
    /// Holds commands back until `until_ms` of the monotonic clock.
    pub fn start_pause(&mut self, until_ms: u64, mode: PauseMode) {
        self.pause.start(until_ms, mode);
        self.shard.settings.writes_held = true;
    }

    /// Ends the pause, now (CLIENT UNPAUSE) or because its time is up.
    pub fn end_pause(&mut self) {
        self.pause.until = None;
        self.shard.settings.writes_held = false;
        for index in std::mem::take(&mut self.pause.waiters) {
            self.end_wait(index, Wait::Paused);
        }
    }

    pub fn end_pause_if_due(&mut self) {
        if self.pause.until.is_some_and(|(until, _)| self.now.mono_ms() >= until) {
            self.end_pause();
        }
    }
}
