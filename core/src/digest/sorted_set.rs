//! A sorted set in a digest: the XOR of its members, each mixed with its score in 17 significant digits.

use super::{Digest, mix, sha1, xor};
use crate::store::Value;
use crate::values::sorted_set::View;

/// Adds the value, which is of this type.
pub(super) fn mix_members(digest: &mut Digest, value: Value) {
    let view = View::of(value);
    view.walk(0..view.len(), false, |member, score| {
        let mut element = Digest::default();
        member.with_bytes(|member| mix(&mut element, member));
        mix(&mut element, significant_digits(score).as_bytes());
        xor(digest, &sha1(&element));
    });
}

/// A score as C's `%.17g` writes it.
fn significant_digits(score: f64) -> String {
    const DIGITS: i32 = 17;
    if !score.is_finite() || score == 0.0 {
        let text = if score.is_infinite() { "inf" } else { "0" };
        return format!("{}{text}", if score.is_sign_negative() { "-" } else { "" });
    }
    let scientific = format!("{score:.*e}", DIGITS as usize - 1);
    let (mantissa, exponent) = scientific.split_once('e').expect("an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent");
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..DIGITS).contains(&exponent) {
        return trimmed(&format!("{score:.*}", (DIGITS - 1 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::TestShard;

    #[test]
    fn scores_have_the_digits_that_printf_gives() {
        for (score, text) in [
            (0.1, "0.10000000000000001"),
            (-0.0, "-0"),
            (3.0, "3"),
            (1e20, "1e+20"),
            (1.5e-7, "1.4999999999999999e-07"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (1e16, "10000000000000000"),
            (123456789012345678.0, "1.2345678901234568e+17"),
            (-1234.5, "-1234.5"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::MAX, "1.7976931348623157e+308"),
        ] {
            assert_eq!(significant_digits(score), text);
        }
    }

    /// What redis-server 7.0.15 answers.
    #[test]
    fn the_digest_is_that_of_redis() {
        let mut test = TestShard::default();
        test.run("ZADD z 1 a 2.5 b 0.1 c -inf d 1e20 7");
        let key = test.shard.hasher.key(b"z");
        let digest = super::super::of_value(test.shard.databases[0].get(&key));
        assert_eq!(super::super::hex(&digest), "65b3255cacf86c81d4486c669bf7eaa3b4cb325f");
        for number in 0..200 {
            test.run(&format!("ZADD z {} member:{number}", f64::from(number) / 4.0));
        }
        let digest = super::super::of_value(test.shard.databases[0].get(&key));
        assert_eq!(super::super::hex(&digest), "c600bdc283bdab705efc43242e51db29e47486b5");
    }
}
