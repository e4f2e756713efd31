//! The commands on places, which lie in sorted sets.

use crate::command::build::*;
use crate::command::spec::{Begin, Find, KeyFlags, KeySpec, Spec};
use crate::commands::geo::{radius, read, search, write};

pub const COMMANDS: &[Spec] = &[
    Spec::new("geoadd", -5)
        .run(write::geoadd)
        .flags("write denyoom")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RW update")])
        .arguments(&[
            KEY,
            one_of("condition", &[token("nx", "NX"), token("xx", "XX")]).since("6.2.0").optional(),
            token("change", "CH").since("6.2.0").optional(),
            block(
                "longitude_latitude_member",
                &[double("longitude"), double("latitude"), string("member")],
            )
            .multiple(),
        ])
        .docs(
            "3.2.0",
            "O(M*log(N)), M the places given, N those there",
            "Puts places into an index, or moves those that are there.",
        )
        .history(&[("6.2.0", "`CH`, `NX` and `XX`.")]),
    Spec::new("georadius", -6)
        .run(radius::georadius)
        .flags("write denyoom")
        .acl("geo")
        .keys(&[
            KeySpec::at(1, "RO access"),
            behind("STORE", 6, "OW update"),
            behind("STOREDIST", 6, "OW update"),
        ])
        .arguments(&[
            KEY,
            double("longitude"),
            double("latitude"),
            double("radius"),
            one_of(
                "unit",
                &[token("m", "M"), token("km", "KM"), token("ft", "FT"), token("mi", "MI")],
            ),
            token("withcoord", "WITHCOORD").optional(),
            token("withdist", "WITHDIST").optional(),
            token("withhash", "WITHHASH").optional(),
            block(
                "count",
                &[integer("count").token("COUNT"), token("any", "ANY").since("6.2.0").optional()],
            )
            .optional(),
            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
            key("key").key_spec(1).token("STORE").optional(),
            key("key").key_spec(2).token("STOREDIST").optional(),
        ])
        .docs(
            "3.2.0",
            "O(N+log(M)), N the places near, M all places",
            "Finds the places within a distance of a point, and may store them.",
        )
        .history(&[("6.2.0", "`ANY` with `COUNT`."), ("7.0.0", "Units in any case.")])
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    Spec::new("georadiusbymember", -5)
        .run(radius::georadiusbymember)
        .flags("write denyoom")
        .acl("geo")
        .keys(&[
            KeySpec::at(1, "RO access"),
            behind("STORE", 5, "OW update"),
            behind("STOREDIST", 5, "OW update"),
        ])
        .arguments(&[
            KEY,
            string("member"),
            double("radius"),
            one_of(
                "unit",
                &[token("m", "M"), token("km", "KM"), token("ft", "FT"), token("mi", "MI")],
            ),
            token("withcoord", "WITHCOORD").optional(),
            token("withdist", "WITHDIST").optional(),
            token("withhash", "WITHHASH").optional(),
            block("count", &[integer("count").token("COUNT"), token("any", "ANY").optional()])
                .optional(),
            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
            key("key").key_spec(1).token("STORE").optional(),
            key("key").key_spec(2).token("STOREDIST").optional(),
        ])
        .docs(
            "3.2.0",
            "O(N+log(M)), N the places near, M all places",
            "Finds the places within a distance of a place, and may store them.",
        )
        .history(&[("7.0.0", "Units in any case.")])
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
        ),
    Spec::new("georadius_ro", -6)
        .run(radius::georadius_ro)
        .flags("readonly")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            double("longitude"),
            double("latitude"),
            double("radius"),
            one_of(
                "unit",
                &[token("m", "M"), token("km", "KM"), token("ft", "FT"), token("mi", "MI")],
            ),
            token("withcoord", "WITHCOORD").optional(),
            token("withdist", "WITHDIST").optional(),
            token("withhash", "WITHHASH").optional(),
            block(
                "count",
                &[integer("count").token("COUNT"), token("any", "ANY").since("6.2.0").optional()],
            )
            .optional(),
            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
        ])
        .docs(
            "3.2.10",
            "O(N+log(M)), N the places near, M all places",
            "Finds the places within a distance of a point.",
        )
        .history(&[("6.2.0", "`ANY` with `COUNT`.")])
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    Spec::new("georadiusbymember_ro", -5)
        .run(radius::georadiusbymember_ro)
        .flags("readonly")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            string("member"),
            double("radius"),
            one_of(
                "unit",
                &[token("m", "M"), token("km", "KM"), token("ft", "FT"), token("mi", "MI")],
            ),
            token("withcoord", "WITHCOORD").optional(),
            token("withdist", "WITHDIST").optional(),
            token("withhash", "WITHHASH").optional(),
            block("count", &[integer("count").token("COUNT"), token("any", "ANY").optional()])
                .optional(),
            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
        ])
        .docs(
            "3.2.10",
            "O(N+log(M)), N the places near, M all places",
            "Finds the places within a distance of a place.",
        )
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    Spec::new("geohash", -2)
        .run(read::geohash)
        .flags("readonly")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, string("member").multiple()])
        .docs("3.2.0", "O(N), N the places asked for", "Returns places as Geohash texts."),
    Spec::new("geopos", -2)
        .run(read::geopos)
        .flags("readonly")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[KEY, string("member").multiple()])
        .docs(
            "3.2.0",
            "O(N), N the places asked for",
            "Returns the longitude and the latitude of places.",
        ),
    Spec::new("geodist", -4)
        .run(read::geodist)
        .flags("readonly")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            string("member1"),
            string("member2"),
            one_of(
                "unit",
                &[token("m", "M"), token("km", "KM"), token("ft", "FT"), token("mi", "MI")],
            )
            .optional(),
        ])
        .docs("3.2.0", "O(1)", "Returns the distance between two places."),
    Spec::new("geosearch", -7)
        .run(search::geosearch)
        .flags("readonly")
        .acl("geo")
        .keys(&[KeySpec::at(1, "RO access")])
        .arguments(&[
            KEY,
            one_of(
                "from",
                &[
                    string("member").token("FROMMEMBER"),
                    block("longitude_latitude", &[double("longitude"), double("latitude")])
                        .token("FROMLONLAT"),
                ],
            ),
            one_of(
                "by",
                &[
                    block(
                        "circle",
                        &[
                            double("radius").token("BYRADIUS"),
                            one_of(
                                "unit",
                                &[
                                    token("m", "M"),
                                    token("km", "KM"),
                                    token("ft", "FT"),
                                    token("mi", "MI"),
                                ],
                            ),
                        ],
                    ),
                    block(
                        "box",
                        &[
                            double("width").token("BYBOX"),
                            double("height"),
                            one_of(
                                "unit",
                                &[
                                    token("m", "M"),
                                    token("km", "KM"),
                                    token("ft", "FT"),
                                    token("mi", "MI"),
                                ],
                            ),
                        ],
                    ),
                ],
            ),
            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
            block("count", &[integer("count").token("COUNT"), token("any", "ANY").optional()])
                .optional(),
            token("withcoord", "WITHCOORD").optional(),
            token("withdist", "WITHDIST").optional(),
            token("withhash", "WITHHASH").optional(),
        ])
        .docs(
            "6.2.0",
            "O(N+log(M)), N the places near, M all places",
            "Finds the places in a circle or a rectangle.",
        )
        .history(&[("7.0.0", "Units in any case.")]),
    Spec::new("geosearchstore", -8)
        .run(search::geosearchstore)
        .flags("write denyoom")
        .acl("geo")
        .keys(&[KeySpec::at(1, "OW update"), KeySpec::at(2, "RO access")])
        .arguments(&[
            key("destination"),
            key("source").key_spec(1),
            one_of(
                "from",
                &[
                    string("member").token("FROMMEMBER"),
                    block("longitude_latitude", &[double("longitude"), double("latitude")])
                        .token("FROMLONLAT"),
                ],
            ),
            one_of(
                "by",
                &[
                    block(
                        "circle",
                        &[
                            double("radius").token("BYRADIUS"),
                            one_of(
                                "unit",
                                &[
                                    token("m", "M"),
                                    token("km", "KM"),
                                    token("ft", "FT"),
                                    token("mi", "MI"),
                                ],
                            ),
                        ],
                    ),
                    block(
                        "box",
                        &[
                            double("width").token("BYBOX"),
                            double("height"),
                            one_of(
                                "unit",
                                &[
                                    token("m", "M"),
                                    token("km", "KM"),
                                    token("ft", "FT"),
                                    token("mi", "MI"),
                                ],
                            ),
                        ],
                    ),
                ],
            ),
            one_of("order", &[token("asc", "ASC"), token("desc", "DESC")]).optional(),
            block("count", &[integer("count").token("COUNT"), token("any", "ANY").optional()])
                .optional(),
            token("storedist", "STOREDIST").optional(),
        ])
        .docs(
            "6.2.0",
            "O(N+log(M)), N the places near, M all places",
            "Stores the places in a circle or a rectangle under a key.",
        )
        .history(&[("7.0.0", "Units in any case.")]),
];

/// A key behind a word that stands from an argument on.
const fn behind(word: &'static str, start_from: i16, flags: &str) -> KeySpec {
    KeySpec {
        flags: KeyFlags::of(flags),
        begin: Begin::Keyword { word, start_from },
        find: Find::Range { last: 0, step: 1, limit: 0 },
        notes: None,
    }
}
