//! Hash slots: which of the 16,384 slots a key belongs to, and which shard owns a slot.
//!
//! Both are pure functions. The slot of a key is the cluster specification's ("Key distribution model"):
//! CRC16-XMODEM of the key, or of its hash tag if it has one. The shard of a slot is ours: slots are dealt out
//! in blocks of [`BLOCK_SLOTS`], so that any contiguous range of slots spreads over all shards.

/// Number of hash slots of a cluster.
pub const SLOTS: usize = 16_384;

/// Neighbouring slots that always belong to the same shard, and that share one block of tables.
pub const BLOCK_SLOTS: usize = 64;

/// Number of blocks.
pub const BLOCKS: usize = SLOTS / BLOCK_SLOTS;

/// One of the 16,384 hash slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot with this number, or `None` if it is not below [`SLOTS`].
    #[inline]
    pub const fn new(number: u16) -> Option<Slot> {
        if (number as usize) < SLOTS { Some(Slot(number)) } else { None }
    }

    #[inline]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The block it lies in, below [`BLOCKS`].
    #[inline]
    pub const fn block(self) -> usize {
        self.0 as usize / BLOCK_SLOTS
    }

    /// Its place in that block, below [`BLOCK_SLOTS`].
    #[inline]
    pub const fn place_in_block(self) -> usize {
        self.0 as usize % BLOCK_SLOTS
    }

    /// The shard, of `shards`, that owns it.
    ///
    /// # Panics
    /// If `shards` is 0.
    #[inline]
    pub const fn shard(self, shards: usize) -> usize {
        self.block() % shards
    }
}

/// The slot of a key, by its hash tag if it has one.
#[inline]
pub fn slot_of(key: &[u8]) -> Slot {
    Slot(crc16(hash_tag(key)) & (SLOTS as u16 - 1))
}

/// The shard, of `shards`, that owns a slot.
#[inline]
pub const fn shard_of(slot: Slot, shards: usize) -> usize {
    slot.shard(shards)
}

/// The part of a key that decides its slot: what stands between the first `{` and the next `}`, if that is not
/// empty, else the whole key.
#[inline]
pub fn hash_tag(key: &[u8]) -> &[u8] {
    if has_no_brace(key) { key } else { tag_between_braces(key) }
}

fn tag_between_braces(key: &[u8]) -> &[u8] {
    let Some(open) = memchr::memchr(b'{', key) else {
        return key;
    };
    let rest = &key[open + 1..];
    match memchr::memchr(b'}', rest) {
        Some(length) if length > 0 => &rest[..length],
        _ => key,
    }
}

/// Whether a short key surely has no `{`: most keys are short and have none, and for them the call and the set-up of
/// a vectorised search cost more than the search.
#[inline]
fn has_no_brace(key: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const BRACES: u64 = u64::from_ne_bytes([b'{'; 8]);
    // A byte equal to the brace becomes 0, and 0 is what borrows into its own high bit. (Its neighbour may borrow
    // too, hence "surely".)
    let borrows = |eight: &[u8; 8]| {
        let difference = u64::from_ne_bytes(*eight) ^ BRACES;
        difference.wrapping_sub(ONES) & !difference & (ONES << 7)
    };
    match (key.first_chunk(), key.last_chunk()) {
        (Some(first), Some(last)) if key.len() <= 16 => borrows(first) | borrows(last) == 0,
        _ => key.len() < 8 && !key.contains(&b'{'),
    }
}

/// Bytes looked up at once. The lookups of one stride do not wait for each other, which is what makes this faster
/// than a byte at a time; sixteen let most keys go in one.
const STRIDE: usize = 16;

/// `TABLES[n][byte]` is the checksum of `byte` followed by `n` zero bytes.
static TABLES: [[u16; 256]; STRIDE] = tables();

const fn tables() -> [[u16; 256]; STRIDE] {
    const POLYNOMIAL: u16 = 0x1021;
    let mut tables = [[0; 256]; STRIDE];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ POLYNOMIAL } else { crc << 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < STRIDE {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[zeros - 1][byte];
            tables[zeros][byte] = (crc << 8) ^ tables[0][(crc >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

/// CRC16-XMODEM (polynomial 0x1021, initial value 0, most significant bit first).
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.chunks(STRIDE).fold(0, advance)
}

/// The checksum after some more bytes, at most [`STRIDE`].
#[inline]
fn advance(crc: u16, bytes: &[u8]) -> u16 {
    match *bytes {
        [] => crc,
        [byte] => (crc << 8) ^ TABLES[0][usize::from(byte ^ (crc >> 8) as u8)],
        [first, second, ref rest @ ..] => {
            let [high, low] = crc.to_be_bytes();
            let begun = TABLES[rest.len() + 1][usize::from(first ^ high)]
                ^ TABLES[rest.len()][usize::from(second ^ low)];
            let tables = TABLES[..rest.len()].iter().rev();
            rest.iter()
                .zip(tables)
                .fold(begun, |crc, (&byte, table)| crc ^ table[usize::from(byte)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(key: &str, slot: u16) {
        assert_eq!(slot_of(key.as_bytes()).number(), slot, "{key}");
    }

    #[test]
    fn slots_are_those_of_a_running_cluster() {
        check("", 0);
        check("foo", 12182);
        check("bar", 5061);
        check("123456789", 12739);
        check("hello world", 15332);
    }

    #[test]
    fn hash_tag_decides_alone() {
        check("{foo}.a", 12182);
        check("x{foo}y{bar}", 12182);
        assert_eq!(hash_tag(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hash_tag(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hash_tag(b"foo{bar"), b"foo{bar");
        assert_eq!(hash_tag(b"}foo{bar}"), b"bar");
    }

    #[test]
    fn any_range_of_slots_spreads_over_all_shards() {
        for shards in 1..=17 {
            let mut owned = vec![0; shards];
            for number in 0..SLOTS as u16 {
                owned[shard_of(Slot::new(number).unwrap(), shards)] += 1;
            }
            let (least, most) = (owned.iter().min().unwrap(), owned.iter().max().unwrap());
            assert!(most - least <= BLOCK_SLOTS, "{shards} shards own {owned:?}");
        }
        assert_eq!(Slot::new(SLOTS as u16), None);
    }

    proptest! {
        #[test]
        fn short_keys_have_the_tag_that_a_plain_search_finds(key in "[{}a|z\u{7a}\u{7c}]{0,40}") {
            prop_assert_eq!(hash_tag(key.as_bytes()), tag_between_braces(key.as_bytes()));
        }

        #[test]
        fn strides_give_the_same_sum_as_single_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(crc16(&bytes), crc16::State::<crc16::XMODEM>::calculate(&bytes));
        }
    }
}
