//! Work that blocks (resolving a name, connecting, syncing a file), done by a thread of its own and awaited on a core.
//!
//! One thread per piece of work: it is rare, and a pool could be full of work that waits. The result is handed over
//! under a lock that is held for a move.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::park::Waker;

/// The result to come. Dropping it lets the work go on, for nothing.
///
/// Polling or taking panics if the work panicked, and polling also if the result was taken.
pub struct Pending<R> {
    slot: Arc<Slot<R>>,
}

struct Slot<R> {
    state: Mutex<State<R>>,
}

enum State<R> {
    /// With who awaits it.
    Running(Option<std::task::Waker>),
    Done(R),
    Panicked,
    Taken,
}

/// Runs `work` on a new thread called `name` (of which the system shows 15 bytes; panics on a zero byte). When it is
/// done, who awaits the result is woken, and so is the core of `waker`, which may poll instead.
///
/// Errors: no thread can be made.
pub fn run<R: Send + 'static>(
    waker: &Waker,
    name: &str,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<Pending<R>> {
    let slot = Arc::new(Slot { state: Mutex::new(State::Running(None)) });
    let finish = Finish { slot: slot.clone(), core: waker.clone(), outcome: State::Panicked };
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result = work();
        finish.with(result);
    })?;
    Ok(Pending { slot })
}

impl<R> Slot<R> {
    fn state(&self) -> MutexGuard<'_, State<R>> {
        // Nothing is left half done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands the outcome over when dropped, so that a panic is an outcome too.
struct Finish<R> {
    slot: Arc<Slot<R>>,
    core: Waker,
    outcome: State<R>,
}

impl<R> Finish<R> {
    fn with(mut self, result: R) {
        self.outcome = State::Done(result);
    }
}

impl<R> Drop for Finish<R> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, State::Taken);
        let before = std::mem::replace(&mut *self.slot.state(), outcome);
        if let State::Running(Some(waiting)) = before {
            waiting.wake();
        }
        self.core.wake();
    }
}

impl<R> Pending<R> {
    /// The result if it is there and was not taken before.
    pub fn try_take(&mut self) -> Option<R> {
        let mut state = self.slot.state();
        match &*state {
            State::Running(_) | State::Taken => None,
            State::Panicked => panic!("the blocking work panicked"),
            State::Done(_) => match std::mem::replace(&mut *state, State::Taken) {
                State::Done(result) => Some(result),
                _ => unreachable!("matched above"),
            },
        }
    }
}

impl<R> Future for Pending<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        match &mut *self.slot.state() {
            State::Running(waiting) => {
                *waiting = Some(context.waker().clone());
                return Poll::Pending;
            }
            State::Taken => panic!("polled after the result was taken"),
            State::Done(_) | State::Panicked => {}
        }
        // Nobody else takes it: `self` is the only one.
        Poll::Ready(self.try_take().expect("done"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};
    use std::sync::mpsc::channel;

    #[test]
    fn result_wakes_who_awaits_it() {
        let waker = Waker::new().unwrap();
        let (go, gate) = channel::<()>();
        let executor = LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 * 1024);
        let joined = executor
            .spawn(move || async move {
                let name = || std::thread::current().name().map(str::to_owned);
                let mut pending = run(&waker, "blocked", move || {
                    gate.recv().unwrap();
                    name()
                })
                .unwrap();
                assert!(pending.try_take().is_none());
                let first = poll_once(&mut pending).await;
                assert!(first.is_none());
                go.send(()).unwrap();
                pending.await
            })
            .unwrap()
            .join();
        assert_eq!(joined.unwrap().as_deref(), Some("blocked"));
    }

    /// Registers this task, as an await does, but goes on.
    async fn poll_once<R>(pending: &mut Pending<R>) -> Option<R> {
        std::future::poll_fn(|context| match Pin::new(&mut *pending).poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[test]
    fn result_is_taken_once_by_a_core_that_was_woken_for_it() {
        let waker = Waker::new().unwrap();
        let mut ring = crate::Ring::new(crate::RingOptions::default()).unwrap();
        ring.set_waker(&waker);
        let mut pending = run(&waker, "blocked", || 7).unwrap();
        let mut taken = None;
        while taken.is_none() {
            ring.wait(u32::MAX, || {
                taken = pending.try_take();
                taken.is_some()
            })
            .unwrap();
            taken = taken.or_else(|| pending.try_take());
        }
        assert_eq!(taken, Some(7));
        assert_eq!(pending.try_take(), None);
    }

    #[test]
    fn panic_does_not_leave_the_core_waiting() {
        let waker = Waker::new().unwrap();
        let mut pending = run(&waker, "panics", || -> u32 { panic!("as the test wants") }).unwrap();
        let taken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            loop {
                if let Some(result) = pending.try_take() {
                    return result;
                }
                std::thread::yield_now();
            }
        }));
        assert!(taken.is_err());
    }
}
