//! A comparison as a markdown page: what was run where, every figure with its range, what was set as a goal
//! and missed, and every place where the server under test lost to a peer. And the samples as CSV.

use std::fmt::Write;

use crate::goals::{self, Goal};
use crate::results::{Comparison, Figure, LatencyRow, SUBJECT, Scenario, ShardsRow, ratio, spread};
use crate::spread::Spread;

/// The whole page. `chart` is the file name of the picture beside it.
pub fn markdown(comparison: &Comparison, chart: Option<&str>) -> String {
    let mut page = String::new();
    head(&mut page, comparison);
    if let Some(chart) = chart {
        let _ = writeln!(page, "![Chart of the comparison]({chart})\n");
    }
    goals_table(&mut page, comparison);
    for source in sources(comparison) {
        load_table(&mut page, comparison, &source);
    }
    latency_table(&mut page, comparison);
    memory_table(&mut page, comparison);
    shards_table(&mut page, comparison);
    losses(&mut page, comparison);
    failures(&mut page, comparison);
    commands(&mut page, comparison);
    page
}

/// Every sample of every load, one line each.
pub fn csv(comparison: &Comparison) -> String {
    let mut text = String::from(
        "load,command,pipeline,server,version,round,requests_per_second,cpu_us_per_request\n",
    );
    for scenario in &comparison.scenarios {
        for sample in &scenario.samples {
            let server = &comparison.servers[sample.server];
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{:.0},{:.4}",
                scenario.source,
                scenario.verb.name(),
                scenario.pipeline,
                server.name,
                server.version,
                sample.round + 1,
                sample.requests_per_second,
                sample.cpu_us_per_request,
            );
        }
    }
    text
}

fn head(page: &mut String, comparison: &Comparison) {
    let machine = &comparison.machine;
    let _ = writeln!(page, "# Comparison of {}\n", comparison.date);
    let _ = writeln!(
        page,
        "{} CPUs ({}), {:.0} GiB, {}, kernel {}; revision {}; {}.\n",
        machine.cpus_allowed,
        machine.cpu,
        machine.memory_gib,
        machine.system,
        machine.kernel,
        machine.revision,
        comparison.tool_versions.join(", "),
    );
    let _ = writeln!(
        page,
        "Servers on CPU {}, load on CPU {}, in turns, {} rounds, all servers started afresh in each. {} \
         connections, {}-byte values, {} random keys, all present. Figures are the median of the rounds with \
         the least and the largest; ratios are taken round by round. CPU is what the whole server process used, \
         user and kernel, spinning included.\n",
        comparison.server_cpu,
        comparison.load_cpu,
        comparison.rounds,
        comparison.connections,
        comparison.value_bytes,
        comparison.keys,
    );
}

fn sources(comparison: &Comparison) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    for scenario in &comparison.scenarios {
        if !sources.contains(&scenario.source) {
            sources.push(scenario.source.clone());
        }
    }
    sources
}

fn load_table(page: &mut String, comparison: &Comparison, source: &str) {
    let subject = &comparison.servers[SUBJECT].name;
    let _ = writeln!(page, "## Load by {source}\n");
    let _ = writeln!(
        page,
        "| command | pipeline | server | requests/s, thousands | CPU µs/request | {subject}'s throughput to it | \
         {subject}'s CPU to it |\n| --- | ---: | --- | ---: | ---: | ---: | ---: |"
    );
    for scenario in comparison.scenarios.iter().filter(|scenario| scenario.source == source) {
        for server in 0..comparison.servers.len() {
            let samples = &scenario.samples;
            let against = |figure| {
                if server == SUBJECT {
                    None
                } else {
                    ratio(samples, SUBJECT, samples, server, figure)
                }
            };
            let throughput = spread(samples, server, Figure::RequestsPerSecond);
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} | {} |",
                scenario.verb.name(),
                scenario.pipeline,
                comparison.label(server),
                cell(throughput.map(|spread| spread.scaled(0.001)), 0),
                cell(spread(samples, server, Figure::CpuPerRequest), 2),
                times(against(Figure::RequestsPerSecond)),
                times(against(Figure::CpuPerRequest)),
            );
        }
    }
    page.push('\n');
}

fn latency_table(page: &mut String, comparison: &Comparison) {
    if comparison.latency.is_empty() {
        return;
    }
    let reference = reference_latency(comparison);
    let _ = writeln!(
        page,
        "## Round trip of one connection, pipeline 1\n\n\
         | server | median µs | 99th percentile µs | median to {} |\n| --- | ---: | ---: | ---: |",
        reference.map_or("-".to_owned(), |row| comparison.label(row.server)),
    );
    for row in &comparison.latency {
        let against = reference.filter(|reference| reference.server != row.server);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} |",
            latency_label(comparison, row),
            cell(Spread::of(&row.medians_us()), 1),
            cell(Spread::of(&row.p99s_us()), 1),
            times(against.and_then(|reference| row.ratio_to(reference))),
        );
    }
    page.push('\n');
}

fn reference_latency(comparison: &Comparison) -> Option<&LatencyRow> {
    let reference = comparison.reference()?;
    comparison.latency.iter().find(|row| row.server == reference)
}

fn latency_label(comparison: &Comparison, row: &LatencyRow) -> String {
    let label = comparison.label(row.server);
    match row.spinning {
        Some(true) => format!("{label}, spin 50 µs"),
        Some(false) => format!("{label}, no spin"),
        None => label,
    }
}

fn memory_table(page: &mut String, comparison: &Comparison) {
    if comparison.memory.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "## Memory\n\nGrowth of the process (proportional set size) per key, {} keys of 11 bytes with 32-byte \
         values, and per connection, {} connections that are idle after one PING.\n\n\
         | server | bytes/key | bytes/idle connection |\n| --- | ---: | ---: |",
        comparison.keys, comparison.idle_connections,
    );
    for row in &comparison.memory {
        let _ = writeln!(
            page,
            "| {} | {} | {} |",
            comparison.label(row.server),
            cell(Spread::of(&row.bytes_per_key), 1),
            cell(Spread::of(&row.bytes_per_idle_connection), 0),
        );
    }
    page.push('\n');
}

fn shards_table(page: &mut String, comparison: &Comparison) {
    if comparison.shards.is_empty() {
        return;
    }
    let _ = writeln!(
        page,
        "## Two shards against one, pipeline 16\n\nTwo shards share both CPUs with the load: compare their CPU \
         per request, not their throughput.\n\n\
         | command | variant | CPU µs/request | to one shard | requests/s, thousands |\n\
         | --- | --- | ---: | ---: | ---: |"
    );
    for row in &comparison.shards {
        let throughput = spread(&row.samples, SUBJECT, Figure::RequestsPerSecond);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} |",
            row.verb.name(),
            row.label,
            cell(spread(&row.samples, SUBJECT, Figure::CpuPerRequest), 2),
            times(shards_ratio(comparison, row)),
            cell(throughput.map(|spread| spread.scaled(0.001)), 0),
        );
    }
    page.push('\n');
}

/// CPU per request against the one-shard row of the same command; `None` for that row itself.
fn shards_ratio(comparison: &Comparison, row: &ShardsRow) -> Option<Spread> {
    let one = comparison.shards.iter().find(|one| one.verb == row.verb)?;
    if one.label == row.label {
        return None;
    }
    ratio(&row.samples, SUBJECT, &one.samples, SUBJECT, Figure::CpuPerRequest)
}

/// A goal, and what was measured for it.
struct Verdict {
    what: String,
    goal: Goal,
    measured: Spread,
}

fn goals_table(page: &mut String, comparison: &Comparison) {
    let Some(reference) = comparison.reference() else {
        return;
    };
    let verdicts = verdicts(comparison, reference);
    if verdicts.is_empty() {
        return;
    }
    let reached =
        verdicts.iter().filter(|verdict| verdict.goal.is_reached(verdict.measured.median)).count();
    let _ = writeln!(
        page,
        "## Goals, against {}\n\n{reached} of {} reached.\n\n\
         | figure | goal | measured | |\n| --- | ---: | ---: | --- |",
        comparison.label(reference),
        verdicts.len(),
    );
    for verdict in &verdicts {
        let word =
            if verdict.goal.is_reached(verdict.measured.median) { "reached" } else { "**missed**" };
        let _ = writeln!(
            page,
            "| {} | {} | {:.2} | {word} |",
            verdict.what,
            verdict.goal.text(),
            verdict.measured,
        );
    }
    page.push('\n');
}

fn verdicts(comparison: &Comparison, reference: usize) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut add = |what: String, goal: Option<Goal>, measured: Option<Spread>| {
        if let (Some(goal), Some(measured)) = (goal, measured) {
            verdicts.push(Verdict { what, goal, measured });
        }
    };
    // The goals were set with redis-benchmark's load, which is the first source.
    let first_source = comparison.scenarios.first().map(|scenario| &scenario.source);
    for scenario in &comparison.scenarios {
        if Some(&scenario.source) != first_source {
            continue;
        }
        let what = format!("{} pipeline {}", scenario.verb.name(), scenario.pipeline);
        let to_reference =
            |figure| ratio(&scenario.samples, SUBJECT, &scenario.samples, reference, figure);
        add(
            format!("{what}, CPU per request, ×"),
            goals::cpu(scenario.verb, scenario.pipeline),
            to_reference(Figure::CpuPerRequest),
        );
        add(
            format!("{what}, throughput, ×"),
            goals::throughput(scenario.pipeline),
            to_reference(Figure::RequestsPerSecond),
        );
    }
    for row in &comparison.latency {
        if let (Some(spinning), Some(reference)) = (row.spinning, reference_latency(comparison)) {
            add(
                format!(
                    "median round trip of one connection, {}, ×",
                    if spinning { "spin 50 µs" } else { "no spin" }
                ),
                Some(goals::latency(spinning)),
                row.ratio_to(reference),
            );
        }
    }
    if let Some(row) = comparison.memory.iter().find(|row| row.server == SUBJECT) {
        add("bytes per key".to_owned(), Some(goals::BYTES_PER_KEY), Spread::of(&row.bytes_per_key));
    }
    for row in &comparison.shards {
        add(
            format!(
                "{} pipeline 16, {}, CPU per request to one shard, ×",
                row.verb.name(),
                row.label
            ),
            goals::two_shards(row.verb),
            shards_ratio(comparison, row),
        );
    }
    verdicts
}

/// A peer counts as better when the median says so by more than half a percent.
fn losses(page: &mut String, comparison: &Comparison) {
    let mut lines = Vec::new();
    for scenario in &comparison.scenarios {
        for peer in SUBJECT + 1..comparison.servers.len() {
            for (figure, name, lost) in [
                (
                    Figure::RequestsPerSecond,
                    "throughput",
                    (|median| median < 0.995) as fn(f64) -> bool,
                ),
                (Figure::CpuPerRequest, "CPU per request", |median| median > 1.005),
            ] {
                let measured = ratio(&scenario.samples, SUBJECT, &scenario.samples, peer, figure);
                if let Some(spread) = measured.filter(|spread| lost(spread.median)) {
                    lines.push(format!(
                        "{} pipeline {} by {}, {name}: {spread:.2}× that of {}",
                        scenario.verb.name(),
                        scenario.pipeline,
                        scenario.source,
                        comparison.label(peer),
                    ));
                }
            }
        }
    }
    for row in comparison.latency.iter().filter(|row| row.server == SUBJECT) {
        for peer in comparison.latency.iter().filter(|peer| peer.server != SUBJECT) {
            if let Some(spread) = row.ratio_to(peer).filter(|spread| spread.median > 1.005) {
                lines.push(format!(
                    "round trip, {}: {spread:.2}× that of {}",
                    latency_label(comparison, row),
                    comparison.label(peer.server),
                ));
            }
        }
    }
    if let Some(own) = comparison.memory.iter().find(|row| row.server == SUBJECT) {
        for peer in comparison.memory.iter().filter(|row| row.server != SUBJECT) {
            for (name, ours, theirs) in [
                ("bytes per key", &own.bytes_per_key, &peer.bytes_per_key),
                (
                    "bytes per idle connection",
                    &own.bytes_per_idle_connection,
                    &peer.bytes_per_idle_connection,
                ),
            ] {
                if let (Some(ours), Some(theirs)) = (Spread::of(ours), Spread::of(theirs))
                    && ours.median > theirs.median
                {
                    lines.push(format!(
                        "{name}: {:.0} where {} has {:.0}",
                        ours.median,
                        comparison.label(peer.server),
                        theirs.median,
                    ));
                }
            }
        }
    }
    list(page, "Where a peer was better", "Nowhere in what was measured.", &lines);
}

fn failures(page: &mut String, comparison: &Comparison) {
    if !comparison.failures.is_empty() {
        list(page, "Not measured", "", &comparison.failures);
    }
}

fn list(page: &mut String, title: &str, empty: &str, lines: &[String]) {
    let _ = writeln!(page, "## {title}\n");
    if lines.is_empty() {
        let _ = writeln!(page, "{empty}");
    }
    for line in lines {
        let _ = writeln!(page, "- {}", line.replace(['\n', '\r'], " "));
    }
    page.push('\n');
}

fn commands(page: &mut String, comparison: &Comparison) {
    page.push_str("## Commands\n\n```\n");
    let mut seen: Vec<&str> = Vec::new();
    let servers = comparison.servers.iter().map(|facts| &facts.command_line);
    let latency = comparison.latency.iter().map(|row| &row.command_line);
    let shards = comparison.shards.iter().map(|row| &row.command_line);
    let loads = comparison.scenarios.iter().map(|Scenario { command_line, .. }| command_line);
    for line in servers.chain(latency).chain(shards).chain(loads) {
        if !line.is_empty() && !seen.contains(&line.as_str()) {
            seen.push(line);
            let _ = writeln!(page, "{line}");
        }
    }
    page.push_str("```\n");
}

fn cell(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("-".to_owned(), |spread| format!("{spread:.digits$}"))
}

fn times(spread: Option<Spread>) -> String {
    spread.map_or(String::new(), |spread| format!("{spread:.2}×"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::example;

    #[test]
    fn page_holds_the_facts_a_figure_needs() {
        let page = markdown(&example::comparison(), Some("x.svg"));
        for expected in [
            "# Comparison of 2026-01-02",
            "kernel 6.1",
            "revision abc1234",
            "![Chart of the comparison](x.svg)",
            "| GET | 16 | ringfort 0.1.0 | 0 (0–0) | 1.50 (1.00–2.00) |  |  |",
            "| GET | 16 | valkey-server 9.1.2 | 0 (0–0) | 1.00 (1.00–1.00) | 0.75 (0.75–0.75)× | 2.00 (2.00–2.00)× |",
            "| GET pipeline 16, CPU per request, × | ≤ 0.5 | 2.00 (2.00–2.00) | **missed** |",
            "| median round trip of one connection, spin 50 µs, × | ≤ 0.6 | 0.50 (0.50–0.50) | reached |",
            "| bytes per key | ≤ 62 | 60.00 (60.00–60.00) | reached |",
            "| GET pipeline 16, 2 shards, strict, CPU per request to one shard, × | ≤ 1.5 | 1.60 (1.60–1.60) | **missed** |",
            "- GET pipeline 16 by redis-benchmark, throughput: 0.75 (0.75–0.75)× that of valkey-server 9.1.2",
            "- round 2: redis-server | died",
            "taskset -c 0 ringfort --port PORT --save ''",
        ] {
            assert!(page.contains(expected), "no '{expected}' in:\n{page}");
        }
    }

    #[test]
    fn every_table_has_rows_as_wide_as_its_head() {
        let page = markdown(&example::comparison(), None);
        let mut width = None;
        for line in page.lines() {
            if line.starts_with('|') {
                let columns = line.matches('|').count();
                assert_eq!(columns, *width.get_or_insert(columns), "{line}");
            } else {
                width = None;
            }
        }
    }

    #[test]
    fn a_comparison_without_peers_is_still_a_page() {
        let mut comparison = example::comparison();
        comparison.servers.truncate(1);
        comparison.latency.clear();
        comparison.memory.clear();
        comparison.shards.clear();
        assert!(markdown(&comparison, None).contains("ringfort 0.1.0"));
    }

    #[test]
    fn csv_has_one_line_per_sample() {
        let text = csv(&example::comparison());
        assert_eq!(text.lines().count(), 5);
        assert!(text.contains("redis-benchmark,GET,16,valkey-server,9.1.2,2,400,1.0000"));
    }
}
