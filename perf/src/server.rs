//! Starting and stopping the servers that are measured. A server started here is stopped here: by SHUTDOWN,
//! by a signal if that does not help, and in any case when the handle is dropped. Each listens on a free
//! loopback port and keeps nothing on disk.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Client, Reply, info_field};
use crate::error::Failure;
use crate::process::parent_pid;

const START_MAX: Duration = Duration::from_secs(20);
const STOP_MAX: Duration = Duration::from_secs(10);

/// A server program: its name in the report and how its command line begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    pub name: String,
    pub command: Vec<String>,
    /// Understands ringfort's own options (`--shards`, `--io-spin-us`, `--pipeline-order`).
    pub is_ringfort: bool,
}

impl Program {
    /// The program under test. Another server may stand in for it while the tool itself is worked on; then
    /// options that only ringfort knows are left out.
    pub fn ringfort(path: &Path) -> Result<Program, Failure> {
        // Servers are started in a folder of their own, where a relative path leads nowhere.
        let path = std::path::absolute(path).map_err(Failure::path("finding", path))?;
        let output = Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(Failure::path("starting", &path))?;
        let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
        Ok(Program {
            name: "ringfort".to_owned(),
            command: vec![path.display().to_string()],
            is_ringfort: text.contains("ringfort"),
        })
    }

    /// `NAME=command line prefix`, split at blanks.
    pub fn parse_peer(text: &str) -> Result<Program, String> {
        let (name, command) =
            text.split_once('=').ok_or_else(|| format!("'{text}' is not NAME=COMMAND"))?;
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        if name.trim().is_empty() || command.is_empty() {
            return Err(format!("'{text}' is not NAME=COMMAND"));
        }
        Ok(Program { name: name.trim().to_owned(), command, is_ringfort: false })
    }
}

/// The peers to measure against: those named, and whichever known servers are on PATH under other names.
pub fn find_peers(named: &[Program]) -> Vec<Program> {
    let mut peers = named.to_vec();
    for name in ["valkey-server", "redis-server"] {
        if let Some(path) = find_on_path(name)
            && !peers.iter().any(|peer| peer.name == name)
        {
            peers.push(Program {
                name: name.to_owned(),
                command: vec![path.display().to_string()],
                is_ringfort: false,
            });
        }
    }
    peers
}

pub fn find_on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A running server. Dropping it stops it.
pub struct Server {
    pub name: String,
    pub port: u16,
    /// The process that serves, which need not be the child if the command is a wrapper.
    pub pid: u32,
    /// What was run, for the report: the serving program without its path or a wrapper around it, which are
    /// this machine's own, and `PORT` for the port.
    pub command_line: String,
    pub version: String,
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts `program` on the CPUs given, and returns once it answers PING.
    pub fn start(program: &Program, cpus: &[usize], arguments: &[&str]) -> Result<Server, Failure> {
        let port = free_port()?;
        let cpu_list = cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let options = |port: &str| {
            let mut words = ["--port", port, "--save", ""].map(str::to_owned).to_vec();
            words.extend(arguments.iter().map(|word| (*word).to_owned()));
            words
        };
        let shown = |name: &str| {
            let mut words = ["taskset", "-c", &cpu_list, name].map(str::to_owned).to_vec();
            words.extend(options("PORT"));
            display_command(&words)
        };

        // A folder of its own: no dump.rdb of anybody else is found in it.
        let folder = env::temp_dir().join(format!("ringfort-perf-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).map_err(Failure::path("creating", &folder))?;
        let log_path = folder.join("log");
        let log = fs::File::create(&log_path).map_err(Failure::path("creating", &log_path))?;
        let log_too = log.try_clone().map_err(Failure::path("opening", &log_path))?;
        let child = Command::new("taskset")
            .args(["-c", &cpu_list])
            .args(&program.command)
            .args(options(&port.to_string()))
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(Failure::io(format!("starting {}", program.name)))?;

        let mut server = Server {
            name: program.name.clone(),
            port,
            pid: child.id(),
            command_line: shown(&program.name),
            version: String::new(),
            child,
            folder,
        };
        let info = server.wait_until_it_answers()?;
        if let Some(pid) = info_field(&info, "process_id").and_then(|text| text.parse().ok())
            && descends_from(pid, server.child.id())
        {
            server.pid = pid;
        }
        if let Some(name) = program_name(server.pid) {
            server.command_line = shown(&name);
        }
        server.version = version_of(&info);
        Ok(server)
    }

    fn wait_until_it_answers(&mut self) -> Result<String, Failure> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let ready = Client::connect(self.port).ok().and_then(|mut client| {
                let reply = client.command(&[b"PING"]).ok()?;
                (reply == Reply::Simple("PONG".to_owned())).then_some(client)
            });
            if let Some(mut client) = ready {
                return client.info("server");
            }
            let gone = self.child.try_wait().map_err(Failure::io("waiting for a server"))?;
            if gone.is_some() || Instant::now() >= deadline {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().rev().take(5).collect();
                let tail: Vec<&str> = lines.into_iter().rev().collect();
                return Err(Failure::server(
                    &self.name,
                    format!("'{}' does not answer: {}", self.command_line, tail.join(" | ")),
                ));
            }
            // The start of a process has no event that an outsider could wait for.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn client(&self) -> Result<Client, Failure> {
        Client::connect(self.port).map_err(Failure::io(format!("connecting to {}", self.name)))
    }

    fn wait_until_gone(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(mut client) = Client::connect(self.port) {
            // No answer comes when it works: the connection closes.
            let _ = client.command(&[b"SHUTDOWN", b"NOSAVE"]);
        }
        if !self.wait_until_gone(STOP_MAX) {
            if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A command line as one would type it: words with blanks, and empty ones, in quotes.
pub fn display_command(words: &[String]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| {
            if word.is_empty() || word.contains(char::is_whitespace) {
                format!("'{word}'")
            } else {
                word.clone()
            }
        })
        .collect();
    quoted.join(" ")
}

fn version_of(info: &str) -> String {
    ["ringfort_version", "valkey_version", "redis_version"]
        .iter()
        .find_map(|field| info_field(info, field))
        .unwrap_or("unknown")
        .to_owned()
}

/// How the process was called (servers may write more into their title), without the path.
fn program_name(pid: u32) -> Option<String> {
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = title.split(|byte| *byte == 0 || *byte == b' ').next()?;
    let name = first.rsplit(|byte| *byte == b'/').next()?;
    (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
}

fn descends_from(mut pid: u32, ancestor: u32) -> bool {
    while pid > 1 {
        if pid == ancestor {
            return true;
        }
        match parent_pid(pid) {
            Some(parent) => pid = parent,
            None => return false,
        }
    }
    false
}

fn free_port() -> Result<u16, Failure> {
    let listener =
        TcpListener::bind(("127.0.0.1", 0)).map_err(Failure::io("looking for a free port"))?;
    let address = listener.local_addr().map_err(Failure::io("looking for a free port"))?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_is_a_name_and_a_command() {
        let peer = Program::parse_peer("valkey9=/opt/x/run  valkey9").unwrap();
        assert_eq!(peer.name, "valkey9");
        assert_eq!(peer.command, ["/opt/x/run", "valkey9"]);
        for wrong in ["valkey9", "=x", "a=", "a=  "] {
            assert!(Program::parse_peer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn empty_words_stay_visible_in_a_command_line() {
        let words = ["a", "--save", "", "b c"].map(str::to_owned);
        assert_eq!(display_command(&words), "a --save '' 'b c'");
    }

    #[test]
    fn a_fork_s_own_version_goes_before_the_one_it_mimics() {
        assert_eq!(version_of("redis_version:7.2.4\r\nvalkey_version:9.1.2\r\n"), "9.1.2");
        assert_eq!(version_of("redis_version:7.0.15\r\n"), "7.0.15");
        assert_eq!(version_of(""), "unknown");
    }

    #[test]
    fn own_process_descends_from_its_parent() {
        let own = std::process::id();
        assert!(descends_from(own, own));
        assert!(descends_from(own, parent_pid(own).unwrap()));
        assert!(!descends_from(parent_pid(own).unwrap(), own));
    }
}
