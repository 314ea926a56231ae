//! The bounds of the state layer, each with its reason.
//!
//! [`LEAF_ENTRIES_MAX`] is part of the **stored format**: the shape of a tree, and so its root, follows from
//! it. Changing it is a migration that rebuilds every state.

/// Entries in a leaf; a set of more entries is always an inner node, a set of at most so many always a leaf.
///
/// 32, because bytes written per update hardly change between 16 and 32 (see [`super::tree`], "Cost"), and
/// the larger bucket keeps the state of an ordinary small room in one node.
pub const LEAF_ENTRIES_MAX: usize = 32;

/// Bytes of one encoded node: a leaf's count byte and its entries of two varints (10 bytes each at most). An
/// inner node is far smaller. Longer input is refused before it is decoded.
pub const NODE_BYTES_MAX: usize = 1 + LEAF_ENTRIES_MAX * 20;

/// Levels from root to leaf: a key has 32 digits of two bits, and each level consumes at least one.
pub const TREE_LEVELS_MAX: usize = 33;

/// Bytes that a cached node is taken to cost beyond its own heap size: the cache's slot (key, pointer, state,
/// list links), its share of the hash table, and of the slots kept for recently evicted keys.
pub const CACHE_NODE_OVERHEAD_BYTES: usize = 96;

/// Bytes of a typical cached node with overhead; only sizes the cache's tables at the start.
pub const CACHE_NODE_BYTES_TYPICAL: usize = 256;
