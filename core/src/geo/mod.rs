//! Places on the earth: their 52-bit hashes, the distance of two, and which ranges of hashes cover an area.
//!
//! Results are those of Redis to the last bit, since scores and digits are seen by clients: the order of the
//! floating point operations is part of the behaviour. Deliberately absent: where places are kept.
//!
//! Source: `src/geohash.c`, `src/geohash_helper.c` of Redis 7.2.

pub mod cover;
pub mod distance;
pub mod hash;

pub use cover::{Shape, cover};
pub use distance::distance;
pub use hash::{Cell, Position};
