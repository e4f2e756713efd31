//! DUMP and RESTORE: random sequences get the same replies as with Redis, and payloads pass between the two in
//! both directions.

mod common;

use common::differential::{CONNECTIONS, Script, Step, compare};
use common::random::Random;
use common::words::{Word, cased, far_future, key, spoil, value, words};
use common::{Node, Reply, Start};
use ringfort_core::rdb::dump::sealed;

#[test]
fn restore_answers_as_redis_on_one_shard() {
    compare("restore", 1, 4, 3000, restores);
}

#[test]
fn restore_answers_as_redis_on_four_shards() {
    compare("restore", 4, 4, 3000, restores);
}

#[test]
fn payloads_pass_between_redis_and_one_shard() {
    pass_payloads(1);
}

#[test]
fn payloads_pass_between_redis_and_four_shards() {
    pass_payloads(4);
}

#[test]
fn payloads_of_redis_8_and_valkey_9_are_taken() {
    let node = Node::ringfort(1);
    let mut client = node.connect();
    for version in [11, 12, 80, 81] {
        let payload = sealed(b"\x00\x05hello".to_vec(), version);
        let restore = [b"RESTORE", &b"key"[..], b"0", &payload, b"REPLACE"];
        if node.is_redis() {
            assert!(client.call(&restore).is_error());
            continue;
        }
        assert_eq!(client.call(&restore), Reply::ok());
        assert_eq!(client.run("GET key"), Reply::bulk("hello"));
    }
}

fn restores(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = match random.below(10) {
            // Short enough for both to write it as it is.
            0 => words![b"SET".to_vec(), key(random), short(value(random))],
            1 => {
                words![b"SET".to_vec(), key(random), short(value(random)), "PXAT", "32503680000000"]
            }
            2 => words![b"DUMP".to_vec(), key(random)],
            3 => words![b"GET".to_vec(), key(random)],
            4 => words!["OBJECT".as_bytes().to_vec(), "ENCODING", key(random)],
            5 => words![b"PEXPIRETIME".to_vec(), key(random)],
            6 if random.one_in(2) => words![b"DEL".to_vec(), key(random)],
            _ => restore(random),
        };
        script.push(connection, spoil(random, words));
    }
    script.finish()
}

fn short(mut value: Word) -> Word {
    value.truncate(20);
    value
}

fn restore(random: &mut Random) -> Vec<Word> {
    let absolute = random.one_in(2);
    let ttl = match random.below(8) {
        0 => random.pick(&["-1", "x", "", "1.5"]).as_bytes().to_vec(),
        1 if absolute => random.pick(&["1", "1000", "9223372036854775807"]).as_bytes().to_vec(),
        2..=4 if absolute => far_future(random, false),
        _ => b"0".to_vec(),
    };
    let mut words = words![cased(random, "RESTORE"), key(random), ttl, payload(random)];
    if absolute {
        words.push(cased(random, "ABSTTL"));
    }
    if random.one_in(2) {
        words.push(cased(random, "REPLACE"));
    }
    for _ in 0..random.below(3) {
        let number = *random.pick(&["0", "1", "255", "256", "-1", "100000", "x"]);
        match random.below(8) {
            0 => words.extend(words![cased(random, "IDLETIME"), number]),
            1 => words.extend(words![cased(random, "FREQ"), number]),
            2 => words.push(cased(random, "IDLETIME")),
            _ => {}
        }
    }
    words
}

/// Mostly a good payload: plain, an integer, or compressed. No value is long enough to be compressed by DUMP, for which
/// there is more than one way.
fn payload(random: &mut Random) -> Word {
    let body = match random.below(8) {
        0 => vec![0, 0xc0, random.below(256) as u8],
        1 => [&[0, 0xc2][..], &random.bytes(4)].concat(),
        2 => b"\x00\xc3\x05\x14\x00x\xe0\x0a\x00".to_vec(),
        3 => b"\x00\x0212".to_vec(),
        4 => {
            // What is cut must lack more than the footer has, which Redis takes for a part of the value.
            let bad: &[&[u8]] =
                &[b"\x00\x20hell", b"\x08\x00", b"\x00\xc4\x00", b"\x00\xc3\x01\x1e\x00"];
            random.pick(bad).to_vec()
        }
        _ => {
            let value = short(value(random));
            [&[0, value.len() as u8][..], &value].concat()
        }
    };
    let version = *random.pick(&[6, 9, 10, 10, 10, 100]);
    let mut payload = sealed(body, version);
    if random.one_in(12) {
        let index = random.below(payload.len());
        payload[index] ^= 1;
    }
    if random.one_in(20) {
        let length = random.below(payload.len());
        payload.truncate(length);
    }
    payload
}

fn pass_payloads(shards: usize) {
    let (ours, theirs) = (Node::ringfort(shards), Start::redis().node());
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    let mut random = Random::new(1);
    let noise = random.bytes(100_000);
    let long = "all work and no play makes jack a dull boy ".repeat(2000).into_bytes();
    let zeros = vec![0; 3_000_000];
    let mut values: Vec<Vec<u8>> = ["", "x", "-1", "127", "128", "-32769", "2147483648", "007"]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    values.extend([noise[..100].to_vec(), noise, long, zeros, vec![b'a'; 21], vec![b'a'; 25]]);
    values.extend((0..300).map(|_| value(&mut random)));
    for (index, value) in values.iter().enumerate() {
        let name = format!("key:{index}").into_bytes();
        assert_eq!(ours.call(&[b"SET", &name[..], value]), Reply::ok());
        let payload = dumped(ours.call(&[b"DUMP", &name[..]]));
        assert_eq!(theirs.call(&[b"RESTORE", &name[..], b"0", &payload]), Reply::ok());
        assert!(theirs.call(&[b"GET", &name[..]]) == Reply::bulk(value), "{name:?} got lost");
        let theirs = dumped(theirs.call(&[b"DUMP", &name[..]]));
        let back = [b"RESTORE", &name[..], b"1000000", &theirs, b"REPLACE"];
        assert_eq!(ours.call(&back), Reply::ok());
        assert!(ours.call(&[b"GET", &name[..]]) == Reply::bulk(value), "{name:?} got lost");
        assert!((900_000..=1_000_000).contains(&ours.call(&[b"PTTL", &name[..]]).integer()));
        // Where nothing is compressed, there is one way to write it.
        assert!(value.len() > 20 || payload == theirs, "{payload:?} {theirs:?}");
        assert!(payload.len() <= theirs.len() + theirs.len() / 10, "compressed less than by Redis");
    }
}

/// DUMP wrote the newest RDB version and compressed, whatever the configuration said, because the settings never came
/// to the shards.
#[test]
fn a_dump_follows_the_configuration() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let value = "a".repeat(200);
    let dump = |node: &Node| {
        let mut client = node.connect();
        assert_eq!(client.call(&["SET", "key", &value]), Reply::ok());
        dumped(client.run("DUMP key"))
    };
    let set = |node: &Node, name: &str, value: &str| {
        assert_eq!(node.connect().call(&["CONFIG", "SET", name, value]), Reply::ok());
    };
    assert!(dump(&ours).len() < 100);
    for node in [&ours, &theirs] {
        set(node, "rdbcompression", "no");
    }
    assert_eq!(dump(&ours), dump(&theirs));
    if !ours.is_redis() {
        set(&ours, "rdb-compat", "9");
        let payload = dump(&ours);
        assert_eq!(payload[payload.len() - 10..][..2], [9, 0]);
    }
}

fn dumped(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Bulk(payload) => payload,
        other => panic!("expected a payload, got {other}"),
    }
}
