//! The HyperLogLog commands. To all others a HyperLogLog is a string.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15. One
//! difference: PFADD looks through all of a sparse HyperLogLog and refuses a corrupt one, where Redis looks as far as the
//! register that it changes.

use crate::args::Args;
use crate::collections::hyperloglog::{
    self, Corrupt, Encoding, HyperLogLog, Mark, REGISTERS, Registers,
};
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::keys::Keys;
use crate::notify::Classes;
use crate::store::{Key, StringValue};

const NOT_ONE: Error = Error::new("WRONGTYPE Key is not a valid HyperLogLog string value.");
const CORRUPT: Error = Error::new("INVALIDOBJ Corrupted HLL object detected");
const NO_KEY: Error = Error::new("ERR The specified key does not exist");
const NOT_SPARSE: Error = Error::new("ERR HLL encoding is not sparse");

fn corrupt(_: Corrupt) -> Error {
    CORRUPT
}

/// PFADD key [element ...]
pub fn pfadd(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let sparse_max = cx.keys.shard.settings.limits.hll_sparse_max_bytes;
    let elements = args.from(2);
    let found = cx.keys.write_string(&key)?;
    let is_new = found.is_none();
    let mut raised = u64::from(is_new);
    let mut bytes = match found {
        None => hyperloglog::new_empty(),
        Some(value) => {
            let bytes = bytes_of(value)?;
            let mut raises = false;
            for element in elements.iter() {
                raises |= hyperloglog::would_raise(bytes, Mark::of(element)).map_err(corrupt)?;
            }
            if !raises {
                cx.reply.int(0);
                return Ok(());
            }
            if HyperLogLog::new(bytes).is_some_and(|log| log.encoding() == Encoding::Dense) {
                let len = bytes.len();
                raised = raise_in_place(cx.keys.string_mut(&key, len), &elements)?;
                return added(cx, &key, args, raised);
            }
            bytes.to_vec()
        }
    };
    for element in elements.iter() {
        raised += u64::from(
            hyperloglog::raise(&mut bytes, Mark::of(element), sparse_max).map_err(corrupt)?,
        );
    }
    hyperloglog::set_out_of_date(&mut bytes);
    write(&mut cx.keys, &key, &bytes);
    added(cx, &key, args, raised)
}

fn raise_in_place(bytes: &mut [u8], elements: &Args) -> Result<u64, Error> {
    let mut raised = 0;
    for element in elements.iter() {
        let mark = Mark::of(element);
        if hyperloglog::would_raise(bytes, mark).map_err(corrupt)? {
            hyperloglog::raise_dense(bytes, mark);
            raised += 1;
        }
    }
    hyperloglog::set_out_of_date(bytes);
    Ok(raised)
}

fn added(cx: &mut Cx, key: &Key, args: &Args, raised: u64) -> CommandResult {
    cx.keys.changed_many(key, Classes::STRING, "pfadd", raised);
    cx.keys.effect_verbatim(args);
    cx.reply.int(1);
    Ok(())
}

/// PFCOUNT key [key ...]
///
/// That of one key is stored with it, which is a change like any other where changes may be made.
pub fn pfcount(cx: &mut Cx, args: &Args) -> CommandResult {
    if args.len() > 2 {
        let mut registers = [0; REGISTERS];
        for name in args.from(1).iter() {
            let key = cx.keys.key(name);
            if let Some(value) = cx.keys.read_string(&key)? {
                log_of(value)?.merge_into(&mut registers).map_err(corrupt)?;
            }
        }
        cx.reply.int(hyperloglog::estimate_of(&registers) as i64);
        return Ok(());
    }
    let key = cx.keys.key(args.at(1));
    let Some(value) = cx.keys.read_string(&key)? else {
        cx.reply.int(0);
        return Ok(());
    };
    let bytes = bytes_of(value)?;
    let len = bytes.len();
    let log = log_of(value)?;
    if let Some(estimate) = log.stored_estimate() {
        cx.reply.int(estimate as i64);
        return Ok(());
    }
    let estimate = log.estimate().map_err(corrupt)?;
    let settings = &cx.keys.shard.settings;
    if !settings.writes_held && (!settings.is_replica || cx.keys.caller.is_primary) {
        hyperloglog::store_estimate(cx.keys.string_mut(&key, len), estimate);
        cx.keys.touch(&key);
        cx.keys.shard.stats.dirty += 1;
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(estimate as i64);
    Ok(())
}

/// PFMERGE destkey [sourcekey ...]
pub fn pfmerge(cx: &mut Cx, args: &Args) -> CommandResult {
    let sparse_max = cx.keys.shard.settings.limits.hll_sparse_max_bytes;
    let mut registers: Registers = [0; REGISTERS];
    let mut is_dense = false;
    for name in args.from(1).iter() {
        let key = cx.keys.key(name);
        if let Some(value) = cx.keys.read_string(&key)? {
            let log = log_of(value)?;
            is_dense |= log.encoding() == Encoding::Dense;
            log.merge_into(&mut registers).map_err(corrupt)?;
        }
    }
    let key = cx.keys.key(args.at(1));
    let mut bytes = match cx.keys.write_string(&key)? {
        Some(value) => bytes_of(value)?.to_vec(),
        None => hyperloglog::new_empty(),
    };
    if is_dense {
        hyperloglog::make_dense(&mut bytes).map_err(corrupt)?;
    }
    hyperloglog::raise_all(&mut bytes, &registers, sparse_max).map_err(corrupt)?;
    hyperloglog::set_out_of_date(&mut bytes);
    write(&mut cx.keys, &key, &bytes);
    cx.keys.changed(&key, Classes::STRING, "pfadd");
    cx.keys.effect_verbatim(args);
    cx.reply.ok();
    Ok(())
}

/// PFDEBUG ENCODING | DECODE | TODENSE | GETREG key
pub fn pfdebug(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(2));
    let value = cx.keys.write_string(&key)?.ok_or(NO_KEY)?;
    let log = log_of(value)?;
    let encoding = log.encoding();
    if args.is(1, "encoding") {
        cx.reply.simple(match encoding {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        });
    } else if args.is(1, "decode") {
        if encoding == Encoding::Dense {
            return Err(NOT_SPARSE);
        }
        let runs = log.runs().map_err(corrupt)?.map(|run| match run.value {
            0 if run.is_long_zero() => format!("Z:{}", run.len),
            0 => format!("z:{}", run.len),
            value => format!("v:{value},{}", run.len),
        });
        let text = runs.collect::<Vec<_>>().join(" ");
        cx.reply.text(&text);
    } else if args.is(1, "todense") {
        let converted = to_dense(cx, &key, args)?;
        cx.reply.int(converted.into());
    } else if args.is(1, "getreg") {
        let mut registers = [0; REGISTERS];
        log.merge_into(&mut registers).map_err(corrupt)?;
        to_dense(cx, &key, args)?;
        cx.reply.array(REGISTERS);
        registers.into_iter().for_each(|register| cx.reply.int(register.into()));
    } else {
        let name = String::from_utf8_lossy(args.at(1));
        return Err(Error::text(format!("ERR Unknown PFDEBUG subcommand '{name}'")));
    }
    Ok(())
}

/// Makes the HyperLogLog at a key dense, if it is not.
fn to_dense(cx: &mut Cx, key: &Key, args: &Args) -> Result<bool, Error> {
    let value = cx.keys.write_string(key)?.ok_or(NO_KEY)?;
    if log_of(value)?.encoding() == Encoding::Dense {
        return Ok(false);
    }
    let mut bytes = bytes_of(value)?.to_vec();
    hyperloglog::make_dense(&mut bytes).map_err(corrupt)?;
    write(&mut cx.keys, key, &bytes);
    cx.keys.shard.stats.dirty += 1;
    cx.keys.effect_verbatim(args);
    Ok(true)
}

/// PFSELFTEST
pub fn pfselftest(cx: &mut Cx, _args: &Args) -> CommandResult {
    if !hyperloglog::self_test() {
        return Err(Error::new("ERR the estimates of HyperLogLogs are wrong"));
    }
    cx.reply.ok();
    Ok(())
}

/// The bytes of a string that is a HyperLogLog.
fn bytes_of<'a>(value: StringValue<'a>) -> Result<&'a [u8], Error> {
    match value {
        StringValue::Bytes(bytes) if HyperLogLog::new(bytes).is_some() => Ok(bytes),
        _ => Err(NOT_ONE),
    }
}

fn log_of<'a>(value: StringValue<'a>) -> Result<HyperLogLog<'a>, Error> {
    bytes_of(value).and_then(|bytes| HyperLogLog::new(bytes).ok_or(NOT_ONE))
}

/// Writes a HyperLogLog; the key's expiry stays.
fn write(keys: &mut Keys, key: &Key, bytes: &[u8]) {
    keys.string_mut(key, bytes.len()).copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestShard;

    #[test]
    fn elements_are_counted_once() {
        let mut test = TestShard::default();
        test.check(&[
            ("PFADD a", "1"),
            ("PFADD a", "0"),
            ("PFCOUNT a", "0"),
            ("PFADD a x y z", "1"),
            ("PFADD a x y", "0"),
            ("PFCOUNT a", "3"),
            ("PFADD b z w", "1"),
            ("PFCOUNT a b none", "4"),
            ("PFCOUNT none", "0"),
            ("PFMERGE c a b", "OK"),
            ("PFCOUNT c", "4"),
            ("PFDEBUG ENCODING c", "sparse"),
            ("PFDEBUG TODENSE c", "1"),
            ("PFDEBUG TODENSE c", "0"),
            ("PFDEBUG ENCODING c", "dense"),
            ("PFCOUNT c", "4"),
            ("PFADD c v", "1"),
            ("PFCOUNT c", "5"),
            ("PFMERGE d c", "OK"),
            ("PFDEBUG ENCODING d", "dense"),
            ("PFSELFTEST", "OK"),
        ]);
    }

    #[test]
    fn other_values_are_refused() {
        const NOT_ONE: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
        const WRONG_TYPE: &str =
            "-WRONGTYPE Operation against a key holding the wrong kind of value";
        let mut test = TestShard::default();
        test.check(&[("SET s text", "OK"), ("SET n 7", "OK"), ("SADD set x", "1")]);
        for key in ["s", "n"] {
            for command in ["PFADD # x", "PFCOUNT #", "PFCOUNT # none", "PFMERGE # none"] {
                test.check(&[(&command.replace('#', key), NOT_ONE)]);
            }
        }
        test.check(&[
            ("PFADD set x", WRONG_TYPE),
            ("PFCOUNT set", WRONG_TYPE),
            ("PFMERGE a set", WRONG_TYPE),
            ("PFDEBUG ENCODING none", "-ERR The specified key does not exist"),
            ("PFADD a x", "1"),
            ("PFDEBUG WHAT a", "-ERR Unknown PFDEBUG subcommand 'WHAT'"),
            // Its runs cover a part of the registers only.
            (r#"SET bad "HYLL\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x05""#, "OK"),
            ("PFCOUNT bad", "-INVALIDOBJ Corrupted HLL object detected"),
            ("PFMERGE a bad", "-INVALIDOBJ Corrupted HLL object detected"),
        ]);
    }

    #[test]
    fn a_count_that_is_stored_is_an_effect() {
        let mut test = TestShard::with_events("KEA");
        test.check_effects("PFADD a x", &["PFADD a x"]);
        test.check_effects("PFADD a x", &[]);
        test.check_effects("PFCOUNT a", &["PFCOUNT a"]);
        test.check_effects("PFCOUNT a", &[]);
        test.check_effects("PFCOUNT a b", &[]);
        test.check_effects("PFMERGE b a", &["PFMERGE b a"]);
        test.check_events("PFADD a y", &["pfadd a"]);
        test.check_events("PFMERGE b a", &["pfadd b"]);
    }
}
