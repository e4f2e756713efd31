//! The node's configuration: Redis's directives and a few of our own, typed.
//!
//! [`Config`] is plain data: the core that handles CONFIG SET makes a changed copy and hands it to the others.
//! A directive is one row in `table/`; its value's type, in `setting/`, knows how it is written and shown.
//! Absent: acting on a value (opening ports, entering `dir`) and anything that runs after the start.
//!
//! Source: the behaviour of Redis 7.2.

mod command_line;
mod directive;
mod get_set;
mod load;
mod quote;
mod rewrite;
#[cfg(test)]
mod scratch;
mod setting;
mod table;

pub use command_line::{HELP, Invocation, from_args};
pub use directive::Directive;
pub use get_set::{Change, SetError, SetRights};
pub use load::Loaded;
pub use setting::*;

use std::path::PathBuf;
use std::sync::OnceLock;

/// The version whose behaviour we have, for clients that look at it.
pub const REDIS_VERSION: &str = "7.2.4";
/// Our own version.
pub const RINGFORT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every directive's value, by topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file the node was started with, absolute; CONFIG REWRITE writes it.
    pub file: Option<PathBuf>,
    pub network: table::network::Network,
    pub access: table::access::Access,
    pub process: table::process::Process,
    pub sharding: table::sharding::Sharding,
    pub clients: table::clients::Clients,
    pub memory: table::memory::Memory,
    pub encoding: table::encoding::Encoding,
    pub monitoring: table::monitoring::Monitoring,
    pub persistence: table::persistence::Persistence,
    pub replication: table::replication::Replication,
    pub cluster: table::cluster::Cluster,
    pub tls: table::tls::Tls,
}

impl Default for Config {
    /// What a node has that is told nothing. `dir` is the directory of the process at the first call.
    fn default() -> Config {
        static DEFAULT: OnceLock<Config> = OnceLock::new();
        DEFAULT.get_or_init(Config::from_default_texts).clone()
    }
}

impl Config {
    fn from_default_texts() -> Config {
        let mut config = Config {
            file: None,
            network: Default::default(),
            access: Default::default(),
            process: Default::default(),
            sharding: Default::default(),
            clients: Default::default(),
            memory: Default::default(),
            encoding: Default::default(),
            monitoring: Default::default(),
            persistence: Default::default(),
            replication: Default::default(),
            cluster: Default::default(),
            tls: Default::default(),
        };
        for directive in table::directives() {
            let words: Vec<Vec<u8>> = if directive.is(directive::MULTI) {
                directive.default.split(' ').map(Into::into).collect()
            } else {
                vec![directive.default.into()]
            };
            let set = directive.set(&mut config, &words, false);
            // Without a current directory the default of `dir` has no value; all other defaults are ours.
            assert!(set.is_ok() || directive.name == "dir", "{}: {set:?}", directive.name);
        }
        config
    }

    /// Brings values into the range in which they work; larger ones are accepted as a wish.
    fn settle(&mut self) {
        self.process.hz = self.process.hz.clamp(1, 500);
        let backlog = &mut self.replication.repl_backlog_size_bytes;
        *backlog = (*backlog).max(16 << 10);
    }
}

/// The text of an operating system error, without the number that Rust appends.
pub fn os_error_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_show_what_they_were_written_as() {
        let config = Config::default();
        for directive in table::directives() {
            let shown = String::from_utf8(directive.show(&config)).unwrap();
            match directive.name {
                // Absolute, in bytes, under the older name.
                "dir" => assert!(shown.starts_with('/')),
                "client-output-buffer-limit" => assert_eq!(
                    shown,
                    "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"
                ),
                _ if shown.parse::<u64>().is_ok() => {}
                name => assert_eq!(shown, directive.default, "{name}"),
            }
        }
        assert_eq!(config.network.port, 6379);
        assert_eq!(config.clients.proto_max_bulk_len_bytes, 512 << 20);
    }

    #[test]
    fn system_errors_lose_their_number() {
        let error = std::io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(os_error_text(&error), "No such file or directory");
    }
}
