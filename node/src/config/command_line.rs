//! The command line: `ringfort [file] [--option value …] [-]`.
//!
//! Options are turned into lines of a configuration and read after the file and standard input. An option's
//! values run up to the next `--`; one argument may hold option and values (`"--maxmemory 700mb"`).

use super::load::{ConfigError, Loaded, Loader, Source};
use super::quote;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    Version,
    Help,
    Serve(Box<Loaded>),
}

/// What `--help` prints.
pub const HELP: &str = "\
Usage: ringfort [/path/to/redis.conf] [--option value ...] [-]
       ringfort - (read the configuration from standard input)
       ringfort -v or --version
       ringfort -h or --help

Options are the directives of redis.conf, and --shards N (default: one per allowed CPU).

Examples:
       ringfort (run the node with its defaults)
       echo 'maxmemory 128mb' | ringfort -
       ringfort /etc/redis/redis.conf
       ringfort --port 7777 --shards 2
       ringfort /etc/redis/redis.conf --loglevel verbose
";

/// Reads the command line, `args` without the program's name, and the files it leads to.
pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, ConfigError> {
    from_args_and_input(args, &mut io::stdin().lock())
}

fn from_args_and_input(
    args: impl IntoIterator<Item = OsString>,
    input: &mut dyn Read,
) -> Result<Invocation, ConfigError> {
    let args: Vec<Vec<u8>> = args.into_iter().map(OsString::into_vec).collect();
    match args.first().map(|first| &**first) {
        Some(b"-v" | b"--version") => return Ok(Invocation::Version),
        Some(b"-h" | b"--help") => return Ok(Invocation::Help),
        _ => {}
    }
    let CommandLine { file, stdin, options } = parse(&args);

    let mut loader = Loader::new();
    let mut lines = 0;
    if let Some(file) = file {
        lines += loader.read_main_file(&file)?;
    }
    if stdin {
        let mut text = Vec::new();
        input.read_to_end(&mut text).map_err(|error| ConfigError::Unreadable {
            path: PathBuf::from("-"),
            error,
            place: None,
        })?;
        lines += loader.read_source(&text, Source::StandardInput, 1)?;
    }
    // Redis numbers options as if they stood in the file, one line below its end.
    loader.read_source(&options, Source::CommandLine, lines + 2)?;
    let mut loaded = loader.finish()?;
    loaded.all_defaults = args.is_empty();
    Ok(Invocation::Serve(Box::new(loaded)))
}

#[derive(Debug, PartialEq, Eq)]
struct CommandLine {
    file: Option<PathBuf>,
    stdin: bool,
    /// One line per option.
    options: Vec<u8>,
}

fn parse(args: &[Vec<u8>]) -> CommandLine {
    let mut line = CommandLine { file: None, stdin: false, options: Vec::new() };
    let mut first = 0;
    if let Some(name) = args.first().filter(|name| name.first() != Some(&b'-')) {
        line.file = Some(PathBuf::from(OsString::from_vec(name.clone())));
        first = 1;
    }
    // Whether the option before has its value, so that `--` begins another; a value may begin with it too.
    let mut satisfied = true;
    for (at, arg) in args.iter().enumerate().skip(first) {
        let is_last = at + 1 == args.len();
        if arg == b"-" && (at == 0 || is_last) {
            line.stdin = true;
        } else if satisfied && arg.starts_with(b"--") {
            if !line.options.is_empty() {
                line.options.push(b'\n');
            }
            line.options.extend(&arg[2..]);
            line.options.push(b' ');
            satisfied = quote::split(arg).is_none_or(|words| words.len() != 1);
            let next_is_option = args.get(at + 1).is_some_and(|next| next.starts_with(b"--"));
            if !satisfied && arg.eq_ignore_ascii_case(b"--save") && (is_last || next_is_option) {
                // A list of save points that came out empty.
                line.options.extend(b"\"\"");
                satisfied = true;
            } else if !satisfied && arg.eq_ignore_ascii_case(b"--sentinel") {
                satisfied = next_is_option;
            }
        } else {
            quote::quote_into(&mut line.options, arg);
            line.options.push(b' ');
            satisfied = true;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scratch::Scratch;
    use proptest::prelude::*;

    fn run(args: &[&str], input: &str) -> Result<Invocation, ConfigError> {
        from_args_and_input(args.iter().map(OsString::from), &mut input.as_bytes())
    }

    #[track_caller]
    fn serve(args: &[&str], input: &str) -> Loaded {
        match run(args, input) {
            Ok(Invocation::Serve(loaded)) => *loaded,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[track_caller]
    fn check_options(args: &[&str], expected: &str) {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        assert_eq!(String::from_utf8(parse(&args).options).unwrap(), expected);
    }

    #[test]
    fn options_become_lines() {
        check_options(&["--port", "7", "--bind", "a", "b"], "port \"7\" \nbind \"a\" \"b\" ");
        check_options(&["--maxmemory 700mb", "--port", "7"], "maxmemory 700mb \nport \"7\" ");
        check_options(&["--save", "--port", "7"], "save \"\"\nport \"7\" ");
        check_options(&["--save"], "save \"\"");
        check_options(&["--logfile", "--x"], "logfile \"--x\" ");
        check_options(&["--save", ""], "save \"\" ");
    }

    #[test]
    fn options_count_after_file_and_standard_input() {
        let scratch = Scratch::new();
        let file = scratch.file("a.conf", "port 1\ntimeout 1\nhz 11\n");
        let file = file.to_str().unwrap();
        let config = serve(&[file, "--port", "3", "-"], "port 2\ntimeout 2\n").config;
        assert_eq!(config.network.port, 3);
        assert_eq!(config.clients.timeout_seconds, 2);
        assert_eq!(config.process.hz, 11);
    }

    #[test]
    fn one_argument_may_hold_option_and_value() {
        let config = serve(&["--maxmemory 700mb", "--save", "900 1", "--shards", "2"], "").config;
        assert_eq!(config.memory.maxmemory_bytes, 700 << 20);
        assert_eq!(config.persistence.save.0.len(), 1);
        assert_eq!(config.sharding.shards, 2);
    }

    #[test]
    fn a_wrong_option_is_numbered_as_in_redis() {
        let error = run(&["--port", "abc"], "").unwrap_err().to_string();
        assert_eq!(
            error,
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\n\
             Reading the configuration file, at line 2\n>>> 'port \"abc\"'\n\
             argument couldn't be parsed into an integer\n(on the command line)\n"
        );
    }

    #[test]
    fn version_and_help_are_told_apart_from_serving() {
        assert!(matches!(run(&["--version"], ""), Ok(Invocation::Version)));
        assert!(matches!(run(&["-h"], ""), Ok(Invocation::Help)));
        assert!(serve(&[], "").all_defaults);
        assert!(!serve(&["--port", "1"], "").all_defaults);
    }

    #[test]
    fn sentinel_mode_is_refused_clearly() {
        for args in [&["--sentinel"][..], &["--sentinel", "--port", "7"]] {
            let error = run(args, "").unwrap_err().to_string();
            assert!(error.contains("'sentinel' does not work"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_arguments_never_panic(args: Vec<Vec<u8>>) {
            let _ = parse(&args);
        }

        #[test]
        fn random_values_reach_the_directive_whole(value in any::<Vec<u8>>()) {
            let args = [b"--requirepass".to_vec(), value.clone()];
            let options = parse(&args).options;
            let words = quote::split(quote::trim(&options)).unwrap();
            prop_assert_eq!(&words[..], [b"requirepass".to_vec(), value]);
        }
    }
}
