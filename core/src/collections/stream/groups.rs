//! The consumer groups of a stream, by name.

use super::group::Group;
use super::memory::tree_bytes;
use std::collections::BTreeMap;
use std::ops::{Bound, Deref, DerefMut};

#[derive(Clone, Debug, Default)]
pub struct Groups {
    groups: BTreeMap<Box<[u8]>, Box<Group>>,
    /// What all groups and their names have allocated.
    bytes: usize,
}

impl Groups {
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// All groups in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.iter_from(Bound::Unbounded)
    }

    /// The groups whose names are not before `start`, in the order of these.
    pub fn iter_from(&self, start: Bound<&[u8]>) -> impl Iterator<Item = (&[u8], &Group)> {
        let groups = self.groups.range::<[u8], _>((start, Bound::Unbounded));
        groups.map(|(name, group)| (&name[..], &**group))
    }

    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name).map(|group| &**group)
    }

    pub fn get_mut(&mut self, name: &[u8]) -> Option<GroupMut<'_>> {
        let group = self.groups.get_mut(name)?;
        let before = group.memory_bytes();
        Some(GroupMut { group, total: &mut self.bytes, before })
    }

    /// Adds a group. `false`: there is one of that name, which stays.
    pub fn insert(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.bytes += whole_bytes(name, &group);
        self.groups.insert(name.into(), Box::new(group));
        true
    }

    /// Removes a group and hands it over, so that one with much pending can be dropped bit by bit.
    pub fn remove(&mut self, name: &[u8]) -> Option<Box<Group>> {
        let group = self.groups.remove(name)?;
        self.bytes -= whole_bytes(name, &group);
        Some(group)
    }

    /// About what is allocated, in bytes, as if nothing were shared with a clone. O(1).
    pub fn memory_bytes(&self) -> usize {
        self.bytes + tree_bytes::<Box<[u8]>, Box<Group>>(self.groups.len())
    }

    /// Frees about `budget` parts. The groups must be used for nothing else any more. `true`: something is left.
    pub fn drop_some(&mut self, budget: usize) -> bool {
        let mut left = budget;
        while let Some(mut last) = self.groups.last_entry() {
            if last.get_mut().drop_parts(&mut left) {
                return true;
            }
            last.remove();
        }
        false
    }
}

fn whole_bytes(name: &[u8], group: &Group) -> usize {
    name.len() + size_of::<Group>() + group.memory_bytes()
}

/// A group that can be changed; when it is let go of, what it has allocated is counted anew.
#[derive(Debug)]
pub struct GroupMut<'a> {
    group: &'a mut Group,
    total: &'a mut usize,
    before: usize,
}

impl Deref for GroupMut<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl DerefMut for GroupMut<'_> {
    fn deref_mut(&mut self) -> &mut Group {
        self.group
    }
}

impl Drop for GroupMut<'_> {
    fn drop(&mut self) {
        *self.total = *self.total + self.group.memory_bytes() - self.before;
    }
}
