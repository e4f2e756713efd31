//! `dir`: an existing directory, always kept as an absolute path.
//!
//! A relative path counts from the `dir` in force before (at first the directory the node was started in), as
//! it would if every `dir` were entered at once. Nothing here changes the process's directory.

use crate::config::directive::{Kind, Line, Reason, Setting};
use crate::config::os_error_text;
use crate::config::quote::quote_into;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory(PathBuf);

impl Directory {
    pub fn as_path(&self) -> &Path {
        &self.0
    }
}

impl Setting for Directory {
    fn parse(current: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        let path = current.0.join(OsStr::from_bytes(&words[0]));
        // Asking for what is inside tells a file from a directory and checks the right to enter it.
        let entered = if words[0].is_empty() {
            Err(std::io::Error::from_raw_os_error(libc::ENOENT))
        } else {
            std::fs::metadata(path.join(".")).and_then(|_| std::fs::canonicalize(&path))
        };
        entered.map(Directory).map_err(|error| os_error_text(&error).into())
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        self.0.clone().into_os_string().into_vec()
    }

    fn lines(&self, kind: &Kind, name: &str, _: &Self) -> Vec<Line> {
        let mut quoted = Vec::new();
        quote_into(&mut quoted, &self.show(kind));
        vec![Line::new(name, &quoted, true)]
    }
}
