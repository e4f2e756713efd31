//! From which size does it pay to send values from where they lie?
//!
//! Sends cold values, each behind a small header of its own, over loopback to a thread that only reads: copied into one
//! buffer of 64 KiB after another ([`Ring::send`]), or as lists of pairs of pieces ([`Ring::send_pieces`]). Prints, for
//! each value size, the throughput and the sending thread's CPU time per value (median of the repetitions, all ways in
//! turn), and the share of the copying way's CPU time that pieces take.
//!
//! ```text
//! cargo run --release -p ringfort-net --example gather -- 256 7
//! ```
//!
//! Arguments: MiB of values to walk through (more than the cache holds), repetitions.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ringfort_net::{ConnectionSlot, Event, Ring, RingOptions, Token};

const SIZES: [usize; 9] = [64, 256, 512, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 64 << 10];
const HEADER: &[u8] = b"key:00000001";
const BUFFER_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug)]
enum Way {
    Copied,
    /// At most so many pairs, and so many bytes of values, per list.
    Pieces(usize, usize),
}

const WAYS: [Way; 5] = [
    Way::Copied,
    Way::Pieces(64, 256 << 10),
    Way::Pieces(64, usize::MAX),
    Way::Pieces(512, 256 << 10),
    Way::Pieces(512, usize::MAX),
];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse::<usize>().expect("numbers"));
    let total = arguments.next().unwrap_or(256) << 20;
    let repetitions = arguments.next().unwrap_or(7);
    print!("| value");
    for way in WAYS {
        match way {
            Way::Copied => print!(" | copied | CPU/value"),
            Way::Pieces(pairs, usize::MAX) => print!(" | {pairs} pairs | CPU/value | share"),
            Way::Pieces(pairs, bytes) => {
                print!(" | {pairs} pairs, {} KiB | CPU/value | share", bytes >> 10)
            }
        }
    }
    println!(" |\n|{}", " --- |".repeat(3 * WAYS.len()));
    for size in SIZES {
        let values: Vec<Bytes> = (0..total.min(size << 20) / size)
            .map(|number| Bytes::from(vec![number as u8; size]))
            .collect();
        let mut runs = WAYS.map(|_| Vec::new());
        for _ in 0..repetitions {
            for (way, runs) in WAYS.iter().zip(&mut runs) {
                runs.push(run(*way, &values));
            }
        }
        print!("| {size}");
        let mut copied_ns = 0.0;
        for (way, runs) in WAYS.iter().zip(&mut runs) {
            let wall = median(runs, |run| run.0);
            let cpu = median(runs, |run| run.1);
            let bytes = (size + HEADER.len()) * values.len();
            let ns = cpu.as_nanos() as f64 / values.len() as f64;
            print!(" | {:.2} GB/s | {:.2} us", bytes as f64 / wall.as_nanos() as f64, ns / 1000.0);
            match way {
                Way::Copied => copied_ns = ns,
                Way::Pieces(..) => print!(" | {:.0} %", ns / copied_ns * 100.0),
            }
        }
        println!(" |");
    }
}

fn median(
    runs: &mut [(Duration, Duration)],
    what: impl Fn(&(Duration, Duration)) -> Duration,
) -> Duration {
    runs.sort_by_key(&what);
    what(&runs[runs.len() / 2])
}

/// Wall-clock and CPU time of sending all values.
fn run(way: Way, values: &[Bytes]) -> (Duration, Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let (mut peer, _) = listener.accept().expect("accepted");
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        let mut read = 0;
        loop {
            match peer.read(&mut buffer).expect("readable") {
                0 => return read,
                bytes => read += bytes,
            }
        }
    });
    let options = RingOptions { zero_copy_bytes_min: 0, ..RingOptions::default() };
    let mut ring = Ring::new(options).expect("a ring");
    let slot = ring.attach(Token(0), stream.into());

    let (wall, cpu) = (Instant::now(), thread_cpu_time());
    match way {
        Way::Copied => send_copied(&mut ring, slot, values),
        Way::Pieces(pairs, bytes_max) => {
            let size = values.first().map_or(1, Bytes::len);
            send_pieces(&mut ring, slot, values, pairs.min(bytes_max / size));
        }
    }
    let cpu = thread_cpu_time() - cpu;
    ring.close(slot);
    drop(ring);
    let expected: usize = values.iter().map(|value| value.len() + HEADER.len()).sum();
    assert_eq!(reader.join().expect("no panic"), expected);
    (wall.elapsed(), cpu)
}

fn send_copied(ring: &mut Ring, slot: ConnectionSlot, values: &[Bytes]) {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    for value in values {
        for part in [HEADER, value] {
            let mut part = part;
            while !part.is_empty() {
                let fits = part.len().min(BUFFER_BYTES - buffer.len());
                buffer.extend_from_slice(&part[..fits]);
                part = &part[fits..];
                if buffer.len() == BUFFER_BYTES {
                    ring.send(slot, buffer);
                    buffer = sent(ring);
                    buffer.clear();
                }
            }
        }
    }
    ring.send(slot, buffer);
    sent(ring);
}

fn send_pieces(ring: &mut Ring, slot: ConnectionSlot, values: &[Bytes], pairs: usize) {
    for values in values.chunks(pairs) {
        // Headers are made as one and cut, as an encoder would.
        let mut headers = Vec::with_capacity(HEADER.len() * values.len());
        for _ in values {
            headers.extend_from_slice(HEADER);
        }
        let mut headers = Bytes::from(headers);
        let mut pieces = Vec::with_capacity(values.len() * 2);
        for value in values {
            pieces.push(headers.split_to(HEADER.len()));
            pieces.push(value.clone());
        }
        ring.send_pieces(slot, pieces);
        sent(ring);
    }
}

/// Waits for the send; gives its buffer back, if it was of one.
fn sent(ring: &mut Ring) -> Vec<u8> {
    loop {
        match ring.next_event() {
            Some(Event::Sent { result, buffer, .. }) => {
                result.expect("sent");
                return buffer;
            }
            Some(Event::PiecesSent { result, .. }) => {
                result.expect("sent");
                return Vec::new();
            }
            Some(other) => panic!("{other:?}"),
            None => {
                ring.round_waiting().expect("the ring works");
            }
        }
    }
}

fn thread_cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
