//! LATENCY LATEST, HISTORY, RESET, GRAPH, DOCTOR, HISTOGRAM: the cores' monitors as one.

use std::fmt::Write;

use ringfort_core::args::OwnedArgs;
use ringfort_core::command::{self, NodeCommand, table};
use ringfort_core::error::Error;

use crate::client::Client;
use crate::command_stats::CommandStats;
use crate::core::Core;
use crate::slow::LatencyMonitor;
use crate::tasks::on_all_cores;

pub async fn run(client: Client, command: NodeCommand, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    match command {
        NodeCommand::LatencyLatest => Ok(latest(&client).await),
        NodeCommand::LatencyHistory => Ok(history(&client, args).await),
        NodeCommand::LatencyReset => Ok(reset(&client, args).await),
        NodeCommand::LatencyGraph => graph(&client, args).await,
        NodeCommand::LatencyDoctor => Ok(doctor(&client).await),
        NodeCommand::LatencyHistogram => Ok(histogram(&client, args).await),
        _ => unreachable!("not a LATENCY command"),
    }
}

async fn monitor(client: &Client) -> LatencyMonitor {
    let monitors = on_all_cores(&client.core, |core: &mut Core| core.latency.clone()).await;
    let mut whole = LatencyMonitor::default();
    monitors.iter().for_each(|monitor| whole.merge(monitor));
    whole
}

async fn latest(client: &Client) -> Vec<u8> {
    let monitor = monitor(client).await;
    client.reply(|reply| {
        reply.array(monitor.events.len());
        for (name, event) in &monitor.events {
            let (at_s, ms) = event.samples.back().copied().unwrap_or_default();
            reply.array(4);
            reply.text(name);
            reply.int(at_s);
            reply.int(ms as i64);
            reply.int(event.worst_ms as i64);
        }
    })
}

async fn history(client: &Client, args: &OwnedArgs) -> Vec<u8> {
    let monitor = monitor(client).await;
    let name = String::from_utf8_lossy(args.args().at(2)).into_owned();
    let samples = monitor.events.get(name.as_str()).map(|event| &event.samples);
    client.reply(|reply| {
        reply.array(samples.map_or(0, |samples| samples.len()));
        for (at_s, ms) in samples.into_iter().flatten() {
            reply.array(2);
            reply.int(*at_s);
            reply.int(*ms as i64);
        }
    })
}

async fn reset(client: &Client, args: &OwnedArgs) -> Vec<u8> {
    let names: Vec<String> =
        args.args().from(2).iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let gone = on_all_cores(&client.core, move |core: &mut Core| {
        let events = &mut core.latency.events;
        let chosen: Vec<&'static str> = events
            .keys()
            .copied()
            .filter(|name| names.is_empty() || names.iter().any(|asked| asked == name))
            .collect();
        chosen.iter().for_each(|name| drop(events.remove(name)));
        chosen
    })
    .await;
    let mut names: Vec<&str> = gone.into_iter().flatten().collect();
    names.sort_unstable();
    names.dedup();
    client.reply(|reply| reply.int(names.len() as i64))
}

/// One column per sample, as high as its share of the worst.
async fn graph(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    const ROWS: usize = 4;
    let monitor = monitor(client).await;
    let name = String::from_utf8_lossy(args.args().at(2)).into_owned();
    let event = monitor
        .events
        .get(name.as_str())
        .ok_or_else(|| Error::text(format!("ERR No samples available for event '{name}'")))?;
    let samples: Vec<(i64, u64)> = event.samples.iter().copied().collect();
    let high = samples.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
    let low = samples.iter().map(|(_, ms)| *ms).min().unwrap_or(0);
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.worst_ms,
        "-".repeat(80)
    );
    let height = |ms: u64| {
        if high == low { 1 } else { 1 + ((ms - low) * (ROWS as u64 - 1) / (high - low)) as usize }
    };
    for row in (1..=ROWS).rev() {
        let line: String = samples
            .iter()
            .map(|(_, ms)| match height(*ms) {
                top if top == row => '_',
                top if top > row => '|',
                _ => ' ',
            })
            .collect();
        let _ = writeln!(text, "{line}");
    }
    let now = ringfort_net::clock::wall_clock_ms() / 1000;
    let ages: Vec<String> = samples.iter().map(|(at_s, _)| age(now - at_s)).collect();
    for row in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        let line: String = ages.iter().map(|age| age.chars().nth(row).unwrap_or(' ')).collect();
        let _ = writeln!(text, "{line}");
    }
    Ok(client.reply(|reply| reply.verbatim("txt", &text)))
}

/// Seconds as the largest whole unit: 5s, 3m, 2h, 1d.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

async fn doctor(client: &Client) -> Vec<u8> {
    let monitor = monitor(client).await;
    let mut text = String::new();
    if client.core.borrow().settings.latency_ms == 0 {
        text.push_str(
            "The latency monitor is off. CONFIG SET latency-monitor-threshold <milliseconds> switches it on.\n",
        );
    } else if monitor.events.is_empty() {
        text.push_str("No latency spike was seen while the monitor was on.\n");
    } else {
        text.push_str("Latency spikes were seen:\n\n");
        for (at, (name, event)) in monitor.events.iter().enumerate() {
            let count = event.samples.len() as u64;
            let average = event.samples.iter().map(|(_, ms)| ms).sum::<u64>() / count.max(1);
            let _ = writeln!(
                text,
                "{}. {name}: {count} latency spikes (average {average}ms). Worst all time event {}ms.",
                at + 1,
                event.worst_ms
            );
        }
        text.push_str(
            "\nSLOWLOG GET names the commands that took long; INFO ringfort shows how the cores share the work.\n",
        );
    }
    client.reply(|reply| reply.verbatim("txt", &text))
}

/// Per command the calls and, cumulatively, how many took at most so many microseconds.
async fn histogram(client: &Client, args: &OwnedArgs) -> Vec<u8> {
    let parts = on_all_cores(&client.core, |core: &mut Core| core.command_stats.clone()).await;
    let mut stats = CommandStats::new();
    parts.iter().for_each(|part| stats.merge(part));
    let asked = args.args().from(2);
    let mut specs: Vec<&'static command::Spec> = Vec::new();
    if asked.is_empty() {
        specs.extend(table::ALL.iter());
    }
    for name in asked.iter() {
        match command::lookup::lookup_full(name) {
            // A container stands for all its subcommands.
            Some(spec) if spec.is_container() => specs.extend(spec.subcommands()),
            Some(spec) => specs.push(spec),
            None => {}
        }
    }
    specs.retain(|spec| !stats.commands[spec.id()].histogram.is_empty());
    client.reply(|reply| {
        reply.map(specs.len());
        for spec in &specs {
            let counter = &stats.commands[spec.id()];
            reply.text(spec.name);
            reply.map(2);
            reply.text("calls");
            reply.int(counter.calls as i64);
            reply.text("histogram_usec");
            let buckets = counter.histogram_us();
            reply.map(buckets.len());
            for (us, calls) in buckets {
                reply.int(us as i64);
                reply.int(calls as i64);
            }
        }
    })
}
