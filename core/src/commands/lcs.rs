//! LCS: the longest common subsequence of two strings, by the textbook table of prefixes.
//!
//! Which of several longest subsequences is found, and how its matches are cut into ranges, follows Redis:
//! the walk back from the end prefers to shorten the second string.

use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number::integer;
use crate::resp::Reply;

#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: i64,
}

impl Options {
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut options = Options::default();
        let mut words = args.from(3).iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"IDX") {
                options.idx = true;
            } else if word.eq_ignore_ascii_case(b"LEN") {
                options.len = true;
            } else if word.eq_ignore_ascii_case(b"WITHMATCHLEN") {
                options.with_match_len = true;
            } else if word.eq_ignore_ascii_case(b"MINMATCHLEN") {
                options.min_match_len = integer(words.next().ok_or(Error::SYNTAX)?)?.max(0);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        if options.len && options.idx {
            return Err(Error::new(
                "ERR If you want both the length and indexes, please just use IDX.",
            ));
        }
        Ok(options)
    }
}

/// LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]
pub fn lcs(cx: &mut Cx, args: &Args) -> CommandResult {
    let mut read = |index: usize| {
        let key = cx.keys.key(args.at(index));
        cx.keys.read_string(&key).map(|value| value.map_or(Vec::new(), |value| value.to_vec()))
    };
    let (left, right) = (read(1), read(2));
    let (Ok(left), Ok(right)) = (left, right) else {
        return Err(Error::new("ERR The specified keys must contain string values"));
    };
    let options = Options::parse(args)?;
    let too_long = u32::MAX as usize - 1;
    if left.len() >= too_long || right.len() >= too_long {
        return Err(Error::new("ERR String too long for LCS"));
    }
    // Fits: both lengths are below 2³².
    let cells = (left.len() as u64 + 1) * (right.len() as u64 + 1);
    if cells
        .checked_mul(4)
        .is_none_or(|bytes| bytes > cx.keys.shard.settings.string_bytes_max as u64)
    {
        return Err(Error::new(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ));
    }
    let table = Table::new(&left, &right);
    if options.len {
        cx.reply.int(table.len(left.len(), right.len()).into());
    } else if options.idx {
        reply_matches(&mut cx.reply, &table, &options);
    } else {
        let mut common = Vec::new();
        table.walk(|index, _| common.push(left[index]), |_| {});
        common.reverse();
        cx.reply.bulk(&common);
    }
    Ok(())
}

fn reply_matches(reply: &mut Reply, table: &Table, options: &Options) {
    reply.map(2);
    reply.text("matches");
    let place = reply.deferred();
    let mut matches = 0;
    table.walk(
        |_, _| {},
        |found| {
            if i64::from(found.len) < options.min_match_len {
                return;
            }
            matches += 1;
            reply.array(2 + usize::from(options.with_match_len));
            for start in [found.left, found.right] {
                reply.array(2);
                reply.int(start as i64);
                reply.int(start as i64 + i64::from(found.len) - 1);
            }
            if options.with_match_len {
                reply.int(found.len.into());
            }
        },
    );
    reply.finish_array(place, matches);
    reply.text("len");
    reply.int(table.len(table.left.len(), table.right.len()).into());
}

/// A run of equal bytes: where it begins in both strings, and its length.
#[derive(Clone, Copy)]
struct Match {
    left: usize,
    right: usize,
    len: u32,
}

/// The length of the longest common subsequence of every two prefixes.
struct Table<'a> {
    left: &'a [u8],
    right: &'a [u8],
    lengths: Vec<u32>,
}

impl<'a> Table<'a> {
    fn new(left: &'a [u8], right: &'a [u8]) -> Self {
        let width = right.len() + 1;
        let mut lengths = vec![0u32; (left.len() + 1) * width];
        for (row, &byte) in left.iter().enumerate() {
            let (done, open) = lengths.split_at_mut((row + 1) * width);
            let above = &done[row * width + 1..];
            let (mut before, mut above_before) = (0, 0);
            for ((cell, &above), &other) in open[1..].iter_mut().zip(above).zip(right) {
                before = if byte == other { above_before + 1 } else { above.max(before) };
                above_before = above;
                *cell = before;
            }
        }
        Table { left, right, lengths }
    }

    /// For the first `left` bytes of the one and the first `right` bytes of the other string.
    fn len(&self, left: usize, right: usize) -> u32 {
        self.lengths[left * (self.right.len() + 1) + right]
    }

    /// Goes through a longest common subsequence from its end: each byte's places, and each run of bytes that
    /// lie together in both strings.
    fn walk(&self, mut byte: impl FnMut(usize, usize), mut run: impl FnMut(Match)) {
        let (mut left, mut right) = (self.left.len(), self.right.len());
        let mut current: Option<Match> = None;
        while left > 0 && right > 0 {
            if self.left[left - 1] == self.right[right - 1] {
                (left, right) = (left - 1, right - 1);
                byte(left, right);
                let len = current.map_or(0, |current| current.len);
                current = Some(Match { left, right, len: len + 1 });
            } else {
                if let Some(current) = current.take() {
                    run(current);
                }
                if self.len(left - 1, right) > self.len(left, right - 1) {
                    left -= 1;
                } else {
                    right -= 1;
                }
            }
        }
        if let Some(current) = current {
            run(current);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::commands::testing::TestShard;
    use crate::resp::Protocol;

    fn example() -> TestShard {
        let mut test = TestShard::default();
        test.run("MSET a ohmytext b mynewtext e \"\" n 12345");
        test
    }

    #[test]
    fn the_subsequence_its_length_and_its_places() {
        example().check(&[
            ("LCS a b", "\"mytext\""),
            ("LCS a b LEN", "6"),
            ("LCS a b IDX", r#"["matches" [[[4 7] [5 8]] [[2 3] [0 1]]] "len" 6]"#),
            ("LCS a b IDX MINMATCHLEN 4", r#"["matches" [[[4 7] [5 8]]] "len" 6]"#),
            (
                "LCS a b IDX MINMATCHLEN -4 WITHMATCHLEN",
                r#"["matches" [[[4 7] [5 8] 4] [[2 3] [0 1] 2]] "len" 6]"#,
            ),
            ("LCS a b WITHMATCHLEN", "\"mytext\""),
            ("LCS a e", "\"\""),
            ("LCS a none IDX", r#"["matches" [] "len" 0]"#),
            ("LCS n n IDX", r#"["matches" [[[0 4] [0 4]]] "len" 5]"#),
        ]);
        let mut test = TestShard { protocol: Protocol::Resp3, ..example() };
        test.check(&[("LCS n n IDX", r#"{"matches" [[[0 4] [0 4]]] "len" 5}"#)]);
    }

    #[test]
    fn wrong_options_are_refused() {
        example().check(&[
            ("LCS a b FOO", "-ERR syntax error"),
            ("LCS a b MINMATCHLEN", "-ERR syntax error"),
            ("LCS a b MINMATCHLEN x", "-ERR value is not an integer or out of range"),
            (
                "LCS a b LEN IDX",
                "-ERR If you want both the length and indexes, please just use IDX.",
            ),
        ]);
    }

    #[test]
    fn the_table_stays_within_the_limit_of_strings() {
        let mut test = example();
        test.shard.settings.string_bytes_max = 359;
        test.check(&[(
            "LCS a b",
            "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        )]);
        test.shard.settings.string_bytes_max = 360;
        test.check(&[("LCS a b", "\"mytext\"")]);
    }
}
