//! Numbers as Redis reads and writes them.
//!
//! Integers are the canonical decimal form of an `i64` and nothing else (no sign `+`, no leading zeros or
//! spaces), since a value counts as an integer only if its text can be rebuilt from the number.

use crate::error::Error;

/// The integer that `text` canonically spells.
#[inline]
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [] => return None,
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [] => return None,
        [b'0'] => return (!negative).then_some(0),
        [b'0', ..] => return None,
        _ if digits.len() > 19 => return None,
        _ => {}
    }
    let mut value: u64 = 0;
    for &digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits fit into a u64.
        value = value * 10 + u64::from(digit);
    }
    if negative {
        (value <= 1 << 63).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

/// An integer argument of a command.
pub fn integer(text: &[u8]) -> Result<i64, Error> {
    parse_integer(text).ok_or(Error::NOT_AN_INTEGER)
}

/// An integer argument of a command that must fit 32 bits: a database number.
pub fn int32(text: &[u8]) -> Result<i32, Error> {
    let number = integer(text)?;
    i32::try_from(number).map_err(|_| {
        let (min, max) = (i32::MIN, i32::MAX);
        Error::text(format!("ERR value is out of range, value must between {min} and {max}"))
    })
}

/// A floating point argument or value as `strtod` reads it: decimal, exponent, hex, `inf`; never NaN, never
/// with spaces around it.
pub fn parse_double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.is_empty() || text.len() > 5 * 1024 {
        return None;
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let value = if unsigned.len() > 2 && unsigned[..2].eq_ignore_ascii_case("0x") {
        let magnitude = parse_hex_double(&unsigned[2..])?;
        if text.starts_with('-') { -magnitude } else { magnitude }
    } else {
        // Rust reads what strtod reads here, but for "nan", refused below.
        text.parse::<f64>().ok()?
    };
    if value.is_nan() {
        return None;
    }
    // strtod reports ERANGE where digits overflow to infinity; the word itself is fine.
    if value.is_infinite() && !unsigned.as_bytes()[0].eq_ignore_ascii_case(&b'i') {
        return None;
    }
    Some(value)
}

fn parse_hex_double(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.find(['p', 'P']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    Some(value * 2f64.powi(exponent - 4 * fraction.len() as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_integers_are_integers() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999", None),
            ("18446744073709551616", None),
            ("100000000000000000000", None),
            ("-9223372036854775807", Some(i64::MIN + 1)),
            ("00", None),
            ("1.0", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1a", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn doubles_read_as_strtod_reads_them() {
        for (text, value) in [
            ("1.5", Some(1.5)),
            ("-1e3", Some(-1000.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("0x1.8p1", Some(3.0)),
            ("nan", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            ("1e400", None),
            ("abc", None),
        ] {
            assert_eq!(parse_double(text.as_bytes()), value, "{text:?}");
        }
    }
}
