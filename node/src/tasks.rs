//! Tasks of a core: commands that need other cores or time, as futures polled by the core's loop.
//!
//! A task reaches its core through a [`CoreHandle`], which it borrows between awaits, never across one. Calls to
//! other cores ([`on_core`], [`on_cores`]) are messages; their futures are ready when the answer came.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::{join_all, poll_fn};
use futures_util::stream::{FuturesUnordered, Stream};

use crate::core::Core;
use crate::message::{Job, Message};

/// The core a task runs on.
pub type CoreHandle = Rc<RefCell<Core>>;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of one core.
pub struct Tasks {
    running: FuturesUnordered<Task>,
    waker: Waker,
    woken: Arc<LoopWaker>,
}

/// Wakes the core's loop, which polls its tasks every round.
struct LoopWaker {
    core: ringfort_net::Waker,
    /// Since the last poll. The core's waker does nothing for a core that is awake, which must not go to sleep then.
    woken: AtomicBool,
}

impl Wake for LoopWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Release);
        self.core.wake();
    }
}

impl Tasks {
    pub fn new(waker: ringfort_net::Waker) -> Self {
        let woken = Arc::new(LoopWaker { core: waker, woken: AtomicBool::new(false) });
        Tasks { running: FuturesUnordered::new(), waker: Arc::clone(&woken).into(), woken }
    }

    /// Whether a task was woken that was not polled since.
    #[inline]
    pub fn are_woken(&self) -> bool {
        !self.is_empty() && self.woken.woken.load(Acquire)
    }

    pub fn push(&mut self, task: Task) {
        self.running.push(task);
    }

    /// Polls what can go on; returns whether a task ended.
    pub fn poll(&mut self) -> bool {
        let mut ended = false;
        self.woken.woken.store(false, Relaxed);
        let mut context = Context::from_waker(&self.waker);
        while let Poll::Ready(Some(())) = Pin::new(&mut self.running).poll_next(&mut context) {
            ended = true;
        }
        ended
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

/// Calls to other cores that have not been answered.
#[derive(Default)]
pub struct Calls {
    next: u64,
    waiting: HashMap<u64, Rc<RefCell<Call>>>,
}

#[derive(Default)]
struct Call {
    result: Option<Box<dyn Any + Send>>,
    waker: Option<Waker>,
}

/// The answer to a call; see [`on_core`].
pub struct Answer(Rc<RefCell<Call>>);

impl Calls {
    fn start(&mut self) -> (u64, Answer) {
        self.next += 1;
        let call = Rc::<RefCell<Call>>::default();
        self.waiting.insert(self.next, Rc::clone(&call));
        (self.next, Answer(call))
    }

    /// The result of call `number` arrived.
    pub fn finish(&mut self, number: u64, result: Box<dyn Any + Send>) {
        if let Some(call) = self.waiting.remove(&number) {
            let mut call = call.borrow_mut();
            call.result = Some(result);
            if let Some(waker) = call.waker.take() {
                waker.wake();
            }
        }
    }

    /// Nobody waits for call `number` any more.
    pub fn forget(&mut self, number: u64) {
        self.waiting.remove(&number);
    }

    /// A number that will be finished by somebody's message, and the future that waits for it.
    pub fn expect(&mut self) -> (u64, Answer) {
        self.start()
    }
}

impl Future for Answer {
    type Output = Box<dyn Any + Send>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut call = self.0.borrow_mut();
        match call.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                call.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Core {
    /// Finishes call `number` after some milliseconds, if nothing else does before.
    pub fn finish_later(&self, number: u64, after_ms: u64) {
        let core = self.handle.clone();
        let waker = self.mailbox.waker().clone();
        glommio::spawn_local(async move {
            glommio::timer::sleep(std::time::Duration::from_millis(after_ms)).await;
            if let Some(core) = core.upgrade() {
                core.borrow_mut().calls.finish(number, Box::new(()));
                waker.wake();
            }
        })
        .detach();
    }
}

impl Core {
    /// Finishes call `number` at a time in milliseconds since the Unix epoch, unless what this returns is dropped before.
    pub fn finish_at(&self, number: u64, wall_ms: i64) -> glommio::Task<()> {
        let core = self.handle.clone();
        let waker = self.mailbox.waker().clone();
        // Not at once: a task is polled where it is made, while the core is borrowed.
        let after_ms = (wall_ms - ringfort_net::clock::wall_clock_ms()).max(1) as u64;
        glommio::spawn_local(async move {
            glommio::timer::sleep(std::time::Duration::from_millis(after_ms)).await;
            if let Some(core) = core.upgrade() {
                core.borrow_mut().calls.finish(number, Box::new(()));
                waker.wake();
            }
        })
    }
}

/// Lets the core's loop have a round.
pub async fn next_round() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits for some milliseconds.
pub async fn sleep_ms(core: &CoreHandle, ms: u64) {
    let answer = {
        let mut core = core.borrow_mut();
        let (number, answer) = core.calls.expect();
        core.finish_later(number, ms);
        answer
    };
    answer.await;
}

/// Runs `job` on core `to` and returns its result. On this core it runs at once.
pub async fn on_core<R: Send + 'static>(
    core: &CoreHandle,
    to: usize,
    job: impl FnOnce(&mut Core) -> R + Send + 'static,
) -> R {
    let answer = {
        let mut core = core.borrow_mut();
        if core.id == to {
            return job(&mut core);
        }
        let (number, answer) = core.calls.start();
        let job: Job = Box::new(move |core| Box::new(job(core)));
        core.send(to, Message::Job(number, job));
        answer
    };
    *answer.await.downcast().expect("a call's result has the type of its job")
}

/// Runs `job` on each of `cores` at the same time; the results are in their order.
pub async fn on_cores<R: Send + 'static>(
    core: &CoreHandle,
    cores: impl IntoIterator<Item = usize>,
    job: impl Fn(&mut Core) -> R + Send + Clone + 'static,
) -> Vec<R> {
    join_all(cores.into_iter().map(|to| on_core(core, to, job.clone()))).await
}

/// [`on_cores`] for every core of the node.
pub async fn on_all_cores<R: Send + 'static>(
    core: &CoreHandle,
    job: impl Fn(&mut Core) -> R + Send + Clone + 'static,
) -> Vec<R> {
    let cores = core.borrow().cores;
    on_cores(core, 0..cores, job).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task that asked for another round slept until something else woke the core: loading a file on an idle node took
    /// ten times as long as reading it.
    #[test]
    fn a_core_with_a_task_that_asked_for_another_round_does_not_sleep() {
        let mut tasks = Tasks::new(ringfort_net::Waker::new().unwrap());
        assert!(!tasks.are_woken());
        tasks.push(Box::pin(async {
            next_round().await;
            next_round().await;
        }));
        for _ in 0..2 {
            assert!(!tasks.poll());
            assert!(tasks.are_woken());
        }
        assert!(tasks.poll() && tasks.is_empty());
        assert!(!tasks.are_woken(), "there is nothing to poll");
    }
}
