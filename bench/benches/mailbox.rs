//! The mailboxes between cores: one message there and back, and batches of them, between two spinning threads.
//!
//! The floor under every command that runs on another core. Both threads look without sleeping, as busy cores do;
//! what waking a parked one costs is not measured here. Run as a test it only checks its answers.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringfort_net::{Mailbox, mesh};
use std::thread;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages that fit into a lane, as in the node.
const LANE_MESSAGES: usize = 1024;

/// Messages sent before the answers are taken.
const BATCHES: [u64; 4] = [1, 16, 100, 1000];

/// Ends the other thread.
const STOP: u64 = u64::MAX;

/// What the other thread answers.
fn answer(message: u64) -> u64 {
    message.wrapping_mul(3) + 1
}

/// Answers core 0 until it is told to stop.
fn serve(mut mailbox: Mailbox<u64>) {
    loop {
        let mut idle = true;
        while let Some((from, message)) = mailbox.receive_one() {
            if message == STOP {
                return;
            }
            mailbox.send(from, answer(message));
            idle = false;
        }
        mailbox.flush();
        if idle {
            // Two threads on one CPU would otherwise wait out each other's time slices.
            thread::yield_now();
        }
    }
}

/// Takes `count` answers to the messages from `first` on, in order.
fn take_answers(mailbox: &mut Mailbox<u64>, first: u64, count: u64) {
    let mut taken = 0;
    while taken < count {
        let received = mailbox.receive(usize::MAX, |from, message| {
            assert_eq!((from, message), (1, answer(first + taken)));
            taken += 1;
        });
        // Making room may be what the other side waits for, and the other way round.
        mailbox.flush();
        if received == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(taken, count);
}

fn there_and_back(criterion: &mut Criterion) {
    let mut mailboxes = mesh::<u64>(2, LANE_MESSAGES).expect("two eventfds");
    let other = mailboxes.pop().expect("the second of two");
    let mut mailbox = mailboxes.pop().expect("the first of two");
    let server = thread::spawn(move || serve(other));
    let mut next = 0;
    let mut group = criterion.benchmark_group("mailbox there and back");
    for count in BATCHES {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count}"), |b| {
            b.iter(|| {
                (next..next + count).for_each(|message| mailbox.send(1, message));
                mailbox.flush();
                take_answers(&mut mailbox, next, count);
                next += count;
            })
        });
    }
    group.finish();
    mailbox.send(1, STOP);
    mailbox.flush();
    server.join().expect("the other thread ends");
    assert!(!mailbox.has_work());
}

/// Sending and receiving on one thread: what the lanes themselves cost.
fn one_way(criterion: &mut Criterion) {
    let mut mailboxes = mesh::<u64>(2, LANE_MESSAGES).expect("two eventfds");
    let mut group = criterion.benchmark_group("mailbox one way");
    for count in BATCHES {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{count}"), |b| {
            b.iter(|| {
                let mut sum = 0;
                (0..count).for_each(|message| mailboxes[0].send(1, message));
                mailboxes[0].flush();
                let received = mailboxes[1].receive(usize::MAX, |_, message| sum += message);
                mailboxes[1].flush();
                assert_eq!((received as u64, sum), (count, count * (count - 1) / 2));
            })
        });
    }
}

criterion_group!(mailbox, there_and_back, one_way);
criterion_main!(mailbox);
