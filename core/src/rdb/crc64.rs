//! The checksum of RDB files and DUMP payloads: CRC-64 with Jones's polynomial, reflected, starting at zero.
//!
//! Source: David T. Jones, "An Improved 64-bit Cyclic Redundancy Check for Protein Sequences"; `src/crc64.c` of Redis
//! for the check value.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Redis;

/// The checksum of `bytes` behind bytes whose checksum is `seed`; zero where nothing stands before them.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new_with_init_state(ALGORITHM, seed);
    digest.update(bytes);
    digest.finalize()
}

/// The checksum of two parts put together, from the checksum of each. Costs the logarithm of `second_bytes`, the
/// length of the second part.
pub fn combine(first: u64, second: u64, second_bytes: u64) -> u64 {
    checksum_combine(ALGORITHM, first, second, second_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit, from the definition.
    fn model(seed: u64, bytes: &[u8]) -> u64 {
        const POLYNOMIAL: u64 = 0xad93_d235_94c9_35a9;
        bytes.iter().fold(seed, |checksum, byte| {
            (0..8).fold(checksum ^ u64::from(*byte), |state, _| {
                (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL.reverse_bits() } else { 0 }
            })
        })
    }

    #[test]
    fn the_check_value_is_that_of_redis() {
        assert_eq!(checksum(0, b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(0, b""), 0);
        assert_eq!(combine(7, 0, 0), 7);
    }

    proptest! {
        #[test]
        fn the_fast_checksum_is_that_of_the_definition(
            seed: u64, bytes in prop::collection::vec(any::<u8>(), 0..2000),
        ) {
            prop_assert_eq!(checksum(seed, &bytes), model(seed, &bytes));
        }

        #[test]
        fn a_checksum_is_made_of_those_of_the_parts(
            first in prop::collection::vec(any::<u8>(), 0..600),
            second in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let whole = checksum(0, &[&first[..], &second].concat());
            prop_assert_eq!(checksum(checksum(0, &first), &second), whole);
            let parts = (checksum(0, &first), checksum(0, &second));
            prop_assert_eq!(combine(parts.0, parts.1, second.len() as u64), whole);
        }
    }
}
