//! A snapshot is the state at its cut, whatever happens while it is taken: random commands run on several shards
//! between random steps of the snapshot; what a reader makes of the stream must be what was there at the cut, and with
//! the effects since then replayed on top, what is there at the end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringfort_core::args::{Args, OwnedArgs};
use ringfort_core::command::{self, Handler};
use ringfort_core::cx::Cx;
use ringfort_core::digest;
use ringfort_core::keys::{Caller, Keys};
use ringfort_core::rdb::{Format, StoredValue, crc64, value};
use ringfort_core::resp::{Protocol, Reply};
use ringfort_core::shard::{Policy, Shard};
use ringfort_core::slot::slot_of;
use ringfort_core::store::{Captured, Expiry, Hasher, OwnedEntry, Value};
use ringfort_core::{active_expiry, eviction, flush, snapshot};
use ringfort_replication::rdb::{Item, Reader, writer};

const DATABASES: usize = 3;
const START_MS: i64 = 1_700_000_000_000;

/// The version that has all there is to tell of collections.
const FORMAT: Format = Format { version: writer::FIELD_TIMES_VERSION, compress: false };

/// (database, key) → (value's digest, expiry).
type Contents = BTreeMap<(usize, Vec<u8>), (digest::Digest, Option<i64>)>;

/// (database, key) → a stream as it is written, with its groups, of which the digest knows nothing.
type Streams = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

struct Node {
    shards: Vec<Shard>,
    now: i64,
    /// Effects of all shards since the cut, in order; the node's own (FLUSHALL) among them.
    log: Vec<(usize, Vec<u8>)>,
}

impl Node {
    fn new(shards: usize) -> Node {
        let shard = |seed| {
            let mut shard = Shard::new(Hasher::new([1, 2, 3, 4]), DATABASES, seed);
            shard.effects.enabled = true;
            shard.settings.maxmemory_policy = Policy::AllKeysRandom;
            // A few elements make a large collection, and a few dozen one of several nodes.
            let limits = &mut shard.settings.limits;
            limits.list_max_listpack_size = 4;
            limits.hash_max_listpack_entries = 4;
            limits.set_max_listpack_entries = 4;
            limits.set_max_intset_entries = 4;
            limits.zset_max_listpack_entries = 4;
            limits.stream_node_max_entries = 3;
            shard
        };
        Node { shards: (1..=shards as u64).map(shard).collect(), now: START_MS, log: Vec::new() }
    }

    fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        for shard in &self.shards {
            for (number, database) in shard.databases.iter().enumerate() {
                database.for_each(|entry| {
                    let value = (digest::of_value(Some(entry)), entry.expire_at());
                    contents.insert((number, entry.key().to_vec()), value);
                });
            }
        }
        contents
    }

    fn streams(&self) -> Streams {
        let mut streams = Streams::new();
        for shard in &self.shards {
            for (number, database) in shard.databases.iter().enumerate() {
                database.for_each(|entry| {
                    if let value @ Value::Stream(_) = entry.value() {
                        let mut bytes = Vec::new();
                        value::write(&mut bytes, &value, FORMAT);
                        streams.insert((number, entry.key().to_vec()), bytes);
                    }
                });
            }
        }
        streams
    }

    /// Runs a command whose keys are on one shard.
    fn run(&mut self, database: usize, args: &Args, caller: Caller) {
        let spec = command::resolve(args).expect("a command that exists");
        let Handler::Keys(handler) = spec.handler else { panic!("{}: no keys", spec.name) };
        let key = command::keys::keys_of(spec, args).next().expect("a key");
        let shard = slot_of(args.at(key)).shard(self.shards.len());
        let keys =
            Keys { shard: &mut self.shards[shard], database, now: self.now, caller, first: None };
        let mut out = Vec::new();
        let mut cx = Cx::new(keys, Reply::new(&mut out, Protocol::Resp2));
        let _ = handler(&mut cx, args);
        self.collect(shard);
    }

    fn collect(&mut self, shard: usize) {
        let effects = self.shards[shard].effects.take();
        self.log.extend(effects.iter().map(|(database, bytes)| (database, bytes.to_vec())));
    }

    fn flush_all(&mut self) {
        for shard in &mut self.shards {
            flush::flush_all(shard, self.now);
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        for shard in &mut self.shards {
            flush::swap_databases(shard, one, other, self.now);
        }
    }
}

/// The words of one RESP command.
fn words(bytes: &[u8]) -> Vec<Vec<u8>> {
    fn number(rest: &mut &[u8]) -> usize {
        let end = rest.iter().position(|&byte| byte == b'\r').expect("a line");
        let number = std::str::from_utf8(&rest[1..end]).unwrap().parse().unwrap();
        *rest = &rest[end + 2..];
        number
    }
    let mut rest = bytes;
    let count = number(&mut rest);
    let mut word = || {
        let length = number(&mut rest);
        let word = rest[..length].to_vec();
        rest = &rest[length + 2..];
        word
    };
    (0..count).map(|_| word()).collect()
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Command {
        database: usize,
        line: String,
    },
    /// One command with many elements from a number on.
    Fill {
        database: usize,
        key: String,
        kind: usize,
        first: u32,
        count: u32,
    },
    FlushAll,
    Swap(usize, usize),
    Expire {
        after_ms: i64,
    },
    Evict {
        shard: usize,
    },
    /// Many keys come at once: tables grow, and shrink when they go.
    Populate {
        database: usize,
        first: u32,
        count: u32,
    },
    Depopulate {
        database: usize,
        first: u32,
        count: u32,
    },
    Snapshot {
        shard: usize,
        entries: usize,
    },
}

fn key() -> impl Strategy<Value = String> {
    (0u32..40).prop_map(|number| format!("k:{number}"))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        (0i64..1000).prop_map(|number| number.to_string()),
        (0usize..100).prop_map(|length| "s".repeat(length + 1)),
        (1000usize..4000).prop_map(|length| "L".repeat(length)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let database = || 0..DATABASES;
    let command = (database(), key(), value(), 0u32..13, database(), 1i64..5000).prop_map(
        |(database, key, value, kind, other, ms)| {
            let line = match kind {
                0..4 => format!("SET {key} {value}"),
                4 => format!("SET {key} {value} PX {ms}"),
                5 => format!("DEL {key}"),
                6 => format!("APPEND {key} {value}"),
                7 => format!("INCR {key}"),
                8 => format!("PEXPIRE {key} {ms}"),
                9 => format!("RENAME {key} {{{key}}}r"),
                10 => format!("COPY {key} {{{key}}}c DB {other} REPLACE"),
                11 => format!("MOVE {key} {other}"),
                _ => format!("SETRANGE {key} {} {value}", ms % 50),
            };
            Step::Command { database, line }
        },
    );
    // Few, so that there are many elements in each.
    let key = || (0u32..4).prop_map(|number| format!("k:{number}"));
    let collection =
        (database(), key(), any::<u32>(), 0usize..20).prop_map(|(database, key, random, kind)| {
            let number = random % 50;
            let line = match kind {
                0 => format!("LPUSH l:{key} {number}"),
                1 => format!("RPOP l:{key} 3"),
                2 => format!("LSET l:{key} -2 {number}"),
                3 => format!("LREM l:{key} 0 {number}"),
                4 => format!("LINSERT l:{key} BEFORE {number} {random}"),
                5 => format!("LTRIM l:{key} 5 -6"),
                6 => format!("SADD s:{key} {random}"),
                7 => format!("SREM s:{key} {number} {}", number + 1),
                8 => format!("SPOP s:{key} 4"),
                9 => format!("HSET h:{key} {number} {random}"),
                10 => format!("HDEL h:{key} {number} {}", number + 1),
                11 => format!("HPEXPIRE h:{key} {} FIELDS 1 {number}", random % 5000 + 1),
                12 => format!("ZADD z:{key} {random} {number}"),
                13 => format!("ZPOPMIN z:{key} 3"),
                14 => format!("ZREMRANGEBYRANK z:{key} 5 8"),
                15 => format!("XADD x:{key} * f {random}"),
                16 => format!("XTRIM x:{key} MAXLEN 20"),
                17 => format!("XGROUP CREATE x:{key} g{} 0 MKSTREAM", number % 2),
                18 => format!(
                    "XREADGROUP GROUP g{} c{} COUNT 7 STREAMS x:{key} >",
                    number % 2,
                    number % 3
                ),
                _ => {
                    let key = format!("{}:{key}", ["l", "s", "h", "z", "x"][random as usize % 5]);
                    format!("RENAME {key} {{{key}}}r")
                }
            };
            Step::Command { database, line }
        });
    let fill = (database(), key(), 0usize..5, 0u32..40, 1u32..60);
    prop_oneof![
        12 => command,
        12 => collection,
        12 => fill.prop_map(|(database, key, kind, first, count)| {
            Step::Fill { database, key, kind, first, count }
        }),
        1 => Just(Step::FlushAll),
        1 => (database(), database()).prop_map(|(one, other)| Step::Swap(one, other)),
        2 => (0i64..3000).prop_map(|after_ms| Step::Expire { after_ms }),
        1 => (0usize..4).prop_map(|shard| Step::Evict { shard }),
        1 => (database(), 0u32..3, 1u32..600).prop_map(|(database, first, count)| {
            Step::Populate { database, first: first * 200, count }
        }),
        1 => (database(), 0u32..3, 1u32..600).prop_map(|(database, first, count)| {
            Step::Depopulate { database, first: first * 200, count }
        }),
        16 => (0usize..4, 1usize..100).prop_map(|(shard, entries)| {
            Step::Snapshot { shard, entries }
        }),
    ]
}

/// Puts the parts together as the streamer does.
#[derive(Default)]
struct Stream {
    bytes: Vec<u8>,
    crc: u64,
    database: Option<usize>,
    /// The shard whose entry goes on, and what others brought meanwhile.
    open: Option<usize>,
    waiting: Vec<(usize, Captured)>,
}

impl Stream {
    fn frame(&mut self, frame: &[u8]) {
        self.crc = crc64::checksum(self.crc, frame);
        self.bytes.extend_from_slice(frame);
    }

    fn part(&mut self, shard: usize, captured: Captured) {
        self.waiting.push((shard, captured));
        let fits = |open: Option<usize>, shard| open.is_none_or(|open| open == shard);
        while let Some(at) = self.waiting.iter().position(|(shard, _)| fits(self.open, *shard)) {
            let (shard, captured) = self.waiting.remove(at);
            self.open = captured.is_open.then_some(shard);
            self.write(captured);
        }
    }

    fn write(&mut self, captured: Captured) {
        if captured.bytes.is_empty() {
            return;
        }
        if self.database != Some(captured.database) {
            self.database = Some(captured.database);
            let mut select = Vec::new();
            writer::write_select(&mut select, captured.database as u32);
            self.frame(&select);
        }
        let crc = captured.bytes.checksum(0);
        self.crc = crc64::combine(self.crc, crc, captured.bytes.len() as u64);
        captured.bytes.into_list().iter().for_each(|piece| self.bytes.extend_from_slice(piece));
    }
}

fn take_step(node: &mut Node, step: &Step, stream: &mut Option<Stream>) {
    let shards = node.shards.len();
    match step {
        Step::Command { database, line } => {
            let args = OwnedArgs::new(line.split(' ').map(str::as_bytes));
            // Both names of a key are on its shard: they share its tag or are the tag.
            node.run(*database, &args.args(), Caller::default());
        }
        Step::Fill { database, key, kind, first, count } => {
            let numbers = (*first..first + count).map(|number| number.to_string());
            let (name, prefix) =
                [("RPUSH", "l"), ("SADD", "s"), ("HSET", "h"), ("ZADD", "z"), ("XADD", "x")][*kind];
            let mut words = vec![name.to_owned(), format!("{prefix}:{key}")];
            if name == "XADD" {
                words.push("*".to_owned());
            }
            for number in numbers {
                if kind >= &2 {
                    words.push(number.clone());
                }
                words.push(number);
            }
            let args = OwnedArgs::new(words.iter().map(String::as_bytes));
            node.run(*database, &args.args(), Caller::default());
        }
        Step::FlushAll => {
            node.flush_all();
            node.log.push((0, b"*1\r\n$8\r\nFLUSHALL\r\n".to_vec()));
        }
        Step::Swap(one, other) => {
            node.swap(*one, *other);
            let text = format!("*3\r\n$6\r\nSWAPDB\r\n$1\r\n{one}\r\n$1\r\n{other}\r\n");
            node.log.push((0, text.into_bytes()));
        }
        Step::Expire { after_ms } => {
            node.now += after_ms;
            for shard in 0..shards {
                while !active_expiry::step(&mut node.shards[shard], node.now, 50).finished_round {}
                node.collect(shard);
            }
        }
        Step::Evict { shard } => {
            let shard = shard % shards;
            eviction::evict_some(&mut node.shards[shard], node.now, 2, usize::MAX);
            node.collect(shard);
        }
        Step::Populate { database, first, count } => {
            for number in *first..first + count {
                let args = OwnedArgs::new([
                    b"SET".as_slice(),
                    format!("{{tag}}{number}").as_bytes(),
                    b"populated",
                ]);
                node.run(*database, &args.args(), Caller::default());
            }
        }
        Step::Depopulate { database, first, count } => {
            for number in *first..first + count {
                let key = format!("{{tag}}{number}");
                let args = OwnedArgs::new([b"DEL".as_slice(), key.as_bytes()]);
                node.run(*database, &args.args(), Caller::default());
            }
        }
        Step::Snapshot { shard, entries } => {
            let Some(stream) = stream else { return };
            let shard = shard % shards;
            let part = snapshot::step(&mut node.shards[shard], *entries, &mut Vec::new());
            if let Some(captured) = part {
                stream.part(shard, captured);
            }
        }
    }
}

fn cut(node: &mut Node, reference_bytes_min: usize, part_bytes: usize, compress: bool) -> Stream {
    let options = snapshot::Options {
        format: Format { compress, ..FORMAT },
        reference_bytes_min,
        held_bytes_min: reference_bytes_min,
        part_bytes,
        now: node.now,
    };
    for shard in &mut node.shards {
        snapshot::begin(shard, options);
    }
    node.log.clear();
    let mut stream = Stream::default();
    let mut header = Vec::new();
    writer::write_header(&mut header, FORMAT.version);
    stream.frame(&header);
    stream
}

fn finish(node: &mut Node, mut stream: Stream) -> Vec<u8> {
    for (number, shard) in node.shards.iter_mut().enumerate() {
        while let Some(captured) = snapshot::step(shard, 50, &mut Vec::new()) {
            stream.part(number, captured);
        }
        assert!(!snapshot::is_under_way(shard));
    }
    assert!(stream.open.is_none() && stream.waiting.is_empty());
    writer::write_end(&mut stream.bytes, Some(stream.crc));
    stream.bytes
}

/// A node of what a reader makes of the stream.
fn load(bytes: &[u8], shards: usize, now: i64) -> Node {
    let mut node = Node::new(shards);
    node.now = now;
    let mut reader = Reader::new(node.shards[0].builder());
    let mut database = 0;
    reader.push(bytes);
    while let Some(item) = reader.next().expect("a stream as it should be") {
        match item {
            Item::Select { database: selected } => database = selected as usize,
            Item::Entry(entry) => {
                let (key, expire_at) = (&entry.key, entry.expire_at);
                let new = match entry.value {
                    StoredValue::String(bytes) => OwnedEntry::string(key, &bytes, expire_at, 0),
                    StoredValue::Integer(number) => OwnedEntry::integer(key, number, expire_at, 0),
                    StoredValue::Collection(collection) => {
                        OwnedEntry::collection(key, collection, expire_at, 0)
                    }
                };
                let shard = slot_of(&entry.key).shard(shards);
                let target = &mut node.shards[shard].databases[database];
                let key = target.hasher().key(&entry.key);
                assert!(target.insert(&key, new).is_none(), "{:?} is there twice", entry.key);
            }
            _ => {}
        }
    }
    reader.finish().expect("all of it");
    node
}

fn replay(node: &mut Node, log: &[(usize, Vec<u8>)]) {
    let caller = Caller { is_primary: true, ..Caller::default() };
    for shard in &mut node.shards {
        shard.settings.is_replica = true;
    }
    for (database, bytes) in log {
        let words = words(bytes);
        match words[0].as_slice() {
            b"FLUSHALL" => node.flush_all(),
            b"SWAPDB" => {
                let index = |word: &[u8]| usize::from(word[0] - b'0');
                node.swap(index(&words[1]), index(&words[2]));
            }
            _ => {
                let args = OwnedArgs::new(words.iter().map(Vec::as_slice));
                node.run(*database, &args.args(), caller);
            }
        }
    }
}

fn check(
    shards: usize,
    before: &[Step],
    during: &[Step],
    reference: usize,
    part_bytes: usize,
    compress: bool,
) {
    let mut node = Node::new(shards);
    let mut stream = None;
    before.iter().for_each(|step| take_step(&mut node, step, &mut stream));
    // Twice, so that the second snapshot begins with entries of the other phase.
    for _ in 0..2 {
        let (at_cut, streams_at_cut) = (node.contents(), node.streams());
        let mut stream = Some(cut(&mut node, reference, part_bytes, compress));
        during.iter().for_each(|step| take_step(&mut node, step, &mut stream));
        let log = node.log.clone();
        let bytes = finish(&mut node, stream.expect("put there above"));
        let mut loaded = load(&bytes, 3, node.now);
        assert_eq!(loaded.contents(), at_cut, "the snapshot is not the state at the cut");
        assert_eq!(loaded.streams(), streams_at_cut, "the snapshot has other streams");
        replay(&mut loaded, &log);
        assert_eq!(loaded.contents(), node.contents(), "the log does not lead to the end");
    }
}

#[test]
fn a_snapshot_that_is_given_up_leaves_the_next_one_whole() {
    let mut node = Node::new(2);
    let populate = Step::Populate { database: 1, first: 0, count: 500 };
    take_step(&mut node, &populate, &mut None);
    let mut stream = Some(cut(&mut node, 0, 1000, false));
    let some = Step::Snapshot { shard: 0, entries: 20 };
    take_step(&mut node, &some, &mut stream);
    node.shards.iter_mut().for_each(snapshot::give_up);
    for shard in &mut node.shards {
        while let Some(rest) = snapshot::step(shard, 50, &mut Vec::new()) {
            assert!(rest.bytes.is_empty(), "nobody wants it");
        }
    }
    let at_cut = node.contents();
    let stream = cut(&mut node, 0, 1000, false);
    let bytes = finish(&mut node, stream);
    assert_eq!(load(&bytes, 1, node.now).contents(), at_cut);
}

#[test]
fn a_value_that_is_sent_by_reference_stays_as_it_was() {
    let mut node = Node::new(1);
    let database = &mut node.shards[0].databases[0];
    let key = database.hasher().clone();
    let key = key.key(b"big");
    database.set_string(&key, &[b'a'; 10_000], Expiry::Clear, 0);
    let at_cut = node.contents();
    let mut stream = cut(&mut node, 100, 1, false);
    let captured = snapshot::step(&mut node.shards[0], 1, &mut Vec::new()).unwrap();
    // Its bytes are still where they were when the value is overwritten in place.
    let append = OwnedArgs::new([b"SETRANGE".as_slice(), b"big", b"0", b"zzzz"]);
    node.run(0, &append.args(), Caller::default());
    stream.part(0, captured);
    let bytes = finish(&mut node, stream);
    assert_eq!(load(&bytes, 1, node.now).contents(), at_cut);
    assert_ne!(node.contents(), at_cut);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_snapshot_is_the_state_at_its_cut(
        shards in 1usize..5,
        before in prop::collection::vec(step(), 0..60),
        during in prop::collection::vec(step(), 0..120),
        reference in prop_oneof![Just(0usize), Just(1 << 20)],
        part_bytes in prop_oneof![1usize..100, 1usize..5000],
        compress: bool,
    ) {
        check(shards, &before, &during, reference, part_bytes, compress);
    }
}
