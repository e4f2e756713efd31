//! Reads RDB.
