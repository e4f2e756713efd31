//! The digest of a list: its elements in order.

use super::{Digest, mix};
use crate::store::Value;
use crate::values::list::ListRef;

/// Adds the value, which is of this type.
pub(super) fn mix_elements(digest: &mut Digest, value: Value) {
    for element in ListRef::of(value).iter() {
        element.with_bytes(|text| mix(digest, text));
    }
}
