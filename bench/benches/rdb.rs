//! RDB: entries written and read, the checksum, and compression. What a full sync costs a core on either end.
//!
//! Run as a test it only checks its answers.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringfort_core::collections::Limits;
use ringfort_core::rdb::entry::write_entry;
use ringfort_core::rdb::{AccessHint, Builder, Format, crc64, lzf};
use ringfort_core::store::{Hasher, StringValue, Value};
use ringfort_replication::rdb::{Item, Reader, writer};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENTRIES: usize = 20_000;
const VALUE: [u8; 32] = [b'v'; 32];
const FORMAT: Format = Format { version: 10, compress: false };

/// What a socket hands over at a time.
const PIECE_BYTES: usize = 64 << 10;

fn write_all(keys: &[Vec<u8>], expire_at: Option<i64>, to: &mut Vec<u8>) {
    for key in keys {
        let value = Value::String(StringValue::Bytes(&VALUE));
        write_entry(to, key, &value, expire_at, AccessHint::None, FORMAT);
    }
}

/// How many entries are read.
fn read_all(file: &[u8]) -> usize {
    let mut reader =
        Reader::new(Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() });
    let mut entries = 0;
    for piece in file.chunks(PIECE_BYTES) {
        reader.push(piece);
        while let Some(item) = reader.next().expect("an RDB") {
            entries += usize::from(matches!(item, Item::Entry(_)));
        }
    }
    reader.finish().expect("a whole RDB");
    entries
}

fn entries(criterion: &mut Criterion) {
    let keys: Vec<_> = (0..ENTRIES).map(|n| format!("key:{n:07}").into_bytes()).collect();
    let mut group = criterion.benchmark_group("rdb entries");
    group.throughput(Throughput::Elements(ENTRIES as u64));
    for (name, expire_at) in [("plain", None), ("expiring", Some(32_503_680_000_000))] {
        let mut out = Vec::new();
        group.bench_function(format!("write {name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                write_all(&keys, expire_at, &mut out);
                black_box(&out);
            })
        });
        let mut file = Vec::new();
        writer::write_header(&mut file, writer::VERSION);
        write_all(&keys, expire_at, &mut file);
        let checksum = crc64::checksum(0, &file);
        writer::write_end(&mut file, Some(checksum));
        assert_eq!(read_all(&file), ENTRIES);
        group.bench_function(format!("read {name}"), |bencher| {
            bencher.iter(|| read_all(black_box(&file)))
        });
    }
}

fn checksums(criterion: &mut Criterion) {
    let bytes = vec![7; PIECE_BYTES];
    let (first, second) = bytes.split_at(1000);
    let parts = (crc64::checksum(0, first), crc64::checksum(0, second));
    let whole = crc64::checksum(0, &bytes);
    assert_eq!(crc64::combine(parts.0, parts.1, second.len() as u64), whole);
    let mut group = criterion.benchmark_group("rdb checksum");
    group.bench_function("combine", |bencher| {
        bencher.iter(|| crc64::combine(black_box(parts.0), parts.1, black_box(second.len() as u64)))
    });
    for size in [64, PIECE_BYTES] {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{size} bytes"), |bencher| {
            bencher.iter(|| crc64::checksum(0, black_box(&bytes[..size])))
        });
    }
}

fn compression(criterion: &mut Criterion) {
    let records = (0..500).map(|n| format!("{{\"id\":{n},\"score\":{}}},", n * 17 % 977));
    let text = records.collect::<String>().into_bytes();
    let compressed = lzf::compress(&text).expect("it repeats");
    assert!(lzf::decompress(&compressed, text.len()).expect("LZF") == text);
    let mut group = criterion.benchmark_group("rdb lzf");
    for size in [100, text.len()] {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("compress {size} bytes"), |bencher| {
            bencher.iter(|| lzf::compress(black_box(&text[..size])))
        });
    }
    group.bench_function("decompress", |bencher| {
        bencher.iter(|| lzf::decompress(black_box(&compressed), text.len()))
    });
}

criterion_group!(benches, entries, checksums, compression);
criterion_main!(benches);
