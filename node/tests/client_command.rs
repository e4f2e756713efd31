//! CLIENT and its subcommands, over the connections of all cores.

mod common;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use common::client::frame;
use common::{Client, Node, Reply, eventually};

/// The `name=value` words of one line of CLIENT LIST.
fn fields(line: &str) -> BTreeMap<&str, &str> {
    line.split_whitespace().filter_map(|word| word.split_once('=')).collect()
}

fn list(client: &mut Client, options: &str) -> String {
    client.run(&format!("CLIENT LIST {options}")).text()
}

fn id(client: &mut Client) -> i64 {
    client.run("CLIENT ID").integer()
}

fn is_closed(client: &mut Client) -> bool {
    client.try_call(&["PING"]).is_err()
}

#[test]
fn a_client_is_described_field_by_field() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("CLIENT SETNAME someone");
    client.run("SELECT 3");
    client.run("WATCH a");
    let info = client.run("CLIENT INFO").text();
    assert!(info.ends_with('\n') && info.lines().count() == 1, "{info}");
    let got = fields(&info);
    let names = "id addr laddr fd name age idle flags db sub psub ssub multi qbuf qbuf-free argv-mem multi-mem rbs \
        rbp obl oll omem tot-mem events cmd user redir resp";
    for name in names.split_whitespace() {
        assert!(got.contains_key(name), "no {name} in {info}");
    }
    assert_eq!(got["id"], client.run("CLIENT ID").integer().to_string());
    assert_eq!(got["addr"], client.local_address().to_string());
    assert_eq!(got["laddr"], node.address().to_string());
    assert_eq!((got["name"], got["db"], got["flags"]), ("someone", "3", "N"));
    assert_eq!(
        (got["multi"], got["cmd"], got["user"], got["resp"]),
        ("-1", "client|info", "default", "2")
    );
    if !node.is_redis() {
        // Since Redis 7.2.
        assert_eq!(client.run("CLIENT SETINFO LIB-NAME some-lib"), Reply::ok());
        assert_eq!(client.run("CLIENT SETINFO lib-ver 1.2.3"), Reply::ok());
        assert!(client.run("CLIENT SETINFO lib-nosuch x").is_error());
        assert!(client.run("CLIENT SETINFO lib-name \"a b\"").is_error());
        let info = client.run("CLIENT INFO").text();
        assert_eq!(
            (fields(&info)["lib-name"], fields(&info)["lib-ver"]),
            ("some-lib", "1.2.3"),
            "{info}"
        );
    }
    client.run("HELLO 3");
    client.run("SUBSCRIBE a b");
    client.read();
    client.run("PSUBSCRIBE p*");
    let info = list(&mut node.connect(), "TYPE pubsub");
    let got = fields(&info);
    assert_eq!(
        (got["sub"], got["psub"], got["flags"], got["resp"]),
        ("2", "1", "P", "3"),
        "{info}"
    );
}

#[test]
fn the_list_shows_the_clients_of_all_cores() {
    let node = Node::ringfort(4);
    let mut clients: Vec<Client> = (0..12).map(|_| node.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.run(&format!("CLIENT SETNAME number{number}"));
        client.run(&format!("SET list:{number} x"));
    }
    clients[3].run("MULTI");
    clients[3].run("PING");
    let mut client = node.connect();
    let all = list(&mut client, "");
    assert_eq!(all.lines().count(), 13, "{all}");
    for number in 0..12 {
        let name = format!("number{number}");
        let line = all
            .lines()
            .find(|line| fields(line)["name"] == name)
            .unwrap_or_else(|| panic!("no {name}"));
        let expected = if number == 3 { ("1", "ping", "x") } else { ("-1", "set", "N") };
        assert_eq!(
            (fields(line)["multi"], fields(line)["cmd"], fields(line)["flags"]),
            expected,
            "{line}"
        );
    }
    let mut ids: Vec<i64> = clients[4..7].iter_mut().map(id).collect();
    ids.sort_unstable();
    let some = list(&mut client, &format!("ID {} {} {} 999999", ids[0], ids[1], ids[2]));
    let mut listed: Vec<i64> =
        some.lines().map(|line| fields(line)["id"].parse().unwrap()).collect();
    listed.sort_unstable();
    assert_eq!(listed, ids);
    assert_eq!(list(&mut client, "TYPE normal").lines().count(), 13);
    assert_eq!(list(&mut client, "TYPE pubsub").lines().count(), 0);
    assert_eq!(list(&mut client, "TYPE master").lines().count(), 0);
}

#[test]
fn clients_are_killed_by_what_describes_them() {
    let node = Node::ringfort(4);
    let mut admin = node.connect();
    let mut victims: Vec<Client> = (0..8).map(|_| node.connect()).collect();
    let ids: Vec<i64> = victims.iter_mut().map(id).collect();

    assert_eq!(admin.run(&format!("CLIENT KILL ID {}", ids[0])), Reply::Integer(1));
    assert_eq!(admin.run(&format!("CLIENT KILL ID {}", ids[0])), Reply::Integer(0));
    let address = victims[1].local_address().to_string();
    assert_eq!(admin.run(&format!("CLIENT KILL ADDR {address}")), Reply::Integer(1));
    let address = victims[2].local_address().to_string();
    assert_eq!(admin.run(&format!("CLIENT KILL {address}")), Reply::ok());
    assert_eq!(admin.run(&format!("CLIENT KILL {address}")).error(), "ERR No such client");
    victims[3].run("SUBSCRIBE news");
    assert_eq!(admin.run("CLIENT KILL TYPE pubsub"), Reply::Integer(1));
    // All conditions must hold.
    let id = ids[4];
    assert_eq!(admin.run(&format!("CLIENT KILL ID {id} TYPE pubsub")), Reply::Integer(0));
    assert_eq!(
        admin.run(&format!("CLIENT KILL ID {id} TYPE normal USER default SKIPME yes")),
        Reply::Integer(1)
    );
    for victim in &mut victims[..5] {
        assert!(is_closed(victim));
    }
    for bystander in &mut victims[5..] {
        assert!(!is_closed(bystander));
    }
    // All but the caller; then the caller too, who still hears of it.
    let laddr = node.address();
    assert_eq!(admin.run(&format!("CLIENT KILL LADDR {laddr}")), Reply::Integer(3));
    assert!(victims[5..].iter_mut().all(is_closed));
    assert_eq!(admin.run("CLIENT LIST").text().lines().count(), 1);
    assert_eq!(admin.run(&format!("CLIENT KILL LADDR {laddr} SKIPME no")), Reply::Integer(1));
    assert!(is_closed(&mut admin));
}

#[test]
fn replies_can_be_switched_off_and_skipped() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    let calls: &[&[&str]] = &[
        &["CLIENT", "REPLY", "OFF"],
        &["SET", "a", "1"],
        &["INCR", "a"],
        &["NOSUCH"],
        &["PING"],
        &["CLIENT", "REPLY", "ON"],
        &["GET", "a"],
        &["CLIENT", "REPLY", "SKIP"],
        &["INCR", "a"],
        &["GET", "a"],
    ];
    let bytes: Vec<u8> = calls.iter().flat_map(|call| frame(call)).collect();
    client.send(&bytes);
    let expected = b"+OK\r\n$1\r\n2\r\n$1\r\n3\r\n";
    let got = client.read_bytes(expected.len());
    assert!(got == expected, "\"{}\"", got.escape_ascii());
    assert_eq!(client.run("PING"), Reply::Simple("PONG".into()));
}

#[test]
fn names_are_set_and_taken_back() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    assert_eq!(client.run("CLIENT GETNAME"), Reply::NullBulk);
    assert_eq!(client.run("CLIENT SETNAME someone"), Reply::ok());
    assert_eq!(client.run("CLIENT GETNAME"), Reply::bulk("someone"));
    assert_eq!(client.run("CLIENT SETNAME \"\""), Reply::ok());
    assert_eq!(client.run("CLIENT GETNAME"), Reply::NullBulk);
    assert_eq!(client.run("CLIENT NO-EVICT on"), Reply::ok());
    assert!(client.run("CLIENT INFO").text().contains(" flags=e "));
    assert_eq!(client.run("CLIENT NO-EVICT off"), Reply::ok());
    assert!(client.run("CLIENT INFO").text().contains(" flags=N "));
    assert_eq!(client.run("CLIENT UNBLOCK 1"), Reply::Integer(0));
    assert!(client.run("CLIENT HELP").members().len() > 10);
}

#[test]
fn a_client_that_does_not_touch_leaves_idle_times() {
    let node = Node::ringfort(2);
    if node.is_redis() {
        eprintln!("CLIENT NO-TOUCH came with Redis 7.2");
        return;
    }
    let (mut client, mut other) = (node.connect(), node.connect());
    client.run("SET a x");
    assert_eq!(client.run("CLIENT NO-TOUCH on"), Reply::ok());
    assert!(client.run("CLIENT INFO").text().contains(" flags=T "));
    eventually("the key is idle", || {
        (client.run("OBJECT IDLETIME a").integer() >= 1).then_some(())
    });
    client.run("GET a");
    client.run("MGET a b");
    assert!(client.run("OBJECT IDLETIME a").integer() >= 1);
    client.run("TOUCH a");
    assert_eq!(client.run("OBJECT IDLETIME a"), Reply::Integer(0));
    eventually("the key is idle again", || {
        (client.run("OBJECT IDLETIME a").integer() >= 1).then_some(())
    });
    other.run("GET a");
    assert_eq!(client.run("OBJECT IDLETIME a"), Reply::Integer(0));
}

#[test]
fn paused_writes_wait_and_reads_go_on() {
    let node = Node::ringfort(4);
    let mut admin = node.connect();
    let keys: Vec<String> = (0..6).map(|number| format!("pause:{number}")).collect();
    for key in &keys {
        admin.call(&["SET", key, "before"]);
    }
    assert_eq!(admin.run("CLIENT PAUSE 1000000 WRITE"), Reply::ok());
    let mut writers: Vec<Client> = keys.iter().map(|_| node.connect()).collect();
    for (number, (writer, key)) in writers.iter_mut().zip(&keys).enumerate() {
        match number {
            0 => writer.send_command(&["MSET", key, "after", "pause:other", "after"]),
            // A transaction that writes waits, whether at its first write or at its end.
            1 => {
                for words in
                    [&["MULTI"][..], &["GET", "pause:2"], &["SET", key, "after"], &["EXEC"]]
                {
                    writer.send_command(words);
                }
            }
            _ => writer.send_command(&["SET", key, "after"]),
        }
    }
    let mut publisher = node.connect();
    publisher.send_command(&["PUBLISH", "news", "x"]);
    let blocked = |admin: &mut Client| common::node::info_field(admin, "blocked_clients");
    eventually("all writers wait", || (blocked(&mut admin) == "7").then_some(()));
    for _ in 0..50 {
        for key in &keys {
            assert_eq!(admin.call(&["GET", key]), Reply::bulk("before"));
        }
    }
    // Nothing of the data changes meanwhile, times to live included.
    assert_eq!(admin.run("EXISTS pause:other"), Reply::Integer(0));
    assert_eq!(admin.run("CLIENT UNPAUSE"), Reply::ok());
    for (number, writer) in writers.iter_mut().enumerate() {
        if number == 1 {
            let replies: Vec<Reply> = (0..4).map(|_| writer.read()).collect();
            assert_eq!(replies[3].members()[1], Reply::ok(), "{replies:?}");
        } else {
            assert_eq!(writer.read(), Reply::ok());
        }
    }
    assert_eq!(publisher.read(), Reply::Integer(0));
    for key in &keys {
        assert_eq!(admin.call(&["GET", key]), Reply::bulk("after"));
    }
    assert_eq!(blocked(&mut admin), "0");
}

#[test]
fn a_pause_of_everything_ends_by_itself() {
    let node = Node::ringfort(2);
    let mut admin = node.connect();
    let mut others: Vec<Client> = (0..4).map(|_| node.connect()).collect();
    let start = Instant::now();
    assert_eq!(admin.run("CLIENT PAUSE 300"), Reply::ok());
    thread::scope(|scope| {
        for other in &mut others {
            scope.spawn(move || {
                assert_eq!(other.run("PING"), Reply::Simple("PONG".into()));
                assert!(
                    start.elapsed() >= Duration::from_millis(290),
                    "after {:?}",
                    start.elapsed()
                );
            });
        }
    });
    let start = Instant::now();
    assert_eq!(admin.run("CLIENT PAUSE 200 ALL"), Reply::ok());
    assert_eq!(admin.run("GET a"), Reply::NullBulk);
    assert!(start.elapsed() >= Duration::from_millis(190), "after {:?}", start.elapsed());
}

#[test]
fn keys_do_not_expire_out_of_memory_while_writes_are_paused() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    for number in 0..20 {
        client.run(&format!("SET expiring:{number} x PX 60"));
    }
    assert_eq!(client.run("CLIENT PAUSE 1000000 WRITE"), Reply::ok());
    eventually("the keys are past their time", || {
        (client.run("EXISTS expiring:19") == Reply::Integer(0)).then_some(())
    });
    // To a reader they are gone, yet no shard removed them.
    let paused_at = common::node::info_field(&mut client, "expired_keys");
    for number in 0..20 {
        assert_eq!(client.run(&format!("GET expiring:{number}")), Reply::NullBulk);
    }
    assert_eq!(common::node::info_field(&mut client, "expired_keys"), paused_at);
    assert_eq!(client.run("DBSIZE").integer() + paused_at.parse::<i64>().unwrap(), 20);
    assert_eq!(client.run("CLIENT UNPAUSE"), Reply::ok());
    eventually("they are removed afterwards", || {
        (client.run("DBSIZE") == Reply::Integer(0)).then_some(())
    });
}

#[test]
fn the_largest_clients_are_closed_when_all_hold_too_much() {
    let node = Node::ringfort(4);
    let mut small: Vec<Client> = (0..8).map(|_| node.connect()).collect();
    let admin = &mut node.connect();
    assert_eq!(admin.run("CONFIG SET maxmemory-clients 8mb"), Reply::ok());
    // A command that never ends holds what has come of it.
    let begin = format!("*2\r\n$4\r\nECHO\r\n$20000000\r\n{}", "x".repeat(10_000_000));
    let mut spared = node.connect();
    assert_eq!(spared.run("CLIENT NO-EVICT ON"), Reply::ok());
    spared.send(begin.as_bytes());
    let mut large = node.connect();
    // It may be closed before it has sent everything.
    let _ = large.try_send(begin.as_bytes());
    large.read_to_close();
    for client in &mut small {
        assert_eq!(client.run("PING"), Reply::Simple("PONG".into()));
    }
    assert_eq!(common::node::info_field(admin, "evicted_clients"), "1");
    spared.send("x".repeat(10_000_000).as_bytes());
    spared.send(b"\r\n");
    assert!(spared.read() == Reply::Bulk(vec![b'x'; 20_000_000]));
}
