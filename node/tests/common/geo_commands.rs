//! Random geo commands.

use super::differential::{CONNECTIONS, Script, Step};
use super::random::Random;
use super::words::{Word, cased, integer, spoil, value, words};

pub fn places(random: &mut Random, steps: usize) -> Vec<Step> {
    let mut script = Script::new();
    while script.len() < steps {
        let connection = random.below(CONNECTIONS);
        let words = geo_command(random);
        script.push(connection, spoil(random, words));
    }
    script.finish()
}

fn key(random: &mut Random) -> Word {
    random.pick(&["here", "there", "{here}2", "nowhere"]).as_bytes().to_vec()
}

fn member(random: &mut Random) -> Word {
    format!("place:{}", random.below(300)).into_bytes()
}

/// Longitude and latitude: mostly in one region, some anywhere, some at the edges or beyond.
fn position(random: &mut Random) -> [Word; 2] {
    let (longitude, latitude) = match random.below(12) {
        0 => {
            let longitude = *random.pick(&["180", "-180", "0", "179.999999", "181", "x", "inf"]);
            let latitude =
                *random.pick(&["85.05112878", "-85.05112878", "0", "84.9", "-85.06", "nan"]);
            (longitude.to_owned(), latitude.to_owned())
        }
        1..=3 => {
            let longitude = random.between(-179_000_000, 179_000_000) as f64 / 1e6;
            let latitude = random.between(-85_000_000, 85_000_000) as f64 / 1e6;
            (longitude.to_string(), latitude.to_string())
        }
        _ => {
            let longitude = 13.0 + random.between(-1_000_000, 1_000_000) as f64 / 1e6;
            let latitude = 38.0 + random.between(-1_000_000, 1_000_000) as f64 / 1e6;
            (longitude.to_string(), latitude.to_string())
        }
    };
    [longitude.into_bytes(), latitude.into_bytes()]
}

fn length(random: &mut Random) -> Word {
    let text = match random.below(16) {
        0 => random.pick(&["0", "-1", "x", "1e400"]).to_string(),
        1 => random.below(30_000_000).to_string(),
        2..=6 => random.below(300_000).to_string(),
        _ => (random.below(1000) as f64 / 8.0).to_string(),
    };
    text.into_bytes()
}

fn unit(random: &mut Random) -> Word {
    let unit = *random.pick(&["M", "KM", "KM", "FT", "MI", "LY"]);
    cased(random, unit)
}

fn geo_command(random: &mut Random) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let name = *random.pick(&[
        "GEOADD",
        "GEOADD",
        "GEOADD",
        "GEOPOS",
        "GEOHASH",
        "GEODIST",
        "GEOSEARCH",
        "GEOSEARCH",
        "GEOSEARCH",
        "GEOSEARCHSTORE",
        "GEORADIUS",
        "GEORADIUSBYMEMBER",
        "GEORADIUS_RO",
        "GEORADIUSBYMEMBER_RO",
        "ZRANGE",
        "DEL",
        "SET",
    ]);
    words.push(cased(random, name));
    match name {
        "GEOADD" => {
            words.push(key(random));
            while random.one_in(4) {
                let option = *random.pick(&["NX", "XX", "CH"]);
                words.push(cased(random, option));
            }
            for _ in 0..1 + random.below(12) {
                words.extend(position(random));
                words.push(member(random));
            }
        }
        "GEOPOS" | "GEOHASH" => {
            words.push(key(random));
            words.extend((0..random.below(5)).map(|_| member(random)));
        }
        "GEODIST" => {
            words.extend([key(random), member(random), member(random)]);
            if random.one_in(2) {
                words.push(unit(random));
            }
        }
        "GEOSEARCH" | "GEOSEARCHSTORE" => {
            if name == "GEOSEARCHSTORE" {
                words.push(key(random));
            }
            words.push(key(random));
            center_and_extent(random, &mut words);
            search_options(random, &mut words, name == "GEOSEARCHSTORE");
        }
        "GEORADIUS" | "GEORADIUS_RO" => {
            words.push(key(random));
            words.extend(position(random));
            words.extend([length(random), unit(random)]);
            search_options(random, &mut words, false);
            store_options(random, &mut words);
        }
        "GEORADIUSBYMEMBER" | "GEORADIUSBYMEMBER_RO" => {
            words.extend([key(random), member(random), length(random), unit(random)]);
            search_options(random, &mut words, false);
            store_options(random, &mut words);
        }
        "ZRANGE" => words.extend(words![key(random), "0", "-1"]),
        "DEL" => words.push(if random.one_in(3) { key(random) } else { b"nowhere".to_vec() }),
        "SET" => words.extend([b"nowhere".to_vec(), value(random)]),
        other => unreachable!("{other}"),
    }
    words
}

fn center_and_extent(random: &mut Random, words: &mut Vec<Word>) {
    if random.one_in(2) {
        words.extend([cased(random, "FROMMEMBER"), member(random)]);
    }
    if random.one_in(2) || words.len() < 4 {
        words.push(cased(random, "FROMLONLAT"));
        words.extend(position(random));
    }
    if random.one_in(2) {
        words.extend([cased(random, "BYRADIUS"), length(random), unit(random)]);
    } else if !random.one_in(20) {
        let box_words = [cased(random, "BYBOX"), length(random), length(random), unit(random)];
        words.extend(box_words);
    }
}

/// Results are always in the order of distances, where that is not one of chance.
fn search_options(random: &mut Random, words: &mut Vec<Word>, stores: bool) {
    if random.one_in(3) {
        let order = *random.pick(&["ASC", "DESC"]);
        words.push(cased(random, order));
    }
    if random.one_in(3) {
        let count = match random.below(8) {
            0 => integer(random),
            _ => (1 + random.below(30)).to_string().into_bytes(),
        };
        words.extend([cased(random, "COUNT"), count]);
        if random.one_in(3) {
            words.push(cased(random, "ANY"));
        }
    }
    if stores {
        if random.one_in(6) {
            words.push(cased(random, "STOREDIST"));
        }
        return;
    }
    for option in ["WITHDIST", "WITHHASH", "WITHCOORD"] {
        if random.one_in(3) {
            words.push(cased(random, option));
        }
    }
}

/// No STOREDIST, whose scores Redis 7.0 writes with more digits.
fn store_options(random: &mut Random, words: &mut Vec<Word>) {
    if random.one_in(4) {
        words.extend([cased(random, "STORE"), key(random)]);
    }
}
