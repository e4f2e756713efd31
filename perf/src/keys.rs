//! Which keys a load uses, and filling a server with all of them.

use std::io::Write;

use crate::client::{Client, Reply, encode_command};
use crate::error::Failure;

/// Commands sent before their replies are read. Small enough that neither side's socket buffers fill with
/// the other not reading.
const BATCH: u64 = 500;

/// Digits at the end of a key of redis-benchmark.
pub const BENCHMARK_KEY_DIGITS: usize = 12;

/// How a key is made of its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyShape {
    /// `key:000000000042`: the keys of redis-benchmark -r.
    Benchmark,
    /// `key:0000042`: 11 bytes, the keys of the memory figure.
    Short,
}

impl KeyShape {
    pub fn write(self, number: u64, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = match self {
            KeyShape::Benchmark => write!(out, "key:{number:0BENCHMARK_KEY_DIGITS$}"),
            KeyShape::Short => write!(out, "key:{number:07}"),
        };
    }
}

/// Sets every key from 0 to `count` to a value of `value_bytes`, and checks that all of them are there.
pub fn fill(
    client: &mut Client,
    shape: KeyShape,
    count: u64,
    value_bytes: usize,
) -> Result<(), Failure> {
    let failed = || Failure::io("filling a server with keys");
    let value = vec![b'x'; value_bytes];
    let mut request = Vec::new();
    let mut key = Vec::new();
    let mut next = 0;
    while next < count {
        let end = (next + BATCH).min(count);
        request.clear();
        for number in next..end {
            key.clear();
            shape.write(number, &mut key);
            encode_command(&mut request, &[b"SET", &key, &value]);
        }
        client.send(&request).map_err(failed())?;
        for _ in next..end {
            match client.reply().map_err(failed())? {
                Reply::Simple(text) if text == "OK" => {}
                other => return Err(Failure::Setup(format!("SET answered {other:?}"))),
            }
        }
        next = end;
    }
    match client.command(&[b"DBSIZE"]).map_err(failed())? {
        Reply::Integer(size) if size == count as i64 => Ok(()),
        other => {
            Err(Failure::Setup(format!("DBSIZE after setting {count} keys answered {other:?}")))
        }
    }
}

/// Gets every key from 0 to `count`, and checks that each has a value of `value_bytes`.
pub fn read_back(
    client: &mut Client,
    shape: KeyShape,
    count: u64,
    value_bytes: usize,
) -> Result<(), Failure> {
    let failed = || Failure::io("reading keys back");
    let mut request = Vec::new();
    let mut key = Vec::new();
    let mut next = 0;
    while next < count {
        let end = (next + BATCH).min(count);
        request.clear();
        for number in next..end {
            key.clear();
            shape.write(number, &mut key);
            encode_command(&mut request, &[b"GET", &key]);
        }
        client.send(&request).map_err(failed())?;
        for _ in next..end {
            match client.reply().map_err(failed())? {
                Reply::Bulk(Some(value)) if value.len() == value_bytes => {}
                other => return Err(Failure::Setup(format!("GET answered {other:?}"))),
            }
        }
        next = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(shape: KeyShape, number: u64, expected: &str) {
        let mut out = Vec::new();
        shape.write(number, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn keys_have_the_lengths_their_users_count_on() {
        check(KeyShape::Benchmark, 42, "key:000000000042");
        check(KeyShape::Short, 999_999, "key:0999999");
    }
}
