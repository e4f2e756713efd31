//! The limit on open files: raised for `maxclients`, or `maxclients` lowered to it.

use crate::config::os_error_text;
use rlimit::Resource;
use std::io;

/// Makes room for `maxclients` and `reserved` other descriptors. Returns the `maxclients` there is room for;
/// an error, already logged, when there is room for none.
pub fn make_room(maxclients: u32, reserved: u64) -> io::Result<u32> {
    let (soft, hard) = match Resource::NOFILE.get() {
        Ok(limits) => limits,
        Err(error) => {
            crate::warning!(
                "Unable to obtain the current NOFILE limit ({}), assuming 1024 and setting the \
                 max clients configuration accordingly.",
                os_error_text(&error)
            );
            return Ok(u32::try_from(1024u64.saturating_sub(reserved)).unwrap_or(0).max(1));
        }
    };
    let wanted = u64::from(maxclients) + reserved;
    if soft >= wanted {
        return Ok(maxclients);
    }
    // The hard limit moves only for the privileged; without that right the soft one may reach it.
    let refusal = match Resource::NOFILE.set(wanted, hard.max(wanted)) {
        Ok(()) => {
            crate::notice!(
                "Increased maximum number of open files to {wanted} (it was originally set to \
                 {soft})."
            );
            return Ok(maxclients);
        }
        Err(error) => os_error_text(&error),
    };
    let reached = match Resource::NOFILE.set(hard.min(wanted), hard) {
        Ok(()) => hard.min(wanted),
        Err(_) => soft,
    };
    if reached >= wanted {
        crate::notice!(
            "Increased maximum number of open files to {wanted} (it was originally set to {soft})."
        );
        return Ok(maxclients);
    }
    if reached <= reserved {
        crate::warning!(
            "Your current 'ulimit -n' of {soft} is not enough for the server to start. Please \
             increase your open file limit to at least {wanted}. Exiting."
        );
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    let possible = u32::try_from(reached - reserved).unwrap_or(u32::MAX).min(maxclients);
    crate::warning!(
        "You requested maxclients of {maxclients} requiring at least {wanted} max file descriptors."
    );
    crate::warning!(
        "Server can't set maximum open files to {wanted} because of OS error: {refusal}."
    );
    crate::warning!(
        "Current maximum open files is {reached}. maxclients has been reduced to {possible} to \
         compensate for low ulimit. If you need higher maxclients increase 'ulimit -n'."
    );
    Ok(possible)
}
