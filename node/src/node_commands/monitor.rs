//! The MONITOR command; see [`crate::monitor`].

use ringfort_core::error::Error;

use crate::client::Client;

pub fn run(client: &Client) -> Result<Vec<u8>, Error> {
    if client.inside {
        return Err(Error::new("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let begun = client.with_connection(|core, connection| {
        // A second MONITOR is not answered at all.
        let begins = !connection.session.monitor;
        if begins {
            core.begin_monitor(connection);
        }
        begins
    });
    Ok(if begun == Some(true) { client.reply(|reply| reply.ok()) } else { Vec::new() })
}
