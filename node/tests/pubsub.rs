//! Publish and subscribe, with publishers and subscribers on whatever cores their connections fell:
//! everyone gets each message once, and all subscribers of one channel see one order.

mod common;

use std::collections::{BTreeMap, HashMap};
use std::thread;

use common::{Client, Node, Reply, Start, eventually, transcript};

/// Eight connections land on every core of up to four.
fn connect_many(node: &Node) -> Vec<Client> {
    (0..8).map(|_| node.connect()).collect()
}

fn subscribe(client: &mut Client, command: &str) {
    client.send_command(&common::client::words(command));
    for _ in command.split_whitespace().skip(1) {
        let reply = client.read();
        assert!(reply.members()[0].text().ends_with("subscribe"), "{reply}");
    }
}

#[test]
fn subscriptions_are_counted_and_confirmed_one_by_one() {
    let node = Node::ringfort(2);
    let script = r#"
        > SUBSCRIBE a b a
        ["subscribe", "a", :1]
        ["subscribe", "b", :2]
        ["subscribe", "a", :2]
        > PSUBSCRIBE n* a*
        ["psubscribe", "n*", :3]
        ["psubscribe", "a*", :4]
        > SSUBSCRIBE s t
        ["ssubscribe", "s", :1]
        ["ssubscribe", "t", :2]
        > PING
        ["pong", ""]
        > PING hello
        ["pong", "hello"]
        > UNSUBSCRIBE none b
        ["unsubscribe", "none", :4]
        ["unsubscribe", "b", :3]
        > UNSUBSCRIBE
        ["unsubscribe", "a", :2]
        > UNSUBSCRIBE
        ["unsubscribe", $-1, :2]
        > PUNSUBSCRIBE n*
        ["punsubscribe", "n*", :1]
        > PUNSUBSCRIBE
        ["punsubscribe", "a*", :0]
        > GET a
        -ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context
        > SUNSUBSCRIBE s
        ["sunsubscribe", "s", :1]
        > SUNSUBSCRIBE
        ["sunsubscribe", "t", :0]
        > SUNSUBSCRIBE
        ["sunsubscribe", $-1, :0]
        > PUNSUBSCRIBE
        ["punsubscribe", $-1, :0]
        > GET a
        $-1
        > PING
        +PONG
    "#;
    transcript(&mut node.connect(), script);

    // RESP3: pushes, no restriction, and PING stays a plain reply.
    transcript(
        &mut node.connect_resp3(),
        r#"
        > SUBSCRIBE a b
        >["subscribe", "a", :1]
        >["subscribe", "b", :2]
        > PING
        +PONG
        > SET key value
        +OK
        > GET key
        "value"
        > UNSUBSCRIBE b
        >["unsubscribe", "b", :1]
        > UNSUBSCRIBE none
        >["unsubscribe", "none", :1]
        "#,
    );
}

#[test]
fn a_resp2_subscriber_may_only_do_what_subscribers_do() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    subscribe(&mut client, "SUBSCRIBE news");
    let commands = [
        "GET a",
        "SET a b",
        "PUBLISH news x",
        "MULTI",
        "CONFIG GET save",
        "CLIENT ID",
        "HELLO 3",
        "SELECT 1",
    ];
    for command in commands {
        let name = command.split(' ').next().unwrap().to_lowercase();
        let name = match command {
            "CONFIG GET save" => "config|get".to_owned(),
            "CLIENT ID" => "client|id".to_owned(),
            _ => name,
        };
        let expected = format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
             in this context"
        );
        assert_eq!(client.run(command).error(), expected);
    }
    assert_eq!(
        client.run("NOSUCH").error(),
        "ERR unknown command 'NOSUCH', with args beginning with: "
    );
    assert_eq!(node.connect().run("PUBLISH news x"), Reply::Integer(1));
    assert_eq!(client.read().texts(), ["message", "news", "x"]);
    assert_eq!(client.run("RESET"), Reply::Simple("RESET".into()));
    assert_eq!(client.run("PUBLISH news x"), Reply::Integer(0));
}

fn check_everyone_receives(shards: usize) {
    let node = Node::ringfort(shards);
    let mut subscribers = connect_many(&node);
    for (number, client) in subscribers.iter_mut().enumerate() {
        subscribe(client, &format!("SUBSCRIBE all own:{number}"));
        subscribe(client, "PSUBSCRIBE al?");
    }
    let mut publishers = connect_many(&node);
    for (number, publisher) in publishers.iter_mut().enumerate() {
        assert_eq!(
            publisher.call(&["PUBLISH", "all", &format!("from {number}")]),
            Reply::Integer(16)
        );
        assert_eq!(
            publisher.call(&["PUBLISH", &format!("own:{number}"), "yours"]),
            Reply::Integer(1)
        );
        assert_eq!(publisher.run("PUBLISH nobody x"), Reply::Integer(0));
    }
    for (number, client) in subscribers.iter_mut().enumerate() {
        let mut received: Vec<Vec<String>> = (0..17).map(|_| client.read().texts()).collect();
        let place = received
            .iter()
            .position(|message| message[1].starts_with("own"))
            .expect("the own message");
        assert_eq!(received.remove(place), ["message", &format!("own:{number}"), "yours"]);
        for (from, pair) in received.chunks(2).enumerate() {
            // A subscriber by name and by pattern gets both, the one by name first.
            assert_eq!(pair[0], ["message", "all", &format!("from {from}")]);
            assert_eq!(pair[1], ["pmessage", "al?", "all", &format!("from {from}")]);
        }
        assert!(client.run("PING").texts()[0] == "pong", "nothing but these arrived");
    }
}

#[test]
fn every_subscriber_receives_each_message_once_on_one_shard() {
    check_everyone_receives(1);
}

#[test]
fn every_subscriber_receives_each_message_once_on_two_shards() {
    check_everyone_receives(2);
}

#[test]
fn every_subscriber_receives_each_message_once_on_four_shards() {
    check_everyone_receives(4);
}

fn check_one_order(shards: usize) {
    const PUBLISHERS: usize = 4;
    const MESSAGES: usize = 400;
    let node = Node::ringfort(shards);
    let mut subscribers = connect_many(&node);
    for client in &mut subscribers {
        subscribe(client, "SUBSCRIBE race");
    }
    let seen: Vec<Vec<String>> = thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let node = &node;
            scope.spawn(move || {
                let mut client = node.connect();
                let publish = |number: usize| {
                    vec!["PUBLISH".to_owned(), "race".to_owned(), format!("{publisher} {number}")]
                };
                for batch in 0..MESSAGES / 20 {
                    let commands: Vec<_> = (batch * 20..batch * 20 + 20).map(publish).collect();
                    let replies = client.pipeline(&commands);
                    assert!(replies.iter().all(|reply| *reply == Reply::Integer(8)), "{replies:?}");
                }
            });
        }
        let readers: Vec<_> = subscribers
            .iter_mut()
            .map(|client| {
                scope.spawn(move || {
                    (0..PUBLISHERS * MESSAGES)
                        .map(|_| client.read().members()[2].text())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for other in &seen[1..] {
        assert!(*other == seen[0], "two subscribers saw different orders");
    }
    let mut next = [0; PUBLISHERS];
    for message in &seen[0] {
        let (publisher, number) = message.split_once(' ').unwrap();
        let expected = &mut next[publisher.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<usize>().unwrap(), *expected, "publisher {publisher}");
        *expected += 1;
    }
}

#[test]
fn subscribers_see_one_order_on_one_shard() {
    check_one_order(1);
}

#[test]
fn subscribers_see_one_order_on_two_shards() {
    check_one_order(2);
}

#[test]
fn subscribers_see_one_order_on_four_shards() {
    check_one_order(4);
}

#[test]
fn pubsub_tells_of_all_cores() {
    let node = Node::ringfort(4);
    let mut subscribers = connect_many(&node);
    for (number, client) in subscribers.iter_mut().enumerate() {
        subscribe(client, &format!("SUBSCRIBE common news:{}", number % 2));
        // The same pattern of two clients is one.
        subscribe(client, &format!("PSUBSCRIBE pattern:{}", number / 2));
    }
    subscribe(&mut subscribers[0], "SSUBSCRIBE shard:1");
    subscribe(&mut subscribers[7], "SSUBSCRIBE shard:1");
    let mut client = node.connect();
    let sorted = |reply: Reply| {
        let mut names = reply.texts();
        names.sort();
        names
    };
    assert_eq!(sorted(client.run("PUBSUB CHANNELS")), ["common", "news:0", "news:1"]);
    assert_eq!(sorted(client.run("PUBSUB CHANNELS news*")), ["news:0", "news:1"]);
    assert_eq!(client.run("PUBSUB NUMPAT"), Reply::Integer(4));
    assert_eq!(
        client.run("PUBSUB NUMSUB news:1 none common").to_string(),
        r#"["news:1", :4, "none", :0, "common", :8]"#
    );
    assert_eq!(client.run("PUBSUB NUMSUB"), Reply::Array(vec![]));
    assert_eq!(client.run("PUBSUB SHARDCHANNELS"), Reply::Array(vec![Reply::bulk("shard:1")]));
    assert_eq!(
        client.run("PUBSUB SHARDNUMSUB shard:1 news:1").to_string(),
        r#"["shard:1", :2, "news:1", :0]"#
    );
    assert!(client.run("PUBSUB NOSUCH").is_error());
    assert_eq!(node.info("pubsub_channels"), "3");
    assert_eq!(node.info("pubsub_patterns"), "4");
    if !node.is_redis() {
        // Since Redis 7.2.
        assert_eq!(node.info("pubsub_clients"), "8");
        assert_eq!(node.info("pubsubshard_channels"), "1");
    }

    // Who leaves takes the subscriptions along.
    subscribers.truncate(1);
    eventually("closed subscribers are forgotten", || {
        let left = client.run("PUBSUB NUMSUB common news:0 news:1").to_string();
        (left == r#"["common", :1, "news:0", :1, "news:1", :0]"#).then_some(())
    });
    assert_eq!(client.run("PUBLISH common x"), Reply::Integer(1));
    assert_eq!(client.run("PUBSUB NUMPAT"), Reply::Integer(1));
}

#[test]
fn sharded_channels_are_a_world_of_their_own() {
    let node = Node::ringfort(4);
    let mut subscribers = connect_many(&node);
    for client in &mut subscribers {
        subscribe(client, "SSUBSCRIBE chat");
    }
    let mut other = node.connect();
    subscribe(&mut other, "SUBSCRIBE chat");
    subscribe(&mut other, "PSUBSCRIBE *");
    let mut publisher = node.connect();
    assert_eq!(publisher.run("SPUBLISH chat hello"), Reply::Integer(8));
    assert_eq!(publisher.run("PUBLISH chat general"), Reply::Integer(2));
    for client in &mut subscribers {
        assert_eq!(client.read().texts(), ["smessage", "chat", "hello"]);
        assert_eq!(client.run("PING").texts(), ["pong", ""]);
    }
    assert_eq!(other.read().texts(), ["message", "chat", "general"]);
    assert_eq!(other.read().texts(), ["pmessage", "*", "chat", "general"]);
}

#[test]
fn resp3_messages_are_pushes_between_replies() {
    let node = Node::ringfort(4);
    let mut client = node.connect_resp3();
    subscribe(&mut client, "SUBSCRIBE own");
    subscribe(&mut client, "PSUBSCRIBE o*");
    subscribe(&mut client, "SSUBSCRIBE own");
    // Its own messages reach it too; only the replies keep an order with each other.
    let commands: Vec<Vec<&str>> =
        vec![vec!["PUBLISH", "own", "one"], vec!["SPUBLISH", "own", "two"], vec!["ECHO", "done"]];
    client.send(
        &commands.iter().flat_map(|command| common::client::frame(command)).collect::<Vec<u8>>(),
    );
    let (mut pushes, mut replies) = (Vec::new(), Vec::new());
    for _ in 0..6 {
        match client.read() {
            Reply::Push(members) => pushes.push(Reply::Push(members).to_string()),
            reply => replies.push(reply.to_string()),
        }
    }
    assert_eq!(replies, [":2", ":1", "\"done\""]);
    pushes.sort();
    assert_eq!(
        pushes,
        [
            r#">["message", "own", "one"]"#,
            r#">["pmessage", "o*", "own", "one"]"#,
            r#">["smessage", "own", "two"]"#
        ]
    );
}

#[test]
fn messages_published_in_a_transaction_arrive_in_its_order() {
    let node = Node::ringfort(4);
    let mut subscriber = node.connect();
    subscribe(&mut subscriber, "SUBSCRIBE news");
    let mut client = node.connect();
    transcript(
        &mut client,
        r#"
        > MULTI
        +OK
        > PUBLISH news first
        +QUEUED
        > SET a 1
        +QUEUED
        > PUBLISH news second
        +QUEUED
        > EXEC
        [:1, +OK, :1]
        "#,
    );
    assert_eq!(subscriber.read().texts(), ["message", "news", "first"]);
    assert_eq!(subscriber.read().texts(), ["message", "news", "second"]);
}

#[test]
fn messages_may_be_large_and_hold_any_bytes() {
    let node = Node::ringfort(2);
    let mut subscribers = connect_many(&node);
    for client in &mut subscribers {
        subscribe(client, "SUBSCRIBE big");
    }
    let message: Vec<u8> = (0..3_000_000u32).map(|number| (number * 7 % 251) as u8).collect();
    let mut publisher = node.connect();
    assert_eq!(publisher.call(&[b"PUBLISH".as_slice(), b"big", &message]), Reply::Integer(8));
    for client in &mut subscribers {
        assert!(client.read().members()[2] == Reply::Bulk(message.clone()));
    }
}

#[test]
fn a_subscriber_that_does_not_read_is_dropped_at_its_limit() {
    let start = Start::ringfort(2).option("--client-output-buffer-limit", "pubsub 1mb 0 0");
    let node = start.node();
    let mut slow = node.connect();
    subscribe(&mut slow, "SUBSCRIBE flood");
    let mut reader = node.connect();
    subscribe(&mut reader, "SUBSCRIBE flood");
    let mut publisher = node.connect();
    let message = vec![b'x'; 100_000];
    // The kernel's buffers take some megabytes before the limit counts.
    let dropped = (0..500).any(|_| {
        let receivers = publisher.call(&[b"PUBLISH".as_slice(), b"flood", &message]).integer();
        assert_eq!(reader.read().members()[2], Reply::Bulk(message.clone()));
        receivers == 1
    });
    assert!(dropped, "fifty megabytes are not over the limit of one");
    slow.read_to_close();
}

/// What each channel carried, in order. A channel's messages have one order; those of different
/// channels need not.
fn events(
    node: &Node,
    classes: &str,
    script: &[&str],
    expected: Option<usize>,
) -> BTreeMap<String, Vec<String>> {
    let mut client = node.connect();
    assert_eq!(client.call(&["CONFIG", "SET", "notify-keyspace-events", classes]), Reply::ok());
    let mut subscriber = node.connect();
    subscribe(&mut subscriber, "PSUBSCRIBE __key*__:*");
    for line in script {
        client.run(line);
    }
    let mut received: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    // Redis sends everything before it answers a later PING. A node of many cores only has to send as
    // much, and then nothing more.
    if expected.is_none() {
        subscriber.send_command(&["PING"]);
    }
    loop {
        if expected == Some(count) {
            subscriber.send_command(&["PING"]);
        }
        let parts = subscriber.read().texts();
        if parts[0] == "pong" {
            break;
        }
        received.entry(parts[2].clone()).or_default().push(parts[3].clone());
        count += 1;
    }
    received
}

#[test]
fn keyspace_events_are_those_of_redis() {
    let script = [
        "SET a 1",
        "GET a",
        "GET none",
        "INCR a",
        "INCRBYFLOAT a 1.5",
        "APPEND a x",
        "SETRANGE a 2 zz",
        "SETBIT b 7 1",
        "BITFIELD b SET u8 0 5",
        "BITFIELD b GET u8 0",
        "BITOP OR c a b",
        "BITOP OR c none1 none2",
        "EXPIRE a 1000",
        "PERSIST a",
        "PEXPIREAT a 32503680000000",
        "GETEX a PERSIST",
        "GETEX a EX 1000",
        "GETEX a",
        "SET a 2 EX 100",
        "SET a 3 KEEPTTL",
        "SETEX a 100 x",
        "PSETEX a 100000 x",
        "SETNX n 1",
        "SETNX n 1",
        "MSET m1 1 m2 2",
        "MSETNX m3 1 m4 2",
        "GETSET a 5",
        "GETDEL a",
        "RENAME b d",
        "RENAME d d",
        "RENAMENX d e",
        "COPY e f",
        "COPY e f REPLACE",
        "COPY e g DB 2",
        "MOVE e 3",
        "TOUCH f",
        "DEL f m1 none",
        "UNLINK m2 none",
        "EXPIRE m3 -1",
        "EXPIREAT m4 1",
        "GETEX n EXAT 1",
        "SET h 1 EXAT 32503680000",
        "SELECT 2",
        "SET in2 x",
        "DEL in2",
        "FLUSHDB",
        "SET i 9223372036854775807",
        "INCR i",
        "SET i x XX GET",
        "SET j x XX",
        "LCS i j",
    ];
    for classes in ["KEA", "K$g", "Exg", "KEn", "KEm", "KEAn", ""] {
        for shards in [1, 4] {
            let (ours, theirs) = (Node::ringfort(shards), Start::redis().node());
            let mut expected = events(&theirs, classes, &script, None);
            assert_eq!(expected.is_empty(), classes.is_empty());
            let count = expected.values().map(Vec::len).sum();
            let mut got = events(&ours, classes, &script, Some(count));
            if shards > 1 {
                // A key's events keep their order; those of keys on different cores have none.
                for channels in [&mut expected, &mut got] {
                    let by_event = channels
                        .iter_mut()
                        .filter(|(channel, _)| channel.starts_with("__keyevent"));
                    by_event.for_each(|(_, keys)| keys.sort());
                }
            }
            assert_eq!(got, expected, "{classes}, {shards} shards");
        }
    }
}

#[test]
fn keys_that_expire_tell_so_once() {
    let node = Start::ringfort(4).option("--notify-keyspace-events", "Ex").node();
    let mut subscriber = node.connect();
    subscribe(&mut subscriber, "PSUBSCRIBE __keyevent@*__:expired");
    let mut client = node.connect();
    for number in 0..50 {
        assert_eq!(client.call(&["SET", &format!("short:{number}"), "x", "PX", "30"]), Reply::ok());
        assert_eq!(
            client.call(&["SET", &format!("long:{number}"), "x", "EX", "1000"]),
            Reply::ok()
        );
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for _ in 0..50 {
        let parts = subscriber.read().texts();
        assert_eq!(parts[..3], ["pmessage", "__keyevent@*__:expired", "__keyevent@0__:expired"]);
        *seen.entry(parts[3].clone()).or_default() += 1;
    }
    assert!(seen.len() == 50 && seen.keys().all(|key| key.starts_with("short:")), "{seen:?}");
    assert_eq!(client.run("DBSIZE"), Reply::Integer(50));
    assert_eq!(subscriber.run("PING").texts(), ["pong", ""]);
}
