//! The ring's file and its system call.
//!
//! io_uring_enter(2) is called directly: the crate's submitter forgets the registered index between calls, and
//! asks for deferred completions only when it sees a flag for them.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::{EnterFlags, IoUring};

/// How long an enter waits.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    No,
    /// For one completion.
    One,
    /// For one completion, or this many microseconds.
    LimitUs(u32),
}

pub(super) struct RingFile {
    /// The index of the ring's file in this thread's registered ones if that worked, else its descriptor.
    file: RawFd,
    flags: EnterFlags,
}

/// struct __kernel_timespec
#[repr(C)]
struct KernelTime {
    seconds: i64,
    nanoseconds: i64,
}

/// struct io_uring_getevents_arg
#[repr(C)]
struct WaitArgument {
    signal_mask: u64,
    signal_mask_bytes: u32,
    wait_min_us: u32,
    time: u64,
}

/// struct io_uring_rsrc_update
#[repr(C)]
struct RegisterUpdate {
    offset: u32,
    reserved: u32,
    data: u64,
}

impl RingFile {
    /// Registers the ring's own file with this thread, which spares a file lookup per enter.
    pub(super) fn new(uring: &IoUring) -> RingFile {
        // With deferred task work, completions appear only in an enter with GETEVENTS.
        let mut flags = EnterFlags::GETEVENTS;
        if uring.params().is_feature_no_iowait() {
            // Waiting for clients is not waiting for a disk.
            flags |= EnterFlags::NO_IOWAIT;
        }
        let file = match register(uring.as_raw_fd()) {
            Ok(index) => {
                flags |= EnterFlags::REGISTERED_RING;
                index as RawFd
            }
            Err(_) => uring.as_raw_fd(),
        };
        RingFile { file, flags }
    }

    /// Submits the first `to_submit` queued entries, waits, and lets the kernel post what is complete.
    pub(super) fn enter(&self, to_submit: u32, wait: Wait) -> io::Result<()> {
        let mut flags = self.flags;
        let mut time = KernelTime { seconds: 0, nanoseconds: 0 };
        let mut argument =
            WaitArgument { signal_mask: 0, signal_mask_bytes: 0, wait_min_us: 0, time: 0 };
        let (completions, argument, argument_bytes) = match wait {
            Wait::No => (0u32, std::ptr::null(), 0),
            Wait::One => (1, std::ptr::null(), 0),
            Wait::LimitUs(limit_us) => {
                flags |= EnterFlags::EXT_ARG;
                time.seconds = i64::from(limit_us / 1_000_000);
                time.nanoseconds = i64::from(limit_us % 1_000_000) * 1000;
                argument.time = &raw const time as u64;
                (1, &raw const argument, size_of::<WaitArgument>())
            }
        };
        // SAFETY: the argument is null or points to what EXT_ARG announces, and outlives the call. What the queued
        // entries name is valid by the contract of `Ring::push`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.file,
                to_submit,
                completions,
                flags.bits(),
                argument,
                argument_bytes,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

fn register(fd: RawFd) -> io::Result<u32> {
    const REGISTER_RING_FDS: libc::c_uint = 20;
    let mut update = RegisterUpdate { offset: u32::MAX, reserved: 0, data: fd as u64 };
    // SAFETY: `update` is one structure of the kind this registration takes, and outlives the call.
    let result = unsafe {
        libc::syscall(libc::SYS_io_uring_register, fd, REGISTER_RING_FDS, &raw mut update, 1u32)
    };
    match result {
        1 => Ok(update.offset),
        _ => Err(io::Error::last_os_error()),
    }
}
