//! Giving the memory of dead records back: what is alive in a page with many dead is moved to the newest page, a
//! little with each call, until the page can go.
//!
//! How much a call does follows what has been freed. To get one dead byte back takes at most three of live ones to be
//! moved, because a page is left alone until a quarter of it is dead; so walking over four bytes for each that was freed
//! keeps up with any load. Where records differ much in length that can be many, so what a call may do is bounded, and
//! the rest is owed.

use super::page::Header;
use super::{Arena, RecordId};

/// Dead bytes that nobody minds, beyond a quarter of all.
const DEAD_FREE: usize = 512;

/// Records that a call looks at, at least and at most.
const RECORDS_MIN: usize = 8;
const RECORDS_MAX: usize = 512;

/// Bytes to walk over for each that is freed.
const PACE: usize = 4;

/// Pages among which the next one is chosen.
const CHOICE: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Tidying {
    /// The page that is being emptied, and how far.
    page: Option<(usize, usize)>,
    /// Bytes to walk over, for what was freed.
    owed: usize,
    /// From where on pages are looked at next.
    from: usize,
}

impl Arena {
    /// Does some of the work of giving back memory, if there is any to do. `moved` is told the payload, the old and the
    /// new number of each record that has got a new one; the old number then stands for nothing, or soon for another.
    ///
    /// To be called after records were freed or pushed. A call moves a few records for each that was freed since the
    /// last, and never more than some hundred.
    #[inline]
    pub fn tidy(&mut self, moved: impl FnMut(&[u8], RecordId, RecordId)) {
        if self.tidying.page.is_some() || self.is_wasteful() {
            self.tidy_some(moved);
        } else {
            self.tidying.owed = 0;
        }
    }

    #[inline]
    fn is_wasteful(&self) -> bool {
        self.used - self.live > self.used / 4 + DEAD_FREE
    }

    #[inline]
    pub(super) fn owe(&mut self, freed_bytes: usize) {
        self.tidying.owed += freed_bytes * PACE;
    }

    /// A page was given back.
    pub(super) fn page_is_gone(&mut self, number: usize) {
        if self.tidying.page.is_some_and(|(page, _)| page == number) {
            self.tidying.page = None;
        }
    }

    fn tidy_some(&mut self, mut moved: impl FnMut(&[u8], RecordId, RecordId)) {
        let (mut records, mut bytes) = (0, 0);
        while records < RECORDS_MAX && (records < RECORDS_MIN || bytes < self.tidying.owed) {
            if self.tidying.page.is_none() && !(self.is_wasteful() && self.choose_page()) {
                break;
            }
            let (walked_records, walked_bytes) =
                self.walk(RECORDS_MAX - records, RECORDS_MIN.saturating_sub(records), &mut moved);
            records += walked_records;
            bytes += walked_bytes;
            self.tidying.owed = self.tidying.owed.saturating_sub(walked_bytes);
        }
    }

    /// Chooses the emptiest of some pages, if a quarter of it is dead.
    fn choose_page(&mut self) -> bool {
        let count = self.pages.len();
        let looked_at = (0..CHOICE.min(count)).map(|index| (self.tidying.from + index) % count);
        let emptiest = looked_at
            .filter(|&number| {
                let page = &self.pages[number];
                page.dead() > 0 && page.dead() * 4 >= page.len()
            })
            .min_by_key(|&number| self.pages[number].live());
        self.tidying.from = (self.tidying.from + CHOICE.min(count)) % count;
        let Some(number) = emptiest else { return false };
        if number == self.head {
            // Nothing more goes to the page that is to be emptied.
            self.open_page(self.pages[number].live() + self.live / 8);
        }
        self.tidying.page = Some((number, 0));
        true
    }

    /// Goes on with the page that is being emptied. Returns how many records and bytes it went over.
    fn walk(
        &mut self,
        records_max: usize,
        records_min: usize,
        moved: &mut impl FnMut(&[u8], RecordId, RecordId),
    ) -> (usize, usize) {
        let Some((number, begin)) = self.tidying.page else { return (0, 0) };
        let mut page = std::mem::take(&mut self.pages[number]);
        let (mut records, mut at, mut moved_bytes) = (0, begin, 0);
        while at < page.len()
            && records < records_max
            && (records < records_min || at - begin < self.tidying.owed)
        {
            let header = Header::read(page.record(at));
            let size = header.size();
            if !header.is_dead() {
                let place = self.page_for(size).push_record(&page.record(at)[..size]);
                let new = RecordId::new(self.head, place);
                self.live += size;
                self.used += size;
                moved(self.get(new), RecordId::new(number, at), new);
                Header::mark_dead(page.record_mut(at));
                moved_bytes += size;
            }
            at += size;
            records += 1;
        }
        self.pages[number] = page;
        self.tidying.page = Some((number, at));
        // The last record takes the page with it.
        self.count_dead(number, moved_bytes);
        (records, at - begin)
    }
}
