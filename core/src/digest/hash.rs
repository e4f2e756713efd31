//! Hashes: the digests of the fields, XORed, for their order does not matter.

use super::{Digest, mix, xor};
use crate::store::Value;
use crate::values::hash::HashView;

/// Adds the value, which is of this type. A field that expires counts as such, as in Redis since 7.4.
pub(super) fn mix_fields(digest: &mut Digest, value: Value) {
    let Some(hash) = HashView::whole(value) else { return };
    hash.for_each(|name, found| {
        let mut field = Digest::default();
        name.with_bytes(|name| mix(&mut field, name));
        found.value.with_bytes(|value| mix(&mut field, value));
        if found.expire_at.is_some() {
            xor(&mut field, &super::sha1(b"!!hexpire!!"));
        }
        xor(digest, &super::sha1(&field));
    });
}
