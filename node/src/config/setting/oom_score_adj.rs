//! `oom-score-adj-values`: for a primary, a replica and a background child.

use super::loose_integer;
use crate::config::directive::{Kind, Reason, Setting};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OomScoreAdjValues(pub [i32; 3]);

impl Setting for OomScoreAdjValues {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        let [_, _, _] = words else {
            return Err("wrong number of arguments".into());
        };
        let mut values = [0; 3];
        for (value, word) in values.iter_mut().zip(words) {
            *value = match loose_integer(word) {
                Some(score @ -2000..=2000) => score as i32,
                _ => {
                    return Err("Invalid oom-score-adj-values, elements must be between -2000 \
                                and 2000."
                        .into());
                }
            };
        }
        Ok(OomScoreAdjValues(values))
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let [primary, replica, child] = self.0;
        format!("{primary} {replica} {child}").into_bytes()
    }
}
