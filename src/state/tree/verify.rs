//! Checking what is in the store, and walking all nodes of a state.

use super::{Corruption, Node, NodeHash, NodeSource, Region, StateRoot, StateTree, TreeError};

/// What a whole state consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeSummary {
    /// Entries of the state.
    pub entries: u64,
    /// Nodes of its tree.
    pub nodes: u64,
    /// Bytes of these nodes, without their keys.
    pub bytes: u64,
}

impl<S: NodeSource> StateTree<S> {
    /// Checks one node and its relation to the nodes right below: hash, encoding, key order, places, counts
    /// and canonical shape. Reads the encoded bytes of at most five nodes, from behind any cache.
    ///
    /// If every node of a store passes, every tree there is sound: shape is a local property, since a node
    /// holds its region and its count. So `conduit check` needs one pass over the nodes, whatever the number
    /// of states.
    pub fn verify_node(&self, hash: NodeHash) -> Result<Node, TreeError<S::Error>> {
        Ok(self.verify_bytes(hash)?.0)
    }

    /// Checks every node of a state. For a whole store see [`StateTree::verify_node`].
    pub fn verify(&self, root: StateRoot) -> Result<TreeSummary, TreeError<S::Error>> {
        let mut summary = TreeSummary::default();
        let mut pending: Vec<NodeHash> = root.node().into_iter().collect();
        while let Some(hash) = pending.pop() {
            let (node, bytes) = self.verify_bytes(hash)?;
            summary.nodes += 1;
            summary.bytes += bytes;
            match &node {
                Node::Leaf(entries) => summary.entries += entries.len() as u64,
                Node::Inner(_) => pending.extend(node.children()),
            }
        }
        Ok(summary)
    }

    /// Visits the nodes of a state, a node before those below it. `visit` answers whether to go on below; for
    /// a mark-and-sweep over many states it answers whether it sees the node for the first time, so that
    /// what states share is walked once.
    ///
    /// Holds, per level, the nodes that are still to be visited.
    pub fn walk(
        &self,
        root: StateRoot,
        mut visit: impl FnMut(NodeHash) -> bool,
    ) -> Result<(), TreeError<S::Error>> {
        let mut pending: Vec<(Region, NodeHash)> =
            root.node().map(|hash| (Region::WHOLE, hash)).into_iter().collect();
        while let Some((place, hash)) = pending.pop() {
            if !visit(hash) {
                continue;
            }
            if let Node::Inner(inner) = &*self.load_in(hash, place)? {
                pending.extend(inner.parts().rev());
            }
        }
        Ok(())
    }

    /// The node, checked against those right below, and the length of its encoding.
    fn verify_bytes(&self, hash: NodeHash) -> Result<(Node, u64), TreeError<S::Error>> {
        let (node, bytes) = self.stored(hash)?;
        if let Node::Inner(inner) = &node {
            let mut below = Some(0u64);
            for (place, child) in inner.parts() {
                let (node, _) = self.stored(child)?;
                if !node.is_within(place) {
                    return Err(TreeError::Corrupt { hash: child, why: Corruption::OutOfPlace });
                }
                below = below.and_then(|below| below.checked_add(node.entries()));
            }
            if below != Some(inner.entries) {
                return Err(TreeError::Corrupt { hash, why: Corruption::WrongCount });
            }
        }
        Ok((node, bytes))
    }

    /// The node as it is in the store, with the length of its encoding.
    fn stored(&self, hash: NodeHash) -> Result<(Node, u64), TreeError<S::Error>> {
        let bytes = self.source().node(&hash)?.ok_or(TreeError::Missing { hash })?;
        let node = super::source::decode_checked(&hash, &bytes)?;
        Ok((node, bytes.len() as u64))
    }
}
