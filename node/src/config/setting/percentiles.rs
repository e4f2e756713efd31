//! `latency-tracking-info-percentiles`: which percentiles INFO latencystats shows.

use crate::config::directive::{Kind, Line, Reason, Setting};
use ringfort_core::number::parse_double;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Percentiles(pub Vec<f64>);

impl Percentiles {
    /// A percentile as INFO and CONFIG GET write it: at most six decimals, none for nothing.
    pub fn text(percentile: f64) -> String {
        let text = format!("{percentile:.6}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Setting for Percentiles {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        if matches!(words, [only] if only.is_empty()) {
            return Ok(Percentiles::default());
        }
        let mut percentiles = Vec::with_capacity(words.len());
        for word in words {
            let percentile =
                parse_double(word).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if !(0.0..=100.0).contains(&percentile) {
                return Err("latency-tracking-info-percentiles parameters should sit between \
                            [0.0,100.0]"
                    .into());
            }
            percentiles.push(percentile);
        }
        Ok(Percentiles(percentiles))
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let texts: Vec<_> =
            self.0.iter().map(|percentile| Percentiles::text(*percentile)).collect();
        texts.join(" ").into_bytes()
    }

    fn lines(&self, kind: &Kind, name: &str, default: &Self) -> Vec<Line> {
        let value = if self.0.is_empty() { b"\"\"".to_vec() } else { self.show(kind) };
        vec![Line::new(name, &value, self != default)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lose_their_trailing_zeros() {
        let words: Vec<Vec<u8>> = ["50", "99.990", "0.1"].map(Into::into).to_vec();
        let percentiles =
            Percentiles::parse(&Percentiles::default(), &Kind::Own, &words, false).unwrap();
        assert_eq!(percentiles.show(&Kind::Own), b"50 99.99 0.1");
    }

    #[test]
    fn values_beyond_a_hundred_or_no_numbers_are_refused() {
        for word in ["101", "-1", "x", "nan", "inf"] {
            let words = [word.into()];
            assert!(
                Percentiles::parse(&Percentiles::default(), &Kind::Own, &words, false).is_err(),
                "{word}"
            );
        }
    }
}
