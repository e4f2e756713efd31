//! The geo commands: places as members of a sorted set, whose scores are their geohashes.
//!
//! Source of replies, events and effects: redis.io, command reference; checked against redis-server 7.0.15.

pub mod radius;
pub mod read;
pub mod search;
pub mod write;

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::geo::Position;
use crate::number;
use crate::resp::Reply;

/// Two arguments as a position.
fn parse_position(longitude: &[u8], latitude: &[u8]) -> Result<Position, Error> {
    let longitude = number::parse_double(longitude).ok_or(Error::NOT_A_FLOAT)?;
    let latitude = number::parse_double(latitude).ok_or(Error::NOT_A_FLOAT)?;
    let position = Position { longitude, latitude };
    if !position.is_valid() {
        return Err(Error::text(format!(
            "ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        )));
    }
    Ok(position)
}

/// Meters in a unit.
fn parse_unit(text: &[u8]) -> Result<f64, Error> {
    match () {
        () if text.eq_ignore_ascii_case(b"m") => Ok(1.0),
        () if text.eq_ignore_ascii_case(b"km") => Ok(1000.0),
        () if text.eq_ignore_ascii_case(b"ft") => Ok(0.3048),
        () if text.eq_ignore_ascii_case(b"mi") => Ok(1609.34),
        () => Err(Error::new("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A distance with four decimals, in either protocol a bulk string.
fn reply_distance(reply: &mut Reply, distance: f64) {
    reply.text(&format!("{distance:.4}"));
}

/// Longitude and latitude with up to 17 decimals.
fn reply_position(reply: &mut Reply, position: Position) {
    reply.array(2);
    for coordinate in [position.longitude, position.latitude] {
        let text = format!("{coordinate:.17}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        let text = if text == "-0" { "0" } else { text };
        if reply.is_resp3() {
            reply.raw(format!(",{text}\r\n").as_bytes());
        } else {
            reply.text(text);
        }
    }
}
