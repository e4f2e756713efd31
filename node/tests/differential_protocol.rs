//! The wire itself: framing, protocol errors, RESP2 and RESP3, and what the commands about commands,
//! connections and configuration reply. Whatever is not particular to a server is compared with
//! Debian's redis-server.

mod common;

use std::collections::BTreeSet;

use common::client::{frame, show, words};
use common::{Client, Node, Random, Reply, Start, transcript};

/// Sends the lines one by one to both and wants equal replies; all that differ are shown.
fn same_replies(ours: &mut Client, theirs: &mut Client, script: &str) {
    let mut differences = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let expected = theirs.run(line);
        let got = ours.run(line);
        if got != expected {
            differences.push_str(&format!("{line}\n  expected {expected}\n       got {got}\n"));
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// All bytes that come back for `bytes`, after which the sender says it is done.
fn answer(node: &Node, bytes: &[u8]) -> Vec<u8> {
    let mut client = node.connect();
    client.send(bytes);
    client.shutdown_write();
    client.read_to_close()
}

fn same_answers(ours: &Node, theirs: &Node, inputs: &[Vec<u8>]) {
    let mut differences = String::new();
    for input in inputs {
        let expected = answer(theirs, input);
        let got = answer(ours, input);
        if got != expected {
            differences.push_str(&format!(
                "sent {} bytes \"{}\"\n  expected \"{}\"\n       got \"{}\"\n",
                input.len(),
                input[..input.len().min(100)].escape_ascii(),
                expected.escape_ascii(),
                got.escape_ascii()
            ));
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn inline_commands_answer_as_redis() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let inputs: &[&[u8]] = &[
        b"PING\r\n",
        b"ping\n",
        b"\r\n\r\nPING\r\n",
        b"   \r\nPING\r\n",
        b"  PING  x  \r\n",
        b"PING\tx\r\n",
        b"SET a \"x y\"\r\nGET a\r\n",
        b"SET a \"x\\x41\\xff\\x0\\n\\r\\t\\b\\a\\q\\\"\\\\\"\r\nGET a\r\n",
        b"SET a 'x\\'y\\n'\r\nGET a\r\n",
        b"SET a \"\"\r\nGET a\r\n",
        b"SET a \"x\r\nGET a\r\n",
        b"SET a 'x\r\n",
        b"SET a \"x\"y\r\nPING\r\n",
        b"SET a 'x'y\r\n",
        b"SET a x\"y z\"\r\nGET a\r\n",
        b"PING \xff\xfe\r\n",
        b"foo bar baz\r\n",
        b"foo\r\n",
        b"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n",
        b"POST / HTTP\r\nPING\r\n",
        b"Host: x\r\nPING\r\n",
        b"post x\r\n",
        b"QUIT\r\nPING\r\n",
        b"PI",
        b"",
    ];
    let mut inputs: Vec<Vec<u8>> = inputs.iter().map(|input| input.to_vec()).collect();
    inputs.push([b"SET a ".as_slice(), &[b'b'; 60_000], b"\r\nSTRLEN a\r\n"].concat());
    inputs.push(vec![b'a'; 70_000]);
    // Error texts quote only so much of a command.
    inputs.push([b"foo ".as_slice(), &[b'y'; 300], b"\r\n"].concat());
    inputs.push([&[b'z'; 300], b" y\r\n".as_slice()].concat());
    inputs.push([b"foo ".as_slice(), "a bb ccc ".repeat(40).as_bytes(), b"\r\n"].concat());
    inputs.push([b"CLIENT ".as_slice(), &[b'y'; 300], b"\r\n"].concat());
    inputs.push([b"ECHO ".as_slice(), "word ".repeat(2000).as_bytes(), b"\r\n"].concat());
    same_answers(&ours, &theirs, &inputs);
}

#[test]
fn protocol_errors_answer_as_redis_and_close() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let inputs: &[&[u8]] = &[
        b"*abc\r\nPING\r\n",
        b"*\r\nPING\r\n",
        b"*2147483648\r\nPING\r\n",
        b"*9223372036854775808\r\nPING\r\n",
        b"*-1\r\nPING\r\n",
        b"*0\r\nPING\r\n",
        b"*-5\r\nPING\r\n",
        b"*-9223372036854775808\r\nPING\r\n",
        b"*1\r\nPING\r\nPING\r\n",
        b"*1\r\n+PING\r\nPING\r\n",
        b"*1\r\n\r\n",
        b"*1\r\n$abc\r\nPING\r\n",
        b"*1\r\n$\r\nPING\r\n",
        b"*1\r\n$-1\r\nPING\r\n",
        b"*1\r\n$-2147483649\r\nPING\r\n",
        b"*1\r\n$536870913\r\nPING\r\n",
        b"*1\r\n$9223372036854775808\r\nPING\r\n",
        b"*1\r\n$4\r\nPINGxx",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        b"*1\r\n$0\r\n\r\nPING\r\n",
        b"*1 \r\n$4\r\nPING\r\n",
        b"* 1\r\n$4\r\nPING\r\n",
        b"*+1\r\n$4\r\nPING\r\n",
        b"*01\r\n$4\r\nPING\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$ 4\r\nPING\r\n",
        b"*1\n$4\nPING\n",
        b"*1\r\n$4\r\nPING\r\n*1\r\n$x\r\n*1\r\n$4\r\nPING\r\n",
        b"*2\r\n$3\r\nGET\r\n",
        b"*2\r\n$3\r\nGET\r\n$5\r\nab",
        b"*3\r\n$3\r\nfoo\r\n$1\r\n\n\r\n$2\r\n'x\r\n",
        b"$4\r\nPING\r\n",
        b"+OK\r\n",
        b":1\r\n",
        b"-ERR x\r\n",
    ];
    let mut inputs: Vec<Vec<u8>> = inputs.iter().map(|input| input.to_vec()).collect();
    inputs.push([b"*".as_slice(), &[b'1'; 70_000]].concat());
    inputs.push([b"*1\r\n$".as_slice(), &[b'1'; 70_000]].concat());
    inputs.push([b"*".as_slice(), &[b'1'; 70_000], b"\r\n"].concat());
    same_answers(&ours, &theirs, &inputs);
    assert_eq!(ours.connect().run("PING"), Reply::Simple("PONG".into()));
}

#[test]
fn a_client_that_has_not_logged_in_may_send_only_little() {
    let start = |start: Start| start.option("--requirepass", "secret").node();
    let (ours, theirs) = (start(Start::ringfort(2)), start(Start::redis()));
    let inputs: &[&[u8]] = &[
        b"*10\r\n$4\r\nPING\r\n",
        b"*11\r\n$4\r\nPING\r\n",
        b"*1\r\n$16385\r\nPING\r\n",
        b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n*11\r\n$4\r\nMGET\r\n",
        b"GET a\r\n",
        b"nosuch\r\n",
        b"GET\r\n",
        b"QUIT\r\n",
        b"RESET\r\n",
    ];
    same_answers(&ours, &theirs, &inputs.iter().map(|input| input.to_vec()).collect::<Vec<_>>());
}

#[test]
fn frames_may_be_cut_at_every_byte() {
    let node = Node::ringfort(1);
    let commands: &[&[&[u8]]] = &[
        &[b"SET", b"cut", b"some\r\nvalue $3 *1"],
        &[b"GET", b"cut"],
        &[b"MSET", b"cut:1", b"", b"cut:2", b"0123456789"],
        &[b"MGET", b"cut:1", b"cut:2", b"cut:3"],
        &[b"NOSUCH", b"x"],
        &[b"APPEND", b"cut:1", b"+"],
    ];
    let mut bytes: Vec<u8> = commands.iter().flat_map(|command| frame(command)).collect();
    bytes.extend_from_slice(b"ECHO \"in line\"\r\nDEL cut:1\r\n");
    let expected = b"+OK\r\n$17\r\nsome\r\nvalue $3 *1\r\n+OK\r\n*3\r\n$0\r\n\r\n$10\r\n0123456789\r\n$-1\r\n\
        -ERR unknown command 'NOSUCH', with args beginning with: 'x' \r\n:1\r\n$7\r\nin line\r\n:1\r\n";
    let mut other = node.connect();
    for cut in 1..bytes.len() {
        let mut client = node.connect();
        client.send(&bytes[..cut]);
        // Once the node has served this one it has seen the piece before it.
        other.run("PING");
        client.send(&bytes[cut..]);
        let got = client.read_bytes(expected.len());
        assert!(got == expected, "cut at {cut}: \"{}\"", got.escape_ascii());
    }
    let mut client = node.connect();
    for byte in &bytes {
        client.send(&[*byte]);
    }
    assert_eq!(client.read_bytes(expected.len()), expected);
}

#[test]
fn values_cut_into_pieces_of_any_size_arrive_whole() {
    let node = Node::ringfort(2);
    let mut random = Random::new(7);
    let mut client = node.connect();
    for round in 0..60 {
        let length = random.below(200_000);
        let value = random.bytes(length);
        let key = format!("piece:{round}");
        let bytes =
            [frame(&[b"SET", key.as_bytes(), &value]), frame(&[b"GET", key.as_bytes()])].concat();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let most = *random.pick(&[10, 1000, 20_000, 100_000]);
            let (piece, after) = rest.split_at(rest.len().min(1 + random.below(most)));
            client.send(piece);
            rest = after;
        }
        assert_eq!(client.read(), Reply::ok());
        assert!(client.read() == Reply::Bulk(value), "round {round}");
    }
}

#[test]
fn a_pipeline_of_ten_thousand_is_answered_in_order() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut client = node.connect();
        let mut commands = Vec::new();
        for number in 0..10_000 {
            commands.push(match number % 5 {
                0 => words(&format!("SET pipeline:{number} {number}")),
                1 => words(&format!("GET pipeline:{}", number - 1)),
                2 => words(&format!("ECHO {number}")),
                3 => words(&format!(
                    "MGET pipeline:{} pipeline:{} none",
                    number - 3,
                    (number - 3) / 5 * 5
                )),
                _ => words(&format!("INCRBY pipeline:{} 1", number - 4)),
            });
        }
        for (number, reply) in client.pipeline(&commands).into_iter().enumerate() {
            let expected = match number % 5 {
                0 => Reply::ok(),
                1 => Reply::bulk((number - 1).to_string()),
                2 => Reply::bulk(number.to_string()),
                3 => {
                    let bulk = Reply::bulk((number - 3).to_string());
                    Reply::Array(vec![bulk.clone(), bulk, Reply::NullBulk])
                }
                _ => Reply::Integer(number as i64 - 3),
            };
            assert_eq!(reply, expected, "{shards} shards, {}", show(&commands[number]));
        }
    }
}

const RESP3_SCRIPT: &str = r#"
    SET a 1
    GET a
    GET none
    GETDEL none
    MGET a none
    SET b 2 NX GET
    SET b 3 XX GET
    GETEX none
    RANDOMKEY none
    LCS a b IDX
    BITFIELD bits OVERFLOW FAIL INCRBY u1 0 5
    OBJECT ENCODING none
    CONFIG GET maxmemory-policy
    CONFIG GET nosuchoption
    CLIENT GETNAME
    CLIENT SETNAME x
    CLIENT GETNAME
    INCRBYFLOAT a 1.5
    MULTI
    GET none
    CONFIG GET maxmemory
    EXEC
    WATCH a
    SET a 1
    MULTI
    EXEC
    TYPE a
    PUBSUB CHANNELS
    PUBSUB NUMSUB a b
    DEBUG PROTOCOL string
    DEBUG PROTOCOL integer
    DEBUG PROTOCOL double
    DEBUG PROTOCOL null
    DEBUG PROTOCOL array
    DEBUG PROTOCOL set
    DEBUG PROTOCOL map
    DEBUG PROTOCOL verbatim
    DEBUG PROTOCOL true
    DEBUG PROTOCOL false
    DEBUG PROTOCOL bignum
    LATENCY HISTOGRAM nosuch
    MEMORY USAGE none
    COMMAND GETKEYS MSET a 1 b 2
    COMMAND DOCS nosuch
    COMMAND INFO nosuch
    COMMAND INFO
"#;

#[test]
fn resp3_replies_are_those_of_redis() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let script = RESP3_SCRIPT.replace("COMMAND INFO\n", "");
    same_replies(&mut ours.connect_resp3(), &mut theirs.connect_resp3(), &script);
    let mut client = ours.connect_resp3();
    assert_eq!(client.run("GET none"), Reply::Null);
    assert_eq!(client.run("DEBUG PROTOCOL double").to_string(), ",3.141");
    assert!(
        matches!(client.run("INFO server"), Reply::Verbatim(text) if text.starts_with(b"txt:"))
    );
    assert!(matches!(client.run("COMMAND DOCS get"), Reply::Map(_)));
    let several = client.run("CONFIG GET maxmemory max*samples nosuch");
    assert_eq!(several.pairs().len(), 2, "{several}");
    assert_eq!(several.field("maxmemory-samples").text(), "5");
}

#[test]
fn the_same_replies_in_resp2() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let script = RESP3_SCRIPT.replace("COMMAND INFO\n", "");
    same_replies(&mut ours.connect(), &mut theirs.connect(), &script);
    let mut client = ours.connect();
    assert_eq!(client.run("GET none"), Reply::NullBulk);
    assert_eq!(client.run("DEBUG PROTOCOL true"), Reply::Integer(1));
}

#[test]
fn hello_switches_the_protocol_and_describes_the_server() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    let reply = client.run("HELLO");
    assert!(matches!(reply, Reply::Array(_)), "{reply}");
    assert_eq!(reply.field("proto"), Reply::Integer(2));
    let reply = client.run("HELLO 3 SETNAME someone");
    assert!(matches!(reply, Reply::Map(_)), "{reply}");
    assert_eq!(reply.field("server").text(), "redis");
    assert_eq!(reply.field("proto"), Reply::Integer(3));
    assert_eq!(reply.field("mode").text(), "standalone");
    assert_eq!(reply.field("role").text(), "master");
    assert_eq!(reply.field("modules"), Reply::Array(vec![]));
    assert_eq!(reply.field("id"), client.run("CLIENT ID"));
    let version = reply.field("version").text();
    assert!(version.starts_with(if node.is_redis() { "7.0." } else { "7.2." }), "{version}");
    assert_eq!(client.run("CLIENT GETNAME"), Reply::bulk("someone"));
    assert!(matches!(client.run("HELLO 2"), Reply::Array(_)));
    assert_eq!(client.run("GET none"), Reply::NullBulk);

    let theirs = Start::redis().node();
    let script = r#"
        HELLO 1
        HELLO 4
        HELLO x
        HELLO 3 AUTH a
        HELLO 3 AUTH foo x
        HELLO 3 SETNAME "a b"
        HELLO 3 SETNAME
        HELLO 3 FOO
        GET none
    "#;
    same_replies(&mut client, &mut theirs.connect(), script);
}

#[test]
fn bad_calls_get_redis_error_texts() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let script = r#"
        nosuch
        foo bar
        foo bar "b z" "x\ny" ""
        "" x
        GET
        get a b
        Set a
        OBJECT
        object nosuch
        OBJECT ENCODING
        OBJECT nosuch a b
        CLIENT
        CLIENT nosuch
        CLIENT GETNAME x
        CLIENT KILL
        CLIENT KILL x
        CLIENT KILL 1.2.3.4:5
        CLIENT KILL ID x
        CLIENT KILL ID 0
        CLIENT KILL ID 999999
        CLIENT KILL TYPE nosuch
        CLIENT KILL ADDR
        CLIENT KILL USER nosuch
        CLIENT KILL SKIPME perhaps
        CLIENT KILL NOSUCH x
        CLIENT LIST TYPE nosuch
        CLIENT LIST ID x
        CLIENT LIST ID 999999
        CLIENT LIST FOO
        CLIENT REPLY perhaps
        CLIENT PAUSE x
        CLIENT PAUSE -1
        CLIENT PAUSE 1 SOME
        CLIENT UNPAUSE x
        CLIENT UNBLOCK x
        CLIENT UNBLOCK 999999
        CLIENT UNBLOCK 1 PERHAPS
        CLIENT NO-EVICT
        CLIENT NO-EVICT perhaps
        CLIENT SETNAME "a b"
        CLIENT SETNAME "a\nb"
        CLIENT SETNAME ""
        CLIENT GETNAME
        CONFIG
        CONFIG nosuch
        CONFIG GET
        CONFIG SET
        CONFIG SET maxmemory
        CONFIG SET nosuch x
        CONFIG SET maxmemory x
        CONFIG SET maxmemory -1
        CONFIG SET maxmemory-policy nosuch
        CONFIG SET maxmemory 100mb maxmemory 200mb
        CONFIG SET maxmemory 100mb nosuch 1
        CONFIG GET maxmemory
        CONFIG SET databases 20
        CONFIG SET dir /nosuch/directory
        CONFIG SET maxclients 0
        CONFIG SET timeout -1
        CONFIG SET hz x
        CONFIG SET appendonly perhaps
        CONFIG SET client-output-buffer-limit "normal 1"
        CONFIG SET client-output-buffer-limit "nosuch 1 1 1"
        CONFIG SET notify-keyspace-events Q
        CONFIG RESETSTAT x
        CONFIG REWRITE
        CONFIG REWRITE x
        COMMAND nosuch
        COMMAND COUNT x
        COMMAND GETKEYS
        COMMAND GETKEYS nosuch a
        COMMAND GETKEYS GET a
        COMMAND GETKEYS SET a b
        COMMAND GETKEYS MSET a 1 b 2
        COMMAND GETKEYS BITOP AND a b c d
        COMMAND GETKEYS LCS a b
        COMMAND GETKEYS OBJECT ENCODING a
        COMMAND GETKEYS MEMORY USAGE a
        COMMAND GETKEYSANDFLAGS SET a b
        COMMAND GETKEYSANDFLAGS MSET a 1 b 2
        COMMAND GETKEYSANDFLAGS RENAME a b
        COMMAND GETKEYSANDFLAGS GETDEL a
        COMMAND LIST FILTERBY NOSUCH x
        COMMAND LIST FILTERBY
        COMMAND LIST FILTERBY PATTERN nosuch*
        COMMAND LIST FILTERBY PATTERN getde*
        COMMAND LIST FILTERBY ACLCAT nosuch
        MEMORY
        MEMORY nosuch
        MEMORY USAGE
        MEMORY USAGE a SAMPLES
        MEMORY USAGE a SAMPLES x
        MEMORY USAGE a SAMPLES -1
        MEMORY USAGE a NOSUCH 1
        SLOWLOG
        SLOWLOG nosuch
        SLOWLOG GET x
        SLOWLOG GET -2
        SLOWLOG GET 1 2
        SLOWLOG LEN x
        LATENCY nosuch
        LATENCY HISTORY
        LATENCY HISTORY nosuch
        LATENCY GRAPH nosuch
        LATENCY RESET nosuch
        LATENCY LATEST x
        DEBUG nosuch
        DEBUG SLEEP
        DEBUG OBJECT nosuch
        DEBUG POPULATE x
        DEBUG SET-ACTIVE-EXPIRE
        SHUTDOWN NOSUCH
        SHUTDOWN SAVE NOSAVE
        SHUTDOWN ABORT
        SELECT
        SELECT 16
        SELECT -1
        SELECT x
        SWAPDB 0 x
        SWAPDB x 0
        SWAPDB 0 16
        AUTH
        AUTH x
        AUTH a b
        AUTH a b c
        PING a b
        PING a
        ECHO
        TIME x
        INFO nosuch
        QUIT x y
    "#;
    // Redis's QUIT takes any words, so it closes; all before it leave the connection in use.
    let script = script.trim_end().trim_end_matches("QUIT x y");
    same_replies(&mut ours.connect(), &mut theirs.connect(), script);
}

#[test]
fn commands_are_described_as_by_redis() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    let names = "set get getex getdel getset getrange substr setrange append strlen incr decr incrby decrby \
        incrbyfloat mset msetnx mget setnx setex psetex lcs setbit getbit bitcount bitpos bitop bitfield \
        bitfield_ro del unlink exists touch type expire pexpire expireat pexpireat ttl pttl expiretime \
        pexpiretime persist rename renamenx copy move keys scan randomkey dbsize flushdb flushall ping echo \
        select swapdb auth hello quit reset multi exec discard watch unwatch publish subscribe unsubscribe \
        psubscribe punsubscribe ssubscribe sunsubscribe spublish monitor info time shutdown lolwut";
    for name in names.split_whitespace() {
        let describe = |client: &mut Client| {
            let reply = client.call(&["COMMAND", "INFO", name]);
            let Reply::Array(fields) = &reply.members()[0] else {
                panic!("{name} is unknown: {reply}")
            };
            let set = |index: usize| -> BTreeSet<String> {
                fields[index].members().iter().map(Reply::text).collect()
            };
            assert_eq!(fields.len(), 10, "{name}");
            (fields[..2].to_vec(), set(2), fields[3..6].to_vec(), set(6), fields[8].members().len())
        };
        assert_eq!(describe(&mut ours), describe(&mut theirs), "COMMAND INFO {name}");
    }

    let names = ["get", "mset", "object|encoding", "client|kill", "config|set"];
    for name in names {
        let docs = ours.call(&["COMMAND", "DOCS", name]);
        let fields = docs.field(name);
        for field in ["summary", "since", "group", "complexity"] {
            let text = fields.field(field).text();
            assert!(!text.is_empty(), "{name} {field}");
            if field != "summary" && field != "complexity" {
                let theirs =
                    theirs.call(&["COMMAND", "DOCS", name]).field(name).field(field).text();
                assert_eq!(text, theirs, "{name} {field}");
            }
        }
    }

    let count = ours.run("COMMAND COUNT").integer();
    assert!(count > 80, "{count}");
    assert_eq!(ours.run("COMMAND").members().len() as i64, count);
    let listed = ours.run("COMMAND LIST").texts();
    assert!(
        listed.contains(&"get".to_owned()) && listed.contains(&"config|get".to_owned()),
        "{listed:?}"
    );
    assert!(listed.len() as i64 > count, "{} listed", listed.len());
    assert_eq!(ours.run("COMMAND INFO").members().len() as i64, count);
    assert_eq!(ours.run("COMMAND DOCS").pairs().len() as i64, count);
    let listed = ours.run("COMMAND LIST FILTERBY ACLCAT string").texts();
    assert!(
        listed.contains(&"get".to_owned()) && !listed.contains(&"del".to_owned()),
        "{listed:?}"
    );
    let reply = ours.run("COMMAND INFO get nosuch GET").members().to_vec();
    assert_eq!((reply.len(), &reply[0]), (3, &reply[2]));
    assert_eq!(reply[1], Reply::NullBulk);
}

#[test]
fn a_password_is_wanted_before_anything_else() {
    let start = |start: Start| start.option("--requirepass", "sesame open").node();
    let (ours, theirs) = (start(Start::ringfort(2)), start(Start::redis()));
    let script = r#"
        GET a
        PING
        nosuch
        GET
        SUBSCRIBE a
        MULTI
        CLIENT ID
        AUTH wrong
        AUTH default wrong
        AUTH nobody "sesame open"
        AUTH
        GET a
        AUTH "sesame open"
        PING
        SET a 1
        GET a
        AUTH wrong
        GET a
        RESET
        GET a
        AUTH default "sesame open"
        GET a
        CONFIG GET requirepass
        CONFIG SET requirepass ""
    "#;
    same_replies(&mut ours.connect(), &mut theirs.connect(), script);
    let refused = start(Start::ringfort(1)).connect().run("HELLO 3");
    assert!(
        refused.error().starts_with("NOAUTH HELLO must be called with the client already"),
        "{refused}"
    );
    // Without a password again, whoever comes is in.
    let script = "
        GET a
        CONFIG SET requirepass other
        GET a
    ";
    let (mut ours_first, mut theirs_first) = (ours.connect(), theirs.connect());
    same_replies(&mut ours_first, &mut theirs_first, script);
    let mut late = ours.connect();
    assert_eq!(late.run("GET a").error(), "NOAUTH Authentication required.");
    let hello = late.run("HELLO 3 AUTH default other SETNAME me");
    assert!(matches!(hello, Reply::Map(_)), "{hello}");
    assert_eq!(late.run("GET a"), Reply::bulk("1"));
}

#[test]
fn reset_puts_a_connection_back_to_its_beginning() {
    let node = Node::ringfort(2);
    let mut client = node.connect_resp3();
    transcript(
        &mut client,
        r#"
        > CLIENT SETNAME someone
        +OK
        > SELECT 3
        +OK
        > SET a 3
        +OK
        > WATCH a
        +OK
        > MULTI
        +OK
        > SET a 4
        +QUEUED
        > RESET
        +RESET
        > GET a
        $-1
        > CLIENT GETNAME
        $-1
        > EXEC
        -ERR EXEC without MULTI
        > SUBSCRIBE news
        ["subscribe", "news", :1]
        > RESET
        +RESET
        > SET a 0
        +OK
        > SELECT 3
        +OK
        > GET a
        "3"
        "#,
    );
    let info = client.run("CLIENT INFO").text();
    assert!(
        info.contains(" db=3 ") && info.contains(" sub=0 ") && info.contains(" name= "),
        "{info}"
    );
}

#[test]
fn transactions_report_errors_as_redis() {
    let (ours, theirs) = (Node::ringfort(2), Start::redis().node());
    let script = r#"
        EXEC
        DISCARD
        MULTI
        MULTI
        WATCH a
        SET a 1
        EXEC
        MULTI
        SET a
        SET a 2
        EXEC
        GET a
        MULTI
        nosuch
        DISCARD
        MULTI
        SET a notanumber
        INCR a
        SET b 2
        EXEC
        MGET a b
        WATCH a b
        SET b 3
        MULTI
        SET a 1
        EXEC
        GET a
        WATCH a
        UNWATCH
        SET a 5
        MULTI
        GET a
        EXEC
        MULTI
        SELECT 1
        SET only 1
        SELECT 0
        GET only
        EXEC
        MULTI
        EXEC
        MULTI x
        EXEC x
        WATCH
        CLIENT REPLY ON
        MULTI
        PING
        ECHO x
        SUBSCRIBE nothing
        DBSIZE
        FLUSHALL
        DBSIZE
        DISCARD
        QUIT
    "#;
    same_replies(&mut ours.connect(), &mut theirs.connect(), script);
}
