//! Changing a state: a new root and the nodes that are not in the old state.

use std::collections::HashSet;

use super::node::{encode_inner, encode_leaf};
use super::region::FAN_OUT;
use super::{
    Change, Corruption, Entry, Inner, Node, NodeHash, NodeSource, Region, StateRoot, StateTree, TreeError,
};
use crate::state::limits::LEAF_ENTRIES_MAX;

/// The outcome of an update: what the caller's batch has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The new state.
    pub root: StateRoot,
    /// Exactly its nodes that the old state does not have: address and encoding, children before parents. One
    /// of them may be in the store from some other state; putting it again changes nothing.
    pub nodes: Vec<(NodeHash, Vec<u8>)>,
}

impl Update {
    /// Bytes of the new nodes with their keys.
    pub fn bytes(&self) -> usize {
        self.nodes.iter().map(|(hash, bytes)| hash.as_bytes().len() + bytes.len()).sum()
    }
}

impl<S: NodeSource> StateTree<S> {
    /// The state `root` with `key` set to `value`.
    pub fn set(&self, root: StateRoot, key: u64, value: u64) -> Result<Update, TreeError<S::Error>> {
        self.update(root, &[(key, Some(value))])
    }

    /// The state `root` with the changes applied: a new value, or `None` to remove the key. Of several
    /// changes of one key the last counts; removing what is not there changes nothing.
    ///
    /// Paths that changes share are copied once. The new nodes are held in memory, so a caller with very many
    /// changes (a join of a large room) applies them in several updates.
    pub fn update(&self, root: StateRoot, changes: &[Change]) -> Result<Update, TreeError<S::Error>> {
        let changes = in_key_order(changes);
        let mut writer = Writer { tree: self, nodes: Vec::new(), leaves_read: HashSet::new() };
        let subtree = match root.node() {
            Some(hash) => writer.apply(hash, Region::WHOLE, &changes)?.subtree,
            None => writer.build(&inserts(&changes)),
        };
        let root = writer.settle(subtree).into();
        Ok(Update { root, nodes: writer.nodes })
    }
}

/// The last change of each key, in key order.
fn in_key_order(changes: &[Change]) -> Vec<Change> {
    let mut sorted = changes.to_vec();
    // Stable, so that the changes of one key keep their order; of these the reverse pass keeps the last.
    sorted.sort_by_key(|change| change.0);
    sorted.reverse();
    sorted.dedup_by_key(|change| change.0);
    sorted.reverse();
    sorted
}

fn inserts(changes: &[Change]) -> Vec<Entry> {
    changes.iter().filter_map(|(key, value)| value.map(|value| (*key, value))).collect()
}

/// A part of the new state.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtree {
    /// No entries.
    Empty,
    /// At most [`LEAF_ENTRIES_MAX`] entries, in key order. They become a leaf only when it is certain that
    /// they are not merged with their neighbours.
    Small(Vec<Entry>),
    /// A node that is in the store or among the new ones. An inner node, or a leaf nothing was changed in.
    Node(NodeHash),
}

/// A part of the new state, and by how much its number of entries differs from before.
struct Applied {
    subtree: Subtree,
    added: i64,
}

/// The state of one update. Recursions are bounded by the levels of a tree, as each step goes at least one
/// digit deeper.
struct Writer<'t, S> {
    tree: &'t StateTree<S>,
    nodes: Vec<(NodeHash, Vec<u8>)>,
    /// Leaves of the old state whose entries went into a [`Subtree::Small`] or were parted. One of them comes
    /// out as it was if all that is new is outside its region; then it is not written again.
    leaves_read: HashSet<NodeHash>,
}

impl<S: NodeSource> Writer<'_, S> {
    /// Applies sorted changes, all within `place`, to the node that is there.
    fn apply(
        &mut self,
        hash: NodeHash,
        place: Region,
        changes: &[Change],
    ) -> Result<Applied, TreeError<S::Error>> {
        if changes.is_empty() {
            return Ok(Applied { subtree: Subtree::Node(hash), added: 0 });
        }
        match &*self.tree.load_in(hash, place)? {
            Node::Inner(inner) => self.apply_inner(hash, inner, changes),
            Node::Leaf(old) => {
                self.leaves_read.insert(hash);
                let new = merge(old, changes);
                let added = difference(old.len(), new.len());
                let unchanged = new.as_slice() == &**old;
                let subtree = if unchanged { Subtree::Node(hash) } else { self.build(&new) };
                Ok(Applied { subtree, added })
            }
        }
    }

    fn apply_inner(
        &mut self,
        hash: NodeHash,
        inner: &Inner,
        changes: &[Change],
    ) -> Result<Applied, TreeError<S::Error>> {
        let region = inner.region;
        let (before, inside, after) = region.split(changes, |change| change.0);
        let mut added = 0;
        let mut children = [const { Subtree::Empty }; FAN_OUT];
        for ((digit, new), old) in children.iter_mut().enumerate().zip(inner.children) {
            let part = region.child(digit);
            let (_, changes, _) = part.split(inside, |change| change.0);
            let applied = if let Some(child) = old {
                self.apply(child, part, changes)?
            } else {
                let entries = inserts(changes);
                Applied { subtree: self.build(&entries), added: difference(0, entries.len()) }
            };
            added += applied.added;
            *new = applied.subtree;
        }
        let entries = inner
            .entries
            .checked_add_signed(added)
            .ok_or(TreeError::Corrupt { hash, why: Corruption::WrongCount })?;
        let unchanged = children
            .iter()
            .zip(inner.children)
            .all(|(new, old)| *new == old.map_or(Subtree::Empty, Subtree::Node));
        let core =
            if unchanged { Subtree::Node(hash) } else { self.assemble(hash, region, entries, children)? };

        let mut outside = inserts(before);
        outside.extend(inserts(after));
        let subtree = self.graft(core, region.first(), entries, &outside);
        Ok(Applied { subtree, added: added + difference(0, outside.len()) })
    }

    /// The canonical subtree of `entries` entries in the parts of `region`; `old` is the node that they
    /// replace, to be named in errors.
    fn assemble(
        &mut self,
        old: NodeHash,
        region: Region,
        entries: u64,
        children: [Subtree; FAN_OUT],
    ) -> Result<Subtree, TreeError<S::Error>> {
        if entries <= LEAF_ENTRIES_MAX as u64 {
            return self.collapse(old, region, entries, children);
        }
        let mut present = children.iter().filter(|child| **child != Subtree::Empty);
        match (present.next(), present.next()) {
            (Some(_), Some(_)) => Ok(Subtree::Node(self.inner(region, entries, children))),
            // Its keys share more digits than the region's: it takes the place of the node itself.
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(TreeError::Corrupt { hash: old, why: Corruption::WrongCount }),
        }
    }

    /// Gathers so few entries that they fit a leaf. Reads the unchanged children, which are leaves.
    fn collapse(
        &mut self,
        old: NodeHash,
        region: Region,
        entries: u64,
        children: [Subtree; FAN_OUT],
    ) -> Result<Subtree, TreeError<S::Error>> {
        let mut all = Vec::with_capacity(LEAF_ENTRIES_MAX);
        for (digit, child) in children.into_iter().enumerate() {
            match child {
                Subtree::Empty => {}
                Subtree::Small(entries) => all.extend(entries),
                Subtree::Node(hash) => match &*self.tree.load_in(hash, region.child(digit))? {
                    Node::Leaf(entries) => {
                        self.leaves_read.insert(hash);
                        all.extend_from_slice(entries);
                    }
                    Node::Inner(_) => {
                        return Err(TreeError::Corrupt { hash: old, why: Corruption::WrongCount });
                    }
                },
            }
        }
        if all.len() as u64 != entries {
            return Err(TreeError::Corrupt { hash: old, why: Corruption::WrongCount });
        }
        Ok(if all.is_empty() { Subtree::Empty } else { Subtree::Small(all) })
    }

    /// Joins `core`, which has `core_entries` entries in a region that `anchor` is in, with sorted entries
    /// outside that region.
    fn graft(&mut self, core: Subtree, anchor: u64, core_entries: u64, outside: &[Entry]) -> Subtree {
        let (Some(first), Some(last)) = (outside.first(), outside.last()) else { return core };
        match core {
            Subtree::Empty => self.build(outside),
            Subtree::Small(entries) => {
                let mut all = entries;
                all.extend_from_slice(outside);
                all.sort_unstable_by_key(|entry| entry.0);
                self.build(&all)
            }
            Subtree::Node(_) => {
                // The first digit in which any two of them differ. The core keeps more entries than a leaf
                // holds, so there is an inner node here.
                let region = Region::spanning(first.0.min(anchor), last.0.max(anchor));
                let mut core = Some(core);
                let mut children = [const { Subtree::Empty }; FAN_OUT];
                for (digit, child) in children.iter_mut().enumerate() {
                    let part = region.child(digit);
                    let (_, entries, _) = part.split(outside, |entry| entry.0);
                    *child = match core.take_if(|_| part.contains(anchor)) {
                        Some(core) => self.graft(core, anchor, core_entries, entries),
                        None => self.build(entries),
                    };
                }
                let total = core_entries.saturating_add(outside.len() as u64);
                Subtree::Node(self.inner(region, total, children))
            }
        }
    }

    /// The canonical subtree of sorted entries.
    fn build(&mut self, entries: &[Entry]) -> Subtree {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Subtree::Empty };
        if entries.len() <= LEAF_ENTRIES_MAX {
            return Subtree::Small(entries.to_vec());
        }
        let region = Region::spanning(first.0, last.0);
        let mut children = [const { Subtree::Empty }; FAN_OUT];
        for (digit, child) in children.iter_mut().enumerate() {
            let (_, part, _) = region.child(digit).split(entries, |entry| entry.0);
            *child = self.build(part);
        }
        Subtree::Node(self.inner(region, entries.len() as u64, children))
    }

    /// Adds an inner node over subtrees that no neighbour can join any more.
    fn inner(&mut self, region: Region, entries: u64, children: [Subtree; FAN_OUT]) -> NodeHash {
        let children = children.map(|child| self.settle(child));
        self.add(encode_inner(&Inner { region, entries, children }))
    }

    /// The address of a subtree that no neighbour can join any more.
    fn settle(&mut self, subtree: Subtree) -> Option<NodeHash> {
        match subtree {
            Subtree::Empty => None,
            Subtree::Small(entries) => Some(self.add(encode_leaf(&entries))),
            Subtree::Node(hash) => Some(hash),
        }
    }

    fn add(&mut self, bytes: Vec<u8>) -> NodeHash {
        let hash = NodeHash::of(&bytes);
        if !self.leaves_read.contains(&hash) {
            self.nodes.push((hash, bytes));
        }
        hash
    }
}

/// The entries with the changes applied; both are sorted, and so is the result.
fn merge(entries: &[Entry], changes: &[Change]) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(entries.len() + changes.len());
    let mut rest = entries;
    for &(key, value) in changes {
        let (before, from) = rest.split_at(rest.partition_point(|entry| entry.0 < key));
        merged.extend_from_slice(before);
        merged.extend(value.map(|value| (key, value)));
        rest = match from.split_first() {
            Some((entry, after)) if entry.0 == key => after,
            _ => from,
        };
    }
    merged.extend_from_slice(rest);
    merged
}

/// Lengths of slices in memory, so far from the bounds of the type.
fn difference(before: usize, after: usize) -> i64 {
    let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
    length(after) - length(before)
}
