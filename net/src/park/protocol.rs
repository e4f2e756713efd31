//! The parked flag: how a sleeper and its wakers agree that nothing is slept through.
//!
//! Sleeper: [`Parked::prepare`], look for work, then sleep (or [`Parked::finish`] at once). Waker: publish the
//! work, then [`Parked::take_wake`]; if that says where the core sleeps, write the eventfd it reads there. Each side stores, fences, then loads what the
//! other stored, so at least one of them sees the other.
//!
//! Built twice: with std's atomics for use, and with loom's in the model test of `park`.

use super::sync::{AtomicU8, Ordering, fence};

/// Where a core sleeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Bed {
    /// Its thread is blocked in the socket ring.
    Ring = 1,
    /// Its executor sleeps.
    Executor = 2,
}

const AWAKE: u8 = 0;

pub(crate) struct Parked(AtomicU8);

impl Parked {
    pub(crate) fn new() -> Parked {
        Parked(AtomicU8::new(AWAKE))
    }

    /// Says that we are about to sleep. Work published by anyone who does not see this is seen by us hereafter.
    pub(crate) fn prepare(&self, bed: Bed) {
        self.0.store(bed as u8, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that we are awake.
    pub(crate) fn finish(&self) {
        self.0.store(AWAKE, Ordering::Relaxed);
    }

    /// After publishing work: where the sleeper must be woken, by this caller; `None` if it is awake.
    pub(crate) fn take_wake(&self) -> Option<Bed> {
        fence(Ordering::SeqCst);
        // The load keeps the common case (awake) free of a write to the sleeper's cache line.
        if self.0.load(Ordering::Relaxed) == AWAKE {
            return None;
        }
        match self.0.swap(AWAKE, Ordering::Relaxed) {
            AWAKE => None,
            bed if bed == Bed::Ring as u8 => Some(Bed::Ring),
            _ => Some(Bed::Executor),
        }
    }
}
