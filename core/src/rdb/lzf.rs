//! LZF, the compression of strings in RDB.
//!
//! A stream of runs. A control byte below 32 stands before that many literal bytes and one more. Any other starts a
//! back reference: the upper three bits are the length less 2, or 7 when one more byte of length follows; the lower
//! five bits and the next byte are the distance less 1.
//!
//! Source: Marc Lehmann's description of LibLZF's format; when a string is compressed at all follows `src/rdb.c` of
//! Redis 7.0.

/// Strings up to this length are written as they are.
const INPUT_BYTES_MIN: usize = 20;
/// What compression must save.
const SAVING_BYTES_MIN: usize = 4;

const LITERALS_MAX: usize = 32;
const MATCH_BYTES_MIN: usize = 3;
const MATCH_BYTES_MAX: usize = 7 + 255 + 2;
const DISTANCE_MAX: usize = 1 << 13;

/// The compressed form, or `None` where that would not save at least 4 bytes, or `input` is no longer than 20.
pub fn compress(input: &[u8]) -> Option<Vec<u8>> {
    if input.len() <= INPUT_BYTES_MIN || u32::try_from(input.len()).is_err() {
        return None;
    }
    let bytes_max = input.len() - SAVING_BYTES_MIN;
    let mut out = Vec::with_capacity(bytes_max.min(1 << 16));
    let mut recent = Recent::new(input.len());
    let (mut at, mut literals_from) = (0, 0);
    while at + MATCH_BYTES_MIN <= input.len() {
        let Some(earlier) = recent.replace(input, at) else {
            at += 1;
            // What will not be saved in the end is not worth going on for.
            if out.len() + (at - literals_from) > bytes_max {
                return None;
            }
            continue;
        };
        let length = match_length(&input[earlier..], &input[at..]);
        write_literals(&mut out, &input[literals_from..at]);
        write_reference(&mut out, length, at - earlier);
        // The end of what was matched is where the next match is likely to start.
        for inside in at + length - 2..at + length {
            if inside + MATCH_BYTES_MIN <= input.len() {
                recent.replace(input, inside);
            }
        }
        at += length;
        literals_from = at;
    }
    write_literals(&mut out, &input[literals_from..]);
    (out.len() <= bytes_max).then_some(out)
}

/// Where three bytes with the same hash were last seen.
struct Recent {
    /// Position plus one; zero is none.
    positions: Vec<u32>,
    shift: u32,
}

impl Recent {
    /// A short input gets a small table, which is quickly cleared.
    fn new(input_bytes: usize) -> Self {
        let bits = input_bytes.ilog2().clamp(7, 14);
        Recent { positions: vec![0; 1 << bits], shift: u32::BITS - bits }
    }

    /// Notes the three bytes at `at` and gives the place where the same ones stood before, if it is in reach.
    #[inline]
    fn replace(&mut self, input: &[u8], at: usize) -> Option<usize> {
        let three = three_bytes(input, at);
        // Fibonacci hashing: the upper bits of the product depend on all of the number's.
        let hash = three.wrapping_mul(0x9e37_79b1) >> self.shift;
        let before = std::mem::replace(&mut self.positions[hash as usize], at as u32 + 1);
        let earlier = (before as usize).checked_sub(1)?;
        (at - earlier <= DISTANCE_MAX && three_bytes(input, earlier) == three).then_some(earlier)
    }
}

#[inline]
fn three_bytes(input: &[u8], at: usize) -> u32 {
    let bytes = &input[at..at + 3];
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

/// How far two places that agree in three bytes agree.
fn match_length(earlier: &[u8], later: &[u8]) -> usize {
    let later = &later[..later.len().min(MATCH_BYTES_MAX)];
    let same =
        earlier.iter().zip(later).skip(MATCH_BYTES_MIN).take_while(|(one, other)| one == other);
    MATCH_BYTES_MIN + same.count()
}

fn write_literals(out: &mut Vec<u8>, literals: &[u8]) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push(run.len() as u8 - 1);
        out.extend_from_slice(run);
    }
}

fn write_reference(out: &mut Vec<u8>, length: usize, distance: usize) {
    let (length, distance) = (length - 2, distance - 1);
    let upper = (distance >> 8) as u8;
    if length < 7 {
        out.push((length as u8) << 5 | upper);
    } else {
        out.extend_from_slice(&[7 << 5 | upper, (length - 7) as u8]);
    }
    out.push(distance as u8);
}

/// Not an LZF stream, or not one of the length that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// What `input` was made from, which must have `length` bytes. Allocates once, and only after a look through the runs
/// has shown that they make so many bytes, whatever the caller was told.
pub fn decompress(input: &[u8], length: usize) -> Result<Vec<u8>, Corrupt> {
    if decompressed_bytes(input) != Some(length) {
        return Err(Corrupt);
    }
    let mut out = Vec::with_capacity(length);
    let mut rest = input;
    while let Some((run, behind)) = Run::split(rest) {
        rest = behind;
        match run {
            Run::Literals(bytes) => out.extend_from_slice(bytes),
            Run::Reference { length, distance } => {
                let start = out.len().checked_sub(distance).ok_or(Corrupt)?;
                if distance >= length {
                    out.extend_from_within(start..start + length);
                } else {
                    repeat(&mut out, start, length);
                }
            }
        }
    }
    Ok(out)
}

/// A reference into what it makes itself: the bytes from `start` to the end, over and over.
fn repeat(out: &mut Vec<u8>, start: usize, length: usize) {
    let end = out.len() + length;
    while out.len() < end {
        let count = (out.len() - start).min(end - out.len());
        out.extend_from_within(start..start + count);
    }
}

/// `None`: the last run is cut.
fn decompressed_bytes(input: &[u8]) -> Option<usize> {
    let mut bytes = 0;
    let mut rest = input;
    while !rest.is_empty() {
        let (run, behind) = Run::split(rest)?;
        rest = behind;
        bytes += match run {
            Run::Literals(literals) => literals.len(),
            Run::Reference { length, .. } => length,
        };
    }
    Some(bytes)
}

enum Run<'a> {
    Literals(&'a [u8]),
    Reference { length: usize, distance: usize },
}

impl<'a> Run<'a> {
    /// The first run and what follows it; `None` at the end, or where the run is cut.
    #[inline]
    fn split(input: &'a [u8]) -> Option<(Run<'a>, &'a [u8])> {
        let (&control, rest) = input.split_first()?;
        if usize::from(control) < LITERALS_MAX {
            let (literals, rest) = rest.split_at_checked(usize::from(control) + 1)?;
            return Some((Run::Literals(literals), rest));
        }
        let (more, rest) = match control >> 5 {
            7 => rest.split_first().map(|(more, rest)| (usize::from(*more), rest))?,
            _ => (0, rest),
        };
        let (&lower, rest) = rest.split_first()?;
        let length = usize::from(control >> 5) + more + 2;
        let distance = (usize::from(control & 31) << 8 | usize::from(lower)) + 1;
        Some((Run::Reference { length, distance }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_saves_four_bytes_is_compressed() {
        assert_eq!(compress(&[b'a'; 20]), None);
        assert_eq!(compress(&[b'a'; 21]).map(|bytes| bytes.len()), Some(1 + 1 + 3));
        assert_eq!(compress(b"abcdefghijklmnopqrstuvwxyz0123456789"), None);
        // One reference of five bytes saves two.
        assert_eq!(compress(b"abcdefghijklmnopqrstuabcde"), None);
        assert!(compress(b"abcdefghijklmnopqrstuabcdefghij").is_some());
        assert_eq!(compress(b""), None);
    }

    #[test]
    fn references_may_reach_into_what_they_make() {
        // "ab", then seven bytes from two before.
        assert_eq!(decompress(&[1, b'a', b'b', 5 << 5, 1], 9).unwrap(), b"ababababa");
    }

    #[test]
    fn streams_that_are_none_are_refused() {
        for (stream, length) in [
            (&b""[..], 1),
            (&[0], 1),
            (&[1, b'a'], 2),
            (&[0, b'a'], 2),
            (&[0, b'a'], 0),
            (&[1 << 5, 0], 3),
            (&[0, b'a', 1 << 5, 1], 4),
            (&[0, b'a', 7 << 5, 0], 10),
            (&[0, b'a'], usize::MAX),
        ] {
            assert_eq!(decompress(stream, length), Err(Corrupt), "{stream:?}");
        }
        assert_eq!(decompress(b"", 0).unwrap(), b"");
    }

    #[test]
    fn long_inputs_come_back() {
        let long: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7 % 5000).to_le_bytes()).collect();
        let compressed = compress(&long).expect("it repeats");
        assert!(compressed.len() < long.len() / 2, "{}", compressed.len());
        assert!(decompress(&compressed, long.len()).unwrap() == long);
        let zeros = vec![0; 1 << 20];
        let compressed = compress(&zeros).expect("it repeats");
        assert!(compressed.len() < 13_000, "{}", compressed.len());
        assert!(decompress(&compressed, zeros.len()).unwrap() == zeros);
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_back(
            input in prop::collection::vec(0u8..4, 0..3000), spread in 1u8..90,
        ) {
            let input: Vec<u8> = input.iter().map(|byte| byte.wrapping_mul(spread)).collect();
            if let Some(compressed) = compress(&input) {
                prop_assert!(compressed.len() + SAVING_BYTES_MIN <= input.len());
                prop_assert_eq!(decompress(&compressed, input.len()), Ok(input));
            }
        }

        #[test]
        fn no_input_makes_decompression_panic(
            input in prop::collection::vec(any::<u8>(), 0..300), length in 0usize..3000,
        ) {
            for length in [Some(length), decompressed_bytes(&input)].into_iter().flatten() {
                if let Ok(output) = decompress(&input, length) {
                    prop_assert_eq!(output.len(), length);
                }
            }
        }
    }
}
