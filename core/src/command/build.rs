//! The words that the table's files are written in: builders that run when the crate is compiled.

use super::spec::{
    Acl, Argument, ArgumentKind, Begin, Docs, Find, Flags, Handler, KeyFlags, KeySpec, NodeCommand,
    SessionCommand, Spec, Split,
};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::CommandResult;

impl Spec {
    /// A container, until one of `run`, `session` and `node` says who runs it.
    pub const fn new(name: &'static str, arity: i16) -> Spec {
        Spec {
            words: (0, 0),
            name,
            handler: Handler::Container,
            flags: Flags::NONE,
            id: 0,
            arity,
            split: Split::Gather,
            only_key: 0,
            words_settle: false,
            children: (0, 0),
            acl: Acl::NONE,
            keys: &[],
            declared_subcommands: &[],
            docs: Docs {
                summary: "",
                since: "",
                group: "",
                complexity: "",
                deprecated_since: None,
                replaced_by: None,
                system: false,
                history: &[],
                tips: &[],
                arguments: &[],
            },
        }
    }

    pub const fn run(mut self, function: fn(&mut Cx, &Args) -> CommandResult) -> Spec {
        self.handler = Handler::Keys(function);
        self
    }

    pub const fn session(mut self, command: SessionCommand) -> Spec {
        self.handler = Handler::Session(command);
        self
    }

    pub const fn node(mut self, command: NodeCommand) -> Spec {
        self.handler = Handler::Node(command);
        self
    }

    pub const fn split(mut self, split: Split) -> Spec {
        self.split = split;
        self
    }

    pub const fn flags(mut self, words: &str) -> Spec {
        self.flags = Flags::of(words);
        self
    }

    /// Only the categories that the flags do not imply.
    pub const fn acl(mut self, words: &str) -> Spec {
        self.acl = Acl::of(words);
        self
    }

    pub const fn keys(mut self, keys: &'static [KeySpec]) -> Spec {
        self.keys = keys;
        self
    }

    pub const fn arguments(mut self, arguments: &'static [Argument]) -> Spec {
        self.docs.arguments = arguments;
        self
    }

    pub const fn docs(
        mut self,
        since: &'static str,
        complexity: &'static str,
        summary: &'static str,
    ) -> Spec {
        self.docs.since = since;
        self.docs.complexity = complexity;
        self.docs.summary = summary;
        self
    }

    /// What each version added or changed.
    pub const fn history(mut self, history: &'static [(&'static str, &'static str)]) -> Spec {
        self.docs.history = history;
        self
    }

    pub const fn tips(mut self, tips: &'static [&'static str]) -> Spec {
        self.docs.tips = tips;
        self
    }

    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Spec {
        self.docs.deprecated_since = Some(since);
        self.docs.replaced_by = Some(replaced_by);
        self
    }

    pub const fn system(mut self) -> Spec {
        self.docs.system = true;
        self
    }

    pub const fn subcommands_of(mut self, subcommands: &'static [Spec]) -> Spec {
        self.declared_subcommands = subcommands;
        self
    }
}

impl KeySpec {
    /// One key, at `index`.
    pub const fn at(index: u8, flags: &str) -> KeySpec {
        KeySpec::range(index, 0, flags)
    }

    /// All arguments from `index` on.
    pub const fn all_from(index: u8, flags: &str) -> KeySpec {
        KeySpec::range(index, -1, flags)
    }

    /// From `index` to `last`, which is relative to it or, when negative, counts from the end.
    pub const fn range(index: u8, last: i16, flags: &str) -> KeySpec {
        KeySpec {
            flags: KeyFlags::of(flags),
            begin: Begin::Index(index),
            find: Find::Range { last, step: 1, limit: 0 },
            notes: None,
        }
    }

    /// Keys that no rule leads to.
    pub const fn unknown(flags: &str, find: Find) -> KeySpec {
        KeySpec { flags: KeyFlags::of(flags), begin: Begin::Unknown, find, notes: None }
    }

    /// Only every `step`th argument of a range.
    pub const fn step(mut self, step: u8) -> KeySpec {
        if let Find::Range { last, limit, .. } = self.find {
            self.find = Find::Range { last, step, limit };
        }
        self
    }

    pub const fn notes(mut self, notes: &'static str) -> KeySpec {
        self.notes = Some(notes);
        self
    }
}

/// The argument of most commands with one key.
pub const KEY: Argument = key("key");

pub const fn key(name: &'static str) -> Argument {
    argument(name, ArgumentKind::Key).key_spec(0)
}

pub const fn string(name: &'static str) -> Argument {
    argument(name, ArgumentKind::String)
}

pub const fn integer(name: &'static str) -> Argument {
    argument(name, ArgumentKind::Integer)
}

pub const fn double(name: &'static str) -> Argument {
    argument(name, ArgumentKind::Double)
}

pub const fn pattern(name: &'static str) -> Argument {
    argument(name, ArgumentKind::Pattern)
}

pub const fn unix_time(name: &'static str) -> Argument {
    argument(name, ArgumentKind::UnixTime)
}

/// A bare word.
pub const fn token(name: &'static str, word: &'static str) -> Argument {
    argument(name, ArgumentKind::PureToken).token(word)
}

pub const fn one_of(name: &'static str, children: &'static [Argument]) -> Argument {
    Argument { children, ..argument(name, ArgumentKind::OneOf) }
}

/// Arguments that come together.
pub const fn block(name: &'static str, children: &'static [Argument]) -> Argument {
    Argument { children, ..argument(name, ArgumentKind::Block) }
}

const fn argument(name: &'static str, kind: ArgumentKind) -> Argument {
    Argument {
        name,
        kind,
        display: None,
        token: None,
        key_spec_index: None,
        since: None,
        deprecated_since: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        children: &[],
    }
}

impl Argument {
    /// The word before the argument.
    pub const fn token(mut self, word: &'static str) -> Argument {
        self.token = Some(word);
        self
    }

    /// Of a key: which of the command's key specs finds it.
    pub const fn key_spec(mut self, index: u8) -> Argument {
        self.key_spec_index = Some(index);
        self
    }

    pub const fn display(mut self, text: &'static str) -> Argument {
        self.display = Some(text);
        self
    }

    pub const fn since(mut self, version: &'static str) -> Argument {
        self.since = Some(version);
        self
    }

    pub const fn deprecated(mut self, since: &'static str) -> Argument {
        self.deprecated_since = Some(since);
        self
    }

    pub const fn optional(mut self) -> Argument {
        self.optional = true;
        self
    }

    pub const fn multiple(mut self) -> Argument {
        self.multiple = true;
        self
    }

    /// Its token is repeated with every value.
    pub const fn multiple_token(mut self) -> Argument {
        self.multiple_token = true;
        self
    }
}
