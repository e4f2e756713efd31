//! The set commands.

use crate::command::spec::Spec;

pub const COMMANDS: &[Spec] = &[];
