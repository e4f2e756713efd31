//! Geohashes: the bits of a latitude and of a longitude in turns, that of the longitude first.

/// The ranges of the Mercator projection that web maps use (EPSG:900913).
pub const LATITUDE_MAX: f64 = 85.05112878;
pub const LONGITUDE_MAX: f64 = 180.0;

/// Bits of each coordinate in a score.
pub const STEPS_MAX: u32 = 26;

/// A point, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    pub longitude: f64,
    pub latitude: f64,
}

/// A rectangle of the grid in which each coordinate has `steps` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    pub bits: u64,
    pub steps: u32,
}

/// The edges of a cell, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edges {
    pub west: f64,
    pub east: f64,
    pub south: f64,
    pub north: f64,
}

const LATITUDE_BITS: u64 = 0x5555_5555_5555_5555;
const LONGITUDE_BITS: u64 = !LATITUDE_BITS;

impl Position {
    /// Whether the grid covers it.
    pub fn is_valid(&self) -> bool {
        self.longitude.abs() <= LONGITUDE_MAX && self.latitude.abs() <= LATITUDE_MAX
    }

    /// The score of a place in a sorted set.
    pub fn to_score(&self) -> u64 {
        Cell::of(self, STEPS_MAX).bits
    }

    /// About where a place is; the middle of its cell.
    pub fn of_score(score: f64) -> Position {
        Cell { bits: score as u64, steps: STEPS_MAX }.middle()
    }

    /// The text that geohash.org has for it: the grid reaches to the poles there. The last letter is always a zero,
    /// for its bits are not known.
    pub fn to_text(&self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = encode(self, 90.0, STEPS_MAX);
        let mut text = [LETTERS[0]; 11];
        for (index, letter) in text[..10].iter_mut().enumerate() {
            *letter = LETTERS[(bits >> (52 - (index + 1) * 5)) as usize & 0x1f];
        }
        text
    }
}

fn encode(position: &Position, latitude_max: f64, steps: u32) -> u64 {
    let scale = (1u64 << steps) as f64;
    let fraction = |value: f64, max: f64| ((value + max) / (max + max) * scale) as u32;
    let latitude = fraction(position.latitude, latitude_max);
    let longitude = fraction(position.longitude, LONGITUDE_MAX);
    spread(latitude) | spread(longitude) << 1
}

/// Puts a zero before each bit.
fn spread(bits: u32) -> u64 {
    let mut bits = u64::from(bits);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, LATITUDE_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Undoes [`spread`]; every other bit is passed over.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & LATITUDE_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

impl Cell {
    /// The cell of a valid position.
    pub fn of(position: &Position, steps: u32) -> Cell {
        Cell { bits: encode(position, LATITUDE_MAX, steps), steps }
    }

    pub fn edges(&self) -> Edges {
        let scale = (1u64 << self.steps) as f64;
        let edge = |number: u64, max: f64| -max + number as f64 / scale * (max + max);
        let (latitude, longitude) =
            (u64::from(gather(self.bits)), u64::from(gather(self.bits >> 1)));
        Edges {
            west: edge(longitude, LONGITUDE_MAX),
            east: edge(longitude + 1, LONGITUDE_MAX),
            south: edge(latitude, LATITUDE_MAX),
            north: edge(latitude + 1, LATITUDE_MAX),
        }
    }

    fn middle(&self) -> Position {
        let edges = self.edges();
        let longitude = (edges.west + edges.east) / 2.0;
        let latitude = (edges.south + edges.north) / 2.0;
        Position {
            longitude: longitude.clamp(-LONGITUDE_MAX, LONGITUDE_MAX),
            latitude: latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX),
        }
    }

    /// The cell so many to the east and to the north, around the world.
    pub fn moved(&self, east: i32, north: i32) -> Cell {
        let mask = u64::MAX >> (64 - self.steps * 2);
        let step = |bits: u64, by: i32, lane: u64| {
            if by == 0 {
                return bits & lane;
            }
            // With the bits of the other lane set, what is carried goes through them.
            let one = 1 << lane.trailing_zeros();
            let moved = if by > 0 {
                (bits & lane | !lane).wrapping_add(one)
            } else {
                (bits & lane).wrapping_sub(one)
            };
            moved & lane & mask
        };
        let bits = step(self.bits, east, LONGITUDE_BITS) | step(self.bits, north, LATITUDE_BITS);
        Cell { bits, ..*self }
    }

    /// The scores of the places in it: the first, and the one behind the last.
    pub fn scores(&self) -> (u64, u64) {
        let shift = 52 - self.steps * 2;
        (self.bits << shift, (self.bits + 1) << shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What redis-server 7.0.15 answers to ZSCORE, GEOPOS and GEOHASH.
    #[test]
    fn hashes_are_those_of_redis() {
        let palermo = Position { longitude: 13.361389, latitude: 38.115556 };
        assert_eq!(palermo.to_score(), 3_479_099_956_230_698);
        assert_eq!(
            Position::of_score(3_479_099_956_230_698.0),
            Position { longitude: 13.361389338970184, latitude: 38.1155563954963 }
        );
        let decoded = Position::of_score(3_479_099_956_230_698.0);
        assert_eq!(&decoded.to_text(), b"sqc8b49rny0");
        let catania = Position { longitude: 15.087269, latitude: 37.502669 };
        assert_eq!(catania.to_score(), 3_479_447_370_796_909);
    }

    proptest! {
        #[test]
        fn a_place_is_found_within_its_cell(
            longitude in -180.0f64..180.0, latitude in -85.0f64..85.0, steps in 1u32..27,
        ) {
            let position = Position { longitude, latitude };
            let cell = Cell::of(&position, steps);
            let edges = cell.edges();
            prop_assert!(edges.west <= longitude && longitude <= edges.east);
            prop_assert!(edges.south <= latitude && latitude <= edges.north);
            let (first, end) = cell.scores();
            prop_assert!((first..end).contains(&position.to_score()));
            // There and back again, around the world too.
            for (east, north) in [(1, 0), (0, 1), (1, 1), (-1, 1)] {
                let moved = cell.moved(east, north);
                prop_assert_eq!(moved.moved(-east, -north), cell);
                prop_assert!(moved.bits >> (steps * 2) == 0);
            }
            let east = cell.moved(1, 0).edges();
            prop_assert!(east.west == edges.east || edges.east == 180.0 && east.west == -180.0);
            let north = cell.moved(0, 1).edges();
            prop_assert!(north.south == edges.north || edges.north == LATITUDE_MAX);
        }
    }
}
