//! SHUTDOWN, and the commands that speak of disk and replicas: LASTSAVE, ROLE.

use ringfort_core::args::OwnedArgs;
use ringfort_core::error::Error;

use crate::client::Client;

/// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]. No reply: the connection closes with the node.
pub fn shutdown(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let (mut save, mut nosave, mut now, mut force, mut abort) = (false, false, false, false, false);
    for at in 1..args.len() {
        if args.is(at, "save") {
            save = true;
        } else if args.is(at, "nosave") {
            nosave = true;
        } else if args.is(at, "now") {
            now = true;
        } else if args.is(at, "force") {
            force = true;
        } else if args.is(at, "abort") {
            abort = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if save && nosave || abort && (save || nosave || now || force) {
        return Err(Error::SYNTAX);
    }
    if abort {
        return Err(Error::new("ERR No shutdown in progress."));
    }
    if save && !force {
        return Err(Error::new(
            "ERR Errors trying to SHUTDOWN: this version does not write RDB files yet, use SHUTDOWN NOSAVE",
        ));
    }
    crate::warning!("User requested shutdown...");
    client.core.borrow_mut().shut_down();
    Ok(Vec::new())
}

pub fn role(client: &Client) -> Vec<u8> {
    client.reply(|reply| {
        reply.array(3);
        reply.text("master");
        reply.int(0);
        reply.array(0);
    })
}

/// The time of the last save: none was made, so as Redis the time of the start.
pub fn last_save(client: &Client) -> Vec<u8> {
    let started_s = client.core.borrow().shared.started_ms / 1000;
    client.reply(|reply| reply.int(started_s))
}
