//! The table of all directives: one file per topic, one row per directive.

pub mod access;
pub mod clients;
pub mod cluster;
pub mod encoding;
pub mod memory;
pub mod monitoring;
pub mod network;
pub mod persistence;
pub mod process;
pub mod replication;
pub mod sharding;
pub mod tls;

use super::directive::Directive;

/// Every row, topic by topic.
pub fn directives() -> impl Iterator<Item = &'static Directive> {
    [
        network::DIRECTIVES,
        access::DIRECTIVES,
        process::DIRECTIVES,
        sharding::DIRECTIVES,
        clients::DIRECTIVES,
        memory::DIRECTIVES,
        encoding::DIRECTIVES,
        monitoring::DIRECTIVES,
        persistence::DIRECTIVES,
        replication::DIRECTIVES,
        cluster::DIRECTIVES,
        tls::DIRECTIVES,
    ]
    .into_iter()
    .flatten()
}

/// The row with this name or older name, in any case.
pub fn find(name: &[u8]) -> Option<&'static Directive> {
    directives().find(|directive| directive.is_named(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_lower_case() {
        let mut seen = HashSet::new();
        for name in directives().flat_map(Directive::names) {
            assert!(seen.insert(name), "{name} stands twice");
            assert_eq!(name, name.to_ascii_lowercase());
        }
        assert!(seen.len() > 200);
    }
}
