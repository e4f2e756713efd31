//! What happens around the node: from the configuration to the moment the cores start, and after they stopped.
//!
//! [`begin`] must run while the process has one thread, before any ring: it may fork. It leaves behind the
//! directory entered, the log open, the pid file written, signals watched and the limit on open files raised.
//! The caller then opens its listeners, says [`announce_initialized`], loads, and says [`Process::ready`];
//! after the last core has stopped, [`Process::end`].

mod banner;
mod daemon;
mod open_files;
mod pid_file;
mod signals;
mod supervision;

pub use banner::{
    Listening, announce_initialized, announce_running, failed_listening, version_line,
};
pub use signals::{ShutdownSignal, Signals};

use crate::config::{Config, Loaded, os_error_text};
use crate::log;
use pid_file::PidFile;
use std::io;
use std::path::PathBuf;
use supervision::Supervisor;

/// What belongs to the process rather than to a core. Owned by the main thread.
pub struct Process {
    /// Tells of SIGTERM and SIGINT; clone it to whoever must hear.
    pub signals: Signals,
    /// `maxclients` as far as the limit on open files allows.
    pub maxclients: u32,
    supervisor: Supervisor,
    pid_file: Option<PidFile>,
    /// Where the Unix socket lies, absolute.
    unix_socket: Option<PathBuf>,
}

/// Sets the process up. `reserved_files` is how many descriptors the node needs besides those of clients.
/// Errors have been logged; the process should end with status 1.
pub fn begin(loaded: &Loaded, reserved_files: u64) -> Result<Process, io::Error> {
    let config = &loaded.config;
    configure_log(config);
    enter_directory(config).inspect_err(|error| {
        crate::warning!(
            "Can't chdir to '{}': {}",
            config.persistence.dir.as_path().display(),
            os_error_text(error)
        );
    })?;

    let supervisor = Supervisor::find(config.process.supervised);
    let background = config.process.daemonize && !supervisor.is_supervised();
    if background {
        daemon::detach().inspect_err(|error| {
            crate::warning!("Can't run in the background: {}", os_error_text(error));
        })?;
    }
    // From here on the process has its final id.
    banner::announce_start(loaded);
    let signals = Signals::watch().inspect_err(|error| {
        crate::warning!("Can't watch for signals: {}", os_error_text(error));
    })?;
    let maxclients = open_files::make_room(config.clients.maxclients, reserved_files)?;
    supervisor.loading();
    let pid_file = PidFile::write(&config.process.pidfile, background);
    // CONFIG SET may change the directory later on.
    let unix_socket = &config.network.unixsocket;
    let unix_socket = match unix_socket.is_empty() {
        true => None,
        false => std::path::absolute(unix_socket.as_path()).ok(),
    };
    log::set_role(log::Role::Primary);
    Ok(Process { signals, maxclients, supervisor, pid_file, unix_socket })
}

/// Applies `loglevel` and `logfile`.
pub fn configure_log(config: &Config) {
    log::set_level(config.process.loglevel);
    let file = &config.process.logfile;
    let dir = config.persistence.dir.as_path();
    log::set_file((!file.is_empty()).then(|| dir.join(file.as_path())));
}

/// Makes `dir` the directory of the process.
pub fn enter_directory(config: &Config) -> io::Result<()> {
    std::env::set_current_dir(config.persistence.dir.as_path())
}

/// The `maxclients` that the limit on open files allows, which is raised if it may be; for CONFIG SET.
pub fn maxclients_possible(maxclients: u32, reserved_files: u64) -> io::Result<u32> {
    open_files::make_room(maxclients, reserved_files)
}

impl Process {
    /// Says that clients may come: the log, and the supervisor if there is one.
    pub fn ready(&self, listening: Listening) {
        banner::announce_ready(listening);
        self.supervisor.ready();
    }

    /// Tells the supervisor that a shutdown has begun.
    pub fn stopping(&self) {
        self.supervisor.stopping();
    }

    /// Cleans up and says goodbye, after a node that listened. Nothing is served any more.
    pub fn end(self) {
        if let Some(path) = self.unix_socket {
            crate::notice!("Removing the unix socket file.");
            let _ = std::fs::remove_file(path);
        }
        drop(self.pid_file);
        crate::warning!("Ringfort is now ready to exit, bye bye...");
    }
}
