//! A slice that is read from front to back, and what may be wrong with it.

use super::value;
use std::fmt;

/// Why bytes could not be decoded. Positions count from the start of the [`Input`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The input ends too early. Less than `needs` bytes in all will not get further.
    CutShort { needs: usize },
    /// The bytes from `at` on are not what the format allows.
    Malformed { at: usize, reason: &'static str },
    /// A type of value that exists but that this node does not have.
    NotSupported { at: usize, type_byte: u8 },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            DecodeError::CutShort { .. } => f.write_str("the data is cut short"),
            DecodeError::Malformed { reason, .. } => f.write_str(reason),
            DecodeError::NotSupported { type_byte, .. } => {
                let name = value::type_name(type_byte).unwrap_or("an unknown type");
                write!(f, "{name} (RDB type {type_byte}) is not supported yet")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Bytes with a position. A method that fails may leave the position anywhere.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Input { bytes, at: 0 }
    }

    /// How many bytes were read.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// All bytes, those that were read too.
    #[inline]
    pub fn all(&self) -> &'a [u8] {
        self.bytes
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or(DecodeError::CutShort { needs: self.at + 1 })?;
        self.at += 1;
        Ok(byte)
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let needs = self.at.saturating_add(count);
        let taken = self.bytes.get(self.at..needs).ok_or(DecodeError::CutShort { needs })?;
        self.at = needs;
        Ok(taken)
    }

    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N).map(|bytes| bytes.try_into().expect("so many were taken"))
    }

    /// The error that the bytes at `at` are.
    #[cold]
    pub fn malformed(at: usize, reason: &'static str) -> DecodeError {
        DecodeError::Malformed { at, reason }
    }
}
