//! Lists, in one listpack or many.
//!
//! A list becomes large when a change might take it beyond its [`Limit`], and a listpack again when it has shrunk to
//! half of that.
//!
//! Source: `listTypeTryConversion` in `src/t_list.c` of Redis 7.2 for when a list changes its form.

mod edit;
#[cfg(test)]
mod tests;
mod view;

pub use crate::collections::list::Limit;
pub use edit::{created, insert, loaded, pop, pop_many, push, push_one, remove, set, trim};
pub use view::{Iter, ListRef};

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Left,
    Right,
}
