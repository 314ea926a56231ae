//! The state tree: a persistent (copy-on-write), content-addressed radix tree from `u64` to `u64`.
//!
//! For: holding each state of a room as one 16-byte [`StateRoot`]; keys are short state-key ids and values
//! short event ids, which this module knows only as numbers. An update copies one path, so all states of a
//! room share nearly all nodes; two states are compared by walking both and skipping what they share.
//!
//! Never: reads or writes a store. Nodes are read through [`NodeSource`]; an update returns its new nodes
//! ([`Update`]) and the caller puts them into the batch that holds the event.
//!
//! Main type: [`StateTree`].
//!
//! # Shape
//! A key is read as 32 digits of two bits, highest first. The node of a set of entries is
//! - a **leaf** of all its entries, in key order, if it has at most
//!   [`LEAF_ENTRIES_MAX`](super::limits::LEAF_ENTRIES_MAX) of them;
//! - otherwise an **inner node** at the depth (number of digits) that all keys share, with one child per next
//!   digit that occurs: between two and four children.
//!
//! This is a function of the set alone, so equal states have equal roots, whatever the order in which they
//! came about; and since shared digits are skipped, depth follows the number of entries, not the key width.
//! The empty state has no node and the root [`StateRoot::EMPTY`].
//!
//! # Encoding
//! Varints are LEB128 in their shortest form; `rot(x)` moves the highest bit to the lowest place, because
//! member keys have the highest bit set and are otherwise small numbers.
//! - leaf: count (1 byte, 1 to 32); `varint(rot(first key))`, `varint(first value)`; then per entry
//!   `varint(key - previous key - 1)`, `varint(zigzag(value - previous value))`.
//! - inner: `0x80 | depth` (1 byte); bit map of children (1 byte, low four bits); `varint(entries below)`;
//!   `varint(shared digits as a number, rotated within its width)`; the children's hashes, 16 bytes each.
//!
//! A node is addressed by the first 16 bytes of the SHA-256 of its encoding, see [`NodeHash`].
//!
//! # Cost
//! With fan-out f a path of inner nodes costs `(16 f + 8 + 21) / log2 f` bytes per bit of depth, where 21
//! stands for the key and record header in the store: 61 for f = 2, **46 for f = 4**, 52 for f = 8, 71 for
//! f = 16. So four children write least, and depth is paid for in reads, which a cache of decoded nodes
//! makes cheap. A leaf entry takes 2 to 5 bytes; doubling a leaf of L entries costs about 4 L bytes and
//! saves one bit (46): best near L = 12, flat from 8 to 20. Buckets of 32 hold 8 to 32 entries, 17 on
//! average, of scattered keys and 16 of dense ones.
//!
//! Sketch for one changed entry of 100,000: log2(100,000 / 16) = 12.6 bits = 6.3 levels of 72 bytes, a root
//! that parts members from the rest, and a leaf of 70: about 560 bytes, 690 with the keys. Measured by
//! `benches/state_diff.rs`, on average with and without keys: 387 and 507 where ids lie densely, 570 and 698
//! where they are scattered; at 1,000 entries 185 to 339 and 250 to 419; at 10 entries 36 to 60 and 52 to 76.
//! `tests.rs` holds the nodes under 700.
//!
//! # Adversaries
//! Entries are numbers that this server hands out in sequence and nodes never come from the network, so
//! nobody chooses keys to unbalance the tree (and if so, depth ends at 32 levels).

mod cache;
mod diff;
mod error;
mod node;
mod node_hash;
mod read;
mod region;
mod source;
mod update;
mod varint;
mod verify;

#[cfg(test)]
mod corruption_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod tests;

pub use cache::{CachedSource, NodeCache};
pub use diff::{Diff, DiffEntry};
pub use error::{Corruption, TreeError};
pub use node::{Entry, Inner, Node};
pub use node_hash::{NodeHash, StateRoot};
pub use read::Range;
pub use region::Region;
pub use source::{MemoryNodes, NodeSource, Overlay};
pub use update::Update;
pub use verify::TreeSummary;

/// One change of an update: a key, and its new value or `None` to remove it.
pub type Change = (u64, Option<u64>);

/// The operations on states whose nodes are in `source`.
///
/// Holds nothing but the source, so it is made where it is needed: `StateTree::new(&source)`.
#[derive(Debug, Clone)]
pub struct StateTree<S> {
    source: S,
}

impl<S: NodeSource> StateTree<S> {
    /// Operations over the nodes of `source`.
    pub fn new(source: S) -> Self {
        Self { source }
    }

    /// The source of nodes, as given to [`StateTree::new`].
    pub fn source(&self) -> &S {
        &self.source
    }
}
