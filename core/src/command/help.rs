//! What HELP of a container says, put together from the table.

use super::lookup::lookup;
use super::spec::{Argument, ArgumentKind, Spec};
use crate::resp::Reply;

/// The reply of `help`, the HELP subcommand of some container.
pub fn write_help(reply: &mut Reply, help: &Spec) {
    let name = help.name.split('|').next().unwrap_or_default();
    let container = lookup(name.as_bytes()).expect("a subcommand's container is in the table");
    let lines = lines(container);
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
}

fn lines(container: &Spec) -> Vec<String> {
    let name = container.name.to_ascii_uppercase();
    let mut lines =
        vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    // COMMAND runs without a subcommand as well.
    if container.takes(1) {
        lines.push("(no subcommand)".to_owned());
        lines.push(format!("    {}", container.docs.summary));
    }
    // HELP itself comes last.
    let mut subcommands: Vec<&Spec> = container.subcommands().iter().collect();
    subcommands.sort_by_key(|sub| sub.last_name() == "help");
    for sub in subcommands {
        let mut line = sub.last_name().to_ascii_uppercase();
        write_all(&mut line, sub.docs.arguments, " ", true);
        lines.push(line);
        lines.push(format!("    {}", sub.docs.summary));
    }
    lines
}

/// The syntax of each argument behind a `separator`, or only between two of them.
fn write_all(line: &mut String, arguments: &[Argument], separator: &str, leading: bool) {
    for (index, argument) in arguments.iter().enumerate() {
        if leading || index > 0 {
            line.push_str(separator);
        }
        write_argument(line, argument);
    }
}

/// `<key>`, `[TYPE <type>]`, `ON|OFF`, `<value> [<value> ...]`.
fn write_argument(line: &mut String, argument: &Argument) {
    if argument.optional {
        line.push('[');
    }
    if let Some(token) = argument.token {
        line.push_str(token);
        if argument.kind != ArgumentKind::PureToken {
            line.push(' ');
        }
    }
    write_value(line, argument);
    if argument.multiple {
        line.push_str(" [");
        if argument.multiple_token {
            line.push_str(argument.token.unwrap_or_default());
            line.push(' ');
        }
        write_value(line, argument);
        line.push_str(" ...]");
    }
    if argument.optional {
        line.push(']');
    }
}

fn write_value(line: &mut String, argument: &Argument) {
    match argument.kind {
        ArgumentKind::PureToken => {}
        ArgumentKind::Block => write_all(line, argument.children, " ", false),
        ArgumentKind::OneOf => {
            // Inside brackets the alternatives need none of their own.
            let enclosed = argument.optional && !argument.multiple && argument.token.is_none();
            line.push_str(if enclosed { "" } else { "(" });
            write_all(line, argument.children, "|", false);
            line.push_str(if enclosed { "" } else { ")" });
        }
        _ => {
            line.push('<');
            line.push_str(argument.display.unwrap_or(argument.name));
            line.push('>');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table::ALL;
    use crate::resp::Protocol;

    #[track_caller]
    fn check(container: &str, expected: &str) {
        let lines = lines(lookup(container.as_bytes()).unwrap());
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn help_lists_the_subcommands_with_their_syntax() {
        check(
            "config",
            "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\n\
             GET <parameter> [<parameter> ...]\n    Reads the parameters whose names match.\n\
             RESETSTAT\n    Sets the statistics back to zero.\n\
             REWRITE\n    Writes the configuration in force back to its file.\n\
             SET <parameter> <value> [<parameter> <value> ...]\n    \
             Changes parameters while the server runs.\n\
             HELP\n    Lists the subcommands.",
        );
    }

    #[test]
    fn every_help_is_an_array_of_simple_strings() {
        for spec in ALL.iter().filter(|spec| spec.last_name() == "help") {
            let mut out = Vec::new();
            write_help(&mut Reply::new(&mut out, Protocol::Resp2), spec);
            let text = String::from_utf8(out).unwrap();
            let (head, lines) = text.split_once("\r\n").unwrap();
            let lines: Vec<_> = lines.split_terminator("\r\n").collect();
            assert_eq!(head, format!("*{}", lines.len()));
            assert!(lines.iter().all(|line| line.starts_with('+')), "{}", spec.name);
        }
    }
}
