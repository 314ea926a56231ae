//! The tree against a `BTreeMap`, on generated contents and changes.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Change, MemoryNodes, NodeHash, Overlay, StateRoot, StateTree};

type Model = BTreeMap<u64, u64>;

/// Keys as rooms have them (dense at the bottom of either half), keys with long shared prefixes, and any.
fn keys() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..300,
        4 => (0u64..300).prop_map(|key| key | 1 << 63),
        2 => (0u64..40).prop_map(|key| 0x0123_4567_89ab_0000 + key * 257),
        2 => any::<u64>(),
        1 => (0u64..5).prop_map(|key| u64::MAX - key),
    ]
}

fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    vec((keys(), prop_oneof![3 => any::<u64>().prop_map(Some), 2 => Just(None)]), 0..most)
}

/// A first large batch and small ones after it.
fn histories() -> impl Strategy<Value = Vec<Vec<Change>>> {
    (changes(400), vec(changes(60), 0..6)).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

fn apply(model: &mut Model, changes: &[Change]) {
    for (key, value) in changes {
        match value {
            Some(value) => model.insert(*key, *value),
            None => model.remove(key),
        };
    }
}

fn update(nodes: &mut MemoryNodes, root: StateRoot, changes: &[Change]) -> StateRoot {
    let update = StateTree::new(&*nodes).update(root, changes).unwrap();
    nodes.extend(&update.nodes);
    update.root
}

fn inserting(model: &Model) -> Vec<Change> {
    model.iter().map(|(key, value)| (*key, Some(*value))).collect()
}

fn reachable(nodes: &MemoryNodes, root: StateRoot) -> HashSet<NodeHash> {
    let mut seen = HashSet::new();
    StateTree::new(nodes).walk(root, |hash| seen.insert(hash)).unwrap();
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn reads_agree_with_the_model(history in histories(), asked in vec(keys(), 0..50), a in keys(), b in keys()) {
        let (mut nodes, mut root, mut model) = (MemoryNodes::new(), StateRoot::EMPTY, Model::new());
        for changes in &history {
            root = update(&mut nodes, root, changes);
            apply(&mut model, changes);
        }
        let tree = StateTree::new(&nodes);
        prop_assert_eq!(tree.len(root).unwrap(), model.len() as u64);
        prop_assert_eq!(root.is_empty(), model.is_empty());
        let asked: Vec<u64> = asked.into_iter().chain(model.keys().copied()).collect();
        let expected: Vec<Option<u64>> = asked.iter().map(|key| model.get(key).copied()).collect();
        for (key, value) in asked.iter().zip(&expected) {
            prop_assert_eq!(tree.get(root, *key).unwrap(), *value);
        }
        prop_assert_eq!(tree.get_many(root, &asked).unwrap(), expected);

        let (low, high) = (a.min(b), a.max(b));
        for range in [
            (Bound::Unbounded, Bound::Unbounded),
            (Bound::Included(low), Bound::Excluded(high)),
            (Bound::Excluded(low), Bound::Included(high)),
            (Bound::Unbounded, Bound::Excluded(1 << 63)),
            (Bound::Included(1 << 63), Bound::Unbounded),
        ] {
            let got: Vec<_> = tree.range(root, range).map(Result::unwrap).collect();
            let expected: Vec<_> = model
                .iter()
                .map(|(key, value)| (*key, *value))
                .filter(|(key, _)| std::ops::RangeBounds::contains(&range, key))
                .collect();
            prop_assert_eq!(got, expected);
        }
    }

    /// The root is a function of the contents: not of batches, order, or what was there and went.
    #[test]
    fn roots_are_canonical(history in histories(), seed: u64) {
        let (mut nodes, mut root, mut model) = (MemoryNodes::new(), StateRoot::EMPTY, Model::new());
        for changes in &history {
            root = update(&mut nodes, root, changes);
            apply(&mut model, changes);
        }
        let summary = StateTree::new(&nodes).verify(root).unwrap();
        prop_assert_eq!(summary.entries, model.len() as u64);

        let mut one_by_one = inserting(&model);
        one_by_one.sort_by_key(|(key, _)| key.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        prop_assert_eq!(update(&mut MemoryNodes::new(), StateRoot::EMPTY, &one_by_one), root);
        let (mut nodes, mut grown) = (MemoryNodes::new(), StateRoot::EMPTY);
        for change in &one_by_one {
            grown = update(&mut nodes, grown, &[*change]);
        }
        prop_assert_eq!(grown, root);
        for (key, _) in &one_by_one {
            grown = update(&mut nodes, grown, &[(*key, None)]);
        }
        prop_assert_eq!(grown, StateRoot::EMPTY);
    }

    /// An update returns exactly the nodes that the new state has and the old one has not.
    #[test]
    fn updates_return_what_is_new(history in histories()) {
        let (mut nodes, mut root) = (MemoryNodes::new(), StateRoot::EMPTY);
        for changes in &history {
            let before = reachable(&nodes, root);
            let update = StateTree::new(&nodes).update(root, changes).unwrap();
            nodes.extend(&update.nodes);
            root = update.root;
            let returned: HashSet<NodeHash> = update.nodes.iter().map(|(hash, _)| *hash).collect();
            prop_assert_eq!(returned.len(), update.nodes.len(), "a node twice");
            let new: HashSet<NodeHash> = reachable(&nodes, root).difference(&before).copied().collect();
            prop_assert_eq!(returned, new);
        }
    }

    #[test]
    fn diffs_agree_with_the_model(history in histories(), other in histories(), related: bool) {
        let mut nodes = MemoryNodes::new();
        let (mut left, mut left_model) = (StateRoot::EMPTY, Model::new());
        for changes in &history {
            left = update(&mut nodes, left, changes);
            apply(&mut left_model, changes);
        }
        let (mut right, mut right_model) =
            if related { (left, left_model.clone()) } else { (StateRoot::EMPTY, Model::new()) };
        for changes in other.iter().skip(usize::from(related)) {
            right = update(&mut nodes, right, changes);
            apply(&mut right_model, changes);
        }
        let mut keys: Vec<u64> = left_model.keys().chain(right_model.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        let expected: Vec<_> = keys
            .into_iter()
            .map(|key| (key, left_model.get(&key).copied(), right_model.get(&key).copied()))
            .filter(|(_, left, right)| left != right)
            .collect();
        let tree = StateTree::new(&nodes);
        let found: Vec<_> = tree.diff(left, right).map(Result::unwrap).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(left == right, left_model == right_model);
    }

    /// Several updates in one batch, none stored in between.
    #[test]
    fn pending_nodes_are_read_through_an_overlay(history in histories()) {
        let (mut stored, mut root) = (MemoryNodes::new(), StateRoot::EMPTY);
        let mut model = Model::new();
        let mut history = history.iter();
        let first = history.next().unwrap();
        root = update(&mut stored, root, first);
        apply(&mut model, first);

        let mut overlay = Overlay::new(&stored);
        for changes in history {
            let update = StateTree::new(&overlay).update(root, changes).unwrap();
            overlay.extend(&update.nodes);
            root = update.root;
            apply(&mut model, changes);
        }
        let got: Model = StateTree::new(&overlay).range(root, ..).map(Result::unwrap).collect();
        prop_assert_eq!(got, model);
    }
}
