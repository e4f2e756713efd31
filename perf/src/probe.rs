//! A GET every millisecond, to see how long a server keeps its clients waiting while something else goes on.
//!
//! The probe shares its CPU with whatever else loads the server, and a kernel that does not preempt system calls runs
//! it late even in real time. So each GET is timed twice: until the client has the reply, and until the reply reached
//! the client's socket, by the kernel's own stamp (SO_TIMESTAMPNS, socket(7)). Over loopback the sender's CPU takes that
//! stamp, so the second time is the server's alone.
//!
//! Both begin when the GET was due, not when it could be sent: a server that stands still for 100 ms is late for a
//! hundred GETs, not for one. But where the probe itself came late, the GETs after that are due later by as much, and
//! the second time does not count it.

use std::io::{self, ErrorKind, IoSliceMut, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

use crate::client::{Client, encode_command};
use crate::error::Failure;
use crate::generator::Random;
use crate::keys::KeyShape;
use crate::machine;
use crate::server::Server;
use crate::worker::Worker;

const EVERY: Duration = Duration::from_millis(1);

/// Microseconds of each GET.
#[derive(Debug, Default)]
pub struct Times {
    /// Until its reply reached the client's socket.
    pub in_socket: Vec<f64>,
    /// Until the client had it, from when it was due.
    pub in_hand: Vec<f64>,
}

pub struct Probe {
    worker: Worker<()>,
    /// Since the last look.
    times: Arc<Mutex<Times>>,
}

impl Probe {
    /// GETs of random keys out of `keys`, all of which must be there.
    pub fn start(server: &Server, keys: u64) -> Result<Probe, Failure> {
        let mut socket = StampedSocket::connect(server.port).map_err(probing())?;
        let times = Arc::new(Mutex::new(Times::default()));
        let found = Arc::clone(&times);
        let worker = Worker::start(move |stop| {
            machine::prefer_this_thread();
            let mut random = Random::new(19);
            let (mut key, mut request) = (Vec::new(), Vec::new());
            let mut due = SystemTime::now();
            let mut last_arrived = due;
            while !stop.load(Ordering::Relaxed) {
                due += EVERY;
                thread::sleep(since(SystemTime::now(), due));
                key.clear();
                KeyShape::Benchmark.write(random.below(keys), &mut key);
                request.clear();
                encode_command(&mut request, &[b"GET", &key]);
                let sent = SystemTime::now();
                let arrived = socket.ask(&request).map_err(probing())?;
                let in_hand = since(due, SystemTime::now());
                // What the probe itself was late, the server is not to blame for, now or later.
                due += since(due.max(last_arrived), sent);
                let in_socket = since(due, arrived);
                last_arrived = arrived;
                let mut found = found.lock().unwrap_or_else(|poison| poison.into_inner());
                found.in_socket.push(in_socket.as_secs_f64() * 1e6);
                found.in_hand.push(in_hand.as_secs_f64() * 1e6);
            }
            Ok(())
        });
        Ok(Probe { worker, times })
    }

    /// What was measured since the last time.
    pub fn take(&self) -> Times {
        let mut times = self.times.lock().unwrap_or_else(|poison| poison.into_inner());
        std::mem::take(&mut *times)
    }

    pub fn stop(self) -> Result<(), Failure> {
        self.worker.finish()
    }
}

fn probing() -> impl FnOnce(io::Error) -> Failure {
    Failure::io("probing the latency")
}

fn since(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

/// A connection whose replies are values, and which knows when they arrived.
struct StampedSocket {
    stream: TcpStream,
    reply: Vec<u8>,
}

impl StampedSocket {
    fn connect(port: u16) -> io::Result<StampedSocket> {
        let stream = Client::open(port)?;
        setsockopt(&stream, ReceiveTimestampns, &true)?;
        Ok(StampedSocket { stream, reply: Vec::new() })
    }

    /// Sends a request and reads its reply, a value. Returns when the last of it arrived.
    fn ask(&mut self, request: &[u8]) -> io::Result<SystemTime> {
        self.stream.write_all(request)?;
        self.reply.clear();
        loop {
            let stamp = self.receive()?;
            if is_whole_value(&self.reply)? {
                return stamp.ok_or_else(|| invalid("no time stamp on a reply"));
            }
        }
    }

    fn receive(&mut self) -> io::Result<Option<SystemTime>> {
        let mut buffer = [0; 16 << 10];
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let message = recvmsg::<()>(
            self.stream.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        if message.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(time) => {
                Some(SystemTime::UNIX_EPOCH + Duration::from(time))
            }
            _ => None,
        });
        let received = message.bytes;
        self.reply.extend_from_slice(&buffer[..received]);
        Ok(stamp)
    }
}

/// Whether all of a bulk string is there. Error: it is none, or more follows it.
fn is_whole_value(reply: &[u8]) -> io::Result<bool> {
    let Some(line) = reply.windows(2).position(|end| end == b"\r\n") else { return Ok(false) };
    let length = reply[..line]
        .strip_prefix(b"$")
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
    let Some(length) = length else {
        let text = String::from_utf8_lossy(&reply[..line]).into_owned();
        return Err(invalid(&format!("GET answered {text}")));
    };
    match reply.len().cmp(&(line + 2 + length + 2)) {
        std::cmp::Ordering::Less => Ok(false),
        std::cmp::Ordering::Equal => Ok(true),
        std::cmp::Ordering::Greater => Err(invalid("more than a reply")),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latencies {
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
}

impl Latencies {
    pub fn of(mut microseconds: Vec<f64>) -> Option<Latencies> {
        microseconds.sort_by(f64::total_cmp);
        let last = microseconds.len().checked_sub(1)?;
        let at = |percent: usize| microseconds[last * percent / 100];
        Some(Latencies { p50_us: at(50), p99_us: at(99), max_us: microseconds[last] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Instant;

    #[test]
    fn latencies_are_taken_from_the_sorted_times() {
        let times: Vec<f64> = (1..=101).rev().map(f64::from).collect();
        let latencies = Latencies::of(times).unwrap();
        assert_eq!(latencies, Latencies { p50_us: 51.0, p99_us: 100.0, max_us: 101.0 });
        assert_eq!(Latencies::of(Vec::new()), None);
    }

    #[test]
    fn a_value_is_whole_with_its_last_byte() {
        let reply = b"$3\r\na\r\n\r\n";
        for cut in 0..reply.len() {
            assert!(!is_whole_value(&reply[..cut]).unwrap(), "{cut}");
        }
        assert!(is_whole_value(reply).unwrap());
        for wrong in [&b"$-1\r\n"[..], b"-ERR no\r\n", b"$1\r\na\r\n+"] {
            assert!(is_whole_value(wrong).is_err());
        }
    }

    /// The kernel begins to stamp some time after it was asked to, and says the time of reading until then.
    #[test]
    fn a_reply_is_stamped_when_it_arrives_not_when_it_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut socket = StampedSocket::connect(port).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let begun = Instant::now();
        loop {
            server.write_all(b"$2\r\n").unwrap();
            let before = SystemTime::now();
            server.write_all(b"ab\r\n").unwrap();
            let after = SystemTime::now();
            let arrived = socket.ask(b"request").unwrap();
            assert!(before <= arrived, "{before:?} {arrived:?}");
            assert_eq!(socket.reply, b"$2\r\nab\r\n");
            if arrived <= after {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{after:?} {arrived:?}");
        }
    }
}
