//! Which arguments of a command are its keys.
//!
//! Every key spec comes down to one arithmetic progression of positions, so finding the keys allocates
//! nothing, however many there are. Rules: redis.io, "Key specifications".

use super::spec::{Begin, Find, KeyFlags, KeySpec, Spec};
use crate::args::Args;
use crate::number;

/// More key specs than this no command has.
pub(super) const KEY_SPECS_MAX: usize = 3;

/// The positions of a command's keys among its arguments, in the order of the key specs.
#[derive(Clone, Debug, Default)]
pub struct KeyPositions {
    runs: [Run; KEY_SPECS_MAX],
    current: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    next: usize,
    left: usize,
    step: usize,
    flags: KeyFlags,
}

/// The arguments do not fit the command's key specs; running it will end in a syntax error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit;

/// The keys among `args`, by which the shards that a command runs on are chosen: of each key spec that they fit. (PFMERGE
/// may have a destination alone.) The caller has checked the arity.
#[inline]
pub fn keys_of(spec: &Spec, args: &Args) -> KeyPositions {
    match spec.only_key() {
        Some(position) => {
            let run = Run { next: position, left: 1, step: 1, flags: KeyFlags::NONE };
            KeyPositions { runs: [run, Run::default(), Run::default()], current: 0 }
        }
        None => {
            let mut positions = KeyPositions::default();
            for (run, key_spec) in positions.runs.iter_mut().zip(key_specs(spec)) {
                *run = find(key_spec, args).ok().flatten().unwrap_or_default();
            }
            positions
        }
    }
}

fn key_specs(spec: &Spec) -> impl Iterator<Item = &KeySpec> {
    spec.keys.iter().filter(|key_spec| !key_spec.flags.has(KeyFlags::NOT_KEY))
}

/// The keys among `args` with their flags. Error: they do not fit one of the key specs.
pub fn checked_keys_of(spec: &Spec, args: &Args) -> Result<KeyPositions, Misfit> {
    let mut positions = KeyPositions::default();
    for (run, key_spec) in positions.runs.iter_mut().zip(key_specs(spec)) {
        if let Some(mut found) = find(key_spec, args)? {
            if found.flags.has(KeyFlags::VARIABLE_FLAGS) {
                found.flags = flags_in_use(spec, args).unwrap_or(found.flags);
            }
            *run = found;
        }
    }
    Ok(positions)
}

/// Whether a command may have keys at all.
pub fn may_have_keys(spec: &Spec) -> bool {
    spec.keys.iter().any(|key_spec| !key_spec.flags.has(KeyFlags::NOT_KEY))
}

impl KeyPositions {
    /// Each position with what the command does to the key there; only of [`checked_keys_of`].
    pub fn with_flags(mut self) -> impl Iterator<Item = (usize, KeyFlags)> {
        std::iter::from_fn(move || self.advance())
    }

    #[inline]
    fn advance(&mut self) -> Option<(usize, KeyFlags)> {
        while let Some(run) = self.runs.get_mut(self.current) {
            if run.left > 0 {
                let position = run.next;
                run.next += run.step;
                run.left -= 1;
                return Some((position, run.flags));
            }
            self.current += 1;
        }
        None
    }
}

impl Iterator for KeyPositions {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.advance().map(|(position, _)| position)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.runs.iter().map(|run| run.left).sum();
        (left, Some(left))
    }
}

impl ExactSizeIterator for KeyPositions {}

/// `None`: the keyword before the keys is not there, so neither are they; or they are not among the arguments.
fn find(key_spec: &KeySpec, args: &Args) -> Result<Option<Run>, Misfit> {
    let count = args.len() as i64;
    let begin = match key_spec.begin {
        Begin::Index(index) => i64::from(index),
        Begin::Keyword { word, start_from } => match behind_keyword(word, start_from, args) {
            Some(index) => index,
            None => return Ok(None),
        },
        Begin::Unknown => {
            let is_destination = matches!(key_spec.find, Find::SortDestination);
            let position = is_destination.then(|| sort_destination(args)).flatten();
            let flags = key_spec.flags;
            return Ok(position.map(|next| Run { next, left: 1, step: 1, flags }));
        }
    };
    let (first, last, step) = match key_spec.find {
        Find::Range { last, step, limit } => {
            let last = match (last, limit) {
                (0.., _) => begin + i64::from(last),
                (_, 0) => count + i64::from(last),
                _ => begin + (count - begin) / i64::from(limit) + i64::from(last),
            };
            (begin, last, step)
        }
        Find::Count { count: at, first, step } => {
            let keys = args.get((begin + i64::from(at)) as usize).and_then(number::parse_integer);
            // More keys than arguments is a misfit below, whatever their number.
            let keys = keys.filter(|&keys| keys >= 0).ok_or(Misfit)?.min(count);
            let first = begin + i64::from(first);
            (first, first + keys - 1, step)
        }
        Find::SortDestination | Find::Unknown => return Err(Misfit),
    };
    if first > last || last >= count {
        return Err(Misfit);
    }
    let step = usize::from(step);
    let left = (last - first) as usize / step + 1;
    Ok(Some(Run { next: first as usize, left, step, flags: key_spec.flags }))
}

/// The position behind the last STORE of SORT that is not another option's value.
fn sort_destination(args: &Args) -> Option<usize> {
    let (mut at, mut destination) = (2, None);
    while at < args.len() {
        if args.is(at, "store") && at + 1 < args.len() {
            destination = Some(at + 1);
        }
        at += match () {
            () if args.is(at, "limit") => 3,
            () if args.is(at, "by") || args.is(at, "get") || args.is(at, "store") => 2,
            () => 1,
        };
    }
    destination
}

/// The position behind `word`, searched forward from `start_from`, or backward if that counts from the end.
fn behind_keyword(word: &str, start_from: i16, args: &Args) -> Option<i64> {
    let count = args.len();
    let found = if start_from > 0 {
        // The last argument has nothing behind it, so it is no keyword.
        (start_from as usize..count.saturating_sub(1)).find(|&index| args.is(index, word))
    } else {
        let start = count.checked_sub(start_from.unsigned_abs() as usize)?;
        (2..=start).rev().find(|&index| args.is(index, word))
    };
    found.map(|index| index as i64 + 1)
}

/// What a command whose options decide does to its key.
fn flags_in_use(spec: &Spec, args: &Args) -> Option<KeyFlags> {
    match spec.name {
        "set" if (3..args.len()).any(|index| args.is(index, "get")) => {
            Some(KeyFlags::of("RW access update"))
        }
        "set" => Some(KeyFlags::of("OW update")),
        "bitfield" if only_reads_bits(args) => Some(KeyFlags::of("RO access")),
        "bitfield" => Some(KeyFlags::of("RW access update")),
        _ => None,
    }
}

/// Whether all operations of a BITFIELD are GETs.
fn only_reads_bits(args: &Args) -> bool {
    let mut index = 2;
    while index < args.len() {
        let behind = args.len() - index - 1;
        if args.is(index, "get") && behind >= 2 {
            index += 3;
        } else if args.is(index, "overflow") && behind >= 1 {
            index += 2;
        } else {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::OwnedArgs;
    use crate::command::lookup::find as command;

    fn words(line: &str) -> OwnedArgs {
        OwnedArgs::new(line.split(' ').map(str::as_bytes))
    }

    #[track_caller]
    fn check(line: &str, expected: &[usize]) {
        let owned = words(line);
        let spec = command(&owned.args()).expect("a command of the table");
        let keys = keys_of(spec, &owned.args());
        assert_eq!(keys.len(), expected.len(), "{line}");
        assert_eq!(keys.collect::<Vec<_>>(), expected, "{line}");
    }

    #[track_caller]
    fn check_spec(key_spec: KeySpec, line: &str, expected: Result<&[usize], Misfit>) {
        let owned = words(line);
        let found = find(&key_spec, &owned.args()).map(|run| {
            let runs = [run.unwrap_or_default(), Run::default(), Run::default()];
            KeyPositions { runs, current: 0 }.collect::<Vec<_>>()
        });
        assert_eq!(found, expected.map(<[usize]>::to_vec), "{line}");
    }

    #[test]
    fn keys_stand_where_the_table_says() {
        check("get k", &[1]);
        check("ping", &[]);
        check("mget a b c", &[1, 2, 3]);
        check("mset a 1 b 2", &[1, 3]);
        check("mset a 1 b", &[1, 3]);
        check("bitop and d a b", &[2, 3, 4]);
        check("rename a b", &[1, 2]);
        check("lcs a b len", &[1, 2]);
        check("object encoding k", &[2]);
        check("memory usage k samples 5", &[2]);
        check("spublish channel m", &[]);
        check("pfmerge d", &[1]);
        check("pfmerge d a b", &[1, 2, 3]);
        check("zunionstore d x a", &[1]);
    }

    #[test]
    fn a_single_key_at_a_fixed_place_needs_no_search() {
        let only_key = |line: &str| command(&words(line).args()).unwrap().only_key();
        assert_eq!(only_key("get"), Some(1));
        assert_eq!(only_key("object freq"), Some(2));
        for line in ["mget", "ping", "rename", "spublish", "lcs"] {
            assert_eq!(only_key(line), None, "{line}");
        }
    }

    #[test]
    fn a_counted_list_is_as_long_as_its_count_says() {
        let key_spec = KeySpec {
            flags: KeyFlags::RO,
            begin: Begin::Index(1),
            find: Find::Count { count: 0, first: 1, step: 1 },
            notes: None,
        };
        check_spec(key_spec, "zunion 2 a b weights 1 2", Ok(&[2, 3]));
        for line in ["zunion", "zunion x a", "zunion -1 a", "zunion 0 a", "zunion 3 a b"] {
            check_spec(key_spec, line, Err(Misfit));
        }
        check_spec(key_spec, "zunion 9223372036854775807 a b", Err(Misfit));
    }

    #[test]
    fn keys_behind_a_keyword_follow_it() {
        let streams = KeySpec {
            flags: KeyFlags::RO,
            begin: Begin::Keyword { word: "STREAMS", start_from: 1 },
            find: Find::Range { last: -1, step: 1, limit: 2 },
            notes: None,
        };
        check_spec(streams, "xread count 2 streams a b 0 0", Ok(&[4, 5]));
        check_spec(streams, "xread count 2", Ok(&[]));
        let keys = KeySpec {
            flags: KeyFlags::RO,
            begin: Begin::Keyword { word: "KEYS", start_from: -2 },
            find: Find::Range { last: -1, step: 1, limit: 0 },
            notes: None,
        };
        check_spec(keys, "migrate h p x 0 5 keys a b", Ok(&[7, 8]));
        check_spec(keys, "migrate", Ok(&[]));
    }
}
