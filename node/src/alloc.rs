//! The allocator: mimalloc, with the bytes in use counted per thread.
//!
//! `maxmemory` and INFO want the node's memory often and exactly; a thread-local counter costs about a
//! nanosecond an allocation. A block freed by another thread than the one that made it counts negative there:
//! only the sum over all threads means something.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// See the file head.
pub struct Counting;

#[inline]
fn count(bytes: isize) {
    // A thread that is going down has no counter left; what it frees then is lost to the sum.
    let _ = BYTES.try_with(|counter| counter.set(counter.get() + bytes));
}

// SAFETY: every call goes to mimalloc with the arguments unchanged; counting touches no memory it manages.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is mimalloc's.
        unsafe { mimalloc::MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is mimalloc's.
        unsafe { mimalloc::MiMalloc.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is mimalloc's.
        unsafe { mimalloc::MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise is mimalloc's.
        unsafe { mimalloc::MiMalloc.realloc(block, layout, size) }
    }
}

/// Gives pages that this thread's heap does not use back to the system.
pub fn give_back() {
    // SAFETY: mi_collect takes a flag and works on the calling thread's heap; no block in use moves.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Bytes this thread allocated less those it freed.
#[inline]
pub fn thread_bytes() -> isize {
    BYTES.with(Cell::get)
}
