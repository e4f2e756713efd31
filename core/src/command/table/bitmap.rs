//! The commands on the bits of strings.

use crate::command::build::*;
use crate::command::spec::{Argument, KeySpec, Spec};
use crate::commands::{bitfield, bitop, bits};

pub const COMMANDS: &[Spec] = &[
    Spec::new("setbit", 4)
        .run(bits::setbit)
        .flags("write denyoom")
        .acl("bitmap")
        .keys(&[KeySpec::at(1, "RW access update")])
        .arguments(&[KEY, integer("offset"), integer("value")])
        .docs("2.2.0", "O(1)", "Sets or clears one bit of a string and returns what it was."),
    Spec::new("getbit", 3)
        .run(bits::getbit)
        .flags("readonly fast")
        .acl("bitmap")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, integer("offset")])
        .docs("2.2.0", "O(1)", "Reads one bit of a string."),
    Spec::new("bitcount", -2)
        .run(bits::bitcount)
        .flags("readonly")
        .acl("bitmap")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, block("range", &[integer("start"), integer("end"), BIT_UNIT]).optional()])
        .docs("2.6.0", "O(N)", "Counts the bits that are set in a string or in part of it.")
        .history(&[("7.0.0", "`BYTE` and `BIT`.")]),
    Spec::new("bitpos", -3)
        .run(bits::bitpos)
        .flags("readonly")
        .acl("bitmap")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            integer("bit"),
            block(
                "range",
                &[
                    integer("start"),
                    block("end-unit-block", &[integer("end"), BIT_UNIT]).optional(),
                ],
            )
            .optional(),
        ])
        .docs("2.8.7", "O(N)", "Finds the first bit of a string that is set, or that is clear.")
        .history(&[("7.0.0", "`BYTE` and `BIT`.")]),
    Spec::new("bitop", -4)
        .run(bitop::bitop)
        .flags("write denyoom")
        .acl("bitmap")
        .keys(&[KeySpec::at(2, "OW update"), KeySpec::all_from(3, "RO access")])
        .arguments(&[
            one_of(
                "operation",
                &[token("and", "AND"), token("or", "OR"), token("xor", "XOR"), token("not", "NOT")],
            ),
            key("destkey"),
            KEY.key_spec(1).multiple(),
        ])
        .docs("2.6.0", "O(N)", "Combines strings bit by bit and stores the outcome."),
    Spec::new("bitfield", -2)
        .run(bitfield::bitfield)
        .flags("write denyoom")
        .acl("bitmap")
        .keys(&[KeySpec::at(1, "RW access update variable_flags")
            .notes("reads, writes or both, as its operations say")])
        .arguments(&[
            KEY,
            one_of(
                "operation",
                &[
                    block("get-block", &[string("encoding"), integer("offset")]).token("GET"),
                    block(
                        "write",
                        &[
                            one_of(
                                "overflow-block",
                                &[
                                    token("wrap", "WRAP"),
                                    token("sat", "SAT"),
                                    token("fail", "FAIL"),
                                ],
                            )
                            .token("OVERFLOW")
                            .optional(),
                            one_of(
                                "write-operation",
                                &[
                                    block(
                                        "set-block",
                                        &[string("encoding"), integer("offset"), integer("value")],
                                    )
                                    .token("SET"),
                                    block(
                                        "incrby-block",
                                        &[
                                            string("encoding"),
                                            integer("offset"),
                                            integer("increment"),
                                        ],
                                    )
                                    .token("INCRBY"),
                                ],
                            ),
                        ],
                    ),
                ],
            )
            .optional()
            .multiple(),
        ])
        .docs(
            "3.2.0",
            "O(1) for each operation",
            "Reads and writes integers of any width at any bit of a string.",
        ),
    Spec::new("bitfield_ro", -2)
        .run(bitfield::bitfield_ro)
        .flags("readonly fast")
        .acl("bitmap")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            block("get-block", &[string("encoding"), integer("offset")])
                .token("GET")
                .optional()
                .multiple()
                .multiple_token(),
        ])
        .docs(
            "6.0.0",
            "O(1) for each operation",
            "Reads integers of any width at any bit of a string.",
        ),
];

const BIT_UNIT: Argument =
    one_of("unit", &[token("byte", "BYTE"), token("bit", "BIT")]).since("7.0.0").optional();
