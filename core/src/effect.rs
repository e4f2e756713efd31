//! Effects: what a replica must run to reach the state that a write command left behind.
//!
//! A command hands each effect to the shard's [`Effects`]; the node appends them to the replication log.
//! Where nobody listens (`enabled` is false) an effect costs one branch.
//!
//! Rules: an effect is deterministic (expiry as an absolute time, a random choice as its outcome), it is
//! spelled with commands and options that Redis 7.0 knows, and a command that changed nothing has none.

use crate::args::Args;

/// The effects of the commands a shard ran since they were last taken, in order, as RESP commands.
#[derive(Debug, Default)]
pub struct Effects {
    pub enabled: bool,
    bytes: Vec<u8>,
    /// (database, end in `bytes`) of each command.
    ends: Vec<(u32, usize)>,
}

impl Effects {
    /// The command as the client sent it.
    #[inline]
    pub fn verbatim(&mut self, db: usize, args: &Args) {
        if self.enabled {
            match args.frame() {
                Some(frame) => self.append_frame(db, frame),
                None => self.append(db, args.iter()),
            }
        }
    }

    /// A command put together from `parts`.
    #[inline]
    pub fn command(&mut self, db: usize, parts: &[&[u8]]) {
        if self.enabled {
            self.append(db, parts.iter().copied());
        }
    }

    #[inline(never)]
    fn append_frame(&mut self, db: usize, frame: &[u8]) {
        self.bytes.extend_from_slice(frame);
        self.ends.push((db as u32, self.bytes.len()));
    }

    /// Out of line, so that a command of a node without replicas carries only the branch.
    #[inline(never)]
    fn append<'p>(&mut self, db: usize, parts: impl ExactSizeIterator<Item = &'p [u8]> + Clone) {
        /// The longest length line, with its `$` and line end, and the line end behind the part.
        const FRAME_BYTES_MAX: usize = 25;
        let count = parts.len();
        let bytes: usize = parts.clone().map(|part| part.len() + FRAME_BYTES_MAX).sum();
        self.bytes.reserve(bytes + FRAME_BYTES_MAX);
        push_line(&mut self.bytes, b'*', count);
        for part in parts {
            push_line(&mut self.bytes, b'$', part.len());
            self.bytes.extend_from_slice(part);
            self.bytes.extend_from_slice(b"\r\n");
        }
        self.ends.push((db as u32, self.bytes.len()));
    }

    /// (database, RESP command) of each effect, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(db, end)| {
            let command = &self.bytes[start..end];
            start = end;
            (db as usize, command)
        })
    }

    /// The same, neighbours in one database together: (database, RESP commands).
    pub fn runs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut start = 0;
        self.ends.chunk_by(|(one, _), (next, _)| one == next).map(move |run| {
            let (database, end) = run[run.len() - 1];
            let commands = &self.bytes[start..end];
            start = end;
            (database as usize, commands)
        })
    }

    /// How many commands there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Moves all effects out; whether somebody listens stays.
    pub fn take(&mut self) -> Effects {
        Effects {
            enabled: self.enabled,
            bytes: std::mem::take(&mut self.bytes),
            ends: std::mem::take(&mut self.ends),
        }
    }

    /// Appends effects that arose elsewhere.
    pub fn append_all(&mut self, later: Effects) {
        if self.is_empty() {
            (self.bytes, self.ends) = (later.bytes, later.ends);
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&later.bytes);
        self.ends.extend(later.ends.iter().map(|&(database, end)| (database, start + end)));
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// A type byte, a number, a line end. Nearly all numbers have one digit or two.
#[inline]
fn push_line(out: &mut Vec<u8>, kind: u8, number: usize) {
    match number {
        0..10 => out.extend_from_slice(&[kind, b'0' + number as u8, b'\r', b'\n']),
        10..100 => {
            let (tens, ones) = (b'0' + (number / 10) as u8, b'0' + (number % 10) as u8);
            out.extend_from_slice(&[kind, tens, ones, b'\r', b'\n']);
        }
        _ => {
            out.push(kind);
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_kept_in_order_only_when_somebody_listens() {
        let mut effects = Effects::default();
        effects.command(0, &[b"DEL", b"a"]);
        assert!(effects.is_empty());
        effects.enabled = true;
        effects.command(0, &[b"DEL", b"a"]);
        effects.command(3, &[b"PING"]);
        let all: Vec<_> = effects.iter().collect();
        assert_eq!(
            all,
            [(0, &b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n"[..]), (3, b"*1\r\n$4\r\nPING\r\n")]
        );
        effects.command(3, &[b"PING"]);
        let runs: Vec<_> = effects.runs().map(|(db, bytes)| (db, bytes.len())).collect();
        assert_eq!((runs, effects.len()), (vec![(0, 20), (3, 28)], 3));
    }
}
