//! Hashes in RDB.
//!
//! | type | since | layout |
//! | --- | --- | --- |
//! | 4 | RDB 1 | number of fields; name, value … |
//! | 9 | RDB 1 | a zipmap, as a string |
//! | 13 | RDB 4 | a ziplist of names and values, as a string |
//! | 16 | RDB 10 | a listpack of names and values, as a string |
//! | 22 | Valkey 9 (RDB 80) | number of fields; name, value, time (`i64`, little-endian; -1: never) … |
//! | 24 | Redis 7.4 (RDB 12) | the earliest time (`i64`); number of fields; time, name, value … |
//! | 25 | Redis 7.4 (RDB 12) | the earliest time (`i64`); a listpack of names, values and times (0: never), as a string |
//!
//! Times are milliseconds since the Unix epoch; those of type 24 are lengths: 0 for never, otherwise what the time is
//! behind the earliest, plus 1.
//!
//! A reader of RDB 10 or 11 cannot be told of times: it gets the fields without them. (Fields that are due are among
//! them: nothing here knows the time.)
//!
//! Source: `src/rdb.c` of Redis 7.2, and what DUMP of redis-server 8.0 and valkey-server 9.1 answer.

use super::input::{DecodeError, Input};
use super::length;
use super::slices::{Slices, write_items};
use super::string;
use super::value::{Builder, Format, type_byte};
use crate::collections::Hash;
use crate::collections::hash::{FieldExpiry, FieldRef};
use crate::collections::listpack::{self, Element, Listpack, ListpackMut};
use crate::collections::records::{Field, RecordId, StillRecords};
use crate::collections::ziplist::Ziplist;
use crate::collections::zipmap::Zipmap;
use crate::store::{Collection, DropSome, Hasher, LargeValue, Packing, Value};
use crate::values::hash::{HashView, unpacked};
use std::borrow::Cow;

/// The first version of Redis, and of Valkey, that has times of fields.
const REDIS_WITH_TIMES: u16 = 12;
const VALKEY_WITH_TIMES: u16 = 80;

/// What is said in the place of a time by type 22.
const NEVER: i64 = -1;

/// The type byte under which [`write`] writes it.
pub fn type_byte(value: &Value, format: Format) -> u8 {
    match value {
        Value::Packed(..) if format.has_listpacks() => type_byte::HASH_LISTPACK,
        Value::Hash(hash) if hash.next_expiry().is_some() => match format.version {
            VALKEY_WITH_TIMES.. => type_byte::HASH_2,
            REDIS_WITH_TIMES.. => type_byte::HASH_METADATA,
            _ => type_byte::HASH,
        },
        _ => type_byte::HASH,
    }
}

/// Appends it without its type byte.
pub fn write(out: &mut Vec<u8>, value: &Value, format: Format) {
    match (type_byte(value, format), value) {
        (type_byte::HASH_LISTPACK, Value::Packed(_, packed)) => {
            string::write(out, packed, format.compress);
        }
        (_, Value::Hash(hash)) => {
            let layout = LargeLayout::of(hash, format);
            layout.begin(out, hash.len());
            hash.iter().for_each(|field| layout.write_field(out, field));
        }
        _ => {
            let Some(hash) = HashView::whole(*value) else { return };
            length::write(out, hash.len() as u64);
            hash.for_each(|name, found| {
                string::write_element(out, name, format.compress);
                string::write_element(out, found.value, format.compress);
            });
        }
    }
}

/// How a large hash is written.
struct LargeLayout {
    type_byte: u8,
    /// When the first field expires; of type 24 only.
    earliest: i64,
    compress: bool,
}

impl LargeLayout {
    fn of(hash: &Hash, format: Format) -> LargeLayout {
        LargeLayout {
            type_byte: type_byte(&Value::Hash(hash), format),
            earliest: hash.next_expiry().unwrap_or(0),
            compress: format.compress,
        }
    }

    fn begin(&self, out: &mut Vec<u8>, len: usize) {
        if self.type_byte == type_byte::HASH_METADATA {
            out.extend_from_slice(&self.earliest.to_le_bytes());
        }
        length::write(out, len as u64);
    }

    fn write_field(&self, out: &mut Vec<u8>, field: FieldRef) {
        if self.type_byte == type_byte::HASH_METADATA {
            let behind = |at: i64| at.abs_diff(self.earliest).saturating_add(1);
            length::write(out, field.expire_at.map_or(0, behind));
        }
        string::write(out, field.name, self.compress);
        string::write(out, field.value, self.compress);
        if self.type_byte == type_byte::HASH_2 {
            out.extend_from_slice(&field.expire_at.unwrap_or(NEVER).to_le_bytes());
        }
    }
}

/// A large hash that is written bit by bit.
pub struct HashSlices {
    fields: StillRecords<Field>,
    layout: LargeLayout,
    /// The field to go on from; `None`: nothing was written.
    next: Option<RecordId>,
}

impl HashSlices {
    pub fn new(hash: &Hash, format: Format) -> HashSlices {
        HashSlices { fields: hash.hold(), layout: LargeLayout::of(hash, format), next: None }
    }
}

impl DropSome for HashSlices {
    fn drop_some(&mut self, budget: usize) -> bool {
        self.fields.drop_some(budget)
    }
}

impl Slices for HashSlices {
    fn write_some(&mut self, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        let HashSlices { fields, layout, next } = self;
        let end = out.len() + bytes_max;
        if next.is_none() {
            layout.begin(out, fields.count());
        }
        let rest = fields.iter_from(*next);
        write_items(out, end, next, rest, |out, field| layout.write_field(out, FieldRef::of(field)))
    }
}

/// The value of type `type_byte` that comes next.
pub fn parse(
    type_byte: u8,
    input: &mut Input,
    builder: &Builder,
) -> Result<Collection, DecodeError> {
    let at = input.position();
    let malformed = |reason| Input::malformed(at, reason);
    let mut fields = Fields::new(builder, at);
    match type_byte {
        type_byte::HASH => {
            for _ in 0..length::parse_plain(input)? {
                let (name, value) = (string::parse_bytes(input)?, string::parse_bytes(input)?);
                fields.add(&name, &value, None)?;
            }
        }
        type_byte::HASH_2 => {
            for _ in 0..length::parse_plain(input)? {
                let (name, value) = (string::parse_bytes(input)?, string::parse_bytes(input)?);
                let expire_at = i64::from_le_bytes(input.array()?);
                fields.add(&name, &value, (expire_at != NEVER).then_some(expire_at))?;
            }
        }
        type_byte::HASH_METADATA => {
            let earliest = i64::from_le_bytes(input.array()?);
            for _ in 0..length::parse_plain(input)? {
                let expire_at = match length::parse_plain(input)? {
                    0 => None,
                    behind => Some(
                        earliest
                            .checked_add_unsigned(behind - 1)
                            .ok_or_else(|| malformed("a field expires beyond all times"))?,
                    ),
                };
                let (name, value) = (string::parse_bytes(input)?, string::parse_bytes(input)?);
                fields.add(&name, &value, expire_at)?;
            }
        }
        type_byte::HASH_ZIPMAP => {
            let blob = string::parse_bytes(input)?;
            let zipmap = Zipmap::parse(&blob).map_err(|_| malformed("a zipmap is corrupt"))?;
            for (name, value) in zipmap.iter() {
                fields.add(name, value, None)?;
            }
        }
        type_byte::HASH_ZIPLIST => {
            let blob = string::parse_bytes(input)?;
            let ziplist = Ziplist::parse(&blob).map_err(|_| malformed("a ziplist is corrupt"))?;
            if ziplist.len() % 2 != 0 {
                return Err(malformed("a hash has a field without a value"));
            }
            fields.add_elements(ziplist.iter(), false)?;
        }
        type_byte::HASH_LISTPACK => {
            let blob = string::parse_bytes(input)?;
            let elements = listpack::validate(&blob);
            let elements = elements.map_err(|_| malformed("a listpack is corrupt"))?;
            if elements % 2 != 0 {
                return Err(malformed("a hash has a field without a value"));
            }
            return fields.whole_listpack(blob, elements / 2);
        }
        type_byte::HASH_LISTPACK_EX => {
            // The times say which is the earliest.
            let _: [u8; 8] = input.array()?;
            let blob = string::parse_bytes(input)?;
            let elements = listpack::validate(&blob);
            let elements = elements.map_err(|_| malformed("a listpack is corrupt"))?;
            if elements % 3 != 0 {
                return Err(malformed("a hash has a field without a value or a time"));
            }
            fields.add_elements(Listpack::new(&blob).iter(), true)?;
        }
        _ => return Err(DecodeError::NotSupported { at: at.saturating_sub(1), type_byte }),
    }
    fields.finish()
}

/// A hash that is being read: packed as long as the limits allow.
struct Fields<'b> {
    builder: &'b Builder,
    /// Where it begins, for errors.
    at: usize,
    packed: Vec<u8>,
    large: Option<Box<Hash>>,
}

impl<'b> Fields<'b> {
    fn new(builder: &'b Builder, at: usize) -> Fields<'b> {
        Fields { builder, at, packed: listpack::new_empty().to_vec(), large: None }
    }

    fn malformed(&self, reason: &'static str) -> DecodeError {
        Input::malformed(self.at, reason)
    }

    fn duplicate(&self) -> DecodeError {
        self.malformed("a hash has a field twice")
    }

    #[inline]
    fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        expire_at: Option<i64>,
    ) -> Result<(), DecodeError> {
        let limits = &self.builder.limits;
        if self.large.is_none() {
            let longest = limits.hash_max_listpack_value;
            let view = Listpack::new(&self.packed);
            if expire_at.is_none()
                && name.len() <= longest
                && value.len() <= longest
                && view.len() / 2 < limits.hash_max_listpack_entries
            {
                let end = view.end();
                let pair = [Element::of(name), Element::of(value)];
                ListpackMut::new(&mut self.packed).exchange(end..end, 0, &pair);
                return Ok(());
            }
            self.become_large()?;
        }
        let hasher = &self.builder.hasher;
        let hash = self.large.as_mut().expect("it has just become large");
        if !hash.has_room() {
            return Err(self.malformed("a hash has too many fields"));
        }
        let expiry = expire_at.map_or(FieldExpiry::Clear, FieldExpiry::At);
        let is_new = hash.set(hasher, hasher.hash(name), name, value, expiry);
        if is_new { Ok(()) } else { Err(self.duplicate()) }
    }

    fn become_large(&mut self) -> Result<(), DecodeError> {
        let hash = unpacked(&self.packed, &self.builder.hasher);
        if hash.len() * 2 != Listpack::new(&self.packed).len() {
            return Err(self.duplicate());
        }
        self.packed = Vec::new();
        self.large = Some(Box::new(hash));
        Ok(())
    }

    /// Fields as names, values and perhaps times in one sequence.
    fn add_elements<'e>(
        &mut self,
        mut elements: impl Iterator<Item = Element<'e>>,
        with_times: bool,
    ) -> Result<(), DecodeError> {
        let (mut name_digits, mut value_digits) = (itoa::Buffer::new(), itoa::Buffer::new());
        while let (Some(name), Some(value)) = (elements.next(), elements.next()) {
            let expire_at = match with_times.then(|| elements.next()).flatten() {
                None | Some(Element::Integer(0)) => None,
                Some(Element::Integer(at)) => Some(at),
                Some(Element::Bytes(_)) => {
                    return Err(self.malformed("a field expires at a time that is no number"));
                }
            };
            self.add(name.text(&mut name_digits), value.text(&mut value_digits), expire_at)?;
        }
        Ok(())
    }

    /// A listpack that was checked and holds so many fields. It stays as it lies if the limits allow.
    fn whole_listpack(mut self, blob: Cow<[u8]>, fields: usize) -> Result<Collection, DecodeError> {
        let limits = &self.builder.limits;
        let longest = limits.hash_max_listpack_value;
        let listpack = Listpack::new(&blob);
        let fits = fields <= limits.hash_max_listpack_entries
            && (blob.len() <= longest || listpack.iter().all(|text| text.text_len() <= longest));
        if fits {
            self.packed = blob.into_owned();
        } else {
            self.become_large()?;
            self.add_elements(listpack.iter(), false)?;
        }
        self.finish()
    }

    fn finish(self) -> Result<Collection, DecodeError> {
        if let Some(hash) = self.large {
            return if hash.is_empty() {
                Err(Input::malformed(self.at, "a hash has no fields"))
            } else {
                Ok(Collection::Large(LargeValue::Hash(hash)))
            };
        }
        let listpack = Listpack::new(&self.packed);
        if listpack.is_empty() {
            return Err(self.malformed("a hash has no fields"));
        }
        if has_duplicates(listpack, &self.builder.hasher) {
            return Err(self.duplicate());
        }
        Ok(Collection::Packed(Packing::Hash, self.packed))
    }
}

/// Whether a name occurs twice.
fn has_duplicates(listpack: Listpack, hasher: &Hasher) -> bool {
    /// Up to so many fields each name is compared with those before it.
    const FEW: usize = 12;
    let names = || listpack.iter().step_by(2);
    if listpack.len() <= 2 * FEW {
        let mut seen = [Element::Integer(0); FEW];
        return names().enumerate().any(|(index, name)| {
            let is_seen = seen[..index].contains(&name);
            seen[index] = name;
            is_seen
        });
    }
    let mut hashes: Vec<u64> =
        names().map(|name| name.with_bytes(|name| hasher.hash(name))).collect();
    hashes.sort_unstable();
    if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
        return false;
    }
    let mut texts: Vec<Vec<u8>> = names().map(Element::to_vec).collect();
    texts.sort_unstable();
    texts.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::dump;
    use super::*;
    use crate::collections::Limits;
    use crate::store::OwnedEntry;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn builder() -> Builder {
        Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() }
    }

    type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

    fn contents(collection: &Collection) -> Model {
        let mut model = Model::new();
        HashView::whole(collection.get()).expect("a hash").for_each(|name, found| {
            model.insert(name.to_vec(), (found.value.to_vec(), found.expire_at));
        });
        model
    }

    fn loaded(payload: &[u8]) -> Result<Model, dump::LoadError> {
        let loaded = dump::load(payload, &builder())?;
        match loaded.value {
            crate::rdb::StoredValue::Collection(collection) => Ok(contents(&collection)),
            other => panic!("no collection: {other:?}"),
        }
    }

    fn model(fields: &[(&str, &str, Option<i64>)]) -> Model {
        let field = |&(name, value, at): &(&str, &str, _)| (name.into(), (value.into(), at));
        fields.iter().map(field).collect()
    }

    fn collection(model: &Model) -> Collection {
        let builder = builder();
        let mut fields = Fields::new(&builder, 0);
        for (name, (value, expire_at)) in model {
            fields.add(name, value, *expire_at).expect("no name is there twice");
        }
        fields.finish().expect("it has fields")
    }

    const TIME: i64 = 4_102_444_800_123;

    /// What valkey-server 9.1 and redis-server 8.0 answer to DUMP of one hash.
    #[test]
    fn hashes_with_times_are_read_as_valkey_and_redis_write_them() {
        let wanted = model(&[
            ("a", "1", None),
            ("bb", "22", Some(TIME)),
            ("ccc", "three", Some(TIME + 377)),
        ]);
        let valkey = b"\x16\x03\x01a\xc0\x01\xff\xff\xff\xff\xff\xff\xff\xff\x02bb\xc0\x16{\xd8\xc3,\xbb\x03\x00\x00\x03ccc\x05three\xf4\xd9\xc3,\xbb\x03\x00\x00P\x00\x9f\xe3\x045\xdeSL\x8d";
        assert_eq!(loaded(valkey), Ok(wanted.clone()));
        let redis = b"\x18{\xd8\xc3,\xbb\x03\x00\x00\x03\x01\x02bb\xc0\x16\x00\x01a\xc0\x01Az\x03ccc\x05three\x0c\x00F\xda\x91\xc0\t*K\x0c";
        assert_eq!(loaded(redis), Ok(wanted.clone()));
        let packed = b"\x19{\xd8\xc3,\xbb\x03\x00\x0044\x00\x00\x00\t\x00\x82bb\x03\x16\x01\xf4{\xd8\xc3,\xbb\x03\x00\x00\t\x83ccc\x04\x85three\x06\xf4\xf4\xd9\xc3,\xbb\x03\x00\x00\t\x81a\x02\x01\x01\x00\x01\xff\x0c\x00{\xf3l\xbb\xdc(\xa7a";
        assert_eq!(loaded(packed), Ok(wanted));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let refused = |body: &[u8]| match loaded(&dump::sealed(body.to_vec(), 12)) {
            Err(dump::LoadError::Value(DecodeError::Malformed { reason, .. })) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(b"\x04\x00"), "a hash has no fields");
        assert_eq!(refused(b"\x16\x00"), "a hash has no fields");
        assert_eq!(refused(b"\x10\x07\x07\0\0\0\0\0\xff"), "a hash has no fields");
        assert_eq!(refused(b"\x04\x02\x01a\x01b\x01a\x01c"), "a hash has a field twice");
        let packed = |texts: &[&str]| {
            let blob = listpack::from_texts(texts.iter().map(|text| text.as_bytes()));
            let mut body = vec![16];
            string::write_plain(&mut body, &blob);
            body
        };
        assert_eq!(refused(&packed(&["a"])), "a hash has a field without a value");
        assert_eq!(refused(&packed(&["a", "1", "a", "2"])), "a hash has a field twice");
        let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let mut many: Vec<&str> = names.iter().flat_map(|name| [&**name, "v"]).collect();
        assert_eq!(loaded(&dump::sealed(packed(&many), 10)).map(|model| model.len()), Ok(40));
        many.extend(["17", "again"]);
        assert_eq!(refused(&packed(&many)), "a hash has a field twice");
        let never = b"\x18\xff\xff\xff\xff\xff\xff\xff\x7f\x01\x02\x01a\x01b";
        assert_eq!(refused(never), "a field expires beyond all times");
        // A count that lies costs nothing.
        let lie = dump::sealed(b"\x04\x81\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x01b".to_vec(), 10);
        let cut = dump::LoadError::Value(DecodeError::CutShort { needs: 15 });
        assert_eq!(loaded(&lie), Err(cut));
    }

    #[test]
    fn the_type_is_one_that_the_reader_knows() {
        let plain = collection(&model(&[("a", "1", None)]));
        let with_times = collection(&model(&[("a", "1", None), ("b", "2", Some(TIME))]));
        let types = |collection: &Collection| {
            [9, 10, 11, 12, 80, 81]
                .map(|version| type_byte(&collection.get(), Format { version, compress: false }))
        };
        assert_eq!(types(&plain), [4, 16, 16, 16, 16, 16]);
        assert_eq!(types(&with_times), [4, 4, 4, 24, 22, 22]);
    }

    fn any_model() -> impl Strategy<Value = Model> {
        let text = || {
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..10),
                any::<i64>().prop_map(|number| number.to_string().into_bytes()),
                Just(vec![b'x'; 70]),
            ]
        };
        let expire_at = prop_oneof![4 => Just(None), 1 => (0..i64::MAX / 2).prop_map(Some)];
        prop::collection::btree_map(text(), (text(), expire_at), 1..40)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            model in any_model(),
            version in prop::sample::select(vec![9, 10, 11, 12, 80]),
            compress: bool,
        ) {
            let format = Format { version, compress };
            let collection = collection(&model);
            let value = collection.get();
            let mut body = vec![type_byte(&value, format)];
            write(&mut body, &value, format);
            let mut wanted = model;
            if version < 12 {
                wanted.values_mut().for_each(|(_, at)| *at = None);
            }
            prop_assert_eq!(loaded(&dump::sealed(body, version)), Ok(wanted));
        }

        #[test]
        fn a_dump_is_read_with_its_times(model in any_model()) {
            let entry = OwnedEntry::collection(b"k", collection(&model), None, 0);
            let format = Format { version: 10, compress: true };
            prop_assert_eq!(loaded(&dump::dump(&entry.get(), format)), Ok(model));
        }

        #[test]
        fn no_bytes_make_reading_panic(
            type_byte in prop::sample::select(vec![4u8, 9, 13, 16, 22, 24, 25]),
            model in any_model(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            noise in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = parse(type_byte, &mut Input::new(&noise), &builder());
            // A hash of which some bytes are wrong.
            let value = collection(&model);
            for version in [9, 10, 12, 80] {
                let format = Format { version, compress: false };
                let mut body = Vec::new();
                write(&mut body, &value.get(), format);
                for (index, byte) in &changes {
                    let index = index.index(body.len());
                    body[index] = *byte;
                }
                let own_type = super::type_byte(&value.get(), format);
                let _ = parse(own_type, &mut Input::new(&body), &builder());
                let _ = parse(type_byte, &mut Input::new(&body), &builder());
            }
        }
    }
}
