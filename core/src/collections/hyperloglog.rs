//! HyperLogLog: an estimate of how many different elements there were, from 16,384 registers of six bits.
//!
//! The bytes are Redis's, as they lie in a string value:
//!
//! ```text
//! "HYLL" | encoding: 0 dense, 1 sparse (u8) | 3 bytes not in use | last estimate (u64; top bit set: out of date) | registers
//! dense:  12,288 bytes, six bits a register, the lowest bits first
//! sparse: 00nnnnnn                  1 to 64 registers of 0
//!         01nnnnnn nnnnnnnn         1 to 16,384 registers of 0, the high bits first
//!         1vvvvvnn                  1 to 4 registers of the same value, 1 to 32
//! ```
//!
//! A sparse one becomes dense when a value needs more than five bits, or when it would get longer than a limit.
//!
//! Whoever has bytes from outside makes a [`HyperLogLog`] of them, which looks at the header only. Runs that do not add
//! up to all registers are noticed when they are read ([`Corrupt`]). Nothing here panics, whatever the bytes.
//!
//! Sources: Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog" (2007); Ertl, "New cardinality estimation algorithms for
//! HyperLogLog sketches" (2017), for the estimate; `src/hyperloglog.c` of Redis 7.0 for the bytes.

mod estimate;
mod hash;
mod sparse;

use sparse::Run;

pub const REGISTERS: usize = 1 << INDEX_BITS;

const INDEX_BITS: u32 = 14;

/// Bits of a hash that make the value.
const VALUE_BITS: u32 = u64::BITS - INDEX_BITS;

const HEADER_BYTES: usize = 16;
const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING: usize = 4;
const ESTIMATE: std::ops::Range<usize> = 8..16;
const OUT_OF_DATE: u8 = 1 << 7;

const REGISTER_BITS: usize = 6;
const REGISTER_MAX: u8 = (1 << REGISTER_BITS) - 1;
const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;

/// The values of all registers.
pub type Registers = [u8; REGISTERS];

/// How the registers lie in the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// The header is right, and the registers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Bytes whose header is that of a HyperLogLog.
#[derive(Clone, Copy, Debug)]
pub struct HyperLogLog<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
}

/// What an element does: it raises this register to this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    index: usize,
    value: u8,
}

/// A HyperLogLog that has seen nothing.
pub fn new_empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING] = 1;
    Run { value: 0, len: REGISTERS }.write(&mut bytes);
    bytes
}

impl Mark {
    pub fn of(element: &[u8]) -> Mark {
        let hash = hash::murmur_hash_64a(element);
        // One bit more is set, so that there always is one.
        let rest = hash >> INDEX_BITS | 1 << VALUE_BITS;
        Mark { index: hash as usize & (REGISTERS - 1), value: rest.trailing_zeros() as u8 + 1 }
    }
}

impl<'a> HyperLogLog<'a> {
    /// `None` where these bytes are something else.
    pub fn new(bytes: &'a [u8]) -> Option<HyperLogLog<'a>> {
        if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
            return None;
        }
        let encoding = match bytes[ENCODING] {
            0 if bytes.len() == DENSE_BYTES => Encoding::Dense,
            1 => Encoding::Sparse,
            _ => return None,
        };
        Some(HyperLogLog { bytes, encoding })
    }

    pub fn encoding(self) -> Encoding {
        self.encoding
    }

    /// The estimate that was stored last, if nothing has changed since.
    pub fn stored_estimate(self) -> Option<u64> {
        let bytes: [u8; 8] = *self.bytes[ESTIMATE].first_chunk()?;
        (bytes[7] & OUT_OF_DATE == 0).then_some(u64::from_le_bytes(bytes))
    }

    /// The estimate, made anew.
    pub fn estimate(self) -> Result<u64, Corrupt> {
        let mut histogram = estimate::Histogram::default();
        match self.encoding {
            Encoding::Dense => {
                (0..REGISTERS).for_each(|index| histogram.add(self.dense_register(index), 1));
            }
            Encoding::Sparse => {
                self.runs()?.for_each(|run| histogram.add(run.value, run.len));
            }
        }
        Ok(histogram.estimate())
    }

    /// Raises the registers to those of this one, where these are greater.
    pub fn merge_into(self, registers: &mut Registers) -> Result<(), Corrupt> {
        match self.encoding {
            Encoding::Dense => {
                for (index, register) in registers.iter_mut().enumerate() {
                    *register = self.dense_register(index).max(*register);
                }
            }
            Encoding::Sparse => {
                let mut rest = &mut registers[..];
                for run in self.runs()? {
                    let (covered, behind) = rest.split_at_mut(run.len);
                    covered.iter_mut().for_each(|register| *register = run.value.max(*register));
                    rest = behind;
                }
            }
        }
        Ok(())
    }

    /// The runs of a sparse one, which cover all registers.
    pub fn runs(self) -> Result<impl Iterator<Item = Run> + use<'a>, Corrupt> {
        let bytes = &self.bytes[HEADER_BYTES..];
        let covered = Run::all(bytes).try_fold(0usize, |sum, run| {
            let sum = sum + run.ok_or(Corrupt)?.len;
            if sum <= REGISTERS { Ok(sum) } else { Err(Corrupt) }
        });
        if covered? != REGISTERS {
            return Err(Corrupt);
        }
        Ok(Run::all(bytes).flatten())
    }

    #[inline]
    fn dense_register(self, index: usize) -> u8 {
        let bit = index * REGISTER_BITS;
        let at = HEADER_BYTES + bit / 8;
        let next = self.bytes.get(at + 1).copied().unwrap_or(0);
        let bits = u16::from_le_bytes([self.bytes[at], next]);
        (bits >> (bit % 8)) as u8 & REGISTER_MAX
    }
}

/// Whether an element with this mark would change the registers.
pub fn would_raise(bytes: &[u8], mark: Mark) -> Result<bool, Corrupt> {
    let log = HyperLogLog::new(bytes).ok_or(Corrupt)?;
    match log.encoding {
        Encoding::Dense => Ok(log.dense_register(mark.index) < mark.value),
        Encoding::Sparse => {
            let at = sparse::find(&bytes[HEADER_BYTES..], mark.index).ok_or(Corrupt)?;
            Ok(at.run.value < mark.value)
        }
    }
}

/// Raises a register, and returns whether that changed it; then the stored estimate is out of date. A sparse
/// HyperLogLog that gets longer than `sparse_max` bytes becomes dense.
pub fn raise(bytes: &mut Vec<u8>, mark: Mark, sparse_max: usize) -> Result<bool, Corrupt> {
    if !would_raise(bytes, mark)? {
        return Ok(false);
    }
    let is_sparse = HyperLogLog::new(bytes).is_some_and(|log| log.encoding == Encoding::Sparse);
    if is_sparse && !sparse::raise(bytes, HEADER_BYTES, mark.index, mark.value, sparse_max)? {
        make_dense(bytes)?;
        raise_dense(bytes, mark);
    } else if !is_sparse {
        raise_dense(bytes, mark);
    }
    set_out_of_date(bytes);
    Ok(true)
}

/// Raises a register of a dense HyperLogLog where it lies; see [`raise`].
pub fn raise_dense(bytes: &mut [u8], mark: Mark) {
    let bit = mark.index * REGISTER_BITS;
    let (at, shift) = (HEADER_BYTES + bit / 8, bit % 8);
    for (byte, place) in bytes[at..].iter_mut().take(2).zip([0, 8]) {
        let mask = u16::from(REGISTER_MAX) << shift >> place;
        let value = u16::from(mark.value & REGISTER_MAX) << shift >> place;
        *byte = *byte & !(mask as u8) | value as u8;
    }
}

/// Makes a sparse HyperLogLog a dense one. One that is dense stays as it is.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
    let log = HyperLogLog::new(bytes).ok_or(Corrupt)?;
    if log.encoding == Encoding::Dense {
        return Ok(());
    }
    let mut registers = [0; REGISTERS];
    log.merge_into(&mut registers)?;
    bytes.truncate(HEADER_BYTES);
    bytes[ENCODING] = 0;
    bytes.resize(DENSE_BYTES, 0);
    for (index, value) in registers.into_iter().enumerate().filter(|(_, value)| *value > 0) {
        raise_dense(bytes, Mark { index, value });
    }
    Ok(())
}

/// Raises all registers to these, where these are greater; see [`raise`].
pub fn raise_all(
    bytes: &mut Vec<u8>,
    registers: &Registers,
    sparse_max: usize,
) -> Result<(), Corrupt> {
    for (index, &value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        raise(bytes, Mark { index, value }, sparse_max)?;
    }
    Ok(())
}

/// The estimate of registers that are in no string.
pub fn estimate_of(registers: &Registers) -> u64 {
    let mut histogram = estimate::Histogram::default();
    registers.iter().for_each(|register| histogram.add(*register, 1));
    histogram.estimate()
}

/// Stores an estimate that is up to date.
pub fn store_estimate(bytes: &mut [u8], estimate: u64) {
    bytes[ESTIMATE].copy_from_slice(&estimate.to_le_bytes());
}

/// Says that the stored estimate is not up to date.
pub fn set_out_of_date(bytes: &mut [u8]) {
    bytes[ESTIMATE.end - 1] |= OUT_OF_DATE;
}

/// Whether what this file does is right, as far as it can be tried out in a moment.
pub fn self_test() -> bool {
    let (mut sparse, mut dense) = (new_empty(), new_empty());
    if make_dense(&mut dense).is_err() {
        return false;
    }
    for number in 1..=20_000u64 {
        let mark = Mark::of(&number.to_le_bytes());
        if raise(&mut sparse, mark, 3_000) != raise(&mut dense, mark, 0) {
            return false;
        }
        if number.is_power_of_two() || number % 5_000 == 0 {
            let of = |bytes| HyperLogLog::new(bytes).and_then(|log| log.estimate().ok());
            // Six times the standard error, 1.04 / √16,384, and one for the smallest.
            let error_max = number * 6 / 123 + 1;
            let right = of(&dense).is_some_and(|found| found.abs_diff(number) <= error_max);
            if !right || of(&sparse) != of(&dense) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn registers(bytes: &[u8]) -> Registers {
        let mut registers = [0; REGISTERS];
        HyperLogLog::new(bytes).unwrap().merge_into(&mut registers).unwrap();
        registers
    }

    fn mark() -> impl Strategy<Value = Mark> {
        let index = prop_oneof![0..REGISTERS, 0..40usize, REGISTERS - 10..REGISTERS];
        let value = prop_oneof![6 => 1..4u8, 1 => 1..33u8, 1 => Just(51u8)];
        (index, value).prop_map(|(index, value)| Mark { index, value })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn both_encodings_hold_what_a_plain_array_holds(
            marks in prop::collection::vec(mark(), 0..150),
            sparse_max in prop::sample::select(&[30usize, 200, 3_000][..]),
            wide in any::<bool>(),
        ) {
            let (mut sparse, mut dense) = (new_empty(), new_empty());
            make_dense(&mut dense).unwrap();
            let mut model = [0; REGISTERS];
            for mut mark in marks {
                mark.value = if wide { mark.value } else { mark.value.min(32) };
                let raises = model[mark.index] < mark.value;
                model[mark.index] = model[mark.index].max(mark.value);
                for bytes in [&mut sparse, &mut dense] {
                    store_estimate(bytes, 7);
                    prop_assert_eq!(would_raise(bytes, mark), Ok(raises));
                    prop_assert_eq!(raise(bytes, mark, sparse_max), Ok(raises));
                    let stored = HyperLogLog::new(bytes).unwrap().stored_estimate();
                    prop_assert_eq!(stored, (!raises).then_some(7));
                }
                let is_sparse = HyperLogLog::new(&sparse).unwrap().encoding() == Encoding::Sparse;
                prop_assert!(!is_sparse || sparse.len() <= sparse_max);
            }
            prop_assert!(registers(&sparse) == model && registers(&dense) == model);
            let estimate = HyperLogLog::new(&sparse).unwrap().estimate().unwrap();
            prop_assert_eq!(estimate, HyperLogLog::new(&dense).unwrap().estimate().unwrap());
            prop_assert_eq!(estimate, estimate_of(&model));
            let mut merged = new_empty();
            raise_all(&mut merged, &model, sparse_max).unwrap();
            prop_assert!(registers(&merged) == model);
        }

        #[test]
        fn whatever_the_bytes_nothing_panics(
            tail in prop::collection::vec(any::<u8>(), 0..80),
            mark in mark(),
        ) {
            let mut bytes = [&new_empty()[..HEADER_BYTES], &tail].concat();
            let log = HyperLogLog::new(&bytes).unwrap();
            let is_whole = log.estimate().is_ok();
            prop_assert_eq!(log.merge_into(&mut [0; REGISTERS]).is_ok(), is_whole);
            prop_assert!(raise(&mut bytes, mark, 60).is_ok() || !is_whole);
            let _ = make_dense(&mut bytes);
        }
    }

    #[test]
    fn what_is_no_hyperloglog_is_not_taken_for_one() {
        let mut dense = new_empty();
        make_dense(&mut dense).unwrap();
        assert_eq!(dense.len(), 12_304);
        for bytes in [&b""[..], b"HYLL", b"HELL\x01...........", &dense[..12_303]] {
            assert!(HyperLogLog::new(bytes).is_none());
        }
        dense[ENCODING] = 2;
        assert!(HyperLogLog::new(&dense).is_none());
    }

    #[test]
    fn the_self_test_passes() {
        assert!(self_test());
    }
}
