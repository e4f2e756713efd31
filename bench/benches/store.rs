//! The store: hashing, lookups with and without prefetch, overwriting, growth, expiry, scans.
//!
//! A million 11-byte keys with 32-byte values, visited in no order, so most lookups miss the caches: that is what a
//! busy node does all day. Run as a test (`cargo test --benches`) it is small and only checks its answers.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringfort_core::slot::{crc16, slot_of};
use ringfort_core::store::{Cursor, Database, Expiry, Hasher, Key, StringValue};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keys of a pipeline that are prefetched together.
const BATCH: usize = 16;

const VALUE: [u8; 32] = [b'v'; 32];

fn keys_count() -> usize {
    let is_test = std::env::args().any(|argument| argument == "--test");
    if is_test || cfg!(debug_assertions) { 10_000 } else { 1_000_000 }
}

/// Keys in an order that no prefetcher guesses, but that is the same each time.
fn shuffled_keys(prefix: &str) -> Vec<Vec<u8>> {
    let count = keys_count();
    let mut keys: Vec<Vec<u8>> =
        (0..count).map(|number| format!("{prefix}:{number:07}").into_bytes()).collect();
    let mut random = 1u64;
    for last in (1..count).rev() {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        keys.swap(last, ((random >> 33) % (last as u64 + 1)) as usize);
    }
    keys
}

fn hasher() -> Hasher {
    Hasher::new([1, 2, 3, 4])
}

fn filled(keys: &[Vec<u8>], expiry: impl Fn(usize) -> Expiry) -> Database {
    let hasher = hasher();
    let mut database = Database::new(hasher.clone());
    for (number, key) in keys.iter().enumerate() {
        database.set_string(&hasher.key(key), &VALUE, expiry(number), 0);
    }
    assert_eq!(database.len(), keys.len());
    database
}

fn hashing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash");
    let hasher = hasher();
    for length in [3, 11, 16, 40, 200] {
        let key = vec![b'k'; length];
        assert_eq!(crc16(&key), ::crc16::State::<::crc16::XMODEM>::calculate(&key));
        group.bench_function(format!("slot/{length}"), |b| b.iter(|| slot_of(black_box(&key))));
        group.bench_function(format!("crc16 crate/{length}"), |b| {
            b.iter(|| ::crc16::State::<::crc16::XMODEM>::calculate(black_box(&key)))
        });
        group.bench_function(format!("key/{length}"), |b| b.iter(|| hasher.key(black_box(&key))));
    }
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("get");
    group.throughput(Throughput::Elements(BATCH as u64));
    let keys = shuffled_keys("key");
    let absent = shuffled_keys("abs");
    let database = filled(&keys, |_| Expiry::Clear);
    let hasher = hasher();
    for (name, keys, present) in [("hit", &keys, true), ("miss", &absent, false)] {
        let check = |key: &Key| {
            let value = database.get(key).map(|entry| entry.string());
            assert_eq!(value, present.then_some(Some(StringValue::Bytes(&VALUE))));
        };
        let mut batches = keys.chunks_exact(BATCH).cycle();
        group.bench_function(format!("{name}/plain"), |b| {
            b.iter(|| {
                for key in batches.next().unwrap() {
                    check(&hasher.key(key));
                }
            })
        });
        let mut batches = keys.chunks_exact(BATCH).cycle();
        group.bench_function(format!("{name}/prefetched"), |b| {
            b.iter(|| {
                let batch: &[Vec<u8>; BATCH] = batches.next().unwrap().try_into().unwrap();
                let batch = batch.each_ref().map(|key| {
                    let key = hasher.key(key);
                    database.prefetch_table(&key);
                    key
                });
                batch.iter().for_each(|key| database.prefetch_bucket(key));
                let bytes = database.prefetch_bytes();
                batch.iter().for_each(|key| database.prefetch_entry(key, bytes));
                batch.iter().for_each(check);
            })
        });
    }
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("set");
    group.throughput(Throughput::Elements(BATCH as u64));
    let keys = shuffled_keys("key");
    let hasher = hasher();
    let mut database = filled(&keys, |_| Expiry::Clear);
    let mut batches = keys.chunks_exact(BATCH).cycle();
    group.bench_function("overwrite/plain", |b| {
        b.iter(|| {
            for key in batches.next().unwrap() {
                database.set_string(&hasher.key(key), black_box(&VALUE), Expiry::Clear, 1);
            }
        })
    });
    let mut batches = keys.chunks_exact(BATCH).cycle();
    let mut length = 0;
    for (name, lengths) in [("prefetched", [32, 32]), ("prefetched, other size", [32, 64])] {
        group.bench_function(format!("overwrite/{name}"), |b| {
            b.iter(|| {
                let batch: &[Vec<u8>; BATCH] = batches.next().unwrap().try_into().unwrap();
                let batch = batch.each_ref().map(|key| {
                    let key = hasher.key(key);
                    database.prefetch_table(&key);
                    key
                });
                batch.iter().for_each(|key| database.prefetch_bucket(key));
                let bytes = database.prefetch_bytes();
                batch.iter().for_each(|key| database.prefetch_entry(key, bytes));
                for key in &batch {
                    length ^= 1;
                    database.set_string(
                        key,
                        black_box(&[b'v'; 64][..lengths[length]]),
                        Expiry::Clear,
                        1,
                    );
                }
            })
        });
    }
    assert_eq!(database.len(), keys.len());
    group.finish();

    let mut group = criterion.benchmark_group("grow");
    group.sample_size(10);
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.bench_function("spread", |b| {
        b.iter_batched(
            || Database::new(hasher.clone()),
            |_| filled(&keys, |_| Expiry::Clear),
            BatchSize::PerIteration,
        )
    });
    let tagged = shuffled_keys("{t}");
    group.bench_function("one slot", |b| {
        b.iter_batched(
            || Database::new(hasher.clone()),
            |_| filled(&tagged, |_| Expiry::Clear),
            BatchSize::PerIteration,
        )
    });
}

fn expiry(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expire");
    group.sample_size(10);
    let keys = shuffled_keys("key");
    let mut idle = filled(&keys, |number| Expiry::At(1_000 + number as i64));
    group.bench_function("nothing due", |b| {
        b.iter(|| {
            let mut cursor = Cursor::START;
            let looked_at = idle.expire_step(&mut cursor, 1_000, usize::MAX, |_| unreachable!());
            assert_eq!((looked_at, cursor), (0, Cursor::END));
        })
    });
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.bench_function("all due", |b| {
        b.iter_batched(
            || filled(&keys, |_| Expiry::At(1)),
            |mut database| {
                let mut cursor = Cursor::START;
                while cursor != Cursor::END {
                    database.expire_step(&mut cursor, 2, 1_000, drop);
                }
                assert!(database.is_empty());
            },
            BatchSize::PerIteration,
        )
    });
}

fn scans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(10);
    let keys = shuffled_keys("key");
    let database = filled(&keys, |_| Expiry::Clear);
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.bench_function("count 10", |b| {
        b.iter(|| {
            let (mut cursor, mut visited) = (Cursor::START, 0);
            while cursor != Cursor::END {
                cursor = database
                    .scan(cursor, 10, |entry| visited += usize::from(!entry.key().is_empty()));
            }
            assert_eq!(visited, keys.len());
        })
    });
    group.throughput(Throughput::Elements(1));
    let mut random = 1u64;
    group.bench_function("sample 5", |b| {
        b.iter(|| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            assert_eq!(database.sample(random, 5, false, |entry| _ = black_box(entry.access())), 5);
        })
    });
}

criterion_group!(store, hashing, lookups, writes, expiry, scans);
criterion_main!(store);
