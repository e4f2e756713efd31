//! The command table: what every command is called, takes and touches.

pub mod spec;

pub use spec::{Acl, Flags, Handler, KeySpec, NodeCommand, SessionCommand, Spec, Split};
