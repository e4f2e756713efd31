//! Extended precision floating point: 64 bits of mantissa, 15 of exponent, as x87's `long double`.
//!
//! INCRBYFLOAT and its kin answer with the digits that this format gives, which no double does: 0.1 + 0.2 is
//! 0.3 here. Reads decimal and hexadecimal text rounding to the nearest (ties to even), adds likewise, and
//! writes 17 decimals without trailing zeros. Meant for one operation per command: exact and small, not fast.
//!
//! Source of the format: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, section 4.2.

use std::cmp::Ordering;

/// The exponent of the smallest step between two numbers.
const EXPONENT_MIN: i32 = -16445;
/// The exponent of the largest finite numbers, whose mantissas have all 64 bits.
const EXPONENT_MAX: i32 = 16320;

/// Longer texts are no numbers.
const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;

/// ±mantissa · 2^exponent; the mantissa's top bit is set unless the exponent is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    magnitude: Magnitude,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Magnitude {
    Zero,
    Finite { mantissa: u64, exponent: i32 },
    Infinite,
}

impl From<i64> for LongDouble {
    fn from(value: i64) -> Self {
        let magnitude = round(value.unsigned_abs().into(), 0, false);
        LongDouble { negative: value < 0, magnitude }
    }
}

impl LongDouble {
    /// Reads what `strtold` reads, with nothing around it: decimal, exponent, hexadecimal, infinity. `None` for
    /// NaN, and for digits that are too large or too small to be told from infinity or zero.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, unsigned) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let magnitude = if unsigned.eq_ignore_ascii_case(b"inf")
            || unsigned.eq_ignore_ascii_case(b"infinity")
        {
            Magnitude::Infinite
        } else {
            let number = match unsigned {
                [b'0', b'x' | b'X', rest @ ..] => Text::read(rest, 16)?,
                _ => Text::read(unsigned, 10)?,
            };
            match number.magnitude() {
                Magnitude::Infinite => return None,
                Magnitude::Zero if !number.digits.is_zero() => return None,
                magnitude => magnitude,
            }
        };
        Some(LongDouble { negative, magnitude })
    }

    /// `None` where infinity or NaN comes out.
    pub fn checked_add(self, other: LongDouble) -> Option<LongDouble> {
        use Magnitude::{Finite, Infinite, Zero};
        let sum = match (self.magnitude, other.magnitude) {
            (Infinite, _) | (_, Infinite) => return None,
            (Zero, Zero) => LongDouble { negative: self.negative && other.negative, ..self },
            (Zero, Finite { .. }) => other,
            (Finite { .. }, Zero) => self,
            (Finite { exponent: left, .. }, Finite { exponent: right, .. }) if left < right => {
                other.add_smaller(self)
            }
            (Finite { .. }, Finite { .. }) => self.add_smaller(other),
        };
        (sum.magnitude != Infinite).then_some(sum)
    }

    /// The sum of two finite numbers, the second not of the larger exponent.
    fn add_smaller(self, other: LongDouble) -> LongDouble {
        let Magnitude::Finite { mantissa: large, exponent } = self.magnitude else { return other };
        let Magnitude::Finite { mantissa: small, exponent: lower } = other.magnitude else {
            return self;
        };
        // 62 bits below the mantissa are more than rounding needs; what falls out below them is one sticky bit.
        let large = u128::from(large) << 62;
        let small = u128::from(small) << 62;
        let distance = (exponent - lower) as u32;
        let aligned = small.checked_shr(distance).unwrap_or(0);
        let sticky = distance >= 128 || aligned << distance != small;
        if self.negative == other.negative {
            let magnitude = round(large + aligned, exponent - 62, sticky);
            return LongDouble { negative: self.negative, magnitude };
        }
        match large.cmp(&aligned) {
            Ordering::Equal => LongDouble { negative: false, magnitude: Magnitude::Zero },
            Ordering::Greater => {
                let magnitude = round(large - aligned - u128::from(sticky), exponent - 62, sticky);
                LongDouble { negative: self.negative, magnitude }
            }
            // Only of two numbers with one exponent, so nothing fell out.
            Ordering::Less => {
                let magnitude = round(aligned - large, exponent - 62, false);
                LongDouble { negative: other.negative, magnitude }
            }
        }
    }

    /// Decimal digits, 17 of them behind the point at most, trailing zeros cut; never an exponent.
    pub fn to_decimal(self) -> String {
        let digits = match self.magnitude {
            Magnitude::Infinite => "inf".to_owned(),
            Magnitude::Zero => return "0".to_owned(),
            Magnitude::Finite { mantissa, exponent } if exponent >= 0 => {
                Natural::from(mantissa).shifted_left(exponent as usize).to_decimal()
            }
            Magnitude::Finite { mantissa, exponent } => {
                fraction_to_decimal(mantissa, exponent.unsigned_abs())
            }
        };
        if self.negative && digits != "0" { format!("-{digits}") } else { digits }
    }
}

/// `mantissa` / 2^`shift` rounded to 17 decimals.
fn fraction_to_decimal(mantissa: u64, shift: u32) -> String {
    const ONE: u128 = 100_000_000_000_000_000;
    // 64 and 57 bits.
    let scaled = u128::from(mantissa) * ONE;
    let rounded = match shift {
        128.. => 0,
        _ => {
            let whole = scaled >> shift;
            let rest = scaled & ((1 << shift) - 1);
            let half = 1u128 << (shift - 1);
            whole + u128::from(rest > half || rest == half && whole & 1 == 1)
        }
    };
    let text = format!("{}.{:017}", rounded / ONE, rounded % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `value` · 2^`exponent`, and a little more if `sticky`, rounded to the nearest number of the format. With
/// `sticky`, `value` has more than 64 bits.
fn round(value: u128, exponent: i32, sticky: bool) -> Magnitude {
    if value == 0 {
        return Magnitude::Zero;
    }
    let bits = 128 - value.leading_zeros() as i32;
    let cut = (bits - 64).max(EXPONENT_MIN - exponent);
    let exponent = exponent + cut;
    let (mantissa, exponent) = if cut <= 0 {
        ((value << -cut) as u64, exponent)
    } else if cut > 128 {
        (0, exponent)
    } else {
        let kept = value.checked_shr(cut as u32).unwrap_or(0);
        let rest = value ^ kept.checked_shl(cut as u32).unwrap_or(0);
        let half = 1u128 << (cut - 1);
        let up = rest > half || rest == half && (sticky || kept & 1 == 1);
        match (kept as u64).checked_add(u64::from(up)) {
            Some(mantissa) => (mantissa, exponent),
            None => (1 << 63, exponent + 1),
        }
    };
    if mantissa == 0 {
        return Magnitude::Zero;
    }
    if exponent > EXPONENT_MAX {
        return Magnitude::Infinite;
    }
    debug_assert!(mantissa >> 63 == 1 || exponent == EXPONENT_MIN);
    Magnitude::Finite { mantissa, exponent }
}

/// A number as it was written: `digits` · `base`^`scale`; for base 16 the scale counts bits.
struct Text {
    digits: Natural,
    base: u32,
    scale: i64,
}

impl Text {
    fn read(text: &[u8], base: u32) -> Option<Text> {
        let marks: [u8; 2] = if base == 16 { *b"pP" } else { *b"eE" };
        let (digits, exponent) = match text.iter().position(|byte| marks.contains(byte)) {
            Some(at) => (&text[..at], read_exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let mut number = Natural::default();
        let (mut seen, mut behind_point, mut point) = (false, 0i64, false);
        for &byte in digits {
            if byte == b'.' && !point {
                point = true;
                continue;
            }
            number.multiply_add(base, (byte as char).to_digit(base)?);
            seen = true;
            behind_point += i64::from(point);
        }
        let scale = exponent - if base == 16 { behind_point * 4 } else { behind_point };
        seen.then_some(Text { digits: number, base, scale })
    }

    fn magnitude(&self) -> Magnitude {
        if self.digits.is_zero() {
            return Magnitude::Zero;
        }
        // Outside of the format's range whatever the digits, which bounds the work below.
        match (self.base, self.scale) {
            (10, 5_000..) | (16, 17_000..) => return Magnitude::Infinite,
            (10, ..-11_000) | (16, ..-40_000) => return Magnitude::Zero,
            _ => {}
        }
        let (mut above, mut below) = (self.digits.clone(), Natural::from(1));
        let mut exponent = 0;
        if self.base == 16 {
            exponent = self.scale as i32;
        } else {
            let scaled = if self.scale < 0 { &mut below } else { &mut above };
            let scale = self.scale.unsigned_abs();
            for _ in 0..scale / 9 {
                scaled.multiply_add(1_000_000_000, 0);
            }
            scaled.multiply_add(10u32.pow((scale % 9) as u32), 0);
        }
        // Bring the quotient between 2^66 and 2^68, then divide by subtracting.
        let shift = 67 + below.bits() as i32 - above.bits() as i32;
        if shift >= 0 {
            above = above.shifted_left(shift as usize);
        } else {
            below = below.shifted_left(-shift as usize);
        }
        let mut quotient = 0u128;
        let mut divisor = below.shifted_left(68);
        for _ in 0..=68 {
            quotient <<= 1;
            if above.compare(&divisor) != Ordering::Less {
                above.subtract(&divisor);
                quotient |= 1;
            }
            divisor.halve();
        }
        round(quotient, exponent - shift, !above.is_zero())
    }
}

/// An exponent's digits; beyond any range it is cut to a number that still is.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for &digit in digits {
        value = (value * 10 + i64::from((digit as char).to_digit(10)?)).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

/// A natural number of any size: limbs of 32 bits, the lowest first, none of the highest zero.
#[derive(Clone, Debug, Default)]
struct Natural {
    limbs: Vec<u32>,
}

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        let mut natural = Natural { limbs: vec![value as u32, (value >> 32) as u32] };
        natural.trim();
        natural
    }
}

impl Natural {
    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    fn bits(&self) -> usize {
        self.limbs.last().map_or(0, |top| self.limbs.len() * 32 - top.leading_zeros() as usize)
    }

    fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.limbs.push(carry as u32);
        }
    }

    fn shifted_left(&self, bits: usize) -> Natural {
        let mut limbs = vec![0; bits / 32];
        let mut carry = 0u64;
        for &limb in &self.limbs {
            carry |= u64::from(limb) << (bits % 32);
            limbs.push(carry as u32);
            carry >>= 32;
        }
        limbs.push(carry as u32);
        let mut shifted = Natural { limbs };
        shifted.trim();
        shifted
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.limbs.iter_mut().rev() {
            let low = *limb & 1;
            *limb = *limb >> 1 | carry << 31;
            carry = low;
        }
        self.trim();
    }

    fn compare(&self, other: &Natural) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// `other` must not be larger.
    fn subtract(&mut self, other: &Natural) {
        let mut borrow = false;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let subtrahend = other.limbs.get(index).copied().unwrap_or(0);
            let (difference, first) = limb.overflowing_sub(subtrahend);
            let (difference, second) = difference.overflowing_sub(u32::from(borrow));
            *limb = difference;
            borrow = first || second;
        }
        self.trim();
    }

    fn to_decimal(&self) -> String {
        const CHUNK: u64 = 1_000_000_000;
        let mut rest = self.clone();
        let mut chunks = Vec::new();
        while !rest.is_zero() {
            let mut remainder = 0u64;
            for limb in rest.limbs.iter_mut().rev() {
                let value = remainder << 32 | u64::from(*limb);
                *limb = (value / CHUNK) as u32;
                remainder = value % CHUNK;
            }
            rest.trim();
            chunks.push(remainder);
        }
        let mut text = chunks.pop().unwrap_or(0).to_string();
        for chunk in chunks.iter().rev() {
            text.push_str(&format!("{chunk:09}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_sum(left: &str, right: &str, expected: &str) {
        let left = LongDouble::parse(left.as_bytes()).expect("left");
        let right = LongDouble::parse(right.as_bytes()).expect("right");
        let sum = left.checked_add(right).map(LongDouble::to_decimal);
        assert_eq!(sum.as_deref().unwrap_or("overflow"), expected);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            " 1",
            "1 ",
            "nan",
            "abc",
            "1e",
            "1e+",
            "0x",
            "0x1p",
            ".",
            "-",
            "+",
            "e5",
            "1..2",
            "1.0.0",
            "--1",
            "1e5000",
            "1e-5000",
            "1\0",
            "1e99999999999999999999",
            "1,5",
            "infinit",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(LongDouble::parse(&[b'0'; 5120]), None);
        assert!(LongDouble::parse(&[b'0'; 5119]).is_some());
    }

    #[test]
    fn infinity_cannot_be_added_to() {
        check_sum("inf", "1", "overflow");
        check_sum("1", "-Infinity", "overflow");
        check_sum("1.1e4932", "1.1e4932", "overflow");
    }

    #[test]
    fn integers_are_exact_up_to_64_bits() {
        for value in [0, 1, -1, 42, i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(LongDouble::from(value).to_decimal(), value.to_string());
            let parsed = LongDouble::parse(value.to_string().as_bytes());
            assert_eq!(parsed, Some(LongDouble::from(value)));
        }
    }

    /// What redis-server 7.0.15 answers.
    #[test]
    fn sums_have_the_digits_that_redis_gives() {
        for (left, right, sum) in [
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "200", "5200"),
            ("3.0", "0", "3"),
            ("0.1", "0.2", "0.3"),
            ("0.0670750", "43.5857865839", "43.6528615839"),
            ("0x1p3", "88.10096741219004", "96.10096741219004"),
            ("5.533631755649193", "-114.3", "-108.76636824435080701"),
            ("2e-4951", "-10.704631769345838", "-10.704631769345838"),
            ("7.0000000000000000005", "-81.90696e3", "-81899.96000000000000085"),
            ("1208925819614629174706173", "-3630478272825636176217", "1205295341341803538546688"),
            ("-428678794991", "52.30337e6", "-428626491621"),
            ("3.0", "-867.29664960751742796776", "-864.29664960751742797"),
            ("-973.1", "85.77779e-3", "-973.01422220999999996"),
            ("-58421059294085051e-3191", "0.000000000000000483587", "0.00000000000000048"),
            ("18446744073709551616", "0.0000000000000000005", "18446744073709551616"),
            ("97.97789e29", "51.16593e20", "9797789005116592999602191335424"),
            ("-6.337197379609989", "98e-8", "-6.337196399609989"),
            ("0.0000000000000000102189", "89e-16", "0.00000000000000891"),
            ("-350.4457130", "-971774643878468636684", "-971774643878468636992"),
            ("-719.8854574", "0.000000000000000929019", "-719.88545739999999906"),
            ("-29.898255031230093", "-722.32733063445769750903", "-752.22558566568779048"),
            ("2.5", "598.9197657", "601.41976570000000002"),
            ("865912", "-58.17631e-35", "865912"),
            ("9.0000000000000000005", "0.00000000000000097100", "9.00000000000000097"),
            ("-184.947", "74.6093682675588", "-110.3376317324412"),
            ("1.00000000000000000500000001", "5.25", "6.25000000000000001"),
            ("-476.81105617", "600.80285867736", "123.99180250736"),
            ("0.5363354297715546", "-63.002040110796685", "-62.4657046810251304"),
            ("-1152921504606846974", "-77941715308328488014832", "-77942868229833094864896"),
            ("1180591620717411303424", "71.31738243568603", "1180591620717411303552"),
        ] {
            check_sum(left, right, sum);
            check_sum(right, left, sum);
        }
    }

    #[test]
    fn the_largest_and_the_smallest_numbers_are_read() {
        let largest =
            LongDouble::parse(b"1.189731495357231765e4932").expect("in range").to_decimal();
        assert!(largest.len() == 4933 && largest.starts_with("118973149535723176502126385"));
        assert_eq!(LongDouble::parse(b"0x1p16384"), None);
        for text in ["3e-4951", "0x1p-16445", "-0.0", "-1e-18"] {
            assert_eq!(
                LongDouble::parse(text.as_bytes()).map(LongDouble::to_decimal).as_deref(),
                Some("0")
            );
        }
        assert_eq!(LongDouble::parse(b"0x1p-16447"), None);
    }
}
