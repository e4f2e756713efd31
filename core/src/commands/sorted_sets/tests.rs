//! The sorted set commands, as their callers see them: what the comparison with Redis in `node/tests` does not: effects,
//! events, what is left to chance, waiting, and what came with 7.2.

use crate::collections::{Limits, listpack};
use crate::commands::testing::TestShard;
use crate::resp::Protocol;
use crate::store::{OwnedEntry, Packing};

/// A shard on which sorted sets of more than three members are large.
fn with_large_sets() -> TestShard {
    let mut test = TestShard::default();
    test.shard.settings.limits = Limits { zset_max_listpack_entries: 3, ..Limits::default() };
    test
}

/// Sets are another family's; this one only reads them.
fn put_sets(test: &mut TestShard) {
    let listpack = listpack::from_texts([&b"a"[..], b"b", b"7"]);
    // The integers 7 and 9 of two bytes each.
    let intset = [2, 0, 0, 0, 2, 0, 0, 0, 7, 0, 9, 0];
    for (key, packing, packed) in
        [(b"set", Packing::Set, &listpack[..]), (b"int", Packing::Intset, &intset)]
    {
        let entry = OwnedEntry::packed(key, packing, packed, None, 0);
        let key = test.shard.hasher.key(key);
        test.shard.databases[0].insert(&key, entry);
    }
}

#[test]
fn what_changes_nothing_has_no_effect() {
    for mut test in [TestShard::default(), with_large_sets()] {
        test.check_effects("ZADD z 1 a 2 b 3 c 4 d", &["ZADD z 1 a 2 b 3 c 4 d"]);
        test.check_effects("ZADD z 1 a", &[]);
        test.check_effects("ZADD z NX 5 a", &[]);
        test.check_effects("ZADD z XX 5 e", &[]);
        test.check_effects("ZADD z GT 0 a", &[]);
        test.check_effects("ZADD z GT CH 5 a", &["ZADD z GT CH 5 a"]);
        test.check_effects("ZINCRBY z 0 a", &[]);
        test.check_effects("ZINCRBY z -1.5 a", &["ZINCRBY z -1.5 a"]);
        test.check_effects("ZREM z x y", &[]);
        test.check_effects("ZREM z a x", &["ZREM z a x"]);
        test.check_effects("ZREMRANGEBYSCORE z 8 9", &[]);
        test.check_effects("ZPOPMIN absent", &[]);
        test.check_effects("ZPOPMAX z 0", &[]);
        test.check_effects("ZPOPMAX z 1", &["ZPOPMAX z 1"]);
        test.check_effects("ZMPOP 2 absent z MIN COUNT 9", &["ZPOPMIN z 2"]);
        test.check_effects("ZUNIONSTORE z 1 absent", &[]);
        test.check_effects("ZADD z 1 a", &["ZADD z 1 a"]);
        test.check_effects("BZPOPMIN absent z 0", &["ZPOPMIN z"]);
    }
}

#[test]
fn each_change_is_an_event() {
    let mut test = TestShard::with_events("KEAn");
    test.check_events("ZADD z 1 a 2 b", &["new z", "zadd z"]);
    test.check_events("ZADD z INCR 1 a", &["zincr z"]);
    test.check_events("ZINCRBY z 1 a", &["zincr z"]);
    test.check_events("ZREM z a", &["zrem z"]);
    test.check_events("ZPOPMIN z", &["zpopmin z", "del z"]);
    test.run("ZADD z 1 a 2 b 3 c 4 d");
    test.check_events("ZREMRANGEBYRANK z 0 0", &["zremrangebyrank z"]);
    test.check_events("ZREMRANGEBYSCORE z 2 2", &["zremrangebyscore z"]);
    test.check_events("ZRANGESTORE y z 0 -1", &["new y", "zrangestore y"]);
    test.check_events("ZRANGESTORE y z 5 6", &["del y"]);
    test.check_events("ZUNIONSTORE y 1 z", &["new y", "zunionstore y"]);
    test.check_events("ZINTERSTORE y 1 z", &["zinterstore y"]);
    test.check_events("ZDIFFSTORE y 1 z", &["zdiffstore y"]);
    test.check_events("ZREMRANGEBYLEX z - +", &["zremrangebylex z", "del z"]);
}

#[test]
fn pairs_are_nested_in_resp3_only() {
    for mut test in [TestShard::default(), with_large_sets()] {
        test.run("ZADD z 1 a 2.5 b 3 c 4 d");
        test.check(&[
            ("ZRANGE z 0 1 WITHSCORES", r#"["a" "1" "b" "2.5"]"#),
            ("ZPOPMAX z 1", r#"["d" "4"]"#),
            ("ZMPOP 1 z MAX", r#"["z" [["c" "3"]]]"#),
            ("ZRANK z b WITHSCORE", r#"[1 "2.5"]"#),
            ("ZREVRANK z a WITHSCORE", r#"[1 "1"]"#),
            ("ZRANK z x", "nil"),
            ("ZRANK z a WITHSCORES", "-ERR syntax error"),
        ]);
        test.protocol = Protocol::Resp3;
        let range = test.run("ZRANGE z 0 -1 WITHSCORES");
        assert_eq!(range, r#"[["a" 1] ["b" 2.5]]"#);
        assert_eq!(test.run("ZUNION 1 z WITHSCORES"), range);
        assert_eq!(test.run("ZPOPMIN z"), r#"["a" 1]"#);
        assert_eq!(test.run("ZPOPMIN z 1"), r#"[["b" 2.5]]"#);
    }
}

#[test]
fn sets_take_part_with_the_score_one() {
    let mut test = TestShard::default();
    put_sets(&mut test);
    test.check(&[
        ("ZADD z 2 a 3 7 4 x", "3"),
        ("ZUNION 2 z set WITHSCORES", r#"["b" "1" "a" "3" "7" "4" "x" "4"]"#),
        ("ZINTER 2 z set WEIGHTS 2 10 WITHSCORES", r#"["a" "14" "7" "16"]"#),
        ("ZINTER 3 z set int WITHSCORES", r#"["7" "5"]"#),
        ("ZINTERCARD 2 z set", "2"),
        ("ZINTERCARD 2 z set LIMIT 1", "1"),
        ("ZDIFF 2 set z", r#"["b"]"#),
        ("ZDIFF 2 int set WITHSCORES", r#"["9" "1"]"#),
        ("ZDIFF 2 z z", "[]"),
        ("ZUNIONSTORE set 2 set int", "4"),
        ("ZRANGE set 0 -1 WITHSCORES", r#"["9" "1" "a" "1" "b" "1" "7" "2"]"#),
        ("ZADD int 1 a", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ]);
}

#[test]
fn a_large_set_does_what_a_packed_one_does() {
    let mut packed = TestShard::default();
    let mut large = with_large_sets();
    let lines = [
        "ZADD z 5 e 1 a 3 c 2 b 4 d -1 7 inf i",
        "ZRANGE z (1 4 BYSCORE WITHSCORES",
        "ZRANGE z 4 1 BYSCORE REV LIMIT 1 2",
        "ZRANGE z -inf inf BYSCORE LIMIT -1 2",
        "ZREVRANGE z 0 2",
        "ZRANK z c",
        "ZREVRANK z c",
        "ZCOUNT z (1 (5",
        "ZMSCORE z a x i",
        "ZINCRBY z 10 a",
        "ZINCRBY z -inf i",
        "ZREMRANGEBYRANK z 1 2",
        "ZRANGE z 0 -1 WITHSCORES",
    ];
    for line in lines {
        assert_eq!(packed.run(line), large.run(line), "{line}");
    }
    assert_eq!(packed.run("OBJECT ENCODING z"), r#""listpack""#);
    assert_eq!(large.run("OBJECT ENCODING z"), r#""skiplist""#);
}

#[test]
fn members_at_random_are_members() {
    for (mut test, all) in [(TestShard::default(), 3), (with_large_sets(), 9)] {
        for number in 0..all {
            test.run(&format!("ZADD z {number} m{number}"));
        }
        let members = |reply: &str| -> Vec<usize> {
            let names = reply.trim_matches(['[', ']']).split_whitespace();
            names.map(|name| name.trim_matches(['"', 'm']).parse().expect("a member")).collect()
        };
        for count in 1..=all + 2 {
            let mut some = members(&test.run(&format!("ZRANDMEMBER z {count}")));
            some.sort_unstable();
            some.dedup();
            assert_eq!(some.len(), count.min(all));
            assert!(some.iter().all(|&number| number < all));
            assert_eq!(members(&test.run(&format!("ZRANDMEMBER z -{count}"))).len(), count);
        }
        let mut seen = [0; 9];
        for _ in 0..200 {
            seen[members(&test.run("ZRANDMEMBER z"))[0]] += 1;
        }
        assert!(seen[..all].iter().all(|&times| times > 0));
        let pair = test.run("ZRANDMEMBER z 1 WITHSCORES");
        let (member, score) = pair.trim_matches(['[', ']']).split_once(' ').expect("a pair");
        assert_eq!(member.trim_matches(['"', 'm']), score.trim_matches('"'));
        test.check(&[
            ("ZRANDMEMBER absent", "nil"),
            ("ZRANDMEMBER absent 3", "[]"),
            ("ZRANDMEMBER z 0", "[]"),
            ("ZRANDMEMBER z 1 x", "-ERR syntax error"),
            ("ZRANDMEMBER z -9223372036854775808", "-ERR value is out of range"),
        ]);
    }
}

#[test]
fn a_scan_shows_every_member() {
    let mut test = with_large_sets();
    for number in 0..500 {
        test.run(&format!("ZADD z {number} m{number}"));
    }
    let (mut cursor, mut seen) = ("0".to_owned(), Vec::new());
    loop {
        let reply = test.run(&format!("ZSCAN z {cursor} COUNT 20 MATCH m*"));
        let (next, rest) = reply[1..].split_once(' ').expect("a cursor");
        let rest = rest.trim_matches(['[', ']']).to_owned();
        seen.extend(rest.split_whitespace().step_by(2).map(str::to_owned));
        cursor = next.trim_matches('"').to_owned();
        if cursor == "0" {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 500);
    test.check(&[
        ("ZADD few 1 a 2.5 b", "2"),
        ("ZSCAN few 0", r#"["0" ["a" "1" "b" "2.5"]]"#),
        ("ZSCAN few 0 MATCH b", r#"["0" ["b" "2.5"]]"#),
        ("ZSCAN few 0 TYPE zset", "-ERR syntax error"),
        ("ZSCAN absent 0", r#"["0" []]"#),
    ]);
}

#[test]
fn who_waits_is_served_when_there_is_a_sorted_set() {
    let mut test = TestShard::default();
    test.check(&[
        ("BZPOPMIN a b 0", "nil"),
        ("BZMPOP 0 2 a b MIN", "nil"),
        ("BZPOPMIN a -1", "-ERR timeout is negative"),
        ("SET s x", "OK"),
        ("BZPOPMIN a s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("ZADD b 2 y 1 x 3 z", "3"),
        ("BZPOPMIN a b s 0", r#"["b" "x" "1"]"#),
        ("BZPOPMAX a b 0", r#"["b" "z" "3"]"#),
        ("BZMPOP 0 2 a b MIN COUNT 5", r#"["b" [["y" "2"]]]"#),
        ("EXISTS b", "0"),
    ]);
}

#[test]
fn no_score_is_nan() {
    let mut test = TestShard::default();
    test.check(&[
        ("ZADD z inf a", "1"),
        ("ZADD z nan a", "-ERR value is not a valid float"),
        ("ZINCRBY z -inf a", "-ERR resulting score is not a number (NaN)"),
        ("ZUNION 2 z z WEIGHTS 1 -1 WITHSCORES", r#"["a" "0"]"#),
        ("ZUNION 1 z WEIGHTS 0 WITHSCORES", r#"["a" "0"]"#),
    ]);
}
