//! State tree: what reading, changing and comparing states costs, by the size of the state.
//!
//! `cargo bench --bench state_diff` first prints the bytes that an update writes, then times. Nodes come from
//! memory through the cache that the server uses, sized to hold them all, but where a line says `cold`:
//! there every node is fetched, hashed and decoded.
//!
//! Bar: the diff of two states of 100,000 entries that differ in 10 takes under 1 ms. The figure is asserted
//! before the benches run, so a regression fails the command.
#![allow(clippy::expect_used)] // A bench may fail loudly.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conduit::state::tree::{CachedSource, Change, MemoryNodes, NodeCache, NodeSource, StateRoot, StateTree};
use divan::Bencher;

/// Sizes of states, in entries.
const SIZES: [u64; 3] = [10, 1_000, 100_000];
/// The entries in which the two compared states differ.
const DIFFERENCES: u64 = 10;
/// The bar for comparing them.
const DIFF_MAX: Duration = Duration::from_millis(1);
/// Bytes of the cache: more than the largest state here takes.
const CACHE_BYTES: usize = 64 << 20;
/// Member keys are in the upper half of the key space.
const MEMBERS: u64 = 1 << 63;

type Tree = StateTree<CachedSource<MemoryNodes>>;

fn main() {
    bytes_per_update();
    assert_diff_bar();
    divan::main();
}

/// How the ids of a room's entries lie.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// A few other entries, then members whose ids were handed out one after the other, as in a first join.
    Dense,
    /// Members who were known before: ids spread over a million, events over ten million.
    Scattered,
}

impl Layout {
    fn key(self, n: u64) -> u64 {
        match self {
            _ if n < 9 => n + 1,
            Self::Dense => MEMBERS + n,
            Self::Scattered => MEMBERS + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44),
        }
    }

    fn value(self, n: u64) -> u64 {
        match self {
            Self::Dense => 1_000_000 + n,
            Self::Scattered => n.wrapping_mul(0xd1b5_4a32_d192_ed03) % 10_000_000,
        }
    }
}

fn build(layout: Layout, entries: u64) -> (MemoryNodes, StateRoot) {
    let changes: Vec<Change> = (0..entries).map(|n| (layout.key(n), Some(layout.value(n)))).collect();
    let mut nodes = MemoryNodes::new();
    let update = StateTree::new(&nodes).update(StateRoot::EMPTY, &changes).expect("memory is readable");
    nodes.extend(&update.nodes);
    (nodes, update.root)
}

/// A state, and the same with [`DIFFERENCES`] members changed.
fn pair(entries: u64) -> (MemoryNodes, StateRoot, StateRoot) {
    let (mut nodes, left) = build(Layout::Dense, entries);
    let changes: Vec<Change> = (1..=DIFFERENCES)
        .map(|n| (Layout::Dense.key(n * (entries / (DIFFERENCES + 1))), Some(20_000_000 + n)))
        .collect();
    let update = StateTree::new(&nodes).update(left, &changes).expect("memory is readable");
    nodes.extend(&update.nodes);
    (nodes, left, update.root)
}

/// Reads through a cache that holds every node of `roots`.
fn cached(nodes: MemoryNodes, roots: &[StateRoot]) -> Tree {
    let tree = StateTree::new(CachedSource::new(Arc::new(NodeCache::new(CACHE_BYTES)), nodes));
    for root in roots {
        tree.walk(*root, |_| true).expect("memory is readable");
    }
    tree
}

fn count_differences<S: NodeSource>(tree: &StateTree<S>, left: StateRoot, right: StateRoot) -> u64 {
    tree.diff(left, right).flatten().count() as u64
}

/// New node bytes of setting a new member's entry and of changing one that is there, averaged over 500.
fn bytes_per_update() {
    println!("bytes written per update (nodes alone; with their 16-byte keys; nodes)");
    for layout in [Layout::Dense, Layout::Scattered] {
        for entries in SIZES {
            let (nodes, root) = build(layout, entries);
            let tree = StateTree::new(&nodes);
            let (mut bytes, mut with_keys, mut count, mut most) = (0, 0, 0, 0);
            for n in 0..500 {
                let at = if n % 2 == 0 { entries + n } else { n * 7919 % entries };
                let update = tree.set(root, layout.key(at), 10_000_000 + n).expect("memory is readable");
                let nodes: usize = update.nodes.iter().map(|(_, bytes)| bytes.len()).sum();
                bytes += nodes;
                most = most.max(nodes);
                with_keys += update.bytes();
                count += update.nodes.len();
            }
            println!(
                "  {layout:?}, {entries} entries: {} (at most {most}); {}; {:.1}",
                bytes / 500,
                with_keys / 500,
                f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / 500.0
            );
        }
    }
}

/// Holds the bar with the median of many runs, warm and cold.
fn assert_diff_bar() {
    let (nodes, left, right) = pair(100_000);
    let cold = StateTree::new(nodes.clone());
    let warm = cached(nodes, &[left, right]);
    let median = |run: &dyn Fn() -> u64| {
        let mut times: Vec<Duration> = (0..101)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(black_box(run()), DIFFERENCES);
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[50]
    };
    let warm = median(&|| count_differences(&warm, left, right));
    let cold = median(&|| count_differences(&cold, left, right));
    println!("diff of two states of 100,000 entries, {DIFFERENCES} differ: {warm:?} warm, {cold:?} cold");
    assert!(warm < DIFF_MAX && cold < DIFF_MAX, "a diff must take under {DIFF_MAX:?}");
}

#[divan::bench(args = SIZES)]
fn get(bencher: Bencher<'_, '_>, entries: u64) {
    let (nodes, root) = build(Layout::Dense, entries);
    let tree = cached(nodes, &[root]);
    let mut n = 0;
    bencher.bench_local(|| {
        n = (n + 7919) % entries;
        tree.get(root, Layout::Dense.key(n))
    });
}

#[divan::bench(args = SIZES)]
fn get_cold(bencher: Bencher<'_, '_>, entries: u64) {
    let (nodes, root) = build(Layout::Dense, entries);
    let tree = StateTree::new(nodes);
    let mut n = 0;
    bencher.bench_local(|| {
        n = (n + 7919) % entries;
        tree.get(root, Layout::Dense.key(n))
    });
}

#[divan::bench(args = SIZES)]
fn set(bencher: Bencher<'_, '_>, entries: u64) {
    let (nodes, root) = build(Layout::Dense, entries);
    let tree = cached(nodes, &[root]);
    let mut n = 0;
    bencher.bench_local(|| {
        n = (n + 7919) % entries;
        tree.set(root, Layout::Dense.key(n), 20_000_000)
    });
}

#[divan::bench(args = [1_000, 100_000])]
fn diff_of_10(bencher: Bencher<'_, '_>, entries: u64) {
    let (nodes, left, right) = pair(entries);
    let tree = cached(nodes, &[left, right]);
    bencher.bench_local(|| count_differences(&tree, left, right));
}

#[divan::bench(args = [1_000, 100_000])]
fn diff_of_10_cold(bencher: Bencher<'_, '_>, entries: u64) {
    let (nodes, left, right) = pair(entries);
    let tree = StateTree::new(nodes);
    bencher.bench_local(|| count_differences(&tree, left, right));
}

/// All state but members, out of a room of so many entries.
#[divan::bench(args = SIZES)]
fn range_without_members(bencher: Bencher<'_, '_>, entries: u64) {
    let (nodes, root) = build(Layout::Dense, entries);
    let tree = cached(nodes, &[root]);
    bencher.bench_local(|| tree.range(root, ..MEMBERS).count());
}

/// A whole state in one update, as at a join.
#[divan::bench(args = [1_000, 100_000])]
fn build_whole(bencher: Bencher<'_, '_>, entries: u64) {
    let changes: Vec<Change> =
        (0..entries).map(|n| (Layout::Scattered.key(n), Some(Layout::Scattered.value(n)))).collect();
    let nodes = MemoryNodes::new();
    bencher.bench_local(|| StateTree::new(&nodes).update(StateRoot::EMPTY, &changes));
}
