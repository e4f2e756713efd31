//! The parts that an RDB is made of, as a reader gives them.

use ringfort_core::rdb::{AccessHint, StoredValue};
use std::borrow::Cow;

/// Whose family of versions it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Magic {
    Redis,
    Valkey,
}

/// A part of an RDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    Header {
        magic: Magic,
        version: u32,
    },
    /// A fact about the file. One with an unknown name means nothing.
    Aux {
        name: Cow<'a, [u8]>,
        value: Cow<'a, [u8]>,
    },
    /// The database of the entries that follow.
    Select {
        database: u32,
    },
    /// How many entries of this database follow, and how many of them expire. A hint, and not to be trusted.
    Resize {
        keys: u64,
        expiring: u64,
    },
    Entry(Entry<'a>),
    /// The end, with the right checksum or none.
    End,
}

/// A key with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub key: Cow<'a, [u8]>,
    pub value: StoredValue<'a>,
    /// Milliseconds since the Unix epoch. May have passed.
    pub expire_at: Option<i64>,
    pub access: AccessHint,
}
