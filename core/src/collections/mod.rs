//! The data structures behind values that are more than a string.
//!
//! Each is owned by whoever holds it and is reached through `&mut`: no locks. They know nothing of keys, commands,
//! protocols or clocks. All of them can say in O(1) what they have allocated, can be dropped bit by bit, and never move
//! more than a few thousand elements in one operation.

pub mod arena;
mod buckets;
mod hash_index;
pub mod records;
pub mod set;
