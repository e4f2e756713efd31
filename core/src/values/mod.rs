//! What can be done to a value of a type, whether it is packed in its entry or a large structure outside.
//!
//! A module per type: it looks into both forms, changes them, and turns the packed one into the large one where the
//! limits ask for it. Deliberately absent: keys, replies, effects and events, which are the commands' business.

pub mod hash;
pub mod list;
pub mod set;
pub mod sorted_set;
