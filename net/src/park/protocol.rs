//! The parked flag: how a sleeper and its wakers agree that nothing is slept through.
//!
//! Sleeper: [`Parked::prepare`], look for work, then sleep (or [`Parked::finish`] at once). Waker: publish the
//! work, then [`Parked::take_wake`]; if true, write the eventfd. Each side stores, fences, then loads what the
//! other stored, so at least one of them sees the other.
//!
//! Built twice: with std's atomics for use, and with loom's in the model test of `park`.

use super::sync::{AtomicBool, Ordering, fence};

pub(crate) struct Parked(AtomicBool);

impl Parked {
    pub(crate) fn new() -> Parked {
        Parked(AtomicBool::new(false))
    }

    /// Says that we are about to sleep. Work published by anyone who does not see this is seen by us hereafter.
    pub(crate) fn prepare(&self) {
        self.0.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that we are awake.
    pub(crate) fn finish(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// After publishing work: true if the sleeper must be woken, and by this caller.
    pub(crate) fn take_wake(&self) -> bool {
        fence(Ordering::SeqCst);
        // The load keeps the common case (awake) free of a write to the sleeper's cache line.
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}
