//! Reading a configuration: lines in, a [`Config`] or an error that names file, line and text out.
//!
//! Sources count in their order: the file (with what it includes, in place), standard input, the command line;
//! the last word on a directive holds. Relative paths count from `dir` as far as it has been read.

use super::directive::{GUARD, INERT, MULTI};
use super::get_set::{does_not_work_yet, is_pattern};
use super::table::find;
use super::{Config, Directive, REDIS_VERSION, RINGFORT_VERSION, os_error_text, quote};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How deep files may include each other. A file that includes itself ends here.
const INCLUDE_DEPTH_MAX: usize = 16;
/// A file larger than this is not a configuration.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Directives of old that are accepted and mean nothing.
const RETIRED: [&str; 3] =
    ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];
/// Directives outside the table that guard data or access, and do not work yet.
const GUARDS: [(&str, usize); 4] =
    [("user", 2), ("rename-command", 3), ("loadmodule", 2), ("sentinel", 1)];

/// A configuration that was read in full.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Directives given that nothing acts on yet, each once.
    pub unused: Vec<&'static str>,
    /// Nothing was given at all: neither file nor option.
    pub all_defaults: bool,
}

impl Loaded {
    /// The one warning about directives that nothing acts on yet.
    pub fn unused_warning(&self) -> Option<String> {
        if self.unused.is_empty() {
            return None;
        }
        Some(format!(
            "Accepted but without effect in Ringfort {RINGFORT_VERSION} yet: {}",
            self.unused.join(", ")
        ))
    }
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub source: Source,
    /// From 1.
    pub line: usize,
    pub text: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    StandardInput,
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "in the file {}", path.display()),
            Source::StandardInput => f.write_str("on standard input"),
            Source::CommandLine => f.write_str("on the command line"),
        }
    }
}

/// Why there is no configuration. Displays as what goes to standard error, in Redis's form.
#[derive(Debug)]
pub enum ConfigError {
    /// A line is wrong, or asks for what does not work yet.
    Line { place: Place, reason: Cow<'static, str> },
    /// A file cannot be read; `place` is the `include` that named it.
    Unreadable { path: PathBuf, error: io::Error, place: Option<Place> },
    /// The log file cannot be written.
    LogFile { path: PathBuf, error: io::Error },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***")?;
        let place = match self {
            ConfigError::Line { place, .. } => Some(place),
            ConfigError::Unreadable { place, .. } => place.as_ref(),
            ConfigError::LogFile { .. } => None,
        };
        if let Some(place) = place {
            writeln!(f, "Reading the configuration file, at line {}", place.line)?;
            writeln!(f, ">>> '{}'", String::from_utf8_lossy(&place.text))?;
        }
        match self {
            ConfigError::Line { reason, .. } => writeln!(f, "{reason}")?,
            ConfigError::Unreadable { path, error, .. } => writeln!(
                f,
                "Fatal error, can't open config file '{}': {}",
                path.display(),
                os_error_text(error)
            )?,
            ConfigError::LogFile { path, error } => {
                writeln!(f, "Can't open the log file: {}", os_error_text(error))?;
                writeln!(f, "({})", path.display())?;
            }
        }
        if let Some(place) = place {
            writeln!(f, "({})", place.source)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Takes sources one after another.
pub(super) struct Loader {
    config: Config,
    /// Every directive given so far, with the place that gave it last.
    given: Vec<(&'static Directive, Place)>,
}

impl Loader {
    pub fn new() -> Loader {
        Loader { config: Config::default(), given: Vec::new() }
    }

    /// Reads the file the node is started with. Returns how many lines it has.
    pub fn read_main_file(&mut self, path: &Path) -> Result<usize, ConfigError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.config.file = Some(path.clone());
        let text = read_file(&path).map_err(|error| ConfigError::Unreadable {
            path: path.clone(),
            error,
            place: None,
        })?;
        self.read_text(&text, &Source::File(path), 1, 0)?;
        Ok(line_count(&text))
    }

    /// Reads a text whose first line has number `first_line`. Returns how many lines it has.
    pub fn read_source(
        &mut self,
        text: &[u8],
        source: Source,
        first_line: usize,
    ) -> Result<usize, ConfigError> {
        self.read_text(text, &source, first_line, 0)?;
        Ok(line_count(text))
    }

    /// The configuration, unless it asks for a safety that does not work yet.
    pub fn finish(mut self) -> Result<Loaded, ConfigError> {
        let defaults = Config::default();
        for (directive, place) in &self.given {
            let differs = directive.show(&self.config) != directive.show(&defaults);
            if directive.is(GUARD) && differs {
                return Err(guard_error(directive.name, place.clone()));
            }
        }
        self.config.settle();
        check_log_file(&self.config)?;
        let unused = self
            .given
            .iter()
            .filter(|(directive, _)| directive.is(INERT))
            .map(|(directive, _)| directive.name)
            .collect();
        Ok(Loaded { config: self.config, unused, all_defaults: false })
    }

    fn read_text(
        &mut self,
        text: &[u8],
        source: &Source,
        first_line: usize,
        depth: usize,
    ) -> Result<(), ConfigError> {
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = quote::trim(line);
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            let place =
                || Place { source: source.clone(), line: first_line + number, text: line.to_vec() };
            self.read_line(line, &place, depth)?;
        }
        Ok(())
    }

    fn read_line(
        &mut self,
        line: &[u8],
        place: &dyn Fn() -> Place,
        depth: usize,
    ) -> Result<(), ConfigError> {
        let wrong = |reason: Cow<'static, str>| Err(ConfigError::Line { place: place(), reason });
        let Some(mut words) = quote::split(line) else {
            return wrong("Unbalanced quotes in configuration line".into());
        };
        if words.is_empty() {
            return Ok(());
        }
        let name = words.remove(0).to_ascii_lowercase();

        if let Some(directive) = find(&name) {
            if directive.is(MULTI) {
                // One argument may hold all words, as in `--save "900 1"`.
                match &*words {
                    [only] if !only.is_empty() => match quote::split(only) {
                        Some(split) => words = split,
                        None => return wrong("Unbalanced quotes in configuration line".into()),
                    },
                    _ => {}
                }
            } else if words.len() != 1 {
                return wrong("wrong number of arguments".into());
            }
            let known = self.given.iter().position(|(given, _)| given.name == directive.name);
            if let Err(reason) = directive.set(&mut self.config, &words, known.is_some()) {
                return wrong(reason);
            }
            match known {
                Some(known) => self.given[known].1 = place(),
                None => self.given.push((directive, place())),
            }
            return Ok(());
        }

        let is = |known: &str| name == known.as_bytes();
        if is("include") && words.len() == 1 {
            return self.include(&words[0], place, depth);
        }
        if RETIRED.into_iter().any(is) && words.len() == 1 {
            return Ok(());
        }
        if let Some((guard, _)) =
            GUARDS.iter().find(|(own, min)| is(own) && words.len() + 1 >= *min)
        {
            return Err(guard_error(guard, place()));
        }
        if name.contains(&b'.') {
            return wrong("Ringfort has no modules, so no directives of modules".into());
        }
        wrong("Bad directive or wrong number of arguments".into())
    }

    fn include(
        &mut self,
        pattern: &[u8],
        place: &dyn Fn() -> Place,
        depth: usize,
    ) -> Result<(), ConfigError> {
        if depth == INCLUDE_DEPTH_MAX {
            return Err(ConfigError::Line {
                place: place(),
                reason: "Files include each other too deep".into(),
            });
        }
        let dir = self.config.persistence.dir.as_path();
        let path = dir.join(OsStr::from_bytes(pattern));
        // A pattern may match nothing (an empty conf.d); a plain name must exist.
        let paths = if is_pattern(pattern) {
            let found = path.to_str().and_then(|path| {
                let options = glob::MatchOptions {
                    case_sensitive: true,
                    require_literal_separator: true,
                    require_literal_leading_dot: true,
                };
                glob::glob_with(path, options).ok()
            });
            found.into_iter().flatten().flatten().collect()
        } else {
            vec![path]
        };
        for path in paths {
            let text = read_file(&path).map_err(|error| ConfigError::Unreadable {
                path: path.clone(),
                error,
                place: Some(place()),
            })?;
            self.read_text(&text, &Source::File(path), 1, depth + 1)?;
        }
        Ok(())
    }
}

fn guard_error(what: &str, place: Place) -> ConfigError {
    let reason = format!(
        "{}; it guards data or access, so the start stops here rather than go on without it",
        does_not_work_yet(what)
    );
    ConfigError::Line { place, reason: reason.into() }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    }
    Ok(text)
}

/// Better now than when nobody can be told any more.
fn check_log_file(config: &Config) -> Result<(), ConfigError> {
    if config.process.logfile.is_empty() {
        return Ok(());
    }
    let path = config.persistence.dir.as_path().join(config.process.logfile.as_path());
    match std::fs::OpenOptions::new().append(true).create(true).open(&path) {
        Ok(_) => Ok(()),
        Err(error) => Err(ConfigError::LogFile { path, error }),
    }
}

fn line_count(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scratch::Scratch;
    use crate::config::{EvictionPolicy, LogLevel};
    use proptest::prelude::*;

    fn load(text: &str) -> Result<Loaded, ConfigError> {
        let mut loader = Loader::new();
        loader.read_source(text.as_bytes(), Source::StandardInput, 1)?;
        loader.finish()
    }

    fn load_file(path: &Path) -> Result<Loaded, ConfigError> {
        let mut loader = Loader::new();
        loader.read_main_file(path)?;
        loader.finish()
    }

    /// What goes to standard error for `text`, without the heading.
    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = load(text).expect_err("this must not be accepted").to_string();
        let heading = "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\n";
        assert_eq!(error.strip_prefix(heading), Some(expected));
    }

    #[test]
    fn wrong_lines_are_named_with_number_and_text() {
        check_error(
            "port 7912\n  foo bar \n",
            "Reading the configuration file, at line 2\n>>> 'foo bar'\n\
             Bad directive or wrong number of arguments\n(on standard input)\n",
        );
        check_error(
            "\n# comment\nmaxmemory 10zz",
            "Reading the configuration file, at line 3\n>>> 'maxmemory 10zz'\n\
             argument must be a memory value\n(on standard input)\n",
        );
        check_error(
            "port 1 2",
            "Reading the configuration file, at line 1\n>>> 'port 1 2'\n\
             wrong number of arguments\n(on standard input)\n",
        );
        check_error(
            "logfile \"abc",
            "Reading the configuration file, at line 1\n>>> 'logfile \"abc'\n\
             Unbalanced quotes in configuration line\n(on standard input)\n",
        );
    }

    #[test]
    fn values_add_up_as_in_redis() {
        let config = load(
            "SAVE 900 1\nsave \"300 10\"\nclient-output-buffer-limit replica 1mb 1mb 1\n\
             client-output-buffer-limit \"pubsub 2mb 2mb 2\"\nport 1\nport 2\n\
             bind 127.0.0.1 -::1\nnotify-keyspace-events 'KEA'\nrequirepass \"a\\x20b\"\n",
        )
        .unwrap()
        .config;
        let value = |name: &str| config.get(&[name]).remove(0).1;
        assert_eq!(value("save"), b"900 1 300 10");
        assert_eq!(
            value("client-output-buffer-limit"),
            b"normal 0 0 0 slave 1048576 1048576 1 pubsub 2097152 2097152 2"
        );
        assert_eq!(value("bind"), b"127.0.0.1 -::1");
        assert_eq!(value("notify-keyspace-events"), b"AKE");
        assert_eq!(config.access.requirepass.as_option(), Some(&b"a b"[..]));
        assert_eq!(config.network.port, 2);
    }

    #[test]
    fn what_guards_data_or_access_stops_the_start() {
        for text in [
            "appendonly yes",
            "aclfile /etc/users.acl",
            "user default on nopass",
            "rename-command FLUSHALL \"\"",
            "tls-port 6380",
            "cluster-enabled yes",
            "loadmodule /lib/x.so",
        ] {
            let error = load(text).expect_err(text).to_string();
            assert!(error.contains("does not work in Ringfort"), "{text}: {error}");
        }
    }

    #[test]
    fn a_guard_taken_back_or_at_its_default_does_not_stop_the_start() {
        assert!(load("appendonly yes\nappendonly no").is_ok());
        assert!(load("aclfile ''\ntls-port 0\ncluster-enabled no\nreplicaof no one").is_ok());
    }

    #[test]
    fn directives_without_effect_are_named_once() {
        let loaded = load("io-threads 4\nactivedefrag no\nio-threads 2\nport 7").unwrap();
        assert_eq!(loaded.unused, ["io-threads", "activedefrag"]);
        assert!(loaded.unused_warning().unwrap().ends_with(": io-threads, activedefrag"));
        assert!(load("port 7").unwrap().unused_warning().is_none());
    }

    #[test]
    fn includes_count_where_they_stand() {
        let scratch = Scratch::new();
        scratch.file("b.conf", "port 2\ntimeout 2\n");
        let main = scratch.file("a.conf", "port 1\ninclude @DIR@/b.conf\ntimeout 3\n");
        let config = load_file(&main).unwrap().config;
        assert_eq!((config.network.port, config.clients.timeout_seconds), (2, 3));
        assert_eq!(config.file, Some(main));
    }

    #[test]
    fn include_patterns_may_match_nothing_and_count_in_order() {
        let scratch = Scratch::new();
        scratch.file("2.inc", "port 2");
        scratch.file("1.inc", "port 1");
        let main = scratch.file("a.conf", "dir @DIR@\ninclude *.inc\ninclude none/*.conf\n");
        assert_eq!(load_file(&main).unwrap().config.network.port, 2);
    }

    #[test]
    fn errors_in_included_files_name_that_file() {
        let scratch = Scratch::new();
        scratch.file("b.conf", "\nnonsense\n");
        let main = scratch.file("a.conf", "include @DIR@/b.conf\n");
        let error = load_file(&main).unwrap_err().to_string();
        assert!(error.contains("at line 2\n>>> 'nonsense'\n"), "{error}");
        assert!(error.ends_with("/b.conf)\n"), "{error}");
    }

    #[test]
    fn files_that_include_each_other_end() {
        let scratch = Scratch::new();
        let main = scratch.file("a.conf", "include @DIR@/a.conf\n");
        assert!(load_file(&main).unwrap_err().to_string().contains("too deep"));
    }

    #[test]
    fn missing_files_are_errors() {
        let scratch = Scratch::new();
        let main = scratch.file("a.conf", "include @DIR@/none.conf\n");
        let error = load_file(&main).unwrap_err().to_string();
        assert!(error.contains("can't open config file"), "{error}");
        assert!(error.contains("No such file or directory\n"), "{error}");
        assert!(load_file(&scratch.path().join("none.conf")).is_err());
    }

    #[test]
    fn relative_directories_build_on_each_other_and_log_files_on_them() {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.path().join("sub")).unwrap();
        let main = scratch.file("a.conf", "dir @DIR@\ndir sub\nlogfile x.log\n");
        let config = load_file(&main).unwrap().config;
        assert_eq!(config.persistence.dir.as_path(), scratch.path().join("sub"));
        assert!(scratch.path().join("sub/x.log").exists());
        let main = scratch.file("a.conf", "logfile @DIR@/none/x.log\n");
        let error = load_file(&main).unwrap_err().to_string();
        assert!(error.contains("Can't open the log file: No such file"), "{error}");
        let main = scratch.file("a.conf", "dir @DIR@/a.conf\n");
        assert!(load_file(&main).unwrap_err().to_string().contains("Not a directory"));
    }

    /// A file like the one a distribution ships: long comments, nearly every directive, several topics.
    fn large_sample() -> String {
        let mut text = String::from("# A sample.\n\n");
        let other = [
            ("dir", "/tmp"),
            ("logfile", "\"\""),
            ("pidfile", "/tmp/none/ringfort.pid"),
            ("maxmemory-policy", "allkeys-lru"),
            ("loglevel", "verbose"),
            ("shards", "2"),
        ];
        for directive in crate::config::table::directives() {
            for line in 0..12 {
                text.push_str(&format!("# {line}: {} is explained here.\n", directive.name));
            }
            let value = other.iter().find(|(name, _)| *name == directive.name);
            let value = value.map_or(directive.default, |(_, value)| value);
            let quoted = if value.is_empty() { "\"\"" } else { value };
            let quoted = if value.contains('{') { format!("\"{value}\"") } else { quoted.into() };
            text.push_str(&format!("{} {quoted}\n\n", directive.name));
        }
        text
    }

    #[test]
    fn a_file_with_every_directive_is_read() {
        let text = large_sample();
        assert!(text.len() > 100_000);
        let config = load(&text).unwrap().config;
        assert_eq!(config.memory.maxmemory_policy, EvictionPolicy::AllkeysLru);
        assert_eq!(config.process.loglevel, LogLevel::Verbose);
        assert_eq!(config.sharding.shards, 2);
    }

    /// `make test` installs Debian's redis-server, so the file is there.
    #[test]
    fn the_stock_file_of_debian_is_accepted() {
        let path = Path::new("/etc/redis/redis.conf");
        let missing = "is Debian's redis-server installed (`make tools`)?";
        let folder = std::fs::metadata("/etc/redis").expect(missing);
        match load_file(path) {
            Ok(loaded) => {
                let config = loaded.config;
                assert!(config.process.daemonize && config.access.protected_mode);
                assert_eq!(config.network.port, 6379);
                assert_eq!(config.process.pidfile.as_bytes(), b"/run/redis/redis-server.pid");
                assert!(loaded.unused.contains(&"appendfsync"));
            }
            // Debian lets only root and redis read it; everybody else may at least not be told worse.
            Err(error) => {
                assert!(folder.is_dir());
                assert!(error.to_string().contains("Permission denied"), "{error}");
            }
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(text: Vec<u8>) {
            let mut loader = Loader::new();
            let _ = loader.read_source(&text, Source::StandardInput, 1);
        }

        #[test]
        fn random_values_for_every_directive_never_panic(
            values in proptest::collection::vec("[ -~]{0,12}", 0..4),
            words in proptest::collection::vec(
                proptest::sample::select(vec![
                    "0", "-1", "yes", "no", "1gb", "99999999999999999999", "100%", "x", "\"\"",
                    "normal", "1 2", "''", "0777", "1e300", "{title}", "KEA",
                ]),
                0..5,
            ),
        ) {
            for directive in crate::config::table::directives() {
                // These would look at the machine's files.
                if directive.name == "dir" {
                    continue;
                }
                for value in [values.join(" "), words.join(" ")] {
                    let mut loader = Loader::new();
                    let line = format!("{} {value}", directive.name);
                    if loader.read_source(line.as_bytes(), Source::StandardInput, 1).is_ok() {
                        let _ = directive.show(&loader.config);
                    }
                }
            }
        }

        /// What is accepted and rewritten is accepted again, and means the same.
        #[test]
        fn random_accepted_values_survive_the_file(
            name in proptest::sample::select(
                crate::config::table::directives().map(|directive| directive.name).collect::<Vec<_>>(),
            ),
            words in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(vec![
                        "yes", "no", "1", "0", "20%", "3gb", "700", "normal", "save", "now", "local",
                        "everysec", "K", "AKEn", "auto", "",
                    ]).prop_map(|word: &str| word.as_bytes().to_vec()),
                    any::<Vec<u8>>(),
                ],
                1..5,
            ),
        ) {
            if name == "dir" || name == "logfile" {
                return Ok(());
            }
            let mut line = name.as_bytes().to_vec();
            for word in &words {
                line.push(b' ');
                quote::quote_into(&mut line, word);
            }
            let mut loader = Loader::new();
            if loader.read_source(&line, Source::StandardInput, 1).is_ok() {
                let directive = find(name.as_bytes()).unwrap();
                let mut again = Loader::new();
                for line in directive.lines(&loader.config, &Config::default()) {
                    again.read_source(&line.text, Source::StandardInput, 1).unwrap();
                }
                prop_assert_eq!(directive.show(&again.config), directive.show(&loader.config));
            }
        }
    }
}
