//! Damaged stores: every operation answers an error that names the node, and none panics or runs on.

use std::convert::Infallible;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::node::{encode_inner, encode_leaf};
use super::{
    Change, Corruption, Entry, Inner, MemoryNodes, Node, NodeHash, NodeSource, Region, StateRoot, StateTree,
    TreeError,
};

fn stored(entries: u64) -> (MemoryNodes, StateRoot) {
    let changes: Vec<Change> = (0..entries).map(|key| (key, Some(key + 7))).collect();
    let mut nodes = MemoryNodes::new();
    let update = StateTree::new(&nodes).update(StateRoot::EMPTY, &changes).unwrap();
    nodes.extend(&update.nodes);
    (nodes, update.root)
}

fn put(nodes: &mut MemoryNodes, bytes: Vec<u8>) -> NodeHash {
    let hash = NodeHash::of(&bytes);
    nodes.extend(&[(hash, bytes)]);
    hash
}

fn leaf(nodes: &mut MemoryNodes, keys: std::ops::Range<u64>) -> NodeHash {
    let entries: Vec<Entry> = keys.map(|key| (key, key)).collect();
    put(nodes, encode_leaf(&entries))
}

/// Errors of every operation that reads the whole state, and of those that read the path to `key`.
fn failures<S: NodeSource>(tree: &StateTree<S>, root: StateRoot, key: u64) -> Vec<TreeError<S::Error>> {
    let failed = [
        tree.get(root, key).err(),
        tree.get_many(root, &[key]).err(),
        tree.update(root, &[(key, Some(1 << 40))]).err(),
        tree.update(root, &[(key, None)]).err(),
        tree.range(root, ..).find_map(Result::err),
        tree.diff(root, StateRoot::EMPTY).find_map(Result::err),
        tree.diff(StateRoot::EMPTY, root).find_map(Result::err),
        tree.verify(root).err(),
    ];
    failed.into_iter().flatten().collect()
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (nodes, root) = stored(200);
    let target = root.node().unwrap();
    let bytes = nodes.node(&target).unwrap().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let mut nodes = nodes.clone();
        nodes.extend(&[(target, damaged)]);
        let failures = failures(&StateTree::new(&nodes), root, 100);
        assert_eq!(failures.len(), 8);
        for failure in failures {
            let TreeError::Corrupt { hash, why } = failure else { panic!("{failure}") };
            assert_eq!((hash, why), (target, Corruption::HashMismatch));
        }
    }
}

#[test]
fn every_missing_node_is_named() {
    let (nodes, root) = stored(200);
    for (target, _) in nodes.iter() {
        let mut nodes = nodes.clone();
        nodes.remove(target);
        let tree = StateTree::new(&nodes);
        let error = tree.verify(root).unwrap_err();
        assert!(matches!(error, TreeError::Missing { hash } if hash == *target));
        assert!(error.to_string().contains(&target.to_string()));
        let mut range = tree.range(root, ..);
        assert!(matches!(range.find_map(Result::err), Some(TreeError::Missing { hash }) if hash == *target));
        assert!(range.next().is_none(), "nothing after an error");
    }
}

#[test]
fn nodes_in_the_wrong_place_are_noticed() {
    let mut nodes = MemoryNodes::new();
    // Two digits from the end: children for keys 0..16, 16..32, ...
    let region = Region::around(0, 29);
    let (low, high) = (leaf(&mut nodes, 0..16), leaf(&mut nodes, 16..34));
    for children in [[Some(high), Some(low), None, None], [Some(low), Some(high), None, None]] {
        let inner = put(&mut nodes, encode_inner(&Inner { region, entries: 34, children }));
        let tree = StateTree::new(&nodes);
        for failure in failures(&tree, Some(inner).into(), 16) {
            assert!(matches!(failure, TreeError::Corrupt { why: Corruption::OutOfPlace, .. }), "{failure}");
        }
        assert_eq!(failures(&tree, Some(inner).into(), 16).len(), 8);
    }
}

#[test]
fn wrong_counts_are_noticed_by_verify_and_by_a_merge() {
    for claimed in [33, 36, 1 << 60] {
        let mut nodes = MemoryNodes::new();
        let children = [
            Some(leaf(&mut nodes, 0..16)),
            Some(leaf(&mut nodes, 16..32)),
            None,
            Some(leaf(&mut nodes, 48..51)),
        ];
        let inner = Inner { region: Region::around(0, 29), entries: claimed, children };
        let hash = put(&mut nodes, encode_inner(&inner));
        let tree = StateTree::new(&nodes);
        let error = tree.verify_node(hash).unwrap_err();
        assert!(matches!(error, TreeError::Corrupt { why: Corruption::WrongCount, .. }), "{error}");

        let all: Vec<Change> = (0..64).map(|key| (key, None)).collect();
        let error = tree.update(Some(hash).into(), &all).unwrap_err();
        assert!(matches!(error, TreeError::Corrupt { why: Corruption::WrongCount, .. }), "{error}");
    }
}

#[test]
fn a_store_failure_is_passed_on() {
    #[derive(Debug, thiserror::Error)]
    #[error("disk on fire")]
    struct OnFire;
    struct Broken;
    impl NodeSource for Broken {
        type Error = OnFire;
        fn node(&self, _: &NodeHash) -> Result<Option<Arc<[u8]>>, OnFire> {
            Err(OnFire)
        }
    }
    let failures = failures(&StateTree::new(Broken), StateRoot::from_bytes([1; 16]), 1);
    assert_eq!(failures.len(), 8);
    assert!(failures.iter().all(|error| error.to_string() == "disk on fire"));
}

/// Skips the check of bytes against the address, to see that the other checks hold by themselves.
struct Unchecked(MemoryNodes);

impl NodeSource for Unchecked {
    type Error = Infallible;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Infallible> {
        self.0.node(hash)
    }

    fn load(&self, hash: &NodeHash) -> Result<Arc<Node>, TreeError<Infallible>> {
        let bytes = self.0.node(hash)?.ok_or(TreeError::Missing { hash: *hash })?;
        Node::decode(&bytes).map(Arc::new).map_err(|why| TreeError::Corrupt { hash: *hash, why })
    }
}

proptest! {
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..700)) {
        let _ = Node::decode(&bytes);
    }

    /// Random damage, and nodes exchanged for each other (a loop, if the places were not checked): the
    /// operations end, with an answer or an error.
    #[test]
    fn damage_never_panics_or_loops(
        hits in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
        swaps in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
        other in 0u64..400,
        changes in vec((0u64..500, any::<Option<u64>>()), 0..400),
    ) {
        let (mut nodes, root) = stored(400);
        let other = StateTree::new(&nodes).update(root, &[(other, None)]).unwrap();
        nodes.extend(&other.nodes);
        let mut all: Vec<(NodeHash, Vec<u8>)> =
            nodes.iter().map(|(hash, bytes)| (*hash, bytes.to_vec())).collect();
        all.sort();
        for (a, b) in swaps {
            let (a, b) = (a.index(all.len()), b.index(all.len()));
            all[a].1 = all[b].1.clone();
        }
        for (node, byte, xor) in hits {
            let bytes = &mut node.get_mut(&mut all).1;
            let at = byte.index(bytes.len());
            bytes[at] ^= xor;
        }
        nodes.extend(&all);
        let tree = StateTree::new(Unchecked(nodes));
        let _ = failures(&tree, root, 123);
        let _ = tree.update(root, &changes);
        let _ = tree.diff(root, other.root).count();
        let _ = tree.walk(root, |_| true);
    }
}
