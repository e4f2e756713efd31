//! SIGTERM and SIGINT ask for a shutdown; a second SIGINT ends the process at once. SIGHUP, SIGUSR1 and
//! SIGPIPE are ignored.
//!
//! A thread of its own waits for signals, so that the second SIGINT works even when every core is stuck. It
//! runs the wakers, which must only hand the news on: write to an eventfd, send to a mailbox.

use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGTERM, SIGUSR1};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

/// Which signal asked for the shutdown, and so which of `shutdown-on-sigterm` and `-sigint` says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ShutdownSignal {
    Term = 1,
    Int = 2,
}

impl ShutdownSignal {
    fn from_number(number: u8) -> Option<Self> {
        [ShutdownSignal::Term, ShutdownSignal::Int].into_iter().find(|one| *one as u8 == number)
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Signals").field("pending", &self.shared.pending).finish_non_exhaustive()
    }
}

type Waker = Box<dyn Fn(ShutdownSignal) + Send>;

/// A handle on the signals of the process; clones are the same.
#[derive(Clone)]
pub struct Signals {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Zero, or the [`ShutdownSignal`] that came last and nobody took.
    news: AtomicU8,
    /// What a signal asked for is under way.
    pending: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Signals {
    /// Starts to watch. Once per process, after it has its final id.
    pub fn watch() -> io::Result<Signals> {
        // A handler that does nothing that matters: unlike "ignore" it is not passed on to programs we start.
        let nobody_looks = Arc::new(AtomicBool::new(false));
        for ignored in [SIGHUP, SIGUSR1, SIGPIPE] {
            signal_hook::flag::register(ignored, nobody_looks.clone())?;
        }
        let mut arriving = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
        let signals = Signals { shared: Arc::default() };
        let heard = signals.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in arriving.forever() {
                heard.hear(if signal == SIGINT {
                    ShutdownSignal::Int
                } else {
                    ShutdownSignal::Term
                });
            }
        })?;
        Ok(signals)
    }

    /// The signal that asks for a shutdown, once. One load while there is none.
    pub fn take(&self) -> Option<ShutdownSignal> {
        if self.shared.news.load(Ordering::Acquire) == 0 {
            return None;
        }
        ShutdownSignal::from_number(self.shared.news.swap(0, Ordering::AcqRel))
    }

    /// The shutdown was refused or called off: the next signal asks anew, a SIGINT too.
    pub fn clear(&self) {
        self.shared.pending.store(false, Ordering::Release);
    }

    /// Runs `waker` on the signals' thread for every signal from now on, and at once if nobody took the last one.
    pub fn on_shutdown(&self, waker: impl Fn(ShutdownSignal) + Send + 'static) {
        let mut wakers = self.wakers();
        let news = self.shared.news.load(Ordering::Acquire);
        if let Some(signal) = ShutdownSignal::from_number(news) {
            waker(signal);
        }
        wakers.push(Box::new(waker));
    }

    fn wakers(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.shared.wakers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn hear(&self, signal: ShutdownSignal) {
        let wakers = self.wakers();
        let again = self.shared.pending.swap(true, Ordering::AcqRel);
        if again && signal == ShutdownSignal::Int {
            crate::warning!("You insist... exiting now.");
            std::process::exit(1);
        }
        self.shared.news.store(signal as u8, Ordering::Release);
        let name = if signal == ShutdownSignal::Int { "SIGINT" } else { "SIGTERM" };
        crate::warning!("Received {name} scheduling shutdown...");
        for waker in &*wakers {
            waker(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn wakers_hear_of_signals_before_and_after_they_came() {
        let signals = Signals { shared: Arc::default() };
        let (early, hears_early) = mpsc::channel();
        signals.on_shutdown(move |signal| early.send(signal).unwrap());
        signals.hear(ShutdownSignal::Term);
        assert_eq!(hears_early.try_recv(), Ok(ShutdownSignal::Term));
        let (late, hears_late) = mpsc::channel();
        signals.on_shutdown(move |signal| late.send(signal).unwrap());
        assert_eq!(hears_late.try_recv(), Ok(ShutdownSignal::Term));
        assert_eq!(signals.take(), Some(ShutdownSignal::Term));
        assert_eq!(signals.take(), None);
        // Refused: the next one asks, and does not insist.
        signals.clear();
        signals.hear(ShutdownSignal::Int);
        assert_eq!(signals.take(), Some(ShutdownSignal::Int));
    }
}
