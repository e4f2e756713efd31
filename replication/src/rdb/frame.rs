//! What may come next in an RDB, one step at a time.
//!
//! A step takes something whole from the front of what has arrived, or says how much is missing and changes nothing.
//! Whatever a peer can make long without limit (module data, slot ranges, opcodes before a key) is cut into steps, so
//! that none is looked at over and over while it arrives.

use super::error::Reason;
use super::item::{Entry, Item, Magic};
use ringfort_core::rdb::extent::Extent;
use ringfort_core::rdb::{AccessHint, Builder, DecodeError, Input, length, opcode, string, value};

/// From this version on there is a checksum at the end.
const CHECKSUM_VERSION: u32 = 5;

const REDIS_VERSIONS: std::ops::RangeInclusive<u32> = 1..=12;
const VALKEY_VERSIONS: std::ops::RangeInclusive<u32> = 80..=81;

/// Where in the grammar an RDB is.
#[derive(Debug, Default)]
pub(super) struct Frame {
    place: Place,
    has_checksum: bool,
    /// Of the next entry.
    expire_at: Option<i64>,
    access: AccessHint,
    /// A collection that has not arrived whole, with where its value begins.
    arriving: Option<(Extent, usize)>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Header,
    Items,
    /// In module data, up to its end mark.
    ModuleData,
    /// In a slot migration, of which so many ranges follow.
    SlotRanges(u64),
}

/// What a step took.
pub(super) enum Step<'a> {
    Item(Item<'a>),
    /// Something of no interest, or that belongs to the next entry.
    Passed,
    /// The end. The checksum is of all before it and the opcode itself.
    End {
        checksum: Option<u64>,
    },
}

/// Why a step took nothing. Positions count from the start of its input.
pub(super) enum Stop {
    CutShort { needs: usize },
    Wrong { at: usize, reason: Reason },
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::CutShort { needs } => Stop::CutShort { needs },
            DecodeError::Malformed { at, .. } | DecodeError::NotSupported { at, .. } => {
                Stop::Wrong { at, reason: Reason::Decode(error) }
            }
        }
    }
}

/// A string under a key, both written as they are.
pub(super) struct PlainEntry<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    /// Bytes of the entry.
    pub(super) bytes: usize,
}

impl Frame {
    /// What nearly every step of a full sync comes upon, apart from the rest, because a [`Step`] that is handed on and
    /// on costs more than all else (64 ns an entry of 47 bytes, and 34 so). `None`: something else, or not all of it.
    #[inline(always)]
    pub(super) fn plain_entry<'a>(&self, unread: &'a [u8]) -> Option<PlainEntry<'a>> {
        if unread.first() != Some(&value::STRING) || !matches!(self.place, Place::Items) {
            return None;
        }
        let (key, rest) = plain_string(&unread[1..])?;
        let (value, rest) = plain_string(rest)?;
        Some(PlainEntry { key, value, bytes: unread.len() - rest.len() })
    }

    /// Expiry and access of the entry that was taken.
    #[inline]
    pub(super) fn take_attributes(&mut self) -> (Option<i64>, AccessHint) {
        (self.expire_at.take(), std::mem::take(&mut self.access))
    }

    #[inline]
    pub(super) fn step<'a>(
        &mut self,
        input: &mut Input<'a>,
        builder: &Builder,
    ) -> Result<Step<'a>, Stop> {
        match self.place {
            Place::Items => self.item(input, builder),
            Place::Header => self.header(input),
            Place::ModuleData => {
                if module_part(input)? == ModulePart::End {
                    self.place = Place::Items;
                }
                Ok(Step::Passed)
            }
            Place::SlotRanges(left) => {
                pass_lengths::<2>(input)?;
                self.place = after_range(left);
                Ok(Step::Passed)
            }
        }
    }

    #[cold]
    fn header<'a>(&mut self, input: &mut Input<'a>) -> Result<Step<'a>, Stop> {
        let header: [u8; 9] = input.array()?;
        let (magic, digits, known) = match &header {
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] => {
                (Magic::Redis, &digits[..], REDIS_VERSIONS)
            }
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => {
                (Magic::Valkey, &digits[..], VALKEY_VERSIONS)
            }
            _ => return Err(Stop::Wrong { at: 0, reason: Reason::Magic(header) }),
        };
        let text = String::from_utf8_lossy(digits).into_owned();
        let version = text.parse().ok().filter(|version| known.contains(version));
        let Some(version) = version.filter(|_| digits.iter().all(u8::is_ascii_digit)) else {
            let at = header.len() - digits.len();
            return Err(Stop::Wrong { at, reason: Reason::Version(text) });
        };
        self.has_checksum = version >= CHECKSUM_VERSION;
        self.place = Place::Items;
        Ok(Step::Item(Item::Header { magic, version }))
    }

    #[inline]
    fn item<'a>(&mut self, input: &mut Input<'a>, builder: &Builder) -> Result<Step<'a>, Stop> {
        match input.byte()? {
            value::STRING => self.entry(input),
            opcode::EXPIRE_AT_MS => {
                self.expire_at = Some(i64::from_le_bytes(input.array()?));
                Ok(Step::Passed)
            }
            opcode::IDLE => {
                self.access = AccessHint::IdleSeconds(length::parse_plain(input)?);
                Ok(Step::Passed)
            }
            opcode::FREQUENCY => {
                self.access = AccessHint::Frequency(input.byte()?);
                Ok(Step::Passed)
            }
            other => self.rare_item(other, input, builder),
        }
    }

    #[inline]
    fn entry<'a>(&mut self, input: &mut Input<'a>) -> Result<Step<'a>, Stop> {
        let key = string::parse_bytes(input)?;
        let value = string::parse(input)?;
        let (expire_at, access) = self.take_attributes();
        Ok(Step::Item(Item::Entry(Entry { key, value, expire_at, access })))
    }

    /// A key with a collection. One that is cut short is looked at again from where it was cut, and built only once
    /// all of it is there.
    fn collection<'a>(
        &mut self,
        type_byte: u8,
        input: &mut Input<'a>,
        builder: &Builder,
    ) -> Result<Step<'a>, Stop> {
        if let Some((extent, start)) = &mut self.arriving {
            if let Err(DecodeError::CutShort { needs }) = extent.find(&input.all()[*start..]) {
                return Err(Stop::CutShort { needs: *start + needs });
            }
            // Whole, or wrong, which is for the value's parser to say.
            self.arriving = None;
        }
        let key = string::parse_bytes(input)?;
        let start = input.position();
        let value = match value::parse(type_byte, input, builder) {
            Ok(value) => value,
            Err(DecodeError::CutShort { needs }) => {
                self.arriving = Extent::of(type_byte).map(|extent| (extent, start));
                return Err(Stop::CutShort { needs });
            }
            Err(other) => return Err(other.into()),
        };
        let (expire_at, access) = self.take_attributes();
        Ok(Step::Item(Item::Entry(Entry { key, value, expire_at, access })))
    }

    fn rare_item<'a>(
        &mut self,
        first: u8,
        input: &mut Input<'a>,
        builder: &Builder,
    ) -> Result<Step<'a>, Stop> {
        match first {
            opcode::AUX => {
                let name = string::parse_bytes(input)?;
                let value = string::parse_bytes(input)?;
                return Ok(Step::Item(Item::Aux { name, value }));
            }
            opcode::SELECT_DATABASE => {
                let database = length::parse_plain(input)?;
                let database = u32::try_from(database).map_err(|_| {
                    Input::malformed(1, "a database has a number of more than 32 bits")
                })?;
                return Ok(Step::Item(Item::Select { database }));
            }
            opcode::RESIZE_DATABASE => {
                let keys = length::parse_plain(input)?;
                let expiring = length::parse_plain(input)?;
                return Ok(Step::Item(Item::Resize { keys, expiring }));
            }
            opcode::END => {
                let checksum =
                    if self.has_checksum { Some(u64::from_le_bytes(input.array()?)) } else { None };
                return Ok(Step::End { checksum });
            }
            opcode::EXPIRE_AT_SECONDS => {
                let seconds = i32::from_le_bytes(input.array()?);
                self.expire_at = Some(i64::from(seconds) * 1000);
            }
            opcode::FUNCTION => string::skip(input)?,
            opcode::FUNCTION_OF_CANDIDATES => {
                let reason = Reason::Unsupported(
                    "functions in the format of a release candidate of Redis 7.0 are not supported",
                );
                return Err(Stop::Wrong { at: 0, reason });
            }
            opcode::MODULE_AUX => {
                module_front(input)?;
                self.place = Place::ModuleData;
            }
            opcode::SLOT_INFO => pass_lengths::<3>(input)?,
            opcode::SLOT_IMPORT => {
                string::skip(input)?;
                self.place = match length::parse_plain(input)? {
                    0 => Place::Items,
                    ranges => Place::SlotRanges(ranges),
                };
            }
            type_byte if Extent::of(type_byte).is_some() => {
                return self.collection(type_byte, input, builder);
            }
            type_byte if value::type_name(type_byte).is_some() => {
                return Err(DecodeError::NotSupported { at: 0, type_byte }.into());
            }
            byte => return Err(Stop::Wrong { at: 0, reason: Reason::Opcode(byte) }),
        }
        Ok(Step::Passed)
    }
}

/// A string of less than 16 KiB that is written as it is, and what follows it.
#[inline(always)]
fn plain_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match *bytes {
        [length @ ..64, ref rest @ ..] => (usize::from(length), rest),
        [upper @ 64..128, lower, ref rest @ ..] => {
            (usize::from(upper & 63) << 8 | usize::from(lower), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn after_range(left: u64) -> Place {
    if left <= 1 { Place::Items } else { Place::SlotRanges(left - 1) }
}

fn pass_lengths<const COUNT: usize>(input: &mut Input) -> Result<(), DecodeError> {
    for _ in 0..COUNT {
        length::parse_plain(input)?;
    }
    Ok(())
}

/// The marks before the parts of module data.
mod mark {
    pub const END: u64 = 0;
    pub const SIGNED: u64 = 1;
    pub const UNSIGNED: u64 = 2;
    pub const FLOAT: u64 = 3;
    pub const DOUBLE: u64 = 4;
    pub const STRING: u64 = 5;
}

/// Which module it is, and when its data was written, which is marked as a number.
fn module_front(input: &mut Input) -> Result<(), DecodeError> {
    length::parse_plain(input)?;
    let at = input.position();
    if length::parse_plain(input)? != mark::UNSIGNED {
        return Err(Input::malformed(at, "module data does not say when it was written"));
    }
    length::parse_plain(input)?;
    Ok(())
}

#[derive(PartialEq, Eq)]
enum ModulePart {
    Data,
    End,
}

fn module_part(input: &mut Input) -> Result<ModulePart, DecodeError> {
    let at = input.position();
    match length::parse_plain(input)? {
        mark::END => return Ok(ModulePart::End),
        mark::SIGNED | mark::UNSIGNED => drop(length::parse_plain(input)?),
        mark::FLOAT => drop(input.take(4)?),
        mark::DOUBLE => drop(input.take(8)?),
        mark::STRING => string::skip(input)?,
        _ => return Err(Input::malformed(at, "module data has an unknown part")),
    }
    Ok(ModulePart::Data)
}
