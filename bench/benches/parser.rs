//! The request parser: pipelines of GET and SET, whole and cut, and the slots of their keys.
//!
//! What a busy core does first with every byte. Run as a test it only checks its answers.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringfort_core::resp::{Batch, Limits, Parser};
use ringfort_core::slot::slot_of;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests of one pipeline.
const PIPELINES: [usize; 2] = [16, 100];

const VALUE: [u8; 32] = [b'v'; 32];

fn request(args: &[&[u8]], to: &mut Vec<u8>) {
    to.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        to.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        to.extend_from_slice(arg);
        to.extend_from_slice(b"\r\n");
    }
}

fn key(number: usize) -> Vec<u8> {
    format!("key:{number:07}").into_bytes()
}

/// GET of so many different keys.
fn gets(count: usize) -> Vec<u8> {
    let mut buffer = Vec::new();
    (0..count).for_each(|number| request(&[b"GET", &key(number)], &mut buffer));
    buffer
}

/// SET of so many different keys.
fn sets(count: usize) -> Vec<u8> {
    let mut buffer = Vec::new();
    (0..count).for_each(|number| request(&[b"SET", &key(number), &VALUE], &mut buffer));
    buffer
}

/// The batch holds `count` commands of `args` arguments each, on the keys of the pipeline in order.
fn check(batch: &Batch, buffer: &[u8], count: usize, args: usize) {
    assert_eq!(batch.len(), count);
    for number in 0..count {
        let parsed = batch.args(number, buffer);
        assert_eq!(parsed.len(), args);
        assert_eq!(parsed.at(1), key(number));
        assert!(args < 3 || *parsed.at(2) == VALUE);
    }
    assert_eq!(batch.end(count - 1), buffer.len());
}

fn pipelines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    let limits = Limits::default();
    for count in PIPELINES {
        group.throughput(Throughput::Elements(count as u64));
        for (name, buffer, args) in [("get", gets(count), 2), ("set", sets(count), 3)] {
            let (mut parser, mut batch) = (Parser::default(), Batch::default());
            group.bench_function(format!("{name}/{count}"), |b| {
                b.iter(|| {
                    batch.clear();
                    let parsed = parser.parse(black_box(&buffer), &limits, usize::MAX, &mut batch);
                    assert_eq!(parsed, (buffer.len(), Ok(())));
                })
            });
            check(&batch, &buffer, count, args);
        }
    }
}

/// A pipeline that arrives in two pieces, cut in the middle of a value.
fn cut_pipelines(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse cut");
    let limits = Limits::default();
    for count in PIPELINES {
        let buffer = sets(count);
        let cut = buffer.len() / 2 / (buffer.len() / count) * (buffer.len() / count) + 50;
        let (mut parser, mut batch) = (Parser::default(), Batch::default());
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("set/{count}"), |b| {
            b.iter(|| {
                batch.clear();
                let (front, result) =
                    parser.parse(black_box(&buffer[..cut]), &limits, usize::MAX, &mut batch);
                assert_eq!(result, Ok(()));
                let before = batch.len();
                // The caller drops what it took, and presents the rest with more behind it.
                let mut rest = Batch::default();
                let (back, result) = parser.parse(&buffer[front..], &limits, usize::MAX, &mut rest);
                assert_eq!((result, front + back), (Ok(()), buffer.len()));
                assert_eq!(before + rest.len(), count);
                assert!(front < cut);
            })
        });
    }
}

/// Parsing a pipeline and finding the slot of each of its keys, which decides where a command runs.
fn slots(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse and slot");
    let limits = Limits::default();
    for count in PIPELINES {
        let buffer = gets(count);
        let expected: Vec<_> = (0..count).map(|number| slot_of(&key(number))).collect();
        let (mut parser, mut batch) = (Parser::default(), Batch::default());
        let mut found = Vec::with_capacity(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("get/{count}"), |b| {
            b.iter(|| {
                batch.clear();
                found.clear();
                let _ = parser.parse(black_box(&buffer), &limits, usize::MAX, &mut batch);
                found.extend(
                    (0..batch.len()).map(|number| slot_of(batch.args(number, &buffer).at(1))),
                );
            })
        });
        assert_eq!(found, expected);
    }
}

criterion_group!(parser, pipelines, cut_pipelines, slots);
criterion_main!(parser);
