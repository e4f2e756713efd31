//! `replicaof`: the primary to follow, or none.

use super::{Text, loose_integer};
use crate::config::directive::{Kind, Line, Reason, Setting};
use crate::config::quote;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicaOf(pub Option<(Text, u16)>);

impl Setting for ReplicaOf {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        match words {
            // What the default is written as: no primary.
            [only] if only.is_empty() => Ok(ReplicaOf(None)),
            [no, one] if no.eq_ignore_ascii_case(b"no") && one.eq_ignore_ascii_case(b"one") => {
                Ok(ReplicaOf(None))
            }
            [host, port] => {
                let port = loose_integer(port).and_then(|port| u16::try_from(port).ok());
                let port = port.ok_or("Invalid master port")?;
                Ok(ReplicaOf(Some((Text::from(&**host), port))))
            }
            _ => Err("wrong number of arguments".into()),
        }
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        match &self.0 {
            Some((host, port)) => format!("{host} {port}").into_bytes(),
            None => Vec::new(),
        }
    }

    fn lines(&self, _: &Kind, name: &str, _: &Self) -> Vec<Line> {
        match &self.0 {
            Some((host, port)) => {
                let value = quote::join([host.as_bytes(), port.to_string().as_bytes()]);
                vec![Line::new(name, &value, true)]
            }
            None => Vec::new(),
        }
    }
}
