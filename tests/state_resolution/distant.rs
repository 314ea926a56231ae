//! Forks with branches longer than what is searched upward: there the unconflicted state is read after all.

use ruma::RoomVersionId;
use serde_json::{Value, json};

use super::{
    oracle::Oracle,
    world::{Draft, Entries, World},
};

const ALICE: &str = "@alice:one.example";
const BOB: &str = "@bob:two.example";
const CAROL: &str = "@carol:three.example";
const DAVE: &str = "@dave:four.example";
const ERIN: &str = "@erin:four.example";
const FRANK: &str = "@frank:four.example";
/// More than `UPWARD_SEARCH_ROWS_MAX`.
const TOPICS: usize = 9_000;

struct Branch {
    state: Entries,
    head: Option<u64>,
}

fn send(world: &mut World, branch: &mut Branch, sender: &str, kind: &str, key: &str, content: Value) -> u64 {
    let n = world.events.len() as u64 + 1;
    let draft = Draft {
        event_id: format!("${n:08}"),
        sender: sender.to_owned(),
        event_type: kind.to_owned(),
        state_key: key.to_owned(),
        content,
        origin_server_ts: n,
        depth: n,
        prev_events: branch.head.into_iter().collect(),
    };
    let auth_events = world.select_auth_events(&draft, &branch.state);
    let event = world.build(&draft, &auth_events);
    assert!(world.allows(&event, &branch.state), "{kind} of {sender} is allowed");
    let id = world.insert(event, &auth_events, false);
    branch.state.insert(world.get(id).state_key, id);
    branch.head = Some(id);
    id
}

/// A fork whose outcome hangs on whether power levels of one branch, cited by so many of its topics, are also
/// cited by the unconflicted state: by a membership that both states have, or only one.
fn fork(version: &RoomVersionId, topics: usize, is_shared: bool) -> (World, Vec<Entries>) {
    let mut world = World::new(version);
    let mut one = Branch { state: Entries::new(), head: None };
    let join = json!({"membership": "join"});
    let levels = |bob: i64, other: &str, level: i64| json!({"users": {ALICE: 100, BOB: bob, other: level}});
    send(
        &mut world,
        &mut one,
        ALICE,
        "m.room.create",
        "",
        json!({"creator": ALICE, "room_version": version}),
    );
    send(&mut world, &mut one, ALICE, "m.room.member", ALICE, join.clone());
    send(&mut world, &mut one, ALICE, "m.room.power_levels", "", levels(60, DAVE, 0));
    send(&mut world, &mut one, ALICE, "m.room.join_rules", "", json!({"join_rule": "public"}));
    send(&mut world, &mut one, BOB, "m.room.member", BOB, join.clone());
    let mut two = Branch { state: one.state.clone(), head: one.head };
    // On one branch Bob loses power, which if it counts voids what he does on the other.
    send(&mut world, &mut one, ALICE, "m.room.power_levels", "", levels(50, DAVE, 0));
    for n in 0..topics {
        send(&mut world, &mut one, BOB, "m.room.topic", "", json!({"topic": n.to_string()}));
    }
    // Frank's membership prolongs the chain of those power levels, so that Erin's is found only past the topics.
    send(&mut world, &mut one, FRANK, "m.room.member", FRANK, join.clone());
    let erin = send(&mut world, &mut one, ERIN, "m.room.member", ERIN, join);
    send(&mut world, &mut one, BOB, "m.room.power_levels", "", levels(50, DAVE, 10));
    send(&mut world, &mut two, BOB, "m.room.power_levels", "", levels(60, CAROL, 60));
    if is_shared {
        two.state.insert(world.get(erin).state_key, erin);
    }
    (world, vec![one.state, two.state])
}

#[test]
fn long_branches_resolve_as_the_oracle_does() {
    for topics in [10, TOPICS] {
        for is_shared in [false, true] {
            let (mut world, states) = fork(&RoomVersionId::V11, topics, is_shared);
            let mut oracle = Oracle::default();
            oracle.follow(&world);
            let expected = oracle.resolve(&world, &states).unwrap();
            let roots: Vec<_> = states.iter().map(|state| world.root_of(state)).collect();
            let root = world.resolve(&roots);
            assert_eq!(world.entries_of(root), expected, "{topics} topics, shared: {is_shared}");
            let levels = world.known_key("m.room.power_levels", "").unwrap();
            let kept_on = states.iter().position(|state| state[&levels] == expected[&levels]);
            assert_eq!(kept_on, Some(usize::from(is_shared)), "the outcome hangs on it");
        }
    }
}
