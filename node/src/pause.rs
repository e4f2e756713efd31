//! CLIENT PAUSE, and the pauses of a failover and of a shutdown: until when commands wait, and which.

use ringfort_core::command::{Flags, Handler, NodeCommand, SessionCommand, Spec};

use crate::connection::{Connection, Wait};
use crate::core::Core;

/// From mild to strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseMode {
    /// Commands that write, and those that may replicate.
    Write,
    All,
}

/// Whose pause it is: each ends only its own, so that CLIENT UNPAUSE lets no write slip in before the last save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseBy {
    Client,
    Failover,
    Shutdown,
}

#[derive(Debug, Default)]
pub struct Pause {
    /// Of each [`PauseBy`]: until which time of the monotonic clock, in milliseconds.
    by: [Option<(u64, PauseMode)>; 3],
    /// Whether there is any, which every command asks.
    is_active: bool,
    /// Connections that wait for its end.
    pub waiters: Vec<u32>,
}

impl Pause {
    #[inline]
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Begins or prolongs a pause; of two by the same the longer and stricter holds.
    fn start(&mut self, by: PauseBy, until_ms: u64, mode: PauseMode) {
        let own = &mut self.by[by as usize];
        let (until, strictest) = own.unwrap_or((until_ms, mode));
        *own = Some((until.max(until_ms), strictest.max(mode)));
        self.is_active = true;
    }

    /// Whether writes are held back: then nothing else may write either, expiry and eviction included.
    pub fn holds_writes(&self) -> bool {
        self.is_active
    }

    /// Whether this command has to wait.
    pub fn holds(&self, spec: &Spec, connection: &Connection, now_ms: u64) -> bool {
        let goes_on = |(until, _): &&(u64, PauseMode)| now_ms < *until;
        let Some(mode) = self.by.iter().flatten().filter(goes_on).map(|(_, mode)| *mode).max()
        else {
            return false;
        };
        if connection.session.caller.is_primary
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
    pub fn start_pause(&mut self, by: PauseBy, until_ms: u64, mode: PauseMode) {
        self.pause.start(by, until_ms, mode);
        self.shard.settings.writes_held = true;
    }

    /// Ends one's own pause.
    pub fn end_pause(&mut self, by: PauseBy) {
        self.pause.by[by as usize] = None;
        self.pause_ended();
    }

    pub fn end_pause_if_due(&mut self) {
        let now_ms = self.now.mono_ms();
        let mut ended = false;
        for pause in &mut self.pause.by {
            ended |= pause.take_if(|(until, _)| now_ms >= *until).is_some();
        }
        if ended {
            self.pause_ended();
        }
    }

    /// Those who waited try again: if another pause goes on, it may hold others.
    fn pause_ended(&mut self) {
        self.pause.is_active = self.pause.by.iter().any(Option::is_some);
        self.shard.settings.writes_held = self.pause.is_active;
        for index in std::mem::take(&mut self.pause.waiters) {
            self.end_wait(index, Wait::Paused);
        }
    }
}
