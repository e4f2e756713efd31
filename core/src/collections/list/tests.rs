//! Lists against a plain model, and what they may cost.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Edit {
    PushBack(Vec<u8>),
    PushFront(Vec<u8>),
    PopBack,
    PopFront,
    Set(usize, Vec<u8>),
    Insert(usize, Vec<u8>),
    Remove(usize),
    RemoveRange(usize, usize),
    RemoveFirst(Vec<u8>, usize),
    RemoveLast(Vec<u8>, usize),
    PushListpack(Vec<Vec<u8>>),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0u8..4).prop_map(|digit| vec![b'0' + digit]),
        2 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
        2 => (0usize..60).prop_map(|len| vec![b'x'; len]),
        1 => prop_oneof![50usize..120, 4000usize..4200].prop_map(|len| vec![b'y'; len]),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = || 0usize..1000;
    prop_oneof![
        6 => text().prop_map(Edit::PushBack),
        6 => text().prop_map(Edit::PushFront),
        2 => Just(Edit::PopBack),
        2 => Just(Edit::PopFront),
        4 => (at(), text()).prop_map(|(at, text)| Edit::Set(at, text)),
        9 => (at(), text()).prop_map(|(at, text)| Edit::Insert(at, text)),
        2 => at().prop_map(Edit::Remove),
        1 => (at(), 0usize..40).prop_map(|(at, count)| Edit::RemoveRange(at, count)),
        1 => (text(), 0usize..5).prop_map(|(text, count)| Edit::RemoveFirst(text, count)),
        1 => (text(), 0usize..5).prop_map(|(text, count)| Edit::RemoveLast(text, count)),
        1 => prop::collection::vec(text(), 0..8).prop_map(Edit::PushListpack),
    ]
}

fn apply(list: &mut List, model: &mut Vec<Vec<u8>>, edit: Edit, limit: Limit) {
    let within = |at: usize| at % model.len().max(1);
    match edit {
        Edit::PushBack(text) => {
            list.push_back(Element::of(&text), limit);
            model.push(text);
        }
        Edit::PushFront(text) => {
            list.push_front(Element::of(&text), limit);
            model.insert(0, text);
        }
        Edit::PopBack => assert_eq!(list.pop_back(|element| element.to_vec()), model.pop()),
        Edit::PopFront => {
            let first = (!model.is_empty()).then(|| model.remove(0));
            assert_eq!(list.pop_front(|element| element.to_vec()), first);
        }
        Edit::Set(at, text) => {
            if !model.is_empty() {
                let at = within(at);
                list.set(at, Element::of(&text), limit);
                model[at] = text;
            }
        }
        Edit::Insert(at, text) => {
            let at = at % (model.len() + 1);
            list.insert(at, Element::of(&text), limit);
            model.insert(at, text);
        }
        Edit::Remove(at) => {
            if !model.is_empty() {
                let at = within(at);
                list.remove(at);
                model.remove(at);
            }
            list.remove(model.len());
        }
        Edit::RemoveRange(at, count) => {
            let at = within(at);
            let removed = list.remove_range(at, count);
            let to = (at + count).min(model.len());
            let expected: Vec<_> = model.drain(at..to).collect();
            check(&removed, None);
            assert!(removed.len() <= expected.len());
        }
        Edit::RemoveFirst(text, count) => {
            let mut left = count;
            model.retain(|other| {
                let goes = *other == text && left > 0;
                left -= usize::from(goes);
                !goes
            });
            assert_eq!(list.remove_first(&text, count), count - left);
        }
        Edit::RemoveLast(text, count) => {
            let mut left = count;
            model.reverse();
            model.retain(|other| {
                let goes = *other == text && left > 0;
                left -= usize::from(goes);
                !goes
            });
            model.reverse();
            assert_eq!(list.remove_last(&text, count), count - left);
        }
        Edit::PushListpack(texts) => {
            let bytes = crate::collections::listpack::from_texts(texts.iter().map(Vec::as_slice));
            list.push_listpack(Listpack::new(&bytes), limit);
            model.extend(texts);
        }
    }
}

/// What must be true of every list; with a limit, also of each node.
fn check(list: &List, limit: Option<Limit>) {
    let mut allocated = 0;
    for chunk in &list.chunks {
        assert!((1..=CHUNK_NODES_MAX).contains(&chunk.nodes.len()));
        assert_eq!(chunk.len, chunk.nodes.iter().map(Node::len).sum::<usize>());
        for node in chunk.nodes.iter() {
            assert!(node.len() > 0);
            if let (Node::Packed(packed), Some(limit)) = (node, limit) {
                assert!(limit.admits(packed.view().bytes().len(), node.len()));
            }
            if let Node::Packed(packed) = node {
                let bytes = packed.view().bytes();
                assert_eq!(crate::collections::listpack::validate(bytes), Ok(node.len()));
            }
        }
        allocated += chunk.allocated();
    }
    assert_eq!(list.len, list.chunks.iter().map(|chunk| chunk.len).sum::<usize>());
    assert_eq!(list.allocated, allocated);
    assert_eq!(list.node_count(), list.nodes().count());
}

fn check_against(list: &List, model: &[Vec<u8>]) {
    assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
    let all: Vec<_> = list.iter().map(Element::to_vec).collect();
    assert_eq!(all, model);
    assert_eq!(list.front().map(Element::to_vec).as_ref(), model.first());
    assert_eq!(list.back().map(Element::to_vec).as_ref(), model.last());
    for index in 0..model.len() + 2 {
        assert_eq!(list.get(index).map(Element::to_vec).as_ref(), model.get(index));
    }
    for index in (0..model.len() + 2).step_by(7) {
        let behind = list.iter_from(index);
        assert_eq!(behind.len(), model.len().saturating_sub(index));
        assert!(behind.map(Element::to_vec).eq(model.iter().skip(index).cloned()));
        let before = list.iter_back_from(index);
        let expected = if index < model.len() { &model[..=index] } else { &[] };
        assert_eq!(before.len(), expected.len());
        assert!(before.map(Element::to_vec).eq(expected.iter().rev().cloned()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_list_is_a_sequence(
        edits in prop::collection::vec(edit(), 0..400),
        later in prop::collection::vec(edit(), 0..40),
        limit in prop_oneof![
            Just(Limit::Bytes(100)), Just(Limit::Bytes(4096)), Just(Limit::Count(1)), Just(Limit::Count(5)),
        ],
    ) {
        let (mut list, mut model) = (List::new(), Vec::new());
        let mut has_foreign_nodes = false;
        for edit in edits {
            has_foreign_nodes |= matches!(edit, Edit::PushListpack(_));
            apply(&mut list, &mut model, edit, limit);
            check(&list, (!has_foreign_nodes).then_some(limit));
        }
        check_against(&list, &model);
        let (mut clone, shared) = (list.clone(), model.clone());
        for edit in later {
            apply(&mut clone, &mut model, edit, limit);
            check(&clone, None);
        }
        check_against(&clone, &model);
        check(&list, None);
        check_against(&list, &shared);
        while list.drop_some(3) {}
        check_against(&clone, &model);
        prop_assert_eq!((list.node_count(), list.is_empty()), (0, true));
    }
}

fn numbered(count: usize, limit: Limit) -> List {
    let mut list = List::new();
    for number in 0..count {
        list.push_back(Element::of(format!("element:{number}").as_bytes()), limit);
    }
    list
}

#[test]
fn chunks_are_split_and_joined() {
    // One element a node, so that chunks come and go.
    let limit = Limit::Count(1);
    let mut model: Vec<_> =
        (0..2000).map(|number| format!("element:{number}").into_bytes()).collect();
    let mut list = numbered(2000, limit);
    for number in 0..2000usize {
        let at = number * 7919 % (model.len() + 1);
        list.insert(at, Element::Integer(number as i64), limit);
        model.insert(at, number.to_string().into_bytes());
    }
    check(&list, Some(limit));
    check_against(&list, &model);
    assert!(list.chunks.len() > 4000 / CHUNK_NODES_MAX);
    for number in 0..3900usize {
        let at = number * 7919 % model.len();
        list.remove(at);
        model.remove(at);
    }
    check(&list, Some(limit));
    check_against(&list, &model);
    assert!(list.chunks.len() <= 6, "{} chunks with 100 nodes", list.chunks.len());
}

#[test]
fn a_large_list_wastes_little() {
    for setting in [-1, -2, -5, 128] {
        let limit = Limit::of_setting(setting);
        let list = numbered(100_000, limit);
        let stored: usize = list.iter().map(Element::stored_bytes).sum();
        let spare = list.memory_bytes() as f64 / stored as f64;
        assert!(spare < 1.15, "{spare} for {setting}");
        let mut list = List::new();
        for number in 0..100_000 {
            list.push_front(Element::of(format!("element:{number}").as_bytes()), limit);
        }
        let spare = list.memory_bytes() as f64 / stored as f64;
        assert!(spare < 1.15, "{spare} for {setting}, from the front");
    }
}

/// A queue that is drained gives its room back, and so does a list of which elements are taken anywhere.
#[test]
fn what_is_removed_is_given_back() {
    let limit = Limit::of_setting(-2);
    let full = numbered(50_000, limit);
    let mut queue = full.clone();
    while queue.len() > 100 {
        queue.pop_front(|_| ());
    }
    check(&queue, Some(limit));
    assert!(queue.memory_bytes() < 20_000, "{}", queue.memory_bytes());
    let mut thinned = full.clone();
    let mut number = 0;
    while thinned.len() > 5000 {
        number += 7919;
        thinned.remove(number % thinned.len());
    }
    check(&thinned, Some(limit));
    assert!(thinned.memory_bytes() < full.memory_bytes() / 2);
    let mut trimmed = full.clone();
    let removed = trimmed.remove_range(10, 49_000);
    check(&trimmed, Some(limit));
    check(&removed, Some(limit));
    assert_eq!(trimmed.len(), 1000);
    assert!(removed.len() > 47_000 && trimmed.memory_bytes() < 40_000);
}

#[test]
fn insertions_in_bad_places_leave_no_trail_of_small_nodes() {
    let limit = Limit::of_setting(-2);
    let mut list = numbered(20_000, limit);
    // Each time behind the first element of the second node.
    for number in 0..20_000 {
        let first = list.chunks[0].nodes[0].len();
        list.insert(first + 1, Element::Integer(number), limit);
    }
    check(&list, Some(limit));
    let stored: usize = list.iter().map(Element::stored_bytes).sum();
    assert!(list.node_count() < 3 * stored / 8192, "{} nodes", list.node_count());
    assert!(list.memory_bytes() < 2 * stored, "{} for {stored}", list.memory_bytes());
}

#[test]
fn an_element_too_large_for_a_listpack_stands_alone() {
    let limit = Limit::of_setting(-1);
    let large = vec![b'x'; 5000];
    let mut list = numbered(10, limit);
    list.insert(5, Element::Bytes(&large), limit);
    assert_eq!(list.node_count(), 3);
    assert!(matches!(list.nodes().nth(1), Some(NodeRef::Plain(text)) if text == large));
    assert!(list.only_listpack().is_none());
    list.set(5, Element::Bytes(b"small"), limit);
    assert_eq!(list.get(5), Some(Element::Bytes(b"small")));
    list.set(5, Element::Bytes(&large), limit);
    list.set(5, Element::Bytes(&[b'y'; 6000]), limit);
    assert_eq!(list.get(5), Some(Element::Bytes(&[b'y'; 6000])));
    check(&list, Some(limit));
    assert_eq!(list.remove_last(&[b'y'; 6000], 1), 1);
    assert_eq!(list.len(), 10);
    let one = numbered(10, limit);
    assert_eq!(one.only_listpack().map(Listpack::len), Some(10));
}

#[test]
fn a_list_is_freed_bit_by_bit() {
    let mut list = numbered(3000, Limit::Count(1));
    let mut steps = 1;
    while list.drop_some(100) {
        steps += 1;
    }
    assert_eq!((steps, list.memory_bytes()), (24, 0));
}
