//! Waiting in the ring: with a time limit, woken by other threads, or parked behind an eventfd.

use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{Ordering, fence};

use io_uring::opcode;
use io_uring::types::{Fd, Timespec};

use super::file::Wait;
use super::{Operation, Ring};
use crate::park::{Bed, Waker};

/// The read on the waker's eventfd that is always in flight.
pub(super) struct Wake {
    pub(super) waker: Waker,
    /// Where the kernel puts the counter; owned by the read while `armed`.
    pub(super) counter: Box<u64>,
    pub(super) armed: bool,
}

/// The timer of [`Ring::wait`].
pub(super) struct Limit {
    /// Read by the kernel when it takes the operation.
    pub(super) time: Box<Timespec>,
    pub(super) armed: bool,
}

impl Ring {
    /// Makes [`Waker::wake`] a completion of this ring, so that it ends [`Ring::wait`] and parking. Call once.
    pub fn set_waker(&mut self, waker: &Waker) {
        assert!(self.wake.is_none(), "a ring has one waker");
        self.wake = Some(Wake { waker: waker.clone(), counter: Box::new(0), armed: false });
        self.arm_wake();
    }

    /// Blocks the thread until there is a completion, a [`Waker::wake`], or nothing to do for `limit_us` microseconds
    /// (up to twice that when waits follow one another); the completions are then as after [`Ring::round`]. Returns
    /// false if the time passed with nothing to do.
    ///
    /// Much cheaper than parking, but the executor's other tasks stand still meanwhile: so only for short limits,
    /// and not while one of them has something to do. `has_work` is asked after wakers see that we sleep.
    pub fn wait(&mut self, limit_us: u32, has_work: impl FnOnce() -> bool) -> io::Result<bool> {
        self.rearm_receives();
        self.buffers().publish();
        let wake = self.wake.as_ref().map(|wake| wake.waker.clone());
        if let Some(waker) = &wake {
            waker.parked().prepare(Bed::Ring);
        }
        let waited = if self.completions.is_empty() && !has_work() {
            self.wait_limited(limit_us)
        } else {
            self.enter(Wait::No).map(|()| true)
        };
        if let Some(waker) = &wake {
            waker.parked().finish();
        }
        waited
    }

    /// One timer serves many waits: setting the clock's timer anew for each wait costs more than the wait itself
    /// where the clock is virtual (7 us of 33 per request). It is armed again only when it ran out, so it may run
    /// out on a wait younger than itself; that one then gets its full time.
    fn wait_limited(&mut self, limit_us: u32) -> io::Result<bool> {
        let mut armed_by_us = !self.limit.armed;
        if armed_by_us {
            self.arm_limit(limit_us);
        }
        loop {
            self.enter(Wait::One)?;
            let only_limit = self.completions.len() == 1
                && matches!(
                    Operation::split(self.completions[0].user_data()).0,
                    Some(Operation::Limit)
                );
            if !only_limit {
                return Ok(!self.completions.is_empty());
            }
            while self.next_event().is_some() {}
            if armed_by_us {
                return Ok(false);
            }
            armed_by_us = true;
            self.arm_limit(limit_us);
        }
    }

    /// Lets completions write `eventfd` while wakes are enabled.
    pub(crate) fn register_eventfd(&mut self, eventfd: RawFd) -> io::Result<()> {
        let uring = self.uring_mut();
        uring.submitter().register_eventfd(eventfd)?;
        uring.completion().disable_eventfd();
        Ok(())
    }

    /// Before parking: completions write the eventfd from now on. After it, check [`Ring::has_work`] again.
    pub(crate) fn enable_wakes(&mut self) {
        self.uring_mut().completion().enable_eventfd();
        // Pairs with the kernel's full barrier between queueing work and reading the flag: either it sees the
        // eventfd enabled or has_work, called after this, sees the work.
        fence(Ordering::SeqCst);
    }

    /// After parking: no eventfd writes while the loop looks at the ring anyway.
    pub(crate) fn disable_wakes(&mut self) {
        self.uring_mut().completion().disable_eventfd();
    }

    pub(super) fn arm_wake(&mut self) {
        let Some(wake) = &mut self.wake else {
            return;
        };
        wake.armed = true;
        let entry = opcode::Read::new(
            Fd(wake.waker.ring_eventfd()),
            (&raw mut *wake.counter).cast(),
            size_of::<u64>() as u32,
        )
        .build()
        .user_data(Operation::Wake.user_data(0, 0));
        self.in_flight += 1;
        // SAFETY: the counter is boxed, touched by nobody, and freed like the waker's eventfd only after the read's
        // completion was reaped (Ring::drop waits for it).
        unsafe { self.push(entry) };
    }

    fn arm_limit(&mut self, limit_us: u32) {
        *self.limit.time =
            Timespec::new().sec(u64::from(limit_us / 1_000_000)).nsec(limit_us % 1_000_000 * 1000);
        self.limit.armed = true;
        let entry = opcode::Timeout::new(&raw const *self.limit.time)
            .build()
            .user_data(Operation::Limit.user_data(0, 0));
        self.in_flight += 1;
        // SAFETY: the time is boxed and written only here, when no such operation is queued or in flight.
        unsafe { self.push(entry) };
    }
}
