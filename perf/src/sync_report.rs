//! The figures of a full sync and of live replicas as a markdown page, with every place where the server
//! under test lost to a peer; and the samples as CSV.

use std::fmt::Write;

use crate::spread::Spread;
use crate::sync::{
    Better, FIGURES, Figure, LOG_BACKLOG_BYTES, Part, Results, STREAM_LOAD, WRITER_PIPELINE,
};

/// A peer counts as better when the median says so by more than this.
const NOTABLE: f64 = 0.005;

pub fn markdown(results: &Results) -> String {
    let mut page = String::new();
    head(&mut page, results);
    for part in &results.plan.parts {
        table(&mut page, results, *part);
    }
    losses(&mut page, results);
    if !results.failures.is_empty() {
        page.push_str("## Not measured\n\n");
        for failure in &results.failures {
            let _ = writeln!(page, "- {}", failure.replace(['\n', '\r'], " "));
        }
        page.push('\n');
    }
    page.push_str("## Commands\n\n```\n");
    for server in &results.servers {
        for line in &server.command_lines {
            let _ = writeln!(page, "{line}");
        }
    }
    page.push_str("```\n");
    page
}

/// Every sample, one line each.
pub fn csv(results: &Results) -> String {
    let mut text = String::from("part,server,version,round,figure,value\n");
    for sample in &results.samples {
        let server = &results.servers[sample.server];
        let _ = writeln!(
            text,
            "{:?},{},{},{},\"{}\",{:.6}",
            sample.figure.part,
            server.name,
            server.version,
            sample.round + 1,
            sample.figure.name,
            sample.value,
        );
    }
    text
}

fn head(page: &mut String, results: &Results) {
    let (machine, plan) = (&results.machine, &results.plan);
    let _ = writeln!(page, "# Replication, {}\n", results.date);
    let _ = writeln!(
        page,
        "{} CPUs ({}), {:.0} GiB, {}, kernel {}; revision {}.\n",
        machine.cpus_allowed,
        machine.cpu,
        machine.memory_gib,
        machine.system,
        machine.kernel,
        machine.revision,
    );
    let _ = writeln!(
        page,
        "Primaries on CPU {}; replicas of the same kind, writer, probe and load on CPU {}. In turns, {} rounds, \
         all servers started afresh in each. Figures are the median of the rounds with the least and the \
         largest. CPU is that of the primary's process and its child processes, user and kernel.\n",
        plan.server_cpu, plan.load_cpu, plan.rounds,
    );
}

fn about(results: &Results, part: Part) -> (&'static str, String) {
    let plan = &results.plan;
    match part {
        Part::FullSync => (
            "Full sync",
            format!(
                "{:.2} GiB in random values of {} bytes; an empty replica arrives while one connection overwrites \
                 random keys, {WRITER_PIPELINE} at a time, as fast as it is answered, and a probe sends a GET \
                 every millisecond. A GET ends when its reply is in the client's socket, by the kernel's stamp, or \
                 *in the client's hand*, which on a CPU that is shared tells as much of the others there. *During* is from REPLICAOF to `master_link_status:up`; then the writer stops, \
                 and the replica catches up. *Before* is {} s of the same load without a replica, when the writer \
                 has its CPU to itself: a part of what it loses during the sync it loses to the replica's loading. \
                 Memory is the largest sum of proportional set sizes over the primary's processes, above what it \
                 was before, divided by keys and values; the log is `mem_total_replication_buffers` of INFO.",
                plan.data_bytes as f64 / f64::from(1 << 30),
                plan.value_bytes,
                plan.seconds,
            ),
        ),
        Part::Stream => (
            "CPU per write",
            format!(
                "SETs of {} bytes, {} connections, pipeline {}, {} random keys, by our own load for {} s; without \
                 a replica, and with one whose link is up. The replica shares the load's CPU.",
                STREAM_LOAD.value_bytes,
                STREAM_LOAD.connections,
                STREAM_LOAD.pipeline,
                STREAM_LOAD.keys,
                plan.seconds,
            ),
        ),
        Part::Log => (
            "Memory of the log",
            format!(
                "A backlog of {} MiB, four times as much written through it to live replicas, read when all have \
                 everything: `mem_total_replication_buffers` and `mem_replication_backlog` of INFO, and the \
                 primary's proportional set size.",
                LOG_BACKLOG_BYTES >> 20,
            ),
        ),
    }
}

fn table(page: &mut String, results: &Results, part: Part) {
    let (title, text) = about(results, part);
    let _ = writeln!(page, "## {title}\n\n{text}\n");
    let labels: Vec<String> =
        (0..results.servers.len()).map(|index| label(results, index)).collect();
    let _ = writeln!(page, "| | {} |", labels.join(" | "));
    let _ = writeln!(page, "| --- |{}", " ---: |".repeat(labels.len()));
    for figure in FIGURES.iter().filter(|figure| figure.part == part) {
        let cells: Vec<String> = (0..results.servers.len())
            .map(|server| match spread(results, server, *figure) {
                Some(spread) => format!("{spread:.0$}", figure.digits),
                None => "-".to_owned(),
            })
            .collect();
        let _ = writeln!(page, "| {} | {} |", figure.name, cells.join(" | "));
    }
    page.push('\n');
}

fn losses(page: &mut String, results: &Results) {
    let Some(subject) = results.servers.iter().position(|server| server.is_subject) else {
        return;
    };
    page.push_str("## Where a peer was better\n\n");
    let mut any = false;
    for figure in FIGURES {
        let Some(ours) = spread(results, subject, *figure) else { continue };
        for peer in (0..results.servers.len()).filter(|peer| *peer != subject) {
            let Some(theirs) = spread(results, peer, *figure) else { continue };
            if is_better(theirs.median, ours.median, figure.better) {
                any = true;
                let _ = writeln!(
                    page,
                    "- {}: {ours:.2$} where {} has {theirs:.2$}",
                    figure.name,
                    label(results, peer),
                    figure.digits,
                );
            }
        }
    }
    if !any {
        page.push_str("Nowhere in what was measured.\n");
    }
    page.push('\n');
}

fn is_better(theirs: f64, ours: f64, better: Better) -> bool {
    match better {
        Better::Less => theirs < ours * (1.0 - NOTABLE),
        Better::More => theirs > ours * (1.0 + NOTABLE),
    }
}

fn spread(results: &Results, server: usize, figure: Figure) -> Option<Spread> {
    let samples = results.samples.iter();
    let samples = samples.filter(|sample| sample.server == server && sample.figure == figure);
    Spread::of(&samples.map(|sample| sample.value).collect::<Vec<_>>())
}

fn label(results: &Results, server: usize) -> String {
    let server = &results.servers[server];
    format!("{} {}", server.name, server.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::sync::{Plan, Sample, ServerFacts};

    fn results() -> Results {
        let server = |name: &str, is_subject| ServerFacts {
            name: name.to_owned(),
            version: "1.2".to_owned(),
            command_lines: vec![format!("taskset -c 0 {name} --port PORT")],
            is_subject,
        };
        let samples = FIGURES.iter().flat_map(|figure| {
            [(0, 0, 2.0), (0, 1, 4.0), (1, 0, 1.0), (1, 1, 1.0)]
                .map(|(server, round, value)| Sample { server, round, figure: *figure, value })
        });
        Results {
            date: "2026-01-02".to_owned(),
            machine: Machine {
                cpu: "a CPU".to_owned(),
                cpus_allowed: 2,
                memory_gib: 8.0,
                kernel: "6.1".to_owned(),
                system: "a system".to_owned(),
                revision: "abc1234".to_owned(),
            },
            plan: Plan {
                parts: vec![Part::FullSync, Part::Stream, Part::Log],
                rounds: 2,
                data_bytes: 1 << 30,
                value_bytes: 1024,
                seconds: 2.0,
                server_cpu: 0,
                load_cpu: 1,
                ringfort_arguments: Vec::new(),
            },
            servers: vec![server("ringfort", true), server("a-peer", false)],
            samples: samples.collect(),
            failures: vec!["round 2, Log, a-peer: died\nearly".to_owned()],
        }
    }

    #[test]
    fn page_holds_the_facts_and_the_losses() {
        let page = markdown(&results());
        for expected in [
            "# Replication, 2026-01-02",
            "kernel 6.1; revision abc1234",
            "| | ringfort 1.2 | a-peer 1.2 |",
            "| link up after, s | 3.00 (2.00–4.00) | 1.00 (1.00–1.00) |",
            "- link up after, s: 3.00 (2.00–4.00) where a-peer 1.2 has 1.00 (1.00–1.00)",
            "- round 2, Log, a-peer: died early",
            "taskset -c 0 a-peer --port PORT",
        ] {
            assert!(page.contains(expected), "no '{expected}' in:\n{page}");
        }
        // More writes are no loss.
        assert!(!page.contains("- SETs/s"), "{page}");
    }

    #[test]
    fn without_a_subject_nobody_loses() {
        let mut results = results();
        results.servers[0].is_subject = false;
        assert!(!markdown(&results).contains("Where a peer was better"));
    }

    #[test]
    fn csv_has_one_line_per_sample() {
        let text = csv(&results());
        assert_eq!(text.lines().count(), 1 + 4 * FIGURES.len());
        assert!(text.contains("FullSync,a-peer,1.2,1,\"link up after, s\",1.000000"), "{text}");
    }
}
