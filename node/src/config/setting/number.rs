//! yes/no, and numbers with a range and a unit.

use crate::config::directive::{Kind, Line, Reason, Setting, Unit};
use ringfort_core::number::parse_integer;

impl Setting for bool {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        match &words[0] {
            word if word.eq_ignore_ascii_case(b"yes") => Ok(true),
            word if word.eq_ignore_ascii_case(b"no") => Ok(false),
            _ => Err("argument must be 'yes' or 'no'".into()),
        }
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        if *self { b"yes".to_vec() } else { b"no".to_vec() }
    }
}

macro_rules! number_settings {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn parse(_: &Self, kind: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
                let value = parse_number(kind, &words[0])?;
                Ok(<$type>::try_from(value).expect("the row's range fits the field's type"))
            }

            fn show(&self, kind: &Kind) -> Vec<u8> {
                show_number(kind, i128::from(*self)).into_bytes()
            }

            fn lines(&self, kind: &Kind, name: &str, default: &Self) -> Vec<Line> {
                let text = number_in_file(kind, i128::from(*self));
                vec![Line::new(name, text.as_bytes(), self != default)]
            }
        }
    )*};
}
number_settings!(u16, u32, i32, i64, u64);

fn parse_number(kind: &Kind, word: &[u8]) -> Result<i128, Reason> {
    let Kind::Number { min, max, unit } = *kind else {
        unreachable!("a number's row says its range");
    };
    let value = match unit {
        Unit::Plain => {
            i128::from(parse_integer(word).ok_or("argument couldn't be parsed into an integer")?)
        }
        Unit::Memory => parse_memory(word).ok_or("argument must be a memory value")?,
        Unit::Octal => std::str::from_utf8(word)
            .ok()
            .and_then(|word| i64::from_str_radix(word, 8).ok())
            .map(i128::from)
            .ok_or("argument couldn't be parsed as an octal number")?,
    };
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(match unit {
        Unit::Octal => format!("argument must be between {min:o} and {max:o} inclusive").into(),
        _ => format!("argument must be between {min} and {max} inclusive").into(),
    })
}

fn show_number(kind: &Kind, value: i128) -> String {
    match kind {
        Kind::Number { unit: Unit::Octal, .. } => format!("{value:o}"),
        _ => value.to_string(),
    }
}

fn number_in_file(kind: &Kind, value: i128) -> String {
    match kind {
        Kind::Number { unit: Unit::Memory, .. } => memory_in_file(value),
        _ => show_number(kind, value),
    }
}

/// The bytes that a number with an optional unit means: `700mb`, `1g`. `None` unless it is one. Digits alone
/// beyond 64 bits count as the largest 64-bit number, so that a range check refuses them.
pub(super) fn parse_memory(word: &[u8]) -> Option<i128> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, unit) = word.split_at(digits);
    let factor: i128 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1000 * 1000,
        b"mb" => 1 << 20,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    // 127 digits is where Redis stops calling it a number. No digits at all count as zero there.
    if digits.len() > 127 {
        return None;
    }
    let value = digits.iter().fold(0u64, |value, digit| {
        value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    Some(i128::from(value) * factor)
}

/// `bytes` in the largest unit that loses nothing.
pub(super) fn memory_in_file(bytes: i128) -> String {
    for (shift, unit) in [(30, "gb"), (20, "mb"), (10, "kb")] {
        if bytes != 0 && bytes % (1 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directive::{memory, number, octal};

    #[track_caller]
    fn check(kind: &Kind, word: &str, expected: Result<i128, &str>) {
        let value = parse_number(kind, word.as_bytes());
        assert_eq!(
            value.as_ref().map_err(|reason| reason.as_ref()),
            expected.as_ref().map_err(|r| *r)
        );
    }

    #[test]
    fn memory_units_are_decimal_or_binary() {
        let kind = memory(0, u64::MAX.into());
        check(&kind, "10", Ok(10));
        check(&kind, "10b", Ok(10));
        check(&kind, "1k", Ok(1000));
        check(&kind, "1Kb", Ok(1024));
        check(&kind, "700MB", Ok(700 << 20));
        check(&kind, "2g", Ok(2_000_000_000));
        check(&kind, "3gb", Ok(3 << 30));
        check(&kind, "-1", Err("argument must be a memory value"));
        check(&kind, "10zz", Err("argument must be a memory value"));
        check(
            &kind,
            "18446744073709551615gb",
            Err("argument must be between 0 and 18446744073709551615 inclusive"),
        );
    }

    #[test]
    fn plain_numbers_are_canonical_and_in_range() {
        let kind = number(0, 65535);
        check(&kind, "6379", Ok(6379));
        check(&kind, "1.5", Err("argument couldn't be parsed into an integer"));
        check(&kind, "+1", Err("argument couldn't be parsed into an integer"));
        check(&kind, "65536", Err("argument must be between 0 and 65535 inclusive"));
    }

    #[test]
    fn octal_range_is_named_in_octal() {
        check(&octal(0o777), "700", Ok(0o700));
        check(&octal(0o777), "1777", Err("argument must be between 0 and 777 inclusive"));
        check(&octal(0o777), "9", Err("argument couldn't be parsed as an octal number"));
    }

    #[test]
    fn memory_in_a_file_uses_the_largest_exact_unit() {
        assert_eq!(memory_in_file(0), "0");
        assert_eq!(memory_in_file(3000), "3000");
        assert_eq!(memory_in_file(4096), "4kb");
        assert_eq!(memory_in_file(5 << 20), "5mb");
        assert_eq!(memory_in_file(6 << 30), "6gb");
    }
}
