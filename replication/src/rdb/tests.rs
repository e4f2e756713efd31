//! What is written is read, what is not an RDB is refused, and how it is cut into pieces makes no difference.

use super::error::{RdbError, Reason};
use super::item::{Entry, Item, Magic};
use super::reader::Reader;
use super::writer;
use proptest::prelude::*;
use ringfort_core::collections::Limits;
use ringfort_core::rdb::entry::{write_entry, write_entry_front};
use ringfort_core::rdb::{AccessHint, Builder, Format, StoredValue, crc64, string, value};
use ringfort_core::store::{Collection, Hasher, StringValue, Value};

fn reader() -> Reader {
    Reader::new(Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() })
}

/// An item that does not borrow, the value as text.
type Found = String;

/// The bytes of a collection, with those of its type.
fn as_written(collection: &Collection) -> Vec<u8> {
    let (value, format) = (collection.get(), Format { version: 10, compress: false });
    let mut out = vec![value::type_byte_of(&value, format)];
    value::write(&mut out, &value, format);
    out
}

fn owned(item: &Item) -> Found {
    match item {
        Item::Entry(Entry { key, value, expire_at, access }) => {
            let key = key.escape_ascii();
            let value = match value {
                StoredValue::Collection(collection) => as_written(collection),
                string => string.to_vec().expect("a string"),
            };
            format!("{key}={} {expire_at:?} {access:?}", value.escape_ascii())
        }
        Item::Aux { name, value } => format!("{}:{}", name.escape_ascii(), value.escape_ascii()),
        other => format!("{other:?}"),
    }
}

/// Everything in `bytes`, pushed in pieces of `piece` bytes.
fn read(bytes: &[u8], piece: usize) -> (Vec<Found>, Result<(), RdbError>) {
    let mut reader = reader();
    let mut found = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(item)) => found.push(owned(&item)),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.finish(), Err(error.clone()));
                    return (found, Err(error));
                }
            }
        }
        assert!(reader.memory_bytes() <= 4 * bytes.len() + 64, "{}", reader.memory_bytes());
    }
    assert_eq!(reader.offset() as usize + reader.unread().len(), bytes.len());
    (found, reader.finish())
}

/// An RDB with a right checksum.
fn file(version: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = [version.as_bytes(), body].concat();
    let checksum = crc64::checksum(0, &bytes);
    writer::write_end(&mut bytes, Some(checksum));
    bytes
}

#[track_caller]
fn check(body: &[u8], expected: &[&str]) {
    let bytes = file("REDIS0011", body);
    for piece in [1, 7, bytes.len()] {
        let (found, outcome) = read(&bytes, piece);
        assert_eq!(found[1..found.len() - 1], *expected);
        assert_eq!(outcome, Ok(()));
    }
}

#[track_caller]
fn check_refusal(bytes: &[u8], expected: &str) {
    for piece in [1, bytes.len()] {
        assert_eq!(read(bytes, piece).1.unwrap_err().to_string(), expected);
    }
}

#[test]
fn versions_of_both_families_are_read() {
    for (header, item) in [
        ("REDIS0005", Item::Header { magic: Magic::Redis, version: 5 }),
        ("REDIS0012", Item::Header { magic: Magic::Redis, version: 12 }),
        ("VALKEY080", Item::Header { magic: Magic::Valkey, version: 80 }),
        ("VALKEY081", Item::Header { magic: Magic::Valkey, version: 81 }),
    ] {
        let (found, outcome) = read(&file(header, b"\x00\x01k\x01v"), 1);
        assert_eq!((&found[0], outcome), (&owned(&item), Ok(())));
        assert_eq!(found[1..], ["k=v None None", "End"]);
    }
    // Before version 5 nothing follows the end.
    let (found, outcome) = read(b"REDIS0004\x00\x01k\x01v\xff", 100);
    assert_eq!((found.len(), outcome), (3, Ok(())));
}

#[test]
fn other_versions_and_files_are_refused() {
    for header in ["REDIS0000", "REDIS0013", "REDIS00+1", "VALKEY079", "VALKEY082", "REDIS001x"] {
        let at = if header.starts_with('R') { 5 } else { 6 };
        let version = &header[at..];
        check_refusal(
            header.as_bytes(),
            &format!("RDB wrong at offset {at}: version {version} is not supported"),
        );
    }
    check_refusal(
        b"*1\r\n$4\r\nPING",
        "RDB wrong at offset 0: it starts with \"*1\\r\\n$4\\r\\nP\", not with REDIS or VALKEY and a version",
    );
}

#[test]
fn expiry_and_access_belong_to_the_next_key_only() {
    check(
        b"\xfc\x01\0\0\0\0\0\0\0\xf8\x40\x80\x00\x01a\x01b\xfd\x02\0\0\0\xf9\x07\x00\x01c\xc0\x05\x00\x01d\0",
        &["a=b Some(1) IdleSeconds(128)", "c=5 Some(2000) Frequency(7)", "d= None None"],
    );
}

#[test]
fn keys_may_be_integers_or_compressed() {
    check(
        b"\x00\xc1\x00\x01\xc3\x05\x1e\x00x\xe0\x14\x00",
        &[&format!("256={} None None", "x".repeat(30))],
    );
    check(b"\x00\xc3\x05\x1e\x00x\xe0\x14\x00\x01v", &[&format!("{}=v None None", "x".repeat(30))]);
}

#[test]
fn what_is_of_no_interest_is_passed_over() {
    let entry = b"\x00\x01k\x01v";
    for passed in [
        // A function library; also compressed.
        &b"\xf5\x0a#!lua name"[..],
        b"\xf5\xc3\x05\x1e\x00x\xe0\x14\x00",
        // Module data: signed, unsigned, float, double, string, end.
        b"\xf7\x81\x01\x02\x03\x04\x05\x06\x07\x08\x02\x01\x01\x05\x02\x06\x03abcd\x04abcdefgh\x05\x02hi\x00",
        // What slot 300 holds.
        b"\xf4\x41\x2c\x05\x01",
        // A slot migration with no range, and with two.
        b"\xf3\x04name\x00",
        b"\xf3\x04name\x02\x00\x05\x41\x2c\x42\x00",
    ] {
        check(&[passed, entry].concat(), &["k=v None None"]);
    }
}

#[test]
fn what_is_not_there_yet_is_refused_by_name() {
    for (body, reason) in [
        (&b"\x07"[..], "module value (RDB type 7) is not supported yet"),
        (b"\x01\x01k\x00", "a list has no elements"),
        (b"\x08", "8 is neither an opcode nor a type of value"),
        (b"\xc8", "200 is neither an opcode nor a type of value"),
        (b"\xf6", "functions in the format of a release candidate of Redis 7.0 are not supported"),
        (b"\xf7\x01\x01", "module data does not say when it was written"),
        (b"\xf7\x01\x02\x01\x06", "module data has an unknown part"),
        (b"\xfe\x81\x00\x00\x00\x01\0\0\0\0", "a database has a number of more than 32 bits"),
    ] {
        let bytes = [b"\xfe\x00", body].concat();
        let bytes = file("REDIS0011", &bytes);
        let error = read(&bytes, 1).1.unwrap_err();
        assert!(error.to_string().ends_with(&format!(": {reason}")), "{error}");
        assert!((11..16).contains(&error.offset), "{error}");
    }
}

#[test]
fn a_wrong_checksum_is_named_with_the_right_one() {
    let mut bytes = file("REDIS0011", b"\x00\x01k\x01v");
    let counted = crc64::checksum(0, &bytes[..bytes.len() - 8]);
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
    check_refusal(
        &bytes,
        &format!(
            "RDB wrong at offset {}: the checksum is {counted:016x} but 0000000000000001 stands there",
            end - 8
        ),
    );
    bytes[end - 8..].fill(0);
    assert_eq!(read(&bytes, 1).1, Ok(()));
}

#[test]
fn an_rdb_without_its_end_is_cut_short_where_it_stops() {
    let bytes = file("REDIS0011", b"\xfa\x01a\x01b\x00\x01k\x01v");
    for end in 0..bytes.len() {
        let error = read(&bytes[..end], 3).1.unwrap_err();
        assert_eq!(error.to_string(), format!("RDB cut short at offset {end}"));
    }
}

#[test]
fn what_follows_the_end_stays_unread() {
    let mut reader = reader();
    let bytes = file("REDIS0011", b"\x00\x01k\x01v");
    reader.push(&[&bytes, &b"*1\r\n"[..]].concat());
    while reader.next().unwrap().is_some() {}
    reader.push(b"$4");
    assert_eq!(reader.next(), Ok(None));
    assert_eq!((reader.unread(), reader.finish()), (&b"*1\r\n$4"[..], Ok(())));
    assert_eq!(reader.offset(), bytes.len() as u64);
}

#[test]
fn a_length_that_lies_reserves_nothing() {
    for body in [
        &b"\x00\x01k\x80\x20\x00\x00\x00"[..],
        b"\x00\x80\x1f\x00\x00\x00",
        b"\x00\x01k\xc3\x80\x1f\x00\x00\x00\x80\x1f\x00\x00\x00",
        b"\xfb\x81\x7f\xff\xff\xff\xff\xff\xff\xff\x00",
    ] {
        let mut reader = reader();
        reader.push(b"REDIS0011");
        reader.push(body);
        while reader.next().unwrap().is_some() {}
        assert!(reader.memory_bytes() < 100);
        assert!(reader.finish().is_err());
    }
}

#[test]
fn a_long_value_costs_time_and_memory_in_proportion() {
    let value = vec![b'v'; 64 << 20];
    let mut bytes = Vec::new();
    writer::write_header(&mut bytes, 10);
    write_entry_front(&mut bytes, b"k", value.len(), None, AccessHint::None);
    let mut reader = reader();
    reader.push(&bytes);
    // A kilobyte at a time: work that grows with the square of the length would take minutes.
    for piece in value.chunks(1 << 10) {
        while reader.next().unwrap().is_some() {}
        reader.push(piece);
    }
    let Some(Item::Entry(entry)) = reader.next().unwrap() else { panic!("no entry") };
    assert!(entry.value == StoredValue::String((&value[..]).into()));
    assert!(reader.memory_bytes() < 3 * value.len());
    // The buffer gives back what only this value needed.
    reader.push(b"\x00");
    reader.push(b"\x01");
    assert!(reader.memory_bytes() < 4 << 20, "{}", reader.memory_bytes());
}

/// What an entry is made of.
#[derive(Clone, Debug)]
struct Given {
    key: Vec<u8>,
    value: Vec<u8>,
    expire_at: Option<i64>,
    access: AccessHint,
}

fn given() -> impl Strategy<Value = Given> {
    let bytes = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            prop::collection::vec(0u8..2, 0..400),
            any::<i64>().prop_map(|number| number.to_string().into_bytes()),
            any::<i16>().prop_map(|number| number.to_string().into_bytes()),
        ]
    };
    let access = prop_oneof![
        Just(AccessHint::None),
        any::<u64>().prop_map(AccessHint::IdleSeconds),
        any::<u8>().prop_map(AccessHint::Frequency),
    ];
    (bytes(), bytes(), any::<Option<i64>>(), access)
        .prop_map(|(key, value, expire_at, access)| Given { key, value, expire_at, access })
}

fn written(entries: &[Given], compress: bool) -> Vec<u8> {
    let mut out = Vec::new();
    writer::write_header(&mut out, writer::version(false));
    writer::write_facts(
        &mut out,
        &writer::Facts {
            redis_version: "7.0.15",
            created_at_seconds: 1_700_000_000,
            used_memory_bytes: 1 << 40,
            replication: Some(writer::ReplicationFacts {
                stream_database: 0,
                replid: "0123456789012345678901234567890123456789",
                repl_offset: 77,
            }),
        },
    );
    writer::write_select(&mut out, 9);
    writer::write_resize(&mut out, entries.len() as u64, 3);
    for Given { key, value, expire_at, access } in entries {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<i64>().ok());
        let value = match number {
            Some(number) if number.to_string().as_bytes() == value => StringValue::Integer(number),
            _ => StringValue::Bytes(value),
        };
        let format = Format { version: 10, compress };
        write_entry(&mut out, key, &Value::String(value), *expire_at, *access, format);
    }
    let checksum = crc64::checksum(0, &out);
    writer::write_end(&mut out, Some(checksum));
    out
}

/// Whatever pieces the bytes come in, the same is read. One thing may differ: what is wrong with a collection is found
/// once all of it is there, so where its end is missing, that may be all that is said of it.
fn check_pieces(bytes: &[u8], pieces: &[usize]) -> Result<(), TestCaseError> {
    let whole = read(bytes, bytes.len());
    for piece in pieces {
        let found = read(bytes, *piece);
        prop_assert_eq!(&found.0, &whole.0);
        let is_cut = matches!(&found.1, Err(error) if error.reason == Reason::CutShort);
        prop_assert!(found.1 == whole.1 || is_cut && whole.1.is_err(), "{found:?} {whole:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read_however_it_arrives(
        entries in prop::collection::vec(given(), 0..20), compress: bool, piece in 1usize..300,
    ) {
        let bytes = written(&entries, compress);
        let mut expected: Vec<Found> = [
            "Header { magic: Redis, version: 10 }",
            "redis-ver:7.0.15",
            "redis-bits:64",
            "ctime:1700000000",
            "used-mem:1099511627776",
            "repl-stream-db:0",
            "repl-id:0123456789012345678901234567890123456789",
            "repl-offset:77",
            "aof-base:0",
            "Select { database: 9 }",
        ].map(str::to_owned).to_vec();
        expected.push(format!("Resize {{ keys: {}, expiring: 3 }}", entries.len()));
        for Given { key, value, expire_at, access } in entries {
            let (key, value) = (key.into(), StoredValue::String(value.into()));
            expected.push(owned(&Item::Entry(Entry { key, value, expire_at, access })));
        }
        expected.push("End".to_owned());
        for piece in [1, piece, bytes.len()] {
            let (found, outcome) = read(&bytes, piece);
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(outcome, Ok(()));
        }
    }

    #[test]
    fn a_damaged_rdb_is_refused_or_read_the_same_however_it_arrives(
        entries in prop::collection::vec(given(), 0..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        cut: bool,
        piece in 1usize..100,
    ) {
        let mut bytes = written(&entries, true);
        for (index, byte) in damage {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        check_pieces(&bytes, &[1, piece])?;
    }

    #[test]
    fn no_bytes_make_reading_panic(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 240u8..=255, 0u8..6], 0..200),
    ) {
        check_pieces(&[&b"REDIS0011"[..], &bytes].concat(), &[1])?;
    }

    #[test]
    fn skipped_strings_are_as_long_as_read_ones(bytes in prop::collection::vec(0u8..3, 0..300)) {
        let mut function = vec![0xf5];
        string::write(&mut function, &bytes, true);
        check(&function, &[]);
    }
}
