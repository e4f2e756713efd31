//! From a configuration to running cores, and back.

use std::cell::RefCell;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ringfort_net::{Ring, RingOptions, cpu, listen, mesh};

use crate::config::{Config, Loaded};
use crate::core::Core;
use crate::message::Message;
use crate::replication;
use crate::shared::Shared;
use crate::startup::{self, Listening};
use crate::tasks::CoreHandle;
use crate::{alloc, reactor};

/// Descriptors the node needs besides those of its clients, per core and in all.
const FILES_PER_CORE: u64 = 24;
pub const FILES_RESERVED: u64 = 64;

/// Messages that fit into the lane between two cores.
const LANE_MESSAGES: usize = 1024;

/// Runs the node until it is shut down.
pub fn serve(mut loaded: Loaded) -> ExitCode {
    let cpus = match cpu::allowed_cpus() {
        Ok(cpus) => cpus,
        Err(error) => return fail(format_args!("Can't ask for the allowed CPUs: {error}")),
    };
    let shards = match loaded.config.sharding.shards as usize {
        0 => cpus.len(),
        shards => shards,
    };
    if shards > ringfort_core::sequencer::SHARDS_MAX {
        eprintln!("ringfort: at most {} shards", ringfort_core::sequencer::SHARDS_MAX);
        return ExitCode::FAILURE;
    }
    let reserved = FILES_RESERVED + shards as u64 * FILES_PER_CORE;
    let Ok(process) = startup::begin(&loaded, reserved) else {
        return ExitCode::FAILURE;
    };
    if let Err(error) = cpu::check_system() {
        return fail(format_args!("{error}"));
    }
    loaded.config.clients.maxclients = process.maxclients;
    if shards > cpus.len() {
        // A spinning core would keep another shard's thread from running.
        loaded.config.sharding.io_spin_us = 0;
    }
    startup::announce_running(&loaded.config, shards, &cpus);
    let (listeners, listening) = match open_listeners(&loaded.config) {
        Ok(opened) => opened,
        Err(()) => return ExitCode::FAILURE,
    };
    startup::announce_initialized();
    ringfort_net::Ticks::calibrate();

    let shared = Arc::new(Shared::new(
        shards,
        random_seeds(),
        [random_hex(), random_hex()],
        ringfort_net::clock::wall_clock_ms(),
        process.signals.clone(),
    ));
    if let Some((host, port)) = &loaded.config.replication.replicaof.0 {
        shared.replication.begin_as_replica(host.to_string(), *port);
    }
    let mailboxes = match mesh::<Message>(shards, LANE_MESSAGES) {
        Ok(mailboxes) => mailboxes,
        Err(error) => return fail(format_args!("Can't make the mailboxes of the cores: {error}")),
    };
    let wakers: Vec<_> = mailboxes.iter().map(|mailbox| mailbox.waker().clone()).collect();
    process.signals.on_shutdown(move |_| wakers.iter().for_each(ringfort_net::Waker::wake));
    shared.base_memory_bytes.store(alloc::thread_bytes() as i64, Relaxed);
    let mut listeners = Some(listeners);
    let (loading, loaded_all) = mpsc::channel();
    let starts = mailboxes
        .into_iter()
        .enumerate()
        .map(|(id, mailbox)| {
            let (shared, config) = (shared.clone(), loaded.config.clone());
            let loading = loading.clone();
            // Core 0 accepts and deals.
            let listeners = if id == 0 { listeners.take().unwrap_or_default() } else { Vec::new() };
            move || async move {
                let mut ring =
                    Ring::new(RingOptions::default()).map_err(|error| error.to_string())?;
                for (listener, socket) in listeners.into_iter().enumerate() {
                    ring.listen(listener, socket);
                }
                let core = Core::new(id, shared, config, ring, mailbox);
                let handle = Rc::new(RefCell::new(core));
                keep_time(&handle);
                if id == 0 {
                    let begun = begin(Rc::clone(&handle), loading);
                    handle.borrow_mut().new_tasks.push(Box::pin(begun));
                }
                reactor::run(handle).await.map_err(|error| error.to_string())
            }
        })
        .collect();
    let cores = match cpu::spawn_cores(&cpu::CoreOptions::default(), starts) {
        Ok(cores) => cores,
        Err(error) => return fail(format_args!("{error}")),
    };
    // Clients come already, and are told to wait. Without an answer the cores went down before.
    drop(loading);
    let began = loaded_all.recv().unwrap_or(Ok(()));
    if began.is_ok() && !shared.shutting_down.load(Relaxed) {
        process.ready(listening);
    }
    let results: Vec<Result<(), String>> = cores
        .join()
        .into_iter()
        .map(|result| result.unwrap_or_else(|error| Err(error.to_string())))
        .collect();
    process.stopping();
    let mut code = ExitCode::SUCCESS;
    if let Err(error) = began {
        code =
            fail(format_args!("Fatal error loading the DB, check server logs. Exiting: {error}"));
    }
    for (core, error) in results.into_iter().enumerate().filter_map(|(at, r)| Some((at, r.err()?)))
    {
        code = fail(format_args!("Core {core} stopped: {error}"));
    }
    process.end();
    code
}

/// The first thing that core 0 does: loads what was saved, then follows the primary it was told to follow.
async fn begin(core: CoreHandle, loaded: mpsc::Sender<Result<(), String>>) {
    core.borrow().update_restrictions();
    let result = replication::load_at_start(&core).await;
    if result.is_err() {
        core.borrow().shared.shutting_down.store(true, Relaxed);
        core.borrow_mut().post_all(|core| core.stopped = true);
    } else {
        let primary = core.borrow().config.replication.replicaof.0.clone();
        if let Some((host, port)) = primary {
            replication::follow(&core, host.to_string(), port, false).await;
        }
    }
    // Nobody listens any more if the node is going down.
    let _ = loaded.send(result);
}

fn fail(text: std::fmt::Arguments) -> ExitCode {
    crate::warning!("{text}");
    ExitCode::FAILURE
}

/// A timer that wakes an idle core for its periodic work.
fn keep_time(handle: &Rc<RefCell<Core>>) {
    let core = Rc::downgrade(handle);
    glommio::spawn_local(async move {
        loop {
            let Some(period) = core.upgrade().map(|core| core.borrow().cron_period()) else {
                return;
            };
            glommio::timer::sleep(Duration::from_micros(period)).await;
            let Some(core) = core.upgrade() else {
                return;
            };
            core.borrow().mailbox.waker().wake();
        }
    })
    .detach();
}

/// All sockets to accept on, TCP first.
fn open_listeners(config: &Config) -> Result<(Vec<OwnedFd>, Listening), ()> {
    let network = &config.network;
    let backlog = network.tcp_backlog.min(i32::MAX as u32) as i32;
    let mut sockets = Vec::new();
    if network.port != 0 {
        for address in network.bind.addresses() {
            match listen::listen_tcp(&address.host, network.port, backlog) {
                Ok(socket) => sockets.push(socket),
                Err(error) if address.optional && error.is_unavailable() => {}
                Err(error) => {
                    crate::warning!("{error}");
                    startup::failed_listening(network.port, "tcp");
                    return Err(());
                }
            }
        }
        if sockets.is_empty() && !network.bind.is_empty() {
            startup::failed_listening(network.port, "tcp");
            return Err(());
        }
    }
    let tcp = !sockets.is_empty();
    let unix = !network.unixsocket.is_empty();
    if unix {
        let path = network.unixsocket.as_path();
        match listen::listen_unix(path, network.unixsocketperm, backlog) {
            Ok(socket) => sockets.push(socket),
            Err(error) => {
                crate::warning!("Failed opening Unix socket: {error}");
                return Err(());
            }
        }
    }
    Ok((sockets, Listening { tcp, unix }))
}

fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("/dev/urandom can be read");
    bytes
}

fn random_seeds() -> [u64; 4] {
    let bytes = random_bytes::<32>();
    std::array::from_fn(|at| {
        u64::from_ne_bytes(bytes[at * 8..at * 8 + 8].try_into().expect("eight"))
    })
}

/// A name for a new history.
pub fn random_replid() -> ringfort_replication::identity::Replid {
    ringfort_replication::identity::Replid::from_random(random_bytes())
}

/// Forty hex digits.
pub fn random_hex() -> String {
    random_bytes::<20>().iter().map(|byte| format!("{byte:02x}")).collect()
}
