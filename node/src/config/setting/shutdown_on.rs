//! `shutdown-on-sigterm`, `shutdown-on-sigint`: how a signal shuts the node down.

use super::choice::not_one_of;
use crate::config::directive::{Kind, Reason, Setting};

/// `default` is none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShutdownOn {
    pub save: bool,
    pub nosave: bool,
    pub now: bool,
    pub force: bool,
}

impl Setting for ShutdownOn {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        const WORDS: [&str; 5] = ["default", "save", "nosave", "now", "force"];
        let mut flags = ShutdownOn::default();
        for word in words {
            match word.to_ascii_lowercase().as_slice() {
                b"default" => {}
                b"save" => flags.save = true,
                b"nosave" => flags.nosave = true,
                b"now" => flags.now = true,
                b"force" => flags.force = true,
                _ => return Err(not_one_of(&mut WORDS.into_iter())),
            }
        }
        if words.is_empty() {
            return Err(not_one_of(&mut WORDS.into_iter()));
        }
        if flags.save && flags.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
        }
        Ok(flags)
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let words = [
            (self.save, "save"),
            (self.nosave, "nosave"),
            (self.now, "now"),
            (self.force, "force"),
        ];
        let set: Vec<_> = words.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
        if set.is_empty() { b"default".to_vec() } else { set.join(" ").into_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<ShutdownOn, Reason> {
        let words: Vec<Vec<u8>> = words.split(' ').map(Into::into).collect();
        ShutdownOn::parse(&ShutdownOn::default(), &Kind::Own, &words, false)
    }

    #[test]
    fn flags_combine_but_for_save_and_nosave() {
        assert_eq!(parse("now SAVE").unwrap().show(&Kind::Own), b"save now");
        assert_eq!(parse("default").unwrap().show(&Kind::Own), b"default");
        assert!(parse("save nosave").is_err());
        assert!(parse("").is_err());
    }
}
