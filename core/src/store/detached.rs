//! Tables that were taken out of a database, to be freed bit by bit.

use super::database::Block;
use super::field_expiries::FieldExpiries;

/// The former contents of a database. Dropping it frees all of it at once; [`Detached::drop_some`] does so in steps.
pub struct Detached {
    #[expect(clippy::vec_box, reason = "blocks come as boxes, and are not worth copying")]
    pub(super) blocks: Vec<Box<Block>>,
    pub(super) len: usize,
    pub(super) memory_bytes: usize,
    pub(super) field_expiries: FieldExpiries,
}

impl Detached {
    /// One block.
    pub(super) fn of_block(block: Box<Block>) -> Detached {
        let len = block.tables.iter().map(|table| table.len()).sum();
        Detached {
            blocks: vec![block],
            len,
            memory_bytes: 0,
            field_expiries: FieldExpiries::default(),
        }
    }

    /// Entries not freed yet.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.field_expiries.is_empty()
    }

    /// Bytes that these tables and entries occupied when they were detached.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Frees about `entries` entries, at most a segment's more. Returns whether anything is left.
    pub fn drop_some(&mut self, entries: usize) -> bool {
        let mut left = entries;
        while let Some(block) = self.blocks.last_mut() {
            for table in &mut block.tables {
                while table.len() > 0 {
                    if left == 0 {
                        return true;
                    }
                    let dropped = table.drop_some(left);
                    self.len -= dropped;
                    left = left.saturating_sub(dropped);
                }
            }
            self.blocks.pop();
        }
        self.field_expiries.drop_some(left.max(1))
    }
}
