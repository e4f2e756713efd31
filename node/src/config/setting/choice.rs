//! Enumerations: one word out of a list. A variant may have several words; CONFIG GET shows its first.

use crate::config::directive::{Kind, Reason, Setting};

macro_rules! choices {
    ($(
        $(#[$doc:meta])*
        pub enum $name:ident {
            $(#[$first_doc:meta])*
            $first:ident = $first_word:literal $(| $first_more:literal)*
            $(, $(#[$variant_doc:meta])* $variant:ident = $word:literal $(| $more:literal)*)* $(,)?
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
        pub enum $name {
            #[default]
            $(#[$first_doc])*
            $first,
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            const WORDS: &[(&str, $name)] = &[
                ($first_word, $name::$first),
                $(($first_more, $name::$first),)*
                $(
                    ($word, $name::$variant),
                    $(($more, $name::$variant),)*
                )*
            ];

            /// The word for this choice.
            pub fn word(self) -> &'static str {
                match self {
                    $name::$first => $first_word,
                    $($name::$variant => $word,)*
                }
            }
        }

        impl Setting for $name {
            fn parse(_: &Self, _: &Kind, words: &[Vec<u8>], _: bool) -> Result<Self, Reason> {
                let chosen = match words {
                    [word] => $name::WORDS
                        .iter()
                        .find(|(own, _)| own.as_bytes().eq_ignore_ascii_case(word)),
                    _ => None,
                };
                chosen.map(|(_, value)| *value).ok_or_else(|| {
                    not_one_of(&mut $name::WORDS.iter().map(|(word, _)| *word))
                })
            }

            fn show(&self, _: &Kind) -> Vec<u8> {
                self.word().as_bytes().to_vec()
            }
        }
    )*};
}

pub(super) fn not_one_of(words: &mut dyn Iterator<Item = &str>) -> Reason {
    let words = words.collect::<Vec<_>>().join(", ");
    format!("argument(s) must be one of the following: {words}").into()
}

choices! {
    pub enum EvictionPolicy {
        VolatileLru = "volatile-lru",
        VolatileLfu = "volatile-lfu",
        VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl",
        AllkeysLru = "allkeys-lru",
        AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random",
        NoEviction = "noeviction",
    }

    pub enum SyslogFacility {
        User = "user",
        Local0 = "local0",
        Local1 = "local1",
        Local2 = "local2",
        Local3 = "local3",
        Local4 = "local4",
        Local5 = "local5",
        Local6 = "local6",
        Local7 = "local7",
    }

    /// What is logged, from everything to nothing.
    pub enum LogLevel {
        Debug = "debug",
        Verbose = "verbose",
        Notice = "notice",
        Warning = "warning",
        Nothing = "nothing",
    }

    /// Who started the node and wants to hear when it is ready.
    pub enum Supervised {
        Upstart = "upstart",
        Systemd = "systemd",
        Auto = "auto",
        No = "no",
    }

    pub enum AppendFsync {
        EverySecond = "everysec",
        Always = "always",
        No = "no",
    }

    pub enum DisklessLoad {
        Disabled = "disabled",
        OnEmptyDb = "on-empty-db",
        SwapDb = "swapdb",
    }

    pub enum TlsAuthClients {
        No = "no",
        Yes = "yes",
        Optional = "optional",
    }

    pub enum OomScoreAdj {
        No = "no",
        Relative = "yes" | "relative",
        Absolute = "absolute",
    }

    pub enum AclPubsubDefault {
        AllChannels = "allchannels",
        ResetChannels = "resetchannels",
    }

    pub enum SanitizeDumpPayload {
        No = "no",
        Yes = "yes",
        Clients = "clients",
    }

    /// Who may use a dangerous feature.
    pub enum Allowed {
        No = "no",
        Yes = "yes",
        Local = "local",
    }

    pub enum EndpointType {
        Ip = "ip",
        Hostname = "hostname",
        Unknown = "unknown-endpoint",
    }

    pub enum PropagationError {
        Ignore = "ignore",
        Panic = "panic",
        PanicOnReplicas = "panic-on-replicas",
    }

    /// Whether commands of one connection for different shards may overlap.
    pub enum PipelineOrder {
        Strict = "strict",
        Relaxed = "relaxed",
    }

    /// The oldest reader that a written RDB must suit.
    pub enum RdbCompat {
        /// Decided per taker, Redis 7.0 when nothing is known of it.
        Auto = "auto",
        /// Redis 5 and 6.
        Nine = "9",
    }
}

impl Allowed {
    /// Whether a client may, given that it connected through loopback or a Unix socket or not.
    pub fn allows(self, local_client: bool) -> bool {
        match self {
            Allowed::No => false,
            Allowed::Yes => true,
            Allowed::Local => local_client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<T: Setting>(words: &[&str]) -> Result<T, Reason> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        T::parse(&T::default(), &Kind::Own, &words, false)
    }

    #[test]
    fn words_match_in_any_case_and_show_the_first() {
        assert_eq!(parse(&["NoEviction"]), Ok(EvictionPolicy::NoEviction));
        assert_eq!(parse(&["relative"]), Ok(OomScoreAdj::Relative));
        assert_eq!(OomScoreAdj::Relative.show(&Kind::Own), b"yes");
    }

    #[test]
    fn other_words_get_the_list() {
        let reason = "argument(s) must be one of the following: no, yes, relative, absolute";
        assert_eq!(parse::<OomScoreAdj>(&["maybe"]), Err(reason.into()));
        assert!(parse::<LogLevel>(&["debug", "verbose"]).is_err());
    }
}
