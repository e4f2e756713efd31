//! From the name in a request to its [`Spec`], and the errors when there is none.
//!
//! The hot path compares two words: a name's first and last bytes with its length say which command is meant,
//! and for nearly all names they say everything. The hash table over them is built when the crate is compiled.

use super::spec::Spec;
use super::table::{ALL, COMMANDS};
use crate::args::Args;
use crate::error::Error;

/// A power of two, several times the number of commands, so that most names hash to a bucket of their own.
const BUCKETS: usize = 1024;
const EMPTY: u16 = u16::MAX;
const _: () = assert!(COMMANDS * 3 < BUCKETS);

/// Ids of commands at the place of their hash, or behind it where that was taken.
static INDEX: [u16; BUCKETS] = build_index();

const fn build_index() -> [u16; BUCKETS] {
    let mut index = [EMPTY; BUCKETS];
    let mut id = 0;
    while id < COMMANDS {
        let mut bucket = bucket_of(ALL[id].words, ALL[id].name.len());
        while index[bucket] != EMPTY {
            bucket = (bucket + 1) % BUCKETS;
        }
        index[bucket] = id as u16;
        id += 1;
    }
    index
}

/// The command of this name in any case, without subcommands.
#[inline]
pub fn lookup(name: &[u8]) -> Option<&'static Spec> {
    let words = name_words(name);
    let mut bucket = bucket_of(words, name.len());
    loop {
        // An empty bucket holds an id behind the end of the table.
        let spec = ALL.get(INDEX[bucket] as usize)?;
        if spec.words == words && spec.is_called(name) {
            return Some(spec);
        }
        bucket = (bucket + 1) % BUCKETS;
    }
}

/// The command or, as `container|sub`, the subcommand of this name.
pub fn lookup_full(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|&byte| byte == b'|') {
        None => lookup(name),
        Some(bar) => lookup(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

/// What the arguments (at least one) call: a command, or a subcommand of the container that they name.
/// The error for an unknown name, or for a wrong number of arguments, is the reply.
#[inline]
pub fn resolve(args: &Args) -> Result<&'static Spec, Error> {
    let Some(mut spec) = lookup(args.at(0)) else {
        return Err(unknown_command(args));
    };
    if spec.is_container() && args.len() > 1 {
        spec = spec.subcommand(args.at(1)).ok_or_else(|| unknown_subcommand(args))?;
    }
    if !spec.takes(args.len()) {
        return Err(Error::arity(spec.name));
    }
    Ok(spec)
}

/// What the arguments call, whatever their number.
pub fn find(args: &Args) -> Option<&'static Spec> {
    let spec = lookup(args.get(0)?)?;
    match args.get(1) {
        Some(name) if spec.is_container() => spec.subcommand(name),
        _ => Some(spec),
    }
}

impl Spec {
    /// The subcommand of this name in any case.
    pub fn subcommand(&self, name: &[u8]) -> Option<&'static Spec> {
        self.subcommands().iter().find(|sub| sub.last_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether this is its name, given that [`name_words`] of both are equal.
    #[inline]
    fn is_called(&self, name: &[u8]) -> bool {
        let own = self.name.as_bytes();
        // Folding maps only the two cases of a letter to that letter, so a short name of letters is settled.
        let settled = self.words_settle && own.len() == name.len();
        settled || own.eq_ignore_ascii_case(name)
    }
}

/// The first and the last (up to) eight bytes of a name, letters in lower case.
#[inline]
pub(super) const fn name_words(name: &[u8]) -> (u64, u64) {
    // Sets the bit that tells small letters from capitals; what else that makes equal, `is_called` tells apart.
    const FOLD: u64 = 0x2020_2020_2020_2020;
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (u64::from_le_bytes(*first) | FOLD, u64::from_le_bytes(*last) | FOLD)
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (u32::from_le_bytes(*first) as u64 | FOLD, u32::from_le_bytes(*last) as u64 | FOLD)
    } else if let [first, .., last] = name {
        let bytes = [*first, name[1], *last, 0, 0, 0, 0, 0];
        (u64::from_le_bytes(bytes) | FOLD, 0)
    } else if let [only] = name {
        (*only as u64 | FOLD, 0)
    } else {
        (0, 0)
    }
}

/// Whether a name equals this one when their words and lengths do: the words cover it whole, and each folded
/// byte has no preimages but the two cases of its letter.
pub(super) const fn words_settle(name: &[u8]) -> bool {
    let mut index = 0;
    while index < name.len() {
        if !name[index].is_ascii_alphabetic() {
            return false;
        }
        index += 1;
    }
    name.len() <= 16
}

#[inline]
const fn bucket_of(words: (u64, u64), len: usize) -> usize {
    let mixed = words.0 ^ words.1.rotate_left(25) ^ (len as u64);
    // Fibonacci hashing: the product's highest bits depend on every bit of the words.
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.ilog2())) as usize
}

/// Redis quotes at most this many bytes of what a client sent.
const QUOTED_BYTES_MAX: usize = 128;

#[cold]
fn unknown_command(args: &Args) -> Error {
    let mut text = b"ERR unknown command '".to_vec();
    text.extend_from_slice(quoted(args.at(0), QUOTED_BYTES_MAX));
    text.extend_from_slice(b"', with args beginning with: ");
    let start = text.len();
    for arg in args.iter().skip(1) {
        let written = text.len() - start;
        if written >= QUOTED_BYTES_MAX {
            break;
        }
        text.push(b'\'');
        text.extend_from_slice(quoted(arg, QUOTED_BYTES_MAX - written));
        text.extend_from_slice(b"' ");
    }
    Error::text(String::from_utf8_lossy(&text))
}

#[cold]
fn unknown_subcommand(args: &Args) -> Error {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend_from_slice(quoted(args.at(1), QUOTED_BYTES_MAX));
    text.extend_from_slice(b"'. Try ");
    text.extend(args.at(0).iter().map(u8::to_ascii_uppercase));
    text.extend_from_slice(b" HELP.");
    Error::text(String::from_utf8_lossy(&text))
}

/// The bytes of an argument up to a NUL, `bytes_max` of them at most.
fn quoted(arg: &[u8], bytes_max: usize) -> &[u8] {
    let arg = &arg[..arg.len().min(bytes_max)];
    &arg[..memchr::memchr(0, arg).unwrap_or(arg.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::OwnedArgs;
    use proptest::prelude::*;

    fn resolve_words(words: &[&[u8]]) -> Result<&'static str, String> {
        let owned = OwnedArgs::new(words.iter().copied());
        resolve(&owned.args()).map(|spec| spec.name).map_err(|error| error.0.into_owned())
    }

    #[track_caller]
    fn check(line: &str, expected: Result<&str, &str>) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(resolve_words(&words), expected.map_err(str::to_owned), "{line}");
    }

    #[test]
    fn a_command_is_resolved_and_its_arity_checked() {
        check("get k", Ok("get"));
        check("GeT k", Ok("get"));
        check("get", Err("ERR wrong number of arguments for 'get' command"));
        check("GET k v", Err("ERR wrong number of arguments for 'get' command"));
        check("mget", Err("ERR wrong number of arguments for 'mget' command"));
        check("mget a b c", Ok("mget"));
    }

    #[test]
    fn a_container_hands_over_to_its_subcommand() {
        check("config get x", Ok("config|get"));
        check("CONFIG Get", Err("ERR wrong number of arguments for 'config|get' command"));
        check("config", Err("ERR wrong number of arguments for 'config' command"));
        check("cOnfig foo", Err("ERR unknown subcommand 'foo'. Try CONFIG HELP."));
        check("client tracking on", Err("ERR unknown subcommand 'tracking'. Try CLIENT HELP."));
        check("command", Ok("command"));
        check("command count", Ok("command|count"));
        check(
            "config|get x",
            Err("ERR unknown command 'config|get', with args beginning with: 'x' "),
        );
    }

    #[test]
    fn an_unknown_command_is_quoted_with_its_arguments_up_to_a_limit() {
        check("foo", Err("ERR unknown command 'foo', with args beginning with: "));
        check("foo a b", Err("ERR unknown command 'foo', with args beginning with: 'a' 'b' "));
        let long = [b'x'; 300];
        let x = |count| "x".repeat(count);
        assert_eq!(
            resolve_words(&[&long, &long, b"more"]).unwrap_err(),
            format!("ERR unknown command '{}', with args beginning with: '{}' ", x(128), x(128))
        );
        assert_eq!(
            resolve_words(&[b"f", &long[..100], b"0123456789012345678901234567890", b"c"])
                .unwrap_err(),
            format!(
                "ERR unknown command 'f', with args beginning with: '{}' '0123456789012345678901234' ",
                x(100)
            )
        );
        assert_eq!(
            resolve_words(&[b"f\0g", b"a\0b", b"c"]).unwrap_err(),
            "ERR unknown command 'f', with args beginning with: 'a' 'c' "
        );
    }

    #[test]
    fn bytes_that_fold_to_a_letter_do_not_make_a_name() {
        for name in [&b"bitfield\x7fro"[..], b"get\0", b"", b"\0", b"ge", b"gett", b"g\xe5t"] {
            assert!(lookup(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn a_full_name_finds_a_subcommand() {
        assert_eq!(lookup_full(b"Config|GET").map(|spec| spec.name), Some("config|get"));
        assert_eq!(lookup_full(b"get").map(|spec| spec.name), Some("get"));
        assert!(lookup_full(b"config|get|x").is_none());
        assert!(lookup_full(b"get|x").is_none());
        assert!(lookup_full(b"config|").is_none());
    }

    proptest! {
        #[test]
        fn every_command_is_found_in_any_case(id in 0..COMMANDS, capitals: u64) {
            let spec = &ALL[id];
            let name: Vec<u8> = spec.name.bytes().enumerate()
                .map(|(at, byte)| if capitals >> (at % 64) & 1 == 1 { byte.to_ascii_uppercase() } else { byte })
                .collect();
            prop_assert_eq!(lookup(&name).map(Spec::id), Some(id));
        }

        #[test]
        fn lookup_agrees_with_a_search_of_the_table(name in "[a-z_|]{0,4}|[ -~]{0,20}") {
            let plain = ALL[..COMMANDS].iter().find(|spec| spec.name.eq_ignore_ascii_case(&name));
            prop_assert_eq!(lookup(name.as_bytes()).map(Spec::id), plain.map(Spec::id));
        }
    }
}
