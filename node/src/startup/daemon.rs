//! `daemonize yes`: on in the background, in a session of its own, without a terminal.

use std::io;

/// Forks; the parent ends, the child goes on. Only for a process with one thread.
pub fn detach() -> io::Result<()> {
    // Standard streams become /dev/null, the directory stays.
    let (keep_directory, keep_streams) = (1, 0);
    // SAFETY: it forks, and the child may only go on as if nothing had happened when no other thread held a
    // lock at that moment: `startup::begin` runs before the first thread is started.
    let outcome = unsafe { libc::daemon(keep_directory, keep_streams) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
