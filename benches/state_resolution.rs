//! State resolution paired with `ruma-state-res`: same room, same forks, one process, samples in turn.
//!
//! `cargo bench --bench state_resolution` prints medians and then asserts the bars of issue 4:
//! - room of 50,000 members, 2, 5 and 20 forks: at 10 conflicting entries at least 20 times as fast as the
//!   oracle, at 1,000 never slower;
//! - at a constant conflict, a resolution in a room of 100,000 members takes at most twice what it takes in
//!   one of 1,000;
//! - the auth difference of two events 100,000 events apart takes under 1 ms.
//!
//! What is timed: on our side `resolve` with the roots, the chain-cover index and the node cache as the server
//! has them; on the oracle's side `resolve` alone, with its state maps and auth chains made **before** the
//! clock starts (a server would have to read and walk them). Events are parsed on both sides.
#![allow(clippy::expect_used, clippy::unwrap_used)] // A bench may fail loudly.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conduit::state::chain_cover::{ChainRange, ChainSource, MemoryChains, NewEvent, append, auth_difference};
use conduit::state::resolution;
use conduit::state::tree::{CachedSource, MemoryNodes, NodeCache, StateRoot, StateTree};
use oracle::Oracle;
use ruma::RoomVersionId;
use serde_json::{Value, json};
use world::{Draft, Entries, World};

#[path = "../tests/state_resolution/oracle.rs"]
mod oracle;
#[path = "../tests/state_resolution/world.rs"]
mod world;

const MEMBERS: usize = 50_000;
const FORKS: [usize; 3] = [2, 5, 20];
const CONFLICTS: [usize; 3] = [10, 100, 1_000];
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const DISTANCE: u64 = 100_000;
/// Samples of which the median counts.
const SAMPLES: usize = 9;
const CACHE_BYTES: usize = 64 << 20;
const ADMIN: &str = "@admin:one.example";

fn main() {
    // `cargo test --benches` starts it too, to see that it does.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    distant_events();
    flatness();
    against_the_oracle();
}

/// A branch of a room under construction.
#[derive(Clone)]
struct Branch {
    state: Entries,
    root: StateRoot,
}

/// Appends an event to a branch; all events are such as the rules allow.
fn send(world: &mut World, branch: &mut Branch, sender: &str, kind: &str, key: &str, content: Value) {
    let n = world.events.len() as u64 + 1;
    let draft = Draft {
        event_id: format!("${:016x}-{n}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        sender: sender.to_owned(),
        event_type: kind.to_owned(),
        state_key: key.to_owned(),
        content,
        origin_server_ts: n,
        depth: n,
        prev_events: vec![],
    };
    let auth_events = world.select_auth_events(&draft, &branch.state);
    let event = world.build(&draft, &auth_events);
    let id = world.insert(event, &auth_events, false);
    branch.state.insert(world.get(id).state_key, id);
}

fn user(n: usize) -> String {
    format!("@user-{n}:server-{}.example", n % 500)
}

fn join(note: usize) -> Value {
    json!({"membership": "join", "displayname": format!("User {note}")})
}

/// A room of version 11 with so many members.
fn room(members: usize) -> (World, Branch) {
    let mut world = World::new(&RoomVersionId::V11);
    let mut trunk = Branch { state: Entries::new(), root: StateRoot::EMPTY };
    let levels = json!({"users": {ADMIN: 100, user(0): 50}});
    send(&mut world, &mut trunk, ADMIN, "m.room.create", "", json!({"room_version": "11"}));
    send(&mut world, &mut trunk, ADMIN, "m.room.member", ADMIN, join(0));
    send(&mut world, &mut trunk, ADMIN, "m.room.power_levels", "", levels);
    send(&mut world, &mut trunk, ADMIN, "m.room.join_rules", "", json!({"join_rule": "public"}));
    send(&mut world, &mut trunk, ADMIN, "m.room.topic", "", json!({"topic": "0"}));
    for n in 0..members {
        send(&mut world, &mut trunk, &user(n), "m.room.member", &user(n), join(n));
    }
    trunk.root = world.root_of(&trunk.state);
    (world, trunk)
}

/// Forks that conflict in so many entries: power levels and topic that two of them change, a ban, and members
/// who change their names, each on one of the forks.
fn forks(world: &mut World, trunk: &Branch, forks: usize, conflicts: usize) -> Vec<Branch> {
    let mut branches = vec![trunk.clone(); forks];
    for (n, branch) in branches.iter_mut().take(2).enumerate() {
        let levels = json!({"users": {ADMIN: 100, user(0): 50, user(1): 10 + n}});
        send(world, branch, ADMIN, "m.room.power_levels", "", levels);
        send(world, branch, ADMIN, "m.room.topic", "", json!({"topic": n.to_string()}));
    }
    send(world, &mut branches[0], ADMIN, "m.room.member", &user(2), json!({"membership": "ban"}));
    for n in 3..conflicts {
        send(world, &mut branches[n % forks], &user(n), "m.room.member", &user(n), join(n + 1));
    }
    for branch in &mut branches {
        let new = branch.state.iter().filter(|(key, event)| trunk.state.get(*key) != Some(*event));
        let changes: Vec<_> = new.map(|(key, event)| (*key, Some(*event))).collect();
        branch.root = world.update(trunk.root, &changes);
    }
    branches
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

type Tree = StateTree<CachedSource<MemoryNodes>>;

fn cached(world: &World) -> Tree {
    StateTree::new(CachedSource::new(Arc::new(NodeCache::new(CACHE_BYTES)), world.nodes.clone()))
}

fn ours(world: &World, tree: &Tree, branches: &[Branch]) -> StateRoot {
    let roots: Vec<StateRoot> = branches.iter().map(|branch| branch.root).collect();
    resolution::resolve(tree, world, &world.rules, &roots).expect("the room is complete").root
}

/// Factor of two times, with one digit.
fn times(slow: Duration, fast: Duration) -> f64 {
    slow.as_secs_f64() / fast.as_secs_f64()
}

fn against_the_oracle() {
    println!("room of {MEMBERS} members: conflicts, forks: ours, oracle, oracle / ours");
    let (mut world, trunk) = room(MEMBERS);
    let mut missed = Vec::new();
    for conflicts in CONFLICTS {
        for count in FORKS {
            let branches = forks(&mut world, &trunk, count, conflicts);
            let states: Vec<Entries> = branches.iter().map(|branch| branch.state.clone()).collect();
            let mut oracle = Oracle::default();
            oracle.follow(&world);
            let maps: Vec<_> = states.iter().map(|state| Oracle::state_map(&world, state)).collect();
            let chains: Vec<_> = states.iter().map(|state| Oracle::auth_chain(&world, state)).collect();
            let tree = cached(&world);
            let root = ours(&world, &tree, &branches);
            // Both come to the same state.
            let expected = oracle.resolve(&world, &states).unwrap();
            assert_eq!(world.root_of(&expected), root);
            // In turn, so that whatever else the machine does hits both.
            let (mut theirs, mut own) = (Vec::new(), Vec::new());
            for _ in 0..SAMPLES {
                let chains = chains.clone();
                theirs.push(timed(|| oracle.resolve_maps(&world, &maps, chains)));
                own.push(timed(|| ours(&world, &tree, &branches)));
            }
            let (theirs, own) = (median(theirs), median(own));
            let factor = times(theirs, own);
            println!("  {conflicts:5}, {count:2}: {own:>10.1?}, {theirs:>10.1?}, {factor:.1}");
            let bar = if conflicts <= 10 { 20.0 } else { 1.0 };
            if factor < bar {
                missed.push((conflicts, count, factor));
            }
        }
    }
    assert!(missed.is_empty(), "bars missed (conflicts, forks, factor): {missed:?}");
}

fn flatness() {
    println!("10 conflicts in 2 forks, by members:");
    let mut figures = Vec::new();
    for members in SIZES {
        let (mut world, trunk) = room(members);
        let branches = forks(&mut world, &trunk, 2, 10);
        let tree = cached(&world);
        ours(&world, &tree, &branches);
        let own = median((0..SAMPLES).map(|_| timed(|| ours(&world, &tree, &branches))).collect());
        println!("  {members:6}: {own:.1?}");
        figures.push(own);
    }
    let factor = times(figures[2], figures[0]);
    assert!(factor <= 2.0, "100,000 members cost {factor:.1} times 1,000");
}

/// Power levels changed [`DISTANCE`] times by two admins.
fn distant_events() {
    let mut index = MemoryChains::new();
    let mut add = |event, state_key, auth_events: &[u64]| {
        let new = NewEvent { event, state_key, citable: true, auth_events };
        let appended = append(&index, new).expect("auth events come first");
        index.insert(&appended);
    };
    add(1, 1, &[]);
    add(2, 2, &[1]);
    add(3, 3, &[1, 2]);
    add(4, 4, &[1, 2, 3]);
    for event in 5..=DISTANCE + 5 {
        add(event, 4, &[1, 2 + event % 2, event - 1]);
    }
    let place = |event| index.position(event).unwrap().expect("it was added");
    let sets = [vec![place(5)], vec![place(DISTANCE + 5)]];
    let ranges = auth_difference(&index, &sets).unwrap();
    assert_eq!(ranges.iter().map(ChainRange::len).sum::<u64>(), DISTANCE);
    let own = median((0..SAMPLES).map(|_| timed(|| auth_difference(&index, &sets))).collect());
    println!("auth difference of two events {DISTANCE} apart: {own:.1?}");
    assert!(own < Duration::from_millis(1));
}
