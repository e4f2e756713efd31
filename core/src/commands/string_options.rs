//! The options of SET and GETEX, and the times at which they let keys expire.

use crate::args::Args;
use crate::error::Error;
use crate::number::integer;

/// How an expiry time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// EX
    InSeconds,
    /// PX
    InMilliseconds,
    /// EXAT
    AtSeconds,
    /// PXAT
    AtMilliseconds,
}

impl Time {
    fn of_word(word: &[u8]) -> Option<Time> {
        const WORDS: [(&[u8], Time); 4] = [
            (b"EX", Time::InSeconds),
            (b"PX", Time::InMilliseconds),
            (b"EXAT", Time::AtSeconds),
            (b"PXAT", Time::AtMilliseconds),
        ];
        WORDS.iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, time)| *time)
    }
}

/// Milliseconds since the Unix epoch of the time that `text` gives. Errors: no integer; not positive or too
/// large for milliseconds in 63 bits, in the name of `command`.
pub fn deadline(text: &[u8], time: Time, now: i64, command: &str) -> Result<i64, Error> {
    let number = integer(text)?;
    let milliseconds = match time {
        Time::InSeconds | Time::AtSeconds => number.checked_mul(1000),
        Time::InMilliseconds | Time::AtMilliseconds => Some(number),
    };
    let since_epoch = match time {
        Time::InSeconds | Time::InMilliseconds => {
            milliseconds.and_then(|milliseconds| milliseconds.checked_add(now))
        }
        Time::AtSeconds | Time::AtMilliseconds => milliseconds,
    };
    match since_epoch {
        Some(at) if number > 0 => Ok(at),
        _ => Err(Error::invalid_expire(command)),
    }
}

/// An expiry option, its number not yet read: a wrong one is an error of lower rank than a wrong syntax.
#[derive(Clone, Copy, Debug)]
pub struct TimeOption<'a> {
    time: Time,
    text: &'a [u8],
}

impl TimeOption<'_> {
    pub fn deadline(&self, now: i64, command: &str) -> Result<i64, Error> {
        deadline(self.text, self.time, now, command)
    }
}

/// Takes an expiry option and its number off `words`. The same option again replaces the first, another one
/// is a contradiction.
fn take_time<'a>(
    word: &[u8],
    words: &mut impl Iterator<Item = &'a [u8]>,
    earlier: Option<TimeOption>,
) -> Result<TimeOption<'a>, Error> {
    let time = Time::of_word(word).ok_or(Error::SYNTAX)?;
    if earlier.is_some_and(|earlier| earlier.time != time) {
        return Err(Error::SYNTAX);
    }
    let text = words.next().ok_or(Error::SYNTAX)?;
    Ok(TimeOption { time, text })
}

#[derive(Debug, Default)]
pub struct SetOptions<'a> {
    /// NX
    pub only_absent: bool,
    /// XX
    pub only_present: bool,
    pub get: bool,
    pub keep_ttl: bool,
    pub time: Option<TimeOption<'a>>,
}

impl<'a> SetOptions<'a> {
    /// The options of `SET key value …`.
    pub fn parse(args: &Args<'a>) -> Result<Self, Error> {
        let mut options = SetOptions::default();
        let mut words = args.from(3).iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"NX") && !options.only_present {
                options.only_absent = true;
            } else if word.eq_ignore_ascii_case(b"XX") && !options.only_absent {
                options.only_present = true;
            } else if word.eq_ignore_ascii_case(b"GET") {
                options.get = true;
            } else if word.eq_ignore_ascii_case(b"KEEPTTL") && options.time.is_none() {
                options.keep_ttl = true;
            } else if !options.keep_ttl {
                options.time = Some(take_time(word, &mut words, options.time)?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(options)
    }
}

#[derive(Debug, Default)]
pub struct GetexOptions<'a> {
    pub persist: bool,
    pub time: Option<TimeOption<'a>>,
}

impl<'a> GetexOptions<'a> {
    /// The options of `GETEX key …`.
    pub fn parse(args: &Args<'a>) -> Result<Self, Error> {
        let mut options = GetexOptions::default();
        let mut words = args.from(2).iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"PERSIST") && options.time.is_none() {
                options.persist = true;
            } else if !options.persist {
                options.time = Some(take_time(word, &mut words, options.time)?);
            } else {
                return Err(Error::SYNTAX);
            }
        }
        Ok(options)
    }
}
