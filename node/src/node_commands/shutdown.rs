//! SHUTDOWN, and the commands that speak of disk and replicas: LASTSAVE, ROLE.

use std::sync::atomic::Ordering::Relaxed;

use ringfort_core::args::OwnedArgs;
use ringfort_core::error::Error;

use crate::client::Client;
use crate::config::ShutdownOn;
use crate::core::Core;
use crate::startup::ShutdownSignal;

/// SHUTDOWN [NOSAVE | SAVE] [NOW] [FORCE] [ABORT]. No reply: the connection closes with the node.
pub fn shutdown(client: &Client, args: &OwnedArgs) -> Result<Vec<u8>, Error> {
    let args = args.args();
    let (mut how, mut abort) = (ShutdownOn::default(), false);
    for at in 1..args.len() {
        if args.is(at, "save") {
            how.save = true;
        } else if args.is(at, "nosave") {
            how.nosave = true;
        } else if args.is(at, "now") {
            how.now = true;
        } else if args.is(at, "force") {
            how.force = true;
        } else if args.is(at, "abort") {
            abort = true;
        } else {
            return Err(Error::SYNTAX);
        }
    }
    if how.save && how.nosave || abort && how != ShutdownOn::default() {
        return Err(Error::SYNTAX);
    }
    if abort {
        // A shutdown that has nobody to wait for is over before anybody can call it off.
        return Err(Error::new("ERR No shutdown in progress."));
    }
    if !client.core.borrow_mut().shut_down(how) {
        return Err(Error::new("ERR Errors trying to SHUTDOWN. Check logs."));
    }
    Ok(Vec::new())
}

impl Core {
    /// A signal asked for a shutdown; the configuration says how to take it. One that is refused may be sent again.
    pub fn signalled(&mut self, signal: ShutdownSignal) {
        let how = match signal {
            ShutdownSignal::Term => self.config.process.shutdown_on_sigterm,
            ShutdownSignal::Int => self.config.process.shutdown_on_sigint,
        };
        if !self.shut_down(how) {
            crate::warning!(
                "Errors trying to shut down the server. Check the logs for more information."
            );
            self.shared.signals.clear();
        }
    }

    /// Ends the loops of all cores, and with them the process. `false`: data would be lost that was to be saved.
    ///
    /// There are no RDB files yet. Where the configuration has save points, but nobody asked for this save, the
    /// node goes down all the same: it said at its start that it saves nothing.
    fn shut_down(&mut self, how: ShutdownOn) -> bool {
        crate::notice!("User requested shutdown...");
        let save_points = !self.config.persistence.save.0.is_empty();
        if how.save && !how.force {
            crate::warning!(
                "This version writes no RDB files. Error trying to save the DB, can't exit."
            );
            return false;
        }
        if how.save || save_points && !how.nosave {
            crate::warning!(
                "This version writes no RDB files. Error trying to save the DB. Exit anyway."
            );
        }
        self.shared.shutting_down.store(true, Relaxed);
        self.ring.unlisten_all();
        self.post_all(|core| core.stopped = true);
        true
    }
}
