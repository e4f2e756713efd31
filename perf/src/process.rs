//! What a server process has used: CPU time and memory, read from /proc. The parsers take text, so that they
//! can be tested without a process.
//!
//! CPU time is the sum over all threads of `/proc/PID/task/*/schedstat` (nanoseconds on a CPU, user and kernel,
//! spinning included, io_uring's kernel workers included); where the kernel does not keep it, user and system
//! time of `/proc/PID/stat` in clock ticks. Memory is the proportional set size: pages shared with other
//! processes count by share. Neither counts what the kernel holds for sockets.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::error::Failure;

/// CPU nanoseconds that the process `pid` has used so far, over all its threads.
pub fn cpu_ns(pid: u32) -> Result<u64, Failure> {
    match cpu_ns_of_threads(pid) {
        Ok(total_ns) => Ok(total_ns),
        Err(_) => {
            let path = format!("/proc/{pid}/stat");
            let text = fs::read_to_string(&path).map_err(Failure::io(format!("reading {path}")))?;
            let ticks = parse_stat_ticks(&text)
                .ok_or_else(|| Failure::Setup(format!("cannot read {path}")))?;
            Ok(ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()))
        }
    }
}

fn cpu_ns_of_threads(pid: u32) -> io::Result<u64> {
    let mut total_ns = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        total_ns += parse_schedstat_ns(&text)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "schedstat"))?;
    }
    Ok(total_ns)
}

/// First field of a `schedstat` file: nanoseconds spent on a CPU.
pub fn parse_schedstat_ns(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

/// User plus system time of a `stat` file, in clock ticks. The process name may hold blanks and brackets, so
/// fields are counted from its last closing bracket.
pub fn parse_stat_ticks(text: &str) -> Option<u64> {
    let after_name = &text[text.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// The same for the children that have ended.
pub fn parse_stat_children_ticks(text: &str) -> Option<u64> {
    let after_name = &text[text.rfind(')')? + 1..];
    let mut fields = after_name.split_ascii_whitespace().skip(13);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Proportional set size of the process, in bytes.
pub fn pss_bytes(pid: u32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(Failure::io(format!("reading {path}")))?;
    parse_kib_field(&text, "Pss:").ok_or_else(|| Failure::Setup(format!("no Pss in {path}")))
}

/// A `Name:   123 kB` line of a /proc file, in bytes.
pub fn parse_kib_field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Proportional set size once it stands still: unchanged (to 0.1 %) for `quiet`, or after `patience`.
/// Servers tidy up behind a load (rehash a table, shrink idle clients' buffers), and what they hold after
/// that is the figure.
pub fn settled_pss_bytes(pid: u32, quiet: Duration, patience: Duration) -> Result<u64, Failure> {
    let deadline = Instant::now() + patience;
    let mut last = pss_bytes(pid)?;
    let mut unchanged_since = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = pss_bytes(pid)?;
        if now.abs_diff(last) > last / 1000 {
            last = now;
            unchanged_since = Instant::now();
        }
        if unchanged_since.elapsed() >= quiet || Instant::now() >= deadline {
            return Ok(now);
        }
    }
}

/// Proportional set size of a process and its descendants (a fork that writes a snapshot), in bytes. What they
/// share counts once.
pub fn tree_pss_bytes(pid: u32) -> Result<u64, Failure> {
    let children = children(pid).into_iter().map(|child| tree_pss_bytes(child).unwrap_or(0));
    Ok(pss_bytes(pid)? + children.sum::<u64>())
}

/// CPU nanoseconds of a process and of its children: those that run, and those that have ended and were
/// waited for. The latter are counted by the kernel in clock ticks.
pub fn tree_cpu_ns(pid: u32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).map_err(Failure::io(format!("reading {path}")))?;
    let ticks = parse_stat_children_ticks(&text)
        .ok_or_else(|| Failure::Setup(format!("cannot read {path}")))?;
    let ended_ns = ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second());
    let running = children(pid).into_iter().map(|child| tree_cpu_ns(child).unwrap_or(0));
    Ok(cpu_ns(pid)? + ended_ns + running.sum::<u64>())
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|other| parent_pid(*other) == Some(pid))
        .collect()
}

/// Parent of a process, from the `PPid:` line of its status; `None` when the process is gone.
pub fn parent_pid(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_parent_pid(&text)
}

fn parse_parent_pid(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.starts_with("PPid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedstat_gives_time_on_cpu() {
        assert_eq!(parse_schedstat_ns("74070 60640 2\n"), Some(74_070));
        assert_eq!(parse_schedstat_ns(""), None);
        assert_eq!(parse_schedstat_ns("x 1 2"), None);
    }

    #[test]
    fn stat_with_brackets_in_the_name_is_read() {
        let text = "4242 (io) server (x) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 4";
        assert_eq!(parse_stat_ticks(text), Some(300));
        assert_eq!(parse_stat_ticks("4242 no name"), None);
        assert_eq!(parse_stat_ticks("4242 (x) S 1"), None);
    }

    #[test]
    fn time_of_ended_children_is_read_and_children_are_found() {
        let text = "4242 (io) server (x) S 1 2 3 4 5 6 7 8 9 10 250 50 7 5 20 0 4";
        assert_eq!(parse_stat_children_ticks(text), Some(12));
        assert_eq!(parse_stat_children_ticks("4242 (x) S 1 2 3 4 5 6 7 8 9 10 250 50"), None);
        let own = std::process::id();
        assert!(tree_pss_bytes(own).unwrap() > 0);
        assert!(children(parent_pid(own).unwrap()).contains(&own));
    }

    #[test]
    fn smaps_rollup_pss_is_bytes_and_not_a_field_that_starts_alike() {
        let text = "00400000-7fff r-xp 00000000 00:00 0 [rollup]\nRss:  5000 kB\nPss:  1234 kB\nPss_Anon: 1 kB\n";
        assert_eq!(parse_kib_field(text, "Pss:"), Some(1234 * 1024));
        assert_eq!(parse_kib_field(text, "Swap:"), None);
    }

    #[test]
    fn parent_is_read_from_status() {
        assert_eq!(parse_parent_pid("Name:\tx\nPPid:\t17\n"), Some(17));
        assert!(parent_pid(std::process::id()).is_some());
    }

    #[test]
    fn own_process_has_figures() {
        let pid = std::process::id();
        assert!(cpu_ns(pid).unwrap() > 0);
        assert!(pss_bytes(pid).unwrap() > 100_000);
    }
}
