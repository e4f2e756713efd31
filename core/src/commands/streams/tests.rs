//! Replies, errors, effects and events; those of redis-server 7.0.15 where the versions agree, of 7.2 elsewhere.

use super::read;
use crate::args::OwnedArgs;
use crate::commands::testing::{NOW, TestShard, words};
use crate::keys::Keys;
use crate::resp::Protocol;

fn with_entries(count: u64) -> TestShard {
    let mut test = TestShard::default();
    for ms in 1..=count {
        test.run(&format!("XADD s {ms}-0 f v{ms}"));
    }
    test
}

fn keys(test: &mut TestShard) -> Keys<'_> {
    Keys { shard: &mut test.shard, database: 0, now: test.now, caller: test.caller, first: None }
}

#[test]
fn entries_get_ids_that_grow() {
    TestShard::default().check(&[
        ("XADD s 5-* a 1", "\"5-0\""),
        ("XADD s 5-* a 1 b 2", "\"5-1\""),
        ("XADD s 7 a 1", "\"7-0\""),
        ("XADD s * a 1", "\"1700000000000-0\""),
        ("XADD s * a 1", "\"1700000000000-1\""),
        ("XLEN s", "5"),
        ("XRANGE s 5 5", r#"[["5-0" ["a" "1"]] ["5-1" ["a" "1" "b" "2"]]]"#),
        ("XREVRANGE s + (7 COUNT 1", r#"[["1700000000000-1" ["a" "1"]]]"#),
        ("XRANGE s - + COUNT 0", "nil"),
        ("XRANGE absent - +", "[]"),
        ("XADD absent NOMKSTREAM * a 1", "nil"),
        ("EXISTS absent", "0"),
        ("TYPE s", "stream"),
        ("OBJECT ENCODING s", "\"stream\""),
    ]);
}

#[test]
fn what_xadd_cannot_take_changes_nothing() {
    let mut test = with_entries(1);
    test.run("SET string 1");
    let before = test.contents();
    test.check(&[
        ("XADD s 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0"),
        (
            "XADD s 1-0 a 1",
            "-ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        ("XADD s x a 1", "-ERR Invalid stream ID specified as stream command argument"),
        ("XADD s * a 1 b", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD s MAXLEN ~ 5", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD s MAXLEN -1 * a 1", "-ERR The MAXLEN argument must be >= 0."),
        ("XADD s MAXLEN ~ 1 LIMIT -1 * a 1", "-ERR The LIMIT argument must be >= 0."),
        (
            "XADD s MAXLEN 1 LIMIT 1 * a 1",
            "-ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        (
            "XADD s LIMIT 1 * a 1",
            "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (
            "XADD s MAXLEN 1 MINID 1 * a 1",
            "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        ("XTRIM s LIMIT 0", "-ERR syntax error, XTRIM must be called with a trimming strategy"),
        ("XTRIM s MAXLEN 1 x", "-ERR syntax error"),
        ("XADD string * a 1", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
    ]);
    test.check(&[
        (
            "XADD last 18446744073709551615-18446744073709551615 a 1",
            "\"18446744073709551615-18446744073709551615\"",
        ),
        (
            "XADD last * a 1",
            "-ERR The stream has exhausted the last possible ID, unable to add more items",
        ),
        ("DEL last", "1"),
    ]);
    assert_eq!(test.contents(), before);
}

#[test]
fn effects_of_entries_carry_what_was_decided() {
    let mut test = with_entries(3);
    test.check_effects("XADD s 5-1 a 1", &["XADD s 5-1 a 1"]);
    test.check_effects("XADD s nomkstream * a 1", &["XADD s nomkstream 1700000000000-0 a 1"]);
    test.check_effects("XADD s MAXLEN 4 * a 1", &["XADD s MAXLEN 4 1700000000000-1 a 1"]);
    test.check_effects(
        "XADD s MAXLEN ~ 2 LIMIT 9 * a 1",
        &["XADD s MAXLEN = 5 LIMIT 9 1700000000000-2 a 1"],
    );
    test.check_effects("XADD s MINID ~ 3 * a 1", &["XADD s MINID = 3-0 1700000000000-3 a 1"]);
    test.check_effects("XTRIM s MAXLEN ~ 1", &[]);
    test.check_effects("XTRIM s MINID 4", &["XTRIM s MINID 4"]);
    test.check_effects("XDEL s 5-1 9-9", &["XDEL s 5-1 9-9"]);
    test.check_effects("XDEL s 5-1", &[]);
    test.check_effects("XTRIM s MAXLEN ~ 0", &["XTRIM s MAXLEN = 0"]);
    test.check_effects("XADD s * a 1", &["XADD s 1700000000000-4 a 1"]);
    let last = "18446744073709551615-18446744073709551615";
    test.check_effects(&format!("XTRIM s MINID ~ {last}"), &[&format!("XTRIM s MINID = {last}")]);
    test.check_effects("XSETID s 1800000000000-1", &["XSETID s 1800000000000-1"]);
}

#[test]
fn a_primary_may_name_a_limit_for_an_exact_trimming() {
    let mut test = with_entries(5);
    test.caller.is_primary = true;
    test.check(&[("XADD s MAXLEN = 2 LIMIT 1 9-0 a 1", "\"9-0\""), ("XLEN s", "2")]);
}

#[test]
fn reading_past_the_end_is_nothing() {
    let mut test = with_entries(3);
    test.run("SET string 1");
    test.check(&[
        ("XREAD COUNT 1 STREAMS s absent 1 0", r#"[["s" [["2-0" ["f" "v2"]]]]]"#),
        ("XREAD STREAMS s s 2 +", r#"[["s" [["3-0" ["f" "v3"]]]] ["s" [["3-0" ["f" "v3"]]]]]"#),
        ("XREAD STREAMS s $", "nil"),
        ("XREAD BLOCK 100 STREAMS s absent 3-0 $", "nil"),
        ("XREAD STREAMS string 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative"),
        ("XREAD STREAMS s 0 s", "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."),
        ("XREAD COUNT 1 BLOCK 0", "-ERR syntax error"),
    ]);
    test.protocol = Protocol::Resp3;
    test.check(&[("XREAD STREAMS s 2", r#"{"s" [["3-0" ["f" "v3"]]]}"#)]);
}

#[test]
fn a_group_delivers_each_entry_once_until_it_is_asked_for_again() {
    let mut test = with_entries(3);
    test.check(&[
        ("XGROUP CREATE s g 0", "OK"),
        ("XGROUP CREATE s g 0", "-BUSYGROUP Consumer Group name already exists"),
        (
            "XREADGROUP GROUP g a COUNT 2 STREAMS s >",
            r#"[["s" [["1-0" ["f" "v1"]] ["2-0" ["f" "v2"]]]]]"#,
        ),
        ("XREADGROUP GROUP g b STREAMS s s > >", r#"[["s" [["3-0" ["f" "v3"]]]]]"#),
        ("XREADGROUP GROUP g b STREAMS s >", "nil"),
        ("XPENDING s g", r#"[3 "1-0" "3-0" [["a" "2"] ["b" "1"]]]"#),
        ("XDEL s 2-0", "1"),
        ("XREADGROUP GROUP g a STREAMS s 0", r#"[["s" [["1-0" ["f" "v1"]] ["2-0" nil]]]]"#),
        ("XPENDING s g - + 10 a", r#"[["1-0" "a" 0 2] ["2-0" "a" 0 1]]"#),
        ("XACK s g 1-0 1-0 9-9", "1"),
        ("XAUTOCLAIM s g b 0 -", r#"["0-0" [["3-0" ["f" "v3"]]] ["2-0"]]"#),
        ("XPENDING s g", r#"[1 "3-0" "3-0" [["b" "1"]]]"#),
        ("XGROUP DELCONSUMER s g b", "1"),
        ("XPENDING s g", "[0 nil nil nil]"),
        ("XREADGROUP GROUP g a STREAMS s 0", r#"[["s" []]]"#),
        (
            "XREADGROUP GROUP nog a STREAMS s >",
            "-NOGROUP No such key 's' or consumer group 'nog' in XREADGROUP with GROUP option",
        ),
        ("XGROUP DESTROY s g", "1"),
        ("XGROUP DESTROY s g", "0"),
    ]);
}

#[test]
fn a_claim_moves_what_has_been_pending_for_long() {
    let mut test = with_entries(2);
    test.run("XGROUP CREATE s g 0");
    test.run("XREADGROUP GROUP g a STREAMS s >");
    test.now += 500;
    test.check(&[
        ("XCLAIM s g b 1000 1-0", "[]"),
        ("XCLAIM s g b 500 1-0", r#"[["1-0" ["f" "v1"]]]"#),
        ("XPENDING s g IDLE 500 - + 10", r#"[["2-0" "a" 500 1]]"#),
        ("XCLAIM s g b 0 2-0 JUSTID IDLE 50", r#"["2-0"]"#),
        ("XPENDING s g - + 10", r#"[["1-0" "b" 0 2] ["2-0" "b" 50 1]]"#),
        ("XCLAIM s g b 0 3-0 FORCE", "[]"),
        ("XCLAIM s g b 0 1-0 RETRYCOUNT 9 TIME 99999999999999", r#"[["1-0" ["f" "v1"]]]"#),
        ("XPENDING s g - + 1", r#"[["1-0" "b" 0 9]]"#),
        ("XCLAIM s g b 0 1-0 FOO", "-ERR Unrecognized XCLAIM option 'FOO'"),
        ("XCLAIM s g b x 1-0", "-ERR Invalid min-idle-time argument for XCLAIM"),
        ("XCLAIM s g b 0 1-0 TIME x", "-ERR Invalid TIME option argument for XCLAIM"),
        ("XCLAIM absent g b x 1-0", "-NOGROUP No such key 'absent' or consumer group 'g'"),
        ("XAUTOCLAIM s g b 0 0 COUNT 0", "-ERR COUNT must be > 0"),
        ("XAUTOCLAIM s g b 0 0 COUNT 1", r#"["2-0" [["1-0" ["f" "v1"]]] []]"#),
        (
            "XINFO CONSUMERS s g",
            r#"[["name" "a" "pending" 0 "idle" 500 "inactive" 500] ["name" "b" "pending" 2 "idle" 0 "inactive" 0]]"#,
        ),
    ]);
}

#[test]
fn effects_of_groups_tell_replicas_all_that_is_pending() {
    let mut test = with_entries(3);
    let claim = |rest: &str| format!("XCLAIM s g {rest}");
    test.check_effects("XGROUP CREATE s g 0", &["XGROUP CREATE s g 0"]);
    test.check_effects(
        "XREADGROUP GROUP g a COUNT 1 STREAMS s >",
        &[
            &claim("a 0 1-0 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-0"),
            "XGROUP SETID s g 1-0 ENTRIESREAD 1",
        ],
    );
    test.check_effects(
        "XREADGROUP GROUP g b COUNT 1 NOACK STREAMS s >",
        &["XGROUP CREATECONSUMER s g b", "XGROUP SETID s g 2-0 ENTRIESREAD 2"],
    );
    test.check_effects("XREADGROUP GROUP g a STREAMS s 0", &[]);
    test.check_effects(
        "XCLAIM s g b 0 1-0 LASTID 9-9",
        &[&claim("b 0 1-0 TIME 1700000000000 RETRYCOUNT 3 FORCE JUSTID LASTID 9-9")],
    );
    test.check_effects("XCLAIM s g b 0 8-8 LASTID 10-9", &["XGROUP SETID s g 10-9 ENTRIESREAD 2"]);
    test.run("XDEL s 1-0");
    test.check_effects(
        "XAUTOCLAIM s g c 0 0",
        &[
            "XGROUP CREATECONSUMER s g c",
            &claim("b 0 1-0 TIME 1700000000000 RETRYCOUNT 3 FORCE JUSTID LASTID 10-9"),
        ],
    );
    test.check_effects("XGROUP SETID s g $", &["XGROUP SETID s g $"]);
    test.check_effects("XACK s g 1-0", &[]);
    test.check_effects("XGROUP CREATECONSUMER s g c", &[]);
    test.check_effects("XGROUP DELCONSUMER s g c", &["XGROUP DELCONSUMER s g c"]);
    test.check_effects("XGROUP CREATE new g $ MKSTREAM", &["XGROUP CREATE new g $ MKSTREAM"]);
    test.check_effects("XGROUP DESTROY new g", &["XGROUP DESTROY new g"]);
}

#[test]
fn events_are_those_of_redis() {
    let mut test = TestShard::with_events("Kt");
    test.check_events("XADD s 1-0 a 1", &["xadd s"]);
    test.check_events("XADD s MAXLEN 1 2-0 a 1", &["xadd s", "xtrim s"]);
    test.check_events("XGROUP CREATE s g 0", &["xgroup-create s"]);
    test.check_events("XREADGROUP GROUP g a STREAMS s >", &["xgroup-createconsumer s"]);
    test.check_events("XGROUP SETID s g 0", &["xgroup-setid s"]);
    test.check_events("XGROUP CREATECONSUMER s g b", &["xgroup-createconsumer s"]);
    test.check_events("XGROUP DELCONSUMER s g b", &["xgroup-delconsumer s"]);
    test.check_events("XGROUP DESTROY s g", &["xgroup-destroy s"]);
    test.check_events("XDEL s 2-0", &["xdel s"]);
    test.check_events("XSETID s 5-0", &["xsetid s"]);
}

#[test]
fn xgroup_says_what_is_wrong() {
    let no_key = "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
                  MKSTREAM option to create an empty stream automatically.";
    let syntax = |name| {
        format!(
            "-ERR unknown subcommand or wrong number of arguments for '{name}'. Try XGROUP HELP."
        )
    };
    with_entries(1).check(&[
        ("XGROUP CREATE absent g 0", no_key),
        ("XGROUP DESTROY absent g", no_key),
        ("XGROUP SETID s nog 0", "-NOGROUP No such consumer group 'nog' for key name 's'"),
        ("XGROUP CREATECONSUMER s nog c", "-NOGROUP No such consumer group 'nog' for key name 's'"),
        ("XGROUP CREATE s g 0 FOO", &syntax("CREATE")),
        ("XGROUP CREATE s g 0 ENTRIESREAD", &syntax("CREATE")),
        ("XGROUP CREATE s g 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1"),
        ("XGROUP CREATE s g +", "-ERR Invalid stream ID specified as stream command argument"),
        ("XGROUP CREATE s g $ ENTRIESREAD 5", "OK"),
        (
            "XINFO GROUPS s",
            r#"[["name" "g" "consumers" 0 "pending" 0 "last-delivered-id" "1-0" "entries-read" 5 "lag" -4]]"#,
        ),
        ("XINFO STREAM s FOO", "-ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP."),
        ("XINFO STREAM absent", "-ERR no such key"),
    ]);
}

#[test]
fn xsetid_never_goes_below_what_was_there() {
    with_entries(2).check(&[
        ("XSETID s 1-0", "-ERR The ID specified in XSETID is smaller than the target stream top item"),
        ("XSETID s 9 MAXDELETEDID 10", "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"),
        ("XSETID s 9 ENTRIESADDED 1", "-ERR The entries_added specified in XSETID is smaller than the target stream length"),
        ("XSETID s 9 ENTRIESADDED -1", "-ERR entries_added must be positive"),
        ("XSETID absent 9", "-ERR no such key"),
        ("XSETID s 9-1 ENTRIESADDED 7 MAXDELETEDID 8", "OK"),
        ("XSETID s 7", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"),
        (
            "XINFO STREAM s",
            concat!(
                r#"["length" 2 "radix-tree-keys" 1 "radix-tree-nodes" 2 "last-generated-id" "9-1" "#,
                r#""max-deleted-entry-id" "8-0" "entries-added" 7 "recorded-first-entry-id" "1-0" "groups" 0 "#,
                r#""first-entry" ["1-0" ["f" "v1"]] "last-entry" ["2-0" ["f" "v2"]]]"#
            ),
        ),
    ]);
}

#[test]
fn full_information_shows_groups_and_consumers() {
    let mut test = with_entries(1);
    test.run("XGROUP CREATE s g 0");
    test.run("XREADGROUP GROUP g a STREAMS s >");
    test.run("XGROUP CREATECONSUMER s g b");
    let reply = test.run("XINFO STREAM s FULL");
    let groups = reply.split_once(r#""groups" "#).unwrap().1;
    let expected = concat!(
        r#"[["name" "g" "last-delivered-id" "1-0" "entries-read" 1 "lag" 0 "pel-count" 1 "#,
        r#""pending" [["1-0" "a" NOW 1]] "consumers" ["#,
        r#"["name" "a" "seen-time" NOW "active-time" NOW "pel-count" 1 "pending" [["1-0" NOW 1]]] "#,
        r#"["name" "b" "seen-time" NOW "active-time" -1 "pel-count" 0 "pending" []]]]]]"#
    );
    assert_eq!(groups, expected.replace("NOW", &NOW.to_string()));
}

#[test]
fn a_waiting_reader_is_ready_when_there_is_something_for_it() {
    let mut test = with_entries(2);
    test.run("XGROUP CREATE s g 0");
    test.run("SET string 1");
    let mut is_ready = |line: &str, key: &str| {
        let args = OwnedArgs::new(words(line).iter().map(Vec::as_slice).collect::<Vec<_>>());
        let mut keys = keys(&mut test);
        let key = keys.key(key.as_bytes());
        read::is_ready(&mut keys, &args.args(), &key)
    };
    assert!(is_ready("XREAD BLOCK 0 STREAMS s t 1 0", "s"));
    assert!(!is_ready("XREAD BLOCK 0 STREAMS s t 2-0 0", "s"));
    assert!(!is_ready("XREAD BLOCK 0 STREAMS s t 1 0", "t"));
    assert!(!is_ready("XREAD BLOCK 0 STREAMS string 0", "string"));
    assert!(is_ready("XREADGROUP GROUP g a BLOCK 0 STREAMS s >", "s"));
    assert!(is_ready("XREADGROUP GROUP nog a BLOCK 0 STREAMS s >", "s"));
    assert!(is_ready("XREADGROUP GROUP g a BLOCK 0 STREAMS absent >", "absent"));
    assert!(is_ready("XREADGROUP GROUP g a BLOCK 0 STREAMS string >", "string"));
    test.run("XREADGROUP GROUP g a STREAMS s >");
    let args =
        OwnedArgs::new(words("XREADGROUP GROUP g a BLOCK 0 STREAMS s >").iter().map(Vec::as_slice));
    let mut keys = keys(&mut test);
    let key = keys.key(b"s");
    assert!(!read::is_ready(&mut keys, &args.args(), &key));
}

#[test]
fn the_last_ids_are_those_of_when_the_wait_begins() {
    let mut test = with_entries(2);
    let args =
        OwnedArgs::new(words("XREAD BLOCK 0 STREAMS s absent s $ $ 5").iter().map(Vec::as_slice));
    let resolved = read::resolve_last_ids(&mut keys(&mut test), &args.args());
    let resolved: Vec<_> = resolved.args().iter().map(<[u8]>::to_vec).collect();
    assert_eq!(resolved, words("XREAD BLOCK 0 STREAMS s absent s 2-0 0-0 5"));
}

#[test]
fn a_reader_that_waits_changes_nothing() {
    let mut test = with_entries(1);
    test.run("XGROUP CREATE s g $");
    test.check_effects("XREADGROUP GROUP g a BLOCK 5 STREAMS s >", &[]);
    test.check(&[("XINFO CONSUMERS s g", "[]")]);
    test.check_effects("XREADGROUP GROUP g a STREAMS s >", &["XGROUP CREATECONSUMER s g a"]);
}
