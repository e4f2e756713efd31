//! The log: lines in Redis's form, `12345:M 21 Nov 2026 12:00:00.123 * text`, to standard output or a file.
//!
//! Any thread may log. A line that is not wanted costs one load; one that is is formatted by its thread and
//! leaves in one write. The file is opened anew for every line, so it may be moved away at any time (log
//! rotation). State is three globals of this module: threshold, role and destination. Errors of the log itself
//! are dropped: there is no place left to tell them.

use crate::config::LogLevel;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Verbose,
    Notice,
    Warning,
}

impl Level {
    fn mark(self) -> char {
        match self {
            Level::Debug => '.',
            Level::Verbose => '-',
            Level::Notice => '*',
            Level::Warning => '#',
        }
    }
}

/// The letter behind the process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Not serving yet, or a child.
    Child = b'C',
    Primary = b'M',
}

static THRESHOLD: AtomicU8 = AtomicU8::new(Level::Notice as u8);
static ROLE: AtomicU8 = AtomicU8::new(Role::Child as u8);
static FILE: RwLock<Option<PathBuf>> = RwLock::new(None);

/// Lines below `level` are dropped from now on.
pub fn set_level(level: LogLevel) {
    let threshold = match level {
        LogLevel::Debug => Level::Debug as u8,
        LogLevel::Verbose => Level::Verbose as u8,
        LogLevel::Notice => Level::Notice as u8,
        LogLevel::Warning => Level::Warning as u8,
        LogLevel::Nothing => Level::Warning as u8 + 1,
    };
    THRESHOLD.store(threshold, Ordering::Relaxed);
}

/// Sends lines to this file; `None` to standard output. The path should be absolute.
pub fn set_file(path: Option<PathBuf>) {
    *FILE.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = path;
}

pub fn set_role(role: Role) {
    ROLE.store(role as u8, Ordering::Relaxed);
}

/// Whether lines of this level are kept at all.
#[inline]
pub fn is_on(level: Level) -> bool {
    level as u8 >= THRESHOLD.load(Ordering::Relaxed)
}

/// Writes one line. The macros [`notice!`](crate::notice) and its kin are shorter.
pub fn log(level: Level, text: fmt::Arguments<'_>) {
    if !is_on(level) {
        return;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format_line(
        std::process::id(),
        ROLE.load(Ordering::Relaxed) as char,
        LocalTime::at(now.as_secs() as i64),
        now.subsec_millis(),
        level,
        text,
    );
    write(line.as_bytes());
}

/// Writes `text` as it is, as a notice: the banner.
pub fn raw(text: &str) {
    if is_on(Level::Notice) {
        write(text.as_bytes());
    }
}

fn write(line: &[u8]) {
    let file = FILE.read().unwrap_or_else(|poisoned| poisoned.into_inner());
    let _ = match &*file {
        Some(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(line)),
        None => {
            let mut out = io::stdout().lock();
            out.write_all(line).and_then(|()| out.flush())
        }
    };
}

fn format_line(
    pid: u32,
    role: char,
    time: LocalTime,
    milliseconds: u32,
    level: Level,
    text: fmt::Arguments<'_>,
) -> String {
    format!("{pid}:{role} {time}.{milliseconds:03} {} {text}\n", level.mark())
}

struct LocalTime(libc::tm);

impl LocalTime {
    fn at(seconds: libc::time_t) -> LocalTime {
        // SAFETY: all-zero bytes are a valid `tm` (integers and a pointer that may be null).
        let mut time: libc::tm = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals; the call keeps neither.
        unsafe { libc::localtime_r(&seconds, &mut time) };
        LocalTime(time)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let time = &self.0;
        let month = usize::try_from(time.tm_mon).ok().and_then(|month| MONTHS.get(month));
        write!(
            f,
            "{:02} {} {} {:02}:{:02}:{:02}",
            time.tm_mday,
            month.unwrap_or(&"???"),
            i64::from(time.tm_year) + 1900,
            time.tm_hour,
            time.tm_min,
            time.tm_sec
        )
    }
}

/// Logs for whoever looks for a fault.
#[macro_export]
macro_rules! debug {
    ($($text:tt)*) => { $crate::log::log($crate::log::Level::Debug, format_args!($($text)*)) };
}

/// Logs what happens now and then.
#[macro_export]
macro_rules! verbose {
    ($($text:tt)*) => { $crate::log::log($crate::log::Level::Verbose, format_args!($($text)*)) };
}

/// Logs what a user wants to know.
#[macro_export]
macro_rules! notice {
    ($($text:tt)*) => { $crate::log::log($crate::log::Level::Notice, format_args!($($text)*)) };
}

/// Logs what a user must know.
#[macro_export]
macro_rules! warning {
    ($($text:tt)*) => { $crate::log::log($crate::log::Level::Warning, format_args!($($text)*)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_redis_form() {
        // SAFETY: see `LocalTime::at`.
        let mut time: libc::tm = unsafe { std::mem::zeroed() };
        (time.tm_mday, time.tm_mon, time.tm_year) = (5, 10, 126);
        (time.tm_hour, time.tm_min, time.tm_sec) = (9, 8, 7);
        let text = "text";
        let line =
            format_line(12, 'M', LocalTime(time), 5, Level::Warning, format_args!("a {text}"));
        assert_eq!(line, "12:M 05 Nov 2026 09:08:07.005 # a text\n");
    }
}
