use super::*;
use crate::shard::next_random;

fn check(entry: &OwnedEntry, key: &[u8], value: StringValue<'_>, expire_at: Option<i64>) {
    let entry = entry.get();
    assert_eq!(entry.key(), key);
    assert_eq!(entry.string(), Some(value));
    assert_eq!(entry.expire_at(), expire_at);
}

#[test]
fn short_key_with_short_value_is_48_bytes() {
    let entry = OwnedEntry::string(b"key:0000001", &[b'x'; 32], None, 0);
    assert_eq!(entry.get().memory_bytes(), 48);
}

#[test]
fn integers_of_any_size_come_back() {
    for number in [0, 1, -1, 9, 10, 127, 128, -129, 40_000, i64::MAX, i64::MIN, i64::MIN + 1] {
        let entry = OwnedEntry::string(b"k", number.to_string().as_bytes(), None, 0);
        check(&entry, b"k", StringValue::Integer(number), None);
    }
}

#[test]
fn every_change_keeps_key_value_and_expiry() {
    let lengths = [0, 1, 3, 20, 62, 63, 64, 126, 127, 128, 500, 1000, 1024, 1025, 5000];
    for key_bytes in lengths {
        let key = vec![b'k'; key_bytes];
        for from in lengths {
            for to in lengths {
                let (old, new) = (vec![b'a'; from], vec![b'b'; to]);
                let mut entry = OwnedEntry::string(&key, &old, None, 7);
                check(&entry, &key, StringValue::Bytes(&old), None);
                entry.set_expiry(Some(5));
                check(&entry, &key, StringValue::Bytes(&old), Some(5));
                entry.set_string(&new, Some(6), 8);
                check(&entry, &key, StringValue::Bytes(&new), Some(6));
                entry.set_integer(-70_000, Some(6), 8);
                check(&entry, &key, StringValue::Integer(-70_000), Some(6));
                entry.set_string(&old, None, 9);
                check(&entry, &key, StringValue::Bytes(&old), None);
                let copy = entry.get().copy_as(b"other");
                check(&copy, b"other", StringValue::Bytes(&old), None);
                entry.resize_string(to);
                let mut resized = old.clone();
                resized.resize(to, 0);
                check(&entry, &key, StringValue::Bytes(&resized), None);
                entry.string_mut().fill(b'c');
                let renamed = entry.with_key(b"renamed");
                check(&renamed, b"renamed", StringValue::Bytes(&vec![b'c'; to]), None);
                assert_eq!(renamed.get().access(), 9);
            }
        }
    }
}

#[test]
fn encodings_are_those_of_redis() {
    let encoding = |value: &[u8]| OwnedEntry::string(b"k", value, None, 0).get().encoding().name();
    assert_eq!(encoding(b"12345"), "int");
    assert_eq!(encoding(&[b'x'; 44]), "embstr");
    assert_eq!(encoding(&[b'x'; 45]), "raw");
    assert_eq!(encoding(&[b'x'; 5000]), "raw");
    let mut entry = OwnedEntry::string(b"k", b"12345", None, 0);
    entry.resize_string(6);
    assert_eq!(entry.get().encoding(), Encoding::Raw);
    assert_eq!(entry.get().copy_as(b"copy").get().encoding(), Encoding::Raw);
    assert_eq!(OwnedEntry::plain_string(b"k", b"3", None, 0).get().encoding(), Encoding::Embstr);
}

#[test]
fn packed_bytes_are_edited_where_they_lie() {
    for (key_bytes, expire_at) in [(0, None), (5, Some(9)), (63, None), (200, Some(9))] {
        let key = vec![b'k'; key_bytes];
        let mut entry = OwnedEntry::packed(&key, Packing::Hash, b"", expire_at, 3);
        let mut model = Vec::new();
        let mut random = 7u64;
        let mut below = |bound: usize| next_random(&mut random) as usize % (bound + 1);
        for step in 0..2000 {
            let at = below(model.len());
            let removed = below(model.len() - at).min(if step % 50 == 0 { 400 } else { 12 });
            let inserted = if model.len() > 600 { 0 } else { below(40) };
            let new: Vec<u8> = (0..inserted).map(|_| below(255) as u8).collect();
            let ValueMut::Packed(Packing::Hash, mut packed) = entry.value_mut() else {
                panic!("it is a packed hash");
            };
            packed.splice(at, removed, inserted);
            packed.bytes_mut()[at..at + inserted].copy_from_slice(&new);
            model.splice(at..at + removed, new);
            assert_eq!(packed.bytes(), model);
            let seen = entry.get();
            assert_eq!((seen.key(), seen.expire_at(), seen.access()), (&key[..], expire_at, 3));
            assert!(matches!(seen.value(), Value::Packed(Packing::Hash, bytes) if bytes == model));
        }
        assert!(model.len() > 100);
    }
}

#[test]
fn collections_move_copy_and_go() {
    let new = || LargeValue::Stream(Box::default());
    let entry = OwnedEntry::collection(b"k", Collection::Large(new()), Some(5), 3);
    assert_eq!((entry.get().value_type(), entry.get().type_name()), (Type::Stream, "stream"));
    assert_eq!(entry.get().string(), None);
    let copy = entry.get().copy_as(b"copy");
    let mut renamed = entry.with_key(b"renamed");
    for (entry, key) in [(&copy, &b"copy"[..]), (&renamed, b"renamed")] {
        let seen = entry.get();
        assert_eq!((seen.key(), seen.expire_at(), seen.access()), (key, Some(5), 3));
        assert!(matches!(seen.value(), Value::Stream(_)));
        assert!(seen.memory_bytes() > size_of::<Stream>());
    }
    renamed.set_packed(Packing::Intset, Packing::Intset.empty());
    assert_eq!(renamed.get().encoding(), Encoding::Intset);
    renamed.set_expiry(None);
    renamed.set_collection(Collection::Large(new()));
    check_value_type(&renamed, Type::Stream);
    renamed.set_string(b"text", None, 0);
    check(&renamed, b"renamed", StringValue::Bytes(b"text"), None);
}

#[track_caller]
fn check_value_type(entry: &OwnedEntry, expected: Type) {
    assert_eq!(entry.get().value_type(), expected);
}

#[test]
fn shared_large_value_stays_as_it_was() {
    let mut entry = OwnedEntry::string(b"k", &[b'x'; 5000], None, 0);
    let shared = entry.get().share_large_from(0).unwrap();
    entry.resize_string(5001);
    entry.string_mut().fill(b'y');
    assert_eq!(*shared, [b'x'; 5000]);
    check(&entry, b"k", StringValue::Bytes(&[b'y'; 5001]), None);
    drop(entry);
    assert!(OwnedEntry::string(b"k", b"small", None, 0).get().share_large_from(0).is_none());
}

#[test]
fn access_clock_is_cut_to_its_bits() {
    let entry = OwnedEntry::string(b"k", b"v", Some(1), u32::MAX);
    assert_eq!(entry.get().access(), ACCESS_MAX);
    entry.get().set_access(12);
    assert_eq!(entry.get().access(), 12);
    check(&entry, b"k", StringValue::Bytes(b"v"), Some(1));
}
