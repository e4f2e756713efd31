//! The HyperLogLog commands.

use crate::command::build::*;
use crate::command::spec::{KeySpec, Spec};
use crate::commands::hyperloglogs;

pub const COMMANDS: &[Spec] = &[
    Spec::new("pfadd", -2)
        .run(hyperloglogs::pfadd)
        .flags("write denyoom fast")
        .acl("hyperloglog")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("element").optional().multiple()])
        .docs("2.8.9", "O(1) for each element", "Has a HyperLogLog, which begins empty, see elements."),
    Spec::new("pfcount", -2)
        .run(hyperloglogs::pfcount)
        .flags("readonly")
        .acl("hyperloglog")
        .keys(&[KeySpec::all_from(1, "RW access")
            .notes("RW because the estimate is stored with the key, there and on replicas")])
        .arguments(&[KEY.multiple()])
        .docs(
            "2.8.9",
            "O(1) where the estimate of one key is up to date, else O(N), N the number of keys, each of them dear",
            "Estimates how many different elements one or more HyperLogLogs have seen.",
        ),
    Spec::new("pfmerge", -2)
        .run(hyperloglogs::pfmerge)
        .flags("write denyoom")
        .acl("hyperloglog")
        .keys(&[KeySpec::at(1, "RW access insert"), KeySpec::all_from(2, "RO access")])
        .arguments(&[key("destkey"), key("sourcekey").key_spec(1).multiple()])
        .docs(
            "2.8.9",
            "O(N), N the number of keys, each of them dear",
            "Has a HyperLogLog see all that others have seen.",
        ),
    Spec::new("pfdebug", 3)
        .run(hyperloglogs::pfdebug)
        .flags("write denyoom admin")
        .acl("hyperloglog")
        .keys(&[KeySpec::at(2, "RW access")])
        .arguments(&[string("subcommand"), KEY])
        .docs("2.8.9", "N/A", "Shows or converts the inside of a HyperLogLog.")
        .system(),
    Spec::new("pfselftest", 1)
        .run(hyperloglogs::pfselftest)
        .flags("admin")
        .acl("hyperloglog")
        .docs("2.8.9", "N/A", "Tries out whether HyperLogLogs work.")
        .system(),
];
