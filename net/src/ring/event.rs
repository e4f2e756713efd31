//! What goes into a ring and comes out of it: its sizes, its events, its errors.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use crate::buffers::ReceiveBuffer;

/// Sizes of a ring.
#[derive(Clone, Copy, Debug)]
pub struct RingOptions {
    /// Submission queue entries, a power of two. More operations than this in one round cost a further enter.
    pub entries: u32,
    /// Receive buffers of the core, a power of two up to 32,768.
    pub buffers: u16,
    /// Bytes of one receive buffer: the most that one [`Event::Received`] carries.
    pub buffer_bytes: u32,
    /// Pieces of [`Ring::send_pieces`](super::Ring::send_pieces) at least so long on average are sent without the
    /// kernel copying them, where the network can do that. 0 or `usize::MAX`: never.
    ///
    /// Below 8 to 16 KiB, pinning the pages and the second completion cost more than the copy, by what others measured
    /// (compio's issue 771); over loopback the kernel always copies.
    pub zero_copy_bytes_min: usize,
}

impl Default for RingOptions {
    fn default() -> Self {
        RingOptions {
            entries: 1024,
            buffers: 512,
            buffer_bytes: 8 * 1024,
            zero_copy_bytes_min: 16 * 1024,
        }
    }
}

/// The node's name for a connection; the ring only hands it back.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Token(pub u64);

/// Why nothing more will be received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// The peer closed its sending side.
    Eof,
    /// The socket failed with this errno.
    Errno(i32),
}

/// What a round brought.
#[derive(Debug)]
pub enum Event {
    /// A connection on the listener of that number. Not attached yet: it may go to another core.
    Accepted { listener: usize, socket: OwnedFd },
    /// Accepting failed with this errno (out of descriptors, say); it is tried again after 100 ms.
    AcceptFailed { listener: usize, errno: i32 },
    /// Bytes, in order. Frames may be cut anywhere.
    Received { token: Token, buffer: ReceiveBuffer },
    /// Nothing more will be received. Once per connection; the connection is still to be closed.
    Ended { token: Token, reason: EndReason },
    /// The send is over: the whole buffer is with the kernel, or an error (some of it may have been sent, the
    /// connection is useless). The buffer comes back for reuse.
    Sent { token: Token, buffer: Vec<u8>, result: io::Result<()> },
    /// The send of pieces is over, as with `Sent`, and the pieces are dropped.
    PiecesSent { token: Token, result: io::Result<()> },
}

/// Why a ring could not be made.
#[derive(Debug)]
pub enum RingError {
    /// The kernel lacks an operation we need.
    KernelTooOld(io::Error),
    /// io_uring is switched off: by sysctl, seccomp profile, or build.
    Refused(io::Error),
    /// The limit on locked memory is too low.
    LockedMemory(io::Error),
    /// Anything else.
    Other(io::Error),
}

impl RingError {
    pub(crate) fn from_setup(error: io::Error) -> RingError {
        match error.raw_os_error() {
            Some(libc::EINVAL) => RingError::KernelTooOld(error),
            Some(libc::EPERM | libc::EACCES | libc::ENOSYS) => RingError::Refused(error),
            Some(libc::ENOMEM) => RingError::LockedMemory(error),
            _ => RingError::Other(error),
        }
    }
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RingError::KernelTooOld(error) => write!(
                f,
                "the kernel does not know the io_uring features this needs ({error}); Linux 6.1 or newer is required"
            ),
            RingError::Refused(error) => write!(
                f,
                "io_uring is not permitted here ({error}); set the sysctl kernel.io_uring_disabled to 0, and in a \
                 container use a seccomp profile that allows io_uring_setup, io_uring_enter and io_uring_register"
            ),
            RingError::LockedMemory(error) => write!(
                f,
                "not enough memory may be locked for io_uring ({error}); raise the limit: ulimit -l, LimitMEMLOCK= \
                 of a systemd unit, or --ulimit memlock=-1 of a container"
            ),
            RingError::Other(error) => write!(f, "io_uring could not be set up: {error}"),
        }
    }
}

impl std::error::Error for RingError {}
