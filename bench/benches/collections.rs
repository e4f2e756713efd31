//! Large collections, of a million members each: what a change costs, and what a snapshot that holds one costs their shard:
//! to hand it over, to change it while it is held, and to write a slice of it. Each of these is how long other clients
//! wait.
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

/// One of each type.
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

/// A member, its number and its hash.
type Member = (u64, Vec<u8>, u64);

/// Members in an order that no cache knows.
fn shuffled(hasher: &Hasher) -> Vec<Member> {
    let of_number = |number| {
        let member = member(number);
        let hash = hasher.hash(&member);
        (number, member, hash)
    };
    (0..20_000).map(|index| of_number(index * 7_654_321 % ELEMENTS)).collect()
}

/// Takes a member out and puts it in again, or gives it another value.
fn change(value: &mut LargeValue, hasher: &Hasher, (number, member, hash_of_it): &Member) {
    match value {
        LargeValue::Set(set) => {
            assert!(set.remove(hasher, *hash_of_it, member));
            assert!(set.insert(hasher, *hash_of_it, member));
        }
        LargeValue::Hash(hash) => {
            assert!(!hash.set(hasher, *hash_of_it, member, b"other", FieldExpiry::Clear));
        }
        LargeValue::SortedSet(set) => {
            let another = |old: f64| (old as u64 * 31 % ELEMENTS) as f64 + 0.5;
            assert!(set.update(hasher, member, |old| old.map(another)).is_some());
        }
        LargeValue::List(list) => {
            list.set(*number as usize, Element::of(member), Limit::of_setting(-2));
        }
        LargeValue::Stream(_) => unreachable!("there is none"),
    }
}

fn hold(value: &LargeValue) -> Box<dyn Slices> {
    slices::hold(&value.get(), FORMAT, 0).expect("a large collection")
}

fn large(criterion: &mut Criterion) {
    let hasher = Hasher::new([1, 2, 3, 4]);
    let members = shuffled(&hasher);
    let mut at = 0;
    let mut next = || {
        at = (at + 1) % members.len();
        &members[at]
    };
    let mut group = criterion.benchmark_group("collections");
    for (name, value) in collections(&hasher) {
        let value = RefCell::new(value);
        group.bench_function(format!("change a {name}"), |bencher| {
            bencher.iter(|| change(&mut value.borrow_mut(), &hasher, next()))
        });
        match &mut *value.borrow_mut() {
            LargeValue::Hash(hash) => {
                group.bench_function("get a field of a hash", |bencher| {
                    bencher.iter(|| {
                        let (_, member, of_it) = next();
                        assert!(hash.get(*of_it, member).is_some());
                    })
                });
            }
            LargeValue::List(list) => {
                group.bench_function("push to a list and pop", |bencher| {
                    bencher.iter(|| {
                        list.push_front(Element::Bytes(b"another element"), Limit::of_setting(-2));
                        assert!(list.pop_back(|_| ()).is_some());
                    })
                });
                assert_eq!(list.len(), ELEMENTS as usize);
            }
            _ => {}
        }
        group.bench_function(format!("hold a {name}"), |bencher| {
            bencher.iter_batched(
                || (),
                |()| hold(black_box(&value.borrow())),
                BatchSize::PerIteration,
            )
        });
        group.bench_function(format!("change a part of a {name} that is held"), |bencher| {
            bencher.iter_batched(
                || (next(), hold(&value.borrow())),
                |(member, held)| {
                    change(&mut value.borrow_mut(), &hasher, member);
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

criterion_group!(benches, large);
criterion_main!(benches);
