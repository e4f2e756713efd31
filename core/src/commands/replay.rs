//! Effects are right if replaying them makes an equal database: random commands run on one shard, what they
//! hand over as effects runs on another, which is a replica and late, and both must hold the same.
//!
//! A family of commands joins with a list of templates: lines in which `$k` stands for a key, `$v` a value, `$n`
//! an integer, `$h` a field of a hash, `$f` a number with a fraction, `$o` a small offset, `$i` an index from either
//! end, `$b` a bit, `$t` a bit field's type, `$s` and `$ms` a time to live, `$at` and `$atms` a time, `$db` a database,
//! `$p` a payload of DUMP, `$sid` the id of a stream's entry, `$g` the name of a group or consumer.

use super::testing::{NOW, TestShard};
use crate::collections::stream::StreamId;
use crate::rdb::dump;
use crate::store::Value;
use proptest::prelude::*;

const STRINGS: &[&str] = &[
    "GET $k",
    "SET $k $v",
    "SET $k $n",
    "SET $k $v NX",
    "SET $k $v XX GET",
    "SET $k $v KEEPTTL",
    "SET $k $v EX $s",
    "SET $k $v PX $ms GET",
    "SET $k $v NX EXAT $at",
    "SET $k $v PXAT $atms",
    "SETNX $k $v",
    "SETEX $k $s $v",
    "PSETEX $k $ms $v",
    "GETSET $k $v",
    "GETDEL $k",
    "GETEX $k",
    "GETEX $k EX $s",
    "GETEX $k PX $ms",
    "GETEX $k EXAT $at",
    "GETEX $k PXAT $atms",
    "GETEX $k PERSIST",
    "MSET $k $v $k $v",
    "MSETNX $k $v $k $v",
    "MGET $k $k $k",
    "STRLEN $k",
    "APPEND $k $v",
    "SETRANGE $k $o $v",
    "GETRANGE $k $i $i",
    "INCR $k",
    "DECR $k",
    "INCRBY $k $n",
    "DECRBY $k $n",
    "INCRBYFLOAT $k $f",
    "LCS $k $k",
];

const BITS: &[&str] = &[
    "SETBIT $k $o $b",
    "GETBIT $k $o",
    "BITCOUNT $k",
    "BITPOS $k $b",
    "BITOP AND $k $k $k",
    "BITOP OR $k $k",
    "BITOP XOR $k $k $k $k",
    "BITOP NOT $k $k",
    "BITFIELD $k SET $t $o $n",
    "BITFIELD $k GET $t $o OVERFLOW SAT INCRBY $t $o $n",
    "BITFIELD $k OVERFLOW FAIL INCRBY $t #$o $n SET $t $o $n",
    "BITFIELD_RO $k GET $t $o",
];

const KEYS: &[&str] = &[
    "DEL $k $k",
    "UNLINK $k",
    "EXISTS $k",
    "TOUCH $k",
    "EXPIRE $k $s",
    "EXPIRE $k $s NX",
    "PEXPIRE $k $ms GT",
    "PEXPIRE $k $ms LT",
    "EXPIREAT $k $at XX",
    "PEXPIREAT $k $atms",
    "TTL $k",
    "PERSIST $k",
    "RENAME $k $k",
    "RENAMENX $k $k",
    "COPY $k $k",
    "COPY $k $k REPLACE",
    "COPY $k $k DB $db REPLACE",
    "MOVE $k $db",
    "DUMP $k",
    "RESTORE $k 0 $p",
    "RESTORE $k 0 $p REPLACE IDLETIME $s",
    "RESTORE $k $ms $p REPLACE",
    "RESTORE $k $atms $p ABSTTL REPLACE",
    "RESTORE $k $atms $p ABSTTL",
];

const HASHES: &[&str] = &[
    "HSET $k $h $v",
    "HSET $k $h $n $h $v $h $n",
    "HMSET $k $h $v",
    "HSETNX $k $h $v",
    "HGET $k $h",
    "HGETALL $k",
    "HLEN $k",
    "HDEL $k $h",
    "HDEL $k $h $h $h",
    "HINCRBY $k $h $o",
    "HINCRBYFLOAT $k $h $f",
    "HRANDFIELD $k 3",
    "HSCAN $k 0",
    "HEXPIRE $k $s FIELDS 1 $h",
    "HPEXPIRE $k $ms FIELDS 2 $h $h",
    "HPEXPIRE $k $ms NX FIELDS 2 $h $h",
    "HPEXPIRE $k $ms GT FIELDS 2 $h $h",
    "HPEXPIRE $k $ms LT FIELDS 2 $h $h",
    "HEXPIREAT $k $at FIELDS 1 $h",
    "HPEXPIREAT $k $atms FIELDS 1 $h",
    "HPERSIST $k FIELDS 2 $h $h",
    "HTTL $k FIELDS 1 $h",
    "HGETEX $k FIELDS 1 $h",
    "HGETEX $k PX $ms FIELDS 2 $h $h",
    "HGETEX $k EXAT $at FIELDS 1 $h",
    "HGETEX $k PERSIST FIELDS 1 $h",
    "HSETEX $k FIELDS 1 $h $v",
    "HSETEX $k NX PX $ms FIELDS 1 $h $v",
    "HSETEX $k FNX PX $ms FIELDS 2 $h $v $h $v",
    "HSETEX $k FXX PXAT $atms FIELDS 2 $h $v $h $v",
    "HSETEX $k KEEPTTL FIELDS 2 $h $v $h $v",
    "HGETDEL $k FIELDS 2 $h $h",
    "DEL $k",
    "COPY $k $k REPLACE",
    "RENAME $k $k",
];

const LISTS: &[&str] = &[
    "RPUSH $k $v",
    "LPUSH $k $n $v $n",
    "RPUSH $k $o $o $v $o $o $o",
    "LPUSHX $k $v",
    "RPUSHX $k $o $o",
    "LPOP $k",
    "RPOP $k",
    "LPOP $k $o",
    "RPOP $k $b",
    "LLEN $k",
    "LINDEX $k $i",
    "LRANGE $k $i $i",
    "LSET $k $i $v",
    "LINSERT $k BEFORE $o $v",
    "LINSERT $k AFTER $b $b",
    "LTRIM $k $i $i",
    "LREM $k $i $b",
    "LPOS $k $b RANK $i COUNT $o",
    "LMOVE $k $k LEFT RIGHT",
    "LMOVE $k $k RIGHT RIGHT",
    "RPOPLPUSH $k $k",
    "LMPOP 2 $k $k RIGHT COUNT $o",
    "BLPOP $k $k 0",
    "BRPOP $k 0",
    "BLMPOP 0 2 $k $k LEFT COUNT $o",
    "BLMOVE $k $k LEFT LEFT 0",
    "BRPOPLPUSH $k $k 0",
];

const SORTED_SETS: &[&str] = &[
    "ZADD $k $n $v",
    "ZADD $k $o x$o $o x$o $f x$o",
    "ZADD $k NX CH $o x$o",
    "ZADD $k XX $n x$o $o x$o",
    "ZADD $k GT $o x$o",
    "ZADD $k LT CH $o x$o $o x$o",
    "ZADD $k INCR $f x$o",
    "ZINCRBY $k $f x$o",
    "ZREM $k x$o x$o $v",
    "ZREMRANGEBYRANK $k $i $i",
    "ZREMRANGEBYSCORE $k $o $o",
    "ZREMRANGEBYLEX $k [x$o +",
    "ZRANGE $k $i $i WITHSCORES",
    "ZRANGESTORE $k $k $i $i",
    "ZRANGESTORE $k $k $o $o BYSCORE LIMIT $b $o",
    "ZUNIONSTORE $k 2 $k $k WEIGHTS $o $o",
    "ZINTERSTORE $k 2 $k $k AGGREGATE MAX",
    "ZDIFFSTORE $k 2 $k $k",
    "ZPOPMIN $k",
    "ZPOPMAX $k $o",
    "ZMPOP 2 $k $k MIN COUNT $o",
    "BZPOPMIN $k $k 1",
    "BZPOPMAX $k 0",
    "BZMPOP 1 2 $k $k MAX COUNT $o",
    "ZRANDMEMBER $k $i",
    "ZSCAN $k 0",
];

const PLACES: &[&str] = &[
    "GEOADD $k $o $o x$o",
    "GEOADD $k NX CH $i $i x$o $o $i x$o",
    "GEOADD $k XX $i $o x$o",
    "GEOSEARCH $k FROMLONLAT $o $o BYRADIUS $o km",
    "GEOSEARCHSTORE $k $k FROMLONLAT $i $o BYBOX 3000 4000 km",
    "GEOSEARCHSTORE $k $k FROMMEMBER x$o BYRADIUS $o mi STOREDIST",
    "GEORADIUS $k $o $i 2000 km STORE $k",
    "GEORADIUSBYMEMBER $k x$o 1000 km STOREDIST $k",
];

/// Without reading what is pending, which counts as a delivery and, as in Redis, is kept from replicas.
const STREAMS: &[&str] = &[
    "XADD $k * $v $v",
    "XADD $k * $v $v $v $v",
    "XADD $k $sid $v $v",
    "XADD $k MAXLEN ~ $o * $v $v",
    "XADD $k NOMKSTREAM MAXLEN $o * $v $v",
    "XADD $k MINID ~ $sid LIMIT $o * $v $v",
    "XTRIM $k MAXLEN ~ $o",
    "XTRIM $k MINID $sid",
    "XDEL $k $sid $sid",
    "XSETID $k $sid",
    "XGROUP CREATE $k $g $sid MKSTREAM",
    "XGROUP CREATE $k $g $ ENTRIESREAD $o",
    "XGROUP SETID $k $g $sid",
    "XGROUP DESTROY $k $g",
    "XGROUP CREATECONSUMER $k $g $g",
    "XGROUP DELCONSUMER $k $g $g",
    "XREADGROUP GROUP $g $g COUNT $o STREAMS $k >",
    "XREADGROUP GROUP $g $g NOACK STREAMS $k $k > >",
    "XACK $k $g $sid $sid",
    "XCLAIM $k $g $g 0 $sid $sid FORCE",
    "XCLAIM $k $g $g $ms $sid LASTID $sid",
    "XAUTOCLAIM $k $g $g $ms 0 COUNT $o",
    "XRANGE $k - +",
];

const SETS: &[&str] = &[
    "SADD $k $v",
    "SADD $k $n $o $o",
    "SADD $k $o x$o x$o $v",
    "SREM $k $o x$o",
    "SMOVE $k $k $o",
    "SPOP $k",
    "SPOP $k $o",
    "SPOP $k 1000",
    "SRANDMEMBER $k $i",
    "SINTERSTORE $k $k $k",
    "SUNIONSTORE $k $k $k",
    "SDIFFSTORE $k $k $k",
    "SUNION $k $k",
    "SSCAN $k 0",
    "PFADD $k $v $o",
    "PFADD $k",
    "PFCOUNT $k",
    "PFCOUNT $k $k",
    "PFMERGE $k $k $k",
];

/// A template with its blanks filled in by chance.
fn filled(template: &str, draws: &[u16]) -> String {
    let mut draws = draws.iter().map(|draw| i64::from(*draw)).cycle();
    let words = template.split(' ').map(|word| {
        let Some((before, blank)) = word.split_once('$') else { return word.to_owned() };
        let draw = draws.next().expect("draws");
        let pick = |from: &[&str]| from[draw as usize % from.len()].to_owned();
        let value = match blank {
            "k" => pick(&["a", "b", "c", "{a}d", "\"\""]),
            "v" => match draw % 4 {
                0 => (draw - 30_000).to_string(),
                1 => "x".repeat(draw as usize % 1500),
                _ => pick(&["\"\"", "1.50", r#""\x00\xff""#, "abc", "9223372036854775807", "007"]),
            },
            "n" => match draw % 4 {
                0 => pick(&["9223372036854775807", "-9223372036854775808", "x"]),
                _ => (draw - 30_000).to_string(),
            },
            "h" => pick(&["1", "2", "three", "four", "\"\""]),
            "f" => format!("{}e{}", draw - 30_000, draw % 9 - 6),
            "o" => (draw % 100).to_string(),
            "i" => (draw % 30 - 15).to_string(),
            "b" => (draw % 2).to_string(),
            "t" => format!("{}{}", if draw % 2 == 0 { 'i' } else { 'u' }, draw / 2 % 63 + 1),
            "s" => (draw % 5).to_string(),
            "ms" => (draw % 4000).to_string(),
            "at" => (NOW / 1000 + draw % 40 - 5).to_string(),
            "atms" => (NOW + draw % 40_000 - 5000).to_string(),
            "db" => (draw % 3).to_string(),
            "sid" => format!("{}-{}", draw % 40, draw % 3),
            "g" => pick(&["one", "two"]),
            "" => "$".to_owned(),
            "p" => payload(draw),
            other => panic!("no blank is called {other}"),
        };
        format!("{before}{value}")
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A payload that Redis 7.0, Redis 8 or Valkey 9 may have written.
fn payload(draw: i64) -> String {
    let body: &[u8] = [&b"\x00\xc0\x07"[..], b"\x00\x02ab", b"\x00\x00"][draw as usize % 3];
    let payload = dump::sealed(body.to_vec(), [10, 12, 80][draw as usize / 3 % 3]);
    let escaped = payload.iter().map(|byte| format!("\\x{byte:02x}"));
    format!("\"{}\"", escaped.collect::<String>())
}

/// A command as its template, what fills it in, the database, and the milliseconds that pass before it.
type Step = (prop::sample::Index, [u16; 6], usize, i64);

fn step() -> impl Strategy<Value = Step> {
    (any::<prop::sample::Index>(), prop::array::uniform6(any::<u16>()), 0usize..2, 0i64..1500)
}

fn check(templates: &[&[&str]], steps: &[Step]) {
    let templates = templates.concat();
    let mut primary = TestShard::default();
    let mut replica = TestShard::default();
    replica.caller.is_primary = true;
    replica.shard.settings.is_replica = true;
    for (template, draws, database, elapsed_ms) in steps {
        let line = filled(templates[template.index(templates.len())], draws);
        primary.database = *database;
        primary.now += elapsed_ms;
        let changes = |shard: &TestShard| {
            let stats = &shard.shard.stats;
            (stats.dirty, stats.expired_keys, stats.expired_fields)
        };
        let before = changes(&primary);
        primary.run(&line);
        let effects = primary.take_effects();
        assert_eq!(effects.is_empty(), changes(&primary) == before, "{line}: {effects:?}");
        replica.now = primary.now + 10_000;
        for (database, words) in effects {
            replica.database = database;
            let reply = replica.run_words(&words);
            let refused = reply.starts_with("-ERR") || reply.starts_with("-WRONGTYPE");
            assert!(!refused, "{line}: the replica answered {reply} to {words:?}");
        }
        assert_eq!(primary.contents(), replica.contents(), "{line}");
        assert_eq!(groups(&primary), groups(&replica), "{line}");
    }
}

/// The consumer groups of all streams, which digests pass over: all but when consumers were seen.
fn groups(test: &TestShard) -> Vec<String> {
    let mut list = Vec::new();
    for (number, database) in test.shard.databases.iter().enumerate() {
        database.for_each(|entry| {
            let Value::Stream(stream) = entry.value() else { return };
            for (name, group) in stream.groups.iter() {
                let pending =
                    group.pending_in(StreamId::MIN..=StreamId::MAX).map(|(id, pending)| {
                        let consumer = group.consumer(pending.consumer).name().escape_ascii();
                        format!("{id} {consumer} {} {}", pending.delivered_at, pending.deliveries)
                    });
                list.push(format!(
                    "{number} {} {}: {} {:?} {:?} {:?}",
                    entry.key().escape_ascii(),
                    name.escape_ascii(),
                    group.last_delivered_id,
                    group.entries_read,
                    pending.collect::<Vec<_>>(),
                    group.consumers().map(|(_, consumer)| consumer.name()).collect::<Vec<_>>(),
                ));
            }
        });
    }
    list.sort();
    list
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn replayed_effects_make_the_same_database(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        check(&[STRINGS, BITS, KEYS], &steps);
    }

    #[test]
    fn replayed_effects_make_the_same_hashes(steps in prop::collection::vec(step(), 1..80)) {
        check(&[HASHES, HASHES, KEYS], &steps);
    }

    #[test]
    fn replayed_effects_on_lists_make_the_same_database(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        check(&[LISTS, LISTS, KEYS, &["SET $k $v"]], &steps);
    }

    #[test]
    fn replayed_effects_make_the_same_sorted_sets(steps in prop::collection::vec(step(), 1..80)) {
        check(&[SORTED_SETS, PLACES, KEYS], &steps);
    }

    #[test]
    fn replayed_effects_make_the_same_sets(steps in prop::collection::vec(step(), 1..80)) {
        check(&[SETS, SETS, KEYS], &steps);
    }

    #[test]
    fn replayed_effects_make_the_same_streams(steps in prop::collection::vec(step(), 1..80)) {
        check(&[STREAMS, STREAMS, KEYS], &steps);
    }
}
