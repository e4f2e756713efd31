//! `notify-keyspace-events`: which classes of events are published, and on which channels.

use crate::config::directive::{Kind, Line, Reason, Setting};
use crate::config::quote::quote_into;

/// A set of event classes. The bits are those of Redis's module API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyspaceEvents(pub u16);

impl KeyspaceEvents {
    /// Publish on `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: u16 = 1;
    /// Publish on `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: u16 = 1 << 1;
    pub const GENERIC: u16 = 1 << 2;
    pub const STRING: u16 = 1 << 3;
    pub const LIST: u16 = 1 << 4;
    pub const SET: u16 = 1 << 5;
    pub const HASH: u16 = 1 << 6;
    pub const ZSET: u16 = 1 << 7;
    pub const EXPIRED: u16 = 1 << 8;
    pub const EVICTED: u16 = 1 << 9;
    pub const STREAM: u16 = 1 << 10;
    pub const KEY_MISS: u16 = 1 << 11;
    pub const MODULE: u16 = 1 << 13;
    pub const NEW: u16 = 1 << 14;
    /// What `A` stands for: all but the misses and new keys.
    pub const ALL: u16 = Self::GENERIC
        | Self::STRING
        | Self::LIST
        | Self::SET
        | Self::HASH
        | Self::ZSET
        | Self::EXPIRED
        | Self::EVICTED
        | Self::STREAM
        | Self::MODULE;

    /// The letters in the order in which they are shown.
    const LETTERS: [(u8, u16); 15] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
        (b'n', Self::NEW),
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
        (b'A', Self::ALL),
    ];

    pub fn contains(self, classes: u16) -> bool {
        self.0 & classes == classes
    }

    /// The letters for exactly these classes.
    fn letters(self) -> Vec<u8> {
        let whole = self.contains(Self::ALL);
        let mut letters = if whole { b"A".to_vec() } else { Vec::new() };
        for (letter, class) in Self::LETTERS {
            if self.contains(class) && letter != b'A' && !(whole && class & Self::ALL != 0) {
                letters.push(letter);
            }
        }
        letters
    }
}

impl Setting for KeyspaceEvents {
    fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
        let mut classes = 0;
        for letter in &words[0] {
            let known = Self::LETTERS.iter().find(|(own, _)| own == letter);
            let (_, class) =
                known.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
            classes |= class;
        }
        Ok(KeyspaceEvents(classes))
    }

    fn show(&self, _: &Kind) -> Vec<u8> {
        let mut letters = self.letters();
        // Redis does not show n beside A, and clients compare what it shows.
        if self.contains(Self::ALL) {
            letters.retain(|letter| *letter != b'n');
        }
        letters
    }

    fn lines(&self, _: &Kind, name: &str, default: &Self) -> Vec<Line> {
        let mut quoted = Vec::new();
        quote_into(&mut quoted, &self.letters());
        vec![Line::new(name, &quoted, self != default)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, shown: &str) {
        let none = KeyspaceEvents::default();
        let events = KeyspaceEvents::parse(&none, &Kind::Own, &[written.into()], false).unwrap();
        assert_eq!(String::from_utf8(events.show(&Kind::Own)).unwrap(), shown);
    }

    #[test]
    fn letters_are_shown_in_redis_order() {
        check("", "");
        check("KEA", "AKE");
        check("g$lshzxetdKE", "AKE");
        check("KEAmnd", "AKEm");
        check("Knx", "xnK");
        check("Emlg", "glEm");
    }

    #[test]
    fn a_rewritten_file_keeps_new_beside_all() {
        let none = KeyspaceEvents::default();
        let events = KeyspaceEvents(KeyspaceEvents::ALL | KeyspaceEvents::NEW);
        let lines = events.lines(&Kind::Own, "notify-keyspace-events", &none);
        assert_eq!(lines, [Line::new("notify-keyspace-events", b"\"An\"", true)]);
    }

    #[test]
    fn unknown_letters_are_refused() {
        let none = KeyspaceEvents::default();
        assert!(KeyspaceEvents::parse(&none, &Kind::Own, &[b"Kq".to_vec()], false).is_err());
    }
}
