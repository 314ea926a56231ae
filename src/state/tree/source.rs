//! Where nodes are read from.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Corruption, Node, NodeHash, TreeError};

/// A place that nodes can be read from by address: a table of the store, or something in front of one.
pub trait NodeSource {
    /// Why a read failed.
    type Error;

    /// The encoding of a node; `None` if there is none under this address.
    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Self::Error>;

    /// The decoded node. Checks the bytes against the address, so that what is read is what was written.
    ///
    /// A source that keeps decoded nodes overrides this.
    fn load(&self, hash: &NodeHash) -> Result<Arc<Node>, TreeError<Self::Error>> {
        let bytes = self.node(hash)?.ok_or(TreeError::Missing { hash: *hash })?;
        decode_checked(hash, &bytes).map(Arc::new)
    }
}

/// The node that `bytes`, read from under `hash`, encode.
pub(super) fn decode_checked<E>(hash: &NodeHash, bytes: &[u8]) -> Result<Node, TreeError<E>> {
    let corrupt = |why| TreeError::Corrupt { hash: *hash, why };
    if NodeHash::of(bytes) != *hash {
        return Err(corrupt(Corruption::HashMismatch));
    }
    Node::decode(bytes).map_err(corrupt)
}

impl<S: NodeSource + ?Sized> NodeSource for &S {
    type Error = S::Error;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Self::Error> {
        (**self).node(hash)
    }

    fn load(&self, hash: &NodeHash) -> Result<Arc<Node>, TreeError<Self::Error>> {
        (**self).load(hash)
    }
}

impl<S: NodeSource + ?Sized> NodeSource for Arc<S> {
    type Error = S::Error;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Self::Error> {
        (**self).node(hash)
    }

    fn load(&self, hash: &NodeHash) -> Result<Arc<Node>, TreeError<Self::Error>> {
        (**self).load(hash)
    }
}

/// Nodes in memory: for tests and benches, and the pending part of an [`Overlay`].
#[derive(Debug, Default, Clone)]
pub struct MemoryNodes {
    nodes: HashMap<NodeHash, Arc<[u8]>>,
}

impl MemoryNodes {
    /// No nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes nodes in, as an [`Update`](super::Update) returns them.
    pub fn extend<'n>(&mut self, nodes: impl IntoIterator<Item = &'n (NodeHash, Vec<u8>)>) {
        self.nodes.extend(nodes.into_iter().map(|(hash, bytes)| (*hash, Arc::from(bytes.as_slice()))));
    }

    /// Forgets a node; whether it was there.
    pub fn remove(&mut self, hash: &NodeHash) -> bool {
        self.nodes.remove(hash).is_some()
    }

    /// Every node, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeHash, &Arc<[u8]>)> {
        self.nodes.iter()
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl NodeSource for MemoryNodes {
    type Error = std::convert::Infallible;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Self::Error> {
        Ok(self.nodes.get(hash).cloned())
    }
}

/// A source with nodes in front of it that are not stored yet, so that one batch can hold several updates of
/// which each builds on the one before.
///
/// Bounded by what the caller adds; made per batch and dropped with it.
#[derive(Debug, Clone)]
pub struct Overlay<S> {
    base: S,
    pending: MemoryNodes,
}

impl<S: NodeSource> Overlay<S> {
    /// Nothing in front of `base` yet.
    pub fn new(base: S) -> Self {
        Self { base, pending: MemoryNodes::new() }
    }

    /// Makes the nodes of an update readable.
    pub fn extend<'n>(&mut self, nodes: impl IntoIterator<Item = &'n (NodeHash, Vec<u8>)>) {
        self.pending.extend(nodes);
    }

    /// The nodes that are not stored yet.
    pub fn pending(&self) -> &MemoryNodes {
        &self.pending
    }
}

impl<S: NodeSource> NodeSource for Overlay<S> {
    type Error = S::Error;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, Self::Error> {
        match self.pending.nodes.get(hash) {
            Some(bytes) => Ok(Some(Arc::clone(bytes))),
            None => self.base.node(hash),
        }
    }

    fn load(&self, hash: &NodeHash) -> Result<Arc<Node>, TreeError<Self::Error>> {
        match self.pending.nodes.get(hash) {
            // Encoded by this process a moment ago: nothing to hash again.
            Some(bytes) => {
                Node::decode(bytes).map(Arc::new).map_err(|why| TreeError::Corrupt { hash: *hash, why })
            }
            None => self.base.load(hash),
        }
    }
}
