//! Replication ids, and who may go on where.
