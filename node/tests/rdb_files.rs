//! RDB files pass between Redis and the reader and writer of the replication crate.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use common::node::TemporaryDirectory;
use common::words::value;
use common::{Random, Reply, Start};
use ringfort_core::collections::Limits;
use ringfort_core::rdb::entry::{write_entry, write_entry_front};
use ringfort_core::rdb::{AccessHint, Builder, Format, crc64};
use ringfort_core::store::{Hasher, StringValue, Value};
use ringfort_replication::rdb::{Entry, Item, Magic, Reader, writer};

const YEAR_3000_MS: i64 = 32_503_680_000_000;
const REPLID: &str = "0123456789abcdef0123456789abcdef01234567";

/// Database and key, with value and expiry.
type Contents = BTreeMap<(u32, Vec<u8>), (Vec<u8>, Option<i64>)>;

fn contents() -> Contents {
    let mut random = Random::new(7);
    let noise = random.bytes(200_000);
    let long = "all work and no play makes jack a dull boy ".repeat(3000).into_bytes();
    let texts = ["", "0", "-1", "127", "-129", "40000", "-2147483648", "2147483648", "007", "text"];
    let mut values: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    values.extend([noise, long, vec![0; 1 << 20], vec![b'a'; 21]]);
    values.extend((0..1000).map(|_| value(&mut random)));
    let entries = values.into_iter().enumerate().map(|(index, value)| {
        let database = [0, 0, 3, 15][index % 4];
        let key = match index % 7 {
            0 => index.to_string(),
            1 => format!("a-key-that-repeats-itself-repeats-itself-repeats-itself:{index}"),
            _ => format!("key:{index}"),
        };
        let expire_at = (index % 3 == 0).then_some(YEAR_3000_MS + index as i64);
        ((database, key.into_bytes()), (value, expire_at))
    });
    entries.collect()
}

#[test]
fn a_file_that_redis_saved_is_read() {
    for options in [
        &[("--rdbcompression", "yes")][..],
        &[("--rdbcompression", "no"), ("--rdbchecksum", "no")],
        &[("--maxmemory-policy", "allkeys-lru")],
        &[("--maxmemory-policy", "allkeys-lfu")],
    ] {
        let start = Start::redis();
        let start = options.iter().fold(start, |start, (name, value)| start.option(name, value));
        let redis = start.node();
        let mut client = redis.connect();
        let contents = contents();
        for ((database, key), (value, expire_at)) in &contents {
            client.run(&format!("SELECT {database}"));
            let at = expire_at.map(|at| at.to_string());
            let mut set = vec![b"SET", &key[..], value];
            if let Some(at) = &at {
                set.extend([b"PXAT", at.as_bytes()]);
            }
            assert_eq!(client.call(&set), Reply::ok());
        }
        assert_eq!(client.run("SAVE"), Reply::ok());
        let file = fs::read(redis.directory().join("dump.rdb")).expect("read the file");
        for piece in [file.len(), 64 << 10, 1000] {
            let (found, accesses) = read(&file, piece);
            assert!(found == contents, "{options:?}");
            assert!(accesses.iter().all(|access| match options[0].1 {
                "allkeys-lru" => matches!(access, AccessHint::IdleSeconds(..60)),
                "allkeys-lfu" => matches!(access, AccessHint::Frequency(1..10)),
                _ => *access == AccessHint::None,
            }));
        }
    }
}

/// What a file holds, read in pieces of `piece` bytes.
fn read(file: &[u8], piece: usize) -> (Contents, Vec<AccessHint>) {
    let mut reader =
        Reader::new(Builder { hasher: Hasher::new([1, 2, 3, 4]), limits: Limits::default() });
    let (mut found, mut accesses) = (Contents::new(), Vec::new());
    let (mut database, mut announced) = (0, 0);
    for piece in file.chunks(piece) {
        reader.push(piece);
        while let Some(item) = reader.next().expect("an RDB") {
            match item {
                Item::Header { magic, version } => {
                    assert_eq!((magic, version), (Magic::Redis, 10));
                }
                Item::Select { database: selected } => database = selected,
                Item::Resize { keys, .. } => announced += keys,
                Item::Entry(Entry { key, value, expire_at, access }) => {
                    found.insert(
                        (database, key.into_owned()),
                        (value.to_vec().expect("a string"), expire_at),
                    );
                    accesses.push(access);
                }
                Item::Aux { .. } | Item::End => {}
            }
        }
    }
    reader.finish().expect("a whole RDB");
    assert_eq!(announced, found.len() as u64);
    (found, accesses)
}

#[test]
fn a_file_that_was_written_is_loaded_by_redis() {
    for (version, compress, with_checksum) in
        [(writer::version(false), true, true), (writer::version(true), false, false)]
    {
        let contents = contents();
        let file = written(&contents, version, compress, with_checksum);
        let directory = TemporaryDirectory::new();
        let path = directory.path().join("dump.rdb");
        fs::write(&path, &file).expect("write a file");

        let check = Command::new("redis-check-rdb").arg(&path).output().expect("redis-check-rdb");
        let said = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success() && said.contains("RDB looks OK"), "{said}");
        let checksum =
            if with_checksum { "Checksum OK" } else { "RDB file was saved with checksum disabled" };
        assert!(said.contains(checksum), "{said}");

        let redis = Start::redis()
            .option("--dir", directory.path().to_str().expect("a plain path"))
            // Under a limit only, each integer has an idle time of its own.
            .option("--maxmemory", "1gb")
            .option("--maxmemory-policy", "allkeys-lru")
            .node();
        let mut client = redis.connect();
        for ((database, key), (value, expire_at)) in &contents {
            client.run(&format!("SELECT {database}"));
            let idle = client.call(&[&b"OBJECT"[..], b"IDLETIME", &key[..]]).integer();
            assert!((1000..1100).contains(&idle), "{idle}");
            assert!(client.call(&[b"GET", &key[..]]) == Reply::bulk(value), "{key:?} got lost");
            let at = client.call(&[b"PEXPIRETIME", &key[..]]).integer();
            assert_eq!(at, expire_at.unwrap_or(-1));
        }
    }
}

fn written(contents: &Contents, version: u16, compress: bool, with_checksum: bool) -> Vec<u8> {
    let mut file = Vec::new();
    writer::write_header(&mut file, version);
    let replication =
        writer::ReplicationFacts { stream_database: 0, replid: REPLID, repl_offset: 1234 };
    let facts = writer::Facts {
        redis_version: "7.0.15",
        created_at_seconds: 1_700_000_000,
        used_memory_bytes: 1 << 20,
        replication: Some(replication),
    };
    writer::write_facts(&mut file, &facts);
    for database in [0, 3, 15] {
        let entries = || contents.iter().filter(|((of, _), _)| *of == database);
        let expiring = entries().filter(|(_, (_, expire_at))| expire_at.is_some()).count();
        writer::write_select(&mut file, database);
        writer::write_resize(&mut file, entries().count() as u64, expiring as u64);
        for ((_, key), (value, expire_at)) in entries() {
            let access = AccessHint::IdleSeconds(1000);
            if value.len() > 100_000 {
                write_entry_front(&mut file, key, value.len(), *expire_at, access);
                file.extend_from_slice(value);
            } else {
                let value = Value::String(StringValue::Bytes(value));
                let format = Format { version: 10, compress };
                write_entry(&mut file, key, &value, *expire_at, access, format);
            }
        }
    }
    let checksum = crc64::checksum(0, &file);
    writer::write_end(&mut file, with_checksum.then_some(checksum));
    file
}
