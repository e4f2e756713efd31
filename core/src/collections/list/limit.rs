//! How much may stand in one node of a list, and in a list that is one listpack.

/// What one listpack of a list may hold.
///
/// Source: `list-max-listpack-size` in `redis.conf` of Redis 7.2; `quicklistNodeExceedsLimit` in its
/// `src/quicklist.c` for what is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many bytes, all told.
    Bytes(usize),
    /// So many elements, in no more than [`Limit::COUNTED_BYTES_MAX`].
    Count(usize),
}

impl Limit {
    /// What a node with a limit by count may take, in bytes.
    const COUNTED_BYTES_MAX: usize = 8192;

    /// The limit that a value of `list-max-listpack-size` means: elements if positive, 4 to 64 KiB for -1 to -5.
    pub fn of_setting(setting: i64) -> Limit {
        match setting {
            0.. => Limit::Count(setting.max(1) as usize),
            _ => Limit::Bytes(2048 << setting.max(-5).unsigned_abs()),
        }
    }

    /// Whether a listpack of so many bytes and elements is within it.
    #[inline]
    pub fn admits(self, bytes: usize, count: usize) -> bool {
        match self {
            Limit::Bytes(max) => bytes <= max,
            Limit::Count(max) => count <= max && bytes <= Limit::COUNTED_BYTES_MAX,
        }
    }

    /// Whether a list of so many bytes and elements has shrunk so far that it goes back to being one listpack. Half of
    /// the limit, lest a list at the limit go to and fro.
    pub fn admits_shrunk(self, bytes: usize, count: usize) -> bool {
        match self {
            Limit::Bytes(max) => bytes <= max / 2,
            Limit::Count(max) => count <= max / 2,
        }
    }

    /// Whether a list of so many bytes and elements, loaded as it was kept elsewhere, is one listpack.
    pub fn admits_loaded(self, bytes: usize, count: usize) -> bool {
        match self {
            Limit::Bytes(max) => bytes <= max,
            Limit::Count(max) => count <= max,
        }
    }

    /// No listpack within it has more bytes.
    #[inline]
    pub fn bytes_max(self) -> usize {
        match self {
            Limit::Bytes(max) => max,
            Limit::Count(_) => Limit::COUNTED_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_bytes_or_elements() {
        for (setting, limit) in [
            (-1, Limit::Bytes(4096)),
            (-2, Limit::Bytes(8192)),
            (-5, Limit::Bytes(65_536)),
            (-6, Limit::Bytes(65_536)),
            (i64::MIN, Limit::Bytes(65_536)),
            (0, Limit::Count(1)),
            (1, Limit::Count(1)),
            (128, Limit::Count(128)),
        ] {
            assert_eq!(Limit::of_setting(setting), limit, "{setting}");
        }
    }

    #[test]
    fn a_limit_admits_what_is_not_beyond_it() {
        let (bytes, count) = (Limit::Bytes(100), Limit::Count(3));
        assert!(bytes.admits(100, 1000) && !bytes.admits(101, 1));
        assert!(count.admits(8192, 3) && !count.admits(8193, 1) && !count.admits(10, 4));
        assert!(bytes.admits_shrunk(50, 1000) && !bytes.admits_shrunk(51, 1));
        assert!(count.admits_shrunk(9000, 1) && !count.admits_shrunk(10, 2));
        assert!(bytes.admits_loaded(100, 1000) && !bytes.admits_loaded(101, 1));
        assert!(count.admits_loaded(9000, 3) && !count.admits_loaded(10, 4));
        assert!(!Limit::Count(1).admits_shrunk(10, 1));
    }
}
