//! What a command runs with: its keys and the place for its reply.

use crate::keys::Keys;
use crate::resp::Reply;

/// The context of one command on one shard. Keys and reply are separate fields, so that a value can be read
/// from the one into the other without a copy in between.
pub struct Cx<'a> {
    pub keys: Keys<'a>,
    pub reply: Reply<'a>,
}
