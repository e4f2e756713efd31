//! Stand-in until the type is there.

use super::input::{DecodeError, Input};
use super::value::{Builder, Format};
use crate::store::{Collection, Value};

/// The type byte under which [`write`] writes it.
pub fn type_byte(_value: &Value, _format: Format) -> u8 {
    todo!()
}

/// Appends it without its type byte.
pub fn write(_out: &mut Vec<u8>, _value: &Value, _format: Format) {
    todo!()
}

/// The value of type `type_byte` that comes next.
pub fn parse(
    type_byte: u8,
    input: &mut Input,
    _builder: &Builder,
) -> Result<Collection, DecodeError> {
    Err(DecodeError::NotSupported { at: input.position().saturating_sub(1), type_byte })
}
