//! Pinned cores: which CPUs we may use, and one glommio executor on each.
//!
//! Absent: what a core does.

use std::fmt;
use std::future::Future;
use std::io;

use glommio::{ExecutorJoinHandle, GlommioError, LocalExecutorBuilder, Placement};

use crate::ring::RingError;

/// The oldest kernel with everything the ring needs.
pub const KERNEL_MIN: (u32, u32) = (6, 1);

/// Locked memory that an executor asks for at least; less and it does not start.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;

/// Why the cores could not be started, as a text for the operator.
#[derive(Debug)]
pub enum CpuError {
    /// This kernel, by its own name, is older than [`KERNEL_MIN`].
    KernelTooOld(String),
    /// See [`RingError`].
    Ring(RingError),
    /// The limit on locked memory, in bytes.
    LockedMemory(u64),
    /// Anything else an executor says.
    Executor(String),
}

impl fmt::Display for CpuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CpuError::KernelTooOld(release) => write!(
                f,
                "this kernel is Linux {release}; {}.{} or newer is required",
                KERNEL_MIN.0, KERNEL_MIN.1
            ),
            CpuError::Ring(error) => error.fmt(f),
            CpuError::LockedMemory(limit) => write!(
                f,
                "the limit on locked memory is {} KiB, at least {} KiB are needed; raise it: ulimit -l, LimitMEMLOCK= \
                 of a systemd unit, or --ulimit memlock=-1 of a container",
                limit / 1024,
                LOCKED_BYTES_MIN / 1024
            ),
            CpuError::Executor(text) => write!(f, "a core could not be started: {text}"),
        }
    }
}

impl std::error::Error for CpuError {}

impl From<RingError> for CpuError {
    fn from(error: RingError) -> CpuError {
        CpuError::Ring(error)
    }
}

/// The CPUs this thread may run on, ascending.
pub fn allowed_cpus() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is an array of integers; all zeros is a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is ours and of the size given.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((0..libc::CPU_SETSIZE as usize)
        // SAFETY: `cpu` is below CPU_SETSIZE.
        .filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) })
        .collect())
}

/// Checks what must be right before any core starts, and raises the soft limit on locked memory to the hard one.
/// Also tries a ring, so that a kernel or container that refuses io_uring is told from everything else.
pub fn check_system() -> Result<(), CpuError> {
    let release = kernel_release();
    if let Some(version) = parse_release(&release) {
        if version < KERNEL_MIN {
            return Err(CpuError::KernelTooOld(release));
        }
    }
    let limit = raise_locked_memory().unwrap_or(u64::MAX);
    if limit < LOCKED_BYTES_MIN {
        return Err(CpuError::LockedMemory(limit));
    }
    io_uring::IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8)
        .map(|_: io_uring::IoUring| ())
        .map_err(|error| CpuError::Ring(RingError::from_setup(error)))
}

/// The running kernel's release, as `uname -r` says it.
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
        .map(|release| release.trim().to_owned())
        .unwrap_or_default()
}

/// Where and how cores run.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// Threads are called this, a dash, and a number that the executor adds.
    pub name: String,
    /// Memory each executor sets aside for files, bytes; at least 64 KiB.
    pub io_memory_bytes: usize,
}

impl Default for CoreOptions {
    fn default() -> Self {
        CoreOptions { name: "ringfort".to_owned(), io_memory_bytes: 1 << 20 }
    }
}

/// Cores that run.
pub struct Cores<T: Send + 'static> {
    handles: Vec<ExecutorJoinHandle<T>>,
}

impl<T: Send + 'static> Cores<T> {
    /// Waits until every core's future is done; their results in the order of cores. A panic on a core counts as
    /// an error of it.
    pub fn join(self) -> Vec<Result<T, CpuError>> {
        self.handles.into_iter().map(|handle| handle.join().map_err(executor_error)).collect()
    }
}

/// Starts `count` executors and runs `start(core)`'s future in each. Core n is pinned to the n-th allowed CPU;
/// with more cores than CPUs none is pinned.
///
/// `starts` holds one closure per core: it runs in the core's thread, so the future need not be `Send`.
pub fn spawn_cores<S, F, T>(options: &CoreOptions, starts: Vec<S>) -> Result<Cores<T>, CpuError>
where
    S: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let cpus = allowed_cpus().map_err(|error| CpuError::Executor(error.to_string()))?;
    let pinned = starts.len() <= cpus.len();
    let mut handles = Vec::with_capacity(starts.len());
    for (core, start) in starts.into_iter().enumerate() {
        let placement = if pinned { Placement::Fixed(cpus[core]) } else { Placement::Unbound };
        handles.push(spawn(options, placement, start)?);
    }
    Ok(Cores { handles })
}

/// Starts one executor that is not pinned, for work that must go on while the data cores are busy.
pub fn spawn_unpinned<S, F, T>(options: &CoreOptions, start: S) -> Result<Cores<T>, CpuError>
where
    S: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    Ok(Cores { handles: vec![spawn(options, Placement::Unbound, start)?] })
}

fn spawn<S, F, T>(
    options: &CoreOptions,
    placement: Placement,
    start: S,
) -> Result<ExecutorJoinHandle<T>, CpuError>
where
    S: FnOnce() -> F + Send + 'static,
    F: Future<Output = T> + 'static,
    T: Send + 'static,
{
    LocalExecutorBuilder::new(placement)
        .name(&options.name)
        .io_memory(options.io_memory_bytes)
        .spawn(start)
        .map_err(executor_error)
}

fn executor_error<E: fmt::Debug>(error: GlommioError<E>) -> CpuError {
    if let GlommioError::ReactorError(glommio::ReactorErrorKind::MemLockLimit(limit, _)) = error {
        return CpuError::LockedMemory(limit);
    }
    match error.raw_os_error() {
        Some(errno @ (libc::EPERM | libc::ENOSYS | libc::ENOMEM)) => {
            RingError::from_setup(io::Error::from_raw_os_error(errno)).into()
        }
        _ => CpuError::Executor(format!("{error}")),
    }
}

fn raise_locked_memory() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is ours and valid for writing.
    if unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: `raised` is ours and valid for reading.
        if unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raised) } == 0 {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        assert_eq!(parse_release("6.1.0-13-amd64"), Some((6, 1)));
        assert_eq!(parse_release("5.15.0"), Some((5, 15)));
        assert!(parse_release("5.15").unwrap() < KERNEL_MIN);
        assert!(parse_release("6.10-rc1").unwrap() > KERNEL_MIN);
        assert_eq!(parse_release("unknown"), None);
    }

    #[test]
    fn cores_run_on_their_cpus_and_hand_back_results() {
        check_system().unwrap();
        let cpus = allowed_cpus().unwrap();
        let starts: Vec<_> = (0..cpus.len())
            .map(|core| move || async move { (core, allowed_cpus().unwrap()) })
            .collect();
        let cores = spawn_cores(&CoreOptions::default(), starts).unwrap();
        for (core, result) in cores.join().into_iter().enumerate() {
            assert_eq!(result.unwrap(), (core, vec![cpus[core]]));
        }
    }

    #[test]
    fn more_cores_than_cpus_are_not_pinned() {
        let cpus = allowed_cpus().unwrap();
        let starts: Vec<_> =
            (0..cpus.len() + 1).map(|_| || async { allowed_cpus().unwrap() }).collect();
        let cores = spawn_cores(&CoreOptions::default(), starts).unwrap();
        for result in cores.join() {
            assert_eq!(result.unwrap(), cpus);
        }
    }
}
