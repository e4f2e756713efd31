//! The sorted set commands, as their callers see them.
