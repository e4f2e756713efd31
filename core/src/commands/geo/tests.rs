//! The geo commands, as their callers see them.
