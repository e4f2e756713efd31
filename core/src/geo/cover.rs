//! Which cells of the grid cover an area: the one in which its centre lies, and those around it.

use super::distance::{EARTH_RADIUS, degrees, distance, latitude_distance, radians};
use super::hash::{Cell, Edges, Position, STEPS_MAX};

/// Half of the equator in the grid's projection, in meters.
const MERCATOR_MAX: f64 = 20037726.37;

/// An area around a centre. Lengths are in a unit of so many meters as `unit` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub center: Position,
    pub unit: f64,
    pub extent: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    Circle { radius: f64 },
    Rectangle { width: f64, height: f64 },
}

impl Shape {
    /// The distance of a point from the centre in meters, if it is inside.
    pub fn distance_within(&self, point: Position) -> Option<f64> {
        match self.extent {
            Extent::Circle { radius } => {
                let distance = distance(self.center, point);
                (distance <= radius * self.unit).then_some(distance)
            }
            Extent::Rectangle { width, height } => {
                let north_south = latitude_distance(point.latitude, self.center.latitude);
                if north_south > height * self.unit / 2.0 {
                    return None;
                }
                let beside = Position { latitude: point.latitude, ..self.center };
                if distance(point, beside) > width * self.unit / 2.0 {
                    return None;
                }
                Some(distance(self.center, point))
            }
        }
    }

    /// The rectangle of degrees around it.
    fn bounds(&self) -> Edges {
        let (width, height) = match self.extent {
            Extent::Circle { radius } => (radius, radius),
            Extent::Rectangle { width, height } => (width / 2.0, height / 2.0),
        };
        let (width, height) = (self.unit * width, self.unit * height);
        let Position { longitude, latitude } = self.center;
        let latitude_delta = degrees(height / EARTH_RADIUS);
        let longitude_delta =
            |latitude: f64| degrees(width / EARTH_RADIUS / radians(latitude).cos());
        // The edge nearer to a pole is the longer one in degrees.
        let delta = if latitude < 0.0 {
            longitude_delta(latitude - latitude_delta)
        } else {
            longitude_delta(latitude + latitude_delta)
        };
        Edges {
            west: longitude - delta,
            east: longitude + delta,
            south: latitude - latitude_delta,
            north: latitude + latitude_delta,
        }
    }

    /// The distance in meters to what is farthest from the centre.
    fn reach(&self) -> f64 {
        let reach = match self.extent {
            Extent::Circle { radius } => radius,
            Extent::Rectangle { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        reach * self.unit
    }
}

/// How fine the grid may be so that nine cells cover a circle.
fn steps_for(mut radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS_MAX;
    }
    let mut steps = 1;
    while radius < MERCATOR_MAX {
        radius *= 2.0;
        steps += 1;
    }
    // Cells become narrower towards the poles.
    steps -= 2;
    if latitude.abs() > 66.0 {
        steps -= 1;
        if latitude.abs() > 80.0 {
            steps -= 1;
        }
    }
    steps.clamp(1, STEPS_MAX as i32) as u32
}

/// The cells that together cover a shape, which may cover more. All are of one size, none comes twice.
pub fn cover(shape: &Shape) -> Vec<Cell> {
    let bounds = shape.bounds();
    let steps = steps_for(shape.reach(), shape.center.latitude);
    let mut cell = Cell::of(&shape.center, steps);
    let falls_short = cell.moved(0, 1).edges().north < bounds.north
        || cell.moved(0, -1).edges().south > bounds.south
        || cell.moved(1, 0).edges().east < bounds.east
        || cell.moved(-1, 0).edges().west > bounds.west;
    if steps > 1 && falls_short {
        cell = Cell::of(&shape.center, steps - 1);
    }
    // Neighbours beyond an edge that the shape does not reach are left out.
    let edges = cell.edges();
    let leaves_out = cell.steps >= 2;
    let unneeded = |east: i32, north: i32| {
        leaves_out
            && (north < 0 && edges.south < bounds.south
                || north > 0 && edges.north > bounds.north
                || east < 0 && edges.west < bounds.west
                || east > 0 && edges.east > bounds.east)
    };
    let mut cells = vec![cell];
    for (east, north) in [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)] {
        let neighbor = cell.moved(east, north);
        if !unneeded(east, north) && !cells.contains(&neighbor) {
            cells.push(neighbor);
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is in a shape is in one of its cells. (Not so for shapes of which an edge passes a pole or goes
        /// around the world, nor in Redis.)
        #[test]
        fn what_is_within_a_shape_is_covered(
            longitude in -100.0f64..100.0, latitude in -60.0f64..60.0,
            east in -1.0f64..1.0, north in -1.0f64..1.0,
            size in 1.0f64..500_000.0, is_circle: bool,
        ) {
            let center = Position { longitude, latitude };
            let extent = match is_circle {
                true => Extent::Circle { radius: size },
                false => Extent::Rectangle { width: size, height: size / 3.0 },
            };
            let shape = Shape { center, unit: 1.0, extent };
            let degrees = size / 100_000.0;
            let point = Position { longitude: longitude + east * degrees, latitude: latitude + north * degrees };
            let cells = cover(&shape);
            prop_assert!((1..=9).contains(&cells.len()));
            if shape.distance_within(point).is_some() {
                let score = point.to_score();
                let covers = |cell: &Cell| {
                    let (first, end) = cell.scores();
                    (first..end).contains(&score)
                };
                let is_covered = cells.iter().any(covers);
                prop_assert!(is_covered);
            }
        }
    }

    #[test]
    fn the_whole_world_is_covered_once() {
        let center = Position { longitude: 0.0, latitude: 0.0 };
        let shape = Shape { center, unit: 1.0, extent: Extent::Circle { radius: 3e7 } };
        let cells = cover(&shape);
        assert_eq!(cells.len(), 4);
        let total: u64 = cells.iter().map(|cell| cell.scores().1 - cell.scores().0).sum();
        assert_eq!(total, 1 << 52);
    }
}
