//! What a command runs with: its keys and the place for its reply.

use crate::keys::Keys;
use crate::resp::Reply;

/// The context of one command on one shard. Keys and reply are separate fields, so that a value can be read
/// from the one into the other without a copy in between.
pub struct Cx<'a> {
    pub keys: Keys<'a>,
    pub reply: Reply<'a>,
    /// Set by a command that found nothing for its client and has not replied: see [`Cx::wait`].
    pub wait: Option<Wait>,
}

/// How long a client waits for its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Milliseconds since the Unix epoch; `None`: for ever.
    pub deadline: Option<i64>,
    pub timeout_reply: TimeoutReply,
}

/// What a transaction, which does not wait, gets where there is nothing. (A client for which there was nothing in time
/// gets a null array, whatever the command.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeoutReply {
    Null,
    NullArray,
}

impl<'a> Cx<'a> {
    pub fn new(keys: Keys<'a>, reply: Reply<'a>) -> Cx<'a> {
        Cx { keys, reply, wait: None }
    }

    /// There is nothing for the client now. Written nothing and changed nothing, the command is to end with this; the
    /// node has the client wait, and runs the command again when one of its keys was changed.
    pub fn wait(&mut self, deadline: Option<i64>, timeout_reply: TimeoutReply) {
        self.wait = Some(Wait { deadline, timeout_reply });
    }
}

impl TimeoutReply {
    pub fn write(self, reply: &mut Reply) {
        match self {
            TimeoutReply::Null => reply.null(),
            TimeoutReply::NullArray => reply.null_array(),
        }
    }
}
