//! The ring over real sockets on loopback. Everything waits for events, nothing for time.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use glommio::{LocalExecutorBuilder, Placement};
use ringfort_net::listen::{listen_tcp, listen_unix, local_address};
use ringfort_net::{ConnectionSlot, EndReason, Event, Parker, Ring, RingOptions, Token, Waker};

const SMALL: RingOptions =
    RingOptions { entries: 64, buffers: 16, buffer_bytes: 512, zero_copy_bytes_min: 0 };

/// An echo server on the test's own thread.
struct Echo {
    ring: Ring,
    connections: HashMap<Token, Connection>,
    next_token: u64,
    received_bytes: usize,
    ended: Vec<(Token, EndReason)>,
    echo: bool,
}

struct Connection {
    slot: ConnectionSlot,
    output: Vec<u8>,
    sending: bool,
    ended: bool,
}

impl Echo {
    fn new(options: RingOptions) -> Echo {
        Echo {
            ring: Ring::new(options).unwrap(),
            connections: HashMap::new(),
            next_token: 0,
            received_bytes: 0,
            ended: Vec::new(),
            echo: true,
        }
    }

    fn listen(&mut self) -> String {
        let socket = listen_tcp("127.0.0.1", 0, 1024).unwrap();
        let address = local_address(socket.as_raw_fd());
        self.ring.listen(7, socket);
        address
    }

    fn attach(&mut self, socket: OwnedFd) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        let slot = self.ring.attach(token, socket);
        self.connections
            .insert(token, Connection { slot, output: Vec::new(), sending: false, ended: false });
        token
    }

    /// A connected pair: our end attached, the other end for the test.
    fn pair(&mut self) -> (Token, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (self.attach(ours.into()), theirs)
    }

    fn round(&mut self) {
        self.ring.round_waiting().unwrap();
        while let Some(event) = self.ring.next_event() {
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Accepted { listener, socket } => {
                assert_eq!(listener, 7);
                self.attach(socket);
            }
            Event::AcceptFailed { .. } => {}
            Event::Received { token, buffer } => {
                self.received_bytes += buffer.len();
                let connection = self.connections.get_mut(&token).expect("a live token");
                assert!(!connection.ended);
                if self.echo {
                    connection.output.extend_from_slice(&buffer);
                    drop(buffer);
                    self.send(token);
                }
            }
            Event::Ended { token, reason } => {
                let connection = self.connections.get_mut(&token).expect("a live token");
                assert!(!std::mem::replace(&mut connection.ended, true), "ended twice");
                self.ended.push((token, reason));
                if !connection.sending {
                    self.close(token);
                }
            }
            Event::PiecesSent { .. } => unreachable!("only buffers are sent here"),
            Event::Sent { token, result, .. } => {
                let connection = self.connections.get_mut(&token).expect("a live token");
                connection.sending = false;
                if result.is_err() || (connection.ended && connection.output.is_empty()) {
                    self.close(token);
                } else {
                    self.send(token);
                }
            }
        }
    }

    fn send(&mut self, token: Token) {
        let connection = self.connections.get_mut(&token).unwrap();
        if !connection.sending && !connection.output.is_empty() {
            connection.sending = true;
            self.ring.send(connection.slot, std::mem::take(&mut connection.output));
        }
    }

    fn close(&mut self, token: Token) {
        let connection = self.connections.remove(&token).unwrap();
        self.ring.close(connection.slot);
    }

    fn slot(&self, token: Token) -> ConnectionSlot {
        self.connections[&token].slot
    }
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// Sends and checks the echo from a thread of its own; the server runs until its connections are gone.
fn echo_through(mut stream: impl Read + Write + Send + 'static, bytes: usize) -> impl FnOnce() {
    let thread = std::thread::spawn(move || {
        let sent = pattern(bytes);
        for piece in sent.chunks(10_000) {
            stream.write_all(piece).unwrap();
            let mut echoed = vec![0; piece.len()];
            stream.read_exact(&mut echoed).unwrap();
            assert!(echoed == piece);
        }
    });
    move || thread.join().unwrap()
}

#[test]
fn echoes_frames_larger_than_its_buffers_over_tcp() {
    let mut server = Echo::new(SMALL);
    let address = server.listen();
    let join = echo_through(TcpStream::connect(address).unwrap(), 300_000);
    while server.ended.is_empty() {
        server.round();
    }
    join();
    assert_eq!(server.received_bytes, 300_000);
    assert_eq!(server.ended, [(Token(0), EndReason::Eof)]);
}

#[test]
fn echoes_over_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("ringfort-ring-{}", std::process::id()));
    let mut server = Echo::new(SMALL);
    server.ring.listen(7, listen_unix(&path, 0, 16).unwrap());
    let join = echo_through(UnixStream::connect(&path).unwrap(), 100_000);
    while server.ended.is_empty() {
        server.round();
    }
    join();
    std::fs::remove_file(&path).unwrap();
}

/// More connections than buffers, submission entries, and completions of one batch.
#[test]
fn serves_a_thousand_connections() {
    const CONNECTIONS: usize = 1000;
    let mut server = Echo::new(SMALL);
    let address = server.listen();
    let clients = std::thread::spawn(move || {
        let mut streams: Vec<_> =
            (0..CONNECTIONS).map(|_| TcpStream::connect(&address).unwrap()).collect();
        for _ in 0..3 {
            for (number, stream) in streams.iter_mut().enumerate() {
                write!(stream, "hello from {number:05}").unwrap();
            }
            for (number, stream) in streams.iter_mut().enumerate() {
                let mut echoed = [0; 16];
                stream.read_exact(&mut echoed).unwrap();
                assert_eq!(echoed, format!("hello from {number:05}").as_bytes());
            }
        }
    });
    while server.ended.len() < CONNECTIONS {
        server.round();
    }
    clients.join().unwrap();
    assert_eq!(server.received_bytes, CONNECTIONS * 3 * 16);
}

#[test]
fn reset_connection_ends_once_with_its_errno() {
    let mut server = Echo::new(SMALL);
    let address = server.listen();
    let stream = TcpStream::connect(address).unwrap();
    while server.connections.is_empty() {
        server.round();
    }
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    while server.ended.is_empty() {
        server.round();
    }
    assert_eq!(server.ended, [(Token(0), EndReason::Errno(libc::ECONNRESET))]);
}

#[test]
fn exhausted_buffers_delay_but_lose_nothing() {
    let mut server = Echo::new(RingOptions {
        entries: 64,
        buffers: 2,
        buffer_bytes: 64,
        zero_copy_bytes_min: 0,
    });
    let (_, mut one) = server.pair();
    let (_, mut two) = server.pair();
    one.write_all(&pattern(5000)).unwrap();
    two.write_all(&pattern(3000)).unwrap();
    // Hold every buffer while more arrives: receiving stops, then goes on.
    let mut held = Vec::new();
    while held.len() < 2 {
        server.ring.round_waiting().unwrap();
        while let Some(event) = server.ring.next_event() {
            if let Event::Received { token, buffer } = event {
                held.push((token, buffer));
            }
        }
    }
    for _ in 0..3 {
        server.ring.round().unwrap();
        assert!(server.ring.next_event().is_none(), "no buffer is free");
    }
    for (token, buffer) in held {
        server.handle(Event::Received { token, buffer });
    }
    while server.received_bytes < 8000 {
        server.round();
    }
    while server.connections.values().any(|c| c.sending || !c.output.is_empty()) {
        server.round();
    }
    for (stream, bytes) in [(&mut one, 5000), (&mut two, 3000)] {
        let mut echoed = vec![0; bytes];
        stream.read_exact(&mut echoed).unwrap();
        assert!(echoed == pattern(bytes));
    }
}

#[test]
fn paused_connection_receives_nothing_until_resumed() {
    let mut server = Echo::new(SMALL);
    let (token, mut peer) = server.pair();
    let (other, mut other_peer) = server.pair();
    peer.write_all(b"one").unwrap();
    while server.received_bytes < 3 {
        server.round();
    }
    server.ring.pause(server.slot(token));
    // Resumed before the cancellation is through, and paused again.
    server.ring.resume(server.slot(token));
    server.ring.pause(server.slot(token));
    server.ring.round().unwrap();
    while server.ring.next_event().is_some() {}
    peer.write_all(b"two").unwrap();
    // A full round trip of another connection shows that rounds go on without it.
    other_peer.write_all(b"other").unwrap();
    while server.received_bytes < 8 {
        server.round();
    }
    assert_eq!(server.received_bytes, 8);
    server.ring.resume(server.slot(token));
    while server.received_bytes < 11 {
        server.round();
    }
    server.close(other);
    // Pause and resume without a round between go unnoticed.
    server.ring.pause(server.slot(token));
    server.ring.resume(server.slot(token));
    peer.write_all(b"three").unwrap();
    while server.received_bytes < 16 {
        server.round();
    }
}

#[test]
fn reader_that_never_reads_holds_up_nobody_and_can_be_closed() {
    let mut server = Echo::new(SMALL);
    let (stuck, stuck_peer) = server.pair();
    server.ring.send(server.slot(stuck), pattern(64 << 20));
    let (_, mut peer) = server.pair();
    peer.write_all(b"ping").unwrap();
    while server.received_bytes < 4 {
        server.round();
    }
    let mut echoed = [0; 4];
    server.ring.round().unwrap();
    peer.read_exact(&mut echoed).unwrap();
    let slot = server.slot(stuck);
    assert!(server.ring.is_sending(slot));
    server.close(stuck);
    assert_eq!(server.ring.fd_of(slot), None);
    while server.ring.attached() > 1 {
        server.round();
    }
    // Everything after the close is without effect on whoever has the index now.
    let (token, mut heir) = server.pair();
    server.ring.send(slot, b"stale".to_vec());
    server.ring.pause(slot);
    server.ring.close(slot);
    heir.write_all(b"heir").unwrap();
    while server.received_bytes < 8 {
        server.round();
    }
    heir.shutdown(Shutdown::Write).unwrap();
    while server.connections.contains_key(&token) || server.ring.attached() > 1 {
        server.round();
    }
    let mut all = Vec::new();
    heir.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"heir");
    drop(stuck_peer);
}

#[test]
fn closed_connection_gives_no_more_events_even_with_completions_waiting() {
    let mut server = Echo::new(SMALL);
    let (token, mut peer) = server.pair();
    peer.write_all(&pattern(2000)).unwrap();
    // Several completions of the connection are in hand; the first one closes it.
    let mut events = 0;
    while events == 0 {
        server.ring.round_waiting().unwrap();
        while let Some(event) = server.ring.next_event() {
            events += 1;
            assert!(matches!(event, Event::Received { .. }));
            drop(event);
            let slot = server.slot(token);
            server.ring.close(slot);
        }
    }
    assert_eq!(events, 1);
    while server.ring.attached() > 0 {
        server.ring.round_waiting().unwrap();
        assert!(server.ring.next_event().is_none());
    }
    let mut rest = Vec::new();
    let _ = peer.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn large_send_arrives_whole_while_the_peer_reads_slowly() {
    let mut server = Echo::new(SMALL);
    let (token, mut peer) = server.pair();
    let bytes = 8 << 20;
    server.ring.send(server.slot(token), pattern(bytes));
    let reader = std::thread::spawn(move || {
        let mut all = vec![0; bytes];
        for piece in all.chunks_mut(1009) {
            peer.read_exact(piece).unwrap();
        }
        all
    });
    while server.ring.is_sending(server.slot(token)) {
        server.ring.round_waiting().unwrap();
        while let Some(event) = server.ring.next_event() {
            match event {
                Event::Sent { buffer, result, .. } => {
                    result.unwrap();
                    assert_eq!(buffer.len(), bytes);
                }
                Event::Ended { .. } => {}
                event => panic!("{event:?}"),
            }
        }
    }
    assert!(reader.join().unwrap() == pattern(bytes));
}

#[test]
fn send_to_a_closed_peer_fails_and_gives_the_buffer_back() {
    let mut server = Echo::new(SMALL);
    let (token, peer) = server.pair();
    drop(peer);
    server.ring.send(server.slot(token), b"anyone?".to_vec());
    let mut failed = false;
    while !failed {
        server.ring.round_waiting().unwrap();
        while let Some(event) = server.ring.next_event() {
            if let Event::Sent { buffer, result, .. } = event {
                assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EPIPE));
                assert_eq!(buffer, b"anyone?");
                failed = true;
            }
        }
    }
}

#[test]
fn non_blocking_sockets_are_taken_too() {
    let mut server = Echo::new(SMALL);
    let (ours, mut peer) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    server.attach(ours.into());
    server.ring.round().unwrap();
    peer.write_all(b"hello").unwrap();
    while server.received_bytes < 5 {
        server.round();
    }
    assert!(server.ended.is_empty());
}

#[test]
fn unlistened_port_refuses_connections() {
    let mut server = Echo::new(SMALL);
    let address = server.listen();
    let _kept = TcpStream::connect(&address).unwrap();
    while server.connections.is_empty() {
        server.round();
    }
    server.ring.unlisten_all();
    while TcpStream::connect(&address).is_ok() {
        server.ring.round().unwrap();
        while server.ring.next_event().is_some() {}
    }
    assert_eq!(server.ring.attached(), 1);
}

#[test]
fn dropped_ring_closes_its_connections_at_once() {
    let mut server = Echo::new(SMALL);
    let (token, mut peer) = server.pair();
    server.ring.send(server.slot(token), pattern(16 << 20));
    server.ring.round().unwrap();
    drop(server);
    // What the kernel had taken is readable, then the end.
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 16 << 20 && rest == pattern(16 << 20)[..rest.len()]);
}

#[test]
fn has_work_tells_of_queued_and_of_arrived_work() {
    let mut server = Echo::new(SMALL);
    let (_, mut peer) = server.pair();
    assert!(server.ring.has_work(), "an armed receive is to be submitted");
    server.ring.round().unwrap();
    assert!(server.ring.next_event().is_none());
    assert!(!server.ring.has_work());
    peer.write_all(b"hello").unwrap();
    assert!(server.ring.has_work(), "bytes arrived");
    server.round();
    assert_eq!(server.received_bytes, 5);
}

#[test]
fn waiting_ends_with_time_with_bytes_and_with_a_wake() {
    let mut server = Echo::new(SMALL);
    let waker = Waker::new().unwrap();
    server.ring.set_waker(&waker);
    let (_, mut peer) = server.pair();
    assert!(!server.ring.wait(1, || false).unwrap(), "nothing came");
    assert!(server.ring.wait(u32::MAX, || true).unwrap(), "there is work already");
    peer.write_all(b"hello").unwrap();
    assert!(server.ring.wait(u32::MAX, || false).unwrap());
    while let Some(event) = server.ring.next_event() {
        server.handle(event);
    }
    assert_eq!(server.received_bytes, 5);
    while server.connections.values().any(|c| c.sending) {
        server.round();
    }
    // Wakes come from another thread, each after the last one was seen.
    const WAKES: u32 = 1000;
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::new(AtomicU32::new(0));
    let (their_asked, their_seen) = (asked.clone(), seen.clone());
    let thread = std::thread::spawn(move || {
        for wake in 1..=WAKES {
            their_asked.store(wake, Ordering::Release);
            waker.wake();
            while their_seen.load(Ordering::Acquire) < wake {
                std::thread::yield_now();
            }
        }
    });
    let mut last = 0;
    while last < WAKES {
        server.ring.wait(u32::MAX, || asked.load(Ordering::Acquire) > last).unwrap();
        assert!(server.ring.next_event().is_none());
        last = asked.load(Ordering::Acquire);
        seen.store(last, Ordering::Release);
    }
    thread.join().unwrap();
}

/// An executor that parks at every opportunity, woken in turn by a client and by another thread.
#[test]
fn parked_executor_wakes_for_bytes_and_for_wakers() {
    const ROUND_TRIPS: u32 = 500;
    let (ours, mut peer) = UnixStream::pair().unwrap();
    let waker = Waker::new().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let seen = Arc::new(AtomicU32::new(0));
    let (their_waker, their_asked, their_seen) = (waker.clone(), asked.clone(), seen.clone());
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .io_memory(64 * 1024)
        .spawn(move || async move {
            let mut server = Echo::new(SMALL);
            let parker = Parker::new(&mut server.ring, &their_waker).unwrap();
            server.attach(ours.into());
            while server.ended.is_empty() {
                server.ring.round().unwrap();
                while let Some(event) = server.ring.next_event() {
                    server.handle(event);
                }
                let last = their_asked.load(Ordering::Acquire);
                their_seen.store(last, Ordering::Release);
                if server.ended.is_empty() {
                    parker
                        .park(&mut server.ring, |_| their_asked.load(Ordering::Acquire) > last)
                        .await
                        .unwrap();
                }
            }
        })
        .unwrap();
    for trip in 1..=ROUND_TRIPS {
        peer.write_all(b"ping").unwrap();
        let mut echoed = [0; 4];
        peer.read_exact(&mut echoed).unwrap();
        asked.store(trip, Ordering::Release);
        waker.wake();
        while seen.load(Ordering::Acquire) < trip {
            std::thread::yield_now();
        }
    }
    drop(peer);
    executor.join().unwrap();
}
