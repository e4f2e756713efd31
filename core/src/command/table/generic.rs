//! The commands on keys of any type: removal, expiry, names, walks.

use crate::command::build::*;
use crate::command::spec::{Argument, Find, KeySpec, NodeCommand, SessionCommand, Spec, Split};
use crate::commands::{dump, expire, keys, object, sort};

const SORT_BY: Argument =
    pattern("by-pattern").display("pattern").key_spec(1).token("BY").optional();
const SORT_LIMIT: Argument =
    block("limit", &[integer("offset"), integer("count")]).token("LIMIT").optional();
const SORT_GET: Argument = pattern("get-pattern")
    .display("pattern")
    .key_spec(1)
    .token("GET")
    .optional()
    .multiple()
    .multiple_token();
const SORT_ORDER: Argument =
    one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional();
const SORT_ALPHA: Argument = token("sorting", "ALPHA").optional();
const SORT_COST: &str =
    "O(N+M*log(M)), N the number of elements, M the number returned; O(N) if unsorted";

pub const COMMANDS: &[Spec] = &[
    Spec::new("del", -2)
        .run(keys::del)
        .split(Split::Sum)
        .flags("write")
        .acl("keyspace")
        .keys(&[KeySpec::all_from(1, "RM delete")])
        .arguments(&[KEY.multiple()])
        .docs(
            "1.0.0",
            "O(N), N the number of keys; a collection adds its number of elements",
            "Removes keys.",
        )
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::new("unlink", -2)
        .run(keys::unlink)
        .split(Split::Sum)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::all_from(1, "RM delete")])
        .arguments(&[KEY.multiple()])
        .docs(
            "4.0.0",
            "O(1) for each key; its memory is freed later",
            "Removes keys and leaves freeing their memory for later.",
        )
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::new("exists", -2)
        .run(keys::exists)
        .split(Split::Sum)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::all_from(1, "RO")])
        .arguments(&[KEY.multiple()])
        .docs("1.0.0", "O(N), N the number of keys", "Counts how many of the keys exist.")
        .history(&[("3.0.3", "Takes several keys.")])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::new("touch", -2)
        .run(keys::touch)
        .split(Split::Sum)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::all_from(1, "RO")])
        .arguments(&[KEY.multiple()])
        .docs(
            "3.2.1",
            "O(N), N the number of keys",
            "Marks keys as used just now and counts those that exist.",
        )
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    Spec::new("type", 2)
        .run(keys::key_type)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Tells the type of the value under a key."),
    Spec::new("expire", -3)
        .run(expire::expire)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("seconds"), EXPIRE_CONDITION])
        .docs("1.0.0", "O(1)", "Makes a key expire after some seconds.")
        .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")]),
    Spec::new("pexpire", -3)
        .run(expire::pexpire)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("milliseconds"), EXPIRE_CONDITION])
        .docs("2.6.0", "O(1)", "Makes a key expire after some milliseconds.")
        .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")]),
    Spec::new("expireat", -3)
        .run(expire::expireat)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, unix_time("unix-time-seconds"), EXPIRE_CONDITION])
        .docs("1.2.0", "O(1)", "Makes a key expire at a Unix time in seconds.")
        .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")]),
    Spec::new("pexpireat", -3)
        .run(expire::pexpireat)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, unix_time("unix-time-milliseconds"), EXPIRE_CONDITION])
        .docs("2.6.0", "O(1)", "Makes a key expire at a Unix time in milliseconds.")
        .history(&[("7.0.0", "`NX`, `XX`, `GT` and `LT`.")]),
    Spec::new("ttl", 2)
        .run(expire::ttl)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Tells in how many seconds a key expires.")
        .history(&[("2.8.0", "Answers -2 for a key that does not exist.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("pttl", 2)
        .run(expire::pttl)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("2.6.0", "O(1)", "Tells in how many milliseconds a key expires.")
        .history(&[("2.8.0", "Answers -2 for a key that does not exist.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("expiretime", 2)
        .run(expire::expiretime)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("7.0.0", "O(1)", "Tells the Unix time in seconds at which a key expires."),
    Spec::new("pexpiretime", 2)
        .run(expire::pexpiretime)
        .flags("readonly fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("7.0.0", "O(1)", "Tells the Unix time in milliseconds at which a key expires."),
    Spec::new("persist", 2)
        .run(expire::persist)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY])
        .docs("2.2.0", "O(1)", "Drops the expiry of a key."),
    Spec::new("rename", 3)
        .run(keys::rename)
        .flags("write")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "OW update")])
        .arguments(&[KEY, key("newkey").key_spec(1)])
        .docs("1.0.0", "O(1)", "Gives a key another name, replacing what has that name."),
    Spec::new("renamenx", 3)
        .run(keys::renamenx)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "OW insert")])
        .arguments(&[KEY, key("newkey").key_spec(1)])
        .docs("1.0.0", "O(1)", "Gives a key another name unless that name is taken.")
        .history(&[("3.2.0", "Both names may be the same.")]),
    Spec::new("copy", -3)
        .run(keys::copy)
        .flags("write denyoom")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO access"), KeySpec::at(2, "OW update")])
        .arguments(&[
            key("source"),
            key("destination").key_spec(1),
            integer("destination-db").token("DB").optional(),
            token("replace", "REPLACE").optional(),
        ])
        .docs(
            "6.2.0",
            "O(1) for a string, O(N) for a collection of N elements",
            "Stores a copy of a value under another key.",
        ),
    Spec::new("move", 3)
        .run(keys::move_key)
        .flags("write fast")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, integer("db")])
        .docs("1.0.0", "O(1)", "Moves a key to another database."),
    Spec::new("sort", -2)
        .run(sort::sort)
        .flags("write denyoom movablekeys")
        .acl("set sortedset list dangerous")
        .keys(&[
            KeySpec::at(1, "RO access"),
            KeySpec::unknown("RO access", Find::Unknown)
                .notes("of BY and GET, whose patterns are filled in with the elements"),
            KeySpec::unknown("OW update", Find::SortDestination)
                .notes("of STORE, which may stand anywhere among the options"),
        ])
        .arguments(&[
            KEY,
            SORT_BY,
            SORT_LIMIT,
            SORT_GET,
            SORT_ORDER,
            SORT_ALPHA,
            key("destination").key_spec(2).token("STORE").optional(),
        ])
        .docs(
            "1.0.0",
            SORT_COST,
            "Puts a list, a set or a sorted set in order, and replies with it or stores it as a list.",
        ),
    Spec::new("sort_ro", -2)
        .run(sort::sort_ro)
        .flags("readonly movablekeys")
        .acl("set sortedset list dangerous")
        .keys(&[
            KeySpec::at(1, "RO access"),
            KeySpec::unknown("RO access", Find::Unknown)
                .notes("of BY and GET, whose patterns are filled in with the elements"),
        ])
        .arguments(&[KEY, SORT_BY, SORT_LIMIT, SORT_GET, SORT_ORDER, SORT_ALPHA])
        .docs("7.0.0", SORT_COST, "Replies with a list, a set or a sorted set in order."),
    Spec::new("dump", 2)
        .run(dump::dump)
        .flags("readonly")
        .acl("keyspace")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("2.6.0", "O(N), N the bytes of the value", "Gives a value as a payload for RESTORE.")
        .tips(&["nondeterministic_output"]),
    Spec::new("restore", -4)
        .run(dump::restore)
        .flags("write denyoom")
        .acl("keyspace dangerous")
        .keys(&[KeySpec::at(1, "OW update")])
        .arguments(&[
            KEY,
            integer("ttl"),
            string("serialized-value"),
            token("replace", "REPLACE").since("3.0.0").optional(),
            token("absttl", "ABSTTL").since("5.0.0").optional(),
            integer("seconds").token("IDLETIME").since("5.0.0").optional(),
            integer("frequency").token("FREQ").since("5.0.0").optional(),
        ])
        .docs("2.6.0", "O(N), N the bytes of the value", "Makes a key of a payload of DUMP.")
        .history(&[
            ("3.0.0", "`REPLACE`."),
            ("5.0.0", "`ABSTTL`."),
            ("5.0.0", "`IDLETIME` and `FREQ`."),
        ]),
    Spec::new("keys", 2)
        .node(NodeCommand::Keys)
        .flags("readonly")
        .acl("keyspace dangerous")
        .arguments(&[pattern("pattern")])
        .docs(
            "1.0.0",
            "O(N), N the number of keys in the database",
            "Lists all keys whose names match a pattern.",
        )
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    Spec::new("scan", -2)
        .node(NodeCommand::Scan)
        .flags("readonly")
        .acl("keyspace")
        .arguments(&[
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
            string("type").token("TYPE").since("6.0.0").optional(),
        ])
        .docs(
            "2.8.0",
            "O(1) for a call, O(N) for a whole walk over N keys",
            "Walks over the keys of the database a few at a time.",
        )
        .history(&[("6.0.0", "`TYPE`.")])
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"]),
    Spec::new("randomkey", 1)
        .node(NodeCommand::Randomkey)
        .flags("readonly")
        .acl("keyspace")
        .docs("1.0.0", "O(1)", "Picks a key of the database at random.")
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"]),
    Spec::new("object", -2)
        .docs("2.2.3", "Depends on the subcommand", "Looks inside the value of a key.")
        .subcommands_of(OBJECT_SUBCOMMANDS),
    Spec::new("wait", 3)
        .node(NodeCommand::Wait)
        .acl("connection")
        .arguments(&[integer("numreplicas"), integer("timeout")])
        .docs(
            "3.0.0",
            "O(1)",
            "Waits until enough replicas have acknowledged this connection's writes.",
        )
        .tips(&["request_policy:all_shards", "response_policy:agg_min"]),
];

const OBJECT_SUBCOMMANDS: &[Spec] = &[
    Spec::new("object|encoding", 3)
        .run(object::encoding)
        .flags("readonly")
        .acl("keyspace")
        .keys(&[KeySpec::at(2, "RO")])
        .arguments(&[KEY])
        .docs("2.2.3", "O(1)", "Tells how the value of a key is encoded.")
        .tips(&["nondeterministic_output"]),
    Spec::new("object|freq", 3)
        .run(object::freq)
        .flags("readonly")
        .acl("keyspace")
        .keys(&[KeySpec::at(2, "RO")])
        .arguments(&[KEY])
        .docs(
            "4.0.0",
            "O(1)",
            "Tells the access frequency counter of a key, which an LFU policy keeps.",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new("object|help", 2)
        .session(SessionCommand::Help)
        .flags("loading stale")
        .acl("keyspace")
        .docs("6.2.0", "O(1)", "Lists the subcommands."),
    Spec::new("object|idletime", 3)
        .run(object::idletime)
        .flags("readonly")
        .acl("keyspace")
        .keys(&[KeySpec::at(2, "RO")])
        .arguments(&[KEY])
        .docs("2.2.3", "O(1)", "Tells for how many seconds a key was not used.")
        .tips(&["nondeterministic_output"]),
    Spec::new("object|refcount", 3)
        .run(object::refcount)
        .flags("readonly")
        .acl("keyspace")
        .keys(&[KeySpec::at(2, "RO")])
        .arguments(&[KEY])
        .docs("2.2.3", "O(1)", "Tells how many references the value of a key has.")
        .tips(&["nondeterministic_output"]),
];

const EXPIRE_CONDITION: Argument = one_of(
    "condition",
    &[token("nx", "NX"), token("xx", "XX"), token("gt", "GT"), token("lt", "LT")],
)
.since("7.0.0")
.optional();
