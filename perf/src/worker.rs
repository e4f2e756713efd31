//! Threads of a measurement.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::error::Failure;

/// A thread that works until it is told to stop.
pub struct Worker<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<T, Failure>>>,
}

impl<T: Send + 'static> Worker<T> {
    pub fn start(
        work: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
    ) -> Worker<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = Arc::clone(&stop);
            thread::spawn(move || work(&stop))
        };
        Worker { stop, thread: Some(thread) }
    }

    pub fn finish(mut self) -> Result<T, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().map(JoinHandle::join);
        match thread {
            Some(Ok(result)) => result,
            _ => Err(Failure::Setup("a thread of the measurement panicked".to_owned())),
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gives_its_result_when_it_is_stopped() {
        let worker = Worker::start(|stop| {
            while !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Ok(7)
        });
        assert_eq!(worker.finish().unwrap(), 7);
    }
}
