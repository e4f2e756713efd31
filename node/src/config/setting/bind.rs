//! `bind`: the addresses to listen on. `-` before one means that it need not exist on this machine, `*` is
//! every address of its family; an address with a colon is IPv6.

use super::Text;
use crate::config::directive::{Kind, Line, Reason, Setting};
use crate::config::quote;

const ADDRESSES_MAX: usize = 16;

/// No address at all means not to listen on TCP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bind(Vec<Text>);

/// One address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress {
    pub host: String,
    /// Go on without it when this machine has no such address.
    pub optional: bool,
}

impl Bind {
    pub fn addresses(&self) -> impl Iterator<Item = BindAddress> {
        self.0.iter().map(|text| {
            let text = text.to_string();
            match text.strip_prefix('-') {
                Some(host) => BindAddress { host: host.into(), optional: true },
                None => BindAddress { host: text, optional: false },
            }
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Setting for Bind {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        if words.len() > ADDRESSES_MAX {
            return Err("Too many bind addresses specified.".into());
        }
        Ok(match words {
            [only] if only.is_empty() => Bind::default(),
            words => Bind(words.iter().map(|word| Text::from(&**word)).collect()),
        })
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        self.0.iter().map(Text::as_bytes).collect::<Vec<_>>().join(&b' ')
    }

    fn lines(&self, _: &Kind, name: &str, default: &Self) -> Vec<Line> {
        if self == default {
            return Vec::new();
        }
        let value = if self.is_empty() {
            b"\"\"".to_vec()
        } else {
            quote::join(self.0.iter().map(Text::as_bytes))
        };
        vec![Line::new(name, &value, true)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Bind, Reason> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Bind::parse(&Bind::default(), &Kind::Own, &words, false)
    }

    #[test]
    fn a_dash_makes_an_address_optional() {
        let bind = parse(&["127.0.0.1", "-::1"]).unwrap();
        let addresses: Vec<_> =
            bind.addresses().map(|address| (address.host, address.optional)).collect();
        assert_eq!(addresses, [("127.0.0.1".to_owned(), false), ("::1".to_owned(), true)]);
    }

    /// Rewriting wrote addresses as they came, so a line feed in one began a line of its own in the file.
    #[test]
    fn an_address_cannot_begin_a_new_line_in_the_file() {
        let bind = parse(&["127.0.0.1", "::1\nport 7"]).unwrap();
        let lines = bind.lines(&Kind::Own, "bind", &Bind::default());
        assert_eq!(lines, [Line::new("bind", b"127.0.0.1 \"::1\\nport 7\"", true)]);
    }

    #[test]
    fn an_empty_word_binds_nothing() {
        assert!(parse(&[""]).unwrap().is_empty());
        assert!(parse(&["x"; 17]).is_err());
    }
}
