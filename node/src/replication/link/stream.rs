//! Which commands the link takes from its primary's stream: those on data, and what stands around them. Any other breaks
//! the link. Some would wait until the link has done all that it began, themselves among it (SAVE, REPLICAOF); some
//! would change how what follows is run (SUBSCRIBE, MONITOR, RESET).

use ringfort_core::args::Args;
use ringfort_core::command::{Handler, NodeCommand, SessionCommand, Spec};

use crate::connection::{Connection, Wait};
use crate::core::Core;
use crate::dispatch::{Flow, Prepared};

impl Core {
    /// Runs one command of the primary, or breaks the link over it.
    pub fn dispatch_streamed(
        &mut self,
        index: u32,
        connection: &mut Connection,
        args: &Args,
        prepared: &Prepared,
    ) -> Flow {
        // Replies to a primary go nowhere.
        connection.output.clear();
        if let Some(fault) = prepared.spec.and_then(|spec| self.fault_in_stream(spec, args)) {
            self.break_link(index, connection, &fault);
            return Flow::Wait(Wait::None);
        }
        self.dispatch(index, connection, args, prepared)
    }

    /// Why the stream cannot be followed past this command.
    fn fault_in_stream(&self, spec: &Spec, args: &Args) -> Option<String> {
        use NodeCommand::*;
        let allowed = match spec.handler {
            Handler::Session(SessionCommand::Select) => {
                // What comes behind it would be written to the database before.
                let error = self.database_named(args.at(1)).err()?;
                let name = String::from_utf8_lossy(args.at(1));
                let databases = self.settings.databases;
                return Some(format!(
                    "it sent 'SELECT {name}', and there are {databases} databases here: {}",
                    error.0
                ));
            }
            Handler::Session(command) => {
                !matches!(command, SessionCommand::Quit | SessionCommand::Reset)
            }
            Handler::Node(command) => {
                matches!(command, Flushdb | Flushall | Swapdb | Publish | Spublish)
            }
            Handler::Keys(_) | Handler::Container => true,
        };
        (!allowed).then(|| format!("it sent '{}', which does not belong into a stream", spec.name))
    }
}
