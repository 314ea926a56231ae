//! Comparing two states: walks both at once and never enters a subtree that they share.

use std::iter::FusedIterator;
use std::ops::Range as Span;
use std::sync::Arc;

use super::region::FAN_OUT;
use super::{Entry, Inner, Node, NodeHash, NodeSource, Region, StateRoot, StateTree, TreeError};

/// A key whose value differs, with the value on the left and on the right, `None` where it is absent.
pub type DiffEntry = (u64, Option<u64>, Option<u64>);

impl<S: NodeSource> StateTree<S> {
    /// The keys whose values differ between two states, in key order. Costs a path on both sides per
    /// difference, whatever the size of the states. Ends after the first error.
    pub fn diff(&self, left: StateRoot, right: StateRoot) -> Diff<'_, S> {
        let side = |root: StateRoot| {
            root.node().map_or(Side::Empty, |hash| Side::Stored { hash, place: Region::WHOLE })
        };
        Diff { tree: self, pending: vec![(side(left), side(right))], found: Vec::new() }
    }
}

/// The differences of two states; see [`StateTree::diff`].
///
/// Holds, per level, the pairs of subtrees that are still to be compared, and the differences of one pair of
/// leaves.
#[derive(Debug)]
pub struct Diff<'t, S> {
    tree: &'t StateTree<S>,
    /// Pairs to compare, the next one last; each pair's keys come before those of the pairs below it.
    pending: Vec<(Side, Side)>,
    /// Differences to give out, the next one last.
    found: Vec<DiffEntry>,
}

/// One of two subtrees to compare.
#[derive(Debug, Clone)]
enum Side {
    /// No entries.
    Empty,
    /// A node not loaded yet, with its place.
    Stored { hash: NodeHash, place: Region },
    /// A loaded node.
    Loaded { hash: NodeHash, node: Arc<Node> },
    /// Some of the entries of a loaded leaf.
    Entries { leaf: Arc<Node>, span: Span<usize> },
}

impl Side {
    /// The address, if this is a whole node.
    fn hash(&self) -> Option<NodeHash> {
        match self {
            Self::Stored { hash, .. } | Self::Loaded { hash, .. } => Some(*hash),
            Self::Empty | Self::Entries { .. } => None,
        }
    }

    fn load<S: NodeSource>(self, tree: &StateTree<S>) -> Result<Self, TreeError<S::Error>> {
        match self {
            Self::Stored { hash, place } => Ok(Self::Loaded { hash, node: tree.load_in(hash, place)? }),
            other => Ok(other),
        }
    }

    /// What is right below, once loaded.
    fn view(&self) -> View<'_> {
        match self {
            Self::Loaded { node, .. } => match &**node {
                Node::Inner(inner) => View::Inner(inner),
                Node::Leaf(entries) => View::Entries(entries),
            },
            Self::Entries { leaf, span } => match &**leaf {
                Node::Leaf(entries) => View::Entries(entries.get(span.clone()).unwrap_or_default()),
                Node::Inner(_) => View::Entries(&[]),
            },
            Self::Empty | Self::Stored { .. } => View::Entries(&[]),
        }
    }

    /// The part of this side, once loaded, that lies in `part`: one of the parts of a region that covers the
    /// whole side.
    fn within(&self, part: Region) -> Self {
        match self {
            Self::Empty | Self::Stored { .. } => Self::Empty,
            Self::Entries { leaf, span } => Self::entries_within(leaf, span.clone(), part),
            Self::Loaded { node, .. } => match &**node {
                Node::Leaf(entries) => Self::entries_within(node, 0..entries.len(), part),
                Node::Inner(inner) if part.covers(inner.region) => self.clone(),
                Node::Inner(inner) => {
                    let mut parts = inner.parts();
                    let found = parts.find(|(place, _)| *place == part);
                    found.map_or(Self::Empty, |(place, hash)| Self::Stored { hash, place })
                }
            },
        }
    }

    /// The entries of a leaf's `span` that lie in `part`.
    fn entries_within(leaf: &Arc<Node>, span: Span<usize>, part: Region) -> Self {
        let Node::Leaf(all) = &**leaf else { return Self::Empty };
        let entries = all.get(span.clone()).unwrap_or_default();
        let (before, inside, _) = part.split(entries, |entry| entry.0);
        if inside.is_empty() {
            return Self::Empty;
        }
        let start = span.start + before.len();
        Self::Entries { leaf: Arc::clone(leaf), span: start..start + inside.len() }
    }
}

/// A loaded side.
enum View<'n> {
    Inner(&'n Inner),
    Entries(&'n [Entry]),
}

impl View<'_> {
    /// The lowest and the highest key that may be in it; `None` if it is empty.
    fn bounds(&self) -> Option<(u64, u64)> {
        match self {
            Self::Inner(inner) => Some((inner.region.first(), inner.region.last())),
            Self::Entries(entries) => Some((entries.first()?.0, entries.last()?.0)),
        }
    }
}

/// The smallest region that covers both sides.
fn covering(left: &View<'_>, right: &View<'_>) -> Option<Region> {
    let (first, last) = match (left.bounds(), right.bounds()) {
        (Some(left), Some(right)) => (left.0.min(right.0), left.1.max(right.1)),
        (one, other) => one.or(other)?,
    };
    Some(Region::spanning(first, last))
}

impl<S: NodeSource> Diff<'_, S> {
    /// Compares two subtrees: finds differences, or puts smaller pairs on the stack. Every pair is smaller,
    /// since the parts of a region that covers both are below the region of each inner node there.
    fn compare(&mut self, left: Side, right: Side) -> Result<(), TreeError<S::Error>> {
        if left.hash().is_some() && left.hash() == right.hash() {
            return Ok(());
        }
        let (left, right) = (left.load(self.tree)?, right.load(self.tree)?);
        match (left.view(), right.view()) {
            (View::Entries(left), View::Entries(right)) => self.found = differences(left, right),
            (one, other) => {
                let Some(region) = covering(&one, &other) else { return Ok(()) };
                for digit in (0..FAN_OUT).rev() {
                    let part = region.child(digit);
                    let pair = (left.within(part), right.within(part));
                    if !matches!(pair, (Side::Empty, Side::Empty)) {
                        self.pending.push(pair);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The differences of two sorted lists of entries, in descending key order.
fn differences(mut left: &[Entry], mut right: &[Entry]) -> Vec<DiffEntry> {
    let mut found = Vec::new();
    while let Some(key) = left.last().max(right.last()).map(|entry| entry.0) {
        let (a, b) = (take_last(&mut left, key), take_last(&mut right, key));
        if a != b {
            found.push((key, a, b));
        }
    }
    found
}

/// Takes the last entry off if it has this key.
fn take_last(entries: &mut &[Entry], key: u64) -> Option<u64> {
    let (last, rest) = entries.split_last().filter(|(last, _)| last.0 == key)?;
    *entries = rest;
    Some(last.1)
}

impl<S: NodeSource> Iterator for Diff<'_, S> {
    type Item = Result<DiffEntry, TreeError<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(difference) = self.found.pop() {
                return Some(Ok(difference));
            }
            let (left, right) = self.pending.pop()?;
            if let Err(error) = self.compare(left, right) {
                self.pending.clear();
                return Some(Err(error));
            }
        }
    }
}

impl<S: NodeSource> FusedIterator for Diff<'_, S> {}
