//! Large values that nobody can reach any more, freed bit by bit.
//!
//! Whatever ends a value's life (DEL, expiry, eviction, a SET over it, a FLUSHALL) drops its entry, which leaves a
//! large collection here instead of freeing a million elements at once; so does a snapshot that has written one. One heap of garbage a thread, so one a core:
//! the core's loop frees some of it each round ([`free_some`]) for as long as there is any.

use std::cell::RefCell;

/// What is freed bit by bit.
pub trait DropSome {
    /// Frees about `budget` allocations; `false` once nothing is left. Nobody may look at the value any more.
    fn drop_some(&mut self, budget: usize) -> bool;
}

impl<T: DropSome + ?Sized> DropSome for Box<T> {
    fn drop_some(&mut self, budget: usize) -> bool {
        (**self).drop_some(budget)
    }
}

thread_local! {
    static GARBAGE: RefCell<Vec<Box<dyn DropSome>>> = const { RefCell::new(Vec::new()) };
}

/// Allocations that are freed at once rather than kept for later.
const AT_ONCE: usize = 64;

/// Takes a value that nobody uses any more.
pub fn discard(mut value: impl DropSome + 'static) {
    if value.drop_some(AT_ONCE) {
        // A thread that is ending frees all of it.
        let _ = GARBAGE.try_with(|garbage| garbage.borrow_mut().push(Box::new(value)));
    }
}

/// Values of this thread that are not freed yet.
pub fn pending() -> usize {
    GARBAGE.with_borrow(Vec::len)
}

/// Frees about `budget` allocations of this thread's garbage. Returns whether anything is left.
pub fn free_some(budget: usize) -> bool {
    GARBAGE.with_borrow_mut(|garbage| {
        if garbage.last_mut().is_some_and(|value| !value.drop_some(budget)) {
            garbage.pop();
        }
        !garbage.is_empty()
    })
}
