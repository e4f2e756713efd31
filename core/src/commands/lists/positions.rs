//! Where elements are: LPOS.

use crate::args::Args;
use crate::collections::listpack::Needle;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::number;
use crate::store::Type;
use crate::values::list::ListRef;

/// LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]
pub fn lpos(cx: &mut Cx, args: &Args) -> CommandResult {
    let options = Options::parse(args)?;
    let key = cx.keys.key(args.at(1));
    let value = cx.keys.read_collection(&key, Type::List)?;
    let found = match value {
        Some(value) => options.find(ListRef::of(value), args.at(2)),
        None => Vec::new(),
    };
    if options.count.is_some() {
        cx.reply.array(found.len());
        found.iter().for_each(|index| cx.reply.int(*index as i64));
    } else {
        match found.first() {
            Some(index) => cx.reply.int(*index as i64),
            None => cx.reply.null(),
        }
    }
    Ok(())
}

struct Options {
    /// The first match to give, from 1 on.
    rank: u64,
    /// Whether matches count from the right.
    is_backwards: bool,
    /// How many matches to give, 0 for all; `None`: the first alone, and not in an array.
    count: Option<usize>,
    /// How many elements to look at, 0 for all.
    len_max: usize,
}

impl Options {
    fn parse(args: &Args) -> Result<Options, Error> {
        let mut options = Options { rank: 1, is_backwards: false, count: None, len_max: 0 };
        let natural = |index: usize, error: &'static str| {
            let number = number::parse_integer(args.at(index));
            number.and_then(|number| usize::try_from(number).ok()).ok_or(Error::new(error))
        };
        let mut at = 3;
        while at < args.len() {
            let has_value = at + 1 < args.len();
            if has_value && args.is(at, "rank") {
                let rank = number::integer(args.at(at + 1))?;
                match rank {
                    0 => return Err(Error::RANK_ZERO),
                    i64::MIN => return Err(Error::RANK_OUT_OF_RANGE),
                    _ => (options.rank, options.is_backwards) = (rank.unsigned_abs(), rank < 0),
                }
            } else if has_value && args.is(at, "count") {
                options.count = Some(natural(at + 1, "ERR COUNT can't be negative")?);
            } else if has_value && args.is(at, "maxlen") {
                options.len_max = natural(at + 1, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(Error::SYNTAX);
            }
            at += 2;
        }
        Ok(options)
    }

    /// The indices of what matches.
    fn find(&self, list: ListRef, text: &[u8]) -> Vec<usize> {
        let len = list.len();
        let all = |number: usize| if number == 0 { usize::MAX } else { number };
        let needle = Needle::new(text);
        let elements =
            if self.is_backwards { list.iter_back_from(len - 1) } else { list.iter_from(0) };
        let matches = elements
            .take(all(self.len_max))
            .enumerate()
            .filter(|(_, element)| needle.is(*element))
            .map(|(index, _)| if self.is_backwards { len - 1 - index } else { index });
        let skipped = usize::try_from(self.rank - 1).unwrap_or(usize::MAX);
        matches.skip(skipped).take(self.count.map_or(1, all)).collect()
    }
}
