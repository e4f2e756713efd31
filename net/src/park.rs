//! Sleeping while there is nothing to do, and being woken.
//!
//! Each core has one eventfd. Its ring's completions write it while the core is parked, and so do other threads
//! through a [`Waker`]. The core reads it through glommio, so the whole executor sleeps in glommio's own ring and
//! its timers and other tasks still run. [`Spin`] decides how long to look around before that.
//!
//! A [`Waker`] is shared by all threads; a [`Parker`] belongs to its core's executor.

mod protocol;
mod sync {
    pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
}

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use glommio::io::BufferedFile;

use crate::clock::Ticks;
use crate::ring::Ring;
use protocol::Parked;

struct Shared {
    parked: Parked,
    eventfd: OwnedFd,
}

/// Wakes one core. Cheap to clone and to call: writes only if the core is parked.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

impl Waker {
    /// Makes the eventfd of a core. Errors: out of descriptors.
    pub fn new() -> io::Result<Waker> {
        // Blocking, so that a read in the ring waits.
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Waker(Arc::new(Shared {
            parked: Parked::new(),
            // SAFETY: just made, and nobody else's.
            eventfd: unsafe { OwnedFd::from_raw_fd(fd) },
        })))
    }

    /// Wakes the core if it is parked or about to park. Call after publishing the work.
    pub fn wake(&self) {
        if self.0.parked.take_wake() {
            self.write();
        }
    }

    fn write(&self) {
        let one = 1u64.to_ne_bytes();
        // A signal handler may call this; write(2) is safe there. It fails only when the counter is full, and
        // then the sleeper is awake anyway.
        // SAFETY: the eventfd is ours and open; eight readable bytes.
        unsafe {
            libc::write(self.as_raw_fd(), one.as_ptr().cast(), one.len());
        }
    }
}

impl AsRawFd for Waker {
    fn as_raw_fd(&self) -> RawFd {
        self.0.eventfd.as_raw_fd()
    }
}

/// Parks the executor it was made in.
pub struct Parker {
    waker: Waker,
    /// A view of the waker's eventfd, which closes it; hence never dropped.
    file: ManuallyDrop<BufferedFile>,
}

impl Parker {
    /// Must be called inside the core's executor; panics elsewhere. One per waker.
    pub fn new(waker: &Waker) -> Parker {
        // SAFETY: the descriptor is open as long as `waker` (kept beside it), and ManuallyDrop keeps the file from
        // closing what it does not own.
        let file = unsafe { BufferedFile::from_raw_fd(waker.as_raw_fd()) };
        Parker { waker: waker.clone(), file: ManuallyDrop::new(file) }
    }

    /// Sleeps until a completion or a [`Waker::wake`], unless there is work already: `has_work` is asked after
    /// wakers see that we are parked, so nothing that they publish before or after is slept through. May return
    /// without cause.
    pub async fn park(
        &self,
        ring: &mut Ring,
        has_work: impl FnOnce(&mut Ring) -> bool,
    ) -> io::Result<()> {
        if !self.prepare(ring, has_work) {
            return Ok(());
        }
        let slept = self.sleep().await;
        self.finish(ring);
        slept
    }

    /// [`Parker::park`] in steps, for a loop that must not borrow the ring across the await: `prepare`, and if it
    /// says true `sleep().await`, then `finish`. False: there is work, nothing more to do.
    pub fn prepare(&self, ring: &mut Ring, has_work: impl FnOnce(&mut Ring) -> bool) -> bool {
        ring.enable_wakes();
        self.waker.0.parked.prepare();
        let sleep = !ring.has_work() && !has_work(ring);
        if !sleep {
            self.finish(ring);
        }
        sleep
    }

    /// The sleeping step. Only after `prepare` said true.
    pub async fn sleep(&self) -> io::Result<()> {
        match self.file.read_at(0, 8).await {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EINTR | libc::EAGAIN | libc::ECANCELED) => Ok(()),
                errno => Err(errno.map_or_else(
                    || io::Error::other(error.to_string()),
                    io::Error::from_raw_os_error,
                )),
            },
        }
    }

    /// The last step.
    pub fn finish(&self, ring: &mut Ring) {
        self.waker.0.parked.finish();
        ring.disable_wakes();
    }

    /// [`Parker::park`] for an executor without a socket ring.
    pub async fn park_without_ring(&self, has_work: impl FnOnce() -> bool) -> io::Result<()> {
        self.waker.0.parked.prepare();
        let slept = if has_work() { Ok(()) } else { self.sleep().await };
        self.waker.0.parked.finish();
        slept
    }
}

/// Looking for work for a bounded time before parking: a wake-up costs tens of microseconds.
///
/// Learns from what happened: after spins that brought nothing, ever more parks go without one (up to 63 in a
/// row), until work again comes within the limit.
pub struct Spin {
    limit_ns: u64,
    fruitless: u32,
    skip: u32,
    started: Option<Ticks>,
}

impl Spin {
    /// A limit of 0 never spins.
    pub fn new(limit_us: u64) -> Spin {
        Spin { limit_ns: limit_us * 1000, fruitless: 0, skip: 0, started: None }
    }

    /// Asks `has_work` again and again until it says true (then true) or the time is up or not worth it (false:
    /// park now).
    pub fn spin(&mut self, mut has_work: impl FnMut() -> bool) -> bool {
        if self.limit_ns == 0 {
            return false;
        }
        let start = Ticks::now();
        self.started = Some(start);
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        loop {
            for _ in 0..8 {
                if has_work() {
                    self.fruitless = 0;
                    return true;
                }
                std::hint::spin_loop();
            }
            if Ticks::now().since_ns(start) >= self.limit_ns {
                self.fruitless = (self.fruitless + 1).min(6);
                self.skip = (1 << self.fruitless) - 1;
                return false;
            }
        }
    }

    /// After a park: had work come so soon that spinning would have caught it, the next park spins.
    pub fn woke(&mut self) {
        if let Some(started) = self.started.take() {
            if Ticks::now().since_ns(started) < self.limit_ns {
                self.fruitless = 0;
                self.skip = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_wake_up_is_lost_between_threads() {
        const MESSAGES: u64 = 20_000;
        let waker = Waker::new().unwrap();
        let sent = Arc::new(AtomicU64::new(0));
        let seen = Arc::new(AtomicU64::new(0));
        let (their_waker, their_sent, their_seen) = (waker.clone(), sent.clone(), seen.clone());
        let sleeper = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 * 1024)
            .spawn(move || async move {
                let parker = Parker::new(&their_waker);
                let mut last = 0;
                while last < MESSAGES {
                    parker
                        .park_without_ring(|| their_sent.load(Ordering::Relaxed) > last)
                        .await
                        .unwrap();
                    last = their_sent.load(Ordering::Acquire);
                    their_seen.store(last, Ordering::Release);
                }
            })
            .unwrap();
        for message in 1..=MESSAGES {
            sent.store(message, Ordering::Release);
            waker.wake();
            // Now and then let it fall asleep, else it is never parked when the next message comes.
            while message % 4 == 0 && seen.load(Ordering::Acquire) < message {
                std::thread::yield_now();
            }
        }
        sleeper.join().unwrap();
    }

    #[test]
    fn fruitless_spins_become_rare() {
        let mut spin = Spin::new(1);
        let asked = Cell::new(0u32);
        let mut spins = 0;
        for _ in 0..1000 {
            let before = asked.get();
            assert!(!spin.spin(|| {
                asked.set(asked.get() + 1);
                false
            }));
            spins += u32::from(asked.get() > before);
        }
        assert!(spins < 40, "{spins}");
    }

    #[test]
    fn spin_stops_as_soon_as_there_is_work() {
        let mut spin = Spin::new(1_000_000);
        let mut asked = 0;
        assert!(spin.spin(|| {
            asked += 1;
            asked == 3
        }));
        assert!(!Spin::new(0).spin(|| true));
    }
}

// Takes `protocol.rs` a second time, to build it with loom's atomics.
#[cfg(test)]
#[allow(clippy::duplicate_mod)]
mod model;
