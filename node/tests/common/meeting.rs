//! A barrier that gives up: where one thread of a test fails, the others fail too instead of waiting
//! for it forever.

use std::sync::{Condvar, Mutex};

use super::node::DEADLINE;

pub struct Meeting {
    expected: usize,
    /// Who has come to this meeting, and how many meetings there were.
    state: Mutex<(usize, usize)>,
    complete: Condvar,
}

impl Meeting {
    pub fn of(expected: usize) -> Meeting {
        Meeting { expected, state: Mutex::new((0, 0)), complete: Condvar::new() }
    }

    /// Returns when all have come; panics after the deadline.
    pub fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        if state.0 == self.expected {
            *state = (0, state.1 + 1);
            self.complete.notify_all();
            return;
        }
        let held = state.1;
        let waiting = |state: &mut (usize, usize)| state.1 == held;
        let (_state, timeout) = self.complete.wait_timeout_while(state, DEADLINE, waiting).unwrap();
        assert!(!timeout.timed_out(), "another thread of the test did not come");
    }
}
