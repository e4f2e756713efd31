//! The commands on the server as a whole: databases, configuration, introspection.

use crate::command::build::*;
use crate::command::spec::{Argument, KeySpec, NodeCommand, SessionCommand, Spec};
use crate::commands::object;

pub const COMMANDS: &[Spec] = &[
    Spec::new("dbsize", 1)
        .node(NodeCommand::Dbsize)
        .flags("readonly fast")
        .acl("keyspace")
        .docs("1.0.0", "O(1)", "Counts the keys of the database.")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    Spec::new("flushdb", -1)
        .node(NodeCommand::Flushdb)
        .flags("write")
        .acl("keyspace dangerous")
        .arguments(&[FLUSH_TYPE])
        .docs(
            "1.0.0",
            "O(N), N the number of keys in the database",
            "Removes every key of the database.",
        )
        .history(&[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("flushall", -1)
        .node(NodeCommand::Flushall)
        .flags("write")
        .acl("keyspace dangerous")
        .arguments(&[FLUSH_TYPE])
        .docs(
            "1.0.0",
            "O(N), N the number of keys in all databases",
            "Removes every key of every database.",
        )
        .history(&[("4.0.0", "`ASYNC`."), ("6.2.0", "`SYNC`.")])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("swapdb", 3)
        .node(NodeCommand::Swapdb)
        .flags("write fast")
        .acl("keyspace dangerous")
        .arguments(&[integer("index1"), integer("index2")])
        .docs(
            "4.0.0",
            "O(N), N the number of clients that watch or wait for keys of the two",
            "Exchanges two databases.",
        ),
    Spec::new("time", 1)
        .session(SessionCommand::Time)
        .flags("loading stale fast")
        .docs("2.6.0", "O(1)", "Tells the server's clock.")
        .tips(&["nondeterministic_output"]),
    Spec::new("info", -1)
        .node(NodeCommand::Info)
        .flags("loading stale")
        .acl("dangerous")
        .arguments(&[string("section").optional().multiple()])
        .docs("1.0.0", "O(1)", "Reports the server's state and statistics.")
        .history(&[("7.0.0", "Takes several sections.")])
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("config", -2)
        .docs("2.0.0", "Depends on the subcommand", "Reads and changes the configuration.")
        .subcommands_of(CONFIG_SUBCOMMANDS),
    Spec::new("command", -1)
        .session(SessionCommand::Command)
        .flags("loading stale")
        .acl("connection")
        .docs("2.8.13", "O(N), N the number of commands", "Describes every command.")
        .tips(&["nondeterministic_output_order"])
        .subcommands_of(COMMAND_SUBCOMMANDS),
    Spec::new("debug", -2)
        .node(NodeCommand::Debug)
        .flags("admin noscript loading stale protected")
        .docs("1.0.0", "Depends on the subcommand", "Serves those who debug or test the server.")
        .system(),
    Spec::new("memory", -2)
        .docs("4.0.0", "Depends on the subcommand", "Looks into memory use.")
        .subcommands_of(MEMORY_SUBCOMMANDS),
    Spec::new("slowlog", -2)
        .docs("2.2.12", "Depends on the subcommand", "Inspects the log of slow commands.")
        .subcommands_of(SLOWLOG_SUBCOMMANDS),
    Spec::new("latency", -2)
        .docs("2.8.13", "Depends on the subcommand", "Inspects latency events.")
        .subcommands_of(LATENCY_SUBCOMMANDS),
    Spec::new("monitor", 1).node(NodeCommand::Monitor).flags("admin noscript loading stale").docs(
        "1.0.0",
        "",
        "Streams every command that the server runs.",
    ),
    Spec::new("shutdown", -1)
        .node(NodeCommand::Shutdown)
        .flags("admin noscript loading stale no_multi allow_busy")
        .arguments(&[
            one_of("save-selector", &[token("nosave", "NOSAVE"), token("save", "SAVE")]).optional(),
            token("now", "NOW").since("7.0.0").optional(),
            token("force", "FORCE").since("7.0.0").optional(),
            token("abort", "ABORT").since("7.0.0").optional(),
        ])
        .docs(
            "1.0.0",
            "O(N) when it saves N keys, otherwise O(1)",
            "Stops the server, saving first where that is configured.",
        )
        .history(&[("7.0.0", "`NOW`, `FORCE` and `ABORT`.")]),
    Spec::new("lolwut", -1)
        .session(SessionCommand::Lolwut)
        .flags("readonly fast")
        .arguments(&[integer("version").token("VERSION").optional()])
        .docs("5.0.0", "", "Draws a piece of computer art and tells the version."),
    Spec::new("lastsave", 1)
        .node(NodeCommand::Lastsave)
        .flags("loading stale fast")
        .acl("admin dangerous")
        .docs("1.0.0", "O(1)", "Tells the Unix time of the last successful save.")
        .tips(&["nondeterministic_output"]),
    Spec::new("save", 1)
        .node(NodeCommand::Save)
        .flags("admin noscript no_async_loading no_multi")
        .docs(
            "1.0.0",
            "O(N), N the number of keys",
            "Saves a snapshot to disk and answers when it is there.",
        ),
    Spec::new("bgsave", -1)
        .node(NodeCommand::Bgsave)
        .flags("admin noscript no_async_loading")
        .arguments(&[token("schedule", "SCHEDULE").since("3.2.2").optional()])
        .docs("1.0.0", "O(1)", "Begins to save a snapshot to disk.")
        .history(&[("3.2.2", "`SCHEDULE`.")]),
    Spec::new("replicaof", 3)
        .node(NodeCommand::Replicaof)
        .flags("admin noscript stale no_async_loading")
        .arguments(&[REPLICAOF_ARGUMENTS])
        .docs("5.0.0", "O(1)", "Makes the server a replica of another, or a primary again."),
    Spec::new("slaveof", 3)
        .node(NodeCommand::Replicaof)
        .flags("admin noscript stale no_async_loading")
        .arguments(&[REPLICAOF_ARGUMENTS])
        .docs("1.0.0", "O(1)", "Makes the server a replica of another, or a primary again.")
        .deprecated("5.0.0", "`REPLICAOF`"),
    Spec::new("failover", -1)
        .node(NodeCommand::Failover)
        .flags("admin noscript stale")
        .arguments(&[
            block("target", &[string("host"), integer("port"), token("force", "FORCE").optional()])
                .token("TO")
                .optional(),
            token("abort", "ABORT").optional(),
            integer("milliseconds").token("TIMEOUT").optional(),
        ])
        .docs("6.2.0", "O(1)", "Hands the role of primary over to a replica."),
    Spec::new("replconf", -1)
        .session(SessionCommand::Replconf)
        .flags("admin noscript loading stale allow_busy")
        .docs("3.0.0", "O(1)", "Serves replicas and primaries to tell each other of themselves.")
        .system(),
    Spec::new("psync", -3)
        .session(SessionCommand::Psync)
        .flags("admin noscript no_async_loading no_multi")
        .arguments(&[string("replicationid"), integer("offset")])
        .docs(
            "2.8.0",
            "",
            "Asks for the replication stream, from an offset on or with a snapshot first.",
        )
        .system(),
    Spec::new("sync", 1)
        .session(SessionCommand::Sync)
        .flags("admin noscript no_async_loading no_multi")
        .docs("1.0.0", "", "Asks for a snapshot and the replication stream behind it.")
        .system(),
    Spec::new("role", 1)
        .node(NodeCommand::Role)
        .flags("noscript loading stale fast")
        .acl("admin dangerous")
        .docs("2.8.12", "O(1)", "Tells whether the server is a primary or a replica, and of whom."),
];

const REPLICAOF_ARGUMENTS: Argument = one_of(
    "args",
    &[
        block("host-port", &[string("host"), integer("port")]),
        block("no-one", &[token("no", "NO"), token("one", "ONE")]),
    ],
);

const CONFIG_SUBCOMMANDS: &[Spec] = &[
    Spec::new("config|get", -3)
        .node(NodeCommand::ConfigGet)
        .flags("admin noscript loading stale")
        .arguments(&[string("parameter").multiple()])
        .docs(
            "2.0.0",
            "O(N), N the number of parameters",
            "Reads the parameters whose names match.",
        )
        .history(&[("7.0.0", "Takes several patterns.")]),
    Spec::new("config|help", 2).session(SessionCommand::Help).flags("loading stale").docs(
        "5.0.0",
        "O(1)",
        "Lists the subcommands.",
    ),
    Spec::new("config|resetstat", 2)
        .node(NodeCommand::ConfigResetstat)
        .flags("admin noscript loading stale")
        .docs("2.0.0", "O(1)", "Sets the statistics back to zero.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Spec::new("config|rewrite", 2)
        .node(NodeCommand::ConfigRewrite)
        .flags("admin noscript loading stale")
        .docs("2.8.0", "O(1)", "Writes the configuration in force back to its file.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Spec::new("config|set", -4)
        .node(NodeCommand::ConfigSet)
        .flags("admin noscript loading stale")
        .arguments(&[block("data", &[string("parameter"), string("value")]).multiple()])
        .docs(
            "2.0.0",
            "O(N), N the number of parameters",
            "Changes parameters while the server runs.",
        )
        .history(&[("7.0.0", "Sets several parameters at once.")])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

const COMMAND_SUBCOMMANDS: &[Spec] = &[
    Spec::new("command|count", 2)
        .session(SessionCommand::CommandCount)
        .flags("loading stale")
        .acl("connection")
        .docs("2.8.13", "O(1)", "Counts the commands."),
    Spec::new("command|docs", -2)
        .session(SessionCommand::CommandDocs)
        .flags("loading stale")
        .acl("connection")
        .arguments(&[string("command-name").optional().multiple()])
        .docs("7.0.0", "O(N), N the number of names", "Documents commands.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("command|getkeys", -3)
        .session(SessionCommand::CommandGetkeys)
        .flags("loading stale")
        .acl("connection")
        .arguments(&[string("command"), string("arg").optional().multiple()])
        .docs(
            "2.8.13",
            "O(N), N the number of arguments",
            "Picks the keys out of a command with its arguments.",
        ),
    Spec::new("command|getkeysandflags", -3)
        .session(SessionCommand::CommandGetkeysandflags)
        .flags("loading stale")
        .acl("connection")
        .arguments(&[string("command"), string("arg").optional().multiple()])
        .docs(
            "7.0.0",
            "O(N), N the number of arguments",
            "Picks the keys out of a command with its arguments and tells how each is used.",
        ),
    Spec::new("command|help", 2)
        .session(SessionCommand::Help)
        .flags("loading stale")
        .acl("connection")
        .docs("5.0.0", "O(1)", "Lists the subcommands."),
    Spec::new("command|info", -2)
        .session(SessionCommand::CommandInfo)
        .flags("loading stale")
        .acl("connection")
        .arguments(&[string("command-name").optional().multiple()])
        .docs("2.8.13", "O(N), N the number of names", "Describes commands.")
        .history(&[("7.0.0", "Without a name, all commands.")])
        .tips(&["nondeterministic_output_order"]),
    Spec::new("command|list", -2)
        .session(SessionCommand::CommandList)
        .flags("loading stale")
        .acl("connection")
        .arguments(&[one_of(
            "filterby",
            &[
                string("module-name").token("MODULE"),
                string("category").token("ACLCAT"),
                pattern("pattern").token("PATTERN"),
            ],
        )
        .token("FILTERBY")
        .optional()])
        .docs("7.0.0", "O(N), N the number of commands", "Lists the names of commands.")
        .tips(&["nondeterministic_output_order"]),
];

const MEMORY_SUBCOMMANDS: &[Spec] = &[
    Spec::new("memory|doctor", 2)
        .node(NodeCommand::MemoryDoctor)
        .docs("4.0.0", "O(1)", "Looks for trouble with memory and says what it found.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("memory|help", 2).session(SessionCommand::Help).flags("loading stale").docs(
        "4.0.0",
        "O(1)",
        "Lists the subcommands.",
    ),
    Spec::new("memory|malloc-stats", 2)
        .node(NodeCommand::MemoryMallocStats)
        .docs(
            "4.0.0",
            "Depends on the memory in use; may be slow",
            "Reports the allocator's own statistics.",
        )
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("memory|purge", 2)
        .node(NodeCommand::MemoryPurge)
        .docs(
            "4.0.0",
            "Depends on the memory in use; may be slow",
            "Asks the allocator to give unused memory back.",
        )
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("memory|stats", 2)
        .node(NodeCommand::MemoryStats)
        .docs("4.0.0", "O(1)", "Reports what memory is used for.")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    Spec::new("memory|usage", -3)
        .run(object::memory_usage)
        .flags("readonly")
        .keys(&[KeySpec::at(2, "RO")])
        .arguments(&[KEY, integer("count").token("SAMPLES").optional()])
        .docs(
            "4.0.0",
            "O(N), N the number of samples",
            "Estimates the memory that a key and its value take.",
        ),
];

const SLOWLOG_SUBCOMMANDS: &[Spec] = &[
    Spec::new("slowlog|get", -2)
        .node(NodeCommand::SlowlogGet)
        .flags("admin loading stale")
        .arguments(&[integer("count").optional()])
        .docs(
            "2.2.12",
            "O(N), N the number of entries",
            "Lists the latest entries of the slow log.",
        )
        .history(&[("4.0.0", "The client's address and name.")])
        .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    Spec::new("slowlog|help", 2).session(SessionCommand::Help).flags("loading stale").docs(
        "6.2.0",
        "O(1)",
        "Lists the subcommands.",
    ),
    Spec::new("slowlog|len", 2)
        .node(NodeCommand::SlowlogLen)
        .flags("admin loading stale")
        .docs("2.2.12", "O(1)", "Counts the entries of the slow log.")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    Spec::new("slowlog|reset", 2)
        .node(NodeCommand::SlowlogReset)
        .flags("admin loading stale")
        .docs("2.2.12", "O(N), N the number of entries", "Empties the slow log.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

const LATENCY_SUBCOMMANDS: &[Spec] = &[
    Spec::new("latency|doctor", 2)
        .node(NodeCommand::LatencyDoctor)
        .flags("admin noscript loading stale")
        .docs("2.8.13", "O(1)", "Looks for causes of latency and says what it found.")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new("latency|graph", 3)
        .node(NodeCommand::LatencyGraph)
        .flags("admin noscript loading stale")
        .arguments(&[string("event")])
        .docs("2.8.13", "O(1)", "Draws an event's latency over time.")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new("latency|help", 2).session(SessionCommand::Help).flags("loading stale").docs(
        "2.8.13",
        "O(1)",
        "Lists the subcommands.",
    ),
    Spec::new("latency|histogram", -2)
        .node(NodeCommand::LatencyHistogram)
        .flags("admin noscript loading stale")
        .arguments(&[string("COMMAND").optional().multiple()])
        .docs(
            "7.0.0",
            "O(N), N the number of commands with samples",
            "Reports how long commands took as histograms.",
        )
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new("latency|history", 3)
        .node(NodeCommand::LatencyHistory)
        .flags("admin noscript loading stale")
        .arguments(&[string("event")])
        .docs("2.8.13", "O(1)", "Lists an event's latency samples.")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new("latency|latest", 2)
        .node(NodeCommand::LatencyLatest)
        .flags("admin noscript loading stale")
        .docs("2.8.13", "O(1)", "Lists the latest sample of every event.")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    Spec::new("latency|reset", -2)
        .node(NodeCommand::LatencyReset)
        .flags("admin noscript loading stale")
        .arguments(&[string("event").optional().multiple()])
        .docs("2.8.13", "O(1)", "Forgets the samples of events.")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum"]),
];

const FLUSH_TYPE: Argument = one_of(
    "flush-type",
    &[token("async", "ASYNC").since("4.0.0"), token("sync", "SYNC").since("6.2.0")],
)
.optional();
