//! Sending lists of pieces over real sockets on loopback. Everything waits for events, nothing for time.

use std::io::Read;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use ringfort_net::listen::{listen_tcp, local_address};
use ringfort_net::{ConnectionSlot, Event, Ring, RingOptions, Token};

const COPYING: RingOptions =
    RingOptions { entries: 64, buffers: 16, buffer_bytes: 512, zero_copy_bytes_min: 0 };
const ZERO_COPY: RingOptions = RingOptions { zero_copy_bytes_min: 4096, ..COPYING };

/// Memory that counts those of its kind that live.
struct Counted {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // A piece read after this shows in what the reader compares.
        self.bytes.fill(0xee);
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes pieces of one endless pattern.
#[derive(Default)]
struct Source {
    alive: Arc<AtomicUsize>,
    made_bytes: usize,
}

impl Source {
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let from = self.made_bytes;
        self.made_bytes += length;
        (from..from + length).map(pattern).collect()
    }

    fn pieces(&mut self, lengths: impl IntoIterator<Item = usize>) -> Vec<Bytes> {
        lengths
            .into_iter()
            .map(|length| {
                self.alive.fetch_add(1, Ordering::Relaxed);
                let bytes = self.bytes(length);
                Bytes::from_owner(Counted { bytes, alive: self.alive.clone() })
            })
            .collect()
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }
}

fn pattern(at: usize) -> u8 {
    (at * 31 + at / 251) as u8
}

/// Reads to the end in portions of `portion` bytes and compares with the pattern; gives the number of bytes.
fn read_pattern(mut stream: impl Read + Send + 'static, portion: usize) -> JoinHandle<usize> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; portion];
        let mut read = 0;
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return read,
                Ok(bytes) => {
                    let wrong = (0..bytes).find(|at| buffer[*at] != pattern(read + at));
                    assert_eq!(wrong, None, "after {read} bytes");
                    read += bytes;
                }
                Err(error) => panic!("{error} after {read} bytes"),
            }
        }
    })
}

struct Sender {
    ring: Ring,
    slot: ConnectionSlot,
    source: Source,
}

const TOKEN: Token = Token(3);

impl Sender {
    /// Over TCP.
    fn connected(options: RingOptions) -> (Sender, TcpStream) {
        let mut ring = Ring::new(options).unwrap();
        let listener = listen_tcp("127.0.0.1", 0, 16).unwrap();
        let address = local_address(listener.as_raw_fd());
        ring.listen(0, listener);
        let peer = TcpStream::connect(address).unwrap();
        let socket = loop {
            ring.round_waiting().unwrap();
            if let Some(Event::Accepted { socket, .. }) = ring.next_event() {
                break socket;
            }
        };
        let slot = ring.attach(TOKEN, socket);
        (Sender { ring, slot, source: Source::default() }, peer)
    }

    fn pair(options: RingOptions) -> (Sender, UnixStream) {
        let mut ring = Ring::new(options).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let slot = ring.attach(TOKEN, ours.into());
        (Sender { ring, slot, source: Source::default() }, theirs)
    }

    fn next_event(&mut self) -> Event {
        loop {
            if let Some(event) = self.ring.next_event() {
                return event;
            }
            self.ring.round_waiting().unwrap();
        }
    }

    fn start(&mut self, lengths: impl IntoIterator<Item = usize>) {
        let pieces = self.source.pieces(lengths);
        self.ring.send_pieces(self.slot, pieces);
        assert!(self.ring.is_sending(self.slot));
    }

    fn finish(&mut self) {
        match self.next_event() {
            Event::PiecesSent { token: TOKEN, result: Ok(()) } => {}
            other => panic!("{other:?}"),
        }
        assert!(!self.ring.is_sending(self.slot));
        assert_eq!(self.source.alive(), 0, "pieces outlive their event");
    }

    fn send(&mut self, lengths: impl IntoIterator<Item = usize>) {
        self.start(lengths);
        self.finish();
    }

    fn close(&mut self) {
        self.ring.close(self.slot);
    }

    fn close_and_wait(&mut self) {
        self.close();
        while self.ring.attached() > 0 {
            self.ring.round_waiting().unwrap();
            if let Some(event) = self.ring.next_event() {
                panic!("{event:?} after closing");
            }
        }
    }
}

#[test]
fn sends_more_pieces_than_one_operation_takes() {
    let (mut sender, peer) = Sender::connected(COPYING);
    let reader = read_pattern(peer, 1 << 16);
    sender.send((0..5000).map(|number| number % 7));
    sender.send((0..1024).map(|_| 1));
    sender.send((0..1025).map(|_| 1));
    sender.close_and_wait();
    assert_eq!(reader.join().unwrap(), sender.source.made_bytes);
    assert_eq!(sender.ring.copied_bytes(), sender.source.made_bytes as u64);
    assert_eq!(sender.ring.zero_copied_bytes(), 0);
}

#[test]
fn sends_large_pieces_to_a_slow_reader() {
    for options in [COPYING, ZERO_COPY] {
        let (mut sender, peer) = Sender::connected(options);
        // Small portions: the socket is full most of the time.
        let reader = read_pattern(peer, 1000);
        sender.send([3_000_000, 1, 0, 70_000, 2_000_000]);
        sender.send([1_000_000]);
        sender.close_and_wait();
        assert_eq!(reader.join().unwrap(), 6_070_001);
    }
}

#[test]
fn order_is_kept_between_buffers_and_pieces() {
    let (mut sender, peer) = Sender::connected(COPYING);
    let reader = read_pattern(peer, 1 << 16);
    for round in 0..200 {
        sender.send([round, 100_000 / (round + 1), 3]);
        let buffer = sender.source.bytes(round * 50);
        sender.ring.send(sender.slot, buffer);
        assert!(sender.ring.is_sending(sender.slot));
        match sender.next_event() {
            Event::Sent { result: Ok(()), .. } => {}
            other => panic!("{other:?}"),
        }
    }
    sender.close_and_wait();
    assert_eq!(reader.join().unwrap(), sender.source.made_bytes);
}

#[test]
fn nothing_to_send_completes_too() {
    for options in [COPYING, ZERO_COPY] {
        let (mut sender, peer) = Sender::connected(options);
        sender.send([]);
        sender.send([0, 0]);
        sender.send([5]);
        let reader = read_pattern(peer, 100);
        sender.close_and_wait();
        assert_eq!(reader.join().unwrap(), 5);
    }
}

#[test]
#[should_panic(expected = "one send per connection")]
fn second_send_of_the_other_kind_is_refused() {
    let (mut sender, _peer) = Sender::pair(COPYING);
    sender.start([10]);
    sender.ring.send(sender.slot, Vec::new());
}

#[test]
fn closing_cuts_off_and_frees_the_pieces() {
    let (mut sender, _peer) = Sender::connected(COPYING);
    sender.start((0..2000).map(|_| 10_000));
    sender.ring.round().unwrap();
    assert!(sender.ring.next_event().is_none(), "the peer does not read");
    sender.close_and_wait();
    assert_eq!(sender.source.alive(), 0);

    // Before the kernel has heard of it, and by dropping the ring.
    let (mut sender, _peer) = Sender::connected(COPYING);
    sender.start([1 << 20; 10]);
    sender.close_and_wait();
    assert_eq!(sender.source.alive(), 0);
    let (mut sender, _peer) = Sender::connected(ZERO_COPY);
    sender.start([1 << 20; 10]);
    sender.ring.round().unwrap();
    let source = sender.source;
    drop(sender.ring);
    assert_eq!(source.alive(), 0);
}

/// What the socket has taken without a copy stays ours until the peer acknowledged it, and this one never does:
/// closing must throw it away rather than wait.
#[test]
fn closing_frees_zero_copy_pieces_that_nobody_acknowledges() {
    let (mut sender, peer) = Sender::connected(ZERO_COPY);
    // The send buffer takes it all, the peer's window does not.
    socket2::SockRef::from(&peer).set_recv_buffer_size(4096).unwrap();
    let fd = sender.ring.fd_of(sender.slot).unwrap();
    // SAFETY: open until the connection is closed, at the end of this test.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
    socket2::SockRef::from(&socket).set_send_buffer_size(8 << 20).unwrap();
    sender.start([100_000; 2]);
    for _ in 0..3 {
        sender.ring.round().unwrap();
        assert!(sender.ring.next_event().is_none(), "the notification is still to come");
    }
    sender.close_and_wait();
    assert_eq!(sender.source.alive(), 0);
    drop(peer);
}

/// Loopback always copies and says so; from then on the connection copies at once, and others do not.
#[test]
fn zero_copy_ends_where_the_kernel_copies_all_the_same() {
    let (mut sender, peer) = Sender::connected(ZERO_COPY);
    let reader = read_pattern(peer, 1 << 16);
    sender.send([4096, 4096]);
    let tried = sender.ring.zero_copied_bytes() + sender.ring.copied_bytes();
    assert_eq!(tried, 8192);
    assert_eq!(sender.ring.zero_copied_bytes(), 0, "loopback copies");
    for _ in 0..50 {
        sender.send([10_000; 30]);
    }
    sender.close_and_wait();
    assert_eq!(reader.join().unwrap(), sender.source.made_bytes);
    assert_eq!(sender.ring.copied_bytes(), sender.source.made_bytes as u64);
}

/// Unix sockets refuse zero copy.
#[test]
fn refused_zero_copy_falls_back() {
    let (mut sender, peer) = Sender::pair(ZERO_COPY);
    let reader = read_pattern(peer, 1 << 16);
    for _ in 0..3 {
        sender.send([100_000; 5]);
    }
    sender.close_and_wait();
    assert_eq!(reader.join().unwrap(), 1_500_000);
    assert_eq!(sender.ring.copied_bytes(), 1_500_000);
}

#[test]
fn broken_connection_ends_the_send_with_an_error() {
    let (mut sender, peer) = Sender::connected(COPYING);
    sender.start([1 << 20; 30]);
    sender.ring.round().unwrap();
    socket2::SockRef::from(&peer).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(peer);
    loop {
        match sender.next_event() {
            Event::Ended { .. } => {}
            Event::PiecesSent { result, .. } => {
                assert!(result.is_err());
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(sender.source.alive(), 0);
    assert!(!sender.ring.is_sending(sender.slot));
}
