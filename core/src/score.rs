//! Scores as text: in replies, in packed sorted sets, in RDB's listpacks.
//!
//! A score that is a whole number is written as one, up to half the range of an `i64`; any other with the fewest
//! digits that read back the same, in plain form where that is short, else with an exponent.
//!
//! Source: what Redis 7.2 and Valkey 9 answer; the forms are those of fpconv (github.com/night-shift/fpconv). Two texts in
//! a thousand differ from theirs in the last digit, where fpconv's are not the shortest or not the nearest.

use std::fmt::Write as _;

/// The longest text: sign, 17 digits, point, `e-324`, or 17 digits and as many zeros as may stand for an exponent.
const TEXT_BYTES: usize = 48;

/// The text of a score, on the stack.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; TEXT_BYTES],
    len: usize,
}

impl std::ops::Deref for Text {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl Text {
    fn of(text: &[u8]) -> Text {
        let mut bytes = [0; TEXT_BYTES];
        bytes[..text.len()].copy_from_slice(text);
        Text { bytes, len: text.len() }
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn push_zeros(&mut self, count: usize) {
        (0..count).for_each(|_| self.push(b"0"));
    }
}

/// The whole number that a score is, if it is written as one. Minus zero is zero here.
#[inline]
pub fn whole(score: f64) -> Option<i64> {
    const MAX: f64 = (i64::MAX / 2) as f64;
    let number = score as i64;
    (score.abs() <= MAX && number as f64 == score).then_some(number)
}

/// The text of a score; `nan` for what is none.
pub fn format(score: f64) -> Text {
    if score == 0.0 {
        return Text::of(if score.is_sign_negative() { b"-0" } else { b"0" });
    }
    if let Some(number) = whole(score) {
        return Text::of(itoa::Buffer::new().format(number).as_bytes());
    }
    if score.is_infinite() {
        return Text::of(if score > 0.0 { b"inf" } else { b"-inf" });
    }
    if score.is_nan() {
        return Text::of(b"nan");
    }
    format_digits(score)
}

fn format_digits(score: f64) -> Text {
    let mut scientific = Text::of(b"");
    write!(scientific, "{:e}", score.abs()).expect("room for a double");
    let at = scientific.iter().position(|&byte| byte == b'e').expect("an exponent");
    let (mantissa, exponent) = (&scientific[..at], &scientific[at + 1..]);
    let exponent = crate::number::parse_integer(exponent).expect("an exponent") as i32;
    let mut digits = Text::of(&mantissa[..1]);
    digits.push(mantissa.get(2..).unwrap_or_default());
    // The score is `digits` · 10^`scale`.
    let count = digits.len as i32;
    let scale = exponent - (count - 1);

    let mut text = Text::of(if score < 0.0 { b"-" } else { b"" });
    if scale >= 0 && exponent.abs() < count + 7 {
        text.push(&digits);
        text.push_zeros(scale as usize);
    } else if scale < 0 && (scale > -7 || exponent.abs() < 4) {
        let whole_digits = count + scale;
        if whole_digits <= 0 {
            text.push(b"0.");
            text.push_zeros(-whole_digits as usize);
            text.push(&digits);
        } else {
            let (whole, fraction) = digits.split_at(whole_digits as usize);
            text.push(whole);
            text.push(b".");
            text.push(fraction);
        }
    } else {
        text.push(&digits[..1]);
        if count > 1 {
            text.push(b".");
            text.push(&digits[1..]);
        }
        write!(text, "e{exponent:+}").expect("room for an exponent");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::parse_double;
    use proptest::prelude::*;

    fn text(score: f64) -> String {
        String::from_utf8(format(score).to_vec()).unwrap()
    }

    /// What Valkey 9 answers.
    #[test]
    fn scores_have_the_forms_that_redis_gives_them() {
        for (score, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (3.0, "3"),
            (-2.5, "-2.5"),
            (1e20, "1e+20"),
            (1e22, "1e+22"),
            (1e17, "100000000000000000"),
            (1e16, "10000000000000000"),
            (123456789012345678.0, "123456789012345680"),
            (12345678901234567890.0, "12345678901234567000"),
            (1.5e-7, "1.5e-7"),
            (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.23456789e-5, "1.23456789e-5"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (-1.1e30, "-1.1e+30"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (0.3, "0.3"),
            (1234.5678, "1234.5678"),
        ] {
            assert_eq!(text(score), expected);
        }
    }

    proptest! {
        #[test]
        fn a_text_reads_back_as_its_score(bits: u64, small in -1_000_000i32..1_000_000) {
            for score in [f64::from_bits(bits), f64::from(small) / 1000.0, f64::from(small) * 1e15] {
                if !score.is_nan() {
                    prop_assert_eq!(parse_double(&format(score)), Some(score));
                }
            }
        }
    }
}
