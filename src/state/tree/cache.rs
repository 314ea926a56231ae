//! Decoded nodes in memory, bounded by bytes.
//!
//! Nodes are immutable and addressed by content, so a cached one is never stale and nothing is invalidated.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::{Node, NodeHash, NodeSource, TreeError};
use crate::state::limits::{CACHE_NODE_BYTES_TYPICAL, CACHE_NODE_OVERHEAD_BYTES};

/// Counts a node's bytes.
#[derive(Debug, Clone, Copy)]
struct NodeBytes;

impl Weighter<NodeHash, Arc<Node>> for NodeBytes {
    fn weight(&self, _hash: &NodeHash, node: &Arc<Node>) -> u64 {
        (node.heap_bytes() + CACHE_NODE_OVERHEAD_BYTES) as u64
    }
}

/// A bounded, thread-safe cache of decoded nodes, one for the whole process, shared by `Arc`.
#[derive(Debug)]
pub struct NodeCache {
    nodes: Cache<NodeHash, Arc<Node>, NodeBytes>,
}

impl NodeCache {
    /// A cache that holds at most `bytes_max` bytes of nodes, overhead included.
    pub fn new(bytes_max: usize) -> Self {
        let nodes_typical = bytes_max / CACHE_NODE_BYTES_TYPICAL;
        Self { nodes: Cache::with_weighter(nodes_typical, bytes_max as u64, NodeBytes) }
    }

    /// Takes in the nodes of an update that has been committed: the next update of the room reads exactly
    /// these.
    pub fn extend<'n>(&self, nodes: impl IntoIterator<Item = &'n (NodeHash, Vec<u8>)>) {
        for (hash, bytes) in nodes {
            // A node that does not decode is left to the reader, who reports it.
            if let Ok(node) = Node::decode(bytes) {
                self.nodes.insert(*hash, Arc::new(node));
            }
        }
    }

    /// Bytes held now, as weighed against the bound.
    pub fn bytes(&self) -> u64 {
        self.nodes.weight()
    }

    /// Nodes held now.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node is held.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// A source read through a [`NodeCache`].
#[derive(Debug, Clone)]
pub struct CachedSource<S> {
    cache: Arc<NodeCache>,
    base: S,
}

impl<S: NodeSource> CachedSource<S> {
    /// Reads `base` through `cache`. All sources over one cache must be views of one store.
    pub fn new(cache: Arc<NodeCache>, base: S) -> Self {
        Self { cache, base }
    }

    /// The cache in front.
    pub fn cache(&self) -> &Arc<NodeCache> {
        &self.cache
    }

    /// The source behind the cache.
    pub fn base(&self) -> &S {
        &self.base
    }
}

impl<S: NodeSource> NodeSource for CachedSource<S> {
    type Error = S::Error;

    /// Encoded bytes are not cached: only checks ask for them, and those are about the store.
    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Self::Error> {
        self.base.node(hash)
    }

    fn load(&self, hash: &NodeHash) -> Result<Arc<Node>, TreeError<Self::Error>> {
        if let Some(node) = self.cache.nodes.get(hash) {
            return Ok(node);
        }
        let node = self.base.load(hash)?;
        self.cache.nodes.insert(*hash, Arc::clone(&node));
        Ok(node)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MemoryNodes, StateRoot, StateTree};
    use super::*;
    use std::cell::Cell;
    use std::convert::Infallible;

    /// Counts the reads that reach the store.
    struct Counting {
        nodes: MemoryNodes,
        reads: Cell<usize>,
    }

    impl NodeSource for Counting {
        type Error = Infallible;
        fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Infallible> {
            self.reads.set(self.reads.get() + 1);
            self.nodes.node(hash)
        }
    }

    fn stored(entries: u64) -> (Counting, StateRoot, Vec<(NodeHash, Vec<u8>)>) {
        let changes: Vec<_> = (0..entries).map(|key| (key, Some(key * 7))).collect();
        let mut nodes = MemoryNodes::new();
        let update = StateTree::new(&nodes).update(StateRoot::EMPTY, &changes).unwrap();
        nodes.extend(&update.nodes);
        (Counting { nodes, reads: Cell::new(0) }, update.root, update.nodes)
    }

    #[test]
    fn a_second_read_does_not_reach_the_store() {
        let (store, root, _) = stored(1000);
        let cache = Arc::new(NodeCache::new(1 << 20));
        let tree = StateTree::new(CachedSource::new(cache, &store));
        assert_eq!(tree.get(root, 500).unwrap(), Some(3500));
        let first = store.reads.get();
        assert!(first > 1);
        assert_eq!(tree.get(root, 500).unwrap(), Some(3500));
        assert_eq!(store.reads.get(), first);
    }

    #[test]
    fn nodes_taken_in_at_commit_need_no_read() {
        let (store, root, nodes) = stored(1000);
        let cache = Arc::new(NodeCache::new(1 << 20));
        cache.extend(&nodes);
        let tree = StateTree::new(CachedSource::new(cache, &store));
        assert_eq!(tree.range(root, ..).count(), 1000);
        assert_eq!(store.reads.get(), 0);
    }

    #[test]
    fn the_bound_holds() {
        let bytes_max = 64 * 1024;
        let (store, root, _) = stored(20_000);
        let cache = Arc::new(NodeCache::new(bytes_max));
        let tree = StateTree::new(CachedSource::new(Arc::clone(&cache), &store));
        assert_eq!(tree.range(root, ..).count(), 20_000);
        assert!(cache.bytes() <= bytes_max as u64, "{} bytes held", cache.bytes());
        assert!(cache.len() > 10, "and it does hold something");
    }
}
