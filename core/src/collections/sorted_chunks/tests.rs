use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Small, so that few pairs make a tree that is deep in chunks; inner nodes are as wide as ever.
type Small = SortedChunks<u32, u32, 4>;
type Model = BTreeMap<u32, u32>;

/// Whether the rules of the tree are kept; its pairs, its bytes, and the chunks with what they could hold.
fn walk<const N: usize>(
    node: &Node<u32, u32, N>,
    is_root: bool,
    pairs: &mut Vec<(u32, u32)>,
    bytes: &mut usize,
) -> usize {
    *bytes += node.bytes();
    assert!(is_root || node.len() > 0);
    assert!(node.len() <= node.len_max());
    match node {
        Node::Chunk(own) => {
            assert!(own.capacity() <= N);
            pairs.extend(own);
            0
        }
        Node::Inner(children) => {
            assert!(!is_root || children.len() > 1);
            assert!(children.capacity() <= CHILDREN_MAX);
            let depths: Vec<usize> = children
                .iter()
                .map(|(first, child)| {
                    assert!(pairs.last().is_none_or(|(last, _)| last < first));
                    let before = pairs.len();
                    let depth = walk(child, false, pairs, bytes);
                    assert!(*first <= pairs[before].0);
                    depth
                })
                .collect();
            assert!(depths.iter().all(|depth| *depth == depths[0]));
            depths[0] + 1
        }
    }
}

fn check<const N: usize>(map: &SortedChunks<u32, u32, N>, model: &Model) {
    let (mut pairs, mut bytes) = (Vec::new(), 0);
    if let Some(root) = &map.root {
        walk(root, true, &mut pairs, &mut bytes);
    }
    assert!(pairs.iter().copied().eq(model.iter().map(|(&key, &value)| (key, value))));
    assert_eq!((map.len(), map.memory_bytes()), (model.len(), bytes));
}

/// Takes pairs from both ends of a range as `sides` says, until none is left.
fn check_range(map: &Small, model: &Model, range: (Bound<u32>, Bound<u32>), sides: &[bool]) {
    let is_empty = match range {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
        _ => false,
    };
    let expected: Model = if is_empty {
        Model::new()
    } else {
        model.range(range).map(|(&key, &value)| (key, value)).collect()
    };
    let (mut own, mut expected) = (map.range(range), expected.iter());
    for side in sides.iter().cycle() {
        let (pair, other) = if *side {
            (own.next(), expected.next())
        } else {
            (own.next_back(), expected.next_back())
        };
        assert_eq!(pair.map(|(key, value)| (key, *value)), other.map(|(k, v)| (*k, *v)));
        if pair.is_none() {
            break;
        }
    }
    assert!(own.next().is_none() && own.next_back().is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Append(u32),
    Insert(u32, u32),
    Remove(u32),
    RemoveFirst(usize),
    RemoveAround(u32, usize),
    Change(u32, u32),
    Clone,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u32..400).prop_map(Step::Append),
        8 => (0u32..2000, any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        4 => (0u32..2000).prop_map(Step::Remove),
        1 => (1usize..300).prop_map(Step::RemoveFirst),
        1 => (0u32..2000, 1usize..300).prop_map(|(key, count)| Step::RemoveAround(key, count)),
        4 => (0u32..2000, any::<u32>()).prop_map(|(key, value)| Step::Change(key, value)),
        2 => Just(Step::Clone),
    ]
}

fn bound() -> impl Strategy<Value = Bound<u32>> {
    prop_oneof![
        3 => (0u32..2000).prop_map(Bound::Included),
        3 => (0u32..2000).prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

proptest! {
    #[test]
    fn pairs_are_those_of_an_ordered_map_and_clones_stay_as_they_were(
        steps in prop::collection::vec(step(), 1..100),
        range in (bound(), bound()),
        sides in prop::collection::vec(any::<bool>(), 1..9),
    ) {
        let (mut map, mut model) = (Small::default(), Model::new());
        let mut clones = Vec::new();
        for step in steps {
            match step {
                Step::Append(count) => {
                    let last = model.last_key_value().map_or(0, |(&key, _)| key);
                    for key in last + 1..=last + count {
                        prop_assert_eq!(map.insert(key, 7), model.insert(key, 7));
                    }
                }
                Step::Insert(key, value) => {
                    prop_assert_eq!(map.insert(key, value), model.insert(key, value));
                }
                Step::Remove(key) => prop_assert_eq!(map.remove(key), model.remove(&key)),
                Step::RemoveFirst(count) => for _ in 0..count {
                    let Some((key, value)) = model.pop_first() else { break };
                    prop_assert_eq!(map.remove(key), Some(value));
                },
                Step::RemoveAround(key, count) => {
                    let keys: Vec<_> = model.range(key..).map(|(&key, _)| key).take(count).collect();
                    for key in keys {
                        prop_assert_eq!(map.remove(key), model.remove(&key));
                    }
                }
                Step::Change(key, value) => {
                    let (own, other) = (map.get_mut(key), model.get_mut(&key));
                    prop_assert_eq!(&own, &other);
                    if let (Some(own), Some(other)) = (own, other) {
                        (*own, *other) = (value, value);
                    }
                    prop_assert_eq!(map.get(key), model.get(&key));
                    prop_assert_eq!(map.get(key + 1), model.get(&(key + 1)));
                }
                Step::Clone => clones.push((map.clone(), model.clone())),
            }
            check(&map, &model);
            check_range(&map, &model, range, &sides);
        }
        for (clone, model) in &mut clones {
            check(clone, model);
            check_range(clone, model, range, &sides);
            // A clone can be changed too.
            clone.insert(1_000_000, 1);
            model.insert(1_000_000, 1);
        }
        for (clone, model) in &clones {
            check(clone, model);
        }
        check(&map, &model);
        let mut rounds = 0;
        while map.drop_some(&mut 8) {
            rounds += 1;
            prop_assert!(rounds <= model.len().div_ceil(8));
        }
        prop_assert_eq!(map.memory_bytes(), 0);
        for (clone, model) in &clones {
            check(clone, model);
        }
    }
}

fn filled(keys: impl Iterator<Item = u32>) -> SortedChunks<u32, u32, 128> {
    let mut map = SortedChunks::default();
    keys.for_each(|key| assert_eq!(map.insert(key, key), None));
    map
}

#[test]
fn ascending_keys_leave_no_gaps_and_random_removal_no_ruins() {
    const COUNT: u32 = 200_000;
    let mut map = filled(0..COUNT);
    let pair_bytes = size_of::<(u32, u32)>();
    assert!(map.memory_bytes() < COUNT as usize * pair_bytes * 11 / 10);
    // A prime steps through all keys in no order.
    for step in 0..COUNT - 1000 {
        map.remove((u64::from(step) * 7919 % u64::from(COUNT)) as u32).expect("it is there");
    }
    assert_eq!(map.len(), 1000);
    assert!(map.memory_bytes() < 1000 * pair_bytes * 8, "{}", map.memory_bytes());
    let last: Vec<u32> = map.range(..).map(|(key, _)| key).collect();
    last.into_iter().for_each(|key| assert!(map.remove(key).is_some()));
    // The one chunk that stays.
    assert_eq!(map.memory_bytes(), 48 + ROOM_MIN * pair_bytes);
    assert_eq!((map.len(), map.range(..).count()), (0, 0));
}

/// How many chunks two maps have in common, and how many the first has.
fn shared(one: &SortedChunks<u32, u32, 128>, two: &SortedChunks<u32, u32, 128>) -> (usize, usize) {
    fn chunks(node: &CopyOnWrite<Node<u32, u32, 128>>, list: &mut Vec<*const (u32, u32)>) {
        match &**node {
            Node::Chunk(pairs) => list.push(pairs.as_ptr()),
            Node::Inner(children) => children.iter().for_each(|(_, child)| chunks(child, list)),
        }
    }
    let (mut ones, mut twos) = (Vec::new(), Vec::new());
    chunks(one.root.as_ref().unwrap(), &mut ones);
    chunks(two.root.as_ref().unwrap(), &mut twos);
    (ones.iter().filter(|chunk| twos.contains(chunk)).count(), ones.len())
}

#[test]
fn a_write_copies_one_chunk_of_those_that_are_shared() {
    let mut map = filled(0..100_000);
    let clone = map.clone();
    assert_eq!(shared(&map, &clone), (782, 782));
    *map.get_mut(50_000).unwrap() = 1;
    assert_eq!(map.memory_bytes(), clone.memory_bytes());
    *map.get_mut(50_001).unwrap() = 1;
    assert_eq!(shared(&map, &clone), (781, 782));
    map.insert(100_000, 1);
    map.remove(0);
    assert_eq!(shared(&map, &clone), (779, 782));
    assert_eq!(clone.get(50_000), Some(&50_000));
}
