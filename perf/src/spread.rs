//! Median and range of repeated measurements. Rounds are few (three to nine), so the report gives the whole
//! range rather than a standard deviation that few points cannot carry.

use std::fmt;

/// Median, least and largest of the rounds of one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` when there is nothing to summarise or a value is not a number.
    pub fn of(values: &[f64]) -> Option<Spread> {
        if values.is_empty() || values.iter().any(|value| value.is_nan()) {
            return None;
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        };
        Some(Spread { median, min: sorted[0], max: sorted[sorted.len() - 1] })
    }

    /// The spread of ours divided by theirs, round by round: what both met in the same round (a noisy
    /// neighbour, a warm machine) cancels out. Rounds where theirs is zero are left out.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Spread> {
        let ratios: Vec<f64> = ours
            .iter()
            .zip(theirs)
            .filter(|(_, theirs)| **theirs != 0.0)
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        Spread::of(&ratios)
    }

    /// The same figures in another unit.
    pub fn scaled(self, factor: f64) -> Spread {
        Spread { median: self.median * factor, min: self.min * factor, max: self.max * factor }
    }
}

/// `median (min–max)`, with the precision asked for (`{:.2}`).
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max), (2.0, 1.0, 3.0));
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(even.median, 2.5);
    }

    #[test]
    fn nothing_measured_has_no_spread() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn ratios_pair_the_rounds_and_skip_a_zero_divisor() {
        let ratio = Spread::of_ratios(&[2.0, 9.0, 3.0], &[1.0, 0.0, 2.0]).unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (1.75, 1.5, 2.0));
    }

    #[test]
    fn display_uses_the_precision_asked_for() {
        let spread = Spread::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(format!("{spread:.1}"), "2.0 (1.0–3.0)");
        assert_eq!(format!("{:.0}", spread.scaled(10.0)), "20 (10–30)");
    }
}
