//! The memory of a block: 64 KiB on a page boundary, written and read at the same time, but never the same byte.
//!
//! Page-aligned so that a registered or zero-copy send pins whole pages of the log and nothing else. Who may touch
//! which byte when is the business of [`chain`](super::chain).
//!
//! The memory is the log's own, in small pages of the system: a log grows while clients wait, and the first touch of a
//! huge page clears 2 MiB at once, where small ones cost the same bit by bit. It is mapped in large regions, because
//! a mapping waits for whoever looks at the process's memory map, for tens of milliseconds where that is large. The
//! allocator does not see it; the log counts its blocks.

use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

pub(in crate::log) const PAGE_BYTES: usize = 64 * 1024;

/// What is mapped at once, and never unmapped: address space, no memory before it is touched.
const REGION_BYTES: usize = 64 << 20;

/// Unused pages that keep their memory, 8 MiB: a log that gets shorter and longer by so much, as replicas fall behind and
/// catch up, asks the system for nothing.
const WARM_MAX: usize = 128;

/// Where a page lies.
#[derive(Clone, Copy)]
struct Place {
    region: &'static MmapRaw,
    offset: usize,
}

/// Pages without a user, of all logs of the process.
struct Unused {
    warm: Vec<Place>,
    /// Their memory was given back.
    cold: Vec<Place>,
    /// Where the last region's pages begin that nobody had yet.
    fresh: Option<Place>,
}

static UNUSED: Mutex<Unused> =
    Mutex::new(Unused { warm: Vec::new(), cold: Vec::new(), fresh: None });

fn unused() -> MutexGuard<'static, Unused> {
    UNUSED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Unused {
    fn take(&mut self) -> Place {
        self.warm.pop().or_else(|| self.cold.pop()).unwrap_or_else(|| self.take_fresh())
    }

    fn take_fresh(&mut self) -> Place {
        let place = self.fresh.take().unwrap_or_else(|| Place { region: map_region(), offset: 0 });
        let next = place.offset + PAGE_BYTES;
        self.fresh = (next < REGION_BYTES).then_some(Place { offset: next, ..place });
        place
    }
}

/// Panics if the system has none left.
fn map_region() -> &'static MmapRaw {
    let region = MmapOptions::new().len(REGION_BYTES).map_anon().expect("memory for the log");
    // A kernel that knows no huge pages refuses, which is as well.
    let _ = region.advise(Advice::NoHugePage);
    Box::leak(Box::new(region.into()))
}

pub(in crate::log) struct Page(Place);

impl Page {
    pub(in crate::log) fn new() -> Page {
        Page(unused().take())
    }

    fn start(&self) -> NonNull<u8> {
        let region = NonNull::new(self.0.region.as_mut_ptr()).expect("no mapping lies at zero");
        // SAFETY: a page lies within its region.
        unsafe { region.add(self.0.offset) }
    }

    /// Writes `bytes` from `at` on. Panics if they do not fit.
    ///
    /// # Safety
    ///
    /// Nobody else reads or writes these bytes meanwhile.
    pub(in crate::log) unsafe fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at <= PAGE_BYTES && bytes.len() <= PAGE_BYTES - at, "writing behind the page");
        let from = NonNull::from(bytes).cast();
        // SAFETY: within the page, as just checked, which is ours alone; that no reference to this part exists is the
        // caller's word, hence `bytes` does not overlap it either.
        unsafe { self.start().add(at).copy_from_nonoverlapping(from, bytes.len()) }
    }

    /// The bytes from `from` to `to`. Panics if that is no range of the page.
    ///
    /// # Safety
    ///
    /// They have been written, in the caller's view, and are not written again while the page lives.
    pub(in crate::log) unsafe fn slice(&self, from: usize, to: usize) -> &[u8] {
        assert!(from <= to && to <= PAGE_BYTES, "reading behind the page");
        // SAFETY: within the page, as just checked; initialised and not written again by the caller's word.
        unsafe { std::slice::from_raw_parts(self.start().add(from).as_ptr(), to - from) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let place = self.0;
        let mut unused = unused();
        if unused.warm.len() < WARM_MAX {
            unused.warm.push(place);
            return;
        }
        drop(unused);
        let Place { region, offset } = place;
        // SAFETY: nobody holds a part of the page longer than a borrow of us, and its next user writes before reading.
        // If it fails, the memory stays, for the next user.
        let _ =
            unsafe { region.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, PAGE_BYTES) };
        self::unused().cold.push(place);
    }
}
