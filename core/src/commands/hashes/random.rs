//! HRANDFIELD: fields by chance.

use super::view;
use crate::args::Args;
use crate::collections::listpack::Element;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number::integer;
use crate::resp::Reply;
use crate::shard::next_random;
use crate::values::hash::HashView;
use std::collections::HashSet;

/// HRANDFIELD key [count [WITHVALUES]]
pub fn hrandfield(cx: &mut Cx, args: &Args) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let seed = cx.keys.shard.next_random() | 1;
    if args.len() == 2 {
        match view(&mut cx.keys, &key)?.and_then(|hash| hash.random(seed)) {
            Some((name, _)) => cx.reply.element(name),
            None => cx.reply.null(),
        }
        return Ok(());
    }
    let count = integer(args.at(2))?;
    if count == i64::MIN {
        return Err(Error::new(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    let with_values = args.is(3, "withvalues");
    if args.len() > 4 || args.len() == 4 && !with_values {
        return Err(Error::SYNTAX);
    }
    let pairs_max = i64::MAX as u64 / 2;
    if with_values && count.unsigned_abs() > pairs_max {
        return Err(Error::new("ERR value is out of range"));
    }
    let hash = view(&mut cx.keys, &key)?.filter(|hash| !hash.is_empty());
    let Some(hash) = hash else {
        cx.reply.array(0);
        return Ok(());
    };
    let out = Out { with_values, reply: &mut cx.reply };
    if count < 0 {
        with_repetitions(hash, count.unsigned_abs() as usize, seed, out);
    } else {
        without_repetitions(hash, count as usize, seed, out);
    }
    Ok(())
}

struct Out<'o, 'r> {
    with_values: bool,
    reply: &'o mut Reply<'r>,
}

impl Out<'_, '_> {
    /// In RESP3 each field with its value is an array of its own.
    fn begin(&mut self, fields: usize) {
        let is_flat = self.with_values && !self.reply.is_resp3();
        self.reply.array(if is_flat { fields * 2 } else { fields });
    }

    fn pair(&mut self, (name, value): (Element, Element)) {
        if self.with_values && self.reply.is_resp3() {
            self.reply.array(2);
        }
        self.reply.element(name);
        if self.with_values {
            self.reply.element(value);
        }
    }
}

fn with_repetitions(hash: HashView, count: usize, seed: u64, mut out: Out) {
    let mut state = seed;
    let mut draw = hash.draws(move || next_random(&mut state));
    out.begin(count);
    for _ in 0..count {
        out.pair(draw().expect("the hash is not empty"));
    }
}

/// All fields, if there are no more; otherwise as many different ones.
fn without_repetitions(hash: HashView, count: usize, seed: u64, mut out: Out) {
    let len = hash.len();
    let mut state = seed;
    out.begin(count.min(len));
    if count >= len {
        hash.for_each(|name, found| out.pair((name, found.value)));
    } else if hash.is_large() && count < len / 3 {
        // Few enough that a draw seldom finds one that was drawn before.
        let mut drawn = HashSet::with_capacity(count);
        let mut draw = hash.draws(move || next_random(&mut state));
        while drawn.len() < count {
            let (name, value) = draw().expect("the hash is not empty");
            if let Element::Bytes(bytes) = name
                && drawn.insert(bytes)
            {
                out.pair((name, value));
            }
        }
    } else {
        // Each field with the chance that as many as are still wanted come from those that are left.
        let (mut wanted, mut left) = (count, len);
        hash.for_each(|name, found| {
            let draw = (u128::from(next_random(&mut state)) * left as u128) >> u64::BITS;
            left -= 1;
            if (draw as usize) < wanted {
                wanted -= 1;
                out.pair((name, found.value));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use crate::resp::Protocol;
    use std::collections::HashSet;

    fn filled(fields: usize, listpack_entries: usize) -> TestShard {
        let mut test = TestShard::default();
        test.shard.settings.limits.hash_max_listpack_entries = listpack_entries;
        for field in 0..fields {
            test.run(&format!("HSET h f{field} v{field}"));
        }
        test
    }

    fn words(reply: &str) -> Vec<String> {
        let inner = reply.trim_matches(['[', ']']);
        inner.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn as_many_fields_come_as_are_asked_for() {
        for (fields, listpack_entries) in [(50, 512), (50, 10), (5, 512), (5, 0)] {
            let mut test = filled(fields, listpack_entries);
            for count in [1, 2, 4, 20, 49, 50, 60] {
                let drawn = words(&test.run(&format!("HRANDFIELD h {count}")));
                assert_eq!(drawn.len(), count.min(fields));
                let different: HashSet<&String> = drawn.iter().collect();
                assert_eq!(different.len(), drawn.len());
                let drawn = words(&test.run(&format!("HRANDFIELD h -{count} WITHVALUES")));
                assert_eq!(drawn.len(), count * 2);
                for pair in drawn.chunks(2) {
                    assert_eq!(pair[0].replace('f', "v"), pair[1]);
                }
            }
            let mut seen = HashSet::new();
            for _ in 0..1000 {
                seen.insert(test.run("HRANDFIELD h"));
            }
            assert_eq!(seen.len(), fields);
        }
    }

    #[test]
    fn fields_that_are_due_are_not_drawn() {
        let mut test = filled(50, 512);
        for field in 1..50 {
            test.run(&format!("HPEXPIRE h 5 FIELDS 1 f{field}"));
        }
        test.now += 6;
        test.check(&[
            ("HRANDFIELD h", "\"f0\""),
            ("HRANDFIELD h 10", "[\"f0\"]"),
            ("HRANDFIELD h -2", "[\"f0\" \"f0\"]"),
        ]);
        test.run("HPEXPIRE h 5 FIELDS 1 f0");
        test.now += 6;
        test.check(&[("HRANDFIELD h", "nil"), ("HRANDFIELD h 3", "[]"), ("HRANDFIELD h -3", "[]")]);
    }

    #[test]
    fn replies_have_the_form_of_redis() {
        let mut test = filled(1, 512);
        test.check(&[
            ("HRANDFIELD h 2 WITHVALUES", r#"["f0" "v0"]"#),
            ("HRANDFIELD h 0", "[]"),
            ("HRANDFIELD none", "nil"),
            ("HRANDFIELD none 2", "[]"),
            ("HRANDFIELD h 1 foo", "-ERR syntax error"),
            ("HRANDFIELD h 1 withvalues a", "-ERR syntax error"),
            ("HRANDFIELD h x", "-ERR value is not an integer or out of range"),
            ("HRANDFIELD h 5000000000000000000 withvalues", "-ERR value is out of range"),
            (
                "HRANDFIELD h -9223372036854775808",
                "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ),
        ]);
        test.protocol = Protocol::Resp3;
        test.check(&[
            ("HRANDFIELD h -2 WITHVALUES", r#"[["f0" "v0"] ["f0" "v0"]]"#),
            ("HRANDFIELD h 2", r#"["f0"]"#),
        ]);
    }
}
