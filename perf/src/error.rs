//! Why a measurement could not be made. Nothing is retried and nothing is guessed: a failed measurement is
//! either said in the report's notes or ends the run.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, in words for the person at the terminal.
#[derive(Debug)]
pub enum Failure {
    /// A server did not start, died, or answered something unexpected.
    Server { name: String, what: String },
    /// A load tool could not run or reported an error.
    Tool { name: String, what: String },
    /// The machine or the command line does not allow the measurement.
    Setup(String),
    /// A call of the operating system failed.
    Io { doing: String, error: io::Error },
}

impl Failure {
    pub fn server(name: &str, what: impl Into<String>) -> Self {
        Failure::Server { name: name.to_owned(), what: what.into() }
    }

    pub fn tool(name: &str, what: impl Into<String>) -> Self {
        Failure::Tool { name: name.to_owned(), what: what.into() }
    }

    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |error| Failure::Io { doing, error }
    }

    pub fn path(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Failure::io(format!("{doing} {}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Server { name, what } => write!(f, "server {name}: {what}"),
            Failure::Tool { name, what } => write!(f, "{name}: {what}"),
            Failure::Setup(what) => f.write_str(what),
            Failure::Io { doing, error } => write!(f, "{doing}: {error}"),
        }
    }
}

impl std::error::Error for Failure {}
