//! The hash commands. Those about the expiry of fields are as in Valkey 9, which has them all.

use crate::command::build::*;
use crate::command::spec::{Argument, KeySpec, Spec};
use crate::commands::hashes::{counters, expiry, get_and_set, random, read, scan, write};

const FIELD: Argument = string("field");
const PAIRS: Argument = block("field_value", &[FIELD, string("value")]).multiple();
const FIELDS: Argument = block("fields", &[integer("numfields"), FIELD.multiple()]).token("FIELDS");
const CONDITION: Argument = one_of(
    "condition",
    &[token("nx", "NX"), token("xx", "XX"), token("gt", "GT"), token("lt", "LT")],
)
.optional();
const EX: Argument = integer("seconds").token("EX");
const PX: Argument = integer("milliseconds").token("PX");
const EXAT: Argument = unix_time("unix-time-seconds").token("EXAT");
const PXAT: Argument = unix_time("unix-time-milliseconds").token("PXAT");

const O_FIELDS: &str = "O(N), N the number of fields named";

pub const COMMANDS: &[Spec] = &[
    Spec::new("hset", -4)
        .run(write::hset)
        .flags("write denyoom fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, PAIRS])
        .docs("2.0.0", O_FIELDS, "Sets fields of a hash, which begins empty, to values.")
        .history(&[("4.0.0", "Several fields at once.")]),
    Spec::new("hsetnx", 4)
        .run(write::hsetnx)
        .flags("write denyoom fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, FIELD, string("value")])
        .docs("2.0.0", "O(1)", "Sets a field of a hash unless it exists."),
    Spec::new("hmset", -4)
        .run(write::hmset)
        .flags("write denyoom fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, PAIRS])
        .docs("2.0.0", O_FIELDS, "Sets several fields of a hash to values.")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
    Spec::new("hget", 3)
        .run(read::hget)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, FIELD])
        .docs("2.0.0", "O(1)", "Reads a field of a hash."),
    Spec::new("hmget", -3)
        .run(read::hmget)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, FIELD.multiple()])
        .docs("2.0.0", O_FIELDS, "Reads several fields of a hash."),
    Spec::new("hgetall", 2)
        .run(read::hgetall)
        .flags("readonly")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("2.0.0", "O(N), N the size of the hash", "Reads a hash with all fields and values.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("hkeys", 2)
        .run(read::hkeys)
        .flags("readonly")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("2.0.0", "O(N), N the size of the hash", "Lists the fields of a hash.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("hvals", 2)
        .run(read::hvals)
        .flags("readonly")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("2.0.0", "O(N), N the size of the hash", "Lists the values of a hash.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("hlen", 2)
        .run(read::hlen)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY])
        .docs("2.0.0", "O(1)", "Counts the fields of a hash."),
    Spec::new("hstrlen", 3)
        .run(read::hstrlen)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY, FIELD])
        .docs("3.2.0", "O(1)", "Tells the length of a field's value in bytes."),
    Spec::new("hexists", 3)
        .run(read::hexists)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY, FIELD])
        .docs("2.0.0", "O(1)", "Tells whether a hash has a field."),
    Spec::new("hdel", -3)
        .run(write::hdel)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[KEY, FIELD.multiple()])
        .docs("2.0.0", O_FIELDS, "Removes fields from a hash, and the hash with the last of them.")
        .history(&[("2.4.0", "Several fields at once.")]),
    Spec::new("hincrby", 4)
        .run(counters::hincrby)
        .flags("write denyoom fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, FIELD, integer("increment")])
        .docs("2.0.0", "O(1)", "Adds to the integer in a field, which begins as 0."),
    Spec::new("hincrbyfloat", 4)
        .run(counters::hincrbyfloat)
        .flags("write denyoom fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, FIELD, double("increment")])
        .docs("2.6.0", "O(1)", "Adds to the floating point number in a field, which begins as 0."),
    Spec::new("hrandfield", -2)
        .run(random::hrandfield)
        .flags("readonly")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            block("options", &[integer("count"), token("withvalues", "WITHVALUES").optional()])
                .optional(),
        ])
        .docs("6.2.0", "O(N), N the number of fields returned", "Reads fields chosen by chance.")
        .tips(&["nondeterministic_output"]),
    Spec::new("hscan", -3)
        .run(scan::hscan)
        .flags("readonly")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
            token("novalues", "NOVALUES").optional(),
        ])
        .docs(
            "2.8.0",
            "O(1) for a call, O(N) for all of them, N the size of the hash",
            "Walks through the fields of a hash, some at a time.",
        )
        .tips(&["nondeterministic_output"]),
    Spec::new("hexpire", -6)
        .run(expiry::hexpire)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("seconds"), CONDITION, FIELDS])
        .docs("9.0.0", O_FIELDS, "Lets fields of a hash expire after some seconds."),
    Spec::new("hpexpire", -6)
        .run(expiry::hpexpire)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("milliseconds"), CONDITION, FIELDS])
        .docs("9.0.0", O_FIELDS, "Lets fields of a hash expire after some milliseconds."),
    Spec::new("hexpireat", -6)
        .run(expiry::hexpireat)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("unix-time-seconds"), CONDITION, FIELDS])
        .docs("9.0.0", O_FIELDS, "Lets fields of a hash expire at a time in seconds."),
    Spec::new("hpexpireat", -6)
        .run(expiry::hpexpireat)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("unix-time-milliseconds"), CONDITION, FIELDS])
        .docs("9.0.0", O_FIELDS, "Lets fields of a hash expire at a time in milliseconds."),
    Spec::new("hpersist", -5)
        .run(expiry::hpersist)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, FIELDS])
        .docs("9.0.0", O_FIELDS, "Lets fields of a hash stay that would expire."),
    Spec::new("httl", -5)
        .run(expiry::httl)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, FIELDS])
        .docs("9.0.0", O_FIELDS, "Tells how many seconds fields of a hash have left."),
    Spec::new("hpttl", -5)
        .run(expiry::hpttl)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, FIELDS])
        .docs("9.0.0", O_FIELDS, "Tells how many milliseconds fields of a hash have left."),
    Spec::new("hexpiretime", -5)
        .run(expiry::hexpiretime)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, FIELDS])
        .docs("9.0.0", O_FIELDS, "Tells when fields of a hash expire, in seconds."),
    Spec::new("hpexpiretime", -5)
        .run(expiry::hpexpiretime)
        .flags("readonly fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, FIELDS])
        .docs("9.0.0", O_FIELDS, "Tells when fields of a hash expire, in milliseconds."),
    Spec::new("hgetex", -5)
        .run(get_and_set::hgetex)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[
            KEY,
            one_of("expiration", &[EX, PX, EXAT, PXAT, token("persist", "PERSIST")]).optional(),
            FIELDS,
        ])
        .docs("9.0.0", O_FIELDS, "Reads fields of a hash and sets, changes or drops their expiry."),
    Spec::new("hsetex", -6)
        .run(get_and_set::hsetex)
        .flags("write denyoom fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[
            KEY,
            one_of("key-condition", &[token("nx", "NX"), token("xx", "XX")]).optional(),
            one_of("fields-condition", &[token("fnx", "FNX"), token("fxx", "FXX")]).optional(),
            one_of("expiration", &[EX, PX, EXAT, PXAT, token("keepttl", "KEEPTTL")]).optional(),
            block(
                "fields",
                &[integer("numfields"), block("data", &[FIELD, string("value")]).multiple()],
            )
            .token("FIELDS"),
        ])
        .docs("9.0.0", O_FIELDS, "Sets fields of a hash to values, and when they expire."),
    Spec::new("hgetdel", -5)
        .run(get_and_set::hgetdel)
        .flags("write fast")
        .acl("hash")
        .keys(&[KeySpec::at(1, "RW access delete")])
        .arguments(&[KEY, FIELDS])
        .docs("9.1.0", O_FIELDS, "Reads fields of a hash and removes them."),
];
