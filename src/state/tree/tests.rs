//! What the tree promises about format, reads and bytes, on chosen states.

use std::cell::RefCell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use super::{Change, MemoryNodes, NodeHash, NodeSource, StateRoot, StateTree};

const MEMBERS: u64 = 1 << 63;

/// Notes every address that is read.
struct Recording<'n> {
    nodes: &'n MemoryNodes,
    reads: RefCell<Vec<NodeHash>>,
}

impl<'n> Recording<'n> {
    fn new(nodes: &'n MemoryNodes) -> Self {
        Self { nodes, reads: RefCell::default() }
    }

    fn take(&self) -> Vec<NodeHash> {
        self.reads.take()
    }
}

impl NodeSource for Recording<'_> {
    type Error = Infallible;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Infallible> {
        self.reads.borrow_mut().push(*hash);
        self.nodes.node(hash)
    }
}

fn stored(changes: &[Change]) -> (MemoryNodes, StateRoot) {
    let mut nodes = MemoryNodes::new();
    let update = StateTree::new(&nodes).update(StateRoot::EMPTY, changes).unwrap();
    nodes.extend(&update.nodes);
    (nodes, update.root)
}

/// 20 entries of all kinds but members, then members.
fn room(entries: u64) -> Vec<Change> {
    (0..entries).map(|n| (if n < 20 { n } else { MEMBERS + n }, Some(1_000_000 + 3 * n))).collect()
}

/// Keys and values without any order, as in a room whose members have long been in others.
fn scattered(entries: u64) -> Vec<Change> {
    (0..entries)
        .map(|n| {
            let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (MEMBERS + (mixed >> 44), Some(mixed >> 40))
        })
        .collect()
}

#[test]
fn the_empty_state_has_no_node() {
    let nodes = MemoryNodes::new();
    let tree = StateTree::new(&nodes);
    assert_eq!(tree.get(StateRoot::EMPTY, 1).unwrap(), None);
    assert_eq!(tree.get_many(StateRoot::EMPTY, &[1, 2]).unwrap(), [None, None]);
    assert_eq!(tree.len(StateRoot::EMPTY).unwrap(), 0);
    assert_eq!(tree.range(StateRoot::EMPTY, ..).count(), 0);
    assert_eq!(tree.diff(StateRoot::EMPTY, StateRoot::EMPTY).count(), 0);
    assert_eq!(tree.verify(StateRoot::EMPTY).unwrap().nodes, 0);
    let update = tree.update(StateRoot::EMPTY, &[(1, None)]).unwrap();
    assert_eq!((update.root, update.nodes.len()), (StateRoot::EMPTY, 0));
}

/// The stored format: if this fails, states written by earlier versions are no longer found.
#[test]
fn roots_stay_what_they_are() {
    let hex = |changes: &[Change]| stored(changes).1.to_string();
    assert_eq!(hex(&[]), "empty");
    assert_eq!(hex(&[(1, Some(2)), (MEMBERS + 3, Some(4))]), "09c5d537fab8b67187ca9eea6b729809");
    assert_eq!(hex(&room(1_000)), "13eca871b687d32df4007bfe24a08d9c");
    assert_eq!(hex(&scattered(1_000)), "9e5a00272356730ce646537f85931808");
}

#[test]
fn the_last_change_of_a_key_counts() {
    let (nodes, root) = stored(&[(5, Some(1)), (5, None), (6, Some(1)), (5, Some(2)), (6, None)]);
    let entries: Vec<_> = StateTree::new(&nodes).range(root, ..).map(Result::unwrap).collect();
    assert_eq!(entries, [(5, 2)]);
}

#[test]
fn a_change_that_changes_nothing_writes_nothing() {
    let (nodes, root) = stored(&room(1_000));
    let update = StateTree::new(&nodes).update(root, &[(3, Some(1_000_009)), (77, None)]).unwrap();
    assert_eq!((update.root, update.nodes.len()), (root, 0));
}

/// A full leaf moves below a new inner node unchanged: only the new entry's leaf and that node are written.
#[test]
fn a_leaf_that_only_gets_a_neighbour_is_not_written_again() {
    let full: Vec<Change> = (0..32).map(|key| (key, Some(key))).collect();
    let (nodes, root) = stored(&full);
    let update = StateTree::new(&nodes).set(root, MEMBERS, 1).unwrap();
    assert_eq!(update.nodes.len(), 2);
    assert!(update.nodes.iter().all(|(hash, _)| Some(*hash) != root.node()));
}

#[test]
fn one_entry_of_100_000_costs_at_most_700_bytes() {
    for (name, changes) in [("room", room(100_000)), ("scattered", scattered(100_000))] {
        let (nodes, root) = stored(&changes);
        let tree = StateTree::new(&nodes);
        for (key, _) in changes.iter().step_by(997) {
            for change in [(*key, Some(50_000_000)), (*key, None), (*key ^ 1 << 20, Some(50_000_000))] {
                let update = tree.update(root, &[change]).unwrap();
                let bytes: usize = update.nodes.iter().map(|(_, node)| node.len()).sum();
                assert!(bytes <= 700, "{name}, {change:?}: {bytes} bytes");
            }
        }
    }
}

#[test]
fn all_state_but_members_is_read_without_touching_members() {
    let (nodes, root) = stored(&room(10_000));
    let source = Recording::new(&nodes);
    let tree = StateTree::new(&source);
    assert_eq!(tree.range(root, ..MEMBERS).count(), 20);
    assert_eq!(source.take().len(), 2, "the root and the leaf of all others");

    assert_eq!(tree.range(root, MEMBERS + 5_000..MEMBERS + 5_016).count(), 16);
    assert!(source.take().len() <= 9, "one path");
}

#[test]
fn a_diff_reads_only_what_differs() {
    let (mut nodes, root) = stored(&room(100_000));
    let changes: Vec<Change> = (0..10).map(|n| (MEMBERS + 9_000 * (n + 1), Some(n))).collect();
    let update = StateTree::new(&nodes).update(root, &changes).unwrap();
    nodes.extend(&update.nodes);

    let source = Recording::new(&nodes);
    let tree = StateTree::new(&source);
    let found: Vec<_> = tree.diff(root, update.root).map(Result::unwrap).collect();
    let keys: Vec<u64> = found.iter().map(|(key, ..)| *key).collect();
    assert_eq!(keys, changes.iter().map(|(key, _)| *key).collect::<Vec<_>>());
    assert!(found.iter().all(|(_, left, right)| left.is_some() && right.is_some() && left != right));
    assert_eq!(source.take().len(), 2 * update.nodes.len(), "both versions of each copied node");

    assert_eq!(tree.diff(root, root).count(), 0);
    assert_eq!(source.take().len(), 0);
}

#[test]
fn many_keys_are_read_in_one_walk() {
    let (nodes, root) = stored(&room(10_000));
    let source = Recording::new(&nodes);
    let tree = StateTree::new(&source);
    let keys: Vec<u64> = (20..10_000).rev().map(|n| MEMBERS + n).collect();
    assert!(tree.get_many(root, &keys).unwrap().iter().all(Option::is_some));
    let reads = source.take();
    assert_eq!(reads.len(), reads.iter().collect::<HashSet<_>>().len(), "no node twice");
}

#[test]
fn walking_several_states_visits_shared_nodes_once() {
    let (mut nodes, root) = stored(&room(10_000));
    let update = StateTree::new(&nodes).set(root, MEMBERS + 70, 9).unwrap();
    nodes.extend(&update.nodes);
    let source = Recording::new(&nodes);
    let tree = StateTree::new(&source);
    let mut seen = HashSet::new();
    tree.walk(root, |hash| seen.insert(hash)).unwrap();
    assert_eq!(source.take().len(), seen.len());
    tree.walk(update.root, |hash| seen.insert(hash)).unwrap();
    assert_eq!(source.take().len(), update.nodes.len());
    assert_eq!(seen.len(), nodes.len());
}
