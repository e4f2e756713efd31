//! The hash commands.

use crate::command::spec::Spec;

pub const COMMANDS: &[Spec] = &[];
