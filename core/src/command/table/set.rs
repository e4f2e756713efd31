//! The set commands.

use crate::command::build::*;
use crate::command::spec::{Argument, Begin, Find, KeyFlags, KeySpec, Spec};
use crate::commands::{set_algebra, sets};

const KEYS: Argument = KEY.multiple();
const SOURCES: Argument = key("key").key_spec(1).multiple();
const DESTINATION: Argument = key("destination");

const INTERSECTION_COST: &str =
    "O(N*M), N the members of the smallest set, M the number of sets, at worst";
const ALL_MEMBERS_COST: &str = "O(N), N the members of all sets together";

pub const COMMANDS: &[Spec] = &[
    Spec::new("sadd", -3)
        .run(sets::sadd)
        .flags("write denyoom fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("member").multiple()])
        .docs(
            "1.0.0",
            "O(N), N the number of members given",
            "Puts members into a set, which begins empty.",
        )
        .history(&[("2.4.0", "Takes several members.")]),
    Spec::new("srem", -3)
        .run(sets::srem)
        .flags("write fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[KEY, string("member").multiple()])
        .docs(
            "1.0.0",
            "O(N), N the number of members given",
            "Takes members out of a set, and its key away with the last.",
        )
        .history(&[("2.4.0", "Takes several members.")]),
    Spec::new("scard", 2)
        .run(sets::scard)
        .flags("readonly fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Counts the members of a set."),
    Spec::new("sismember", 3)
        .run(sets::sismember)
        .flags("readonly fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY, string("member")])
        .docs("1.0.0", "O(1)", "Tells whether a set has a member."),
    Spec::new("smismember", -3)
        .run(sets::smismember)
        .flags("readonly fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, string("member").multiple()])
        .docs(
            "6.2.0",
            "O(N), N the number of members given",
            "Tells of each of some members whether a set has it.",
        ),
    Spec::new("smembers", 2)
        .run(sets::smembers)
        .flags("readonly")
        .acl("set")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(N), N the number of members", "Lists the members of a set.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("smove", 4)
        .run(sets::smove)
        .flags("write fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RW access delete"), KeySpec::at(2, "RW insert")])
        .arguments(&[key("source"), key("destination").key_spec(1), string("member")])
        .docs("1.0.0", "O(1)", "Moves a member from one set to another."),
    Spec::new("spop", -2)
        .run(sets::spop)
        .flags("write fast")
        .acl("set")
        .keys(&[KeySpec::at(1, "RW access delete")])
        .arguments(&[KEY, integer("count").since("3.2.0").optional()])
        .docs(
            "1.0.0",
            "O(1) without a count, else O(N), N being the count",
            "Takes one or more random members out of a set and returns them.",
        )
        .history(&[("3.2.0", "Takes a count.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("srandmember", -2)
        .run(sets::srandmember)
        .flags("readonly")
        .acl("set")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, integer("count").since("2.6.0").optional()])
        .docs(
            "1.0.0",
            "O(1) without a count, else O(N), N being the count without its sign",
            "Returns one or more random members of a set.",
        )
        .history(&[("2.6.0", "Takes a count.")])
        .tips(&["nondeterministic_output"]),
    Spec::new("sinter", -2)
        .run(set_algebra::sinter)
        .flags("readonly")
        .acl("set")
        .keys(&[KeySpec::all_from(1, "RO access")])
        .arguments(&[KEYS])
        .docs("1.0.0", INTERSECTION_COST, "Lists the members that all of some sets have.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("sintercard", -3)
        .run(set_algebra::sintercard)
        .flags("readonly movablekeys")
        .acl("set")
        .keys(&[KeySpec {
            flags: KeyFlags::of("RO access"),
            begin: Begin::Index(1),
            find: Find::Count { count: 0, first: 1, step: 1 },
            notes: None,
        }])
        .arguments(&[integer("numkeys"), KEYS, integer("limit").token("LIMIT").optional()])
        .docs("7.0.0", INTERSECTION_COST, "Counts the members that all of some sets have."),
    Spec::new("sinterstore", -3)
        .run(set_algebra::sinterstore)
        .flags("write denyoom")
        .acl("set")
        .keys(&[KeySpec::at(1, "RW update"), KeySpec::all_from(2, "RO access")])
        .arguments(&[DESTINATION, SOURCES])
        .docs(
            "1.0.0",
            INTERSECTION_COST,
            "Stores a set of the members that all of some sets have.",
        ),
    Spec::new("sunion", -2)
        .run(set_algebra::sunion)
        .flags("readonly")
        .acl("set")
        .keys(&[KeySpec::all_from(1, "RO access")])
        .arguments(&[KEYS])
        .docs("1.0.0", ALL_MEMBERS_COST, "Lists the members that any of some sets has.")
        .tips(&["nondeterministic_output_order"]),
    Spec::new("sunionstore", -3)
        .run(set_algebra::sunionstore)
        .flags("write denyoom")
        .acl("set")
        .keys(&[KeySpec::at(1, "OW update"), KeySpec::all_from(2, "RO access")])
        .arguments(&[DESTINATION, SOURCES])
        .docs("1.0.0", ALL_MEMBERS_COST, "Stores a set of the members that any of some sets has."),
    Spec::new("sdiff", -2)
        .run(set_algebra::sdiff)
        .flags("readonly")
        .acl("set")
        .keys(&[KeySpec::all_from(1, "RO access")])
        .arguments(&[KEYS])
        .docs(
            "1.0.0",
            ALL_MEMBERS_COST,
            "Lists the members of the first of some sets that no other has.",
        )
        .tips(&["nondeterministic_output_order"]),
    Spec::new("sdiffstore", -3)
        .run(set_algebra::sdiffstore)
        .flags("write denyoom")
        .acl("set")
        .keys(&[KeySpec::at(1, "OW update"), KeySpec::all_from(2, "RO access")])
        .arguments(&[DESTINATION, SOURCES])
        .docs(
            "1.0.0",
            ALL_MEMBERS_COST,
            "Stores a set of the members of the first of some sets that no other has.",
        ),
    Spec::new("sscan", -3)
        .run(sets::sscan)
        .flags("readonly")
        .acl("set")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            integer("cursor"),
            pattern("pattern").token("MATCH").optional(),
            integer("count").token("COUNT").optional(),
        ])
        .docs(
            "2.8.0",
            "O(1) for each call, O(N) for a whole walk, N the number of members",
            "Lists the members of a set bit by bit.",
        )
        .tips(&["nondeterministic_output"]),
];
