//! What can be done to a collection whatever way it is kept, a type a file: packed or large, and when it changes from
//! the one to the other.
//!
//! A value is read as a `store::Value`, and changed where it lies, as a `store::OwnedEntry`. Deliberately absent: keys,
//! replies, effects; those are the commands' business.

pub mod sorted_set;
