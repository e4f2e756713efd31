//! The parking protocol under loom: all interleavings and reorderings of one sleeper and its wakers.

mod sync {
    pub(super) use loom::sync::atomic::{AtomicU8, Ordering, fence};
}
#[path = "protocol.rs"]
mod protocol;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use protocol::{Bed, Parked};

#[test]
fn sleeper_sees_every_message_or_is_woken() {
    check(1);
    check(2);
}

fn check(wakers: usize) {
    loom::model(move || {
        let parked = Arc::new(Parked::new());
        // Stands for the mailbox: the sleeper may miss what was published unless the protocol orders it.
        let mail = Arc::new(AtomicUsize::new(0));
        let eventfd = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..wakers)
            .map(|_| {
                let (parked, mail, eventfd) = (parked.clone(), mail.clone(), eventfd.clone());
                loom::thread::spawn(move || {
                    mail.fetch_add(1, Ordering::Release);
                    if parked.take_wake() == Some(Bed::Executor) {
                        eventfd.fetch_add(1, Ordering::Release);
                    }
                })
            })
            .collect();
        parked.prepare(Bed::Executor);
        let seen = mail.load(Ordering::Acquire);
        for thread in threads {
            thread.join().unwrap();
        }
        // Whoever was not seen must have written the eventfd, else we would sleep on it for ever.
        let woken = eventfd.load(Ordering::Acquire) > 0;
        assert!(seen == wakers || woken, "a wake-up was lost");
        parked.finish();
    });
}
