//! The `ringfort` binary: reads the configuration, opens the listeners, starts the cores, waits for them.

mod accept;
mod alloc;
mod client;
mod client_commands;
mod client_eviction;
mod command_stats;
mod config;
mod connection;
mod core;
mod cron;
mod dispatch;
mod exec;
mod execute;
mod file_sink;
mod flush;
mod input;
mod key_wait;
mod log;
mod lolwut;
mod message;
mod monitor;
mod multi_shard;
mod node_commands;
mod pause;
mod pubsub;
mod reactor;
mod replication;
mod session_commands;
mod settings;
mod shared;
mod slow;
mod start;
mod startup;
mod tasks;
mod transaction;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

fn main() -> ExitCode {
    // A core that panics must not leave the others waiting for it.
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
    match config::from_args(std::env::args_os().skip(1)) {
        Err(error) => {
            eprint!("{error}");
            ExitCode::FAILURE
        }
        Ok(config::Invocation::Version) => {
            print!("{}", startup::version_line());
            ExitCode::SUCCESS
        }
        Ok(config::Invocation::Help) => {
            print!("{}", config::HELP);
            ExitCode::SUCCESS
        }
        Ok(config::Invocation::Serve(loaded)) => start::serve(*loaded),
    }
}
