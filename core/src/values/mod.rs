//! What can be done with a value, however it is kept: packed in its entry, or as a structure of its own.
//!
//! A type's file reads a [`Value`](crate::store::Value), changes an [`OwnedEntry`](crate::store::OwnedEntry), and turns
//! the one form into the other where the limits say so.
//!
//! Deliberately absent: keys, arguments, replies, effects.

pub mod hash;
pub mod list;
pub mod set;
pub mod sorted_set;
