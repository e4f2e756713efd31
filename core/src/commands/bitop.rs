//! BITOP: strings combined bit by bit.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::store::Expiry;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn of_word(word: &[u8]) -> Option<Operation> {
        const WORDS: [(&[u8], Operation); 4] = [
            (b"AND", Operation::And),
            (b"OR", Operation::Or),
            (b"XOR", Operation::Xor),
            (b"NOT", Operation::Not),
        ];
        WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, found)| *found)
    }
}

/// BITOP AND | OR | XOR | NOT destination key [key …]
pub fn bitop(cx: &mut Cx, args: &Args) -> CommandResult {
    let operation = Operation::of_word(args.at(1)).ok_or(Error::SYNTAX)?;
    if operation == Operation::Not && args.len() != 4 {
        return Err(Error::new("ERR BITOP NOT must be called with a single source key."));
    }
    let mut result = Vec::new();
    for (index, name) in args.from(3).iter().enumerate() {
        let key = cx.keys.key(name);
        match cx.keys.read_string(&key)? {
            None if index == 0 => {}
            None => combine(&mut result, operation, b""),
            Some(value) if index == 0 => result = value.to_vec(),
            Some(value) => value.with_bytes(|bytes| combine(&mut result, operation, bytes)),
        }
    }
    if operation == Operation::Not {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let target = cx.keys.key(args.at(2));
    if !result.is_empty() {
        cx.keys.set(&target, b"", Expiry::Clear);
        cx.keys.string_mut(&target, result.len()).copy_from_slice(&result);
        cx.keys.changed(&target, Classes::STRING, "set");
        cx.keys.effect_verbatim(args);
    } else if cx.keys.remove(&target) {
        cx.keys.changed(&target, Classes::GENERIC, "del");
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(result.len() as i64);
    Ok(())
}

/// Folds one more source into the result; the shorter one goes on with zeros.
fn combine(result: &mut Vec<u8>, operation: Operation, source: &[u8]) {
    let shared = result.len().min(source.len());
    match operation {
        Operation::And => {
            pairwise(&mut result[..shared], source, |left, right| left & right);
            result[shared..].fill(0);
            result.resize(result.len().max(source.len()), 0);
        }
        Operation::Or => {
            pairwise(&mut result[..shared], source, |left, right| left | right);
            result.extend_from_slice(&source[shared..]);
        }
        Operation::Xor => {
            pairwise(&mut result[..shared], source, |left, right| left ^ right);
            result.extend_from_slice(&source[shared..]);
        }
        Operation::Not => {}
    }
}

/// One loop per operation, of a form that compiles to vector instructions.
#[inline]
fn pairwise(result: &mut [u8], source: &[u8], operation: impl Fn(u8, u8) -> u8) {
    for (left, right) in result.iter_mut().zip(source) {
        *left = operation(*left, *right);
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;

    fn example() -> TestShard {
        let mut test = TestShard::with_events("KEA");
        test.run(r#"MSET a "\x0f\xff\x55" b "\x3c\x0f" e """#);
        test
    }

    #[test]
    fn the_shorter_string_goes_on_with_zeros() {
        let mut test = example();
        for (line, result) in [
            ("AND k a b", r"\x0c\x0f\x00"),
            ("and k b a", r"\x0c\x0f\x00"),
            ("OR k a b", r"?\xffU"),
            ("OR k b a", r"?\xffU"),
            ("XOR k a b", r"3\xf0U"),
            ("XOR k b a a", r"<\x0f\x00"),
            ("NOT k a", r"\xf0\x00\xaa"),
            ("AND k a none", r"\x00\x00\x00"),
            ("AND k none a", r"\x00\x00\x00"),
            ("OR k none a", r"\x0f\xffU"),
            ("AND k a", r"\x0f\xffU"),
        ] {
            test.check(&[(&format!("BITOP {line}"), "3"), ("GET k", &format!("\"{result}\""))]);
        }
        test.check(&[("BITOP OR b b a", "3"), ("GET b", r#""?\xffU""#)]);
    }

    #[test]
    fn an_empty_result_removes_the_destination() {
        let mut test = example();
        test.check(&[("BITOP OR b none e", "0"), ("GET b", "nil")]);
        test.check_effects("BITOP OR a none", &["BITOP OR a none"]);
        test.check_effects("BITOP OR a none", &[]);
    }

    #[test]
    fn the_result_does_not_expire() {
        let mut test = example();
        test.run("SET k v PX 10");
        test.run("BITOP NOT k a");
        test.now += 11;
        test.check(&[("STRLEN k", "3")]);
    }

    #[test]
    fn wrong_operations_are_refused() {
        example().check(&[
            ("BITOP FOO k a", "-ERR syntax error"),
            ("BITOP NOT k a b", "-ERR BITOP NOT must be called with a single source key."),
        ]);
    }

    #[test]
    fn events_say_whether_it_was_set_or_deleted() {
        let mut test = example();
        test.check_events("BITOP AND k a b", &["set k"]);
        test.check_events("BITOP AND k none", &["del k"]);
        test.check_events("BITOP AND k none", &[]);
    }
}
