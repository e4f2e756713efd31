//! The command table: what every command is called, takes and touches.

pub mod build;
pub mod help;
pub mod introspect;
pub mod keys;
pub mod lookup;
pub mod spec;
pub mod table;

pub use lookup::{lookup, resolve};
pub use spec::{Acl, Flags, Handler, KeySpec, NodeCommand, SessionCommand, Spec, Split};
