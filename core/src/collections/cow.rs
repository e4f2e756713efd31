//! A value that several hold, and that is copied by whoever changes it while others do.
//!
//! It is how a clone of a large collection costs little: its parts are shared until one side changes them, and a change
//! copies the part it touches. The one who holds a value alone pays a look at the count for it, which lies in front
//! of the value.
//!
//! Deliberately absent: weak holds. So a count of one means that nobody else can get at the value.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// What is allocated in front of a value: two counts.
pub const COUNTS_BYTES: usize = 2 * size_of::<usize>();

/// See the file head.
pub struct CopyOnWrite<T: ?Sized>(Arc<T>);

impl<T: ?Sized> CopyOnWrite<T> {
    /// The value to be changed; `copy` makes one of it for this hold if there are others.
    #[inline]
    fn unique(&mut self, copy: impl FnOnce(&T) -> Arc<T>) -> &mut T {
        if Arc::strong_count(&self.0) != 1 {
            cold();
            self.0 = copy(&self.0);
        }
        // What others did before they let go of it happened before.
        fence(Ordering::Acquire);
        // SAFETY: this is the only strong hold, as the count says or because it is new, there is never a weak one since
        // the field is private, and `self` is borrowed mutably: nobody can read the value or make another hold while
        // the reference lives. (`Arc::make_mut` is the same with two locked instructions.)
        unsafe { &mut *Arc::as_ptr(&self.0).cast_mut() }
    }
}

/// Tells the compiler that a branch is seldom taken.
#[cold]
fn cold() {}

impl<T> CopyOnWrite<T> {
    #[inline]
    pub fn new(value: T) -> CopyOnWrite<T> {
        CopyOnWrite(Arc::new(value))
    }
}

impl<T: Clone> CopyOnWrite<T> {
    /// The value to be changed; a copy of it if others hold it too.
    #[inline]
    pub fn to_mut(&mut self) -> &mut T {
        self.unique(|value| Arc::new(value.clone()))
    }
}

impl<T: Clone> CopyOnWrite<[T]> {
    /// So many times the same.
    pub fn filled(item: T, len: usize) -> CopyOnWrite<[T]> {
        CopyOnWrite(std::iter::repeat_n(item, len).collect())
    }

    /// The items to be changed; copies of them if others hold them too.
    #[inline]
    pub fn to_mut(&mut self) -> &mut [T] {
        self.unique(|items| Arc::from(items))
    }
}

impl CopyOnWrite<[u8]> {
    /// The bytes of all parts.
    pub fn from_parts(parts: &[&[u8]]) -> CopyOnWrite<[u8]> {
        let mut all = CopyOnWrite::filled(0, parts.iter().map(|part| part.len()).sum());
        let mut rest = all.to_mut();
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        all
    }
}

impl<T: ?Sized> Deref for CopyOnWrite<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Another hold of the same value.
impl<T: ?Sized> Clone for CopyOnWrite<T> {
    #[inline]
    fn clone(&self) -> CopyOnWrite<T> {
        CopyOnWrite(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Default for CopyOnWrite<T>
where
    Arc<T>: Default,
{
    fn default() -> CopyOnWrite<T> {
        CopyOnWrite(Arc::default())
    }
}

impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for CopyOnWrite<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_it_alone_changes_it_in_place() {
        let mut value = CopyOnWrite::new(vec![1, 2]);
        let place = value.as_ptr();
        value.to_mut()[0] = 3;
        drop(CopyOnWrite::clone(&value));
        value.to_mut()[1] = 4;
        assert_eq!((&**value, value.as_ptr()), (&[3, 4][..], place));
    }

    #[test]
    fn another_hold_does_not_see_a_change() {
        let mut value = CopyOnWrite::new(String::from("a"));
        let other = CopyOnWrite::clone(&value);
        value.to_mut().push('b');
        assert_eq!((&**value, &**other), ("ab", "a"));
        let mut bytes = CopyOnWrite::from_parts(&[b"one", b"", b"two"]);
        let other = bytes.clone();
        bytes.to_mut()[0] = b'O';
        assert_eq!((&*bytes, &*other), (&b"Onetwo"[..], &b"onetwo"[..]));
        assert!(CopyOnWrite::<[u8]>::default().is_empty());
    }
}
