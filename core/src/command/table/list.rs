//! The list commands.

use crate::command::build::*;
use crate::command::spec::{Argument, Begin, Find, KeyFlags, KeySpec, Spec};
use crate::commands::lists;

const POPPED: &str = "RW access delete";

const SOURCE_AND_TARGET: &[KeySpec] = &[KeySpec::at(1, POPPED), KeySpec::at(2, "RW insert")];

const SOURCE: Argument = key("source");
const TARGET: Argument = key("destination").key_spec(1);

const LEFT_OR_RIGHT: &[Argument] = &[token("left", "LEFT"), token("right", "RIGHT")];

/// Keys behind their number.
const fn counted(index: u8) -> [KeySpec; 1] {
    [KeySpec {
        flags: KeyFlags::of(POPPED),
        begin: Begin::Index(index),
        find: Find::Count { count: 0, first: 1, step: 1 },
        notes: None,
    }]
}

pub const COMMANDS: &[Spec] = &[
    Spec::new("lpush", -3)
        .run(lists::lpush)
        .flags("write denyoom fast")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("element").multiple()])
        .docs(
            "1.0.0",
            "O(N), N the number of elements pushed",
            "Puts elements at the left end of a list, which begins empty.",
        )
        .history(&[("2.4.0", "More than one `element`.")]),
    Spec::new("rpush", -3)
        .run(lists::rpush)
        .flags("write denyoom fast")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("element").multiple()])
        .docs(
            "1.0.0",
            "O(N), N the number of elements pushed",
            "Puts elements at the right end of a list, which begins empty.",
        )
        .history(&[("2.4.0", "More than one `element`.")]),
    Spec::new("lpushx", -3)
        .run(lists::lpushx)
        .flags("write denyoom fast")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("element").multiple()])
        .docs(
            "2.2.0",
            "O(N), N the number of elements pushed",
            "Puts elements at the left end of a list if there is one.",
        )
        .history(&[("4.0.0", "More than one `element`.")]),
    Spec::new("rpushx", -3)
        .run(lists::rpushx)
        .flags("write denyoom fast")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[KEY, string("element").multiple()])
        .docs(
            "2.2.0",
            "O(N), N the number of elements pushed",
            "Puts elements at the right end of a list if there is one.",
        )
        .history(&[("4.0.0", "More than one `element`.")]),
    Spec::new("lpop", -2)
        .run(lists::lpop)
        .flags("write fast")
        .acl("list")
        .keys(&[KeySpec::at(1, POPPED)])
        .arguments(&[KEY, integer("count").since("6.2.0").optional()])
        .docs(
            "1.0.0",
            "O(N), N the number of elements popped",
            "Takes the first elements of a list.",
        )
        .history(&[("6.2.0", "`count`.")]),
    Spec::new("rpop", -2)
        .run(lists::rpop)
        .flags("write fast")
        .acl("list")
        .keys(&[KeySpec::at(1, POPPED)])
        .arguments(&[KEY, integer("count").since("6.2.0").optional()])
        .docs(
            "1.0.0",
            "O(N), N the number of elements popped",
            "Takes the last elements of a list.",
        )
        .history(&[("6.2.0", "`count`.")]),
    Spec::new("llen", 2)
        .run(lists::llen)
        .flags("readonly fast")
        .acl("list")
        .keys(&[KeySpec::at(1, "RO")])
        .arguments(&[KEY])
        .docs("1.0.0", "O(1)", "Tells how many elements a list has."),
    Spec::new("lindex", 3)
        .run(lists::lindex)
        .flags("readonly")
        .acl("list")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, integer("index")])
        .docs(
            "1.0.0",
            "O(N), N the elements in one node of the list",
            "Reads an element of a list by its index.",
        ),
    Spec::new("lrange", 4)
        .run(lists::lrange)
        .flags("readonly")
        .acl("list")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, integer("start"), integer("stop")])
        .docs(
            "1.0.0",
            "O(N), N the number of elements read",
            "Reads the elements of a list from one index to another.",
        ),
    Spec::new("lset", 4)
        .run(lists::lset)
        .flags("write denyoom")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[KEY, integer("index"), string("element")])
        .docs(
            "1.0.0",
            "O(N), N the elements in one node of the list",
            "Replaces an element of a list by its index.",
        ),
    Spec::new("linsert", 5)
        .run(lists::linsert)
        .flags("write denyoom")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW insert")])
        .arguments(&[
            KEY,
            one_of("where", &[token("before", "BEFORE"), token("after", "AFTER")]),
            string("pivot"),
            string("element"),
        ])
        .docs(
            "2.2.0",
            "O(N), N the number of elements before the pivot",
            "Puts an element beside another one in a list.",
        ),
    Spec::new("ltrim", 4)
        .run(lists::ltrim)
        .flags("write")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[KEY, integer("start"), integer("stop")])
        .docs(
            "1.0.0",
            "O(N), N the number of nodes removed",
            "Removes all elements of a list but those from one index to another.",
        ),
    Spec::new("lrem", 4)
        .run(lists::lrem)
        .flags("write")
        .acl("list")
        .keys(&[KeySpec::at(1, "RW delete")])
        .arguments(&[KEY, integer("count"), string("element")])
        .docs(
            "1.0.0",
            "O(N), N the length of the list",
            "Removes elements of a list that are equal to a given one.",
        ),
    Spec::new("lpos", -3)
        .run(lists::lpos)
        .flags("readonly")
        .acl("list")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            string("element"),
            integer("rank").token("RANK").optional(),
            integer("num-matches").token("COUNT").optional(),
            integer("len").token("MAXLEN").optional(),
        ])
        .docs(
            "6.0.6",
            "O(N), N the number of elements looked at",
            "Finds the indices of elements of a list that are equal to a given one.",
        ),
    Spec::new("lmove", 5)
        .run(lists::lmove)
        .flags("write denyoom")
        .acl("list")
        .keys(SOURCE_AND_TARGET)
        .arguments(&[
            SOURCE,
            TARGET,
            one_of("wherefrom", LEFT_OR_RIGHT),
            one_of("whereto", LEFT_OR_RIGHT),
        ])
        .docs("6.2.0", "O(1)", "Moves an element from an end of a list to an end of another."),
    Spec::new("rpoplpush", 3)
        .run(lists::rpoplpush)
        .flags("write denyoom")
        .acl("list")
        .keys(SOURCE_AND_TARGET)
        .arguments(&[SOURCE, TARGET])
        .docs("1.2.0", "O(1)", "Moves the last element of a list to the front of another.")
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    Spec::new("lmpop", -4)
        .run(lists::lmpop)
        .flags("write movablekeys")
        .acl("list")
        .keys(&counted(1))
        .arguments(&[
            integer("numkeys"),
            KEY.multiple(),
            one_of("where", LEFT_OR_RIGHT),
            integer("count").token("COUNT").optional(),
        ])
        .docs(
            "7.0.0",
            "O(N+M), N the number of keys and M of elements popped",
            "Takes elements from an end of the first of several lists that is there.",
        ),
    Spec::new("blpop", -3)
        .run(lists::blpop)
        .flags("write noscript blocking")
        .acl("list")
        .keys(&[KeySpec::range(1, -2, POPPED)])
        .arguments(&[KEY.multiple(), double("timeout")])
        .docs(
            "2.0.0",
            "O(N), N the number of keys",
            "Takes the first element of the first of several lists, for which it waits.",
        )
        .history(&[("6.0.0", "`timeout` may have a fraction.")]),
    Spec::new("brpop", -3)
        .run(lists::brpop)
        .flags("write noscript blocking")
        .acl("list")
        .keys(&[KeySpec::range(1, -2, POPPED)])
        .arguments(&[KEY.multiple(), double("timeout")])
        .docs(
            "2.0.0",
            "O(N), N the number of keys",
            "Takes the last element of the first of several lists, for which it waits.",
        )
        .history(&[("6.0.0", "`timeout` may have a fraction.")]),
    Spec::new("blmpop", -5)
        .run(lists::blmpop)
        .flags("write blocking movablekeys")
        .acl("list")
        .keys(&counted(2))
        .arguments(&[
            double("timeout"),
            integer("numkeys"),
            KEY.multiple(),
            one_of("where", LEFT_OR_RIGHT),
            integer("count").token("COUNT").optional(),
        ])
        .docs(
            "7.0.0",
            "O(N+M), N the number of keys and M of elements popped",
            "Takes elements from an end of the first of several lists, for which it waits.",
        ),
    Spec::new("blmove", 6)
        .run(lists::blmove)
        .flags("write denyoom noscript blocking")
        .acl("list")
        .keys(SOURCE_AND_TARGET)
        .arguments(&[
            SOURCE,
            TARGET,
            one_of("wherefrom", LEFT_OR_RIGHT),
            one_of("whereto", LEFT_OR_RIGHT),
            double("timeout"),
        ])
        .docs(
            "6.2.0",
            "O(1)",
            "Moves an element from an end of a list, for which it waits, to an end of another.",
        ),
    Spec::new("brpoplpush", 4)
        .run(lists::brpoplpush)
        .flags("write denyoom noscript blocking")
        .acl("list")
        .keys(SOURCE_AND_TARGET)
        .arguments(&[SOURCE, TARGET, double("timeout")])
        .docs(
            "2.2.0",
            "O(1)",
            "Moves the last element of a list, for which it waits, to the front of another.",
        )
        .history(&[("6.0.0", "`timeout` may have a fraction.")])
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
];
