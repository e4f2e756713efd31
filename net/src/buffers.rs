//! The provided-buffer ring: receive buffers that belong to the core, not to a connection.
//!
//! The kernel takes a buffer from the ring when bytes arrive and names it in the completion; the loop reads it
//! and gives it back. So an idle connection holds no receive memory. A [`ReceiveBuffer`] is the proof that a
//! buffer is in user hands: it derefs to the bytes and gives the buffer back when dropped.
//!
//! One thread owns all of it. Given-back buffers become visible to the kernel at [`BufferRing::publish`], once
//! per round.
//!
//! The layout is io_uring_register_buf_ring(3): a page-aligned array of 16-byte entries (address, length, buffer
//! id) whose first entry's reserved field is the ring's tail.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::BufRingEntry;

const PAGE_BYTES: usize = 4096;

/// The buffer group id; a ring has one group.
pub(crate) const GROUP: u16 = 0;

/// The memory of the ring and of its buffers.
pub(crate) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    entries_layout: Layout,
    memory: NonNull<u8>,
    memory_layout: Layout,
    buffers: u16,
    buffer_bytes: u32,
    /// Tail including buffers that were given back but are not published yet.
    tail: Cell<u16>,
    /// Buffers in user hands.
    held: Cell<u16>,
}

impl BufferRing {
    /// Allocates `buffers` (a power of two, at most 32,768) of `buffer_bytes` each and offers them to the ring.
    ///
    /// All of it is resident from the start.
    pub(crate) fn register(
        submitter: &Submitter<'_>,
        buffers: u16,
        buffer_bytes: u32,
    ) -> io::Result<Rc<BufferRing>> {
        assert!(
            buffers.is_power_of_two() && buffers <= 1 << 15,
            "buffers must be a power of two up to 32768"
        );
        assert!(buffer_bytes > 0, "a buffer holds at least one byte");
        let entries_layout =
            Layout::from_size_align(usize::from(buffers) * size_of::<BufRingEntry>(), PAGE_BYTES)
                .expect("at most 512 KiB of entries");
        let memory_layout =
            Layout::from_size_align(usize::from(buffers) * buffer_bytes as usize, PAGE_BYTES)
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // SAFETY: both layouts have a size above zero (asserted above).
        let (entries, memory) =
            unsafe { (alloc_zeroed(entries_layout), alloc_zeroed(memory_layout)) };
        let (Some(entries), Some(memory)) = (NonNull::new(entries), NonNull::new(memory)) else {
            handle_alloc_error(memory_layout)
        };
        // The kernel goes through all buffers in turn, so each page will be used: have them now, rather than as
        // page faults of the first requests.
        for page in (0..memory_layout.size()).step_by(PAGE_BYTES) {
            // Volatile, or the compiler makes one zeroed allocation of it that touches nothing.
            // SAFETY: the byte is inside our block, which nobody else knows yet.
            unsafe { memory.add(page).write_volatile(0) };
        }
        let ring = BufferRing {
            entries: entries.cast(),
            entries_layout,
            memory,
            memory_layout,
            buffers,
            buffer_bytes,
            tail: Cell::new(0),
            held: Cell::new(buffers),
        };
        for id in 0..buffers {
            ring.give_back(id);
        }
        ring.publish();
        // SAFETY: the entries are page-aligned, `buffers` long, and live as long as `BufferRing`, which the socket
        // ring frees only after no operation is in flight and its file is closed (Ring::drop).
        unsafe {
            submitter.register_buf_ring_with_flags(
                ring.entries.as_ptr() as u64,
                buffers,
                GROUP,
                0,
            )?;
        }
        Ok(Rc::new(ring))
    }

    /// Makes buffers given back since the last call available to the kernel.
    pub(crate) fn publish(&self) {
        // SAFETY: the tail lives in the first entry of our allocation, is 2-byte aligned, and apart from this
        // store is only read (by the kernel); AtomicU16 has the layout of u16.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail.get(), Ordering::Release);
    }

    /// True while at least one buffer is in the kernel's hands or on the way back to it.
    pub(crate) fn has_free(&self) -> bool {
        self.held.get() < self.buffers
    }

    /// Takes over buffer `id`, of which the kernel filled `bytes`.
    ///
    /// Panics if the kernel names a buffer or length that it was never given.
    pub(crate) fn take(self: &Rc<Self>, id: u16, bytes: usize) -> ReceiveBuffer {
        assert!(id < self.buffers && bytes <= self.buffer_bytes as usize);
        self.held.set(self.held.get() + 1);
        ReceiveBuffer { ring: Rc::clone(self), id, bytes: bytes as u32 }
    }

    fn buffer(&self, id: u16) -> *mut u8 {
        // SAFETY: id < buffers (checked in `take`, iterated in `register`), so the offset is inside the allocation.
        unsafe { self.memory.as_ptr().add(usize::from(id) * self.buffer_bytes as usize) }
    }

    fn give_back(&self, id: u16) {
        let tail = self.tail.get();
        let at = usize::from(tail & (self.buffers - 1));
        // SAFETY: `at` < buffers. At most `buffers` entries lie between the kernel's head and our tail because each
        // id is given back once per take; so this entry is not the kernel's until the tail passes it. The fields
        // are written one by one: the first entry's reserved field is the ring's tail and must be left alone.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(at);
            entry.set_addr(self.buffer(id) as u64);
            entry.set_len(self.buffer_bytes);
            entry.set_bid(id);
        }
        self.tail.set(tail.wrapping_add(1));
        self.held.set(self.held.get() - 1);
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with these layouts. The last owner is gone: no ReceiveBuffer is alive, and
        // Ring::drop lets go of its share only when the kernel has no operation left that could write here.
        unsafe {
            dealloc(self.entries.as_ptr().cast(), self.entries_layout);
            dealloc(self.memory.as_ptr(), self.memory_layout);
        }
    }
}

/// Received bytes, lent by the core's buffer ring. Dropping it gives the buffer back: do so within the round,
/// because the kernel receives nothing once all buffers are held.
pub struct ReceiveBuffer {
    ring: Rc<BufferRing>,
    id: u16,
    bytes: u32,
}

impl Deref for ReceiveBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: from `take` to `drop` this id belongs to us alone: the kernel writes to a buffer only between our
        // offering it in the ring and its completion, and one completion makes one ReceiveBuffer. `bytes` is at
        // most the buffer's length (checked in `take`) and the memory was zeroed once, so it is initialised.
        unsafe { std::slice::from_raw_parts(self.ring.buffer(self.id), self.bytes as usize) }
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        self.ring.give_back(self.id);
    }
}

impl std::fmt::Debug for ReceiveBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReceiveBuffer({}, {} bytes)", self.id, self.bytes)
    }
}
