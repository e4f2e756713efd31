//! The chain under loom: all interleavings of a writer that commits pieces across blocks and readers that follow.
//!
//! Every byte is tracked: reading one that is not yet, or not visibly, written fails the model, and so does writing
//! one that somebody may read.

mod sync {
    use loom::cell::UnsafeCell;
    use std::cell::Cell;

    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};

    /// Blocks are small, so that few bytes cross them.
    pub(super) const PAGE_BYTES: usize = 2;

    /// As the real one, but says of every access to loom what it is.
    pub(super) struct Page {
        tracked: [UnsafeCell<()>; PAGE_BYTES],
        bytes: [Cell<u8>; PAGE_BYTES],
    }

    // SAFETY: loom runs its threads one at a time, and fails where `tracked` is accessed without order.
    unsafe impl Send for Page {}
    // SAFETY: as above.
    unsafe impl Sync for Page {}

    impl Page {
        pub(super) fn new() -> Page {
            Page { tracked: Default::default(), bytes: Default::default() }
        }

        pub(super) unsafe fn write(&self, at: usize, bytes: &[u8]) {
            for (at, byte) in (at..).zip(bytes) {
                self.tracked[at].with_mut(|_| self.bytes[at].set(*byte));
            }
        }

        pub(super) unsafe fn slice(&self, from: usize, to: usize) -> &[u8] {
            self.tracked[from..to].iter().for_each(|byte| byte.with(|_| ()));
            let start = self.bytes[from..to].as_ptr();
            // SAFETY: cells of bytes lie as the bytes do; written before and not again, as loom has just checked.
            unsafe { std::slice::from_raw_parts(start.cast(), to - from) }
        }
    }
}
#[path = "chain.rs"]
mod chain;

use chain::Chain;
use loom::sync::{Arc, Mutex};
use loom::thread;

/// Reads what there is now. Returns the number of bytes, after checking that they count up from where it stood.
fn follow(reader: &mut chain::Reader) -> usize {
    let mut count = 0;
    loop {
        let before = reader.offset();
        let Some(slice) = reader.read(usize::MAX) else { return count };
        for (number, byte) in (before + 1..).zip(slice.as_ref()) {
            assert_eq!(u64::from(*byte), number, "bytes out of place");
        }
        count += slice.as_ref().len();
    }
}

#[test]
fn readers_see_whole_pieces_in_order() {
    loom::model(|| {
        let mut chain = Chain::new(0, Default::default());
        // How often each looks: more looks make the model slow, and show nothing new.
        let readers = [2, 1].map(|looks| {
            let mut reader = chain.reader_at(0).unwrap();
            thread::spawn(move || {
                for _ in 0..looks {
                    follow(&mut reader);
                    let seen = reader.offset();
                    assert!([0, 1, 5].contains(&seen), "half a piece was seen: {seen}");
                }
            })
        });
        chain.write(&[1]);
        chain.commit();
        // Over three blocks, in two goes, and forgotten once.
        chain.write(&[9, 9, 9]);
        chain.abandon();
        chain.write(&[2, 3]);
        chain.write(&[4, 5]);
        assert_eq!(chain.commit(), 5);
        drop(chain.trim(0));
        drop(chain);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn writers_behind_a_lock_and_a_reader_agree() {
    loom::model(|| {
        let chain = Chain::new(0, Default::default());
        let mut reader = chain.reader_at(0).unwrap();
        let chain = Arc::new(Mutex::new(chain));
        let writers: Vec<_> = (0..2)
            .map(|_| {
                let chain = chain.clone();
                thread::spawn(move || {
                    let mut chain = chain.lock().unwrap();
                    let from = chain.commit() as u8;
                    chain.write(&[from + 1, from + 2, from + 3]);
                    chain.commit();
                })
            })
            .collect();
        let seen = follow(&mut reader);
        assert!(seen % 3 == 0, "half a piece was seen: {seen}");
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        follow(&mut reader);
        assert_eq!(reader.offset(), 6);
    });
}
