//! What the command table says of one command.
//!
//! One [`Spec`] drives dispatch, arity errors, key extraction, COMMAND and COMMAND DOCS. Field meanings are
//! those of the COMMAND and COMMAND DOCS replies of Redis 7 (redis.io, "Command tips", "Key specifications").

use crate::args::Args;
use crate::cx::Cx;
use crate::error::CommandResult;

/// A command, or a subcommand (then `name` is `container|sub`).
///
/// Those that a client can reach are the elements of [`super::table::ALL`]; the first fields are what running
/// a command needs, and come first so that they share a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct Spec {
    /// The beginning and the end of the name, for [`super::lookup`].
    pub(super) words: (u64, u64),
    /// Lower case; a subcommand as `config|get`.
    pub name: &'static str,
    pub handler: Handler,
    pub flags: Flags,
    pub(super) id: u16,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i16,
    /// How it runs when its keys lie on several shards.
    pub split: Split,
    /// See [`Spec::only_key`]; 0 for none.
    pub(super) only_key: u8,
    /// Whether equal `words` and lengths mean equal names.
    pub(super) words_settle: bool,
    /// See [`Spec::subcommands`]: first id and how many.
    pub(super) children: (u16, u16),
    pub acl: Acl,
    pub keys: &'static [KeySpec],
    /// As the family's file lists them, without ids: only to put the table together.
    pub(super) declared_subcommands: &'static [Spec],
    pub docs: Docs,
}

#[derive(Clone, Copy, Debug)]
pub struct Docs {
    pub summary: &'static str,
    pub since: &'static str,
    pub group: &'static str,
    /// Empty where Redis gives none.
    pub complexity: &'static str,
    pub deprecated_since: Option<&'static str>,
    pub replaced_by: Option<&'static str>,
    /// Meant for the server's developers only.
    pub system: bool,
    pub history: &'static [(&'static str, &'static str)],
    pub tips: &'static [&'static str],
    pub arguments: &'static [Argument],
}

#[derive(Clone, Copy, Debug)]
pub struct Argument {
    pub name: &'static str,
    pub kind: ArgumentKind,
    /// What stands for the value in a syntax line, where that is not the name.
    pub display: Option<&'static str>,
    pub token: Option<&'static str>,
    pub key_spec_index: Option<u8>,
    pub since: Option<&'static str>,
    pub deprecated_since: Option<&'static str>,
    pub optional: bool,
    pub multiple: bool,
    pub multiple_token: bool,
    /// Of a `OneOf` or `Block`.
    pub children: &'static [Argument],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    String,
    Integer,
    Double,
    Key,
    Pattern,
    UnixTime,
    PureToken,
    OneOf,
    Block,
}

/// Runs a command on the shard that owns its keys.
pub type KeysHandler = fn(&mut Cx, &Args) -> CommandResult;

/// Who runs a command.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// The shard that owns its keys.
    Keys(KeysHandler),
    /// The core of the connection, from the connection's session alone.
    Session(SessionCommand),
    /// The node: other cores or its configuration take part.
    Node(NodeCommand),
    /// Nobody: only its subcommands run.
    Container,
}

/// Commands that need only the connection they arrive on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCommand {
    Ping,
    Echo,
    Quit,
    Reset,
    Select,
    Auth,
    Hello,
    Time,
    Lolwut,
    Multi,
    Exec,
    Discard,
    Watch,
    Unwatch,
    Command,
    CommandCount,
    CommandInfo,
    CommandDocs,
    CommandList,
    CommandGetkeys,
    CommandGetkeysandflags,
    /// HELP of any container: the container's name is in the spec's name.
    Help,
    ClientId,
    ClientInfo,
    ClientGetname,
    ClientSetname,
    ClientSetinfo,
    ClientReply,
    ClientNoEvict,
    ClientNoTouch,
    ClientGetredir,
    ClientTrackinginfo,
    Readonly,
    Readwrite,
    Asking,
    Replconf,
    Psync,
    Sync,
}

/// Commands that several cores, or the node's configuration, take part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeCommand {
    Info,
    Dbsize,
    Keys,
    Scan,
    Randomkey,
    Flushdb,
    Flushall,
    Swapdb,
    ConfigGet,
    ConfigSet,
    ConfigResetstat,
    ConfigRewrite,
    ClientList,
    ClientKill,
    ClientPause,
    ClientUnpause,
    ClientUnblock,
    Debug,
    MemoryStats,
    MemoryDoctor,
    MemoryMallocStats,
    MemoryPurge,
    SlowlogGet,
    SlowlogLen,
    SlowlogReset,
    LatencyLatest,
    LatencyHistory,
    LatencyReset,
    LatencyGraph,
    LatencyDoctor,
    LatencyHistogram,
    Monitor,
    Shutdown,
    Subscribe,
    Unsubscribe,
    Psubscribe,
    Punsubscribe,
    Ssubscribe,
    Sunsubscribe,
    Publish,
    Spublish,
    PubsubChannels,
    PubsubNumsub,
    PubsubNumpat,
    PubsubShardchannels,
    PubsubShardnumsub,
    Lastsave,
    Save,
    Bgsave,
    Replicaof,
    Failover,
    Role,
    Wait,
}

impl Spec {
    /// Its place among all commands and subcommands, for statistics: below [`super::table::COUNT`].
    #[inline]
    pub fn id(&self) -> usize {
        self.id as usize
    }

    /// Whether it may be called with `count` arguments, its name among them.
    #[inline]
    pub const fn takes(&self, count: usize) -> bool {
        if self.arity >= 0 {
            count == self.arity as usize
        } else {
            count >= self.arity.unsigned_abs() as usize
        }
    }

    /// Where its key stands, if it has exactly one key and that always stands there.
    #[inline]
    pub const fn only_key(&self) -> Option<usize> {
        if self.only_key == 0 { None } else { Some(self.only_key as usize) }
    }

    #[inline]
    pub fn is_container(&self) -> bool {
        self.children.1 != 0
    }

    pub fn subcommands(&self) -> &'static [Spec] {
        let (first, count) = self.children;
        &super::table::ALL[first as usize..][..count as usize]
    }

    /// The last part of the name: `get` of `config|get`.
    pub fn last_name(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }
}

/// How a command of [`Handler::Keys`] runs when its keys lie on several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The keys' entries move to one place, it runs there, they move back.
    Gather,
    /// Each shard runs it on its own keys; the integers are added up (DEL, EXISTS).
    Sum,
    /// Each shard runs it on its own keys; the elements go back to their places (MGET).
    Elements,
    /// Each shard runs it on its own key-value pairs; the answer is OK (MSET).
    Ok,
}

/// Where keys stand among the arguments.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    pub flags: KeyFlags,
    pub begin: Begin,
    pub find: Find,
    pub notes: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
pub enum Begin {
    Index(u8),
    Keyword { word: &'static str, start_from: i16 },
    Unknown,
}

/// Which arguments after the beginning are keys; positions relative to it.
#[derive(Clone, Copy, Debug)]
pub enum Find {
    /// `last`: negative counts from the end (-1 the last argument); `limit` as in Redis (2: half of the rest).
    Range {
        last: i16,
        step: u8,
        limit: u8,
    },
    /// The number of keys stands at `count`, they begin at `first`.
    Count {
        count: u8,
        first: u8,
        step: u8,
    },
    /// The destination behind the last STORE of SORT, which clients are not told: they see [`Find::Unknown`].
    SortDestination,
    Unknown,
}

/// Equality that constants can use.
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

macro_rules! flags {
    ($(#[$meta:meta])* $name:ident: $repr:ty { $($flag:ident = $bit:expr, $text:expr;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name(pub $repr);
        impl $name {
            pub const NONE: $name = $name(0);
            $(pub const $flag: $name = $name(1 << $bit);)*
            /// Each flag with the word the wire has for it.
            pub const WORDS: &'static [($name, &'static str)] = &[$(($name::$flag, $text)),*];
            #[inline]
            pub const fn has(self, flag: $name) -> bool {
                self.0 & flag.0 != 0
            }
            /// The flags whose words these are, with one space between two. Panics at an unknown word:
            /// in a constant that stops the build.
            pub const fn of(words: &str) -> $name {
                let mut flags = $name::NONE;
                let mut rest = words.as_bytes();
                while let [_, ..] = rest {
                    let mut end = 0;
                    while end < rest.len() && rest[end] != b' ' {
                        end += 1;
                    }
                    let (word, behind) = rest.split_at(end);
                    let mut index = 0;
                    while !same(word, $name::WORDS[index].1.as_bytes()) {
                        index += 1;
                    }
                    flags = flags.and($name::WORDS[index].0);
                    rest = if let [_, next @ ..] = behind { next } else { behind };
                }
                flags
            }
            /// Both; usable in constants.
            pub const fn and(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
            /// The words of the flags that are set.
            pub fn words(self) -> impl Iterator<Item = &'static str> {
                Self::WORDS.iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, word)| *word)
            }
        }
        impl std::ops::BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name {
                self.and(other)
            }
        }
    };
}

flags! {
    /// Command flags, as COMMAND INFO names them.
    Flags: u32 {
        WRITE = 0, "write";
        READONLY = 1, "readonly";
        DENYOOM = 2, "denyoom";
        ADMIN = 3, "admin";
        PUBSUB = 4, "pubsub";
        NOSCRIPT = 5, "noscript";
        BLOCKING = 6, "blocking";
        LOADING = 7, "loading";
        STALE = 8, "stale";
        SKIP_MONITOR = 9, "skip_monitor";
        SKIP_SLOWLOG = 10, "skip_slowlog";
        ASKING = 11, "asking";
        FAST = 12, "fast";
        NO_AUTH = 13, "no_auth";
        MAY_REPLICATE = 14, "may_replicate";
        NO_MULTI = 15, "no_multi";
        MOVABLEKEYS = 16, "movablekeys";
        ALLOW_BUSY = 17, "allow_busy";
        NO_ASYNC_LOADING = 18, "no_async_loading";
        NO_MANDATORY_KEYS = 19, "no_mandatory_keys";
        PROTECTED = 20, "protected";
    }
}

flags! {
    /// ACL categories, without their `@`.
    Acl: u32 {
        KEYSPACE = 0, "keyspace";
        READ = 1, "read";
        WRITE = 2, "write";
        SET = 3, "set";
        SORTEDSET = 4, "sortedset";
        LIST = 5, "list";
        HASH = 6, "hash";
        STRING = 7, "string";
        BITMAP = 8, "bitmap";
        HYPERLOGLOG = 9, "hyperloglog";
        GEO = 10, "geo";
        STREAM = 11, "stream";
        PUBSUB = 12, "pubsub";
        ADMIN = 13, "admin";
        FAST = 14, "fast";
        SLOW = 15, "slow";
        BLOCKING = 16, "blocking";
        DANGEROUS = 17, "dangerous";
        CONNECTION = 18, "connection";
        TRANSACTION = 19, "transaction";
        SCRIPTING = 20, "scripting";
    }
}

flags! {
    /// What a command does with the keys of a key spec.
    KeyFlags: u16 {
        RO = 0, "RO";
        RW = 1, "RW";
        OW = 2, "OW";
        RM = 3, "RM";
        ACCESS = 4, "access";
        UPDATE = 5, "update";
        INSERT = 6, "insert";
        DELETE = 7, "delete";
        NOT_KEY = 8, "not_key";
        INCOMPLETE = 9, "incomplete";
        VARIABLE_FLAGS = 10, "variable_flags";
    }
}

// What running a command reads stays within one cache line.
const _: () = assert!(std::mem::offset_of!(Spec, acl) <= 64);
