//! The bounds of the state layer, each with its reason.
//!
//! [`LEAF_ENTRIES_MAX`] is part of the **stored format**: the shape of a tree, and so its root, follows from
//! it. Changing it is a migration that rebuilds every state. [`CHAIN_SUMMARY_STRIDE`] is, too: changing it
//! rebuilds the chain-cover index.

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

/// Events without a place in the chain-cover index that one back-fill orders: the auth chain of a room that
/// is joined. Each costs about 100 bytes while it is ordered. A larger one is appended in several steps.
pub const BACKFILL_EVENTS_MAX: usize = 2_000_000;

/// Entries of a chain after which one lists the links of all before it. So what an event links to is found by
/// reading at most so many rows that lie side by side. Most chains, those of ordinary members, never get so long.
pub const CHAIN_SUMMARY_STRIDE: u64 = 16;

/// Other chains that one chain may link to: a chain of power levels that as many people have changed is followed
/// by a new one. Bounds the bytes of the entries that list all links, and so of an append, to about 2,000, and to
/// 130 on average.
pub const CHAIN_LINKS_MAX: usize = 256;

/// Backlinks that are read to find out, from below, whether all sets of an auth difference reach an event. An
/// ordinary member's event has few above it. Beyond it the answer comes from above, by walking more chains.
pub const SHARED_PROBE_ROWS_MAX: usize = 16;

/// Events in the full conflicted set of one resolution, each of which costs about 400 bytes while it lasts:
/// 100 MB at the bound. Rooms that fork for days stay far below; beyond it the resolution fails and the
/// caller keeps the state it has.
pub const FULL_CONFLICTED_SET_MAX: usize = 250_000;

/// Bytes of events (by their JSON) that one resolution keeps parsed. Beyond it all are let go and parsed
/// again when needed, so that a conflict of large events costs time and not memory.
pub const RESOLUTION_EVENT_BYTES_MAX: usize = 16 << 20;

/// Bytes that a parsed event is taken to cost beyond its JSON: its identifiers and the table's slot.
pub const RESOLUTION_EVENT_OVERHEAD_BYTES: usize = 600;

/// Parsed power levels that one resolution keeps. Those of a large room take megabytes; a resolution mostly
/// needs those of each fork and of the state as it grows.
pub const RESOLUTION_POWER_LEVELS_MAX: usize = 8;

/// Rows of the chain-cover index that one resolution reads to find, from the events of the auth difference
/// upward, an unconflicted event that cites them. Beyond it the unconflicted state is read through instead,
/// which costs the size of the room: so this is where the one becomes cheaper than the other in a room of a
/// few thousand members.
pub const UPWARD_SEARCH_ROWS_MAX: usize = 8_192;

/// Backlinks of one chain that are tried before all are read: of an event that a large room cites, nearly
/// every one leads to an unconflicted event.
pub const UPWARD_SEARCH_FIRST_ROWS: usize = 16;
