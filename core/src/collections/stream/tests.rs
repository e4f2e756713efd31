//! The entries of streams against a plain model, and against what a Redis made of the same commands.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const LIMITS: NodeLimits = NodeLimits { bytes: 4096, entries: 100 };

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
type Model = BTreeMap<StreamId, Pairs>;

fn parts(pairs: &Pairs) -> impl Iterator<Item = &[u8]> + Clone {
    pairs.iter().flat_map(|(field, value)| [&field[..], &value[..]])
}

fn pairs_of(entry: Entry) -> Pairs {
    entry.fields().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
}

fn check_range(log: &EntryLog, model: &Model, start: StreamId, end: StreamId) {
    let expected: Vec<_> = if start > end {
        Vec::new()
    } else {
        model.range(start..=end).map(|(&id, pairs)| (id, pairs.clone())).collect()
    };
    let entries: Vec<_> = log.range(start..=end).map(|entry| (entry.id, pairs_of(entry))).collect();
    assert_eq!(entries, expected);
    let mut backwards: Vec<_> =
        log.range_back(start..=end).map(|entry| (entry.id, pairs_of(entry))).collect();
    backwards.reverse();
    assert_eq!(backwards, expected);
}

fn check(log: &EntryLog, model: &Model) {
    check_range(log, model, StreamId::MIN, StreamId::MAX);
    assert_eq!(log.len(), model.len() as u64);
    let first = model.first_key_value().map_or(StreamId::MIN, |(&id, _)| id);
    assert_eq!(log.first_id(), first);
    assert_eq!(log.last_live_id(), model.last_key_value().map(|(&id, _)| id));
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64, u64, Pairs),
    Delete(prop::sample::Index),
    Trim(Trim),
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (b'a'..b'd').prop_map(|letter| vec![letter]),
        1 => (-200i64..5000).prop_map(|number| number.to_string().into_bytes()),
        1 => (0usize..100).prop_map(|len| vec![b'x'; len]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let pairs = prop_oneof![
        2 => text().prop_map(|value| vec![(b"f".to_vec(), value)]),
        1 => prop::collection::vec((text(), text()), 1..4),
    ];
    let keep = prop_oneof![
        (0u64..30).prop_map(Keep::Newest),
        (0u64..300, 0u64..3).prop_map(|(ms, seq)| Keep::From(StreamId::new(ms, seq))),
    ];
    let trim = (keep, any::<bool>(), prop_oneof![Just(0), 1u64..20])
        .prop_map(|(keep, approximate, limit)| Step::Trim(Trim { keep, approximate, limit }));
    prop_oneof![
        12 => (0u64..10, 0u64..300, pairs).prop_map(|(ms, seq, pairs)| Step::Append(ms, seq, pairs)),
        3 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => trim,
    ]
}

/// What an exact trimming removes, as ids.
fn outdated(model: &Model, keep: Keep) -> Vec<StreamId> {
    let ids = model.keys().copied();
    match keep {
        Keep::Newest(count) => ids.take(model.len().saturating_sub(count as usize)).collect(),
        Keep::From(id) => ids.take_while(|&other| other < id).collect(),
    }
}

fn apply(log: &mut EntryLog, model: &mut Model, step: Step, limits: &NodeLimits) {
    match step {
        Step::Append(ms, seq, pairs) => {
            let last = log.last_id;
            let id = match (ms, seq) {
                (0, 0) => NewId::Auto { now_ms: last.ms },
                (0, _) => NewId::AutoSequence { ms: last.ms },
                _ => NewId::Exact(StreamId::new(last.ms + ms - 1, last.seq / 2 + seq)),
            };
            let added = log.entries_added;
            match log.append(id, parts(&pairs), limits) {
                Ok(id) => {
                    assert!(id > last && log.last_id == id && log.entries_added == added + 1);
                    model.insert(id, pairs);
                }
                Err(error) => {
                    assert_eq!(error, AppendError::NotAfterLast);
                    assert!(matches!(id, NewId::Exact(id) if id <= last));
                    assert_eq!(log.entries_added, added);
                }
            }
        }
        Step::Delete(index) => {
            if model.is_empty() {
                return;
            }
            let id = *model.keys().nth(index.index(model.len())).unwrap();
            assert!(log.contains(id) && log.delete(id) && !log.delete(id) && !log.contains(id));
            assert!(log.max_deleted_id >= id && log.get(id).is_none());
            model.remove(&id);
        }
        Step::Trim(trim) => {
            let outdated = outdated(model, trim.keep);
            let removed = log.trim(&trim) as usize;
            if !trim.approximate && trim.limit == 0 {
                assert_eq!(removed, outdated.len());
            }
            assert!(removed <= outdated.len());
            for id in &outdated[..removed] {
                model.remove(id);
            }
        }
    }
}

proptest! {
    #[test]
    fn entries_are_those_of_an_ordered_map(
        steps in prop::collection::vec(step(), 1..120),
        limits in prop_oneof![
            Just(LIMITS),
            Just(NodeLimits { bytes: 0, entries: 4 }),
            Just(NodeLimits { bytes: 100, entries: 0 }),
            Just(NodeLimits { bytes: 0, entries: 0 }),
        ],
        start in (0u64..300, 0u64..300),
        end in (0u64..300, 0u64..300),
    ) {
        let (mut log, mut model) = (EntryLog::default(), Model::default());
        let (start, end) = (StreamId::new(start.0, start.1), StreamId::new(end.0, end.1));
        for step in steps {
            apply(&mut log, &mut model, step, &limits);
            check(&log, &model);
            check_range(&log, &model, start, end);
        }
        let mut loaded = EntryLog { last_id: log.last_id, ..EntryLog::default() };
        for (key, bytes) in log.nodes() {
            prop_assert_eq!(loaded.push_node(key, bytes.to_vec()), Ok(()));
        }
        check(&loaded, &model);
        prop_assert!(loaded.nodes().eq(log.nodes()));
        let copy = log.clone();
        check(&copy, &model);
        prop_assert!(copy.memory_bytes() <= log.memory_bytes());
        let mut rounds = 0;
        while log.drop_some(2) {
            rounds += 1;
            prop_assert!(rounds <= 120);
        }
        prop_assert_eq!(log.memory_bytes(), 0);
        check(&copy, &model);
    }
}

/// Each file was written by a client of redis-server 7.0.15: random commands with their outcomes, then what XINFO
/// STREAM said, and the nodes out of the answer to DUMP.
#[test]
fn nodes_are_those_of_redis_after_the_same_commands() {
    for script in [
        include_str!("testdata/nodes_1.txt"),
        include_str!("testdata/nodes_2.txt"),
        include_str!("testdata/nodes_3.txt"),
    ] {
        replay(script);
    }
}

fn replay(script: &str) {
    let id = |text: &str| {
        let (ms, seq) = text.split_once('-').expect("an id");
        StreamId::new(ms.parse().unwrap(), seq.parse().unwrap())
    };
    let mut log = EntryLog::default();
    let mut limits = LIMITS;
    let mut nodes = Vec::new();
    for line in script.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["limits", bytes, entries] => {
                limits =
                    NodeLimits { bytes: bytes.parse().unwrap(), entries: entries.parse().unwrap() };
            }
            ["add", new, ..] => {
                let pairs = words[2..].iter().map(|word| word.as_bytes());
                assert_eq!(log.append(NewId::Exact(id(new)), pairs, &limits), Ok(id(new)));
            }
            ["del", old, outcome] => {
                assert_eq!(u8::from(log.delete(id(old))).to_string(), outcome, "{line}");
            }
            ["trim", what, how, threshold, limit, outcome] => {
                let keep = match what {
                    "maxlen" => Keep::Newest(threshold.parse().unwrap()),
                    _ => Keep::From(id(threshold)),
                };
                let trim = Trim { keep, approximate: how == "~", limit: limit.parse().unwrap() };
                assert_eq!(log.trim(&trim).to_string(), outcome, "{line}");
            }
            ["state", len, first, last, max_deleted, added] => {
                assert_eq!(log.len().to_string(), len);
                assert_eq!(log.first_id(), id(first));
                assert_eq!(log.last_id, id(last));
                assert_eq!(log.max_deleted_id, id(max_deleted));
                assert_eq!(log.entries_added.to_string(), added);
            }
            ["node", key, hex] => nodes.push((id(key), hex)),
            _ => panic!("{line}"),
        }
    }
    let own: Vec<(StreamId, String)> = log
        .nodes()
        .map(|(key, bytes)| (key, bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
        .collect();
    let own: Vec<(StreamId, &str)> = own.iter().map(|(key, hex)| (*key, &hex[..])).collect();
    assert_eq!(own, nodes);
    assert!(!nodes.is_empty());
}

#[test]
fn ids_never_go_back() {
    let mut log = EntryLog::default();
    let mut add = |id| log.append(id, [&b"f"[..], b"v"].into_iter(), &LIMITS);
    assert_eq!(add(NewId::Exact(StreamId::MIN)), Err(AppendError::NotAfterLast));
    assert_eq!(add(NewId::AutoSequence { ms: 0 }), Ok(StreamId::new(0, 1)));
    assert_eq!(add(NewId::Auto { now_ms: 7 }), Ok(StreamId::new(7, 0)));
    assert_eq!(add(NewId::Auto { now_ms: 6 }), Ok(StreamId::new(7, 1)));
    assert_eq!(add(NewId::AutoSequence { ms: 7 }), Ok(StreamId::new(7, 2)));
    assert_eq!(add(NewId::AutoSequence { ms: 6 }), Err(AppendError::NotAfterLast));
    assert_eq!(add(NewId::Exact(StreamId::new(7, 2))), Err(AppendError::NotAfterLast));
    assert_eq!(add(NewId::Exact(StreamId::new(7, u64::MAX))), Ok(StreamId::new(7, u64::MAX)));
    assert_eq!(add(NewId::AutoSequence { ms: 7 }), Err(AppendError::NotAfterLast));
    assert_eq!(add(NewId::Auto { now_ms: 7 }), Ok(StreamId::new(8, 0)));
    assert_eq!(add(NewId::Exact(StreamId::MAX)), Ok(StreamId::MAX));
    assert_eq!(add(NewId::Auto { now_ms: u64::MAX }), Err(AppendError::NotAfterLast));
    assert_eq!(log.len(), 7);
}

#[test]
fn nodes_out_of_order_are_refused() {
    let mut log = EntryLog::default();
    let limits = NodeLimits { entries: 2, ..LIMITS };
    for ms in 1..=6 {
        let id = NewId::Exact(StreamId::new(ms, 0));
        log.append(id, [&b"f"[..], b"v"].into_iter(), &limits).unwrap();
    }
    let nodes: Vec<_> = log.nodes().map(|(key, bytes)| (key, bytes.to_vec())).collect();
    let load = |order: &[usize]| {
        let mut log = EntryLog::default();
        order.iter().all(|&index| {
            let (key, bytes) = nodes[index].clone();
            log.push_node(key, bytes).is_ok()
        })
    };
    assert!(load(&[0, 1, 2]) && load(&[0, 2]));
    assert!(!load(&[1, 0]) && !load(&[1, 1]));
    // A node stored under a key that its neighbour's entries reach past.
    let mut log = EntryLog::default();
    assert!(log.push_node(nodes[0].0, nodes[0].1.clone()).is_ok());
    assert!(log.push_node(StreamId::new(1, 5), nodes[1].1.clone()).is_err());
    assert_eq!(log.len(), 2);
}

/// Trimming by id stops at a deleted entry that is not old enough. Redis keeps the node that then has no live entry;
/// here it goes.
#[test]
fn a_node_without_live_entries_goes() {
    let mut log = EntryLog::default();
    for ms in 1..=3 {
        let id = NewId::Exact(StreamId::new(ms, 0));
        log.append(id, [&b"f"[..], b"v"].into_iter(), &LIMITS).unwrap();
    }
    let (key, before) = log.nodes().next().map(|(key, bytes)| (key, bytes.to_vec())).unwrap();
    log.delete(StreamId::new(3, 0));
    let trim = Trim { keep: Keep::From(StreamId::new(3, 0)), approximate: false, limit: 0 };
    assert_eq!(log.trim(&trim), 2);
    assert_eq!((log.len(), log.nodes_len(), log.first_id()), (0, 0, StreamId::MIN));
    // Such a node in what is loaded is passed over.
    let mut dead = before;
    for ms in 1..=3 {
        let raw = node::Node::new(key, &dead).find(StreamId::new(ms, 0)).unwrap();
        node::flag_deleted(&mut dead, &raw);
        node::count_deleted(&mut dead, 1);
    }
    assert_eq!(log.push_node(key, dead), Ok(()));
    assert_eq!(log.nodes_len(), 0);
}

#[test]
fn memory_of_a_stream_is_that_of_its_parts() {
    let mut stream = Stream::default();
    assert_eq!(stream.memory_bytes(), 0);
    for ms in 1..=1000 {
        let id = NewId::Exact(StreamId::new(ms, 0));
        stream.log.append(id, [&b"f"[..], b"v"].into_iter(), &LIMITS).unwrap();
    }
    let entries = stream.memory_bytes();
    assert!(entries > 5000);
    assert!(stream.groups.insert(b"g", Group::new(StreamId::MIN, Some(0))));
    assert!(!stream.groups.insert(b"g", Group::new(StreamId::MIN, None)));
    let mut group = stream.groups.get_mut(b"g").unwrap();
    let consumer = group.create_consumer(b"c", 0).unwrap();
    for ms in 1..=1000 {
        let pending = Pending { delivered_at: 5, deliveries: 1, consumer };
        group.set_pending(StreamId::new(ms, 0), pending);
    }
    let group_bytes = group.memory_bytes();
    drop(group);
    assert!(group_bytes > 40_000);
    assert!(stream.memory_bytes() > entries + group_bytes);
    let copy = stream.clone();
    assert_eq!(copy.groups.memory_bytes(), stream.groups.memory_bytes());
    let taken = stream.groups.remove(b"g").unwrap();
    assert_eq!((taken.pending_len(), stream.memory_bytes()), (1000, entries));
    let mut rounds = 0;
    let mut dropped = copy;
    while dropped.drop_some(100) {
        rounds += 1;
    }
    // What lies together goes together, so it is more than a hundred at a time.
    assert!((15..25).contains(&rounds), "{rounds}");
}

#[test]
fn a_stream_can_be_moved_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Stream>();
}
