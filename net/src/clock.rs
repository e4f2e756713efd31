//! Time: the wall clock, a monotonic clock, and a tick counter cheap enough to time single commands.
//!
//! Absent: policy. Who needs `now` gets it handed in; only `node` asks here.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
pub fn wall_clock_ms() -> i64 {
    wall_clock_us() / 1000
}

/// Microseconds since the Unix epoch.
pub fn wall_clock_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}

/// Microseconds since some moment before the first call; never goes back.
pub fn monotonic_us() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// A reading of the tick counter: the CPU's time stamp counter where it runs at a constant rate in all states,
/// else the monotonic clock in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ticks(u64);

impl Ticks {
    /// Reads the counter (about 10 ns).
    #[inline]
    pub fn now() -> Ticks {
        // One relaxed load decides: this runs once per command.
        Ticks(if COUNTER.load(Ordering::Relaxed) { counter() } else { Self::read() })
    }

    /// Before calibration, or where there is no counter to rely on.
    #[cold]
    fn read() -> u64 {
        if scale().counter { counter() } else { nanoseconds() }
    }

    /// Nanoseconds from `earlier` to `self`; 0 if that is negative.
    #[inline]
    pub fn since_ns(self, earlier: Ticks) -> u64 {
        let ticks = self.0.saturating_sub(earlier.0);
        ((u128::from(ticks) * u128::from(scale().ns_per_tick_32)) >> 32) as u64
    }

    /// Microseconds from `earlier` to `self`; 0 if that is negative.
    pub fn since_us(self, earlier: Ticks) -> u64 {
        self.since_ns(earlier) / 1000
    }

    /// Measures the rate now (some milliseconds) instead of at the first use.
    pub fn calibrate() {
        COUNTER.store(scale().counter, Ordering::Relaxed);
    }
}

/// Set once it is known that the processor's counter can be used.
static COUNTER: AtomicBool = AtomicBool::new(false);

struct Scale {
    counter: bool,
    /// Nanoseconds per tick as a 32.32 fixed-point number.
    ns_per_tick_32: u64,
}

#[inline]
fn scale() -> &'static Scale {
    static SCALE: OnceLock<Scale> = OnceLock::new();
    SCALE.get_or_init(|| {
        if has_constant_counter() {
            let (start, ticks) = (Instant::now(), counter());
            while start.elapsed() < Duration::from_millis(5) {
                std::hint::spin_loop();
            }
            let (elapsed_ns, ticks) = (start.elapsed().as_nanos(), counter().wrapping_sub(ticks));
            if ticks > 0 && ticks < u64::MAX / 2 {
                return Scale {
                    counter: true,
                    ns_per_tick_32: ((elapsed_ns << 32) / u128::from(ticks)) as u64,
                };
            }
        }
        Scale { counter: false, ns_per_tick_32: 1 << 32 }
    })
}

fn nanoseconds() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn counter() -> u64 {
    // SAFETY: rdtsc exists on every x86-64 processor and touches no memory.
    unsafe { std::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> u64 {
    0
}

/// The kernel's own verdict: it uses the counter as its clock source only after checking it on all CPUs.
fn has_constant_counter() -> bool {
    let source = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    cfg!(target_arch = "x86_64")
        && std::fs::read_to_string(source).is_ok_and(|name| name.trim() == "tsc")
        || has_counter_flags()
}

/// A paravirtual clock (kvm-clock) stands before the counter in virtual machines; the flags tell then.
fn has_counter_flags() -> bool {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = info.lines().find(|line| line.starts_with("flags"));
    cfg!(target_arch = "x86_64")
        && flags.is_some_and(|flags| {
            let has = |name| flags.split_ascii_whitespace().any(|flag| flag == name);
            has("constant_tsc") && has("nonstop_tsc")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_never_go_back_and_scale_to_the_monotonic_clock() {
        Ticks::calibrate();
        let (start, ticks) = (Instant::now(), Ticks::now());
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let elapsed_us = start.elapsed().as_micros() as u64;
        let measured_us = Ticks::now().since_us(ticks);
        // Not a measurement: only a wrong factor (a thousand, say) fails.
        assert!(
            measured_us >= 10_000 && measured_us / 10 <= elapsed_us.max(1),
            "{measured_us} {elapsed_us}"
        );
        assert_eq!(ticks.since_ns(Ticks::now()), 0);
    }

    #[test]
    fn wall_clock_is_after_2020() {
        assert!(wall_clock_ms() > 1_577_836_800_000);
        assert!(monotonic_us() <= monotonic_us());
    }
}
