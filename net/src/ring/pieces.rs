//! A list of pieces on its way to one socket, sent from where they lie (`IORING_OP_SENDMSG`, `IORING_OP_SENDMSG_ZC`;
//! sendmsg(2), io_uring_enter(2)).
//!
//! The kernel reads the message header and the vectors when it takes the operation, and the pieces until its last
//! completion: for a zero-copy operation that is the notification, when the peer acknowledged the bytes. All of it is
//! one boxed [`PieceSend`], owned by the connection and left alone meanwhile.
//!
//! Absent: the socket, and what is done about an error; see `send.rs`.

use std::ptr;

use bytes::Bytes;
use io_uring::cqueue;

use super::send::SEND_BYTES_MAX;

/// The most vectors that sendmsg(2) takes (UIO_MAXIOV).
const VECTORS_MAX: usize = 1024;

/// In a notification: the kernel made a copy after all (IORING_NOTIF_USAGE_ZC_COPIED).
const NOTIFICATION_COPIED: u32 = 1 << 31;

/// See the file head.
pub(super) struct PieceSend {
    pieces: Vec<Bytes>,
    /// The first piece that has not been sent whole.
    next: usize,
    /// How much of that one has been.
    next_sent_bytes: usize,
    message: libc::msghdr,
    vectors: Vec<libc::iovec>,
    operation: PieceOperation,
}

/// The operation in flight.
#[derive(Default)]
struct PieceOperation {
    zero_copy: bool,
    result: Option<i32>,
    /// No notification is to come any more.
    notified: bool,
    copied: bool,
}

/// How an operation ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PieceOutcome {
    /// Bytes, or a negative errno.
    pub(super) result: i32,
    /// The operation was one without a copy.
    pub(super) zero_copy: bool,
    /// It was, and the kernel made a copy all the same.
    pub(super) copied: bool,
}

impl PieceSend {
    pub(super) fn new() -> PieceSend {
        let message = libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        };
        PieceSend {
            pieces: Vec::new(),
            next: 0,
            next_sent_bytes: 0,
            message,
            vectors: Vec::new(),
            operation: PieceOperation::default(),
        }
    }

    pub(super) fn start(&mut self, pieces: Vec<Bytes>) {
        self.pieces = pieces;
        self.next = 0;
        self.next_sent_bytes = 0;
    }

    /// Lets go of the pieces; the memory of the vectors stays.
    pub(super) fn clear(&mut self) {
        self.start(Vec::new());
    }

    /// Names what one operation can take of the rest, without a copy if its pieces have at least `zero_copy_bytes_min`
    /// bytes on average. Returns the message for the kernel and whether it is to be sent without a copy.
    ///
    /// The message points into `self` and into the pieces: valid until one of them is moved, changed or dropped.
    pub(super) fn prepare(&mut self, zero_copy_bytes_min: usize) -> (*const libc::msghdr, bool) {
        self.vectors.clear();
        let mut bytes = 0;
        let mut from = self.next_sent_bytes;
        for piece in &self.pieces[self.next..] {
            let rest = &piece[std::mem::take(&mut from)..];
            if self.vectors.len() == VECTORS_MAX || bytes == SEND_BYTES_MAX {
                break;
            }
            if rest.is_empty() {
                continue;
            }
            let taken = rest.len().min(SEND_BYTES_MAX - bytes);
            self.vectors.push(libc::iovec { iov_base: rest.as_ptr() as *mut _, iov_len: taken });
            bytes += taken;
        }
        self.message.msg_iov = self.vectors.as_mut_ptr();
        self.message.msg_iovlen = self.vectors.len();
        let average = bytes.checked_div(self.vectors.len());
        let zero_copy = average.is_some_and(|average| average >= zero_copy_bytes_min);
        self.operation =
            PieceOperation { zero_copy, notified: !zero_copy, ..PieceOperation::default() };
        (&raw const self.message, zero_copy)
    }

    /// Takes one completion of the operation; the last one gives the outcome.
    pub(super) fn complete(&mut self, result: i32, flags: u32) -> Option<PieceOutcome> {
        let operation = &mut self.operation;
        if cqueue::notif(flags) {
            operation.notified = true;
            operation.copied = result as u32 & NOTIFICATION_COPIED != 0;
        } else {
            operation.result = Some(result);
            // What failed early has no notification.
            operation.notified |= !cqueue::more(flags);
        }
        if !operation.notified {
            return None;
        }
        operation.result.map(|result| PieceOutcome {
            result,
            zero_copy: operation.zero_copy,
            copied: operation.copied,
        })
    }

    /// The socket has everything and is no longer needed; its peer has not yet acknowledged all.
    pub(super) fn awaits_only_notification(&self) -> bool {
        self.operation.result.is_some() && !self.operation.notified
    }

    pub(super) fn is_zero_copy(&self) -> bool {
        self.operation.zero_copy
    }

    /// Goes on behind the next `bytes`. Returns true if nothing is left.
    pub(super) fn advance(&mut self, mut bytes: usize) -> bool {
        while let Some(piece) = self.pieces.get(self.next) {
            let rest = piece.len() - self.next_sent_bytes;
            if bytes < rest {
                self.next_sent_bytes += bytes;
                return false;
            }
            bytes -= rest;
            self.next += 1;
            self.next_sent_bytes = 0;
        }
        debug_assert_eq!(bytes, 0, "more sent than there was");
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MORE: u32 = 1 << 1;
    const NOTIFICATION: u32 = 1 << 3;

    /// Sends pieces of these lengths to a kernel that takes `taken_max` bytes per operation; returns the operations'
    /// vectors' lengths.
    fn check(lengths: &[usize], taken_max: usize) -> Vec<Vec<usize>> {
        let mut byte = 0u8;
        let pieces: Vec<Bytes> = lengths
            .iter()
            .map(|&length| {
                (0..length)
                    .map(|_| {
                        byte = byte.wrapping_add(1);
                        byte
                    })
                    .collect()
            })
            .collect();
        let expected = pieces.concat();
        let mut send = PieceSend::new();
        send.start(pieces);
        let mut sent = Vec::new();
        let mut operations = Vec::new();
        loop {
            send.prepare(usize::MAX);
            let mut room = taken_max;
            for vector in &send.vectors {
                // SAFETY: `prepare` made it of a piece, and the pieces are untouched since.
                let bytes = unsafe {
                    std::slice::from_raw_parts(vector.iov_base.cast::<u8>(), vector.iov_len)
                };
                let taken = bytes.len().min(room);
                sent.extend_from_slice(&bytes[..taken]);
                room -= taken;
            }
            operations.push(send.vectors.iter().map(|vector| vector.iov_len).collect());
            if send.advance(taken_max - room) {
                assert_eq!(sent, expected);
                return operations;
            }
        }
    }

    #[test]
    fn goes_on_where_the_kernel_stopped() {
        assert_eq!(check(&[3, 4], 100), [vec![3, 4]]);
        assert_eq!(check(&[3, 4], 3), [vec![3, 4], vec![4], vec![1]]);
        assert_eq!(check(&[3, 4], 2), [vec![3, 4], vec![1, 4], vec![3], vec![1]]);
        assert_eq!(check(&[3], 1).len(), 3);
    }

    #[test]
    fn empty_pieces_take_no_vector() {
        assert_eq!(check(&[], 1), [Vec::<usize>::new()]);
        assert_eq!(check(&[0, 0], 1), [Vec::<usize>::new()]);
        assert_eq!(check(&[0, 2, 0, 1, 0], 2), [vec![2, 1], vec![1]]);
    }

    #[test]
    fn more_vectors_than_an_operation_takes_follow_in_the_next() {
        let operations = check(&[1; VECTORS_MAX * 2 + 1], usize::MAX >> 1);
        assert_eq!(operations.iter().map(Vec::len).collect::<Vec<_>>(), [1024, 1024, 1]);
    }

    #[test]
    fn zero_copy_is_for_long_pieces_on_average() {
        let zero_copy = |lengths: &[usize], min| {
            let mut send = PieceSend::new();
            send.start(lengths.iter().map(|&length| vec![0; length].into()).collect());
            send.prepare(min).1
        };
        assert!(zero_copy(&[10, 30], 20));
        assert!(!zero_copy(&[10, 29], 20));
        assert!(!zero_copy(&[1000], usize::MAX));
        assert!(!zero_copy(&[], 20));
        assert!(!zero_copy(&[0], 20));
    }

    #[test]
    fn outcome_waits_for_the_last_completion() {
        let operation = |min| {
            let mut send = PieceSend::new();
            send.start(vec![Bytes::from_static(b"piece")]);
            send.prepare(min);
            send
        };
        let outcome = |result, zero_copy, copied| Some(PieceOutcome { result, zero_copy, copied });

        assert_eq!(operation(usize::MAX).complete(5, 0), outcome(5, false, false));

        let mut send = operation(1);
        assert_eq!(send.complete(5, MORE), None);
        assert!(send.awaits_only_notification());
        assert_eq!(send.complete(0, NOTIFICATION), outcome(5, true, false));

        let mut send = operation(1);
        assert_eq!(send.complete(5, MORE), None);
        assert_eq!(send.complete(i32::MIN, NOTIFICATION), outcome(5, true, true));

        // The other way round, which the kernel does not promise to avoid.
        let mut send = operation(1);
        assert_eq!(send.complete(0, NOTIFICATION), None);
        assert!(!send.awaits_only_notification());
        assert_eq!(send.complete(5, MORE), outcome(5, true, false));

        // Refused before it began.
        assert_eq!(operation(1).complete(-libc::EINVAL, 0), outcome(-libc::EINVAL, true, false));
    }
}
