//! RDB's lengths: 6, 14, 32 or 64 bits, most significant first; or, in place of a string's length, how else the
//! string is kept.
//!
//! | first byte | |
//! | --- | --- |
//! | `00xxxxxx` | the length |
//! | `01xxxxxx` | its upper bits; one more byte follows |
//! | `10000000` | four bytes follow |
//! | `10000001` | eight bytes follow |
//! | `11xxxxxx` | no length but a special encoding |

use super::input::{DecodeError, Input};

/// The longest form, in bytes.
pub const BYTES_MAX: usize = 9;

/// The upper bits of a special encoding.
pub const SPECIAL: u8 = 0b1100_0000;

/// What stands where a length may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Plain(u64),
    /// A special encoding, without [`SPECIAL`].
    Special(u8),
}

/// Appends `length` in its shortest form.
#[inline]
pub fn write(out: &mut Vec<u8>, length: u64) {
    if length < 1 << 6 {
        out.push(length as u8);
    } else if length < 1 << 14 {
        out.extend_from_slice(&(length as u16 | 1 << 14).to_be_bytes());
    } else if let Ok(length) = u32::try_from(length) {
        out.push(0x80);
        out.extend_from_slice(&length.to_be_bytes());
    } else {
        out.push(0x81);
        out.extend_from_slice(&length.to_be_bytes());
    }
}

/// The length or special encoding that comes next.
#[inline]
pub fn parse(input: &mut Input) -> Result<Length, DecodeError> {
    let first = input.byte()?;
    let length = match first >> 6 {
        0 => u64::from(first),
        1 => u64::from(first & 0x3f) << 8 | u64::from(input.byte()?),
        3 => return Ok(Length::Special(first & !SPECIAL)),
        _ if first == 0x80 => u64::from(u32::from_be_bytes(input.array()?)),
        _ if first == 0x81 => u64::from_be_bytes(input.array()?),
        _ => {
            let at = input.position() - 1;
            return Err(Input::malformed(at, "no length starts with this byte"));
        }
    };
    Ok(Length::Plain(length))
}

/// The length that comes next, where a special encoding may not stand.
#[inline]
pub fn parse_plain(input: &mut Input) -> Result<u64, DecodeError> {
    let at = input.position();
    match parse(input)? {
        Length::Plain(length) => Ok(length),
        Length::Special(_) => Err(Input::malformed(at, "a special encoding stands for a length")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(length: u64, bytes: &[u8]) {
        let mut out = Vec::new();
        write(&mut out, length);
        assert_eq!(out, bytes, "{length}");
        assert_eq!(parse_plain(&mut Input::new(bytes)), Ok(length));
        for end in 0..bytes.len() {
            let cut = parse(&mut Input::new(&bytes[..end]));
            assert!(
                matches!(cut, Err(DecodeError::CutShort { needs }) if needs > end && needs <= bytes.len())
            );
        }
    }

    #[test]
    fn lengths_take_the_shortest_form() {
        check(0, &[0]);
        check(63, &[63]);
        check(64, &[0x40, 64]);
        check(0x3fff, &[0x7f, 0xff]);
        check(0x4000, &[0x80, 0, 0, 0x40, 0]);
        check(0xffff_ffff, &[0x80, 0xff, 0xff, 0xff, 0xff]);
        check(1 << 32, &[0x81, 0, 0, 0, 1, 0, 0, 0, 0]);
        check(u64::MAX, &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn special_encodings_are_no_lengths() {
        assert_eq!(parse(&mut Input::new(&[0xc3])), Ok(Length::Special(3)));
        assert!(matches!(
            parse_plain(&mut Input::new(&[0xc3])),
            Err(DecodeError::Malformed { at: 0, .. })
        ));
        assert!(matches!(
            parse(&mut Input::new(&[0x82, 0, 0])),
            Err(DecodeError::Malformed { at: 0, .. })
        ));
    }

    proptest! {
        #[test]
        fn lengths_come_back(length: u64, shift in 0u32..64) {
            let mut out = Vec::new();
            write(&mut out, length >> shift);
            prop_assert!(out.len() <= BYTES_MAX);
            let mut input = Input::new(&out);
            prop_assert_eq!(parse_plain(&mut input), Ok(length >> shift));
            prop_assert_eq!(input.position(), out.len());
        }
    }
}
