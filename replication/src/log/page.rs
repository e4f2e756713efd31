//! The memory of a block: 64 KiB on a page boundary, written and read at the same time, but never the same byte.
//!
//! Page-aligned so that a registered or zero-copy send pins whole pages of the log and nothing else. Who may touch
//! which byte when is the business of [`chain`](super::chain).

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

pub(in crate::log) const PAGE_BYTES: usize = 64 * 1024;

const LAYOUT: Layout = match Layout::from_size_align(PAGE_BYTES, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

pub(in crate::log) struct Page(NonNull<u8>);

// SAFETY: owns its memory like a Box; every access through `&Page` is an unsafe call whose caller keeps readers and
// the writer apart.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    pub(in crate::log) fn new() -> Page {
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(LAYOUT) };
        Page(NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(LAYOUT)))
    }

    /// Writes `bytes` from `at` on. Panics if they do not fit.
    ///
    /// # Safety
    ///
    /// Nobody else reads or writes these bytes meanwhile.
    pub(in crate::log) unsafe fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at <= PAGE_BYTES && bytes.len() <= PAGE_BYTES - at, "writing behind the page");
        // SAFETY: within the allocation, as just checked; that no reference to this part exists is the caller's
        // word, hence `bytes` does not overlap it either.
        unsafe { self.0.add(at).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) }
    }

    /// The bytes from `from` to `to`. Panics if that is no range of the page.
    ///
    /// # Safety
    ///
    /// They have been written, in the caller's view, and are not written again while the page lives.
    pub(in crate::log) unsafe fn slice(&self, from: usize, to: usize) -> &[u8] {
        assert!(from <= to && to <= PAGE_BYTES, "reading behind the page");
        // SAFETY: within the allocation, as just checked; initialised and not written again by the caller's word.
        unsafe { std::slice::from_raw_parts(self.0.add(from).as_ptr(), to - from) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and nobody holds a part of it longer than a borrow of us.
        unsafe { dealloc(self.0.as_ptr(), LAYOUT) }
    }
}
