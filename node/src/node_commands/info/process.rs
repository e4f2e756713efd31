//! What the operating system knows of this process: memory and CPU time.

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTimes {
    pub system: f64,
    pub user: f64,
}

impl CpuTimes {
    /// Both, in microseconds.
    pub fn total_us(&self) -> u64 {
        ((self.system + self.user) * 1e6) as u64
    }
}

/// Resident bytes; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    // SAFETY: sysconf takes and returns plain numbers.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
    std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .map_or(0, |pages| pages * page_bytes)
}

/// The machine's memory in bytes.
pub fn system_memory_bytes() -> u64 {
    // SAFETY: sysconf takes and returns plain numbers.
    let (pages, page_bytes) =
        unsafe { (libc::sysconf(libc::_SC_PHYS_PAGES), libc::sysconf(libc::_SC_PAGESIZE)) };
    (pages.max(0) as u64) * (page_bytes.max(0) as u64)
}

/// Of the whole process, of its ended children, or of the calling thread.
pub fn cpu_times(who: libc::c_int) -> CpuTimes {
    // SAFETY: rusage is plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to our own rusage.
    if unsafe { libc::getrusage(who, &mut usage) } != 0 {
        return CpuTimes::default();
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    CpuTimes { system: seconds(usage.ru_stime), user: seconds(usage.ru_utime) }
}

/// Name, release and machine of the kernel.
pub fn system_name() -> String {
    let read = |name: &str| {
        std::fs::read_to_string(format!("/proc/sys/kernel/{name}"))
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    format!("{} {} {}", read("ostype"), read("osrelease"), std::env::consts::ARCH)
}
