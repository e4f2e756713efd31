//! `client-output-buffer-limit`: how much unsent output a class of clients may have, and for how long.

use super::loose_integer;
use super::number::{memory_in_file, parse_memory};
use crate::config::directive::{Kind, Line, Reason, Setting};

/// Zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimit {
    /// Beyond this the client is closed at once.
    pub hard_bytes: u64,
    /// Beyond this for `soft_seconds` in a row the client is closed.
    pub soft_bytes: u64,
    pub soft_seconds: u32,
}

/// One limit per class; a directive changes the classes that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputLimits {
    pub normal: OutputLimit,
    pub replica: OutputLimit,
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    fn class_mut(&mut self, name: &[u8]) -> Option<&mut OutputLimit> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(&mut self.normal),
            b"replica" | b"slave" => Some(&mut self.replica),
            b"pubsub" => Some(&mut self.pubsub),
            _ => None,
        }
    }
}

impl Setting for OutputLimits {
    fn parse(current: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        if words.len() % 4 != 0 {
            return Err("Wrong number of arguments in buffer limit configuration.".into());
        }
        let mut limits = *current;
        for words in words.chunks_exact(4) {
            let class = limits
                .class_mut(&words[0])
                .ok_or("Invalid client class specified in buffer limit configuration.")?;
            let bytes = |word| parse_memory(word).and_then(|bytes| u64::try_from(bytes).ok());
            let seconds = loose_integer(&words[3]).and_then(|seconds| u32::try_from(seconds).ok());
            let (Some(hard_bytes), Some(soft_bytes), Some(soft_seconds)) =
                (bytes(&words[1]), bytes(&words[2]), seconds)
            else {
                return Err("Error in hard, soft or soft_seconds setting in buffer limit \
                            configuration."
                    .into());
            };
            *class = OutputLimit { hard_bytes, soft_bytes, soft_seconds };
        }
        Ok(limits)
    }

    /// The replicas' class has its older name here, which clients look for.
    fn show(&self, _: &Kind) -> Vec<u8> {
        let class = |name, limit: &OutputLimit| {
            let OutputLimit { hard_bytes, soft_bytes, soft_seconds } = limit;
            format!("{name} {hard_bytes} {soft_bytes} {soft_seconds}")
        };
        let [normal, replica, pubsub] = [
            class("normal", &self.normal),
            class("slave", &self.replica),
            class("pubsub", &self.pubsub),
        ];
        format!("{normal} {replica} {pubsub}").into_bytes()
    }

    fn lines(&self, _: &Kind, name: &str, default: &Self) -> Vec<Line> {
        let line = |class: &str, limit: &OutputLimit, default: &OutputLimit| {
            let value = format!(
                "{class} {} {} {}",
                memory_in_file(limit.hard_bytes.into()),
                memory_in_file(limit.soft_bytes.into()),
                limit.soft_seconds
            );
            Line::new(name, value.as_bytes(), limit != default)
        };
        vec![
            line("normal", &self.normal, &default.normal),
            line("replica", &self.replica, &default.replica),
            line("pubsub", &self.pubsub, &default.pubsub),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<OutputLimits, Reason> {
        let words: Vec<Vec<u8>> = words.split(' ').map(Into::into).collect();
        OutputLimits::parse(&OutputLimits::default(), &Kind::Own, &words, false)
    }

    #[test]
    fn only_named_classes_change() {
        let limits = parse("slave 1mb 2kb 3 pubsub 4 5 6").unwrap();
        assert_eq!(limits.show(&Kind::Own), b"normal 0 0 0 slave 1048576 2048 3 pubsub 4 5 6");
    }

    #[test]
    fn lines_carry_one_class_each() {
        let default = OutputLimits::default();
        let lines = parse("replica 1mb 2kb 3").unwrap().lines(&Kind::Own, "x", &default);
        assert_eq!(lines[1], Line::new("x", b"replica 1mb 2kb 3", true));
        assert!(!lines[0].force && !lines[2].force);
    }

    #[test]
    fn bad_words_are_refused() {
        for words in ["foo 1 2 3", "master 1 2 3", "normal 1 2", "normal 1 2 x", "normal 1 2 -3"] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
