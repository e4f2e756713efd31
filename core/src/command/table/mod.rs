//! Every command there is, one file a family.
//!
//! Facts (arities, flags, key specs, versions, argument lists) are those of Redis 7.2. The families are put
//! together when the crate is compiled, so the table costs nothing at start and cannot change.

mod bitmap;
mod cluster;
mod connection;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod pubsub;
mod server;
mod set;
mod sorted_set;
mod stream;
mod string;
mod transactions;

use super::keys::KEY_SPECS_MAX;
use super::lookup;
use super::spec::{Acl, Begin, Find, Flags, KeyFlags, KeySpec, Spec};

const FAMILIES: &[(&str, &[Spec])] = &[
    ("string", string::COMMANDS),
    ("bitmap", bitmap::COMMANDS),
    ("list", list::COMMANDS),
    ("hash", hash::COMMANDS),
    ("set", set::COMMANDS),
    ("sorted-set", sorted_set::COMMANDS),
    ("geo", geo::COMMANDS),
    ("hyperloglog", hyperloglog::COMMANDS),
    ("stream", stream::COMMANDS),
    ("generic", generic::COMMANDS),
    ("connection", connection::COMMANDS),
    ("server", server::COMMANDS),
    ("pubsub", pubsub::COMMANDS),
    ("transactions", transactions::COMMANDS),
    ("cluster", cluster::COMMANDS),
];

/// How many commands there are without subcommands.
pub const COMMANDS: usize = count().0;

/// How many ids there are: commands and subcommands.
pub const COUNT: usize = count().0 + count().1;

/// Commands first, then the subcommands, those of one container together; a spec's index is its id.
pub static ALL: [Spec; COUNT] = assemble();

/// Commands without subcommands.
pub fn commands() -> &'static [Spec] {
    &ALL[..COMMANDS]
}

const fn count() -> (usize, usize) {
    let (mut commands, mut subcommands) = (0, 0);
    let mut family = 0;
    while family < FAMILIES.len() {
        let list = FAMILIES[family].1;
        let mut index = 0;
        while index < list.len() {
            subcommands += list[index].declared_subcommands.len();
            index += 1;
        }
        commands += list.len();
        family += 1;
    }
    (commands, subcommands)
}

const fn assemble() -> [Spec; COUNT] {
    let mut all = [Spec::new("", 0); COUNT];
    let (mut id, mut next_child) = (0, COMMANDS);
    let mut family = 0;
    while family < FAMILIES.len() {
        let (group, list) = FAMILIES[family];
        let mut index = 0;
        while index < list.len() {
            let children = list[index].declared_subcommands;
            all[id] = finish(list[index], id, group);
            all[id].children = (next_child as u16, children.len() as u16);
            let mut child = 0;
            while child < children.len() {
                all[next_child] = finish(children[child], next_child, group);
                next_child += 1;
                child += 1;
            }
            id += 1;
            index += 1;
        }
        family += 1;
    }
    all
}

/// Fills in what follows from what the family's file says.
const fn finish(mut spec: Spec, id: usize, group: &'static str) -> Spec {
    assert!(spec.keys.len() <= KEY_SPECS_MAX);
    spec.id = id as u16;
    spec.docs.group = group;
    spec.words = lookup::name_words(spec.name.as_bytes());
    spec.words_settle = lookup::words_settle(spec.name.as_bytes());
    spec.acl = spec.acl.and(implied_categories(spec.flags, spec.acl));
    if let [KeySpec { flags, begin: Begin::Index(index), find: Find::Range { last: 0, .. }, .. }] =
        spec.keys
    {
        if !flags.has(KeyFlags::NOT_KEY) {
            spec.only_key = *index;
        }
    }
    spec
}

const fn implied_categories(flags: Flags, own: Acl) -> Acl {
    let mut acl = if flags.has(Flags::FAST) { Acl::FAST } else { Acl::SLOW };
    if flags.has(Flags::WRITE) {
        acl = acl.and(Acl::WRITE);
    }
    if flags.has(Flags::READONLY) && !own.has(Acl::SCRIPTING) {
        acl = acl.and(Acl::READ);
    }
    if flags.has(Flags::ADMIN) {
        acl = acl.and(Acl::ADMIN).and(Acl::DANGEROUS);
    }
    if flags.has(Flags::PUBSUB) {
        acl = acl.and(Acl::PUBSUB);
    }
    if flags.has(Flags::BLOCKING) {
        acl = acl.and(Acl::BLOCKING);
    }
    acl
}
