//! The tree against a sorted vector.

use super::node::INNER;
use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

/// Members by id; an id that moved shows the member that it had.
struct Names(Vec<Vec<u8>>);

impl Members for Names {
    fn member(&self, id: u32) -> &[u8] {
        &self.0[id as usize]
    }
}

impl Names {
    fn numbered(count: usize) -> Names {
        Names((0..count).map(|number| format!("{:06}", number * 7919 % count).into()).collect())
    }
}

/// What the tree is to hold.
#[derive(Default)]
struct Model(Vec<(f64, u32)>);

impl Model {
    fn position(&self, score: f64, id: u32, names: &Names) -> usize {
        self.0.partition_point(|&(other, of)| {
            other < score || other == score && names.member(of) < names.member(id)
        })
    }

    fn insert(&mut self, score: f64, id: u32, names: &Names) {
        self.0.insert(self.position(score, id, names), (score, id));
    }
}

impl Ordered {
    /// Everything that must always be true of the nodes.
    fn check(&self, names: &Names) {
        let pair = |element: Element| (element.score, element.id);
        let all: Vec<_> = self.from(0).map(pair).collect();
        let mut reversed: Vec<_> = self.down_from(self.len.saturating_sub(1)).map(pair).collect();
        reversed.reverse();
        assert_eq!(all, reversed);
        assert_eq!(all.len(), self.len);
        assert!(all.is_sorted_by(|one, other| {
            one.0 < other.0 || one.0 == other.0 && names.member(one.1) < names.member(other.1)
        }));
        if self.len == 0 {
            assert_eq!((self.root, self.first, self.last, self.height), (NIL, NIL, NIL, 0));
            assert_eq!((self.leaves.len(), self.inners.len()), (0, 0));
            return;
        }
        let (mut leaves, mut inners) = (0, 0);
        let mut walk = vec![(self.root, self.height, NIL, None)];
        while let Some((node, level, parent, known)) = walk.pop() {
            let child = if level == 0 {
                leaves += 1;
                let leaf = &self.leaves[node];
                assert!(leaf.len() > 0 && leaf.parent == parent);
                leaf.as_child(node)
            } else {
                inners += 1;
                let inner = &self.inners[node];
                assert!(inner.len() > usize::from(parent == NIL));
                assert_eq!((inner.parent, inner.level), (parent, level));
                for at in 0..inner.len() {
                    let known = node::Child {
                        node: inner.children()[at],
                        score: inner.scores()[at],
                        id: inner.ids()[at],
                        count: inner.counts()[at],
                    };
                    walk.push((known.node, level - 1, node, Some(known)));
                }
                inner.as_child(node)
            };
            assert!(known.is_none_or(|known| known == child), "{known:?} is {child:?}");
        }
        assert_eq!((leaves, inners), (self.leaves.len(), self.inners.len()));
    }

    #[track_caller]
    fn check_against(&self, model: &Model, names: &Names) {
        self.check(names);
        let all: Vec<_> = self.from(0).map(|element| (element.score, element.id)).collect();
        assert_eq!(all, model.0);
        for (rank, &(score, id)) in model.0.iter().enumerate() {
            assert_eq!(self.rank(score, id, names), Some(rank));
            assert_eq!(self.nth(rank), Some(Element { score, id }));
        }
        assert_eq!(self.nth(model.0.len()), None);
    }
}

/// So many make a tree of three levels.
const IDS: u32 = 12_000;

#[derive(Clone, Debug)]
enum Step {
    /// An element that is not there is inserted, one that is gets the score.
    Put(u32, f64),
    Remove(u32),
    RemoveRange(usize, usize),
    Moved(u32),
    PushBack(u32),
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (0..4i32).prop_map(f64::from),
        3 => any::<f64>().prop_filter("a number", |score| !score.is_nan()),
        2 => (-500..500i32).prop_map(|number| f64::from(number) / 8.0),
        1 => prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE]),
    ]
}

fn step(ids: u32) -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..ids, score()).prop_map(|(id, score)| Step::Put(id, score)),
        4 => (0..ids).prop_map(Step::Remove),
        1 => (0..ids as usize, 0..2000usize).prop_map(|(rank, count)| Step::RemoveRange(rank, count)),
        2 => (0..ids).prop_map(Step::Moved),
        1 => (0..ids).prop_map(Step::PushBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_steps_give_what_a_sorted_vector_gives(
        filled in prop_oneof![Just(0), 0..IDS],
        steps in prop::collection::vec(step(IDS), 0..3000),
    ) {
        let mut names = Names::numbered(IDS as usize);
        // The score of each member, and the id that it has now.
        let mut scores: Vec<Option<(f64, u32)>> = vec![None; IDS as usize];
        let (mut tree, mut model) = (Ordered::new(), Model::default());
        for id in 0..filled {
            let score = f64::from(id / 3);
            tree.insert(score, id, &names);
            scores[id as usize] = Some((score, id));
            model.0.push((score, id));
        }
        model.0.sort_by(|one, other| {
            let members = names.member(one.1).cmp(names.member(other.1));
            one.0.partial_cmp(&other.0).unwrap().then(members)
        });
        for step in steps {
            match step {
                Step::Put(member, score) => {
                    let at = &mut scores[member as usize];
                    if let Some((old, id)) = *at {
                        model.0.remove(model.position(old, id, &names));
                        model.insert(score, id, &names);
                        tree.update(old, score, id, &names);
                        *at = Some((score, id));
                    } else {
                        model.insert(score, member, &names);
                        tree.insert(score, member, &names);
                        *at = Some((score, member));
                    }
                }
                Step::Remove(member) => {
                    if let Some((score, id)) = scores[member as usize].take() {
                        model.0.remove(model.position(score, id, &names));
                        prop_assert!(tree.remove(score, id, &names));
                        prop_assert!(!tree.remove(score, id, &names));
                    }
                }
                Step::RemoveRange(rank, count) => {
                    let start = rank.min(model.0.len());
                    let end = (rank + count).min(model.0.len());
                    let expected: Vec<_> = model.0.drain(start..end).collect();
                    let mut removed = Vec::new();
                    tree.remove_range(rank, count, |element| removed.push((element.score, element.id)));
                    prop_assert_eq!(&removed, &expected);
                    let tree_has: HashSet<u32> = tree.from(0).map(|element| element.id).collect();
                    scores.iter_mut().for_each(|score| {
                        score.take_if(|score| !tree_has.contains(&score.1));
                    });
                }
                Step::Moved(member) => {
                    if let Some((score, id)) = &mut scores[member as usize] {
                        let at = model.position(*score, *id, &names);
                        let new = names.0.len() as u32;
                        names.0.push(names.0[*id as usize].clone());
                        tree.replace_ids(&[Moved { score: *score, old: *id, new }], &names);
                        model.0[at].1 = new;
                        *id = new;
                    }
                }
                Step::PushBack(member) => {
                    let last = model.0.last().map_or(0.0, |last| last.0);
                    let score = last + last.abs().max(1.0);
                    if scores[member as usize].is_none() && score > last {
                        tree.push_back(score, member);
                        model.0.push((score, member));
                        scores[member as usize] = Some((score, member));
                    }
                }
            }
            prop_assert_eq!(tree.len(), model.0.len());
        }
        tree.check_against(&model, &names);
        tree.clone().check_against(&model, &names);
    }

    #[test]
    fn bounds_are_where_a_sorted_vector_has_them(
        elements in prop::collection::btree_map(0u32..1500, score(), 0..1500),
        bounds in prop::collection::vec((score(), 0u32..1500), 20),
    ) {
        let names = Names::numbered(1500);
        let (mut tree, mut equal) = (Ordered::new(), Ordered::new());
        let (mut model, mut members) = (Model::default(), Model::default());
        for (&id, &score) in &elements {
            tree.insert(score, id, &names);
            model.insert(score, id, &names);
            equal.insert(1.5, id, &names);
            members.insert(1.5, id, &names);
        }
        for (score, id) in bounds {
            let member = names.member(id);
            let before = |f: &dyn Fn(f64) -> bool| model.0.iter().filter(|each| f(each.0)).count();
            prop_assert_eq!(tree.count_below(score), before(&|each| each < score));
            prop_assert_eq!(tree.count_through(score), before(&|each| each <= score));
            prop_assert_eq!(tree.rank_of(score, member, &names), model.position(score, id, &names));
            let position = members.position(1.5, id, &names);
            let there = usize::from(elements.contains_key(&id));
            prop_assert_eq!(equal.count_members_below(member, &names), position);
            prop_assert_eq!(equal.count_members_through(member, &names), position + there);
            let rank = model.position(score, id, &names);
            let behind = tree.from(rank).map(|element| element.id);
            prop_assert!(behind.eq(model.0[rank..].iter().map(|each| each.1)));
            let before = tree.down_from(rank).map(|element| element.id);
            let end = (rank + 1).min(model.0.len());
            let expected = model.0[..end].iter().rev().map(|each| each.1);
            prop_assert!(rank >= model.0.len() && before.clone().count() == 0 || before.eq(expected));
        }
    }
}

/// `count` different numbers below it, in no order.
fn shuffled(count: u32) -> impl Iterator<Item = u32> {
    let mut state = 88_172_645_463_325_252u64;
    let mut numbers: Vec<u32> = (0..count).collect();
    for end in (1..count as usize).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        numbers.swap(end, (state % (end as u64 + 1)) as usize);
    }
    numbers.into_iter()
}

#[test]
fn insertion_costs_sixteen_bytes_an_element_and_ordered_insertion_thirteen() {
    const COUNT: u32 = 100_000;
    let names = Names::numbered(COUNT as usize);
    let check = |order: &mut dyn Iterator<Item = u32>, bytes: f64| {
        let mut tree = Ordered::new();
        order.for_each(|number| tree.insert(f64::from(number), number, &names));
        tree.check(&names);
        assert!(tree.from(0).map(|element| element.id).eq(0..COUNT));
        let each = tree.memory_bytes() as f64 / f64::from(COUNT);
        assert!(each < bytes, "{each} bytes");
    };
    check(&mut shuffled(COUNT), 16.5);
    check(&mut (0..COUNT), 13.0);
    check(&mut (0..COUNT).rev(), 13.0);
    let mut tree = Ordered::new();
    (0..COUNT).for_each(|number| tree.push_back(f64::from(number), number));
    tree.check(&names);
    assert!(tree.memory_bytes() < COUNT as usize * 13);
}

#[test]
fn members_order_elements_of_one_score_over_many_leaves() {
    const COUNT: u32 = 20_000;
    let names = Names::numbered(COUNT as usize);
    let (mut tree, mut model) = (Ordered::new(), Model::default());
    for id in shuffled(COUNT) {
        tree.insert(-0.0, id, &names);
    }
    model.0 = (0..COUNT).map(|id| (-0.0, id)).collect();
    model.0.sort_by_key(|&(_, id)| names.member(id).to_vec());
    tree.check_against(&model, &names);
    for id in shuffled(COUNT).take(15_000) {
        assert!(tree.remove(0.0, id, &names));
        model.0[names
            .member(id)
            .iter()
            .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))]
        .0 = f64::NAN;
    }
    model.0.retain(|element| !element.0.is_nan());
    tree.check_against(&model, &names);
}

#[test]
fn memory_is_given_back_as_elements_go() {
    const COUNT: u32 = 50_000;
    let names = Names::numbered(COUNT as usize);
    let mut tree = Ordered::new();
    (0..COUNT).for_each(|number| tree.insert(f64::from(number), number, &names));
    let full = tree.memory_bytes();
    for (removed, number) in shuffled(COUNT).enumerate() {
        assert!(tree.remove(f64::from(number), number, &names));
        if removed % 1000 == 0 {
            tree.check(&names);
            let bound = 3 * 12 * tree.len() + 100_000;
            assert!(tree.memory_bytes() < bound.min(full + 1));
        }
    }
    tree.check(&names);
    assert_eq!((tree.len(), tree.leaves.memory_bytes() / size_of::<node::Leaf>()), (0, 0));
}

#[test]
fn ends_are_popped_from_both_sides() {
    let names = Names::numbered(10_000);
    let mut tree = Ordered::new();
    shuffled(10_000).for_each(|number| tree.insert(f64::from(number), number, &names));
    for number in 0..5000 {
        let mut popped = None;
        tree.remove_range(0, 1, |element| popped = Some(element.id));
        assert_eq!(popped, Some(number));
        tree.remove_range(tree.len() - 1, 1, |element| popped = Some(element.id));
        assert_eq!(popped, Some(9_999 - number));
        if number % 100 == 0 {
            tree.check(&names);
        }
    }
    assert_eq!((tree.first(), tree.last()), (None, None));
    tree.check(&names);
}

#[test]
fn a_tree_is_dropped_in_parts() {
    let names = Names::numbered(30_000);
    let mut tree = Ordered::new();
    assert!(!tree.drop_some(1));
    shuffled(30_000).for_each(|number| tree.insert(f64::from(number), number, &names));
    let mut steps = 1;
    while tree.drop_some(1) {
        steps += 1;
    }
    assert!(steps > 5, "{steps} steps");
    assert!(tree.memory_bytes() < 1000);
    assert!(tree.is_empty() && tree.first().is_none());
}

#[test]
fn nodes_hold_what_their_sizes_say() {
    assert_eq!(size_of::<node::Inner>(), 20 * INNER + 16);
}
