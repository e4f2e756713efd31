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
}

pub(super) struct RingFile {
    /// The index of the ring's file in this thread's registered ones if that worked, else its descriptor.
    file: RawFd,
    flags: EnterFlags,
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
        let completions = match wait {
            Wait::No => 0u32,
            Wait::One => 1,
        };
        // SAFETY: no argument structure is passed; what the queued entries name is valid by the contract of `Ring::push`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                self.file,
                to_submit,
                completions,
                self.flags.bits(),
                std::ptr::null::<libc::sigset_t>(),
                0usize,
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
