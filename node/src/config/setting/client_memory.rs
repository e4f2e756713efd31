//! `maxmemory-clients`: bytes, or a share of `maxmemory`.

use super::number::{memory_in_file, parse_memory};
use crate::config::directive::{Kind, Line, Reason, Setting};
use ringfort_core::number::parse_integer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMemory {
    /// Zero is no limit.
    Bytes(u64),
    PercentOfMaxmemory(u8),
}

impl ClientMemory {
    /// The limit in bytes; zero is none.
    pub fn limit_bytes(self, maxmemory_bytes: u64) -> u64 {
        match self {
            ClientMemory::Bytes(bytes) => bytes,
            ClientMemory::PercentOfMaxmemory(percent) => {
                (u128::from(maxmemory_bytes) * u128::from(percent) / 100) as u64
            }
        }
    }
}

impl Default for ClientMemory {
    fn default() -> Self {
        ClientMemory::Bytes(0)
    }
}

impl Setting for ClientMemory {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        let word = &words[0];
        if let Some(bytes) = parse_memory(word) {
            return match i64::try_from(bytes) {
                Ok(bytes) => Ok(ClientMemory::Bytes(bytes as u64)),
                Err(_) => {
                    Err(format!("argument must be between -100 and {} inclusive", i64::MAX).into())
                }
            };
        }
        match word.strip_suffix(b"%").and_then(parse_integer) {
            Some(percent @ 0..=100) => Ok(ClientMemory::PercentOfMaxmemory(percent as u8)),
            Some(101..) => Err("percentage argument must be less or equal to 100".into()),
            _ => Err("argument must be a memory or percent value".into()),
        }
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        match self {
            // Zero percent is no limit, as zero bytes is, and shows the same.
            ClientMemory::Bytes(0) | ClientMemory::PercentOfMaxmemory(0) => b"0".to_vec(),
            ClientMemory::Bytes(bytes) => bytes.to_string().into_bytes(),
            ClientMemory::PercentOfMaxmemory(percent) => format!("{percent}%").into_bytes(),
        }
    }

    fn lines(&self, kind: &Kind, name: &str, default: &Self) -> Vec<Line> {
        let value = match self {
            ClientMemory::Bytes(bytes) => memory_in_file(i128::from(*bytes)).into_bytes(),
            ClientMemory::PercentOfMaxmemory(_) => self.show(kind),
        };
        vec![Line::new(name, &value, self != default)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(word: &str) -> Result<ClientMemory, Reason> {
        ClientMemory::parse(&ClientMemory::default(), &Kind::Own, &[word.into()], false)
    }

    #[test]
    fn percents_and_bytes_are_told_apart() {
        assert_eq!(parse("20%"), Ok(ClientMemory::PercentOfMaxmemory(20)));
        assert_eq!(parse("1mb"), Ok(ClientMemory::Bytes(1 << 20)));
        assert_eq!(ClientMemory::PercentOfMaxmemory(20).limit_bytes(1000), 200);
        assert_eq!(parse("120%"), Err("percentage argument must be less or equal to 100".into()));
        assert_eq!(parse("-3"), Err("argument must be a memory or percent value".into()));
    }
}
