//! The sparse encoding: runs of registers with one value.

use super::{Corrupt, REGISTERS};

/// Registers next to each other that have one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub value: u8,
    /// At least 1.
    pub len: usize,
}

/// The longest run of a value, the greatest value, and the longest run of zeros in one byte.
const VALUE_LEN_MAX: usize = 4;
const VALUE_MAX: u8 = 32;
const SHORT_ZERO_MAX: usize = 64;

const IS_VALUE: u8 = 0x80;
const IS_LONG_ZERO: u8 = 0x40;

/// Runs that a merge looks at.
const MERGE_STEPS: usize = 5;

/// A run with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) run: Run,
    /// The first register of the run.
    first: usize,
    /// Where the run is written, and where the one before is, if there is one.
    at: usize,
    before: Option<usize>,
}

impl Run {
    /// The run at the beginning of some bytes, and how many it takes. `None`: it is cut.
    fn read(bytes: &[u8]) -> Option<(Run, usize)> {
        let first = *bytes.first()?;
        let low = usize::from(first & 0x3f);
        Some(if first & IS_VALUE != 0 {
            (Run { value: (first >> 2 & 0x1f) + 1, len: usize::from(first & 3) + 1 }, 1)
        } else if first & IS_LONG_ZERO != 0 {
            (Run { value: 0, len: (low << 8 | usize::from(*bytes.get(1)?)) + 1 }, 2)
        } else {
            (Run { value: 0, len: low + 1 }, 1)
        })
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        let len = self.len - 1;
        if self.value > 0 {
            out.push(IS_VALUE | (self.value - 1) << 2 | len as u8);
        } else if self.len > SHORT_ZERO_MAX {
            out.extend_from_slice(&[IS_LONG_ZERO | (len >> 8) as u8, len as u8]);
        } else {
            out.push(len as u8);
        }
    }

    /// Whether it is written as a long run of zeros, however short it is. This is what PFDEBUG DECODE shows.
    pub fn is_long_zero(self) -> bool {
        self.value == 0 && self.len > SHORT_ZERO_MAX
    }

    /// All runs; `None` for one that is cut, after which there are no more.
    pub(super) fn all(bytes: &[u8]) -> impl Iterator<Item = Option<Run>> {
        let mut rest = Some(bytes);
        std::iter::from_fn(move || {
            let bytes = rest.filter(|bytes| !bytes.is_empty())?;
            let read = Run::read(bytes);
            rest = read.map(|(_, taken)| &bytes[taken..]);
            Some(read.map(|(run, _)| run))
        })
    }
}

/// The run that covers a register.
pub(super) fn find(bytes: &[u8], index: usize) -> Option<Found> {
    let (mut at, mut first, mut before) = (0, 0, None);
    loop {
        let (run, taken) = Run::read(bytes.get(at..)?)?;
        if index < first + run.len {
            return (first + run.len <= REGISTERS).then_some(Found { run, first, at, before });
        }
        before = Some(at);
        at += taken;
        first += run.len;
    }
}

/// Raises a register to a value that is greater than its own. `header` bytes come before the runs. False, and nothing is
/// changed, if the runs cannot hold it or would become longer than `bytes_max`, with the header.
pub(super) fn raise(
    bytes: &mut Vec<u8>,
    header: usize,
    index: usize,
    value: u8,
    bytes_max: usize,
) -> Result<bool, Corrupt> {
    if value > VALUE_MAX {
        return Ok(false);
    }
    let Found { run, first, at, before } = find(&bytes[header..], index).ok_or(Corrupt)?;
    let Some((_, taken)) = Run::read(&bytes[header + at..]) else { return Err(Corrupt) };
    let mut runs = Vec::with_capacity(5);
    let last = first + run.len - 1;
    for part in [
        Run { value: run.value, len: index - first },
        Run { value, len: 1 },
        Run { value: run.value, len: last - index },
    ] {
        if part.len > 0 {
            part.write(&mut runs);
        }
    }
    if runs.len() > taken && bytes.len() + runs.len() - taken > bytes_max {
        return Ok(false);
    }
    let place = header + at;
    bytes.splice(place..place + taken, runs);
    merge(bytes, header + before.unwrap_or(0));
    Ok(true)
}

/// Merges neighbours of one value, as long as one run can hold them, among a few runs from a place on.
fn merge(bytes: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..MERGE_STEPS {
        let Some((run, taken)) = bytes.get(at..).and_then(Run::read) else { return };
        let next = bytes.get(at + taken..).and_then(Run::read);
        match next {
            Some((next, _))
                if run.value > 0
                    && next.value == run.value
                    && run.len + next.len <= VALUE_LEN_MAX =>
            {
                let mut merged = Vec::with_capacity(1);
                Run { value: run.value, len: run.len + next.len }.write(&mut merged);
                // Both are of one byte. The merged one may be merged with the next.
                bytes.splice(at..at + 2, merged);
            }
            _ => at += taken,
        }
    }
}
