//! What can go wrong when a state is read.

use super::NodeHash;

/// A state could not be read. `E` is the error of the [`NodeSource`](super::NodeSource).
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E> {
    /// A node that a root or another node names is not in the store.
    #[error("state tree node {hash} is missing from the store; run `conduit check`")]
    Missing {
        /// The address that was asked for.
        hash: NodeHash,
    },
    /// The bytes under an address are not the node that belongs there.
    #[error("state tree node {hash} is corrupt: {why}; run `conduit check`")]
    Corrupt {
        /// The address of the node.
        hash: NodeHash,
        /// What is wrong with it.
        why: Corruption,
    },
    /// The store failed.
    #[error(transparent)]
    Source(#[from] E),
}

/// What is wrong with a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// The SHA-256 of the bytes is not the address.
    #[error("its bytes do not have this hash")]
    HashMismatch,
    /// More than [`NODE_BYTES_MAX`](crate::state::limits::NODE_BYTES_MAX) bytes.
    #[error("it is longer than any node")]
    TooLong,
    /// The bytes end in the middle of a field.
    #[error("it is cut short")]
    Truncated,
    /// Bytes are left after the last field.
    #[error("bytes are left after its end")]
    TrailingBytes,
    /// The first byte is neither that of a leaf nor of an inner node.
    #[error("its first byte names no kind of node")]
    UnknownKind,
    /// A varint is longer than needed or exceeds 64 bits.
    #[error("a number in it is not in its shortest form")]
    BadVarint,
    /// A leaf's keys run past the largest key.
    #[error("its keys are out of order")]
    KeyOverflow,
    /// An inner node without at least two children, or with unknown bits set.
    #[error("its child map is invalid")]
    BadChildMap,
    /// An inner node's shared digits are wider than its depth.
    #[error("its shared prefix is wider than its depth")]
    BadPrefix,
    /// An inner node over so few entries that they belong in a leaf.
    #[error("it is an inner node over entries that fit a leaf")]
    NotCanonical,
    /// The node's keys are not those that its parent keeps there.
    #[error("it holds keys outside the place where its parent names it")]
    OutOfPlace,
    /// An inner node's entry count is not the sum of its children's.
    #[error("its entry count is not the sum of its children's")]
    WrongCount,
}
