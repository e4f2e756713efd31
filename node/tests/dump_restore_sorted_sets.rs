//! Sorted sets pass between Redis and this node as payloads of DUMP, in both directions, packed and large.

mod common;

use common::random::Random;
use common::words::value;
use common::{Client, Node, Reply, Start};

#[test]
fn sorted_sets_pass_between_redis_and_one_shard() {
    pass_payloads(1);
}

#[test]
fn sorted_sets_pass_between_redis_and_four_shards() {
    pass_payloads(4);
}

/// A set of about so many members.
fn fill(client: &mut Client, random: &mut Random, key: &[u8], members: usize) {
    for _ in 0..members {
        let score = match random.below(20) {
            0 => random.pick(&["inf", "-inf", "1e300", "-1e-300"]).to_string(),
            1..=5 => (random.between(-999, 999) as f64 / 7.0).to_string(),
            _ => random.between(-1_000_000, 1_000_000).to_string(),
        };
        let member = match random.below(4) {
            0 => value(random),
            1 => random.between(-70_000, 70_000).to_string().into_bytes(),
            _ => format!("member:{}", random.below(10_000)).into_bytes(),
        };
        let reply = client.call(&[b"ZADD", key, score.as_bytes(), &member]);
        assert!(!reply.is_error(), "{reply}");
    }
}

fn pass_payloads(shards: usize) {
    let (ours, theirs) = (Node::ringfort(shards), Start::redis().node());
    let (mut ours, mut theirs) = (ours.connect(), theirs.connect());
    let mut random = Random::new(1);
    for (index, members) in [1, 2, 5, 20, 127, 128, 129, 200, 3000].into_iter().enumerate() {
        let key = format!("key:{index}").into_bytes();
        fill(&mut ours, &mut random, &key, members);
        let digest = ours.call(&[&b"DEBUG"[..], b"DIGEST-VALUE", &key[..]]);
        let payload = dumped(ours.call(&[b"DUMP", &key[..]]));
        assert_eq!(theirs.call(&[b"RESTORE", &key[..], b"0", &payload]), Reply::ok());
        assert_eq!(theirs.call(&[&b"DEBUG"[..], b"DIGEST-VALUE", &key[..]]), digest);
        let payload = dumped(theirs.call(&[b"DUMP", &key[..]]));
        let back = [b"RESTORE", &key[..], b"0", &payload, b"REPLACE"];
        assert_eq!(ours.call(&back), Reply::ok());
        assert_eq!(ours.call(&[&b"DEBUG"[..], b"DIGEST-VALUE", &key[..]]), digest);
        let encodings = [&mut ours, &mut theirs]
            .map(|client| client.call(&[&b"OBJECT"[..], b"ENCODING", &key[..]]));
        assert_eq!(encodings[0], encodings[1], "{members} members");
    }
}

fn dumped(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Bulk(payload) => payload,
        other => panic!("expected a payload, got {other}"),
    }
}
