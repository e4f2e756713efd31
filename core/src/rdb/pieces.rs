//! Bytes on their way out: small ones gathered in one buffer, large ones by reference.

use super::crc64;
use bytes::Bytes;

/// A sequence of bytes in pieces. Whoever holds it keeps what it refers to alive.
#[derive(Debug, Default)]
pub struct Pieces {
    /// What was gathered.
    tail: Vec<u8>,
    /// What lies in it by reference, each with the length of the tail before it.
    referred: Vec<(usize, Bytes)>,
    /// The length of those together.
    referred_bytes: usize,
}

impl Pieces {
    /// Empty, with room for so many small bytes.
    pub fn with_capacity(tail_bytes: usize) -> Pieces {
        Pieces { tail: Vec::with_capacity(tail_bytes), ..Pieces::default() }
    }

    /// Where small things are appended.
    #[inline]
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends something without copying it.
    pub fn refer(&mut self, piece: Bytes) {
        self.referred_bytes += piece.len();
        self.referred.push((self.tail.len(), piece));
    }

    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.referred_bytes + self.tail.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces, in order. Those that were gathered share one buffer.
    pub fn into_list(self) -> Vec<Bytes> {
        let tail = Bytes::from(self.tail);
        let mut list = Vec::with_capacity(2 * self.referred.len() + 1);
        let mut from = 0;
        for (at, piece) in self.referred {
            if at > from {
                list.push(tail.slice(from..at));
            }
            list.push(piece);
            from = at;
        }
        if tail.len() > from {
            list.push(tail.slice(from..));
        }
        list
    }

    /// CRC-64 of all of it, going on from `seed`.
    pub fn checksum(&self, seed: u64) -> u64 {
        let (mut crc, mut from) = (seed, 0);
        for (at, piece) in &self.referred {
            crc = crc64::checksum(crc64::checksum(crc, &self.tail[from..*at]), piece);
            from = *at;
        }
        crc64::checksum(crc, &self.tail[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Pieces {
        let mut pieces = Pieces::with_capacity(100);
        pieces.refer(Bytes::from_static(b"first "));
        pieces.tail().extend_from_slice(b"small ");
        pieces.refer(Bytes::from_static(b"large "));
        pieces.refer(Bytes::from_static(b"too "));
        pieces.tail().extend_from_slice(b"last");
        pieces
    }

    #[test]
    fn pieces_come_in_the_order_in_which_they_were_appended() {
        let mut pieces = sample();
        assert_eq!((pieces.len(), pieces.is_empty()), (26, false));
        pieces.refer(Bytes::from_static(b", more"));
        pieces.tail().extend_from_slice(b".");
        assert_eq!(pieces.len(), 33);
        let list = pieces.into_list();
        assert_eq!(list.concat(), b"first small large too last, more.");
        assert_eq!(list.len(), 7, "no empty ones, and each as it came");
    }

    #[test]
    fn the_checksum_is_that_of_the_bytes_in_order() {
        let mut pieces = sample();
        let all = b"first small large too last";
        assert_eq!(pieces.checksum(7), crc64::checksum(7, all));
        pieces.tail().extend_from_slice(b"!");
        pieces.refer(Bytes::from_static(b"?"));
        assert_eq!(pieces.checksum(7), crc64::checksum(crc64::checksum(7, all), b"!?"));
        assert!(Pieces::default().into_list().is_empty());
    }
}
