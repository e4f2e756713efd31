//! MONITOR: every command, as it runs.

use ringfort_core::args::Args;
use ringfort_core::command::Spec;

use crate::connection::Connection;
use crate::core::Core;

impl Core {
    #[cold]
    pub fn monitor_command(&mut self, _connection: &Connection, _args: &Args, _spec: &Spec) {}

    pub fn end_monitor(&mut self, _connection: &mut Connection) {}
}
