//! GEOSEARCH and GEOSEARCHSTORE, and the search that GEORADIUS shares with them.

use super::{parse_position, parse_unit, reply_distance, reply_position};
use crate::args::Args;
use crate::collections::listpack::Element;
use crate::commands::sorted_sets::store;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::geo::cover::Extent;
use crate::geo::{Position, Shape, cover};
use crate::number;
use crate::store::Type;
use crate::values::sorted_set::{ScoreRange, View, collect};

const UNDECODABLE: Error = Error::new("ERR could not decode requested zset member");

/// Tells where a member is.
type PositionOf<'a> = dyn Fn(&[u8]) -> Option<Position> + 'a;

/// Which command it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// GEORADIUS, GEORADIUSBYMEMBER, with STORE.
    Radius {
        by_member: bool,
        stores: bool,
    },
    Search,
    SearchStore,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Nearest,
    Farthest,
}

/// Where results go.
#[derive(Clone, Copy)]
struct Target<'a> {
    key: &'a [u8],
    /// Their distances are their scores.
    distances: bool,
}

/// What is asked for.
struct Request<'a> {
    center: Option<Position>,
    /// A centre was named, even if there is no sorted set to look it up in.
    has_center: bool,
    extent: Option<(Extent, f64)>,
    with_distance: bool,
    with_hash: bool,
    with_position: bool,
    sort: Option<Sort>,
    /// 0: all.
    count: usize,
    any: bool,
    target: Option<Target<'a>>,
}

/// A place that was found.
struct Found {
    member: Vec<u8>,
    score: f64,
    position: Position,
    /// In meters.
    distance: f64,
}

fn parse_radius(radius: &[u8], unit: &[u8]) -> Result<(Extent, f64), Error> {
    let radius = number::parse_double(radius).ok_or(Error::new("ERR need numeric radius"))?;
    if radius < 0.0 {
        return Err(Error::new("ERR radius cannot be negative"));
    }
    Ok((Extent::Circle { radius }, parse_unit(unit)?))
}

fn parse_box(width: &[u8], height: &[u8], unit: &[u8]) -> Result<(Extent, f64), Error> {
    let width = number::parse_double(width).ok_or(Error::new("ERR need numeric width"))?;
    let height = number::parse_double(height).ok_or(Error::new("ERR need numeric height"))?;
    if width < 0.0 || height < 0.0 {
        return Err(Error::new("ERR height or width cannot be negative"));
    }
    Ok((Extent::Rectangle { width, height }, parse_unit(unit)?))
}

impl<'a> Request<'a> {
    /// `position_of` tells where a member is; `None` where there is no sorted set.
    fn parse(
        args: &Args<'a>,
        form: Form,
        position_of: Option<&PositionOf>,
    ) -> Result<Request<'a>, Error> {
        let mut request = Request {
            center: None,
            has_center: false,
            extent: None,
            with_distance: false,
            with_hash: false,
            with_position: false,
            sort: None,
            count: 0,
            any: false,
            target: None,
        };
        let first_option = request.parse_base(args, form, position_of)?;
        request.parse_options(args, form, first_option, position_of)?;
        request.check(args, form)?;
        if request.count > 0 && request.sort.is_none() && !request.any {
            request.sort = Some(Sort::Nearest);
        }
        Ok(request)
    }

    /// What stands in its place. Returns where the options begin.
    fn parse_base(
        &mut self,
        args: &Args<'a>,
        form: Form,
        position_of: Option<&PositionOf>,
    ) -> Result<usize, Error> {
        match form {
            Form::Search => Ok(2),
            Form::SearchStore => {
                self.target = Some(Target { key: args.at(1), distances: false });
                Ok(3)
            }
            Form::Radius { by_member: false, .. } => {
                self.center = Some(parse_position(args.at(2), args.at(3))?);
                self.extent = Some(parse_radius(args.at(4), args.at(5))?);
                Ok(6)
            }
            Form::Radius { by_member: true, .. } => {
                if let Some(position_of) = position_of {
                    self.center = Some(position_of(args.at(2)).ok_or(UNDECODABLE)?);
                    self.extent = Some(parse_radius(args.at(3), args.at(4))?);
                }
                Ok(5)
            }
        }
    }

    fn parse_options(
        &mut self,
        args: &Args<'a>,
        form: Form,
        first: usize,
        position_of: Option<&PositionOf>,
    ) -> Result<(), Error> {
        let is_search = form.is_search();
        let stores = form == Form::Radius { by_member: false, stores: true }
            || form == Form::Radius { by_member: true, stores: true };
        let (mut by_radius, mut by_box, mut from_member, mut from_position) =
            (false, false, false, false);
        let mut at = first;
        while at < args.len() {
            // How many arguments stand behind this one.
            let left = args.len() - at - 1;
            match () {
                () if args.is(at, "withdist") => self.with_distance = true,
                () if args.is(at, "withhash") => self.with_hash = true,
                () if args.is(at, "withcoord") => self.with_position = true,
                () if args.is(at, "any") => self.any = true,
                () if args.is(at, "asc") => self.sort = Some(Sort::Nearest),
                () if args.is(at, "desc") => self.sort = Some(Sort::Farthest),
                () if left >= 1 && args.is(at, "count") => {
                    let count = number::integer(args.at(at + 1))?;
                    if count <= 0 {
                        return Err(Error::new("ERR COUNT must be > 0"));
                    }
                    self.count = count as usize;
                    at += 1;
                }
                () if stores && left >= 1 && args.is(at, "store") => {
                    self.target = Some(Target { key: args.at(at + 1), distances: false });
                    at += 1;
                }
                () if stores && left >= 1 && args.is(at, "storedist") => {
                    self.target = Some(Target { key: args.at(at + 1), distances: true });
                    at += 1;
                }
                () if is_search && left >= 1 && !from_position && args.is(at, "frommember") => {
                    if let Some(position_of) = position_of {
                        self.center = Some(position_of(args.at(at + 1)).ok_or(UNDECODABLE)?);
                    }
                    from_member = true;
                    at += 1;
                }
                () if is_search && left >= 2 && !from_member && args.is(at, "fromlonlat") => {
                    self.center = Some(parse_position(args.at(at + 1), args.at(at + 2))?);
                    from_position = true;
                    at += 2;
                }
                () if is_search && left >= 2 && !by_box && args.is(at, "byradius") => {
                    self.extent = Some(parse_radius(args.at(at + 1), args.at(at + 2))?);
                    by_radius = true;
                    at += 2;
                }
                () if is_search && left >= 3 && !by_radius && args.is(at, "bybox") => {
                    let (width, height) = (args.at(at + 1), args.at(at + 2));
                    self.extent = Some(parse_box(width, height, args.at(at + 3))?);
                    by_box = true;
                    at += 3;
                }
                () if form == Form::SearchStore && args.is(at, "storedist") => {
                    self.target = Some(Target { key: args.at(1), distances: true });
                }
                () => return Err(Error::SYNTAX),
            }
            at += 1;
        }
        self.has_center = from_member || from_position;
        Ok(())
    }

    fn check(&self, args: &Args, form: Form) -> Result<(), Error> {
        let name = String::from_utf8_lossy(args.at(0));
        if self.target.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let what = match form {
                Form::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return Err(Error::text(format!(
                "ERR {what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        if form.is_search() && !self.has_center {
            return Err(Error::text(format!(
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for {name}"
            )));
        }
        if form.is_search() && self.extent.is_none() {
            return Err(Error::text(format!(
                "ERR exactly one of BYRADIUS and BYBOX can be specified for {name}"
            )));
        }
        if self.any && self.count == 0 {
            return Err(Error::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    fn shape(&self) -> Option<Shape> {
        let (extent, unit) = self.extent?;
        Some(Shape { center: self.center?, unit, extent })
    }

    /// What is within the shape, in the order that was asked for, and as many.
    fn find(&self, view: View, shape: &Shape) -> Vec<Found> {
        let enough = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        for cell in cover(shape) {
            if found.len() >= enough {
                break;
            }
            let (first, end) = cell.scores();
            let range = ScoreRange {
                min: first as f64,
                min_excluded: false,
                max: end as f64,
                max_excluded: true,
            };
            view.walk(view.ranks_of_scores(&range), false, |member: Element, score| {
                if found.len() >= enough {
                    return;
                }
                let position = Position::of_score(score);
                if let Some(distance) = shape.distance_within(position) {
                    found.push(Found { member: member.to_vec(), score, position, distance });
                }
            });
        }
        match self.sort {
            Some(Sort::Nearest) => {
                found.sort_by(|one, other| one.distance.total_cmp(&other.distance))
            }
            Some(Sort::Farthest) => {
                found.sort_by(|one, other| other.distance.total_cmp(&one.distance))
            }
            None => {}
        }
        if self.count > 0 {
            found.truncate(self.count);
        }
        found
    }
}

/// Finds places, and replies or stores them.
pub(super) fn search(cx: &mut Cx, args: &Args, form: Form) -> CommandResult {
    let source = cx.keys.key(args.at(if form == Form::SearchStore { 2 } else { 1 }));
    let hasher = cx.keys.shard.hasher.clone();
    let view = cx.keys.read_collection(&source, Type::SortedSet)?.map(View::of);
    let position_of = view.map(|view| {
        let hasher = &hasher;
        move |member: &[u8]| view.score(hasher, member).map(Position::of_score)
    });
    let position_of = position_of.as_ref().map(|f| f as &PositionOf);
    let request = Request::parse(args, form, position_of)?;
    let shape = request.shape();
    let found = match (view, &shape) {
        (Some(view), Some(shape)) => request.find(view, shape),
        _ => Vec::new(),
    };
    let unit = shape.map_or(1.0, |shape| shape.unit);
    match request.target {
        Some(target) => {
            let event = if form.is_search() { "geosearchstore" } else { "georadiusstore" };
            store_found(cx, args, target, found, unit, event);
        }
        None => reply_found(cx, &request, &found, unit),
    }
    Ok(())
}

fn reply_found(cx: &mut Cx, request: &Request, found: &[Found], unit: f64) {
    let options = [request.with_distance, request.with_hash, request.with_position];
    let options = options.iter().filter(|&&option| option).count();
    cx.reply.array(found.len());
    for place in found {
        if options > 0 {
            cx.reply.array(options + 1);
        }
        cx.reply.bulk(&place.member);
        if request.with_distance {
            reply_distance(&mut cx.reply, place.distance / unit);
        }
        if request.with_hash {
            cx.reply.int(place.score as i64);
        }
        if request.with_position {
            reply_position(&mut cx.reply, place.position);
        }
    }
}

fn store_found(
    cx: &mut Cx,
    args: &Args,
    target: Target,
    found: Vec<Found>,
    unit: f64,
    event: &'static str,
) {
    let count = found.len();
    let score = |place: &Found| if target.distances { place.distance / unit } else { place.score };
    let members = found.into_iter().map(|place| {
        let score = score(&place);
        (place.member, score)
    });
    let members: Vec<_> = members.collect();
    let limits = cx.keys.shard.settings.limits;
    let made = (count > 0).then(|| collect(members, &cx.keys.shard.hasher, &limits));
    let key = cx.keys.key(target.key);
    if store(cx, &key, made, event) {
        // Each member counts as a change, of which one is counted already.
        cx.keys.shard.stats.dirty += count.saturating_sub(1) as u64;
        cx.keys.effect_verbatim(args);
    }
    cx.reply.int(count as i64);
}

/// GEOSEARCH key FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX width height unit
/// [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
pub fn geosearch(cx: &mut Cx, args: &Args) -> CommandResult {
    search(cx, args, Form::Search)
}

/// GEOSEARCHSTORE destination source FROMMEMBER member | FROMLONLAT longitude latitude BYRADIUS radius unit | BYBOX
/// width height unit [ASC | DESC] [COUNT count [ANY]] [STOREDIST]
pub fn geosearchstore(cx: &mut Cx, args: &Args) -> CommandResult {
    search(cx, args, Form::SearchStore)
}
