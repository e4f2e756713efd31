//! What one configuration directive is: its names, what may be written behind it, where its value lives.
//!
//! The rows stand in `table/`, one file per topic, written with [`directives!`]: a row is the typed field, the
//! directive's name (and older name), its [`Kind`], its flags and its default as one would write it in a file.

use super::Config;
use std::borrow::Cow;

/// Why a value was refused, in Redis's words.
pub type Reason = Cow<'static, str>;

pub type Flags = u16;
/// Fixed once the node runs; CONFIG SET refuses it.
pub const IMMUTABLE: Flags = 1;
/// CONFIG SET needs `enable-protected-configs`.
pub const PROTECTED: Flags = 2;
/// Shown by CONFIG GET only under its full name, never by a pattern.
pub const HIDDEN: Flags = 4;
/// Its value must not appear in logs, SLOWLOG or MONITOR.
pub const SENSITIVE: Flags = 8;
/// CONFIG SET refuses it while the data set is loading.
pub const DENY_LOADING: Flags = 16;
/// Takes several words; the row's type checks how many.
pub const MULTI: Flags = 32;
/// Known and kept, but nothing acts on it yet: named in one warning at the start.
pub const INERT: Flags = 64;
/// Guards data or access and does not work yet: a value other than the default refuses to start.
pub const GUARD: Flags = 128;

/// Looks at a text value; the reason why it is refused.
pub type Check = fn(&[u8]) -> Result<(), Reason>;

/// What may be written as a value.
#[derive(Debug)]
pub enum Kind {
    /// The type alone says it (yes/no, enumerations, directives with a form of their own).
    Own,
    Number {
        min: i128,
        max: i128,
        unit: Unit,
    },
    Text {
        /// An empty value means "not set": CONFIG REWRITE leaves the line out.
        unset_when_empty: bool,
        check: Option<Check>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Plain,
    /// Bytes, written with an optional b, k, kb, m, mb, g or gb.
    Memory,
    Octal,
}

/// The largest values Redis's C types hold, which its error texts name.
pub const INT_MAX: i128 = i32::MAX as i128;
pub const INT_MIN: i128 = i32::MIN as i128;
pub const UINT_MAX: i128 = u32::MAX as i128;
pub const LONG_MAX: i128 = i64::MAX as i128;
pub const ULONG_MAX: i128 = u64::MAX as i128;

pub const fn number(min: i128, max: i128) -> Kind {
    Kind::Number { min, max, unit: Unit::Plain }
}

pub const fn memory(min: i128, max: i128) -> Kind {
    Kind::Number { min, max, unit: Unit::Memory }
}

pub const fn octal(max: i128) -> Kind {
    Kind::Number { min: 0, max, unit: Unit::Octal }
}

/// Text that may be empty.
pub const TEXT: Kind = Kind::Text { unset_when_empty: false, check: None };
/// Text for which empty means not set.
pub const OPTIONAL_TEXT: Kind = Kind::Text { unset_when_empty: true, check: None };

pub const fn checked_text(check: Check) -> Kind {
    Kind::Text { unset_when_empty: false, check: Some(check) }
}

pub const fn checked_optional_text(check: Check) -> Kind {
    Kind::Text { unset_when_empty: true, check: Some(check) }
}

/// A type that a directive's value can have.
pub trait Setting: Sized + Clone + PartialEq + Default {
    /// The value that `words` spell. `words` is exactly one word unless the row is [`MULTI`]. `current` is
    /// for directives whose value builds on the one before; `append` says that the same start has already
    /// set this directive once.
    fn parse(current: &Self, kind: &Kind, words: &[Vec<u8>], append: bool) -> Result<Self, Reason>;

    /// The value as CONFIG GET shows it.
    fn show(&self, kind: &Kind) -> Vec<u8>;

    /// The lines CONFIG REWRITE writes; none removes the directive from the file.
    fn lines(&self, kind: &Kind, name: &str, default: &Self) -> Vec<Line> {
        vec![Line::new(name, &self.show(kind), self != default)]
    }
}

/// One line for the configuration file.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    pub text: Vec<u8>,
    /// Whether it is written where the file does not mention the directive yet.
    pub force: bool,
}

impl Line {
    pub fn new(name: &str, value: &[u8], force: bool) -> Line {
        let mut text = name.as_bytes().to_vec();
        text.push(b' ');
        text.extend(value);
        Line { text, force }
    }
}

type Set = fn(&mut Config, &Kind, &[Vec<u8>], bool) -> Result<(), Reason>;

/// One row of the table.
pub struct Directive {
    pub name: &'static str,
    /// An older name that means the same.
    pub alias: Option<&'static str>,
    pub flags: Flags,
    pub default: &'static str,
    pub(super) kind: Kind,
    pub(super) set: Set,
    pub(super) show: fn(&Config, &Kind) -> Vec<u8>,
    pub(super) lines: fn(&Config, &Config, &Kind, &str) -> Vec<Line>,
}

impl Directive {
    pub fn is(&self, flag: Flags) -> bool {
        self.flags & flag != 0
    }

    /// Whether `name` is one of this directive's names, in any case.
    pub fn is_named(&self, name: &[u8]) -> bool {
        self.names().any(|own| own.as_bytes().eq_ignore_ascii_case(name))
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.alias)
    }

    pub(super) fn set(
        &self,
        config: &mut Config,
        words: &[Vec<u8>],
        append: bool,
    ) -> Result<(), Reason> {
        (self.set)(config, &self.kind, words, append)
    }

    /// The value as CONFIG GET shows it.
    pub fn show(&self, config: &Config) -> Vec<u8> {
        (self.show)(config, &self.kind)
    }

    pub(super) fn lines(&self, config: &Config, default: &Config) -> Vec<Line> {
        (self.lines)(config, default, &self.kind, self.name)
    }
}

impl std::fmt::Debug for Directive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Declares one topic: the struct with its typed fields, and their rows.
macro_rules! directives {
    (
        $(#[$topic_doc:meta])*
        pub struct $topic:ident in $owner:ident {
            $(
                $(#[$doc:meta])*
                $field:ident : $type:ty = $name:literal $(/ $alias:literal)?, $kind:expr, $flags:expr, $default:literal;
            )*
        }
    ) => {
        $(#[$topic_doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct $topic {
            $( $(#[$doc])* pub $field: $type, )*
        }

        pub(in crate::config) static DIRECTIVES: &[Directive] = &[
            $(
                Directive {
                    name: $name,
                    alias: directives!(@alias $($alias)?),
                    flags: $flags,
                    default: $default,
                    kind: $kind,
                    set: |config, kind, words, append| {
                        let value = <$type as Setting>::parse(&config.$owner.$field, kind, words, append)?;
                        config.$owner.$field = value;
                        Ok(())
                    },
                    show: |config, kind| config.$owner.$field.show(kind),
                    lines: |config, default, kind, name| {
                        config.$owner.$field.lines(kind, name, &default.$owner.$field)
                    },
                },
            )*
        ];
    };
    (@alias) => { None };
    (@alias $alias:literal) => { Some($alias) };
}
pub(super) use directives;
