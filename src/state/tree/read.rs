//! Reading a state: one entry, several, a range, the number of entries.

use std::iter::FusedIterator;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::{Corruption, Entry, Node, NodeHash, NodeSource, Region, StateRoot, StateTree, TreeError};

impl<S: NodeSource> StateTree<S> {
    /// The value of `key` in the state `root`. Reads one path, at most
    /// [`TREE_LEVELS_MAX`](crate::state::limits::TREE_LEVELS_MAX) nodes and in practice log4 of the entries.
    pub fn get(&self, root: StateRoot, key: u64) -> Result<Option<u64>, TreeError<S::Error>> {
        let mut place = Region::WHOLE;
        let mut next = root.node();
        while let Some(hash) = next {
            match &*self.load_in(hash, place)? {
                Node::Leaf(entries) => return Ok(find(entries, key)),
                Node::Inner(inner) if inner.region.contains(key) => {
                    let digit = inner.region.digit(key);
                    place = inner.region.child(digit);
                    next = inner.children.get(digit).copied().flatten();
                }
                Node::Inner(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The values of `keys` in the state `root`, in the order of `keys`. Reads each node once, so keys that
    /// lie close together cost little more than one.
    pub fn get_many(&self, root: StateRoot, keys: &[u64]) -> Result<Vec<Option<u64>>, TreeError<S::Error>> {
        let mut values = vec![None; keys.len()];
        let mut sorted: Vec<Wanted<'_>> =
            keys.iter().copied().zip(&mut values).map(|(key, value)| Wanted { key, value }).collect();
        sorted.sort_by_key(|wanted| wanted.key);
        if let Some(hash) = root.node() {
            self.fill(hash, Region::WHOLE, &mut sorted)?;
        }
        Ok(values)
    }

    /// Fills in the wanted keys, which are sorted, from the node and those below. Recursion is bounded by the
    /// levels of a tree.
    fn fill(
        &self,
        hash: NodeHash,
        place: Region,
        wanted: &mut [Wanted<'_>],
    ) -> Result<(), TreeError<S::Error>> {
        if wanted.is_empty() {
            return Ok(());
        }
        match &*self.load_in(hash, place)? {
            Node::Leaf(entries) => {
                for wanted in wanted {
                    *wanted.value = find(entries, wanted.key);
                }
            }
            Node::Inner(inner) => {
                for (part, child) in inner.parts() {
                    let start = wanted.partition_point(|wanted| wanted.key < part.first());
                    let end = wanted.partition_point(|wanted| wanted.key <= part.last());
                    self.fill(child, part, wanted.get_mut(start..end).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    /// How many entries the state has. Reads the root node only.
    pub fn len(&self, root: StateRoot) -> Result<u64, TreeError<S::Error>> {
        match root.node() {
            Some(hash) => Ok(self.load_in(hash, Region::WHOLE)?.entries()),
            None => Ok(0),
        }
    }

    /// The entries of the state `root` whose keys are in `keys`, in key order. Reads only nodes whose place in
    /// the tree overlaps `keys`. Ends after the first error.
    pub fn range(&self, root: StateRoot, keys: impl RangeBounds<u64>) -> Range<'_, S> {
        let first = match keys.start_bound() {
            Bound::Included(first) => Some(*first),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let last = match keys.end_bound() {
            Bound::Included(last) => Some(*last),
            Bound::Excluded(after) => after.checked_sub(1),
            Bound::Unbounded => Some(u64::MAX),
        };
        let mut range = Range { tree: self, keys: (1, 0), pending: Vec::new(), leaf: None };
        if let (Some(first), Some(last)) = (first, last) {
            range.keys = (first, last);
            range.pending.extend(root.node().map(|hash| (Region::WHOLE, hash)));
        }
        range
    }

    /// The node `hash`, which its parent (or a root) names for the region `place`.
    ///
    /// The check makes every descent end: an inner node's region is at or below its place, and the places of
    /// its children are below its region.
    pub(super) fn load_in(&self, hash: NodeHash, place: Region) -> Result<Arc<Node>, TreeError<S::Error>> {
        let node = self.source().load(&hash)?;
        if node.is_within(place) {
            Ok(node)
        } else {
            Err(TreeError::Corrupt { hash, why: Corruption::OutOfPlace })
        }
    }
}

/// A key that is looked for and where its value goes.
struct Wanted<'v> {
    key: u64,
    value: &'v mut Option<u64>,
}

fn find(entries: &[Entry], key: u64) -> Option<u64> {
    let at = entries.binary_search_by_key(&key, |entry| entry.0).ok()?;
    entries.get(at).map(|entry| entry.1)
}

/// The entries of a state within a range of keys, in key order; see [`StateTree::range`].
///
/// Holds one leaf and, per level, the children that are still to be visited.
#[derive(Debug)]
pub struct Range<'t, S> {
    tree: &'t StateTree<S>,
    /// First and last key wanted.
    keys: (u64, u64),
    /// Nodes to visit, the next one last.
    pending: Vec<(Region, NodeHash)>,
    /// The leaf being given out, and the position in it.
    leaf: Option<(Arc<Node>, usize)>,
}

impl<S: NodeSource> Range<'_, S> {
    /// The next wanted entry of the current leaf.
    fn next_in_leaf(&mut self) -> Option<Entry> {
        let (node, position) = self.leaf.as_mut()?;
        let Node::Leaf(entries) = &**node else { return None };
        let entry = *entries.get(*position)?;
        *position += 1;
        (entry.0 <= self.keys.1).then_some(entry)
    }

    /// Makes the node the current leaf, or its children the next to visit.
    fn visit(&mut self, place: Region, hash: NodeHash) -> Result<(), TreeError<S::Error>> {
        let (first, last) = self.keys;
        if place.last() < first || last < place.first() {
            return Ok(());
        }
        let node = self.tree.load_in(hash, place)?;
        match &*node {
            Node::Leaf(entries) => {
                let position = entries.partition_point(|entry| entry.0 < first);
                self.leaf = Some((node, position));
            }
            Node::Inner(inner) => self.pending.extend(inner.parts().rev()),
        }
        Ok(())
    }
}

impl<S: NodeSource> Iterator for Range<'_, S> {
    type Item = Result<Entry, TreeError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.next_in_leaf() {
                return Some(Ok(entry));
            }
            self.leaf = None;
            let (place, hash) = self.pending.pop()?;
            if let Err(error) = self.visit(place, hash) {
                self.pending.clear();
                return Some(Err(error));
            }
        }
    }
}

impl<S: NodeSource> FusedIterator for Range<'_, S> {}
