//! What may be wrong with an RDB file or stream, and at which byte.

use ringfort_core::rdb::DecodeError;
use std::fmt;

/// An RDB that was not read to its end. The fault is the sender's, the disk's or the link's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdbError {
    /// Bytes from the start of the RDB.
    pub offset: u64,
    pub reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It does not start as an RDB does. The bytes it starts with.
    Magic([u8; 9]),
    /// An RDB of a version that is not read.
    Version(String),
    /// Something that older versions wrote and that none reads any more.
    Unsupported(&'static str),
    /// Neither an opcode nor a type of value.
    Opcode(u8),
    /// A part does not have its form.
    Decode(DecodeError),
    /// What was counted over the bytes, and what stands at their end.
    Checksum { counted: u64, stored: u64 },
    /// The stream ended here, before the RDB did.
    CutShort,
}

impl fmt::Display for RdbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        match &self.reason {
            Reason::CutShort => return write!(f, "RDB cut short at offset {offset}"),
            _ => write!(f, "RDB wrong at offset {offset}: ")?,
        }
        match &self.reason {
            Reason::Magic(bytes) => {
                write!(
                    f,
                    "it starts with \"{}\", not with REDIS or VALKEY and a version",
                    bytes.escape_ascii()
                )
            }
            Reason::Version(version) => write!(f, "version {version} is not supported"),
            Reason::Unsupported(what) => f.write_str(what),
            Reason::Opcode(byte) => {
                write!(f, "{byte} is neither an opcode nor a type of value")
            }
            Reason::Decode(error) => error.fmt(f),
            Reason::Checksum { counted, stored } => {
                write!(f, "the checksum is {counted:016x} but {stored:016x} stands there")
            }
            Reason::CutShort => Ok(()),
        }
    }
}

impl std::error::Error for RdbError {}
