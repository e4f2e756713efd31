//! Random arguments for random commands: few keys, so that commands meet, and values at the edges.

use super::random::Random;

pub type Word = Vec<u8>;

/// A command of words of any kinds: `words!["SET", key, b"value"]`.
macro_rules! words {
    ($($word:expr),* $(,)?) => { vec![$(AsRef::<[u8]>::as_ref(&$word).to_vec()),*] };
}
pub(crate) use words;

/// A command of words of one kind.
pub fn command<T: AsRef<[u8]>>(parts: &[T]) -> Vec<Word> {
    parts.iter().map(|part| part.as_ref().to_vec()).collect()
}

/// Keys of several slots, two in one slot by a hash tag, the empty one, one with odd bytes.
pub const KEYS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"key:1",
    b"key:2",
    b"{tag}x",
    b"{tag}y",
    b"",
    b"nul\0key\r\n\xff",
    b"counter",
    b"a-rather-long-key-that-does-not-fit-small-size-classes-0123456789",
];

pub fn key(random: &mut Random) -> Word {
    random.pick(KEYS).to_vec()
}

const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "7",
    "10",
    "42",
    "255",
    "256",
    "-128",
    "65535",
    "9223372036854775807",
    "9223372036854775806",
    "-9223372036854775808",
    "-9223372036854775807",
    "4611686018427387904",
    "2147483648",
    "-2147483649",
    "1000000",
];

const NOT_INTEGERS: &[&str] = &[
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "007",
    "+5",
    " 5",
    "5 ",
    "",
    "-",
    "+",
    "1e3",
    "0x10",
    "1.0",
    "abc",
    "-0",
    "99999999999999999999999999",
    "1\0",
    "١",
];

const FLOATS: &[&str] = &[
    "3.0",
    "0.1",
    "0.2",
    "-0.1",
    "1.5",
    "5.0e3",
    "1e17",
    "1e-5",
    "-1.25e2",
    "0",
    "-0.0",
    "100",
    "3.14159265358979",
    "10.50",
    "0.000001",
    "123456789.123456789",
    "1e20",
    "200.0000",
    "-1e10",
    ".5",
    "5.",
];

const NOT_FLOATS: &[&str] = &[
    "nan", "inf", "-inf", "+inf", "infinity", "1e5000", "-1e5000", "1.0.0", " 1", "1 ", "", "e5",
    "0x1p3", "1,5",
];

pub fn integer(random: &mut Random) -> Word {
    let text = match random.below(12) {
        0 => random.pick(NOT_INTEGERS).to_string(),
        1..=3 => random.pick(INTEGERS).to_string(),
        _ => random.between(-100, 1000).to_string(),
    };
    text.into_bytes()
}

pub fn float(random: &mut Random) -> Word {
    let text = match random.below(12) {
        0 => random.pick(NOT_FLOATS).to_string(),
        1..=3 => random.pick(INTEGERS).to_string(),
        4 => format!("{}.{}", random.between(-1000, 1000), random.below(100_000)),
        5 => format!("{}e{}", random.between(-99, 99), random.between(-6, 14)),
        _ => random.pick(FLOATS).to_string(),
    };
    text.into_bytes()
}

/// A place in a string: mostly near its ends, rarely far outside, now and then no number.
pub fn index(random: &mut Random) -> Word {
    match random.below(20) {
        0 => random.pick(NOT_INTEGERS).as_bytes().to_vec(),
        1 => random.pick(INTEGERS).as_bytes().to_vec(),
        _ => random.between(-70, 70).to_string().into_bytes(),
    }
}

pub fn value(random: &mut Random) -> Word {
    match random.below(10) {
        0 => random.pick(INTEGERS).as_bytes().to_vec(),
        1 => random.pick(NOT_INTEGERS).as_bytes().to_vec(),
        2 => random.pick(FLOATS).as_bytes().to_vec(),
        3 => random.between(-20_000, 20_000).to_string().into_bytes(),
        4 => {
            // Either side of the lengths where encodings change.
            let length = *random.pick(&[1, 19, 20, 21, 43, 44, 45, 46, 63, 64, 65, 255, 256, 257]);
            vec![b'a' + random.below(26) as u8; length]
        }
        5 => {
            let length = random.below(80);
            random.bytes(length)
        }
        6 if random.one_in(8) => {
            let length = random.below(20_000);
            random.bytes(length)
        }
        _ => {
            // A small alphabet, so that values share subsequences.
            let length = random.below(24);
            (0..length).map(|_| *random.pick(b"abcd")).collect()
        }
    }
}

/// The word in a random mixture of cases.
pub fn cased(random: &mut Random, word: &str) -> Word {
    match random.below(3) {
        0 => word.to_lowercase().into_bytes(),
        1 => word
            .bytes()
            .map(|byte| if random.one_in(2) { byte.to_ascii_lowercase() } else { byte })
            .collect(),
        _ => word.as_bytes().to_vec(),
    }
}

/// A point in time in the years around 3000, so that the two servers' clocks never matter: in
/// milliseconds, or with `seconds` in seconds.
pub fn far_future(random: &mut Random, seconds: bool) -> Word {
    let year_3000_ms: i64 = 32_503_680_000_000;
    let offset_ms =
        *random.pick(&[0, 1, 499, 500, 501, 999, 1000, 1500, 60_000, 86_400_000, -1, -500, -1000]);
    let at = year_3000_ms + offset_ms;
    (if seconds { at / 1000 } else { at }).to_string().into_bytes()
}

/// A time to live: far too long to end during a test, sometimes no valid one.
pub fn time_to_live(random: &mut Random, seconds: bool) -> Word {
    if random.one_in(6) {
        let invalid: &[&str] = &[
            "0",
            "-1",
            "abc",
            "",
            "9223372036854775807",
            "9223372036854775",
            "-9223372036854775808",
        ];
        return random.pick(invalid).as_bytes().to_vec();
    }
    let span = random.between(1, 20) * 1_000_000;
    (if seconds { span } else { span * 1000 }).to_string().into_bytes()
}

/// Spoils a command now and then: drops its last word, doubles it, or adds one.
pub fn spoil(random: &mut Random, mut words: Vec<Word>) -> Vec<Word> {
    if random.one_in(40) {
        match random.below(3) {
            0 if words.len() > 1 => drop(words.pop()),
            1 => words.push(words[words.len() - 1].clone()),
            // Plain letters: where an error text quotes them, only C's strings end at odd bytes.
            _ => words.push((0..1 + random.below(9)).map(|_| *random.pick(b"abxyz019")).collect()),
        }
    }
    words
}
