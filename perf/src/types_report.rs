//! The figures of collections as a markdown page, with what was aimed at and what was missed; and the samples as CSV.

use std::fmt::Write;

use crate::spread::Spread;
use crate::types::{LOADS, Results, Value, WEIGHTS};

pub fn markdown(results: &Results) -> String {
    let (machine, plan) = (&results.machine, &results.plan);
    let mut page = String::new();
    let _ = writeln!(page, "# Collections, {}\n", results.date);
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
        "Servers on CPU {}, load on CPU {}: our own, {} connections, pipeline {}, {} s each after a warm-up; members, \
         fields and scores are random numbers below a million. In turns, {} rounds, each server started afresh for \
         each load. Median of the rounds with the least and the largest; ratios are taken round by round.\n",
        plan.server_cpu, plan.load_cpu, plan.connections, plan.pipeline, plan.seconds, plan.rounds,
    );
    loads(&mut page, results);
    weights(&mut page, results);
    if !results.failures.is_empty() {
        page.push_str("## Not measured\n\n");
        for failure in &results.failures {
            let _ = writeln!(page, "- {}", failure.replace(['\n', '\r'], " "));
        }
        page.push('\n');
    }
    page.push_str("## Commands\n\n```\n");
    results.command_lines.iter().for_each(|line| {
        let _ = writeln!(page, "{line}");
    });
    page.push_str("```\n");
    page
}

/// Every sample, one line each.
pub fn csv(results: &Results) -> String {
    let mut text =
        String::from("name,server,version,round,requests_per_second,cpu_us_per_request,bytes\n");
    for sample in &results.samples {
        let (server, version) = &results.servers[sample.server];
        let values = match sample.value {
            Value::Load { requests_per_second, cpu_us_per_request } => {
                format!("{requests_per_second:.0},{cpu_us_per_request:.4},")
            }
            Value::Bytes(bytes) => format!(",,{bytes:.2}"),
        };
        let _ =
            writeln!(text, "\"{}\",{server},{version},{},{values}", sample.name, sample.round + 1);
    }
    text
}

/// The values that `f` takes from a server's samples of a load or weight, by round.
fn values(
    results: &Results,
    server: usize,
    name: &str,
    f: impl Fn(Value) -> Option<f64>,
) -> Vec<(usize, f64)> {
    let samples = results.samples.iter();
    let of_it = samples.filter(|sample| sample.server == server && sample.name == name);
    of_it.filter_map(|sample| Some((sample.round, f(sample.value)?))).collect()
}

fn spread(values: &[(usize, f64)]) -> Option<Spread> {
    Spread::of(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>())
}

/// Ours to theirs, of the rounds in which both were measured.
fn ratio(ours: &[(usize, f64)], theirs: &[(usize, f64)]) -> Option<Spread> {
    let pairs: Vec<(f64, f64)> = ours
        .iter()
        .filter_map(|(round, value)| {
            Some((*value, theirs.iter().find(|(other, _)| other == round)?.1))
        })
        .collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    Spread::of_ratios(&ours, &theirs)
}

fn requests(value: Value) -> Option<f64> {
    match value {
        Value::Load { requests_per_second, .. } => Some(requests_per_second / 1000.0),
        Value::Bytes(_) => None,
    }
}

fn cpu(value: Value) -> Option<f64> {
    match value {
        Value::Load { cpu_us_per_request, .. } => Some(cpu_us_per_request),
        Value::Bytes(_) => None,
    }
}

fn bytes(value: Value) -> Option<f64> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::Load { .. } => None,
    }
}

fn shown(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or_else(|| "not measured".to_owned(), |spread| format!("{spread:.digits$}"))
}

fn verdict(reached: Option<bool>) -> &'static str {
    match reached {
        Some(true) => "reached",
        Some(false) => "**MISSED**",
        None => "",
    }
}

fn loads(page: &mut String, results: &Results) {
    let is_there = |name: &&str| results.samples.iter().any(|sample| sample.name == *name);
    if !LOADS.iter().any(|load| is_there(&load.name)) {
        return;
    }
    page.push_str("## Commands on collections\n\n");
    page.push_str(
        "Thousands of requests a second, and microseconds of the server's CPU for each.\n\n",
    );
    for (peer, (name, version)) in results.servers.iter().enumerate().skip(1) {
        let _ = writeln!(
            page,
            "| beside {name} {version} | ours | theirs | ratio | goal | | our CPU | theirs | ratio |"
        );
        page.push_str("| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |\n");
        for load in LOADS.iter().filter(|load| is_there(&load.name)) {
            let of =
                |server: usize, f: fn(Value) -> Option<f64>| values(results, server, load.name, f);
            let throughput = ratio(&of(0, requests), &of(peer, requests));
            let goal = load.goal.map_or_else(String::new, |goal| format!("{goal}"));
            let reached =
                throughput.zip(load.goal).map(|(throughput, goal)| throughput.median >= goal);
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {goal} | {} | {} | {} | {} |",
                load.name,
                shown(spread(&of(0, requests)), 0),
                shown(spread(&of(peer, requests)), 0),
                shown(throughput, 2),
                verdict(reached),
                shown(spread(&of(0, cpu)), 3),
                shown(spread(&of(peer, cpu)), 3),
                shown(ratio(&of(0, cpu), &of(peer, cpu)), 2),
            );
        }
        page.push('\n');
    }
}

fn weights(page: &mut String, results: &Results) {
    let is_there = |name: &&str| results.samples.iter().any(|sample| sample.name == *name);
    if !WEIGHTS.iter().any(|weight| is_there(&weight.name)) {
        return;
    }
    page.push_str("## Memory\n\n");
    page.push_str("Growth of the process's proportional set size, bytes for each.\n\n");
    for (peer, (name, version)) in results.servers.iter().enumerate().skip(1) {
        let _ = writeln!(page, "| beside {name} {version} | ours | theirs | ratio | goal | |");
        page.push_str("| --- | ---: | ---: | ---: | ---: | --- |\n");
        for weight in WEIGHTS.iter().filter(|weight| is_there(&weight.name)) {
            let of = |server: usize| values(results, server, weight.name, bytes);
            let weighed = ratio(&of(0), &of(peer));
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | {} | {} |",
                weight.name,
                shown(spread(&of(0)), 1),
                shown(spread(&of(peer)), 1),
                shown(weighed, 2),
                weight.goal,
                verdict(weighed.map(|weighed| weighed.median <= weight.goal)),
            );
        }
        page.push('\n');
    }
}
