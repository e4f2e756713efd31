//! Bytes on their way out: small ones gathered in one buffer, large ones by reference.

use super::crc64;
use bytes::Bytes;

/// A sequence of bytes in pieces. Whoever holds it keeps what it refers to alive.
#[derive(Debug, Default)]
pub struct Pieces {
    /// Finished pieces, in order.
    list: Vec<Bytes>,
    /// Their length together.
    list_bytes: usize,
    /// What was gathered behind them.
    tail: Vec<u8>,
}

impl Pieces {
    /// Where small things are appended.
    #[inline]
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends something without copying it.
    pub fn refer(&mut self, piece: Bytes) {
        self.finish_tail();
        self.list_bytes += piece.len();
        self.list.push(piece);
    }

    /// Appends all of another sequence.
    pub fn append(&mut self, mut other: Pieces) {
        self.finish_tail();
        other.finish_tail();
        self.list_bytes += other.list_bytes;
        self.list.append(&mut other.list);
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.list_bytes + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order.
    pub fn into_list(mut self) -> Vec<Bytes> {
        self.finish_tail();
        self.list
    }

    /// CRC-64 of all of it, going on from `seed`.
    pub fn checksum(&self, seed: u64) -> u64 {
        let list = self.list.iter().fold(seed, |crc, piece| crc64::checksum(crc, piece));
        crc64::checksum(list, &self.tail)
    }

    fn finish_tail(&mut self) {
        if !self.tail.is_empty() {
            self.list_bytes += self.tail.len();
            self.list.push(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }
}
