//! The stream commands.

use crate::command::build::*;
use crate::command::spec::{Argument, Begin, Find, KeyFlags, KeySpec, SessionCommand, Spec};
use crate::commands::streams::{
    add, claim, consumers, delete, group, info, pending, range, read, set_id, trim,
};

/// The keys behind STREAMS, which are followed by as many ids.
const fn streams_keys(start_from: i16) -> KeySpec {
    KeySpec {
        flags: KeyFlags::of("RO access"),
        begin: Begin::Keyword { word: "STREAMS", start_from },
        find: Find::Range { last: -1, step: 1, limit: 2 },
        notes: None,
    }
}

const TRIM: &[Argument] = &[
    one_of("strategy", &[token("maxlen", "MAXLEN"), token("minid", "MINID").since("6.2.0")]),
    one_of("operator", &[token("equal", "="), token("approximately", "~")]).optional(),
    string("threshold"),
    integer("count").token("LIMIT").since("6.2.0").optional(),
];

const STREAMS: Argument =
    block("streams", &[KEY.multiple(), string("id").multiple()]).token("STREAMS");

const COUNT: Argument = integer("count").token("COUNT").optional();

const BLOCK: Argument = integer("milliseconds").token("BLOCK").optional();

pub const COMMANDS: &[Spec] = &[
    Spec::new("xadd", -5)
        .run(add::xadd)
        .flags("write denyoom fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW update")
            .notes("UPDATE instead of INSERT because of the optional trimming feature")])
        .arguments(&[
            KEY,
            token("nomkstream", "NOMKSTREAM").since("6.2.0").optional(),
            block("trim", TRIM).optional(),
            one_of("id-selector", &[token("auto-id", "*"), string("id")]),
            block("data", &[string("field"), string("value")]).multiple(),
        ])
        .docs(
            "5.0.0",
            "O(1), and O(N) for trimming, N the number of entries removed",
            "Appends an entry to a stream, which is created if it is not there.",
        )
        .history(&[
            ("6.2.0", "`NOMKSTREAM`, trimming by `MINID`, and `LIMIT`."),
            ("7.0.0", "Ids of the form `<ms>-*`."),
        ])
        .tips(&["nondeterministic_output"]),
    Spec::new("xlen", 2)
        .run(range::xlen)
        .flags("readonly fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY])
        .docs("5.0.0", "O(1)", "Counts the entries of a stream."),
    Spec::new("xrange", -4)
        .run(range::xrange)
        .flags("readonly")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, string("start"), string("end"), COUNT])
        .docs(
            "5.0.0",
            "O(N), N the number of entries returned",
            "Returns the entries of a stream between two ids, oldest first.",
        )
        .history(&[("6.2.0", "Ids that are themselves left out.")]),
    Spec::new("xrevrange", -4)
        .run(range::xrevrange)
        .flags("readonly")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, string("end"), string("start"), COUNT])
        .docs(
            "5.0.0",
            "O(N), N the number of entries returned",
            "Returns the entries of a stream between two ids, newest first.",
        )
        .history(&[("6.2.0", "Ids that are themselves left out.")]),
    Spec::new("xdel", -3)
        .run(delete::xdel)
        .flags("write fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[KEY, string("id").multiple()])
        .docs("5.0.0", "O(1) for each id", "Deletes entries of a stream, and tells how many."),
    Spec::new("xtrim", -4)
        .run(trim::xtrim)
        .flags("write")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[KEY, block("trim", TRIM)])
        .docs(
            "5.0.0",
            "O(N), N the number of entries removed, with a small factor, as whole nodes are freed",
            "Removes the oldest entries of a stream, down to a length or up to an id.",
        )
        .history(&[("6.2.0", "Trimming by `MINID`, and `LIMIT`.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("xsetid", -3)
        .run(set_id::xsetid)
        .flags("write denyoom fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[
            KEY,
            string("last-id"),
            integer("entries-added").token("ENTRIESADDED").since("7.0.0").optional(),
            string("max-deleted-id").token("MAXDELETEDID").since("7.0.0").optional(),
        ])
        .docs("5.0.0", "O(1)", "Sets a stream's counters; meant for replication.")
        .history(&[("7.0.0", "`ENTRIESADDED` and `MAXDELETEDID`.")]),
    Spec::new("xread", -4)
        .run(read::xread)
        .flags("readonly blocking movablekeys")
        .acl("stream")
        .keys(&[streams_keys(1)])
        .arguments(&[COUNT, BLOCK, STREAMS])
        .docs(
            "5.0.0",
            "O(N) for each stream, N the number of entries returned; XADD pays O(M) for M clients that wait",
            "Returns the entries of streams that come after given ids, or waits for some.",
        ),
    Spec::new("xreadgroup", -7)
        .run(read::xreadgroup)
        .flags("write blocking movablekeys")
        .acl("stream")
        .keys(&[streams_keys(4)])
        .arguments(&[
            block("group-block", &[string("group"), string("consumer")]).token("GROUP"),
            COUNT,
            BLOCK,
            token("noack", "NOACK").optional(),
            STREAMS,
        ])
        .docs(
            "5.0.0",
            "O(N) for each stream, N the number of entries returned; XADD pays O(M) for M clients that wait",
            "Delivers entries that a group has not seen to one of its consumers, or returns those pending with it.",
        ),
    Spec::new("xack", -4)
        .run(pending::xack)
        .flags("write fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, string("group"), string("id").multiple()])
        .docs("5.0.0", "O(1) for each id", "Acknowledges entries, and tells how many were pending."),
    Spec::new("xpending", -3)
        .run(pending::xpending)
        .flags("readonly")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            string("group"),
            block(
                "filters",
                &[
                    integer("min-idle-time").token("IDLE").since("6.2.0").optional(),
                    string("start"),
                    string("end"),
                    integer("count"),
                    string("consumer").optional(),
                ],
            )
            .optional(),
        ])
        .docs(
            "5.0.0",
            "O(N), N the number of entries returned, or looked at with IDLE; the summary is O(C), C the number of \
             consumers",
            "Tells what was delivered to a group's consumers and not acknowledged.",
        )
        .history(&[("6.2.0", "`IDLE`, and ids that are themselves left out.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("xclaim", -6)
        .run(claim::xclaim)
        .flags("write fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[
            KEY,
            string("group"),
            string("consumer"),
            string("min-idle-time"),
            string("id").multiple(),
            integer("ms").token("IDLE").optional(),
            unix_time("unix-time-milliseconds").token("TIME").optional(),
            integer("count").token("RETRYCOUNT").optional(),
            token("force", "FORCE").optional(),
            token("justid", "JUSTID").optional(),
            string("lastid").token("LASTID").optional(),
        ])
        .docs(
            "5.0.0",
            "O(log N) for each id, N the number of the group's pending entries",
            "Hands pending entries over to another consumer.",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new("xautoclaim", -6)
        .run(claim::xautoclaim)
        .flags("write fast")
        .acl("stream")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[
            KEY,
            string("group"),
            string("consumer"),
            string("min-idle-time"),
            string("start"),
            COUNT,
            token("justid", "JUSTID").optional(),
        ])
        .docs(
            "6.2.0",
            "O(1) for a small COUNT",
            "Hands entries that have been pending for long over to another consumer.",
        )
        .history(&[("7.0.0", "The reply lists the pending entries that were found to be deleted.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("xgroup", -2)
        .docs("5.0.0", "Depends on the subcommand", "Creates, changes and removes consumer groups.")
        .subcommands_of(XGROUP_SUBCOMMANDS),
    Spec::new("xinfo", -2)
        .docs("5.0.0", "Depends on the subcommand", "Inspects streams and their consumer groups.")
        .subcommands_of(XINFO_SUBCOMMANDS),
];

const GROUP_ID: Argument = one_of("id-selector", &[string("id"), token("new-id", "$")]);

const ENTRIES_READ: Argument =
    integer("entriesread").display("entries-read").token("ENTRIESREAD").optional();

const XGROUP_SUBCOMMANDS: &[Spec] = &[
    Spec::new("xgroup|create", -5)
        .run(group::create)
        .flags("write denyoom")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RW insert")])
        .arguments(&[
            KEY,
            string("group"),
            GROUP_ID,
            token("mkstream", "MKSTREAM").optional(),
            ENTRIES_READ,
        ])
        .docs("5.0.0", "O(1)", "Creates a consumer group.")
        .history(&[("7.0.0", "`ENTRIESREAD`.")]),
    Spec::new("xgroup|setid", -5)
        .run(group::set_id)
        .flags("write")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RW update")])
        .arguments(&[KEY, string("group"), GROUP_ID, ENTRIES_READ])
        .docs("5.0.0", "O(1)", "Sets the id up to which a group has read.")
        .history(&[("7.0.0", "`ENTRIESREAD`.")]),
    Spec::new("xgroup|destroy", 4)
        .run(group::destroy)
        .flags("write")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RW delete")])
        .arguments(&[KEY, string("group")])
        .docs("5.0.0", "O(N), N the number of the group's pending entries", "Removes a group."),
    Spec::new("xgroup|createconsumer", 5)
        .run(consumers::create)
        .flags("write denyoom")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RW insert")])
        .arguments(&[KEY, string("group"), string("consumer")])
        .docs("6.2.0", "O(1)", "Creates a consumer in a group."),
    Spec::new("xgroup|delconsumer", 5)
        .run(consumers::remove)
        .flags("write")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RW delete")])
        .arguments(&[KEY, string("group"), string("consumer")])
        .docs(
            "5.0.0",
            "O(1)",
            "Removes a consumer from a group, with all that is pending with it.",
        ),
    Spec::new("xgroup|help", 2)
        .session(SessionCommand::Help)
        .flags("loading stale")
        .acl("stream")
        .docs("5.0.0", "O(1)", "Lists the subcommands."),
];

const XINFO_SUBCOMMANDS: &[Spec] = &[
    Spec::new("xinfo|stream", -3)
        .run(info::stream)
        .flags("readonly")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RO access")])
        .arguments(&[KEY, block("full-block", &[token("full", "FULL"), COUNT]).optional()])
        .docs("5.0.0", "O(1)", "Describes a stream, with FULL also its entries and groups.")
        .history(&[
            ("6.0.0", "`FULL`."),
            (
                "7.0.0",
                "The fields `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and \
                 `lag`.",
            ),
            ("7.2.0", "The field `active-time`; `seen-time` is the time of the last attempt."),
        ]),
    Spec::new("xinfo|groups", 3)
        .run(info::groups)
        .flags("readonly")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RO access")])
        .arguments(&[KEY])
        .docs("5.0.0", "O(1)", "Lists a stream's consumer groups.")
        .history(&[("7.0.0", "The fields `entries-read` and `lag`.")]),
    Spec::new("xinfo|consumers", 4)
        .run(info::consumers)
        .flags("readonly")
        .acl("stream")
        .keys(&[KeySpec::at(2, "RO access")])
        .arguments(&[KEY, string("group")])
        .docs("5.0.0", "O(1)", "Lists a group's consumers.")
        .history(&[("7.2.0", "The field `inactive`; `idle` counts from the last attempt.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("xinfo|help", 2)
        .session(SessionCommand::Help)
        .flags("loading stale")
        .acl("stream")
        .docs("5.0.0", "O(1)", "Lists the subcommands."),
];
