//! The geo commands, as their callers see them: what the comparison with Redis in `node/tests` does not.

use crate::commands::testing::TestShard;
use crate::resp::Protocol;

fn sicily() -> TestShard {
    let mut test = TestShard::with_events("KEAn");
    test.run("GEOADD s 13.361389 38.115556 Palermo 15.087269 37.502669 Catania");
    test
}

#[test]
fn a_place_is_added_as_a_member() {
    let mut test = TestShard::with_events("KEAn");
    test.check_effects(
        "GEOADD s CH 13.361389 38.115556 Palermo",
        &["ZADD s CH 3479099956230698 Palermo"],
    );
    test.check_effects("GEOADD s NX 1 1 Palermo", &[]);
    test.check_events("GEOADD s 15.087269 37.502669 Catania", &["zadd s"]);
    test.check(&[
        ("ZSCORE s Catania", r#""3479447370796909""#),
        ("GEOADD s 181 0 x", "-ERR invalid longitude,latitude pair 181.000000,0.000000"),
        ("GEOADD s NX XX 1 1 x", "-ERR syntax error"),
    ]);
}

#[test]
fn what_is_found_is_stored() {
    let mut test = sicily();
    let store = "GEOSEARCHSTORE t s FROMLONLAT 15 37 BYRADIUS 200 km";
    test.check_effects(store, &[store]);
    let dirty = test.shard.stats.dirty;
    test.check_events(store, &["geosearchstore t"]);
    assert_eq!(test.shard.stats.dirty, dirty + 2);
    test.check(&[
        ("ZSCORE t Palermo", r#""3479099956230698""#),
        ("GEOSEARCHSTORE t s FROMMEMBER Catania BYBOX 2 2 km STOREDIST", "1"),
        ("ZRANGE t 0 -1 WITHSCORES", r#"["Catania" "0"]"#),
    ]);
    test.check_events("GEORADIUS s 0 0 1 km STORE t", &["del t"]);
    test.check_events("GEORADIUS s 15 37 200 km STORE t", &["new t", "georadiusstore t"]);
    test.check_effects("GEORADIUS_RO s 15 37 200 km", &[]);
    test.check(&[
        ("GEORADIUS_RO s 15 37 200 km STORE t", "-ERR syntax error"),
        ("GEOSEARCHSTORE t absent FROMMEMBER x BYRADIUS 1 km", "0"),
        ("EXISTS t", "0"),
    ]);
}

#[test]
fn positions_are_doubles_in_resp3() {
    let mut test = sicily();
    let position = "13.36138933897018433";
    test.check(&[
        ("GEOPOS s Palermo x", &format!(r#"[["{position}" "38.11555639549629859"] nil]"#)),
        ("GEODIST s Palermo Catania km", r#""166.2742""#),
        ("GEOHASH s Palermo", r#"["sqc8b49rny0"]"#),
    ]);
    test.protocol = Protocol::Resp3;
    assert!(test.run("GEOPOS s Palermo").starts_with(&format!("[[{position}")));
}
