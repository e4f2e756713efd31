use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use super::*;
use proptest::prelude::*;

const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n";

fn select(database: u32) -> Vec<u8> {
    let digits = database.to_string();
    format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{digits}\r\n", digits.len()).into_bytes()
}

fn read_all(reader: &mut Reader) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(more) = reader.read(usize::MAX) {
        bytes.extend_from_slice(&more);
    }
    bytes
}

/// The log's content after `append` on a fresh log at offset 100.
fn check(append: impl FnOnce(&Log), expected: &[&[u8]]) {
    let log = Log::new();
    log.start(100);
    let mut reader = log.reader_at(100).unwrap();
    append(&log);
    let expected = expected.concat();
    assert_eq!(log.end(), 100 + expected.len() as u64);
    let read = read_all(&mut reader);
    assert_eq!(String::from_utf8_lossy(&read), String::from_utf8_lossy(&expected));
    assert_eq!(reader.offset(), log.end());
}

#[test]
fn select_stands_where_the_database_changes() {
    check(
        |log| {
            log.append_effects([(0, SET), (0, SET), (12, SET)].into_iter());
            log.append_effects([(12, SET)].into_iter());
            assert_eq!(log.database(), Some(12));
        },
        &[&select(0), SET, SET, &select(12), SET, SET],
    );
}

#[test]
fn select_is_forced_once_the_database_is_forgotten() {
    check(
        |log| {
            log.append_effects([(3, SET)].into_iter());
            log.forget_database();
            log.append_effects([(3, SET)].into_iter());
            log.set_database(4);
            log.append_effects([(4, SET)].into_iter());
        },
        &[&select(3), SET, &select(3), SET, SET],
    );
}

#[test]
fn transaction_of_several_commands_is_wrapped_behind_its_first_select() {
    check(
        |log| {
            log.append_transaction(2, [(0, SET), (3, SET)].into_iter());
            log.append_transaction(1, [(0, SET)].into_iter());
            log.append_transaction(2, [(0, SET), (0, SET)].into_iter());
            log.append_transaction(2, std::iter::empty());
        },
        &[&select(0), MULTI, SET, &select(3), SET, EXEC, &select(0), SET, MULTI, SET, SET, EXEC],
    );
}

#[test]
fn keyless_commands_and_a_primarys_bytes_need_no_select() {
    check(
        |log| {
            log.append_keyless(b"*1\r\n$4\r\nPING\r\n");
            log.append_raw(b"anything");
            assert_eq!(log.database(), None);
        },
        &[b"*1\r\n$4\r\nPING\r\n", b"anything"],
    );
}

#[test]
fn log_that_is_not_active_takes_nothing_and_keeps_its_end() {
    let log = Log::new();
    assert_eq!(log.append_effects([(0, SET)].into_iter()), 0);
    assert!(log.reader_at(0).is_none());
    log.start(7);
    log.append_raw(b"abc");
    log.stop();
    assert!(!log.is_active());
    assert_eq!(log.append_raw(b"def"), 10);
    assert_eq!((log.first(), log.end(), log.backlog_bytes(), log.memory_bytes()), (10, 10, 0, 0));
    assert!(log.reader_at(10).is_none());
}

#[test]
fn readers_start_anywhere_from_first_to_end_and_nowhere_else() {
    let log = Log::new();
    log.start(10);
    log.append_raw(b"abc");
    for (offset, expected) in
        [(9, None), (10, Some("abc")), (12, Some("c")), (13, Some("")), (14, None)]
    {
        let read = log.reader_at(offset).map(|mut reader| read_all(&mut reader));
        assert_eq!(read.as_deref(), expected.map(str::as_bytes), "{offset}");
    }
}

#[test]
fn reader_at_the_end_of_a_full_block_goes_on_in_the_next() {
    let log = Log::new();
    log.start(0);
    log.append_raw(&vec![1; BLOCK_BYTES as usize]);
    let mut reader = log.reader_at(BLOCK_BYTES).unwrap();
    log.trim(0);
    assert!(reader.read(1).is_none());
    log.append_raw(&[2, 3]);
    assert_eq!(reader.available(log.end()), 2);
    assert_eq!(&reader.read(1).unwrap()[..], [2]);
    assert_eq!(&reader.read(9).unwrap()[..], [3]);
    // Neither the log nor the reader holds the full block any more.
    log.trim(0);
    assert_eq!(log.memory_bytes(), BLOCK_BYTES);
}

#[test]
fn trim_keeps_at_least_what_it_is_told() {
    let log = Log::new();
    log.start(5);
    log.append_raw(&vec![0; 3 * BLOCK_BYTES as usize]);
    for (keep, first) in [
        (u64::MAX, 5),
        (2 * BLOCK_BYTES + 1, 5),
        (2 * BLOCK_BYTES, 5 + BLOCK_BYTES),
        (0, 5 + 2 * BLOCK_BYTES),
    ] {
        log.trim(keep);
        assert_eq!((log.first(), log.backlog_bytes()), (first, log.end() - first), "{keep}");
    }
}

#[test]
fn slow_reader_alone_keeps_what_it_has_not_read() {
    let log = Log::new();
    log.start(0);
    let mut reader = log.reader_at(0).unwrap();
    for number in 0..10 {
        log.append_raw(&vec![number; BLOCK_BYTES as usize]);
    }
    log.trim(0);
    assert_eq!(log.backlog_bytes(), BLOCK_BYTES);
    assert_eq!(log.memory_bytes(), 10 * BLOCK_BYTES);
    let kept = reader.read(usize::MAX).unwrap();
    assert_eq!(log.memory_bytes(), 10 * BLOCK_BYTES);
    drop(kept);
    assert_eq!(log.memory_bytes(), 9 * BLOCK_BYTES);
    drop(reader);
    assert_eq!(log.memory_bytes(), BLOCK_BYTES);
}

/// A replica that is far behind went with all that it had kept in one go, and so did a backlog that was made smaller.
#[test]
fn much_of_the_log_goes_bit_by_bit() {
    const BLOCKS: u64 = 300;
    let log = Log::new();
    log.start(0);
    let mut reader = log.reader_at(0).unwrap();
    for _ in 0..BLOCKS {
        log.append_raw(&[b'x'; BLOCK_BYTES as usize]);
    }
    log.trim(0);
    assert!(log.first() > 0 && log.first() <= 100 * BLOCK_BYTES, "{}", log.first());
    while log.backlog_bytes() > BLOCK_BYTES {
        let before = log.first();
        log.trim(0);
        assert!(log.first() > before);
    }
    assert_eq!(log.memory_bytes(), BLOCKS * BLOCK_BYTES);
    let mut steps = 0;
    while reader.drop_some(100) {
        steps += 1;
        assert!(log.memory_bytes() >= (BLOCKS - 2 * steps) * BLOCK_BYTES);
    }
    assert!(steps >= BLOCKS / 2 - 1, "{steps}");
    drop(reader);
    assert_eq!(log.memory_bytes(), BLOCK_BYTES);
}

#[test]
fn bytes_outlive_the_log_they_came_from() {
    let log = Log::new();
    log.start(0);
    let mut reader = log.reader_at(0).unwrap();
    log.append_raw(b"abc");
    let bytes = reader.read(usize::MAX).unwrap();
    assert_eq!(bytes.as_ptr() as usize % 4096, 0, "page-aligned");
    drop(reader);
    drop(log);
    assert_eq!(&bytes[..], b"abc");
}

#[test]
fn reader_of_a_restarted_log_ends_where_its_own_ended() {
    let log = Log::new();
    log.start(0);
    let mut reader = log.reader_at(0).unwrap();
    log.append_raw(b"old");
    log.start(1);
    log.append_raw(b"new bytes");
    assert_eq!(read_all(&mut reader), b"old");
    assert_eq!(read_all(&mut log.reader_at(1).unwrap()), b"new bytes");
}

#[test]
fn long_chain_is_dropped_without_recursion() {
    let log = Log::new();
    log.start(0);
    let reader = log.reader_at(0).unwrap();
    let piece = vec![0; BLOCK_BYTES as usize];
    // A thread's stack of 64 KiB holds a few hundred nested drops; the pages are never touched again.
    for _ in 0..2_000 {
        log.append_raw(&piece);
        log.trim(0);
    }
    let small = thread::Builder::new().stack_size(64 * 1024);
    small.spawn(move || drop(reader)).unwrap().join().unwrap();
    assert_eq!(log.memory_bytes(), BLOCK_BYTES);
}

#[test]
fn piece_that_panicked_halfway_was_never_there() {
    let log = Log::new();
    log.start(0);
    log.set_database(1);
    let halfway = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        log.append_effects((0..4).map(|number| {
            assert!(number < 3, "expected by this test");
            (number, &[b'x'; 40_000][..])
        }))
    }));
    assert!(halfway.is_err());
    assert_eq!((log.end(), log.database()), (0, Some(1)));
    log.append_effects([(1, SET)].into_iter());
    assert_eq!(read_all(&mut log.reader_at(0).unwrap()), SET);
}

#[test]
fn pieces_of_several_threads_stay_whole() {
    const PIECES: u64 = 3_000;
    let log = Arc::new(Log::new());
    log.start(0);
    let mut reader = log.reader_at(0).unwrap();
    let writers: Vec<_> = (0..2u8)
        .map(|writer| {
            let log = log.clone();
            thread::spawn(move || {
                for number in 0..PIECES {
                    // Head, then as many bytes as it says, all the writer's.
                    let length = (number % 300) as u16;
                    let mut piece = vec![writer];
                    piece.extend_from_slice(&length.to_le_bytes());
                    piece.extend(std::iter::repeat_n(writer, usize::from(length)));
                    let end = log.append_raw(&piece);
                    assert!(log.end() >= end);
                    if number % 64 == 0 {
                        log.trim(10_000);
                    }
                }
            })
        })
        .collect();
    let (mut pending, mut counts) = (Vec::<u8>::new(), [0u64; 2]);
    while counts != [PIECES; 2] {
        match reader.read(1000) {
            Some(bytes) => pending.extend_from_slice(&bytes),
            None => thread::yield_now(),
        }
        while let [writer, low, high, ..] = pending[..] {
            let whole = 3 + usize::from(u16::from_le_bytes([low, high]));
            if pending.len() < whole {
                break;
            }
            assert_eq!((whole - 3) as u64, counts[usize::from(writer)] % 300);
            assert!(pending[3..whole].iter().all(|byte| *byte == writer));
            counts[usize::from(writer)] += 1;
            pending.drain(..whole);
        }
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[derive(Clone, Debug)]
enum Step {
    Effects(Vec<(usize, usize)>),
    Transaction(Vec<(usize, usize)>),
    Raw(usize),
    Forget,
    Trim(u64),
    /// A reader at this many thousandths of what is there, or a little outside.
    Join(u64, i64),
    Read(usize, usize),
    Leave(usize),
    Start(u64),
    Stop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![8 => 0usize..200, 2 => 0usize..100_000];
    let runs = prop::collection::vec((0usize..3, length.clone()), 0..4);
    let step = prop_oneof![
        6 => runs.clone().prop_map(Step::Effects),
        3 => runs.prop_map(Step::Transaction),
        3 => length.prop_map(Step::Raw),
        1 => Just(Step::Forget),
        3 => prop_oneof![Just(0u64), 0u64..200_000].prop_map(Step::Trim),
        4 => (0u64..=1000, -1i64..=1).prop_map(|(share, shift)| Step::Join(share, shift)),
        8 => (any::<usize>(), prop_oneof![0usize..100, 0usize..200_000])
            .prop_map(|(reader, max)| Step::Read(reader, max)),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => (0u64..1_000_000).prop_map(Step::Start),
        1 => Just(Step::Stop),
    ];
    prop::collection::vec(step, 1..60)
}

/// The plain version: every byte of every log there was.
#[derive(Default)]
struct Plain {
    /// Offset of the first byte and the bytes, of each log started.
    logs: Vec<(u64, Vec<u8>)>,
    active: bool,
    database: Option<usize>,
}

impl Plain {
    fn end(&self) -> u64 {
        self.logs.last().map_or(0, |(start, bytes)| start + bytes.len() as u64)
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.active {
            self.logs.last_mut().unwrap().1.extend_from_slice(bytes);
        }
    }

    fn select(&mut self, database: usize) {
        if self.active && self.database != Some(database) {
            self.append(&select(database as u32));
            self.database = Some(database);
        }
    }
}

fn filled(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + seed * 7) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn log_is_a_window_on_one_stream(steps in steps()) {
        let (log, mut plain) = (Log::new(), Plain::default());
        // By number: the reader, and which log it reads.
        let mut readers = BTreeMap::<usize, (Reader, usize)>::new();
        for (number, step) in steps.into_iter().enumerate() {
            let pick = |pick: usize| readers.keys().nth(pick % readers.len().max(1)).copied();
            match step {
                Step::Effects(runs) | Step::Transaction(runs) if runs.is_empty() => {
                    log.append_effects(std::iter::empty());
                }
                Step::Effects(runs) => {
                    let runs: Vec<_> =
                        runs.iter().map(|(db, length)| (*db, filled(*length, number))).collect();
                    let end = log.append_effects(runs.iter().map(|(db, bytes)| (*db, &bytes[..])));
                    for (db, bytes) in &runs {
                        plain.select(*db);
                        plain.append(bytes);
                    }
                    prop_assert_eq!(end, plain.end());
                }
                Step::Transaction(runs) => {
                    let runs: Vec<_> =
                        runs.iter().map(|(db, length)| (*db, filled(*length, number))).collect();
                    let slices = runs.iter().map(|(db, bytes)| (*db, &bytes[..]));
                    log.append_transaction(runs.len(), slices);
                    plain.select(runs[0].0);
                    if runs.len() > 1 {
                        plain.append(MULTI);
                    }
                    for (db, bytes) in &runs {
                        plain.select(*db);
                        plain.append(bytes);
                    }
                    if runs.len() > 1 {
                        plain.append(EXEC);
                    }
                }
                Step::Raw(length) => {
                    log.append_raw(&filled(length, number));
                    plain.append(&filled(length, number));
                }
                Step::Forget => {
                    log.forget_database();
                    plain.database = None;
                }
                Step::Trim(keep) => {
                    let before = log.first();
                    log.trim(keep);
                    let there = plain.end() - before;
                    prop_assert!(log.first() >= before);
                    prop_assert!(log.backlog_bytes() >= keep.min(there));
                    if plain.active {
                        prop_assert!(log.backlog_bytes() <= keep.saturating_add(BLOCK_BYTES));
                    }
                }
                Step::Join(share, shift) => {
                    let offset = log.first() + log.backlog_bytes() * share / 1000;
                    let Some(offset) = offset.checked_add_signed(shift) else { continue };
                    let inside = plain.active && (log.first()..=log.end()).contains(&offset);
                    let reader = log.reader_at(offset);
                    prop_assert_eq!(reader.is_some(), inside);
                    if let Some(reader) = reader {
                        prop_assert_eq!(reader.offset(), offset);
                        readers.insert(number, (reader, plain.logs.len() - 1));
                    }
                }
                Step::Read(chosen, max) => {
                    let Some(chosen) = pick(chosen) else { continue };
                    let (reader, which) = readers.get_mut(&chosen).unwrap();
                    let (start, bytes) = &plain.logs[*which];
                    let at = (reader.offset() - start) as usize;
                    let read = reader.read(max).unwrap_or_default();
                    prop_assert!(read.len() <= max);
                    prop_assert_eq!(read.is_empty(), max == 0 || at == bytes.len());
                    prop_assert!(read == bytes[at..at + read.len()]);
                    prop_assert_eq!(reader.offset(), start + (at + read.len()) as u64);
                }
                Step::Leave(chosen) => {
                    let Some(chosen) = pick(chosen) else { continue };
                    readers.remove(&chosen);
                }
                Step::Start(offset) => {
                    log.start(offset);
                    plain.logs.push((offset, Vec::new()));
                    plain.active = true;
                    plain.database = None;
                }
                Step::Stop => {
                    log.stop();
                    plain.active = false;
                    plain.database = None;
                }
            }
            prop_assert_eq!(log.is_active(), plain.active);
            prop_assert_eq!(log.end(), plain.end());
            prop_assert_eq!(log.database(), plain.database.map(|db| db as u32));
            prop_assert!(log.memory_bytes() >= log.backlog_bytes());
        }
        log.stop();
        for (reader, which) in readers.values_mut() {
            let (start, bytes) = &plain.logs[*which];
            let at = (reader.offset() - start) as usize;
            prop_assert!(read_all(reader) == bytes[at..]);
        }
        drop(readers);
        prop_assert_eq!(log.memory_bytes(), 0);
    }
}
