//! Keys whose time has come are gone, for readers at once and from memory soon; and `maxmemory` holds,
//! by refusing writes or by evicting what the policy says.

mod common;

use common::node::info_field;
use common::{Client, Node, Random, Reply, Start, eventually, transcript};

const MEGABYTE: i64 = 1 << 20;

#[test]
fn expired_keys_are_gone_for_every_command() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut client = node.connect();
        assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 0"), Reply::ok());
        let script = [
            ("GET gone", "$-1"),
            ("TTL gone", ":-2"),
            ("PTTL gone", ":-2"),
            ("EXPIRETIME gone", ":-2"),
            ("PEXPIRETIME gone", ":-2"),
            ("EXISTS gone gone", ":0"),
            ("TYPE gone", "+none"),
            ("STRLEN gone", ":0"),
            ("DEL gone", ":0"),
            ("UNLINK gone", ":0"),
            ("TOUCH gone", ":0"),
            ("PERSIST gone", ":0"),
            ("EXPIRE gone 100", ":0"),
            ("INCR gone", ":1"),
            ("APPEND gone x", ":1"),
            ("SETNX gone x", ":1"),
            ("MSETNX gone x", ":1"),
            ("SET gone x XX", "$-1"),
            ("SET gone x NX", "+OK"),
            ("SET gone x GET", "$-1"),
            ("SET gone x KEEPTTL", "+OK"),
            ("GETSET gone x", "$-1"),
            ("GETDEL gone", "$-1"),
            ("GETEX gone PERSIST", "$-1"),
            ("GETRANGE gone 0 -1", "\"\""),
            ("SETRANGE gone 1 x", ":2"),
            ("GETBIT gone 1", ":0"),
            ("SETBIT gone 1 1", ":0"),
            ("BITCOUNT gone", ":0"),
            ("BITFIELD gone GET u8 0", "[:0]"),
            ("BITOP NOT other gone", ":0"),
            ("RENAME gone other", "-ERR no such key"),
            ("RENAMENX gone other", "-ERR no such key"),
            ("COPY gone other", ":0"),
            ("MOVE gone 1", ":0"),
            ("MGET gone gone", "[$-1, $-1]"),
            ("OBJECT ENCODING gone", "$-1"),
            ("LCS gone gone LEN", ":0"),
            ("KEYS *", "[]"),
            ("RANDOMKEY", "$-1"),
        ];
        for (command, expected) in script {
            assert_eq!(client.run("SET gone value PXAT 1"), Reply::ok());
            assert_eq!(client.run(command).to_string(), expected, "{command} on {shards} shards");
            client.run("FLUSHALL");
        }
        client.run("SET gone value PXAT 1");
        client.run("RENAMENX other gone");
        transcript(
            &mut client,
            r#"
            > SET gone value PXAT 1
            +OK
            > SET there value
            +OK
            > RENAMENX there gone
            :1
            > GET gone
            "value"
            > SET gone value PXAT 1
            +OK
            > MULTI
            +OK
            > GET gone
            +QUEUED
            > SET gone new
            +QUEUED
            > GET gone
            +QUEUED
            > EXEC
            [$-1, +OK, "new"]
            > TTL gone
            :-1
            "#,
        );
        // A value that lies there expired changes no result of SCAN either.
        client.run("SET gone value PXAT 1");
        assert_eq!(scan_all(&mut client), Vec::<String>::new());
    }
}

fn scan_all(client: &mut Client) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let reply = client.call(&["SCAN", &cursor, "COUNT", "1000"]);
        found.extend(reply.members()[1].texts());
        cursor = reply.members()[0].text();
        if cursor == "0" {
            return found;
        }
    }
}

fn check_active_expiry(shards: usize) {
    const COUNT: usize = 20_000;
    let node = Node::ringfort(shards);
    let mut client = node.connect();
    let mut random = Random::new(1);
    let set = |key: String, ttl_ms: i64| {
        vec!["SET".to_owned(), key, "value".to_owned(), "PX".to_owned(), ttl_ms.to_string()]
    };
    let mut commands: Vec<_> =
        (0..COUNT).map(|number| set(format!("short:{number}"), random.between(1, 300))).collect();
    commands.extend((0..1000).map(|number| set(format!("long:{number}"), 1_000_000)));
    commands.extend(
        (0..1000)
            .map(|number| vec!["SET".to_owned(), format!("ever:{number}"), "value".to_owned()]),
    );
    assert!(client.pipeline(&commands).iter().all(|reply| *reply == Reply::ok()));
    // Nobody asks for the keys.
    eventually("expired keys are removed", || {
        (client.run("DBSIZE") == Reply::Integer(2000)).then_some(())
    });
    assert_eq!(info_field(&mut client, "expired_keys"), COUNT.to_string());
    let keyspace = info_field(&mut client, "db0");
    assert!(keyspace.starts_with("keys=2000,expires=1000,avg_ttl="), "{keyspace}");
    assert_eq!(scan_all(&mut client).len(), 2000);
}

#[test]
fn expired_keys_leave_memory_unasked_on_one_shard() {
    check_active_expiry(1);
}

#[test]
fn expired_keys_leave_memory_unasked_on_four_shards() {
    check_active_expiry(4);
}

#[test]
fn active_expiry_can_be_switched_off() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 0"), Reply::ok());
    assert_eq!(client.run("MSET a 1 b 2 c 3"), Reply::ok());
    for key in ["a", "b", "c"] {
        assert_eq!(client.run(&format!("PEXPIRE {key} 20")), Reply::Integer(1));
    }
    eventually("a is expired", || (client.run("EXISTS a") == Reply::Integer(0)).then_some(()));
    // The reader removed what it asked for; the others lie there.
    assert_eq!(client.run("DBSIZE"), Reply::Integer(2));
    assert_eq!(client.run("DEBUG SET-ACTIVE-EXPIRE 1"), Reply::ok());
    eventually("the others are removed", || {
        (client.run("DBSIZE") == Reply::Integer(0)).then_some(())
    });
}

#[test]
fn a_watched_key_that_expires_fails_the_transaction() {
    let node = Node::ringfort(4);
    let (mut client, mut other) = (node.connect(), node.connect());
    client.run("SET watched value PX 100");
    client.run("SET result untouched");
    assert_eq!(client.run("WATCH watched"), Reply::ok());
    eventually("the key is expired", || {
        (other.run("EXISTS watched") == Reply::Integer(0)).then_some(())
    });
    client.run("MULTI");
    client.run("SET result changed");
    assert_eq!(client.run("EXEC"), Reply::NullArray);
    assert_eq!(client.run("GET result"), Reply::bulk("untouched"));
    // A key that was expired already when watched does not.
    client.run("DEBUG SET-ACTIVE-EXPIRE 0");
    client.run("SET watched value PXAT 1");
    client.run("WATCH watched");
    client.run("MULTI");
    client.run("SET result changed");
    assert_eq!(client.run("EXEC"), Reply::Array(vec![Reply::ok()]));
}

/// Sets `maxmemory` to what is used now and `extra` bytes.
fn limit_memory(client: &mut Client, extra: i64) -> i64 {
    let limit = used_memory(client) + extra;
    assert_eq!(client.call(&["CONFIG", "SET", "maxmemory", &limit.to_string()]), Reply::ok());
    limit
}

fn used_memory(client: &mut Client) -> i64 {
    info_field(client, "used_memory").parse().unwrap()
}

fn evicted_keys(client: &mut Client) -> i64 {
    info_field(client, "evicted_keys").parse().unwrap()
}

/// Sets `prefix:from` to `prefix:to` to a kilobyte each, with `options` behind; gives how many
/// worked. Anything but OK and OOM fails the test.
fn fill(
    client: &mut Client,
    prefix: &str,
    numbers: std::ops::Range<usize>,
    options: &[&str],
) -> usize {
    let value = "v".repeat(1000);
    let mut worked = 0;
    for start in numbers.clone().step_by(50) {
        let commands: Vec<Vec<String>> = (start..numbers.end.min(start + 50))
            .map(|number| {
                let mut words = vec!["SET".to_owned(), format!("{prefix}:{number}"), value.clone()];
                words.extend(options.iter().map(|option| option.to_string()));
                words
            })
            .collect();
        for reply in client.pipeline(&commands) {
            match reply {
                Reply::Error(text) => assert_eq!(text, OUT_OF_MEMORY),
                reply => {
                    assert_eq!(reply, Reply::ok());
                    worked += 1;
                }
            }
        }
    }
    worked
}

const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

fn existing(client: &mut Client, prefix: &str, numbers: std::ops::Range<usize>) -> usize {
    let keys = numbers.map(|number| format!("{prefix}:{number}"));
    let command: Vec<String> = ["EXISTS".to_owned()].into_iter().chain(keys).collect();
    client.call(&command).integer() as usize
}

#[test]
fn without_eviction_writes_are_refused() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut client = node.connect();
        let limit = limit_memory(&mut client, 4 * MEGABYTE);
        let worked = fill(&mut client, "key", 0..10_000, &[]);
        assert!((1500..4200).contains(&worked), "{worked} kilobytes in 4 MiB on {shards} shards");
        assert!(used_memory(&mut client) < limit + MEGABYTE / 2);
        assert_eq!(evicted_keys(&mut client), 0);
        // Well below what is used, so that nothing small finds a gap.
        assert_eq!(client.run("CONFIG SET maxmemory 100kb"), Reply::ok());
        for command in [
            "SET a b",
            "APPEND key:1 x",
            "INCR n",
            "MSET a b c d",
            "SETRANGE a 10 x",
            "BITOP OR a key:1",
        ] {
            assert_eq!(client.run(command).error(), OUT_OF_MEMORY, "{command}");
        }
        // What takes no memory works.
        assert_eq!(client.run("STRLEN key:1"), Reply::Integer(1000));
        assert_eq!(client.run("EXPIRE key:1 1000"), Reply::Integer(1));
        assert_eq!(client.run("RENAME key:1 key:first"), Reply::ok());
        // Queueing takes memory too, whatever the command.
        transcript(
            &mut client,
            "
            > MULTI
            +OK
            > GET nothing
            -OOM command not allowed when used memory > 'maxmemory'.
            > SET a b
            -OOM command not allowed when used memory > 'maxmemory'.
            > EXEC
            -EXECABORT Transaction discarded because of previous errors.
            ",
        );
        assert_eq!(client.call(&["CONFIG", "SET", "maxmemory", &limit.to_string()]), Reply::ok());
        let deleted = (0..worked / 2).map(|number| format!("key:{number}"));
        let command: Vec<String> = ["DEL".to_owned()].into_iter().chain(deleted).collect();
        assert!(client.call(&command).integer() > 0);
        eventually("there is room again", || (client.run("SET a b") == Reply::ok()).then_some(()));
        assert_eq!(client.run("CONFIG SET maxmemory 0"), Reply::ok());
        assert_eq!(fill(&mut client, "more", 0..6000, &[]), 6000);
    }
}

fn check_policy(policy: &str) {
    for shards in [1, 4] {
        let node = Start::ringfort(shards).option("--maxmemory-policy", policy).node();
        let mut client = node.connect();
        let limit = limit_memory(&mut client, 4 * MEGABYTE);
        assert_eq!(fill(&mut client, "ever", 0..500, &[]), 500);
        for start in (0..10_000).step_by(1000) {
            assert_eq!(
                fill(&mut client, "volatile", start..start + 1000, &["EX", "10000"]),
                1000,
                "{policy}"
            );
            let used = used_memory(&mut client);
            assert!(
                used < limit + MEGABYTE / 2,
                "{policy}, {shards} shards: {used} used of {limit}"
            );
        }
        // Counted without a limit, so that the counting itself evicts nothing.
        assert_eq!(client.run("CONFIG SET maxmemory 0"), Reply::ok());
        let evicted = evicted_keys(&mut client) as usize;
        let (ever, volatile) =
            (existing(&mut client, "ever", 0..500), existing(&mut client, "volatile", 0..10_000));
        assert_eq!(ever + volatile, 10_500 - evicted);
        assert_eq!(client.run("DBSIZE").integer() as usize, ever + volatile);
        assert_eq!(client.call(&["CONFIG", "SET", "maxmemory", &limit.to_string()]), Reply::ok());
        assert!((1000..4200).contains(&(ever + volatile)), "{policy}: {ever} + {volatile} left");
        if policy.starts_with("volatile") {
            assert_eq!(ever, 500, "{policy} evicted a key without time to live");
            // With none of them left nothing can be evicted.
            let worked = fill(&mut client, "more", 0..6000, &[]);
            assert!((1000..4200).contains(&worked), "{policy}: {worked}");
            assert_eq!(existing(&mut client, "volatile", 0..10_000), 0, "{policy}");
            client.run("CONFIG SET maxmemory 100kb");
            assert_eq!(client.run("SET a b").error(), OUT_OF_MEMORY);
            assert_eq!(existing(&mut client, "ever", 0..500), 500);
        } else {
            assert_eq!(fill(&mut client, "more", 0..6000, &[]), 6000, "{policy}");
        }
        let used = used_memory(&mut client);
        assert!(used < limit + MEGABYTE / 2, "{policy}, {shards} shards: {used} used of {limit}");
    }
}

macro_rules! policies {
    ($($name:ident: $policy:literal;)*) => {
        mod each_policy_keeps_the_limit_and_evicts_its_own {
            $(#[test] fn $name() { super::check_policy($policy); })*
        }
    };
}

policies! {
    allkeys_lru: "allkeys-lru";
    allkeys_lfu: "allkeys-lfu";
    allkeys_random: "allkeys-random";
    volatile_lru: "volatile-lru";
    volatile_lfu: "volatile-lfu";
    volatile_random: "volatile-random";
    volatile_ttl: "volatile-ttl";
}

#[test]
fn the_limit_is_the_nodes_not_a_shards() {
    let node = Start::ringfort(4).option("--maxmemory-policy", "volatile-lru").node();
    let mut client = node.connect();
    limit_memory(&mut client, 8 * MEGABYTE);
    // One slot may take more than a fourth of it.
    assert_eq!(fill(&mut client, "{one}", 0..4000, &["EX", "10000"]), 4000);
    assert_eq!(evicted_keys(&mut client), 0);
    // Writes elsewhere evict there, as long as there is anything to evict.
    let worked = fill(&mut client, "{other}", 0..9000, &[]);
    assert!((3500..8300).contains(&worked), "{worked}");
    assert_eq!(existing(&mut client, "{one}", 0..4000), 0);
    assert_eq!(evicted_keys(&mut client), 4000);
    client.run("CONFIG SET maxmemory 100kb");
    assert_eq!(client.run("SET {third} x").error(), OUT_OF_MEMORY);
}

#[test]
fn volatile_ttl_evicts_the_nearest_first() {
    for shards in [1, 4] {
        let node = Start::ringfort(shards).option("--maxmemory-policy", "volatile-ttl").node();
        let mut client = node.connect();
        let mut random = Random::new(3);
        let ttls: Vec<usize> = (0..3000).map(|_| 1000 + random.below(1_000_000)).collect();
        for (number, ttl) in ttls.iter().enumerate() {
            fill(&mut client, "key", number..number + 1, &["EX", &ttl.to_string()]);
        }
        limit_memory(&mut client, 0);
        assert_eq!(fill(&mut client, "ever", 0..1200, &[]), 1200);
        let mut by_ttl: Vec<usize> = (0..3000).collect();
        by_ttl.sort_by_key(|number| ttls[*number]);
        let mut left = |numbers: &[usize]| {
            numbers
                .iter()
                .filter(|number| existing(&mut client, "key", **number..**number + 1) == 1)
                .count()
        };
        let (nearest, farthest) = (left(&by_ttl[..750]), left(&by_ttl[2250..]));
        // A sampled choice is not exact; a choice without regard to time would leave about 450 of each.
        assert!(nearest < 150, "{nearest} of the nearest 750 are left on {shards} shards");
        assert!(farthest > 700, "{farthest} of the farthest 750 are left on {shards} shards");
    }
}

#[test]
fn lru_spares_what_was_used_lately() {
    for shards in [1, 4] {
        let node = Start::ringfort(shards).option("--maxmemory-policy", "allkeys-lru").node();
        let mut client = node.connect();
        assert_eq!(fill(&mut client, "key", 0..3000, &[]), 3000);
        eventually("the keys have been idle for some seconds", || {
            (client.run("OBJECT IDLETIME key:2999").integer() >= 3).then_some(())
        });
        let keys: Vec<String> = (0..600).map(|number| format!("key:{number}")).collect();
        for name in ["MGET", "TOUCH"] {
            client.call(&[&[name.to_owned()], keys.as_slice()].concat());
        }
        limit_memory(&mut client, 0);
        assert_eq!(fill(&mut client, "new", 0..1000, &[]), 1000);
        let (used, idle) =
            (existing(&mut client, "key", 0..600), existing(&mut client, "key", 600..3000));
        assert!(evicted_keys(&mut client) > 500);
        assert!(used > 560, "{used} of 600 keys used lately are left on {shards} shards");
        assert!(idle < 2000, "{idle} of 2400 idle keys are left on {shards} shards");
    }
}

#[test]
fn lfu_spares_what_is_used_often() {
    for shards in [1, 4] {
        let node = Start::ringfort(shards).option("--maxmemory-policy", "allkeys-lfu").node();
        let mut client = node.connect();
        assert_eq!(fill(&mut client, "key", 0..3000, &[]), 3000);
        let often: Vec<String> = (0..300).map(|number| format!("key:{number}")).collect();
        let touch = [&["TOUCH".to_owned()], often.as_slice()].concat();
        let replies = client.pipeline(&vec![touch; 150]);
        assert!(replies.iter().all(|reply| *reply == Reply::Integer(300)));
        limit_memory(&mut client, 0);
        assert_eq!(fill(&mut client, "new", 0..1500, &[]), 1500);
        assert!(evicted_keys(&mut client) > 1000);
        let left = existing(&mut client, "key", 0..300);
        assert!(left > 285, "{left} of 300 often used keys are left on {shards} shards");
    }
}

#[test]
fn idle_times_and_frequencies_are_told() {
    let node = Node::ringfort(2);
    let mut client = node.connect();
    client.run("SET a value");
    assert_eq!(
        client.run("OBJECT FREQ a").error(),
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust."
    );
    eventually("a has been idle for a second", || {
        (client.run("OBJECT IDLETIME a").integer() >= 1).then_some(())
    });
    // Looking at it from outside is no use of it; reading is.
    client.run("OBJECT ENCODING a");
    client.run("TTL a");
    client.run("TYPE a");
    assert!(client.run("OBJECT IDLETIME a").integer() >= 1);
    client.run("GET a");
    assert_eq!(client.run("OBJECT IDLETIME a"), Reply::Integer(0));
    assert_eq!(client.run("OBJECT IDLETIME none"), Reply::NullBulk);

    assert_eq!(client.run("CONFIG SET maxmemory-policy allkeys-lfu"), Reply::ok());
    assert_eq!(
        client.run("OBJECT IDLETIME a").error(),
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust."
    );
    client.run("SET b value");
    let fresh = client.run("OBJECT FREQ b").integer();
    assert_eq!(fresh, 5);
    let replies = client.pipeline(&vec![vec!["GET", "b"]; 400]);
    assert!(replies.iter().all(|reply| *reply == Reply::bulk("value")));
    let often = client.run("OBJECT FREQ b").integer();
    // The counter is logarithmic and random: 400 reads give about 10 or more.
    assert!((7..=40).contains(&often), "{often}");
    assert_eq!(client.run("OBJECT FREQ none"), Reply::NullBulk);
}

#[test]
fn evictions_and_expiries_are_announced() {
    let node = Start::ringfort(2)
        .option("--maxmemory-policy", "allkeys-random")
        .option("--notify-keyspace-events", "Ee")
        .node();
    let mut client = node.connect();
    let mut subscriber = node.connect();
    subscriber.run("PSUBSCRIBE __keyevent@0__:evicted");
    limit_memory(&mut client, MEGABYTE);
    fill(&mut client, "key", 0..2000, &[]);
    let evicted = evicted_keys(&mut client);
    assert!(evicted > 500, "{evicted}");
    for _ in 0..evicted {
        let parts = subscriber.read().texts();
        assert!(parts[2] == "__keyevent@0__:evicted" && parts[3].starts_with("key:"), "{parts:?}");
    }
}
