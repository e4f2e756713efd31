//! Time limits of commands that wait for their keys.

use crate::error::Error;
use crate::number;

/// When to give up after `seconds`, a number with a fraction, 0 for never. In milliseconds since the Unix epoch.
pub fn deadline_in_seconds(seconds: &[u8], now: i64) -> Result<Option<i64>, Error> {
    let seconds = number::parse_double(seconds)
        .ok_or(Error::new("ERR timeout is not a float or out of range"))?;
    let ms = seconds * 1000.0;
    if ms < 0.0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    // A part of a millisecond counts as a whole one.
    let ms = ms.ceil();
    if ms >= i64::MAX as f64 {
        return Err(Error::new("ERR timeout is out of range"));
    }
    after(ms as i64, now)
}

/// When to give up after `ms` milliseconds, 0 for never.
pub fn deadline_in_ms(ms: &[u8], now: i64) -> Result<Option<i64>, Error> {
    let ms = number::parse_integer(ms)
        .ok_or(Error::new("ERR timeout is not an integer or out of range"))?;
    if ms < 0 {
        return Err(Error::new("ERR timeout is negative"));
    }
    after(ms, now)
}

fn after(ms: i64, now: i64) -> Result<Option<i64>, Error> {
    match ms {
        0 => Ok(None),
        _ => match now.checked_add(ms) {
            Some(deadline) => Ok(Some(deadline)),
            None => Err(Error::new("ERR timeout is out of range")),
        },
    }
}
