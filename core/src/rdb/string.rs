//! RDB's strings: as they are, as an integer of 1, 2 or 4 bytes, or compressed.

use super::input::{DecodeError, Input};
use super::length::{self, Length, SPECIAL};
use super::lzf;
use super::value::StoredValue;
use crate::collections::listpack::Element;
use crate::number::parse_integer;
use std::borrow::Cow;

/// No string is longer, compressed or not.
pub const BYTES_MAX: u64 = 512 << 20;

const INT8: u8 = 0;
const INT16: u8 = 1;
const INT32: u8 = 2;
const LZF: u8 = 3;

/// The longest decimal form of a number with an encoding of its own: `-2147483648`.
const DIGITS_MAX: usize = 11;

/// Appends a string: as an integer if it is the canonical form of one of 32 bits, else compressed if that is asked
/// for and saves something, else as it is.
#[inline]
pub fn write(out: &mut Vec<u8>, bytes: &[u8], compress: bool) {
    if bytes.len() <= DIGITS_MAX
        && let Some(number) = parse_integer(bytes)
        && let Ok(number) = i32::try_from(number)
    {
        return write_int32(out, number);
    }
    if compress && write_compressed(out, bytes) {
        return;
    }
    write_plain(out, bytes);
}

/// Appends an element of a collection, as [`write`] does.
pub fn write_element(out: &mut Vec<u8>, element: Element, compress: bool) {
    match element {
        Element::Bytes(bytes) => write(out, bytes, compress),
        Element::Integer(number) => write_integer(out, number),
    }
}

/// Appends a string as it is.
#[inline]
pub fn write_plain(out: &mut Vec<u8>, bytes: &[u8]) {
    length::write(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends the string that is the decimal form of `number`.
#[inline]
pub fn write_integer(out: &mut Vec<u8>, number: i64) {
    match i32::try_from(number) {
        Ok(number) => write_int32(out, number),
        Err(_) => write_plain(out, itoa::Buffer::new().format(number).as_bytes()),
    }
}

#[inline]
fn write_int32(out: &mut Vec<u8>, number: i32) {
    if let Ok(number) = i8::try_from(number) {
        out.extend_from_slice(&[SPECIAL | INT8, number as u8]);
    } else if let Ok(number) = i16::try_from(number) {
        out.push(SPECIAL | INT16);
        out.extend_from_slice(&number.to_le_bytes());
    } else {
        out.push(SPECIAL | INT32);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// `false`: it would save nothing, and nothing was written.
fn write_compressed(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let Some(compressed) = lzf::compress(bytes) else { return false };
    out.push(SPECIAL | LZF);
    length::write(out, compressed.len() as u64);
    length::write(out, bytes.len() as u64);
    out.extend_from_slice(&compressed);
    true
}

/// The string that comes next.
#[inline]
pub fn parse<'a>(input: &mut Input<'a>) -> Result<StoredValue<'a>, DecodeError> {
    let at = input.position();
    match length::parse(input)? {
        Length::Plain(bytes) => Ok(StoredValue::String(Cow::Borrowed(take(input, at, bytes)?))),
        Length::Special(LZF) => {
            let (compressed, bytes) = compressed(input, at)?;
            let string = lzf::decompress(compressed, bytes)
                .map_err(|_| Input::malformed(at, "a compressed string is corrupt"))?;
            Ok(StoredValue::String(Cow::Owned(string)))
        }
        Length::Special(encoding) => integer(input, at, encoding).map(StoredValue::Integer),
    }
}

/// As [`parse`], with an integer as its decimal form.
#[inline]
pub fn parse_bytes<'a>(input: &mut Input<'a>) -> Result<Cow<'a, [u8]>, DecodeError> {
    Ok(match parse(input)? {
        StoredValue::String(bytes) => bytes,
        StoredValue::Integer(number) => Cow::Owned(itoa::Buffer::new().format(number).into()),
        StoredValue::Collection(_) => unreachable!("a string is none"),
    })
}

/// Passes over the string that comes next, without decompressing it.
pub fn skip(input: &mut Input) -> Result<(), DecodeError> {
    let at = input.position();
    match length::parse(input)? {
        Length::Plain(bytes) => take(input, at, bytes).map(drop),
        Length::Special(LZF) => compressed(input, at).map(drop),
        Length::Special(encoding) => integer(input, at, encoding).map(drop),
    }
}

#[inline]
fn integer(input: &mut Input, at: usize, encoding: u8) -> Result<i64, DecodeError> {
    Ok(match encoding {
        INT8 => i64::from(input.byte()? as i8),
        INT16 => i64::from(i16::from_le_bytes(input.array()?)),
        INT32 => i64::from(i32::from_le_bytes(input.array()?)),
        _ => return Err(Input::malformed(at, "a string has an unknown encoding")),
    })
}

/// The bytes of a compressed string, and how many they stand for.
fn compressed<'a>(input: &mut Input<'a>, at: usize) -> Result<(&'a [u8], usize), DecodeError> {
    let compressed_bytes = length::parse_plain(input)?;
    let bytes = length::parse_plain(input)?;
    if bytes > BYTES_MAX {
        return Err(too_long(at));
    }
    Ok((take(input, at, compressed_bytes)?, bytes as usize))
}

/// `at`: where the string started.
#[inline]
fn take<'a>(input: &mut Input<'a>, at: usize, bytes: u64) -> Result<&'a [u8], DecodeError> {
    if bytes > BYTES_MAX {
        return Err(too_long(at));
    }
    input.take(bytes as usize)
}

#[cold]
fn too_long(at: usize) -> DecodeError {
    Input::malformed(at, "a string is longer than 512 MB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(bytes: &[u8], compress: bool) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, bytes, compress);
        out
    }

    fn read(bytes: &[u8]) -> StoredValue<'_> {
        let mut input = Input::new(bytes);
        let value = parse(&mut input).expect("a string");
        assert_eq!(input.position(), bytes.len());
        value
    }

    #[test]
    fn canonical_integers_of_32_bits_are_written_as_such() {
        for (text, bytes) in [
            ("0", &[0xc0, 0][..]),
            ("-128", &[0xc0, 0x80]),
            ("128", &[0xc1, 0x80, 0]),
            ("-32769", &[0xc2, 0xff, 0x7f, 0xff, 0xff]),
            ("2147483647", &[0xc2, 0xff, 0xff, 0xff, 0x7f]),
            ("-2147483648", &[0xc2, 0, 0, 0, 0x80]),
        ] {
            assert_eq!(written(text.as_bytes(), true), bytes, "{text}");
            let number = text.parse().unwrap();
            assert_eq!(read(bytes), StoredValue::Integer(number));
            let mut out = Vec::new();
            write_integer(&mut out, number);
            assert_eq!(out, bytes);
        }
        for text in ["2147483648", "-2147483649", "007", "+1", "", "1.0", "9223372036854775807"] {
            assert_eq!(written(text.as_bytes(), true)[0] as usize, text.len());
        }
        let mut out = Vec::new();
        write_integer(&mut out, i64::MIN);
        assert_eq!(out, b"\x14-9223372036854775808");
    }

    #[test]
    fn only_on_demand_is_a_string_compressed() {
        let text = [b'a'; 100];
        assert_eq!(written(&text, false).len(), 102);
        let compressed = written(&text, true);
        assert_eq!(compressed[..4], [0xc3, 5, 0x40, 100]);
        assert_eq!(read(&compressed).to_vec().unwrap(), text);
    }

    #[test]
    fn lengths_that_lie_are_refused_before_anything_is_allocated() {
        for (bytes, error) in [
            (
                &[0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
                "a string is longer than 512 MB",
            ),
            (&[0x80, 0x20, 0, 0, 1], "a string is longer than 512 MB"),
            (&[0xc3, 2, 0x80, 0x20, 0, 0, 1, 0, 0], "a string is longer than 512 MB"),
            (&[0xc3, 2, 0x80, 0x20, 0, 0, 0, 0, 0], "a compressed string is corrupt"),
            (&[0xc4], "a string has an unknown encoding"),
            (&[0xc3, 0xc0, 1], "a special encoding stands for a length"),
        ] {
            assert_eq!(parse(&mut Input::new(bytes)).unwrap_err().to_string(), error);
        }
        let long = [0x80, 0x20, 0, 0, 0];
        let needs = 5 + (512 << 20);
        assert_eq!(parse(&mut Input::new(&long)), Err(DecodeError::CutShort { needs }));
    }

    proptest! {
        #[test]
        fn strings_come_back(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..100),
                prop::collection::vec(0u8..3, 0..20_000),
                any::<i64>().prop_map(|number| number.to_string().into_bytes()),
                any::<i32>().prop_map(|number| number.to_string().into_bytes()),
            ],
            compress: bool,
        ) {
            let out = written(&bytes, compress);
            prop_assert_eq!(read(&out).to_vec().unwrap(), &bytes[..]);
            prop_assert_eq!(&*parse_bytes(&mut Input::new(&out)).unwrap(), &bytes[..]);
            let mut input = Input::new(&out);
            skip(&mut input).unwrap();
            prop_assert_eq!(input.position(), out.len());
            for end in 0..out.len().min(50) {
                let cut = parse(&mut Input::new(&out[..end]));
                let is_cut = matches!(cut, Err(DecodeError::CutShort { needs }) if needs > end);
                prop_assert!(is_cut, "{:?}", cut);
            }
        }

        #[test]
        fn no_input_makes_parsing_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = parse(&mut Input::new(&bytes));
            let _ = skip(&mut Input::new(&bytes));
        }
    }
}
