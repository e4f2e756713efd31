//! Our own load: one thread, many connections, a closed loop of pipelined batches. It spends much less per
//! request than redis-benchmark (no timing of single requests, replies counted rather than parsed), so with
//! one core to itself it is the server that becomes the limit, not the load.
//!
//! A connection has one batch of `pipeline` requests under way; when all its replies are there, it sends the
//! next one. Keys are drawn from a fixed-seed sequence.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client::encode_command;
use crate::error::Failure;
use crate::keys::BENCHMARK_KEY_DIGITS;
use crate::process::cpu_ns;
use crate::replies::ReplyCounter;
use crate::tools::{Load, Verb};

/// How long a server may leave all connections without a reply before the run is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Requests pass at most this many at a time between two looks at the clock.
const EVENTS_MAX: usize = 256;

/// What one run measured, over the window after the warm-up.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub requests: u64,
    pub requests_per_second: f64,
    /// CPU time of the server process per request; `None` when no process was given.
    pub cpu_us_per_request: Option<f64>,
}

/// Runs `load` for `warm_up` and then `window`, against the server on `port` whose process is `pid`.
/// A reply that is an error, and a GET that finds no value, end the run as failures.
pub fn run(
    load: &Load,
    port: u16,
    pid: Option<u32>,
    warm_up: Duration,
    window: Duration,
) -> Result<Measured, Failure> {
    run_requests(&Requests::of_load(load), load.connections, port, pid, warm_up, window)
}

/// As [`run`], for requests of any kind.
pub fn run_requests(
    requests: &Requests,
    connections: usize,
    port: u16,
    pid: Option<u32>,
    warm_up: Duration,
    window: Duration,
) -> Result<Measured, Failure> {
    let mut generator = Generator::connect(requests, connections, port)?;
    generator.run_until(Instant::now() + warm_up)?;

    let cpu_before = pid.map(cpu_ns).transpose()?;
    let answered_before = generator.answered;
    let started = Instant::now();
    generator.run_until(started + window)?;
    let elapsed = started.elapsed();
    let cpu_after = pid.map(cpu_ns).transpose()?;

    let requests = generator.answered - answered_before;
    let cpu_us_per_request = match (cpu_before, cpu_after) {
        (Some(before), Some(after)) if requests > 0 => {
            Some(after.saturating_sub(before) as f64 / 1_000.0 / requests as f64)
        }
        _ => None,
    };
    Ok(Measured {
        requests,
        requests_per_second: requests as f64 / elapsed.as_secs_f64(),
        cpu_us_per_request,
    })
}

/// A batch of requests that is sent over and over, with other numbers in it each time.
#[derive(Clone, Debug)]
pub struct Requests {
    batch: Vec<u8>,
    /// Where in it random numbers go, each of [`BENCHMARK_KEY_DIGITS`] digits.
    digits_at: Vec<usize>,
    count: usize,
    /// The numbers are below this.
    numbers: u64,
}

impl Requests {
    fn of_load(load: &Load) -> Requests {
        let value = vec![b'x'; load.value_bytes];
        let words: &[&[u8]] = match load.verb {
            Verb::Get => &[b"GET", b"key:#"],
            Verb::Set => &[b"SET", b"key:#", &value],
        };
        Requests::of_words(words, load.pipeline, load.keys)
    }

    /// A pipeline of one command, in whose words each `#` stands for a random number.
    pub fn of_words(words: &[&[u8]], pipeline: usize, numbers: u64) -> Requests {
        let placeholder = [b'0'; BENCHMARK_KEY_DIGITS];
        let mut batch = Vec::new();
        let mut digits_at = Vec::new();
        for _ in 0..pipeline {
            let filled: Vec<Vec<u8>> = words
                .iter()
                .map(|word| {
                    let parts: Vec<&[u8]> = word.split(|byte| *byte == b'#').collect();
                    parts.join(&placeholder[..])
                })
                .collect();
            let start = batch.len();
            encode_command(&mut batch, &filled.iter().map(Vec::as_slice).collect::<Vec<_>>());
            // Each word stands behind its length line and ends with a line end.
            let mut at = start + format!("*{}\r\n", words.len()).len();
            for (word, filled) in words.iter().zip(&filled) {
                at += format!("${}\r\n", filled.len()).len();
                let mut in_word = at;
                for byte in *word {
                    if *byte == b'#' {
                        digits_at.push(in_word);
                        in_word += BENCHMARK_KEY_DIGITS;
                    } else {
                        in_word += 1;
                    }
                }
                at += filled.len() + 2;
            }
        }
        Requests { batch, digits_at, count: pipeline, numbers }
    }
}

struct Generator<'a> {
    requests: &'a Requests,
    poll: Poll,
    connections: Vec<Connection>,
    random: Random,
    buffer: Vec<u8>,
    answered: u64,
}

struct Connection {
    stream: TcpStream,
    /// The batch under way, and how much of it was sent. It is made once; from then on only the digits of
    /// its keys change.
    batch: Vec<u8>,
    sent: usize,
    replies_due: u64,
    counter: ReplyCounter,
}

impl<'a> Generator<'a> {
    fn connect(
        requests: &'a Requests,
        connections: usize,
        port: u16,
    ) -> Result<Generator<'a>, Failure> {
        let poll = Poll::new().map_err(Failure::io("creating an epoll"))?;
        let mut generator = Generator {
            requests,
            poll,
            connections: Vec::with_capacity(connections),
            random: Random::new(0x2545_f491_4f6c_dd1d),
            buffer: vec![0; 64 * 1024],
            answered: 0,
        };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for index in 0..connections {
            // Connected while still blocking: a refused connection is then an error here and now.
            let stream = std::net::TcpStream::connect(address)
                .and_then(|stream| {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    Ok(stream)
                })
                .map_err(Failure::io(format!("connecting to port {port}")))?;
            let mut stream = TcpStream::from_std(stream);
            generator
                .poll
                .registry()
                .register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(Failure::io("registering a connection"))?;
            generator.connections.push(Connection {
                stream,
                batch: requests.batch.clone(),
                sent: 0,
                replies_due: 0,
                counter: ReplyCounter::default(),
            });
        }
        for index in 0..connections {
            generator.next_batch(index)?;
        }
        Ok(generator)
    }

    fn run_until(&mut self, deadline: Instant) -> Result<(), Failure> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while Instant::now() < deadline {
            match self.poll.poll(&mut events, Some(SILENCE_MAX)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(Failure::io("waiting for replies"))?,
            }
            if events.is_empty() {
                return Err(Failure::Setup(format!("no reply for {} s", SILENCE_MAX.as_secs())));
            }
            for event in &events {
                let index = event.token().0;
                if event.is_writable() {
                    self.connections[index].send()?;
                }
                if event.is_readable() {
                    self.receive(index)?;
                }
            }
        }
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<(), Failure> {
        loop {
            let connection = &mut self.connections[index];
            let count = match connection.stream.read(&mut self.buffer) {
                Ok(0) => return Err(Failure::Setup("the server closed a connection".to_owned())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::io("reading replies")(error)),
            };
            let counts = connection.counter.take(&self.buffer[..count]).map_err(Failure::Setup)?;
            if let Some(error) = &connection.counter.first_error {
                return Err(Failure::Setup(format!("the server answered {error}")));
            }
            if counts.nulls > 0 {
                return Err(Failure::Setup(
                    "a request found nothing: fill the server first, or with more".to_owned(),
                ));
            }
            self.answered += counts.replies;
            connection.replies_due = connection
                .replies_due
                .checked_sub(counts.replies)
                .ok_or_else(|| Failure::Setup("more replies than requests".to_owned()))?;
            if connection.replies_due == 0 {
                self.next_batch(index)?;
            }
            // A short read has drained the socket: what comes later makes a new event (epoll(7)). The read
            // that would only say so costs as much as one that brings a reply.
            if count < self.buffer.len() {
                return Ok(());
            }
        }
    }

    fn next_batch(&mut self, index: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[index];
        for at in &self.requests.digits_at {
            let digits = &mut connection.batch[*at..*at + BENCHMARK_KEY_DIGITS];
            write_digits(self.random.below(self.requests.numbers), digits);
        }
        connection.sent = 0;
        connection.replies_due = self.requests.count as u64;
        connection.send()
    }
}

fn write_digits(mut number: u64, digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Connection {
    /// Sends what is left of the batch, as far as the socket takes it.
    fn send(&mut self) -> Result<(), Failure> {
        while self.sent < self.batch.len() {
            match self.stream.write(&self.batch[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io("sending requests")(error)),
            }
        }
        Ok(())
    }
}

/// xorshift64*: quick, and random enough to spread keys over a table.
pub struct Random(u64);

impl Random {
    /// `seed` must not be zero.
    pub fn new(seed: u64) -> Random {
        Random(seed.max(1))
    }

    /// A number from 0 to `bound`, exclusive. The bias of the multiplication is below 2⁻³² for our bounds.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        (drawn * bound) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server that answers every request of three or five lines (GET, SET) with what `reply` says.
    fn serve(lines_per_request: usize, reply: &'static [u8]) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let mut writer = stream.try_clone().unwrap();
                    let mut lines = BufReader::new(stream).lines();
                    while lines.by_ref().take(lines_per_request).filter_map(Result::ok).count()
                        == lines_per_request
                    {
                        if writer.write_all(reply).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        port
    }

    fn load(verb: Verb, pipeline: usize) -> Load {
        Load { verb, pipeline, connections: 3, value_bytes: 8, keys: 1000 }
    }

    fn run_briefly(load: &Load, port: u16) -> Result<Measured, Failure> {
        let pid = Some(std::process::id());
        run(load, port, pid, Duration::from_millis(10), Duration::from_millis(50))
    }

    #[test]
    fn replies_are_counted_against_a_plain_server() {
        let measured = run_briefly(&load(Verb::Get, 7), serve(5, b"$8\r\nxxxxxxxx\r\n")).unwrap();
        assert!(measured.requests > 0);
        assert!(measured.cpu_us_per_request.is_some());
        let measured = run_briefly(&load(Verb::Set, 1), serve(7, b"+OK\r\n")).unwrap();
        assert!(measured.requests > 0);
    }

    #[test]
    fn errors_and_missing_values_end_the_run() {
        assert!(run_briefly(&load(Verb::Get, 2), serve(5, b"-ERR no\r\n")).is_err());
        assert!(run_briefly(&load(Verb::Get, 2), serve(5, b"$-1\r\n")).is_err());
        assert!(run_briefly(&load(Verb::Get, 2), serve(5, b"+OK\r\n+OK\r\n+OK\r\n")).is_err());
    }

    #[test]
    fn a_batch_changes_only_in_the_digits_of_its_keys() {
        let Requests { mut batch, digits_at, .. } = Requests::of_load(&load(Verb::Set, 2));
        assert_eq!(digits_at.len(), 2);
        write_digits(42, &mut batch[digits_at[1]..][..BENCHMARK_KEY_DIGITS]);
        let mut expected = Vec::new();
        encode_command(&mut expected, &[b"SET", b"key:000000000000", b"xxxxxxxx"]);
        encode_command(&mut expected, &[b"SET", b"key:000000000042", b"xxxxxxxx"]);
        assert_eq!(batch, expected);
    }

    #[test]
    fn numbers_go_where_the_words_say() {
        let Requests { mut batch, digits_at, .. } =
            Requests::of_words(&[b"ZADD", b"z", b"#", b"m:#:x"], 1, 10);
        assert_eq!(digits_at.len(), 2);
        for at in digits_at {
            write_digits(7, &mut batch[at..][..BENCHMARK_KEY_DIGITS]);
        }
        let mut expected = Vec::new();
        encode_command(&mut expected, &[b"ZADD", b"z", b"000000000007", b"m:000000000007:x"]);
        assert_eq!(batch, expected);
    }

    #[test]
    fn random_numbers_stay_below_their_bound_and_reach_all_of_a_small_one() {
        let mut random = Random::new(7);
        let mut seen = [false; 10];
        for _ in 0..1000 {
            seen[random.below(10) as usize] = true;
        }
        assert!(seen.iter().all(|seen| *seen));
    }
}
