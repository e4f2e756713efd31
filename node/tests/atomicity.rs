//! Commands and transactions over keys of all shards are atomic and isolated, whatever core a
//! connection is on, and one connection's writes become visible in the order it sent them.
//!
//! Each test runs many clients for a bounded number of rounds and checks what must hold in every reply.

mod common;

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;

use common::client::words;
use common::{Client, Meeting, Node, Random, Reply};

/// The test on nodes of one, two and four shards.
macro_rules! on_shards {
    ($name:ident, $check:path) => {
        mod $name {
            #[test]
            fn on_one_shard() {
                $check(&super::Node::ringfort(1));
            }
            #[test]
            fn on_two_shards() {
                $check(&super::Node::ringfort(2));
            }
            #[test]
            fn on_four_shards() {
                $check(&super::Node::ringfort(4));
            }
        }
    };
}

on_shards!(readers_never_see_half_of_a_multi_key_write, super::check_whole_writes);
on_shards!(watched_increments_add_up, super::check_watched_increments);
on_shards!(writes_of_one_connection_become_visible_in_order, super::check_visible_order);
on_shards!(msetnx_sets_all_or_nothing, super::check_msetnx);
on_shards!(a_renamed_key_is_always_in_exactly_one_place, super::check_rename);
on_shards!(copies_are_whole, super::check_copy);
on_shards!(deletions_are_counted_once, super::check_deletions);
on_shards!(swapped_databases_change_places_at_once, super::check_swapdb);
on_shards!(transactions_in_all_directions_do_not_block_each_other, super::check_no_deadlock);
on_shards!(a_stream_of_transactions_lets_others_have_their_turn, super::check_no_starvation);
on_shards!(a_transaction_without_memory_runs_not_at_all, super::check_out_of_memory);
on_shards!(unwanted_replies_stay_away_wherever_they_come_from, super::check_reply_modes);

/// Enough keys that four shards hold several each.
fn spread_keys(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("spread:{number}")).collect()
}

fn mset(keys: &[String], value: &str) -> Vec<String> {
    let pairs = keys.iter().flat_map(|key| [key.clone(), value.to_owned()]);
    ["MSET".to_owned()].into_iter().chain(pairs).collect()
}

fn with_keys(name: &str, keys: &[String]) -> Vec<String> {
    [name.to_owned()].into_iter().chain(keys.iter().cloned()).collect()
}

/// MULTI, the commands, EXEC in one pipeline; gives EXEC's reply.
fn transaction(client: &mut Client, commands: &[Vec<String>]) -> Reply {
    let mut all = vec![vec!["MULTI".to_owned()]];
    all.extend_from_slice(commands);
    all.push(vec!["EXEC".to_owned()]);
    client.pipeline(&all).pop().unwrap()
}

fn check_whole_writes(node: &Node) {
    let keys = spread_keys(12);
    node.connect().call(&mset(&keys, "start"));
    let writing = AtomicBool::new(true);
    let reads = AtomicI64::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let keys = &keys;
                scope.spawn(move || {
                    let mut client = node.connect();
                    for round in 0..250 {
                        let value = format!("{writer}:{round}");
                        if writer % 2 == 0 {
                            assert_eq!(client.call(&mset(keys, &value)), Reply::ok());
                        } else {
                            let set =
                                |key: &String| vec!["SET".to_owned(), key.clone(), value.clone()];
                            let commands: Vec<_> = keys.iter().map(set).collect();
                            let reply = transaction(&mut client, &commands);
                            assert_eq!(reply, Reply::Array(vec![Reply::ok(); keys.len()]));
                        }
                    }
                })
            })
            .collect();
        for reader in 0..3 {
            let (keys, writing, reads) = (&keys, &writing, &reads);
            scope.spawn(move || {
                let mut client = node.connect();
                while writing.load(Ordering::Relaxed) {
                    let values = if reader % 2 == 0 {
                        client.call(&with_keys("MGET", keys))
                    } else {
                        let get = |key: &String| vec!["GET".to_owned(), key.clone()];
                        transaction(&mut client, &keys.iter().map(get).collect::<Vec<_>>())
                    };
                    let values = values.members();
                    assert_eq!(values.len(), keys.len());
                    assert!(
                        values.iter().all(|value| value == &values[0]),
                        "half a write: {values:?}"
                    );
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        finish(writers, &writing);
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
}

/// Waits for the writers, then lets the readers end, also when a writer failed.
fn finish(writers: Vec<thread::ScopedJoinHandle<'_, ()>>, writing: &AtomicBool) {
    let results: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
    writing.store(false, Ordering::Relaxed);
    for result in results {
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }
}

fn check_watched_increments(node: &Node) {
    let keys = spread_keys(3);
    node.connect().call(&mset(&keys, "0"));
    let lost = AtomicI64::new(0);
    thread::scope(|scope| {
        for _ in 0..5 {
            let (keys, lost) = (&keys, &lost);
            scope.spawn(move || {
                let mut client = node.connect();
                let mut done = 0;
                while done < 60 {
                    assert_eq!(client.call(&with_keys("WATCH", keys)), Reply::ok());
                    let values: Vec<i64> =
                        keys.iter().map(|key| client.call(&["GET", key]).number()).collect();
                    let commands: Vec<_> = keys
                        .iter()
                        .zip(values)
                        .map(|(key, value)| {
                            vec!["SET".to_owned(), key.clone(), (value + 1).to_string()]
                        })
                        .collect();
                    match transaction(&mut client, &commands) {
                        Reply::NullArray => drop(lost.fetch_add(1, Ordering::Relaxed)),
                        reply => {
                            assert_eq!(reply, Reply::Array(vec![Reply::ok(); keys.len()]));
                            done += 1;
                        }
                    }
                }
            });
        }
    });
    let values = node.connect().call(&with_keys("MGET", &keys));
    assert_eq!(values.texts(), vec!["300"; keys.len()], "{} lost", lost.into_inner());
}

fn check_visible_order(node: &Node) {
    let keys = spread_keys(8);
    node.connect().call(&mset(&keys, "0"));
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        let (keys, writing) = (&keys, &writing);
        let writer = scope.spawn(move || {
            let mut client = node.connect();
            for batch in 0..40 {
                let set = |number: usize| {
                    let key = keys[number % keys.len()].clone();
                    vec!["SET".to_owned(), key, (number / keys.len() + 1).to_string()]
                };
                let commands: Vec<_> = (0..30 * keys.len())
                    .map(|number| set(batch * 30 * keys.len() + number))
                    .collect();
                assert!(client.pipeline(&commands).iter().all(|reply| *reply == Reply::ok()));
            }
        });
        for reader in 0..3 {
            scope.spawn(move || {
                let mut client = node.connect();
                while writing.load(Ordering::Relaxed) {
                    // The later written is read first, one after the other, or all at once.
                    let values: Vec<i64> = if reader == 0 {
                        client
                            .call(&with_keys("MGET", keys))
                            .members()
                            .iter()
                            .map(Reply::number)
                            .collect()
                    } else {
                        let mut values: Vec<i64> = keys
                            .iter()
                            .rev()
                            .map(|key| client.call(&["GET", key]).number())
                            .collect();
                        values.reverse();
                        values
                    };
                    let in_order = values.windows(2).all(|pair| pair[0] >= pair[1]);
                    let at_once = reader != 0 || values[0] - values[values.len() - 1] <= 1;
                    assert!(
                        in_order && at_once,
                        "a later write was visible before an earlier: {values:?}"
                    );
                }
            });
        }
        finish(vec![writer], writing);
    });
    assert_eq!(node.connect().call(&with_keys("MGET", &keys)).texts(), vec!["1200"; keys.len()]);
}

fn check_msetnx(node: &Node) {
    const ROUNDS: usize = 120;
    const CLIENTS: usize = 4;
    let barrier = Meeting::of(CLIENTS);
    // Neighbours share keys: each client wants its own and the next one's.
    let wanted = |round: usize, client: usize| -> Vec<String> {
        (0..3).map(|number| format!("nx:{round}:{}", (client + number) % CLIENTS)).collect()
    };
    let winners: Vec<Vec<bool>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let mut connection = node.connect();
                    let mut won = Vec::new();
                    for round in 0..ROUNDS {
                        let mut command = mset(&wanted(round, client), &client.to_string());
                        command[0] = "MSETNX".to_owned();
                        barrier.wait();
                        won.push(connection.call(&command).integer() == 1);
                    }
                    won
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let mut connection = node.connect();
    for round in 0..ROUNDS {
        // Any two of the four wishes share a key, so exactly one is granted.
        let won: Vec<usize> = (0..CLIENTS)
            .zip(&winners)
            .filter(|(_, won)| won[round])
            .map(|(client, _)| client)
            .collect();
        assert_eq!(won.len(), 1, "round {round}");
        let keys: Vec<String> = (0..CLIENTS).map(|number| format!("nx:{round}:{number}")).collect();
        for (key, value) in keys.iter().zip(connection.call(&with_keys("MGET", &keys)).members()) {
            let expected = match wanted(round, won[0]).contains(key) {
                true => Reply::bulk(won[0].to_string()),
                false => Reply::NullBulk,
            };
            assert_eq!(value, &expected, "{key}");
        }
    }
}

fn check_rename(node: &Node) {
    let keys = spread_keys(9);
    node.connect().call(&["SET", &keys[0], "the only one", "PXAT", "32503680000123"]);
    let moving = AtomicBool::new(true);
    let moved = AtomicI64::new(0);
    thread::scope(|scope| {
        let movers: Vec<_> = (0..3)
            .map(|seed| {
                let (keys, moved) = (&keys, &moved);
                scope.spawn(move || {
                    let mut client = node.connect();
                    let mut random = Random::new(seed);
                    for _ in 0..1500 {
                        let (from, to) = (random.pick(keys), random.pick(keys));
                        let name = *random.pick(&["RENAME", "RENAMENX"]);
                        match client.call(&[name, from, to]) {
                            Reply::Error(text) => assert_eq!(text, "ERR no such key"),
                            // RENAMENX to itself finds the new name taken.
                            reply => {
                                let own = name == "RENAMENX" && from == to;
                                assert!(
                                    reply == Reply::ok()
                                        || reply == Reply::Integer(i64::from(!own)),
                                    "{reply}"
                                );
                                moved.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                })
            })
            .collect();
        for reader in 0..2 {
            let (keys, moving) = (&keys, &moving);
            scope.spawn(move || {
                let mut client = node.connect();
                while moving.load(Ordering::Relaxed) {
                    if reader == 0 {
                        assert_eq!(client.call(&with_keys("EXISTS", keys)), Reply::Integer(1));
                    } else {
                        let values = client.call(&with_keys("MGET", keys));
                        let there: Vec<_> =
                            values.members().iter().filter(|value| !value.is_nothing()).collect();
                        assert_eq!(there, [&Reply::bulk("the only one")]);
                    }
                }
            });
        }
        finish(movers, &moving);
    });
    assert!(moved.load(Ordering::Relaxed) > 0);
    let mut client = node.connect();
    assert_eq!(client.run("DBSIZE"), Reply::Integer(1));
    let place = client.run("RANDOMKEY").text();
    assert_eq!(client.call(&["PEXPIRETIME", &place]), Reply::Integer(32_503_680_000_123));
}

fn check_copy(node: &Node) {
    let keys = spread_keys(6);
    let value = |number: usize| format!("{number:04}").repeat(600);
    let copying = AtomicBool::new(true);
    node.connect().call(&mset(&keys, &value(0)));
    thread::scope(|scope| {
        let (keys, copying, value) = (&keys, &copying, &value);
        let mut workers = vec![scope.spawn(move || {
            let mut client = node.connect();
            for number in 1..400 {
                assert_eq!(client.call(&["SET", &keys[0], &value(number)]), Reply::ok());
            }
        })];
        for seed in 0..2 {
            workers.push(scope.spawn(move || {
                let mut client = node.connect();
                let mut random = Random::new(seed);
                for _ in 0..400 {
                    let (from, to) = (random.below(keys.len()), 1 + random.below(keys.len() - 1));
                    if from != to {
                        let copied = client.call(&["COPY", &keys[from], &keys[to], "REPLACE"]);
                        assert_eq!(copied, Reply::Integer(1));
                    }
                }
            }));
        }
        scope.spawn(move || {
            let mut client = node.connect();
            while copying.load(Ordering::Relaxed) {
                for copy in client.call(&with_keys("MGET", keys)).texts() {
                    assert_eq!(copy, copy[..4].repeat(600), "a torn copy");
                }
            }
        });
        finish(workers, copying);
    });
}

fn check_deletions(node: &Node) {
    const ROUNDS: usize = 100;
    const CLIENTS: usize = 4;
    let keys = spread_keys(16);
    let barrier = Meeting::of(CLIENTS);
    let deleted = AtomicI64::new(0);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (keys, barrier, deleted) = (&keys, &barrier, &deleted);
            scope.spawn(move || {
                let mut connection = node.connect();
                for round in 0..ROUNDS {
                    if client == 0 {
                        deleted.store(0, Ordering::SeqCst);
                        connection.call(&mset(keys, "x"));
                    }
                    barrier.wait();
                    let name = if round % 2 == 0 { "DEL" } else { "UNLINK" };
                    let count = connection.call(&with_keys(name, keys)).integer();
                    assert!(count == 0 || count == keys.len() as i64, "{name} took {count}");
                    deleted.fetch_add(count, Ordering::SeqCst);
                    assert_eq!(connection.call(&with_keys("EXISTS", keys)), Reply::Integer(0));
                    barrier.wait();
                    assert_eq!(deleted.load(Ordering::SeqCst), keys.len() as i64, "round {round}");
                    barrier.wait();
                }
            });
        }
    });
}

fn check_swapdb(node: &Node) {
    let keys = spread_keys(10);
    let mut client = node.connect();
    client.call(&mset(&keys, "zero"));
    client.run("SELECT 1");
    client.call(&mset(&keys, "one"));
    let swapping = AtomicBool::new(true);
    thread::scope(|scope| {
        let (keys, swapping) = (&keys, &swapping);
        let swapper = scope.spawn(move || {
            let mut client = node.connect();
            for _ in 0..301 {
                assert_eq!(client.run("SWAPDB 0 1"), Reply::ok());
            }
        });
        for database in 0..2 {
            scope.spawn(move || {
                let mut client = node.connect();
                client.run(&format!("SELECT {database}"));
                while swapping.load(Ordering::Relaxed) {
                    let values = client.call(&with_keys("MGET", keys)).texts();
                    assert!(
                        values.iter().all(|value| *value == values[0]),
                        "half swapped: {values:?}"
                    );
                }
            });
        }
        finish(vec![swapper], swapping);
    });
    assert_eq!(client.run("GET spread:0"), Reply::bulk("zero"));
}

/// Every kind of command that needs several shards, from every side at once, in deep pipelines.
fn check_no_deadlock(node: &Node) {
    let keys = spread_keys(10);
    thread::scope(|scope| {
        for seed in 0..6 {
            let keys = &keys;
            scope.spawn(move || {
                let mut client = node.connect();
                let mut random = Random::new(seed);
                for _ in 0..12 {
                    let mut commands: Vec<Vec<Vec<u8>>> = Vec::new();
                    while commands.len() < 150 {
                        let (first, second) = (random.pick(keys), random.pick(keys));
                        let line = match random.below(12) {
                            0 => format!("MSET {first} 1 {second} 2 {} 3", random.pick(keys)),
                            1 => format!("MGET {first} {second} {}", random.pick(keys)),
                            2 => format!("COPY {first} copy:{second} REPLACE"),
                            3 => format!("BITOP OR {first} {second} {}", random.pick(keys)),
                            4 => format!("DEL {first} {second}"),
                            5 => {
                                commands.push(words("MULTI"));
                                commands.push(words(&format!("SET {first} 5")));
                                commands.push(words(&format!("DEL {second}")));
                                "EXEC".to_owned()
                            }
                            6 => format!("EXISTS {first} {second}"),
                            7 => "DBSIZE".to_owned(),
                            8 => format!("SET {first} {}", "v".repeat(random.below(3000))),
                            9 => format!("PUBLISH {first} message"),
                            10 => format!("WATCH {first} {second}"),
                            _ => format!("GET {first}"),
                        };
                        commands.push(words(&line));
                    }
                    for (command, reply) in commands.iter().zip(client.pipeline(&commands)) {
                        assert!(!reply.is_error(), "{}: {reply}", common::client::show(command));
                    }
                }
            });
        }
    });
    assert_eq!(node.connect().run("PING"), Reply::Simple("PONG".into()));
}

/// More clients than a shard can serve at once stop it for one transaction after the other.
fn check_no_starvation(node: &Node) {
    let keys = spread_keys(12);
    node.connect().call(&mset(&keys, "start"));
    let reading = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..8 {
            let (keys, reading) = (&keys, &reading);
            scope.spawn(move || {
                let mut client = node.connect();
                let writes = vec![mset(keys, "value"); 20];
                while reading.load(Ordering::Relaxed) {
                    client.pipeline(&writes);
                }
            });
        }
        let mut clients: Vec<Client> = (0..4).map(|_| node.connect()).collect();
        for round in 0..40 {
            for client in &mut clients {
                assert!(!client.run(&format!("GET {}", keys[round % keys.len()])).is_error());
            }
        }
        reading.store(false, Ordering::Relaxed);
    });
}

fn check_reply_modes(node: &Node) {
    let keys = spread_keys(12);
    let mut client = node.connect();
    let mut commands = vec![words("CLIENT REPLY OFF")];
    commands.extend(keys.iter().map(|key| words(&format!("GET {key}"))));
    commands.push(words("NOSUCH"));
    commands.push(with_keys("MGET", &keys).into_iter().map(String::into_bytes).collect());
    commands.push(words("CLIENT REPLY ON"));
    for key in &keys {
        commands.push(words("CLIENT REPLY SKIP"));
        commands.push(words(&format!("GET {key}")));
    }
    // An error uses SKIP up, too.
    for line in ["CLIENT REPLY SKIP", "NOSUCH", "PING", "CLIENT REPLY SKIP", "EXEC", "ECHO end"] {
        commands.push(words(line));
    }
    commands.iter().for_each(|command| client.send_command(command));
    assert_eq!(client.read(), Reply::ok());
    assert_eq!(client.read(), Reply::Simple("PONG".into()));
    assert_eq!(client.read(), Reply::bulk("end"));
}

fn check_out_of_memory(node: &Node) {
    let keys = spread_keys(6);
    let (mut client, mut other) = (node.connect(), node.connect());
    client.run("MULTI");
    for key in &keys {
        client.run(&format!("SET {key} value"));
    }
    other.run("CONFIG SET maxmemory 1");
    let refused = client.run("EXEC").to_string();
    let reason = "EXECABORT Transaction discarded because of: OOM command not allowed";
    assert!(refused.contains(reason), "{refused}");
    other.run("CONFIG SET maxmemory 0");
    assert_eq!(client.call(&with_keys("EXISTS", &keys)), Reply::Integer(0));
    assert!(client.run("EXEC").is_error());
}
