//! Sets: an intset while all members are integers and not too many, a listpack while there are few and short ones, else
//! a [`Set`].
//!
//! When a set passes from one form to the next follows Redis 7.2 (`src/t_set.c`): never back, but where a new set is made
//! of the members of others.

mod choice;

pub use choice::choose;

use crate::collections::intset::{self, Intset, IntsetMut};
use crate::collections::listpack::{self, Element, Listpack, ListpackMut};
use crate::collections::{Limits, Set};
use crate::store::{Collection, Hasher, LargeValue, OwnedEntry, Packing, Value, ValueMut};

/// A set to be read.
#[derive(Clone, Copy, Debug)]
pub enum SetView<'a> {
    Intset(Intset<'a>),
    Listpack(Listpack<'a>),
    Large(&'a Set),
}

/// A member on its way to sets: what looking it up takes is worked out once.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'m, 'h> {
    member: Element<'m>,
    hasher: &'h Hasher,
    hash: Option<u64>,
}

impl<'a> SetView<'a> {
    /// # Panics
    /// If the value is no set.
    #[inline]
    pub fn of(value: Value<'a>) -> SetView<'a> {
        match value {
            Value::Packed(Packing::Intset, bytes) => SetView::Intset(Intset::new(bytes)),
            Value::Packed(Packing::Set, bytes) => SetView::Listpack(Listpack::new(bytes)),
            Value::Set(set) => SetView::Large(set),
            other => panic!("a {} is taken for a set", other.value_type().name()),
        }
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            SetView::Intset(intset) => intset.len(),
            SetView::Listpack(listpack) => listpack.len(),
            SetView::Large(set) => set.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn contains(self, hasher: &Hasher, member: &[u8]) -> bool {
        match self {
            SetView::Intset(intset) => {
                Element::of(member).integer().is_some_and(|integer| intset.contains(integer))
            }
            SetView::Listpack(listpack) => listpack.find(listpack.first(), member, 0).is_some(),
            SetView::Large(set) => set.contains(hasher.hash(member), member),
        }
    }

    /// As [`Self::contains`], for a member that is looked for in several sets.
    pub fn contains_sought(self, sought: &mut Sought) -> bool {
        match self {
            SetView::Intset(intset) => {
                sought.member.integer().is_some_and(|integer| intset.contains(integer))
            }
            SetView::Listpack(listpack) => sought
                .member
                .with_bytes(|member| listpack.find(listpack.first(), member, 0).is_some()),
            SetView::Large(set) => sought.member.with_bytes(|member| {
                let hash = *sought.hash.get_or_insert_with(|| sought.hasher.hash(member));
                set.contains(hash, member)
            }),
        }
    }

    /// Calls `f` with each member, as long as it returns true.
    #[inline]
    pub fn each_while(self, f: impl FnMut(Element<'a>) -> bool) {
        let mut f = f;
        match self {
            SetView::Intset(intset) => {
                intset.iter().all(|integer| f(Element::Integer(integer)));
            }
            SetView::Listpack(listpack) => {
                listpack.iter().all(f);
            }
            SetView::Large(set) => {
                set.iter().all(|member| f(Element::Bytes(member)));
            }
        }
    }

    /// Calls `f` with each member.
    #[inline]
    pub fn for_each(self, f: impl FnMut(Element<'a>)) {
        let mut f = f;
        self.each_while(|member| {
            f(member);
            true
        });
    }

    /// A member chosen by random bits. `None`: there are none.
    pub fn random(self, random: u64) -> Option<Element<'a>> {
        let index = |len: usize| ((u128::from(random) * len as u128) >> 64) as usize;
        match self {
            SetView::Intset(intset) if intset.is_empty() => None,
            SetView::Intset(intset) => Some(Element::Integer(intset.nth(index(intset.len())))),
            SetView::Listpack(listpack) => listpack.get(index(listpack.len()) as i64),
            SetView::Large(set) => set.random(random).map(Element::Bytes),
        }
    }
}

impl<'m, 'h> Sought<'m, 'h> {
    #[inline]
    pub fn new(member: Element<'m>, hasher: &'h Hasher) -> Sought<'m, 'h> {
        Sought { member, hasher, hash: None }
    }
}

/// How a set begins whose first member this is.
#[inline]
pub fn packing_for(first: &[u8]) -> Packing {
    match Element::of(first) {
        Element::Integer(_) => Packing::Intset,
        Element::Bytes(_) => Packing::Set,
    }
}

/// Makes a set large if it would be with so many more members, whatever they are.
#[inline]
pub fn expect_more(entry: &mut OwnedEntry, hasher: &Hasher, limits: &Limits, more: usize) {
    let view = SetView::of(entry.get().value());
    let most = match view {
        SetView::Intset(_) => limits.set_max_intset_entries,
        SetView::Listpack(_) => limits.set_max_listpack_entries,
        SetView::Large(_) => return,
    };
    // A count that is out of the question need not be added to one that may have to be counted.
    if more > most || view.len() + more > most {
        let large = large(view, hasher);
        entry.set_collection(large);
    }
}

/// Puts a member in; false if it was there.
#[inline]
pub fn add(entry: &mut OwnedEntry, hasher: &Hasher, limits: &Limits, member: &[u8]) -> bool {
    match entry.value_mut() {
        ValueMut::Set(set) => set.insert(hasher, hasher.hash(member), member),
        ValueMut::Packed(Packing::Intset, _) => add_to_intset(entry, hasher, limits, member),
        ValueMut::Packed(Packing::Set, _) => add_to_listpack(entry, hasher, limits, member),
        _ => panic!("a member is added to what is no set"),
    }
}

fn add_to_intset(entry: &mut OwnedEntry, hasher: &Hasher, limits: &Limits, member: &[u8]) -> bool {
    let ValueMut::Packed(_, mut bytes) = entry.value_mut() else { return false };
    if let Element::Integer(integer) = Element::of(member) {
        let mut intset = IntsetMut::new(&mut bytes);
        let is_new = intset.insert(integer);
        if is_new && intset.view().len() > limits.set_max_intset_entries {
            let large = large(SetView::of(entry.get().value()), hasher);
            entry.set_collection(large);
        }
        return is_new;
    }
    let view = SetView::of(entry.get().value());
    if view.len() < limits.set_max_listpack_entries
        && member.len() <= limits.set_max_listpack_value
        && longest(view) <= limits.set_max_listpack_value
    {
        let mut packed = listpack(view);
        ListpackMut::new(&mut packed).push_back(Element::Bytes(member));
        entry.set_packed(Packing::Set, &packed);
    } else {
        let large = large(view, hasher);
        entry.set_collection(large);
        add(entry, hasher, limits, member);
    }
    true
}

fn add_to_listpack(
    entry: &mut OwnedEntry,
    hasher: &Hasher,
    limits: &Limits,
    member: &[u8],
) -> bool {
    let ValueMut::Packed(_, mut bytes) = entry.value_mut() else { return false };
    let mut packed = ListpackMut::new(&mut bytes);
    let view = packed.view();
    if view.find(view.first(), member, 0).is_some() {
        return false;
    }
    let element = Element::of(member);
    if view.len() < limits.set_max_listpack_entries
        && member.len() <= limits.set_max_listpack_value
        && view.bytes().len() + element.stored_bytes() < listpack::BYTES_MAX
    {
        packed.push_back(element);
    } else {
        let large = large(SetView::Listpack(view), hasher);
        entry.set_collection(large);
        add(entry, hasher, limits, member);
    }
    true
}

/// Takes a member out; false if it was not there. The set may be empty then.
#[inline]
pub fn remove(entry: &mut OwnedEntry, hasher: &Hasher, member: &[u8]) -> bool {
    match entry.value_mut() {
        ValueMut::Set(set) => set.remove(hasher, hasher.hash(member), member),
        ValueMut::Packed(Packing::Intset, mut bytes) => match Element::of(member) {
            Element::Integer(integer) => IntsetMut::new(&mut bytes).remove(integer),
            Element::Bytes(_) => false,
        },
        ValueMut::Packed(Packing::Set, mut bytes) => {
            let mut packed = ListpackMut::new(&mut bytes);
            let view = packed.view();
            let found = view.find(view.first(), member, 0);
            if let Some(position) = found {
                packed.remove(position);
            }
            found.is_some()
        }
        _ => panic!("a member is removed from what is no set"),
    }
}

/// A set of what others hold, in the form that it would have got by insertion. Members that are there twice are kept
/// once.
#[derive(Debug)]
pub struct SetBuilder<'h> {
    hasher: &'h Hasher,
    limits: Limits,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Intset(Vec<u8>),
    Listpack(Vec<u8>),
    Large(Box<Set>),
}

impl<'h> SetBuilder<'h> {
    pub fn new(hasher: &'h Hasher, limits: Limits) -> SetBuilder<'h> {
        SetBuilder { hasher, limits, form: Form::Intset(intset::new_empty().to_vec()) }
    }

    /// Puts a member in; false if it was there.
    pub fn add(&mut self, member: Element) -> bool {
        if let (Form::Intset(bytes), Some(integer)) = (&mut self.form, member.integer()) {
            let mut intset = IntsetMut::new(bytes);
            let is_new = intset.insert(integer);
            if is_new && intset.view().len() > self.limits.set_max_intset_entries {
                self.form = Form::Large(self.large());
            }
            return is_new;
        }
        if let Form::Intset(_) = self.form {
            let view = self.view();
            self.form = if view.len() < self.limits.set_max_listpack_entries
                && longest(view) <= self.limits.set_max_listpack_value
            {
                Form::Listpack(listpack(view))
            } else {
                Form::Large(self.large())
            };
        }
        member.with_bytes(|member| self.add_text(member))
    }

    /// As [`Self::add`], where the set is no intset.
    fn add_text(&mut self, member: &[u8]) -> bool {
        if let Form::Listpack(bytes) = &mut self.form {
            let mut packed = ListpackMut::new(bytes);
            let view = packed.view();
            if view.find(view.first(), member, 0).is_some() {
                return false;
            }
            if view.len() < self.limits.set_max_listpack_entries
                && member.len() <= self.limits.set_max_listpack_value
            {
                packed.push_back(Element::of(member));
                return true;
            }
            self.form = Form::Large(self.large());
        }
        let Form::Large(set) = &mut self.form else { return false };
        set.insert(self.hasher, self.hasher.hash(member), member)
    }

    pub fn view(&self) -> SetView<'_> {
        match &self.form {
            Form::Intset(bytes) => SetView::Intset(Intset::new(bytes)),
            Form::Listpack(bytes) => SetView::Listpack(Listpack::new(bytes)),
            Form::Large(set) => SetView::Large(set),
        }
    }

    /// The set. It may be empty.
    pub fn finish(self) -> Collection {
        match self.form {
            Form::Intset(bytes) => Collection::Packed(Packing::Intset, bytes),
            Form::Listpack(bytes) => Collection::Packed(Packing::Set, bytes),
            Form::Large(set) => Collection::Large(LargeValue::Set(set)),
        }
    }

    fn large(&self) -> Box<Set> {
        large_set(self.view(), self.hasher)
    }
}

/// The listpack of the same members.
fn listpack(view: SetView) -> Vec<u8> {
    let mut packed = listpack::new_empty().to_vec();
    view.for_each(|member| ListpackMut::new(&mut packed).push_back(member));
    packed
}

/// The large set of the same members.
fn large(view: SetView, hasher: &Hasher) -> Collection {
    Collection::Large(LargeValue::Set(large_set(view, hasher)))
}

fn large_set(view: SetView, hasher: &Hasher) -> Box<Set> {
    let mut set = Box::new(Set::new());
    view.for_each(|member| {
        member.with_bytes(|member| {
            set.insert(hasher, hasher.hash(member), member);
        });
    });
    set
}

/// The length of the longest member of an intset.
fn longest(view: SetView) -> usize {
    match view {
        SetView::Intset(intset) if !intset.is_empty() => {
            let ends = [intset.nth(0), intset.nth(intset.len() - 1)];
            ends.into_iter().map(|end| Element::Integer(end).text_len()).max().unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn hasher() -> Hasher {
        Hasher::new([1, 2, 3, 4])
    }

    fn small_limits() -> Limits {
        Limits {
            set_max_intset_entries: 6,
            set_max_listpack_entries: 4,
            set_max_listpack_value: 5,
            ..Limits::default()
        }
    }

    fn member() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            3 => (-9..40i64).prop_map(|integer| integer.to_string().into_bytes()),
            1 => any::<i64>().prop_map(|integer| integer.to_string().into_bytes()),
            2 => "[a-d]{0,2}".prop_map(String::into_bytes),
            1 => "0[0-3]|-0|[a-b]{5,6}".prop_map(String::into_bytes),
        ]
    }

    fn members(view: SetView) -> BTreeSet<Vec<u8>> {
        let mut all = BTreeSet::new();
        view.for_each(|member| assert!(all.insert(member.to_vec())));
        assert_eq!(all.len(), view.len());
        all
    }

    proptest! {
        #[test]
        fn a_set_of_any_form_holds_what_a_set_holds(
            steps in prop::collection::vec((any::<bool>(), member()), 0..60),
        ) {
            let (hasher, limits) = (hasher(), small_limits());
            let mut entry = OwnedEntry::packed(b"key", Packing::Intset, Packing::Intset.empty(), None, 0);
            let mut builder = SetBuilder::new(&hasher, limits);
            let (mut model, mut all) = (BTreeSet::new(), BTreeSet::new());
            for (adds, member) in steps {
                if adds {
                    let is_new = model.insert(member.clone());
                    prop_assert_eq!(add(&mut entry, &hasher, &limits, &member), is_new);
                    prop_assert_eq!(builder.add(Element::of(&member)), all.insert(member));
                } else {
                    prop_assert_eq!(remove(&mut entry, &hasher, &member), model.remove(&member));
                }
                let view = SetView::of(entry.get().value());
                prop_assert_eq!(&members(view), &model);
                for member in &all {
                    let mut sought = Sought::new(Element::of(member), &hasher);
                    prop_assert_eq!(view.contains(&hasher, member), model.contains(member));
                    prop_assert_eq!(view.contains_sought(&mut sought), model.contains(member));
                }
                let random = view.random(u64::MAX / 3).map(Element::to_vec);
                prop_assert_eq!(random.is_some(), !model.is_empty());
                prop_assert!(random.is_none_or(|member| model.contains(&member)));
                match view {
                    SetView::Intset(intset) => prop_assert!(intset.len() <= 6),
                    SetView::Listpack(listpack) => {
                        prop_assert!(listpack.len() <= 4);
                        prop_assert!(model.iter().all(|member| member.len() <= 5));
                    }
                    SetView::Large(_) => {}
                }
            }
            prop_assert_eq!(&members(builder.view()), &all);
            let collection = builder.finish();
            prop_assert_eq!(&members(SetView::of(collection.get())), &all);
        }
    }

    /// The form of a set after these members.
    fn form(members: &[&str]) -> &'static str {
        let hasher = hasher();
        let first = packing_for(members[0].as_bytes());
        let mut entry = OwnedEntry::packed(b"key", first, first.empty(), None, 0);
        for member in members {
            add(&mut entry, &hasher, &small_limits(), member.as_bytes());
        }
        entry.get().encoding().name()
    }

    #[test]
    fn a_set_changes_its_form_where_redis_does() {
        assert_eq!(form(&["1", "2", "3", "4", "5", "6"]), "intset");
        assert_eq!(form(&["1", "2", "3", "4", "5", "6", "7"]), "hashtable");
        assert_eq!(form(&["1", "2", "3", "a"]), "listpack");
        assert_eq!(form(&["1", "2", "3", "4", "a"]), "hashtable");
        assert_eq!(form(&["a", "b", "c", "1"]), "listpack");
        assert_eq!(form(&["a", "b", "c", "1", "2"]), "hashtable");
        assert_eq!(form(&["abcde"]), "listpack");
        assert_eq!(form(&["abcdef"]), "hashtable");
        assert_eq!(form(&["123456", "a"]), "hashtable");
    }

    #[test]
    fn a_set_that_is_to_get_many_members_is_large_at_once() {
        let hasher = hasher();
        for (packing, more, encoding) in [
            (Packing::Intset, 6, "intset"),
            (Packing::Intset, 7, "hashtable"),
            (Packing::Set, 4, "listpack"),
            (Packing::Set, 5, "hashtable"),
        ] {
            let mut entry = OwnedEntry::packed(b"key", packing, packing.empty(), None, 0);
            expect_more(&mut entry, &hasher, &small_limits(), more);
            assert_eq!(entry.get().encoding().name(), encoding);
        }
    }
}
