//! The string commands.

use crate::command::build::*;
use crate::command::spec::{KeySpec, Spec, Split};
use crate::commands::{counters, lcs, string_ranges, strings};

pub const COMMANDS: &[Spec] = &[
    Spec::new("set", -3)
        .run(strings::set)
        .flags("write denyoom")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update variable_flags")
            .notes("RW and access only with the `GET` option")])
        .arguments(&[
            KEY,
            string("value"),
            one_of("condition", &[token("nx", "NX"), token("xx", "XX")]).since("2.6.12").optional(),
            token("get", "GET").since("6.2.0").optional(),
            one_of(
                "expiration",
                &[
                    integer("seconds").token("EX").since("2.6.12"),
                    integer("milliseconds").token("PX").since("2.6.12"),
                    unix_time("unix-time-seconds").token("EXAT").since("6.2.0"),
                    unix_time("unix-time-milliseconds").token("PXAT").since("6.2.0"),
                    token("keepttl", "KEEPTTL").since("6.0.0"),
                ],
            )
            .optional(),
        ])
        .docs("1.0.0", "O(1)", "Stores a string under a key, whatever was there before.")
        .history(&[
            ("2.6.12", "`EX`, `PX`, `NX` and `XX`."),
            ("6.0.0", "`KEEPTTL`."),
            ("6.2.0", "`GET`, `EXAT` and `PXAT`."),
            ("7.0.0", "`NX` and `GET` may stand together."),
        ]),
    Spec::new("get", 2)
        .run(strings::get)
        .flags("readonly fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Reads a string."),
    Spec::new("getex", -2)
        .run(strings::getex)
        .flags("write fast")
        .acl("string")
        .keys(&[
            KeySpec::at(1, "RW access update").notes("RW and update because the expiry changes")
        ])
        .arguments(&[
            KEY,
            one_of(
                "expiration",
                &[
                    integer("seconds").token("EX"),
                    integer("milliseconds").token("PX"),
                    unix_time("unix-time-seconds").token("EXAT"),
                    unix_time("unix-time-milliseconds").token("PXAT"),
                    token("persist", "PERSIST"),
                ],
            )
            .optional(),
        ])
        .docs("6.2.0", "O(1)", "Reads a string and sets, changes or drops its expiry."),
    Spec::new("getdel", 2)
        .run(strings::getdel)
        .flags("write fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access delete")])
        .arguments(&[KEY])
        .docs("6.2.0", "O(1)", "Reads a string and removes its key."),
    Spec::new("getset", 3)
        .run(strings::getset)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, string("value")])
        .docs("1.0.0", "O(1)", "Stores a string and returns the one it replaces.")
        .deprecated("6.2.0", "`SET` with the `!GET` argument"),
    Spec::new("getrange", 4)
        .run(string_ranges::getrange)
        .flags("readonly")
        .acl("string")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, integer("start"), integer("end")])
        .docs("2.4.0", "O(N), N the length of the reply", "Reads part of a string."),
    Spec::new("substr", 4)
        .run(string_ranges::getrange)
        .flags("readonly")
        .acl("string")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, integer("start"), integer("end")])
        .docs("1.0.0", "O(N), N the length of the reply", "Reads part of a string.")
        .deprecated("2.0.0", "`GETRANGE`"),
    Spec::new("setrange", 4)
        .run(string_ranges::setrange)
        .flags("write denyoom")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("offset"), string("value")])
        .docs(
            "2.2.0",
            "O(M), M the length of the value",
            "Writes over part of a string from an offset on, padding with zero bytes.",
        ),
    Spec::new("append", 3)
        .run(string_ranges::append)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("value")])
        .docs(
            "2.0.0",
            "O(1) amortized, for short values",
            "Adds bytes at the end of a string, which begins empty.",
        ),
    Spec::new("strlen", 2)
        .run(strings::strlen)
        .flags("readonly fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY])
        .docs("2.2.0", "O(1)", "Tells the length of a string in bytes."),
    Spec::new("incr", 2)
        .run(counters::incr)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Adds one to the integer in a string, which begins as 0."),
    Spec::new("incrby", 3)
        .run(counters::incrby)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, integer("increment")])
        .docs("1.0.0", "O(1)", "Adds to the integer in a string, which begins as 0."),
    Spec::new("incrbyfloat", 3)
        .run(counters::incrbyfloat)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, double("increment")])
        .docs("2.6.0", "O(1)", "Adds to the floating point number in a string, which begins as 0."),
    Spec::new("decr", 2)
        .run(counters::decr)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Takes one from the integer in a string, which begins as 0."),
    Spec::new("decrby", 3)
        .run(counters::decrby)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, integer("decrement")])
        .docs("1.0.0", "O(1)", "Subtracts from the integer in a string, which begins as 0."),
    Spec::new("mset", -3)
        .run(strings::mset)
        .split(Split::Ok)
        .flags("write denyoom")
        .acl("string")
        .keys(&[KeySpec::all_from(1, "OW update").step(2)])
        .arguments(&[block("data", &[KEY, string("value")]).multiple()])
        .docs("1.0.1", "O(N), N the number of keys", "Stores several strings at once.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    Spec::new("msetnx", -3)
        .run(strings::msetnx)
        .flags("write denyoom")
        .acl("string")
        .keys(&[KeySpec::all_from(1, "OW insert").step(2)])
        .arguments(&[block("data", &[KEY, string("value")]).multiple()])
        .docs(
            "1.0.1",
            "O(N), N the number of keys",
            "Stores several strings at once, or none if one of the keys exists.",
        ),
    Spec::new("mget", -2)
        .run(strings::mget)
        .split(Split::Elements)
        .flags("readonly fast")
        .acl("string")
        .keys(&[KeySpec::all_from(1, "RO access")])
        .arguments(&[KEY.multiple()])
        .docs("1.0.0", "O(N), N the number of keys", "Reads several strings at once.")
        .tips(&["request_policy:multi_shard"]),
    Spec::new("setnx", 3)
        .run(strings::setnx)
        .flags("write denyoom fast")
        .acl("string")
        .keys(&[KeySpec::at(1, "OW insert")])
        .arguments(&[KEY, string("value")])
        .docs("1.0.0", "O(1)", "Stores a string unless the key exists.")
        .deprecated("2.6.12", "`SET` with the `NX` argument"),
    Spec::new("setex", 4)
        .run(strings::setex)
        .flags("write denyoom")
        .acl("string")
        .keys(&[KeySpec::at(1, "OW update")])
        .arguments(&[KEY, integer("seconds"), string("value")])
        .docs("2.0.0", "O(1)", "Stores a string that expires after some seconds.")
        .deprecated("2.6.12", "`SET` with the `EX` argument"),
    Spec::new("psetex", 4)
        .run(strings::psetex)
        .flags("write denyoom")
        .acl("string")
        .keys(&[KeySpec::at(1, "OW update")])
        .arguments(&[KEY, integer("milliseconds"), string("value")])
        .docs("2.6.0", "O(1)", "Stores a string that expires after some milliseconds.")
        .deprecated("2.6.12", "`SET` with the `PX` argument"),
    Spec::new("lcs", -3)
        .run(lcs::lcs)
        .flags("readonly")
        .acl("string")
        .keys(&[KeySpec::range(1, 1, "RO access")])
        .arguments(&[
            key("key1"),
            key("key2"),
            token("len", "LEN").optional(),
            token("idx", "IDX").optional(),
            integer("min-match-len").token("MINMATCHLEN").optional(),
            token("withmatchlen", "WITHMATCHLEN").optional(),
        ])
        .docs(
            "7.0.0",
            "O(N*M), N and M the lengths of the strings",
            "Finds the longest common subsequence of two strings.",
        ),
];
