//! Putting the parts of all shards together: the frame around their chunks, the order where an entry comes in several
//! parts, and the credit that the shards get back.
//!
//! Deliberately absent: what makes the cut, and how takers send.

use std::collections::VecDeque;

use bytes::Bytes;
use ringfort_core::rdb::crc64;
use ringfort_core::snapshot::{self, DatabaseSize};
use ringfort_core::store::Captured;
use ringfort_replication::rdb::writer;

use crate::core::Core;
use crate::file_sink::FileSink;
use crate::replication::serve::Waiting;

/// Puts the parts of all shards together.
pub(super) struct Gather {
    takers: Vec<Taker>,
    shards_left: usize,
    /// The shard whose last part ended in the middle of an entry, and what others brought since then.
    open: Option<usize>,
    waiting: VecDeque<Chunk>,
    /// The database that the stream stands in.
    database: Option<usize>,
    sizes: Vec<DatabaseSize>,
    sized: Vec<bool>,
    checksum: Option<u64>,
    /// Bytes handed to the takers so far.
    total_bytes: u64,
    /// (end in `total_bytes`, shard, bytes) of each chunk whose credit was not given back.
    owed: VecDeque<(u64, usize, i64)>,
    mark: [u8; 40],
    /// The call to finish when all shards have brought all.
    done: u64,
}

/// Part of a shard's part.
pub(super) struct Chunk {
    pub(super) shard: usize,
    pub(super) captured: Captured,
    /// Of its bytes, if checksums are wanted.
    pub(super) crc: u64,
}

struct Taker {
    kind: TakerKind,
    sent_bytes: u64,
    failed: bool,
}

pub(super) enum TakerKind {
    Replica(Waiting),
    File(Option<FileSink>),
}

impl Gather {
    /// `done`: the call to finish when `shards` shards have brought all. `checksum`: that of nothing, if one is wanted.
    pub(super) fn new(
        takers: Vec<TakerKind>,
        shards: usize,
        sizes: Vec<DatabaseSize>,
        checksum: Option<u64>,
        mark: [u8; 40],
        done: u64,
    ) -> Gather {
        let taker = |kind| Taker { kind, sent_bytes: 0, failed: false };
        Gather {
            takers: takers.into_iter().map(taker).collect(),
            shards_left: shards,
            open: None,
            waiting: VecDeque::new(),
            database: None,
            sized: vec![false; sizes.len()],
            sizes,
            checksum,
            total_bytes: 0,
            owed: VecDeque::new(),
            mark,
            done,
        }
    }

    /// Bytes of the frame.
    pub(super) fn write(&mut self, core: &mut Core, bytes: Vec<u8>) {
        self.checksum = self.checksum.map(|crc| crc64::checksum(crc, &bytes));
        self.hand_over(core, vec![bytes.into()], false);
    }

    fn hand_over(&mut self, core: &mut Core, pieces: Vec<Bytes>, ended: bool) {
        self.total_bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        for taker in self.takers.iter_mut().filter(|taker| !taker.failed) {
            match &taker.kind {
                TakerKind::Replica(waiting) => {
                    let (waiting, mut pieces, streamer) =
                        (waiting.clone(), pieces.clone(), core.id);
                    if ended {
                        pieces.push(self.mark.to_vec().into());
                    }
                    core.post(waiting.core, move |core| {
                        core.add_payload(&waiting, pieces, ended, streamer);
                    });
                }
                TakerKind::File(Some(sink)) => sink.write(pieces.iter().cloned()),
                TakerKind::File(None) => {}
            }
        }
        if ended {
            for taker in &mut self.takers {
                if let TakerKind::File(sink) = &mut taker.kind
                    && let Some(sink) = sink.take()
                {
                    sink.finish();
                }
            }
        }
    }

    /// Takes a chunk, for later if an entry of another shard is open.
    pub(super) fn chunk(&mut self, core: &mut Core, chunk: Chunk) {
        self.waiting.push_back(chunk);
        self.write_waiting(core);
    }

    /// Writes what may be written: all that came if no entry is open, or if nobody wants it.
    fn write_waiting(&mut self, core: &mut Core) {
        let is_wanted = self.is_wanted();
        let can_go = |open: Option<usize>, chunk: &Chunk| {
            !is_wanted || open.is_none_or(|shard| shard == chunk.shard)
        };
        while let Some(at) = self.waiting.iter().position(|chunk| can_go(self.open, chunk)) {
            let chunk = self.waiting.remove(at).expect("it was found there");
            self.open = chunk.captured.is_open.then_some(chunk.shard);
            self.write_chunk(core, chunk);
        }
        self.give_back(core);
    }

    fn is_wanted(&self) -> bool {
        self.takers.iter().any(|taker| !taker.failed)
    }

    fn write_chunk(&mut self, core: &mut Core, chunk: Chunk) {
        let Chunk { shard, captured: Captured { database, bytes, .. }, crc } = chunk;
        let length = bytes.len();
        if self.database != Some(database) {
            self.database = Some(database);
            let mut frame = Vec::new();
            writer::write_select(&mut frame, database as u32);
            if !std::mem::replace(&mut self.sized[database], true) {
                let size = self.sizes[database];
                writer::write_resize(&mut frame, size.keys, size.expiring);
            }
            self.write(core, frame);
        }
        self.checksum = self.checksum.map(|sum| crc64::combine(sum, crc, length as u64));
        self.hand_over(core, bytes.into_list(), false);
        self.owed.push_back((self.total_bytes, shard, length as i64));
    }

    /// Gives credit back for what the slowest taker has sent.
    fn give_back(&mut self, core: &mut Core) {
        let alive = self.takers.iter().filter(|taker| !taker.failed);
        let sent = alive.map(|taker| taker.sent_bytes).min().unwrap_or(u64::MAX);
        while let Some((end, shard, bytes)) = self.owed.front().copied()
            && end <= sent
        {
            self.owed.pop_front();
            core.post(shard, move |core| {
                if let Some(producer) = &mut core.snapshot.producer {
                    producer.credit += bytes;
                }
            });
        }
    }

    /// Nobody gets it.
    pub(super) fn abandon(&mut self, core: &mut Core) {
        for taker in self.takers.iter_mut().filter(|taker| !taker.failed) {
            taker.failed = true;
            match &mut taker.kind {
                TakerKind::Replica(waiting) => {
                    let waiting = waiting.clone();
                    core.post(waiting.core, move |core| core.fail_payload(&waiting));
                }
                TakerKind::File(sink) => drop(sink.take()),
            }
        }
        self.is_for_nobody(core);
    }

    /// The last taker has failed.
    fn is_for_nobody(&mut self, core: &mut Core) {
        core.post_all(|core| snapshot::give_up(&mut core.shard));
        self.write_waiting(core);
    }

    /// A taker has sent so many bytes; `usize::MAX`: it is lost.
    pub(super) fn taker_sent(
        &mut self,
        core: &mut Core,
        bytes: usize,
        is_it: impl Fn(&TakerKind) -> bool,
    ) {
        let Some(taker) = self.takers.iter_mut().find(|taker| is_it(&taker.kind)) else { return };
        if bytes == usize::MAX {
            taker.failed = true;
        } else {
            taker.sent_bytes += bytes as u64;
        }
        if self.is_wanted() {
            self.give_back(core);
        } else {
            self.is_for_nobody(core);
        }
    }

    /// A shard has brought all of its part.
    pub(super) fn shard_ended(&mut self, core: &mut Core) {
        self.shards_left -= 1;
        if self.shards_left == 0 {
            self.end(core);
            core.calls.finish(self.done, Box::new(()));
        }
    }

    fn end(&mut self, core: &mut Core) {
        let mut frame = Vec::new();
        writer::write_end(&mut frame, self.checksum);
        self.hand_over(core, vec![frame.into()], true);
    }
}
