//! The structures that values other than strings are made of.
//!
//! A small collection is one packed blob ([`listpack`] and its like) that lies in its key's entry, in the very bytes
//! that an RDB holds. A large one is a structure of its own.
//!
//! Deliberately absent: keys, commands, RESP, clocks, randomness. Whoever owns a value reaches it through `&mut`; all
//! of them are `Send`, for a transaction moves entries between cores.

pub mod buffer;
pub mod hash;
pub mod intset;
pub mod limits;
pub mod list;
pub mod listpack;
pub mod set;
pub mod sorted_set;
pub mod stream;

pub use buffer::Buffer;
pub use hash::Hash;
pub use limits::Limits;
pub use list::List;
pub use set::Set;
pub use sorted_set::SortedSet;
pub use stream::Stream;
