//! The replication log.
