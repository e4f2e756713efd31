//! Large collections that a snapshot holds: what it costs their shard to hand one over, to change it while it is held, and to
//! write a slice of it. Each of these is how long other clients wait.
//!
//! Run as a test it only checks its answers.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ringfort_core::collections::hash::FieldExpiry;
use ringfort_core::collections::list::Limit;
use ringfort_core::collections::listpack::Element;
use ringfort_core::collections::{Hash, List, Set, SortedSet};
use ringfort_core::rdb::Format;
use ringfort_core::rdb::slices::{self, Slices};
use ringfort_core::store::{Hasher, LargeValue};
use std::cell::RefCell;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ELEMENTS: u64 = 1_000_000;
const FORMAT: Format = Format { version: 10, compress: false };
const SLICE_BYTES: usize = 32 << 10;

fn member(number: u64) -> Vec<u8> {
    format!("member:{number:09}").into_bytes()
}

/// One of each type, with a million members.
fn collections(hasher: &Hasher) -> Vec<(&'static str, LargeValue)> {
    let (mut set, mut hash, mut sorted_set) = (Set::new(), Hash::new(), SortedSet::new());
    let (mut list, limit) = (List::new(), Limit::of_setting(-2));
    for number in 0..ELEMENTS {
        let member = member(number);
        set.insert(hasher, hasher.hash(&member), &member);
        hash.set(hasher, hasher.hash(&member), &member, b"value", FieldExpiry::Clear);
        sorted_set.set(hasher, &member, (number * 7919 % ELEMENTS) as f64);
        list.push_back(Element::of(&member), limit);
    }
    vec![
        ("set", LargeValue::Set(Box::new(set))),
        ("hash", LargeValue::Hash(Box::new(hash))),
        ("sorted set", LargeValue::SortedSet(Box::new(sorted_set))),
        ("list", LargeValue::List(Box::new(list))),
    ]
}

/// Takes a member out and puts it in again, or its like.
fn change(value: &mut LargeValue, hasher: &Hasher, number: u64) {
    let member = member(number);
    let hash_of_it = hasher.hash(&member);
    match value {
        LargeValue::Set(set) => {
            set.remove(hasher, hash_of_it, &member);
            set.insert(hasher, hash_of_it, &member);
        }
        LargeValue::Hash(hash) => {
            hash.set(hasher, hash_of_it, &member, b"other", FieldExpiry::Clear);
        }
        LargeValue::SortedSet(set) => {
            set.update(hasher, &member, |score| score.map(|score| score + 1.0));
        }
        LargeValue::List(list) => {
            list.set(number as usize, Element::of(&member), Limit::of_setting(-2));
        }
        LargeValue::Stream(_) => unreachable!("there is none"),
    }
}

fn hold(value: &LargeValue) -> Box<dyn Slices> {
    slices::hold(&value.get(), FORMAT, 0).expect("a large collection")
}

fn held(criterion: &mut Criterion) {
    let hasher = Hasher::new([1, 2, 3, 4]);
    let mut group = criterion.benchmark_group("held");
    for (name, value) in collections(&hasher) {
        let value = RefCell::new(value);
        group.bench_function(format!("hold a {name} of a million"), |bencher| {
            bencher.iter_batched(
                || (),
                |()| hold(black_box(&value.borrow())),
                BatchSize::PerIteration,
            )
        });
        let mut number = 0;
        group.bench_function(format!("first change of a part of a {name}"), |bencher| {
            bencher.iter_batched(
                || {
                    number = (number + 7_654_321) % ELEMENTS;
                    (number, hold(&value.borrow()))
                },
                |(number, held)| {
                    change(&mut value.borrow_mut(), &hasher, number);
                    held
                },
                BatchSize::PerIteration,
            )
        });
        let mut out = Vec::with_capacity(4 * SLICE_BYTES);
        group.bench_function(format!("write a slice of a {name}"), |bencher| {
            let mut rest = hold(&value.borrow());
            bencher.iter(|| {
                out.clear();
                if rest.write_some(&mut out, SLICE_BYTES) {
                    rest = hold(&value.borrow());
                }
            })
        });
        assert!(out.len() < 4 * SLICE_BYTES, "a slice is small");
    }
}

criterion_group!(benches, held);
criterion_main!(benches);
