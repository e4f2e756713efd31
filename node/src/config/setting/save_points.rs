//! `save`: after how many seconds with how many changes a snapshot is taken.

use super::loose_integer;
use crate::config::directive::{Kind, Line, Reason, Setting};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    pub seconds: i64,
    pub changes: i64,
}

/// The first `save` of a start replaces the defaults, further ones add to it, `save ""` clears.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavePoints(pub Vec<SavePoint>);

impl Setting for SavePoints {
    fn parse(current: &Self, _: &Kind, words: &[Vec<u8>], append: bool) -> Result<Self, Reason> {
        if matches!(words, [only] if only.is_empty()) {
            return Ok(SavePoints::default());
        }
        let mut points = if append { current.0.clone() } else { Vec::new() };
        for pair in words.chunks(2) {
            let [seconds, changes] = pair else {
                return Err("Invalid save parameters".into());
            };
            match (loose_integer(seconds), loose_integer(changes)) {
                (Some(seconds @ 1..), Some(changes @ 0..)) => {
                    points.push(SavePoint { seconds, changes });
                }
                _ => return Err("Invalid save parameters".into()),
            }
        }
        Ok(SavePoints(points))
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let points = self.0.iter().map(|point| format!("{} {}", point.seconds, point.changes));
        points.collect::<Vec<_>>().join(" ").into_bytes()
    }

    /// Always written: a file without `save` means the defaults.
    fn lines(&self, _: &Kind, name: &str, _: &Self) -> Vec<Line> {
        if self.0.is_empty() {
            return vec![Line::new(name, b"\"\"", true)];
        }
        let line = |point: &SavePoint| {
            Line::new(name, format!("{} {}", point.seconds, point.changes).as_bytes(), true)
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(before: &SavePoints, words: &str, append: bool) -> Result<SavePoints, Reason> {
        let words: Vec<Vec<u8>> = words.split(' ').map(Into::into).collect();
        SavePoints::parse(before, &Kind::Own, &words, append)
    }

    #[test]
    fn points_add_up_until_cleared() {
        let first = parse(&SavePoints::default(), "900 1", false).unwrap();
        let both = parse(&first, "60 5 10 0", true).unwrap();
        assert_eq!(both.show(&Kind::Own), b"900 1 60 5 10 0");
        assert_eq!(parse(&both, "", true), Ok(SavePoints::default()));
        assert_eq!(parse(&both, "7 7", false).unwrap().show(&Kind::Own), b"7 7");
    }

    #[test]
    fn odd_or_out_of_range_words_are_refused() {
        for words in ["900", "0 1", "1 -1", "a 1", "1 2 3"] {
            assert!(parse(&SavePoints::default(), words, false).is_err(), "save {words}");
        }
    }
}
