//! GEOADD, which is a ZADD.

use super::parse_position;
use crate::args::{Args, OwnedArgs};
use crate::commands::sorted_sets::write::zadd;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};

/// GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member …]
pub fn geoadd(cx: &mut Cx, args: &Args) -> CommandResult {
    let (mut only_absent, mut only_present) = (false, false);
    let mut at = 2;
    while at < args.len() {
        match () {
            () if args.is(at, "nx") => only_absent = true,
            () if args.is(at, "xx") => only_present = true,
            () if args.is(at, "ch") => {}
            () => break,
        }
        at += 1;
    }
    if (args.len() - at) % 3 != 0 || only_absent && only_present {
        return Err(Error::SYNTAX);
    }
    let mut translated = OwnedArgs::new([&b"ZADD"[..]]);
    args.first(at).from(1).iter().for_each(|arg| translated.push(arg));
    for at in (at..args.len()).step_by(3) {
        let position = parse_position(args.at(at), args.at(at + 1))?;
        translated.push(itoa::Buffer::new().format(position.to_score()).as_bytes());
        translated.push(args.at(at + 2));
    }
    zadd(cx, &translated.args())
}
