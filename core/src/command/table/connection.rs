//! The commands on the connection they arrive on, and CLIENT.

use crate::command::build::*;
use crate::command::spec::{Argument, NodeCommand, SessionCommand, Spec};

pub const COMMANDS: &[Spec] = &[
    Spec::new("ping", -1)
        .session(SessionCommand::Ping)
        .flags("fast")
        .acl("connection")
        .arguments(&[string("message").optional()])
        .docs("1.0.0", "O(1)", "Answers PONG, or with the message it is given.")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    Spec::new("echo", 2)
        .session(SessionCommand::Echo)
        .flags("loading stale fast")
        .acl("connection")
        .arguments(&[string("message")])
        .docs("1.0.0", "O(1)", "Answers with the message it is given."),
    Spec::new("quit", -1)
        .session(SessionCommand::Quit)
        .flags("noscript loading stale fast no_auth allow_busy")
        .acl("connection")
        .docs("1.0.0", "O(1)", "Closes the connection after its replies.")
        .deprecated("7.2.0", "just closing the connection"),
    Spec::new("reset", 1)
        .session(SessionCommand::Reset)
        .flags("noscript loading stale fast no_auth allow_busy")
        .acl("connection")
        .docs("6.2.0", "O(1)", "Puts the connection back into the state of a new one."),
    Spec::new("select", 2)
        .session(SessionCommand::Select)
        .flags("loading stale fast")
        .acl("connection")
        .arguments(&[integer("index")])
        .docs("1.0.0", "O(1)", "Switches the connection to another database."),
    Spec::new("auth", -2)
        .session(SessionCommand::Auth)
        .flags("noscript loading stale fast no_auth allow_busy")
        .acl("connection")
        .arguments(&[string("username").since("6.0.0").optional(), string("password")])
        .docs(
            "1.0.0",
            "O(N), N the number of the user's passwords",
            "Authenticates the connection.",
        )
        .history(&[("6.0.0", "Takes a user name.")]),
    Spec::new("hello", -1)
        .session(SessionCommand::Hello)
        .flags("noscript loading stale fast no_auth allow_busy")
        .acl("connection")
        .arguments(&[block(
            "arguments",
            &[
                integer("protover"),
                block("auth", &[string("username"), string("password")]).token("AUTH").optional(),
                string("clientname").token("SETNAME").optional(),
            ],
        )
        .optional()])
        .docs(
            "6.0.0",
            "O(1)",
            "Chooses the protocol version; may authenticate and name the connection too.",
        )
        .history(&[("6.2.0", "The version may be left out to ask for the connection's state.")]),
    Spec::new("client", -2)
        .docs("2.4.0", "Depends on the subcommand", "Inspects and controls client connections.")
        .subcommands_of(CLIENT_SUBCOMMANDS),
];

const CLIENT_SUBCOMMANDS: &[Spec] = &[
    Spec::new("client|getname", 2)
        .session(SessionCommand::ClientGetname)
        .flags("noscript loading stale")
        .acl("connection")
        .docs("2.6.9", "O(1)", "Tells the name of the connection."),
    Spec::new("client|getredir", 2)
        .session(SessionCommand::ClientGetredir)
        .flags("noscript loading stale")
        .acl("connection")
        .docs("6.0.0", "O(1)", "Tells which client gets this connection's tracking messages."),
    Spec::new("client|help", 2)
        .session(SessionCommand::Help)
        .flags("loading stale")
        .acl("connection")
        .docs("5.0.0", "O(1)", "Lists the subcommands."),
    Spec::new("client|id", 2)
        .session(SessionCommand::ClientId)
        .flags("noscript loading stale")
        .acl("connection")
        .docs("5.0.0", "O(1)", "Tells the id of the connection."),
    Spec::new("client|info", 2)
        .session(SessionCommand::ClientInfo)
        .flags("noscript loading stale")
        .acl("connection")
        .docs("6.2.0", "O(1)", "Describes the connection.")
        .tips(&["nondeterministic_output"]),
    Spec::new("client|kill", -3)
        .node(NodeCommand::ClientKill)
        .flags("admin noscript loading stale")
        .acl("connection")
        .arguments(&[one_of(
            "filter",
            &[
                string("old-format").display("ip:port").deprecated("2.8.12"),
                one_of(
                    "new-format",
                    &[
                        integer("client-id").token("ID").since("2.8.12").optional(),
                        one_of(
                            "client-type",
                            &[
                                token("normal", "normal"),
                                token("master", "master").since("3.2.0"),
                                token("slave", "slave"),
                                token("replica", "replica").since("5.0.0"),
                                token("pubsub", "pubsub"),
                            ],
                        )
                        .token("TYPE")
                        .since("2.8.12")
                        .optional(),
                        string("username").token("USER").optional(),
                        string("addr").token("ADDR").display("ip:port").optional(),
                        string("laddr").token("LADDR").display("ip:port").since("6.2.0").optional(),
                        one_of("skipme", &[token("yes", "YES"), token("no", "NO")])
                            .token("SKIPME")
                            .optional(),
                    ],
                )
                .multiple(),
            ],
        )])
        .docs("2.4.0", "O(N), N the number of connections", "Closes the connections that match.")
        .history(&[
            ("2.8.12", "Filters."),
            ("2.8.12", "`ID`."),
            ("3.2.0", "`TYPE` knows `master`."),
            ("5.0.0", "`TYPE` knows `replica`; `slave` stays."),
            ("6.2.0", "`LADDR`."),
        ]),
    Spec::new("client|list", -2)
        .node(NodeCommand::ClientList)
        .flags("admin noscript loading stale")
        .acl("connection")
        .arguments(&[
            one_of(
                "client-type",
                &[
                    token("normal", "normal"),
                    token("master", "master"),
                    token("replica", "replica"),
                    token("pubsub", "pubsub"),
                ],
            )
            .token("TYPE")
            .since("5.0.0")
            .optional(),
            integer("client-id").token("ID").since("6.2.0").optional().multiple(),
        ])
        .docs("2.4.0", "O(N), N the number of connections", "Describes the open connections.")
        .history(&[
            ("2.8.12", "Field `id`."),
            ("5.0.0", "`TYPE`."),
            ("6.0.0", "Field `user`."),
            ("6.2.0", "Fields `argv-mem`, `tot-mem`, `laddr` and `redir`; `ID`."),
            ("7.0.0", "Fields `resp`, `multi-mem`, `rbs` and `rbp`."),
            ("7.0.3", "Field `ssub`."),
        ])
        .tips(&["nondeterministic_output"]),
    Spec::new("client|no-evict", 3)
        .session(SessionCommand::ClientNoEvict)
        .flags("admin noscript loading stale")
        .acl("connection")
        .arguments(&[ON_OFF])
        .docs("7.0.0", "O(1)", "Exempts the connection from client eviction, or ends that."),
    Spec::new("client|no-touch", 3)
        .session(SessionCommand::ClientNoTouch)
        .flags("noscript loading stale")
        .acl("connection")
        .arguments(&[ON_OFF])
        .docs(
            "7.2.0",
            "O(1)",
            "Lets the connection's commands leave access times of keys alone, or ends that.",
        ),
    Spec::new("client|pause", -3)
        .node(NodeCommand::ClientPause)
        .flags("admin noscript loading stale")
        .acl("connection")
        .arguments(&[
            integer("timeout"),
            one_of("mode", &[token("write", "WRITE"), token("all", "ALL")])
                .since("6.2.0")
                .optional(),
        ])
        .docs("3.0.0", "O(1)", "Holds back commands for a while.")
        .history(&[("6.2.0", "The mode; `WRITE`.")]),
    Spec::new("client|reply", 3)
        .session(SessionCommand::ClientReply)
        .flags("noscript loading stale")
        .acl("connection")
        .arguments(&[one_of(
            "action",
            &[token("on", "ON"), token("off", "OFF"), token("skip", "SKIP")],
        )])
        .docs(
            "3.2.0",
            "O(1)",
            "Switches the replies to the connection on or off, or skips the next one.",
        ),
    Spec::new("client|setinfo", 4)
        .session(SessionCommand::ClientSetinfo)
        .flags("noscript loading stale")
        .acl("connection")
        .arguments(&[one_of(
            "attr",
            &[string("libname").token("lib-name"), string("libver").token("lib-ver")],
        )])
        .docs("7.2.0", "O(1)", "Notes the name or the version of the library that the client uses.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Spec::new("client|setname", 3)
        .session(SessionCommand::ClientSetname)
        .flags("noscript loading stale")
        .acl("connection")
        .arguments(&[string("connection-name")])
        .docs("2.6.9", "O(1)", "Names the connection.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    Spec::new("client|trackinginfo", 2)
        .session(SessionCommand::ClientTrackinginfo)
        .flags("noscript loading stale")
        .acl("connection")
        .docs("6.2.0", "O(1)", "Tells how the connection uses tracking."),
    Spec::new("client|unblock", -3)
        .node(NodeCommand::ClientUnblock)
        .flags("admin noscript loading stale")
        .acl("connection")
        .arguments(&[
            integer("client-id"),
            one_of("unblock-type", &[token("timeout", "TIMEOUT"), token("error", "ERROR")])
                .optional(),
        ])
        .docs(
            "5.0.0",
            "O(log N), N the number of connections",
            "Ends the wait of a client that a command blocks.",
        ),
    Spec::new("client|unpause", 2)
        .node(NodeCommand::ClientUnpause)
        .flags("admin noscript loading stale")
        .acl("connection")
        .docs(
            "6.2.0",
            "O(N), N the number of paused connections",
            "Lets held back commands go on.",
        ),
];

const ON_OFF: Argument = one_of("enabled", &[token("on", "ON"), token("off", "OFF")]);
