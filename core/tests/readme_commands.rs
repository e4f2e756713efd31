//! The README's table of commands is the command table's: this test makes it and compares.
//!
//! `make commands` (which sets RINGFORT_WRITE_README) writes it anew. Beside this file lie the names of the commands and
//! subcommands of Redis 7.2, with those for the expiry of hash fields that came after; what of them the table does not
//! have is listed as missing.

use ringfort_core::command::Spec;
use ringfort_core::command::table;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- commands: written by `make commands` -->\n";
const END: &str = "<!-- end of commands -->\n";

/// The table in Markdown: a row for each group, subcommands behind their command, and what is missing.
fn generated() -> String {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut known = Vec::new();
    for spec in table::commands() {
        let subcommands: Vec<&str> = spec.subcommands().iter().map(Spec::last_name).collect();
        known.push(spec.name.to_owned());
        known.extend(spec.subcommands().iter().map(|sub| sub.name.to_owned()));
        groups.entry(spec.docs.group).or_default().push(shown(spec.name, &subcommands));
    }
    let mut text = String::from("| group | commands |\n| --- | --- |\n");
    for (group, mut commands) in groups {
        commands.sort();
        writeln!(text, "| {group} | {} |", commands.join(", ")).expect("a String takes all");
    }
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in include_str!("redis_commands.txt").lines() {
        if known.iter().any(|known| known == name) {
            continue;
        }
        let (command, subcommand) = name.split_once('|').unwrap_or((name, ""));
        let subcommands = missing.entry(command).or_default();
        if !subcommand.is_empty() {
            subcommands.push(subcommand);
        }
    }
    let missing: Vec<String> = missing
        .into_iter()
        .map(|(command, subcommands)| {
            let is_whole = !known.iter().any(|known| known == command);
            shown(command, if is_whole { &[] } else { &subcommands })
        })
        .collect();
    writeln!(text, "| **missing** | {} |", missing.join(", ")).expect("a String takes all");
    text
}

/// `CLIENT (ID, INFO)`.
fn shown(command: &str, subcommands: &[&str]) -> String {
    let command = command.to_uppercase();
    if subcommands.is_empty() {
        return command;
    }
    let mut subcommands: Vec<String> =
        subcommands.iter().map(|subcommand| subcommand.to_uppercase()).collect();
    subcommands.sort();
    format!("{command} ({})", subcommands.join(", "))
}

#[test]
fn the_table_in_the_readme_is_that_of_the_commands() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(&path).expect("the README");
    let (before, rest) = readme.split_once(BEGIN).expect("the table's beginning");
    let (found, behind) = rest.split_once(END).expect("the table's end");
    let wanted = generated();
    if std::env::var_os("RINGFORT_WRITE_README").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{behind}"))
            .expect("the README can be written");
        return;
    }
    assert_eq!(found, wanted, "`make commands` writes the table anew");
}
