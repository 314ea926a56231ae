//! Nodes and their encoding. Decoding accepts exactly what encoding makes: each node has one encoding.

use super::region::FAN_OUT;
use super::{Corruption, NodeHash, Region, varint};
use crate::state::limits::{LEAF_ENTRIES_MAX, NODE_BYTES_MAX};

/// One entry of a state: key and value.
pub type Entry = (u64, u64);

/// First byte of an inner node, whose low five bits are the depth.
const INNER_TAG: u8 = 0x80;
/// The bits of an inner node's first byte that are its depth.
const DEPTH_MASK: u8 = 0x1f;

/// A decoded node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// One to [`LEAF_ENTRIES_MAX`] entries in ascending key order.
    Leaf(Box<[Entry]>),
    /// More entries than a leaf holds, parted by their next digit.
    Inner(Inner),
}

/// A node with children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner {
    /// The smallest region that holds all keys below; its depth is at most 31.
    pub(super) region: Region,
    /// Entries below, more than [`LEAF_ENTRIES_MAX`].
    pub(super) entries: u64,
    /// The child for each value of the digit that follows the region's, at least two of them.
    pub(super) children: [Option<NodeHash>; FAN_OUT],
}

impl Inner {
    /// The children that exist with the region that each is in, in key order.
    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = (Region, NodeHash)> + '_ {
        let parts = self.children.iter().enumerate();
        parts.filter_map(|(digit, child)| child.map(|hash| (self.region.child(digit), hash)))
    }
}

impl Node {
    /// How many entries are at or below this node.
    pub fn entries(&self) -> u64 {
        match self {
            Self::Leaf(entries) => entries.len() as u64,
            Self::Inner(inner) => inner.entries,
        }
    }

    /// The addresses of the nodes right below, in key order.
    pub fn children(&self) -> impl Iterator<Item = NodeHash> + '_ {
        let children = match self {
            Self::Leaf(_) => &[][..],
            Self::Inner(inner) => &inner.children[..],
        };
        children.iter().copied().flatten()
    }

    /// Whether every key at or below this node is in `region`, and an inner node there is below its parent.
    pub(super) fn is_within(&self, region: Region) -> bool {
        match self {
            Self::Leaf(entries) => entries.iter().all(|(key, _)| region.contains(*key)),
            Self::Inner(inner) => region.covers(inner.region),
        }
    }

    /// Bytes that the node takes in memory.
    pub(super) fn heap_bytes(&self) -> usize {
        let entries = match self {
            Self::Leaf(entries) => size_of_val::<[Entry]>(entries),
            Self::Inner(_) => 0,
        };
        size_of::<Self>() + entries
    }

    /// The bytes that [`decode`](Self::decode) reads as this node: no other bytes are.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Leaf(entries) => encode_leaf(entries),
            Self::Inner(inner) => encode_inner(inner),
        }
    }

    /// The node that `bytes` encode.
    pub fn decode(bytes: &[u8]) -> Result<Self, Corruption> {
        if bytes.len() > NODE_BYTES_MAX {
            return Err(Corruption::TooLong);
        }
        let (&tag, mut rest) = bytes.split_first().ok_or(Corruption::Truncated)?;
        let node = if tag & !DEPTH_MASK == INNER_TAG {
            Self::Inner(decode_inner(tag & DEPTH_MASK, &mut rest)?)
        } else if (1..=LEAF_ENTRIES_MAX).contains(&usize::from(tag)) {
            Self::Leaf(decode_leaf(usize::from(tag), &mut rest)?)
        } else {
            return Err(Corruption::UnknownKind);
        };
        if rest.is_empty() { Ok(node) } else { Err(Corruption::TrailingBytes) }
    }
}

/// The encoding of a leaf. `entries` are 1 to [`LEAF_ENTRIES_MAX`] in ascending key order.
pub(super) fn encode_leaf(entries: &[Entry]) -> Vec<u8> {
    debug_assert!((1..=LEAF_ENTRIES_MAX).contains(&entries.len()));
    debug_assert!(entries.is_sorted_by(|a, b| a.0 < b.0));
    let mut out = Vec::with_capacity(1 + entries.len() * 5);
    // At most 32, so the conversion keeps the value.
    out.push(u8::try_from(entries.len()).unwrap_or(u8::MAX));
    let mut previous: Option<Entry> = None;
    for &(key, value) in entries {
        match previous {
            None => {
                varint::put(&mut out, key.rotate_left(1));
                varint::put(&mut out, value);
            }
            Some((previous_key, previous_value)) => {
                varint::put(&mut out, key - previous_key - 1);
                varint::put(&mut out, varint::zigzag(previous_value, value));
            }
        }
        previous = Some((key, value));
    }
    out
}

fn decode_leaf(count: usize, input: &mut &[u8]) -> Result<Box<[Entry]>, Corruption> {
    let mut entries = Vec::with_capacity(count);
    let mut key = varint::take(input)?.rotate_right(1);
    let mut value = varint::take(input)?;
    entries.push((key, value));
    for _ in 1..count {
        let gap = varint::take(input)?.checked_add(1);
        key = gap.and_then(|gap| key.checked_add(gap)).ok_or(Corruption::KeyOverflow)?;
        value = varint::unzigzag(value, varint::take(input)?);
        entries.push((key, value));
    }
    Ok(entries.into_boxed_slice())
}

/// The encoding of an inner node.
pub(super) fn encode_inner(inner: &Inner) -> Vec<u8> {
    debug_assert!(inner.entries > LEAF_ENTRIES_MAX as u64);
    debug_assert!(inner.region.depth() <= DEPTH_MASK);
    let map = inner.children.iter().rev().fold(0, |map, child| (map << 1) | u8::from(child.is_some()));
    debug_assert!(map.count_ones() >= 2);
    let mut out = Vec::with_capacity(80);
    out.push(INNER_TAG | inner.region.depth());
    out.push(map);
    varint::put(&mut out, inner.entries);
    varint::put(&mut out, pack_prefix(inner.region));
    inner.children.iter().flatten().for_each(|child| out.extend_from_slice(child.as_bytes()));
    out
}

fn decode_inner(depth: u8, input: &mut &[u8]) -> Result<Inner, Corruption> {
    let (&map, rest) = input.split_first().ok_or(Corruption::Truncated)?;
    *input = rest;
    if map >> FAN_OUT != 0 || map.count_ones() < 2 {
        return Err(Corruption::BadChildMap);
    }
    let entries = varint::take(input)?;
    if entries <= LEAF_ENTRIES_MAX as u64 {
        return Err(Corruption::NotCanonical);
    }
    let region = unpack_prefix(varint::take(input)?, depth).ok_or(Corruption::BadPrefix)?;
    let mut children = [None; FAN_OUT];
    for (digit, child) in children.iter_mut().enumerate() {
        if map >> digit & 1 == 1 {
            let (bytes, rest) = input.split_first_chunk().ok_or(Corruption::Truncated)?;
            *child = Some(NodeHash::from_bytes(*bytes));
            *input = rest;
        }
    }
    Ok(Inner { region, entries, children })
}

/// The digits of a region as a number of `2 × depth` bits, with the highest of those bits moved to the lowest
/// place: small for regions near the bottom of either half of the key space.
fn pack_prefix(region: Region) -> u64 {
    let width = 2 * u32::from(region.depth());
    if width == 0 {
        return 0;
    }
    let rotated = region.first().rotate_left(1);
    // Bit 0 is the former highest bit; the other `width - 1` bits are at the top.
    let others = (rotated & !1).checked_shr(u64::BITS - width).unwrap_or(0);
    others | (rotated & 1)
}

/// The region of `depth` digits (at most 31) that [`pack_prefix`] gave `packed`; `None` if it gives no such.
fn unpack_prefix(packed: u64, depth: u8) -> Option<Region> {
    let width = 2 * u32::from(depth);
    if width == 0 {
        return (packed == 0).then_some(Region::WHOLE);
    }
    if packed >> width != 0 {
        return None;
    }
    let others = (packed & !1) << (u64::BITS - width);
    Some(Region::around((others | (packed & 1)).rotate_right(1), depth))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    /// Every map of two or more children.
    fn child_maps() -> impl Strategy<Value = u8> {
        prop::sample::select((0u8..16).filter(|map| map.count_ones() >= 2).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn leaves_round_trip(entries in btree_map(any::<u64>(), any::<u64>(), 1..=LEAF_ENTRIES_MAX)) {
            let entries: Vec<Entry> = entries.into_iter().collect();
            let bytes = encode_leaf(&entries);
            prop_assert!(bytes.len() <= NODE_BYTES_MAX);
            prop_assert_eq!(Node::decode(&bytes), Ok(Node::Leaf(entries.into_boxed_slice())));
        }

        #[test]
        fn inner_nodes_round_trip(key: u64, depth in 0u8..=31, entries in 33u64.., map in child_maps(), seed: u8) {
            let hash = |digit| NodeHash::from_bytes([seed ^ digit; 16]);
            let children = [0, 1, 2, 3].map(|digit| (map >> digit & 1 == 1).then(|| hash(digit)));
            let inner = Inner { region: Region::around(key, depth), entries, children };
            prop_assert_eq!(Node::decode(&encode_inner(&inner)), Ok(Node::Inner(inner)));
        }

        /// Whatever decodes, encodes to the same bytes: no node has two addresses.
        #[test]
        fn what_decodes_is_the_only_encoding(bytes in vec(any::<u8>(), 0..120), tag in 0u8..=40) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() { if tag <= 32 { *first = tag; } else { *first |= 0x80; } }
            if let Ok(node) = Node::decode(&bytes) {
                prop_assert_eq!(node.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_region_at_either_half_packs_small() {
        for half in [0, 1 << 63] {
            assert!(pack_prefix(Region::around(half + 100, 31)) < 64);
        }
    }
}
