//! The floor of a node: answers `+PONG` to every request without looking at it, on one pinned core.
//!
//! What it costs per request is what sockets and loop cost; a node's commands come on top. Run pinned, load it
//! with `redis-benchmark -t ping_mbulk`, and divide the process's CPU time by the requests:
//!
//! ```text
//! taskset -c 0 target/release/examples/pong 7000 50 &
//! taskset -c 1 redis-benchmark -p 7000 -t ping_mbulk -c 50 -P 16 -n 10000000
//! ```
//!
//! Arguments: port, microseconds to spin (0: none), microseconds to wait in the ring, receive buffers, bytes of each.

use std::collections::HashSet;

use ringfort_net::cpu::{CoreOptions, check_system, spawn_cores};
use ringfort_net::listen::{configure_connection, listen_tcp};
use ringfort_net::{ConnectionSlot, Event, Parker, Ring, RingOptions, Spin, Token, Waker};
use std::os::fd::AsRawFd;

const REPLY: &[u8] = b"+PONG\r\n";

struct Connection {
    slot: ConnectionSlot,
    output: Vec<u8>,
    spare: Vec<u8>,
    sending: bool,
    queued: bool,
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|a| a.parse().expect("numbers"));
    let port: u32 = arguments.next().expect("a port");
    let spin_us = arguments.next().unwrap_or(50);
    let wait_us = arguments.next().unwrap_or(1000);
    let defaults = RingOptions::default();
    let options = RingOptions {
        buffers: arguments.next().unwrap_or(u32::from(defaults.buffers)) as u16,
        buffer_bytes: arguments.next().unwrap_or(defaults.buffer_bytes),
        ..defaults
    };
    check_system().unwrap_or_else(|error| fail(&error));
    let start = move || serve(port as u16, u64::from(spin_us), wait_us, options);
    for result in spawn_cores(&CoreOptions::default(), vec![start])
        .unwrap_or_else(|error| fail(&error))
        .join()
    {
        result.unwrap_or_else(|error| fail(&error));
    }
}

fn fail(error: &dyn std::error::Error) -> ! {
    eprintln!("{error}");
    std::process::exit(1)
}

async fn serve(port: u16, spin_us: u64, wait_us: u32, options: RingOptions) {
    let mut ring = Ring::new(options).unwrap_or_else(|error| fail(&error));
    let waker = Waker::new().expect("an eventfd");
    let parker = Parker::new(&mut ring, &waker).expect("an eventfd");
    let mut spin = Spin::new(spin_us);
    ring.listen(0, listen_tcp("127.0.0.1", port, 511).unwrap_or_else(|error| fail(&error)));
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut closed = HashSet::new();
    // Connections that have something to send.
    let mut speaking: Vec<usize> = Vec::new();
    let mut rounds = 0u64;
    loop {
        ring.round().expect("a working ring");
        while let Some(event) = ring.next_event() {
            match event {
                Event::Accepted { socket, .. } => {
                    let _ = configure_connection(socket.as_raw_fd(), 300);
                    let at = match closed.iter().next().copied() {
                        Some(at) => closed.take(&at).expect("just seen"),
                        None => {
                            connections.push(None);
                            connections.len() - 1
                        }
                    };
                    connections[at] = Some(Connection {
                        slot: ring.attach(Token(at as u64), socket),
                        output: Vec::new(),
                        spare: Vec::new(),
                        sending: false,
                        queued: false,
                    });
                }
                Event::Received { token, buffer } => {
                    let at = token.0 as usize;
                    let connection = connections[at].as_mut().expect("open");
                    for _ in buffer.iter().filter(|byte| **byte == b'*') {
                        connection.output.extend_from_slice(REPLY);
                    }
                    if !connection.sending && !connection.queued {
                        connection.queued = true;
                        speaking.push(at);
                    }
                }
                Event::Sent { token, mut buffer, result } => {
                    let at = token.0 as usize;
                    let connection = connections[at].as_mut().expect("open");
                    connection.sending = false;
                    buffer.clear();
                    connection.spare = buffer;
                    if result.is_ok() && !connection.output.is_empty() && !connection.queued {
                        connection.queued = true;
                        speaking.push(at);
                    }
                }
                Event::Ended { token, .. } => {
                    let at = token.0 as usize;
                    let connection = connections[at].take().expect("open");
                    ring.close(connection.slot);
                    closed.insert(at);
                }
                Event::PiecesSent { .. } => unreachable!("only buffers are sent here"),
                Event::AcceptFailed { errno, .. } => eprintln!("accept: errno {errno}"),
            }
        }
        for at in speaking.drain(..) {
            let Some(connection) = &mut connections[at] else {
                continue;
            };
            // The place may have been taken over by a new connection since.
            if !std::mem::take(&mut connection.queued) {
                continue;
            }
            connection.sending = true;
            let spare = std::mem::take(&mut connection.spare);
            ring.send(connection.slot, std::mem::replace(&mut connection.output, spare));
        }
        rounds += 1;
        if rounds % 64 == 0 {
            glommio::executor().yield_if_needed().await;
        }
        if !ring.has_work() && !spin.spin(|| ring.has_work()) {
            if wait_us == 0 || !ring.wait(wait_us, || false).expect("a working ring") {
                parker.park(&mut ring, |_| false).await.expect("parks");
            }
            spin.woke();
        }
    }
}
