//! The members of a set, in whatever order they come.

use super::{Digest, sha1, xor};
use crate::store::Value;
use crate::values::set::SetView;

/// Adds the value, which is of this type.
pub(super) fn mix_members(digest: &mut Digest, value: Value) {
    SetView::of(value).for_each(|member| member.with_bytes(|member| xor(digest, &sha1(member))));
}
