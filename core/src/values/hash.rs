//! Hashes in either form: a listpack of fields, each followed by its value, or a large [`Hash`].
//!
//! A hash becomes large when it gets too many fields, a field or value that is too long, or a field that expires; it
//! stays so. Fields that are due are the reader's to hide: a [`HashView`] is told from which time on fields are seen.

use crate::collections::hash::FieldExpiry;
use crate::collections::listpack::{Element, Listpack, ListpackMut};
use crate::collections::{Buffer, Hash, Limits};
use crate::store::{Collection, Hasher, LargeValue, OwnedEntry, Packing, Value, ValueMut};

/// A field's value and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub value: Element<'a>,
    pub expire_at: Option<i64>,
}

/// A hash to be read.
#[derive(Clone, Copy, Debug)]
pub struct HashView<'a> {
    form: Form<'a>,
    /// Fields that expire earlier are not seen.
    seen_from: i64,
}

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Packed(Listpack<'a>),
    Large(&'a Hash),
}

impl<'a> HashView<'a> {
    /// `None` where the value is no hash. `seen_from`: fields whose time is before are hidden.
    #[inline]
    pub fn new(value: Value<'a>, seen_from: i64) -> Option<HashView<'a>> {
        let form = match value {
            Value::Packed(Packing::Hash, packed) => Form::Packed(Listpack::new(packed)),
            Value::Hash(hash) => Form::Large(hash),
            _ => return None,
        };
        Some(HashView { form, seen_from })
    }

    /// All fields that are there, as [`Self::new`] with all times seen.
    pub fn whole(value: Value<'a>) -> Option<HashView<'a>> {
        HashView::new(value, i64::MIN)
    }

    #[inline]
    fn sees(&self, expire_at: Option<i64>) -> bool {
        expire_at.is_none_or(|at| at >= self.seen_from)
    }

    /// Whether some field is hidden.
    #[inline]
    fn hides(&self, hash: &Hash) -> bool {
        hash.next_expiry().is_some_and(|at| at < self.seen_from)
    }

    /// The number of fields. Costs a step for each that is hidden.
    #[inline]
    pub fn len(&self) -> usize {
        match self.form {
            Form::Packed(listpack) => listpack.len() / 2,
            Form::Large(hash) => hash.len() - hash.due_len(self.seen_from),
        }
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it is a large hash, of which any number of fields may expire.
    pub fn is_large(&self) -> bool {
        matches!(self.form, Form::Large(_))
    }

    #[inline]
    pub fn get(&self, hasher: &Hasher, name: &[u8]) -> Option<Found<'a>> {
        match self.form {
            Form::Packed(listpack) => {
                let at = listpack.find(listpack.first(), name, 1)?;
                Some(Found { value: listpack.at(listpack.next(at)), expire_at: None })
            }
            Form::Large(hash) => {
                let field = hash.get(hasher.hash(name), name)?;
                let found =
                    Found { value: Element::Bytes(field.value), expire_at: field.expire_at };
                self.sees(field.expire_at).then_some(found)
            }
        }
    }

    /// Calls `f` with each field, its value and its time.
    #[inline]
    pub fn for_each(&self, mut f: impl FnMut(Element<'a>, Found<'a>)) {
        match self.form {
            Form::Packed(listpack) => {
                let mut elements = listpack.iter();
                while let (Some(name), Some(value)) = (elements.next(), elements.next()) {
                    f(name, Found { value, expire_at: None });
                }
            }
            Form::Large(hash) => {
                hash.iter().filter(|field| self.sees(field.expire_at)).for_each(|field| {
                    let value = Element::Bytes(field.value);
                    f(Element::Bytes(field.name), Found { value, expire_at: field.expire_at });
                });
            }
        }
    }

    /// All fields with their values.
    pub fn pairs(&self) -> Vec<(Element<'a>, Element<'a>)> {
        let mut pairs = Vec::with_capacity(self.len());
        self.for_each(|name, found| pairs.push((name, found.value)));
        pairs
    }

    /// Draws fields by chance, each as likely as any other: what it returns gives one more each time it is asked, `None`
    /// only if there are none.
    pub fn draws(
        self,
        mut random: impl FnMut() -> u64 + 'a,
    ) -> Box<dyn FnMut() -> Option<(Element<'a>, Element<'a>)> + 'a> {
        match self.form {
            // Where fields are hidden, those that are seen are gathered first.
            Form::Large(hash) if !self.hides(hash) => Box::new(move || {
                let field = hash.random(random())?;
                Some((Element::Bytes(field.name), Element::Bytes(field.value)))
            }),
            _ => {
                let pairs = self.pairs();
                Box::new(move || {
                    let index = (u128::from(random()) * pairs.len() as u128) >> u64::BITS;
                    pairs.get(index as usize).copied()
                })
            }
        }
    }

    /// One field by chance.
    pub fn random(&self, random: u64) -> Option<(Element<'a>, Element<'a>)> {
        match self.form {
            Form::Packed(listpack) => {
                let index = (u128::from(random) * (listpack.len() / 2) as u128) >> u64::BITS;
                let at = listpack.seek(index as i64 * 2)?;
                Some((listpack.at(at), listpack.at(listpack.next(at))))
            }
            Form::Large(_) => self.draws(move || random)(),
        }
    }

    /// Visits a packed hash whole, a large one from a cursor on as [`Hash::scan`] does. Returns the cursor to go on
    /// from, 0 at the end.
    pub fn scan(
        &self,
        cursor: u64,
        limit: usize,
        mut f: impl FnMut(Element<'_>, Element<'_>),
    ) -> u64 {
        match self.form {
            Form::Packed(_) => {
                self.for_each(|name, found| f(name, found.value));
                0
            }
            Form::Large(hash) => hash.scan(cursor, limit, |field| {
                if self.sees(field.expire_at) {
                    f(Element::Bytes(field.name), Element::Bytes(field.value));
                }
            }),
        }
    }
}

/// Sets a field to a value; true if it was not there.
#[inline]
pub fn set(
    entry: &mut OwnedEntry,
    hasher: &Hasher,
    limits: &Limits,
    name: &[u8],
    value: &[u8],
    expiry: FieldExpiry,
) -> bool {
    match entry.value_mut() {
        ValueMut::Hash(hash) => hash.set(hasher, hasher.hash(name), name, value, expiry),
        ValueMut::Packed(_, mut packed) => {
            let longest = limits.hash_max_listpack_value;
            let fits = name.len() <= longest
                && value.len() <= longest
                && !matches!(expiry, FieldExpiry::At(_));
            if fits && let Some(is_new) = set_packed(&mut packed, limits, name, value) {
                return is_new;
            }
            make_large(entry, hasher).set(hasher, hasher.hash(name), name, value, expiry)
        }
        _ => unreachable!("the caller has looked at the type"),
    }
}

/// `None`: that would be one field too many.
#[inline]
fn set_packed(
    packed: &mut impl Buffer,
    limits: &Limits,
    name: &[u8],
    value: &[u8],
) -> Option<bool> {
    let mut listpack = ListpackMut::new(packed);
    let view = listpack.view();
    if let Some(at) = view.find(view.first(), name, 1) {
        let at = view.next(at);
        if !view.at(at).is(value) {
            listpack.replace(at, Element::of(value));
        }
        return Some(false);
    }
    if view.len() / 2 >= limits.hash_max_listpack_entries {
        return None;
    }
    let end = view.end();
    listpack.exchange(end..end, 0, &[Element::of(name), Element::of(value)]);
    Some(true)
}

/// Gives a field another time, or none; false if there is no such field. A hash of which a field expires is large.
pub fn set_expiry(
    entry: &mut OwnedEntry,
    hasher: &Hasher,
    name: &[u8],
    expire_at: Option<i64>,
) -> bool {
    if let ValueMut::Packed(_, packed) = entry.value_mut() {
        let listpack = Listpack::new(packed.bytes());
        let is_there = listpack.find(listpack.first(), name, 1).is_some();
        if !is_there || expire_at.is_none() {
            return is_there;
        }
    }
    make_large(entry, hasher).set_expiry(hasher, hasher.hash(name), name, expire_at)
}

/// Takes a field out; false if it was not there.
#[inline]
pub fn remove(entry: &mut OwnedEntry, hasher: &Hasher, name: &[u8]) -> bool {
    match entry.value_mut() {
        ValueMut::Hash(hash) => hash.remove(hasher, hasher.hash(name), name),
        ValueMut::Packed(_, mut packed) => {
            let mut listpack = ListpackMut::new(&mut packed);
            let view = listpack.view();
            let Some(at) = view.find(view.first(), name, 1) else { return false };
            listpack.remove_many(at, 2);
            true
        }
        _ => unreachable!("the caller has looked at the type"),
    }
}

/// The field of a hash under change.
#[inline]
pub fn get<'e>(entry: &'e OwnedEntry, hasher: &Hasher, name: &[u8]) -> Option<Found<'e>> {
    HashView::whole(entry.get().value())?.get(hasher, name)
}

/// The hash in its large form, which it has from now on.
fn make_large<'e>(entry: &'e mut OwnedEntry, hasher: &Hasher) -> &'e mut Hash {
    if let ValueMut::Packed(_, packed) = entry.value_mut() {
        let hash = Box::new(unpacked(packed.bytes(), hasher));
        entry.set_collection(Collection::Large(LargeValue::Hash(hash)));
    }
    match entry.value_mut() {
        ValueMut::Hash(hash) => hash,
        _ => unreachable!("it has just been put there"),
    }
}

/// What a packed hash holds, as a large one.
pub fn unpacked(packed: &[u8], hasher: &Hasher) -> Hash {
    let mut hash = Hash::new();
    let mut elements = Listpack::new(packed).iter();
    let (mut name_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
    while let (Some(name), Some(value)) = (elements.next(), elements.next()) {
        let (name, value) = (name.text(&mut name_digits), value.text(&mut value_digits));
        hash.set(hasher, hasher.hash(name), name, value, FieldExpiry::Clear);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn hasher() -> Hasher {
        Hasher::new([1, 2, 3, 4])
    }

    fn text(element: Element) -> Vec<u8> {
        element.to_vec()
    }

    type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

    #[derive(Clone, Debug)]
    enum Step {
        Set(u8, Vec<u8>, FieldExpiry),
        SetExpiry(u8, Option<i64>),
        Remove(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let value = prop_oneof![
            4 => (any::<i32>()).prop_map(|number| number.to_string().into_bytes()),
            4 => prop::collection::vec(any::<u8>(), 0..20),
            1 => Just(vec![b'x'; 65]),
        ];
        let expiry = prop_oneof![
            8 => Just(FieldExpiry::Clear),
            4 => Just(FieldExpiry::Keep),
            1 => (0..100i64).prop_map(FieldExpiry::At),
        ];
        prop_oneof![
            6 => (0..40u8, value, expiry).prop_map(|(name, value, expiry)| Step::Set(name, value, expiry)),
            1 => (0..40u8, prop::option::of(0..100i64)).prop_map(|(name, at)| Step::SetExpiry(name, at)),
            3 => (0..40u8).prop_map(Step::Remove),
        ]
    }

    fn name(number: u8) -> Vec<u8> {
        if number % 2 == 0 { number.to_string().into_bytes() } else { format!("f{number}").into() }
    }

    proptest! {
        #[test]
        fn both_forms_are_the_same_map(
            steps in prop::collection::vec(step(), 0..80),
            seen_from in 0..100i64,
        ) {
            let limits = Limits { hash_max_listpack_entries: 16, ..Limits::default() };
            let hasher = hasher();
            let mut entry =
                OwnedEntry::packed(b"key", Packing::Hash, Packing::Hash.empty(), None, 0);
            let (mut model, mut is_large) = (Model::new(), false);
            for step in steps {
                match step {
                    Step::Set(number, value, expiry) => {
                        let name = name(number);
                        let is_new = set(&mut entry, &hasher, &limits, &name, &value, expiry);
                        prop_assert_eq!(is_new, !model.contains_key(&name));
                        let before = model.get(&name).and_then(|(_, at)| *at);
                        let at = match expiry {
                            FieldExpiry::Keep => before,
                            FieldExpiry::Clear => None,
                            FieldExpiry::At(at) => Some(at),
                        };
                        is_large |= value.len() > 64 || matches!(expiry, FieldExpiry::At(_));
                        model.insert(name, (value, at));
                        is_large |= model.len() > 16;
                    }
                    Step::SetExpiry(number, at) => {
                        let name = name(number);
                        let found = set_expiry(&mut entry, &hasher, &name, at);
                        prop_assert_eq!(found, model.contains_key(&name));
                        if let Some((_, expire_at)) = model.get_mut(&name) {
                            *expire_at = at;
                            is_large |= at.is_some();
                        }
                    }
                    Step::Remove(number) => {
                        let name = name(number);
                        let removed = remove(&mut entry, &hasher, &name);
                        prop_assert_eq!(removed, model.remove(&name).is_some());
                    }
                }
                let whole = HashView::whole(entry.get().value()).unwrap();
                prop_assert_eq!(whole.is_large(), is_large);
                let mut found = Model::new();
                whole.for_each(|name, field| {
                    found.insert(text(name), (text(field.value), field.expire_at));
                });
                prop_assert_eq!(&found, &model);
            }
            let seen: Model = model
                .clone()
                .into_iter()
                .filter(|(_, (_, at))| at.is_none_or(|at| at >= seen_from))
                .collect();
            let view = HashView::new(entry.get().value(), seen_from).unwrap();
            prop_assert_eq!(view.len(), seen.len());
            for name in model.keys() {
                let found = view.get(&hasher, name).map(|field| (text(field.value), field.expire_at));
                prop_assert_eq!(found.as_ref(), seen.get(name));
            }
            let mut scanned = BTreeMap::new();
            let mut cursor = 0;
            loop {
                cursor = view.scan(cursor, 3, |name, value| {
                    scanned.insert(text(name), text(value));
                });
                if cursor == 0 {
                    break;
                }
            }
            let values: BTreeMap<_, _> =
                seen.into_iter().map(|(name, (value, _))| (name, value)).collect();
            prop_assert_eq!(&scanned, &values);
            let mut random = 0u64;
            let mut draw = view.draws(move || {
                random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                random
            });
            for _ in 0..20 {
                match draw() {
                    Some((name, value)) => {
                        prop_assert_eq!(values.get(&text(name)), Some(&text(value)));
                    }
                    None => prop_assert!(values.is_empty()),
                }
            }
        }
    }
}
