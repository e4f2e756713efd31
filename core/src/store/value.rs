//! What values are, and what Redis calls them.

/// Strings up to this length that were set as a whole report the encoding `embstr`, as in Redis.
pub(super) const EMBSTR_BYTES_MAX: usize = 44;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Bytes(&'a [u8]),
    /// A string that is the canonical decimal form of this number.
    Integer(i64),
}

impl Value<'_> {
    /// Length in bytes of the string it stands for.
    #[inline]
    pub fn len(&self) -> usize {
        match *self {
            Value::Bytes(bytes) => bytes.len(),
            Value::Integer(number) => itoa::Buffer::new().format(number).len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the string it stands for.
    #[inline]
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match *self {
            Value::Bytes(bytes) => f(bytes),
            Value::Integer(number) => f(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// The string it stands for.
    pub fn to_vec(&self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }
}

/// What OBJECT ENCODING calls the way a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Int,
    Embstr,
    Raw,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
        }
    }
}

/// The number of which `bytes` is the canonical decimal form: what Redis stores as an integer.
#[inline]
pub fn parse_integer(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (&first, rest) = digits.split_first()?;
    match first {
        b'0' if rest.is_empty() && !negative => return Some(0),
        b'1'..=b'9' if rest.len() < 19 => {}
        _ => return None,
    }
    let mut magnitude = u64::from(first - b'0');
    for &digit in rest {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        // Nineteen digits fit; this is for the twentieth.
        magnitude = magnitude.checked_mul(10)?.checked_add(u64::from(value))?;
    }
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_decimal_is_an_integer() {
        for number in [0, 1, -1, 9, 10, 127, 128, -129, 40_000, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(parse_integer(number.to_string().as_bytes()), Some(number));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
            "-9223372036854775809",
        ] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
        for text in ["99999999999999999999", "18446744073709551616", "100000000000000000000"] {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text}");
        }
    }
}
