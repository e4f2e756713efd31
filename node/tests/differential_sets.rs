//! Commands on sets and HyperLogLogs: random sequences get the same replies, and leave the same data, as with Redis; and
//! their payloads of DUMP pass in both directions.

mod common;

use common::differential::compare;
use common::set_commands::sets;
use common::{Node, Random, Reply, Start};

#[test]
fn set_commands_answer_as_redis_on_one_shard() {
    compare("sets", 1, 6, 3000, sets);
}

#[test]
fn set_commands_answer_as_redis_on_four_shards() {
    compare("sets", 4, 6, 3000, sets);
}

#[test]
fn payloads_pass_between_redis_and_this_node() {
    for shards in [1, 4] {
        let (ours, theirs) = (Node::ringfort(shards), Start::redis().node());
        let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
        let mut random = Random::new(7);
        for (index, members) in [1, 3, 100, 128, 129, 512, 513, 5000].into_iter().enumerate() {
            for kind in ["integers", "texts", "both", "elements"] {
                let key = format!("{kind}:{index}");
                for _ in 0..members {
                    let number = random.between(-70_000, 70_000);
                    let member = match kind {
                        "integers" => number.to_string(),
                        "both" if number % 3 == 0 => number.to_string(),
                        _ => format!("member:{number}"),
                    };
                    let add = if kind == "elements" { "PFADD" } else { "SADD" };
                    assert!(!ours.call(&[add, &key, &member]).is_error());
                }
                let digest = ours.call(&["DEBUG", "DIGEST-VALUE", &key]);
                let payload = dumped(ours.call(&["DUMP", &key]));
                let restore = [&b"RESTORE"[..], key.as_bytes(), b"0", &payload];
                assert_eq!(theirs.call(&restore), Reply::ok(), "{key}");
                assert_eq!(theirs.call(&["DEBUG", "DIGEST-VALUE", &key]), digest, "{key}");
                let payload = dumped(theirs.call(&["DUMP", &key]));
                let back = [&b"RESTORE"[..], key.as_bytes(), b"0", &payload, b"REPLACE"];
                assert_eq!(ours.call(&back), Reply::ok(), "{key}");
                assert_eq!(ours.call(&["DEBUG", "DIGEST-VALUE", &key]), digest, "{key}");
                if kind == "elements" {
                    let counts = [&mut ours, &mut theirs].map(|one| one.call(&["PFCOUNT", &key]));
                    assert_eq!(counts[0], counts[1], "{key}");
                }
            }
        }
    }
}

fn dumped(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Bulk(payload) => payload,
        other => panic!("a payload, not {other}"),
    }
}
