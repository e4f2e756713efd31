//! The commands from the outside: replies, effects, events.

use super::is_ready;
use crate::args::OwnedArgs;
use crate::commands::testing::{TestShard, words};
use crate::keys::Keys;

#[track_caller]
fn check(lines: &[(&str, &str)]) {
    TestShard::default().check(lines);
}

const SYNTAX: &str = "-ERR syntax error";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn what_is_pushed_is_popped() {
    check(&[
        ("RPUSH l a b c", "3"),
        ("LPUSH l 1 2", "5"),
        ("LRANGE l 0 -1", r#"["2" "1" "a" "b" "c"]"#),
        ("LLEN l", "5"),
        ("LPOP l", "\"2\""),
        ("RPOP l", "\"c\""),
        ("LPOP l 2", r#"["1" "a"]"#),
        ("RPOP l 9", r#"["b"]"#),
        ("EXISTS l", "0"),
        ("LPOP l", "nil"),
        ("LPOP l 2", "nil"),
        ("LLEN l", "0"),
        ("LPUSHX l a", "0"),
        ("RPUSHX l a", "0"),
        ("LPUSH l a", "1"),
        ("RPUSHX l b c", "3"),
        ("LPUSHX l d", "4"),
        ("RPOP l 2", r#"["c" "b"]"#),
        ("TYPE l", "list"),
    ]);
}

#[test]
fn counts_of_pops_are_checked_first() {
    let negative = "-ERR value is out of range, must be positive";
    check(&[
        ("RPUSH l a b", "2"),
        ("LPOP l 0", "[]"),
        ("LPOP none 0", "nil"),
        ("LPOP none -1", negative),
        ("RPOP l x", negative),
        ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"),
        ("RPOP l 1 2", "-ERR wrong number of arguments for 'rpop' command"),
    ]);
}

#[test]
fn elements_are_reached_by_index() {
    check(&[
        ("RPUSH l a 2 c", "3"),
        ("LINDEX l 0", "\"a\""),
        ("LINDEX l 1", "\"2\""),
        ("LINDEX l -1", "\"c\""),
        ("LINDEX l 3", "nil"),
        ("LINDEX l -4", "nil"),
        ("LINDEX l x", NOT_INTEGER),
        ("LINDEX none x", "nil"),
        ("LSET l 1 b", "OK"),
        ("LSET l -1 3", "OK"),
        ("LSET l 3 x", "-ERR index out of range"),
        ("LSET l x x", NOT_INTEGER),
        ("LSET none x x", "-ERR no such key"),
        ("LRANGE l 0 -1", r#"["a" "b" "3"]"#),
        ("LRANGE l 1 1", r#"["b"]"#),
        ("LRANGE l -2 99", r#"["b" "3"]"#),
        ("LRANGE l 2 1", "[]"),
        ("LRANGE l 9 9", "[]"),
        ("LRANGE l 0 x", NOT_INTEGER),
        ("LRANGE none 0 -1", "[]"),
    ]);
}

#[test]
fn elements_are_inserted_beside_others() {
    check(&[
        ("RPUSH l a b a", "3"),
        ("LINSERT l BEFORE a x", "4"),
        ("LINSERT l after b y", "5"),
        ("LINSERT l BEFORE none z", "-1"),
        ("LINSERT none BEFORE a z", "0"),
        ("LINSERT l BESIDE a z", SYNTAX),
        ("LRANGE l 0 -1", r#"["x" "a" "b" "y" "a"]"#),
    ]);
}

#[test]
fn elements_are_removed() {
    check(&[
        ("RPUSH l a b a c a", "5"),
        ("LREM l 1 a", "1"),
        ("LREM l -1 a", "1"),
        ("LRANGE l 0 -1", r#"["b" "a" "c"]"#),
        ("LREM l 0 z", "0"),
        ("LREM none 0 a", "0"),
        ("LREM l x a", NOT_INTEGER),
        ("LTRIM l 1 -1", "OK"),
        ("LRANGE l 0 -1", r#"["a" "c"]"#),
        ("LTRIM none 0 0", "OK"),
        ("LTRIM l 0 x", NOT_INTEGER),
        ("LTRIM l 5 9", "OK"),
        ("EXISTS l", "0"),
        ("RPUSH l a a", "2"),
        ("LREM l 0 a", "2"),
        ("EXISTS l", "0"),
    ]);
}

#[test]
fn positions_are_found() {
    let zero = "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use \
                negative to start from the end of the list";
    check(&[
        ("RPUSH l a b c a b c a", "7"),
        ("LPOS l a", "0"),
        ("LPOS l a RANK 2", "3"),
        ("LPOS l a RANK -1", "6"),
        ("LPOS l a RANK -2 COUNT 0", "[3 0]"),
        ("LPOS l a COUNT 2", "[0 3]"),
        ("LPOS l a COUNT 0 MAXLEN 4", "[0 3]"),
        ("LPOS l a RANK -1 COUNT 0 MAXLEN 3", "[6]"),
        ("LPOS l z", "nil"),
        ("LPOS l z COUNT 1", "[]"),
        ("LPOS none a", "nil"),
        ("LPOS none a COUNT 1", "[]"),
        ("LPOS l a RANK 4", "nil"),
        ("LPOS l a RANK 0", zero),
        ("LPOS l a RANK x", NOT_INTEGER),
        ("LPOS l a COUNT -1", "-ERR COUNT can't be negative"),
        ("LPOS l a MAXLEN -1", "-ERR MAXLEN can't be negative"),
        ("LPOS l a COUNT", SYNTAX),
        ("LPOS l a WHAT 1", SYNTAX),
        (
            "LPOS l a RANK -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
    ]);
}

#[test]
fn elements_move_between_lists() {
    check(&[
        ("RPUSH a 1 2 3", "3"),
        ("LMOVE a b LEFT RIGHT", "\"1\""),
        ("RPOPLPUSH a b", "\"3\""),
        ("LRANGE b 0 -1", r#"["3" "1"]"#),
        ("LMOVE a a LEFT RIGHT", "\"2\""),
        ("LMOVE b b LEFT RIGHT", "\"3\""),
        ("LRANGE b 0 -1", r#"["1" "3"]"#),
        ("LMOVE a b RIGHT LEFT", "\"2\""),
        ("EXISTS a", "0"),
        ("LMOVE a b LEFT LEFT", "nil"),
        ("RPOPLPUSH a a", "nil"),
        ("LMOVE b a UP LEFT", SYNTAX),
        ("SET s x", "OK"),
        ("LMOVE a s LEFT LEFT", "nil"),
        ("LMOVE b s LEFT LEFT", WRONG_TYPE),
        ("RPOPLPUSH s b", WRONG_TYPE),
        ("LRANGE b 0 -1", r#"["2" "1" "3"]"#),
    ]);
}

#[test]
fn the_first_list_that_is_there_is_popped_from() {
    check(&[
        ("RPUSH b 1 2 3", "3"),
        ("LMPOP 2 a b LEFT", r#"["b" ["1"]]"#),
        ("LMPOP 2 a b RIGHT COUNT 9", r#"["b" ["3" "2"]]"#),
        ("LMPOP 2 a b LEFT", "nil"),
        ("EXISTS b", "0"),
        ("LMPOP 0 a LEFT", "-ERR numkeys should be greater than 0"),
        ("LMPOP x a LEFT", "-ERR numkeys should be greater than 0"),
        ("LMPOP 2 a LEFT", SYNTAX),
        ("LMPOP 9223372036854775807 a LEFT", SYNTAX),
        ("LMPOP 1 a UP", SYNTAX),
        ("LMPOP 1 a LEFT COUNT", SYNTAX),
        ("LMPOP 1 a LEFT COUNT 0", "-ERR count should be greater than 0"),
        ("LMPOP 1 a LEFT COUNT 1 COUNT 1", SYNTAX),
        ("BLMPOP -1 0 a LEFT", "-ERR numkeys should be greater than 0"),
        ("BLMPOP x 1 a LEFT", "-ERR timeout is not a float or out of range"),
        ("SET s x", "OK"),
        ("LMPOP 2 a s LEFT", WRONG_TYPE),
    ]);
}

#[test]
fn those_that_wait_act_at_once_if_they_can() {
    check(&[
        ("RPUSH b 1 2 3 4 5 6", "6"),
        ("BLPOP a b 0", r#"["b" "1"]"#),
        ("BRPOP a b 0.5", r#"["b" "6"]"#),
        ("BLMPOP 0 2 a b RIGHT COUNT 2", r#"["b" ["5" "4"]]"#),
        ("BLMOVE b a LEFT LEFT 0", "\"2\""),
        ("BRPOPLPUSH b a 0", "\"3\""),
        ("BLPOP b 0", "nil"),
        ("BLMPOP 0 1 b LEFT", "nil"),
        ("BLMOVE b a LEFT LEFT 0", "nil"),
        ("BRPOPLPUSH b a 0", "nil"),
        ("BLPOP b -1", "-ERR timeout is negative"),
        ("BLMOVE b a LEFT UP x", SYNTAX),
        ("SET s x", "OK"),
        ("BLPOP b s 0", WRONG_TYPE),
        ("BLMOVE s a LEFT LEFT 0", WRONG_TYPE),
        ("BLMOVE a s LEFT LEFT 0", WRONG_TYPE),
        ("LRANGE a 0 -1", r#"["3" "2"]"#),
    ]);
}

#[test]
fn a_wait_ends_when_there_is_a_list_to_take_from() {
    let mut test = TestShard::default();
    test.check(&[("RPUSH list a", "1"), ("SET string x", "OK")]);
    let mut ready = |line: &str, key: &str| {
        let args = OwnedArgs::new(words(line).iter().map(Vec::as_slice));
        let (database, now, caller) = (test.database, test.now, test.caller);
        let mut keys = Keys { shard: &mut test.shard, database, now, caller, first: None };
        let key = keys.key(key.as_bytes());
        is_ready(&mut keys, &args.args(), &key)
    };
    for line in
        ["BLPOP list string none 0", "BRPOP list string none 0", "blmpop 0 3 list string none LEFT"]
    {
        assert!(ready(line, "list"), "{line}");
        assert!(!ready(line, "string") && !ready(line, "none"), "{line}");
    }
    for line in ["BLMOVE list string LEFT LEFT 0", "brpoplpush list string 0"] {
        assert!(ready(line, "list") && !ready(line, "string"), "{line}");
    }
    assert!(!ready("BLMOVE none list LEFT LEFT 0", "list"));
    assert!(!ready("BRPOPLPUSH none list 0", "none"));
}

#[test]
fn other_types_are_refused() {
    let mut test = TestShard::default();
    test.check(&[("SET s x", "OK"), ("RPUSH l x", "1")]);
    for line in [
        "LPUSH s a",
        "RPUSHX s a",
        "LPOP s",
        "RPOP s 0",
        "LLEN s",
        "LINDEX s x",
        "LRANGE s 0 0",
        "LSET s x x",
        "LINSERT s AFTER a b",
        "LTRIM s 0 0",
        "LREM s 0 a",
        "LPOS s a",
    ] {
        assert_eq!(test.run(line), WRONG_TYPE, "{line}");
    }
    test.check(&[("GET l", WRONG_TYPE), ("GET s", "\"x\"")]);
}

#[test]
fn the_encoding_is_that_of_redis_7_2() {
    let mut test = TestShard::default();
    test.shard.settings.limits.list_max_listpack_size = 3;
    test.check(&[
        ("RPUSH l a b c", "3"),
        ("OBJECT ENCODING l", "\"listpack\""),
        ("RPUSH l d", "4"),
        ("OBJECT ENCODING l", "\"quicklist\""),
        ("RPOP l 2", r#"["d" "c"]"#),
        ("OBJECT ENCODING l", "\"quicklist\""),
        ("LREM l 0 a", "1"),
        ("OBJECT ENCODING l", "\"listpack\""),
        ("RPUSH m a b c d e f", "6"),
        ("OBJECT ENCODING m", "\"quicklist\""),
        ("LTRIM m 1 1", "OK"),
        ("OBJECT ENCODING m", "\"listpack\""),
        ("COPY m n", "1"),
        ("RPUSH m x x x", "4"),
        ("COPY m n REPLACE", "1"),
        ("LRANGE n 0 -1", r#"["b" "x" "x" "x"]"#),
        ("OBJECT ENCODING n", "\"quicklist\""),
    ]);
}

#[test]
fn effects_are_the_commands_but_for_those_that_wait_or_choose() {
    let mut test = TestShard::default();
    test.check_effects("RPUSH l a b c d e f g h", &["RPUSH l a b c d e f g h"]);
    test.check_effects("LPUSHX l x", &["LPUSHX l x"]);
    test.check_effects("LPUSHX none x", &[]);
    test.check_effects("LPOP l", &["LPOP l"]);
    test.check_effects("LPOP l 0", &[]);
    test.check_effects("LPOP none", &[]);
    test.check_effects("RPOP l 1", &["RPOP l 1"]);
    test.check_effects("LSET l 0 y", &["LSET l 0 y"]);
    test.check_effects("LSET l 99 y", &[]);
    test.check_effects("LINSERT l BEFORE y z", &["LINSERT l BEFORE y z"]);
    test.check_effects("LINSERT l BEFORE none z", &[]);
    test.check_effects("LTRIM l 0 -1", &[]);
    test.check_effects("LTRIM l 0 -2", &["LTRIM l 0 -2"]);
    test.check_effects("LREM l 0 z", &["LREM l 0 z"]);
    test.check_effects("LREM l 0 z", &[]);
    test.check_effects("LMPOP 2 none l LEFT COUNT 2", &["LPOP l 2"]);
    test.check_effects("BLMPOP 0 1 l RIGHT", &["RPOP l 1"]);
    test.check_effects("BLPOP none l 0", &["LPOP l"]);
    test.check_effects("BRPOP none 0", &[]);
    test.check_effects("RPUSH l a b c d", &["RPUSH l a b c d"]);
    test.check_effects("LMOVE l m LEFT RIGHT", &["LMOVE l m LEFT RIGHT"]);
    test.check_effects("LMOVE none m LEFT RIGHT", &[]);
    test.check_effects("RPOPLPUSH l l", &["RPOPLPUSH l l"]);
    test.check_effects("BLMOVE l m LEFT right 0", &["LMOVE l m LEFT right"]);
    test.check_effects("BRPOPLPUSH l m 5", &["RPOPLPUSH l m"]);
}

#[test]
fn events_come_in_the_order_of_redis() {
    let mut test = TestShard::with_events("KEAn");
    test.check_events("RPUSH l a b c d", &["new l", "rpush l"]);
    test.check_events("LPUSH l x", &["lpush l"]);
    test.check_events("LPOP l", &["lpop l"]);
    test.check_events("LPOP l 0", &[]);
    test.check_events("LTRIM l 0 -1", &["ltrim l"]);
    test.check_events("LSET l 0 y", &["lset l"]);
    test.check_events("LINSERT l AFTER y z", &["linsert l"]);
    test.check_events("LREM l 0 z", &["lrem l"]);
    test.check_events("LREM l 0 z", &[]);
    test.check_events("LMOVE l m LEFT RIGHT", &["new m", "rpush m", "lpop l"]);
    test.check_events("RPOPLPUSH m m", &["lpush m", "rpop m"]);
    test.check_events("RPOPLPUSH m l", &["lpush l", "rpop m", "del m"]);
    test.check_events("LMPOP 1 l LEFT COUNT 2", &["lpop l"]);
    test.check_events("BRPOP l 0", &["rpop l"]);
    test.check_events("LTRIM l 9 9", &["ltrim l", "del l"]);
}

#[test]
fn changes_are_counted_by_element() {
    let mut test = TestShard::default();
    let mut changes = |line: &str| {
        let before = test.shard.stats.dirty;
        test.run(line);
        test.shard.stats.dirty - before
    };
    for (line, count) in [
        ("RPUSH l a b c d e", 5),
        ("LPOP l 2", 2),
        ("LPOP l", 1),
        ("LMOVE l m LEFT LEFT", 1),
        ("RPUSH l x x", 2),
        ("LREM l 0 x", 2),
        ("LTRIM l 0 -1", 0),
        ("LTRIM l 1 0", 1),
    ] {
        assert_eq!(changes(line), count, "{line}");
    }
}
