//! How many entries of a stream's whole history a group has read, and how many it has still to read.
//!
//! The count is kept while it is certain, found again where the log's own counters tell it, and unknown otherwise: an
//! entry that was deleted ahead may or may not have been counted.
//!
//! Source of the rules: redis.io on XINFO GROUPS; checked against redis-server 7.0.15.

use super::group::Group;
use super::id::StreamId;
use super::log::EntryLog;

impl EntryLog {
    /// Whether an entry after `id`, or the one with that id, may have been deleted from among those that are left.
    fn may_have_gap_from(&self, id: StreamId) -> bool {
        self.len > 0
            && self.max_deleted_id != StreamId::MIN
            && self.first_id <= self.max_deleted_id
            && id <= self.max_deleted_id
    }

    /// How many entries were ever added up to `id`, if the counters tell.
    pub fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        if self.entries_added == 0 {
            return Some(0);
        }
        if id == self.last_id || self.len == 0 && id < self.last_id {
            return Some(self.entries_added);
        }
        let has_no_gap =
            self.max_deleted_id == StreamId::MIN || self.max_deleted_id < self.first_id;
        if id > self.last_id || !has_no_gap || id > self.first_id {
            return None;
        }
        let before_first = self.entries_added.checked_sub(self.len)?;
        Some(before_first + u64::from(id == self.first_id))
    }
}

impl Group {
    /// Notes that the entry `id`, which is after the last delivered one, is delivered.
    pub fn advance(&mut self, id: StreamId, log: &EntryLog) {
        self.entries_read = match self.entries_read {
            Some(count) if !log.may_have_gap_from(id) => Some(count.saturating_add(1)),
            _ => log.entries_up_to(id),
        };
        self.last_delivered_id = id;
    }

    /// How many entries the group has still to read; `None`: nobody can tell. Negative where the counter was set too
    /// high.
    pub fn lag(&self, log: &EntryLog) -> Option<i64> {
        if log.entries_added == 0 {
            return Some(0);
        }
        let read = match self.entries_read {
            Some(count) if !log.may_have_gap_from(self.last_delivered_id) => count,
            _ => log.entries_up_to(self.last_delivered_id)?,
        };
        Some(log.entries_added.wrapping_sub(read) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{NewId, NodeLimits};
    use super::*;

    const LIMITS: NodeLimits = NodeLimits { bytes: 4096, entries: 100 };

    fn id(ms: u64) -> StreamId {
        StreamId::new(ms, 0)
    }

    fn log(count: u64) -> EntryLog {
        let mut log = EntryLog::default();
        for ms in 1..=count {
            log.append(NewId::Exact(id(ms)), [&b"f"[..], b"v"].into_iter(), &LIMITS).unwrap();
        }
        log
    }

    /// Counter and lag after reading entries one by one, as redis-server 7.0 shows them after XREADGROUP.
    fn read(group: &mut Group, log: &EntryLog, ms: u64) -> (Option<u64>, Option<i64>) {
        group.advance(id(ms), log);
        (group.entries_read, group.lag(log))
    }

    #[test]
    fn a_group_that_reads_all_from_the_start_is_counted_exactly() {
        let log = log(3);
        let mut group = Group::new(StreamId::MIN, Some(0));
        assert_eq!(group.lag(&log), Some(3));
        assert_eq!(read(&mut group, &log, 1), (Some(1), Some(2)));
        assert_eq!(read(&mut group, &log, 2), (Some(2), Some(1)));
        assert_eq!(read(&mut group, &log, 3), (Some(3), Some(0)));
    }

    #[test]
    fn a_counter_is_lost_ahead_of_a_deleted_entry_and_found_at_the_end() {
        let mut log = log(5);
        assert!(log.delete(id(3)));
        let mut group = Group::new(StreamId::MIN, Some(0));
        assert_eq!(group.lag(&log), None);
        assert_eq!(read(&mut group, &log, 1), (None, None));
        assert_eq!(read(&mut group, &log, 4), (None, None));
        assert_eq!(read(&mut group, &log, 5), (Some(5), Some(0)));
    }

    #[test]
    fn a_group_in_the_middle_is_not_counted_but_one_at_an_edge_is() {
        let mut log = log(5);
        assert_eq!(Group::new(id(3), None).lag(&log), None);
        assert_eq!(Group::new(id(1), None).lag(&log), Some(4));
        assert_eq!(Group::new(id(5), None).lag(&log), Some(0));
        assert_eq!(Group::new(id(6), None).lag(&log), None);
        assert!(log.delete(id(1)));
        assert_eq!(Group::new(StreamId::MIN, None).lag(&log), Some(4));
        (2..=5).for_each(|ms| assert!(log.delete(id(ms))));
        assert_eq!(Group::new(id(2), None).lag(&log), Some(0));
        assert_eq!(Group::new(id(2), None).lag(&EntryLog::default()), Some(0));
    }
}
