//! What LMPOP, ZMPOP and those of them that wait are asked for: `numkeys key [key …] end [COUNT count]`.

use crate::args::Args;
use crate::error::Error;
use crate::number;
use std::ops::Range;

pub struct MultiPop<E> {
    /// Where the keys begin and end among the arguments.
    pub keys: Range<usize>,
    pub end: E,
    pub count: usize,
}

impl<E> MultiPop<E> {
    /// `at`: where the number of keys stands. `end` reads the argument at a position.
    pub fn parse(
        args: &Args,
        at: usize,
        end: impl FnOnce(usize) -> Result<E, Error>,
    ) -> Result<MultiPop<E>, Error> {
        let positive = |index: usize, refusal: &'static str| {
            let number = number::parse_integer(args.at(index)).filter(|&number| number > 0);
            number.map(|number| number as usize).ok_or(Error::new(refusal))
        };
        let key_count = positive(at, "ERR numkeys should be greater than 0")?;
        let keys = at + 1..key_count.saturating_add(at + 1);
        if keys.end >= args.len() {
            return Err(Error::SYNTAX);
        }
        let end = end(keys.end)?;
        let mut count = None;
        let mut index = keys.end + 1;
        while index < args.len() {
            if count.is_some() || !args.is(index, "count") || index + 1 == args.len() {
                return Err(Error::SYNTAX);
            }
            count = Some(positive(index + 1, "ERR count should be greater than 0")?);
            index += 2;
        }
        Ok(MultiPop { keys, end, count: count.unwrap_or(1) })
    }
}
