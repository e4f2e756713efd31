//! Going through the entries of a stream, in either direction.
//!
//! Ranges may be any, also the wrong way round: those are empty.

use super::id::StreamId;
use super::node::{Entry, Master, Node, RawEntry};
use super::nodes::Nodes;
use std::ops::RangeInclusive;

/// The live entries in a range, in ascending order.
#[derive(Clone, Debug)]
pub struct Range<'a> {
    nodes: &'a Nodes,
    start: StreamId,
    end: StreamId,
    /// The node that is gone through, and the position of the next entry's flags.
    current: Option<(Node<'a>, Master, usize)>,
}

impl<'a> Range<'a> {
    pub(super) fn new(nodes: &'a Nodes, range: RangeInclusive<StreamId>) -> Self {
        let (start, end) = range.into_inner();
        let first = nodes.at_or_before(start).or_else(|| nodes.first());
        Range { nodes, start, end, current: first.map(enter) }
    }

    /// The next entry up to where its fields begin.
    pub(super) fn next_raw(&mut self) -> Option<(Node<'a>, Master, RawEntry)> {
        loop {
            let (node, master, at) = self.current.as_mut()?;
            let Some(raw) = node.entry_at(master, *at) else {
                self.current = self.nodes.after(node.key()).map(enter);
                continue;
            };
            *at = node.behind(&raw);
            if raw.is_deleted() || raw.id < self.start {
                continue;
            }
            if raw.id > self.end {
                self.current = None;
                return None;
            }
            return Some((*node, *master, raw));
        }
    }
}

fn enter(node: Node<'_>) -> (Node<'_>, Master, usize) {
    let master = node.master();
    (node, master, master.entries_at)
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        self.next_raw().map(|(node, master, raw)| node.open(&master, &raw))
    }
}

/// The live entries in a range, in descending order.
#[derive(Clone, Debug)]
pub struct RangeBack<'a> {
    nodes: &'a Nodes,
    start: StreamId,
    end: StreamId,
    /// The node that is gone through, and the position behind the next entry.
    current: Option<(Node<'a>, Master, usize)>,
}

impl<'a> RangeBack<'a> {
    pub(super) fn new(nodes: &'a Nodes, range: RangeInclusive<StreamId>) -> Self {
        let (start, end) = range.into_inner();
        RangeBack { nodes, start, end, current: nodes.at_or_before(end).map(enter_back) }
    }
}

fn enter_back(node: Node<'_>) -> (Node<'_>, Master, usize) {
    (node, node.master(), node.end())
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            let (node, master, behind) = self.current.as_mut()?;
            let Some(raw) = node.entry_before(master, *behind) else {
                self.current = self.nodes.before(node.key()).map(enter_back);
                continue;
            };
            *behind = raw.at();
            if raw.is_deleted() || raw.id > self.end {
                continue;
            }
            if raw.id < self.start {
                self.current = None;
                return None;
            }
            return Some(node.open(master, &raw));
        }
    }
}
