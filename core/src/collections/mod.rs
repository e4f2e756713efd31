//! The structures that values other than strings are made of.
//!
//! A small collection is one packed blob ([`listpack`] and its like) that lies in its key's entry, in the very bytes
//! that an RDB holds. A large one is a structure of its own. All of these can say in O(1) what they have allocated, can be
//! dropped bit by bit, and never move more than a few thousand elements in one operation.
//!
//! Deliberately absent: keys, commands, RESP, clocks, randomness. Whoever owns a value reaches it through `&mut`; all
//! of them are `Send`, for a transaction moves entries between cores.

pub mod arena;
mod buckets;
pub mod buffer;
mod cow;
pub mod hash;
mod hash_index;
pub mod hyperloglog;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod ordered;
mod pool;
pub mod records;
pub mod set;
mod sorted_chunks;
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
