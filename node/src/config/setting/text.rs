//! Text values and passwords, and the checks that some of them need.

use crate::config::directive::{Kind, Line, Reason, Setting};
use crate::config::quote::quote_into;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A text value: any bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text(Vec<u8>);

impl Text {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The text if one is set.
    pub fn as_option(&self) -> Option<&[u8]> {
        (!self.0.is_empty()).then_some(&*self.0)
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Text {
        Text(bytes.to_vec())
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl Setting for Text {
    fn parse(_: &Self, kind: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        if let Kind::Text { check: Some(check), .. } = kind {
            check(&words[0])?;
        }
        Ok(Text(words[0].clone()))
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        self.0.clone()
    }

    fn lines(&self, kind: &Kind, name: &str, default: &Self) -> Vec<Line> {
        if self.is_empty() && matches!(kind, Kind::Text { unset_when_empty: true, .. }) {
            return Vec::new();
        }
        let mut quoted = Vec::new();
        quote_into(&mut quoted, &self.0);
        vec![Line::new(name, &quoted, self != default)]
    }
}

/// A password: text that is never printed.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Text);

impl Secret {
    /// The password if one is set.
    pub fn as_option(&self) -> Option<&[u8]> {
        self.0.as_option()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "(secret)" })
    }
}

impl Setting for Secret {
    fn parse(current: &Self, kind: &Kind, words: &[Vec<u8>], append: bool) -> Result<Self, Reason> {
        Text::parse(&current.0, kind, words, append).map(Secret)
    }

    fn show(&self, kind: &Kind) -> Vec<u8> {
        self.0.show(kind)
    }

    fn lines(&self, kind: &Kind, name: &str, default: &Self) -> Vec<Line> {
        self.0.lines(kind, name, &default.0)
    }
}

/// What a text must look like, for the rows that ask.
pub mod check {
    use super::Reason;

    pub fn db_filename(name: &[u8]) -> Result<(), Reason> {
        if is_base_name(name) {
            return Ok(());
        }
        Err("dbfilename can't be a path, just a filename".into())
    }

    pub fn append_filename(name: &[u8]) -> Result<(), Reason> {
        if name.is_empty() {
            return Err("appendfilename can't be empty".into());
        }
        if is_base_name(name) {
            return Ok(());
        }
        Err("appendfilename can't be a path, just a filename".into())
    }

    pub fn append_dirname(name: &[u8]) -> Result<(), Reason> {
        if name.is_empty() {
            return Err("appenddirname can't be empty".into());
        }
        if is_base_name(name) {
            return Ok(());
        }
        Err("appenddirname can't be a path, just a dirname".into())
    }

    fn is_base_name(name: &[u8]) -> bool {
        !name.iter().any(|byte| matches!(byte, b'/' | b'\\'))
    }

    pub fn hostname(name: &[u8]) -> Result<(), Reason> {
        if name.len() >= 256 {
            return Err("Hostnames must be less than 256 characters".into());
        }
        if name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')) {
            return Ok(());
        }
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into())
    }

    pub fn node_name(name: &[u8]) -> Result<(), Reason> {
        if name.iter().any(|byte| b"!#$%&()*+:;<>?@[]^{|}~".contains(byte)) {
            return Err("Announced human node name contained invalid character".into());
        }
        Ok(())
    }

    /// Braces must pair up around known variables.
    pub fn proc_title_template(template: &[u8]) -> Result<(), Reason> {
        const VARIABLES: [&[u8]; 7] = [
            b"title",
            b"listen-addr",
            b"server-mode",
            b"port",
            b"tls-port",
            b"unixsocket",
            b"config-file",
        ];
        let mut rest = template;
        while let Some(open) = rest.iter().position(|byte| *byte == b'{') {
            let inside = &rest[open + 1..];
            let close = inside.iter().position(|byte| *byte == b'}');
            match close {
                Some(close) if VARIABLES.contains(&&inside[..close]) => rest = &inside[close + 1..],
                _ => return Err("template format is invalid or contains unknown variables".into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::directive::{OPTIONAL_TEXT, TEXT};

    #[test]
    fn an_unset_text_is_left_out_of_the_file() {
        let unset = Text::default();
        assert_eq!(unset.lines(&OPTIONAL_TEXT, "pidfile", &unset), []);
        assert_eq!(unset.lines(&TEXT, "logfile", &unset), [Line::new("logfile", b"\"\"", false)]);
    }

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret(Text::from(&b"hunter2"[..]));
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn process_titles_know_their_variables() {
        assert!(check::proc_title_template(b"{title} {listen-addr} x").is_ok());
        assert!(check::proc_title_template(b"{foo}").is_err());
        assert!(check::proc_title_template(b"{title").is_err());
    }

    #[test]
    fn file_names_are_not_paths() {
        assert!(check::db_filename(b"dump.rdb").is_ok());
        assert!(check::db_filename(b"../dump.rdb").is_err());
        assert!(check::append_filename(b"").is_err());
    }
}
