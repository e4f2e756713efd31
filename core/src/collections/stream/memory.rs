//! What ordered maps of the standard library allocate, which they do not tell.
//!
//! Their nodes hold eleven pairs. Keys that come in ascending order, as nearly all do here, leave six in each leaf and
//! one above it.

/// Pairs in a node.
const NODE_PAIRS: usize = 11;
/// Pairs for each leaf, with the one above it, when keys came in order.
const PAIRS_PER_LEAF: usize = 7;
/// A node's link to its parent and its counters.
const NODE_HEAD_BYTES: usize = 16;
/// The links that an inner node has besides; there is one such node for about seven leaves.
const INNER_BYTES: usize = 12 * 8;

/// About how many bytes a `BTreeMap<K, V>` of `len` pairs has allocated.
pub(super) fn tree_bytes<K, V>(len: usize) -> usize {
    let leaf = NODE_PAIRS * (size_of::<K>() + size_of::<V>()) + NODE_HEAD_BYTES;
    match len {
        0 => 0,
        1..=NODE_PAIRS => leaf,
        _ => {
            let leaves = len.div_ceil(PAIRS_PER_LEAF);
            leaves * leaf + leaves.div_ceil(PAIRS_PER_LEAF) * (leaf + INNER_BYTES)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_costs_whole_nodes() {
        assert_eq!(tree_bytes::<u64, u64>(0), 0);
        assert_eq!(tree_bytes::<u64, u64>(1), 192);
        assert_eq!(tree_bytes::<u64, u64>(11), 192);
        assert_eq!(tree_bytes::<u64, u64>(12), 2 * 192 + 288);
        assert_eq!(tree_bytes::<u64, ()>(70), 10 * 104 + 2 * 200);
    }
}
