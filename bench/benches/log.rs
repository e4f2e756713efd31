//! The replication log: appending the effects of a round, alone and with another core at it, and reading.
//!
//! Measured is what every write costs once a replica follows, and whether the place in the log should be taken
//! under a lock (as it is) or by an atomic add. `reserve` is the best that the latter could be: it wraps around one
//! buffer, so it has no blocks to allocate, no SELECT to place (which would need an order before the add), and
//! nobody reads. Both copy the same bytes. Run as a test it only checks its answers.
//!
//! Two virtual cores of a machine that others were using too (thin LTO, three runs, the lowest and highest of
//! their middle estimates), November 2026, time until each writer has appended a piece of so many commands:
//!
//! | commands | lock, 1 writer | reserve, 1 writer | lock, 2 writers | reserve, 2 writers |
//! | --- | --- | --- | --- | --- |
//! | 1 | 24-35 ns | 7-11 ns | 46-86 ns | 13-126 ns |
//! | 16 | 230-358 ns | 74-124 ns | 429-1012 ns | 98-400 ns |
//! | 100 | 1.4-2.1 us | 0.5-0.7 us | 2.6-5.0 us | 0.9-2.3 us |
//!
//! So the lock is no more than some 20 ns of a piece; the rest is the copy, into blocks that are made and dropped
//! here and into one buffer that stays in the cache there. A command costs 14 to 25 ns, and two writers wait for
//! each other's copy and little else. The lock stays until a machine with many cores says otherwise. With two
//! threads on two busy cores `reserve` spreads widely: whoever waits for its turn may wait for a time slice.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringfort_replication::log::{Log, Reader};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A SET of an 11-byte key and a 32-byte value.
const COMMAND: &[u8] =
    b"*3\r\n$3\r\nSET\r\n$11\r\nkey:0000001\r\n$32\r\nvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\n";

/// Commands of a round.
const ROUNDS: [usize; 3] = [1, 16, 100];

const BACKLOG_BYTES: u64 = 1 << 20;

/// As a node does now and then, not with every append.
const APPENDS_PER_TRIM: u64 = 64;

/// What one writer does again and again.
trait Append: Send + Sync + 'static {
    fn append(&self, number: u64, commands: usize);
    fn end(&self) -> u64;
}

struct Locked(Log);

impl Locked {
    fn new() -> Locked {
        let log = Log::new();
        log.start(0);
        // Both variants write the same bytes.
        log.set_database(0);
        Locked(log)
    }
}

impl Append for Locked {
    fn append(&self, number: u64, commands: usize) {
        self.0.append_effects((0..commands).map(|_| (0, black_box(COMMAND))));
        if number % APPENDS_PER_TRIM == 0 {
            self.0.trim(BACKLOG_BYTES);
        }
    }

    fn end(&self) -> u64 {
        self.0.end()
    }
}

/// A place by an atomic add, a commit in the order of the places.
struct Reserve {
    reserved: AtomicU64,
    committed: AtomicU64,
    bytes: Box<[UnsafeCell<u8>]>,
}

// SAFETY: the places that writers take by their adds do not overlap, as long as no more than a buffer's length is
// under way, and two writers are not.
unsafe impl Sync for Reserve {}

impl Reserve {
    fn new() -> Reserve {
        let bytes = (0..BACKLOG_BYTES).map(|_| UnsafeCell::new(0)).collect();
        Reserve { reserved: AtomicU64::new(0), committed: AtomicU64::new(0), bytes }
    }
}

impl Append for Reserve {
    fn append(&self, _number: u64, commands: usize) {
        let length = (commands * COMMAND.len()) as u64;
        let start = self.reserved.fetch_add(length, Ordering::Relaxed);
        let mut at = start;
        for _ in 0..commands {
            let mut rest = black_box(COMMAND);
            while !rest.is_empty() {
                let place = (at % BACKLOG_BYTES) as usize;
                let (now, later) = rest.split_at(rest.len().min(self.bytes.len() - place));
                let target = self.bytes[place..place + now.len()].as_ptr();
                // SAFETY: these bytes of the buffer are ours by the add until we commit.
                unsafe {
                    UnsafeCell::raw_get(target).copy_from_nonoverlapping(now.as_ptr(), now.len());
                }
                at += now.len() as u64;
                rest = later;
            }
        }
        while self.committed.load(Ordering::Acquire) != start {
            // Whoever is before us may not be running.
            thread::yield_now();
        }
        self.committed.store(at, Ordering::Release);
    }

    fn end(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }
}

/// Time that `writers` take for so many appends each.
fn timed(log: &Arc<impl Append>, writers: u64, appends: u64, commands: usize) -> Duration {
    let before = log.end();
    let barrier = Arc::new(Barrier::new(writers as usize));
    let threads: Vec<_> = (0..writers)
        .map(|_| {
            let (log, barrier) = (log.clone(), barrier.clone());
            thread::spawn(move || {
                barrier.wait();
                let start = Instant::now();
                (0..appends).for_each(|number| log.append(number, commands));
                start.elapsed()
            })
        })
        .collect();
    let times = threads.into_iter().map(|thread| thread.join().expect("a writer that ends"));
    let longest = times.max().expect("a writer");
    let written = log.end() - before;
    assert_eq!(written, writers * appends * (commands * COMMAND.len()) as u64);
    longest
}

fn appends(criterion: &mut Criterion) {
    let (locked, reserve) = (Arc::new(Locked::new()), Arc::new(Reserve::new()));
    for writers in [1, 2] {
        let mut group = criterion.benchmark_group(format!("log append {writers} writers"));
        for commands in ROUNDS {
            // Per piece of one writer.
            group.throughput(Throughput::Bytes(writers * (commands * COMMAND.len()) as u64));
            group.bench_function(format!("lock/{commands}"), |b| {
                b.iter_custom(|appends| timed(&locked, writers, appends, commands))
            });
            group.bench_function(format!("reserve/{commands}"), |b| {
                b.iter_custom(|appends| timed(&reserve, writers, appends, commands))
            });
        }
        group.finish();
    }
    assert!(locked.0.backlog_bytes() <= BACKLOG_BYTES + (1 << 20));
}

/// Reads all that there is, and returns the number of bytes.
fn drain(mut reader: Reader, max: usize) -> usize {
    let mut count = 0;
    while let Some(bytes) = reader.read(max) {
        count += black_box(bytes).len();
    }
    count
}

fn reads(criterion: &mut Criterion) {
    let log = Locked::new();
    let rounds = 1000;
    (1..=rounds).for_each(|number| log.append(number, 10));
    let first = log.0.first();
    let backlog = log.0.backlog_bytes();
    let mut group = criterion.benchmark_group("log read");
    group.throughput(Throughput::Bytes(backlog));
    for max in [1024, 16 * 1024, usize::MAX] {
        let name = if max == usize::MAX { "a block".into() } else { max.to_string() };
        group.bench_function(format!("backlog by {name}"), |b| {
            b.iter(|| {
                let reader = log.0.reader_at(first).expect("the first offset");
                assert_eq!(drain(reader, max) as u64, backlog);
            })
        });
    }
    group.finish();
    let mut reader = log.0.reader_at(log.0.end()).expect("the end");
    log.append(1, 1);
    assert_eq!(&reader.read(usize::MAX).expect("what was appended")[..], COMMAND);
}

criterion_group!(benches, appends, reads);
criterion_main!(benches);
