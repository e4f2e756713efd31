//! Large collections: what a change to one of a million members costs.
//!
//! Run as a test it only checks its answers.

use criterion::{Criterion, criterion_group, criterion_main};
use ringfort_core::collections::hash::FieldExpiry;
use ringfort_core::collections::list::Limit;
use ringfort_core::collections::listpack::Element;
use ringfort_core::collections::{Hash, List, Set, SortedSet};
use ringfort_core::store::Hasher;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ELEMENTS: u64 = 1_000_000;

/// Members in an order that no cache knows, with their hashes.
fn members(hasher: &Hasher) -> impl Iterator<Item = (u64, Vec<u8>, u64)> {
    let member = |number| {
        let member = format!("member:{number:09}").into_bytes();
        let hash = hasher.hash(&member);
        (number, member, hash)
    };
    let all: Vec<_> = (0..20_000).map(|index| member(index * 7_654_321 % ELEMENTS)).collect();
    (0..).map(move |index| all[index % all.len()].clone())
}

fn changes(criterion: &mut Criterion) {
    let hasher = Hasher::new([1, 2, 3, 4]);
    let limit = Limit::of_setting(-2);
    let (mut set, mut hash, mut sorted_set) = (Set::new(), Hash::new(), SortedSet::new());
    let mut list = List::new();
    for number in 0..ELEMENTS {
        let member = format!("member:{number:09}").into_bytes();
        set.insert(&hasher, hasher.hash(&member), &member);
        hash.set(&hasher, hasher.hash(&member), &member, b"value", FieldExpiry::Clear);
        sorted_set.set(&hasher, &member, (number * 7919 % ELEMENTS) as f64);
        list.push_back(Element::of(&member), limit);
    }
    let mut group = criterion.benchmark_group("collections");
    let mut each = members(&hasher);
    let mut next = || each.next().expect("there is always another");
    group.bench_function("remove from a set and insert", |bencher| {
        bencher.iter(|| {
            let (_, member, of_it) = next();
            assert!(set.remove(&hasher, of_it, &member));
            assert!(set.insert(&hasher, of_it, &member));
        })
    });
    group.bench_function("set a field of a hash", |bencher| {
        bencher.iter(|| {
            let (_, member, of_it) = next();
            assert!(!hash.set(&hasher, of_it, &member, b"other", FieldExpiry::Clear));
        })
    });
    group.bench_function("get a field of a hash", |bencher| {
        bencher.iter(|| {
            let (_, member, of_it) = next();
            assert!(hash.get(of_it, &member).is_some());
        })
    });
    group.bench_function("give a member of a sorted set another score", |bencher| {
        bencher.iter(|| {
            let (_, member, _) = next();
            let old = sorted_set.update(&hasher, &member, |old| {
                old.map(|old| (old as u64 * 31 % ELEMENTS) as f64 + 0.5)
            });
            assert!(old.is_some());
        })
    });
    group.bench_function("push to a list and pop", |bencher| {
        bencher.iter(|| {
            list.push_front(Element::Bytes(b"another element"), limit);
            assert!(list.pop_back(|_| ()).is_some());
        })
    });
    assert_eq!((set.len(), list.len()), (ELEMENTS as usize, ELEMENTS as usize));
}

criterion_group!(benches, changes);
criterion_main!(benches);
