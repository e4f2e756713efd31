//! Primaries that lie and replicas that misbehave. A failed sync leaves the old data where it was and is
//! tried again; a stream that cannot be understood breaks the link and nothing else.
//!
//! The bad primary is a thread of the test that speaks just enough of the handshake. Where Redis itself
//! is weaker than what is asked of Ringfort (it ends the process over a bad file, goes on behind a
//! command that it does not know), the assertion is made for Ringfort alone.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use common::client::frame;
use common::node::{TemporaryDirectory, testing_redis};
use common::replication::{
    Server, assert_same_data, config_set, digest, fill, follow, follow_port, link_is_up, number,
    offset, replica_of, replication_field, syncs, wait_for_link, wait_for_link_down,
};
use common::{Client, Node, Reply, eventually};

const REPLID: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER_REPLID: &str = "fedcba9876543210fedcba9876543210fedcba98";
const OFFSET: i64 = 1000;

/// A good snapshot: in database 0, `new` is `data`. Its checksum is 0, which stands for none.
fn snapshot() -> Vec<u8> {
    let mut bytes = b"REDIS0010".to_vec();
    bytes.extend_from_slice(b"\xfe\x00");
    bytes.extend_from_slice(b"\x00\x03new\x04data");
    bytes.push(0xff);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

fn full_resync() -> Vec<u8> {
    format!("+FULLRESYNC {REPLID} {OFFSET}\r\n").into_bytes()
}

/// The answer to PSYNC of a primary with this snapshot, its length given first.
fn counted(snapshot: &[u8]) -> Vec<u8> {
    let mut bytes = full_resync();
    bytes.extend_from_slice(format!("${}\r\n", snapshot.len()).as_bytes());
    bytes.extend_from_slice(snapshot);
    bytes
}

const MARK: [u8; 40] = [b'm'; 40];

/// The same with a mark at its end instead.
fn marked(snapshot: &[u8], mark: &[u8]) -> Vec<u8> {
    let mut bytes = full_resync();
    bytes.extend_from_slice(b"$EOF:");
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(snapshot);
    bytes.extend_from_slice(mark);
    bytes
}

/// What to do with a PSYNC.
enum Answer {
    /// Send this and close.
    AndClose(Vec<u8>),
    /// Send this, and keep the connection.
    AndStay(Vec<u8>),
}

/// The arguments of a PSYNC.
type Asked = (String, i64);
type Script = Box<dyn FnMut(usize, &Asked) -> Answer + Send>;

/// A primary whose answers are a script. It ends with this value.
struct FakePrimary {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    /// The connection of a replica that was told to stay.
    link: Arc<Mutex<Option<TcpStream>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakePrimary {
    fn start(script: impl FnMut(usize, &Asked) -> Answer + Send + 'static) -> FakePrimary {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let link = Arc::new(Mutex::new(None));
        let stop = Arc::new(AtomicBool::new(false));
        let (their_asked, their_link, their_stop) =
            (Arc::clone(&asked), Arc::clone(&link), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut script: Script = Box::new(script);
            for stream in listener.incoming() {
                if their_stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.expect("accept");
                stream.set_nodelay(true).unwrap();
                // A replica that breaks off is no failure of the test.
                let _ = serve(stream, &their_asked, &their_link, &mut script);
            }
        });
        FakePrimary { port, asked, link, stop, thread: Some(thread) }
    }

    /// Gives the good snapshot to everyone.
    fn honest() -> FakePrimary {
        FakePrimary::start(|_, _| Answer::AndStay(counted(&snapshot())))
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn wait_until_asked(&self, count: usize) -> Asked {
        eventually("the replica asks again", || self.asked().get(count - 1).cloned())
    }

    /// More of the stream, to the replica that stayed.
    fn send(&self, bytes: &[u8]) {
        let mut link = self.link.lock().unwrap();
        link.as_mut().expect("a replica that stayed").write_all(bytes).expect("send");
    }

    fn cut(&self) {
        drop(self.link.lock().unwrap().take().map(|link| link.shutdown(std::net::Shutdown::Both)));
    }
}

impl Drop for FakePrimary {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.cut();
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The primary's side of one connection, up to the answer to PSYNC.
fn serve(
    mut stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    link: &Mutex<Option<TcpStream>>,
    script: &mut Script,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(common::client::TIMEOUT))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(words) = read_command(&mut reader)? {
        match words[0].to_ascii_uppercase().as_str() {
            "PING" => stream.write_all(b"+PONG\r\n")?,
            "PSYNC" => {
                let question = (words[1].clone(), words[2].parse().expect("an offset"));
                let number = {
                    let mut asked = asked.lock().unwrap();
                    asked.push(question.clone());
                    asked.len()
                };
                match script(number, &question) {
                    Answer::AndClose(bytes) => {
                        stream.write_all(&bytes)?;
                        // Closed only when the other side has read it: a reset would lose it.
                        stream.shutdown(std::net::Shutdown::Write)?;
                        let _ = std::io::copy(&mut reader, &mut std::io::sink());
                    }
                    Answer::AndStay(bytes) => {
                        stream.write_all(&bytes)?;
                        *link.lock().unwrap() = Some(stream);
                    }
                }
                return Ok(());
            }
            _ => stream.write_all(b"+OK\r\n")?,
        }
    }
    Ok(())
}

/// A command as an array of bulk strings; none at the end of the connection.
fn read_command(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let number = |kind: char, reader: &mut dyn BufRead| -> std::io::Result<Option<usize>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_end().strip_prefix(kind).unwrap_or_else(|| panic!("{line:?}"));
        Ok(Some(text.parse().expect("a count")))
    };
    let Some(count) = number('*', reader)? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let Some(length) = number('$', reader)? else { return Ok(None) };
        let mut bytes = vec![0; length + 2];
        reader.read_exact(&mut bytes)?;
        bytes.truncate(length);
        words.push(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(Some(words))
}

/// The ways of loading a snapshot. Redis empties itself before it loads a file, and ends when the file
/// is bad: there only the way that keeps the old data until the new is complete can be compared.
fn ways_of_loading() -> &'static [&'static str] {
    if testing_redis() { &["swapdb"] } else { &["disabled", "on-empty-db", "swapdb"] }
}

fn check_failed_sync(what: &str, answer: Vec<u8>) {
    check_failed_syncs(&[(what, answer)]);
}

/// Some side by side, because most of a check is waiting for the next try; not all, because each starts a node.
fn check_failed_syncs(cases: &[(&str, Vec<u8>)]) {
    const SIDE_BY_SIDE: usize = 6;
    let all = cases.iter().flat_map(|case| ways_of_loading().iter().map(move |load| (case, *load)));
    let all: Vec<_> = all.collect();
    for some in all.chunks(SIDE_BY_SIDE) {
        std::thread::scope(|scope| {
            for ((what, answer), load) in some {
                scope.spawn(move || check_failed_load(what, answer, load));
            }
        });
    }
}

/// A replica that is told this at its first try keeps its old data, tries again, and takes the good
/// snapshot that it gets then.
fn check_failed_load(what: &str, answer: &[u8], load: &str) {
    let bad = answer.to_vec();
    let good = Arc::new(AtomicBool::new(false));
    let is_good = Arc::clone(&good);
    let primary = FakePrimary::start(move |_, _| {
        if is_good.load(Ordering::SeqCst) {
            Answer::AndStay(marked(&snapshot(), &MARK))
        } else {
            Answer::AndClose(bad.clone())
        }
    });
    let replica = Server::Ours(2).start().option("--repl-diskless-load", load).node();
    let mut client = replica.connect();
    client.run("SET old data");
    client.run("SELECT 5");
    client.run("SET older data");
    client.run("SELECT 0");
    let before = digest(&replica);
    follow_port(&replica, primary.port);
    primary.wait_until_asked(2);
    assert!(!link_is_up(&replica), "{what}, {load}");
    assert_eq!(digest(&replica), before, "{what}, {load}");
    assert_eq!(client.run("GET old"), Reply::bulk("data"), "{what}, {load}");
    good.store(true, Ordering::SeqCst);
    wait_for_link(&replica);
    assert_eq!(client.run("GET new"), Reply::bulk("data"), "{what}, {load}");
    assert_eq!(client.run("DBSIZE"), Reply::Integer(1), "{what}, {load}");
    assert_eq!(replica.info("master_replid"), REPLID, "{what}, {load}");
}

#[test]
fn a_wrong_mark_at_the_end_of_a_snapshot() {
    check_failed_sync("wrong mark", marked(&snapshot(), &[b'x'; 40]));
    check_failed_sync("half a mark", marked(&snapshot(), &[b'm'; 20]));
    check_failed_sync("no mark", marked(&snapshot(), b""));
}

#[test]
fn a_snapshot_that_stops_half_way() {
    let whole = snapshot();
    let half = &whole[..whole.len() / 2];
    check_failed_sync("cut before its mark", marked(half, b""));
    let mut cut = full_resync();
    cut.extend_from_slice(format!("${}\r\n", whole.len()).as_bytes());
    cut.extend_from_slice(half);
    check_failed_sync("cut before its length", cut);
    check_failed_sync("nothing at all", full_resync());
}

#[test]
fn a_snapshot_of_another_format() {
    for magic in ["VALKEY999", "NONSENSE9", "REDIS9999", "REDIS00x0", "REDIS0000"] {
        let mut bytes = snapshot();
        bytes[..9].copy_from_slice(magic.as_bytes());
        check_failed_sync(magic, marked(&bytes, &MARK));
    }
}

/// A full sync was received into the configured file, so that one which was not whole replaced the last good save, and
/// the node could not start again. Now the file gets its name when its data is in place.
#[test]
fn only_a_whole_snapshot_takes_the_place_of_the_saved_file() {
    if testing_redis() {
        return; // It ends itself.
    }
    let whole = snapshot();
    let mut bad = whole.clone();
    let end = bad.len();
    bad[end - 8..].copy_from_slice(b"checksum");
    let good = Arc::new(AtomicBool::new(false));
    let is_good = Arc::clone(&good);
    let primary = FakePrimary::start(move |_, _| match is_good.load(Ordering::SeqCst) {
        true => Answer::AndStay(counted(&snapshot())),
        false => Answer::AndClose(counted(&bad)),
    });
    let replica = Server::Ours(2).start().option("--repl-diskless-load", "disabled").node();
    replica.connect().run("SET old data");
    assert_eq!(replica.connect().run("SAVE"), Reply::ok());
    let file = replica.directory().join("dump.rdb");
    let saved = std::fs::read(&file).unwrap();
    follow_port(&replica, primary.port);
    primary.wait_until_asked(2);
    assert!(std::fs::read(&file).unwrap() == saved);
    good.store(true, Ordering::SeqCst);
    wait_for_link(&replica);
    assert!(std::fs::read(&file).unwrap() == whole);
    let names = std::fs::read_dir(replica.directory()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["dump.rdb"]);
}

/// A file that could not be written was found out about when the whole snapshot had been sent; until then nothing took what
/// came, and the link stood still for as long as `repl-timeout`. Now it ends when the file does.
#[test]
fn a_full_sync_whose_file_cannot_be_written_fails_at_once() {
    if testing_redis() {
        return; // It ends itself.
    }
    // Much is announced, little sent.
    let mut begun = full_resync();
    begun.extend_from_slice(b"$100000000\r\n");
    begun.extend_from_slice(&snapshot()[..20]);
    let primary = FakePrimary::start(move |number, _| match number {
        1 => Answer::AndStay(begun.clone()),
        _ => Answer::AndStay(counted(&snapshot())),
    });
    let start = Server::Ours(2).start().option("--repl-diskless-load", "disabled");
    let start = start.option("--enable-protected-configs", "yes");
    let replica = start.option("--repl-timeout", "3600").node();
    let mut client = replica.connect();
    client.run("SET old data");
    std::fs::remove_dir_all(replica.directory()).unwrap();
    follow_port(&replica, primary.port);
    eventually("the sync fails", || {
        let fault = replica.info("primary_link_last_fault");
        fault.contains("No such file").then_some(())
    });
    assert_eq!(client.run("GET old"), Reply::bulk("data"));
    let other = TemporaryDirectory::new();
    config_set(&replica, "dir", other.path().to_str().unwrap());
    primary.wait_until_asked(2);
    wait_for_link(&replica);
    assert_eq!(client.run("GET new"), Reply::bulk("data"));
}

/// A DEBUG RELOAD and a full sync that was loaded as it came filled the same databases. Now a reload is refused while a full
/// sync has the claim, and a full sync that comes during a reload is tried again.
#[test]
fn a_reload_and_a_full_sync_keep_out_of_each_other_s_way() {
    if testing_redis() {
        return; // It has one thread.
    }
    let whole = counted(&snapshot());
    let (begun, rest) = whole.split_at(whole.len() - 12);
    let (begun, again) = (begun.to_vec(), whole.clone());
    let primary = FakePrimary::start(move |number, _| match number {
        1 => Answer::AndStay(begun.clone()),
        _ => Answer::AndStay(again.clone()),
    });
    let replica = Server::Ours(2).start().option("--repl-diskless-load", "swapdb").node();
    let mut client = replica.connect();
    client.run("SET old data");
    follow_port(&replica, primary.port);
    eventually("the snapshot begins", || (replica.info("async_loading") == "1").then_some(()));
    eventually("the primary stays", || primary.link.lock().unwrap().as_ref().map(|_| ()));
    assert_eq!(client.run("DEBUG RELOAD").error(), "ERR Data is being loaded already");
    assert_eq!(client.run("GET old"), Reply::bulk("data"));
    primary.send(rest);
    wait_for_link(&replica);
    assert_eq!(client.run("GET new"), Reply::bulk("data"));

    // A reload that takes a while, and in the middle of it another full sync.
    client.run("DEBUG POPULATE 200000 key 10");
    client.send_command(&["DEBUG", "RELOAD"]);
    primary.cut();
    primary.wait_until_asked(2);
    let reply = client.read();
    let refused = reply.is_error() && reply.error() == "ERR Data is being loaded already";
    assert!(reply == Reply::ok() || refused, "{reply}");
    eventually("the primary's data is there", || {
        (client.run("DBSIZE") == Reply::Integer(1)).then_some(())
    });
    assert_eq!(client.run("GET new"), Reply::bulk("data"));
}

#[test]
fn a_snapshot_with_an_unknown_type() {
    let mut bytes = snapshot();
    bytes[11] = 200;
    check_failed_sync("unknown type, marked", marked(&bytes, &MARK));
    check_failed_sync("unknown type, counted", counted(&bytes));
}

#[test]
fn a_snapshot_whose_lengths_lie() {
    // A value of 100 MB is announced, four bytes follow.
    let mut bytes = b"REDIS0010\xfe\x00\x00\x03new\x80\x06\x00\x00\x00data\xff".to_vec();
    bytes.extend_from_slice(&[0; 8]);
    check_failed_sync("a value too long, marked", marked(&bytes, &MARK));
    check_failed_sync("a value too long, counted", counted(&bytes));
    // The length of the whole is too small.
    let mut bytes = full_resync();
    bytes.extend_from_slice(b"$15\r\n");
    bytes.extend_from_slice(&snapshot());
    check_failed_sync("a snapshot too long", bytes);
}

#[test]
fn a_snapshot_with_a_wrong_checksum() {
    if testing_redis() {
        return; // It ends itself.
    }
    let mut bytes = snapshot();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(b"checksum");
    check_failed_sync("wrong checksum, marked", marked(&bytes, &MARK));
    check_failed_sync("wrong checksum, counted", counted(&bytes));
}

#[test]
fn a_length_that_is_none() {
    let mut cases = Vec::new();
    for line in ["$nonsense\r\n", "-ERR no snapshot\r\n", "what?\r\n", "$EOF:short\r\n"] {
        // Redis takes a length that is no number for zero, and a short mark for any mark.
        if testing_redis() && line.starts_with('$') {
            continue;
        }
        let mut bytes = full_resync();
        bytes.extend_from_slice(line.as_bytes());
        cases.push((line, bytes));
    }
    check_failed_syncs(&cases);
}

#[test]
fn an_answer_to_psync_that_is_none() {
    let lines: &[&str] = &[
        "-ERR no\r\n",
        "-NOMASTERLINK Can't SYNC while not connected with my master\r\n",
        "-LOADING still\r\n",
        "+FULLRESYNC\r\n",
        "+FULLRESYNC short 5\r\n",
        "+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 x\r\n",
        "+FULLRESYNC 0123456789abcdef0123456789abcdef01234567 -7\r\n",
        "+CONTINUE what?\r\n",
        "nonsense\r\n",
        "\r\n\r\n\r\n",
    ];
    let mut cases = Vec::new();
    for line in lines {
        // Redis tries SYNC where PSYNC is not understood, takes any offset, and resumes at a word.
        let weaker = ["-ERR", "+FULL", "+CONTINUE", "nonsense"];
        if testing_redis() && weaker.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        cases.push((*line, line.as_bytes().to_vec()));
    }
    check_failed_syncs(&cases);
}

/// A replica of a fake primary, with the good snapshot, its link up.
fn linked(primary: &FakePrimary) -> Node {
    let replica = Server::Ours(2).node();
    follow_port(&replica, primary.port);
    wait_for_link(&replica);
    assert_eq!(replica.connect().run("GET new"), Reply::bulk("data"));
    replica
}

fn wait_for_offset(replica: &Node, expected: i64) {
    let mut client = replica.connect();
    eventually("the stream is applied", || {
        let at = replication_field(&mut client, "master_repl_offset");
        (at == expected.to_string()).then_some(())
    });
}

#[test]
fn a_command_that_nobody_knows_breaks_the_link_and_nothing_else() {
    if testing_redis() {
        return; // It logs the command and goes on, with other data than its primary.
    }
    for bad in [
        frame(&["NOSUCHCOMMAND", "x"]),
        frame(&["SET", "too few"]),
        frame(&["EVAL", "return 1", "0"]),
    ] {
        check_broken_link(bad, 3);
    }
}

/// A link that breaks over these bytes: what came before them is applied, they and what comes behind them
/// are not, and each of so many questions of the replica is for the rest, none for everything.
fn check_broken_link(bad: Vec<u8>, questions: usize) {
    let what = bad.escape_ascii().to_string();
    let primary = FakePrimary::start(|number, _| match number {
        1 => Answer::AndStay(counted(&snapshot())),
        _ => Answer::AndClose(b"-LOADING later\r\n".to_vec()),
    });
    let replica = linked(&primary);
    let good = [frame(&["SELECT", "0"]), frame(&["SET", "a", "1"])].concat();
    primary.send(&good);
    let expected = OFFSET + good.len() as i64;
    wait_for_offset(&replica, expected);
    primary.send(&[bad, frame(&["SET", "a", "2"])].concat());
    wait_for_link_down(&replica);
    assert_eq!(offset(&replica), expected, "{what}");
    let mut client = replica.connect();
    assert_eq!(client.run("GET a"), Reply::bulk("1"), "{what}");
    assert_eq!(client.run("GET new"), Reply::bulk("data"), "{what}");
    primary.wait_until_asked(questions);
    for asked in &primary.asked()[1..] {
        assert_eq!(*asked, (REPLID.to_owned(), expected + 1), "{what}");
    }
}

/// A SELECT of a database that the replica does not have failed like any other command: what came behind it
/// was written to the database before. It breaks the link.
#[test]
fn a_database_that_is_not_here_breaks_the_link() {
    if testing_redis() {
        return; // It goes on in the database before.
    }
    check_broken_link(frame(&["SELECT", "16"]), 2);
    let parts: [&[&str]; 5] =
        [&["MULTI"], &["SET", "a", "3"], &["SELECT", "16"], &["SET", "a", "4"], &["EXEC"]];
    check_broken_link(parts.iter().flat_map(|part| frame(part)).collect(), 2);
}

/// The same for the database in which a snapshot says that the stream stands: it was used as it came, and the
/// first write ended the process.
#[test]
fn a_stream_that_stands_in_a_database_that_is_not_here_is_not_followed() {
    if testing_redis() {
        return; // It goes on in database 0.
    }
    let mut bytes = b"REDIS0010\xfa\x0erepl-stream-db\x0216".to_vec();
    bytes.extend_from_slice(&snapshot()[9..]);
    let stream = [counted(&bytes), frame(&["SET", "a", "1"])].concat();
    let primary = FakePrimary::start(move |number, _| match number {
        1 => Answer::AndStay(stream.clone()),
        _ => Answer::AndClose(b"-LOADING later\r\n".to_vec()),
    });
    let mut replica = Server::Ours(2).node();
    follow_port(&replica, primary.port);
    assert_eq!(primary.wait_until_asked(2), (REPLID.to_owned(), OFFSET + 1));
    assert!(replica.wait_for_log("its stream stands in database 16"));
    let mut client = replica.connect();
    assert_eq!(client.run("GET new"), Reply::bulk("data"));
    assert_eq!(client.run("GET a"), Reply::NullBulk);
}

/// Commands for a node and not for its data ran when a primary sent them: SAVE and REPLICAOF waited for the link
/// to be done with all it began, themselves among it, for ever; SHUTDOWN ended the replica; behind SUBSCRIBE or
/// MONITOR every write was refused, and counted as applied. They break the link.
#[test]
fn a_command_that_does_not_belong_into_a_stream_breaks_the_link() {
    if testing_redis() {
        return; // It runs them.
    }
    for bad in [
        "SAVE",
        "REPLICAOF NO ONE",
        "SHUTDOWN NOSAVE",
        "DEBUG RELOAD",
        "SUBSCRIBE channel",
        "MONITOR",
        "RESET",
        "QUIT",
    ] {
        let words: Vec<&str> = bad.split(' ').collect();
        check_broken_link(frame(&words), 2);
    }
}

/// Only commands on keys of one shard were counted when they failed on the link; those of the session and of the
/// node, EXEC, and those on several shards were not.
#[test]
fn every_command_of_a_primary_that_fails_is_counted() {
    if testing_redis() {
        return; // It does not count what is refused before it runs.
    }
    let primary = FakePrimary::honest();
    let replica = linked(&primary);
    let mut bad: Vec<Vec<u8>> =
        [&["EXEC"][..], &["SWAPDB", "0", "99"], &["INCR", "new"], &["PING", "a", "b"]]
            .map(frame)
            .into();
    // Some of these names are on the other shard.
    bad.extend(["a", "b", "c", "d", "e", "f"].map(|name| frame(&["RENAME", "missing", name])));
    let count = bad.len() as i64;
    let all = [bad.concat(), frame(&["SET", "behind", "them"])].concat();
    primary.send(&all);
    wait_for_offset(&replica, OFFSET + all.len() as i64);
    assert_eq!(number(&replica, "unexpected_error_replies"), count);
    assert_eq!(replica.connect().run("GET behind"), Reply::bulk("them"));
}

#[test]
fn a_link_that_broke_over_bad_bytes_is_resumed_when_they_are_good_again() {
    if testing_redis() {
        return;
    }
    let primary = FakePrimary::start(|number, _| match number {
        1 => Answer::AndStay(counted(&snapshot())),
        _ => Answer::AndStay(b"+CONTINUE\r\n".to_vec()),
    });
    let replica = linked(&primary);
    primary.send(b"*1\r\n$nonsense\r\n");
    let asked = primary.wait_until_asked(2);
    assert_eq!(asked, (REPLID.to_owned(), OFFSET + 1));
    wait_for_link(&replica);
    let good = frame(&["SET", "a", "1"]);
    primary.send(&good);
    wait_for_offset(&replica, OFFSET + good.len() as i64);
    assert_eq!(replica.connect().run("GET a"), Reply::bulk("1"));
}

#[test]
fn bytes_that_are_no_commands_leave_the_data_alone() {
    for bad in [&b"*3\r\n$3\r\nSET\r\n$-5\r\n"[..], b"*1\r\n$nonsense\r\n", b"*9999999999\r\n"] {
        let primary = FakePrimary::start(|number, _| match number {
            1 => Answer::AndStay(counted(&snapshot())),
            _ => Answer::AndClose(b"-LOADING later\r\n".to_vec()),
        });
        let replica = linked(&primary);
        primary.send(bad);
        primary.wait_until_asked(2);
        assert!(!link_is_up(&replica));
        assert_eq!(replica.connect().run("GET new"), Reply::bulk("data"));
    }
}

#[test]
fn a_command_cut_in_the_middle_is_not_applied() {
    let whole = frame(&["SET", "a", "value"]);
    let sent = frame(&["SET", "b", "first"]);
    for cut in 1..whole.len() {
        // One node for all of them would do; one fake primary for each tells them apart.
        if cut % 7 != 1 {
            continue;
        }
        let primary = FakePrimary::start(|number, _| match number {
            1 => Answer::AndStay(counted(&snapshot())),
            _ => Answer::AndStay(b"+CONTINUE\r\n".to_vec()),
        });
        let replica = linked(&primary);
        primary.send(&sent);
        primary.send(&whole[..cut]);
        wait_for_offset(&replica, OFFSET + sent.len() as i64);
        primary.cut();
        let asked = primary.wait_until_asked(2);
        assert_eq!(asked, (REPLID.to_owned(), OFFSET + sent.len() as i64 + 1));
        wait_for_link(&replica);
        assert_eq!(replica.connect().run("EXISTS a"), Reply::Integer(0));
        primary.send(&whole);
        wait_for_offset(&replica, OFFSET + (sent.len() + whole.len()) as i64);
        assert_eq!(replica.connect().run("GET a"), Reply::bulk("value"));
    }
}

#[test]
fn a_transaction_cut_in_the_middle_is_not_applied_by_halves() {
    let primary = FakePrimary::start(|number, _| match number {
        1 => Answer::AndStay(counted(&snapshot())),
        _ => Answer::AndStay(b"+CONTINUE\r\n".to_vec()),
    });
    let replica = linked(&primary);
    let begin = [frame(&["MULTI"]), frame(&["SET", "a", "1"])].concat();
    let end = [frame(&["SET", "b", "2"]), frame(&["EXEC"])].concat();
    primary.send(&begin);
    primary.cut();
    let (_, from) = primary.wait_until_asked(2);
    assert_eq!(from, OFFSET + 1, "a transaction counts as applied at its EXEC");
    wait_for_link(&replica);
    assert_eq!(replica.connect().run("MGET a b").to_string(), "[$-1, $-1]");
    primary.send(&[begin.clone(), end.clone()].concat());
    wait_for_offset(&replica, OFFSET + (begin.len() + end.len()) as i64);
    assert_eq!(replica.connect().run("MGET a b").to_string(), "[\"1\", \"2\"]");
}

#[test]
fn a_primary_that_resumes_can_name_a_new_history() {
    let primary = FakePrimary::start(|number, _| match number {
        1 => Answer::AndStay(counted(&snapshot())),
        _ => Answer::AndStay(format!("+CONTINUE {OTHER_REPLID}\r\n").into_bytes()),
    });
    let replica = linked(&primary);
    assert_eq!(replica.info("master_replid"), REPLID);
    primary.cut();
    assert_eq!(primary.wait_until_asked(2), (REPLID.to_owned(), OFFSET + 1));
    eventually("the new history is taken", || {
        (replica.info("master_replid") == OTHER_REPLID).then_some(())
    });
    wait_for_link(&replica);
    assert_eq!(replica.info("master_replid2"), REPLID);
    assert_eq!(number(&replica, "second_repl_offset"), OFFSET + 1);
    primary.cut();
    assert_eq!(primary.wait_until_asked(3), (OTHER_REPLID.to_owned(), OFFSET + 1));
}

#[test]
fn the_old_primary_s_link_is_gone_when_another_is_followed() {
    let (first, second) = (FakePrimary::honest(), FakePrimary::honest());
    let replica = linked(&first);
    follow_port(&replica, second.port);
    wait_for_link(&replica);
    // Written by whom it no longer follows: a write may even fail, as the link is closed.
    let late = frame(&["SET", "a", "late"]);
    let _ = first.link.lock().unwrap().as_mut().unwrap().write_all(&late);
    second.send(&frame(&["SET", "a", "right"]));
    wait_for_offset(&replica, OFFSET + frame(&["SET", "a", "right"]).len() as i64);
    assert_eq!(replica.connect().run("GET a"), Reply::bulk("right"));
}

#[test]
fn a_primary_that_accepts_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let replica = Server::Ours(2).start().option("--repl-timeout", "1").node();
    replica.connect().run("SET old data");
    follow_port(&replica, port);
    let mut silent = Vec::new();
    eventually("the replica tries again", || {
        silent.extend(listener.accept().ok());
        (silent.len() >= 2).then_some(())
    });
    assert_eq!(replica.connect().run("GET old"), Reply::bulk("data"));
    assert_eq!(replica.info("master_link_status"), "down");
}

/// A replica made of a client of the test, up to the answer to its PSYNC.
fn ask(primary: &Node, capabilities: &[&str], replid: &str, from: i64) -> (Client, String) {
    let mut client = primary.connect();
    let mut announce = vec!["REPLCONF"];
    for capability in capabilities {
        announce.extend(["capa", capability]);
    }
    if !capabilities.is_empty() {
        assert_eq!(client.call(&announce), Reply::ok());
    }
    assert_eq!(client.run("REPLCONF listening-port 1"), Reply::ok());
    client.send_command(&["PSYNC", replid, &from.to_string()]);
    let line = read_line(&mut client);
    (client, line)
}

/// The next line that is not empty: a primary that prepares a snapshot keeps the link alive with
/// empty ones.
fn read_line(client: &mut Client) -> String {
    let mut line = Vec::new();
    loop {
        match client.read_bytes(1)[0] {
            b'\n' if line.is_empty() => {}
            b'\n' => return String::from_utf8_lossy(&line).trim_end().to_owned(),
            byte => line.push(byte),
        }
    }
}

/// Reads the snapshot behind FULLRESYNC, in either form: the line before it, and its bytes.
fn read_snapshot(client: &mut Client) -> (String, Vec<u8>) {
    let line = read_line(client);
    let Some(mark) = line.strip_prefix("$EOF:") else {
        let length = line.strip_prefix('$').and_then(|text| text.parse().ok());
        let length = length.unwrap_or_else(|| panic!("a length, not {line}"));
        return (line, client.read_bytes(length));
    };
    assert_eq!(mark.len(), 40);
    let mut bytes = client.read_bytes(mark.len());
    while !bytes.ends_with(mark.as_bytes()) {
        bytes.extend(client.read_bytes(1));
    }
    bytes.truncate(bytes.len() - mark.len());
    (line, bytes)
}

#[test]
fn snapshots_come_in_the_form_that_the_replica_understands() {
    let primary = Server::Ours(2).node();
    primary.connect().run("SET a b");
    for (sync, capabilities, is_marked) in [
        ("yes", &["eof", "psync2"][..], true),
        ("yes", &[], false),
        ("no", &["psync2"], false),
        ("no", &[], false),
    ] {
        config_set(&primary, "repl-diskless-sync", sync);
        let (mut client, answer) = ask(&primary, capabilities, "?", -1);
        let words: Vec<&str> = answer.split(' ').collect();
        assert_eq!(words[0], "+FULLRESYNC", "{answer}");
        assert_eq!(words[1], primary.info("master_replid"));
        let start: i64 = words[2].parse().unwrap();
        let (form, bytes) = read_snapshot(&mut client);
        assert_eq!(form.starts_with("$EOF:"), is_marked, "{sync} {capabilities:?}: {form}");
        assert!(bytes.starts_with(b"REDIS00"), "{}", bytes.escape_ascii());
        assert_eq!(bytes[bytes.len() - 9], 0xff);
        // The stream begins with the database, at the offset named.
        eventually("the replica is online", || {
            client.send_command(&["REPLCONF", "ACK", &start.to_string()]);
            let line = replication_field(&mut primary.connect(), "slave0");
            line.contains("state=online").then_some(())
        });
        client.send_command(&["REPLCONF", "ACK", &start.to_string()]);
        primary.connect().run("SET c d");
        let expected = [frame(&["SELECT", "0"]), frame(&["SET", "c", "d"])].concat();
        let got = client.read_bytes(expected.len());
        assert_eq!(
            got.escape_ascii().to_string().to_lowercase(),
            expected.escape_ascii().to_string().to_lowercase()
        );
        assert_eq!(offset(&primary), start + expected.len() as i64);
        drop(client);
        eventually("the replica is gone", || {
            (primary.info("connected_slaves") == "0").then_some(())
        });
    }
}

#[test]
fn sync_of_old_gives_a_snapshot_without_a_word_before_it() {
    let primary = Server::Ours(2).node();
    primary.connect().run("SET a b");
    let mut client = primary.connect();
    client.send_command(&["SYNC"]);
    let (_, bytes) = read_snapshot(&mut client);
    assert!(bytes.starts_with(b"REDIS00"), "{}", bytes.escape_ascii());
    primary.connect().run("SET c d");
    let expected = [frame(&["SELECT", "0"]), frame(&["SET", "c", "d"])].concat();
    assert_eq!(client.read_bytes(expected.len()).len(), expected.len());
}

#[test]
fn a_history_is_resumed_only_from_where_it_is_known() {
    let primary = Server::Ours(2).node();
    primary.connect().run("SET a b");
    let (mut client, _) = ask(&primary, &["eof", "psync2"], "?", -1);
    read_snapshot(&mut client);
    client.send_command(&["REPLCONF", "ACK", "0"]);
    primary.connect().run("SET c d");
    let (replid, end) = (primary.info("master_replid"), offset(&primary));
    let begin = number(&primary, "repl_backlog_first_byte_offset");
    let before = syncs(&primary);
    let upper = replid.to_uppercase();
    for (replid, from, resumed) in [
        (replid.as_str(), end + 1, true),
        (&replid, begin, true),
        (&upper, end + 1, true),
        (&replid, end + 2, false),
        (&replid, begin - 1, false),
        (&replid, i64::MAX, false),
        (&replid, -5, false),
        (OTHER_REPLID, end + 1, false),
        ("", end + 1, false),
        ("short", end + 1, false),
    ] {
        let (_client, answer) = ask(&primary, &["eof", "psync2"], replid, from);
        let expected = if resumed { "+CONTINUE " } else { "+FULLRESYNC " };
        assert!(answer.starts_with(expected), "{replid} {from}: {answer}");
        if resumed {
            assert_eq!(answer, format!("+CONTINUE {}", primary.info("master_replid")));
        }
    }
    let (_client, answer) = ask(&primary, &[], &replid, end + 1);
    assert_eq!(answer, "+CONTINUE");
    let after = syncs(&primary);
    assert_eq!(after.partial, before.partial + 4);
    assert_eq!(after.refused, before.refused + 7);
    // What is resumed from the beginning is the stream from there.
    let (mut client, _) = ask(&primary, &[], &replid, begin);
    let got = client.read_bytes((end - begin + 1) as usize);
    assert!(got.ends_with(&frame(&["SET", "c", "d"])), "{}", got.escape_ascii());
}

#[test]
fn a_replica_that_acknowledges_the_future_is_nobody_s_harm() {
    let primary = Server::Ours(2).node();
    let mut client = primary.connect();
    client.run("SET a b");
    let (mut liar, _) = ask(&primary, &["eof", "psync2"], "?", -1);
    read_snapshot(&mut liar);
    for number in ["9223372036854775807", "999999999999", "-1", "-9223372036854775808"] {
        let _ = liar.try_send(&frame(&["REPLCONF", "ACK", number]));
    }
    let honest = replica_of(&primary, Server::Redis);
    client.run("SET c d");
    assert!(client.run("WAIT 1 0").integer() >= 1);
    assert_same_data(&[&primary, &honest]);
    let second = replica_of(&primary, Server::Ours(1));
    assert_same_data(&[&primary, &second]);
}

/// A linked replica of the test, behind its snapshot.
fn linked_replica(primary: &Node) -> Client {
    let (mut client, answer) = ask(primary, &["eof", "psync2"], "?", -1);
    read_snapshot(&mut client);
    let offset = answer.rsplit(' ').next().expect("FULLRESYNC replid offset");
    client.send_command(&["REPLCONF", "ACK", offset]);
    client
}

fn wait_until_gone(primary: &Node) {
    eventually("the replica is gone", || (primary.info("connected_slaves") == "0").then_some(()));
}

/// What a linked replica asked was answered into its stream (SUBSCRIBE, MONITOR, RESET), without a limit. Redis
/// disconnects one that asks anything.
#[test]
fn a_linked_replica_is_not_answered() {
    for server in [Server::Redis, Server::Ours(2)] {
        let primary = server.node();
        primary.connect().run("SET a b");
        for command in ["SUBSCRIBE c", "GET a", "CLIENT REPLY ON", "HELLO 3", "MULTI", "WAIT 1 0"] {
            let mut replica = linked_replica(&primary);
            let words: Vec<&str> = command.split(' ').collect();
            replica.send_command(&words);
            let stream = replica.read_to_close();
            // A PING may have come.
            let stream = String::from_utf8_lossy(&stream).replace("*1\r\n$4\r\nPING\r\n", "");
            assert_eq!(stream, "", "{server:?}, {command}");
            wait_until_gone(&primary);
        }
    }
}

/// Data that no socket buffer holds.
fn fill_megabytes(node: &Node, megabytes: usize) {
    let mut client = node.connect();
    let value = vec![b'v'; 1 << 20];
    for number in 0..megabytes {
        let key = number.to_string();
        assert_eq!(client.call(&[b"SET", key.as_bytes(), value.as_slice()]), Reply::ok());
    }
}

/// A file that could not be read any further counted as sent: the replica waited for the rest of its snapshot and got
/// the stream in its place. The link ends, so that it asks again.
#[test]
fn a_snapshot_whose_file_is_cut_short_ends_the_link() {
    let primary = Server::Ours(2).start().option("--repl-diskless-sync", "no").node();
    fill_megabytes(&primary, 40);
    let (mut replica, _) = ask(&primary, &["psync2"], "?", -1);
    let line = read_line(&mut replica);
    let announced: u64 = line.strip_prefix('$').and_then(|text| text.parse().ok()).expect(&line);
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", primary.pid())).unwrap();
    let is_file = |path: &std::path::PathBuf| {
        let target = std::fs::read_link(path).unwrap_or_default();
        target.to_string_lossy().contains("temp-sync")
    };
    let files: Vec<_> = descriptors.map(|entry| entry.unwrap().path()).filter(is_file).collect();
    assert!(!files.is_empty());
    for path in files {
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("its file");
        file.set_len(announced / 2).unwrap();
    }
    let got = replica.read_to_close().len() as u64;
    assert!(got <= announced / 2, "{got} of {announced} bytes");
    wait_until_gone(&primary);
}

/// Any byte of a replica counted as a sign of life: one that sent newlines and read nothing of its snapshot held it, and
/// the next, up for ever.
#[test]
fn a_replica_that_does_not_read_its_snapshot_is_given_up() {
    let primary = Server::Ours(2).start().option("--repl-timeout", "1").node();
    fill_megabytes(&primary, 40);
    let (mut replica, _) = ask(&primary, &["eof", "psync2"], "?", -1);
    eventually("the replica is given up", || {
        let _ = replica.try_send(b"\n");
        (primary.info("connected_slaves") == "0").then_some(())
    });
    let good = replica_of(&primary, Server::Ours(1));
    assert_same_data(&[&primary, &good]);
}

/// A client that told of itself as a replica does, and then asked for nothing, was exempt from `timeout`.
#[test]
fn a_client_that_only_announces_itself_is_closed_when_it_idles() {
    for server in [Server::Redis, Server::Ours(2)] {
        let node = server.start().option("--timeout", "1").node();
        let mut client = node.connect();
        assert_eq!(client.run("REPLCONF listening-port 1"), Reply::ok());
        assert_eq!(client.read_to_close(), b"", "{server:?}");
    }
}

#[test]
fn a_replica_that_leaves_or_talks_nonsense_is_dropped_alone() {
    let primary = Server::Ours(2).node();
    fill(&primary);
    let good = replica_of(&primary, Server::Redis);
    // One leaves in the middle of its snapshot.
    let (mut leaving, _) = ask(&primary, &["eof", "psync2"], "?", -1);
    read_line(&mut leaving);
    leaving.read_bytes(1000);
    drop(leaving);
    // One leaves before it.
    drop(ask(&primary, &[], "?", -1));
    // One sends nonsense in place of acknowledgements.
    let (mut talking, _) = ask(&primary, &["eof", "psync2"], "?", -1);
    read_snapshot(&mut talking);
    let _ = talking.try_send(b"*1\r\n$nonsense\r\n");
    eventually("only the good one is left", || {
        (primary.info("connected_slaves") == "1").then_some(())
    });
    let again = Server::Ours(4).node();
    follow(&again, &primary);
    primary.connect().run("SET still alive");
    assert_same_data(&[&primary, &good, &again]);
}
