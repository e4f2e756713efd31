//! From registers to a number of elements (Ertl's improved raw estimator).

use super::{REGISTERS, VALUE_BITS};

/// The greatest value of a register, 51.
const VALUE_MAX: usize = VALUE_BITS as usize + 1;

/// 1 / (2 ln 2)
const ALPHA: f64 = std::f64::consts::LOG2_E / 2.0;

/// How many registers have each value.
pub(super) struct Histogram {
    counts: [usize; 64],
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: [0; 64] }
    }
}

impl Histogram {
    /// `value` is of six bits.
    #[inline]
    pub(super) fn add(&mut self, value: u8, registers: usize) {
        self.counts[value as usize & 63] += registers;
    }

    pub(super) fn estimate(&self) -> u64 {
        let registers = REGISTERS as f64;
        let share = |count: usize| count as f64 / registers;
        let mut sum = registers * tau(share(REGISTERS.saturating_sub(self.counts[VALUE_MAX])));
        for value in (1..VALUE_MAX).rev() {
            sum = (sum + self.counts[value] as f64) * 0.5;
        }
        sum += registers * sigma(share(self.counts[0]));
        (ALPHA * registers * registers / sum).round() as u64
    }
}

/// What the full registers add.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut weight, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        weight *= 0.5;
        let before = sum;
        sum -= (1.0 - root).powi(2) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// What the empty registers add.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut weight, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let before = sum;
        sum += power * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}
