//! Addresses of nodes and of whole states.

use std::fmt;
use std::hash::{Hash, Hasher};

/// Bytes of a node's address.
pub(super) const HASH_BYTES: usize = 16;

/// The address of a node: the first 16 bytes of the SHA-256 of its encoding.
///
/// 128 bits are enough. By accident two of n nodes collide with probability n² / 2^129: for 10^12 nodes (a
/// disk of 100 TB) that is 10^-15. On purpose it takes 2^64 hashes **and** the choice of the contents, but a
/// node holds only numbers that this server hands out in sequence, and never comes from the network. Full
/// digests would nearly double what an update writes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeHash([u8; HASH_BYTES]);

impl NodeHash {
    /// The address of the node encoded as `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
        let mut hash = [0; HASH_BYTES];
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(hash)
    }

    /// The address with these bytes, as a store keeps it.
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn to_bytes(self) -> [u8; HASH_BYTES] {
        self.0
    }

    /// The bytes to store, borrowed.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

/// Half of a cryptographic hash is already a good hash, so maps get that and no more.
impl Hash for NodeHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [head @ .., _, _, _, _, _, _, _, _] = self.0;
        state.write_u64(u64::from_ne_bytes(head));
    }
}

impl fmt::Display for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A whole state: the address of its root node, or [`StateRoot::EMPTY`].
///
/// Two states are equal if and only if their roots are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateRoot(NodeHash);

impl StateRoot {
    /// The state without entries. It has no node; no node has the all-zero address but by a chance of 2^-128.
    pub const EMPTY: Self = Self(NodeHash([0; HASH_BYTES]));

    /// The root with these bytes, as a store keeps it.
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(NodeHash(bytes))
    }

    /// The bytes to store.
    pub const fn to_bytes(self) -> [u8; HASH_BYTES] {
        self.0.0
    }

    /// Whether this is the state without entries.
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// The root node's address; `None` for the empty state.
    pub fn node(self) -> Option<NodeHash> {
        (!self.is_empty()).then_some(self.0)
    }
}

impl From<Option<NodeHash>> for StateRoot {
    fn from(node: Option<NodeHash>) -> Self {
        node.map_or(Self::EMPTY, Self)
    }
}

impl fmt::Display for StateRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() { f.write_str("empty") } else { fmt::Display::fmt(&self.0, f) }
    }
}

impl fmt::Debug for StateRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
