//! The error replies of commands: every text that clients rely on, in one place.

use std::borrow::Cow;

/// An error reply without its leading `-`: an error code in capitals, a space, a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub Cow<'static, str>);

/// What a command handler returns: its reply is written, or the error is the reply.
pub type CommandResult = Result<(), Error>;

impl Error {
    pub const fn new(text: &'static str) -> Self {
        Error(Cow::Borrowed(text))
    }

    pub fn text(text: impl Into<String>) -> Self {
        Error(Cow::Owned(text.into()))
    }

    pub const SYNTAX: Error = Error::new("ERR syntax error");
    pub const UNBLOCKED: Error = Error::new("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    /// The node became a replica while a client of it waited.
    pub const ROLE_CHANGED: Error = Error::new(
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    );
    /// Members, fields and values of one collection are 16 GiB at most.
    pub const COLLECTION_FULL: Error = Error::new("ERR the collection cannot hold any more");
    pub const WRONG_TYPE: Error =
        Error::new("WRONGTYPE Operation against a key holding the wrong kind of value");
    pub const NOT_AN_INTEGER: Error = Error::new("ERR value is not an integer or out of range");
    pub const NOT_A_FLOAT: Error = Error::new("ERR value is not a valid float");
    pub const NO_SUCH_KEY: Error = Error::new("ERR no such key");
    pub const OVERFLOW: Error = Error::new("ERR increment or decrement would overflow");
    pub const OUT_OF_RANGE: Error = Error::new("ERR index out of range");
    pub const DB_OUT_OF_RANGE: Error = Error::new("ERR DB index is out of range");
    pub const NO_AUTH: Error = Error::new("NOAUTH Authentication required.");
    pub const OUT_OF_MEMORY: Error =
        Error::new("OOM command not allowed when used memory > 'maxmemory'.");
    pub const NESTED_MULTI: Error = Error::new("ERR MULTI calls can not be nested");
    pub const EXEC_WITHOUT_MULTI: Error = Error::new("ERR EXEC without MULTI");
    pub const DISCARD_WITHOUT_MULTI: Error = Error::new("ERR DISCARD without MULTI");
    pub const WATCH_INSIDE_MULTI: Error = Error::new("ERR WATCH inside MULTI is not allowed");
    pub const EXEC_ABORT: Error =
        Error::new("EXECABORT Transaction discarded because of previous errors.");
    pub const LOADING: Error = Error::new("LOADING Redis is loading the dataset in memory");
    pub const READ_ONLY: Error =
        Error::new("READONLY You can't write against a read only replica.");
    pub const PRIMARY_DOWN: Error = Error::new(
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    );
    pub const NO_REPLICAS: Error = Error::new("NOREPLICAS Not enough good replicas to write.");
    pub const UNSAVED: Error = Error::new(
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. \
         Commands that may modify the data set are disabled, because this instance is configured to report errors \
         during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs \
         for details about the RDB error.",
    );
    pub const RANK_ZERO: Error = Error::new(
        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to \
         start from the end of the list",
    );
    pub const RANK_OUT_OF_RANGE: Error = Error::new(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
    );
    pub const BUSY_KEY: Error = Error::new("BUSYKEY Target key name already exists.");
    pub const SAME_OBJECT: Error = Error::new("ERR source and destination objects are the same");
    pub const INVALID_CURSOR: Error = Error::new("ERR invalid cursor");
    pub const FREQUENCY_NOT_TRACKED: Error = Error::new(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
         switching between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    pub const IDLE_TIME_NOT_TRACKED: Error = Error::new(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust.",
    );
    pub const STRING_TOO_LONG: Error =
        Error::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

    /// `name` as the table spells it, a subcommand as `config|get`.
    pub fn arity(name: &str) -> Self {
        Error::text(format!("ERR wrong number of arguments for '{name}' command"))
    }

    pub fn invalid_expire(name: &str) -> Self {
        Error::text(format!("ERR invalid expire time in '{name}' command"))
    }
}
