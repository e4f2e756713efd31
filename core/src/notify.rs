//! Keyspace events: which classes there are, and those that happened on a shard.
//!
//! Source: redis.io, "Redis keyspace notifications". The node publishes what a shard collected.

/// A set of event classes, the letters of `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classes(pub u32);

impl Classes {
    pub const NONE: Classes = Classes(0);
    /// K: publish to `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Classes = Classes(1 << 0);
    /// E: publish to `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Classes = Classes(1 << 1);
    pub const GENERIC: Classes = Classes(1 << 2);
    pub const STRING: Classes = Classes(1 << 3);
    pub const LIST: Classes = Classes(1 << 4);
    pub const SET: Classes = Classes(1 << 5);
    pub const HASH: Classes = Classes(1 << 6);
    pub const ZSET: Classes = Classes(1 << 7);
    pub const EXPIRED: Classes = Classes(1 << 8);
    pub const EVICTED: Classes = Classes(1 << 9);
    pub const STREAM: Classes = Classes(1 << 10);
    pub const KEY_MISS: Classes = Classes(1 << 11);
    pub const MODULE: Classes = Classes(1 << 13);
    pub const NEW: Classes = Classes(1 << 14);

    /// Each class with its letter, in the order CONFIG GET writes them.
    const LETTERS: [(Classes, char); 14] = [
        (Classes::GENERIC, 'g'),
        (Classes::STRING, '$'),
        (Classes::LIST, 'l'),
        (Classes::SET, 's'),
        (Classes::HASH, 'h'),
        (Classes::ZSET, 'z'),
        (Classes::EXPIRED, 'x'),
        (Classes::EVICTED, 'e'),
        (Classes::STREAM, 't'),
        (Classes::MODULE, 'd'),
        (Classes::NEW, 'n'),
        (Classes::KEYSPACE, 'K'),
        (Classes::KEYEVENT, 'E'),
        (Classes::KEY_MISS, 'm'),
    ];

    /// What the letter A stands for: everything but misses and new keys.
    pub const ALL: Classes = Classes(
        Classes::GENERIC.0
            | Classes::STRING.0
            | Classes::LIST.0
            | Classes::SET.0
            | Classes::HASH.0
            | Classes::ZSET.0
            | Classes::EXPIRED.0
            | Classes::EVICTED.0
            | Classes::STREAM.0
            | Classes::MODULE.0,
    );

    pub fn has(self, class: Classes) -> bool {
        self.0 & class.0 != 0
    }

    /// `None` where a letter is no class.
    pub fn parse(letters: &str) -> Option<Classes> {
        letters.chars().try_fold(Classes::NONE, |classes, letter| {
            let class = match letter {
                'A' => Classes::ALL,
                _ => Classes::LETTERS.iter().find(|(_, known)| *known == letter)?.0,
            };
            Some(Classes(classes.0 | class.0))
        })
    }

    /// The letters of the set, `A` in place of those it stands for.
    pub fn letters(self) -> String {
        let all = self.0 & Classes::ALL.0 == Classes::ALL.0;
        let mut text = String::from(if all { "A" } else { "" });
        for (class, letter) in Classes::LETTERS {
            if self.has(class) && !(all && Classes::ALL.has(class)) {
                text.push(letter);
            }
        }
        text
    }
}

/// One event: `name` happened to `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    pub database: usize,
    pub name: &'static str,
    pub key: Box<[u8]>,
}

/// Events since they were last taken, oldest first; only of classes that are published.
#[derive(Debug, Default)]
pub struct KeyEvents {
    pub list: Vec<KeyEvent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_classes_agree() {
        for (given, canonical) in [
            ("", ""),
            ("KEA", "AKE"),
            ("Kx", "xK"),
            ("g$lshzxetdKE", "AKE"),
            ("KEm", "KEm"),
            ("En", "nE"),
        ] {
            assert_eq!(Classes::parse(given).unwrap().letters(), canonical, "{given}");
        }
        assert_eq!(Classes::parse("KEq"), None);
    }
}
