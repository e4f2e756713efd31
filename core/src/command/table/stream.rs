//! The stream commands.

use crate::command::spec::Spec;

pub const COMMANDS: &[Spec] = &[];
