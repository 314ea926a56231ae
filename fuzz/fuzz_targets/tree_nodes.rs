//! Nodes of the state tree: their encoding, histories of states, and stores whose nodes are not what a tree has.
//!
//! Input: a byte that chooses what the rest is.
#![no_main]

use std::{collections::BTreeMap, ops::Bound};

use conduit::state::{
    limits::{LEAF_ENTRIES_MAX, NODE_BYTES_MAX},
    tree::{Change, MemoryNodes, Node, NodeHash, StateRoot, StateTree},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind % 3 {
        0 => decode(rest),
        1 => history(Input(rest)),
        _ => hostile(Input(rest)),
    }
});

/// Any bytes: decoding never panics, and what decodes is the only encoding of what it decodes to.
fn decode(bytes: &[u8]) {
    let Ok(node) = Node::decode(bytes) else { return };
    assert!(bytes.len() <= NODE_BYTES_MAX);
    assert_eq!(node.encode(), bytes);
    match &node {
        Node::Leaf(entries) => {
            assert!((1..=LEAF_ENTRIES_MAX).contains(&entries.len()));
            assert!(entries.is_sorted_by(|one, other| one.0 < other.0), "a key twice or out of order");
            // A state of these entries is this one node.
            let changes: Vec<Change> = entries.iter().map(|(key, value)| (*key, Some(*value))).collect();
            let update = StateTree::new(MemoryNodes::new()).update(StateRoot::EMPTY, &changes);
            assert_eq!(update.expect("memory").nodes, [(NodeHash::of(bytes), bytes.to_vec())]);
        }
        Node::Inner(_) => {
            assert!(node.entries() > LEAF_ENTRIES_MAX as u64);
            assert!((2..=4).contains(&node.children().count()));
        }
    }
}

/// A room's states one after the other, against a map.
fn history(mut input: Input<'_>) {
    let (mut nodes, mut root) = (MemoryNodes::new(), StateRoot::EMPTY);
    let mut model = BTreeMap::new();
    while !input.is_empty() {
        let changes = input.changes();
        for (key, value) in &changes {
            match value {
                Some(value) => model.insert(*key, *value),
                None => model.remove(key),
            };
        }
        let before = root;
        let update = StateTree::new(&nodes).update(root, &changes).expect("memory");
        nodes.extend(&update.nodes);
        root = update.root;
        let tree = StateTree::new(&nodes);
        assert_eq!(tree.verify(root).expect("a sound tree").entries, model.len() as u64);
        for difference in tree.diff(before, root) {
            let (key, _, new) = difference.expect("memory");
            assert_eq!(new, model.get(&key).copied());
        }
    }
    let tree = StateTree::new(&nodes);
    assert!(tree.range(root, ..).map(|entry| entry.expect("memory")).eq(model.clone()));
    // Equal states have equal roots, whatever came before.
    let changes: Vec<Change> = model.iter().map(|(key, value)| (*key, Some(*value))).collect();
    assert_eq!(tree.update(StateRoot::EMPTY, &changes).expect("memory").root, root);
}

/// Nodes under their right address that don't make a tree: an operation may answer an error, and never panics
/// or runs on.
fn hostile(mut input: Input<'_>) {
    let mut nodes = MemoryNodes::new();
    let mut hashes: Vec<NodeHash> = Vec::new();
    for _ in 0..usize::from(input.byte() % 16) + 1 {
        let bytes = if hashes.len() < 2 || input.byte() % 2 == 0 {
            input.leaf()
        } else {
            input.inner(&hashes)
        };
        let hash = NodeHash::of(&bytes);
        nodes.extend(&[(hash, bytes)]);
        hashes.push(hash);
    }
    let tree = StateTree::new(&nodes);
    let at = usize::from(input.byte());
    let root = |at: usize| StateRoot::from(hashes.get(at % hashes.len()).copied());
    let (one, other) = (root(hashes.len() - 1), root(at));
    let changes = input.changes();
    let keys: Vec<u64> = changes.iter().map(|change| change.0).collect();
    let is_sound = tree.verify(one).is_ok();
    for key in &keys {
        let _ = tree.get(one, *key);
    }
    let _ = tree.get_many(one, &keys);
    let _ = tree.len(one);
    let _ = tree.walk(one, |_| true);
    assert!(tree.range(one, ..).count() <= hashes.len() * LEAF_ENTRIES_MAX + 1);
    let low = keys.first().copied().unwrap_or(0);
    let _ = tree.range(one, (Bound::Excluded(low), Bound::Unbounded)).count();
    let _ = tree.diff(one, other).count();
    let _ = tree.diff(other, one).count();
    let update = tree.update(one, &changes);
    assert!(update.is_ok() || !is_sound, "a sound tree that can't be changed: {update:?}");
    if let Ok(update) = update
        && is_sound
    {
        nodes.extend(&update.nodes);
        StateTree::new(&nodes).verify(update.root).expect("a sound tree stays one");
    }
}

/// The input as a source of numbers; zeros once it has ended.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn number(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// A key as rooms have them (dense at the bottom of either half), or any.
    fn key(&mut self) -> u64 {
        match self.byte() {
            low @ 0..=199 => u64::from(low >> 1) | u64::from(low & 1) << 63,
            200..=229 => u64::from(self.byte()) << 8 | u64::from(self.byte()) | 1 << 63,
            _ => self.number(),
        }
    }

    fn changes(&mut self) -> Vec<Change> {
        let count = self.byte() % 80;
        let change = |input: &mut Self| {
            let key = input.key();
            match input.byte() {
                0..=99 => (key, None),
                value => (key, Some(u64::from(value))),
            }
        };
        (0..count).map(|_| change(self)).collect()
    }

    /// Entries from a key upward, encoded, or nearly: a byte may be another one.
    fn leaf(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte()) % LEAF_ENTRIES_MAX + 1;
        let mut out = vec![u8::try_from(count).expect("at most 32")];
        put_varint(&mut out, self.key().rotate_left(1));
        put_varint(&mut out, u64::from(self.byte()));
        for _ in 1..count {
            put_varint(&mut out, u64::from(self.byte() / 64));
            put_varint(&mut out, u64::from(self.byte()));
        }
        self.damage(out)
    }

    fn inner(&mut self, below: &[NodeHash]) -> Vec<u8> {
        let map = self.byte() % 16;
        let mut out = vec![0x80 | self.byte() % 32, map];
        put_varint(&mut out, u64::from(self.byte()));
        put_varint(&mut out, self.key().rotate_left(1) & u64::from(self.byte()));
        for _ in 0..map.count_ones() {
            let child = below.get(usize::from(self.byte()) % below.len()).expect("in bounds");
            out.extend_from_slice(child.as_bytes());
        }
        self.damage(out)
    }

    fn damage(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.byte() == 255 {
            let at = usize::from(self.byte()) % bytes.len();
            bytes[at] ^= self.byte();
        }
        bytes
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits"));
}
