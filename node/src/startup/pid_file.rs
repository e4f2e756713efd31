//! `pidfile`: the process id, for whoever must find the node.

use crate::config::{Text, os_error_text};
use std::path::PathBuf;

/// Where a daemon writes it when `pidfile` is not set.
const DAEMON_DEFAULT: &str = "/var/run/ringfort.pid";

/// Goes with the process that wrote it, also when the start fails later on.
pub struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file if one is set or the process is a daemon. A failure is logged and no reason to stop.
    pub fn write(configured: &Text, background: bool) -> Option<PidFile> {
        let path = match configured.is_empty() {
            false => std::path::absolute(configured.as_path()).ok()?,
            true if background => PathBuf::from(DAEMON_DEFAULT),
            true => return None,
        };
        match std::fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(PidFile(path)),
            Err(error) => {
                let error = os_error_text(&error);
                crate::warning!("Failed to write PID file {}: {error}", path.display());
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        crate::notice!("Removing the pid file.");
        let _ = std::fs::remove_file(&self.0);
    }
}
