//! Starting and stopping servers: a node of ours or Debian's redis-server, each in a directory of its
//! own under the system's temporary directory, on a free port of the loopback, killed by its pid when
//! the test is done with it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::client::Client;

/// How long a start, a stop or an awaited state may take. Generous: builds may share the cores.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The binary under test.
pub fn ringfort_binary() -> PathBuf {
    std::env::var_os("RINGFORT_BIN")
        .map_or_else(|| env!("CARGO_BIN_EXE_ringfort").into(), PathBuf::from)
}

/// Whether the binary under test is in truth Redis (see the module above).
pub fn testing_redis() -> bool {
    ringfort_binary().file_name() == Some(OsStr::new("redis-server"))
}

/// A port that was free a moment ago, below the range that outgoing connections take theirs from.
/// Another process may take it before the server does; starting retries.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start = std::process::id().wrapping_mul(97);
        let port = 12_000 + (start.wrapping_add(step * 7) % 20_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// Polls `check` until it gives something, or panics naming `what` after the deadline.
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        // Polling, not hoping: the state is asked for again, and the deadline is above.
        thread::sleep(Duration::from_millis(5));
    }
}

/// A directory that is removed with this value.
pub struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub fn new() -> TemporaryDirectory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("ringfort-test-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("create a temporary directory");
        TemporaryDirectory(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ringfort,
    Redis,
}

/// What to start. `Start::ringfort(shards)` or `Start::redis()`, options, then `node()`.
#[derive(Clone)]
pub struct Start {
    kind: Kind,
    binary: PathBuf,
    configuration: Option<String>,
    options: Vec<String>,
    directory: Option<Arc<TemporaryDirectory>>,
}

impl Start {
    pub fn ringfort(shards: usize) -> Start {
        let kind = if testing_redis() { Kind::Redis } else { Kind::Ringfort };
        Start::of(kind, ringfort_binary()).option("--shards", &shards.to_string())
    }

    /// Debian's redis-server, to compare with.
    pub fn redis() -> Start {
        Start::of(Kind::Redis, "redis-server".into())
    }

    fn of(kind: Kind, binary: PathBuf) -> Start {
        Start { kind, binary, configuration: None, options: Vec::new(), directory: None }
    }

    /// One option with one value. Options that only Ringfort knows are dropped where Redis is started.
    pub fn option(mut self, name: &str, value: &str) -> Start {
        let ours = ["--shards", "--io-spin-us", "--pipeline-order"].contains(&name);
        if !(ours && self.kind == Kind::Redis) {
            self.options.extend([name.to_owned(), value.to_owned()]);
        }
        self
    }

    /// Words of the command line as they are.
    pub fn words(mut self, words: &[&str]) -> Start {
        self.options.extend(words.iter().map(|word| word.to_string()));
        self
    }

    /// Text of a configuration file, which stands first on the command line.
    pub fn configuration(mut self, text: &str) -> Start {
        self.configuration = Some(text.to_owned());
        self
    }

    /// In the directory of another node, with the files that it left there.
    pub fn in_directory_of(mut self, node: &Node) -> Start {
        self.directory = Some(Arc::clone(&node.directory));
        self
    }

    /// Starts the server and waits until it accepts connections.
    pub fn node(self) -> Node {
        self.node_that_says("Ready to accept connections")
    }

    /// Starts the server on a port that must be free.
    pub fn node_on(mut self, port: u16) -> Node {
        let directory = self.own_directory();
        let mut process = Process::spawn(self.command(directory.path(), port));
        let ready = process.wait_for_log("Ready to accept connections");
        assert!(ready, "{} did not start:\n{}", self.binary.display(), process.log());
        Node { start: self, process, port, directory, may_end: false }
    }

    /// Starts the server and waits until this is in its log.
    pub fn node_that_says(mut self, awaited: &str) -> Node {
        let directory = self.own_directory();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let port = free_port();
            let mut process = Process::spawn(self.command(directory.path(), port));
            if process.wait_for_log(awaited) {
                return Node { start: self, process, port, directory, may_end: false };
            }
            let log = process.log();
            assert!(
                port_was_taken(&log) && attempt < 20,
                "{} did not start:\n{log}",
                self.binary.display()
            );
        }
    }

    /// Starts a server that will not run: how it ended, and its log.
    pub fn refused(mut self) -> (ExitStatus, String) {
        let directory = self.own_directory();
        for _ in 0..20 {
            let mut process = Process::spawn(self.command(directory.path(), free_port()));
            let ready = process.wait_for_log("Ready to accept connections");
            let log = process.log();
            assert!(!ready, "{} was to end:\n{log}", self.binary.display());
            if !port_was_taken(&log) {
                return (process.wait(), log);
            }
        }
        panic!("no free port");
    }

    fn own_directory(&mut self) -> Arc<TemporaryDirectory> {
        Arc::clone(self.directory.get_or_insert_with(|| Arc::new(TemporaryDirectory::new())))
    }

    fn command(&self, directory: &Path, port: u16) -> Command {
        let mut command = Command::new(&self.binary);
        if let Some(text) = &self.configuration {
            let file = directory.join("redis.conf");
            fs::write(&file, text).expect("write a configuration file");
            command.arg(&file);
        }
        command.arg("--port").arg(port.to_string()).arg("--dir").arg(directory);
        if self.configuration.is_none() {
            command.args(["--save", ""]);
        }
        command.args(["--enable-debug-command", "yes"]).args(&self.options);
        command
    }
}

fn port_was_taken(log: &str) -> bool {
    log.contains("ddress already in use") || log.contains("Failed listening on port")
}

/// A child process whose standard output and error are collected.
pub struct Process {
    child: Child,
    log: Arc<(Mutex<Log>, Condvar)>,
}

#[derive(Default)]
struct Log {
    text: String,
    streams_open: usize,
}

impl Process {
    pub fn spawn(mut command: Command) -> Process {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log =
            Arc::new((Mutex::new(Log { text: String::new(), streams_open: 2 }), Condvar::new()));
        collect(child.stdout.take().unwrap(), Arc::clone(&log));
        collect(child.stderr.take().unwrap(), Arc::clone(&log));
        Process { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// True once `text` is in the log, false when the process ended without it.
    pub fn wait_for_log(&mut self, text: &str) -> bool {
        let (log, changed) = &*self.log;
        let start = Instant::now();
        let mut log = log.lock().unwrap();
        loop {
            if log.text.contains(text) {
                return true;
            }
            if log.streams_open == 0 {
                return false;
            }
            let left = DEADLINE.checked_sub(start.elapsed());
            let left =
                left.unwrap_or_else(|| panic!("\"{text}\" is not in the log:\n{}", log.text));
            log = changed.wait_timeout(log, left).unwrap().0;
        }
    }

    pub fn log(&self) -> String {
        self.log.0.lock().unwrap().text.clone()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait for a process").is_none()
    }

    pub fn signal(&self, signal: i32) {
        let kill = format!("kill -{signal} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("run sh").success());
    }

    /// Waits until the process has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let status =
            eventually("the process ends", || self.child.try_wait().expect("wait for a process"));
        let (log, changed) = &*self.log;
        let log = log.lock().unwrap();
        drop(changed.wait_timeout_while(log, DEADLINE, |log| log.streams_open > 0));
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(stream: impl std::io::Read + Send + 'static, log: Arc<(Mutex<Log>, Condvar)>) {
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        loop {
            line.clear();
            let count = reader.read_until(b'\n', &mut line).unwrap_or(0);
            let (log, changed) = &*log;
            let mut log = log.lock().unwrap();
            log.text.push_str(&String::from_utf8_lossy(&line));
            log.streams_open -= usize::from(count == 0);
            changed.notify_all();
            if count == 0 {
                return;
            }
        }
    });
}

/// A running server. Dropping it kills it; a server that ended by itself, unasked, fails the test.
pub struct Node {
    start: Start,
    process: Process,
    port: u16,
    directory: Arc<TemporaryDirectory>,
    may_end: bool,
}

impl Node {
    pub fn ringfort(shards: usize) -> Node {
        Start::ringfort(shards).node()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Whether this is Redis itself, be it as a peer or in our place.
    pub fn is_redis(&self) -> bool {
        self.start.kind == Kind::Redis
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// A connection that speaks RESP3.
    pub fn connect_resp3(&self) -> Client {
        let mut client = self.connect();
        assert!(!client.run("HELLO 3").is_error());
        client
    }

    /// One field of INFO, over a connection of its own.
    pub fn info(&self, field: &str) -> String {
        info_field(&mut self.connect(), field)
    }

    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn wait_for_log(&mut self, text: &str) -> bool {
        self.process.wait_for_log(text)
    }

    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    pub fn signal(&mut self, signal: i32) {
        self.may_end = true;
        self.process.signal(signal);
    }

    /// Waits for a stop that the test asked for.
    pub fn wait(&mut self) -> ExitStatus {
        self.may_end = true;
        self.process.wait()
    }

    /// Starts the server again that has ended: same options, port and directory.
    pub fn start_again(&mut self) {
        eventually("the server starts again", || {
            self.process = Process::spawn(self.start.command(self.directory.path(), self.port));
            let ready = self.process.wait_for_log("Ready to accept connections");
            let log = self.process.log();
            assert!(ready || port_was_taken(&log), "the server did not start again:\n{log}");
            ready.then_some(())
        });
        self.may_end = false;
    }

    /// Resident memory of the process in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let path = format!("/proc/{}/statm", self.pid());
        let statm = fs::read_to_string(path).expect("read statm");
        statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    pub fn redis_cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("redis-cli");
        command.arg("-p").arg(self.port.to_string()).args(arguments).stdin(Stdio::null());
        command.output().expect("run redis-cli")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let ended = !self.may_end && !self.process.is_running();
        let log = self.process.log();
        let broken = ended || log.contains("panicked at");
        if thread::panicking() {
            if self.is_redis() {
                return;
            }
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            eprintln!("last lines of the log of port {}:\n{}", self.port, tail.join("\n"));
        } else {
            assert!(!broken, "the server ended or panicked:\n{log}");
        }
    }
}

/// One field of INFO.
pub fn info_field(client: &mut Client, field: &str) -> String {
    let info = client.run("INFO everything").text();
    let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("INFO has no field {field}:\n{info}")).to_owned()
}
