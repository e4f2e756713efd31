//! Reads an RDB as it arrives.
//!
//! Bytes go in with [`Reader::push`], in pieces of any size; [`Reader::next`] gives what they hold, one item at a
//! time, borrowed from the reader's buffer. What was not whole is looked at again once enough has arrived for it to
//! go on, so a value of any length costs time in proportion to it; and memory is reserved only for what arrived.
//!
//! The buffer is one piece with a position in it. What was read stays in front of the position until it is at least
//! half of the buffer. The checksum is counted over what was read, in pieces that are still in the cache.

use super::error::{RdbError, Reason};
use super::frame::{Frame, Step, Stop};
use super::item::{Entry, Item};
use ringfort_core::rdb::{Builder, Input, StoredValue, crc64};
use std::borrow::Cow;

/// How much is read before it is counted into the checksum: less than a core's first cache.
const CHECKSUM_STRIDE_BYTES: usize = 16 << 10;

/// A buffer that grew beyond this for a long value shrinks again.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// Reads one RDB. It ends by itself: what follows it is left [unread](Reader::unread).
#[derive(Debug)]
pub struct Reader {
    builder: Builder,
    buffer: Vec<u8>,
    /// What was read, in `buffer`.
    at: usize,
    /// Bytes of the RDB before `buffer`.
    dropped: u64,
    /// With fewer unread bytes there is nothing new to see.
    needs: usize,
    sum: Sum,
    frame: Frame,
    outcome: Option<Result<(), RdbError>>,
}

/// The checksum of what was read.
#[derive(Debug, Default)]
struct Sum {
    checksum: u64,
    /// What is in it, in the buffer.
    counted: usize,
}

impl Sum {
    /// Counts what is before `end` in `buffer`.
    fn count(&mut self, buffer: &[u8], end: usize) {
        self.checksum = crc64::checksum(self.checksum, &buffer[self.counted..end]);
        self.counted = end;
    }
}

impl Reader {
    /// A reader whose collections are built with `builder`.
    pub fn new(builder: Builder) -> Self {
        Reader {
            builder,
            buffer: Vec::new(),
            at: 0,
            dropped: 0,
            needs: 0,
            sum: Sum::default(),
            frame: Frame::default(),
            outcome: None,
        }
    }

    /// Takes the next bytes. Costs their copy, and now and then that of what is unread.
    pub fn push(&mut self, bytes: &[u8]) {
        let unread_bytes = self.buffer.len() - self.at;
        if self.at >= unread_bytes {
            self.sum.count(&self.buffer, self.at);
            self.sum.counted = 0;
            self.buffer.drain(..self.at);
            self.dropped += self.at as u64;
            self.at = 0;
            if self.buffer.capacity() > BUFFER_BYTES_KEPT.max(4 * (unread_bytes + bytes.len())) {
                self.buffer.shrink_to(unread_bytes + bytes.len());
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item; `None` until more bytes are pushed, and after the end. An error is final: it comes again.
    #[allow(clippy::should_implement_trait)] // An item borrows from the reader, which no iterator can say.
    pub fn next(&mut self) -> Result<Option<Item<'_>>, RdbError> {
        loop {
            if self.outcome.is_some() || self.buffer.len() - self.at < self.needs {
                return self.outcome.clone().unwrap_or(Ok(())).map(|()| None);
            }
            if self.at - self.sum.counted >= CHECKSUM_STRIDE_BYTES {
                self.sum.count(&self.buffer, self.at);
            }
            let start = self.at;
            if let Some(plain) = self.frame.plain_entry(&self.buffer[start..]) {
                self.at += plain.bytes;
                self.needs = 1;
                let (expire_at, access) = self.frame.take_attributes();
                let (key, value) = (Cow::Borrowed(plain.key), Cow::Borrowed(plain.value));
                let value = StoredValue::String(value);
                return Ok(Some(Item::Entry(Entry { key, value, expire_at, access })));
            }
            let mut input = Input::new(&self.buffer[start..]);
            let step = match self.frame.step(&mut input, &self.builder) {
                Ok(step) => step,
                Err(Stop::CutShort { needs }) => {
                    self.needs = needs;
                    return Ok(None);
                }
                Err(Stop::Wrong { at, reason }) => {
                    let error = RdbError { offset: self.dropped + (start + at) as u64, reason };
                    self.outcome = Some(Err(error.clone()));
                    return Err(error);
                }
            };
            self.at = start + input.position();
            self.needs = 1;
            match step {
                Step::Item(item) => return Ok(Some(item)),
                Step::Passed => {}
                Step::End { checksum } => {
                    self.sum.count(&self.buffer, start + 1);
                    let outcome = match checksum {
                        Some(stored) if stored != 0 && stored != self.sum.checksum => {
                            let counted = self.sum.checksum;
                            let reason = Reason::Checksum { counted, stored };
                            Err(RdbError { offset: self.dropped + start as u64 + 1, reason })
                        }
                        _ => Ok(()),
                    };
                    self.outcome = Some(outcome.clone());
                    return outcome.map(|()| Some(Item::End));
                }
            }
        }
    }

    /// Bytes of the RDB that were read.
    pub fn offset(&self) -> u64 {
        self.dropped + self.at as u64
    }

    /// Bytes that were pushed but not read; after the end, what follows the RDB.
    pub fn unread(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// What the RDB came to, when no more bytes will come. Error: it is wrong, or has no end.
    pub fn finish(&self) -> Result<(), RdbError> {
        let offset = self.dropped + self.buffer.len() as u64;
        let cut = Err(RdbError { offset, reason: Reason::CutShort });
        self.outcome.clone().unwrap_or(cut)
    }

    /// Bytes that the reader has reserved.
    pub fn memory_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}
