//! CONFIG GET and CONFIG SET.
//!
//! A SET of several pairs happens as a whole or not at all: it works on a copy, which the caller takes over
//! once it could also act on it.

use super::directive::{DENY_LOADING, GUARD, HIDDEN, IMMUTABLE, MULTI, PROTECTED, Reason};
use super::table::{directives, find};
use super::{Config, Directive};
use ringfort_core::glob::{Case, matches};
use std::borrow::Cow;
use std::fmt;

/// What the client that sends CONFIG SET may do, and when it asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SetRights {
    /// The client connected through loopback or a Unix socket.
    pub local_client: bool,
    /// The data set is still being loaded.
    pub loading: bool,
}

/// A CONFIG SET that may be carried out.
#[derive(Debug)]
pub struct Change {
    /// The configuration as it is to be.
    pub config: Config,
    /// The directives whose value differs from before.
    pub changed: Vec<&'static Directive>,
}

impl Change {
    /// Whether this directive changes.
    pub fn touches(&self, name: &str) -> bool {
        self.changed.iter().any(|directive| directive.name == name)
    }
}

/// Why a CONFIG SET is refused; displays as the reply without its leading `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    Unknown { name: Vec<u8> },
    Failed { argument: Vec<u8>, reason: Reason },
    Loading,
}

impl SetError {
    /// The value was fine but the node could not act on it.
    pub fn could_not_apply(
        directive: &Directive,
        reason: impl Into<Cow<'static, str>>,
    ) -> SetError {
        SetError::Failed { argument: directive.name.into(), reason: reason.into() }
    }

    /// The error reply without its leading `-`.
    pub fn reply(&self) -> Vec<u8> {
        match self {
            SetError::Unknown { name } => [
                b"ERR Unknown option or number of arguments for CONFIG SET - '".as_slice(),
                name,
                b"'",
            ]
            .concat(),
            SetError::Failed { argument, reason } => [
                b"ERR CONFIG SET failed (possibly related to argument '".as_slice(),
                argument,
                b"') - ",
                reason.as_bytes(),
            ]
            .concat(),
            SetError::Loading => b"LOADING Redis is loading the dataset in memory".to_vec(),
        }
    }
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.reply()))
    }
}

impl Config {
    /// Names and values of the directives that any of `patterns` names. A pattern matches older names too,
    /// which are then listed on their own; a plain name comes back as the client spelled it.
    pub fn get<P: AsRef<[u8]>>(&self, patterns: &[P]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut add = |name: &[u8], directive: &Directive| {
            if !found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                found.push((name.to_vec(), directive.show(self)));
            }
        };
        for pattern in patterns.iter().map(AsRef::as_ref) {
            if !is_pattern(pattern) {
                if let Some(directive) = find(pattern) {
                    add(pattern, directive);
                }
                continue;
            }
            for directive in directives().filter(|directive| !directive.is(HIDDEN)) {
                for name in directive
                    .names()
                    .filter(|name| matches(pattern, name.as_bytes(), Case::Insensitive))
                {
                    add(name.as_bytes(), directive);
                }
            }
        }
        found
    }

    /// The configuration that `pairs` of names and values ask for; `self` stays as it is.
    pub fn prepare<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pairs: &[(N, V)],
        rights: SetRights,
    ) -> Result<Change, SetError> {
        // Names are checked before any value is looked at, and the first wrong one is reported.
        let mut chosen: Vec<(&'static Directive, &'static str)> = Vec::with_capacity(pairs.len());
        for (name, _) in pairs {
            let name = name.as_ref();
            let failed = |reason: &'static str| {
                Err(SetError::Failed { argument: name.to_vec(), reason: reason.into() })
            };
            let Some(directive) = find(name) else {
                return Err(SetError::Unknown { name: name.to_vec() });
            };
            if directive.is(IMMUTABLE) {
                return failed("can't set immutable config");
            }
            let protected_allowed =
                self.access.enable_protected_configs.allows(rights.local_client);
            if directive.is(PROTECTED) && !protected_allowed {
                return failed("can't set protected config");
            }
            if directive.is(DENY_LOADING) && rights.loading {
                return Err(SetError::Loading);
            }
            let own_name = directive
                .names()
                .find(|own| own.as_bytes().eq_ignore_ascii_case(name))
                .unwrap_or(directive.name);
            if chosen.iter().any(|(_, known)| *known == own_name) {
                return failed("duplicate parameter");
            }
            chosen.push((directive, own_name));
        }

        let mut config = self.clone();
        for (&(directive, name), (_, value)) in chosen.iter().zip(pairs) {
            set_one(&mut config, directive, value.as_ref())
                .map_err(|reason| SetError::Failed { argument: name.into(), reason })?;
        }
        config.settle();
        let mut changed: Vec<&'static Directive> = Vec::new();
        for (directive, _) in chosen {
            let differs = directive.show(self) != directive.show(&config);
            if differs && !changed.iter().any(|known| known.name == directive.name) {
                changed.push(directive);
            }
        }
        Ok(Change { config, changed })
    }

    /// Sets all of `pairs`, or nothing and says why. Returns the directives whose value changed.
    #[cfg(test)]
    pub fn set<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        pairs: &[(N, V)],
        rights: SetRights,
    ) -> Result<Vec<&'static Directive>, SetError> {
        let change = self.prepare(pairs, rights)?;
        *self = change.config;
        Ok(change.changed)
    }
}

fn set_one(config: &mut Config, directive: &Directive, value: &[u8]) -> Result<(), Reason> {
    // Unlike in a file, words are parted by exactly one space here and quotes mean nothing.
    let words: Vec<Vec<u8>> = if !directive.is(MULTI) {
        vec![value.to_vec()]
    } else if value.is_empty() {
        Vec::new()
    } else {
        value.split(|byte| *byte == b' ').map(<[u8]>::to_vec).collect()
    };
    directive.set(config, &words, false)?;
    if directive.is(GUARD) && directive.show(config) != directive.show(&Config::default()) {
        return Err(does_not_work_yet(directive.name));
    }
    Ok(())
}

/// Whether `text` has a character that makes it a pattern rather than a name.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// For directives that would promise a safety that is not there.
pub(super) fn does_not_work_yet(what: &str) -> Reason {
    format!("'{what}' does not work in Ringfort {} yet", super::RINGFORT_VERSION).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(config: &Config, patterns: &[&str]) -> Vec<(String, String)> {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        config.get(patterns).into_iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expected: &str) {
        let mut config = Config::default();
        let before = config.clone();
        match config.set(pairs, SetRights::default()) {
            Ok(changed) => {
                let names: Vec<_> = changed.iter().map(|directive| directive.name).collect();
                assert_eq!(names.join(" "), expected);
            }
            Err(error) => {
                assert_eq!(error.to_string(), expected);
                assert!(config == before, "a refused SET changed something");
            }
        }
    }

    #[track_caller]
    fn check_reason(name: &str, value: &str, reason: &str) {
        let expected =
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}");
        check(&[(name, value)], &expected);
    }

    #[test]
    fn plain_names_come_back_as_spelled_and_once() {
        let config = Config::default();
        let expected = [("Port".to_owned(), "6379".to_owned())];
        assert_eq!(get(&config, &["Port", "port", "por[t]"]), expected);
        assert_eq!(get(&config, &["nosuch"]), []);
    }

    #[test]
    fn patterns_list_older_names_beside_the_newer() {
        let found = get(&Config::default(), &["*-priority"]);
        let names: Vec<_> = found.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["replica-priority", "slave-priority"]);
    }

    #[test]
    fn hidden_directives_need_their_full_name() {
        let config = Config::default();
        assert_eq!(get(&config, &["key-load-*"]), []);
        assert_eq!(get(&config, &["key-load-delay"]).len(), 1);
    }

    #[test]
    fn pairs_are_set_together_or_not_at_all() {
        check(&[("maxmemory", "1mb"), ("hz", "10"), ("TIMEOUT", "7")], "maxmemory timeout");
        check(
            &[("maxmemory", "1mb"), ("timeout", "x")],
            "ERR CONFIG SET failed (possibly related to argument 'timeout') - argument couldn't be parsed into an integer",
        );
        check(
            &[("maxmemory", "1"), ("nosuch", "2"), ("databases", "3")],
            "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
        );
    }

    #[test]
    fn refusals_have_redis_words() {
        check_reason("databases", "3", "can't set immutable config");
        check_reason("dir", "/tmp", "can't set protected config");
        check_reason("maxmemory", "x", "argument must be a memory value");
        check_reason("protected-mode", "x", "argument must be 'yes' or 'no'");
        check_reason("save", "1", "Invalid save parameters");
        check_reason("slave-priority", "x", "argument couldn't be parsed into an integer");
        check(
            &[("MaxMemory", "1"), ("maxmemory", "2")],
            "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter",
        );
    }

    #[test]
    fn what_guards_data_is_refused_until_it_works() {
        check_reason("appendonly", "yes", &does_not_work_yet("appendonly"));
        check(&[("appendonly", "no")], "");
    }

    #[test]
    fn loading_refuses_what_loading_depends_on() {
        let rights = SetRights { loading: true, ..Default::default() };
        let refused = Config::default().prepare(&[("appendonly", "no")], rights);
        assert_eq!(refused.unwrap_err(), SetError::Loading);
    }

    #[test]
    fn local_clients_may_be_trusted_with_protected_directives() {
        let mut config = Config::default();
        config.access.enable_protected_configs = crate::config::Allowed::Local;
        let local = SetRights { local_client: true, ..Default::default() };
        assert!(config.set(&[("dbfilename", "x.rdb")], local).is_ok());
        assert!(config.set(&[("dbfilename", "y.rdb")], SetRights::default()).is_err());
    }

    #[test]
    fn words_of_a_value_are_parted_by_single_spaces() {
        check(&[("save", "")], "save");
        check(&[("bind", "")], "bind");
        check_reason("save", "1  2", "Invalid save parameters");
        check(&[("client-output-buffer-limit", "replica 1mb 2kb 3")], "client-output-buffer-limit");
    }

    #[test]
    fn hz_is_kept_where_it_works() {
        let mut config = Config::default();
        config.set(&[("hz", "10000")], SetRights::default()).unwrap();
        assert_eq!(config.process.hz, 500);
    }
}
