//! What a command runs with: its shard, its database, the time, and the place for its reply.

/// The context of one command.
pub struct Cx<'a> {
    pub reply: crate::resp::Reply<'a>,
}
