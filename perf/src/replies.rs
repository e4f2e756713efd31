//! Counts the replies in a stream of RESP2 or RESP3 bytes that arrives in arbitrary pieces, without keeping
//! them: what a load generator needs of a parser. An array counts as one reply, an empty one as a null reply.

/// Longest reply line; a longer one is not a reply to what we ask.
const LINE_BYTES_MAX: usize = 512;

/// What was seen in one piece, or since the counter was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub replies: u64,
    /// Null replies: a GET of a key that is not there.
    pub nulls: u64,
    pub errors: u64,
}

#[derive(Default)]
pub struct ReplyCounter {
    /// Bytes of a bulk value and its line end that are still to come.
    value_bytes_left: usize,
    /// Elements of arrays that are still to come.
    elements_left: u64,
    /// A reply line that was cut; empty most of the time.
    line: Vec<u8>,
    pub first_error: Option<String>,
}

impl ReplyCounter {
    /// Takes the next bytes of the stream. `Err` says what was not a reply.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<Counts, String> {
        let mut counts = Counts::default();
        while !bytes.is_empty() {
            if self.value_bytes_left > 0 {
                let part = self.value_bytes_left.min(bytes.len());
                self.value_bytes_left -= part;
                bytes = &bytes[part..];
                if self.value_bytes_left == 0 {
                    self.finish_one(&mut counts);
                }
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                self.line.extend_from_slice(bytes);
                if self.line.len() > LINE_BYTES_MAX {
                    return Err("reply line too long".to_owned());
                }
                break;
            };
            let (line, rest) = bytes.split_at(end + 1);
            bytes = rest;
            if self.line.is_empty() {
                self.take_line(line, &mut counts)?;
            } else {
                self.line.extend_from_slice(line);
                let whole = std::mem::take(&mut self.line);
                self.take_line(&whole, &mut counts)?;
            }
        }
        Ok(counts)
    }

    fn take_line(&mut self, line: &[u8], counts: &mut Counts) -> Result<(), String> {
        match line[0] {
            b'+' | b':' => self.finish_one(counts),
            b'_' => self.finish_null(counts),
            b'-' => {
                counts.errors += 1;
                if self.first_error.is_none() {
                    self.first_error = Some(String::from_utf8_lossy(line).trim().to_owned());
                }
                self.finish_one(counts);
            }
            b'$' | b'*' if line[1] == b'-' => self.finish_null(counts),
            b'$' => self.value_bytes_left = length(line).saturating_add(2),
            b'*' => match length(line) as u64 {
                0 => self.finish_null(counts),
                // The array itself was one of those to come, if it is in another.
                elements => {
                    self.elements_left = self.elements_left.saturating_sub(1) + elements;
                }
            },
            _ => {
                return Err(format!("not a reply: {}", String::from_utf8_lossy(line).trim()));
            }
        }
        Ok(())
    }

    /// Something that is a reply, or the last element of one, or neither.
    fn finish_one(&mut self, counts: &mut Counts) {
        self.elements_left = self.elements_left.saturating_sub(1);
        counts.replies += u64::from(self.elements_left == 0);
    }

    fn finish_null(&mut self, counts: &mut Counts) {
        counts.nulls += u64::from(self.elements_left == 0);
        self.finish_one(counts);
    }
}

fn length(line: &[u8]) -> usize {
    let digits = line[1..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0usize, |length, digit| {
        length.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"+OK\r\n$3\r\na\nb\r\n$-1\r\n:12\r\n-ERR x\r\n$0\r\n\r\n_\r\n$12\r\n012345678901\r\n*0\r\n\
        *2\r\n*2\r\n:1\r\n$-1\r\n$1\r\na\r\n*-1\r\n";

    #[test]
    fn replies_are_counted_however_the_stream_is_cut() {
        let expected = Counts { replies: 11, nulls: 4, errors: 1 };
        for piece in 1..STREAM.len() {
            let mut counter = ReplyCounter::default();
            let mut total = Counts::default();
            for bytes in STREAM.chunks(piece) {
                let counts = counter.take(bytes).unwrap();
                total.replies += counts.replies;
                total.nulls += counts.nulls;
                total.errors += counts.errors;
            }
            assert_eq!(total, expected, "pieces of {piece}");
            assert_eq!(counter.first_error.as_deref(), Some("-ERR x"));
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        assert!(ReplyCounter::default().take(b"!1\r\n").is_err());
        assert!(ReplyCounter::default().take(b"\n").is_err());
        assert!(ReplyCounter::default().take(&[b'+'; 1000]).is_err());
    }
}
