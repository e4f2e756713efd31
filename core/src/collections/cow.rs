//! A value that several hold and that is copied when one of them changes it: copy on write.
//!
//! It is what large collections are made of that can be cloned in little time: the clone holds the same parts, and
//! whichever side writes first to a part copies that part and no other. Where nobody else holds a part, a write costs
//! one plain load more than it would without.
//!
//! Whoever owns a `CopyOnWrite` changes the value through `&mut`; the other holds may be on other threads. Deliberately
//! absent: weak references, and any way to reach the `Arc`: without them a count of one means that nobody else can come
//! to the value.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// One hold of a value. Cloning gives another hold of the same value.
pub struct CopyOnWrite<T>(Arc<T>);

impl<T> CopyOnWrite<T> {
    pub fn new(value: T) -> Self {
        CopyOnWrite(Arc::new(value))
    }

    /// The value, to be changed for this hold alone. Cost: one clone of it where others hold it too.
    #[inline]
    pub fn to_mut(&mut self) -> &mut T
    where
        T: Clone,
    {
        // `Arc::make_mut` would do, but it locks out weak references by two locked instructions for each call.
        if Arc::strong_count(&self.0) != 1 {
            self.copy();
        }
        // What others did with the value before they let go of it comes before what is done now.
        fence(Ordering::Acquire);
        // SAFETY: This is the only hold: the count was one, or the `Arc` is new. No other can appear meanwhile, for one
        // is made only from a hold, and this one is borrowed mutably for as long as the result lives. Weak references
        // do not count, but there are none: the field is private and this module makes none.
        unsafe { &mut *Arc::as_ptr(&self.0).cast_mut() }
    }

    #[cold]
    #[inline(never)]
    fn copy(&mut self)
    where
        T: Clone,
    {
        self.0 = Arc::new(T::clone(&self.0));
    }
}

impl<T> Deref for CopyOnWrite<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for CopyOnWrite<T> {
    #[inline]
    fn clone(&self) -> Self {
        CopyOnWrite(Arc::clone(&self.0))
    }
}

impl<T: Default> Default for CopyOnWrite<T> {
    fn default() -> Self {
        CopyOnWrite::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for CopyOnWrite<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    /// Counts how often it was cloned, over all its clones.
    #[derive(Debug)]
    struct Counted {
        value: u32,
        clones: Arc<AtomicUsize>,
    }

    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.clones.fetch_add(1, Ordering::Relaxed);
            Counted { value: self.value, clones: Arc::clone(&self.clones) }
        }
    }

    fn counted(value: u32) -> (CopyOnWrite<Counted>, Arc<AtomicUsize>) {
        let clones = Arc::new(AtomicUsize::new(0));
        (CopyOnWrite::new(Counted { value, clones: Arc::clone(&clones) }), clones)
    }

    #[test]
    fn a_clone_is_not_changed_by_writes_to_the_original_nor_the_other_way_round() {
        let (mut original, clones) = counted(1);
        let mut clone = original.clone();
        assert_eq!(clones.load(Ordering::Relaxed), 0);
        original.to_mut().value = 2;
        assert_eq!((original.value, clone.value, clones.load(Ordering::Relaxed)), (2, 1, 1));
        clone.to_mut().value = 3;
        assert_eq!((original.value, clone.value), (2, 3));
        // Each was the only one by then.
        original.to_mut().value = 4;
        assert_eq!((original.value, clone.value, clones.load(Ordering::Relaxed)), (4, 3, 1));
    }

    #[test]
    fn what_nobody_else_holds_is_changed_in_place() {
        let (mut only, clones) = counted(1);
        let at = &raw const only.value;
        only.to_mut().value = 2;
        drop(only.clone());
        only.to_mut().value += 1;
        assert_eq!((only.value, &raw const only.value), (3, at));
        assert_eq!(clones.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_other_hold_may_be_on_another_thread() {
        let mut original = CopyOnWrite::new(vec![1; 100]);
        for round in 2..50 {
            let clone = original.clone();
            let reader = std::thread::spawn(move || clone.iter().sum::<usize>());
            original.to_mut().fill(round);
            assert_eq!(reader.join().unwrap(), (round - 1) * 100);
        }
    }

    #[test]
    fn it_looks_like_its_value() {
        assert_eq!(format!("{:?}", CopyOnWrite::new(vec![1, 2])), "[1, 2]");
        assert_eq!(**CopyOnWrite::<String>::default(), *"");
    }
}
