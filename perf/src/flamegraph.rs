//! A profile of the node under load as a flame graph: `perf record` samples the server process while our own
//! load runs against it, `perf script` prints the stacks, inferno folds and draws them.
//!
//! Stacks are walked by frame pointers, so the node must be built with them
//! (`RUSTFLAGS="-C force-frame-pointers=yes"`). The load runs on another CPU and is not in the picture.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options as FoldOptions};
use inferno::flamegraph::color::{MultiPalette, Palette};
use inferno::flamegraph::{self, Options as DrawOptions};

use crate::error::Failure;
use crate::generator;
use crate::inlined::Inlined;
use crate::keys::{KeyShape, fill};
use crate::machine;
use crate::server::{Program, Server, find_on_path};
use crate::tools::Load;

/// What to profile.
pub struct Plan {
    pub load: Load,
    pub seconds: f64,
    pub server_cpu: usize,
    pub load_cpu: usize,
    pub ringfort_arguments: Vec<String>,
    /// Where intermediate files go.
    pub work_folder: PathBuf,
    pub out: PathBuf,
}

/// Profiles and draws; returns how many samples the picture is made of.
pub fn run(plan: &Plan, program: &Program) -> Result<u64, Failure> {
    if find_on_path("perf").is_none() {
        return Err(Failure::Setup("perf is not on PATH (Debian: linux-perf)".to_owned()));
    }
    machine::pin_to(&[plan.load_cpu])?;
    let mut arguments: Vec<&str> = Vec::new();
    if program.is_ringfort {
        arguments.extend(["--shards", "1"]);
    }
    arguments.extend(plan.ringfort_arguments.iter().map(String::as_str));
    let server = Server::start(program, &[plan.server_cpu], &arguments)?;
    fill(&mut server.client()?, KeyShape::Benchmark, plan.load.keys, plan.load.value_bytes)?;

    fs::create_dir_all(&plan.work_folder).map_err(Failure::path("creating", &plan.work_folder))?;
    let data = plan.work_folder.join("perf.data");
    let recording = record(server.pid, &data, plan.seconds)?;
    // perf needs a moment to attach; the load lasts longer than the recording at both ends.
    let load_for = Duration::from_secs_f64(plan.seconds + 1.0);
    let measured =
        generator::run(&plan.load, server.port, Some(server.pid), Duration::ZERO, load_for);
    wait(recording, "perf record")?;
    let measured = measured?;
    let title = format!(
        "{} {}, {} pipeline {}, {} connections: {:.0} requests/s, {:.2} µs CPU per request",
        server.name,
        server.version,
        plan.load.verb.name(),
        plan.load.pipeline,
        plan.load.connections,
        measured.requests_per_second,
        measured.cpu_us_per_request.unwrap_or(f64::NAN),
    );
    drop(server);

    let folded = fold(&data, &plan.work_folder, Path::new(&program.command[0]))?;
    let samples = draw(&folded, &title, &plan.out)?;
    Ok(samples)
}

fn record(pid: u32, data: &Path, seconds: f64) -> Result<Child, Failure> {
    Command::new("perf")
        .args(["record", "--quiet", "--freq", "1999", "--call-graph", "fp", "--pid"])
        .arg(pid.to_string())
        .arg("--output")
        .arg(data)
        .args(["--", "sleep", &seconds.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(Failure::io("starting perf record"))
}

fn wait(mut child: Child, name: &str) -> Result<(), Failure> {
    let status = child.wait().map_err(Failure::io(format!("waiting for {name}")))?;
    if status.success() { Ok(()) } else { Err(Failure::tool(name, format!("ended with {status}"))) }
}

/// Stacks, one per line with its count, from recorded data.
fn fold(data: &Path, work_folder: &Path, program: &Path) -> Result<Vec<u8>, Failure> {
    let stacks_path = work_folder.join("perf.stacks");
    let stacks = fs::File::create(&stacks_path).map_err(Failure::path("creating", &stacks_path))?;
    let script = Command::new("perf")
        .args(["script", "--fields", "comm,pid,tid,time,event,ip,sym,dso", "--input"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(stacks)
        .stderr(Stdio::null())
        .spawn()
        .map_err(Failure::io("starting perf script"))?;
    wait(script, "perf script")?;
    let stacks = fs::File::open(&stacks_path).map_err(Failure::path("opening", &stacks_path))?;
    let mut expanded = Vec::new();
    Inlined::open(program)?
        .expand(BufReader::new(stacks), &mut expanded)
        .map_err(Failure::path("reading", &stacks_path))?;
    fold_stacks(&*expanded)
}

fn fold_stacks(stacks: impl std::io::BufRead) -> Result<Vec<u8>, Failure> {
    let mut options = FoldOptions::default();
    options.annotate_kernel = true;
    let mut folded = Vec::new();
    Folder::from(options)
        .collapse(stacks, &mut folded)
        .map_err(Failure::io("folding the stacks"))?;
    Ok(folded)
}

fn draw(folded: &[u8], title: &str, out: &Path) -> Result<u64, Failure> {
    let text = String::from_utf8_lossy(folded);
    let samples = count_samples(&text);
    if samples == 0 {
        return Err(Failure::tool("perf", "no samples were recorded"));
    }
    let mut options = DrawOptions::default();
    options.title = title.to_owned();
    // Kernel functions orange, Rust's yellow, others red.
    options.colors = Palette::Multi(MultiPalette::Java);
    options.count_name = "samples".to_owned();
    options.notes = format!("{}, kernel {}", machine::today(), machine::Machine::describe().kernel);
    let mut picture = Vec::new();
    flamegraph::from_lines(&mut options, text.lines(), &mut picture)
        .map_err(Failure::io("drawing the flame graph"))?;
    fs::write(out, picture).map_err(Failure::path("writing", out))?;
    Ok(samples)
}

/// Sum of the counts at the ends of folded lines.
fn count_samples(folded: &str) -> u64 {
    folded.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACKS: &str = "\
ringfort 4242/4242 12.500000: cycles:
\tffffffff81000001 __sys_sendmsg ([kernel.kallsyms])
\t    55d000001000 ringfort_net::round (/x/ringfort)
\t    55d000000800 main (/x/ringfort)

ringfort 4242/4242 12.501000: cycles:
\t    55d000001000 ringfort_net::round (/x/ringfort)
\t    55d000000800 main (/x/ringfort)

";

    #[test]
    fn stacks_are_folded_with_the_root_first_and_the_kernel_marked() {
        let folded = String::from_utf8(fold_stacks(STACKS.as_bytes()).unwrap()).unwrap();
        assert!(
            folded.contains("ringfort;main;ringfort_net::round;__sys_sendmsg_[k] 1"),
            "{folded}"
        );
        assert_eq!(count_samples(&folded), 2);
    }

    #[test]
    fn nothing_recorded_is_an_error_and_writes_no_picture() {
        let out = std::env::temp_dir().join("ringfort-perf-no-picture.svg");
        assert!(draw(b"", "title", &out).is_err());
        assert!(!out.exists());
    }
}
