//! The replies of COMMAND and its subcommands, all read from the table.
//!
//! Source of the shapes: the COMMAND pages of redis.io and a running Redis 7.

use super::keys::{self, checked_keys_of};
use super::lookup::{find, lookup_full};
use super::spec::{
    Acl, Argument, ArgumentKind, Begin, Find, Flags, KeyFlags, KeySpec, SessionCommand, Spec,
};
use super::table::{ALL, commands};
use crate::args::Args;
use crate::error::{CommandResult, Error};
use crate::glob::{self, Case};
use crate::resp::Reply;

/// Runs one of the `Command…` commands; the others are not for this room.
pub fn run(command: SessionCommand, reply: &mut Reply, args: &Args) -> CommandResult {
    match command {
        SessionCommand::Command => command_info(reply, &args.from(args.len())),
        SessionCommand::CommandCount => reply.int(commands().len() as i64),
        SessionCommand::CommandInfo => command_info(reply, &args.from(2)),
        SessionCommand::CommandDocs => command_docs(reply, &args.from(2)),
        SessionCommand::CommandList => command_list(reply, &args.from(2))?,
        SessionCommand::CommandGetkeys => command_getkeys(reply, &args.from(2), false)?,
        SessionCommand::CommandGetkeysandflags => command_getkeys(reply, &args.from(2), true)?,
        other => unreachable!("{other:?} is not a subcommand of COMMAND"),
    }
    Ok(())
}

/// COMMAND INFO for `names`, for all commands when there is none.
fn command_info(reply: &mut Reply, names: &Args) {
    if names.is_empty() {
        reply.array(commands().len());
        commands().iter().for_each(|spec| write_info(reply, spec));
        return;
    }
    reply.array(names.len());
    for name in names.iter() {
        match lookup_full(name) {
            Some(spec) => write_info(reply, spec),
            None => reply.null(),
        }
    }
}

/// COMMAND DOCS for `names`, for all commands when there is none; unknown names are left out.
fn command_docs(reply: &mut Reply, names: &Args) {
    let named: Vec<&Spec> = if names.is_empty() {
        commands().iter().collect()
    } else {
        names.iter().filter_map(lookup_full).collect()
    };
    reply.map(named.len());
    for spec in named {
        reply.text(spec.name);
        write_docs(reply, spec);
    }
}

/// COMMAND LIST with what follows it.
fn command_list(reply: &mut Reply, options: &Args) -> CommandResult {
    enum Filter<'a> {
        All,
        Module,
        Category(Acl),
        Pattern(&'a [u8]),
    }
    let filter = match options.len() {
        0 => Filter::All,
        3 if options.is(0, "filterby") => {
            let value = options.at(2);
            if options.is(1, "module") {
                Filter::Module
            } else if options.is(1, "aclcat") {
                Filter::Category(category(value))
            } else if options.is(1, "pattern") {
                Filter::Pattern(value)
            } else {
                return Err(Error::SYNTAX);
            }
        }
        _ => return Err(Error::SYNTAX),
    };
    let listed = |spec: &&Spec| match filter {
        Filter::All => true,
        // No command comes from a module.
        Filter::Module => false,
        Filter::Category(category) => spec.acl.has(category),
        Filter::Pattern(pattern) => glob::matches(pattern, spec.name.as_bytes(), Case::Insensitive),
    };
    reply.array(ALL.iter().filter(listed).count());
    ALL.iter().filter(listed).for_each(|spec| reply.text(spec.name));
    Ok(())
}

/// The category of this name; of no other name's.
fn category(name: &[u8]) -> Acl {
    let known = Acl::WORDS.iter().find(|(_, word)| word.as_bytes().eq_ignore_ascii_case(name));
    known.map_or(Acl::NONE, |(category, _)| *category)
}

/// COMMAND GETKEYS or GETKEYSANDFLAGS of the command that `args` call.
fn command_getkeys(reply: &mut Reply, args: &Args, with_flags: bool) -> CommandResult {
    let spec = find(args).ok_or(Error::new("ERR Invalid command specified"))?;
    if !keys::may_have_keys(spec) {
        return Err(Error::new("ERR The command has no key arguments"));
    }
    if !spec.takes(args.len()) {
        return Err(Error::new("ERR Invalid number of arguments specified for command"));
    }
    let positions = match checked_keys_of(spec, args) {
        Ok(positions) if positions.len() > 0 => positions,
        _ if spec.flags.has(Flags::NO_MANDATORY_KEYS) => keys::KeyPositions::default(),
        _ => return Err(Error::new("ERR Invalid arguments specified for command")),
    };
    reply.array(positions.len());
    for (position, flags) in positions.with_flags() {
        if with_flags {
            reply.array(2);
        }
        reply.bulk(args.at(position));
        if with_flags {
            write_words(reply, flags.words());
        }
    }
    Ok(())
}

fn write_info(reply: &mut Reply, spec: &Spec) {
    // These two are between the server and itself.
    const HIDDEN: Flags = Flags::MAY_REPLICATE.and(Flags::PROTECTED);
    let range = LegacyRange::of(spec.keys);
    let movable = if range.incomplete { Flags::MOVABLEKEYS } else { Flags::NONE };
    reply.array(10);
    reply.text(spec.name);
    reply.int(spec.arity.into());
    write_words(reply, (Flags(spec.flags.0 & !HIDDEN.0) | movable).words());
    reply.int(range.first);
    reply.int(range.last);
    reply.int(range.step);
    reply.set(spec.acl.words().count());
    spec.acl.words().for_each(|word| reply.simple(&format!("@{word}")));
    reply.set(spec.docs.tips.len());
    spec.docs.tips.iter().for_each(|tip| reply.text(tip));
    reply.set(spec.keys.len());
    spec.keys.iter().for_each(|key_spec| write_key_spec(reply, key_spec));
    if spec.is_container() {
        reply.array(spec.subcommands().len());
        spec.subcommands().iter().for_each(|sub| write_info(reply, sub));
    } else {
        reply.set(0);
    }
}

/// First key, last key and step: all that clients knew of keys before there were key specs.
#[derive(Debug, Default, PartialEq, Eq)]
struct LegacyRange {
    first: i64,
    last: i64,
    step: i64,
    /// There are keys that the range does not cover.
    incomplete: bool,
}

impl LegacyRange {
    fn of(key_specs: &[KeySpec]) -> LegacyRange {
        let mut range = LegacyRange::default();
        for key_spec in key_specs {
            let &KeySpec { flags, begin, find, .. } = key_spec;
            range.incomplete |= flags.has(KeyFlags::INCOMPLETE);
            let (Begin::Index(first), Find::Range { last, step, .. }) = (begin, find) else {
                range.incomplete = true;
                continue;
            };
            let (first, step) = (i64::from(first), i64::from(step));
            let last = if last < 0 { last.into() } else { first + i64::from(last) };
            if range.first == 0 && (step == 1 || key_specs.len() == 1) {
                (range.first, range.last, range.step) = (first, last, step);
            } else if step == 1 && range.last == first - 1 {
                range.last = last;
            } else {
                range.incomplete = true;
            }
        }
        range
    }
}

fn write_key_spec(reply: &mut Reply, key_spec: &KeySpec) {
    reply.map(3 + usize::from(key_spec.notes.is_some()));
    if let Some(notes) = key_spec.notes {
        write_pair(reply, "notes", notes);
    }
    reply.text("flags");
    write_words(reply, key_spec.flags.words());
    reply.text("begin_search");
    reply.map(2);
    match key_spec.begin {
        Begin::Index(index) => {
            write_pair(reply, "type", "index");
            write_numbers(reply, &[("index", index.into())]);
        }
        Begin::Keyword { word, start_from } => {
            write_pair(reply, "type", "keyword");
            reply.text("spec");
            reply.map(2);
            write_pair(reply, "keyword", word);
            reply.text("startfrom");
            reply.int(start_from.into());
        }
        Begin::Unknown => {
            write_pair(reply, "type", "unknown");
            write_numbers(reply, &[]);
        }
    }
    reply.text("find_keys");
    reply.map(2);
    match key_spec.find {
        Find::Range { last, step, limit } => {
            write_pair(reply, "type", "range");
            write_numbers(
                reply,
                &[("lastkey", last.into()), ("keystep", step.into()), ("limit", limit.into())],
            );
        }
        Find::Count { count, first, step } => {
            write_pair(reply, "type", "keynum");
            write_numbers(
                reply,
                &[
                    ("keynumidx", count.into()),
                    ("firstkey", first.into()),
                    ("keystep", step.into()),
                ],
            );
        }
        Find::SortDestination | Find::Unknown => {
            write_pair(reply, "type", "unknown");
            write_numbers(reply, &[]);
        }
    }
}

fn write_docs(reply: &mut Reply, spec: &Spec) {
    let docs = &spec.docs;
    let place = reply.deferred();
    let mut pairs = 3;
    write_pair(reply, "summary", docs.summary);
    write_pair(reply, "since", docs.since);
    write_pair(reply, "group", docs.group);
    if !docs.complexity.is_empty() {
        pairs += 1;
        write_pair(reply, "complexity", docs.complexity);
    }
    let deprecated = docs.deprecated_since.map(|_| "deprecated");
    let system = docs.system.then_some("syscmd");
    if deprecated.or(system).is_some() {
        pairs += 1;
        reply.text("doc_flags");
        write_words(reply, deprecated.into_iter().chain(system));
    }
    pairs += write_optional_pair(reply, "deprecated_since", docs.deprecated_since);
    pairs += write_optional_pair(reply, "replaced_by", docs.replaced_by);
    if !docs.history.is_empty() {
        pairs += 1;
        reply.text("history");
        reply.set(docs.history.len());
        for (version, change) in docs.history {
            reply.array(2);
            reply.text(version);
            reply.text(change);
        }
    }
    if !docs.arguments.is_empty() {
        pairs += 1;
        reply.text("arguments");
        write_arguments(reply, docs.arguments);
    }
    if spec.is_container() {
        pairs += 1;
        reply.text("subcommands");
        reply.map(spec.subcommands().len());
        for sub in spec.subcommands() {
            reply.text(sub.name);
            write_docs(reply, sub);
        }
    }
    reply.finish_map(place, pairs);
}

fn write_arguments(reply: &mut Reply, arguments: &[Argument]) {
    reply.array(arguments.len());
    for argument in arguments {
        let place = reply.deferred();
        let mut pairs = 2;
        write_pair(reply, "name", argument.name);
        write_pair(reply, "type", argument.kind.word());
        let group = matches!(argument.kind, ArgumentKind::OneOf | ArgumentKind::Block);
        if !group {
            pairs += 1;
            write_pair(reply, "display_text", argument.display.unwrap_or(argument.name));
        }
        if let Some(index) = argument.key_spec_index {
            pairs += 1;
            reply.text("key_spec_index");
            reply.int(index.into());
        }
        pairs += write_optional_pair(reply, "token", argument.token);
        pairs += write_optional_pair(reply, "since", argument.since);
        pairs += write_optional_pair(reply, "deprecated_since", argument.deprecated_since);
        let flags = [
            argument.optional.then_some("optional"),
            argument.multiple.then_some("multiple"),
            argument.multiple_token.then_some("multiple_token"),
        ];
        if flags.iter().any(Option::is_some) {
            pairs += 1;
            reply.text("flags");
            write_words(reply, flags.into_iter().flatten());
        }
        if group {
            pairs += 1;
            reply.text("arguments");
            write_arguments(reply, argument.children);
        }
        reply.finish_map(place, pairs);
    }
}

impl ArgumentKind {
    /// What COMMAND DOCS calls it.
    fn word(self) -> &'static str {
        match self {
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Key => "key",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }
}

/// A set of simple strings.
fn write_words<'a>(reply: &mut Reply, words: impl Iterator<Item = &'a str>) {
    let words: Vec<_> = words.collect();
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

fn write_pair(reply: &mut Reply, name: &str, value: &str) {
    reply.text(name);
    reply.text(value);
}

/// How many pairs it wrote.
fn write_optional_pair(reply: &mut Reply, name: &str, value: Option<&str>) -> usize {
    if let Some(value) = value {
        write_pair(reply, name, value);
    }
    usize::from(value.is_some())
}

/// The `spec` of a key spec's half.
fn write_numbers(reply: &mut Reply, numbers: &[(&str, i64)]) {
    reply.text("spec");
    reply.map(numbers.len());
    for (name, number) in numbers {
        reply.text(name);
        reply.int(*number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::OwnedArgs;
    use crate::command::build::KEY;
    use crate::command::lookup::resolve;
    use crate::command::spec::Handler;
    use crate::resp::Protocol;

    /// The reply with `|` between its lines.
    fn ask(protocol: Protocol, line: &str) -> String {
        let owned = OwnedArgs::new(line.split(' ').map(str::as_bytes));
        let args = owned.args();
        let Handler::Session(command) = resolve(&args).unwrap().handler else {
            panic!("{line} does not run here")
        };
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, protocol);
        if let Err(error) = run(command, &mut reply, &args) {
            reply.error(&error);
        }
        String::from_utf8(out).unwrap().trim_end().replace("\r\n", "|")
    }

    #[track_caller]
    fn check(line: &str, expected: &str) {
        assert_eq!(ask(Protocol::Resp2, line), expected, "{line}");
    }

    #[test]
    fn info_describes_a_command_in_ten_elements() {
        check(
            "command info get",
            "*1|*10|$3|get|:2|*2|+readonly|+fast|:1|:1|:1|*3|+@read|+@string|+@fast|*0|*1|*6|$5|flags|\
             *2|+RO|+access|$12|begin_search|*4|$4|type|$5|index|$4|spec|*2|$5|index|:1|$9|find_keys|*4|\
             $4|type|$5|range|$4|spec|*6|$7|lastkey|:0|$7|keystep|:1|$5|limit|:0|*0",
        );
        assert_eq!(
            ask(Protocol::Resp3, "command info ping"),
            "*1|*10|$4|ping|:-1|~1|+fast|:0|:0|:0|~2|+@fast|+@connection|~2|$25|\
             request_policy:all_shards|$29|response_policy:all_succeeded|~0|~0"
        );
        check("command info nosuch config|nosuch", "*2|$-1|$-1");
    }

    #[test]
    fn docs_describe_a_command_as_a_map() {
        assert_eq!(
            ask(Protocol::Resp3, "command docs get nosuch"),
            "%1|$3|get|%5|$7|summary|$15|Reads a string.|$5|since|$5|1.0.0|$5|group|$6|string|$10|\
             complexity|$4|O(1)|$9|arguments|*1|%4|$4|name|$3|key|$4|type|$3|key|$12|display_text|$3|key|\
             $14|key_spec_index|:0"
        );
        check("command docs nosuch", "*0");
        assert!(ask(Protocol::Resp2, "command docs substr").contains("doc_flags|*1|+deprecated|"));
        assert!(ask(Protocol::Resp2, "command docs debug").contains("doc_flags|*1|+syscmd"));
    }

    #[test]
    fn list_filters_by_category_and_pattern() {
        check("command list filterby pattern MGE*", "*1|$4|mget");
        check("command list filterby aclcat scripting", "*0");
        check("command list filterby aclcat nosuch", "*0");
        check("command list filterby module m", "*0");
        check("command list filterby pattern", "-ERR syntax error");
        check("command list filterby nosuch x", "-ERR syntax error");
        check("command list nosuch", "-ERR syntax error");
        assert!(ask(Protocol::Resp2, "command list").contains("|config|get|"));
        let transactions = ask(Protocol::Resp2, "command list filterby aclcat Transaction");
        assert!(transactions.starts_with("*5|") && transactions.contains("|watch"));
    }

    #[test]
    fn getkeys_picks_the_keys_out() {
        check("command getkeys mset a 1 b 2", "*2|$1|a|$1|b");
        check("command getkeys object freq k", "*1|$1|k");
        check("command getkeys nosuch k", "-ERR Invalid command specified");
        check("command getkeys config nosuch", "-ERR Invalid command specified");
        check("command getkeys ping", "-ERR The command has no key arguments");
        check("command getkeys spublish c m", "-ERR The command has no key arguments");
        check("command getkeys get", "-ERR Invalid number of arguments specified for command");
    }

    #[test]
    fn getkeysandflags_tells_what_the_options_make_of_a_key() {
        let flags = |line: &str| ask(Protocol::Resp2, &format!("command getkeysandflags {line}"));
        assert_eq!(flags("get k"), "*1|*2|$1|k|*2|+RO|+access");
        assert_eq!(flags("set k v"), "*1|*2|$1|k|*2|+OW|+update");
        assert_eq!(flags("set k v GET"), "*1|*2|$1|k|*3|+RW|+access|+update");
        assert_eq!(flags("bitfield k overflow sat get u8 0"), "*1|*2|$1|k|*2|+RO|+access");
        assert_eq!(flags("bitfield k set u8 0 1"), "*1|*2|$1|k|*3|+RW|+access|+update");
    }

    #[test]
    fn the_legacy_range_covers_neighbouring_key_specs_only() {
        let range = LegacyRange::of;
        let expected =
            |first, last, step, incomplete| LegacyRange { first, last, step, incomplete };
        assert_eq!(range(&[]), expected(0, 0, 0, false));
        assert_eq!(range(&[KeySpec::all_from(1, "RO").step(2)]), expected(1, -1, 2, false));
        assert_eq!(
            range(&[KeySpec::at(2, "OW"), KeySpec::all_from(3, "RO")]),
            expected(2, -1, 1, false)
        );
        assert_eq!(
            range(&[KeySpec::at(1, "OW"), KeySpec::all_from(3, "RO")]),
            expected(1, 1, 1, true)
        );
        let mut counted = KeySpec::at(1, "RO");
        counted.find = Find::Count { count: 0, first: 1, step: 1 };
        assert_eq!(range(&[counted]), expected(0, 0, 0, true));
    }

    #[test]
    fn each_key_argument_names_a_key_spec() {
        fn check(spec: &Spec, arguments: &[Argument]) {
            for argument in arguments {
                let index = argument.key_spec_index.map(usize::from);
                // Patterns of keys (SORT) do too.
                let is_key = argument.kind == KEY.kind;
                let may = is_key || argument.kind == ArgumentKind::Pattern;
                assert!(index.is_some() && may || index.is_none() && !is_key, "{}", spec.name);
                assert!(index.is_none_or(|index| index < spec.keys.len()), "{}", spec.name);
                check(spec, argument.children);
            }
        }
        ALL.iter().for_each(|spec| check(spec, spec.docs.arguments));
    }
}
