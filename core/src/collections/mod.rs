//! The data structures of collections.
//!
//! A small collection is packed in one piece of bytes, in the form that RDB has for it; a large one is one of the
//! structs here. They know nothing of keys, commands or clocks. One thread; reached through `&mut`; no locks.

pub mod arena;
mod buckets;
pub mod buffer;
pub mod hash;
mod hash_index;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod records;
pub mod set;
pub mod sorted_set;
pub mod stream;
pub mod ziplist;
pub mod zipmap;

pub use buffer::Buffer;
pub use hash::Hash;
pub use limits::Limits;
pub use list::List;
pub use set::Set;
pub use sorted_set::SortedSet;
pub use stream::Stream;
