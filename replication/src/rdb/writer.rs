//! Writes RDB.
