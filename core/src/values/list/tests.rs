//! Both forms of a list against a plain model, and when one becomes the other.

use super::*;
use crate::store::{Encoding, OwnedEntry};
use proptest::prelude::*;

fn entry(texts: &[Vec<u8>], end: End, limit: Limit) -> OwnedEntry {
    OwnedEntry::collection(b"key", created(end, texts.iter().map(Vec::as_slice), limit), None, 0)
}

fn contents(entry: &OwnedEntry) -> Vec<Vec<u8>> {
    ListRef::of(entry.get().value()).iter().map(|element| element.to_vec()).collect()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0u8..3).prop_map(|digit| vec![b'0' + digit]),
        any::<i32>().prop_map(|integer| integer.to_string().into_bytes()),
        (0usize..50).prop_map(|len| vec![b'x'; len]),
    ]
}

#[derive(Clone, Debug)]
enum Edit {
    Push(End, Vec<Vec<u8>>),
    Pop(End),
    PopMany(End, usize),
    Insert(Vec<u8>, bool, Vec<u8>),
    Set(i64, Vec<u8>),
    Trim(usize, usize),
    Remove(i64, Vec<u8>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let end = || prop_oneof![Just(End::Left), Just(End::Right)];
    prop_oneof![
        4 => (end(), prop::collection::vec(text(), 1..4)).prop_map(|(end, texts)| Edit::Push(end, texts)),
        1 => end().prop_map(Edit::Pop),
        1 => (end(), 0usize..6).prop_map(|(end, count)| Edit::PopMany(end, count)),
        2 => (text(), any::<bool>(), text()).prop_map(|(pivot, is_before, text)| {
            Edit::Insert(pivot, is_before, text)
        }),
        2 => (-9i64..9, text()).prop_map(|(index, text)| Edit::Set(index, text)),
        1 => (0usize..5, 1usize..30).prop_map(|(start, count)| Edit::Trim(start, count)),
        1 => (-3i64..3, text()).prop_map(|(count, text)| Edit::Remove(count, text)),
    ]
}

fn apply(entry: &mut OwnedEntry, model: &mut Vec<Vec<u8>>, edit: Edit, limit: Limit) {
    match edit {
        Edit::Push(end, texts) => {
            let len = push(entry, end, texts.iter().map(Vec::as_slice), limit);
            for text in texts {
                model.insert(if end == End::Left { 0 } else { model.len() }, text);
            }
            assert_eq!(len, model.len());
        }
        Edit::Pop(end) => {
            let expected = match end {
                End::Left => (!model.is_empty()).then(|| model.remove(0)),
                End::Right => model.pop(),
            };
            assert_eq!(pop(entry, end, limit, |element| element.to_vec()), expected);
        }
        Edit::PopMany(end, count) => {
            let mut popped = Vec::new();
            pop_many(entry, end, count, limit, |element| popped.push(element.to_vec()));
            let count = count.min(model.len());
            let expected: Vec<_> = match end {
                End::Left => model.drain(..count).collect(),
                End::Right => model.drain(model.len() - count..).rev().collect(),
            };
            assert_eq!(popped, expected);
        }
        Edit::Insert(pivot, is_before, text) => {
            let found = model.iter().position(|other| *other == pivot);
            if let Some(at) = found {
                model.insert(if is_before { at } else { at + 1 }, text.clone());
            }
            let len = insert(entry, &pivot, is_before, &text, limit);
            assert_eq!(len, found.map(|_| model.len()));
        }
        Edit::Set(index, text) => {
            let at = super::view::resolve(index, model.len());
            if let Some(at) = at {
                model[at] = text.clone();
            }
            assert_eq!(set(entry, index, &text, limit), at.is_some());
        }
        Edit::Trim(start, count) => {
            let start = start.min(model.len());
            let end = (start + count).min(model.len());
            let removed = model.len() - (end - start);
            *model = model[start..end].to_vec();
            assert_eq!(trim(entry, start..end, limit), removed);
        }
        Edit::Remove(count, text) => {
            let mut left = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
            let before = model.len();
            let mut keep = |other: &Vec<u8>| {
                let goes = *other == text && left > 0;
                left -= usize::from(goes);
                !goes
            };
            if count < 0 {
                model.reverse();
            }
            model.retain(&mut keep);
            if count < 0 {
                model.reverse();
            }
            assert_eq!(remove(entry, count, &text, limit), before - model.len());
        }
    }
}

proptest! {
    #[test]
    fn a_list_is_a_sequence_in_either_form(
        start in prop::collection::vec(text(), 1..20),
        end in prop_oneof![Just(End::Left), Just(End::Right)],
        edits in prop::collection::vec(edit(), 0..60),
        limit in prop_oneof![Just(Limit::Bytes(200)), Just(Limit::Count(10)), Just(Limit::Bytes(8192))],
    ) {
        let mut entry = entry(&start, end, limit);
        let mut model = start;
        if end == End::Left {
            model.reverse();
        }
        for edit in edits {
            apply(&mut entry, &mut model, edit, limit);
            prop_assert_eq!(&contents(&entry), &model);
            let list = ListRef::of(entry.get().value());
            prop_assert_eq!((list.len(), list.is_empty()), (model.len(), model.is_empty()));
            if let Some(last) = model.len().checked_sub(1) {
                let backwards: Vec<_> =
                    list.iter_back_from(last).map(|element| element.to_vec()).collect();
                prop_assert!(backwards.iter().eq(model.iter().rev()));
                let found = list.get(-1).map(|element| element.to_vec());
                prop_assert_eq!(found.as_ref(), model.last());
            }
            prop_assert!(list.get(model.len() as i64).is_none());
            prop_assert!(list.iter_back_from(model.len()).next().is_none());
        }
    }
}

fn encoding(entry: &OwnedEntry) -> Encoding {
    entry.get().encoding()
}

#[test]
fn a_list_beyond_its_limit_is_large_until_it_has_half_of_it() {
    let limit = Limit::Count(4);
    let texts: Vec<_> = (0..4).map(|number: u8| vec![b'a' + number]).collect();
    let mut list = entry(&texts, End::Right, limit);
    assert_eq!(encoding(&list), Encoding::Listpack);
    push_one(&mut list, End::Right, b"e", limit);
    assert_eq!(encoding(&list), Encoding::Quicklist);
    pop(&mut list, End::Right, limit, |_| ());
    pop(&mut list, End::Right, limit, |_| ());
    assert_eq!(encoding(&list), Encoding::Quicklist);
    pop(&mut list, End::Right, limit, |_| ());
    assert_eq!(encoding(&list), Encoding::Listpack);
    assert_eq!(contents(&list), texts[..2]);
    // What may not come counts too, as in Redis.
    push_one(&mut list, End::Left, b"x", limit);
    push_one(&mut list, End::Left, b"y", limit);
    assert_eq!(insert(&mut list, b"absent", true, b"z", limit), None);
    assert_eq!(encoding(&list), Encoding::Quicklist);
    assert_eq!(trim(&mut list, 1..3, limit), 2);
    assert_eq!(encoding(&list), Encoding::Listpack);
}

#[test]
fn bytes_count_as_those_of_the_texts() {
    let limit = Limit::Bytes(100);
    let list = entry(&[vec![b'x'; 93]], End::Right, limit);
    assert_eq!(encoding(&list), Encoding::Listpack);
    let mut list = entry(&[vec![b'x'; 94]], End::Right, limit);
    assert_eq!(encoding(&list), Encoding::Quicklist);
    assert!(set(&mut list, 0, b"short", limit));
    assert_eq!(encoding(&list), Encoding::Listpack);
}
