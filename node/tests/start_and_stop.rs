//! Starting in redis-server's manner, reading its configuration syntax, and stopping cleanly.

mod common;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};

use common::node::{Process, TemporaryDirectory, free_port, ringfort_binary, testing_redis};
use common::{Client, Node, Reply, Start, eventually};

/// Runs the binary to its end and gives what it said.
fn run(arguments: &[&str]) -> Output {
    Command::new(ringfort_binary())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("run the binary")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn config(client: &mut Client, name: &str) -> String {
    client.call(&["CONFIG", "GET", name]).field(name).text()
}

#[test]
fn a_start_says_what_supervisors_wait_for() {
    let mut node = Node::ringfort(2);
    let log = node.log();
    assert!(log.contains(&format!("PID: {}", node.pid())) || node.is_redis(), "{log}");
    assert!(log.contains("Server initialized"), "{log}");
    let (initialized, ready) =
        (log.find("Server initialized"), log.find("Ready to accept connections"));
    assert!(initialized < ready, "{log}");
    assert!(log.contains(&format!("{}", node.port())), "{log}");
    if !node.is_redis() {
        assert!(log.contains("Ready to accept connections tcp"), "{log}");
    }
    assert!(node.is_running());
}

#[test]
fn version_and_help_are_printed() {
    let output = run(&["--version"]);
    assert!(output.status.success() && text(&output.stdout).contains("v="), "{output:?}");
    let output = run(&["--help"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("Usage:") && said.contains("redis.conf"), "{said}");
}

#[test]
fn configuration_files_are_read_as_redis_reads_them() {
    let directory = TemporaryDirectory::new();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    write("part-1.conf", "maxmemory-samples 7\n");
    write("part-2.conf", "timeout 77\nhz 20\n");
    let included = write("included.conf", "maxclients 123\n");
    let text = format!(
        "# a comment\n\nsave \"\"\nsave 900 1\nsave 60 100\n   maxmemory   \"64mb\"  \nMAXMEMORY-POLICY allkeys-lru\nproc-title-template 'a b'\n\
         include {included}\ninclude {}/part-*.conf\nslowlog-max-len 16\n\
         client-output-buffer-limit normal 1mb 512kb 10\nclient-output-buffer-limit pubsub 2mb 0 0\n\
         notify-keyspace-events \"\"\nrequirepass \"pass \\x41 word\"\ntcp-keepalive 0\nhz 30\r\n",
        directory.path().display()
    );
    let node =
        Start::ringfort(2).configuration(&text).option("--slowlog-log-slower-than", "5").node();
    let mut client = node.connect();
    assert_eq!(client.run("AUTH \"pass A word\""), Reply::ok());
    let expected = [
        ("maxmemory", "67108864"),
        ("maxmemory-policy", "allkeys-lru"),
        ("maxclients", "123"),
        ("maxmemory-samples", "7"),
        ("timeout", "77"),
        ("hz", "30"),
        ("slowlog-max-len", "16"),
        ("slowlog-log-slower-than", "5"),
        ("notify-keyspace-events", ""),
        ("tcp-keepalive", "0"),
        ("save", "900 1 60 100"),
        ("databases", "16"),
        ("proto-max-bulk-len", "536870912"),
    ];
    for (name, value) in expected {
        assert_eq!(config(&mut client, name), value, "{name}");
    }
    let limits = config(&mut client, "client-output-buffer-limit");
    assert!(limits.starts_with("normal 1048576 524288 10 "), "{limits}");
    assert!(limits.ends_with(" pubsub 2097152 0 0"), "{limits}");
}

#[test]
fn options_of_the_command_line_come_in_every_spelling() {
    let node = Start::ringfort(2)
        .words(&[
            "--maxmemory 700mb",
            "--maxmemory-policy",
            "volatile-ttl",
            "--save",
            "",
            "--timeout",
            "5",
        ])
        .words(&[
            "--client-output-buffer-limit",
            "normal",
            "1",
            "2",
            "3",
            "--appendonly",
            "no",
            "--databases",
            "4",
        ])
        .node();
    let mut client = node.connect();
    assert_eq!(config(&mut client, "maxmemory"), (700 << 20).to_string());
    assert_eq!(config(&mut client, "maxmemory-policy"), "volatile-ttl");
    assert_eq!(config(&mut client, "save"), "");
    assert_eq!(config(&mut client, "timeout"), "5");
    assert!(config(&mut client, "client-output-buffer-limit").starts_with("normal 1 2 3 "));
    assert_eq!(client.run("SELECT 3"), Reply::ok());
    assert_eq!(client.run("SELECT 4").error(), "ERR DB index is out of range");
}

#[test]
fn the_configuration_may_come_through_standard_input() {
    let port = free_port();
    let directory = TemporaryDirectory::new();
    let text =
        format!("port {port}\ndir {}\nmaxmemory 5mb\nsave \"\"\n", directory.path().display());
    let file = directory.path().join("input");
    fs::write(&file, text).unwrap();
    let script = format!("exec {} - --timeout 9 < {}", ringfort_binary().display(), file.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    let mut process = Process::spawn(shell);
    assert!(process.wait_for_log("Ready to accept connections"), "{}", process.log());
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    assert_eq!(config(&mut client, "maxmemory"), "5242880");
    assert_eq!(config(&mut client, "timeout"), "9");
}

#[test]
fn a_bad_configuration_is_an_error_with_its_line() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("bad.conf");
    let name = path.display().to_string();
    let lines = [
        "nosuchdirective 1",
        "port abc",
        "port 65536",
        "maxmemory 1xb",
        "maxmemory-policy nosuch",
        "loglevel loud",
        "databases 0",
        "timeout -1",
        "timeout",
        "timeout 1 2",
        "client-output-buffer-limit normal 1",
        "client-output-buffer-limit nosuch 1 1 1",
        "appendonly perhaps",
        "save 1",
        "save x 1",
        "requirepass \"unbalanced",
        "unixsocketperm 999",
        "notify-keyspace-events Q",
        "include /nosuch/directory/file.conf",
        "dir /nosuch/directory",
    ];
    for line in lines {
        fs::write(&path, format!("# the first line\nhz 10\n{line}\ntcp-backlog 100\n")).unwrap();
        let output = run(&[&name]);
        let said = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        if line.starts_with("include") {
            assert!(said.contains("/nosuch/directory/file.conf"), "{said}");
            continue;
        }
        assert!(text(&output.stderr).contains("FATAL CONFIG FILE ERROR"), "{line}: {said}");
        assert!(
            said.contains("at line 3") && said.contains(&format!(">>> '{line}'")),
            "{line}: {said}"
        );
    }
    let missing = run(&[&directory.path().join("nosuch.conf").display().to_string()]);
    assert_eq!(missing.status.code(), Some(1));
    let said = text(&missing.stderr) + &text(&missing.stdout);
    assert!(said.contains("nosuch.conf"), "{said}");
    let option = run(&["--nosuchoption", "1"]);
    assert_eq!(option.status.code(), Some(1));
    assert!(text(&option.stderr).contains("FATAL CONFIG FILE ERROR"), "{option:?}");
}

#[test]
fn what_guards_data_and_does_not_work_yet_stops_the_start() {
    if testing_redis() {
        eprintln!("Redis does all of these");
        return;
    }
    let port = free_port().to_string();
    let lines: [&[&str]; 5] = [
        &["--appendonly", "yes"],
        &["--aclfile", "/tmp/nosuch.acl"],
        &["--user", "someone on nopass ~* +@all"],
        &["--rename-command", "FLUSHALL", "\"\""],
        &["--tls-port", "6390"],
    ];
    for words in lines {
        let output = run(&[&["--port", port.as_str(), "--save", ""], words].concat());
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(!output.status.success(), "{words:?} started");
        assert!(said.contains(&words[0][2..]), "{words:?}: {said}");
    }
}

#[test]
fn a_taken_port_ends_the_start() {
    let node = Node::ringfort(2);
    let directory = TemporaryDirectory::new();
    let path = directory.path().display().to_string();
    let output = run(&["--port", &node.port().to_string(), "--dir", &path, "--save", ""]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Failed listening on port"), "{said}");
    assert_eq!(node.connect().run("PING"), Reply::Simple("PONG".into()));
}

#[test]
fn a_rewritten_configuration_starts_the_same_node() {
    let text = "# keep this comment\nmaxmemory 10mb\n\nhz 10\n# and this\n";
    let mut node = Start::ringfort(2).configuration(text).node();
    let mut client = node.connect();
    let settings = [
        ("maxmemory", "20971520"),
        ("timeout", "7"),
        ("requirepass", "with \"quotes\" and \\"),
        ("maxmemory-policy", "allkeys-lfu"),
        (
            "client-output-buffer-limit",
            "normal 1048576 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        ),
        ("save", "3600 1"),
        ("notify-keyspace-events", "AKE"),
    ];
    for (name, value) in settings {
        assert_eq!(client.call(&["CONFIG", "SET", name, value]), Reply::ok(), "{name}");
    }
    assert_eq!(client.run("CONFIG REWRITE"), Reply::ok());
    let written = fs::read_to_string(node.directory().join("redis.conf")).unwrap();
    assert!(written.starts_with("# keep this comment\n"), "{written}");
    assert!(written.contains("\n# and this\n") && written.contains("\ntimeout 7\n"), "{written}");
    assert_eq!(
        written.lines().filter(|line| line.starts_with("maxmemory ")).count(),
        1,
        "{written}"
    );
    // Written again, it stays as it is.
    assert_eq!(client.run("CONFIG REWRITE"), Reply::ok());
    let again = fs::read_to_string(node.directory().join("redis.conf")).unwrap();
    assert_eq!(again.trim_end(), written.trim_end());
    // The old one's directory stays, for the file names it.
    node.signal(15);
    assert_eq!(node.wait().code(), Some(0));

    let again = Start::ringfort(2).configuration(&written).node();
    let mut client = again.connect();
    assert_eq!(client.call(&["AUTH", settings[2].1]), Reply::ok());
    for (name, value) in settings {
        assert_eq!(config(&mut client, name), value, "{name}");
    }
}

#[test]
fn shutdown_ends_the_process_and_leaves_no_files() {
    for words in [&["SHUTDOWN"][..], &["SHUTDOWN", "NOSAVE"], &["SHUTDOWN", "NOW", "FORCE"]] {
        let directory = TemporaryDirectory::new();
        let (pidfile, socket) =
            (directory.path().join("node.pid"), directory.path().join("node.sock"));
        let mut node = Start::ringfort(2)
            .option("--pidfile", pidfile.to_str().unwrap())
            .option("--unixsocket", socket.to_str().unwrap())
            .node();
        let pid = fs::read_to_string(&pidfile).expect("a pid file was asked for");
        assert_eq!(pid.trim(), node.pid().to_string());
        let (mut client, mut other) = (node.connect(), node.connect());
        client.send_command(words);
        assert_eq!(client.read_to_close(), b"");
        assert_eq!(other.read_to_close(), b"");
        assert_eq!(node.wait().code(), Some(0), "{words:?}\n{}", node.log());
        assert!(!pidfile.exists() && !socket.exists(), "{words:?} left files");
    }
}

#[test]
fn signals_shut_down_cleanly() {
    for signal in [15, 2] {
        let mut node = Node::ringfort(4);
        let mut clients: Vec<Client> = (0..8).map(|_| node.connect()).collect();
        for client in &mut clients {
            client.run("SET a 1");
        }
        node.signal(signal);
        assert_eq!(node.wait().code(), Some(0), "signal {signal}\n{}", node.log());
        for mut client in clients {
            assert_eq!(client.read_to_close(), b"");
        }
    }
}

/// Ends a process by its pid when the test is over.
struct Reaper(String);

impl Drop for Reaper {
    fn drop(&mut self) {
        let _ =
            Command::new("sh").args(["-c", &format!("kill -9 {} 2>/dev/null", self.0)]).status();
    }
}

/// Starts a daemon, talks to it, and sees it end.
fn check_daemon(port: u16, arguments: &[&str], directory: &TemporaryDirectory) {
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (pidfile, logfile) = (path("daemon.pid"), path("daemon.log"));
    let port_text = port.to_string();
    let mut all = arguments.to_vec();
    all.extend(["--port", &port_text, "--pidfile", &pidfile, "--logfile", &logfile, "--dir"]);
    let place = directory.path().display().to_string();
    all.push(&place);
    let output = run(&all);
    assert_eq!(output.status.code(), Some(0), "the foreground ends well: {output:?}");
    let pid = eventually("the pid file is there", || {
        fs::read_to_string(&pidfile).ok().filter(|text| text.ends_with('\n'))
    });
    let pid = pid.trim().to_owned();
    let reaper = Reaper(pid.clone());
    eventually("the log says it is ready", || {
        fs::read_to_string(&logfile).ok().filter(|log| log.contains("Ready to accept connections"))
    });
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    assert_eq!(common::node::info_field(&mut client, "process_id"), pid);
    assert_eq!(client.run("SET a 1"), Reply::ok());
    client.send_command(&["SHUTDOWN", "NOSAVE"]);
    assert_eq!(client.read_to_close(), b"");
    eventually("the daemon is gone", || {
        (!fs::exists(format!("/proc/{pid}/cwd")).unwrap_or(false)).then_some(())
    });
    std::mem::forget(reaper);
}

#[test]
fn a_daemon_goes_to_the_background() {
    let directory = TemporaryDirectory::new();
    check_daemon(free_port(), &["--daemonize", "yes", "--save", ""], &directory);
}

#[test]
fn the_stock_configuration_of_debian_starts_a_node() {
    let Ok(stock) = fs::read_to_string("/etc/redis/redis.conf") else {
        eprintln!("/etc/redis/redis.conf is not there or not readable");
        return;
    };
    assert!(stock.contains("daemonize yes"));
    // Unchanged but for where it lies; port, files and directory of this run come behind it.
    let directory = TemporaryDirectory::new();
    let copy = directory.path().join("redis.conf");
    fs::write(&copy, stock).unwrap();
    check_daemon(free_port(), &[copy.to_str().unwrap()], &directory);
}

#[test]
fn the_log_goes_to_its_file() {
    let directory = TemporaryDirectory::new();
    let logfile = directory.path().join("node.log");
    let port = free_port().to_string();
    let mut command = Command::new(ringfort_binary());
    command
        .args(["--port", &port, "--save", "", "--logfile"])
        .arg(&logfile)
        .arg("--dir")
        .arg(directory.path());
    let mut process = Process::spawn(command);
    eventually("the log file says it is ready", || {
        assert!(process.is_running(), "{}", process.log());
        fs::read_to_string(&logfile).ok().filter(|log| log.contains("Ready to accept connections"))
    });
    assert!(!process.log().contains("Ready to accept"), "{}", process.log());
    process.signal(15);
    assert_eq!(process.wait().code(), Some(0));
}

#[test]
fn a_supervisor_is_notified() {
    let directory = TemporaryDirectory::new();
    let address = directory.path().join("notify");
    let socket = UnixDatagram::bind(&address).unwrap();
    socket.set_read_timeout(Some(common::node::DEADLINE)).unwrap();
    let mut command = Command::new(ringfort_binary());
    command.env("NOTIFY_SOCKET", &address).arg("--dir").arg(directory.path());
    command.args(["--port", &free_port().to_string(), "--save", "", "--supervised", "systemd"]);
    let process = Process::spawn(command);
    let mut told = String::new();
    let mut buffer = [0; 4096];
    while !told.contains("READY=1") {
        let count = socket
            .recv(&mut buffer)
            .unwrap_or_else(|error| panic!("{error}\n{told}\n{}", process.log()));
        told.push_str(&text(&buffer[..count]));
    }
}

#[test]
fn a_node_may_listen_on_a_unix_socket_alone() {
    let directory = TemporaryDirectory::new();
    let path = directory.path().join("only.sock");
    let mut command = Command::new(ringfort_binary());
    command
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&path)
        .arg("--dir")
        .arg(directory.path());
    let mut process = Process::spawn(command);
    assert!(process.wait_for_log("eady to accept connections"), "{}", process.log());
    let mut client = Client::connect_unix(&path);
    assert_eq!(client.run("PING"), Reply::Simple("PONG".into()));
    process.signal(15);
    assert_eq!(process.wait().code(), Some(0));
}
