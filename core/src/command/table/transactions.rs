//! MULTI and what belongs to it.

use crate::command::build::*;
use crate::command::spec::{KeySpec, SessionCommand, Spec};

pub const COMMANDS: &[Spec] = &[
    Spec::new("multi", 1)
        .session(SessionCommand::Multi)
        .flags("noscript loading stale fast allow_busy")
        .acl("transaction")
        .docs("1.2.0", "O(1)", "Begins a transaction."),
    Spec::new("exec", 1)
        .session(SessionCommand::Exec)
        .flags("noscript loading stale skip_slowlog")
        .acl("transaction")
        .docs("1.2.0", "Depends on the commands", "Runs the commands of a transaction."),
    Spec::new("discard", 1)
        .session(SessionCommand::Discard)
        .flags("noscript loading stale fast allow_busy")
        .acl("transaction")
        .docs("2.0.0", "O(N), N the number of queued commands", "Gives up a transaction."),
    Spec::new("watch", -2)
        .session(SessionCommand::Watch)
        .flags("noscript loading stale fast allow_busy")
        .acl("transaction")
        .keys(&[KeySpec::all_from(1, "RO")])
        .arguments(&[KEY.multiple()])
        .docs(
            "2.2.0",
            "O(1) for each key",
            "Makes the next transaction fail if one of the keys changes first.",
        ),
    Spec::new("unwatch", 1)
        .session(SessionCommand::Unwatch)
        .flags("noscript loading stale fast allow_busy")
        .acl("transaction")
        .docs("2.2.0", "O(1)", "Forgets the watched keys."),
];
