//! Sleeping while there is nothing to do, and being woken.
//!
//! Three steps, each cheaper to leave than the next: [`Spin`] looks around for some microseconds;
//! [`Ring::wait`] blocks the thread in the socket ring (a completion or a [`Waker`] ends it; the executor's other
//! tasks stand still, so only for about a millisecond); [`Parker`] puts the whole executor to sleep, its timers and
//! other tasks running on.
//!
//! A [`Waker`] is shared by all threads. It knows in which of the two the core sleeps, and writes the eventfd that is
//! read there: one is read by the ring, the other through glommio. (One would do if an eventfd's write could at
//! once cause another's, through the ring's completion; the kernel puts that off by an RCU grace period.)

mod protocol;
mod sync {
    pub(super) use std::sync::atomic::{AtomicU8, Ordering, fence};
}

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use glommio::io::BufferedFile;

use crate::clock::Ticks;
use crate::ring::Ring;
pub(crate) use protocol::Bed;
use protocol::Parked;

struct Shared {
    parked: Parked,
    /// Read by the core's ring.
    ring_eventfd: OwnedFd,
    /// Read through glommio; the ring's completions write it too while the core is parked.
    sleep_eventfd: OwnedFd,
}

/// Wakes one core. Cheap to clone and to call: writes only if the core is parked.
#[derive(Clone)]
pub struct Waker(Arc<Shared>);

impl Waker {
    /// Makes the eventfds of a core. Errors: out of descriptors.
    pub fn new() -> io::Result<Waker> {
        Ok(Waker(Arc::new(Shared {
            parked: Parked::new(),
            ring_eventfd: eventfd()?,
            sleep_eventfd: eventfd()?,
        })))
    }

    /// Wakes the core if it is parked or about to park. Call after publishing the work.
    pub fn wake(&self) {
        // Write fails only when the counter is full, and then the sleeper is awake anyway.
        match self.0.parked.take_wake() {
            None => {}
            Some(Bed::Ring) => write_one(&self.0.ring_eventfd),
            Some(Bed::Executor) => write_one(&self.0.sleep_eventfd),
        }
    }

    pub(crate) fn parked(&self) -> &Parked {
        &self.0.parked
    }

    /// The eventfd that a ring reads.
    pub(crate) fn ring_eventfd(&self) -> RawFd {
        self.0.ring_eventfd.as_raw_fd()
    }
}

fn write_one(eventfd: &OwnedFd) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: the descriptor is open; eight readable bytes. (Also safe in a signal handler.)
    unsafe {
        libc::write(eventfd.as_raw_fd(), one.as_ptr().cast(), one.len());
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // Blocking, so that a read in a ring waits.
    // SAFETY: no pointers are passed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Parks the executor it was made in, which drives a socket ring.
pub struct Parker {
    sleep: Sleep,
}

/// A waker's eventfd read through glommio.
struct Sleep {
    /// A view of the eventfd, which would close it; hence never dropped.
    file: ManuallyDrop<BufferedFile>,
    waker: Waker,
}

impl Sleep {
    fn new(waker: &Waker) -> Sleep {
        let waker = waker.clone();
        // SAFETY: the descriptor is open as long as `waker` beside it, and ManuallyDrop keeps the file from closing
        // what it does not own.
        let file = unsafe { BufferedFile::from_raw_fd(waker.0.sleep_eventfd.as_raw_fd()) };
        Sleep { file: ManuallyDrop::new(file), waker }
    }

    fn parked(&self) -> &Parked {
        self.waker.parked()
    }

    async fn read(&self) -> io::Result<()> {
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
}

impl Parker {
    /// Must be called inside the core's executor (panics elsewhere), once per ring, which then also listens to
    /// `waker`. Errors: the ring has a parker already.
    pub fn new(ring: &mut Ring, waker: &Waker) -> io::Result<Parker> {
        ring.register_eventfd(waker.0.sleep_eventfd.as_raw_fd())?;
        ring.set_waker(waker);
        Ok(Parker { sleep: Sleep::new(waker) })
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
        self.sleep.parked().prepare(Bed::Executor);
        let sleep = !ring.has_work() && !has_work(ring);
        if !sleep {
            self.finish(ring);
        }
        sleep
    }

    /// The sleeping step. Only after `prepare` said true.
    pub async fn sleep(&self) -> io::Result<()> {
        self.sleep.read().await
    }

    /// The last step.
    pub fn finish(&self, ring: &mut Ring) {
        self.sleep.parked().finish();
        ring.disable_wakes();
    }
}

/// Parks an executor that has no socket ring: the waker's eventfd is read through glommio itself.
pub struct PlainParker {
    sleep: Sleep,
}

impl PlainParker {
    /// Must be called inside the executor (panics elsewhere), once per waker.
    pub fn new(waker: &Waker) -> PlainParker {
        PlainParker { sleep: Sleep::new(waker) }
    }

    /// Sleeps until a [`Waker::wake`], unless `has_work` says that there is work. May return without cause.
    pub async fn park(&self, has_work: impl FnOnce() -> bool) -> io::Result<()> {
        self.sleep.parked().prepare(Bed::Executor);
        let slept = if has_work() { Ok(()) } else { self.sleep.read().await };
        self.sleep.parked().finish();
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
                let parker = PlainParker::new(&their_waker);
                let mut last = 0;
                while last < MESSAGES {
                    parker.park(|| their_sent.load(Ordering::Relaxed) > last).await.unwrap();
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
