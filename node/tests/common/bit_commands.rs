//! Random commands on the bits of strings.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{Word, cased, index, integer, key, spoil, value, words};

pub fn bits(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let key = key(random);
        match random.below(16) {
            0 | 1 => {
                let length = random.below(40);
                let bytes = if random.one_in(4) { value(random) } else { random.bytes(length) };
                script.push(connection, words![b"SET".as_slice(), &key, &bytes]);
            }
            2 => {
                // Long runs of equal bits, where a scan works by whole words.
                let byte = *random.pick(&[0x00, 0xff]);
                let mut bytes = vec![byte; random.below(100)];
                if let Some(last) = bytes.last_mut() {
                    *last = random.next() as u8;
                }
                script.push(connection, words![b"SET".as_slice(), &key, &bytes]);
            }
            3 if random.one_in(2) => script.push(connection, words![b"DEL".as_slice(), &key]),
            3 => script.push(connection, words![b"OBJECT".as_slice(), b"ENCODING", &key]),
            4..=6 => {
                let mut words = words![b"SETBIT".as_slice(), &key, &bit_offset(random)];
                words.push(bit(random));
                script.push(connection, spoil(random, words));
            }
            7 => {
                let words = words![b"GETBIT".as_slice(), &key, &bit_offset(random)];
                script.push(connection, spoil(random, words));
            }
            8 | 9 => {
                // Redis 7.0 and 7.2 disagree about bad arguments for a key that is not there.
                script.push(connection, words![b"APPEND".as_slice(), &key, b""]);
                let mut words = words![cased(random, "BITCOUNT"), key];
                range(random, &mut words);
                script.push(connection, spoil(random, words));
            }
            10 | 11 => {
                script.push(connection, words![b"APPEND".as_slice(), &key, b""]);
                let mut words = words![cased(random, "BITPOS"), key, bit(random)];
                range(random, &mut words);
                script.push(connection, spoil(random, words));
            }
            12 => {
                let words = words![b"BITCOUNT".as_slice(), &key];
                script.push(connection, words);
                script.push(
                    connection,
                    words![b"BITPOS".as_slice(), &key, random.pick(&[b"0", b"1"])],
                );
            }
            13 => {
                let words = bit_operation(random, key);
                script.push(connection, spoil(random, words));
            }
            _ => {
                let words = bit_field(random, key);
                script.push(connection, spoil(random, words));
            }
        }
    }
    script.finish()
}

fn bit(random: &mut Random) -> Word {
    if random.one_in(15) { integer(random) } else { random.pick(&[b"0", b"1"]).to_vec() }
}

fn bit_offset(random: &mut Random) -> Word {
    let invalid: &[&str] = &["-1", "4294967296", "9223372036854775807", "x", "", "1.5", "#1"];
    match random.below(25) {
        0 => random.pick(invalid).as_bytes().to_vec(),
        1 => random.below(70_000).to_string().into_bytes(),
        _ => random.below(400).to_string().into_bytes(),
    }
}

/// What may follow the key (and the bit) of BITCOUNT and BITPOS.
fn range(random: &mut Random, words: &mut Vec<Word>) {
    for _ in 0..random.below(3) {
        words.push(index(random));
    }
    if random.one_in(2) {
        words.push(match random.below(12) {
            0 => value(random),
            1..=4 => cased(random, "BYTE"),
            _ => cased(random, "BIT"),
        });
    }
}

fn bit_operation(random: &mut Random, target: Word) -> Vec<Word> {
    let name = *random.pick(&["AND", "OR", "XOR", "NOT", "AND", "OR", "XOR", "NAND", ""]);
    let mut words = words![b"BITOP".to_vec(), cased(random, name), target, key(random)];
    if name != "NOT" || random.one_in(6) {
        words.extend((0..random.below(5)).map(|_| key(random)));
    }
    words
}

fn bit_field(random: &mut Random, target: Word) -> Vec<Word> {
    let read_only = random.one_in(5);
    let mut words = vec![cased(random, if read_only { "BITFIELD_RO" } else { "BITFIELD" }), target];
    for _ in 0..random.below(5) {
        if !read_only && random.one_in(3) {
            let mode = *random.pick(&["WRAP", "SAT", "FAIL", "SAT", "FAIL", "WRAP", "NEVER"]);
            words.extend([cased(random, "OVERFLOW"), cased(random, mode)]);
        }
        let operation = match random.below(if read_only { 10 } else { 30 }) {
            0 => "SET",
            1 if random.one_in(4) => "PUT",
            1..=9 => "GET",
            10..=18 => "SET",
            _ => "INCRBY",
        };
        words.push(cased(random, operation));
        words.push(field_type(random));
        words.push(field_offset(random));
        if operation == "SET" || operation == "INCRBY" {
            words.push(integer(random));
        }
    }
    words
}

fn field_type(random: &mut Random) -> Word {
    let odd: &[&str] = &["u64", "i65", "u0", "i0", "u", "8", "x8", "u-1", "i08", "", "u8x"];
    match random.below(16) {
        0 => random.pick(odd).as_bytes().to_vec(),
        1..=5 => random
            .pick(&["u8", "i8", "u16", "i16", "i64", "u63", "u1", "i1", "u32", "i32"])
            .as_bytes()
            .to_vec(),
        6..=10 => format!("u{}", 1 + random.below(63)).into_bytes(),
        _ => format!("i{}", 1 + random.below(64)).into_bytes(),
    }
}

fn field_offset(random: &mut Random) -> Word {
    let invalid: &[&str] =
        &["-1", "#-1", "x", "#", "", "4294967296", "#99999999999", "9223372036854775807"];
    match random.below(20) {
        0 => random.pick(invalid).as_bytes().to_vec(),
        1..=6 => format!("#{}", random.below(12)).into_bytes(),
        _ => random.below(200).to_string().into_bytes(),
    }
}
