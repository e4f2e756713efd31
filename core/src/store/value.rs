//! What values are, and what Redis calls them.

/// Strings up to this length that were set as a whole report the encoding `embstr`, as in Redis.
pub(super) const EMBSTR_BYTES_MAX: usize = 44;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Bytes(&'a [u8]),
    /// A string that is the canonical decimal form of this number.
    Integer(i64),
}

impl Value<'_> {
    /// Length in bytes of the string it stands for.
    #[inline]
    pub fn len(&self) -> usize {
        match *self {
            Value::Bytes(bytes) => bytes.len(),
            Value::Integer(number) => itoa::Buffer::new().format(number).len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with the string it stands for.
    #[inline]
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match *self {
            Value::Bytes(bytes) => f(bytes),
            Value::Integer(number) => f(itoa::Buffer::new().format(number).as_bytes()),
        }
    }

    /// The string it stands for.
    pub fn to_vec(&self) -> Vec<u8> {
        self.with_bytes(<[u8]>::to_vec)
    }
}

/// What OBJECT ENCODING calls the way a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Int,
    Embstr,
    Raw,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
        }
    }
}
