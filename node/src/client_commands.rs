//! CLIENT: what a client may know and say of itself.

use ringfort_core::args::Args;
use ringfort_core::command::SessionCommand;
use ringfort_core::error::{CommandResult, Error};

use crate::connection::Connection;
use crate::core::Core;

/// A name as CLIENT SETNAME takes it: printable, without spaces.
pub fn checked_name(name: &[u8]) -> Result<String, Error> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(String::from_utf8_lossy(name).into_owned());
    }
    Err(Error::new("ERR Client names cannot contain spaces, newlines or special characters."))
}

impl Core {
    pub fn client_session_command(
        &mut self,
        _connection: &mut Connection,
        _command: SessionCommand,
        _args: &Args,
    ) -> CommandResult {
        Err(Error::new("ERR pending"))
    }
}
