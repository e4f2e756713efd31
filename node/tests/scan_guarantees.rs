//! SCAN's promise: a full iteration returns every key that was there from its beginning to its end, on
//! whatever connections its calls run and however the tables grow and shrink meanwhile.

mod common;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{Client, Node, Random, Reply};

/// One full iteration, its calls dealt out to the connections in turn.
fn scan(connections: &mut [Client], options: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut cursor = "0".to_owned();
    for call in 0.. {
        assert!(call < 2_000_000, "the iteration does not end");
        let words = [&["SCAN", cursor.as_str()], options].concat();
        let place = call % connections.len();
        let reply = connections[place].call(&words);
        let parts = reply.members();
        found.extend(parts[1].texts());
        cursor = parts[0].text();
        if cursor == "0" {
            break;
        }
    }
    found
}

fn set_all(client: &mut Client, keys: &[String]) {
    for chunk in keys.chunks(1000) {
        let words = chunk.iter().flat_map(|key| [key.clone(), "value".to_owned()]);
        let words: Vec<String> = ["MSET".to_owned()].into_iter().chain(words).collect();
        assert_eq!(client.call(&words), Reply::ok());
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}:{number}")).collect()
}

fn check_quiet(shards: usize) {
    let node = Node::ringfort(shards);
    let mut connections: Vec<Client> = (0..5).map(|_| node.connect()).collect();
    assert_eq!(scan(&mut connections, &[]), Vec::<String>::new());
    let mut expected = names("key", 3000);
    expected.extend(names("{tag}", 2000));
    expected.extend(names("other", 10));
    set_all(&mut connections[0], &expected);
    expected.sort();
    for options in
        [&["COUNT", "1"][..], &["COUNT", "3"], &[], &["COUNT", "500"], &["COUNT", "1000000"]]
    {
        let mut found = scan(&mut connections, options);
        found.sort();
        // Nothing moves, so nothing is repeated either.
        assert!(found == expected, "{options:?}: {} of {} keys", found.len(), expected.len());
    }
    let mut tagged = scan(&mut connections, &["MATCH", "{tag}*", "COUNT", "100"]);
    tagged.sort();
    let mut expected = names("{tag}", 2000);
    expected.sort();
    assert!(tagged == expected, "{} of the tagged", tagged.len());
    assert_eq!(scan(&mut connections, &["MATCH", "other:[12]", "TYPE", "string"]).len(), 2);
    assert_eq!(scan(&mut connections, &["TYPE", "string"]).len(), 5010);
    assert_eq!(scan(&mut connections, &["TYPE", "hash"]).len(), 0);
    // Databases are scanned one by one.
    for client in &mut connections {
        client.run("SELECT 5");
    }
    assert_eq!(scan(&mut connections, &[]), Vec::<String>::new());
    connections[0].run("SET only x");
    assert_eq!(scan(&mut connections, &[]), ["only"]);
}

#[test]
fn a_quiet_table_is_listed_once_and_whole_on_one_shard() {
    check_quiet(1);
}

#[test]
fn a_quiet_table_is_listed_once_and_whole_on_two_shards() {
    check_quiet(2);
}

#[test]
fn a_quiet_table_is_listed_once_and_whole_on_four_shards() {
    check_quiet(4);
}

/// Scanners run while others make the tables grow to many times their size, and shrink again.
fn check_growth(shards: usize) {
    let node = Node::ringfort(shards);
    let mut stable = names("stable", 500);
    // Many in one slot, whose table alone grows and shrinks.
    stable.extend(names("{slot}stable", 500));
    set_all(&mut node.connect(), &stable);
    let stable: HashSet<String> = stable.into_iter().collect();
    let scanning = AtomicBool::new(true);
    thread::scope(|scope| {
        let (node, stable, scanning) = (&node, &stable, &scanning);
        for churner in 0..2 {
            scope.spawn(move || {
                let mut client = node.connect();
                let mut random = Random::new(churner);
                while scanning.load(Ordering::Relaxed) {
                    let prefix = if random.one_in(2) { "{slot}" } else { "" };
                    let count = 500 + random.below(8000);
                    let keys = names(&format!("{prefix}churn{churner}"), count);
                    set_all(&mut client, &keys);
                    for chunk in keys.chunks(1000) {
                        let words: Vec<String> =
                            ["DEL".to_owned()].into_iter().chain(chunk.iter().cloned()).collect();
                        assert_eq!(client.call(&words), Reply::Integer(chunk.len() as i64));
                    }
                }
            });
        }
        let scanners: Vec<_> = (0..2)
            .map(|scanner| {
                scope.spawn(move || {
                    let mut connections: Vec<Client> = (0..3).map(|_| node.connect()).collect();
                    for round in 0..6 {
                        let options: &[&str] = match (scanner + round) % 3 {
                            0 => &["COUNT", "20"],
                            1 => &["MATCH", "*stable*", "COUNT", "50"],
                            _ => &["TYPE", "string", "COUNT", "200"],
                        };
                        let found: HashSet<String> =
                            scan(&mut connections, options).into_iter().collect();
                        let missed: Vec<_> = stable.difference(&found).take(5).collect();
                        assert!(missed.is_empty(), "{options:?}, round {round} missed {missed:?}");
                        let strange = found
                            .iter()
                            .find(|key| !stable.contains(*key) && !key.contains("churn"));
                        assert_eq!(strange, None);
                    }
                })
            })
            .collect();
        let results: Vec<_> = scanners.into_iter().map(|scanner| scanner.join()).collect();
        scanning.store(false, Ordering::Relaxed);
        for result in results {
            if let Err(panic) = result {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

#[test]
fn keys_there_throughout_are_never_missed_on_one_shard() {
    check_growth(1);
}

#[test]
fn keys_there_throughout_are_never_missed_on_two_shards() {
    check_growth(2);
}

#[test]
fn keys_there_throughout_are_never_missed_on_four_shards() {
    check_growth(4);
}

/// A cursor that stands in a table which then grows, or shrinks, by a factor of a hundred.
#[test]
fn a_cursor_survives_growth_and_shrinking_between_two_calls() {
    for shards in [1, 4] {
        for prefix in ["", "{slot}"] {
            let node = Node::ringfort(shards);
            let mut client = node.connect();
            let stable = names(&format!("{prefix}stable"), 300);
            let extra = names(&format!("{prefix}extra"), 20_000);
            set_all(&mut client, &stable);
            for grow in [true, false] {
                let mut found = HashSet::new();
                let mut cursor = "0".to_owned();
                for call in 0.. {
                    let reply = client.call(&["SCAN", &cursor, "COUNT", "50"]);
                    found.extend(reply.members()[1].texts());
                    cursor = reply.members()[0].text();
                    if cursor == "0" {
                        break;
                    }
                    if call == 2 && grow {
                        set_all(&mut client, &extra);
                    } else if call == 2 {
                        for chunk in extra.chunks(1000) {
                            let words: Vec<String> = ["DEL".to_owned()]
                                .into_iter()
                                .chain(chunk.iter().cloned())
                                .collect();
                            client.call(&words);
                        }
                    }
                }
                let missed: Vec<_> =
                    stable.iter().filter(|key| !found.contains(*key)).take(5).collect();
                assert!(
                    missed.is_empty(),
                    "{shards} shards, \"{prefix}\", grow {grow}: missed {missed:?}"
                );
            }
        }
    }
}

#[test]
fn any_number_is_a_cursor() {
    let node = Node::ringfort(4);
    let mut client = node.connect();
    set_all(&mut client, &names("key", 1000));
    let mut random = Random::new(11);
    for _ in 0..500 {
        let bits = random.below(64);
        let cursor = (random.next() >> bits).to_string();
        let reply = client.call(&["SCAN", &cursor]);
        assert_eq!(reply.members().len(), 2, "{cursor}: {reply}");
        assert!(reply.members()[0].text().parse::<u64>().is_ok(), "{cursor}: {reply}");
        assert!(reply.members()[1].texts().iter().all(|key| key.starts_with("key:")));
    }
    assert_eq!(client.run("SCAN 18446744073709551615").members().len(), 2);
    assert_eq!(client.run("SCAN 18446744073709551616").error(), "ERR invalid cursor");
}

#[test]
fn random_keys_come_from_everywhere() {
    for shards in [1, 4] {
        let node = Node::ringfort(shards);
        let mut client = node.connect();
        // A slot with many keys beside slots with one: each key is as likely as any other.
        let mut keys = names("{slot}many", 50);
        keys.extend(names("single", 50));
        set_all(&mut client, &keys);
        let replies = client.pipeline(&vec![vec!["RANDOMKEY"]; 4000]);
        let seen: Vec<String> = replies.iter().map(Reply::text).collect();
        let distinct: HashSet<&String> = seen.iter().collect();
        assert!(distinct.iter().all(|key| keys.contains(key)));
        assert!(
            distinct.len() > 90,
            "{} of 100 keys were drawn on {shards} shards",
            distinct.len()
        );
        let many = seen.iter().filter(|key| key.starts_with("{slot}")).count();
        assert!(
            (1000..3000).contains(&many),
            "{many} of 4000 from the full slot on {shards} shards"
        );
    }
}
