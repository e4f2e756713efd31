//! BITFIELD: a string as integers of 1 to 64 bits at any bit offset, the highest bit first.

use super::bits::bit_offset;
use crate::args::Args;
use crate::cx::Cx;
use crate::error::{CommandResult, Error};
use crate::notify::Classes;
use crate::number::{integer, parse_integer};

/// What happens to a number that its field cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Overflow {
    Wrap,
    /// The nearest number that it can hold is taken.
    Saturate,
    /// Nothing is written, and null is the answer.
    Fail,
}

/// A field's type: `i1` to `i64`, `u1` to `u63`.
#[derive(Clone, Copy, Debug)]
struct Type {
    signed: bool,
    bits: u32,
}

impl Type {
    fn parse(text: &[u8]) -> Result<Type, Error> {
        let (signed, bits_max, digits) = match text {
            [b'i', digits @ ..] => (true, 64, digits),
            [b'u', digits @ ..] => (false, 63, digits),
            _ => (false, 0, &b""[..]),
        };
        match parse_integer(digits) {
            Some(bits) if (1..=bits_max).contains(&bits) => Ok(Type { signed, bits: bits as u32 }),
            _ => Err(Error::new(
                "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but \
                 i64 is.",
            )),
        }
    }

    fn min(self) -> i64 {
        if self.signed { i64::MIN >> (64 - self.bits) } else { 0 }
    }

    fn max(self) -> i64 {
        let largest = if self.signed { i64::MAX as u64 } else { u64::MAX };
        (largest >> (64 - self.bits)) as i64
    }

    /// The low bits of a number as this type.
    fn wrap(self, number: i128) -> i64 {
        let shift = 64 - self.bits;
        let top = (number as u64) << shift;
        if self.signed { top as i64 >> shift } else { (top >> shift) as i64 }
    }

    /// `None` where the number does not fit, and that is to fail.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = (i128::from(self.min()), i128::from(self.max()));
        match overflow {
            _ if (min..=max).contains(&number) => Some(number as i64),
            Overflow::Wrap => Some(self.wrap(number)),
            Overflow::Saturate => Some(number.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Get,
    Set(i64),
    Increment(i64),
}

#[derive(Clone, Copy, Debug)]
struct Operation {
    field: Type,
    /// In bits.
    offset: u64,
    action: Action,
    overflow: Overflow,
}

impl Operation {
    /// One past the field's last byte.
    fn end(&self) -> usize {
        ((self.offset + u64::from(self.field.bits) - 1) >> 3) as usize + 1
    }
}

/// The operations of `BITFIELD key …`.
fn parse(args: &Args, string_bytes_max: usize) -> Result<Vec<Operation>, Error> {
    let mut operations = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut words = args.from(2).iter();
    while let Some(word) = words.next() {
        let following = words.len();
        if word.eq_ignore_ascii_case(b"OVERFLOW") && following >= 1 {
            overflow = match words.next() {
                Some(word) if word.eq_ignore_ascii_case(b"WRAP") => Overflow::Wrap,
                Some(word) if word.eq_ignore_ascii_case(b"SAT") => Overflow::Saturate,
                Some(word) if word.eq_ignore_ascii_case(b"FAIL") => Overflow::Fail,
                _ => return Err(Error::new("ERR Invalid OVERFLOW type specified")),
            };
            continue;
        }
        let action: fn(i64) -> Action = if word.eq_ignore_ascii_case(b"GET") && following >= 2 {
            |_| Action::Get
        } else if word.eq_ignore_ascii_case(b"SET") && following >= 3 {
            Action::Set
        } else if word.eq_ignore_ascii_case(b"INCRBY") && following >= 3 {
            Action::Increment
        } else {
            return Err(Error::SYNTAX);
        };
        let mut next = || words.next().unwrap_or_default();
        let field = Type::parse(next())?;
        let offset = parse_offset(next(), field, string_bytes_max)?;
        let action = match action(0) {
            Action::Get => Action::Get,
            _ => action(integer(next())?),
        };
        operations.push(Operation { field, offset, action, overflow });
    }
    Ok(operations)
}

/// `5`, or `#5` for five fields of this type.
fn parse_offset(text: &[u8], field: Type, string_bytes_max: usize) -> Result<u64, Error> {
    let offset = match text {
        [b'#', digits @ ..] => parse_integer(digits).and_then(|n| n.checked_mul(field.bits.into())),
        digits => parse_integer(digits),
    };
    bit_offset(offset.unwrap_or(-1), string_bytes_max)
}

/// BITFIELD key [GET type offset | [OVERFLOW WRAP | SAT | FAIL] SET type offset value | INCRBY type offset
/// increment …]
pub fn bitfield(cx: &mut Cx, args: &Args) -> CommandResult {
    let operations = parse(args, cx.keys.string_bytes_max())?;
    if operations.iter().all(|operation| matches!(operation.action, Action::Get)) {
        return read(cx, args, &operations);
    }
    write(cx, args, &operations)
}

/// BITFIELD_RO key [GET type offset …]
pub fn bitfield_ro(cx: &mut Cx, args: &Args) -> CommandResult {
    let operations = parse(args, cx.keys.string_bytes_max())?;
    if operations.iter().any(|operation| !matches!(operation.action, Action::Get)) {
        return Err(Error::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    read(cx, args, &operations)
}

fn read(cx: &mut Cx, args: &Args, operations: &[Operation]) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let value = cx.keys.read_string(&key)?;
    cx.reply.array(operations.len());
    let mut reply = |bytes: &[u8]| {
        for Operation { field, offset, .. } in operations {
            cx.reply.int(load(bytes, *offset, *field));
        }
    };
    match value {
        None => reply(b""),
        Some(value) => value.with_bytes(reply),
    }
    Ok(())
}

fn write(cx: &mut Cx, args: &Args, operations: &[Operation]) -> CommandResult {
    let key = cx.keys.key(args.at(1));
    let writes = operations.iter().filter(|operation| !matches!(operation.action, Action::Get));
    let end = writes.map(Operation::end).max().unwrap_or(0);
    let old_len = cx.keys.write_string(&key)?.map(|old| old.len());
    let len = old_len.unwrap_or(0).max(end);
    let grown = old_len != Some(len);
    let bytes = cx.keys.string_mut(&key, len);
    cx.reply.array(operations.len());
    let mut changes = 0;
    for Operation { field, offset, action, overflow } in operations {
        let old = load(bytes, *offset, *field);
        let (new, answers_new) = match *action {
            Action::Get => {
                cx.reply.int(old);
                continue;
            }
            // An unsigned field takes a negative number as its bits, the largest of numbers.
            Action::Set(value) if !field.signed => (i128::from(value as u64), false),
            Action::Set(value) => (i128::from(settable(value, *field, *overflow)), false),
            Action::Increment(by) => (i128::from(old) + i128::from(by), true),
        };
        match field.fit(new, *overflow) {
            None => cx.reply.null(),
            Some(new) => {
                store(bytes, *offset, *field, new);
                cx.reply.int(if answers_new { new } else { old });
                changes += u64::from(grown || new != old);
            }
        }
    }
    if changes > 0 {
        cx.keys.changed(&key, Classes::STRING, "setbit");
        // Each field counts as a change.
        cx.keys.shard.stats.dirty += changes - 1;
        cx.keys.effect_verbatim(args);
    } else if grown {
        // Every write failed, but the string grew. Redis tells nobody, not even its replicas, which then differ.
        cx.keys.touch(&key);
        cx.keys.shard.stats.dirty += 1;
        cx.keys.effect_verbatim(args);
    }
    Ok(())
}

/// A number that a signed field is set to. Redis takes a field's largest in place of its smallest number where the
/// distance to the largest overflows 64 bits; so do we, since the two must agree on data.
fn settable(value: i64, field: Type, overflow: Overflow) -> i64 {
    let mistaken = value < field.min() && field.max().checked_sub(value).is_none();
    if mistaken && overflow == Overflow::Saturate { field.max() } else { value }
}

/// The up to nine bytes that a field touches, as one number, and how far up in it the field lies.
fn window(bytes: &[u8], offset: u64, field: Type) -> (u128, u32) {
    let first = usize::try_from(offset >> 3).unwrap_or(usize::MAX);
    let mut around = [0; 16];
    let touched = bytes.get(first..).unwrap_or(b"");
    let touched = &touched[..touched.len().min(9)];
    around[..touched.len()].copy_from_slice(touched);
    (u128::from_be_bytes(around), 128 - (offset & 7) as u32 - field.bits)
}

/// Reads a field; what lies behind the end of the bytes is zero.
fn load(bytes: &[u8], offset: u64, field: Type) -> i64 {
    let (around, shift) = window(bytes, offset, field);
    field.wrap((around >> shift) as i128)
}

/// Writes a field, which must lie within the bytes.
fn store(bytes: &mut [u8], offset: u64, field: Type, number: i64) {
    let (around, shift) = window(bytes, offset, field);
    let mask = (u128::from(u64::MAX) >> (64 - field.bits)) << shift;
    let placed = (u128::from(number as u64) << shift) & mask;
    let around = (around & !mask | placed).to_be_bytes();
    let touched = &mut bytes[(offset >> 3) as usize..];
    let count = touched.len().min(9);
    touched[..count].copy_from_slice(&around[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::testing::TestShard;
    use proptest::prelude::*;

    const BAD_TYPE: &str = "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported \
                            but i64 is.";
    const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range";

    #[test]
    fn fields_are_read_and_written() {
        TestShard::default().check(&[
            ("BITFIELD k", "[]"),
            ("BITFIELD k GET u8 0 GET i64 1000", "[0 0]"),
            ("GET k", "nil"),
            ("BITFIELD k SET u8 0 255 GET i8 0 GET u4 2 INCRBY i5 100 1", "[0 -1 15 1]"),
            ("STRLEN k", "14"),
            ("BITFIELD k SET i8 #1 -2 GET u8 8 GET u12 4", "[0 254 4094]"),
            ("BITFIELD_RO k GET i64 3", "[-4503599627370496]"),
            (
                "BITFIELD k SET i64 #0 -9223372036854775808 GET u63 0",
                "[-562949953421312 4611686018427387904]",
            ),
        ]);
    }

    #[test]
    fn overflow_wraps_saturates_or_fails() {
        TestShard::default().check(&[
            ("BITFIELD k SET u8 0 255 INCRBY u8 0 1 INCRBY u8 0 -1", "[0 0 255]"),
            ("BITFIELD k OVERFLOW SAT INCRBY u8 0 10 INCRBY u8 0 -300", "[255 0]"),
            ("BITFIELD k OVERFLOW FAIL INCRBY u8 0 -1 SET u8 0 256 GET u8 0", "[nil nil 0]"),
            ("BITFIELD k OVERFLOW SAT SET i8 0 200 GET i8 0 SET i8 0 -200 GET i8 0", "[0 127 127 -128]"),
            ("BITFIELD n OVERFLOW SAT SET i1 0 5 SET i1 0 -5 GET u1 0", "[0 0 1]"),
            (
                "BITFIELD n OVERFLOW SAT SET i5 0 -9223372036854775808 GET i5 0 \
                 INCRBY i5 0 -9223372036854775808",
                "[-16 15 -16]",
            ),
            ("BITFIELD k SET u8 0 -1 GET u8 0", "[128 255]"),
            ("BITFIELD k OVERFLOW SAT SET u4 0 -1 GET u4 0", "[15 15]"),
            (
                "BITFIELD k SET i64 0 9223372036854775807 INCRBY i64 0 1 OVERFLOW SAT INCRBY i64 0 -1",
                "[-72057594037927936 -9223372036854775808 -9223372036854775808]",
            ),
        ]);
    }

    #[test]
    fn wrong_operations_are_refused() {
        TestShard::default().check(&[
            ("BITFIELD k GET u64 0", BAD_TYPE),
            ("BITFIELD k GET i65 0", BAD_TYPE),
            ("BITFIELD k GET u0 0", BAD_TYPE),
            ("BITFIELD k GET x8 0", BAD_TYPE),
            ("BITFIELD k GET u08 0", BAD_TYPE),
            ("BITFIELD k GET u8 -1", BAD_OFFSET),
            ("BITFIELD k GET u8 #x", BAD_OFFSET),
            ("BITFIELD k GET u8 4294967296", BAD_OFFSET),
            ("BITFIELD k GET u8 #9223372036854775807", BAD_OFFSET),
            ("BITFIELD k GET u8", "-ERR syntax error"),
            ("BITFIELD k SET u8 0", "-ERR syntax error"),
            ("BITFIELD k OVERFLOW", "-ERR syntax error"),
            ("BITFIELD k OVERFLOW FOO", "-ERR Invalid OVERFLOW type specified"),
            ("BITFIELD k SET u8 0 x", "-ERR value is not an integer or out of range"),
            ("BITFIELD_RO k SET u8 0 1", "-ERR BITFIELD_RO only supports the GET subcommand"),
        ]);
    }

    #[test]
    fn only_what_changes_has_an_effect() {
        let mut test = TestShard::default();
        test.check_effects("BITFIELD k GET u8 0", &[]);
        test.check_effects("BITFIELD k SET u8 0 0", &["BITFIELD k SET u8 0 0"]);
        test.check_effects("BITFIELD k SET u8 0 0", &[]);
        test.check_effects("BITFIELD k OVERFLOW FAIL INCRBY u8 0 -1", &[]);
        test.check_effects(
            "BITFIELD new OVERFLOW FAIL INCRBY u8 0 -1",
            &["BITFIELD new OVERFLOW FAIL INCRBY u8 0 -1"],
        );
        let dirty = test.shard.stats.dirty;
        test.check_effects(
            "BITFIELD k SET u8 0 1 SET u8 8 1",
            &["BITFIELD k SET u8 0 1 SET u8 8 1"],
        );
        assert_eq!(test.shard.stats.dirty, dirty + 2);
        let mut test = TestShard::with_events("KEAn");
        test.check_events("BITFIELD k SET u8 0 0 SET u8 8 0", &["new k", "setbit k"]);
        test.check_events("BITFIELD k SET u8 0 0", &[]);
    }

    proptest! {
        #[test]
        fn a_field_holds_what_was_stored_and_its_neighbours_stay(
            bytes in prop::collection::vec(any::<u8>(), 9..20),
            signed: bool,
            bits in 1u32..=64,
            offset in 0u64..8,
            number: i64,
        ) {
            let field = Type { signed: signed || bits == 64, bits };
            prop_assert_eq!(i128::from(field.max()) - i128::from(field.min()), (1i128 << bits) - 1);
            let mut changed = bytes.clone();
            store(&mut changed, offset, field, number);
            prop_assert_eq!(load(&changed, offset, field), field.wrap(number.into()));
            let old = load(&bytes, offset, field);
            store(&mut changed, offset, field, old);
            prop_assert_eq!(changed, bytes);
        }
    }
}
