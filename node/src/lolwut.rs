//! LOLWUT.

use ringfort_core::args::Args;
use ringfort_core::error::CommandResult;
use ringfort_core::resp::Reply;

/// A small ring fort and the version.
pub fn lolwut(reply: &mut Reply, _args: &Args) -> CommandResult {
    let fort = "      _   _   _\n     |_|_|_|_|_|\n   __|         |__\n  (  |   (O)   |  )\n   \\_|_________|_/\n";
    let text = format!(
        "{fort}\nRedis ver. {} (Ringfort {})\n",
        crate::config::REDIS_VERSION,
        crate::config::RINGFORT_VERSION
    );
    reply.verbatim("txt", &text);
    Ok(())
}
