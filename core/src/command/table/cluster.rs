//! The commands of cluster clients that change only their own connection.

use crate::command::spec::{SessionCommand, Spec};

pub const COMMANDS: &[Spec] = &[
    Spec::new("readonly", 1)
        .session(SessionCommand::Readonly)
        .flags("loading stale fast")
        .acl("connection")
        .docs("3.0.0", "O(1)", "Allows reads on this connection to a cluster replica."),
    Spec::new("readwrite", 1)
        .session(SessionCommand::Readwrite)
        .flags("loading stale fast")
        .acl("connection")
        .docs("3.0.0", "O(1)", "Ends what READONLY allowed."),
    Spec::new("asking", 1).session(SessionCommand::Asking).flags("fast").acl("connection").docs(
        "3.0.0",
        "O(1)",
        "Lets the next command follow an ASK redirection.",
    ),
];
