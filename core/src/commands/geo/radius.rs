//! The older searches: GEORADIUS, GEORADIUSBYMEMBER, and their forms that store nothing.

use super::search::{Form, search};
use crate::args::Args;
use crate::cx::Cx;
use crate::error::CommandResult;

/// GEORADIUS key longitude latitude radius unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]
/// [STORE key] [STOREDIST key]
pub fn georadius(cx: &mut Cx, args: &Args) -> CommandResult {
    search(cx, args, Form::Radius { by_member: false, stores: true })
}

/// GEORADIUSBYMEMBER key member radius unit, and the options of GEORADIUS
pub fn georadiusbymember(cx: &mut Cx, args: &Args) -> CommandResult {
    search(cx, args, Form::Radius { by_member: true, stores: true })
}

/// GEORADIUS_RO key longitude latitude radius unit, and the options of GEORADIUS but STORE and STOREDIST
pub fn georadius_ro(cx: &mut Cx, args: &Args) -> CommandResult {
    search(cx, args, Form::Radius { by_member: false, stores: false })
}

/// GEORADIUSBYMEMBER_RO key member radius unit, and the options of GEORADIUS but STORE and STOREDIST
pub fn georadiusbymember_ro(cx: &mut Cx, args: &Args) -> CommandResult {
    search(cx, args, Form::Radius { by_member: true, stores: false })
}
