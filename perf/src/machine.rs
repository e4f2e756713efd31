//! What a recorded result is worth nothing without: the machine, the kernel, the revision and the date. And
//! the two things we ask of the machine before measuring: a CPU for us, enough file descriptors.

use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Failure;

/// Facts that head a report.
#[derive(Clone, Debug)]
pub struct Machine {
    pub cpu: String,
    pub cpus_allowed: usize,
    pub memory_gib: f64,
    pub kernel: String,
    pub system: String,
    pub revision: String,
}

impl Machine {
    pub fn describe() -> Machine {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let uname = rustix::system::uname();
        let memory_bytes = crate::process::parse_kib_field(&meminfo, "MemTotal:").unwrap_or(0);
        Machine {
            cpu: cpu_model(&cpuinfo),
            cpus_allowed: allowed_cpus().map_or(0, |cpus| cpus.len()),
            memory_gib: memory_bytes as f64 / f64::from(1 << 30),
            kernel: uname.release().to_string_lossy().into_owned(),
            system: os_name(&release),
            revision: git_revision(),
        }
    }
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, name)| name.trim());
    let virtual_machine =
        cpuinfo.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    if virtual_machine { format!("{model}, virtual machine") } else { model.to_owned() }
}

fn os_name(release: &str) -> String {
    release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map_or("unknown", |name| name.trim_matches('"'))
        .to_owned()
}

/// Short revision of the working tree, with `+` when it has changes that are not committed.
fn git_revision() -> String {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(text)
    };
    match git(&["rev-parse", "--short", "HEAD"]) {
        None => "unknown".to_owned(),
        Some(revision) => match git(&["status", "--porcelain", "--untracked-files=no"]) {
            Some(changes) if !changes.is_empty() => format!("{revision}+"),
            _ => revision,
        },
    }
}

/// First line of what `program --version` (or the flag given) prints.
pub fn tool_version(program: &str, flag: &str) -> String {
    Command::new(program)
        .arg(flag)
        .output()
        .ok()
        .and_then(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.lines().next().map(str::to_owned)
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// CPUs this process may run on, in order.
pub fn allowed_cpus() -> Result<Vec<usize>, Failure> {
    let set = sched_getaffinity(None).map_err(|error| Failure::Io {
        doing: "reading the CPUs allowed".to_owned(),
        error: error.into(),
    })?;
    Ok((0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect())
}

/// Pins the calling thread; threads and processes started by it afterwards inherit that.
pub fn pin_to(cpus: &[usize]) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    sched_setaffinity(None, &set).map_err(|error| Failure::Io {
        doing: format!("pinning to CPUs {cpus:?}"),
        error: error.into(),
    })
}

/// Has the calling thread run as soon as it can (SCHED_FIFO, by util-linux's chrt), where that is allowed: for
/// a thread that measures time on a CPU that it shares. A better nice value would not do: the scheduler may
/// still let another thread finish its slice of milliseconds.
pub fn prefer_this_thread() {
    let thread = rustix::thread::gettid().as_raw_nonzero().to_string();
    let _ = Command::new("chrt").args(["--fifo", "--pid", "1", &thread]).output();
}

/// Lets this process, and servers started by it, have `count` open files, as far as the hard limit permits
/// (which root may raise). Returns the limit now in force.
pub fn raise_open_files(count: u64) -> u64 {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: Some(count), maximum: now.maximum.map(|hard| hard.max(count)) };
    if now.current.is_some_and(|soft| soft < count) && setrlimit(Resource::Nofile, wanted).is_err()
    {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Today in UTC, as `YYYY-MM-DD`.
pub fn today() -> String {
    let seconds =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    date_of_day(seconds / 86_400)
}

/// Gregorian date of a day counted from 1970-01-01. Years are taken to start in March, so that the leap day
/// is their last and the months' lengths follow one formula.
fn date_of_day(day: u64) -> String {
    let shifted = day + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days_and_ends_of_years() {
        for (day, date) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (20_453, "2025-12-31"),
            (20_454, "2026-01-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(date_of_day(day), date);
        }
    }

    #[test]
    fn cpu_and_system_are_read() {
        let cpuinfo = "processor : 0\nmodel name\t: AMD EPYC\nflags\t: fpu hypervisor lm\n";
        assert_eq!(cpu_model(cpuinfo), "AMD EPYC, virtual machine");
        assert_eq!(cpu_model("model name : X\nflags : fpu\n"), "X");
        assert_eq!(cpu_model(""), "unknown");
        assert_eq!(os_name("NAME=x\nPRETTY_NAME=\"Debian 12\"\n"), "Debian 12");
    }

    #[test]
    fn this_process_may_run_somewhere() {
        assert!(!allowed_cpus().unwrap().is_empty());
    }
}
