//! Timed loops over one part of the node. See `benches/`.
