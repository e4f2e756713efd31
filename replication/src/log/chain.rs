//! The chain of blocks: one writer, any number of readers, and the committed end between them.
//!
//! The rule that everything here keeps: **a byte is written only at or past the committed end, and read only before
//! it; the end never goes back.** There is one [`Chain`] and it writes through `&mut`, so writes have an order. It
//! stores the end with Release after the bytes (and the links to their blocks) are in place, and a [`Reader`] loads
//! it with Acquire before it looks at any. Bytes once committed are never written again.
//!
//! Built twice: with std's atomics and real pages for use, and with loom's atomics and tracked bytes in `model`.
//! (`Arc` and `OnceLock` are std's in both: what they promise needs no model.)

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64 as Counter;
use std::sync::{Arc, OnceLock};

use super::sync::{AtomicU64, Ordering, PAGE_BYTES, Page};

const BLOCK_BYTES: u64 = PAGE_BYTES as u64;

/// Freeing a block costs some microseconds.
const TRIM_BLOCKS_MAX: usize = 64;

struct Block {
    /// Offset of the stream before the first byte.
    start: u64,
    page: Page,
    /// Set before the committed end passes this block's.
    next: OnceLock<Arc<Block>>,
    /// Bytes of all blocks alive.
    memory: Arc<Counter>,
}

impl Block {
    fn new(start: u64, memory: &Arc<Counter>) -> Arc<Block> {
        memory.fetch_add(BLOCK_BYTES, Ordering::Relaxed);
        let memory = memory.clone();
        Arc::new(Block { start, page: Page::new(), next: OnceLock::new(), memory })
    }

    fn end(&self) -> u64 {
        self.start + BLOCK_BYTES
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.memory.fetch_sub(BLOCK_BYTES, Ordering::Relaxed);
        // A slow reader may hold thousands of blocks by their first: one after the other here, where each drop
        // inside the next would overflow the stack.
        let mut next = self.next.take();
        while let Some(mut block) = next.and_then(Arc::into_inner) {
            next = block.next.take();
        }
    }
}

/// The writer's end.
pub(super) struct Chain {
    committed: Arc<AtomicU64>,
    /// At or past the committed end; what lies between is the piece being written.
    written: u64,
    /// Never empty; each starts where the one before ends, and is its `next`. The last may be past the committed
    /// end.
    blocks: VecDeque<Arc<Block>>,
    memory: Arc<Counter>,
}

impl Chain {
    pub(super) fn new(offset: u64, memory: Arc<Counter>) -> Chain {
        Chain {
            committed: Arc::new(AtomicU64::new(offset)),
            written: offset,
            blocks: VecDeque::from([Block::new(offset, &memory)]),
            memory,
        }
    }

    fn end(&self) -> u64 {
        // Only we store it.
        self.committed.load(Ordering::Relaxed)
    }

    pub(super) fn first(&self) -> u64 {
        self.blocks[0].start
    }

    /// Writes behind what was written, seen by nobody before [`Chain::commit`].
    pub(super) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let at = self.written - self.first();
            let (number, at) = ((at / BLOCK_BYTES) as usize, (at % BLOCK_BYTES) as usize);
            if number == self.blocks.len() {
                self.grow();
            }
            let (now, later) = bytes.split_at(bytes.len().min(PAGE_BYTES - at));
            // SAFETY: `written` is at or past the committed end, which only this chain moves, and we have it
            // exclusively: readers stay before it, no other writer exists.
            unsafe { self.blocks[number].page.write(at, now) };
            self.written += now.len() as u64;
            bytes = later;
        }
    }

    fn grow(&mut self) {
        let last = self.blocks.back().expect("a chain has a block");
        let block = Block::new(last.end(), &self.memory);
        if last.next.set(block.clone()).is_err() {
            unreachable!("the last block has no next");
        }
        self.blocks.push_back(block);
    }

    /// Shows everybody what was written, all at once. Returns the new end.
    pub(super) fn commit(&mut self) -> u64 {
        self.committed.store(self.written, Ordering::Release);
        self.written
    }

    /// Forgets what was written since the last commit.
    pub(super) fn abandon(&mut self) {
        self.written = self.end();
    }

    /// Lets go of blocks that end more than `keep` bytes before the committed end, and returns them: at most
    /// [`TRIM_BLOCKS_MAX`], so that who asked is not kept.
    pub(super) fn trim(&mut self, keep: u64) -> impl Sized + use<> {
        let from = self.end().saturating_sub(keep);
        let mut gone = 0;
        // The last stays even when it is full and nothing is to be kept: it leads to the next.
        while gone + 1 < self.blocks.len().min(TRIM_BLOCKS_MAX + 1)
            && self.blocks[gone + 1].start <= from
        {
            gone += 1;
        }
        self.blocks.drain(..gone).collect::<Vec<_>>()
    }

    /// `None` if `offset` is outside first..=committed end.
    pub(super) fn reader_at(&self, offset: u64) -> Option<Reader> {
        if offset < self.first() || offset > self.end() {
            return None;
        }
        // At the end of a full last block the next does not exist yet.
        let number = ((offset - self.first()) / BLOCK_BYTES) as usize;
        let block = self.blocks[number.min(self.blocks.len() - 1)].clone();
        Some(Reader { committed: self.committed.clone(), block, offset })
    }
}

/// A reader's end.
#[derive(Clone)]
pub(super) struct Reader {
    committed: Arc<AtomicU64>,
    /// Holds `offset`, or ends there.
    block: Arc<Block>,
    offset: u64,
}

impl Reader {
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next committed bytes, at most `max`, and at most to the end of the block.
    pub(super) fn read(&mut self, max: usize) -> Option<Slice> {
        let committed = self.committed.load(Ordering::Acquire);
        if committed <= self.offset || max == 0 {
            return None;
        }
        if self.offset == self.block.end() {
            let next = self.block.next.get().expect("linked before it was committed");
            self.block = next.clone();
        }
        let from = (self.offset - self.block.start) as usize;
        let to = committed.min(self.block.end()) - self.block.start;
        let to = (to as usize).min(from.saturating_add(max));
        self.offset += (to - from) as u64;
        let slice = Slice { block: self.block.clone(), from, to };
        // Done with the block, so let go of it, if there is another to wait in.
        if self.offset == self.block.end() {
            if let Some(next) = self.block.next.get() {
                self.block = next.clone();
            }
        }
        Some(slice)
    }
}

/// Committed bytes of one block, which they keep alive.
pub(super) struct Slice {
    block: Arc<Block>,
    from: usize,
    to: usize,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: a reader, the only one to make slices, saw the committed end at or past `to` with Acquire: the
        // bytes are in place and never written again.
        unsafe { self.block.page.slice(self.from, self.to) }
    }
}
