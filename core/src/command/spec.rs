//! What the command table says of one command.
//!
//! One [`Spec`] drives dispatch, arity errors, key extraction, COMMAND and COMMAND DOCS. Field meanings are
//! those of the COMMAND and COMMAND DOCS replies of Redis 7 (redis.io, "Command tips", "Key specifications").

use crate::args::Args;
use crate::cx::Cx;
use crate::error::CommandResult;

/// A command, or a subcommand (then `name` is `container|sub`).
#[derive(Debug)]
pub struct Spec {
    /// Lower case; a subcommand as `config|get`.
    pub name: &'static str,
    /// Number of arguments with the name; negative: at least that many.
    pub arity: i16,
    pub flags: Flags,
    pub acl: Acl,
    pub keys: &'static [KeySpec],
    /// How it runs when its keys lie on several shards.
    pub split: Split,
    pub handler: Handler,
    pub subcommands: &'static [Spec],
    pub docs: Docs,
}

#[derive(Debug)]
pub struct Docs {
    pub summary: &'static str,
    pub since: &'static str,
    pub group: &'static str,
    pub complexity: &'static str,
    pub deprecated_since: Option<&'static str>,
    pub replaced_by: Option<&'static str>,
    pub history: &'static [(&'static str, &'static str)],
    pub tips: &'static [&'static str],
    pub arguments: &'static [Argument],
}

#[derive(Debug)]
pub struct Argument {
    pub name: &'static str,
    pub kind: ArgumentKind,
    pub token: Option<&'static str>,
    pub key_spec_index: Option<u8>,
    pub since: Option<&'static str>,
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

/// Who runs a command.
#[derive(Clone, Copy, Debug)]
pub enum Handler {
    /// The shard that owns its keys.
    Keys(fn(&mut Cx, &Args) -> CommandResult),
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
    Role,
    Wait,
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
    Unknown,
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
