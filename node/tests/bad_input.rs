//! Clients that misbehave: each gets an error or is closed, nobody else notices, and memory does not
//! grow with what they claim.

mod common;

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use common::client::frame;
use common::{Client, Node, Random, Reply, Start, eventually};

const MEGABYTE: u64 = 1 << 20;

/// A well-behaved client whose service the others must not touch.
struct Witness {
    client: Client,
    round: usize,
}

impl Witness {
    fn new(node: &Node) -> Witness {
        Witness { client: node.connect(), round: 0 }
    }

    fn check(&mut self) {
        self.round += 1;
        let value = format!("round {}", self.round);
        // Two keys, so that on several shards one of them is another core's.
        for key in ["witness:1", "witness:2"] {
            assert_eq!(self.client.call(&["SET", key, &value]), Reply::ok());
        }
        let values = self.client.call(&["MGET", "witness:1", "witness:2"]);
        assert_eq!(values.texts(), [value.clone(), value]);
    }
}

#[test]
fn random_bytes_harm_only_their_sender() {
    let node = Node::ringfort(2);
    let mut witness = Witness::new(&node);
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut client = node.connect();
        let length = random.below(5000);
        let mut bytes = random.bytes(length);
        if random.one_in(3) {
            // Bytes that mean something to the parser.
            bytes.iter_mut().for_each(|byte| *byte = *random.pick(b"*$\r\n0123-'\"\\x PINGping+:"));
        }
        // The server may close before it has read all.
        let _ = client.try_send(&bytes);
        if random.one_in(2) {
            let _ = client.tcp().shutdown(std::net::Shutdown::Write);
            client.read_to_close();
        }
        witness.check();
    }
}

#[test]
fn damaged_frames_harm_only_their_sender() {
    let node = Node::ringfort(2);
    let mut witness = Witness::new(&node);
    let mut good = frame(&["GET", "witness:1"]);
    good.extend(frame(&["ECHO", "some text that is echoed"]));
    good.extend(frame(&["MGET", "witness:1", "witness:2", "none"]));
    good.extend(b"PING\r\n");
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut bytes = good.repeat(1 + random.below(4));
        for _ in 0..=random.below(4) {
            let place = random.below(bytes.len());
            match random.below(4) {
                0 => drop(bytes.remove(place)),
                1 => bytes.insert(place, random.next() as u8),
                2 => bytes[place] = *random.pick(b"*$\r\n0129-\0\xff"),
                _ => bytes.truncate(place.max(1)),
            }
        }
        let mut client = node.connect();
        let _ = client.try_send(&bytes);
        let _ = client.tcp().shutdown(std::net::Shutdown::Write);
        client.read_to_close();
        if seed % 10 == 0 {
            witness.check();
        }
    }
    witness.check();
}

#[test]
fn announced_lengths_take_no_memory() {
    let node = Node::ringfort(2);
    let mut witness = Witness::new(&node);
    witness.check();
    let before = node.resident_bytes();
    let mut clients = Vec::new();
    for _ in 0..30 {
        for announced in [
            "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$536870912\r\nonly this",
            "*2\r\n$536870912\r\n",
            "*2147483647\r\n$3\r\nDEL\r\n",
            "*1000000\r\n$3\r\nDEL\r\n$1\r\na\r\n",
        ] {
            let mut client = node.connect();
            client.send(announced.as_bytes());
            clients.push(client);
        }
        witness.check();
    }
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown < 60 * MEGABYTE, "{} MiB for announcements", grown / MEGABYTE);
    drop(clients);
    eventually("the announcers are gone", || (node.info("connected_clients") == "2").then_some(()));
}

#[test]
fn a_command_of_a_million_arguments_works() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut witness = Witness::new(&node);
        let mut client = node.connect();
        let number = |number: usize| format!("m{number}");
        let pairs = (0..500_000).flat_map(|key| [number(key), "v".to_owned()]);
        let mset: Vec<String> = ["MSET".to_owned()].into_iter().chain(pairs).collect();
        assert_eq!(client.call(&mset), Reply::ok());
        witness.check();
        assert_eq!(client.run("DBSIZE"), Reply::Integer(500_002));
        let command = |name: &str, keys: std::ops::Range<usize>| -> Vec<String> {
            [name.to_owned()].into_iter().chain(keys.map(number)).collect()
        };
        let values = client.call(&command("MGET", 400_000..600_000));
        assert_eq!(values.members().len(), 200_000);
        assert_eq!(values.members()[99_999], Reply::bulk("v"));
        assert_eq!(values.members()[100_000], Reply::NullBulk);
        witness.check();
        assert_eq!(client.call(&command("DEL", 0..1_000_000)), Reply::Integer(500_000));
        let unknown = client.call(&command("NOSUCH", 0..100_000));
        assert!(
            unknown
                .error()
                .starts_with("ERR unknown command 'NOSUCH', with args beginning with: 'm0'"),
            "{unknown}"
        );
        assert!(unknown.error().len() < 300, "{unknown}");
        witness.check();
        assert_eq!(client.run("DBSIZE"), Reply::Integer(2));
    }
}

#[test]
fn a_transaction_may_queue_a_hundred_thousand_commands() {
    let node = Node::ringfort(4);
    let mut witness = Witness::new(&node);
    let mut client = node.connect();
    let mut commands = vec![vec!["MULTI".to_owned()]];
    commands
        .extend((0..100_000).map(|number| vec!["INCR".to_owned(), format!("q{}", number % 10)]));
    commands.push(vec!["EXEC".to_owned()]);
    let exec = client.pipeline(&commands).pop().unwrap();
    assert_eq!(exec.members().len(), 100_000);
    assert_eq!(exec.members()[99_999], Reply::Integer(10_000));
    witness.check();
    *commands.last_mut().unwrap() = vec!["DISCARD".to_owned()];
    assert_eq!(client.pipeline(&commands).pop(), Some(Reply::ok()));
    assert_eq!(client.run("GET q9"), Reply::bulk("10000"));
    witness.check();
}

#[test]
fn keys_and_values_may_hold_any_bytes() {
    let node = Node::ringfort(4);
    let mut client = node.connect();
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    keys.extend([
        vec![],
        vec![0; 5],
        b"a\0b".to_vec(),
        b"a\0c".to_vec(),
        b"\r\n$3\r\n".to_vec(),
        b"{}x".to_vec(),
    ]);
    keys.extend([b"}{".to_vec(), b"{a".to_vec(), vec![b'k'; 1_000_000], vec![255; 70_000]]);
    for key in &keys {
        let value = [key.as_slice(), b"\0 value of it \r\n"].concat();
        assert_eq!(client.call(&[b"SET".as_slice(), key, &value]), Reply::ok());
    }
    assert_eq!(client.run("DBSIZE"), Reply::Integer(keys.len() as i64));
    for key in &keys {
        let value = [key.as_slice(), b"\0 value of it \r\n"].concat();
        assert!(client.call(&[b"GET".as_slice(), key]) == Reply::Bulk(value));
    }
    let mut listed: Vec<Vec<u8>> = Vec::new();
    for key in client.run("KEYS *").members() {
        let Reply::Bulk(key) = key else { panic!("{key}") };
        listed.push(key.clone());
    }
    listed.sort();
    keys.sort();
    assert!(listed == keys, "KEYS lists other keys than were set");
    let name = b"other\0name".as_slice();
    assert_eq!(client.call(&[b"RENAME".as_slice(), b"a\0b", name]), Reply::ok());
    assert_eq!(client.call(&[b"EXISTS".as_slice(), b"a\0b", b"a\0c", name]), Reply::Integer(2));
}

#[test]
fn a_pipeline_that_never_reads_is_held_or_closed() {
    for shards in [1, 2] {
        let start =
            Start::ringfort(shards).option("--client-output-buffer-limit", "normal 5mb 0 0");
        let node = start.node();
        let mut witness = Witness::new(&node);
        let value = vec![b'v'; 100_000];
        for key in ["big:1", "big:2"] {
            assert_eq!(
                witness.client.call(&[b"SET".as_slice(), key.as_bytes(), &value]),
                Reply::ok()
            );
        }
        let before = node.resident_bytes();
        let mut greedy = node.connect();
        let pipeline = [frame(&["GET", "big:1"]), frame(&["GET", "big:2"])].concat().repeat(1000);
        let mut sender = greedy.tcp().try_clone().unwrap();
        // Held input may block the sender, so it sends from a thread of its own.
        let sending = thread::spawn(move || sender.write_all(&pipeline).is_ok());
        for _ in 0..300 {
            witness.check();
            let grown = node.resident_bytes().saturating_sub(before);
            assert!(
                grown < 60 * MEGABYTE,
                "{} MiB for one who does not read on {shards} shards",
                grown / MEGABYTE
            );
        }
        // Once it reads, it gets whole values, all of them unless it was closed.
        let mut count = 0;
        while count < 2000 {
            match greedy.try_read() {
                Ok(reply) => assert!(reply == Reply::Bulk(value.clone()), "value {count}"),
                Err(_) => break,
            }
            count += 1;
        }
        let sent = sending.join().unwrap();
        let closed = greedy.try_call(&["PING"]).is_err();
        assert!(closed || (sent && count == 2000), "{count} values, then nothing");
        witness.check();
    }
}

#[test]
fn the_next_client_above_maxclients_is_told_so() {
    let node = Start::ringfort(4).option("--maxclients", "10").node();
    let mut clients: Vec<Client> = (0..10).map(|_| node.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.run("PING"), Reply::Simple("PONG".into()));
    }
    for _ in 0..5 {
        let mut refused = node.connect();
        assert_eq!(refused.read_to_close(), b"-ERR max number of clients reached\r\n");
    }
    assert_eq!(common::node::info_field(&mut clients[0], "rejected_connections"), "5");
    assert_eq!(common::node::info_field(&mut clients[0], "connected_clients"), "10");
    clients.pop();
    eventually("a place is free again", || {
        let mut client = node.connect();
        client.try_call(&["PING"]).is_ok_and(|reply| !reply.is_error()).then_some(())
    });
    assert_eq!(clients[0].run("CONFIG SET maxclients 100"), Reply::ok());
    let mut more: Vec<Client> = (0..50).map(|_| node.connect()).collect();
    assert!(more.iter_mut().all(|client| client.run("PING") == Reply::Simple("PONG".into())));
}

#[test]
fn idle_clients_are_closed_after_the_timeout() {
    let node = Start::ringfort(2).option("--timeout", "1").node();
    let mut subscriber = node.connect();
    assert!(!subscriber.run("SUBSCRIBE news").is_error());
    let mut busy = node.connect();
    let start = Instant::now();
    thread::scope(|scope| {
        let idle: Vec<_> = (0..4)
            .map(|number| {
                let mut client = node.connect();
                client.run(&format!("CLIENT SETNAME idle{number}"));
                scope.spawn(move || client.read_to_close())
            })
            .collect();
        eventually("the idle ones are closed", || {
            assert_eq!(busy.run("PING"), Reply::Simple("PONG".into()));
            idle.iter().all(|thread| thread.is_finished()).then_some(())
        });
        for thread in idle {
            assert_eq!(thread.join().unwrap(), b"");
        }
    });
    assert!(start.elapsed() >= Duration::from_millis(900), "closed after {:?}", start.elapsed());
    // Who waits for messages is not idle.
    assert_eq!(busy.run("PUBLISH news x"), Reply::Integer(1));
    assert_eq!(subscriber.read().texts(), ["message", "news", "x"]);
}

#[test]
fn a_query_above_its_buffer_limit_closes_its_client() {
    let node = Start::ringfort(2).option("--client-query-buffer-limit", "1mb").node();
    let mut witness = Witness::new(&node);
    let mut client = node.connect();
    let value = vec![b'v'; 20_000_000];
    let _ = client.try_send(&frame(&[b"SET".as_slice(), b"huge", &value]));
    assert_eq!(client.read_to_close(), b"");
    witness.check();
    assert_eq!(witness.client.run("EXISTS huge"), Reply::Integer(0));
    // Below the limit everything is as ever.
    let mut client = node.connect();
    let reply = client.call(&[b"SET".as_slice(), b"small", &value[..500_000]]);
    assert_eq!(reply, Reply::ok());
}

#[test]
fn strings_do_not_grow_beyond_proto_max_bulk_len() {
    let node = Start::ringfort(2).option("--proto-max-bulk-len", "1mb").node();
    let mut client = node.connect();
    let value = vec![b'v'; 1 << 20];
    assert_eq!(client.call(&[b"SET".as_slice(), b"a", &value]), Reply::ok());
    let error = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(client.run("APPEND a x").error(), error);
    assert_eq!(client.run("SETRANGE a 1048576 x").error(), error);
    assert_eq!(
        client.run("SETBIT a 8388608 1").error(),
        "ERR bit offset is not an integer or out of range"
    );
    assert_eq!(client.run("STRLEN a"), Reply::Integer(1 << 20));
    client.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048577\r\n");
    assert_eq!(client.read_to_close(), b"-ERR Protocol error: invalid bulk length\r\n");
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let node = Node::ringfort(2);
    let mut witness = Witness::new(&node);
    let churn = |from: u64| {
        for seed in from..from + 1200 {
            let mut random = Random::new(seed);
            let mut client = node.connect();
            match seed % 6 {
                // In the middle of a value.
                0 => client.send(
                    &[b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$90000\r\n".as_slice(), &[b'x'; 30_000]]
                        .concat(),
                ),
                // With replies on their way: closing then resets the connection.
                1 => client.send(&frame(&["GET", "witness:1"]).repeat(50)),
                // In a transaction, watching.
                2 => {
                    client.run("WATCH witness:1 witness:2");
                    client.run("MULTI");
                    client.send_command(&["SET", "witness:1", "never executed"]);
                }
                // As a subscriber.
                3 => drop(client.run("PSUBSCRIBE *")),
                // Half closed.
                4 => {
                    client.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nab");
                    client.shutdown_write();
                    assert_eq!(client.read_to_close(), b"");
                }
                _ => {
                    let length = random.below(300);
                    let _ = client.try_send(&random.bytes(length));
                }
            }
        }
        eventually("the connections are gone", || {
            (node.info("connected_clients") == "2").then_some(())
        });
    };
    churn(0);
    witness.check();
    let before = node.resident_bytes();
    churn(10_000);
    churn(20_000);
    witness.check();
    let grown = node.resident_bytes().saturating_sub(before);
    assert!(grown < 16 * MEGABYTE, "{} KiB after 2400 connections", grown / 1024);
    let mut client = node.connect();
    assert_eq!(client.run("PUBSUB NUMPAT"), Reply::Integer(0));
    assert_eq!(client.run("EXISTS a"), Reply::Integer(0));
}

#[test]
fn a_half_closed_client_still_gets_its_replies() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        for round in 0..50 {
            let mut client = node.connect();
            let mut bytes = Vec::new();
            let mut expected = Vec::new();
            for number in 0..20 {
                bytes.extend(frame(&["SET", &format!("half:{number}"), &format!("{round}")]));
                bytes.extend(frame(&["GET", &format!("half:{number}")]));
                expected
                    .extend(format!("+OK\r\n${}\r\n{round}\r\n", round.to_string().len()).bytes());
            }
            client.send(&bytes);
            client.shutdown_write();
            let got = client.read_to_close();
            assert!(got == expected, "got \"{}\"", got.escape_ascii());
        }
    }
}
