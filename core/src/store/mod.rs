//! The store: keys and values of one database of one shard.
//!
//! A [`Database`] holds one hash table per slot (`table`), made of bounded segments (`segment`, `buckets`) whose words
//! point to entries, each one allocation (`entry`, `layout`). A shard's core owns all of it and reaches it through `&mut`:
//! no locks, no atomics (but the count of a large value, which may be shared with whoever sends it).
//!
//! Deliberately absent: a clock (expiry times are compared with a `now` that is passed in), the rules of single
//! commands, and eviction policy. An entry whose time has come stays visible here until somebody removes it.

mod buckets;
mod capture;
mod database;
mod detached;
mod entry;
mod field_expiries;
pub mod garbage;
mod key;
mod layout;
mod scan;
mod segment;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use capture::{CaptureOptions, Captured};
pub use database::{Database, Expiry};
pub use detached::Detached;
pub use entry::{EntryRef, OwnedEntry, PackedMut, ValueMut};
pub use field_expiries::FieldExpiries;
pub use garbage::DropSome;
pub(crate) use key::same_bytes;
pub use key::{Hasher, Key};
pub use layout::ACCESS_MAX;
pub use scan::Cursor;
pub use value::{Collection, Encoding, LargeValue, Packing, StringValue, Type, Value};
